//! Arrays of Arrow as columns of a table.

use std::fmt::{Display, Write};

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, LargeStringArray, StringArray, StringViewArray};
use arrow_schema::{DataType, TimeUnit};

use crate::core::CategoriesBuilder;
use crate::data::roles::{Cells, Labels, NO_LABEL, Roles, parse_offset, parse_weight, shorten};
use crate::data::texts::TextsBuilder;
use crate::data::time::civil_date;

const SECONDS_A_DAY: i64 = 86_400;

/// What is wrong with an array.
#[derive(Debug)]
pub(super) enum Wrong {
    /// Its type; this would be right.
    Type(&'static str),
    Value {
        row: usize,
        value: String,
        problem: String,
    },
}

/// Adds the rows of an array to a column.
pub(super) fn extend(cells: &mut Cells, array: &dyn Array, roles: &Roles) -> Result<(), Wrong> {
    match cells {
        Cells::Labels(labels) => labels.extend(read_labels(array, &roles.labels)?),
        Cells::Weights(weights) => weights.extend(checked(array, parse_weight)?),
        Cells::Offsets(offsets) => offsets.extend(checked(array, parse_offset)?),
        Cells::Numeric(numbers) | Cells::Numbers(numbers) => numbers.extend(checked(array, Ok)?),
        Cells::Categorical(builder) => {
            Strings::of(array).ok_or(Wrong::Type(TEXTS))?.hash_into(builder, array.len());
        }
        Cells::Texts(builder) => {
            Strings::of(array).ok_or(Wrong::Type(TEXTS))?.copy_into(builder, array.len());
        }
        Cells::Times(times) => {
            if let Some(seconds) = seconds(array) {
                if !times.push_known(&seconds) {
                    return Err(Wrong::Type(
                        "dates and timestamps need no format and go with no times of another type",
                    ));
                }
                return Ok(());
            }
            let wrong = |row, value, problem| Wrong::Value { row, value, problem };
            let numbers = numbers(array).filter(|_| *array.data_type() != DataType::Boolean);
            if let Some(numbers) = numbers {
                finite(&numbers)?;
                for (row, &number) in numbers.iter().enumerate() {
                    let pushed = times.push_number(number);
                    pushed.map_err(|problem| wrong(row, written(number), problem))?;
                }
                return Ok(());
            }
            let strings = Strings::of(array).filter(|_| *array.data_type() != DataType::Boolean);
            let strings = strings.ok_or(Wrong::Type(TIMES))?;
            for row in 0..array.len() {
                match strings.get(row) {
                    None => times.push_missing(),
                    Some(text) => times
                        .push(text.trim())
                        .map_err(|problem| wrong(row, shorten(text), problem))?,
                }
            }
        }
    }
    Ok(())
}

const NUMBERS: &str = "numbers or booleans are needed; cast it before";
const TEXTS: &str = "texts, whole numbers, booleans or dates are needed; cast it to a text before";
const TIMES: &str = "a date, a timestamp, numbers or texts are needed; cast it before";

/// Finite numbers, each of which passes a check; a missing one is NaN.
fn checked(
    array: &dyn Array,
    check: impl Fn(f64) -> Result<f64, String>,
) -> Result<Vec<f64>, Wrong> {
    let numbers = numbers(array).ok_or(Wrong::Type(NUMBERS))?;
    finite(&numbers)?;
    for (row, &number) in numbers.iter().enumerate() {
        check(number).map_err(|problem| Wrong::Value { row, value: written(number), problem })?;
    }
    Ok(numbers)
}

fn finite(numbers: &[f64]) -> Result<(), Wrong> {
    match numbers.iter().position(|number| number.is_infinite()) {
        Some(row) => Err(Wrong::Value {
            row,
            value: written(numbers[row]),
            problem: "is not a finite number".into(),
        }),
        None => Ok(()),
    }
}

fn written(number: f64) -> String {
    if number.is_nan() { "null".into() } else { number.to_string() }
}

fn read_labels(array: &dyn Array, labels: &Labels) -> Result<Vec<bool>, Wrong> {
    let wrong = |row, value, problem| Wrong::Value { row, value, problem };
    let threshold = match labels {
        Labels::Usual => Some(None),
        Labels::Above(threshold) => Some(Some(*threshold)),
        _ => None,
    };
    if let Some((threshold, numbers)) = threshold.zip(numbers(array)) {
        let label = |(row, &number): (usize, &f64)| match threshold {
            _ if number.is_nan() => Err(wrong(row, "null".into(), NO_LABEL.into())),
            Some(threshold) => Ok(number > threshold),
            None if number == 0.0 || number == 1.0 => Ok(number == 1.0),
            None => {
                let problem =
                    "is no label: 0 and 1 are, unless a count is named with `positive_above`";
                Err(wrong(row, written(number), problem.into()))
            }
        };
        return numbers.iter().enumerate().map(label).collect();
    }
    let expected = match labels {
        Labels::Above(_) => "numbers are needed for `positive_above`; cast it before",
        Labels::Usual => "booleans, numbers or texts are needed; cast it before",
        _ => "texts, whole numbers or booleans are needed to compare with texts; cast it before",
    };
    let strings = Strings::of(array).filter(|_| threshold.flatten().is_none());
    let strings = strings.ok_or(Wrong::Type(expected))?;
    let label = |row| {
        let text = strings.get(row).ok_or_else(|| wrong(row, "null".into(), NO_LABEL.into()))?;
        labels.parse(text.as_bytes(), &[]).map_err(|problem| wrong(row, shorten(text), problem))
    };
    (0..array.len()).map(label).collect()
}

/// The values of an array of numbers; None for other types.
fn numbers(array: &dyn Array) -> Option<Vec<f64>> {
    Some(match array.data_type() {
        DataType::Int8 => convert::<Int8Type>(array, f64::from),
        DataType::Int16 => convert::<Int16Type>(array, f64::from),
        DataType::Int32 => convert::<Int32Type>(array, f64::from),
        DataType::Int64 => convert::<Int64Type>(array, |x| x as f64),
        DataType::UInt8 => convert::<UInt8Type>(array, f64::from),
        DataType::UInt16 => convert::<UInt16Type>(array, f64::from),
        DataType::UInt32 => convert::<UInt32Type>(array, f64::from),
        DataType::UInt64 => convert::<UInt64Type>(array, |x| x as f64),
        DataType::Float16 => convert::<Float16Type>(array, f64::from),
        DataType::Float32 => convert::<Float32Type>(array, f64::from),
        DataType::Float64 => convert::<Float64Type>(array, |x| x),
        DataType::Decimal32(_, scale) => convert::<Decimal32Type>(array, |x| decimal(&x, *scale)),
        DataType::Decimal64(_, scale) => convert::<Decimal64Type>(array, |x| decimal(&x, *scale)),
        DataType::Decimal128(_, scale) => convert::<Decimal128Type>(array, |x| decimal(&x, *scale)),
        DataType::Decimal256(_, scale) => convert::<Decimal256Type>(array, |x| decimal(&x, *scale)),
        DataType::Boolean => {
            let booleans = array.as_boolean().iter();
            booleans.map(|is| is.map_or(f64::NAN, |is| f64::from(u8::from(is)))).collect()
        }
        DataType::Null => vec![f64::NAN; array.len()],
        DataType::Dictionary(..) => by_keys(array, numbers)?,
        _ => return None,
    })
}

/// The values of an array of dates or timestamps, in seconds since 1970; None for other types.
fn seconds(array: &dyn Array) -> Option<Vec<f64>> {
    let instants = |per_second: i64| {
        // As in a text: whole seconds, and a fraction of one.
        move |units: i64| {
            let fraction = units.rem_euclid(per_second) as f64 / per_second as f64;
            units.div_euclid(per_second) as f64 + fraction
        }
    };
    Some(match array.data_type() {
        DataType::Date32 => {
            convert::<Date32Type>(array, |days| (i64::from(days) * SECONDS_A_DAY) as f64)
        }
        DataType::Date64 => convert::<Date64Type>(array, instants(1_000)),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => convert::<TimestampSecondType>(array, instants(1)),
            TimeUnit::Millisecond => convert::<TimestampMillisecondType>(array, instants(1_000)),
            TimeUnit::Microsecond => {
                convert::<TimestampMicrosecondType>(array, instants(1_000_000))
            }
            TimeUnit::Nanosecond => {
                convert::<TimestampNanosecondType>(array, instants(1_000_000_000))
            }
        },
        DataType::Dictionary(..) => by_keys(array, seconds)?,
        _ => return None,
    })
}

/// The numbers of an array; a null is NaN.
fn convert<T: ArrowPrimitiveType>(
    array: &dyn Array,
    number: impl Fn(T::Native) -> f64,
) -> Vec<f64> {
    let array = array.as_primitive::<T>();
    let mut numbers: Vec<f64> = array.values().iter().map(|value| number(*value)).collect();
    if array.null_count() > 0 {
        for row in (0..numbers.len()).filter(|row| array.is_null(*row)) {
            numbers[row] = f64::NAN;
        }
    }
    numbers
}

/// The nearest number to `unscaled`/10^`scale`, as if its digits were read.
fn decimal(unscaled: &impl Display, scale: i8) -> f64 {
    let text = format!("{unscaled}e{}", -i32::from(scale));
    text.parse().unwrap_or(f64::NAN)
}

/// The numbers of an array with a dictionary, from those of the dictionary.
fn by_keys(array: &dyn Array, of: fn(&dyn Array) -> Option<Vec<f64>>) -> Option<Vec<f64>> {
    let dictionary = array.as_any_dictionary();
    let values = of(dictionary.values())?;
    if values.is_empty() {
        return Some(vec![f64::NAN; array.len()]);
    }
    let keys = dictionary.normalized_keys().into_iter().enumerate();
    let is_null = |row| dictionary.keys().is_null(row);
    Some(keys.map(|(row, key)| if is_null(row) { f64::NAN } else { values[key] }).collect())
}

/// An array of texts, or of values that have one text.
struct Strings<'a> {
    values: Values<'a>,
    /// For each row the place of its value, where values are in a dictionary; and the array of these places.
    keys: Option<(Vec<usize>, &'a dyn Array)>,
}

enum Values<'a> {
    None,
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
    /// Written from other values.
    Written(StringArray),
}

impl<'a> Strings<'a> {
    /// None for an array whose values are not written in one way only.
    fn of(array: &'a dyn Array) -> Option<Self> {
        if array.as_any_dictionary_opt().is_none() {
            return Some(Self { values: Values::of(array)?, keys: None });
        }
        let dictionary = array.as_any_dictionary();
        let values = Values::of(dictionary.values().as_ref())?;
        if dictionary.values().is_empty() {
            return Some(Self { values: Values::None, keys: None });
        }
        Some(Self { values, keys: Some((dictionary.normalized_keys(), dictionary.keys())) })
    }

    /// The text of a row; None for a null.
    fn get(&self, row: usize) -> Option<&str> {
        match &self.keys {
            None => self.values.get(row),
            Some((_, keys)) if keys.is_null(row) => None,
            Some((places, _)) => self.values.get(places[row]),
        }
    }

    /// Adds the hashes of all rows; each value of a dictionary is hashed at most once.
    fn hash_into(&self, builder: &mut TextsBuilder, rows: usize) {
        let bytes = |row| self.get(row).unwrap_or_default().as_bytes();
        let Some((places, keys)) = &self.keys else {
            return (0..rows).for_each(|row| {
                builder.push(bytes(row));
            });
        };
        // A hash that is 0 by chance is computed again.
        let mut hashes = vec![0; self.values.len()];
        let some_are_null = keys.null_count() > 0;
        for (row, &place) in places.iter().enumerate() {
            let known = &mut hashes[place];
            if some_are_null && keys.is_null(row) {
                builder.push(b"");
            } else if *known == 0 {
                *known = builder.push(self.values.get(place).unwrap_or_default().as_bytes());
            } else {
                builder.push_hash(*known);
            }
        }
    }

    /// Adds the texts of all rows.
    fn copy_into(&self, builder: &mut CategoriesBuilder, rows: usize) {
        const NEW: u32 = u32::MAX;
        let Some((places, keys)) = &self.keys else {
            return (0..rows).for_each(|row| {
                builder.push(self.get(row).unwrap_or_default());
            });
        };
        let mut codes = vec![NEW; self.values.len()];
        for row in 0..rows {
            let known = &mut codes[places[row]];
            if keys.is_null(row) {
                builder.push("");
            } else if *known == NEW {
                *known = builder.push(self.get(row).unwrap_or_default());
            } else {
                builder.push_code(*known);
            }
        }
    }
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array) -> Option<Self> {
        let written = |write: &dyn Fn(usize, &mut StringBuilder)| {
            let mut texts = StringBuilder::new();
            for row in 0..array.len() {
                if array.is_null(row) {
                    texts.append_null();
                } else {
                    write(row, &mut texts);
                    texts.append_value("");
                }
            }
            Some(Self::Written(texts.finish()))
        };
        macro_rules! whole {
            ($($type:ident: $data:ident),*) => {
                match array.data_type() {
                    $(DataType::$type => {
                        let numbers = array.as_primitive::<$data>();
                        // A builder of texts takes all.
                        return written(&|row, out| { let _ = write!(out, "{}", numbers.value(row)); });
                    })*
                    _ => {}
                }
            };
        }
        whole!(Int8: Int8Type, Int16: Int16Type, Int32: Int32Type, Int64: Int64Type);
        whole!(UInt8: UInt8Type, UInt16: UInt16Type, UInt32: UInt32Type, UInt64: UInt64Type);
        match array.data_type() {
            DataType::Null => Some(Self::None),
            DataType::Utf8 => Some(Self::Utf8(array.as_string())),
            DataType::LargeUtf8 => Some(Self::Large(array.as_string())),
            DataType::Utf8View => Some(Self::View(array.as_string_view())),
            DataType::Boolean => written(&|row, out| {
                let _ = write!(out, "{}", array.as_boolean().value(row));
            }),
            DataType::Date32 => written(&|row, out| {
                let days = array.as_primitive::<Date32Type>().value(row);
                let _ = out.write_str(&civil_date(days.into()));
            }),
            DataType::Date64 => written(&|row, out| {
                let milliseconds = array.as_primitive::<Date64Type>().value(row);
                let _ = out.write_str(&civil_date(milliseconds.div_euclid(1_000 * SECONDS_A_DAY)));
            }),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Utf8(texts) => texts.len(),
            Self::Large(texts) => texts.len(),
            Self::View(texts) => texts.len(),
            Self::Written(texts) => texts.len(),
        }
    }

    fn get(&self, at: usize) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Utf8(texts) => texts.is_valid(at).then(|| texts.value(at)),
            Self::Large(texts) => texts.is_valid(at).then(|| texts.value(at)),
            Self::View(texts) => texts.is_valid(at).then(|| texts.value(at)),
            Self::Written(texts) => texts.is_valid(at).then(|| texts.value(at)),
        }
    }
}
