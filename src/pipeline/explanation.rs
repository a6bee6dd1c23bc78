//! Why a prediction is what it is: the share of each column.

use std::collections::BTreeSet;
use std::fmt;

use super::FittedPipeline;
use crate::calibration::{Calibration, CalibrationMap, is_probability, no_probability};
use crate::core::{Error, Result, Row, aligned, column_name, number, rename, signed};
use crate::model::{Contributions, PRINTED, Predict, ensure_numbers};
use crate::numerics::logit;

/// The probability of one row as a base and the share of each column, on three scales; made by
/// [`FittedPipeline::explain`].
///
/// | scale | sums to | shares |
/// |---|---|---|
/// | logit | the model's logit, before calibration | those of the model, [`Predict::contributions`] |
/// | log-odds | the calibrated log-odds | taken [through](Contributions::through) the calibration |
/// | probability | the probability | taken through the calibration |
///
/// On each scale base and columns sum to the prediction, up to rounding. For one model the columns have the same
/// proportions on all scales; a column that raises the logit raises the probability too, if the calibration is
/// monotone.
///
/// **Ensembles**: probabilities are the mean of the members', and so are their shares, which sum exactly; logits are the
/// mean of the members' logits. Log-odds are those of the mean probability.
///
/// **Contributions are no causes**: they tell how this model came to its number, not what would happen if a column
/// were changed.
///
/// Printed, it has the 20 columns with the largest shares; [`text`](Self::text) has any number.
///
/// ```
/// use imbalance::prelude::*;
///
/// let log = SyntheticClicks::new(20_000, 0.02)?.numeric(3).categorical(&[]).generate(7)?;
/// let (train, test) = log.dataset.stratified_split(0.3, 7)?;
/// let fitted = Pipeline::new(LogisticRegression::new())
///     .sampler(RandomUnderSampler::negatives_per_positive(10.0)?)
///     .calibrator(PriorCorrection::new())
///     .fit(&train)?;
///
/// let row = test.features().row(0);
/// let explanation = fitted.explain(row)?.with_feature_names(["age", "price", "hour"])?;
/// println!("{explanation}");
///
/// let columns: f64 = explanation.terms.iter().map(|term| term.share.probability).sum();
/// let sum = explanation.base.probability + columns;
/// assert!((sum - fitted.probability(row)?).abs() < 1e-14);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Sources: Saabas 2014 (paths of trees); Aumann & Shapley 1974 (the share of a function of a sum).
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Explanation {
    /// The prediction.
    pub prediction: Scales,
    /// What it would be if no column added anything: for the row of zeros of a linear model, the mean logit of the
    /// training rows of trees, or the prediction for a row that was given. Of
    /// [`RareEvents::corrected_probabilities`](crate::model::RareEvents::corrected_probabilities) that at the
    /// uncertainty of the explained row.
    pub base: Scales,
    /// The columns that add something, the largest share of the probability first.
    pub terms: Vec<ColumnShare>,
    /// Number of columns of the model.
    pub columns: usize,
}

/// A number on the three scales of an [`Explanation`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Scales {
    /// Of the model's logit, with the offset of the row, if it has one.
    pub logit: f64,
    /// Of the calibrated log-odds; none where they are infinite at the prediction or at the base, because a
    /// calibrator gives the probability 0 or 1 there.
    pub log_odds: Option<f64>,
    /// Of the probability.
    pub probability: f64,
}

/// What one column adds to a prediction.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct ColumnShare {
    /// The column.
    pub column: usize,
    /// Its name: the model's, or `x0`, `x1`, …, unless others were given.
    pub name: String,
    /// Its value in the row.
    pub value: f64,
    /// What it adds.
    pub share: Scales,
}

/// A prediction and its contributions on one scale.
type Explained = (f64, Contributions);

/// The prediction of one model with its calibration, on the three scales.
struct Member {
    logit: Explained,
    log_odds: Option<Explained>,
    probability: Explained,
}

impl Member {
    fn new<P: Predict, K: CalibrationMap>(
        (model, calibration): (&P, &Calibration<K>),
        row: Row<'_>,
        against: Option<Row<'_>>,
        offset: f64,
    ) -> Result<Self> {
        let contributions = |row| -> Result<Explained> {
            let (z, found) = (model.logit(row)?, model.contributions(row)?);
            ensure_numbers(&[z])?;
            let sizes = found.terms().iter().map(|term| term.1.abs());
            let size = sizes.fold(found.base().abs(), f64::max);
            if (found.sum() - z).abs() <= 1e-6 * size * (1 + found.terms().len()) as f64 {
                return Ok((z, found));
            }
            let problem = format!("its contributions sum to {}, its logit is {z}", found.sum());
            Err(Error::Contract { stage: "the model".into(), problem })
        };
        let (z, mut of_logit) = contributions(row)?;
        let mut base = of_logit.base();
        if let Some(other) = against {
            let (of_other, other) = contributions(other)?;
            // The logit itself and not a sum: a step of the calibration may be there.
            base = of_other + (base - other.base());
            of_logit = of_logit.relative_to(&other)?;
        }
        let (z, of_logit) = (z + offset, of_logit.with_base(base + offset));
        let p = |z: f64| {
            let p = calibration.probability(z);
            if is_probability(p) { Ok(p) } else { Err(no_probability(0, p)) }
        };
        let of_log_odds = of_logit.through(z, |z| Ok(calibration.logit(z))).ok();
        Ok(Self {
            log_odds: of_log_odds.map(|of_log_odds| (calibration.logit(z), of_log_odds)),
            probability: (p(z)?, of_logit.through(z, p)?),
            logit: (z, of_logit),
        })
    }

    /// The mean of probabilities and of logits.
    fn mean(mut members: Vec<Self>) -> Result<Self> {
        if members.len() == 1 {
            return Ok(members.remove(0));
        }
        let mean = |of: Vec<Explained>| -> Result<Explained> {
            let sum: f64 = of.iter().map(|explained| explained.0).sum();
            let value = sum / of.len() as f64;
            let parts: Vec<Contributions> = of.into_iter().map(|explained| explained.1).collect();
            Ok((value, Contributions::mean(&parts)?))
        };
        let (logits, probabilities) =
            members.into_iter().map(|member| (member.logit, member.probability)).unzip();
        let probability = mean(probabilities)?;
        let of_log_odds = probability.1.through(probability.0, |p| Ok(logit(p))).ok();
        Ok(Self {
            logit: mean(logits)?,
            log_odds: of_log_odds.map(|of_log_odds| (logit(probability.0), of_log_odds)),
            probability,
        })
    }

    /// One number on each scale.
    fn scales(&self, of: impl Fn(&Explained) -> f64) -> Scales {
        Scales {
            logit: of(&self.logit),
            log_odds: self.log_odds.as_ref().map(&of),
            probability: of(&self.probability),
        }
    }
}

impl<P: Predict, K: CalibrationMap> FittedPipeline<P, K> {
    /// The share of each column in the probability of a row: [`Explanation`] has the formulas.
    ///
    /// # Errors
    /// As for [`probability`](Self::probability); [`Error::Unsupported`] for a model without
    /// [contributions](Predict::contributions), such as [`FnPredict`](crate::model::FnPredict);
    /// [`Error::Contract`] for a model of your own whose contributions do not sum to its logit.
    pub fn explain<'x>(&self, row: impl Into<Row<'x>>) -> Result<Explanation> {
        self.explained(row.into(), None, 0.0)
    }

    /// The share of each column in the difference from the probability of another row, such as the mean of the
    /// training rows or a typical one, which is the base: of a linear model β<sub>j</sub>(x<sub>j</sub> −
    /// m<sub>j</sub>) in the logit.
    ///
    /// ```
    /// # use imbalance::prelude::*;
    /// # let x = imbalance::ndarray::array![[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]];
    /// # let data = Dataset::new(&x, vec![true, false, false])?;
    /// let fitted = Pipeline::new(LogisticRegression::new()).fit(&data)?;
    /// let explanation = fitted.explain_against(&[0.0, 1.0], &[0.5, 0.5])?;
    /// assert!((explanation.base.probability - fitted.probability(&[0.5, 0.5])?).abs() < 1e-15);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`explain`](Self::explain), of either row.
    pub fn explain_against<'x, 'y>(
        &self,
        row: impl Into<Row<'x>>,
        other: impl Into<Row<'y>>,
    ) -> Result<Explanation> {
        self.explained(row.into(), Some(other.into()), 0.0)
    }

    /// [`explain`](Self::explain) for a row with a known additive logit, which belongs to the base.
    ///
    /// # Errors
    /// As for [`explain`](Self::explain), and [`Error::InvalidArgument`] for an offset that is not finite.
    pub fn explain_with_offset<'x>(
        &self,
        row: impl Into<Row<'x>>,
        offset: f64,
    ) -> Result<Explanation> {
        if !offset.is_finite() {
            return Err(Error::invalid("offset", offset, "finite"));
        }
        self.explained(row.into(), None, offset)
    }

    fn explained(
        &self,
        row: Row<'_>,
        against: Option<Row<'_>>,
        offset: f64,
    ) -> Result<Explanation> {
        let members = self.members().map(|member| Member::new(member, row, against, offset));
        let whole = Member::mean(members.collect::<Result<Vec<_>>>()?)?;
        let names = self.model().feature_names();
        // Logits of members may cancel where their probabilities do not.
        let scales = [&whole.logit.1, &whole.probability.1];
        let columns = scales.into_iter().flat_map(Contributions::terms).map(|term| term.0);
        let columns: BTreeSet<usize> = columns.collect();
        let share = |column| ColumnShare {
            column,
            name: column_name(names, column),
            value: row.get(column),
            share: whole.scales(|scale| scale.1.of(column)),
        };
        let mut terms: Vec<ColumnShare> = columns.into_iter().map(share).collect();
        terms.sort_by(|a, b| a.share.by_size(&b.share));
        Ok(Explanation {
            prediction: whole.scales(|scale| scale.0),
            base: whole.scales(|scale| scale.1.base()),
            terms,
            columns: whole.logit.1.columns(),
        })
    }
}

impl Explanation {
    /// This explanation with names for the columns, in their order, such as those of
    /// [`FittedEncoder::column_names`](crate::data::FittedEncoder::column_names).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is one name per column.
    pub fn with_feature_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let places = self.terms.iter_mut().map(|term| (term.column, &mut term.name));
        rename(places, names, self.columns)?;
        Ok(self)
    }

    /// The prediction, its base, the first `rows` columns and the sum of the others as lines.
    #[must_use]
    pub fn text(&self, rows: usize) -> String {
        let line = |term: &ColumnShare| (term.name.clone(), number(term.value), term.share);
        self.table(&self.terms.iter().map(line).collect::<Vec<_>>(), rows)
    }

    /// Names, values and shares between the base and the prediction.
    pub(super) fn table(&self, terms: &[(String, String, Scales)], rows: usize) -> String {
        let cells = |name: &str, value: &str, of: &Scales, form: fn(f64) -> String| {
            let log_odds = of.log_odds.map_or("–".into(), form);
            vec![
                name.to_string(),
                value.to_string(),
                form(of.logit),
                log_odds,
                form(of.probability),
            ]
        };
        let head = ["column", "value", "logit", "log-odds", "probability"];
        let mut lines = vec![head.map(String::from).to_vec()];
        lines.push(cells("(base)", "", &self.base, number));
        let (shown, others) = terms.split_at(rows.min(terms.len()));
        lines.extend(shown.iter().map(|(name, value, share)| cells(name, value, share, signed)));
        if !others.is_empty() {
            let none =
                Scales { logit: 0.0, log_odds: self.base.log_odds.map(|_| 0.0), probability: 0.0 };
            let sum = others.iter().fold(none, |sum, (.., share)| sum.plus(share, 1.0));
            lines.push(cells(&format!("({} more columns)", others.len()), "", &sum, signed));
        }
        lines.push(cells("(prediction)", "", &self.prediction, number));
        aligned(&lines)
    }
}

impl Scales {
    /// The sum with a part of other numbers.
    pub(super) fn plus(self, other: &Self, part: f64) -> Self {
        Self {
            logit: self.logit + part * other.logit,
            log_odds: self.log_odds.zip(other.log_odds).map(|(a, b)| a + part * b),
            probability: self.probability + part * other.probability,
        }
    }

    /// Sorts by falling size of the probability, then of the logit.
    pub(super) fn by_size(&self, other: &Self) -> std::cmp::Ordering {
        let size = |scales: &Self| (scales.probability.abs(), scales.logit.abs());
        let (a, b) = (size(self), size(other));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(PRINTED))
    }
}
