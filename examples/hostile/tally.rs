//! Outcomes of cells, counted.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use imbalance::Result;

/// The message of the last panic and its place.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Keeps messages of panics for [`Tally`] instead of printing them.
pub(crate) fn silence_panics() {
    std::panic::set_hook(Box::new(|info| {
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
    }));
}

/// Outcomes of cells.
pub(crate) struct Tally {
    /// One cell in so many is run.
    every: usize,
    offered: usize,
    values: usize,
    errors: usize,
    panics: Vec<String>,
    nans: Vec<String>,
    spent: Duration,
    slowest: (Duration, String),
}

impl Tally {
    pub(crate) fn new(every: usize) -> Self {
        Self {
            every,
            offered: 0,
            values: 0,
            errors: 0,
            panics: Vec::new(),
            nans: Vec::new(),
            spent: Duration::ZERO,
            slowest: (Duration::ZERO, String::new()),
        }
    }

    /// Runs a cell, if it is its turn. The value's [`Debug`] text shows whether it holds a NaN.
    pub(crate) fn cell<T: Debug>(
        &mut self,
        name: impl Fn() -> String,
        call: impl FnOnce() -> Result<T>,
    ) {
        self.offered += 1;
        // Every remainder has its turn in tables whose width is a multiple of `every`.
        if !(self.offered + self.offered / 1009).is_multiple_of(self.every) {
            return;
        }
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            call().map(|value| format!("{value:?}")).map_err(|e| format!("{e} {e:?}"))
        }));
        match outcome {
            Ok(Ok(text)) if has_nan(&text) => {
                self.nans.push(format!("{}: {}", name(), around_nan(&text)));
            }
            Ok(Ok(_)) => self.values += 1,
            Ok(Err(_)) => self.errors += 1,
            Err(_) => {
                let last = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone();
                self.panics.push(format!("{}: {last}", name()));
            }
        }
        let spent = start.elapsed();
        self.spent += spent;
        if spent > self.slowest.0 {
            self.slowest = (spent, name());
        }
    }

    /// A cell that cannot fail.
    pub(crate) fn sure<T: Debug>(&mut self, name: impl Fn() -> String, call: impl FnOnce() -> T) {
        self.cell(name, || Ok(call()));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.offered += other.offered;
        self.values += other.values;
        self.errors += other.errors;
        self.panics.extend(other.panics);
        self.nans.extend(other.nans);
        self.spent += other.spent;
        self.slowest = std::mem::take(&mut self.slowest).max(other.slowest);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.panics.is_empty() && self.nans.is_empty()
    }

    pub(crate) fn print(&self, name: &str) {
        let Self { values, errors, panics, nans, spent, .. } = self;
        let (panics, nans) = (panics.len(), nans.len());
        let cells = values + errors + panics + nans;
        let seconds = spent.as_secs_f64();
        println!("{name:16}{cells:>9}{values:>9}{errors:>9}{panics:>8}{nans:>6}{seconds:>7.1}");
    }

    /// The first faults, and the slowest cell.
    pub(crate) fn print_faults(&self) {
        const SHOWN: usize = 60;
        for (kind, faults) in [("panic", &self.panics), ("NaN", &self.nans)] {
            faults.iter().take(SHOWN).for_each(|fault| println!("{kind}: {fault}"));
        }
        println!("slowest cell: {:.2} s, {}", self.slowest.0.as_secs_f64(), self.slowest.1);
    }
}

/// Whether a number of the text is NaN. Messages and names may hold the letters inside a word.
fn has_nan(text: &str) -> bool {
    nan_at(text).is_some()
}

fn nan_at(text: &str) -> Option<usize> {
    text.match_indices("NaN").map(|(at, _)| at).find(|&at| {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '"' || c == '`';
        let before = text[..at].chars().next_back();
        let after = text[at + 3..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

fn around_nan(text: &str) -> &str {
    let at = nan_at(text).unwrap_or(0);
    let floor = |at: usize| (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[floor(at.saturating_sub(160))..floor((at + 60).min(text.len()))]
}
