//! Cross-fitting: every row calibrates, and no row by a model that has seen it.

use std::fmt;

use super::{CheckedOn, FittedPipeline, Judged, Pipeline, Report, SelfCheck, Trained};
use crate::calibration::{CalibrationSet, Calibrator, TrainingContext};
use crate::core::{
    ClassTotals, Cut, Dataset, Distortion, Error, Progress, Result, Run, ensure_fold_count, stored,
};
use crate::loss::Loss;
use crate::metrics::predicted_over_observed;
use crate::model::{Model, Predict, logits_of};
use crate::sampling::Sampler;

/// Cross-fitting: the training rows are cut into folds, a model is trained on each fold's training rows,
/// and the calibrator learns from the logits of all rows judged, each by a model that has not seen it.
/// So it learns from every positive, where a hold-out takes rows from the model and gives the calibrator
/// only those.
///
/// The sampler acts inside the training rows of a fold alone; the rows judged are as the population left
/// them. What is served is
///
/// * by default **one model refitted on all rows**: one prediction costs one pass. It has seen more rows
///   than the folds' models whose logits taught the calibrator, so it is a little better than the map
///   assumes; the difference vanishes with the number of folds.
/// * after [`ensemble`](Self::ensemble), **the folds' models**: the mean of their *calibrated
///   probabilities*.
///
/// # Why the mean of probabilities
///
/// A new row and the logit that a fold's model gives it are distributed as the pairs the map was learned
/// from, so each member is calibrated: its mean prediction is right. The mean over the members then is
/// right too, by linearity, and its log loss is no worse than theirs on average, by convexity. The mean
/// of *logits* would vary less than the logits that the map was learned from, so the map would not fit
/// them. One map is learned from all folds together: with rare positives, a map for each fold alone would
/// have a k-th of them to learn from.
///
/// # One scale for all folds
///
/// The constants of sampler and loss are realised ones (the odds after sampling, balanced class weights),
/// so they differ from fold to fold, and a logit of 0 does not mean the same in each. Before logits are
/// pooled, each is translated to the training of the model that is served: to the logit that stands for
/// the same log-odds in the population there. So a calibrator that learns from raw logits sees one scale,
/// and one that undoes the training first (a prior correction, followed by a learned map) undoes the right one. Where
/// rows were chosen by their features the shift of the overall odds is the sampler's nominal one; where
/// there is none, nothing is translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossFit {
    folds: usize,
    cut: Cut,
    ensemble: bool,
}

impl CrossFit {
    /// This many folds by a cut. Usual: 5 or 10.
    ///
    /// With [`Cut::Stratified`] and [`Cut::ByGroup`] every row is judged once, by a model of the other folds.
    /// With [`Cut::InOrder`] and [`Cut::ByTime`] folds are chained forward: the rows are cut into `folds` + 1
    /// blocks, and each but the first is judged by a model of the blocks before it. The first block
    /// calibrates nothing, and a map never learns from a model that knew the future.
    ///
    /// ```
    /// use imbalance::prelude::*;
    ///
    /// let log = SyntheticClicks::new(4_000, 0.05)?.numeric(2).categorical(&[]).generate(7)?;
    /// let fitted = Pipeline::new(LogisticRegression::new())
    ///     .calibrator(PlattScaling::new())
    ///     .cross_fit(CrossFit::new(3, Cut::by_time("day"))?)
    ///     .fit(&log.dataset)?;
    /// assert_eq!(fitted.report().folds.len(), 3);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for fewer than 2 folds. [`Pipeline::fit`] refuses a column that does not
    /// exist, or times that are texts.
    pub fn new(folds: usize, cut: Cut) -> Result<Self> {
        ensure_fold_count(folds, usize::MAX)?;
        Ok(Self { folds, cut, ensemble: false })
    }

    /// Serves the mean of the folds' calibrated probabilities, instead of one refitted model.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for forward chaining, whose early models have seen a part of the rows
    /// only, and the oldest.
    pub fn ensemble(self) -> Result<Self> {
        if self.cut.is_forward() {
            let expected = "a refitted model for forward chaining: its early models know only the \
                            oldest rows";
            return Err(Error::invalid("ensemble", true, expected));
        }
        Ok(Self { ensemble: true, ..self })
    }

    /// Whether the folds' models are served, and so are needed whatever the calibrator is.
    pub(super) fn is_ensemble(&self) -> bool {
        self.ensemble
    }
}

stored!(CrossFit as "cross_fit", |cross_fit| {
    folds: usize = cross_fit.folds,
    cut: Cut = cross_fit.cut,
    ensemble: bool = cross_fit.ensemble,
} => Self::new(folds, cut).and_then(|own| if ensemble { own.ensemble() } else { Ok(own) }));

/// What happened in one fold of a cross-fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct FoldReport {
    /// The rows that went into the sampler.
    pub train: ClassTotals,
    /// The rows the fold's model was trained on.
    pub sample: ClassTotals,
    /// The rows it judged.
    pub judged: ClassTotals,
    /// Mean predicted / observed on the rows judged, by a calibrator that learned from the other folds
    /// (in forward chaining: from the earlier ones); or why there is none, as for the first fold of forward
    /// chaining.
    pub predicted_over_observed: Result<f64, String>,
}

impl fmt::Display for FoldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { train, sample, judged, predicted_over_observed } = self;
        write!(
            f,
            "{} of {} rows trained, {} judged, {} positive; predicted / observed ",
            sample.rows(),
            train.rows(),
            judged.rows(),
            judged.positives
        )?;
        match predicted_over_observed {
            Ok(ratio) => write!(f, "{ratio:.4}"),
            Err(reason) => write!(f, "not known: {reason}"),
        }
    }
}

/// The rows that a fold judged.
struct Part {
    labels: Vec<bool>,
    weights: Option<Vec<f64>>,
    logits: Vec<f64>,
    training: TrainingContext,
}

impl<S, L, M, C> Pipeline<S, L, M, C> {
    pub(super) fn fit_folds(
        &self,
        train: &Dataset<'_>,
        config: &CrossFit,
        run: &Run,
    ) -> Result<FittedPipeline<M::Fitted, C::Map>>
    where
        S: Sampler,
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        let folds = train.folds(&config.cut, config.folds, run.seed().child("folds"))?;
        let (mut models, mut judged, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for (fold, split) in folds.splits().enumerate() {
            let (inside, outside) = train.split(&split)?;
            let rows = inside.rows();
            run.report(&Progress::Fold { fold: fold + 1, of: folds.count(), rows })?;
            let trained = self.train(&inside, &run.child(&format!("fold {fold}")))?;
            judged.push(Part {
                labels: outside.labels().into(),
                weights: outside.weights().map(Into::into),
                logits: logits_of(&trained.model, &outside, run)?,
                training: trained.training.clone(),
            });
            reports.push(FoldReport {
                train: trained.train,
                sample: trained.sample,
                judged: outside.totals(),
                predicted_over_observed: Err("the calibrator was not fitted".into()),
            });
            if config.ensemble {
                models.push(trained);
            }
        }
        if !config.ensemble {
            models.push(self.train(train, run)?);
        }

        let rows = judged.iter().map(|part| part.labels.len()).sum();
        run.report(&Progress::Stage { name: "calibrating", rows })?;
        let calibrate = |model: &Trained<M::Fitted>| {
            let set = pool(judged.iter(), &model.training, train.distortion(), run)?;
            Ok((self.calibrator.fit(&model.training, Some(&set))?, set.totals()))
        };
        let mut members = models.into_iter();
        let Some(first) = members.next() else {
            return Err(Error::NoRows { what: "the cross-fit" });
        };
        let (map, totals) = calibrate(&first)?;
        let others = members
            .map(|member| calibrate(&member).map(|(map, _)| (member.model, map)))
            .collect::<Result<Vec<_>>>()?;

        let judge = |fold: usize| {
            let forward = config.cut.is_forward();
            if forward && fold == 0 {
                return Ok(Err("no fold comes before it".into()));
            }
            let own = |other: &usize| if forward { *other < fold } else { *other != fold };
            let others = (0..judged.len()).filter(own).map(|other| &judged[other]);
            let judged_by_others = || {
                let set = pool(others, &first.training, train.distortion(), run)?;
                let map = self.calibrator.fit(&first.training, Some(&set))?;
                let part = &judged[fold];
                let mut logits = part.logits.clone();
                part.training.translate(&first.training, &mut logits);
                // Forward chains learn the mean from ever more rows; other folds' errors cancel.
                let learned_from =
                    if forward { set.totals().positives as f64 } else { f64::INFINITY };
                Ok((map.probabilities(&logits)?, learned_from))
            };
            match judged_by_others() {
                Err(error @ Error::Cancelled { .. }) => Err(error),
                result => Ok(result.map_err(|error| error.to_string())),
            }
        };
        let mut out_of_fold = OutOfFold::default();
        for (fold, report) in reports.iter_mut().enumerate() {
            let part = &judged[fold];
            report.predicted_over_observed = judge(fold)?.and_then(|(p, learned_from)| {
                out_of_fold.push(&p, &part.labels, part.weights.as_deref(), learned_from);
                predicted_over_observed(&part.labels, &p, part.weights.as_deref())
                    .map_err(|error| error.to_string())
            });
        }

        let mut report = Report {
            train: train.totals(),
            folds: reports,
            members: 1 + others.len(),
            ..self.report(&first, &map, Some(totals))
        };
        let is_rate_given = self.is_rate_given(first.training.prior_corrected);
        if let Some(check) = out_of_fold.check(is_rate_given)
            && train.distortion().is_none()
        {
            report.add_check(check);
        }
        Ok(FittedPipeline::ensemble((first.model, map), others, report))
    }

    /// Measures predicted / observed out of fold: the rows are cut into folds, the whole pipeline is fitted to
    /// the other folds, and its probabilities are compared with the labels of the fold, which nothing has
    /// learned from. Where the sampler leaves out no rows, this is the only check on unseen rows.
    ///
    /// It costs as many fits as there are folds. By time and in order, a fold is judged by a pipeline that
    /// has seen the rows before it.
    ///
    /// ```
    /// use imbalance::prelude::*;
    ///
    /// let log = SyntheticClicks::new(10_000, 0.05)?.numeric(2).categorical(&[]).generate(7)?;
    /// let check = Pipeline::new(LogisticRegression::new()).check(&log.dataset, &Cut::Stratified, 5)?;
    /// assert!((check.overall.ratio() - 1.0).abs() < 0.1 && check.warnings().is_empty());
    /// println!("{check}");
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`fit`](Self::fit) and [`Dataset::folds`]; [`Error::DistortedCalibration`] for rows that were
    /// chosen by their features.
    pub fn check(&self, data: &Dataset<'_>, cut: &Cut, folds: usize) -> Result<SelfCheck>
    where
        S: Sampler,
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        if data.distortion().is_by_features() {
            let distortion = data.distortion().to_string();
            return Err(Error::DistortedCalibration { calibrator: "the check", distortion });
        }
        let seed = self.run.seed().child("check");
        let cuts = data.folds(cut, folds, seed)?;
        let (mut out_of_fold, mut is_rate_given) = (OutOfFold::default(), false);
        for (fold, split) in cuts.splits().enumerate() {
            let (inside, outside) = data.split(&split)?;
            let rows = inside.rows();
            self.run.report(&Progress::Fold { fold: fold + 1, of: folds, rows })?;
            let run = self.run.child("check").child(&format!("fold {fold}"));
            let fitted = self.fit_in(&inside, &run, false)?;
            is_rate_given |= self.is_rate_given(fitted.model().is_prior_corrected());
            let p = fitted.probabilities_among(&outside, &run)?;
            let learned_from =
                if cut.is_forward() { inside.totals().positives as f64 } else { f64::INFINITY };
            out_of_fold.push(&p, outside.labels(), outside.weights(), learned_from);
        }
        out_of_fold.check(is_rate_given).ok_or(Error::NoRows { what: "the check" })
    }
}

/// Rows judged in folds.
#[derive(Default)]
struct OutOfFold {
    probabilities: Vec<f64>,
    labels: Vec<bool>,
    weights: Vec<f64>,
    /// Σ w p and Σ w of each fold.
    folds: Vec<(f64, f64)>,
    /// The standard error of Σ w p from the positives that the means were learned from.
    error: f64,
}

impl OutOfFold {
    /// Adds the rows of a fold, whose mean was learned from so many positives.
    fn push(&mut self, p: &[f64], labels: &[bool], weights: Option<&[f64]>, learned_from: f64) {
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let sums = p.iter().enumerate().fold((0.0, 0.0), |(predicted, all), (row, p)| {
            (predicted + weight(row) * p, all + weight(row))
        });
        self.folds.push(sums);
        // The positives of a fold teach all later ones, so their errors do not cancel.
        self.error += sums.0 / learned_from.sqrt();
        self.probabilities.extend_from_slice(p);
        self.labels.extend_from_slice(labels);
        // Either all folds have weights or none has.
        self.weights.extend_from_slice(weights.unwrap_or_default());
    }

    /// The check of all rows; none if there are no positives.
    fn check(&self, is_rate_given: bool) -> Option<SelfCheck> {
        let (predicted, all) =
            self.folds.iter().fold((0.0, 0.0), |sums, fold| (sums.0 + fold.0, sums.1 + fold.1));
        // As shares of what is predicted, because squares of small weights vanish.
        let share = |sum: f64| if predicted > 0.0 { sum / predicted } else { 0.0 };
        // The folds' models differ by what each has learned and by the draw of its sample.
        let count = self.folds.len() as f64;
        let off = |&(own, weight): &(f64, f64)| (share(own) - weight / all).powi(2);
        let between = if count > 1.0 && predicted > 0.0 {
            count / (count - 1.0) * self.folds.iter().map(off).sum::<f64>()
        } else {
            0.0
        };
        let rows = Judged {
            on: CheckedOn::OutOfFold,
            probabilities: &self.probabilities,
            labels: &self.labels,
            weights: (!self.weights.is_empty()).then_some(&self.weights),
            drawn: None,
            relative_error: share(self.error).hypot(between.sqrt()),
            is_rate_given,
        };
        self.labels.contains(&true).then(|| rows.check())
    }
}

/// The rows of some folds, with their logits on the scale of one training.
fn pool<'j>(
    parts: impl Iterator<Item = &'j Part>,
    training: &TrainingContext,
    distortion: &Distortion,
    run: &Run,
) -> Result<CalibrationSet<'static>> {
    let (mut logits, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let first = logits.len();
        logits.extend_from_slice(&part.logits);
        part.training.translate(training, &mut logits[first..]);
        labels.extend_from_slice(&part.labels);
        weights.extend_from_slice(part.weights.as_deref().unwrap_or_default());
    }
    let set = CalibrationSet::from_logits(logits, labels)?
        .with_distortion(distortion.clone())
        .with_run(&run.child("calibrator"));
    // Either all parts have weights or none has.
    if weights.is_empty() { Ok(set) } else { set.with_weights(weights) }
}
