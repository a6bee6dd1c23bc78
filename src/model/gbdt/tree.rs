//! One tree of a fitted model.

use std::collections::BTreeMap;

use hessboost::tree::RegTree;

use super::Columns;
#[cfg(feature = "serde")]
use crate::core::{Error, Result};

/// A tree with its nodes in one piece, the root first and each node before its children.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) leaves: usize,
    /// The share of each leaf in the weight of the training rows.
    weights: Vec<f64>,
    /// How much the split of each node lowered the loss, in a unit of the model's; 0 of a leaf.
    gains: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    /// The score of a leaf; in an inner node the mean score of the training rows in it.
    pub(super) value: f64,
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

    /// The child of an inner node that a row falls into.
    fn child(&self, row: &[f64]) -> usize {
        let value = row[self.column];
        let to_left = if value == 0.0 { self.zero_to_left } else { value < self.threshold };
        if to_left { self.left } else { self.right }
    }
}

impl Tree {
    pub(super) fn new(tree: &RegTree, columns: &Columns) -> Self {
        let empty = Node { leaf: Some(0), ..Node::EMPTY };
        let mut flat =
            Self { nodes: vec![empty], leaves: 0, weights: Vec::new(), gains: vec![0.0] };
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
                flat.gains.extend([0.0; 2]);
                flat.gains[place] = f64::from(node.split_gain).max(0.0);
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
    pub(super) fn leaf(&self, row: &[f64]) -> (usize, f64) {
        let mut node = &self.nodes[0];
        loop {
            match node.leaf {
                Some(leaf) => return (leaf, node.value),
                None => node = &self.nodes[node.child(row)],
            }
        }
    }

    /// Takes the share of each leaf in the weight of the training rows, and with it the mean scores of inner nodes.
    pub(super) fn weigh(&mut self, weights: Vec<f64>) {
        self.weights = weights;
        let mut scores = vec![0.0; self.leaves];
        self.nodes
            .iter()
            .filter_map(|node| Some((node.leaf?, node.value)))
            .for_each(|(leaf, value)| scores[leaf] = value);
        let means = self.means(&scores);
        self.nodes.iter_mut().zip(means).for_each(|(node, mean)| node.value = mean);
    }

    /// The mean of a number of each leaf over the training rows in each node; where there are none, over its leaves.
    pub(super) fn means(&self, of_leaves: &[f64]) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0, 0.0, 0.0); self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate().rev() {
            sums[place] = match node.leaf {
                Some(leaf) => {
                    let (weight, value) = (self.weights[leaf], of_leaves[leaf]);
                    (weight, weight * value, 1.0, value)
                }
                None => {
                    let (a, b) = (sums[node.left], sums[node.right]);
                    (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3)
                }
            };
        }
        let mean = |(node, sums): (&Node, (f64, f64, f64, f64))| match node.leaf {
            Some(leaf) => of_leaves[leaf],
            None if sums.0 > 0.0 => sums.1 / sums.0,
            None => sums.3 / sums.2,
        };
        self.nodes.iter().zip(sums).map(mean).collect()
    }

    /// Adds to each column the steps between the values of the nodes on a row's path that split it; returns the root's
    /// value, from which they lead to the leaf's.
    pub(super) fn add_path(
        &self,
        row: &[f64],
        value: impl Fn(usize) -> f64,
        steps: &mut BTreeMap<usize, f64>,
    ) -> f64 {
        let mut place = 0;
        while self.nodes[place].leaf.is_none() {
            let node = &self.nodes[place];
            let next = node.child(row);
            *steps.entry(node.column).or_default() += value(next) - value(place);
            place = next;
        }
        value(0)
    }

    /// The column and the gain of each split.
    pub(super) fn splits(&self) -> impl Iterator<Item = (usize, f64)> {
        let inner = self.nodes.iter().zip(&self.gains).filter(|(node, _)| node.leaf.is_none());
        inner.map(|(node, gain)| (node.column, *gain))
    }
}

/// A node as it is stored: the right child stands behind the left one.
#[cfg(feature = "serde")]
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum StoredNode {
    Leaf {
        value: f64,
        weight: f64,
    },
    Split {
        column: usize,
        /// Infinite where a split of sparse rows tells zeros from all other values.
        #[serde(with = "crate::saved::number")]
        threshold: f64,
        zero_to_left: bool,
        left: usize,
        gain: f64,
    },
}

#[cfg(feature = "serde")]
impl Tree {
    pub(super) fn stored(&self) -> Vec<StoredNode> {
        let node = |(node, gain): (&Node, &f64)| {
            let Node { value, leaf, column, threshold, zero_to_left, left, .. } = *node;
            match leaf {
                Some(leaf) => StoredNode::Leaf { value, weight: self.weights[leaf] },
                None => StoredNode::Split { column, threshold, zero_to_left, left, gain: *gain },
            }
        };
        self.nodes.iter().zip(&self.gains).map(node).collect()
    }

    /// The tree of these nodes, which must be one, and reads no more than these columns.
    pub(super) fn restored(stored: &[StoredNode], columns: usize) -> Result<Self> {
        let wrong = |node: usize, problem: &str| {
            Err(Error::invalid(
                "trees",
                format!("node {node}, which {problem}"),
                "trees of whole nodes",
            ))
        };
        let is_amount = |amount: f64| amount >= 0.0 && amount.is_finite();
        let (mut nodes, mut gains) = (Vec::with_capacity(stored.len()), Vec::new());
        for (place, node) in stored.iter().enumerate() {
            gains.push(0.0);
            nodes.push(match *node {
                StoredNode::Leaf { value, .. } if !value.is_finite() => {
                    return wrong(place, "has no finite score");
                }
                StoredNode::Leaf { weight, .. } if !is_amount(weight) => {
                    return wrong(place, "has no weight");
                }
                StoredNode::Leaf { value, .. } => Node { value, leaf: Some(0), ..Node::EMPTY },
                StoredNode::Split { column, .. } if column >= columns => {
                    return wrong(place, "splits a column that does not exist");
                }
                StoredNode::Split { threshold, .. } if threshold.is_nan() => {
                    return wrong(place, "has no threshold");
                }
                StoredNode::Split { left, .. } if left <= place || left + 1 >= stored.len() => {
                    return wrong(place, "has no children behind it");
                }
                StoredNode::Split { gain, .. } if !is_amount(gain) => {
                    return wrong(place, "has no gain");
                }
                StoredNode::Split { column, threshold, zero_to_left, left, gain } => {
                    gains[place] = gain;
                    Node { column, threshold, zero_to_left, left, right: left + 1, ..Node::EMPTY }
                }
            });
        }
        let (mut weights, mut open, mut reached) = (Vec::new(), vec![0], vec![false; nodes.len()]);
        while let Some(place) = open.pop() {
            let Some(node) = nodes.get_mut(place) else { return wrong(place, "is missing") };
            if std::mem::replace(&mut reached[place], true) {
                return wrong(place, "is reached twice");
            }
            if let StoredNode::Leaf { weight, .. } = stored[place] {
                node.leaf = Some(weights.len());
                weights.push(weight);
            } else {
                open.extend([node.right, node.left]);
            }
        }
        if let Some(place) = reached.iter().position(|reached| !reached) {
            return wrong(place, "is never reached");
        }
        let mut tree = Self { nodes, leaves: weights.len(), weights: Vec::new(), gains };
        tree.weigh(weights);
        match tree.nodes.iter().position(|node| !node.value.is_finite()) {
            None => Ok(tree),
            Some(place) => wrong(place, "has no finite mean score"),
        }
    }
}
