//! What is on a picture, and where it goes: a title, panels in a grid, a legend below them.

use plotters::prelude::{DrawingBackend, RGBColor};

use super::axis::Axis;
use super::canvas::{Anchor, Canvas};
use super::look::{GREY, GRID, INK, Look, Point, Stroke};

/// One thing drawn in a panel, in the numbers of its axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    /// A line through the points.
    Line { points: Vec<Point>, stroke: Stroke },
    /// The area between two lines over the same x: (x, low, high).
    Band { edges: Vec<(f64, f64, f64)>, colour: RGBColor },
    /// A marker at each point; hollow where it lies beyond an axis.
    Dots { points: Vec<Point>, look: Look },
    /// A vertical interval at each x: (x, low, high).
    Whiskers { intervals: Vec<(f64, f64, f64)>, colour: RGBColor },
    /// A bar from the lower end of the y axis: (left, right, height).
    Bars { bars: Vec<(f64, f64, f64)>, colour: RGBColor },
}

/// One pair of axes and what lies between them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panel {
    pub(super) title: Option<String>,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) marks: Vec<Mark>,
}

/// An entry of the legend.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) stroke: Option<Stroke>,
    /// The look whose marker is shown.
    pub(super) marker: Option<Look>,
    pub(super) area: Option<RGBColor>,
}

impl Key {
    pub(super) fn line(name: &str, stroke: Stroke) -> Self {
        Self { name: plain(name), stroke: Some(stroke), marker: None, area: None }
    }

    /// The lines of models, in their order.
    pub(super) fn models<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Self> {
        names.enumerate().map(|(model, name)| Self::line(name, Look::of(model).stroke))
    }

    pub(super) fn area(name: &str, colour: RGBColor) -> Self {
        Self { name: plain(name), stroke: None, marker: None, area: Some(colour) }
    }

    pub(super) fn dots(name: &str, look: Look) -> Self {
        Self { name: plain(name), stroke: None, marker: Some(look), area: None }
    }
}

/// A text without control characters, which neither a font nor XML can show.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c })
        .collect()
}

/// A picture before it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
    pub(super) legend: Vec<Key>,
    /// A sentence below the legend.
    pub(super) note: String,
}

/// A rectangle of the page: left, top, width, height.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

const MARGIN: f64 = 14.0;
const WIDTH: f64 = 720.0;
const TITLE: f64 = 16.0;
const LABEL: f64 = 12.5;
const TICK: f64 = 11.5;
const LINE: f64 = 19.0;
/// Length of a line in the legend.
const SAMPLE: f64 = 30.0;

/// A page laid out: every text cut into lines, every key given its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    title: Vec<String>,
    legend: Vec<(Point, Key)>,
    note: Vec<String>,
    panels: Vec<Frame>,
    height: f64,
}

impl Layout {
    /// Width and height of the page in dots.
    pub(super) fn size(&self, scale: f64) -> (u32, u32) {
        ((WIDTH * scale) as u32, (self.height * scale) as u32)
    }
}

impl Figure {
    pub(super) fn layout<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<Layout, String> {
        let inner = WIDTH - 2.0 * MARGIN;
        let title = wrap(canvas, &plain(&self.title), TITLE, inner)?;
        let mut top = MARGIN + 1.4 * TITLE * title.len() as f64 + 4.0;

        let columns = if self.panels.len() > 1 { 2 } else { 1 };
        let width = inner / columns as f64;
        let height = if columns == 1 { 460.0 } else { 300.0 };
        let mut panels = Vec::new();
        for index in 0..self.panels.len() {
            let (row, column) = (index / columns, index % columns);
            let left = MARGIN + width * column as f64;
            panels.push(Frame { left, top: top + height * row as f64, width, height });
        }
        top += height * self.panels.len().div_ceil(columns) as f64 + 10.0;

        let mut legend = Vec::new();
        let mut left = MARGIN;
        for key in &self.legend {
            let name = cut(canvas, &key.name, TICK, inner - SAMPLE - 10.0)?;
            let width = SAMPLE + 8.0 + canvas.width(&name, TICK)?;
            if left > MARGIN && left + width > MARGIN + inner {
                (left, top) = (MARGIN, top + LINE);
            }
            legend.push(((left, top + 0.5 * LINE), Key { name, ..key.clone() }));
            left += width + 22.0;
        }
        if !legend.is_empty() {
            top += LINE;
        }
        let note = wrap(canvas, &self.note, TICK, inner)?;
        top += LINE * note.len() as f64 + MARGIN;
        Ok(Layout { title, legend, note, panels, height: top.ceil() })
    }

    pub(super) fn draw<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        layout: &Layout,
    ) -> Result<(), String> {
        for (line, text) in layout.title.iter().enumerate() {
            let y = MARGIN + 1.4 * TITLE * (line as f64 + 0.5);
            canvas.text(text, (MARGIN, y), Anchor::Left, TITLE, INK)?;
        }
        for (panel, &frame) in self.panels.iter().zip(&layout.panels) {
            panel.draw(canvas, frame)?;
        }
        for ((x, y), key) in &layout.legend {
            if let Some(colour) = key.area {
                let (top, bottom) = (y - 6.0, y + 6.0);
                let right = x + SAMPLE;
                canvas.fill(
                    &[(*x, top), (right, top), (right, bottom), (*x, bottom)],
                    colour,
                    0.35,
                )?;
            }
            if let Some(stroke) = key.stroke {
                canvas.line(&[(*x, *y), (x + SAMPLE, *y)], stroke)?;
            }
            if let Some(look) = key.marker {
                canvas.marker((x + 0.5 * SAMPLE, *y), look, false)?;
            }
            canvas.text(&key.name, (x + SAMPLE + 8.0, *y), Anchor::Left, TICK, INK)?;
        }
        for (line, text) in layout.note.iter().enumerate() {
            let y = layout.height - MARGIN - LINE * (layout.note.len() - line) as f64 + 0.5 * LINE;
            canvas.text(text, (MARGIN, y), Anchor::Left, TICK, GREY)?;
        }
        canvas.finish()
    }
}

impl Panel {
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, frame: Frame) -> Result<(), String> {
        let mut widest = 0.0_f64;
        for (_, text) in &self.y.ticks {
            widest = widest.max(canvas.width(text, TICK)?);
        }
        let head = if self.title.is_some() { 26.0 } else { 10.0 };
        let left = frame.left + 24.0 + widest + 8.0;
        let plot = Frame {
            left,
            top: frame.top + head,
            width: frame.left + frame.width - 26.0 - left,
            height: frame.height - head - 52.0,
        };
        let (right, bottom) = (plot.left + plot.width, plot.top + plot.height);
        if let Some(title) = &self.title {
            let title = cut(canvas, &plain(title), LABEL, plot.width)?;
            let middle = plot.left + 0.5 * plot.width;
            canvas.text(&title, (middle, frame.top + 4.0), Anchor::Top, LABEL, INK)?;
        }
        let grid = Stroke { colour: GRID, dash: None, width: 1.0 };
        let mut extents = Vec::new();
        for (value, text) in &self.x.ticks {
            let half = 0.5 * canvas.width(text, TICK)?;
            let middle = plot.width * self.x.place(*value).0;
            extents.push((middle - half, middle + half));
        }
        let written = self.x.written(&extents, 6.0);
        for ((value, text), written) in self.x.ticks.iter().zip(written) {
            let x = plot.left + plot.width * self.x.place(*value).0;
            canvas.line(&[(x, plot.top), (x, bottom)], grid)?;
            if written {
                canvas.text(text, (x, bottom + 7.0), Anchor::Top, TICK, INK)?;
            }
        }
        let heights = self.y.ticks.iter().map(|(value, _)| plot.height * self.y.place(*value).0);
        let extents: Vec<(f64, f64)> =
            heights.map(|middle| (middle - 0.5 * TICK, middle + 0.5 * TICK)).collect();
        let written = self.y.written(&extents, 2.0);
        for ((value, text), written) in self.y.ticks.iter().zip(written) {
            let y = bottom - plot.height * self.y.place(*value).0;
            canvas.line(&[(plot.left, y), (right, y)], grid)?;
            if written {
                canvas.text(text, (plot.left - 8.0, y), Anchor::Right, TICK, INK)?;
            }
        }
        let x_label = (plot.left + 0.5 * plot.width, bottom + 27.0);
        canvas.text(&self.x.label, x_label, Anchor::Top, LABEL, INK)?;
        let y_label = (frame.left + 10.0, plot.top + 0.5 * plot.height);
        canvas.text(&self.y.label, y_label, Anchor::Upwards, LABEL, INK)?;

        for mark in &self.marks {
            self.mark(canvas, plot, mark)?;
        }
        let border = Stroke { colour: GREY, dash: None, width: 1.0 };
        let corners = [(plot.left, plot.top), (plot.left, bottom), (right, bottom)];
        canvas.line(&corners, border)
    }

    fn mark<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        plot: Frame,
        mark: &Mark,
    ) -> Result<(), String> {
        let across = |x: f64| plot.left + plot.width * self.x.place(x).0;
        let up = |y: f64| plot.top + plot.height * (1.0 - self.y.place(y).0);
        match mark {
            Mark::Line { points, stroke } => {
                // A stretch beyond one side of the panel is not drawn, rather than along its border.
                let beyond = |a: Point, b: Point| {
                    let of = |axis: &Axis, a: f64, b: f64| {
                        let ((a, a_shown), (b, b_shown)) = (axis.place(a), axis.place(b));
                        !a_shown && !b_shown && a == b
                    };
                    of(&self.x, a.0, b.0) || of(&self.y, a.1, b.1)
                };
                points.chunk_by(|&a, &b| !beyond(a, b)).try_for_each(|points| {
                    let points: Vec<Point> =
                        points.iter().map(|&(x, y)| (across(x), up(y))).collect();
                    canvas.line(&thinned(&points), *stroke)
                })
            }
            Mark::Band { edges, colour } => {
                let high: Vec<Point> = edges.iter().map(|&(x, _, y)| (across(x), up(y))).collect();
                let low: Vec<Point> = edges.iter().map(|&(x, y, _)| (across(x), up(y))).collect();
                let mut corners = thinned(&high);
                corners.extend(thinned(&low).into_iter().rev());
                canvas.fill(&corners, *colour, 0.18)
            }
            Mark::Dots { points, look } => points.iter().try_for_each(|&(x, y)| {
                let hollow = !(self.x.place(x).1 && self.y.place(y).1);
                canvas.marker((across(x), up(y)), *look, hollow)
            }),
            Mark::Whiskers { intervals, colour } => {
                let stroke = Stroke { colour: *colour, dash: None, width: 1.25 };
                intervals.iter().try_for_each(|&(x, low, high)| {
                    let (x, low, high) = (across(x), up(low), up(high));
                    canvas.line(&[(x, low), (x, high)], stroke)?;
                    canvas.line(&[(x - 3.0, low), (x + 3.0, low)], stroke)?;
                    canvas.line(&[(x - 3.0, high), (x + 3.0, high)], stroke)
                })
            }
            Mark::Bars { bars, colour } => bars.iter().try_for_each(|&(left, right, height)| {
                let (left, right) = (across(left), across(right));
                let (top, bottom) = (up(height), plot.top + plot.height);
                let corners = [(left, bottom), (left, top), (right, top), (right, bottom)];
                canvas.fill(&corners, *colour, 0.35)
            }),
        }
    }
}

/// The points that can be told apart on the page: a curve through ten million scores becomes one
/// through a few thousand dots.
fn thinned(points: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        let far = kept.last().is_none_or(|last| (x - last.0).abs() + (y - last.1).abs() >= 0.4);
        if far || index + 1 == points.len() {
            kept.push((x, y));
        }
    }
    kept
}

/// The text, its end replaced by "…" if it is wider than `width`.
fn cut<DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    text: &str,
    size: f64,
    width: f64,
) -> Result<String, String> {
    // No letter is narrower than a twentieth of the page is wide; longer texts need not be measured.
    let mut letters: Vec<char> = text.chars().take(400).collect();
    let whole = letters.len() == text.chars().count();
    let mut shown = text.to_owned();
    while !whole && shown == text || canvas.width(&shown, size)? > width {
        if letters.pop().is_none() {
            break;
        }
        shown = letters.iter().collect::<String>() + "…";
    }
    Ok(shown)
}

/// The text in lines no wider than `width`.
fn wrap<DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    text: &str,
    size: f64,
    width: f64,
) -> Result<Vec<String>, String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if canvas.width(&longer, size)? <= width {
                *line = longer;
                continue;
            }
        }
        lines.push(cut(canvas, word, size, width)?);
    }
    Ok(lines)
}
