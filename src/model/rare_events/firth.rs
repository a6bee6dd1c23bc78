//! Firth's penalised likelihood, l*(β) = l(β) + ½ ln det I(β), and its profiles.
//!
//! Sources: Firth 1993; Heinze & Schemper 2002 (logistic regression, separation, profile intervals);
//! Venzon & Moolgavkar 1988 (the iteration for an end of an interval).

use faer::Mat;

use crate::data::Scalar;
use crate::loss::LogLoss;
use crate::loss::numerics::sigmoid;
use crate::model::logistic::inference::{chi_squared_tail, normal_quantile};
use crate::model::logistic::{Cholesky, Objective, quadratic_forms};
use crate::{Dataset, Error, Progress, Result, Run};

/// Fisher's scoring stops when the next step is this short: the square of its length in standard
/// errors. Its convergence is linear, so what is left is of the same size.
const SHORT: f64 = 1e-20;

/// Scoring gains a digit in one to three iterations.
const MAX_ITERATIONS: usize = 300;

/// Share of the rise its slope promises that a step must bring.
const ACCEPT: f64 = 0.1;

/// Most iterations towards an end of an interval; about ten are needed where the quadratic model serves.
const END_ITERATIONS: usize = 50;

/// Longest step towards an end of an interval, in standard errors.
const LONGEST: f64 = 2.0;

/// The penalised likelihood of some rows.
pub(super) struct Firth<'a, F: Scalar> {
    data: &'a Dataset<'a, F>,
    objective: Objective<'a, F>,
}

/// The penalised likelihood at a point.
pub(super) struct At {
    pub(super) theta: Vec<f64>,
    /// l*.
    pub(super) value: f64,
    /// Its gradient, Firth's modified score.
    score: Vec<f64>,
    information: Mat<f64>,
    factor: Cholesky,
    pub(super) iterations: usize,
}

impl At {
    pub(super) fn covariance(&self) -> Mat<f64> {
        self.factor.inverse()
    }

    pub(super) fn score_norm(&self) -> f64 {
        self.score.iter().map(|slope| slope * slope).sum::<f64>().sqrt()
    }
}

impl<'a, F: Scalar> Firth<'a, F> {
    pub(super) fn new(data: &'a Dataset<'a, F>) -> Result<Self> {
        let objective = Objective::new(data, &LogLoss, 0.0, true)?;
        objective.check_products("Firth's penalised likelihood")?;
        Ok(Self { data, objective })
    }

    /// l*, its gradient and the information at θ, or the column at which that is singular.
    fn at(&self, theta: Vec<f64>) -> Result<At, usize> {
        let (loss, rows) = self.objective.rows_at(&theta);
        let information = self.objective.sum_of_outer_products(|i| rows[i].hessian);
        let factor = Cholesky::new(&information)?;
        // Leverages hᵢ = wᵢ πᵢ(1 − πᵢ) xᵢ I⁻¹ xᵢᵀ; the score is Σ (wᵢ(yᵢ − πᵢ) + hᵢ(½ − πᵢ)) xᵢ.
        let forms = quadratic_forms(self.data.features(), true, &factor.inverse());
        let score = self.objective.sum_of_rows(|i| {
            let leverage = rows[i].hessian * forms[i];
            leverage * (0.5 - sigmoid(rows[i].logit)) - rows[i].gradient
        });
        let value = 0.5 * factor.log_determinant() - loss;
        if !value.is_finite() {
            return Err(theta.len() - 1);
        }
        Ok(At { theta, value, score, information, factor, iterations: 0 })
    }

    /// The maximum over the free coefficients, from `start`, whose other entries are kept.
    ///
    /// `names` are the coefficients', for errors.
    pub(super) fn maximise(
        &self,
        start: Vec<f64>,
        free: &[usize],
        names: &[String],
        run: &Run,
    ) -> Result<At> {
        let singular = |column: usize| Error::RankDeficient {
            what: "Firth's penalised likelihood",
            column: names[column].clone(),
        };
        let mut at = self.at(start).map_err(singular)?;
        let mut share: f64 = 1.0;
        for iteration in 1..=MAX_ITERATIONS {
            let slopes: Vec<f64> = free.iter().map(|&j| at.score[j]).collect();
            let part = Mat::from_fn(free.len(), free.len(), |i, j| {
                at.information[(free[i].max(free[j]), free[i].min(free[j]))]
            });
            let step = if free.is_empty() {
                Vec::new()
            } else {
                Cholesky::new(&part).map_err(|j| singular(free[j]))?.solve(&slopes)
            };
            let length: f64 = step.iter().zip(&slopes).map(|(step, slope)| step * slope).sum();
            run.report(&Progress::Iteration {
                iteration,
                objective: -at.value,
                gap: 0.5 * length,
                target: 0.5 * SHORT,
            })?;
            if length <= SHORT {
                at.iterations = iteration - 1;
                return Ok(at);
            }
            // Halved until l* rises enough, but for the rounding of thousands of terms. The information
            // is not quite l*'s curvature: a share that was needed is kept where rounding would hide
            // that it still is.
            let rounding = 1e-12 * at.value.abs();
            share = if length > 1e-6 { (2.0 * share).min(1.0) } else { share };
            let next = (0..60).find_map(|_| {
                let mut theta = at.theta.clone();
                free.iter().zip(&step).for_each(|(&j, step)| theta[j] += share * step);
                let enough = at.value + ACCEPT * share * length - rounding;
                let next = self.at(theta).ok().filter(|next| next.value >= enough);
                if next.is_none() {
                    share *= 0.5;
                }
                next
            });
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        Err(Error::Numerical {
            what: "the slope of Firth's penalised likelihood where it stopped rising".into(),
            value: at.score_norm(),
            remedy: "scale the features to a similar size",
        })
    }

    /// The profile-likelihood interval of coefficient `j`: where the largest l* for its value has
    /// fallen by half the χ² quantile of `level`.
    pub(super) fn interval(
        &self,
        best: &At,
        j: usize,
        level: f64,
        names: &[String],
    ) -> Result<[f64; 2]> {
        let z = normal_quantile(level)?;
        let goal = best.value - 0.5 * z * z;
        let end = |sign| match self.end(best, j, goal, sign) {
            Some(end) => Ok(end),
            None => self.end_by_search(best, j, z, sign, names),
        };
        Ok([end(-1.0)?, end(1.0)?])
    }

    /// The same end by regula falsi on √(2(l*max − l*)), which is nearly linear in the coefficient, with a
    /// fit of the others at every value: slower, and certain. For likelihoods that are far from
    /// quadratic, as under separation.
    fn end_by_search(
        &self,
        best: &At,
        j: usize,
        z: f64,
        sign: f64,
        names: &[String],
    ) -> Result<f64> {
        let free: Vec<usize> = (0..best.theta.len()).filter(|&k| k != j).collect();
        let mut theta = best.theta.clone();
        let mut excess = |value: f64| {
            theta[j] = value;
            let at = self.maximise(theta.clone(), &free, names, &Run::default())?;
            theta.clone_from(&at.theta);
            Ok((2.0 * (best.value - at.value)).max(0.0).sqrt() - z)
        };
        let error = best.factor.inverse()[(j, j)].sqrt();
        let (mut inner, mut below) = (best.theta[j], -z);
        let mut outer = inner + sign * error;
        let mut above: f64 = excess(outer)?;
        while above < 0.0 {
            (inner, below) = (outer, above);
            outer += sign * error;
            above = excess(outer)?;
        }
        let mut last = 0.0;
        for _ in 0..200 {
            let value = inner - below * (outer - inner) / (above - below);
            let at = excess(value)?;
            if at.abs() < 1e-10 || (outer - inner).abs() < 1e-12 * error {
                return Ok(value);
            }
            // The Illinois rule: an end that stays twice counts half.
            let stays = if at * last > 0.0 { 0.5 } else { 1.0 };
            if at < 0.0 {
                (inner, below, above) = (value, at, stays * above);
            } else {
                (outer, above, below) = (value, at, stays * below);
            }
            last = at;
        }
        Err(Error::Numerical {
            what: format!("an end of the profile-likelihood interval of `{}`", names[j]),
            value: outer,
            remedy: "no end was found; scale the features to a similar size, or ask for no intervals",
        })
    }

    /// Where l* is `goal` and no other coefficient can raise it, on the side of `sign`.
    ///
    /// Each step goes to where the quadratic model of l* says so: with V the inverse information,
    /// `δ = V(U + λ eⱼ)`, `λ² = 2(l* − goal + ½ UᵀVU) / Vⱼⱼ`.
    fn end(&self, best: &At, j: usize, goal: f64, sign: f64) -> Option<f64> {
        let mut at = self.at(best.theta.clone()).ok()?;
        for _ in 0..END_ITERATIONS {
            let mut unit = vec![0.0; at.theta.len()];
            unit[j] = 1.0;
            let along = at.factor.solve(&unit);
            let newton = at.factor.solve(&at.score);
            let rise: f64 = newton.iter().zip(&at.score).map(|(step, slope)| step * slope).sum();
            let squared = 2.0 * (at.value - goal + 0.5 * rise) / along[j];
            // Beyond the goal, even by the model: straight back along the ridge's direction.
            let lambda = sign * if squared >= 0.0 { squared.sqrt() } else { -(-squared).sqrt() };
            let mut step: Vec<f64> =
                newton.iter().zip(&along).map(|(newton, along)| newton + lambda * along).collect();
            let bend = lambda * lambda * along[j] + 2.0 * lambda * newton[j] + rise;
            let length = bend.max(0.0).sqrt();
            if length > LONGEST {
                step.iter_mut().for_each(|step| *step *= LONGEST / length);
            }
            if length * length <= 100.0 * SHORT {
                return Some(at.theta[j] + step[j]);
            }
            at = (0..60).find_map(|halvings| {
                let share = 0.5_f64.powi(halvings);
                let theta = at.theta.iter().zip(&step).map(|(t, step)| t + share * step).collect();
                self.at(theta).ok()
            })?;
        }
        None
    }

    /// The p-value of `θⱼ = value`, by the penalised likelihood ratio.
    pub(super) fn p_value(&self, best: &At, j: usize, value: f64, names: &[String]) -> Result<f64> {
        let free: Vec<usize> = (0..best.theta.len()).filter(|&k| k != j).collect();
        // Along the ridge of the quadratic model, or, where that leads too far, straight.
        let mut unit = vec![0.0; best.theta.len()];
        unit[j] = 1.0;
        let along = best.factor.solve(&unit);
        let by = (value - best.theta[j]) / along[j];
        let mut start: Vec<f64> = best.theta.iter().zip(&along).map(|(t, a)| t + by * a).collect();
        start[j] = value;
        if self.at(start.clone()).is_err() {
            start = best.theta.clone();
            start[j] = value;
        }
        let restricted = self.maximise(start, &free, names, &Run::default())?;
        Ok(chi_squared_tail(2.0 * (best.value - restricted.value)))
    }
}
