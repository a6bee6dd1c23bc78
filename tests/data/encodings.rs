//! The encodings of columns: agreement with scikit-learn, names, levels that training did not see, and no leaks.

use imbalance::data::{
    Bins, DatePart, DateParts, EncodedRow, Encoder, Encoding, FittedEncoder, LevelOrder,
    NumberForm, OneHot, Ordinal, Table, TargetEncoding, Value,
};
use imbalance::metrics::roc_auc;
use imbalance::saved::Saved;
use imbalance::{Attribute, Cut, Dataset, Error, Run, Seed};
use serde_json::Value as Json;

fn fixture() -> Json {
    serde_json::from_str(include_str!("../fixtures/encodings.json")).unwrap()
}

fn texts(json: &Json) -> Vec<String> {
    json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().into()).collect()
}

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn reference() -> (Json, Table) {
    let json = fixture();
    let labels: Vec<bool> =
        json["labels"].as_array().unwrap().iter().map(|y| y.as_bool().unwrap()).collect();
    let table = Table::new(labels)
        .unwrap()
        .with_categorical("c", texts(&json["texts"]))
        .unwrap()
        .with_numeric("x", numbers(&json["numbers"]))
        .unwrap();
    (json, table)
}

fn dense(data: &Dataset<'_>) -> Vec<Vec<f64>> {
    data.features().rows().map(|row| row.to_vec().unwrap()).collect()
}

#[test]
fn levels_are_those_of_scikit_learn() {
    let (json, table) = reference();
    let encoder = Encoder::only().column("c", OneHot::new().min_count(20)).fit(&table).unwrap();
    let names = texts(&json["frequent"]).into_iter().map(|level| format!("c={level}"));
    assert!(encoder.column_names().eq(names.chain(["c other".into()])));
    let rows: Vec<Vec<f64>> = json["one_hot"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!(dense(&encoder.encode(&table).unwrap()), rows);

    let encoder = Encoder::only().column("c", Ordinal::new()).fit(&table).unwrap();
    let codes: Vec<f64> = dense(&encoder.encode(&table).unwrap()).concat();
    assert_eq!(codes, numbers(&json["ordinal"]));

    let levels = texts(&json["categories"]);
    for (smooth, expected) in json["target"].as_object().unwrap() {
        let target = TargetEncoding::new().shrinkage(smooth.parse().unwrap()).unwrap().rate(true);
        let encoder = Encoder::only().column("c", target).fit(&table).unwrap();
        let mut buffer = EncodedRow::default();
        for (level, expected) in levels.iter().zip(numbers(expected)) {
            let row = encoder.encode_record(&[("c", level.into())], &mut buffer).unwrap();
            assert!((row.get(0) - expected).abs() < 1e-15, "{level}: {} {expected}", row.get(0));
        }
    }

    let encoder = Encoder::only().column("x", NumberForm::Log).fit(&table).unwrap();
    let (mean, scale) = encoder.standardisation("x").unwrap();
    assert!((mean - json["log_mean"].as_f64().unwrap()).abs() < 1e-14);
    assert!((scale - json["log_scale"].as_f64().unwrap()).abs() < 1e-14);
}

/// Each group is a fold, so the folds are those of scikit-learn.
#[test]
fn rates_of_other_folds_are_those_of_scikit_learn() {
    let (json, table) = reference();
    let table = table.with_attribute("g", Attribute::numbers(numbers(&json["groups"]))).unwrap();
    let target = TargetEncoding::new().shrinkage(10.0).unwrap().rate(true);
    let target = target.folds(5, Cut::by_group("g")).unwrap();
    let (_, data) = Encoder::only().column("c", target).fit_encode(&table, 7).unwrap();
    let expected = numbers(&json["cross_fitted"]);
    for (row, (rate, expected)) in dense(&data).concat().into_iter().zip(expected).enumerate() {
        assert!((rate - expected).abs() < 1e-15, "row {row}: {rate} {expected}");
    }
}

#[test]
fn ranges_are_those_of_scikit_learn() {
    let (json, table) = reference();
    let table = table.with_numeric("halves", numbers(&json["halves"])).unwrap();
    let weighted = table.clone().with_weights(numbers(&json["weights"])).unwrap();
    for case in json["ranges"].as_array().unwrap() {
        let train = if case["weighted"] == true { &weighted } else { &table };
        let column = if case["of"] == "halves" { "halves" } else { "x" };
        let bins = case["bins"].as_u64().unwrap() as usize;
        let encoder = Encoder::only().column(column, Bins::quantiles(bins).unwrap());
        let rows = dense(&encoder.fit(train).unwrap().encode(&table).unwrap());
        let ranges: Vec<f64> =
            rows.iter().map(|row| row.iter().position(|is| *is == 1.0).unwrap() as f64).collect();
        assert_eq!(ranges, numbers(&case["ranges"]), "{bins} of {column}");
    }
}

/// Most rows are 0; 2 stands for four rows.
#[test]
fn equal_numbers_stay_in_one_range_whether_repeated_or_weighted() {
    let names = |values: Vec<f64>, weights: Vec<f64>, bins: usize| {
        let train = Table::new(vec![false; values.len()]).unwrap();
        let train = train.with_numeric("x", values).unwrap().with_weights(weights).unwrap();
        let encoder = Encoder::only().column("x", Bins::quantiles(bins).unwrap());
        encoder.fit(&train).unwrap().column_names().collect::<Vec<_>>()
    };
    let repeated = names(vec![1.0, 2.0, 2.0, 2.0, 2.0, 3.0], vec![1.0; 6], 2);
    assert_eq!(repeated, ["x < 2", "x >= 2"]);
    assert_eq!(names(vec![3.0, 1.0, 2.0], vec![1.0, 1.0, 4.0], 2), repeated);
    let mut zeros = vec![0.0; 95];
    zeros.extend([5.0, 1.0, 2.0, -0.0, 4.0]);
    assert_eq!(names(zeros, vec![1.0; 100], 10), ["x < 1", "x >= 1"]);
}

/// Weights of 10²⁰ leave no digit for the shrinkage; the log-odds are finite.
#[test]
fn log_odds_of_levels_of_one_class_are_numbers() {
    let train = Table::new(vec![true, false, true, false])
        .unwrap()
        .with_categorical("c", ["a", "b", "c", "c"])
        .unwrap()
        .with_weights(vec![1e20, 1e20, 1.0, 1.0])
        .unwrap();
    let target = TargetEncoding::new().shrinkage(1.0).unwrap();
    let encoder = Encoder::only().column("c", target).fit(&train).unwrap();
    let values = dense(&encoder.encode(&train).unwrap()).concat();
    // p̄ = ½: ln((10²⁰ + ½)/½), its opposite, and 0.
    let most = 20.0 * 10_f64.ln() + 2_f64.ln();
    for (value, expected) in values.iter().zip([most, -most, 0.0, 0.0]) {
        assert!((value - expected).abs() < 1e-13, "{value} {expected}");
    }
}

#[test]
fn levels_of_weight_0_are_as_if_they_were_not_there() {
    let train = Table::new(vec![true, false, true])
        .unwrap()
        .with_categorical("c", ["a", "b", "c"])
        .unwrap()
        .with_weights(vec![1.0, 1.0, 0.0])
        .unwrap();
    let names = |encoding: Encoding| {
        let encoder = Encoder::only().column("c", encoding).fit(&train).unwrap();
        encoder.column_names().collect::<Vec<_>>()
    };
    assert_eq!(names(OneHot::new().into()), ["c=a", "c=b"]);
}

#[test]
fn dense_rows_that_do_not_fit_into_memory_are_refused() {
    let rows = 1 << 17;
    let train = Table::new(vec![true; rows])
        .unwrap()
        .with_categorical("c", std::iter::repeat_n("a", rows))
        .unwrap();
    let encoder = Encoder::hashing(30).unwrap().sparse(false).fit(&train).unwrap();
    let error = encoder.encode(&train).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "sparse", .. }), "{error}");
}

fn number(i: usize, of: &str) -> f64 {
    (Seed::new(i as u64).child(of).value() >> 11) as f64 / 2_f64.powi(53)
}

/// The texts of a categorical column of [`log`], some of them missing.
fn texts_of(column: &str, n: usize) -> Vec<String> {
    let levels = match column {
        "country" => 9.0,
        "device" => 3.0,
        _ => n as f64 / 4.0,
    };
    let text = |i| {
        let u = number(i, column);
        let missing = column == "country" && i % 13 == 5;
        if missing { String::new() } else { format!("{column}{}", (u * u * levels) as usize) }
    };
    (0..n).map(text).collect()
}

/// A log with every kind of column, and missing values.
fn log(n: usize) -> Table {
    let missing = |i: usize, x: f64| if i % 11 == 3 { f64::NAN } else { x };
    Table::new((0..n).map(|i| number(i, "y") < 0.1).collect::<Vec<_>>())
        .unwrap()
        .with_numeric(
            "amount",
            (0..n).map(|i| missing(i, (8.0 * number(i, "amount")).exp() - 5.0)).collect::<Vec<_>>(),
        )
        .unwrap()
        .with_numeric(
            "age",
            (0..n).map(|i| missing(i + 1, (80.0 * number(i, "age")).floor())).collect::<Vec<_>>(),
        )
        .unwrap()
        .with_categorical("country", texts_of("country", n))
        .unwrap()
        .with_categorical("device", texts_of("device", n))
        .unwrap()
        .with_categorical("merchant", texts_of("merchant", n))
        .unwrap()
        .with_attribute(
            "time",
            Attribute::numbers(
                (0..n).map(|i| missing(i, 1.7e9 + 1e4 * i as f64)).collect::<Vec<_>>(),
            ),
        )
        .unwrap()
}

fn encoders() -> Vec<Encoder> {
    let dates = DateParts::new([DatePart::Weekday, DatePart::Hour]).unwrap();
    let short = Encoder::only()
        .column("amount", NumberForm::Log)
        .column("age", Bins::quantiles(5).unwrap())
        .column("country", OneHot::new().min_count(5).drop_first(true))
        .cross(["country", "device"], OneHot::new().order(LevelOrder::Count))
        .column("device", Ordinal::new())
        .column("merchant", TargetEncoding::new())
        .date("time", dates.clone().cyclic(true));
    vec![
        short.clone(),
        short.clone().sparse(true),
        short.cross(["merchant", "device"], Encoding::Hashed),
        Encoder::hashing(6).unwrap(),
        Encoder::hashing(6)
            .unwrap()
            .precision(imbalance::Precision::F32)
            .column("age", NumberForm::Plain)
            .column("merchant", Encoding::Frequency)
            .remember_values(true)
            .date("time", dates.utc_offset(-5.0).unwrap()),
    ]
}

fn record(
    table: &Table,
    row: usize,
    texts: &[Vec<String>; 3],
) -> Vec<(&'static str, f64, Option<String>)> {
    let mut record: Vec<_> =
        ["amount", "age"].map(|name| (name, table.numeric(name).unwrap()[row], None)).to_vec();
    let named = ["country", "device", "merchant"].iter().zip(texts);
    record.extend(named.map(|(name, texts)| (*name, 0.0, Some(texts[row].clone()))));
    record.push(("time", table.numbers("time").unwrap()[row], None));
    record
}

#[test]
fn a_table_and_its_records_agree_and_so_does_the_saved_encoder() {
    let table = log(300);
    let texts = ["country", "device", "merchant"].map(|column| texts_of(column, 300));
    for (number, encoder) in encoders().into_iter().enumerate() {
        assert_eq!(Encoder::from_json(&encoder.to_json().unwrap()).unwrap(), encoder);
        let fitted = encoder.fit(&table).unwrap();
        assert_eq!(fitted.column_names().count(), fitted.columns(), "encoder {number}");
        let again = FittedEncoder::from_json(&fitted.to_json().unwrap()).unwrap();
        assert_eq!(again, fitted);
        assert_eq!(FittedEncoder::from_bytes(&fitted.to_bytes().unwrap()).unwrap(), fitted);
        let data = fitted.encode(&table).unwrap();
        let read: Vec<&str> = fitted.record_names().collect();
        let mut buffer = EncodedRow::default();
        for row in 0..table.rows() {
            let record = record(&table, row, &texts);
            let values = record.iter().filter(|(name, ..)| read.contains(name));
            let values: Vec<(&str, Value<'_>)> = values
                .map(|(name, number, text)| {
                    (*name, text.as_ref().map_or(Value::Number(*number), Value::from))
                })
                .collect();
            let served = again.encode_record(&values, &mut buffer).unwrap();
            assert_eq!(
                served.to_vec().unwrap(),
                data.features().row(row).to_vec().unwrap(),
                "encoder {number}, row {row}"
            );
        }
    }
}

#[cfg(feature = "rayon")]
#[test]
fn columns_in_another_order_and_any_number_of_threads_give_the_same_bits() {
    let table = log(300);
    let features = |table: &Table, encoder: &Encoder, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| dense(&encoder.fit_encode(table, 7).unwrap().1))
    };
    // The same columns, the last one first.
    let mut turned = Table::new(table.labels()).unwrap();
    for name in ["age", "amount"] {
        turned = turned.with_numeric(name, table.numeric(name).unwrap()).unwrap();
    }
    turned = turned.with_attribute("time", table.attribute("time").unwrap().clone()).unwrap();
    for name in ["merchant", "device", "country"] {
        turned = turned.with_categorical(name, texts_of(name, 300)).unwrap();
    }
    // Encoders of named columns; others follow the order of the table.
    for encoder in &encoders()[..3] {
        let one = features(&table, encoder, 1);
        assert_eq!(features(&table, encoder, 3), one);
        assert_eq!(features(&turned, encoder, 2), one);
    }
}

#[test]
fn weights_are_repeats_and_the_order_of_rows_is_nothing() {
    let table = log(200);
    let weights: Vec<f64> = (0..200).map(|i| f64::from(i % 4)).collect();
    let repeated: Vec<usize> =
        (0..200).flat_map(|i| std::iter::repeat_n(i, weights[i] as usize)).collect();
    let reversed: Vec<usize> = repeated.iter().rev().copied().collect();
    let weighted = table.clone().with_weights(weights).unwrap();
    for encoder in [
        Encoder::only().column("merchant", TargetEncoding::new()),
        Encoder::only().column("merchant", Encoding::Frequency),
        Encoder::only().column("age", Bins::quantiles(4).unwrap()),
        Encoder::only().column("amount", NumberForm::Log).column("country", Ordinal::new()),
    ] {
        let one = encoder.fit(&weighted).unwrap().encode(&table).unwrap();
        let names: Vec<String> = encoder.fit(&weighted).unwrap().column_names().collect();
        for rows in [&repeated, &reversed] {
            let other = encoder.fit(&table.select(rows).unwrap()).unwrap();
            let same = other.encode(&table).unwrap();
            for (row, (a, b)) in dense(&one).iter().zip(dense(&same)).enumerate() {
                // A level of weight 0 is known to one of them, and has no rows in the other.
                for (a, b) in a.iter().zip(b) {
                    assert!((a - b).abs() < 1e-12, "{names:?}, row {row}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn levels_that_training_did_not_see_are_as_documented() {
    let (json, table) = reference();
    let mut buffer = EncodedRow::default();
    let mut of = |encoding: Encoding| -> Vec<f64> {
        let encoder = Encoder::only().column("c", encoding).fit(&table).unwrap();
        encoder.encode_record(&[("c", "new".into())], &mut buffer).unwrap().to_vec().unwrap()
    };
    let levels = texts(&json["categories"]).len();
    assert_eq!(of(OneHot::new().into()), vec![0.0; levels]);
    assert_eq!(of(OneHot::new().other(true).into())[levels], 1.0);
    assert_eq!(of(Ordinal::new().into()), [-1.0]);
    assert_eq!(of(Encoding::Frequency), [0.0]);
    assert_eq!(of(TargetEncoding::new().into()), [0.0]);
    let rate = table.totals().rate();
    assert_eq!(of(TargetEncoding::new().rate(true).into()), [rate]);
    let given = LevelOrder::Given(vec!["c".into(), "a".into()]);
    let encoder = Encoder::only().column("c", Ordinal::new().order(given)).fit(&table).unwrap();
    let mut code =
        |text: &str| encoder.encode_record(&[("c", text.into())], &mut buffer).unwrap().get(0);
    assert_eq!([code("c"), code("a"), code("b")], [0.0, 1.0, -1.0]);
}

/// Labels that have nothing to do with a column of 2,000 levels in 8,000 rows.
#[test]
fn rates_out_of_fold_do_not_leak() {
    let n = 8_000;
    let random = |i: usize, of: &str| Seed::new(i as u64).child(of).value();
    let train = Table::new((0..n).map(|i| random(i, "y") % 50 == 0).collect::<Vec<_>>())
        .unwrap()
        .with_categorical("user", (0..n).map(|i| (random(i, "user") % 2_000).to_string()))
        .unwrap();
    let target = TargetEncoding::new().shrinkage(5.0).unwrap();
    let encoder = Encoder::only().column("user", target);
    let (fitted, data) = encoder.fit_encode(&train, 7).unwrap();
    let auc = |data: &Dataset<'_>| roc_auc(data.labels(), &dense(data).concat(), None).unwrap();
    // Under no association, with m positives the standard error is 1/√(12 m).
    let standard_error = 1.0 / (12.0 * train.totals().positive_weight).sqrt();
    let (honest, leaking) = (auc(&data), auc(&fitted.encode(&train).unwrap()));
    assert!((honest - 0.5).abs() < 3.0 * standard_error, "{honest}");
    assert!(leaking > 0.9, "{leaking}");
    // By time, the first rows have no rows before them.
    let train =
        train.with_attribute("t", Attribute::numbers((0..n).map(|i| i as f64).collect::<Vec<_>>()));
    let forward = TargetEncoding::new().folds(4, Cut::by_time("t")).unwrap();
    let (_, data) = Encoder::only()
        .column("user", forward.shrinkage(5.0).unwrap())
        .fit_encode(&train.unwrap(), 7)
        .unwrap();
    let rows = dense(&data).concat();
    assert!(rows[..n / 5].iter().all(|x| *x == 0.0) && rows[n / 5..].iter().any(|x| *x != 0.0));
    assert!((auc(&data) - 0.5).abs() < 3.0 * standard_error);
}

/// Levels whose rates are drawn around 0.1 with the spread of 60 rows: k is found; levels that differ by chance alone
/// are shrunk entirely.
#[test]
fn the_shrinkage_is_what_the_levels_say() {
    let (levels, rows) = (400, 100);
    // Two rates, 0.1 ± τ, with τ² = p̄(1 − p̄)/(k + 1).
    let k = 60.0;
    let tau = (0.1 * 0.9 / (k + 1.0_f64)).sqrt();
    let made = |spread: f64| {
        let rate = |level: usize| if level.is_multiple_of(2) { 0.1 + spread } else { 0.1 - spread };
        let labels = (0..levels * rows).map(|i| number(i, "y") < rate(i % levels));
        Table::new(labels.collect::<Vec<_>>())
            .unwrap()
            .with_categorical("c", (0..levels * rows).map(|i| (i % levels).to_string()))
            .unwrap()
    };
    let shrunk = |train: &Table| {
        let target = Encoder::only().column("c", TargetEncoding::new().rate(true));
        dense(&target.fit(train).unwrap().encode(train).unwrap()).concat()
    };
    let train = made(tau);
    let rates = shrunk(&train);
    let p = train.totals().rate();
    // (Σy + k p̄)/(n + k) solved for k, from the level that is farthest off.
    let raw = |level: usize| {
        let mine = (0..rows).filter(|row| train.labels()[row * levels + level]).count();
        mine as f64 / rows as f64
    };
    let far =
        (0..levels).max_by(|a, b| (raw(*a) - p).abs().total_cmp(&(raw(*b) - p).abs())).unwrap();
    let found = rows as f64 * ((raw(far) - p) / (rates[far] - p) - 1.0);
    // τ² is found from 400 levels with a relative error of about √(2/400)(1 + k/n) = 0.11; three of it.
    assert!((found / k - 1.0).abs() < 0.35, "{found}");
    let train = made(0.0);
    let p = train.totals().rate();
    assert!(shrunk(&train).iter().all(|rate| (rate - p).abs() < 0.01));
}

#[test]
fn quantiles_hold_equal_shares_and_ranges_have_names() {
    let n = 1_000;
    let train = Table::new((0..n).map(|i| i % 5 == 0).collect::<Vec<_>>())
        .unwrap()
        .with_numeric("x", (0..n).map(|i| f64::from((i * 7919) % n)).collect::<Vec<_>>())
        .unwrap();
    let encoder = Encoder::only().column("x", Bins::quantiles(8).unwrap()).fit(&train).unwrap();
    let data = encoder.encode(&train).unwrap();
    for column in 0..8 {
        let rows = dense(&data).iter().filter(|row| row[column] == 1.0).count();
        assert_eq!(rows, 125);
    }
    assert_eq!(encoder.column_names().nth(1).as_deref(), Some("x in [125, 250)"));
    // A constant has one range; a number that is missing later is in none.
    let constant =
        Table::new(vec![true, false]).unwrap().with_numeric("x", vec![2.0, 2.0]).unwrap();
    let encoder = Encoder::only().column("x", Bins::quantiles(8).unwrap()).fit(&constant).unwrap();
    assert_eq!(encoder.column_names().collect::<Vec<_>>(), ["x known"]);
    let mut buffer = EncodedRow::default();
    let row = encoder.encode_record(&[("x", Value::Missing)], &mut buffer).unwrap();
    assert_eq!(row.to_vec().unwrap(), [0.0]);
}

#[test]
fn hashed_columns_have_names_if_they_are_remembered() {
    let table = log(50);
    let encoder = Encoder::hashing(4).unwrap().remember_values(true).fit(&table).unwrap();
    let (column, _) = encoder.hashed("device", "device1").unwrap().unwrap();
    let values: Vec<&str> = encoder.values_of(column).unwrap().collect();
    assert!(values.contains(&"device=device1"), "{values:?}");
    assert!(Encoder::hashing(4).unwrap().fit(&table).unwrap().values_of(column).is_none());
}

#[test]
fn what_does_not_fit_is_an_error_that_names_the_column() {
    let table = log(60);
    let error = |encoder: Encoder| encoder.fit(&table).unwrap_err().to_string();
    let only = Encoder::only;
    assert!(
        error(only().column("country", NumberForm::Log)).contains("no numeric column `country`")
    );
    assert!(error(only().column("age", OneHot::new())).contains("no categorical column `age`"));
    let twice = only().column("age", NumberForm::Log).column("age", Bins::quantiles(2).unwrap());
    assert!(error(twice).contains("`age` is named twice"));
    assert!(error(only()).contains("without numeric and categorical columns"));
    let crossed = only().cross(["age", "country"], NumberForm::Log);
    assert!(error(crossed).contains("age × country"));
    assert!(matches!(Bins::quantiles(1), Err(Error::InvalidArgument { argument: "bins", .. })));
    for k in [f64::NAN, 0.0, f64::INFINITY] {
        assert!(TargetEncoding::new().shrinkage(k).is_err(), "{k}");
    }
    assert!(TargetEncoding::new().folds(1, Cut::Stratified).is_err());
    // Columns that are not named may be there, or not.
    let encoder = only().column("age", NumberForm::Plain).fit(&table).unwrap();
    let few = table.clone().pick_features(["age"]).unwrap();
    assert_eq!(dense(&encoder.encode(&few).unwrap()), dense(&encoder.encode(&table).unwrap()));
    let mut buffer = EncodedRow::default();
    let record = [("other", "x".into()), ("age", 3.0.into())];
    assert_eq!(encoder.encode_record(&record, &mut buffer).unwrap().to_vec().unwrap(), [3.0, 0.0]);
}

/// Rows with gaps, a rare level in a few rows, and an all-missing number in the first tables.
fn divided(parts: usize) -> Vec<Table> {
    const ROWS: usize = 4_000;
    let random = |id: usize, what: &str| Seed::new(id as u64).child(what).value();
    let part = |part: usize| {
        let ids = || part * ROWS / parts..(part + 1) * ROWS / parts;
        let numbers = |of: &dyn Fn(usize) -> f64| ids().map(of).collect::<Vec<_>>();
        Table::new(ids().map(|id| random(id, "label") % 50 == 0).collect::<Vec<_>>())
            .and_then(|table| {
                let size = |id| 1e6 + (random(id, "size") % 1000) as f64;
                table.with_numeric("size", numbers(&size))
            })
            .and_then(|table| {
                let late = |id: usize| if id < 2_500 { f64::NAN } else { (id % 13) as f64 };
                table.with_numeric("late", numbers(&late))
            })
            .and_then(|table| {
                let site = |id: usize| match random(id, "site") % 400 {
                    0 => "rare".into(),
                    of => format!("site {}", of % 9),
                };
                table.with_categorical("site", ids().map(site))
            })
            .and_then(|table| {
                table
                    .with_categorical("device", ids().map(|id| format!("d{}", random(id, "d") % 3)))
            })
            .and_then(|table| {
                table.with_attribute("time", Attribute::numbers(numbers(&|id| id as f64 * 4e3)))
            })
            .and_then(|table| {
                table.with_weights(numbers(&|id| {
                    (random(id, "w") % 4) as f64 + f64::from(u8::from(id % 4000 == 0))
                }))
            })
            .unwrap()
    };
    (0..parts).map(part).collect()
}

#[test]
fn encoders_of_a_source_are_those_of_its_rows() {
    let whole = Table::concat(divided(1)).unwrap();
    let encoders = [
        Encoder::hashing(6).unwrap().remember_values(true),
        Encoder::only()
            .columns(["size", "late"], NumberForm::Standardised)
            .column("site", OneHot::new().min_count(12))
            .column("device", Ordinal::new())
            .cross(["site", "device"], Encoding::Frequency)
            .date("time", DateParts::new([DatePart::Hour, DatePart::Weekday]).unwrap()),
        Encoder::only().column("size", NumberForm::Log).column("site", Encoding::Frequency),
    ];
    for encoder in encoders {
        let expected = encoder.fit(&whole).unwrap();
        let names: Vec<String> = expected.column_names().collect();
        for parts in [1, 7, 64] {
            let fitted = encoder.fit_source(divided(parts).as_slice(), &Run::default()).unwrap();
            assert!(fitted.column_names().eq(names.iter().cloned()));
            let (a, b) = (fitted.features(&whole).unwrap(), expected.features(&whole).unwrap());
            for (a, b) in a.view().rows().zip(b.view().rows()) {
                for ((i, x), (j, y)) in a.entries().zip(b.entries()) {
                    assert!(
                        i == j && (x - y).abs() < 1e-9 * (1.0 + y.abs()),
                        "{parts}: {x} and {y}"
                    );
                }
            }
            let column = names.iter().position(|name| name.starts_with("hash")).unwrap_or(0);
            let values = |of: &FittedEncoder| -> Vec<String> {
                of.values_of(column).into_iter().flatten().map(Into::into).collect()
            };
            assert_eq!(values(&fitted), values(&expected));
        }
    }
}

#[test]
fn encodings_that_need_all_rows_are_refused_for_a_source() {
    let refused = |encoder: Encoder| {
        encoder.fit_source(divided(3).as_slice(), &Run::default()).unwrap_err().to_string()
    };
    let bins = Encoder::only().column("size", Bins::quantiles(4).unwrap());
    assert!(refused(bins.clone()).contains("sample in memory"), "{}", refused(bins));
    let target = Encoder::only().column("site", TargetEncoding::new());
    assert!(refused(target.clone()).contains("out of fold"), "{}", refused(target));
    let none: [Table; 0] = [];
    let error = Encoder::default().fit_source(none.as_slice(), &Run::default()).unwrap_err();
    assert!(matches!(error, Error::NoRows { .. }), "{error}");
    let run = Run::default().observed(|_| std::ops::ControlFlow::Break(()));
    let error = Encoder::default().fit_source(divided(9).as_slice(), &run).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
}

#[test]
fn tables_are_joined_and_refuse_others() {
    let (one, many) = (divided(1).remove(0), Table::concat(divided(7)).unwrap());
    assert_eq!(one.labels(), many.labels());
    assert_eq!(one.weights(), many.weights());
    assert_eq!(one.numeric("size").unwrap(), many.numeric("size").unwrap());
    let encoder = Encoder::only().column("site", OneHot::new()).fit(&one).unwrap();
    assert!(
        encoder.column_names().eq(Encoder::only()
            .column("site", OneHot::new())
            .fit(&many)
            .unwrap()
            .column_names())
    );
    let other = one.clone().drop_features(["size"]).unwrap();
    let error = Table::concat([one.clone(), other]).unwrap_err();
    assert!(error.to_string().contains("the same in all tables"), "{error}");
    let thinned = one.clone().with_distortion(imbalance::Distortion::PriorShift { log_odds: 1.0 });
    let error = Table::concat([one, thinned]).unwrap_err();
    assert!(error.to_string().contains("distortion"), "{error}");
    assert!(matches!(Table::concat([]), Err(Error::NoRows { .. })));
}
