//! The penalised sum of losses that a logistic regression minimises, in one pass over the rows.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par};
use ndarray::{ArrayView2, Axis};

use super::compact::Compact;
use crate::core::{Dataset, Error, FeaturesView, Matrix, Result, Scalar, sparse_row, visit};
use crate::exec::parallel;
use crate::exec::simd::{Work, vectorised};
use crate::loss::{Block, Loss};
use crate::model::linear::{TILE, add_products, add_rows};

/// Σ wᵢ ℓ(xᵢβ + b + oᵢ, yᵢ) + (λ/2)‖β‖², as a function of θ = (β, b).
///
/// θ has one entry per column and, with an intercept, a last one for b, which is not penalised.
/// Value, gradient and curvature come from one pass over the rows: a tile of rows is read for its
/// logits, goes through the loss, and is read again, from cache, for its part of the gradient.
///
/// ```
/// use imbalance::{Dataset, ndarray::array};
/// use imbalance::loss::LogLoss;
/// use imbalance::model::logistic::Objective;
///
/// let x = array![[1.0], [-1.0]];
/// let data = Dataset::new(&x, vec![true, false])?;
/// let (value, gradient) = Objective::new(&data, &LogLoss, 0.0, true)?.value_and_gradient(&[0.0, 0.0])?;
/// assert_eq!(value, 2.0 * 2_f64.ln());
/// assert_eq!(gradient, [-1.0, 0.0]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug)]
pub struct Objective<'a> {
    data: &'a Dataset<'a>,
    loss: Arc<dyn Loss>,
    l2: f64,
    intercept: bool,
    /// Sparse rows with their columns numbered anew. θ then has an entry for each column that occurs.
    compact: Option<Compact>,
}

/// The objective at a point.
#[derive(Debug)]
pub(in crate::model) struct At {
    pub(in crate::model) value: f64,
    pub(in crate::model) gradient: Vec<f64>,
    pub(in crate::model) curvature: Curvature,
    /// The smallest xᵢβ + b in the direction of its label, over rows that weigh something: above zero
    /// if θ separates the classes.
    pub(in crate::model) margin: f64,
}

/// The loss at a row: its logit, offset included, and the weighted derivatives there.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::model) struct RowAt {
    pub(in crate::model) logit: f64,
    /// wᵢ ∂ℓ/∂zᵢ.
    pub(in crate::model) gradient: f64,
    /// wᵢ ∂²ℓ/∂zᵢ².
    pub(in crate::model) hessian: f64,
}

/// The Hessian at a point, Xᵀ diag(h) X + λ.
#[derive(Debug)]
pub(in crate::model) enum Curvature {
    /// Its lower triangle.
    Formed(Mat<f64>),
    /// The rows alone, with their hᵢ = wᵢ ∂²ℓ/∂zᵢ².
    Rows(Vec<RowAt>),
    /// Not worked out.
    Unknown,
}

/// Columns up to which the Hessian is formed: its n·d² / 2 multiplications then cost about what the
/// passes over memory cost that conjugate gradients would need instead.
pub(in crate::model) const FORM_UP_TO: usize = 256;

/// Most columns whose Hessian preconditions that of many: those of small fields, whose levels sum to the
/// intercept, are among the most frequent ones, and they are what makes it ill-conditioned.
const LEADING: usize = 512;

/// Most parameters for which statistics form their k × k matrices: 128 MiB each.
const PRODUCTS_UP_TO: usize = 4096;

impl<'a> Objective<'a> {
    /// The objective over all rows of `data`, with their weights and offsets, under a loss that is
    /// [resolved](Loss::resolve) for them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `l2` is finite and not negative; what the loss needs of the rows.
    pub fn new(data: &'a Dataset<'a>, loss: &dyn Loss, l2: f64, intercept: bool) -> Result<Self> {
        super::check_penalty("l2", l2)?;
        let loss = loss.resolve(&data.totals())?;
        Ok(Self { data, loss, l2, intercept, compact: None })
    }

    /// The same with the columns of sparse rows numbered anew, where the Hessian is not formed.
    pub(in crate::model) fn compacted(self) -> Self {
        let compact = visit!(self.data.features(), |x| match x {
            Matrix::Sparse(x) if !self.forms_hessian() => Compact::of(&x),
            _ => None,
        });
        Self { compact, ..self }
    }

    /// θ in this numbering, from coefficients of all columns.
    pub(in crate::model) fn narrow(&self, coefficients: &[f64], intercept: f64) -> Vec<f64> {
        let mut theta = match &self.compact {
            Some(compact) => compact.narrow(coefficients),
            None => coefficients.to_vec(),
        };
        theta.extend(self.intercept.then_some(intercept));
        theta
    }

    /// The coefficients of all columns and the intercept, if there is one, from θ in this numbering.
    pub(in crate::model) fn widen(&self, mut theta: Vec<f64>) -> Vec<f64> {
        let Some(compact) = &self.compact else { return theta };
        let intercept = theta.split_off(compact.len());
        let mut wide = compact.widen(&theta, self.data.columns());
        wide.extend(intercept);
        wide
    }

    /// Whether a column has no entry in any row.
    pub(in crate::model) fn has_empty_columns(&self) -> bool {
        self.columns() < self.data.columns()
    }

    /// Length of θ.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.columns() + usize::from(self.intercept)
    }

    /// The objective and its gradient at θ.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] unless θ has [`parameters`](Self::parameters) entries.
    pub fn value_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>)> {
        crate::core::same_length("theta", theta.len(), "the objective", self.parameters())?;
        let at = self.slope_at(theta);
        Ok((at.value, at.gradient))
    }

    /// Whether the Hessian is formed rather than multiplied with vectors.
    pub(in crate::model) fn forms_hessian(&self) -> bool {
        self.data.columns() <= FORM_UP_TO
    }

    /// Refuses more parameters than [`sum_of_outer_products`](Self::sum_of_outer_products) has room for.
    pub(in crate::model) fn check_products(&self, stage: &'static str) -> Result<()> {
        if self.parameters() <= PRODUCTS_UP_TO {
            return Ok(());
        }
        Err(Error::Unsupported {
            stage,
            what: format!("{} coefficients", self.parameters()),
            remedy: "it forms a matrix of their squared number, for up to 4096; select columns",
        })
    }

    /// Value, gradient and curvature.
    pub(in crate::model) fn at(&self, theta: &[f64]) -> At {
        if self.forms_hessian() {
            self.evaluate(theta, true)
        } else {
            self.at_rows(theta, self.rows_at(theta))
        }
    }

    /// The same `length` times a step further, to `theta`, from the logits at hand where there are some:
    /// `moves` is what the step adds to them.
    pub(in crate::model) fn further(
        &self,
        at: &At,
        theta: &[f64],
        moves: &[f64],
        length: f64,
    ) -> At {
        let Curvature::Rows(from) = &at.curvature else { return self.at(theta) };
        let rows = self.rows_with(|tile, logits| {
            move_logits(&from[tile.clone()], &moves[tile], length, logits);
        });
        self.at_rows(theta, rows)
    }

    /// Slope and curvature, in the length, of the objective at θ + `length` · `step`. `moves` is what the
    /// step adds to the logits.
    pub(in crate::model) fn slope_along(
        &self,
        at: &At,
        theta: &[f64],
        step: &[f64],
        moves: &[f64],
        length: f64,
    ) -> (f64, f64) {
        let Curvature::Rows(from) = &at.curvature else { return (0.0, 0.0) };
        let n = from.len();
        let parts = parallel::map(n, parallel::sum_block(n, 1), |_, rows| {
            let [mut logits, mut gradients, mut hessians] = [[0.0; TILE]; 3];
            let (mut slope, mut curvature) = (0.0, 0.0);
            for_tiles(rows, |tile| {
                let n = tile.len();
                let moves = &moves[tile.clone()];
                move_logits(&from[tile.clone()], moves, length, &mut logits[..n]);
                self.losses(tile, &logits[..n], &mut gradients[..n], &mut hessians[..n]);
                for (i, by) in moves.iter().enumerate() {
                    slope += gradients[i] * by;
                    curvature += hessians[i] * by * by;
                }
            });
            (slope, curvature)
        });
        let columns = self.columns();
        let products = |a: &[f64]| -> f64 { a.iter().zip(step).map(|(a, s)| a * s).sum() };
        let square = self.l2 * products(&step[..columns]);
        let start = (self.l2 * products(&theta[..columns]) + length * square, square);
        parts
            .into_iter()
            .fold(start, |(slope, curvature), part| (slope + part.0, curvature + part.1))
    }

    /// Value and gradient alone.
    pub(in crate::model) fn slope_at(&self, theta: &[f64]) -> At {
        self.evaluate(theta, false)
    }

    /// From the loss, summed and at every row.
    fn at_rows(&self, theta: &[f64], (value, rows): (f64, Vec<RowAt>)) -> At {
        let labels = self.data.labels();
        let offset = |row: usize| self.data.offsets().map_or(0.0, |offsets| offsets[row]);
        let margins = parallel::map(rows.len(), parallel::BLOCK, |_, block| {
            let counted = block.filter(|&row| self.counts(row));
            let margins = counted.map(|row| signed(rows[row].logit - offset(row), labels[row]));
            margins.fold(f64::INFINITY, f64::min)
        });
        let gradient = self.sum_of_rows(|row| rows[row].gradient);
        self.penalised(
            theta,
            At {
                value,
                gradient,
                curvature: Curvature::Rows(rows),
                margin: margins.into_iter().fold(f64::INFINITY, f64::min),
            },
        )
    }

    /// Adds the penalty to value and gradient.
    fn penalised(&self, theta: &[f64], mut at: At) -> At {
        let (beta, _) = self.parts(theta);
        at.value += 0.5 * self.l2 * beta.iter().map(|c| c * c).sum::<f64>();
        for (slope, coefficient) in at.gradient.iter_mut().zip(beta) {
            *slope += self.l2 * coefficient;
        }
        at
    }

    /// In one pass over the rows; the Hessian is formed if `form` says so.
    fn evaluate(&self, theta: &[f64], form: bool) -> At {
        let p = self.parameters();
        let (beta, b) = self.parts(theta);
        let rows = self.data.rows();
        let block = parallel::sum_block(rows, p + if form { p * p } else { 0 });
        let parts = parallel::map(rows, block, |_, rows| {
            let mut sums = Sums::new(p, form);
            let mut buffers = Buffers::new();
            for_tiles(rows, |tile| self.add_tile(beta, b, tile, &mut buffers, &mut sums));
            sums
        });

        let margin = parts.iter().fold(f64::INFINITY, |least, part| least.min(part.margin));
        let value = parts.iter().map(|part| part.value).sum();
        let mut hessian: Option<Mat<f64>> = None;
        let mut gradients = Vec::with_capacity(parts.len());
        for part in parts {
            gradients.push(part.gradient);
            hessian = match (hessian, part.hessian) {
                (Some(sum), Some(part)) => Some(sum + part),
                (sum, part) => sum.or(part),
            };
        }
        let curvature = match hessian {
            None => Curvature::Unknown,
            Some(mut hessian) => {
                (0..beta.len()).for_each(|j| hessian[(j, j)] += self.l2);
                Curvature::Formed(hessian)
            }
        };
        let gradient = parallel::merge(gradients);
        self.penalised(theta, At { value, gradient, curvature, margin })
    }

    /// `out[i] += xᵢ · beta`.
    fn add_products(&self, rows: Range<usize>, beta: &[f64], out: &mut [f64]) {
        match &self.compact {
            Some(compact) => compact.add_products(self.data.features(), rows, beta, out),
            None => add_products(self.data.features().slice(rows), beta, out),
        }
    }

    /// `sums += Σᵢ factors[i] · map(xᵢ)`, with `map` applied to each entry; `map(0)` must be 0.
    fn add_rows(
        &self,
        rows: Range<usize>,
        factors: &[f64],
        map: impl Fn(f64) -> f64,
        sums: &mut [f64],
    ) {
        match &self.compact {
            Some(compact) => compact.add_rows(self.data.features(), rows, factors, map, sums),
            None => add_rows(self.data.features().slice(rows), factors, map, sums),
        }
    }

    /// Adds what a tile of rows contributes to value, gradient and Hessian.
    fn add_tile(
        &self,
        beta: &[f64],
        b: f64,
        rows: Range<usize>,
        buffers: &mut Buffers,
        sums: &mut Sums,
    ) {
        let logits = &mut buffers.logits[..rows.len()];
        let gradients = &mut buffers.gradients[..rows.len()];
        let hessians = &mut buffers.hessians[..rows.len()];

        logits.fill(b);
        self.add_products(rows.clone(), beta, logits);
        for (row, &logit) in rows.clone().zip(&*logits) {
            let margin = signed(logit, self.data.labels()[row]);
            if margin < sums.margin && self.counts(row) {
                sums.margin = margin;
            }
        }
        self.add_offsets(rows.clone(), logits);
        sums.value += self.losses(rows.clone(), logits, gradients, hessians);

        self.add_rows(rows.clone(), gradients, |value| value, &mut sums.gradient);
        if self.intercept {
            sums.gradient[beta.len()] += gradients.iter().sum::<f64>();
        }
        if let Some(hessian) = &mut sums.hessian {
            let x = self.data.features().slice(rows);
            visit!(x, |x| self.add_outer_products(x, hessians, &mut buffers.scratch, hessian));
        }
    }

    fn add_offsets(&self, rows: Range<usize>, logits: &mut [f64]) {
        if let Some(offsets) = self.data.offsets() {
            logits.iter_mut().zip(&offsets[rows]).for_each(|(z, offset)| *z += offset);
        }
    }

    /// The losses of rows with these logits, summed, and the derivatives of each.
    fn losses(
        &self,
        rows: Range<usize>,
        logits: &[f64],
        gradients: &mut [f64],
        hessians: &mut [f64],
    ) -> f64 {
        let labels = &self.data.labels()[rows.clone()];
        let weights = self.data.weights().map(|weights| &weights[rows]);
        self.loss.block(Block { logits, labels, weights, gradients, hessians })
    }

    /// `sum += Σ hᵢ xᵢ xᵢᵀ` (lower triangle), where xᵢ ends in a 1 for the intercept.
    fn add_outer_products<F: Scalar>(
        &self,
        x: Matrix<'_, F>,
        factors: &[f64],
        scratch: &mut Scratch,
        sum: &mut Mat<f64>,
    ) {
        let p = self.parameters();
        match x {
            Matrix::Dense(x) => {
                add_dense_outer_products(&x, None, factors, scratch, sum);
            }
            Matrix::Sparse(x) => {
                for (row, &factor) in factors.iter().enumerate() {
                    let (columns, values) = sparse_row(&x, row);
                    for (i, (&column, value)) in columns.iter().zip(values).enumerate() {
                        let scaled = factor * value.to_f64();
                        for (&earlier, value) in columns[..=i].iter().zip(values) {
                            sum[(column, earlier)] += scaled * value.to_f64();
                        }
                        if self.intercept {
                            sum[(p - 1, column)] += scaled;
                        }
                    }
                    if self.intercept {
                        sum[(p - 1, p - 1)] += factor;
                    }
                }
            }
        }
    }

    pub(in crate::model) fn columns(&self) -> usize {
        self.compact.as_ref().map_or(self.data.columns(), Compact::len)
    }

    pub(in crate::model) fn loss(&self) -> &dyn Loss {
        &*self.loss
    }

    /// Whether a row weighs something.
    pub(in crate::model) fn counts(&self, row: usize) -> bool {
        self.data.weights().is_none_or(|weights| weights[row] > 0.0)
    }

    /// Rows that weigh something.
    pub(in crate::model) fn rows(&self) -> usize {
        (0..self.data.rows()).filter(|&row| self.counts(row)).count()
    }

    pub(in crate::model) fn features(&self) -> FeaturesView<'_> {
        self.data.features()
    }

    pub(in crate::model) fn l2(&self) -> f64 {
        self.l2
    }

    /// The loss, summed, and at every row.
    pub(in crate::model) fn rows_at(&self, theta: &[f64]) -> (f64, Vec<RowAt>) {
        let (beta, b) = self.parts(theta);
        self.rows_with(|tile, logits| {
            logits.fill(b);
            self.add_products(tile.clone(), beta, logits);
            self.add_offsets(tile, logits);
        })
    }

    /// The same with logits that are put into a tile's place.
    fn rows_with(
        &self,
        put_logits: impl Fn(Range<usize>, &mut [f64]) + Sync + Send,
    ) -> (f64, Vec<RowAt>) {
        let mut rows = vec![RowAt::default(); self.data.rows()];
        let block = parallel::sum_block(rows.len(), 1);
        let values = parallel::map_into(&mut rows, 1, block, |_, block, out| {
            let [mut logits, mut gradients, mut hessians] = [[0.0; TILE]; 3];
            let mut value = 0.0;
            for_tiles(block.clone(), |tile| {
                let n = tile.len();
                put_logits(tile.clone(), &mut logits[..n]);
                let out = &mut out[tile.start - block.start..][..n];
                let (gradients, hessians) = (&mut gradients[..n], &mut hessians[..n]);
                value += self.losses(tile, &logits[..n], gradients, hessians);
                for (i, row) in out.iter_mut().enumerate() {
                    let (gradient, hessian) = (gradients[i], hessians[i]);
                    *row = RowAt { logit: logits[i], gradient, hessian };
                }
            });
            value
        });
        (values.into_iter().sum(), rows)
    }

    /// Σ f(i) xᵢ over all rows, where xᵢ ends in a 1 for the intercept.
    pub(in crate::model) fn sum_of_rows(&self, f: impl Fn(usize) -> f64 + Sync + Send) -> Vec<f64> {
        self.sum_products(f, |value| value)
    }

    /// Σ f(i) xᵢ xᵢᵀ over all rows (lower triangle), where xᵢ ends in a 1 for the intercept.
    pub(in crate::model) fn sum_of_outer_products(
        &self,
        f: impl Fn(usize) -> f64 + Sync + Send,
    ) -> Mat<f64> {
        let p = self.parameters();
        let n = self.data.rows();
        let parts = parallel::map(n, parallel::sum_block(n, p * p), |_, rows| {
            let mut sum = Mat::zeros(p, p);
            let mut buffer = Buffers::new();
            for_tiles(rows, |tile| {
                let factors = &mut buffer.hessians[..tile.len()];
                factors.iter_mut().zip(tile.clone()).for_each(|(factor, row)| *factor = f(row));
                let x = self.data.features().slice(tile);
                visit!(x, |x| {
                    self.add_outer_products(x, factors, &mut buffer.scratch, &mut sum);
                });
            });
            sum
        });
        parts.into_iter().fold(Mat::zeros(p, p), |sum, part| sum + part)
    }

    /// The Hessian at `at` times `v`. Where it is not formed, what `v` adds to each logit goes into `moves`.
    pub(in crate::model) fn hessian_vector(
        &self,
        at: &At,
        v: &[f64],
        moves: &mut [f64],
    ) -> Vec<f64> {
        let rows = match &at.curvature {
            Curvature::Formed(hessian) => return symmetric_product(hessian, v),
            Curvature::Rows(rows) => &rows[..],
            Curvature::Unknown => &[],
        };
        let p = self.parameters();
        let (beta, b) = self.parts(v);
        let block = parallel::sum_block(rows.len(), p);
        let parts = parallel::map_into(moves, 1, block, |_, block, moves| {
            let mut sums = vec![0.0; p];
            let mut buffer = [0.0; TILE];
            for_tiles(block.clone(), |tile| {
                let moves = &mut moves[tile.start - block.start..][..tile.len()];
                moves.fill(b);
                self.add_products(tile.clone(), beta, moves);
                let factors = &mut buffer[..tile.len()];
                for ((factor, by), row) in factors.iter_mut().zip(&*moves).zip(&rows[tile.clone()])
                {
                    *factor = by * row.hessian;
                }
                self.add_rows(tile, factors, |value| value, &mut sums);
                if self.intercept {
                    sums[beta.len()] += factors.iter().sum::<f64>();
                }
            });
            sums
        });
        let mut product = parallel::merge(parts);
        product.iter_mut().zip(beta).for_each(|(product, v)| *product += self.l2 * v);
        product
    }

    /// The diagonal of the Hessian at `at`.
    pub(in crate::model) fn diagonal(&self, at: &At) -> Vec<f64> {
        let rows = match &at.curvature {
            Curvature::Formed(h) => return (0..h.nrows()).map(|j| h[(j, j)]).collect(),
            Curvature::Rows(rows) => &rows[..],
            Curvature::Unknown => &[],
        };
        let mut diagonal = self.sum_of_squares(|row| rows[row].hessian);
        diagonal[..self.columns()].iter_mut().for_each(|entry| *entry += self.l2);
        diagonal
    }

    /// Σ f(i) xᵢⱼ² for each column j, and Σ f(i) for the intercept.
    pub(in crate::model) fn sum_of_squares(
        &self,
        f: impl Fn(usize) -> f64 + Sync + Send,
    ) -> Vec<f64> {
        self.sum_products(f, |value| value * value)
    }

    /// Σ f(i) map(xᵢⱼ) for each column j, and Σ f(i) for the intercept.
    fn sum_products(
        &self,
        f: impl Fn(usize) -> f64 + Sync + Send,
        map: impl Fn(f64) -> f64 + Sync + Send,
    ) -> Vec<f64> {
        let columns = self.columns();
        self.sum_rows(|tile, sums, buffer| {
            buffer.iter_mut().zip(tile.clone()).for_each(|(factor, row)| *factor = f(row));
            self.add_rows(tile, buffer, &map, sums);
            if self.intercept {
                sums[columns] += buffer.iter().sum::<f64>();
            }
        })
    }

    /// The most frequent columns of θ, up to [`LEADING`] of them: those with the most entries that are not
    /// zero, and of equals the first. Sparse and dense rows have the same ones in the same order, so that
    /// a fit does not depend on how its rows are stored.
    pub(in crate::model) fn leading_columns(&self) -> Vec<usize> {
        if let Some(compact) = &self.compact {
            return (0..compact.len().min(LEADING)).collect();
        }
        let counts = visit!(self.data.features(), |x| match x {
            Matrix::Dense(x) => entries(&x),
            Matrix::Sparse(_) => return Vec::new(),
        });
        let mut columns: Vec<usize> = (0..counts.len()).filter(|&j| counts[j] > 0).collect();
        columns.sort_by_key(|&column| Reverse(counts[column]));
        columns.truncate(LEADING);
        columns
    }

    /// The Hessian at `at` of the [leading columns](Self::leading_columns) and the intercept behind them
    /// (lower triangle). `None` where no column leads, or the Hessian is formed anyway.
    pub(in crate::model) fn leading_block(&self, at: &At, leading: &[usize]) -> Option<Mat<f64>> {
        let Curvature::Rows(rows) = &at.curvature else { return None };
        if leading.is_empty() {
            return None;
        }
        let factors: Vec<f64> = rows.iter().map(|row| row.hessian).collect();
        let k = leading.len() + usize::from(self.intercept);
        let n = factors.len();
        let parts = parallel::map(n, parallel::sum_block(n, k * k), |_, block| {
            let mut sum = Mat::zeros(k, k);
            visit!(self.data.features(), |x| match (x, &self.compact) {
                (Matrix::Sparse(x), Some(compact)) => {
                    let (factors, k) = (&factors[block.clone()], leading.len());
                    compact.add_outer_products(&x, block, factors, k, self.intercept, &mut sum);
                }
                (Matrix::Dense(x), _) => {
                    let mut scratch = Scratch::default();
                    for_tiles(block, |tile| {
                        let factors = &factors[tile.clone()];
                        let x = x.slice_axis(Axis(0), tile.into());
                        let columns = Some(leading);
                        add_dense_outer_products(&x, columns, factors, &mut scratch, &mut sum);
                    });
                }
                (Matrix::Sparse(_), None) => {} // no column leads
            });
            sum
        });
        let mut block = parts.into_iter().fold(Mat::zeros(k, k), |sum, part| sum + part);
        (0..leading.len()).for_each(|j| block[(j, j)] += self.l2);
        Some(block)
    }

    /// How a step `v` of the parameters moves the logits: the largest move against a row's own label
    /// and the largest in its favour, over rows that weigh something.
    pub(in crate::model) fn logit_moves(&self, v: &[f64]) -> (f64, f64) {
        let (beta, b) = self.parts(v);
        let labels = self.data.labels();
        parallel::map(self.data.rows(), parallel::BLOCK, |_, rows| {
            let mut moves = vec![b; rows.len()];
            self.add_products(rows.clone(), beta, &mut moves);
            rows.zip(moves)
                .filter(|(row, _)| self.counts(*row))
                .map(|(row, by)| if labels[row] { by } else { -by })
                .fold((0.0, 0.0), |(against, favour), by| (by.min(against), by.max(favour)))
        })
        .into_iter()
        .fold((0.0, 0.0), |(a, f), (against, favour)| (against.min(a), favour.max(f)))
    }

    /// Sums a vector of θ's length over tiles of rows; `add(rows, sums, buffer)`, with one number of
    /// scratch per row.
    fn sum_rows(
        &self,
        add: impl Fn(Range<usize>, &mut [f64], &mut [f64]) + Sync + Send,
    ) -> Vec<f64> {
        let p = self.parameters();
        let n = self.data.rows();
        parallel::merge(parallel::map(n, parallel::sum_block(n, p), |_, rows| {
            let mut sums = vec![0.0; p];
            let mut buffer = [0.0; TILE];
            for_tiles(rows, |tile| {
                add(tile.clone(), &mut sums, &mut buffer[..tile.len()]);
            });
            sums
        }))
    }

    fn parts<'t>(&self, theta: &'t [f64]) -> (&'t [f64], f64) {
        let (beta, rest) = theta.split_at(self.columns());
        (beta, rest.first().copied().unwrap_or(0.0))
    }
}

/// What a block of rows adds up.
struct Sums {
    value: f64,
    gradient: Vec<f64>,
    hessian: Option<Mat<f64>>,
    margin: f64,
}

impl Sums {
    fn new(p: usize, form_hessian: bool) -> Self {
        let hessian = form_hessian.then(|| Mat::zeros(p, p));
        Self { value: 0.0, gradient: vec![0.0; p], hessian, margin: f64::INFINITY }
    }
}

/// Scratch for a tile of rows.
struct Buffers {
    logits: [f64; TILE],
    gradients: [f64; TILE],
    hessians: [f64; TILE],
    scratch: Scratch,
}

impl Buffers {
    fn new() -> Self {
        let zeros = [0.0; TILE];
        Self { logits: zeros, gradients: zeros, hessians: zeros, scratch: Scratch::default() }
    }
}

/// Scratch for the outer products of a tile of dense rows; it grows when it is used.
#[derive(Default)]
struct Scratch {
    /// The rows as `f64`, where they are not stored so.
    plain: Vec<f64>,
    /// Each row times its factor.
    scaled: Vec<f64>,
    /// The sums of those.
    totals: Vec<f64>,
}

/// `sum += Σ hᵢ xᵢ xᵢᵀ` (lower triangle) over dense rows of at least one column, with a 1 at the end of
/// each xᵢ if `sum` has room for it.
fn add_dense_outer_products<F: Scalar>(
    x: &ArrayView2<'_, F>,
    columns: Option<&[usize]>,
    factors: &[f64],
    scratch: &mut Scratch,
    sum: &mut Mat<f64>,
) {
    let Scratch { plain, scaled, totals } = scratch;
    let n = factors.len();
    let d = columns.map_or(x.ncols(), <[usize]>::len);
    let rows = match x.to_slice().and_then(F::as_f64) {
        Some(rows) if columns.is_none() => rows,
        _ => {
            plain.clear();
            for row in x.outer_iter() {
                match columns {
                    None => plain.extend(row.iter().map(|value| value.to_f64())),
                    Some(columns) => plain.extend(columns.iter().map(|&j| row[j].to_f64())),
                }
            }
            &plain[..]
        }
    };
    scaled.resize(n * d, 0.0);
    totals.clear();
    totals.resize(d, 0.0);
    vectorised(Scale { rows, factors, scaled, totals });
    let full = BlockStructure::Rectangular;
    matmul(
        sum.as_mut().submatrix_mut(0, 0, d, d),
        BlockStructure::TriangularLower,
        Accum::Add,
        MatRef::from_row_major_slice(rows, n, d).transpose(),
        full,
        MatRef::from_row_major_slice(scaled, n, d),
        full,
        1.0,
        Par::Seq,
    );
    if sum.nrows() > d {
        totals.iter().enumerate().for_each(|(j, total)| sum[(d, j)] += total);
        sum[(d, d)] += factors.iter().sum::<f64>();
    }
}

/// `scaled[i] = factors[i] · rows[i]`, and its sum over the rows.
struct Scale<'a> {
    rows: &'a [f64],
    factors: &'a [f64],
    scaled: &'a mut [f64],
    totals: &'a mut [f64],
}

impl Work for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let d = self.totals.len().max(1);
        let rows = self.rows.chunks_exact(d).zip(self.scaled.chunks_exact_mut(d));
        for (&factor, (row, scaled)) in self.factors.iter().zip(rows) {
            for ((&value, scaled), total) in row.iter().zip(scaled).zip(&mut *self.totals) {
                *scaled = factor * value;
                *total += *scaled;
            }
        }
    }
}

/// How many entries of each column are not zero.
fn entries<F: Scalar>(x: &ArrayView2<'_, F>) -> Vec<usize> {
    let block = parallel::sum_block(x.nrows(), x.ncols());
    let parts = parallel::map(x.nrows(), block, |_, rows| {
        let mut counts = vec![0; x.ncols()];
        for row in x.slice_axis(Axis(0), rows.into()).outer_iter() {
            for (count, value) in counts.iter_mut().zip(row) {
                *count += usize::from(value.to_f64() != 0.0);
            }
        }
        counts
    });
    let add = |mut sum: Vec<usize>, part: Vec<usize>| {
        sum.iter_mut().zip(part).for_each(|(sum, count)| *sum += count);
        sum
    };
    parts.into_iter().fold(vec![0; x.ncols()], add)
}

/// Cuts rows into tiles.
fn for_tiles(rows: Range<usize>, mut f: impl FnMut(Range<usize>)) {
    for start in rows.clone().step_by(TILE) {
        f(start..(start + TILE).min(rows.end));
    }
}

/// A logit in the direction of its label.
fn signed(logit: f64, label: bool) -> f64 {
    if label { logit } else { -logit }
}

/// The logits `length` times a step further.
fn move_logits(from: &[RowAt], moves: &[f64], length: f64, out: &mut [f64]) {
    for ((out, row), by) in out.iter_mut().zip(from).zip(moves) {
        *out = row.logit + length * by;
    }
}

/// xᵢ V xᵢᵀ for every row, where xᵢ ends in a 1 for the intercept and V is symmetric.
pub(in crate::model) fn quadratic_forms(
    x: FeaturesView<'_>,
    intercept: bool,
    v: &Mat<f64>,
) -> Vec<f64> {
    let mut out = vec![0.0; x.nrows()];
    parallel::map_into(&mut out, 1, TILE, |_, rows, out| {
        visit!(x.slice(rows), |x| quadratic_forms_of(x, intercept, v, out));
    });
    out
}

fn quadratic_forms_of<F: Scalar>(x: Matrix<'_, F>, intercept: bool, v: &Mat<f64>, out: &mut [f64]) {
    let p = v.nrows();
    match x {
        Matrix::Dense(x) => {
            let mut plain = Vec::with_capacity(out.len() * p);
            for row in x.outer_iter() {
                plain.extend(row.iter().map(|value| value.to_f64()));
                plain.extend(intercept.then_some(1.0));
            }
            let plain = MatRef::from_row_major_slice(&plain, out.len(), p);
            let mut product = Mat::zeros(p, out.len());
            let transposed = plain.transpose();
            faer::linalg::matmul::matmul(
                product.as_mut(),
                Accum::Replace,
                v,
                transposed,
                1.0,
                Par::Seq,
            );
            for (i, out) in out.iter_mut().enumerate() {
                *out = (0..p).map(|j| plain[(i, j)] * product[(j, i)]).sum();
            }
        }
        Matrix::Sparse(x) => {
            for (i, out) in out.iter_mut().enumerate() {
                let (columns, values) = sparse_row(&x, i);
                let one = intercept.then_some((p - 1, 1.0));
                let entries = columns.iter().zip(values).map(|(&j, value)| (j, value.to_f64()));
                let entries = entries.chain(one);
                *out = entries
                    .clone()
                    .map(|(j, a)| a * entries.clone().map(|(k, b)| v[(j, k)] * b).sum::<f64>())
                    .sum();
            }
        }
    }
}

/// A symmetric matrix, given by its lower triangle, times a vector.
fn symmetric_product(lower: &Mat<f64>, v: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; v.len()];
    for j in 0..v.len() {
        product[j] += lower[(j, j)] * v[j];
        for i in j + 1..v.len() {
            product[i] += lower[(i, j)] * v[j];
            product[j] += lower[(i, j)] * v[i];
        }
    }
    product
}
