//! The cumulative beta distribution as a calibration map.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use ndarray::Array2;

use super::apply::to_logits;
use super::monotone_line::{ensure_finite, ensure_overlap};
use super::report::{Parameter, Solution};
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator, Scale,
    TrainingContext,
};
use crate::core::{Error, Meter, Result, Run, attempted, saved_as_part, stored};
use crate::exec::parallel;
use crate::exec::simd::{TILE, Work, vectorised};
use crate::fit::mean_and_deviation;
use crate::fit::newton::{At, Minimum, Scoring, fisher_scoring};
use crate::metrics::{ScoreGroup, score_groups};
use crate::numerics::incomplete_beta::{
    LnBetaReg, Term, WIDTH, ln_complement_and_odds, one_minus_exp,
};
use crate::numerics::sigmoid;
use crate::numerics::vector::{exp_of_negative, log_parts};

/// The beta distribution's cumulative function, q = `I_p(α, β)` of the score p = σ(z), with α, β > 0 by
/// maximum likelihood (equation 17).
///
/// With α = β = 1 it is the identity. It rises from q = 0 at p = 0 to q = 1 at p = 1; near 0 it goes like
/// p^α, near 1 as 1 − q goes like (1 − p)^β. It has no free intercept, so Σp is not Σy: the report says by
/// how much. [`BetaCalibration`](super::BetaCalibration) is as flexible and keeps the mean.
///
/// Both ln q and ln(1 − q) are computed from the logit by the continued fraction of the incomplete beta
/// function, on the side where it converges fast, in logarithms: neither a p of 10⁻⁶ nor one of 1 − 10⁻⁹
/// loses digits to a difference. The likelihood is maximised in (ln α, ln β) by Fisher scoring with
/// backtracking, corrected by the curvature that the last step showed; the derivatives are those of the
/// continued fraction itself, and standard errors are from the expected information. Rows are sorted first,
/// those of equal scores count as one, and the passes over all of them, which the report counts, start at the
/// maximum for a summary of them.
///
/// - Where the positives have no higher mean logit than the negatives (scores that rank the wrong way round, or
///   are all equal), the optimum degenerates (α, β → 0) to the constant base rate. The report has `alpha = 0`
///   and `beta = 0` as bounds then.
/// - Scores that a threshold splits into those of the negatives and, above, those of the positives are
///   refused, as the likelihood rises without end as α, β → ∞.
///
/// It learns from representative rows ([`CalibrationSet::representative`]). Logits of ±∞, p = 0 and 1, are
/// refused in learning, as no α and β change their probability, and mapped to 0 and 1 afterwards (or to the
/// constant).
///
/// Source of the continued fraction: DLMF 8.17.22.
///
/// ```
/// use imbalance::calibration::{BetaCdf, CalibrationSet, Calibrator};
///
/// // Half, a quarter and an eighth come where a quarter, 1/16 and 1/64 are promised: q = √p, I_p(½, 1).
/// let p: Vec<f64> = (0..24).map(|i| [0.25, 1.0 / 16.0, 1.0 / 64.0][i / 8]).collect();
/// let labels: Vec<bool> = (0..24).map(|i| i % 8 < [4, 2, 1][i / 8]).collect();
/// let set = CalibrationSet::from_probabilities(&p, &labels)?;
/// let map = BetaCdf.learn(&set)?;
/// assert!((map.alpha() - 0.5).abs() < 1e-8 && (map.beta() - 1.0).abs() < 1e-8);
/// assert!((map.probability_of(0.01) - 0.1).abs() < 1e-9);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BetaCdf;

const NAME: &str = "BetaCdf";

/// Beyond it one of the tails is smaller than the rounding of the other.
const MAX_RATIO: f64 = 1e12;

/// Steps in ln α and ln β.
const SCORING: Scoring = Scoring {
    // From far away the information says little about how far.
    max_step: 1.5,
    // In steep maps the fraction has thousands of terms.
    rounding: 1e-11,
};

impl Calibrator for BetaCdf {
    type Map = BetaCdfMap;

    fn needs_rows(&self) -> bool {
        true
    }

    fn needs_finite_scores(&self) -> bool {
        true
    }

    /// # Errors
    /// - As for [`CalibrationSet::representative`].
    /// - [`CertainScores`](crate::Error::CertainScores) for an infinite logit in a row with weight.
    /// - [`SeparatedScores`](crate::Error::SeparatedScores) if the likelihood has no maximum.
    /// - [`Numerical`](crate::Error::Numerical) if the scores hardly differ, by a standard deviation below 10⁻⁴, which
    ///   only α and β beyond some 10⁴ could follow; if the scores all but separate the classes, so that α and β are
    ///   beyond some 10⁶, or if scores or weights are many orders of magnitude apart, and no maximum is found, or one
    ///   with α and β more than 10¹² apart.
    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        let rows = CalibrationSet::representative(rows, NAME)?;
        ensure_finite(NAME, rows)?;
        let (map, solution) = if rises(rows) {
            ensure_overlap(NAME, rows, |z| z)?;
            ensure_spread(rows)?;
            fitted(rows)?
        } else {
            let bounds = vec!["alpha = 0".into(), "beta = 0".into()];
            let parameters = ["alpha", "beta"].map(|name| Parameter::new(name, 0.0, None)).to_vec();
            let solution = Solution { parameters, bounds, ..Solution::default() };
            let totals = rows.totals();
            (
                Form::Constant { logit: (totals.positive_weight / totals.negative_weight).ln() },
                solution,
            )
        };
        let map = BetaCdfMap(map);
        let report = CalibrationReport::of_logits(NAME, rows, solution, |z| map.logit(z))?;
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

/// Refuses scores that hardly differ: α and β grow like the inverse of their spread, and the terms of the fraction
/// with them.
fn ensure_spread(rows: &CalibrationSet<'_>) -> Result<()> {
    let [_, deviation] = mean_and_deviation(rows.sample())?;
    if deviation >= 1e-4 {
        return Ok(());
    }
    Err(Error::Numerical {
        what: "the standard deviation of the scores".into(),
        value: deviation,
        remedy: "scores that hardly differ take an α and β beyond some 10⁴ to follow: take `PlattScaling` or \
                 `BetaCalibration`",
    })
}

/// Whether the positives have the higher mean logit, which decides if any map of the family is better
/// than a constant one nearby: for small α and β it is q ≈ β/(α + β) · (1 + α (z + const.)).
fn rises(scored: &CalibrationSet<'_>) -> bool {
    if !scored.sample().at_least_distinct(2, |_| true) {
        return false;
    }
    let largest = scored.logits().iter().enumerate();
    let largest = largest
        .filter(|&(row, _)| scored.weight(row) > 0.0)
        .fold(f64::MIN_POSITIVE, |most, (_, z)| most.max(z.abs()));
    let totals = scored.totals();
    let weights = [totals.negative_weight, totals.positive_weight];
    let mut means = [0.0; 2];
    for (row, (&z, &label)) in scored.logits().iter().zip(scored.labels()).enumerate() {
        let weight = scored.weight(row);
        if weight > 0.0 {
            let class = usize::from(label);
            means[class] += weight / weights[class] * (z / largest);
        }
    }
    means[1] > means[0]
}

/// The maximum of the likelihood, which lies at finite α and β.
fn fitted(scored: &CalibrationSet<'_>) -> Result<(Form, Solution)> {
    let (ties, unit) = score_groups(scored.sample())?;
    let (run, cold, mut found) = (scored.run(), vec![0.0; 2], None);
    if let Some(few) = summary(&ties)
        && let Some(near) = attempted(maximum(&few, cold.clone(), run))?
    {
        found = attempted(maximum(&ties, near.theta, run))?;
    }
    let found = found.map_or_else(|| maximum(&ties, cold, run), Ok)?;
    let [alpha, beta] = [0, 1].map(|i| found.theta[i].exp());
    if !(MAX_RATIO.recip()..=MAX_RATIO).contains(&(alpha / beta)) {
        return Err(Error::Numerical {
            what: "the ratio of alpha and beta".into(),
            value: alpha / beta,
            remedy: "the classes' weights are too many orders of magnitude apart; take weights of a similar size",
        });
    }
    let parameter = |name: &str, i: usize, value: f64| {
        let error = value * (found.covariance[(i, i)] / unit).sqrt();
        Parameter::new(name, value, Some(error).filter(|e| e.is_finite()))
    };
    let parameters = vec![parameter("alpha", 0, alpha), parameter("beta", 1, beta)];
    let iterations = found.iterations;
    let solution = Solution { parameters, iterations, ..Solution::default() };
    Ok((Form::beta(alpha, beta), solution))
}

/// The maximum of the likelihood, as a point (ln α, ln β).
fn maximum(ties: &[ScoreGroup], start: Vec<f64>, run: &Run) -> Result<Minimum> {
    fisher_scoring(SCORING, start, |theta| objective(ties, theta, run))
}

/// A few rows that stand for many: the mean score of each class in each of many narrow bins, by scores in
/// order. Where the classes overlap the bins are finest, so that they overlap in the summary too.
fn summary(ties: &[ScoreGroup]) -> Option<Vec<ScoreGroup>> {
    if ties.len() < 8 * BINS {
        return None;
    }
    let first = ties.iter().position(|tie| tie.positive > 0.0)?;
    let last = ties.iter().rposition(|tie| tie.negative > 0.0)?;
    let (below, rest) = ties.split_at(first);
    let (overlap, above) = rest.split_at((last + 1).checked_sub(first)?);
    let bins = |part: &[ScoreGroup]| -> Vec<ScoreGroup> {
        part.chunks(part.len().div_ceil(BINS).max(1)).flat_map(means).collect()
    };
    Some([below, overlap, above].into_iter().flat_map(bins).collect())
}

/// Most bins below, within and above the overlap of the classes.
const BINS: usize = 1024;

/// The mean score of the negatives of a bin and that of the positives, in order.
fn means(bin: &[ScoreGroup]) -> impl Iterator<Item = ScoreGroup> + use<> {
    let mean = |positive: bool| {
        let of = |tie: &ScoreGroup| if positive { tie.positive } else { tie.negative };
        let weight: f64 = bin.iter().map(of).sum();
        let score = bin.iter().map(|tie| of(tie) / weight * tie.score).sum();
        let [positive, negative] = if positive { [weight, 0.0] } else { [0.0, weight] };
        ScoreGroup { score, rows: bin.len(), positive, negative }
    };
    let mut means = [mean(false), mean(true)];
    if means[0].score > means[1].score {
        means.swap(0, 1);
    }
    means.into_iter().filter(|mean| mean.weight() > 0.0)
}

/// The negative log-likelihood at (ln α, ln β), with the expected information as curvature.
fn objective(ties: &[ScoreGroup], theta: &[f64], run: &Run) -> Result<At> {
    let meter = Meter::new(run, "calibration", "scores", ties.len());
    let [alpha, beta] = [theta[0].exp(), theta[1].exp()];
    let (lower, upper) = (LnBetaReg::new(alpha, beta), LnBetaReg::new(beta, alpha));
    let (below, above) = ties.split_at(ties.partition_point(|tie| lower.contains(tie.score)));
    let mut blocks = losses(&lower, below, false, &meter);
    blocks.extend(losses(&upper, above, true, &meter));
    meter.finish().map(|()| At::sum(2, blocks))
}

/// The negative log-likelihood of the rows on one side of the mean, block by block. Above it they are
/// `mirrored`: 1 − `I_p(α, β)` of p is `I_{1−p}(β, α)`.
fn losses(tail: &LnBetaReg, ties: &[ScoreGroup], mirrored: bool, meter: &Meter<'_>) -> Vec<At> {
    let n = ties.len();
    parallel::map(n, parallel::sum_block(n, 1), |_, rows| {
        let mut sums = Sums::default();
        for ties in ties[rows].chunks(TILE).take_while(|ties| meter.goes_on(ties.len())) {
            let innermost = if mirrored { -ties[0].score } else { ties[ties.len() - 1].score };
            let terms = &tail.terms(innermost);
            vectorised(Piece { tail, ties, mirrored, terms, sums: &mut sums });
        }
        sums.at(mirrored)
    })
}

/// Neighbouring rows on one side of the mean.
struct Piece<'a> {
    tail: &'a LnBetaReg,
    ties: &'a [ScoreGroup],
    mirrored: bool,
    terms: &'a [Term],
    sums: &'a mut Sums,
}

impl Work for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ties in self.ties.chunks(WIDTH) {
            // Lanes without a row repeat one, without weight.
            let mut z = [ties[0].score; WIDTH];
            let (mut within, mut outside) = ([0.0; WIDTH], [0.0; WIDTH]);
            for (lane, tie) in ties.iter().enumerate() {
                z[lane] = tie.score;
                (within[lane], outside[lane]) = (tie.positive, tie.negative);
            }
            if self.mirrored {
                z = z.map(|z| -z);
                (within, outside) = (outside, within);
            }
            let (ln_tail, slopes) = self.tail.ln_and_slopes(&z, self.terms);
            self.sums.add(&ln_tail, &slopes, &within, &outside);
        }
    }
}

/// The negative log-likelihood with its derivatives, lane by lane.
#[derive(Default)]
struct Sums {
    value: [f64; WIDTH],
    gradient: [[f64; WIDTH]; 2],
    information: [[f64; WIDTH]; 3],
}

impl Sums {
    /// Adds rows of which the weights `within` come as the tail's probability promises, and those `outside`
    /// against it.
    #[inline(always)]
    fn add(
        &mut self,
        ln_tail: &[f64; WIDTH],
        [u, v]: &[[f64; WIDTH]; 2],
        within: &[f64; WIDTH],
        outside: &[f64; WIDTH],
    ) {
        for lane in 0..WIDTH {
            let (within, outside, u, v) = (within[lane], outside[lane], u[lane], v[lane]);
            let (ln_rest, odds) = ln_complement_and_odds(ln_tail[lane]);
            self.value[lane] -= within * ln_tail[lane] + outside * ln_rest;
            let pull = outside * odds - within;
            self.gradient[0][lane] += pull * u;
            self.gradient[1][lane] += pull * v;
            let curve = (within + outside) * odds;
            self.information[0][lane] += curve * u * u;
            self.information[1][lane] += curve * u * v;
            self.information[2][lane] += curve * v * v;
        }
    }

    /// By ln α and ln β, which are exchanged above the mean.
    fn at(&self, mirrored: bool) -> At {
        let total = |lanes: &[f64; WIDTH]| lanes.iter().sum::<f64>();
        let of = |i: usize| if mirrored { 1 - i } else { i };
        At {
            value: total(&self.value),
            gradient: vec![total(&self.gradient[of(0)]), total(&self.gradient[of(1)])],
            hessian: Array2::from_shape_fn((2, 2), |(i, j)| {
                total(&self.information[of(i) + of(j)])
            }),
        }
    }
}

/// The map of [`BetaCdf`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaCdfMap(Form);

impl BetaCdfMap {
    /// The map `I_p(α, β)` of the probability p.
    ///
    /// ```
    /// use imbalance::calibration::{BetaCdfMap, Calibration};
    ///
    /// let calibration = Calibration::new(BetaCdfMap::new(2.0, 1.0)?);
    /// assert!((calibration.probability_of(0.5) - 0.25).abs() < 1e-14);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless both are from 10⁻¹⁰⁰ to 10⁹, above which the fraction has too many terms, and
    /// their ratio is from 10⁻¹² to 10¹².
    pub fn new(alpha: f64, beta: f64) -> Result<Self> {
        for (argument, value) in [("alpha", alpha), ("beta", beta)] {
            if !(1e-100..=1e9).contains(&value) {
                return Err(Error::invalid(argument, value, "from 1e-100 to 1e9"));
            }
        }
        if !(1.0 / MAX_RATIO..=MAX_RATIO).contains(&(alpha / beta)) {
            let expected = format!("at most {MAX_RATIO:e} times beta, and at least its inverse");
            return Err(Error::invalid("alpha", alpha, expected));
        }
        Ok(Self(Form::beta(alpha, beta)))
    }

    /// The log-odds of the limit that is constant.
    #[cfg(feature = "serde")]
    fn constant(&self) -> Option<f64> {
        match self.0 {
            Form::Constant { logit } => Some(logit),
            Form::Beta { .. } => None,
        }
    }

    /// α; 0 in the limit that is constant.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.0.parameters()[0]
    }

    /// β; 0 in the limit that is constant.
    #[must_use]
    pub fn beta(&self) -> f64 {
        self.0.parameters()[1]
    }
}

impl CalibrationMap for BetaCdfMap {
    fn logit(&self, z: f64) -> f64 {
        if z.is_nan() {
            return z;
        }
        let (ln_q, ln_rest) = self.0.logs(z);
        ln_q - ln_rest
    }

    fn probability(&self, z: f64) -> f64 {
        let mut score = [z];
        self.apply(Scale::Logit, &mut score);
        score[0]
    }

    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        if scale == Scale::Probability {
            to_logits(scores);
        }
        vectorised(Probabilities { form: &self.0, scores });
    }

    fn describe(&self) -> String {
        match self.0 {
            Form::Constant { logit } => format!("beta CDF: constant {:.6}", sigmoid(logit)),
            Form::Beta { .. } => format!("beta CDF: I_p({:.4}, {:.4})", self.alpha(), self.beta()),
        }
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some((*self).into())
    }

    saved_as_part!();
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Constant { logit: f64 },
    Beta { lower: LnBetaReg, upper: LnBetaReg },
}

impl Form {
    fn beta(alpha: f64, beta: f64) -> Self {
        Self::Beta { lower: LnBetaReg::new(alpha, beta), upper: LnBetaReg::new(beta, alpha) }
    }

    fn parameters(&self) -> [f64; 2] {
        match self {
            Self::Constant { .. } => [0.0; 2],
            Self::Beta { lower, .. } => lower.parameters(),
        }
    }

    /// ln q and ln(1 − q).
    fn logs(&self, z: f64) -> (f64, f64) {
        match self {
            Self::Constant { logit } => {
                let (ln_p, minus_ln_q) = log_parts(*logit);
                (ln_p, -minus_ln_q)
            }
            Self::Beta { lower, .. } if lower.contains(z) => {
                let [ln_tail] = lower.ln(&[z]);
                (ln_tail, ln_complement(ln_tail))
            }
            Self::Beta { upper, .. } => {
                let [ln_tail] = upper.ln(&[-z]);
                (ln_complement(ln_tail), ln_tail)
            }
        }
    }
}

/// Replaces logits by their probabilities.
struct Probabilities<'a> {
    form: &'a Form,
    scores: &'a mut [f64],
}

impl Work for Probabilities<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut logits = [0.0; TILE];
        for out in self.scores.chunks_mut(TILE) {
            let logits = &mut logits[..out.len()];
            logits.copy_from_slice(out);
            match self.form {
                Form::Constant { logit } => out.fill(sigmoid(*logit)),
                Form::Beta { lower, upper } => {
                    write([lower, upper], false, logits, out);
                    write([lower, upper], true, logits, out);
                }
            }
            for (z, out) in logits.iter().zip(out) {
                *out = if z.is_nan() { *z } else { *out };
            }
        }
    }
}

/// Writes the probabilities of those logits of a piece that are below the mean or, `mirrored`, above it.
#[inline(always)]
fn write([lower, upper]: [&LnBetaReg; 2], mirrored: bool, logits: &[f64], out: &mut [f64]) {
    let mut places = [0; TILE];
    let mut count = 0;
    for (place, &z) in logits.iter().enumerate() {
        places[count] = place;
        count += usize::from(lower.contains(z) != mirrored);
    }
    for places in places[..count].chunks(WIDTH) {
        // Lanes without a row repeat one.
        let mut z = [logits[places[0]]; WIDTH];
        places.iter().zip(&mut z).for_each(|(&place, z)| *z = logits[place]);
        let p = if mirrored {
            upper.ln(&z.map(|z| -z)).map(one_minus_exp)
        } else {
            lower.ln(&z).map(exp_of_negative)
        };
        places.iter().zip(p).for_each(|(&place, p)| out[place] = p);
    }
}

/// ln(1 − eˣ) for x ≤ 0, without a difference of near numbers.
fn ln_complement(x: f64) -> f64 {
    if x < -std::f64::consts::LN_2 { (-x.exp()).ln_1p() } else { (-x.exp_m1()).ln() }
}

stored!(BetaCdf as "beta_cdf_calibration", |_| {} => Ok(Self));

stored!(BetaCdfMap as "beta_cdf", |map| {
    alpha: f64 = map.alpha(),
    beta: f64 = map.beta(),
    constant: Option<f64> = map.constant(),
} => match constant {
    Some(logit) if alpha == 0.0 && beta == 0.0 => {
        super::apply::finite("constant", logit).map(|logit| Self(Form::Constant { logit }))
    }
    _ => Self::new(alpha, beta),
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::fit::Sample;

    #[test]
    fn both_tails_agree_with_mpmath() {
        let fixture = include_str!("../../tests/fixtures/calibration.json");
        let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
        for case in fixture["cdf_tails"].as_array().unwrap() {
            let case: Vec<f64> =
                case.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let [alpha, beta, z, lower, upper] = case[..] else { panic!("{case:?}") };
            let is_lower = LnBetaReg::new(alpha, beta).contains(z);
            let (found_lower, found_upper) = Form::beta(alpha, beta).logs(z);
            // The fraction's tail is a sum of logarithms: of the powers, of Γ, and of the fraction. An absolute error in
            // its logarithm is a relative one in the tail, and the other tail has it times the odds.
            let (ln_p, minus_ln_q) = log_parts(z);
            let size =
                1.0 + (alpha * ln_p).abs() + (beta * minus_ln_q).abs() + 5.0 * (alpha + beta);
            let rounding = 4.0 * f64::EPSILON * size;
            let odds = if is_lower { lower - upper } else { upper - lower }.exp();
            let allowed = if is_lower { [1.0, odds] } else { [odds, 1.0] };
            for (found, expected, times) in
                [(found_lower, lower, allowed[0]), (found_upper, upper, allowed[1])]
            {
                let error = (found - expected).abs();
                assert!(
                    error <= times * rounding + f64::EPSILON * expected.abs(),
                    "{alpha} {beta} {z}: {found} for {expected}, {error:e}"
                );
            }
        }
    }

    /// Also those of a file that was changed.
    #[test]
    fn all_parameters_that_are_accepted_give_probabilities() {
        for alpha in [1e-100, 1e-12, 0.3, 5.0, 1e3, 1e9] {
            for beta in [1e-100, 1e-12, 0.3, 5.0, 1e3, 1e9] {
                let Ok(map) = BetaCdfMap::new(alpha, beta) else { continue };
                for z in [f64::NEG_INFINITY, -1e300, -40.0, -0.1, 0.0, 2.0, 1e300, f64::INFINITY] {
                    let p = map.probability(z);
                    assert!((0.0..=1.0).contains(&p), "{alpha} {beta} {z}: {p}");
                }
            }
        }
        for wrong in [[0.0, 1.0], [1.0, f64::NAN], [1.0, 1e10], [1e-13, 1.0], [1e9, 1e-4]] {
            assert!(BetaCdfMap::new(wrong[0], wrong[1]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_likelihood() {
        for (alpha, beta) in [(0.3_f64, 2.0_f64), (1.0, 1.0), (5.0, 0.05), (40.0, 70.0)] {
            for z in [-13.0, -2.0, -0.5, 0.1, 4.0] {
                let ties = [ScoreGroup { score: z, rows: 3, positive: 1.0, negative: 2.0 }];
                let loss = |u: f64, v: f64| {
                    let (ln_q, ln_rest) = Form::beta(alpha * u.exp(), beta * v.exp()).logs(z);
                    -ln_q - 2.0 * ln_rest
                };
                let found = objective(&ties, &[alpha.ln(), beta.ln()], &Run::default()).unwrap();
                assert!((found.value - loss(0.0, 0.0)).abs() < 1e-13 * (1.0 + found.value));
                // Central differences of fourth order: h⁴ and rounding over h, both of the size of the terms.
                let h = 1e-3;
                let slope = |f: &dyn Fn(f64) -> f64| {
                    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
                };
                let expected = [slope(&|u| loss(u, 0.0)), slope(&|v| loss(0.0, v))];
                for (found, expected) in found.gradient.into_iter().zip(expected) {
                    let size = 1.0 + (alpha + beta) * z.abs();
                    assert!((found - expected).abs() < 1e-9 * size, "{found} {expected}");
                }
            }
        }
    }

    /// From the integral of the density in mpmath, in 40 digits.
    #[test]
    fn steep_maps_keep_their_digits() {
        for (alpha, beta, z, lower, upper) in [
            (2e6, 3e6, -0.4055, -0.724_061_008_902_822_9, -0.663_160_429_117_498_7),
            (2e6, 3e6, -0.4, -1.063_009_874_251_152e-9, -20.662_161_449_119_71),
            (2e6, 3e6, -0.42, -130.323_130_187_018_75, 0.0),
            (1e4, 2e5, -3.0, -1.079_526_036_202_396_1, -0.415_146_602_567_175_97),
            (1e4, 2e5, -2.99, -0.337_884_863_340_828_84, -1.249_240_107_483_057_2),
        ] {
            let (found_lower, found_upper) = Form::beta(alpha, beta).logs(z);
            for (found, expected) in [(found_lower, lower), (found_upper, upper)] {
                // z itself is known to 2⁻⁵³ of it, which moves the tails by √α times as much.
                let error: f64 = found - expected;
                assert!(
                    error.abs() <= 1e-12 * (1.0 + f64::abs(expected)),
                    "{found} for {expected}"
                );
            }
        }
    }

    /// Positives of next to no weight take a β next to 0, whose digits must not be lost beside 1. The tail is from
    /// mpmath, in 40 digits.
    #[test]
    fn a_parameter_next_to_0_keeps_its_digits() {
        let map = BetaCdfMap(Form::beta(8.409502768354704e-1, 3.182521537473515e-10));
        for (z, expected) in [
            (1.0, 4.97687498e-10),
            (2.0, 7.65221177e-10),
            (3.0, 1.062361935e-9),
            (5.0, 1.687635311e-9),
            (10.0, 3.277110493e-9),
        ] {
            let found = map.probability(z);
            // The logarithm of the other tail is a sum of terms of this size, as in the test of both tails.
            let rounding = 4.0 * f64::EPSILON * (1.0 + 5.0 * map.alpha());
            assert!((found - expected).abs() <= rounding, "{found:e} for {expected:e}");
        }
        let set =
            CalibrationSet::from_logits(&[0.0625, 4.625, 0.0], &[true, false, false]).unwrap();
        for light in [5e-324, 1e-300, 1e-12, 1e-9, 1e-6] {
            let weights = [light, 0.0625, 7.125];
            let weighted = set.clone().with_weights(&weights).unwrap();
            let Ok(map) = BetaCdf.learn(&weighted) else { continue };
            let z: Vec<f64> = (-400..=400).map(|i| f64::from(i) / 16.0).collect();
            let p = map.probabilities(&z).unwrap();
            assert!(p.windows(2).all(|pair| pair[1] >= pair[0] - 1e-15), "{light:e}");
            assert!(p.iter().all(|p| p.is_sign_positive()), "{light:e}");
        }
    }

    /// Five rows of which the labels nearly contradict the scores: the curvature is 1.9 times the expected one, and
    /// steps by that alone would go to and fro. The maximum is from Newton's method in mpmath, in 40 digits.
    #[test]
    fn few_rows_are_fitted_by_the_curvature_they_show() {
        let set = CalibrationSet::from_logits(
            &[-7.75, -7.22, -8.31, -7.10, -7.16],
            &[false, true, false, false, true],
        );
        let set = set.unwrap().with_weights(&[0.28, 2.5, 0.05, 2.3, 9.9]).unwrap();
        let map = BetaCdf.learn(&set).unwrap();
        for (found, expected) in
            [(map.alpha(), 0.104_135_009_017_679_97), (map.beta(), 138.150_367_990_233_9)]
        {
            assert!((found / expected - 1.0).abs() < 1e-8, "{found} for {expected}");
        }
        assert!(map.report().unwrap().iterations < 40);
    }

    fn uniform(i: usize) -> f64 {
        Seed::new(i as u64).child("uniform").value() as f64 / 2_f64.powi(64)
    }

    /// Also where few rows keep the classes from being separated.
    #[test]
    fn a_summary_leads_to_the_maximum_of_all_rows() {
        let n = 20_000;
        let z: Vec<f64> = (0..n).map(|i| 8.0 * uniform(2 * i) - 4.0).collect();
        let bent = |i: usize| uniform(2 * i + 1) < sigmoid(0.7 * z[i] - 0.5);
        let exchanged = |i: usize| (z[i] > 0.0) != (z[i].abs() < 5e-3);
        for labels in [(0..n).map(bent).collect(), (0..n).map(exchanged).collect::<Vec<bool>>()] {
            let run = &Run::default();
            let sample = Sample { scores: &z, labels: &labels, weights: None, run };
            let (ties, _) = score_groups(sample).unwrap();
            let maximum = |ties: &[ScoreGroup], start| maximum(ties, start, run).unwrap();
            let few = summary(&ties).unwrap();
            assert!(few.is_sorted_by_key(|tie| tie.score) && few.len() <= 6 * BINS);
            let cold = maximum(&ties, vec![0.0; 2]);
            let near = maximum(&ties, maximum(&few, vec![0.0; 2]).theta);
            for (near, cold) in near.theta.iter().zip(&cold.theta) {
                assert!((near - cold).abs() <= 1e-8, "{near} {cold}");
            }
            assert!(near.iterations < cold.iterations && cold.iterations < 60);
        }
    }
}
