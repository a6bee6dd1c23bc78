//! A balanced k-d tree with a bounding box for each node.

use ndarray::ArrayView2;

use super::{Best, Metric, Place};
use crate::data::Scalar;
use crate::parallel;

/// Most points in a leaf; all of them are measured at once.
const LANES: usize = 16;

/// Queries in a block of work.
const QUERIES: usize = 512;

/// Node 1 is the root, nodes 2i and 2i + 1 are the children of node i, and all leaves are on one
/// level. The node at place p of a level of 2ˡ holds the points ⌊np/2ˡ⌋ to ⌊n(p + 1)/2ˡ⌋ in the order
/// of the leaves, so neither children nor ranges are stored.
#[derive(Debug)]
pub(super) struct Tree<F> {
    metric: Metric,
    columns: usize,
    leaves: usize,
    /// The rows, in the order of the leaves.
    rows: Vec<usize>,
    /// `LANES` values of each column for each leaf. Unused ones are zero.
    values: Vec<F>,
    /// For each node, the lowest and then the highest value of each column.
    boxes: Vec<F>,
    /// For each node, its first row.
    first: Vec<usize>,
}

impl<F: Scalar> Tree<F> {
    pub(super) fn new(x: &ArrayView2<'_, F>, points: &[usize], metric: Metric) -> Self {
        let (n, columns) = (points.len(), x.ncols());
        let leaves = n.div_ceil(LANES).next_power_of_two();
        let mut rows = points.to_vec();
        split(x, &metric, &mut rows, 0..leaves, (n, leaves));

        let mut tree = Self {
            metric,
            columns,
            leaves,
            rows,
            values: vec![F::default(); leaves * LANES * columns],
            boxes: vec![F::default(); 2 * leaves * 2 * columns],
            first: vec![usize::MAX; 2 * leaves],
        };
        for leaf in 0..leaves {
            tree.fill(x, leaf);
        }
        for node in (1..leaves).rev() {
            tree.enclose(node);
        }
        tree
    }

    fn range(&self, leaf: usize) -> std::ops::Range<usize> {
        let n = self.rows.len();
        n * leaf / self.leaves..n * (leaf + 1) / self.leaves
    }

    /// Copies the points of a leaf and encloses them.
    fn fill(&mut self, x: &ArrayView2<'_, F>, leaf: usize) {
        let (columns, node) = (self.columns, self.leaves + leaf);
        let rows = &self.rows[self.range(leaf)];
        self.first[node] = rows.iter().copied().min().unwrap_or(usize::MAX);
        let values = &mut self.values[leaf * LANES * columns..][..LANES * columns];
        let (low, high) = self.boxes[2 * node * columns..][..2 * columns].split_at_mut(columns);
        for (lane, &row) in rows.iter().enumerate() {
            for (column, &value) in x.row(row).iter().enumerate() {
                values[column * LANES + lane] = value;
                let number = value.to_f64();
                if lane == 0 || number < low[column].to_f64() {
                    low[column] = value;
                }
                if lane == 0 || number > high[column].to_f64() {
                    high[column] = value;
                }
            }
        }
    }

    /// Makes the box of a node from those of its children. No leaf is empty unless all but one are:
    /// there is more than one leaf only if there are more points than a leaf holds.
    fn enclose(&mut self, node: usize) {
        let columns = self.columns;
        self.first[node] = self.first[2 * node].min(self.first[2 * node + 1]);
        let (above, below) = self.boxes.split_at_mut(4 * node * columns);
        let parent = &mut above[2 * node * columns..][..2 * columns];
        let (left, right) = below[..4 * columns].split_at(2 * columns);
        for (column, out) in parent.iter_mut().enumerate() {
            let (a, b) = (left[column], right[column]);
            // Lowest values come first, highest after them.
            let left_wins = (a.to_f64() < b.to_f64()) == (column < columns);
            *out = if left_wins { a } else { b };
        }
    }

    pub(super) fn search(&self, x: &ArrayView2<'_, F>, queries: &[usize], found: &mut [Best]) {
        parallel::map_into(found, 1, QUERIES, |_, range, found| {
            let mut query = vec![0.0; self.columns];
            for (&row, best) in queries[range].iter().zip(found) {
                query.iter_mut().zip(x.row(row)).for_each(|(out, value)| *out = value.to_f64());
                self.visit(1, &query, row, best);
            }
        });
    }

    fn visit(&self, node: usize, query: &[f64], own: usize, best: &mut Best) {
        if node >= self.leaves {
            return self.scan(node - self.leaves, query, own, best);
        }
        let [left, right] =
            [2 * node, 2 * node + 1].map(|child| (self.nearest(child, query), child));
        let (near, far) = if right.0.before(&left.0) { (right, left) } else { (left, right) };
        for (place, child) in [near, far] {
            if place.before(&best.bound) {
                self.visit(child, query, own, best);
            }
        }
    }

    /// A place that no point of the node is before.
    ///
    /// Also in floating point: the gap to the box is no more than the gap to a point, and subtracting,
    /// squaring and adding in the same order round monotonically.
    fn nearest(&self, node: usize, query: &[f64]) -> Place {
        let (low, high) =
            self.boxes[2 * node * self.columns..][..2 * self.columns].split_at(self.columns);
        let mut distance = 0.0;
        for (column, ((&q, low), high)) in query.iter().zip(low).zip(high).enumerate() {
            let gap = (low.to_f64() - q).max(q - high.to_f64()).max(0.0);
            distance += if self.metric.is_categorical(column) {
                if gap > 0.0 { self.metric.penalty } else { 0.0 }
            } else {
                gap * gap
            };
        }
        Place { distance, row: self.first[node] }
    }

    fn scan(&self, leaf: usize, query: &[f64], own: usize, best: &mut Best) {
        let values = &self.values[leaf * LANES * self.columns..][..LANES * self.columns];
        let mut distances = [0.0; LANES];
        for (column, (lanes, &q)) in values.chunks_exact(LANES).zip(query).enumerate() {
            if self.metric.is_categorical(column) {
                for (sum, value) in distances.iter_mut().zip(lanes) {
                    *sum += self.metric.term(column, q, value.to_f64());
                }
            } else {
                for (sum, value) in distances.iter_mut().zip(lanes) {
                    let gap = q - value.to_f64();
                    *sum += gap * gap;
                }
            }
        }
        for (&row, distance) in self.rows[self.range(leaf)].iter().zip(distances) {
            if distance <= best.bound.distance && row != own {
                best.offer(Place { distance, row });
            }
        }
    }
}

/// Orders the rows of some leaves: halves the leaves, with the lower half of the column that spreads
/// most in the first ones, and goes on in both halves. Equal values are told apart by their row, so
/// that equal points come in the order of their rows and nodes of later ones can be skipped.
fn split<F: Scalar>(
    x: &ArrayView2<'_, F>,
    metric: &Metric,
    rows: &mut [usize],
    range: std::ops::Range<usize>,
    (n, leaves): (usize, usize),
) {
    if range.len() == 1 {
        return;
    }
    let mut limits = vec![(f64::INFINITY, f64::NEG_INFINITY); x.ncols()];
    for &row in rows.iter() {
        for ((low, high), value) in limits.iter_mut().zip(x.row(row)) {
            *low = low.min(value.to_f64());
            *high = high.max(value.to_f64());
        }
    }
    let spread = |column: usize| metric.term(column, limits[column].0, limits[column].1);
    let widest = (0..x.ncols()).max_by(|&a, &b| spread(a).total_cmp(&spread(b)));
    let middle = range.start + range.len() / 2;
    let cut = n * middle / leaves - n * range.start / leaves;
    if let Some(column) = widest {
        let value = |row: usize| x[[row, column]].to_f64();
        rows.select_nth_unstable_by(cut, |&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
    }
    let (left, right) = rows.split_at_mut(cut);
    split(x, metric, left, range.start..middle, (n, leaves));
    split(x, metric, right, middle..range.end, (n, leaves));
}
