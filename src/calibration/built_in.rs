//! The maps of the library as one closed type, whose content is plain data.

use super::as_printed::LinearPriorMap;
use super::{
    BetaCdfMap, BetaMap, Calibration, CalibrationMap, ClipMap, HistogramMap, IsotonicMap, PlattMap,
    PriorMap, QuadraticMap, Scale, SplineMap, TemperatureMap, Uncalibrated, VennAbersMap,
};

macro_rules! maps {
    ($($variant:ident($map:ty) of $calibrator:literal,)*) => {
        /// A map of the library's own calibrators, as a plain value. Every one of their maps converts into it,
        /// chains included, and it maps bit by bit like that one.
        ///
        /// ```
        /// use imbalance::calibration::{BuiltInMap, CalibrationMap, CalibrationSet, Calibrator, PlattScaling};
        ///
        /// let set = CalibrationSet::from_logits(&[-1.0, 0.0, 2.0], &[false, true, true])?;
        /// let calibration = PlattScaling::new().learn(&set)?;
        /// let map = BuiltInMap::from(calibration.map().clone());
        /// assert_eq!(map.probability(1.0), calibration.probability(1.0));
        /// // A map that was chosen while the program runs says whether it is built in.
        /// assert_eq!(PlattScaling::new().boxed().learn(&set)?.built_in(), Some(map));
        /// # Ok::<(), imbalance::Error>(())
        /// ```
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum BuiltInMap {
            $(#[doc = concat!("Of `", $calibrator, "`.")] $variant($map),)*
            /// Of a [`Chain`](super::Chain): the first map, then the second.
            Chain(Box<[BuiltInMap; 2]>),
        }

        $(impl From<$map> for BuiltInMap {
            fn from(map: $map) -> Self {
                Self::$variant(map)
            }
        })*

        impl CalibrationMap for BuiltInMap {
            fn logit(&self, z: f64) -> f64 {
                match self {
                    $(Self::$variant(map) => map.logit(z),)*
                    Self::Chain(maps) => maps[1].logit(maps[0].logit(z)),
                }
            }

            fn probability(&self, z: f64) -> f64 {
                match self {
                    $(Self::$variant(map) => map.probability(z),)*
                    Self::Chain(maps) => maps[1].probability(maps[0].logit(z)),
                }
            }

            fn apply(&self, scale: Scale, scores: &mut [f64]) {
                match self {
                    $(Self::$variant(map) => map.apply(scale, scores),)*
                    Self::Chain(maps) => super::chain::apply(&maps[0], &maps[1], scale, scores),
                }
            }

            fn describe(&self) -> String {
                match self {
                    $(Self::$variant(map) => map.describe(),)*
                    Self::Chain(maps) => super::chain::describe(&maps[0], &maps[1]),
                }
            }

            fn built_in(&self) -> Option<BuiltInMap> {
                Some(self.clone())
            }
        }
    };
}

maps! {
    Identity(Uncalibrated) of "Uncalibrated",
    Clip(ClipMap) of "Clip",
    Prior(PriorMap) of "PriorCorrection",
    Platt(PlattMap) of "PlattScaling",
    Temperature(TemperatureMap) of "TemperatureScaling",
    Beta(BetaMap) of "BetaCalibration",
    BetaCdf(BetaCdfMap) of "BetaCdf",
    Quadratic(QuadraticMap) of "QuadraticLogit",
    Spline(SplineMap) of "SplineCalibration",
    Isotonic(IsotonicMap) of "IsotonicRegression",
    Histogram(HistogramMap) of "HistogramBinning",
    VennAbers(VennAbersMap) of "VennAbers",
    LinearPrior(LinearPriorMap) of "LinearPriorScaling",
}

impl<M: Into<Self>> From<Calibration<M>> for BuiltInMap {
    fn from(calibration: Calibration<M>) -> Self {
        calibration.into_map().into()
    }
}
