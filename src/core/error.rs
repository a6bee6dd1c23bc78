//! The one error type of the crate.
//!
//! Every variant carries the argument and its value and says what would be right, so that a reader can
//! act on the message without reading the source.

use std::fmt;
use std::path::PathBuf;

use super::display::brief;

/// A specialised [`Result`](std::result::Result) for this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value is outside its range.
    #[error("`{argument}` is {value}, but it must be {expected}")]
    InvalidArgument {
        /// The argument's name.
        argument: &'static str,
        /// The value that was given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },

    /// Two inputs that describe the same rows differ in length.
    #[error(
        "the length of {what} is {found}, but {reference} has {expected}: one entry per row is needed"
    )]
    LengthMismatch {
        /// The input of the wrong length.
        what: String,
        /// Its length.
        found: usize,
        /// The input it was compared with.
        reference: &'static str,
        /// The length of the reference.
        expected: usize,
    },

    /// The number of columns differs from the number the model was fitted on.
    #[error("the rows have {found} columns, but the model was fitted on {expected}")]
    ColumnMismatch {
        /// Columns given.
        found: usize,
        /// Columns expected.
        expected: usize,
    },

    /// An input has no rows.
    #[error("{what} has no rows")]
    NoRows {
        /// The empty input.
        what: &'static str,
    },

    /// A number is NaN or infinite where a finite one is needed.
    #[error(
        "{what} holds {value} at row {row}{}: finite numbers are needed; {}",
        column_suffix(*.column),
        if column.is_some() {
            "fill in what is missing, as `data::Encoder` does, or leave the row out"
        } else {
            "replace it, or drop the row"
        }
    )]
    NonFinite {
        /// The input.
        what: String,
        /// Its row, counted from 0.
        row: usize,
        /// Its column, counted from 0, where the input has columns.
        column: Option<usize>,
        /// The value found.
        value: f64,
    },

    /// A sample weight is negative.
    #[error("the weight of row {row} is {}: weights must be zero or positive", brief(.value))]
    NegativeWeight {
        /// The row, counted from 0.
        row: usize,
        /// Its weight.
        value: f64,
    },

    /// Positives and negatives are both needed, and one class is missing or has no weight.
    #[error(
        "{what} needs both classes, but of {positives} positive and {negatives} negative rows the \
         positives weigh {} and the negatives {} in all; take more rows, or check how labels and weights \
         are made",
        brief(.positive_weight),
        brief(.negative_weight)
    )]
    OneClass {
        /// The stage that needs them.
        what: &'static str,
        /// Number of positive rows.
        positives: usize,
        /// Number of negative rows.
        negatives: usize,
        /// Total weight of the positive rows.
        positive_weight: f64,
        /// Total weight of the negative rows.
        negative_weight: f64,
    },

    /// The training rows or the test rows of a fold lack a class.
    #[error(
        "fold {fold} of {of} {} {positives} positive and {negatives} negative rows, but both classes are \
         needed: take fewer folds{}",
        if *.training { "trains on" } else { "tests on" },
        if *.training { ", or more rows before the first" } else { "" }
    )]
    FoldOfOneClass {
        /// The fold, counted from 1.
        fold: usize,
        /// The number of folds.
        of: usize,
        /// Whether a class lacks among the training rows; else it lacks among the test rows.
        training: bool,
        /// Positive rows on this side of the fold.
        positives: usize,
        /// Negative rows on this side of the fold.
        negatives: usize,
    },

    /// The training rows or the test rows of a split lack a class.
    #[error(
        "the split {} {positives} positive and {negatives} negative rows, but both classes are needed: take \
         another `test_share`, more rows, or another rule",
        if *.test { "tests on" } else { "trains on" }
    )]
    SplitOfOneClass {
        /// Whether a class lacks among the test rows; else it lacks among the training rows.
        test: bool,
        /// Positive rows on this side of the split.
        positives: usize,
        /// Negative rows on this side of the split.
        negatives: usize,
    },

    /// No column has the requested name.
    #[error("there is no {kind} column `{column}`; there are: {}", list(.known))]
    UnknownColumn {
        /// The kind of column: `attribute`, `numeric`, …
        kind: &'static str,
        /// The requested name.
        column: String,
        /// The names of the columns of this kind.
        known: Vec<String>,
    },

    /// Two columns of one kind have one name.
    #[error("the {kind} column `{column}` is named twice")]
    DuplicateColumn {
        /// The kind of column: `attribute`, `numeric`, …
        kind: &'static str,
        /// The repeated name.
        column: String,
    },

    /// An attribute column holds texts where numbers are needed, or numbers where texts are needed.
    #[error("the column `{column}` holds {found}, but {expected} are needed here")]
    ColumnKind {
        /// The column.
        column: String,
        /// The values it holds.
        found: &'static str,
        /// The values that are needed.
        expected: &'static str,
    },

    /// A sparse matrix is stored by columns, but rows are needed.
    #[error(
        "the sparse matrix is stored by columns (CSC); rows are read here, so pass `matrix.to_csr()`"
    )]
    NotCsr,

    /// A row index points past the end.
    #[error("{what} names row {row}, but there are only {rows} rows")]
    RowOutOfRange {
        /// The list that holds the index.
        what: String,
        /// The index.
        row: usize,
        /// The number of rows.
        rows: usize,
    },

    /// A stage written by the user returned something that does not fit its input.
    #[error("{stage} broke its contract: {problem}")]
    Contract {
        /// The stage.
        stage: String,
        /// What does not fit.
        problem: String,
    },

    /// A sampler's settings leave no row of a class to learn from.
    #[error("{sampler} keeps no {class} row: {why}")]
    NothingSelected {
        /// The sampler.
        sampler: &'static str,
        /// `positive` or `negative`.
        class: &'static str,
        /// What was found instead, and the way out.
        why: String,
    },

    /// The classes can be separated, so the likelihood has no maximum.
    #[error(
        "the features or scores separate the classes {kind}{}, so without a penalty the coefficients \
         grow without bound; set a positive `l2` where there is one, use Firth's penalised \
         likelihood (`RareEvents::firth`), or drop or merge what predicts perfectly",
        .column.map_or_else(String::new, |column| format!(" (column {column} does so alone)"))
    )]
    Separation {
        /// Whether all rows are predicted perfectly, or some.
        kind: Separation,
        /// The first column, counted from 0, that separates the classes by itself; `None` if it takes several, or
        /// for scores.
        column: Option<usize>,
    },

    /// Scores separate the classes, so a calibrator's likelihood has no maximum.
    #[error(
        "a threshold on the score separates the classes{kind}, so `{calibrator}` has no finite solution: its \
         map would be a step from 0 to 1; use `PlattScaling::new()`, whose smoothed targets have one, or \
         `IsotonicRegression`, and see that the scores are of rows the model has not seen"
    )]
    SeparatedScores {
        /// The calibrator that refuses.
        calibrator: &'static str,
        /// Empty, or what is special about the threshold.
        kind: &'static str,
    },

    /// A stage cannot take such data.
    #[error("{stage} cannot take {what}: {remedy}")]
    Unsupported {
        /// The stage that refuses.
        stage: &'static str,
        /// What it was given.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },

    /// Columns are combinations of one another where each needs an effect of its own.
    #[error(
        "{what} needs columns of full rank, but `{column}` is, to rounding, a combination of the columns \
         before it (or zero in every row): drop it, or one of those, with `Dataset::drop_columns` and, for rows \
         to come, `FittedEncoder::drop_columns`"
    )]
    RankDeficient {
        /// What was asked for.
        what: &'static str,
        /// The first such column.
        column: String,
    },

    /// The arithmetic left the range of finite numbers.
    #[error("{what} is {}: {remedy}", brief(.value))]
    Numerical {
        /// What was computed.
        what: String,
        /// Its value.
        value: f64,
        /// What to do about it.
        remedy: &'static str,
    },

    /// A calibrator that fits a curve of the logit was given scores of 0 or 1.
    #[error(
        "the scores of {rows} rows, the first of them row {row}, are probabilities of exactly 0 or 1 (row {row} \
         has the logit {logit}), which no curve of `{calibrator}` passes through; clip them first, as in \
         `Clip::new(1e-6)?.then(calibrator)`, or take a calibrator that accepts them, such as \
         `IsotonicRegression`"
    )]
    CertainScores {
        /// The calibrator that refuses.
        calibrator: &'static str,
        /// The number of such rows, among those that have weight.
        rows: usize,
        /// The first of them.
        row: usize,
        /// Its logit, ±∞.
        logit: f64,
    },

    /// The first calibrator of a chain maps a score to a certain answer, which the second cannot learn from.
    #[error(
        "the first calibrator of the chain maps the score {score} of row {row} to log-odds of {log_odds}, and the \
         second needs finite ones; put a `Clip` between them, leave the first out, or let a calibrator follow \
         that takes certain scores, such as `IsotonicRegression`"
    )]
    CertainScore {
        /// The row.
        row: usize,
        /// Its score, a logit.
        score: f64,
        /// What the first calibrator makes of it.
        log_odds: f64,
    },

    /// A shift of the prior was given by hand for a model that has corrected it.
    #[error(
        "`{calibrator}` was given rates for a model that was told the population's rate itself: its logits are \
         the population's already; take `PriorCorrection::new()`, which sees that, or a model that is not \
         told the rate"
    )]
    PriorCorrectedTwice {
        /// The calibrator that refuses.
        calibrator: &'static str,
    },

    /// A sampler's offsets meet a loss that bends log-odds, and the calibrator does not learn from rows.
    #[error(
        "no calibrator without rows can take the offsets of {sampler} under {loss}: offsets are log-odds, which \
         this loss bends; use a loss that keeps or shifts them, or a calibrator that learns"
    )]
    BentOffsets {
        /// The sampler whose offsets they are.
        sampler: String,
        /// The loss.
        loss: String,
    },

    /// A closed-form correction was asked for where none exists.
    #[error(
        "`{calibrator}` cannot undo `{sampler}`: it chose rows by their features, so no shift of the \
         log-odds restores the population; let the sampler weight its rows, or use a calibrator that \
         learns from untouched rows"
    )]
    NoClosedForm {
        /// The calibrator that refuses.
        calibrator: &'static str,
        /// The sampler it refuses to undo.
        sampler: String,
    },

    /// A calibrator that learns was given rows that are not a sample of the population.
    #[error(
        "{calibrator} learns the population's rates from its rows, but these rows were resampled \
         ({distortion}); give it untouched rows, or rows whose weights undo the resampling"
    )]
    DistortedCalibration {
        /// The calibrator that refuses.
        calibrator: &'static str,
        /// What was done to the rows.
        distortion: String,
    },

    /// A cell of a delimited file cannot be read.
    #[error("{}, line {line}, column `{column}`: `{value}` {problem}", .file.display())]
    Cell {
        /// The file.
        file: PathBuf,
        /// Its line, counted from 1; the header is line 1.
        line: u64,
        /// The column's name.
        column: String,
        /// The text of the cell.
        value: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },

    /// A delimited file is malformed, as a whole or in one line.
    #[error("{}, line {line}: {problem}", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Its line, counted from 1.
        line: u64,
        /// What is wrong and what would be right.
        problem: String,
    },

    /// A file cannot be opened, read or written.
    #[error("{}: {source}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },

    /// A column of a record batch or a file has a type that its role cannot use.
    #[error("the column `{column}` is of the type {found}; {expected}")]
    ColumnType {
        /// The column's name.
        column: String,
        /// Its type, as Arrow writes it.
        found: String,
        /// What would be right.
        expected: String,
    },

    /// A value in a column of a record batch or of a Parquet or Arrow file.
    #[error("the column `{column}`, row {row}: `{value}` {problem}")]
    Value {
        /// The column's name.
        column: String,
        /// The row in the record batch or the file, counted from 0.
        row: u64,
        /// The value.
        value: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },

    /// What is wrong with the content of a Parquet or Arrow file.
    #[error("{}{}: {source}", .file.display(), row_group_suffix(*.row_group))]
    InFile {
        /// The file.
        file: PathBuf,
        /// The row group, counted from 0, if it is one's.
        row_group: Option<usize>,
        /// What is wrong.
        source: Box<Error>,
    },

    /// A Parquet or Arrow file is damaged or cut off, or is of a kind that is not supported.
    #[error("{}{}: {problem}", .file.display(), row_group_suffix(*.row_group))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The row group, counted from 0, if it is one's.
        row_group: Option<usize>,
        /// What is wrong.
        problem: String,
    },

    /// A file that is read several times is not the same any more.
    #[error("{}: the file changed after it was first read; each pass needs the same rows", .file.display())]
    FileChanged {
        /// The file.
        file: PathBuf,
    },

    /// A value cannot be saved.
    #[error("the {kind} cannot be saved: {why}")]
    NotSavable {
        /// Its kind.
        kind: &'static str,
        /// The reason, and the way out.
        why: String,
    },

    /// What was saved cannot be read.
    #[error("{place} cannot be read: {problem}")]
    Saved {
        /// The file, or the text or bytes given.
        place: String,
        /// What is wrong with it.
        problem: SavedProblem,
    },

    /// A picture cannot be drawn or encoded.
    #[error("the {what} picture cannot be drawn: {problem}")]
    Drawing {
        /// The picture.
        what: &'static str,
        /// What the drawing library says.
        problem: String,
    },

    /// The observer stopped the work.
    #[error("stopped by the observer during {during}")]
    Cancelled {
        /// The work that was interrupted.
        during: String,
    },
}

/// What is wrong with a file that was to be read as a saved value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SavedProblem {
    /// It has no envelope: it is of another format, cut off, or changed.
    #[error("it is not a saved value ({message})")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// Another program wrote it.
    #[error("its format is `{found}`, but `imbalance` is needed")]
    Format {
        /// The format it names.
        found: String,
    },
    /// A later version of this crate wrote it.
    #[error(
        "its form has version {found}, but this crate reads version {known}; use a later version of the crate"
    )]
    Version {
        /// The version it names.
        found: u32,
        /// The version that can be read.
        known: u32,
    },
    /// It holds something else.
    #[error("it holds `{found}`, but `{expected}` was asked for")]
    Kind {
        /// The kind it names.
        found: String,
        /// The kind of the type that was to be read.
        expected: &'static str,
    },
    /// A value does not pass the check of its constructor.
    #[error("{message}")]
    Content {
        /// What is wrong.
        message: String,
    },
    /// The values are valid, but they are not those that were written.
    #[error(
        "its content has the fingerprint {computed}, but {found} was written: it was changed after it was saved"
    )]
    Fingerprint {
        /// The fingerprint it names.
        found: String,
        /// The fingerprint of its content.
        computed: String,
    },
}

#[cfg(feature = "serde")]
impl SavedProblem {
    pub(crate) fn syntax(message: impl fmt::Display) -> Self {
        Self::Syntax { message: message.to_string() }
    }

    pub(crate) fn content(message: impl fmt::Display) -> Self {
        Self::Content { message: message.to_string() }
    }
}

/// How far features or scores separate the classes (Albert & Anderson 1984).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Separation {
    /// Every row can be predicted perfectly.
    Complete,
    /// Some rows can be predicted perfectly, and the others not against their label.
    QuasiComplete,
}

impl fmt::Display for Separation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "completely",
            Self::QuasiComplete => "in part",
        })
    }
}

impl Error {
    /// An [`Error::InvalidArgument`].
    pub fn invalid(
        argument: &'static str,
        value: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::InvalidArgument { argument, value: brief(value), expected: expected.into() }
    }
}

/// The result of an attempt that another can replace: none where it failed. A request to stop is no failure, and
/// passes on.
pub(crate) fn attempted<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ Error::Cancelled { .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Checks that an input has one entry for each of the `expected` rows of `reference`.
pub(crate) fn same_length(
    what: &str,
    found: usize,
    reference: &'static str,
    expected: usize,
) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::LengthMismatch { what: what.into(), found, reference, expected })
    }
}

fn column_suffix(column: Option<usize>) -> String {
    column.map_or_else(String::new, |c| format!(", column {c}"))
}

fn row_group_suffix(row_group: Option<usize>) -> String {
    row_group.map_or_else(String::new, |number| format!(", row group {number}"))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
