//! Predicted over observed by slice.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::Look;
use super::{Options, Picture, ensure_models};
use crate::core::Result;
use crate::metrics::Slice;

/// Slices whose names fit below an axis.
const NAMED: usize = 40;

/// Predicted over observed for each slice (the values of an attribute, or the periods of time), on a
/// logarithmic axis: twice as much and half as much are equally far from 1.
///
/// The bars are the slices' intervals of the observed rate. Slices stand in their order, by number. Hollow
/// markers lie beyond the axis: slices without positives at the upper end, slices with a prediction of 0 at
/// the lower end. `by` is the name of the attribute or of the time. There is no axis of probabilities, so
/// [`Options::scale`] is the scale of the ratio: linear only for [`Scale::Linear`](super::Scale::Linear).
///
/// # Errors
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::slices_by_period;
/// use imbalance::plot::{Options, slices};
///
/// let times = [10.0, 90_000.0, 86_399.0];
/// let days = slices_by_period(&times, 86_400.0, &[true, true, false], &[0.5, 0.1, 0.2], None)?;
/// let picture = slices("day", &[("my model", &days)], &Options::default())?;
/// assert!(picture.svg().contains("Predicted / observed"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn slices(by: &str, models: &[(&str, &[Slice])], options: &Options) -> Result<Picture> {
    ensure_models(models)?;
    let measure =
        if options.scale == super::Scale::Linear { Measure::Linear } else { Measure::Log };
    let count = models.iter().map(|(_, slices)| slices.len()).max().unwrap_or(0);
    // +∞ where positives are promised and none came; 0 / 0 is no ratio.
    let ends = |slice: &Slice| {
        let promised = slice.mean_predicted;
        let over = |observed: f64| if promised == 0.0 { 0.0 } else { promised / observed };
        (promised > 0.0 || slice.base_rate > 0.0)
            .then(|| [slice.observed_upper, slice.base_rate, slice.observed_lower].map(over))
            .map(|[low, ratio, high]| (low, ratio, high))
    };
    let all = models.iter().flat_map(|(_, slices)| slices.iter()).filter_map(ends);
    let all: Vec<_> = all.collect();
    // The axis holds all ratios; of the intervals, at most a factor of 10 beyond.
    let ratios = || all.iter().map(|&(_, ratio, _)| ratio).chain([1.0]);
    let within = |ratio: &f64| *ratio > 0.0 && ratio.is_finite();
    let (least, most) = ratios()
        .filter(within)
        .fold((1.0_f64, 1.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    let further = all.iter().flat_map(|&(low, _, high)| [low, high]);
    let further = further.map(|end| end.clamp(0.1 * least, 10.0 * most));
    let values = ratios().chain(further);
    let y = Axis::around("Predicted / observed", measure, Unit::Plain, values);
    let last = count.max(1) as f64;
    let mut x = Axis::new(by, Measure::Linear, Unit::Plain, 0.4, last + 0.6);
    let longest = models.iter().max_by_key(|(_, slices)| slices.len());
    let named = count <= NAMED;
    x.ticks = longest
        .iter()
        .flat_map(|(_, slices)| slices.iter().enumerate())
        .map(|(place, slice)| {
            let number = place + 1;
            (number as f64, if named { shortened(&slice.name) } else { number.to_string() })
        })
        .collect();
    let calibrated = vec![(x.low, 1.0), (x.high, 1.0)];
    let mut marks = vec![Mark::Line { points: calibrated, stroke: Look::reference() }];
    for (model, (_, slices)) in models.iter().enumerate() {
        let look = Look::of(model);
        // Models stand side by side.
        let shift = 0.6 * ((model as f64 + 0.5) / models.len() as f64 - 0.5);
        let places = slices.iter().enumerate();
        let shown: Vec<_> = places
            .filter_map(|(place, slice)| Some((1.0 + place as f64 + shift, ends(slice)?)))
            .collect();
        let intervals = shown.iter().map(|&(x, (low, _, high))| (x, low, high)).collect();
        let points = shown.iter().map(|&(x, (_, ratio, _))| (x, ratio)).collect();
        marks.push(Mark::Whiskers { intervals, colour: look.colour() });
        marks.push(Mark::Dots { points, look });
    }
    let names = models.iter().enumerate();
    let keys = names.map(|(model, (name, _))| Key::dots(name, Look::of(model)));
    let legend = keys.chain([Key::line("calibrated", Look::reference())]).collect();
    let title = options.title_or(&format!("Predicted / observed by {by}"));
    let level = models.iter().flat_map(|(_, slices)| slices.iter()).map(|slice| slice.level).next();
    let level = super::percent(level.unwrap_or(0.95));
    let beyond = if all.iter().any(|&(_, ratio, _)| !y.place(ratio).1) {
        " Hollow: none came (above) or none was promised (below), beyond the axis."
    } else {
        ""
    };
    let note = format!("Bars: {level} % intervals of the observed rate.{beyond}");
    let panels = vec![Panel { title: None, x, y, marks }];
    Picture::new("slices", Figure { title, panels, legend, note })
}

/// A name short enough for an axis.
fn shortened(name: &str) -> String {
    let name = super::figure::plain(name);
    if name.chars().count() <= 12 { name } else { name.chars().take(11).chain(['…']).collect() }
}
