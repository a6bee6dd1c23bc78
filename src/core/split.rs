//! Which rows train and which rows test.

use super::folds::Groups;
use super::{Error, RandomSubset, Result, Seed, ensure_finite, fits_memory, same_length};

/// Two disjoint lists of rows: one to train on, one to test on. Both are in ascending row order unless the
/// split is by time.
///
/// ```
/// use imbalance::Split;
///
/// let mut labels = vec![false; 1000];
/// labels[..40].fill(true);
/// let split = Split::stratified(&labels, 0.25, 7)?;
/// assert_eq!(split.test().len(), 250);
/// assert_eq!(split.test().iter().filter(|&&row| labels[row]).count(), 10);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    train: Vec<usize>,
    test: Vec<usize>,
}

impl Split {
    /// Draws round(`test_share` · n) of the n rows of each class without replacement as test rows, but at least one
    /// and not all.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `test_share` < 1, or if one side would be empty;
    /// [`Error::SplitOfOneClass`] for a class of one row.
    pub fn stratified(labels: &[bool], test_share: f64, seed: impl Into<Seed>) -> Result<Self> {
        ensure_share(test_share)?;
        let seed = seed.into();
        let positives = labels.iter().filter(|&&label| label).count();
        let draw = |n: usize, name| {
            let most = n.saturating_sub(1);
            RandomSubset::uniform(
                n,
                round(test_share, n).clamp(most.min(1), most),
                seed.child(name),
            )
        };
        let chosen = [draw(labels.len() - positives, "negatives"), draw(positives, "positives")];
        let mut seen = [0; 2];
        let (test, train) = (0..labels.len()).partition(|&row| {
            let class = usize::from(labels[row]);
            seen[class] += 1;
            chosen[class].contains(seen[class] - 1)
        });
        Self { train, test }.checked(test_share, labels.len())?.with_both_classes(labels)
    }

    /// The latest round(`test_share` · n) rows test, the earlier rows train; each side is in order of time.
    /// Rows with equal times are never separated: all of them train.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a missing time, or [`Error::InvalidArgument`] unless
    /// 0 < `test_share` < 1, if one side would be empty, or if all rows that would test have the time of a row
    /// before them.
    pub fn by_time(times: &[f64], test_share: f64) -> Result<Self> {
        ensure_share(test_share)?;
        let mut train = in_order_of(times)?;
        let cut = times.len() - round(test_share, times.len());
        let test = train.split_off(after_ties(times, &train, cut));
        if let (true, Some(&last)) = (test.is_empty() && cut < times.len(), train.last()) {
            let equal = train.iter().filter(|&&row| times[row] == times[last]).count();
            let found = format!("{} in the {equal} latest of {} rows", times[last], times.len());
            let expected = "of more than one value there, as rows with equal times are never separated; take a \
                            larger `test_share`, or finer times";
            return Err(Error::invalid("times", found, expected));
        }
        Self { train, test }.checked(test_share, times.len())
    }

    /// About the share `test_share` of the rows and of the positives test, in whole groups, such as the rows
    /// of one user: rows with equal codes are on one side. The test side is as near to the share as the
    /// groups allow. Codes may be those of a text attribute,
    /// [`Categories::codes`](super::Categories::codes).
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], or [`Error::InvalidArgument`] unless 0 < `test_share` < 1, or if one side
    /// would be empty.
    ///
    /// ```
    /// use imbalance::Split;
    ///
    /// let labels: Vec<bool> = (0..100).map(|row| row % 10 == 0).collect();
    /// let users: Vec<u32> = (0..100).map(|row| row / 5).collect();
    /// let split = Split::by_group(&labels, &users, 0.2, 7)?;
    /// assert_eq!(split.test().len(), 20);
    /// assert!(split.train().iter().all(|&row| !split.test().iter().any(|&test| users[test] == users[row])));
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn by_group(
        labels: &[bool],
        groups: &[u32],
        test_share: f64,
        seed: impl Into<Seed>,
    ) -> Result<Self> {
        ensure_share(test_share)?;
        same_length("groups", groups.len(), "the labels", labels.len())?;
        let shares = [1.0 - test_share, test_share];
        let sides = Groups::of(labels, groups).allocate(&shares, seed.into());
        let (test, train) = (0..labels.len()).partition(|&row| sides[row] == 1);
        Self { train, test }.checked(test_share, labels.len())
    }

    /// The last round(`test_share` · n) of n rows test, the other rows train: for rows in order of time.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `test_share` < 1, if one side would be empty, or for more rows
    /// than a `Vec` can list.
    pub fn last(rows: usize, test_share: f64) -> Result<Self> {
        ensure_share(test_share)?;
        if !fits_memory(rows.checked_mul(size_of::<usize>())) {
            return Err(Error::invalid("rows", rows, "few enough for memory"));
        }
        let cut = rows - round(test_share, rows);
        Self { train: (0..cut).collect(), test: (cut..rows).collect() }.checked(test_share, rows)
    }

    pub(crate) fn of(train: Vec<usize>, test: Vec<usize>) -> Self {
        Self { train, test }
    }

    /// Rows to train on.
    #[must_use]
    pub fn train(&self) -> &[usize] {
        &self.train
    }

    /// Rows to test on.
    #[must_use]
    pub fn test(&self) -> &[usize] {
        &self.test
    }

    /// This split, checked to have each class that there is on both sides.
    pub(super) fn with_both_classes(self, labels: &[bool]) -> Result<Self> {
        let count = |rows: &[usize]| {
            let positives = rows.iter().filter(|&&row| labels[row]).count();
            [rows.len() - positives, positives]
        };
        let (train, test) = (count(&self.train), count(&self.test));
        for (is_test, own, other) in [(false, train, test), (true, test, train)] {
            if (0..2).any(|class| own[class] == 0 && other[class] > 0) {
                let [negatives, positives] = own;
                return Err(Error::SplitOfOneClass { test: is_test, positives, negatives });
            }
        }
        Ok(self)
    }

    fn checked(self, share: f64, rows: usize) -> Result<Self> {
        if self.train.is_empty() || self.test.is_empty() {
            let expected = format!("such that of {rows} rows some train and some test");
            return Err(Error::invalid("test_share", share, expected));
        }
        Ok(self)
    }
}

fn ensure_share(share: f64) -> Result<()> {
    if share > 0.0 && share < 1.0 {
        Ok(())
    } else {
        Err(Error::invalid("test_share", share, "between 0 and 1, both excluded"))
    }
}

/// All rows in order of time. The sort is stable: rows already in order stay a range, which is not copied.
pub(super) fn in_order_of(times: &[f64]) -> Result<Vec<usize>> {
    ensure_finite("times", times)?;
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
    Ok(order)
}

/// The first position from `cut` on whose row has another time than the row before it.
pub(super) fn after_ties(times: &[f64], order: &[usize], mut cut: usize) -> usize {
    while (1..order.len()).contains(&cut) && times[order[cut]] == times[order[cut - 1]] {
        cut += 1;
    }
    cut
}

/// `share · n`, rounded to the nearest whole number: 29 % of 100 rows are 29 although 0.29 · 100 is
/// 28.999999999999996 in floating point.
pub(crate) fn round(share: f64, n: usize) -> usize {
    (share * n as f64).round() as usize
}
