//! Encoders in ONNX.

use serde::Deserialize;

use super::formula::{Expr, Steps};
use super::onnx::{DOUBLE, FLOAT, Graph, INT64, STRING, int, ints, texts, value};
use super::protobuf::Message;
use crate::core::{Error, Precision, Result};
use crate::data::{DatePart, FittedEncoder, NumberForm, column_seed, value_hash};
use crate::saved::Kind;

/// A fitted encoder in its saved form.
#[derive(Debug, Deserialize)]
pub(super) struct Encoder {
    numbers: Vec<String>,
    texts: Vec<String>,
    times: Vec<String>,
    parts: Vec<Part>,
    dropped: Vec<usize>,
    precision: Precision,
}

#[derive(Debug, Deserialize)]
struct Part {
    name: String,
    of: Vec<usize>,
    form: Form,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Number { form: NumberForm, mean: f64, scale: f64, indicator: bool },
    Bins { edges: Vec<f64>, missing: bool },
    OneHot { levels: Levels, other: bool, drop_first: bool },
    Value { values: Values },
    Date { parts: Vec<DatePart>, utc_offset: f64, cyclic: bool },
    Hashed,
}

#[derive(Debug, Deserialize)]
struct Levels {
    hashes: Vec<u64>,
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Values {
    levels: Levels,
    values: Vec<f64>,
    unknown: f64,
}

impl Encoder {
    pub(super) fn of(fitted: &FittedEncoder) -> Result<Self> {
        let saved = serde_json::to_value(fitted).and_then(Self::deserialize);
        let encoder = saved.map_err(|error| Error::NotSavable {
            kind: FittedEncoder::KIND,
            why: error.to_string(),
        })?;
        encoder.ensure_names()?;
        Ok(encoder)
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.numbers.iter().chain(&self.times).chain(&self.texts)
    }

    /// Checks that the columns can be inputs.
    fn ensure_names(&self) -> Result<()> {
        let mut names: Vec<&String> = self.names().collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let reserved = names.iter().find(|name| ["", "probability"].contains(&name.as_str()));
        match twice.or(reserved.copied()) {
            None => Ok(()),
            Some(name) => Err(unsupported(
                format!("two inputs, or an input and the output, of the name `{name}`"),
                "rename the column",
            )),
        }
    }

    pub(super) fn inputs(&self) -> Vec<Message> {
        let numbers = self.numbers.iter().chain(&self.times).map(|name| value(name, DOUBLE, 1));
        numbers.chain(self.texts.iter().map(|name| value(name, STRING, 1))).collect()
    }
}

fn unsupported(what: String, remedy: &'static str) -> Error {
    Error::Unsupported { stage: "`onnx_scorer`", what, remedy }
}

impl Levels {
    /// Checks that each level of a column is known by its text.
    fn ensure_named(&self, column: &str) -> Result<()> {
        let seed = column_seed(column);
        let mut levels = self.hashes.iter().zip(&self.names);
        match levels.find(|(hash, name)| value_hash(seed, name.as_bytes()) != **hash) {
            None => Ok(()),
            Some((_, name)) => Err(unsupported(
                format!("the level `{name}` of `{column}`, whose text is not known"),
                "have the reader keep more texts (`named_values`), or encode first and export the pipeline alone",
            )),
        }
    }
}

impl Graph {
    /// The features of records, whose columns are inputs.
    pub(super) fn encoder(&mut self, encoder: &Encoder) -> Result<String> {
        while encoder.names().any(|name| name.starts_with(&format!("{}v", self.prefix))) {
            self.prefix.push('_');
        }
        let (mut features, mut missing) = (Vec::new(), Vec::new());
        // Columns so far.
        let mut columns = 0;
        let mut add = |name: String, width: usize| {
            columns += width;
            features.push(name);
        };
        for Part { name, of, form } in &encoder.parts {
            let text = |levels: &Levels| match of[..] {
                [column] => {
                    levels.ensure_named(&encoder.texts[column])?;
                    Ok(encoder.texts[column].as_str())
                }
                _ => Err(unsupported(format!("`{name}`, which crosses columns"), ENCODE_FIRST)),
            };
            match form {
                Form::Number { form, mean, scale, indicator } => {
                    let x = &encoder.numbers[of[0]];
                    let is_missing = self.node("IsNaN", &[x], &[]);
                    let scaled = self.scaled(x, *form, [*mean, *scale]);
                    add(self.zero_where(&is_missing, &scaled), 1);
                    if *indicator {
                        missing.push(self.indicator(&is_missing));
                    }
                }
                Form::Bins { edges, missing } => {
                    add(
                        self.bins(&encoder.numbers[of[0]], edges, *missing),
                        edges.len() + 1 + usize::from(*missing),
                    );
                }
                Form::OneHot { levels, other, drop_first } => {
                    let places = usize::from(*drop_first)..levels.names.len() + usize::from(*other);
                    if !places.is_empty() {
                        let place = self.place(text(levels)?, levels);
                        let width = places.len();
                        let bytes = places.flat_map(|place| (place as i64).to_le_bytes());
                        let places = self.constant(&[width], INT64, &bytes.collect::<Vec<_>>());
                        let is_level = self.node("Equal", &[&place, &places], &[]);
                        add(self.indicator(&is_level), width);
                    }
                }
                Form::Value { values: Values { levels, values, unknown } } => {
                    let place = self.place(text(levels)?, levels);
                    let values: Vec<f64> = values.iter().chain([unknown]).copied().collect();
                    let values = self.numbers(&[values.len()], &values);
                    add(self.node("Gather", &[&values, &place], &[]), 1);
                }
                Form::Date { parts, utc_offset, cyclic } => {
                    for part in parts {
                        let (name, width) =
                            self.date(&encoder.times[of[0]], *part, *utc_offset, *cyclic);
                        add(name, width);
                    }
                }
                Form::Hashed => {
                    return Err(unsupported(format!("`{name}`, which is hashed"), ENCODE_FIRST));
                }
            }
        }
        missing.into_iter().for_each(|name| add(name, 1));
        let kept: Vec<usize> =
            (0..columns).filter(|column| encoder.dropped.binary_search(column).is_err()).collect();
        if kept.is_empty() {
            return Err(unsupported("an encoder that makes no features".into(), ENCODE_FIRST));
        }
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        let mut x = self.node("Concat", &features, &[int("axis", 1)]);
        if kept.len() < columns {
            let bytes = kept.iter().flat_map(|column| (*column as i64).to_le_bytes());
            let kept = self.constant(&[kept.len()], INT64, &bytes.collect::<Vec<_>>());
            x = self.node("Gather", &[&x, &kept], &[int("axis", 1)]);
        }
        if encoder.precision == Precision::F32 {
            let narrow = self.node("Cast", &[&x], &[int("to", FLOAT)]);
            x = self.node("Cast", &[&narrow], &[int("to", DOUBLE)]);
        }
        Ok(x)
    }

    /// 1 where a condition holds, else 0.
    fn indicator(&mut self, condition: &str) -> String {
        self.node("Cast", &[condition], &[int("to", DOUBLE)])
    }

    fn zero_where(&mut self, condition: &str, x: &str) -> String {
        let zero = self.numbers(&[], &[0.0]);
        self.node("Where", &[condition, &zero, x], &[])
    }

    /// A number in some form, less its mean, in units of its scale.
    fn scaled(&mut self, x: &str, form: NumberForm, [mean, scale]: [f64; 2]) -> String {
        let (mut steps, mut x) = (Steps::default(), Expr::Input(x.into()));
        if form == NumberForm::Log {
            let size = steps.ln_1p(x.clone().abs());
            let size = steps.bind(size);
            x = x.if_at_least(0.0, size.clone(), size.negative());
        }
        self.formula(&steps, &((x - mean) / scale))
    }

    /// Each range is what is at or above its lower edge and not at or above its upper edge.
    fn bins(&mut self, x: &str, edges: &[f64], missing: bool) -> String {
        let is_missing = self.node("IsNaN", &[x], &[]);
        let is_known = self.node("Not", &[&is_missing], &[]);
        let known = self.indicator(&is_known);
        let edges = self.numbers(&[edges.len()], edges);
        let above = self.node("GreaterOrEqual", &[x, &edges], &[]);
        let above = self.indicator(&above);
        let zero = self.node("Sub", &[&known, &known], &[]);
        let lower = self.node("Concat", &[&known, &above], &[int("axis", 1)]);
        let upper = self.node("Concat", &[&above, &zero], &[int("axis", 1)]);
        let ranges = self.node("Sub", &[&lower, &upper], &[]);
        if !missing {
            return ranges;
        }
        let missing = self.indicator(&is_missing);
        self.node("Concat", &[&ranges, &missing], &[int("axis", 1)])
    }

    /// The place of a text among levels, which is their number for any other text.
    fn place(&mut self, text: &str, levels: &Levels) -> String {
        let others = levels.names.len() as i64;
        // Without any level the empty text stands for none.
        let names = if others == 0 { vec![String::new()] } else { levels.names.clone() };
        let places: Vec<i64> = (0..names.len() as i64).collect();
        let attributes = [
            texts("keys_strings", &names),
            ints("values_int64s", &places),
            int("default_int64", others),
        ];
        self.ml_node("LabelEncoder", text, &attributes)
    }

    /// A part of a time, and its number of features.
    fn date(
        &mut self,
        time: &str,
        part: DatePart,
        utc_offset: f64,
        cyclic: bool,
    ) -> (String, usize) {
        let (values, seconds) = part.cycle();
        let local = (Expr::Input(time.into()) + 3_600.0 * utc_offset) + part.before_1970();
        let local = self.formula(&Steps::default(), &local);
        let cycle = self.numbers(&[], &[seconds]);
        let rest = Expr::Input(self.node("Mod", &[&local, &cycle], &[int("fmod", 1)]));
        let since = rest.clone().if_at_least(0.0, rest.clone(), rest + seconds);
        let share = self.formula(&Steps::default(), &(since / seconds));
        if !cyclic {
            let place = Expr::Input(share) * values as f64;
            let place = self.formula(&Steps::default(), &place);
            let (last, place) =
                (self.numbers(&[], &[values as f64 - 1.0]), self.node("Floor", &[&place], &[]));
            let place = self.node("Min", &[&place, &last], &[]);
            let all: Vec<f64> = (0..values).map(|value| value as f64).collect();
            let all = self.numbers(&[values], &all);
            let is_value = self.node("Equal", &[&place, &all], &[]);
            return (self.indicator(&is_value), values);
        }
        let is_missing = self.node("IsNaN", &[time], &[]);
        let angle = self.formula(&Steps::default(), &(Expr::Input(share) * std::f64::consts::TAU));
        let [sine, cosine] = ["Sin", "Cos"].map(|function| self.node(function, &[&angle], &[]));
        let both = self.node("Concat", &[&sine, &cosine], &[int("axis", 1)]);
        (self.zero_where(&is_missing, &both), 2)
    }
}

const ENCODE_FIRST: &str = "encode first, and export the pipeline alone (`onnx`)";
