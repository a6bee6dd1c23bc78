//! Permutation importance against its expectation, summed over all pairs of rows.

use imbalance::calibration::{Calibration, CalibrationMap, PlattMap, Uncalibrated};
use imbalance::evaluation::{PermutationImportance, PermutationReport};
use imbalance::metrics::{brier_score, log_loss, roc_auc};
use imbalance::model::{FnPredict, LinearModel, Predict};
use imbalance::ndarray::Array2;
use imbalance::sprs::CsMat;
use imbalance::{Dataset, Error, FittedPipeline, Result, Row, Run};

fn rows(n: usize) -> (Array2<f64>, Vec<bool>, Vec<f64>) {
    let share = |i: usize, a: usize| ((i * a) % 997) as f64 / 997.0;
    let x = Array2::from_shape_fn((n, 3), |(i, j)| match j {
        1 if i % 3 > 0 => 0.0,
        _ => 3.0 * share(i + 1, [7919, 104_729, 1_299_709][j]),
    });
    let labels = (0..n).map(|i| x[(i, 0)] + share(i, 15_485_863) > 2.4).collect();
    (x, labels, (0..n).map(|i| (i % 4) as f64).collect())
}

fn pipeline() -> FittedPipeline<LinearModel, PlattMap> {
    let model = LinearModel::new(vec![1.5, 0.5, 0.0], -3.0).unwrap();
    let map = Calibration::new(PlattMap::new(0.8, 0.1).unwrap());
    FittedPipeline::from_parts([(model, map)]).unwrap()
}

fn measure<P: Predict, K: CalibrationMap>(
    fitted: &FittedPipeline<P, K>,
    data: &Dataset<'_>,
    repetitions: usize,
    seed: u64,
) -> PermutationReport {
    let importance = PermutationImportance::new(brier_score).repetitions(repetitions).unwrap();
    importance.measure(fitted, data, &Run::seeded(seed)).unwrap()
}

/// The Brier score with the column of every row for every row, each pair with both weights, less that of the rows.
fn expected(data: &Dataset<'_>, column: usize) -> f64 {
    let (fitted, x) = (pipeline(), data.features());
    let weight = |row: usize| data.weights().map_or(1.0, |weights| weights[row]);
    let loss = |row: usize, donor: usize| {
        let mut values = x.row(row).to_vec().unwrap();
        values[column] = x.row(donor).get(column);
        (fitted.probability(&values).unwrap() - f64::from(u8::from(data.labels()[row]))).powi(2)
    };
    let (mut sum, mut total, mut before, mut weights) = (0.0, 0.0, 0.0, 0.0);
    for row in 0..data.rows() {
        for donor in 0..data.rows() {
            sum += weight(row) * weight(donor) * loss(row, donor);
            total += weight(row) * weight(donor);
        }
        before += weight(row) * loss(row, row);
        weights += weight(row);
    }
    sum / total - before / weights
}

#[test]
fn the_mean_over_orders_is_that_over_all_pairs_of_rows() {
    let (x, labels, weights) = rows(120);
    let plain = Dataset::new(&x, labels).unwrap();
    let weighted = plain.view().with_weights(&weights).unwrap();
    for (data, what) in [(&plain, "plain"), (&weighted, "weighted")] {
        // Means of 40 orders from 25 seeds, and so the standard error of their mean.
        let reports: Vec<_> = (0..25).map(|seed| measure(&pipeline(), data, 40, seed)).collect();
        for column in 0..2 {
            let of = |report: &PermutationReport| {
                let entry = report.entries.iter().find(|entry| entry.columns == [column]);
                entry.unwrap().importance.estimate
            };
            let found: Vec<f64> = reports.iter().map(of).collect();
            let mean = found.iter().sum::<f64>() / 25.0;
            let spread: f64 = found.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            let error = (spread / 24.0 / 25.0).sqrt();
            let expected = expected(data, column);
            // A weighted mean is a ratio, whose bias is of the order of 1/n.
            let bias = if what == "plain" { 0.0 } else { expected.abs() / 120.0 };
            let gap = (mean - expected).abs();
            assert!(gap < 4.0 * error + bias, "{what} {column}: {mean}, {expected}, {error}");
        }
    }
}

#[test]
fn sparse_rows_threads_and_rows_without_weight_do_not_matter() {
    let (x, labels, weights) = rows(9_000);
    let data = Dataset::new(&x, &labels).unwrap().with_weights(&weights).unwrap();
    let report = measure(&pipeline(), &data, 2, 7);
    let sparse = CsMat::csr_from_dense(x.view(), 0.0);
    let sparse = Dataset::new(&sparse, &labels).unwrap().with_weights(&weights).unwrap();
    // But for the rounding of sums in another order.
    for (found, expected) in measure(&pipeline(), &sparse, 2, 7).entries.iter().zip(&report.entries)
    {
        let (found, expected) = (found.importance, expected.importance);
        assert!((found.estimate - expected.estimate).abs() < 1e-14);
        let errors = [found, expected].map(|interval| interval.standard_error.unwrap());
        assert!((errors[0] - errors[1]).abs() < 1e-13, "{errors:?}");
    }
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| measure(&pipeline(), &data, 2, 7)), report);
    }
    let counted: Vec<usize> = (0..9_000).filter(|&row| weights[row] > 0.0).collect();
    assert_eq!(measure(&pipeline(), &data.select(&counted).unwrap(), 2, 7), report);
    assert_eq!((report.rows, report.repetitions), (6_750, 2));
    // Sorted, with a coefficient of 0 at exactly 0, and the metric of the rows.
    assert!(report.entries.is_sorted_by(|a, b| a.importance.estimate >= b.importance.estimate));
    let unused = report.entries.iter().find(|entry| entry.columns == [2]).unwrap().importance;
    assert_eq!((unused.estimate, unused.standard_error), (0.0, Some(0.0)));
    let p = pipeline().probabilities(data.features()).unwrap();
    assert_eq!(report.metric, brier_score(&labels, &p, Some(&weights)).unwrap());
    let used = report.entries[0].importance;
    assert!(used.lower > 0.0 && used.contains(used.estimate), "{report}");
}

#[test]
fn a_metric_that_is_higher_for_better_models_has_the_same_sign() {
    let (x, labels, _) = rows(2_000);
    let data = Dataset::new(&x, labels).unwrap();
    let of = |higher| {
        let importance = PermutationImportance::new(roc_auc).higher_is_better(higher);
        importance.measure(&pipeline(), &data, &Run::seeded(7)).unwrap()
    };
    let (right, wrong) = (of(true), of(false));
    assert_eq!(right.entries[0].columns, [0]);
    assert!(right.entries[0].importance.lower > 0.0, "{right}");
    assert_eq!(wrong.entries[2].columns, [0]);
    let log = PermutationImportance::new(log_loss);
    assert!(log.measure(&pipeline(), &data, &Run::seeded(7)).unwrap().entries[0].columns == [0]);
}

#[test]
fn columns_of_a_group_come_from_one_row() {
    // Columns 0 and 1 are one-hot; the model is undefined elsewhere.
    let x = Array2::from_shape_fn((500, 3), |(i, j)| match j {
        2 => (i % 7) as f64,
        _ => f64::from(u8::from((i * 31) % 10 < 4) == u8::from(j == 0)),
    });
    let labels: Vec<bool> =
        (0..500).map(|i| x[(i, 0)] * 0.4 + (i % 9) as f64 * 0.1 > 0.7).collect();
    let data = Dataset::new(&x, labels).unwrap();
    let one_hot = |row: Row<'_>| if row.get(0) + row.get(1) == 1.0 { row.get(0) } else { f64::NAN };
    let parts = [(FnPredict::new(3, one_hot), Calibration::new(Uncalibrated))];
    let fitted = FittedPipeline::from_parts(parts).unwrap();
    let alone = PermutationImportance::new(log_loss);
    assert!(alone.measure(&fitted, &data, &Run::seeded(7)).is_err());
    let groups = [("site", vec![1, 0]), ("hour", vec![2])];
    let report = alone.groups(groups).unwrap().measure(&fitted, &data, &Run::seeded(7)).unwrap();
    let entry = &report.entries[0];
    assert_eq!((entry.name.as_str(), &entry.columns[..]), ("site", &[0, 1][..]), "{report}");
    assert!(report.to_string().contains("site"));
}

#[test]
fn few_positives_and_wrong_settings_are_told() {
    let (x, _, _) = rows(50);
    let data = Dataset::new(&x, (0..50).map(|i| i == 3).collect::<Vec<_>>()).unwrap();
    let interval = measure(&pipeline(), &data, 1, 7).entries[0].importance;
    assert_eq!((interval.standard_error, interval.lower), (None, f64::NEG_INFINITY));

    type Metric = fn(&[bool], &[f64], Option<&[f64]>) -> Result<f64>;
    let importance = || PermutationImportance::new(log_loss as Metric);
    assert!(importance().repetitions(0).is_err());
    assert!(importance().level(1.0).is_err());
    assert!(importance().groups([("none", vec![])]).is_err());
    assert!(importance().groups([] as [(&str, Vec<usize>); 0]).is_err());
    let run = Run::default();
    let error = importance().groups([("wide", vec![9])]).unwrap();
    let error = error.measure(&pipeline(), &data, &run).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "groups", .. }), "{error}");
    let error = importance().feature_names(["a"]).measure(&pipeline(), &data, &run).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { .. }), "{error}");
    let named = importance().feature_names(["a", "b", "c"]);
    assert_eq!(named.measure(&pipeline(), &data, &run).unwrap().entries.len(), 3);
    let infinite: Metric = |_, _, _| Ok(f64::INFINITY);
    let error = PermutationImportance::new(infinite).measure(&pipeline(), &data, &run).unwrap_err();
    assert!(matches!(error, Error::Numerical { .. }), "{error}");
}
