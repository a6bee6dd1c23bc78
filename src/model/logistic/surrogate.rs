//! Steps for an objective over many rows from the curvature of a sample of them.

use super::objective::{At, Objective};
use super::proximal;
use super::trust_region::{Preconditioner, conjugate_gradients};
use super::{Diagnostics, FittedLogisticRegression, LogisticRegression};
use crate::core::{Dataset, Result, Run};
use crate::loss::Loss;
use crate::model::LinearModel;

/// Share of a step's gain that solving for it may leave out.
const SHARE: f64 = 1e-8;

/// The penalised objective over a weighted sample: its Hessian stands for that of all rows.
pub(crate) struct Surrogate<'a> {
    objective: Objective<'a>,
    l1: f64,
    columns: Option<proximal::Columns>,
    frequent: Vec<usize>,
}

impl LogisticRegression {
    /// λ, λ₁ and whether there is an intercept.
    pub(crate) fn penalties(&self) -> (f64, f64, bool) {
        (self.l2, self.l1, self.intercept)
    }

    /// The objective over a sample whose weights add up to those of all rows, under a loss resolved for all rows.
    pub(crate) fn surrogate<'a>(
        &self,
        sample: &'a Dataset<'a>,
        loss: &std::sync::Arc<dyn Loss>,
    ) -> Surrogate<'a> {
        let objective = Objective::of_resolved(sample, loss.clone(), self.l2, self.intercept);
        let sparse = !objective.forms_hessian();
        let columns =
            (sparse && self.l1 > 0.0).then(|| proximal::Columns::of(objective.design.features()));
        let frequent = if sparse { objective.design.frequent_columns() } else { Vec::new() };
        Surrogate { objective, l1: self.l1, columns, frequent }
    }

    /// The fit to the sample alone.
    pub(crate) fn fit_sample(
        &self,
        sample: &Dataset<'_>,
        loss: &dyn Loss,
        run: &Run,
    ) -> Result<FittedLogisticRegression> {
        self.fit_ordinary(sample, loss, run)
    }
}

impl FittedLogisticRegression {
    /// Puts other coefficients in the place of these, where the smooth part of the objective has this gradient, of a fit
    /// that went as `diagnostics` says.
    pub(crate) fn replace(
        &mut self,
        theta: Vec<f64>,
        gradient: &[f64],
        diagnostics: impl FnOnce(&mut Diagnostics),
    ) {
        let columns = self.linear.coefficients.len();
        let slopes = proximal::subgradient(gradient, &theta, columns, self.details.l1);
        self.details.diagnostics.gradient_norm =
            slopes.map(|slope| slope * slope).sum::<f64>().sqrt();
        self.linear = LinearModel::from_theta(theta, columns);
        diagnostics(&mut self.details.diagnostics);
    }
}

impl Surrogate<'_> {
    /// The curvature at θ, to be used for several steps.
    pub(crate) fn curvature(&self, theta: &[f64]) -> Result<SampleCurvature<'_>> {
        let at = self.objective.at(theta);
        let preconditioner = Preconditioner::new(&self.objective, &at, &self.frequent)?;
        Ok(SampleCurvature { objective: &self.objective, at, preconditioner })
    }

    /// The minimum of λ₁‖β‖₁ and the quadratic model at θ with the gradient of all rows and the sample's Hessian.
    pub(crate) fn proximal_minimum(&self, theta: &[f64], gradient: &[f64]) -> Vec<f64> {
        proximal::model_minimum(&self.objective, self.columns.as_ref(), theta, gradient, self.l1)
    }
}

/// The sample's Hessian at a point.
pub(crate) struct SampleCurvature<'s> {
    objective: &'s Objective<'s>,
    at: At,
    preconditioner: Preconditioner,
}

impl SampleCurvature<'_> {
    /// H⁻¹ `gradient`; shortened where the Hessian is not positive definite.
    pub(crate) fn solve(&mut self, gradient: &[f64]) -> Vec<f64> {
        self.at.gradient.copy_from_slice(gradient);
        let radius = 1e3 * self.preconditioner.norm(gradient);
        let step =
            conjugate_gradients(self.objective, &self.at, &self.preconditioner, radius, SHARE, 0.0);
        step.direction.into_iter().map(|s| -s).collect()
    }
}
