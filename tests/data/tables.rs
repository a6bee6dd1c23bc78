//! What tests of readers share.

use imbalance::data::{Batch, Encoder, Source, Table};
use imbalance::{Attribute, Result};

/// All batches of a source, checked for their places.
pub(crate) fn batches(source: &dyn Source) -> Result<Vec<Batch>> {
    let mut all = Vec::new();
    for part in 0..source.parts() {
        let mut read = 0;
        source.read(part, &mut |batch| {
            assert!(batch.read >= read && batch.read <= source.size(part), "{batch:?}");
            read = batch.read;
            all.push(batch);
            Ok(())
        })?;
    }
    Ok(all)
}

/// All rows of a source.
pub(crate) fn rows(source: &dyn Source) -> Result<Table> {
    Table::concat(batches(source)?.into_iter().map(|batch| batch.table))
}

/// Checks that two tables have the same columns with the same bits.
pub(crate) fn assert_same(a: &Table, b: &Table) {
    let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(a.labels(), b.labels());
    assert_eq!(a.weights().map(bits), b.weights().map(bits));
    assert_eq!(a.offsets().map(bits), b.offsets().map(bits));
    assert!(a.numeric_names().eq(b.numeric_names()), "{a:?} {b:?}");
    for name in a.numeric_names() {
        assert_eq!(bits(a.numeric(name).unwrap()), bits(b.numeric(name).unwrap()), "{name}");
    }
    assert!(a.attribute_names().eq(b.attribute_names()), "{a:?} {b:?}");
    for name in a.attribute_names() {
        match (a.attribute(name).unwrap(), b.attribute(name).unwrap()) {
            (Attribute::Numbers(a), Attribute::Numbers(b)) => {
                assert_eq!(bits(a), bits(b), "{name}");
            }
            (Attribute::Categories(x), Attribute::Categories(y)) => {
                assert!((0..a.rows()).all(|row| x.get(row) == y.get(row)), "{name}");
            }
            kinds => panic!("{name}: {kinds:?}"),
        }
    }
    assert!(a.categorical_names().eq(b.categorical_names()), "{a:?} {b:?}");
    // Hashes are seen in encoded rows.
    let encode = |table: &Table| {
        let texts = table.categorical_names().map(str::to_owned).collect::<Vec<_>>();
        let table = table.clone().pick_features(texts).unwrap();
        let encoder = Encoder::hashing(30).unwrap().fit(&table).unwrap();
        let data = encoder.encode(&table).unwrap();
        data.features().rows().map(|row| row.entries().collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    if a.categorical_names().next().is_some() {
        assert_eq!(encode(a), encode(b));
    }
}
