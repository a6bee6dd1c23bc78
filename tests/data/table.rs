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
                _ => unreachable!(),
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

#[test]
fn columns_are_dropped_and_picked_by_name() {
    let names = |table: &Table| {
        let [numeric, categorical, attributes] = [
            table.numeric_names().collect::<Vec<_>>().join(","),
            table.categorical_names().collect::<Vec<_>>().join(","),
            table.attribute_names().collect::<Vec<_>>().join(","),
        ];
        format!("{numeric};{categorical};{attributes}")
    };
    let wide = table().with_numeric("y", vec![0.0; 3]).unwrap();
    assert_eq!(names(&wide), "x,y;c;x,t");
    // An attribute of the same name stays.
    assert_eq!(names(&wide.clone().drop_features(["x", "c"]).unwrap()), "y;;x,t");
    assert_eq!(names(&wide.clone().pick_features(["c", "y"]).unwrap()), "y;c;x,t");
    assert_eq!(names(&wide.clone().drop_attributes(["x"]).unwrap()), "x,y;c;t");
    assert_eq!(wide.clone().drop_features(["x"]).unwrap().weights(), wide.weights());
    for error in [
        wide.clone().drop_features(["t"]).unwrap_err(),
        wide.clone().pick_features(["x", "t"]).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "there is no feature column `t`; there are: x, y, c");
    }
    let error = wide.drop_attributes(["x", "x"]).unwrap_err();
    assert!(matches!(error, Error::UnknownColumn { kind: "attribute", .. }), "{error}");
}

#[test]
fn rows_to_score_have_no_labels() {
    let table = Table::unlabelled(3).unwrap().with_numeric("x", vec![1.0, 2.0, 4.0]).unwrap();
    assert_eq!((table.rows(), table.totals().positives), (3, 0));
    assert!(matches!(Table::unlabelled(0), Err(Error::NoRows { .. })));
    assert!(matches!(Table::unlabelled(usize::MAX), Err(Error::InvalidArgument { .. })));
}

/// Totals of a file that was changed; found by random inputs.
#[test]
fn totals_beyond_any_number_of_rows_do_not_overflow() {
    let totals = imbalance::ClassTotals {
        positives: usize::MAX,
        negatives: 2,
        positive_weight: f64::MAX,
        negative_weight: f64::MAX,
    };
    assert_eq!(totals.rows(), usize::MAX);
}
