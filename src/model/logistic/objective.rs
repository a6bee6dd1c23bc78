//! The penalised sum of losses that a logistic regression minimises.

use std::ops::Range;
use std::sync::Arc;

use ndarray::Array2;

use super::design::{Design, signed};
use super::outer_products::{Scratch, symmetric_product};
use crate::core::{Dataset, Error, Result, ensure_finite, same_length};
use crate::exec::parallel::{self, sum_block};
use crate::loss::{Block, Loss};
use crate::model::products::{TILE, for_tiles};
use crate::model::row_sums::{Extremes, Total, sum_rows, sum_rows_into};
use crate::model::valid_not_negative;

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
    pub(in crate::model) design: Design<'a>,
    loss: Arc<dyn Loss>,
    l2: f64,
}

/// The objective at a point.
#[derive(Debug)]
pub(super) struct At {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    pub(super) curvature: Curvature,
    /// The smallest xᵢβ + b in the direction of its label, over rows with a weight: above zero if θ
    /// separates the classes.
    pub(super) margin: f64,
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
pub(super) enum Curvature {
    /// Its lower triangle.
    Formed(Array2<f64>),
    /// The rows alone, with their hᵢ = wᵢ ∂²ℓ/∂zᵢ².
    Rows(Vec<RowAt>),
    /// Not computed.
    Unknown,
}

/// Refuses slopes that are no numbers, which no step can be taken by.
pub(super) fn ensure_slopes(loss: &dyn Loss, slopes: impl IntoIterator<Item = f64>) -> Result<()> {
    if slopes.into_iter().any(f64::is_nan) {
        return Err(Error::Contract {
            stage: format!("{loss:?}"),
            problem: "its derivatives are not finite numbers at every finite logit".into(),
        });
    }
    Ok(())
}

/// Columns up to which the Hessian is formed: its n·d² / 2 multiplications then cost about as much as the
/// passes over memory that conjugate gradients would need instead.
pub(super) const FORM_UP_TO: usize = 256;

/// Most parameters for which statistics form their k × k matrices: 128 MiB each.
const PRODUCTS_UP_TO: usize = 4096;

impl<'a> Objective<'a> {
    /// The objective over all rows of `data`, with their weights and offsets, under a loss that is
    /// [resolved](Loss::resolve) for them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `l2` is finite and not negative; what the loss needs of the rows.
    pub fn new(data: &'a Dataset<'a>, loss: &dyn Loss, l2: f64, intercept: bool) -> Result<Self> {
        let l2 = valid_not_negative("l2", l2)?;
        let loss = loss.resolve(&data.totals())?;
        Ok(Self { data, design: Design::new(data, intercept), loss, l2 })
    }

    /// The objective over rows under a loss that was resolved for them, or for more rows than these.
    pub(crate) fn of_resolved(
        data: &'a Dataset<'a>,
        loss: Arc<dyn Loss>,
        l2: f64,
        intercept: bool,
    ) -> Self {
        Self { data, design: Design::new(data, intercept), loss, l2 }
    }

    /// Value, gradient, and the least xᵢβ + b in the direction of its label.
    pub(crate) fn value_gradient_margin(&self, theta: &[f64]) -> (f64, Vec<f64>, f64) {
        let n = self.data.rows();
        // A batch has few rows for its columns: clearing and merging the gradients of many blocks would take longer than
        // the pass over the rows.
        let blocks = (self.design.features().stored() / (4 * self.parameters())).max(1);
        let size = sum_block(n, self.parameters()).max(n.div_ceil(blocks));
        let At { value, gradient, margin, .. } = self.evaluate_in(size, theta, false);
        (value, gradient, margin)
    }

    /// The objective's sum over rows, without the penalty, at each of these lengths along a step.
    pub(crate) fn values_along(&self, theta: &[f64], step: &[f64], lengths: &[f64]) -> Vec<f64> {
        let n = self.data.rows();
        let zero = || vec![0.0; lengths.len()];
        sum_rows(n, sum_block(n, lengths.len()), zero, |sums, rows| {
            let [mut from, mut moves, mut logits, mut unused, mut unread] = [[0.0; TILE]; 5];
            for_tiles(rows, |tile| {
                let n = tile.len();
                self.design.products(tile.clone(), theta, &mut from[..n]);
                self.add_offsets(tile.clone(), &mut from[..n]);
                self.design.products(tile.clone(), step, &mut moves[..n]);
                for (sum, length) in sums.iter_mut().zip(lengths) {
                    for (logit, (from, by)) in logits[..n].iter_mut().zip(from.iter().zip(&moves)) {
                        *logit = from + length * by;
                    }
                    let slopes = (&mut unused[..n], &mut unread[..n]);
                    *sum += self.losses(tile.clone(), &logits[..n], slopes.0, slopes.1);
                }
            });
        })
    }

    /// This objective with the columns of sparse rows numbered anew, where the Hessian is not formed.
    pub(super) fn compacted(self) -> Self {
        if self.forms_hessian() {
            return self;
        }
        Self { design: self.design.compacted(), ..self }
    }

    /// Length of θ.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.design.parameters()
    }

    /// The objective and its gradient at θ.
    ///
    /// # Errors
    /// - [`Error::LengthMismatch`] unless θ has [`parameters`](Self::parameters) entries, [`Error::NonFinite`] unless
    ///   all are finite.
    /// - [`Error::Numerical`] if the objective or its gradient overflows.
    pub fn value_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>)> {
        same_length("theta", theta.len(), "the objective", self.parameters())?;
        ensure_finite("theta", theta)?;
        let At { value, gradient, .. } = self.at_without_curvature(theta);
        let bad = gradient.iter().copied().chain([value]).find(|number| !number.is_finite());
        match bad {
            None => Ok((value, gradient)),
            Some(value) => Err(Error::Numerical {
                what: "the objective or its gradient".into(),
                value,
                remedy: "offsets, weights, features or coefficients are too large to add up; scale them",
            }),
        }
    }

    /// Whether the Hessian is formed rather than multiplied with vectors.
    pub(super) fn forms_hessian(&self) -> bool {
        self.data.columns() <= FORM_UP_TO
    }

    /// Refuses more parameters than the k × k matrices of statistics have room for.
    pub(in crate::model) fn ensure_products_fit(&self, stage: &'static str) -> Result<()> {
        if self.parameters() <= PRODUCTS_UP_TO {
            return Ok(());
        }
        Err(Error::Unsupported {
            stage,
            what: format!("{} coefficients", self.parameters()),
            remedy: "it forms a matrix of their squared number, for up to 4096; select columns",
        })
    }

    pub(super) fn loss(&self) -> &dyn Loss {
        &*self.loss
    }

    pub(super) fn data(&self) -> &Dataset<'_> {
        self.data
    }

    pub(super) fn l2(&self) -> f64 {
        self.l2
    }

    /// Value, gradient and curvature.
    pub(super) fn at(&self, theta: &[f64]) -> At {
        if self.forms_hessian() {
            self.evaluate(theta, true)
        } else {
            self.at_rows(theta, self.rows_at(theta))
        }
    }

    /// Value and gradient alone.
    pub(super) fn at_without_curvature(&self, theta: &[f64]) -> At {
        self.evaluate(theta, false)
    }

    /// [`at`](Self::at) `length` times a step further, which is `theta`. `moves` is what the step adds to the
    /// logits: where the logits at the start are known, no pass over the features is needed for the new ones.
    pub(super) fn at_moved(&self, at: &At, theta: &[f64], moves: &[f64], length: f64) -> At {
        let Curvature::Rows(from) = &at.curvature else { return self.at(theta) };
        let rows = self.rows_with(|tile, logits| {
            move_logits(&from[tile.clone()], &moves[tile], length, logits);
        });
        self.at_rows(theta, rows)
    }

    /// Slope and curvature, in the length, of the objective at θ + `length` · `step`. `moves` is what the
    /// step adds to the logits.
    pub(super) fn slope_along(
        &self,
        at: &At,
        theta: &[f64],
        step: &[f64],
        moves: &[f64],
        length: f64,
    ) -> (f64, f64) {
        let Curvature::Rows(from) = &at.curvature else { return (0.0, 0.0) };
        let n = from.len();
        let zero = || [0.0; 2];
        let [slope, curvature] = sum_rows(n, sum_block(n, 1), zero, |sums, rows| {
            let [mut logits, mut gradients, mut hessians] = [[0.0; TILE]; 3];
            for_tiles(rows, |tile| {
                let n = tile.len();
                let moves = &moves[tile.clone()];
                move_logits(&from[tile.clone()], moves, length, &mut logits[..n]);
                self.losses(tile, &logits[..n], &mut gradients[..n], &mut hessians[..n]);
                for (i, by) in moves.iter().enumerate() {
                    sums[0] += gradients[i] * by;
                    sums[1] += hessians[i] * by * by;
                }
            });
        });
        let columns = self.design.columns();
        let products = |a: &[f64]| -> f64 { a.iter().zip(step).map(|(a, s)| a * s).sum() };
        let square = self.l2 * products(&step[..columns]);
        let penalty_slope = self.l2 * products(&theta[..columns]) + length * square;
        (slope + penalty_slope, curvature + square)
    }

    /// The loss, summed, and at every row.
    pub(in crate::model) fn rows_at(&self, theta: &[f64]) -> (f64, Vec<RowAt>) {
        self.rows_with(|tile, logits| {
            self.design.products(tile.clone(), theta, logits);
            self.add_offsets(tile, logits);
        })
    }

    /// The loss, summed, and at every row; `write_logits` writes the logits of a tile.
    fn rows_with(
        &self,
        write_logits: impl Fn(Range<usize>, &mut [f64]) + Sync + Send,
    ) -> (f64, Vec<RowAt>) {
        let mut rows = vec![RowAt::default(); self.data.rows()];
        let size = sum_block(rows.len(), 1);
        let value = sum_rows_into(
            &mut rows,
            size,
            || 0.0,
            |value, block, out| {
                let [mut logits, mut gradients, mut hessians] = [[0.0; TILE]; 3];
                for_tiles(block.clone(), |tile| {
                    let n = tile.len();
                    write_logits(tile.clone(), &mut logits[..n]);
                    let out = &mut out[tile.start - block.start..][..n];
                    let (gradients, hessians) = (&mut gradients[..n], &mut hessians[..n]);
                    *value += self.losses(tile, &logits[..n], gradients, hessians);
                    for (i, row) in out.iter_mut().enumerate() {
                        let (gradient, hessian) = (gradients[i], hessians[i]);
                        *row = RowAt { logit: logits[i], gradient, hessian };
                    }
                });
            },
        );
        (value, rows)
    }

    fn at_rows(&self, theta: &[f64], (value, rows): (f64, Vec<RowAt>)) -> At {
        let labels = self.data.labels();
        let offset = |row: usize| self.data.offsets().map_or(0.0, |offsets| offsets[row]);
        let margins = sum_rows(rows.len(), parallel::BLOCK, no_margins, |margins, block| {
            for row in block.filter(|&row| self.design.has_weight(row)) {
                margins.include(signed(rows[row].logit - offset(row), labels[row]));
            }
        });
        let gradient = self.design.sum_of_rows(|row| rows[row].gradient);
        let curvature = Curvature::Rows(rows);
        self.penalised(theta, At { value, gradient, curvature, margin: margins.least })
    }

    /// Adds the penalty to value, gradient and Hessian.
    fn penalised(&self, theta: &[f64], mut at: At) -> At {
        let (beta, _) = self.design.split(theta);
        at.value += 0.5 * self.l2 * beta.iter().map(|c| c * c).sum::<f64>();
        for (slope, coefficient) in at.gradient.iter_mut().zip(beta) {
            *slope += self.l2 * coefficient;
        }
        if let Curvature::Formed(hessian) = &mut at.curvature {
            (0..beta.len()).for_each(|j| hessian[(j, j)] += self.l2);
        }
        at
    }

    /// Value and gradient, and the Hessian if `form` says so, in one pass over the rows.
    fn evaluate(&self, theta: &[f64], form: bool) -> At {
        let p = self.parameters();
        let size = sum_block(self.data.rows(), p + if form { p * p } else { 0 });
        self.evaluate_in(size, theta, form)
    }

    /// [`evaluate`](Self::evaluate) in blocks of this many rows.
    fn evaluate_in(&self, size: usize, theta: &[f64], form: bool) -> At {
        let (p, n) = (self.parameters(), self.data.rows());
        let zero = || Sums::new(p, form);
        let sums = sum_rows(n, size, zero, |sums, rows| {
            let mut buffers = Buffers::new();
            for_tiles(rows, |tile| self.add_tile(theta, tile, &mut buffers, sums));
        });
        let Sums { value, gradient, hessian, margins } = sums;
        let curvature = hessian.map_or(Curvature::Unknown, Curvature::Formed);
        self.penalised(theta, At { value, gradient, curvature, margin: margins.least })
    }

    /// Adds a tile of rows to value, gradient and Hessian.
    fn add_tile(&self, theta: &[f64], rows: Range<usize>, buffers: &mut Buffers, sums: &mut Sums) {
        let logits = &mut buffers.logits[..rows.len()];
        let gradients = &mut buffers.gradients[..rows.len()];
        let hessians = &mut buffers.hessians[..rows.len()];

        self.design.products(rows.clone(), theta, logits);
        for (row, &logit) in rows.clone().zip(&*logits) {
            let margin = signed(logit, self.data.labels()[row]);
            if margin < sums.margins.least && self.design.has_weight(row) {
                sums.margins.least = margin;
            }
        }
        self.add_offsets(rows.clone(), logits);
        sums.value += self.losses(rows.clone(), logits, gradients, hessians);

        self.design.add_rows(rows.clone(), gradients, |value| value, &mut sums.gradient);
        if let Some(hessian) = &mut sums.hessian {
            self.design.add_outer_products(rows, hessians, &mut buffers.scratch, hessian);
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

    /// The Hessian at `at` times `v`. Where it is not formed, what `v` adds to each logit goes into `moves`.
    pub(super) fn hessian_vector(&self, at: &At, v: &[f64], moves: &mut [f64]) -> Vec<f64> {
        let rows = match &at.curvature {
            Curvature::Formed(hessian) => return symmetric_product(hessian, v),
            Curvature::Rows(rows) => &rows[..],
            Curvature::Unknown => &[],
        };
        let p = self.parameters();
        let size = sum_block(rows.len(), p);
        let zero = || vec![0.0; p];
        let mut product = sum_rows_into(moves, size, zero, |sums, block, moves| {
            let mut buffer = [0.0; TILE];
            for_tiles(block.clone(), |tile| {
                let moves = &mut moves[tile.start - block.start..][..tile.len()];
                self.design.products(tile.clone(), v, moves);
                let factors = &mut buffer[..tile.len()];
                for ((factor, by), row) in factors.iter_mut().zip(&*moves).zip(&rows[tile.clone()])
                {
                    *factor = by * row.hessian;
                }
                self.design.add_rows(tile, factors, |value| value, sums);
            });
        });
        let (beta, _) = self.design.split(v);
        product.iter_mut().zip(beta).for_each(|(product, v)| *product += self.l2 * v);
        product
    }

    /// The diagonal of the Hessian at `at`.
    pub(super) fn diagonal(&self, at: &At) -> Vec<f64> {
        let rows = match &at.curvature {
            Curvature::Formed(h) => return (0..h.nrows()).map(|j| h[(j, j)]).collect(),
            Curvature::Rows(rows) => &rows[..],
            Curvature::Unknown => &[],
        };
        let mut diagonal = self.design.sum_of_squares(|row| rows[row].hessian);
        diagonal[..self.design.columns()].iter_mut().for_each(|entry| *entry += self.l2);
        diagonal
    }

    /// The Hessian at `at` (lower triangle) of the [frequent columns](Design::frequent_columns) and the
    /// intercept behind them. `None` if there are none, or if the whole Hessian is formed.
    pub(super) fn frequent_block(&self, at: &At, frequent: &[usize]) -> Option<Array2<f64>> {
        let Curvature::Rows(rows) = &at.curvature else { return None };
        if frequent.is_empty() {
            return None;
        }
        let factors: Vec<f64> = rows.iter().map(|row| row.hessian).collect();
        let mut block = self.design.frequent_outer_products(frequent, &factors);
        (0..frequent.len()).for_each(|j| block[(j, j)] += self.l2);
        Some(block)
    }
}

/// The objective's sums over rows.
struct Sums {
    value: f64,
    gradient: Vec<f64>,
    hessian: Option<Array2<f64>>,
    /// The logits without offsets, each in the direction of its label.
    margins: Extremes,
}

impl Sums {
    fn new(p: usize, form_hessian: bool) -> Self {
        let hessian = form_hessian.then(|| Array2::zeros((p, p)));
        Self { value: 0.0, gradient: vec![0.0; p], hessian, margins: no_margins() }
    }

    /// Merges everything but the gradient, which is returned.
    fn merge_matrices(&mut self, next: Self) -> Vec<f64> {
        self.value += next.value;
        self.margins.merge(next.margins);
        if let (Some(sum), Some(next)) = (&mut self.hessian, next.hessian) {
            sum.merge(next);
        }
        next.gradient
    }
}

impl Total for Sums {
    fn merge(&mut self, next: Self) {
        self.merge_all(vec![next]);
    }

    fn merge_all(&mut self, next: Vec<Self>) {
        let gradients = next.into_iter().map(|next| self.merge_matrices(next)).collect();
        self.gradient.merge_all(gradients);
    }
}

fn no_margins() -> Extremes {
    Extremes { least: f64::INFINITY, greatest: f64::NEG_INFINITY }
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

/// The logits `length` times a step further.
fn move_logits(from: &[RowAt], moves: &[f64], length: f64, out: &mut [f64]) {
    for ((out, row), by) in out.iter_mut().zip(from).zip(moves) {
        *out = row.logit + length * by;
    }
}
