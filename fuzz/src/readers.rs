//! `CsvReader` with all its options, and `LibSvmReader`.

use bolero::check;
use imbalance::data::{CsvReader, Encoder, LibSvmReader, TimeFormat};
use imbalance::{Dataset, Precision};

use crate::cursor::Cursor;

const TOKENS: &[&str] = &[
    ",",
    ",",
    ",",
    ",",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "y",
    "x",
    "c",
    "t",
    "y,x,c,t\n",
    "1",
    "0",
    "2",
    "7",
    ".",
    "-",
    "+",
    "e",
    "E",
    "\"",
    "\"\"",
    " ",
    "\t",
    ":",
    ";",
    "|",
    "#",
    "NaN",
    "inf",
    "true",
    "yes",
    "1,2,a,2019-11-24\n",
    "0,0.5,b,20191124\n",
    "é",
    "\u{feff}",
    "\0",
    "1e308",
    "1e-320",
    "2019-11-24 00:00:17 UTC",
    "2019-W47-7",
    "24:00:00",
    "9999-12-31",
    "+0100",
    "17112709",
    "1574553617",
    "1574553617000",
    "/",
    "T",
    "Z",
    "18446744073709551615",
    "2147483649",
    "1:1 2:0.5\n",
    "-1 1:2 3:1e300\n",
    "+1 ",
    "qid:3 ",
];

fn reader(cursor: &mut Cursor<'_>) -> CsvReader {
    let mut reader = CsvReader::new();
    let bits = [cursor.byte(), cursor.byte(), cursor.byte()];
    let bit = |i: usize| bits[i / 8] >> (i % 8) & 1 == 1;
    if bit(0) {
        reader = reader.column_names(["y", "x", "c", "t"]);
    }
    reader = if bit(1) { reader.unlabelled() } else { reader.label("y") };
    if bit(2) {
        reader = reader.labels("1", "0");
    }
    if bit(3) {
        reader = reader.positive_texts(["1", "yes"]);
    }
    if bit(4) {
        reader = reader.positive_above(cursor.number());
    }
    reader = if bit(5) { reader.attribute_numbers(["x"]) } else { reader.numeric(["x"]) };
    reader = if bit(6) { reader.attribute_texts(["c"]) } else { reader.categorical(["c"]) };
    if bit(7) {
        reader = reader.missing(["", "NaN", "0"]);
    }
    if bit(8) {
        reader = reader.quotes(false);
    }
    if bit(9) {
        reader = reader.delimiter(cursor.byte());
    }
    if bit(10) {
        reader = reader.weight("x");
    }
    if bit(11) {
        reader = reader.offset("t");
    }
    let times = [
        TimeFormat::Found,
        TimeFormat::Number,
        TimeFormat::Milliseconds,
        TimeFormat::Microseconds,
        TimeFormat::Nanoseconds,
        TimeFormat::Pattern("%Y-%m-%d %H:%M:%S".into()),
        TimeFormat::Pattern("%y%m%d%H".into()),
        TimeFormat::Pattern(String::from_utf8_lossy(&[b'%', bits[2], b'%', bits[1]]).into_owned()),
    ];
    if bit(12) {
        reader = reader.time_as("t", times[usize::from(bits[2]) % times.len()].clone());
    }
    reader
}

fn has_no_nan(data: &Dataset<'_>) {
    assert!(data.features().rows().all(|row| row.entries().all(|(_, value)| value.is_finite())));
    assert!(
        data.weights().is_none_or(|weights| weights.iter().all(|w| w.is_finite() && *w >= 0.0))
    );
    assert!(data.offsets().is_none_or(|offsets| offsets.iter().all(|offset| offset.is_finite())));
}

/// The rest of the input unchanged, or as tokens.
fn file(cursor: &mut Cursor<'_>) -> Vec<u8> {
    match cursor.byte() {
        b'r' => cursor.0.to_vec(),
        _ => cursor.text(TOKENS),
    }
}

#[test]
fn csv() {
    check!().for_each(|input| {
        let mut cursor = Cursor(input);
        let reader = reader(&mut cursor);
        let file = file(&mut cursor);
        let Ok(table) = reader.read_from(&file[..], "fuzz.csv") else { return };
        let Ok(encoder) = Encoder::hashing(4).and_then(|encoder| encoder.fit(&table)) else {
            return;
        };
        if let Ok(data) = encoder.encode(&table) {
            has_no_nan(&data);
            assert_eq!(data.rows(), table.rows());
        }
    });
}

#[test]
fn libsvm() {
    check!().for_each(|input| {
        let mut cursor = Cursor(input);
        let mut reader = LibSvmReader::new();
        let bits = cursor.byte();
        if bits & 1 == 1 {
            reader = reader.columns(usize::from(cursor.byte()) << cursor.below(64));
        }
        if bits & 2 == 2 {
            reader = reader.zero_based(bits & 4 == 4);
        }
        if bits & 8 == 8 {
            reader = reader.positive_above(cursor.number());
        }
        if bits & 16 == 16 {
            reader = reader.precision(Precision::F32);
        }
        let file = file(&mut cursor);
        if let Ok(data) = reader.read_from(&file[..], "fuzz.svm") {
            has_no_nan(&data);
        }
    });
}
