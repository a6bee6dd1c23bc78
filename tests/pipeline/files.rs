//! Files that earlier versions wrote are read for ever.
//!
//! `tests/fixtures/saved/1` holds files of version 1, with the probabilities they give. They are written once, by
//! `cargo test --all-features --test pipeline write_the_files -- --ignored`, and never changed; what is new gets new
//! files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use imbalance::prelude::*;
use imbalance::saved::Saved;
use imbalance::{DynFittedPipeline, Scorer};

use super::saved::{fitted, log};
use super::untrusted::{boxed_calibrators, boxed_losses, boxed_models, boxed_samplers};

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", "saved", "1"].iter().collect()
}

/// The first rows, which are scored.
fn first<'a>(data: &'a Dataset<'_>) -> Dataset<'a> {
    data.select(&(0..40).collect::<Vec<_>>()).unwrap()
}

fn table() -> Table {
    Table::new((0..60).map(|i| i % 7 == 0).collect::<Vec<_>>())
        .unwrap()
        .with_numeric("price", (0..60).map(|i| f64::from(i % 9)).collect::<Vec<_>>())
        .unwrap()
        .with_categorical("country", (0..60).map(|i| ["FR", "DE", "", "IT"][i % 4]))
        .unwrap()
        .with_categorical("merchant", (0..60).map(|i| format!("m{}", i % 11)))
        .unwrap()
}

/// Letters and digits, joined by hyphens.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// A configuration for every sampler, loss, model and calibrator.
fn configurations() -> BTreeMap<String, DynPipeline> {
    let plain = || Pipeline::new(LogisticRegression::new()).seed(7).boxed();
    let samplers = boxed_samplers().into_iter().map(|sampler| plain().sampler(sampler));
    let losses = boxed_losses().into_iter().map(|loss| plain().loss(loss));
    let models = boxed_models().into_iter().map(|model| Pipeline::new(model).boxed());
    let calibrators = boxed_calibrators().into_iter().map(|c| plain().calibrator(c));
    let all = samplers.chain(losses).chain(models).chain(calibrators);
    all.enumerate()
        .map(|(number, pipeline)| (format!("configuration-{number:02}"), pipeline))
        .collect()
}

#[test]
#[ignore = "writes files that must not change"]
fn write_the_files_of_this_version() {
    fs::create_dir_all(folder()).unwrap();
    let write = |name: &str, text: &str| {
        let file = folder().join(format!("{name}.json"));
        assert!(!file.exists(), "{name} must not change");
        fs::write(file, text).unwrap();
    };
    let mut expected = BTreeMap::new();
    let data = log();
    let rows = first(&data);
    for (name, fitted) in fitted(&data) {
        let name = format!("fitted-{}", plain(&name));
        write(&name, &fitted.to_json().unwrap());
        expected.insert(name, fitted.probabilities(rows.features()).unwrap());
    }
    for (name, pipeline) in configurations() {
        write(&name, &pipeline.to_json().unwrap());
    }
    let target = imbalance::data::TargetEncoding::new();
    let encoder = Encoder::hashing(4).unwrap().column("merchant", target);
    let encoder = encoder.column("country", imbalance::data::OneHot::new());
    write("encoder", &encoder.to_json().unwrap());
    let (encoder, data) = encoder.fit_encode(&table(), 7).unwrap();
    let fitted = Pipeline::new(LogisticRegression::new()).fit(&data).unwrap();
    let scorer = Scorer::new(encoder, fitted).unwrap();
    write("scorer", &scorer.to_json().unwrap());
    expected.insert("scorer".into(), scorer.probabilities(&table()).unwrap());
    write("expected", &serde_json::to_string(&expected).unwrap());
}

#[test]
fn files_of_version_1_are_read_as_they_were_written() {
    let read = |name: &str| fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let expected: BTreeMap<String, Vec<f64>> = serde_json::from_str(&read("expected")).unwrap();
    let data = log();
    let rows = first(&data);
    let needs_trees = |name: &str| name.contains("trees") || name.contains("leaves");
    for (name, expected) in &expected {
        if needs_trees(name) && !cfg!(feature = "gbdt") {
            continue;
        }
        let p = if name == "scorer" {
            let scorer = Scorer::from_json(&read(name)).unwrap();
            assert_eq!(content(&scorer.to_json().unwrap()), content(&read(name)), "{name}");
            scorer.probabilities(&table()).unwrap()
        } else {
            let fitted = DynFittedPipeline::from_json(&read(name)).unwrap();
            assert_eq!(content(&fitted.to_json().unwrap()), content(&read(name)), "{name}");
            fitted.probabilities(rows.features()).unwrap()
        };
        let bits = |p: &[f64]| p.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&p), bits(expected), "{name}");
    }
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    let names = files.map(|name| name.into_string().unwrap().replace(".json", ""));
    let mut configurations = 0;
    for name in names.filter(|name| name.starts_with("configuration")) {
        let text = read(&name);
        if text.contains("\"boosted_") && !cfg!(feature = "gbdt") {
            continue;
        }
        let pipeline = DynPipeline::from_json(&text).unwrap();
        assert_eq!(content(&pipeline.to_json().unwrap()), content(&text), "{name}");
        configurations += 1;
    }
    assert!(configurations >= 40);
    assert!(Encoder::from_json(&read("encoder")).is_ok());
}

/// What stands behind the version of the crate.
fn content(text: &str) -> &str {
    &text[text.find("\"fingerprint\"").unwrap()..]
}
