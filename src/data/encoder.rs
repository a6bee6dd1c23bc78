//! From the columns of a log to features.

use std::fmt;

use sprs::CsMat;

use super::Table;
use super::table::{column_seed, value_hash};
use crate::core::{Dataset, Error, Features, Precision, Result, Row, Scalar, dense, find};
use crate::exec::parallel::{self, BLOCK};

/// How a [`Table`] becomes features: numeric columns standardised, categorical columns hashed.
///
/// What is learned, is learned from the training rows by [`fit`](Self::fit); the [`FittedEncoder`] then
/// encodes any rows with the same columns. From left to right the features are:
///
/// 1. **Numeric columns**, in the order of the training table: z = (x − μ) / σ with the mean
///    μ = Σᵢwᵢxᵢ / Σᵢwᵢ and the standard deviation σ = √(Σᵢwᵢ(xᵢ − μ)² / Σᵢwᵢ) of the training rows in
///    which the number is not missing; wᵢ is the row's weight, or 1. A column that is constant there
///    gets σ = 1, so it becomes 0. A missing number becomes 0, the mean.
/// 2. **Indicators**, one for each numeric column with missing numbers among the training rows: 1 where
///    the number is missing, else 0. A column that was never missing in training has none, so a number
///    missing there later is encoded as the mean and nothing else.
/// 3. **Hashed columns**, 2ᵇ of them, if there are categorical columns: a value with the hash h (see
///    [`Table`]) adds ξ(h) to the column h mod 2ᵇ, where ξ(h) is −1 if the highest bit of h is set and
///    else +1. Values of a row that collide are added up; thanks to the sign, collisions do not bias
///    inner products.
///
/// Without categorical columns the features are dense, else sparse, and zeros are not stored.
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

/// An [`Encoder`] that knows the training rows' means and standard deviations.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedEncoder {
    numeric: Vec<Standardised>,
    categorical: Vec<Hashed>,
    /// Number of columns left of the hashed ones.
    unhashed: usize,
    bits: u32,
    precision: Precision,
}

#[derive(Debug, Clone, PartialEq)]
struct Standardised {
    name: String,
    mean: f64,
    scale: f64,
    /// The column that tells where the number is missing, if it was ever missing in training.
    indicator: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
struct Hashed {
    name: String,
    seed: u64,
}

/// The memory [`FittedEncoder::encode_row`] works in, reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct EncodedRow {
    f32: Entries<f32>,
    f64: Entries<f64>,
}

/// Encoded rows, one after the other, and what their making needs.
#[derive(Debug, Clone, Default)]
struct Entries<F> {
    /// Standardised numbers and indicators of one row.
    numbers: Vec<F>,
    /// Hashed columns of one row, as packed by [`FittedEncoder::slot`].
    slots: Vec<u64>,
    indices: Vec<usize>,
    values: Vec<F>,
}

impl Encoder {
    /// Categorical values are hashed to 2^`bits` columns.
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

    /// Learns means, standard deviations and which columns have missing numbers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is neither a numeric nor a categorical column, or if a
    /// numeric column is missing in every row that weighs something; [`Error::Numerical`] if a mean or
    /// standard deviation is too large for `f64`.
    pub fn fit(&self, train: &Table) -> Result<FittedEncoder> {
        let names: Vec<&str> = train.numeric_names().collect();
        let categorical: Vec<Hashed> = train
            .categorical_names()
            .map(|name| Hashed { name: name.into(), seed: column_seed(name) })
            .collect();
        if names.is_empty() && categorical.is_empty() {
            return Err(Error::invalid(
                "table",
                "a table without numeric and categorical columns",
                "one with at least one of them",
            ));
        }
        let mut numeric = parallel::map(names.len(), 1, |column, _| {
            Standardised::fit(names[column], train.numeric(names[column])?, train.weights())
        })
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
        let mut unhashed = numeric.len();
        for indicator in numeric.iter_mut().filter_map(|column| column.indicator.as_mut()) {
            *indicator = unhashed;
            unhashed += 1;
        }
        let Self { bits, precision } = *self;
        Ok(FittedEncoder { numeric, categorical, unhashed, bits, precision })
    }
}

impl Default for Encoder {
    /// 2¹⁸ hashed columns.
    fn default() -> Self {
        Self { bits: 18, precision: Precision::F64 }
    }
}

impl Standardised {
    /// The indicator's place is still to be set.
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
        Ok(Self { name: name.into(), mean, scale, indicator })
    }
}

/// Mean and population standard deviation of (value, weight) pairs, if there are any.
///
/// Values are taken relative to the first one, then relative to the mean: so a constant column has
/// exactly its constant as mean and exactly 0 as deviation, and nothing cancels in the squares.
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
    let rest = sum / weight;
    // `max` would turn the NaN of an overflow into 0.
    let variance = squares / weight - rest * rest;
    Some((centre + rest, if variance < 0.0 { 0.0 } else { variance.sqrt() }))
}

impl FittedEncoder {
    /// Number of feature columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        let hashed = if self.categorical.is_empty() { 0 } else { 1 << self.bits };
        self.unhashed + hashed
    }

    /// The names of the feature columns: `x` for a numeric column, `x missing` for its indicator,
    /// `hash 17` for the hashed column 17. [`hashed`](Self::hashed) tells where a value goes.
    pub fn column_names(&self) -> impl Iterator<Item = String> {
        let missing = self.numeric.iter().filter(|column| column.indicator.is_some());
        let hashed = 0..self.columns() - self.unhashed;
        (self.numeric.iter().map(|column| column.name.clone()))
            .chain(missing.map(|column| format!("{} missing", column.name)))
            .chain(hashed.map(|column| format!("hash {column}")))
    }

    /// The names of the numeric columns, in the order [`encode_row`](Self::encode_row) takes them.
    pub fn numeric_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.numeric.iter().map(|column| column.name.as_str())
    }

    /// The names of the categorical columns, in the order [`encode_row`](Self::encode_row) takes them.
    pub fn categorical_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.categorical.iter().map(|column| column.name.as_str())
    }

    /// Mean and scale by which a numeric column is standardised.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn standardisation(&self, numeric: &str) -> Result<(f64, f64)> {
        let columns = self.numeric.iter().map(|column| (column.name.as_str(), column));
        find("numeric", numeric, columns).map(|column| (column.mean, column.scale))
    }

    /// The feature column that a value of a categorical column goes to, and its sign there, ±1.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn hashed(&self, categorical: &str, value: &str) -> Result<(usize, f64)> {
        let columns = self.categorical.iter().map(|column| (column.name.as_str(), column));
        let column = find("categorical", categorical, columns)?;
        let slot = self.slot(value_hash(column.seed, value.as_bytes()));
        Ok((self.unhashed + slot_column(slot), slot_sign(slot)))
    }

    /// Encodes a table, which has the same numeric and categorical columns as the training table, in
    /// any order. Labels, weights, offsets and attributes are copied over.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a column that is missing or that the encoder does not know;
    /// [`Error::NonFinite`] for a number too far from the mean to be standardised.
    pub fn encode(&self, table: &Table) -> Result<Dataset<'static>> {
        for name in table.numeric_names() {
            find("fitted numeric", name, self.numeric_names().map(|known| (known, ())))?;
        }
        for name in table.categorical_names() {
            find("fitted categorical", name, self.categorical_names().map(|known| (known, ())))?;
        }
        let numbers =
            self.numeric_names().map(|name| table.numeric(name)).collect::<Result<Vec<_>>>()?;
        let hashes =
            self.categorical_names().map(|name| table.hashes(name)).collect::<Result<Vec<_>>>()?;

        let features = match self.precision {
            Precision::F32 => self.features::<f32>(&numbers, &hashes, table.rows()),
            Precision::F64 => self.features::<f64>(&numbers, &hashes, table.rows()),
        };
        let mut data = Dataset::new(features, table.labels().to_vec())?;
        if let Some(weights) = table.weights() {
            data = data.with_weights(weights.to_vec())?;
        }
        if let Some(offsets) = table.offsets() {
            data = data.with_offsets(offsets.to_vec())?;
        }
        for (name, attribute) in table.attributes().iter() {
            data = data.with_attribute(name, attribute.clone())?;
        }
        Ok(data)
    }

    fn features<F: Scalar>(
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
        let width = self.columns();
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
        CsMat::new((rows, self.columns()), indptr, indices, values).into()
    }

    /// Encodes one row, to the same bits as [`encode`](Self::encode) does. The numbers, NaN where
    /// missing, and the categories come in the order of [`numeric_names`](Self::numeric_names) and
    /// [`categorical_names`](Self::categorical_names). After the first row the buffer does not grow:
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
    /// let row = encoder.encode_row(&[4.0], &["phone"], &mut buffer)?;
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a wrong number of numbers or categories; [`Error::NonFinite`] for
    /// an infinity or a number too far from the mean to be standardised.
    pub fn encode_row<'b>(
        &self,
        numbers: &[f64],
        categories: &[&str],
        buffer: &'b mut EncodedRow,
    ) -> Result<Row<'b>> {
        match self.precision {
            Precision::F32 => self.encode_entries(numbers, categories, &mut buffer.f32),
            Precision::F64 => self.encode_entries(numbers, categories, &mut buffer.f64),
        }
    }

    fn encode_entries<'b, F: Scalar>(
        &self,
        numbers: &[f64],
        categories: &[&str],
        buffer: &'b mut Entries<F>,
    ) -> Result<Row<'b>> {
        one_each("numbers", numbers.len(), "numeric", self.numeric_names())?;
        one_each("categories", categories.len(), "categorical", self.categorical_names())?;
        let hash = |(value, column): (&&str, &Hashed)| value_hash(column.seed, value.as_bytes());
        let hashes = categories.iter().zip(&self.categorical).map(hash);
        buffer.indices.clear();
        buffer.values.clear();
        let most = self.unhashed + self.categorical.len();
        buffer.indices.reserve(most);
        buffer.values.reserve(most);
        if self.categorical.is_empty() {
            buffer.values.resize(self.columns(), F::default());
            self.standardise(numbers.iter().copied(), &mut buffer.values);
        } else {
            self.append(numbers.iter().copied(), hashes, buffer);
        }
        if let Some(column) = buffer.values.iter().position(|value| !value.to_f64().is_finite()) {
            let value = buffer.values[column].to_f64();
            let column = Some(buffer.indices.get(column).copied().unwrap_or(column));
            return Err(Error::NonFinite { what: "the encoded row".into(), row: 0, column, value });
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
        // Equal columns come to stand side by side.
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
        for (place, (column, x)) in self.numeric.iter().zip(numbers).enumerate() {
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

fn one_each<'n>(
    argument: &'static str,
    found: usize,
    kind: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Result<()> {
    if found == names.clone().count() {
        return Ok(());
    }
    let names = names.collect::<Vec<_>>().join(", ");
    let expected = format!("one for each of the {kind} columns, which are: {names}");
    Err(Error::invalid(argument, format!("a list of {found}"), expected))
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{Attribute, FeaturesView};

    fn table(rows: usize) -> Table {
        Table::new((0..rows).map(|row| row % 3 == 0).collect::<Vec<_>>()).unwrap()
    }

    /// The rows as (column, bits) pairs without zeros, dense or sparse.
    fn entries(features: FeaturesView<'_>) -> Vec<Vec<(usize, u64)>> {
        let row = |row: Row<'_>| {
            let stored = row.entries().filter(|(_, value)| *value != 0.0);
            stored.map(|(column, value)| (column, value.to_bits())).collect()
        };
        features.rows().map(row).collect()
    }

    fn bits(row: &[(usize, f64)]) -> Vec<(usize, u64)> {
        row.iter().map(|(column, value)| (*column, value.to_bits())).collect()
    }

    /// Hashes computed with the Python package `xxhash` 4.1.0 (the reference implementation, 0.8.4):
    /// `h = xxh64_intdigest(value, seed=xxh64_intdigest(column, seed=0))`, column `h % 2**18`, sign −1
    /// if `h >> 63` else +1. A model that was fitted elsewhere relies on them.
    #[test]
    fn hashes_are_the_same_everywhere_and_forever() {
        let golden = [
            ("site_id", "1fbe01fe", 0x4d3becabf4deca60, 182_880, 1.0),
            ("site_id", "", 0x8203d89d8f7f96e8, 235_240, -1.0),
            ("channel", "Phone", 0x2d34a76e6088a156, 41_302, 1.0),
            ("channel", "Web", 0x343b9c8315dc541e, 21_534, 1.0),
            ("zip_code", "Größe", 0x218f62bdfff01070, 4_208, 1.0),
            (
                "user",
                "a value longer than the 32 bytes of an XXH64 stripe",
                0x4d23187bd3b6cc56,
                183_382,
                1.0,
            ),
            ("campaign", "women", 0x8364ae3accc70871, 198_769, -1.0),
            ("position", "3", 0xcd4bb361744acddb, 183_771, -1.0),
        ];
        for (name, value, hash, column, sign) in golden {
            assert_eq!(value_hash(column_seed(name), value.as_bytes()), hash, "{name} {value}");
            let train = table(1).with_categorical(name, [value]).unwrap();
            let encoder = Encoder::hashing(18).unwrap().fit(&train).unwrap();
            assert_eq!(encoder.hashed(name, value).unwrap(), (column, sign));
            let data = encoder.encode(&train).unwrap();
            assert_eq!(entries(data.features()), [bits(&[(column, sign)])]);
        }
    }

    #[test]
    fn columns_are_numbers_then_indicators_then_hashes() {
        let train = table(4)
            .with_numeric("a", vec![1.0, f64::NAN, 5.0, 3.0])
            .unwrap()
            .with_numeric("b", vec![0.0, 0.0, 0.0, 4.0])
            .unwrap()
            .with_numeric("c", vec![f64::NAN, 7.0, 7.0, 7.0])
            .unwrap()
            .with_categorical("d", ["x", "y", "x", "z"])
            .unwrap()
            .with_attribute("t", Attribute::numbers(vec![1.0, 2.0, 3.0, 4.0]))
            .unwrap()
            .with_weights(vec![1.0; 4])
            .unwrap();
        let encoder = Encoder::hashing(3).unwrap().fit(&train).unwrap();
        assert_eq!(encoder.columns(), 3 + 2 + 8);
        let names: Vec<String> = encoder.column_names().collect();
        assert_eq!(names[..6], ["a", "b", "c", "a missing", "c missing", "hash 0"]);
        assert_eq!(names.len(), encoder.columns());
        assert_eq!(
            encoder.to_string(),
            "3 numeric columns standardised, 2 of them with an indicator; 1 categorical columns \
             hashed to 2^3 columns"
        );
        // Of 1, 5 and 3 the variance is 8/3; of 0, 0, 0 and 4 it is 3; 7 is constant.
        assert_eq!(encoder.standardisation("a").unwrap(), (3.0, (8.0_f64 / 3.0).sqrt()));
        assert_eq!(encoder.standardisation("b").unwrap(), (1.0, 3.0_f64.sqrt()));
        assert_eq!(encoder.standardisation("c").unwrap(), (7.0, 1.0));

        let data = encoder.encode(&train).unwrap();
        let (s, t) = ((8.0_f64 / 3.0).sqrt(), 3.0_f64.sqrt());
        let expected = [
            vec![(0, -2.0 / s), (1, -1.0 / t), (4, 1.0), encoder.hashed("d", "x").unwrap()],
            vec![(1, -1.0 / t), (3, 1.0), encoder.hashed("d", "y").unwrap()],
            vec![(0, 2.0 / s), (1, -1.0 / t), encoder.hashed("d", "x").unwrap()],
            vec![(1, 3.0 / t), encoder.hashed("d", "z").unwrap()],
        ];
        assert_eq!(entries(data.features()), expected.map(|row| bits(&row)));
        assert_eq!(data.labels(), train.labels());
        assert_eq!(data.weights(), train.weights());
        assert_eq!(data.numbers("t").unwrap(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn only_training_rows_are_learned_from() {
        let numbers = [1.0, 2.0, 4.0, f64::NAN, 1e6, -1e6];
        let with = |numbers: &[f64]| table(numbers.len()).with_numeric("x", numbers).unwrap();
        let fit = |table: &Table| {
            let (train, test) = table.split(&crate::Split::last(6, 0.5).unwrap()).unwrap();
            (Encoder::default().fit(&train).unwrap(), test)
        };
        let (encoder, test) = fit(&with(&numbers));
        let (other, _) = fit(&with(&[1.0, 2.0, 4.0, 0.0, f64::NAN, 5.0]));
        assert_eq!(encoder, other);
        // Missing in the test rows only: the mean, and no indicator.
        let data = encoder.encode(&test).unwrap();
        let (mean, scale) = encoder.standardisation("x").unwrap();
        let expected = [vec![], vec![(0, (1e6 - mean) / scale)], vec![(0, (-1e6 - mean) / scale)]];
        assert_eq!(entries(data.features()), expected.map(|row| bits(&row)));
        assert!(!data.features().is_sparse());
    }

    #[test]
    fn moments_are_weighted_and_do_not_cancel() {
        let rows = |values: &[f64], weights: &[f64]| {
            let encoder = table(values.len()).with_numeric("x", values).unwrap();
            let encoder = encoder.with_weights(weights).unwrap();
            Encoder::default().fit(&encoder).unwrap().standardisation("x").unwrap()
        };
        assert_eq!(rows(&[1.0, 2.0, 9.0], &[3.0, 1.0, 0.0]), (1.25, (3.0_f64 / 16.0).sqrt()));
        // A sum of squares about 0 would lose all digits of this variance.
        let far = [1e12, 1e12 + 1.0, 1e12 + 2.0];
        assert_eq!(rows(&far, &[1.0; 3]), (1e12 + 1.0, (2.0_f64 / 3.0).sqrt()));
        // 0.1 + 0.1 + 0.1 is not 0.3, but a constant is a constant.
        assert_eq!(rows(&[0.1; 3], &[0.3, 0.2, 0.7]), (0.1, 1.0));
        assert_eq!(rows(&[5.0, 0.1, 0.1, 0.1], &[0.0, 0.3, 0.2, 0.7]), (0.1, 1.0));
    }

    #[test]
    fn what_cannot_be_encoded_is_refused() {
        let message = |result: Result<FittedEncoder>| result.unwrap_err().to_string();
        for bits in [0, 31] {
            assert!(matches!(Encoder::hashing(bits), Err(Error::InvalidArgument { .. })));
        }
        assert_eq!(
            message(Encoder::default().fit(&table(2))),
            "`table` is a table without numeric and categorical columns, but it must be one with at \
             least one of them"
        );
        let missing = table(2).with_numeric("x", vec![f64::NAN; 2]).unwrap();
        assert_eq!(
            message(Encoder::default().fit(&missing)),
            "`numeric column` is `x`, which is missing in every training row, but it must be a column \
             with a number in some of them"
        );
        let huge = table(2).with_numeric("x", vec![f64::MAX, f64::MIN]).unwrap();
        assert!(matches!(Encoder::default().fit(&huge), Err(Error::Numerical { .. })));

        let train = table(2).with_numeric("x", vec![1.0, 1.5]).unwrap();
        let train = train.with_categorical("c", ["a", "b"]).unwrap();
        let encoder = Encoder::default().fit(&train).unwrap();
        let message = |table: Table| encoder.encode(&table).unwrap_err().to_string();
        assert_eq!(
            message(table(1).with_categorical("c", ["a"]).unwrap()),
            "there is no numeric column `x`; there are: none"
        );
        assert_eq!(
            message(train.clone().with_numeric("y", vec![0.0; 2]).unwrap()),
            "there is no fitted numeric column `y`; there are: x"
        );
        assert_eq!(
            message(train.clone().with_categorical("d", ["", ""]).unwrap()),
            "there is no fitted categorical column `d`; there are: c"
        );
        let far = table(2).with_numeric("x", vec![1.0, f64::MAX]).unwrap();
        let far = far.with_categorical("c", ["a", "b"]).unwrap();
        assert!(matches!(
            encoder.encode(&far).unwrap_err(),
            Error::NonFinite { row: 1, column: Some(0), .. }
        ));

        let mut buffer = EncodedRow::default();
        let mut message = |numbers: &[f64], categories: &[&str]| {
            encoder.encode_row(numbers, categories, &mut buffer).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[1.0, 2.0], &["a"]),
            "`numbers` is a list of 2, but it must be one for each of the numeric columns, which are: \
             x"
        );
        assert_eq!(
            message(&[1.0], &[]),
            "`categories` is a list of 0, but it must be one for each of the categorical columns, \
             which are: c"
        );
        assert_eq!(
            message(&[f64::INFINITY], &["a"]),
            "the encoded row holds inf at row 0, column 0: finite numbers are needed; replace it, \
             or drop the row"
        );
    }

    #[test]
    fn serving_allocates_nothing_after_the_first_row() {
        let train = table(3)
            .with_numeric("x", vec![1.0, f64::NAN, 3.0])
            .unwrap()
            .with_categorical("c", ["a", "b", ""])
            .unwrap();
        let encoder = Encoder::default().fit(&train).unwrap();
        let mut buffer = EncodedRow::default();
        encoder.encode_row(&[f64::NAN], &["a"], &mut buffer).unwrap();
        let memory = |buffer: &EncodedRow| {
            let Entries { numbers, slots, indices, values } = &buffer.f64;
            (numbers.as_ptr(), slots.as_ptr(), indices.as_ptr(), values.as_ptr())
        };
        let before = memory(&buffer);
        for x in [1.0, 2.0, f64::NAN, 1e9] {
            encoder.encode_row(&[x], &["any other value"], &mut buffer).unwrap();
            assert_eq!(memory(&buffer), before);
        }
    }

    #[cfg(feature = "rayon")]
    #[test]
    fn the_same_bits_on_any_number_of_threads() {
        let n = 3 * BLOCK + 17;
        let train = table(n)
            .with_numeric("x", (0..n).map(|i| (i as f64).sqrt().sin()).collect::<Vec<_>>())
            .unwrap()
            .with_numeric("y", (0..n).map(|i| 1.0 / (i as f64 + 1.0)).collect::<Vec<_>>())
            .unwrap()
            .with_categorical("c", (0..n).map(|i| (i % 97).to_string()))
            .unwrap();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let encoder = Encoder::hashing(5).unwrap().fit(&train).unwrap();
                let rows = entries(encoder.encode(&train).unwrap().features());
                (encoder, rows)
            })
        };
        assert!(run(1) == run(4));
    }

    /// The definition, one row at a time.
    fn naive(encoder: &FittedEncoder, numbers: &[f64], categories: &[String]) -> Vec<(usize, f64)> {
        let mut row = BTreeMap::new();
        let names: Vec<String> = encoder.column_names().take(encoder.unhashed).collect();
        for (name, x) in encoder.numeric_names().zip(numbers) {
            let (mean, scale) = encoder.standardisation(name).unwrap();
            let place = |name: &str| names.iter().position(|known| known == name);
            if !x.is_nan() {
                row.insert(place(name).unwrap(), (x - mean) / scale);
            } else if let Some(indicator) = place(&format!("{name} missing")) {
                row.insert(indicator, 1.0);
            }
        }
        for (name, value) in encoder.categorical_names().zip(categories) {
            let (column, sign) = encoder.hashed(name, value).unwrap();
            *row.entry(column).or_insert(0.0) += sign;
        }
        row.into_iter().filter(|(_, value)| *value != 0.0).collect()
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![Just(f64::NAN), Just(0.0), -1e6..1e6]
    }

    proptest! {
        #[test]
        fn a_table_its_rows_and_the_definition_agree(
            (numbers, categories, bits_) in (1..30_usize, 0..3_usize, 0..6_usize).prop_flat_map(
                |(rows, numeric, categorical)| {
                    (
                        prop::collection::vec(prop::collection::vec(number(), rows), numeric),
                        prop::collection::vec(prop::collection::vec("[a-dé]{0,2}", rows), categorical),
                        1..4_u32, // so few columns that values of a row collide
                    )
                },
            ),
        ) {
            prop_assume!(!numbers.is_empty() || !categories.is_empty());
            prop_assume!(numbers.iter().all(|column| column.iter().any(|x| !x.is_nan())));
            let rows = numbers.first().map_or_else(|| categories[0].len(), Vec::len);
            let mut train = table(rows);
            for (i, column) in numbers.iter().enumerate() {
                train = train.with_numeric(format!("n{i}"), column).unwrap();
            }
            for (i, column) in categories.iter().enumerate() {
                train = train.with_categorical(format!("c{i}"), column).unwrap();
            }
            let encoder = Encoder::hashing(bits_).unwrap().fit(&train).unwrap();
            let data = encoder.encode(&train).unwrap();
            prop_assert_eq!(data.features().is_sparse(), !categories.is_empty());
            let encoded = entries(data.features());
            let mut buffer = EncodedRow::default();
            for row in 0..rows {
                let numbers: Vec<f64> = numbers.iter().map(|column| column[row]).collect();
                let texts: Vec<String> = categories.iter().map(|column| column[row].clone()).collect();
                prop_assert_eq!(&encoded[row], &bits(&naive(&encoder, &numbers, &texts)));

                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let served = encoder.encode_row(&numbers, &texts, &mut buffer).unwrap();
                let served = served.with_view(|view| (view.is_sparse(), view.ncols(), entries(view)));
                let expected = (data.features().is_sparse(), data.columns(), encoded[row..=row].to_vec());
                prop_assert_eq!(served, expected);
            }
        }
    }
}
