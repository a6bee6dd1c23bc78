//! What runs elsewhere gives the probabilities of the crate: the reference scorer `docs/scorer.py` and SQL.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use imbalance::calibration::as_printed::LinearPriorMap;
use imbalance::calibration::{
    BetaCdfMap, BetaMap, Calibration, CalibrationMap, ChainMap, ClipMap, HistogramMap,
    Interpolation, IsotonicMap, PlattMap, PriorMap, QuadraticMap, SplineMap, TemperatureMap,
    Uncalibrated, VennAbersMap,
};
use imbalance::data::{
    Bins, DatePart, DateParts, Encoding, LevelOrder, NumberForm, OneHot, Ordinal, TargetEncoding,
};
use imbalance::export::{sql, sql_with_columns};
use imbalance::loss::{AsymmetricLoss, FocalLoss, Loss as _, Posterior};
use imbalance::model::LinearModel;
use imbalance::ndarray::{Array2, ArrayView2};
use imbalance::prelude::*;
use imbalance::saved::{Kind, Part, Saved};
use imbalance::sprs::{CsMat, TriMat};
use imbalance::{Attribute, DynFittedPipeline, FittedPipeline, Precision, Scorer};

use super::saved::{fitted, log};

/// A pipeline, rows as lines of JSON, and the probabilities that the crate gives them.
struct Case {
    name: String,
    pipeline: DynFittedPipeline,
    x: Array2<f64>,
    rows: String,
    expected: Vec<f64>,
}

impl Case {
    fn expected(&self) -> (&str, &[f64]) {
        (&self.name, &self.expected)
    }

    fn dense(name: &str, pipeline: DynFittedPipeline, x: &ArrayView2<'_, f64>) -> Self {
        let rows = x.rows().into_iter().map(|row| format!("{:?}\n", row.to_vec())).collect();
        let expected = pipeline.probabilities(*x).unwrap();
        Self { name: name.into(), pipeline, x: x.to_owned(), rows, expected }
    }

    fn sparse(name: &str, pipeline: DynFittedPipeline, x: &CsMat<f64>) -> Self {
        let mut rows = String::new();
        for row in x.outer_iterator() {
            let entries: Vec<String> = row.iter().map(|(j, x)| format!("\"{j}\":{x:?}")).collect();
            writeln!(rows, "{{{}}}", entries.join(",")).unwrap();
        }
        let expected = pipeline.probabilities(x).unwrap();
        Self { name: name.into(), pipeline, x: x.to_dense(), rows, expected }
    }
}

fn clicks(rows: usize, seed: u64) -> Dataset<'static> {
    let clicks = SyntheticClicks::new(rows, 0.05).unwrap().numeric(3).categorical(&[]);
    clicks.generate(seed).unwrap().dataset
}

fn dense(data: &Dataset<'_>) -> Array2<f64> {
    let x = data.features();
    Array2::from_shape_fn((data.rows(), x.ncols()), |(i, j)| x.row(i).get(j))
}

fn posteriors() -> Vec<Posterior> {
    let focal = FocalLoss::new(2.0).unwrap().alpha(0.25).unwrap().posterior();
    vec![
        Posterior::Identity,
        Posterior::Shift(-2.5),
        focal.clone(),
        FocalLoss::new(0.7).unwrap().posterior(),
        AsymmetricLoss::new(0.0, 2.0, 0.0).unwrap().posterior(),
        AsymmetricLoss::new(1.0, 4.0, 0.05).unwrap().posterior(),
        Posterior::Identity.smoothed(0.02),
        focal.shifted(1.25).smoothed(0.001).shifted(-0.5),
    ]
}

/// Maps of every kind, with values that fits seldom have.
pub(super) fn maps() -> Vec<Box<dyn CalibrationMap>> {
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    let corners = [(low, 0.0), (-3.0, 0.01), (-1.0, 0.01), (-1.0, 0.2), (4.0, 0.9), (high, 1.0)];
    let isotonic = |corners: &[(f64, f64)], interpolation| {
        IsotonicMap::new(corners.to_vec(), interpolation).unwrap()
    };
    let line = isotonic(&corners, Interpolation::LinearInLogit);
    let cubics = vec![
        [0.5, 1.0, 0.0, 0.0],
        [0.5, 1.0, 0.25, -0.5],
        [1.25, 0.0, 0.5, 0.0],
        [9.25, 2.0, 0.0, 0.0],
    ];
    let mut maps: Vec<Box<dyn CalibrationMap>> = vec![
        Box::new(Uncalibrated),
        Box::new(ClipMap::new(1e-4).unwrap()),
        Box::new(PlattMap::new(0.7, -1.0).unwrap()),
        Box::new(PlattMap::new(0.0, -1.0).unwrap()),
        Box::new(PlattMap::new(3.0, -4.0).unwrap().on_probabilities(true)),
        Box::new(TemperatureMap::new(2.5, 0.5).unwrap()),
        Box::new(BetaMap::new(0.5, 1.5, -0.5).unwrap()),
        Box::new(BetaMap::new(0.0, 1.5, -0.5).unwrap()),
        Box::new(BetaCdfMap::new(0.6, 1.4).unwrap()),
        Box::new(BetaCdfMap::new(5.0, 0.05).unwrap()),
        Box::new(BetaCdfMap::new(40.0, 70.0).unwrap()),
        Box::new(QuadraticMap::new(0.1, 1.0, -0.5, (-4.0, 2.0)).unwrap()),
        Box::new(SplineMap::new(vec![-2.0, -1.0, 3.0], cubics).unwrap()),
        Box::new(line.clone()),
        Box::new(isotonic(&corners[1..5], Interpolation::LinearInLogit)),
        Box::new(isotonic(&corners, Interpolation::LinearInProbability)),
        Box::new(isotonic(&[(low, 0.2), (high, 0.6)], Interpolation::LinearInLogit)),
        Box::new(isotonic(&[(3.0, 0.2), (3.0, 0.6)], Interpolation::Steps)),
        Box::new(HistogramMap::new(vec![-2.0, 0.5], vec![0.0, 0.25, 0.75]).unwrap()),
        Box::new(HistogramMap::new(vec![low, 0.5, high], vec![0.0, 0.25, 0.75, 1.0]).unwrap()),
        Box::new(
            VennAbersMap::new(
                (vec![-1.0, 2.0], vec![0.0, 0.1, 0.4]),
                (vec![-1.0, 2.5], vec![0.2, 0.5, 1.0]),
            )
            .unwrap(),
        ),
        Box::new(ChainMap::new(
            Calibration::new(line.clone()),
            Calibration::new(BetaMap::new(0.3, 0.6, 0.1).unwrap()),
        )),
        Box::new(ChainMap::new(
            Calibration::new(ChainMap::new(
                Calibration::new(HistogramMap::new(vec![0.5], vec![0.0, 1.0]).unwrap()),
                Calibration::new(PriorMap::new(Posterior::Shift(1.0), 0.25).unwrap()),
            )),
            Calibration::new(line),
        )),
        Box::new(ChainMap::new(
            Calibration::new(BetaCdfMap::new(0.6, 1.4).unwrap()),
            Calibration::new(TemperatureMap::new(3.0, 0.0).unwrap()),
        )),
    ];
    for posterior in posteriors() {
        maps.push(Box::new(LinearPriorMap::new(posterior.clone(), 0.3).unwrap()));
        maps.push(Box::new(PriorMap::new(posterior, 0.75).unwrap()));
    }
    maps
}

/// The logits of 3,000 rows: most are ordinary, some are where a map changes, and some are extreme.
pub(super) fn logits() -> Array2<f64> {
    let special = [-1.0, 0.0, 0.5, -2.0, 2.0, 2.5, 3.0, 4.0, -4.0, -3.0, -800.0, -740.0, 800.0];
    Array2::from_shape_fn((3_000, 1), |(i, _)| match i {
        i if i < special.len() => special[i],
        i if i < 1_000 => (i as f64 - 500.0) * 1.37,
        i => (i as f64 - 2_000.0) * 0.012_137,
    })
}

pub(super) fn given(map: Box<dyn CalibrationMap>) -> DynFittedPipeline {
    let model = LinearModel::new(vec![1.0], 0.0).unwrap();
    let member = (Box::new(model) as Box<dyn Predict>, Calibration::new(map));
    FittedPipeline::from_parts([member]).unwrap()
}

fn sparse_rows(rows: usize) -> (CsMat<f64>, Vec<bool>) {
    let (mut x, mut labels) = (TriMat::new((rows, 40)), Vec::new());
    for i in 0..rows {
        for k in 0..4 {
            let draw = Seed::new(i as u64).child(&k.to_string()).value();
            x.add_triplet(i, k * 10 + (draw % 10) as usize, 1.0 + (draw % 7) as f64 * 0.31);
        }
        labels.push(Seed::new(i as u64).child("label").value().is_multiple_of(9) && i % 3 == 0);
    }
    (x.to_csr(), labels)
}

/// Every model with every calibrator on 10,000 rows; then maps, columns and sparse rows.
fn cases() -> Vec<Case> {
    let (data, rows) = (log(), dense(&clicks(10_000, 11)));
    let rows = rows.view();
    let mut cases = Vec::new();
    for (name, pipeline) in fitted(&data) {
        cases.push(Case::dense(&name, pipeline, &rows));
    }
    for map in maps() {
        let name = map.describe();
        cases.push(Case::dense(&name, given(map), &logits().view()));
    }
    for columns in [7, 8, 19] {
        let beta = (0..columns).map(|j| (j as f64 * 1.7).sin()).collect();
        let model = Box::new(LinearModel::new(beta, -0.3).unwrap()) as Box<dyn Predict>;
        let edges = (0..400).map(|i| f64::from(i) * 0.01 - 2.0).collect();
        let map =
            HistogramMap::new(edges, (0..401).map(|i| f64::from(i) / 400.0).collect()).unwrap();
        let member = (model, Calibration::new(Box::new(map) as Box<dyn CalibrationMap>));
        let x =
            Array2::from_shape_fn((2_000, columns), |(i, j)| ((i * 7 + j * 3) % 11) as f64 * 0.1);
        let pipeline = FittedPipeline::from_parts([member]).unwrap();
        cases.push(Case::dense(&format!("{columns} columns"), pipeline, &x.view()));
    }
    let (x, labels) = sparse_rows(3_000);
    let data = Dataset::new(&x, labels).unwrap();
    for (name, model) in super::saved::models() {
        let fitted =
            Pipeline::new(model).calibrator(PriorCorrection::new().boxed()).fit(&data).unwrap();
        cases.push(Case::sparse(&format!("sparse rows, {name}"), fitted, &x));
    }
    cases
}

/// Runs a Python program on the cases of a folder, in two processes: `numbers` are those of the cases that one is to score.
/// None, with a line that says so, where there is no Python.
fn python(program: &str, arguments: &[&Path]) -> Option<()> {
    let program = format!(
        "import sys\nof, first = sys.argv.pop(), int(sys.argv.pop())\n\
         numbers = range(first, int(open(of).read()), 2)\n{program}"
    );
    let folder = arguments.last().unwrap();
    let runs = ["0", "1"].map(|first| {
        let mut run = Command::new("python3");
        run.args(["-c", &program]).args(arguments).arg(first).arg(folder.join("count"));
        run.stderr(Stdio::piped()).spawn()
    });
    for run in runs {
        let Ok(run) = run else {
            println!("skipped: there is no python3");
            return None;
        };
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Some(())
}

fn numbers(path: &Path) -> Vec<f64> {
    fs::read_to_string(path).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

/// The largest relative difference, and where it is.
fn largest_difference(found: &[f64], expected: &[f64]) -> (f64, usize) {
    assert_eq!(found.len(), expected.len());
    let difference = |(row, (p, q)): (usize, (&f64, &f64))| {
        // Below the normal numbers digits are lost.
        let size = p.max(*q).max(1e-290);
        ((p - q).abs() / size, row)
    };
    let differences = found.iter().zip(expected).enumerate().map(difference);
    differences.fold((0.0, 0), |most, other| if other.0 <= most.0 { most } else { other })
}

/// The kinds that a boxed stage can have, from the refusal of one that does not exist.
fn kinds(stage: &str, part: &str) -> Vec<String> {
    let text = given(Box::new(Uncalibrated)).to_json().unwrap();
    let refusal = DynFittedPipeline::from_json(&text.replace(part, "\"unheard of\":")).unwrap_err();
    let refusal = refusal.to_string();
    let (_, list) = refusal.split_once(&format!("no {stage} `unheard of`; there are: ")).unwrap();
    list.split_once(';').unwrap().0.split(", ").map(str::to_owned).collect()
}

/// Checks the numbers that a program wrote for each case.
fn ensure_equal<'a>(folder: &Path, expected: impl Iterator<Item = (&'a str, &'a [f64])>) {
    for (number, (name, expected)) in expected.enumerate() {
        let found = numbers(&folder.join(format!("{number}.scores")));
        let (difference, row) = largest_difference(&found, expected);
        println!("{difference:.1e} {name}");
        assert!(difference <= 1e-12, "{name}: row {row}, {difference:e}");
    }
}

/// Has the reference scorer score each case of a folder.
fn run_scorer(folder: &Path) -> Option<()> {
    const RUN: &str = "
import os, runpy
scorer, folder = sys.argv[1:]
sys.path.insert(0, os.path.dirname(scorer))
for number in numbers:
    sys.argv, sys.stdin = [scorer, f'{folder}/{number}.json'], open(f'{folder}/{number}.rows')
    with open(f'{folder}/{number}.scores', 'w') as sys.stdout: runpy.run_path(scorer)
";
    let scorer = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scorer.py");
    let text = fs::read_to_string(&scorer).unwrap();
    assert!(text.lines().count() <= 80, "{} lines", text.lines().count());
    python(RUN, &[&scorer, folder])
}

#[test]
fn the_reference_scorer_gives_the_same_probabilities() {
    let (folder, cases) = (tempfile::tempdir().unwrap(), cases());
    let path = |number: usize, ending: &str| folder.path().join(format!("{number}.{ending}"));
    let mut saved = BTreeSet::new();
    for (number, case) in cases.iter().enumerate() {
        let text = case.pipeline.to_json().unwrap();
        assert_eq!(DynFittedPipeline::from_json(&text).unwrap().to_json().unwrap(), text);
        fs::write(path(number, "json"), &text).unwrap();
        fs::write(path(number, "rows"), &case.rows).unwrap();
        saved.extend(text.split('"').map(str::to_owned));
    }
    fs::write(folder.path().join("count"), cases.len().to_string()).unwrap();
    for kind in kinds("fitted model", "\"linear\":")
        .into_iter()
        .chain(kinds("calibration map", "\"uncalibrated\":"))
    {
        assert!(kind == "given_logits" || saved.contains(&kind), "`{kind}` is not tested");
    }
    if run_scorer(folder.path()).is_some() {
        ensure_equal(folder.path(), cases.iter().map(Case::expected));
    }
}

/// Numbers and texts, some missing, and times: 10,000 rows and the same as lines of JSON. The first 2,000 lack some of the
/// levels.
fn records() -> (Table, String) {
    const LONG: &str =
        "a value longer than the 32 bytes of an XXH64 stripe, by more than 8 + 4 + 3";
    let (mut prices, mut ages, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let (mut countries, mut shops) = (Vec::new(), Vec::new());
    let (mut labels, mut lines) = (Vec::new(), String::new());
    for i in 0..10_000_u64 {
        let draw = |what: &str| Seed::new(i).child(what).value();
        let levels = if i < 2_000 { 4 } else { 6 };
        let known = ["FR", "DE", "", "Größe", "IT", LONG];
        countries.push(known[(draw("country") % levels) as usize]);
        let shop = draw("shop") % (30 * levels);
        shops.push(LONG[..(shop % LONG.len() as u64) as usize].to_owned() + &shop.to_string());
        prices.push((draw("price") % 1_000) as f64 * 0.37 - 20.0);
        ages.push(if draw("age") % 7 == 2 { f64::NAN } else { (draw("years") % 60) as f64 });
        times.push(if draw("hour") % 11 == 0 {
            f64::NAN
        } else {
            (draw("time") % 2_000_000_000) as f64 - 1e9
        });
        labels.push(draw("label") % 100 < 5 + 3 * (shop % 5));
        let at = i as usize;
        let record = serde_json::json!({
            "price": prices[at], "age": ages[at], "time": times[at], "country": countries[at],
            "shop": shops[at]
        });
        writeln!(lines, "{record}").unwrap();
    }
    let table = Table::new(labels).unwrap();
    let table = table.with_numeric("price", prices).unwrap().with_numeric("age", ages).unwrap();
    let table = table.with_categorical("country", countries).unwrap();
    let table = table.with_categorical("shop", shops).unwrap();
    (table.with_attribute("time", Attribute::numbers(times)).unwrap(), lines)
}

/// Every encoding on its own, and all of them together.
pub(super) fn encoders() -> Vec<(&'static str, Encoder)> {
    let only = Encoder::only;
    let both = [DatePart::Hour, DatePart::Weekday];
    let dates = DateParts::new(both).unwrap().utc_offset(5.5).unwrap();
    let indicators = OneHot::new().min_count(300).drop_first(true);
    let all = |encoder: Encoder| {
        encoder
            .column("price", NumberForm::Log)
            .column("age", NumberForm::Standardised)
            .column("country", OneHot::new())
            .column("shop", Encoding::Hashed)
            .cross(["country", "shop"], Encoding::Hashed)
            .cross(["shop", "country"], TargetEncoding::new())
            .date("time", dates.clone().cyclic(true))
    };
    let hashing = |bits| Encoder::hashing(bits).unwrap();
    let given = Ordinal::new().order(LevelOrder::Given(vec!["DE".into(), "FR".into()]));
    vec![
        ("numbers", only().columns(["price", "age"], NumberForm::Standardised)),
        ("plain numbers", only().columns(["price", "age"], NumberForm::Plain)),
        ("logarithms", only().columns(["price", "age"], NumberForm::Log)),
        ("bins", only().columns(["price", "age"], Bins::quantiles(7).unwrap())),
        ("one-hot", only().columns(["country", "shop"], OneHot::new())),
        ("one-hot, other", only().columns(["country", "shop"], indicators)),
        ("ordinal", only().column("country", given).column("shop", Ordinal::new())),
        ("frequency", only().columns(["country", "shop"], Encoding::Frequency)),
        ("target", only().columns(["country", "shop"], TargetEncoding::new())),
        ("rate", only().columns(["country", "shop"], TargetEncoding::new().rate(true))),
        ("crossed", only().cross(["country", "shop"], OneHot::new())),
        ("hashed", only().columns(["country", "shop"], Encoding::Hashed)),
        ("few hashed columns", hashing(3).date("time", dates.clone())),
        ("dates", only().date("time", dates.clone())),
        ("cyclic dates", only().date("time", dates.clone().cyclic(true))),
        (
            "named",
            only()
                .column("price", NumberForm::Log)
                .column("age", Bins::quantiles(4).unwrap())
                .column("country", OneHot::new().min_count(300))
                .column("shop", TargetEncoding::new())
                .date("time", dates.clone()),
        ),
        (
            "named, f32",
            only()
                .column("price", NumberForm::Plain)
                .column("age", NumberForm::Standardised)
                .column("country", Ordinal::new())
                .column("shop", Encoding::Frequency)
                .date("time", dates.clone().cyclic(true))
                .precision(Precision::F32),
        ),
        ("all", all(hashing(10))),
        ("all, f32", all(hashing(10)).precision(Precision::F32)),
        ("all, dense", all(hashing(6)).sparse(false)),
    ]
}

/// Trained on what an encoder makes, without the fourth column.
fn scorer(encoder: &Encoder, train: &Table) -> Scorer {
    let (encoder, data) = encoder.fit_encode(train, 7).unwrap();
    let left_out: &[usize] = if encoder.columns() > 3 { &[3] } else { &[] };
    let (encoder, data) =
        (encoder.drop_columns(left_out).unwrap(), data.drop_columns(left_out).unwrap());
    let fitted = Pipeline::new(LogisticRegression::new().l2(1.0).unwrap())
        .sampler(RandomUnderSampler::negatives_per_positive(3.0).unwrap())
        .calibrator(PriorCorrection::new())
        .fit(&data)
        .unwrap();
    Scorer::new(encoder, fitted).unwrap()
}

#[test]
fn the_reference_scorer_encodes_records() {
    let (folder, (table, lines)) = (tempfile::tempdir().unwrap(), records());
    let train = table.select(&(0..2_000).collect::<Vec<_>>()).unwrap();
    let encoders = encoders();
    let mut expected = Vec::new();
    for (number, (name, encoder)) in encoders.iter().enumerate() {
        let scorer = scorer(encoder, &train);
        expected.push((*name, scorer.probabilities(&table).unwrap()));
        let file = folder.path().join(number.to_string());
        fs::write(file.with_extension("json"), scorer.to_json().unwrap()).unwrap();
        fs::write(file.with_extension("rows"), &lines).unwrap();
    }
    fs::write(folder.path().join("count"), encoders.len().to_string()).unwrap();
    if run_scorer(folder.path()).is_some() {
        ensure_equal(folder.path(), expected.iter().map(|(name, p)| (*name, p.as_slice())));
    }
}

#[test]
fn sql_gives_the_same_probabilities() {
    const RUN: &str = "
import json, math, sqlite3
folder = sys.argv[1]
for number in numbers:
    rows = [json.loads(line) for line in open(f'{folder}/{number}.rows')]
    base = sqlite3.connect(':memory:')
    for name, function in ('EXP', math.exp), ('LN', math.log):
        base.create_function(name, 1, lambda x, function=function: None if x is None else function(x))
    columns = ', '.join(f'\"the \"\"{j}\"\"\" REAL' for j in range(len(rows[0])))
    base.execute(f'CREATE TABLE rows ({columns})')
    base.executemany(f'INSERT INTO rows VALUES ({\",\".join(\"?\" * len(rows[0]))})', rows)
    expression = open(f'{folder}/{number}.sql').read()
    with open(f'{folder}/{number}.scores', 'w') as out:
        for (p,) in base.execute(f'SELECT {expression} FROM rows ORDER BY rowid'): print(repr(p), file=out)
    base.execute('DELETE FROM rows')
    base.execute('INSERT INTO rows DEFAULT VALUES')
    assert list(base.execute(f'SELECT {expression} FROM rows')) == [(None,)], number
";
    let (folder, mut cases) = (tempfile::tempdir().unwrap(), cases());
    cases.retain(|case| case.rows.starts_with('['));
    cases.retain(|case| {
        let columns = case.x.ncols();
        let sql = sql_with_columns(&case.pipeline, (0..columns).map(|j| format!("the \"{j}\"")));
        assert_eq!(sql.is_err(), case.name.starts_with("trees") || case.name.starts_with("leaves"));
        sql.is_ok()
    });
    for (number, case) in cases.iter().enumerate() {
        let columns = case.x.ncols();
        let names = (0..columns).map(|j| format!("the \"{j}\""));
        let sql = sql_with_columns(&case.pipeline, names).unwrap();
        fs::write(folder.path().join(format!("{number}.sql")), sql).unwrap();
        fs::write(folder.path().join(format!("{number}.rows")), &case.rows).unwrap();
    }
    fs::write(folder.path().join("count"), cases.len().to_string()).unwrap();
    if python(RUN, &[folder.path()]).is_some() {
        ensure_equal(folder.path(), cases.iter().map(Case::expected));
    }
}

#[test]
fn sql_needs_a_linear_model_and_a_name_for_each_column() {
    let given = || given(Box::new(Uncalibrated));
    let unsupported = |error: Error| match error {
        Error::Unsupported { stage, what, remedy } => format!("{stage}: {what}: {remedy}"),
        other => panic!("{other}"),
    };
    assert!(unsupported(sql(&given()).unwrap_err()).contains("sql_with_columns"));
    assert!(matches!(
        sql_with_columns(&given(), ["a", "b"]),
        Err(Error::InvalidArgument { argument: "columns", .. })
    ));
    assert!(sql_with_columns(&given(), ["step_1"]).unwrap().contains("\"step__1\""));
    let logits = imbalance::model::GivenLogits::new(vec![0.5]).unwrap();
    let member = (logits, Calibration::new(Uncalibrated));
    let pipeline = FittedPipeline::from_parts([member]).unwrap();
    assert!(unsupported(sql(&pipeline).unwrap_err()).contains("not linear"));
    let map = BetaCdfMap::new(2_000.0, 1.0).unwrap();
    let model = LinearModel::new(vec![1.0], 0.0).unwrap();
    let member = (model.clone(), Calibration::new(map));
    let pipeline = FittedPipeline::from_parts([member]).unwrap();
    assert!(
        unsupported(sql_with_columns(&pipeline, ["a"]).unwrap_err()).contains("BetaCalibration")
    );

    /// A map that no export knows.
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    struct Own;
    impl Kind for Own {
        const KIND: &'static str = "a map of one's own";
    }
    impl CalibrationMap for Own {
        fn logit(&self, z: f64) -> f64 {
            z
        }
        fn saved(&self) -> Option<Part<'_>> {
            Some(Part::of(self))
        }
    }
    let pipeline = FittedPipeline::from_parts([(model, Calibration::new(Own))]).unwrap();
    assert!(unsupported(sql_with_columns(&pipeline, ["a"]).unwrap_err()).contains(Own::KIND));
}

#[cfg(feature = "onnx")]
mod onnx {
    use imbalance::export::{onnx, onnx_scorer};

    use super::*;

    /// How far a logit of these rows may be off because its terms are added in another order, or multiplied and added in
    /// one operation: three columns and an intercept, or five trees, are at most ten roundings of sums below 20.
    const LOGIT: f64 = 10.0 * 20.0 * f64::EPSILON / 2.0;

    /// Writes every case for `tests/fixtures/check_onnx.py`, which has onnxruntime score them: the model and rows for
    /// features of both precisions, the probabilities of the library, and those of logits nearby.
    #[test]
    #[ignore = "writes to the folder IMBALANCE_ONNX for a check by hand"]
    fn onnx_models_are_written() {
        let folder = std::env::var("IMBALANCE_ONNX").expect("a folder in IMBALANCE_ONNX");
        let folder = Path::new(&folder);
        for (number, case) in cases().into_iter().enumerate() {
            let wide = case.x.mapv(|x| f64::from(x as f32));
            for (precision, x) in [(Precision::F64, case.x), (Precision::F32, wide)] {
                let (z, p) =
                    (case.pipeline.logits(&x).unwrap(), case.pipeline.probabilities(&x).unwrap());
                let near = |z: f64| match case.pipeline.members().count() {
                    1 => case.pipeline.calibration().probability(z),
                    _ => f64::NAN,
                };
                let expected = z.iter().zip(&p).map(|(z, p)| {
                    let ends = [near(z - LOGIT), near(z + LOGIT)]
                        .map(|end| if end.is_nan() { *p } else { end });
                    format!("{p:?} {:?} {:?}\n", ends[0], ends[1])
                });
                let file = folder.join(format!("{number}.{precision:?}"));
                fs::write(
                    file.with_added_extension("onnx"),
                    onnx(&case.pipeline, precision).unwrap(),
                )
                .unwrap();
                let rows: String =
                    x.rows().into_iter().map(|row| format!("{:?}\n", row.to_vec())).collect();
                fs::write(file.with_added_extension("rows"), rows).unwrap();
                fs::write(file.with_added_extension("expected"), expected.collect::<String>())
                    .unwrap();
            }
            fs::write(folder.join(format!("{number}.name")), case.name).unwrap();
        }
        let (table, lines) = records();
        let train = table.select(&(0..2_000).collect::<Vec<_>>()).unwrap();
        fs::write(folder.join("records"), lines).unwrap();
        for (name, encoder) in encoders() {
            let scorer = scorer(&encoder, &train);
            if let Ok(model) = onnx_scorer(&scorer) {
                let p = scorer.probabilities(&table).unwrap();
                let expected: String = p.iter().map(|p| format!("{p:?}\n")).collect();
                fs::write(folder.join(format!("{name}.scorer")), model).unwrap();
                fs::write(folder.join(format!("{name}.scorer expected")), expected).unwrap();
            }
        }
        for (number, model) in small().into_iter().enumerate() {
            fs::write(folder.join(format!("small {number:02}.onnx")), model).unwrap();
        }
    }

    /// Models that no fit changes: every map, and scorers with every encoding.
    fn small() -> Vec<Vec<u8>> {
        let maps = maps().into_iter().map(given);
        let mut models: Vec<Vec<u8>> =
            maps.map(|pipeline| onnx(&pipeline, Precision::F64).unwrap()).collect();
        let train = records().0.select(&(0..200).collect::<Vec<_>>()).unwrap();
        for (name, encoder) in encoders() {
            if name.starts_with("named") {
                let encoder = encoder.fit(&train).unwrap();
                let beta = (0..encoder.columns()).map(|j| (j as f64).sin()).collect();
                let model = LinearModel::new(beta, -1.0).unwrap();
                let member = (model, Calibration::new(Uncalibrated));
                let pipeline = FittedPipeline::from_parts([member]).unwrap();
                models.push(onnx_scorer(&Scorer::new(encoder, pipeline).unwrap()).unwrap());
            }
        }
        models
    }

    #[test]
    fn onnx_refuses_what_it_has_no_operators_for() {
        let (table, _) = records();
        let train = table.select(&(0..2_000).collect::<Vec<_>>()).unwrap();
        for (name, encoder) in encoders() {
            let model = onnx_scorer(&scorer(&encoder, &train));
            let refused =
                ["crossed", "hashed", "few hashed columns", "all", "all, f32", "all, dense"];
            match model {
                Ok(_) => assert!(!refused.contains(&name), "{name}"),
                Err(Error::Unsupported { what, remedy, .. }) => {
                    assert!(refused.contains(&name), "{name}: {what}");
                    assert!(what.contains("hash") || what.contains("cross"), "{what}");
                    assert!(remedy.contains("encode first"), "{remedy}");
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
        // Levels without texts, and names that cannot be those of inputs.
        let column = |name: &str| {
            let table = Table::new(vec![true, false, true]).unwrap();
            let table = table.with_categorical(name, ["a", "b", "c"]).unwrap();
            let encoder = Encoder::only().column(name, OneHot::new()).fit(&table).unwrap();
            let data = encoder.encode(&table).unwrap();
            let model = LogisticRegression::new().l2(1.0).unwrap();
            let scorer = Scorer::new(encoder, Pipeline::new(model).fit(&data).unwrap()).unwrap();
            onnx_scorer(&scorer)
        };
        assert!(column("v1").is_ok());
        for name in ["", "probability"] {
            assert!(matches!(column(name), Err(Error::Unsupported { .. })), "`{name}`");
        }
    }

    #[test]
    fn onnx_models_are_those_that_onnxruntime_has_checked() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
        for (number, model) in small().into_iter().enumerate() {
            let checked = fs::read(folder.join(format!("{number:02}.onnx"))).unwrap();
            assert!(
                model == checked,
                "model {number} has changed: check it with tests/fixtures/check_onnx.py"
            );
        }
    }

    #[test]
    fn onnx_needs_a_model_of_rows() {
        let logits = imbalance::model::GivenLogits::new(vec![0.5]).unwrap();
        let member = (logits, Calibration::new(Uncalibrated));
        let pipeline = FittedPipeline::from_parts([member]).unwrap();
        assert!(matches!(onnx(&pipeline, Precision::F64), Err(Error::Unsupported { .. })));
        let member = |columns| {
            let model = LinearModel::new(vec![1.0; columns], 0.0).unwrap();
            (model, Calibration::new(Uncalibrated))
        };
        let pipeline = FittedPipeline::from_parts([member(1), member(2)]).unwrap();
        assert!(matches!(onnx(&pipeline, Precision::F64), Err(Error::Unsupported { .. })));
    }
}
