//! Firth's penalised likelihood, l*(β) = l(β) + ½ ln det I(β), and its profiles.
//!
//! Sources: Firth 1993; Heinze & Schemper 2002 (logistic regression, separation, profile intervals);
//! Venzon & Moolgavkar 1988 (the iteration for an end of an interval).

use std::collections::VecDeque;

use ndarray::Array2;

use crate::core::{Dataset, Error, Progress, Result, Run};
use crate::loss::LogLoss;
use crate::model::logistic::{Cholesky, Objective, RowAt, StopReason, quadratic_forms};
use crate::numerics::root;
use crate::numerics::sigmoid;

/// Fisher's scoring stops when the next step is this short: the square of its length in standard
/// errors.
const SHORT: f64 = 1e-20;

/// The step is rounding below this square, a millionth of a standard error, if it gets no shorter: the
/// information is then nearly singular, as under separation.
const ROUNDED: f64 = 1e-12;

/// Iterations without a shorter step that show rounding.
const PATIENCE: usize = 10;

/// Quantiles of the offsets at which scoring may start.
const START_QUANTILES: usize = 8;

/// Offsets that differ by more leave some rows certain, whatever the intercept is.
const WIDE: f64 = 40.0;

/// Scoring takes ten to forty iterations.
const MAX_ITERATIONS: usize = 300;

/// Squared length of a scoring step, in standard errors, below which what earlier steps did to the score bends the
/// next one. Further out l* need not be concave, and short steps keep to the maximum that scoring leads to.
const NEAR: f64 = 0.1;

/// Squared length below which steps teach nothing.
const NOISE: f64 = 1e-10;

/// Steps that are remembered for that.
const MEMORY: usize = 10;

/// Share of the rise promised by its slope that a step must bring.
const ACCEPT: f64 = 0.1;

/// Share of a step that changes the coefficients by rounding only.
const STUCK: f64 = 1e-9;

/// Most iterations towards an end of an interval; about ten are needed where the quadratic model serves.
const END_ITERATIONS: usize = 50;

/// Most steps from one value of a profile to another.
const STEPS: usize = 60;

/// Fall of l* at which a hypothesis is as good as impossible: a p-value of 2.5 · 10⁻¹⁰.
const ENOUGH: f64 = 20.0;

/// Longest step towards another value after one that failed, in standard errors.
const FAR: f64 = 16.0;

/// Longest step towards an end of an interval, in standard errors.
const LONGEST: f64 = 2.0;

/// Steps and the falls of the score along them, from which scoring learns the curvature of l*: the information is not
/// it, under separation by far (L-BFGS with I⁻¹ to start from; Nocedal & Wright 2006, algorithm 7.4).
#[derive(Default)]
struct Past(VecDeque<(Vec<f64>, Vec<f64>, f64)>);

impl Past {
    /// Remembers a step along which l* is concave.
    fn add(&mut self, step: Vec<f64>, fall: impl FnOnce() -> Vec<f64>) {
        let fall = fall();
        let curvature = dot(&step, &fall);
        if curvature > 0.0 && (1.0 / curvature).is_finite() {
            if self.0.len() == MEMORY {
                self.0.pop_front();
            }
            self.0.push_back((step, fall, 1.0 / curvature));
        }
    }

    /// The step for these slopes, where `solve` multiplies by I⁻¹.
    fn bend(&self, slopes: &[f64], solve: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let mut slopes = slopes.to_vec();
        let mut shares = Vec::with_capacity(self.0.len());
        for (step, fall, per_curvature) in self.0.iter().rev() {
            let share = per_curvature * dot(step, &slopes);
            slopes.iter_mut().zip(fall).for_each(|(slope, fall)| *slope -= share * fall);
            shares.push(share);
        }
        let mut bent = solve(&slopes);
        for ((step, fall, per_curvature), share) in self.0.iter().zip(shares.iter().rev()) {
            let share = share - per_curvature * dot(fall, &bent);
            bent.iter_mut().zip(step).for_each(|(bent, step)| *bent += share * step);
        }
        bent
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The penalised likelihood of some rows.
pub(super) struct Firth<'a> {
    data: &'a Dataset<'a>,
    /// Of the columns and the intercept.
    names: &'a [String],
    objective: Objective<'a>,
}

/// The penalised likelihood at a point.
pub(super) struct At {
    pub(super) theta: Vec<f64>,
    /// l*.
    pub(super) value: f64,
    /// Its gradient, Firth's modified score.
    score: Vec<f64>,
    information: Array2<f64>,
    factor: Cholesky,
    pub(super) iterations: usize,
    pub(super) stop: StopReason,
}

impl At {
    pub(super) fn covariance(&self) -> Array2<f64> {
        self.factor.inverse()
    }

    pub(super) fn score_norm(&self) -> f64 {
        self.score.iter().map(|slope| slope * slope).sum::<f64>().sqrt()
    }
}

impl<'a> Firth<'a> {
    /// The likelihood of these rows, whose columns and intercept have `names`.
    pub(super) fn new(data: &'a Dataset<'a>, names: &'a [String]) -> Result<Self> {
        let objective = Objective::new(data, &LogLoss, 0.0, true)?;
        // Where all probabilities are equal, the information is singular only if the columns are collinear.
        // Elsewhere it may be singular because the probabilities of many rows are certain.
        let equal = objective
            .design
            .sum_of_outer_products(|i| data.weights().map_or(1.0, |weights| weights[i]));
        Cholesky::new(&equal).map_err(|column| Error::RankDeficient {
            what: "Firth's penalised likelihood",
            column: names[column].clone(),
        })?;
        Ok(Self { data, names, objective })
    }

    /// Coefficients of 0 and the intercept with which the mean offset makes the log-odds of the rows. Where offsets differ by
    /// much, most intercepts lose the rows' information: then the best for some quantile of the offsets.
    pub(super) fn start(&self) -> Vec<f64> {
        let rate = self.data.totals().log_odds();
        let mut offsets = self.data.offsets().unwrap_or(&[0.0]).to_vec();
        offsets.sort_unstable_by(f64::total_cmp);
        let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
        let quantiles =
            (0..=START_QUANTILES).map(|i| offsets[i * (offsets.len() - 1) / START_QUANTILES]);
        let at = |shift: f64| {
            let mut theta = vec![0.0; self.data.columns()];
            theta.push(rate - shift);
            theta
        };
        if offsets[offsets.len() - 1] - offsets[0] <= WIDE {
            return at(mean);
        }
        let value = |theta: &Vec<f64>| {
            let found = self.without_score(theta.clone());
            found.map_or(f64::NEG_INFINITY, |(at, _)| at.value)
        };
        let starts = std::iter::once(mean).chain(quantiles).map(at);
        let valued = starts.map(|theta| (value(&theta), theta));
        // Of equal ones the first, the mean.
        let best = valued.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or_else(|| at(mean), |best| best.1)
    }

    /// l*, its gradient and the information at θ, or `None` where that is singular to rounding.
    fn at(&self, theta: Vec<f64>) -> Option<At> {
        let at = self.with_score(self.without_score(theta)?);
        at.score.iter().all(|slope| slope.is_finite()).then_some(at)
    }

    /// [`at`](Self::at) without the gradient, which takes about half the time, and the losses of the rows.
    fn without_score(&self, theta: Vec<f64>) -> Option<(At, Vec<RowAt>)> {
        let (loss, rows) = self.objective.rows_at(&theta);
        let information = self.objective.design.sum_of_outer_products(|i| rows[i].hessian);
        let factor = Cholesky::new(&information).ok()?;
        let value = 0.5 * factor.log_determinant() - loss;
        let (score, iterations, stop) = (Vec::new(), 0, StopReason::Converged);
        let at = At { theta, value, score, information, factor, iterations, stop };
        value.is_finite().then_some((at, rows))
    }

    fn with_score(&self, (mut at, rows): (At, Vec<RowAt>)) -> At {
        // Leverages hᵢ = wᵢ πᵢ(1 − πᵢ) xᵢ I⁻¹ xᵢᵀ; the score is Σ (wᵢ(yᵢ − πᵢ) + hᵢ(½ − πᵢ)) xᵢ.
        let forms = quadratic_forms(self.data.features(), &at.factor.inverse());
        at.score = self.objective.design.sum_of_rows(|i| {
            let leverage = rows[i].hessian * forms[i];
            leverage * (0.5 - sigmoid(rows[i].logit)) - rows[i].gradient
        });
        at
    }

    /// The maximum over the free coefficients, from `start`, whose other entries are kept.
    pub(super) fn maximise(&self, start: Vec<f64>, free: &[usize], run: &Run) -> Result<At> {
        let mut at = self.at(start).ok_or_else(|| self.singular())?;
        let mut past = Past::default();
        let (mut shortest, mut since) = (f64::INFINITY, 0);
        for iteration in 1..=MAX_ITERATIONS {
            let slopes: Vec<f64> = free.iter().map(|&j| at.score[j]).collect();
            let part = Array2::from_shape_fn((free.len(), free.len()), |(i, j)| {
                at.information[(free[i].max(free[j]), free[i].min(free[j]))]
            });
            let (scoring, bent) = if free.is_empty() {
                Default::default()
            } else {
                let factor = Cholesky::new(&part).map_err(|_| self.singular())?;
                (factor.solve(&slopes), past.bend(&slopes, |slopes| factor.solve(slopes)))
            };
            let length = dot(&scoring, &slopes);
            run.report(&Progress::Iteration {
                iteration,
                objective: -at.value,
                gap: 0.5 * length,
                target: 0.5 * SHORT,
            })?;
            since += 1;
            if length <= 0.5 * shortest {
                (shortest, since) = (length, 0);
            }
            let rounded = length <= ROUNDED && since >= PATIENCE;
            if length <= SHORT || rounded {
                at.iterations = iteration - 1;
                at.stop = if rounded { StopReason::Rounding } else { StopReason::Converged };
                return Ok(at);
            }
            let rise = dot(&bent, &slopes);
            let (step, rise) =
                if length < NEAR && rise > 0.0 { (bent, rise) } else { (scoring, length) };
            // Halved until l* rises enough, but for the rounding of thousands of terms and of ln det I.
            let rounding = 1e-12 * at.value.abs().max(10.0);
            let mut share = 1.0;
            let next = (0..60).find_map(|_| {
                let mut theta = at.theta.clone();
                free.iter().zip(&step).for_each(|(&j, step)| theta[j] += share * step);
                let enough = at.value + ACCEPT * share * rise - rounding;
                let next = self.without_score(theta).filter(|(next, _)| next.value >= enough);
                if next.is_none() {
                    share *= 0.5;
                }
                next
            });
            let next = next.filter(|_| share > STUCK).map(|next| self.with_score(next));
            let Some(next) = next else {
                if length > ROUNDED {
                    break;
                }
                at.iterations = iteration - 1;
                at.stop = StopReason::Rounding;
                return Ok(at);
            };
            // Along shorter steps the fall of the score is rounding.
            if length > NOISE {
                past.add(step.iter().map(|step| share * step).collect(), || {
                    free.iter().zip(&slopes).map(|(&j, slope)| slope - next.score[j]).collect()
                });
            }
            at = next;
        }
        Err(Error::Numerical {
            what: "the slope of Firth's penalised likelihood where it stopped rising".into(),
            value: at.score_norm(),
            remedy: self.remedy(
                "the features are nearly collinear where the classes overlap: drop a column, or take a penalty \
                 (`LogisticRegression` with `l2`)",
            ),
        })
    }

    fn singular(&self) -> Error {
        Error::Numerical {
            what: "ln det I of Firth's penalised likelihood".into(),
            value: f64::NEG_INFINITY,
            remedy: self.remedy(
                "too many rows are predicted with certainty for f64; scale the features to a similar \
                 size, or bring outliers in",
            ),
        }
    }

    /// What to do about rows without information: it may be their offsets.
    fn remedy(&self, otherwise: &'static str) -> &'static str {
        let offsets = self.data.offsets().unwrap_or_default().iter();
        let (low, high) = offsets
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &offset| {
                (low.min(offset), high.max(offset))
            });
        if high - low > WIDE {
            "the offsets differ by more than 40, so most rows are predicted with certainty and too few tell about the \
             coefficients; bring the offsets in, or, where only intervals fail, ask for none (`firth_with_intervals(None)`)"
        } else {
            otherwise
        }
    }

    /// The profile-likelihood interval of coefficient `j`: where the largest l* for its value has
    /// fallen by z²/2.
    pub(super) fn interval(&self, best: &At, j: usize, z: f64, run: &Run) -> Result<[f64; 2]> {
        let goal = best.value - 0.5 * z * z;
        let end = |sign| match self.end(best, j, goal, sign, run)? {
            Some(end) => Ok(end),
            None => self.end_by_search(best, j, z, sign, run),
        };
        Ok([end(-1.0)?, end(1.0)?])
    }

    /// The end by a [search](root::search) on √(2(l*max − l*)), which is nearly linear in the coefficient, with a
    /// fit of the others at every value: slower than [`end`](Self::end), and certain. For likelihoods that are
    /// far from quadratic, as under separation.
    fn end_by_search(&self, best: &At, j: usize, z: f64, sign: f64, run: &Run) -> Result<f64> {
        let error = best.factor.inverse()[(j, j)].sqrt();
        // The last fit inside the interval; others start from it.
        let mut inside: Option<At> = None;
        let excess = |distance: f64| {
            let value = best.theta[j] + sign * distance;
            let at = self.profile(inside.as_ref().unwrap_or(best), j, value, f64::INFINITY, run)?;
            let excess = (2.0 * (best.value - at.value)).max(0.0).sqrt() - z;
            if excess < 0.0 {
                inside = Some(at);
            }
            Ok(excess)
        };
        let distance = root::search(-z, 0.5 * error, 1.5, [1e-10, 1e-12 * error], excess)?;
        distance.map(|distance| best.theta[j] + sign * distance).ok_or_else(|| Error::Numerical {
            what: format!("an end of the profile-likelihood interval of `{}`", self.names[j]),
            value: inside.as_ref().map_or(best.theta[j], |at| at.theta[j]),
            remedy: "no end was found; scale the features to a similar size, or ask for no intervals",
        })
    }

    /// The maximum over the other coefficients with `θⱼ = value`, from the maximum at another value: at
    /// once, or in steps short enough that each maximum leads to the next, which may end where l* has fallen `enough`.
    fn profile(&self, from: &At, j: usize, value: f64, enough: f64, run: &Run) -> Result<At> {
        let free: Vec<usize> = (0..from.theta.len()).filter(|&k| k != j).collect();
        let far = FAR * from.factor.inverse()[(j, j)].sqrt();
        let mut between: Option<At> = None;
        let mut step = value - from.theta[j];
        for _ in 0..STEPS {
            let here = between.as_ref().unwrap_or(from);
            let arrives = step.abs() >= (value - here.theta[j]).abs();
            let next = if arrives { value } else { here.theta[j] + step };
            match self.maximise(self.towards(here, j, next), &free, run) {
                Ok(at) if arrives || from.value - at.value >= enough => return Ok(at),
                Ok(at) => {
                    between = Some(at);
                    step *= 1.5;
                }
                Err(error @ Error::Cancelled { .. }) => return Err(error),
                Err(_) => step = 0.5 * step.clamp(-far, far),
            }
        }
        Err(Error::Numerical {
            what: format!("`{}` where its profile of Firth's penalised likelihood ends", self.names[j]),
            value: between.as_ref().unwrap_or(from).theta[j],
            remedy: self.remedy(
                "too few rows tell about the other coefficients there; scale the features to a similar size, bring \
                 outliers in, or ask for no profile intervals (`firth_with_intervals(None)`)",
            ),
        })
    }

    /// Coefficients with `θⱼ = value`: along the ridge of the quadratic model, or, where that leads too
    /// far, straight.
    fn towards(&self, from: &At, j: usize, value: f64) -> Vec<f64> {
        let mut unit = vec![0.0; from.theta.len()];
        unit[j] = 1.0;
        let along = from.factor.solve(&unit);
        let by = (value - from.theta[j]) / along[j];
        let mut theta: Vec<f64> = from.theta.iter().zip(&along).map(|(t, a)| t + by * a).collect();
        theta[j] = value;
        if self.without_score(theta.clone()).is_none() {
            theta.clone_from(&from.theta);
            theta[j] = value;
        }
        theta
    }

    /// Where l* is `goal` and no other coefficient can raise it, on the side of `sign`.
    ///
    /// Each step goes to where the quadratic model of l* says so: with V the inverse information,
    /// `δ = V(U + λ eⱼ)`, `λ² = 2(l* − goal + ½ UᵀVU) / Vⱼⱼ`.
    fn end(&self, best: &At, j: usize, goal: f64, sign: f64, run: &Run) -> Result<Option<f64>> {
        let Some(mut at) = self.at(best.theta.clone()) else { return Ok(None) };
        for iteration in 1..=END_ITERATIONS {
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
            run.report(&Progress::Iteration {
                iteration,
                objective: -at.value,
                gap: 0.5 * length * length,
                target: 50.0 * SHORT,
            })?;
            if length * length <= 100.0 * SHORT {
                return Ok(Some(at.theta[j] + step[j]));
            }
            let next = (0..60).find_map(|halvings| {
                let share = 0.5_f64.powi(halvings);
                let theta = at.theta.iter().zip(&step).map(|(t, step)| t + share * step).collect();
                self.at(theta)
            });
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(None)
    }

    /// Twice the logarithm of the penalised likelihood ratio against `θⱼ = value`; where l* cannot be computed so far
    /// away, that against a value between, if it is [enough](ENOUGH).
    pub(super) fn likelihood_ratio(
        &self,
        best: &At,
        j: usize,
        value: f64,
        run: &Run,
    ) -> Result<f64> {
        let restricted = self.profile(best, j, value, ENOUGH, run)?;
        Ok(2.0 * (best.value - restricted.value))
    }
}
