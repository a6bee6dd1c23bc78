//! What samplers promise on average, over many seeds.

use imbalance::Attribute;
use imbalance::Error;
use imbalance::Matrix;
use imbalance::model::Predict;
use imbalance::model::RareEvents;
use imbalance::ndarray::Array2;
use imbalance::prelude::*;
use imbalance::sampling::{
    DrawMode, HardnessBand, PoissonHardNegatives, PoissonRuleSampler, Rows, Rule,
};
use imbalance::sampling::{HardNegativeMining, LocalCaseControl, Pilot, RuleSampler};
use imbalance::{FeaturesView, Result};
use rayon::prelude::*;

/// A pilot that knows the coefficients: those given, then the intercept.
#[derive(Debug, Clone)]
struct Linear(Vec<f64>);

impl Predict for Linear {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        let FeaturesView::F64(Matrix::Dense(x)) = x else {
            unreachable!("the data here are dense")
        };
        let (intercept, coefficients) = self.0.split_last().unwrap();
        for (row, out) in x.rows().into_iter().zip(out) {
            *out = intercept + row.iter().zip(coefficients).map(|(x, b)| x * b).sum::<f64>();
        }
        Ok(())
    }
}

fn log(rows: usize, rate: f64, columns: usize, seed: u64) -> imbalance::data::SyntheticLog {
    let clicks = SyntheticClicks::new(rows, rate).unwrap().numeric(columns).categorical(&[]);
    clicks.generate(seed).unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

fn kept(sampler: &dyn Sampler, data: &Dataset<'_>, seed: u64) -> (Vec<usize>, Vec<f64>) {
    let resample = sampler.resample(data, &Run::seeded(seed)).unwrap();
    let Rows::Kept(rows) = resample.rows else { panic!("nothing was left out") };
    (rows, resample.weights.unwrap_or_default())
}

/// Each row is kept with its probability, over 400 seeds.
///
/// The share of seeds has the standard error √(π (1 − π) / 400). 5 of them: with about 2,000 rows a
/// false alarm has probability 2,000 × 6e-7 ≈ 0.1 %, and seeds are fixed. For π near 0 the binomial is
/// skewed, so the smallest here, 0.05, gives 20 ± 4.4 times.
fn check_rates(sampler: &dyn Sampler, data: &Dataset<'_>, inclusion: &[f64]) {
    const SEEDS: u64 = 400;
    let mut counts = vec![0.0; data.rows()];
    for seed in 0..SEEDS {
        kept(sampler, data, seed).0.into_iter().for_each(|row| counts[row] += 1.0);
    }
    let mut total = 0.0;
    for (row, (&p, count)) in inclusion.iter().zip(counts).enumerate() {
        let share = count / SEEDS as f64;
        let error = (p * (1.0 - p) / SEEDS as f64).sqrt();
        assert!((share - p).abs() <= 5.0 * error, "row {row}: {share}, not {p} ({sampler:?})");
        total += share - p;
    }
    // Rows are drawn on their own, so the total has the variance Σ π (1 − π); over the seeds less.
    let error = inclusion.iter().map(|p| p * (1.0 - p)).sum::<f64>() / SEEDS as f64;
    assert!(total.abs() <= 4.0 * error.sqrt(), "{total} rows too many ({sampler:?})");
}

#[test]
fn bernoulli_and_poisson_samples_include_each_row_with_its_probability() {
    let log = log(2_000, 0.05, 3, 4);
    let data = &log.dataset;
    let (labels, totals) = (data.labels(), data.totals());
    let of = |p: f64| labels.iter().map(|&label| if label { 1.0 } else { p }).collect::<Vec<_>>();

    let bernoulli = RandomUnderSampler::rate(0.3).unwrap().draw(DrawMode::Bernoulli);
    check_rates(&bernoulli, data, &of(0.3));
    let bernoulli =
        RandomUnderSampler::negatives_per_positive(5.0).unwrap().draw(DrawMode::Bernoulli);
    check_rates(&bernoulli, data, &of(5.0 * totals.positives as f64 / totals.negatives as f64));

    let pilot = || {
        let mut parameters = log.coefficients.clone();
        parameters.push(log.intercept);
        Pilot::given(Linear(parameters))
    };
    let p = &log.probabilities;
    let band = HardnessBand::window(0.1, 0.05).unwrap();
    let banded = PoissonHardNegatives::band(pilot(), band, 0.2).unwrap();
    let inside = |p: f64| if (p - 0.1).abs() < 0.05 { 1.0 } else { 0.2 };
    let expected: Vec<f64> =
        p.iter().zip(labels).map(|(&p, &label)| if label { 1.0 } else { inside(p) }).collect();
    check_rates(&banded, data, &expected);

    // c is found here by bisection.
    let proportional = PoissonHardNegatives::proportional(pilot(), 4.0, 0.05).unwrap();
    let inclusion = |c: f64, p: f64| (c * p).clamp(0.05, 1.0);
    let wanted = 4.0 * totals.positives as f64;
    let negatives = || p.iter().zip(labels).filter(|(_, label)| !**label).map(|(p, _)| *p);
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..200 {
        let c = (low + high) / 2.0;
        let expected: f64 = negatives().map(|p| inclusion(c, p)).sum();
        if expected < wanted { low = c } else { high = c }
    }
    let of = |(&p, &label): (&f64, &bool)| if label { 1.0 } else { inclusion(low, p) };
    let expected: Vec<f64> = p.iter().zip(labels).map(of).collect();
    check_rates(&proportional, data, &expected);
    // All three pieces of the law are there.
    assert!(expected.contains(&0.05) && negatives().any(|p| inclusion(low, p) == 1.0));
    // And the weights are the inverse probabilities: to 1e-6, as c is.
    let (rows, weights) = kept(&proportional.reweight(true), data, 1);
    for (row, weight) in rows.into_iter().zip(weights) {
        assert!((weight * expected[row] - 1.0).abs() < 1e-5, "row {row}: {weight}");
    }

    let recent = Rule::number("last_active_days").at_most(7.0);
    let by_rule = PoissonRuleSampler::new([(recent, 0.6)], 0.1).unwrap().on_all_rows(true);
    let days = data.numbers("last_active_days").unwrap();
    let expected: Vec<f64> = days.iter().map(|&d| if d <= 7.0 { 0.6 } else { 0.1 }).collect();
    check_rates(&by_rule, data, &expected);
    let (rows, weights) = kept(&by_rule.reweight(true), data, 1);
    assert!(rows.into_iter().zip(weights).all(|(row, weight)| weight == 1.0 / expected[row]));
}

#[test]
fn local_case_control_keeps_as_many_rows_as_its_acceptance_says() {
    let log = log(2_000, 0.08, 3, 4);
    let mut parameters = log.coefficients.clone();
    parameters.push(log.intercept);
    for scale in [0.5, 1.0, 4.0] {
        let pilot = Pilot::given(Linear(parameters.clone()));
        let sampler = LocalCaseControl::new(pilot).scale(scale).unwrap();
        let surprise = |row: usize| {
            let p = log.probabilities[row];
            scale * if log.dataset.labels()[row] { 1.0 - p } else { p }
        };
        let acceptance: Vec<f64> = (0..2_000).map(|row| surprise(row).min(1.0)).collect();
        // Rates below 5 % are too skewed for the bound of each row; their rows count in the total.
        let resample = |seed| sampler.resample(&log.dataset, &Run::seeded(seed)).unwrap();
        let mut counts = vec![0.0; 2_000];
        for seed in 0..400 {
            let resample = resample(seed);
            let Rows::Kept(rows) = &resample.rows else { panic!("nothing was left out") };
            for (at, &row) in rows.iter().enumerate() {
                counts[row] += 1.0;
                // The formulas of the documentation: −logit p̃, and max(1, c|y − p̃|).
                let p = log.probabilities[row];
                let offset = resample.offsets.as_ref().unwrap()[at];
                assert!((offset + (p / (1.0 - p)).ln()).abs() < 1e-9);
                let weight = resample.weights.as_ref().map_or(1.0, |weights| weights[at]);
                assert!((weight - surprise(row).max(1.0)).abs() < 1e-9);
            }
        }
        let mut total = 0.0;
        for (row, (&a, count)) in acceptance.iter().zip(&counts).enumerate() {
            let error = (a * (1.0 - a) / 400.0).sqrt();
            let share = count / 400.0;
            assert!(a < 0.05 || (share - a).abs() <= 5.0 * error + 1e-9, "row {row}: {share}, {a}");
            total += share - a;
        }
        let error = (acceptance.iter().map(|a| a * (1.0 - a)).sum::<f64>() / 400.0).sqrt();
        assert!(total.abs() <= 4.0 * error, "c = {scale}: {total} ± {error}");
    }
}

/// The theorem of Fithian & Hastie (2014): unbiased for the population's coefficients, with twice the
/// variance of the fit to all rows (1 + 1/c times for c ≥ 1).
///
/// Fresh data are drawn each time, so the variances are over data and sampling, as in the theorem.
#[test]
fn local_case_control_finds_the_coefficients_of_the_population() {
    const REPLICATIONS: u64 = 1_600;
    const COLUMNS: usize = 3;
    let pipeline = || Pipeline::new(LogisticRegression::new().l2(0.0).unwrap());
    let parameters_of = |model: &imbalance::model::FittedLogisticRegression| {
        [model.coefficients(), &[model.intercept()]].concat()
    };
    // The same population each time: the first log gives the coefficients, the others new rows.
    let truth = log(6_000, 0.1, COLUMNS, 0);
    let mut parameters = truth.coefficients.clone();
    parameters.push(truth.intercept);
    let drawn = |seed| {
        let fresh = log(6_000, 0.1, COLUMNS, seed);
        let FeaturesView::F64(Matrix::Dense(x)) = fresh.dataset.features() else {
            unreachable!("dense")
        };
        let x: Array2<f64> = x.to_owned();
        let mut logits = vec![0.0; 6_000];
        Linear(parameters.clone()).logits_into(FeaturesView::from(x.view()), &mut logits).unwrap();
        let labels = uniforms(6_000, seed)
            .into_iter()
            .zip(&logits)
            .map(|(u, z)| u < 1.0 / (1.0 + (-z).exp()))
            .collect::<Vec<_>>();
        Dataset::new(x, labels).unwrap()
    };
    // Maximum likelihood itself is biased, by about the first term of its expansion in 1/n (McCullagh &
    // Nelder 1989, §15.2), which `RareEvents` computes. It scales with the variance, so for a sample it is
    // that much larger.
    let estimated =
        RareEvents::new().bias_correction().fit(&truth.dataset, &LogLoss, &Run::seeded(0));
    let own_bias = estimated.unwrap().bias().unwrap().to_vec();
    // c, and the theorem's bound on the variance.
    for (scale, most) in [(1.0, 2.0), (5.0, 1.2)] {
        let estimates: Vec<[Vec<f64>; 2]> = (1..=REPLICATIONS)
            .into_par_iter()
            .map(|seed| {
                let data = drawn(seed);
                let pilot = Pilot::trained(LogisticRegression::new().l2(0.0).unwrap(), LogLoss);
                let sampler = LocalCaseControl::new(pilot).scale(scale).unwrap();
                let everything = pipeline().fit(&data).unwrap();
                let sampled = pipeline().sampler(sampler).seed(seed).fit(&data).unwrap();
                [everything.model(), sampled.model()].map(parameters_of)
            })
            .collect();
        let n = REPLICATIONS as f64;
        for j in 0..=COLUMNS {
            let [full, local] = [0, 1]
                .map(|fit| estimates.iter().map(|estimate| estimate[fit][j]).collect::<Vec<f64>>());
            // 3.5 standard errors; 16 comparisons, false alarm 16 × 5e-4.
            let error = (variance(&local) / n).sqrt();
            let bias = mean(&local) - parameters[j];
            let allowed = 3.5 * error + most * own_bias[j].abs();
            assert!(bias.abs() <= allowed, "c = {scale}, parameter {j}: {bias} ± {error}");
            // Against the fit to all rows of the same data, where the noise of the data cancels.
            let differences: Vec<f64> =
                local.iter().zip(&full).map(|(local, full)| local - full).collect();
            let error = (variance(&differences) / n).sqrt();
            let gap = mean(&differences);
            let allowed = 3.5 * error + (most - 1.0) * own_bias[j].abs();
            assert!(gap.abs() <= allowed, "c = {scale}, parameter {j}: {gap} ± {error}");
            // The logarithm of a ratio of variances has the standard error √(4 (1 − ρ²)/n), where ρ² = 1/most
            // is the squared correlation of the two estimates: 0.035 for c = 1. 2.7 of them are 2.2 times
            // the variance of the full fit, and 8 comparisons a false alarm of 8 × 0.0035 = 3 %, for the
            // fixed seeds once and for all.
            let ratio = variance(&local) / variance(&full);
            let error = (4.0 * (1.0 - 1.0 / most) / n).sqrt();
            let bound = most * (2.7 * error).exp();
            assert!(ratio <= bound, "c = {scale}, parameter {j}: {ratio} times the full fit's");
            assert!(
                ratio > 1.0,
                "c = {scale}, parameter {j}: fewer rows cannot tell more, {ratio}"
            );
        }
    }
}

/// `n` numbers in [0, 1) by `SplitMix64`.
fn uniforms(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..n)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        })
        .collect()
}

#[test]
fn weighted_hard_negatives_leave_the_mean_prediction_right() {
    const SEEDS: u64 = 200;
    let log = log(20_000, 0.03, 4, 9);
    let data = &log.dataset;
    let observed = data.totals().positives as f64;
    let pilot = || Pilot::trained(LogisticRegression::new(), LogLoss);
    for sampler in [
        PoissonHardNegatives::proportional(pilot(), 4.0, 0.05).unwrap().reweight(true),
        PoissonHardNegatives::band(pilot(), HardnessBand::quantiles(0.9, 1.0).unwrap(), 0.1)
            .unwrap()
            .reweight(true),
    ] {
        let ratios: Vec<f64> = (0..SEEDS)
            .map(|seed| {
                let fitted = Pipeline::new(LogisticRegression::new())
                    .sampler(sampler.clone())
                    .calibrator(PriorCorrection::new())
                    .seed(seed)
                    .fit(data)
                    .unwrap();
                let p = fitted.probabilities(data.features()).unwrap();
                p.iter().sum::<f64>() / observed
            })
            .collect();
        // The ratio of one seed is 1 but for the noise of the draw, which is measured over the seeds;
        // its mean over 200 of them within 3 standard errors. The curvature of the fit biases it by
        // about half its variance, which is far less than the standard error of the mean.
        let (mean, variance) = (mean(&ratios), variance(&ratios));
        let error = (variance / SEEDS as f64).sqrt();
        assert!(variance / 2.0 < error / 5.0 && error < 0.01, "{variance}, {error}");
        assert!((mean - 1.0).abs() <= 3.0 * error, "{mean} ± {error} ({sampler:?})");
    }

    // A plain band, or a window, can only be refused.
    let band = HardnessBand::quantiles(0.9, 1.0).unwrap();
    for band in
        [band, HardnessBand::window(0.1, 0.08).unwrap(), HardnessBand::hardest(2_000).unwrap()]
    {
        let plain = Pipeline::new(LogisticRegression::new())
            .sampler(HardNegativeMining::new(pilot(), band))
            .calibrator(PriorCorrection::new())
            .fit(data);
        let error = plain.unwrap_err();
        let Error::NoClosedForm { calibrator, sampler } = &error else { panic!("{error}") };
        assert_eq!((*calibrator, &sampler[..]), ("PriorCorrection", "hard negative mining"));
    }
    // A calibrator that learns from untouched rows is welcome.
    let platt = Pipeline::new(LogisticRegression::new())
        .sampler(HardNegativeMining::new(pilot(), band))
        .calibrator(PlattScaling::new());
    assert!(platt.fit(data).is_ok());
}

#[test]
fn weighted_totals_are_unbiased_for_any_column() {
    const SEEDS: u64 = 300;
    let log = log(5_000, 0.05, 3, 2);
    let data = &log.dataset;
    let FeaturesView::F64(Matrix::Dense(x)) = data.features() else { unreachable!("dense") };
    let pilot = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let recent = || Rule::number("last_active_days").at_most(7.0);
    let samplers: Vec<Box<dyn Sampler>> = vec![
        Box::new(PoissonHardNegatives::proportional(pilot(), 5.0, 0.05).unwrap().reweight(true)),
        Box::new(PoissonRuleSampler::new([(recent(), 0.5)], 0.1).unwrap().reweight(true)),
        Box::new(RandomUnderSampler::rate(0.2).unwrap().reweight(true)),
        Box::new(
            PoissonRuleSampler::new([(recent(), 0.5)], 0.1)
                .unwrap()
                .reweight(true)
                .then(RandomUnderSampler::rate(0.5).unwrap().reweight(true)),
        ),
    ];
    for sampler in samplers {
        for column in 0..3 {
            let truth: f64 = x.column(column).sum();
            let totals: Vec<f64> = (0..SEEDS)
                .map(|seed| {
                    let (rows, weights) = kept(&sampler, data, seed);
                    rows.iter().zip(weights).map(|(&row, w)| w * x[[row, column]]).sum()
                })
                .collect();
            // 4 standard errors for 12 comparisons: false alarm 12 × 6e-5, and the seeds are fixed.
            let error = (variance(&totals) / SEEDS as f64).sqrt();
            let bias = mean(&totals) - truth;
            assert!(bias.abs() <= 4.0 * error, "{bias} ± {error}, column {column} ({sampler:?})");
        }
    }
}

#[test]
fn the_first_row_by_priority_is_drawn_in_proportion() {
    // One of six negatives: the chance of each is its priority over their sum, 1 + 1 + 3 + 3 + 6 + 0.
    const SEEDS: u64 = 4_000;
    let labels = vec![true, false, false, false, false, false, false];
    let kind = vec![0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0];
    let data = Dataset::new(Array2::<f64>::zeros((7, 1)), labels)
        .unwrap()
        .with_attribute("kind", Attribute::numbers(kind))
        .unwrap();
    let is = |kind| Rule::number("kind").equals(kind);
    let tiers = [(is(1.0), 3.0), (is(2.0), 6.0), (is(3.0), 0.0)];
    let sampler = RuleSampler::priorities(tiers, 1.0 / 6.0).unwrap();
    let mut counts = [0.0; 7];
    for seed in 0..SEEDS {
        let (rows, _) = kept(&sampler, &data, seed);
        assert_eq!((rows.len(), rows[0]), (2, 0));
        counts[rows[1]] += 1.0;
    }
    for (row, priority) in [(1, 1.0), (2, 1.0), (3, 3.0), (4, 3.0), (5, 6.0), (6, 0.0)] {
        let p = priority / 14.0;
        // 4 standard errors of a share over 4,000 independent seeds.
        let error = (p * (1.0_f64 - p) / SEEDS as f64).sqrt();
        let share = counts[row] / SEEDS as f64;
        assert!((share - p).abs() <= 4.0 * error, "row {row}: {share}, not {p}");
    }
}
