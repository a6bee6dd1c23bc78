//! Models.

mod conformance;
mod ftrl;
mod gbdt;
mod inference;
mod logistic;
mod scale;
#[path = "../../examples/rare_events_study/mod.rs"]
mod study;
