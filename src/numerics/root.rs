//! Roots of functions that rise, in a bracket that shrinks at every step.

/// An interval at whose lower end a rising function is below 0, and at whose upper end it is 0 or above.
///
/// The caller evaluates the function, decides when the value is near enough to 0, and otherwise calls
/// [`narrow`](Self::narrow) and asks for the next point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bracket {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The values at the ends; that of an end which stays twice in a row is halved (the Illinois rule).
    values: [f64; 2],
    /// How many times in a row the lower end moved, or, if negative, the upper one.
    moves: i32,
}

impl Bracket {
    /// An interval at whose ends the function is not known.
    pub(crate) fn new(low: f64, high: f64) -> Self {
        Self { low, high, values: [-1.0, 1.0], moves: 0 }
    }

    /// Moves one end to `x`, a point inside. A value that is not a number counts as positive: too far.
    pub(crate) fn narrow(&mut self, x: f64, value: f64) {
        if value < 0.0 {
            self.moves = self.moves.max(0) + 1;
            (self.low, self.values[0]) = (x, value);
        } else {
            self.moves = self.moves.min(0) - 1;
            (self.high, self.values[1]) = (x, value);
        }
        if self.moves.abs() > 1 {
            self.values[usize::from(self.moves > 0)] *= 0.5;
        }
    }

    /// Newton's step from `x`, if it ends inside.
    pub(crate) fn newton(&self, x: f64, value: f64, slope: f64) -> Option<f64> {
        let next = x - value / slope;
        (next > self.low && next < self.high).then_some(next)
    }

    /// The middle; `None` if there is no number between the ends.
    pub(crate) fn middle(&self) -> Option<f64> {
        let middle = f64::midpoint(self.low, self.high);
        (middle > self.low && middle < self.high).then_some(middle)
    }

    /// Where a line through the values at the ends is 0, or the middle where one end stays; `None` if there is no
    /// number between the ends.
    fn secant(&self) -> Option<f64> {
        let [below, above] = self.values;
        let next = self.low - below * (self.high - self.low) / (above - below);
        let slow = self.moves.abs() > 3;
        Some(next).filter(|&x| !slow && x > self.low && x < self.high).or_else(|| self.middle())
    }
}

/// The root of a rising function above 0, where its value is negative: by steps outwards, each `growth` times as
/// long as the one before, until the sign changes, then by the secant or bisection.
///
/// It ends where |value| or the bracket is at most as large as `accuracy` says, for values and for the bracket.
/// `None` if 60 steps do not reach a positive value, or 200 do not end the search.
pub(crate) fn search<E>(
    value: f64,
    mut step: f64,
    growth: f64,
    accuracy: [f64; 2],
    mut f: impl FnMut(f64) -> Result<f64, E>,
) -> Result<Option<f64>, E> {
    let mut bracket = Bracket { low: 0.0, high: step, values: [value, f64::NAN], moves: 0 };
    for _ in 0..60 {
        let value = f(bracket.high)?;
        if value.abs() <= accuracy[0] {
            return Ok(Some(bracket.high));
        }
        if value > 0.0 {
            bracket.values[1] = value;
            break;
        }
        step *= growth;
        (bracket.low, bracket.values[0]) = (bracket.high, value);
        bracket.high += step;
    }
    if bracket.values[1].is_nan() {
        return Ok(None);
    }
    for _ in 0..200 {
        let Some(x) = bracket.secant() else { return Ok(Some(bracket.high)) };
        let value = f(x)?;
        if value.abs() <= accuracy[0] || bracket.high - bracket.low <= accuracy[1] {
            return Ok(Some(x));
        }
        bracket.narrow(x, value);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps until a function of slope near 1 at its root 2 is within 1e-12 of 0.
    fn steps(f: impl Fn(f64) -> f64, next: impl Fn(&Bracket, f64, f64) -> Option<f64>) -> usize {
        let mut bracket = Bracket::new(-50.0, 100.0);
        let mut x = 40.0;
        for steps in 0..200 {
            let value = f(x);
            if value.abs() < 1e-12 {
                return steps;
            }
            bracket.narrow(x, value);
            x = next(&bracket, x, value).unwrap();
        }
        panic!("no root");
    }

    #[test]
    fn each_rule_finds_the_root() {
        // The second is flat on one side and overflows on the other.
        let functions: [fn(f64) -> f64; 2] = [|x| x - 2.0, |x| (x - 2.0).exp_m1()];
        for f in functions {
            let slope = |x: f64| (f(x + 1e-6) - f(x - 1e-6)) / 2e-6;
            let newton = steps(f, |b, x, v| b.newton(x, v, slope(x)).or_else(|| b.middle()));
            let (secant, middle) = (steps(f, |b, _, _| b.secant()), steps(f, |b, _, _| b.middle()));
            assert!(newton <= 50 && secant <= 70 && middle <= 60, "{newton} {secant} {middle}");
        }
    }

    #[test]
    fn a_search_goes_outwards_until_the_sign_changes() {
        let reached = |f: fn(f64) -> f64, accuracy| {
            search(f(0.0), 1.0, 2.0, accuracy, |x| Ok::<f64, ()>(f(x))).unwrap()
        };
        assert_eq!(reached(|x| x - 100.0, [0.0; 2]), Some(100.0));
        assert!((reached(|x| x.cbrt() - 3.0, [1e-14, 0.0]).unwrap() - 27.0).abs() < 1e-12);
        // A step is found to the last number, and where there is none the search ends.
        assert_eq!(reached(|x| if x < 3.0 { -1.0 } else { 2.0 }, [0.0; 2]), Some(3.0));
        assert_eq!(reached(|x| -1.0 / (1.0 + x), [0.0; 2]), None);
    }
}
