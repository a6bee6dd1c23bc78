//! How rows are rounded to `f32`, and why bounds from the rounded rows are safe.

use ndarray::ArrayView2;

use crate::core::{Meter, Result, Run, Scalar};
use crate::exec::parallel::{self, BLOCK};

/// Points nearest to the mean that are kept.
const CENTRAL: usize = 1 << 14;

/// Unit roundoff of `f32`.
const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// Rows are shifted by `centre`, so that ‖a‖² + ‖b‖² − 2a·b cancels less, scaled by a power of two to
/// norms of about 1 and rounded to `f32`.
///
/// **Why the result is exact.** A bound only decides whether a distance is measured, and it errs on the
/// safe side. With a, b the rounded rows of a query and a point in K columns, A = ‖a‖², B = ‖b‖²,
/// u = 2⁻²⁴ and γ = (K + 1)u/(1 − (K + 1)u) ≤ 1.07(K + 1)u (K < 2²⁰; Higham 2002, *Accuracy and Stability*,
/// §3.1):
///
/// * rounding the rows moves the squared distance by no more than 4.1u(A + B), because by the triangle
///   inequality it moves the distance by u(‖a‖ + ‖b‖) at most;
/// * m = B(1 − ε) rounded, and v = m − 2a·b as computed, are off by no more than γ(m + 2‖a‖‖b‖) ≤ γ(2B + A),
///   in whatever order the product is added up, with or without fused operations;
/// * the `f64` distance itself is off by a few 2⁻⁵³ of it, and where squares underflow, by up to 2⁻¹⁰⁷⁵
///   for each column besides, which is added to D before it is scaled;
/// * D(1 + 8u) − (1 − ε)A, computed in `f32`, is off by no more than 3u((1 − ε)A) below D − (1 − ε)A.
///
/// So with ε = 3(K + 10)u, v > D(1 + 8u) − (1 − ε)A implies a distance above D. A point is skipped only
/// then, with D the scaled distance of the current k-th neighbour.
///
/// The squared gap of two boxes of rounded rows, summed in `f32`, is no more than (K + 3)u of itself above the
/// squared distance of any two of their rows, which is at most 2(A + B). With 4.1u(A + B) from rounding the rows
/// this stays below ε(A + B), their slack. So a gap, less the slack, above D(1 + 8u) implies a distance above D.
/// A row is a box, too.
#[derive(Debug)]
pub(super) struct Rounding {
    centre: Vec<f64>,
    scale: f64,
    pub(super) epsilon: f64,
}

impl Rounding {
    /// Also returns up to [`CENTRAL`] points, those nearest to the mean, the nearest first.
    pub(super) fn new<F: Scalar>(
        x: &ArrayView2<'_, F>,
        points: &[usize],
        run: &Run,
    ) -> Result<(Self, Vec<usize>)> {
        let columns = x.ncols();
        let meter = Meter::new(run, "neighbour index", "rows", 2 * points.len());
        let sums =
            parallel::map(points.len(), parallel::sum_block(points.len(), columns), |_, range| {
                let mut sum = vec![0.0; columns];
                if !meter.goes_on(range.len()) {
                    return sum;
                }
                for &row in &points[range] {
                    sum.iter_mut().zip(x.row(row)).for_each(|(sum, value)| *sum += value.to_f64());
                }
                sum
            });
        let mut centre = parallel::merge(sums);
        centre.iter_mut().for_each(|sum| *sum /= points.len() as f64);
        let mut norms = vec![(0.0_f64, 0); points.len()];
        parallel::map_into(&mut norms, 1, BLOCK, |_, range, norms| {
            if !meter.goes_on(range.len()) {
                return;
            }
            for (out, &row) in norms.iter_mut().zip(&points[range]) {
                let gaps = x.row(row).into_iter().zip(&centre).map(|(v, c)| v.to_f64() - c);
                *out = (gaps.map(|gap| gap * gap).sum(), row);
            }
        });
        meter.finish()?;
        let largest = norms.iter().fold(0.0, |largest: f64, norm| largest.max(norm.0)).sqrt();
        // A power of two scales without rounding.
        let scale = if largest > 0.0 { (-largest.log2().ceil()).exp2() } else { 1.0 };
        let scale = if scale.is_normal() { scale } else { 1.0 };
        let epsilon = 3.0 * (columns + 10) as f64 * ROUNDOFF;

        let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if norms.len() > CENTRAL {
            norms.select_nth_unstable_by(CENTRAL, order);
            norms.truncate(CENTRAL);
        }
        norms.sort_unstable_by(order);
        let central = norms.into_iter().map(|(_, row)| row).collect();
        Ok((Self { centre, scale, epsilon }, central))
    }

    pub(super) fn columns(&self) -> usize {
        self.centre.len()
    }

    /// A row, shifted, scaled and rounded.
    pub(super) fn row<'a, F: Scalar>(
        &'a self,
        x: &'a ArrayView2<'_, F>,
        row: usize,
    ) -> impl Iterator<Item = f32> + 'a {
        let values = x.row(row).into_iter().zip(&self.centre);
        values.map(|(value, centre)| ((value.to_f64() - centre) * self.scale) as f32)
    }

    /// D(1 + 8u) of a squared distance, rounded.
    pub(super) fn reach(&self, squared_distance: f64) -> f32 {
        self.widened(squared_distance * self.scale * self.scale)
    }

    /// D(1 + 8u), rounded.
    pub(super) fn widened(&self, scaled: f64) -> f32 {
        // Covers underflow in products of rows whose norms are at most about 1.
        const TINY: f64 = 1e-36;
        // Covers underflow in the distances of two points.
        let lost = 2.0 * self.centre.len() as f64 * f64::from_bits(1) * self.scale * self.scale;
        ((scaled + lost) * (1.0 + 8.0 * ROUNDOFF) + TINY) as f32
    }
}
