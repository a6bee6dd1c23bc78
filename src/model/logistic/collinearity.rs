//! Whether the columns leave the coefficients of a minimum open.

use ndarray::Array2;

use super::Collinearity;
use super::cholesky::Cholesky;
use super::objective::Objective;

/// Looks among the intercept and the columns that `matter`, on rows with a weight.
///
/// The rank is that of the columns themselves, Σ xᵢxᵢᵀ, and not of a Hessian, which is indefinite where a
/// loss is not convex.
pub(super) fn look(objective: &Objective<'_>, matter: impl Fn(usize) -> bool) -> Collinearity {
    let design = &objective.design;
    if objective.l2() > 0.0 {
        return Collinearity::Absent;
    }
    let kept: Vec<usize> =
        (0..design.parameters()).filter(|&j| j >= design.columns() || matter(j)).collect();
    if kept.len() > design.weighted_rows() {
        return Collinearity::Present;
    }
    let counts = |row: usize| f64::from(u8::from(design.has_weight(row)));
    if !objective.forms_hessian() {
        let squares = design.sum_of_squares(counts);
        let zero = design.omits_columns() || kept.iter().any(|&j| squares[j] == 0.0);
        return if zero { Collinearity::Present } else { Collinearity::NotLookedFor };
    }
    let products = design.sum_of_outer_products(counts);
    let products =
        Array2::from_shape_fn((kept.len(), kept.len()), |(i, j)| products[(kept[i], kept[j])]);
    match Cholesky::new(&products) {
        Ok(_) => Collinearity::Absent,
        Err(_) => Collinearity::Present,
    }
}
