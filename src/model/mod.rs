//! Models: from features to logits.

mod checked;
mod coefficient_table;
mod contributions;
mod fit_warning;
mod ftrl;
#[cfg(feature = "gbdt")]
mod gbdt;
mod given;
mod linear;
pub mod logistic;
mod products;
pub mod rare_events;
mod row_sums;

use std::fmt::Debug;
use std::sync::Arc;

pub(crate) use checked::{add, ensure_numbers, logits_into, logits_of, scores_any_row, scores_of};
pub(crate) use coefficient_table::PRINTED;
pub use coefficient_table::{Coefficient, CoefficientTable};
pub use contributions::Contributions;
pub use fit_warning::FitWarning;
pub use ftrl::{FittedFtrl, FtrlFit, FtrlLearner, FtrlProximal, FtrlState, ProgressiveValidation};
#[cfg(feature = "gbdt")]
pub use gbdt::{
    BoostedLeaves, BoostedTrees, ColumnGain, FittedBoostedLeaves, FittedBoostedTrees,
    GainImportance,
};
pub use given::{FnPredict, GivenLogits};
pub use linear::{FittedLinear, LinearModel};
pub use logistic::{FittedLogisticRegression, LogisticRegression};
pub use rare_events::{FittedRareEvents, RareEvents};

use crate::core::{Dataset, Error, FeaturesView, Result, Row, Run};
use crate::loss::Loss;
#[cfg(feature = "serde")]
use crate::saved::Part;

/// Something that learns a logit from rows.
pub trait Model: Debug + Send + Sync {
    /// What a fit returns.
    type Fitted: Predict;

    /// Learns from the rows, their weights and their offsets, under any loss.
    ///
    /// # Errors
    /// Depends on the model.
    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted>;

    /// How this model, not yet fitted, is saved. Default: it cannot be.
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        None
    }

    /// This model with its fitted type erased, to be chosen while the program runs.
    ///
    /// ```
    /// use imbalance::model::{BoxModel, LogisticRegression, Model};
    /// let model: BoxModel = LogisticRegression::new().boxed();
    /// ```
    fn boxed(self) -> BoxModel
    where
        Self: Sized + 'static,
        Self::Fitted: 'static,
    {
        Box::new(Erased(self))
    }
}

/// A model chosen while the program runs; made by [`Model::boxed`].
pub type BoxModel = Box<dyn Model<Fitted = Box<dyn Predict>>>;

/// Something that gives a logit for each row.
pub trait Predict: Debug + Send + Sync {
    /// Writes the logit of each row of `x` to `out`.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`],
    /// [`Error::LengthMismatch`] if `out` has another length than `x`
    /// has rows, [`Error::NonFinite`] for a feature that is not finite.
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()>;

    /// The logit of one row, without allocating.
    ///
    /// # Errors
    /// As for [`logits_into`](Self::logits_into).
    fn logit(&self, row: Row<'_>) -> Result<f64> {
        let mut out = [0.0];
        row.with_view(|x| self.logits_into(x, &mut out))?;
        Ok(out[0])
    }

    /// What each column adds to the logit of one row: numbers whose sum is [`logit`](Self::logit), up to rounding.
    /// Default: refused.
    ///
    /// ```
    /// use imbalance::model::{Contributions, Predict};
    /// use imbalance::{FeaturesView, Result, Row};
    ///
    /// /// A logit of your own: x₀², with an offset.
    /// #[derive(Debug)]
    /// struct Square;
    ///
    /// impl Predict for Square {
    ///     fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
    ///         x.ensure_columns(1)?;
    ///         x.rows().zip(out).for_each(|(row, out)| *out = row.get(0) * row.get(0) - 3.0);
    ///         Ok(())
    ///     }
    ///
    ///     fn contributions(&self, row: Row<'_>) -> Result<Contributions> {
    ///         Contributions::new(1, -3.0, [(0, row.get(0) * row.get(0))])
    ///     }
    /// }
    ///
    /// assert_eq!(Square.contributions((&[2.0]).into())?.sum(), Square.logit((&[2.0]).into())?);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`logit`](Self::logit), and [`Error::Unsupported`] for a model that has no contributions.
    fn contributions(&self, row: Row<'_>) -> Result<Contributions> {
        let _ = row;
        Err(Error::Unsupported {
            stage: "an explanation by columns",
            what: format!("a model that does not tell what they add ({})", self.describe()),
            remedy: "implement `Predict::contributions` for it",
        })
    }

    /// The names of the columns, if the model knows them. Default: none.
    fn feature_names(&self) -> Option<&[String]> {
        None
    }

    /// Whether the logits are the population's although the rows trained on were sampled by class,
    /// because the model was told the population's rate and undid the shift itself, as
    /// [`RareEvents`] does. A pipeline then tells its calibrator of no shift, so that nothing is undone
    /// twice. Default no.
    fn is_prior_corrected(&self) -> bool {
        false
    }

    /// A line on how the fit went, for the pipeline's summary.
    fn describe(&self) -> String {
        format!("{self:?}")
    }

    /// Why the probabilities cannot be relied on, as far as the fit itself can tell; a pipeline's report repeats it.
    /// Default: none.
    fn warning(&self) -> Option<FitWarning> {
        None
    }

    /// How this fitted model is saved. Default: it cannot be.
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        None
    }
}

/// A fitted model with an intercept, so that a constant can be added to all its logits at no cost in
/// serving: see [`PriorMap::fold_into`](crate::calibration::PriorMap::fold_into).
pub trait ShiftLogits: Sized {
    /// The same model with `shift` added to every logit.
    #[must_use]
    fn shifted(&self, shift: f64) -> Self;
}

/// A model behind a pointer is that model, and so is a fitted one.
macro_rules! delegate {
    ($($pointer:ident),*) => {$(
        impl<M: Model + ?Sized> Model for $pointer<M> {
            type Fitted = M::Fitted;

            fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
                (**self).fit(train, loss, run)
            }
            #[cfg(feature = "serde")]
            fn saved(&self) -> Option<Part<'_>> {
                (**self).saved()
            }
        }

        impl<P: Predict + ?Sized> Predict for $pointer<P> {
            fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
                (**self).logits_into(x, out)
            }
            fn logit(&self, row: Row<'_>) -> Result<f64> {
                (**self).logit(row)
            }
            fn contributions(&self, row: Row<'_>) -> Result<Contributions> {
                (**self).contributions(row)
            }
            fn feature_names(&self) -> Option<&[String]> {
                (**self).feature_names()
            }
            fn is_prior_corrected(&self) -> bool {
                (**self).is_prior_corrected()
            }
            fn describe(&self) -> String {
                (**self).describe()
            }
            fn warning(&self) -> Option<FitWarning> {
                (**self).warning()
            }
            #[cfg(feature = "serde")]
            fn saved(&self) -> Option<Part<'_>> {
                (**self).saved()
            }
        }
    )*};
}

delegate!(Box, Arc);

/// Adapter behind [`Model::boxed`].
#[derive(Debug)]
struct Erased<M>(M);

impl<M: Model> Model for Erased<M>
where
    M::Fitted: 'static,
{
    type Fitted = Box<dyn Predict>;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        Ok(Box::new(self.0.fit(train, loss, run)?))
    }

    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        self.0.saved()
    }
}

fn valid_positive(argument: &'static str, value: f64) -> Result<f64> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::invalid(argument, value, "positive and finite"))
    }
}

fn valid_not_negative(argument: &'static str, value: f64) -> Result<f64> {
    if value >= 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::invalid(argument, value, "finite and not negative"))
    }
}

/// The models that files know.
#[cfg(feature = "serde")]
mod kinds {
    #[cfg(feature = "gbdt")]
    use super::{BoostedLeaves, BoostedTrees};
    use super::{BoxModel, FtrlProximal, LogisticRegression, Model, RareEvents};

    crate::saved::stage!(Model<Fitted: 'static>, BoxModel, "model", Model::boxed, [
        LogisticRegression,
        RareEvents,
        FtrlProximal,
        #[cfg(feature = "gbdt")]
        BoostedTrees,
        #[cfg(feature = "gbdt")]
        BoostedLeaves,
    ]);
}

/// The fitted models that files know.
#[cfg(feature = "serde")]
mod fitted_kinds {
    #[cfg(feature = "gbdt")]
    use super::{FittedBoostedLeaves, FittedBoostedTrees};
    use super::{
        FittedFtrl, FittedLogisticRegression, FittedRareEvents, GivenLogits, LinearModel, Predict,
    };

    type BoxPredict = Box<dyn Predict>;

    crate::saved::stage!(
        Predict,
        BoxPredict,
        "fitted model",
        |model| Box::new(model) as _,
        [
            LinearModel,
            FittedLogisticRegression,
            FittedRareEvents,
            FittedFtrl,
            GivenLogits,
            #[cfg(feature = "gbdt")]
            FittedBoostedTrees,
            #[cfg(feature = "gbdt")]
            FittedBoostedLeaves,
        ]
    );
}

#[cfg(feature = "serde")]
pub use fitted_kinds::register as register_fitted;
#[cfg(feature = "serde")]
pub use kinds::register;
