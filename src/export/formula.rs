//! Formulas of few operations, which databases and ONNX have alike, and the calibration maps in them.

use super::form::{Form, Levels, Map, Model, Posterior};
use crate::core::{Error, Result};
use crate::numerics::incomplete_beta::LnBetaReg;
use crate::numerics::sigmoid;

/// Stands for infinite log-odds, which databases have no number for. No logit of a model comes near.
pub(super) const CERTAIN: f64 = 1e300;

/// Above it the logarithm of the incomplete beta function is a difference of numbers so large that 12 digits do not remain.
const LARGEST_PARAMETER: f64 = 1_000.0;

/// A formula. Each operation means what it means on `f64`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Number(f64),
    /// A column of the table, or an input.
    Input(String),
    /// The value of a step that was bound before.
    Step(usize),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// Where the first is at least the second, the third, elsewhere the fourth.
    IfAtLeast(Box<[Expr; 4]>),
    /// How many of ascending edges are at or below a value; the edges below it alone if `strictly`.
    Count {
        of: Box<Expr>,
        edges: Vec<f64>,
        strictly: bool,
    },
    /// The number at the place that a count gives.
    Pick {
        at: Box<Expr>,
        numbers: Vec<f64>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Exp,
    Ln,
    Abs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
}

macro_rules! operators {
    ($($trait:ident $method:ident $operation:ident),*) => {$(
        impl<E: Into<Expr>> std::ops::$trait<E> for Expr {
            type Output = Self;

            fn $method(self, other: E) -> Self {
                Self::Binary(Binary::$operation, Box::new(self), Box::new(other.into()))
            }
        }
    )*};
}

operators!(Add add Add, Sub sub Subtract, Mul mul Multiply, Div div Divide);

impl From<f64> for Expr {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl Expr {
    pub(super) fn exp(self) -> Self {
        Self::Unary(Unary::Exp, Box::new(self))
    }

    fn ln(self) -> Self {
        Self::Unary(Unary::Ln, Box::new(self))
    }

    pub(super) fn abs(self) -> Self {
        Self::Unary(Unary::Abs, Box::new(self))
    }

    pub(super) fn negative(self) -> Self {
        Self::Number(0.0) - self
    }

    /// `then` where this is at least `bound`, `otherwise` elsewhere.
    pub(super) fn if_at_least(
        self,
        bound: impl Into<Self>,
        then: impl Into<Self>,
        otherwise: impl Into<Self>,
    ) -> Self {
        let (bound, then, otherwise) = (bound.into(), then.into(), otherwise.into());
        match (&self, &bound) {
            (Self::Number(number), Self::Number(bound)) if number >= bound => then,
            (Self::Number(_), Self::Number(_)) => otherwise,
            _ => Self::IfAtLeast(Box::new([self, bound, then, otherwise])),
        }
    }
}

/// A calibrated score, on the scale where it was computed.
pub(super) enum Score {
    LogOdds(Expr),
    Probability(Expr),
}

/// The values that later formulas use more than once, in their order.
#[derive(Debug, Default)]
pub(super) struct Steps(pub(super) Vec<Expr>);

impl Steps {
    /// A name for a value.
    pub(super) fn bind(&mut self, expr: Expr) -> Expr {
        if matches!(expr, Expr::Number(_) | Expr::Step(_) | Expr::Input(_)) {
            return expr;
        }
        let known = self.0.iter().position(|step| *step == expr);
        Expr::Step(known.unwrap_or_else(|| {
            self.0.push(expr);
            self.0.len() - 1
        }))
    }

    fn count(&mut self, of: &Expr, edges: &[f64], strictly: bool) -> Expr {
        // Infinite edges are beside certain log-odds, on the side that decides as ∞ would.
        let [less, more] = if strictly { [1e290, 1e305] } else { [1e305, 1e290] };
        let edges = edges.iter().map(|edge| edge.clamp(-less, more)).collect();
        self.bind(Expr::Count { of: Box::new(of.clone()), edges, strictly })
    }

    fn pick(&mut self, at: &Expr, numbers: impl IntoIterator<Item = f64>) -> Expr {
        let numbers = numbers.into_iter().collect();
        self.bind(Expr::Pick { at: Box::new(at.clone()), numbers })
    }

    /// The same, or the number if there is only one.
    fn coefficient(&mut self, at: &Expr, numbers: impl IntoIterator<Item = f64>) -> Expr {
        let numbers: Vec<f64> = numbers.into_iter().collect();
        let are_equal = numbers.iter().all(|number| *number == numbers[0]);
        if are_equal { numbers[0].into() } else { self.pick(at, numbers) }
    }

    /// e^−|z|, 0 where it is below 10⁻³⁰⁰: databases take less for an error.
    fn exp_of_minus(&mut self, z: &Expr) -> Expr {
        let size = self.bind(z.clone().abs());
        let exp = size.clone().negative().exp();
        self.bind(size.if_at_least(700.0, 0.0, exp))
    }

    /// σ(z) and σ(−z).
    pub(super) fn sigmoids(&mut self, z: &Expr) -> [Expr; 2] {
        let e = self.exp_of_minus(z);
        let large = self.bind(Expr::from(1.0) / (e.clone() + 1.0));
        let small = self.bind(e * large.clone());
        let of = |steps: &mut Self, then: &Expr, otherwise: &Expr| {
            steps.bind(z.clone().if_at_least(0.0, then.clone(), otherwise.clone()))
        };
        [of(self, &large, &small), of(self, &small, &large)]
    }

    /// ln σ(z) and ln σ(−z).
    fn ln_sigmoids(&mut self, z: &Expr) -> [Expr; 2] {
        let e = self.exp_of_minus(z);
        let less = self.ln_1p(e);
        let less = self.bind(less);
        let zero_or = |then: Expr, otherwise: Expr| z.clone().if_at_least(0.0, then, otherwise);
        let [p, q] = [
            zero_or(0.0.into(), z.clone()) - less.clone(),
            zero_or(z.clone().negative(), 0.0.into()) - less,
        ];
        [self.bind(p), self.bind(q)]
    }

    /// ln(1 + x), corrected for the rounding of 1 + x.
    pub(super) fn ln_1p(&mut self, x: Expr) -> Expr {
        let x = self.bind(x);
        let sum = self.bind(x.clone() + 1.0);
        sum.clone().ln() + (x - (sum.clone() - 1.0)) / sum
    }

    /// ln x; certain where x is 0 or below.
    fn ln(&mut self, x: Expr) -> Expr {
        let x = self.bind(x);
        Expr::Number(0.0).if_at_least(x.clone(), -CERTAIN, x.ln())
    }

    fn log_odds(&mut self, score: Score) -> Expr {
        let expr = match score {
            Score::LogOdds(z) => z,
            Score::Probability(p) => {
                let p = self.bind(p);
                let inner = (p.clone() / (Expr::from(1.0) - p.clone())).ln();
                let above_0 = Expr::Number(0.0).if_at_least(p.clone(), -CERTAIN, inner);
                p.if_at_least(1.0, CERTAIN, above_0)
            }
        };
        self.bind(expr)
    }

    /// The probability: the mean of the members', from formulas of the logits of their models.
    pub(super) fn mean(
        &mut self,
        form: &Form,
        mut logit: impl FnMut(&Model, &mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        let mut sum = None;
        for (model, calibration) in &form.members {
            let z = logit(model, self)?;
            let score = self.map(&calibration.map, z)?;
            let p = self.probability(score);
            sum = Some(match sum {
                None => p,
                Some(sum) => p + sum,
            });
        }
        let (sum, members) = (sum.unwrap_or(Expr::Number(0.0)), form.members.len());
        Ok(if members > 1 { sum / members as f64 } else { sum })
    }

    fn probability(&mut self, score: Score) -> Expr {
        match score {
            Score::Probability(p) => p,
            Score::LogOdds(z) => {
                let z = self.bind(z);
                self.sigmoids(&z)[0].clone()
            }
        }
    }

    /// A calibration map of log-odds.
    pub(super) fn map(&mut self, map: &Map, z: Expr) -> Result<Score> {
        let z = self.bind(z);
        Ok(Score::LogOdds(match map {
            Map::Uncalibrated {} => z,
            Map::Clip { bound } => {
                let most = ((1.0 - bound) / bound).ln();
                let below = z.clone().if_at_least(-most, z.clone(), -most);
                z.if_at_least(most, most, below)
            }
            Map::Prior { posterior, log_odds } => self.posterior(posterior, &z) - *log_odds,
            Map::LinearPrior { posterior, factor } => {
                let z = self.posterior(posterior, &z);
                let z = self.bind(z);
                return Ok(Score::Probability(self.sigmoids(&z)[0].clone() * *factor));
            }
            Map::Platt { slope, intercept, on_probabilities } => {
                let score = if *on_probabilities { self.sigmoids(&z)[0].clone() } else { z };
                score * *slope + *intercept
            }
            Map::Temperature { slope, offset } => z * *slope + *offset,
            Map::Beta { a, b, c } => {
                let [ln_p, ln_q] = self.ln_sigmoids(&z);
                ln_p * *a - ln_q * *b + *c
            }
            // Null where z is.
            Map::BetaCdf { constant: Some(constant), .. } => z * 0.0 + *constant,
            Map::BetaCdf { alpha, beta, constant: None } => self.beta_cdf([*alpha, *beta], &z)?,
            Map::Quadratic { centre, scale, powers: [a, b, c], range, slopes } => {
                let below = z.clone().if_at_least(range.0, z.clone(), range.0);
                let inside = self.bind(z.clone().if_at_least(range.1, range.1, below));
                let t = self.bind((inside.clone() - *centre) / *scale);
                let beyond = z.clone() - inside;
                let tangent =
                    z.if_at_least(range.1, beyond.clone() * slopes[1], beyond * slopes[0]);
                t.clone() * (t * *a + *b) + *c + tangent
            }
            Map::Spline { knots, cubics, length, intercept } => {
                let place = self.count(&z, knots, false);
                let origin = knots.first().into_iter().chain(knots).copied();
                let origin = self.coefficient(&place, origin);
                let t = self.bind((z - origin) / *length);
                let mut power =
                    |power: usize| self.coefficient(&place, cubics.iter().map(|c| c[power]));
                let [c0, c1, c2, c3] = [power(0), power(1), power(2), power(3)];
                t.clone() * (t.clone() * (t * c3 + c2) + c1) + c0 + *intercept
            }
            Map::Isotonic { logits, probabilities, in_probability } => {
                return Ok(Score::Probability(self.isotonic(
                    &logits.0,
                    probabilities,
                    *in_probability,
                    &z,
                )));
            }
            Map::Histogram { edges, values } => {
                let place = self.count(&z, &edges.0, false);
                return Ok(Score::Probability(self.pick(&place, values.iter().copied())));
            }
            Map::VennAbers { p0, p1 } => {
                let mut level = |(edges, values): &Levels, strictly| {
                    let place = self.count(&z, &edges.0, strictly);
                    self.pick(&place, values.iter().copied())
                };
                let (p0, p1) = (level(p0, false), level(p1, true));
                return Ok(Score::Probability(p1.clone() / (Expr::from(1.0) - p0 + p1)));
            }
            Map::Chain { first, second } => {
                let first = self.map(&first.map, z)?;
                let z = self.log_odds(first);
                return self.map(&second.map, z);
            }
        }))
    }

    /// Between corners the line through them, in the logit or in the probability; beyond them it is level.
    fn isotonic(&mut self, x: &[f64], y: &[f64], in_probability: bool, z: &Expr) -> Expr {
        let level = |value: f64| [value, 0.0, 0.0, 1.0, 1.0];
        // Where each piece begins; then its value there, the rise over it, and where the rise begins and how long it is.
        let (mut edges, mut pieces) = (Vec::new(), vec![level(y[0])]);
        for (x, y) in x.windows(2).zip(y.windows(2)) {
            let rise = y[1] - y[0];
            // Near 1 the differences are those of 1 − p.
            let side = if x[0] > 0.0 { -1.0 } else { 1.0 };
            let scale = |x: f64| if in_probability { side * sigmoid(side * x) } else { x };
            let (start, end) = (scale(x[0]), scale(x[1]));
            edges.push(x[0]);
            if start == f64::NEG_INFINITY {
                // A certain score is at the corner, and any other behind it.
                pieces.push(level(y[0]));
                edges.push(-CERTAIN / 2.0);
            }
            pieces.push(match (start.is_finite(), end.is_finite()) {
                (true, true) if start < end => [y[0], rise, start, end - start, side],
                (true, false) => level(y[0]),
                (false, true) => level(y[1]),
                _ => level(y[0] + 0.5 * rise),
            });
        }
        edges.extend(x.last());
        pieces.extend(y.last().map(|&y| level(y)));
        let place = self.count(z, &edges, false);
        let [value, rise, start, length, side] =
            [0, 1, 2, 3, 4].map(|k| self.coefficient(&place, pieces.iter().map(|piece| piece[k])));
        let at = if in_probability {
            let [p, q] = self.sigmoids(z);
            side.if_at_least(0.0, p, q.negative())
        } else {
            z.clone()
        };
        value + rise * ((at - start) / length)
    }

    /// From log-odds z and the variance of z that its estimation causes, the log-odds of π + (½ − π) π (1 − π) v.
    pub(super) fn averaged(&mut self, z: &Expr, variance: Expr) -> Expr {
        let [p, q] = self.sigmoids(z);
        let c = self.bind((Expr::from(0.5) - p.clone()) * variance);
        let (up, down) = (self.ln_1p(c.clone() * q), self.ln_1p(c * p.negative()));
        self.bind(z.clone() + (up - down))
    }

    /// The log-odds of `I_p(α, β)` by its continued fraction. Above about the mean it is 1 − `I_{1−p}(β, α)`.
    fn beta_cdf(&mut self, [alpha, beta]: [f64; 2], z: &Expr) -> Result<Expr> {
        if alpha.max(beta) > LARGEST_PARAMETER {
            return Err(Error::Unsupported {
                stage: "the export",
                what: format!(
                    "a beta CDF with α = {alpha} and β = {beta}, which would lose digits"
                ),
                remedy: "take another calibrator, such as `BetaCalibration`",
            });
        }
        let ([p, q], [ln_p, ln_q]) = (self.sigmoids(z), self.ln_sigmoids(z));
        let lower = LnBetaReg::new(alpha, beta);
        let (limit, below) = (lower.limit(), [(lower, p, &ln_p, &ln_q)]);
        let above = [(LnBetaReg::new(beta, alpha), q, &ln_q, &ln_p)];
        let [below, above] = [below, above].map(|[(tail, x, ln_x, ln_rest)]| {
            let [a, b] = tail.parameters();
            // Beyond the limit, where the other tail is taken, the fraction need not converge.
            let most = sigmoid(tail.limit());
            let x = self.bind(x.clone().if_at_least(most, most, x));
            let mut fraction = Expr::from(1.0);
            // In pieces, because some databases cannot read deep expressions.
            for (n, factor) in tail.factors().into_iter().rev().enumerate() {
                fraction = x.clone() / fraction * factor + 1.0;
                fraction = if n % 8 == 7 { self.bind(fraction) } else { fraction };
            }
            let ln = ln_x.clone() * a + ln_rest.clone() * b - tail.ln_size() - fraction.ln();
            let ln = self.bind(ln);
            let rest = Expr::from(1.0) - self.exp_of_minus(&ln);
            ln - self.ln(rest)
        });
        Ok(z.clone().if_at_least(limit, above.negative(), below))
    }

    /// From a logit to the log-odds that a loss means by it.
    fn posterior(&mut self, posterior: &Posterior, z: &Expr) -> Expr {
        match posterior {
            Posterior::Identity => z.clone(),
            Posterior::Shift(by) => z.clone() + *by,
            Posterior::Shifted { inner, by } => self.posterior(inner, z) + *by,
            Posterior::Smoothed { inner, epsilon } => {
                let z = self.posterior(inner, z);
                let z = self.bind(z);
                let [p, q] = self.sigmoids(&z);
                let (p, q) = (p - 0.5 * epsilon, q - 0.5 * epsilon);
                self.ln(p) - self.ln(q)
            }
            Posterior::Focal { gamma, positive, negative } => {
                let [up, down] = self.slopes([*gamma; 2], z);
                down - up - (positive / negative).ln()
            }
            Posterior::Asymmetric { gamma_positive, gamma_negative, margin } if *margin == 0.0 => {
                let [up, down] = self.slopes([*gamma_positive, *gamma_negative], z);
                down - up
            }
            Posterior::Asymmetric { gamma_positive, gamma_negative, margin } => {
                let ([p, q], [ln_p, ln_q]) = (self.sigmoids(z), self.ln_sigmoids(z));
                let (above, rest) = (self.bind(p - *margin), self.bind(q + *margin));
                let log_above = above.clone().ln();
                let log_rest = self.ln_1p(above.clone().negative());
                let log_rest = above.clone().if_at_least(0.5, rest.clone().ln(), log_rest);
                let slope =
                    Expr::from(1.0) / rest - Expr::from(*gamma_negative) / above.clone() * log_rest;
                let log_odds = log_above * *gamma_negative + slope.ln() + ln_p
                    - ln_q * *gamma_positive
                    - self.excess(*gamma_positive, z, false);
                Expr::Number(0.0).if_at_least(above, -CERTAIN, log_odds)
            }
        }
    }

    /// The logarithms of minus the gradient at a positive, and of the gradient at a negative.
    fn slopes(&mut self, [up, down]: [f64; 2], z: &Expr) -> [Expr; 2] {
        let [ln_p, ln_q] = self.ln_sigmoids(z);
        let [of_up, of_down] = [self.excess(up, z, false), self.excess(down, z, true)];
        [ln_q * (1.0 + up) + of_up, ln_p * (1.0 + down) + of_down]
    }

    /// ln(1 − γ p ln p/(1 − p)) of p = σ(z), or of σ(−z) if `mirrored`. The fraction is 1 where 1 − p is 0.
    fn excess(&mut self, gamma: f64, z: &Expr, mirrored: bool) -> Expr {
        let (mut p, mut ln_p) = (self.sigmoids(z), self.ln_sigmoids(z));
        if mirrored {
            p.reverse();
            ln_p.reverse();
        }
        let [p, q] = p;
        let fraction = q.clone().if_at_least(1e-300, ln_p[0].clone() / q, -1.0);
        let term = (p * fraction) * -gamma;
        let log = self.ln_1p(term);
        self.bind(log)
    }
}
