//! Logistic regression under any loss.

mod cholesky;
mod collinearity;
mod compact;
pub(super) mod inference;
mod line_search;
mod objective;
mod proximal;
mod separation;
mod trust_region;

use std::fmt;

pub(super) use cholesky::Cholesky;
pub use inference::{Covariance, Inference};
use trust_region::{GAP, Solution};

use objective::FORM_UP_TO;
pub use objective::Objective;
pub(super) use objective::{RowAt, quadratic_forms};

use super::linear::Linear;
use super::{Model, Predict, ShiftLogits};
use crate::core::{Dataset, Error, FeaturesView, Result, Row, Run};
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
    start: Option<Linear>,
}

impl LogisticRegression {
    /// λ = 1, no L1 penalty, with an intercept, at most 100 iterations.
    #[must_use]
    pub fn new() -> Self {
        Self { l2: 1.0, l1: 0.0, intercept: true, max_iterations: 100, start: None }
    }

    /// The penalty λ ≥ 0 on the squared coefficients. Default 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless λ is finite and not negative.
    pub fn l2(mut self, l2: f64) -> Result<Self> {
        check_penalty("l2", l2)?;
        self.l2 = l2;
        Ok(self)
    }

    /// The penalty λ₁ ≥ 0 on the absolute coefficients, which makes many of them exactly 0: the lasso
    /// with `l2(0.0)`, the elastic net beside a positive λ. Default 0.
    ///
    /// A strength α with a mixing ratio ρ, as other libraries have it, is λ₁ = αρ, λ = α(1 − ρ), times
    /// the number of rows where their loss is a mean.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless λ₁ is finite and not negative.
    pub fn l1(mut self, l1: f64) -> Result<Self> {
        check_penalty("l1", l1)?;
        self.l1 = l1;
        Ok(self)
    }

    /// Starts from another fit's coefficients (a warm start): one with a penalty nearby, or of
    /// yesterday's rows. The minimum is the same where the loss is convex; it is reached sooner.
    #[must_use]
    pub fn start_from(mut self, fitted: &FittedLogisticRegression) -> Self {
        self.start = Some(fitted.linear.clone());
        self
    }

    /// Whether there is an intercept. Default yes.
    #[must_use]
    pub fn intercept(mut self, intercept: bool) -> Self {
        self.intercept = intercept;
        self
    }

    /// Most iterations of the solver; it needs about ten. Default 100.
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

/// A quarter of the rows is a start for all of them if each class has this many rows in it for every
/// coefficient: the usual count of events from which estimates settle (Peduzzi et al. 1996).
const EVENTS: usize = 10;

/// Rows below which a head start is not worth its while: a pass takes a millisecond.
const MANY_ROWS: usize = 1 << 16;

impl LogisticRegression {
    /// The minimum on a quarter of the rows, roughly, reached from that on a quarter of those, and so on;
    /// `zero` where there is no quarter to learn from. From there two or three passes over all rows are
    /// left of seven, which counts where each forms the Hessian.
    fn head_start(&self, rows: &Dataset<'_>, loss: &dyn Loss, zero: Linear) -> Linear {
        if rows.rows() < MANY_ROWS || rows.columns() > FORM_UP_TO || self.l1 > 0.0 {
            return zero;
        }
        // Every fourth row on average, by Fibonacci hashing, which no order of the rows is in step with.
        let quarter = |&row: &usize| (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 62 == 0;
        let list: Vec<usize> = (0..rows.rows()).filter(quarter).collect();
        let labels = rows.labels();
        let positives = list.iter().filter(|&&row| labels[row]).count();
        let least = EVENTS * (rows.columns() + 1);
        if positives.min(list.len() - positives) < least {
            return zero;
        }
        self.rough_minimum(rows, &list, loss, &zero).unwrap_or(zero)
    }

    /// `None` where the rows have no minimum: they may be separated though all rows are not.
    fn rough_minimum(
        &self,
        rows: &Dataset<'_>,
        part: &[usize],
        loss: &dyn Loss,
        zero: &Linear,
    ) -> Option<Linear> {
        const ROUGH: f64 = 1e-4;
        const FEW: usize = 10;
        let part = rows.select(part).ok()?;
        part.totals().need_both("a head start").ok()?;
        let share = part.totals().weight() / rows.totals().weight();
        let objective = Objective::new(&part, loss, share * self.l2, self.intercept).ok()?;
        let smaller = Self { l2: share * self.l2, ..self.clone() };
        let start = smaller.head_start(&part, loss, zero.clone());
        let start = objective.narrow(&start.coefficients, start.intercept);
        let found = trust_region::minimise(&objective, start, ROUGH, FEW, &Run::default()).ok()?;
        let (coefficients, intercept) = found.theta.split_at(rows.columns());
        let intercept = intercept.first().copied().unwrap_or(zero.intercept);
        Some(Linear { coefficients: coefficients.to_vec(), intercept })
    }
}

fn check_penalty(name: &'static str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(Error::invalid(name, value, "finite and not negative"))
    }
}

impl Model for LogisticRegression {
    type Fitted = FittedLogisticRegression;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        let totals = train.totals();
        totals.need_both("logistic regression")?;
        let objective = Objective::new(train, loss, self.l2, self.intercept)?;

        // Without features the best intercept would be the log-odds less the offset; starting there
        // gives the curvature its right size, which at 0.1 % is far from that at zero.
        let offset = || train.offsets().map_or(0.0, |o| o.iter().sum::<f64>() / o.len() as f64);
        let zero = || Linear {
            coefficients: vec![0.0; train.columns()],
            intercept: totals.log_odds() - offset(),
        };
        let start = match &self.start {
            Some(start) => {
                train.features().check_columns(start.coefficients.len())?;
                start.clone()
            }
            None => self.head_start(train, objective.loss(), zero()),
        };
        let solution = if self.l1 > 0.0 {
            let start = objective.narrow(&start.coefficients, start.intercept);
            proximal::minimise(&objective, self.l1, start, self.max_iterations, run)?
        } else {
            let objective = objective.compacted();
            let start = objective.narrow(&start.coefficients, start.intercept);
            let found = trust_region::minimise(&objective, start, GAP, self.max_iterations, run)?;
            Solution { theta: objective.widen(found.theta), ..found }
        };
        Ok(FittedLogisticRegression {
            l2: self.l2,
            l1: self.l1,
            ..FittedLogisticRegression::new(solution.theta, train.columns(), solution.diagnostics)
        })
    }
}

/// Why the solver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[non_exhaustive]
pub struct Diagnostics {
    /// The objective reached: weighted sum of losses and penalty.
    pub objective: f64,
    /// Euclidean norm of its gradient; under an L1 penalty, of its shortest subgradient.
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
            "{stop} after {} iterations ({} passes), objective {:.6}, gradient norm {:.1e}",
            self.iterations, self.passes, self.objective, self.gradient_norm
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

/// A fitted logistic regression: xβ + b.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedLogisticRegression {
    linear: Linear,
    has_intercept: bool,
    l2: f64,
    l1: f64,
    feature_names: Option<Vec<String>>,
    diagnostics: Diagnostics,
}

impl FittedLogisticRegression {
    /// Without penalty and names, from θ = (β, b) or (β).
    pub(super) fn new(mut theta: Vec<f64>, columns: usize, diagnostics: Diagnostics) -> Self {
        let intercept = theta.get(columns).copied();
        theta.truncate(columns);
        Self {
            linear: Linear { coefficients: theta, intercept: intercept.unwrap_or(0.0) },
            has_intercept: intercept.is_some(),
            l2: 0.0,
            l1: 0.0,
            feature_names: None,
            diagnostics,
        }
    }

    /// The same with names for the columns, in their order, for the table of
    /// [`inference`](Self::inference).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is one name per column.
    pub fn with_feature_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        inference::check_names(&names, self.coefficients().len())?;
        self.feature_names = Some(names);
        Ok(self)
    }

    /// The names of the columns, if any were given.
    #[must_use]
    pub fn feature_names(&self) -> Option<&[String]> {
        self.feature_names.as_deref()
    }

    /// The coefficients β, one per column.
    #[must_use]
    pub fn coefficients(&self) -> &[f64] {
        &self.linear.coefficients
    }

    /// The intercept b; 0 if there is none.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.linear.intercept
    }

    /// How the fit went.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }
}

impl ShiftLogits for FittedLogisticRegression {
    fn shifted(&self, shift: f64) -> Self {
        let mut shifted = self.clone();
        shifted.linear.intercept += shift;
        shifted
    }
}

impl Predict for FittedLogisticRegression {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        self.linear.logits_into(x, out)
    }

    fn logit(&self, row: Row<'_>) -> Result<f64> {
        self.linear.logit(row)
    }

    fn describe(&self) -> String {
        format!("logistic regression, {} columns: {}", self.coefficients().len(), self.diagnostics)
    }
}
