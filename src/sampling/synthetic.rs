//! New rows, and how they are made.

use ndarray::ArrayView2;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;
use sprs::CsMatView;

use crate::core::{
    CsrRows, Dataset, Error, Features, Matrix, Result, Scalar, Seed, Selection, dense, gather_into,
    same_length, sparse_row, sparse_union, visit,
};
use crate::exec::parallel::{self, BLOCK};

/// New positive rows made by a sampler. Weight, offset and attributes of each are its parent's.
///
/// The samplers of this crate give a rule for making their rows (from which parent, towards which partner,
/// with which random numbers). The rows are made where the resampled data set needs them, so that they are
/// never in memory twice. [`new`](Self::new) takes rows that exist already.
#[derive(Debug, Clone)]
pub struct Synthetic {
    parents: Vec<usize>,
    columns: usize,
    generator: Generator,
}

#[derive(Debug, Clone)]
enum Generator {
    /// Rows that exist already.
    Rows(Features<'static>),
    /// x + λ(x′ − x), with x′ the partner.
    Interpolate(Interpolation),
    /// x + σz, with z normal and a σ for each column.
    Jitter { deviations: Vec<f64>, draws: Draws },
}

#[derive(Debug, Clone)]
struct Interpolation {
    partners: Vec<usize>,
    /// λ is uniform on \[0, reach) for each new row; on \[0, 1) where there is none.
    reach: Option<Vec<f64>>,
    /// One λ for each element instead of one for each row.
    per_element: bool,
    draws: Draws,
    categories: Option<Categories>,
}

/// The values of new rows in columns of categories.
#[derive(Debug, Clone)]
pub(super) struct Categories {
    /// The columns.
    pub(super) columns: Vec<usize>,
    /// Their values, for one parent after the other.
    pub(super) values: Vec<f64>,
    /// For each new row, the place of its parent in `values`.
    pub(super) parent_index: Vec<usize>,
}

impl Synthetic {
    /// Rows that are made already, and the input row that each was made from.
    #[must_use]
    pub fn new(features: impl Into<Features<'static>>, parents: Vec<usize>) -> Self {
        let features = features.into();
        Self { parents, columns: features.ncols(), generator: Generator::Rows(features) }
    }

    /// A row between each parent and its partner: x + λ(x′ − x), λ uniform on \[0, 1).
    pub(super) fn interpolated(
        columns: usize,
        parents: Vec<usize>,
        partners: Vec<usize>,
        seed: Seed,
    ) -> Self {
        // A number in [0, 1) takes two words.
        let draws = Draws { seed: seed.child("steps"), words: 2, numbers: None };
        let (reach, per_element, categories) = (None, false, None);
        let generator = Interpolation { partners, reach, per_element, draws, categories };
        Self { parents, columns, generator: Generator::Interpolate(generator) }
    }

    /// The same rows with a λ for each element.
    pub(super) fn per_element(mut self) -> Self {
        if let Generator::Interpolate(generator) = &mut self.generator {
            generator.per_element = true;
            generator.draws.words = 2 * self.columns as u64;
        }
        self
    }

    /// The same rows with λ uniform on \[0, reach(partner)).
    pub(super) fn with_reach(mut self, reach: impl Fn(usize) -> f64) -> Self {
        if let Generator::Interpolate(generator) = &mut self.generator {
            generator.reach = Some(generator.partners.iter().map(|&row| reach(row)).collect());
        }
        self
    }

    /// The same rows with these values in some columns.
    pub(super) fn with_categories(mut self, categories: Categories) -> Self {
        if let Generator::Interpolate(generator) = &mut self.generator {
            generator.categories = Some(categories);
        }
        self
    }

    /// Each parent with normal noise of a standard deviation for each column.
    pub(super) fn jittered(parents: Vec<usize>, deviations: Vec<f64>, seed: Seed) -> Self {
        // How many words a normal number takes is random; no row comes near this many.
        let draws = Draws { seed: seed.child("noise"), words: 1 << 32, numbers: None };
        let columns = deviations.len();
        Self { parents, columns, generator: Generator::Jitter { deviations, draws } }
    }

    /// The input row each was made from.
    #[must_use]
    pub fn parents(&self) -> &[usize] {
        &self.parents
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.generator {
            Generator::Rows(features) => features.nrows() + self.parents.len() == 0,
            _ => self.parents.is_empty(),
        }
    }

    /// Their features, made from the data set that the sampler was given.
    ///
    /// # Errors
    /// Whatever breaks the contract of a sampler, as for [`Resample::apply`](super::Resample::apply).
    pub fn features(&self, data: &Dataset<'_>) -> Result<Features<'static>> {
        self.ensure_valid("the sampler", data.rows(), data.columns())?;
        stack(data, &Selection::Range(0..0), std::slice::from_ref(self))
    }

    /// Checks that these rows can be made from a data set of this many rows and columns.
    pub(super) fn ensure_valid(&self, sampler: &str, rows: usize, columns: usize) -> Result<()> {
        if let Generator::Rows(features) = &self.generator {
            let parents = self.parents.len();
            same_length("synthetic rows", features.nrows(), "their parents", parents)?;
        }
        let partners = match &self.generator {
            Generator::Interpolate(generator) => &generator.partners[..],
            _ => &[],
        };
        if let Some(&row) = self.parents.iter().chain(partners).find(|&&row| row >= rows) {
            return Err(Error::RowOutOfRange { what: sampler.into(), row, rows });
        }
        if self.columns != columns && !self.parents.is_empty() {
            let problem =
                format!("it made rows of {} columns from rows of {columns}", self.columns);
            return Err(Error::Contract { stage: sampler.into(), problem });
        }
        Ok(())
    }

    /// Some of these rows, by their places.
    pub(super) fn select(&self, places: &[usize]) -> Self {
        let of = |rows: &[usize]| places.iter().map(|&at| rows[at]).collect::<Vec<_>>();
        let generator = match &self.generator {
            Generator::Rows(features) => Generator::Rows(features.view().gather(places)),
            Generator::Interpolate(generator) => {
                let reach = generator.reach.as_ref();
                Generator::Interpolate(Interpolation {
                    partners: of(&generator.partners),
                    reach: reach.map(|reach| places.iter().map(|&at| reach[at]).collect()),
                    per_element: generator.per_element,
                    draws: generator.draws.select(places),
                    categories: generator.categories.as_ref().map(|categories| Categories {
                        columns: categories.columns.clone(),
                        values: categories.values.clone(),
                        parent_index: of(&categories.parent_index),
                    }),
                })
            }
            Generator::Jitter { deviations, draws } => {
                Generator::Jitter { deviations: deviations.clone(), draws: draws.select(places) }
            }
        };
        Self { parents: of(&self.parents), columns: self.columns, generator }
    }

    /// The same rows, made now from their data set.
    pub(super) fn evaluated(self, data: &Dataset<'_>) -> Result<Self> {
        Ok(Self { generator: Generator::Rows(self.features(data)?), ..self })
    }

    /// The same rows, where row r of the data set they are made from is row `origin(r)` of another.
    pub(super) fn relabelled(mut self, origin: impl Fn(usize) -> usize) -> Self {
        let relabel = |rows: &mut Vec<usize>| rows.iter_mut().for_each(|row| *row = origin(*row));
        relabel(&mut self.parents);
        if let Generator::Interpolate(generator) = &mut self.generator {
            relabel(&mut generator.partners);
        }
        self
    }

    /// Writes the rows, made from dense ones, one after the other.
    fn fill<F: Scalar>(&self, x: &ArrayView2<'_, F>, out: &mut [F]) {
        let width = self.columns;
        match &self.generator {
            Generator::Rows(features) => {
                let made = features.with_precision(F::PRECISION);
                if let Some(Matrix::Dense(made)) = F::matrix(made.view()) {
                    gather_into(&made, &Selection::Range(0..made.nrows()), out);
                }
            }
            Generator::Interpolate(generator) => {
                parallel::map_into(out, width.max(1), BLOCK, |_, rows, out| {
                    let mut cursor = generator.draws.cursor();
                    for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
                        let mut lambda = generator.lambda(&mut cursor, row);
                        let ends = x.row(self.parents[row]).into_iter();
                        let ends = ends.zip(x.row(generator.partners[row]));
                        for (out, (&a, &b)) in out.iter_mut().zip(ends) {
                            *out = interpolate(a, b, lambda());
                        }
                        if let Some(categories) = &generator.categories {
                            categories.write(row, out);
                        }
                    }
                });
            }
            Generator::Jitter { deviations, draws } => {
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

    /// Makes the rows below the sparse rows `all`.
    fn push<F: Scalar>(&self, x: &Matrix<'_, F>, all: &mut CsrRows<F>) -> Result<()> {
        match (x, &self.generator) {
            (_, Generator::Rows(made)) => {
                let made = made.with_precision(F::PRECISION);
                if let Some(made) = F::matrix(made.view()) {
                    all.push(&made, &Selection::Range(0..made.nrows()));
                }
            }
            (Matrix::Dense(x), _) => {
                let mut values = vec![F::default(); self.parents.len() * self.columns];
                self.fill(x, &mut values);
                let made = dense(values, self.parents.len(), self.columns);
                all.push(&Matrix::Dense(made.view()), &Selection::Range(0..made.nrows()));
            }
            (Matrix::Sparse(x), Generator::Interpolate(generator))
                if generator.categories.is_none() =>
            {
                self.interpolate_sparse(x, generator, all);
            }
            (Matrix::Sparse(_), _) => {
                let problem = "it makes dense rows from sparse ones".into();
                return Err(Error::Contract { stage: "the sampler".into(), problem });
            }
        }
        Ok(())
    }

    /// A row between two sparse ones stores the columns that either of them stores, so its size is known
    /// before it is made, and it is written to its place.
    fn interpolate_sparse<F: Scalar>(
        &self,
        x: &CsMatView<'_, F>,
        generator: &Interpolation,
        all: &mut CsrRows<F>,
    ) {
        let ends =
            |row: usize| (sparse_row(x, self.parents[row]), sparse_row(x, generator.partners[row]));
        let mut sizes = vec![0; self.parents.len()];
        parallel::map_into(&mut sizes, 1, BLOCK, |_, rows, sizes| {
            for (row, size) in rows.zip(sizes) {
                let (a, b) = ends(row);
                *size = sparse_union(a, b).count();
            }
        });
        let mut blocks = all.extend(&sizes, BLOCK);
        parallel::map_into(&mut blocks, 1, 1, |block, _, parts| {
            let mut cursor = generator.draws.cursor();
            for (columns, values) in parts {
                let mut out = columns.iter_mut().zip(values.iter_mut());
                for row in (block * BLOCK..self.parents.len()).take(BLOCK) {
                    let (a, b) = ends(row);
                    let mut lambda = generator.lambda(&mut cursor, row);
                    for ((column, a, b), (to, value)) in sparse_union(a, b).zip(&mut out) {
                        *to = column;
                        *value = interpolate(a, b, lambda());
                    }
                }
            }
        });
    }
}

/// The features of some rows of a data set and, below them, of new rows, in one allocation where they are
/// dense.
pub(super) fn stack(
    data: &Dataset<'_>,
    kept: &Selection<'_>,
    made: &[Synthetic],
) -> Result<Features<'static>> {
    let features = visit!(data.features(), |x| stack_matrix(x, kept, made))?;
    match features.view().slice(kept.len()..features.nrows()).first_non_finite() {
        Some((row, column, value)) => {
            let what = "the synthetic rows".into();
            Err(Error::NonFinite { what, row, column: Some(column), value })
        }
        None => Ok(features),
    }
}

fn stack_matrix<F: Scalar>(
    x: Matrix<'_, F>,
    kept: &Selection<'_>,
    made: &[Synthetic],
) -> Result<Features<'static>> {
    let any_sparse = made.iter().any(
        |made| matches!(&made.generator, Generator::Rows(features) if features.view().is_sparse()),
    );
    if let (Matrix::Dense(x), false) = (&x, any_sparse) {
        let rows = kept.len() + made.iter().map(|made| made.parents.len()).sum::<usize>();
        let mut values = vec![F::default(); rows * x.ncols()];
        let (top, mut new) = values.split_at_mut(kept.len() * x.ncols());
        gather_into(x, kept, top);
        for made in made {
            let (own, others) = new.split_at_mut(made.parents.len() * x.ncols());
            made.fill(x, own);
            new = others;
        }
        return Ok(dense(values, rows, x.ncols()).into());
    }
    let mut all = CsrRows::new(x.ncols());
    all.push(&x, kept);
    for made in made {
        made.push(&x, &mut all)?;
    }
    Ok(all.finish().into())
}

impl Interpolation {
    /// The λ of each element of a row in turn.
    fn lambda<'c>(&self, cursor: &'c mut Cursor<'_>, row: usize) -> impl FnMut() -> f64 + use<'c> {
        let reach = self.reach.as_ref().map_or(1.0, |reach| reach[row]);
        let (stream, per_element) = (cursor.at(row), self.per_element);
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
        let values = &self.values[self.parent_index[row] * self.columns.len()..];
        for (&column, &value) in self.columns.iter().zip(values) {
            out[column] = F::from_f64(value);
        }
    }
}

/// a + λ(b − a), rounded to the type of the ends, never outside them and without overflow.
fn interpolate<F: Scalar>(a: F, b: F, lambda: f64) -> F {
    let (a, b) = (a.to_f64(), b.to_f64());
    F::from_f64(((1.0 - lambda) * a + lambda * b).clamp(a.min(b), a.max(b)))
}

/// The random numbers of new rows. Each row has a place of its own in the streams, so that its numbers do not
/// depend on which other rows are made with it.
#[derive(Debug, Clone)]
struct Draws {
    seed: Seed,
    /// The number of words of a stream that belong to a row.
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
        // A move throws away the words drawn ahead; rows that follow each other need none.
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
        let mut csr = CsrRows::new(3);
        csr.push(&Matrix::Dense(x.view()), &Selection::Range(0..7));
        let csr = csr.finish();
        let labels = vec![true; 7];
        let dense = Dataset::new(&x, &labels).unwrap();
        let sparse = Dataset::new(&csr, &labels).unwrap();
        let parents: Vec<usize> = (0..n).map(|row| row % 7).collect();
        let partners: Vec<usize> = (0..n).map(|row| (row / 7 + 1) % 7).collect();
        let interpolated = |per_element| {
            let made = Synthetic::interpolated(3, parents.clone(), partners.clone(), Seed::new(4));
            if per_element { made.per_element() } else { made }
        };
        let jittered = Synthetic::jittered(parents.clone(), vec![1.0, 0.5, 2.0], Seed::new(4));
        let places = [0, 1, BLOCK - 1, BLOCK, 5, 2 * BLOCK + 9, 5];
        for (synthetic, data) in [
            (interpolated(false), &dense),
            (interpolated(true), &dense),
            (interpolated(false), &sparse),
            (interpolated(true), &sparse),
            (jittered, &dense),
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
