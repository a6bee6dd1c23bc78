//! The linear model, which logistic regression, FTRL and rare events have in common.

use std::fmt::Debug;

use super::products::add_products;
use super::{CoefficientTable, Contributions, FitWarning, Predict, ShiftLogits};
use crate::core::{
    Error, FeaturesView, Result, Row, ensure_finite, same_length, saved_as_part, stored,
    valid_names,
};
use crate::exec::parallel::{self, BLOCK};
#[cfg(feature = "serde")]
use crate::saved::Part;

/// A linear logit, xβ + b.
///
/// ```
/// use imbalance::model::{LinearModel, Predict};
///
/// let model = LinearModel::new(vec![2.0, -1.0], -4.0)?.with_feature_names(["age", "dose"])?;
/// assert_eq!(model.logit((&[3.0, 1.0]).into())?, 1.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    pub(super) coefficients: Vec<f64>,
    pub(super) intercept: f64,
    feature_names: Option<Vec<String>>,
}

impl LinearModel {
    /// A model of these coefficients β, one per column, and the intercept b.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a number that is not finite.
    pub fn new(coefficients: Vec<f64>, intercept: f64) -> Result<Self> {
        ensure_finite("coefficients", &coefficients)?;
        ensure_finite("intercept", &[intercept])?;
        Ok(Self { coefficients, intercept, feature_names: None })
    }

    /// A model of θ, which has the coefficients of `columns` columns and then the intercept, if there is one.
    pub(super) fn from_theta(mut theta: Vec<f64>, columns: usize) -> Self {
        let intercept = theta.get(columns).copied().unwrap_or(0.0);
        theta.truncate(columns);
        Self { coefficients: theta, intercept, feature_names: None }
    }

    /// This model with names for the columns, in their order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is one name per column.
    pub fn with_feature_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        self.feature_names = Some(valid_names(names, self.coefficients.len())?);
        Ok(self)
    }

    /// The coefficients β, one per column.
    #[must_use]
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// The intercept b; 0 if there is none.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// The names of the columns, if any were given.
    #[must_use]
    pub fn feature_names(&self) -> Option<&[String]> {
        self.feature_names.as_deref()
    }

    /// The coefficients with their names, the largest first; print it.
    ///
    /// ```
    /// use imbalance::model::LinearModel;
    ///
    /// let model = LinearModel::new(vec![0.5, 0.0, -2.0], -4.0)?.with_feature_names(["age", "site", "dose"])?;
    /// let table = model.coefficient_table();
    /// assert_eq!(table.entries()[0].name, "dose");
    /// assert_eq!(table.zero_coefficients(), 1);
    /// println!("{table}");
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn coefficient_table(&self) -> CoefficientTable {
        CoefficientTable::new(self)
    }

    fn write_logits(&self, x: FeaturesView<'_>, out: &mut [f64]) {
        out.fill(self.intercept);
        add_products(x, &self.coefficients, out);
    }
}

impl Predict for LinearModel {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        x.ensure_columns(self.coefficients.len())?;
        same_length("the output", out.len(), "the feature matrix", x.nrows())?;
        let first_bad = parallel::map_into(out, 1, BLOCK, |_, rows, out| {
            self.write_logits(x.slice(rows.clone()), out);
            out.iter().position(|logit| !logit.is_finite()).map(|row| rows.start + row)
        });
        match first_bad.into_iter().flatten().next() {
            None => Ok(()),
            Some(row) => Err(non_finite_logit(x, row, out[row])),
        }
    }

    fn logit(&self, row: Row<'_>) -> Result<f64> {
        row.with_view(|x| {
            x.ensure_columns(self.coefficients.len())?;
            let mut out = [0.0];
            self.write_logits(x, &mut out);
            if out[0].is_finite() { Ok(out[0]) } else { Err(non_finite_logit(x, 0, out[0])) }
        })
    }

    /// β<sub>j</sub>x<sub>j</sub> of each column, with the intercept as base.
    fn contributions(&self, row: Row<'_>) -> Result<Contributions> {
        self.logit(row)?;
        let terms =
            row.entries().map(|(column, value)| (column, self.coefficients[column] * value));
        Contributions::new(self.coefficients.len(), self.intercept, terms)
    }

    fn feature_names(&self) -> Option<&[String]> {
        self.feature_names()
    }

    fn describe(&self) -> String {
        format!("linear model, {} columns", self.coefficients.len())
    }

    saved_as_part!();
}

stored!(LinearModel as "linear", |model| {
    coefficients: Vec<f64> = model.coefficients,
    intercept: f64 = model.intercept,
    feature_names: Option<Vec<String>> = model.feature_names,
} => Self::new(coefficients, intercept).and_then(|model| match feature_names {
    None => Ok(model),
    Some(names) => model.with_feature_names(names),
}));

impl ShiftLogits for LinearModel {
    fn shifted(&self, shift: f64) -> Self {
        Self { intercept: self.intercept + shift, ..self.clone() }
    }
}

/// A logit is not finite if a feature is not, or if finite features overflow.
fn non_finite_logit(x: FeaturesView<'_>, row: usize, logit: f64) -> Error {
    match x.slice(row..row + 1).first_non_finite() {
        Some((_, column, value)) => {
            Error::NonFinite { what: "the feature matrix".into(), row, column: Some(column), value }
        }
        None => Error::Numerical {
            what: format!("the logit of row {row}"),
            value: logit,
            remedy: "its features are too large for the coefficients",
        },
    }
}

/// A [linear model](LinearModel) and the details `D` of its fit: the fitted type of
/// [`LogisticRegression`](super::LogisticRegression), [`FtrlProximal`](super::FtrlProximal) and
/// [`RareEvents`](super::RareEvents).
#[derive(Debug, Clone, PartialEq)]
pub struct FittedLinear<D> {
    pub(super) linear: LinearModel,
    pub(super) details: D,
}

/// What the fit of a linear model tells besides the coefficients.
pub trait FitDetails: Debug + Send + Sync {
    /// A line on how the fit went.
    fn describe(&self, model: &LinearModel) -> String;

    /// See [`Predict::warning`].
    fn warning(&self) -> Option<FitWarning> {
        None
    }

    /// See [`Predict::is_prior_corrected`].
    fn is_prior_corrected(&self) -> bool {
        false
    }

    /// Changes the linear logits of the rows of `x` into those that are predicted.
    ///
    /// # Errors
    /// Depends on the model.
    fn adjust(&self, x: FeaturesView<'_>, logits: &mut [f64]) -> Result<()> {
        let _ = (x, logits);
        Ok(())
    }

    /// Changes the contributions of a row to its linear logit into those to the logit that is predicted.
    ///
    /// # Errors
    /// Depends on the model.
    fn adjust_contributions(&self, row: Row<'_>, linear: Contributions) -> Result<Contributions> {
        let _ = row;
        Ok(linear)
    }

    /// How a model with these details is saved. Default: it cannot be.
    #[cfg(feature = "serde")]
    fn saved(_model: &FittedLinear<Self>) -> Option<Part<'_>>
    where
        Self: Sized,
    {
        None
    }

    /// Takes over the names of the columns.
    fn name_columns(&mut self, names: &[String]) {
        let _ = names;
    }
}

impl<D: FitDetails> FittedLinear<D> {
    /// The linear model alone.
    #[must_use]
    pub fn linear(&self) -> &LinearModel {
        &self.linear
    }

    /// The coefficients, one per column.
    #[must_use]
    pub fn coefficients(&self) -> &[f64] {
        self.linear.coefficients()
    }

    /// The intercept; 0 if there is none.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.linear.intercept()
    }

    /// The names of the columns, if any were given.
    #[must_use]
    pub fn feature_names(&self) -> Option<&[String]> {
        self.linear.feature_names()
    }

    /// The coefficients with their names; see [`LinearModel::coefficient_table`].
    #[must_use]
    pub fn coefficient_table(&self) -> CoefficientTable {
        self.linear.coefficient_table()
    }

    /// This model with names for the columns, in their order, which its tables then show.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is one name per column.
    pub fn with_feature_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        self.linear = self.linear.with_feature_names(names)?;
        self.details.name_columns(self.linear.feature_names().unwrap_or_default());
        Ok(self)
    }
}

impl<D: FitDetails> Predict for FittedLinear<D> {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        self.linear.logits_into(x, out)?;
        self.details.adjust(x, out)
    }

    fn logit(&self, row: Row<'_>) -> Result<f64> {
        let mut out = [self.linear.logit(row)?];
        row.with_view(|x| self.details.adjust(x, &mut out))?;
        Ok(out[0])
    }

    /// Those of the [linear model](LinearModel). Where predictions are averaged over the uncertainty of the
    /// coefficients, they are taken [through](Contributions::through) that map at the uncertainty of this row.
    fn contributions(&self, row: Row<'_>) -> Result<Contributions> {
        let linear = self.linear.contributions(row)?;
        self.details.adjust_contributions(row, linear)
    }

    fn feature_names(&self) -> Option<&[String]> {
        self.linear.feature_names()
    }

    fn is_prior_corrected(&self) -> bool {
        self.details.is_prior_corrected()
    }

    fn describe(&self) -> String {
        self.details.describe(&self.linear)
    }

    fn warning(&self) -> Option<FitWarning> {
        self.details.warning()
    }

    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        D::saved(self)
    }
}
