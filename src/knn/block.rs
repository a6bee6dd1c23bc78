//! Rows in blocks, rounded and enclosed in boxes.

use ndarray::ArrayView2;

use super::rounding::Rounding;
use crate::core::Scalar;
use crate::exec::parallel;

/// Rows of a tile, and tiles of a block.
pub(super) const LANES: usize = 16;
pub(super) const BLOCK: usize = LANES * LANES;

pub(super) type Lanes = [f32; LANES];

/// Rows that lie together, rounded. Lanes and tiles without a row have the norm ∞.
#[derive(Debug)]
pub(super) struct Block<'r, F> {
    pub(super) rows: &'r [usize],
    /// The rows as they are stored, next to each other.
    exact: Vec<F>,
    /// The rounded numbers: for each tile, all columns.
    values: Vec<Lanes>,
    /// (1 − ε)‖a‖² of each row; −∞ where a product might overflow: such a row is always measured.
    pub(super) norms: [f32; BLOCK],
    /// For each column, the lowest and the highest number in each tile.
    pub(super) boxes: Vec<[Lanes; 2]>,
    /// ε times the greatest ‖a‖² in each tile.
    pub(super) slack: Lanes,
    /// For each column, the lowest and the highest number of all.
    pub(super) hull: Vec<[f32; 2]>,
    pub(super) hull_slack: f32,
    /// The least of the rows.
    pub(super) first: usize,
}

impl<'r, F: Scalar> Block<'r, F> {
    pub(super) fn new(rounding: &Rounding, x: &ArrayView2<'_, F>, rows: &'r [usize]) -> Self {
        /// A product with a row farther out might overflow.
        const FAR: f64 = 1e30;
        let columns = x.ncols();
        let n_tiles = rows.len().div_ceil(LANES);
        let mut values = vec![[0.0_f32; LANES]; n_tiles * columns];
        let mut norms = [f32::INFINITY; BLOCK];
        let mut boxes = vec![[[f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]]; columns];
        let mut slack = [0.0_f32; LANES];
        let mut exact = Vec::with_capacity(rows.len() * columns);
        for (at, &row) in rows.iter().enumerate() {
            match x.row(row).to_slice() {
                Some(row) => exact.extend_from_slice(row),
                None => exact.extend(x.row(row)),
            }
            let (tile, lane) = (at / LANES, at % LANES);
            let values = &mut values[tile * columns..(tile + 1) * columns];
            let mut norm = 0.0;
            for (values, value) in values.iter_mut().zip(rounding.row(x, row)) {
                values[lane] = value;
                norm += f64::from(value) * f64::from(value);
            }
            // Not `norm > FAR`, which is false for NaN.
            let far = !(norm <= FAR);
            if far {
                values.iter_mut().for_each(|values| values[lane] = 0.0);
                norm = f64::NEG_INFINITY;
            }
            for (values, [low, high]) in values.iter().zip(&mut boxes) {
                low[tile] = low[tile].min(values[lane]);
                high[tile] = high[tile].max(values[lane]);
            }
            norms[at] = (norm * (1.0 - rounding.epsilon)) as f32;
            let row_slack = if far { f32::INFINITY } else { (norm * rounding.epsilon) as f32 };
            slack[tile] = slack[tile].max(row_slack);
        }
        let hull = boxes.iter().map(|[low, high]| [least(low), greatest(high)]).collect();
        let hull_slack = greatest(&slack);
        let first = rows.iter().copied().min().unwrap_or(usize::MAX);
        Self { rows, exact, values, norms, boxes, slack, hull, hull_slack, first }
    }

    /// The rows in blocks, in their order.
    pub(super) fn of(rounding: &Rounding, x: &ArrayView2<'_, F>, rows: &'r [usize]) -> Vec<Self> {
        parallel::map(rows.len(), BLOCK, |_, range| Self::new(rounding, x, &rows[range]))
    }

    /// The squared distance of a row from a row of another block.
    pub(super) fn distance(&self, at: usize, other: &Self, other_at: usize) -> f64 {
        let columns = self.hull.len();
        let own = &self.exact[at * columns..(at + 1) * columns];
        let other = &other.exact[other_at * columns..(other_at + 1) * columns];
        own.iter().zip(other).fold(0.0, |sum, (a, b)| {
            let gap = a.to_f64() - b.to_f64();
            sum + gap * gap
        })
    }

    /// The squared distance of the middles of the boxes around two blocks.
    pub(super) fn between(&self, other: &Self) -> f32 {
        self.hull.iter().zip(&other.hull).fold(0.0, |sum, (own, other)| {
            let gap = 0.5 * (own[0] + own[1]) - 0.5 * (other[0] + other[1]);
            sum + gap * gap
        })
    }
}

impl<F> Block<'_, F> {
    pub(super) fn tiles(&self) -> usize {
        self.rows.len().div_ceil(LANES)
    }

    /// The tiles that have rows, as bits.
    #[inline(always)]
    pub(super) fn tile_bits(&self) -> u32 {
        (1 << self.tiles()) - 1
    }

    /// For each column, the rounded numbers of a tile.
    #[inline(always)]
    pub(super) fn tile(&self, tile: usize) -> &[Lanes] {
        let columns = self.hull.len();
        &self.values[tile * columns..(tile + 1) * columns]
    }

    /// The rounded numbers of a row, as a box.
    #[inline(always)]
    pub(super) fn row(&self, at: usize) -> impl Iterator<Item = [f32; 2]> {
        self.tile(at / LANES).iter().map(move |values| [values[at % LANES]; 2])
    }
}

/// Not `max`, which also looks for NaN.
#[inline(always)]
pub(super) fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

pub(super) fn greatest(lanes: &[f32]) -> f32 {
    lanes.iter().fold(f32::NEG_INFINITY, |most, &lane| greater(lane, most))
}

fn least(lanes: &[f32]) -> f32 {
    -lanes.iter().fold(f32::NEG_INFINITY, |most, &lane| greater(-lane, most))
}
