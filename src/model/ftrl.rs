//! FTRL-Proximal: logistic regression of a stream.

#[cfg(feature = "serde")]
mod stored;

use std::sync::Arc;

use super::linear::{FitDetails, FittedLinear, LinearModel};
use super::{Model, ShiftLogits, valid_not_negative, valid_positive};
use crate::core::{Dataset, Error, Matrix, Progress, Result, Run, Scalar, sparse_row, visit};
use crate::loss::{LogLoss, Loss, Posterior, ensure_resolved};

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
/// The algorithm is the paper's for log loss, with ℓ′ = p − y; here any [`Loss`] gives ℓ′. The intercept b
/// is learned as the coefficient of a column of ones, but without L1 and L2, which would pull the base
/// rate towards one half. A weight multiplies the gradient: 1/r for negatives kept at a rate r gives
/// the population's logit (§6.1 of the paper).
///
/// Rows are taken in the order given, on one thread; the result depends on nothing else. Several
/// [`passes`](Self::passes) go on from where the last one ended.
///
/// As a [`Model`] it fits data at hand; for a stream take a [`learner`](Self::learner).
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
/// let fitted = learner.fitted();
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
}

impl FtrlProximal {
    /// α = 0.1, β = 1, no penalties, with an intercept, one pass.
    #[must_use]
    pub fn new() -> Self {
        Self { alpha: 0.1, beta: 1.0, l1: 0.0, l2: 0.0, intercept: true, passes: 1 }
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

    /// How often [`fit`](Model::fit) goes over the rows. Default: 1.
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
    /// known yet ([`Loss::is_resolved`]): `loss.resolve(&totals)` gives one that has them.
    pub fn learner(self, columns: usize, loss: impl Loss + 'static) -> Result<FtrlLearner> {
        ensure_resolved(&loss)?;
        let state = FtrlState {
            settings: self,
            loss: format!("{loss:?}"),
            coordinates: vec![Coordinate::default(); columns],
            bias: Coordinate::default(),
            validation: ProgressiveValidation::default(),
        };
        Ok(FtrlLearner { state, posterior: loss.posterior(), loss: Arc::new(loss) })
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
        for pass in 0..self.passes {
            if pass > 0 {
                // A row that was learned before is no validation: each pass has its own.
                learner.state.validation = ProgressiveValidation::default();
            }
            learner.learn(train, &mut |learner, rows| {
                run.report(&Progress::Learned {
                    rows: pass * train.rows() + rows,
                    of: self.passes * train.rows(),
                    log_loss: learner.state.validation.log_loss().unwrap_or(f64::NAN),
                })
            })?;
        }
        Ok(learner.fitted())
    }
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
    coordinates: Vec<Coordinate>,
    bias: Coordinate,
    validation: ProgressiveValidation,
}

/// An [`FtrlProximal`] that learns from a stream.
#[derive(Debug, Clone)]
pub struct FtrlLearner {
    state: FtrlState,
    loss: Arc<dyn Loss>,
    posterior: Posterior,
}

/// Rows between two reports of progress.
const REPORT_EVERY: usize = 1 << 16;

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

    /// The learned state, to be saved.
    #[must_use]
    pub fn state(&self) -> &FtrlState {
        &self.state
    }

    /// Learns a batch of rows, in their order.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`], or [`Error::Numerical`] if a row's features are too large for the
    /// arithmetic. The rows before that row are then learned, and the row itself is not.
    pub fn partial_fit(&mut self, batch: &Dataset<'_>) -> Result<()> {
        self.learn(batch, &mut |_, _| Ok(()))
    }

    /// How well the rows were predicted before they were learned.
    #[must_use]
    pub fn validation(&self) -> &ProgressiveValidation {
        &self.state.validation
    }

    /// Resets the validation, to watch the rows from here on.
    pub fn reset_validation(&mut self) {
        self.state.validation = ProgressiveValidation::default();
    }

    /// The model as learned so far.
    #[must_use]
    pub fn fitted(&self) -> FittedFtrl {
        let FtrlState { settings, coordinates, bias, .. } = &self.state;
        let per_alpha = 1.0 / settings.alpha;
        let coefficient = |&at| settings.coefficient(at, per_alpha);
        let mut theta: Vec<f64> = coordinates.iter().map(coefficient).collect();
        theta.push(unpenalised(settings).coefficient(*bias, per_alpha));
        FittedLinear {
            linear: LinearModel::from_theta(theta, coordinates.len()),
            details: self.state.validation.clone(),
        }
    }

    fn learn(
        &mut self,
        batch: &Dataset<'_>,
        report: &mut dyn FnMut(&Self, usize) -> Result<()>,
    ) -> Result<()> {
        let x = batch.features();
        x.ensure_columns(self.state.coordinates.len())?;
        let mut scratch = Vec::new();
        for start in (0..batch.rows()).step_by(REPORT_EVERY) {
            let rows = start..batch.rows().min(start + REPORT_EVERY);
            visit!(x, |x| match x {
                Matrix::Sparse(x) => {
                    for row in rows.clone() {
                        let (columns, values) = sparse_row(&x, row);
                        let entries = columns.iter().zip(values).map(|(&c, v)| (c, v.to_f64()));
                        self.learn_row(batch, row, entries, &mut scratch)?;
                    }
                }
                Matrix::Dense(x) => {
                    for row in rows.clone() {
                        let values = x.row(row);
                        // A zero moves nothing.
                        let entries = values.iter().map(|v| v.to_f64()).enumerate();
                        let entries = entries.filter(|entry| entry.1 != 0.0);
                        self.learn_row(batch, row, entries, &mut scratch)?;
                    }
                }
            });
            report(self, rows.end)?;
        }
        Ok(())
    }

    /// One round of Algorithm 1.
    #[inline]
    fn learn_row(
        &mut self,
        batch: &Dataset<'_>,
        row: usize,
        entries: impl Iterator<Item = (usize, f64)> + Clone,
        coefficients: &mut Vec<f64>,
    ) -> Result<()> {
        let FtrlState { settings, coordinates, bias, validation, .. } = &mut self.state;
        let settings = *settings;
        let per_alpha = 1.0 / settings.alpha;
        let b = unpenalised(&settings).coefficient(*bias, per_alpha);
        coefficients.clear();
        let (mut logit, mut squares) = (b + batch.offsets().map_or(0.0, |o| o[row]), 1.0);
        for (column, value) in entries.clone() {
            let w = settings.coefficient(coordinates[column], per_alpha);
            coefficients.push(w);
            logit += w * value;
            squares += value * value;
        }
        let (label, weight) = (batch.labels()[row], batch.weights().map_or(1.0, |w| w[row]));
        let slope = weight * self.loss.at(logit, label).gradient;
        // Checked before any coordinate moves. The bound leaves room for 10¹⁸ rows in n.
        let growth = slope * slope * squares;
        if !(logit.is_finite() && growth < 1e290) {
            return Err(Error::Numerical {
                what: format!("the logit or the squared gradient of row {row}"),
                value: if logit.is_finite() { growth } else { logit },
                remedy: "scale the features or the weights down",
            });
        }
        validation.add(self.posterior.log_odds(logit), label, weight);
        for ((column, value), &w) in entries.zip(coefficients.iter()) {
            coordinates[column].step(slope * value, w, per_alpha);
        }
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

/// Progressive validation: each row is judged by its score from before it was learned (McMahan et al.
/// 2013, §5.1), so that no rows need to be held out.
///
/// Scores are the class probabilities of the rows as they are given, by [`Loss::posterior`]: after resampling
/// without weights they are those of the resampled rows.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ProgressiveValidation {
    rows: u64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::positive_weight"))]
    positive_weight: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::negative_weight"))]
    negative_weight: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::log_loss"))]
    log_loss: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::predicted"))]
    predicted: f64,
}

impl ProgressiveValidation {
    #[inline]
    fn add(&mut self, logit: f64, label: bool, weight: f64) {
        self.rows += 1;
        // The smallest positive number stands for a probability of zero, so that sums stay finite.
        let at = LogLoss.at(logit.clamp(-745.0, 745.0), label);
        // The log loss's gradient is p − y.
        if label {
            self.positive_weight += weight;
            self.predicted += weight * (1.0 + at.gradient);
        } else {
            self.negative_weight += weight;
            self.predicted += weight * at.gradient;
        }
        self.log_loss += weight * at.value;
    }

    /// Number of rows judged.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Weighted mean log loss; none without weight. A certain answer that was wrong
    /// costs 745.
    #[must_use]
    pub fn log_loss(&self) -> Option<f64> {
        let weight = self.positive_weight + self.negative_weight;
        (weight > 0.0).then(|| self.log_loss / weight)
    }

    /// Log loss over the entropy of the rate of positives so far (He et al. 2014, §3); none before both
    /// classes came.
    #[must_use]
    pub fn normalised_entropy(&self) -> Option<f64> {
        let weight = self.positive_weight + self.negative_weight;
        let part = |class: f64| -class * (class / weight).ln();
        let both = self.positive_weight > 0.0 && self.negative_weight > 0.0;
        both.then(|| self.log_loss / (part(self.positive_weight) + part(self.negative_weight)))
    }

    /// Positives predicted per positive observed; none before a positive came.
    #[must_use]
    pub fn predicted_over_observed(&self) -> Option<f64> {
        (self.positive_weight > 0.0).then(|| self.predicted / self.positive_weight)
    }
}

/// A fitted [`FtrlProximal`]: xw + b.
pub type FittedFtrl = FittedLinear<ProgressiveValidation>;

impl FittedFtrl {
    /// How well rows were predicted before they were learned; of several passes the last.
    #[must_use]
    pub fn validation(&self) -> &ProgressiveValidation {
        &self.details
    }
}

impl FitDetails for ProgressiveValidation {
    fn describe(&self, model: &LinearModel) -> String {
        let coefficients = model.coefficients();
        let zero = coefficients.iter().filter(|&&w| w == 0.0).count();
        let number = |value: Option<f64>| value.map_or("none".into(), |v| format!("{v:.4}"));
        format!(
            "FTRL-Proximal, {} columns, {zero} coefficients are zero; progressive validation: NE {}, \
             predicted / observed {}",
            coefficients.len(),
            number(self.normalised_entropy()),
            number(self.predicted_over_observed())
        )
    }
}

impl ShiftLogits for FittedFtrl {
    fn shifted(&self, shift: f64) -> Self {
        Self { linear: self.linear.shifted(shift), details: self.details.clone() }
    }
}
