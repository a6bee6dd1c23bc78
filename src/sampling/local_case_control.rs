//! Local case-control sampling.

use super::kept::{ensure_kept, independently, kept_totals};
use super::keyed::{Account, Keyed, KeyedBy, RowDraw};
use super::{Inclusion, Pilot, Resample, Sampler};
use crate::core::{ClassTotals, Dataset, Distortion, Error, Result, Run, saved_as_part, stored};
use crate::exec::parallel::{self, BLOCK};
use crate::numerics::{logit, sigmoid};

const NAME: &str = "local case-control sampling";

/// Keeps the rows that surprise a pilot model, and tells the model so by offsets: the consistent form of
/// hard negative mining (Fithian & Hastie 2014, *Local case-control sampling*, §3).
///
/// A row is kept with probability a = |y − p̃(x)|, on its own: a positive with 1 − p̃, a negative with p̃.
/// Among the kept rows of one x the odds are therefore
///
/// (η / (1 − η)) · ((1 − p̃) / p̃), that is logit η(x) − logit p̃(x),
///
/// where η is the population's probability. So each kept row gets the offset **−logit p̃(x)**: a model
/// fitted with offsets, f(x) − logit p̃(x), estimates the population's logit f = logit η directly, and
/// at prediction no offset is added. This holds whatever the pilot: a poor one costs variance, not
/// consistency. (The logit of p̃ is limited to ±30, which changes the pilot and not the argument.)
///
/// **Distortion.** [`Distortion::Offset`] with a shift of zero: a model needs no correction, but the rows are
/// no fair sample, and a calibrator that learns refuses them.
///
/// **Size.** About 2 Σ p̃(1 − p̃) rows are kept, for rare positives twice their number. With a pilot that
/// is right the variance of the coefficients is twice that of the fit to all rows. A
/// [`scale`](Self::scale) c moves between them: the probability becomes a = min(1, c|y − p̃|), and where
/// c|y − p̃| > 1 the row weighs w = max(1, c|y − p̃|). Then a·w = c|y − p̃| for every row, so the
/// *weighted* odds and the offset are as above. The variance is at most 1 + 1/c times that of the
/// full fit for c ≥ 1 (§4), and 2/c times for c < 1.
///
/// **Which losses.** The argument is about log-odds, so it holds for losses whose
/// [`posterior`](crate::loss::Loss::posterior) is the logit plus a constant: log loss and
/// its class-weighted forms.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::{LocalCaseControl, Pilot};
///
/// let log = SyntheticClicks::new(50_000, 0.02)?.numeric(4).categorical(&[]).generate(7)?;
/// let pilot = Pilot::trained(LogisticRegression::new(), LogLoss);
/// let fitted = Pipeline::new(LogisticRegression::new())
///     .sampler(LocalCaseControl::new(pilot))
///     .seed(7)
///     .fit(&log.dataset)?;
/// // Four rows in a hundred were kept, and nothing needs correction.
/// assert!(fitted.report().sample.rows() < 2_000);
/// assert!((fitted.model().intercept() - log.intercept).abs() < 0.3);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LocalCaseControl {
    pilot: Pilot,
    scale: f64,
}

/// Largest |logit p̃|: e⁻³⁰ is 10⁻¹³, beyond what any model knows.
const MAX_LOGIT: f64 = 30.0;

impl LocalCaseControl {
    /// Local case-control sampling by this pilot, with c = 1.
    #[must_use]
    pub fn new(pilot: Pilot) -> Self {
        Self { pilot, scale: 1.0 }
    }

    /// The factor c on the acceptance probabilities. Default: 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless c is positive and finite.
    pub fn scale(mut self, c: f64) -> Result<Self> {
        if !(c > 0.0 && c.is_finite()) {
            return Err(Error::invalid("c", c, "positive and finite"));
        }
        self.scale = c;
        Ok(self)
    }
}

impl Sampler for LocalCaseControl {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        data.totals().ensure_both(NAME)?;
        let mut pilot = self.pilot.probabilities(data, run)?;
        parallel::map_into(&mut pilot, 1, BLOCK, |_, _, out| {
            out.iter_mut().for_each(|p| *p = logit(*p).clamp(-MAX_LOGIT, MAX_LOGIT));
        });
        let labels = data.labels();
        // c|y − p̃|, the acceptance times the weight.
        let surprise =
            |row: usize| self.scale * sigmoid(if labels[row] { -pilot[row] } else { pilot[row] });
        let rows = independently(data.rows(), run.seed().child("acceptance"), surprise);
        kept_totals(data, &rows, NAME, |_| {
            let expected: f64 = (0..data.rows()).map(|row| surprise(row).min(1.0)).sum();
            format!("{expected:.1} rows were expected; raise `scale`, now {}", self.scale)
        })?;
        let weights = (self.scale > 1.0)
            .then(|| rows.iter().map(|&row| surprise(row).max(1.0)).collect::<Vec<_>>());
        let offsets = Some(rows.iter().map(|&row| -pilot[row]).collect());
        let distortion = Distortion::Offset { sampler: NAME.into(), log_odds: 0.0 };
        let inclusion = parallel::map(data.rows(), BLOCK, |_, rows| {
            rows.map(|row| surprise(row).min(1.0)).collect::<Vec<_>>()
        });
        let kept = Resample::kept(rows, distortion).drawn(Inclusion::Each(inclusion.concat()));
        Ok(Resample { weights, offsets, ..kept })
    }

    fn name(&self) -> String {
        NAME.into()
    }

    fn keyed(&self) -> Option<Keyed<'_>> {
        Some(Keyed(self))
    }

    saved_as_part!();
}

impl KeyedBy for LocalCaseControl {
    fn ensure_possible(&self) -> Result<()> {
        self.pilot.ensure_fitted()
    }

    fn pilot(&self) -> Option<&Pilot> {
        Some(&self.pilot)
    }

    fn row(&self, label: bool, p: f64) -> RowDraw {
        let logit = logit(p).clamp(-MAX_LOGIT, MAX_LOGIT);
        let surprise = self.scale * sigmoid(if label { -logit } else { logit });
        RowDraw { probability: surprise, weight: surprise.max(1.0), offset: -logit }
    }

    fn account(&self, population: &ClassTotals, kept: &ClassTotals) -> Result<Account> {
        population.ensure_both(NAME)?;
        ensure_kept(kept, NAME, |_| format!("raise `scale`, now {}", self.scale))?;
        let distortion = Distortion::Offset { sampler: NAME.into(), log_odds: 0.0 };
        Ok(Account { distortion, weights: None, notes: Vec::new() })
    }
}

stored!(LocalCaseControl as "local_case_control", |control| {
    pilot: PartOf<Pilot> = as_part(control.pilot.saved(), &control.pilot),
    scale: f64 = control.scale,
} => Self::new(pilot.0).scale(scale));
