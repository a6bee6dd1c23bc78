//! Record batches of Arrow as tables, and back.
#![cfg(feature = "arrow")]

use std::sync::Arc;

use arrow_array::types::{Int8Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal32Array,
    Decimal64Array, Decimal128Array, Decimal256Array, DictionaryArray, DurationSecondArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray,
    NullArray, RecordBatch, StringArray, StringViewArray, Time32SecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use imbalance::data::{ArrowReader, Frame, Table, TimeFormat};
use imbalance::{Attribute, Error};

use crate::tables::assert_same;

fn column<A: Array + 'static>(array: A) -> RecordBatch {
    RecordBatch::try_from_iter([("x", Arc::new(array) as ArrayRef)]).unwrap()
}

fn reader() -> ArrowReader {
    ArrowReader::new().unlabelled()
}

#[test]
fn numbers_of_every_type() {
    fn check<A: Array + 'static>(array: A, numbers: &[f64]) {
        let kind = array.data_type().to_string();
        let table = reader().numeric(["x"]).attribute_numbers(["x"]).read(&column(array)).unwrap();
        for found in [table.numeric("x").unwrap(), table.numbers("x").unwrap()] {
            let equal = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
            assert!(found.len() == numbers.len(), "{kind}");
            assert!(found.iter().zip(numbers).all(equal), "{kind}: {found:?}");
        }
    }
    let missing = f64::NAN;
    check(Int8Array::from(vec![Some(-128), None, Some(127)]), &[-128.0, missing, 127.0]);
    check(Int16Array::from(vec![-7, 300]), &[-7.0, 300.0]);
    check(Int32Array::from(vec![1 << 30]), &[1_073_741_824.0]);
    check(Int64Array::from(vec![i64::MAX, 3]), &["9223372036854775807".parse().unwrap(), 3.0]);
    check(UInt8Array::from(vec![255]), &[255.0]);
    check(UInt16Array::from(vec![65_535]), &[65_535.0]);
    check(UInt32Array::from(vec![u32::MAX]), &[4_294_967_295.0]);
    check(UInt64Array::from(vec![u64::MAX]), &["18446744073709551615".parse().unwrap()]);
    check(
        Float32Array::from(vec![Some(0.1), Some(f32::NAN), None]),
        &[f64::from(0.1_f32), missing, missing],
    );
    check(Float64Array::from(vec![-0.0, 1e300]), &[-0.0, 1e300]);
    check(BooleanArray::from(vec![Some(true), Some(false), None]), &[1.0, 0.0, missing]);
    check(NullArray::new(2), &[missing, missing]);
    let scaled = |text: &str| text.parse::<f64>().unwrap();
    check(Decimal32Array::from(vec![-12_345]).with_precision_and_scale(9, 2).unwrap(), &[-123.45]);
    check(
        Decimal64Array::from(vec![Some(1), None]).with_precision_and_scale(18, 3).unwrap(),
        &[0.001, missing],
    );
    let large = 12_345_678_901_234_567_890_123_456_789_i128;
    check(
        Decimal128Array::from(vec![large]).with_precision_and_scale(38, 20).unwrap(),
        &[scaled("123456789.01234567890123456789")],
    );
    check(Decimal128Array::from(vec![12]).with_precision_and_scale(38, -3).unwrap(), &[12_000.0]);
    let widest = Decimal256Array::from_iter_values([(-25_i64).into(), 3_i64.into()]);
    check(widest.with_precision_and_scale(76, 1).unwrap(), &[-2.5, 0.3]);
    let values = Arc::new(Float32Array::from(vec![Some(2.5), None]));
    let keys = UInt8Array::from(vec![Some(1), Some(0), None]);
    check(DictionaryArray::new(keys, values), &[missing, 2.5, missing]);
    let none = DictionaryArray::new(
        Int8Array::from(vec![None, None]),
        Arc::new(Int8Array::from(Vec::<i8>::new())),
    );
    check(none, &[missing, missing]);
}

#[test]
fn categories_have_the_text_of_csv_files() {
    fn check<A: Array + 'static>(array: A, texts: &[&str]) {
        let kind = array.data_type().to_string();
        let expected = Table::unlabelled(texts.len()).unwrap();
        let expected = expected.with_categorical("x", texts).unwrap();
        let expected = expected.with_attribute("x", Attribute::categories(texts)).unwrap();
        let reader = reader().categorical(["x"]).attribute_texts(["x"]);
        let table = reader.read(&column(array)).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_same(&table, &expected);
        // Also the names are kept.
        let rows = Frame::new(table.rows()).with_table(&table).unwrap();
        assert_eq!(rows.to_record_batch().unwrap().num_columns(), 1, "{kind}");
    }
    check(
        StringArray::from(vec![Some("a"), None, Some("ü"), Some(""), Some("a")]),
        &["a", "", "ü", "", "a"],
    );
    check(LargeStringArray::from(vec![Some("a"), None]), &["a", ""]);
    check(
        StringViewArray::from(vec![Some("a text of more than twelve bytes"), None, Some("b")]),
        &["a text of more than twelve bytes", "", "b"],
    );
    check(Int8Array::from(vec![Some(-5), None, Some(5)]), &["-5", "", "5"]);
    check(Int16Array::from(vec![-300]), &["-300"]);
    check(Int32Array::from(vec![i32::MIN]), &["-2147483648"]);
    check(Int64Array::from(vec![i64::MIN]), &["-9223372036854775808"]);
    check(UInt8Array::from(vec![255]), &["255"]);
    check(UInt16Array::from(vec![7]), &["7"]);
    check(UInt32Array::from(vec![8]), &["8"]);
    check(UInt64Array::from(vec![u64::MAX]), &["18446744073709551615"]);
    check(BooleanArray::from(vec![Some(true), None, Some(false)]), &["true", "", "false"]);
    check(
        Date32Array::from(vec![Some(0), Some(-1), Some(18_224), None]),
        &["1970-01-01", "1969-12-31", "2019-11-24", ""],
    );
    check(Date64Array::from(vec![Some(86_400_000), Some(-1)]), &["1970-01-02", "1969-12-31"]);
    check(NullArray::new(2), &["", ""]);
    let repeated: DictionaryArray<Int8Type> =
        vec![Some("b"), None, Some("a"), Some("b")].into_iter().collect();
    check(repeated, &["b", "", "a", "b"]);
    let values = Arc::new(LargeStringArray::from(vec![None, Some("never"), Some("z")]));
    check(
        DictionaryArray::<UInt64Type>::new(UInt64Array::from(vec![Some(2), Some(0), None]), values),
        &["z", "", ""],
    );
    let values = Arc::new(Int64Array::from(vec![7, 8]));
    check(DictionaryArray::new(Int32Array::from(vec![1, 0, 1]), values), &["8", "7", "8"]);
    check(
        DictionaryArray::new(
            Int8Array::from(vec![None]),
            Arc::new(StringArray::from(Vec::<&str>::new())),
        ),
        &[""],
    );
}

#[test]
fn times_are_seconds() {
    fn read<A: Array + 'static>(array: A) -> Result<Vec<f64>, Error> {
        reader().time("x").read(&column(array)).map(|table| table.numbers("x").unwrap().to_vec())
    }
    let midnight = 1_574_553_600_i64;
    assert_eq!(read(Date32Array::from(vec![18_224, -1])).unwrap(), [midnight as f64, -86_400.0]);
    assert_eq!(read(Date64Array::from(vec![midnight * 1000])).unwrap(), [midnight as f64]);
    assert_eq!(read(TimestampSecondArray::from(vec![midnight])).unwrap(), [midnight as f64]);
    let zoned = TimestampMillisecondArray::from(vec![Some(midnight * 1000 + 250), None])
        .with_timezone("+09:00");
    let zoned = read(zoned).unwrap();
    assert!(zoned[0] == midnight as f64 + 0.25 && zoned[1].is_nan());
    assert_eq!(read(TimestampMicrosecondArray::from(vec![-750_000])).unwrap(), [-0.75]);
    let nanoseconds = vec![midnight * 1_000_000_000 + 4_000_000];
    assert_eq!(
        read(TimestampNanosecondArray::from(nanoseconds)).unwrap(),
        [midnight as f64 + 0.004]
    );
    // Numbers and texts are found as in CSV files.
    assert_eq!(
        read(Int64Array::from(vec![Some(midnight * 1000), None])).unwrap()[0],
        midnight as f64
    );
    assert_eq!(read(Float64Array::from(vec![1.5])).unwrap(), [1.5]);
    assert_eq!(
        read(StringArray::from(vec!["2019-11-24 01:00:00+01:00"])).unwrap(),
        [midnight as f64]
    );
    assert!(matches!(read(Int32Array::from(vec![20_191_124])), Err(Error::InvalidArgument { .. })));
    let named = |format: TimeFormat, array: ArrayRef| {
        reader().time_as("x", format).read(&RecordBatch::try_from_iter([("x", array)]).unwrap())
    };
    let dates = Arc::new(Int32Array::from(vec![20_191_124]));
    let table = named(TimeFormat::pattern("%Y%m%d"), dates).unwrap();
    assert_eq!(table.numbers("x").unwrap(), [midnight as f64]);
    let error = named(TimeFormat::Milliseconds, Arc::new(Date32Array::from(vec![1]))).unwrap_err();
    assert!(matches!(&error, Error::ColumnType { column, .. } if column == "x"), "{error}");
    assert!(matches!(read(BooleanArray::from(vec![true])), Err(Error::ColumnType { .. })));
    assert!(matches!(read(Time32SecondArray::from(vec![1])), Err(Error::ColumnType { .. })));
    let error = read(StringArray::from(vec!["2019-11-24", "soon"])).unwrap_err();
    assert!(matches!(&error, Error::Value { row: 1, value, .. } if value == "soon"), "{error}");
}

#[test]
fn labels_are_booleans_numbers_or_texts() {
    fn read<A: Array + 'static>(reader: &ArrowReader, array: A) -> Result<Vec<bool>, Error> {
        reader.clone().label("x").read(&column(array)).map(|table| table.labels().to_vec())
    }
    let usual = ArrowReader::new();
    let expected = [true, false];
    assert_eq!(read(&usual, BooleanArray::from(vec![true, false])).unwrap(), expected);
    assert_eq!(read(&usual, UInt8Array::from(vec![1, 0])).unwrap(), expected);
    assert_eq!(read(&usual, Float32Array::from(vec![1.0, 0.0])).unwrap(), expected);
    assert_eq!(read(&usual, StringArray::from(vec!["TRUE", "0.0"])).unwrap(), expected);
    let coded: DictionaryArray<Int8Type> = vec!["1", "0"].into_iter().collect();
    assert_eq!(read(&usual, coded).unwrap(), expected);
    let counts = ArrowReader::new().positive_above(1.0);
    assert_eq!(read(&counts, Int64Array::from(vec![2, 1])).unwrap(), expected);
    let texts = ArrowReader::new().labels("-1", "1");
    assert_eq!(read(&texts, Int32Array::from(vec![1, -1])).unwrap(), expected);
    let sold = ArrowReader::new().positive_texts(["sold", "kept"]);
    assert_eq!(read(&sold, LargeStringArray::from(vec!["kept", "x"])).unwrap(), expected);

    let value = |error: Result<Vec<bool>, Error>| match error {
        Err(Error::Value { column, row, value, problem }) if column == "x" => (row, value, problem),
        other => panic!("{other:?}"),
    };
    for reader in [&usual, &counts, &texts] {
        let (row, text, problem) = value(read(reader, Int8Array::from(vec![Some(1), None])));
        assert_eq!((row, text.as_str()), (1, "null"));
        assert!(problem.contains("every row needs a label"), "{problem}");
    }
    assert_eq!(value(read(&usual, Int8Array::from(vec![0, 2]))).1, "2");
    assert_eq!(value(read(&usual, StringArray::from(vec!["maybe"]))).1, "maybe");
    assert_eq!(value(read(&texts, Int8Array::from(vec![0]))).1, "0");
    for (reader, array) in [
        (&counts, Arc::new(StringArray::from(vec!["1"])) as ArrayRef),
        (&texts, Arc::new(Float64Array::from(vec![1.0]))),
        (&usual, Arc::new(Date32Array::from(vec![1]))),
        (&usual, Arc::new(BinaryArray::from(vec![b"1".as_slice()]))),
    ] {
        let batch = RecordBatch::try_from_iter([("x", array)]).unwrap();
        let error = reader.clone().label("x").read(&batch).unwrap_err();
        let is_expected = matches!(&error, Error::ColumnType { .. } | Error::Value { .. });
        assert!(is_expected, "{error}");
    }
}

#[test]
fn weights_offsets_and_numbers_are_checked() {
    let refused = |reader: ArrowReader, array: ArrayRef| {
        reader.read(&RecordBatch::try_from_iter([("x", array)]).unwrap()).unwrap_err()
    };
    let numbers = |values: Vec<Option<f64>>| Arc::new(Float64Array::from(values)) as ArrayRef;
    for (reader, array, expected) in [
        (reader().weight("x"), numbers(vec![Some(1.0), None]), "row 1: `null` is no weight"),
        (reader().weight("x"), numbers(vec![Some(-0.5)]), "row 0: `-0.5` is no weight"),
        (reader().offset("x"), numbers(vec![None]), "row 0: `null` is missing"),
        (reader().offset("x"), numbers(vec![Some(f64::INFINITY)]), "`inf` is not a finite number"),
        (reader().numeric(["x"]), numbers(vec![Some(f64::NEG_INFINITY)]), "`-inf` is not a finite"),
    ] {
        let error = refused(reader, array);
        assert!(matches!(error, Error::Value { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let binary = || Arc::new(BinaryArray::from(vec![b"x".as_slice()])) as ArrayRef;
    let duration = Arc::new(DurationSecondArray::from(vec![1]));
    let instant = Arc::new(TimestampSecondArray::from(vec![1]));
    for (reader, array, expected) in [
        (
            reader().numeric(["x"]),
            Arc::new(StringArray::from(vec!["1"])) as ArrayRef,
            "the numeric role numbers",
        ),
        (reader().numeric(["x"]), instant.clone(), "numbers or booleans are needed"),
        (reader().categorical(["x"]), instant, "cast it to a text"),
        (reader().categorical(["x"]), numbers(vec![Some(1.0)]), "the type Float64"),
        (reader().attribute_texts(["x"]), binary(), "the attribute role texts"),
        (reader().time("x"), duration, "a date, a timestamp"),
        (reader().weight("x"), binary(), "the weight role numbers"),
    ] {
        let error = refused(reader, array);
        assert!(matches!(error, Error::ColumnType { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn columns_are_found_by_name() {
    let twice = RecordBatch::try_from_iter([
        ("x", Arc::new(Int8Array::from(vec![1])) as ArrayRef),
        ("x", Arc::new(Int8Array::from(vec![1]))),
    ]);
    let error = reader().numeric(["x"]).read(&twice.unwrap()).unwrap_err();
    assert!(matches!(error, Error::DuplicateColumn { .. }), "{error}");
    let error = reader().numeric(["y"]).read(&column(Int8Array::from(vec![1]))).unwrap_err();
    assert!(matches!(&error, Error::UnknownColumn { known, .. } if known == &["x"]), "{error}");
    let error = ArrowReader::new().read(&column(Int8Array::from(vec![1]))).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "label", .. }), "{error}");
    let empty = column(Int8Array::from(Vec::<i8>::new()));
    assert!(matches!(reader().read(&empty), Err(Error::NoRows { .. })));
}

#[test]
fn tables_go_through_record_batches_unchanged() {
    let table = Table::new(vec![true, false, false])
        .unwrap()
        .with_numeric("price", vec![1.5, f64::NAN, -3.0])
        .unwrap()
        .with_categorical("device", ["phone", "", "phone"])
        .unwrap()
        .with_attribute("price", Attribute::numbers(vec![1.5, f64::NAN, -3.0]))
        .unwrap()
        .with_attribute("time", Attribute::numbers(vec![1.0, 2.0, 3.5]))
        .unwrap()
        .with_attribute("campaign", Attribute::categories(["x", "y", "x"]))
        .unwrap()
        .with_weights(vec![1.0, 0.0, 0.5])
        .unwrap()
        .with_offsets(vec![0.1, 0.2, 0.3])
        .unwrap();
    let rows =
        Frame::new(3).with_labels("click", table.labels()).unwrap().with_table(&table).unwrap();
    let batch = rows.to_record_batch().unwrap();
    let reader = ArrowReader::new()
        .label("click")
        .numeric(["price"])
        .categorical(["device"])
        .attribute_numbers(["price", "time"])
        .attribute_texts(["campaign"])
        .weight("weight")
        .offset("offset");
    assert_same(&reader.read(&batch).unwrap(), &table);

    let data =
        ArrowReader::new().label("click").numeric(["offset", "weight"]).dataset(&batch).unwrap();
    assert_eq!((data.rows(), data.columns(), data.features().row(2).get(0)), (3, 2, 0.3));
    assert!(matches!(
        reader.dataset(&batch),
        Err(Error::InvalidArgument { argument: "categorical", .. })
    ));
    let missing = ArrowReader::new().label("click").numeric(["price"]).dataset(&batch);
    assert!(matches!(missing, Err(Error::NonFinite { row: 1, .. })), "{missing:?}");

    let unnamed = ArrowReader::new().label("click").categorical(["device"]).named_values(1);
    let unnamed = unnamed.read(&batch).unwrap();
    let error = Frame::new(3).with_table(&unnamed).unwrap_err();
    assert!(error.to_string().contains("named_values"), "{error}");
    let other = table.clone().drop_attributes(["price"]).unwrap();
    let other = other.with_attribute("price", Attribute::numbers(vec![1.5, 2.0, -3.0])).unwrap();
    assert!(matches!(Frame::new(3).with_table(&other), Err(Error::DuplicateColumn { .. })));
    assert!(matches!(Frame::new(2).with_table(&table), Err(Error::LengthMismatch { .. })));
    assert!(Frame::new(2).to_record_batch().is_err());
}
