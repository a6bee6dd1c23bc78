//! Calibrators and metrics on hostile scores.

use std::fmt::Debug;

use imbalance::calibration::multiclass::ClassSet;
use imbalance::calibration::{
    Calibration, CalibrationMap, CalibrationSet, Calibrator, Clip, TemperatureScaling,
};
use imbalance::metrics::{
    Bootstrap, Period, ProbabilityScale, RankedScores, Scorecard, ThresholdRule, average_precision,
    brier_decomposition, brier_score, calibration_line, compare_roc_auc, confusion, ece,
    hosmer_lemeshow, lift_at, log_loss, log_loss_from_logits, mce, normalised_entropy,
    precision_at_k, predicted_over_observed, quantile_bins, recall_at_k, roc_auc, roc_auc_interval,
    roc_auc_wald_interval, slices_by_category, slices_by_period, smooth_ece,
};
use imbalance::ndarray::Array2;
use imbalance::numerics::sigmoid;
use imbalance::{Attribute, Evaluation, Folds, Result};

use crate::combinations::CALIBRATORS;
use crate::rows::{COUNTS, LABELS, NUMBERS, WEIGHTS, noise};
use crate::tally::Tally;

const LOGITS: &[(&str, fn(usize) -> f64)] = &[
    ("plain", |i| 4.0 * noise(i) - 1.0),
    ("equal", |_| -2.0),
    ("zero", |_| 0.0),
    ("two values", |i| (i % 2) as f64),
    ("ties", |i| (i % 4) as f64 - 2.0),
    ("subnormal", |i| 1e-310 * noise(i)),
    ("smallest", |i| (i % 3) as f64 * 5e-324),
    ("an ulp apart", |i| 1.0 + (i % 5) as f64 * f64::EPSILON),
    ("1e-8 apart", |i| -7.0 + i as f64 * 1e-8),
    ("1e-12 apart", |i| -7.0 + i as f64 * 1e-12),
    ("× 1e-160", |i| 1e-160 * noise(i)),
    ("× 50", |i| 50.0 * noise(i)),
    ("× 1e4", |i| 1e4 * noise(i)),
    ("× 1e160", |i| 1e160 * noise(i)),
    ("× 1e308", |i| 1e308 * noise(i)),
    ("±MAX", |i| if i % 2 == 0 { f64::MAX } else { f64::MIN }),
    ("one 1e308", |i| if i == 3 { 1e308 } else { noise(i) }),
    ("−40 all but one", |i| if i == 3 { 2.0 } else { -40.0 }),
    ("one −∞", |i| if i == 3 { f64::NEG_INFINITY } else { noise(i) }),
    ("±∞", |i| if i % 2 == 0 { f64::INFINITY } else { f64::NEG_INFINITY }),
    ("all ∞", |_| f64::INFINITY),
    ("separating", |i| if i % 5 == 0 { 1.0 + noise(i) } else { -3.0 + noise(i) }),
    ("reversed", |i| if i % 5 == 0 { -3.0 } else { noise(i) }),
    ("NaN", |i| if i == 0 { f64::NAN } else { 1.0 }),
];

/// Labels, scores and weights.
struct Case {
    name: String,
    labels: Vec<bool>,
    scores: Vec<f64>,
    weights: Option<Vec<f64>>,
}

/// Every list of scores with every list of labels and of weights.
fn cases() -> impl Iterator<Item = Case> {
    LOGITS.iter().flat_map(|&(scores_name, score)| {
        LABELS.iter().flat_map(move |&(labels_name, rows, positive)| {
            WEIGHTS.iter().map(move |&(weights_name, weight)| Case {
                name: format!("scores {scores_name}, labels {labels_name}, weights {weights_name}"),
                labels: (0..rows).map(positive).collect(),
                scores: (0..rows).map(score).collect(),
                weights: weight.map(|weight| (0..rows).map(weight).collect()),
            })
        })
    })
}

impl Case {
    fn set(&self) -> Result<CalibrationSet<'_>> {
        let set = CalibrationSet::from_logits(&self.scores, &self.labels)?;
        match &self.weights {
            Some(weights) => set.with_weights(weights),
            None => Ok(set),
        }
    }
}

/// Scores that a map may meet; infinite ones are a map's domain, too.
const MET: &[f64] = &[
    f64::NEG_INFINITY,
    f64::MIN,
    -1e4,
    -50.0,
    -1.0,
    -5e-324,
    0.0,
    1e-310,
    0.3,
    2.0,
    800.0,
    1e300,
    f64::MAX,
    f64::INFINITY,
];

fn judge<M: CalibrationMap>(calibration: &Calibration<M>) -> Result<impl Debug + use<M>> {
    let probabilities = calibration.probabilities(MET)?;
    assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "a probability outside 0 … 1");
    let one =
        MET.iter().map(|&z| (calibration.probability(z), calibration.logit(z))).collect::<Vec<_>>();
    let edges = calibration.probabilities_of(&[0.0, 5e-324, 0.5, 1.0 - 1e-16, 1.0])?;
    let report = calibration.report().map(|report| (report.to_string(), format!("{report:?}")));
    Ok((one, probabilities, edges, report, calibration.describe()))
}

pub(crate) fn calibrators(tally: &mut Tally) {
    for case in cases() {
        tally.cell(|| case.name.clone(), || case.set().map(|set| set.totals()));
        for &(name, _, make) in CALIBRATORS {
            let name = || format!("{name}, {}", case.name);
            tally.cell(name, || judge(&make()?.learn(&case.set()?)?));
            tally.cell(
                || format!("clipped, {}", name()),
                || judge(&Clip::new(1e-6)?.then(make()?).learn(&case.set()?)?),
            );
        }
        classes(tally, &case);
    }
}

/// Three classes, whose logits are the scores in turn.
fn classes(tally: &mut Tally, case: &Case) {
    let rows = case.scores.len();
    let logits = Array2::from_shape_fn((rows, 3), |(r, c)| case.scores[(r + c * 3) % rows]);
    for (kind, bias_corrected) in [("classes", false), ("classes, with offsets", true)] {
        for wrong in [0, 3] {
            let labels: Vec<usize> = case.labels.iter().map(|&y| usize::from(y) + wrong).collect();
            tally.cell(
                || format!("{kind}, {}", case.name),
                || {
                    let set = ClassSet::new(&logits, &labels)?;
                    let set = match &case.weights {
                        Some(weights) => set.with_weights(weights)?,
                        None => set,
                    };
                    let fitted = TemperatureScaling::new()
                        .bias_corrected(bias_corrected)
                        .fit_classes(&set)?;
                    Ok((fitted.probabilities(&logits.view())?, fitted.temperature()))
                },
            );
        }
    }
}

type Metric = fn(&[bool], &[f64], Option<&[f64]>) -> Result<String>;

/// The value as the text in which a NaN is looked for.
fn text<T: Debug>(value: T) -> String {
    format!("{value:?}")
}

/// Metrics of probabilities.
const OF_PROBABILITIES: &[(&str, Metric)] = &[
    ("log loss", |y, p, w| log_loss(y, p, w).map(text)),
    ("NE", |y, p, w| normalised_entropy(y, p, w).map(text)),
    ("Brier", |y, p, w| brier_score(y, p, w).map(text)),
    ("predicted / observed", |y, p, w| predicted_over_observed(y, p, w).map(text)),
    ("calibration line", |y, p, w| calibration_line(y, p, w).map(text)),
    ("bins", |y, p, w| quantile_bins(y, p, w, 5).map(text)),
    ("ECE", |y, p, w| ece(y, p, w, 10).map(text)),
    ("MCE", |y, p, w| mce(y, p, w, 10).map(text)),
    ("smooth ECE", |y, p, w| smooth_ece(y, p, w).map(text)),
    ("Brier decomposition", |y, p, w| brier_decomposition(y, p, w, 10).map(text)),
    ("Hosmer–Lemeshow", |y, p, w| hosmer_lemeshow(y, p, w, 10).map(text)),
    ("scorecard", |y, p, w| Scorecard::new(y, p, w).map(|card| text((card.to_string(), card)))),
    ("slices", |y, p, w| {
        let Attribute::Categories(groups) =
            Attribute::categories((0..y.len()).map(|r| text(r % 3)))
        else {
            return Ok(String::new());
        };
        slices_by_category(&groups, y, p, w).map(text)
    }),
    ("periods", |y, p, w| {
        let times: Vec<f64> = (0..y.len()).map(|r| noise(r) * 1e9).collect();
        slices_by_period(&times, Period::Day, y, p, w).map(text)
    }),
    ("periods of 1e-300", |y, p, w| {
        let times: Vec<f64> = (0..y.len()).map(|r| noise(r) * 1e300).collect();
        slices_by_period(&times, 1e-300, y, p, w).map(text)
    }),
    ("ranked", |y, p, w| ranked(&RankedScores::new(y, p, w)?)),
    ("corp", |y, p, w| RankedScores::new(y, p, w)?.corp().map(text)),
    ("histogram", |y, p, w| {
        let rows = RankedScores::new(y, p, w)?;
        Ok(text((
            rows.score_histogram(7, ProbabilityScale::Linear)?,
            rows.score_histogram(7, ProbabilityScale::Logit)?,
        )))
    }),
    ("reliability", |y, p, w| {
        let rows = RankedScores::new(y, p, w)?;
        Ok(text((rows.reliability_curve(5, 0.95)?, rows.deciles(10)?)))
    }),
    ("calibrated threshold", |_, p, w| {
        ThresholdRule::cost(1.0, 1e9)?.choose_calibrated(p, w).map(text)
    }),
    ("evaluation", |y, p, w| {
        let report =
            Evaluation::new(y, p).weights(w).bootstrap(20).against("reversed", p).report()?;
        Ok(text((report.to_string(), report)))
    }),
    ("page", |y, p, w| {
        Evaluation::new(y, p)
            .weights(w)
            .bootstrap(2)
            .report()?
            .to_html()
            .map(|page| text(page.len()))
    }),
];

/// Metrics of any scores.
const OF_SCORES: &[(&str, Metric)] = &[
    ("AUC", |y, s, w| roc_auc(y, s, w).map(text)),
    ("average precision", |y, s, w| average_precision(y, s, w).map(text)),
    ("AUC interval", |y, s, w| roc_auc_interval(y, s, w, 0.95).map(text)),
    ("AUC Wald interval", |y, s, w| roc_auc_wald_interval(y, s, w, 0.95).map(text)),
    ("AUC difference", |y, s, w| {
        let other: Vec<f64> = s.iter().rev().copied().collect();
        compare_roc_auc(y, s, &other, w, 0.95).map(text)
    }),
    ("recall at k", |y, s, w| recall_at_k(y, s, w, 3.0).map(text)),
    ("precision at k", |y, s, w| precision_at_k(y, s, w, 3.0).map(text)),
    ("lift", |y, s, w| lift_at(y, s, w, 0.1).map(text)),
    ("confusion", |y, s, w| {
        confusion(y, s, w, 0.0)
            .map(|c| text((c, c.f1(), c.mcc(), c.g_mean(), c.lift(), c.balanced_accuracy())))
    }),
    ("ranked", |y, s, w| ranked(&RankedScores::new(y, s, w)?)),
    ("bootstrap", |y, s, w| {
        Bootstrap::new(20, 1)?.intervals(y, s, w, |rows| Ok([rows.roc_auc()?])).map(text)
    }),
    ("bootstrap by group", |y, s, w| {
        let groups: Vec<u32> = (0..y.len() as u32).map(|row| u32::MAX - row / 3).collect();
        let bootstrap = Bootstrap::new(20, 1)?.by_group(&groups);
        bootstrap
            .intervals(y, s, w, |rows| Ok([rows.roc_auc()?, rows.predicted_over_observed()?]))
            .map(text)
    }),
    ("bootstrap difference", |y, s, w| {
        let other: Vec<f64> = s.iter().rev().copied().collect();
        Bootstrap::new(20, 1)?
            .differences(y, [s, &other], w, |rows| Ok([rows.average_precision()?]))
            .map(text)
    }),
    ("log loss of logits", |y, z, w| log_loss_from_logits(y, z, w).map(text)),
    ("scorecard of logits", |y, z, w| {
        Scorecard::from_logits(y, z, w).map(|card| text((card.to_string(), card)))
    }),
    ("evaluation of logits", |y, z, w| {
        let report = Evaluation::from_logits(y, z).weights(w).bootstrap(20).report()?;
        Ok(text((report.to_string(), report)))
    }),
    ("threshold by cost", |y, s, w| ThresholdRule::cost(1.0, 1e300)?.choose(y, s, w).map(text)),
    ("threshold by F", |y, s, w| ThresholdRule::f_beta(1e-9)?.choose(y, s, w).map(text)),
    ("threshold by share", |y, s, w| ThresholdRule::share(1e-9)?.choose(y, s, w).map(text)),
    ("threshold by budget", |y, s, w| ThresholdRule::budget(2.0)?.choose(y, s, w).map(text)),
    ("threshold by precision", |y, s, w| {
        ThresholdRule::precision_floor(0.5)?.choose(y, s, w).map(text)
    }),
    ("threshold by recall", |y, s, w| ThresholdRule::recall_floor(1.0)?.choose(y, s, w).map(text)),
    ("cross-fitted threshold", |y, s, w| {
        let folds = Folds::stratified(y, 2, 1)?;
        ThresholdRule::f_beta(1.0)?.choose_cross_fitted(y, s, w, &folds).map(text)
    }),
];

/// Each number and curve of ranked scores.
fn ranked(rows: &RankedScores) -> Result<String> {
    let curves =
        (rows.roc_curve()?.thinned(5)?, rows.precision_recall_curve()?, rows.gain_curve()?);
    Ok(text((rows.base_rate(), rows.range(), rows.weight(), curves)))
}

pub(crate) fn metrics(tally: &mut Tally) {
    for case in cases() {
        let probabilities: Vec<f64> = case.scores.iter().map(|&z| sigmoid(z)).collect();
        let weights = case.weights.as_deref();
        for (name, metric) in OF_PROBABILITIES {
            let name = || format!("{name}, {}", case.name);
            tally.cell(name, || metric(&case.labels, &probabilities, weights));
        }
        for (name, metric) in OF_SCORES {
            tally.cell(
                || format!("{name}, {}", case.name),
                || metric(&case.labels, &case.scores, weights),
            );
        }
    }
    lengths_and_arguments(tally);
}

/// Lists of other lengths, and each number that a metric takes.
fn lengths_and_arguments(tally: &mut Tally) {
    let labels: Vec<bool> = (0..40).map(|r| r % 5 == 0).collect();
    let p: Vec<f64> = (0..41).map(|r| sigmoid(noise(r))).collect();
    for (name, metric) in OF_PROBABILITIES.iter().chain(OF_SCORES) {
        for (scores, weights) in [(41, 40), (39, 40), (40, 39), (0, 40), (40, 0)] {
            let weights = vec![1.0; weights];
            tally.cell(
                || format!("{name}, {scores} scores"),
                || metric(&labels, &p[..scores], Some(&weights)),
            );
        }
    }
    let p = &p[..40];
    for &x in NUMBERS {
        let name = || format!("argument {x:e}");
        tally.cell(name, || confusion(&labels, p, None, x));
        tally.cell(name, || recall_at_k(&labels, p, None, x));
        tally.cell(name, || precision_at_k(&labels, p, None, x));
        tally.cell(name, || lift_at(&labels, p, None, x));
        tally.cell(name, || roc_auc_interval(&labels, p, None, x));
        tally.cell(name, || roc_auc_wald_interval(&labels, p, None, x));
        tally.cell(name, || {
            Bootstrap::new(3, 1)?
                .level(x)?
                .intervals(&labels, p, None, |rows| Ok([rows.roc_auc()?]))
        });
        tally.cell(name, || Bootstrap::new(3, 1)?.intervals(&labels, p, None, |_| Ok([x])));
        tally.cell(name, || {
            let groups = vec![x as u32; 39 + usize::from(x > 0.0)];
            let bootstrap = Bootstrap::new(3, 1)?.by_group(&groups);
            bootstrap.intervals(&labels, p, None, |rows| Ok([rows.roc_auc()?]))
        });
        tally.cell(name, || {
            Evaluation::new(&labels, p).bootstrap(2).level(x).report().map(|r| r.to_string())
        });
        tally.cell(name, || slices_by_period(&vec![x; 40], 1.0, &labels, p, None));
        tally.cell(name, || {
            slices_by_period(&(0..40).map(f64::from).collect::<Vec<_>>(), x, &labels, p, None)
        });
        let rules: [fn(f64) -> Result<ThresholdRule>; 8] = [
            |x| ThresholdRule::cost(x, 1.0),
            |x| ThresholdRule::cost(1.0, x),
            ThresholdRule::f_beta,
            ThresholdRule::share,
            ThresholdRule::budget,
            ThresholdRule::precision_floor,
            ThresholdRule::recall_floor,
            |x| ThresholdRule::cost_matrix([[x, 1.0], [-x, x]]),
        ];
        for rule in rules {
            tally.cell(name, || rule(x)?.choose(&labels, p, None));
            tally.cell(name, || rule(x)?.choose_calibrated(p, None));
        }
    }
    for &n in COUNTS {
        let name = || format!("argument {n}");
        tally.cell(name, || ece(&labels, p, None, n));
        tally.cell(name, || mce(&labels, p, None, n));
        tally.cell(name, || hosmer_lemeshow(&labels, p, None, n));
        tally.cell(name, || brier_decomposition(&labels, p, None, n));
        tally.cell(name, || quantile_bins(&labels, p, None, n));
        let rows = || RankedScores::new(&labels, p, None);
        tally.cell(name, || rows()?.reliability_curve(n, 0.9));
        tally.cell(name, || rows()?.deciles(n));
        tally.cell(name, || rows()?.roc_curve()?.thinned(n));
        tally.cell(name, || rows()?.gain_curve()?.thinned(n));
        tally.cell(name, || {
            Evaluation::new(&labels, p).bootstrap(2).bins(n).report().map(|r| r.to_string())
        });
        // A histogram of a million bins takes a moment and a lot of text.
        if n <= 1000 || n > 1 << 30 {
            tally.cell(name, || rows()?.score_histogram(n, ProbabilityScale::Logit));
            tally.cell(name, || Bootstrap::new(n, 1).map(drop));
        }
    }
}
