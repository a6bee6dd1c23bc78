//! Rows in two of their columns.

use super::axis::{Axis, Measure, Unit};
use super::figure::{Figure, Key, Mark, Panel};
use super::look::Look;
use super::{Options, Picture, ensure_models};
use crate::core::{Dataset, Error, Result};

/// The rows of one or several data sets in two of their columns, a dot for each: what a sampler did to
/// them, side by side on the same axes. For hundreds of rows; of many more, the dots cover each other.
///
/// # Errors
/// The [errors common to all pictures](super#errors), or [`Error::InvalidArgument`] for a column that a data
/// set does not have, or whose values are as far apart as the largest number.
///
/// ```
/// use imbalance::plot::{Options, rows};
/// use imbalance::prelude::*;
///
/// let log = SyntheticClicks::new(300, 0.1)?.numeric(2).categorical(&[]).generate(7)?;
/// let before = &log.dataset;
/// let after = RandomUnderSampler::default().resample(before, &Run::seeded(7))?.apply(before)?;
/// let picture = rows(&[("before", before), ("after", &after)], [0, 1], &Options::default())?;
/// assert!(picture.svg().contains("after"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn rows(
    samples: &[(&str, &Dataset<'_>)],
    columns: [usize; 2],
    options: &Options,
) -> Result<Picture> {
    ensure_models(samples)?;
    for (name, data) in samples {
        if let Some(column) = columns.into_iter().find(|&column| column >= data.columns()) {
            let expected = format!("below the {} columns of `{name}`", data.columns());
            return Err(Error::invalid("columns", column, expected));
        }
    }
    let points: Vec<_> = samples
        .iter()
        .map(|(_, data)| (0..data.rows()).map(|row| columns.map(|c| entry(data, row, c))))
        .map(Iterator::collect::<Vec<[f64; 2]>>)
        .collect();
    let axis = |which: usize| {
        let values = points.iter().flatten().map(|point| point[which]);
        let (low, high) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        // A single value has an axis too, and so have values that differ by less than ticks can.
        let spread = high - low;
        let pad = if spread > 1e-300 { 0.04 * spread } else { 1.0 };
        let label = format!("Column {}", columns[which]);
        let axis = Axis::new(&label, Measure::Linear, Unit::Plain, low - pad, high + pad);
        if (axis.high - axis.low).is_finite() { Ok(axis) } else { Err(too_far(columns[which])) }
    };
    let (x, y) = (axis(0)?, axis(1)?);
    let looks = [false, true].map(|class| Look::of(usize::from(class)));
    let panels = samples.iter().zip(&points).map(|((name, data), points)| {
        // Positives above negatives.
        let marks = [false, true].map(|class| {
            let rows = points.iter().zip(data.labels()).filter(|(_, label)| **label == class);
            let points = rows.map(|(&[x, y], _)| (x, y)).collect();
            Mark::Dots { points, look: looks[usize::from(class)] }
        });
        let totals = data.totals();
        let title = format!("{name}: {} of {} positive", totals.positives, totals.rows());
        Panel { title: Some(title), x: x.clone(), y: y.clone(), marks: marks.into() }
    });
    let panels = panels.collect();
    let legend = vec![Key::dots("positives", looks[1]), Key::dots("negatives", looks[0])];
    let title = options.title_or("Rows in two columns");
    Picture::new("rows", Figure { title, panels, legend, note: String::new() })
}

fn too_far(column: usize) -> Error {
    Error::invalid("columns", column, "of values that are not as far apart as the largest number")
}

fn entry(data: &Dataset<'_>, row: usize, column: usize) -> f64 {
    data.features().row(row).get(column)
}
