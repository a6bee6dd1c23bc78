//! The objective of a logistic regression and its gradient, summed over a log.

use std::sync::Arc;

use crate::core::{Error, Result};
use crate::data::{Batch, FittedEncoder, Pass};
use crate::loss::Loss;
use crate::model::logistic::Objective;

/// The loss, summed over all rows without the penalty: value and gradient at θ + step, and values at other lengths of the
/// step.
pub(super) struct GradientPass<'p> {
    pub(super) encoder: &'p FittedEncoder,
    /// Resolved for all rows.
    pub(super) loss: &'p Arc<dyn Loss>,
    pub(super) intercept: bool,
    pub(super) theta: &'p [f64],
    pub(super) step: &'p [f64],
    pub(super) lengths: &'p [f64],
}

pub(super) struct Gradient {
    pub(super) rows: u64,
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    /// At the other lengths.
    pub(super) values: Vec<f64>,
    /// The least logit without offset in the direction of its label.
    pub(super) margin: f64,
}

impl Pass for GradientPass<'_> {
    type Sum = Gradient;

    fn empty(&self) -> Gradient {
        Gradient {
            rows: 0,
            value: 0.0,
            gradient: vec![0.0; self.theta.len()],
            values: vec![0.0; self.lengths.len()],
            margin: f64::INFINITY,
        }
    }

    fn add(&self, sum: &mut Gradient, batch: &Batch) -> Result<()> {
        let data = self.encoder.encode(&batch.table)?;
        let objective = Objective::of_resolved(&data, Arc::clone(self.loss), 0.0, self.intercept);
        let at: Vec<f64> = self.theta.iter().zip(self.step).map(|(t, s)| t + s).collect();
        let (value, gradient, margin) = objective.value_gradient_margin(&at);
        if !value.is_finite() {
            return Err(Error::Numerical {
                what: format!("the loss of rows {} and after of {}", batch.first_row, batch.file),
                value,
                remedy: "offsets, weights or features are too large to add up; scale them",
            });
        }
        let values = match self.lengths {
            [] => Vec::new(),
            lengths => objective.values_along(self.theta, self.step, lengths),
        };
        self.merge(sum, Gradient { rows: data.rows() as u64, value, gradient, values, margin })
    }

    fn merge(&self, sum: &mut Gradient, next: Gradient) -> Result<()> {
        sum.rows += next.rows;
        sum.value += next.value;
        sum.margin = sum.margin.min(next.margin);
        let pairs = sum.gradient.iter_mut().zip(&next.gradient);
        pairs.for_each(|(sum, term)| *sum += term);
        sum.values.iter_mut().zip(&next.values).for_each(|(sum, term)| *sum += term);
        Ok(())
    }
}
