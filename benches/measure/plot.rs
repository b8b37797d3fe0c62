//! Lines in two dimensions, as SVG.

use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, KeyPointWeight};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Unit;

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    /// Where a value lies on the axis.
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.log10(),
        }
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Logarithmic => 10_f64.powf(place),
        }
    }
}

/// One axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub name: &'static str,
    pub scale: Scale,
    pub unit: Unit,
}

impl Axis {
    /// From where to where it goes for these values, and the places that are named.
    fn span(self, values: impl Iterator<Item = f64>) -> Span {
        let places: Vec<f64> = values.map(|value| self.scale.place(value)).collect();
        let least = places.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (first, step) = match self.scale {
            Scale::Linear => (0.0, round_step(greatest)),
            Scale::Logarithmic => (least.floor(), 1.0),
        };
        let mut named = vec![first, first + step];
        while named[named.len() - 1] < greatest {
            named.push(named[named.len() - 1] + step);
        }
        Span(named)
    }

    fn label(self, place: f64) -> String {
        let value = self.scale.value(place);
        // Named places are powers of ten or multiples of them, as no octets of KiB and MiB are.
        match self.unit {
            Unit::Octets if value >= 1e6 => format!("{} MB", value / 1e6),
            Unit::Octets if value >= 1e3 => format!("{} kB", value / 1e3),
            unit => unit.show(value),
        }
    }
}

/// An axis from the first of its named places to the last.
struct Span(Vec<f64>);

impl Ranged for Span {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let range = self.range();
        let part = (value - range.start) / (range.end - range.start);
        // Pixels.
        #[allow(clippy::cast_possible_truncation)]
        let pixels = (part * f64::from(limit.1 - limit.0)).round() as i32;
        limit.0 + pixels
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight() {
            KeyPointWeight::Bold => self.0.clone(),
            KeyPointWeight::Any => Vec::new(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.0[0]..self.0[self.0.len() - 1]
    }
}

/// A step of 1, 2 or 5 times a power of ten, of which four to ten reach the greatest value.
fn round_step(greatest: f64) -> f64 {
    let power = 10_f64.powf((greatest / 4.0).log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|times| times * power);
    steps
        .into_iter()
        .find(|step| step * 4.0 <= greatest)
        .unwrap_or(power)
}

/// Lines by name, each of points from left to right.
#[derive(Clone, Debug)]
pub struct Plot {
    pub title: &'static str,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// Colours that people who see few colours tell apart: Okabe and Ito's palette, with grey for its yellow, which is
/// hard to see on white.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
    RGBColor(128, 128, 128),
];

/// In pixels: as wide as a page of text.
const SIZE: (u32, u32) = (890, 420);

/// What is left for the lines' names, beside the lines.
const NAMES: u32 = 240;

/// From one name to the next, and from the top to the first.
const NAME_HEIGHT: i32 = 20;
const NAMES_FROM: i32 = 48;

impl Plot {
    pub(super) fn draw(&self, file: &Path) {
        self.try_draw(file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    fn try_draw(&self, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let area = SVGBackend::new(file, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (lines, names) = area.split_horizontally(SIZE.0 - NAMES);
        let mut chart = ChartBuilder::on(&lines)
            .caption(self.title, ("sans-serif", 16))
            .margin(12)
            .margin_right(36)
            .x_label_area_size(42)
            .y_label_area_size(76)
            .build_cartesian_2d(
                self.x.span(points().map(|point| point.0)),
                self.y.span(points().map(|point| point.1)),
            )?;
        chart
            .configure_mesh()
            .x_desc(self.x.name)
            .y_desc(self.y.name)
            .x_label_formatter(&|place| self.x.label(*place))
            .y_label_formatter(&|place| self.y.label(*place))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let mut below = NAMES_FROM;
        for ((name, points), colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let places = points
                .iter()
                .map(|(x, y)| (self.x.scale.place(*x), self.y.scale.place(*y)));
            let style = colour.stroke_width(2);
            chart.draw_series(LineSeries::new(places, style).point_size(3))?;
            names.draw(&PathElement::new([(0, below), (16, below)], style))?;
            let middle = Pos::new(HPos::Left, VPos::Center);
            let text = ("sans-serif", 12).into_font().into_text_style(&names);
            names.draw(&Text::new(name.as_str(), (24, below), text.pos(middle)))?;
            below += NAME_HEIGHT;
        }
        area.present()?;
        Ok(())
    }
}
