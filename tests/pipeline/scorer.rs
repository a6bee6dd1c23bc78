//! From a named record to a probability.

use std::collections::BTreeMap;

use imbalance::calibration::{Calibration, Uncalibrated};
use imbalance::data::{DatePart, DateParts, Encoding, OneHot, TargetEncoding, TimeFormat, Value};
use imbalance::model::LinearModel;
use imbalance::pipeline::Scales;
use imbalance::prelude::*;
use imbalance::saved::Saved;
use imbalance::{Attribute, FittedPipeline, Scorer};

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

#[test]
fn shares_of_columns_add_up_to_the_prediction() {
    let train = log(600);
    let mut all = scorers(&train);
    // Few hashed columns, in which columns of the record meet, and trees, which ask for those that it has nothing in.
    let encoder = Encoder::hashing(2).unwrap().fit(&train).unwrap();
    let data = encoder.encode(&train).unwrap();
    let linear = Pipeline::new(LogisticRegression::new().l2(1.0).unwrap()).fit(&data).unwrap();
    all.push(Scorer::new(encoder.clone(), linear).unwrap());
    #[cfg(feature = "gbdt")]
    {
        let trees = imbalance::model::BoostedTrees::new().trees(20).unwrap();
        all.push(Scorer::new(encoder, Pipeline::new(trees).fit(&data).unwrap()).unwrap());
    }
    for scorer in all {
        let reads: Vec<String> = scorer.encoder().record_names().map(Into::into).collect();
        for row in 0..40 {
            let mut record = record(&train, row);
            record.retain(|(name, _)| reads.iter().any(|read| read == name));
            let explanation = scorer.explain(&record).unwrap();
            let (base, prediction) = (explanation.features.base, explanation.features.prediction);
            assert_eq!(prediction.probability, scorer.probability(&record).unwrap());
            let sum = |of: fn(&Scales) -> f64| {
                explanation.columns.iter().map(|column| of(&column.share)).sum::<f64>()
            };
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} and {b}");
            close(base.logit + sum(|share| share.logit), prediction.logit);
            close(base.probability + sum(|share| share.probability), prediction.probability);
            let log_odds = base.log_odds.unwrap() + sum(|share| share.log_odds.unwrap());
            close(log_odds, prediction.log_odds.unwrap());
            for column in &explanation.columns {
                let names = column.name.split(" × ").flat_map(|name| name.split(", "));
                let known = names.into_iter().all(|name| reads.iter().any(|read| read == name));
                assert!(known, "{}", column.name);
            }
        }
    }
}

/// By hand: with an intercept of −1 and coefficients of 1, 2, 3, …, each feature adds its coefficient times its value.
#[test]
fn a_column_has_the_shares_of_its_features() {
    let table = Table::new(vec![false, true, false, true]).unwrap();
    let table = table.with_numeric("price", vec![2.0, f64::NAN, 4.0, 9.0]).unwrap();
    let table = table.with_categorical("country", ["FR", "DE", "FR", "IT"]).unwrap();
    let table = table.with_categorical("shop", ["a", "b", "c", "d"]).unwrap();
    let encoder = Encoder::hashing(1)
        .unwrap()
        .column("price", imbalance::data::NumberForm::Plain)
        .column("country", OneHot::new())
        .column("shop", Encoding::Hashed)
        .cross(["country", "shop"], Encoding::Hashed)
        .fit(&table)
        .unwrap();
    // The second feature, `country=DE`, is left out: the others move up.
    let encoder = encoder.drop_columns(&[1]).unwrap();
    let names: Vec<String> = encoder.column_names().collect();
    assert_eq!(names, ["price", "country=FR", "country=IT", "price missing", "hash 0", "hash 1"]);
    let model = LinearModel::new((1..=6).map(f64::from).collect(), -1.0).unwrap();
    let member = (model, Calibration::new(Uncalibrated));
    let scorer = Scorer::new(encoder, FittedPipeline::from_parts([member]).unwrap()).unwrap();
    for (country, shop) in [("FR", "a"), ("IT", "b"), ("FR", "c"), ("IT", "d"), ("DE", "e")] {
        for price in [Some(2.5), None] {
            let record =
                [("price", price.into()), ("country", country.into()), ("shop", shop.into())];
            let explanation = scorer.explain(&record).unwrap();
            let of = |name: &str| {
                let found = explanation.columns.iter().find(|column| column.name == name);
                found.map_or((String::new(), 0.0), |of| (of.value.clone(), of.share.logit))
            };
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} and {b}");
            let (value, share) = of("price");
            assert_eq!(value, if price.is_some() { "2.50000" } else { "missing" });
            close(share, price.unwrap_or(4.0));
            close(
                of("country").1,
                match country {
                    "FR" => 2.0,
                    "IT" => 3.0,
                    _ => 0.0,
                },
            );
            let encoder = scorer.encoder();
            let (feature, sign) = encoder.hashed("shop", shop).unwrap().unwrap();
            let hashed: f64 = (4..6)
                .map(|j| {
                    let term = explanation.features.terms.iter().find(|term| term.column == j);
                    term.map_or(0.0, |term| term.share.logit)
                })
                .sum();
            let cross = of("country × shop");
            close(of("shop").1 + cross.1, hashed);
            // Two that fall into one feature with opposite signs are not there.
            if of("shop").1 != 0.0 {
                close(of("shop").1, sign * (feature + 1) as f64);
                assert_eq!(cross.0, format!("{country} × {shop}"));
            }
        }
    }
    let json = r#"{"price": 2.5, "country": "FR", "shop": "a"}"#;
    let explanation = scorer.explain_of_json(json).unwrap();
    assert!(explanation.to_string().contains("(prediction)"), "{explanation}");
    assert!(explanation.text(1).contains("more columns)"), "{}", explanation.text(1));
}

#[test]
fn a_time_in_a_record_is_a_number() {
    let train = log(600);
    let scorer = &scorers(&train)[0];
    let json =
        r#"{"price": 3.5, "age": 1, "country": "FR", "merchant": "m1", "time": "2023-11-14"}"#;
    let error = scorer.probability_of_json(json).unwrap_err().to_string();
    assert!(
        error.contains("`time` holds a text") && error.contains("TimeFormat::seconds"),
        "{error}"
    );
    let seconds = |format: TimeFormat, text| format.seconds(text);
    assert_eq!(seconds(TimeFormat::Found, "2023-11-14 22:13:20 UTC").unwrap(), 1.7e9);
    assert_eq!(seconds(TimeFormat::Milliseconds, "1700000000000").unwrap(), 1.7e9);
    let error = |format, text| seconds(format, text).unwrap_err().to_string();
    assert!(error(TimeFormat::Found, "20231114").contains("%Y%m%d"));
    assert!(error(TimeFormat::Found, "yesterday").contains("`yesterday`, which is neither"));
    assert!(error(TimeFormat::pattern("%d"), "3").contains("a pattern of `strptime`"));
}
