//! Rows that are written to files.
#![cfg(feature = "csv")]

use std::fs;
use std::path::Path;

use imbalance::data::{CsvReader, CsvWriter, Frame};
#[cfg(feature = "parquet")]
use imbalance::data::{ParquetReader, ParquetWriter};
use imbalance::{Attribute, Error, Run};

const LABELS: [bool; 3] = [true, false, false];
const SCORES: [f64; 3] = [0.1 + 0.2, f64::NAN, -1e-300];
const TEXTS: [&str; 3] = ["plain", "a \"quoted\", one\r\nof two lines", ""];

fn frame() -> Frame<'static> {
    let frame = Frame::new(3).with_labels("click", &LABELS).unwrap();
    frame.with_numbers("score, raw", &SCORES).unwrap().with_texts("site", TEXTS).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn csv_files_are_read_back_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["scored.csv", "scored.csv.gz"] {
        let file = folder.path().join(name);
        let mut writer = CsvWriter::create(&file).unwrap();
        writer.write(&frame()).unwrap();
        writer.write(&frame()).unwrap();
        assert!(!file.exists(), "it has its name when it is finished");
        writer.finish().unwrap();
        let reader = CsvReader::new().label("click").attribute_texts(["site"]);
        let table = reader.attribute_numbers(["score, raw"]).read(&file, &Run::default()).unwrap();
        assert_eq!(table.labels(), [LABELS, LABELS].concat());
        let scores = table.numbers("score, raw").unwrap();
        for (found, written) in scores.iter().zip(SCORES.iter().cycle()) {
            assert!(found.to_bits() == written.to_bits() || found.is_nan() && written.is_nan());
        }
        let Attribute::Categories(site) = table.attribute("site").unwrap() else { panic!() };
        assert!((0..6).all(|row| site.get(row) == Some(TEXTS[row % 3])));
    }
    assert_eq!(files(folder.path()), ["scored.csv", "scored.csv.gz"]);
    // A column alone, with missing values: no blank line.
    let file = folder.path().join("alone.csv");
    let mut writer = CsvWriter::create(&file).unwrap();
    writer.write(&Frame::new(2).with_numbers("x", &[f64::NAN, 2.0]).unwrap()).unwrap();
    writer.finish().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "x\n\"\"\n2.0\n");
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files_are_read_back_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scored.parquet");
    let mut writer = ParquetWriter::create(&file).unwrap().row_group_rows(2).unwrap();
    writer.write(&frame()).unwrap();
    // Other texts, in another dictionary.
    let more = Frame::new(3).with_labels("click", &LABELS).unwrap();
    let more = more.with_numbers("score, raw", &SCORES).unwrap();
    writer.write(&more.with_texts("site", ["new", "plain", "new"]).unwrap()).unwrap();
    assert!(!file.exists());
    writer.finish().unwrap();
    let reader = ParquetReader::new().label("click").attribute_texts(["site"]);
    let table = reader.attribute_numbers(["score, raw"]).read(&file, &Run::default()).unwrap();
    assert_eq!(table.labels(), [LABELS, LABELS].concat());
    assert_eq!(table.numbers("score, raw").unwrap()[3].to_bits(), SCORES[0].to_bits());
    assert!(table.numbers("score, raw").unwrap()[4].is_nan());
    let Attribute::Categories(site) = table.attribute("site").unwrap() else { panic!() };
    let texts: Vec<_> = (0..6).map(|row| site.get(row).unwrap()).collect();
    assert_eq!(texts, [TEXTS[0], TEXTS[1], TEXTS[2], "new", "plain", "new"]);

    let none = folder.path().join("none.parquet");
    let mut writer = ParquetWriter::create(&none).unwrap();
    writer.write(&Frame::new(0).with_numbers("x", &[]).unwrap()).unwrap();
    writer.finish().unwrap();
    let error = ParquetReader::new().unlabelled().numeric(["x"]).batches([none]).unwrap_err();
    assert!(matches!(&error, Error::InFile { .. }), "{error}");
}

#[test]
fn what_is_not_finished_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scored.csv");
    fs::write(&file, "before").unwrap();
    let mut writer = CsvWriter::create(&file).unwrap();
    writer.write(&frame()).unwrap();
    drop(writer);
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    assert!(matches!(CsvWriter::create(&file).unwrap().finish(), Err(Error::NoRows { .. })));
    #[cfg(feature = "parquet")]
    {
        let mut writer = ParquetWriter::create(&file).unwrap();
        writer.write(&frame()).unwrap();
        drop(writer);
        assert!(matches!(
            ParquetWriter::create(&file).unwrap().finish(),
            Err(Error::NoRows { .. })
        ));
    }
    assert_eq!(files(folder.path()), ["scored.csv"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
}

#[test]
fn rows_that_cannot_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = CsvWriter::create(folder.path().join("x.csv")).unwrap();
    assert!(writer.write(&Frame::new(1)).is_err(), "without columns");
    let infinite = Frame::new(1).with_numbers("x", &[f64::INFINITY]).unwrap();
    assert!(matches!(writer.write(&infinite), Err(Error::NonFinite { row: 0, .. })));
    writer.write(&frame()).unwrap();
    let error = writer.write(&Frame::new(1).with_numbers("x", &[1.0]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("x (numbers)"), "{error}");
    assert!(matches!(Frame::new(2).with_labels("x", &LABELS), Err(Error::LengthMismatch { .. })));
    assert!(matches!(frame().with_labels("click", &LABELS), Err(Error::DuplicateColumn { .. })));
}

#[test]
fn a_path_that_cannot_be_written_is_an_io_error() {
    let file = Path::new("no such folder/scored.csv");
    let is_io = |error: Error| matches!(&error, Error::Io { file: named, .. } if named == file);
    assert!(is_io(CsvWriter::create(file).unwrap_err()));
    #[cfg(feature = "parquet")]
    assert!(is_io(ParquetWriter::create(file).unwrap_err()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_io_error() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let is_full = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        let kind = match &error {
            Error::Io { file, source } if file == full => source.kind(),
            _ => panic!("{error}"),
        };
        assert_eq!(kind, std::io::ErrorKind::StorageFull, "{error}");
    };
    let mut writer = CsvWriter::create(full).unwrap();
    is_full(writer.write(&frame()));
    #[cfg(feature = "parquet")]
    {
        let mut writer = ParquetWriter::create(full).unwrap();
        is_full(writer.write(&frame()).and_then(|()| writer.finish()));
    }
    assert!(full.exists());
}
