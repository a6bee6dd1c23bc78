//! A pipeline checks itself: the figures against plain sums, and the cases that must and must not warn.

use imbalance::calibration::{
    Calibration, CalibrationMap, CalibrationSet, TrainingContext, Uncalibrated,
};
use imbalance::loss::WeightedLogLoss;
use imbalance::model::RareEvents;
use imbalance::ndarray::Array2;
use imbalance::pipeline::{CheckedOn, SelfCheck, Warning};
use imbalance::prelude::*;
use imbalance::sampling::{
    Inclusion, LocalCaseControl, NearMiss, NoSampling, Pilot, PoissonHardNegatives,
    PoissonRuleSampler, RandomOverSampler, Resample, Rows, Rule, RuleSampler, Smote,
};
use imbalance::{FeaturesView, FittedPipeline};

fn log(rows: usize, rate: f64, levels: &[usize], seed: u64) -> Dataset<'static> {
    let clicks = SyntheticClicks::new(rows, rate).unwrap().numeric(4).categorical(levels);
    clicks.generate(seed).unwrap().dataset
}

fn regression() -> Pipeline<NoSampling, LogLoss, LogisticRegression, Uncalibrated> {
    Pipeline::new(LogisticRegression::new()).seed(7)
}

fn under(ratio: f64) -> RandomUnderSampler {
    RandomUnderSampler::negatives_per_positive(ratio).unwrap()
}

fn pilot() -> Pilot {
    Pilot::trained(LogisticRegression::new(), LogLoss)
}

fn only<P, K: CalibrationMap>(fitted: &FittedPipeline<P, K>) -> &SelfCheck {
    let [check] = &fitted.report().checks[..] else { panic!("{}", fitted.report()) };
    check
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * (1e-3 + b.abs()), "{a} for {b}");
}

/// Σ w p, Σ w y, the means of negatives left out and kept, and both standard errors, from the definitions.
fn plain(data: &Dataset<'_>, p: &[f64], sample: &Resample) -> [f64; 6] {
    let Rows::Kept(rows) = &sample.rows else { panic!("all rows were kept") };
    let kept = |row: usize| rows.binary_search(&row).is_ok();
    let labels = data.labels();
    let weight = |row: usize| data.weights().map_or(1.0, |weights| weights[row]);
    let negatives: Vec<usize> = (0..p.len()).filter(|&row| !labels[row]).collect();
    let k = negatives.iter().filter(|&&row| kept(row)).count() as f64;
    let n = negatives.len() as f64;
    let (odds, by_row): (Box<dyn Fn(usize) -> f64>, bool) = match &sample.inclusion {
        Inclusion::Each(each) => (Box::new(|row| (1.0 - each[row]) / each[row]), true),
        _ => (Box::new(move |_| (n - k) / k), false),
    };
    let sum = |of: &dyn Fn(usize) -> f64| (0..p.len()).map(of).sum::<f64>();
    let negative = |of: &dyn Fn(usize) -> f64| negatives.iter().map(|&row| of(row)).sum::<f64>();
    let is = |is: bool| f64::from(u8::from(is));
    let predicted = sum(&|row| weight(row) * p[row]);
    let observed = sum(&|row| weight(row) * is(labels[row]));
    let out = |row: usize| weight(row) * is(!kept(row));
    let stands = |row: usize| weight(row) * is(kept(row)) * odds(row);
    let left_out = negative(&|row| out(row) * p[row]) / negative(&out);
    let was_kept = negative(&|row| stands(row) * p[row]) / negative(&stands);
    let around = |m: f64| negative(&|row| weight(row).powi(2) * (p[row] - m).powi(2) * odds(row));
    let spread = sum(&|row| weight(row).powi(2) * p[row] * (1.0 - p[row]));
    let came = sum(&|row| weight(row).powi(2) * is(labels[row]));
    let mean = negative(&|row| weight(row) * p[row]) / negative(&weight);
    let of_positives: f64 = match by_row {
        true => {
            sum(&|row| is(labels[row]) * weight(row).powi(2) * (1.0 - p[row]).powi(2) * odds(row))
        }
        false => 0.0,
    };
    let sampling = around(if by_row { 0.0 } else { mean }) + of_positives;
    let error = (spread.max((spread + came) / 2.0) + sampling).sqrt();
    [predicted, observed, error, left_out, was_kept, around(left_out).sqrt() / negative(&out)]
}

#[test]
fn the_figures_are_those_of_their_definitions() {
    let data = log(6_000, 0.05, &[], 3);
    let weights: Vec<f64> = (0..data.rows()).map(|row| 0.5 + (row % 7) as f64).collect();
    let weighted = data.view().with_weights(weights).unwrap();
    let samplers = || -> [Box<dyn Sampler>; 5] {
        let active = Rule::number("last_active_days").at_most(3.0);
        let rules = PoissonRuleSampler::new([(active, 0.6)], 0.1).unwrap().reweight(true);
        [
            Box::new(under(4.0)),
            Box::new(under(4.0).reweight(true)),
            Box::new(under(6.0).then(under(3.0))),
            Box::new(rules.on_all_rows(true)),
            Box::new(LocalCaseControl::new(pilot()).scale(2.0).unwrap()),
        ]
    };
    for (data, sampler) in [&data, &weighted]
        .into_iter()
        .flat_map(|data| samplers().map(move |sampler| (data, sampler)))
    {
        let sample = sampler.resample(data, &Run::seeded(7).child("sampler")).unwrap();
        let pipeline = regression().sampler(sampler).calibrator(PriorCorrection::new());
        let fitted = pipeline.fit(data).unwrap();
        let p = fitted.probabilities(data.features()).unwrap();
        let [predicted, observed, error, left_out, kept, error_of_means] = plain(data, &p, &sample);
        let check = only(&fitted);
        let all = check.overall;
        close(all.predicted, predicted);
        close(all.observed, observed);
        close(all.standard_error, error);
        let means = all.left_out.unwrap();
        close(means.left_out, left_out);
        close(means.kept, kept);
        close(means.standard_error, error_of_means);

        // The deciles are parts of the whole.
        assert_eq!(check.on, CheckedOn::Training);
        assert_eq!(check.deciles.len(), 10);
        let deciles = || check.deciles.iter();
        assert_eq!(deciles().map(|decile| decile.rows).sum::<usize>(), data.rows());
        assert!(deciles().all(|decile| decile.rows.abs_diff(data.rows() / 10) <= 1));
        close(deciles().map(|decile| decile.predicted).sum(), predicted);
        close(deciles().map(|decile| decile.left_out.unwrap().kept).sum(), kept);
        close(deciles().map(|decile| decile.left_out.unwrap().left_out).sum(), left_out);
        let up_to = |at: usize| check.deciles[at].up_to;
        assert!((1..10).all(|decile| up_to(decile - 1) < up_to(decile)));
        assert_eq!(fitted.report().warnings, []);
    }
}

#[test]
fn standard_errors_do_not_depend_on_the_unit_of_weights() {
    let data = log(5_000, 0.05, &[], 3);
    let of = |unit: f64| {
        let weights: Vec<f64> = (0..data.rows()).map(|row| unit * (1 + row % 3) as f64).collect();
        let data = data.view().with_weights(weights).unwrap();
        let model = LogisticRegression::new().l2(0.0).unwrap();
        let fitted = Pipeline::new(model).sampler(under(5.0)).calibrator(PriorCorrection::new());
        let overall = only(&fitted.seed(7).fit(&data).unwrap()).overall;
        [overall.standard_errors(), overall.left_out.unwrap().standard_errors(), overall.ratio()]
    };
    let one = of(1.0);
    for unit in [1e-200, 1e-10, 1e10, 1e200] {
        let other = of(unit);
        for (a, b) in one.iter().zip(other) {
            assert!((a - b).abs() < 1e-3, "{one:?} {other:?} at {unit}");
        }
    }
}

#[test]
fn memorised_rows_are_found() {
    // Few rows of each of many levels, under large weights, or chosen by a pilot.
    let data = log(30_000, 0.005, &[2_000, 200], 1);
    let weighted = regression().sampler(under(5.0).reweight(true)).fit(&data).unwrap();
    let warnings = &weighted.report().warnings;
    assert!(
        warnings.iter().any(|warning| matches!(warning, Warning::Memorised { means }
            if means.left_out > 1.5 * means.kept)),
        "{weighted}"
    );
    let more = log(40_000, 0.01, &[3_000, 500], 1);
    let offsets = regression().sampler(LocalCaseControl::new(pilot())).fit(&more).unwrap();
    assert!(!offsets.report().warnings.is_empty(), "{offsets}");
    let text = weighted.to_string();
    for part in ["checked on   training rows", "left out/kept", "times the mean probability"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

/// A calibrator that learns, has no report, and leaves the odds `factor` times too high.
#[derive(Debug)]
struct Inflated {
    factor: f64,
}

#[derive(Debug)]
struct Shifted(f64);

impl CalibrationMap for Shifted {
    fn logit(&self, z: f64) -> f64 {
        z + self.0
    }
}

impl Calibrator for Inflated {
    type Map = Shifted;

    fn needs_rows(&self) -> bool {
        true
    }

    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> imbalance::Result<Calibration<Shifted>> {
        CalibrationSet::representative(rows, "Inflated")?;
        Ok(Calibration::new(Shifted(self.factor.ln())))
    }
}

#[test]
fn a_calibrator_without_a_report_that_leaves_the_mean_off_is_found() {
    let data = log(20_000, 0.02, &[], 3);
    let (train, rest) = data.stratified_split(0.3, 9).unwrap();
    let folds = || CrossFit::new(4, Cut::Stratified).unwrap();
    let wrong = || regression().calibrator(Inflated { factor: 4.0 });
    let cases = [
        (CheckedOn::Calibration, wrong().fit(&data).unwrap()),
        (CheckedOn::Calibration, wrong().fit_with(&train, &rest).unwrap()),
        (CheckedOn::OutOfFold, wrong().cross_fit(folds()).fit(&data).unwrap()),
        (CheckedOn::OutOfFold, wrong().cross_fit(folds().ensemble().unwrap()).fit(&data).unwrap()),
    ];
    for (expected, fitted) in cases {
        let found = fitted.report().warnings.iter().any(|warning| {
            matches!(warning, Warning::MeanOff { on, predicted_over_observed, .. }
                if *on == expected && *predicted_over_observed > 2.5)
        });
        assert!(found, "{fitted}");
    }
    let right = regression().calibrator(Inflated { factor: 1.0 }).fit(&data).unwrap();
    assert_eq!(right.report().warnings, []);
}

/// A logistic regression by one pass of gradient steps over the rows in their order.
#[derive(Debug)]
struct OnePass;

#[derive(Debug)]
struct Line([f64; 2]);

impl Line {
    fn at(&self, x: f64) -> f64 {
        self.0[0] + self.0[1] * x
    }
}

impl Model for OnePass {
    type Fitted = Line;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, _: &Run) -> imbalance::Result<Line> {
        let mut line = Line([0.0; 2]);
        for (row, &label) in train.labels().iter().enumerate() {
            let x = train.features().row(row).get(0);
            let step = 0.02 * loss.at(line.at(x), label).gradient;
            line.0[0] -= step;
            line.0[1] -= step * x;
        }
        Ok(line)
    }
}

impl Predict for Line {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> imbalance::Result<()> {
        out.iter_mut().enumerate().for_each(|(row, out)| *out = self.at(x.row(row).get(0)));
        Ok(())
    }
}

#[test]
fn a_model_that_has_not_converged_is_found() {
    // The labels change along the rows, and the model forgets; or there are too few steps.
    for rows in [20_000, 300] {
        let x = Array2::from_shape_fn((rows, 1), |(row, _)| (row as f64 * 0.7).sin());
        let labels: Vec<bool> =
            (0..rows).map(|row| row % if 2 * row < rows { 5 } else { 200 } == 0).collect();
        let fitted = Pipeline::new(OnePass).fit(&Dataset::new(&x, labels).unwrap()).unwrap();
        let text = fitted.to_string();
        let [Warning::MeanOff { on: CheckedOn::Training, predicted_over_observed, .. }] =
            fitted.report().warnings[..]
        else {
            panic!("{text}")
        };
        assert!((predicted_over_observed - 1.0).abs() > 0.5, "{text}");
        assert!(text.contains("not checked on unseen rows"), "{text}");
    }
}

#[test]
fn a_correction_larger_than_the_estimate_is_found() {
    // Six events in eleven columns.
    let clicks = SyntheticClicks::new(415, 0.014).unwrap().numeric(11).categorical(&[]);
    let data = clicks.generate(8).unwrap().dataset;
    let model = LogisticRegression::new().l2(0.1).unwrap();
    let plain = Pipeline::new(model).fit(&data).unwrap();
    assert_eq!(plain.report().warnings, []);
    let Ok(corrected) = Pipeline::new(RareEvents::new()).fit(&data) else {
        return; // The classes are separated, which the model itself says.
    };
    let ratio = only(&corrected).overall.ratio();
    assert_eq!(ratio > 3.0, !corrected.report().warnings.is_empty(), "{corrected}");
}

#[test]
fn what_the_rows_cannot_show_is_measured_out_of_fold() {
    // Balanced weights memorise rare levels, and no row was left out.
    let data = log(12_000, 0.01, &[3_000, 500], 2);
    let model = LogisticRegression::new().l2(0.01).unwrap();
    let balanced = Pipeline::new(model)
        .loss(WeightedLogLoss::balanced())
        .calibrator(PriorCorrection::new())
        .seed(7);
    let fitted = balanced.fit(&data).unwrap();
    assert!(!only(&fitted).has_unseen_rows());
    let check = balanced.check(&data, &Cut::Stratified, 4).unwrap();
    assert_eq!((check.on, check.overall.rows), (CheckedOn::OutOfFold, data.rows()));
    assert!(!check.warnings().is_empty(), "{check}");

    let dense = log(12_000, 0.02, &[], 2);
    for cut in [Cut::Stratified, Cut::InOrder, Cut::by_time("day")] {
        let check = regression().check(&dense, &cut, 4).unwrap();
        assert_eq!(check.warnings(), [], "{check}");
        assert!(check.overall.rows >= dense.rows() * 3 / 4);
    }
    // Its rows must represent the population.
    let rule = RuleSampler::filter(Rule::number("last_active_days").at_most(3.0)).unwrap();
    let chosen = rule.resample(&dense, &Run::seeded(1)).unwrap().apply(&dense).unwrap();
    let error = regression().check(&chosen, &Cut::Stratified, 4).unwrap_err();
    assert!(matches!(error, Error::DistortedCalibration { .. }), "{error}");
}

#[test]
fn probabilities_that_tell_nothing_are_called_so() {
    let data = log(20_000, 0.02, &[], 3);
    // A column without any signal, which Platt's map makes a constant.
    let x = Array2::from_shape_fn((data.rows(), 1), |(row, _)| ((row * 7919) % 1000) as f64);
    let blind = Dataset::new(&x, data.labels()).unwrap();
    let platt = || regression().calibrator(PlattScaling::new());
    let folds = CrossFit::new(5, Cut::Stratified).unwrap();
    let warnings = platt().cross_fit(folds).fit(&blind).unwrap().report().warnings.clone();
    assert!(matches!(warnings[..], [Warning::NoRanking { on: CheckedOn::OutOfFold, .. }]));
    assert_eq!(platt().fit(&data).unwrap().report().warnings, []);
}

#[test]
fn rows_of_another_population_are_not_held_against_a_given_rate() {
    let data = log(20_000, 0.02, &[], 3);
    let told = Pipeline::new(RareEvents::new().prior_correction(0.002).unwrap());
    let told = told.sampler(under(5.0)).fit(&data).unwrap();
    let given = regression().calibrator(PriorCorrection::from_sampling_rate(0.1).unwrap());
    let given = given.fit(&data).unwrap();
    for (check, warnings, text) in [
        (only(&told), &told.report().warnings, told.to_string()),
        (only(&given), &given.report().warnings, given.to_string()),
    ] {
        assert!(check.is_rate_given && check.overall.ratio() < 0.2, "{text}");
        assert_eq!(warnings[..], [], "{text}");
        assert!(text.contains("the population's rate was given"), "{text}");
    }
    // A log that was thinned out elsewhere and says so is compared with itself.
    let thinned = data.view().with_distortion(Distortion::PriorShift { log_odds: 10_f64.ln() });
    let fitted = regression().sampler(under(5.0)).calibrator(PriorCorrection::new());
    let fitted = fitted.fit(&thinned).unwrap();
    assert!((only(&fitted).overall.ratio() - 1.0).abs() < 0.1, "{fitted}");
    assert_eq!(fitted.report().warnings, []);
}

#[test]
fn odd_ratios_are_said() {
    let data = log(20_000, 0.02, &[], 3);
    let negatives = data.totals().negatives;
    let few = RandomUnderSampler::positives_per_negative(10.0).unwrap();
    let few = regression().sampler(few).calibrator(PlattScaling::new()).fit(&data).unwrap();
    let warning = few.report().warnings[0];
    assert!(matches!(warning, Warning::FewNegatives { negatives: 32, .. }), "{few}");
    assert!(warning.to_string().contains("negatives_per_positive"));

    let many: [Box<dyn Sampler>; 3] = [
        Box::new(under(1000.0)),
        Box::new(PoissonHardNegatives::proportional(pilot(), 1000.0, 0.1).unwrap()),
        Box::new(NearMiss::negatives_per_positive(1000.0).unwrap()),
    ];
    for sampler in many {
        let fitted = regression().sampler(sampler).fit(&data).unwrap();
        let asked = 1000 * data.totals().positives;
        let note = format!("{asked} negatives were asked for, and there are {negatives}");
        assert!(fitted.to_string().contains(&note));
        assert_eq!(fitted.report().notes, [note]);
    }
}

#[test]
fn chained_samplers_know_their_inclusion_where_it_is_known() {
    let data = log(3_000, 0.1, &[], 3);
    let over = || RandomOverSampler::positives_per_negative(0.5).unwrap();
    let smote = || Smote::positives_per_negative(0.5).unwrap();
    let active = || Rule::number("last_active_days").at_most(7.0);
    let rules = || PoissonRuleSampler::new([(active(), 0.5)], 0.1).unwrap();
    let filter = || RuleSampler::filter(active()).unwrap();
    let of = |sampler: &dyn Sampler| sampler.resample(&data, &Run::seeded(1)).unwrap().inclusion;
    for uniform in [
        &under(3.0) as &dyn Sampler,
        &under(5.0).then(under(3.0)),
        &under(3.0).then(over()),
        &smote().then(under(1.0)),
        &over().then(under(1.0)),
        &NoSampling.then(under(3.0)),
        &under(3.0).then(smote()),
    ] {
        assert_eq!(of(uniform), Inclusion::Uniform, "{uniform:?}");
    }
    for each in [&rules() as &dyn Sampler, &smote().then(rules()), &rules().then(smote())] {
        let Inclusion::Each(p) = of(each) else { panic!("{each:?}") };
        assert_eq!(p.len(), data.rows());
    }
    for unknown in
        [&filter() as &dyn Sampler, &filter().then(under(3.0)), &under(3.0).then(rules())]
    {
        assert_eq!(of(unknown), Inclusion::Unknown, "{unknown:?}");
    }
}

/// How often each row is kept is what the sampler says.
#[test]
fn inclusion_probabilities_are_those_of_the_draws() {
    const DRAWS: u64 = 500;
    let data = log(1_500, 0.1, &[], 3);
    let given = || {
        let fitted = Pipeline::new(LogisticRegression::new()).fit(&data).unwrap();
        Pilot::fitted(fitted)
    };
    let samplers: [Box<dyn Sampler>; 2] = [
        Box::new(LocalCaseControl::new(given()).scale(2.0).unwrap()),
        Box::new(PoissonHardNegatives::proportional(given(), 2.0, 0.1).unwrap()),
    ];
    for sampler in samplers {
        let mut times = vec![0.0; data.rows()];
        let mut inclusion = Vec::new();
        for seed in 0..DRAWS {
            let sample = sampler.resample(&data, &Run::seeded(seed)).unwrap();
            let (Rows::Kept(rows), Inclusion::Each(each)) = (sample.rows, sample.inclusion) else {
                panic!("{sampler:?}")
            };
            rows.into_iter().for_each(|row| times[row] += 1.0);
            inclusion = each;
        }
        let draws = DRAWS as f64;
        for (times, p) in times.iter().zip(inclusion) {
            // Five standard errors of a binomial number; 3,000 rows are looked at.
            let error = (draws * p * (1.0 - p)).sqrt();
            assert!((times - draws * p).abs() <= 5.0 * error + 1.0, "{times} of {draws} at {p}");
        }
    }
}

/// The rate of false alarms is measured by the example `self_check`; here only that there are few.
#[test]
fn valid_pipelines_hardly_ever_warn() {
    for seed in 0..20 {
        let data = log(10_000, 0.01, &[], seed);
        let corrected = regression().sampler(under(10.0)).calibrator(PriorCorrection::new());
        let weighted = regression().sampler(under(10.0).reweight(true));
        for pipeline in [corrected.boxed(), weighted.boxed()] {
            let fitted = pipeline.seed(seed).fit(&data).unwrap();
            assert_eq!(fitted.report().warnings, [], "{fitted}");
            assert!(only(&fitted).has_unseen_rows());
        }
    }
}

/// The unit of the weights changes sums alone: ratios and distances in standard errors stay, and nothing is NaN.
#[test]
fn weights_of_any_unit_give_the_same_check() {
    let data = log(2_000, 0.1, &[], 3);
    let check = |unit: f64| {
        let weights: Vec<f64> = (0..data.rows()).map(|row| unit * (1 + row % 3) as f64).collect();
        let data = data.view().with_weights(weights).unwrap();
        let model = LogisticRegression::new().l2(unit).unwrap();
        Pipeline::new(model).check(&data, &Cut::InOrder, 3).unwrap()
    };
    let plain = check(1.0);
    for power in [-900, -600, -500, 500, 900] {
        let unit = 2_f64.powi(power);
        let found = check(unit);
        let pairs = found.deciles.iter().zip(&plain.deciles);
        for (found, plain) in pairs.chain([(&found.overall, &plain.overall)]) {
            let [found_ratio, ratio] = [found, plain].map(imbalance::pipeline::Agreement::ratio);
            assert!((found_ratio - ratio).abs() < 1e-6, "{found_ratio} for {ratio} at {unit:e}");
            let [found, plain] =
                [found, plain].map(imbalance::pipeline::Agreement::standard_errors);
            assert!((found - plain).abs() < 1e-6, "{found} for {plain} at {unit:e}");
        }
    }
}
