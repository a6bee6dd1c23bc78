//! Parquet files: the same tables as from CSV files, in any batches, and faults.
#![cfg(all(feature = "csv", feature = "parquet"))]

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use imbalance::data::{CsvReader, Frame, ParquetReader, ParquetWriter, Source, Table};
use imbalance::{Error, Progress, Result, Run};

use crate::tables::{assert_same, batches, rows};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

macro_rules! roles {
    ($reader:expr) => {
        $reader
            .label("click")
            .weight("weight")
            .offset("margin")
            .numeric(["price", "half", "amount", "i8", "i64", "u64", "clicks"])
            .categorical([
                "campaign", "device", "city", "site", "i8", "i64", "u64", "flag", "day", "empty",
            ])
            .attribute_numbers(["price"])
            .attribute_texts(["device", "city", "clicks"])
            .time("seconds")
            .time("milliseconds")
            .time("microseconds")
            .time("nanoseconds")
            .time("stamp")
            .time("epoch")
            .time("day")
    };
}

/// The log as a table from its CSV file.
fn log() -> Table {
    roles!(CsvReader::new()).read(fixture("log.csv"), &Run::default()).unwrap()
}

fn reader() -> ParquetReader {
    roles!(ParquetReader::new())
}

#[test]
fn files_of_pyarrow_and_of_polars_are_the_csv_file() {
    for name in ["log_pyarrow.parquet", "log_polars.parquet"] {
        let table = reader().read(fixture(name), &Run::default()).unwrap();
        assert_same(&table, &log());
        for batch_rows in [200_usize, 29, 3, 1] {
            let source = reader().batches([fixture(name)]).unwrap().batch_rows(batch_rows).unwrap();
            let read = batches(&source).unwrap();
            let mut row = 0;
            for batch in &read {
                assert!(batch.first_row == row && batch.table.rows() <= batch_rows);
                row += batch.table.rows() as u64;
            }
            assert_same(&rows(&source).unwrap(), &log());
        }
    }
    let counts = ParquetReader::new().label("clicks").positive_above(1.0);
    let counts = counts.read(fixture("log_pyarrow.parquet"), &Run::default()).unwrap();
    assert_eq!(counts.labels()[..4], [false, false, true, false]);
}

#[test]
fn row_groups_are_parts() {
    let both = reader().batches([fixture("log_p*.parquet")]).unwrap();
    let sizes: Vec<u64> = (0..both.parts()).map(|part| both.size(part)).collect();
    assert_eq!(sizes, [90, 90, 20, 64, 64, 64, 8], "polars before pyarrow");
    let twice = Table::concat([log(), log()]).unwrap();
    assert_same(&rows(&both).unwrap(), &twice);
    assert!(both.batch_rows(0).is_err());
}

#[test]
fn what_is_wrong_is_named_with_file_and_row_group() {
    let file = fixture("log_pyarrow.parquet");
    let refused = |reader: ParquetReader| match reader.batches([&file]).and_then(|all| rows(&all)) {
        Err(Error::InFile { file: named, row_group, source }) if named == file => {
            (row_group, *source)
        }
        other => panic!("{other:?}"),
    };
    let (row_group, error) = refused(reader().numeric(["other"]));
    assert!(matches!(error, Error::UnknownColumn { .. }) && row_group.is_none(), "{error}");
    let (_, error) = refused(ParquetReader::new().label("click").numeric(["city"]));
    assert!(matches!(&error, Error::ColumnType { column, .. } if column == "city"), "{error}");
    let (_, error) = refused(ParquetReader::new().label("click").categorical(["price"]));
    assert!(matches!(&error, Error::ColumnType { .. }), "{error}");
    // The first value of `amount` that is no weight is in row 0; a label of 2 in row 2.
    let (row_group, error) = refused(ParquetReader::new().label("clicks"));
    assert!(matches!(&error, Error::Value { row: 2, .. }) && row_group == Some(0), "{error}");
    let empty = ParquetReader::new().unlabelled().numeric(["absent"]);
    assert!(empty.batches([fixture("absent.parquet")]).is_err());
    assert!(matches!(
        ParquetReader::new().batches([&file]),
        Err(Error::InvalidArgument { argument: "label", .. })
    ));
    let text = refused(ParquetReader::new().label("clicks")).1.to_string();
    assert!(text.contains("the column `clicks`, row 2: `2` is no label"), "{text}");
}

fn write(path: PathBuf, rows: &[Frame<'_>]) {
    let mut writer = ParquetWriter::create(path).unwrap().row_group_rows(4).unwrap();
    rows.iter().for_each(|rows| writer.write(rows).unwrap());
    writer.finish().unwrap();
}

#[test]
fn a_value_in_a_later_row_group_has_its_row_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.parquet");
    let mut weights = vec![1.0; 10];
    weights[7] = -1.0;
    let labels = [true; 10];
    let frame = Frame::new(10).with_labels("y", &labels).unwrap();
    write(file.clone(), &[frame.with_numbers("w", &weights).unwrap()]);
    let source = ParquetReader::new().label("y").weight("w").batches([&file]).unwrap();
    assert_eq!(source.parts(), 3);
    let error = rows(&source.batch_rows(3).unwrap()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("row group 1: the column `w`, row 7: `-1` is no weight"), "{text}");
}

#[test]
fn files_whose_schema_changes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let frame = || Frame::new(2).with_labels("y", &[true, false]).unwrap();
    write(at("a.parquet"), &[frame().with_texts("c", ["p", "q"]).unwrap()]);
    write(at("b.parquet"), &[frame().with_numbers("c", &[1.0, 2.0]).unwrap()]);
    write(at("c.parquet"), &[frame().with_labels("c", &[true, true]).unwrap()]);
    write(at("d.parquet"), &[frame()]);
    let read = |names: [&str; 2], reader: ParquetReader| {
        reader.label("y").batches(names.map(at)).and_then(|all| rows(&all))
    };
    let error =
        read(["a.parquet", "c.parquet"], ParquetReader::new().categorical(["c"])).unwrap_err();
    let names = |error: &Error, name: &str| matches!(error, Error::InFile { file, .. } if file.ends_with(name));
    assert!(
        names(&error, "c.parquet") && error.to_string().contains("in an earlier file"),
        "{error}"
    );
    let error =
        read(["a.parquet", "d.parquet"], ParquetReader::new().categorical(["c"])).unwrap_err();
    assert!(names(&error, "d.parquet"), "{error}");
    // Numbers of any type are numbers.
    assert!(read(["b.parquet", "c.parquet"], ParquetReader::new().numeric(["c"])).is_ok());
}

#[test]
fn a_file_that_changes_or_goes_away_between_passes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.parquet");
    let frame = |last: bool| Frame::new(2).with_labels("y", vec![true, last]).unwrap();
    write(file.clone(), &[frame(false)]);
    let source = ParquetReader::new().label("y").batches([&file]).unwrap();
    assert_eq!(rows(&source).unwrap().rows(), 2);
    write(file.clone(), &[frame(true), frame(true)]);
    assert!(matches!(rows(&source), Err(Error::FileChanged { file: named }) if named == file));
    fs::remove_file(&file).unwrap();
    assert!(matches!(rows(&source), Err(Error::Io { file: named, .. }) if named == file));
}

fn read_bytes(file: &PathBuf, bytes: &[u8]) -> Result<Table> {
    fs::write(file, bytes).unwrap();
    reader().batches([file]).and_then(|source| rows(&source))
}

#[test]
fn a_file_that_is_cut_off_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.parquet");
    let bytes = fs::read(fixture("log_pyarrow.parquet")).unwrap();
    for length in (0..bytes.len()).step_by(131).chain([bytes.len() - 1]) {
        let error = read_bytes(&file, &bytes[..length]).unwrap_err();
        assert!(
            matches!(&error, Error::Unreadable { file: named, .. } if *named == file),
            "{error}"
        );
    }
    let error = read_bytes(&file, b"click,price\n0,1\n").unwrap_err();
    assert!(matches!(&error, Error::Unreadable { row_group: None, .. }), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_or_other_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.parquet");
    let bytes = fs::read(fixture("log_pyarrow.parquet")).unwrap();
    let (mut refused, mut state) = (0, 7_u64);
    for _ in 0..300 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut damaged = bytes.clone();
        let at = (state >> 33) as usize % damaged.len();
        damaged[at] ^= 1 << (state >> 29 & 7);
        refused += u32::from(read_bytes(&file, &damaged).is_err());
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn progress_is_told_and_can_stop_the_reading() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let run = Run::default().observed({
        let told = Arc::clone(&told);
        move |progress: &Progress| {
            told.lock().unwrap().push(progress.clone());
            std::ops::ControlFlow::Continue(())
        }
    });
    let file = fixture("log_polars.parquet");
    reader().read(&file, &run).unwrap();
    let of = fs::metadata(&file).unwrap().len();
    let last = Progress::Read { bytes: of, of, rows: 200 };
    assert_eq!(told.lock().unwrap().last(), Some(&last));
    let stop = Run::default().observed(|_: &Progress| std::ops::ControlFlow::Break(()));
    assert!(matches!(reader().read(&file, &stop), Err(Error::Cancelled { .. })));
}
