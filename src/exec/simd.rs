//! Loops over blocks of numbers, run with the widest vector instructions of the machine.

/// Numbers that a loop should hold in arrays, so that sums over them need no order between neighbours.
pub(crate) const LANES: usize = 32;

/// Numbers that one step after another is applied to. A loop of a single step is short enough for a processor
/// to work on the next numbers while it waits for these.
pub(crate) const PIECE: usize = 256;

/// A loop over a block of numbers. A closure would not do: it has to be inlined, with all it calls, where
/// the instructions of the machine are known, so `run` is `#[inline(always)]` in every implementation, and
/// loops in it are plain ones.
pub(crate) trait Work {
    /// What comes of it.
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs a loop with the widest vector instructions of this machine. The bits do not depend on which.
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

/// The first rows in lanes, and `rest` in lanes without a row.
#[inline(always)]
pub(crate) fn lanes<T: Copy>(rows: &[T], rest: T) -> [T; LANES] {
    rows.first_chunk().copied().unwrap_or_else(|| {
        let mut lanes = [rest; LANES];
        lanes[..rows.len()].copy_from_slice(rows);
        lanes
    })
}

/// The lanes as one number, in their order.
pub(crate) fn total(lanes: &[f64; LANES]) -> f64 {
    lanes.iter().sum()
}
