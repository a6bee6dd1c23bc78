//! Rows in groups of packs, rounded for products.

use ndarray::ArrayView2;
use pulp::Simd;
use pulp::bytemuck::cast;

use super::rounding::Rounding;
use crate::core::Scalar;
use crate::exec::parallel;

/// Rows of a pack, whose numbers lie side by side, and packs of a group.
pub(crate) const LANES: usize = 16;
pub(crate) const GROUP: usize = LANES * LANES;

pub(crate) type Lanes = [f32; LANES];

/// Boxes side by side.
#[derive(Debug)]
pub(crate) struct Boxes {
    /// For each column, the least number in each box, and the greatest.
    sides: Vec<[Lanes; 2]>,
    /// ε times the greatest ‖a‖² in each box.
    slack: Lanes,
}

/// Rows that lie together, rounded. Lanes and packs without a row are out of every reach.
#[derive(Debug)]
pub(crate) struct Group<'r, F> {
    pub(crate) rows: &'r [usize],
    /// The rows as they are, so that distances are measured between rows that lie together.
    exact: Vec<F>,
    /// For each pack and each column, the numbers of its rows.
    values: Vec<Lanes>,
    /// For each pack, (1 − ε)‖a‖² of its rows; −∞ where products might overflow.
    pub(crate) norms: Vec<Lanes>,
    /// A box around each pack.
    pub(crate) boxes: Boxes,
    /// The same around all: for each column, its sides.
    hull: Vec<[f32; 2]>,
    hull_slack: f32,
    /// The first of the rows.
    pub(crate) first: usize,
}

impl Boxes {
    fn new(columns: usize) -> Self {
        let empty = [[f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]];
        Self { sides: vec![empty; columns], slack: [0.0; LANES] }
    }

    /// Each column's sides of a box around all.
    fn hull(&self) -> Vec<[f32; 2]> {
        let sides =
            |[lows, highs]: &[Lanes; 2]| [-greatest(&lows.map(|low| -low)), greatest(highs)];
        self.sides.iter().map(sides).collect()
    }

    fn stretch(&mut self, lane: usize, column: usize, [low, high]: [f32; 2]) {
        let [lows, highs] = &mut self.sides[column];
        lows[lane] = lows[lane].min(low);
        highs[lane] = highs[lane].max(high);
    }

    /// By how much each box is apart from one of others: the squared gap, less what rounding may have added.
    #[inline(always)]
    pub(crate) fn apart(&self, others: &Self, lane: usize) -> Lanes {
        let mut sums = [0.0; LANES];
        for ([lows, highs], [other_lows, other_highs]) in self.sides.iter().zip(&others.sides) {
            let (other_low, other_high) = (other_lows[lane], other_highs[lane]);
            for ((sum, &low), &high) in sums.iter_mut().zip(lows).zip(highs) {
                // Not `max`, which also looks for NaN.
                let (up, down) = (low - other_high, other_low - high);
                let gap = if up > down { up } else { down };
                let gap = if gap > 0.0 { gap } else { 0.0 };
                *sum += gap * gap;
            }
        }
        for (sum, slack) in sums.iter_mut().zip(&self.slack) {
            *sum -= slack + others.slack[lane];
        }
        sums
    }
}

/// The lanes that are not in a mask, as bits.
#[inline(always)]
pub(crate) fn others<S: Simd, const V: usize>(simd: S, mask: [S::m32s; V]) -> u32 {
    // Some machines have masks of bits.
    if let &[mask] = &mask[..]
        && size_of::<S::m32s>() == size_of::<u16>()
    {
        return u32::from(!cast::<_, u16>(mask));
    }
    const POWERS: Lanes = {
        let mut powers = [1.0; LANES];
        let mut lane = 1;
        while lane < LANES {
            powers[lane] = 2.0 * powers[lane - 1];
            lane += 1;
        }
        powers
    };
    let mut sum = simd.splat_f32s(0.0);
    for (mask, &powers) in mask.into_iter().zip(S::as_simd_f32s(&POWERS).0) {
        sum = simd.add_f32s(sum, simd.select_f32s(mask, simd.splat_f32s(0.0), powers));
    }
    simd.reduce_sum_f32s(sum) as u32
}

/// The lanes whose squared gap, less what rounding may have added, is within reach, as bits.
#[inline(always)]
fn near<S: Simd, const V: usize>(
    simd: S,
    gaps: [S::f32s; V],
    (slack, more): (&Lanes, f32),
    reach: &Lanes,
) -> u32 {
    let more = simd.splat_f32s(more);
    let mut out = [simd.equal_f32s(more, more); V];
    let (slack, reach) = (S::as_simd_f32s(slack).0, S::as_simd_f32s(reach).0);
    for (((out, gap), &slack), &reach) in out.iter_mut().zip(gaps).zip(slack).zip(reach) {
        let apart = simd.sub_f32s(gap, simd.add_f32s(slack, more));
        *out = simd.greater_than_f32s(apart, reach);
    }
    others(simd, out)
}

/// The places of the bits.
#[inline(always)]
pub(crate) fn each(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (lane < u32::BITS).then_some(lane as usize)
    })
}

impl<'r, F: Scalar> Group<'r, F> {
    pub(crate) fn new(rounding: &Rounding, x: &ArrayView2<'_, F>, rows: &'r [usize]) -> Self {
        // Products with a row farther out might overflow: its distances are all measured.
        const FAR: f64 = 1e30;
        let columns = x.ncols();
        let packs = rows.len().div_ceil(LANES);
        let mut values = vec![[0.0; LANES]; packs * columns];
        let mut norms = vec![[f32::INFINITY; LANES]; packs];
        let mut boxes = Boxes::new(columns);
        let mut exact = Vec::with_capacity(rows.len() * columns);
        for (at, &row) in rows.iter().enumerate() {
            let (pack, lane) = (at / LANES, at % LANES);
            let mut norm = 0.0;
            match x.row(row).to_slice() {
                Some(row) => exact.extend_from_slice(row),
                None => exact.extend(x.row(row)),
            }
            for (column, value) in rounding.row(x, row).enumerate() {
                values[pack * columns + column][lane] = value;
                boxes.stretch(pack, column, [value, value]);
                norm += f64::from(value) * f64::from(value);
            }
            let epsilon = rounding.epsilon;
            // Not `norm > FAR`, which NaN would pass.
            let (less, slack) = if norm <= FAR {
                ((norm * (1.0 - epsilon)) as f32, (norm * epsilon) as f32)
            } else {
                (f32::NEG_INFINITY, f32::INFINITY)
            };
            norms[pack][lane] = less;
            boxes.slack[pack] = boxes.slack[pack].max(slack);
        }
        let hull = boxes.hull();
        let hull_slack = greatest(&boxes.slack);
        let first = rows.iter().copied().min().unwrap_or(usize::MAX);
        Self { rows, exact, values, norms, boxes, hull, hull_slack, first }
    }

    /// Groups of rows in their order.
    pub(crate) fn of(rounding: &Rounding, x: &ArrayView2<'_, F>, rows: &'r [usize]) -> Vec<Self> {
        parallel::map(rows.len(), GROUP, |_, range| Self::new(rounding, x, &rows[range]))
    }

    pub(crate) fn packs(&self) -> usize {
        self.norms.len()
    }

    #[inline(always)]
    fn values(&self, pack: usize) -> &[Lanes] {
        let columns = self.boxes.sides.len();
        &self.values[pack * columns..(pack + 1) * columns]
    }

    /// The squared distance of a row from one of another group.
    pub(crate) fn distance(&self, at: usize, other: &Self, there: usize) -> f64 {
        let columns = self.hull.len();
        let ours = &self.exact[at * columns..(at + 1) * columns];
        let theirs = &other.exact[there * columns..(there + 1) * columns];
        ours.iter().zip(theirs).fold(0.0, |sum, (a, b)| {
            let gap = a.to_f64() - b.to_f64();
            sum + gap * gap
        })
    }

    /// The squared distance of the middles of two groups.
    pub(crate) fn between(&self, other: &Self) -> f32 {
        self.hull.iter().zip(&other.hull).fold(0.0, |sum, (ours, theirs)| {
            let gap = 0.5 * (ours[0] + ours[1]) - 0.5 * (theirs[0] + theirs[1]);
            sum + gap * gap
        })
    }

    /// The packs within whose reach the box around another group may have points, as bits.
    #[inline(always)]
    pub(crate) fn packs_reaching<S: Simd, const V: usize>(
        &self,
        simd: S,
        reach: &Lanes,
        other: &Self,
    ) -> u32 {
        let mut sums = [simd.splat_f32s(0.0); V];
        for ([lows, highs], &[low, high]) in self.boxes.sides.iter().zip(&other.hull) {
            let (low, high) = (simd.splat_f32s(low), simd.splat_f32s(high));
            let (lows, highs) = (S::as_simd_f32s(lows).0, S::as_simd_f32s(highs).0);
            for ((sum, &own_low), &own_high) in sums.iter_mut().zip(lows).zip(highs) {
                let (up, down) = (simd.sub_f32s(own_low, high), simd.sub_f32s(low, own_high));
                let gap = simd.max_f32s(simd.max_f32s(up, down), simd.splat_f32s(0.0));
                *sum = simd.mul_add_e_f32s(gap, gap, *sum);
            }
        }
        near(simd, sums, (&self.boxes.slack, other.hull_slack), reach)
    }

    /// The rows of a pack within whose reach the box around another group may have points, as bits.
    #[inline(always)]
    pub(crate) fn rows_near<S: Simd, const V: usize>(
        &self,
        simd: S,
        pack: usize,
        reach: &Lanes,
        other: &Self,
    ) -> u32 {
        let mut sums = [simd.splat_f32s(0.0); V];
        for (rows, &[low, high]) in self.values(pack).iter().zip(&other.hull) {
            let (low, high) = (simd.splat_f32s(low), simd.splat_f32s(high));
            for (sum, &row) in sums.iter_mut().zip(S::as_simd_f32s(rows).0) {
                let gap = simd.sub_f32s(row, simd.min_f32s(simd.max_f32s(row, low), high));
                *sum = simd.mul_add_e_f32s(gap, gap, *sum);
            }
        }
        let slack = self.boxes.slack[pack] + other.hull_slack;
        near(simd, sums, (&[slack; LANES], 0.0), reach)
    }

    /// The packs of another group that may have points within reach of a row, as bits.
    #[inline(always)]
    pub(crate) fn packs_near<S: Simd, const V: usize>(
        &self,
        simd: S,
        (pack, lane): (usize, usize),
        reach: f32,
        other: &Self,
    ) -> u32 {
        let mut sums = [simd.splat_f32s(0.0); V];
        for (row, [lows, highs]) in self.values(pack).iter().zip(&other.boxes.sides) {
            let row = simd.splat_f32s(row[lane]);
            let (lows, highs) = (S::as_simd_f32s(lows).0, S::as_simd_f32s(highs).0);
            for ((sum, &low), &high) in sums.iter_mut().zip(lows).zip(highs) {
                let gap = simd.sub_f32s(row, simd.min_f32s(simd.max_f32s(row, low), high));
                *sum = simd.mul_add_e_f32s(gap, gap, *sum);
            }
        }
        near(simd, sums, (&other.boxes.slack, self.boxes.slack[pack]), &[reach; LANES])
    }

    /// How far the `k`-th nearest of a sample may be at most from each row of a pack. The products of all of
    /// it are compared lane by lane: the lanes' least ones belong to different rows, of which one may be the
    /// row itself.
    ///
    /// v + (1 − ε)A is off the squared distance by no more than 2ε(A + B), and (1 − ε)A off A by εA; the rest
    /// of four slacks is for rounding this sum.
    #[inline(always)]
    pub(crate) fn within<S: Simd, const Q: usize, const V: usize>(
        &self,
        simd: S,
        pack: usize,
        sample: &Self,
        k: usize,
    ) -> Lanes {
        let slack = 4.0 * (self.boxes.slack[pack] + sample.hull_slack);
        let mut within = self.norms[pack];
        for first in (0..LANES).step_by(Q) {
            let mut least = [[simd.splat_f32s(f32::INFINITY); V]; Q];
            for theirs in 0..sample.packs() {
                let products = self.products::<S, Q, V>(simd, (pack, first), sample, theirs);
                for (least, products) in least.iter_mut().zip(products) {
                    for (least, product) in least.iter_mut().zip(products) {
                        *least = simd.min_f32s(product, *least);
                    }
                }
            }
            for (within, least) in within[first..].iter_mut().zip(least) {
                *within += kth(lanes(simd, least), k) + slack;
            }
        }
        within
    }

    /// For `Q` rows of a pack from `first` on, and all of a pack of another group, ‖b‖² − 2a·b. `V`
    /// registers of the machine hold a pack.
    #[inline(always)]
    pub(crate) fn products<S: Simd, const Q: usize, const V: usize>(
        &self,
        simd: S,
        (pack, first): (usize, usize),
        other: &Self,
        theirs: usize,
    ) -> [[S::f32s; V]; Q] {
        let mut sums = [[simd.splat_f32s(0.0); V]; Q];
        for (a, b) in self.values(pack).iter().zip(other.values(theirs)) {
            let (b, _) = S::as_simd_f32s(b);
            for (sums, &a) in sums.iter_mut().zip(&a[first..]) {
                let a = simd.splat_f32s(a);
                for (sum, &b) in sums.iter_mut().zip(b) {
                    *sum = simd.mul_add_e_f32s(a, b, *sum);
                }
            }
        }
        let (norms, _) = S::as_simd_f32s(&other.norms[theirs]);
        let double = simd.splat_f32s(-2.0);
        for sums in &mut sums {
            for (sum, &norm) in sums.iter_mut().zip(norms) {
                *sum = simd.mul_add_e_f32s(double, *sum, norm);
            }
        }
        sums
    }
}

/// Registers as an array.
#[inline(always)]
pub(crate) fn lanes<S: Simd, const V: usize>(_: S, registers: [S::f32s; V]) -> Lanes {
    let mut lanes = [0.0; LANES];
    let (out, _) = S::as_mut_simd_f32s(&mut lanes);
    for (out, register) in out.iter_mut().zip(registers) {
        *out = register;
    }
    lanes
}

/// The `k`-th of some numbers, counted from 0; ∞ if there are not so many.
#[inline(never)]
fn kth(mut lanes: Lanes, k: usize) -> f32 {
    // Products of numbers too large say nothing.
    lanes = lanes.map(|lane| if lane.is_nan() { f32::INFINITY } else { lane });
    lanes.sort_unstable_by(f32::total_cmp);
    lanes.get(k).copied().unwrap_or(f32::INFINITY)
}

/// The greatest of some numbers that are none of them NaN.
#[inline(always)]
pub(crate) fn greatest(lanes: &Lanes) -> f32 {
    lanes.iter().fold(f32::NEG_INFINITY, |most, &lane| if lane > most { lane } else { most })
}
