//! Work that all cores share, counted.

use std::cmp;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Error, Progress, Result, Run};
use crate::exec::parallel;

/// Elements in a part of a loop on one thread, and most in a sort that is not interrupted: some milliseconds of work.
pub(crate) const PART: usize = 1 << 16;

/// Counts the work of a task, tells the observer, and says when to stop. Blocks of work that begin after the request
/// return at once; their results are thrown away with the task, which ends with [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Meter<'r> {
    run: &'r Run,
    task: &'static str,
    unit: &'static str,
    of: u64,
    begun: AtomicU64,
    /// Whether the observer heard of the task.
    heard: AtomicBool,
    /// What the work was stopped in.
    stopped: OnceLock<String>,
}

impl<'r> Meter<'r> {
    /// A task of `of` units.
    pub(crate) fn new(run: &'r Run, task: &'static str, unit: &'static str, of: usize) -> Self {
        let (begun, heard, stopped) = (AtomicU64::new(0), AtomicBool::new(false), OnceLock::new());
        Self { run, task, unit, of: of as u64, begun, heard, stopped }
    }

    /// Whether to do `units` more, which then count. To be asked before every block of work.
    pub(crate) fn goes_on(&self, units: usize) -> bool {
        if self.stopped.get().is_some() {
            return false;
        }
        // The next units are not done yet, and read here the count never falls between two reports.
        match self.run.report_at_times(|| self.done(self.begun.load(Ordering::Relaxed))) {
            Err(Error::Cancelled { during }) => {
                let _ = self.stopped.set(during);
                return false;
            }
            Ok(true) => self.heard.store(true, Ordering::Relaxed),
            _ => {}
        }
        self.skip(units);
        true
    }

    /// Counts units that need not be done.
    pub(crate) fn skip(&self, units: usize) {
        self.begun.fetch_add(units as u64, Ordering::Relaxed);
    }

    fn done(&self, units: u64) -> Progress {
        let Self { task, unit, of, .. } = *self;
        Progress::Work { task, done: units.min(of), of, unit }
    }

    /// The parts of a slice, until the observer stops the work.
    pub(crate) fn parts<'s, T>(&self, rows: &'s [T]) -> impl Iterator<Item = &'s [T]> {
        rows.chunks(PART).take_while(|part| self.goes_on(part.len()))
    }

    /// The parts of a slice, the last one first, until the observer stops the work.
    pub(crate) fn parts_from_the_end<'s, T>(&self, rows: &'s [T]) -> impl Iterator<Item = &'s [T]> {
        rows.rchunks(PART).take_while(|part| self.goes_on(part.len()))
    }

    /// The rows in parts, until the observer stops the work.
    pub(crate) fn ranges(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        parts(rows).take_while(|part| self.goes_on(part.len()))
    }

    /// The rows that a unit of work goes over in parts, until the observer stops it.
    pub(crate) fn within(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        parts(rows).take_while(|_| self.goes_on(0))
    }

    /// The items in a list, which ends early if the observer stops the work.
    pub(crate) fn collect<T>(&self, mut items: impl Iterator<Item = T>, most: usize) -> Vec<T> {
        let mut all = Vec::with_capacity(most);
        loop {
            let before = all.len();
            if self.goes_on(PART) {
                all.extend(items.by_ref().take(PART));
            }
            if all.len() == before {
                return all;
            }
        }
    }

    /// Sorts by a total order, as [`parallel::sort_by`] does. For an observer, the elements are split at their
    /// median until there are few; equal elements are equal, so that the order is the same.
    pub(crate) fn sort_by<T: Send>(
        &self,
        rows: &mut [T],
        compare: impl Fn(&T, &T) -> cmp::Ordering + Sync + Send + Copy,
    ) {
        if !self.run.is_observed() {
            parallel::sort_by(rows, compare);
        } else if rows.len() <= PART {
            if self.goes_on(rows.len()) {
                rows.sort_unstable_by(compare);
            }
        } else if self.goes_on(0) {
            let middle = rows.len() / 2;
            let (below, _, above) = rows.select_nth_unstable_by(middle, compare);
            parallel::join(true, || self.sort_by(below, compare), || self.sort_by(above, compare));
        }
    }

    /// The result of a unit of work.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or that of the work.
    pub(crate) fn unit<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.goes_on(1) { work() } else { self.finish().and_then(|()| work()) }
    }

    /// Ends the task. An observer that heard of it hears that it is complete.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the observer stopped the work.
    pub(crate) fn finish(&self) -> Result<()> {
        self.ensure_not_stopped()?;
        if self.heard.load(Ordering::Relaxed) {
            self.run.report_end(&self.done(self.of))?;
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Cancelled`] if the observer stopped the work.
    pub(crate) fn ensure_not_stopped(&self) -> Result<()> {
        let cancelled = |during: &String| Err(Error::Cancelled { during: during.clone() });
        self.stopped.get().map_or(Ok(()), cancelled)
    }
}

fn parts(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(PART).map(move |start| start..rows.min(start + PART))
}
