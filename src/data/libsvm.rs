//! Sparse rows in the format of `LIBSVM`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use sprs::CsMat;

use super::records::{MAX_RECORD, Observe, read_file, text, unreadable};
use super::roles::shorten;
use crate::core::{Dataset, Error, Features, MAX_LEN, Precision, Result, Run, Scalar};

/// Reads sparse rows in the format of `LIBSVM` and `SVMlight`, plain or gzipped, into a [`Dataset`].
///
/// A line is a row: a label, then pairs `index:value` of the columns that are not 0, in any order, each once, and
/// perhaps a comment after `#`. A pair `qid:…` is skipped. Indices count from 1, unless
/// [`zero_based`](Self::zero_based) says otherwise. Labels are `1` and `+1` for positive rows, `0` and `-1` for
/// negative ones, unless [`positive_above`](Self::positive_above) says otherwise.
///
/// ```
/// use imbalance::data::LibSvmReader;
///
/// let data = LibSvmReader::new().read_from("-1 1:0.5 7:2\n+1 3:1 # a click\n".as_bytes(), "log.svm")?;
/// assert_eq!((data.labels(), data.columns()), (&[false, true][..], 7));
/// assert_eq!(data.features().row(0).get(6), 2.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LibSvmReader {
    columns: Option<usize>,
    first: FirstIndex,
    positive_above: Option<f64>,
    precision: Option<Precision>,
}

/// The index of the first column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum FirstIndex {
    Zero,
    #[default]
    One,
}

/// The rows read so far.
struct Parsed<F> {
    labels: Vec<bool>,
    indptr: Vec<usize>,
    indices: Vec<usize>,
    values: Vec<F>,
    row: Vec<(usize, F)>,
}

impl LibSvmReader {
    /// A reader of indices from 1 on, with as many columns as the largest index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of columns: those of the training file for a test file, whose largest index may be another.
    /// Default: the largest index.
    #[must_use]
    pub fn columns(self, columns: usize) -> Self {
        Self { columns: Some(columns), ..self }
    }

    /// Whether indices count from 0. Default: false.
    #[must_use]
    pub fn zero_based(self, zero_based: bool) -> Self {
        let first = if zero_based { FirstIndex::Zero } else { FirstIndex::One };
        Self { first, ..self }
    }

    /// Labels are positive above `threshold`, such as ratings above 3. Default: `1` and `+1` are positive, `0` and
    /// `-1` negative, and other labels refused.
    #[must_use]
    pub fn positive_above(self, threshold: f64) -> Self {
        Self { positive_above: Some(threshold), ..self }
    }

    /// How precisely values are stored. Default: `f64`.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision: Some(precision), ..self }
    }

    /// Reads a file. Reports progress as [`CsvReader::read`](super::CsvReader::read) does.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be opened or read; [`Error::Malformed`] for a line that is no row, an
    /// index beyond [`columns`](Self::columns), a line of more than 16 MiB, a damaged gzip stream;
    /// [`Error::NoRows`]; [`Error::InvalidArgument`] for a threshold that is not finite; [`Error::Cancelled`].
    pub fn read(&self, path: impl AsRef<Path>, run: &Run) -> Result<Dataset<'static>> {
        let path = path.as_ref();
        read_file(path, run, |source, observe| self.dataset(source, path, observe))
    }

    /// Reads from any source; `name` replaces the file's name in messages.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_from(&self, source: impl Read, name: impl AsRef<Path>) -> Result<Dataset<'static>> {
        self.dataset(Box::new(source), name.as_ref(), &mut |_, _| Ok(()))
    }

    fn dataset(
        &self,
        source: Box<dyn Read + '_>,
        file: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Dataset<'static>> {
        if let Some(threshold) = self.positive_above.filter(|threshold| !threshold.is_finite()) {
            return Err(Error::invalid("positive_above", threshold, "a finite number"));
        }
        match self.precision {
            Some(Precision::F32) => self.parse::<f32>(source, file, observe),
            _ => self.parse::<f64>(source, file, observe),
        }
    }

    fn parse<F: Scalar>(
        &self,
        source: Box<dyn Read + '_>,
        file: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Dataset<'static>>
    where
        Features<'static>: From<CsMat<F>>,
    {
        let (text, gzip) = text(source, file)?;
        let mut text = BufReader::with_capacity(1 << 16, text);
        let (labels, indices, values, row) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut parsed = Parsed::<F> { labels, indptr: vec![0], indices, values, row };
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            line.clear();
            number += 1;
            let most = MAX_RECORD as u64 + 1;
            let read = (&mut text).take(most).read_until(b'\n', &mut line);
            if read.map_err(|error| unreadable(file, number, gzip, error))? == 0 {
                break;
            }
            let malformed =
                |problem: String| Error::Malformed { file: file.into(), line: number, problem };
            if line.len() > MAX_RECORD {
                return Err(malformed("a line of more than 16 MiB".into()));
            }
            let row = std::str::from_utf8(&line)
                .map_err(|_| malformed("the text is not UTF-8".into()))?;
            parsed.push(row, self).map_err(malformed)?;
            observe(parsed.labels.len(), false)?;
        }
        observe(parsed.labels.len(), true)?;
        let Parsed { labels, indptr, indices, values, .. } = parsed;
        let largest = indices.iter().max().map_or(0, |column| column + 1);
        let shape = (labels.len(), self.columns.unwrap_or(largest));
        Dataset::new(CsMat::new(shape, indptr, indices, values), labels)
    }

    fn parse_label(&self, text: &str) -> Result<bool, String> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        match (self.positive_above, number) {
            (Some(threshold), Some(number)) => Ok(number > threshold),
            (None, Some(1.0)) => Ok(true),
            (None, Some(0.0 | -1.0)) => Ok(false),
            (Some(_), None) => Err(format!("the label `{}` is not a finite number", shorten(text))),
            (None, _) => Err(format!(
                "the label `{}` is none of 1, 0 and -1; say with `positive_above` which are positive",
                shorten(text)
            )),
        }
    }
}

impl<F: Scalar> Parsed<F> {
    /// Adds the row of a line, unless it is blank; the error says what is wrong with it.
    fn push(&mut self, line: &str, reader: &LibSvmReader) -> Result<(), String> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(label) = words.next() else { return Ok(()) };
        let label = reader.parse_label(label)?;
        self.row.clear();
        for word in words.filter(|word| !word.starts_with("qid:")) {
            let pair = word.split_once(':').and_then(|(index, value)| {
                let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
                Some((index.parse::<usize>().ok()?, F::from_f64(value)))
            });
            let Some((index, value)) = pair.filter(|(_, value)| value.to_f64().is_finite()) else {
                let expected = "no pair of an index and a finite number, such as 7:0.5";
                return Err(format!("`{}` is {expected}", shorten(word)));
            };
            let column = match reader.first {
                FirstIndex::Zero => Some(index),
                FirstIndex::One => index.checked_sub(1),
            };
            let Some(column) = column else {
                return Err("the index 0, but indices count from 1; see `zero_based`".into());
            };
            let columns = reader.columns.unwrap_or(MAX_LEN);
            if column >= columns {
                return Err(format!("the index {index}, but there are {columns} columns"));
            }
            self.row.push((column, value));
        }
        self.row.sort_by_key(|&(column, _)| column);
        if let Some(pair) = self.row.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let first = usize::from(reader.first == FirstIndex::One);
            return Err(format!("the index {} stands twice", pair[0].0 + first));
        }
        for &(column, value) in self.row.iter().filter(|(_, value)| *value != F::default()) {
            self.indices.push(column);
            self.values.push(value);
        }
        self.labels.push(label);
        self.indptr.push(self.indices.len());
        Ok(())
    }
}
