//! The saved form of an [`FtrlState`], every value of which is checked when it is read.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Coordinate, Curve, FtrlProximal, FtrlState, ProgressiveValidation, untouched, valid_rate,
};
use crate::core::{Error, Precision, Result};
use crate::model::{valid_not_negative, valid_positive};

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
    predicted: valid_not_negative,
    variance: valid_not_negative
);

pub(super) fn passes<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let settings = FtrlProximal::new().passes(usize::deserialize(from)?);
    settings.map(|settings| settings.passes).map_err(D::Error::custom)
}

pub(super) fn base_rate<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let rate = Option::<f64>::deserialize(from)?;
    rate.map(valid_rate).transpose().map_err(D::Error::custom)
}

fn start<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let start = Option::<f64>::deserialize(from)?;
    start.map(|start| valid_finite("start", start)).transpose().map_err(D::Error::custom)
}

pub(super) fn part_rows<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        0 => Err(D::Error::custom(Error::invalid("part_rows", 0, "at least 1"))),
        rows => Ok(rows),
    }
}

pub(super) fn parts<'de, D>(from: D) -> Result<Vec<ProgressiveValidation>, D::Error>
where
    D: Deserializer<'de>,
{
    let parts = Vec::<ProgressiveValidation>::deserialize(from)?;
    if parts.len() > Curve::MOST {
        let expected = format!("at most {}", Curve::MOST);
        return Err(D::Error::custom(Error::invalid("parts", parts.len(), expected)));
    }
    Ok(parts)
}

fn valid_finite(argument: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::invalid(argument, value, "finite")) }
}

/// An [`FtrlState`] without the coordinates that never moved.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    settings: FtrlProximal,
    loss: String,
    #[serde(deserialize_with = "start")]
    start: Option<f64>,
    columns: usize,
    precision: Precision,
    coordinates: Vec<(usize, Coordinate)>,
    bias: Coordinate,
    validation: Curve,
}

impl From<FtrlState> for Stored {
    fn from(state: FtrlState) -> Self {
        let FtrlState { settings, loss, start, coordinates, bias, validation } = state;
        let (columns, precision) = (coordinates.len(), coordinates.precision());
        let all = (0..columns).map(|column| (column, coordinates.get(column)));
        let coordinates = all.filter(|(_, at)| *at != Coordinate::default()).collect();
        Self { settings, loss, start, columns, precision, coordinates, bias, validation }
    }
}

impl TryFrom<Stored> for FtrlState {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let Stored {
            settings,
            loss,
            start,
            columns,
            precision,
            coordinates: moved,
            bias,
            validation,
        } = stored;
        if let Some(pair) = moved.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            let pair = format!("{} then {}", pair[0].0, pair[1].0);
            return Err(Error::invalid("coordinates", pair, "strictly rising"));
        }
        if let Some(&(last, _)) = moved.last().filter(|(last, _)| *last >= columns) {
            let expected = format!("below the {columns} columns");
            return Err(Error::invalid("coordinates", last, expected));
        }
        let mut coordinates = untouched(columns, precision)?;
        for (column, at) in moved {
            coordinates.set(column, at);
            if coordinates.get(column) != at {
                let expected = format!("numbers of {precision:?}");
                return Err(Error::invalid("coordinates", format!("{at:?}"), expected));
            }
        }
        Ok(Self { settings, loss, start, coordinates, bias, validation })
    }
}
