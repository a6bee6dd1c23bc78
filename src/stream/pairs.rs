//! Steps and changes of the gradient, from which the next step learns the curvature that a sample has missed.

use std::collections::VecDeque;

/// Most numbers in all pairs together: 512 MiB.
const MAX_LEN: usize = 64 << 20;

/// The last steps with the changes of the gradient along them (limited-memory BFGS).
///
/// Source: J. Nocedal, *Updating quasi-Newton matrices with limited storage*, Mathematics of Computation 35, 1980; the
/// recursion in two loops, with the inverse Hessian of the sample in the place of a multiple of the identity.
pub(super) struct Pairs {
    pairs: VecDeque<Pair>,
    most: usize,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1/(change · step).
    inverse: f64,
}

impl Pairs {
    /// Room for pairs of vectors of this length.
    pub(super) fn new(length: usize) -> Self {
        let most = (MAX_LEN / (2 * length.max(1))).clamp(1, 20);
        Self { pairs: VecDeque::with_capacity(most), most }
    }

    /// Adds a step along which the gradient changed; one without positive curvature teaches nothing.
    pub(super) fn add(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let curvature = dot(&step, &change);
        if !(curvature > 0.0 && curvature.is_normal() && (1.0 / curvature).is_finite()) {
            return;
        }
        if self.pairs.len() == self.most {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { step, change, inverse: 1.0 / curvature });
    }

    /// The inverse Hessian times the gradient, where `solve` multiplies with that of the sample.
    pub(super) fn times(
        &self,
        gradient: &[f64],
        solve: impl FnOnce(&[f64]) -> Vec<f64>,
    ) -> Vec<f64> {
        let mut rest = gradient.to_vec();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for Pair { step, change, inverse } in self.pairs.iter().rev() {
            let share = inverse * dot(step, &rest);
            add(&mut rest, -share, change);
            shares.push(share);
        }
        let mut product = solve(&rest);
        for (Pair { step, change, inverse }, share) in self.pairs.iter().zip(shares.iter().rev()) {
            let by = share - inverse * dot(change, &product);
            add(&mut product, by, step);
        }
        product
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, terms: &[f64]) {
    to.iter_mut().zip(terms).for_each(|(to, term)| *to += factor * term);
}
