//! Edited nearest neighbours.

use super::kept::cleaned;
use super::over::{ensure_neighbours, valid_k};
use super::{Resample, Sampler};
use crate::core::{Dataset, Error, FeaturesView, Result, Run, saved_as_part, stored};
use crate::knn::{QUERIES, Search};

/// Removes negatives whose k nearest neighbours among all rows are not negative enough.
///
/// * [`VotingRule::All`]: a row stays if all its neighbours are of its class.
/// * [`VotingRule::Mode`]: a row stays unless more than half of them are of the other class; a tie keeps it.
///   So with an even k the classes are treated alike. imbalanced-learn lets ties go to the smaller
///   label: it keeps a tied negative and, where both classes are cleaned, removes a tied positive.
///
/// Of equally near rows the first ones count, so with ties the order of the rows matters. Rows stay in
/// their order. Neighbours ignore weights. Nothing is random.
///
/// The rule is applied once (Wilson 1972), or until nothing changes
/// ([`repeated`](Self::repeated)), or once for each number of neighbours 1, 2, …, k
/// ([`all_knn`](Self::all_knn)), each pass on the rows that the pass before kept (both Tomek 1976). These
/// two also stop after a pass that leaves fewer negatives than there are positives in the input.
///
/// A negative is not compared with all rows: it stays as soon as enough negatives are found that are
/// nearer than its nearest positives.
///
/// **Distortion.** [`FeatureDependent`](crate::Distortion::FeatureDependent), with
/// ln\[(W₊′/W₊)/(W₋′/W₋)\] from the realised weights as the nominal shift; none if nothing is removed.
///
/// Sources: D. L. Wilson, *Asymptotic properties of nearest neighbor rules using edited data*, and
/// I. Tomek, *An experiment with the edited nearest-neighbor rule*, both IEEE Transactions on Systems,
/// Man, and Cybernetics, 2, 1972, and 6, 1976.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::array};
/// use imbalance::sampling::{EditedNearestNeighbours, Rows, Sampler, VotingRule};
///
/// let x = array![[0.0], [1.0], [2.1], [5.0], [5.4], [9.0], [10.0], [11.1]];
/// let data = Dataset::new(&x, [false, false, false, true, false, true, true, true].to_vec())?;
/// let cleaned = EditedNearestNeighbours::new(1)?.resample(&data, &Run::default())?;
/// assert_eq!(cleaned.rows, Rows::Kept(vec![0, 1, 2, 3, 5, 6, 7]));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditedNearestNeighbours {
    k: usize,
    vote: VotingRule,
    form: Form,
    both_classes: bool,
}

/// How many neighbours of its own class keep a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum VotingRule {
    /// All of them.
    #[default]
    All,
    /// At least half of them.
    Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Form {
    Once,
    Repeated { passes: usize },
    AllKnn,
}

impl EditedNearestNeighbours {
    /// Asks `k` neighbours (3 is usual), once. All of them must be negative.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `k` is zero.
    pub fn new(k: usize) -> Result<Self> {
        let k = valid_k("k", k)?;
        Ok(Self { k, vote: VotingRule::All, form: Form::Once, both_classes: false })
    }

    /// How many neighbours of its class keep a row. Default: all.
    #[must_use]
    pub fn vote(mut self, vote: VotingRule) -> Self {
        self.vote = vote;
        self
    }

    /// imbalanced-learn's `RepeatedEditedNearestNeighbours`: repeats the rule until it removes nothing, at most
    /// `passes` times (100 is usual).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `passes` is zero.
    pub fn repeated(mut self, passes: usize) -> Result<Self> {
        if passes == 0 {
            return Err(Error::invalid("passes", passes, "at least 1"));
        }
        self.form = Form::Repeated { passes };
        Ok(self)
    }

    /// imbalanced-learn's `AllKNN`: whether the rule is applied with 1, 2, …, k neighbours in turn.
    /// Default: no, once with k.
    #[must_use]
    pub fn all_knn(mut self, all: bool) -> Self {
        self.form = if all { Form::AllKnn } else { Form::Once };
        self
    }

    /// Whether positives are cleaned, too, by the same rule. Default: no.
    #[must_use]
    pub fn both_classes(mut self, both: bool) -> Self {
        self.both_classes = both;
        self
    }

    fn method(&self) -> &'static str {
        match self.form {
            Form::Once => "edited nearest neighbours",
            Form::Repeated { .. } => "repeated edited nearest neighbours",
            Form::AllKnn => "AllKNN",
        }
    }

    /// How many neighbours each pass asks.
    fn passes(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { k, form, .. } = *self;
        let passes = match form {
            Form::Once => 1,
            Form::Repeated { passes } => passes,
            Form::AllKnn => k,
        };
        (1..=passes).map(move |pass| if form == Form::AllKnn { pass } else { k })
    }

    /// The rows of `kept` that survive a pass.
    pub(super) fn pass(
        &self,
        x: FeaturesView<'_>,
        labels: &[bool],
        (kept, k): (&[usize], usize),
        run: &Run,
    ) -> Result<Vec<usize>> {
        ensure_neighbours("k", k, kept.len() - 1, "other rows")?;
        let against = match self.vote {
            VotingRule::All => 1,
            VotingRule::Mode => k / 2 + 1,
        };
        let (positives, negatives): (Vec<usize>, Vec<usize>) =
            kept.iter().partition(|&&row| labels[row]);
        let search = [Search::new(x, &negatives, run)?, Search::new(x, &positives, run)?];
        let mut survivors = Vec::with_capacity(kept.len());
        for rows in kept.chunks(QUERIES) {
            let mut stays = vec![true; rows.len()];
            for class in [false, true].into_iter().filter(|&class| self.both_classes || !class) {
                let own: Vec<usize> =
                    (0..rows.len()).filter(|&at| labels[rows[at]] == class).collect();
                let queries: Vec<usize> = own.iter().map(|&at| rows[at]).collect();
                // At least `against` of the k nearest are of the other class unless more than
                // k − `against` of its own class come before the `against`-th of the other.
                let others = search[usize::from(!class)].nearest(&queries, against)?;
                let bounds: Vec<_> =
                    others.into_iter().skip(against - 1).step_by(against).collect();
                let own_class = &search[usize::from(class)];
                let safe = own_class.at_least(&queries, &bounds, k - against + 1)?;
                own.iter().zip(safe).for_each(|(&at, safe)| stays[at] = safe);
            }
            survivors
                .extend(rows.iter().zip(stays).filter(|(_, stays)| *stays).map(|(&row, _)| row));
        }
        Ok(survivors)
    }
}

impl Sampler for EditedNearestNeighbours {
    /// # Errors
    /// [`Error::OneClass`], [`Error::InvalidArgument`] if there are no more rows than neighbours, or
    /// [`Error::NothingSelected`] if no row of a class would be left.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        totals.ensure_both(self.method())?;
        ensure_neighbours("k", self.k, data.rows() - 1, "other rows")?;
        let labels = data.labels();
        let mut kept: Vec<usize> = (0..data.rows()).collect();
        for k in self.passes() {
            let before = kept.len();
            kept = self.pass(data.features(), labels, (&kept, k), run)?;
            let negatives = kept.iter().filter(|&&row| !labels[row]).count();
            let unchanged = kept.len() == before && self.form != Form::AllKnn;
            if unchanged || negatives < totals.positives || negatives == kept.len() {
                break;
            }
        }
        let mut removed = vec![true; data.rows()];
        kept.iter().for_each(|&row| removed[row] = false);
        cleaned(data, &removed, self.method())
    }

    fn name(&self) -> String {
        self.method().into()
    }

    saved_as_part!();
}

stored!(EditedNearestNeighbours as "edited_nearest_neighbours", |enn| {
    neighbours: usize = enn.k,
    vote: VotingRule = enn.vote,
    form: Form = enn.form,
    both_classes: bool = enn.both_classes,
} => {
    let enn = Self::new(neighbours).map(|enn| enn.vote(vote).both_classes(both_classes));
    match form {
        Form::Once => enn,
        Form::Repeated { passes } => enn.and_then(|enn| enn.repeated(passes)),
        Form::AllKnn => enn.map(|enn| enn.all_knn(true)),
    }
});
