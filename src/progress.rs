//! A ready-made progress bar (feature `progress`).

use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Progress;

/// An observer that shows on the terminal's standard error how far the work is, and removes itself when
/// it is dropped. Where standard error is no terminal it shows nothing.
///
/// ```
/// use imbalance::prelude::*;
/// let pipeline = Pipeline::new(LogisticRegression::new()).observer(imbalance::progress::bar());
/// ```
pub fn bar() -> impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static {
    let bar = Clearing(ProgressBar::new_spinner());
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
        if let Progress::Read { bytes, of, .. } = progress {
            // A template with a syntax error would fall back to the default style.
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {wide_msg}") {
                self.0.set_style(style);
            }
            self.0.set_length(*of);
            self.0.set_position(*bytes);
        } else {
            self.0.set_style(ProgressStyle::default_spinner());
        }
        self.0.set_message(progress.to_string());
        self.0.tick();
    }
}

impl Drop for Clearing {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
