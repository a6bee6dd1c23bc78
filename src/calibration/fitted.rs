//! A fitted calibration: a map, and the report of its fit.

use std::ops::Deref;

use super::report::Solution;
use super::set::{no_logit, not_in_unit};
use super::{CalibrationMap, CalibrationReport, CalibrationSet, Scale};
use crate::core::{Error, Result, same_length, stored};
use crate::exec::parallel::{self, BLOCK, position_in};

/// A fitted calibration: a map from scores to probabilities, and what its calibrator reports of it.
///
/// Scores are logits in [`probability`](Self::probability), and probabilities in
/// [`probability_of`](Self::probability_of), where a number outside \[0, 1\] gives NaN. The parameters are those
/// of the [map](Self::map), whose methods can be called on the calibration itself.
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, PlattScaling};
///
/// let set = CalibrationSet::from_probabilities(&[0.9, 0.6, 0.7, 0.2], &[true, false, true, false])?;
/// let calibration = PlattScaling::new().learn(&set)?;
/// let slope = calibration.slope(); // of its map
/// let p = calibration.probabilities_of(&[0.2, 0.9])?;
/// assert!(slope > 0.0 && p[0] < p[1]);
/// println!("{}", calibration.report().expect("it learned"));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration<M> {
    map: M,
    report: Option<CalibrationReport>,
}

impl<M> Calibration<M> {
    /// A map without a report.
    pub fn new(map: M) -> Self {
        Self { map, report: None }
    }

    /// A map that a calibrator learned.
    pub(super) fn learned(map: M, report: CalibrationReport) -> Self {
        Self { map, report: Some(report) }
    }

    /// The map.
    pub fn map(&self) -> &M {
        &self.map
    }

    /// The map alone.
    pub fn into_map(self) -> M {
        self.map
    }

    /// The fit of a map that was learned, or how well a map in closed form does on the rows given. None where no
    /// representative rows were given.
    pub fn report(&self) -> Option<&CalibrationReport> {
        self.report.as_ref()
    }
}

impl<M: CalibrationMap> Calibration<M> {
    /// A map in closed form, with its report on the rows if they are representative.
    pub(super) fn in_closed_form(
        calibrator: &'static str,
        map: M,
        solution: Solution,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Self> {
        let rows = CalibrationSet::representative(rows, calibrator).ok();
        let report = rows.map(|rows| {
            CalibrationReport::of_probabilities(calibrator, rows, solution, |z| map.probability(z))
        });
        Ok(Self { report: report.transpose()?, map })
    }

    /// The probability of a score that is a logit.
    #[inline]
    pub fn probability(&self, logit: f64) -> f64 {
        self.map.probability(logit)
    }

    /// The probability of a score that is a probability; NaN outside \[0, 1\].
    pub fn probability_of(&self, probability: f64) -> f64 {
        let mut score = [probability];
        self.map.apply(Scale::Probability, &mut score);
        score[0]
    }

    /// The calibrated log-odds of a score that is a logit.
    #[inline]
    pub fn logit(&self, logit: f64) -> f64 {
        self.map.logit(logit)
    }

    /// The probabilities of logits, in one pass on all cores.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a NaN (±∞ are certain scores); [`Error::Contract`] for a map of your own whose
    /// answer is no probability.
    pub fn probabilities(&self, logits: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; logits.len()];
        self.write(Scale::Logit, logits, &mut out)?;
        Ok(out)
    }

    /// The probabilities of scores that are probabilities, in one pass on all cores.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a number outside \[0, 1\]; [`Error::Contract`] as for
    /// [`probabilities`](Self::probabilities).
    pub fn probabilities_of(&self, probabilities: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; probabilities.len()];
        self.write(Scale::Probability, probabilities, &mut out)?;
        Ok(out)
    }

    /// Writes the probabilities of logits, in one pass on all cores, without allocation.
    ///
    /// # Errors
    /// As for [`probabilities`](Self::probabilities), and [`Error::LengthMismatch`] for an output of another
    /// length.
    pub fn probabilities_into(&self, logits: &[f64], out: &mut [f64]) -> Result<()> {
        same_length("the output", out.len(), "the scores", logits.len())?;
        self.write(Scale::Logit, logits, out)
    }

    /// A line on what the map does, for the pipeline's summary.
    pub fn describe(&self) -> String {
        self.map.describe()
    }

    /// This calibration with the type of its map erased.
    pub fn boxed(self) -> Calibration<Box<dyn CalibrationMap>>
    where
        M: 'static,
    {
        Calibration { map: Box::new(self.map), report: self.report }
    }

    fn write(&self, scale: Scale, scores: &[f64], out: &mut [f64]) -> Result<()> {
        let wrong = parallel::map_into(out, 1, BLOCK, |_, rows, out| {
            let first = rows.start;
            out.copy_from_slice(&scores[rows]);
            self.map.apply(scale, out);
            position_in(out, |p| !is_probability(*p)).map(|row| (first + row, out[row]))
        });
        let Some((row, p)) = wrong.into_iter().flatten().next() else { return Ok(()) };
        Err(match scale {
            Scale::Logit if scores[row].is_nan() => no_logit("the logits", row),
            Scale::Probability if !is_probability(scores[row]) => not_in_unit(row, scores[row]),
            _ => no_probability(row, p),
        })
    }
}

impl<M> Deref for Calibration<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.map
    }
}

#[inline(always)]
pub(crate) fn is_probability(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

/// The refusal of a map's answer that is no probability.
pub(crate) fn no_probability(row: usize, p: f64) -> Error {
    let problem = format!("it gives row {row} the probability {p}");
    Error::Contract { stage: "the calibrator".into(), problem }
}

stored!(<M: CalibrationMap> Calibration<M> as "calibration", |calibration| {
    map: PartOf<M> = as_part(calibration.map.saved(), &calibration.map),
    report: Option<CalibrationReport> = calibration.report,
} => Ok(Self { map: map.0, report }));
