//! Lines, areas and texts in points of the page, on any of the drawing library's backends.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::element::{DashedPathElement, PathElement, Polygon, Text};
use plotters::prelude::{
    Color, DrawingArea, DrawingBackend, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor,
    ShapeStyle, TextStyle,
};
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::look::{Look, Point, Stroke};

/// Where a text lies relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Its left end, middle height.
    Left,
    /// Its right end, middle height.
    Right,
    /// The middle of its upper edge.
    Top,
    /// Its middle, read from bottom to top.
    Upwards,
}

/// The generic family: a viewer of an SVG uses the reader's own font, a bitmap the one below.
const FAMILY: FontFamily<'static> = FontFamily::SansSerif;

/// Makes the font known to the drawing library, once.
pub(super) fn register() -> Result<(), String> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        register_font(FAMILY.as_str(), FontStyle::Normal, dejavu::sans::regular()).is_ok()
    });
    if *done { Ok(()) } else { Err("its font cannot be read".into()) }
}

/// A page.
pub(super) struct Canvas<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    /// Dots of the backend per point of the page. Backends round to whole dots.
    scale: f64,
    /// By how much of its size a level text is drawn lower: bitmaps centre the line, not its letters.
    lower: f64,
}

impl<DB: DrawingBackend> Canvas<DB> {
    /// A white page.
    pub(super) fn new(
        area: DrawingArea<DB, Shift>,
        scale: f64,
        lower: f64,
    ) -> Result<Self, String> {
        area.fill(&RGBColor(255, 255, 255)).map_err(|error| error.to_string())?;
        Ok(Self { area, scale, lower })
    }

    pub(super) fn finish(&self) -> Result<(), String> {
        self.area.present().map_err(|error| error.to_string())
    }

    fn dot(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    pub(super) fn line(&self, points: &[Point], stroke: Stroke) -> Result<(), String> {
        let dots: Vec<_> = points.iter().map(|&point| self.dot(point)).collect();
        let width = (stroke.width * self.scale).round().max(1.0) as u32;
        let style: ShapeStyle = stroke.colour.stroke_width(width);
        let drawn = match stroke.dash {
            None => self.area.draw(&PathElement::new(dots, style)),
            Some((dash, gap)) => {
                let length = |points: f64| (points * self.scale).round().max(1.0) as u32;
                self.area.draw(&DashedPathElement::new(dots, length(dash), length(gap), style))
            }
        };
        drawn.map_err(|error| error.to_string())
    }

    /// Fills an area; `opacity` from 0 to 1.
    pub(super) fn fill(
        &self,
        corners: &[Point],
        colour: RGBColor,
        opacity: f64,
    ) -> Result<(), String> {
        let dots: Vec<_> = corners.iter().map(|&point| self.dot(point)).collect();
        let area = Polygon::new(dots, colour.mix(opacity).filled());
        self.area.draw(&area).map_err(|error| error.to_string())
    }

    /// The marker of a look; hollow where the number lies beyond the axis.
    pub(super) fn marker(&self, (x, y): Point, look: Look, hollow: bool) -> Result<(), String> {
        let outline = look.marker.outline();
        let mut outline: Vec<Point> =
            outline.iter().map(|(dx, dy)| (x + 4.0 * dx, y + 4.0 * dy)).collect();
        let fill = if hollow { RGBColor(255, 255, 255) } else { look.colour() };
        self.fill(&outline, fill, 1.0)?;
        outline.push(outline[0]);
        self.line(&outline, Stroke { colour: look.colour(), dash: None, width: 1.25 })
    }

    fn style(&self, size: f64, colour: RGBColor) -> TextStyle<'static> {
        // The library's unit is the height of a line, 1.24 times the size of the font.
        let font = FontDesc::new(FAMILY, 1.24 * size * self.scale, FontStyle::Normal);
        font.color(&colour)
    }

    pub(super) fn text(
        &self,
        text: &str,
        at: Point,
        anchor: Anchor,
        size: f64,
        colour: RGBColor,
    ) -> Result<(), String> {
        let style = self.style(size, colour);
        let style = match anchor {
            Anchor::Left => style.pos(Pos::new(HPos::Left, VPos::Center)),
            Anchor::Right => style.pos(Pos::new(HPos::Right, VPos::Center)),
            Anchor::Top => style.pos(Pos::new(HPos::Center, VPos::Top)),
            Anchor::Upwards => {
                style.transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Center))
            }
        };
        let lower = if matches!(anchor, Anchor::Left | Anchor::Right) { self.lower } else { 0.0 };
        let at = self.dot((at.0, at.1 + lower * size));
        self.area.draw(&Text::new(text.to_owned(), at, style)).map_err(|error| error.to_string())
    }

    /// Width of a text in points of the page.
    pub(super) fn width(&self, text: &str, size: f64) -> Result<f64, String> {
        let style = self.style(size, RGBColor(0, 0, 0));
        let (width, _) =
            self.area.estimate_text_size(text, &style).map_err(|error| error.to_string())?;
        Ok(f64::from(width) / self.scale)
    }
}
