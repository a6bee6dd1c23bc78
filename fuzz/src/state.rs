//! The saved state of `FtrlProximal`, damaged.

use bolero::check;
use imbalance::Dataset;
use imbalance::loss::LogLoss;
use imbalance::model::{FtrlLearner, FtrlProximal, FtrlState, Predict};
use imbalance::ndarray::array;

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
