//! Blocked matrix products for dense rows of many columns.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

use super::{Best, Place, distance};
use crate::data::{FeaturesView, Scalar};
use crate::parallel::{self, BLOCK};

/// Queries in a block, and points in a tile of products: 256 KiB of `f32`, which stays in the cache of
/// a core.
const QUERIES: usize = 256;
const POINTS: usize = 256;

/// Most numbers that rounded points take up at once: 16 MiB of `f32`.
const ROUNDED: usize = 1 << 22;

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
/// * the `f64` distance itself is off by a few 2⁻⁵³ of it, and where squares underflow, by up to 2⁻¹⁰⁷⁵
///   for each column besides, which is added to D before it is scaled;
/// * D(1 + 8u) − (1 − ε)A, computed in `f32`, is off by no more than 3u((1 − ε)A) below D − (1 − ε)A.
///
/// So with ε = 3(K + 9)u, v > D(1 + 8u) − (1 − ε)A implies a distance above D. A point is skipped only
/// then, with D the scaled distance of the current bound; NaN, from numbers too large, skips nothing.
#[derive(Debug)]
pub(super) struct Blocks {
    centre: Vec<f64>,
    scale: f64,
    epsilon: f64,
}

/// Queries that are searched for together.
struct Queries<'a> {
    rows: &'a [usize],
    /// (−2a, 1) for each.
    left: Vec<f32>,
    /// (1 − ε)A.
    norms: Vec<f32>,
    /// D(1 + 8u).
    reach: Vec<f32>,
    found: &'a mut [Best],
}

/// Points whose products with some queries are formed at once.
struct Tile<'a> {
    rows: &'a [usize],
    /// (b, m) for each.
    right: &'a [f32],
    /// Their own reach and what they have found, if a product serves both of its rows; otherwise
    /// no reach at all, and nothing.
    reach: &'a mut [f32],
    found: &'a mut [Best],
}

/// Rows that are both.
struct Group<'a> {
    queries: Queries<'a>,
    right: Vec<f32>,
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
        Self { centre, scale, epsilon: 3.0 * (columns + 10) as f64 * ROUNDOFF }
    }

    pub(super) fn search<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        points: &[usize],
        queries: &[usize],
        found: &mut [Best],
    ) {
        let most = (ROUNDED / self.width()).max(POINTS);
        if queries == points && points.len() <= most {
            return self.search_one_another(x, points, found);
        }
        for points in points.chunks(most) {
            let right = self.right(x, points);
            parallel::map_into(found, 1, QUERIES, |_, range, found| {
                self.one_sided(x, &mut self.queries(x, &queries[range], found), points, &right);
            });
        }
    }

    /// Rows that search among themselves: a product of two serves both. In each round of a tournament
    /// every group meets another one, so that the meetings of a round are independent.
    fn search_one_another<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        rows: &[usize],
        found: &mut [Best],
    ) {
        let members = rows.chunks(QUERIES).zip(found.chunks_mut(QUERIES));
        let group = |(rows, found)| Group {
            queries: self.queries(x, rows, found),
            right: self.right(x, rows),
        };
        let mut groups: Vec<Group<'_>> = members.map(group).collect();
        parallel::map_into(&mut groups, 1, 1, |_, _, groups| {
            for Group { queries, right } in groups {
                self.one_sided(x, queries, queries.rows, right);
            }
        });
        // Of an odd number n of groups, those at places i and n − i meet and the first rests; then all
        // move on by one place. So two of them meet in the one round in which their places add up to n.
        if groups.len().is_multiple_of(2) {
            groups.push(group((&[], &mut [])));
        }
        for _ in 0..groups.len() {
            let half = groups.len() / 2;
            let (one, other) = groups[1..].split_at_mut(half);
            let mut pairs: Vec<_> = one.iter_mut().zip(other.iter_mut().rev()).collect();
            parallel::map_into(&mut pairs, 1, 1, |_, _, pairs| {
                for (one, other) in pairs {
                    self.mutual(x, &mut one.queries, other);
                }
            });
            groups.rotate_left(1);
        }
    }

    fn one_sided<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        queries: &mut Queries<'_>,
        points: &[usize],
        right: &[f32],
    ) {
        let mut products = vec![0.0; queries.rows.len() * POINTS];
        let mut reach = [f32::NEG_INFINITY; POINTS];
        for (rows, right) in points.chunks(POINTS).zip(right.chunks(POINTS * self.width())) {
            let reach = &mut reach[..rows.len()];
            self.meet(x, queries, Tile { rows, right, reach, found: &mut [] }, &mut products);
        }
    }

    fn mutual<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        one: &mut Queries<'_>,
        other: &mut Group<'_>,
    ) {
        let mut products = vec![0.0; one.rows.len() * POINTS];
        let Group { queries: other, right } = other;
        let tiles = other.rows.chunks(POINTS).zip(right.chunks(POINTS * self.width()));
        let theirs = other.reach.chunks_mut(POINTS).zip(other.found.chunks_mut(POINTS));
        for ((rows, right), (reach, found)) in tiles.zip(theirs) {
            self.meet(x, one, Tile { rows, right, reach, found }, &mut products);
        }
    }

    fn meet<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        queries: &mut Queries<'_>,
        tile: Tile<'_>,
        products: &mut [f32],
    ) {
        let (rows, columns) = (queries.rows.len(), tile.rows.len());
        if rows == 0 {
            return;
        }
        let products = &mut products[..rows * columns];
        matmul(
            MatMut::from_row_major_slice_mut(products, rows, columns),
            Accum::Replace,
            MatRef::from_row_major_slice(&queries.left, rows, self.width()),
            MatRef::from_row_major_slice(tile.right, columns, self.width()).transpose(),
            1.0,
            Par::Seq,
        );
        Arch::new().dispatch(Measuring { blocks: self, x, products, queries, tile });
    }

    fn width(&self) -> usize {
        self.centre.len() + 1
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

    /// Points as factors of products.
    fn right<F: Scalar>(&self, x: &ArrayView2<'_, F>, points: &[usize]) -> Vec<f32> {
        let width = self.width();
        let mut right = vec![0.0; points.len() * width];
        parallel::map_into(&mut right, width, BLOCK, |_, range, out| {
            for (&row, out) in points[range].iter().zip(out.chunks_exact_mut(width)) {
                let norm = self.round(x, row, out);
                out[width - 1] = (norm * (1.0 - self.epsilon)) as f32;
            }
        });
        right
    }

    /// Queries as factors of products.
    fn queries<'a, F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        rows: &'a [usize],
        found: &'a mut [Best],
    ) -> Queries<'a> {
        // The products of a query so far out might overflow: all points are measured.
        const FAR: f64 = 1e30;
        let width = self.width();
        let mut left = vec![0.0; rows.len() * width];
        let mut norms = Vec::with_capacity(rows.len());
        for (&row, out) in rows.iter().zip(left.chunks_exact_mut(width)) {
            let norm = self.round(x, row, out) * (1.0 - self.epsilon);
            norms.push(if norm > FAR { f32::NEG_INFINITY } else { norm as f32 });
            out.iter_mut().for_each(|value| *value *= -2.0);
            out[width - 1] = 1.0;
        }
        let reach = found.iter().map(|best| self.reach(best)).collect();
        Queries { rows, left, norms, reach, found }
    }

    /// How far a point may be, scaled, to be of interest.
    fn reach(&self, best: &Best) -> f32 {
        // Covers underflow in products of rows whose norms are at most about 1.
        const TINY: f64 = 1e-36;
        // Covers underflow in the distances.
        let lost = self.centre.len() as f64 * f64::from_bits(1);
        let distance = (best.bound.distance + lost) * self.scale * self.scale;
        (distance * (1.0 + 8.0 * ROUNDOFF) + TINY) as f32
    }
}

/// Measures the points that products do not rule out. It is compiled for the widest registers of the
/// machine, and takes no sums, so that no bit depends on them.
struct Measuring<'m, 'q, 't, 'x, F> {
    blocks: &'m Blocks,
    x: &'m ArrayView2<'x, F>,
    products: &'m [f32],
    queries: &'m mut Queries<'q>,
    tile: Tile<'t>,
}

impl<F: Scalar> WithSimd for Measuring<'_, '_, '_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let view = FeaturesView::Dense(*self.x);
        let (columns, products) = (self.tile.rows.len(), self.products);
        for (query, products) in products.chunks_exact(columns).enumerate() {
            self.measure(&view, products, query);
        }
    }
}

impl<F: Scalar> Measuring<'_, '_, '_, '_, F> {
    #[inline(always)]
    fn measure(&mut self, x: &FeaturesView<'_, F>, products: &[f32], query: usize) {
        let Self { blocks, queries, tile, .. } = self;
        let (own, norm) = (queries.rows[query], queries.norms[query]);
        let best = &mut queries.found[query];
        let mut reach = queries.reach[query];
        if let Some(k) = best.unbounded().filter(|k| (1..products.len() - 1).contains(k)) {
            best.within(within(x, products, own, tile.rows, k));
            reach = blocks.reach(best);
        }
        // NaN rules nothing out.
        let ruled_out = |product: f32, ours: f32, theirs: f32| {
            // Not `max`, which also looks for NaN.
            product > if ours > theirs { ours } else { theirs } - norm
        };
        for (start, products) in (0..).step_by(LANES).zip(products.chunks(LANES)) {
            let theirs = &tile.reach[start..start + products.len()];
            // Of known length and without branches (`&`, not `&&`), so that lanes are compared at once.
            let lanes = <&[f32; LANES]>::try_from(products).ok().zip(theirs.try_into().ok());
            let all_ruled_out = lanes.is_some_and(|(products, theirs): (_, &[f32; LANES])| {
                let lanes = products.iter().zip(theirs);
                lanes.fold(true, |all, (&product, &theirs)| all & ruled_out(product, reach, theirs))
            });
            if all_ruled_out {
                continue;
            }
            for (point, &product) in (start..).zip(products) {
                let row = tile.rows[point];
                if ruled_out(product, reach, tile.reach[point]) || row == own {
                    continue;
                }
                let other = tile.found.get_mut(point);
                if !(best.admits(row) || other.as_ref().is_some_and(|other| other.admits(own))) {
                    continue;
                }
                let distance = distance(x, own, row);
                if best.offer(Place { distance, row }) {
                    reach = blocks.reach(best);
                }
                if let Some(other) = other
                    && other.offer(Place { distance, row: own })
                {
                    tile.reach[point] = blocks.reach(other);
                }
            }
        }
        queries.reach[query] = reach;
    }
}

/// A distance within which there are k points of a tile: those of the least products. So few of the others
/// are measured before a query has found its first k.
fn within<F: Scalar>(
    x: &FeaturesView<'_, F>,
    products: &[f32],
    own: usize,
    rows: &[usize],
    k: usize,
) -> f64 {
    let mut points: Vec<usize> = (0..rows.len()).filter(|&point| rows[point] != own).collect();
    points.select_nth_unstable_by(k - 1, |&a, &b| products[a].total_cmp(&products[b]));
    points[..k].iter().map(|&point| distance(x, own, rows[point])).fold(0.0, f64::max)
}
