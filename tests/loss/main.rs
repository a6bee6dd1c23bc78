//! Losses.

mod losses;
