//! Work that all cores share, counted.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Error, Progress, Result, Run};

/// Counts the work of a task, tells the observer, and says when to stop. Blocks of work that begin after the request
/// return at once; their results are thrown away with the task, which ends with [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Meter<'r> {
    run: &'r Run,
    task: &'static str,
    unit: &'static str,
    of: u64,
    begun: AtomicU64,
    /// What the work was stopped in.
    stopped: OnceLock<String>,
}

impl<'r> Meter<'r> {
    /// A task of `of` units.
    pub(crate) fn new(run: &'r Run, task: &'static str, unit: &'static str, of: usize) -> Self {
        let (begun, stopped) = (AtomicU64::new(0), OnceLock::new());
        Self { run, task, unit, of: of as u64, begun, stopped }
    }

    /// Whether to do `units` more, which then count. To be asked before every block of work.
    pub(crate) fn goes_on(&self, units: usize) -> bool {
        if self.stopped.get().is_some() {
            return false;
        }
        let (task, unit, of) = (self.task, self.unit, self.of);
        let part = || {
            // The next units are not done yet, and read here the count never falls between two reports.
            let done = self.begun.load(Ordering::Relaxed).min(of);
            Progress::Work { task, done, of, unit }
        };
        if let Err(Error::Cancelled { during }) = self.run.report_at_times(part) {
            let _ = self.stopped.set(during);
            return false;
        }
        self.skip(units);
        true
    }

    /// Counts units that need not be done.
    pub(crate) fn skip(&self, units: usize) {
        self.begun.fetch_add(units as u64, Ordering::Relaxed);
    }

    /// The result of a unit of work.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or that of the work.
    pub(crate) fn unit<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.goes_on(1) { work() } else { self.finish().and_then(|()| work()) }
    }

    /// # Errors
    /// [`Error::Cancelled`] if the observer stopped the work.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.stopped.get() {
            Some(during) => Err(Error::Cancelled { during: during.clone() }),
            None => Ok(()),
        }
    }
}
