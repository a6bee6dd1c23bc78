//! Every method against brute force, on rows made to be awkward: duplicates, ties, lines, one point
//! repeated, numbers far from the origin, too large to square, or too small.

use ndarray::Array2;
use proptest::prelude::*;
use sprs::{CsMat, TriMat};

use super::*;

/// The rows of `points` by distance from `query`, then by row.
fn brute_force(x: &Array2<f64>, points: &[usize], query: usize) -> Vec<Place> {
    let distance = |row| {
        let gaps = x.row(query).into_iter().zip(x.row(row)).map(|(a, b)| (a - b) * (a - b));
        gaps.fold(0.0, |sum, square| sum + square)
    };
    let others = points.iter().filter(|&&row| row != query);
    let mut places: Vec<Place> =
        others.map(|&row| Place { distance: distance(row), row }).collect();
    places.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row)));
    places
}

fn sparse(x: &Array2<f64>) -> CsMat<f64> {
    let mut triplets = TriMat::new(x.dim());
    for ((row, column), &value) in x.indexed_iter().filter(|(_, value)| **value != 0.0) {
        triplets.add_triplet(row, column, value);
    }
    triplets.to_csr()
}

/// Each method over the same rows, by name.
fn methods<'a>(
    x: &'a Array2<f64>,
    sparse: &'a CsMat<f64>,
    points: &'a [usize],
) -> [(&'static str, Typed<'a, 'a, f64>); 3] {
    let dense = Matrix::Dense(x.view());
    let blocks = Method::Blocks(Blocks::new(&x.view(), points));
    [
        ("tree", Typed::by_metric(dense, points, Metric::euclidean())),
        ("blocks", Typed { x: dense, points: points.into(), method: blocks }),
        ("sparse", Typed::new(Matrix::Sparse(sparse.view()), points)),
    ]
}

fn check(x: &Array2<f64>, points: &[usize], queries: &[usize], k: usize) {
    let truth: Vec<Vec<Place>> = queries.iter().map(|&q| brute_force(x, points, q)).collect();
    let enough = truth.iter().all(|places| places.len() >= k);
    let bounds: Vec<Place> =
        queries.iter().zip(&truth).map(|(&q, t)| *t.get(q % 7).unwrap_or(&Place::LAST)).collect();
    let matrix = sparse(x);
    for (name, search) in methods(x, &matrix, points) {
        if enough {
            let expected: Vec<usize> =
                truth.iter().flat_map(|places| places[..k].iter().map(|p| p.row)).collect();
            assert_eq!(search.nearest(queries, k), expected, "{name}");
        }
        let expected: Vec<Place> =
            truth.iter().map(|places| *places.get(k - 1).unwrap_or(&Place::LAST)).collect();
        assert_eq!(search.kth(queries, k), expected, "{name}");
        let nearer = |(places, bound): (&Vec<Place>, &Place)| {
            places.iter().filter(|place| place.before(bound)).count() >= k
        };
        let expected: Vec<bool> = truth.iter().zip(&bounds).map(nearer).collect();
        assert_eq!(search.at_least(queries, &bounds, k), expected, "{name}");
    }
}

/// Rows from few values, so that many distances are equal; `kind` makes them special.
fn rows(kind: usize, n: usize, columns: usize, cells: &[i8]) -> Array2<f64> {
    let cell = |row: usize, column: usize| f64::from(cells[(row * 31 + column * 7) % cells.len()]);
    Array2::from_shape_fn((n, columns), |(row, column)| match kind {
        // A grid of few values, mostly zero.
        0 => (cell(row, column) % 3.0).max(0.0),
        // One point, over and over.
        1 => 0.1 * column as f64,
        // A line, on which the distances to both sides are equal.
        2 => cell(row, 0) * 0.3,
        // Duplicates of a few points.
        3 => (cell(row % 5, column) * 1e-3).sin(),
        // Far from the origin and close together: ‖a‖² + ‖b‖² − 2a·b has no digit left.
        4 => 1e8 + cell(row, column) * 1e-3,
        // One row far out, which takes all digits from the others.
        5 if row == 0 => 1e30,
        // Squares that overflow or vanish.
        6 => cell(row, column) * 1e200,
        7 => cell(row, column) * 1e-170,
        // Squares with a few bits left.
        8 => cell(row, column) * 1e-163,
        // Squares that all overflow or all vanish.
        9 => cell(row, column) * 1e300,
        10 => cell(row, column) * 1e-300,
        // A centre, and norms, that overflow, and rows whose products do.
        11 if row < 3 => 1.7e308,
        11 => cell(row, column) * 1e19,
        _ => cell(row, column),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn all_methods_agree_with_brute_force(
        kind in 0..13_usize,
        n in 2..90_usize,
        columns in 1..65_usize,
        cells in prop::collection::vec(-100..100_i8, 50..400),
        k in 1..8_usize,
        thinned in 1..4_usize,
    ) {
        let x = rows(kind, n, columns, &cells);
        let all: Vec<usize> = (0..n).collect();
        let some: Vec<usize> = (0..n).step_by(thinned).collect();
        check(&x, &some, &all, k.min(some.len()));
        check(&x, &all, &some, k.min(n - 1));
    }

    #[test]
    fn mixed_columns_agree_with_brute_force(
        n in 2..90_usize,
        cells in prop::collection::vec(0..6_u8, 50..400),
        k in 1..6_usize,
        penalty in 0.0..3.0_f64,
    ) {
        let x = Array2::from_shape_fn((n, 4), |(row, column)| {
            f64::from(cells[(row * 31 + column * 7) % cells.len()])
        });
        let categorical = vec![false, true, false, true];
        let all: Vec<usize> = (0..n).collect();
        let k = k.min(n - 1);
        let metric = Metric::mixed(categorical.clone(), penalty);
        let found = Typed::by_metric(Matrix::Dense(x.view()), &all, metric).nearest(&all, k);
        for (query, found) in found.chunks(k).enumerate() {
            let distance = |row: usize| (0..4).fold(0.0, |sum, column| {
                let (a, b) = (x[[query, column]], x[[row, column]]);
                sum + match categorical[column] {
                    true => if a == b { 0.0 } else { penalty },
                    false => (a - b) * (a - b),
                }
            });
            let mut expected: Vec<usize> = (0..n).filter(|&row| row != query).collect();
            expected.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
            prop_assert_eq!(found, &expected[..k]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn several_groups_agree_with_brute_force(
        kind in 0..13_usize,
        n in 257..600_usize,
        columns in 1..24_usize,
        cells in prop::collection::vec(-100..100_i8, 50..4000),
        k in 1..20_usize,
        thinned in 1..4_usize,
    ) {
        let x = rows(kind, n, columns, &cells);
        let all: Vec<usize> = (0..n).collect();
        let some: Vec<usize> = (0..n).step_by(thinned).collect();
        check(&x, &all, &some, k);
        check(&x, &all, &all, k);
    }
}

/// Columns of seven values each, which make ties and zeros.
fn grid(n: usize, columns: usize) -> Array2<f32> {
    let mut state = 1_u64;
    Array2::from_shape_fn((n, columns), |_| {
        // Knuth's linear congruential generator.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) % 7) as f32 * 0.3
    })
}

/// Two, three and five groups, whose products serve both of their rows. Queries that look for `k` places
/// before a bound are done at different times, or never. With tiny values the distances have a few bits
/// only; in `f32` such rows are all equal.
#[test]
fn rows_search_one_another() {
    for (n, unit) in [(257, 1.0), (600, 1.0), (600, 3e-162), (1_100, 1.0)] {
        for columns in [5, 16] {
            let x = grid(n, columns).mapv(|value| f64::from(value) * unit);
            searched_one_another(&x, &x);
            let narrow = x.mapv(|value| value as f32);
            searched_one_another(&narrow, &narrow.mapv(f64::from));
        }
    }
}

fn searched_one_another<F: Scalar>(x: &Array2<F>, wide: &Array2<f64>) {
    let all: Vec<usize> = (0..x.nrows()).collect();
    let truth: Vec<Vec<Place>> = all.iter().map(|&row| brute_force(wide, &all, row)).collect();
    let bound = |&row: &usize| match row % 4 {
        0 => truth[row][2],
        1 => truth[row][40],
        2 => Place::LAST,
        _ => Place { distance: 0.0, row: 9 },
    };
    let bounds: Vec<Place> = all.iter().map(bound).collect();
    let search = Typed::new(Matrix::Dense(x.view()), &all);
    assert!(matches!(search.method, Method::Blocks(_)));
    for k in [1, 3, 6] {
        let expected: Vec<usize> =
            truth.iter().flat_map(|places| places[..k].iter().map(|place| place.row)).collect();
        assert_eq!(search.nearest(&all, k), expected);
        let expected: Vec<Place> = truth.iter().map(|places| places[k - 1]).collect();
        assert_eq!(search.kth(&all, k), expected);
        let expected: Vec<bool> =
            truth.iter().zip(&bounds).map(|(places, bound)| places[k - 1].before(bound)).collect();
        assert_eq!(search.at_least(&all, &bounds, k), expected);
    }
}

/// Enough rows for several blocks, leaves and stretches, in `f32` as well, on which both dense methods
/// and the sparse one agree with each other and, for some of the queries, with brute force.
#[test]
fn methods_agree_over_many_blocks() {
    let n = 20_000;
    let x = grid(n, 16);
    let wide = x.mapv(f64::from);
    let points: Vec<usize> = (0..n).collect();
    let queries: Vec<usize> = (0..n).step_by(23).collect();
    let matrix = sparse(&wide);
    let bounds: Vec<Place> = queries.iter().map(|&q| brute_force(&wide, &points, q)[3]).collect();
    let expected: Vec<usize> = queries
        .iter()
        .flat_map(|&q| brute_force(&wide, &points, q)[..5].to_vec())
        .map(|p| p.row)
        .collect();
    for (name, search) in methods(&wide, &matrix, &points) {
        assert_eq!(search.nearest(&queries, 5), expected, "{name}");
        assert_eq!(search.at_least(&queries, &bounds, 3), vec![true; queries.len()], "{name}");
        assert_eq!(search.at_least(&queries, &bounds, 4), vec![false; queries.len()], "{name}");
    }
    let search = Typed::new(Matrix::Dense(x.view()), &points);
    assert!(matches!(search.method, Method::Blocks(_)));
    assert_eq!(search.nearest(&queries, 5), expected);
    let tree = Typed::by_metric(Matrix::Dense(x.view()), &points, Metric::euclidean());
    assert_eq!(tree.nearest(&queries, 5), expected);
}

/// All points equal: the tree's boxes are all at distance zero, and only their first rows tell which to
/// skip. Without that this would take 4 × 10¹⁰ steps.
#[test]
fn equal_points_do_not_make_the_tree_slow() {
    let x = Array2::from_elem((200_000, 3), 0.7);
    found_the_first_of_equals(Matrix::Dense(x.view()));
}

/// The other methods look at every pair, but measure few of them.
#[test]
fn of_equal_points_the_first_are_the_nearest() {
    let x = Array2::from_elem((5_000, 13), 0.7);
    found_the_first_of_equals(Matrix::Dense(x.view()));
    found_the_first_of_equals(Matrix::Sparse(sparse(&x).view()));
}

fn found_the_first_of_equals(x: Matrix<'_, f64>) {
    let all: Vec<usize> = (0..x.nrows()).collect();
    let found = Typed::new(x, &all).nearest(&all, 2);
    assert_eq!(found[..6], [1, 2, 0, 2, 0, 1]);
    assert!(found[6..].chunks(2).all(|pair| pair == [0, 1]));
}
