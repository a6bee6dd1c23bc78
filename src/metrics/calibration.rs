//! Do the probabilities mean what they say?

use super::ranked::{RankedScores, ScoreGroup};
use super::rows::{CheckedRows, Domain, Sum, WeightedRows};
use crate::core::{Error, Result, Run, Separation};
use crate::fit::{BoundedLogit, Logit, LogitForm, Range, Sample, intercept};

/// Predicted over observed: the number of positives the model expects, per positive there is.
///
/// ```text
/// P/O = Σ w p / Σ w y
/// ```
///
/// - **Range** 0 to +∞; 1 is calibrated on the whole, 2 promises twice the positives that come.
///   Known in click prediction as "calibration".
/// - **p = 0 or 1** are ordinary values, and ties have no meaning here.
/// - **One class**: without positives the ratio is undefined, an error; without negatives it is
///   the mean prediction.
/// - **Rare positives**: the first number to look at, and the one that resampling without
///   correction ruins. Its relative standard error is about 1 / √positives.
///
/// Source: He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", 2014.
///
/// # Errors
/// [`Error::OneClass`] if positives have no weight, and the [errors common to all
/// metrics](super#errors).
///
/// ```
/// use imbalance::metrics::predicted_over_observed;
///
/// let labels = [false, false, false, true];
/// assert_eq!(predicted_over_observed(&labels, &[0.5; 4], None)?, 2.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn predicted_over_observed(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
) -> Result<f64> {
    let rows = CheckedRows::new(labels, probabilities, Domain::Probabilities, weights)?;
    predicted_over_observed_of(&rows)
}

/// Cox's logistic recalibration of a set of probabilities; see [`calibration_line`].
///
/// The standard errors come from the Fisher information and take weights as counts of rows, so
/// they are right for weights that merge equal rows, and only a guide for other weights.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CalibrationLine {
    /// a in logit P(y = 1) = a + b logit(p); 0 is calibrated. It is the log-odds where p = ½,
    /// usually far outside the data, and strongly correlated with the slope.
    pub intercept: f64,
    /// Standard error of [`intercept`](Self::intercept).
    pub intercept_standard_error: f64,
    /// b; 1 is calibrated, below 1 the model is too sure of itself (overfitted), above 1 too timid.
    pub slope: f64,
    /// Standard error of [`slope`](Self::slope).
    pub slope_standard_error: f64,
    /// Calibration in the large: a where b is held at 1. 0 is calibrated, −ln 2 is a rare rate
    /// predicted twice too high.
    pub intercept_given_slope_one: f64,
    /// Standard error of [`intercept_given_slope_one`](Self::intercept_given_slope_one).
    pub intercept_given_slope_one_standard_error: f64,
}

/// Calibration intercept and slope: the line that would repair the log-odds.
///
/// ```text
/// logit P(y = 1) = a + b logit(p),   logit(p) = ln( p / (1 − p) )
/// ```
///
/// fitted by weighted maximum likelihood, to the optimum; and a once more with b = 1.
///
/// - **Range**: a and b are any real numbers; (0, 1) is calibrated.
/// - **p = 0 or 1** has no logit, hence an error if the row has weight: a row called certain
///   cannot be moved by any line. Clip such probabilities if that is what you mean.
/// - **Ties** are nothing special, but if all probabilities are equal the slope is not identified.
/// - **One class**: no finite line, an error.
/// - **Rare positives**: the precision is that of the number of positives; with fewer than about
///   100 the slope says little, which its standard error shows.
///
/// Source: Cox, "Two further applications of a model for binary regression", 1958.
///
/// # Errors
/// - [`Error::OneClass`] if positives or negatives have no weight.
/// - [`Error::InvalidArgument`] if a row with weight has probability 0 or 1, naming the row, or if
///   all rows have the same probability.
/// - [`Error::Separation`] if a threshold on the probability splits the classes, so that the slope
///   grows without bound.
/// - [`Error::Numerical`] if the slope is finite, but too large to be found.
/// - The [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::calibration_line;
///
/// // One in four came true where 0.1 was predicted, three in four where 0.9 was.
/// let labels = [true, false, false, false, true, true, true, false];
/// let line = calibration_line(&labels, &[0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9], None)?;
/// // The truth is logit(3/4) = ln 3, the prediction logit(9/10) = ln 9: twice too sure.
/// assert!((line.slope - 0.5).abs() < 1e-12);
/// assert!(line.intercept.abs() < 1e-12);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn calibration_line(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
) -> Result<CalibrationLine> {
    let rows = CheckedRows::new(labels, probabilities, Domain::Probabilities, weights)?;
    rows.classes().ensure_both("the calibration line")?;
    ensure_logits(&rows)?;
    // Sorted, so that the order of the rows does not change a bit.
    calibration_line_of(&RankedScores::of_probabilities(labels, probabilities, weights)?)
}

/// One bin of a reliability diagram; see [`quantile_bins`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Bin {
    /// Number of rows that have weight.
    pub rows: usize,
    /// Their total weight.
    pub weight: f64,
    /// Weighted mean of their probabilities.
    pub mean_predicted: f64,
    /// Weighted share of positives among them.
    pub observed: f64,
    /// The smallest of their probabilities.
    pub lower: f64,
    /// The largest of their probabilities.
    pub upper: f64,
}

/// Splits the rows, sorted by probability, into bins of equal weight.
///
/// The bins of a reliability diagram and of [`ece`]. Their boundaries come from the data: sort the
/// distinct probabilities, and let C be the weight of all rows below one of them and w the weight
/// of the rows that share it. The rows that share it all go to the bin of their middle,
///
/// ```text
/// bin = ⌊ bins · (C + w / 2) / W ⌋,   W the total weight, bins counted from 0.
/// ```
///
/// With equal weights and no ties this makes bins of equal size where the number of rows allows
/// it. A tie that straddles a boundary goes whole to one side, so bins can be larger or smaller,
/// and bins without rows are left out: at most `bins` are returned, in ascending order. The result
/// does not depend on the order of the rows. p = 1 is always in the last bin, p = 0 in the first.
///
/// One class is no obstacle.
///
/// # Errors
/// [`Error::InvalidArgument`] if `bins` is 0, and the [errors common to all
/// metrics](super#errors).
///
/// ```
/// use imbalance::metrics::quantile_bins;
///
/// let labels = [false, true, false, true];
/// let bins = quantile_bins(&labels, &[0.1, 0.9, 0.2, 1.0], None, 2)?;
/// assert_eq!(bins.len(), 2);
/// assert_eq!((bins[0].lower, bins[0].upper, bins[0].observed), (0.1, 0.2, 0.0));
/// assert_eq!((bins[1].lower, bins[1].upper, bins[1].observed), (0.9, 1.0, 1.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn quantile_bins(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
    bins: usize,
) -> Result<Vec<Bin>> {
    RankedScores::of_probabilities(labels, probabilities, weights)?.quantile_bins(bins)
}

/// Expected calibration error over [`quantile_bins`].
///
/// ```text
/// ECE = Σ_b (W_b / W) | mean p in b − mean y in b |
/// ```
///
/// - **Range** 0 to 1, in units of probability.
/// - **p = 0 or 1** are ordinary values; ties share a bin.
/// - **One class** is no obstacle.
/// - **Rare positives**: **never read it alone.** It is an absolute error, so a model that doubles
///   a rate of 0.1 % has an ECE of 0.001 and looks excellent. Look at
///   [`predicted_over_observed`] (which says 2) and
///   [`normalised_entropy`](super::normalised_entropy) next to it. It is also biased upwards: the
///   scatter of the observed rates adds to it even if the model is perfect, the more bins the more.
///
/// Bins of equal weight rather than equal width, as with rare positives almost all rows would fall
/// into the first of those. Source: Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated
/// Probabilities Using Bayesian Binning", 2015; Guo et al., "On Calibration of Modern Neural
/// Networks", 2017; both with bins of equal width.
///
/// # Errors
/// [`Error::InvalidArgument`] if `bins` is 0, and the [errors common to all
/// metrics](super#errors).
///
/// ```
/// use imbalance::metrics::ece;
///
/// let labels = [false, true, false, true];
/// // Bins {0.25, 0.25} with rate 0, and {0.5, 1.0} with rate 1.
/// assert_eq!(ece(&labels, &[0.25, 0.5, 0.25, 1.0], None, 2)?, 0.25);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn ece(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
    bins: usize,
) -> Result<f64> {
    RankedScores::of_probabilities(labels, probabilities, weights)?.ece(bins)
}

impl RankedScores {
    /// See [`predicted_over_observed`].
    ///
    /// # Errors
    /// [`Error::OneClass`] if positives have no weight, [`Error::InvalidArgument`] if a score is no
    /// probability.
    pub fn predicted_over_observed(&self) -> Result<f64> {
        self.ensure_probabilities()?;
        predicted_over_observed_of(self)
    }

    /// See [`calibration_line`], whose errors name rows in the order of their scores here.
    ///
    /// # Errors
    /// As [`calibration_line`].
    pub fn calibration_line(&self) -> Result<CalibrationLine> {
        self.ensure_probabilities()?;
        calibration_line_of(self)
    }

    /// See [`quantile_bins`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `bins` is 0 or a score is no probability.
    pub fn quantile_bins(&self, bins: usize) -> Result<Vec<Bin>> {
        let mut found = self.bins(bins)?;
        found.iter_mut().for_each(|bin| bin.weight *= self.classes.unit);
        Ok(found)
    }

    /// See [`ece`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `bins` is 0 or a score is no probability.
    pub fn ece(&self, bins: usize) -> Result<f64> {
        let bins = self.bins(bins)?;
        let gaps = bins.iter().map(|bin| bin.weight * (bin.mean_predicted - bin.observed).abs());
        // Rounding must not carry a score that is always wrong past 1.
        Ok((gaps.collect::<Sum>().value() / self.classes.total()).min(1.0))
    }

    /// See [`quantile_bins`], with weights in the unit of the rows' weights.
    pub(super) fn bins(&self, bins: usize) -> Result<Vec<Bin>> {
        if bins == 0 {
            return Err(Error::invalid("bins", bins, "at least 1"));
        }
        self.ensure_probabilities()?;
        let total = self.classes.total();
        let mut below = Sum::default();
        let mut found: Vec<(usize, OpenBin)> = Vec::new();
        for group in self.groups() {
            let p = self.domain.probability(group.score);
            let middle = below.value() + 0.5 * group.weight();
            below.add(group.weight());
            // A last group of almost no weight has its middle at `total` after rounding.
            let place = ((middle * bins as f64 / total) as usize).min(bins - 1);
            match found.last_mut() {
                Some((last, bin)) if *last == place => bin.add(&group, p),
                _ => found.push((place, OpenBin::of(&group, p))),
            }
        }
        Ok(found.into_iter().map(|(_, bin)| bin.close()).collect())
    }
}

fn predicted_over_observed_of(rows: &impl WeightedRows) -> Result<f64> {
    rows.classes().ensure_positives("predicted over observed")?;
    Ok(rows.sum_over_p(|_, p| p) / rows.classes().positive())
}

fn calibration_line_of(rows: &impl WeightedRows) -> Result<CalibrationLine> {
    rows.classes().ensure_both("the calibration line")?;
    ensure_logits(rows)?;
    let n = rows.len();
    let (mut logits, mut labels, mut weights) = (vec![0.0; n], vec![false; n], vec![0.0; n]);
    for row in 0..n {
        let (label, value, weight) = rows.row(row);
        (logits[row], labels[row], weights[row]) = (rows.domain().logit(value), label, weight);
    }
    let run = &Run::default();
    let sample = Sample { scores: &logits, labels: &labels, weights: Some(&weights), run };
    ensure_one_line(sample)?;
    let form = LogitForm { free: true, ..LogitForm::RISING };
    let line = BoundedLogit::fit(sample, form, &Logit)?;
    let in_the_large = intercept(
        &logits,
        Some(&weights),
        rows.classes().positive().ln() - rows.classes().negative().ln(),
    );
    let errors = [line.covariance[(1, 1)], line.covariance[(0, 0)], 1.0 / in_the_large.information]
        .map(|variance| (variance / rows.classes().unit).sqrt());
    if let Some(&value) = errors.iter().find(|error| !error.is_finite()) {
        return Err(Error::Numerical {
            what: "a standard error of the calibration line".into(),
            value,
            remedy: "weights and scores must not differ by hundreds of orders of magnitude",
        });
    }
    Ok(CalibrationLine {
        intercept: line.intercept,
        intercept_standard_error: errors[0],
        slope: line.coefficients[0],
        slope_standard_error: errors[1],
        intercept_given_slope_one: in_the_large.value,
        intercept_given_slope_one_standard_error: errors[2],
    })
}

/// `Ok` if every probability with weight has a finite logit.
fn ensure_logits(rows: &impl WeightedRows) -> Result<()> {
    let certain = rows.domain().certain();
    for (row, (_, value, weight)) in (0..rows.len()).map(|row| (row, rows.row(row))) {
        if certain.contains(&value) && weight > 0.0 {
            return Err(Error::invalid(
                "probabilities",
                format!("{} at row {row}", rows.domain().probability(value)),
                "strictly between 0 and 1 for a calibration line, as 0 and 1 have no finite logit",
            ));
        }
    }
    Ok(())
}

/// `Ok` if exactly one line maximises the likelihood, of rows of both classes: the likelihood rises without end along
/// a rising line if no positive lies below a negative, along a falling one if none lies above.
fn ensure_one_line(sample: Sample<'_>) -> Result<()> {
    let overlap = |[negatives, positives]: &[Range; 2]| {
        positives.low < negatives.high && positives.high > negatives.low
    };
    let ranges @ [negatives, positives] = sample.class_ranges(|z| z, overlap);
    if overlap(&ranges) {
        return Ok(());
    }
    if positives == negatives && positives.low == positives.high {
        let expected = "at least two different numbers, as a constant has no slope";
        return Err(Error::invalid("probabilities", "the same in every row", expected));
    }
    let touch = positives.low == negatives.high || positives.high == negatives.low;
    Err(Error::Separation {
        kind: if touch { Separation::QuasiComplete } else { Separation::Complete },
        column: None,
    })
}

/// A bin that is being filled from the lowest score up.
struct OpenBin {
    rows: usize,
    weight: Sum,
    predicted: Sum,
    positive: Sum,
    lower: f64,
    upper: f64,
}

impl OpenBin {
    /// A bin that begins with a group of this probability.
    fn of(group: &ScoreGroup, p: f64) -> Self {
        let [weight, predicted, positive] = [Sum::default(); 3];
        let mut bin = Self { rows: 0, weight, predicted, positive, lower: p, upper: p };
        bin.add(group, p);
        bin
    }

    fn add(&mut self, group: &ScoreGroup, p: f64) {
        self.rows += group.rows;
        self.weight.add(group.weight());
        self.predicted.add(group.weight() * p);
        self.positive.add(group.positive);
        self.upper = p;
    }

    fn close(self) -> Bin {
        let weight = self.weight.value();
        Bin {
            rows: self.rows,
            weight,
            mean_predicted: (self.predicted.value() / weight).clamp(self.lower, self.upper),
            observed: (self.positive.value() / weight).min(1.0),
            lower: self.lower,
            upper: self.upper,
        }
    }
}
