//! Delimited files that are read batch by batch.
#![cfg(feature = "csv")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use imbalance::data::{CsvReader, Source, Table, TimeFormat};
use imbalance::{Error, Run};

use crate::tables::{assert_same, batches, rows};

const HEADER: &str = "click,price,device,campaign,time,w,margin\n";

/// Rows `range` of a log.
fn log(range: std::ops::Range<usize>) -> String {
    range.fold(HEADER.into(), |text, row| {
        let price = if row % 7 == 3 { String::new() } else { format!("{}.25", row % 11) };
        let (minute, second) = (row / 60 % 60, row % 60);
        text + &format!(
            "{},{price},\"d\n{}\",c{},2019-11-24 00:{minute:02}:{second:02},{},0.5\n",
            row % 5 / 4,
            row % 13,
            row % 3,
            row % 4
        )
    })
}

fn reader() -> CsvReader {
    CsvReader::new()
        .label("click")
        .numeric(["price"])
        .categorical(["device", "campaign"])
        .attribute_texts(["campaign"])
        .time("time")
        .weight("w")
        .offset("margin")
}

fn whole(text: &str) -> Table {
    reader().read_from(text.as_bytes(), "log.csv").unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    if name.ends_with(".gz") {
        let mut encoder =
            GzEncoder::new(fs::File::create(folder.join(name)).unwrap(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
    } else {
        fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn batches_of_any_size_are_the_rows_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (text, file) = (log(0..640), folder.path().join("log.csv"));
    write(folder.path(), "log.csv", &text);
    for count in [1, 7, 64] {
        let source =
            reader().batches([&file]).unwrap().batch_rows(640_usize.div_ceil(count)).unwrap();
        let read = batches(&source).unwrap();
        assert_eq!(read.len(), count);
        let mut first = 0;
        for batch in &read {
            assert_eq!((&*batch.file, batch.first_row), (file.to_str().unwrap(), first));
            first += batch.table.rows() as u64;
        }
        assert_eq!(read[count - 1].read, source.size(0));
        assert_same(&rows(&source).unwrap(), &whole(&text));
    }
    let one_row = reader().batches([file]).unwrap().batch_rows(1).unwrap();
    assert_eq!(
        batches(&one_row).unwrap()[0].table.weights(),
        Some(&[0.0][..]),
        "may be 0 in a batch"
    );
}

#[test]
fn files_of_a_pattern_are_read_in_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "b.csv.gz", &log(100..200));
    write(path, "a.csv", &log(0..100));
    // Other places of the columns, and others beside.
    write(
        path,
        "c.csv",
        "w,other,campaign,device,margin,time,price,click\n1,x,c0,e,0,2019-11-25,1,0\n",
    );
    write(path, "d.csv", HEADER);
    fs::create_dir_all(path.join("deep/er.csv")).unwrap();
    write(&path.join("deep/er.csv"), "e.csv", &log(7..8));
    let names = |pattern: &str| {
        let source = reader().batches([path.join(pattern)]).unwrap();
        let read = batches(&source).unwrap();
        let name = |file: &str| Path::new(file).file_name().unwrap().to_str().unwrap().to_owned();
        read.iter().map(|batch| name(&batch.file)).collect::<Vec<_>>()
    };
    assert_eq!(names("*.csv*"), ["a.csv", "b.csv.gz", "c.csv"], "d has no rows");
    assert_eq!(names("[bc].csv*"), ["b.csv.gz", "c.csv"]);
    assert_eq!(names("?.csv"), ["a.csv", "c.csv"]);
    assert_eq!(names("**/e.csv"), ["e.csv"]);
    let both = reader().batches([path.join("a.csv"), path.join("b.csv.gz")]).unwrap();
    assert_same(&rows(&both).unwrap(), &whole(&log(0..200)));
    let reversed = reader().batches([path.join("b.*"), path.join("a.*")]).unwrap();
    assert_eq!(batches(&reversed).unwrap()[0].table.rows(), 100);

    let refused = |files: &[&str]| {
        let files = files.iter().map(|file| path.join(file));
        reader().batches(files).unwrap_err().to_string()
    };
    assert!(refused(&["x*.csv"]).contains("a pattern that some file matches"));
    assert!(refused(&["a.csv", "[a].csv"]).contains("a.csv` twice"));
    assert!(refused(&["a[.csv"]).contains("a pattern ("));
    assert!(refused(&[]).contains("`files` is an empty list"), "{}", refused(&[]));
    assert!(refused(&["d.csv"]).contains("d.csv, line 1: no rows"));
    assert!(matches!(reader().batches(["gone.csv"]), Err(Error::Io { .. })));
    assert!(reader().batches([path.join("a.csv")]).unwrap().batch_rows(0).is_err());
    // A file whose name has the signs of a pattern is itself.
    write(path, "[x].csv", &log(0..1));
    assert_eq!(names("[x].csv"), ["[x].csv"]);
}

#[test]
fn a_file_that_lacks_a_column_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.csv", &log(0..10));
    write(folder.path(), "b.csv", &log(0..10).replace("device", "machine"));
    let error = reader().batches([folder.path().join("*.csv")]).unwrap_err();
    assert!(
        matches!(&error, Error::Malformed { file, line: 1, .. } if file.ends_with("b.csv")),
        "{error}"
    );
    assert!(error.to_string().contains("no column `device`"), "{error}");
}

#[test]
fn errors_have_the_line_of_the_file_in_any_batch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.csv");
    let text: String = (0..50).map(|row| if row == 40 { "9,x\n" } else { "0,x\n" }).collect();
    fs::write(&file, format!("click,device\n{text}")).unwrap();
    for batch_rows in [1, 7, 50] {
        let reader = CsvReader::new().label("click").categorical(["device"]);
        // The first 65,536 rows are read at once.
        let error = reader.batches([&file]).unwrap_err();
        assert!(matches!(&error, Error::Cell { line: 42, value, .. } if value == "9"), "{error}");
        let text = reader.clone().labels("0", "9").batches([&file]).unwrap();
        let text = text.batch_rows(batch_rows).unwrap();
        assert_eq!(rows(&text).unwrap().labels().iter().position(|label| *label), Some(40));
    }
}

#[test]
fn formats_of_times_are_found_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let reader = || CsvReader::new().label("click").time("t");
    let times = |files: &[&str]| {
        let source = reader().batches(files.iter().map(|file| path.join(file)))?.batch_rows(2)?;
        rows(&source).map(|table| table.numbers("t").unwrap().to_vec())
    };
    // Milliseconds by the median of the first file; alone, the second would be in seconds.
    write(path, "ms.csv", "click,t\n0,1574553600000\n1,1574553601000\n0,1574553602000\n");
    write(path, "small.csv", "click,t\n0,\n0,\n0,1000\n");
    write(path, "missing.csv", "click,t\n0,\n0,NA\n");
    write(path, "stamps.csv", "click,t\n0,2019-11-24\n");
    write(path, "dates.csv", "click,t\n0,20191124\n");
    let begin = 1_574_553_600.0;
    assert_eq!(times(&["ms.csv", "small.csv"]).unwrap()[..3], [begin, begin + 1.0, begin + 2.0]);
    assert_eq!(times(&["ms.csv", "small.csv"]).unwrap()[5], 1.0);
    assert_eq!(times(&["small.csv"]).unwrap()[2], 1000.0);
    assert_eq!(times(&["missing.csv", "ms.csv"]).unwrap()[2], begin, "found in the second file");
    assert_eq!(times(&["missing.csv", "stamps.csv"]).unwrap()[2], begin);
    assert!(times(&["missing.csv"]).unwrap()[0].is_nan());
    let error = times(&["ms.csv", "stamps.csv"]).unwrap_err();
    assert!(
        matches!(&error, Error::Cell { file, line: 2, .. } if file.ends_with("stamps.csv")),
        "{error}"
    );
    assert!(matches!(times(&["stamps.csv", "ms.csv"]), Err(Error::Cell { .. })));
    // Numbers are dates only if their format says so, also where milliseconds came before.
    assert_eq!(times(&["ms.csv", "dates.csv"]).unwrap()[3], 20_191.124);
    assert!(times(&["dates.csv"]).unwrap_err().to_string().contains("%Y%m%d"));
    let named = CsvReader::new().label("click").time_as("t", TimeFormat::pattern("%Y%m%d"));
    let named = named.batches([path.join("dates.csv")]).unwrap();
    assert_eq!(rows(&named).unwrap().numbers("t").unwrap(), [begin]);
}

#[test]
fn a_file_that_changes_or_goes_away_between_passes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.csv");
    fs::write(&file, log(0..10)).unwrap();
    let source = reader().batches([&file]).unwrap();
    assert_eq!(rows(&source).unwrap().rows(), 10);
    assert_eq!(rows(&source).unwrap().rows(), 10);
    fs::write(&file, log(0..11)).unwrap();
    assert!(matches!(rows(&source), Err(Error::FileChanged { file: named }) if named == file));
    fs::remove_file(&file).unwrap();
    assert!(matches!(rows(&source), Err(Error::Io { file: named, .. }) if named == file));
}

#[test]
fn a_file_that_is_cut_off_is_an_error_or_has_fewer_rows() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log.csv.gz", &log(0..500));
    let bytes = fs::read(folder.path().join("log.csv.gz")).unwrap();
    let file = folder.path().join("cut.csv.gz");
    for length in (0..bytes.len()).step_by(97) {
        fs::write(&file, &bytes[..length]).unwrap();
        let error = reader().batches([&file]).and_then(|source| rows(&source)).unwrap_err();
        assert!(
            matches!(&error, Error::Malformed { file: named, .. } if *named == file),
            "{error}"
        );
        assert!(reader().read(&file, &Run::default()).is_err());
    }
}

#[test]
fn the_error_of_a_pass_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log.csv", &log(0..100));
    let source = reader().batches([folder.path().join("log.csv")]).unwrap().batch_rows(10).unwrap();
    let mut seen = 0;
    let result = source.read(0, &mut |batch| {
        seen += 1;
        if batch.first_row < 30 { Ok(()) } else { Err(Error::NoRows { what: "the test" }) }
    });
    assert!(matches!(result, Err(Error::NoRows { what: "the test" })));
    assert_eq!(seen, 4);
}
