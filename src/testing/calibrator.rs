//! The laws of calibrators.

use super::findings::{BrokenLaw, Findings, Law};
use super::inputs::{on_threads, uniform};
use crate::calibration::{
    BoxCalibrator, Calibration, CalibrationMap, CalibrationSet, Calibrator, Scale, TrainingContext,
};
use crate::core::{Distortion, Error, Result};
use crate::metrics::log_loss;
use crate::numerics::sigmoid;

/// The relative difference of two solutions of the same problem by sums in another order: what the promise of 1e-8 to
/// the optimum leaves.
const SOLUTION: f64 = 1e-8;
/// That of sums of up to a million probabilities.
const SUM: f64 = 1e-9;
/// A fall by rounding, of a number up to 1 made by some ten operations, is none.
const FALL: f64 = 1e-14;

const GRID: [f64; 13] = [-1e4, -50.0, -6.5, -4.0, -2.25, -1.0, -0.1, 0.0, 0.3, 1.0, 3.9, 60.0, 1e4];
const FAR: [f64; 4] = [f64::NEG_INFINITY, f64::INFINITY, 1e300, -1e300];

/// The laws of a [`Calibrator`] and its map. A calibrator that does not [need rows](Calibrator::needs_rows) is held
/// against those of its map alone.
///
/// [`Probabilities`](Law::Probabilities), [`Monotone`](Law::Monotone), [`Balanced`](Law::Balanced),
/// [`Report`](Law::Report), [`Weights`](Law::Weights), [`RowOrder`](Law::RowOrder), [`Scale`](Law::Scale) of weights and
/// scores, [`Threads`](Law::Threads), [`Finite`](Law::Finite), and [`Answers`](Law::Answers) of the right kind for rows
/// that nobody can learn from. Where a promise below does not hold for a calibrator, its field says so.
///
/// ```
/// use imbalance::calibration::{
///     Calibration, CalibrationMap, CalibrationSet, Calibrator, TrainingContext,
/// };
/// use imbalance::testing::CalibratorSuite;
///
/// /// One probability for all rows.
/// #[derive(Debug)]
/// struct BaseRate;
///
/// #[derive(Debug)]
/// struct Constant {
///     log_odds: f64,
/// }
///
/// impl CalibrationMap for Constant {
///     fn logit(&self, z: f64) -> f64 {
///         if z.is_nan() { z } else { self.log_odds }
///     }
/// }
///
/// impl Calibrator for BaseRate {
///     type Map = Constant;
///
///     fn needs_rows(&self) -> bool {
///         true
///     }
///
///     fn fit(
///         &self,
///         _: &TrainingContext,
///         rows: Option<&CalibrationSet<'_>>,
///     ) -> imbalance::Result<Calibration<Constant>> {
///         let rows = CalibrationSet::representative(rows, "BaseRate")?;
///         let totals = rows.totals();
///         let log_odds = (totals.positive_weight / totals.negative_weight).ln();
///         Ok(Calibration::new(Constant { log_odds }))
///     }
/// }
///
/// let suite = CalibratorSuite {
///     takes_certain_scores: true,
///     takes_separated_scores: true,
///     ..CalibratorSuite::default()
/// };
/// assert_eq!(suite.run(&BaseRate), []);
/// ```
#[derive(Debug)]
pub struct CalibratorSuite {
    /// The map does not fall. Default: true.
    pub is_monotone: bool,
    /// Σp = Σy on the rows learned from. Default: true.
    pub is_balanced: bool,
    /// It learns from scores of −∞ and ∞. If not, they are [`Error::CertainScores`]. Default: false.
    pub takes_certain_scores: bool,
    /// Scores that separate the classes have a solution. If not, they are [`Error::SeparatedScores`]. Default: false.
    pub takes_separated_scores: bool,
    /// The map may have a peak, so that one positive score among negatives separates the classes. Default: false.
    pub has_peak: bool,
    /// A weight is a number of rows, so twice all weights is more evidence. Default: false.
    pub counts_rows: bool,
    /// What scores get that rank the wrong way round. Default: the base rate, to 10⁻¹².
    pub reversed: ReversedScores,
    /// The probability of eight rows of equal score −1, of which one is positive. Default: 1/8.
    pub one_in_eight: f64,
    /// How a second fit, on the first one's outcome, may change it. Default: by one standard error of the base rate.
    pub again: SecondFit,
    /// The calibrator of that second fit, if it is another one. Default: none.
    pub second: Option<BoxCalibrator>,
    /// Scores in any unit from one over this to this give the same probabilities. Default: none do.
    pub scale_free_to: Option<f64>,
    /// Number of random sets of rows. Default: 4.
    pub cases: u64,
}

/// The map of scores that rank the wrong way round.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ReversedScores {
    /// The base rate for all, to this tolerance.
    Rate(f64),
    /// One half for all: without an intercept it is the only constant.
    Half,
    /// Any map.
    Free,
}

/// How a second fit can change the first one's probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SecondFit {
    /// The maps are closed under composition and hold the identity: the optimum is reached at once.
    Same,
    /// They are not: a little is left to gain, less than noise. In root mean square the change is below the standard
    /// error of the base rate, √(r(1 − r)/n), times this.
    Within(f64),
}

impl Default for CalibratorSuite {
    fn default() -> Self {
        Self {
            is_monotone: true,
            is_balanced: true,
            takes_certain_scores: false,
            takes_separated_scores: false,
            has_peak: false,
            counts_rows: false,
            reversed: ReversedScores::Rate(1e-12),
            one_in_eight: 0.125,
            again: SecondFit::Within(1.0),
            second: None,
            scale_free_to: None,
            cases: 4,
        }
    }
}

type CalibratorLaw<C> = fn(&CalibratorSuite, &C, &mut Findings) -> Result<()>;

impl CalibratorSuite {
    /// The laws that the calibrator breaks.
    #[must_use]
    pub fn run<C: Calibrator>(&self, calibrator: &C) -> Vec<BrokenLaw> {
        let laws: [CalibratorLaw<C>; 4] =
            [Self::random_rows, Self::ties, Self::units_of_scores, Self::common_extremes];
        let of_learners: [CalibratorLaw<C>; 5] = [
            Self::refusals,
            Self::second_fit,
            Self::reversed,
            Self::extremes,
            Self::nearly_separated,
        ];
        let learns = calibrator.needs_rows();
        let mut found = Findings::default();
        for law in laws.iter().chain(of_learners.iter().filter(|_| learns)) {
            let answer = law(self, calibrator, &mut found);
            found.answer(answer);
        }
        found.into_broken()
    }

    fn random_rows<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        for case in 0..self.cases {
            let (z, y) = rows(case);
            found.on(format!("random rows {case}"));
            let map = learn(calibrator, &z, &y, None)?;
            self.lawful(calibrator, &map, (&z, &y), found)?;
            let at = everywhere(&z);

            // A row of weight 2 is that row twice, a row of weight 0 is absent.
            let multiple = |i: usize| (4.0 * uniform(case + 1_000, i)).floor();
            let weights: Vec<f64> =
                (0..z.len()).map(|i| if i + 6 < z.len() { multiple(i) } else { 1.0 }).collect();
            let repeat = |i: usize| std::iter::repeat_n((z[i], y[i]), weights[i] as usize);
            let (z2, y2): (Vec<f64>, Vec<bool>) = (0..z.len()).flat_map(repeat).unzip();
            let weighted = learn(calibrator, &z, &y, Some(&weights))?;
            found.on(format!("random rows {case}, of weights 0 to 3 and repeated"));
            alike(&weighted, &learn(calibrator, &z2, &y2, None)?, &at, Law::Weights, found);

            // The order of the rows is nothing, also where many scores are equal.
            let (z3, y3) = shuffled(&z, &y, case);
            found.on(format!("random rows {case}, in another order"));
            alike(&learn(calibrator, &z3, &y3, None)?, &map, &at, Law::RowOrder, found);

            // The unit of the weights is nothing, to the last bit.
            let units = [2_f64.powi(600), 2_f64.powi(-600)];
            for unit in units.iter().filter(|_| !self.counts_rows) {
                let scaled: Vec<f64> = weights.iter().map(|weight| weight * unit).collect();
                let scaled = learn(calibrator, &z, &y, Some(&scaled))?;
                found.on(format!("random rows {case}, weights times {unit:.1e}"));
                for (row, &z) in at.iter().enumerate() {
                    found.near(
                        Law::Scale,
                        row,
                        [scaled.probability(z), weighted.probability(z)],
                        0.0,
                    );
                }
            }
        }
        Ok(())
    }

    /// Calibrated scores are left alone.
    fn second_fit<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        for case in 0..self.cases {
            let (z, y) = rows(case + 2_000);
            let map = learn(calibrator, &z, &y, None)?;
            let again: Vec<f64> = z.iter().map(|&z| map.logit(z)).collect();
            // Flat maps leave nothing to learn.
            if again.iter().all(|&z| z == again[0]) {
                continue;
            }
            let set = CalibrationSet::from_logits(&again, &y)?;
            let q = match &self.second {
                Some(second) => second.learn(&set)?.probabilities(&again)?,
                None => calibrator.learn(&set)?.probabilities(&again)?,
            };
            let n = y.len() as f64;
            let rate = y.iter().filter(|&&y| y).count() as f64 / n;
            let mut square = 0.0;
            found.on(format!("random rows {}, fitted a second time", case + 2_000));
            for (row, (&z, &q)) in again.iter().zip(&q).enumerate() {
                let p = sigmoid(z);
                if self.again == SecondFit::Same {
                    found.near(Law::SecondFit, row, [q, p], SOLUTION);
                }
                square += (p - q).powi(2) / n;
            }
            if let SecondFit::Within(bound) = self.again {
                let errors = (square / (rate * (1.0 - rate) / n)).sqrt();
                let texts = || {
                    (format!("a change of {errors} standard errors"), format!("at most {bound}"))
                };
                found.holds(Law::SecondFit, None, errors <= bound, texts);
            }
        }
        Ok(())
    }

    fn ties<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        let n = 10_000;
        let digits = |z: f64| (z * 1e3).round() / 1e3;
        let z: Vec<f64> =
            (0..n).map(|i| digits(-6.0 + 9.0 * uniform(1, i) * uniform(2, i))).collect();
        let truth = |z: f64| sigmoid(0.8 * z - 0.3 + 0.05 * z * z);
        let y: Vec<bool> = (0..n).map(|i| uniform(3, i) < truth(z[i])).collect();
        let mut distinct = z.clone();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let (z2, y2) = shuffled(&z, &y, 4);
        let map = learn(calibrator, &z, &y, None)?;
        found.on("10,000 rows in heavy ties");
        self.lawful(calibrator, &map, (&z, &y), found)?;
        let other = learn(calibrator, &z2, &y2, None)?;
        alike(&other, &map, &everywhere(&distinct), Law::RowOrder, found);
        let on =
            |threads| on_threads(threads, || learn(calibrator, &z, &y, None)?.probabilities(&z));
        let one = on(1)?;
        for threads in [2, 3] {
            found.on(format!("10,000 rows in heavy ties, {threads} threads after 1"));
            for (row, (&p, &expected)) in on(threads)?.iter().zip(&one).enumerate() {
                found.near(Law::Threads, row, [p, expected], 0.0);
            }
        }
        Ok(())
    }

    fn reversed<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        // At each higher score fewer of twenty are positive; then all but none, so that the classes separate.
        let z: Vec<f64> = (0..400).map(|i| f64::from(i / 20) * 0.4 - 4.0).collect();
        let falling = (0..400).map(|i| i % 20 < 20 - i / 20).collect();
        let separated = (0..400).map(|i| i < 200).collect();
        for (what, y) in [("falling", falling), ("separated", separated)] {
            let y: Vec<bool> = y;
            let rate = y.iter().filter(|&&y| y).count() as f64 / 400.0;
            let (expected, tolerance) = match self.reversed {
                ReversedScores::Rate(tolerance) => (rate, tolerance),
                ReversedScores::Half => (0.5, 1e-12),
                ReversedScores::Free => continue,
            };
            let map = learn(calibrator, &z, &y, None)?;
            let p = map.probability(z[0]);
            found.on(format!("scores that rank the wrong way round, {what}"));
            for (row, z) in everywhere(&z).into_iter().enumerate() {
                found.near(Law::Reversed, row, [map.probability(z), p], 0.0);
            }
            found.near(Law::Reversed, None, [p, expected], tolerance);
        }
        Ok(())
    }

    fn refusals<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        let set = |y: &'static [bool]| {
            CalibrationSet::from_logits(vec![-1.0, 0.0, 1.0, 2.0][..y.len()].to_vec(), y)
        };
        let distortion = Distortion::PriorShift { log_odds: 1.0 };
        let shifted = set(&[false, true, false, true])?.with_distortion(distortion);
        found.on("distorted rows");
        let is_right = |error: &Error| matches!(error, Error::DistortedCalibration { .. });
        found.refuses(&calibrator.learn(&shifted), is_right, "DistortedCalibration");
        let no_rows = |error: &Error| matches!(error, Error::NoRows { .. });
        found.on("no rows");
        found.refuses(&calibrator.learn(&set(&[])?), no_rows, "NoRows");
        found.on("no set of rows");
        found.refuses(&calibrator.fit(&TrainingContext::default(), None), no_rows, "NoRows");
        found.on("rows of one class");
        let is_right = |error: &Error| matches!(error, Error::OneClass { .. });
        found.refuses(&calibrator.learn(&set(&[true; 4])?), is_right, "OneClass");
        Ok(())
    }

    /// Logits of ±1e4 among ordinary ones, which every calibrator takes.
    fn common_extremes<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        let z = [-1e4, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 1e4];
        let y = [false, false, true, false, true, false, true, true];
        found.on("scores with −10⁴ and 10⁴");
        let map = learn(calibrator, &z, &y, None)?;
        sane(&map, found);
        self.lawful(calibrator, &map, (&z, &y), found)
    }

    fn extremes<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        let certain = |error: &Error| matches!(error, Error::CertainScores { rows: 2, row: 0, .. });
        let separated = |error: &Error| matches!(error, Error::SeparatedScores { .. });
        let (taken, expected) = (self.takes_certain_scores, "CertainScores, 2 rows from row 0");
        let z = [f64::NEG_INFINITY, -1.4, -0.8, 0.4, 0.8, f64::INFINITY];
        let y = [false, false, true, false, true, true];
        found.on("scores with −∞ and ∞");
        self.fits_if(taken, calibrator, (&z, &y), (certain, expected), found)?;

        found.on("equal scores");
        let y = [true, false, false, false, false, false, false, false];
        let map = learn(calibrator, &[-1.0; 8], &y, None)?;
        found.near(Law::EqualScores, None, [map.probability(-1.0), self.one_in_eight], 1e-12);
        self.fits_if(true, calibrator, (&[-1.0; 8], &y), (separated, ""), found)?;

        found.on("three rows");
        let rows: (&[f64], &[bool]) = (&[-1.0, 1.0, 0.5], &[false, false, true]);
        self.fits_if(!self.has_peak, calibrator, rows, (separated, "SeparatedScores"), found)?;

        found.on("scores that separate the classes");
        let rows: (&[f64], &[bool]) = (&[-3.0, -2.0, 2.0, 3.0], &[false, false, true, true]);
        let taken = self.takes_separated_scores;
        self.fits_if(taken, calibrator, rows, (separated, "SeparatedScores"), found)?;

        let n = 1_000_000;
        let z: Vec<f64> = (0..n).map(|i| f64::from(i % 1000) * 0.01 - 20.0).collect();
        let y: Vec<bool> = (0..n).map(|i| i == 700).collect();
        found.on("one positive in a million");
        self.fits_if(!self.has_peak, calibrator, (&z, &y), (separated, "SeparatedScores"), found)
    }

    /// Fifty rows in ten thousand, those nearest to 0, are on the wrong side: a steep map.
    fn nearly_separated<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        let z: Vec<f64> = (0..10_000).map(|i| 8.0 * uniform(11, i) - 4.0).collect();
        let mut by_size: Vec<usize> = (0..z.len()).collect();
        by_size.sort_by(|&i, &j| z[i].abs().total_cmp(&z[j].abs()));
        let mut y: Vec<bool> = z.iter().map(|&z| z > 0.0).collect();
        by_size[..50].iter().for_each(|&i| y[i] = !y[i]);
        found.on("scores that all but separate the classes");
        let map = learn(calibrator, &z, &y, None)?;
        self.lawful(calibrator, &map, (&z, &y), found)
    }

    /// Scores in any unit: the same probabilities, or an error of the arithmetic, and never a NaN.
    fn units_of_scores<C: Calibrator>(&self, calibrator: &C, found: &mut Findings) -> Result<()> {
        let z: Vec<f64> = (0..200).map(|i| f64::from(i) * 0.06 - 7.0).collect();
        let labels: Vec<bool> = (0..200).map(|i| (7919 * i) % 200 < i).collect();
        let expected = learn(calibrator, &z, &labels, None)?.probabilities(&z)?;
        let powers =
            (-320..=300).step_by(20).chain([-323, -310, -308, -305, -292, -290, -162, -155]);
        let powers = powers.chain([-8, -6, -4, -2, 2, 155, 162, 305]);
        for unit in powers.map(|k| 10_f64.powi(k)).filter(|&unit| unit > 0.0) {
            found.on(format!("scores times {unit:e}"));
            let scores: Vec<f64> = z.iter().map(|z| z * unit).collect();
            let is_free = |to: f64| (1.0 / to..to).contains(&unit);
            match learn(calibrator, &scores, &labels, None) {
                Ok(map) => {
                    let far = FAR.iter().chain(&[0.0, 1.0, -1.0, 1e-300]);
                    for (row, &z) in scores.iter().chain(far).enumerate() {
                        let p = map.probability(z);
                        let numbers = || (format!("{p:?} at {z:?}"), "a probability");
                        found.holds(Law::Finite, row, (0.0..=1.0).contains(&p), numbers);
                    }
                    // Below the normal numbers scores have lost digits before they are learned from.
                    if self.scale_free_to.is_some() && unit > 1e-290 {
                        for (row, (&z, &expected)) in scores.iter().zip(&expected).enumerate() {
                            found.near(Law::Scale, row, [map.probability(z), expected], 1e-7);
                        }
                    }
                }
                Err(Error::Numerical { .. } | Error::SeparatedScores { .. }) => {
                    let free = self.scale_free_to.is_some_and(is_free);
                    found.holds(Law::Scale, None, !free, || ("an error", "the same probabilities"));
                }
                Err(error) => {
                    let expected = "a map, Numerical or SeparatedScores";
                    found.holds(Law::Finite, None, false, || (format!("{error:?}"), expected));
                }
            }
        }
        Ok(())
    }

    /// A lawful map if the rows can be learned from, else the error.
    fn fits_if<C: Calibrator>(
        &self,
        can: bool,
        calibrator: &C,
        (z, y): (&[f64], &[bool]),
        (is_right, expected): (impl FnOnce(&Error) -> bool, &str),
        found: &mut Findings,
    ) -> Result<()> {
        let learned = learn(calibrator, z, y, None);
        if !can {
            found.refuses(&learned, is_right, expected);
            return Ok(());
        }
        if let Some(map) = found.answer(learned) {
            sane(&map, found);
            self.lawful(calibrator, &map, (z, y), found)?;
        }
        Ok(())
    }

    /// What holds for every map on the rows it was learned from, of weight 1.
    fn lawful<C: Calibrator>(
        &self,
        calibrator: &C,
        map: &Calibration<C::Map>,
        (z, y): (&[f64], &[bool]),
        found: &mut Findings,
    ) -> Result<()> {
        let p = map.probabilities(z)?;
        let positives = y.iter().filter(|&&y| y).count() as f64;
        let predicted: f64 = p.iter().sum();
        if self.is_balanced && calibrator.needs_rows() {
            found.near(Law::Balanced, None, [predicted, positives], SUM * positives);
        }
        if self.is_monotone {
            let mut at: Vec<f64> = z.iter().chain(&GRID).chain(&FAR).copied().collect();
            at.sort_by(f64::total_cmp);
            let mapped = map.probabilities(&at)?;
            for (pair, z) in mapped.windows(2).zip(at.windows(2)) {
                let numbers = || (format!("{pair:?} at {z:?}"), "a rise");
                found.holds(Law::Monotone, None, pair[1] >= pair[0] - FALL, numbers);
            }
        }
        same_bits(map, z, &p, found)?;

        // What the report says of the calibration rows holds.
        let Some(report) = map.report() else { return Ok(()) };
        found.equal(Law::Report, None, &report.rows, &z.len());
        let near = |found: &mut Findings, pair: [f64; 2]| {
            found.near(Law::Report, None, pair, SUM * pair[1]);
        };
        near(found, [report.after.predicted_over_observed, predicted / positives]);
        let came: f64 = z.iter().map(|&z| sigmoid(z)).sum();
        near(found, [report.before.predicted_over_observed, came / positives]);
        let loss = log_loss(y, &p, None)?;
        if loss.is_finite() {
            // The report's comes from logits, which keep what 1 − p rounds away: up to 1e-16 a row.
            found.near(Law::Report, None, [report.after.log_loss, loss], SUM * loss + 1e-15);
        }
        Ok(())
    }
}

/// One value, a block, and all on all cores are the same bits, and so is the map as a plain value.
fn same_bits<M: CalibrationMap>(
    map: &Calibration<M>,
    z: &[f64],
    p: &[f64],
    found: &mut Findings,
) -> Result<()> {
    let law = Law::Probabilities;
    let mut into = vec![0.0; z.len()];
    map.probabilities_into(z, &mut into)?;
    let mut block = z.to_vec();
    map.apply(Scale::Logit, &mut block);
    let built_in = match map.built_in() {
        Some(built_in) => {
            found.equal(law, None, &built_in.describe(), &map.describe());
            Some(Calibration::new(built_in).probabilities(z)?)
        }
        None => None,
    };
    for (row, &p) in p.iter().enumerate() {
        found.near(law, row, [into[row], p], 0.0);
        found.near(law, row, [block[row], p], 0.0);
        found.near(law, row, [built_in.as_ref().map_or(p, |of| of[row]), p], 0.0);
    }
    for row in (0..z.len()).step_by(z.len() / 50 + 1) {
        found.near(law, row, [map.probability(z[row]), p[row]], 0.0);
        if let Some(built_in) = map.built_in() {
            found.near(law, row, [built_in.probability(z[row]), p[row]], 0.0);
        }
        // A logit of 700 holds 13 digits of p near 0.
        found.near(law, row, [sigmoid(map.logit(z[row])), p[row]], 1e-12 * p[row]);
    }
    let scores: Vec<f64> = z.iter().map(|&z| sigmoid(z)).chain([0.0, 1e-310, 1.0]).collect();
    let of = map.probabilities_of(&scores)?;
    let mut block = scores.clone();
    map.apply(Scale::Probability, &mut block);
    for row in 0..scores.len() {
        found.near(law, row, [block[row], of[row]], 0.0);
    }
    for row in (0..scores.len()).step_by(z.len() / 50 + 1) {
        found.near(law, row, [map.probability_of(scores[row]), of[row]], 0.0);
    }
    Ok(())
}

/// Probabilities everywhere, NaN for NaN, and errors that name the row.
fn sane<M: CalibrationMap>(map: &Calibration<M>, found: &mut Findings) {
    let law = Law::Probabilities;
    for z in GRID.iter().chain(&FAR) {
        let p = map.probability(*z);
        let numbers = || (format!("{p:?} at {z:?}"), "a probability");
        found.holds(law, None, (0.0..=1.0).contains(&p), numbers);
    }
    for (what, p) in [("NaN", map.probability(f64::NAN)), ("1.5", map.probability_of(1.5))] {
        found.holds(law, None, p.is_nan(), || (format!("{p:?} for {what}"), "NaN"));
    }
    let named = |row: usize| move |error: &Error| matches!(error, Error::NonFinite { row: at, .. } if *at == row);
    found.refuses(&map.probabilities(&[0.0, f64::NAN, f64::NAN]), named(1), "NonFinite, row 1");
    let value_is = |text: &'static str| move |error: &Error| matches!(error, Error::InvalidArgument { value, .. } if value == text);
    let of = map.probabilities_of(&[0.0, 1.0, -0.5]);
    found.refuses(&of, value_is("-0.5 at row 2"), "InvalidArgument, row 2");
    let into = map.probabilities_into(&[0.0; 2], &mut [0.0; 3]);
    let is_right = |error: &Error| matches!(error, Error::LengthMismatch { .. });
    found.refuses(&into, is_right, "LengthMismatch");
    let mut many = vec![0.25; 20_000];
    (many[9_999], many[15_000]) = (2.0, -1.0);
    let of = map.probabilities_of(&many);
    found.refuses(&of, value_is("2 at row 9999"), "InvalidArgument, row 9999");
    (many[9_999], many[15_000]) = (f64::NAN, f64::NAN);
    found.refuses(&map.probabilities(&many), named(9_999), "NonFinite, row 9999");
    if let Some(one) = found.answer(map.probabilities_of(&[0.25])) {
        found.near(law, None, [one[0], map.probability_of(0.25)], 0.0);
    }
}

fn learn<C: Calibrator>(
    calibrator: &C,
    z: &[f64],
    y: &[bool],
    weights: Option<&[f64]>,
) -> Result<Calibration<C::Map>> {
    let set = CalibrationSet::from_logits(z, y)?;
    match weights {
        Some(weights) => calibrator.learn(&set.with_weights(weights)?),
        None => calibrator.learn(&set),
    }
}

fn alike<M: CalibrationMap>(
    map: &Calibration<M>,
    expected: &Calibration<M>,
    at: &[f64],
    law: Law,
    found: &mut Findings,
) {
    for (row, &z) in at.iter().enumerate() {
        let (p, q) = (map.probability(z), expected.probability(z));
        found.near(law, row, [p, q], SOLUTION * p.max(q));
    }
}

/// 60 to 199 scores, with labels from a bent truth; both classes overlap. Half of the sets are rounded.
fn rows(case: u64) -> (Vec<f64>, Vec<bool>) {
    let n = 60 + (140.0 * uniform(case + 10_000, 0)) as usize;
    let digits = |z: f64| if case % 2 == 1 { (z * 2.0).round() / 2.0 } else { z };
    let row = |i: usize| {
        let z = digits(10.0 * uniform(case + 20_000, i) - 6.0);
        (z, uniform(case + 30_000, i) < sigmoid(0.6 * z - 0.5 + 0.05 * z * z))
    };
    let (mut z, mut y): (Vec<f64>, Vec<bool>) = (0..n).map(row).unzip();
    // An overlap on both sides of one half, so that every maximum is finite.
    z.extend([-1.5, -0.5, 0.5, 1.5, -1.0, 1.0]);
    y.extend([true, false, true, false, true, false]);
    (z, y)
}

/// The rows in another order.
fn shuffled(z: &[f64], y: &[bool], seed: u64) -> (Vec<f64>, Vec<bool>) {
    let keys: Vec<f64> = (0..z.len()).map(|row| uniform(seed, row)).collect();
    let mut order: Vec<usize> = (0..z.len()).collect();
    order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    order.iter().map(|&row| (z[row], y[row])).unzip()
}

/// All scores and the grid.
fn everywhere(z: &[f64]) -> Vec<f64> {
    z.iter().chain(&GRID).copied().collect()
}
