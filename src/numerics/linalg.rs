//! The dense linear algebra the crate needs, on one thread: products and Cholesky factors.
//!
//! Each entry of a product is one chain of fused multiplications and additions, row after row, so its bits
//! do not depend on how wide the registers are.

use ndarray::{Array2, ArrayView2};
use pulp::bytemuck::{NoUninit, cast_slice};
use pulp::{Arch, Simd, WithSimd};

use crate::exec::simd::{Work, vectorised};

/// Rows whose products are summed in registers before they are added to memory.
const DEPTH: usize = 256;
/// The kernel sums the products of this many columns of A ...
const COLUMNS: usize = 4;
/// ... with at most this many vectors of columns of B: 12 sums and 3 vectors fit the 16 registers of AVX2.
const VECTORS: usize = 3;
/// Columns up to which rows of A are read where they are. Rows of more columns lie so far apart that they
/// push each other out of the cache, and are copied.
const IN_PLACE: usize = 96;
/// Columns that the factorisation works out one by one before it subtracts their products from all others.
const BLOCK: usize = 16;

/// A block of a matrix in row order: rows of `width` numbers, each `stride` behind the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f64],
    pub(crate) stride: usize,
    pub(crate) width: usize,
}

impl<'a> Rows<'a> {
    fn below(self, row: usize) -> Self {
        Self { values: &self.values[(row * self.stride).min(self.values.len())..], ..self }
    }

    #[inline(always)]
    fn iter(self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks(self.stride.max(1)).map(move |row| &row[..self.width])
    }
}

/// Which entries of a product are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Those on and below the diagonal.
    Lower,
}

/// Sums of products, with their scratch.
#[derive(Debug, Default)]
pub(crate) struct Products {
    /// The columns of A, [`COLUMNS`] side by side.
    left: Vec<f64>,
    /// The columns of B times the factors, as many side by side as a register holds.
    right: Vec<f64>,
    /// The columns of B times the factors, summed by the last call of [`add`](Self::add).
    pub(crate) totals: Vec<f64>,
}

impl Products {
    /// `sum += Aᵀ diag(factors) B`, with one row of A and of B for each factor and rows of `sum` that are
    /// `stride` apart.
    pub(crate) fn add(
        &mut self,
        sum: &mut [f64],
        stride: usize,
        part: Part,
        a: Rows<'_>,
        factors: &[f64],
        b: Rows<'_>,
    ) {
        self.totals.clear();
        self.totals.resize(b.width, 0.0);
        for (tile, factors) in factors.chunks(DEPTH).enumerate() {
            let (a, b) = (a.below(tile * DEPTH), b.below(tile * DEPTH));
            let products = &mut *self;
            Arch::new().dispatch(Tile { products, sum, stride, part, a, factors, b });
        }
    }
}

/// At most [`DEPTH`] rows of a product.
struct Tile<'a> {
    products: &'a mut Products,
    sum: &'a mut [f64],
    stride: usize,
    part: Part,
    a: Rows<'a>,
    factors: &'a [f64],
    b: Rows<'a>,
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { products: Products { left, right, totals }, sum, stride, part, a, factors, b } =
            self;
        let n = factors.len();
        right.resize(b.width.div_ceil(S::F64_LANES) * S::F64_LANES * n, 0.0);
        let right = S::as_mut_simd_f64s(right).0;
        pack_scaled(simd, b, factors, right, totals);
        let copied = a.width % COLUMNS != 0 || a.width > IN_PLACE;
        if copied {
            left.resize(a.width.div_ceil(COLUMNS) * COLUMNS * n, 0.0);
            pack(a, n, left);
        }
        for j in (0..b.width).step_by(VECTORS * S::F64_LANES) {
            let first = if part == Part::Lower { j / COLUMNS * COLUMNS } else { 0 };
            for i in (first..a.width).step_by(COLUMNS) {
                let (left, left_stride) =
                    if copied { (&left[i * n..], COLUMNS) } else { (&a.values[i..], a.stride) };
                let rows = COLUMNS.min(a.width - i);
                let end = if part == Part::Lower { b.width.min(i + rows) } else { b.width };
                let vectors = (end - j).div_ceil(S::F64_LANES).min(VECTORS);
                let right = &right[j / S::F64_LANES * n..][..vectors * n];
                let target = Target { sum: &mut *sum, stride, i, j, rows, end, part };
                match vectors {
                    1 => target.add(sums::<S, 1>(simd, left, left_stride, right, n)),
                    2 => target.add(sums::<S, 2>(simd, left, left_stride, right, n)),
                    _ => target.add(sums::<S, 3>(simd, left, left_stride, right, n)),
                }
            }
        }
    }
}

/// The columns of B times the factors, by vectors, and their sums.
#[inline(always)]
fn pack_scaled<S: Simd>(
    simd: S,
    b: Rows<'_>,
    factors: &[f64],
    packed: &mut [S::f64s],
    totals: &mut [f64],
) {
    let columns = packed.chunks_exact_mut(factors.len()).zip(totals.chunks_mut(S::F64_LANES));
    for (v, (packed, totals)) in columns.enumerate() {
        let j = v * S::F64_LANES;
        let mut sum = simd.splat_f64s(0.0);
        for ((packed, row), &factor) in packed.iter_mut().zip(b.iter()).zip(factors) {
            let row = &row[j..j + totals.len()];
            let row = match S::as_simd_f64s(row).0 {
                [whole] => *whole,
                _ => simd.partial_load_f64s(row),
            };
            *packed = simd.mul_f64s(simd.splat_f64s(factor), row);
            sum = simd.add_f64s(sum, *packed);
        }
        let sums: &[f64] = cast_slice(std::slice::from_ref(&sum));
        totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
}

/// The columns of A, [`COLUMNS`] side by side, with zeros behind the last.
#[inline(always)]
fn pack(a: Rows<'_>, n: usize, packed: &mut [f64]) {
    for (group, packed) in packed.chunks_exact_mut(COLUMNS * n).enumerate() {
        let j = group * COLUMNS;
        for (packed, row) in packed.as_chunks_mut::<COLUMNS>().0.iter_mut().zip(a.iter()) {
            *packed = row[j..].first_chunk().copied().unwrap_or_else(|| {
                std::array::from_fn(|c| row.get(j + c).copied().unwrap_or_default())
            });
        }
    }
}

/// Σₖ left[k][r] · right[v][k] for [`COLUMNS`] columns r and V vectors v.
#[inline(always)]
fn sums<S: Simd, const V: usize>(
    simd: S,
    left: &[f64],
    stride: usize,
    right: &[S::f64s],
    n: usize,
) -> [[S::f64s; V]; COLUMNS] {
    let right: [&[S::f64s]; V] = std::array::from_fn(|v| &right[v * n..(v + 1) * n]);
    let mut sums = [[simd.splat_f64s(0.0); V]; COLUMNS];
    for (k, left) in left.chunks(stride).take(n).enumerate() {
        let right: [S::f64s; V] = std::array::from_fn(|v| right[v][k]);
        for (sums, &left) in sums.iter_mut().zip(&left[..COLUMNS]) {
            let left = simd.splat_f64s(left);
            for (sum, &right) in sums.iter_mut().zip(&right) {
                *sum = simd.mul_add_e_f64s(left, right, *sum);
            }
        }
    }
    sums
}

/// Where the sums of a few columns go: `rows` rows from i on, columns j to `end`.
struct Target<'a> {
    sum: &'a mut [f64],
    stride: usize,
    i: usize,
    j: usize,
    rows: usize,
    end: usize,
    part: Part,
}

impl Target<'_> {
    #[inline(always)]
    fn add<T: NoUninit, const V: usize>(self, sums: [[T; V]; COLUMNS]) {
        for (i, sums) in (self.i..self.i + self.rows).zip(&sums) {
            let end = if self.part == Part::Lower { self.end.min(i + 1) } else { self.end };
            if end > self.j {
                let row = &mut self.sum[i * self.stride..][self.j..end];
                let sums: &[f64] = cast_slice(sums);
                row.iter_mut().zip(sums).for_each(|(sum, term)| *sum += term);
            }
        }
    }
}

/// `target -= Σ factor · row` over the rows that `factors` yields, each as long as the target or longer.
struct Subtract<'a, I> {
    terms: I,
    target: &'a mut [f64],
}

impl<'r, I: Iterator<Item = (f64, &'r [f64])>> Work for Subtract<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (factor, row) in self.terms {
            for (target, value) in self.target.iter_mut().zip(row) {
                *target -= factor * value;
            }
        }
    }
}

/// A = L Lᵀ for a symmetric positive definite A.
#[derive(Debug)]
pub(crate) struct Llt {
    n: usize,
    /// L, and above its diagonal Lᵀ, row by row.
    factor: Vec<f64>,
}

impl Llt {
    /// Factors a matrix of which the lower triangle is read. The error is the first column whose pivot is
    /// not positive.
    pub(crate) fn new(lower: Array2<f64>) -> Result<Self, usize> {
        let n = lower.nrows();
        let mut factor: Vec<f64> = lower.into_iter().collect();
        let mut products = Products::default();
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            for i in start..n {
                (start..end.min(i)).for_each(|j| factor[j * n + i] = factor[i * n + j]);
            }
            for j in start..end {
                let (above, rest) = factor.split_at_mut(j * n);
                let target = &mut rest[j..n];
                let terms = above[start * n..].chunks_exact(n).map(|row| (row[j], &row[j..]));
                vectorised(Subtract { terms, target: &mut *target });
                if target[0].is_nan() || target[0] <= 0.0 {
                    return Err(j);
                }
                let inverse = target[0].sqrt().recip();
                target.iter_mut().for_each(|value| *value *= inverse);
            }
            for i in start..n {
                (start..end.min(i)).for_each(|j| factor[i * n + j] = factor[j * n + i]);
            }
            if end < n {
                let (above, below) = factor.split_at_mut(end * n);
                let rows = Rows { values: &above[start * n + end..], stride: n, width: n - end };
                let minus = &[-1.0; BLOCK][..end - start];
                products.add(&mut below[end..], n, Part::Lower, rows, minus, rows);
            }
        }
        Ok(Self { n, factor })
    }

    /// The entry (j, j) of L.
    pub(crate) fn pivot(&self, j: usize) -> f64 {
        self.factor[j * self.n + j]
    }

    /// A⁻¹ b.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for (j, row) in self.rows().enumerate() {
            x[j] /= row[j];
            let (factor, target) = (x[j], &mut x[j + 1..]);
            vectorised(Subtract { terms: std::iter::once((factor, &row[j + 1..])), target });
        }
        for (j, row) in self.rows().enumerate().rev() {
            x[j] /= row[j];
            let (target, rest) = x.split_at_mut(j);
            vectorised(Subtract { terms: std::iter::once((rest[0], row)), target });
        }
        x
    }

    /// A⁻¹ = (L⁻¹)ᵀ L⁻¹, exactly symmetric.
    pub(crate) fn inverse(&self) -> Array2<f64> {
        let n = self.n;
        let mut products = Products::default();
        // L⁻¹, from the top.
        let mut inverse = vec![0.0; n * n];
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            for i in start..end {
                let (above, target) = inverse.split_at_mut(i * n);
                let factors = &self.factor[i * n + start..i * n + i];
                let rows = above[start * n..].chunks_exact(n);
                let terms = factors.iter().copied().zip(rows);
                target[i] = 1.0;
                vectorised(Subtract { terms, target: &mut target[..i] });
                let pivot = self.pivot(i);
                target[..=i].iter_mut().for_each(|value| *value /= pivot);
            }
            if end < n {
                let (above, below) = inverse.split_at_mut(end * n);
                let values = &self.factor[start * n + end..];
                let a = Rows { values, stride: n, width: n - end };
                let b = Rows { values: &above[start * n..], stride: n, width: end };
                products.add(below, n, Part::All, a, &[-1.0; BLOCK][..end - start], b);
            }
        }
        let mut sum = vec![0.0; n * n];
        for start in (0..n).step_by(DEPTH) {
            let width = (start + DEPTH).min(n);
            let rows = Rows { values: &inverse[start * n..], stride: n, width };
            products.add(&mut sum, n, Part::Lower, rows, &[1.0; DEPTH][..width - start], rows);
        }
        Array2::from_shape_fn((n, n), |(i, j)| sum[i.max(j) * n + i.min(j)])
    }

    fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.factor.chunks_exact(self.n.max(1))
    }
}

/// Aᵀ M A for a symmetric M.
pub(crate) fn sandwich(a: &ArrayView2<'_, f64>, m: &ArrayView2<'_, f64>) -> Array2<f64> {
    product(a, &product(m, a).view())
}

/// Aᵀ B.
pub(crate) fn product(a: &ArrayView2<'_, f64>, b: &ArrayView2<'_, f64>) -> Array2<f64> {
    let [a, b] = [a, b].map(|x| x.as_standard_layout());
    let [left, right] = [&a, &b].map(|x| Rows {
        values: x.as_slice().unwrap_or_default(),
        stride: x.ncols(),
        width: x.ncols(),
    });
    let mut product = Array2::zeros((a.ncols(), b.ncols()));
    if let Some(sum) = product.as_slice_mut() {
        let ones = vec![1.0; a.nrows()];
        Products::default().add(sum, right.width, Part::All, left, &ones, right);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize) -> Array2<f64> {
        let entry = |(i, j)| ((i * 7919 + j * 104_729 + i * i * j) as f64).sin();
        Array2::from_shape_fn((rows, columns), entry)
    }

    /// Rows around the depth of a tile; columns around the sizes of the kernel, its copy and the blocks.
    #[test]
    fn products_are_sums_over_rows() {
        for (rows, left, right) in
            [(0, 3, 3), (1, 1, 1), (300, 7, 25), (256, 100, 33), (513, 16, 8)]
        {
            let (a, b) = (matrix(rows, left), matrix(rows, right));
            let product = product(&a.view(), &b.view());
            for ((i, j), &entry) in product.indexed_iter() {
                let sum: f64 = (0..rows).map(|k| a[(k, i)] * b[(k, j)]).sum();
                assert!(
                    (entry - sum).abs() <= 1e-12 * rows as f64,
                    "{rows} {i} {j}: {entry} {sum}"
                );
            }
        }
    }

    #[test]
    fn only_the_lower_triangle_is_added_with_the_factors() {
        for d in [1, 4, 5, 31, 32, 33, 97] {
            let x = matrix(300, d);
            let factors: Vec<f64> = (0..300).map(|k| f64::from(k) / 300.0 - 0.2).collect();
            let rows = Rows { values: x.as_slice().unwrap(), stride: d, width: d };
            let mut sum = vec![1.0; d * (d + 1)];
            let mut products = Products::default();
            products.add(&mut sum, d + 1, Part::Lower, rows, &factors, rows);
            for (i, sums) in sum.chunks(d + 1).enumerate() {
                for (j, &sum) in sums.iter().enumerate() {
                    let terms = factors.iter().enumerate();
                    let expected = match j <= i {
                        true => 1.0 + terms.map(|(k, f)| f * x[(k, i)] * x[(k, j)]).sum::<f64>(),
                        false => 1.0,
                    };
                    assert!((sum - expected).abs() <= 1e-11, "{d} {i} {j}: {sum} {expected}");
                }
                let total: f64 = factors.iter().enumerate().map(|(k, f)| f * x[(k, i)]).sum();
                assert!((products.totals[i] - total).abs() <= 1e-11);
            }
        }
    }

    #[test]
    fn the_factor_solves_and_inverts() {
        for n in [0, 1, 2, 15, 16, 17, 40, 130, 300] {
            let x = matrix(2 * n, n);
            let mut a = product(&x.view(), &x.view());
            (0..n).for_each(|j| a[(j, j)] += 1.0);
            let factor = Llt::new(a.clone()).unwrap();
            let b: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
            let solved = Array2::from_shape_vec((n, 1), factor.solve(&b)).unwrap();
            let residual = product(&a.view(), &solved.view());
            for (found, b) in residual.iter().zip(&b) {
                assert!((found - b).abs() <= 1e-10, "{n}: {found} {b}");
            }
            let inverse = factor.inverse();
            assert_eq!(inverse, inverse.t());
            for ((i, j), &entry) in product(&a.view(), &inverse.view()).indexed_iter() {
                assert!(
                    (entry - f64::from(u8::from(i == j))).abs() <= 1e-10,
                    "{n} {i} {j}: {entry}"
                );
            }
        }
    }

    /// Columns 20 and 21 are equal: the second has no pivot of its own.
    #[test]
    fn a_matrix_that_is_not_positive_definite_is_told_by_its_column() {
        let a = Array2::from_shape_fn((40, 40), |(i, j)| {
            f64::from(u8::from(i == j || (i.min(j), i.max(j)) == (20, 21)))
        });
        assert_eq!(Llt::new(a).unwrap_err(), 21);
        assert_eq!(Llt::new(Array2::from_elem((1, 1), f64::NAN)).unwrap_err(), 0);
    }
}
