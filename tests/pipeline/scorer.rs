//! From a named record to a probability.

use std::collections::BTreeMap;

use imbalance::data::{DatePart, DateParts, Encoding, OneHot, TargetEncoding, Value};
use imbalance::prelude::*;
use imbalance::saved::Saved;
use imbalance::{Attribute, Scorer};

const COUNTRIES: [&str; 4] = ["FR", "DE", "", "IT"];

fn log(rows: usize) -> Table {
    let seconds = (0..rows).map(|i| 1.7e9 + 5e3 * i as f64);
    Table::new((0..rows).map(|i| (i * 7) % 19 < 2).collect::<Vec<_>>())
        .unwrap()
        .with_numeric("price", (0..rows).map(|i| ((i * 13) % 50) as f64).collect::<Vec<_>>())
        .unwrap()
        .with_numeric(
            "age",
            (0..rows)
                .map(|i| if i % 7 == 2 { f64::NAN } else { (i % 60) as f64 })
                .collect::<Vec<_>>(),
        )
        .unwrap()
        .with_categorical("country", (0..rows).map(|i| COUNTRIES[i % 4]))
        .unwrap()
        .with_categorical("merchant", (0..rows).map(|i| format!("m{}", i % 30)))
        .unwrap()
        .with_attribute("time", Attribute::numbers(seconds.collect::<Vec<_>>()))
        .unwrap()
}

/// Every encoder, with the scorer that was trained on what it makes.
fn scorers(train: &Table) -> Vec<Scorer> {
    let named = Encoder::only()
        .columns(["price", "age"], imbalance::data::NumberForm::Standardised)
        .column("country", OneHot::new())
        .column("merchant", TargetEncoding::new())
        .date("time", DateParts::new([DatePart::Hour]).unwrap().cyclic(true));
    let hashed = Encoder::hashing(10).unwrap();
    let crossed = named.clone().cross(["country", "merchant"], Encoding::Hashed);
    [named, hashed, crossed]
        .into_iter()
        .map(|encoder| {
            let (encoder, data) = encoder.fit_encode(train, 7).unwrap();
            let pipeline = Pipeline::new(LogisticRegression::new())
                .sampler(RandomUnderSampler::negatives_per_positive(3.0).unwrap())
                .calibrator(PriorCorrection::new());
            Scorer::new(encoder, pipeline.fit(&data).unwrap()).unwrap()
        })
        .collect()
}

fn record(table: &Table, row: usize) -> Vec<(&'static str, Value<'static>)> {
    let number = |name| Value::from(table.numeric(name).unwrap()[row]);
    let merchant = format!("m{}", row % 30).leak();
    vec![
        ("country", COUNTRIES[row % 4].into()),
        ("merchant", Value::Text(merchant)),
        ("time", table.numbers("time").unwrap()[row].into()),
        ("age", number("age")),
        ("price", number("price")),
    ]
}

#[test]
fn tables_records_and_loaded_scorers_agree_to_the_bit() {
    let train = log(600);
    for scorer in scorers(&train) {
        let loaded = Scorer::from_json(&scorer.to_json().unwrap()).unwrap();
        assert_eq!(
            Scorer::from_bytes(&scorer.to_bytes().unwrap()).unwrap().to_json().unwrap(),
            loaded.to_json().unwrap()
        );
        let p = scorer.probabilities(&train).unwrap();
        assert_eq!(loaded.probabilities(&train).unwrap(), p);
        let reads: Vec<String> = scorer.encoder().record_names().map(Into::into).collect();
        for (row, p) in p.iter().enumerate().take(100) {
            let record = record(&train, row);
            let record: Vec<_> = record
                .into_iter()
                .filter(|(name, _)| reads.iter().any(|read| read == name))
                .collect();
            assert_eq!(loaded.probability(&record).unwrap().to_bits(), p.to_bits());
            // A map, and a JSON object, in which a missing number is null.
            let map: BTreeMap<&str, serde_json::Value> = record
                .iter()
                .map(|(name, value)| {
                    let value = match value {
                        Value::Number(number) => serde_json::json!(number),
                        Value::Text(text) => serde_json::json!(text),
                        _ => serde_json::Value::Null,
                    };
                    (*name, value)
                })
                .collect();
            assert_eq!(loaded.probability_of(&map).unwrap().to_bits(), p.to_bits());
            let json = serde_json::to_string(&map).unwrap();
            assert_eq!(loaded.probability_of_json(&json).unwrap().to_bits(), p.to_bits());
        }
    }
}

#[test]
fn the_steady_state_allocates_nothing() {
    let train = log(600);
    for scorer in scorers(&train) {
        let reads: Vec<String> = scorer.encoder().record_names().map(Into::into).collect();
        let mut record = record(&train, 3);
        record.retain(|(name, _)| reads.iter().any(|read| read == name));
        scorer.probability(&record).unwrap();
        record[0].1 = "never seen before".into();
        let count = allocation_counter::measure(|| {
            for _ in 0..100 {
                scorer.probability(&record).unwrap();
            }
        });
        assert_eq!(count.count_total, 0);
    }
}

#[test]
fn wrong_records_are_errors_that_name_the_column() {
    let train = log(600);
    let scorer = &scorers(&train)[1];
    let error = |json: &str| scorer.probability_of_json(json).unwrap_err().to_string();
    let complete = r#"{"price": 3.5, "age": null, "country": "FR", "merchant": "m1"}"#;
    assert!(scorer.probability_of_json(complete).is_ok());
    assert!(error(r#"{"age": 1, "country": "FR", "merchant": "m1"}"#).contains("without `price`"));
    assert!(error(&complete.replace("age", "agee")).contains("no fitted column `agee`"));
    assert!(error(&complete.replace("3.5", "\"dear\"")).contains("`price` holds a text"));
    assert!(error(&complete.replace("\"FR\"", "3")).contains("`country` holds a number"));
    assert!(error(&complete.replace("\"FR\"", "[3]")).contains("country: [3]"));
    assert!(error("[1, 2]").contains("values by name"));
    assert!(error("{").contains("EOF"));
    // Another pipeline's columns.
    let data = Dataset::new(imbalance::ndarray::array![[1.0], [0.0]], vec![true, false]).unwrap();
    let other = Pipeline::new(LogisticRegression::new()).fit(&data).unwrap();
    let error = Scorer::new(scorer.encoder().clone(), other).unwrap_err();
    assert!(matches!(error, Error::ColumnMismatch { expected: 1, .. }), "{error}");
}
