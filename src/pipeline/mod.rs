//! The stages, composed: sampler, loss, model, calibrator.

mod cross_fit;
mod explanation;
mod fitted;
mod from_source;
mod judged;
mod pilot;
mod record_explanation;
mod report;
mod scorer;
mod self_check;
mod warning;

use std::fmt::Debug;
use std::ops::ControlFlow;

pub use cross_fit::{CrossFit, FoldReport};
pub use explanation::{ColumnShare, Explanation, Scales};
pub use fitted::{DynFittedPipeline, FittedPipeline};
pub use from_source::FromSource;
use judged::{Drawn, Judged};
pub use record_explanation::{RecordExplanation, RecordShare};
pub use report::Report;
pub use scorer::Scorer;
pub use self_check::{Agreement, CheckedOn, LeftOut, SelfCheck};
pub use warning::Warning;

use crate::calibration::{
    BoxCalibrator, Calibration, CalibrationMap, CalibrationSet, Calibrator, TrainingContext,
    Uncalibrated,
};
use crate::core::{
    ClassTotals, Cut, Dataset, Distortion, Error, Progress, Result, Run, Seed, stored,
};
use crate::loss::{LogLoss, Loss};
use crate::model::{BoxModel, FitWarning, Model, Predict, logits_of};
use crate::sampling::{NoSampling, Sampler};

/// Resamples, fits and calibrates, and never loses the thread: the sampler says what it distorted, the
/// loss knows its map to a probability, and the calibrator undoes exactly that, or refuses.
///
/// The identities [`NoSampling`], [`LogLoss`] and [`Uncalibrated`] stand where nothing is said.
///
/// ```
/// use imbalance::prelude::*;
///
/// let log = SyntheticClicks::new(20_000, 0.01)?.generate(7)?;
/// let (train, test) = log.dataset.stratified_split(0.3, 7)?;
///
/// let fitted = Pipeline::new(LogisticRegression::new())
///     .sampler(RandomUnderSampler::negatives_per_positive(10.0)?)
///     .calibrator(PriorCorrection::new())
///     .seed(7)
///     .fit(&train)?;
///
/// let probabilities = fitted.probabilities(test.features())?;
/// println!("{}", fitted.report());
/// # assert_eq!(probabilities.len(), test.rows());
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pipeline<S, L, M, C> {
    sampler: S,
    loss: L,
    model: M,
    calibrator: C,
    /// None if it was not said: a hold-out, where one is needed.
    calibration_rows: Option<CalibrationRows>,
    run: Run,
}

/// A pipeline all of whose stages were chosen while the program runs; made by [`Pipeline::boxed`].
pub type DynPipeline = Pipeline<Box<dyn Sampler>, Box<dyn Loss>, BoxModel, BoxCalibrator>;

/// Where a calibrator that learns gets its rows.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
enum CalibrationRows {
    HoldOut(HoldOut),
    CrossFit(CrossFit),
}

/// Which training rows are kept from the model so that a calibrator may learn from them.
///
/// They are set aside before the sampler acts, so they are as the population left them.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldOut {
    share: f64,
    cut: Cut,
}

impl HoldOut {
    /// The share of the rows that the cut sets aside.
    ///
    /// ```
    /// use imbalance::prelude::*;
    ///
    /// let log = SyntheticClicks::new(4_000, 0.05)?.numeric(2).categorical(&[]).generate(7)?;
    /// let fitted = Pipeline::new(LogisticRegression::new())
    ///     .calibrator(PlattScaling::new())
    ///     .hold_out(HoldOut::new(0.25, Cut::by_time("day"))?)
    ///     .fit(&log.dataset)?;
    /// println!("{fitted}");
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `share` < 1. [`Pipeline::fit`] refuses a column that does not
    /// exist, or times that are texts.
    pub fn new(share: f64, cut: Cut) -> Result<Self> {
        if share > 0.0 && share < 1.0 {
            Ok(Self { share, cut })
        } else {
            Err(Error::invalid("share", share, "between 0 and 1, both excluded"))
        }
    }
}

stored!(HoldOut as "hold_out", |hold_out| {
    share: f64 = hold_out.share,
    cut: Cut = hold_out.cut,
} => Self::new(share, cut));

impl Default for HoldOut {
    /// A fifth of each class.
    fn default() -> Self {
        Self { share: 0.2, cut: Cut::Stratified }
    }
}

stored!(<S: Sampler, L: Loss, M: Model, C: Calibrator> Pipeline<S, L, M, C> as "pipeline", |this| {
    sampler: PartOf<S> = as_part(this.sampler.saved(), &this.sampler),
    loss: PartOf<L> = as_part(this.loss.saved(), &this.loss),
    model: PartOf<M> = as_part(this.model.saved(), &this.model),
    calibrator: PartOf<C> = as_part(this.calibrator.saved(), &this.calibrator),
    calibration_rows: Option<CalibrationRows> = this.calibration_rows,
    seed: u64 = this.run.seed().value(),
} => Ok(Pipeline {
    sampler: sampler.0,
    loss: loss.0,
    model: model.0,
    calibrator: calibrator.0,
    calibration_rows,
    run: Run::seeded(seed),
}));

impl<M> Pipeline<NoSampling, LogLoss, M, Uncalibrated> {
    /// A pipeline of this model with no sampling, log loss and no calibration.
    pub fn new(model: M) -> Self {
        Self {
            sampler: NoSampling,
            loss: LogLoss,
            model,
            calibrator: Uncalibrated,
            calibration_rows: None,
            run: Run::default(),
        }
    }
}

impl<S, L, M, C> Pipeline<S, L, M, C> {
    /// The same pipeline with this sampler.
    #[must_use]
    pub fn sampler<S2>(self, sampler: S2) -> Pipeline<S2, L, M, C> {
        let Self { loss, model, calibrator, calibration_rows, run, .. } = self;
        Pipeline { sampler, loss, model, calibrator, calibration_rows, run }
    }

    /// The same pipeline with this loss.
    #[must_use]
    pub fn loss<L2>(self, loss: L2) -> Pipeline<S, L2, M, C> {
        let Self { sampler, model, calibrator, calibration_rows, run, .. } = self;
        Pipeline { sampler, loss, model, calibrator, calibration_rows, run }
    }

    /// The same pipeline with this calibrator.
    #[must_use]
    pub fn calibrator<C2>(self, calibrator: C2) -> Pipeline<S, L, M, C2> {
        let Self { sampler, loss, model, calibration_rows, run, .. } = self;
        Pipeline { sampler, loss, model, calibrator, calibration_rows, run }
    }

    /// The same pipeline with these rows held out for a calibrator that learns. Default: a random fifth
    /// of each class. A calibrator that does not learn leaves all rows to the model. Takes the place of
    /// [`cross_fit`](Self::cross_fit).
    #[must_use]
    pub fn hold_out(mut self, hold_out: HoldOut) -> Self {
        self.calibration_rows = Some(CalibrationRows::HoldOut(hold_out));
        self
    }

    /// The same pipeline with a calibrator that learns from all rows, each judged by a model that has not
    /// seen it. A calibrator that does not learn leaves all rows to one model, unless an ensemble is
    /// asked for. Takes the place of [`hold_out`](Self::hold_out).
    ///
    /// ```
    /// use imbalance::prelude::*;
    ///
    /// let log = SyntheticClicks::new(4_000, 0.05)?.numeric(2).categorical(&[]).generate(7)?;
    /// let fitted = Pipeline::new(LogisticRegression::new())
    ///     .sampler(RandomUnderSampler::negatives_per_positive(5.0)?)
    ///     .calibrator(PlattScaling::new())
    ///     .cross_fit(CrossFit::new(5, Cut::Stratified)?)
    ///     .fit(&log.dataset)?;
    /// println!("{}", fitted.report());
    /// assert_eq!(fitted.report().calibration.map(|rows| rows.rows()), Some(4_000));
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn cross_fit(mut self, cross_fit: CrossFit) -> Self {
        self.calibration_rows = Some(CalibrationRows::CrossFit(cross_fit));
        self
    }

    /// The same pipeline with this seed. Default 0.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Seed>) -> Self {
        self.run = self.run.reseeded(seed);
        self
    }

    /// The same pipeline with an observer of its progress, which may stop it.
    #[must_use]
    pub fn observer(
        mut self,
        observer: impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.run = self.run.observed(observer);
        self
    }

    /// This pipeline with the types of its stages erased, to be chosen while the program runs.
    ///
    /// ```
    /// use imbalance::DynPipeline;
    /// use imbalance::prelude::*;
    ///
    /// let thin_out = true; // from a configuration file
    /// let model = LogisticRegression::new();
    /// let pipeline: DynPipeline = if thin_out {
    ///     Pipeline::new(model)
    ///         .sampler(RandomUnderSampler::negatives_per_positive(10.0)?)
    ///         .calibrator(PriorCorrection::new())
    ///         .boxed()
    /// } else {
    ///     Pipeline::new(model).boxed()
    /// };
    /// # let log = SyntheticClicks::new(4_000, 0.05)?.numeric(2).categorical(&[]).generate(7)?;
    /// # assert!(pipeline.fit(&log.dataset)?.report().warnings.is_empty());
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn boxed(self) -> DynPipeline
    where
        S: Sampler + 'static,
        L: Loss + 'static,
        M: Model + 'static,
        M::Fitted: 'static,
        C: Calibrator + 'static,
        C::Map: 'static,
    {
        let Self { sampler, loss, model, calibrator, calibration_rows, run } = self;
        Pipeline {
            sampler: Box::new(sampler),
            loss: Box::new(loss),
            model: model.boxed(),
            calibrator: calibrator.boxed(),
            calibration_rows,
            run,
        }
    }

    /// Fits all stages. Where the calibrator learns, it does so from rows held out of `train`
    /// ([`hold_out`](Self::hold_out)) or by cross-fitting ([`cross_fit`](Self::cross_fit)). The probabilities are then
    /// compared with the rows at hand, in one pass ([`SelfCheck`], in the [report](Report::checks)).
    ///
    /// # Errors
    /// Whatever a stage refuses; see there. For cross-fitting also as for
    /// [`Folds::stratified`](crate::Folds::stratified), [`Folds::forward`](crate::Folds::forward) and
    /// [`Folds::by_time`](crate::Folds::by_time). [`Error::DistortedCalibration`], before any work, where the
    /// calibrator learns and `train` is no fair sample.
    pub fn fit(&self, train: &Dataset<'_>) -> Result<FittedPipeline<M::Fitted, C::Map>>
    where
        S: Sampler,
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        self.fit_in(train, &self.run, true)
    }

    /// [`fit`](Self::fit) as a part of other work: with that run instead of its own, and where the work does
    /// not read the report, without a check of the rows trained on.
    fn fit_in(
        &self,
        train: &Dataset<'_>,
        run: &Run,
        check: bool,
    ) -> Result<FittedPipeline<M::Fitted, C::Map>>
    where
        S: Sampler,
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        if self.calibrator.needs_rows() {
            ensure_representative(train)?;
        }
        match &self.calibration_rows {
            Some(CalibrationRows::CrossFit(config))
                if config.is_ensemble() || self.calibrator.needs_rows() =>
            {
                self.fit_folds(train, config, run)
            }
            rows if self.calibrator.needs_rows() => {
                let default = HoldOut::default();
                let hold_out = match rows {
                    Some(CalibrationRows::HoldOut(hold_out)) => hold_out,
                    _ => &default,
                };
                let seed = run.seed().child("hold-out");
                let (train, held_out) = train.cut(&hold_out.cut, hold_out.share, seed)?;
                self.fit_stages(&train, Some(&held_out), run, check)
            }
            _ => self.fit_stages(train, None, run, check),
        }
    }

    /// Fits all stages, with the calibrator learning from `calibration`: rows of the population that
    /// are not among the training rows. A calibrator that does not learn is judged on them.
    ///
    /// # Errors
    /// Whatever a stage refuses; see there. [`Error::DistortedCalibration`], before any work, where the
    /// calibrator learns and `calibration` is no fair sample. [`Error::InvalidArgument`] if the pipeline was
    /// also told to hold rows out or to cross-fit.
    pub fn fit_with(
        &self,
        train: &Dataset<'_>,
        calibration: &Dataset<'_>,
    ) -> Result<FittedPipeline<M::Fitted, C::Map>>
    where
        S: Sampler,
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        if let Some(rows) = &self.calibration_rows {
            let also = match rows {
                CalibrationRows::HoldOut(_) => "rows given, and `hold_out` too",
                CalibrationRows::CrossFit(_) => "rows given, and `cross_fit` too",
            };
            return Err(Error::invalid("calibration", also, "one of the two: `fit` needs no rows"));
        }
        if self.calibrator.needs_rows() {
            ensure_representative(calibration)?;
        }
        self.fit_stages(train, Some(calibration), &self.run, true)
    }

    fn fit_stages(
        &self,
        train: &Dataset<'_>,
        calibration: Option<&Dataset<'_>>,
        run: &Run,
        check: bool,
    ) -> Result<FittedPipeline<M::Fitted, C::Map>>
    where
        S: Sampler,
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        let trained = self.train(train, run)?;
        self.calibrate(trained, train, calibration, run, check)
    }

    /// The calibrator, and the check. `train` are the rows that went into the sampler, or all that is known of them.
    fn calibrate(
        &self,
        trained: Trained<M::Fitted>,
        train: &Dataset<'_>,
        calibration: Option<&Dataset<'_>>,
        run: &Run,
        check: bool,
    ) -> Result<FittedPipeline<M::Fitted, C::Map>>
    where
        S: Debug,
        M: Model,
        C: Calibrator,
    {
        let rows = calibration.map_or(0, Dataset::rows);
        run.report(&Progress::Stage { name: "calibrating", rows })?;
        let set = calibration.map(|data| {
            let logits = logits_of(&trained.model, data, run)?;
            let set = CalibrationSet::from_logits(logits, data.labels())?
                .with_distortion(data.distortion().clone())
                .with_run(&run.child("calibrator"));
            match data.weights() {
                None => Ok(set),
                Some(weights) => set.with_weights(weights),
            }
        });
        let set = set.transpose()?;
        let map = self.calibrator.fit(&trained.training, set.as_ref())?;
        let report = self.report(&trained, &map, calibration.map(Dataset::totals));
        let Trained { model, training, drawn, .. } = trained;
        let mut fitted = FittedPipeline::new(model, map, report);
        if check {
            self.check_fitted(&mut fitted, &training, (train, drawn), set, run)?;
        }
        Ok(fitted)
    }

    /// Compares the probabilities with the rows trained on, and with those given to the calibrator.
    fn check_fitted<P: Predict>(
        &self,
        fitted: &mut FittedPipeline<P, C::Map>,
        training: &TrainingContext,
        (train, drawn): (&Dataset<'_>, Option<Drawn>),
        set: Option<CalibrationSet<'_>>,
        run: &Run,
    ) -> Result<()>
    where
        C: Calibrator,
    {
        let is_rate_given = self.is_rate_given(training.prior_corrected);
        let mut relative_error = 0.0;
        // A calibrator that learns makes up for what the model has memorised.
        if !self.calibrator.needs_rows() && !train.distortion().is_by_features() {
            run.report(&Progress::Stage { name: "checking", rows: train.rows() })?;
            let rows = Judged {
                on: CheckedOn::Training,
                probabilities: &fitted.probabilities_among(train, run)?,
                labels: train.labels(),
                weights: train.weights(),
                drawn: drawn.as_ref(),
                relative_error,
                is_rate_given,
            };
            let check = rows.check();
            relative_error = check.overall.standard_error / check.overall.observed;
            fitted.add_check(check);
        }
        if let Some(set) = set.filter(|set| set.ensure_representative("the check").is_ok()) {
            let rows = Judged {
                on: CheckedOn::Calibration,
                probabilities: &fitted.calibration().probabilities(set.logits())?,
                labels: set.labels(),
                weights: set.weights(),
                drawn: None,
                relative_error,
                is_rate_given,
            };
            fitted.add_check(rows.check());
        }
        Ok(())
    }

    /// Whether the population's rate was given by hand, to the model or to the calibrator.
    fn is_rate_given(&self, to_model: bool) -> bool
    where
        C: Calibrator,
    {
        !self.calibrator.needs_rows() && (to_model || self.calibrator.is_rate_given())
    }

    /// Sampler, loss and model.
    fn train(&self, train: &Dataset<'_>, run: &Run) -> Result<Trained<M::Fitted>>
    where
        S: Sampler,
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        run.report(&Progress::Stage { name: "sampling", rows: train.rows() })?;
        let resample = self.sampler.resample(train, &run.child("sampler"))?;
        let (drawn, notes) = (Drawn::of(&resample, train.labels()), resample.notes.clone());
        let sample = resample.apply(train)?;
        self.train_on(&sample, train.totals(), (drawn, notes), run)
    }

    /// Loss and model, on rows that were drawn from rows of the totals `train`.
    fn train_on(
        &self,
        sample: &Dataset<'_>,
        train: ClassTotals,
        (drawn, notes): (Option<Drawn>, Vec<String>),
        run: &Run,
    ) -> Result<Trained<M::Fitted>>
    where
        L: Loss,
        M: Model,
        C: Calibrator,
    {
        let totals = sample.totals();
        run.report(&Progress::Stage { name: "fitting", rows: sample.rows() })?;
        let loss = self.loss.resolve(&totals)?;
        let training = TrainingContext::new(&loss, sample.distortion().clone());
        if !self.calibrator.needs_rows() {
            ensure_odds_kept(&training)?;
        }
        // Before the model is fitted, so that no work is lost.
        self.calibrator.ensure_reversible(&training)?;
        let model = self.model.fit(sample, &*loss, &run.child("model"))?;
        // No shift remains where the model corrected it; rows chosen by their features stay so.
        let prior_corrected = model.is_prior_corrected();
        let distortion = match &training.distortion {
            Distortion::PriorShift { .. } if prior_corrected => Distortion::None,
            distortion => distortion.clone(),
        };
        Ok(Trained {
            description: model.describe(),
            warning: model.warning(),
            model,
            training: TrainingContext { distortion, prior_corrected, ..training },
            distortion: sample.distortion().clone(),
            train,
            sample: totals,
            drawn,
            notes,
        })
    }

    /// The report on a model and its calibration on rows of these totals.
    fn report<P>(
        &self,
        trained: &Trained<P>,
        fitted: &Calibration<impl CalibrationMap>,
        calibration: Option<ClassTotals>,
    ) -> Report
    where
        S: Debug,
        C: Calibrator,
    {
        let Trained { training, train, sample, .. } = trained;
        let corrected = self.calibrator.corrects_prior();
        let not_undone = if corrected { None } else { Warning::not_undone(training, sample) };
        let fit = trained.warning.map(Warning::Fit).into_iter();
        Report {
            train: *train,
            sample: *sample,
            calibration,
            learned: self.calibrator.needs_rows(),
            folds: Vec::new(),
            members: 1,
            sampler: format!("{:?}", self.sampler),
            distortion: trained.distortion.clone(),
            loss: training.loss.clone(),
            model: trained.description.clone(),
            calibrator: fitted.describe(),
            calibration_report: fitted.report().cloned(),
            notes: trained.notes.clone(),
            checks: Vec::new(),
            warnings: fit.chain(not_undone).chain(Warning::few_negatives(train, sample)).collect(),
        }
    }
}

/// Refuses, before any work, rows that no calibrator may learn from.
fn ensure_representative(rows: &Dataset<'_>) -> Result<()> {
    if rows.distortion().is_none() {
        return Ok(());
    }
    let distortion = rows.distortion().to_string();
    Err(Error::DistortedCalibration { calibrator: "the pipeline's calibrator", distortion })
}

/// Refuses the offsets of a sampler under a loss that bends log-odds, where no calibrator learns how.
fn ensure_odds_kept(training: &TrainingContext) -> Result<()> {
    match &training.distortion {
        Distortion::Offset { sampler, .. } if training.posterior.shift().is_none() => {
            Err(Error::BentOffsets { sampler: sampler.to_string(), loss: training.loss.clone() })
        }
        _ => Ok(()),
    }
}

/// A model, and all that a calibrator and a report need to know of it.
#[derive(Debug)]
struct Trained<P> {
    model: P,
    description: String,
    warning: Option<FitWarning>,
    training: TrainingContext,
    /// What was done to the rows trained on, whether or not the model undid it.
    distortion: Distortion,
    train: ClassTotals,
    sample: ClassTotals,
    /// Which rows the sampler kept.
    drawn: Option<Drawn>,
    /// What the sampler said of its draw.
    notes: Vec<String>,
}
