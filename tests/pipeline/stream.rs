//! Fits to logs that are read batch by batch.

use std::ops::ControlFlow;

use imbalance::data::{NumberForm, TargetEncoding};
use imbalance::loss::{FocalLoss, WeightedLogLoss};
use imbalance::model::FtrlProximal;
use imbalance::model::logistic::StopReason;
use imbalance::prelude::*;
use imbalance::sampling::{LocalCaseControl, Pilot, RowKey, Smote};
use imbalance::stream::SourceFit;
use imbalance::{Attribute, CrossFit, Cut, Error, FromSource, Seed};

const ROWS: usize = 24_000;

fn random(id: usize, what: &str) -> f64 {
    (Seed::new(id as u64).child(what).value() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The population's logit of a row.
fn logit(id: usize) -> f64 {
    -4.0 + 1.5 * random(id, "a") - 2.0 * random(id, "b") + 0.3 * (id % 7) as f64
}

fn table(ids: &[usize]) -> Table {
    let all = |of: &dyn Fn(usize) -> f64| ids.iter().map(|&id| of(id)).collect::<Vec<f64>>();
    let labels: Vec<bool> =
        ids.iter().map(|&id| random(id, "label") < 1.0 / (1.0 + (-logit(id)).exp())).collect();
    Table::new(labels)
        .and_then(|table| table.with_numeric("a", all(&|id| random(id, "a"))))
        .and_then(|table| table.with_numeric("b", all(&|id| random(id, "b"))))
        .and_then(|table| table.with_categorical("site", ids.iter().map(|id| (id % 7).to_string())))
        .and_then(|table| table.with_attribute("id", Attribute::numbers(all(&|id| id as f64))))
        .unwrap()
}

fn divided(parts: usize) -> Vec<Table> {
    let part = |part: usize| (part * ROWS / parts..(part + 1) * ROWS / parts).collect::<Vec<_>>();
    (0..parts).map(|number| table(&part(number))).collect()
}

fn close(a: &[f64], b: &[f64], tolerance: f64) {
    for (place, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{place}: {a} and {b}");
    }
}

#[test]
fn the_minimum_is_that_of_all_rows_for_any_division() {
    let whole = Table::concat(divided(3)).unwrap();
    for (bits, weights) in [(3, false), (12, false), (3, true)] {
        let weighted = |table: Table| {
            let ids = table.numbers("id").unwrap().to_vec();
            let weights = ids.iter().map(|&id| 0.2 + random(id as usize, "w")).collect::<Vec<_>>();
            let offsets = ids.iter().map(|&id| random(id as usize, "o") - 0.5).collect::<Vec<_>>();
            table.with_weights(weights).and_then(|table| table.with_offsets(offsets)).unwrap()
        };
        let prepare = |table: Table| if weights { weighted(table) } else { table };
        let whole = prepare(whole.clone());
        let encoder = Encoder::hashing(bits).unwrap().fit(&whole).unwrap();
        let data = encoder.encode(&whole).unwrap();
        let losses: [&dyn Loss; 2] = [&LogLoss, &WeightedLogLoss::balanced()];
        for loss in losses {
            let model = LogisticRegression::new();
            let expected = model.fit(&data, loss, &Run::default()).unwrap();
            for parts in [1, 7, 64] {
                let mut log: Vec<Table> = divided(parts).into_iter().map(prepare).collect();
                log.rotate_left(parts / 2);
                let fit = SourceFit::new(model.clone()).key(RowKey::column("id"));
                let fit = fit.negatives_per_positive(5.0).unwrap().gap(1e-19).unwrap();
                let fitted = fit.fit(log.as_slice(), &encoder, loss, &Run::seeded(7)).unwrap();
                close(fitted.model.coefficients(), expected.coefficients(), 1e-9);
                close(&[fitted.model.intercept()], &[expected.intercept()], 1e-9);
                assert_eq!(fitted.model.diagnostics().stop, StopReason::Converged, "{fitted}");
                assert!(fitted.model.diagnostics().gradient_norm < 1e-6, "{fitted}");
                let (found, all) = (fitted.population, whole.totals());
                assert_eq!((found.positives, found.negatives), (all.positives, all.negatives));
                close(&[found.weight(), found.rate()], &[all.weight(), all.rate()], 1e-12);
                let sampled = 5.0 * fitted.population.positives as f64;
                let kept = fitted.sample.negatives as f64;
                assert!((kept - sampled).abs() < 5.0 * sampled.sqrt(), "{kept} and {sampled}");
            }
        }
    }
}

#[test]
fn an_l1_penalty_finds_the_same_zeros() {
    let log = divided(9);
    let whole = Table::concat(log.iter().cloned()).unwrap();
    for bits in [4, 10] {
        let encoder = Encoder::hashing(bits).unwrap().fit(&whole).unwrap();
        let data = encoder.encode(&whole).unwrap();
        let model = LogisticRegression::new().l2(1.0).unwrap().l1(30.0).unwrap();
        let expected = model.fit(&data, &LogLoss, &Run::default()).unwrap();
        let fit = SourceFit::new(model).negatives_per_positive(8.0).unwrap().gap(1e-16).unwrap();
        let fitted = fit.fit(log.as_slice(), &encoder, &LogLoss, &Run::seeded(7)).unwrap();
        close(fitted.model.coefficients(), expected.coefficients(), 1e-6);
        let zeros = |coefficients: &[f64]| -> Vec<bool> {
            coefficients.iter().map(|c| *c == 0.0).collect()
        };
        assert_eq!(zeros(fitted.model.coefficients()), zeros(expected.coefficients()));
        assert!(zeros(expected.coefficients()).contains(&true));
        assert!(zeros(expected.coefficients()).contains(&false));
    }
}

#[test]
fn more_memory_means_fewer_passes_and_too_little_is_refused() {
    let log = divided(6);
    let whole = Table::concat(log.iter().cloned()).unwrap();
    let encoder = Encoder::hashing(6).unwrap().fit(&whole).unwrap();
    let fit = |bytes: usize| {
        let fit = SourceFit::new(LogisticRegression::new()).memory(bytes);
        fit.fit(log.as_slice(), &encoder, &LogLoss, &Run::seeded(7))
    };
    let (small, large) = (fit(400_000).unwrap(), fit(1 << 30).unwrap());
    assert!(small.negatives_per_positive < large.negatives_per_positive);
    assert!(small.passes.len() > large.passes.len(), "{small}\n{large}");
    // All negatives fit: the sample is the log, and its own fit is the minimum.
    assert_eq!(large.sample.rows(), ROWS);
    assert_eq!((large.passes.len(), large.readings), (2, 4), "{large}");
    let error = fit(1_000).unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument { .. }), "{error}");
    assert!(
        error.to_string().contains("memory") && error.to_string().contains("at least"),
        "{error}"
    );
    assert!(large.to_string().contains("negatives for each positive"));
}

#[test]
fn passes_end_at_their_limit_and_by_the_observer() {
    let log = divided(6);
    let encoder = Encoder::hashing(6).unwrap().fit(&log[0]).unwrap();
    let fit = || SourceFit::new(LogisticRegression::new()).negatives_per_positive(1.0).unwrap();
    let two = fit().max_passes(2).unwrap().gap(1e-18).unwrap();
    let fitted = two.fit(log.as_slice(), &encoder, &LogLoss, &Run::seeded(7)).unwrap();
    assert_eq!(
        (fitted.passes.len(), fitted.model.diagnostics().stop),
        (2, StopReason::IterationLimit)
    );
    let run = Run::seeded(7).observed(|_| ControlFlow::Break(()));
    let error = fit().fit(log.as_slice(), &encoder, &LogLoss, &run).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert!(fit().gap(0.0).is_err() && fit().max_passes(0).is_err());
    assert!(SourceFit::new(LogisticRegression::new()).negatives_per_positive(0.0).is_err());
}

#[test]
fn what_passes_cannot_fit_is_refused_with_the_way_out() {
    let log = divided(2);
    let fit = |model: LogisticRegression, encoder: Encoder| {
        let encoder = encoder.fit(&log[0]).unwrap();
        SourceFit::new(model).fit(log.as_slice(), &encoder, &LogLoss, &Run::seeded(7)).unwrap_err()
    };
    let target = Encoder::only().column("site", TargetEncoding::new());
    let error = fit(LogisticRegression::new(), target).to_string();
    assert!(error.contains("fit_source"), "{error}");
    let wide = Encoder::hashing(12).unwrap();
    let error = fit(LogisticRegression::new().l2(0.0).unwrap(), wide).to_string();
    assert!(error.contains("`l2`"), "{error}");
    let negatives: Vec<usize> = (0..50).filter(|&row| !log[0].labels()[row]).collect();
    let one_class = log[0].select(&negatives).unwrap();
    let encoder = Encoder::default().fit(&one_class).unwrap();
    let error = SourceFit::new(LogisticRegression::new())
        .fit(&one_class, &encoder, &LogLoss, &Run::default())
        .unwrap_err();
    assert!(matches!(error, Error::OneClass { .. }), "{error}");
    // Separated classes, without a penalty.
    let labels: Vec<bool> = (0..400).map(|row| row % 40 == 0).collect();
    let x: Vec<f64> = labels.iter().map(|&label| f64::from(u8::from(label))).collect();
    let separated = Table::new(labels).unwrap().with_numeric("x", x).unwrap();
    let encoder = Encoder::only().column("x", NumberForm::Plain).fit(&separated).unwrap();
    let error = SourceFit::new(LogisticRegression::new().l2(0.0).unwrap())
        .fit(&separated, &encoder, &LogLoss, &Run::default())
        .unwrap_err();
    assert!(matches!(error, Error::Separation { .. }), "{error}");
}

#[test]
fn a_sample_that_is_separated_says_nothing_of_all_rows() {
    // Ten of 20,000 negatives lie among the positives, and none of them in the sample.
    let rows = 20_020;
    let labels: Vec<bool> = (0..rows).map(|row| row % 1001 == 0).collect();
    let x = (0..rows).map(|row| f64::from(u8::from(labels[row] || row % 1999 == 7)));
    let log = Table::new(&labels).unwrap().with_numeric("x", x.collect::<Vec<_>>()).unwrap();
    let encoder = Encoder::only().column("x", NumberForm::Plain).fit(&log).unwrap();
    let fit = |l2: f64| {
        let fit = SourceFit::new(LogisticRegression::new().l2(l2).unwrap());
        let fit = fit.negatives_per_positive(5.0).unwrap().gap(1e-16).unwrap();
        fit.fit(&log, &encoder, &LogLoss, &Run::seeded(7))
    };
    let error = fit(0.0).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("of the sample"), "{error}");
    let fitted = fit(1e-3).unwrap();
    let expected = LogisticRegression::new().l2(1e-3).unwrap();
    let data = encoder.encode(&log).unwrap();
    let expected = expected.fit(&data, &LogLoss, &Run::default()).unwrap();
    close(fitted.model.coefficients(), expected.coefficients(), 1e-6);
}

#[test]
fn a_pipeline_from_a_source_is_that_of_its_sample_and_right_for_the_population() {
    let log = divided(12);
    let how = || {
        let encoder = Encoder::only().columns(["a", "b"], NumberForm::Standardised);
        FromSource::new(encoder.column("site", imbalance::data::OneHot::new()))
            .key(RowKey::column("id"))
    };
    let truth: f64 = (0..ROWS).map(|id| 1.0 / (1.0 + (-logit(id)).exp())).sum();
    let under = || RandomUnderSampler::negatives_per_positive(4.0).unwrap();
    let pipeline = || Pipeline::new(LogisticRegression::new()).sampler(under()).seed(5);
    let pipelines = [
        ("corrected", pipeline().calibrator(PriorCorrection::new()).boxed()),
        ("Platt", pipeline().calibrator(PlattScaling::new()).boxed()),
        (
            "isotonic",
            pipeline().calibrator(imbalance::calibration::IsotonicRegression::new()).boxed(),
        ),
        (
            "focal and Platt",
            pipeline().loss(FocalLoss::new(2.0).unwrap()).calibrator(PlattScaling::new()).boxed(),
        ),
        (
            "weighted",
            Pipeline::new(LogisticRegression::new())
                .sampler(under().reweight(true))
                .seed(5)
                .boxed(),
        ),
    ];
    for (name, pipeline) in pipelines {
        let scorer = pipeline.fit_source(log.as_slice(), &how()).unwrap();
        let mut sum = 0.0;
        let mut rows = 0;
        scorer
            .score(log.as_slice(), &Run::default(), |batch, probabilities| {
                assert_eq!(batch.first_row, rows as u64);
                rows += probabilities.len();
                sum += probabilities.iter().sum::<f64>();
                Ok(())
            })
            .unwrap();
        assert_eq!(rows, ROWS);
        // About 1,000 positives teach the rate: standard error 3 %; the hold-out of a tenth has 100: 10 %.
        let tolerance = if name.contains("Platt") || name == "isotonic" { 0.35 } else { 0.12 };
        assert!((sum / truth - 1.0).abs() < tolerance, "{name}: {}", sum / truth);
        let report = scorer.pipeline().report();
        assert!(report.warnings.is_empty(), "{name}: {report}");
        assert!(
            report.train.rows() > 21_000 && report.calibration.unwrap().rows() > 2_000,
            "{report}"
        );
        assert!(report.checks.iter().any(|check| check.overall.ratio() > 0.5), "{report}");

        // Any division gives the same coefficients up to rounding.
        let again = pipeline.fit_source(divided(5).as_slice(), &how()).unwrap();
        let record = [("a", 0.3.into()), ("b", 0.8.into()), ("site", "4".into())];
        let (p, q) = (scorer.probability(&record).unwrap(), again.probability(&record).unwrap());
        assert!((p / q - 1.0).abs() < 1e-9, "{name}: {p} and {q}");
    }
    // Nobody undoes what the sampler did: the report says so.
    let scorer = pipeline().fit_source(log.as_slice(), &how()).unwrap();
    assert!(!scorer.pipeline().report().warnings.is_empty());
}

#[test]
fn a_pilot_and_its_encoder_serve_a_source() {
    let log = divided(4);
    let encoder = Encoder::default().fit(&log[0]).unwrap();
    let pilot =
        Pipeline::new(LogisticRegression::new()).fit(&encoder.encode(&log[0]).unwrap()).unwrap();
    let sampler = LocalCaseControl::new(Pilot::fitted(pilot)).scale(3.0).unwrap();
    let pipeline = Pipeline::new(LogisticRegression::new()).sampler(sampler).seed(3);
    let scorer = pipeline.fit_source(log.as_slice(), &FromSource::encoded_by(encoder)).unwrap();
    let mut sum = 0.0;
    scorer
        .score(log.as_slice(), &Run::default(), |_, probabilities| {
            sum += probabilities.iter().sum::<f64>();
            Ok(())
        })
        .unwrap();
    let truth: f64 = (0..ROWS).map(|id| 1.0 / (1.0 + (-logit(id)).exp())).sum();
    assert!((sum / truth - 1.0).abs() < 0.15, "{}", sum / truth);
}

#[test]
fn pipelines_that_cannot_read_a_source_say_why() {
    let log = divided(2);
    let how = FromSource::new(Encoder::default());
    let smote = Pipeline::new(LogisticRegression::new())
        .sampler(Smote::positives_per_negative(1.0).unwrap());
    let error = smote.fit_source(log.as_slice(), &how).unwrap_err().to_string();
    assert!(error.contains("all rows at once"), "{error}");
    let folds = CrossFit::new(3, Cut::Stratified).unwrap();
    let folded =
        Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new()).cross_fit(folds);
    let error = folded.fit_source(log.as_slice(), &how).unwrap_err().to_string();
    assert!(error.contains("FromSource::hold_out"), "{error}");
    assert!(FromSource::new(Encoder::default()).hold_out(0.0, 5).is_err());
}

#[test]
fn ftrl_learns_a_source_as_it_learns_its_rows() {
    let log = divided(7);
    let whole = Table::concat(log.iter().cloned()).unwrap();
    let encoder = Encoder::hashing(8).unwrap().fit(&whole).unwrap();
    let learner = || {
        FtrlProximal::new().base_rate(0.05).unwrap().learner(encoder.columns(), LogLoss).unwrap()
    };
    let (mut by_batch, mut at_once) = (learner(), learner());
    by_batch.partial_fit_source(log.as_slice(), &encoder, &Run::default()).unwrap();
    at_once.partial_fit(&encoder.encode(&whole).unwrap()).unwrap();
    let (a, b) = (by_batch.fitted().unwrap(), at_once.fitted().unwrap());
    assert_eq!(a.coefficients(), b.coefficients());
    assert_eq!(by_batch.validation().rows(), ROWS as u64);
    let target = Encoder::only().column("site", TargetEncoding::new()).fit(&whole).unwrap();
    let error = learner().partial_fit_source(log.as_slice(), &target, &Run::default()).unwrap_err();
    assert!(error.to_string().contains("its own labels"), "{error}");
    let run = Run::default().observed(|_| ControlFlow::Break(()));
    let error = learner().partial_fit_source(log.as_slice(), &encoder, &run).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
}

#[test]
fn a_scorer_is_evaluated_on_a_source_as_on_its_rows() {
    let log = divided(7);
    let whole = Table::concat(log.iter().cloned()).unwrap();
    let how = FromSource::new(Encoder::default()).key(RowKey::column("id"));
    let scorer =
        Pipeline::new(LogisticRegression::new()).seed(3).fit_source(log.as_slice(), &how).unwrap();
    let binned = scorer.evaluate(log.as_slice(), &Run::default()).unwrap();
    let p = scorer.probabilities(&whole).unwrap();
    let card = imbalance::metrics::Scorecard::new(whole.labels(), &p, None).unwrap();
    close(
        &[binned.log_loss().unwrap(), binned.brier_score().unwrap()],
        &[card.log_loss, card.brier],
        1e-13,
    );
    close(&[binned.predicted_over_observed().unwrap()], &[card.predicted_over_observed], 1e-13);
    let auc = binned.roc_auc().unwrap();
    assert!(
        auc.low <= card.roc_auc && card.roc_auc <= auc.high && auc.high - auc.low < 1e-2,
        "{auc}"
    );
    assert_eq!(binned.totals(), whole.totals());
    // The same bits for any number of threads.
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            scorer.evaluate(log.as_slice(), &Run::default()).unwrap().log_loss().unwrap()
        })
    };
    assert_eq!(on(1).to_bits(), on(5).to_bits());
    let fit = || SourceFit::new(LogisticRegression::new()).negatives_per_positive(3.0).unwrap();
    let fit_on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            fit().fit(log.as_slice(), scorer.encoder(), &LogLoss, &Run::seeded(1)).unwrap()
        })
    };
    assert_eq!(fit_on(1).model.coefficients(), fit_on(5).model.coefficients());
}

/// The rows as CSV and Parquet files, as record batches, and in memory: the same coefficients.
#[cfg(all(feature = "csv", feature = "parquet"))]
mod from_files {
    use imbalance::data::{
        ArrowReader, CsvReader, CsvWriter, FittedEncoder, Frame, ParquetReader, ParquetWriter,
        Source,
    };
    use imbalance::model::FittedLogisticRegression;
    use imbalance::stream::SourceFitted;

    use super::*;

    fn frame(table: &Table) -> Frame<'_> {
        Frame::new(table.rows())
            .with_labels("y", table.labels())
            .and_then(|frame| frame.with_table(table))
            .unwrap()
    }

    fn same(
        name: &str,
        source: &(impl Source + ?Sized),
        (whole, encoder): (&Table, &FittedEncoder),
        expected: &FittedLogisticRegression,
    ) {
        let fit = SourceFit::new(LogisticRegression::new()).key(RowKey::column("id"));
        let fit = fit.negatives_per_positive(5.0).unwrap().gap(1e-19).unwrap();
        let fitted: SourceFitted = fit.fit(source, encoder, &LogLoss, &Run::seeded(7)).unwrap();
        println!("{name}: {} parts, {} readings", source.parts(), fitted.readings);
        close(fitted.model.coefficients(), expected.coefficients(), 1e-9);
        let learned = Encoder::hashing(6).unwrap().fit_source(source, &Run::default()).unwrap();
        let (a, b) = (learned.features(whole).unwrap(), encoder.features(whole).unwrap());
        for (a, b) in a.view().rows().zip(b.view().rows()).take(1_000) {
            for ((i, x), (j, y)) in a.entries().zip(b.entries()) {
                assert!(i == j && (x - y).abs() < 1e-9, "{x} and {y}");
            }
        }
    }

    fn agreement(rows: usize) {
        let ids = |part: usize, parts: usize| {
            (part * rows / parts..(part + 1) * rows / parts).collect::<Vec<_>>()
        };
        let whole = table(&ids(0, 1));
        let encoder = Encoder::hashing(6).unwrap().fit(&whole).unwrap();
        let expected = LogisticRegression::new()
            .fit(&encoder.encode(&whole).unwrap(), &LogLoss, &Run::default())
            .unwrap();
        let of = (&whole, &encoder);
        for parts in [1, 7, 64] {
            let folder = tempfile::tempdir().unwrap();
            let (mut csv, mut parquet, mut arrow) = (Vec::new(), Vec::new(), Vec::new());
            for part in 0..parts {
                let table = table(&ids(part, parts));
                csv.push(folder.path().join(format!("{part}.csv")));
                let mut writer = CsvWriter::create(&csv[part]).unwrap();
                writer.write(&frame(&table)).unwrap();
                writer.finish().unwrap();
                parquet.push(folder.path().join(format!("{part}.parquet")));
                let mut writer = ParquetWriter::create(&parquet[part]).unwrap();
                writer.write(&frame(&table)).unwrap();
                writer.finish().unwrap();
                let reader =
                    ArrowReader::new().label("y").numeric(["a", "b"]).categorical(["site"]);
                let batch = frame(&table).to_record_batch().unwrap();
                arrow.push(reader.attribute_numbers(["id"]).read(&batch).unwrap());
            }
            // Any order of the files.
            csv.rotate_left(parts / 2);
            parquet.reverse();
            let reader = CsvReader::new().label("y").numeric(["a", "b"]).categorical(["site"]);
            same("CSV", &reader.attribute_numbers(["id"]).batches(&csv).unwrap(), of, &expected);
            let reader = ParquetReader::new().label("y").numeric(["a", "b"]).categorical(["site"]);
            let log = reader.attribute_numbers(["id"]).batches(&parquet).unwrap();
            same("Parquet", &log.batch_rows(9_999).unwrap(), of, &expected);
            same("Arrow", arrow.as_slice(), of, &expected);
        }
    }

    #[test]
    fn coefficients_of_a_million_rows_are_those_in_memory() {
        agreement(1_000_000);
    }

    #[test]
    fn a_file_that_is_gone_ends_a_fit_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> =
            (0..3).map(|part| folder.path().join(format!("{part}.parquet"))).collect();
        for (part, file) in files.iter().enumerate() {
            let mut writer = ParquetWriter::create(file).unwrap();
            writer.write(&frame(&divided(3)[part])).unwrap();
            writer.finish().unwrap();
        }
        let reader = ParquetReader::new().label("y").numeric(["a", "b"]).categorical(["site"]);
        let log = reader.batches(&files).unwrap();
        let encoder = Encoder::hashing(6).unwrap().fit_source(&log, &Run::default()).unwrap();
        std::fs::remove_file(&files[1]).unwrap();
        let fit = SourceFit::new(LogisticRegression::new());
        let error = fit.fit(&log, &encoder, &LogLoss, &Run::seeded(7)).unwrap_err();
        assert!(error.to_string().contains("1.parquet"), "{error}");
        let how = FromSource::new(Encoder::default());
        let error = Pipeline::new(LogisticRegression::new()).fit_source(&log, &how).unwrap_err();
        assert!(error.to_string().contains("1.parquet"), "{error}");
    }
}
