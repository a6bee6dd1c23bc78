//! How models look in every picture: colours, dashes and markers.

use plotters::prelude::RGBColor;

/// A point of the page, from its top left corner.
pub(super) type Point = (f64, f64);

/// The colour, dashes and width of a line. Lengths are in points of the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    pub(super) colour: RGBColor,
    /// Length of a dash and of the gap after it.
    pub(super) dash: Option<(f64, f64)>,
    pub(super) width: f64,
}

/// The shape of a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    Wedge,
}

impl Marker {
    /// The corners around the origin, y downwards.
    pub(super) fn outline(self) -> Vec<Point> {
        match self {
            Self::Circle => {
                (0..16).map(|k| (f64::from(k) * std::f64::consts::TAU / 16.0).sin_cos()).collect()
            }
            Self::Square => vec![(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Self::Triangle => vec![(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
            Self::Diamond => vec![(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
            Self::Wedge => vec![(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
        }
    }
}

/// How a model looks in every picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub(super) stroke: Stroke,
    pub(super) marker: Marker,
}

/// Okabe and Ito's palette, told apart with every kind of colour blindness; without its yellow, which
/// is too faint on white.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
const DASHES: [Option<(f64, f64)>; 4] =
    [None, Some((9.0, 4.0)), Some((2.5, 3.0)), Some((16.0, 5.0))];
const MARKERS: [Marker; 5] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Wedge];

pub(super) const GREY: RGBColor = RGBColor(110, 110, 110);
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
pub(super) const GRID: RGBColor = RGBColor(228, 228, 228);

impl Look {
    /// The look of the model at this place; 140 of them differ in colour, dash or marker.
    pub(super) fn of(model: usize) -> Self {
        let colours = PALETTE.len();
        Self {
            stroke: Stroke {
                colour: PALETTE[model % colours],
                dash: DASHES[(model % colours + model / colours) % DASHES.len()],
                width: 1.75,
            },
            marker: MARKERS[model % MARKERS.len()],
        }
    }

    pub(super) fn colour(self) -> RGBColor {
        self.stroke.colour
    }

    /// The line of a reference: chance, or perfect calibration.
    pub(super) fn reference() -> Stroke {
        Stroke { colour: GREY, dash: Some((5.0, 4.0)), width: 1.0 }
    }

    /// The line of the best possible model.
    pub(super) fn perfect() -> Stroke {
        Stroke { colour: GREY, dash: None, width: 1.0 }
    }
}
