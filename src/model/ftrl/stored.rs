//! The saved form of an [`FtrlState`], every value of which is checked when it is read.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Coordinate, FtrlProximal, FtrlState, ProgressiveValidation};
use crate::core::{Error, Result};
use crate::model::{valid_not_negative, valid_positive};

/// Raised when the fields or their meaning change.
const VERSION: u32 = 1;

/// Largest number of columns that is accepted: their state takes 16 GiB.
const MAX_COLUMNS: usize = 1 << 30;

/// Functions that read the number of a field and check it.
macro_rules! checked {
    ($($field:ident: $check:ident),*) => {$(
        pub(super) fn $field<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
            $check(stringify!($field), f64::deserialize(from)?).map_err(D::Error::custom)
        }
    )*};
}

checked!(
    alpha: valid_positive,
    beta: valid_positive,
    l1: valid_not_negative,
    l2: valid_not_negative,
    z: valid_finite,
    root_n: valid_not_negative,
    positive_weight: valid_not_negative,
    negative_weight: valid_not_negative,
    log_loss: valid_not_negative,
    predicted: valid_not_negative
);

pub(super) fn passes<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let settings = FtrlProximal::new().passes(usize::deserialize(from)?);
    settings.map(|settings| settings.passes).map_err(D::Error::custom)
}

fn valid_finite(argument: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::invalid(argument, value, "finite")) }
}

/// An [`FtrlState`] without the coordinates that never moved.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    version: u32,
    settings: FtrlProximal,
    loss: String,
    columns: usize,
    coordinates: Vec<(usize, Coordinate)>,
    bias: Coordinate,
    validation: ProgressiveValidation,
}

impl From<FtrlState> for Stored {
    fn from(state: FtrlState) -> Self {
        let FtrlState { settings, loss, coordinates, bias, validation } = state;
        let columns = coordinates.len();
        let coordinates = coordinates.into_iter().enumerate();
        let coordinates = coordinates.filter(|(_, at)| *at != Coordinate::default()).collect();
        Self { version: VERSION, settings, loss, columns, coordinates, bias, validation }
    }
}

impl TryFrom<Stored> for FtrlState {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let Stored { version, settings, loss, columns, coordinates: moved, bias, validation } =
            stored;
        if version != VERSION {
            return Err(Error::invalid("version", version, VERSION.to_string()));
        }
        if columns > MAX_COLUMNS {
            return Err(Error::invalid("columns", columns, format!("at most {MAX_COLUMNS}")));
        }
        if let Some(pair) = moved.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            let pair = format!("{} then {}", pair[0].0, pair[1].0);
            return Err(Error::invalid("coordinates", pair, "strictly rising"));
        }
        if let Some(&(last, _)) = moved.last().filter(|(last, _)| *last >= columns) {
            let expected = format!("below the {columns} columns");
            return Err(Error::invalid("coordinates", last, expected));
        }
        let mut coordinates = vec![Coordinate::default(); columns];
        moved.into_iter().for_each(|(column, at)| coordinates[column] = at);
        Ok(Self { settings, loss, coordinates, bias, validation })
    }
}
