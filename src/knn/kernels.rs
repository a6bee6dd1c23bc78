//! The loops over tiles, compiled for the registers of the machine. Their results only decide which distances are
//! measured, so that no bit of an answer depends on the machine.

use pulp::bytemuck::cast;
use pulp::{Arch, Simd, WithSimd};

use super::block::{BLOCK, Block, LANES, Lanes, greater};

/// A loop in which `V` registers hold a tile, and `Q` × `V` sums fit into the registers.
pub(super) trait Kernel {
    type Output;

    fn run<S: Simd, const Q: usize, const V: usize>(self, simd: S) -> Self::Output;
}

pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    struct OnRegisters<K>(K);

    impl<K: Kernel> WithSimd for OnRegisters<K> {
        type Output = K::Output;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> K::Output {
            match S::F32_LANES {
                16 => self.0.run::<S, 16, 1>(simd),
                8 => self.0.run::<S, 4, 2>(simd),
                4 => self.0.run::<S, 4, 4>(simd),
                _ => self.0.run::<S, 1, LANES>(simd),
            }
        }
    }

    Arch::new().dispatch(OnRegisters(kernel))
}

/// For each row of a tile, ‖b‖² − 2a·b of the rows of another block, in those tiles that were looked at.
pub(super) type Products = [[f32; BLOCK]; LANES];

#[inline(always)]
fn products<S: Simd, const Q: usize, const V: usize>(
    simd: S,
    own: &[Lanes],
    (other, tiles): (&Block<'_, impl Copy>, u32),
    out: &mut Products,
) {
    let (norms, _) = S::as_simd_f32s(&other.norms);
    for tile in places(tiles) {
        for (first, out) in (0..LANES).step_by(Q).zip(out.chunks_exact_mut(Q)) {
            let mut sums = [[simd.splat_f32s(0.0); V]; Q];
            for (own, others) in own.iter().zip(other.tile(tile)) {
                let (others, _) = S::as_simd_f32s(others);
                for (sums, &own) in sums.iter_mut().zip(&own[first..]) {
                    let own = simd.splat_f32s(own);
                    for (sum, &other) in sums.iter_mut().zip(others) {
                        *sum = simd.mul_add_e_f32s(own, other, *sum);
                    }
                }
            }
            let double = simd.splat_f32s(-2.0);
            for (sums, out) in sums.into_iter().zip(out) {
                let (out, _) = S::as_mut_simd_f32s(out);
                for (v, sum) in sums.into_iter().enumerate() {
                    out[tile * V + v] = simd.mul_add_e_f32s(double, sum, norms[tile * V + v]);
                }
            }
        }
    }
}

/// The tiles of another block whose boxes are within reach of a tile, their products, and for each row of the tile the
/// lanes in which a product does not rule out a row; tiles and lanes as bits.
pub(super) struct Candidates<'a, 'r, F> {
    pub(super) own: &'a Block<'r, F>,
    pub(super) tile: usize,
    /// The reach of the rows of the tile, and the greatest.
    pub(super) reach: (&'a Lanes, f32),
    pub(super) other: &'a Block<'r, F>,
    /// The reach of the rows of the other block, and the greatest in each tile.
    pub(super) other_reach: (&'a [f32; BLOCK], &'a Lanes),
    pub(super) products: &'a mut Products,
}

impl<F: Copy> Kernel for Candidates<'_, '_, F> {
    type Output = (u32, [u32; LANES]);

    #[inline(always)]
    fn run<S: Simd, const Q: usize, const V: usize>(self, simd: S) -> (u32, [u32; LANES]) {
        let Self { own, tile, reach, other, other_reach, products: out } = self;
        let corners = own.boxes.iter().map(|[low, high]| [low[tile], high[tile]]);
        let gaps = squared_gaps::<S, V>(simd, &other.boxes, corners);
        let greatest = other_reach.1.map(|other| greater(reach.1, other));
        let (tiles, _) = near(simd, gaps, (&other.slack, own.slack[tile]), &greatest);
        let tiles = tiles & other.tile_bits();
        let mut lanes = [0; LANES];
        if tiles == 0 {
            return (tiles, lanes);
        }
        products::<S, Q, V>(simd, own.tile(tile), (other, tiles), out);
        let (other_reach, _) = S::as_simd_f32s(other_reach.0);
        let own_norms = &own.norms[tile * LANES..];
        for (((lanes, products), &reach), &norm) in
            lanes.iter_mut().zip(out.iter()).zip(reach.0).zip(own_norms)
        {
            let (products, _) = S::as_simd_f32s(products);
            let (reach, norm) = (simd.splat_f32s(reach), simd.splat_f32s(norm));
            let mut ruled_out = [simd.equal_f32s(simd.splat_f32s(0.0), simd.splat_f32s(0.0)); V];
            for tile in places(tiles) {
                for (v, out) in ruled_out.iter_mut().enumerate() {
                    let other = simd.max_f32s(reach, other_reach[tile * V + v]);
                    let limit = simd.sub_f32s(other, norm);
                    let product = products[tile * V + v];
                    *out = simd.and_m32s(*out, simd.greater_than_f32s(product, limit));
                }
            }
            *lanes = unset(simd, ruled_out);
        }
        (tiles, lanes)
    }
}

/// For each row of a tile, the least product of each lane of a sample.
pub(super) struct LeastProducts<'a, 'r, 's, F> {
    pub(super) own: &'a Block<'r, F>,
    pub(super) tile: usize,
    pub(super) sample: &'a Block<'s, F>,
}

impl<F: Copy> Kernel for LeastProducts<'_, '_, '_, F> {
    type Output = [Lanes; LANES];

    #[inline(always)]
    fn run<S: Simd, const Q: usize, const V: usize>(self, simd: S) -> [Lanes; LANES] {
        let mut all = [[0.0; BLOCK]; LANES];
        products::<S, Q, V>(
            simd,
            self.own.tile(self.tile),
            (self.sample, self.sample.tile_bits()),
            &mut all,
        );
        let mut least = [[0.0; LANES]; LANES];
        for (out, products) in least.iter_mut().zip(&all) {
            let (products, _) = S::as_simd_f32s(&products[..self.sample.tiles() * LANES]);
            let (out, _) = S::as_mut_simd_f32s(out);
            out.fill(simd.splat_f32s(f32::INFINITY));
            for products in products.chunks_exact(V) {
                for (least, &product) in out.iter_mut().zip(products) {
                    *least = simd.min_f32s(product, *least);
                }
            }
        }
        least
    }
}

/// The squared gaps between some boxes, side by side, and one box.
#[inline(always)]
pub(super) fn squared_gaps<S: Simd, const V: usize>(
    simd: S,
    boxes: &[[Lanes; 2]],
    other: impl Iterator<Item = [f32; 2]>,
) -> [S::f32s; V] {
    let mut sums = [simd.splat_f32s(0.0); V];
    for ([lows, highs], [low, high]) in boxes.iter().zip(other) {
        let (low, high) = (simd.splat_f32s(low), simd.splat_f32s(high));
        let (lows, highs) = (S::as_simd_f32s(lows).0, S::as_simd_f32s(highs).0);
        for ((sum, &own_low), &own_high) in sums.iter_mut().zip(lows).zip(highs) {
            let (up, down) = (simd.sub_f32s(own_low, high), simd.sub_f32s(low, own_high));
            let gap = simd.max_f32s(simd.max_f32s(up, down), simd.splat_f32s(0.0));
            *sum = simd.mul_add_e_f32s(gap, gap, *sum);
        }
    }
    sums
}

/// The squared gaps between the rows of a tile and a box.
#[inline(always)]
pub(super) fn squared_distances<S: Simd, const V: usize>(
    simd: S,
    rows: &[Lanes],
    other: impl Iterator<Item = [f32; 2]>,
) -> [S::f32s; V] {
    let mut sums = [simd.splat_f32s(0.0); V];
    for (rows, [low, high]) in rows.iter().zip(other) {
        let (low, high) = (simd.splat_f32s(low), simd.splat_f32s(high));
        for (sum, &row) in sums.iter_mut().zip(S::as_simd_f32s(rows).0) {
            let gap = simd.sub_f32s(row, simd.min_f32s(simd.max_f32s(row, low), high));
            *sum = simd.mul_add_e_f32s(gap, gap, *sum);
        }
    }
    sums
}

/// The squared gaps, less what rounding may have added, and the lanes in which this is within reach, as bits.
#[inline(always)]
pub(super) fn near<S: Simd, const V: usize>(
    simd: S,
    mut gaps: [S::f32s; V],
    (slack, more): (&Lanes, f32),
    reach: &Lanes,
) -> (u32, [S::f32s; V]) {
    let more = simd.splat_f32s(more);
    let mut out = [simd.equal_f32s(more, more); V];
    let (slack, reach) = (S::as_simd_f32s(slack).0, S::as_simd_f32s(reach).0);
    for (((out, gap), &slack), &reach) in out.iter_mut().zip(&mut gaps).zip(slack).zip(reach) {
        *gap = simd.sub_f32s(*gap, simd.add_f32s(slack, more));
        *out = simd.greater_than_f32s(*gap, reach);
    }
    (unset(simd, out), gaps)
}

/// Registers as an array.
#[inline(always)]
pub(super) fn lanes<S: Simd, const V: usize>(_: S, registers: [S::f32s; V]) -> Lanes {
    let mut lanes = [0.0; LANES];
    S::as_mut_simd_f32s(&mut lanes).0.copy_from_slice(&registers);
    lanes
}

/// The lanes that are not set in a mask, as bits.
#[inline(always)]
fn unset<S: Simd, const V: usize>(simd: S, mask: [S::m32s; V]) -> u32 {
    // AVX-512 has masks of bits.
    if let &[mask] = &mask[..]
        && size_of::<S::m32s>() == size_of::<u16>()
    {
        return u32::from(!cast::<_, u16>(mask));
    }
    let mut powers = [1.0; LANES];
    (1..LANES).for_each(|lane| powers[lane] = 2.0 * powers[lane - 1]);
    let mut sum = simd.splat_f32s(0.0);
    for (mask, &powers) in mask.into_iter().zip(S::as_simd_f32s(&powers).0) {
        sum = simd.add_f32s(sum, simd.select_f32s(mask, simd.splat_f32s(0.0), powers));
    }
    simd.reduce_sum_f32s(sum) as u32
}

/// The places of the bits.
#[inline(always)]
pub(super) fn places(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (lane < u32::BITS).then_some(lane as usize)
    })
}
