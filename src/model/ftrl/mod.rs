//! FTRL-Proximal: logistic regression of a stream.

mod intercept;
mod kernel;
#[cfg(feature = "serde")]
mod stored;
mod validation;

use std::ops::Range;
use std::sync::Arc;

use intercept::best_shift;
use kernel::{Coordinates, Gathered};
pub use validation::ProgressiveValidation;
use validation::{Curve, Gain, Movement};

use super::linear::{FitDetails, FittedLinear, LinearModel};
use super::{FitWarning, Model, ShiftLogits, logits_of, valid_not_negative, valid_positive};
use crate::core::{
    Dataset, Error, Matrix, Precision, Progress, Result, Run, Scalar, ensure_columns_fit,
    saved_as_part, sparse_row, stored, visit,
};
use crate::data::{FittedEncoder, Source, in_order};
use crate::loss::{Loss, Posterior, ensure_resolved};

/// FTRL-Proximal (McMahan et al. 2013, Algorithm 1): a linear logit learned from one row after the other,
/// with a learning rate for each coordinate, and sparse under L1.
///
/// For a row x with offset o, label y and weight v, with wᵢ = 0 where |zᵢ| ≤ λ₁ and otherwise
///
/// wᵢ = −(zᵢ − sgn(zᵢ) λ₁) / ((β + √nᵢ)/α + λ₂),
///
/// the logit is t = x·w + b + o, and for each i with xᵢ ≠ 0
///
/// gᵢ = v ℓ′(t, y) xᵢ, σᵢ = (√(nᵢ + gᵢ²) − √nᵢ)/α, zᵢ ← zᵢ + gᵢ − σᵢ wᵢ, nᵢ ← nᵢ + gᵢ².
///
/// The algorithm is the paper's for log loss, with ℓ′ = p − y; here any [`Loss`] gives ℓ′. A weight multiplies the
/// gradient: 1/r for negatives kept at a rate r gives the population's logit (§6.1 of the paper).
///
/// **The intercept** is b = b₀ + the coefficient of a column of ones, which is learned at the same step sizes
/// but without L1 and L2. The start b₀ is the logit of the [base rate](Self::base_rate), where the paper starts at a
/// probability of one half: at 0.2 % positives one pass ends with 1.5 to 9 times too many when started there.
///
/// As a [`Model`] it fits data at hand: it takes the rows in random order, unless told that
/// [their order matters](Self::in_order), in at most so many [`passes`](Self::passes), and then shifts the
/// intercept to where the loss of all rows is least, Σ v ℓ′ = 0, as in a fit that has converged. Rows are learned on one
/// thread; the result depends on the rows and the seed. It [warns](super::Predict::warning) if the coefficients
/// were still on their way at the end.
///
/// For a stream take a [`learner`](Self::learner), which does the published update and no more.
///
/// Source: H. B. McMahan et al., *Ad click prediction: a view from the trenches*, KDD 2013.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::model::FtrlProximal;
///
/// let log = SyntheticClicks::new(20_000, 0.02)?.generate(7)?;
/// let mut learner = FtrlProximal::new().alpha(0.1)?.learner(log.dataset.columns(), LogLoss)?;
/// for day in [&log.dataset] {
///     learner.partial_fit(day)?; // as the batches come
/// }
/// let validation = learner.validation();
/// assert!(validation.normalised_entropy().unwrap() < 1.0); // on rows before they were learned
/// let fitted = learner.fitted()?;
/// # assert_eq!(fitted.coefficients().len(), log.dataset.columns());
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct FtrlProximal {
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::alpha"))]
    alpha: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::beta"))]
    beta: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::l1"))]
    l1: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::l2"))]
    l2: f64,
    intercept: bool,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::passes"))]
    passes: usize,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::base_rate"))]
    base_rate: Option<f64>,
    in_order: bool,
}

impl FtrlProximal {
    /// α = 0.1, β = 1, no penalties, an intercept that starts at the rate of the rows, and one pass in random order.
    #[must_use]
    pub fn new() -> Self {
        Self {
            alpha: 0.1,
            beta: 1.0,
            l1: 0.0,
            l2: 0.0,
            intercept: true,
            passes: 1,
            base_rate: None,
            in_order: false,
        }
    }

    /// The learning rate α > 0: a coordinate's rate is α/(β + √Σg²). The best one depends on the
    /// features; try factors of two and watch [`FtrlLearner::validation`]. Default: 0.1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless α is positive and finite.
    pub fn alpha(mut self, alpha: f64) -> Result<Self> {
        self.alpha = valid_positive("alpha", alpha)?;
        Ok(self)
    }

    /// The smoothing β > 0 of the first steps. Default: 1, which the paper finds good enough.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless β is positive and finite.
    pub fn beta(mut self, beta: f64) -> Result<Self> {
        self.beta = valid_positive("beta", beta)?;
        Ok(self)
    }

    /// The penalty λ₁ ≥ 0 on absolute coefficients, which makes the coefficients of uninformative columns
    /// exactly zero. Default: 0.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless λ₁ is finite and not negative.
    pub fn l1(mut self, l1: f64) -> Result<Self> {
        self.l1 = valid_not_negative("l1", l1)?;
        Ok(self)
    }

    /// The penalty λ₂ ≥ 0 on squared coefficients, (λ₂/2)‖w‖². Default: 0.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless λ₂ is finite and not negative.
    pub fn l2(mut self, l2: f64) -> Result<Self> {
        self.l2 = valid_not_negative("l2", l2)?;
        Ok(self)
    }

    /// Whether there is an intercept. Default: yes.
    #[must_use]
    pub fn intercept(mut self, intercept: bool) -> Self {
        self.intercept = intercept;
        self
    }

    /// The rate of positives that the intercept starts at, between 0 and 1; one half is the start of the paper.
    /// Default: the weighted rate of the rows, given their offsets; for a [`learner`](Self::learner) that of its first
    /// batch, with half a row of each class added.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `rate` < 1.
    pub fn base_rate(mut self, rate: f64) -> Result<Self> {
        self.base_rate = Some(valid_rate(rate)?);
        Ok(self)
    }

    /// Whether the order of the rows matters, because the world changes with it and later rows say more. Then
    /// [`fit`](Model::fit) learns rows in their order, and leaves the intercept as the last rows left it. Otherwise it
    /// learns them in random order, so that a sorted log does not mislead it. Default: no.
    #[must_use]
    pub fn in_order(mut self, in_order: bool) -> Self {
        self.in_order = in_order;
        self
    }

    /// How often [`fit`](Model::fit) goes over the rows at most, each time from where the last pass ended and in
    /// another order. It ends after the first pass that lowers the mean log loss of its rows, each judged before it is
    /// learned, by less than 0.1 % of that of the pass before. Default: 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn passes(mut self, passes: usize) -> Result<Self> {
        if passes == 0 {
            return Err(Error::invalid("passes", 0, "at least 1"));
        }
        self.passes = passes;
        Ok(self)
    }

    /// A learner for rows of `columns` columns that knows nothing yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a loss whose constants depend on the training rows and are not
    /// known yet ([`Loss::is_resolved`]): `loss.resolve(&totals)` gives one that has them; and for more columns
    /// than there is memory for, at 32 bytes each.
    pub fn learner(self, columns: usize, loss: impl Loss + 'static) -> Result<FtrlLearner> {
        ensure_resolved(&loss)?;
        let state = FtrlState {
            settings: self,
            loss: format!("{loss:?}"),
            start: self.start(&loss),
            coordinates: untouched(columns, Precision::F64)?,
            bias: Coordinate::default(),
            validation: Curve::default(),
        };
        Ok(FtrlLearner { state, posterior: loss.posterior(), loss: Arc::new(loss) })
    }

    /// The intercept to start at, if it does not depend on rows.
    fn start(&self, loss: &dyn Loss) -> Option<f64> {
        if !self.intercept {
            return Some(0.0);
        }
        self.base_rate.map(|rate| loss.posterior().logit(rate.ln() - (-rate).ln_1p()))
    }

    /// The coefficient of a coordinate, penalised; `per_alpha` is 1/α.
    #[inline]
    fn coefficient(&self, at: Coordinate, per_alpha: f64) -> f64 {
        if at.z.abs() <= self.l1 {
            return 0.0;
        }
        (self.l1.copysign(at.z) - at.z) / ((self.beta + at.root_n) * per_alpha + self.l2)
    }
}

impl Default for FtrlProximal {
    fn default() -> Self {
        Self::new()
    }
}

impl Model for FtrlProximal {
    type Fitted = FittedFtrl;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        let totals = train.totals();
        totals.ensure_both("FTRL-Proximal")?;
        let mut learner = self.learner(train.columns(), loss.resolve(&totals)?)?;
        learner.start_at(train, 0.0);
        let mut order: Vec<usize> = (0..train.rows()).collect();
        let (mut details, mut before) = (learner.details(), f64::INFINITY);
        for pass in 0..self.passes {
            if !self.in_order {
                run.seed().child(&format!("pass {pass}")).shuffle(&mut order);
            }
            let gain = learner.pass(train, &order, &mut |rows, log_loss| {
                let rows = pass * train.rows() + rows;
                let of = self.passes * train.rows();
                run.report(&Progress::Learned { rows, of, log_loss })
            })?;
            let mean_fitted = self.intercept && !self.in_order;
            details = FtrlFit { passes: pass + 1, gain, mean_fitted, ..learner.details() };
            let loss = details.validation.log_loss().unwrap_or(0.0);
            if loss > 0.999 * before {
                break;
            }
            before = loss;
        }
        if details.mean_fitted {
            learner.state.start = Some(learner.start() + learner.best_shift(train)?);
        }
        Ok(FittedLinear { details, ..learner.fitted()? })
    }

    saved_as_part!();
}

fn valid_rate(rate: f64) -> Result<f64> {
    if rate > 0.0 && rate < 1.0 {
        Ok(rate)
    } else {
        Err(Error::invalid("base_rate", rate, "between 0 and 1, both excluded"))
    }
}

/// Coordinates that no row has moved, in memory that the system gives when it is first written.
fn untouched(columns: usize, precision: Precision) -> Result<Coordinates> {
    // A coordinate, its coefficient, and a copy of the coefficients for the fitted model.
    ensure_columns_fit(columns, 32)?;
    Ok(Coordinates::new(columns, precision))
}

/// zᵢ and √nᵢ, side by side so that one cache line serves both. The root is kept rather than nᵢ because
/// each row needs the root twice and nᵢ only once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Coordinate {
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::z"))]
    z: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::root_n"))]
    root_n: f64,
}

impl Coordinate {
    /// The update for a gradient at the coefficient `w`.
    #[inline]
    fn step(&mut self, gradient: f64, w: f64, per_alpha: f64) {
        let root_n = (self.root_n * self.root_n + gradient * gradient).sqrt();
        self.z += gradient - (root_n - self.root_n) * per_alpha * w;
        self.root_n = root_n;
    }
}

/// Everything that an [`FtrlLearner`] knows except its loss: to be saved, and resumed with
/// [`FtrlLearner::resume`]. With the feature `serde` it can be serialised; every value is checked when it is
/// read.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "stored::Stored", try_from = "stored::Stored"))]
pub struct FtrlState {
    settings: FtrlProximal,
    /// The loss's [`Debug`](std::fmt::Debug) text, so that learning does not go on under another loss.
    loss: String,
    /// b₀, once it is known.
    start: Option<f64>,
    coordinates: Coordinates,
    bias: Coordinate,
    validation: Curve,
}

impl FtrlState {
    /// Number of columns of the rows it learns from.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.coordinates.len()
    }

    /// How precisely it is kept.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.coordinates.precision()
    }
}

/// An [`FtrlProximal`] that learns from a stream.
#[derive(Debug, Clone)]
pub struct FtrlLearner {
    state: FtrlState,
    loss: Arc<dyn Loss>,
    posterior: Posterior,
}

/// Pieces of a range of rows, after each of which progress is reported.
fn pieces(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    const REPORT_EVERY: usize = 1 << 16;
    let end = rows.end;
    rows.step_by(REPORT_EVERY).map(move |start| start..end.min(start + REPORT_EVERY))
}

impl FtrlLearner {
    /// A learner that goes on from a saved state, with the same bits as if it had never stopped.
    ///
    /// The loss must be the one it was learned under, with the same constants; they are compared by
    /// the text of their [`Debug`](std::fmt::Debug) form, which is what the state holds. A loss of
    /// your own must therefore print all its constants.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the state was learned under another loss.
    pub fn resume(state: FtrlState, loss: impl Loss + 'static) -> Result<Self> {
        let found = format!("{loss:?}");
        if found != state.loss {
            let expected = format!("{}, under which the state was learned", state.loss);
            return Err(Error::invalid("loss", found, expected));
        }
        Ok(Self { state, posterior: loss.posterior(), loss: Arc::new(loss) })
    }

    /// Keeps the state in this precision from here on; what was learned is rounded to it. Default: `f64`, the published
    /// update to the last digits.
    ///
    /// [`Precision::F32`] takes half the memory. The arithmetic and the intercept stay `f64`, but what is kept of a column has
    /// 7 digits: its √n, with n = Σg², no longer grows once g² < 6·10⁻⁸ n, after some ten million rows of equal g.
    ///
    /// ```
    /// use imbalance::Precision;
    /// use imbalance::loss::LogLoss;
    /// use imbalance::model::FtrlProximal;
    ///
    /// let learner = FtrlProximal::new().learner(1 << 20, LogLoss)?.precision(Precision::F32);
    /// assert_eq!(learner.state().precision(), Precision::F32);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.state.coordinates = self.state.coordinates.rounded_to(precision);
        self
    }

    /// The learned state, to be saved.
    #[must_use]
    pub fn state(&self) -> &FtrlState {
        &self.state
    }

    /// Learns a batch of rows, in their order, by the published update: coordinates, step sizes and rows are
    /// those of Algorithm 1 with b₀ added to every logit. The first batch sets b₀, unless a
    /// [base rate](FtrlProximal::base_rate) was given.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`], or [`Error::Numerical`] if a row's features are too large for the
    /// arithmetic. The rows before that row are then learned, and the row itself is not.
    pub fn partial_fit(&mut self, batch: &Dataset<'_>) -> Result<()> {
        batch.features().ensure_columns(self.state.coordinates.len())?;
        self.start_at(batch, 0.5);
        let mut order = 0..batch.rows();
        self.learn(batch, &mut order, None)
    }

    /// Learns all rows of a log, in its order, one batch in memory at a time: [`partial_fit`](Self::partial_fit) of each
    /// batch, as the encoder encodes it.
    ///
    /// ```
    /// use imbalance::model::FtrlProximal;
    /// use imbalance::prelude::*;
    ///
    /// let day = |label: bool| Table::new(vec![label, false])?.with_categorical("site", ["a", "b"]);
    /// let log = [day(true)?, day(false)?, day(true)?];
    /// let encoder = Encoder::hashing(10)?.fit_source(log.as_slice(), &Run::default())?;
    /// let mut learner = FtrlProximal::new().base_rate(0.3)?.learner(encoder.columns(), LogLoss)?;
    /// learner.partial_fit_source(log.as_slice(), &encoder, &Run::default())?;
    /// assert_eq!(learner.validation().rows(), 6);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the source and the encoder, and of [`partial_fit`](Self::partial_fit); [`Error::Unsupported`] for an
    /// encoder with a target encoding, which would leak labels; [`Error::Cancelled`]. The batches before are then learned.
    pub fn partial_fit_source(
        &mut self,
        source: &(impl Source + ?Sized),
        encoder: &FittedEncoder,
        run: &Run,
    ) -> Result<()> {
        if encoder.has_target_encoding() {
            return Err(Error::Unsupported {
                stage: "FTRL from a source",
                what: "an encoder with a target encoding".into(),
                remedy: "a model trained on it would learn its own labels; encode the column otherwise",
            });
        }
        in_order(source, "learning", run, |batch| self.partial_fit(&encoder.encode(&batch.table)?))
    }

    /// How well the rows were predicted before they were learned.
    #[must_use]
    pub fn validation(&self) -> ProgressiveValidation {
        self.state.validation.whole()
    }

    /// The same for the later half of the rows, to a sixteenth of them: it does not hold the first steps against
    /// the learner. Its [`excess`](ProgressiveValidation::excess) says whether the mean has arrived: beyond ±3 it has not.
    #[must_use]
    pub fn later_validation(&self) -> ProgressiveValidation {
        self.state.validation.later()
    }

    /// Resets the validation, to watch the rows from here on.
    pub fn reset_validation(&mut self) {
        self.state.validation = Curve::default();
    }

    /// The model as learned so far.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no memory for its coefficients, of 8 bytes a column.
    pub fn fitted(&self) -> Result<FittedFtrl> {
        let columns = self.state.coordinates.len();
        ensure_columns_fit(columns, 8)?;
        let linear = LinearModel::from_theta(self.theta(), columns);
        Ok(FittedLinear { linear, details: self.details() })
    }

    /// The coefficients and the intercept.
    fn theta(&self) -> Vec<f64> {
        let FtrlState { settings, coordinates, bias, .. } = &self.state;
        let per_alpha = 1.0 / settings.alpha;
        let columns = coordinates.len();
        // Zeros from the system take memory only where another number is written.
        let mut theta = vec![0.0; columns + 1];
        for (column, theta) in theta[..columns].iter_mut().enumerate() {
            let coefficient = settings.coefficient(coordinates.get(column), per_alpha);
            if coefficient != 0.0 {
                *theta = coefficient;
            }
        }
        theta[columns] = self.start() + unpenalised(settings).coefficient(*bias, per_alpha);
        theta
    }

    fn details(&self) -> FtrlFit {
        let later = self.later_validation();
        let validation = self.validation();
        FtrlFit { passes: 1, validation, later, gain: None, mean_fitted: false }
    }

    fn start(&self) -> f64 {
        self.state.start.unwrap_or(0.0)
    }

    /// Sets b₀ by rows with some weight, if it is not known, with `prior` rows of each class added.
    fn start_at(&mut self, rows: &Dataset<'_>, prior: f64) {
        if self.state.start.is_none() && rows.totals().weight() > 0.0 {
            let zeros;
            let offsets = match rows.offsets() {
                Some(offsets) => offsets,
                None => {
                    zeros = vec![0.0; rows.rows()];
                    &zeros
                }
            };
            self.state.start = Some(best_shift(&*self.loss, rows, offsets, prior));
        }
    }

    /// What to add to the intercept so that the loss of all rows is least.
    fn best_shift(&self, rows: &Dataset<'_>) -> Result<f64> {
        let logits = logits_of(self.fitted()?.linear(), rows, &Run::default())?;
        Ok(best_shift(&*self.loss, rows, &logits, 0.0))
    }

    /// A pass over the rows in this order; returns what going on as in its last quarter would gain.
    fn pass(
        &mut self,
        train: &Dataset<'_>,
        order: &[usize],
        report: &mut dyn FnMut(usize, f64) -> Result<()>,
    ) -> Result<Option<Gain>> {
        // A row that was learned before is no validation: each pass has its own.
        self.reset_validation();
        let quarter = order.len() - order.len() / 4;
        let mut movement = None;
        for start in [0..quarter, quarter..order.len()].into_iter().flat_map(pieces) {
            if start.start == quarter {
                movement = Some(Movement::from(self.theta()));
            }
            let end = start.end;
            self.learn(train, &mut order[start].iter().copied(), movement.as_mut())?;
            report(end, self.validation().log_loss().unwrap_or(f64::NAN))?;
        }
        Ok(movement.map(|movement| movement.gain()))
    }

    /// Learns these rows of a batch, one after the other.
    fn learn(
        &mut self,
        batch: &Dataset<'_>,
        rows: &mut dyn Iterator<Item = usize>,
        mut movement: Option<&mut Movement>,
    ) -> Result<()> {
        let mut scratch = Gathered::default();
        visit!(batch.features(), |x| match x {
            Matrix::Sparse(x) => {
                for row in rows {
                    let (columns, values) = sparse_row(&x, row);
                    let entries = columns.iter().zip(values).map(|(&c, v)| (c, v.to_f64()));
                    self.learn_row(batch, row, entries, &mut scratch, movement.as_deref_mut())?;
                }
            }
            Matrix::Dense(x) => {
                for row in rows {
                    let values = x.row(row);
                    // A zero moves nothing.
                    let entries = values.iter().map(|v| v.to_f64()).enumerate();
                    let entries = entries.filter(|entry| entry.1 != 0.0);
                    self.learn_row(batch, row, entries, &mut scratch, movement.as_deref_mut())?;
                }
            }
        });
        Ok(())
    }

    /// One round of Algorithm 1.
    #[inline]
    fn learn_row(
        &mut self,
        batch: &Dataset<'_>,
        row: usize,
        entries: impl Iterator<Item = (usize, f64)>,
        gathered: &mut Gathered,
        movement: Option<&mut Movement>,
    ) -> Result<()> {
        let start = self.start();
        let FtrlState { settings, coordinates, bias, validation, .. } = &mut self.state;
        let settings = *settings;
        let per_alpha = 1.0 / settings.alpha;
        let b = unpenalised(&settings).coefficient(*bias, per_alpha);
        gathered.gather(entries, coordinates);
        gathered.predict(&settings, per_alpha);
        // One after the other, in the order of the columns, as published.
        let first = start + b + batch.offsets().map_or(0.0, |o| o[row]);
        let logit = gathered.terms.iter().fold(first, |sum, term| sum + term);
        let squares = gathered.values.iter().fold(1.0, |sum, value| sum + value * value);
        let (label, weight) = (batch.labels()[row], batch.weights().map_or(1.0, |w| w[row]));
        let at = self.loss.at(logit, label);
        let slope = weight * at.gradient;
        // Checked before any coordinate moves. The bound leaves room for 10¹⁸ rows in n, or in √n of `f32`.
        let growth = slope * slope * squares;
        if !(logit.is_finite() && growth < coordinates.most_growth()) {
            return Err(Error::Numerical {
                what: format!("the logit or the squared gradient of row {row}"),
                value: if logit.is_finite() { growth } else { logit },
                remedy: "scale the features or the weights down",
            });
        }
        validation.open().add(self.posterior.log_odds(logit), label, weight);
        if let Some(movement) = movement {
            let theta = &movement.theta;
            let entries = gathered.columns.iter().zip(&gathered.values).zip(&gathered.w);
            let moved = entries.map(|((&column, value), w)| (w - theta[column]) * value);
            let delta = moved.sum::<f64>() + (start + b - theta[coordinates.len()]);
            movement.add(delta, at, weight);
        }
        gathered.step(slope, per_alpha);
        gathered.scatter(coordinates);
        if settings.intercept {
            bias.step(slope, b, per_alpha);
        }
        Ok(())
    }
}

/// The settings under which the intercept is learned.
#[inline]
fn unpenalised(settings: &FtrlProximal) -> FtrlProximal {
    FtrlProximal { l1: 0.0, l2: 0.0, ..*settings }
}

/// How a fit of [`FtrlProximal`] went.
#[derive(Debug, Clone, PartialEq)]
pub struct FtrlFit {
    passes: usize,
    validation: ProgressiveValidation,
    later: ProgressiveValidation,
    gain: Option<Gain>,
    /// Whether the intercept was shifted to where the loss of all rows is least.
    mean_fitted: bool,
}

/// A fitted [`FtrlProximal`]: xw + b.
pub type FittedFtrl = FittedLinear<FtrlFit>;

impl FittedFtrl {
    /// How well rows were predicted before they were learned; of several passes the last.
    #[must_use]
    pub fn validation(&self) -> &ProgressiveValidation {
        &self.details.validation
    }

    /// The same for the later half of these rows.
    #[must_use]
    pub fn later_validation(&self) -> &ProgressiveValidation {
        &self.details.later
    }

    /// Passes over the rows.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.details.passes
    }
}

impl FitDetails for FtrlFit {
    fn describe(&self, model: &LinearModel) -> String {
        let coefficients = model.coefficients();
        let zero = coefficients.iter().filter(|&&w| w == 0.0).count();
        let number = |value: Option<f64>| value.map_or("none".into(), |v| format!("{v:.4}"));
        format!(
            "FTRL-Proximal, {} columns, {zero} coefficients are zero; passes: {}; progressive validation of \
             the later half: NE {}, predicted / observed {}{}",
            coefficients.len(),
            self.passes,
            number(self.later.normalised_entropy()),
            number(self.later.predicted_over_observed()),
            self.warning().map_or_else(String::new, |warning| format!("; {warning}")),
        )
    }

    #[cfg(feature = "serde")]
    fn saved(model: &FittedLinear<Self>) -> Option<crate::saved::Part<'_>> {
        Some(crate::saved::Part::of(model))
    }

    fn warning(&self) -> Option<FitWarning> {
        let passes = self.passes;
        let gain = self.gain.filter(|gain| gain.exceeds(3.0, 0.01));
        let coefficients = gain.map(|Gain { share: gain, standard_errors }| {
            FitWarning::NotConverged { passes, gain, standard_errors }
        });
        coefficients.or_else(|| {
            let standard_errors = self.later.excess()?;
            let predicted_over_observed = self.later.predicted_over_observed()?;
            let off = !self.mean_fitted && standard_errors.abs() > 3.0;
            off.then_some(FitWarning::MeanNotConverged { predicted_over_observed, standard_errors })
        })
    }
}

impl ShiftLogits for FittedFtrl {
    fn shifted(&self, shift: f64) -> Self {
        Self { linear: self.linear.shifted(shift), details: self.details.clone() }
    }
}

#[cfg(feature = "serde")]
impl crate::saved::Kind for FtrlProximal {
    const KIND: &'static str = "ftrl_proximal";
}

#[cfg(feature = "serde")]
impl crate::saved::Kind for FtrlState {
    const KIND: &'static str = "ftrl_state";
}

stored!(FtrlLearner as "ftrl_learner", |learner| {
    state: FtrlState = learner.state,
    loss: PartOf<Box<dyn Loss>> = as_part(learner.loss.saved(), &learner.loss),
} => Self::resume(state, loss.0));

stored!(FittedFtrl as "fitted_ftrl", |model| {
    linear: LinearModel = model.linear,
    passes: usize = model.details.passes,
    validation: ProgressiveValidation = model.details.validation,
    later: ProgressiveValidation = model.details.later,
    gain: Option<Gain> = model.details.gain,
    mean_fitted: bool = model.details.mean_fitted,
} => Ok(Self { linear, details: FtrlFit { passes, validation, later, gain, mean_fitted } }));
