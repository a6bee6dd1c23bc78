//! ONNX models.

use super::encoder::Encoder;
use super::form::{Form, Linear, Logit, Model, Node};
use super::formula::{Binary, Expr, Steps, Unary};
use super::protobuf::Message;
use crate::calibration::CalibrationMap;
use crate::core::{Error, Precision, Result};
use crate::model::Predict;
use crate::pipeline::{FittedPipeline, Scorer};

/// The version of the file format.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 18;
/// The first version of `ai.onnx.ml` whose trees have numbers and sums in `f64`.
const ML_OPSET: i64 = 5;

/// A fitted pipeline as an ONNX model: IR version 8, opset 18 and, for trees, version 5 of `ai.onnx.ml`.
///
/// | | name | type and shape |
/// |---|---|---|
/// | input | `features` | `float` or `double` by `precision`, \[rows, columns\] |
/// | output | `probability` | `double`, \[rows, 1\] |
///
/// All arithmetic is in `f64`, with features of `float` widened first: probabilities differ from the library's by the
/// rounding of sums, exponentials and logarithms. A row whose linear logit falls on an edge of a step may, by that
/// rounding, fall on its other side; the scores of trees are added in the order of the library. Features must be finite; a probability below 10⁻³⁰⁰ is 0. Names of the columns are in the
/// metadata, under `columns`, as a JSON list.
///
/// ```
/// use imbalance::{FittedPipeline, Precision};
/// use imbalance::calibration::{Calibration, PlattMap};
/// use imbalance::export::onnx;
/// use imbalance::model::LinearModel;
///
/// let model = LinearModel::new(vec![2.0, -1.0], -4.0)?;
/// let fitted = FittedPipeline::from_parts([(model, Calibration::new(PlattMap::new(0.5, -1.0)?))])?;
/// let bytes = onnx(&fitted, Precision::F32)?; // for a file, or a runtime
/// assert!(bytes.len() < 2_000);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unsupported`] for logits that were computed elsewhere, for members of different numbers of columns, and for a
/// beta CDF with a parameter above 1,000; [`Error::NotSavable`] for stages of your own that do not say how they are
/// saved.
pub fn onnx<P: Predict, K: CalibrationMap>(
    fitted: &FittedPipeline<P, K>,
    precision: Precision,
) -> Result<Vec<u8>> {
    let form = Form::of(fitted)?;
    let columns = columns(&form)?;
    let mut graph = Graph::default();
    let (kind, x) = match precision {
        Precision::F64 => (DOUBLE, "features".to_owned()),
        Precision::F32 => (FLOAT, graph.node("Cast", &["features"], &[int("to", DOUBLE)])),
    };
    graph.into_model(&form, &x, &[value("features", kind, columns as i64)])
}

/// A scorer as an ONNX model: its encoder, then its pipeline as [`onnx`] writes it.
///
/// | | name | type and shape |
/// |---|---|---|
/// | inputs | the columns that the encoder reads | `double`, for texts `string`, \[rows, 1\] |
/// | output | `probability` | `double`, \[rows, 1\] |
///
/// A missing number or time is NaN, a missing text the empty text; times are seconds since 1970. Needs version 5 of
/// `ai.onnx.ml`.
///
/// ```
/// use imbalance::Scorer;
/// use imbalance::data::OneHot;
/// use imbalance::export::onnx_scorer;
/// use imbalance::prelude::*;
///
/// let train = Table::new((0..300).map(|i| i % 9 == 0).collect::<Vec<_>>())?
///     .with_numeric("price", (0..300).map(|i| f64::from(i % 7)).collect::<Vec<_>>())?
///     .with_categorical("country", (0..300).map(|i| if i % 3 == 0 { "FR" } else { "DE" }))?;
/// let encoder = Encoder::default().column("country", OneHot::new()).fit(&train)?;
/// let fitted = Pipeline::new(LogisticRegression::new().l2(1.0)?).fit(&encoder.encode(&train)?)?;
/// let bytes = onnx_scorer(&Scorer::new(encoder, fitted)?)?; // inputs `price` and `country`
/// assert!(bytes.len() < 3_000);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// # Errors
/// As for [`onnx`], and [`Error::Unsupported`] for columns that are hashed or crossed, which ONNX has no operators for
/// (encode first, and export the pipeline alone), for levels whose texts are not known, because the reader kept only
/// their hashes, and for names of columns that cannot be those of inputs: the empty one, `probability`, and one that stands
/// for two columns.
pub fn onnx_scorer(scorer: &Scorer) -> Result<Vec<u8>> {
    let (encoder, form) = (Encoder::of(scorer.encoder())?, Form::of(scorer.pipeline())?);
    columns(&form)?;
    let mut graph = Graph::default();
    let x = graph.encoder(&encoder)?;
    graph.into_model(&form, &x, &encoder.inputs())
}

/// The number of columns, which all members have in common.
fn columns(form: &Form) -> Result<usize> {
    let unsupported =
        |what: &str, remedy| Err(Error::Unsupported { stage: "`onnx`", what: what.into(), remedy });
    let mut columns =
        form.members.iter().map(|(model, _)| model.logit().map(|logit| logit.columns()));
    let first = columns.next().flatten();
    match first {
        None => {
            unsupported("logits that were computed elsewhere", "take the model that computed them")
        }
        Some(first) if columns.all(|other| other == Some(first)) => Ok(first),
        Some(_) => unsupported(
            "an ensemble whose members have different numbers of columns",
            "export members on their own",
        ),
    }
}

const ML_DOMAIN: &str = "ai.onnx.ml";

// Types of elements.
pub(super) const FLOAT: i64 = 1;
const UINT8: i64 = 2;
pub(super) const INT64: i64 = 7;
pub(super) const STRING: i64 = 8;
pub(super) const DOUBLE: i64 = 11;

#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Nodes and constants.
    message: Message,
    values: usize,
    /// Begins the name of no input.
    pub(super) prefix: String,
    has_ml: bool,
}

impl Graph {
    fn name(&mut self) -> String {
        self.values += 1;
        format!("{}v{}", self.prefix, self.values)
    }

    /// The graph with the pipeline's probability of the rows `x` as its output.
    fn into_model(mut self, form: &Form, x: &str, inputs: &[Message]) -> Result<Vec<u8>> {
        let mut steps = Steps::default();
        let mean = steps.mean(form, |model, steps| Ok(self.logit(model, x, steps)))?;
        let mean = self.formula(&steps, &mean);
        self.operation("Identity", &[&mean], "probability", "", &[]);
        let mut graph = self.message.text(2, "imbalance");
        for input in inputs {
            graph = graph.message(11, input);
        }
        let graph = graph.message(12, &value("probability", DOUBLE, 1));
        let mut model =
            Message::default().int(1, IR_VERSION).text(2, "imbalance").message(7, &graph);
        model = model.message(8, &Message::default().text(1, "").int(2, OPSET));
        if self.has_ml {
            model = model.message(8, &Message::default().text(1, ML_DOMAIN).int(2, ML_OPSET));
        }
        if let Some(names) = form.names() {
            let names = serde_json::Value::from(names.to_vec()).to_string();
            model = model.message(14, &Message::default().text(1, "columns").text(2, &names));
        }
        Ok(model.into_bytes())
    }

    /// A formula, after its steps.
    pub(super) fn formula(&mut self, steps: &Steps, expr: &Expr) -> String {
        let mut names = Vec::new();
        for step in &steps.0 {
            let name = self.expr(step, &names);
            names.push(name);
        }
        self.expr(expr, &names)
    }

    /// An operation of `ai.onnx.ml`.
    pub(super) fn ml_node(&mut self, kind: &str, input: &str, attributes: &[Message]) -> String {
        self.has_ml = true;
        let output = self.name();
        self.operation(kind, &[input], &output, ML_DOMAIN, attributes);
        output
    }

    fn operation(
        &mut self,
        kind: &str,
        inputs: &[&str],
        output: &str,
        domain: &str,
        attributes: &[Message],
    ) {
        let mut node = Message::default();
        for input in inputs {
            node = node.text(1, input);
        }
        node = node.text(2, output).text(4, kind);
        for attribute in attributes {
            node = node.message(5, attribute);
        }
        let node = if domain.is_empty() { node } else { node.text(7, domain) };
        self.message = std::mem::take(&mut self.message).message(1, &node);
    }

    pub(super) fn node(&mut self, kind: &str, inputs: &[&str], attributes: &[Message]) -> String {
        let output = self.name();
        self.operation(kind, inputs, &output, "", attributes);
        output
    }

    pub(super) fn constant(&mut self, dimensions: &[usize], kind: i64, bytes: &[u8]) -> String {
        let name = self.name();
        let tensor = tensor(dimensions, kind, bytes).text(8, &name);
        self.message = std::mem::take(&mut self.message).message(5, &tensor);
        name
    }

    pub(super) fn numbers(&mut self, dimensions: &[usize], numbers: &[f64]) -> String {
        self.constant(dimensions, DOUBLE, &bytes(numbers))
    }

    /// Sums over the columns.
    fn row_sums(&mut self, of: &str) -> String {
        let axis = self.constant(&[1], INT64, &1_i64.to_le_bytes());
        self.node("ReduceSum", &[of, &axis], &[int("keepdims", 1)])
    }

    fn logit(&mut self, model: &Model, x: &str, steps: &mut Steps) -> Expr {
        match model.logit() {
            Some(Logit::Linear { linear, covariance }) => {
                let z = Expr::Input(self.linear(linear, x)) + linear.intercept;
                let z = steps.bind(z);
                match covariance {
                    None => z,
                    Some(covariance) => {
                        let variance = self.variance(covariance, linear.coefficients.len(), x);
                        steps.averaged(&z, variance)
                    }
                }
            }
            Some(Logit::Trees { base, trees, .. }) => self.trees(&trees, x) + base,
            // Refused before.
            None => Expr::Number(f64::NAN),
        }
    }

    fn linear(&mut self, linear: &Linear, x: &str) -> String {
        let beta = self.numbers(&[linear.coefficients.len(), 1], &linear.coefficients);
        self.node("MatMul", &[x, &beta], &[])
    }

    /// (x, 1)ᵀ V (x, 1).
    fn variance(&mut self, covariance: &[f64], columns: usize, x: &str) -> Expr {
        let v = |i: usize, j: usize| covariance[i * (columns + 1) + j];
        let square: Vec<f64> =
            (0..columns).flat_map(|i| (0..columns).map(move |j| v(i, j))).collect();
        let border: Vec<f64> = (0..columns).map(|j| v(columns, j) + v(j, columns)).collect();
        let square = self.numbers(&[columns, columns], &square);
        let product = self.node("MatMul", &[x, &square], &[]);
        let product = self.node("Mul", &[&product, x], &[]);
        let product = self.row_sums(&product);
        let border = self.numbers(&[columns, 1], &border);
        let border = self.node("MatMul", &[x, &border], &[]);
        Expr::Input(product) + Expr::Input(border) + v(columns, columns)
    }

    /// The sum of the leaves, in the order of the trees: runtimes add in others, and a map may step at a logit.
    fn trees(&mut self, trees: &[Vec<Node>], x: &str) -> Expr {
        let constant = |tree: &Vec<Node>| match tree[..] {
            [Node::Leaf { value }] => Some(value),
            _ => None,
        };
        if let Some(constants) = trees.iter().map(constant).collect::<Option<Vec<f64>>>() {
            let zero = self.numbers(&[], &[0.0]);
            let nothing = self.node("Mul", &[x, &zero], &[]);
            return Expr::Input(self.row_sums(&nothing))
                + constants.iter().fold(0.0, |sum, c| sum + c);
        }
        let mut form = Forest::default();
        for tree in trees {
            match tree[..] {
                // ONNX has no tree of one leaf.
                [Node::Leaf { value }] => form.add(&[
                    Node::Split { column: 0, threshold: 0.0, zero_to_left: true, left: 1 },
                    Node::Leaf { value },
                    Node::Leaf { value },
                ]),
                _ => form.add(tree),
            }
        }
        // Values of 0 have sides of their own: they go the way of missing values.
        let (zero, nan) = (self.numbers(&[], &[0.0]), self.numbers(&[], &[f64::NAN]));
        let is_zero = self.node("Equal", &[x, &zero], &[]);
        let x = self.node("Where", &[&is_zero, &nan, x], &[]);
        let scores = self.ml_node("TreeEnsemble", &x, &form.attributes());
        let axis = self.constant(&[], INT64, &1_i64.to_le_bytes());
        let sums = self.node("CumSum", &[&scores, &axis], &[]);
        let last = self.constant(&[1], INT64, &(form.roots.len() as i64 - 1).to_le_bytes());
        Expr::Input(self.node("Gather", &[&sums, &last], &[int("axis", 1)]))
    }

    /// A formula, with the names of the steps before it.
    fn expr(&mut self, expr: &Expr, steps: &[String]) -> String {
        match expr {
            Expr::Number(number) => self.numbers(&[], &[*number]),
            Expr::Input(name) => name.clone(),
            Expr::Step(step) => steps[*step].clone(),
            Expr::Unary(function, of) => {
                let of = self.expr(of, steps);
                let function = match function {
                    Unary::Exp => "Exp",
                    Unary::Ln => "Log",
                    Unary::Abs => "Abs",
                };
                self.node(function, &[&of], &[])
            }
            Expr::Binary(operation, a, b) => {
                let (a, b) = (self.expr(a, steps), self.expr(b, steps));
                let operation = match operation {
                    Binary::Add => "Add",
                    Binary::Subtract => "Sub",
                    Binary::Multiply => "Mul",
                    Binary::Divide => "Div",
                };
                self.node(operation, &[&a, &b], &[])
            }
            Expr::IfAtLeast(parts) => {
                let [value, bound, then, otherwise] =
                    parts.each_ref().map(|part| self.expr(part, steps));
                let is_at_least = self.node("GreaterOrEqual", &[&value, &bound], &[]);
                self.node("Where", &[&is_at_least, &then, &otherwise], &[])
            }
            Expr::Count { of, edges, strictly } => {
                let (of, edges) = (self.expr(of, steps), self.numbers(&[edges.len()], edges));
                let compare = if *strictly { "Greater" } else { "GreaterOrEqual" };
                let counts = self.node(compare, &[&of, &edges], &[]);
                let counts = self.node("Cast", &[&counts], &[int("to", INT64)]);
                self.row_sums(&counts)
            }
            Expr::Pick { at, numbers } => {
                let (at, numbers) = (self.expr(at, steps), self.numbers(&[numbers.len()], numbers));
                self.node("Gather", &[&numbers, &at], &[])
            }
        }
    }
}

/// The attributes of the operator `TreeEnsemble`: inner nodes and leaves of all trees, each numbered on their own.
#[derive(Debug, Default)]
struct Forest {
    roots: Vec<i64>,
    columns: Vec<i64>,
    thresholds: Vec<f64>,
    zeros_to_left: Vec<i64>,
    /// The numbers of the left and the right children, and whether they are leaves.
    children: [Vec<i64>; 2],
    are_leaves: [Vec<i64>; 2],
    scores: Vec<f64>,
    /// The tree of each score.
    targets: Vec<i64>,
}

impl Forest {
    /// Adds a tree, whose root is an inner node.
    fn add(&mut self, tree: &[Node]) {
        let (mut inner, mut leaves) = (self.columns.len() as i64, self.scores.len() as i64);
        let next = |count: &mut i64| std::mem::replace(count, *count + 1);
        let number = |node: &Node| match node {
            Node::Leaf { .. } => (next(&mut leaves), 1),
            Node::Split { .. } => (next(&mut inner), 0),
        };
        let numbers: Vec<(i64, i64)> = tree.iter().map(number).collect();
        self.roots.push(numbers[0].0);
        for node in tree {
            match *node {
                Node::Leaf { value: score } => {
                    self.scores.push(score);
                    self.targets.push(self.roots.len() as i64 - 1);
                }
                Node::Split { column, threshold, zero_to_left, left } => {
                    self.columns.push(column as i64);
                    self.thresholds.push(threshold);
                    self.zeros_to_left.push(zero_to_left.into());
                    for side in 0..2 {
                        let (child, is_leaf) = numbers[left + side];
                        self.children[side].push(child);
                        self.are_leaves[side].push(is_leaf);
                    }
                }
            }
        }
    }

    fn attributes(&self) -> Vec<Message> {
        /// `BRANCH_LT`: a smaller value goes to the left.
        const LESS: u8 = 1;
        const SUM: i64 = 1;
        let nodes = self.columns.len();
        let numbers = |name, list: &[f64]| {
            tensor_attribute(name, &tensor(&[list.len()], DOUBLE, &bytes(list)))
        };
        vec![
            int("n_targets", self.roots.len() as i64),
            int("aggregate_function", SUM),
            int("post_transform", 0),
            ints("tree_roots", &self.roots),
            ints("nodes_featureids", &self.columns),
            numbers("nodes_splits", &self.thresholds),
            tensor_attribute("nodes_modes", &tensor(&[nodes], UINT8, &vec![LESS; nodes])),
            ints("nodes_truenodeids", &self.children[0]),
            ints("nodes_falsenodeids", &self.children[1]),
            ints("nodes_trueleafs", &self.are_leaves[0]),
            ints("nodes_falseleafs", &self.are_leaves[1]),
            ints("nodes_missing_value_tracks_true", &self.zeros_to_left),
            ints("leaf_targetids", &self.targets),
            numbers("leaf_weights", &self.scores),
        ]
    }
}

fn bytes(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn tensor(dimensions: &[usize], kind: i64, bytes: &[u8]) -> Message {
    let sizes =
        dimensions.iter().fold(Message::default(), |tensor, &size| tensor.int(1, size as i64));
    sizes.int(2, kind).bytes(9, bytes)
}

pub(super) fn int(name: &str, value: i64) -> Message {
    Message::default().text(1, name).int(3, value).int(20, 2)
}

pub(super) fn texts(name: &str, texts: &[String]) -> Message {
    let name = Message::default().text(1, name);
    texts.iter().fold(name, |attribute, text| attribute.text(9, text)).int(20, 8)
}

pub(super) fn ints(name: &str, values: &[i64]) -> Message {
    let name = Message::default().text(1, name);
    values.iter().fold(name, |attribute, &value| attribute.int(8, value)).int(20, 7)
}

fn tensor_attribute(name: &str, tensor: &Message) -> Message {
    Message::default().text(1, name).message(5, tensor).int(20, 4)
}

/// An input or output with a row for each row of a batch.
pub(super) fn value(name: &str, kind: i64, columns: i64) -> Message {
    let dimension = |size: Message| Message::default().message(1, &size);
    let rows = dimension(Message::default().text(2, "rows"));
    let columns = Message::default().int(1, columns);
    let shape = rows.message(1, &columns);
    let tensor = Message::default().int(1, kind).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
