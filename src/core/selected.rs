//! The features of a data set, which may be rows of another one's that nobody has read yet.

use std::sync::{Arc, OnceLock};

use super::attribute::Selection;
use super::{Features, FeaturesView};

/// A feature matrix, or rows of one that are copied when they are first read. So a split, a fold and a
/// sample of it are composed as lists of rows, and only the features of the last list are ever copied.
#[derive(Clone)]
pub(super) enum SelectedFeatures<'a> {
    All(Features<'a>),
    Rows(Arc<PendingRows<'a>>),
}

/// Views and clones share the copy.
pub(super) struct PendingRows<'a> {
    source: FeaturesView<'a>,
    rows: Vec<usize>,
    copy: OnceLock<Features<'static>>,
}

impl SelectedFeatures<'_> {
    /// The matrix, copied now if it was not yet.
    pub(super) fn view(&self) -> FeaturesView<'_> {
        match self {
            Self::All(x) => x.view(),
            Self::Rows(pending) => match pending.copy.get() {
                Some(copy) => copy.view(),
                None => {
                    // Outside of the lock: the copying thread may be given other work that reads these rows.
                    let copy = pending.source.gather(&pending.rows);
                    pending.copy.get_or_init(|| copy).view()
                }
            },
        }
    }

    /// The matrix whose rows these are: it has the same columns and the same storage.
    pub(super) fn source(&self) -> FeaturesView<'_> {
        match self {
            Self::All(x) => x.view(),
            Self::Rows(pending) => pending.source,
        }
    }

    /// Some of these rows: a range stays borrowed, a list waits to be read.
    pub(super) fn select(&self, selection: &Selection<'_>) -> SelectedFeatures<'_> {
        let (source, pending) = match self {
            Self::All(x) => (x.view(), None),
            Self::Rows(pending) => match (pending.copy.get(), selection) {
                (_, Selection::Range(range)) if range.len() == pending.rows.len() => {
                    return self.clone();
                }
                (Some(copy), _) => (copy.view(), None),
                (None, _) => (pending.source, Some(&pending.rows)),
            },
        };
        let rows = match (pending, selection) {
            (None, Selection::Range(range)) => {
                return SelectedFeatures::All(source.slice(range.clone()).into());
            }
            (None, Selection::List(rows)) => rows.to_vec(),
            (Some(pending), _) => {
                (0..selection.len()).map(|at| pending[selection.row(at)]).collect()
            }
        };
        let copy = OnceLock::new();
        SelectedFeatures::Rows(Arc::new(PendingRows { source, rows, copy }))
    }
}

impl<'a> From<Features<'a>> for SelectedFeatures<'a> {
    fn from(x: Features<'a>) -> Self {
        Self::All(x)
    }
}
