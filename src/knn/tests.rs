//! Every method against brute force, on rows made to be awkward: duplicates, ties, lines, one point
//! repeated, numbers far from the origin, too large to square, or too small.

use ndarray::Array2;
use proptest::prelude::*;
use sprs::{CsMat, TriMat};

use std::sync::LazyLock;

use super::*;
use crate::core::assert_observed;

/// A run without an observer.
fn quiet() -> &'static Run {
    static QUIET: LazyLock<Run> = LazyLock::new(Run::default);
    &QUIET
}

/// After a request to stop, a thread does no more than the block that it is at, of a size that does not grow with the
/// search.
#[test]
fn searches_are_observed_and_stop_within_a_block() {
    let n = 6_000;
    let all: Vec<usize> = (0..n).collect();
    let queries: Vec<usize> = (0..n).step_by(4).collect();
    for columns in [3, 16] {
        let x = grid(n, columns).mapv(f64::from);
        let matrix = sparse(&x);
        let few = Array2::from_shape_fn((n, columns), |(row, column)| x[[row, column]]);
        let inputs = [
            ("dense", FeaturesView::F64(Matrix::Dense(few.view())), None),
            ("sparse", FeaturesView::F64(Matrix::Sparse(matrix.view())), None),
            ("tree", FeaturesView::F64(Matrix::Dense(few.view())), Some(Metric::euclidean())),
        ];
        for (name, x, metric) in inputs {
            let search = |run: &Run, queries: &[usize]| {
                let search = match &metric {
                    None => Search::new(x, &all, run)?,
                    Some(metric) => Search::by_metric(x, &all, metric.clone(), run)?,
                };
                search.nearest(queries, 3).map(drop)
            };
            let block = assert_observed(name, |run| search(run, &queries));
            assert!(block <= 1 << 20, "{name}: {block} pairs at a time");
            // Rows that search one another go on for a round.
            let round = assert_observed(name, |run| search(run, &all));
            assert!(round <= 1024 * n as u64, "{name}: {round} pairs at a time");
        }
        let far = assert_observed("farthest", |run| {
            let x = FeaturesView::F64(Matrix::Dense(few.view()));
            Search::new(x, &all[..500], run)?.farthest(&queries, 3).map(drop)
        });
        assert!(far <= 1 << 18, "{far} pairs at a time");
    }
}

/// The rows of `points` by distance from `query`, then by row.
fn brute_force(x: &Array2<f64>, points: &[usize], query: usize) -> Vec<Neighbour> {
    let distance = |row| {
        let gaps = x.row(query).into_iter().zip(x.row(row)).map(|(a, b)| (a - b) * (a - b));
        gaps.fold(0.0, |sum, square| sum + square)
    };
    let others = points.iter().filter(|&&row| row != query);
    let mut places: Vec<Neighbour> =
        others.map(|&row| Neighbour { squared_distance: distance(row), row }).collect();
    places
        .sort_by(|a, b| a.squared_distance.total_cmp(&b.squared_distance).then(a.row.cmp(&b.row)));
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
) -> [(&'static str, Typed<'a, f64>); 3] {
    let dense = Matrix::Dense(x.view());
    let method = Method::Dense(Dense::new(&x.view(), points, quiet()).unwrap());
    [
        (
            "tree",
            Typed::by_metric(Matrix::Dense(x.view()), points.into(), Metric::euclidean(), quiet())
                .unwrap(),
        ),
        ("dense", Typed { x: dense, points: points.into(), method, run: quiet() }),
        ("sparse", Typed::new(Matrix::Sparse(sparse.view()), points.into(), quiet()).unwrap()),
    ]
}

/// The first `k` of each list, padded.
fn first(lists: &[Vec<Neighbour>], k: usize) -> Vec<Neighbour> {
    let padded = |list: &Vec<Neighbour>| {
        (0..k).map(|at| *list.get(at).unwrap_or(&Neighbour::NONE)).collect()
    };
    lists.iter().map(padded).collect::<Vec<Vec<_>>>().concat()
}

/// The rows alone.
fn rows_of(neighbours: Vec<Neighbour>) -> Vec<usize> {
    neighbours.into_iter().map(|neighbour| neighbour.row).collect()
}

fn check(x: &Array2<f64>, points: &[usize], queries: &[usize], k: usize) {
    let truth: Vec<Vec<Neighbour>> = queries.iter().map(|&q| brute_force(x, points, q)).collect();
    let bounds: Vec<Neighbour> = queries
        .iter()
        .zip(&truth)
        .map(|(&q, t)| *t.get(q % 7).unwrap_or(&Neighbour::NONE))
        .collect();
    let matrix = sparse(x);
    for (name, search) in methods(x, &matrix, points) {
        assert_eq!(search.nearest(queries, k).unwrap(), first(&truth, k), "{name}");
        let mut reversed = truth.clone();
        let far = |a: &Neighbour, b: &Neighbour| {
            b.squared_distance.total_cmp(&a.squared_distance).then(a.row.cmp(&b.row))
        };
        reversed.iter_mut().for_each(|neighbours| neighbours.sort_by(far));
        assert_eq!(search.farthest(queries, k).unwrap(), first(&reversed, k), "{name}");
        let nearer = |(places, bound): (&Vec<Neighbour>, &Neighbour)| {
            places.iter().filter(|place| place.before(bound)).count() >= k
        };
        let expected: Vec<bool> = truth.iter().zip(&bounds).map(nearer).collect();
        assert_eq!(search.at_least(queries, &bounds, k).unwrap(), expected, "{name}");
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
        let search = Typed::by_metric(Matrix::Dense(x.view()), (&all).into(), metric, quiet()).unwrap();
        let found = rows_of(search.nearest(&all, k).unwrap());
        let farthest = rows_of(search.farthest(&all, k).unwrap());
        for (query, (found, farthest)) in found.chunks(k).zip(farthest.chunks(k)).enumerate() {
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
            expected.sort_by(|&a, &b| distance(b).total_cmp(&distance(a)).then(a.cmp(&b)));
            prop_assert_eq!(farthest, &expected[..k]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn several_blocks_agree_with_brute_force(
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

/// Two, three and five blocks, whose products serve both of their rows. Queries that look for `k` neighbours
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
    let truth: Vec<Vec<Neighbour>> = all.iter().map(|&row| brute_force(wide, &all, row)).collect();
    let bound = |&row: &usize| match row % 4 {
        0 => truth[row][2],
        1 => truth[row][40],
        2 => Neighbour::NONE,
        _ => Neighbour { squared_distance: 0.0, row: 9 },
    };
    let bounds: Vec<Neighbour> = all.iter().map(bound).collect();
    let search = Typed::new(Matrix::Dense(x.view()), (&all).into(), quiet()).unwrap();
    assert!(matches!(search.method, Method::Dense(_)));
    for k in [1, 3, 6] {
        assert_eq!(search.nearest(&all, k).unwrap(), first(&truth, k));
        let expected: Vec<bool> =
            truth.iter().zip(&bounds).map(|(places, bound)| places[k - 1].before(bound)).collect();
        assert_eq!(search.at_least(&all, &bounds, k).unwrap(), expected);
    }
}

/// Enough rows for several blocks, leaves and parts, in `f32` as well, on which both dense methods
/// and the sparse one agree with each other and, for some of the queries, with brute force.
#[test]
fn methods_agree_over_many_blocks() {
    let n = 20_000;
    let x = grid(n, 16);
    let wide = x.mapv(f64::from);
    let points: Vec<usize> = (0..n).collect();
    let queries: Vec<usize> = (0..n).step_by(23).collect();
    let matrix = sparse(&wide);
    let bounds: Vec<Neighbour> =
        queries.iter().map(|&q| brute_force(&wide, &points, q)[3]).collect();
    let expected: Vec<Neighbour> =
        queries.iter().flat_map(|&q| brute_force(&wide, &points, q)[..5].to_vec()).collect();
    for (name, search) in methods(&wide, &matrix, &points) {
        assert_eq!(search.nearest(&queries, 5).unwrap(), expected, "{name}");
        assert_eq!(
            search.at_least(&queries, &bounds, 3).unwrap(),
            vec![true; queries.len()],
            "{name}"
        );
        assert_eq!(
            search.at_least(&queries, &bounds, 4).unwrap(),
            vec![false; queries.len()],
            "{name}"
        );
    }
    let search = Typed::new(Matrix::Dense(x.view()), (&points).into(), quiet()).unwrap();
    assert!(matches!(search.method, Method::Dense(_)));
    assert_eq!(search.nearest(&queries, 5).unwrap(), expected);
    let tree =
        Typed::by_metric(Matrix::Dense(x.view()), (&points).into(), Metric::euclidean(), quiet())
            .unwrap();
    assert_eq!(tree.nearest(&queries, 5).unwrap(), expected);
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
    let found = rows_of(Typed::new(x, (&all).into(), quiet()).unwrap().nearest(&all, 2).unwrap());
    assert_eq!(found[..6], [1, 2, 0, 2, 0, 1]);
    assert!(found[6..].chunks(2).all(|pair| pair == [0, 1]));
}

/// Memory depends on what is stored: 2⁴⁰ columns cost nothing.
#[test]
fn sparse_rows_may_have_any_number_of_columns() {
    let columns = 1 << 40;
    let indices = vec![0, columns - 1, 1 << 39, columns - 1];
    let x = CsMat::new((4, columns), vec![0, 1, 2, 3, 4], indices, vec![1.0, 2.0, 1.0, 2.5]);
    let found = Typed::new(Matrix::Sparse(x.view()), vec![0, 1, 2, 3].into(), quiet())
        .unwrap()
        .nearest(&[1, 0], 1)
        .unwrap();
    assert_eq!(
        found,
        [(3, 0.25), (2, 2.0)].map(|(row, squared_distance)| Neighbour { squared_distance, row })
    );
}
