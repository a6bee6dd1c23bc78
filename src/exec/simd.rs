//! Loops over numbers, run with the widest vector instructions of the machine.

/// Rows that a loop works on side by side. Each lane has its own sum, so no addition waits for the one before.
pub(crate) const LANES: usize = 32;

/// Rows that several short loops pass over, one loop after the other. A processor can overlap the turns of a
/// short loop, but not those of one long loop that does all the steps.
pub(crate) const TILE: usize = 256;

/// A loop over numbers. It is no closure, because the compiler must inline it, with all functions it calls,
/// into code for the instructions of the machine: so `run` is `#[inline(always)]` in every implementation,
/// and its loops are plain ones.
pub(crate) trait Work {
    /// The result of the loop.
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs a loop with the widest vector instructions of this machine. The bits of the result do not depend on
/// the instructions.
pub(crate) fn vectorised<W: Work>(work: W) -> W::Output {
    struct OnVectors<W>(W);

    impl<W: Work> pulp::WithSimd for OnVectors<W> {
        type Output = W::Output;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> W::Output {
            self.0.run()
        }
    }

    pulp::Arch::new().dispatch(OnVectors(work))
}

/// The first rows in lanes; lanes without a row hold `rest`.
#[inline(always)]
pub(crate) fn lanes<T: Copy>(rows: &[T], rest: T) -> [T; LANES] {
    rows.first_chunk().copied().unwrap_or_else(|| {
        let mut lanes = [rest; LANES];
        lanes[..rows.len()].copy_from_slice(rows);
        lanes
    })
}

/// The sum of the lanes, in their order.
pub(crate) fn total(lanes: &[f64; LANES]) -> f64 {
    lanes.iter().sum()
}
