//! Which rows are judged by which of several models.

use std::cmp::Reverse;
use std::collections::HashMap;

use ndarray_rand::rand::Rng;

use super::{Error, Result, Seed, Split, check_finite, same_length};

/// Rows cut into folds for cross-fitting: each [`Split`] trains on some rows and judges others, and no
/// row is judged twice.
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
    /// The fold that judges each row; all other folds train for it.
    Exchangeable(Vec<u32>),
    /// Rows in order of time and where each of count + 1 blocks begins and ends; the blocks before
    /// train for the next.
    Forward { order: Vec<usize>, cuts: Vec<usize> },
}

impl Folds {
    /// `count` random folds with the same number of rows of each class, to within one. Every row is
    /// judged once, by a model of the other folds; both sides of each split are in rising row order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 2 ≤ `count` ≤ the number of rows, [`Error::FoldOfOneClass`] if
    /// there are fewer positives or negatives than folds.
    pub fn stratified(labels: &[bool], count: usize, seed: impl Into<Seed>) -> Result<Self> {
        check_count(count, labels.len())?;
        let seed = seed.into();
        let positives = labels.iter().filter(|&&label| label).count();
        // Counting on from one class to the next keeps the folds' sizes within one of each other.
        let deal = |rows: usize, first: usize, name| {
            let mut dealt: Vec<u32> = (first..first + rows).map(|i| (i % count) as u32).collect();
            let mut stream = seed.child(name).stream(0);
            for last in (1..rows).rev() {
                dealt.swap(last, stream.random_range(0..=last as u64) as usize);
            }
            dealt
        };
        let mut dealt = [
            deal(labels.len() - positives, positives, "negatives").into_iter(),
            deal(positives, 0, "positives").into_iter(),
        ];
        let fold = |&label: &bool| dealt[usize::from(label)].next().unwrap_or_default();
        Self { count, plan: Plan::Exchangeable(labels.iter().map(fold).collect()) }.checked(labels)
    }

    /// `count` random folds of whole groups, such as the rows of one user: rows of one code are judged
    /// together, by a model of other groups. Groups are dealt out the largest first, those with
    /// positives to the fold that has the fewest of them, the others to that of the fewest rows; so the
    /// folds are as even as the groups allow. [`Categories::codes`](super::Categories::codes) are such
    /// codes.
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
    ///     let judged = |user: u32| split.test().iter().filter(|&&row| users[row] == user).count();
    ///     assert!((0..20).all(|user| [0, 5].contains(&judged(user))));
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
        check_count(count, labels.len())?;
        let groups = Groups::of(labels, groups);
        if count > groups.sizes.len() {
            let expected = format!("at most {}, the number of groups", groups.sizes.len());
            return Err(Error::invalid("folds", count, expected));
        }
        let plan = Plan::Exchangeable(groups.allocate(&vec![1.0; count], seed.into()));
        Self { count, plan }.checked(labels)
    }

    /// Forward chaining over rows in order of time: they are cut into `count` + 1 blocks of the same
    /// length, to within one, and each block but the first is judged by a model of all blocks before
    /// it. Nothing is drawn: a shuffle would let models see the future of the rows they judge.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 2 ≤ `count` < the number of rows, [`Error::FoldOfOneClass`] if a
    /// split trains on one class alone, or judges such rows.
    pub fn forward(labels: &[bool], count: usize) -> Result<Self> {
        check_count(count, labels.len().saturating_sub(1))?;
        let cuts = (0..=count + 1).map(|cut| cut * labels.len() / (count + 1)).collect();
        let order = (0..labels.len()).collect();
        Self { count, plan: Plan::Forward { order, cuts } }.checked(labels)
    }

    /// [`forward`](Self::forward) chaining over rows in any order, by their times. Rows of the same time
    /// are never separated: all of them go to the earlier block. Both sides of each split are in order
    /// of time.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward), [`Error::LengthMismatch`], and [`Error::NonFinite`] for a time
    /// that is missing.
    pub fn by_time(labels: &[bool], times: &[f64], count: usize) -> Result<Self> {
        same_length("times", times.len(), "the labels", labels.len())?;
        check_count(count, labels.len().saturating_sub(1))?;
        check_finite("times", times)?;
        let mut order: Vec<usize> = (0..times.len()).collect();
        order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
        let rows = times.len();
        let mut cuts = Vec::with_capacity(count + 2);
        for cut in 0..=count + 1 {
            let mut cut = cut * rows / (count + 1);
            while (1..rows).contains(&cut) && times[order[cut]] == times[order[cut - 1]] {
                cut += 1;
            }
            cuts.push(cut);
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

    /// The number of rows that were cut.
    pub(crate) fn rows(&self) -> usize {
        match &self.plan {
            Plan::Exchangeable(folds) => folds.len(),
            Plan::Forward { order, .. } => order.len(),
        }
    }

    /// Checks that both sides of each split have both classes.
    fn checked(self, labels: &[bool]) -> Result<Self> {
        for (fold, split) in self.splits().enumerate() {
            for (side, rows) in [("trains on", split.train()), ("judges", split.test())] {
                let positives = rows.iter().filter(|&&row| labels[row]).count();
                let negatives = rows.len() - positives;
                if positives == 0 || negatives == 0 {
                    let (fold, of) = (fold + 1, self.count);
                    return Err(Error::FoldOfOneClass { fold, of, side, positives, negatives });
                }
            }
        }
        Ok(self)
    }
}

/// Rows in groups that must not be separated.
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

    /// The part that each row goes to, where part i should have the share `shares[i]` of the rows and of the
    /// positives. The largest groups are dealt out first: one with positives to the part that then has the
    /// fewest of them for its share, another to the part that then has the fewest rows.
    pub(super) fn allocate(&self, shares: &[f64], seed: Seed) -> Vec<u32> {
        let mut groups: Vec<(u32, (usize, usize))> =
            self.sizes.iter().map(|(&group, &size)| (group, size)).collect();
        groups.sort_unstable();
        let mut stream = seed.child("groups").stream(0);
        for last in (1..groups.len()).rev() {
            groups.swap(last, stream.random_range(0..=last as u64) as usize);
        }
        // Stable: groups of one size stay shuffled.
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

pub(crate) fn check_count(count: usize, most: usize) -> Result<()> {
    if (2..=most).contains(&count) {
        Ok(())
    } else {
        let expected = if most < 2 {
            "at least 2, for which there are too few rows".into()
        } else if count < 2 {
            "at least 2".into()
        } else {
            format!("at most {most}, for so many rows")
        };
        Err(Error::invalid("folds", count, expected))
    }
}
