//! Exact nearest neighbours among the rows of one feature matrix.
//!
//! The distance of two rows is the sum of the squared differences of their columns, each taken in
//! `f64` and added up in the order of the columns. Neighbours are ordered by that distance, then by
//! row, so that the result is one and the same for every method, any number of threads, and sparse and
//! dense storage of the same rows. A row is never its own neighbour: it is left out by its index, for
//! with duplicates "the nearest one is me" is wrong.
//!
//! Three methods give the same result. Each one skips a row only if it is proven to come behind the
//! neighbours already found.
//!
//! * `dense`: dense rows, in tiles of 16 rows and blocks of 16 tiles. Products of a tile and a block in `f32`
//!   bound the distances from below, and only rows whose bound is within reach are measured. Tiles and blocks
//!   whose bounding boxes are out of reach are skipped: with few columns most of them.
//! * `tree`: mixed columns. A tree of bounding boxes.
//! * `sparse`: products of sparse rows, in `f64`.
//!
//! None of them holds more than a block of distances. The farthest points are found one distance after the
//! other, from the outermost point on, until the triangle inequality rules out all others.
//!
//! Products only separate points that are too far from points that may be near. Where most rows are equally
//! far from each other, as one-hot rows without a category in common are, nearly every pair is measured.
//! Equal rows are no such case: once enough are found, no row of a higher index is measured.
//!
//! **Tried, and why not.** A k-d tree from a library: `kiddo` 6, the best kept one, fixes the number of columns
//! at compile time, leaves open which of several equally distant points comes back, and its mutable tree
//! refuses more equal points than a bucket holds, while clicks are full of equal rows. A library's matrix
//! product: for 256 × 256 rows of 8, 16, 32 columns the own loop in `kernels`, with the comparison, takes 5.2, 9.3,
//! 18.2 µs on AVX-512, `faer` 0.24 (`gemm` 0.19 likewise) 5.7, 9.3, 17.3 µs and another 1.5 µs for the comparison,
//! and `matrixmultiply` 0.3 7.9, 12.4, 21.6 µs; and a library's product of a whole block cannot leave out tiles. The
//! tree instead of `dense`: three times as long with 8 columns, 14 times with 32. Products for up to 10 columns:
//! four times as long for 50,000 × 5 and 200,000 × 8.
//!
//! Distances that overflow (above 1.8e308, squared) all count as infinite.

mod arrange;
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "a bound that is NaN must not rule a row out")]
mod block;
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "a bound that is NaN must not rule a row out")]
mod dense;
mod kernels;
mod rounding;
mod sparse;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;

use dense::Dense;
use tree::Tree;

use crate::core::{FeaturesView, Matrix, Meter, Result, Run, Scalar};
use crate::exec::parallel;

/// From this many columns on, the rounding errors of products in `f32` cannot be bounded usefully.
const MAX_COLUMNS: usize = 1 << 20;

/// Queries searched for at once.
pub(crate) const QUERIES: usize = 1 << 18;

/// How differences in the columns add up to a squared distance.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    /// For each column, whether it holds category codes. Empty: none does.
    categorical: Vec<bool>,
    /// What a differing category adds to the squared distance.
    penalty: f64,
}

impl Metric {
    pub(crate) fn euclidean() -> Self {
        Self { categorical: Vec::new(), penalty: 0.0 }
    }

    /// Columns marked in `categorical` add `penalty` where they differ.
    pub(crate) fn mixed(categorical: Vec<bool>, penalty: f64) -> Self {
        Self { categorical, penalty }
    }

    fn is_categorical(&self, column: usize) -> bool {
        self.categorical.get(column).is_some_and(|&is| is)
    }

    /// What a column adds to the squared distance.
    fn term(&self, column: usize, a: f64, b: f64) -> f64 {
        if self.is_categorical(column) {
            if a == b { 0.0 } else { self.penalty }
        } else {
            (a - b) * (a - b)
        }
    }
}

/// A row, and its squared distance from a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Neighbour {
    pub(crate) squared_distance: f64,
    pub(crate) row: usize,
}

impl Neighbour {
    /// Sentinel: farther than any row.
    pub(crate) const NONE: Self = Self { squared_distance: f64::INFINITY, row: usize::MAX };
    /// Sentinel: nearer than any row.
    const NEAREST: Self = Self { squared_distance: f64::NEG_INFINITY, row: 0 };

    pub(crate) fn before(&self, other: &Self) -> bool {
        self.squared_distance < other.squared_distance
            || (self.squared_distance == other.squared_distance && self.row < other.row)
    }
}

/// What is searched for. The `k` neighbours found so far are a list of which the last one is the limit: only rows
/// before it are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The nearest neighbours, in order.
    Nearest,
    /// Any `k` rows before the limit. When they are found, the limit becomes [`Neighbour::NEAREST`].
    Any,
}

/// Inserts a neighbour if it is before the limit, and returns whether it is.
#[inline]
fn insert(goal: Goal, found: &mut [Neighbour], neighbour: Neighbour) -> bool {
    // Few rows are: the test is in line, the insertion is not.
    let is_before = neighbour.before(&found[found.len() - 1]);
    if is_before {
        insert_before_limit(goal, found, neighbour);
    }
    is_before
}

fn insert_before_limit(goal: Goal, found: &mut [Neighbour], neighbour: Neighbour) {
    let last = found.len() - 1;
    match goal {
        Goal::Nearest => {
            let mut at = last;
            while at > 0 && neighbour.before(&found[at - 1]) {
                found[at] = found[at - 1];
                at -= 1;
            }
            found[at] = neighbour;
        }
        Goal::Any => match found[..last].iter_mut().find(|found| **found == Neighbour::NONE) {
            Some(free) => *free = neighbour,
            None => found[last] = Neighbour::NEAREST,
        },
    }
}

/// The neighbours found for the queries in some order.
fn gather(order: &[usize], found: &[Neighbour], k: usize) -> Vec<Neighbour> {
    let mut sorted = Vec::with_capacity(found.len());
    order.iter().for_each(|&at| sorted.extend_from_slice(&found[at * k..(at + 1) * k]));
    sorted
}

/// Undoes [`gather`].
fn scatter(order: &[usize], sorted: &[Neighbour], k: usize, found: &mut [Neighbour]) {
    for (&at, sorted) in order.iter().zip(sorted.chunks_exact(k)) {
        found[at * k..(at + 1) * k].copy_from_slice(sorted);
    }
}

/// Some rows of a feature matrix, ready to be searched.
#[derive(Debug)]
pub(crate) enum Search<'a> {
    F32(Typed<'a, f32>),
    F64(Typed<'a, f64>),
}

/// A [`Search`] in rows of one number type.
#[derive(Debug)]
pub(crate) struct Typed<'a, F: Scalar> {
    x: Matrix<'a, F>,
    points: Cow<'a, [usize]>,
    method: Method<F>,
    run: &'a Run,
}

#[derive(Debug)]
enum Method<F> {
    Tree(Tree<F>),
    Dense(Dense),
    Sparse,
}

/// Calls a method of the search that is there.
macro_rules! forward {
    ($search:expr, $typed:ident => $call:expr) => {
        match $search {
            Search::F32($typed) => $call,
            Search::F64($typed) => $call,
        }
    };
}

impl<'a> Search<'a> {
    /// Prepares the rows `points` of `x`, at least one, for Euclidean searches. This and the searches are errors only
    /// if the observer of the run stops them.
    pub(crate) fn new(
        x: FeaturesView<'a>,
        points: impl Into<Cow<'a, [usize]>>,
        run: &'a Run,
    ) -> Result<Self> {
        Ok(match x {
            FeaturesView::F32(x) => Self::F32(Typed::new(x, points.into(), run)?),
            FeaturesView::F64(x) => Self::F64(Typed::new(x, points.into(), run)?),
        })
    }

    /// Prepares dense rows for searches by another metric. Sparse rows are searched by the Euclidean one.
    pub(crate) fn by_metric(
        x: FeaturesView<'a>,
        points: impl Into<Cow<'a, [usize]>>,
        metric: Metric,
        run: &'a Run,
    ) -> Result<Self> {
        Ok(match x {
            FeaturesView::F32(x) => Self::F32(Typed::by_metric(x, points.into(), metric, run)?),
            FeaturesView::F64(x) => Self::F64(Typed::by_metric(x, points.into(), metric, run)?),
        })
    }

    /// The `k` nearest points of each query in order, one query after the other; [`Neighbour::NONE`] where there
    /// are fewer. Queries are rows of the matrix; a query is not its own neighbour.
    pub(crate) fn nearest(&self, queries: &[usize], k: usize) -> Result<Vec<Neighbour>> {
        forward!(self, search => search.nearest(queries, k))
    }

    /// The `k` farthest points of each query, the farthest first, of equally far ones the first; padded like
    /// [`nearest`](Self::nearest). The points should be few.
    pub(crate) fn farthest(&self, queries: &[usize], k: usize) -> Result<Vec<Neighbour>> {
        forward!(self, search => search.farthest(queries, k))
    }

    /// For each query, whether at least `k` points come before its bound.
    ///
    /// Most queries are decided by few points, soonest by those that are the neighbours of most.
    pub(crate) fn at_least(
        &self,
        queries: &[usize],
        bounds: &[Neighbour],
        k: usize,
    ) -> Result<Vec<bool>> {
        forward!(self, search => search.at_least(queries, bounds, k))
    }
}

impl<'a, F: Scalar> Typed<'a, F> {
    fn new(x: Matrix<'a, F>, points: Cow<'a, [usize]>, run: &'a Run) -> Result<Self> {
        match &x {
            Matrix::Dense(dense) if (1..MAX_COLUMNS).contains(&dense.ncols()) => {
                let method = Method::Dense(Dense::new(dense, &points, run)?);
                Ok(Self { x, points, method, run })
            }
            _ => Self::by_metric(x, points, Metric::euclidean(), run),
        }
    }

    fn by_metric(
        x: Matrix<'a, F>,
        points: Cow<'a, [usize]>,
        metric: Metric,
        run: &'a Run,
    ) -> Result<Self> {
        let method = match &x {
            Matrix::Dense(x) => Method::Tree(Tree::new(x, &points, metric, run)?),
            Matrix::Sparse(_) => Method::Sparse,
        };
        Ok(Self { x, points, method, run })
    }

    /// The work of a search.
    fn meter(&self, queries: &[usize]) -> Meter<'a> {
        let pairs = queries.len().saturating_mul(self.points.len());
        Meter::new(self.run, "neighbour search", "pairs of rows", pairs)
    }

    fn nearest(&self, queries: &[usize], k: usize) -> Result<Vec<Neighbour>> {
        let meter = self.meter(queries);
        let mut found = vec![Neighbour::NONE; queries.len() * k];
        for (queries, found) in queries.chunks(QUERIES).zip(found.chunks_mut(QUERIES * k)) {
            self.search(queries, &self.points, (Goal::Nearest, k), found, &meter);
        }
        meter.finish().map(|()| found)
    }

    fn farthest(&self, queries: &[usize], k: usize) -> Result<Vec<Neighbour>> {
        /// Most pairs, and most queries, in a block of work.
        const PAIRS: usize = 1 << 18;
        const BLOCK: usize = 64;
        /// Covers squares that underflow.
        const TINY: f64 = 1e-150;
        let pivot = match &self.method {
            Method::Dense(dense) => dense.centre(),
            Method::Tree(_) | Method::Sparse => self.points[0],
        };
        let radius = |row| self.squared_distance(pivot, row).sqrt() + TINY;
        let mut points: Vec<_> = self.points.iter().map(|&row| (radius(row), row)).collect();
        parallel::sort_by(&mut points, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        // Covers the rounding of three distances.
        let slack = 1.0 + 8.0 * (self.x.ncols() + 8) as f64 * f64::EPSILON;
        let meter = self.meter(queries);
        let block = (PAIRS / points.len()).clamp(1, BLOCK);
        let mut found = vec![Neighbour::NONE; queries.len() * k];
        parallel::map_into(&mut found, k, block, |_, range, found| {
            if !meter.goes_on(range.len() * points.len()) {
                return;
            }
            for (&query, found) in queries[range].iter().zip(found.chunks_exact_mut(k)) {
                let own = radius(query);
                // The farthest are the nearest by the negative distance.
                for &(radius, row) in &points {
                    if (own + radius).powi(2) * slack < -found[k - 1].squared_distance {
                        break;
                    }
                    if row != query {
                        let squared_distance = -self.squared_distance(query, row);
                        insert(Goal::Nearest, found, Neighbour { squared_distance, row });
                    }
                }
                for found in found.iter_mut().filter(|found| **found != Neighbour::NONE) {
                    found.squared_distance = -found.squared_distance;
                }
            }
        });
        meter.finish().map(|()| found)
    }

    fn squared_distance(&self, a: usize, b: usize) -> f64 {
        let euclidean = Metric::euclidean();
        let metric = match &self.method {
            Method::Tree(tree) => tree.metric(),
            Method::Dense(_) | Method::Sparse => &euclidean,
        };
        match &self.x {
            Matrix::Dense(x) => {
                let pairs = x.row(a).into_iter().zip(x.row(b)).enumerate();
                pairs.fold(0.0, |sum, (column, (a, b))| {
                    sum + metric.term(column, a.to_f64(), b.to_f64())
                })
            }
            Matrix::Sparse(x) => sparse::squared_distance(x, a, b),
        }
    }

    fn at_least(&self, queries: &[usize], bounds: &[Neighbour], k: usize) -> Result<Vec<bool>> {
        let meter = self.meter(queries);
        let mut done = vec![false; queries.len()];
        if let Method::Dense(dense) = &self.method {
            self.decide(queries, dense.central(), (bounds, k), &mut done, &meter);
            meter.skip(done.iter().filter(|&&done| done).count() * self.points.len());
        }
        // The central points are among all points: this search begins anew, so that none counts twice.
        self.decide(queries, &self.points, (bounds, k), &mut done, &meter);
        meter.finish().map(|()| done)
    }

    /// Marks the queries with `k` of some points before their bounds. The points are searched part by part, each
    /// part as long as all before it, and only for the queries still open.
    fn decide(
        &self,
        queries: &[usize],
        points: &[usize],
        (bounds, k): (&[Neighbour], usize),
        done: &mut [bool],
        meter: &Meter<'_>,
    ) {
        let mut open: Vec<usize> = (0..queries.len()).filter(|&at| !done[at]).collect();
        let mut found = vec![Neighbour::NONE; open.len() * k];
        for (found, &at) in found.chunks_exact_mut(k).zip(&open) {
            found[k - 1] = bounds[at];
        }
        let n = points.len();
        // A search that visits the nearest boxes first stops early by itself.
        let by_boxes = match &self.method {
            Method::Tree(_) => true,
            Method::Dense(dense) => dense.few_columns(),
            Method::Sparse => false,
        };
        let first = if by_boxes { n } else { 1 << 14 };
        let (mut start, mut end) = (0, first.min(n));
        while start < n && !open.is_empty() && meter.goes_on(0) {
            let rows: Vec<usize> = open.iter().map(|&at| queries[at]).collect();
            self.search(&rows, &points[start..end], (Goal::Any, k), &mut found, meter);
            let (mut still, mut still_found) = (Vec::new(), Vec::new());
            for (&at, found) in open.iter().zip(found.chunks_exact(k)) {
                done[at] = found[k - 1] == Neighbour::NEAREST;
                if !done[at] {
                    still.push(at);
                    still_found.extend_from_slice(found);
                }
            }
            meter.skip((open.len() - still.len()) * (n - end));
            (open, found) = (still, still_found);
            (start, end) = (end, (2 * end).min(n));
        }
    }

    fn search(
        &self,
        queries: &[usize],
        points: &[usize],
        goal: (Goal, usize),
        found: &mut [Neighbour],
        meter: &Meter<'_>,
    ) {
        match (&self.x, &self.method) {
            (Matrix::Dense(x), Method::Tree(tree)) => tree.search(x, queries, goal, found, meter),
            (Matrix::Dense(x), Method::Dense(dense)) => {
                dense.search(x, points, queries, goal, found, meter);
            }
            (Matrix::Sparse(x), _) => sparse::search(x, points, queries, goal, found, meter),
            (Matrix::Dense(_), Method::Sparse) => unreachable!("dense rows have an index"),
        }
    }
}
