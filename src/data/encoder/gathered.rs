//! What rows say that encodings need to know: of a table, or summed over the batches of a source.

use std::collections::BTreeMap;

use super::encoding::{Encoding, LevelOrder};
use super::fitted::{Form, crossed};
use super::levels::{Indicators, Levels, Shrunk, Tallies, Tally, Values};
use super::number::{NumberSums, Ranges, Scaled};
use super::{Crossed, Named};
use crate::core::{Error, Result};
use crate::data::table::{column_seed, value_hash};
use crate::data::{Batch, Pass, Source, Table};

/// What some rows say that one encoding needs to know.
pub(super) enum Gathered {
    Nothing,
    Number(NumberSums),
    /// Quantiles, which only all rows together have.
    Ranges(Ranges),
    Levels(SeenLevels),
}

/// The levels of a column, or of crossed columns.
pub(super) struct SeenLevels {
    tallies: Tallies,
    names: BTreeMap<u64, String>,
}

impl Gathered {
    /// What the rows of a table say. Levels of hashed columns are gathered only to be remembered.
    pub(super) fn of(named: &Named, table: &Table, remember: bool) -> Result<Self> {
        let Named { columns, encoding } = named;
        let weights = table.weights();
        let one = || match &columns[..] {
            [column] => Ok(column.as_str()),
            _ => Err(Error::invalid(
                "cross",
                columns.join(" × "),
                "categorical columns with an encoding of levels",
            )),
        };
        Ok(match encoding {
            Encoding::Number(form) => {
                Self::Number(NumberSums::of(table.numeric(one()?)?, weights, *form))
            }
            Encoding::Bins(bins) => {
                Self::Ranges(Ranges::fit(one()?, table.numeric(one()?)?, weights, bins.bins)?)
            }
            Encoding::Date(_) => {
                table.numbers(one()?)?;
                Self::Nothing
            }
            Encoding::Hashed if !remember => {
                Crossed::new(columns, table)?;
                Self::Nothing
            }
            _ => {
                let crossed = Crossed::new(columns, table)?;
                let tallies = crossed.tallies(table);
                let names = tallies.keys().map(|&hash| (hash, crossed.name(hash))).collect();
                Self::Levels(SeenLevels { tallies, names })
            }
        })
    }

    /// Adds what the rows that come next say.
    fn merge(&mut self, next: Self) -> Result<()> {
        match (self, next) {
            (Self::Number(all), Self::Number(next)) => all.merge(next),
            (Self::Levels(all), Self::Levels(next)) => {
                for (hash, Tally { rows, weight, positive }) in next.tallies {
                    let tally = all.tallies.entry(hash).or_default();
                    tally.rows += rows;
                    tally.weight += weight;
                    tally.positive += positive;
                }
                next.names.into_iter().for_each(|(hash, name)| {
                    all.names.entry(hash).or_insert(name);
                });
            }
            (Self::Ranges(_), _) => {
                return Err(Error::Unsupported {
                    stage: "an encoder of a source",
                    what: "quantile ranges over several batches".into(),
                    remedy: "fit the encoder to a sample in memory, which has nearly the same quantiles",
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The levels of a hashed column, with the names by which they are remembered.
    pub(super) fn seen(&self, named: &Named) -> Vec<(u64, String)> {
        match (self, &named.encoding) {
            (Self::Levels(levels), Encoding::Hashed) => {
                let column = named.columns.join(" × ");
                levels
                    .names
                    .iter()
                    .map(|(hash, name)| (*hash, format!("{column}={name}")))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// The fitted encoding.
    pub(super) fn form(self, named: &Named) -> Result<Form> {
        let Named { columns, encoding } = named;
        Ok(match (encoding, self) {
            (Encoding::Number(form), Self::Number(sums)) => {
                Form::Number(Scaled::fit(&columns[0], sums, *form)?)
            }
            (Encoding::Bins(_), Self::Ranges(ranges)) => Form::Bins(ranges),
            (Encoding::Date(parts), _) => Form::Date(parts.clone()),
            (Encoding::OneHot(settings), Self::Levels(seen)) => {
                let hash = |name: &str| hash_of(columns, name);
                Form::OneHot(Indicators::fit(settings, &seen.tallies, |h| seen.name(h), hash)?)
            }
            (Encoding::Ordinal(settings), Self::Levels(seen)) => {
                let known = seen.in_order(&settings.order, columns)?;
                let values = (0..known.len()).map(|place| place as f64).collect();
                Form::Value {
                    of: "code".into(),
                    values: Values { levels: known, values, unknown: -1.0 },
                }
            }
            (Encoding::Frequency, Self::Levels(seen)) => {
                let total: f64 = seen.tallies.values().map(|tally| tally.weight).sum();
                let values = seen.valued(columns, |tally| tally.weight / total, 0.0)?;
                Form::Value { of: "share".into(), values }
            }
            (Encoding::Target(settings), Self::Levels(seen)) => {
                let rule = Shrunk::fit(settings, &seen.tallies)?;
                let values = seen.valued(columns, |tally| rule.of(tally), rule.unknown())?;
                let of = if settings.rate { "rate" } else { "log-odds" };
                Form::Value { of: of.into(), values }
            }
            _ => Form::Hashed,
        })
    }
}

impl SeenLevels {
    fn name(&self, hash: u64) -> String {
        self.names.get(&hash).cloned().unwrap_or_default()
    }

    fn in_order(&self, order: &LevelOrder, columns: &[String]) -> Result<Levels> {
        let all = self.tallies.iter().map(|(hash, tally)| (*hash, *tally));
        Levels::in_order(all, order, |h| self.name(h), |name| hash_of(columns, name))
    }

    /// A number for each level.
    fn valued(
        &self,
        columns: &[String],
        of: impl Fn(&Tally) -> f64,
        unknown: f64,
    ) -> Result<Values> {
        let levels = self.in_order(&LevelOrder::Name, columns)?;
        let mut values = vec![unknown; levels.len()];
        for (hash, tally) in &self.tallies {
            if let Some(place) = levels.place(*hash) {
                values[place] = of(tally);
            }
        }
        Ok(Values { levels, values, unknown })
    }
}

/// The hash of a level that is given by name; values of crossed columns are joined by ` × `.
fn hash_of(columns: &[String], name: &str) -> u64 {
    let values: Vec<&str> =
        if columns.len() == 1 { vec![name] } else { name.split(" × ").collect() };
    let each = columns.iter().zip(values);
    crossed(each.map(|(column, value)| value_hash(column_seed(column), value.as_bytes())))
}

/// Gathers for all encodings, over the batches of a source.
pub(super) struct GatheringPass<'n> {
    pub(super) named: &'n [Named],
    pub(super) remember: bool,
}

impl Pass for GatheringPass<'_> {
    type Sum = Option<Vec<Gathered>>;

    fn empty(&self) -> Self::Sum {
        None
    }

    fn add(&self, sum: &mut Self::Sum, batch: &Batch) -> Result<()> {
        let of_batch =
            self.named.iter().map(|named| Gathered::of(named, &batch.table, self.remember));
        self.merge(sum, Some(of_batch.collect::<Result<_>>()?))
    }

    fn merge(&self, sum: &mut Self::Sum, next: Self::Sum) -> Result<()> {
        match (sum.as_mut(), next) {
            (None, next) => *sum = next,
            (Some(_), None) => {}
            (Some(all), Some(next)) => {
                all.iter_mut().zip(next).try_for_each(|(all, next)| all.merge(next))?;
            }
        }
        Ok(())
    }
}

/// The first batch of a source.
pub(super) fn first_table(source: &(impl Source + ?Sized)) -> Result<Table> {
    for part in 0..source.parts() {
        let mut first = None;
        let read = source.read(part, &mut |batch| {
            first.get_or_insert(batch.table);
            // Ends the reading.
            Err(Error::Cancelled { during: String::new() })
        });
        match (first, read) {
            (Some(table), _) => return Ok(table),
            (None, read) => read?,
        }
    }
    Err(Error::NoRows { what: "the source" })
}
