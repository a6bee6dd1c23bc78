//! Where a number lies among sorted ones.

/// Sorted numbers with a table of buckets of equal width: a query reads the table and searches the one or two numbers
/// in its bucket, instead of all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BucketIndex {
    /// Ascending.
    edges: Vec<f64>,
    /// Cells of equal width from `least` on, `cells` to half a unit.
    least: f64,
    cells: f64,
    /// The number of edges before each cell, and at the end the number of all edges.
    before: Vec<u32>,
}

impl BucketIndex {
    /// An index of ascending numbers, which may be ±∞ but not NaN.
    pub(crate) fn new(edges: Vec<f64>) -> Self {
        let cells = 2 * edges.len() + 1;
        let finite = || edges.iter().copied().filter(|edge| edge.is_finite());
        let least = finite().next().unwrap_or(0.0);
        let most = finite().next_back().unwrap_or(0.0);
        // Halved, so that a span of 1e308 does not overflow.
        let mut index = Self {
            least,
            cells: cells as f64 / (0.5 * most - 0.5 * least),
            before: vec![0; cells + 1],
            edges,
        };
        for edge in 0..index.edges.len() {
            let cell = index.cell(index.edges[edge]);
            index.before[cell + 1] += 1;
        }
        for cell in 0..cells {
            index.before[cell + 1] += index.before[cell];
        }
        index
    }

    pub(crate) fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The cell of a number. It rises with the number, rounding included: the search relies on nothing else.
    #[inline(always)]
    fn cell(&self, x: f64) -> usize {
        // As an integer NaN is 0, and a number out of range is the nearest integer.
        let cell = ((0.5 * x - 0.5 * self.least) * self.cells) as usize;
        cell.min(self.before.len() - 2)
    }

    /// The number of edges that belong, for a `belongs` that is true up to some number in the cell of `x`.
    #[inline(always)]
    fn count(&self, x: f64, belongs: impl Fn(f64) -> bool) -> usize {
        let cell = self.cell(x);
        let (first, last) = (self.before[cell] as usize, self.before[cell + 1] as usize);
        first + self.edges[first..last].partition_point(|&edge| belongs(edge))
    }

    /// The number of edges at `x` or below.
    #[inline(always)]
    pub(crate) fn up_to(&self, x: f64) -> usize {
        self.count(x, |edge| edge <= x)
    }

    /// The number of edges below `x`.
    #[inline(always)]
    pub(crate) fn below(&self, x: f64) -> usize {
        self.count(x, |edge| edge < x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn it_counts_as_a_search_among_all_does() {
        let number = |i: u64| {
            let value = Seed::new(i).child("number").value() as f64 / 2_f64.powi(64);
            (value - 0.5) * [1.0, 1e-3, 1e6, 1e300][i as usize % 4]
        };
        for n in [0, 1, 2, 7, 500] {
            for ends in [vec![], vec![f64::NEG_INFINITY, f64::INFINITY, f64::MIN, f64::MAX]] {
                let mut edges: Vec<f64> = (0..n).map(number).collect();
                edges.extend(&ends);
                edges.extend_from_within(..n as usize / 2);
                edges.sort_by(f64::total_cmp);
                let index = BucketIndex::new(edges.clone());
                let near = edges.iter().flat_map(|&edge| [edge, edge.next_up(), edge.next_down()]);
                let queries = near.chain((0..500).map(|i| number(i + 7_000))).chain(ends.clone());
                for x in queries.filter(|x| !x.is_nan()) {
                    assert_eq!(index.up_to(x), edges.partition_point(|&edge| edge <= x), "{x}");
                    assert_eq!(index.below(x), edges.partition_point(|&edge| edge < x), "{x}");
                }
            }
        }
    }
}
