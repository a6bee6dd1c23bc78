//! Feature matrices, data sets and splits, through the public interface.

use std::collections::BTreeSet;

use crate::common::to_sparse;
use imbalance::Distortion;
use imbalance::ndarray::{Array1, Array2, ArrayView2, Axis, ShapeBuilder, array};
use imbalance::sprs::CsMat;
use imbalance::{
    Attribute, ClassTotals, Cut, Dataset, Error, Features, FeaturesView, Folds, Matrix, Row,
    Scalar, Seed, Split,
};
use proptest::prelude::*;

/// The matrix entry by entry, read by another way than the crate's.
fn entries(x: FeaturesView<'_>) -> Vec<Vec<f64>> {
    fn of<F: Scalar>(x: Matrix<'_, F>) -> Vec<Vec<f64>> {
        let (n, d) = match x {
            Matrix::Dense(x) => x.dim(),
            Matrix::Sparse(x) => x.shape(),
        };
        let entry = |row, column| match x {
            Matrix::Dense(x) => x[[row, column]].to_f64(),
            Matrix::Sparse(x) => x.get(row, column).map_or(0.0, |value| value.to_f64()),
        };
        (0..n).map(|row| (0..d).map(|column| entry(row, column)).collect()).collect()
    }
    let read = match x {
        FeaturesView::F32(x) => of(x),
        FeaturesView::F64(x) => of(x),
    };
    // A row read by itself has the same values.
    let rows: Vec<Vec<f64>> = x.rows().map(|row| row.to_vec().unwrap()).collect();
    assert_eq!(read, rows);
    read
}

/// The address of the first stored value.
fn address<F>(x: FeaturesView<'_>) -> *const F {
    match x {
        FeaturesView::F32(Matrix::Dense(x)) => x.as_ptr().cast(),
        FeaturesView::F32(Matrix::Sparse(x)) => x.data().as_ptr().cast(),
        FeaturesView::F64(Matrix::Dense(x)) => x.as_ptr().cast(),
        FeaturesView::F64(Matrix::Sparse(x)) => x.data().as_ptr().cast(),
    }
}

/// Four rows with all properties that a data set can have.
fn complete(x: &Array2<f64>) -> Dataset<'_> {
    decorate(Dataset::new(x, vec![true, false, false, true]).unwrap())
}

fn decorate(data: Dataset<'_>) -> Dataset<'_> {
    data.with_weights(vec![1.0, 2.0, 0.0, 4.0])
        .unwrap()
        .with_offsets(vec![0.1, 0.2, 0.3, 0.4])
        .unwrap()
        .with_attribute("day", Attribute::numbers(vec![10.0, 11.0, f64::NAN, 13.0]))
        .unwrap()
        .with_attribute("device", Attribute::categories(["phone", "desktop", "phone", "tablet"]))
        .unwrap()
        .with_distortion(Distortion::PriorShift { log_odds: 0.5 })
}

fn small() -> Array2<f64> {
    array![[1.0, 0.0, 2.0], [0.0, 0.0, 3.0], [4.0, 5.0, 0.0], [0.0, 0.0, 0.0]]
}

fn texts(data: &Dataset<'_>, column: &str) -> Vec<String> {
    let column = data.categories(column).unwrap();
    (0..column.len()).map(|row| column.get(row).unwrap().to_owned()).collect()
}

// ---------------------------------------------------------------------------------------- features

fn accepts_dense_of_any_layout<F: Scalar>(cast: fn(f64) -> F) {
    let expected = vec![vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]];
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(cast);
    let by_columns = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0].map(cast);
    // Every other entry of every other row of a larger matrix.
    let wide = [1.0, -1.0, 2.0, -1.0, 3.0, -1.0, 4.0, -1.0, 5.0, -1.0, 6.0, -1.0].map(cast);

    let owned = Array2::from_shape_vec((2, 3), values.to_vec()).unwrap();
    let fortran = Array2::from_shape_vec((2, 3).f(), by_columns.to_vec()).unwrap();
    assert!(!fortran.is_standard_layout());
    let strided = ArrayView2::from_shape((2, 3).strides((6, 2)), &wide).unwrap();
    let mut backwards = Array2::from_shape_vec((2, 3), values.to_vec()).unwrap();
    backwards.invert_axis(Axis(0));
    backwards.invert_axis(Axis(1));

    for features in [
        Features::from(owned.clone()),
        Features::from(&owned),
        Features::from(owned.view()),
        Features::from(FeaturesView::from(owned.view())),
        Features::from(&Features::from(&owned)),
        Features::from(&fortran),
        Features::from(fortran.clone()),
        Features::from(strided),
    ] {
        assert_eq!((features.nrows(), features.ncols()), (2, 3));
        assert_eq!((features.view().stored(), features.view().is_sparse()), (6, false));
        assert_eq!(entries(features.view()), expected);
    }
    assert_eq!(
        entries(Features::from(&backwards).view()),
        [vec![6.0, 5.0, 4.0], vec![3.0, 2.0, 1.0]]
    );
    // Borrowed layouts are not copied.
    assert_eq!(address(Features::from(&fortran).view()), fortran.as_ptr());
    assert_eq!(address(Features::from(strided).view()), wide.as_ptr());
}

#[test]
fn dense_matrices_of_any_layout_are_accepted() {
    accepts_dense_of_any_layout::<f64>(|value| value);
    accepts_dense_of_any_layout::<f32>(|value| value as f32);
}

fn accepts_sparse_of_any_storage<F: Scalar + std::ops::Add<Output = F>>(cast: fn(f64) -> F) {
    let csr = to_sparse(&small().mapv(cast));
    let csc = csr.to_csc();
    let expected = entries(Features::from(&small()).view());
    for features in [
        Features::from(csr.clone()),
        Features::from(&csr),
        Features::from(csr.view()),
        Features::from(FeaturesView::from(csr.view())),
        Features::from(csc.clone()),
        Features::from(&csc),
        Features::from(csc.view()),
        Features::from(FeaturesView::from(csc.view())),
    ] {
        assert_eq!((features.nrows(), features.ncols()), (4, 3));
        assert_eq!((features.view().stored(), features.view().is_sparse()), (5, true));
        let view = features.view();
        assert_eq!(view.precision(), F::PRECISION);
        assert!(match view {
            FeaturesView::F64(Matrix::Sparse(x)) => x.is_csr(),
            FeaturesView::F32(Matrix::Sparse(x)) => x.is_csr(),
            _ => false,
        });
        assert_eq!(entries(features.view()), expected);
    }
    assert_eq!(address(Features::from(&csr).view()), csr.data().as_ptr());

    // A view of some rows, whose row pointers do not start at 0, and of some columns.
    let rows = Features::from(csr.slice_outer(1..3));
    assert_eq!((rows.view().stored(), entries(rows.view())), (3, expected[1..3].to_vec()));
    let columns = Features::from(csc.slice_outer(1..3));
    let expected: Vec<_> = expected.iter().map(|row| row[1..3].to_vec()).collect();
    assert_eq!((columns.view().stored(), entries(columns.view())), (3, expected));
}

#[test]
fn sparse_matrices_of_any_storage_are_accepted() {
    accepts_sparse_of_any_storage::<f64>(|value| value);
    accepts_sparse_of_any_storage::<f32>(|value| value as f32);
}

#[test]
fn columns_are_checked_against_a_model() {
    let csr = to_sparse(&small());
    assert!(Features::from(&csr).view().ensure_columns(3).is_ok());
    let error = Features::from(&csr).view().ensure_columns(7).unwrap_err();
    assert!(matches!(error, Error::ColumnMismatch { found: 3, expected: 7 }));
    assert_eq!(error.to_string(), "the rows have 3 columns, but the model was fitted on 7");
    // Only a view that the user constructs can still be stored by columns.
    let csc = csr.to_csc();
    let error = FeaturesView::from(csc.view()).ensure_columns(3).unwrap_err();
    assert!(matches!(error, Error::NotCsr));
    assert!(error.to_string().contains("`matrix.to_csr()`"), "{error}");
}

#[test]
fn rows_are_checked() {
    let _: Row<'_> = Row::from(&[1.0, 2.0]);
    let _: Row<'_> = Row::from(&vec![1.0_f32]);
    assert!(Row::sparse(3, &[0, 2], &[1.0, 2.0]).is_ok());
    assert!(Row::sparse::<f64>(0, &[], &[]).is_ok());
    for columns in [1 << 60, usize::MAX] {
        let wide = Row::sparse(columns, &[1 << 59], &[1.0]).unwrap();
        assert_eq!(wide.get(1 << 59), 1.0);
        assert!(matches!(wide.to_vec(), Err(Error::InvalidArgument { .. })), "{columns}");
    }

    let error = Row::sparse(3, &[0, 2], &[1.0]).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { found: 2, expected: 1, .. }));
    assert!(
        error.to_string().starts_with("the length of indices is 2, but values has 1"),
        "{error}"
    );

    for (indices, message) in [
        ([2, 1], "`indices` is 2 then 1, but it must be strictly rising"),
        ([1, 1], "`indices` is 1 then 1, but it must be strictly rising"),
        ([1, 3], "`indices` is 3, but it must be below the 3 columns"),
    ] {
        let error = Row::sparse(3, &indices, &[1.0, 2.0]).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "indices", .. }));
        assert_eq!(error.to_string(), message);
    }
}

// ---------------------------------------------------------------------------------------- data sets

#[test]
fn columns_can_be_given_in_many_ways() {
    let x = small();
    let labels = [true, false, false, true];
    let vec = labels.to_vec();
    let array = Array1::from(labels.to_vec());
    let every_other = [true, true, false, true, false, true, true, true];
    let strided = imbalance::ndarray::ArrayView1::from_shape(4.strides(2), &every_other).unwrap();
    for data in [
        Dataset::new(&x, vec.clone()).unwrap(),
        Dataset::new(&x, &vec).unwrap(),
        Dataset::new(&x, std::borrow::Cow::Borrowed(&labels[..])).unwrap(),
        Dataset::new(&x, &labels).unwrap(),
        Dataset::new(&x, &labels[..]).unwrap(),
        Dataset::new(&x, array.clone()).unwrap(),
        Dataset::new(&x, &array).unwrap(),
        Dataset::new(&x, array.view()).unwrap(),
        Dataset::new(&x, strided).unwrap(),
    ] {
        assert_eq!(data.labels(), labels);
        assert_eq!((data.rows(), data.columns()), (4, 3));
    }
    // Borrowed contiguous columns are not copied.
    let data = Dataset::new(&x, array.view()).unwrap();
    assert_eq!(data.labels().as_ptr(), array.as_ptr());
}

#[test]
fn labels_and_features_are_validated() {
    let error = Dataset::new(small(), vec![true, false]).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { found: 2, expected: 4, .. }));
    assert_eq!(
        error.to_string(),
        "the length of labels is 2, but the feature matrix has 4: one entry per row is needed"
    );

    let error = Dataset::new(Array2::<f64>::zeros((0, 3)), Vec::new()).unwrap_err();
    assert!(matches!(error, Error::NoRows { .. }));
    assert_eq!(error.to_string(), "the data set has no rows");

    // Rows need no features: a model can still learn an intercept.
    assert_eq!(Dataset::new(Array2::<f64>::zeros((2, 0)), vec![true, false]).unwrap().columns(), 0);
}

#[test]
fn the_first_feature_that_is_not_finite_is_named() {
    // More rows than a block, so that the row is the sum of the block's start and a position in it.
    let rows = 10_000;
    let labels = vec![false; rows];
    for (value, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        let mut x = Array2::from_elem((rows, 2), 1.0);
        x[[9_000, 0]] = f64::NAN;
        x[[8_999, 1]] = value;
        let message = format!(
            "the feature matrix holds {text} at row 8999, column 1: finite numbers are needed; fill in what is \
             missing, as `data::Encoder` does, or leave the row out"
        );
        let fortran = x.t().as_standard_layout().into_owned().reversed_axes();
        let matrix = to_sparse(&x);
        let narrow = x.mapv(|value| value as f32);
        let errors = [
            Dataset::new(&x, &labels).unwrap_err(),
            Dataset::new(&fortran, &labels).unwrap_err(),
            Dataset::new(&matrix, &labels).unwrap_err(),
            Dataset::new(matrix.to_csc(), &labels).unwrap_err(),
            Dataset::new(&narrow, &labels).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::NonFinite { row: 8_999, column: Some(1), .. }));
            assert_eq!(error.to_string(), message);
        }
        // Also in a part of a larger sparse matrix.
        let part = matrix.slice_outer(8_000..9_500);
        let error = Dataset::new(part, &labels[..1_500]).unwrap_err();
        assert!(matches!(error, Error::NonFinite { row: 999, column: Some(1), .. }), "{error}");
    }
}

#[test]
fn weights_are_validated() {
    let x = small();
    let with = |weights: Vec<f64>| {
        Dataset::new(&x, vec![true, false, false, true]).unwrap().with_weights(weights)
    };
    assert_eq!(with(vec![0.0, 1.0, 2.0, -0.0]).unwrap().weights().unwrap()[2], 2.0);

    let error = with(vec![1.0; 3]).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { found: 3, expected: 4, .. }));
    assert!(error.to_string().starts_with("the length of weights is 3, but the data set has 4"));

    let error = with(vec![1.0, 1.0, f64::INFINITY, f64::NAN]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 2, column: None, .. }));
    assert_eq!(
        error.to_string(),
        "weights holds inf at row 2: finite numbers are needed; replace it, \
             or drop the row"
    );

    let error = with(vec![1.0, -0.5, 1.0, -2.0]).unwrap_err();
    assert!(matches!(error, Error::NegativeWeight { row: 1, value } if value == -0.5));
    assert_eq!(error.to_string(), "the weight of row 1 is -0.5: weights must be zero or positive");

    let error = with(vec![0.0; 4]).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "weights", .. }));
    assert_eq!(
        error.to_string(),
        "`weights` is zero for every row, but it must be positive for some row"
    );

    // Each weight is finite, but their sum is not.
    let error = with(vec![f64::MAX, f64::MAX, 1.0, 1.0]).unwrap_err();
    assert!(matches!(error, Error::Numerical { .. }));
    assert!(error.to_string().starts_with("the total weight is inf"), "{error}");
}

#[test]
fn offsets_are_validated() {
    let x = small();
    let with = |offsets: Vec<f64>| {
        Dataset::new(&x, vec![true, false, false, true]).unwrap().with_offsets(offsets)
    };
    assert_eq!(with(vec![-1.0, 0.0, 1.0, 2.0]).unwrap().offsets().unwrap()[0], -1.0);
    let error = with(vec![0.0; 5]).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { found: 5, expected: 4, .. }));
    assert!(error.to_string().starts_with("the length of offsets is 5, but the data set has 4"));
    let error = with(vec![0.0, 0.0, 0.0, f64::NAN]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 3, column: None, .. }));
    assert_eq!(
        error.to_string(),
        "offsets holds NaN at row 3: finite numbers are needed; replace it, \
             or drop the row"
    );
}

#[test]
fn attributes_are_validated_and_looked_up_by_name() {
    let x = small();
    let data = complete(&x);
    assert_eq!(data.attribute_names().collect::<Vec<_>>(), ["day", "device"]);
    assert_eq!(data.numbers("day").unwrap()[1], 11.0);
    let device = data.categories("device").unwrap();
    assert_eq!(device.levels(), ["phone", "desktop", "tablet"]);
    assert_eq!(device.codes(), [0, 1, 0, 2]);
    assert_eq!((device.get(2), device.get(4)), (Some("phone"), None));
    assert_eq!((device.len(), device.is_empty()), (4, false));
    assert!(Attribute::categories([""; 0]).is_empty());

    let error = data.view().with_attribute("place", Attribute::numbers(vec![0.0; 3])).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { found: 3, expected: 4, .. }));
    assert!(
        error.to_string().starts_with("the length of attribute column `place` is 3"),
        "{error}"
    );

    let error = data.view().with_attribute("day", Attribute::numbers(vec![0.0; 4])).unwrap_err();
    assert!(matches!(error, Error::DuplicateColumn { .. }));
    assert_eq!(error.to_string(), "the attribute column `day` is named twice");

    let error = data.attribute("dya").unwrap_err();
    assert!(matches!(error, Error::UnknownColumn { .. }));
    assert_eq!(error.to_string(), "there is no attribute column `dya`; there are: day, device");
    let bare = Dataset::new(&x, vec![true; 4]).unwrap();
    assert!(bare.attribute("day").unwrap_err().to_string().ends_with("there are: none"));

    let error = data.numbers("device").unwrap_err();
    assert!(matches!(error, Error::ColumnKind { found: "texts", expected: "numbers", .. }));
    assert_eq!(error.to_string(), "the column `device` holds texts, but numbers are needed here");
    let error = data.categories("day").unwrap_err();
    assert!(matches!(error, Error::ColumnKind { found: "numbers", expected: "texts", .. }));
}

#[test]
fn totals_count_and_weigh_each_class() {
    let x = small();
    let totals = complete(&x).totals();
    let expected =
        ClassTotals { positives: 2, negatives: 2, positive_weight: 5.0, negative_weight: 2.0 };
    assert_eq!(totals, expected);
    assert_eq!((totals.rows(), totals.weight()), (4, 7.0));
    assert!((totals.rate() - 5.0 / 7.0).abs() < 1e-15);
    assert!((totals.log_odds() - 2.5_f64.ln()).abs() < 1e-15);
    assert!(totals.ensure_both("this test").is_ok());

    let totals = Dataset::new(&x, vec![false; 4]).unwrap().totals();
    assert_eq!((totals.positive_weight, totals.negative_weight, totals.rate()), (0.0, 4.0, 0.0));
    assert_eq!(totals.log_odds(), f64::NEG_INFINITY);
    let error = totals.ensure_both("this test").unwrap_err();
    assert!(matches!(error, Error::OneClass { positives: 0, negatives: 4, .. }));
    assert_eq!(
        error.to_string(),
        "this test needs both classes, but of 0 positive and 4 negative rows the positives weigh 0 \
         and the negatives 4 in all; take more rows, or check how labels and weights are made"
    );
    // A class without weight counts as missing.
    let labels = vec![true, false, false, true];
    let weightless = Dataset::new(&x, labels).unwrap().with_weights(vec![0.0, 1.0, 1.0, 0.0]);
    assert!(matches!(
        weightless.unwrap().totals().ensure_both("this test"),
        Err(Error::OneClass { positives: 2, .. })
    ));
}

#[test]
fn a_selection_keeps_everything_that_belongs_to_its_rows() {
    let x = small();
    let csr = to_sparse(&x);
    let labels = vec![true, false, false, true];
    for data in [complete(&x), decorate(Dataset::new(&csr, labels).unwrap())] {
        // Out of order and with repeats.
        let picked = data.select(&[3, 1, 1]).unwrap();
        assert_eq!(
            entries(picked.features()),
            [vec![0.0; 3], vec![0.0, 0.0, 3.0], vec![0.0, 0.0, 3.0]]
        );
        assert_eq!(picked.features().is_sparse(), data.features().is_sparse());
        assert_eq!(picked.labels(), [true, false, false]);
        assert_eq!(picked.weights().unwrap(), [4.0, 2.0, 2.0]);
        assert_eq!(picked.offsets().unwrap(), [0.4, 0.2, 0.2]);
        assert_eq!(picked.numbers("day").unwrap(), [13.0, 11.0, 11.0]);
        assert_eq!(texts(&picked, "device"), ["tablet", "desktop", "desktop"]);
        // Codes keep their meaning in every part of a data set.
        assert_eq!(
            picked.categories("device").unwrap().levels(),
            data.categories("device").unwrap().levels()
        );
        assert_eq!(picked.distortion(), data.distortion());
        assert_ne!(address::<f64>(picked.features()), address(data.features()));

        // Properties that the data set lacks are not invented.
        let bare = Dataset::new(data.features(), data.labels()).unwrap();
        let picked = bare.select(&[2, 0]).unwrap();
        assert!(picked.weights().is_none() && picked.offsets().is_none());
        assert!(picked.distortion().is_none() && picked.attribute_names().next().is_none());
    }
}

#[test]
fn consecutive_rows_and_views_are_borrowed() {
    let x = small();
    let csr = to_sparse(&x);
    let labels = vec![true, false, false, true];
    let sets = [complete(&x), decorate(Dataset::new(&csr, labels).unwrap())];
    // Row 1 begins after 3 entries in the dense matrix, and after 2 stored entries in the sparse matrix.
    for (data, before) in sets.iter().zip([3, 2]) {
        let part = data.select(&[1, 2]).unwrap();
        let first: *const f64 = address(data.features());
        assert_eq!(address(part.features()), first.wrapping_add(before));
        assert_eq!(part.labels().as_ptr(), data.labels()[1..].as_ptr());
        assert_eq!(part.weights().unwrap().as_ptr(), data.weights().unwrap()[1..].as_ptr());
        assert_eq!(part.offsets().unwrap().as_ptr(), data.offsets().unwrap()[1..].as_ptr());
        assert_eq!(
            part.numbers("day").unwrap().as_ptr(),
            data.numbers("day").unwrap()[1..].as_ptr()
        );
        assert_eq!(
            part.categories("device").unwrap().codes().as_ptr(),
            data.categories("device").unwrap().codes()[1..].as_ptr()
        );
        assert_eq!(entries(part.features()), entries(data.features())[1..3]);

        // Rows of a part are counted from the first row of the part.
        assert_eq!(entries(part.select(&[1]).unwrap().features())[0], [4.0, 5.0, 0.0]);
        let reversed = part.select(&[1, 0]).unwrap();
        assert_eq!(entries(reversed.features()), [vec![4.0, 5.0, 0.0], vec![0.0, 0.0, 3.0]]);
        assert_eq!(reversed.offsets().unwrap(), [0.3, 0.2]);

        let view = data.view();
        assert_eq!(address::<f64>(view.features()), address(data.features()));
        assert_eq!(view.labels().as_ptr(), data.labels().as_ptr());
        assert_eq!(view.weights().unwrap().as_ptr(), data.weights().unwrap().as_ptr());
        assert_eq!(view.offsets().unwrap().as_ptr(), data.offsets().unwrap().as_ptr());
        assert_eq!(texts(&view, "device"), texts(data, "device"));
        assert_eq!(view.distortion(), data.distortion());
        assert_eq!(entries(view.features()), entries(data.features()));
    }
}

#[test]
fn a_selection_names_the_row_that_does_not_exist() {
    let x = small();
    let data = complete(&x);
    let error = data.select(&[0, 4, 9]).unwrap_err();
    assert!(matches!(error, Error::RowOutOfRange { row: 4, rows: 4, .. }));
    assert_eq!(error.to_string(), "the selection names row 4, but there are only 4 rows");
    // The row after usize::MAX must not overflow.
    let error = data.select(&[usize::MAX, 0]).unwrap_err();
    assert!(matches!(error, Error::RowOutOfRange { row: usize::MAX, .. }));
    let error = data.select(&[]).unwrap_err();
    assert!(matches!(error, Error::NoRows { .. }));
    assert_eq!(error.to_string(), "the selection has no rows");
}

#[test]
fn the_debug_form_is_a_summary() {
    let text = format!("{:?}", complete(&small()));
    assert!(text.contains("rows: 4") && text.contains("\"device\""), "{text}");
    assert!(text.len() < 400, "{text}");
}

/// A matrix of a few small whole numbers, and rows picked from it with repeats.
fn matrix_and_rows() -> impl Strategy<Value = (Array2<f64>, Vec<usize>)> {
    (1..40_usize, 0..6_usize).prop_flat_map(|(rows, columns)| {
        let value = prop_oneof![2 => Just(0.0), 1 => (-3..4_i32).prop_map(f64::from)];
        let matrix = prop::collection::vec(value, rows * columns)
            .prop_map(move |values| Array2::from_shape_vec((rows, columns), values).unwrap());
        // Some of the lists are ranges, which are not copied.
        let range = (0..rows, 1..=rows)
            .prop_map(move |(start, length)| (start..(start + length).min(rows)).collect());
        (matrix, prop_oneof![prop::collection::vec(0..rows, 1..60), range])
    })
}

proptest! {
    #[test]
    fn select_is_a_naive_gather((x, rows) in matrix_and_rows(), (inner, seed) in (0..100_usize, 0..99_u64)) {
        let n = x.nrows();
        let labels: Vec<bool> = (0..n as u64).map(|row| (row + seed) % 3 == 0).collect();
        let weights: Vec<f64> = (0..n).map(|row| 1.0 + row as f64).collect();
        let csr = to_sparse(&x);
        let fortran = x.t().as_standard_layout().into_owned().reversed_axes();
        let sets = [Dataset::new(&x, &labels), Dataset::new(&fortran, &labels), Dataset::new(&csr, &labels)];
        for data in sets {
            let data = data.unwrap().with_weights(&weights).unwrap();
            let part = data.select(&rows).unwrap();
            let expected: Vec<Vec<f64>> = rows.iter().map(|&row| x.row(row).to_vec()).collect();
            prop_assert_eq!(entries(part.features()), expected);
            let expected: Vec<bool> = rows.iter().map(|&row| labels[row]).collect();
            prop_assert_eq!(part.labels(), expected);
            let expected: Vec<f64> = rows.iter().map(|&row| weights[row]).collect();
            prop_assert_eq!(part.weights().unwrap(), expected);

            // A selection of a selection.
            let again: Vec<usize> = (0..5).map(|step| (inner + 7 * step) % rows.len()).collect();
            let part = part.select(&again).unwrap();
            let expected: Vec<Vec<f64>> =
                again.iter().map(|&row| x.row(rows[row]).to_vec()).collect();
            prop_assert_eq!(entries(part.features()), expected);
        }
    }
}

#[test]
fn a_selection_of_many_rows_is_a_naive_gather() {
    // More rows than a block of parallel work, in scrambled order: 7919 is coprime to 10,000.
    let x = Array2::from_shape_fn((10_000, 3), |(row, column)| ((row * 3 + column) % 17) as f64);
    let rows: Vec<usize> = (0..10_000).map(|row| row * 7919 % 10_000).collect();
    let labels = vec![false; 10_000];
    let csr = to_sparse(&x);
    for data in [Dataset::new(&x, &labels).unwrap(), Dataset::new(&csr, &labels).unwrap()] {
        let picked = entries(data.select(&rows).unwrap().features());
        assert!(rows.iter().zip(picked).all(|(&row, picked)| x.row(row).to_vec() == picked));
    }
}

// ------------------------------------------------------------------------------------------- splits

/// `round` of the documentation, in whole numbers: `percent` % of n, halves up.
fn percent_of(percent: usize, n: usize) -> usize {
    (percent * n + 50) / 100
}

fn assert_partition(split: &Split, rows: usize) {
    let all: BTreeSet<usize> = split.train().iter().chain(split.test()).copied().collect();
    assert_eq!(split.train().len() + split.test().len(), rows, "some row is on both sides");
    assert!(all.into_iter().eq(0..rows), "some row is missing");
}

proptest! {
    #[test]
    fn a_stratified_split_takes_its_share_of_each_class(
        labels in prop::collection::vec(prop::bool::weighted(0.2), 0..300),
        percent in 1..100_usize,
        seed in any::<u64>(),
    ) {
        let share = percent as f64 / 100.0;
        let positives = labels.iter().filter(|&&label| label).count();
        // At least one row of a class tests, and at least one trains.
        let [p, n] = [positives, labels.len() - positives].map(|of| {
            let most = of.saturating_sub(1);
            percent_of(percent, of).clamp(most.min(1), most)
        });
        // A half is rounded up here and in the crate, unless share · n is off by a rounding error.
        let tie = |of: usize| (percent * of) % 100 == 50;
        prop_assume!(!tie(positives) && !tie(labels.len() - positives));
        let split = Split::stratified(&labels, share, seed);
        if p + n == 0 || p + n == labels.len() {
            let refused = matches!(split, Err(Error::InvalidArgument { argument: "test_share", .. }));
            prop_assert!(refused);
        } else if positives == 1 || labels.len() - positives == 1 {
            let refused = matches!(split, Err(Error::SplitOfOneClass { test: true, .. }));
            prop_assert!(refused);
        } else {
            let split = split.unwrap();
            assert_partition(&split, labels.len());
            let test_positives = split.test().iter().filter(|&&row| labels[row]).count();
            prop_assert_eq!((test_positives, split.test().len()), (p, p + n));
            prop_assert!(split.train().is_sorted() && split.test().is_sorted());
            prop_assert_eq!(split, Split::stratified(&labels, share, seed).unwrap());
        }
    }

    #[test]
    fn a_split_by_time_never_looks_ahead(
        times in prop::collection::vec((-9..9_i32).prop_map(f64::from), 0..200),
        percent in 1..100_usize,
    ) {
        let wanted = percent_of(percent, times.len());
        match Split::by_time(&times, percent as f64 / 100.0) {
            Err(error) => {
                let refused = matches!(error, Error::InvalidArgument { argument: "test_share" | "times", .. });
                prop_assert!(refused);
                // No row trains, no row tests, or the test rows are as old as the rows before them.
                let mut sorted = times.clone();
                sorted.sort_by(f64::total_cmp);
                let cut = times.len() - wanted;
                prop_assert!(cut == 0 || wanted == 0 || sorted[cut - 1] == sorted[times.len() - 1]);
            }
            Ok(split) => {
                assert_partition(&split, times.len());
                let of = |rows: &[usize]| rows.iter().map(|&row| times[row]).collect::<Vec<_>>();
                let (train, test) = (of(split.train()), of(split.test()));
                prop_assert!(train.is_sorted() && test.is_sorted());
                // Strictly less, so equal times are on one side.
                prop_assert!(train[train.len() - 1] < test[0]);
                // The requested number of rows, less the rows as old as the last row that must train.
                prop_assert!(test.len() <= wanted);
                let short = wanted - test.len();
                let last = train[train.len() - 1];
                let moved = train.iter().rev().take(short).all(|&time| time == last);
                prop_assert!(moved);
            }
        }
    }
}

#[test]
fn a_stratified_split_depends_on_its_seed_and_on_nothing_else() {
    let labels: Vec<bool> = (0..1000).map(|row| row % 10 == 3).collect();
    let split = Split::stratified(&labels, 0.3, 1).unwrap();
    assert_eq!(split, Split::stratified(&labels, 0.3, Seed::new(1)).unwrap());
    assert_ne!(split, Split::stratified(&labels, 0.3, 2).unwrap());

    // The drawn positives depend neither on the number of negatives nor on their rows.
    let positives = |labels: &[bool]| -> Vec<usize> {
        let split = Split::stratified(labels, 0.3, 1).unwrap();
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| labels[row]).collect();
        (0..rows.len()).filter(|&p| split.test().contains(&rows[p])).collect()
    };
    let fewer: Vec<bool> = (0..250).map(|row| row < 100).collect();
    assert_eq!(positives(&labels), positives(&fewer));

    // The classes have different draws, also if their numbers of rows are equal.
    let even: Vec<bool> = (0..200).map(|row| row % 2 == 0).collect();
    let split = Split::stratified(&even, 0.5, 1).unwrap();
    let of = |label: usize| -> Vec<usize> {
        split.test().iter().filter(|&&row| row % 2 == label).map(|row| row / 2).collect()
    };
    assert_eq!((of(0).len(), of(1).len()), (50, 50));
    assert_ne!(of(0), of(1));
}

#[test]
fn splits_without_positives_or_negatives() {
    for label in [false, true] {
        let split = Split::stratified(&[label; 10], 0.3, 5).unwrap();
        assert_eq!((split.train().len(), split.test().len()), (7, 3));
        assert_partition(&split, 10);
    }
    // One positive cannot be on both sides; of two, one is on each, whatever the share.
    let labels = [true, false, false, false, false, false];
    for share in [0.3, 0.5, 0.9] {
        let error = Split::stratified(&labels, share, 5).unwrap_err();
        assert!(
            matches!(error, Error::SplitOfOneClass { test: true, positives: 0, .. }),
            "{error}"
        );
        let two = Split::stratified(&[true, true, false, false, false, false], share, 5).unwrap();
        assert_eq!(two.test().iter().filter(|&&row| row < 2).count(), 1);
    }
    assert_eq!(
        Split::stratified(&labels, 0.5, 5).unwrap_err().to_string(),
        "the split tests on 0 positive and 3 negative rows, but both classes are needed: take another \
         `test_share`, more rows, or another rule"
    );
    // By time, in order and by group a data set asks too; a split of rows alone does not.
    let x = Array2::<f64>::zeros((6, 1));
    let data = Dataset::new(&x, &labels)
        .unwrap()
        .with_attribute("time", Attribute::numbers((0..6).map(f64::from).collect::<Vec<_>>()))
        .unwrap();
    let refused = |result: Result<_, Error>| {
        matches!(result.map(drop), Err(Error::SplitOfOneClass { test: true, positives: 0, .. }))
    };
    assert!(refused(data.time_split("time", 0.5)));
    assert!(refused(data.cut(&Cut::InOrder, 0.5, 1)));
    assert!(data.cut(&Cut::by_group("time"), 0.5, 1).is_err());
    assert!(data.split(&Split::last(6, 0.5).unwrap()).is_ok());
    let last: Vec<bool> = labels.iter().rev().copied().collect();
    let error = Dataset::new(&x, &last).unwrap().cut(&Cut::InOrder, 0.5, 1).unwrap_err();
    assert!(matches!(error, Error::SplitOfOneClass { test: false, positives: 0, negatives: 3 }));
}

#[test]
fn a_split_by_time_of_rows_in_order_is_a_range() {
    let times = [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 4.0];
    // Half are four rows, but the first of them is as old as the row before.
    let split = Split::by_time(&times, 0.5).unwrap();
    assert_eq!((split.train(), split.test()), (&[0, 1, 2, 3, 4][..], &[5, 6, 7][..]));
    // −0 and 0 are equal times.
    let split = Split::by_time(&[0.0, -0.0, 1.0, 0.0], 0.5).unwrap();
    assert_eq!(split.test(), [2]);
    let error = Split::by_time(&[1.0, f64::NAN], 0.5).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 1, .. }));
    assert_eq!(
        error.to_string(),
        "times holds NaN at row 1: finite numbers are needed; replace it, \
             or drop the row"
    );
    let error = Split::by_time(&[1.0, 1.0], 0.5).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`times` is 1 in the 2 latest of 2 rows, but it must be of more than one value there, as rows with equal \
         times are never separated; take a larger `test_share`, or finer times"
    );
    let labels = [true, false, true, false, true, false];
    let error = Folds::by_time(&labels, &[7.0; 6], 2).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "times", .. }), "{error}");
    assert!(error.to_string().contains("of 1 different values"), "{error}");
}

#[test]
fn more_columns_than_there_can_be_coefficients_are_refused() {
    for columns in [1 << 63, usize::MAX] {
        let x = CsMat::<f64>::zero((2, columns));
        let error = Dataset::new(&x, vec![true, false]).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "columns", .. }), "{error}");
    }
    let x = CsMat::<f64>::zero((2, 1 << 20));
    assert_eq!(Dataset::new(&x, vec![true, false]).unwrap().columns(), 1 << 20);
}

#[test]
fn the_last_rows_test() {
    let split = Split::last(100, 0.29).unwrap();
    assert!(split.train().iter().copied().eq(0..71));
    assert!(split.test().iter().copied().eq(71..100));
    let error = Split::last(usize::MAX, 0.5).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "rows", .. }), "{error}");
    for rows in [0, 1] {
        let error = Split::last(rows, 0.5).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "test_share", .. }));
        assert!(error.to_string().contains(&format!("of {rows} rows")), "{error}");
    }
}

#[test]
fn shares_outside_their_range_are_refused() {
    for share in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
        let message =
            format!("`test_share` is {share}, but it must be between 0 and 1, both excluded");
        for split in [
            Split::stratified(&[true, false], share, 1),
            Split::by_time(&[1.0, 2.0], share),
            Split::last(2, share),
        ] {
            assert_eq!(split.unwrap_err().to_string(), message);
        }
    }
}

#[test]
fn data_sets_are_split_with_all_they_carry() {
    let x = small();
    let data = complete(&x);
    let (train, test) = data.split(&Split::last(4, 0.25).unwrap()).unwrap();
    assert_eq!((train.rows(), test.rows()), (3, 1));
    assert_eq!(test.weights().unwrap(), [4.0]);
    assert_eq!(texts(&test, "device"), ["tablet"]);
    assert_eq!((train.distortion(), test.distortion()), (data.distortion(), data.distortion()));
    assert_eq!(address(train.features()), x.as_ptr());

    let (train, test) = data.stratified_split(0.5, 3).unwrap();
    for part in [&train, &test] {
        assert_eq!((part.totals().positives, part.totals().negatives), (1, 1));
    }

    // A missing time, a column of texts, no such column.
    let error = data.time_split("day", 0.5).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 2, .. }));
    assert!(matches!(data.time_split("device", 0.5), Err(Error::ColumnKind { .. })));
    assert!(matches!(data.time_split("hour", 0.5), Err(Error::UnknownColumn { .. })));
    let dated =
        data.view().with_attribute("hour", Attribute::numbers(vec![4.0, 3.0, 2.0, 1.0])).unwrap();
    let (train, test) = dated.time_split("hour", 0.5).unwrap();
    assert_eq!(train.numbers("hour").unwrap(), [1.0, 2.0]);
    assert_eq!(test.numbers("hour").unwrap(), [3.0, 4.0]);

    // A split made for more rows.
    let error = data.split(&Split::last(8, 0.5).unwrap()).unwrap_err();
    assert!(matches!(error, Error::RowOutOfRange { row: 4, rows: 4, .. }), "{error}");
}
