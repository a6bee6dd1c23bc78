//! Names of feature columns.

use super::{Error, Result};

/// One name per column.
pub(crate) fn valid_names<S: Into<String>>(
    names: impl IntoIterator<Item = S>,
    columns: usize,
) -> Result<Vec<String>> {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    if names.len() == columns {
        return Ok(names);
    }
    let found = format!("{} names", names.len());
    Err(Error::invalid("names", found, format!("{columns} names, one per column")))
}

/// The name of a column: the given one, or `x0`, `x1`, ….
pub(crate) fn column_name(given: Option<&[String]>, column: usize) -> String {
    given.and_then(|names| names.get(column)).cloned().unwrap_or_else(|| format!("x{column}"))
}

/// Names some columns, each of which is given with the place of its name, from one name per column.
pub(crate) fn rename<'n, S: Into<String>>(
    places: impl IntoIterator<Item = (usize, &'n mut String)>,
    names: impl IntoIterator<Item = S>,
    columns: usize,
) -> Result<()> {
    let names = valid_names(names, columns)?;
    places.into_iter().for_each(|(column, name)| name.clone_from(&names[column]));
    Ok(())
}
