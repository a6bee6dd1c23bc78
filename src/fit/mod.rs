//! Small convex problems: log-odds that are linear in a few functions of a score, by maximum likelihood.

mod bounded_logit;
mod intercept;
pub(crate) mod newton;
mod sample;

pub(crate) use bounded_logit::{BoundedLogit, Features, Logit, LogitForm};
pub(crate) use intercept::intercept;
pub(crate) use sample::{Range, Sample};
