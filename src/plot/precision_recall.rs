//! The precision–recall curve.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::Look;
use super::{Options, Picture, ensure_models};
use crate::core::Result;
use crate::metrics::PrecisionRecallCurve;

/// Precision against recall, for every threshold, as the steps whose area is
/// [`average_precision`](crate::metrics::average_precision): between two points the curve has the precision
/// of the lower threshold.
///
/// The base rate is the precision of chance. Where it is below [`RARE`](super::RARE), precision is on
/// a logit axis: from 0.1 % to 1 % is then as visible a gain as from 1 % to 10 %. A precision of 100 % is drawn at its
/// upper end.
///
/// # Errors
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::RankedScores;
/// use imbalance::plot::{Options, precision_recall};
///
/// let ranked = RankedScores::new(&[false, true, false, true], &[0.1, 0.2, 0.3, 0.9], None)?;
/// let curve = ranked.precision_recall_curve()?;
/// let picture = precision_recall(&[("my model", &curve)], &Options::default())?;
/// assert!(picture.svg().contains("Recall"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn precision_recall(
    models: &[(&str, &PrecisionRecallCurve)],
    options: &Options,
) -> Result<Picture> {
    ensure_models(models)?;
    let rate = models[0].1.base_rate;
    let y = match options.measure(rate) {
        Measure::Linear => Axis::shares("Precision"),
        measure => {
            let points = models.iter().flat_map(|(_, curve)| &curve.points);
            let values = points.map(|point| point.precision).chain([rate]);
            Axis::around("Precision, logit scale", measure, Unit::Percent, values)
        }
    };
    let whole = models.iter().flat_map(|(_, curve)| &curve.points).any(|p| p.precision > y.high);
    let chance = vec![(0.0, rate), (1.0, rate)];
    let mut marks = vec![Mark::Line { points: chance, stroke: Look::reference() }];
    for (model, (_, curve)) in models.iter().enumerate() {
        let points = steps(curve).map(|(recall, precision)| (recall, precision.min(y.high)));
        let points = points.collect();
        marks.push(Mark::Line { points, stroke: Look::of(model).stroke });
    }
    let keys = Key::models(models.iter().map(|(name, _)| *name));
    let legend = keys.chain([Key::line("base rate (chance)", Look::reference())]).collect();
    let title = options.title_or("Precision and recall");
    let panels = vec![Panel { title: None, x: Axis::shares("Recall"), y, marks }];
    let note = if whole { "A precision of 100 % lies at the upper end of the axis." } else { "" };
    Picture::new("precision-recall", Figure { title, panels, legend, note: note.into() })
}

/// The corners of the steps, from recall 0. A threshold that finds no more positives than the one above
/// makes no step.
fn steps(curve: &PrecisionRecallCurve) -> impl Iterator<Item = (f64, f64)> + '_ {
    let mut last = 0.0;
    let steps = curve.points.iter().filter_map(move |point| {
        let start = std::mem::replace(&mut last, point.recall);
        (start < point.recall)
            .then_some([(start, point.precision), (point.recall, point.precision)])
    });
    steps.flatten()
}
