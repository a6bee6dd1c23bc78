//! The levels of a column, and what each becomes.

use std::collections::BTreeMap;

use super::encoding::{LevelOrder, MIN_SHRINKAGE, OneHot, TargetEncoding};
use crate::core::{Error, Result, stored};
use crate::numerics::logit;

/// Levels by hash, each with a place in an order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Levels {
    /// Ascending.
    hashes: Vec<u64>,
    /// The place of each hash.
    places: Vec<u32>,
    /// By place.
    names: Vec<String>,
}

/// What the training rows of positive weight say of a level.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) rows: usize,
    pub(super) weight: f64,
    pub(super) positive: f64,
}

impl Tally {
    pub(super) fn add(&mut self, label: bool, weight: f64) {
        self.rows += 1;
        self.weight += weight;
        self.positive += if label { weight } else { 0.0 };
    }
}

/// Tallies by hash.
pub(super) type Tallies = BTreeMap<u64, Tally>;

impl Levels {
    /// These levels, which have names, in the order of their places.
    fn new(levels: Vec<(u64, String)>) -> Result<Self> {
        if u32::try_from(levels.len()).is_err() {
            return Err(Error::invalid("levels", levels.len(), "fewer than 2^32"));
        }
        let mut places: Vec<(u64, u32)> =
            levels.iter().zip(0..).map(|((hash, _), place)| (*hash, place)).collect();
        places.sort_unstable();
        if let Some(pair) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let name = levels[pair[1].1 as usize].1.clone();
            return Err(Error::invalid("levels", format!("`{name}` twice"), "each level once"));
        }
        let (hashes, places) = places.into_iter().unzip();
        Ok(Self { hashes, places, names: levels.into_iter().map(|(_, name)| name).collect() })
    }

    /// The levels in an order.
    pub(super) fn in_order(
        tallies: impl Iterator<Item = (u64, Tally)>,
        order: &LevelOrder,
        name: impl Fn(u64) -> String,
        hash: impl Fn(&str) -> u64,
    ) -> Result<Self> {
        let mut levels: Vec<(u64, String, usize)> =
            tallies.map(|(hash, tally)| (hash, name(hash), tally.rows)).collect();
        match order {
            LevelOrder::Name => {
                levels.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
            }
            LevelOrder::Count => {
                levels
                    .sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.1.cmp(&b.1)).then(a.0.cmp(&b.0)));
            }
            LevelOrder::Given(names) => {
                let given = names.iter().map(|name| (hash(name), name.clone()));
                return Self::new(given.collect());
            }
        }
        Self::new(levels.into_iter().map(|(hash, name, _)| (hash, name)).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a level; None for one that is not known.
    #[inline]
    pub(super) fn place(&self, hash: u64) -> Option<usize> {
        let at = self.hashes.binary_search(&hash).ok()?;
        Some(self.places[at] as usize)
    }

    /// The hashes, by place.
    #[cfg(feature = "serde")]
    fn hashes(&self) -> Vec<u64> {
        let mut hashes = vec![0; self.hashes.len()];
        self.hashes
            .iter()
            .zip(&self.places)
            .for_each(|(hash, place)| hashes[*place as usize] = *hash);
        hashes
    }
}

stored!(Levels as "levels", |levels| {
    hashes: Vec<u64> = levels.hashes(),
    names: Vec<String> = levels.names,
} => if hashes.len() == names.len() {
    Self::new(hashes.into_iter().zip(names).collect())
} else {
    Err(Error::invalid("names", names.len(), format!("{}, one for each hash", hashes.len())))
});

/// Levels that become indicators.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Indicators {
    pub(super) levels: Levels,
    pub(super) other: bool,
    pub(super) drop_first: bool,
}

impl Indicators {
    pub(super) fn fit(
        settings: &OneHot,
        tallies: &Tallies,
        name: impl Fn(u64) -> String,
        hash: impl Fn(&str) -> u64,
    ) -> Result<Self> {
        let frequent = |tally: &Tally| tally.rows >= settings.min_count;
        let kept = tallies.iter().filter(|(_, tally)| frequent(tally));
        let kept = kept.map(|(hash, tally)| (*hash, *tally));
        let levels = Levels::in_order(kept, &settings.order, name, hash)?;
        let rare = tallies.iter().any(|(hash, _)| levels.place(*hash).is_none());
        let other = settings.other.unwrap_or(rare);
        Ok(Self { levels, other, drop_first: settings.drop_first })
    }

    pub(super) fn width(&self) -> usize {
        (self.levels.len() + usize::from(self.other)).saturating_sub(usize::from(self.drop_first))
    }

    pub(super) fn names(&self, column: &str) -> impl Iterator<Item = String> {
        let levels = self.levels.names().iter().map(move |name| format!("{column}={name}"));
        let other = self.other.then(|| format!("{column} other"));
        levels.chain(other).skip(usize::from(self.drop_first))
    }

    /// The place of a level's indicator; none for the level without a column, and for levels that are not known.
    #[inline]
    pub(super) fn at(&self, hash: u64) -> Option<usize> {
        let place = self.levels.place(hash).or_else(|| self.other.then_some(self.levels.len()))?;
        place.checked_sub(usize::from(self.drop_first))
    }
}

/// Levels that become a number each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    pub(super) levels: Levels,
    pub(super) values: Vec<f64>,
    /// Of a level that is not known.
    pub(super) unknown: f64,
}

impl Values {
    #[inline]
    pub(super) fn at(&self, hash: u64) -> f64 {
        self.levels.place(hash).map_or(self.unknown, |place| self.values[place])
    }
}

/// The rule by which a level's rows become its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shrunk {
    /// k.
    shrinkage: f64,
    /// p̄.
    rate: f64,
    as_rate: bool,
}

impl Shrunk {
    pub(super) fn fit(settings: &TargetEncoding, tallies: &Tallies) -> Result<Self> {
        let mut all = Tally::default();
        for tally in tallies.values() {
            all.rows += tally.rows;
            all.weight += tally.weight;
            all.positive += tally.positive;
        }
        let rate = all.positive / all.weight;
        if !(rate > 0.0 && rate < 1.0) {
            return Err(Error::invalid(
                "labels",
                format!("a rate of positives of {rate}"),
                "both classes, for target encoding",
            ));
        }
        let shrinkage = settings.shrinkage.unwrap_or_else(|| by_moments(tallies, &all, rate));
        Ok(Self { shrinkage, rate, as_rate: settings.rate })
    }

    pub(super) fn of(&self, tally: &Tally) -> f64 {
        let Self { shrinkage: k, rate, as_rate } = *self;
        if k == f64::INFINITY {
            return self.unknown();
        }
        let (positive, negative) =
            (tally.positive + k * rate, tally.weight - tally.positive + k * (1.0 - rate));
        if as_rate {
            positive / (tally.weight + k)
        } else {
            // Not the logit of the rate, which may round to 0 or 1.
            positive.ln() - negative.ln() - logit(rate)
        }
    }

    pub(super) fn unknown(&self) -> f64 {
        if self.as_rate { self.rate } else { 0.0 }
    }
}

/// k = p̄(1 − p̄)/τ² − 1, where τ² is the variance between levels that is left when the variance of counting is taken
/// away: with m the weights of the levels, L levels and M = Σm, the mean of Σ m (r − p̄)² is
/// (L − 1) p̄(1 − p̄) + τ² (M − Σm²/M − L + 1). ∞ where the levels differ no more than chance would have it.
fn by_moments(tallies: &Tallies, all: &Tally, rate: f64) -> f64 {
    let binomial = rate * (1.0 - rate);
    let (mut between, mut squares, mut levels) = (0.0, 0.0, 0.0);
    for tally in tallies.values() {
        let off = tally.positive / tally.weight - rate;
        between += tally.weight * off * off;
        squares += tally.weight * tally.weight;
        levels += 1.0;
    }
    // Weights count as rows.
    let spread = all.weight - squares / all.weight - (levels - 1.0);
    let variance = (between - (levels - 1.0) * binomial) / spread;
    if variance > 0.0 && variance.is_finite() {
        (binomial / variance - 1.0).max(MIN_SHRINKAGE)
    } else {
        f64::INFINITY
    }
}
