//! How sure the coefficients are: covariance, standard errors, tests, intervals.

use std::borrow::Cow;
use std::f64::consts::SQRT_2;
use std::fmt;

use ndarray::{Array2, ArrayView2};
use statrs::function::erf::{erfc, erfc_inv};

use super::{Cholesky, FittedLogisticRegression, LogisticRegression, Objective, RowAt};
use crate::core::{
    Dataset, Error, Fixed, Result, Run, column_name, columns_without, number, stored, valid_names,
};
use crate::exec::parallel::sum_block;
use crate::loss::Loss;
use crate::model::row_sums::sum_rows;
use crate::model::{LinearModel, ShiftLogits};
use crate::numerics::linalg::sandwich;
use crate::numerics::log1p_exp;

/// How the covariance of the coefficients is estimated, and with it what a sample weight means.
///
/// H = Σ hᵢ xᵢᵀxᵢ with hᵢ = wᵢ ∂²ℓ/∂z² is the Hessian at the minimum, gᵢ = wᵢ ∂ℓ/∂z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Covariance {
    /// H⁻¹, the inverse Fisher information: right if the model is, and if a weight of 3 means that the
    /// row was observed **three times** (frequency weights). For
    /// [`LogLoss`](crate::loss::LogLoss) alone. A sandwich under frequency weights is that of
    /// [`RareEvents::covariance`](crate::model::RareEvents::covariance).
    Fisher,
    /// H⁻¹ (Σ gᵢ² xᵢᵀxᵢ) H⁻¹, the sandwich of Huber 1967 and White 1980: right as well if the model is
    /// not, under any loss, and if a weight of 3 means that the row was observed **once** and stands for
    /// three of the population (sampling weights).
    Hc0,
    /// [`Hc0`](Self::Hc0) times n/(n − k), with n the rows of positive weight and k the coefficients, as for linear
    /// regression (`MacKinnon` & White 1985). Stata's robust errors of a logit take n/(n − 1), those of statsmodels no
    /// factor, which is [`Hc0`](Self::Hc0).
    Hc1,
    /// H⁻¹ (Σ (gᵢxᵢ − m)ᵀ(gᵢxᵢ − m)) H⁻¹ with m the mean of gᵢxᵢ in the class of row i: the sandwich of
    /// a sample whose classes weigh what they weigh in the population, whatever their numbers came out
    /// as. Right where class weights are computed from the rows' own counts, as
    /// [`ClassWeights::Population`](crate::loss::ClassWeights::Population) and
    /// [`ClassWeights::Balanced`](crate::loss::ClassWeights::Balanced) do, both for events sampled by
    /// class and for a random sample with a known rate τ: the scores then vary within the classes
    /// only. [`Hc0`](Self::Hc0) adds the variance between them, which such weights have removed, and
    /// its interval for the intercept is too wide. Source: Wooldridge 2001 (Econometric Theory 17,
    /// 451–470), for standard stratified samples; choice-based sampling is the case of strata that
    /// are the outcomes (Manski & Lerman 1977).
    WithinClasses,
}

impl Covariance {
    fn name(self) -> &'static str {
        match self {
            Self::Fisher => "inverse Fisher information",
            Self::Hc0 => "sandwich HC0",
            Self::Hc1 => "sandwich HC1",
            Self::WithinClasses => "sandwich within classes, whose shares are known",
        }
    }
}

impl fmt::Display for Covariance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        f.write_str(match self {
            Self::Fisher => "; weights are frequencies",
            Self::Hc0 | Self::Hc1 => "; weights are sampling weights",
            Self::WithinClasses => "",
        })
    }
}

/// What a fit applied, and what the numbers of an [`Inference`] mean.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Note {
    /// How the covariance was estimated.
    Covariance(Covariance),
    /// How the covariance was estimated, with each weight counted as that many observations.
    FrequencyCovariance(Covariance),
    /// The sum of this loss is given in place of a log-likelihood.
    LossInPlaceOfLikelihood(String),
    /// The classes were weighted to the population's rate, so that the log-likelihood is a pseudo-likelihood.
    Weighting {
        /// The population's rate.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        rate: f64,
        /// The weight of an event.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        event_weight: f64,
        /// The weight of every other row.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        other_weight: f64,
    },
    /// The variance that the numbers of events and others add to the intercept's was subtracted.
    LessVarianceOfCounts(f64),
    /// The finite-sample bias was subtracted, and the covariance multiplied by this factor.
    BiasCorrection(f64),
    /// The log-likelihoods are Firth's penalised ones.
    PenalisedLikelihood,
    /// Tests and intervals come from the profile likelihood.
    ProfileLikelihood,
    /// Tests and intervals come from Wald's approximation.
    Wald,
    /// The intercept was taken to the population's rate.
    PriorCorrection {
        /// What was added to the intercept.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        shift: f64,
        /// The rate of the rows.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        sample_rate: f64,
        /// The population's rate.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        rate: f64,
    },
    /// Predictions are averaged over the uncertainty of the coefficients.
    AveragedProbabilities,
    /// These columns are zero in every row of positive weight, so that the rows tell nothing of their coefficients. All
    /// numbers are those of a fit without them.
    LeftOut(Vec<String>),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Covariance(kind) => write!(f, "covariance: {kind}"),
            Self::FrequencyCovariance(kind) => write!(f, "covariance: {}", kind.name()),
            Self::LossInPlaceOfLikelihood(loss) => {
                write!(f, "loss: {loss}; its sum stands in for the log-likelihood")
            }
            Self::Weighting { rate, event_weight, other_weight } => write!(
                f,
                "weighting to the population's rate {rate}: {event_weight:.6} on events, \
                 {other_weight:.6} on others; the log-likelihood is a weighted pseudo-likelihood"
            ),
            Self::LessVarianceOfCounts(variance) => write!(
                f,
                "less 1/n₁ + 1/n₀ = {variance:.6} for the intercept: the numbers of events and others \
                 are corrected for"
            ),
            Self::BiasCorrection(factor) => write!(
                f,
                "finite-sample bias correction (King & Zeng 2001): covariance × (n/(n + k))² = \
                 {factor:.6}, log-likelihood before it"
            ),
            Self::PenalisedLikelihood => {
                f.write_str("log-likelihoods are the penalised ones, l + ½ ln det I")
            }
            Self::ProfileLikelihood => f.write_str("p-values and intervals by profile likelihood"),
            Self::Wald => f.write_str("p-values and intervals by Wald's approximation"),
            Self::PriorCorrection { shift, sample_rate, rate } => write!(
                f,
                "prior correction of the intercept by {shift:+.5}, from the sample's rate \
                 {sample_rate:.6} to the population's {rate}"
            ),
            Self::AveragedProbabilities => {
                f.write_str("probabilities: π̃ + C, with C for the uncertainty of β̃")
            }
            Self::LeftOut(names) => {
                let shown: Vec<String> =
                    names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
                write!(f, "left out, zero in every row: {}", shown.join(", "))?;
                match names.len().saturating_sub(LISTED) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

/// Columns left out that are listed by name.
const LISTED: usize = 10;

/// How the weights of the data set enter a sandwich.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Weighting {
    /// One observation of a row that stands for many: wᵢ² in the middle.
    Sampling,
    /// Many observations of the same row: wᵢ in the middle.
    Frequency,
}

/// The uncertainty of a fit's coefficients; printed as a table.
///
/// Vectors have one entry per column and, if there is an intercept, a last one for it. Columns that are
/// [left out](Self::left_out), because they are zero in every row, have none.
///
/// ```
/// use imbalance::model::logistic::Covariance;
/// use imbalance::prelude::*;
/// # let x = imbalance::ndarray::Array2::from_shape_fn((200, 1), |(i, _)| ((i * 7) % 10) as f64);
/// # let labels: Vec<bool> = (0..200).map(|i| (i * 7) % 10 + (i * 3) % 11 > 12).collect();
/// let data = Dataset::new(&x, labels)?;
/// let fitted = LogisticRegression::new().l2(0.0)?.fit(&data, &LogLoss, &Run::default())?;
/// let inference = fitted.inference(&data, &LogLoss, Covariance::Fisher)?;
/// let [low, high] = inference.intervals(0.95)?[0];
/// assert!(low < fitted.coefficients()[0] && fitted.coefficients()[0] < high);
/// println!("{}", inference.with_feature_names(["age"])?);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    pub(in crate::model) title: Cow<'static, str>,
    pub(in crate::model) notes: Vec<Note>,
    pub(in crate::model) names: Vec<String>,
    /// Ascending, with their names.
    pub(in crate::model) left_out: Vec<(usize, String)>,
    pub(in crate::model) has_intercept: bool,
    pub(in crate::model) estimates: Vec<f64>,
    pub(in crate::model) covariance: Array2<f64>,
    pub(in crate::model) profile: Option<Profile>,
    pub(in crate::model) rows: usize,
    pub(in crate::model) positives: usize,
    pub(in crate::model) log_likelihood: f64,
    pub(in crate::model) null_log_likelihood: f64,
}

/// Intervals and tests by profile likelihood.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(in crate::model) struct Profile {
    pub(in crate::model) level: f64,
    pub(in crate::model) intervals: Vec<[f64; 2]>,
    pub(in crate::model) p_values: Vec<f64>,
}

impl Inference {
    /// The coefficients.
    #[must_use]
    pub fn estimates(&self) -> &[f64] {
        &self.estimates
    }

    /// Their names: `x0`, `x1`, … unless others were given, and `intercept`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns that are zero in every row of positive weight, with their names: the rows tell nothing of their
    /// coefficients, and all numbers are those of a fit without them.
    #[must_use]
    pub fn left_out(&self) -> &[(usize, String)] {
        &self.left_out
    }

    /// The columns whose coefficients these are, ascending.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let is_in = |column: &usize| {
            self.left_out.binary_search_by_key(column, |left_out| left_out.0).is_err()
        };
        (0..self.column_count()).filter(is_in).collect()
    }

    /// Number of columns, with those left out.
    pub(in crate::model) fn column_count(&self) -> usize {
        self.names.len() - usize::from(self.has_intercept) + self.left_out.len()
    }

    /// These numbers as those of a fit to more columns, of which the ones given are left out.
    pub(in crate::model) fn leaving_out(mut self, left_out: Vec<(usize, String)>) -> Self {
        self.notes.push(Note::LeftOut(left_out.iter().map(|(_, name)| name.clone()).collect()));
        self.left_out = left_out;
        self
    }

    /// Names the columns, with those left out.
    pub(in crate::model) fn rename(&mut self, names: &[String]) {
        let columns = self.columns();
        columns.iter().zip(&mut self.names).for_each(|(&j, name)| name.clone_from(&names[j]));
        self.left_out.iter_mut().for_each(|(column, name)| name.clone_from(&names[*column]));
        for note in &mut self.notes {
            if let Note::LeftOut(names) = note {
                *names = self.left_out.iter().map(|(_, name)| name.clone()).collect();
            }
        }
    }

    /// What the fit applied, and what its numbers mean.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Their covariance matrix, k × k.
    #[must_use]
    pub fn covariance(&self) -> ArrayView2<'_, f64> {
        self.covariance.view()
    }

    /// Their standard errors: the roots of the covariance's diagonal.
    #[must_use]
    pub fn standard_errors(&self) -> Vec<f64> {
        self.covariance.diag().iter().map(|variance| variance.sqrt()).collect()
    }

    /// From columns with their means taken off back to the columns: c = c′ − mᵀβ.
    fn moved_back(mut self, means: &[f64], estimates: Vec<f64>) -> Self {
        let k = estimates.len();
        let back = Array2::from_shape_fn((k, k), |(i, j)| match means.get(j) {
            Some(mean) if i == k - 1 => -mean,
            _ => f64::from(u8::from(i == j)),
        });
        self.covariance = sandwich(&back.t(), &self.covariance.view());
        self.estimates = estimates;
        self
    }

    /// Wald's z: estimate over standard error; 0 for a coefficient that is 0 without error.
    #[must_use]
    pub fn z(&self) -> Vec<f64> {
        let z =
            |(&estimate, error): (&f64, f64)| if estimate == 0.0 { 0.0 } else { estimate / error };
        self.estimates.iter().zip(self.standard_errors()).map(z).collect()
    }

    /// Two-sided p-values of the hypotheses that a coefficient is 0: 2(1 − Φ(|z|)), or from the
    /// penalised likelihood ratio where [`profile_intervals`](Self::profile_intervals) exist.
    #[must_use]
    pub fn p_values(&self) -> Vec<f64> {
        match &self.profile {
            Some(profile) => profile.p_values.clone(),
            None => self.z().into_iter().map(|z| erfc(z.abs() / SQRT_2)).collect(),
        }
    }

    /// Wald's intervals, estimate ± z·standard error, each of which covers the truth with the
    /// probability `level`, approximately.
    ///
    /// With few events they are seldom wrong but often missing, because the classes are separated. Firth's likelihood always has
    /// an estimate; with less than five events its Wald intervals at 95 % miss in up to 8 % of the samples, and its [profile
    /// intervals](Self::profile_intervals) in up to 5 % (`docs/reliability.md`, *Few positives*).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `level` < 1.
    pub fn intervals(&self, level: f64) -> Result<Vec<[f64; 2]>> {
        let z = normal_quantile(level)?;
        let errors = self.standard_errors();
        Ok(self.estimates.iter().zip(errors).map(|(b, se)| [b - z * se, b + z * se]).collect())
    }

    /// Profile-likelihood intervals at the level the fit was asked for, where it made them: Firth's
    /// penalised likelihood does.
    #[must_use]
    pub fn profile_intervals(&self) -> Option<&[[f64; 2]]> {
        self.profile.as_ref().map(|profile| &profile.intervals[..])
    }

    /// −Σ wᵢ ℓ(zᵢ, yᵢ): the log-likelihood, if the loss is log loss and the weights are frequencies;
    /// otherwise a pseudo-likelihood, which is no likelihood of anything that was observed. For Firth's
    /// method it is the penalised one.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// −2 × log-likelihood: for single rows of two classes the saturated model has likelihood 1.
    #[must_use]
    pub fn deviance(&self) -> f64 {
        -2.0 * self.log_likelihood
    }

    /// The deviance with an intercept and the offsets alone; without an intercept, with the offsets
    /// alone.
    #[must_use]
    pub fn null_deviance(&self) -> f64 {
        -2.0 * self.null_log_likelihood
    }

    /// Akaike's criterion, 2k − 2 × log-likelihood; comparable where that is a likelihood.
    #[must_use]
    pub fn aic(&self) -> f64 {
        2.0 * self.estimates.len() as f64 + self.deviance()
    }

    /// The table that [`Display`](fmt::Display) prints: title, what was applied, then a row per
    /// coefficient with estimate, standard error, z, p and interval (95 %, or the profile's level).
    #[must_use]
    pub fn summary(&self) -> String {
        self.to_string()
    }

    /// This table with names for the columns, in their order; the intercept keeps its name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is one name per column.
    pub fn with_feature_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        self.rename(&valid_names(names, self.column_count())?);
        Ok(self)
    }
}

impl fmt::Display for Inference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        writeln!(f, "{} rows, {} positive", self.rows, self.positives)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))?;
        writeln!(
            f,
            "log-likelihood {}, deviance {}, null deviance {}, AIC {}",
            Fixed(self.log_likelihood, 4),
            Fixed(self.deviance(), 4),
            Fixed(self.null_deviance(), 4),
            Fixed(self.aic(), 4)
        )?;
        let (kind, level, intervals) = match &self.profile {
            Some(profile) => ("profile", profile.level, profile.intervals.clone()),
            None => ("Wald", 0.95, self.intervals(0.95).map_err(|_| fmt::Error)?),
        };
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(11);
        let heading = format!("{:.4} % {kind} interval", 100.0 * level);
        let heading = heading.replace(".0000", "");
        writeln!(
            f,
            "{:width$} {:>11} {:>11} {:>9} {:>9}  {heading}",
            "coefficient", "estimate", "std. error", "z", "p"
        )?;
        let columns = self.standard_errors().into_iter().zip(self.z()).zip(self.p_values());
        let rows = self.names.iter().zip(&self.estimates).zip(columns).zip(intervals);
        for (i, (((name, estimate), ((error, z), p)), [low, high])) in rows.enumerate() {
            let end = if i > 0 { "\n" } else { "" };
            write!(
                f,
                "{end}{name:width$} {:>11} {:>11} {z:>9.3} {:>9}  {:>11} {:>11}",
                number(*estimate),
                number(error),
                probability(p),
                number(low),
                number(high)
            )?;
        }
        for (_, name) in self.left_out.iter().take(LISTED) {
            write!(f, "\n{name:width$} left out: zero in every row")?;
        }
        match self.left_out.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n{more} more columns left out: zero in every row"),
        }
    }
}

fn probability(p: f64) -> String {
    if p < 1e-4 { format!("{p:.1e}") } else { format!("{p:.4}") }
}

const INTERCEPT: &str = "intercept";

/// Names for the columns, given or `x0`, `x1`, …, and the intercept's.
pub(in crate::model) fn names(
    given: Option<&[String]>,
    columns: usize,
    intercept: bool,
) -> Vec<String> {
    let features = (0..columns).map(|column| column_name(given, column));
    features.chain(intercept.then(|| INTERCEPT.to_string())).collect()
}

/// z with P(|Z| ≤ z) = `level` for a standard normal Z.
pub(in crate::model) fn normal_quantile(level: f64) -> Result<f64> {
    if level > 0.0 && level < 1.0 {
        Ok(SQRT_2 * erfc_inv(1.0 - level))
    } else {
        Err(Error::invalid("level", level, "between 0 and 1, both excluded"))
    }
}

/// P(X > `x`) for X of the χ² distribution with one degree of freedom.
pub(in crate::model) fn chi_squared_tail(x: f64) -> f64 {
    erfc((0.5 * x.max(0.0)).sqrt())
}

/// Whether a loss is the negative log-likelihood of a label, judged by its values.
pub(in crate::model) fn is_log_likelihood(loss: &dyn Loss) -> bool {
    [-9.0, -1.0, 0.0, 0.5, 4.0].into_iter().all(|z| {
        let near = |label, value: f64| (loss.at(z, label).value - value).abs() <= 1e-12 * value;
        near(true, log1p_exp(-z)) && near(false, log1p_exp(z))
    })
}

/// The covariance of the minimum, from the loss at every row there.
pub(in crate::model) fn covariance(
    objective: &Objective<'_>,
    data: &Dataset<'_>,
    rows: &[RowAt],
    factor: &Cholesky,
    kind: Covariance,
    weighting: Weighting,
) -> Result<Array2<f64>> {
    let bread = factor.inverse();
    if kind == Covariance::Fisher {
        return Ok(bread);
    }
    let weights = data.weights();
    let mut meat = objective.design.sum_of_outer_products(|i| {
        let squared = rows[i].gradient.powi(2);
        match (weighting, weights) {
            (Weighting::Frequency, Some(w)) if w[i] > 0.0 => squared / w[i],
            _ => squared,
        }
    });
    if kind == Covariance::WithinClasses {
        data.totals().ensure_both("a covariance within classes")?;
        subtract_between_classes(objective, data, rows, weighting, &mut meat);
    }
    for j in 0..meat.nrows() {
        (0..j).for_each(|i| meat[(i, j)] = meat[(j, i)]);
    }
    let sandwich = sandwich(&bread.view(), &meat.view());
    let n: f64 = effective_rows(data, weighting).iter().sum();
    let k = bread.nrows() as f64;
    let factor = if kind == Covariance::Hc1 { n / (n - k) } else { 1.0 };
    if factor.is_infinite() || factor < 0.0 {
        let expected = format!("Hc0: HC1 needs more than {k} rows that weigh something");
        return Err(Error::invalid("covariance", format!("Hc1 with {n} rows"), expected));
    }
    // Symmetric but for rounding; made so. A variance of 0, as within classes that do not vary, may have
    // been rounded below.
    Ok(Array2::from_shape_fn((bread.nrows(), bread.nrows()), |(i, j)| {
        let entry = factor * 0.5 * (sandwich[(i, j)] + sandwich[(j, i)]);
        if i == j { entry.max(0.0) } else { entry }
    }))
}

/// Rows of positive weight, or the sum of frequencies: of the negatives, and of the positives.
pub(in crate::model) fn effective_rows(data: &Dataset<'_>, weighting: Weighting) -> [f64; 2] {
    let (n, labels) = (data.rows(), data.labels());
    let zero = || [0.0; 2];
    sum_rows(n, sum_block(n, 1), zero, |sums, rows| {
        for i in rows {
            sums[usize::from(labels[i])] += match (data.weights(), weighting) {
                (Some(weights), Weighting::Sampling) if weights[i] == 0.0 => 0.0,
                (Some(weights), Weighting::Frequency) => weights[i],
                _ => 1.0,
            };
        }
    })
}

/// −Σ wᵢ ℓ at the best intercept without features, or at none.
pub(in crate::model) fn null_log_likelihood(
    data: &Dataset<'_>,
    loss: &dyn Loss,
    intercept: bool,
    run: &Run,
) -> Result<f64> {
    let none = Array2::<f64>::default((data.rows(), 0));
    let mut null = Dataset::new(&none, data.labels())?;
    if let Some(weights) = data.weights() {
        null = null.with_weights(weights)?;
    }
    if let Some(offsets) = data.offsets() {
        null = null.with_offsets(offsets)?;
    }
    if intercept {
        let model = LogisticRegression::new().l2(0.0)?;
        let fitted = super::Model::fit(&model, &null, loss, run)?;
        Ok(-fitted.diagnostics().objective)
    } else {
        Ok(-Objective::new(&null, loss, 0.0, false)?.value_and_gradient(&[])?.0)
    }
}

/// The factor of the Hessian at a minimum, or an error that names the column to drop.
pub(in crate::model) fn factor(hessian: &Array2<f64>, names: &[String]) -> Result<Cholesky> {
    Cholesky::new(hessian)
        .map_err(|column| Error::RankDeficient { what: "inference", column: names[column].clone() })
}

/// The rows without the columns that are zero in all of them.
pub(in crate::model) struct UsedColumns<'a> {
    pub(in crate::model) data: Dataset<'a>,
    columns: Vec<usize>,
    zero: Vec<usize>,
}

impl<'a> UsedColumns<'a> {
    /// `None` if every column has an entry that is not 0 in a row of positive weight.
    pub(in crate::model) fn of(data: &'a Dataset<'_>) -> Result<Option<Self>> {
        let zero = data.zero_columns()?;
        if zero.is_empty() {
            return Ok(None);
        }
        let columns = columns_without(&zero, data.columns())?;
        Ok(Some(Self { data: data.drop_columns(&zero)?, columns, zero }))
    }

    /// The names of the used columns.
    pub(in crate::model) fn names(&self, given: Option<&[String]>) -> Vec<String> {
        self.columns.iter().map(|&column| column_name(given, column)).collect()
    }

    /// The columns that are not used, with their names.
    pub(in crate::model) fn left_out(&self, given: Option<&[String]>) -> Vec<(usize, String)> {
        self.zero.iter().map(|&column| (column, column_name(given, column))).collect()
    }

    /// A model of the used columns, with their names.
    fn pick(&self, model: &LinearModel) -> Result<LinearModel> {
        let coefficients = self.columns.iter().map(|&column| model.coefficients()[column]);
        LinearModel::new(coefficients.collect(), model.intercept())?
            .with_feature_names(self.names(model.feature_names()))
    }

    /// A model of all columns from one of the used columns.
    pub(in crate::model) fn spread(&self, model: &LinearModel) -> Result<LinearModel> {
        let mut coefficients = vec![0.0; self.columns.len() + self.zero.len()];
        let used = self.columns.iter().zip(model.coefficients());
        used.for_each(|(&column, coefficient)| coefficients[column] = *coefficient);
        LinearModel::new(coefficients, model.intercept())
    }
}

impl FittedLogisticRegression {
    /// Covariance, standard errors, tests and intervals of the coefficients, from the rows and the loss
    /// the model was fitted with. [`Covariance`] says what the weights mean in each estimate.
    ///
    /// It forms k × k matrices for k coefficients, k up to 4096, in n·k² steps and a few passes over the rows. Columns
    /// that are zero in every row of positive weight do not count: they are left out, which the table says
    /// ([`Inference::left_out`]).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the fit was penalised (the penalty biases the coefficients on purpose,
    /// so no interval around them covers as it says), if the coefficients do not minimise the loss on
    /// these rows (other rows, another loss, or a fit that did not converge), or for
    /// [`Covariance::Fisher`] under a loss that is no log-likelihood; [`Error::RankDeficient`] naming a
    /// column to drop; [`Error::Unsupported`] for more than 4096 coefficients;
    /// [`Error::ColumnMismatch`].
    pub fn inference(
        &self,
        data: &Dataset<'_>,
        loss: &dyn Loss,
        covariance_kind: Covariance,
    ) -> Result<Inference> {
        self.inference_with(data, loss, covariance_kind, Weighting::Sampling, &Run::default())
    }

    pub(in crate::model) fn inference_with(
        &self,
        data: &Dataset<'_>,
        loss: &dyn Loss,
        kind: Covariance,
        weighting: Weighting,
        run: &Run,
    ) -> Result<Inference> {
        data.features().ensure_columns(self.coefficients().len())?;
        let Some(used) = UsedColumns::of(data)? else {
            return self.inference_on(data, loss, kind, weighting, run, false);
        };
        let linear = used.pick(&self.linear)?;
        let without = Self { linear, details: self.details.clone() };
        let inference = without.inference_on(&used.data, loss, kind, weighting, run, false)?;
        Ok(inference.leaving_out(used.left_out(self.feature_names())))
    }

    fn inference_on(
        &self,
        data: &Dataset<'_>,
        loss: &dyn Loss,
        kind: Covariance,
        weighting: Weighting,
        run: &Run,
        is_centred: bool,
    ) -> Result<Inference> {
        let has_intercept = self.details.has_intercept;
        for (name, penalty) in [("l2", self.details.l2), ("l1", self.details.l1)] {
            if penalty > 0.0 {
                let expected = "0 for inference: a penalty biases the coefficients on purpose, so that \
                                intervals around them do not cover as they say";
                return Err(Error::invalid(name, penalty, expected));
            }
        }
        let loss = loss.resolve(&data.totals())?;
        if kind == Covariance::Fisher && !is_log_likelihood(&*loss) {
            let expected = format!(
                "a sandwich: {loss:?} is no log-likelihood, so its Hessian is not the information"
            );
            return Err(Error::invalid("covariance", "Fisher", expected));
        }
        let objective = Objective::new(data, &*loss, 0.0, has_intercept)?;
        objective.ensure_products_fit("inference")?;
        let theta = self.theta();
        let (value, rows) = objective.rows_at(&theta);
        let names = names(self.feature_names(), self.coefficients().len(), has_intercept);
        let hessian = objective.design.sum_of_outer_products(|i| rows[i].hessian);
        let factor = match factor(&hessian, &names) {
            Err(error) if !is_centred => {
                let Some((centred, means)) = objective.design.centred()? else { return Err(error) };
                let shift = means.iter().zip(self.coefficients()).map(|(m, b)| m * b).sum();
                let inference = self
                    .shifted(shift)
                    .inference_on(&centred, &loss, kind, weighting, run, true)?;
                return Ok(inference.moved_back(&means, theta));
            }
            factor => factor?,
        };
        // gᵀH⁻¹g is the squared distance to the minimum in standard errors.
        let gradient = objective.design.sum_of_rows(|i| rows[i].gradient);
        let distance: f64 =
            factor.solve(&gradient).iter().zip(&gradient).map(|(step, slope)| step * slope).sum();
        if distance.is_nan() || distance > 1e-4 {
            let far = format!("rows whose best fit is {:.3} standard errors away", distance.sqrt());
            let expected =
                "the rows, weights and loss that the model was fitted with, to convergence";
            return Err(Error::invalid("data", far, expected));
        }
        let covariance = covariance(&objective, data, &rows, &factor, kind, weighting)?;
        let mut notes = vec![Note::Covariance(kind)];
        if !is_log_likelihood(&*loss) {
            notes.push(Note::LossInPlaceOfLikelihood(format!("{loss:?}")));
        }
        let totals = data.totals();
        Ok(Inference {
            title: "Logistic regression, maximum likelihood".into(),
            notes,
            names,
            left_out: Vec::new(),
            has_intercept,
            estimates: theta,
            covariance,
            profile: None,
            rows: totals.rows(),
            positives: totals.positives,
            log_likelihood: -value,
            null_log_likelihood: null_log_likelihood(data, &*loss, has_intercept, run)?,
        })
    }
}

/// Takes the means of the classes out of a sum of squares (lower triangle):
/// Σᵢ (sᵢ − m)ᵀ(sᵢ − m) = Σᵢ sᵢᵀsᵢ − (Σᵢ sᵢ)ᵀ(Σᵢ sᵢ)/n over the n observations of each.
fn subtract_between_classes(
    objective: &Objective<'_>,
    data: &Dataset<'_>,
    rows: &[RowAt],
    weighting: Weighting,
    meat: &mut Array2<f64>,
) {
    let labels = data.labels();
    for (class, n) in [false, true].into_iter().zip(effective_rows(data, weighting)) {
        let total = objective
            .design
            .sum_of_rows(|i| if labels[i] == class { rows[i].gradient } else { 0.0 });
        for j in 0..total.len() {
            (j..total.len()).for_each(|i| meat[(i, j)] -= total[i] * total[j] / n);
        }
    }
}

stored!(Inference as "inference", |inference| {
    title: Cow<'static, str> = inference.title,
    notes: Vec<Note> = inference.notes,
    names: Vec<String> = inference.names,
    left_out: Vec<(usize, String)> = inference.left_out,
    has_intercept: bool = inference.has_intercept,
    estimates: Vec<f64> = inference.estimates,
    covariance: Vec<f64> = inference.covariance.iter().copied().collect::<Vec<_>>(),
    profile: Option<Profile> = inference.profile,
    rows: usize = inference.rows,
    positives: usize = inference.positives,
    log_likelihood: f64 = inference.log_likelihood,
    null_log_likelihood: f64 = inference.null_log_likelihood,
} => {
    let k = estimates.len();
    let numbers = estimates.iter().chain(&covariance).copied();
    let numbers: Vec<f64> = numbers.chain([log_likelihood, null_log_likelihood]).collect();
    crate::core::ensure_finite("inference", &numbers).and_then(|()| {
        let lengths = profile.as_ref().map_or([k, k], |profile| {
            [profile.intervals.len(), profile.p_values.len()]
        });
        if names.len() != k || lengths != [k, k] || k.checked_mul(k) != Some(covariance.len()) {
            let expected = format!("one of each for the {k} estimates");
            return Err(Error::invalid("inference", "names, covariances or intervals", expected));
        }
        let columns = k.saturating_sub(usize::from(has_intercept)).saturating_add(left_out.len());
        let ascends = left_out.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascends || left_out.last().is_some_and(|last| last.0 >= columns) {
            let expected = format!("ascending columns below {columns}");
            return Err(Error::invalid("left_out", format!("{left_out:?}"), expected));
        }
        if has_intercept && k == 0 {
            return Err(Error::invalid("estimates", 0, "at least that of the intercept"));
        }
        let covariance = Array2::from_shape_fn((k, k), |(i, j)| covariance[i * k + j]);
        Ok(Self {
            title,
            notes,
            names,
            left_out,
            has_intercept,
            estimates,
            covariance,
            profile,
            rows,
            positives,
            log_likelihood,
            null_log_likelihood,
        })
    })
});
