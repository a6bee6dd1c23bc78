//! Temperature scaling.

use faer::Mat;
use ndarray::{Array2, ArrayView1, ArrayView2};

use super::beta::separated_at_half;
use super::columns::Columns;
use super::newton::{At, minimise, total};
use super::report::{Parameter, Solution};
use super::rising::{RisingLine, need_finite, times};
use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::data::check_weights;
use crate::error::same_length;
use crate::loss::numerics::sigmoid;
use crate::{Error, Result, parallel};

/// Temperature scaling: p = σ(z/T), or softmax(z/T) over classes, with T > 0 minimising the negative
/// log-likelihood (equation 18).
///
/// Solved in s = 1/T ≥ 0, in which the problem is convex: Newton's method, to the optimum. T = ∞ (the
/// bound s = 0, all classes alike) is reported as a bound: scores rank the wrong way round then.
/// Where every row's label has the highest logit, the likelihood rises without end as T → 0, and the
/// fit is refused ([`Error::Separation`]).
///
/// **T alone moves the mean of rare events**, as it pulls every probability towards ½ or away from it: Σp is
/// not Σy, and the report's predicted / observed says how far off it is.
/// [`bias_corrected`](Self::bias_corrected) adds an offset per class, softmax(z/T + b), and restores the
/// share of every class. With two classes that is Platt's line with plain targets.
///
/// It learns, from a fair sample ([`Scored::need_fair_rows`]). Logits of ±∞ are refused in learning.
///
/// Sources: Guo et al. 2017; bias correction: Alexandari, Kundaje & Shrikumar 2020.
///
/// ```
/// use imbalance::calibration::{Calibrate, Calibrator, Scored, TemperatureScaling};
///
/// // Three in four are right where nine in ten are promised: σ(ln 9/T) = 3/4 at T = 2.
/// let logits = [9_f64.ln(); 4];
/// let scored = Scored::from_logits(&logits, &[true, true, true, false])?;
/// let map = TemperatureScaling::new().fit(&scored)?;
/// assert!((map.temperature() - 2.0).abs() < 1e-9);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TemperatureScaling {
    bias_corrected: bool,
}

impl TemperatureScaling {
    /// A temperature alone.
    #[must_use]
    pub fn new() -> Self {
        Self { bias_corrected: false }
    }

    /// A temperature and an offset per class.
    #[must_use]
    pub fn bias_corrected(self) -> Self {
        Self { bias_corrected: true }
    }

    /// Fits softmax(z/T), or softmax(z/T + b), to n × K logits; `classes` holds the class of each row,
    /// from 0 to K − 1. The offset of class 0 is 0: only differences matter.
    ///
    /// ```
    /// use imbalance::calibration::TemperatureScaling;
    /// use imbalance::ndarray::array;
    ///
    /// let logits = array![[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]];
    /// let map = TemperatureScaling::new().fit_classes(&logits.view(), &[0, 1, 2, 1], None)?;
    /// let p = map.probabilities(&logits.view())?;
    /// // The class with the highest logit gets the three in four that are right.
    /// assert!((p[[0, 0]] - 0.75).abs() < 1e-9);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::NoRows`], [`Error::LengthMismatch`], and the errors of
    ///   [`Scored::with_weights`] for weights.
    /// - [`Error::InvalidArgument`] for fewer than two classes, a class that is not below K, or, bias
    ///   corrected, a class of which no row has weight.
    /// - [`Error::NonFinite`] for a logit that is not finite.
    /// - [`Error::Separation`] if every row's class has the highest logit (without offsets), and
    ///   [`Error::Numerical`] if there is no finite maximum otherwise.
    pub fn fit_classes(
        &self,
        logits: &ArrayView2<'_, f64>,
        classes: &[usize],
        weights: Option<&[f64]>,
    ) -> Result<FittedClassTemperature> {
        let rows = ClassRows::new(logits, classes, weights)?;
        rows.check(self.bias_corrected)?;
        let width = logits.ncols();
        let offsets = if self.bias_corrected { width - 1 } else { 0 };
        let unit = rows.unit();
        let mut lower = vec![f64::NEG_INFINITY; 1 + offsets];
        lower[0] = 0.0;
        let found = minimise(vec![0.0; 1 + offsets], &lower, |theta| rows.at(theta, unit))?;

        let mut biases = vec![0.0; width];
        biases[width - offsets..].copy_from_slice(&found.theta[1..]);
        let inverse_temperature = found.theta[0] / unit;
        let error = |i: usize| Some(found.covariance[(i, i)].sqrt()).filter(|e| e.is_finite());
        let slope_error = if found.held[0] { None } else { error(0).map(|e| e / unit) };
        let mut parameters = vec![Parameter::new("1/T", inverse_temperature, slope_error)];
        for i in 1..=offsets {
            parameters.push(Parameter::new(format!("b{i}"), found.theta[i], error(i)));
        }
        Ok(FittedClassTemperature {
            inverse_temperature,
            offsets: biases,
            parameters,
            iterations: found.iterations,
        })
    }
}

impl Calibrator for TemperatureScaling {
    type Fitted = FittedTemperatureScaling;

    fn learns(&self) -> bool {
        true
    }

    /// # Errors
    /// - As for [`Scored::need_fair_rows`].
    /// - [`Error::NonFinite`] for an infinite logit in a row with weight.
    /// - [`Error::Separation`] if the likelihood rises without end as T → 0.
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        held_out.need_fair_rows("TemperatureScaling")?;
        need_finite(held_out)?;
        let (map, solution) = if self.bias_corrected {
            let line = RisingLine::fit(held_out.logits(), held_out, [0.0, 1.0])?;
            (Heat { inverse: line.slope, offset: line.intercept }, line.solution("1/T", "b"))
        } else {
            if separated_at_half(held_out) {
                return Err(Error::Separation { kind: "completely" });
            }
            let fit = Columns::fit(held_out, false, |z| [z])?;
            let bounds = if fit.held(0) { vec!["1/T = 0".into()] } else { Vec::new() };
            let parameters = vec![fit.parameter(0, "1/T")];
            let map = Heat { inverse: fit.coefficients[0], offset: 0.0 };
            (map, Solution { parameters, bounds, iterations: fit.iterations })
        };
        let report =
            CalibrationReport::new("TemperatureScaling", held_out, solution, |z| map.at(z));
        Ok(FittedTemperatureScaling { map, report })
    }
}

/// A fitted [`TemperatureScaling`] of two classes.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedTemperatureScaling {
    map: Heat,
    report: CalibrationReport,
}

impl FittedTemperatureScaling {
    /// T; ∞ if the optimum lies at that bound.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        1.0 / self.map.inverse
    }

    /// The offset of the positive class; 0 without bias correction.
    #[must_use]
    pub fn offset(&self) -> f64 {
        self.map.offset
    }
}

impl Calibrate for FittedTemperatureScaling {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        self.map.at(logit)
    }

    #[inline]
    fn calibrated_logit(&self, score: f64) -> f64 {
        self.map.logit(score)
    }

    fn report(&self) -> Option<&CalibrationReport> {
        Some(&self.report)
    }

    fn describe(&self) -> String {
        format!("temperature scaling: σ(z/{:.4} {:+.4})", self.temperature(), self.map.offset)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Heat {
    inverse: f64,
    offset: f64,
}

impl Heat {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        times(self.inverse, z) + self.offset
    }

    #[inline]
    fn at(&self, z: f64) -> f64 {
        sigmoid(self.logit(z))
    }
}

/// A fitted [`TemperatureScaling`] of K classes; see [`TemperatureScaling::fit_classes`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedClassTemperature {
    inverse_temperature: f64,
    offsets: Vec<f64>,
    parameters: Vec<Parameter>,
    iterations: usize,
}

impl FittedClassTemperature {
    /// T; ∞ if the optimum lies at that bound.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        1.0 / self.inverse_temperature
    }

    /// The offset of each class; all 0 without bias correction.
    #[must_use]
    pub fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// The parameters 1/T and offsets with their standard errors.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Newton steps taken.
    #[must_use]
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// The n × K probabilities of n × K logits; each row adds up to 1.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`], or [`Error::NonFinite`] for a logit that is not finite.
    pub fn probabilities(&self, logits: &ArrayView2<'_, f64>) -> Result<Array2<f64>> {
        let (found, expected) = (logits.ncols(), self.offsets.len());
        if found != expected {
            return Err(Error::ColumnMismatch { found, expected });
        }
        check_logits(logits)?;
        let mut out = logits.to_owned();
        for mut row in out.rows_mut() {
            let heated = row.iter_mut().zip(&self.offsets);
            heated.for_each(|(z, offset)| *z = self.inverse_temperature * *z + offset);
            let most = row.fold(f64::NEG_INFINITY, |most, &z| most.max(z));
            row.mapv_inplace(|z| (z - most).exp());
            let sum = row.sum();
            row.mapv_inplace(|e| e / sum);
        }
        Ok(out)
    }
}

fn check_logits(logits: &ArrayView2<'_, f64>) -> Result<()> {
    match logits.indexed_iter().find(|(_, logit)| !logit.is_finite()) {
        None => Ok(()),
        Some(((row, column), &value)) => {
            Err(Error::NonFinite { what: "the logits".into(), row, column: Some(column), value })
        }
    }
}

/// Rows of logits with their classes.
struct ClassRows<'a> {
    logits: &'a ArrayView2<'a, f64>,
    classes: &'a [usize],
    weights: Option<&'a [f64]>,
}

impl<'a> ClassRows<'a> {
    fn new(
        logits: &'a ArrayView2<'a, f64>,
        classes: &'a [usize],
        weights: Option<&'a [f64]>,
    ) -> Result<Self> {
        same_length("classes", classes.len(), "the logits", logits.nrows())?;
        if classes.is_empty() {
            return Err(Error::NoRows { what: "the calibration data" });
        }
        let width = logits.ncols();
        if width < 2 {
            return Err(Error::invalid(
                "logits",
                format!("{width} wide"),
                "at least two classes wide",
            ));
        }
        if let Some(row) = classes.iter().position(|&class| class >= width) {
            let found = format!("{} at row {row}", classes[row]);
            return Err(Error::invalid("classes", found, format!("below {width}, the width")));
        }
        if let Some(weights) = weights {
            check_weights(weights, classes.len())?;
        }
        check_logits(logits)?;
        Ok(Self { logits, classes, weights })
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// How far the row's class is above the best of the others.
    fn margin(&self, row: usize) -> f64 {
        let (logits, class) = (self.logits.row(row), self.classes[row]);
        let others = logits.iter().enumerate().filter(|&(k, _)| k != class);
        logits[class] - others.fold(f64::NEG_INFINITY, |most, (_, &z)| most.max(z))
    }

    fn check(&self, offsets: bool) -> Result<()> {
        let weighted = || (0..self.classes.len()).filter(|&row| self.weight(row) > 0.0);
        if offsets {
            let missing =
                (0..self.logits.ncols()).find(|&k| !weighted().any(|row| self.classes[row] == k));
            if let Some(class) = missing {
                let expected = "without the offsets, as one would fall without end: every class needs a \
                                row with weight";
                return Err(Error::invalid(
                    "bias_corrected",
                    format!("on, but class {class} has no rows"),
                    expected,
                ));
            }
        } else if weighted().all(|row| self.margin(row) >= 0.0)
            && weighted().any(|row| self.spread(row) > 0.0)
        {
            return Err(Error::Separation { kind: "completely" });
        }
        Ok(())
    }

    fn spread(&self, row: usize) -> f64 {
        let logits = self.logits.row(row);
        logits.fold(f64::NEG_INFINITY, |most, &z| most.max(z))
            - logits.fold(f64::INFINITY, |least, &z| least.min(z))
    }

    /// The root mean square of the spread within rows, in which the logits are of moderate size.
    fn unit(&self) -> f64 {
        let rows = 0..self.classes.len();
        let weight: f64 = rows.clone().map(|row| self.weight(row)).sum();
        let square: f64 = rows.map(|row| self.weight(row) * self.spread(row).powi(2)).sum();
        let unit = (square / weight).sqrt();
        if unit > 0.0 && unit.is_finite() { unit } else { 1.0 }
    }

    /// The negative log-likelihood of (unit/T, b₁, …).
    fn at(&self, theta: &[f64], unit: f64) -> At {
        let n = theta.len();
        let rows = self.classes.len();
        let blocks = parallel::map(rows, parallel::sum_block(rows, n * n), |_, range| {
            let mut block = At { value: 0.0, gradient: vec![0.0; n], hessian: Mat::zeros(n, n) };
            let mut p = vec![0.0; self.logits.ncols()];
            for row in range {
                let weight = self.weight(row);
                if weight > 0.0 {
                    add_row(
                        &mut block,
                        &mut p,
                        &self.logits.row(row),
                        self.classes[row],
                        weight,
                        theta,
                        unit,
                    );
                }
            }
            block
        });
        total(n, blocks)
    }
}

/// Adds −w ln pₖ and its derivatives. The log-odds of class k are s zₖ + bₖ, so with x the logit the
/// derivatives by s are moments of x under p, and those by bₖ are p itself.
fn add_row(
    block: &mut At,
    p: &mut [f64],
    logits: &ArrayView1<'_, f64>,
    class: usize,
    weight: f64,
    theta: &[f64],
    unit: f64,
) {
    let (slope, offsets) = (theta[0], &theta[1..]);
    // Differences to the row's own class: nothing large cancels, and the softmax only knows these.
    let x = |k: usize| (logits[k] - logits[class]) / unit;
    let offset = |k: usize| if k == 0 || offsets.is_empty() { 0.0 } else { offsets[k - 1] };
    let own = offset(class);
    let mut most = 0.0_f64;
    for (k, eta) in p.iter_mut().enumerate() {
        *eta = slope * x(k) + offset(k) - own;
        most = most.max(*eta);
    }
    let mut sum = 0.0;
    for eta in p.iter_mut() {
        *eta = (*eta - most).exp();
        sum += *eta;
    }
    p.iter_mut().for_each(|e| *e /= sum);
    block.value += weight * (most + sum.ln());

    let mean: f64 = p.iter().enumerate().map(|(k, p)| p * x(k)).sum();
    block.gradient[0] += weight * mean;
    let variance: f64 = p.iter().enumerate().map(|(k, p)| p * (x(k) - mean).powi(2)).sum();
    block.hessian[(0, 0)] += weight * variance;
    for i in 1..theta.len() {
        let target = if i == class { 1.0 } else { 0.0 };
        block.gradient[i] += weight * (p[i] - target);
        block.hessian[(i, 0)] += weight * p[i] * (x(i) - mean);
        for j in 1..=i {
            let diagonal = if i == j { p[i] } else { 0.0 };
            block.hessian[(i, j)] += weight * (diagonal - p[i] * p[j]);
        }
    }
}
