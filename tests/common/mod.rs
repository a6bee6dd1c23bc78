//! What several tests share.

use imbalance::Scalar;
use imbalance::ndarray::Array2;
use imbalance::sprs::CsMat;

/// The same rows with their zeros left out.
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
