//! A table that grows by rows of other tables.

use super::Table;
use super::texts::Texts;
use crate::core::{Attribute, CategoriesBuilder, Columns, Distortion, Error, Result, Selection};

/// Rows of tables with the same columns, one below the other.
#[derive(Debug, Default)]
pub(crate) struct TableBuilder(Option<Growing>);

#[derive(Debug)]
struct Growing {
    labels: Vec<bool>,
    weights: Option<Vec<f64>>,
    offsets: Option<Vec<f64>>,
    numeric: Columns<Vec<f64>>,
    categorical: Columns<Texts>,
    attributes: Columns<GrowingAttribute>,
    distortion: Distortion,
}

#[derive(Debug)]
enum GrowingAttribute {
    Numbers(Vec<f64>),
    Texts(CategoriesBuilder),
}

impl TableBuilder {
    /// Adds rows of a table. The first table says which columns there are.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], [`Error::ColumnKind`], or [`Error::InvalidArgument`] for a table with other columns or
    /// another distortion.
    pub(crate) fn append(&mut self, table: &Table, rows: &Selection<'_>) -> Result<()> {
        self.0.get_or_insert_with(|| Growing::like(table)).append(table, rows)
    }

    /// Adds the rows of another.
    pub(crate) fn append_all(&mut self, other: Self) -> Result<()> {
        if self.0.is_none() {
            *self = other;
            return Ok(());
        }
        match other.finish()? {
            Some(table) => self.append(&table, &Selection::Range(0..table.rows())),
            None => Ok(()),
        }
    }

    /// The table; None if it has no rows.
    pub(crate) fn finish(self) -> Result<Option<Table>> {
        self.0.filter(|all| !all.labels.is_empty()).map(Growing::finish).transpose()
    }
}

impl Growing {
    fn like(table: &Table) -> Self {
        let attribute = |column: &Attribute<'_>| match column {
            Attribute::Numbers(_) => GrowingAttribute::Numbers(Vec::new()),
            Attribute::Categories(_) => GrowingAttribute::Texts(CategoriesBuilder::default()),
        };
        Self {
            labels: Vec::new(),
            weights: table.weights().map(|_| Vec::new()),
            offsets: table.offsets().map(|_| Vec::new()),
            numeric: table.numeric.map(|_| Vec::new()),
            categorical: table.categorical.map(Texts::empty),
            attributes: table.rows.attributes().map(attribute),
            distortion: table.distortion().clone(),
        }
    }

    fn append(&mut self, table: &Table, rows: &Selection<'_>) -> Result<()> {
        if self.distortion != *table.distortion() {
            let found = format!("`{}` and `{}`", self.distortion, table.distortion());
            return Err(Error::invalid("distortion", found, "the same in all tables"));
        }
        if !(self.numeric.names().eq(table.numeric_names())
            && self.categorical.names().eq(table.categorical_names())
            && self.attributes.names().eq(table.attribute_names()))
        {
            let names =
                |table: &mut dyn Iterator<Item = &str>| table.collect::<Vec<_>>().join(", ");
            let first = names(
                &mut self
                    .numeric
                    .names()
                    .chain(self.categorical.names())
                    .chain(self.attributes.names()),
            );
            let other = names(
                &mut table
                    .numeric_names()
                    .chain(table.categorical_names())
                    .chain(table.attribute_names()),
            );
            let found = format!("{first} in one table and {other} in another");
            return Err(Error::invalid("columns", found, "the same in all tables"));
        }
        add_or_none("weights", &mut self.weights, table.weights(), rows)?;
        add_or_none("offsets", &mut self.offsets, table.offsets(), rows)?;
        self.labels.extend_from_slice(&rows.column(table.labels()));
        for ((_, all), (_, more)) in self.numeric.iter_mut().zip(table.numeric.iter()) {
            all.extend_from_slice(&rows.column(more));
        }
        for ((_, all), (_, more)) in self.categorical.iter_mut().zip(table.categorical.iter()) {
            all.append(more, rows);
        }
        for (name, all) in self.attributes.iter_mut() {
            match all {
                GrowingAttribute::Numbers(all) => {
                    all.extend_from_slice(&rows.column(table.numbers(name)?));
                }
                GrowingAttribute::Texts(all) => {
                    all.append(table.rows.attributes().categories(name)?, rows);
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Table> {
        let mut table = Table::new(self.labels)?.with_distortion(self.distortion);
        table.numeric = self.numeric;
        table.categorical = self.categorical;
        if let Some(weights) = self.weights {
            table = table.with_weights(weights)?;
        }
        if let Some(offsets) = self.offsets {
            table = table.with_offsets(offsets)?;
        }
        self.attributes.into_iter().try_fold(table, |table, (name, column)| {
            let column = match column {
                GrowingAttribute::Numbers(values) => Attribute::numbers(values),
                GrowingAttribute::Texts(texts) => texts.finish(),
            };
            table.with_attribute(name, column)
        })
    }
}

/// Adds rows of a column that either all tables or none have.
fn add_or_none(
    name: &'static str,
    all: &mut Option<Vec<f64>>,
    more: Option<&[f64]>,
    rows: &Selection<'_>,
) -> Result<()> {
    match (all, more) {
        (Some(all), Some(more)) => all.extend_from_slice(&rows.column(more)),
        (None, None) => {}
        _ => return Err(Error::invalid(name, "in some tables only", "in all tables or in none")),
    }
    Ok(())
}
