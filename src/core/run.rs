//! The seed and the observer that a stage gets besides its data.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

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

/// The seed and the observer of one run of a pipeline or a stage.
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
    observer: Option<Arc<Callback>>,
}

impl Run {
    /// A run with a seed and without an observer.
    pub fn seeded(seed: impl Into<Seed>) -> Self {
        Self { seed: seed.into(), observer: None }
    }

    /// Adds an observer, which may stop the run.
    #[must_use]
    pub fn observed(
        mut self,
        observer: impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
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
            Some(observer) if observer(progress).is_break() => {
                Err(Error::Cancelled { during: progress.to_string() })
            }
            _ => Ok(()),
        }
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
            Self::Boosted { trees, loss } => write!(f, "{trees} trees, mean loss {loss:.6}"),
            Self::Read { bytes, of, rows } => {
                write!(f, "reading, {rows} rows, {bytes} of {of} bytes")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
