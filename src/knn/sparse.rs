//! Blocked products for sparse rows.

use sprs::CsMatView;

use super::{Goal, Neighbour, insert};
use crate::core::{Meter, Scalar, sparse_row, sparse_union};
use crate::exec::parallel;

/// Queries in a block: their products with a point fit in a few cache lines.
const QUERIES: usize = 32;

/// Points that a block is compared with before it asks whether to go on.
const POINTS: usize = 1 << 12;

/// The columns that the queries of a block store: a hash table with linear probing, nearly empty, so that few columns collide. Its size
/// depends on what is stored, not on the number of columns.
struct Columns {
    /// Places in `values`, or [`FREE`](Self::FREE).
    slots: Vec<u32>,
    shift: u32,
    /// Each column, and its value in each query.
    values: Vec<(usize, [f64; QUERIES])>,
}

impl Columns {
    const FREE: u32 = u32::MAX;

    fn new(stored: usize) -> Self {
        let bits = (16 * stored + 16).next_power_of_two().trailing_zeros();
        Self { slots: vec![Self::FREE; 1 << bits], shift: 64 - bits, values: Vec::new() }
    }

    /// The slot of a column: it is free if no query stores the column.
    fn slot(&self, column: usize) -> usize {
        // Fibonacci hashing: 2⁶⁴ over the golden ratio spreads neighbouring columns.
        let mut slot = ((column as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize;
        while self.slots[slot] != Self::FREE && self.values[self.slots[slot] as usize].0 != column {
            slot = (slot + 1) % self.slots.len();
        }
        slot
    }

    fn get(&self, column: usize) -> Option<&[f64; QUERIES]> {
        let place = self.slots[self.slot(column)];
        (place != Self::FREE).then(|| &self.values[place as usize].1)
    }

    fn insert(&mut self, column: usize, query: usize, value: f64) {
        let slot = self.slot(column);
        if self.slots[slot] == Self::FREE {
            self.slots[slot] = self.values.len() as u32;
            self.values.push((column, [0.0; QUERIES]));
        }
        self.values[self.slots[slot] as usize].1[query] = value;
    }
}

/// The queries of a block, column by column, so that a point is multiplied with all of them at once
/// and the points are read in place.
///
/// A product decides only whether a point is measured: with u = 2⁻⁵³ and s columns stored in
/// both rows together, ‖a‖² + ‖b‖² − 2a·b and the distance itself, as computed, are off by no more than
/// 4(s + 8)u(‖a‖² + ‖b‖²) together. Only a point that is beyond the bound by more than that is skipped.
pub(super) fn search<F: Scalar>(
    x: &CsMatView<'_, F>,
    points: &[usize],
    queries: &[usize],
    (goal, k): (Goal, usize),
    found: &mut [Neighbour],
    meter: &Meter<'_>,
) {
    parallel::map_into(found, k, QUERIES, |_, range, found| {
        let queries = &queries[range];
        let all = queries.iter().map(|&query| sparse_row(x, query).0.len());
        let mut columns = Columns::new(all.clone().sum());
        let stored = all.max().unwrap_or(0);
        let mut norms = [0.0; QUERIES];
        for (lane, &query) in queries.iter().enumerate() {
            let (indices, values) = sparse_row(x, query);
            for (&column, value) in indices.iter().zip(values) {
                let value = value.to_f64();
                columns.insert(column, lane, value);
                norms[lane] += value * value;
            }
        }
        for points in points.chunks(POINTS) {
            if !meter.goes_on(queries.len() * points.len()) {
                return;
            }
            for &row in points {
                let (indices, values) = sparse_row(x, row);
                let mut norm = 0.0;
                let mut products = [0.0; QUERIES];
                for (&column, value) in indices.iter().zip(values) {
                    let value = value.to_f64();
                    norm += value * value;
                    if let Some(column) = columns.get(column) {
                        for (product, q) in products.iter_mut().zip(column) {
                            *product += value * q;
                        }
                    }
                }
                let error = 4.0 * (stored + indices.len() + 8) as f64 * f64::EPSILON / 2.0;
                for (lane, (&query, best)) in
                    queries.iter().zip(found.chunks_exact_mut(k)).enumerate()
                {
                    let norms = norms[lane] + norm;
                    // Squares below the normal numbers lose up to 2⁻¹⁰⁷⁴ each.
                    let least = norms - 2.0 * products[lane] - error * norms - f64::MIN_POSITIVE;
                    // Not `<=`: a NaN, from numbers too large, rules nothing out.
                    let ruled_out = least > best[k - 1].squared_distance;
                    let nearest = Neighbour { squared_distance: 0.0, row };
                    if !ruled_out && nearest.before(&best[k - 1]) && row != query {
                        insert(
                            goal,
                            best,
                            Neighbour { squared_distance: squared_distance(x, query, row), row },
                        );
                    }
                }
            }
        }
    });
}

/// The squared Euclidean distance of two rows.
pub(super) fn squared_distance<F: Scalar>(x: &CsMatView<'_, F>, a: usize, b: usize) -> f64 {
    sparse_union(sparse_row(x, a), sparse_row(x, b)).fold(0.0, |sum, (_, a, b)| {
        let gap = a.to_f64() - b.to_f64();
        sum + gap * gap
    })
}
