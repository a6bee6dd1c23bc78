//! Logistic regression with a quadratic penalty whose weight is given or cross-validated.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use ndarray::Array2;

use super::Sample;
use super::bounded_logit::{
    BoundedLogit, Features, Likelihood, LogitForm, Source, Standardised, Statistic, Summary, gather,
};
use super::newton::Minimum;
use crate::core::{Error, Result, attempted};
use crate::exec::simd::LANES;
use crate::numerics::vector::sigmoid;

/// The minimum of a penalised likelihood.
#[derive(Debug, Clone)]
pub(crate) struct Penalised {
    pub(crate) fit: BoundedLogit,
    pub(crate) lambda: f64,
    /// The effective degrees of freedom: the trace of H⁻¹ (H − P), and so 1 for a constant.
    pub(crate) effective_df: f64,
}

impl Penalised {
    /// Minimises the mean negative log-likelihood, with an intercept, plus λ/2 |Dθ|² with D = `roughness`, over all θ or over
    /// θ ≥ 0.
    ///
    /// Where no λ is given, it is the one of 31 from 10⁻⁹ to 10⁶ times p̄(1 − p̄), two a decade, with the least criterion
    /// of Gu and Xiang, −l + Σ wᵢ xᵢᵀH⁻¹xᵢ · Σ wᵢ yᵢ(1 − pᵢ)/(n − df), where p̄ is the base rate and n = Σ w. Where rows
    /// are many, λ is chosen for a [`Summary`] of them.
    pub(crate) fn fit(
        sample: Sample<'_>,
        free: bool,
        features: &impl Features,
        roughness: &Array2<f64>,
        lambda: Option<f64>,
    ) -> Result<Self> {
        let rows = Standardised::new(sample, LogitForm { free, ..LogitForm::RISING }, features)?;
        let n = rows.units.len();
        let weight = rows.class_weights.iter().sum::<f64>().sqrt();
        let unit = |j: usize| rows.units[j].scale / rows.units[j].deviation;
        let roughness =
            Array2::from_shape_fn(roughness.dim(), |(i, j)| weight * roughness[(i, j)] * unit(j));
        let (lambda, start) = match Summary::of(&rows)? {
            None => rows.near(&rows, &roughness, lambda)?,
            Some(summary) => rows.near(&summary, &roughness, lambda)?,
        };
        let found = rows.penalised(&rows, start, &roughness, lambda)?;
        let at_bound = found.at_bound.iter().filter(|at_bound| **at_bound).count();
        let mut effective_df = (n + 1 - at_bound) as f64;
        for row in roughness.rows() {
            for i in 0..n {
                for j in 0..n {
                    effective_df -= lambda * row[i] * found.covariance[(i, j)] * row[j];
                }
            }
        }
        let fit = rows.in_columns(&found).ensure_finite()?;
        if !effective_df.is_finite() {
            return Err(Error::Numerical {
                what: "the effective degrees of freedom".into(),
                value: effective_df,
                remedy: "weights or scores differ by hundreds of orders of magnitude: scale or clip them",
            });
        }
        Ok(Self { fit, lambda, effective_df })
    }
}

impl<F: Features> Standardised<'_, F> {
    fn penalised(
        &self,
        source: &impl Source,
        start: Vec<f64>,
        roughness: &Array2<f64>,
        lambda: f64,
    ) -> Result<Minimum> {
        self.minimise(source, start, Some(&(roughness * lambda.sqrt())))
    }

    /// The λ given or of the least criterion, and the minimum for it.
    fn near(
        &self,
        source: &impl Source,
        roughness: &Array2<f64>,
        lambda: Option<f64>,
    ) -> Result<(f64, Vec<f64>)> {
        let (n, start) = (self.units.len(), self.start());
        if let Some(lambda) = lambda {
            return Ok((lambda, self.penalised(source, start, roughness, lambda)?.theta));
        }
        let likelihood =
            |theta: &[f64]| Likelihood { columns: n, offsets: [0.0; 2], theta }.at(source);
        let [negative, positive] = self.class_weights;
        let weight = negative + positive;
        let unit = (negative / weight) * (positive / weight);
        // At θ = 0 the information is Σ wᵢ xᵢxᵢᵀ/4.
        let moments = likelihood(&vec![0.0; n + 1])?.hessian;
        let (mut least, mut best, mut theta) = (f64::INFINITY, (unit, start.clone()), start);
        // From the line towards the roughest spline, so that each minimum is near the one before.
        for step in (-18..=12).rev() {
            let lambda = unit * 10_f64.powf(0.5 * f64::from(step));
            let found = attempted(self.penalised(source, theta, roughness, lambda))?;
            let Some(found) = found else {
                // So little penalty all but lets the scores separate the classes, and less would too.
                break;
            };
            theta = found.theta;
            let at = likelihood(&theta)?;
            let (mut spread, mut df) = (0.0, 0.0);
            for i in 0..=n {
                for j in 0..=n {
                    let (row, column) = (i.max(j), i.min(j));
                    spread += found.covariance[(i, j)] * 4.0 * moments[(row, column)];
                    df += found.covariance[(i, j)] * at.hessian[(row, column)];
                }
            }
            let misses = gather(&PositiveResiduals { theta: &theta }, source)?[0];
            let criterion = at.value + spread * misses / (weight * self.weight_unit - df);
            // A gain of less tells nothing, and is rounding where the map is all but a line.
            if criterion < least - 1e-4 / self.weight_unit {
                (least, best) = (criterion, (lambda, theta.clone()));
            }
        }
        Ok(best)
    }
}

/// Σ w y (1 − p).
struct PositiveResiduals<'t> {
    theta: &'t [f64],
}

impl Statistic for PositiveResiduals<'_> {
    fn len(&self) -> usize {
        1
    }

    #[inline(always)]
    fn add(&self, x: &[[f64; LANES]], weight: &[f64; LANES], gathered: &mut [[f64; LANES]]) {
        let mut eta = [self.theta[x.len()]; LANES];
        for (x, slope) in x.iter().zip(self.theta) {
            for lane in 0..LANES {
                eta[lane] += slope * x[lane];
            }
        }
        for lane in 0..LANES {
            gathered[0][lane] += weight[lane].max(0.0) * sigmoid(-eta[lane]);
        }
    }
}
