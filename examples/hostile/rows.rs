//! Data sets of hostile features, labels, weights and offsets; splits and folds.

use imbalance::ndarray::Array2;
use imbalance::{Attribute, Cut, Dataset, Features, Folds, Result, Split};

use crate::tally::Tally;

pub(crate) const ROWS: usize = 40;
/// `combinations::SAMPLERS` names column 5.
pub(crate) const COLUMNS: usize = 6;

/// A number without pattern in −1 … 1.
pub(crate) fn noise(i: usize) -> f64 {
    ((i * 7919 + 13) % 1009) as f64 / 504.0 - 1.0
}

type Value = fn(usize, usize) -> f64;

/// Entry of a row and a column.
const VALUES: &[(&str, Value)] = &[
    ("plain", |r, c| noise(r * 31 + c)),
    ("constant column", |r, c| if c == 1 { 3.0 } else { noise(r * 31 + c) }),
    ("all zero", |_, _| 0.0),
    ("all equal", |_, _| 7.25),
    ("rows twice", |r, c| noise(r / 2 * 31 + c)),
    ("two kinds of rows", |r, c| (r % 2 * (c + 1)) as f64),
    ("columns equal", |r, _| noise(r)),
    ("subnormal", |r, c| noise(r * 31 + c) * 1e-310),
    ("smallest", |r, c| ((r + c) % 3) as f64 * 5e-324),
    ("× 1e-160", |r, c| noise(r * 31 + c) * 1e-160),
    ("× 1e160", |r, c| noise(r * 31 + c) * 1e160),
    ("× 1e308", |r, c| noise(r * 31 + c) * 1e308),
    ("one 1e308", |r, c| if (r, c) == (3, 2) { 1e308 } else { noise(r * 31 + c) }),
    ("±MAX", |r, _| if r % 2 == 0 { f64::MAX } else { f64::MIN }),
    ("one −1e308 a column", |r, c| if r == c { -1e308 } else { noise(r * 31 + c) }),
    ("units far apart", |r, c| noise(r * 31 + c) * 10_f64.powi(100 * c as i32 - 250)),
    ("codes", |r, c| (r * (c + 3) % 4) as f64),
    ("an ulp apart", |r, c| 1.0 + (r * (c + 1) % 3) as f64 * f64::EPSILON),
    ("separated", |r, c| if r % 5 == 0 { 1.0 } else { -1.0 } + c as f64),
    ("NaN", |r, c| if (r, c) == (7, 0) { f64::NAN } else { 1.0 }),
    ("∞", |r, c| if (r, c) == (7, 5) { f64::INFINITY } else { 1.0 }),
    ("−∞", |r, c| if (r, c) == (0, 0) { f64::NEG_INFINITY } else { 1.0 }),
];

/// Number of rows, and which are positive.
pub(crate) const LABELS: &[(&str, usize, fn(usize) -> bool)] = &[
    ("one in five", ROWS, |r| r % 5 == 0),
    ("one positive", ROWS, |r| r == 11),
    ("two positives", ROWS, |r| r < 2),
    ("one negative", ROWS, |r| r != 11),
    ("no positive", ROWS, |_| false),
    ("no negative", ROWS, |_| true),
    ("half, in order", ROWS, |r| r < ROWS / 2),
    ("no rows", 0, |_| true),
    ("one row", 1, |_| true),
    ("two rows", 2, |r| r == 0),
    ("three rows", 3, |r| r == 0),
];

/// A number per row, or none. A negative length of `ROWS` less is a list that is too short.
type Column = Option<fn(usize) -> f64>;

pub(crate) const WEIGHTS: &[(&str, Column)] = &[
    ("none", None),
    ("1", Some(|_| 1.0)),
    ("0 for all", Some(|_| 0.0)),
    ("0 but one", Some(|r| f64::from(u8::from(r == 5)))),
    ("0 for positives", Some(|r| f64::from(u8::from(r % 5 != 0)))),
    ("0 for negatives", Some(|r| f64::from(u8::from(r % 5 == 0)))),
    ("1e-300", Some(|_| 1e-300)),
    ("5e-324", Some(|_| 5e-324)),
    ("1e300", Some(|_| 1e300)),
    ("sum overflows", Some(|_| 1e308)),
    ("1e-300 and 1e300", Some(|r| if r % 3 == 0 { 1e300 } else { 1e-300 })),
    ("one 1e18", Some(|r| if r == 4 { 1e18 } else { 1.0 })),
    ("positives 1e-200", Some(|r| if r % 5 == 0 { 1e-200 } else { 1.0 })),
    ("one NaN", Some(|r| if r == 9 { f64::NAN } else { 1.0 })),
    ("one ∞", Some(|r| if r == 9 { f64::INFINITY } else { 1.0 })),
    ("one negative", Some(|r| if r == 0 { -1.0 } else { 1.0 })),
];

const OFFSETS: &[(&str, Column)] = &[
    ("none", None),
    ("noise", Some(noise)),
    ("700", Some(|_| 700.0)),
    ("±1e4", Some(|r| if r % 2 == 0 { 1e4 } else { -1e4 })),
    ("1e308", Some(|_| 1e308)),
    ("±1e308", Some(|r| if r % 2 == 0 { 1e308 } else { -1e308 })),
    ("−5e-324", Some(|_| -5e-324)),
    ("one NaN", Some(|r| if r == 9 { f64::NAN } else { 0.0 })),
    ("one ∞", Some(|r| if r == 9 { f64::INFINITY } else { 0.0 })),
];

/// How features are stored.
#[derive(Clone, Copy)]
enum Storage {
    Dense,
    DenseF32,
    Sparse,
    SparseF32,
    Csc,
    NoColumns,
    /// One row more than labels.
    Longer,
}

const STORAGE: &[(&str, Storage)] = &[
    ("dense", Storage::Dense),
    ("f32", Storage::DenseF32),
    ("sparse", Storage::Sparse),
    ("sparse f32", Storage::SparseF32),
    ("CSC", Storage::Csc),
    ("no columns", Storage::NoColumns),
    ("a row too many", Storage::Longer),
];

/// The index of each property in its table.
#[derive(Clone, Copy)]
pub(crate) struct Hostile([usize; 5]);

/// Data sets that differ from a plain one in at most two properties.
pub(crate) fn data_sets() -> Vec<Hostile> {
    let sizes = [VALUES.len(), LABELS.len(), WEIGHTS.len(), OFFSETS.len(), STORAGE.len()];
    let mut all = vec![Hostile([0; 5])];
    for first in 0..5 {
        for i in 1..sizes[first] {
            let mut one = [0; 5];
            one[first] = i;
            all.push(Hostile(one));
            for second in first + 1..5 {
                for j in 1..sizes[second] {
                    let mut two = one;
                    two[second] = j;
                    all.push(Hostile(two));
                }
            }
        }
    }
    all
}

impl Hostile {
    pub(crate) fn name(self) -> String {
        let [value, label, weight, offset, storage] = self.0;
        format!(
            "values {}, labels {}, weights {}, offsets {}, {}",
            VALUES[value].0,
            LABELS[label].0,
            WEIGHTS[weight].0,
            OFFSETS[offset].0,
            STORAGE[storage].0
        )
    }

    pub(crate) fn build(self) -> Result<Dataset<'static>> {
        let [value, label, weight, offset, storage] = self.0;
        let (_, rows, positive) = LABELS[label];
        let numbers = |of: fn(usize) -> f64| (0..rows).map(of).collect::<Vec<_>>();
        let value = VALUES[value].1;
        let dense = |rows, columns| Array2::from_shape_fn((rows, columns), |(r, c)| value(r, c));
        let sparse =
            |rows| imbalance::sprs::CsMat::csr_from_dense(dense(rows, COLUMNS).view(), 0.0);
        let x: Features<'static> = match STORAGE[storage].1 {
            Storage::Dense => dense(rows, COLUMNS).into(),
            Storage::DenseF32 => dense(rows, COLUMNS).map(|&v| v as f32).into(),
            Storage::Sparse => sparse(rows).into(),
            Storage::SparseF32 => sparse(rows).map(|&v| v as f32).into(),
            Storage::Csc => sparse(rows).to_csc().into(),
            Storage::NoColumns => dense(rows, 0).into(),
            Storage::Longer => dense(rows + 1, COLUMNS).into(),
        };
        let mut data = Dataset::new(x, (0..rows).map(positive).collect::<Vec<_>>())?;
        if let Some(weights) = WEIGHTS[weight].1 {
            data = data.with_weights(numbers(weights))?;
        }
        if let Some(offsets) = OFFSETS[offset].1 {
            data = data.with_offsets(numbers(offsets))?;
        }
        data.with_attribute("last_active_days", Attribute::numbers(numbers(|r| (r % 9) as f64)))?
            .with_attribute(
                "time",
                Attribute::numbers(numbers(|r| if r == 3 { f64::NAN } else { r as f64 })),
            )?
            .with_attribute("user", Attribute::categories((0..rows).map(|r| format!("{}", r % 7))))
    }
}

/// Numbers that a share, a rate or a threshold should not be, and some that it may be.
pub(crate) const NUMBERS: &[f64] = &[
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -1.0,
    -0.0,
    0.0,
    5e-324,
    1e-310,
    1e-300,
    1e-9,
    0.3,
    0.5,
    1.0 - f64::EPSILON / 2.0,
    1.0,
    1.0 + f64::EPSILON,
    2.0,
    1e9,
    1e300,
    f64::MAX,
];

/// Counts that are too small or too large, and some that are not.
pub(crate) const COUNTS: &[usize] =
    &[0, 1, 2, 3, 40, 1000, u32::MAX as usize, 1 << 40, isize::MAX as usize, usize::MAX];

pub(crate) fn drive(tally: &mut Tally) {
    let cuts = [
        Cut::Stratified,
        Cut::InOrder,
        Cut::by_time("time"),
        Cut::by_group("user"),
        Cut::by_time("user"),
        Cut::by_group("none"),
    ];
    for hostile in data_sets() {
        tally.cell(|| hostile.name(), || hostile.build().map(|data| (data.rows(), data.totals())));
        let Ok(data) = hostile.build() else { continue };
        tally.cell(|| format!("zero columns, {}", hostile.name()), || data.zero_columns());
        for columns in [vec![], vec![0, 0], vec![5, 1], vec![usize::MAX]] {
            let work = || data.drop_columns(&columns).map(|data| format!("{data:?}"));
            tally.cell(|| format!("drop {columns:?}, {}", hostile.name()), work);
        }
        for rows in [vec![], vec![0, 0], vec![39, 0], vec![usize::MAX]] {
            let work = || data.select(&rows).map(|data| data.totals());
            tally.cell(|| format!("select {rows:?}, {}", hostile.name()), work);
        }
        for cut in &cuts {
            for &share in NUMBERS {
                let work = || data.cut(cut, share, 7).map(|(a, b)| (a.totals(), b.totals()));
                tally.cell(|| format!("{cut:?} {share:e}, {}", hostile.name()), work);
            }
            for &count in COUNTS {
                let work = || data.folds(cut, count, 7).map(|folds| folds.splits().len());
                tally.cell(|| format!("{cut:?} {count} folds, {}", hostile.name()), work);
            }
        }
    }
    splits(tally);
}

fn splits(tally: &mut Tally) {
    for &rows in COUNTS.iter().filter(|&&rows| !(1 << 30..1 << 40).contains(&rows)) {
        let work = || Split::last(rows, 0.5).map(|split| split.test().len());
        tally.cell(|| format!("last of {rows} rows"), work);
    }
    let times: [(&str, fn(usize) -> f64); 5] = [
        ("rising", |r| r as f64),
        ("equal", |_| 3.0),
        ("±MAX", |r| if r % 2 == 0 { f64::MAX } else { f64::MIN }),
        ("one NaN", |r| if r == 2 { f64::NAN } else { r as f64 }),
        ("one ∞", |r| if r == 2 { f64::INFINITY } else { r as f64 }),
    ];
    for &(name, rows, positive) in LABELS {
        let labels: Vec<bool> = (0..rows).map(positive).collect();
        for extra in [0, 1] {
            let groups: Vec<u32> =
                (0..rows + extra).map(|r| (r % 3) as u32 * 2_000_000_000).collect();
            for &share in NUMBERS {
                let name = || format!("split {share:e}, {name}, {extra} longer");
                tally.cell(name, || Split::stratified(&labels, share, 1));
                tally.cell(name, || Split::last(rows, share));
                tally.cell(name, || Split::by_group(&labels, &groups, share, 1));
                for (_, time) in times {
                    let times: Vec<f64> = (0..rows + extra).map(time).collect();
                    tally.cell(name, || Split::by_time(&times, share));
                }
            }
            for &count in COUNTS {
                let name = || format!("{count} folds, {name}, {extra} longer");
                let size =
                    |folds: Folds| folds.splits().map(|s| s.test().len()).collect::<Vec<_>>();
                tally.cell(name, || Folds::stratified(&labels, count, 1).map(size));
                tally.cell(name, || Folds::forward(&labels, count).map(size));
                tally.cell(name, || Folds::by_group(&labels, &groups, count, 1).map(size));
                for (_, time) in times {
                    let times: Vec<f64> = (0..rows + extra).map(time).collect();
                    tally.cell(name, || Folds::by_time(&labels, &times, count).map(size));
                }
            }
        }
    }
}
