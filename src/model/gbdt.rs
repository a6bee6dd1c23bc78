//! Gradient-boosted trees, alone and under a logistic regression (feature `gbdt`).

use std::sync::{Arc, Mutex, PoisonError};

use perpetual::metrics::evaluation::Metric;
use perpetual::objective::{Objective, ObjectiveFunction};
use perpetual::{Matrix, PerpetualBooster};
use sprs::CsMat;

use super::row_sums::sum_rows;
use super::{FittedLogisticRegression, LogisticRegression, Model, Predict};
use crate::core::{
    self, Dataset, Error, Features, FeaturesView, Progress, Result, Run, Scalar, same_length, visit,
};
use crate::exec::parallel::{self, BLOCK};
use crate::loss::{Derivatives, Loss};

/// Gradient-boosted decision trees under any loss, by the `perpetual` crate: a logit that is a sum of
/// trees, for interactions and thresholds that a linear model misses.
///
/// The one setting that matters is the [`budget`](Self::budget); how many trees of which size that
/// takes, `perpetual` finds itself. Weights and offsets are honoured: the loss is evaluated here, at
/// tree score plus offset, times the weight. Rows must be dense.
///
/// **Steps.** A leaf's score is −Σg/Σh. Where the logit is far off, h is tiny beside g (for log loss they
/// are in the ratio of the probability of the row's own class), and the score may be a million; where
/// the loss is not convex h may be negative. So for each row h becomes max(|h|, |g|/4): no leaf asks for
/// more than 4 logits in one step. In a leaf with r times the events expected that makes the step
/// (r − 1)/(1 + r/4), close to the ln r that is right (r = 2: 0.67 for 0.69; r = 10: 2.6 for 2.3), where
/// Newton's is r − 1. Scores still come to rest where Σg = 0. `perpetual` works with gradients
/// and losses in single precision.
///
/// **The same bits?** For the same seed, data and version of `perpetual`, on any number of threads, as
/// long as [`memory`](Self::memory) is free: with less, `perpetual` grows smaller trees. Its random
/// draws are its own and not promised to be portable.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::Array2};
/// use imbalance::loss::LogLoss;
/// use imbalance::model::{BoostedTrees, Model, Predict};
///
/// // Positive where both coordinates are on the same side: no line tells that.
/// let x = Array2::from_shape_fn((400, 2), |(i, j)| ((i * (17 + 12 * j)) % 100) as f64 / 50.0 - 1.0);
/// let labels: Vec<bool> = x.rows().into_iter().map(|row| row[0] * row[1] > 0.0).collect();
/// let data = Dataset::new(&x, labels)?;
/// let trees = BoostedTrees::new().fit(&data, &LogLoss, &Run::seeded(7))?;
/// assert!(trees.logit((&[0.5, 0.5]).into())? > 0.0);
/// assert!(trees.logit((&[0.5, -0.5]).into())? < 0.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoostedTrees {
    budget: f32,
    max_trees: Option<usize>,
    memory: f32,
}

impl BoostedTrees {
    /// Budget 0.5, as many trees as that takes, 0.5 GB of memory.
    #[must_use]
    pub fn new() -> Self {
        Self { budget: 0.5, max_trees: None, memory: 0.5 }
    }

    /// How closely to fit, in (0, 5\]: the learning rate is 10 to the power −budget, so that a budget larger by 1
    /// takes ten times as long. Usual: 0.3 to 1.5. Default: 0.5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < budget ≤ 5.
    pub fn budget(mut self, budget: f64) -> Result<Self> {
        if budget > 0.0 && budget <= 5.0 {
            self.budget = budget as f32;
            Ok(self)
        } else {
            Err(Error::invalid("budget", budget, "above 0 and at most 5"))
        }
    }

    /// Maximum number of trees. Default: as many as the budget takes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn max_trees(mut self, max_trees: usize) -> Result<Self> {
        if max_trees == 0 {
            return Err(Error::invalid("max_trees", 0, "at least 1"));
        }
        self.max_trees = Some(max_trees);
        Ok(self)
    }

    /// Memory for training beside the rows, in GB; it limits the size of a tree where there are many
    /// columns. Default: 0.5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless positive and finite.
    pub fn memory(mut self, gigabytes: f64) -> Result<Self> {
        if gigabytes > 0.0 && gigabytes.is_finite() {
            self.memory = gigabytes as f32;
            Ok(self)
        } else {
            Err(Error::invalid("memory", gigabytes, "positive and finite"))
        }
    }
}

impl Default for BoostedTrees {
    fn default() -> Self {
        Self::new()
    }
}

impl Model for BoostedTrees {
    type Fitted = FittedBoostedTrees;

    /// # Errors
    /// [`Error::Unsupported`] for sparse rows, [`Error::OneClass`], whatever the loss refuses,
    /// [`Error::Cancelled`], or [`Error::Numerical`] where the fit leaves the finite numbers.
    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        let totals = train.totals();
        totals.ensure_both("boosted trees")?;
        if train.features().is_sparse() {
            return Err(sparse_rows());
        }
        let rows = RowLosses::new(train, loss.resolve(&totals)?, run);
        let base = rows.best_constant();

        let (used, values) = varying_columns(train.features());
        let mut fitted = FittedBoostedTrees { columns: train.columns(), base, trees: Vec::new() };
        if used.is_empty() {
            return Ok(fitted);
        }
        // In place of labels the objective is given row numbers: it finds label, weight and offset
        // of a row by them.
        let numbers: Vec<f64> = (0..train.rows()).map(|row| row as f64).collect();
        let watch = Arc::clone(&rows.watch);
        let mut booster = PerpetualBooster::default()
            .set_objective(Objective::new_custom(rows))
            .set_base_score(base)
            .set_budget(self.budget)
            .set_iteration_limit(self.max_trees)
            .set_memory_limit(Some(self.memory))
            .set_allow_missing_splits(false)
            .set_num_threads(Some(threads()))
            .set_seed(run.seed().value());
        booster
            .fit(&Matrix::new(&values, train.rows(), used.len()), &numbers, None, None)
            .map_err(|error| Error::Contract {
                stage: "`perpetual`".into(),
                problem: error.to_string(),
            })?;
        watch.stopped()?;
        fitted.trees = booster.trees.iter().map(|tree| Tree::new(tree, &used)).collect();
        let leaves = fitted.trees.iter().flat_map(|tree| &tree.nodes);
        if let Some(bad) = leaves.map(|node| node.value).find(|value| !value.is_finite()) {
            return Err(Error::Numerical {
                what: "a leaf's score".into(),
                value: bad,
                remedy: "scale the weights down, or lower the budget",
            });
        }
        Ok(fitted)
    }
}

fn sparse_rows() -> Error {
    Error::Unsupported {
        stage: "BoostedTrees",
        what: "sparse rows".into(),
        remedy: "`perpetual` reads dense columns; pass a dense matrix of the columns that matter",
    }
}

fn threads() -> usize {
    #[cfg(feature = "rayon")]
    {
        rayon::current_num_threads()
    }
    #[cfg(not(feature = "rayon"))]
    {
        1
    }
}

/// Largest step of a leaf, in logits.
const LONGEST_STEP: f64 = 4.0;

/// The loss of each row as a function of its tree score, for `perpetual`.
struct RowLosses {
    loss: Arc<dyn Loss>,
    labels: Vec<bool>,
    /// Scaled to a mean of 1, as single precision and `perpetual`'s constants take it for granted.
    weights: Vec<f64>,
    offsets: Option<Vec<f64>>,
    /// The scores at which all losses were last evaluated, and the losses. `perpetual` asks for the losses of
    /// all rows whenever it has changed the scores of a few; unchanged ones are looked up.
    last: Mutex<Vec<(f64, f32)>>,
    watch: Arc<Watch>,
}

/// Reports the trees to an observer. `perpetual` has no observer and cannot be stopped from outside, but it asks
/// the objective for gradients once for each tree, and stops where all of them are zero.
struct Watch {
    run: Run,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    evaluations: usize,
    /// The error, once the observer has asked to stop.
    stop: Option<Error>,
}

impl Watch {
    fn new(run: &Run) -> Self {
        Self { run: run.clone(), seen: Mutex::default() }
    }

    /// Reports an evaluation with this mean loss. Returns whether the work is to go on.
    fn goes_on(&self, loss: f64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.stop.is_none() {
            // The first evaluation comes before the first tree. In the end `perpetual` may drop the last
            // trees again.
            let trees = seen.evaluations;
            seen.evaluations += 1;
            seen.stop = self.run.report(&Progress::Boosted { trees, loss }).err();
        }
        seen.stop.is_none()
    }

    /// The error, if the observer asked to stop.
    fn stopped(&self) -> Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.stop.take().map_or(Ok(()), Err)
    }
}

/// The numbers of the columns that vary, and their values, one column after the other. `perpetual` refuses a
/// column without variance.
fn varying_columns(x: FeaturesView<'_>) -> (Vec<usize>, Vec<f64>) {
    let (mut used, mut values) = (Vec::new(), Vec::new());
    visit!(x, |x| if let core::Matrix::Dense(x) = x {
        for (column, entries) in x.columns().into_iter().enumerate() {
            let first = entries.first().copied();
            if entries.iter().any(|&value| Some(value) != first) {
                used.push(column);
                values.extend(entries.iter().map(|value| value.to_f64()));
            }
        }
    });
    (used, values)
}

impl RowLosses {
    fn new(train: &Dataset<'_>, loss: Arc<dyn Loss>, run: &Run) -> Self {
        let mean = train.totals().weight() / train.rows() as f64;
        let weights = match train.weights() {
            None => vec![1.0; train.rows()],
            Some(weights) => weights.iter().map(|weight| weight / mean).collect(),
        };
        Self {
            loss,
            labels: train.labels().to_vec(),
            weights,
            offsets: train.offsets().map(<[f64]>::to_vec),
            last: Mutex::new(Vec::new()),
            watch: Arc::new(Watch::new(run)),
        }
    }

    fn at(&self, row: usize, score: f64) -> Derivatives {
        let logit = score + self.offsets.as_ref().map_or(0.0, |offsets| offsets[row]);
        let mut at = self.loss.at(logit, self.labels[row]);
        at.hessian = at.hessian.abs().max(at.gradient.abs() / LONGEST_STEP);
        at.scaled(self.weights[row])
    }

    /// The best score if all rows have the same.
    fn best_constant(&self) -> f64 {
        let slope = |score: f64| -> f64 {
            let zero = || 0.0;
            sum_rows(self.labels.len(), BLOCK, zero, |sum, rows| {
                *sum += rows.map(|row| self.at(row, score).gradient).sum::<f64>();
            })
        };
        // Beyond ±40 a logit is certain, so that one class has no gradient.
        let offsets = self.offsets.as_deref().unwrap_or(&[0.0]);
        let least = offsets.iter().copied().fold(f64::INFINITY, f64::min);
        let most = offsets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut low, mut high) = (-40.0 - most, 40.0 - least);
        // Until the single precision of the trees cannot tell the ends apart.
        while high - low > 1e-10 * (1.0 + low.abs().max(high.abs())) {
            let middle = low + 0.5 * (high - low);
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
        low + 0.5 * (high - low)
    }

    /// Gradient, curvature and loss of each row; remembers the losses.
    fn evaluate(&self, numbers: &[f64], scores: &[f64]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let all = parallel::map(scores.len(), BLOCK, |_, rows| {
            rows.map(|i| self.at(numbers[i] as usize, scores[i])).collect::<Vec<_>>()
        });
        let all = || all.iter().flatten();
        let losses: Vec<f32> = all().map(|at| at.value as f32).collect();
        let mean = all().map(|at| at.value).sum::<f64>() / scores.len() as f64;
        if !self.watch.goes_on(mean) {
            return (vec![0.0; scores.len()], vec![1.0; scores.len()], losses);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            scores.iter().copied().zip(losses.iter().copied()).collect();
        let gradients = all().map(|at| at.gradient as f32).collect();
        (gradients, all().map(|at| at.hessian as f32).collect(), losses)
    }
}

impl ObjectiveFunction for RowLosses {
    fn loss(
        &self,
        numbers: &[f64],
        scores: &[f64],
        _: Option<&[f64]>,
        _: Option<&[u64]>,
    ) -> Vec<f32> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let loss = |i: usize| match last.get(i) {
            Some(&(score, loss)) if score == scores[i] => loss,
            _ => self.at(numbers[i] as usize, scores[i]).value as f32,
        };
        (0..scores.len()).map(loss).collect()
    }

    fn gradient(
        &self,
        numbers: &[f64],
        scores: &[f64],
        _: Option<&[f64]>,
        _: Option<&[u64]>,
    ) -> (Vec<f32>, Option<Vec<f32>>) {
        let (gradients, hessians, _) = self.evaluate(numbers, scores);
        (gradients, Some(hessians))
    }

    fn gradient_and_loss(
        &self,
        numbers: &[f64],
        scores: &[f64],
        _: Option<&[f64]>,
        _: Option<&[u64]>,
    ) -> (Vec<f32>, Option<Vec<f32>>, Vec<f32>) {
        let (gradients, hessians, losses) = self.evaluate(numbers, scores);
        (gradients, Some(hessians), losses)
    }

    fn initial_value(&self, _: &[f64], _: Option<&[f64]>, _: Option<&[u64]>) -> f64 {
        self.best_constant()
    }

    fn default_metric(&self) -> Metric {
        Metric::LogLoss
    }
}

/// A tree with its nodes in one piece, the root first.
#[derive(Debug, Clone, PartialEq)]
struct Tree {
    nodes: Vec<Node>,
    leaves: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    /// The score, in a leaf.
    value: f64,
    /// The number among the tree's leaves; none in an inner node.
    leaf: Option<usize>,
    column: usize,
    /// Rows with a smaller value go to `left`, the others to `right`.
    threshold: f64,
    left: usize,
    right: usize,
}

impl Tree {
    /// From a tree on the columns `used`.
    fn new(tree: &perpetual::tree::Tree, used: &[usize]) -> Self {
        let empty =
            Node { value: 0.0, leaf: Some(0), column: 0, threshold: 0.0, left: 0, right: 0 };
        let mut flat = Self { nodes: vec![empty], leaves: 0 };
        let mut open = vec![(0, 0)];
        while let Some((number, place)) = open.pop() {
            let Some(node) = tree.nodes.get(&number) else { continue };
            if node.is_leaf {
                flat.nodes[place].value = f64::from(node.weight_value);
                flat.nodes[place].leaf = Some(flat.leaves);
                flat.leaves += 1;
            } else {
                let left = flat.nodes.len();
                flat.nodes.extend([empty; 2]);
                flat.nodes[place] = Node {
                    leaf: None,
                    column: used[node.split_feature],
                    threshold: node.split_value,
                    left,
                    right: left + 1,
                    ..empty
                };
                // The left one is taken first, so that leaves are numbered from left to right.
                open.extend([(node.right_child, left + 1), (node.left_child, left)]);
            }
        }
        flat
    }

    /// Number and score of the leaf that a row falls into.
    fn leaf(&self, row: &[f64]) -> (usize, f64) {
        let mut node = &self.nodes[0];
        loop {
            match node.leaf {
                Some(leaf) => return (leaf, node.value),
                None if row[node.column] < node.threshold => node = &self.nodes[node.left],
                None => node = &self.nodes[node.right],
            }
        }
    }
}

/// Fitted [`BoostedTrees`]: a constant and the sum of the leaves that a row falls into.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedBoostedTrees {
    columns: usize,
    base: f64,
    trees: Vec<Tree>,
}

impl FittedBoostedTrees {
    /// Number of trees.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Number of leaves of all trees: columns of [`leaves`](Self::leaves).
    #[must_use]
    pub fn leaf_count(&self) -> usize {
        self.trees.iter().map(|tree| tree.leaves).sum()
    }

    /// The leaves that each row falls into, one-hot: a column for each leaf of each tree, with a one
    /// for each tree in each row (He et al. 2014, §3.1).
    ///
    /// # Errors
    /// As for [`Predict::logits_into`], and [`Error::Unsupported`] for sparse rows.
    pub fn leaves(&self, x: FeaturesView<'_>) -> Result<CsMat<f32>> {
        let width = self.trees.len();
        let mut indices = vec![0; x.nrows() * width];
        self.for_rows(x, &mut indices, width, |row, out| {
            let mut first = 0;
            for (tree, out) in self.trees.iter().zip(out) {
                *out = first + tree.leaf(row).0;
                first += tree.leaves;
            }
        })?;
        let bounds = (0..=x.nrows()).map(|row| row * width).collect();
        let ones = vec![1.0; indices.len()];
        Ok(CsMat::new((x.nrows(), self.leaf_count()), bounds, indices, ones))
    }

    /// Calls `f` with each row and its `width` entries of `out`.
    fn for_rows<U: Send>(
        &self,
        x: FeaturesView<'_>,
        out: &mut [U],
        width: usize,
        f: impl Fn(&[f64], &mut [U]) + Sync + Send,
    ) -> Result<()> {
        x.ensure_columns(self.columns)?;
        if x.is_sparse() {
            return Err(sparse_rows());
        }
        if let Some((row, column, value)) = x.first_non_finite() {
            let what = "the feature matrix".into();
            return Err(Error::NonFinite { what, row, column: Some(column), value });
        }
        if width == 0 {
            return Ok(());
        }
        parallel::map_into(out, width, BLOCK, |_, rows, out| {
            let mut row = vec![0.0; self.columns];
            for (number, out) in rows.zip(out.chunks_mut(width)) {
                x.row(number).entries().for_each(|(column, value)| row[column] = value);
                f(&row, out);
            }
        });
        Ok(())
    }
}

impl Predict for FittedBoostedTrees {
    /// # Errors
    /// Also [`Error::Unsupported`] for sparse rows.
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        x.ensure_columns(self.columns)?;
        same_length("the output", out.len(), "the feature matrix", x.nrows())?;
        self.for_rows(x, out, 1, |row, out| {
            out[0] = self.base + self.trees.iter().map(|tree| tree.leaf(row).1).sum::<f64>();
        })
    }

    fn describe(&self) -> String {
        let (trees, leaves) = (self.trees(), self.leaf_count());
        format!("boosted trees, {} columns: {trees} trees with {leaves} leaves", self.columns)
    }
}

/// A logistic regression on the leaves of boosted trees (He et al. 2014, §3.1): the trees find the
/// features, the linear model weighs them.
///
/// Both are fitted on the same rows, under the same loss, weights and offsets. The leaves already know
/// these rows, so the penalty of the logistic regression matters.
///
/// ```
/// use imbalance::model::{BoostedLeaves, BoostedTrees, LogisticRegression};
///
/// let model = BoostedLeaves::new(BoostedTrees::new().max_trees(100)?, LogisticRegression::new());
/// # let _ = model;
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BoostedLeaves {
    trees: BoostedTrees,
    regression: LogisticRegression,
}

impl BoostedLeaves {
    /// This regression on the leaves of these trees.
    #[must_use]
    pub fn new(trees: BoostedTrees, regression: LogisticRegression) -> Self {
        Self { trees, regression }
    }
}

impl Model for BoostedLeaves {
    type Fitted = FittedBoostedLeaves;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        let loss = loss.resolve(&train.totals())?;
        let trees = self.trees.fit(train, &loss, &run.child("trees"))?;
        let mut leaves = Dataset::new(trees.leaves(train.features())?, train.labels())?;
        if let Some(weights) = train.weights() {
            leaves = leaves.with_weights(weights)?;
        }
        if let Some(offsets) = train.offsets() {
            leaves = leaves.with_offsets(offsets)?;
        }
        let regression = self.regression.fit(&leaves, &loss, &run.child("regression"))?;
        Ok(FittedBoostedLeaves { trees, regression })
    }
}

/// A fitted [`BoostedLeaves`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedBoostedLeaves {
    trees: FittedBoostedTrees,
    regression: FittedLogisticRegression,
}

impl FittedBoostedLeaves {
    /// The trees.
    #[must_use]
    pub fn trees(&self) -> &FittedBoostedTrees {
        &self.trees
    }

    /// The logistic regression on their leaves.
    #[must_use]
    pub fn regression(&self) -> &FittedLogisticRegression {
        &self.regression
    }
}

impl Predict for FittedBoostedLeaves {
    /// # Errors
    /// Also [`Error::Unsupported`] for sparse rows.
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        let leaves = self.trees.leaves(x)?;
        self.regression.logits_into(Features::from(&leaves).view(), out)
    }

    fn describe(&self) -> String {
        let trees = Predict::describe(&self.trees);
        format!("{trees}; on them {}", Predict::describe(&self.regression))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{FocalLoss, LogLoss, LogitAdjusted, WeightedLogLoss};
    use ndarray::Array2;

    fn rows(loss: impl Loss + 'static, offsets: Vec<f64>) -> RowLosses {
        let n = offsets.len();
        let labels: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
        let x = Array2::<f64>::zeros((n, 1));
        let data = Dataset::new(&x, labels).unwrap().with_offsets(offsets).unwrap();
        RowLosses::new(&data, Arc::new(loss), &Run::default())
    }

    #[test]
    fn curvatures_are_the_losses_own_where_steps_are_short_and_bound_them_elsewhere() {
        let x = Array2::<f64>::zeros((100, 1));
        let labels: Vec<bool> = (0..100).map(|i| i == 0).collect();
        let one_in_a_hundred = Dataset::new(&x, labels).unwrap().totals();
        let losses: [&dyn Loss; 5] = [
            &LogLoss,
            &WeightedLogLoss::balanced(),
            &WeightedLogLoss::given(0.01, 3.0).unwrap(),
            &LogitAdjusted::new(1.0).unwrap(),
            &FocalLoss::new(2.0).unwrap(),
        ];
        for loss in losses {
            let rows = rows(loss.resolve(&one_in_a_hundred).unwrap(), vec![0.0; 2]);
            for (row, label) in [(0, true), (1, false)] {
                for z in (-300..=300).map(|i| f64::from(i) * 0.1) {
                    let (found, own) = (rows.at(row, z), rows.loss.at(z, label));
                    let step = found.gradient.abs() / found.hessian;
                    assert!(step <= 4.0 * (1.0 + f64::EPSILON), "{loss:?} at {z}, {label}: {step}");
                    if own.gradient.abs() < 4.0 * own.hessian {
                        assert_eq!(found, own, "{loss:?} at {z}, {label}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_best_constant_follows_offsets_of_any_size() {
        for size in [0.0, 1.5, 100.0, -1e6] {
            // As many positives as negatives, so the best logit is 0.
            let found = rows(LogLoss, vec![size; 4]).best_constant();
            assert!((found + size).abs() < 1e-9 * (1.0 + size.abs()), "{found} for {size}");
        }
    }
}
