//! A pipeline that has learned.

use std::fmt;

use super::{Report, SelfCheck};
use crate::calibration::{Calibration, CalibrationMap, Scale, is_probability, no_probability};
use crate::core::{Dataset, Distortion, Error, Features, FeaturesView, Result, Row, Run, stored};
use crate::exec::parallel::{self, BLOCK};
use crate::model::{Predict, add, ensure_numbers, logits_into, scores_any_row, scores_of};
use crate::numerics::{logit, sigmoid};

/// A fitted [`Pipeline`](super::Pipeline): a model's logits and a map from them to probabilities; or an
/// ensemble of them, whose probability is the mean of its members' ([`CrossFit`](super::CrossFit)).
///
/// Its probabilities are those of the population **if the calibrator undoes what sampler and loss did**, and the model is
/// right for the rows it saw. Where nothing undoes it, as [`Uncalibrated`](crate::calibration::Uncalibrated) after
/// under-sampling, the report says so and by which factor; where the model has memorised its rows or has not
/// converged, its check does ([`SelfCheck`]): see [`Report::warnings`]. Printed, it is its report.
///
/// A model fitted with offsets learns only the part of the logit that the offsets do not explain. [`probabilities`](Self::probabilities) and
/// [`probability`](Self::probability) add none, which is right where the offsets were a sampler's. For
/// offsets that belong to the rows in the population too, such as a known exposure, there are
/// [`probabilities_of`](Self::probabilities_of) and
/// [`probability_with_offset`](Self::probability_with_offset).
#[derive(Debug, Clone)]
pub struct FittedPipeline<P, K> {
    model: P,
    calibration: Calibration<K>,
    /// The other members of an ensemble.
    others: Vec<(P, Calibration<K>)>,
    report: Report,
}

/// A fitted pipeline whose model and calibration were chosen while the program ran. A saved pipeline of any stages can
/// be read as one.
pub type DynFittedPipeline = FittedPipeline<Box<dyn Predict>, Box<dyn CalibrationMap>>;

stored!(<P: Predict, K: CalibrationMap> FittedPipeline<P, K> as "fitted_pipeline", |this| {
    members: Vec<(PartOf<P>, Calibration<K>)> = this
        .members()
        .map(|(model, calibration)| (as_part(model.saved(), model), calibration))
        .collect::<Vec<_>>(),
    report: Report = this.report,
} => Self::reported(members.into_iter().map(|(model, calibration)| (model.0, calibration)), report));

impl<P, K: CalibrationMap> FittedPipeline<P, K> {
    /// A pipeline of parts that were made elsewhere: a model and its calibration, or several as an ensemble, whose
    /// probabilities are the mean of theirs. Its report says that nothing is known of their training.
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, PlattMap};
    /// use imbalance::model::LinearModel;
    /// use imbalance::FittedPipeline;
    ///
    /// let model = LinearModel::new(vec![2.0, -1.0], -4.0)?;
    /// let calibration = Calibration::new(PlattMap::new(0.5, -1.0)?);
    /// let pipeline = FittedPipeline::from_parts([(model, calibration)])?;
    /// assert_eq!(pipeline.probability(&[3.0, 0.0])?, 0.5);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is a member.
    pub fn from_parts(members: impl IntoIterator<Item = (P, Calibration<K>)>) -> Result<Self>
    where
        P: Predict,
    {
        let members: Vec<_> = members.into_iter().collect();
        let (model, calibration) = members
            .first()
            .map_or_else(Default::default, |member| (member.0.describe(), member.1.describe()));
        let report = Report::of_parts(members.len(), model, calibration);
        Self::reported(members, report)
    }

    /// These members, with the report of how they were made.
    fn reported(
        members: impl IntoIterator<Item = (P, Calibration<K>)>,
        report: Report,
    ) -> Result<Self> {
        let mut members = members.into_iter();
        let Some((model, calibration)) = members.next() else {
            return Err(Error::invalid("members", 0, "at least 1"));
        };
        let others: Vec<_> = members.collect();
        if 1 + others.len() != report.members {
            let expected = format!("{}, as the report tells", report.members);
            return Err(Error::invalid("members", 1 + others.len(), expected));
        }
        Ok(Self { model, calibration, others, report })
    }

    pub(super) fn new(model: P, calibration: Calibration<K>, report: Report) -> Self {
        Self { model, calibration, others: Vec::new(), report }
    }

    pub(super) fn ensemble(
        (model, calibration): (P, Calibration<K>),
        others: Vec<(P, Calibration<K>)>,
        report: Report,
    ) -> Self {
        Self { model, calibration, others, report }
    }

    pub(super) fn add_check(&mut self, check: SelfCheck) {
        self.report.add_check(check);
    }

    /// This pipeline with the types of its model and its calibration erased.
    pub fn boxed(self) -> DynFittedPipeline
    where
        P: Predict + 'static,
        K: 'static,
    {
        let boxed = |(model, calibration): (P, Calibration<K>)| {
            (Box::new(model) as Box<dyn Predict>, calibration.boxed())
        };
        let (model, calibration) = boxed((self.model, self.calibration));
        let others = self.others.into_iter().map(boxed).collect();
        FittedPipeline { model, calibration, others, report: self.report }
    }

    /// Each model with its calibration: one pair, unless an ensemble was asked for.
    pub fn members(&self) -> impl Iterator<Item = (&P, &Calibration<K>)> {
        let others = self.others.iter().map(|(model, calibration)| (model, calibration));
        std::iter::once((&self.model, &self.calibration)).chain(others)
    }

    /// The fitted model; of an ensemble, the first ([`members`](Self::members) has all).
    pub fn model(&self) -> &P {
        &self.model
    }

    /// The fitted calibration; of an ensemble, the first.
    pub fn calibration(&self) -> &Calibration<K> {
        &self.calibration
    }

    /// What each stage did; print it.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The model's logits, as trained: before the calibrator undoes what sampler and loss did. Of an
    /// ensemble, the mean of its models' logits, which is not what its probabilities are made of.
    ///
    /// # Errors
    /// As for [`Predict::logits_into`].
    pub fn logits<'x>(&self, x: impl Into<Features<'x>>) -> Result<Vec<f64>>
    where
        P: Predict,
    {
        let x = x.into();
        let mut out = vec![0.0; x.nrows()];
        self.mean(&mut out, |model, _, out| logits_into(model, x.view(), out))?;
        // The mean of −∞ and +∞.
        ensure_numbers(&out)?;
        Ok(out)
    }

    /// The probability of a positive for each row, in the population where
    /// [nothing warns](Report::warnings) of the opposite. Without offsets.
    ///
    /// # Errors
    /// As for [`Predict::logits_into`]; [`Error::Contract`] for a calibrator of your own whose answer is no
    /// probability.
    pub fn probabilities<'x>(&self, x: impl Into<Features<'x>>) -> Result<Vec<f64>>
    where
        P: Predict,
    {
        let x = x.into();
        let mut out = vec![0.0; x.nrows()];
        self.write(x.view(), None, &mut out)?;
        Ok(out)
    }

    /// Writes the probability of each row to `out`: logits in place, then probabilities in place, so that
    /// what is allocated is a few words a block of rows; in an ensemble also one number a row.
    ///
    /// # Errors
    /// As for [`probabilities`](Self::probabilities).
    pub fn probabilities_into<'x>(&self, x: impl Into<Features<'x>>, out: &mut [f64]) -> Result<()>
    where
        P: Predict,
    {
        self.write(x.into().view(), None, out)
    }

    /// The probability for each row of a data set, whose offsets (known additive logits) are added to
    /// the model's logits. Without offsets it is [`probabilities`](Self::probabilities) of its
    /// features.
    ///
    /// # Errors
    /// As for [`probabilities`](Self::probabilities), and [`Error::Unsupported`] for rows whose offsets tell how
    /// a sampler chose them ([`Distortion::Offset`]): with these, the answers would be the sample's.
    pub fn probabilities_of(&self, data: &Dataset<'_>) -> Result<Vec<f64>>
    where
        P: Predict,
    {
        if let Distortion::Offset { sampler, .. } = data.distortion() {
            return Err(Error::Unsupported {
                stage: "`probabilities_of`",
                what: format!("the offsets by which {sampler} tells how it chose the rows"),
                remedy: "predict their features alone, with `probabilities`",
            });
        }
        self.probabilities_as_sampled(data, &Run::default())
    }

    /// The probabilities among the rows as they are, whoever made their offsets.
    pub(super) fn probabilities_as_sampled(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>>
    where
        P: Predict,
    {
        let by_parts = || self.members().all(|(model, _)| scores_any_row(model, data));
        scores_of(data, by_parts, run, |x, offsets, out| self.write(x, offsets, out))
    }

    /// The probabilities among these rows, which may have been thinned out by class before.
    pub(super) fn probabilities_among(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>>
    where
        P: Predict,
    {
        let mut out = self.probabilities_as_sampled(data, run)?;
        let shift = data.distortion().log_odds().unwrap_or_default();
        if shift != 0.0 {
            parallel::map_into(&mut out, 1, BLOCK, |_, _, out| {
                out.iter_mut().for_each(|p| *p = sigmoid(logit(*p) + shift));
            });
        }
        Ok(out)
    }

    /// The probability of one row. Nothing is allocated.
    ///
    /// ```
    /// # use imbalance::prelude::*;
    /// # let x = imbalance::ndarray::array![[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]];
    /// # let data = Dataset::new(&x, vec![true, false, false])?;
    /// let fitted = Pipeline::new(LogisticRegression::new()).fit(&data)?;
    /// let p = fitted.probability(&[0.0, 1.0])?;
    /// let same = fitted.probability(Row::sparse(2, &[1], &[1.0])?)?;
    /// assert_eq!(p, same);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Predict::logit`] and [`probabilities`](Self::probabilities).
    pub fn probability<'x>(&self, row: impl Into<Row<'x>>) -> Result<f64>
    where
        P: Predict,
    {
        self.probability_with_offset(row, 0.0)
    }

    /// The probability of one row with a known additive logit. Nothing is allocated.
    ///
    /// # Errors
    /// As for [`probability`](Self::probability), and [`Error::InvalidArgument`] for an offset that is not
    /// finite.
    pub fn probability_with_offset<'x>(&self, row: impl Into<Row<'x>>, offset: f64) -> Result<f64>
    where
        P: Predict,
    {
        if !offset.is_finite() {
            return Err(Error::invalid("offset", offset, "finite"));
        }
        let row = row.into();
        self.mean_of(|model, calibration| {
            let p = calibration.probability(logit_of(model, row)? + offset);
            if is_probability(p) { Ok(p) } else { Err(no_probability(0, p)) }
        })
    }

    /// The model's logit of one row, as [`logits`](Self::logits) of many. Nothing is allocated.
    ///
    /// # Errors
    /// As for [`Predict::logit`].
    pub fn logit<'x>(&self, row: impl Into<Row<'x>>) -> Result<f64>
    where
        P: Predict,
    {
        let row = row.into();
        let mean = self.mean_of(|model, _| logit_of(model, row))?;
        // The mean of −∞ and +∞.
        ensure_numbers(&[mean])?;
        Ok(mean)
    }

    /// The mean of a number of each member.
    fn mean_of(&self, of: impl Fn(&P, &Calibration<K>) -> Result<f64>) -> Result<f64> {
        let mut sum = 0.0;
        for (model, calibration) in self.members() {
            sum += of(model, calibration)?;
        }
        Ok(sum / (1 + self.others.len()) as f64)
    }

    /// Writes the probabilities of rows with known additive logits.
    pub(crate) fn write(
        &self,
        x: FeaturesView<'_>,
        offsets: Option<&[f64]>,
        out: &mut [f64],
    ) -> Result<()>
    where
        P: Predict,
    {
        self.mean(out, |model, calibration, out| {
            logits_into(model, x, out)?;
            add(out, offsets);
            let first_bad = parallel::map_into(out, 1, BLOCK, |_, rows, out| {
                calibration.map().apply(Scale::Logit, out);
                let bad = out.iter().position(|&p| !is_probability(p))?;
                Some((rows.start + bad, out[bad]))
            });
            match first_bad.into_iter().flatten().next() {
                None => Ok(()),
                Some((row, p)) => Err(no_probability(row, p)),
            }
        })
    }

    /// The mean of what each member writes.
    fn mean(
        &self,
        out: &mut [f64],
        write: impl Fn(&P, &Calibration<K>, &mut [f64]) -> Result<()>,
    ) -> Result<()> {
        write(&self.model, &self.calibration, out)?;
        if self.others.is_empty() {
            return Ok(());
        }
        let mut term = vec![0.0; out.len()];
        for (model, calibration) in &self.others {
            write(model, calibration, &mut term)?;
            add(out, Some(&term));
        }
        let members = (1 + self.others.len()) as f64;
        out.iter_mut().for_each(|sum| *sum /= members);
        Ok(())
    }
}

impl<P, K> fmt::Display for FittedPipeline<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}

fn logit_of(model: &impl Predict, row: Row<'_>) -> Result<f64> {
    let logit = model.logit(row)?;
    ensure_numbers(&[logit])?;
    Ok(logit)
}
