//! Gain and lift.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::Look;
use super::{Options, Picture, ensure_models};
use crate::core::Result;
use crate::metrics::GainCurve;

/// The share of the positives found (gain), and how many times as many as by chance (lift), among the
/// rows of the highest predictions.
///
/// Where the base rate is below [`RARE`](super::RARE), shares of rows and lift are on logarithmic
/// axes, which show the top 0.1 % of the rows as well as the top half.
///
/// # Errors
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::RankedScores;
/// use imbalance::plot::{Options, gain};
///
/// let ranked = RankedScores::new(&[false, true, false, true], &[0.1, 0.2, 0.3, 0.9], None)?;
/// let picture = gain(&[("my model", &ranked.gain_curve()?)], &Options::default())?;
/// assert!(picture.svg().contains("Lift"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn gain(models: &[(&str, &GainCurve)], options: &Options) -> Result<Picture> {
    ensure_models(models)?;
    let rate = models[0].1.base_rate;
    let points = || models.iter().flat_map(|(_, curve)| &curve.points);
    let lifts = points().map(|point| point.lift).chain([1.0]);
    let (x, lift) = if options.measure(rate) == Measure::Linear {
        let label = "Share of the rows, from the top";
        (Axis::shares(label), Axis::around("Lift", Measure::Linear, Unit::Plain, lifts))
    } else {
        let (shares, label) = (points().map(|point| point.share), "Share of the rows, log scale");
        let x = Axis::around(label, Measure::Log, Unit::Percent, shares);
        (x, Axis::around("Lift, log scale", Measure::Log, Unit::Plain, lifts))
    };
    let reference = |points| Mark::Line { points, stroke: Look::reference() };
    let perfect = Look::perfect();
    let mut gains = vec![
        reference(super::curve(&x, |share| share)),
        Mark::Line { points: super::curve(&x, |share| (share / rate).min(1.0)), stroke: perfect },
    ];
    let mut ratios = vec![reference(vec![(x.low, 1.0), (x.high, 1.0)])];
    for (model, (_, curve)) in models.iter().enumerate() {
        let stroke = Look::of(model).stroke;
        let of = |value: fn(&crate::metrics::GainPoint) -> f64| {
            curve.points.iter().map(|point| (point.share, value(point))).collect()
        };
        gains.push(Mark::Line { points: of(|point| point.gain), stroke });
        ratios.push(Mark::Line { points: of(|point| point.lift), stroke });
    }
    let panels = vec![
        Panel {
            title: Some("Gain".into()),
            x: x.clone(),
            y: Axis::shares("Share of the positives"),
            marks: gains,
        },
        Panel { title: Some("Lift".into()), x, y: lift, marks: ratios },
    ];
    let keys = Key::models(models.iter().map(|(name, _)| *name));
    let references =
        [Key::line("chance", Look::reference()), Key::line("perfect ranking", perfect)];
    let legend = keys.chain(references).collect();
    let title = options.title_or("Gain and lift: how many positives the top rows hold");
    Picture::new("gain", Figure { title, panels, legend, note: String::new() })
}
