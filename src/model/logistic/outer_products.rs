//! Sums of the outer products of rows, and the quadratic forms of rows in a matrix.

use ndarray::{Array2, ArrayView2, Axis};
use sprs::CsMatView;

use crate::core::{FeaturesView, Matrix, Scalar, sparse_row, visit};
use crate::exec::parallel;
use crate::model::products::TILE;
use crate::numerics::linalg::{Part, Products, Rows, product};

/// Scratch for the outer products of a tile of dense rows; it grows when it is used.
#[derive(Default)]
pub(super) struct Scratch {
    /// The rows as `f64`, where they are not stored so.
    plain: Vec<f64>,
    products: Products,
}

/// `sum += Σ hᵢ xᵢ xᵢᵀ` (lower triangle) over dense rows of at least one column, or over some of their
/// `columns`, with a 1 at the end of each xᵢ if `sum` has room for it.
pub(super) fn add_dense<F: Scalar>(
    x: &ArrayView2<'_, F>,
    columns: Option<&[usize]>,
    factors: &[f64],
    scratch: &mut Scratch,
    sum: &mut Array2<f64>,
) {
    let Scratch { plain, products } = scratch;
    let d = columns.map_or(x.ncols(), <[usize]>::len);
    let rows = match x.to_slice().and_then(F::as_f64) {
        Some(rows) if columns.is_none() => rows,
        _ => {
            plain.clear();
            for row in x.outer_iter() {
                match columns {
                    None => plain.extend(row.iter().map(|value| value.to_f64())),
                    Some(columns) => plain.extend(columns.iter().map(|&j| row[j].to_f64())),
                }
            }
            &plain[..]
        }
    };
    let stride = sum.ncols();
    let rows = Rows { values: rows, stride: d, width: d };
    let Some(target) = sum.as_slice_mut() else { return };
    products.add(target, stride, Part::Lower, rows, factors, rows);
    let totals = &products.totals;
    if sum.nrows() > d {
        totals.iter().enumerate().for_each(|(j, total)| sum[(d, j)] += total);
        sum[(d, d)] += factors.iter().sum::<f64>();
    }
}

/// `sum += Σ hᵢ xᵢ xᵢᵀ` (lower triangle) over sparse rows, with a 1 at the end of each xᵢ if `sum` has room
/// for it.
pub(super) fn add_sparse<F: Scalar>(x: &CsMatView<'_, F>, factors: &[f64], sum: &mut Array2<f64>) {
    let d = x.cols();
    let intercept = sum.nrows() > d;
    for (row, &factor) in factors.iter().enumerate() {
        let (columns, values) = sparse_row(x, row);
        for (i, (&column, value)) in columns.iter().zip(values).enumerate() {
            let scaled = factor * value.to_f64();
            for (&earlier, value) in columns[..=i].iter().zip(values) {
                sum[(column, earlier)] += scaled * value.to_f64();
            }
            if intercept {
                sum[(d, column)] += scaled;
            }
        }
        if intercept {
            sum[(d, d)] += factor;
        }
    }
}

/// xᵢ V xᵢᵀ for every row, where xᵢ ends in a 1 for the intercept and V is symmetric.
pub(in crate::model) fn quadratic_forms(x: FeaturesView<'_>, v: &Array2<f64>) -> Vec<f64> {
    let mut out = vec![0.0; x.nrows()];
    parallel::map_into(&mut out, 1, TILE, |_, rows, out| {
        visit!(x.slice(rows), |x| quadratic_forms_of(x, v, out));
    });
    out
}

fn quadratic_forms_of<F: Scalar>(x: Matrix<'_, F>, v: &Array2<f64>, out: &mut [f64]) {
    let p = v.nrows();
    match x {
        Matrix::Dense(x) => {
            let mut columns = Array2::ones((p, x.nrows()));
            for (column, values) in columns.outer_iter_mut().zip(x.axis_iter(Axis(1))) {
                column.into_iter().zip(values).for_each(|(one, value)| *one = value.to_f64());
            }
            let products = product(&v.view(), &columns.view());
            out.fill(0.0);
            for (column, product) in columns.outer_iter().zip(products.outer_iter()) {
                for ((out, value), product) in out.iter_mut().zip(column).zip(product) {
                    *out += value * product;
                }
            }
        }
        Matrix::Sparse(x) => {
            for (i, out) in out.iter_mut().enumerate() {
                let (columns, values) = sparse_row(&x, i);
                let entries = columns.iter().zip(values).map(|(&j, value)| (j, value.to_f64()));
                let entries = entries.chain([(p - 1, 1.0)]);
                *out = entries
                    .clone()
                    .map(|(j, a)| a * entries.clone().map(|(k, b)| v[(j, k)] * b).sum::<f64>())
                    .sum();
            }
        }
    }
}

/// A symmetric matrix, given by its lower triangle, times a vector.
pub(super) fn symmetric_product(lower: &Array2<f64>, v: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; v.len()];
    for i in 0..v.len() {
        for j in 0..i {
            product[i] += lower[(i, j)] * v[j];
            product[j] += lower[(i, j)] * v[i];
        }
        product[i] += lower[(i, i)] * v[i];
    }
    product
}
