//! Exact nearest neighbours among the rows of one feature matrix.
//!
//! The distance of two rows is the sum of the squared differences of their columns, each taken in
//! `f64` and added up in the order of the columns. Neighbours are ordered by that distance, then by
//! row, so that the result is one and the same for every method, any number of threads, and sparse and
//! dense storage of the same rows. A row is never its own neighbour: it is left out by its index, for
//! with duplicates "the nearest one is me" is wrong.
//!
//! Three methods give the same result. Each one skips a row only if the row's place is proven to lie
//! behind those already found.
//!
//! * `blocks`: dense rows. Products of packs of rows in `f32` bound the distances from below; only rows whose
//!   bound passes are measured. Boxes around packs and groups of rows are skipped whole: with few columns
//!   most of them.
//! * `tree`: mixed columns. Boxes of rows are skipped.
//! * `sparse`: products of sparse rows, in `f64`.
//!
//! None of them holds more than a block of distances.
//!
//! Why not a k-d tree from a library: `kiddo` 6, the best kept one, fixes the number of columns at
//! compile time, leaves open which of several equally distant points comes back, and its mutable tree
//! refuses more equal points than a bucket holds, while clicks are full of equal rows.
//!
//! Products tell only points that are farther from points that may not be. So where most rows are equally
//! far from each other, as one-hot rows without a category in common are, nearly every pair is measured.
//! Equal rows are no such case: once enough are found, no row behind them is measured.
//!
//! Distances that overflow (above 1.8e308, squared) all count as infinite.

mod arrange;
mod blocks;
mod groups;
mod rounding;
mod sparse;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;

use blocks::Blocks;
use tree::Tree;

use crate::core::{FeaturesView, Matrix, Scalar};

/// From this many columns on the rounding errors of products in `f32` cannot be bounded usefully.
const TOO_WIDE: usize = 1 << 20;

/// Most queries searched for at once, and most places that their searches remember: 16 MiB.
pub(crate) const STRETCH: usize = 1 << 17;
const PLACES: usize = 1 << 20;

/// How a difference in a column counts.
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

/// A row at a squared distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) distance: f64,
    pub(crate) row: usize,
}

impl Place {
    /// Behind every row.
    pub(crate) const LAST: Self = Self { distance: f64::INFINITY, row: usize::MAX };
    /// Before every row.
    const FIRST: Self = Self { distance: f64::NEG_INFINITY, row: 0 };

    pub(crate) fn before(&self, other: &Self) -> bool {
        self.distance < other.distance || (self.distance == other.distance && self.row < other.row)
    }
}

/// What a query has found so far.
#[derive(Debug, Clone)]
struct Best {
    /// Only places before this one are of interest.
    bound: Place,
    wanted: Wanted,
}

#[derive(Debug, Clone)]
enum Wanted {
    /// The `k` nearest, in order.
    Nearest { k: usize, places: Vec<Place> },
    /// So many more before the bound, whichever they are.
    Any { missing: usize },
}

impl Default for Best {
    fn default() -> Self {
        Self::any(0, Place::FIRST)
    }
}

impl Best {
    fn nearest(k: usize) -> Self {
        Self {
            bound: Place::LAST,
            wanted: Wanted::Nearest { k, places: Vec::with_capacity(k + 1) },
        }
    }

    fn any(k: usize, bound: Place) -> Self {
        let bound = if k == 0 { Place::FIRST } else { bound };
        Self { bound, wanted: Wanted::Any { missing: k } }
    }

    /// How many nearest places are sought, if so.
    fn sought(&self) -> Option<usize> {
        match self.wanted {
            Wanted::Nearest { k, .. } => Some(k),
            Wanted::Any { .. } => None,
        }
    }

    /// Whether no place is of interest any more.
    fn done(&self) -> bool {
        self.bound == Place::FIRST
    }

    /// Whether a row is of interest if it is near enough. No distance is below zero: where equal rows
    /// abound, this spares most of them.
    fn admits(&self, row: usize) -> bool {
        Place { distance: 0.0, row }.before(&self.bound)
    }

    /// Takes a place if it is of interest, and tells whether it is.
    #[inline]
    fn offer(&mut self, place: Place) -> bool {
        let of_interest = place.before(&self.bound);
        if of_interest {
            self.take(place);
        }
        of_interest
    }

    fn take(&mut self, place: Place) {
        match &mut self.wanted {
            Wanted::Any { missing } => {
                *missing -= 1;
                if *missing == 0 {
                    self.bound = Place::FIRST;
                }
            }
            Wanted::Nearest { k, places } => {
                if places.len() == *k {
                    places.pop();
                }
                places.push(place);
                let mut at = places.len() - 1;
                while at > 0 && place.before(&places[at - 1]) {
                    places[at] = places[at - 1];
                    at -= 1;
                }
                places[at] = place;
                if places.len() == *k {
                    self.bound = places[*k - 1];
                }
            }
        }
    }

    /// The nearest ones, in order.
    fn places(&self) -> &[Place] {
        match &self.wanted {
            Wanted::Nearest { places, .. } => places,
            Wanted::Any { .. } => &[],
        }
    }
}

/// Some rows of a feature matrix, ready to be searched.
#[derive(Debug)]
pub(crate) enum Neighbours<'x, 'p> {
    F32(Typed<'x, 'p, f32>),
    F64(Typed<'x, 'p, f64>),
}

impl<'x, 'p> Neighbours<'x, 'p> {
    /// Prepares the rows `points` of `x`, at least one, for Euclidean searches.
    pub(crate) fn new(x: FeaturesView<'x>, points: impl Into<Cow<'p, [usize]>>) -> Self {
        match x {
            FeaturesView::F32(x) => Self::F32(Typed::new(x, points)),
            FeaturesView::F64(x) => Self::F64(Typed::new(x, points)),
        }
    }

    /// Prepares dense rows for searches by another metric; sparse ones are none of its business.
    pub(crate) fn by_metric(
        x: FeaturesView<'x>,
        points: impl Into<Cow<'p, [usize]>>,
        metric: Metric,
    ) -> Self {
        match x {
            FeaturesView::F32(x) => Self::F32(Typed::by_metric(x, points, metric)),
            FeaturesView::F64(x) => Self::F64(Typed::by_metric(x, points, metric)),
        }
    }

    /// The `k` nearest points of each query in order, one query after the other, as rows. Queries are
    /// rows too; a query is not its own neighbour. There must be `k` other points.
    pub(crate) fn nearest(&self, queries: &[usize], k: usize) -> Vec<usize> {
        match self {
            Self::F32(search) => search.nearest(queries, k),
            Self::F64(search) => search.nearest(queries, k),
        }
    }

    /// The place of the `k`-th nearest point of each query, [`Place::LAST`] where there are fewer.
    pub(crate) fn kth(&self, queries: &[usize], k: usize) -> Vec<Place> {
        match self {
            Self::F32(search) => search.kth(queries, k),
            Self::F64(search) => search.kth(queries, k),
        }
    }

    /// For each query, whether at least `k` points are nearer than its bound.
    pub(crate) fn at_least(&self, queries: &[usize], bounds: &[Place], k: usize) -> Vec<bool> {
        match self {
            Self::F32(search) => search.at_least(queries, bounds, k),
            Self::F64(search) => search.at_least(queries, bounds, k),
        }
    }
}

/// The same for one number type.
#[derive(Debug)]
pub(crate) struct Typed<'x, 'p, F: Scalar> {
    x: Matrix<'x, F>,
    points: Cow<'p, [usize]>,
    method: Method<F>,
}

#[derive(Debug)]
enum Method<F> {
    Tree(Tree<F>),
    Blocks(Blocks),
    Sparse,
}

impl<'x, 'p, F: Scalar> Typed<'x, 'p, F> {
    /// Prepares the rows `points` of `x`, at least one, for Euclidean searches.
    pub(crate) fn new(x: Matrix<'x, F>, points: impl Into<Cow<'p, [usize]>>) -> Self {
        let points = points.into();
        let method = match &x {
            Matrix::Dense(x) if (1..TOO_WIDE).contains(&x.ncols()) => {
                Method::Blocks(Blocks::new(x, &points))
            }
            Matrix::Dense(x) => Method::Tree(Tree::new(x, &points, Metric::euclidean())),
            Matrix::Sparse(_) => Method::Sparse,
        };
        Self { x, points, method }
    }

    /// Prepares dense rows for searches by another metric.
    pub(crate) fn by_metric(
        x: Matrix<'x, F>,
        points: impl Into<Cow<'p, [usize]>>,
        metric: Metric,
    ) -> Self {
        let points = points.into();
        let method = match &x {
            Matrix::Dense(x) => Method::Tree(Tree::new(x, &points, metric)),
            Matrix::Sparse(_) => Method::Sparse,
        };
        Self { x, points, method }
    }

    /// The `k` nearest points of each query in order, one query after the other, as rows. Queries are
    /// rows too; a query is not its own neighbour. There must be `k` other points.
    pub(crate) fn nearest(&self, queries: &[usize], k: usize) -> Vec<usize> {
        self.read_nearest(queries, k, (k, usize::MAX), |places, rows| {
            rows.iter_mut().zip(places).for_each(|(row, place)| *row = place.row);
        })
    }

    /// The place of the `k`-th nearest point of each query, [`Place::LAST`] where there are fewer.
    pub(crate) fn kth(&self, queries: &[usize], k: usize) -> Vec<Place> {
        self.read_nearest(queries, k, (1, Place::LAST), |places, kth| {
            kth.iter_mut().zip(places.get(k - 1)).for_each(|(kth, place)| *kth = *place);
        })
    }

    /// What `read` makes of the nearest points of each query: so many values, one query after the other.
    fn read_nearest<T: Copy + Send>(
        &self,
        queries: &[usize],
        k: usize,
        (width, empty): (usize, T),
        read: impl Fn(&[Place], &mut [T]) + Sync + Send,
    ) -> Vec<T> {
        if let (Matrix::Dense(x), Method::Blocks(blocks)) = (&self.x, &self.method)
            && blocks.prepares_all(&self.points, queries)
        {
            // Nothing found is remembered there, but each query's place and values are, twice. Queries that
            // are the points themselves are no more than are prepared at once, and are arranged only once.
            let stretch = if *queries == *self.points { queries.len() } else { stretch(k) };
            let search =
                |queries| blocks.nearest(x, (&self.points, queries), k, (width, empty), &read);
            return queries.chunks(stretch.max(1)).map(search).collect::<Vec<_>>().concat();
        }
        let mut values = Vec::with_capacity(queries.len() * width);
        for queries in queries.chunks(stretch(k)) {
            let found = queries.iter().map(|_| Best::nearest(k)).collect();
            for best in self.search(queries, &self.points, found) {
                let start = values.len();
                values.resize(start + width, empty);
                read(best.places(), &mut values[start..]);
            }
        }
        values
    }

    /// For each query, whether at least `k` points are nearer than its bound.
    ///
    /// Most queries are decided by few points, soonest by those that are the neighbours of most.
    pub(crate) fn at_least(&self, queries: &[usize], bounds: &[Place], k: usize) -> Vec<bool> {
        let mut done = vec![false; queries.len()];
        if let Method::Blocks(blocks) = &self.method {
            self.decide(queries, blocks.central(), bounds, k, &mut done);
        }
        // The central ones are among all: what was found there does not count again.
        self.decide(queries, &self.points, bounds, k, &mut done);
        done
    }

    /// Marks the queries with `k` of some points before their bounds. The points are searched stretch by
    /// stretch, each as long as all before, and only for the queries still open.
    fn decide(
        &self,
        queries: &[usize],
        points: &[usize],
        bounds: &[Place],
        k: usize,
        done: &mut [bool],
    ) {
        let mut open: Vec<(usize, Best)> = (0..queries.len())
            .filter(|&at| !done[at])
            .map(|at| (at, Best::any(k, bounds[at])))
            .collect();
        let n = points.len();
        // Where boxes are skipped, a search stops early by itself.
        let by_boxes = match &self.method {
            Method::Tree(_) => true,
            Method::Blocks(blocks) => blocks.skip_most(),
            Method::Sparse => false,
        };
        let first = if by_boxes { n } else { 1 << 14 };
        let (mut start, mut end) = (0, first.min(n));
        while start < n && !open.is_empty() {
            let (at, best): (Vec<usize>, Vec<Best>) = open.into_iter().unzip();
            let rows: Vec<usize> = at.iter().map(|&at| queries[at]).collect();
            let best = self.search(&rows, &points[start..end], best);
            at.iter().zip(&best).for_each(|(&at, best)| done[at] = best.done());
            open = at.into_iter().zip(best).filter(|(_, best)| !best.done()).collect();
            (start, end) = (end, (2 * end).min(n));
        }
    }

    fn search(&self, queries: &[usize], points: &[usize], mut found: Vec<Best>) -> Vec<Best> {
        match (&self.x, &self.method) {
            (Matrix::Dense(x), Method::Tree(tree)) => tree.search(x, queries, &mut found),
            (Matrix::Dense(x), Method::Blocks(blocks)) => {
                blocks.search(x, points, queries, &mut found);
            }
            (Matrix::Sparse(x), _) => sparse::search(x, points, queries, &mut found),
            (Matrix::Dense(_), Method::Sparse) => unreachable!("dense rows have an index"),
        }
        found
    }
}

/// How many queries may look for `k` neighbours at once.
fn stretch(k: usize) -> usize {
    (PLACES / k.max(1)).clamp(1, STRETCH)
}
