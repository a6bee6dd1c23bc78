//! Whether the columns leave the coefficients of a minimum open.

use ndarray::{Array2, Axis};

use super::Collinearity;
use super::cholesky::Cholesky;
use super::design::Design;
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
    if Cholesky::new(&products).is_ok() || are_independent_of_the_intercept(design, &kept, counts) {
        Collinearity::Absent
    } else {
        Collinearity::Present
    }
}

/// Whether the columns among `kept` are independent with their means taken off.
fn are_independent_of_the_intercept(
    design: &Design<'_>,
    kept: &[usize],
    counts: impl Fn(usize) -> f64 + Sync + Send,
) -> bool {
    let Ok(Some((rows, means))) = design.centred() else { return false };
    let products = Design::new(&rows, false).sum_of_outer_products(counts);
    let kept: Vec<usize> = kept.iter().copied().filter(|&j| j < means.len()).collect();
    let products = products.select(Axis(0), &kept).select(Axis(1), &kept);
    Cholesky::new(&products).is_ok()
}
