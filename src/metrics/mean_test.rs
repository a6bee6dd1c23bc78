//! Did as many positives come as were predicted?

use statrs::function::erf::erfc;
use statrs::function::gamma::{gamma_lr, gamma_ur};

use super::ranked::RankedScores;
use super::rows::{Sum, WeightedRows};

/// The predicted weight of the positives against the observed one, if the probabilities are right and rows independent.
pub(super) struct MeanTest {
    /// See [`Scorecard::standard_errors_off`](super::Scorecard::standard_errors_off).
    pub(super) standard_errors_off: Option<f64>,
    /// See [`Slice::p_value`](super::Slice::p_value).
    pub(super) p_value: f64,
}

impl RankedScores {
    /// The test of scores that are probabilities or logits.
    pub(super) fn mean_test(&self) -> MeanTest {
        let spread = |(p, weight): (f64, f64)| weight * weight * p * (1.0 - p);
        let variance = self.probabilities().map(spread).collect::<Sum>().value();
        let (expected, observed) = (self.sum_over_p(|_, p| p), self.classes.positive());
        // Where positives are the rule, the negatives are the rare ones.
        let mirrored = 2.0 * expected > self.classes.total();
        let (rare, came) = if mirrored {
            (self.sum_over_p(|_, p| 1.0 - p), self.classes.negative())
        } else {
            (expected, observed)
        };
        let off = if mirrored { came - rare } else { rare - came };
        // All predictions are certain: up to rounding the labels agree with them, or they do not.
        let agree = || f64::from(u8::from((rare - came).abs() <= 1e-9 * self.classes.total()));
        let p_value = poisson_p_value(rare, came, variance / rare).unwrap_or_else(agree);
        let standard_errors_off = (variance > 0.0).then(|| off / variance.sqrt());
        MeanTest { standard_errors_off, p_value }
    }
}

/// The two-sided p-value of a Poisson number times `unit`, of the mean `expected`; `None` where it has no variance.
fn poisson_p_value(expected: f64, observed: f64, unit: f64) -> Option<f64> {
    let (mean, count) = (expected / unit, observed / unit);
    if !(mean.is_finite() && count.is_finite()) {
        return None;
    }
    // Above this mean, Poisson numbers are normal: the third moment shifts three standard errors by less
    // than a hundredth.
    if mean > 2e4 {
        return Some(erfc((count - mean).abs() / (2.0 * mean).sqrt()));
    }
    if mean == 0.0 {
        // The expected number rounds to 0: no positive is certain, and any positive impossible.
        return Some(if count > 0.0 { 0.0 } else { 1.0 });
    }
    let at_least = if count > 0.0 { gamma_lr(count, mean) } else { 1.0 };
    let at_most = gamma_ur(count + 1.0, mean);
    Some((2.0 * at_most.min(at_least)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_value_is_that_of_a_poisson_number() {
        let p_value = |rows: usize, p: f64, positives: usize, weight: f64| {
            let labels: Vec<bool> = (0..rows).map(|row| row < positives).collect();
            let weights = vec![weight; rows];
            let ranked = RankedScores::new(&labels, &vec![p; rows], Some(&weights)).unwrap();
            ranked.mean_test().p_value
        };
        // scipy: min(1, 2 * min(stats.binom.cdf(k, n, p), stats.binom.sf(k - 1, n, p))). The Poisson
        // number has the same first two moments; here its tails differ by a power of less than 1 %.
        for (rows, p, positives, expected) in [
            (5000, 0.01, 0, 2.99918312199604e-22),
            (5000, 0.01, 35, 0.03161624664882322),
            (5000, 0.01, 70, 0.008310094807267398),
            (500, 0.001, 3, 0.02866159516873781),
            (500, 0.001, 0, 1.0),
            (5000, 0.99, 4930, 0.008310094807267398),
        ] {
            let expected: f64 = expected;
            let found = p_value(rows, p, positives, 1.0);
            let power = expected.ln().abs().max(1.0);
            assert!((found / expected).ln().abs() <= 0.01 * power, "{found} {expected}");
            // Weights have a unit of their own.
            let weighted = p_value(rows, p, positives, 0.3);
            assert!((weighted - found).abs() <= 1e-9 * found, "{weighted} {found}");
        }
        // What was certain came, or did not.
        assert_eq!(p_value(10, 0.0, 0, 1.0), 1.0);
        assert_eq!(p_value(10, 0.0, 1, 1.0), 0.0);
        assert_eq!(p_value(10, 1.0, 10, 1.0), 1.0);
        // From Poisson to normal at 20,000 / 0.99 expected, three standard errors above: the skewness and
        // half a count together are 0.013 standard errors, which is 4 % of such a tail.
        let poisson = p_value(1_970_000, 0.01, 20_119, 1.0);
        let normal = p_value(1_990_000, 0.01, 20_321, 1.0);
        assert!((poisson / normal).ln().abs() < 0.06, "{poisson} {normal}");
    }
}
