//! Helpers of several tests.

use imbalance::Scalar;
use imbalance::ndarray::Array2;
use imbalance::sprs::CsMat;

/// A matrix in compressed rows, without its zeros.
pub(crate) fn to_sparse<F: Scalar>(x: &Array2<F>) -> CsMat<F> {
    let (mut starts, mut columns, mut values) = (vec![0], vec![], vec![]);
    for row in x.rows() {
        for (column, &value) in row.iter().enumerate().filter(|(_, v)| **v != F::default()) {
            columns.push(column);
            values.push(value);
        }
        starts.push(columns.len());
    }
    CsMat::new(x.dim(), starts, columns, values)
}
