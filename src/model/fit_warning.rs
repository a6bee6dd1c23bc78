//! What a fit knows to be wrong with itself.

use std::fmt;

/// Why the probabilities of a fitted model cannot be relied on, as far as the fit itself can tell.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum FitWarning {
    /// The coefficients of [`FtrlProximal`](super::FtrlProximal) were still on their way when the last pass ended: in its
    /// last quarter the way they moved would have lowered the loss further, by more than three standard errors and more
    /// than 1 %, on rows that were judged before they were learned.
    NotConverged {
        /// Passes over the rows.
        passes: usize,
        /// The share of the loss that the best step in that direction would gain, to second order.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        gain: f64,
        /// How sure that direction is, in standard errors.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        standard_errors: f64,
    },
    /// The intercept of [`FtrlProximal`](super::FtrlProximal), on a stream or on rows whose order matters, has not arrived
    /// at the rate of the positives: the later half of the rows, each judged before it was learned, had another number of
    /// positives than predicted, by more than three standard errors.
    MeanNotConverged {
        /// Predicted / observed over the later half of the rows.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        predicted_over_observed: f64,
        /// How far the number predicted is off, in standard errors.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        standard_errors: f64,
    },
    /// The finite-sample correction of [`RareEvents`](super::RareEvents) is larger than the estimate it corrects: so few
    /// events do not allow its expansion, and the corrected model may rank the wrong way round.
    CorrectionExceedsEstimate {
        /// The spread that the correction gives to the logits of the rows, over that of the estimate.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        share: f64,
        /// Number of events.
        positives: usize,
    },
}

impl fmt::Display for FitWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConverged { passes, gain, standard_errors } => write!(
                f,
                "the coefficients have not converged after {passes} pass{}: going on as in the last quarter would \
                 lower the loss by about {:.1} % ({standard_errors:.1} standard errors); take more `passes` or a \
                 higher `alpha`",
                if *passes == 1 { "" } else { "es" },
                100.0 * gain,
            ),
            Self::MeanNotConverged { predicted_over_observed, standard_errors } => write!(
                f,
                "the intercept has not converged: over the later half of the rows predicted / observed was \
                 {predicted_over_observed:.3} ({standard_errors:+.1} standard errors); take more rows, a higher `alpha` \
                 or a nearer `base_rate`, or fit with `in_order(false)`"
            ),
            Self::CorrectionExceedsEstimate { share, positives } => write!(
                f,
                "the finite-sample correction is {share:.1} times as large as the estimate: {positives} events are too \
                 few for it; take `RareEvents::firth`, `maximum_likelihood`, a penalty (`LogisticRegression` with `l2`), \
                 or fewer columns"
            ),
        }
    }
}
