//! Encoders that know the training rows.

use std::fmt;

use sprs::CsMat;

use super::encoding::DateParts;
use super::levels::{Indicators, Values};
use super::number::{Ranges, Scaled};
use super::record::Value;
use crate::core::{
    Columns, Dataset, Error, Features, Precision, Result, Row, Scalar, columns_without, dense,
    fits_memory, stored,
};
use crate::data::Table;
use crate::data::table::{column_seed, value_hash};
use crate::exec::parallel::{self, BLOCK};

/// An [`Encoder`](super::Encoder) fitted to training rows.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedEncoder {
    /// The columns that are read, each with what is made of its values before any encoding: nothing of numbers and
    /// times; of texts their hash, from a seed.
    numbers: Columns<()>,
    texts: Columns<u64>,
    times: Columns<()>,
    /// Whether a table must have no other columns.
    strict: bool,
    parts: Vec<Part>,
    layout: Layout,
    /// Columns that are left out, ascending, counted among all.
    dropped: Vec<usize>,
    bits: u32,
    precision: Precision,
    is_sparse: bool,
    /// Values seen in training by hashed feature, if they are remembered.
    seen: Option<Vec<(usize, String)>>,
}

/// A column, or several crossed, and how it is encoded.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(super) struct Part {
    /// `country`, or `country × device`.
    pub(super) name: String,
    /// Places among the columns of its kind; several only of texts that are crossed.
    pub(super) of: Vec<usize>,
    pub(super) form: Form,
}

#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
pub(super) enum Form {
    Number(Scaled),
    Bins(Ranges),
    OneHot(Indicators),
    /// `of` says which number: `code`, `share`, …
    Value {
        of: String,
        values: Values,
    },
    Date(DateParts),
    Hashed,
}

stored!(Indicators as "indicators", |indicators| {
    levels: super::levels::Levels = indicators.levels,
    other: bool = indicators.other,
    drop_first: bool = indicators.drop_first,
} => Ok(Self { levels, other, drop_first }));

stored!(Values as "values", |values| {
    levels: super::levels::Levels = values.levels,
    values: Vec<f64> = values.values,
    unknown: f64 = values.unknown,
} => if levels.len() == values.len() && values.iter().chain([&unknown]).all(|v| v.is_finite()) {
    Ok(Self { levels, values, unknown })
} else {
    Err(Error::invalid("values", values.len(), format!("{} finite ones, one for each level", levels.len())))
});

impl Form {
    /// Number of features, without indicators of missing numbers and without hashed columns.
    fn width(&self) -> usize {
        match self {
            Self::Number(_) | Self::Value { .. } => 1,
            Self::Bins(ranges) => ranges.width(),
            Self::OneHot(indicators) => indicators.width(),
            Self::Date(parts) => parts.width(),
            Self::Hashed => 0,
        }
    }
}

/// Where the features of the parts stand: first those of each part in order, then indicators of missing numbers, then
/// the hashed columns.
#[derive(Debug, Clone, PartialEq)]
struct Layout {
    /// The first feature of each part, and its indicator of missing numbers.
    starts: Vec<(usize, Option<usize>)>,
    /// Number of features before the hashed columns.
    unhashed: usize,
    columns: usize,
    has_indicators: bool,
    hashed: Vec<usize>,
}

impl Layout {
    fn new(parts: &[Part], bits: u32) -> Result<Self> {
        let mut unhashed = 0_usize;
        let mut starts = Vec::with_capacity(parts.len());
        for part in parts {
            starts.push((unhashed, None));
            unhashed = unhashed
                .checked_add(part.form.width())
                .filter(|width| *width <= 1 << 32)
                .ok_or_else(|| {
                    Error::invalid("encodings", &part.name, "fewer than 2^32 features in all")
                })?;
        }
        let mut has_indicators = false;
        for (part, start) in parts.iter().zip(&mut starts) {
            if matches!(&part.form, Form::Number(scaled) if scaled.indicator) {
                start.1 = Some(unhashed);
                unhashed += 1;
                has_indicators = true;
            }
        }
        let is_hashed = |part: &usize| matches!(parts[*part].form, Form::Hashed);
        let hashed: Vec<usize> = (0..parts.len()).filter(is_hashed).collect();
        let columns = unhashed + if hashed.is_empty() { 0 } else { 1 << bits };
        Ok(Self { starts, unhashed, columns, has_indicators, hashed })
    }
}

/// The buffer of [`FittedEncoder::encode_record`], reused from record to record.
#[derive(Debug, Clone, Default)]
pub struct EncodedRow {
    numbers: Vec<f64>,
    texts: Vec<u64>,
    times: Vec<f64>,
    f32: Entries<f32>,
    f64: Entries<f64>,
}

/// Encoded rows, one after the other, and a buffer for one row.
#[derive(Debug, Clone, Default)]
struct Entries<F> {
    /// Hashed columns of one row, as packed by [`FittedEncoder::slot`].
    slots: Vec<u64>,
    indices: Vec<usize>,
    values: Vec<F>,
}

/// Rows whose entries are reserved at once.
const MOST_RESERVED: usize = 1 << 16;

impl<F: Copy> Entries<F> {
    fn with_capacity(entries: usize) -> Self {
        let (indices, values) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
        Self { slots: Vec::new(), indices, values }
    }

    /// Moves the entries of each column to another place, or leaves them out. Without indices a value's position is
    /// its column.
    fn keep(&mut self, place: impl Fn(usize) -> Option<usize>) {
        let mut kept = 0;
        for at in 0..self.values.len() {
            if let Some(place) = place(self.indices.get(at).copied().unwrap_or(at)) {
                self.values[kept] = self.values[at];
                if let Some(index) = self.indices.get_mut(kept) {
                    *index = place;
                }
                kept += 1;
            }
        }
        self.values.truncate(kept);
        self.indices.truncate(kept);
    }
}

/// The values of a row, by column.
trait RowValues {
    fn number(&self, column: usize) -> f64;
    fn text(&self, column: usize) -> u64;
    fn time(&self, column: usize) -> f64;
    /// What a part with rates of other folds gives this row.
    fn out_of_fold(&self, part: usize) -> Option<f64>;
}

/// A row of columns.
struct RowOf<'a> {
    columns: &'a TableColumns<'a>,
    row: usize,
}

struct TableColumns<'a> {
    numbers: Vec<&'a [f64]>,
    texts: Vec<&'a [u64]>,
    times: Vec<&'a [f64]>,
    /// By part; empty for parts without.
    out_of_fold: &'a [Vec<f64>],
}

impl RowValues for RowOf<'_> {
    #[inline(always)]
    fn number(&self, column: usize) -> f64 {
        self.columns.numbers[column][self.row]
    }
    #[inline(always)]
    fn text(&self, column: usize) -> u64 {
        self.columns.texts[column][self.row]
    }
    #[inline(always)]
    fn time(&self, column: usize) -> f64 {
        self.columns.times[column][self.row]
    }
    #[inline(always)]
    fn out_of_fold(&self, part: usize) -> Option<f64> {
        self.columns.out_of_fold.get(part)?.get(self.row).copied()
    }
}

struct RecordOf<'a> {
    numbers: &'a [f64],
    texts: &'a [u64],
    times: &'a [f64],
}

impl RowValues for RecordOf<'_> {
    fn number(&self, column: usize) -> f64 {
        self.numbers[column]
    }
    fn text(&self, column: usize) -> u64 {
        self.texts[column]
    }
    fn time(&self, column: usize) -> f64 {
        self.times[column]
    }
    fn out_of_fold(&self, _: usize) -> Option<f64> {
        None
    }
}

/// The hash of values that are crossed.
pub(super) fn crossed(mut hashes: impl Iterator<Item = u64>) -> u64 {
    let first = hashes.next().unwrap_or_default();
    hashes.fold(first, |hash, next| value_hash(hash, &next.to_le_bytes()))
}

/// The columns that an encoder reads.
pub(super) struct Read {
    pub(super) numbers: Vec<String>,
    pub(super) texts: Vec<String>,
    pub(super) times: Vec<String>,
    pub(super) strict: bool,
}

impl FittedEncoder {
    pub(super) fn new(
        read: Read,
        parts: Vec<Part>,
        bits: u32,
        precision: Precision,
        is_sparse: Option<bool>,
    ) -> Result<Self> {
        let plain =
            |kind, names: Vec<String>| Columns::of(kind, names.into_iter().map(|name| (name, ())));
        let Read { numbers, texts, times, strict } = read;
        let texts = texts.into_iter().map(|name| (name.clone(), column_seed(&name)));
        let layout = Layout::new(&parts, bits)?;
        let is_sparse =
            is_sparse.unwrap_or(layout.columns > super::DENSE_COLUMNS || !layout.hashed.is_empty());
        Ok(Self {
            numbers: plain("fitted numeric", numbers),
            texts: Columns::of("fitted categorical", texts),
            times: plain("fitted time", times),
            strict,
            parts,
            layout,
            dropped: Vec::new(),
            bits,
            precision,
            is_sparse,
            seen: None,
        })
    }

    /// Remembers values by hashed feature.
    pub(super) fn remember(&mut self, values: impl IntoIterator<Item = (u64, String)>) {
        let values = values.into_iter();
        let mut seen: Vec<(usize, String)> = values
            .map(|(hash, name)| (self.layout.unhashed + slot_column(self.slot(hash)), name))
            .collect();
        seen.sort();
        seen.dedup();
        self.seen = Some(seen);
    }

    /// Number of feature columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.layout.columns - self.dropped.len()
    }

    /// This encoder without the given feature columns, such as those that are
    /// [zero in every row](Dataset::zero_columns) of the training set. What falls into them later is left out.
    ///
    /// ```
    /// use imbalance::data::{EncodedRow, Encoder, Table};
    ///
    /// let train = Table::new(vec![false, true])?.with_categorical("channel", ["web", "phone"])?;
    /// let encoder = Encoder::hashing(10)?.fit(&train)?;
    /// let encoder = encoder.clone().drop_columns(&encoder.encode(&train)?.zero_columns()?)?;
    /// assert_eq!((encoder.columns(), encoder.encode(&train)?.columns()), (2, 2));
    /// let mut buffer = EncodedRow::default();
    /// assert_eq!(encoder.encode_record(&[("channel", "web".into())], &mut buffer)?.columns(), 2);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a column that does not exist.
    pub fn drop_columns(mut self, columns: &[usize]) -> Result<Self> {
        let kept = columns_without(columns, self.columns())?;
        let before = self.kept();
        let kept = kept.into_iter().map(|column| before[column]);
        let mut dropped = vec![true; self.layout.columns];
        kept.for_each(|column| dropped[column] = false);
        self.dropped = (0..dropped.len()).filter(|&column| dropped[column]).collect();
        Ok(self)
    }

    /// The columns that are kept, counted among all.
    fn kept(&self) -> Vec<usize> {
        (0..self.layout.columns)
            .filter(|column| self.dropped.binary_search(column).is_err())
            .collect()
    }

    /// The place of one of all columns among those that are kept.
    fn place(&self, column: usize) -> Option<usize> {
        self.dropped.binary_search(&column).err().map(|before| column - before)
    }

    /// The names of the feature columns: `x` for a number, `x missing` for its indicator, `age in [3, 7)`,
    /// `country=FR`, `country other`, `grade code`, `city share`, `merchant log-odds`, `time hour=13`, and `hash 17`
    /// for the hashed column 17. [`hashed`](Self::hashed) returns the column of a value, and
    /// [`values_of`](Self::values_of) the values of a column.
    pub fn column_names(&self) -> impl Iterator<Item = String> {
        let main = self.parts.iter().flat_map(Part::names);
        let is_indicated = |part: &&Part| matches!(&part.form, Form::Number(s) if s.indicator);
        let missing = self.parts.iter().filter(is_indicated);
        let hashed = 0..self.layout.columns - self.layout.unhashed;
        main.chain(missing.map(|part| format!("{} missing", part.name)))
            .chain(hashed.map(|column| format!("hash {column}")))
            .enumerate()
            .filter_map(|(column, name)| self.place(column).map(|_| name))
    }

    /// The values of hashed columns that training saw in a feature column, as `country=FR`; None unless the encoder
    /// was told to [remember](super::Encoder::remember_values) them.
    pub fn values_of(&self, feature: usize) -> Option<impl Iterator<Item = &str>> {
        let seen = self.seen.as_ref()?;
        let of = move |column: usize| self.place(column) == Some(feature);
        Some(seen.iter().filter(move |(column, _)| of(*column)).map(|(_, name)| name.as_str()))
    }

    /// The names of the numeric columns that are read.
    pub fn numeric_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.numbers.names()
    }

    /// The names of the categorical columns that are read.
    pub fn categorical_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.texts.names()
    }

    /// The names of the columns of times that are read.
    pub fn time_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.times.names()
    }

    /// The names of all columns that are read, in the order in which [`encode_record`](Self::encode_record) finds them
    /// at once: numbers, texts, times.
    pub fn record_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.numeric_names().chain(self.categorical_names()).chain(self.time_names())
    }

    /// The mean μ and the scale σ of a numeric column, of its logarithm where that is encoded.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones; [`Error::InvalidArgument`] for a column that is not
    /// encoded as a number.
    pub fn standardisation(&self, numeric: &str) -> Result<(f64, f64)> {
        self.numbers.get(numeric)?;
        let of = |part: &Part| match &part.form {
            Form::Number(scaled) if part.name == numeric => Some((scaled.mean, scaled.scale)),
            _ => None,
        };
        let found = self.parts.iter().find_map(of);
        found.ok_or_else(|| Error::invalid("numeric", numeric, "a column encoded as a number"))
    }

    /// The feature column of a value of a hashed column, and its sign there, ±1; `None` if the column was
    /// [dropped](Self::drop_columns).
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones; [`Error::InvalidArgument`] for a column that is not hashed.
    pub fn hashed(&self, categorical: &str, value: &str) -> Result<Option<(usize, f64)>> {
        let seed = *self.texts.get(categorical)?;
        let is_hashed = |part: &Part| part.name == categorical && matches!(part.form, Form::Hashed);
        if !self.parts.iter().any(is_hashed) {
            return Err(Error::invalid("categorical", categorical, "a column that is hashed"));
        }
        let slot = self.slot(value_hash(seed, value.as_bytes()));
        let place = self.place(self.layout.unhashed + slot_column(slot));
        Ok(place.map(|place| (place, slot_sign(slot))))
    }

    /// Encodes a table, which needs the columns that are read, in any order. Labels, weights, offsets and attributes
    /// are copied.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a column that is missing or that the encoder does not know;
    /// [`Error::NonFinite`] for a number too far from the mean to be standardised; [`Error::InvalidArgument`] for dense
    /// features that do not fit into memory.
    pub fn encode(&self, table: &Table) -> Result<Dataset<'static>> {
        self.encode_training(table, &[])
    }

    /// The same, with numbers of other folds for some parts.
    pub(super) fn encode_training(
        &self,
        table: &Table,
        out_of_fold: &[Vec<f64>],
    ) -> Result<Dataset<'static>> {
        Dataset::of(self.encoded(table, out_of_fold)?, table.rows.clone())
    }

    /// Whether a part is a level's rate or log-odds, which a model must not be trained on together with the labels they
    /// come from.
    pub(crate) fn has_target_encoding(&self) -> bool {
        let of_labels = |of: &String| of == "log-odds" || of == "rate";
        self.parts.iter().any(|part| matches!(&part.form, Form::Value { of, .. } if of_labels(of)))
    }

    /// The features of a table alone: what a model predicts from, for rows
    /// [without labels](Table::unlabelled).
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn features(&self, table: &Table) -> Result<Features<'static>> {
        let features = self.encoded(table, &[])?;
        features.view().ensure_finite()?;
        Ok(features)
    }

    fn encoded(&self, table: &Table, out_of_fold: &[Vec<f64>]) -> Result<Features<'static>> {
        if self.strict {
            table.numeric_names().try_for_each(|name| self.numbers.get(name).map(drop))?;
            table.categorical_names().try_for_each(|name| self.texts.get(name).map(drop))?;
        }
        let numbers = self.numeric_names().map(|name| table.numeric(name));
        let texts = self.categorical_names().map(|name| table.categorical.get(name));
        let texts = texts.map(|texts| texts.map(|texts| texts.hashes.as_slice()));
        let times = self.time_names().map(|name| table.numbers(name));
        let columns = TableColumns {
            numbers: numbers.collect::<Result<_>>()?,
            texts: texts.collect::<Result<_>>()?,
            times: times.collect::<Result<_>>()?,
            out_of_fold,
        };
        let features = match self.precision {
            Precision::F32 => self.encode_columns::<f32>(&columns, table.rows()),
            Precision::F64 => self.encode_columns::<f64>(&columns, table.rows()),
        }?;
        if self.dropped.is_empty() {
            return Ok(features);
        }
        Ok(features.view().pick_columns(&self.kept()))
    }

    fn encode_columns<F: Scalar>(
        &self,
        columns: &TableColumns<'_>,
        rows: usize,
    ) -> Result<Features<'static>> {
        if self.is_sparse {
            return Ok(self.encode_sparse::<F>(columns, rows));
        }
        self.ensure_dense_fits::<F>(rows)?;
        Ok(self.encode_dense::<F>(columns, rows))
    }

    /// Refuses dense rows that do not fit into memory.
    fn ensure_dense_fits<F>(&self, rows: usize) -> Result<()> {
        let values = rows.checked_mul(self.layout.columns);
        if fits_memory(values.and_then(|values| values.checked_mul(size_of::<F>()))) {
            return Ok(());
        }
        let found = format!("false, with {rows} rows of {} columns", self.layout.columns);
        Err(Error::invalid("sparse", found, "true: there is no memory for dense rows"))
    }

    fn encode_dense<F: Scalar>(
        &self,
        columns: &TableColumns<'_>,
        rows: usize,
    ) -> Features<'static> {
        let width = self.layout.columns;
        let mut data = vec![F::default(); rows * width];
        if width > 0 {
            parallel::map_into(&mut data, width, BLOCK, |_, range, out| {
                let mut slots = Vec::new();
                for (row, out) in range.zip(out.chunks_exact_mut(width)) {
                    let put = |column: usize, value| out[column] = F::from_f64(value);
                    self.write(&RowOf { columns, row }, &mut slots, put);
                }
            });
        }
        dense(data, rows, width).into()
    }

    /// The most entries of a sparse row.
    fn most_entries(&self) -> usize {
        let of = |part: &Part| match &part.form {
            Form::Date(parts) => parts.width(),
            Form::Number(_) => 2,
            _ => 1,
        };
        self.parts.iter().map(of).sum()
    }

    fn encode_sparse<F: Scalar>(
        &self,
        columns: &TableColumns<'_>,
        rows: usize,
    ) -> Features<'static> {
        // The entries of a single block are those of the matrix: they are not copied.
        let size = if parallel::threads() == 1 { rows } else { BLOCK };
        let most = self.most_entries();
        let blocks = parallel::map(rows, size, |_, range| {
            let mut block = Entries::<F>::with_capacity(range.len().min(MOST_RESERVED) * most);
            let mut ends = Vec::with_capacity(range.len());
            for row in range {
                self.append(&RowOf { columns, row }, &mut block);
                ends.push(block.indices.len());
            }
            (block, ends)
        });
        let mut blocks = blocks.into_iter();
        let (Entries { mut indices, mut values, .. }, ends) = blocks.next().unwrap_or_default();
        let mut indptr = Vec::with_capacity(rows + 1);
        indptr.push(0);
        indptr.extend(ends);
        let more = blocks.as_slice().iter().map(|(block, _)| block.indices.len()).sum();
        indices.reserve_exact(more);
        values.reserve_exact(more);
        for (block, ends) in blocks {
            let before = indices.len();
            indptr.extend(ends.into_iter().map(|end| before + end));
            indices.extend(block.indices);
            values.extend(block.values);
        }
        CsMat::new((rows, self.layout.columns), indptr, indices, values).into()
    }

    /// Encodes one record, with the bits of [`encode`](Self::encode): values by column name, in any order; in that of
    /// [`record_names`](Self::record_names) they are found at once. After the first record the buffer does not grow, and
    /// nothing is allocated.
    ///
    /// ```
    /// use imbalance::data::{EncodedRow, Encoder, Table};
    ///
    /// let train = Table::new(vec![false, true])?
    ///     .with_numeric("recency", vec![3.0, 7.0])?
    ///     .with_categorical("channel", ["web", "phone"])?;
    /// let encoder = Encoder::default().fit(&train)?;
    /// let mut buffer = EncodedRow::default();
    /// let record = [("recency", 4.0.into()), ("channel", "phone".into())];
    /// let row = encoder.encode_record(&record, &mut buffer)?;
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a name that the encoder does not read (one that was made by
    /// [`Encoder::only`](super::Encoder::only) passes over such names), [`Error::InvalidArgument`] for a column that is
    /// missing or named twice, [`Error::ColumnKind`] for a number where a text is needed and the reverse;
    /// [`Error::NonFinite`] for an infinity or a number too far from the mean to be standardised.
    pub fn encode_record<'b>(
        &self,
        record: &[(&str, Value<'_>)],
        buffer: &'b mut EncodedRow,
    ) -> Result<Row<'b>> {
        let EncodedRow { numbers, texts, times, f32, f64 } = buffer;
        self.read(record, [numbers, times], texts)?;
        let record = RecordOf { numbers, texts, times };
        match self.precision {
            Precision::F32 => self.encode_entries(&record, f32),
            Precision::F64 => self.encode_entries(&record, f64),
        }
    }

    /// Puts the values of a record in the order of the columns.
    fn read(
        &self,
        record: &[(&str, Value<'_>)],
        [numbers, times]: [&mut Vec<f64>; 2],
        texts: &mut Vec<u64>,
    ) -> Result<()> {
        numbers.clear();
        texts.clear();
        times.clear();
        let mut in_order = record.iter();
        let mut value_of = |column: &str| -> Result<Value<'_>> {
            if let Some((name, value)) = in_order.next()
                && *name == column
            {
                return Ok(*value);
            }
            let mut found = record.iter().filter(|(name, _)| *name == column);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(*value),
                _ => Err(self.wrong(record)),
            }
        };
        let number = |column: &str, expected, value: Value<'_>| match value {
            Value::Number(number) if number.is_infinite() => {
                let what = format!("the column `{column}` of the record");
                Err(Error::NonFinite { what, row: 0, column: None, value: number })
            }
            Value::Number(number) => Ok(number),
            Value::Missing => Ok(f64::NAN),
            Value::Text(_) => Err(kind(column, "a text", expected)),
        };
        for column in self.numbers.names() {
            numbers.push(number(column, "numbers", value_of(column)?)?);
        }
        for (column, seed) in self.texts.iter() {
            let text = match value_of(column)? {
                Value::Text(text) => text,
                Value::Missing => "",
                Value::Number(_) => return Err(kind(column, "a number", "texts")),
            };
            texts.push(value_hash(*seed, text.as_bytes()));
        }
        for column in self.times.names() {
            times.push(number(column, TIMES, value_of(column)?)?);
        }
        // Each column was found once, so a record of as many values has no others.
        let read = numbers.len() + texts.len() + times.len();
        if record.len() == read || !self.strict { Ok(()) } else { Err(self.wrong(record)) }
    }

    /// What is wrong with a record: a column that is unknown, named twice, or missing.
    fn wrong(&self, record: &[(&str, Value<'_>)]) -> Error {
        let names: Vec<&str> = self.record_names().collect();
        if let Some((name, _)) =
            record.iter().find(|(name, _)| self.strict && !names.contains(name))
        {
            let known = names.into_iter().map(Into::into).collect();
            return Error::UnknownColumn { kind: "fitted", column: (*name).into(), known };
        }
        let times = |column: &str| record.iter().filter(|(name, _)| *name == column).count();
        let wrong =
            names.iter().map(|column| (column, times(column))).find(|(_, times)| *times != 1);
        let found = wrong.map_or_else(String::new, |(column, times)| {
            let how = if times == 0 { "without" } else { "with more than one value of" };
            format!("a record {how} `{column}`")
        });
        let expected = format!("with one value of each of the columns {}", names.join(", "));
        Error::invalid("record", found, expected)
    }

    fn encode_entries<'b, F: Scalar>(
        &self,
        record: &RecordOf<'_>,
        buffer: &'b mut Entries<F>,
    ) -> Result<Row<'b>> {
        buffer.indices.clear();
        buffer.values.clear();
        if self.is_sparse {
            self.append(record, buffer);
        } else {
            if buffer.values.capacity() < self.layout.columns {
                self.ensure_dense_fits::<F>(1)?;
            }
            buffer.values.resize(self.layout.columns, F::default());
            let Entries { slots, values, .. } = buffer;
            self.write(record, slots, |column, value| values[column] = F::from_f64(value));
        }
        if let Some(column) = buffer.values.iter().position(|value| !value.to_f64().is_finite()) {
            let value = buffer.values[column].to_f64();
            let column = Some(buffer.indices.get(column).copied().unwrap_or(column));
            return Err(Error::NonFinite { what: "the encoded row".into(), row: 0, column, value });
        }
        if !self.dropped.is_empty() {
            buffer.keep(|column| self.place(column));
        }
        if self.is_sparse {
            Row::sparse(self.columns(), &buffer.indices, &buffer.values)
        } else {
            Ok(Row::from(&buffer.values))
        }
    }

    /// Appends a row's stored columns and values.
    fn append<F: Scalar>(&self, row: &impl RowValues, out: &mut Entries<F>) {
        let Entries { slots, indices, values } = out;
        self.write(row, slots, |column, value| {
            let value = F::from_f64(value);
            if value != F::default() {
                indices.push(column);
                values.push(value);
            }
        });
    }

    /// Calls `out` with the features of a row that may not be 0, in the order of the columns.
    #[inline(always)]
    fn write(&self, row: &impl RowValues, slots: &mut Vec<u64>, mut out: impl FnMut(usize, f64)) {
        let text = |part: &Part| part.hash(|column| row.text(column));
        for (number, (part, (start, _))) in self.parts.iter().zip(&self.layout.starts).enumerate() {
            match &part.form {
                Form::Number(scaled) => {
                    let x = row.number(part.of[0]);
                    if !x.is_nan() {
                        out(*start, scaled.at(x));
                    }
                }
                Form::Bins(ranges) => {
                    if let Some(at) = ranges.at(row.number(part.of[0])) {
                        out(start + at, 1.0);
                    }
                }
                Form::OneHot(indicators) => {
                    if let Some(at) = indicators.at(text(part)) {
                        out(start + at, 1.0);
                    }
                }
                Form::Value { values, .. } => {
                    out(*start, row.out_of_fold(number).unwrap_or_else(|| values.at(text(part))));
                }
                Form::Date(parts) => {
                    parts.write(row.time(part.of[0]), |at, value| out(start + at, value));
                }
                Form::Hashed => {}
            }
        }
        if self.layout.has_indicators {
            for (part, (_, indicator)) in self.parts.iter().zip(&self.layout.starts) {
                if let Some(indicator) = indicator
                    && row.number(part.of[0]).is_nan()
                {
                    out(*indicator, 1.0);
                }
            }
        }
        slots.clear();
        slots.extend(self.layout.hashed.iter().map(|part| self.slot(text(&self.parts[*part]))));
        // Sorted by column, so that collisions are neighbours.
        slots.sort_unstable();
        for same in slots.chunk_by(|a, b| slot_column(*a) == slot_column(*b)) {
            let sum: f64 = same.iter().map(|&slot| slot_sign(slot)).sum();
            out(self.layout.unhashed + slot_column(same[0]), sum);
        }
    }

    /// Where the feature in a column comes from, for the record that [`encode_record`](Self::encode_record) left in a
    /// buffer.
    pub(crate) fn sources(&self, feature: usize, encoded: &EncodedRow) -> Vec<Source<'_>> {
        let before = self.dropped.iter().zip(0..);
        let column =
            feature + before.take_while(|(dropped, before)| *dropped - before <= feature).count();
        let starts = &self.layout.starts;
        if column < self.layout.unhashed {
            let missing = starts.iter().position(|(_, indicator)| *indicator == Some(column));
            let start = || starts.partition_point(|(start, _)| *start <= column) - 1;
            return vec![self.source(&self.parts[missing.unwrap_or_else(start)], 1.0)];
        }
        let hashed = self.layout.hashed.iter().map(|part| &self.parts[*part]);
        let slots = hashed.clone().map(|part| (part, self.slot(part.hash(|of| encoded.texts[of]))));
        let here: Vec<(&Part, f64)> = slots
            .filter(|(_, slot)| self.layout.unhashed + slot_column(*slot) == column)
            .map(|(part, slot)| (part, slot_sign(slot)))
            .collect();
        let sum: f64 = here.iter().map(|(_, sign)| sign).sum();
        if sum != 0.0 {
            return here.into_iter().map(|(part, sign)| self.source(part, sign / sum)).collect();
        }
        match hashed.clone().count() {
            1 => hashed.map(|part| self.source(part, 1.0)).collect(),
            _ => {
                let names: Vec<&str> = hashed.map(|part| part.name.as_str()).collect();
                vec![Source { name: names.join(", "), columns: Vec::new(), part: 1.0 }]
            }
        }
    }

    fn source(&self, of: &Part, part: f64) -> Source<'_> {
        let names: Vec<&str> = match of.form {
            Form::Number(_) | Form::Bins(_) => self.numeric_names().collect(),
            Form::OneHot(_) | Form::Value { .. } | Form::Hashed => {
                self.categorical_names().collect()
            }
            Form::Date(_) => self.time_names().collect(),
        };
        let columns = of.of.iter().map(|column| names[*column]).collect();
        Source { name: of.name.clone(), columns, part }
    }

    /// Column and sign of a hash, packed into a number that sorts by column.
    fn slot(&self, hash: u64) -> u64 {
        (hash & ((1 << self.bits) - 1)) << 1 | hash >> 63
    }
}

fn slot_column(slot: u64) -> usize {
    (slot >> 1) as usize
}

fn slot_sign(slot: u64) -> f64 {
    if slot & 1 == 1 { -1.0 } else { 1.0 }
}

/// What stands in a column of times.
const TIMES: &str = "times in seconds since 1970, which `TimeFormat::seconds` reads from texts";

fn kind(column: &str, found: &'static str, expected: &'static str) -> Error {
    Error::ColumnKind { column: column.into(), found, expected }
}

/// A column of a record, or several crossed, that a feature comes from.
pub(crate) struct Source<'a> {
    pub(crate) name: String,
    /// None for several columns that are not crossed.
    pub(crate) columns: Vec<&'a str>,
    /// Which part of the feature's value it adds.
    pub(crate) part: f64,
}

impl Part {
    /// The hash of its texts, by their columns.
    #[inline(always)]
    fn hash(&self, text: impl Fn(usize) -> u64) -> u64 {
        match self.of[..] {
            [column] => text(column),
            ref columns => crossed(columns.iter().map(|column| text(*column))),
        }
    }

    fn names(&self) -> Vec<String> {
        match &self.form {
            Form::Number(_) => vec![self.name.clone()],
            Form::Bins(ranges) => ranges.names(&self.name),
            Form::OneHot(indicators) => indicators.names(&self.name).collect(),
            Form::Value { of, .. } => vec![format!("{} {of}", self.name)],
            Form::Date(parts) => parts.names(&self.name),
            Form::Hashed => Vec::new(),
        }
    }

    /// Checks that it reads columns that exist.
    #[cfg(feature = "serde")]
    fn ensure_reads(&self, [numbers, texts, times]: [usize; 3]) -> Result<()> {
        let (most, several) = match self.form {
            Form::Number(_) | Form::Bins(_) => (numbers, false),
            Form::OneHot(_) | Form::Value { .. } | Form::Hashed => (texts, true),
            Form::Date(_) => (times, false),
        };
        if !self.of.is_empty()
            && (several || self.of.len() == 1)
            && self.of.iter().all(|of| *of < most)
        {
            return Ok(());
        }
        Err(Error::invalid(
            "encodings",
            format!("{} of columns {:?}", self.name, self.of),
            "columns that are read",
        ))
    }
}

stored!(FittedEncoder as "fitted_encoder", |encoder| {
    numbers: Vec<String> = encoder.numbers.names().map(Into::into).collect::<Vec<String>>(),
    texts: Vec<String> = encoder.texts.names().map(Into::into).collect::<Vec<String>>(),
    times: Vec<String> = encoder.times.names().map(Into::into).collect::<Vec<String>>(),
    strict: bool = encoder.strict,
    parts: Vec<Part> = encoder.parts,
    dropped: Vec<usize> = encoder.dropped,
    bits: u32 = encoder.bits,
    precision: Precision = encoder.precision,
    is_sparse: bool = encoder.is_sparse,
    seen: Option<Vec<(usize, String)>> = encoder.seen,
} => {
    let read = Read { numbers, texts, times, strict };
    Self::restored(read, parts, [bits, u32::from(is_sparse)], precision, dropped, seen)
});

#[cfg(feature = "serde")]
impl FittedEncoder {
    fn restored(
        read: Read,
        parts: Vec<Part>,
        [bits, is_sparse]: [u32; 2],
        precision: Precision,
        dropped: Vec<usize>,
        seen: Option<Vec<(usize, String)>>,
    ) -> Result<Self> {
        super::Encoder::hashing(bits)?;
        for names in [&read.numbers, &read.texts, &read.times] {
            let mut sorted: Vec<&String> = names.iter().collect();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(Error::DuplicateColumn { kind: "fitted", column: pair[0].clone() });
            }
        }
        let lengths = [read.numbers.len(), read.texts.len(), read.times.len()];
        let mut checked = Vec::with_capacity(parts.len());
        for mut part in parts {
            part.ensure_reads(lengths)?;
            part.form = match part.form {
                Form::Bins(ranges) => Form::Bins(ranges.checked()?),
                Form::Date(parts) => Form::Date(parts.checked()?),
                form => form,
            };
            checked.push(part);
        }
        let encoder = Self::new(read, checked, bits, precision, Some(is_sparse == 1))?;
        if !encoder.is_sparse && encoder.layout.columns > 1 << 24 {
            return Err(Error::invalid("is_sparse", false, "sparse rows of so many columns"));
        }
        let ascending = dropped.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || dropped.last().is_some_and(|last| *last >= encoder.layout.columns) {
            return Err(Error::invalid("dropped", dropped.len(), "columns that exist, ascending"));
        }
        Ok(Self { dropped, seen, ..encoder })
    }
}

impl fmt::Display for FittedEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is: fn(&Form) -> bool| self.parts.iter().filter(|part| is(&part.form)).count();
        let numeric = count(|form| matches!(form, Form::Number(_)));
        let indicators = count(|form| matches!(form, Form::Number(scaled) if scaled.indicator));
        write!(
            f,
            "{numeric} numeric columns standardised, {indicators} of them with an indicator"
        )?;
        for (word, n) in [
            ("cut into ranges", count(|form| matches!(form, Form::Bins(_)))),
            ("one-hot", count(|form| matches!(form, Form::OneHot(_)))),
            ("with a number for each level", count(|form| matches!(form, Form::Value { .. }))),
            ("of times in parts", count(|form| matches!(form, Form::Date(_)))),
        ] {
            if n > 0 {
                write!(f, "; {n} columns {word}")?;
            }
        }
        match self.layout.hashed.len() {
            0 => Ok(()),
            n => write!(f, "; {n} categorical columns hashed to 2^{} columns", self.bits),
        }
    }
}
