//! Tables: columns, selections and refusals.

use imbalance::data::{Encoder, Table};
use imbalance::{Attribute, Error, Result, Split};

fn table() -> Table {
    Table::new(vec![true, false, false])
        .unwrap()
        .with_numeric("x", vec![1.0, f64::NAN, 3.0])
        .unwrap()
        .with_categorical("c", ["a", "", "a"])
        .unwrap()
        .with_attribute("x", Attribute::numbers(vec![7.0, 8.0, 9.0]))
        .unwrap()
        .with_attribute("t", Attribute::categories(["p", "q", "p"]))
        .unwrap()
        .with_weights(vec![1.0, 2.0, 3.0])
        .unwrap()
}

#[test]
fn selected_rows_keep_what_belongs_to_them() {
    for rows in [vec![1, 2], vec![2, 0, 2]] {
        let (all, some) = (table(), table().select(&rows).unwrap());
        // Hashes are seen in encoded rows.
        let encoder = Encoder::hashing(30).unwrap().fit(&all).unwrap();
        let encode = |table: &Table| {
            let data = encoder.encode(table).unwrap();
            let rows = data.features().rows().map(|row| row.entries().collect::<Vec<_>>());
            rows.collect::<Vec<_>>()
        };
        let (all_encoded, some_encoded) = (encode(&all), encode(&some));
        for (i, &row) in rows.iter().enumerate() {
            let bits = |table: &Table, row: usize| table.numeric("x").unwrap()[row].to_bits();
            assert_eq!(some.labels()[i], all.labels()[row]);
            assert_eq!(bits(&some, i), bits(&all, row));
            assert_eq!(some_encoded[i], all_encoded[row]);
            assert_eq!(some.numbers("x").unwrap()[i], all.numbers("x").unwrap()[row]);
            assert_eq!(some.weights().unwrap()[i], all.weights().unwrap()[row]);
            let text = |table: &Table, row| match table.attribute("t").unwrap() {
                Attribute::Categories(texts) => texts.get(row).unwrap().to_owned(),
                Attribute::Numbers(_) => unreachable!(),
            };
            assert_eq!(text(&some, i), text(&all, row));
        }
    }
    assert!(matches!(table().select(&[]), Err(Error::NoRows { .. })));
    assert!(matches!(table().select(&[3]), Err(Error::RowOutOfRange { row: 3, .. })));
    let (train, test) = table().split(&Split::last(3, 0.3).unwrap()).unwrap();
    assert_eq!((train.rows(), test.rows()), (2, 1));
    assert_eq!(train.totals().negative_weight, 2.0);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let message = |result: Result<Table>| result.unwrap_err().to_string();
    assert_eq!(message(Table::new(Vec::new())), "the table has no rows");
    assert_eq!(
        message(table().with_numeric("y", vec![1.0])),
        "the length of numeric column `y` is 1, but the table has 3: one entry per row is needed"
    );
    assert_eq!(
        message(table().with_numeric("x", vec![0.0; 3])),
        "the numeric column `x` is named twice"
    );
    assert_eq!(
        message(table().with_numeric("y", vec![0.0, f64::NAN, f64::NEG_INFINITY])),
        "numeric column `y` holds -inf at row 2: finite numbers are needed; replace it, \
         or drop the row"
    );
    assert_eq!(
        message(table().with_categorical("c", ["", "", ""])),
        "the categorical column `c` is named twice"
    );
    assert_eq!(
        message(table().with_categorical("d", [""])),
        "the length of categorical column `d` is 1, but the table has 3: one entry per row is needed"
    );
    assert_eq!(
        message(table().with_attribute("t", Attribute::numbers(vec![0.0; 3]))),
        "the attribute column `t` is named twice"
    );
    let error = table().with_weights(vec![1.0, -1.0, 0.0]).unwrap_err();
    assert!(matches!(error, Error::NegativeWeight { row: 1, .. }), "{error}");
    assert_eq!(
        table().numeric("z").unwrap_err().to_string(),
        "there is no numeric column `z`; there are: x"
    );
    assert!(matches!(table().numbers("t"), Err(Error::ColumnKind { .. })));
}

#[test]
fn equal_values_of_different_columns_differ() {
    let table = table().with_categorical("d", ["a", "", "b"]).unwrap();
    let encoder = Encoder::hashing(30).unwrap().fit(&table).unwrap();
    let hashed = |column, value| encoder.hashed(column, value).unwrap();
    let values = [("c", "a"), ("c", ""), ("d", "a"), ("d", ""), ("d", "b")];
    for (i, (column, value)) in values.iter().enumerate() {
        let others = values[..i].iter().map(|(column, value)| hashed(column, value));
        assert!(!others.into_iter().any(|other| other == hashed(column, value)));
    }
    // Only a summary is printed, however many rows there are.
    assert!(format!("{table:?}").starts_with("Table { rows: 3,"));
}
