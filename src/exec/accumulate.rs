//! Sums over rows that are put together from the sums over their blocks.

use std::ops::Range;

use super::parallel;

/// A sum over rows: add blocks of rows to it, then merge the sums of different blocks.
///
/// Merging must not depend on where the rows were cut, up to rounding: the sum over rows a, then b is the
/// sum over a, merged with the sum over b. Blocks are merged in the order of the rows.
pub(crate) trait Accumulate: Send + Sized {
    /// What is known of a block of rows.
    type Block<'b>;

    /// Adds a block of rows.
    fn add(&mut self, block: Self::Block<'_>);

    /// Adds the sum over the rows that come next.
    fn merge(&mut self, next: Self);
}

/// The sum over `rows` rows on all cores, in blocks of `size` rows: `empty` makes a sum over no rows, and
/// `block` reads the rows of a range. None if there are no rows.
pub(crate) fn accumulate<'b, A: Accumulate>(
    rows: usize,
    size: usize,
    empty: impl Fn() -> A + Sync + Send,
    block: impl Fn(Range<usize>) -> A::Block<'b> + Sync + Send,
) -> Option<A> {
    let sums = parallel::map(rows, size, |_, rows| {
        let mut sum = empty();
        sum.add(block(rows));
        sum
    });
    sums.into_iter().reduce(|mut total, next| {
        total.merge(next);
        total
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Words(String);

    impl Accumulate for Words {
        type Block<'b> = &'b [&'b str];

        fn add(&mut self, block: Self::Block<'_>) {
            self.0.extend(block.iter().copied());
        }

        fn merge(&mut self, next: Self) {
            self.0.push_str(&next.0);
        }
    }

    #[test]
    fn blocks_are_merged_in_the_order_of_the_rows() {
        let rows = ["a", "b", "c", "d", "e"];
        for size in 1..7 {
            let sum = accumulate(5, size, || Words(String::new()), |range| &rows[range]);
            assert_eq!(sum.map(|words| words.0).as_deref(), Some("abcde"));
        }
        assert!(accumulate(0, 3, || Words(String::new()), |range| &rows[range]).is_none());
    }
}
