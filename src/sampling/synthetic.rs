//! New rows, and how they are made.

use ndarray::ArrayView2;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;
use sprs::{CsMat, CsMatView};

use crate::core::{
    CsrRows, Dataset, Error, Features, Matrix, Result, Scalar, Seed, Selection, dense, gather_into,
    same_length, sparse_row, sparse_union, visit,
};
use crate::exec::parallel::{self, BLOCK};

/// New positive rows made by a sampler. Weight, offset and attributes of each are its parent's.
///
/// The samplers of this crate say how their rows are to be made (from which parent, towards which
/// partner, with which random numbers), and they are made where the resampled data set needs them, so
/// that they are never in memory twice. [`new`](Self::new) takes rows that exist already.
#[derive(Debug, Clone)]
pub struct Synthetic {
    parents: Vec<usize>,
    columns: usize,
    law: Law,
}

#[derive(Debug, Clone)]
enum Law {
    /// They are there.
    Given(Features<'static>),
    /// x + λ(x′ − x), with x′ the partner.
    Between(Between),
    /// x + σz, with z normal and a σ for each column.
    Blurred { deviations: Vec<f64>, draws: Draws },
}

#[derive(Debug, Clone)]
struct Between {
    partners: Vec<usize>,
    /// One λ for each element instead of one for each row.
    per_element: bool,
    draws: Draws,
    categories: Option<Categories>,
}

/// What new rows have in columns of categories.
#[derive(Debug, Clone)]
pub(super) struct Categories {
    /// The columns.
    pub(super) columns: Vec<usize>,
    /// Their values, for one parent after the other.
    pub(super) values: Vec<f64>,
    /// For each new row, the place of its parent there.
    pub(super) places: Vec<usize>,
}

impl Synthetic {
    /// Rows that are made already, and the input row each was made from.
    #[must_use]
    pub fn new(features: impl Into<Features<'static>>, parents: Vec<usize>) -> Self {
        let features = features.into();
        Self { parents, columns: features.ncols(), law: Law::Given(features) }
    }

    /// A row between each parent and its partner: x + λ(x′ − x), λ uniform on \[0, 1), or on \[0, ½)
    /// towards a negative.
    pub(super) fn between(
        columns: usize,
        (parents, partners): (Vec<usize>, Vec<usize>),
        per_element: bool,
        seed: Seed,
    ) -> Self {
        // A number in [0, 1) takes two words.
        let words = 2 * if per_element { columns as u64 } else { 1 };
        let draws = Draws { seed: seed.child("steps"), words, numbers: None };
        let law = Law::Between(Between { partners, per_element, draws, categories: None });
        Self { parents, columns, law }
    }

    /// The same with these values in some columns.
    pub(super) fn with_categories(mut self, categories: Categories) -> Self {
        if let Law::Between(between) = &mut self.law {
            between.categories = Some(categories);
        }
        self
    }

    /// Each parent with normal noise of a standard deviation for each column.
    pub(super) fn blurred(parents: Vec<usize>, deviations: Vec<f64>, seed: Seed) -> Self {
        // A normal number takes as many draws as it takes; no row comes near that many.
        let draws = Draws { seed: seed.child("noise"), words: 1 << 32, numbers: None };
        Self { parents, columns: deviations.len(), law: Law::Blurred { deviations, draws } }
    }

    /// The input row each was made from.
    #[must_use]
    pub fn parents(&self) -> &[usize] {
        &self.parents
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.law {
            Law::Given(features) => features.nrows() + self.parents.len() == 0,
            _ => self.parents.is_empty(),
        }
    }

    /// Their features, made from the data set that the sampler was given.
    ///
    /// # Errors
    /// Whatever breaks the contract of a sampler, as for [`Resample::apply`](super::Resample::apply).
    pub fn features(&self, data: &Dataset<'_>) -> Result<Features<'static>> {
        self.check("the sampler", data.rows(), data.columns())?;
        self.below(data, &Selection::Range(0..0))
    }

    /// Checks that they can be made from a data set of so many rows and columns.
    pub(super) fn check(&self, stage: &str, rows: usize, columns: usize) -> Result<()> {
        if let Law::Given(features) = &self.law {
            let parents = self.parents.len();
            same_length("synthetic rows", features.nrows(), "their parents", parents)?;
        }
        let partners = match &self.law {
            Law::Between(between) => &between.partners[..],
            _ => &[],
        };
        if let Some(&row) = self.parents.iter().chain(partners).find(|&&row| row >= rows) {
            return Err(Error::RowOutOfRange { what: stage.into(), row, rows });
        }
        if self.columns != columns && !self.parents.is_empty() {
            let problem =
                format!("it made rows of {} columns from rows of {columns}", self.columns);
            return Err(Error::Contract { stage: stage.into(), problem });
        }
        Ok(())
    }

    /// The features of some rows of a data set and, below them, of these, in one allocation.
    pub(super) fn below(
        &self,
        data: &Dataset<'_>,
        kept: &Selection<'_>,
    ) -> Result<Features<'static>> {
        let features = visit!(data.features(), |x| self.below_matrix(data, x, kept))?;
        let new = kept.len()..kept.len() + self.parents.len();
        match features.view().slice(new).first_non_finite() {
            Some((row, column, value)) => {
                let what = "the synthetic rows".into();
                Err(Error::NonFinite { what, row, column: Some(column), value })
            }
            None => Ok(features),
        }
    }

    fn below_matrix<F: Scalar>(
        &self,
        data: &Dataset<'_>,
        x: Matrix<'_, F>,
        kept: &Selection<'_>,
    ) -> Result<Features<'static>> {
        Ok(match (x, &self.law) {
            (x, Law::Given(made)) if x.is_sparse() || made.view().is_sparse() => {
                let made = made.with_precision(F::PRECISION);
                let all = Selection::Range(0..made.nrows());
                let below = F::matrix(made.view());
                let parts: Vec<_> =
                    [(&x, kept)].into_iter().chain(below.as_ref().map(|x| (x, &all))).collect();
                CsrRows::of(self.columns, &parts).finish().into()
            }
            (Matrix::Dense(x), _) => {
                let (rows, above) = (kept.len() + self.parents.len(), kept.len() * x.ncols());
                let mut values = vec![F::default(); rows * x.ncols()];
                let (top, new) = values.split_at_mut(above);
                gather_into(&x, kept, top);
                self.fill(data, &x, new);
                dense(values, rows, x.ncols()).into()
            }
            (Matrix::Sparse(x), Law::Between(between)) if between.categories.is_none() => {
                self.sparse_between(data, &x, between, kept).into()
            }
            (Matrix::Sparse(_), _) => {
                let problem = "it makes dense rows from sparse ones".into();
                return Err(Error::Contract { stage: "the sampler".into(), problem });
            }
        })
    }

    /// Writes the rows one after the other.
    fn fill<F: Scalar>(&self, data: &Dataset<'_>, x: &ArrayView2<'_, F>, out: &mut [F]) {
        let width = self.columns;
        match &self.law {
            Law::Given(features) => {
                let made = features.with_precision(F::PRECISION);
                if let Some(Matrix::Dense(made)) = F::matrix(made.view()) {
                    gather_into(&made, &Selection::Range(0..made.nrows()), out);
                }
            }
            Law::Between(between) => {
                parallel::map_into(out, width.max(1), BLOCK, |_, rows, out| {
                    let mut cursor = between.draws.cursor();
                    for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
                        let (parent, partner) = (self.parents[row], between.partners[row]);
                        let mut lambda = between.lambda(&mut cursor, row, data.labels()[partner]);
                        for ((out, &a), &b) in out.iter_mut().zip(x.row(parent)).zip(x.row(partner))
                        {
                            *out = step(a, b, lambda());
                        }
                        if let Some(categories) = &between.categories {
                            categories.write(row, out);
                        }
                    }
                });
            }
            Law::Blurred { deviations, draws } => {
                parallel::map_into(out, width.max(1), BLOCK, |_, rows, out| {
                    let mut cursor = draws.cursor();
                    for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
                        let stream = cursor.at(row);
                        let parent = x.row(self.parents[row]);
                        for ((out, value), deviation) in out.iter_mut().zip(parent).zip(deviations)
                        {
                            let z: f64 = stream.sample(StandardNormal);
                            *out = F::from_f64(value.to_f64() + deviation * z);
                        }
                    }
                });
            }
        }
    }

    /// Rows between sparse ones store what either end stores, so their sizes are known before they are
    /// made, and they are written where they belong.
    fn sparse_between<F: Scalar>(
        &self,
        data: &Dataset<'_>,
        x: &CsMatView<'_, F>,
        between: &Between,
        kept: &Selection<'_>,
    ) -> CsMat<F> {
        let ends =
            |row: usize| (sparse_row(x, self.parents[row]), sparse_row(x, between.partners[row]));
        let mut sizes = vec![0; self.parents.len()];
        parallel::map_into(&mut sizes, 1, BLOCK, |_, rows, sizes| {
            for (row, size) in rows.zip(sizes) {
                let (a, b) = ends(row);
                *size = sparse_union(a, b).count();
            }
        });
        let mut all = CsrRows::of(self.columns, &[(&Matrix::Sparse(*x), kept)]);
        let mut blocks = all.extend(&sizes, BLOCK);
        parallel::map_into(&mut blocks, 1, 1, |block, _, parts| {
            let mut cursor = between.draws.cursor();
            for (columns, values) in parts {
                let mut out = columns.iter_mut().zip(values.iter_mut());
                for row in (block * BLOCK..self.parents.len()).take(BLOCK) {
                    let (a, b) = ends(row);
                    let label = data.labels()[between.partners[row]];
                    let mut lambda = between.lambda(&mut cursor, row, label);
                    for ((column, a, b), (to, value)) in sparse_union(a, b).zip(&mut out) {
                        *to = column;
                        *value = step(a, b, lambda());
                    }
                }
            }
        });
        all.finish()
    }

    /// Some of these rows, by their places.
    pub(super) fn select(&self, places: &[usize]) -> Self {
        let of = |rows: &[usize]| places.iter().map(|&at| rows[at]).collect::<Vec<_>>();
        let law = match &self.law {
            Law::Given(features) => Law::Given(features.view().gather(places)),
            Law::Between(between) => Law::Between(Between {
                partners: of(&between.partners),
                per_element: between.per_element,
                draws: between.draws.select(places),
                categories: between.categories.as_ref().map(|categories| Categories {
                    columns: categories.columns.clone(),
                    values: categories.values.clone(),
                    places: of(&categories.places),
                }),
            }),
            Law::Blurred { deviations, draws } => {
                Law::Blurred { deviations: deviations.clone(), draws: draws.select(places) }
            }
        };
        Self { parents: of(&self.parents), columns: self.columns, law }
    }

    /// The same rows, where row r of the data set they are made from is row `origin(r)` of another.
    pub(super) fn relabelled(mut self, origin: impl Fn(usize) -> usize) -> Self {
        let relabel = |rows: &mut Vec<usize>| rows.iter_mut().for_each(|row| *row = origin(*row));
        relabel(&mut self.parents);
        if let Law::Between(between) = &mut self.law {
            relabel(&mut between.partners);
        }
        self
    }
}

impl Between {
    /// The λ of each element of a row in turn.
    fn lambda<'c>(
        &self,
        cursor: &'c mut Cursor<'_>,
        row: usize,
        towards: bool,
    ) -> impl FnMut() -> f64 + use<'c> {
        let (reach, per_element) = (if towards { 1.0 } else { 0.5 }, self.per_element);
        let stream = cursor.at(row);
        let mut lambda = if per_element { 0.0 } else { reach * stream.random::<f64>() };
        move || {
            if per_element {
                lambda = reach * stream.random::<f64>();
            }
            lambda
        }
    }
}

impl Categories {
    fn write<F: Scalar>(&self, row: usize, out: &mut [F]) {
        let values = self.values[self.places[row] * self.columns.len()..].iter();
        self.columns
            .iter()
            .zip(values)
            .for_each(|(&column, &value)| out[column] = F::from_f64(value));
    }
}

/// a + λ(b − a), rounded to the type of the ends, never outside them and without overflow.
fn step<F: Scalar>(a: F, b: F, lambda: f64) -> F {
    let (a, b) = (a.to_f64(), b.to_f64());
    F::from_f64(((1.0 - lambda) * a + lambda * b).clamp(a.min(b), a.max(b)))
}

/// The random numbers of new rows: each row has a place of its own in the streams, so that it is the
/// same row whichever others are made with it.
#[derive(Debug, Clone)]
struct Draws {
    seed: Seed,
    /// Words of a stream that belong to a row.
    words: u64,
    /// The number each row had when all were drawn; `None` for 0, 1, ….
    numbers: Option<Vec<usize>>,
}

/// A stream, moved from row to row.
struct Cursor<'d> {
    draws: &'d Draws,
    block: usize,
    stream: ChaCha8Rng,
}

impl Draws {
    fn number(&self, row: usize) -> usize {
        self.numbers.as_ref().map_or(row, |numbers| numbers[row])
    }

    fn select(&self, places: &[usize]) -> Self {
        let numbers = Some(places.iter().map(|&at| self.number(at)).collect());
        Self { numbers, ..*self }
    }

    fn cursor(&self) -> Cursor<'_> {
        Cursor { draws: self, block: 0, stream: self.seed.stream(0) }
    }
}

impl Cursor<'_> {
    /// The stream where the numbers of a row begin.
    fn at(&mut self, row: usize) -> &mut ChaCha8Rng {
        let number = self.draws.number(row);
        let (block, place) = (number / BLOCK, number % BLOCK);
        if block != self.block {
            self.stream = self.draws.seed.stream(block);
            self.block = block;
        }
        let word = place as u128 * u128::from(self.draws.words);
        // Rows that follow each other need no move, which would throw away what is drawn already.
        if self.stream.get_word_pos() != word {
            self.stream.set_word_pos(word);
        }
        &mut self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn bits(x: &Features<'_>) -> Vec<Vec<(usize, u64)>> {
        let entries = |(column, value): (usize, f64)| (column, value.to_bits());
        x.view().rows().map(|row| row.entries().map(entries).collect()).collect()
    }

    /// A row does not depend on which others are made with it, over the edges of blocks too.
    #[test]
    fn some_rows_are_the_same_as_among_all() {
        let n = 2 * BLOCK + 10;
        let x = Array2::from_shape_fn((7, 3), |(row, column)| (row * (column + 2) % 5) as f64);
        let csr = CsrRows::of(3, &[(&Matrix::Dense(x.view()), &Selection::Range(0..7))]);
        let csr = csr.finish();
        let labels = vec![true; 7];
        let dense = Dataset::new(&x, &labels).unwrap();
        let sparse = Dataset::new(&csr, &labels).unwrap();
        let parents: Vec<usize> = (0..n).map(|row| row % 7).collect();
        let partners: Vec<usize> = (0..n).map(|row| (row / 7 + 1) % 7).collect();
        let between = |per_element| {
            let ends = (parents.clone(), partners.clone());
            Synthetic::between(3, ends, per_element, Seed::new(4))
        };
        let blurred = Synthetic::blurred(parents.clone(), vec![1.0, 0.5, 2.0], Seed::new(4));
        let places = [0, 1, BLOCK - 1, BLOCK, 5, 2 * BLOCK + 9, 5];
        for (synthetic, data) in [
            (between(false), &dense),
            (between(true), &dense),
            (between(false), &sparse),
            (between(true), &sparse),
            (blurred, &dense),
        ] {
            let all = bits(&synthetic.features(data).unwrap());
            let some = bits(&synthetic.select(&places).features(data).unwrap());
            let expected: Vec<_> = places.iter().map(|&at| all[at].clone()).collect();
            assert_eq!(some, expected);
            // Twice selected, and from a data set in which the rows have other numbers.
            let again = synthetic.select(&places).select(&[6, 2]);
            assert_eq!(
                bits(&again.features(data).unwrap()),
                [5, BLOCK - 1].map(|at| all[at].clone())
            );
            let order = [6, 5, 4, 3, 2, 1, 0];
            let turned = data.select(&order).unwrap();
            let again = synthetic.clone().relabelled(|row| 6 - row);
            assert_eq!(bits(&again.features(&turned).unwrap()), all);
        }
    }
}
