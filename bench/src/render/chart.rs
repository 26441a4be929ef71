//! Bars and lines as SVG. Text and grid are of a grey that can be read on white and on black, the ground is
//! clear, and fonts are the viewer's own.

use svg::Document;
use svg::node::element::Element;
use svg::node::{Node, Text, Value};

/// Of Okabe and Ito: told apart by people who are colour-blind, and neither near white nor near black.
pub(super) const COLOURS: [&str; 7] =
    ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c8c8c"];

/// 4.3 times as bright as black, and white 4.3 times as bright as it.
const GREY: &str = "#747c87";
const WIDTH: f64 = 760.0;
/// Left of this are labels, right of the other figures.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const ROW: f64 = 24.0;

/// Parts of one bar, end to end, with what is written behind it.
pub(super) struct Bar {
    pub(super) label: String,
    /// The number of a colour, and a length.
    pub(super) parts: Vec<(usize, f64)>,
    pub(super) figure: String,
}

/// Bars under a heading.
pub(super) struct Group {
    pub(super) heading: String,
    pub(super) bars: Vec<Bar>,
}

/// Points joined by lines, from left to right.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// Horizontal bars; `legend` names colours.
pub(super) fn bars(title: &str, groups: &[Group], legend: &[(usize, String)]) -> String {
    let rows: usize = groups.iter().map(|group| group.bars.len() + 1).sum();
    let below = TOP + ROW * rows as f64 + 10.0;
    let mut canvas = Canvas::new(title, below + if legend.is_empty() { 10.0 } else { 30.0 });
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, length)| length).sum::<f64>();
    let most = groups.iter().flat_map(|group| &group.bars).map(sum).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let mut y = TOP;
    for group in groups {
        canvas.bold(0.0, y + 16.0, &group.heading);
        y += ROW;
        for bar in &group.bars {
            canvas.text(LEFT - 8.0, y + 16.0, "end", &bar.label);
            let mut x = LEFT;
            for (colour, length) in &bar.parts {
                canvas.rectangle(x, y + 3.0, length * scale, ROW - 6.0, *colour);
                x += length * scale;
            }
            canvas.text(x + 6.0, y + 16.0, "start", &bar.figure);
            y += ROW;
        }
    }
    canvas.legend(below + 6.0, legend.iter().map(|(colour, name)| (*colour, name.as_str())));
    canvas.finish()
}

/// Lines over a logarithmic axis of sizes in MiB; `unit` is that of the other axis.
pub(super) fn lines(title: &str, unit: &str, lines: &[Line]) -> String {
    const HEIGHT: f64 = 300.0;
    const MARGIN: f64 = 60.0;
    let bottom = TOP + HEIGHT;
    let mut canvas = Canvas::new(title, bottom + 80.0);
    let points = || lines.iter().flat_map(|line| &line.points);
    let ticks = ticks(points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max));
    let top = ticks.last().copied().unwrap_or(1.0);
    let mut sizes: Vec<_> = points().map(|(x, _)| *x).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let (first, last) = (sizes.first().copied().unwrap_or(1.0), sizes.last().copied().unwrap_or(2.0));
    let steps = (last / first).log2().max(1.0);
    let at = |x: f64, y: f64| {
        let right = (x / first).log2() / steps * (WIDTH - 2.0 * MARGIN);
        (MARGIN + right, bottom - y / top * HEIGHT)
    };
    for tick in &ticks {
        let (_, y) = at(first, *tick);
        canvas.grid(MARGIN, y, WIDTH - MARGIN, y);
        canvas.text(MARGIN - 8.0, y + 4.0, "end", &format!("{}", (tick * 1e6).round() / 1e6));
    }
    for size in &sizes {
        let (x, _) = at(*size, 0.0);
        canvas.text(x, bottom + 18.0, "middle", &format!("{size:.0}"));
    }
    canvas.text(MARGIN - 8.0, TOP - 8.0, "end", unit);
    canvas.text(WIDTH - MARGIN, bottom + 36.0, "end", "file, MiB");
    for line in lines {
        let points: Vec<_> = line.points.iter().map(|(x, y)| at(*x, *y)).collect();
        canvas.line(&points, line);
    }
    let names = lines.iter().filter(|line| !line.name.is_empty());
    canvas.legend(bottom + 60.0, names.map(|line| (line.colour, line.name.as_str())));
    canvas.finish()
}

/// Round numbers from 0 to the first that is not below `most`.
fn ticks(most: f64) -> Vec<f64> {
    let rough = most / 5.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * decade);
    let count = (most / step).ceil().max(1.0);
    (0..).map(f64::from).take_while(|n| *n <= count).map(|n| n * step).collect()
}

struct Canvas(Document);

impl Canvas {
    fn new(title: &str, height: f64) -> Self {
        let mut document = Document::new()
            .set("viewBox", (0, 0, WIDTH, height))
            .set("role", "img")
            .set("font-family", "system-ui, sans-serif")
            .set("font-size", 13);
        let mut named = Element::new("title");
        named.append(Text::new(title));
        document.append(named);
        let mut canvas = Self(document);
        canvas.bold(0.0, 18.0, title);
        canvas
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let at = [("x", number(x)), ("y", number(y)), ("text-anchor", anchor.into()), ("fill", GREY.into())];
        let mut element = element("text", at);
        element.append(Text::new(text));
        self.0.append(element);
    }

    fn bold(&mut self, x: f64, y: f64, text: &str) {
        let at = [("x", number(x)), ("y", number(y)), ("font-weight", "bold".into()), ("fill", GREY.into())];
        let mut element = element("text", at);
        element.append(Text::new(text));
        self.0.append(element);
    }

    fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, colour: usize) {
        let size = [("width", number(width)), ("height", number(height)), ("fill", fill(colour))];
        self.0.append(element("rect", [("x", number(x)), ("y", number(y))].into_iter().chain(size)));
    }

    fn grid(&mut self, x1: f64, y1: f64, x2: f64, y2: f64) {
        let ends = [("x1", number(x1)), ("y1", number(y1)), ("x2", number(x2)), ("y2", number(y2))];
        let stroke = [("stroke", GREY.into()), ("stroke-opacity", "0.3".into())];
        self.0.append(element("line", ends.into_iter().chain(stroke)));
    }

    fn line(&mut self, points: &[(f64, f64)], line: &Line) {
        let joined: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dashes = if line.dashed { "4 4" } else { "none" };
        let stroke = [("stroke", fill(line.colour)), ("stroke-dasharray", dashes.into())];
        let shape =
            [("points", joined.join(" ").into()), ("fill", "none".into()), ("stroke-width", 2.into())];
        self.0.append(element("polyline", shape.into_iter().chain(stroke)));
        for (x, y) in points.iter().filter(|_| !line.dashed) {
            let centre =
                [("cx", number(*x)), ("cy", number(*y)), ("r", 3.into()), ("fill", fill(line.colour))];
            self.0.append(element("circle", centre));
        }
    }

    /// As wide as the names are likely to be: what a font makes of them is not known here.
    fn legend<'a>(&mut self, y: f64, names: impl Iterator<Item = (usize, &'a str)>) {
        let mut x = 10.0;
        for (colour, name) in names {
            self.rectangle(x, y - 10.0, 12.0, 12.0, colour);
            self.text(x + 18.0, y, "start", name);
            x += 40.0 + 7.5 * name.chars().count() as f64;
        }
    }

    fn finish(self) -> String {
        format!("{}\n", self.0)
    }
}

fn element<'a>(name: &str, attributes: impl IntoIterator<Item = (&'a str, Value)>) -> Element {
    let mut element = Element::new(name);
    attributes.into_iter().for_each(|(name, value)| element.assign(name, value));
    element
}

/// To a tenth, so that a plot is the same on every machine.
fn number(value: f64) -> Value {
    format!("{value:.1}").into()
}

fn fill(colour: usize) -> Value {
    COLOURS[colour % COLOURS.len()].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_greatest() {
        assert_eq!(ticks(9.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(1000.0), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        for most in [0.001, 0.7, 3.0, 49.9, 50.0, 51.0, 123_456.0] {
            let ticks = ticks(most);
            assert!((2..=7).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks.last().is_some_and(|last| *last >= most * 0.999_999), "{ticks:?}");
        }
    }

    #[test]
    fn a_bar_is_as_long_as_its_parts_and_text_is_escaped() {
        let bar =
            |length| Bar { label: "a<b".into(), parts: vec![(0, length), (1, 1.0)], figure: "&".into() };
        let group = Group { heading: "heading".into(), bars: vec![bar(1.0), bar(3.0)] };
        let svg = bars("title", &[group], &[(0, "one".into()), (1, "other".into())]);
        // The longest takes the room there is: 4 of 460.
        for width in ["115.0", "345.0"] {
            assert!(svg.contains(&format!("width=\"{width}\"")), "{svg}");
        }
        assert!(svg.contains("a&lt;b") && svg.contains("&amp;") && !svg.contains("a<b"));
    }

    #[test]
    fn lines_go_from_edge_to_edge() {
        let points = vec![(1.0, 0.0), (4.0, 5.0), (16.0, 10.0)];
        let line = Line { name: "x".into(), colour: 0, dashed: false, points };
        let svg = lines("title", "MiB/s", &[line]);
        assert!(svg.contains("points=\"60.0,340.0 380.0,190.0 700.0,40.0\""), "{svg}");
    }
}
