//! Predicted and observed rates by decile.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::Look;
use super::{Options, Picture, ensure_models};
use crate::core::Result;
use crate::metrics::{Decile, DecileTable};

/// The observed rate and the mean prediction in each group of a [`DecileTable`], the highest predictions
/// first; a panel for each model.
///
/// Where the base rate is below [`RARE`](super::RARE) the rates are on a logit axis, on which the lower
/// groups show too. The height of a bar can be compared only from 0, so there the observed rates are
/// markers, and on a linear axis bars. Hollow markers are groups without positives, beyond the axis.
///
/// # Errors
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::RankedScores;
/// use imbalance::plot::{Options, deciles};
///
/// let labels: Vec<bool> = (0..100).map(|i| i >= 95).collect();
/// let p: Vec<f64> = (0..100).map(|i| f64::from(i) / 1000.0).collect();
/// let table = RankedScores::new(&labels, &p, None)?.deciles(10)?;
/// let picture = deciles(&[("my model", &table)], &Options::default())?;
/// assert!(picture.svg().contains("my model"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn deciles(models: &[(&str, &DecileTable)], options: &Options) -> Result<Picture> {
    ensure_models(models)?;
    let (mut weight, mut positives) = (0.0, 0.0);
    for group in models.iter().flat_map(|(_, table)| &table.groups) {
        weight += group.bin.weight;
        positives += group.positives;
    }
    let measure = options.measure(positives / weight);
    let (observed, predicted) = (Look::of(0), Look::of(1));
    let panels = models.iter().map(|(name, table)| {
        let groups = || table.groups.iter().enumerate().map(|(k, group)| (1.0 + k as f64, group));
        let all = groups().flat_map(|(_, group)| [group.bin.observed, group.bin.mean_predicted]);
        let y = Axis::around("Rate", measure, Unit::Percent, all);
        let last = table.groups.len() as f64;
        let label = "Group, highest predictions first";
        let mut x = Axis::new(label, Measure::Linear, Unit::Plain, 0.4, last + 0.6);
        x.ticks.retain(|(value, _)| value.fract() == 0.0);
        let bars = groups().map(|(k, group)| (k - 0.4, k + 0.4, group.bin.observed)).collect();
        let points = |of: fn(&Decile) -> f64| groups().map(|(k, group)| (k, of(group))).collect();
        let rates = points(|group| group.bin.observed);
        let predictions = points(|group| group.bin.mean_predicted);
        let marks = vec![
            if measure == Measure::Linear {
                Mark::Bars { bars, colour: observed.colour() }
            } else {
                Mark::Dots { points: rates, look: observed }
            },
            Mark::Dots { points: predictions, look: predicted },
        ];
        Panel { title: Some((*name).into()), x, y, marks }
    });
    let panels = panels.collect();
    let legend = vec![
        if measure == Measure::Linear {
            Key::area("observed rate", observed.colour())
        } else {
            Key::dots("observed rate", observed)
        },
        Key::dots("mean predicted probability", predicted),
    ];
    let title = options.title_or("Observed and predicted rate by decile of the predictions");
    Picture::new("decile", Figure { title, panels, legend, note: String::new() })
}
