//! A ready-made progress bar (feature `progress`).

use std::ops::ControlFlow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Progress;

/// How often the line is drawn anew, so that the time goes on where no progress is told of.
const TICK: Duration = Duration::from_millis(200);

/// An observer that shows on the terminal's standard error how far the work is, and for how long, and removes
/// itself when it is dropped. Where standard error is no terminal it shows nothing.
///
/// What is printed while the bar lives may end up on its line: give each pipeline a bar of its own, and drop
/// the pipeline with its bar before printing.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::progress;
/// # let x = imbalance::ndarray::array![[0.0], [1.0], [0.2], [0.7], [0.3], [0.5]];
/// # let data = Dataset::new(&x, vec![false, true, false, false, true, false])?;
///
/// let pipeline = Pipeline::new(LogisticRegression::new());
/// let fitted = pipeline.clone().observer(progress::bar()).fit(&data)?; // the bar is gone
/// println!("{fitted}");
///
/// // Work that has no observer of its own can be announced.
/// let bar = progress::bar();
/// let _ = bar(&imbalance::Progress::Stage { name: "predicting", rows: data.rows() });
/// let p = fitted.probabilities_of(&data)?;
/// drop(bar);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn bar() -> impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(TICK);
    let bar = Clearing(bar);
    move |progress| {
        bar.show(progress);
        ControlFlow::Continue(())
    }
}

/// A bar that leaves no line behind.
#[derive(Debug)]
struct Clearing(ProgressBar);

impl Clearing {
    fn show(&self, progress: &Progress) {
        let part = match *progress {
            Progress::Read { bytes, of, .. } => Some((bytes, of)),
            Progress::Work { done, of, .. } => Some((done, of)),
            Progress::Learned { rows, of, .. } => Some((rows as u64, of as u64)),
            _ => None,
        };
        match part {
            Some((done, of)) => {
                self.style("{bar:30} {percent:>3} %  {elapsed}, {eta} left  {wide_msg}");
                // Time left is that of the task, which began where the count begins anew.
                if done < self.0.position() {
                    self.0.reset_eta();
                }
                self.0.set_length(of);
                self.0.set_position(done);
            }
            None => self.style("{spinner} {elapsed}  {wide_msg}"),
        }
        self.0.set_message(progress.to_string());
        self.0.tick();
    }

    fn style(&self, template: &str) {
        // A template with a syntax error would leave the style as it was.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
    }
}

impl Drop for Clearing {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
