//! A tree of bounding boxes.

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

use super::arrange::arranged;
use super::{Goal, Metric, Neighbour, gather, insert, scatter};
use crate::core::{Meter, Result, Run, Scalar};
use crate::exec::parallel;

/// Points in a leaf, and children of a node: as many as are measured side by side.
const LANES: usize = 8;

/// Queries, or nodes, in a block of work.
const BLOCK: usize = 512;

type Lanes = [f64; LANES];

/// All leaves hold `LANES` points but the last, and all nodes have `LANES` children but the last of each
/// level. So neither children nor ranges are stored.
#[derive(Debug)]
pub(super) struct Tree<F> {
    metric: Metric,
    columns: usize,
    /// The rows, leaf after leaf, and their places among the points as they were given.
    rows: Vec<usize>,
    places: Vec<usize>,
    /// For each leaf and each column, the values of the points. Unused ones are zero.
    values: Vec<[F; LANES]>,
    /// The leaves, their parents, and so on, up to the children of the root.
    levels: Vec<Level<F>>,
}

#[derive(Debug)]
struct Level<F> {
    /// For each family of siblings and each column, the lowest value in each sibling, and the highest.
    boxes: Vec<[[F; LANES]; 2]>,
    /// The first row of each node.
    first: Vec<usize>,
}

/// A node yet to be visited: a child of the root is on the last of the levels, a leaf on level 0.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// No row in the node is nearer, nor of a lower index.
    bound: Neighbour,
    level: usize,
    at: usize,
}

impl<F: Scalar> Tree<F> {
    pub(super) fn new(
        x: &ArrayView2<'_, F>,
        points: &[usize],
        metric: Metric,
        run: &Run,
    ) -> Result<Self> {
        let columns = x.ncols();
        let meter = Meter::new(run, "neighbour index", "rows", points.len());
        let places = arranged::<F, LANES>(x, points, &metric, &meter);
        let rows: Vec<usize> = places.iter().map(|&place| points[place]).collect();
        let leaves = rows.len().div_ceil(LANES);

        let mut values = vec![[F::default(); LANES]; leaves * columns];
        parallel::map_into(&mut values, columns, BLOCK, |_, range, out| {
            if !meter.goes_on(range.len() * LANES) {
                return;
            }
            let leaves = rows[range.start * LANES..].chunks(LANES);
            for (out, rows) in out.chunks_exact_mut(columns).zip(leaves) {
                for (lane, &row) in rows.iter().enumerate() {
                    out.iter_mut().zip(x.row(row)).for_each(|(out, &value)| out[lane] = value);
                }
            }
        });

        meter.finish()?;

        let lanes = |leaf: usize, column: usize| {
            let used = LANES.min(rows.len() - leaf * LANES);
            let values = &values[leaf * columns + column][..used];
            (values, values)
        };
        let mut levels = vec![Level::enclosing(columns, &rows, lanes)];
        while levels[levels.len() - 1].first.len() > LANES {
            let below = &levels[levels.len() - 1];
            let lanes = |family: usize, column: usize| {
                let used = LANES.min(below.first.len() - family * LANES);
                let [low, high] = &below.boxes[family * columns + column];
                (&low[..used], &high[..used])
            };
            levels.push(Level::enclosing(columns, &below.first, lanes));
        }
        Ok(Self { metric, columns, rows, places, values, levels })
    }

    pub(super) fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Queries that lie together are searched for one after the other: they visit the same leaves while
    /// these are in the cache.
    pub(super) fn search(
        &self,
        x: &ArrayView2<'_, F>,
        queries: &[usize],
        (goal, k): (Goal, usize),
        found: &mut [Neighbour],
        meter: &Meter<'_>,
    ) {
        let same = queries.len() == self.rows.len()
            && self.places.iter().zip(&self.rows).all(|(&place, &row)| queries[place] == row);
        let order = if same {
            self.places.clone()
        } else {
            arranged::<F, LANES>(x, queries, &self.metric, meter)
        };
        let mut sorted = gather(&order, found, k);
        parallel::map_into(&mut sorted, k, BLOCK, |_, range, found| {
            let (mut query, mut stack) = (vec![0.0; self.columns], Vec::new());
            for (&place, found) in order[range].iter().zip(found.chunks_exact_mut(k)) {
                if !meter.goes_on(self.rows.len()) {
                    return;
                }
                let own = queries[place];
                query.iter_mut().zip(x.row(own)).for_each(|(out, value)| *out = value.to_f64());
                let search =
                    Search { tree: self, query: &query, own, goal, found, stack: &mut stack };
                Arch::new().dispatch(search);
            }
        });
        scatter(&order, &sorted, k, found);
    }

    /// The squared distance of a query from the box of each sibling.
    ///
    /// No point in the box is nearer, also in floating point: the gap to the box is no more than the gap
    /// to a point, and subtracting, squaring and adding in the same order round monotonically.
    #[inline(always)]
    fn box_distances(&self, nodes: &Level<F>, family: usize, query: &[f64]) -> Lanes {
        let mut sums = [0.0; LANES];
        let boxes = &nodes.boxes[family * self.columns..];
        for (column, (&query, [low, high])) in query.iter().zip(boxes).enumerate() {
            let mut gaps = [0.0; LANES];
            for ((gap, low), high) in gaps.iter_mut().zip(low).zip(high) {
                // Not `max`, which also looks for NaN.
                let (up, down) = (low.to_f64() - query, query - high.to_f64());
                let outside = if up > down { up } else { down };
                *gap = if outside > 0.0 { outside } else { 0.0 };
            }
            self.metric.add(column, &gaps, &mut sums);
        }
        sums
    }

    /// The squared distance of a query from each point of a leaf.
    #[inline(always)]
    fn point_distances(&self, leaf: usize, query: &[f64]) -> Lanes {
        let mut sums = [0.0; LANES];
        let values = &self.values[leaf * self.columns..];
        for (column, (&query, points)) in query.iter().zip(values).enumerate() {
            let mut gaps = [0.0; LANES];
            for (gap, point) in gaps.iter_mut().zip(points) {
                *gap = query - point.to_f64();
            }
            self.metric.add(column, &gaps, &mut sums);
        }
        sums
    }
}

/// The search for the neighbours of one query. It is compiled for the widest registers of the machine; each lane
/// is a sum of its own, so that no bit depends on them.
struct Search<'a, F> {
    tree: &'a Tree<F>,
    query: &'a [f64],
    own: usize,
    goal: Goal,
    found: &'a mut [Neighbour],
    stack: &'a mut Vec<Node>,
}

impl<F: Scalar> WithSimd for Search<'_, F> {
    type Output = ();

    /// Visits the nearest nodes first.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        self.stack.push(Node { bound: Neighbour::NEAREST, level: self.tree.levels.len(), at: 0 });
        while let Some(Node { bound, level, at }) = self.stack.pop() {
            if !bound.before(&self.found[self.found.len() - 1]) {
                continue;
            }
            match level.checked_sub(1) {
                Some(level) => self.visit_family(level, at),
                None => self.visit_leaf(at),
            }
        }
    }
}

impl<F: Scalar> Search<'_, F> {
    /// Puts the siblings that may hold rows before the limit on the stack, the nearest last.
    #[inline(always)]
    fn visit_family(&mut self, level: usize, family: usize) {
        let nodes = &self.tree.levels[level];
        let distances = self.tree.box_distances(nodes, family, self.query);
        let start = self.stack.len();
        let siblings = family * LANES..;
        for ((at, distance), &row) in siblings.clone().zip(distances).zip(&nodes.first[siblings]) {
            let bound = Neighbour { squared_distance: distance, row };
            if !bound.before(&self.found[self.found.len() - 1]) {
                continue;
            }
            let mut to = self.stack.len();
            self.stack.push(Node { bound, level, at });
            while to > start && self.stack[to - 1].bound.before(&bound) {
                self.stack.swap(to - 1, to);
                to -= 1;
            }
        }
    }

    #[inline(always)]
    fn visit_leaf(&mut self, leaf: usize) {
        let distances = self.tree.point_distances(leaf, self.query);
        let limit = self.found[self.found.len() - 1].squared_distance;
        if distances.iter().fold(true, |all, &distance| all & (distance > limit)) {
            return;
        }
        for (&row, distance) in self.tree.rows[leaf * LANES..].iter().zip(distances) {
            if row != self.own {
                insert(self.goal, self.found, Neighbour { squared_distance: distance, row });
            }
        }
    }
}

impl<F: Scalar> Level<F> {
    /// The parents of the families below, whose boxes are `lanes` and whose lowest rows are `first`.
    fn enclosing<'a>(
        columns: usize,
        first: &[usize],
        lanes: impl Fn(usize, usize) -> (&'a [F], &'a [F]) + Sync + Send,
    ) -> Self {
        let first: Vec<usize> =
            first.chunks(LANES).filter_map(|rows| rows.iter().copied().min()).collect();
        let mut boxes = vec![[[F::default(); LANES]; 2]; first.len().div_ceil(LANES) * columns];
        let least = |a: F, b: F| if b.to_f64() < a.to_f64() { b } else { a };
        let most = |a: F, b: F| if b.to_f64() > a.to_f64() { b } else { a };
        parallel::map_into(&mut boxes, columns, BLOCK, |_, families, out| {
            for (family, out) in families.zip(out.chunks_exact_mut(columns)) {
                let nodes = family * LANES..first.len().min((family + 1) * LANES);
                for (column, [lowest, highest]) in out.iter_mut().enumerate() {
                    for ((node, lowest), highest) in nodes.clone().zip(lowest).zip(highest) {
                        let (low, high) = lanes(node, column);
                        *lowest = low.iter().copied().reduce(least).unwrap_or_default();
                        *highest = high.iter().copied().reduce(most).unwrap_or_default();
                    }
                }
            }
        });
        Self { boxes, first }
    }
}

impl Metric {
    /// Adds the terms of a column.
    #[inline(always)]
    fn add(&self, column: usize, gaps: &Lanes, sums: &mut Lanes) {
        if self.is_categorical(column) {
            for (sum, gap) in sums.iter_mut().zip(gaps) {
                *sum += if *gap == 0.0 { 0.0 } else { self.penalty };
            }
        } else {
            for (sum, gap) in sums.iter_mut().zip(gaps) {
                *sum += gap * gap;
            }
        }
    }
}
