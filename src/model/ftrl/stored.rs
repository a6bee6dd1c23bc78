//! The saved form of an [`FtrlState`], which is read back through validation.

use serde::{Deserialize, Serialize};

use super::{Coordinate, FtrlProximal, FtrlState, ProgressiveValidation};
use crate::core::{Error, Result, check_finite, same_length};

/// Raised when the fields or their meaning change.
const VERSION: u32 = 1;

/// Only coordinates that were ever moved are stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    version: u32,
    alpha: f64,
    beta: f64,
    l1: f64,
    l2: f64,
    intercept: bool,
    passes: usize,
    loss: String,
    columns: usize,
    indices: Vec<usize>,
    z: Vec<f64>,
    root_n: Vec<f64>,
    bias: [f64; 2],
    validation: ProgressiveValidation,
}

impl From<FtrlState> for Stored {
    fn from(state: FtrlState) -> Self {
        let FtrlProximal { alpha, beta, l1, l2, intercept, passes } = state.settings;
        let moved = state.coordinates.iter().enumerate();
        let moved: Vec<_> = moved.filter(|(_, at)| **at != Coordinate::default()).collect();
        Self {
            version: VERSION,
            alpha,
            beta,
            l1,
            l2,
            intercept,
            passes,
            loss: state.loss,
            columns: state.coordinates.len(),
            indices: moved.iter().map(|(column, _)| *column).collect(),
            z: moved.iter().map(|(_, at)| at.z).collect(),
            root_n: moved.iter().map(|(_, at)| at.root_n).collect(),
            bias: [state.bias.z, state.bias.root_n],
            validation: state.validation,
        }
    }
}

/// Most columns that are believed: their state would be 16 GiB.
const MOST_COLUMNS: usize = 1 << 30;

impl TryFrom<Stored> for FtrlState {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        if stored.version != VERSION {
            return Err(Error::invalid("version", stored.version, VERSION.to_string()));
        }
        let settings = FtrlProximal::new()
            .alpha(stored.alpha)?
            .beta(stored.beta)?
            .l1(stored.l1)?
            .l2(stored.l2)?
            .intercept(stored.intercept)
            .passes(stored.passes)?;
        if stored.columns > MOST_COLUMNS {
            return Err(Error::invalid(
                "columns",
                stored.columns,
                format!("at most {MOST_COLUMNS}"),
            ));
        }
        let indices = &stored.indices;
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] >= pair[1]) {
            let pair = format!("{} then {}", pair[0], pair[1]);
            return Err(Error::invalid("indices", pair, "strictly rising"));
        }
        if let Some(&last) = indices.last().filter(|&&last| last >= stored.columns) {
            let expected = format!("below the {} columns", stored.columns);
            return Err(Error::invalid("indices", last, expected));
        }
        same_length("z", stored.z.len(), "indices", indices.len())?;
        same_length("root_n", stored.root_n.len(), "indices", indices.len())?;
        check_finite("z", &stored.z)?;
        let mut coordinates = vec![Coordinate::default(); stored.columns];
        for ((&column, &z), &root_n) in indices.iter().zip(&stored.z).zip(&stored.root_n) {
            coordinates[column] = Coordinate { z, root_n: sum("root_n", root_n)? };
        }
        check_finite("bias", &stored.bias)?;
        let [z, root_n] = stored.bias;
        let bias = Coordinate { z, root_n: sum("bias", root_n)? };
        let v = &stored.validation;
        for (name, value) in [
            ("positive_weight", v.positive_weight),
            ("negative_weight", v.negative_weight),
            ("log_loss", v.log_loss),
            ("predicted", v.predicted),
        ] {
            sum(name, value)?;
        }
        let validation = stored.validation;
        Ok(Self { settings, loss: stored.loss, coordinates, bias, validation })
    }
}

/// A sum of what is never negative.
fn sum(argument: &'static str, value: f64) -> Result<f64> {
    if value >= 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::invalid(argument, value, "finite and not negative"))
    }
}
