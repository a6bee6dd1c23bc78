//! What every sampler promises. A new sampler is one line in [`cases`].

use imbalance::FeaturesView;
use imbalance::model::Predict;
use imbalance::ndarray::Array2;
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, DrawMode, EditedNearestNeighbours, HardnessBand, NearMiss,
    NearMissVersion, NeighbourhoodCleaning, PoissonHardNegatives, PoissonRuleSampler,
    RandomOverSampler, Resample, Rows, Rule, Smote, SmoteNc, Synthetic, TomekLinks, VotingRule,
};
use imbalance::sampling::{HardNegativeMining, LocalCaseControl, NoSampling, Pilot, RuleSampler};
use imbalance::testing::{Law, SamplerSuite, SparseRows};
use rayon::prelude::*;

/// A sampler and what it promises.
type Case = (SamplerSuite, Box<dyn Sampler>);

/// A sampler that draws rows of the input and takes any rows of both classes.
fn case(sampler: impl Sampler + 'static) -> Case {
    (SamplerSuite::default(), Box::new(sampler))
}

/// A sampler that chooses rows by a rule, with no draw.
fn fixed(sampler: impl Sampler + 'static) -> Case {
    with(case(sampler), |suite| suite.is_deterministic = true)
}

/// A sampler that makes rows.
fn maker(sampler: impl Sampler + 'static) -> Case {
    with(case(sampler), |suite| suite.makes_rows = true)
}

/// A sampler that promises something else.
fn with((mut suite, sampler): Case, change: impl FnOnce(&mut SamplerSuite)) -> Case {
    change(&mut suite);
    (suite, sampler)
}

fn without_totals(sampler: impl Sampler + 'static) -> Case {
    with(case(sampler), |suite| suite.keeps_totals = false)
}

fn trainer(sampler: impl Sampler + 'static) -> Case {
    with(case(sampler), |suite| suite.trains = true)
}

fn on_sparse(sparse: SparseRows, case: Case) -> Case {
    with(case, |suite| suite.sparse = sparse)
}

/// Every sampler of the crate, in every form it has. A new one is a line here.
fn cases() -> Vec<Case> {
    let under = || RandomUnderSampler::rate(0.25).unwrap();
    let given = || Pilot::given(FirstColumn);
    let trained = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let window = || HardnessBand::window(0.3, 0.12).unwrap();
    let hardest = || HardnessBand::hardest(100).unwrap();
    let hard = |band| HardNegativeMining::new(given(), band);
    let poisson = || PoissonHardNegatives::proportional(given(), 4.0, 0.05).unwrap();
    let banded = || PoissonHardNegatives::band(given(), window(), 0.2).unwrap();
    let local = || LocalCaseControl::new(given());
    let active = || Rule::number("last_active_days").at_most(7.0);
    let seen = || Rule::number("impressions").at_least(5.0);
    let by_rule = || PoissonRuleSampler::new([(active().and(seen()), 0.6)], 0.2).unwrap();
    let shares = || RuleSampler::shares([(active(), 0.5), (seen(), 0.3)], 0.1).unwrap();
    let priorities = || RuleSampler::priorities([(active(), 5.0), (seen(), 2.0)], 0.3).unwrap();
    let enn = || EditedNearestNeighbours::new(3).unwrap();
    // The positives are far apart here: few have another one next to them.
    let enn_both = || EditedNearestNeighbours::new(1).unwrap().both_classes(true);
    let tomek_both = || TomekLinks::new().both_classes(true);
    let near_miss = || NearMiss::negatives_per_positive(2.0).unwrap();
    let over = |ratio| RandomOverSampler::positives_per_negative(ratio).unwrap();
    let smote = |ratio| Smote::positives_per_negative(ratio).unwrap();
    let nc = || SmoteNc::positives_per_negative(0.2, [1]).unwrap();
    let (other_draws, refused) = (SparseRows::OtherDraws, SparseRows::Refused);
    vec![
        with(fixed(NoSampling), |suite| suite.needs_both_classes = false),
        case(under()),
        case(under().reweight(true)),
        case(under().draw(DrawMode::WithReplacement)),
        case(under().draw(DrawMode::WithReplacement).reweight(true)),
        case(under().draw(DrawMode::Bernoulli)),
        case(under().draw(DrawMode::Bernoulli).reweight(true)),
        case(RandomUnderSampler::negatives_per_positive(3.0).unwrap()),
        case(RandomUnderSampler::positives_per_negative(0.4).unwrap()),
        fixed(hard(window())),
        fixed(hard(hardest())),
        fixed(hard(HardnessBand::quantiles(0.8, 0.95).unwrap())),
        case(hard(hardest()).random_share(0.5).unwrap()),
        trainer(HardNegativeMining::new(trained(), hardest())),
        case(poisson()),
        case(poisson().reweight(true)),
        case(banded()),
        case(banded().reweight(true)),
        case(local()),
        without_totals(local().scale(4.0).unwrap()),
        without_totals(local().scale(0.5).unwrap()),
        trainer(LocalCaseControl::new(trained())),
        fixed(RuleSampler::filter(active().and(seen())).unwrap()),
        fixed(RuleSampler::filter(active()).unwrap().on_all_rows(true)),
        case(shares()),
        case(shares().on_all_rows(true)),
        case(priorities()),
        case(priorities().on_all_rows(true)),
        case(by_rule()),
        case(by_rule().reweight(true)),
        case(by_rule().reweight(true).on_all_rows(true)),
        case(over(0.3)),
        fixed(TomekLinks::new()),
        fixed(tomek_both()),
        fixed(enn()),
        fixed(enn_both()),
        fixed(enn().vote(VotingRule::Mode)),
        fixed(enn().repeated(5).unwrap()),
        fixed(enn().all_knn(true)),
        fixed(NeighbourhoodCleaning::new(3).unwrap()),
        fixed(near_miss()),
        fixed(near_miss().version(NearMissVersion::FarthestPositives)),
        fixed(near_miss().version(NearMissVersion::AroundPositives)),
        case(under().then(under())),
        case(under().reweight(true).then(local())),
        case(by_rule().reweight(true).then(under().reweight(true))),
        case(under().then(RuleSampler::filter(active()).unwrap())),
        maker(smote(0.2)),
        on_sparse(other_draws, maker(smote(0.2).per_element(true))),
        maker(BorderlineSmote::borderline1(0.2).unwrap()),
        maker(BorderlineSmote::borderline2(0.2).unwrap()),
        maker(Adasyn::positives_per_negative(0.2).unwrap()),
        maker(smote(0.2).then(enn())),
        maker(smote(0.2).then(enn_both())),
        maker(smote(0.2).then(tomek_both())),
        maker(under().then(smote(0.6))),
        on_sparse(other_draws, maker(under().reweight(true).then(smote(0.6).per_element(true)))),
        // The second makes rows of rows that the first made, and sees them rounded.
        with(maker(smote(0.15).then(BorderlineSmote::borderline1(0.2).unwrap())), |suite| {
            suite.rounds_once = false;
        }),
        on_sparse(refused, maker(over(0.2).shrinkage(1.0).unwrap())),
        on_sparse(refused, maker(nc())),
        on_sparse(refused, maker(nc().then(tomek_both()))),
    ]
}

/// A pilot whose logit is the first column less one: a little below the base rate of the data.
#[derive(Debug)]
struct FirstColumn;

impl Predict for FirstColumn {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> imbalance::Result<()> {
        for (row, out) in out.iter_mut().enumerate() {
            *out = x.row(row).get(0) - 1.0;
        }
        Ok(())
    }
}

#[test]
fn every_sampler_holds_every_law() {
    let broken: Vec<String> = cases()
        .into_par_iter()
        .flat_map_iter(|(suite, sampler)| {
            let broken = suite.run(&sampler);
            broken.into_iter().map(move |law| format!("{sampler:?}: {law}"))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Half of the negatives, and something that is not right.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Broken {
    /// It says that nothing was distorted.
    Undistorted,
    /// It reports a tenth too large a shift.
    Shift,
    /// It takes rows of one class.
    OneClass,
    /// It keeps the first half of the negatives.
    First,
    /// It draws from the number of threads.
    Threads,
    /// It makes a row from a negative.
    Provenance,
}

impl Sampler for Broken {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> imbalance::Result<Resample> {
        if *self == Self::OneClass && data.totals().ensure_both("Broken").is_err() {
            return Ok(Resample::identity());
        }
        let mut resample = RandomUnderSampler::rate(0.5)?.resample(data, run)?;
        match (self, &mut resample.distortion, &mut resample.rows) {
            (Self::Undistorted, distortion, _) => *distortion = Distortion::None,
            (Self::Shift, Distortion::PriorShift { log_odds }, _) => *log_odds *= 1.1,
            (Self::First, _, Rows::Kept(rows)) => {
                let drawn = rows.len() - data.totals().positives;
                let negatives = (0..data.rows()).filter(|&row| !data.labels()[row]);
                let positives = (0..data.rows()).filter(|&row| data.labels()[row]);
                *rows = negatives
                    .take(drawn - run.seed().value() as usize % 2)
                    .chain(positives)
                    .collect();
                let totals = data.select(rows)?.totals();
                let log_odds = totals.log_odds() - data.totals().log_odds();
                resample.distortion = Distortion::PriorShift { log_odds };
            }
            (Self::Threads, _, Rows::Kept(rows)) => rows.rotate_left(rayon::current_num_threads()),
            (Self::Provenance, _, Rows::Kept(rows)) => {
                // A new row that it has not promised, made from a negative.
                let parent = rows.iter().position(|&row| !data.labels()[row]).map(|at| rows[at]);
                let made = Array2::<f64>::zeros((1, data.columns()));
                resample.synthetic = vec![Synthetic::new(made, parent.into_iter().collect())];
            }
            _ => {}
        }
        Ok(resample)
    }
}

#[test]
fn a_broken_sampler_is_caught_by_the_law_that_it_breaks() {
    for (sampler, law) in [
        (Broken::Undistorted, Law::Distortion),
        (Broken::Shift, Law::Distortion),
        (Broken::OneClass, Law::Answers),
        (Broken::First, Law::RowOrder),
        (Broken::Threads, Law::Threads),
        (Broken::Provenance, Law::Provenance),
    ] {
        let broken = SamplerSuite::default().run(&sampler);
        let found = broken.iter().find(|broken| broken.law == law);
        let found = found.unwrap_or_else(|| panic!("{sampler:?}: {broken:#?}"));
        println!("{sampler:?}: {found}");
    }
    // The numbers are those of the draw: the true shift is ln 2, to the rounding of a count.
    let broken = SamplerSuite::default().run(&Broken::Shift);
    let shift = broken.iter().find(|broken| broken.law == Law::Distortion).unwrap();
    let numbers = [&shift.found, &shift.expected];
    let [found, expected] =
        numbers.map(|text| text.split(' ').next().unwrap().parse::<f64>().unwrap());
    assert!((expected - 2_f64.ln()).abs() < 1e-3 && (found - 1.1 * expected).abs() < 1e-9);
}

#[test]
fn samplers_say_what_they_are() {
    let texts: std::collections::BTreeSet<_> = cases()
        .iter()
        .map(|(_, sampler)| {
            let text = format!("{sampler:?}");
            assert!((10..600).contains(&text.len()), "{text}");
            assert_ne!(sampler.name(), text);
            text
        })
        .collect();
    assert_eq!(texts.len(), cases().len(), "two samplers look the same");
}
