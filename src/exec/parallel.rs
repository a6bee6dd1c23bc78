//! The one place where work is cut into blocks of rows and put together again.
//!
//! A partition depends on the shape of the data alone, never on the number of threads, and partial
//! results come back in block order. So every sum is added up in one order, and the same input gives
//! the same bits on one thread or on sixty-four, with or without the `rayon` feature.

use std::ops::Range;

#[cfg(feature = "rayon")]
use rayon::prelude::*;

/// Rows in a block of work that only maps rows to rows.
pub(crate) const BLOCK: usize = 4096;

/// Most blocks a sum is cut into: enough to feed a large machine, few enough that the partial sums
/// stay cheap to merge.
const MAX_SUM_BLOCKS: usize = 64;

/// Most numbers that all partial sums together may hold (64 MiB of `f64`). A gradient over 2²⁰ hashed
/// columns is 8 MiB, so it is summed in eight blocks, or in seven with an intercept; with more, clearing
/// and merging the partial sums would cost more than the pass over the rows.
const MAX_SUM_LEN: usize = 8 << 20;

fn ranges(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(size).map(move |start| start..(start + size).min(n))
}

/// Rows per block for sums over `n` rows whose accumulator holds `len` numbers.
pub(crate) fn sum_block(n: usize, len: usize) -> usize {
    let blocks = n.div_ceil(BLOCK).min(MAX_SUM_BLOCKS).min(MAX_SUM_LEN / len.max(1)).max(1);
    n.div_ceil(blocks).max(1)
}

/// `f(block, rows)` for each block of `size` rows, results in block order.
pub(crate) fn map<T: Send>(
    n: usize,
    size: usize,
    f: impl Fn(usize, Range<usize>) -> T + Sync + Send,
) -> Vec<T> {
    #[cfg(feature = "rayon")]
    {
        let blocks: Vec<_> = ranges(n, size).collect();
        blocks.into_par_iter().enumerate().map(|(block, rows)| f(block, rows)).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        ranges(n, size).enumerate().map(|(block, rows)| f(block, rows)).collect()
    }
}

/// `f(block, rows, out)` for each block of `size` rows, where `out` is the part of `output` that
/// belongs to the rows; `width` entries a row. Results in block order.
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
    {
        output.par_chunks_mut(size * width).enumerate().map(run).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        output.chunks_mut(size * width).enumerate().map(run).collect()
    }
}

/// The first row of which `found` is true. All rows are looked at, so that blocks without one are left
/// behind by vector instructions.
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

/// The same on this thread.
pub(crate) fn position_in<T>(rows: &[T], found: impl Fn(&T) -> bool) -> Option<usize> {
    if rows.iter().fold(false, |any, row| any | found(row)) {
        return rows.iter().position(found);
    }
    None
}

/// Sorts by a total order under which only equal elements compare equal, so that the result does not
/// depend on how the work was split.
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

/// What `work` returns on a single thread, and how often it sorted on it.
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

/// Both, at the same time if that is worth a `fork`.
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

/// Adds the partial vectors element by element, in their order.
pub(crate) fn merge(parts: Vec<Vec<f64>>) -> Vec<f64> {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    let rest: Vec<Vec<f64>> = parts.collect();
    // Block by block within a stretch of columns: each column is still added in block order, and
    // long vectors are merged on all cores.
    map_into(&mut total, 1, 1 << 14, |_, columns, out| {
        for part in &rest {
            for (sum, &term) in out.iter_mut().zip(&part[columns.clone()]) {
                *sum += term;
            }
        }
    });
    total
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
        // In order: (1e16 + 1) rounds to 1e16, so the sum is 0; any other order would give 1.
        assert_eq!(merge(parts), [0.0, 6.0]);
        assert!(merge(Vec::new()).is_empty());
    }
}
