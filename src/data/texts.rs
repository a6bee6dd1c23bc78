//! A categorical column: the hashes of its values, and the values by hash.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::table::{column_seed, value_hash};
use crate::core::Selection;

/// By default a column with more different values than this keeps none of them, only their hashes.
pub(super) const NAMED_VALUES: usize = 100_000;

/// The hashes of a column's values, and the values by hash.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    pub(super) hashes: Vec<u64>,
    /// None where there are too many.
    pub(super) names: Option<Arc<Names>>,
    /// The most values whose names are kept.
    most: usize,
}

/// Values by hash, all in one text: batches are many, and a value of its own is slow to make and to drop.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    places: HashMap<u64, (u32, u32), BuildHasherDefault<Same>>,
    text: String,
}

impl Names {
    pub(super) fn get(&self, hash: u64) -> Option<&str> {
        self.places.get(&hash).map(|&(begin, end)| &self.text[begin as usize..end as usize])
    }

    /// Adds a value if it is new; false if there are `most` others, or 4 GiB of them.
    fn insert(&mut self, hash: u64, value: impl FnOnce(&mut String), most: usize) -> bool {
        let known = self.places.len();
        match self.places.entry(hash) {
            Entry::Occupied(_) => true,
            Entry::Vacant(_) if known >= most => false,
            Entry::Vacant(place) => {
                let begin = self.text.len();
                value(&mut self.text);
                match (u32::try_from(begin), u32::try_from(self.text.len())) {
                    (Ok(begin), Ok(end)) => {
                        place.insert((begin, end));
                        true
                    }
                    _ => false,
                }
            }
        }
    }
}

/// Keys are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A column in the making.
#[derive(Debug)]
pub(super) struct TextsBuilder {
    seed: u64,
    hashes: Vec<u64>,
    names: Option<Names>,
    /// The most values whose names are kept.
    most: usize,
}

impl TextsBuilder {
    pub(super) fn new(column: &str, most: usize) -> Self {
        let (hashes, names) = (Vec::new(), Some(Names::default()));
        Self { seed: column_seed(column), hashes, names, most }
    }

    /// Adds the value of the next row; its hash. Bytes that are no UTF-8 have a name in which they are replaced.
    pub(super) fn push(&mut self, value: &[u8]) -> u64 {
        let hash = value_hash(self.seed, value);
        self.hashes.push(hash);
        let write = |text: &mut String| text.push_str(&String::from_utf8_lossy(value));
        if self.names.as_mut().is_some_and(|names| !names.insert(hash, write, self.most)) {
            self.names = None;
        }
        hash
    }

    /// Adds a value again, given its hash.
    #[cfg(feature = "arrow")]
    pub(super) fn push_hash(&mut self, hash: u64) {
        self.hashes.push(hash);
    }

    pub(super) fn finish(self) -> Texts {
        Texts { hashes: self.hashes, names: self.names.map(Arc::new), most: self.most }
    }
}

impl Texts {
    /// The given rows of this column.
    pub(super) fn select(&self, rows: &Selection<'_>) -> Self {
        Self {
            hashes: rows.column(&self.hashes).into_owned(),
            names: self.names.clone(),
            most: self.most,
        }
    }

    /// No rows of such a column yet.
    pub(super) fn empty(&self) -> Self {
        Self { hashes: Vec::new(), names: Some(Arc::default()), most: self.most }
    }

    /// Adds these rows of another table's column, and the names of their values.
    pub(super) fn append(&mut self, other: &Self, rows: &Selection<'_>) {
        let hashes = rows.column(&other.hashes);
        self.names = self.names.take().zip(other.names.as_ref()).and_then(|(mut names, theirs)| {
            let known = Arc::make_mut(&mut names);
            let mut fit =
                hashes.iter().filter_map(|hash| theirs.get(*hash).map(|name| (*hash, name)));
            let all_fit =
                fit.all(|(hash, name)| known.insert(hash, |text| text.push_str(name), self.most));
            all_fit.then_some(names)
        });
        self.hashes.extend_from_slice(&hashes);
    }

    /// The value of a hash; where it is not known, the hash itself.
    pub(super) fn name(&self, hash: u64) -> String {
        let known = self.names.as_ref().and_then(|names| names.get(hash));
        known.map_or_else(|| format!("#{hash:016x}"), ToString::to_string)
    }
}
