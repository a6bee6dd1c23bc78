//! Blocked products for sparse rows.

use sprs::CsMatView;

use super::{Best, Place};
use crate::core::{Scalar, sparse_row, sparse_union};
use crate::exec::parallel;

/// Queries in a block: their products with a point fit in a few cache lines.
const QUERIES: usize = 32;

/// Marks a column that is zero in every query of the block.
const ABSENT: u32 = u32::MAX;

/// The queries of a block, column by column, so that a point is multiplied with all of them at once
/// and the points are read in place.
///
/// A product decides only whether a point is measured: with u = 2⁻⁵³ and s columns stored in
/// both rows together, ‖a‖² + ‖b‖² − 2a·b and the distance itself, as computed, are off by no more than
/// 4(s + 8)u(‖a‖² + ‖b‖²) together. Only a point that is beyond the bound by more than that is skipped.
pub(crate) fn search<F: Scalar>(
    x: &CsMatView<'_, F>,
    points: &[usize],
    queries: &[usize],
    found: &mut [Best],
) {
    parallel::map_into(found, 1, QUERIES, |_, range, found| {
        let queries = &queries[range];
        let mut place = vec![ABSENT; x.cols()];
        let mut columns: Vec<[f64; QUERIES]> = Vec::new();
        let mut norms = [0.0; QUERIES];
        let mut stored = 0;
        for (lane, &query) in queries.iter().enumerate() {
            let (indices, values) = sparse_row(x, query);
            stored = stored.max(indices.len());
            for (&column, value) in indices.iter().zip(values) {
                if place[column] == ABSENT {
                    place[column] = columns.len() as u32;
                    columns.push([0.0; QUERIES]);
                }
                let value = value.to_f64();
                columns[place[column] as usize][lane] = value;
                norms[lane] += value * value;
            }
        }
        for &row in points {
            let (indices, values) = sparse_row(x, row);
            let mut norm = 0.0;
            let mut products = [0.0; QUERIES];
            for (&column, value) in indices.iter().zip(values) {
                let value = value.to_f64();
                norm += value * value;
                if place[column] != ABSENT {
                    let column = &columns[place[column] as usize];
                    for (product, q) in products.iter_mut().zip(column) {
                        *product += value * q;
                    }
                }
            }
            let error = 4.0 * (stored + indices.len() + 8) as f64 * f64::EPSILON / 2.0;
            for (lane, (&query, best)) in queries.iter().zip(found.iter_mut()).enumerate() {
                let norms = norms[lane] + norm;
                // Squares below the normal numbers lose up to 2⁻¹⁰⁷⁴ each.
                let least = norms - 2.0 * products[lane] - error * norms - f64::MIN_POSITIVE;
                // Not `<=`: a NaN, from numbers too large, rules nothing out.
                let ruled_out = least > best.bound.distance;
                if !ruled_out && best.admits(row) && row != query {
                    best.offer(Place { distance: distance(x, query, row), row });
                }
            }
        }
    });
}

/// The squared Euclidean distance of two rows.
fn distance<F: Scalar>(x: &CsMatView<'_, F>, a: usize, b: usize) -> f64 {
    sparse_union(sparse_row(x, a), sparse_row(x, b)).fold(0.0, |sum, (_, a, b)| {
        let gap = a.to_f64() - b.to_f64();
        sum + gap * gap
    })
}
