//! Models: from features to logits.

mod ftrl;
#[cfg(feature = "gbdt")]
mod gbdt;
mod given;
mod linear;
pub mod logistic;
pub mod rare_events;

use std::fmt::Debug;
use std::sync::Arc;

pub use ftrl::{FittedFtrl, FtrlLearner, FtrlProximal, FtrlState, ProgressiveValidation};
#[cfg(feature = "gbdt")]
pub use gbdt::{BoostedLeaves, BoostedTrees, FittedBoostedLeaves, FittedBoostedTrees};
pub use given::{FnPredict, GivenLogits};
pub use logistic::{FittedLogisticRegression, LogisticRegression};
pub use rare_events::{FittedRareEvents, RareEvents};

use crate::core::{FeaturesView, Row, Scalar};
use crate::loss::Loss;
use crate::{Dataset, Result, Run};

/// Something that learns a logit from rows.
pub trait Model<F: Scalar>: Debug + Send + Sync {
    /// What a fit returns.
    type Fitted: Predict<F>;

    /// Learns from the rows, their weights and their offsets, under any loss.
    ///
    /// # Errors
    /// Depends on the model.
    fn fit(&self, train: &Dataset<'_, F>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted>;

    /// This model with its fitted type erased, to be chosen while the program runs.
    ///
    /// ```
    /// use imbalance::model::{BoxModel, LogisticRegression, Model};
    /// let model: BoxModel<f32> = Model::<f32>::boxed(LogisticRegression::new());
    /// ```
    fn boxed(self) -> BoxModel<F>
    where
        Self: Sized + 'static,
        Self::Fitted: 'static,
    {
        Box::new(Erased(self))
    }
}

/// A model chosen while the program runs; made by [`Model::boxed`].
pub type BoxModel<F> = Box<dyn Model<F, Fitted = Box<dyn Predict<F>>>>;

/// Something that gives a logit for each row.
pub trait Predict<F: Scalar>: Debug + Send + Sync {
    /// Writes the logit of each row of `x` to `out`.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`](crate::Error::ColumnMismatch),
    /// [`Error::LengthMismatch`](crate::Error::LengthMismatch) if `out` has another length than `x`
    /// has rows, [`Error::NonFinite`](crate::Error::NonFinite) for a feature that is not finite.
    fn logits_into(&self, x: FeaturesView<'_, F>, out: &mut [f64]) -> Result<()>;

    /// The logit of one row, without allocating.
    ///
    /// # Errors
    /// As for [`logits_into`](Self::logits_into).
    fn logit(&self, row: Row<'_, F>) -> Result<f64> {
        let mut out = [0.0];
        row.with_view(|x| self.logits_into(x, &mut out))?;
        Ok(out[0])
    }

    /// Whether the logits are the population's although the rows trained on were sampled by class,
    /// because the model was told the population's rate and undid the shift itself, as
    /// [`RareEvents`] does. A pipeline then tells its calibrator of no shift, so that nothing is undone
    /// twice. Default no.
    fn undoes_sampling(&self) -> bool {
        false
    }

    /// A line on how the fit went, for the pipeline's summary.
    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// A fitted model with an intercept, so that a constant can be added to all its logits at no cost in
/// serving: see [`FittedPriorCorrection::fold_into`](crate::calibration::FittedPriorCorrection::fold_into).
pub trait ShiftLogits: Sized {
    /// The same model with `shift` added to every logit.
    #[must_use]
    fn shifted(&self, shift: f64) -> Self;
}

impl<F: Scalar, M: Model<F> + ?Sized> Model<F> for Box<M> {
    type Fitted = M::Fitted;

    fn fit(&self, train: &Dataset<'_, F>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        (**self).fit(train, loss, run)
    }
}

impl<F: Scalar, P: Predict<F> + ?Sized> Predict<F> for Box<P> {
    fn logits_into(&self, x: FeaturesView<'_, F>, out: &mut [f64]) -> Result<()> {
        (**self).logits_into(x, out)
    }
    fn logit(&self, row: Row<'_, F>) -> Result<f64> {
        (**self).logit(row)
    }
    fn undoes_sampling(&self) -> bool {
        (**self).undoes_sampling()
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}

impl<F: Scalar, P: Predict<F> + ?Sized> Predict<F> for Arc<P> {
    fn logits_into(&self, x: FeaturesView<'_, F>, out: &mut [f64]) -> Result<()> {
        (**self).logits_into(x, out)
    }
    fn logit(&self, row: Row<'_, F>) -> Result<f64> {
        (**self).logit(row)
    }
    fn undoes_sampling(&self) -> bool {
        (**self).undoes_sampling()
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// Adapter behind [`Model::boxed`].
#[derive(Debug)]
struct Erased<M>(M);

impl<F: Scalar, M: Model<F>> Model<F> for Erased<M>
where
    M::Fitted: 'static,
{
    type Fitted = Box<dyn Predict<F>>;

    fn fit(&self, train: &Dataset<'_, F>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        Ok(Box::new(self.0.fit(train, loss, run)?))
    }
}
