//! Explanations sum to the prediction on each scale, for every model and calibrator, and mean what they say.

use imbalance::calibration::{
    Calibration, HistogramMap, Interpolation, IsotonicMap, PlattMap, Uncalibrated,
};
use imbalance::model::{Contributions, FnPredict, LinearModel};
use imbalance::ndarray::array;
use imbalance::pipeline::{Explanation, Scales};
use imbalance::prelude::*;
use imbalance::sprs::CsMat;
use imbalance::{FeaturesView, FittedPipeline, Result};

use crate::saved::{fitted, log};

fn assert_sums(of: impl Fn(&Scales) -> f64, explanation: &Explanation, name: &str) {
    let terms = explanation.terms.iter().map(|term| of(&term.share));
    let all: Vec<f64> = std::iter::once(of(&explanation.base)).chain(terms).collect();
    let (sum, size) = (all.iter().sum::<f64>(), all.iter().map(|term| term.abs()).sum::<f64>());
    let expected = of(&explanation.prediction);
    assert!((sum - expected).abs() <= 1e-12 * size, "{name}: {sum} for {expected}");
}

#[test]
fn every_model_and_calibrator_is_explained_exactly_on_each_scale() {
    let data = log();
    for (name, fitted) in &fitted(&data) {
        for row in (0..data.rows()).step_by(211).map(|row| data.features().row(row)) {
            let explanation = fitted.explain(row).unwrap();
            // The bits that are served, and their sum.
            let Scales { logit, log_odds, probability, .. } = explanation.prediction;
            assert_eq!(probability, fitted.probability(row).unwrap(), "{name}");
            assert_eq!(logit, fitted.logit(row).unwrap(), "{name}");
            assert_sums(|scales| scales.logit, &explanation, name);
            assert_sums(|scales| scales.probability, &explanation, name);
            if let Some(log_odds) = log_odds {
                let z = imbalance::numerics::logit(probability);
                assert!((log_odds - z).abs() < 1e-9 * z.abs().max(1.0), "{name}: {log_odds}, {z}");
                assert_sums(|scales| scales.log_odds.unwrap(), &explanation, name);
            }
            assert!(explanation.terms.len() <= 3, "{name}");

            // Against another row, whose prediction is the base; with an offset.
            let other = data.features().row(5);
            let against = fitted.explain_against(row, other).unwrap();
            let base = fitted.probability(other).unwrap();
            let spread: f64 = against.terms.iter().map(|term| term.share.probability.abs()).sum();
            let gap = (against.base.probability - base).abs();
            // The corrected probabilities of rare events have a base that depends on the row.
            assert!(
                gap <= 1e-12 * (base + spread) || name.starts_with("rare events"),
                "{name}: {gap}"
            );
            assert_eq!(against.prediction, explanation.prediction, "{name}");
            let moved = fitted.explain_with_offset(row, 0.3).unwrap();
            let expected = fitted.probability_with_offset(row, 0.3).unwrap();
            assert_eq!(moved.prediction.probability, expected, "{name}");
            assert_sums(|scales| scales.probability, &moved, name);
        }
    }
}

/// A linear model with a calibration.
fn linear<K>(coefficients: &[f64], intercept: f64, map: K) -> FittedPipeline<LinearModel, K>
where
    K: imbalance::calibration::CalibrationMap,
{
    let model = LinearModel::new(coefficients.to_vec(), intercept).unwrap();
    FittedPipeline::from_parts([(model, Calibration::new(map))]).unwrap()
}

#[test]
fn an_affine_map_scales_contributions_also_where_they_cancel() {
    let fitted = linear(&[1.5, -2.0, 0.0], -3.0, PlattMap::new(0.5, -1.0).unwrap());
    for row in [[2.0, 0.25, 9.0], [4.0, 3.0, 1.0], [4.0, 3.0 + 1e-13, 1.0], [0.0; 3]] {
        let explanation = fitted.explain(&row).unwrap();
        assert!((explanation.base.log_odds.unwrap() - -2.5).abs() < 1e-9, "{explanation}");
        assert_eq!(explanation.base.logit, -3.0);
        for term in &explanation.terms {
            let logit = fitted.model().coefficients()[term.column] * row[term.column];
            assert_eq!((term.share.logit, term.value), (logit, row[term.column]));
            assert!((term.share.log_odds.unwrap() - 0.5 * logit).abs() < 1e-8, "{explanation}");
        }
    }
    // By hand: z₀ = −3 and z = −½ before the map; σ(−2.5) and σ(−1.25) behind it.
    let explanation = fitted.explain(&[2.0, 0.25, 9.0]).unwrap();
    let sigmoid = imbalance::numerics::sigmoid;
    let rise = sigmoid(-1.25) - sigmoid(-2.5);
    let shares: Vec<f64> = explanation.terms.iter().map(|term| term.share.probability).collect();
    assert!((shares[0] - rise * 3.0 / 2.5).abs() < 1e-15, "{shares:?}");
    assert!((shares[1] + rise * 0.5 / 2.5).abs() < 1e-15, "{shares:?}");
}

#[test]
fn a_map_that_is_constant_between_base_and_prediction_leaves_all_to_the_base() {
    let map = HistogramMap::new(vec![0.0], vec![0.1, 0.7]).unwrap();
    let fitted = linear(&[1.0, 1.0], -2.0, map);
    let explanation = fitted.explain(&[0.5, 0.5]).unwrap();
    assert_eq!(explanation.base.probability, explanation.prediction.probability);
    assert!(explanation.terms.iter().all(|term| term.share.probability == 0.0), "{explanation}");
    // Over the step the columns share it in their proportion.
    let explanation = fitted.explain(&[3.0, 1.0]).unwrap();
    let [a, b] = [0, 1].map(|place| explanation.terms[place].share.probability);
    assert!(a > 0.0 && (a - 3.0 * b).abs() < 1e-15, "{explanation}");
}

#[test]
fn infinite_log_odds_have_no_contributions_and_probabilities_have() {
    let corners = [(-1.0, 0.1), (1.0, 1.0)];
    let certain = IsotonicMap::new(corners, Interpolation::LinearInLogit).unwrap();
    let fitted = linear(&[1.0], 0.0, certain);
    let explanation = fitted.explain(&[2.0]).unwrap();
    assert_eq!((explanation.prediction.probability, explanation.prediction.log_odds), (1.0, None));
    assert_sums(|scales| scales.probability, &explanation, "isotonic");
    assert!(explanation.to_string().contains('–'), "{explanation}");
}

#[test]
fn members_of_an_ensemble_whose_logits_cancel_are_explained_in_probability() {
    let model = |slope: f64, intercept| LinearModel::new(vec![slope], intercept).unwrap();
    let members = [model(1.0, 0.0), model(-1.0, -3.0)].map(|m| (m, Calibration::new(Uncalibrated)));
    let fitted = FittedPipeline::from_parts(members).unwrap();
    let explanation = fitted.explain(&[2.0]).unwrap();
    assert_eq!(explanation.terms.len(), 1);
    assert_eq!(explanation.terms[0].share.logit, 0.0);
    assert!(explanation.terms[0].share.probability > 0.1, "{explanation}");
    assert_sums(|scales| scales.probability, &explanation, "ensemble");
    assert_sums(|scales| scales.log_odds.unwrap(), &explanation, "ensemble");
}

#[test]
fn names_come_from_the_model_or_are_given() {
    let model = LinearModel::new(vec![1.0, -2.0], 0.0).unwrap();
    let named = model.with_feature_names(["age", "dose"]).unwrap();
    let parts = [(named, Calibration::new(Uncalibrated))];
    let explanation = FittedPipeline::from_parts(parts).unwrap().explain(&[1.0, 1.0]).unwrap();
    assert_eq!(explanation.terms[0].name, "dose");
    let explanation = explanation.with_feature_names(["Alter", "Dosis"]).unwrap();
    assert_eq!(explanation.terms[0].name, "Dosis");
    assert!(explanation.text(1).contains("(1 more columns)"), "{}", explanation.text(1));
    assert!(explanation.with_feature_names(["one"]).is_err());
}

#[test]
fn what_cannot_be_explained_is_refused_with_the_way_out() {
    let opaque = FnPredict::new(2, |row: Row<'_>| row.get(0));
    let fitted = FittedPipeline::from_parts([(opaque, Calibration::new(Uncalibrated))]).unwrap();
    let error = fitted.explain(&[1.0, 2.0]).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("Predict::contributions"), "{error}");

    /// Its contributions are not those of its logit.
    #[derive(Debug)]
    struct Wrong;
    impl Predict for Wrong {
        fn logits_into(&self, _: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
            out.fill(1.0);
            Ok(())
        }
        fn contributions(&self, _: Row<'_>) -> Result<Contributions> {
            Contributions::new(1, 0.5, [(0, 0.25)])
        }
    }
    let fitted = FittedPipeline::from_parts([(Wrong, Calibration::new(Uncalibrated))]).unwrap();
    assert!(matches!(fitted.explain(&[1.0]), Err(Error::Contract { .. })));

    let fitted = linear(&[1.0, 1e308], 0.0, Uncalibrated);
    assert!(matches!(fitted.explain(&[1.0]), Err(Error::ColumnMismatch { .. })));
    assert!(matches!(fitted.explain(&[f64::NAN, 0.0]), Err(Error::NonFinite { .. })));
    assert!(matches!(fitted.explain(&[1.0, 1e10]), Err(Error::Numerical { .. })));
    assert!(fitted.explain_with_offset(&[1.0, 0.0], f64::INFINITY).is_err());
    assert!(Contributions::new(2, 0.0, [(2, 1.0)]).is_err());
    assert!(Contributions::new(2, f64::NAN, []).is_err());
    assert!(Contributions::new(2, 0.0, [(1, f64::INFINITY)]).is_err());
}

#[test]
fn sparse_rows_are_explained_like_dense_ones() {
    let x = array![[0.0, 2.0, 0.0], [1.0, 0.0, -1.0]];
    let sparse = CsMat::csr_from_dense(x.view(), 0.0);
    let fitted = linear(&[1.5, -2.0, 0.25], -3.0, PlattMap::new(0.5, -1.0).unwrap());
    for row in 0..2 {
        let [dense, sparse] = [imbalance::Features::from(&x), imbalance::Features::from(&sparse)]
            .map(|x| fitted.explain(x.view().row(row)).unwrap());
        assert_eq!(dense, sparse);
    }
}

#[test]
fn an_explanation_is_saved_as_json() {
    let data = log();
    let fitted = Pipeline::new(LogisticRegression::new()).fit(&data).unwrap();
    let explanation = fitted.explain(data.features().row(3)).unwrap();
    let json = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
}

#[cfg(feature = "gbdt")]
mod trees {
    use super::*;
    use imbalance::DynFittedPipeline;
    use imbalance::loss::LogLoss;
    use imbalance::model::{BoostedTrees, Model};
    use imbalance::ndarray::Array2;
    use imbalance::saved::Saved;
    use serde_json::Value;

    /// Rows whose label depends on x₀x₁ and x₂, with weights; column 3 is a constant.
    fn rows() -> (Array2<f64>, Vec<bool>, Vec<f64>) {
        let share = |i: usize, a: usize| ((i * a) % 997) as f64 / 997.0;
        let x = Array2::from_shape_fn((2_000, 4), |(i, j)| match j {
            3 => 1.0,
            _ => share(i, [7919, 104_729, 1_299_709][j]) - 0.5,
        });
        let label =
            |i: usize| 6.0 * x[(i, 0)] * x[(i, 1)] + x[(i, 2)] - 0.5 + share(i, 15_485_863) > 0.4;
        let labels = (0..2_000).map(label).collect();
        (x, labels, (0..2_000).map(|i| 1.0 + f64::from(i % 3)).collect())
    }

    /// A node of a stored tree, its mean over the training rows in it, and its children.
    fn mean(tree: &[Value], node: usize, rows: &[usize], data: &Dataset<'_>) -> f64 {
        let weight = |row: usize| data.weights().unwrap()[row];
        let leaf = |row: usize| {
            let mut node = node;
            while let Some(split) = tree[node].get("split") {
                node = child(split, &data.features().row(row).to_vec().unwrap());
            }
            tree[node]["leaf"]["value"].as_f64().unwrap()
        };
        let sum: f64 = rows.iter().map(|&row| weight(row) * leaf(row)).sum();
        sum / rows.iter().map(|&row| weight(row)).sum::<f64>()
    }

    fn child(split: &Value, row: &[f64]) -> usize {
        let value = row[split["column"].as_u64().unwrap() as usize];
        let to_left = match split["zero_to_left"].as_bool() {
            Some(to_left) if value == 0.0 => to_left,
            _ => value < split["threshold"].as_f64().unwrap(),
        };
        split["left"].as_u64().unwrap() as usize + usize::from(!to_left)
    }

    #[test]
    fn paths_go_through_the_means_of_the_training_rows() {
        let (x, labels, weights) = rows();
        let data = Dataset::new(&x, labels).unwrap().with_weights(weights).unwrap();
        let model = BoostedTrees::new().trees(4).unwrap().max_leaves(6).unwrap();
        let fitted = model.fit(&data, &LogLoss, &Run::seeded(7)).unwrap();
        let json: Value = serde_json::from_str(&fitted.to_json().unwrap()).unwrap();
        let content = &json["content"];
        for row in [0, 17, 401].map(|row| x.row(row).to_vec()) {
            let mut expected = [0.0; 4];
            let mut base = content["base"].as_f64().unwrap();
            for tree in content["trees"].as_array().unwrap() {
                let tree = tree.as_array().unwrap();
                let mut inside: Vec<usize> = (0..2_000).collect();
                let (mut node, mut value) = (0, mean(tree, 0, &inside, &data));
                base += value;
                while let Some(split) = tree[node].get("split") {
                    node = child(split, &row);
                    inside.retain(|&other| child(split, &x.row(other).to_vec()) == node);
                    let next = mean(tree, node, &inside, &data);
                    expected[split["column"].as_u64().unwrap() as usize] += next - value;
                    value = next;
                }
            }
            let found = fitted.contributions((&row).into()).unwrap();
            assert!((found.base() - base).abs() < 1e-12, "{} for {base}", found.base());
            for (column, expected) in expected.into_iter().enumerate() {
                let found = found.of(column);
                assert!((found - expected).abs() < 1e-12, "{column}: {found} for {expected}");
            }
            assert_eq!(found.of(3), 0.0);
        }
    }

    #[test]
    fn the_base_is_the_mean_logit_and_trees_of_one_split_are_additive() {
        let (x, labels, weights) = rows();
        let data = Dataset::new(&x, labels).unwrap().with_weights(&weights).unwrap();
        let model = BoostedTrees::new().trees(30).unwrap().max_leaves(2).unwrap();
        let fitted = model.fit(&data, &LogLoss, &Run::seeded(7)).unwrap();
        let mut logits = vec![0.0; x.nrows()];
        fitted.logits_into(data.features(), &mut logits).unwrap();
        let sum: f64 = logits.iter().zip(&weights).map(|(z, w)| w * z).sum();
        let mean = sum / weights.iter().sum::<f64>();
        let of = |row: [f64; 4]| fitted.contributions((&row).into()).unwrap();
        let (one, other) = (of([0.3, -0.2, 0.1, 1.0]), of([0.3, 0.4, -0.4, 1.0]));
        assert!((one.base() - mean).abs() < 1e-12, "{} for {mean}", one.base());
        assert!((one.of(0) - other.of(0)).abs() < 1e-14);

        let importance = fitted.gain_importance();
        let shares: f64 = importance.entries().iter().map(|entry| entry.share).sum();
        let splits: usize = importance.entries().iter().map(|entry| entry.splits).sum();
        assert!((shares - 1.0).abs() < 1e-12);
        assert_eq!(splits, fitted.trees());
        assert_eq!(importance.unused_columns(), 4 - importance.entries().len());
        assert_eq!(importance.entries()[0].column, 2, "{importance}");
        let named = importance.with_feature_names(["a", "b", "c", "d"]).unwrap();
        assert_eq!(named.entries()[0].name, "c");
    }

    #[test]
    fn boxed_pipelines_of_trees_are_explained_after_loading() {
        let (x, labels, _) = rows();
        let data = Dataset::new(&x, labels).unwrap();
        let fitted = Pipeline::new(BoostedTrees::new().trees(5).unwrap()).fit(&data).unwrap();
        let loaded = DynFittedPipeline::from_json(&fitted.to_json().unwrap()).unwrap();
        let row = x.row(9).to_vec();
        assert_eq!(loaded.explain(&row).unwrap(), fitted.explain(&row).unwrap());
    }
}
