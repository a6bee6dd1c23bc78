//! Numbers as text of bounded length.

use std::fmt;

/// A number with this many decimals, or with an exponent where that would take many digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed(pub(crate) f64, pub(crate) usize);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, decimals) = *self;
        let text = if value.abs() < 1e9 || !value.is_finite() {
            format!("{value:.decimals$}")
        } else {
            format!("{value:.decimals$e}")
        };
        f.pad(&text)
    }
}

/// A value as text; a number of more than 20 characters with an exponent.
pub(crate) fn brief(value: impl fmt::Display) -> String {
    let text = value.to_string();
    match text.parse::<f64>() {
        Ok(number) if text.len() > 24 => format!("{number:e}"),
        _ => text,
    }
}
