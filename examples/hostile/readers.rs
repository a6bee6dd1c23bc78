//! Files, tables, encoders and saved states.

use imbalance::data::{CsvReader, EncodedRow, Encoder, LibSvmReader, Table, TimeFormat, Value};
use imbalance::loss::LogLoss;
use imbalance::model::{FtrlLearner, FtrlProximal, FtrlState, Predict};
use imbalance::{Dataset, Precision, Result};

use crate::rows::{NUMBERS, data_sets};
use crate::tally::Tally;

const CELLS: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "+1",
    "true",
    "yes",
    "0.5",
    "1e308",
    "1e309",
    "-1e309",
    "1e-320",
    "NaN",
    "nan",
    "inf",
    "-Infinity",
    "0x10",
    "1,5",
    "1_000",
    " 1",
    "\"1\"",
    "\"1",
    "1\"",
    "\"a\"b",
    "\"a\"\"b\"",
    "a\nb",
    "é",
    "\u{feff}1",
    "\u{0}",
    "9999-12-31",
    "2019-11-24 00:00:17 UTC",
    "2019-W47-7",
    "20191124",
    "1574553617",
    "1574553617000",
    "99999999999999999999",
    "24:00",
    "-0",
    "2020-02-30",
    "0000-00-00",
    "1e999999999",
    "١",
    "999999999999999999999999999999999999999999",
];

const FRAMES: &[(&str, &str, &str)] = &[
    ("plain", "y,x,c,t\n1,2,a,3\n", ",2,b,4\n0,1,a,5\n"),
    ("label", "y,x,c,t\n1,2,a,3\n0,1,a,5\n", ",2,b,4\n"),
    ("header", "y,x,c,t,", "\n1,2,a,3,1\n0,1,a,5,2\n"),
    ("alone", "", ""),
    ("CRLF", "y,x,c,t\r\n1,2,a,3\r\n0,1,a,", "\r\n"),
    ("last", "y,x,c,t\n1,2,a,3\n0,1,a,", ""),
    ("number", "y,x,c,t\n1,", ",a,3\n0,1,a,5\n"),
];

const READERS: &[(&str, fn() -> CsvReader)] = &[
    ("all kinds", || CsvReader::new().label("y").numeric(["x"]).categorical(["c"]).time("t")),
    ("attributes", || {
        CsvReader::new().label("y").attribute_numbers(["x", "t"]).attribute_texts(["c"])
    }),
    ("weights", || CsvReader::new().label("y").weight("x").offset("t").categorical(["c"])),
    ("unlabelled", || CsvReader::new().unlabelled().numeric(["x"]).missing(["", "NaN"])),
    ("no header", || {
        CsvReader::new().column_names(["y", "x", "c", "t"]).label("y").numeric(["x"]).quotes(false)
    }),
    ("label by rule", || {
        CsvReader::new()
            .label("y")
            .positive_above(0.5)
            .numeric(["x"])
            .time_as("t", TimeFormat::Number)
    }),
    ("label by NaN", || CsvReader::new().label("y").positive_above(f64::NAN).numeric(["x"])),
    ("label texts", || CsvReader::new().label("y").labels("0", "0").numeric(["x"])),
    ("milliseconds", || {
        CsvReader::new().label("y").numeric(["x"]).time_as("t", TimeFormat::Milliseconds)
    }),
    ("pattern", || {
        CsvReader::new()
            .label("y")
            .numeric(["x"])
            .time_as("t", TimeFormat::Pattern("%Y-%m-%d".into()))
    }),
    ("wrong pattern", || {
        CsvReader::new().label("y").numeric(["x"]).time_as("t", TimeFormat::Pattern("%".into()))
    }),
    ("quote as delimiter", || CsvReader::new().label("y").numeric(["x"]).delimiter(b'"')),
    ("line end as delimiter", || CsvReader::new().label("y").numeric(["x"]).delimiter(b'\n')),
    ("delimiter 255", || CsvReader::new().label("y").numeric(["x"]).delimiter(255)),
    ("a column twice", || CsvReader::new().label("y").numeric(["y", "y"]).categorical(["y"])),
    ("no columns", CsvReader::new),
    ("Criteo", CsvReader::criteo),
];

pub(crate) fn drive(tally: &mut Tally) {
    for (reader_name, reader) in READERS {
        for (frame, before, after) in FRAMES {
            for cell in CELLS {
                let text = format!("{before}{cell}{after}");
                let name = || format!("{reader_name}, {cell:?} in {frame}");
                tally.cell(name, || {
                    let table = reader().read_from(text.as_bytes(), "hostile.csv")?;
                    let encoded = encode(&table, 8)?;
                    Ok((table.rows(), encoded.totals(), numbers(&encoded)))
                });
                // Bytes that are no text, and an archive that ends early.
                let mut bytes = text.clone().into_bytes();
                bytes.insert(bytes.len() / 2, 0xff);
                tally.cell(name, || {
                    reader().read_from(&bytes[..], "hostile.csv").map(|table| table.rows())
                });
                let gzip = [&[0x1f, 0x8b, 8][..], &bytes].concat();
                tally.cell(name, || {
                    reader().read_from(&gzip[..], "hostile.csv").map(|table| table.rows())
                });
            }
        }
    }
    libsvm(tally);
    tables(tally);
    states(tally);
}

fn encode(table: &Table, bits: u32) -> Result<Dataset<'static>> {
    Encoder::hashing(bits)?.precision(Precision::F32).fit(table)?.encode(table)
}

fn numbers(data: &Dataset<'_>) -> Vec<(usize, f64)> {
    data.features().rows().flat_map(|row| row.entries().collect::<Vec<_>>()).collect()
}

fn libsvm(tally: &mut Tally) {
    let indices = [
        "0",
        "1",
        "-1",
        "2147483649",
        "1099511627776",
        "1152921504606846975",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "1e3",
        "x",
        "",
        "qid",
    ];
    for index in indices {
        for value in CELLS {
            for (options, reader) in [
                ("plain", LibSvmReader::new()),
                ("from 0", LibSvmReader::new().zero_based(true)),
                ("5 columns", LibSvmReader::new().columns(5)),
                ("usize::MAX columns", LibSvmReader::new().columns(usize::MAX)),
                ("no columns", LibSvmReader::new().columns(0).zero_based(false)),
                ("above", LibSvmReader::new().positive_above(0.5).precision(Precision::F32)),
                ("above NaN", LibSvmReader::new().positive_above(f64::NAN)),
            ] {
                for text in [
                    format!("1 {index}:{value}\n-1 1:2\n"),
                    format!("{value} 1:1\n-1 2:2 {index}:1 # x\n"),
                ] {
                    tally.cell(
                        || format!("LIBSVM, {options}, {text:?}"),
                        || {
                            let data = reader.read_from(text.as_bytes(), "hostile.svm")?;
                            Ok((data.columns(), data.totals(), numbers(&data)))
                        },
                    );
                }
            }
        }
    }
}

/// Tables made of hostile data sets, encoded.
fn tables(tally: &mut Tally) {
    for hostile in data_sets() {
        let Ok(data) = hostile.build() else { continue };
        let table = || {
            let column = |c| data.features().rows().map(|row| row.get(c)).collect::<Vec<_>>();
            let mut table = Table::new(data.labels())?;
            for c in 0..data.columns() {
                table = table.with_numeric(format!("x{c}"), column(c))?;
            }
            table.with_categorical("c", (0..data.rows()).map(|r| format!("{}", r % 4)))
        };
        tally.cell(|| format!("table, {}", hostile.name()), || table().map(|table| table.rows()));
        for precision in [Precision::F32, Precision::F64] {
            tally.cell(
                || format!("encoder, {}", hostile.name()),
                || {
                    let table = table()?;
                    let encoder = Encoder::hashing(3)?.precision(precision).fit(&table)?;
                    Ok(numbers(&encoder.encode(&table)?))
                },
            );
        }
        for &x in NUMBERS {
            tally.cell(
                || format!("encoded row with {x:e}, {}", hostile.name()),
                || {
                    let encoder = Encoder::hashing(3)?.fit(&table()?)?;
                    let names: Vec<String> = encoder.numeric_names().map(Into::into).collect();
                    let numbers = names.iter().map(|name| (name.as_str(), Value::from(x)));
                    let record: Vec<_> = numbers.chain([("c", "none".into())]).collect();
                    let mut buffer = EncodedRow::default();
                    let row = encoder.encode_record(&record, &mut buffer)?;
                    Ok(row.entries().collect::<Vec<_>>())
                },
            );
        }
    }
    for bits in [0, 1, 30, 31, 63, 64, u32::MAX] {
        tally.cell(
            || format!("{bits} bits"),
            || {
                let table = Table::new(vec![true, false])?.with_categorical("c", ["a", "b"])?;
                let encoder = Encoder::hashing(bits)?.fit(&table)?;
                encoder.clone().drop_columns(&[usize::MAX]).map(drop).unwrap_or_default();
                Ok((encoder.columns(), numbers(&encoder.encode(&table)?)))
            },
        );
    }
    for rows in [0, 1, usize::MAX, isize::MAX as usize / 8, isize::MAX as usize] {
        tally.cell(
            || format!("unlabelled table of {rows} rows"),
            || Table::unlabelled(rows).map(|table| table.rows()),
        );
    }
}

/// A saved state with each number replaced.
fn states(tally: &mut Tally) {
    let saved = || {
        let mut learner = FtrlProximal::new().l1(0.1)?.learner(3, LogLoss)?;
        let x = imbalance::ndarray::array![[1.0, 0.0, 2.0], [0.5, 0.1, 0.0], [0.0, 1.0, 1.0]];
        learner.partial_fit(&Dataset::new(&x, vec![true, false, false])?)?;
        Ok::<_, imbalance::Error>(serde_json::to_string(learner.state()).expect("a state is JSON"))
    };
    let text = saved().expect("three plain rows");
    let hostile = [
        "null",
        "-1",
        "0",
        "1e308",
        "1e999",
        "1e-320",
        "-0.0",
        "1073741824",
        "1099511627776",
        "18446744073709551615",
        "[]",
        "\"\"",
        "{}",
        "true",
    ];
    let starts: Vec<usize> = text
        .match_indices(|c: char| c.is_ascii_digit() || c == '-')
        .map(|(at, _)| at)
        .filter(|&at| at > 0 && ":,[".contains(&text[at - 1..at]))
        .collect();
    for at in starts {
        let length = text[at..].find([',', ']', '}']).unwrap_or(0);
        for other in hostile {
            let changed = format!("{}{other}{}", &text[..at], &text[at + length..]);
            tally.cell(
                || format!("state {changed}"),
                || {
                    let Ok(state) = serde_json::from_str::<FtrlState>(&changed) else {
                        return Ok(None);
                    };
                    let learner = FtrlLearner::resume(state, LogLoss)?;
                    let row = [1.0, 2.0, 3.0];
                    Ok(Some((learner.fitted()?.logit((&row).into())?, learner.validation())))
                },
            );
        }
        tally.cell(
            || format!("state cut at {at}"),
            || Ok(serde_json::from_str::<FtrlState>(&text[..at]).is_ok()),
        );
    }
}
