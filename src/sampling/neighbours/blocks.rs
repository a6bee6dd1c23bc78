//! Blocked matrix products for dense rows of many columns.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::ArrayView2;

use super::{Best, Place, distance};
use crate::data::{FeaturesView, Scalar};
use crate::parallel::{self, BLOCK};

/// Queries and points in a block of products: half a MiB of `f32`, which stays in the cache of a core.
const QUERIES: usize = 256;
const POINTS: usize = 512;

/// Products compared at once.
const LANES: usize = 16;

/// Unit roundoff of `f32`.
const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// Rows are shifted by `centre`, so that ‖a‖² + ‖b‖² − 2a·b cancels less, scaled by a power of two to
/// norms of about 1 and rounded to `f32`.
///
/// **Why the result is exact.** A product decides only whether a point is measured, and it errs on the
/// safe side. With a, b the rounded rows of a query and a point in K − 1 columns, A = ‖a‖², B = ‖b‖²,
/// u = 2⁻²⁴ and γ = Ku/(1 − Ku) ≤ 1.07 Ku (K ≤ 2²⁰; Higham 2002, *Accuracy and Stability*, §3.1):
///
/// * rounding the rows moves the squared distance by no more than 4.1u(A + B), because by the triangle
///   inequality it moves the distance by u(‖a‖ + ‖b‖) at most;
/// * m = B(1 − ε) rounded, and the product v of (−2a, 1) and (b, m), which is what the matrix product
///   gives, is off m − 2a·b by no more than γ(m + 2‖a‖‖b‖) ≤ γ(2B + A), in whatever order it is added up;
/// * the `f64` distance itself is off by a few 2⁻⁵³.
///
/// So with ε = 3(K + 8)u, v > D − (1 − ε)A implies a distance above D. A point is skipped only then,
/// with D the scaled distance of the current bound; NaN, from numbers too large, skips nothing.
#[derive(Debug)]
pub(super) struct Blocks {
    centre: Vec<f64>,
    scale: f64,
    epsilon: f64,
}

impl Blocks {
    pub(super) fn new<F: Scalar>(x: &ArrayView2<'_, F>, points: &[usize]) -> Self {
        let columns = x.ncols();
        let sums =
            parallel::map(points.len(), parallel::sum_block(points.len(), columns), |_, range| {
                let mut sum = vec![0.0; columns];
                for &row in &points[range] {
                    sum.iter_mut().zip(x.row(row)).for_each(|(sum, value)| *sum += value.to_f64());
                }
                sum
            });
        let mut centre = parallel::merge(sums);
        centre.iter_mut().for_each(|sum| *sum /= points.len() as f64);
        let largest = parallel::map(points.len(), BLOCK, |_, range| {
            let norm = |&row: &usize| {
                let gaps = x.row(row).into_iter().zip(&centre).map(|(v, c)| v.to_f64() - c);
                gaps.map(|gap| gap * gap).sum::<f64>()
            };
            points[range].iter().map(norm).fold(0.0, f64::max)
        });
        let largest = largest.into_iter().fold(0.0, f64::max).sqrt();
        // A power of two scales without rounding.
        let scale = if largest > 0.0 { (-largest.log2().ceil()).exp2() } else { 1.0 };
        let scale = if scale.is_normal() { scale } else { 1.0 };
        Self { centre, scale, epsilon: 3.0 * (columns + 9) as f64 * ROUNDOFF }
    }

    pub(super) fn search<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        points: &[usize],
        queries: &[usize],
        found: &mut [Best],
    ) {
        let width = self.centre.len() + 1;
        let view = FeaturesView::Dense(*x);
        parallel::map_into(found, 1, QUERIES, |_, range, found| {
            let queries = &queries[range];
            let mut left = vec![0.0; queries.len() * width];
            let mut right = vec![0.0; POINTS.min(points.len()) * width];
            let mut products = vec![0.0; queries.len() * POINTS.min(points.len())];
            let mut norms = Vec::with_capacity(queries.len());
            for (&row, out) in queries.iter().zip(left.chunks_exact_mut(width)) {
                norms.push(self.round(x, row, out));
                out.iter_mut().for_each(|value| *value *= -2.0);
                out[width - 1] = 1.0;
            }
            for points in points.chunks(POINTS) {
                for (&row, out) in points.iter().zip(right.chunks_exact_mut(width)) {
                    let norm = self.round(x, row, out);
                    out[width - 1] = (norm * (1.0 - self.epsilon)) as f32;
                }
                let right = &right[..points.len() * width];
                let products = &mut products[..queries.len() * points.len()];
                matmul(
                    MatMut::from_row_major_slice_mut(products, queries.len(), points.len()),
                    Accum::Replace,
                    MatRef::from_row_major_slice(&left, queries.len(), width),
                    MatRef::from_row_major_slice(right, points.len(), width).transpose(),
                    1.0,
                    Par::Seq,
                );
                let rows = products.chunks_exact(points.len());
                for (((products, &row), &norm), best) in
                    rows.zip(queries).zip(&norms).zip(found.iter_mut())
                {
                    self.measure(&view, products, points, (row, norm), best);
                }
            }
        });
    }

    /// Writes a rounded row and returns its squared norm.
    fn round<F: Scalar>(&self, x: &ArrayView2<'_, F>, row: usize, out: &mut [f32]) -> f64 {
        let mut norm = 0.0;
        for ((out, value), centre) in out.iter_mut().zip(x.row(row)).zip(&self.centre) {
            *out = ((value.to_f64() - centre) * self.scale) as f32;
            norm += f64::from(*out) * f64::from(*out);
        }
        norm
    }

    /// Measures the points that the products do not rule out.
    fn measure<F: Scalar>(
        &self,
        x: &FeaturesView<'_, F>,
        products: &[f32],
        points: &[usize],
        (query, norm): (usize, f64),
        best: &mut Best,
    ) {
        if best.any && best.full() {
            return;
        }
        let mut limit = self.limit(norm, best.bound.distance);
        for (products, points) in products.chunks(LANES).zip(points.chunks(LANES)) {
            // Of known length and without branches (`&`, not `&&`), so that lanes are compared at once.
            let all_ruled_out = <&[f32; LANES]>::try_from(products)
                .is_ok_and(|lanes| lanes.iter().fold(true, |all, &lane| all & (lane > limit)));
            if all_ruled_out {
                continue;
            }
            for (&product, &row) in products.iter().zip(points) {
                // Not `<=`: a NaN rules nothing out.
                let ruled_out = product > limit;
                if !ruled_out && row != query {
                    best.offer(Place { distance: distance(x, query, row), row });
                    limit = self.limit(norm, best.bound.distance);
                }
            }
        }
    }

    /// Products above this belong to points farther than `distance`.
    fn limit(&self, norm: f64, distance: f64) -> f32 {
        // Products of a query so far out might overflow.
        const FAR: f64 = 1e60;
        // Covers underflow in products of rows whose norms are at most about 1.
        const TINY: f64 = 1e-36;
        if norm > FAR {
            return f32::INFINITY;
        }
        let limit = distance * self.scale * self.scale - (1.0 - self.epsilon) * norm;
        // 2u covers rounding to `f32`.
        (limit + 2.0 * ROUNDOFF * limit.abs() + TINY) as f32
    }
}
