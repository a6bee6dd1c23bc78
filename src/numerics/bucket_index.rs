//! Where a number lies among sorted ones.

/// Sorted numbers with an index: a query is a look into a table and a search among the one or two numbers
/// found there, in place of a search among all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lookup {
    /// Ascending.
    edges: Vec<f64>,
    /// Cells of equal width from `least` on, `cells` to half a unit.
    least: f64,
    cells: f64,
    /// How many edges lie in cells before each one, and at the end how many there are.
    before: Vec<u32>,
}

impl Lookup {
    /// An index of ascending numbers, which may be ±∞ but not NaN.
    pub(crate) fn new(edges: Vec<f64>) -> Self {
        let cells = 2 * edges.len() + 1;
        let finite = || edges.iter().copied().filter(|edge| edge.is_finite());
        let least = finite().next().unwrap_or(0.0);
        let most = finite().next_back().unwrap_or(0.0);
        // Halved, so that a span of 1e308 does not overflow.
        let mut lookup = Self {
            least,
            cells: cells as f64 / (0.5 * most - 0.5 * least),
            before: vec![0; cells + 1],
            edges,
        };
        for edge in 0..lookup.edges.len() {
            let cell = lookup.cell(lookup.edges[edge]);
            lookup.before[cell + 1] += 1;
        }
        for cell in 0..cells {
            lookup.before[cell + 1] += lookup.before[cell];
        }
        lookup
    }

    pub(crate) fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The cell of a number. Rises with the number, rounding included; that is all the search relies on.
    #[inline(always)]
    fn cell(&self, x: f64) -> usize {
        // As an integer NaN is 0, and what is too large or too small the nearest.
        let cell = ((0.5 * x - 0.5 * self.least) * self.cells) as usize;
        cell.min(self.before.len() - 2)
    }

    /// How many edges are such that all below them are: for a `belongs` that is true up to some number
    /// that lies in the cell of `x`.
    #[inline(always)]
    fn count(&self, x: f64, belongs: impl Fn(f64) -> bool) -> usize {
        let cell = self.cell(x);
        let (first, last) = (self.before[cell] as usize, self.before[cell + 1] as usize);
        first + self.edges[first..last].partition_point(|&edge| belongs(edge))
    }

    /// How many edges are at `x` or below.
    #[inline(always)]
    pub(crate) fn up_to(&self, x: f64) -> usize {
        self.count(x, |edge| edge <= x)
    }

    /// How many edges are below `x`.
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
                let lookup = Lookup::new(edges.clone());
                let near = edges.iter().flat_map(|&edge| [edge, edge.next_up(), edge.next_down()]);
                let queries = near.chain((0..500).map(|i| number(i + 7_000))).chain(ends.clone());
                for x in queries.filter(|x| !x.is_nan()) {
                    assert_eq!(lookup.up_to(x), edges.partition_point(|&edge| edge <= x), "{x}");
                    assert_eq!(lookup.below(x), edges.partition_point(|&edge| edge < x), "{x}");
                }
            }
        }
    }
}
