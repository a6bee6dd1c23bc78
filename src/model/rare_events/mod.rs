//! Logistic regression for rare events.

mod firth;

use std::fmt;

use faer::Mat;
use ndarray::Array2;

use super::logistic::inference::{
    Profile, Weighting, chi_squared_tail, effective_rows, log_likelihood_loss, names,
    normal_quantile, to_array,
};
use super::logistic::{
    Collinearity, Covariance, Diagnostics, FittedLogisticRegression, Inference, LogisticRegression,
    Objective, quadratic_forms,
};
use super::{Model, Predict};
use crate::core::{Dataset, Distortion, Error, FeaturesView, Result, Run};
use crate::loss::{LogLoss, Loss, WeightedLogLoss};
use crate::numerics::{logit, sigmoid};
use firth::Firth;

/// Unpenalised logistic regression with the corrections of King & Zeng 2001 for rare events, or with
/// Firth's penalised likelihood; always with an intercept.
///
/// | method | what it corrects | setting |
/// |---|---|---|
/// | prior correction | the intercept, after events were over-sampled: β₀ ← β̂₀ − ln\[((1 − τ)/τ)(ȳ/(1 − ȳ))\] (LR 3) | [`prior_correction`](Self::prior_correction) |
/// | weighting | the same, also where the model is wrong: w₁ = τ/ȳ on events, w₀ = (1 − τ)/(1 − ȳ) on others, robust standard errors | [`weighting`](Self::weighting) |
/// | finite-sample correction | the bias of the coefficients, of the order of 1/events: β̃ = β̂ − (XᵀWX)⁻¹XᵀWξ | default |
/// | Firth's likelihood | the same; finite under separation too; profile-likelihood intervals | [`firth`](Self::firth) |
/// | corrected probabilities | what the uncertainty of β̃ does to them: Pr(y = 1) ≈ π̃ + C | [`corrected_probabilities`](Self::corrected_probabilities) |
///
/// In the finite-sample correction ξᵢ = ½ Qᵢᵢ\[(1 + w₁)πᵢ − w₁\], Q = X(XᵀWX)⁻¹Xᵀ and
/// W = diag{πᵢ(1 − πᵢ)wᵢ}. After an unweighted fit w₁ = 1 and all wᵢ = 1, also when prior correction
/// follows; only [`weighting`](Self::weighting) brings its weights in. The covariance becomes
/// V(β̃) = (n/(n + k))²V(β̂), with k counting the intercept. And
/// C = (½ − π̃)π̃(1 − π̃) x₀V(β̃)x₀ᵀ.
///
/// **The corrected intercept's uncertainty.** The inverse information counts how the numbers of events
/// and others might have come out, n₁ and n₀. Prior correction takes ln(n₁/n₀) out of the intercept
/// again, and with it that part of the variance, 1/n₁ + 1/n₀, no matter whether the numbers were
/// fixed by design or came by chance (Prentice & Pyke 1979; Scott & Wild 1986). So
/// V(β̂) is the inverse information with 1/n₁ + 1/n₀ less for the intercept. King & Zeng leave it in;
/// [`covariance`](Self::covariance) with [`Covariance::Fisher`] does as well. Likewise the sandwich of
/// [`weighting`](Self::weighting) is [`Covariance::WithinClasses`], and theirs is [`Covariance::Hc0`].
/// Both of theirs make intervals of 95 % that hold the true intercept in 98 to 99 samples of 100
/// (`docs/evidence/rare_events.md`). All take τ for exact. If it is the rate of N₁ among N₁ + N₀
/// rows, the variance of the intercept is larger by 1/N₁ + 1/N₀.
///
/// **Weights** of the data set are frequencies here: a weight of 3 is three observations, as the theory
/// of finite samples counts observations. Other weights are refused; for sampling weights there is
/// [`weighting`](Self::weighting), or [`LogisticRegression`] with [`Covariance::Hc0`].
///
/// **In a pipeline** the logits of [`prior_correction`](Self::prior_correction) and
/// [`weighting`](Self::weighting) are the population's already, and the fitted model says so
/// ([`Predict::is_prior_corrected`]): [`PriorCorrection`](crate::calibration::PriorCorrection) then does not
/// undo the sampling a second time. Rows chosen by their features are refused, for no rate makes up for
/// that.
///
/// ```
/// use imbalance::model::RareEvents;
/// use imbalance::prelude::*;
///
/// let log = SyntheticClicks::new(4000, 0.01)?.numeric(2).categorical(&[]).generate(7)?;
/// let fitted = RareEvents::new().fit(&log.dataset, &LogLoss, &Run::default())?;
/// println!("{}", fitted.inference());
///
/// // The intercept of a case-control sample, taken back to a population with 0.2 % events.
/// let model = RareEvents::new().firth().prior_correction(0.002)?;
/// let fitted = Pipeline::new(model).fit(&log.dataset)?;
/// assert!(fitted.report().model.contains("prior correction"));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RareEvents {
    estimator: Estimator,
    population: Option<Population>,
    /// In place of the one that suits what is done.
    covariance: Option<Covariance>,
    corrected_probabilities: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Estimator {
    MaximumLikelihood,
    BiasCorrected,
    Firth { profile: Option<f64> },
}

/// How the sample is taken back to a population of the rate τ.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Population {
    PriorCorrection(f64),
    Weighting(f64),
}

impl RareEvents {
    /// Maximum likelihood with the finite-sample correction; the sample is the population's.
    #[must_use]
    pub fn new() -> Self {
        Self {
            estimator: Estimator::BiasCorrected,
            population: None,
            covariance: None,
            corrected_probabilities: false,
        }
    }

    /// Plain maximum likelihood, without the finite-sample correction.
    #[must_use]
    pub fn maximum_likelihood(mut self) -> Self {
        self.estimator = Estimator::MaximumLikelihood;
        self
    }

    /// Maximum likelihood with the finite-sample correction: the default.
    #[must_use]
    pub fn bias_correction(mut self) -> Self {
        self.estimator = Estimator::BiasCorrected;
        self
    }

    /// Firth's penalised likelihood l(β) + ½ ln det I(β), with 95 % profile-likelihood intervals and
    /// p-values of its likelihood ratio. Cannot be combined with [`weighting`](Self::weighting).
    #[must_use]
    pub fn firth(mut self) -> Self {
        self.estimator = Estimator::Firth { profile: Some(0.95) };
        self
    }

    /// [`firth`](Self::firth) with profile-likelihood intervals at this level, or with none: each
    /// coefficient's take some thirty fits' time.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `level` < 1.
    pub fn firth_with_intervals(mut self, level: Option<f64>) -> Result<Self> {
        level.map(normal_quantile).transpose()?;
        self.estimator = Estimator::Firth { profile: level };
        Ok(self)
    }

    /// Takes the intercept to a population with the rate τ; instead of [`weighting`](Self::weighting).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < τ < 1.
    pub fn prior_correction(mut self, population_rate: f64) -> Result<Self> {
        self.population = Some(Population::PriorCorrection(check_rate(population_rate)?));
        Ok(self)
    }

    /// Weights the classes to a population with the rate τ, with robust standard errors
    /// ([`Covariance::WithinClasses`]); instead of [`prior_correction`](Self::prior_correction).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < τ < 1.
    pub fn weighting(mut self, population_rate: f64) -> Result<Self> {
        self.population = Some(Population::Weighting(check_rate(population_rate)?));
        Ok(self)
    }

    /// The estimate V(β̂) of the covariance, in place of the one that suits what is done:
    /// [`Covariance::WithinClasses`] for [`weighting`](Self::weighting), otherwise
    /// [`Covariance::Fisher`], without the variance of the counts after
    /// [`prior_correction`](Self::prior_correction). King & Zeng's own are [`Covariance::Hc0`] for
    /// weighting and the whole of [`Covariance::Fisher`] for prior correction. The finite-sample
    /// correction's factor (n/(n + k))² comes on top.
    ///
    /// Weights count as that many rows here too. [`fit`](Model::fit) refuses
    /// [`Covariance::Fisher`] with weighting, which leaves no likelihood, and everything else with
    /// Firth's likelihood.
    #[must_use]
    pub fn covariance(mut self, covariance: Covariance) -> Self {
        self.covariance = Some(covariance);
        self
    }

    /// Whether predictions are π̃ + C, averaged over the uncertainty of the coefficients, rather than
    /// π̃. The mean then no longer equals the rate exactly. Default no.
    #[must_use]
    pub fn corrected_probabilities(mut self, corrected: bool) -> Self {
        self.corrected_probabilities = corrected;
        self
    }
}

impl Default for RareEvents {
    fn default() -> Self {
        Self::new()
    }
}

fn check_rate(rate: f64) -> Result<f64> {
    if rate > 0.0 && rate < 1.0 {
        Ok(rate)
    } else {
        Err(Error::invalid("population_rate", rate, "between 0 and 1, both excluded"))
    }
}

fn check_frequencies(data: &Dataset<'_>) -> Result<()> {
    let fraction =
        data.weights().and_then(|w| w.iter().enumerate().find(|(_, w)| w.fract() != 0.0));
    match fraction {
        None => Ok(()),
        Some((row, weight)) => Err(Error::invalid(
            "weights",
            format!("{weight} at row {row}"),
            "whole numbers: RareEvents counts a weight as that many observations. For sampling weights \
             use `RareEvents::weighting`, or LogisticRegression with Covariance::Hc0",
        )),
    }
}

/// A population's rate makes up for sampling by class alone.
fn check_sample(distortion: &Distortion) -> Result<()> {
    match distortion {
        Distortion::FeatureDependent { sampler, .. } => Err(Error::NoClosedForm {
            calibrator: "RareEvents with a population's rate",
            sampler: sampler.to_string(),
        }),
        Distortion::Offset { sampler, .. } => Err(Error::Unsupported {
            stage: "RareEvents with a population's rate",
            what: format!("rows whose offsets undo the sampling ({sampler})"),
            remedy: "it would be undone twice; leave the rate out",
        }),
        _ => Ok(()),
    }
}

impl Model for RareEvents {
    type Fitted = FittedRareEvents;

    /// # Errors
    /// [`Error::OneClass`]; [`Error::InvalidArgument`] for another loss than log loss, weights that are
    /// no whole numbers, Firth's likelihood with weighting, or a [`covariance`](Self::covariance) that
    /// does not exist; for a population's rate [`Error::NoClosedForm`] on rows that a sampler chose by
    /// their features and [`Error::Unsupported`] where its offsets say how; [`Error::Separation`], which
    /// Firth's likelihood does not know; [`Error::RankDeficient`]; [`Error::Unsupported`] above 4096 coefficients; [`Error::Numerical`] if
    /// the iterations of Firth's likelihood do not converge.
    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<FittedRareEvents> {
        let totals = train.totals();
        totals.need_both("logistic regression for rare events")?;
        let loss = loss.resolve(&totals)?;
        if !log_likelihood_loss(&*loss) {
            let expected = "log loss: the corrections are those of a likelihood";
            return Err(Error::invalid("loss", format!("{loss:?}"), expected));
        }
        check_frequencies(train)?;
        // Before a fit that would be for nothing.
        Objective::new(train, &LogLoss, 0.0, true)?.check_products("RareEvents")?;
        if self.population.is_some() {
            check_sample(train.distortion())?;
        }
        let shift = match self.population {
            Some(Population::PriorCorrection(tau)) => totals.log_odds() - logit(tau),
            _ => 0.0,
        };
        let (mut line, mut inference, bias) = match (self.estimator, self.population) {
            (Estimator::Firth { .. }, Some(Population::Weighting(_))) => {
                let expected = "`prior_correction` with Firth's likelihood: weights that are no \
                                frequencies have no penalised likelihood";
                return Err(Error::invalid("population", "weighting", expected));
            }
            (Estimator::Firth { profile }, population) => {
                if let Some(kind) = self.covariance.filter(|kind| *kind != Covariance::Fisher) {
                    let expected =
                        "Fisher with Firth's likelihood: its tests and intervals are its own";
                    return Err(Error::invalid("covariance", format!("{kind:?}"), expected));
                }
                let counted = population.is_none() || self.covariance.is_some();
                let (line, inference) = fit_firth(train, profile, shift, counted, run)?;
                (line, inference, None)
            }
            (estimator, population) => {
                let corrected = estimator == Estimator::BiasCorrected;
                fit_likelihood(train, corrected, population, self.covariance, run)?
            }
        };
        let intercept = inference.estimates.len() - 1;
        if let Some(Population::PriorCorrection(tau)) = self.population {
            let mut by = vec![0.0; intercept + 1];
            by[intercept] = shift;
            line.subtract(&by);
            inference.estimates[intercept] -= shift;
            inference.notes.push(format!(
                "prior correction of the intercept by {:+.5}, from the sample's rate {:.6} to the \
                 population's {tau}",
                -shift,
                totals.rate()
            ));
        }
        let average = self.corrected_probabilities.then(|| {
            inference.notes.push("probabilities: π̃ + C, with C for the uncertainty of β̃".into());
            let v = &inference.covariance;
            Mat::from_fn(v.nrows(), v.ncols(), |i, j| v[(i, j)])
        });
        let is_prior_corrected = self.population.is_some();
        Ok(FittedRareEvents { line, inference, bias, average, is_prior_corrected })
    }
}

/// Maximum likelihood, weighted or not, with or without the finite-sample correction.
fn fit_likelihood(
    train: &Dataset<'_>,
    correct: bool,
    population: Option<Population>,
    covariance: Option<Covariance>,
    run: &Run,
) -> Result<(FittedLogisticRegression, Inference, Option<Vec<f64>>)> {
    let totals = train.totals();
    let mut notes = Vec::new();
    let weighted = match population {
        Some(Population::Weighting(tau)) => {
            let loss = WeightedLogLoss::population(tau)?.resolve(&totals)?;
            let event_weight = tau / totals.rate();
            let other_weight = (1.0 - tau) / (totals.negative_weight / totals.weight());
            notes.push(format!(
                "weighting to the population's rate {tau}: {event_weight:.6} on events, \
                 {other_weight:.6} on others"
            ));
            Some((loss, event_weight))
        }
        _ => None,
    };
    let (loss, event_weight): (&dyn Loss, f64) = match &weighted {
        Some((loss, event_weight)) => (&**loss, *event_weight),
        None => (&LogLoss, 1.0),
    };
    let fitting = if weighted.is_some() { Covariance::WithinClasses } else { Covariance::Fisher };
    let kind = covariance.unwrap_or(fitting);
    let mut line = LogisticRegression::new().l2(0.0)?.fit(train, loss, run)?;
    let mut inference = line.inference_with(train, loss, kind, Weighting::Frequency, run)?;
    inference.title = "Logistic regression for rare events, maximum likelihood".into();
    notes.push(format!("covariance: {}", kind.name()));
    if weighted.is_some() {
        notes.push("the log-likelihood is a weighted pseudo-likelihood".into());
    }
    if covariance.is_none() && matches!(population, Some(Population::PriorCorrection(_))) {
        let counts = variance_of_counts(train, &inference.estimates)?;
        notes.push(subtract_counts(&mut inference.covariance, counts));
    }
    let mut removed = None;
    if correct {
        let bias = finite_sample_bias(train, loss, event_weight, &inference.estimates)?;
        line.subtract(&bias);
        inference.estimates.iter_mut().zip(&bias).for_each(|(estimate, bias)| *estimate -= bias);
        let n: f64 = effective_rows(train, Weighting::Frequency).iter().sum();
        let shrink = n / (n + bias.len() as f64);
        inference.covariance *= shrink * shrink;
        notes.push(format!(
            "finite-sample bias correction (King & Zeng 2001): covariance × (n/(n + k))² = {:.6}, \
             log-likelihood before it",
            shrink * shrink
        ));
        removed = Some(bias);
    }
    inference.notes = notes;
    Ok((line, inference, removed))
}

/// What the chance in the numbers of events and others is in the variance of an intercept: 1/n₁ + 1/n₀
/// with the numbers that are expected at `theta`, which maximum likelihood makes those observed.
///
/// As Σπ(1 − π) is at most what it would be were all π equal, this is at most the intercept's entry of
/// the inverse information at `theta`.
fn variance_of_counts(data: &Dataset<'_>, theta: &[f64]) -> Result<f64> {
    let (_, rows) = Objective::new(data, &LogLoss, 0.0, true)?.rows_at(theta);
    // Gradients are w(π − y).
    let surplus: f64 = rows.iter().map(|row| row.gradient).sum();
    let totals = data.totals();
    Ok(1.0 / (totals.positive_weight + surplus) + 1.0 / (totals.negative_weight - surplus))
}

/// Takes the variance of the counts from the intercept's and says so. The share of it that is left is
/// zero without features, but for rounding.
fn subtract_counts(covariance: &mut Array2<f64>, counts: f64) -> String {
    let intercept = covariance.nrows() - 1;
    let variance = &mut covariance[(intercept, intercept)];
    *variance = (*variance - counts).max(0.0);
    format!(
        "less 1/n₁ + 1/n₀ = {counts:.6} for the intercept: the numbers of events and others are \
         corrected for"
    )
}

/// (XᵀWX)⁻¹XᵀWξ at the coefficients `theta`.
fn finite_sample_bias(
    data: &Dataset<'_>,
    loss: &dyn Loss,
    event_weight: f64,
    theta: &[f64],
) -> Result<Vec<f64>> {
    // A loss that weighs the classes has another curvature for events than for others. King & Zeng's W
    // is that: wᵢ πᵢ(1 − πᵢ), with wᵢ = w₁ for events and w₀ for others.
    let objective = Objective::new(data, loss, 0.0, true)?;
    let (_, rows) = objective.rows_at(theta);
    let names = names(None, data.columns(), true);
    let information = objective.sum_of_outer_products(|i| rows[i].hessian);
    let factor = super::logistic::inference::factor(&information, &names)?;
    let q = quadratic_forms(data.features(), true, &factor.inverse());
    Ok(factor.solve(&objective.sum_of_rows(|i| {
        let xi = 0.5 * q[i] * ((1.0 + event_weight) * sigmoid(rows[i].logit) - event_weight);
        rows[i].hessian * xi
    })))
}

fn fit_firth(
    train: &Dataset<'_>,
    profile: Option<f64>,
    shift: f64,
    counted: bool,
    run: &Run,
) -> Result<(FittedLogisticRegression, Inference)> {
    let totals = train.totals();
    let names = names(None, train.columns(), true);
    let (k, intercept) = (names.len(), names.len() - 1);
    let firth = Firth::new(train, &names)?;
    // As for maximum likelihood: the log-odds less the mean offset give the curvature its right size.
    let offset = train.offsets().map_or(0.0, |o| o.iter().sum::<f64>() / o.len() as f64);
    let mut start = vec![0.0; k];
    start[intercept] = totals.log_odds() - offset;
    // The null model first; its information has all columns, as l* has.
    let null = firth.maximise(start, &[intercept], run)?;
    let all: Vec<usize> = (0..k).collect();
    let best = firth.maximise(null.theta, &all, run)?;

    let mut covariance = to_array(&best.covariance());
    let mut counts = None;
    // The share of the intercept's variance that is left: the likelihood ratio of an intercept from
    // which the counts are taken out is distributed as χ² times that share (Kent 1982).
    let mut left = 1.0;
    if !counted {
        let whole = covariance[(intercept, intercept)];
        counts = Some(subtract_counts(&mut covariance, variance_of_counts(train, &best.theta)?));
        left = covariance[(intercept, intercept)] / whole;
    }
    let profile = match profile {
        None => None,
        Some(level) => {
            let z = normal_quantile(level)?;
            let mut made = Profile { level, intervals: Vec::new(), p_values: Vec::new() };
            for j in 0..k {
                let (shift, left) = if j == intercept { (shift, left) } else { (0.0, 1.0) };
                let [low, high] = firth.interval(&best, j, z * left.sqrt(), &names, run)?;
                made.intervals.push([low - shift, high - shift]);
                // A corrected intercept of 0 is one of `shift` in the sample.
                let ratio = firth.likelihood_ratio(&best, j, shift, run)?;
                made.p_values.push(chi_squared_tail(ratio / left));
            }
            Some(made)
        }
    };
    let tests = match profile {
        Some(_) => "p-values and intervals by profile likelihood",
        None => "p-values and intervals by Wald's approximation",
    };
    let mut notes = vec![
        "log-likelihoods are the penalised ones, l + ½ ln det I".into(),
        format!("covariance: inverse Fisher information; {tests}"),
    ];
    notes.extend(counts);
    let diagnostics = Diagnostics {
        objective: -best.value,
        gradient_norm: best.score_norm(),
        iterations: best.iterations,
        passes: 4 * (best.iterations + 1),
        collinearity: Collinearity::Absent,
        stop: best.stop,
    };
    let inference = Inference {
        title: "Logistic regression for rare events, Firth's penalised likelihood".into(),
        notes,
        names,
        has_intercept: true,
        covariance,
        estimates: best.theta.clone(),
        profile,
        rows: totals.rows(),
        positives: totals.positives,
        log_likelihood: best.value,
        null_log_likelihood: null.value,
    };
    Ok((FittedLogisticRegression::new(best.theta, train.columns(), diagnostics), inference))
}

/// A fitted [`RareEvents`]: corrected coefficients, their uncertainty, and what was applied.
#[derive(Debug, Clone)]
pub struct FittedRareEvents {
    line: FittedLogisticRegression,
    inference: Inference,
    bias: Option<Vec<f64>>,
    /// V(β̃), if predictions are averaged over the uncertainty of the coefficients.
    average: Option<Mat<f64>>,
    is_prior_corrected: bool,
}

impl FittedRareEvents {
    /// The corrected coefficients, one per column.
    #[must_use]
    pub fn coefficients(&self) -> &[f64] {
        self.line.coefficients()
    }

    /// The corrected intercept.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.line.intercept()
    }

    /// Standard errors, tests and intervals; printed, it says what was applied.
    #[must_use]
    pub fn inference(&self) -> &Inference {
        &self.inference
    }

    /// The finite-sample bias that was subtracted, the intercept's last; `None` if there was none.
    #[must_use]
    pub fn bias(&self) -> Option<&[f64]> {
        self.bias.as_deref()
    }

    /// How the fit went.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        self.line.diagnostics()
    }

    /// The same with names for the columns, in their order, for the summary.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is one name per column.
    pub fn with_feature_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        self.inference = self.inference.with_feature_names(names)?;
        Ok(self)
    }
}

impl Predict for FittedRareEvents {
    /// With [`RareEvents::corrected_probabilities`], the log-odds of π̃ + C. That is an expansion for a
    /// small x₀V(β̃)x₀ᵀ; offsets that a caller adds to the logits afterwards are not part of it.
    ///
    /// # Errors
    /// As for any model, and [`Error::Numerical`] where π̃ + C is no probability, because the row is so
    /// far from the rows trained on that the expansion does not hold.
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        self.line.logits_into(x, out)?;
        let Some(covariance) = &self.average else { return Ok(()) };
        let variances = quadratic_forms(x, true, covariance);
        for (row, (logit, variance)) in out.iter_mut().zip(variances).enumerate() {
            let p = sigmoid(*logit);
            // π + C = π(1 + (½ − π)(1 − π)v), and 1 − π − C = (1 − π)(1 − (½ − π)πv).
            let c = (0.5 - p) * variance;
            let (up, down) = (c * sigmoid(-*logit), -c * p);
            if !(up > -1.0 && down > -1.0) {
                return Err(Error::Numerical {
                    what: format!("the corrected probability π̃ + C of row {row}"),
                    value: p + c * p * (1.0 - p),
                    remedy: "the row is too far from the rows trained on for this expansion; use \
                             `corrected_probabilities(false)`",
                });
            }
            *logit += up.ln_1p() - down.ln_1p();
        }
        Ok(())
    }

    fn is_prior_corrected(&self) -> bool {
        self.is_prior_corrected
    }

    fn describe(&self) -> String {
        let notes = self.inference.notes.join("; ");
        format!("{} ({notes}): {}", self.inference.title, self.line.diagnostics())
    }
}

impl fmt::Display for FittedRareEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inference.fmt(f)
    }
}
