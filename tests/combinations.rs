//! Every sampler × loss × calibrator keeps its promise, or is refused for its own reason.

#[path = "../examples/combinations/mod.rs"]
mod combinations;

use combinations::{CALIBRATORS, Combination, Experiment, LOSSES, Promise, SAMPLERS};

#[test]
fn every_combination_is_right_on_the_whole_or_refused() {
    let experiment = Experiment::new(16_000, 0.03, 7).unwrap();
    let (mut right, mut refused, mut open) = (0, 0, 0);
    let lines = SAMPLERS.iter().flat_map(|sampler| {
        LOSSES.iter().flat_map(move |loss| {
            CALIBRATORS.iter().map(move |calibrator| Combination { sampler, loss, calibrator })
        })
    });
    for combination in lines {
        let Combination { sampler, loss, calibrator } = combination;
        let name = format!("{} × {} × {}", sampler.0, loss.0, calibrator.0);
        let outcome = combination.fit(&experiment, 3).unwrap_or_else(|e| panic!("{name}: {e}"));
        match (outcome.promise, outcome.result) {
            (Promise::Refused(expected), result) => {
                assert_eq!(result.err(), Some(expected), "{name}");
                refused += 1;
            }
            (_, Err(refusal)) => panic!("{name}: refused without need: {refusal:?}"),
            (Promise::Right, Ok(measured)) => {
                // See `standard_error` for how the error is derived. All combinations share the
                // training clicks, so their deviations are one draw rather than hundreds.
                let off = (measured.ratio - 1.0).abs() / measured.error;
                assert!(off < 3.0, "{name}: {measured:?}, {off:.1} standard errors");
                assert!(measured.distance < 1.0, "{name}: {measured:?}");
                right += 1;
            }
            (Promise::Nothing(why), Ok(measured)) => {
                assert!(measured.ratio.is_finite() && !why.is_empty(), "{name}: {measured:?}");
                open += 1;
            }
        }
    }
    assert_eq!(right + refused + open, SAMPLERS.len() * LOSSES.len() * CALIBRATORS.len());
    assert!(right > refused + open, "{right} right, {refused} refused, {open} not promised");
}
