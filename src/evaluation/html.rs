//! The report as a page.

use super::sections::{Section, Table, Topic};
use super::{EvaluationReport, ModelReport};
use crate::Result;
use crate::plot::{self, Options, Picture};

const STYLE: &str = "\
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; \
margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
p { max-width: 46rem; } .table { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; overflow-wrap: anywhere; }
th, td { padding: .2rem .7rem; text-align: right; white-space: nowrap; \
border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; \
overflow-wrap: anywhere; }
figure { margin: 1.5rem 0; } svg { max-width: 100%; height: auto; }
";

impl EvaluationReport {
    /// The pictures of the report, each with a short name fit for a file: `reliability`,
    /// `histogram`, `roc`, `precision-recall`, `gain`, `deciles`, and `slices-1`, `slices-2`, … in the
    /// order they were asked for.
    ///
    /// # Errors
    /// [`Error::Drawing`](crate::Error::Drawing) if the drawing library fails.
    pub fn pictures(&self, options: &Options) -> Result<Vec<(String, Picture)>> {
        let drawn = self.drawn(options)?.into_iter();
        Ok(drawn.map(|(_, name, picture)| (name, picture)).collect())
    }

    fn drawn(&self, options: &Options) -> Result<Vec<(Topic, String, Picture)>> {
        fn each<'r, T>(
            report: &'r EvaluationReport,
            of: impl Fn(&'r ModelReport) -> T,
        ) -> Vec<(&'r str, T)> {
            report.models.iter().map(|model| (model.name.as_str(), of(model))).collect()
        }
        let reliability: Vec<_> = self
            .models
            .iter()
            .map(|model| (model.name.as_str(), &model.reliability, Some(&model.corp)))
            .collect();
        let mut drawn = Vec::new();
        let mut add = |topic, name: &str, picture| drawn.push((topic, name.to_owned(), picture));
        add(Topic::Calibration, "reliability", plot::reliability(&reliability, options)?);
        let histogram = plot::histogram(&each(self, |model| &model.histogram), options)?;
        add(Topic::Probabilities, "histogram", histogram);
        add(Topic::Ranking, "roc", plot::roc(&each(self, |model| &model.roc), options)?);
        let curves = each(self, |model| &model.precision_recall);
        add(Topic::Ranking, "precision-recall", plot::precision_recall(&curves, options)?);
        add(Topic::Ranking, "gain", plot::gain(&each(self, |model| &model.gain), options)?);
        let deciles = plot::deciles(&each(self, |model| &model.deciles), options)?;
        add(Topic::Groups, "deciles", deciles);
        for (place, slicing) in self.models[0].slicings.iter().enumerate() {
            let slices = each(self, |model| &model.slicings[place].slices[..]);
            let name = format!("slices-{}", place + 1);
            add(Topic::Slices, &name, plot::slices(&slicing.by, &slices, options)?);
        }
        Ok(drawn)
    }

    /// The report as one HTML page with its pictures: self-contained, so that it can be sent as it is.
    ///
    /// # Errors
    /// [`Error::Drawing`](crate::Error::Drawing) if the drawing library fails.
    pub fn to_html(&self) -> Result<String> {
        let pictures = self.drawn(&Options::default())?;
        let names = self.models.iter().map(|model| format!("<li>{}</li>\n", escape(&model.name)));
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Evaluation of {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>Evaluation</h1>\n<p>{}. Models:</p>\n<ul>\n{}</ul>\n",
            escape(&self.models[0].name),
            escape(&self.summary()),
            names.collect::<String>()
        );
        for section in self.sections() {
            section.write(&mut page);
            for (_, _, picture) in pictures.iter().filter(|(topic, ..)| *topic == section.topic) {
                page += &format!("<figure>\n{}</figure>\n", picture.svg());
            }
        }
        page += "</body>\n</html>\n";
        Ok(page)
    }
}

impl Section {
    fn write(&self, page: &mut String) {
        *page += &format!("<h2>{}</h2>\n<p>{}</p>\n", self.title, escape(&self.explanation));
        self.tables.iter().for_each(|table| table.write(page));
    }
}

impl Table {
    fn write(&self, page: &mut String) {
        *page += "<div class=\"table\"><table>\n";
        if let Some(caption) = &self.caption {
            *page += &format!("<caption>{}</caption>\n", escape(caption));
        }
        let line = |cells: &[String], tag: &str| {
            let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        *page += &format!("<thead>{}</thead>\n<tbody>\n", line(&self.head, "th").trim_end());
        self.rows.iter().for_each(|row| *page += &line(row, "td"));
        *page += "</tbody>\n</table></div>\n";
    }
}

/// Text as it may stand in a page.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
