//! Business rules.

use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::Exp1;

use super::kept::{TopK, kept_by_features, poisson};
use super::keyed::{Account, Draw, Keyed, KeyedBy, by_features};
use super::rule::first_that_holds;
use super::{Resample, Rule, Sampler};
use crate::core::{
    Chosen, ClassTotals, Dataset, Distortion, Error, Meter, Result, Rows, Run, round,
    saved_as_part, stored,
};
use crate::exec::parallel::{self, BLOCK};

const RULES: &str = "sampling by rules";
const POISSON: &str = "Poisson sampling by rules";

/// Keeps rows by rules on their attribute columns. Rows stay in their order.
///
/// Rules act on the negatives, and every positive is kept, because positives are rare.
/// [`on_all_rows`](Self::on_all_rows) makes them act on both classes.
///
/// * [`filter`](Self::filter) keeps the rows for which a rule holds.
/// * [`shares`](Self::shares) keeps a share of the rows of each rule.
/// * [`priorities`](Self::priorities) draws without replacement, rows of some rules more often.
///
/// With several rules the first that holds decides. A missing attribute makes a comparison false.
///
/// **Distortion.** [`FeatureDependent`](crate::Distortion::FeatureDependent) with the realised shift of
/// the overall log-odds, because attributes and features go together. No weight makes up for rows that can
/// never be kept; [`PoissonRuleSampler`] gives each row a chance and can weight.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::{Rule, RuleSampler};
///
/// let log = SyntheticClicks::new(20_000, 0.02)?.generate(7)?;
/// let rows = &log.dataset;
///
/// // Negatives of users who were active within seven days, and saw at least five impressions.
/// let active = Rule::number("last_active_days").at_most(7.0);
/// let seen = Rule::number("impressions").at_least(5.0);
/// let sampler = RuleSampler::filter(active.and(seen))?;
///
/// let sample = sampler.resample(rows, &Run::seeded(7))?.apply(rows)?;
/// assert_eq!(sample.totals().positives, rows.totals().positives);
/// let (days, labels) = (sample.numbers("last_active_days")?, sample.labels());
/// assert!(days.iter().zip(labels).all(|(&days, &label)| label || days <= 7.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RuleSampler {
    form: Form,
    on_all_rows: bool,
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Form {
    Filter(Tiers),
    Shares(Tiers),
    Priorities(Tiers, f64),
}

/// A value for the rows of each rule, and one for the rows of no rule.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Tiers {
    rules: Vec<(Rule, f64)>,
    otherwise: f64,
}

impl Tiers {
    fn new(
        rules: impl IntoIterator<Item = (Rule, f64)>,
        otherwise: f64,
        argument: &'static str,
        expected: &'static str,
        valid: impl Fn(f64) -> bool,
    ) -> Result<Self> {
        let rules: Vec<_> = rules.into_iter().collect();
        if rules.len() >= usize::from(u16::MAX) {
            return Err(Error::invalid("rules", rules.len(), format!("fewer than {}", u16::MAX)));
        }
        for (rule, value) in &rules {
            rule.check()?;
            if !valid(*value) {
                return Err(Error::invalid(argument, format!("{value} for `{rule}`"), expected));
            }
        }
        if !valid(otherwise) {
            let value = format!("{otherwise} for rows of no rule");
            return Err(Error::invalid(argument, value, expected));
        }
        Ok(Self { rules, otherwise })
    }

    /// For each row the position of its value.
    fn of_rows(&self, rows: &Rows<'_>, meter: &Meter<'_>) -> Result<Vec<u16>> {
        first_that_holds(self.rules.iter().map(|(rule, _)| rule), rows, meter)
    }

    /// For each row its pool in a keyed draw: the position of its value, or behind these that of rows on which the
    /// rules do not act.
    fn pools_of(&self, rows: &Rows<'_>, on_all_rows: bool) -> Result<Vec<u16>> {
        // A batch takes some milliseconds.
        let run = Run::default();
        let mut pools = self.of_rows(rows, &Meter::new(&run, RULES, "rows", rows.len()))?;
        if !on_all_rows {
            let beside = self.rules.len() as u16 + 1;
            let positives = pools.iter_mut().zip(rows.labels()).filter(|(_, label)| **label);
            positives.for_each(|(pool, _)| *pool = beside);
        }
        Ok(pools)
    }

    fn values(&self) -> Vec<f64> {
        self.rules.iter().map(|(_, value)| *value).chain([self.otherwise]).collect()
    }
}

impl RuleSampler {
    /// Keeps the rows for which the rule holds.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the rule compares with NaN, with a range from a higher to a lower
    /// number, or with an empty list.
    pub fn filter(rule: Rule) -> Result<Self> {
        Ok(Self::new(Form::Filter(Tiers::new([(rule, 1.0)], 0.0, "rule", "", |_| true)?)))
    }

    /// Keeps of the rows of each rule its share, of the others the share `otherwise`, without
    /// replacement: of n rows round(share·n).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless every share is from 0 to 1, or as for
    /// [`filter`](Self::filter).
    pub fn shares(rules: impl IntoIterator<Item = (Rule, f64)>, otherwise: f64) -> Result<Self> {
        let valid = |share| (0.0..=1.0).contains(&share);
        Ok(Self::new(Form::Shares(Tiers::new(rules, otherwise, "share", "from 0 to 1", valid)?)))
    }

    /// Draws round(`rate`·n) of the n rows one by one, each next one with a probability in proportion to
    /// its priority among those left (Efraimidis & Spirakis 2006, algorithm A-Res): rows of a rule have
    /// its priority, the others 1. A priority of 0 is never drawn; if fewer rows than asked for have
    /// a priority above 0, all of them are kept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless every priority is finite and not negative and 0 < `rate` ≤ 1,
    /// or as for [`filter`](Self::filter).
    pub fn priorities(rules: impl IntoIterator<Item = (Rule, f64)>, rate: f64) -> Result<Self> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(Error::invalid("rate", rate, "above 0 and at most 1: the share kept"));
        }
        let valid = |priority: f64| priority >= 0.0 && priority.is_finite();
        let tiers = Tiers::new(rules, 1.0, "priority", "finite and not negative", valid)?;
        Ok(Self::new(Form::Priorities(tiers, rate)))
    }

    fn new(form: Form) -> Self {
        Self { form, on_all_rows: false }
    }

    /// Whether the rules act on positives too. Default: no, every positive is kept.
    #[must_use]
    pub fn on_all_rows(mut self, on_all_rows: bool) -> Self {
        self.on_all_rows = on_all_rows;
        self
    }
}

impl Sampler for RuleSampler {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        data.totals().ensure_both(RULES)?;
        let (Form::Filter(tiers) | Form::Shares(tiers) | Form::Priorities(tiers, _)) = &self.form;
        let passes = if matches!(self.form, Form::Filter(_)) { 2 } else { 3 };
        let meter = Meter::new(run, RULES, "rows", passes * data.rows());
        let tier_of = tiers.of_rows(data.row_columns(), &meter)?;
        let values = tiers.values();
        let acts_on = |row: usize| self.on_all_rows || !data.labels()[row];
        let pass = || meter.ranges(data.rows()).flatten();
        let rows: Vec<usize> = match self.form {
            Form::Filter(_) => pass()
                .filter(|&row| !acts_on(row) || values[usize::from(tier_of[row])] == 1.0)
                .collect(),
            Form::Shares(_) => {
                let mut sizes = vec![0; values.len()];
                let in_tier = |row: &usize| usize::from(tier_of[*row]);
                pass().filter(|&row| acts_on(row)).for_each(|row| sizes[in_tier(&row)] += 1);
                let draw = |(tier, (&n, &share)): (usize, (&usize, &f64))| {
                    Chosen::uniform(n, round(share, n), run.seed().child(&format!("rule {tier}")))
                };
                let chosen: Vec<_> = sizes.iter().zip(&values).enumerate().map(draw).collect();
                let mut seen = vec![0; values.len()];
                let mut keep = |row: usize| {
                    !acts_on(row) || {
                        let tier = in_tier(&row);
                        seen[tier] += 1;
                        chosen[tier].contains(seen[tier] - 1)
                    }
                };
                pass().filter(|&row| keep(row)).collect()
            }
            Form::Priorities(_, rate) => {
                // A key of E/w with E exponential: the rows of the smallest keys are drawn. Negated, because
                // `TopK` finds the largest; −∞ for rows that are no candidates.
                let mut keys = vec![f64::NEG_INFINITY; data.rows()];
                parallel::map_into(&mut keys, 1, BLOCK, |block, rows, keys| {
                    if !meter.goes_on(rows.len()) {
                        return;
                    }
                    let mut stream = run.seed().stream(block);
                    for (row, key) in rows.zip(keys) {
                        let waiting: f64 = stream.sample(Exp1);
                        let priority = values[usize::from(tier_of[row])];
                        if acts_on(row) && priority > 0.0 {
                            *key = -waiting / priority;
                        }
                    }
                });
                let candidates = (0..data.rows()).filter(|&row| acts_on(row)).count();
                let mut top = TopK::new(round(rate, candidates), &mut keys.clone());
                let drawn = |row: usize, top: &mut TopK| {
                    // `TopK` counts ties, so it is asked about each row.
                    top.admits(keys[row]) && keys[row] > f64::NEG_INFINITY
                };
                pass().filter(|&row| drawn(row, &mut top) || !acts_on(row)).collect()
            }
        };
        meter.finish()?;
        kept_by_features(data, rows, RULES, |_| self.met_by_rule(&tier_of, acts_on))
    }

    fn name(&self) -> String {
        RULES.into()
    }

    fn keyed(&self) -> Option<Keyed<'_>> {
        Some(Keyed(self))
    }

    saved_as_part!();
}

impl RuleSampler {
    /// The number of rows that meet each rule, for the error that no row is kept.
    fn met_by_rule(&self, tier_of: &[u16], acts_on: impl Fn(usize) -> bool) -> String {
        let (Form::Filter(tiers) | Form::Shares(tiers) | Form::Priorities(tiers, _)) = &self.form;
        let mut sizes = vec![0_usize; tiers.rules.len() + 1];
        let met = tier_of.iter().enumerate().filter(|(row, _)| acts_on(*row));
        met.for_each(|(_, &tier)| sizes[usize::from(tier)] += 1);
        let rules = tiers.rules.iter().map(|(rule, _)| rule.to_string());
        let names = rules.chain(["no rule".to_owned()]);
        let found: Vec<_> =
            names.zip(sizes).map(|(name, n)| format!("{n} rows meet `{name}`")).collect();
        format!("{}; relax the rules, or keep more of their rows", found.join(", "))
    }
}

/// Draws each row on its own with a known probability by rule (Poisson sampling), so that weights can
/// undo it. Rows stay in their order.
///
/// A row is kept with the share πᵢ > 0 of the first rule that holds. Rules act on the negatives, and
/// every positive is kept, unless [`on_all_rows`](Self::on_all_rows) says otherwise.
///
/// **Distortion.** [`FeatureDependent`](crate::Distortion::FeatureDependent); with
/// [`reweight`](Self::reweight) each kept row weighs 1/πᵢ times its own weight (Horvitz & Thompson
/// 1952), every weighted total is unbiased, and nothing is distorted.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::{PoissonRuleSampler, Rule};
///
/// let log = SyntheticClicks::new(20_000, 0.02)?.generate(7)?;
/// let engaged = Rule::number("last_active_days").at_most(7.0)
///     .and(Rule::number("impressions").at_least(5.0));
/// // Half of the engaged users' negatives, and a twentieth of the others.
/// let sampler = PoissonRuleSampler::new([(engaged, 0.5)], 0.05)?.reweight(true);
/// let sample = sampler.resample(&log.dataset, &Run::seeded(7))?;
/// assert!(sample.distortion.is_none());
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PoissonRuleSampler {
    tiers: Tiers,
    on_all_rows: bool,
    reweight: bool,
}

impl PoissonRuleSampler {
    /// Keeps each row of a rule with the rule's probability, the others with `otherwise`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless every probability is above 0 and at most 1, or as for
    /// [`RuleSampler::filter`].
    pub fn new(rules: impl IntoIterator<Item = (Rule, f64)>, otherwise: f64) -> Result<Self> {
        let expected = "above 0 and at most 1: every row needs a chance";
        let valid = |p| p > 0.0 && p <= 1.0;
        let tiers = Tiers::new(rules, otherwise, "probability", expected, valid)?;
        Ok(Self { tiers, on_all_rows: false, reweight: false })
    }

    /// Whether the rules act on positives too. Default: no, every positive is kept.
    #[must_use]
    pub fn on_all_rows(mut self, on_all_rows: bool) -> Self {
        self.on_all_rows = on_all_rows;
        self
    }

    /// Whether kept rows weigh 1/πᵢ, so that nothing is distorted. Default: no.
    #[must_use]
    pub fn reweight(mut self, reweight: bool) -> Self {
        self.reweight = reweight;
        self
    }
}

impl Sampler for PoissonRuleSampler {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        data.totals().ensure_both(POISSON)?;
        let meter = Meter::new(run, POISSON, "rows", 2 * data.rows());
        let tier_of = self.tiers.of_rows(data.row_columns(), &meter)?;
        let values = self.tiers.values();
        let inclusion = |row: usize| {
            let acts = self.on_all_rows || !data.labels()[row];
            if acts { values[usize::from(tier_of[row])] } else { 1.0 }
        };
        poisson(data, inclusion, self.reweight, run.seed(), POISSON, &meter)
    }

    fn name(&self) -> String {
        POISSON.into()
    }

    fn keyed(&self) -> Option<Keyed<'_>> {
        Some(Keyed(self))
    }

    saved_as_part!();
}

/// A pool for the rows of each rule and for those of none, and one for the rows on which the rules do not act.
/// Priorities have one pool in place of all of these, in which they say how soon a row is drawn.
impl KeyedBy for RuleSampler {
    fn pools(&self) -> usize {
        match &self.form {
            Form::Filter(tiers) | Form::Shares(tiers) => tiers.rules.len() + 2,
            Form::Priorities(..) => 2,
        }
    }

    fn pools_of(&self, rows: &Rows<'_>) -> Result<Vec<(u16, f64)>> {
        let (Form::Filter(tiers) | Form::Shares(tiers) | Form::Priorities(tiers, _)) = &self.form;
        let pools = tiers.pools_of(rows, self.on_all_rows)?;
        let Form::Priorities(..) = self.form else {
            return Ok(pools.into_iter().map(|pool| (pool, 1.0)).collect());
        };
        let values = tiers.values();
        let of_pool = |pool: u16| match values.get(usize::from(pool)) {
            Some(&priority) => (0, priority),
            None => (1, 1.0),
        };
        Ok(pools.into_iter().map(of_pool).collect())
    }

    fn needs_sizes(&self) -> bool {
        !matches!(self.form, Form::Filter(_))
    }

    fn draws(&self, sizes: &[ClassTotals]) -> Result<Vec<Draw>> {
        let of_pools = sizes.iter().map(ClassTotals::rows);
        let acted_on: Vec<Draw> = match &self.form {
            Form::Filter(tiers) => tiers.values().into_iter().map(Draw::Each).collect(),
            Form::Shares(tiers) => {
                let shares = tiers.values().into_iter().zip(of_pools);
                shares.map(|(share, rows)| Draw::Exactly(round(share, rows))).collect()
            }
            Form::Priorities(_, rate) => {
                of_pools.take(1).map(|rows| Draw::Exactly(round(*rate, rows))).collect()
            }
        };
        Ok(acted_on.into_iter().chain([Draw::Each(1.0)]).collect())
    }

    fn account(&self, population: &ClassTotals, kept: &ClassTotals) -> Result<Account> {
        population.ensure_both(RULES)?;
        by_features(population, kept, RULES, |_| {
            "relax the rules, or keep more of their rows".into()
        })
    }
}

/// A pool for the rows of each rule and for those of none, and one for the rows on which the rules do not act.
impl KeyedBy for PoissonRuleSampler {
    fn pools(&self) -> usize {
        self.tiers.rules.len() + 2
    }

    fn pools_of(&self, rows: &Rows<'_>) -> Result<Vec<(u16, f64)>> {
        let pools = self.tiers.pools_of(rows, self.on_all_rows)?;
        Ok(pools.into_iter().map(|pool| (pool, 1.0)).collect())
    }

    fn needs_sizes(&self) -> bool {
        false
    }

    fn draws(&self, _: &[ClassTotals]) -> Result<Vec<Draw>> {
        Ok(self.tiers.values().into_iter().chain([1.0]).map(Draw::Each).collect())
    }

    fn account(&self, population: &ClassTotals, kept: &ClassTotals) -> Result<Account> {
        population.ensure_both(POISSON)?;
        let why = |_: &ClassTotals| "raise the inclusion probabilities".into();
        let account = by_features(population, kept, POISSON, why)?;
        if !self.reweight {
            return Ok(account);
        }
        let weights = self.tiers.values().into_iter().chain([1.0]).map(|share| 1.0 / share);
        Ok(Account { distortion: Distortion::None, weights: Some(weights.collect()), ..account })
    }
}

stored!(RuleSampler as "rule_sampler", |sampler| {
    form: Form = sampler.form,
    on_all_rows: bool = sampler.on_all_rows,
} => match form {
    Form::Filter(Tiers { mut rules, .. }) if rules.len() == 1 => Self::filter(rules.remove(0).0),
    Form::Filter(Tiers { rules, .. }) => Err(Error::invalid("rules", rules.len(), "one, to filter by")),
    Form::Shares(Tiers { rules, otherwise }) => Self::shares(rules, otherwise),
    Form::Priorities(Tiers { rules, .. }, rate) => Self::priorities(rules, rate),
}
.map(|sampler| sampler.on_all_rows(on_all_rows)));

stored!(PoissonRuleSampler as "poisson_rule_sampler", |sampler| {
    tiers: Tiers = sampler.tiers,
    on_all_rows: bool = sampler.on_all_rows,
    reweight: bool = sampler.reweight,
} => Self::new(tiers.rules, tiers.otherwise)
    .map(|sampler| sampler.on_all_rows(on_all_rows).reweight(reweight)));
