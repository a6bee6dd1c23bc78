//! Encodes the columns of a log as features.

use std::fmt;

use sprs::CsMat;

use super::Table;
use super::table::{column_seed, value_hash};
use crate::core::{
    Columns, Dataset, Error, Features, Precision, Result, Row, Scalar, columns_without, dense,
};
use crate::exec::parallel::{self, BLOCK};

/// Encodes a [`Table`] as features: standardises numeric columns and hashes categorical columns.
///
/// [`fit`](Self::fit) learns means, deviations and indicators from the training rows; the [`FittedEncoder`]
/// then encodes any rows with the same columns. From left to right the features are:
///
/// 1. **Numeric columns**, in the order of the training table: z = (x − μ) / σ with the mean
///    μ = Σᵢwᵢxᵢ / Σᵢwᵢ and the standard deviation σ = √(Σᵢwᵢ(xᵢ − μ)² / Σᵢwᵢ) of the training rows in
///    which the number is not missing; wᵢ is the row's weight, or 1. A constant column gets σ = 1, so it
///    becomes 0. A missing number becomes 0, the mean.
/// 2. **Indicators**, one for each numeric column with missing numbers among the training rows: 1 where
///    the number is missing, else 0. A column without missing numbers in training has no indicator: a
///    number that is missing there later is encoded as the mean only.
/// 3. **Hashed columns**, 2ᵇ of them, if there are categorical columns: a value with the hash h (see
///    [`Table`]) adds ξ(h) to the column h mod 2ᵇ, where ξ(h) is −1 if the highest bit of h is set and
///    else +1. Values of one row in one column are added up; with random signs such collisions do not
///    bias inner products.
///
/// Without categorical columns the features are dense; with them they are sparse, without stored zeros.
///
/// ```
/// use imbalance::data::{Encoder, Table};
///
/// let train = Table::new(vec![false, true, false])?
///     .with_numeric("recency", vec![3.0, f64::NAN, 7.0])?
///     .with_categorical("channel", ["web", "phone", "web"])?;
/// let encoder = Encoder::hashing(10)?.fit(&train)?;
/// assert_eq!(encoder.columns(), 1 + 1 + 1024);
/// assert_eq!(encoder.column_names().nth(1).as_deref(), Some("recency missing"));
///
/// let data = encoder.encode(&train)?;
/// assert!(data.features().is_sparse());
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Source: K. Weinberger, A. Dasgupta, J. Langford, A. Smola, J. Attenberg, *Feature Hashing for Large
/// Scale Multitask Learning*, ICML 2009.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    bits: u32,
    precision: Precision,
}

/// An [`Encoder`] fitted to training rows: it knows their means, standard deviations and missing numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedEncoder {
    numeric: Columns<Standardised>,
    /// The seed of each column's hashes.
    categorical: Columns<u64>,
    /// Number of features before the hashed columns.
    unhashed: usize,
    /// Columns that are left out, ascending, counted among all.
    dropped: Vec<usize>,
    bits: u32,
    precision: Precision,
}

#[derive(Debug, Clone, PartialEq)]
struct Standardised {
    mean: f64,
    scale: f64,
    /// The feature that is 1 where the number is missing, if numbers were missing in training.
    indicator: Option<usize>,
}

/// The buffer of [`FittedEncoder::encode_row`], reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct EncodedRow {
    f32: Entries<f32>,
    f64: Entries<f64>,
}

/// Encoded rows, one after the other, and buffers for one row.
#[derive(Debug, Clone, Default)]
struct Entries<F> {
    /// Standardised numbers and indicators of one row.
    numbers: Vec<F>,
    /// Hashed columns of one row, as packed by [`FittedEncoder::slot`].
    slots: Vec<u64>,
    indices: Vec<usize>,
    values: Vec<F>,
}

impl<F: Copy> Entries<F> {
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

impl Encoder {
    /// Hashes categorical values to 2^`bits` columns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 1 ≤ `bits` ≤ 30.
    pub fn hashing(bits: u32) -> Result<Self> {
        if (1..=30).contains(&bits) {
            Ok(Self { bits, precision: Precision::F64 })
        } else {
            Err(Error::invalid("bits", bits, "from 1 to 30"))
        }
    }

    /// How precisely features are stored. Default: `f64`.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Learns means, standard deviations and which columns have missing numbers from training rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is neither a numeric nor a categorical column, or if a
    /// numeric column is missing in every row of positive weight; [`Error::Numerical`] if a mean or
    /// standard deviation is too large for `f64`.
    pub fn fit(&self, train: &Table) -> Result<FittedEncoder> {
        let columns: Vec<_> = train.numeric.iter().collect();
        if columns.is_empty() && train.categorical.is_empty() {
            return Err(Error::invalid(
                "table",
                "a table without numeric and categorical columns",
                "one with at least one of them",
            ));
        }
        let numeric = parallel::map(columns.len(), 1, |column, _| {
            let (name, values) = columns[column];
            Ok((name.to_owned(), Standardised::fit(name, values, train.weights())?))
        });
        let numeric = numeric.into_iter().collect::<Result<Vec<_>>>()?;
        let mut numeric = Columns::of("fitted numeric", numeric);
        let seeds = train.categorical_names().map(|name| (name.to_owned(), column_seed(name)));
        let categorical = Columns::of("fitted categorical", seeds);
        let mut unhashed = numeric.len();
        for indicator in numeric.columns_mut().filter_map(|column| column.indicator.as_mut()) {
            *indicator = unhashed;
            unhashed += 1;
        }
        let (Self { bits, precision }, dropped) = (*self, Vec::new());
        Ok(FittedEncoder { numeric, categorical, unhashed, dropped, bits, precision })
    }
}

impl Default for Encoder {
    /// 2¹⁸ hashed columns.
    fn default() -> Self {
        Self { bits: 18, precision: Precision::F64 }
    }
}

impl Standardised {
    /// [`Encoder::fit`] sets the indicator's column later.
    fn fit(name: &str, values: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        let weights = weights.into_iter().flatten().copied().chain(std::iter::repeat(1.0));
        let weighted = values.iter().copied().zip(weights);
        let present = weighted.filter(|(value, weight)| !value.is_nan() && *weight > 0.0);
        let (mean, deviation) = moments(present).ok_or_else(|| {
            let value = format!("`{name}`, which is missing in every training row");
            Error::invalid("numeric column", value, "a column with a number in some of them")
        })?;
        if !(mean + deviation).is_finite() {
            return Err(Error::Numerical {
                what: format!("the mean or standard deviation of the numeric column `{name}`"),
                value: mean + deviation,
                remedy: "scale the column down",
            });
        }
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        let indicator = values.iter().any(|value| value.is_nan()).then_some(0);
        Ok(Self { mean, scale, indicator })
    }
}

/// Mean and population standard deviation of (value, weight) pairs, if there are any.
///
/// Sums are taken over differences from the first value, then over differences from that mean: so a constant
/// column has exactly its constant as mean and exactly 0 as deviation, and no digits cancel in the squares.
fn moments(rows: impl Iterator<Item = (f64, f64)> + Clone) -> Option<(f64, f64)> {
    let (origin, _) = rows.clone().next()?;
    let (mut weight, mut sum) = (0.0, 0.0);
    for (x, w) in rows.clone() {
        weight += w;
        sum += w * (x - origin);
    }
    let centre = origin + sum / weight;
    let (mut sum, mut squares) = (0.0, 0.0);
    for (x, w) in rows {
        let deviation = x - centre;
        sum += w * deviation;
        squares += w * deviation * deviation;
    }
    let correction = sum / weight;
    let variance = squares / weight - correction * correction;
    // Not `variance.max(0.0)`, which would turn the NaN of an overflow into 0.
    Some((centre + correction, if variance < 0.0 { 0.0 } else { variance.sqrt() }))
}

impl FittedEncoder {
    /// Number of feature columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.all_columns() - self.dropped.len()
    }

    /// Number of feature columns before some were dropped.
    fn all_columns(&self) -> usize {
        let hashed = if self.categorical.is_empty() { 0 } else { 1 << self.bits };
        self.unhashed + hashed
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
    /// assert_eq!(encoder.encode_row(&[], &[("channel", "web")], &mut buffer)?.columns(), 2);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a column that does not exist.
    pub fn drop_columns(mut self, columns: &[usize]) -> Result<Self> {
        let kept = columns_without(columns, self.columns())?;
        let before = self.kept();
        let kept = kept.into_iter().map(|column| before[column]);
        let mut dropped = vec![true; self.all_columns()];
        kept.for_each(|column| dropped[column] = false);
        self.dropped = (0..dropped.len()).filter(|&column| dropped[column]).collect();
        Ok(self)
    }

    /// The columns that are kept, counted among all.
    fn kept(&self) -> Vec<usize> {
        (0..self.all_columns())
            .filter(|column| self.dropped.binary_search(column).is_err())
            .collect()
    }

    /// The place of one of all columns among those that are kept.
    fn place(&self, column: usize) -> Option<usize> {
        self.dropped.binary_search(&column).err().map(|before| column - before)
    }

    /// The names of the feature columns: `x` for a numeric column, `x missing` for its indicator,
    /// `hash 17` for the hashed column 17. [`hashed`](Self::hashed) returns the column of a value.
    pub fn column_names(&self) -> impl Iterator<Item = String> {
        let missing = self.numeric.iter().filter(|(_, column)| column.indicator.is_some());
        let hashed = 0..self.all_columns() - self.unhashed;
        (self.numeric.names().map(Into::into))
            .chain(missing.map(|(name, _)| format!("{name} missing")))
            .chain(hashed.map(|column| format!("hash {column}")))
            .enumerate()
            .filter_map(|(column, name)| self.place(column).map(|_| name))
    }

    /// The names of the numeric columns, in the order [`encode_row`](Self::encode_row) takes them.
    pub fn numeric_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.numeric.names()
    }

    /// The names of the categorical columns, in the order [`encode_row`](Self::encode_row) takes them.
    pub fn categorical_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.categorical.names()
    }

    /// The mean μ and the scale σ of a numeric column.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn standardisation(&self, numeric: &str) -> Result<(f64, f64)> {
        self.numeric.get(numeric).map(|column| (column.mean, column.scale))
    }

    /// The feature column of a value of a categorical column, and its sign there, ±1; `None` if the column was
    /// [dropped](Self::drop_columns).
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn hashed(&self, categorical: &str, value: &str) -> Result<Option<(usize, f64)>> {
        let slot = self.slot(value_hash(*self.categorical.get(categorical)?, value.as_bytes()));
        let place = self.place(self.unhashed + slot_column(slot));
        Ok(place.map(|place| (place, slot_sign(slot))))
    }

    /// Encodes a table, which needs the numeric and categorical columns of the training table, in any
    /// order. Labels, weights, offsets and attributes are copied.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a column that is missing or that the encoder does not know;
    /// [`Error::NonFinite`] for a number too far from the mean to be standardised.
    pub fn encode(&self, table: &Table) -> Result<Dataset<'static>> {
        Dataset::of(self.encoded(table)?, table.rows.clone())
    }

    /// The features of a table alone: what a model predicts from, for rows
    /// [without labels](Table::unlabelled).
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn features(&self, table: &Table) -> Result<Features<'static>> {
        let features = self.encoded(table)?;
        features.view().ensure_finite()?;
        Ok(features)
    }

    fn encoded(&self, table: &Table) -> Result<Features<'static>> {
        table.numeric_names().try_for_each(|name| self.numeric.get(name).map(drop))?;
        table.categorical_names().try_for_each(|name| self.categorical.get(name).map(drop))?;
        let numbers = self.numeric_names().map(|name| table.numeric(name));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        let hashes = self.categorical_names().map(|name| table.categorical.get(name));
        let hashes = hashes.map(|hashes| hashes.map(Vec::as_slice)).collect::<Result<Vec<_>>>()?;
        let features = match self.precision {
            Precision::F32 => self.encode_columns::<f32>(&numbers, &hashes, table.rows()),
            Precision::F64 => self.encode_columns::<f64>(&numbers, &hashes, table.rows()),
        };
        if self.dropped.is_empty() {
            return Ok(features);
        }
        Ok(features.view().pick_columns(&self.kept()))
    }

    fn encode_columns<F: Scalar>(
        &self,
        numbers: &[&[f64]],
        hashes: &[&[u64]],
        rows: usize,
    ) -> Features<'static> {
        if hashes.is_empty() {
            self.encode_dense::<F>(numbers, rows)
        } else {
            self.encode_sparse::<F>(numbers, hashes, rows)
        }
    }

    fn encode_dense<F: Scalar>(&self, numbers: &[&[f64]], rows: usize) -> Features<'static> {
        let width = self.all_columns();
        let mut data = vec![F::default(); rows * width];
        parallel::map_into(&mut data, width, BLOCK, |_, range, out| {
            for (row, out) in range.zip(out.chunks_exact_mut(width)) {
                self.standardise(numbers.iter().map(|column| column[row]), out);
            }
        });
        dense(data, rows, width).into()
    }

    fn encode_sparse<F: Scalar>(
        &self,
        numbers: &[&[f64]],
        hashes: &[&[u64]],
        rows: usize,
    ) -> Features<'static> {
        let blocks = parallel::map(rows, BLOCK, |_, range| {
            let (mut block, mut ends) = (Entries::<F>::default(), Vec::with_capacity(range.len()));
            for row in range {
                let numbers = numbers.iter().map(|column| column[row]);
                self.append(numbers, hashes.iter().map(|column| column[row]), &mut block);
                ends.push(block.indices.len());
            }
            (block, ends)
        });
        let stored = blocks.iter().map(|(block, _)| block.indices.len()).sum();
        let mut indptr = Vec::with_capacity(rows + 1);
        indptr.push(0);
        let (mut indices, mut values) = (Vec::with_capacity(stored), Vec::with_capacity(stored));
        for (block, ends) in blocks {
            let before = indices.len();
            indptr.extend(ends.into_iter().map(|end| before + end));
            indices.extend(block.indices);
            values.extend(block.values);
        }
        CsMat::new((rows, self.all_columns()), indptr, indices, values).into()
    }

    /// Encodes one row, with the bits of [`encode`](Self::encode). Numbers, NaN if missing, and categories stand
    /// behind the names of their columns, in any order; in that of [`numeric_names`](Self::numeric_names) and
    /// [`categorical_names`](Self::categorical_names) they are found at once. After the first row the buffer does
    /// not grow, and nothing is allocated.
    ///
    /// ```
    /// use imbalance::data::{EncodedRow, Encoder, Table};
    ///
    /// let train = Table::new(vec![false, true])?
    ///     .with_numeric("recency", vec![3.0, 7.0])?
    ///     .with_categorical("channel", ["web", "phone"])?;
    /// let encoder = Encoder::default().fit(&train)?;
    /// let mut buffer = EncodedRow::default();
    /// let row = encoder.encode_row(&[("recency", 4.0)], &[("channel", "phone")], &mut buffer)?;
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a name that the encoder does not know, [`Error::InvalidArgument`] for a column
    /// that is missing or named twice; [`Error::NonFinite`] for an infinity or a number too far from the mean to be
    /// standardised.
    pub fn encode_row<'b>(
        &self,
        numbers: &[(&str, f64)],
        categories: &[(&str, &str)],
        buffer: &'b mut EncodedRow,
    ) -> Result<Row<'b>> {
        match self.precision {
            Precision::F32 => self.encode_entries(numbers, categories, &mut buffer.f32),
            Precision::F64 => self.encode_entries(numbers, categories, &mut buffer.f64),
        }
    }

    fn encode_entries<'b, F: Scalar>(
        &self,
        numbers: &[(&str, f64)],
        categories: &[(&str, &str)],
        buffer: &'b mut Entries<F>,
    ) -> Result<Row<'b>> {
        ensure_one_each("numbers", numbers, &self.numeric)?;
        ensure_one_each("categories", categories, &self.categorical)?;
        let numbers = in_order(numbers, &self.numeric).map(|(x, _)| x);
        let hashes = in_order(categories, &self.categorical);
        let hashes = hashes.map(|(value, &seed)| value_hash(seed, value.as_bytes()));
        buffer.indices.clear();
        buffer.values.clear();
        let max_stored = self.unhashed + self.categorical.len();
        buffer.indices.reserve(max_stored);
        buffer.values.reserve(max_stored);
        if self.categorical.is_empty() {
            buffer.values.resize(self.all_columns(), F::default());
            self.standardise(numbers, &mut buffer.values);
        } else {
            self.append(numbers, hashes, buffer);
        }
        if let Some(column) = buffer.values.iter().position(|value| !value.to_f64().is_finite()) {
            let value = buffer.values[column].to_f64();
            let column = Some(buffer.indices.get(column).copied().unwrap_or(column));
            return Err(Error::NonFinite { what: "the encoded row".into(), row: 0, column, value });
        }
        if !self.dropped.is_empty() {
            buffer.keep(|column| self.place(column));
        }
        if self.categorical.is_empty() {
            return Ok(Row::from(&buffer.values));
        }
        Row::sparse(self.columns(), &buffer.indices, &buffer.values)
    }

    /// Appends a row's stored columns and values.
    fn append<F: Scalar>(
        &self,
        numbers: impl Iterator<Item = f64>,
        hashes: impl Iterator<Item = u64>,
        out: &mut Entries<F>,
    ) {
        let Entries { numbers: standardised, slots, indices, values } = out;
        standardised.resize(self.unhashed, F::default());
        self.standardise(numbers, standardised);
        slots.clear();
        slots.extend(hashes.map(|hash| self.slot(hash)));
        // Sorted by column, so that collisions are neighbours.
        slots.sort_unstable();

        let collided = slots.chunk_by(|a, b| slot_column(*a) == slot_column(*b)).map(|same| {
            let sum: f64 = same.iter().map(|&slot| slot_sign(slot)).sum();
            (self.unhashed + slot_column(same[0]), F::from_f64(sum))
        });
        let entries = standardised.iter().copied().enumerate().chain(collided);
        for (column, value) in entries.filter(|(_, value)| *value != F::default()) {
            indices.push(column);
            values.push(value);
        }
    }

    /// Standardised numbers, then indicators.
    fn standardise<F: Scalar>(&self, numbers: impl Iterator<Item = f64>, out: &mut [F]) {
        out.fill(F::default());
        for (place, (column, x)) in self.numeric.columns().zip(numbers).enumerate() {
            if !x.is_nan() {
                out[place] = F::from_f64((x - column.mean) / column.scale);
            } else if let Some(indicator) = column.indicator {
                out[indicator] = F::from_f64(1.0);
            }
        }
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

/// Checks that the values of a row are those of the columns, each once.
fn ensure_one_each<V, C>(
    argument: &'static str,
    values: &[(&str, V)],
    columns: &Columns<C>,
) -> Result<()> {
    if values.len() == columns.len() && values.iter().map(|(name, _)| *name).eq(columns.names()) {
        return Ok(());
    }
    values.iter().try_for_each(|(name, _)| columns.get(name).map(drop))?;
    let times = |column: &str| values.iter().filter(|(name, _)| *name == column).count();
    match columns.names().map(|column| (column, times(column))).find(|&(_, times)| times != 1) {
        None => Ok(()),
        Some((column, times)) => {
            let names = columns.names().collect::<Vec<_>>().join(", ");
            let found = if times == 0 { "without" } else { "with more than one value of" };
            let expected = format!("with one value of each of the columns {names}");
            Err(Error::invalid(argument, format!("a row {found} `{column}`"), expected))
        }
    }
}

/// Checked values of a row in the order of the columns, with the columns.
fn in_order<'a, V: Copy, C>(
    values: &'a [(&'a str, V)],
    columns: &'a Columns<C>,
) -> impl Iterator<Item = (V, &'a C)> {
    columns.iter().enumerate().filter_map(move |(place, (column, of))| {
        let in_place = values.get(place).filter(|(name, _)| *name == column);
        let value = in_place.or_else(|| values.iter().find(|(name, _)| *name == column));
        value.map(|&(_, value)| (value, of))
    })
}

impl fmt::Display for FittedEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numeric = self.numeric.len();
        let indicators = self.unhashed - numeric;
        write!(
            f,
            "{numeric} numeric columns standardised, {indicators} of them with an indicator"
        )?;
        match self.categorical.len() {
            0 => Ok(()),
            n => write!(f, "; {n} categorical columns hashed to 2^{} columns", self.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes of `tests/data/encoder.rs`, all 64 bits of them.
    #[test]
    fn hashes_are_the_same_everywhere_and_forever() {
        let long = "a value longer than the 32 bytes of an XXH64 stripe";
        for (name, value, hash) in [
            ("site_id", "1fbe01fe", 0x4d3becabf4deca60),
            ("site_id", "", 0x8203d89d8f7f96e8),
            ("channel", "Phone", 0x2d34a76e6088a156),
            ("channel", "Web", 0x343b9c8315dc541e),
            ("zip_code", "Größe", 0x218f62bdfff01070),
            ("user", long, 0x4d23187bd3b6cc56),
            ("campaign", "women", 0x8364ae3accc70871),
            ("position", "3", 0xcd4bb361744acddb),
        ] {
            assert_eq!(value_hash(column_seed(name), value.as_bytes()), hash, "{name} {value}");
        }
    }

    #[test]
    fn serving_allocates_nothing_after_the_first_row() {
        let train = Table::new(vec![true, false, false])
            .unwrap()
            .with_numeric("x", vec![1.0, f64::NAN, 3.0])
            .unwrap()
            .with_categorical("c", ["a", "b", ""])
            .unwrap();
        let encoder = Encoder::default().fit(&train).unwrap();
        let mut buffer = EncodedRow::default();
        encoder.encode_row(&[("x", f64::NAN)], &[("c", "a")], &mut buffer).unwrap();
        let memory = |buffer: &EncodedRow| {
            let Entries { numbers, slots, indices, values } = &buffer.f64;
            (numbers.as_ptr(), slots.as_ptr(), indices.as_ptr(), values.as_ptr())
        };
        let before = memory(&buffer);
        for x in [1.0, 2.0, f64::NAN, 1e9] {
            encoder.encode_row(&[("x", x)], &[("c", "any other value")], &mut buffer).unwrap();
            assert_eq!(memory(&buffer), before);
        }
    }
}
