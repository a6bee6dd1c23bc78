//! The update of one row: its coordinates are gathered, computed on vectors, and scattered.

use super::{Coordinate, FtrlProximal};
use crate::core::Precision;
use crate::exec::simd::{Work, vectorised};

/// A [`Coordinate`] for each column, as a pair of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Coordinates {
    F64(Vec<[f64; 2]>),
    F32(Vec<[f32; 2]>),
}

impl Coordinates {
    /// Coordinates that no row has moved.
    pub(super) fn new(columns: usize, precision: Precision) -> Self {
        match precision {
            Precision::F64 => Self::F64(vec![[0.0; 2]; columns]),
            Precision::F32 => Self::F32(vec![[0.0; 2]; columns]),
        }
    }

    pub(super) fn precision(&self) -> Precision {
        match self {
            Self::F64(_) => Precision::F64,
            Self::F32(_) => Precision::F32,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::F64(all) => all.len(),
            Self::F32(all) => all.len(),
        }
    }

    #[inline]
    pub(super) fn get(&self, column: usize) -> Coordinate {
        let [z, root_n] = match self {
            Self::F64(all) => all[column],
            Self::F32(all) => all[column].map(f64::from),
        };
        Coordinate { z, root_n }
    }

    #[inline]
    pub(super) fn set(&mut self, column: usize, Coordinate { z, root_n }: Coordinate) {
        match self {
            Self::F64(all) => all[column] = [z, root_n],
            Self::F32(all) => all[column] = [z as f32, root_n as f32],
        }
    }

    /// The same coordinates in another precision.
    pub(super) fn rounded_to(&self, precision: Precision) -> Self {
        let mut rounded = Self::new(self.len(), precision);
        for column in 0..self.len() {
            let at = self.get(column);
            if at != Coordinate::default() {
                rounded.set(column, at);
            }
        }
        rounded
    }

    /// The largest squared gradient of a row.
    #[inline]
    pub(super) fn most_growth(&self) -> f64 {
        match self {
            Self::F64(_) => 1e290,
            Self::F32(_) => 1e30,
        }
    }
}

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
        coordinates: &Coordinates,
    ) {
        match coordinates {
            Coordinates::F64(all) => self.gather_from(entries, all, |number| number),
            Coordinates::F32(all) => self.gather_from(entries, all, f64::from),
        }
        self.w.resize(self.columns.len(), 0.0);
        self.terms.resize(self.columns.len(), 0.0);
    }

    #[inline]
    fn gather_from<T: Copy>(
        &mut self,
        entries: impl Iterator<Item = (usize, f64)>,
        coordinates: &[[T; 2]],
        number: impl Fn(T) -> f64,
    ) {
        let Self { columns, values, z, root_n, .. } = self;
        columns.clear();
        values.clear();
        z.clear();
        root_n.clear();
        for (column, value) in entries {
            let at = coordinates[column];
            columns.push(column);
            values.push(value);
            z.push(number(at[0]));
            root_n.push(number(at[1]));
        }
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
    pub(super) fn scatter(&self, coordinates: &mut Coordinates) {
        let moved = self.columns.iter().zip(self.z.iter().zip(&self.root_n));
        match coordinates {
            Coordinates::F64(all) => {
                moved.for_each(|(&column, (&z, &root_n))| all[column] = [z, root_n]);
            }
            Coordinates::F32(all) => {
                moved.for_each(|(&column, (&z, &root_n))| all[column] = [z as f32, root_n as f32]);
            }
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
