//! Logistic regression under any loss.

mod cholesky;
pub(super) mod inference;
mod objective;
mod proximal;
mod trust_region;

use std::fmt;

pub(super) use cholesky::Cholesky;
pub use inference::{Covariance, Inference};

pub use objective::Objective;
pub(super) use objective::{RowAt, quadratic_forms};

use super::linear::add_products;
use super::{Model, Predict, ShiftLogits};
use crate::data::{FeaturesView, Row, Scalar};
use crate::error::same_length;
use crate::loss::Loss;
use crate::parallel::{self, BLOCK};
use crate::{Dataset, Error, Result, Run};

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
/// preconditioned by its diagonal). It stops when the objective is within 10⁻¹⁰ of its minimum,
/// relatively, as estimated by the quadratic model, and takes one more step.
/// With an [`l1`](Self::l1) penalty it is proximal Newton: coordinate descent on the quadratic model, with
/// the Hessian formed or, above 256 columns, on a copy of the features by columns.
///
/// **Where there is no unique answer.** If the features separate the classes and λ = 0, there is no
/// finite minimum: [`Error::Separation`]. If columns are collinear (more columns than rows, a column of
/// zeros, a repeated one) and λ = 0, many coefficients give the same fit: the one reached from zero is
/// returned, and [`Diagnostics::rank_deficient`] says so; the probabilities are unique.
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
    start: Option<(Vec<f64>, f64)>,
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
        self.start = Some((fitted.coefficients.clone(), fitted.intercept));
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

fn check_penalty(name: &'static str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(Error::invalid(name, value, "finite and not negative"))
    }
}

impl<F: Scalar> Model<F> for LogisticRegression {
    type Fitted = FittedLogisticRegression;

    fn fit(&self, train: &Dataset<'_, F>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        let totals = train.totals();
        totals.need_both("logistic regression")?;
        let loss = loss.adapted(&totals)?;
        let objective = Objective::new(train, &*loss, self.l2, self.intercept)?;

        // Without features the best intercept would be the log-odds less the offset; starting there
        // gives the curvature its right size, which at 0.1 % is far from that at zero.
        let offset = || train.offsets().map_or(0.0, |o| o.iter().sum::<f64>() / o.len() as f64);
        let (mut start, intercept) = match &self.start {
            Some((coefficients, intercept)) => {
                train.features().check_columns(coefficients.len())?;
                (coefficients.clone(), *intercept)
            }
            None => (vec![0.0; train.columns()], totals.log_odds() - offset()),
        };
        start.extend(self.intercept.then_some(intercept));
        let solution = if self.l1 > 0.0 {
            proximal::minimise(&objective, self.l1, start, self.max_iterations, run)?
        } else {
            trust_region::minimise(&objective, start, self.max_iterations, run)?
        };
        if self.l2 == 0.0 && self.l1 == 0.0 {
            refuse_quasi_separation(&objective, &solution.last_step)?;
        }
        Ok(FittedLogisticRegression {
            l2: self.l2,
            l1: self.l1,
            ..FittedLogisticRegression::new(solution.theta, train.columns(), solution.diagnostics)
        })
    }
}

/// At a finite minimum the last Newton step moves no logit visibly. Where it still moves some, and
/// none of them against its label, the minimum lies at infinity in that direction.
fn refuse_quasi_separation<F: Scalar>(
    objective: &Objective<'_, F>,
    last_step: &[f64],
) -> Result<()> {
    // Newton's method moves a diverging logit by about 1 in each step; a converging one by far less
    // than a hundredth once the objective is known to ten digits.
    const VISIBLE: f64 = 0.01;
    let (against, favour) = objective.logit_moves(last_step);
    if favour > VISIBLE && -against < 1e-3 * favour {
        return Err(Error::Separation { kind: "in part" });
    }
    Ok(())
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
    /// Whether the columns were found collinear without a penalty to choose among the solutions.
    /// Looked for where the Hessian is formed: up to 256 columns.
    pub rank_deficient: bool,
    /// Why the solver stopped.
    pub stop: StopReason,
}

impl Diagnostics {
    /// Whether the minimum was reached.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.stop != StopReason::IterationLimit
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stop = match self.stop {
            StopReason::Converged => "converged",
            StopReason::IterationLimit => "NOT converged: the iterations ran out",
            StopReason::Rounding => "converged to the accuracy of the arithmetic",
        };
        write!(
            f,
            "{stop} after {} iterations ({} passes), objective {:.6}, gradient norm {:.1e}",
            self.iterations, self.passes, self.objective, self.gradient_norm
        )?;
        if self.rank_deficient {
            write!(f, "; columns are collinear, so the coefficients are one choice of many")?;
        }
        Ok(())
    }
}

/// A fitted logistic regression: xβ + b.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedLogisticRegression {
    coefficients: Vec<f64>,
    intercept: f64,
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
            coefficients: theta,
            intercept: intercept.unwrap_or(0.0),
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
        inference::check_names(&names, self.coefficients.len())?;
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
        &self.coefficients
    }

    /// The intercept b; 0 if there is none.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// How the fit went.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    fn products<F: Scalar>(&self, x: FeaturesView<'_, F>, out: &mut [f64]) {
        out.fill(self.intercept);
        add_products(x, &self.coefficients, out);
    }
}

impl ShiftLogits for FittedLogisticRegression {
    fn shifted(&self, shift: f64) -> Self {
        Self { intercept: self.intercept + shift, ..self.clone() }
    }
}

impl<F: Scalar> Predict<F> for FittedLogisticRegression {
    fn logits_into(&self, x: FeaturesView<'_, F>, out: &mut [f64]) -> Result<()> {
        x.check_columns(self.coefficients.len())?;
        same_length("the output", out.len(), "the feature matrix", x.nrows())?;
        let first_bad = parallel::map_into(out, 1, BLOCK, |_, rows, out| {
            self.products(x.slice(rows.clone()), out);
            out.iter().position(|logit| !logit.is_finite()).map(|row| rows.start + row)
        });
        match first_bad.into_iter().flatten().next() {
            None => Ok(()),
            Some(row) => Err(not_finite(x, row, out[row])),
        }
    }

    fn logit(&self, row: Row<'_, F>) -> Result<f64> {
        row.with_view(|x| {
            x.check_columns(self.coefficients.len())?;
            let mut out = [0.0];
            self.products(x, &mut out);
            if out[0].is_finite() { Ok(out[0]) } else { Err(not_finite(x, 0, out[0])) }
        })
    }

    fn describe(&self) -> String {
        format!("logistic regression, {} columns: {}", self.coefficients.len(), self.diagnostics)
    }
}

/// A logit that is not finite comes from such a feature, or from finite ones that overflow.
fn not_finite<F: Scalar>(x: FeaturesView<'_, F>, row: usize, logit: f64) -> Error {
    match x.slice(row..row + 1).first_non_finite() {
        Some((_, column, value)) => {
            Error::NonFinite { what: "the feature matrix".into(), row, column: Some(column), value }
        }
        None => Error::Numerical {
            what: format!("the logit of row {row}"),
            value: logit,
            remedy: "its features are too large for the coefficients",
        },
    }
}
