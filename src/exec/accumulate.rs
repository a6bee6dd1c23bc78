//! Sums over rows, merged from the sums over blocks of rows.

use std::ops::Range;

use super::parallel;

/// A sum over rows, to which blocks of rows are added; the sums of different blocks are merged.
///
/// Up to rounding, the cuts between blocks must not matter: the sum over rows a, merged with the sum over
/// the next rows b, is the sum over a and b. Blocks are merged in the order of the rows.
pub(crate) trait Accumulate: Send + Sized {
    /// The values of a block of rows.
    type Block<'b>;

    /// Adds a block of rows.
    fn add(&mut self, block: Self::Block<'_>);

    /// Adds the sum over the next rows.
    fn merge(&mut self, next: Self);

    /// Adds the sums over the blocks that come next, in their order. A sum of many numbers merges all blocks
    /// in one pass over its own memory.
    fn merge_all(&mut self, next: Vec<Self>) {
        next.into_iter().for_each(|next| self.merge(next));
    }
}

/// The sum over `rows` rows on all cores, in blocks of `size` rows: `empty` returns the sum over no rows, and
/// `block` returns the values of a range of rows. None if there are no rows.
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
    let mut sums = sums.into_iter();
    let mut total = sums.next()?;
    total.merge_all(sums.collect());
    Some(total)
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
