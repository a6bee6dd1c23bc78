//! Encoding tables: the columns, their statistics, hashes, and one row at a time.

use std::collections::BTreeMap;

use imbalance::data::{EncodedRow, Encoder, FittedEncoder, Table, Value};
use imbalance::{Attribute, Error, FeaturesView, Result, Row, Split};
use proptest::prelude::*;

fn table(rows: usize) -> Table {
    Table::new((0..rows).map(|row| row % 3 == 0).collect::<Vec<_>>()).unwrap()
}

/// The rows as (column, bits) pairs without zeros, dense or sparse.
fn entries(features: FeaturesView<'_>) -> Vec<Vec<(usize, u64)>> {
    features.rows().map(row_entries).collect()
}

fn row_entries(row: Row<'_>) -> Vec<(usize, u64)> {
    let stored = row.entries().filter(|(_, value)| *value != 0.0);
    stored.map(|(column, value)| (column, value.to_bits())).collect()
}

fn bits(row: &[(usize, f64)]) -> Vec<(usize, u64)> {
    row.iter().map(|(column, value)| (*column, value.to_bits())).collect()
}

/// Hashes computed with the Python package `xxhash` 4.1.0 (the reference implementation, 0.8.4):
/// `h = xxh64_intdigest(value, seed=xxh64_intdigest(column, seed=0))`, column `h % 2**18`, sign −1
/// if `h >> 63` else +1. A model that was fitted elsewhere relies on them.
#[test]
fn hashes_are_the_same_everywhere_and_forever() {
    let golden = [
        ("site_id", "1fbe01fe", 0x4d3becabf4deca60, 182_880, 1.0),
        ("site_id", "", 0x8203d89d8f7f96e8, 235_240, -1.0),
        ("channel", "Phone", 0x2d34a76e6088a156, 41_302, 1.0),
        ("channel", "Web", 0x343b9c8315dc541e, 21_534, 1.0),
        ("zip_code", "Größe", 0x218f62bdfff01070, 4_208, 1.0),
        (
            "user",
            "a value longer than the 32 bytes of an XXH64 stripe",
            0x4d23187bd3b6cc56,
            183_382,
            1.0,
        ),
        ("campaign", "women", 0x8364ae3accc70871, 198_769, -1.0),
        ("position", "3", 0xcd4bb361744acddb, 183_771, -1.0),
    ];
    for (name, value, hash, column, sign) in golden {
        assert_eq!((hash % (1 << 18), hash >> 63 == 1), (column as u64, sign < 0.0));
        let train = table(1).with_categorical(name, [value]).unwrap();
        let encoder = Encoder::hashing(18).unwrap().fit(&train).unwrap();
        assert_eq!(encoder.hashed(name, value).unwrap(), Some((column, sign)));
        let data = encoder.encode(&train).unwrap();
        assert_eq!(entries(data.features()), [bits(&[(column, sign)])]);
    }
}

#[test]
fn columns_are_numbers_then_indicators_then_hashes() {
    let train = table(4)
        .with_numeric("a", vec![1.0, f64::NAN, 5.0, 3.0])
        .unwrap()
        .with_numeric("b", vec![0.0, 0.0, 0.0, 4.0])
        .unwrap()
        .with_numeric("c", vec![f64::NAN, 7.0, 7.0, 7.0])
        .unwrap()
        .with_categorical("d", ["x", "y", "x", "z"])
        .unwrap()
        .with_attribute("t", Attribute::numbers(vec![1.0, 2.0, 3.0, 4.0]))
        .unwrap()
        .with_weights(vec![1.0; 4])
        .unwrap();
    let encoder = Encoder::hashing(3).unwrap().fit(&train).unwrap();
    assert_eq!(encoder.columns(), 3 + 2 + 8);
    let names: Vec<String> = encoder.column_names().collect();
    assert_eq!(names[..6], ["a", "b", "c", "a missing", "c missing", "hash 0"]);
    assert_eq!(names.len(), encoder.columns());
    assert_eq!(
        encoder.to_string(),
        "3 numeric columns standardised, 2 of them with an indicator; 1 categorical columns \
         hashed to 2^3 columns"
    );
    // Of 1, 5 and 3 the variance is 8/3; of 0, 0, 0 and 4 it is 3; 7 is constant.
    assert_eq!(encoder.standardisation("a").unwrap(), (3.0, (8.0_f64 / 3.0).sqrt()));
    assert_eq!(encoder.standardisation("b").unwrap(), (1.0, 3.0_f64.sqrt()));
    assert_eq!(encoder.standardisation("c").unwrap(), (7.0, 1.0));

    let data = encoder.encode(&train).unwrap();
    let (s, t) = ((8.0_f64 / 3.0).sqrt(), 3.0_f64.sqrt());
    let expected = [
        vec![(0, -2.0 / s), (1, -1.0 / t), (4, 1.0), encoder.hashed("d", "x").unwrap().unwrap()],
        vec![(1, -1.0 / t), (3, 1.0), encoder.hashed("d", "y").unwrap().unwrap()],
        vec![(0, 2.0 / s), (1, -1.0 / t), encoder.hashed("d", "x").unwrap().unwrap()],
        vec![(1, 3.0 / t), encoder.hashed("d", "z").unwrap().unwrap()],
    ];
    assert_eq!(entries(data.features()), expected.map(|row| bits(&row)));
    assert_eq!(data.labels(), train.labels());
    assert_eq!(data.weights(), train.weights());
    assert_eq!(data.numbers("t").unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn only_training_rows_are_learned_from() {
    let numbers = [1.0, 2.0, 4.0, f64::NAN, 1e6, -1e6];
    let with = |numbers: &[f64]| table(numbers.len()).with_numeric("x", numbers).unwrap();
    let fit = |table: &Table| {
        let (train, test) = table.split(&Split::last(6, 0.5).unwrap()).unwrap();
        (Encoder::default().fit(&train).unwrap(), test)
    };
    let (encoder, test) = fit(&with(&numbers));
    let (other, _) = fit(&with(&[1.0, 2.0, 4.0, 0.0, f64::NAN, 5.0]));
    assert_eq!(encoder, other);
    // Missing in the test rows only: the mean, and no indicator.
    let data = encoder.encode(&test).unwrap();
    let (mean, scale) = encoder.standardisation("x").unwrap();
    let expected = [vec![], vec![(0, (1e6 - mean) / scale)], vec![(0, (-1e6 - mean) / scale)]];
    assert_eq!(entries(data.features()), expected.map(|row| bits(&row)));
    assert!(!data.features().is_sparse());
}

#[test]
fn moments_are_weighted_and_do_not_cancel() {
    let rows = |values: &[f64], weights: &[f64]| {
        let encoder = table(values.len()).with_numeric("x", values).unwrap();
        let encoder = encoder.with_weights(weights).unwrap();
        Encoder::default().fit(&encoder).unwrap().standardisation("x").unwrap()
    };
    assert_eq!(rows(&[1.0, 2.0, 9.0], &[3.0, 1.0, 0.0]), (1.25, (3.0_f64 / 16.0).sqrt()));
    // A sum of squares about 0 would lose all digits of this variance.
    let far = [1e12, 1e12 + 1.0, 1e12 + 2.0];
    assert_eq!(rows(&far, &[1.0; 3]), (1e12 + 1.0, (2.0_f64 / 3.0).sqrt()));
    // 0.1 + 0.1 + 0.1 is not 0.3, but a constant is a constant.
    assert_eq!(rows(&[0.1; 3], &[0.3, 0.2, 0.7]), (0.1, 1.0));
    assert_eq!(rows(&[5.0, 0.1, 0.1, 0.1], &[0.0, 0.3, 0.2, 0.7]), (0.1, 1.0));
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let message = |result: Result<FittedEncoder>| result.unwrap_err().to_string();
    for bits in [0, 31] {
        assert!(matches!(Encoder::hashing(bits), Err(Error::InvalidArgument { .. })));
    }
    assert_eq!(
        message(Encoder::default().fit(&table(2))),
        "`table` is a table without numeric and categorical columns, but it must be one with at \
         least one of them"
    );
    let missing = table(2).with_numeric("x", vec![f64::NAN; 2]).unwrap();
    assert_eq!(
        message(Encoder::default().fit(&missing)),
        "`numeric column` is `x`, which is missing in every training row, but it must be a column \
         with a number in some of them"
    );
    let huge = table(2).with_numeric("x", vec![f64::MAX, f64::MIN]).unwrap();
    assert!(matches!(Encoder::default().fit(&huge), Err(Error::Numerical { .. })));

    let train = table(2).with_numeric("x", vec![1.0, 1.5]).unwrap();
    let train = train.with_categorical("c", ["a", "b"]).unwrap();
    let encoder = Encoder::default().fit(&train).unwrap();
    let message = |table: Table| encoder.encode(&table).unwrap_err().to_string();
    assert_eq!(
        message(table(1).with_categorical("c", ["a"]).unwrap()),
        "there is no numeric column `x`; there are: none"
    );
    assert_eq!(
        message(train.clone().with_numeric("y", vec![0.0; 2]).unwrap()),
        "there is no fitted numeric column `y`; there are: x"
    );
    assert_eq!(
        message(train.clone().with_categorical("d", ["", ""]).unwrap()),
        "there is no fitted categorical column `d`; there are: c"
    );
    let far = table(2).with_numeric("x", vec![1.0, f64::MAX]).unwrap();
    let far = far.with_categorical("c", ["a", "b"]).unwrap();
    assert!(matches!(
        encoder.encode(&far).unwrap_err(),
        Error::NonFinite { row: 1, column: Some(0), .. }
    ));

    let mut buffer = EncodedRow::default();
    let mut message = |record: &[(&str, Value<'_>)]| {
        encoder.encode_record(record, &mut buffer).unwrap_err().to_string()
    };
    assert_eq!(
        message(&[("x", 1.0.into()), ("x", 2.0.into()), ("c", "a".into())]),
        "`record` is a record with more than one value of `x`, but it must be with one value of each of the \
         columns x, c"
    );
    assert_eq!(
        message(&[("x", 1.0.into())]),
        "`record` is a record without `c`, but it must be with one value of each of the columns x, c"
    );
    assert_eq!(
        message(&[("x", 1.0.into()), ("d", "a".into())]),
        "there is no fitted column `d`; there are: x, c"
    );
    assert_eq!(
        message(&[("x", 1.0.into()), ("c", "a".into()), ("d", "a".into())]),
        "there is no fitted column `d`; there are: x, c"
    );
    assert_eq!(
        message(&[("x", f64::INFINITY.into()), ("c", "a".into())]),
        "the column `x` of the record holds inf at row 0: finite numbers are needed; replace it, or drop the row"
    );
    assert_eq!(
        message(&[("x", "a".into()), ("c", "a".into())]),
        "the column `x` holds a text, but numbers are needed here"
    );
    assert_eq!(
        message(&[("x", 1.0.into()), ("c", 2.into())]),
        "the column `c` holds a number, but texts are needed here"
    );
}

#[cfg(feature = "rayon")]
#[test]
fn the_same_bits_on_any_number_of_threads() {
    let n = 3 * 4096 + 17;
    let train = table(n)
        .with_numeric("x", (0..n).map(|i| (i as f64).sqrt().sin()).collect::<Vec<_>>())
        .unwrap()
        .with_numeric("y", (0..n).map(|i| 1.0 / (i as f64 + 1.0)).collect::<Vec<_>>())
        .unwrap()
        .with_categorical("c", (0..n).map(|i| (i % 97).to_string()))
        .unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let encoder = Encoder::hashing(5).unwrap().fit(&train).unwrap();
            let rows = entries(encoder.encode(&train).unwrap().features());
            (encoder, rows)
        })
    };
    assert!(run(1) == run(4));
}

/// The definition, one row at a time.
fn naive(encoder: &FittedEncoder, numbers: &[f64], categories: &[String]) -> Vec<(usize, f64)> {
    let mut row = BTreeMap::new();
    let names: Vec<String> =
        encoder.column_names().take_while(|name| !name.starts_with("hash ")).collect();
    for (name, x) in encoder.numeric_names().zip(numbers) {
        let (mean, scale) = encoder.standardisation(name).unwrap();
        let place = |name: &str| names.iter().position(|known| known == name);
        if !x.is_nan() {
            row.insert(place(name).unwrap(), (x - mean) / scale);
        } else if let Some(indicator) = place(&format!("{name} missing")) {
            row.insert(indicator, 1.0);
        }
    }
    for (name, value) in encoder.categorical_names().zip(categories) {
        let (column, sign) = encoder.hashed(name, value).unwrap().unwrap();
        *row.entry(column).or_insert(0.0) += sign;
    }
    row.into_iter().filter(|(_, value)| *value != 0.0).collect()
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(f64::NAN), Just(0.0), -1e6..1e6]
}

proptest! {
    #[test]
    fn a_table_its_rows_and_the_definition_agree(
        (numbers, categories, bits_) in (1..30_usize, 0..3_usize, 0..6_usize).prop_flat_map(
            |(rows, numeric, categorical)| {
                (
                    prop::collection::vec(prop::collection::vec(number(), rows), numeric),
                    prop::collection::vec(prop::collection::vec("[a-dé]{0,2}", rows), categorical),
                    1..4_u32, // so few columns that values of a row collide
                )
            },
        ),
    ) {
        prop_assume!(!numbers.is_empty() || !categories.is_empty());
        prop_assume!(numbers.iter().all(|column| column.iter().any(|x| !x.is_nan())));
        let rows = numbers.first().map_or_else(|| categories[0].len(), Vec::len);
        let mut train = table(rows);
        for (i, column) in numbers.iter().enumerate() {
            train = train.with_numeric(format!("n{i}"), column).unwrap();
        }
        for (i, column) in categories.iter().enumerate() {
            train = train.with_categorical(format!("c{i}"), column).unwrap();
        }
        let encoder = Encoder::hashing(bits_).unwrap().fit(&train).unwrap();
        let data = encoder.encode(&train).unwrap();
        prop_assert_eq!(data.features().is_sparse(), !categories.is_empty());
        let encoded = entries(data.features());
        let mut buffer = EncodedRow::default();
        let is_sparse = !categories.is_empty();
        for row in 0..rows {
            let numbers: Vec<f64> = numbers.iter().map(|column| column[row]).collect();
            let texts: Vec<String> = categories.iter().map(|column| column[row].clone()).collect();
            prop_assert_eq!(&encoded[row], &bits(&naive(&encoder, &numbers, &texts)));

            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            // By name, in any order.
            let names: Vec<String> = (0..numbers.len()).map(|i| format!("n{i}")).collect();
            let labels: Vec<String> = (0..texts.len()).map(|i| format!("c{i}")).collect();
            let numbers = names.iter().map(String::as_str).zip(numbers.into_iter().map(Value::from));
            let texts = labels.iter().map(String::as_str).zip(texts.into_iter().map(Value::from));
            let mut record: Vec<(&str, Value<'_>)> = numbers.chain(texts).collect();
            if row % 2 == 1 {
                let half = record.len() / 2;
                record.rotate_left(half);
            }
            let served = encoder.encode_record(&record, &mut buffer).unwrap();
            let stored = if is_sparse { encoded[row].len() } else { data.columns() };
            prop_assert_eq!((served.columns(), served.entries().count()), (data.columns(), stored));
            prop_assert_eq!(&row_entries(served), &encoded[row]);
        }
    }
}

#[test]
fn dropped_columns_are_dropped_everywhere() {
    let train = table(4)
        .with_numeric("x", vec![1.0, f64::NAN, 3.0, 5.0])
        .unwrap()
        .with_numeric("y", vec![1.0, 2.0, 3.0, 4.0])
        .unwrap();
    let texts = ["a", "b", "a", ""];
    for train in [train.clone(), train.with_categorical("c", texts).unwrap()] {
        let all = Encoder::hashing(6).unwrap().fit(&train).unwrap();
        let data = all.encode(&train).unwrap();
        let zero = data.zero_columns().unwrap();
        // The column of y, twice, and those that no value fell into.
        let dropped: Vec<usize> = [1, 1].into_iter().chain(zero.iter().copied()).collect();
        let few = all.clone().drop_columns(&dropped).unwrap();
        assert_eq!(few.columns(), all.columns() - zero.len() - 1);
        let kept: Vec<usize> =
            (0..all.columns()).filter(|column| !dropped.contains(column)).collect();
        let names: Vec<String> = all.column_names().collect();
        assert!(few.column_names().eq(kept.iter().map(|&column| names[column].clone())));
        let expected = data.drop_columns(&dropped).unwrap();
        assert_eq!(expected.labels(), data.labels());
        let encoded = few.encode(&train).unwrap();
        assert_eq!(entries(encoded.features()), entries(expected.features()));
        assert!(encoded.zero_columns().unwrap().is_empty());
        let mut buffer = EncodedRow::default();
        let categorical = all.categorical_names().count() > 0;
        for (row, text) in texts.into_iter().enumerate() {
            let number = |name: &str| Value::from(train.numeric(name).unwrap()[row]);
            let record = [("x", number("x")), ("y", number("y")), ("c", text.into())];
            let record = if categorical { &record[..] } else { &record[..2] };
            let served = few.encode_record(record, &mut buffer).unwrap();
            assert_eq!(served.columns(), few.columns());
            assert_eq!(served.to_vec().unwrap(), encoded.features().row(row).to_vec().unwrap());
        }
        if categorical {
            let (column, sign) = few.hashed("c", "a").unwrap().unwrap();
            assert_eq!(encoded.features().row(0).get(column), sign);
            let unseen = (0..).map(|i| few.hashed("c", &format!("new {i}")).unwrap());
            assert!(unseen.take(1000).any(|place| place.is_none()));
        }
        // Again, by the columns that are left.
        let fewer = few.clone().drop_columns(&[0]).unwrap();
        assert!(fewer.column_names().eq(few.column_names().skip(1)));
        let error = few.clone().drop_columns(&[few.columns()]).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "columns", .. }), "{error}");
    }
}
