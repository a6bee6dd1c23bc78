//! Small convex problems: log-odds that are linear in a few functions of a score, by maximum likelihood.

mod bounded_logit;
mod intercept;
pub(crate) mod newton;
mod penalised;
mod sample;
mod spline;

pub(crate) use bounded_logit::{
    BoundedLogit, Features, Logit, LogitForm, MAX_COLUMNS, mean_and_deviation,
};
pub(crate) use intercept::intercept;
pub(crate) use penalised::Penalised;
pub(crate) use sample::{Range, Sample};
pub(crate) use spline::{Cubic, NaturalSpline, interval, value};
