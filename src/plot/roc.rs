//! The ROC curve.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::Look;
use super::{Options, Picture, Scale, ensure_models};
use crate::core::Result;
use crate::metrics::RocCurve;

/// True positive rate against false positive rate, for every threshold.
///
/// With rare positives all that matters happens at false positive rates near 0: at a base rate of
/// 0.1 %, flagging 1 % of the negatives already flags ten for each positive. So beside the picture on
/// a linear axis stands one with the false positive rate on a logarithmic axis; with
/// [`Scale::Linear`] or [`Scale::Logit`] there is only the one or the other.
///
/// # Errors
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::RankedScores;
/// use imbalance::plot::{Options, roc};
///
/// let ranked = RankedScores::new(&[false, true, false, true], &[0.1, 0.2, 0.3, 0.9], None)?;
/// let picture = roc(&[("my model", &ranked.roc_curve()?)], &Options::default())?;
/// assert!(picture.svg().contains("False positive rate"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn roc(models: &[(&str, &RocCurve)], options: &Options) -> Result<Picture> {
    ensure_models(models)?;
    let measures: &[Measure] = match options.scale {
        Scale::Auto => &[Measure::Linear, Measure::Log],
        Scale::Linear => &[Measure::Linear],
        Scale::Logit => &[Measure::Log],
    };
    let rates = models.iter().flat_map(|(_, curve)| &curve.points);
    let rates: Vec<f64> = rates.map(|point| point.false_positive_rate).collect();
    let panels = measures.iter().map(|&measure| {
        let x = if measure == Measure::Linear {
            Axis::shares("False positive rate")
        } else {
            let rates = rates.iter().copied();
            Axis::around("False positive rate, log scale", measure, Unit::Percent, rates)
        };
        let chance = match measure {
            Measure::Linear => vec![(0.0, 0.0), (1.0, 1.0)],
            _ => super::curve(&x, |rate| rate),
        };
        let mut marks = vec![Mark::Line { points: chance, stroke: Look::reference() }];
        for (model, (_, curve)) in models.iter().enumerate() {
            let points = curve.points.iter();
            let points = points.map(|p| (p.false_positive_rate, p.true_positive_rate)).collect();
            marks.push(Mark::Line { points, stroke: Look::of(model).stroke });
        }
        Panel { title: None, x, y: Axis::shares("True positive rate"), marks }
    });
    let panels = panels.collect();
    let keys = Key::models(models.iter().map(|(name, _)| *name));
    let legend = keys.chain([Key::line("chance", Look::reference())]).collect();
    let title = options.title_or("ROC: positives found against false alarms");
    Picture::new("ROC", Figure { title, panels, legend, note: String::new() })
}
