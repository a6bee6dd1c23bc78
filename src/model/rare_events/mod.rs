//! Logistic regression for rare events.

mod firth;

use std::fmt;
use std::sync::Arc;

use ndarray::Array2;

use super::linear::{FitDetails, FittedLinear, LinearModel};
use super::logistic::inference::{
    self, Profile, UsedColumns, Weighting, chi_squared_tail, effective_rows, is_log_likelihood,
    names, normal_quantile,
};
use super::logistic::{
    Collinearity, Covariance, Diagnostics, Inference, LogisticRegression, Note, Objective, Units,
    quadratic_forms,
};
use super::{Contributions, FitWarning, Model};
use crate::core::{
    Dataset, Distortion, Error, FeaturesView, Result, Row, Run, saved_as_part, stored,
};
use crate::loss::{LogLoss, Loss, WeightedLogLoss};
use crate::numerics::{logit, sigmoid};
use firth::{At, Firth};

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
/// C = (½ − π̃)π̃(1 − π̃) x₀V(β̃)x₀ᵀ. The correction is the first term of an expansion in 1/events: with few events and
/// many columns it can be larger than the estimate and turn the model round, which the fit
/// [warns](super::Predict::warning) of; [`firth`](Self::firth) has no such limit.
///
/// **The corrected intercept's uncertainty.** The inverse information counts how the numbers of events
/// and others might have come out, n₁ and n₀. Prior correction takes ln(n₁/n₀) out of the intercept
/// again, and with it that part of the variance, 1/n₁ + 1/n₀, no matter whether the numbers were
/// fixed by design or came by chance (Prentice & Pyke 1979; Scott & Wild 1986). So
/// V(β̂) is the inverse information, minus 1/n₁ + 1/n₀ for the intercept. King & Zeng do not subtract it;
/// neither does [`covariance`](Self::covariance) with [`Covariance::Fisher`]. The sandwich of
/// [`weighting`](Self::weighting) is [`Covariance::WithinClasses`]; King & Zeng's is [`Covariance::Hc0`].
/// Both of their estimates give 95 % intervals that hold the true intercept in 98 to 99 samples of 100
/// (`docs/evidence/rare_events.md`). All estimates take τ as exact. If τ is the rate of N₁ among N₁ + N₀
/// rows, the variance of the intercept is larger by 1/N₁ + 1/N₀.
///
/// **Coming from Zelig** (R's `relogit`): its weighting with the finite-sample correction takes the
/// events' weight w₁ into ξᵢ as here. Its prior correction with the finite-sample correction differs: Zelig takes w₁ = τ/ȳ into ξᵢ
/// and W there too, though the fit is unweighted; here ξᵢ belongs to the fit that was made, with w₁ = 1, and the prior correction
/// then moves the intercept only. So coefficients differ by the order of 1/events, and agree without the finite-sample correction.
///
/// **Weights** of the data set are frequencies here: a weight of 3 is three observations, as the theory
/// of finite samples counts observations. Other weights are refused; for sampling weights there is
/// [`weighting`](Self::weighting), or [`LogisticRegression`] with [`Covariance::Hc0`].
///
/// **In a pipeline** the logits of [`prior_correction`](Self::prior_correction) and
/// [`weighting`](Self::weighting) are the population's already, and the fitted model says so
/// ([`Predict::is_prior_corrected`](super::Predict::is_prior_corrected)):
/// [`PriorCorrection`](crate::calibration::PriorCorrection) then does not undo the sampling a second time.
/// Rows that a sampler chose by their features are refused, because no rate corrects such a choice.
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
    /// `None`: the estimate that suits estimator and population.
    covariance: Option<Covariance>,
    corrected_probabilities: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Estimator {
    MaximumLikelihood,
    BiasCorrected,
    Firth { profile: Option<f64> },
}

/// How the sample is taken back to a population of the rate τ.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
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
    /// p-values of its likelihood ratio. Cannot be combined with [`weighting`](Self::weighting). Where the likelihood cannot be
    /// computed as far away as the hypothesis is (an intercept of 0 beside offsets of 700), a p-value below 3 · 10⁻¹⁰ is an upper bound.
    ///
    /// **What it costs**: with n rows and k coefficients an iteration forms the information and the leverages, n k² steps
    /// each; a fit takes ten to forty iterations. Each interval takes some ten iterations for either end, so the intervals
    /// take about 2 k times as long as the fit: for many columns and rows take
    /// [`firth_with_intervals(None)`](Self::firth_with_intervals).
    #[must_use]
    pub fn firth(mut self) -> Self {
        self.estimator = Estimator::Firth { profile: Some(0.95) };
        self
    }

    /// [`firth`](Self::firth) with profile-likelihood intervals at this level, or without them: the interval of
    /// a coefficient takes about as long as thirty fits.
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
        self.population = Some(Population::PriorCorrection(valid_rate(population_rate)?));
        Ok(self)
    }

    /// Weights the classes to a population with the rate τ, with robust standard errors
    /// ([`Covariance::WithinClasses`]); instead of [`prior_correction`](Self::prior_correction).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < τ < 1.
    pub fn weighting(mut self, population_rate: f64) -> Result<Self> {
        self.population = Some(Population::Weighting(valid_rate(population_rate)?));
        Ok(self)
    }

    /// The estimate V(β̂) of the covariance. Default:
    /// [`Covariance::WithinClasses`] for [`weighting`](Self::weighting), otherwise
    /// [`Covariance::Fisher`], without the variance of the counts after
    /// [`prior_correction`](Self::prior_correction). King & Zeng's own are [`Covariance::Hc0`] for
    /// weighting and the whole of [`Covariance::Fisher`] for prior correction. The finite-sample
    /// correction's factor (n/(n + k))² comes on top.
    ///
    /// Weights are frequencies here too. [`fit`](Model::fit) refuses
    /// [`Covariance::Fisher`] with weighting, which leaves no likelihood, and everything else with
    /// Firth's likelihood.
    #[must_use]
    pub fn covariance(mut self, covariance: Covariance) -> Self {
        self.covariance = Some(covariance);
        self
    }

    /// Whether predictions are π̃ + C, averaged over the uncertainty of the coefficients, rather than
    /// π̃. The mean then no longer equals the rate exactly. Default: no.
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

fn valid_rate(rate: f64) -> Result<f64> {
    if rate > 0.0 && rate < 1.0 {
        Ok(rate)
    } else {
        Err(Error::invalid("population_rate", rate, "between 0 and 1, both excluded"))
    }
}

/// Covariances have the squares of the features, or of their inverses.
fn ensure_ordinary_columns(data: &Dataset<'_>) -> Result<()> {
    match Units::of(data).and_then(|units| units.extreme_column()) {
        None => Ok(()),
        Some((column, size)) => Err(Error::Numerical {
            what: format!("the largest entry of column {column}, to a factor of two,"),
            value: size,
            remedy: "covariances have its square, which f64 cannot hold with all others: scale the column to a size \
                     between 1e-60 and 1e60",
        }),
    }
}

fn ensure_frequencies(data: &Dataset<'_>) -> Result<()> {
    let fraction =
        data.weights().and_then(|w| w.iter().enumerate().find(|(_, w)| w.fract() != 0.0));
    match fraction {
        None => Ok(()),
        Some((row, weight)) => Err(Error::invalid(
            "weights",
            format!("{weight} at row {row}"),
            "whole numbers: RareEvents counts a weight as that many observations. For sampling weights \
             use LogisticRegression, and its `inference` with Covariance::Hc0; weights by class that come \
             from a known rate are what `RareEvents::weighting` computes itself, so leave them off the rows",
        )),
    }
}

/// The population's rate corrects sampling by class, and no other sampling.
fn ensure_sampled_by_class(distortion: &Distortion) -> Result<()> {
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

/// A fit before the intercept is taken to the population.
struct Estimate {
    diagnostics: Diagnostics,
    inference: Inference,
    /// The finite-sample bias that was subtracted.
    bias: Option<Vec<f64>>,
    warning: Option<FitWarning>,
}

impl Model for RareEvents {
    type Fitted = FittedRareEvents;

    /// # Errors
    /// [`Error::OneClass`]; [`Error::InvalidArgument`] for another loss than log loss, weights that are
    /// no whole numbers, Firth's likelihood with weighting, or a [`covariance`](Self::covariance) that
    /// does not exist; for a population's rate [`Error::NoClosedForm`] on rows that a sampler chose by
    /// their features and [`Error::Unsupported`] where its offsets say how; [`Error::Separation`], which
    /// Firth's likelihood does not know; [`Error::RankDeficient`]; [`Error::Unsupported`] above 4096
    /// coefficients; [`Error::Numerical`] if the iterations of Firth's likelihood do not converge.
    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<FittedRareEvents> {
        let Some(used) = UsedColumns::of(train)? else {
            return self.fit_used(train, &names(None, train.columns(), true), loss, run);
        };
        let names = names(Some(&used.names(None)), used.data.columns(), true);
        let mut fitted = self.fit_used(&used.data, &names, loss, run)?;
        fitted.linear = used.spread(&fitted.linear)?;
        fitted.details.inference = fitted.details.inference.leaving_out(used.left_out(None));
        Ok(fitted)
    }

    saved_as_part!();
}

impl RareEvents {
    /// The fit to columns that are not zero in every row; `names` are theirs and the intercept's.
    fn fit_used(
        &self,
        train: &Dataset<'_>,
        names: &[String],
        loss: &dyn Loss,
        run: &Run,
    ) -> Result<FittedRareEvents> {
        self.ensure_can_fit(train, loss)?;
        let totals = train.totals();
        let shift = match self.population {
            Some(Population::PriorCorrection(tau)) => totals.log_odds() - logit(tau),
            _ => 0.0,
        };
        let Estimate { diagnostics, mut inference, bias, warning } = match self.estimator {
            Estimator::Firth { profile } => self.fit_firth(train, names, profile, shift, run)?,
            Estimator::MaximumLikelihood | Estimator::BiasCorrected => {
                self.fit_likelihood(train, names, run)?
            }
        };
        if let Some(Population::PriorCorrection(rate)) = self.population {
            inference.estimates[train.columns()] -= shift;
            let sample_rate = totals.rate();
            inference.notes.push(Note::PriorCorrection { shift: -shift, sample_rate, rate });
        }
        if self.corrected_probabilities {
            inference.notes.push(Note::AveragedProbabilities);
        }
        let linear = LinearModel::from_theta(inference.estimates.clone(), train.columns());
        let is_prior_corrected = self.population.is_some();
        let averaged = self.corrected_probabilities;
        let details =
            RareEventsFit { diagnostics, inference, bias, warning, averaged, is_prior_corrected };
        Ok(FittedLinear { linear, details })
    }

    /// Refuses what cannot be fitted, before a fit whose result could not be used.
    fn ensure_can_fit(&self, train: &Dataset<'_>, loss: &dyn Loss) -> Result<()> {
        let totals = train.totals();
        totals.ensure_both("logistic regression for rare events")?;
        let loss = loss.resolve(&totals)?;
        if !is_log_likelihood(&*loss) {
            let expected = "log loss: the corrections are those of a likelihood";
            return Err(Error::invalid("loss", format!("{loss:?}"), expected));
        }
        ensure_frequencies(train)?;
        Objective::new(train, &LogLoss, 0.0, true)?.ensure_products_fit("RareEvents")?;
        ensure_ordinary_columns(train)?;
        if self.population.is_some() {
            ensure_sampled_by_class(train.distortion())?;
        }
        if !matches!(self.estimator, Estimator::Firth { .. }) {
            return Ok(());
        }
        if let Some(Population::Weighting(_)) = self.population {
            let expected = "`prior_correction` with Firth's likelihood: weights that are no \
                            frequencies have no penalised likelihood";
            return Err(Error::invalid("population", "weighting", expected));
        }
        match self.covariance {
            None | Some(Covariance::Fisher) => Ok(()),
            Some(kind) => {
                let expected =
                    "Fisher with Firth's likelihood: its tests and intervals are its own";
                Err(Error::invalid("covariance", format!("{kind:?}"), expected))
            }
        }
    }

    /// Whether the variance of the numbers of events and others is subtracted from the intercept's.
    fn subtracts_counts(&self) -> bool {
        self.covariance.is_none() && matches!(self.population, Some(Population::PriorCorrection(_)))
    }

    /// Maximum likelihood, weighted or not, with or without the finite-sample correction.
    fn fit_likelihood(&self, train: &Dataset<'_>, names: &[String], run: &Run) -> Result<Estimate> {
        let weighting = match self.population {
            Some(Population::Weighting(tau)) => Some(ClassWeighting::new(train, tau)?),
            _ => None,
        };
        let loss: &dyn Loss = weighting.as_ref().map_or(&LogLoss, |weighting| &*weighting.loss);
        let usual =
            if weighting.is_some() { Covariance::WithinClasses } else { Covariance::Fisher };
        let kind = self.covariance.unwrap_or(usual);

        let fitted = LogisticRegression::new().l2(0.0)?.fit(train, loss, run)?;
        let fitted = fitted.with_feature_names(&names[..train.columns()])?;
        let mut inference = fitted.inference_with(train, loss, kind, Weighting::Frequency, run)?;
        inference.title = "Logistic regression for rare events, maximum likelihood".into();
        inference.notes = weighting.iter().map(ClassWeighting::note).collect();
        inference.notes.push(Note::FrequencyCovariance(kind));
        if self.subtracts_counts() {
            subtract_variance_of_counts(train, &mut inference)?;
        }
        let (mut bias, mut warning) = (None, None);
        if self.estimator == Estimator::BiasCorrected {
            let event_weight = weighting.as_ref().map_or(1.0, |weighting| weighting.event_weight);
            let (subtracted, exceeds) = subtract_bias(train, loss, event_weight, &mut inference)?;
            (bias, warning) = (Some(subtracted), exceeds);
        }
        Ok(Estimate { diagnostics: fitted.diagnostics().clone(), inference, bias, warning })
    }

    /// Firth's penalised likelihood. An intercept of 0 in the population is one of `shift` in the sample.
    fn fit_firth(
        &self,
        train: &Dataset<'_>,
        names: &[String],
        level: Option<f64>,
        shift: f64,
        run: &Run,
    ) -> Result<Estimate> {
        let totals = train.totals();
        let intercept = train.columns();
        let firth = Firth::new(train, names)?;
        // The null model first; its information has all columns, as l* has.
        let null = firth.maximise(firth.start(), &[intercept], run)?;
        let all: Vec<usize> = (0..=intercept).collect();
        let best = firth.maximise(null.theta, &all, run)?;

        let mut inference = Inference {
            title: "Logistic regression for rare events, Firth's penalised likelihood".into(),
            notes: vec![
                Note::PenalisedLikelihood,
                Note::FrequencyCovariance(Covariance::Fisher),
                if level.is_some() { Note::ProfileLikelihood } else { Note::Wald },
            ],
            names: names.to_vec(),
            left_out: Vec::new(),
            has_intercept: true,
            covariance: best.covariance(),
            estimates: best.theta.clone(),
            profile: None,
            rows: totals.rows(),
            positives: totals.positives,
            log_likelihood: best.value,
            null_log_likelihood: null.value,
        };
        let whole = inference.covariance[(intercept, intercept)];
        if self.subtracts_counts() {
            subtract_variance_of_counts(train, &mut inference)?;
        }
        if let Some(level) = level {
            let share = inference.covariance[(intercept, intercept)] / whole;
            inference.profile = Some(profile(&firth, &best, level, shift, share, run)?);
        }
        let diagnostics = Diagnostics {
            objective: -best.value,
            gradient_norm: best.score_norm(),
            iterations: best.iterations,
            passes: 4 * (best.iterations + 1),
            collinearity: Collinearity::Absent,
            stop: best.stop,
        };
        Ok(Estimate { diagnostics, inference, bias: None, warning: None })
    }
}

/// Profile-likelihood intervals and likelihood-ratio tests of all coefficients.
///
/// `share` is the share of the intercept's variance that does not come from the numbers of events and others:
/// the likelihood ratio of an intercept from which these are taken out is distributed as χ² times that share
/// (Kent 1982).
fn profile(
    firth: &Firth<'_>,
    best: &At,
    level: f64,
    shift: f64,
    share: f64,
    run: &Run,
) -> Result<Profile> {
    let z = normal_quantile(level)?;
    let mut profile = Profile { level, intervals: Vec::new(), p_values: Vec::new() };
    for j in 0..best.theta.len() {
        let is_intercept = j + 1 == best.theta.len();
        let (shift, share) = if is_intercept { (shift, share) } else { (0.0, 1.0) };
        let [low, high] = firth.interval(best, j, z * share.sqrt(), run)?;
        profile.intervals.push([low - shift, high - shift]);
        let ratio = firth.likelihood_ratio(best, j, shift, run)?;
        profile.p_values.push(chi_squared_tail(ratio / share));
    }
    Ok(profile)
}

/// The weights that take the classes of a sample to a population's rate τ.
struct ClassWeighting {
    rate: f64,
    loss: Arc<dyn Loss>,
    event_weight: f64,
    other_weight: f64,
}

impl ClassWeighting {
    fn new(train: &Dataset<'_>, rate: f64) -> Result<Self> {
        let totals = train.totals();
        Ok(Self {
            rate,
            loss: WeightedLogLoss::population(rate)?.resolve(&totals)?,
            event_weight: rate / totals.rate(),
            other_weight: (1.0 - rate) / (totals.negative_weight / totals.weight()),
        })
    }

    fn note(&self) -> Note {
        let Self { rate, event_weight, other_weight, .. } = *self;
        Note::Weighting { rate, event_weight, other_weight }
    }
}

/// Subtracts from the intercept's variance what the chance in the numbers of events and others adds to it:
/// 1/n₁ + 1/n₀ with the expected numbers, which under maximum likelihood are those observed.
///
/// As Σπ(1 − π) is largest where all π are equal, this is at most the intercept's entry of the inverse
/// information. Without features it is that entry, but for rounding.
fn subtract_variance_of_counts(data: &Dataset<'_>, inference: &mut Inference) -> Result<()> {
    let (_, rows) = Objective::new(data, &LogLoss, 0.0, true)?.rows_at(&inference.estimates);
    // Gradients are w(π − y).
    let surplus: f64 = rows.iter().map(|row| row.gradient).sum();
    let totals = data.totals();
    let counts =
        1.0 / (totals.positive_weight + surplus) + 1.0 / (totals.negative_weight - surplus);
    let variance = &mut inference.covariance[(data.columns(), data.columns())];
    *variance = (*variance - counts).max(0.0);
    inference.notes.push(Note::LessVarianceOfCounts(counts));
    Ok(())
}

/// Subtracts the finite-sample bias (XᵀWX)⁻¹XᵀWξ from the estimates, and returns it, with a warning if it is larger
/// than they are.
fn subtract_bias(
    data: &Dataset<'_>,
    loss: &dyn Loss,
    event_weight: f64,
    inference: &mut Inference,
) -> Result<(Vec<f64>, Option<FitWarning>)> {
    // A loss that weighs the classes has another curvature for events than for others. King & Zeng's W
    // is that: wᵢ πᵢ(1 − πᵢ), with wᵢ = w₁ for events and w₀ for others.
    let objective = Objective::new(data, loss, 0.0, true)?;
    let (_, rows) = objective.rows_at(&inference.estimates);
    let information = objective.design.sum_of_outer_products(|i| rows[i].hessian);
    let factor = inference::factor(&information, &inference.names)?;
    let q = quadratic_forms(data.features(), &factor.inverse());
    let plain = inference.estimates.clone();
    let bias = factor.solve(&objective.design.sum_of_rows(|i| {
        let xi = 0.5 * q[i] * ((1.0 + event_weight) * sigmoid(rows[i].logit) - event_weight);
        rows[i].hessian * xi
    }));
    inference.estimates.iter_mut().zip(&bias).for_each(|(estimate, bias)| *estimate -= bias);
    let n: f64 = effective_rows(data, Weighting::Frequency).iter().sum();
    let shrink = n / (n + bias.len() as f64);
    inference.covariance *= shrink * shrink;
    inference.notes.push(Note::BiasCorrection(shrink * shrink));
    let share = (spread(&information, &bias) / spread(&information, &plain)).sqrt();
    let positives = data.totals().positives;
    let warning =
        (share > 1.0).then_some(FitWarning::CorrectionExceedsEstimate { share, positives });
    Ok((bias, warning))
}

/// Σ wᵢ πᵢ(1 − πᵢ) (xᵢv − mean)² over the columns: how far v spreads the logits, whatever the intercept, from the lower
/// triangle of the information.
fn spread(information: &Array2<f64>, v: &[f64]) -> f64 {
    let b = v.len() - 1;
    let entry = |i: usize, j: usize| {
        information[(i.max(j), i.min(j))]
            - information[(b, i)] * information[(b, j)] / information[(b, b)]
    };
    (0..b).flat_map(|i| (0..b).map(move |j| (i, j))).map(|(i, j)| v[i] * v[j] * entry(i, j)).sum()
}

/// A fitted [`RareEvents`]: corrected coefficients, their uncertainty, and what was applied.
///
/// With [`RareEvents::corrected_probabilities`] a prediction is the log-odds of π̃ + C. That is an expansion for
/// a small x₀V(β̃)x₀ᵀ; offsets that a caller adds to the logits afterwards are not part of it. Where π̃ + C is no
/// probability, because the row is too far from the training rows for the expansion, the prediction is
/// [`Error::Numerical`].
pub type FittedRareEvents = FittedLinear<RareEventsFit>;

/// The details of a [`FittedRareEvents`].
#[derive(Debug, Clone, PartialEq)]
pub struct RareEventsFit {
    diagnostics: Diagnostics,
    inference: Inference,
    bias: Option<Vec<f64>>,
    warning: Option<FitWarning>,
    /// Whether predictions are averaged over the uncertainty of the coefficients.
    averaged: bool,
    is_prior_corrected: bool,
}

impl FittedRareEvents {
    /// Standard errors, tests and intervals; the printed table says what was applied.
    #[must_use]
    pub fn inference(&self) -> &Inference {
        &self.details.inference
    }

    /// The finite-sample bias that was subtracted from each of the [estimates](Inference::estimates), the intercept's
    /// last; `None` if none was.
    #[must_use]
    pub fn bias(&self) -> Option<&[f64]> {
        self.details.bias.as_deref()
    }

    /// How the fit went.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.details.diagnostics
    }
}

impl FitDetails for RareEventsFit {
    fn describe(&self, _: &LinearModel) -> String {
        let notes: Vec<String> = self.inference.notes.iter().map(Note::to_string).collect();
        format!("{} ({}): {}", self.inference.title, notes.join("; "), self.diagnostics)
    }

    fn warning(&self) -> Option<FitWarning> {
        self.warning
    }

    fn is_prior_corrected(&self) -> bool {
        self.is_prior_corrected
    }

    #[cfg(feature = "serde")]
    fn saved(model: &FittedLinear<Self>) -> Option<crate::saved::Part<'_>> {
        Some(crate::saved::Part::of(model))
    }

    fn adjust(&self, x: FeaturesView<'_>, logits: &mut [f64]) -> Result<()> {
        if !self.averaged {
            return Ok(());
        }
        let variances = if self.inference.left_out.is_empty() {
            quadratic_forms(x, &self.inference.covariance)
        } else {
            let used = x.pick_columns(&self.inference.columns());
            quadratic_forms(used.view(), &self.inference.covariance)
        };
        for (row, (logit, variance)) in logits.iter_mut().zip(variances).enumerate() {
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

    /// Through π̃ + C at the variance of this row.
    fn adjust_contributions(&self, row: Row<'_>, linear: Contributions) -> Result<Contributions> {
        if !self.averaged {
            return Ok(linear);
        }
        linear.through(linear.sum(), |z| {
            let mut out = [z];
            row.with_view(|x| self.adjust(x, &mut out)).map(|()| out[0])
        })
    }

    fn name_columns(&mut self, names: &[String]) {
        self.inference.rename(names);
    }
}

impl fmt::Display for FittedRareEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inference().fmt(f)
    }
}

stored!(RareEvents as "rare_events", |model| {
    estimator: Estimator = model.estimator,
    population: Option<Population> = model.population,
    covariance: Option<Covariance> = model.covariance,
    corrected_probabilities: bool = model.corrected_probabilities,
} => {
    let model = Self { covariance, corrected_probabilities, ..Self::new() };
    let model = match estimator {
        Estimator::MaximumLikelihood => Ok(model.maximum_likelihood()),
        Estimator::BiasCorrected => Ok(model.bias_correction()),
        Estimator::Firth { profile } => model.firth_with_intervals(profile),
    };
    model.and_then(|model| match population {
        None => Ok(model),
        Some(Population::PriorCorrection(rate)) => model.prior_correction(rate),
        Some(Population::Weighting(rate)) => model.weighting(rate),
    })
});

stored!(FittedRareEvents as "fitted_rare_events", |model| {
    linear: LinearModel = model.linear,
    diagnostics: Diagnostics = model.details.diagnostics,
    inference: Inference = model.details.inference,
    bias: Option<Vec<f64>> = model.details.bias,
    warning: Option<FitWarning> = model.details.warning,
    averaged: bool = model.details.averaged,
    is_prior_corrected: bool = model.details.is_prior_corrected,
} => {
    let coefficients = linear.coefficients().len() + 1;
    if inference.has_intercept && inference.column_count() + 1 == coefficients {
        let details =
            RareEventsFit { diagnostics, inference, bias, warning, averaged, is_prior_corrected };
        Ok(Self { linear, details })
    } else {
        let expected = format!("{coefficients}, as many as coefficients and the intercept, less those left out");
        Err(Error::invalid("estimates", inference.estimates.len(), expected))
    }
});
