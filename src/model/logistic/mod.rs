//! Logistic regression under any loss.

mod cholesky;
mod collinearity;
mod compact;
mod design;
pub(super) mod inference;
mod line_search;
mod objective;
mod outer_products;
mod proximal;
mod scale;
mod separation;
mod surrogate;
mod trust_region;

use std::fmt;

pub(super) use cholesky::Cholesky;
pub use inference::{Covariance, Inference, Note};
use objective::FORM_UP_TO;
pub use objective::Objective;
pub(super) use objective::RowAt;
pub(super) use outer_products::quadratic_forms;
pub(super) use scale::Units;
use trust_region::{GAP, Solution};

use super::linear::{FitDetails, FittedLinear, LinearModel};
use super::{Model, ShiftLogits, valid_not_negative};
use crate::core::{Dataset, Error, Fixed, Result, Run, ensure_columns_fit, saved_as_part, stored};
use crate::loss::Loss;

/// Logistic regression: a logit that is linear in the features,
/// minimising Σ wᵢ ℓ(xᵢβ + b + oᵢ, yᵢ) + (λ/2)‖β‖² + λ₁‖β‖₁ with the intercept b unpenalised
/// (equations LR 1 and LR 2, for any [`Loss`]).
///
/// The sum is over rows, not their mean, so λ weighs like that many rows: λ = 1/C of scikit-learn, and
/// λ = 0 is maximum likelihood. Sample weights wᵢ and offsets oᵢ are the data set's. Features may be
/// dense or sparse, `f32` or `f64`; sums are `f64`.
///
/// **Solver.** Newton's method in a trust region: with up to 256 columns the Hessian is formed and
/// factored (Cholesky), with more it is only multiplied with vectors (conjugate gradients,
/// preconditioned by its diagonal and the block of the most frequent columns) and a search along each step
/// finds its length. It stops when the objective is within 10⁻¹⁰ of its minimum,
/// relatively, as estimated by the quadratic model, solved until its own steps gain no more than that; and
/// takes this last step. On many rows with few columns it starts from the minimum on a quarter of them, and
/// sparse rows have their columns numbered anew, by frequency (four bytes for each entry).
/// Dense and sparse rows take the same steps, so their logits agree to 10⁻¹⁰ and usually to rounding; with
/// more than 512 columns and a λ so small that hundreds of inner steps are needed, rounding grows to what the
/// stopping rule leaves open (10⁻⁷ was seen).
/// With an [`l1`](Self::l1) penalty it is proximal Newton: coordinate descent on the quadratic model, with
/// the Hessian formed or, above 256 columns, on a copy of the features by columns.
///
/// **Where there is no unique answer.** If the features separate the classes, no penalty holds the
/// coefficients and the loss pulls for ever (all do but [`LabelSmoothing`](crate::loss::LabelSmoothing)),
/// there is no finite minimum: [`Error::Separation`]. Complete separation is proven, by coefficients that
/// rank every row on its own side; separation in part is judged by the last Newton step, which at a finite
/// minimum moves no logit visibly. If columns are collinear (more columns than rows, a column of zeros, a
/// repeated one) and λ = 0, many coefficients give the same fit: one of them is returned, and
/// [`Diagnostics::collinearity`] says so; the probabilities are unique. A loss that is not convex may have
/// several local minima: the one downhill of the start is found.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::array};
/// use imbalance::loss::LogLoss;
/// use imbalance::model::{LogisticRegression, Model};
///
/// let x = array![[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]];
/// let data = Dataset::new(&x, vec![true, false, false, true, true, false])?;
/// let fitted = LogisticRegression::new().l2(0.0)?.fit(&data, &LogLoss, &Run::default())?;
/// // One in three where x = 0, two in three where x = 1: log-odds of −ln 2 and ln 2.
/// assert!((fitted.intercept() + 2_f64.ln()).abs() < 1e-12);
/// assert!((fitted.coefficients()[0] - 2.0 * 2_f64.ln()).abs() < 1e-12);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticRegression {
    l2: f64,
    l1: f64,
    intercept: bool,
    max_iterations: usize,
    start: Option<LinearModel>,
}

impl LogisticRegression {
    /// λ = 1, no L1 penalty, with an intercept, at most 100 iterations.
    #[must_use]
    pub fn new() -> Self {
        Self { l2: 1.0, l1: 0.0, intercept: true, max_iterations: 100, start: None }
    }

    /// The penalty λ ≥ 0 on the squared coefficients. Default: 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless λ is finite and not negative.
    pub fn l2(mut self, l2: f64) -> Result<Self> {
        self.l2 = valid_not_negative("l2", l2)?;
        Ok(self)
    }

    /// The penalty λ₁ ≥ 0 on the absolute coefficients, which makes many of them exactly 0: the lasso
    /// with `l2(0.0)`, the elastic net with a positive λ. Default: 0.
    ///
    /// A strength α with a mixing ratio ρ, as other libraries have it, is λ₁ = αρ, λ = α(1 − ρ), times
    /// the number of rows where their loss is a mean.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless λ₁ is finite and not negative.
    pub fn l1(mut self, l1: f64) -> Result<Self> {
        self.l1 = valid_not_negative("l1", l1)?;
        Ok(self)
    }

    /// Starts from the coefficients of another fit (a warm start), with a similar penalty or on yesterday's
    /// rows. Where the loss is convex the minimum does not depend on the start; a near one saves iterations.
    /// Default: a start from the base rate.
    #[must_use]
    pub fn start_from(mut self, fitted: &FittedLogisticRegression) -> Self {
        self.start = Some(fitted.linear.clone());
        self
    }

    /// Whether there is an intercept. Default: yes.
    #[must_use]
    pub fn intercept(mut self, intercept: bool) -> Self {
        self.intercept = intercept;
        self
    }

    /// Maximum number of iterations of the solver; it needs about ten. Default: 100.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn max_iterations(mut self, max_iterations: usize) -> Result<Self> {
        if max_iterations == 0 {
            return Err(Error::invalid("max_iterations", 0, "at least 1"));
        }
        self.max_iterations = max_iterations;
        Ok(self)
    }
}

impl Default for LogisticRegression {
    fn default() -> Self {
        Self::new()
    }
}

/// Rows of each class for every coefficient that a quarter of the rows needs to give a head start: the usual
/// number of events per variable (Peduzzi et al. 1996).
const EVENTS_PER_COEFFICIENT: usize = 10;

/// Rows below which a head start saves no time: a pass takes a millisecond.
const MANY_ROWS: usize = 1 << 16;

impl LogisticRegression {
    /// The approximate minimum on a quarter of the rows, found from a head start on a quarter of that quarter,
    /// and so on; `zero` where a quarter has too few rows. Two or three passes over all rows are then enough
    /// instead of seven, which pays where each pass forms the Hessian.
    fn head_start(&self, rows: &Dataset<'_>, loss: &dyn Loss, zero: LinearModel) -> LinearModel {
        if rows.rows() < MANY_ROWS || rows.columns() > FORM_UP_TO || self.l1 > 0.0 {
            return zero;
        }
        // Every fourth row on average, by Fibonacci hashing: periodic rows are not aliased.
        let quarter = |&row: &usize| (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 62 == 0;
        let list: Vec<usize> = (0..rows.rows()).filter(quarter).collect();
        let labels = rows.labels();
        let positives = list.iter().filter(|&&row| labels[row]).count();
        let least = EVENTS_PER_COEFFICIENT * (rows.columns() + 1);
        if positives.min(list.len() - positives) < least {
            return zero;
        }
        self.rough_minimum(rows, &list, loss, &zero).unwrap_or(zero)
    }

    /// The approximate minimum on a part of the rows. `None` where the part has none: its classes may be
    /// separated although those of all rows are not.
    fn rough_minimum(
        &self,
        rows: &Dataset<'_>,
        part: &[usize],
        loss: &dyn Loss,
        zero: &LinearModel,
    ) -> Option<LinearModel> {
        const ROUGH_GAP: f64 = 1e-4;
        const MAX_ITERATIONS: usize = 10;
        let part = rows.select(part).ok()?;
        part.totals().ensure_both("a head start").ok()?;
        let share = part.totals().weight() / rows.totals().weight();
        let objective = Objective::new(&part, loss, share * self.l2, self.intercept).ok()?;
        let smaller = Self { l2: share * self.l2, ..self.clone() };
        let start = smaller.head_start(&part, loss, zero.clone());
        let start = objective.design.theta(start.coefficients(), start.intercept());
        let found =
            trust_region::minimise(&objective, start, ROUGH_GAP, MAX_ITERATIONS, &Run::default())
                .ok()?;
        Some(LinearModel::from_theta(found.theta, rows.columns()))
    }
}

impl LogisticRegression {
    /// The fit of the rows in these units, taken back to the columns and weights given. `None` where the penalties leave
    /// the range of f64 in such units.
    fn fit_in(
        &self,
        units: Units,
        train: &Dataset<'_>,
        loss: &dyn Loss,
        run: &Run,
    ) -> Result<Option<FittedLogisticRegression>> {
        let penalised = self.l2 > 0.0 || self.l1 > 0.0;
        let units = if penalised { units.in_common() } else { units };
        let Some([l2, l1]) = units.penalties(self.l2, self.l1) else { return Ok(None) };
        if let Some(start) = &self.start {
            train.features().ensure_columns(start.coefficients().len())?;
        }
        let start = self.start.as_ref().map(|start| units.enter(start)).transpose()?;
        let inside = Self { l2, l1, start, ..self.clone() };
        let loss = loss.resolve(&train.totals())?;
        let mut fitted = inside.fit_ordinary(&units.divide(train)?, &*loss, run)?;
        units.leave(&mut fitted.linear.coefficients)?;
        (fitted.details.l2, fitted.details.l1) = (self.l2, self.l1);
        fitted.details.diagnostics.objective *= units.weight;
        fitted.details.diagnostics.gradient_norm *= units.weight;
        Ok(Some(fitted))
    }

    fn fit_ordinary(
        &self,
        train: &Dataset<'_>,
        loss: &dyn Loss,
        run: &Run,
    ) -> Result<FittedLogisticRegression> {
        let objective = Objective::new(train, loss, self.l2, self.intercept)?;

        let start = match &self.start {
            Some(start) => {
                train.features().ensure_columns(start.coefficients().len())?;
                start.clone()
            }
            None => self.head_start(train, objective.loss(), without_features(train)),
        };
        let solution = if self.l1 > 0.0 {
            let start = objective.design.theta(start.coefficients(), start.intercept());
            proximal::minimise(&objective, self.l1, start, self.max_iterations, run)?
        } else {
            let objective = objective.compacted();
            let start = objective.design.theta(start.coefficients(), start.intercept());
            let found = trust_region::minimise(&objective, start, GAP, self.max_iterations, run)?;
            Solution { theta: objective.design.full_theta(found.theta), ..found }
        };
        let Self { l2, l1, intercept: has_intercept, .. } = *self;
        let details = LogisticFit { has_intercept, l2, l1, diagnostics: solution.diagnostics };
        Ok(FittedLinear {
            linear: LinearModel::from_theta(solution.theta, train.columns()),
            details,
        })
    }
}

impl Model for LogisticRegression {
    type Fitted = FittedLogisticRegression;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        let totals = train.totals();
        totals.ensure_both("logistic regression")?;
        // Coefficients, their units, the gradient, and the vectors of the solvers.
        ensure_columns_fit(train.columns(), 128)?;
        if let Some(units) = Units::of(train)
            && let Some(fitted) = self.fit_in(units, train, loss, run)?
        {
            return Ok(fitted);
        }
        self.fit_ordinary(train, loss, run)
    }

    saved_as_part!();
}

/// Coefficients of 0 and about the intercept that is best without features: the log-odds less the mean offset.
/// There the curvature has its right size, which at a rate of 0.1 % is far from the curvature at an intercept
/// of 0.
fn without_features(data: &Dataset<'_>) -> LinearModel {
    let offset = data.offsets().map_or(0.0, |o| o.iter().sum::<f64>() / o.len() as f64);
    let mut theta = vec![0.0; data.columns()];
    theta.push(data.totals().log_odds() - offset);
    LinearModel::from_theta(theta, data.columns())
}

/// Why the solver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum StopReason {
    /// The objective is within its tolerance of the minimum.
    Converged,
    /// The iterations ran out: the coefficients are not the minimum's.
    IterationLimit,
    /// No step lowers the objective any more, by the accuracy of the arithmetic.
    Rounding,
    /// No step lowers the objective, though its quadratic model promises more than rounding: features or
    /// weights of extreme sizes have cost the gradient its digits. The coefficients are not the minimum's.
    Stalled,
}

/// Whether collinear columns (a repeated one, one of zeros, a constant beside the intercept, more columns
/// than rows) leave the coefficients open. The probabilities are the same for every choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Collinearity {
    /// They do not: the columns have full rank, or λ > 0 chooses among the solutions.
    Absent,
    /// They do: the coefficients are one choice of many.
    Present,
    /// Not looked for: without λ, above 256 columns, a rank is found only where it is plain (a column of
    /// zeros, more columns than rows).
    NotLookedFor,
}

/// How a fit went.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Diagnostics {
    /// The objective reached: weighted sum of losses and penalty.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub objective: f64,
    /// Euclidean norm of its gradient; under an L1 penalty, of its shortest subgradient.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub gradient_norm: f64,
    /// Iterations of the solver.
    pub iterations: usize,
    /// Passes over the rows.
    pub passes: usize,
    /// Whether the columns leave the coefficients open.
    pub collinearity: Collinearity,
    /// Why the solver stopped.
    pub stop: StopReason,
}

impl Diagnostics {
    /// Whether the minimum was reached.
    #[must_use]
    pub fn converged(&self) -> bool {
        matches!(self.stop, StopReason::Converged | StopReason::Rounding)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stop = match self.stop {
            StopReason::Converged => "converged",
            StopReason::IterationLimit => "NOT converged: the iterations ran out",
            StopReason::Rounding => "converged to the accuracy of the arithmetic",
            StopReason::Stalled => {
                "NOT converged: no step lowers the objective; scale the features"
            }
        };
        write!(
            f,
            "{stop} after {} iterations ({} passes), objective {}, gradient norm {:.1e}",
            self.iterations,
            self.passes,
            Fixed(self.objective, 6),
            self.gradient_norm
        )?;
        f.write_str(match self.collinearity {
            Collinearity::Absent => "",
            Collinearity::Present => {
                "; columns are collinear, so the coefficients are one choice of many"
            }
            Collinearity::NotLookedFor => "; collinear columns were not looked for",
        })
    }
}

/// A fitted [`LogisticRegression`]: xβ + b.
pub type FittedLogisticRegression = FittedLinear<LogisticFit>;

/// The details of a [`FittedLogisticRegression`].
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticFit {
    has_intercept: bool,
    l2: f64,
    l1: f64,
    diagnostics: Diagnostics,
}

impl FittedLogisticRegression {
    /// How the fit went.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.details.diagnostics
    }

    /// The coefficients, then the intercept if there is one.
    pub(super) fn theta(&self) -> Vec<f64> {
        let intercept = self.details.has_intercept.then_some(self.intercept());
        self.coefficients().iter().copied().chain(intercept).collect()
    }
}

impl FitDetails for LogisticFit {
    fn describe(&self, model: &LinearModel) -> String {
        format!("logistic regression, {} columns: {}", model.coefficients().len(), self.diagnostics)
    }

    #[cfg(feature = "serde")]
    fn saved(model: &FittedLinear<Self>) -> Option<crate::saved::Part<'_>> {
        Some(crate::saved::Part::of(model))
    }
}

impl ShiftLogits for FittedLogisticRegression {
    fn shifted(&self, shift: f64) -> Self {
        Self { linear: self.linear.shifted(shift), details: self.details.clone() }
    }
}

stored!(LogisticRegression as "logistic_regression", |model| {
    l2: f64 = model.l2,
    l1: f64 = model.l1,
    intercept: bool = model.intercept,
    max_iterations: usize = model.max_iterations,
    start: Option<LinearModel> = model.start,
} => Self::new()
    .intercept(intercept)
    .l2(l2)
    .and_then(|model| model.l1(l1)?.max_iterations(max_iterations))
    .map(|model| Self { start, ..model }));

stored!(FittedLogisticRegression as "fitted_logistic_regression", |model| {
    linear: LinearModel = model.linear,
    has_intercept: bool = model.details.has_intercept,
    l2: f64 = model.details.l2,
    l1: f64 = model.details.l1,
    diagnostics: Diagnostics = model.details.diagnostics,
} => valid_not_negative("l2", l2).and_then(|l2| {
    let l1 = valid_not_negative("l1", l1)?;
    Ok(Self { linear, details: LogisticFit { has_intercept, l2, l1, diagnostics } })
}));
