//! The laws of models.

use std::fmt::Debug;
use std::sync::Arc;

use ndarray::{Array2, Axis};

use super::findings::{BrokenLaw, Findings, Law};
use super::inputs::{on_threads, to_sparse, uniform};
use crate::core::{Dataset, Error, FeaturesView, Result, Run};
use crate::loss::{Derivatives, LogLoss, Loss, Posterior, WeightedLogLoss};
use crate::model::{Model, Predict};
use crate::numerics::sigmoid;

const ROWS: usize = 3_000;

/// The laws of a [`Model`] and of what it fits, under log loss on 3,000 rows with three columns.
///
/// [`Finite`](Law::Finite), [`Threads`](Law::Threads), [`Seed`](Law::Seed), [`RowOrder`](Law::RowOrder),
/// [`ColumnOrder`](Law::ColumnOrder), [`Storage`](Law::Storage), [`Weights`](Law::Weights), [`Offsets`](Law::Offsets),
/// [`Contributions`](Law::Contributions),
/// [`Scale`](Law::Scale), [`Balanced`](Law::Balanced), and [`Answers`](Law::Answers) of the right kind for rows that cannot
/// be predicted. Where a promise below does not hold for a model, its field says so.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::FeaturesView;
/// use imbalance::testing::ModelSuite;
///
/// /// One probability for all rows.
/// #[derive(Debug)]
/// struct BaseRate;
///
/// #[derive(Debug)]
/// struct Constant {
///     logit: f64,
///     columns: usize,
/// }
///
/// impl Model for BaseRate {
///     type Fitted = Constant;
///
///     fn fit(&self, train: &Dataset<'_>, _: &dyn Loss, _: &Run) -> imbalance::Result<Constant> {
///         train.totals().ensure_both("the base rate")?;
///         Ok(Constant { logit: train.totals().log_odds(), columns: train.columns() })
///     }
/// }
///
/// impl Predict for Constant {
///     fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> imbalance::Result<()> {
///         x.ensure_columns(self.columns)?;
///         if out.len() != x.nrows() {
///             let (found, expected) = (out.len(), x.nrows());
///             let (what, reference) = ("the output".into(), "the features");
///             return Err(Error::LengthMismatch { what, found, reference, expected });
///         }
///         out.fill(self.logit);
///         Ok(())
///     }
/// }
///
/// // It reads no features, so NaN is as good as any; and it knows no offsets.
/// let suite = ModelSuite { reads_features: false, takes_offsets: false, ..ModelSuite::default() };
/// assert_eq!(suite.run(&BaseRate), []);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSuite {
    /// By how much logits of one problem in two forms may differ, times the larger of 1 and the logit. Default: 10⁻⁸.
    pub tolerance: f64,
    /// A feature that is not finite is an error in prediction. Default: true.
    pub reads_features: bool,
    /// The order of the rows changes nothing. Default: true.
    pub ignores_row_order: bool,
    /// The order of the columns changes nothing. Default: true.
    pub ignores_column_order: bool,
    /// A row of weight k is that row k times, and a row of weight 0 is absent. Default: true.
    pub weights_are_repeats: bool,
    /// A constant offset is taken off the logits again. Default: true.
    pub takes_offsets: bool,
    /// Sparse rows give the fit of dense ones. If not, zeros have a meaning of their own. Default: true.
    pub sparse_as_dense: bool,
    /// Features in any unit from one over this to this give the same logits. Default: none do.
    pub features_scale_free_to: Option<f64>,
    /// Weights and losses in any unit from one over this to this give the same logits. Default: none do.
    pub weights_scale_free_to: Option<f64>,
    /// The probabilities of the rows learned from add up to the positives. Default: false.
    pub is_balanced: bool,
}

impl Default for ModelSuite {
    fn default() -> Self {
        Self {
            tolerance: 1e-8,
            reads_features: true,
            ignores_row_order: true,
            ignores_column_order: true,
            weights_are_repeats: true,
            takes_offsets: true,
            sparse_as_dense: true,
            features_scale_free_to: None,
            weights_scale_free_to: None,
            is_balanced: false,
        }
    }
}

/// Rows, and the logits of a fit on them.
struct Plain {
    x: Array2<f64>,
    labels: Vec<bool>,
    logits: Vec<f64>,
}

impl Plain {
    fn data(&self) -> Result<Dataset<'_>> {
        Dataset::new(&self.x, &self.labels)
    }
}

type ModelLaw<M> = fn(&ModelSuite, &M, &Plain, &mut Findings) -> Result<()>;

impl ModelSuite {
    /// The laws that the model breaks.
    #[must_use]
    pub fn run<M: Model>(&self, model: &M) -> Vec<BrokenLaw> {
        let laws: [(bool, ModelLaw<M>); 10] = [
            (true, Self::prediction),
            (true, Self::repeats),
            (self.ignores_row_order, Self::row_order),
            (self.ignores_column_order, Self::column_order),
            (true, Self::storage),
            (self.weights_are_repeats, Self::weights),
            (self.takes_offsets, Self::offsets),
            (true, Self::units),
            (self.is_balanced, Self::balance),
            (true, Self::hostile),
        ];
        let mut found = Findings::default();
        found.on("ordinary rows");
        let (x, labels) = rows();
        let data = Dataset::new(&x, &labels);
        let logits = data.and_then(|data| fitted(model, &data, &LogLoss, &x));
        let Some(logits) = found.answer(logits) else { return found.into_broken() };
        let plain = Plain { x, labels, logits };
        for (_, law) in laws.into_iter().filter(|(promised, _)| *promised) {
            let answer = law(self, model, &plain, &mut found);
            found.answer(answer);
        }
        found.into_broken()
    }

    fn same(&self, law: Law, logits: &[f64], expected: &[f64], found: &mut Findings) {
        for (row, (&z, &expected)) in logits.iter().zip(expected).enumerate() {
            found.near(law, row, [z, expected], self.tolerance * expected.abs().max(1.0));
        }
    }

    /// Finite logits, one row as a block, and errors for rows that cannot be predicted.
    fn prediction<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        let fitted = model.fit(&plain.data()?, &LogLoss, &Run::seeded(1))?;
        found.on("ordinary rows");
        for (row, &z) in plain.logits.iter().enumerate() {
            found.holds(Law::Finite, row, z.is_finite(), || (format!("{z:?}"), "a finite logit"));
        }
        found.on("one row at a time");
        for row in (0..ROWS).step_by(97) {
            let one = fitted.logit(plain.x.row(row).into())?;
            found.near(Law::Answers, row, [one, plain.logits[row]], 0.0);
            match fitted.contributions(plain.x.row(row).into()) {
                Err(Error::Unsupported { .. }) => {}
                contributions => {
                    let of = contributions?;
                    let terms = of.terms().iter().map(|term| term.1.abs());
                    let tolerance = 1e-12 * (of.base().abs() + terms.sum::<f64>());
                    found.near(Law::Contributions, row, [of.sum(), one], tolerance);
                }
            }
        }
        found.on("rows of another number of columns");
        let columns = |error: &Error| matches!(error, Error::ColumnMismatch { .. });
        let wide = Array2::<f64>::zeros((2, 4));
        let answer = fitted.logits_into((&wide).into(), &mut [0.0; 2]);
        found.refuses(&answer, columns, "ColumnMismatch");
        found.on("an output of another length");
        let length = |error: &Error| matches!(error, Error::LengthMismatch { .. });
        let answer = fitted.logits_into((&plain.x).into(), &mut [0.0; 2]);
        found.refuses(&answer, length, "LengthMismatch");
        for bad in [f64::NAN, f64::INFINITY].into_iter().filter(|_| self.reads_features) {
            let mut x = plain.x.clone();
            x[[1, 1]] = bad;
            found.on(format!("a feature of {bad} in row 1, column 1"));
            let named =
                |error: &Error| matches!(error, Error::NonFinite { row: 1, column: Some(1), .. });
            let answer = fitted.logits_into((&x).into(), &mut vec![0.0; ROWS]);
            found.refuses(&answer, named, "NonFinite, row 1, column 1");
        }
        Ok(())
    }

    /// The same bits again, on any number of threads.
    fn repeats<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        let data = plain.data()?;
        let fit = || fitted(model, &data, &LogLoss, &plain.x);
        let mut equal = |law, input: &str, logits: &[f64], expected: &[f64]| {
            found.on(input);
            for (row, (&z, &expected)) in logits.iter().zip(expected).enumerate() {
                found.near(law, row, [z, expected], 0.0);
            }
        };
        equal(Law::Seed, "the same rows and seed again", &fit()?, &plain.logits);
        let one = on_threads(1, fit)?;
        for threads in [2, 3] {
            let input = format!("{threads} threads after 1");
            equal(Law::Threads, &input, &on_threads(threads, fit)?, &one);
        }
        Ok(())
    }

    fn row_order<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        // 1,787 and 3,000 have no common factor.
        let order: Vec<usize> = (0..ROWS).map(|row| (row * 1_787 + 13) % ROWS).collect();
        let data = plain.data()?;
        found.on("rows in another order");
        let logits = fitted(model, &data.select(&order)?, &LogLoss, &plain.x)?;
        self.same(Law::RowOrder, &logits, &plain.logits, found);
        Ok(())
    }

    fn column_order<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        let x = plain.x.select(Axis(1), &[2, 0, 1]);
        found.on("columns in another order");
        let logits = fitted(model, &Dataset::new(&x, &plain.labels)?, &LogLoss, &x)?;
        self.same(Law::ColumnOrder, &logits, &plain.logits, found);
        Ok(())
    }

    fn storage<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        // Entries are 64ths, which both types hold.
        let (single, sparse) = (plain.x.mapv(|x| x as f32), to_sparse(&plain.x));
        found.on("rows of f32");
        let logits = fitted(model, &Dataset::new(&single, &plain.labels)?, &LogLoss, &single)?;
        self.same(Law::Storage, &logits, &plain.logits, found);
        let columns_first = sparse.to_csc();
        for (form, x) in [("sparse rows", &sparse), ("sparse columns", &columns_first)] {
            let data = Dataset::new(x.clone(), &plain.labels)?;
            found.on(format!("{form}, and their logits dense"));
            let logits = fitted(model, &data, &LogLoss, data.features())?;
            let fit = model.fit(&data, &LogLoss, &Run::seeded(1))?;
            self.same(Law::Storage, &self::logits(&fit, (&plain.x).into())?, &logits, found);
            if self.sparse_as_dense {
                found.on(form);
                self.same(Law::Storage, &logits, &plain.logits, found);
            }
        }
        Ok(())
    }

    fn weights<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        let times: Vec<usize> = (0..ROWS).map(|row| (row * 7) % 4).collect();
        for (what, times) in [
            ("rows of weight 0, and without them", times.iter().map(|&t| t.min(1)).collect()),
            ("rows of weights 1 to 3, and repeated", times.iter().map(|&t| t.max(1)).collect()),
            ("rows of weights 0 to 3, and repeated", times.clone()),
        ] {
            let times: Vec<usize> = times;
            let weights: Vec<f64> = times.iter().map(|&t| t as f64).collect();
            let repeat = |row: usize| std::iter::repeat_n(row, times[row]);
            let repeated: Vec<usize> = (0..ROWS).flat_map(repeat).collect();
            let data = plain.data()?;
            found.on(what);
            let expected = fitted(model, &data.select(&repeated)?, &LogLoss, &plain.x)?;
            let weighted = data.view().with_weights(weights)?;
            let logits = fitted(model, &weighted, &LogLoss, &plain.x)?;
            self.same(Law::Weights, &logits, &expected, found);
        }
        Ok(())
    }

    fn offsets<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        for offset in [0.0, 1.5, -2.0] {
            let data = plain.data()?.with_offsets(vec![offset; ROWS])?;
            found.on(format!("offsets of {offset}"));
            let logits = fitted(model, &data, &LogLoss, &plain.x)?;
            let logits: Vec<f64> = logits.iter().map(|z| z + offset).collect();
            self.same(Law::Offsets, &logits, &plain.logits, found);
        }
        Ok(())
    }

    /// Other units: the same logits where that is promised, and finite ones or a typed error elsewhere.
    fn units<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        for unit in [1e-300, 1e-150, 1e-59, 1e-3, 7.0, 1e59, 1e150, 1e300] {
            let x = plain.x.mapv(|value| value * unit);
            let scaled = fitted(model, &Dataset::new(&x, &plain.labels)?, &LogLoss, &x);
            let weights = plain.data()?.with_weights(vec![unit; ROWS])?;
            let weighted = fitted(model, &weights, &LogLoss, &plain.x);
            let loss = WeightedLogLoss::given(unit, unit)?;
            let costly = fitted(model, &plain.data()?, &loss, &plain.x);
            for (what, answer, promised) in [
                ("features", scaled, self.features_scale_free_to),
                ("weights", weighted, self.weights_scale_free_to),
                ("the loss", costly, self.weights_scale_free_to),
            ] {
                found.on(format!("{what} times {unit:e}"));
                self.finite(&answer, found);
                if !promised.is_some_and(|to| (1.0 / to..=to).contains(&unit)) {
                    continue;
                }
                match answer {
                    Ok(logits) => self.same(Law::Scale, &logits, &plain.logits, found),
                    Err(error) => {
                        found.holds(Law::Scale, None, false, || (error, "the same logits"));
                    }
                }
            }
        }
        Ok(())
    }

    fn balance<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        let weights: Vec<f64> = (0..ROWS).map(|row| 0.5 + (row % 4) as f64).collect();
        let data = plain.data()?.with_weights(&weights)?;
        let logits = fitted(model, &data, &LogLoss, &plain.x)?;
        let predicted = logits.iter().zip(&weights).map(|(&z, weight)| weight * sigmoid(z)).sum();
        let observed = data.totals().positive_weight;
        found.on("weighted rows");
        found.near(Law::Balanced, None, [predicted, observed], self.tolerance * observed);
        Ok(())
    }

    /// Rows and losses that nobody can learn from: finite logits or an error.
    fn hostile<M: Model>(&self, model: &M, plain: &Plain, found: &mut Findings) -> Result<()> {
        for label in [false, true] {
            let data = Dataset::new(&plain.x, vec![label; ROWS])?;
            found.on(format!("rows that are all {label}"));
            self.finite(&fitted(model, &data, &LogLoss, &plain.x), found);
        }
        for (gradient, hessian) in [(f64::NAN, 0.0), (0.0, f64::NAN)] {
            let loss = NotANumber { gradient, hessian };
            found.on(format!(
                "a loss with {gradient} added to gradients and {hessian} to curvatures"
            ));
            self.finite(&fitted(model, &plain.data()?, &loss, &plain.x), found);
        }
        Ok(())
    }

    fn finite(&self, answer: &Result<Vec<f64>>, found: &mut Findings) {
        for (row, z) in answer.iter().flatten().enumerate() {
            found.holds(Law::Finite, row, z.is_finite(), || (format!("{z:?}"), "a finite logit"));
        }
    }
}

/// Log loss whose derivatives are not numbers.
#[derive(Debug, Clone)]
struct NotANumber {
    gradient: f64,
    hessian: f64,
}

impl Loss for NotANumber {
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        let Derivatives { value, gradient, hessian } = LogLoss.at(logit, label);
        Derivatives { value, gradient: gradient + self.gradient, hessian: hessian + self.hessian }
    }
    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(self.clone())
    }
    fn posterior(&self) -> Posterior {
        Posterior::Identity
    }
}

fn logits(fitted: &impl Predict, x: FeaturesView<'_>) -> Result<Vec<f64>> {
    let mut out = vec![0.0; x.nrows()];
    fitted.logits_into(x, &mut out)?;
    Ok(out)
}

/// The logits of `x` after a fit.
fn fitted<'a, M: Model>(
    model: &M,
    data: &Dataset<'_>,
    loss: &dyn Loss,
    x: impl Into<FeaturesView<'a>>,
) -> Result<Vec<f64>> {
    logits(&model.fit(data, loss, &Run::seeded(1))?, x.into())
}

/// Three columns in 64ths between −1 and 1, of which the second has many zeros, and labels that follow a line and a product.
fn rows() -> (Array2<f64>, Vec<bool>) {
    let entry = |(i, j)| (64.0 * (2.0 * uniform(j as u64, i) - 1.0)).floor() / 64.0;
    let mut x = Array2::from_shape_fn((ROWS, 3), entry);
    x.column_mut(1).mapv_inplace(|value| if value < 0.25 { 0.0 } else { value });
    let truth = |i: usize| -2.0 + x[[i, 0]] + 0.8 * x[[i, 1]] - 1.5 * x[[i, 0]] * x[[i, 2]];
    let labels = (0..ROWS).map(|i| uniform(3, i) < sigmoid(truth(i))).collect();
    (x, labels)
}
