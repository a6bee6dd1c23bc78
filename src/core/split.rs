//! Which rows train and which rows judge.

use super::folds::Groups;
use super::{ADDRESSABLE, Chosen, Error, Result, Seed, check_finite, same_length};

/// Two disjoint sets of rows: one to train on, one to test on. Both are in rising row order unless the
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
    /// Draws round(`test_share` · n) rows of each class without replacement as test rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `test_share` < 1, or if one side would be empty.
    pub fn stratified(labels: &[bool], test_share: f64, seed: impl Into<Seed>) -> Result<Self> {
        check_share(test_share)?;
        let seed = seed.into();
        let positives = labels.iter().filter(|&&label| label).count();
        let draw = |n: usize, name| Chosen::uniform(n, round(test_share, n), seed.child(name));
        let chosen = [draw(labels.len() - positives, "negatives"), draw(positives, "positives")];
        let mut seen = [0; 2];
        let (test, train) = (0..labels.len()).partition(|&row| {
            let class = usize::from(labels[row]);
            seen[class] += 1;
            chosen[class].contains(seen[class] - 1)
        });
        Self { train, test }.checked(test_share, labels.len())
    }

    /// The round(`test_share` · n) latest rows test, the earlier ones train; each side is in order of
    /// time. Rows of the same time are never separated: all of them train.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a time that is missing, [`Error::InvalidArgument`] unless
    /// 0 < `test_share` < 1, or if one side would be empty.
    pub fn by_time(times: &[f64], test_share: f64) -> Result<Self> {
        check_share(test_share)?;
        check_finite("times", times)?;
        let mut train: Vec<usize> = (0..times.len()).collect();
        // Stable, so that rows already in order stay a range, which need not be copied.
        train.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
        let mut cut = times.len() - round(test_share, times.len());
        while (1..times.len()).contains(&cut) && times[train[cut]] == times[train[cut - 1]] {
            cut += 1;
        }
        let test = train.split_off(cut);
        Self { train, test }.checked(test_share, times.len())
    }

    /// About the share `test_share` of the rows and of the positives test, in whole groups, such as the rows
    /// of one user: rows of one code are on one side. The sides are as near to the share as the groups
    /// allow. [`Categories::codes`](super::Categories::codes) are such codes.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::InvalidArgument`] unless 0 < `test_share` < 1, or if one side
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
        check_share(test_share)?;
        same_length("groups", groups.len(), "the labels", labels.len())?;
        let shares = [1.0 - test_share, test_share];
        let sides = Groups::of(labels, groups).allocate(&shares, seed.into());
        let (test, train) = (0..labels.len()).partition(|&row| sides[row] == 1);
        Self { train, test }.checked(test_share, labels.len())
    }

    /// The last round(`test_share` · n) of n rows test, the others train: for rows in order of time.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `test_share` < 1, if one side would be empty, or for more rows
    /// than can be listed.
    pub fn last(rows: usize, test_share: f64) -> Result<Self> {
        check_share(test_share)?;
        if rows > ADDRESSABLE {
            return Err(Error::invalid("rows", rows, "few enough to be addressed"));
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

    fn checked(self, share: f64, rows: usize) -> Result<Self> {
        if self.train.is_empty() || self.test.is_empty() {
            let expected = format!("such that of {rows} rows some train and some test");
            return Err(Error::invalid("test_share", share, expected));
        }
        Ok(self)
    }
}

fn check_share(share: f64) -> Result<()> {
    if share > 0.0 && share < 1.0 {
        Ok(())
    } else {
        Err(Error::invalid("test_share", share, "between 0 and 1, both excluded"))
    }
}

/// `share · n` to the nearest whole number, so that 29 % of 100 rows are 29 though 0.29 · 100 is
/// 28.999999999999996.
pub(crate) fn round(share: f64, n: usize) -> usize {
    (share * n as f64).round() as usize
}
