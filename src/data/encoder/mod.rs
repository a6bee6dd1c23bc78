//! Encodes the columns of a log as features.

mod date;
mod encoding;
mod fitted;
mod gathered;
mod levels;
mod number;
mod record;

pub use encoding::{
    Bins, DatePart, DateParts, Encoding, LevelOrder, NumberForm, OneHot, Ordinal, TargetEncoding,
};
pub use fitted::{EncodedRow, FittedEncoder};
pub use record::Value;

use fitted::{Part, Read, crossed};
use gathered::{Gathered, GatheringPass, first_table};
use levels::{Shrunk, Tallies};

use super::texts::Texts;
use super::{Source, Table, sum};
use crate::core::{Dataset, Error, Folds, Precision, Result, Run, Seed, stored};
use crate::exec::parallel;

/// Encoders without hashed columns make sparse features above this number of columns.
const DENSE_COLUMNS: usize = 256;

/// Encodes a [`Table`] as features, column by column.
///
/// [`fit`](Self::fit) learns what the encodings need (means, levels, quantiles, …) from the training rows; the
/// [`FittedEncoder`] then encodes any rows with the same columns. Columns without an [`Encoding`] of their own are
/// standardised if they are numeric and hashed if they are categorical; an encoder made by [`only`](Self::only) leaves
/// them out. From left to right the features are:
///
/// 1. **Columns with an encoding**, in the order they were named.
/// 2. **Numeric columns** without one, in the order of the training table: z = (x − μ) / σ with the mean
///    μ = Σᵢwᵢxᵢ / Σᵢwᵢ and the standard deviation σ = √(Σᵢwᵢ(xᵢ − μ)² / Σᵢwᵢ) of the training rows in
///    which the number is not missing; wᵢ is the row's weight, or 1. A constant column gets σ = 1, so it
///    becomes 0. A missing number becomes 0, the mean.
/// 3. **Indicators**, one for each number with missing values among the training rows: 1 where
///    the number is missing, else 0. A column without missing numbers in training has no indicator: a
///    number that is missing there later is encoded as the mean only.
/// 4. **Hashed columns**, 2ᵇ of them, if there are any: a value with the hash h (see
///    [`Table`]) adds ξ(h) to the column h mod 2ᵇ, where ξ(h) is −1 if the highest bit of h is set and
///    else +1. Values of one row in one column are added up; with random signs such collisions do not
///    bias inner products.
///
/// Features are sparse, without stored zeros, if a column is hashed or there are more than 256 of them; else they are
/// dense ([`sparse`](Self::sparse) decides otherwise), as trees, [`RareEvents`](crate::model::RareEvents) and
/// `inference` take them.
///
/// ```
/// use imbalance::data::{Encoder, NumberForm, OneHot, Table, TargetEncoding};
///
/// let train = Table::new((0..40).map(|i| i % 8 == 0).collect::<Vec<_>>())?
///     .with_numeric("amount", (0..40).map(|i| f64::from(i * i)).collect::<Vec<_>>())?
///     .with_categorical("country", (0..40).map(|i| if i % 3 == 0 { "FR" } else { "DE" }))?
///     .with_categorical("merchant", (0..40).map(|i| format!("m{}", i % 10)))?;
/// let encoder = Encoder::only()
///     .column("amount", NumberForm::Log)
///     .column("country", OneHot::new().drop_first(true))
///     .column("merchant", TargetEncoding::new());
/// let (encoder, data) = encoder.fit_encode(&train, 7)?;
/// let names: Vec<String> = encoder.column_names().collect();
/// assert_eq!(names, ["amount", "country=FR", "merchant log-odds"]);
/// assert!(!data.features().is_sparse());
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Source of the hashing: K. Weinberger, A. Dasgupta, J. Langford, A. Smola, J. Attenberg, *Feature Hashing for Large
/// Scale Multitask Learning*, ICML 2009.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    named: Vec<Named>,
    /// Whether columns without an encoding are left out.
    only: bool,
    bits: u32,
    precision: Precision,
    sparse: Option<bool>,
    remember: bool,
}

/// Columns with an encoding; several are crossed.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Named {
    columns: Vec<String>,
    encoding: Encoding,
}

impl Encoder {
    /// Hashes categorical values to 2^`bits` columns, and standardises numbers, where nothing else is said.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 1 ≤ `bits` ≤ 30.
    pub fn hashing(bits: u32) -> Result<Self> {
        if (1..=30).contains(&bits) {
            Ok(Self { bits, ..Self::default() })
        } else {
            Err(Error::invalid("bits", bits, "from 1 to 30"))
        }
    }

    /// Encodes the columns that are named, and leaves the others out.
    #[must_use]
    pub fn only() -> Self {
        Self { only: true, ..Self::default() }
    }

    /// This encoder with an encoding for a column. [`fit`](Self::fit) refuses an encoding of numbers for categories and
    /// the reverse.
    #[must_use]
    pub fn column(self, name: impl Into<String>, encoding: impl Into<Encoding>) -> Self {
        self.columns([name], encoding)
    }

    /// This encoder with the same encoding for each of several columns.
    ///
    /// ```
    /// use imbalance::data::{Encoder, Encoding};
    ///
    /// let encoder = Encoder::only().columns(["site", "user"], Encoding::Hashed);
    /// ```
    #[must_use]
    pub fn columns<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
        encoding: impl Into<Encoding>,
    ) -> Self {
        let encoding = encoding.into();
        let named = |name: S| Named { columns: vec![name.into()], encoding: encoding.clone() };
        self.named.extend(names.into_iter().map(named));
        self
    }

    /// This encoder with an encoding for the combinations of categorical columns: `site × device`. The columns keep
    /// their own encodings besides.
    ///
    /// ```
    /// use imbalance::data::{Encoder, OneHot, Table};
    ///
    /// let train = Table::new(vec![false, true])?
    ///     .with_categorical("site", ["a", "b"])?
    ///     .with_categorical("device", ["phone", "web"])?;
    /// let encoder = Encoder::only().cross(["site", "device"], OneHot::new()).fit(&train)?;
    /// let names: Vec<String> = encoder.column_names().collect();
    /// assert_eq!(names, ["site × device=a × phone", "site × device=b × web"]);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn cross<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
        encoding: impl Into<Encoding>,
    ) -> Self {
        let columns = names.into_iter().map(Into::into).collect();
        self.named.push(Named { columns, encoding: encoding.into() });
        self
    }

    /// This encoder with parts of the times in an attribute column.
    #[must_use]
    pub fn date(self, name: impl Into<String>, parts: DateParts) -> Self {
        self.columns([name], Encoding::Date(parts))
    }

    /// How precisely features are stored. Default: `f64`.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Whether features are sparse. Default: if a column is hashed, or there are more than 256.
    #[must_use]
    pub fn sparse(mut self, sparse: bool) -> Self {
        self.sparse = Some(sparse);
        self
    }

    /// Whether the fitted encoder remembers the values of hashed columns that training saw, so that `hash 17` has
    /// names ([`FittedEncoder::values_of`]). They take memory, and room in files. Default: no.
    #[must_use]
    pub fn remember_values(mut self, remember: bool) -> Self {
        self.remember = remember;
        self
    }

    /// Learns what the encodings need from training rows.
    ///
    /// A model must not be trained on what the fitted encoder makes of the same rows where a [`TargetEncoding`] is
    /// among the encodings: see [`fit_encode`](Self::fit_encode).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is neither a numeric nor a categorical column, if a
    /// numeric column is missing in every row of positive weight, if a column has two encodings, if rates are asked for
    /// where there is one class, or for more features than 2³²; [`Error::UnknownColumn`] for a column that the table
    /// does not have in the role that the encoding needs; [`Error::Numerical`] if a mean or standard deviation is too
    /// large for `f64`.
    pub fn fit(&self, train: &Table) -> Result<FittedEncoder> {
        let named = self.resolved(train)?;
        let gathered = parallel::map(named.len(), 1, |number, _| {
            Gathered::of(&named[number], train, self.remember)
        });
        self.fitted(&named, gathered.into_iter().collect::<Result<_>>()?)
    }

    /// Learns what the encodings need from a log of any size, in one pass: the numbers and levels of [`fit`](Self::fit),
    /// up to rounding.
    ///
    /// ```
    /// use imbalance::prelude::*;
    ///
    /// let day = |price: f64| Table::new(vec![false, true])?.with_numeric("price", vec![price, 3.0]);
    /// let log = [day(1.0)?, day(5.0)?];
    /// let encoder = Encoder::default().fit_source(log.as_slice(), &Run::default())?;
    /// let whole = Encoder::default().fit(&Table::concat(log)?)?;
    /// assert_eq!(encoder.to_string(), whole.to_string());
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`fit`](Self::fit), and those of the source; [`Error::NoRows`] for a source without rows;
    /// [`Error::Unsupported`] for [`Bins`] of a source of several batches, whose quantiles need all rows at once, and for a
    /// [`TargetEncoding`], with which rows must be encoded out of fold; [`Error::Cancelled`].
    pub fn fit_source(&self, source: &(impl Source + ?Sized), run: &Run) -> Result<FittedEncoder> {
        let named = self.resolved(&first_table(source)?)?;
        if named.iter().any(|named| matches!(named.encoding, Encoding::Target(_))) {
            return Err(Error::Unsupported {
                stage: "an encoder of a source",
                what: "a target encoding".into(),
                remedy: "rows must be encoded out of fold: draw a sample into memory and `fit_encode` it, as \
                         `Pipeline::fit_source` does",
            });
        }
        let pass = GatheringPass { named: &named, remember: self.remember };
        let gathered = sum(source, &pass, "encodings", run)?;
        self.fitted(&named, gathered.ok_or(Error::NoRows { what: "the source" })?)
    }

    fn fitted(&self, named: &[Named], gathered: Vec<Gathered>) -> Result<FittedEncoder> {
        let mut read = Columnwise { numbers: Vec::new(), texts: Vec::new(), times: Vec::new() };
        let sources: Vec<Vec<usize>> = named.iter().map(|named| read.place(named)).collect();
        let seen: Vec<(u64, String)> =
            named.iter().zip(&gathered).flat_map(|(named, all)| all.seen(named)).collect();
        let parts = named.iter().zip(gathered).zip(sources).map(|((named, gathered), of)| {
            Ok(Part { name: named.columns.join(" × "), of, form: gathered.form(named)? })
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let Columnwise { numbers, texts, times } = read;
        let read = Read { numbers, texts, times, strict: !self.only };
        let mut encoder = FittedEncoder::new(read, parts, self.bits, self.precision, self.sparse)?;
        if self.remember {
            encoder.remember(seen);
        }
        Ok(encoder)
    }

    /// [Fits](Self::fit), and encodes the training rows, in which a [`TargetEncoding`] takes rates from other folds, cut
    /// with this seed.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit), [`FittedEncoder::encode`], and the cuts of the folds.
    pub fn fit_encode(
        &self,
        train: &Table,
        seed: impl Into<Seed>,
    ) -> Result<(FittedEncoder, Dataset<'static>)> {
        let (encoder, seed) = (self.fit(train)?, seed.into());
        let named = self.resolved(train)?;
        let out_of_fold = named.iter().enumerate().map(|(number, Named { columns, encoding })| {
            let Encoding::Target(settings) = encoding else { return Ok(Vec::new()) };
            let seed = seed.child(&format!("encoding {number}"));
            let folds = settings.cut.folds(&train.rows, settings.folds, seed)?;
            Crossed::new(columns, train)?.out_of_fold(train, settings, &folds)
        });
        let data = encoder.encode_training(train, &out_of_fold.collect::<Result<Vec<_>>>()?)?;
        Ok((encoder, data))
    }

    /// The columns with their encodings: those that were named, then those of the table that were not.
    fn resolved(&self, train: &Table) -> Result<Vec<Named>> {
        let mut named = self.named.clone();
        let single = |name: &str| {
            self.named.iter().filter(|of| of.columns.len() == 1 && of.columns[0] == name).count()
        };
        for Named { columns, .. } in &self.named {
            if let Some(column) = columns.first().filter(|column| single(column) > 1)
                && columns.len() == 1
            {
                return Err(Error::DuplicateColumn { kind: "encoded", column: column.clone() });
            }
        }
        if !self.only {
            let plain = |name: &str, encoding| Named { columns: vec![name.into()], encoding };
            let others = train.numeric_names().filter(|name| single(name) == 0);
            named.extend(others.map(|name| plain(name, NumberForm::Standardised.into())));
            let others = train.categorical_names().filter(|name| single(name) == 0);
            named.extend(others.map(|name| plain(name, Encoding::Hashed)));
        }
        if named.is_empty() {
            return Err(Error::invalid(
                "table",
                "a table without numeric and categorical columns",
                "one with at least one of them",
            ));
        }
        Ok(named)
    }
}

stored!(Encoder as "encoder", |encoder| {
    named: Vec<Named> = encoder.named,
    only: bool = encoder.only,
    bits: u32 = encoder.bits,
    precision: Precision = encoder.precision,
    sparse: Option<bool> = encoder.sparse,
    remember: bool = encoder.remember,
} => Self::hashing(bits).and_then(|encoder| {
    for Named { encoding, .. } in &named {
        encoding.ensure_valid()?;
    }
    Ok(Self { named, only, precision, sparse, remember, ..encoder })
}));

impl Default for Encoder {
    /// 2¹⁸ hashed columns.
    fn default() -> Self {
        Self {
            named: Vec::new(),
            only: false,
            bits: 18,
            precision: Precision::F64,
            sparse: None,
            remember: false,
        }
    }
}

/// The columns that are read, each once.
struct Columnwise {
    numbers: Vec<String>,
    texts: Vec<String>,
    times: Vec<String>,
}

impl Columnwise {
    /// The places of an encoding's columns.
    fn place(&mut self, named: &Named) -> Vec<usize> {
        let list = match named.encoding {
            Encoding::Number(_) | Encoding::Bins(_) => &mut self.numbers,
            Encoding::Date(_) => &mut self.times,
            _ => &mut self.texts,
        };
        let mut place = |name: &String| {
            list.iter().position(|known| known == name).unwrap_or_else(|| {
                list.push(name.clone());
                list.len() - 1
            })
        };
        named.columns.iter().map(&mut place).collect()
    }
}

/// A categorical column, or several crossed, of a table.
struct Crossed<'t> {
    columns: Vec<(&'t str, &'t Texts)>,
    /// The names of combinations, if there are several columns.
    combined: std::collections::BTreeMap<u64, String>,
}

impl<'t> Crossed<'t> {
    fn new(names: &'t [String], table: &'t Table) -> Result<Self> {
        let columns = names.iter().map(|name| Ok((name.as_str(), table.categorical.get(name)?)));
        let mut crossed =
            Self { columns: columns.collect::<Result<_>>()?, combined: Default::default() };
        if crossed.columns.is_empty() {
            return Err(Error::invalid("cross", "no columns", "at least one"));
        }
        if crossed.columns.len() > 1 {
            for row in 0..table.rows() {
                let hash = crossed.at(row);
                let columns = &crossed.columns;
                crossed.combined.entry(hash).or_insert_with(|| {
                    let values = columns.iter().map(|(_, texts)| texts.name(texts.hashes[row]));
                    values.collect::<Vec<_>>().join(" × ")
                });
            }
        }
        Ok(crossed)
    }

    #[inline]
    fn at(&self, row: usize) -> u64 {
        crossed(self.columns.iter().map(|(_, texts)| texts.hashes[row]))
    }

    /// The name of a level.
    fn name(&self, hash: u64) -> String {
        let combined = self.combined.get(&hash).cloned();
        combined.unwrap_or_else(|| self.columns[0].1.name(hash))
    }

    /// What the rows of positive weight say of each level.
    fn tallies(&self, table: &Table) -> Tallies {
        self.tallies_of(table, 0..table.rows())
    }

    fn tallies_of(&self, table: &Table, rows: impl Iterator<Item = usize>) -> Tallies {
        let (labels, weights) = (table.labels(), table.weights());
        let mut tallies = Tallies::new();
        for row in rows {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            if weight > 0.0 {
                tallies.entry(self.at(row)).or_default().add(labels[row], weight);
            }
        }
        tallies
    }

    /// The number of each row by the rows that its fold is judged by.
    fn out_of_fold(
        &self,
        table: &Table,
        settings: &TargetEncoding,
        folds: &Folds,
    ) -> Result<Vec<f64>> {
        let whole = Shrunk::fit(settings, &self.tallies(table))?;
        // Rows that no fold judges have no rows before them.
        let mut numbers = vec![whole.unknown(); table.rows()];
        for split in folds.splits() {
            let tallies = self.tallies_of(table, split.train().iter().copied());
            let rule = Shrunk::fit(settings, &tallies)?;
            for &row in split.test() {
                let tally = tallies.get(&self.at(row));
                numbers[row] = tally.map_or_else(|| rule.unknown(), |tally| rule.of(tally));
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use crate::data::table::{column_seed, value_hash};

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
}
