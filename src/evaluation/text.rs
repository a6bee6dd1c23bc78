//! The report for the terminal.

use std::fmt;

use super::EvaluationReport;
use super::sections::Table;

/// Columns of the terminal.
const WIDTH: usize = 100;
/// Columns of a table's first column, at most.
pub(super) const NAME: usize = 26;

impl fmt::Display for EvaluationReport {
    /// Tables of at most 100 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary())?;
        for section in self.sections() {
            write!(f, "\n\n{}\n{}", section.title, "─".repeat(section.title.chars().count()))?;
            for table in &section.tables {
                table.fmt(f)?;
            }
            for line in wrap(&section.explanation) {
                write!(f, "\n{line}")?;
            }
        }
        Ok(())
    }
}

impl Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(caption) = &self.caption {
            write!(f, "\n{}", cut(caption, WIDTH))?;
        }
        let lines: Vec<&Vec<String>> = std::iter::once(&self.head).chain(&self.rows).collect();
        // A report that was loaded may have rows of other lengths.
        let cell =
            |line: &[String], column: usize| line.get(column).map(|cell| cell.chars().count());
        let width = |column: usize| lines.iter().filter_map(|line| cell(line, column)).max();
        let widths: Vec<usize> =
            (0..self.head.len()).map(|column| width(column).unwrap_or(0)).collect();
        let numbers: usize = widths[1..].iter().map(|width| width + 2).sum();
        let name = widths[0].min(NAME).min(WIDTH.saturating_sub(numbers)).max(4);
        for line in lines {
            let mut text = format!("{:<name$}", cut(&line[0], name));
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                text += &format!("  {cell:>width$}");
            }
            write!(f, "\n{}", text.trim_end())?;
        }
        f.write_str("\n")
    }
}

/// The text on one line, its end replaced by "…" beyond `width` characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= width {
        text
    } else {
        text.chars().take(width - 1).chain(['…']).collect()
    }
}

/// The words in lines of the terminal.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}
