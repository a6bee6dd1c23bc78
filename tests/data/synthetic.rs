//! Synthetic click logs follow the documented law.

use imbalance::data::{SyntheticClicks, SyntheticLog};
use imbalance::numerics::{logit, sigmoid};
use imbalance::{Error, Precision, Result};

/// Tolerances below are this many standard errors: a correct generator fails one such check with
/// probability 7e-6, and the seeds are fixed.
const ERRORS: f64 = 4.5;

fn log(rows: usize, base_rate: f64) -> SyntheticClicks {
    SyntheticClicks::new(rows, base_rate).unwrap()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut n, mut sum) = (0.0, 0.0);
    for value in values {
        n += 1.0;
        sum += value;
    }
    sum / n
}

/// Probabilities proportional to 1, 1/2, 1/3, …
fn zipf(levels: usize) -> Vec<f64> {
    let total: f64 = (1..=levels).map(|rank| 1.0 / rank as f64).sum();
    (1..=levels).map(|rank| 1.0 / rank as f64 / total).collect()
}

/// Mean, standard deviation, and the standard error of each.
fn moments(values: &[f64]) -> [(f64, f64); 2] {
    let n = values.len() as f64;
    let centre = mean(values.iter().copied());
    let central = |power| mean(values.iter().map(|value| (value - centre).powi(power)));
    let (variance, fourth) = (central(2), central(4));
    let deviation = variance.sqrt();
    // Var(s²) ≈ (μ₄ − σ⁴)/n, and s = √s² moves by half of that relative to it.
    let error = ((fourth - variance * variance) / n).sqrt() / (2.0 * deviation);
    [(centre, (variance / n).sqrt()), (deviation, error)]
}

fn the_model_is_exact(settings: &SyntheticClicks, base_rate: f64) {
    let log = settings.generate(3).unwrap();
    let x = log.dataset.features();
    assert_eq!(log.coefficients.len(), x.ncols());
    for (row, &p) in log.probabilities.iter().enumerate() {
        let terms = x.row(row).to_vec().unwrap().into_iter().zip(&log.coefficients);
        let z = log.intercept + terms.map(|(x, beta)| x * beta).sum::<f64>();
        // The library adds the stored terms in this order; the others are zero. So the bits are equal.
        assert_eq!(p, sigmoid(z), "row {row}");
    }
    let rate = mean(log.probabilities.iter().copied());
    assert!((rate / base_rate - 1.0).abs() < 1e-13, "{rate}");
}

#[test]
fn the_probabilities_are_those_of_the_stored_features() {
    // Of either type, dense and sparse, for ordinary and for extreme rates and signals.
    for (settings, rate) in [
        (log(5_000, 0.01).categorical(&[5, 40]), 0.01),
        (log(5_000, 0.3).categorical(&[]), 0.3),
        (log(5_000, 0.999).numeric(0).categorical(&[3]), 0.999),
        (log(5_000, 0.5).signal(0.0).numeric(1).categorical(&[]), 0.5),
        (log(5_000, 1e-9).signal(30.0).categorical(&[7]), 1e-9),
        (log(5_000, 0.2).signal(100.0).categorical(&[]), 0.2),
        (log(1, 0.25), 0.25),
    ] {
        the_model_is_exact(&settings.clone().precision(Precision::F32), rate);
        the_model_is_exact(&settings, rate);
    }
}

#[test]
fn labels_follow_the_probabilities() {
    let log = log(200_000, 0.05).precision(Precision::F32).generate(1).unwrap();
    let mut order: Vec<usize> = (0..log.probabilities.len()).collect();
    order.sort_by(|&a, &b| log.probabilities[a].total_cmp(&log.probabilities[b]));
    // All rows, and each tenth of them in order of the probability of a click.
    for rows in std::iter::once(&order[..]).chain(order.chunks(20_000)) {
        let expected: f64 = rows.iter().map(|&row| log.probabilities[row]).sum();
        let clicks = rows.iter().filter(|&&row| log.dataset.labels()[row]).count() as f64;
        // Independent draws: the variances p (1 − p) add up.
        let variance: f64 =
            rows.iter().map(|&row| log.probabilities[row] * (1.0 - log.probabilities[row])).sum();
        assert!((clicks - expected).abs() <= ERRORS * variance.sqrt(), "{clicks}, {expected}");
    }
}

#[test]
fn features_and_logits_have_the_law_that_is_documented() {
    for signal in [0.5, 1.5] {
        let settings = log(100_000, 0.05).categorical(&[4, 50]).signal(signal);
        let log = settings.generate(5).unwrap();
        let x = log.dataset.features();
        let logits: Vec<f64> = log.probabilities.iter().map(|&p| logit(p)).collect();
        let [_, (deviation, error)] = moments(&logits);
        assert!((deviation - signal).abs() <= ERRORS * error, "{deviation} ± {error}");

        let rows: Vec<_> = x.rows().map(|row| row.to_vec().unwrap()).collect();
        for column in 0..6 {
            let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
            let [(centre, centre_error), (deviation, error)] = moments(&values);
            assert!(centre.abs() <= ERRORS * centre_error, "{column}: {centre}");
            assert!((deviation - 1.0).abs() <= ERRORS * error, "{column}: {deviation}");
            // The third moment of standardised values: 0 for a normal, 1.75 for a log-normal
            // with σ = 0.5. Halfway between is dozens of standard errors (√15/n = 0.012) away.
            let skewness = mean(values.iter().map(|value| value.powi(3)));
            assert_eq!(skewness > 0.875, column % 3 == 2, "{column}: {skewness}");
        }
        for (start, levels) in [(6, 4), (10, 50)] {
            for (column, share) in (start..).zip(zipf(levels)) {
                let found = mean(rows.iter().map(|row| row[column]));
                let error = (share * (1.0 - share) / rows.len() as f64).sqrt();
                assert!((found - share).abs() <= ERRORS * error, "{column}: {found}, {share}");
            }
            let effects = &log.coefficients[start..start + levels];
            let centre: f64 = zipf(levels).iter().zip(effects).map(|(p, e)| p * e).sum();
            assert!(centre.abs() < 1e-14, "the effects from column {start} have mean {centre}");
            // One level in each row.
            let levels = start..start + levels;
            assert!(rows.iter().all(|row| row[levels.clone()].iter().sum::<f64>() == 1.0));
        }
    }
}

#[test]
fn the_matrix_is_dense_without_categorical_columns() {
    let dense: SyntheticLog = log(100, 0.1).numeric(3).categorical(&[]).generate(1).unwrap();
    assert!(!dense.dataset.features().is_sparse());
    assert_eq!(dense.dataset.columns(), 3);
    let sparse = log(100, 0.1).generate(1).unwrap();
    assert!(sparse.dataset.features().is_sparse());
    assert_eq!(sparse.dataset.columns(), 6 + 24 + 100 + 1000);
    assert_eq!(sparse.dataset.features().stored(), 100 * (6 + 3));
}

#[test]
fn attributes_are_made_for_splits_and_rules() {
    let log = log(20_000, 0.05).days(7).precision(Precision::F32).generate(2).unwrap();
    let data = &log.dataset;
    let days = data.numbers("day").unwrap();
    assert!(days.is_sorted());
    for day in 0..7 {
        let rows = days.iter().filter(|&&d| d == f64::from(day)).count();
        assert!((2_857..=2_858).contains(&rows), "day {day} has {rows} rows");
    }
    // A split by time stays borrowed.
    let (train, test) = data.time_split("day", 0.2).unwrap();
    assert_eq!(train.labels().as_ptr(), data.labels().as_ptr());
    assert_eq!(test.labels().as_ptr(), data.labels()[train.rows()..].as_ptr());

    let logits: Vec<f64> = log.probabilities.iter().map(|&p| logit(p)).collect();
    let centre = mean(logits.iter().copied());
    for (name, sign) in [("last_active_days", -1.0), ("impressions", 1.0)] {
        let counts = data.numbers(name).unwrap();
        assert!(counts.iter().all(|&count| count >= 0.0 && count.fract() == 0.0), "{name}");
        let lean: Vec<f64> =
            counts.iter().zip(&logits).map(|(count, z)| count * (z - centre)).collect();
        let [(covariance, error), _] = moments(&lean);
        assert!(sign * covariance > ERRORS * error, "{name}: {covariance} ± {error}");
    }
    let device = data.categories("device").unwrap();
    let mut levels = device.levels().to_vec();
    levels.sort();
    assert_eq!(levels, ["desktop", "phone", "tablet"]);
    for (code, level) in device.levels().iter().enumerate() {
        let share = match level.as_str() {
            "phone" => 0.6,
            "desktop" => 0.3,
            _ => 0.1,
        };
        let found =
            device.codes().iter().filter(|&&c| c as usize == code).count() as f64 / 20_000.0;
        let error = (share * (1.0 - share) / 20_000_f64).sqrt();
        assert!((found - share).abs() <= ERRORS * error, "{level}: {found}");
    }
}

/// Everything in a log, bit by bit.
fn bits(log: &SyntheticLog) -> Vec<u64> {
    let data = &log.dataset;
    let mut all = vec![log.intercept];
    all.extend(&log.coefficients);
    all.extend(&log.probabilities);
    for (column, value) in data.features().rows().flat_map(|row| row.entries()) {
        all.extend([column as f64, value]);
    }
    all.extend(data.labels().iter().map(|&label| f64::from(u8::from(label))));
    for name in ["day", "last_active_days", "impressions"] {
        all.extend(data.numbers(name).unwrap());
    }
    all.extend(data.categories("device").unwrap().codes().iter().copied().map(f64::from));
    all.into_iter().map(f64::to_bits).collect()
}

#[test]
fn a_log_does_not_depend_on_the_number_of_threads() {
    for levels in [&[][..], &[24, 100]] {
        let settings = log(20_000, 0.02).categorical(levels);
        let generate = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            bits(&pool.install(|| settings.generate(9).unwrap()))
        };
        let one = generate(1);
        for threads in [2, 3, 7] {
            assert!(generate(threads) == one, "{threads} threads, levels {levels:?}");
        }
        assert!(bits(&settings.generate(10).unwrap()) != one, "the seed does nothing");
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let message = |result: Result<SyntheticLog>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        error.to_string()
    };
    let error = SyntheticClicks::new(0, 0.1).unwrap_err();
    assert_eq!(error.to_string(), "`rows` is 0, but it must be at least 1");
    for rate in [0.0, 1.0, -0.5, f64::NAN] {
        assert_eq!(
            SyntheticClicks::new(10, rate).unwrap_err().to_string(),
            format!("`base_rate` is {rate}, but it must be between 0 and 1, both excluded")
        );
    }
    for signal in [-1.0, 100.5, f64::NAN, f64::INFINITY] {
        assert_eq!(
            message(log(10, 0.1).signal(signal).generate(1)),
            format!("`signal` is {signal}, but it must be from 0 to 100")
        );
    }
    for levels in [0, 1] {
        assert_eq!(
            message(log(10, 0.1).categorical(&[5, levels]).generate(1)),
            format!(
                "`categorical` is {levels}, but it must be at least 2 levels in each column, \
                 also in column 1"
            )
        );
    }
    assert_eq!(
        message(log(10, 0.1).numeric(0).categorical(&[]).generate(1)),
        "`numeric` is 0, but it must be at least 1 where there are no categorical columns"
    );
    assert_eq!(message(log(10, 0.1).days(0).generate(1)), "`days` is 0, but it must be at least 1");
    for (rows, numeric, levels) in
        [(usize::MAX, 6, 5), (10, usize::MAX, 5), (10, 1, usize::MAX), (usize::MAX / 8, 1, 2)]
    {
        let settings = log(rows, 0.1).numeric(numeric).categorical(&[levels]);
        let message = message(settings.generate(1));
        assert!(message.contains("small enough for memory"), "{message}");
    }
}

#[test]
fn sizes_beyond_memory_are_refused() {
    use imbalance::Split;
    use imbalance::data::Table;
    let log = |rows: usize| SyntheticClicks::new(rows, 0.1).unwrap();
    for huge in [1 << 45, isize::MAX as usize / 8, usize::MAX] {
        for log in [log(huge), log(9).numeric(huge), log(9).categorical(&[3, huge])] {
            let found = log.generate(1).map(drop);
            assert!(matches!(found, Err(Error::InvalidArgument { .. })), "{huge}: {found:?}");
        }
        assert!(matches!(Table::unlabelled(huge), Err(Error::InvalidArgument { .. })));
        assert!(matches!(Split::last(huge, 0.5), Err(Error::InvalidArgument { .. })));
    }
}
