//! The key of a row, and the number that it becomes.

use twox_hash::XxHash64;

use crate::core::{Attribute, Error, Result, Seed};
use crate::data::Batch;

/// What identifies a row of a log wherever it stands, so that the same rows are drawn however the log is divided into
/// files and batches, and in whatever order they are read.
///
/// The draw of a row is XXH64(key; seed)/2⁶⁴, a number in \[0, 1) that looks uniform and depends on nothing else. Rows
/// with equal keys are kept or left out together: with the key of a user, all rows of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowKey(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Place,
    Column(String),
}

impl RowKey {
    /// The values of a column: an attribute, a categorical or a numeric column.
    #[must_use]
    pub fn column(name: impl Into<String>) -> Self {
        Self(Kind::Column(name.into()))
    }

    /// The file's name as it was given, and the row's number in it: the default. The rows drawn are the same for any
    /// batches and any order of the files, but not if rows move to other files.
    #[must_use]
    pub fn place() -> Self {
        Self(Kind::Place)
    }

    /// The draw of each row of a batch.
    pub(super) fn draws(&self, batch: &Batch, seed: Seed) -> Result<Vec<f64>> {
        let hash = |bytes: &[u8]| uniform(XxHash64::oneshot(seed.value(), bytes));
        let Kind::Column(name) = &self.0 else {
            let seed = XxHash64::oneshot(seed.value(), batch.file.as_bytes());
            let rows = (0..batch.table.rows() as u64).map(|row| batch.first_row + row);
            return Ok(rows
                .map(|row| uniform(XxHash64::oneshot(seed, &row.to_le_bytes())))
                .collect());
        };
        let numbers = |values: &[f64]| {
            if let Some(row) = values.iter().position(|value| value.is_nan()) {
                let what = format!("key column `{name}`");
                return Err(Error::NonFinite { what, row, column: None, value: f64::NAN });
            }
            // −0 is 0.
            Ok(values.iter().map(|value| hash(&(value + 0.0).to_bits().to_le_bytes())).collect())
        };
        let table = &batch.table;
        match table.attribute(name) {
            Ok(Attribute::Numbers(values)) => numbers(values),
            Ok(Attribute::Categories(texts)) => {
                let levels: Vec<f64> =
                    texts.levels().iter().map(|text| hash(text.as_bytes())).collect();
                Ok(texts.codes().iter().map(|&code| levels[code as usize]).collect())
            }
            Err(unknown) => match (table.hashes(name), table.numeric(name)) {
                (Some(hashes), _) => {
                    Ok(hashes.iter().map(|value| hash(&value.to_le_bytes())).collect())
                }
                (None, Ok(values)) => numbers(values),
                (None, Err(_)) => Err(unknown),
            },
        }
    }
}

/// The first 53 bits as a number in \[0, 1).
fn uniform(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
