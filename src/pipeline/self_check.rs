//! Do the probabilities of a fitted pipeline agree with its own rows?

use std::fmt;

/// The agreement of a pipeline's probabilities with rows whose labels it holds, with standard errors, overall
/// and by decile of the probability.
///
/// With p the probability, y the label and w the weight of a row (1 without weights):
///
/// * **Predicted against observed**, Σ w p − Σ w y. Its variance is that of the labels, the larger of Σ w² p(1 − p)
///   and the mean of that and Σ w² y (the Poisson variance of the positives that came), plus that of the
///   sampling, Σ w² (p − y)² (1 − π)/π with π the probability that a row was kept (for negatives with
///   p − p̄ in place of p − y, as their number is known).
/// * **Negatives left out against negatives kept** ([`LeftOut`]), on training rows, where the sampler draws at
///   random and says how ([`Inclusion`](crate::sampling::Inclusion)).
///
/// Rows are taken as independent: where the rows of one user go together, standard errors are too small.
/// `docs/reliability.md` has the derivation, and the simulated rates of false alarms and of detection.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct SelfCheck {
    /// The rows.
    pub on: CheckedOn,
    /// All rows.
    pub overall: Agreement,
    /// The rows by decile of the probability, lowest first. Rows of equal probability stay together, so a
    /// decile may be missing. Of more than 65,536 rows the limits are those of evenly spaced ones.
    pub deciles: Vec<Agreement>,
    /// The area under the ROC curve by deciles, and its standard error if the probabilities told nothing.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number::pair"))]
    pub ranking: (f64, f64),
    /// Whether the population's rate was given by hand: then predicted and observed may differ on these rows,
    /// and only negatives left out are compared with negatives kept.
    pub is_rate_given: bool,
    /// Positives, as their effective number (Σ w)²/Σ w².
    pub(super) positives: f64,
}

/// The rows of a [`SelfCheck`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum CheckedOn {
    /// The rows that went into the sampler: those it kept taught the model.
    Training,
    /// Rows that the model has not seen. If the calibrator learns, it has.
    Calibration,
    /// All rows that were judged in a fold, by a model and a calibrator of other folds.
    OutOfFold,
}

/// Predicted and observed positives among some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Agreement {
    /// Number of rows.
    pub rows: usize,
    /// The probabilities are at most this; those of the next decile are above it.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub up_to: f64,
    /// Σ w p.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub predicted: f64,
    /// Σ w y.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub observed: f64,
    /// Standard error of their difference.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub standard_error: f64,
    /// Negatives left out by the sampler against negatives kept, if they can be compared.
    pub left_out: Option<LeftOut>,
}

/// Negatives that the sampler left out against negatives that it kept. Given labels and inclusion probabilities π,
/// which of them are kept is chance, so their mean probabilities agree, unless the model has memorised the rows
/// it saw.
///
/// The mean over kept negatives weighs each with (1 − π)/π, so that they stand for the negatives left out
/// (Horvitz & Thompson 1952; as a ratio: Hájek 1971). The standard error of the difference is
/// √Σ w²(p − p̄)²(1 − π)/π / W, over all negatives, with W the weight of those left out; where all π are equal,
/// that is s√(1/k + 1/m) for k kept and m left out with the common standard deviation s. In a decile, the
/// numbers are its share of the two means.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct LeftOut {
    /// The mean probability of negatives kept.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub kept: f64,
    /// The mean probability of negatives left out.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub left_out: f64,
    /// Standard error of their difference.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub standard_error: f64,
}

impl Agreement {
    /// Predicted / observed; ∞ if no positives came.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.predicted / self.observed
    }

    pub(super) fn scaled(self, unit: f64) -> Self {
        let [predicted, observed, standard_error] =
            [self.predicted, self.observed, self.standard_error].map(|sum| sum * unit);
        Self { predicted, observed, standard_error, ..self }
    }

    /// By how many standard errors there is more predicted than observed.
    #[must_use]
    pub fn standard_errors(&self) -> f64 {
        in_units(self.predicted - self.observed, self.standard_error)
    }
}

impl LeftOut {
    /// By how many standard errors the mean of negatives left out is above that of negatives kept.
    #[must_use]
    pub fn standard_errors(&self) -> f64 {
        in_units(self.left_out - self.kept, self.standard_error)
    }
}

/// A difference in standard errors; 0 for none at all.
fn in_units(difference: f64, unit: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference / unit }
}

impl SelfCheck {
    /// Whether some of the rows were seen by neither sampler nor model.
    #[must_use]
    pub fn has_unseen_rows(&self) -> bool {
        self.on != CheckedOn::Training || self.overall.left_out.is_some()
    }
}

impl fmt::Display for CheckedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "training rows",
            Self::Calibration => "rows given to the calibrator",
            Self::OutOfFold => "rows out of fold",
        })
    }
}

/// The figures of one line: predicted / observed, and left out / kept.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, predicted, observed, standard_error, .. } = *self;
        write!(f, "{rows:>9} {predicted:>11.1} {observed:>10.1} ")?;
        write_ratio(f, predicted, observed, standard_error)?;
        let Some(means) = self.left_out else { return Ok(()) };
        write!(f, " ")?;
        write_ratio(f, means.left_out, means.kept, means.standard_error)
    }
}

fn write_ratio(f: &mut fmt::Formatter<'_>, a: f64, b: f64, error: f64) -> fmt::Result {
    if b > 0.0 {
        write!(f, "{:>7.3} ± {:<7.3}", a / b, error / b)
    } else {
        write!(f, "{:>7}   {:<7}", "–", "")
    }
}

impl fmt::Display for SelfCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.on)?;
        if !self.has_unseen_rows() {
            write!(f, "; not checked on unseen rows (`Pipeline::check` does that)")?;
        }
        if self.is_rate_given {
            write!(f, "; the population's rate was given, so predicted may differ from observed")?;
        }
        write!(f, "\ndecile, p up to    rows   predicted   observed    pred./observed")?;
        if self.overall.left_out.is_some() {
            write!(f, "   left out/kept")?;
        }
        for (i, decile) in self.deciles.iter().enumerate() {
            write!(f, "\n{:>2}  {:>9.2e} {decile}", i + 1, decile.up_to)?;
        }
        write!(f, "\nall           {}", self.overall)?;
        write!(f, "\nin standard errors: predicted {:+.1}", self.overall.standard_errors())?;
        if let Some(means) = self.overall.left_out {
            write!(f, ", left out {:+.1}", means.standard_errors())?;
        }
        Ok(())
    }
}
