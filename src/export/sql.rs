//! SQL text.

use super::form::{Form, Linear, Logit, Model};
use super::formula::{Binary, Expr, Steps, Unary};
use crate::calibration::CalibrationMap;
use crate::core::{Error, Result};
use crate::model::Predict;
use crate::pipeline::FittedPipeline;

/// The probability of a fitted pipeline as an expression in standard SQL, over columns that have the names of the
/// model's features ([`LinearModel::with_feature_names`](crate::model::LinearModel::with_feature_names)).
///
/// The model is linear, alone or in an ensemble; the calibration is any of the library's. The expression uses the four
/// operations, `ABS`, `EXP`, `LN`, `CASE`, and a scalar subquery whose `WITH` gives names to intermediate values. It is null
/// where a column is. Numbers are written as double-precision literals that read back to the same number, and sums are
/// in the order of the library: on IEEE arithmetic only the last digits of `EXP` and `LN` differ. A probability below
/// 10⁻³⁰⁰ is 0.
///
/// ```
/// use imbalance::FittedPipeline;
/// use imbalance::calibration::{Calibration, HistogramMap};
/// use imbalance::export::sql;
/// use imbalance::model::LinearModel;
///
/// let model = LinearModel::new(vec![2.0, -1.0], -4.0)?.with_feature_names(["age", "dose \"A\""])?;
/// let calibration = Calibration::new(HistogramMap::new(vec![0.5], vec![0.1, 0.3])?);
/// let expression = sql(&FittedPipeline::from_parts([(model, calibration)])?)?;
/// let query = format!("SELECT id, {expression} AS probability FROM patients");
/// assert!(query.contains("\"dose \"\"A\"\"\""));
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unsupported`] for a model that is not linear, and for a model without names of its columns, which
/// [`sql_with_columns`] takes apart; [`Error::NotSavable`] for stages of your own that do not say how they are saved.
pub fn sql<P: Predict, K: CalibrationMap>(fitted: &FittedPipeline<P, K>) -> Result<String> {
    let form = Form::of(fitted)?;
    match form.names() {
        Some(names) => expression(&form, names),
        // The model itself may be the reason to refuse.
        None => expression(&form, &[]).and_then(|_| {
            Err(Error::Unsupported {
                stage: "`sql`",
                what: "a model whose columns have no names".into(),
                remedy: "give them, with `sql_with_columns`",
            })
        }),
    }
}

/// As [`sql()`], with these names of the columns, in the order of the features.
///
/// # Errors
/// As for [`sql()`]; [`Error::InvalidArgument`] unless there is one name per column.
pub fn sql_with_columns<P: Predict, K: CalibrationMap, S: Into<String>>(
    fitted: &FittedPipeline<P, K>,
    columns: impl IntoIterator<Item = S>,
) -> Result<String> {
    let (form, columns) = (Form::of(fitted)?, columns.into_iter().map(Into::into));
    let columns: Vec<String> = columns.collect();
    for (model, _) in &form.members {
        let needed = model.logit().map_or(columns.len(), |logit| logit.columns());
        if needed != columns.len() {
            let expected = format!("{needed} names, one per column");
            return Err(Error::invalid("columns", format!("{} names", columns.len()), expected));
        }
    }
    expression(&form, &columns)
}

fn expression(form: &Form, columns: &[String]) -> Result<String> {
    let mut steps = Steps::default();
    let inputs: Vec<Expr> = columns.iter().cloned().map(Expr::Input).collect();
    let mean = steps.mean(form, |model, steps| logit(model, &inputs, steps))?;
    Ok(Text::new(columns).of(&steps, &mean))
}

/// The logit of a linear model, from a column each.
fn logit(model: &Model, columns: &[Expr], steps: &mut Steps) -> Result<Expr> {
    let Some(Logit::Linear { linear, covariance }) = model.logit() else {
        return Err(Error::Unsupported {
            stage: "`sql`",
            what: "a model that is not linear".into(),
            remedy: "use the ONNX export (feature `onnx`), the reference scorer in `docs/scorer.py`, or serve the saved pipeline",
        });
    };
    let z = steps.bind(product(linear, columns));
    let Some(covariance) = covariance else { return Ok(z) };
    let x = || columns.iter().cloned().chain([Expr::Number(1.0)]);
    let forms = covariance.chunks(columns.len() + 1).zip(x()).map(|(row, a)| {
        let row = row.iter().zip(x()).map(|(v, b)| b * *v);
        a * row.reduce(|sum, term| sum + term).unwrap_or(Expr::Number(0.0))
    });
    let variance = forms.reduce(|sum, term| sum + term).unwrap_or(Expr::Number(0.0));
    Ok(steps.averaged(&z, variance))
}

/// xβ + b, in the order in which the library adds.
fn product(linear: &Linear, columns: &[Expr]) -> Expr {
    let terms: Vec<Expr> =
        columns.iter().zip(&linear.coefficients).map(|(x, b)| x.clone() * *b).collect();
    let (whole, rest) = terms.split_at(terms.len() / 8 * 8);
    let add = |terms: Vec<Expr>| terms.into_iter().reduce(|sum, term| sum + term);
    let lane = |lane: usize| add(whole.iter().skip(lane).step_by(8).cloned().collect());
    let pair = |a: Option<Expr>, b: Option<Expr>| add(a.into_iter().chain(b).collect());
    let four = |lane_: usize| pair(lane(lane_), lane(lane_ + 4));
    let lanes = pair(pair(four(0), four(2)), pair(four(1), four(3)));
    let dot = pair(lanes, add(rest.to_vec())).unwrap_or(Expr::Number(0.0));
    dot + linear.intercept
}

/// Writes expressions.
struct Text {
    /// What the names of steps begin with; no column's name does.
    step: String,
}

impl Text {
    fn new(columns: &[String]) -> Self {
        let mut step = String::from("step_");
        while columns.iter().any(|column| column.to_lowercase().starts_with(&step)) {
            step.push('_');
        }
        Self { step }
    }

    /// The expression, behind the steps.
    fn of(&self, steps: &Steps, expr: &Expr) -> String {
        if steps.0.is_empty() {
            return self.write(expr, 0);
        }
        let table = |number: usize| format!("{}{}", self.step, number);
        let step = |(place, value): (usize, &Expr)| {
            let (value, name) = (self.write(value, 0), self.name(place));
            let (before, from) = match place {
                0 => (String::new(), String::new()),
                _ => (format!("{0}.*, ", table(place)), format!(" FROM {}", table(place))),
            };
            // Of one row `DISTINCT` changes nothing, but planners that put a subquery's formulas wherever their names stand
            // leave it whole; else a chain of steps would be computed again and again.
            format!("{} AS (SELECT DISTINCT {before}{value} AS {name}{from})", table(place + 1))
        };
        let with: Vec<String> = steps.0.iter().enumerate().map(step).collect();
        format!(
            "(WITH {} SELECT {} FROM {})",
            with.join(", "),
            self.write(expr, 0),
            table(steps.0.len())
        )
    }

    fn name(&self, step: usize) -> String {
        format!("\"{}{}\"", self.step, step + 1)
    }

    /// An expression; in brackets if its operation binds less than `binding`.
    fn write(&self, expr: &Expr, binding: u8) -> String {
        match expr {
            Expr::Number(number) => literal(*number),
            Expr::Input(column) => format!("\"{}\"", column.replace('"', "\"\"")),
            Expr::Step(step) => self.name(*step),
            Expr::Unary(function, of) => {
                let function = match function {
                    Unary::Exp => "EXP",
                    Unary::Ln => "LN",
                    Unary::Abs => "ABS",
                };
                format!("{function}({})", self.write(of, 0))
            }
            Expr::Binary(operation, a, b) => {
                let (sign, own) = match operation {
                    Binary::Add => ('+', 1),
                    Binary::Subtract => ('-', 1),
                    Binary::Multiply => ('*', 2),
                    Binary::Divide => ('/', 2),
                };
                let text = format!("{} {sign} {}", self.write(a, own), self.write(b, own + 1));
                if own < binding { format!("({text})") } else { text }
            }
            Expr::IfAtLeast(parts) => {
                let [value, bound, then, otherwise] =
                    parts.each_ref().map(|part| self.write(part, 0));
                // Of null, neither comparison is true.
                format!(
                    "CASE WHEN {value} >= {bound} THEN {then} WHEN {value} < {bound} THEN {otherwise} END"
                )
            }
            Expr::Count { of, edges, strictly } => {
                let (of, sign) = (self.write(of, 0), if *strictly { "<=" } else { "<" });
                let below = edges.iter().enumerate();
                let cases: String = below
                    .map(|(count, edge)| {
                        format!(" WHEN {of} {sign} {} THEN {count}", literal(*edge))
                    })
                    .collect();
                format!("CASE{cases} WHEN {of} IS NOT NULL THEN {} END", edges.len())
            }
            Expr::Pick { at, numbers } => {
                let at = self.write(at, 0);
                let numbers = numbers.iter().enumerate();
                let cases: String = numbers
                    .map(|(place, number)| format!(" WHEN {place} THEN {}", literal(*number)))
                    .collect();
                format!("CASE {at}{cases} END")
            }
        }
    }
}

/// A literal of an approximate number. A negative one is in brackets, since `--` begins a comment.
fn literal(number: f64) -> String {
    if number.is_sign_negative() { format!("({number:E})") } else { format!("{number:E}") }
}
