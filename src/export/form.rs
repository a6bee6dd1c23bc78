//! A fitted pipeline in its saved form, as plain values. It is a closed list of kinds: any other is refused.

use serde::Deserialize;

use crate::calibration::CalibrationMap;
use crate::core::{Error, Result};
use crate::model::Predict;
use crate::pipeline::FittedPipeline;
use crate::saved::{Kind, number};

/// A pipeline's members, whose mean is its probability.
#[derive(Debug, Deserialize)]
pub(super) struct Form {
    pub(super) members: Vec<(Model, Calibration)>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Calibration {
    pub(super) map: Map,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Model {
    Linear(Linear),
    FittedLogisticRegression { linear: Linear },
    FittedFtrl { linear: Linear },
    FittedRareEvents { linear: Linear, averaged: bool, inference: Inference },
    FittedBoostedTrees(Trees),
    FittedBoostedLeaves { trees: Trees, regression: Regression },
    GivenLogits {},
}

#[derive(Debug, Deserialize)]
pub(super) struct Linear {
    pub(super) coefficients: Vec<f64>,
    pub(super) intercept: f64,
    pub(super) feature_names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Inference {
    /// Of the coefficients and the intercept, row by row.
    pub(super) covariance: Vec<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Regression {
    linear: Linear,
}

#[derive(Debug, Deserialize)]
pub(super) struct Trees {
    columns: usize,
    base: f64,
    trees: Vec<Vec<Node>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(feature = "onnx"), allow(dead_code))]
pub(super) enum Node {
    Leaf {
        value: f64,
    },
    Split {
        column: usize,
        #[serde(with = "number")]
        threshold: f64,
        zero_to_left: bool,
        left: usize,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Map {
    Uncalibrated {},
    Clip { bound: f64 },
    Prior { posterior: Posterior, log_odds: f64 },
    LinearPrior { posterior: Posterior, factor: f64 },
    Platt { slope: f64, intercept: f64, on_probabilities: bool },
    Temperature { slope: f64, offset: f64 },
    Beta { a: f64, b: f64, c: f64 },
    BetaCdf { alpha: f64, beta: f64, constant: Option<f64> },
    Quadratic { centre: f64, scale: f64, powers: [f64; 3], range: (f64, f64), slopes: [f64; 2] },
    Spline { knots: Vec<f64>, cubics: Vec<[f64; 4]>, length: f64, intercept: f64 },
    Isotonic { logits: Numbers, probabilities: Vec<f64>, in_probability: bool },
    Histogram { edges: Numbers, values: Vec<f64> },
    VennAbers { p0: Levels, p1: Levels },
    Chain { first: Box<Calibration>, second: Box<Calibration> },
}

/// The edges of a step function and its values.
pub(super) type Levels = (Numbers, Vec<f64>);

/// Numbers that may be infinite.
#[derive(Debug, Deserialize)]
pub(super) struct Numbers(#[serde(with = "number::list")] pub(super) Vec<f64>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Posterior {
    Identity,
    Shift(f64),
    Focal { gamma: f64, positive: f64, negative: f64 },
    Asymmetric { gamma_positive: f64, gamma_negative: f64, margin: f64 },
    Smoothed { inner: Box<Posterior>, epsilon: f64 },
    Shifted { inner: Box<Posterior>, by: f64 },
}

impl Form {
    /// The names of the columns, if the model has some.
    pub(super) fn names(&self) -> Option<&[String]> {
        self.members.iter().find_map(|(model, _)| match model.logit()? {
            Logit::Linear { linear, .. } => linear.feature_names.as_deref(),
            Logit::Trees { .. } => None,
        })
    }

    pub(super) fn of<P: Predict, K: CalibrationMap>(fitted: &FittedPipeline<P, K>) -> Result<Self> {
        let saved = serde_json::to_value(fitted).map_err(|error| Error::NotSavable {
            kind: FittedPipeline::<P, K>::KIND,
            why: error.to_string(),
        })?;
        Self::deserialize(saved).map_err(|error| Error::Unsupported {
            stage: "the export",
            what: format!("a stage whose formula it does not know ({error})"),
            remedy: "take a model and a calibrator of the library, or serve the saved pipeline with the library",
        })
    }
}

/// How a model makes a logit.
pub(super) enum Logit<'a> {
    /// xβ + b, and the covariance by which its probabilities are averaged if they are.
    Linear { linear: &'a Linear, covariance: Option<&'a [f64]> },
    /// A constant and the sum of leaves.
    #[cfg_attr(not(feature = "onnx"), allow(dead_code))]
    Trees { columns: usize, base: f64, trees: Vec<Vec<Node>> },
}

impl Model {
    /// None for logits that were computed elsewhere.
    pub(super) fn logit(&self) -> Option<Logit<'_>> {
        Some(match self {
            Self::Linear(linear)
            | Self::FittedLogisticRegression { linear }
            | Self::FittedFtrl { linear }
            | Self::FittedRareEvents { linear, averaged: false, .. } => {
                Logit::Linear { linear, covariance: None }
            }
            Self::FittedRareEvents { linear, averaged: true, inference } => {
                Logit::Linear { linear, covariance: Some(&inference.covariance) }
            }
            Self::FittedBoostedTrees(Trees { columns, base, trees }) => {
                Logit::Trees { columns: *columns, base: *base, trees: trees.clone() }
            }
            Self::FittedBoostedLeaves { trees, regression } => {
                let Linear { coefficients, intercept, .. } = &regression.linear;
                let mut scores = coefficients.iter().copied();
                // The intercept is added first, as by the library: logits of leaves are few, and a map may step at them.
                let first = vec![Node::Leaf { value: *intercept }];
                let leaves = trees.trees.iter().map(|tree| with_scores(tree, &mut scores));
                let all = std::iter::once(first).chain(leaves).collect();
                Logit::Trees { columns: trees.columns, base: 0.0, trees: all }
            }
            Self::GivenLogits {} => return None,
        })
    }
}

/// A tree with other scores in its leaves, from left to right.
fn with_scores(tree: &[Node], scores: &mut impl Iterator<Item = f64>) -> Vec<Node> {
    let (mut tree, mut open) = (tree.to_vec(), vec![0]);
    while let Some(at) = open.pop() {
        match &mut tree[at] {
            Node::Leaf { value: score } => *score = scores.next().unwrap_or(0.0),
            Node::Split { left, .. } => open.extend([*left + 1, *left]),
        }
    }
    tree
}

impl Logit<'_> {
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Linear { linear, .. } => linear.coefficients.len(),
            Self::Trees { columns, .. } => *columns,
        }
    }
}
