//! Do the probabilities mean what they say?

use super::line::{fit_intercept, fit_line};
use super::ranked::{Ranked, Tie};
use super::rows::{Domain, Rows, Sum, Weighted};
use crate::numerics::logit;
use crate::{Error, Result};

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
///
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
    let rows = Rows::new(labels, probabilities, Domain::Probabilities, weights)?;
    rows.need_positives("predicted over observed")?;
    Ok(predicted_over_observed_of(&rows))
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
///
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
    calibration_line_of(&Rows::new(labels, probabilities, Domain::Probabilities, weights)?)
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
///
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
    let rows = Rows::new(labels, probabilities, Domain::Probabilities, weights)?;
    check_bins(bins)?;
    let mut found = bins_of(&Ranked::of(&rows), bins);
    found.iter_mut().for_each(|bin| bin.weight *= rows.weights.unit);
    Ok(found)
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
///
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
    let rows = Rows::new(labels, probabilities, Domain::Probabilities, weights)?;
    check_bins(bins)?;
    Ok(ece_of(&Ranked::of(&rows), bins))
}

pub(super) fn predicted_over_observed_of(rows: &impl Weighted) -> f64 {
    rows.sum(|_, p| p) / rows.positive()
}

pub(super) fn calibration_line_of(rows: &impl Weighted) -> Result<CalibrationLine> {
    rows.need_both_classes("the calibration line")?;
    let n = rows.len();
    let (mut logits, mut targets, mut weights) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for row in 0..n {
        let (label, p, weight) = rows.row(row);
        if (p == 0.0 || p == 1.0) && weight > 0.0 {
            return Err(Error::invalid(
                "probabilities",
                format!("{p} at row {row}"),
                "strictly between 0 and 1 for a calibration line, as 0 and 1 have no finite logit",
            ));
        }
        logits[row] = logit(p);
        targets[row] = f64::from(u8::from(label));
        weights[row] = weight * rows.unit();
    }
    let (target, weights) = (|row: usize| targets[row], Some(&weights[..]));
    let line = fit_line(&logits, target, weights).map_err(|error| match error {
        // The caller knows probabilities, not logits.
        Error::InvalidArgument { argument: "scores", expected, .. } => {
            Error::invalid("probabilities", "the same in every row", expected)
        }
        other => other,
    })?;
    let (in_the_large, in_the_large_error) = fit_intercept(&logits, target, weights)?;
    Ok(CalibrationLine {
        intercept: line.intercept,
        intercept_standard_error: line.covariance[0][0].sqrt(),
        slope: line.slope,
        slope_standard_error: line.covariance[1][1].sqrt(),
        intercept_given_slope_one: in_the_large,
        intercept_given_slope_one_standard_error: in_the_large_error,
    })
}

pub(super) fn check_bins(bins: usize) -> Result<()> {
    if bins > 0 { Ok(()) } else { Err(Error::invalid("bins", bins, "at least 1")) }
}

/// The bins, with weights in the unit of the rows' weights.
pub(super) fn bins_of(rows: &Ranked, bins: usize) -> Vec<Bin> {
    let total = rows.total();
    let mut below = Sum::default();
    let mut found: Vec<(usize, OpenBin)> = Vec::new();
    for tie in rows.ties() {
        let middle = below.value() + 0.5 * tie.weight();
        below.add(tie.weight());
        // A last tie of almost no weight has its middle at `total` after rounding.
        let place = ((middle * bins as f64 / total) as usize).min(bins - 1);
        match found.last_mut() {
            Some((last, bin)) if *last == place => bin.add(&tie),
            _ => found.push((place, OpenBin::of(&tie))),
        }
    }
    found.into_iter().map(|(_, bin)| bin.close()).collect()
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
    fn of(tie: &Tie) -> Self {
        let (lower, upper) = (tie.score, tie.score);
        let [weight, predicted, positive] = [Sum::default(); 3];
        let mut bin = Self { rows: 0, weight, predicted, positive, lower, upper };
        bin.add(tie);
        bin
    }

    fn add(&mut self, tie: &Tie) {
        self.rows += tie.rows;
        self.weight.add(tie.weight());
        self.predicted.add(tie.weight() * tie.score);
        self.positive.add(tie.positive);
        self.upper = tie.score;
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

pub(super) fn ece_of(rows: &Ranked, bins: usize) -> f64 {
    let gaps = bins_of(rows, bins)
        .into_iter()
        .map(|bin| bin.weight * (bin.mean_predicted - bin.observed).abs());
    // Rounding must not carry a score that is always wrong past 1.
    (gaps.collect::<Sum>().value() / rows.total()).min(1.0)
}
