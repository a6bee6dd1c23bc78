//! Reliability without bins: consistent, optimally binned, reproducible, by pool-adjacent-violators.

use super::ranked::RankedScores;
use super::rows::Sum;
use crate::core::Result;
use crate::numerics::isotonic::pool_adjacent_violators;

/// A stretch of predictions to which isotonic regression gives one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CorpBlock {
    /// The smallest prediction in it.
    pub lower: f64,
    /// The largest.
    pub upper: f64,
    /// Number of rows.
    pub rows: usize,
    /// Their weight.
    pub weight: f64,
    /// Weighted share of positives among them: the recalibrated probability.
    pub observed: f64,
}

/// The CORP reliability diagram and decomposition; see [`RankedScores::corp`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CorpDecomposition {
    /// The blocks in rising order; their observed rates rise strictly.
    pub blocks: Vec<CorpBlock>,
    /// The Brier score BS.
    pub brier: f64,
    /// MCB = BS − BS after recalibration, 0 or more: what a monotone recalibration would gain.
    pub miscalibration: f64,
    /// DSC = UNC − BS after recalibration, 0 or more: what the ranking tells.
    pub discrimination: f64,
    /// UNC = r(1 − r), the Brier score of the base rate r.
    pub uncertainty: f64,
}

impl RankedScores {
    /// The CORP reliability curve and decomposition of the Brier score.
    ///
    /// The recalibrated probability is the isotonic regression of the labels on the predictions, by
    /// pool-adjacent-violators with exactly equal predictions pooled first, so no bins are chosen and
    /// the order of the rows does not matter. Then, exactly,
    ///
    /// ```text
    /// BS = MCB − DSC + UNC
    /// ```
    ///
    /// MCB and DSC are 0 or more; MCB is 0 if the predictions are their own recalibration. p = 0 and 1
    /// are ordinary values, one class is no obstacle. At a rare base rate all parts are at most about
    /// the base rate: compare DSC / UNC and MCB / UNC. On few rows MCB is above 0 for any model, as
    /// isotonic regression fits noise.
    ///
    /// Source: Dimitriadis, Gneiting & Jordan, "Stable reliability diagrams for probabilistic
    /// classifiers", 2021.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if a score is no probability.
    ///
    /// ```
    /// use imbalance::metrics::RankedScores;
    ///
    /// let corp = RankedScores::new(&[false, true, false, true], &[0.1, 0.2, 0.3, 0.9], None)?.corp()?;
    /// let rates: Vec<f64> = corp.blocks.iter().map(|block| block.observed).collect();
    /// assert_eq!(rates, [0.0, 0.5, 1.0]);
    /// let sum = corp.miscalibration - corp.discrimination + corp.uncertainty;
    /// assert!((sum - corp.brier).abs() < 1e-15);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn corp(&self) -> Result<CorpDecomposition> {
        self.ensure_probabilities()?;
        let pools = pool_adjacent_violators(self.groups().map(|tie| [tie.positive, tie.negative]));
        let (rate, total) = (self.base_rate(), self.classes.total());
        let (mut miscalibration, mut discrimination) = (Sum::default(), Sum::default());
        let mut ties = self.groups();
        let blocks = pools.iter().map(|pool| {
            let (observed, weight) = (pool.rate(), pool.positive + pool.negative);
            discrimination.add(weight * (observed - rate).powi(2));
            let weight = weight * self.classes.unit;
            let mut block =
                CorpBlock { lower: f64::INFINITY, upper: 0.0, rows: 0, weight, observed };
            for tie in ties.by_ref().take(pool.groups.len()) {
                // w(p − y)² − w(c − y)², summed over the rows of the tie.
                let p = self.domain.probability(tie.score);
                let gap = p - observed;
                miscalibration.add(tie.weight() * gap * gap);
                miscalibration.add(2.0 * gap * (tie.weight() * observed - tie.positive));
                block.lower = block.lower.min(p);
                block.upper = p;
                block.rows += tie.rows;
            }
            block
        });
        let blocks = blocks.collect();
        Ok(CorpDecomposition {
            blocks,
            brier: self.brier_score()?,
            miscalibration: (miscalibration.value() / total).max(0.0),
            discrimination: discrimination.value() / total,
            uncertainty: self.uncertainty(),
        })
    }
}
