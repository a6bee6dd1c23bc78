//! Saved state, damaged: of `FtrlProximal`, of pipelines.

use bolero::check;
use imbalance::calibration::{Calibrator, IsotonicRegression, PriorCorrection};
use imbalance::loss::LogLoss;
use imbalance::model::{FtrlLearner, FtrlProximal, FtrlState, Predict, RareEvents};
use imbalance::ndarray::{Array2, array};
use imbalance::sampling::RandomUnderSampler;
use imbalance::{Dataset, DynFittedPipeline, DynPipeline, Pipeline};

use crate::cursor::Cursor;

const TOKENS: &[&str] = &[
    "0",
    "1",
    "9",
    ".",
    "-",
    "e",
    ",",
    ":",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "null",
    "true",
    "1e308",
    "1e-320",
    "1073741824",
    "18446744073709551615",
    "1e999",
    "NaN",
    "\"version\"",
    "\"columns\"",
];

fn saved() -> Vec<u8> {
    let x = array![[1.0, 0.0, 2.0], [0.5, 0.1, 0.0], [0.0, 1.0, 1.0]];
    let data = Dataset::new(&x, vec![true, false, false]).unwrap();
    let mut learner = FtrlProximal::new().l1(0.01).unwrap().learner(3, LogLoss).unwrap();
    learner.partial_fit(&data).unwrap();
    serde_json::to_vec(learner.state()).unwrap()
}

/// Pieces of the saved text replaced by tokens or bytes, or the input itself.
fn damaged(mut text: Vec<u8>, cursor: &mut Cursor<'_>) -> Vec<u8> {
    if cursor.byte() == b'r' {
        return cursor.0.to_vec();
    }
    for _ in 0..=cursor.below(4) {
        let at = (usize::from(cursor.byte()) * 256 + usize::from(cursor.byte())) % (text.len() + 1);
        let end = (at + cursor.below(8)).min(text.len());
        let piece = match cursor.byte() {
            255 => vec![cursor.byte()],
            token => TOKENS[usize::from(token) % TOKENS.len()].as_bytes().to_vec(),
        };
        text.splice(at..end, piece);
    }
    text
}

#[test]
fn ftrl_state() {
    let text = saved();
    check!().for_each(|input| {
        let text = damaged(text.clone(), &mut Cursor(input));
        let Ok(state) = serde_json::from_slice::<FtrlState>(&text) else { return };
        let again = serde_json::to_vec(&state).unwrap();
        assert_eq!(serde_json::from_slice::<FtrlState>(&again).unwrap(), state);
        let Ok(mut learner) = FtrlLearner::resume(state, LogLoss) else { return };
        let x = array![[1.0, 2.0, 3.0]];
        let next = Dataset::new(&x, vec![true]).unwrap();
        if learner.partial_fit(&next).is_err() {
            return;
        }
        if let Ok(logit) = learner.fitted().and_then(|fitted| fitted.logit((&[1.0, 2.0, 3.0]).into())) {
            assert!(!logit.is_nan(), "{}", String::from_utf8_lossy(&text));
        }
    });
}

/// A fitted pipeline of every kind of part that holds numbers, and a configuration.
fn pipelines() -> [Vec<u8>; 2] {
    let x = Array2::from_shape_fn((60, 2), |(i, j)| ((i * (7 + 5 * j)) % 11) as f64);
    let data = Dataset::new(&x, (0..60).map(|i| i % 4 == 0).collect::<Vec<_>>()).unwrap();
    let pipeline = Pipeline::new(RareEvents::new())
        .sampler(RandomUnderSampler::negatives_per_positive(2.0).unwrap())
        .calibrator(PriorCorrection::new().then(IsotonicRegression::new()));
    let fitted = pipeline.fit(&data).unwrap().boxed();
    let configuration = pipeline.boxed();
    [serde_json::to_vec(&fitted).unwrap(), serde_json::to_vec(&configuration).unwrap()]
}

/// Without the envelope, whose fingerprint would refuse all that was changed.
#[test]
fn saved_pipelines() {
    let [fitted, configuration] = pipelines();
    let x = array![[1.0, 0.0], [0.5, 0.1], [-3.0, 1e9]];
    check!().for_each(|input| {
        let mut cursor = Cursor(input);
        if cursor.byte() % 4 == 0 {
            let text = damaged(configuration.clone(), &mut cursor);
            drop(serde_json::from_slice::<DynPipeline>(&text));
            return;
        }
        let text = damaged(fitted.clone(), &mut cursor);
        let Ok(pipeline) = serde_json::from_slice::<DynFittedPipeline>(&text) else { return };
        if let Ok(p) = pipeline.probabilities(&x) {
            assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{p:?}");
        }
        drop(pipeline.to_string());
    });
}
