//! The feature matrix: dense or sparse, borrowed or owned.

use std::ops::Range;

use ndarray::{Array2, ArrayBase, ArrayView1, ArrayView2, Axis, Ix1, Ix2, Slice, ViewRepr};
use sprs::{CsMat, CsMatView};

use super::attribute::Selection;
use super::{Error, Precision, Result, Scalar, ensure_columns_fit, same_length};
use crate::exec::parallel::{self, BLOCK};

/// A feature matrix, rows × columns: borrowed or owned, dense (`ndarray`) or sparse (`sprs`, compressed
/// rows), of `f32` or `f64`.
///
/// Anything that takes `impl Into<Features>` takes an `Array2`, a reference to one, an `ArrayView2`, a
/// `CsMat`, a reference to one or a `CsMatView`. Borrowed matrices are not copied, except a sparse
/// matrix stored by columns, which is converted to rows.
///
/// ```
/// use imbalance::Features;
/// use imbalance::ndarray::array;
///
/// let x = array![[1.0, 2.0], [3.0, 4.0]];
/// let features = Features::from(&x);
/// assert_eq!((features.nrows(), features.ncols()), (2, 2));
/// ```
#[derive(Debug, Clone)]
pub struct Features<'a>(pub(super) Storage<'a>);

#[derive(Debug, Clone)]
pub(super) enum Storage<'a> {
    Borrowed(FeaturesView<'a>),
    DenseF32(Array2<f32>),
    DenseF64(Array2<f64>),
    SparseF32(CsMat<f32>),
    SparseF64(CsMat<f64>),
}

/// A borrowed feature matrix, as models and samplers read it.
///
/// Code that is fast for one number type matches on the variants. Other code reads [`rows`](Self::rows),
/// whose entries are `f64`.
///
/// ```
/// use imbalance::Features;
/// use imbalance::ndarray::array;
///
/// let x = array![[1.0_f32, 0.0], [3.0, 4.0]];
/// let features = Features::from(&x);
/// let sums: Vec<f64> =
///     features.view().rows().map(|row| row.entries().map(|(_, value)| value).sum()).collect();
/// assert_eq!(sums, [1.0, 7.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub enum FeaturesView<'a> {
    /// Features stored as `f32`.
    F32(Matrix<'a, f32>),
    /// Features stored as `f64`.
    F64(Matrix<'a, f64>),
}

/// A borrowed matrix of one number type.
#[derive(Debug, Clone, Copy)]
pub enum Matrix<'a, F> {
    /// A dense matrix, of any memory layout (an `ArrayView2`).
    // The third parameter is spelled out: in the alias `ArrayView2` it is a projection, which would make
    // this type, and every type that contains it, invariant in its lifetime.
    Dense(ArrayBase<ViewRepr<&'a F>, Ix2, F>),
    /// A sparse matrix of compressed rows.
    Sparse(CsMatView<'a, F>),
}

/// Evaluates an expression for the matrix in a [`FeaturesView`], whichever its number type.
macro_rules! visit {
    ($features:expr, |$matrix:ident| $body:expr) => {
        match $features {
            $crate::core::FeaturesView::F32($matrix) => $body,
            $crate::core::FeaturesView::F64($matrix) => $body,
        }
    };
}
pub(crate) use visit;

/// One row of features.
///
/// ```
/// use imbalance::Row;
/// let dense = Row::from(&[0.0, 2.5, 0.0]);
/// let sparse = Row::sparse(3, &[1], &[2.5])?;
/// assert!(sparse.entries().eq([(1, 2.5)]));
/// assert_eq!(dense.to_vec()?, sparse.to_vec()?);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(pub(super) RowKind<'a>);

#[derive(Debug, Clone, Copy)]
pub(super) enum RowKind<'a> {
    F32(Entries<'a, f32>),
    F64(Entries<'a, f64>),
}

/// The stored entries of a row: of all columns, or of the columns `indices`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries<'a, F> {
    pub(super) columns: usize,
    pub(super) indices: Option<&'a [usize]>,
    pub(super) values: ArrayBase<ViewRepr<&'a F>, Ix1, F>,
}

impl<'a> Row<'a> {
    /// A row of `columns` columns that is zero except at `indices`.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if `indices` and `values` differ in length;
    /// [`Error::InvalidArgument`] unless the indices rise strictly and stay below `columns`.
    pub fn sparse<F: Scalar>(
        columns: usize,
        indices: &'a [usize],
        values: &'a [F],
    ) -> Result<Self> {
        same_length("indices", indices.len(), "values", values.len())?;
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::invalid(
                "indices",
                format!("{} then {}", pair[0], pair[1]),
                "strictly rising",
            ));
        }
        match indices.last() {
            Some(&last) if last >= columns => {
                Err(Error::invalid("indices", last, format!("below the {columns} columns")))
            }
            _ => Ok(F::row(columns, Some(indices), values.into())),
        }
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        match &self.0 {
            RowKind::F32(entries) => entries.columns,
            RowKind::F64(entries) => entries.columns,
        }
    }

    /// The stored entries as (column, value), in ascending order of columns. A dense row stores every column.
    pub fn entries(&self) -> impl Iterator<Item = (usize, f64)> + use<'a> {
        let (singles, doubles) = match self.0 {
            RowKind::F32(entries) => (Some(entries.iter()), None),
            RowKind::F64(entries) => (None, Some(entries.iter())),
        };
        singles.into_iter().flatten().chain(doubles.into_iter().flatten())
    }

    /// The value of a column.
    ///
    /// # Panics
    /// If the row has no such column.
    #[must_use]
    pub fn get(&self, column: usize) -> f64 {
        match &self.0 {
            RowKind::F32(entries) => entries.get(column),
            RowKind::F64(entries) => entries.get(column),
        }
    }

    /// The value of every column.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no memory for 8 bytes a column.
    pub fn to_vec(&self) -> Result<Vec<f64>> {
        ensure_columns_fit(self.columns(), 8)?;
        let mut values = vec![0.0; self.columns()];
        self.entries().for_each(|(column, value)| values[column] = value);
        Ok(values)
    }

    /// Calls `f` with this row as a matrix of one row, without an allocation.
    pub(crate) fn with_view<T>(self, f: impl FnOnce(FeaturesView<'_>) -> T) -> T {
        match self.0 {
            RowKind::F32(entries) => entries.with_matrix(|x| f(FeaturesView::F32(x))),
            RowKind::F64(entries) => entries.with_matrix(|x| f(FeaturesView::F64(x))),
        }
    }
}

impl<'a, F: Scalar> Entries<'a, F> {
    fn get(&self, column: usize) -> f64 {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        let place = match self.indices {
            None => Ok(column),
            Some(indices) => indices.binary_search(&column),
        };
        place.map_or(0.0, |place| self.values[place].to_f64())
    }

    fn iter(self) -> impl Iterator<Item = (usize, f64)> + 'a {
        let column = move |place| self.indices.map_or(place, |indices| indices[place]);
        self.values.into_iter().enumerate().map(move |(place, v)| (column(place), v.to_f64()))
    }

    fn with_matrix<T>(self, f: impl FnOnce(Matrix<'_, F>) -> T) -> T {
        match (self.indices, self.values.to_slice()) {
            (Some(indices), Some(values)) => {
                let bounds = [0, indices.len()];
                let row = CsMatView::new((1, self.columns), &bounds[..], indices, values);
                f(Matrix::Sparse(row))
            }
            _ => f(Matrix::Dense(self.values.insert_axis(Axis(0)))),
        }
    }
}

impl<'a, F: Scalar> From<ArrayView1<'a, F>> for Row<'a> {
    fn from(values: ArrayView1<'a, F>) -> Self {
        F::row(values.len(), None, values)
    }
}

impl<'a, F: Scalar> From<&'a [F]> for Row<'a> {
    fn from(values: &'a [F]) -> Self {
        ArrayView1::from(values).into()
    }
}

impl<'a, F: Scalar, const N: usize> From<&'a [F; N]> for Row<'a> {
    fn from(values: &'a [F; N]) -> Self {
        values[..].into()
    }
}

impl<'a, F: Scalar> From<&'a Vec<F>> for Row<'a> {
    fn from(values: &'a Vec<F>) -> Self {
        values[..].into()
    }
}

/// A mark, a place in a list of columns, and the place of each column in that list.
const COLUMN_LIST_BYTES: usize = 32;

/// Columns to keep of `count`, ascending, if the given ones are dropped.
pub(crate) fn columns_without(dropped: &[usize], count: usize) -> Result<Vec<usize>> {
    ensure_columns_fit(count, COLUMN_LIST_BYTES)?;
    let mut keep = vec![true; count];
    for &column in dropped {
        *keep.get_mut(column).ok_or_else(|| unknown_column(column, count))? = false;
    }
    Ok((0..count).filter(|&column| keep[column]).collect())
}

fn unknown_column(column: usize, count: usize) -> Error {
    Error::invalid("columns", column, format!("below {count}, the number of columns"))
}

impl Features<'_> {
    /// Number of rows.
    #[must_use]
    pub fn nrows(&self) -> usize {
        self.view().nrows()
    }

    /// Number of columns.
    #[must_use]
    pub fn ncols(&self) -> usize {
        self.view().ncols()
    }

    /// These features in a precision: borrowed if they have it already, else copied and rounded.
    #[must_use]
    pub fn with_precision(&self, precision: Precision) -> Features<'_> {
        fn convert<F: Scalar, G: Scalar>(x: Matrix<'_, F>) -> Features<'static> {
            let round = |value: &F| G::from_f64(value.to_f64());
            match x {
                Matrix::Dense(x) => x.map(round).into(),
                Matrix::Sparse(x) => x.map(round).into(),
            }
        }
        match (self.view(), precision) {
            (FeaturesView::F32(x), Precision::F64) => convert::<f32, f64>(x),
            (FeaturesView::F64(x), Precision::F32) => convert::<f64, f32>(x),
            (view, _) => view.into(),
        }
    }

    /// The matrix, borrowed.
    #[must_use]
    pub fn view(&self) -> FeaturesView<'_> {
        match &self.0 {
            Storage::Borrowed(x) => *x,
            Storage::DenseF32(x) => FeaturesView::F32(Matrix::Dense(x.view())),
            Storage::DenseF64(x) => FeaturesView::F64(Matrix::Dense(x.view())),
            Storage::SparseF32(x) => FeaturesView::F32(Matrix::Sparse(x.view())),
            Storage::SparseF64(x) => FeaturesView::F64(Matrix::Sparse(x.view())),
        }
    }
}

impl<'a> FeaturesView<'a> {
    /// Number of rows.
    #[must_use]
    pub fn nrows(&self) -> usize {
        visit!(self, |x| x.nrows())
    }

    /// Number of columns.
    #[must_use]
    pub fn ncols(&self) -> usize {
        visit!(self, |x| x.ncols())
    }

    /// How precisely the features are stored.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match self {
            Self::F32(_) => Precision::F32,
            Self::F64(_) => Precision::F64,
        }
    }

    /// Whether the matrix is sparse.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        visit!(self, |x| x.is_sparse())
    }

    /// Number of stored entries: in a dense matrix, rows × columns.
    #[must_use]
    pub fn stored(&self) -> usize {
        visit!(self, |x| x.stored())
    }

    /// Checks that a model fitted on `columns` columns can read these rows.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`], or [`Error::NotCsr`] for a sparse matrix stored by columns.
    pub fn ensure_columns(&self, columns: usize) -> Result<()> {
        visit!(self, |x| x.ensure_columns(columns))
    }

    /// One row.
    ///
    /// # Panics
    /// If the matrix has no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> Row<'a> {
        visit!(*self, |x| x.row(row))
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'a>> + use<'a> {
        let x = *self;
        (0..x.nrows()).map(move |row| x.row(row))
    }

    /// The rows of a range, borrowed.
    pub(crate) fn slice(self, rows: Range<usize>) -> Self {
        match self {
            Self::F32(x) => Self::F32(x.slice(rows)),
            Self::F64(x) => Self::F64(x.slice(rows)),
        }
    }

    /// The given rows, in the given order, copied.
    pub(crate) fn gather(self, rows: &[usize]) -> Features<'static> {
        visit!(self, |x| x.gather(rows))
    }

    /// The first entry that is not a finite number, as (row, column, value).
    pub(crate) fn first_non_finite(self) -> Option<(usize, usize, f64)> {
        visit!(self, |x| x.first_non_finite())
    }

    /// Checks that all entries are finite.
    pub(crate) fn ensure_finite(self) -> Result<()> {
        self.first_non_finite().map_or(Ok(()), |(row, column, value)| {
            let what = "the feature matrix".into();
            Err(Error::NonFinite { what, row, column: Some(column), value })
        })
    }

    /// The given columns, in ascending order, copied.
    pub(crate) fn pick_columns(self, columns: &[usize]) -> Features<'static> {
        visit!(self, |x| x.pick_columns(columns))
    }

    /// Whether each column has an entry that is not 0, in a row of positive weight.
    pub(crate) fn used_columns(self, weights: Option<&[f64]>) -> Result<Vec<bool>> {
        ensure_columns_fit(self.ncols(), COLUMN_LIST_BYTES)?;
        let mut used = vec![false; self.ncols()];
        let mut unused = self.ncols();
        for (number, row) in self.rows().enumerate() {
            if unused == 0 {
                break;
            }
            if weights.is_some_and(|weights| weights[number] == 0.0) {
                continue;
            }
            for (column, _) in row.entries().filter(|(_, value)| *value != 0.0) {
                unused -= usize::from(!used[column]);
                used[column] = true;
            }
        }
        Ok(used)
    }

    /// The rows of a range with the values of some columns (ascending) from other rows, `donors[row]`; only of rows whose
    /// values differ from their donor's there, which are returned with them.
    pub(crate) fn with_columns_from(
        self,
        rows: Range<usize>,
        donors: &[usize],
        columns: &[usize],
    ) -> (Vec<usize>, Features<'static>) {
        visit!(self, |x| x.with_columns_from(rows, donors, columns))
    }
}

impl<'a, F: Scalar> Matrix<'a, F> {
    pub(crate) fn nrows(&self) -> usize {
        match self {
            Self::Dense(x) => x.nrows(),
            Self::Sparse(x) => x.rows(),
        }
    }

    pub(crate) fn ncols(&self) -> usize {
        match self {
            Self::Dense(x) => x.ncols(),
            Self::Sparse(x) => x.cols(),
        }
    }

    /// Bytes of a stored value.
    pub(crate) fn entry_size(&self) -> usize {
        size_of::<F>()
    }

    fn stored(&self) -> usize {
        match self {
            Self::Dense(x) => x.len(),
            Self::Sparse(x) => x.nnz(),
        }
    }

    pub(crate) fn is_sparse(&self) -> bool {
        matches!(self, Self::Sparse(_))
    }

    pub(crate) fn ensure_columns(&self, columns: usize) -> Result<()> {
        if self.ncols() != columns {
            return Err(Error::ColumnMismatch { found: self.ncols(), expected: columns });
        }
        match self {
            Self::Sparse(x) if !x.is_csr() => Err(Error::NotCsr),
            _ => Ok(()),
        }
    }

    /// The value of an entry.
    pub(crate) fn get(&self, row: usize, column: usize) -> f64 {
        match self {
            Self::Dense(x) => x[[row, column]].to_f64(),
            Self::Sparse(x) => x.get(row, column).map_or(0.0, |value| value.to_f64()),
        }
    }

    fn row(self, row: usize) -> Row<'a> {
        match self {
            Self::Dense(x) => x.index_axis_move(Axis(0), row).into(),
            Self::Sparse(x) => {
                let (columns, stored) = (x.cols(), x.indptr().outer_inds_sz(row));
                let (_, indices, values) = x.into_raw_storage();
                F::row(columns, Some(&indices[stored.clone()]), values[stored].into())
            }
        }
    }

    /// The rows of a range, borrowed.
    pub(crate) fn slice(self, rows: Range<usize>) -> Self {
        match self {
            Self::Dense(mut x) => {
                x.slice_axis_inplace(Axis(0), Slice::from(rows));
                Self::Dense(x)
            }
            Self::Sparse(x) => Self::Sparse(x.slice_outer_rbr(rows)),
        }
    }

    /// The given rows, in the given order, copied.
    fn gather(self, rows: &[usize]) -> Features<'static> {
        match self {
            Self::Dense(x) => gather_dense(&x, rows).into(),
            Self::Sparse(x) => gather_sparse(&x, rows).into(),
        }
    }

    /// The given columns, in ascending order, copied.
    fn pick_columns(self, columns: &[usize]) -> Features<'static> {
        let x = match self {
            Self::Dense(x) => return x.select(Axis(1), columns).into(),
            Self::Sparse(x) => x,
        };
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        let mut place_of = vec![None; x.cols()];
        columns.iter().enumerate().for_each(|(place, &column)| place_of[column] = Some(place));
        for row in 0..x.rows() {
            let (stored, of) = sparse_row(&x, row);
            for (place, &value) in
                stored.iter().zip(of).filter_map(|(&c, v)| Some((place_of[c]?, v)))
            {
                indices.push(place);
                values.push(value);
            }
            indptr.push(indices.len());
        }
        CsMat::new((x.rows(), columns.len()), indptr, indices, values).into()
    }

    fn with_columns_from(
        self,
        rows: Range<usize>,
        donors: &[usize],
        columns: &[usize],
    ) -> (Vec<usize>, Features<'static>) {
        match self {
            Self::Dense(x) => {
                let differ = |&row: &usize| {
                    columns.iter().any(|&column| x[[row, column]] != x[[donors[row], column]])
                };
                let rows: Vec<usize> = rows.filter(differ).collect();
                let mut mixed = gather_dense(&x, &rows);
                for (mut mixed, &row) in mixed.rows_mut().into_iter().zip(&rows) {
                    columns.iter().for_each(|&column| mixed[column] = x[[donors[row], column]]);
                }
                (rows, mixed.into())
            }
            Self::Sparse(x) => {
                let entries = |row: usize| {
                    let (stored, values) = sparse_row(&x, row);
                    stored.iter().copied().zip(values.iter().copied())
                };
                let is_inside = |column: &usize| columns.binary_search(column).is_ok();
                let inside = |row: usize| {
                    entries(row).filter(|(column, v)| *v != F::default() && is_inside(column))
                };
                let differ = |&row: &usize| !inside(row).eq(inside(donors[row]));
                let rows: Vec<usize> = rows.filter(differ).collect();
                let (mut bounds, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
                for &row in &rows {
                    let kept = entries(row).filter(|(column, _)| !is_inside(column));
                    let mut mixed: Vec<(usize, F)> = kept.chain(inside(donors[row])).collect();
                    mixed.sort_unstable_by_key(|entry| entry.0);
                    indices.extend(mixed.iter().map(|entry| entry.0));
                    values.extend(mixed.iter().map(|entry| entry.1));
                    bounds.push(indices.len());
                }
                (rows, CsMat::new((bounds.len() - 1, x.cols()), bounds, indices, values).into())
            }
        }
    }

    /// The first entry that is not a finite number, as (row, column, value).
    pub(crate) fn first_non_finite(self) -> Option<(usize, usize, f64)> {
        parallel::map(self.nrows(), BLOCK, |_, rows| match self.slice(rows.clone()) {
            Self::Dense(x) => x
                .indexed_iter()
                .find_map(|((row, column), value)| non_finite(rows.start + row, column, *value)),
            Self::Sparse(x) => x
                .iter()
                .find_map(|(value, (row, column))| non_finite(rows.start + row, column, *value)),
        })
        .into_iter()
        .flatten()
        .next()
    }
}

/// The columns and values stored in a row of a CSR matrix.
pub(crate) fn sparse_row<'x, F: Scalar>(
    x: &'x CsMatView<'_, F>,
    row: usize,
) -> (&'x [usize], &'x [F]) {
    let stored = x.indptr().outer_inds_sz(row);
    (&x.indices()[stored.clone()], &x.data()[stored])
}

/// The columns stored in at least one of two rows of a CSR matrix, ascending, with both values; a value that
/// is not stored is zero.
pub(crate) fn sparse_union<'x, F: Scalar>(
    (mut a, mut a_values): (&'x [usize], &'x [F]),
    (mut b, mut b_values): (&'x [usize], &'x [F]),
) -> impl Iterator<Item = (usize, F, F)> {
    std::iter::from_fn(move || {
        let column = match (a.first(), b.first()) {
            (Some(a), Some(b)) => *a.min(b),
            (Some(only), None) | (None, Some(only)) => *only,
            (None, None) => return None,
        };
        let mut values = [F::default(); 2];
        if a.first() == Some(&column) {
            values[0] = a_values[0];
            (a, a_values) = (&a[1..], &a_values[1..]);
        }
        if b.first() == Some(&column) {
            values[1] = b_values[0];
            (b, b_values) = (&b[1..], &b_values[1..]);
        }
        Some((column, values[0], values[1]))
    })
}

fn non_finite<F: Scalar>(row: usize, column: usize, value: F) -> Option<(usize, usize, f64)> {
    let value = value.to_f64();
    (!value.is_finite()).then_some((row, column, value))
}

/// A dense matrix from the values of its rows, one row after the other.
pub(crate) fn dense<F: Scalar>(data: Vec<F>, rows: usize, columns: usize) -> Array2<F> {
    Array2::from_shape_vec((rows, columns), data)
        .expect("the caller collected rows × columns values")
}

fn gather_dense<F: Scalar>(x: &ArrayView2<'_, F>, rows: &[usize]) -> Array2<F> {
    let mut data = vec![F::default(); rows.len() * x.ncols()];
    gather_into(x, &Selection::List(rows), &mut data);
    dense(data, rows.len(), x.ncols())
}

/// Writes the selected rows to `out`, one after the other.
pub(crate) fn gather_into<F: Scalar>(x: &ArrayView2<'_, F>, rows: &Selection<'_>, out: &mut [F]) {
    let width = x.ncols();
    parallel::map_into(out, width.max(1), BLOCK, |_, range, out| {
        for (at, out) in range.zip(out.chunks_exact_mut(width)) {
            let row = x.row(rows.row(at));
            match row.as_slice() {
                Some(row) => out.copy_from_slice(row),
                None => out.iter_mut().zip(row).for_each(|(out, value)| *out = *value),
            }
        }
    });
}

fn gather_sparse<F: Scalar>(x: &CsMatView<'_, F>, rows: &[usize]) -> CsMat<F> {
    let mut gathered = CsrRows::new(x.cols());
    gathered.push(&Matrix::Sparse(*x), &Selection::List(rows));
    gathered.finish()
}

/// A sparse matrix in the making, one row after the other; memory for each part is asked for once.
#[derive(Debug)]
pub(crate) struct CsrRows<F> {
    width: usize,
    ends: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<F>,
}

impl<F: Scalar> CsrRows<F> {
    /// No rows yet.
    pub(crate) fn new(width: usize) -> Self {
        Self { width, ends: vec![0], columns: Vec::new(), values: Vec::new() }
    }

    /// Rows of a matrix below these. Of dense rows the entries that are not zero are stored.
    pub(crate) fn push(&mut self, x: &Matrix<'_, F>, rows: &Selection<'_>) {
        let nonzero = |value: &F| *value != F::default();
        let mut end = self.columns.len();
        self.ends.reserve_exact(rows.len());
        for at in 0..rows.len() {
            end += match x {
                Matrix::Dense(x) => x.row(rows.row(at)).into_iter().filter(|v| nonzero(v)).count(),
                Matrix::Sparse(x) => sparse_row(x, rows.row(at)).0.len(),
            };
            self.ends.push(end);
        }
        self.columns.reserve_exact(end - self.columns.len());
        self.values.reserve_exact(end - self.values.len());
        for at in 0..rows.len() {
            match x {
                Matrix::Dense(x) => {
                    let row = x.row(rows.row(at));
                    for (column, &value) in row.iter().enumerate().filter(|(_, v)| nonzero(v)) {
                        self.columns.push(column);
                        self.values.push(value);
                    }
                }
                Matrix::Sparse(x) => {
                    let (stored, entries) = sparse_row(x, rows.row(at));
                    self.columns.extend_from_slice(stored);
                    self.values.extend_from_slice(entries);
                }
            }
        }
    }

    /// Rows below these that store `sizes` entries each, to be filled in, `block` rows at a time.
    pub(crate) fn extend(
        &mut self,
        sizes: &[usize],
        block: usize,
    ) -> Vec<(&mut [usize], &mut [F])> {
        let start = self.columns.len();
        let mut end = start;
        self.ends.reserve_exact(sizes.len());
        for size in sizes {
            end += size;
            self.ends.push(end);
        }
        self.columns.reserve_exact(end - start);
        self.values.reserve_exact(end - start);
        self.columns.resize(end, 0);
        self.values.resize(end, F::default());
        let (mut columns, mut values) = (&mut self.columns[start..], &mut self.values[start..]);
        let cut = |sizes: &[usize]| {
            let n = sizes.iter().sum::<usize>();
            let columns = columns.split_off_mut(..n).unwrap_or_default();
            (columns, values.split_off_mut(..n).unwrap_or_default())
        };
        sizes.chunks(block).map(cut).collect()
    }

    pub(crate) fn finish(self) -> CsMat<F> {
        let shape = (self.ends.len() - 1, self.width);
        CsMat::new(shape, self.ends, self.columns, self.values)
    }
}

impl<'a, F: Scalar> From<ArrayView2<'a, F>> for FeaturesView<'a> {
    fn from(x: ArrayView2<'a, F>) -> Self {
        F::view(Matrix::Dense(x))
    }
}

impl<'a, F: Scalar> From<CsMatView<'a, F>> for FeaturesView<'a> {
    fn from(x: CsMatView<'a, F>) -> Self {
        F::view(Matrix::Sparse(x))
    }
}

impl<'a, F: Scalar> From<&'a Array2<F>> for FeaturesView<'a> {
    fn from(x: &'a Array2<F>) -> Self {
        x.view().into()
    }
}

impl<'a, F: Scalar> From<&'a CsMat<F>> for FeaturesView<'a> {
    fn from(x: &'a CsMat<F>) -> Self {
        x.view().into()
    }
}

impl<'a> From<&'a Features<'_>> for FeaturesView<'a> {
    fn from(x: &'a Features<'_>) -> Self {
        x.view()
    }
}

impl<F: Scalar> From<Array2<F>> for Features<'_> {
    fn from(x: Array2<F>) -> Self {
        F::dense(x)
    }
}

impl<F: Scalar> From<CsMat<F>> for Features<'_> {
    fn from(x: CsMat<F>) -> Self {
        F::sparse(if x.is_csr() { x } else { x.to_other_storage() })
    }
}

impl<'a, X: Into<FeaturesView<'a>>> From<X> for Features<'a> {
    fn from(x: X) -> Self {
        let x = x.into();
        visit!(x, |matrix| match matrix {
            Matrix::Sparse(columns) if !columns.is_csr() => columns.to_other_storage().into(),
            _ => Self(Storage::Borrowed(x)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_matrix_of_one_row_over_the_same_memory() {
        let values = [0.0, 2.5, -1.0];
        Row::from(&values).with_view(|x| {
            let FeaturesView::F64(Matrix::Dense(x)) = x else { panic!("{x:?}") };
            assert_eq!((x.dim(), x.as_ptr()), ((1, 3), values.as_ptr()));
            assert_eq!(x.as_slice(), Some(&values[..]));
        });
        let (indices, values) = ([1, 4], [2.5_f32, -1.0]);
        Row::sparse(6, &indices, &values).unwrap().with_view(|x| {
            let FeaturesView::F32(Matrix::Sparse(x)) = x else { panic!("{x:?}") };
            assert_eq!((x.shape(), x.is_csr()), ((1, 6), true));
            assert_eq!(sparse_row(&x, 0), (&indices[..], &values[..]));
            assert_eq!(sparse_row(&x, 0).1.as_ptr(), values.as_ptr());
        });
        // Nothing stored, and not even a column.
        for columns in [0, 3] {
            let row = Row::sparse::<f64>(columns, &[], &[]).unwrap();
            assert_eq!(row.with_view(|x| (x.nrows(), x.ncols(), x.stored())), (1, columns, 0));
        }
        assert_eq!(Row::from(&[0.0; 0]).with_view(|x| (x.nrows(), x.ncols())), (1, 0));
    }

    #[test]
    fn parts_of_sparse_matrices_count_from_their_own_first_row() {
        let matrix = |rows, indptr, indices: Vec<usize>, first: f64| {
            let values = (0..indices.len()).map(|k| first + k as f64).collect();
            CsMat::new((rows, 2), indptr, indices, values)
        };
        let top = matrix(3, vec![0, 2, 2, 3], vec![0, 1, 0], 1.0);
        let bottom = matrix(3, vec![0, 1, 2, 3], vec![1, 0, 1], 10.0);
        let [top, bottom] = [&top, &bottom].map(|x| Matrix::Sparse(x.view()).slice(1..3));
        let both = Selection::Range(0..2);
        let mut stacked = CsrRows::new(2);
        stacked.push(&top, &both);
        stacked.push(&bottom, &both);
        let blocks = stacked.extend(&[0, 1, 2], 2);
        assert_eq!(blocks.iter().map(|block| block.0.len()).collect::<Vec<_>>(), [1, 2]);
        for (columns, values) in blocks {
            values.fill(5.0);
            columns.iter_mut().enumerate().for_each(|(at, column)| *column = at);
        }
        let x = stacked.finish();
        let x = x.view();
        let rows: Vec<_> = (0..7).map(|row| sparse_row(&x, row)).collect();
        let expected: [(&[usize], &[f64]); 7] = [
            (&[], &[]),
            (&[0], &[3.0]),
            (&[0], &[11.0]),
            (&[1], &[12.0]),
            (&[], &[]),
            (&[0], &[5.0]),
            (&[0, 1], &[5.0, 5.0]),
        ];
        assert_eq!(rows, expected);
    }
}
