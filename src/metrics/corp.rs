//! Reliability without bins: consistent, optimally binned, reproducible, by pool-adjacent-violators.

use super::probability::brier_score_of;
use super::ranked::Ranked;
use super::rows::{Sum, Weighted};
use crate::Result;

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

/// The CORP reliability diagram and decomposition; see [`Ranked::corp`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Corp {
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

impl Ranked {
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
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if a score is no probability.
    ///
    /// ```
    /// use imbalance::metrics::Ranked;
    ///
    /// let corp = Ranked::new(&[false, true, false, true], &[0.1, 0.2, 0.3, 0.9], None)?.corp()?;
    /// let rates: Vec<f64> = corp.blocks.iter().map(|block| block.observed).collect();
    /// assert_eq!(rates, [0.0, 0.5, 1.0]);
    /// let sum = corp.miscalibration - corp.discrimination + corp.uncertainty;
    /// assert!((sum - corp.brier).abs() < 1e-15);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn corp(&self) -> Result<Corp> {
        self.need_probabilities()?;
        let pooled = self.pooled();
        let (rate, total) = (self.base_rate(), self.total());
        let mut miscalibration = Sum::default();
        let mut ties = self.ties();
        for block in &pooled {
            let observed = block.rate();
            for tie in ties.by_ref().take(block.ties) {
                // w(p − y)² − w(c − y)², summed over the rows of the tie.
                let gap = tie.score - observed;
                miscalibration.add(tie.weight() * gap * gap);
                miscalibration.add(2.0 * gap * (tie.weight() * observed - tie.positive));
            }
        }
        let spread = pooled.iter().map(|block| block.weight * (block.rate() - rate).powi(2));
        let discrimination = spread.collect::<Sum>().value() / total;
        let blocks = pooled.iter().map(|block| CorpBlock {
            lower: block.lower,
            upper: block.upper,
            rows: block.rows,
            weight: block.weight * self.unit(),
            observed: block.rate(),
        });
        Ok(Corp {
            blocks: blocks.collect(),
            brier: brier_score_of(self),
            miscalibration: (miscalibration.value() / total).max(0.0),
            discrimination,
            uncertainty: self.uncertainty(),
        })
    }

    /// Isotonic regression of the labels on the scores.
    fn pooled(&self) -> Vec<Pool> {
        let mut stack: Vec<Pool> = Vec::new();
        for tie in self.ties() {
            let mut block = Pool {
                lower: tie.score,
                upper: tie.score,
                ties: 1,
                rows: tie.rows,
                weight: tie.weight(),
                positive: tie.positive,
            };
            // Equal rates are pooled too: blocks are as long as they can be.
            while let Some(below) = stack.pop_if(|below| below.rate() >= block.rate()) {
                block = below.with(&block);
            }
            stack.push(block);
        }
        stack
    }
}

#[derive(Clone, Copy, Debug)]
struct Pool {
    lower: f64,
    upper: f64,
    ties: usize,
    rows: usize,
    weight: f64,
    positive: f64,
}

impl Pool {
    fn rate(&self) -> f64 {
        self.positive / self.weight
    }

    fn with(&self, above: &Self) -> Self {
        Self {
            lower: self.lower,
            upper: above.upper,
            ties: self.ties + above.ties,
            rows: self.rows + above.rows,
            weight: self.weight + above.weight,
            positive: self.positive + above.positive,
        }
    }
}
