//! Gradient-boosted trees, alone and under a logistic regression (feature `gbdt`).

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hessboost::config::{GrowPolicy, TrainingParams, TreeMethod};
use hessboost::data::DMatrix;
use hessboost::error::HessboostError;
use hessboost::metric::CustomMetric;
use hessboost::objective::{CustomLoss, GradPair, Objective};
use hessboost::training::Trainer;
use hessboost::tree::RegTree;
use sprs::CsMat;

use super::row_sums::sum_rows;
use super::{FittedLogisticRegression, LogisticRegression, Model, Predict};
use crate::core::{
    Cut, Dataset, Error, Features, FeaturesView, Progress, Result, Run, same_length, saved_as_part,
    stored,
};
use crate::exec::parallel::{self, BLOCK};
use crate::loss::{Derivatives, Loss};

/// Gradient-boosted decision trees under any loss, by the `hessboost` crate: a logit that is a sum of
/// trees, for interactions and thresholds that a linear model misses.
///
/// Each tree is grown leaf by leaf on histograms of its columns. By default the number of trees comes from rows that
/// the trees do not learn from ([`stop_on`](Self::stop_on)); then all rows are fitted with that number. Weights and
/// offsets are honoured: the loss is evaluated here, in `f64`, at tree score plus offset, times the weight.
///
/// **Sparse rows**: an entry of 0 is taken for missing, and every split learns where such rows go. Dense rows have no
/// missing entries.
///
/// **Steps.** A leaf's score is −Σg/(Σh + λ), times the learning rate. Where the logit is far off, h is tiny beside g
/// (for log loss they are in the ratio of the probability of the row's own class), and the score may be a million;
/// where the loss is not convex h may be negative. So for each row h becomes max(|h|, |g|/4): no leaf asks for
/// more than 4 logits in one step. In a leaf with r times the events expected that makes the step
/// (r − 1)/(1 + r/4), close to the ln r that is right (r = 2: 0.67 for 0.69; r = 10: 2.6 for 2.3), where
/// Newton's is r − 1. Scores still come to rest where Σg = 0.
///
/// **What does not change the trees**, but for rounding in single precision: a factor of the loss or of all weights,
/// rows of weight 0, the order of the columns, an increasing function of a column, and, if the number of trees is
/// given, rows repeated in place of an integer weight. So [`least_share`](Self::least_share) and
/// [`l2`](Self::l2) are relative to Σh of all rows at the best constant.
///
/// **The same bits** for the same seed, data and version of `hessboost`, on any number of threads.
///
/// Sources: Friedman 2001 (boosting); Chen & Guestrin 2016 (second-order leaves, sparse rows); Ke et al. 2017
/// (histograms, leaf-wise growth).
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
#[derive(Debug, Clone, PartialEq)]
pub struct BoostedTrees {
    max_trees: usize,
    learning_rate: f64,
    max_leaves: usize,
    least_share: f64,
    l2: f64,
    stop_on: Option<StopOn>,
}

/// Rows that decide on the number of trees.
#[derive(Debug, Clone, PartialEq)]
struct StopOn {
    share: f64,
    cut: Cut,
    patience: usize,
}

impl BoostedTrees {
    /// At most 1,000 trees of at most 16 leaves, with a learning rate of 0.1; as many of them as do best on a fifth of the
    /// rows, which is drawn by class.
    #[must_use]
    pub fn new() -> Self {
        let stop_on = StopOn { share: 0.2, cut: Cut::Stratified, patience: 25 };
        Self {
            max_trees: 1_000,
            learning_rate: 0.1,
            max_leaves: 16,
            least_share: 0.01,
            l2: 0.01,
            stop_on: Some(stop_on),
        }
    }

    /// The most trees. Default: 1,000.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn max_trees(mut self, max_trees: usize) -> Result<Self> {
        if max_trees == 0 {
            return Err(Error::invalid("max_trees", 0, "at least 1"));
        }
        self.max_trees = max_trees;
        Ok(self)
    }

    /// A number of trees that is given, so that all rows are fitted at once.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn trees(mut self, trees: usize) -> Result<Self> {
        if trees == 0 {
            return Err(Error::invalid("trees", 0, "at least 1"));
        }
        (self.max_trees, self.stop_on) = (trees, None);
        Ok(self)
    }

    /// What each step is multiplied by, in (0, 1\]: half of it takes about twice as many trees. Default: 0.1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless in (0, 1\].
    pub fn learning_rate(mut self, learning_rate: f64) -> Result<Self> {
        if !(learning_rate > 0.0 && learning_rate <= 1.0) {
            return Err(Error::invalid("learning_rate", learning_rate, "above 0 and at most 1"));
        }
        self.learning_rate = learning_rate;
        Ok(self)
    }

    /// The most leaves of a tree, 2 for trees of one split. Default: 16.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] below 2.
    pub fn max_leaves(mut self, max_leaves: usize) -> Result<Self> {
        if max_leaves < 2 {
            return Err(Error::invalid("max_leaves", max_leaves, "at least 2"));
        }
        self.max_leaves = max_leaves;
        Ok(self)
    }

    /// The share of Σh that a leaf must hold, in \[0, 1). For log loss and rare positives that is about the share of the
    /// positives to expect there. Default: 0.01.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] outside \[0, 1).
    pub fn least_share(mut self, least_share: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&least_share) {
            return Err(Error::invalid("least_share", least_share, "at least 0 and below 1"));
        }
        self.least_share = least_share;
        Ok(self)
    }

    /// λ as a share of Σh. Default: 0.01.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 or above, and finite.
    pub fn l2(mut self, l2: f64) -> Result<Self> {
        if !(l2 >= 0.0 && l2.is_finite()) {
            return Err(Error::invalid("l2", l2, "at least 0, and finite"));
        }
        self.l2 = l2;
        Ok(self)
    }

    /// The rows that decide on the number of trees: a share of them, how they are cut off, and after how many trees without
    /// a gain the search ends. Default: 0.2, [`Cut::Stratified`], 25.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < share < 1 and `patience` is at least 1.
    pub fn stop_on(mut self, share: f64, cut: Cut, patience: usize) -> Result<Self> {
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::invalid("share", share, "between 0 and 1"));
        }
        if patience == 0 {
            return Err(Error::invalid("patience", 0, "at least 1"));
        }
        self.stop_on = Some(StopOn { share, cut, patience });
        Ok(self)
    }

    /// The number of trees that do best on rows which they have not learned from.
    fn best_number(
        &self,
        train: &Dataset<'_>,
        columns: &Columns,
        loss: &Arc<dyn Loss>,
        stop_on: &StopOn,
        run: &Run,
    ) -> Result<usize> {
        let seed = run.seed().child("rows to stop on");
        let split = train.split_rows(&stop_on.cut, stop_on.share, seed)?;
        let part = |rows: &[usize]| -> Result<(Rows, DMatrix)> {
            let rows_of = train.select(rows)?;
            let part = Rows::new(&rows_of, Arc::clone(loss));
            Ok((part, columns.matrix(train.features(), rows)?))
        };
        let (rows, x) = part(split.train())?;
        let (judges, x_judges) = part(split.test())?;
        let watch = Watch::new(run);
        let base = rows.best_constant();
        let judge = CustomMetric::new("loss", false, move |scores, _, _| {
            judges.mean_loss(|row| base + f64::from(scores[row]))
        });
        let parameters = self.parameters(rows, base, &watch)?;
        let model = trainer(&parameters, &x, self.max_trees, &watch)
            .eval(&x_judges, "rows to stop on")
            .custom_metric(Box::new(judge))
            .early_stopping_rounds(NonZeroUsize::new(stop_on.patience).unwrap_or(NonZeroUsize::MIN))
            .train();
        watch.stopped()?;
        Ok(model
            .map_err(|error| refused(&error))?
            .model
            .best_iteration()
            .map_or(self.max_trees, |best| best + 1))
    }

    fn parameters(&self, rows: Rows, base: f64, watch: &Arc<Watch>) -> Result<TrainingParams> {
        // In units in which Σh of all rows at the best constant is 1,000, whatever the weights and the loss are.
        let unit = rows.curvature(base) / CURVATURE;
        let watch = Arc::clone(watch);
        let loss = CustomLoss::new("loss", 1, move |scores, _, _, out| {
            let logits = |row: usize| base + f64::from(scores[row]);
            watch.evaluated(rows.derivatives(logits, unit, out));
        });
        let parameters = TrainingParams::builder()
            .objective(Objective::custom(loss))
            .tree_method(TreeMethod::Hist)
            .grow_policy(GrowPolicy::LossGuide)
            .unlimited_depth()
            .max_leaves(self.max_leaves)
            .eta(self.learning_rate)
            .lambda(self.l2 * CURVATURE)
            .min_child_weight(self.least_share * CURVATURE);
        #[cfg(not(feature = "rayon"))]
        let parameters = parameters.nthread(1);
        parameters.build().map_err(|error| refused(&error))
    }
}

/// Σh of all rows at the start, for `hessboost`, whose numbers are in single precision.
const CURVATURE: f64 = 1_000.0;

fn refused(error: &HessboostError) -> Error {
    Error::Contract { stage: "`hessboost`".into(), problem: error.to_string() }
}

impl Default for BoostedTrees {
    fn default() -> Self {
        Self::new()
    }
}

/// With fewer rows of a class no rows are set aside to stop on, and the number of trees is [`FEW_TREES`].
const ENOUGH_TO_STOP_ON: usize = 10;
const FEW_TREES: usize = 20;

impl Model for BoostedTrees {
    type Fitted = FittedBoostedTrees;

    /// With fewer than 10 rows of a class no rows are set aside, and the trees are at most 20.
    ///
    /// # Errors
    /// [`Error::OneClass`], whatever the loss refuses, [`Error::Cancelled`], [`Error::UnknownColumn`] or
    /// [`Error::ColumnKind`] for the attribute of [`stop_on`](Self::stop_on), or [`Error::Numerical`] where the fit
    /// leaves the finite numbers.
    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        let totals = train.totals();
        totals.ensure_both("boosted trees")?;
        if let Some(weights) = train.weights().filter(|weights| weights.contains(&0.0)) {
            let counted: Vec<usize> = (0..train.rows()).filter(|&row| weights[row] > 0.0).collect();
            return self.fit(&train.select(&counted)?, loss, run);
        }
        let loss = loss.resolve(&totals)?;
        let columns = Columns::new(train.features());
        let number = match &self.stop_on {
            None => self.max_trees,
            Some(_) if totals.positives.min(totals.negatives) < ENOUGH_TO_STOP_ON => {
                self.max_trees.min(FEW_TREES)
            }
            Some(stop_on) => self.best_number(train, &columns, &loss, stop_on, run)?,
        };
        let rows = Rows::new(train, loss);
        let (base, watch) = (rows.best_constant(), Watch::new(run));
        let all: Vec<usize> = (0..train.rows()).collect();
        let x = columns.matrix(train.features(), &all)?;
        let parameters = self.parameters(rows, base, &watch)?;
        let model = trainer(&parameters, &x, number, &watch).train();
        watch.stopped()?;
        let model = model.map_err(|error| refused(&error))?.model;
        let trees = model.trees().iter().map(|tree| Tree::new(tree, &columns));
        // A tree of one leaf would move the constant, which is the best already.
        let trees: Vec<Tree> = trees.filter(|tree| tree.leaves > 1).collect();
        let scores = trees.iter().flat_map(|tree| &tree.nodes).map(|node| node.value);
        if let Some(value) = scores.into_iter().find(|value| !value.is_finite()) {
            let remedy = "look whether the loss has finite gradients";
            return Err(Error::Numerical { what: "a leaf's score".into(), value, remedy });
        }
        Ok(FittedBoostedTrees { columns: train.columns(), base, trees })
    }

    saved_as_part!();
}

fn trainer<'a>(
    parameters: &'a TrainingParams,
    x: &'a DMatrix,
    trees: usize,
    watch: &'a Watch,
) -> Trainer<'a> {
    Trainer::new(parameters, x, trees).on_round(|_| watch.verdict())
}

/// Reports the trees to an observer, and stops where it asks for that.
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
    fn new(run: &Run) -> Arc<Self> {
        Arc::new(Self { run: run.clone(), seen: Mutex::default() })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports an evaluation with this mean loss; the first one comes before the first tree.
    fn evaluated(&self, loss: f64) {
        let mut seen = self.seen();
        let trees = seen.evaluations;
        seen.evaluations += 1;
        if seen.stop.is_none() {
            seen.stop = self.run.report(&Progress::Boosted { trees, loss }).err();
        }
    }

    fn verdict(&self) -> ControlFlow<()> {
        if self.seen().stop.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The error, if the observer asked to stop.
    fn stopped(&self) -> Result<()> {
        self.seen().stop.take().map_or(Ok(()), Err)
    }
}

/// The different values of each column. `hessboost` holds features in single precision; it is given the place of each
/// value among them instead, so no column loses digits, whatever its units are.
struct Columns {
    /// Ascending. Of sparse rows the values other than 0.
    values: Vec<Vec<f64>>,
    are_sparse: bool,
}

impl Columns {
    fn new(x: FeaturesView<'_>) -> Self {
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); x.ncols()];
        let are_sparse = x.is_sparse();
        for row in 0..x.nrows() {
            for (column, value) in x.row(row).entries() {
                if value != 0.0 || !are_sparse {
                    // Adding 0 turns −0 into 0.
                    values[column].push(value + 0.0);
                }
            }
        }
        parallel::map_into(&mut values, 1, 1, |_, _, values| {
            values[0].sort_unstable_by(f64::total_cmp);
            values[0].dedup();
        });
        Self { values, are_sparse }
    }

    fn place(&self, column: usize, value: f64) -> f32 {
        self.values[column].partition_point(|&other| other < value) as f32
    }

    /// Some rows as places.
    fn matrix(&self, x: FeaturesView<'_>, rows: &[usize]) -> Result<DMatrix> {
        let width = self.values.len();
        if !self.are_sparse {
            let mut places = vec![0.0; rows.len() * width];
            parallel::map_into(&mut places, width, BLOCK, |_, block, out| {
                for (&row, out) in rows[block].iter().zip(out.chunks_mut(width)) {
                    for (column, value) in x.row(row).entries() {
                        out[column] = self.place(column, value);
                    }
                }
            });
            let x = DMatrix::from_dense_vec(places, rows.len(), width)
                .map_err(|error| refused(&error))?;
            return with_no_labels(x);
        }
        let (mut bounds, mut columns, mut places) = (vec![0], Vec::new(), Vec::new());
        for &row in rows {
            for (column, value) in x.row(row).entries().filter(|entry| entry.1 != 0.0) {
                columns.push(column as u32);
                places.push(self.place(column, value));
            }
            bounds.push(columns.len());
        }
        with_no_labels(
            DMatrix::from_csr(bounds, columns, places, width).map_err(|error| refused(&error))?,
        )
    }

    /// The number below which the values are whose places are below `limit`.
    fn threshold(&self, column: usize, limit: f32) -> f64 {
        let values = &self.values[column];
        let first = limit.ceil().max(0.0) as usize;
        match (first.checked_sub(1).and_then(|last| values.get(last)), values.get(first)) {
            (Some(&below), Some(&above)) => {
                let middle = f64::midpoint(below, above);
                if middle > below { middle } else { above }
            }
            (None, Some(_)) => f64::NEG_INFINITY,
            (_, None) => f64::INFINITY,
        }
    }
}

/// The loss has the labels; `hessboost` only wants some to be there.
fn with_no_labels(x: DMatrix) -> Result<DMatrix> {
    let labels = vec![0.0; x.n_rows()];
    x.with_labels(&labels).map_err(|error| refused(&error))
}

/// Largest step of a leaf, in logits.
const LONGEST_STEP: f64 = 4.0;

/// The loss of each row.
struct Rows {
    loss: Arc<dyn Loss>,
    labels: Vec<bool>,
    weights: Option<Vec<f64>>,
    offsets: Option<Vec<f64>>,
}

impl Rows {
    fn new(rows: &Dataset<'_>, loss: Arc<dyn Loss>) -> Self {
        Self {
            loss,
            labels: rows.labels().to_vec(),
            weights: rows.weights().map(<[f64]>::to_vec),
            offsets: rows.offsets().map(<[f64]>::to_vec),
        }
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }

    fn at(&self, row: usize, score: f64) -> Derivatives {
        let logit = score + self.offsets.as_ref().map_or(0.0, |offsets| offsets[row]);
        let mut at = self.loss.at(logit, self.labels[row]);
        at.hessian = at.hessian.abs().max(at.gradient.abs() / LONGEST_STEP);
        at.scaled(self.weight(row))
    }

    fn sum(&self, term: impl Fn(usize) -> f64 + Sync + Send) -> f64 {
        sum_rows(
            self.labels.len(),
            BLOCK,
            || 0.0,
            |sum, rows| {
                *sum += rows.map(&term).sum::<f64>();
            },
        )
    }

    /// The best score if all rows have the same.
    fn best_constant(&self) -> f64 {
        // Beyond ±40 a logit is certain, so that one class has no gradient.
        let offsets = self.offsets.as_deref().unwrap_or(&[0.0]);
        let least = offsets.iter().copied().fold(f64::INFINITY, f64::min);
        let most = offsets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut low, mut high) = (-40.0 - most, 40.0 - least);
        // Until the single precision of the trees cannot tell the ends apart.
        while high - low > 1e-10 * (1.0 + low.abs().max(high.abs())) {
            let middle = low + 0.5 * (high - low);
            let slope = self.sum(|row| self.at(row, middle).gradient);
            if slope < 0.0 { low = middle } else { high = middle }
        }
        low + 0.5 * (high - low)
    }

    fn curvature(&self, score: f64) -> f64 {
        self.sum(|row| self.at(row, score).hessian)
    }

    fn mean_loss(&self, score: impl Fn(usize) -> f64 + Sync + Send) -> f64 {
        let loss = self.sum(|row| self.at(row, score(row)).value);
        loss / self.sum(|row| self.weight(row))
    }

    /// Writes gradients and curvatures in a unit, and returns the mean loss.
    fn derivatives(
        &self,
        score: impl Fn(usize) -> f64 + Sync + Send,
        unit: f64,
        out: &mut [GradPair],
    ) -> f64 {
        let losses = parallel::map_into(out, 1, BLOCK, |_, rows, out| {
            let mut loss = 0.0;
            for (row, out) in rows.zip(out) {
                let at = self.at(row, score(row));
                *out = GradPair::new((at.gradient / unit) as f32, (at.hessian / unit) as f32);
                loss += at.value;
            }
            loss
        });
        losses.into_iter().sum::<f64>() / self.sum(|row| self.weight(row))
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
    /// Where rows with a value of 0 go: in sparse rows it counts as missing.
    zero_to_left: bool,
    left: usize,
    right: usize,
}

impl Node {
    const EMPTY: Self = Self {
        value: 0.0,
        leaf: None,
        column: 0,
        threshold: 0.0,
        zero_to_left: true,
        left: 0,
        right: 0,
    };
}

impl Tree {
    fn new(tree: &RegTree, columns: &Columns) -> Self {
        let empty = Node { leaf: Some(0), ..Node::EMPTY };
        let mut flat = Self { nodes: vec![empty], leaves: 0 };
        let mut open = vec![(0, 0)];
        while let Some((number, place)) = open.pop() {
            let node = tree.node(number);
            if node.is_leaf() {
                flat.nodes[place].value = f64::from(node.leaf_value);
                flat.nodes[place].leaf = Some(flat.leaves);
                flat.leaves += 1;
            } else {
                let (left, column) = (flat.nodes.len(), node.split_feature as usize);
                let threshold = columns.threshold(column, node.split_cond);
                flat.nodes.extend([empty; 2]);
                flat.nodes[place] = Node {
                    leaf: None,
                    column,
                    threshold,
                    zero_to_left: if columns.are_sparse {
                        node.default_left
                    } else {
                        0.0 < threshold
                    },
                    left,
                    right: left + 1,
                    ..empty
                };
                // The left one is taken first, so that leaves are numbered from left to right.
                open.extend([(node.right as usize, left + 1), (node.left as usize, left)]);
            }
        }
        flat
    }

    /// Number and score of the leaf that a row falls into.
    fn leaf(&self, row: &[f64]) -> (usize, f64) {
        let mut node = &self.nodes[0];
        loop {
            let Some(leaf) = node.leaf else {
                let value = row[node.column];
                let to_left = if value == 0.0 { node.zero_to_left } else { value < node.threshold };
                node = &self.nodes[if to_left { node.left } else { node.right }];
                continue;
            };
            return (leaf, node.value);
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
    /// As for [`Predict::logits_into`].
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
        if let Some((row, column, value)) = x.first_non_finite() {
            let what = "the feature matrix".into();
            return Err(Error::NonFinite { what, row, column: Some(column), value });
        }
        if width == 0 {
            return Ok(());
        }
        parallel::map_into(out, width, BLOCK, |_, rows, out| {
            let mut dense = vec![0.0; self.columns];
            for (number, out) in rows.zip(out.chunks_mut(width)) {
                let row = x.row(number);
                row.entries().for_each(|(column, value)| dense[column] = value);
                f(&dense, out);
                row.entries().for_each(|(column, _)| dense[column] = 0.0);
            }
        });
        Ok(())
    }
}

impl Predict for FittedBoostedTrees {
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

    saved_as_part!();
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

    saved_as_part!();
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
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        let leaves = self.trees.leaves(x)?;
        self.regression.logits_into(Features::from(&leaves).view(), out)
    }

    fn describe(&self) -> String {
        let trees = Predict::describe(&self.trees);
        format!("{trees}; on them {}", Predict::describe(&self.regression))
    }

    saved_as_part!();
}

stored!(StopOn as "stop_on", |stop_on| {
    share: f64 = stop_on.share,
    cut: Cut = stop_on.cut,
    patience: usize = stop_on.patience,
} => Ok(Self { share, cut, patience }));

stored!(BoostedTrees as "boosted_trees", |trees| {
    max_trees: usize = trees.max_trees,
    learning_rate: f64 = trees.learning_rate,
    max_leaves: usize = trees.max_leaves,
    least_share: f64 = trees.least_share,
    l2: f64 = trees.l2,
    stop_on: Option<StopOn> = trees.stop_on,
} => Self::new().trees(max_trees).and_then(|trees| {
    let trees = trees.learning_rate(learning_rate)?.max_leaves(max_leaves)?;
    let trees = trees.least_share(least_share)?.l2(l2)?;
    match stop_on {
        None => Ok(trees),
        Some(StopOn { share, cut, patience }) => trees.stop_on(share, cut, patience),
    }
}));

stored!(BoostedLeaves as "boosted_leaves", |model| {
    trees: BoostedTrees = model.trees,
    regression: LogisticRegression = model.regression,
} => Ok(Self { trees, regression }));

/// A node as it is stored: the right child stands behind the left one.
#[cfg(feature = "serde")]
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredNode {
    Leaf(f64),
    Split {
        column: usize,
        /// Infinite where a split of sparse rows tells zeros from all other values.
        #[serde(with = "crate::saved::number")]
        threshold: f64,
        zero_to_left: bool,
        left: usize,
    },
}

#[cfg(feature = "serde")]
impl Tree {
    fn stored(&self) -> Vec<StoredNode> {
        let node = |node: &Node| {
            let Node { value, leaf, column, threshold, zero_to_left, left, .. } = *node;
            match leaf {
                Some(_) => StoredNode::Leaf(value),
                None => StoredNode::Split { column, threshold, zero_to_left, left },
            }
        };
        self.nodes.iter().map(node).collect()
    }

    /// The tree of these nodes, which must be one, and reads no more than these columns.
    fn restored(stored: &[StoredNode], columns: usize) -> Result<Self> {
        let wrong = |node: usize, problem: &str| {
            Err(Error::invalid(
                "trees",
                format!("node {node}, which {problem}"),
                "trees of whole nodes",
            ))
        };
        let mut nodes = Vec::with_capacity(stored.len());
        for (place, node) in stored.iter().enumerate() {
            nodes.push(match *node {
                StoredNode::Leaf(value) if !value.is_finite() => {
                    return wrong(place, "has no finite score");
                }
                StoredNode::Leaf(value) => Node { value, leaf: Some(0), ..Node::EMPTY },
                StoredNode::Split { column, .. } if column >= columns => {
                    return wrong(place, "splits a column that does not exist");
                }
                StoredNode::Split { threshold, .. } if threshold.is_nan() => {
                    return wrong(place, "has no threshold");
                }
                StoredNode::Split { left, .. } if left <= place || left + 1 >= stored.len() => {
                    return wrong(place, "has no children behind it");
                }
                StoredNode::Split { column, threshold, zero_to_left, left } => {
                    Node { column, threshold, zero_to_left, left, right: left + 1, ..Node::EMPTY }
                }
            });
        }
        let mut tree = Self { nodes, leaves: 0 };
        let (mut open, mut reached) = (vec![0], 0);
        while let Some(place) = open.pop() {
            reached += 1;
            let Some(node) = tree.nodes.get_mut(place) else { return wrong(place, "is missing") };
            if node.leaf.is_some() {
                node.leaf = Some(tree.leaves);
                tree.leaves += 1;
            } else {
                open.extend([node.right, node.left]);
            }
            if reached > stored.len() {
                break;
            }
        }
        if reached == stored.len() { Ok(tree) } else { wrong(reached, "is reached twice or never") }
    }
}

stored!(FittedBoostedTrees as "fitted_boosted_trees", |model| {
    columns: usize = model.columns,
    base: f64 = model.base,
    trees: Vec<Vec<StoredNode>> = model.trees.iter().map(Tree::stored).collect::<Vec<_>>(),
} => crate::core::ensure_finite("base", &[base]).and_then(|()| {
    let trees = trees.iter().map(|tree| Tree::restored(tree, columns));
    Ok(Self { columns, base, trees: trees.collect::<Result<Vec<_>>>()? })
}));

stored!(FittedBoostedLeaves as "fitted_boosted_leaves", |model| {
    trees: FittedBoostedTrees = model.trees,
    regression: FittedLogisticRegression = model.regression,
} => {
    let (leaves, coefficients) = (trees.leaf_count(), regression.coefficients().len());
    if leaves == coefficients {
        Ok(Self { trees, regression })
    } else {
        Err(Error::invalid("coefficients", coefficients, format!("{leaves}, one for each leaf")))
    }
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{FocalLoss, LogLoss, LogitAdjusted, WeightedLogLoss};
    use ndarray::Array2;

    fn rows(loss: impl Loss + 'static, offsets: Vec<f64>) -> Rows {
        let n = offsets.len();
        let labels: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
        let x = Array2::<f64>::zeros((n, 1));
        let data = Dataset::new(&x, labels).unwrap().with_offsets(offsets).unwrap();
        Rows::new(&data, Arc::new(loss))
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
