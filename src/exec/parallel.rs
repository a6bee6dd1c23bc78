//! The only module that cuts work into blocks of rows and joins the results.
//!
//! The blocks depend on the shape of the data only, never on the number of threads, and results are returned
//! in block order. So every sum is added up in one order, and equal inputs give equal bits on any number of
//! threads, with or without the `rayon` feature.

use std::ops::{AddAssign, Range};

#[cfg(feature = "rayon")]
use rayon::prelude::*;

use super::simd::{Work, vectorised};

/// Rows in a block of work that computes a value for each row.
pub(crate) const BLOCK: usize = 4096;

/// Most blocks of a sum: enough for a machine with many cores, and few enough to merge their sums fast.
const MAX_SUM_BLOCKS: usize = 64;

/// Most numbers in all block sums together (64 MiB of `f64`). A gradient over 2²⁰ hashed columns is 8 MiB, so
/// it is summed in eight blocks, or in seven with an intercept; in more blocks, clearing and merging the
/// sums would cost more than the pass over the rows.
const MAX_SUM_LEN: usize = 8 << 20;

fn ranges(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(size).map(move |start| start..(start + size).min(n))
}

/// Rows per block for sums over `n` rows whose accumulator holds `len` numbers.
pub(crate) fn sum_block(n: usize, len: usize) -> usize {
    let blocks = n.div_ceil(BLOCK).min(MAX_SUM_BLOCKS).min(MAX_SUM_LEN / len.max(1)).max(1);
    n.div_ceil(blocks).max(1)
}

/// The number of threads that blocks run on. Results must not depend on it.
pub(crate) fn threads() -> usize {
    #[cfg(feature = "rayon")]
    {
        rayon::current_num_threads()
    }
    #[cfg(not(feature = "rayon"))]
    {
        1
    }
}

/// Calls `f(block, rows)` for each block of `size` rows; returns the results in block order.
pub(crate) fn map<T: Send>(
    n: usize,
    size: usize,
    f: impl Fn(usize, Range<usize>) -> T + Sync + Send,
) -> Vec<T> {
    #[cfg(feature = "rayon")]
    if n > size {
        let blocks: Vec<_> = ranges(n, size).collect();
        return blocks.into_par_iter().enumerate().map(|(block, rows)| f(block, rows)).collect();
    }
    ranges(n, size).enumerate().map(|(block, rows)| f(block, rows)).collect()
}

/// Calls `f(block, rows, out)` for each block of `size` rows, where `out` is the part of `output` for these
/// rows, `width` entries per row; returns the results in block order.
pub(crate) fn map_into<U: Send, T: Send>(
    output: &mut [U],
    width: usize,
    size: usize,
    f: impl Fn(usize, Range<usize>, &mut [U]) -> T + Sync + Send,
) -> Vec<T> {
    if output.is_empty() {
        return Vec::new();
    }
    let rows = |block: usize, part: &[U]| block * size..block * size + part.len() / width;
    let run = |(block, part): (usize, &mut [U])| f(block, rows(block, part), part);
    #[cfg(feature = "rayon")]
    if output.len() > size * width {
        return output.par_chunks_mut(size * width).enumerate().map(run).collect();
    }
    output.chunks_mut(size * width).enumerate().map(run).collect()
}

/// The first row for which `found` is true. A block is first tested as a whole, without an early exit, so that
/// vector instructions can test it.
pub(crate) fn position<T: Sync>(
    rows: &[T],
    found: impl Fn(&T) -> bool + Sync + Send,
) -> Option<usize> {
    let blocks = map(rows.len(), sum_block(rows.len(), 1), |_, block| {
        let first = block.start;
        position_in(&rows[block], &found).map(|row| first + row)
    });
    blocks.into_iter().flatten().next()
}

/// [`position`] on this thread.
pub(crate) fn position_in<T>(rows: &[T], found: impl Fn(&T) -> bool) -> Option<usize> {
    if vectorised(Any { rows, found: &found }) { rows.iter().position(found) } else { None }
}

struct Any<'a, T, F> {
    rows: &'a [T],
    found: &'a F,
}

impl<T, F: Fn(&T) -> bool> Work for Any<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        self.rows.iter().fold(false, |any, row| any | (self.found)(row))
    }
}

/// Sorts by a total order. Elements that compare equal must be equal: then the result does not depend on how
/// the work was divided.
pub(crate) fn sort_by<T: Send>(
    rows: &mut [T],
    compare: impl Fn(&T, &T) -> std::cmp::Ordering + Sync + Send,
) {
    #[cfg(test)]
    SORTS.set(SORTS.get() + 1);
    #[cfg(feature = "rayon")]
    rows.par_sort_unstable_by(compare);
    #[cfg(not(feature = "rayon"))]
    rows.sort_unstable_by(compare);
}

#[cfg(test)]
thread_local! {
    static SORTS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The result of `work` on a single thread, and the number of its sorts.
#[cfg(test)]
pub(crate) fn sorts_during<T: Send>(work: impl FnOnce() -> T + Send) -> (T, usize) {
    let counted = || {
        let before = SORTS.get();
        let result = work();
        (result, SORTS.get() - before)
    };
    #[cfg(feature = "rayon")]
    {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        pool.expect("a thread").install(counted)
    }
    #[cfg(not(feature = "rayon"))]
    {
        counted()
    }
}

/// Calls both functions, at the same time if `fork`.
pub(crate) fn join(fork: bool, one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    #[cfg(feature = "rayon")]
    if fork {
        rayon::join(one, other);
        return;
    }
    #[cfg(not(feature = "rayon"))]
    let _ = fork;
    one();
    other();
}

/// The partial vectors added element by element, in their order.
pub(crate) fn merge(parts: Vec<Vec<f64>>) -> Vec<f64> {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    add_all(&mut total, &parts.collect::<Vec<_>>());
    total
}

/// Adds the vectors to `total` element by element, in their order. Each stretch of elements is finished before
/// the next, so that it stays in cache, and long vectors are added on all cores.
pub(crate) fn add_all<T: AddAssign + Copy + Send + Sync>(total: &mut [T], parts: &[Vec<T>]) {
    map_into(total, 1, 1 << 14, |_, elements, out| {
        for part in parts {
            for (sum, &term) in out.iter_mut().zip(&part[elements.clone()]) {
                *sum += term;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_row_once_in_order() {
        for n in [0, 1, 5, 4095, 4096, 4097, 300_000] {
            for size in [1, 7, 4096, sum_block(n, 32), sum_block(n, 1 << 20)] {
                let rows: Vec<usize> = map(n, size, |_, rows| rows).into_iter().flatten().collect();
                assert!(rows.iter().copied().eq(0..n), "n = {n}, size = {size}");
            }
        }
        assert!(300_000_usize.div_ceil(sum_block(300_000, 1 << 20)) <= 8);
    }

    #[test]
    fn merge_adds_in_block_order() {
        let parts = vec![vec![1e16, 1.0], vec![1.0, 2.0], vec![-1e16, 3.0]];
        // In this order 1e16 + 1 rounds to 1e16, so the sum is 0; any other order would give 1.
        assert_eq!(merge(parts), [0.0, 6.0]);
        assert!(merge(Vec::new()).is_empty());
    }
}
