//! Two calibrators, one after the other.

use super::apply::{apply_each, to_logits};
use super::report::Solution;
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator, Scale,
    TrainingContext,
};
use crate::core::{Error, Result, saved_as_part, stored};

/// A calibrator that works on the outcome of another; made by [`Calibrator::then`].
///
/// The second is fitted to the scores as mapped by the first. It takes them for scores of a model trained
/// by log loss on a representative sample: the first has to undo sampler and loss. A chain needs rows if
/// either does. If both do, they learn from the **same rows**, so the second sees the first at its best: the
/// more flexible the first, the less the second can tell how it will do on new rows.
///
/// The report measures the whole chain, from the scores as they came; the reports of the parts are those of
/// [`first`](ChainMap::first) and [`second`](ChainMap::second).
///
/// After a closed form, as in `PriorCorrection::new().then(IsotonicRegression::new())`, a calibrator that
/// learns has only to correct the errors of the model itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain<A, B> {
    first: A,
    second: B,
}

const NAME: &str = "Chain";

impl<A, B> Chain<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Calibrator, B: Calibrator> Calibrator for Chain<A, B> {
    type Map = ChainMap<A::Map, B::Map>;

    fn needs_rows(&self) -> bool {
        self.first.needs_rows() || self.second.needs_rows()
    }

    fn corrects_prior(&self) -> bool {
        // The second takes its scores for those of a representative sample, so it has to learn.
        self.first.corrects_prior() || self.second.needs_rows()
    }

    fn is_rate_given(&self) -> bool {
        self.first.is_rate_given() || self.second.is_rate_given()
    }

    fn needs_finite_scores(&self) -> bool {
        self.first.needs_finite_scores()
    }

    fn ensure_reversible(&self, training: &TrainingContext) -> Result<()> {
        self.first.ensure_reversible(training)
    }

    /// # Errors
    /// Those of the two, and [`Error::CertainScore`] where the first maps a finite score to infinite log-odds
    /// and the second needs finite ones.
    fn fit(
        &self,
        training: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        let first = self.first.fit(training, rows)?;
        let mapped = rows.map(|rows| rows.mapped(|z| first.logit(z))).transpose()?;
        if self.second.needs_finite_scores() {
            rows.zip(mapped.as_ref())
                .map_or(Ok(()), |(rows, mapped)| ensure_no_new_infinity(rows, mapped))?;
        }
        let second = self.second.fit(&TrainingContext::default(), mapped.as_ref())?;
        let map = ChainMap { first, second };
        // A calibrator that learns has refused other rows.
        Ok(match CalibrationSet::representative(rows, NAME) {
            Err(_) => Calibration::new(map),
            Ok(rows) => {
                let log_odds = |z| map.logit(z);
                let report = CalibrationReport::of_logits(NAME, rows, map.solution(), log_odds)?;
                Calibration::learned(map, report)
            }
        })
    }

    saved_as_part!();
}

fn ensure_no_new_infinity(rows: &CalibrationSet<'_>, mapped: &CalibrationSet<'_>) -> Result<()> {
    let mut pairs = rows.logits().iter().zip(mapped.logits()).enumerate();
    let new = pairs.find(|&(row, (score, log_odds))| {
        score.is_finite() && log_odds.is_infinite() && rows.weight(row) > 0.0
    });
    new.map_or(Ok(()), |(row, (&score, &log_odds))| {
        Err(Error::CertainScore { row, score, log_odds })
    })
}

/// The map of a [`Chain`].
#[derive(Debug, Clone, PartialEq)]
pub struct ChainMap<A, B> {
    first: Calibration<A>,
    second: Calibration<B>,
}

impl<A, B> ChainMap<A, B> {
    /// The first map, then the second.
    pub fn new(first: Calibration<A>, second: Calibration<B>) -> Self {
        Self { first, second }
    }

    /// The calibration that comes first.
    pub fn first(&self) -> &Calibration<A> {
        &self.first
    }

    /// The calibration of its outcome.
    pub fn second(&self) -> &Calibration<B> {
        &self.second
    }

    /// What both found: parameters and bounds with the place in the chain before their name.
    fn solution(&self) -> Solution {
        let mut both = Solution::default();
        for (place, report) in [("first", self.first.report()), ("second", self.second.report())] {
            let Some(report) = report else { continue };
            both.parameters.extend(report.parameters.iter().map(|parameter| {
                let mut parameter = parameter.clone();
                parameter.name = format!("{place} {}", parameter.name);
                parameter
            }));
            both.bounds.extend(report.bounds.iter().map(|bound| format!("{place} {bound}")));
            both.falls.extend(&report.falls);
            both.iterations += report.iterations;
            both.clipped += report.clipped;
        }
        both
    }
}

impl<A: CalibrationMap, B: CalibrationMap> CalibrationMap for ChainMap<A, B> {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        self.second.logit(self.first.logit(z))
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        self.second.probability(self.first.logit(z))
    }

    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        apply(self.first.map(), self.second.map(), scale, scores);
    }

    fn describe(&self) -> String {
        describe(self.first.map(), self.second.map())
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        let maps = [self.first.map().built_in()?, self.second.map().built_in()?];
        Some(BuiltInMap::Chain(Box::new(maps)))
    }

    saved_as_part!();
}

impl<A: Into<BuiltInMap>, B: Into<BuiltInMap>> From<ChainMap<A, B>> for BuiltInMap {
    fn from(map: ChainMap<A, B>) -> Self {
        Self::Chain(Box::new([map.first.into(), map.second.into()]))
    }
}

pub(super) fn apply(
    first: &impl CalibrationMap,
    second: &impl CalibrationMap,
    scale: Scale,
    scores: &mut [f64],
) {
    if scale == Scale::Probability {
        to_logits(scores);
    }
    apply_each(scores, |z| first.logit(z));
    second.apply(Scale::Logit, scores);
}

pub(super) fn describe(first: &impl CalibrationMap, second: &impl CalibrationMap) -> String {
    format!("{}; then {}", first.describe(), second.describe())
}

stored!(<A: Calibrator, B: Calibrator> Chain<A, B> as "chain_calibration", |chain| {
    first: PartOf<A> = as_part(chain.first.saved(), &chain.first),
    second: PartOf<B> = as_part(chain.second.saved(), &chain.second),
} => Ok(Self::new(first.0, second.0)));

stored!(<A: CalibrationMap, B: CalibrationMap> ChainMap<A, B> as "chain", |map| {
    first: Calibration<A> = map.first,
    second: Calibration<B> = map.second,
} => Ok(Self::new(first, second)));
