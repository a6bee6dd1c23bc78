//! Metrics from bins of the logit agree with those of the rows, within their bounds.

use imbalance::metrics::{
    BinnedScores, average_precision, brier_score, calibration_line, log_loss, normalised_entropy,
    predicted_over_observed, roc_auc,
};
use imbalance::{Error, Seed};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn sums_are_exact_and_ranks_within_their_bounds(
        rows in prop::collection::vec((any::<bool>(), 0.0..=1.0_f64, 0..4_u8), 2..400),
        cut in 0..400_usize,
        coarse: bool,
    ) {
        let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
        // Coarse scores tie; fine ones crowd in few bins.
        let score = |p: f64| if coarse { (p * 8.0).round() / 8.0 } else { 0.3 + p * 1e-3 };
        let p: Vec<f64> = rows.iter().map(|row| score(row.1)).collect();
        let weights: Vec<f64> = rows.iter().map(|row| f64::from(row.2)).collect();
        let cut = cut % rows.len();
        let mut binned = BinnedScores::new();
        binned.add(&labels[..cut], &p[..cut], Some(&weights[..cut])).unwrap();
        let mut later = BinnedScores::new();
        later.add(&labels[cut..], &p[cut..], Some(&weights[cut..])).unwrap();
        binned.merge(later);

        let exact = [
            (binned.log_loss(), log_loss(&labels, &p, Some(&weights))),
            (binned.brier_score(), brier_score(&labels, &p, Some(&weights))),
            (binned.normalised_entropy(), normalised_entropy(&labels, &p, Some(&weights))),
            (binned.predicted_over_observed(), predicted_over_observed(&labels, &p, Some(&weights))),
        ];
        for (found, expected) in exact {
            match (found, expected) {
                (Ok(a), Ok(b)) => prop_assert!(a == b || (a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}"),
                (a, b) => prop_assert!(a.is_err() && b.is_err(), "{a:?} {b:?}"),
            }
        }
        let bounded = [
            (binned.roc_auc(), roc_auc(&labels, &p, Some(&weights))),
            (binned.average_precision(), average_precision(&labels, &p, Some(&weights))),
        ];
        for (found, expected) in bounded {
            match (found, expected) {
                (Ok(found), Ok(exact)) => {
                    prop_assert!(found.low - 1e-12 <= exact && exact <= found.high + 1e-12, "{found:?} {exact}");
                    prop_assert!(found.low <= found.value && found.value <= found.high);
                    if coarse {
                        // Rows of a bin are tied: nothing was lost.
                        prop_assert!((found.value - exact).abs() < 1e-12, "{found:?} {exact}");
                    }
                }
                (a, b) => prop_assert!(a.is_err() && b.is_err(), "{a:?} {b:?}"),
            }
        }
    }
}

#[test]
fn many_rows_take_few_bins() {
    let rows = 200_000;
    let random = |row: usize, what: &str| {
        (Seed::new(row as u64).child(what).value() >> 11) as f64 / (1_u64 << 53) as f64
    };
    let p: Vec<f64> = (0..rows).map(|row| 1e-4 + 0.02 * random(row, "p").powi(3)).collect();
    let labels: Vec<bool> = (0..rows).map(|row| random(row, "label") < p[row]).collect();
    let mut binned = BinnedScores::new();
    for (labels, p) in labels.chunks(7_919).zip(p.chunks(7_919)) {
        binned.add(labels, p, None).unwrap();
    }
    let auc = binned.roc_auc().unwrap();
    let exact = roc_auc(&labels, &p, None).unwrap();
    assert!(auc.low <= exact && exact <= auc.high && auc.high - auc.low < 2e-3, "{auc:?} {exact}");
    assert!((auc.value - exact).abs() < 2e-5, "{auc:?} {exact}");
    let ranked = binned.ranked().unwrap();
    assert!(ranked.rows() < 12_000);
    let (line, whole) =
        (ranked.calibration_line().unwrap(), calibration_line(&labels, &p, None).unwrap());
    assert!((line.slope - whole.slope).abs() < 1e-4, "{line:?} {whole:?}");
    assert!((line.intercept - whole.intercept).abs() < 5e-4, "{line:?} {whole:?}");
    let card = binned.scorecard().unwrap();
    assert!((card.log_loss - log_loss(&labels, &p, None).unwrap()).abs() < 1e-7);
    let text = binned.to_string();
    assert!(text.contains("200000 rows") && text.contains("within"), "{text}");
}

#[test]
fn rows_that_are_none_are_refused() {
    let mut binned = BinnedScores::new();
    assert!(matches!(binned.log_loss(), Err(Error::NoRows { .. })));
    assert!(binned.roc_auc().is_err() && binned.ranked().is_err() && binned.scorecard().is_err());
    assert!(binned.add(&[true], &[0.5, 0.5], None).is_err());
    assert!(binned.add(&[true], &[1.5], None).is_err());
    assert!(binned.add(&[true], &[f64::NAN], None).is_err());
    assert!(matches!(
        binned.add(&[true, false], &[0.5, 0.5], Some(&[1.0, -1.0])),
        Err(Error::NegativeWeight { row: 1, .. })
    ));
    assert!(binned.add(&[true], &[0.5], Some(&[f64::INFINITY])).is_err());
    assert_eq!(binned.totals().rows(), 0, "nothing was added");
    // A certain miss costs an infinite loss, and all other numbers stay.
    binned.add(&[true, false, true], &[0.0, 1e-300, 1.0], None).unwrap();
    assert_eq!(binned.log_loss().unwrap(), f64::INFINITY);
    assert!(binned.roc_auc().unwrap().value == 0.5 && binned.brier_score().unwrap() > 0.3);
    // Weights of a batch may all be 0.
    binned.add(&[true], &[0.5], Some(&[0.0])).unwrap();
    assert_eq!(binned.totals().rows(), 3);
}
