//! The update of one row: its coordinates are gathered, computed on vectors, and scattered.

use super::{Coordinate, FtrlProximal};
use crate::exec::simd::{Work, vectorised};

/// The entries of a row, with what the learner knows of their columns.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) columns: Vec<usize>,
    pub(super) values: Vec<f64>,
    z: Vec<f64>,
    root_n: Vec<f64>,
    /// The coefficients.
    pub(super) w: Vec<f64>,
    /// The coefficients times the values.
    pub(super) terms: Vec<f64>,
}

impl Gathered {
    /// Takes the entries of a row and gathers their coordinates. The loads do not wait for one another.
    #[inline]
    pub(super) fn gather(
        &mut self,
        entries: impl Iterator<Item = (usize, f64)>,
        coordinates: &[[f64; 2]],
    ) {
        let Self { columns, values, z, root_n, w, terms } = self;
        columns.clear();
        values.clear();
        z.clear();
        root_n.clear();
        for (column, value) in entries {
            let at = Coordinate::from(coordinates[column]);
            columns.push(column);
            values.push(value);
            z.push(at.z);
            root_n.push(at.root_n);
        }
        w.resize(columns.len(), 0.0);
        terms.resize(columns.len(), 0.0);
    }

    /// The coefficients, and their products with the values.
    #[inline]
    pub(super) fn predict(&mut self, settings: &FtrlProximal, per_alpha: f64) {
        let Self { values, z, root_n, w, terms, .. } = self;
        let &FtrlProximal { beta, l1, l2, .. } = settings;
        vectorised(Predict { z, root_n, values, w, terms, beta, l1, l2, per_alpha });
    }

    /// Moves the coordinates along the gradients `slope` · value.
    #[inline]
    pub(super) fn step(&mut self, slope: f64, per_alpha: f64) {
        let Self { values, z, root_n, w, .. } = self;
        vectorised(Step { z, root_n, values, w, slope, per_alpha });
    }

    /// Writes the coordinates back.
    #[inline]
    pub(super) fn scatter(&self, coordinates: &mut [[f64; 2]]) {
        for ((&column, &z), &root_n) in self.columns.iter().zip(&self.z).zip(&self.root_n) {
            coordinates[column] = [z, root_n];
        }
    }
}

struct Predict<'a> {
    z: &'a [f64],
    root_n: &'a [f64],
    values: &'a [f64],
    w: &'a mut [f64],
    terms: &'a mut [f64],
    beta: f64,
    l1: f64,
    l2: f64,
    per_alpha: f64,
}

impl Work for Predict<'_> {
    type Output = ();

    /// The coefficient as [`FtrlProximal::coefficient`] has it: (sign(z) λ₁ − z) is −sign(z) (|z| − λ₁), to the bit.
    #[inline(always)]
    fn run(self) {
        let Self { z, root_n, values, w, terms, beta, l1, l2, per_alpha } = self;
        let n = z.len();
        let (root_n, values) = (&root_n[..n], &values[..n]);
        let (w, terms) = (&mut w[..n], &mut terms[..n]);
        for i in 0..n {
            let beyond = (z[i].abs() - l1).max(0.0);
            let coefficient = -beyond.copysign(z[i]) / ((beta + root_n[i]) * per_alpha + l2);
            // A zero without sign, where the penalty holds it.
            w[i] = if beyond > 0.0 { coefficient } else { 0.0 };
            terms[i] = w[i] * values[i];
        }
    }
}

struct Step<'a> {
    z: &'a mut [f64],
    root_n: &'a mut [f64],
    values: &'a [f64],
    w: &'a [f64],
    slope: f64,
    per_alpha: f64,
}

impl Work for Step<'_> {
    type Output = ();

    /// [`Coordinate::step`] of each.
    #[inline(always)]
    fn run(self) {
        let Self { z, root_n, values, w, slope, per_alpha } = self;
        let n = z.len();
        let root_n = &mut root_n[..n];
        let (values, w) = (&values[..n], &w[..n]);
        for i in 0..n {
            let gradient = slope * values[i];
            let root = (root_n[i] * root_n[i] + gradient * gradient).sqrt();
            z[i] += gradient - (root - root_n[i]) * per_alpha * w[i];
            root_n[i] = root;
        }
    }
}
