//! The precision–recall curve.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Look, Mark, Panel};
use super::{Options, Picture, need_models};
use crate::Result;
use crate::metrics::PrecisionRecallCurve;

/// Precision against recall, for every threshold.
///
/// The base rate is the precision of chance. Where it is below [`RARE`](super::RARE), precision is on
/// a logit axis: from 0.1 % to 1 % is then as visible a gain as from 1 % to 10 %.
///
/// # Errors
///
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::Ranked;
/// use imbalance::plot::{Options, precision_recall};
///
/// let ranked = Ranked::new(&[false, true, false, true], &[0.1, 0.2, 0.3, 0.9], None)?;
/// let curve = ranked.precision_recall_curve()?;
/// let picture = precision_recall(&[("my model", &curve)], &Options::default())?;
/// assert!(picture.svg().contains("Recall"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn precision_recall(
    models: &[(&str, &PrecisionRecallCurve)],
    options: &Options,
) -> Result<Picture> {
    need_models(models)?;
    let rate = models[0].1.base_rate;
    let y = match options.measure(rate) {
        Measure::Linear => Axis::shares("Precision"),
        measure => {
            let points = models.iter().flat_map(|(_, curve)| &curve.points);
            let values = points.map(|point| point.precision).chain([rate]);
            Axis::around("Precision, logit scale", measure, Unit::Percent, values)
        }
    };
    let chance = vec![(0.0, rate), (1.0, rate)];
    let mut marks = vec![Mark::Line { points: chance, stroke: Look::reference() }];
    for (model, (_, curve)) in models.iter().enumerate() {
        let points = curve.points.iter().map(|p| (p.recall, p.precision)).collect();
        marks.push(Mark::Line { points, stroke: Look::of(model).stroke });
    }
    let keys = models.iter().enumerate().map(|(model, (name, _))| Key::model(name, model));
    let legend = keys.chain([Key::line("base rate (chance)", Look::reference())]).collect();
    let title = options.title_or("Precision and recall");
    let panels = vec![Panel { title: None, x: Axis::shares("Recall"), y, marks }];
    Picture::new("precision-recall", Figure { title, panels, legend, note: String::new() })
}
