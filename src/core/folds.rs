//! Which rows train and which rows test each of several models.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::split::{after_ties, in_order_of};
use super::{Error, Result, Seed, Split, same_length};

/// Folds of rows for cross-fitting: each [`Split`] trains on some rows and tests on others, and no row is a
/// test row twice.
///
/// ```
/// use imbalance::Folds;
///
/// let labels: Vec<bool> = (0..100).map(|row| row % 10 == 0).collect(); // 10 positives
/// let folds = Folds::stratified(&labels, 5, 7)?;
/// for split in folds.splits() {
///     assert_eq!((split.train().len(), split.test().len()), (80, 20));
///     assert_eq!(split.test().iter().filter(|&&row| labels[row]).count(), 2);
/// }
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    count: usize,
    plan: Plan,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    /// The fold in which each row is a test row; in the other folds it is a training row.
    Exchangeable(Vec<u32>),
    /// Rows in order of time, and the `count` + 2 ends of `count` + 1 blocks. Each block but the first tests
    /// a model trained on all blocks before it.
    Forward { order: Vec<usize>, cuts: Vec<usize> },
}

impl Folds {
    /// `count` random folds with equal numbers of rows of each class, to within one. Every row is a test
    /// row once; both sides of each split are in ascending row order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 2 ≤ `count` ≤ the number of rows, or [`Error::FoldOfOneClass`] if
    /// there are fewer positives or negatives than folds.
    pub fn stratified(labels: &[bool], count: usize, seed: impl Into<Seed>) -> Result<Self> {
        ensure_fold_count(count, labels.len())?;
        let seed = seed.into();
        let positives = labels.iter().filter(|&&label| label).count();
        // The negatives start at the fold after the last positive: so the folds' sizes differ by one at most.
        let deal = |rows: usize, first: usize, name| {
            let mut dealt: Vec<u32> = (first..first + rows).map(|i| (i % count) as u32).collect();
            seed.child(name).shuffle(&mut dealt);
            dealt
        };
        let mut dealt = [
            deal(labels.len() - positives, positives, "negatives").into_iter(),
            deal(positives, 0, "positives").into_iter(),
        ];
        let fold = |&label: &bool| dealt[usize::from(label)].next().unwrap_or_default();
        Self { count, plan: Plan::Exchangeable(labels.iter().map(fold).collect()) }.checked(labels)
    }

    /// `count` random folds of whole groups, such as the rows of one user: rows with equal codes test
    /// together a model trained on other groups. The largest group is dealt out first. A group with
    /// positives goes to the fold with the fewest positives, another group to the fold with the fewest
    /// rows; so the folds are as even as the groups allow. Codes may be those of a text attribute,
    /// [`Categories::codes`](super::Categories::codes).
    ///
    /// # Errors
    /// As for [`stratified`](Self::stratified), with groups for rows, and [`Error::LengthMismatch`].
    ///
    /// ```
    /// use imbalance::Folds;
    ///
    /// let labels: Vec<bool> = (0..100).map(|row| row % 10 == 0).collect();
    /// let users: Vec<u32> = (0..100).map(|row| row / 5).collect();
    /// for split in Folds::by_group(&labels, &users, 5, 7)?.splits() {
    ///     let tested = |user: u32| split.test().iter().filter(|&&row| users[row] == user).count();
    ///     assert!((0..20).all(|user| [0, 5].contains(&tested(user))));
    /// }
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn by_group(
        labels: &[bool],
        groups: &[u32],
        count: usize,
        seed: impl Into<Seed>,
    ) -> Result<Self> {
        same_length("groups", groups.len(), "the labels", labels.len())?;
        ensure_fold_count(count, labels.len())?;
        let groups = Groups::of(labels, groups);
        if count > groups.sizes.len() {
            let expected = format!("at most {}, the number of groups", groups.sizes.len());
            return Err(Error::invalid("folds", count, expected));
        }
        let plan = Plan::Exchangeable(groups.allocate(&vec![1.0; count], seed.into()));
        Self { count, plan }.checked(labels)
    }

    /// Forward chaining over rows in order of time: they are cut into `count` + 1 blocks of equal length,
    /// to within one, and each block but the first tests a model trained on all blocks before it. Nothing
    /// is drawn: with a shuffle, models would see the future of their test rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 2 ≤ `count` < the number of rows, or [`Error::FoldOfOneClass`] if
    /// one side of a split lacks a class.
    pub fn forward(labels: &[bool], count: usize) -> Result<Self> {
        ensure_fold_count(count, labels.len().saturating_sub(1))?;
        let cuts = (0..=count + 1).map(|cut| cut * labels.len() / (count + 1)).collect();
        let order = (0..labels.len()).collect();
        Self { count, plan: Plan::Forward { order, cuts } }.checked(labels)
    }

    /// [`forward`](Self::forward) chaining over rows in any order, by their times. Rows with equal times are
    /// never separated: all of them go to the earlier block. Both sides of each split are in order of time.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward), [`Error::LengthMismatch`], [`Error::NonFinite`] for a missing time, and
    /// [`Error::InvalidArgument`] where rows of equal times leave too few blocks.
    pub fn by_time(labels: &[bool], times: &[f64], count: usize) -> Result<Self> {
        same_length("times", times.len(), "the labels", labels.len())?;
        ensure_fold_count(count, labels.len().saturating_sub(1))?;
        let order = in_order_of(times)?;
        let end = |block| after_ties(times, &order, block * times.len() / (count + 1));
        let cuts: Vec<usize> = (0..=count + 1).map(end).collect();
        if cuts.windows(2).any(|block| block[0] == block[1]) {
            let distinct = order.chunk_by(|&a, &b| times[a] == times[b]).count();
            let expected = format!(
                "different enough for {} blocks of about equal length, as rows with equal times are never \
                 separated; take fewer folds, or finer times",
                count + 1
            );
            return Err(Error::invalid(
                "times",
                format!("of {distinct} different values"),
                expected,
            ));
        }
        Self { count, plan: Plan::Forward { order, cuts } }.checked(labels)
    }

    /// Number of folds.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The split of each fold, in order.
    pub fn splits(&self) -> impl ExactSizeIterator<Item = Split> + '_ {
        (0..self.count).map(|fold| match &self.plan {
            Plan::Exchangeable(folds) => {
                let (test, train) = (0..folds.len()).partition(|&row| folds[row] as usize == fold);
                Split::of(train, test)
            }
            Plan::Forward { order, cuts } => Split::of(
                order[..cuts[fold + 1]].to_vec(),
                order[cuts[fold + 1]..cuts[fold + 2]].to_vec(),
            ),
        })
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        match &self.plan {
            Plan::Exchangeable(folds) => folds.len(),
            Plan::Forward { order, .. } => order.len(),
        }
    }

    /// These folds, checked to have both classes on both sides of each split.
    fn checked(self, labels: &[bool]) -> Result<Self> {
        for (fold, split) in self.splits().enumerate() {
            for (training, rows) in [(true, split.train()), (false, split.test())] {
                let positives = rows.iter().filter(|&&row| labels[row]).count();
                let negatives = rows.len() - positives;
                if positives == 0 || negatives == 0 {
                    let (fold, of) = (fold + 1, self.count);
                    return Err(Error::FoldOfOneClass { fold, of, training, positives, negatives });
                }
            }
        }
        Ok(self)
    }
}

/// Groups of rows that must not be separated.
pub(super) struct Groups<'g> {
    of_rows: &'g [u32],
    /// Positives and rows of each group.
    sizes: HashMap<u32, (usize, usize)>,
}

impl<'g> Groups<'g> {
    pub(super) fn of(labels: &[bool], of_rows: &'g [u32]) -> Self {
        let mut sizes: HashMap<u32, (usize, usize)> = HashMap::new();
        for (&label, &group) in labels.iter().zip(of_rows) {
            let size = sizes.entry(group).or_default();
            *size = (size.0 + usize::from(label), size.1 + 1);
        }
        Self { of_rows, sizes }
    }

    /// The part that each row goes to; part i should get the share `shares[i]` of the rows and of the
    /// positives. The largest group is dealt out first. A group with positives goes to the part that then
    /// has the fewest positives for its share, another group to the part that then has the fewest rows.
    pub(super) fn allocate(&self, shares: &[f64], seed: Seed) -> Vec<u32> {
        let mut groups: Vec<(u32, (usize, usize))> =
            self.sizes.iter().map(|(&group, &size)| (group, size)).collect();
        groups.sort_unstable();
        seed.child("groups").shuffle(&mut groups);
        // Stable: groups of equal size stay shuffled.
        groups.sort_by_key(|&(_, size)| Reverse(size));
        let mut filled = vec![(0, 0); shares.len()];
        let mut part_of = HashMap::with_capacity(groups.len());
        for (group, (positives, rows)) in groups {
            let load = |part: &usize| {
                let (more, all) = (filled[*part].0 + positives, filled[*part].1 + rows);
                let positive = if positives > 0 { more as f64 / shares[*part] } else { 0.0 };
                (positive, all as f64 / shares[*part])
            };
            let least = (0..shares.len()).min_by(|a, b| {
                let ((a0, a1), (b0, b1)) = (load(a), load(b));
                a0.total_cmp(&b0).then(a1.total_cmp(&b1))
            });
            let part = least.unwrap_or_default();
            filled[part] = (filled[part].0 + positives, filled[part].1 + rows);
            part_of.insert(group, part as u32);
        }
        self.of_rows.iter().map(|group| part_of[group]).collect()
    }
}

/// Checks a number of folds of rows that allow at most `most` of them.
pub(crate) fn ensure_fold_count(count: usize, most: usize) -> Result<()> {
    if (2..=most).contains(&count) {
        Ok(())
    } else {
        let expected = if most < 2 {
            "at least 2, for which there are too few rows".into()
        } else if count < 2 {
            "at least 2".into()
        } else {
            format!("at most {most}, for this number of rows")
        };
        Err(Error::invalid("folds", count, expected))
    }
}
