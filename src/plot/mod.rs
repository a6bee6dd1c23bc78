//! Pictures of curves and tables from [`metrics`](crate::metrics), as SVG and PNG (feature `plot`).
//!
//! Each picture takes several models by name, to compare them, and works at a base rate of 0.1 %: below a
//! rate of [`RARE`] the axes of probabilities are **logit** axes, on which 0.01 %, 0.1 %, 1 % and 10 % are
//! equally far apart; on a linear axis almost all rows would lie in a corner.
//!
//! Models differ in colour (Okabe and Ito's palette, told apart with every kind of colour blindness),
//! in dashes and in markers. The legend stands below the data, never on it. Bitmaps are drawn with a
//! font that comes with the crate (`DejaVu Sans`); nothing needs to be installed.
//!
//! # Errors
//! All pictures return [`Error::InvalidArgument`] without a model, and [`Error::Drawing`] if the drawing
//! library fails.

mod axis;
mod canvas;
mod deciles;
mod figure;
mod gain;
mod histogram;
mod look;
mod precision_recall;
mod reliability;
mod roc;
mod rows;
mod slices;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::BufWriter;
use std::path::Path;

use plotters::prelude::{BitMapBackend, IntoDrawingArea, SVGBackend};

pub use self::deciles::deciles;
pub use self::gain::gain;
pub use self::histogram::histogram;
pub use self::precision_recall::precision_recall;
pub use self::reliability::reliability;
pub use self::roc::roc;
pub use self::rows::rows;
pub use self::slices::slices;

use self::axis::{Axis, Measure};
use self::canvas::Canvas;
use self::figure::{Figure, Layout};
use crate::core::{Error, Result};

/// Below this base rate, axes are logit axes unless [`Options::scale`] says otherwise: from here on,
/// a linear axis to 100 % gives nine tenths of its length to almost no rows.
pub const RARE: f64 = 0.1;

/// The scale of a picture's axis of probabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scale {
    /// [`Logit`](Self::Logit) below a base rate of [`RARE`], otherwise [`Linear`](Self::Linear).
    #[default]
    Auto,
    /// Equal differences have equal lengths.
    Linear,
    /// Equal differences of ln(p / (1 − p)) have equal lengths. Shares of rows, in [`gain`], are on a
    /// logarithmic axis instead, as their 100 % must be shown.
    Logit,
}

/// The title and the scale of a picture.
///
/// ```
/// use imbalance::plot::{Options, Scale};
/// let options = Options::default().title("Clicks, 3 May").scale(Scale::Linear);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    title: Option<String>,
    scale: Scale,
}

impl Options {
    /// The title of the picture. Default: the kind of picture.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The scale of probabilities. Default: [`Scale::Auto`].
    #[must_use]
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    fn title_or(&self, default: &str) -> String {
        self.title.clone().unwrap_or_else(|| default.into())
    }

    fn measure(&self, base_rate: f64) -> Measure {
        match self.scale {
            Scale::Auto if base_rate < RARE => Measure::Logit,
            Scale::Logit => Measure::Logit,
            Scale::Auto | Scale::Linear => Measure::Linear,
        }
    }
}

/// A picture, ready to be saved or put into a page.
#[derive(Clone, PartialEq)]
pub struct Picture {
    what: &'static str,
    figure: Figure,
    layout: Layout,
    svg: String,
}

/// Dots per point. The drawing library rounds to whole dots, so an SVG has fine ones.
const SVG_SCALE: f64 = 10.0;
const PNG_SCALE: f64 = 2.0;

impl Picture {
    fn new(what: &'static str, figure: Figure) -> Result<Self> {
        let drawing = |problem: String| Error::Drawing { what, problem };
        canvas::register().map_err(drawing)?;
        let (mut svg, mut nothing) = (String::new(), String::new());
        // A page without size is enough to measure texts.
        let page = SVGBackend::with_string(&mut nothing, (1, 1)).into_drawing_area();
        let page = Canvas::new(page, SVG_SCALE, 0.0).map_err(drawing)?;
        let layout = figure.layout(&page).map_err(drawing)?;
        let size = layout.size(SVG_SCALE);
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let canvas = Canvas::new(area, SVG_SCALE, 0.0).map_err(drawing)?;
            figure.draw(&canvas, &layout).map_err(drawing)?;
        }
        // The viewer's size is the page's, its unit the fine dot.
        let of = |(width, height): (u32, u32)| format!("width=\"{width}\" height=\"{height}\"");
        let svg = svg.replacen(&of(size), &of(layout.size(1.0)), 1);
        Ok(Self { what, figure, layout, svg })
    }

    /// The picture as an SVG document, with texts in the reader's sans-serif font.
    #[must_use]
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The picture as a PNG, 1440 dots wide.
    ///
    /// # Errors
    /// [`Error::Drawing`].
    pub fn png(&self) -> Result<Vec<u8>> {
        let drawing = |problem: String| Error::Drawing { what: self.what, problem };
        let (width, height) = self.layout.size(PNG_SCALE);
        let mut dots = vec![0; 3 * width as usize * height as usize];
        {
            let area = BitMapBackend::with_buffer(&mut dots, (width, height)).into_drawing_area();
            let canvas = Canvas::new(area, PNG_SCALE, 0.2).map_err(drawing)?;
            self.figure.draw(&canvas, &self.layout).map_err(drawing)?;
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(BufWriter::new(&mut file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&dots)?;
            writer.finish()
        });
        written.map_err(|error| drawing(error.to_string()))?;
        Ok(file)
    }

    /// Writes the picture to a file, in the format that its name ends in: `.svg` or `.png`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another ending, [`Error::Io`] if the file cannot be written, or
    /// [`Error::Drawing`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let ending = path.extension().map(OsStr::to_ascii_lowercase);
        let bytes = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("svg") => self.svg.clone().into_bytes(),
            Some("png") => self.png()?,
            _ => {
                let expected = "a name that ends in .svg or .png";
                return Err(Error::invalid("path", path.display(), expected));
            }
        };
        fs::write(path, bytes).map_err(|source| Error::Io { file: path.into(), source })
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("what", &self.what)
            .field("title", &self.figure.title)
            .finish_non_exhaustive()
    }
}

fn ensure_models<T>(models: &[T]) -> Result<()> {
    if models.is_empty() {
        return Err(Error::invalid("models", "empty", "at least one model"));
    }
    Ok(())
}

/// A level as a percentage, without the rounding of the multiplication.
fn percent(level: f64) -> f64 {
    (1e6 * level).round() / 1e4
}

/// A function on an axis, at enough points to look smooth on any scale.
fn curve(axis: &Axis, f: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    (0..=200).map(|k| axis.at(f64::from(k) / 200.0)).map(|x| (x, f(x))).collect()
}
