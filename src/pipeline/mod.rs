//! The stages, composed: sampler, loss, model, calibrator.

mod cross_fit;
mod fitted;
mod report;

use std::fmt::Debug;
use std::ops::ControlFlow;

pub use cross_fit::{CrossFit, FoldReport};
pub use fitted::FittedPipeline;
pub(crate) use fitted::logits_of;
pub use report::Report;

use crate::calibration::{BoxCalibrator, Calibrate, Calibrator, Scored, Training, Uncalibrated};
use crate::data::Scalar;
use crate::loss::{LogLoss, Loss};
use crate::model::{BoxModel, Model, Predict};
use crate::sampling::{Distortion, NoSampling, Sampler};
use crate::{ClassTotals, Dataset, Error, Progress, Result, Run, Seed, Split};

/// Resamples, fits and calibrates, and never loses the thread: the sampler says what it distorted, the
/// loss knows its map to a probability, and the calibrator undoes exactly that, or refuses.
///
/// The identities [`NoSampling`], [`LogLoss`] and [`Uncalibrated`] stand where nothing is said.
///
/// ```
/// use imbalance::prelude::*;
///
/// let log = SyntheticClicks::new(20_000, 0.01)?.generate::<f64>(7)?;
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
    calibration_rows: CalibrationRows,
    run: Run,
}

/// A pipeline all of whose stages were chosen while the program runs.
pub type DynPipeline<F> = Pipeline<Box<dyn Sampler<F>>, Box<dyn Loss>, BoxModel<F>, BoxCalibrator>;

/// Where a calibrator that learns gets its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum CalibrationRows {
    HoldOut(HoldOut),
    CrossFit(CrossFit),
}

/// Which training rows are kept from the model so that a calibrator may learn from them.
///
/// They are set aside before the sampler acts, so they are as the population left them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HoldOut {
    share: f64,
    last: bool,
}

impl HoldOut {
    /// A random share of each class.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `share` < 1.
    pub fn stratified(share: f64) -> Result<Self> {
        Self::checked(Self { share, last: false })
    }

    /// The last share of the rows: for rows in order of time.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `share` < 1.
    pub fn last(share: f64) -> Result<Self> {
        Self::checked(Self { share, last: true })
    }

    fn checked(self) -> Result<Self> {
        if self.share > 0.0 && self.share < 1.0 {
            Ok(self)
        } else {
            Err(Error::invalid("share", self.share, "between 0 and 1, both excluded"))
        }
    }

    fn split(&self, labels: &[bool], seed: Seed) -> Result<Split> {
        if self.last {
            Split::last(labels.len(), self.share)
        } else {
            Split::stratified(labels, self.share, seed)
        }
    }
}

impl Default for HoldOut {
    /// A fifth of each class.
    fn default() -> Self {
        Self { share: 0.2, last: false }
    }
}

impl<M> Pipeline<NoSampling, LogLoss, M, Uncalibrated> {
    /// A pipeline of this model with no sampling, log loss and no calibration.
    pub fn new(model: M) -> Self {
        Self {
            sampler: NoSampling,
            loss: LogLoss,
            model,
            calibrator: Uncalibrated,
            calibration_rows: CalibrationRows::HoldOut(HoldOut::default()),
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
        self.calibration_rows = CalibrationRows::HoldOut(hold_out);
        self
    }

    /// The same pipeline with a calibrator that learns from all rows, each judged by a model that has not
    /// seen it. A calibrator that does not learn leaves all rows to one model, unless an ensemble is
    /// asked for. Takes the place of [`hold_out`](Self::hold_out).
    ///
    /// ```
    /// use imbalance::prelude::*;
    ///
    /// let log = SyntheticClicks::new(4_000, 0.05)?.numeric(2).categorical(&[]).generate::<f64>(7)?;
    /// let fitted = Pipeline::new(LogisticRegression::new())
    ///     .sampler(RandomUnderSampler::negatives_per_positive(5.0)?)
    ///     .calibrator(PlattScaling::new())
    ///     .cross_fit(CrossFit::stratified(5)?)
    ///     .fit(&log.dataset)?;
    /// println!("{}", fitted.report());
    /// assert_eq!(fitted.report().calibration.map(|rows| rows.rows()), Some(4_000));
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn cross_fit(mut self, cross_fit: CrossFit) -> Self {
        self.calibration_rows = CalibrationRows::CrossFit(cross_fit);
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

    /// Fits all stages. Where the calibrator learns, it does so from rows held out of `train`
    /// ([`hold_out`](Self::hold_out)) or by cross-fitting ([`cross_fit`](Self::cross_fit)).
    ///
    /// # Errors
    /// Whatever a stage refuses; see there. For cross-fitting also as for
    /// [`Folds::stratified`](crate::Folds::stratified) and [`Folds::forward`](crate::Folds::forward).
    pub fn fit<F>(&self, train: &Dataset<'_, F>) -> Result<FittedPipeline<M::Fitted, C::Fitted>>
    where
        F: Scalar,
        S: Sampler<F>,
        L: Loss,
        M: Model<F>,
        C: Calibrator,
    {
        self.fit_in(train, &self.run)
    }

    /// [`fit`](Self::fit) as a part of other work: with that run instead of its own.
    pub(crate) fn fit_in<F>(
        &self,
        train: &Dataset<'_, F>,
        run: &Run,
    ) -> Result<FittedPipeline<M::Fitted, C::Fitted>>
    where
        F: Scalar,
        S: Sampler<F>,
        L: Loss,
        M: Model<F>,
        C: Calibrator,
    {
        match self.calibration_rows {
            CalibrationRows::CrossFit(config)
                if config.is_ensemble() || self.calibrator.learns() =>
            {
                self.fit_folds(train, config, run)
            }
            CalibrationRows::HoldOut(hold_out) if self.calibrator.learns() => {
                let split = hold_out.split(train.labels(), run.seed().child("hold-out"))?;
                let (train, held_out) = train.split(&split)?;
                self.fit_stages(&train, Some(&held_out), run)
            }
            _ => self.fit_stages(train, None, run),
        }
    }

    /// Fits all stages, with the calibrator learning from `calibration`: rows of the population that
    /// are not among the training rows.
    ///
    /// # Errors
    /// Whatever a stage refuses; see there.
    pub fn fit_with<F>(
        &self,
        train: &Dataset<'_, F>,
        calibration: &Dataset<'_, F>,
    ) -> Result<FittedPipeline<M::Fitted, C::Fitted>>
    where
        F: Scalar,
        S: Sampler<F>,
        L: Loss,
        M: Model<F>,
        C: Calibrator,
    {
        self.fit_stages(train, Some(calibration), &self.run)
    }

    fn fit_stages<F>(
        &self,
        train: &Dataset<'_, F>,
        calibration: Option<&Dataset<'_, F>>,
        run: &Run,
    ) -> Result<FittedPipeline<M::Fitted, C::Fitted>>
    where
        F: Scalar,
        S: Sampler<F>,
        L: Loss,
        M: Model<F>,
        C: Calibrator,
    {
        let trained = self.train(train, run)?;
        let rows = calibration.map_or(0, Dataset::rows);
        run.report(&Progress::Stage { name: "calibrating", rows })?;
        let training = trained.training.clone();
        let calibrate = match calibration {
            None => self.calibrator.fit(&Scored::no_rows(training))?,
            Some(data) => {
                let mut scored =
                    Scored::from_logits(logits_of(&trained.model, data)?, data.labels())?
                        .with_distortion(data.distortion().clone())
                        .with_training(training);
                if let Some(weights) = data.weights() {
                    scored = scored.with_weights(weights)?;
                }
                self.calibrator.fit(&scored)?
            }
        };
        let report = Report {
            calibration: calibration.map(Dataset::totals),
            ..self.report(&trained, &calibrate)
        };
        Ok(FittedPipeline::new(trained.model, calibrate, report))
    }

    /// Sampler, loss and model.
    fn train<F>(&self, train: &Dataset<'_, F>, run: &Run) -> Result<Trained<M::Fitted>>
    where
        F: Scalar,
        S: Sampler<F>,
        L: Loss,
        M: Model<F>,
        C: Calibrator,
    {
        run.report(&Progress::Stage { name: "sampling", rows: train.rows() })?;
        let resample = self.sampler.resample(train, &run.child("sampler"))?;
        let tells_by_offsets = resample.offsets.is_some();
        let sample = resample.apply(train)?;
        let totals = sample.totals();

        run.report(&Progress::Stage { name: "fitting", rows: sample.rows() })?;
        let loss = self.loss.adapted(&totals)?;
        if tells_by_offsets && !self.calibrator.learns() && loss.posterior_shift().is_none() {
            return Err(Error::Unsupported {
                stage: "a calibrator that does not learn",
                what: format!("the offsets of {:?} under {loss:?}", self.sampler),
                remedy: "offsets are log-odds, which this loss bends; use a loss that keeps or shifts \
                         them, or a calibrator that learns",
            });
        }
        let model = self.model.fit(&sample, &*loss, &run.child("model"))?;
        // No shift is left where the model undid it; rows chosen by their features stay so.
        let left = match sample.distortion() {
            Distortion::PriorShift { .. } if model.undoes_sampling() => Distortion::None,
            distortion => distortion.clone(),
        };
        Ok(Trained {
            description: model.describe(),
            model,
            training: Training { loss, distortion: left },
            distortion: sample.distortion().clone(),
            train: train.totals(),
            sample: totals,
        })
    }

    /// The report on a model and its calibration, with no rows for the latter.
    fn report<P>(&self, trained: &Trained<P>, calibrate: &impl Calibrate) -> Report
    where
        S: Debug,
    {
        Report {
            train: trained.train,
            sample: trained.sample,
            calibration: None,
            folds: Vec::new(),
            members: 1,
            sampler: format!("{:?}", self.sampler),
            distortion: trained.distortion.clone(),
            loss: format!("{:?}", trained.training.loss),
            model: trained.description.clone(),
            calibrator: calibrate.describe(),
        }
    }
}

/// A model, and all that a calibrator and a report need to know of it.
#[derive(Debug)]
struct Trained<P> {
    model: P,
    description: String,
    training: Training,
    /// What was done to the rows trained on, whether or not the model undid it.
    distortion: Distortion,
    train: ClassTotals,
    sample: ClassTotals,
}
