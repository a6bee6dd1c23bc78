//! Models.

mod ftrl;
mod gbdt;
mod inference;
mod logistic;
#[path = "../../examples/rare_events_study/mod.rs"]
mod study;
