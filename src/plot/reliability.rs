//! The reliability diagram.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::Look;
use super::{Options, Picture, Scale, ensure_models};
use crate::core::Result;
use crate::metrics::{CorpDecomposition, ReliabilityCurve, ReliabilityPoint};

/// Observed rate against predicted probability: a calibrated model follows the diagonal.
///
/// A marker for each bin, with the band of its confidence intervals; and as a line the
/// [`CorpDecomposition`] curve, the monotone map that would recalibrate the model, or, where it is `None`, the line
/// through the bins. Above the diagonal the model promises too little, below it too much. Hollow
/// markers lie beyond the axis: bins without positives, on a logit axis. Both axes of a panel are one, so
/// that the diagonal is one, and reach as far as any bin; further ends of bins and intervals may be cut.
///
/// Side by side stand a linear axis, on which lengths are differences of rates, and a logit axis, which
/// shows the many rows of low predictions; with [`Scale::Linear`] or [`Scale::Logit`] there is only the
/// one or the other.
///
/// # Errors
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::RankedScores;
/// use imbalance::plot::{Options, reliability};
///
/// let labels: Vec<bool> = (0..2000).map(|i| i % 100 == 0).collect();
/// let p: Vec<f64> = (0..2000).map(|i| 0.002 + f64::from(i % 97) / 6000.0).collect();
/// let ranked = RankedScores::new(&labels, &p, None)?;
/// let (curve, corp) = (ranked.reliability_curve(10, 0.95)?, ranked.corp()?);
/// let picture = reliability(&[("my model", &curve, Some(&corp))], &Options::default())?;
/// assert!(picture.svg().contains("my model"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn reliability(
    models: &[(&str, &ReliabilityCurve, Option<&CorpDecomposition>)],
    options: &Options,
) -> Result<Picture> {
    ensure_models(models)?;
    let measures: &[Measure] = match options.scale {
        Scale::Auto => &[Measure::Linear, Measure::Logit],
        Scale::Linear => &[Measure::Linear],
        Scale::Logit => &[Measure::Logit],
    };
    let panels: Vec<Panel> = measures.iter().map(|&measure| panel(models, measure)).collect();

    let mut legend: Vec<Key> = models
        .iter()
        .enumerate()
        .map(|(model, (name, _, _))| {
            let look = Look::of(model);
            Key { marker: Some(look), ..Key::line(name, look.stroke) }
        })
        .collect();
    legend.push(Key::line("calibrated", Look::reference()));
    let level = super::percent(models[0].1.level);
    let line = if models.iter().any(|(_, _, corp)| corp.is_some()) {
        "lines: monotone recalibration (CORP)"
    } else {
        "lines: through the bins"
    };
    let shown = |panel: &Panel, p: &ReliabilityPoint| {
        panel.x.place(p.bin.mean_predicted).1 && panel.y.place(p.bin.observed).1
    };
    let mut points = models.iter().flat_map(|(_, curve, _)| &curve.points);
    let beyond = if points.any(|point| panels.iter().any(|panel| !shown(panel, point))) {
        "; hollow: at 0 or 100 %, beyond the axis"
    } else {
        ""
    };
    let note = format!("Markers: bins; shaded: their {level} % intervals; {line}{beyond}.");
    let title = options.title_or("Reliability: observed rate by predicted probability");
    Picture::new("reliability", Figure { title, panels, legend, note })
}

/// The diagram on axes of that measure.
fn panel(
    models: &[(&str, &ReliabilityCurve, Option<&CorpDecomposition>)],
    measure: Measure,
) -> Panel {
    let points = || models.iter().flat_map(|(_, curve, _)| &curve.points);
    // The axes hold all bins; of what reaches further, at most a factor of 10 is shown.
    let places = points().flat_map(|point| [point.bin.mean_predicted, point.bin.observed]);
    let (least, most) = places
        .clone()
        .filter(|&place| place > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), place| (low.min(place), high.max(place)));
    let further = points().flat_map(|point| {
        [point.observed_lower, point.observed_upper, point.bin.lower, point.bin.upper]
    });
    // Where nothing is above 0 there is no place to measure from, and nothing to cut.
    let further = further.filter(|&place| place > 0.0 && least <= most).map(|place| {
        let top = if measure == Measure::Linear { 1.2 * most } else { 1.0 - 0.1 * (1.0 - most) };
        place.clamp(0.1 * least, top.clamp(most, (10.0 * most).max(0.1 * least)))
    });
    let shown: Vec<f64> = places.chain(further).collect();
    let axis = |label: &str| Axis::around(label, measure, Unit::Percent, shown.iter().copied());
    let (x, y) = if measure == Measure::Linear {
        (axis("Predicted probability"), axis("Observed rate"))
    } else {
        (axis("Predicted probability, logit scale"), axis("Observed rate, logit scale"))
    };

    let diagonal =
        Mark::Line { points: vec![(x.low, x.low), (x.high, x.high)], stroke: Look::reference() };
    let mut marks = Vec::new();
    for (model, (_, curve, _)) in models.iter().enumerate() {
        let edges = curve.points.iter();
        let edges = edges.map(|p| (p.bin.mean_predicted, p.observed_lower, p.observed_upper));
        let (edges, colour) = (edges.collect::<Vec<_>>(), Look::of(model).colour());
        marks.push(if edges.len() > 1 {
            Mark::Band { edges, colour }
        } else {
            Mark::Whiskers { intervals: edges, colour }
        });
    }
    marks.push(diagonal);
    for (model, (_, curve, corp)) in models.iter().enumerate() {
        let look = Look::of(model);
        let bins = curve.points.iter().map(|p| (p.bin.mean_predicted, p.bin.observed));
        let bins: Vec<_> = bins.collect();
        let steps = corp.map(|corp| {
            let blocks = corp.blocks.iter();
            blocks.flat_map(|b| [(b.lower, b.observed), (b.upper, b.observed)]).collect()
        });
        marks.push(Mark::Line {
            points: steps.unwrap_or_else(|| bins.clone()),
            stroke: look.stroke,
        });
        marks.push(Mark::Dots { points: bins, look });
    }
    Panel { title: None, x, y, marks }
}
