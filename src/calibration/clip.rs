//! Scores held away from 0 and 1.

use super::report::Solution;
use super::{BuiltInMap, Calibration, CalibrationMap, CalibrationSet, Calibrator, TrainingContext};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::numerics::logit;

/// Moves probabilities below a bound ε to ε, and those above 1 − ε to 1 − ε: for scores of exactly 0 or 1, which
/// have no logit, before a calibrator that fits a curve of the logit.
///
/// The map clips the scores of later rows too. How many of its rows were moved is in the report
/// ([`CalibrationReport::clipped`](super::CalibrationReport::clipped)), also in that of a
/// [`Chain`](super::Chain). Clipping corrects nothing that sampler or loss did.
///
/// The bound matters: a curve of the logit is fitted to −13.8 at ε = 10⁻⁶ and to −27.6 at 10⁻¹². Take the
/// smallest probability that the model can mean, such as 1 over the number of rows it learned from.
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, Clip, PlattScaling};
///
/// let scores = [0.0, 0.2, 0.3, 0.6, 0.7, 1.0];
/// let set = CalibrationSet::from_probabilities(&scores, &[false, false, true, false, true, true])?;
/// assert!(PlattScaling::new().learn(&set).is_err());
/// let calibration = Clip::new(1e-3)?.then(PlattScaling::new()).learn(&set)?;
/// assert_eq!(calibration.report().expect("it learned").clipped, 2);
/// assert!(calibration.probability_of(0.0) > 0.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    bound: f64,
}

const NAME: &str = "Clip";

impl Clip {
    /// Probabilities from `bound` to 1 − `bound`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `bound` < ½.
    pub fn new(bound: f64) -> Result<Self> {
        if bound > 0.0 && bound < 0.5 {
            Ok(Self { bound })
        } else {
            Err(Error::invalid("bound", bound, "above 0 and below 0.5"))
        }
    }
}

impl Calibrator for Clip {
    type Map = ClipMap;

    fn needs_rows(&self) -> bool {
        false
    }

    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        let map = ClipMap::new(self.bound)?;
        let clipped =
            rows.map_or(0, |rows| rows.sample().rows().filter(|(z, _)| z.abs() > map.most).count());
        let solution = Solution { clipped, ..Solution::default() };
        Calibration::in_closed_form(NAME, map, solution, rows)
    }

    saved_as_part!();
}

/// The map of a [`Clip`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipMap {
    bound: f64,
    /// The largest logit.
    most: f64,
}

impl ClipMap {
    /// The map to probabilities from `bound` to 1 − `bound`.
    ///
    /// # Errors
    /// As for [`Clip::new`].
    pub fn new(bound: f64) -> Result<Self> {
        Clip::new(bound).map(|Clip { bound }| Self { bound, most: -logit(bound) })
    }
}

impl CalibrationMap for ClipMap {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        z.clamp(-self.most, self.most)
    }

    fn describe(&self) -> String {
        format!("clipped to [{0:e}, 1 − {0:e}]", self.bound)
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some((*self).into())
    }

    saved_as_part!();
}

stored!(Clip as "clip_calibration", |clip| { bound: f64 = clip.bound } => Self::new(bound));

stored!(ClipMap as "clip", |map| { bound: f64 = map.bound } => Self::new(bound));
