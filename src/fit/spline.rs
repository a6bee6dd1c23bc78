//! Natural cubic splines in the basis of their slopes.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use ndarray::Array2;

use super::Features;
use crate::exec::simd::LANES;

/// The natural cubic splines on some knots, but for a constant.
///
/// The slope of such a spline is a quadratic spline that is constant beyond the outermost knots: a combination of
/// quadratic B-splines, of which the first two and the last two are added up. The columns are their integrals
/// (Ramsay's I-splines): with coefficients of 0 or above the spline does not fall. On two knots it is a line.
/// In the free basis the first column is their sum, the line itself: its roughness is exactly 0, so that a large
/// penalty rounds away none of the information about it.
#[derive(Debug, Clone)]
pub(crate) struct NaturalSpline {
    /// At least two, ascending.
    knots: Vec<f64>,
    /// For each interval, the first and the last without end, the cubic of each column in (z − its left knot)/length,
    /// and the first knot for the first interval.
    cubics: Vec<Vec<Cubic>>,
    /// Of all knots.
    length: f64,
}

/// c₀ + c₁ t + c₂ t² + c₃ t³.
pub(crate) type Cubic = [f64; 4];

impl NaturalSpline {
    pub(crate) fn new(knots: Vec<f64>, free: bool) -> Self {
        let (n, first) = (knots.len(), knots[0]);
        let length = knots[n - 1] - first;
        let at: Vec<f64> = knots.iter().map(|knot| (knot - first) / length).collect();
        let columns = n - 1;
        // Quadratic B-splines by the recursion of Cox and de Boor, as polynomials on each interval.
        let padded = |i: usize| at[i.saturating_sub(2).min(n - 1)];
        let mut splines: Vec<Vec<[f64; 3]>> = (0..n + 3)
            .map(|i| (0..n - 1).map(|m| [f64::from(u8::from(i == m + 2)), 0.0, 0.0]).collect())
            .collect();
        for degree in 1..=2 {
            let raised = |i: usize| {
                let ramp = |m: usize, spline: usize, from: f64, to: f64| {
                    // (u − from)/(to − from) with u = at[m] + t, times the spline.
                    let [a, b, c] = splines[spline][m];
                    let (start, slope) = ((at[m] - from) / (to - from), 1.0 / (to - from));
                    if from == to {
                        [0.0; 3]
                    } else {
                        [a * start, b * start + a * slope, c * start + b * slope]
                    }
                };
                let interval = |m: usize| {
                    let up = ramp(m, i, padded(i), padded(i + degree));
                    let down = ramp(m, i + 1, padded(i + degree + 1), padded(i + 1));
                    [up[0] + down[0], up[1] + down[1], up[2] + down[2]]
                };
                (0..n - 1).map(interval).collect()
            };
            splines = (0..n + 3 - degree).map(raised).collect();
        }
        let mut slopes = vec![vec![[0.0; 3]; columns]; n - 1];
        for (i, spline) in splines.iter().enumerate() {
            let column = i.saturating_sub(1).min(columns - 1);
            for (m, terms) in spline.iter().enumerate() {
                (0..3).for_each(|power| slopes[m][column][power] += terms[power]);
            }
        }
        // Integrals from the first knot on.
        let mut cubics = vec![vec![[0.0; 4]; columns]; n + 1];
        cubics[0][0] = [0.0, 1.0, 0.0, 0.0];
        for column in 0..columns {
            let mut sum = 0.0;
            for m in 0..n - 1 {
                let [a, b, c] = slopes[m][column];
                cubics[m + 1][column] = [sum, a, b / 2.0, c / 3.0];
                sum = value(&cubics[m + 1][column], at[m + 1] - at[m]);
            }
            cubics[n][column][0] = sum;
        }
        cubics[n][columns - 1][1] = 1.0;
        if free {
            let origins = std::iter::once(&at[0]).chain(&at);
            cubics.iter_mut().zip(origins).for_each(|(cubic, &u)| cubic[0] = [u, 1.0, 0.0, 0.0]);
        }
        Self { knots, cubics, length }
    }

    pub(crate) fn knots(&self) -> &[f64] {
        &self.knots
    }

    /// The length by which the cubics measure distances.
    pub(crate) fn length(&self) -> f64 {
        self.length
    }

    /// The sum of the columns, with coefficients, on each interval.
    pub(crate) fn combine(&self, coefficients: &[f64]) -> Vec<Cubic> {
        let term = |cubics: &Vec<Cubic>, power: usize| {
            cubics.iter().zip(coefficients).map(|(cubic, c)| c * cubic[power]).sum()
        };
        let combined = |cubics| std::array::from_fn(|power| term(cubics, power));
        self.cubics.iter().map(combined).collect()
    }

    /// D with |Dθ|² = ∫ f''², for f in units of the length.
    pub(crate) fn roughness(&self) -> Array2<f64> {
        let intervals = self.knots.len() - 1;
        Array2::from_shape_fn((2 * intervals, intervals), |(row, column)| {
            let m = row / 2;
            let h = (self.knots[m + 1] - self.knots[m]) / self.length;
            let [_, _, c2, c3] = self.cubics[m + 1][column];
            // f'' = a + b t on the interval has the integral h ((a + bh/2)² + (bh)²/12).
            if row % 2 == 0 {
                h.sqrt() * (2.0 * c2 + 3.0 * c3 * h)
            } else {
                (h / 12.0).sqrt() * 6.0 * c3 * h
            }
        })
    }
}

/// The interval of a score among those that ascending knots make, and its distance from the interval's origin.
#[inline(always)]
pub(crate) fn interval(knots: &[f64], z: f64) -> (usize, f64) {
    let mut interval = 0;
    for knot in knots {
        interval += usize::from(z >= *knot);
    }
    (interval, z - knots[interval.saturating_sub(1)])
}

#[inline(always)]
pub(crate) fn value(&[c0, c1, c2, c3]: &Cubic, t: f64) -> f64 {
    c0 + t * (c1 + t * (c2 + t * c3))
}

impl Features for NaturalSpline {
    fn columns(&self) -> usize {
        self.knots.len() - 1
    }

    #[inline(always)]
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
        for lane in 0..LANES {
            let (interval, distance) = interval(&self.knots, z[lane]);
            let t = distance / self.length;
            for (x, cubic) in x.iter_mut().zip(&self.cubics[interval]) {
                x[lane] = value(cubic, t);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_smooth_rise_and_end_in_lines() {
        for knots in [vec![-1.0, 3.0], vec![0.0, 1.0, 5.0], vec![-7.0, -6.5, -3.0, -2.0, 4.0, 4.5]]
        {
            let spline = NaturalSpline::new(knots.clone(), false);
            for column in 0..knots.len() - 1 {
                let derivatives = |interval: usize, z: f64| {
                    let origin = knots[interval.saturating_sub(1)];
                    let t = (z - origin) / spline.length;
                    let [c0, c1, c2, c3] = spline.cubics[interval][column];
                    let cubic = [c0, c1, c2, c3];
                    [value(&cubic, t), c1 + t * (2.0 * c2 + t * 3.0 * c3), 2.0 * c2 + 6.0 * c3 * t]
                };
                for (i, &knot) in knots.iter().enumerate() {
                    let (below, above) = (derivatives(i, knot), derivatives(i + 1, knot));
                    for (below, above) in below.into_iter().zip(above) {
                        assert!(
                            (below - above).abs() < 1e-11,
                            "{knots:?} {column} {below} {above}"
                        );
                    }
                }
                for step in 0..100 {
                    let z = -10.0 + 0.2 * f64::from(step);
                    let (i, _) = interval(&knots, z);
                    assert!(derivatives(i, z)[1] >= -1e-14);
                }
            }
            // With all slopes 1 it is the line, which is the first column of the free basis.
            let line = spline.combine(&vec![1.0; knots.len() - 1]);
            let free = NaturalSpline::new(knots.clone(), true);
            for z in [-9.0, -6.7, 0.4, 4.2, 8.0] {
                let (i, distance) = interval(&knots, z);
                let expected = (z - knots[0]) / spline.length;
                for line in [line[i], free.cubics[i][0]] {
                    assert!((value(&line, distance / spline.length) - expected).abs() < 1e-14);
                }
            }
        }
    }
}
