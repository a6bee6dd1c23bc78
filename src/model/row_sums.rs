//! Sums over rows whose terms a closure adds, a block of rows at a time.

use std::ops::{AddAssign, Range};

use ndarray::Array2;

use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel;

/// A value that is summed over rows.
pub(super) trait Total: Send + Sized {
    /// Adds the sum over the rows that come next.
    fn merge(&mut self, next: Self);

    /// Adds the sums over the blocks that come next, in their order.
    fn merge_all(&mut self, next: Vec<Self>) {
        next.into_iter().for_each(|next| self.merge(next));
    }
}

impl Total for f64 {
    fn merge(&mut self, next: Self) {
        *self += &next;
    }
}

impl<const N: usize> Total for [f64; N] {
    fn merge(&mut self, next: Self) {
        self.iter_mut().zip(next).for_each(|(sum, term)| *sum += term);
    }
}

impl Total for Array2<f64> {
    fn merge(&mut self, next: Self) {
        *self += &next;
    }
}

impl<T: AddAssign + Copy + Send + Sync> Total for Vec<T> {
    fn merge(&mut self, next: Self) {
        self.merge_all(vec![next]);
    }

    fn merge_all(&mut self, next: Vec<Self>) {
        parallel::add_all(self, &next);
    }
}

/// The least and the greatest of some numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extremes {
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Extremes {
    pub(super) fn include(&mut self, value: f64) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }
}

impl Total for Extremes {
    fn merge(&mut self, next: Self) {
        self.include(next.least);
        self.include(next.greatest);
    }
}

/// A total, and the closure that adds rows to it.
struct RowSum<'f, T, A> {
    total: T,
    add: &'f A,
}

impl<T: Total, A: Fn(&mut T, Range<usize>) + Sync> Accumulate for RowSum<'_, T, A> {
    type Block<'b> = Range<usize>;

    fn add(&mut self, rows: Range<usize>) {
        (self.add)(&mut self.total, rows);
    }

    fn merge(&mut self, next: Self) {
        self.total.merge(next.total);
    }

    fn merge_all(&mut self, next: Vec<Self>) {
        self.total.merge_all(next.into_iter().map(|next| next.total).collect());
    }
}

/// The sum over `n` rows on all cores, in blocks of `size` rows: `zero` makes a sum over no rows, and
/// `add(total, rows)` adds the rows of a range.
pub(super) fn sum_rows<T: Total>(
    n: usize,
    size: usize,
    zero: impl Fn() -> T + Sync + Send,
    add: impl Fn(&mut T, Range<usize>) + Sync + Send,
) -> T {
    let sum = accumulate(n, size, || RowSum { total: zero(), add: &add }, |rows| rows);
    sum.map_or_else(zero, |sum| sum.total)
}

/// [`sum_rows`] over the rows of `output`, one entry per row: `add(total, rows, output)` also writes the
/// entries of its rows.
pub(super) fn sum_rows_into<T: Total, U: Send>(
    output: &mut [U],
    size: usize,
    zero: impl Fn() -> T + Sync + Send,
    add: impl Fn(&mut T, Range<usize>, &mut [U]) + Sync + Send,
) -> T {
    let blocks = parallel::map_into(output, 1, size, |_, rows, output| {
        let mut total = zero();
        add(&mut total, rows, output);
        total
    });
    let mut blocks = blocks.into_iter();
    let mut total = blocks.next().unwrap_or_else(zero);
    total.merge_all(blocks.collect());
    total
}
