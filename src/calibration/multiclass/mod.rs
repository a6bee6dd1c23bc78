//! Calibration of K classes: temperature scaling, equation (18) as printed.
//!
//! The rest of the library is about two classes; [`TemperatureScaling::fit_classes`] is the one method here.

use std::fmt;
use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::{Parameter, TemperatureScaling};
use crate::core::{Distortion, Error, Meter, Result, Run, ensure_weights, same_length, stored};
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel::{self, BLOCK};
use crate::exec::simd::{Work, vectorised};
use crate::fit::newton::{At, newton};
use crate::numerics::vector::exp_of_negative;

const NAME: &str = "TemperatureScaling";

/// n × K logits with the class of each row, from 0 to K − 1, for [`TemperatureScaling::fit_classes`].
/// Rows are taken to be untouched, unless said otherwise.
///
/// ```
/// use imbalance::Error;
/// use imbalance::calibration::TemperatureScaling;
/// use imbalance::calibration::multiclass::ClassSet;
/// use imbalance::ndarray::array;
/// use imbalance::Distortion;
///
/// let logits = array![[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]];
/// let resampled = ClassSet::new(&logits, &[0, 1, 2, 1])?
///     .with_distortion(Distortion::PriorShift { log_odds: 1.0 });
/// let error = TemperatureScaling::new().fit_classes(&resampled).unwrap_err();
/// assert!(matches!(error, Error::DistortedCalibration { .. }));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClassSet<'a> {
    logits: ArrayView2<'a, f64>,
    classes: &'a [usize],
    weights: Option<&'a [f64]>,
    distortion: Distortion,
    run: Run,
}

impl<'a> ClassSet<'a> {
    /// Logits and classes.
    ///
    /// # Errors
    /// - [`Error::NoRows`], [`Error::LengthMismatch`].
    /// - [`Error::InvalidArgument`] for fewer than two classes, or a class that is not below K.
    /// - [`Error::NonFinite`] for a logit that is not finite.
    pub fn new(logits: impl Into<ArrayView2<'a, f64>>, classes: &'a [usize]) -> Result<Self> {
        let logits = logits.into();
        same_length("classes", classes.len(), "the logits", logits.nrows())?;
        if classes.is_empty() {
            return Err(Error::NoRows { what: "the calibration data" });
        }
        let width = logits.ncols();
        if width < 2 {
            let found = format!("{width} wide");
            return Err(Error::invalid("logits", found, "at least two classes wide"));
        }
        if let Some(row) = classes.iter().position(|&class| class >= width) {
            let found = format!("{} at row {row}", classes[row]);
            return Err(Error::invalid("classes", found, format!("below {width}, the width")));
        }
        if let Some(((row, column), &value)) = logits.indexed_iter().find(|(_, z)| !z.is_finite()) {
            let what = "the logits".into();
            return Err(Error::NonFinite { what, row, column: Some(column), value });
        }
        let (distortion, run) = (Distortion::None, Run::default());
        Ok(Self { logits, classes, weights: None, distortion, run })
    }

    /// These rows with sample weights.
    ///
    /// # Errors
    /// As for [`Dataset::with_weights`](crate::Dataset::with_weights).
    pub fn with_weights(self, weights: &'a [f64]) -> Result<Self> {
        ensure_weights(weights, "the scores", self.classes.len())?;
        Ok(Self { weights: Some(weights), ..self })
    }

    /// These rows, to which this was done since they left the population.
    #[must_use]
    pub fn with_distortion(self, distortion: Distortion) -> Self {
        Self { distortion, ..self }
    }

    /// These rows in a run, whose observer hears of the passes over them and may stop the fit with
    /// [`Error::Cancelled`]. Default: no observer.
    #[must_use]
    pub fn with_run(self, run: &Run) -> Self {
        Self { run: run.clone(), ..self }
    }

    fn meter(&self, task: &'static str) -> Meter<'_> {
        Meter::new(&self.run, task, "rows", self.classes.len())
    }

    fn width(&self) -> usize {
        self.logits.ncols()
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    fn weighted(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.classes.len()).filter(|&row| self.weight(row) > 0.0)
    }

    fn ensure_representative(&self) -> Result<()> {
        if self.distortion.is_none() {
            return Ok(());
        }
        let distortion = self.distortion.to_string();
        Err(Error::DistortedCalibration { calibrator: NAME, distortion })
    }

    fn ensure_every_class(&self) -> Result<()> {
        let missing =
            (0..self.width()).find(|&k| !self.weighted().any(|row| self.classes[row] == k));
        let Some(class) = missing else { return Ok(()) };
        let found = format!("on, but class {class} has no rows");
        let expected = "without the offsets, as one would fall without end: every class needs a row with \
                        weight";
        Err(Error::invalid("bias_corrected", found, expected))
    }

    /// Refuses rows in which the row's class always has the highest logit, or shares it, and some logit is
    /// lower: the likelihood rises without end as T → 0.
    fn ensure_miss(&self) -> Result<()> {
        let right = self.weighted().all(|row| self.margin(row) >= 0.0);
        if right && self.weighted().any(|row| self.spread(row) > 0.0) {
            return Err(Error::SeparatedScores { calibrator: NAME, kind: "" });
        }
        Ok(())
    }

    /// How far the row's class is above the best of the others.
    fn margin(&self, row: usize) -> f64 {
        let (logits, class) = (self.logits.row(row), self.classes[row]);
        let others = logits.iter().enumerate().filter(|&(k, _)| k != class);
        logits[class] - others.fold(f64::NEG_INFINITY, |most, (_, &z)| most.max(z))
    }

    fn spread(&self, row: usize) -> f64 {
        let logits = self.logits.row(row);
        logits.fold(f64::NEG_INFINITY, |most, &z| most.max(z))
            - logits.fold(f64::INFINITY, |least, &z| least.min(z))
    }

    /// The root mean square of the spread within rows, in which the logits are of moderate size.
    fn unit(&self) -> f64 {
        let weight: f64 = self.weighted().map(|row| self.weight(row)).sum();
        let square: f64 =
            self.weighted().map(|row| self.weight(row) * self.spread(row).powi(2)).sum();
        let unit = (square / weight).sqrt();
        if unit > 0.0 && unit.is_finite() { unit } else { 1.0 }
    }

    /// The negative log-likelihood of (unit/T, b₁, …).
    fn at(&self, theta: &[f64], unit: f64) -> Result<At> {
        let (n, rows, meter) = (theta.len(), self.classes.len(), self.meter("calibration"));
        let blocks = parallel::map(rows, parallel::sum_block(rows, n * n), |_, range| {
            let mut block =
                At { value: 0.0, gradient: vec![0.0; n], hessian: Array2::zeros((n, n)) };
            let mut p = vec![0.0; self.width()];
            if !meter.goes_on(range.len()) {
                return block;
            }
            for row in range.filter(|&row| self.weight(row) > 0.0) {
                let (logits, class) = (self.logits.row(row), self.classes[row]);
                add_row(&mut block, &mut p, &logits, class, self.weight(row), theta, unit);
            }
            block
        });
        meter.finish().map(|()| At::sum(n, blocks))
    }
}

impl TemperatureScaling {
    /// Fits softmax(z/T), or softmax(z/T + b), to K classes. The offset of class 0 is 0: only differences
    /// matter.
    ///
    /// ```
    /// use imbalance::calibration::TemperatureScaling;
    /// use imbalance::calibration::multiclass::ClassSet;
    /// use imbalance::ndarray::array;
    ///
    /// let logits = array![[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]];
    /// let set = ClassSet::new(&logits, &[0, 1, 2, 1])?;
    /// let map = TemperatureScaling::new().fit_classes(&set)?;
    /// let p = map.probabilities(&logits.view())?;
    /// // The class with the highest logit gets the three in four that are right.
    /// assert!((p[[0, 0]] - 0.75).abs() < 1e-9);
    /// println!("{}", map.report());
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::DistortedCalibration`] for rows that are not representative of the population.
    /// - [`Error::InvalidArgument`] for a class without rows that have weight, if bias corrected.
    /// - [`Error::SeparatedScores`] if every row's class has the highest logit (without offsets), and
    ///   [`Error::Numerical`] if there is no finite maximum otherwise.
    pub fn fit_classes(&self, set: &ClassSet<'_>) -> Result<ClassTemperature> {
        set.ensure_representative()?;
        let offsets = if self.bias_corrected {
            set.ensure_every_class()?;
            set.width() - 1
        } else {
            set.ensure_miss()?;
            0
        };
        let unit = set.unit();
        let mut lower = vec![f64::NEG_INFINITY; 1 + offsets];
        lower[0] = 0.0;
        let found = newton(vec![0.0; 1 + offsets], &lower, |theta| set.at(theta, unit))?;

        let mut biases = vec![0.0; set.width()];
        biases[set.width() - offsets..].copy_from_slice(&found.theta[1..]);
        let map = ScaledSoftmax { inverse: found.theta[0] / unit, offsets: biases };
        let error = |i: usize| Some(found.covariance[(i, i)].sqrt()).filter(|e| e.is_finite());
        let slope_error = error(0).filter(|_| !found.at_bound[0]).map(|e| e / unit);
        let mut parameters = vec![Parameter::new("1/T", map.inverse, slope_error)];
        for i in 1..=offsets {
            parameters.push(Parameter::new(format!("b{i}"), found.theta[i], error(i)));
        }
        let identity = ScaledSoftmax { inverse: 1.0, offsets: vec![0.0; set.width()] };
        let report = ClassReport {
            parameters,
            bounds: if found.at_bound[0] { vec!["1/T = 0".into()] } else { Vec::new() },
            iterations: found.iterations,
            rows: set.weighted().count(),
            observed: observed(set),
            before: identity.fitness(set)?,
            after: map.fitness(set)?,
        };
        Ok(ClassTemperature { map, report })
    }
}

/// What [`TemperatureScaling::fit_classes`] learned, and what it did to the rows it learned from.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct ClassReport {
    /// 1/T, and the offsets b₁, … of the classes after the first if bias corrected.
    pub parameters: Vec<Parameter>,
    /// `1/T = 0` if the optimum lies there.
    pub bounds: Vec<String>,
    /// Newton steps.
    pub iterations: usize,
    /// Rows that have weight.
    pub rows: usize,
    /// The weighted share of each class.
    pub observed: Vec<f64>,
    /// The scores as they came: softmax(z).
    pub before: ClassFitness,
    /// The probabilities made of them. Without offsets their means need not be the shares observed.
    pub after: ClassFitness,
}

/// How well the probabilities of K classes fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct ClassFitness {
    /// The mean probability of each class.
    pub predicted: Vec<f64>,
    /// Mean −ln of the probability given to the row's class, in nats.
    pub log_loss: f64,
}

impl fmt::Display for ClassReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = self.observed.len();
        write!(
            f,
            "{NAME} of {classes} classes on {} rows, {} iterations",
            self.rows, self.iterations
        )?;
        super::report::write_solution(f, &self.parameters, &self.bounds)?;
        write!(f, "\n  class: observed, predicted before and after")?;
        for (class, observed) in self.observed.iter().enumerate() {
            let (before, after) = (self.before.predicted[class], self.after.predicted[class]);
            write!(f, "\n  {class}: {observed:.4} {before:.4} {after:.4}")?;
        }
        let (before, after) = (self.before.log_loss, self.after.log_loss);
        write!(f, "\n  log loss {before:.6} before, {after:.6} after")
    }
}

/// A fitted [`TemperatureScaling`] of K classes, made by [`TemperatureScaling::fit_classes`]. With the feature `serde` it is
/// [saved](crate::saved) like any other.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassTemperature {
    map: ScaledSoftmax,
    report: ClassReport,
}

impl ClassTemperature {
    /// T; ∞ if the optimum lies at that bound.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        1.0 / self.map.inverse
    }

    /// The offset of each class; all 0 without bias correction.
    #[must_use]
    pub fn offsets(&self) -> &[f64] {
        &self.map.offsets
    }

    /// The report of the fit.
    #[must_use]
    pub fn report(&self) -> &ClassReport {
        &self.report
    }

    /// The n × K probabilities of n × K logits, in one pass on all cores; each row adds up to 1.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`], or [`Error::NonFinite`] for a logit that is not finite.
    pub fn probabilities(&self, logits: &ArrayView2<'_, f64>) -> Result<Array2<f64>> {
        let (found, width) = (logits.ncols(), self.map.offsets.len());
        if found != width {
            return Err(Error::ColumnMismatch { found, expected: width });
        }
        let mut out = vec![0.0; logits.len()];
        let bad = parallel::map_into(&mut out, width, BLOCK.div_ceil(width), |_, rows, out| {
            vectorised(Softmaxes { map: &self.map, logits, rows, out })
        });
        if let Some(row) = bad.into_iter().flatten().next() {
            let logits = logits.row(row);
            let column = logits.iter().position(|z| !z.is_finite());
            let value = column.map_or(f64::NAN, |column| logits[column]);
            return Err(Error::NonFinite { what: "the logits".into(), row, column, value });
        }
        let shape = logits.dim();
        Array2::from_shape_vec(shape, out)
            .map_err(|error| Error::Contract { stage: NAME.into(), problem: error.to_string() })
    }
}

stored!(ClassTemperature as "class_temperature", |fitted| {
    inverse_temperature: f64 = fitted.map.inverse,
    offsets: Vec<f64> = fitted.map.offsets,
    report: ClassReport = fitted.report,
} => {
    let lists = [&report.observed, &report.before.predicted, &report.after.predicted];
    if !(inverse_temperature >= 0.0 && inverse_temperature.is_finite()) {
        Err(Error::invalid("inverse_temperature", inverse_temperature, "finite and at least 0"))
    } else if offsets.len() < 2 || offsets.iter().any(|offset| !offset.is_finite()) {
        Err(Error::invalid("offsets", format!("{offsets:?}"), "a finite one for each of two or more classes"))
    } else if lists.iter().any(|list| list.len() != offsets.len()) {
        Err(Error::invalid("report", "of another number of classes", "of the classes that have offsets"))
    } else {
        let map = ScaledSoftmax { inverse: inverse_temperature, offsets };
        Ok(Self { map, report })
    }
});

/// Rows to be mapped.
struct Softmaxes<'a> {
    map: &'a ScaledSoftmax,
    logits: &'a ArrayView2<'a, f64>,
    rows: Range<usize>,
    out: &'a mut [f64],
}

impl Work for Softmaxes<'_> {
    /// The first row whose logits are not all finite.
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let mut bad = None;
        for (row, p) in self.rows.zip(self.out.chunks_exact_mut(self.logits.ncols())) {
            let logits = self.logits.row(row);
            self.map.scale(&logits, p);
            softmax(p);
            // An infinite logit makes a NaN, unless T is infinite too.
            if p.iter().any(|p| p.is_nan()) || logits.iter().any(|z| !z.is_finite()) {
                bad = bad.or(Some(row));
            }
        }
        bad
    }
}

/// softmax(z/T + b).
#[derive(Debug, Clone, PartialEq)]
struct ScaledSoftmax {
    inverse: f64,
    offsets: Vec<f64>,
}

impl ScaledSoftmax {
    /// z/T + b.
    fn scale(&self, logits: &ArrayView1<'_, f64>, out: &mut [f64]) {
        for ((out, &z), offset) in out.iter_mut().zip(logits).zip(&self.offsets) {
            *out = self.inverse * z + offset;
        }
    }

    /// Measures the map on rows.
    fn fitness(&self, set: &ClassSet<'_>) -> Result<ClassFitness> {
        let (width, meter) = (set.width(), &set.meter("calibration report"));
        let rows = set.classes.len();
        let empty = || ClassTally {
            map: self,
            set,
            meter,
            predicted: vec![0.0; width],
            loss: 0.0,
            weight: 0.0,
        };
        let ClassTally { mut predicted, loss, weight, .. } =
            accumulate(rows, parallel::sum_block(rows, width), empty, |rows| rows)
                .unwrap_or_else(empty);
        meter.finish()?;
        predicted.iter_mut().for_each(|sum| *sum /= weight);
        Ok(ClassFitness { predicted, log_loss: loss / weight })
    }
}

/// Weighted sums over rows: the probability of each class, the loss, and the weight itself.
struct ClassTally<'a, 'd> {
    map: &'a ScaledSoftmax,
    set: &'a ClassSet<'d>,
    meter: &'a Meter<'a>,
    predicted: Vec<f64>,
    loss: f64,
    weight: f64,
}

impl Accumulate for ClassTally<'_, '_> {
    type Block<'b> = Range<usize>;

    fn add(&mut self, rows: Range<usize>) {
        if !self.meter.goes_on(rows.len()) {
            return;
        }
        let mut p = vec![0.0; self.predicted.len()];
        for row in rows.filter(|&row| self.set.weight(row) > 0.0) {
            let weight = self.set.weight(row);
            self.map.scale(&self.set.logits.row(row), &mut p);
            let own = p[self.set.classes[row]];
            self.loss += weight * (softmax(&mut p) - own);
            self.weight += weight;
            self.predicted.iter_mut().zip(&p).for_each(|(sum, p)| *sum += weight * p);
        }
    }

    fn merge(&mut self, next: Self) {
        self.predicted.iter_mut().zip(next.predicted).for_each(|(sum, term)| *sum += term);
        self.loss += next.loss;
        self.weight += next.weight;
    }
}

/// The weighted share of each class.
fn observed(set: &ClassSet<'_>) -> Vec<f64> {
    let mut shares = vec![0.0; set.width()];
    set.weighted().for_each(|row| shares[set.classes[row]] += set.weight(row));
    let weight: f64 = shares.iter().sum();
    shares.iter().map(|share| share / weight).collect()
}

/// Replaces log-odds by probabilities. Returns the logarithm of the sum of their exponentials.
#[inline(always)]
fn softmax(row: &mut [f64]) -> f64 {
    let most = row.iter().fold(f64::NEG_INFINITY, |most, &eta| most.max(eta));
    row.iter_mut().for_each(|eta| *eta = exp_of_negative(*eta - most));
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|e| *e /= sum);
    most + sum.ln()
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
    for (k, eta) in p.iter_mut().enumerate() {
        *eta = slope * x(k) + offset(k) - own;
    }
    block.value += weight * softmax(p);

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
