//! Sums that do not show the order of their terms.

/// A running sum with Neumaier's compensation: its error does not grow with the number of terms,
/// so the order of the rows does not show in the result.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NeumaierSum {
    sum: f64,
    compensation: f64,
}

impl NeumaierSum {
    pub(crate) fn add(&mut self, term: f64) {
        let next = self.sum + term;
        self.compensation += if self.sum.abs() >= term.abs() {
            (self.sum - next) + term
        } else {
            (term - next) + self.sum
        };
        self.sum = next;
    }

    /// Adds the terms of another sum.
    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.sum);
        if other.sum.is_finite() {
            self.compensation += other.compensation;
        }
    }

    pub(crate) fn value(self) -> f64 {
        // After an infinite term (the log loss of a certain miss) the compensation is ∞ − ∞.
        if self.sum.is_finite() { self.sum + self.compensation } else { self.sum }
    }
}

impl FromIterator<f64> for NeumaierSum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::default();
        terms.into_iter().for_each(|term| sum.add(term));
        sum
    }
}
