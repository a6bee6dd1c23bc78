//! An order of rows in which rows that lie together follow each other.

use ndarray::ArrayView2;

use super::Metric;
use crate::core::{Meter, Scalar};
use crate::exec::parallel;

/// With more rows, the two halves of a split are split in parallel.
const FORK: usize = 1 << 12;

/// Rows whose range tells which column spreads most.
const SAMPLE: usize = 256;

/// The indices of some rows, leaf after leaf of `LANES` rows, `LANES` leaves to a node.
pub(super) fn arranged<F: Scalar, const LANES: usize>(
    x: &ArrayView2<'_, F>,
    rows: &[usize],
    metric: &Metric,
    meter: &Meter<'_>,
) -> Vec<usize> {
    let mut places: Vec<usize> = (0..rows.len()).collect();
    arrange::<F, LANES>(x, rows, metric, &mut places, meter);
    places
}

/// Halves the leaves, as nearly as whole nodes allow, with the lower values of the column that spreads
/// most in the first ones, and goes on in both parts. Equal values are ordered by index, so
/// that equal points come in the order of their rows and later nodes can be skipped.
fn arrange<F: Scalar, const LANES: usize>(
    x: &ArrayView2<'_, F>,
    rows: &[usize],
    metric: &Metric,
    places: &mut [usize],
    meter: &Meter<'_>,
) {
    let leaves = places.len().div_ceil(LANES);
    let fork = places.len() > FORK;
    if leaves <= 1 || (fork && !meter.goes_on(0)) {
        return;
    }
    // The leaves of a full node of the level that is to be split.
    let mut full = 1;
    while full * LANES < leaves {
        full *= LANES;
    }
    let cut = leaves.div_ceil(full) / 2 * full * LANES;
    let mut limits = vec![(f64::INFINITY, f64::NEG_INFINITY); x.ncols()];
    for &place in places.iter().step_by(places.len().div_ceil(SAMPLE)) {
        for ((low, high), value) in limits.iter_mut().zip(x.row(rows[place])) {
            *low = low.min(value.to_f64());
            *high = high.max(value.to_f64());
        }
    }
    let spread = |column: usize| metric.term(column, limits[column].0, limits[column].1);
    if let Some(column) = (0..x.ncols()).max_by(|&a, &b| spread(a).total_cmp(&spread(b))) {
        // A copy of the column: looked up in the rows, each comparison would wait for memory.
        let mut keys: Vec<(f64, usize)> =
            places.iter().map(|&place| (x[[rows[place], column]].to_f64(), place)).collect();
        keys.select_nth_unstable_by(cut, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        places.iter_mut().zip(keys).for_each(|(out, (_, place))| *out = place);
    }
    let (left, right) = places.split_at_mut(cut);
    parallel::join(
        fork,
        || arrange::<F, LANES>(x, rows, metric, left, meter),
        || arrange::<F, LANES>(x, rows, metric, right, meter),
    );
}
