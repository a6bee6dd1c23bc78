//! Targets of `cargo test`, each with a corpus in `src/__fuzz__`; the README has the commands.
//!
//! A target must give a value or a typed error for any bytes: no panic, no NaN, no probability outside \[0, 1\].

#[cfg(test)]
mod calibrators;
#[cfg(test)]
mod cursor;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod samplers;
#[cfg(test)]
mod state;
