//! Isotonic regression by pool-adjacent-violators.

use std::ops::Range;

/// Neighbouring groups that share one rate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pool {
    /// The groups in it.
    pub(crate) groups: Range<usize>,
    /// The weight of the positives and of the negatives in them.
    pub(crate) positive: f64,
    pub(crate) negative: f64,
}

impl Pool {
    /// The share of positives.
    pub(crate) fn rate(&self) -> f64 {
        self.positive / (self.positive + self.negative)
    }

    /// Whether the rate is at least that of `other`: by odds, as a product, which rounds least.
    fn reaches(&self, other: &Self) -> bool {
        self.positive * other.negative >= other.positive * self.negative
    }
}

/// Isotonic regression of the rate of positives over groups in order, each given by the weight of its positives and
/// of its negatives: the longest pools whose rates rise strictly.
pub(crate) fn pool_adjacent_violators(groups: impl Iterator<Item = [f64; 2]>) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for (group, [positive, negative]) in groups.enumerate() {
        let mut pool = Pool { groups: group..group + 1, positive, negative };
        while let Some(below) = pools.pop_if(|below| below.reaches(&pool)) {
            pool.groups.start = below.groups.start;
            pool.positive += below.positive;
            pool.negative += below.negative;
        }
        pools.push(pool);
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falling_and_equal_rates_are_pooled() {
        let groups = [[1.0, 2.0], [0.0, 1.0], [0.5, 0.5], [2.0, 2.0], [1.0, 0.0]];
        let pools = pool_adjacent_violators(groups.into_iter());
        let ends: Vec<usize> = pools.iter().map(|pool| pool.groups.end).collect();
        assert_eq!(ends, [2, 4, 5]);
        assert_eq!(pools.iter().map(Pool::rate).collect::<Vec<_>>(), [0.25, 0.5, 1.0]);
    }
}
