//! Every sampler × loss × calibrator keeps its promise, or is refused for its own reason.

use crate::table::{CALIBRATORS, Combination, Experiment, LOSSES, Promise, SAMPLERS, fit_all};

/// Every calibrator under one loss of each kind, and every loss under one calibrator of each kind. The
/// example `calibration_table` fits all of them.
fn is_tested(combination: &Combination) -> bool {
    let first_loss = LOSSES.iter().find(|loss| loss.1 == combination.loss.1);
    let first_calibrator = CALIBRATORS.iter().find(|line| line.1 == combination.calibrator.1);
    first_loss.is_some_and(|first| first.0 == combination.loss.0)
        || first_calibrator.is_some_and(|first| first.0 == combination.calibrator.0)
}

#[test]
fn every_combination_is_right_on_the_whole_or_refused_or_warns() {
    let experiment = Experiment::new(8_000, 0.05, 7).unwrap();
    let (mut right, mut near, mut refused, mut open, mut warned) = (0, 0, 0, 0, 0);
    fit_all(&experiment, 3, is_tested, |combination, outcome| {
        let Combination { sampler, loss, calibrator } = combination;
        let name = format!("{} × {} × {}", sampler.0, loss.0, calibrator.0);
        let outcome = outcome.unwrap_or_else(|e| panic!("{name}: {e}"));
        if let Ok(measured) = outcome.result {
            // Who leaves something undone is told so, and nobody else.
            assert_eq!(measured.warned, outcome.promise.is_not_undone(), "{name}");
            warned += usize::from(measured.warned);
        }
        match (outcome.promise, outcome.result) {
            (Promise::Refused(expected), result) => {
                assert_eq!(result.err(), Some(expected), "{name}");
                refused += 1;
            }
            (_, Err(refusal)) => panic!("{name}: refused without need: {refusal:?}"),
            (promise @ (Promise::Right | Promise::Near), Ok(measured)) => {
                // See `standard_error` for how the error is derived. All combinations share the
                // training clicks, so their deviations are one draw rather than hundreds.
                let off = (measured.ratio - 1.0).abs() / measured.error;
                assert!(off < 3.0, "{name}: {measured:?}, {off:.1} standard errors");
                assert!(measured.distance < 1.0, "{name}: {measured:?}");
                right += usize::from(promise == Promise::Right);
                near += usize::from(promise == Promise::Near);
            }
            (Promise::Nothing(why), Ok(measured)) => {
                assert!(measured.ratio.is_finite() && !why.is_empty(), "{name}: {measured:?}");
                open += 1;
            }
        }
    })
    .unwrap();
    // 7 of 23 calibrators are the first of their kind, 4 of 11 losses.
    assert_eq!(right + near + refused + open, SAMPLERS.len() * (7 * 11 + 16 * 4));
    assert!(
        right > refused + near && right > open,
        "{right} right, {refused} refused, {open} not promised"
    );
    assert!(near > 0 && warned > 0);
}
