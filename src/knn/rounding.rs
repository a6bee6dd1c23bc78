//! How rows are rounded for products, and why products tell what is near.

use ndarray::ArrayView2;

use super::{Best, Place};
use crate::core::Scalar;
use crate::exec::parallel::{self, BLOCK};

/// How many points nearest to the mean are kept.
const CENTRAL: usize = 1 << 14;

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
/// * m = B(1 − ε) rounded, and the product v of (−2a, 1) and (b, m) is off m − 2a·b by no more than
///   γ(m + 2‖a‖‖b‖) ≤ γ(2B + A), in whatever order it is added up, with or without fused operations;
/// * the `f64` distance itself is off by a few 2⁻⁵³ of it, and where squares underflow, by up to 2⁻¹⁰⁷⁵
///   for each column besides, which is added to D before it is scaled;
/// * D(1 + 8u) − (1 − ε)A, computed in `f32`, is off by no more than 3u((1 − ε)A) below D − (1 − ε)A.
///
/// So with ε = 3(K + 9)u, v > D(1 + 8u) − (1 − ε)A implies a distance above D. A point is skipped only
/// then, with D the scaled distance of the current bound; NaN, from numbers too large, skips nothing.
///
/// The squared gap of two boxes of rounded rows, summed in `f32`, is no more than (K + 3)u of itself above the
/// squared distance of any two of their rows, which is at most 2(A + B). With 4.1u(A + B) from rounding the rows
/// this stays below ε(A + B), their slack. So a gap, less the slack, above D(1 + 8u) implies a distance above D.
#[derive(Debug)]
pub(crate) struct Rounding {
    centre: Vec<f64>,
    scale: f64,
    pub(crate) epsilon: f64,
}

impl Rounding {
    /// Also the points nearest to their mean, the nearest first.
    pub(crate) fn new<F: Scalar>(x: &ArrayView2<'_, F>, points: &[usize]) -> (Self, Vec<usize>) {
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
        let norm = |row: usize| {
            let gaps = x.row(row).into_iter().zip(&centre).map(|(v, c)| v.to_f64() - c);
            gaps.map(|gap| gap * gap).sum::<f64>()
        };
        let largest = parallel::map(points.len(), BLOCK, |_, range| {
            points[range].iter().fold(0.0, |largest: f64, &row| largest.max(norm(row)))
        });
        let central = central(points, norm);
        let largest = largest.into_iter().fold(0.0, f64::max).sqrt();
        // A power of two scales without rounding.
        let scale = if largest > 0.0 { (-largest.log2().ceil()).exp2() } else { 1.0 };
        let scale = if scale.is_normal() { scale } else { 1.0 };
        let epsilon = 3.0 * (columns + 10) as f64 * ROUNDOFF;
        (Self { centre, scale, epsilon }, central)
    }

    pub(crate) fn columns(&self) -> usize {
        self.centre.len()
    }

    /// A row as it is multiplied.
    pub(crate) fn row<'a, F: Scalar>(
        &'a self,
        x: &'a ArrayView2<'_, F>,
        row: usize,
    ) -> impl Iterator<Item = f32> + 'a {
        let values = x.row(row).into_iter().zip(&self.centre);
        values.map(|(value, centre)| ((value.to_f64() - centre) * self.scale) as f32)
    }

    /// How far a point may be, scaled, to be of interest.
    pub(crate) fn reach(&self, best: &Best) -> f32 {
        self.widened(best.bound.distance * self.scale * self.scale)
    }

    /// D(1 + 8u), rounded.
    pub(crate) fn widened(&self, distance: f64) -> f32 {
        // Covers underflow in products of rows whose norms are at most about 1.
        const TINY: f64 = 1e-36;
        // Covers underflow in the distances of two points.
        let lost = 2.0 * self.centre.len() as f64 * f64::from_bits(1) * self.scale * self.scale;
        ((distance + lost) * (1.0 + 8.0 * ROUNDOFF) + TINY) as f32
    }

    /// Offers a place; if it is taken, the reach may be shorter.
    pub(crate) fn offer(&self, best: &mut Best, place: Place, reach: &mut f32) {
        if best.offer(place) {
            *reach = reach.min(self.reach(best));
        }
    }
}

/// Up to `CENTRAL` points of the least norms, in order. The norms are worked out twice rather than kept.
fn central(points: &[usize], norm: impl Fn(usize) -> f64 + Sync + Send) -> Vec<usize> {
    // A norm that twice as many are below, judged by one in sixteen.
    const EVERY: usize = 16;
    let wanted = CENTRAL.min(points.len());
    let of_rank = |every: usize, rank: usize| {
        let mut norms: Vec<f64> = points.iter().step_by(every).map(|&row| norm(row)).collect();
        let rank = rank.min(norms.len() - 1);
        *norms.select_nth_unstable_by(rank, f64::total_cmp).1
    };
    let within = |limit: f64| -> Vec<(f64, usize)> {
        parallel::map(points.len(), BLOCK, |_, range| {
            let pairs = points[range].iter().map(|&row| (norm(row), row));
            pairs.filter(|(norm, _)| norm.total_cmp(&limit).is_le()).collect::<Vec<_>>()
        })
        .concat()
    };
    let mut central = within(of_rank(EVERY, 2 * wanted / EVERY));
    if central.len() < wanted {
        central = within(of_rank(1, wanted - 1));
    }
    central.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    central.into_iter().map(|(_, row)| row).take(wanted).collect()
}
