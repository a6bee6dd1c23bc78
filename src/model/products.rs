//! The products of features that linear models are made of: rows times coefficients, and weighted sums of
//! rows. Features may be stored as `f32`; sums are `f64`.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::core::{FeaturesView, Matrix, Scalar, sparse_row, visit};
use crate::exec::simd::{Work, vectorised};

/// Rows of a tile. With 32 columns of `f64` they fill 64 KiB, so they are still in the L2 cache when they are
/// read a second time, for the gradient.
pub(super) const TILE: usize = 256;

/// Cuts a block of rows into tiles.
pub(super) fn for_tiles(rows: Range<usize>, mut f: impl FnMut(Range<usize>)) {
    for start in rows.clone().step_by(TILE) {
        f(start..(start + TILE).min(rows.end));
    }
}

/// `out[i] += xᵢ · coefficients`.
pub(super) fn add_products(x: FeaturesView<'_>, coefficients: &[f64], out: &mut [f64]) {
    visit!(x, |x| add_products_of(x, coefficients, out));
}

fn add_products_of<F: Scalar>(x: Matrix<'_, F>, coefficients: &[f64], out: &mut [f64]) {
    match x {
        Matrix::Dense(x) if has_contiguous_rows(x.strides()) => {
            vectorised(Products { x, coefficients, out });
        }
        Matrix::Dense(x) => {
            for (column, &coefficient) in x.columns().into_iter().zip(coefficients) {
                for (out, value) in out.iter_mut().zip(column) {
                    *out += coefficient * value.to_f64();
                }
            }
        }
        Matrix::Sparse(x) => {
            for (row, out) in out.iter_mut().enumerate() {
                let (columns, values) = sparse_row(&x, row);
                for (&column, value) in columns.iter().zip(values) {
                    *out += coefficients[column] * value.to_f64();
                }
            }
        }
    }
}

/// `sums += Σᵢ factors[i] · map(xᵢ)`, with `map` applied to each entry; `map(0)` must be 0.
pub(super) fn add_rows(
    x: FeaturesView<'_>,
    factors: &[f64],
    map: impl Fn(f64) -> f64,
    sums: &mut [f64],
) {
    visit!(x, |x| add_rows_of(x, factors, map, sums));
}

fn add_rows_of<F: Scalar>(
    x: Matrix<'_, F>,
    factors: &[f64],
    map: impl Fn(f64) -> f64,
    sums: &mut [f64],
) {
    match x {
        Matrix::Dense(x) if has_contiguous_rows(x.strides()) => {
            vectorised(WeightedRows { x, factors, map, sums });
        }
        Matrix::Dense(x) => {
            for (column, sum) in x.columns().into_iter().zip(sums) {
                for (&factor, value) in factors.iter().zip(column) {
                    *sum += factor * map(value.to_f64());
                }
            }
        }
        Matrix::Sparse(x) => {
            for (row, &factor) in factors.iter().enumerate() {
                let (columns, values) = sparse_row(&x, row);
                for (&column, value) in columns.iter().zip(values) {
                    sums[column] += factor * map(value.to_f64());
                }
            }
        }
    }
}

/// Whether the entries of a row of a dense matrix are neighbours in memory, so that a row is a slice.
fn has_contiguous_rows(strides: &[isize]) -> bool {
    strides[1] == 1
}

/// [`add_products`] of rows that are slices.
struct Products<'a, F> {
    x: ArrayView2<'a, F>,
    coefficients: &'a [f64],
    out: &'a mut [f64],
}

impl<F: Scalar> Work for Products<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, out) in self.x.outer_iter().zip(self.out) {
            *out += dot(row.to_slice().unwrap_or_default(), self.coefficients);
        }
    }
}

/// [`add_rows`] of rows that are slices.
struct WeightedRows<'a, F, M> {
    x: ArrayView2<'a, F>,
    factors: &'a [f64],
    map: M,
    sums: &'a mut [f64],
}

impl<F: Scalar, M: Fn(f64) -> f64> Work for WeightedRows<'_, F, M> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, &factor) in self.x.outer_iter().zip(self.factors) {
            for (sum, value) in self.sums.iter_mut().zip(row.to_slice().unwrap_or_default()) {
                *sum += factor * (self.map)(value.to_f64());
            }
        }
    }
}

/// The scalar product, in eight running sums: one sum would wait for each addition, eight fill the
/// vector registers and still add in an order fixed by the length alone.
#[inline(always)]
fn dot<F: Scalar>(row: &[F], coefficients: &[f64]) -> f64 {
    let (rows, row_rest) = row.as_chunks::<8>();
    let (blocks, rest) = coefficients.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (row, block) in rows.iter().zip(blocks) {
        for lane in 0..8 {
            sums[lane] += row[lane].to_f64() * block[lane];
        }
    }
    let tail: f64 = row_rest.iter().zip(rest).map(|(value, c)| value.to_f64() * c).sum();
    // In pairs, of which four, then two, are added at a time.
    let four: [f64; 4] = std::array::from_fn(|i| sums[i] + sums[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3]) + tail
}
