//! Predicted and observed rates by decile.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Look, Mark, Panel};
use super::{Options, Picture, Scale, need_models};
use crate::Result;
use crate::metrics::DecileTable;

/// Bars of the observed rate and markers of the mean prediction in each group of a [`DecileTable`], the
/// highest predictions first; a panel for each model.
///
/// The height of a bar can be compared only on a linear axis, so that is the scale unless
/// [`Scale::Logit`] asks for the other.
///
/// # Errors
///
/// The [errors common to all pictures](super#errors).
///
/// ```
/// use imbalance::metrics::Ranked;
/// use imbalance::plot::{Options, deciles};
///
/// let labels: Vec<bool> = (0..100).map(|i| i >= 95).collect();
/// let p: Vec<f64> = (0..100).map(|i| f64::from(i) / 1000.0).collect();
/// let table = Ranked::new(&labels, &p, None)?.deciles(10)?;
/// let picture = deciles(&[("my model", &table)], &Options::default())?;
/// assert!(picture.svg().contains("my model"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn deciles(models: &[(&str, &DecileTable)], options: &Options) -> Result<Picture> {
    need_models(models)?;
    let measure = if options.scale == Scale::Logit { Measure::Logit } else { Measure::Linear };
    let (observed, predicted) = (Look::of(0), Look::of(1));
    let panels = models.iter().map(|(name, table)| {
        let groups = || table.groups.iter().enumerate().map(|(k, group)| (1.0 + k as f64, group));
        let rates = groups().flat_map(|(_, group)| [group.bin.observed, group.bin.mean_predicted]);
        let last = table.groups.len() as f64;
        let label = "Group, highest predictions first";
        let mut x = Axis::new(label, Measure::Linear, Unit::Plain, 0.4, last + 0.6);
        x.ticks.retain(|(value, _)| value.fract() == 0.0);
        let bars = groups().map(|(k, group)| (k - 0.4, k + 0.4, group.bin.observed)).collect();
        let dots = groups().map(|(k, group)| (k, group.bin.mean_predicted)).collect();
        let marks = vec![
            Mark::Bars { bars, colour: observed.stroke.colour },
            Mark::Dots { points: dots, marker: predicted.marker, colour: predicted.stroke.colour },
        ];
        Panel {
            title: Some((*name).into()),
            x,
            y: Axis::around("Rate", measure, Unit::Percent, rates),
            marks,
        }
    });
    let panels = panels.collect();
    let legend = vec![
        Key::area("observed rate", observed.stroke.colour),
        Key::dots("mean predicted probability", predicted.marker, predicted.stroke.colour),
    ];
    let title = options.title_or("Observed and predicted rate by decile of the predictions");
    Picture::new("decile", Figure { title, panels, legend, note: String::new() })
}
