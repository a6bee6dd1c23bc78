//! Reading click logs: accepted files, refused files and the messages.
#![cfg(feature = "csv")]

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use flate2::{Compression, write::GzEncoder};
use imbalance::data::{CsvReader, Encoder, LibSvmReader, OneHot, Table, TimeFormat};
use imbalance::{Attribute, Error, FeaturesView, Matrix, Progress, Run};
use proptest::prelude::*;

fn reader() -> CsvReader {
    CsvReader::new().label("click")
}

fn read(reader: &CsvReader, text: impl AsRef<[u8]>) -> Result<Table, Error> {
    reader.read_from(text.as_ref(), "log.csv")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Returns one byte at a time, so that the reader may not rely on larger reads.
struct Drop<'a>(&'a [u8]);

impl Read for Drop<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = 1.min(buffer.len());
        self.0.read(&mut buffer[..n])
    }
}

const LOG: &str = "id,click,price,device,time,w,campaign\n\
                   1,0,2.5,phone,2019-11-24 00:00:17.25+00:00,1,men\n\
                   2,1,NA,,2019-11-24T01:00:18+01:00,0.5,women\n\
                   3,0, -1e3 ,phone,2019-11-24 00:00:20,2,men\n";

fn log_reader() -> CsvReader {
    reader()
        .numeric(["price"])
        .categorical(["device", "id"])
        .attribute_numbers(["price"])
        .attribute_texts(["campaign"])
        .time("time")
        .weight("w")
}

fn check_log(table: &Table) {
    assert_eq!(table.labels(), [false, true, false]);
    assert_eq!(table.weights(), Some(&[1.0, 0.5, 2.0][..]));
    for price in [table.numeric("price").unwrap(), table.numbers("price").unwrap()] {
        assert!(price[0] == 2.5 && price[1].is_nan() && price[2] == -1000.0, "{price:?}");
    }
    let midnight = 1_574_553_600.0;
    let times = [midnight + 17.25, midnight + 18.0, midnight + 20.0];
    assert_eq!(table.numbers("time").unwrap(), times);
    let Attribute::Categories(campaign) = table.attribute("campaign").unwrap() else { panic!() };
    assert_eq!(
        (campaign.levels(), campaign.codes()),
        (&["men".into(), "women".into()][..], &[0, 1, 0][..])
    );
    assert_eq!(table.categorical_names().collect::<Vec<_>>(), ["device", "id"]);
    assert_eq!(table.attribute_names().collect::<Vec<_>>(), ["price", "campaign", "time"]);
}

#[test]
fn every_role_is_read() {
    let table = read(&log_reader(), LOG).unwrap();
    check_log(&table);
    // Equal to a table built in memory.
    let built = Table::new(table.labels())
        .unwrap()
        .with_numeric("price", table.numeric("price").unwrap())
        .unwrap()
        .with_categorical("device", ["phone", "", "phone"])
        .unwrap()
        .with_categorical("id", ["1", "2", "3"])
        .unwrap()
        .with_weights(table.weights().unwrap())
        .unwrap();
    let encode = |table: &Table| {
        let data = Encoder::default().fit(table).unwrap().encode(table).unwrap();
        let FeaturesView::F64(Matrix::Sparse(x)) = data.features() else { panic!() };
        x.to_owned()
    };
    assert_eq!(encode(&table), encode(&built));
}

#[test]
fn the_forms_of_a_file() {
    let plain = LOG.as_bytes();
    let (first, second) = plain.split_at(70);
    let members = [gzip(first), gzip(second)].concat();
    let with_bom = [b"\xef\xbb\xbf", plain].concat();
    let crlf = LOG.replace('\n', "\r\n");
    let quoted = LOG.replace("phone", "\"phone\"").replace("click", "\"click\"");
    let blank = LOG.replace('\n', "\n\n");
    let blank_crlf = LOG.replace('\n', "\r\n\r\n");
    let gzipped_bom = gzip(&with_bom);
    let forms: [&[u8]; 10] = [
        plain,
        plain.trim_ascii_end(),
        crlf.as_bytes(),
        crlf.trim_ascii_end().as_bytes(),
        quoted.as_bytes(),
        blank.as_bytes(),
        blank_crlf.as_bytes(),
        &with_bom,
        &members,
        &gzipped_bom,
    ];
    for form in forms {
        check_log(&read(&log_reader(), form).unwrap());
        check_log(&log_reader().read_from(Drop(form), "drops").unwrap());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(form).unwrap();
        check_log(&log_reader().read(file.path(), &Run::default()).unwrap());
    }
    for delimiter in [b';', b'\t', b'|', 1, 0] {
        let text = LOG.replace(',', &char::from(delimiter).to_string());
        check_log(&read(&log_reader().delimiter(delimiter), text).unwrap());
    }
}

#[test]
fn labels_are_what_they_are_said_to_be() {
    let table = read(&reader(), "click\n0\n1\n0.0\n1.0\ntrue\nFalse\nTRUE\n").unwrap();
    assert_eq!(table.labels(), [false, true, false, true, true, false, true]);
    let table = read(&reader().labels("no", "yes"), "click\nyes\nno\n").unwrap();
    assert_eq!(table.labels(), [true, false]);
    // The last call counts.
    let table = read(&reader().label("buy"), "click,buy\n0,1\n").unwrap();
    assert_eq!(table.labels(), [true]);
}

#[test]
fn times_are_numbers_or_time_stamps() {
    let times = |cells: &str| {
        let text = format!("time,click\n{}", cells.replace('\n', ",0\n"));
        read(&reader().time("time"), text).map(|table| table.numbers("time").unwrap().to_vec())
    };
    assert_eq!(times("14102100\n-3.5\n").unwrap(), [14102100.0, -3.5]);
    assert_eq!(
        times(
            "1970-01-02\n1970-01-01T00:00:00Z\n1970-01-01 00:00:01.5\n1969-12-31T23:59:59.75Z\n\
             1970-01-01 02:00:00+02:00\n1970-01-01T00:00-00:30\n 1970-01-01 \n"
        )
        .unwrap(),
        [86400.0, 0.0, 1.5, -0.25, 0.0, 1800.0, 0.0]
    );
    assert_eq!(times("2019-11-24 00:00:17.004101+00:00\n").unwrap(), [1574553617.004101]);
    for (cells, message) in [
        (
            "1\n1970-01-01\n",
            "log.csv, line 3, column `time`: `1970-01-01` is not a finite number, as earlier times are",
        ),
        (
            "1970-01-01\n1\n",
            "log.csv, line 3, column `time`: `1` is no time stamp, as earlier times are",
        ),
        (
            "1\ninf\n",
            "log.csv, line 3, column `time`: `inf` is not a finite number, as earlier times are",
        ),
    ] {
        let error = times(cells).unwrap_err();
        assert!(matches!(error, Error::Cell { .. }));
        assert_eq!(error.to_string(), message);
    }
    for cell in [
        "2019-02-30",
        "2019-11-24T00:00+01:00[Europe/Berlin]",
        "2019-11-24 09:30 PM",
        "24/11/2019",
        "2019-11",
        "2019-11/24",
        "2019-11-24T",
        "2019-11-24 25:00",
        "2019-11-24 24:00:01",
        "2019-11-24 00:60",
        "2019-11-24 00:00:60",
        "2019-11-24 00:00:17.",
        "2019-11-24 00:00 +24:00",
        "2019-W54-1",
        "2019-W53-1",
        "2019-366",
        "2019-000",
        "-2019-11-24",
        "2019-11-24 00:00:17 CET",
        "x",
    ] {
        let error = times(&format!("{cell}\n")).unwrap_err();
        assert!(matches!(&error, Error::Cell { value, .. } if value == cell), "{error}");
        assert!(error.to_string().contains("name its format with `time_as`"), "{error}");
    }
}

/// A column of times, read in a format.
fn times_as(format: TimeFormat, cells: &[&str]) -> Result<Vec<f64>, Error> {
    let text = format!("time;click\n{};0\n", cells.join(";0\n"));
    let reader = reader().delimiter(b';').time_as("time", format);
    read(&reader, text).map(|table| table.numbers("time").unwrap().to_vec())
}

/// The numbers come from Python: `datetime.fromisoformat(…).timestamp()` and, for weeks,
/// `date.fromisocalendar(2019, 47, 7)`.
#[test]
fn time_stamps_as_programs_write_them() {
    for (cell, seconds) in [
        ("2017-11-07 9:30", 1510047000.0),
        ("2019-11-24 00:00:17 UTC", 1574553617.0),
        ("2019-11-24 00:00:17.004101 utc", 1574553617.004101),
        ("2019-11-24T00:00:17+0100", 1574550017.0),
        ("2019-11-24 00:00:17 -0130", 1574559017.0),
        ("2019-11-24 00:00:17 +01", 1574550017.0),
        ("2019/11/24 0:00:17", 1574553617.0),
        ("2019-1-2", 1546387200.0),
        ("20191124T000017Z", 1574553617.0),
        ("20191124 00:00:17", 1574553617.0),
        ("9999-12-31", 253402214400.0),
        ("9999-12-31 23:59:59", 253402300799.0),
        ("0001-01-01", -62135596800.0),
        ("2019-W47-7", 1574553600.0),
        ("2020-W53-5", 1609459200.0),
        ("2019-328", 1574553600.0),
        ("2019-11-23T24:00:00", 1574553600.0),
        // POSIX has no leap seconds: this is the next midnight.
        ("2016-12-31T23:59:60Z", 1483228800.0),
        ("2019-11-24T00:00:17.123456789012Z", 1574553617.1234567),
        ("2019-11-24T00:00:17,5Z", 1574553617.5),
        ("1970-01-01", 0.0),
    ] {
        assert_eq!(times_as(TimeFormat::Found, &[cell]).unwrap(), [seconds], "{cell}");
    }
    // Some may be missing.
    let found = times_as(TimeFormat::Found, &["", "2019-11-24", "NA", "null"]).unwrap();
    assert!(found[0].is_nan() && found[1] == 1574553600.0 && found[2].is_nan());
    let found = times_as(TimeFormat::Found, &["NA", "7"]).unwrap();
    assert!(found[0].is_nan() && found[1] == 7.0);
}

#[test]
fn epochs_have_the_unit_of_most_of_their_numbers() {
    let second = 1574553617.0;
    for (cells, expected) in [
        (vec!["1574553617", "1574553617.5"], vec![second, second + 0.5]),
        (vec!["1574553617004", "1574553617250"], vec![1574553617.004, second + 0.25]),
        (vec!["1574553617004101"], vec![1574553617.004101]),
        (vec!["1574553617000000000"], vec![second]),
        // An end of time among seconds, a missing time and a zero among milliseconds.
        (vec!["1574553617", "253402214400", "1574553617"], vec![second, 253402214400.0, second]),
        (vec!["0", "1574553617004", "1574553617004"], vec![0.0, 1574553617.004, 1574553617.004]),
        (vec!["0", "17", "29"], vec![0.0, 17.0, 29.0]),
    ] {
        assert_eq!(times_as(TimeFormat::Found, &cells).unwrap(), expected, "{cells:?}");
    }
    assert_eq!(times_as(TimeFormat::Milliseconds, &["17"]).unwrap(), [0.017]);
    assert_eq!(times_as(TimeFormat::Microseconds, &["17"]).unwrap(), [17e-6]);
    assert_eq!(times_as(TimeFormat::Nanoseconds, &["17"]).unwrap(), [17e-9]);
    assert_eq!(times_as(TimeFormat::Number, &["1574553617004"]).unwrap(), [1574553617004.0]);
}

#[test]
fn dates_written_as_numbers_are_read_by_name_only() {
    for (cells, pattern, seconds) in [
        (["20191124", "20191231"], "%Y%m%d", 1574553600.0),
        (["14102100", "14103023"], "%y%m%d%H", 1413849600.0),
        (["2019112405", "2019112406"], "%Y%m%d%H", 1574571600.0),
        (["201911240530", "201911240531"], "%Y%m%d%H%M", 1574573400.0),
        (["20191124053017", "20191124053018"], "%Y%m%d%H%M%S", 1574573417.0),
    ] {
        let error = times_as(TimeFormat::Found, &cells).unwrap_err();
        assert!(matches!(error, Error::Malformed { line: 1, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("TimeFormat::pattern(\"{pattern}\")")), "{text}");
        assert_eq!(times_as(TimeFormat::pattern(pattern), &cells).unwrap()[0], seconds);
        let number: f64 = cells[0].parse().unwrap();
        assert_eq!(times_as(TimeFormat::Number, &cells).unwrap()[0], number);
        // One number that is no date is enough for numbers.
        assert!(times_as(TimeFormat::Found, &[cells[0], "17"]).is_ok());
    }
    for (pattern, cell, seconds) in [
        ("%d/%b/%Y:%H:%M:%S %z", "24/Nov/2019:00:00:17 +0100", 1574550017.0),
        ("%m/%d/%Y %I:%M:%S %p", "11/24/2019 12:00:17 AM", 1574553617.0),
        ("%d.%m.%Y", "31.12.9999", 253402214400.0),
        ("%s", "1574553617", 1574553617.0),
    ] {
        assert_eq!(times_as(TimeFormat::pattern(pattern), &[cell]).unwrap(), [seconds], "{cell}");
    }
    let error = times_as(TimeFormat::pattern("%d.%m.%Y"), &["2019-11-24"]).unwrap_err();
    assert!(error.to_string().contains("is no time of the pattern `%d.%m.%Y`"), "{error}");
    for pattern in ["", "%H:%M", "%Y-%m", "%K", "no date"] {
        let error = times_as(TimeFormat::pattern(pattern), &["1"]).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "time_as", .. }), "{error}");
    }
}

#[test]
fn files_without_a_header() {
    let named = reader().numeric(["x"]).column_names(["click", "x", "rest"]);
    let table = read(&named, "1,0.5,a\n0,0.7,b\n").unwrap();
    assert_eq!(
        (table.labels(), table.numeric("x").unwrap()),
        (&[true, false][..], &[0.5, 0.7][..])
    );
    let numbered = CsvReader::new().label("1").numeric(["2"]).column_names([""; 0]);
    let table = read(&numbered, "\n1,0.5,a\n0,0.7,b\n").unwrap();
    assert_eq!((table.rows(), table.numeric("2").unwrap()), (2, &[0.5, 0.7][..]));
    for (reader, text, message) in [
        (&named, "1,0.5\n", "log.csv, line 1: 2 cells, but the columns are 3"),
        (&numbered, "1,0.5\n\n1\n", "log.csv, line 3: 1 cells, but the columns are 2"),
        (&named, "", "log.csv, line 1: the file has no rows"),
        (&numbered, "\n", "log.csv, line 1: the file has no rows"),
        (
            &numbered,
            "1\n",
            "log.csv, line 1: there is no column `2` for the numeric role; the columns are: 1",
        ),
    ] {
        assert_eq!(read(reader, text).unwrap_err().to_string(), message);
    }
    let error = read(&numbered, "1,x\n").unwrap_err();
    assert!(matches!(&error, Error::Cell { line: 1, column, .. } if column == "2"), "{error}");
}

#[test]
fn labels_by_a_rule_or_none() {
    let labels = |reader: CsvReader, cells: &str| {
        read(&reader, format!("click\n{cells}")).map(|table| table.labels().to_vec())
    };
    assert_eq!(
        labels(reader().positive_above(0.0), "0\n2\n -1 \n0.5\n").unwrap(),
        [false, true, false, true]
    );
    assert_eq!(labels(reader().positive_above(3.0), "3\n4\n").unwrap(), [false, true]);
    let texts = reader().positive_texts(["fraud", "dispute"]);
    assert_eq!(labels(texts, "ok\nfraud\n dispute\n\"\"\n").unwrap(), [false, true, true, false]);
    assert_eq!(labels(reader(), " 1\n0 \n\ttrue\n").unwrap(), [true, false, true]);
    assert_eq!(labels(reader().labels("no", " yes"), " yes \nno\n").unwrap(), [true, false]);
    let missing = labels(reader().positive_above(0.0), "NA\n").unwrap_err();
    assert!(missing.to_string().contains("every row needs a label"), "{missing}");
    for reader in [reader().positive_above(f64::NAN), reader().positive_texts([""; 0])] {
        assert!(matches!(labels(reader, "1\n"), Err(Error::InvalidArgument { .. })));
    }
    // The reader of the training rows, without the label, for rows to score.
    let train = reader().numeric(["x"]).categorical(["c"]);
    let fitted = Encoder::hashing(4).unwrap();
    let table = read(&train, "click,x,c\n0,1,a\n1,3,b\n").unwrap();
    let encoder = fitted.fit(&table).unwrap();
    let rows = read(&train.clone().unlabelled(), "x,c\n2,a\n5,b\n").unwrap();
    assert_eq!(rows.labels(), [false; 2]);
    let features = encoder.features(&rows).unwrap();
    assert_eq!((features.nrows(), features.view().row(1).get(0)), (2, 3.0));
    assert!(matches!(rows.totals().positive_weight, 0.0));
    let error = read(&train.unlabelled().label("click"), "x,c\n2,a\n").unwrap_err();
    assert!(error.to_string().contains("no column `click`"), "{error}");
}

#[test]
fn quotes_are_those_of_the_standard() {
    let reader = reader().attribute_texts(["t"]);
    let texts = |text: &str| {
        let table = read(&reader, format!("t,click\n{text}"))?;
        let Attribute::Categories(texts) = table.attribute("t")?.clone() else { panic!() };
        Ok((0..texts.len()).map(|row| texts.get(row).unwrap().to_owned()).collect::<Vec<_>>())
    };
    let is = |text: &str, expected: &[&str]| {
        let found: Result<Vec<String>, Error> = texts(text);
        assert_eq!(found.unwrap(), expected, "{text}");
    };
    is("\"a\"\"b\",0\n\"\",1\n", &["a\"b", ""]);
    is("5\" pipe,0\n a\"b\",1\n", &["5\" pipe", " a\"b\""]);
    is("\"a\r\nb\",\"0\"\r\n\"c\",\"1\"\r\n", &["a\r\nb", "c"]);
    for (text, line) in [
        ("\"1\"2,0\n", 2),
        ("x,0\n\"a\" ,0\n", 3),
        ("\"a\n\n\"b,0\n", 4),
        ("x,\"0\"\r,y\n", 2),
        ("x,0\nx,\"1\"1", 3),
    ] {
        for text in [text.to_owned(), format!("{}{text}", "")] {
            let error = texts(&text).unwrap_err();
            assert!(
                matches!(error, Error::Malformed { line: found, .. } if found == line),
                "{error}"
            );
            assert!(
                error.to_string().contains("text follows the quote that closes a cell"),
                "{error}"
            );
        }
    }
    // Far behind the first buffer, and with an earlier mistake first.
    let long = "\"x\",0\n".repeat(50_000);
    let error = texts(&format!("{long}\"1\"2,0\n")).unwrap_err();
    assert!(matches!(error, Error::Malformed { line: 50_002, .. }), "{error}");
    let error = texts("x,?\n\"1\"2,0\n").unwrap_err();
    assert!(matches!(error, Error::Cell { line: 2, .. }), "{error}");
    let error = reader.read_from(Drop(b"t,click\n\"1\"2,0\n"), "drops").unwrap_err();
    assert!(matches!(error, Error::Malformed { line: 2, .. }), "{error}");
    // Without quotes they are text.
    let table = read(&reader.clone().quotes(false), "t,click\n\"a,0\n\"b\"c,1\n").unwrap();
    let Attribute::Categories(texts) = table.attribute("t").unwrap() else { panic!() };
    assert_eq!(texts.levels(), ["\"a", "\"b\"c"]);
}

#[test]
fn header_names_are_trimmed_and_lengths_are_limited() {
    let table = read(&reader().numeric(["x", " y"]), " click,x ,y\n1,2,3\n").unwrap();
    assert_eq!(
        (table.numeric("x").unwrap(), table.numeric(" y").unwrap()),
        (&[2.0][..], &[3.0][..])
    );
    let long = "x".repeat(5000);
    let error = read(&reader(), format!("{long},click\n1,0\n")).unwrap_err();
    assert!(error.to_string().contains("the name of column 1 has 5000 bytes"), "{error}");
    let many: Vec<String> = (0..1000).map(|column| format!("column {column}")).collect();
    let error = read(&reader(), format!("{}\n", many.join(","))).unwrap_err();
    assert!(error.to_string().ends_with("column 49, and 950 more"), "{error}");
    // A record without end does not fill the memory, quoted or not, compressed or not.
    let huge = "x".repeat(20 << 20);
    for text in
        [format!("{huge},click\n"), format!("a,click\n\"{huge}\",0\n"), format!("a,click\n{huge}")]
    {
        for text in [gzip(text.as_bytes()), text.into_bytes()] {
            let error = read(&reader(), text).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
            assert!(error.to_string().contains("a record of more than 16 MiB"), "{error}");
            assert!(error.to_string().len() < 300);
        }
    }
}

#[test]
fn libsvm_files() {
    let reader = LibSvmReader::new();
    let svm = |reader: &LibSvmReader, text: &str| reader.read_from(text.as_bytes(), "log.svm");
    let text = "+1 3:1.5 1:-2 # comment 9:9\n\n-1 qid:7 2:0\n0\n1 5:1e-3\r\n";
    for bytes in [
        text.as_bytes().to_vec(),
        gzip(text.as_bytes()),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
    ] {
        let data = reader.read_from(&bytes[..], "log.svm").unwrap();
        assert_eq!((data.labels(), data.columns()), (&[true, false, false, true][..], 5));
        let row = |row: usize| data.features().row(row).to_vec().unwrap();
        assert_eq!(row(0), [-2.0, 0.0, 1.5, 0.0, 0.0]);
        assert_eq!((row(1), row(3)[4]), (vec![0.0; 5], 1e-3));
        assert!(data.features().is_sparse());
    }
    let zero = svm(&reader.zero_based(true).columns(9), "1 0:1\n").unwrap();
    assert_eq!((zero.columns(), zero.features().row(0).get(0)), (9, 1.0));
    let f32 = svm(&reader.precision(imbalance::Precision::F32), "1 1:0.1\n").unwrap();
    assert!(matches!(f32.features(), FeaturesView::F32(_)));
    let counts = svm(&reader.positive_above(2.5), "2 1:1\n3 1:1\n").unwrap();
    assert_eq!(counts.labels(), [false, true]);
    for (reader, text, problem) in [
        (reader, "1 0:1\n", "line 1: the index 0, but indices count from 1; see `zero_based`"),
        (reader.columns(2), "1 3:1\n", "line 1: the index 3, but there are 2 columns"),
        (reader, "1 1:1\n2 1:1\n", "line 2: the label `2` is none of 1, 0 and -1"),
        (reader, "yes 1:1\n", "line 1: the label `yes` is none of"),
        (reader, "1 1:1 1:2\n", "line 1: the index 1 stands twice"),
        (reader, "1 x:1\n", "line 1: `x:1` is no pair"),
        (reader, "1 1:inf\n", "line 1: `1:inf` is no pair"),
        (reader, "1 1\n", "line 1: `1` is no pair"),
        (reader, "1 99999999999999999999:1\n", "is no pair"),
    ] {
        let error = svm(&reader, text).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert!(matches!(svm(&reader, "\n# nothing\n"), Err(Error::NoRows { .. })));
    assert!(matches!(
        svm(&reader.positive_above(f64::NAN), "1 1:1\n"),
        Err(Error::InvalidArgument { .. })
    ));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    assert_eq!(reader.read(file.path(), &Run::default()).unwrap().rows(), 4);
    let run = Run::default().observed(|_| ControlFlow::Break(()));
    assert!(matches!(reader.read(file.path(), &run), Err(Error::Cancelled { .. })));
}

#[test]
fn missing_numbers_are_named() {
    let all = "x,click\n\"\",0\nNA,0\nNaN,0\nnan,0\nnull,0\nNULL,0\nNone,0\n\\N,0\n1,1\n";
    let table = read(&reader().numeric(["x"]), all).unwrap();
    assert_eq!(table.numeric("x").unwrap().iter().filter(|x| x.is_nan()).count(), 8);

    let table = read(&reader().numeric(["x"]).missing(["-999"]), "x,click\n-999,0\n1,1\n").unwrap();
    assert!(table.numeric("x").unwrap()[0].is_nan());
    let error = read(&reader().numeric(["x"]).missing(["-999"]), "x,click\nNA,0\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "log.csv, line 2, column `x`: `NA` is not a finite number (missing numbers are written `-999`)"
    );
}

#[test]
fn a_bad_cell_is_named_with_its_file_line_column_and_value() {
    let reader = reader().numeric(["x"]).attribute_texts(["t"]).weight("w");
    let long = format!("{}x", "é".repeat(60));
    let row = |x: &str, t: &str, w: &str, click: &str| {
        format!("x,t,w,click\n1,\"a\n\nb\",1,0\n\n{x},{t},{w},{click}\n1,,1,1\n")
    };
    let missing =
        "missing numbers are written ``, `NA`, `NaN`, `nan`, `null`, `NULL`, `None`, `\\N`";
    let number = |value: &str| {
        format!("log.csv, line 6, column `x`: `{value}` is not a finite number ({missing})")
    };
    let label = "is no label: write 0, 0.0, false, 1, 1.0 or true, or name the two texts with `labels`, the positive ones \
         with `positive_texts`, or a count with `positive_above`";
    let cases = [
        (row("1,5", "", "1", "0").replace("1,5", "\"1,5\""), number("1,5")),
        (row("inf", "", "1", "0"), number("inf")),
        (row("-Infinity", "", "1", "0"), number("-Infinity")),
        (row("1e999", "", "1", "0"), number("1e999")),
        (row("0x1F", "", "1", "0"), number("0x1F")),
        (row(&long, "", "1", "0"), number(&format!("{}…", "é".repeat(60)))),
        (row("1", "", "1", "2"), format!("log.csv, line 6, column `click`: `2` {label}")),
        (row("1", "", "1", ""), format!("log.csv, line 6, column `click`: `` {label}")),
        (row("1", "", "1", " 2"), format!("log.csv, line 6, column `click`: ` 2` {label}")),
        (
            row("1", "", "-1", "0"),
            "log.csv, line 6, column `w`: `-1` is no weight: it must be zero or more".into(),
        ),
        (
            row("1", "", "NA", "0"),
            "log.csv, line 6, column `w`: `NA` is no weight: it must be zero or more".into(),
        ),
        // The message names the line of the cell, not the first line of the record.
        (row("1", "\"\n\n\"", "1", "x"), format!("log.csv, line 8, column `click`: `x` {label}")),
    ];
    for (text, message) in &cases {
        for text in [text.clone(), text.replace('\n', "\r\n")] {
            let error = read(&reader, &text).unwrap_err();
            assert!(matches!(error, Error::Cell { .. }), "{error}");
            assert_eq!(error.to_string(), *message);
            let error = read(&reader, gzip(text.as_bytes())).unwrap_err();
            assert_eq!(error.to_string(), *message);
        }
    }
    let error = read(&reader.clone().labels("n", "y"), row("1", "", "1", "0")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "log.csv, line 4, column `click`: `0` is no label: write `n` or `y`"
    );
}

#[test]
fn text_that_is_not_utf_8_is_refused_even_where_it_is_not_read() {
    let error = read(&reader(), b"name,click\nok,0\nM\xfcller,1\n").unwrap_err();
    assert!(matches!(error, Error::Cell { .. }));
    assert_eq!(error.to_string(), "log.csv, line 3, column `name`: `M\u{fffd}ller` is not UTF-8");
    // Two cells whose bytes would be a character only together.
    let error = read(&reader(), b"a,b,click\n\xc3,\xa9,1\n").unwrap_err();
    assert_eq!(error.to_string(), "log.csv, line 2, column `a`: `\u{fffd}` is not UTF-8");
    let error = read(&reader(), b"click,na\xfcme\n0,1\n").unwrap_err();
    assert_eq!(error.to_string(), "log.csv, line 1: the name of column 2 is not UTF-8");
}

#[test]
fn a_malformed_file_is_refused_with_file_and_line() {
    let reader = reader().categorical(["a"]);
    let truncated = {
        let whole = gzip(format!("a,click\n{}", "x,0\n".repeat(1000)).as_bytes());
        whole[..whole.len() - 9].to_vec()
    };
    let cases: [(&[u8], &str); 15] = [
        (b"", "log.csv, line 1: the file is empty: a header is needed"),
        (b"\n\r\n", "log.csv, line 1: the file is empty: a header is needed"),
        (b"a,click", "log.csv, line 1: no rows follow the header"),
        (b"\n\na,click\n\n", "log.csv, line 3: no rows follow the header"),
        (b"a,click\nx,0\nx\n", "log.csv, line 3: 1 cells, but the header has 2"),
        (b"a,click\r\nx,0\r\n\r\nx,0,1\r\n", "log.csv, line 4: 3 cells, but the header has 2"),
        (b"a,click\n\"x\ny\",0\n\"\n\"\n", "log.csv, line 4: 1 cells, but the header has 2"),
        (
            b"b,click\nx,0\n",
            "log.csv, line 1: there is no column `a` for the categorical role; the columns are: b, click",
        ),
        (
            b"a,clicks\nx,0\n",
            "log.csv, line 1: there is no column `click` for the label role; the columns are: a, clicks",
        ),
        (
            b"a,click,a\nx,0,y\n",
            "log.csv, line 1: the header has two columns `a`; the columns are: a, click, a",
        ),
        (
            b"a,click\nx,0\nx,\"1\nx,0\n",
            "log.csv, line 3: the quote that opens a cell is never closed",
        ),
        (
            b"click,a\n0,x\n1,\"\"\"x\n\"\"\n0,x",
            "log.csv, line 3: the quote that opens a cell is never closed",
        ),
        (b"\"a,click\nx,0\n", "log.csv, line 1: the quote that opens a cell is never closed"),
        // The text that the reader appends to a file is no end of file within it.
        (b"a,click\nx,0\n\xff\xff\xff\xff\nx,0\n", "log.csv, line 3: the text is not UTF-8"),
        (&truncated, ""),
    ];
    for (text, message) in cases {
        let error = read(&reader, text).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        if message.is_empty() {
            let error = error.to_string();
            assert!(error.starts_with("log.csv, line "), "{error}");
            assert!(error.contains(": the gzip stream is damaged or cut off ("), "{error}");
        } else {
            assert_eq!(error.to_string(), message);
        }
    }
    for damaged in [gzip(b"a,click\nx,0\n")[..12].to_vec(), {
        let mut text = gzip(b"a,click\nx,0\n");
        let crc = text.len() - 6;
        text[crc] ^= 1;
        text
    }] {
        assert!(matches!(read(&reader, damaged).unwrap_err(), Error::Malformed { .. }));
    }
    let error = reader.read("no such directory/log.csv", &Run::default()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().starts_with("no such directory/log.csv: "), "{error}");
}

#[test]
fn a_source_that_fails_is_an_io_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }
    for text in ["", "click\n", "click\n0\n1\n"] {
        let error = reader().read_from(text.as_bytes().chain(Broken), "socket").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert_eq!(error.to_string(), "socket: the cable is out");
    }
}

#[test]
fn a_reader_that_makes_no_sense_does_not_start() {
    let refused = |reader: CsvReader| {
        let error = read(&reader, "a,click\nx,0\n").unwrap_err().to_string();
        let unopened = reader.read("no such file", &Run::default()).unwrap_err();
        assert_eq!(unopened.to_string(), error);
        error
    };
    assert_eq!(
        refused(CsvReader::new()),
        "`label` is not named, but it must be the name of a column, unless the rows are `unlabelled`"
    );
    assert_eq!(
        refused(reader().labels("1", "1")),
        "`labels` is `1` for both classes, but it must be a text for each class"
    );
    for (delimiter, shown) in [(b'"', "'\"'"), (b'\n', "'\\n'"), (b'\r', "'\\r'"), (0xa7, "'§'")] {
        assert_eq!(
            refused(reader().delimiter(delimiter)),
            format!("`delimiter` is {shown}, but it must be ASCII, but no quote or line break")
        );
    }
    assert_eq!(refused(reader().numeric(["a", "a"])), "the numeric column `a` is named twice");
    assert_eq!(
        refused(reader().attribute_texts(["a"]).time("a")),
        "the attribute column `a` is named twice"
    );
}

#[test]
fn weights_that_fail_together_are_named_with_their_file_and_column() {
    for (weights, problem) in [
        (["0", "0"], "`weights` is zero for every row, but it must be positive for some row"),
        (["1e308", "1e308"], "the total weight is inf: scale all weights down"),
    ] {
        let text = format!("w,click\n{},1\n{},0\n", weights[0], weights[1]);
        let error = read(&reader().weight("w"), text).unwrap_err();
        assert!(matches!(error, Error::Malformed { line: 1, .. }), "{error}");
        assert_eq!(error.to_string(), format!("log.csv, line 1: the weight column `w`: {problem}"));
    }
}

#[test]
fn offsets_are_read_and_stay_with_their_rows() {
    let reader = reader().numeric(["x"]).offset("o");
    let table = read(&reader, "x,o,click\n1,-0.5,1\n2,0,0\n4,3.25,0\n").unwrap();
    assert_eq!(table.offsets(), Some(&[-0.5, 0.0, 3.25][..]));
    let some = table.select(&[2, 0]).unwrap();
    let data = Encoder::default().fit(&some).unwrap().encode(&some).unwrap();
    assert_eq!(data.offsets(), Some(&[3.25, -0.5][..]));
    assert!(format!("{table:?}").contains("offsets: true"));
    for (cell, problem) in
        [("NA", "is missing, but every row needs an offset"), ("inf", "is not a finite number")]
    {
        let error = read(&reader, format!("x,o,click\n1,{cell},1\n")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("log.csv, line 2, column `o`: ") && text.contains(problem),
            "{text}"
        );
    }
    assert!(matches!(
        table.with_offsets(vec![0.0, f64::NAN, 1.0]),
        Err(Error::NonFinite { row: 1, .. })
    ));
}

#[test]
fn progress_is_told_and_can_stop_the_reading() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let rows = 100_000_usize;
    file.write_all(format!("click,a\n{}", "0,something or other\n".repeat(rows)).as_bytes())
        .unwrap();
    let size = file.as_file().metadata().unwrap().len();

    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let run = Run::default().observed(move |progress| {
        sink.lock().unwrap().push(progress.clone());
        ControlFlow::Continue(())
    });
    assert_eq!(reader().read(file.path(), &run).unwrap().rows(), rows);
    let seen = seen.lock().unwrap();
    assert!(seen.len() >= rows / (1 << 14), "{}", seen.len());
    assert_eq!(seen.last(), Some(&Progress::Read { bytes: size, of: size, rows }));

    let run = Run::default().observed(|_| ControlFlow::Break(()));
    let error = reader().read(file.path(), &run).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
}

fn quote(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

proptest! {
    /// Any table that is written as text, with quotes where needed, is read back unchanged.
    #[test]
    fn tables_survive_the_way_through_text(
        rows in prop::collection::vec(
            (
                any::<bool>(),
                prop_oneof![Just(f64::NAN), prop::num::f64::NORMAL, prop::num::f64::ZERO],
                "[a-c,;\"\r\n é]{0,6}",
                "[xy]{1,2}",
            ),
            1..40,
        ),
        crlf in any::<bool>(),
        compressed in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = format!("text,x,\"plain \"\"p\"\"\",click{end}");
        for (label, x, any, plain) in &rows {
            let x = if x.is_nan() { String::new() } else { format!("{x:e}") };
            text += &format!("{},{x},{plain},{}{end}", quote(any), u8::from(*label));
        }
        let categorical = reader().categorical(["text", "plain \"p\""]);
        let numeric = reader().numeric(["x"]).attribute_texts(["text"]);
        let bytes = if compressed { gzip(text.as_bytes()) } else { text.into_bytes() };
        let (table, hashed) = (read(&numeric, &bytes).unwrap(), read(&categorical, &bytes).unwrap());
        let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
        prop_assert_eq!(table.labels(), &labels);
        for (row, read) in rows.iter().zip(table.numeric("x").unwrap()) {
            prop_assert!(row.1.to_bits() == read.to_bits() || row.1.is_nan() && read.is_nan());
        }
        let Attribute::Categories(texts) = table.attribute("text").unwrap() else { panic!() };
        for (i, row) in rows.iter().enumerate() {
            prop_assert_eq!(texts.get(i).unwrap(), &row.2);
        }
        let built = Table::new(labels)
            .unwrap()
            .with_categorical("text", rows.iter().map(|row| &row.2))
            .unwrap()
            .with_categorical("plain \"p\"", rows.iter().map(|row| &row.3))
            .unwrap();
        let encoder = Encoder::default().fit(&built).unwrap();
        let matrix = |table: &Table| {
            let data = encoder.encode(table).unwrap();
            let FeaturesView::F64(Matrix::Sparse(x)) = data.features() else { panic!() };
            x.to_owned()
        };
        prop_assert_eq!(matrix(&hashed), matrix(&built));
    }
}

#[test]
fn names_of_values_are_kept_up_to_the_limit() {
    let names = |reader: CsvReader| {
        let file = "click,c\n0,b\n1,a\n0,b\n";
        let table = reader.label("click").categorical(["c"]).read_from(file.as_bytes(), "log.csv");
        let encoder = Encoder::only().column("c", OneHot::new()).fit(&table.unwrap()).unwrap();
        encoder.column_names().collect::<Vec<_>>()
    };
    assert_eq!(names(CsvReader::new()), ["c=a", "c=b"]);
    assert_eq!(names(CsvReader::new().named_values(2)), ["c=a", "c=b"]);
    for limit in [0, 1] {
        let hashes = names(CsvReader::new().named_values(limit));
        assert!(hashes.iter().all(|name| name.starts_with("c=#")) && hashes.len() == 2);
    }
}

/// The records of a text, by the rules in the documentation of `CsvReader`, byte by byte; None for a malformed one.
fn naive_records(text: &[u8]) -> Option<Vec<Vec<String>>> {
    let (mut at, mut records) = (0, Vec::new());
    while at < text.len() {
        let (mut cells, mut is_quoted) = (Vec::new(), false);
        loop {
            let mut cell = Vec::new();
            if text.get(at) == Some(&b'"') {
                is_quoted = true;
                at += 1;
                while *text.get(at)? != b'"' || text.get(at + 1) == Some(&b'"') {
                    at += usize::from(text[at] == b'"') + 1;
                    cell.push(text[at - 1]);
                }
                at += 1;
                if matches!(text[at..], [b'\r'] | [b'\r', b'\n', ..]) {
                    cell.push(b'\r');
                    at += 1;
                }
                if !matches!(text.get(at), None | Some(b',' | b'\n')) {
                    return None;
                }
            } else {
                while !matches!(text.get(at), None | Some(b',' | b'\n')) {
                    cell.push(text[at]);
                    at += 1;
                }
            }
            cells.push(String::from_utf8(cell).unwrap());
            at += 1;
            if text.get(at - 1) != Some(&b',') {
                break;
            }
        }
        if let Some(cell) = cells.last_mut().filter(|cell| cell.ends_with('\r')) {
            cell.pop();
        }
        if cells != [""] || is_quoted {
            records.push(cells);
        }
    }
    Some(records)
}

proptest! {
    /// Records are those of the rules, however the bytes arrive.
    #[test]
    fn records_are_those_of_the_rules(
        cells in prop::collection::vec("(a|bc|\"|,|\n|\r|\"\"|\"x\"|,y\n|\"z\",u\r\n|ü| |0123456789abcdef){0,6}", 0..6),
    ) {
        let text = cells.join(",w\n");
        let reader = CsvReader::new().unlabelled().column_names(["a", "b"]).attribute_texts(["a", "b"]);
        let expected = naive_records(text.as_bytes());
        let expected = expected.filter(|all| !all.is_empty() && all.iter().all(|record| record.len() == 2));
        let whole = reader.read_from(text.as_bytes(), "log.csv");
        let dripped = reader.read_from(Drop(text.as_bytes()), "log.csv");
        match (&whole, &dripped) {
            (Ok(whole), Ok(dripped)) => {
                let texts = |table: &Table| {
                    let cell = |name, row| match table.attribute(name).unwrap() {
                        Attribute::Categories(texts) => texts.get(row).unwrap().to_owned(),
                        _ => unreachable!(),
                    };
                    (0..table.rows()).map(|row| vec![cell("a", row), cell("b", row)]).collect()
                };
                prop_assert_eq!(Some(texts(whole)), expected);
                prop_assert_eq!(texts(whole), texts(dripped));
            }
            (Err(whole), Err(dripped)) => {
                prop_assert!(expected.is_none(), "{text:?}: {whole}");
                prop_assert_eq!(whole.to_string(), dripped.to_string());
            }
            _ => prop_assert!(false, "{text:?}: {whole:?} {dripped:?}"),
        }
    }
}
