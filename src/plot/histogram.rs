//! The histogram of the predictions of each class.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::{Look, Stroke};
use super::{Options, Picture, Scale, ensure_models};
use crate::core::Result;
use crate::metrics::{ProbabilityScale, ScoreHistogram};

/// Where the predictions of the positives and of the negatives lie; a panel for each model.
///
/// Each class is drawn as shares of its own rows, as a tenth of a percent of all rows would be
/// invisible. The axis of probabilities has the scale of the first histogram unless [`Options::scale`]
/// names another.
///
/// # Errors
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::{ProbabilityScale, RankedScores};
/// use imbalance::plot::{Options, histogram};
///
/// let ranked = RankedScores::new(&[false, true, false, true], &[0.1, 0.2, 0.3, 0.9], None)?;
/// let histogram_of_scores = ranked.score_histogram(20, ProbabilityScale::Logit)?;
/// let picture = histogram(&[("my model", &histogram_of_scores)], &Options::default())?;
/// assert!(picture.svg().contains("positives"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn histogram(models: &[(&str, &ScoreHistogram)], options: &Options) -> Result<Picture> {
    ensure_models(models)?;
    // Dashes would hide the narrow bars of few positives.
    let solid = |look: Look| Look { stroke: Stroke { dash: None, ..look.stroke }, ..look };
    let looks = [Look::of(0), Look::of(1)].map(solid);
    let measure = match (options.scale, models[0].1.scale) {
        (Scale::Linear, _) | (Scale::Auto, ProbabilityScale::Linear) => Measure::Linear,
        (Scale::Logit, _) | (Scale::Auto, _) => Measure::Logit,
    };
    // One axis for all models: a model that promises more lies further right.
    let edges = models.iter().flat_map(|(_, histogram)| &histogram.edges).copied();
    let x = Axis::around("Predicted probability", measure, Unit::Percent, edges);
    let panels = models.iter().map(|(name, histogram)| {
        let classes = [&histogram.negatives, &histogram.positives].map(|weights| {
            let total: f64 = weights.iter().sum();
            let share = |weight: &f64| if total > 0.0 { weight / total } else { 0.0 };
            weights.iter().map(share).collect::<Vec<f64>>()
        });
        let shares = classes.iter().flatten().copied();
        let y = Axis::around("Share of the class", Measure::Linear, Unit::Percent, shares);
        let mut marks = Vec::new();
        for (class, look) in classes.iter().zip(looks) {
            let bars = histogram.edges.windows(2).zip(class);
            let steps = bars.flat_map(|(ends, &share)| [(ends[0], share), (ends[1], share)]);
            let steps: Vec<(f64, f64)> = steps.collect();
            let edges = steps.iter().map(|&(p, share)| (p, 0.0, share)).collect();
            marks.push(Mark::Band { edges, colour: look.colour() });
            let down = |end: Option<&(f64, f64)>| end.map(|&(p, _)| (p, 0.0));
            let (first, last) = (down(steps.first()), down(steps.last()));
            let outline = first.into_iter().chain(steps).chain(last).collect();
            marks.push(Mark::Line { points: outline, stroke: look.stroke });
        }
        Panel { title: Some((*name).into()), x: x.clone(), y, marks }
    });
    let panels = panels.collect();
    let legend = ["negatives", "positives"]
        .into_iter()
        .zip(looks)
        .map(|(name, look)| Key { area: Some(look.colour()), ..Key::line(name, look.stroke) });
    let legend = legend.collect();
    let title = options.title_or("Predicted probabilities of positives and negatives");
    let note = if measure == Measure::Logit {
        "Probabilities of exactly 0 and 1 are counted in the outermost bars."
    } else {
        ""
    };
    Picture::new("histogram", Figure { title, panels, legend, note: note.into() })
}
