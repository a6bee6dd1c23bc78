//! The seed and the observer that a stage gets besides its data.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::{Error, Fixed, Result, Seed};

/// A report on work in progress.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// A stage of the pipeline begins.
    Stage {
        /// `sampling`, `fitting`, `calibrating` or `checking`; a program may announce stages of its own.
        name: &'static str,
        /// Its input rows.
        rows: usize,
    },
    /// A fold of a cross-fit begins; its stages follow.
    Fold {
        /// The fold, counted from 1.
        fold: usize,
        /// The number of folds.
        of: usize,
        /// Its training rows.
        rows: usize,
    },
    /// A solver finished an iteration.
    Iteration {
        /// Iterations so far.
        iteration: usize,
        /// The objective after it.
        objective: f64,
        /// Estimate of the objective's distance from its minimum.
        gap: f64,
        /// The gap at which the solver stops.
        target: f64,
    },
    /// An online learner has learned some of the rows.
    Learned {
        /// Rows so far, over all passes.
        rows: usize,
        /// Rows in all passes.
        of: usize,
        /// Mean log loss of the rows of this pass; the loss of a row is taken before the row is learned.
        log_loss: f64,
    },
    /// Boosting grew another tree.
    Boosted {
        /// Trees so far.
        trees: usize,
        /// Mean loss of the training rows with these trees.
        loss: f64,
    },
    /// A part of a task with a known end was done. A stage may have several tasks, one after the other.
    Work {
        /// The task, such as `neighbour search`.
        task: &'static str,
        /// Units so far.
        done: u64,
        /// Units in the whole task.
        of: u64,
        /// The unit, such as `pairs of rows`.
        unit: &'static str,
    },
    /// Part of a file was read.
    Read {
        /// Bytes of the file read so far (compressed bytes, if the file is compressed).
        bytes: u64,
        /// Size of the file.
        of: u64,
        /// Rows so far.
        rows: usize,
    },
}

type Callback = dyn Fn(&Progress) -> ControlFlow<()> + Send + Sync;

/// Least time between two reports of [`Progress::Work`].
const INTERVAL: Duration = Duration::from_millis(50);

struct Observer {
    /// When it last heard of [`Progress::Work`]; locked while it hears of it.
    heard: Mutex<Option<Instant>>,
    interval: Duration,
    callback: Box<Callback>,
}

/// The seed and the observer of one run of a pipeline or a stage.
///
/// The observer hears of every stage, fold, iteration and tree. Of the parts of a task ([`Progress::Work`]) it hears at
/// most every 50 ms, and when the task is complete, from one thread at a time. Each thread that works on such a task
/// asks for a stop between blocks of work of some milliseconds, so that the work ends soon after the observer
/// returned `Break`, with [`Error::Cancelled`]. Results do not depend on the observer. The metrics of one replicate
/// or one section of a report are not interrupted.
///
/// ```
/// use std::ops::ControlFlow;
/// use imbalance::Run;
///
/// let run = Run::seeded(7).observed(|progress| {
///     eprintln!("{progress:?}");
///     ControlFlow::Continue(()) // or Break, to stop the work with `Error::Cancelled`
/// });
/// assert_eq!(run.seed(), Run::seeded(7).seed());
/// ```
#[derive(Clone)]
pub struct Run {
    seed: Seed,
    observer: Option<Arc<Observer>>,
}

impl Run {
    /// A run with a seed and without an observer.
    pub fn seeded(seed: impl Into<Seed>) -> Self {
        Self { seed: seed.into(), observer: None }
    }

    /// Adds an observer, which may stop the run.
    #[must_use]
    pub fn observed(
        self,
        observer: impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.observed_every(INTERVAL, observer)
    }

    fn observed_every(
        mut self,
        interval: Duration,
        observer: impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        let (heard, callback) = (Mutex::new(None), Box::new(observer));
        self.observer = Some(Arc::new(Observer { heard, interval, callback }));
        self
    }

    /// Replaces the seed.
    #[must_use]
    pub fn reseeded(mut self, seed: impl Into<Seed>) -> Self {
        self.seed = seed.into();
        self
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The run of a part of the work: its seed is the child seed of that name, its observer is this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { seed: self.seed.child(name), observer: self.observer.clone() }
    }

    /// Sends a report to the observer, if there is one.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the observer stops the run.
    pub fn report(&self, progress: &Progress) -> Result<()> {
        match &self.observer {
            Some(observer) if (observer.callback)(progress).is_break() => {
                Err(Error::Cancelled { during: progress.to_string() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.observer.is_some()
    }

    /// [`report`](Self::report) unless the observer heard less than the interval ago, or hears of another thread now.
    /// Returns whether it reported.
    pub(super) fn report_at_times(&self, progress: impl FnOnce() -> Progress) -> Result<bool> {
        let Some(observer) = &self.observer else { return Ok(false) };
        let mut heard = match observer.heard.try_lock() {
            Ok(heard) => heard,
            Err(TryLockError::Poisoned(heard)) => heard.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        if heard.is_some_and(|heard| heard.elapsed() < observer.interval) {
            return Ok(false);
        }
        let result = self.report(&progress());
        *heard = Some(Instant::now());
        result.map(|()| true)
    }

    /// [`report`](Self::report), once no other thread reports.
    pub(super) fn report_end(&self, progress: &Progress) -> Result<()> {
        let Some(observer) = &self.observer else { return Ok(()) };
        let mut heard = observer.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.report(progress);
        *heard = Some(Instant::now());
        result
    }
}

impl Default for Run {
    /// Seed 0, without an observer.
    fn default() -> Self {
        Self::seeded(0)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("seed", &self.seed)
            .field("observed", &self.observer.is_some())
            .finish()
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage { name, rows } => write!(f, "{name}, {rows} rows"),
            Self::Fold { fold, of, rows } => write!(f, "fold {fold} of {of}, {rows} rows"),
            Self::Iteration { iteration, objective, gap, .. } => {
                write!(
                    f,
                    "iteration {iteration}, objective {}, gap {gap:.1e}",
                    Fixed(*objective, 6)
                )
            }
            Self::Learned { rows, of, log_loss } => {
                write!(f, "learned {rows} of {of} rows, log loss {log_loss:.6}")
            }
            Self::Work { task, done, of, unit } => write!(f, "{task}, {done} of {of} {unit}"),
            Self::Boosted { trees, loss } => write!(f, "{trees} trees, mean loss {loss:.6}"),
            Self::Read { bytes, of, rows } => {
                write!(f, "reading, {rows} rows, {bytes} of {of} bytes")
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Checks that a task of one thread reports counts that grow, and ends with no more work after the report at
    /// which it is told to stop, whichever of the first ones that is. Returns the most units between two reports,
    /// which is the most work after a request.
    pub(crate) fn assert_observed(name: &str, work: impl Fn(&Run) -> Result<()> + Sync) -> u64 {
        let parts = |stop: usize| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&seen);
            let run = Run::seeded(1).observed_every(Duration::ZERO, move |progress| {
                let mut heard = heard.lock().unwrap();
                if let Progress::Work { task, done, of, .. } = *progress {
                    heard.push((task, done, of));
                }
                if heard.len() == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let (result, _) = crate::exec::parallel::sorts_during(|| work(&run));
            let seen = seen.lock().unwrap().clone();
            (result, seen)
        };
        let (result, all) = parts(usize::MAX);
        assert!(result.is_ok(), "{name}: {result:?}");
        let pairs = || all.windows(2).map(|pair| (pair[0], pair[1]));
        assert!(all.iter().all(|&(_, done, of)| done <= of), "{name}: {all:?}");
        // Counts begin anew with the next task only.
        assert!(pairs().all(|(a, b)| a.1 <= b.1 || b.1 == 0), "{name}: {all:?}");
        assert!(pairs().filter(|(a, b)| a.1 < b.1).count() > 1, "{name}: {all:?}");
        for stop in 1..=all.len().min(5) {
            let (result, seen) = parts(stop);
            assert!(matches!(result, Err(Error::Cancelled { .. })), "{name}: {result:?}");
            assert_eq!(seen, all[..stop], "{name}");
        }
        // The longest step of the last task.
        let task = all.last().map_or("", |last| last.0);
        let steps = pairs().filter(|(a, b)| a.0 == task && b.0 == task);
        steps.map(|(a, b)| b.1.saturating_sub(a.1)).max().unwrap_or(0)
    }

    #[test]
    fn the_observer_sees_and_stops() {
        let run = Run::seeded(1).observed(|progress| match progress {
            Progress::Iteration { iteration: 3, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        let at =
            |iteration| Progress::Iteration { iteration, objective: 1.0, gap: 0.5, target: 0.1 };
        assert!(run.report(&at(2)).is_ok());
        let error = run.child("model").report(&at(3)).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    }
}
