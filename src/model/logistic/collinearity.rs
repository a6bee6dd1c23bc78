//! Whether the columns leave the coefficients of a minimum open.

use faer::Mat;

use super::Collinearity;
use super::cholesky::Cholesky;
use super::objective::Objective;

/// Looks among the columns that `matter`, of the intercept always, on rows that weigh something.
///
/// The rank is that of the columns themselves, Σ xᵢxᵢᵀ, and not of a Hessian, which is indefinite where a
/// loss is not convex.
pub(super) fn look(objective: &Objective<'_>, matter: impl Fn(usize) -> bool) -> Collinearity {
    let p = objective.parameters();
    if objective.l2() > 0.0 {
        return Collinearity::Absent;
    }
    let kept: Vec<usize> = (0..p).filter(|&j| j >= objective.columns() || matter(j)).collect();
    if kept.len() > objective.rows() {
        return Collinearity::Present;
    }
    let counts = |row: usize| f64::from(u8::from(objective.counts(row)));
    if !objective.forms_hessian() {
        let squares = objective.sum_of_squares(counts);
        let zero = objective.has_empty_columns() || kept.iter().any(|&j| squares[j] == 0.0);
        return if zero { Collinearity::Present } else { Collinearity::NotLookedFor };
    }
    let products = objective.sum_of_outer_products(counts);
    let products = Mat::from_fn(kept.len(), kept.len(), |i, j| products[(kept[i], kept[j])]);
    match Cholesky::new(&products) {
        Ok(_) => Collinearity::Absent,
        Err(_) => Collinearity::Present,
    }
}
