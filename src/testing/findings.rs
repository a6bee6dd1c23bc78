//! Laws, and how they were broken.

use std::fmt::{self, Debug, Display};

use crate::core::{Error, Result};

/// A law of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// Ordinary rows get an answer, and inputs that cannot be answered get the documented error.
    Answers,
    /// Finite inputs give finite outputs or a typed error.
    Finite,
    /// The bits do not depend on the number of threads.
    Threads,
    /// A seed gives the same bits again, and another seed changes them only if a draw is promised.
    Seed,
    /// The order of the rows changes nothing but provenance.
    RowOrder,
    /// The order of the columns changes nothing.
    ColumnOrder,
    /// `f32` and `f64`, dense and sparse rows give the same; `f32` stays `f32`, and sparse stays sparse.
    Storage,
    /// The units of features, weights and losses change nothing.
    Scale,
    /// A row of weight k is that row k times, and a row of weight 0 is absent.
    Weights,
    /// An offset is added to the row's logit.
    Offsets,
    /// Contributions of columns, where a model has them, sum to its logit.
    Contributions,
    /// Kept rows are those of the input to the bit; weights, offsets, labels and attributes are those of the rows that
    /// provenance names.
    Provenance,
    /// The distortion is what the resampling did to the odds, and follows an earlier one.
    Distortion,
    /// Texts name the implementation, and are the same in every run.
    Name,
    /// Gradient and curvature are the slopes of the loss and of the gradient.
    Slopes,
    /// A block is the weighted sum of its rows.
    Block,
    /// A copy behind a pointer is the same.
    Shared,
    /// A loss is resolved exactly if its constants no longer depend on the rows.
    Resolve,
    /// The posterior rises from 0 or above to 1 or below, and NaN stays NaN.
    PosteriorRises,
    /// The posterior is g₀/(g₀ − g₁), its shift is the one it adds, and its inverse leads back.
    PosteriorOfGradients,
    /// The posterior of a logit is the class probability at which that logit has the least expected loss.
    LeastExpectedLoss,
    /// Every answer is a probability; one score, a block and all scores on all cores have the same bits.
    Probabilities,
    /// The probability does not fall as the score rises.
    Monotone,
    /// The probabilities of the rows learned from add up to the positives.
    Balanced,
    /// A second fit, on the first one's outcome, changes no more than promised.
    SecondFit,
    /// Scores that rank the wrong way round get the promised constant.
    Reversed,
    /// Equal scores get the promised share of positives.
    EqualScores,
    /// The report says what the probabilities are.
    Report,
}

/// A law that an implementation broke.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokenLaw {
    /// The law.
    pub law: Law,
    /// The input, in words.
    pub input: String,
    /// The rows of the input or output on which it broke; empty where it is about all of them together.
    pub rows: Vec<usize>,
    /// What came out, on the first of these rows.
    pub found: String,
    /// What the law asks for there.
    pub expected: String,
}

impl Display for BrokenLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, input, rows, found, expected } = self;
        write!(f, "{law:?}, {input}")?;
        match rows[..] {
            [] => {}
            [row] => write!(f, ", row {row}")?,
            [row, ..] => write!(f, ", row {row} and {} more", rows.len() - 1)?,
        }
        write!(f, ": {found}; expected {expected}")
    }
}

/// As displayed, so that a failed assertion can be read.
impl Debug for BrokenLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The laws broken so far.
#[derive(Default)]
pub(super) struct Findings {
    input: String,
    broken: Vec<BrokenLaw>,
}

impl Findings {
    /// What the next laws are about.
    pub(super) fn on(&mut self, input: impl Into<String>) {
        self.input = input.into();
    }

    pub(super) fn into_broken(self) -> Vec<BrokenLaw> {
        self.broken
    }

    /// A law, and if it does not hold what was found and what was expected. Breaks of one law on one input are one
    /// entry.
    pub(super) fn holds<A: Display, B: Display>(
        &mut self,
        law: Law,
        row: impl Into<Option<usize>>,
        holds: bool,
        numbers: impl FnOnce() -> (A, B),
    ) {
        if holds {
            return;
        }
        let same = |broken: &&mut BrokenLaw| broken.law == law && broken.input == self.input;
        if let Some(known) = self.broken.iter_mut().find(same) {
            known.rows.extend(row.into());
            return;
        }
        let (found, expected) = numbers();
        let (found, expected) = (found.to_string(), expected.to_string());
        let rows = row.into().into_iter().collect();
        self.broken.push(BrokenLaw { law, input: self.input.clone(), rows, found, expected });
    }

    /// Two values are equal.
    pub(super) fn equal<T: PartialEq + Debug>(
        &mut self,
        law: Law,
        row: impl Into<Option<usize>>,
        found: &T,
        expected: &T,
    ) {
        let texts = || (format!("{found:?}"), format!("{expected:?}"));
        self.holds(law, row, found == expected, texts);
    }

    /// Two numbers differ by at most the tolerance.
    pub(super) fn near(
        &mut self,
        law: Law,
        row: impl Into<Option<usize>>,
        [found, expected]: [f64; 2],
        tolerance: f64,
    ) {
        let near = (found - expected).abs() <= tolerance || found == expected;
        self.holds(law, row, near, || {
            (format!("{found:?}"), format!("{expected:?} ± {tolerance:.1e}"))
        });
    }

    /// An answer, or an entry for the error.
    pub(super) fn answer<T>(&mut self, answer: Result<T>) -> Option<T> {
        let error = answer.as_ref().err().map(Error::to_string).unwrap_or_default();
        self.holds(Law::Answers, None, answer.is_ok(), || (error, "an answer"));
        answer.ok()
    }

    /// Inputs that have no answer get a certain error.
    pub(super) fn refuses<T>(
        &mut self,
        answer: &Result<T>,
        is_right: impl FnOnce(&Error) -> bool,
        expected: &str,
    ) {
        let (right, found) = match answer {
            Ok(_) => (false, "an answer".into()),
            Err(error) => (is_right(error), format!("{error:?}")),
        };
        self.holds(Law::Answers, None, right, || (found, expected));
    }
}
