//! Dense rows: points are ruled out by products, or by boxes around them.

use ndarray::ArrayView2;
use pulp::Simd;

use super::arrange::arranged;
use super::block::{BLOCK, Block, LANES, Lanes, greater, greatest};
use super::kernels::{
    self, Candidates, Kernel, LeastProducts, near, places, squared_distances, squared_gaps,
};
use super::rounding::Rounding;
use super::{Goal, Metric, Neighbour, gather, insert, scatter};
use crate::core::{Meter, Result, Run, Scalar};
use crate::exec::parallel;

/// Numbers of points prepared at once: 8 MiB of rounded ones, and up to 16 MiB as they are stored.
const PREPARED: usize = 1 << 21;

/// Up to this many columns, boxes around tiles rule out most points. With more, most boxes are as near as the
/// nearest rows, and products are faster (20,000 and 50,000 rows, measured).
const FEW_COLUMNS: usize = 10;

/// Blocks of points that a block of queries is compared with before it asks whether to go on.
const STRIDE: usize = 16;

/// The reach of rows that are not searched for.
const NO_REACH: [f32; BLOCK] = [f32::NEG_INFINITY; BLOCK];

#[derive(Debug)]
pub(super) struct Dense {
    rounding: Rounding,
    /// The points nearest to the mean. In many columns they are the neighbours of most others.
    central: Vec<usize>,
}

/// The neighbours that the rows of a block have found.
struct Found<'f> {
    goal: Goal,
    /// `k` for each row.
    neighbours: &'f mut [Neighbour],
    k: usize,
    /// D(1 + 8u) of the k-th neighbour of each row; −∞ in lanes without a row.
    reach: [f32; BLOCK],
    /// The greatest reach in each tile, and the tiles in which it may have become shorter, as bits.
    tile_reach: Lanes,
    stale: u32,
}

impl<'f> Found<'f> {
    fn new(rounding: &Rounding, (goal, k): (Goal, usize), neighbours: &'f mut [Neighbour]) -> Self {
        let mut reach = NO_REACH;
        for (reach, found) in reach.iter_mut().zip(neighbours.chunks_exact(k)) {
            *reach = rounding.reach(found[k - 1].squared_distance);
        }
        let mut found =
            Self { goal, neighbours, k, reach, tile_reach: [0.0; LANES], stale: 0xffff };
        found.renew();
        found
    }

    fn renew(&mut self) {
        for tile in places(std::mem::take(&mut self.stale)) {
            self.tile_reach[tile] = greatest(self.tile(tile));
        }
    }

    /// Whether a row is of interest if it is near enough. No distance is below zero: where equal rows
    /// abound, this rules out most of them.
    fn admits(&self, at: usize, row: usize) -> bool {
        let limit = self.neighbours.get((at + 1) * self.k - 1);
        limit.is_some_and(|limit| Neighbour { squared_distance: 0.0, row }.before(limit))
    }

    fn offer(&mut self, rounding: &Rounding, at: usize, neighbour: Neighbour) {
        let found = &mut self.neighbours[at * self.k..(at + 1) * self.k];
        if insert(self.goal, found, neighbour) {
            let reach = rounding.reach(found[self.k - 1].squared_distance);
            self.shorten(at, reach);
        }
    }

    fn shorten(&mut self, at: usize, reach: f32) {
        if reach < self.reach[at] {
            self.reach[at] = reach;
            self.stale |= 1 << (at / LANES);
        }
    }

    /// The reach of the rows of a tile.
    fn tile(&self, tile: usize) -> &Lanes {
        &self.reach.as_chunks().0[tile]
    }
}

impl Dense {
    pub(super) fn new<F: Scalar>(
        x: &ArrayView2<'_, F>,
        points: &[usize],
        run: &Run,
    ) -> Result<Self> {
        let (rounding, central) = Rounding::new(x, points, run)?;
        Ok(Self { rounding, central })
    }

    pub(super) fn few_columns(&self) -> bool {
        self.rounding.columns() <= FEW_COLUMNS
    }

    /// The point nearest to the mean.
    pub(super) fn centre(&self) -> usize {
        self.central[0]
    }

    /// Points that are near to most queries; none with few columns.
    pub(super) fn central(&self) -> &[usize] {
        if self.few_columns() { &[] } else { &self.central }
    }

    /// Searches `points` for each query, whose `k` neighbours found so far are in `found`. Rows that lie together
    /// are searched for, and searched, together.
    pub(super) fn search<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        points: &[usize],
        queries: &[usize],
        (goal, k): (Goal, usize),
        found: &mut [Neighbour],
        meter: &Meter<'_>,
    ) {
        let (order, rows) = in_order(x, queries, meter);
        let mut sorted = gather(&order, found, k);
        let most = (PREPARED / self.rounding.columns()).max(BLOCK);
        let sample = Block::new(&self.rounding, x, &self.central[..BLOCK.min(self.central.len())]);
        if queries == points && points.len() <= most && !self.few_columns() {
            self.search_one_another(x, &rows, (goal, k), (&mut sorted, &sample), meter);
        } else {
            for points in points.chunks(most) {
                let themselves = points == queries;
                let points = if themselves { rows.clone() } else { in_order(x, points, meter).1 };
                let blocks = Block::of(&self.rounding, x, &points);
                parallel::map_into(&mut sorted, k, BLOCK, |at, range, found| {
                    if !meter.goes_on(0) {
                        return;
                    }
                    let apart: Block<'_, F>;
                    let block = if themselves {
                        &blocks[at]
                    } else {
                        apart = Block::new(&self.rounding, x, &rows[range]);
                        &apart
                    };
                    let found = &mut Found::new(&self.rounding, (goal, k), found);
                    if self.few_columns() {
                        self.by_boxes((block, found), &blocks, meter);
                    } else {
                        self.bound((block, found), &sample);
                        for blocks in blocks.chunks(STRIDE) {
                            let points: usize = blocks.iter().map(|points| points.rows.len()).sum();
                            if !meter.goes_on(block.rows.len() * points) {
                                return;
                            }
                            for points in blocks {
                                self.by_products((block, found), (points, None));
                            }
                        }
                    }
                });
            }
        }
        scatter(&order, &sorted, k, found);
    }

    /// Rows that search among themselves: a product of two serves both. In each round of a tournament
    /// every block is paired with another one, so that the pairs of a round are independent.
    fn search_one_another<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        rows: &[usize],
        goal: (Goal, usize),
        (found, sample): (&mut [Neighbour], &Block<'_, F>),
        meter: &Meter<'_>,
    ) {
        let blocks = Block::of(&self.rounding, x, rows);
        let found = found.chunks_mut(BLOCK * goal.1);
        let found = found.map(|found| Found::new(&self.rounding, goal, found));
        let mut blocks: Vec<_> = blocks.into_iter().zip(found).collect();
        parallel::map_into(&mut blocks, 1, 1, |_, _, blocks| {
            for (block, found) in blocks {
                self.bound((block, found), sample);
                self.by_products((block, found), (block, None));
            }
        });
        // Of an odd number n of blocks, those at i and n − i are searched by each other and the first rests; then all
        // move on by one. So two blocks are a pair in the one round in which their indices add up to n.
        if blocks.len().is_multiple_of(2) {
            let nothing = Found::new(&self.rounding, goal, &mut []);
            blocks.push((Block::new(&self.rounding, x, &[]), nothing));
        }
        // Rounds are short: there are no more rows here than are prepared at once.
        let pairs = rows.len() * rows.len();
        for round in 0..blocks.len() {
            let units = pairs * (round + 1) / blocks.len() - pairs * round / blocks.len();
            if !meter.goes_on(units) {
                return;
            }
            let half = blocks.len() / 2;
            let (one, other) = blocks[1..].split_at_mut(half);
            let mut pairs: Vec<_> = one.iter_mut().zip(other.iter_mut().rev()).collect();
            parallel::map_into(&mut pairs, 1, 1, |_, _, pairs| {
                for (one, other) in pairs {
                    self.by_products((&one.0, &mut one.1), (&other.0, Some(&mut other.1)));
                }
            });
            blocks.rotate_left(1);
        }
    }

    /// Bounds the reach of rows by a sample of the points, so that few points are measured in vain.
    ///
    /// The products are compared lane by lane: the least of the lanes belong to different rows, of which one
    /// may be the query itself. v + (1 − ε)A is off the squared distance by no more than 2ε(A + B), and
    /// (1 − ε)A off A by εA; the rest of four slacks is for rounding this sum.
    fn bound<F: Scalar>(
        &self,
        (own, found): (&Block<'_, F>, &mut Found<'_>),
        sample: &Block<'_, F>,
    ) {
        if found.goal != Goal::Nearest || found.k >= LANES {
            return;
        }
        for tile in 0..own.tiles() {
            let slack = 4.0 * (own.slack[tile] + sample.hull_slack);
            let least = kernels::run(LeastProducts { own, tile, sample });
            for (at, mut least) in (tile * LANES..own.rows.len()).zip(least) {
                least.sort_unstable_by(f32::total_cmp);
                let bound = least[found.k] + own.norms[at] + slack;
                found.shorten(at, self.rounding.widened(f64::from(bound)));
            }
        }
        found.renew();
    }

    /// Searches the points of a block and, if these are searched for as well, the other way round.
    fn by_products<F: Scalar>(
        &self,
        (own, found): (&Block<'_, F>, &mut Found<'_>),
        (other, mut other_found): (&Block<'_, F>, Option<&mut Found<'_>>),
    ) {
        let mut products = [[0.0; BLOCK]; LANES];
        for tile in 0..own.tiles() {
            let reach = (found.tile(tile), found.tile_reach[tile]);
            let other_reach = match &other_found {
                Some(found) => (&found.reach, &found.tile_reach),
                None => (&NO_REACH, &[f32::NEG_INFINITY; LANES]),
            };
            let products = &mut products;
            let (tiles, lanes) =
                kernels::run(Candidates { own, tile, reach, other, other_reach, products });
            for ((at, lanes), products) in (tile * LANES..).zip(lanes).zip(&*products) {
                for lane in places(lanes) {
                    for other_at in places(tiles).map(|tile| tile * LANES + lane) {
                        let other_reach = other_found.as_ref().map(|found| found.reach[other_at]);
                        let reach = greater(found.reach[at], other_reach.unwrap_or(NO_REACH[0]));
                        // Not `<=`: a NaN rules nothing out.
                        if !(products[other_at] > reach - own.norms[at]) {
                            let other = (other, other_at, other_found.as_deref_mut());
                            self.measure((own, at, &mut *found), other);
                        }
                    }
                }
            }
            found.renew();
            if let Some(found) = &mut other_found {
                found.renew();
            }
        }
    }

    /// Measures two rows and offers each to the other one.
    #[inline]
    fn measure<F: Scalar>(
        &self,
        (own, at, found): (&Block<'_, F>, usize, &mut Found<'_>),
        (other, other_at, other_found): (&Block<'_, F>, usize, Option<&mut Found<'_>>),
    ) {
        let (Some(&row), Some(&other_row)) = (own.rows.get(at), other.rows.get(other_at)) else {
            return;
        };
        let admits = |found: &&mut Found<'_>| found.admits(other_at, row);
        let wanted = found.admits(at, other_row) || other_found.as_ref().is_some_and(admits);
        if wanted && row != other_row {
            let squared_distance = own.distance(at, other, other_at);
            found.offer(&self.rounding, at, Neighbour { squared_distance, row: other_row });
            if let Some(found) = other_found {
                found.offer(&self.rounding, other_at, Neighbour { squared_distance, row });
            }
        }
    }

    /// Searches blocks of few columns, the probably nearest first.
    fn by_boxes<F: Scalar>(
        &self,
        (own, found): (&Block<'_, F>, &mut Found<'_>),
        blocks: &[Block<'_, F>],
        meter: &Meter<'_>,
    ) {
        let mut order: Vec<_> = blocks.iter().map(|other| (own.between(other), other)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, nearest)) = order.first() {
            self.bound((own, found), nearest);
        }
        for order in order.chunks(STRIDE) {
            let points: usize = order.iter().map(|(_, other)| other.rows.len()).sum();
            if !meter.goes_on(own.rows.len() * points) {
                return;
            }
            for (_, other) in order {
                kernels::run(ByBoxes { dense: self, own, found: &mut *found, other });
            }
        }
    }

    #[inline(never)]
    fn measure_tile<F: Scalar>(
        &self,
        (own, at, found): (&Block<'_, F>, usize, &mut Found<'_>),
        (other, tile): (&Block<'_, F>, usize),
        (lanes, apart): (u32, &Lanes),
    ) {
        for lane in places(lanes) {
            // Not `<=`: a NaN rules nothing out.
            if !(apart[lane] > found.reach[at]) {
                self.measure((own, at, found), (other, tile * LANES + lane, None));
            }
        }
    }
}

/// For each row of a block, the tiles of another block that are near. More tiles are out of reach of a row than of
/// the box around its tile.
struct ByBoxes<'a, 'r, 'f, F> {
    dense: &'a Dense,
    own: &'a Block<'r, F>,
    found: &'a mut Found<'f>,
    other: &'a Block<'r, F>,
}

impl<F: Scalar> Kernel for ByBoxes<'_, '_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const Q: usize, const V: usize>(self, simd: S) {
        let Self { dense, own, found, other } = self;
        let gaps = squared_gaps::<S, V>(simd, &own.boxes, other.hull.iter().copied());
        let (tiles, _) = near(simd, gaps, (&own.slack, other.hull_slack), &found.tile_reach);
        for tile in places(tiles & own.tile_bits()) {
            let slack = [own.slack[tile]; LANES];
            let gaps = squared_distances::<S, V>(simd, own.tile(tile), other.hull.iter().copied());
            let (rows, _) = near(simd, gaps, (&slack, other.hull_slack), found.tile(tile));
            for at in places(rows).map(|lane| tile * LANES + lane) {
                // Where equal rows abound, most blocks hold none before those found.
                if !found.admits(at, other.first) {
                    continue;
                }
                let gaps = squared_gaps::<S, V>(simd, &other.boxes, own.row(at));
                let reach = [found.reach[at]; LANES];
                let (tiles, _) = near(simd, gaps, (&other.slack, slack[0]), &reach);
                for other_tile in places(tiles & other.tile_bits()) {
                    let points = other.tile(other_tile);
                    let gaps = squared_distances::<S, V>(simd, points, own.row(at));
                    let reach = [found.reach[at]; LANES];
                    let (lanes, apart) =
                        near(simd, gaps, (&slack, other.slack[other_tile]), &reach);
                    if lanes != 0 {
                        let apart = &kernels::lanes(simd, apart);
                        dense.measure_tile((own, at, found), (other, other_tile), (lanes, apart));
                    }
                }
            }
            found.renew();
        }
    }
}

/// The rows in an order in which rows that lie together follow each other, after their places.
fn in_order<F: Scalar>(
    x: &ArrayView2<'_, F>,
    rows: &[usize],
    meter: &Meter<'_>,
) -> (Vec<usize>, Vec<usize>) {
    let order = arranged::<F, LANES>(x, rows, &Metric::euclidean(), meter);
    let rows = order.iter().map(|&at| rows[at]).collect();
    (order, rows)
}
