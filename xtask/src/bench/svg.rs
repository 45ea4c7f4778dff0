//! Plots, as SVG by hand: points and lines over axes with units, readable without colour.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;
const COLOURS: &[&str] = &["#0b5fa5", "#c2410c", "#3f7d20", "#6d28d9"];
const DASHES: &[&str] = &["", "6 3", "2 3", "8 3 2 3"];

/// A named line through points.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot. The y axis starts at zero.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// The x axis goes by factors of ten.
    pub(crate) log_x: bool,
    pub(crate) lines: Vec<Line>,
}

impl Plot<'_> {
    /// Returns the SVG document, or `None` where there is no point.
    pub(crate) fn svg(&self) -> Option<String> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        points().next()?;
        let scaled = |x: f64| if self.log_x { x.max(1.0).log10() } else { x };
        let low = points().map(|p| scaled(p.0)).fold(f64::INFINITY, f64::min);
        let high = points().map(|p| scaled(p.0)).fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, high + 0.5) };
        let top = points().map(|p| p.1).fold(0.0, f64::max) * 1.1;
        let top = if top > 0.0 { top } else { 1.0 };
        let at_x = |x: f64| LEFT + (scaled(x) - low) / (high - low) * (WIDTH - LEFT - RIGHT);
        let at_y = |y: f64| HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM);
        let mut svg = self.frame();
        for tick in 0..=4 {
            let y = top * f64::from(tick) / 4.0;
            rule(&mut svg, at_y(y), &number(y));
        }
        let mut ticks: Vec<f64> = points().map(|p| p.0).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        for x in ticks {
            text(&mut svg, at_x(x), HEIGHT - BOTTOM + 18.0, "middle", &number(x));
        }
        for (nth, line) in self.lines.iter().enumerate() {
            let points: Vec<_> = line.points.iter().map(|p| (at_x(p.0), at_y(p.1))).collect();
            draw(&mut svg, nth, &line.name, &points);
        }
        svg += "</svg>\n";
        Some(svg)
    }

    fn frame(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        text(&mut svg, WIDTH / 2.0, 20.0, "middle", self.title);
        text(&mut svg, f64::midpoint(WIDTH, LEFT), HEIGHT - 12.0, "middle", self.x);
        let middle = HEIGHT / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{middle}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 16 {middle})\">{}</text>",
            escaped(self.y)
        );
        svg
    }
}

fn rule(svg: &mut String, y: f64, label: &str) {
    let end = WIDTH - RIGHT;
    let _ = writeln!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#d4d4d4\"/>"
    );
    text(svg, LEFT - 6.0, y + 4.0, "end", label);
}

fn draw(svg: &mut String, nth: usize, name: &str, points: &[(f64, f64)]) {
    let (colour, dash) = (COLOURS[nth % COLOURS.len()], DASHES[nth % DASHES.len()]);
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
         stroke-dasharray=\"{dash}\"/>",
        path.join(" ")
    );
    for (x, y) in points {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
    let y = TOP - 4.0 + 16.0 * nth as f64;
    let _ = writeln!(
        svg,
        "<line x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\" \
         stroke-dasharray=\"{dash}\"/>",
        LEFT + 8.0,
        LEFT + 36.0
    );
    text(svg, LEFT + 42.0, y + 4.0, "start", name);
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    let content = escaped(content);
    let _ =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns a number with three digits and a unit prefix: `12.5 k`.
pub(crate) fn number(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 1e9 => (v / 1e9, " G"),
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, ""),
    };
    let digits = match scaled {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tag is closed, in order, and no bare `&` or `<` stands in a text.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let Some((tag, rest)) = piece.split_once('>') else { return false };
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            match () {
                () if tag.starts_with('/') && open.pop() != Some(name) => return false,
                () if tag.starts_with('/') || tag.ends_with('/') => {}
                () => open.push(name),
            }
            if tag.matches('"').count() % 2 != 0 || rest.contains('>') {
                return false;
            }
            let mut entities = rest.split('&').skip(1);
            if !entities.all(|e| ["amp;", "lt;", "gt;"].iter().any(|known| e.starts_with(known))) {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn plots_are_well_formed() {
        let line = |name: &str, points| Line { name: name.to_owned(), points };
        let lines = vec![line("a < b & c", vec![(1e3, 5.0), (1e6, 7.0)]), line("d", vec![])];
        let plot = Plot { title: "t & u", x: "instances", y: "MiB > 0", log_x: true, lines };
        let svg = plot.svg().unwrap();
        assert!(is_well_formed(&svg), "{svg}");
        assert!(!svg.contains("NaN") && svg.contains("a &lt; b &amp; c"));
        assert!(!is_well_formed(&svg.replace("</svg>", "")));
    }

    #[test]
    fn one_point_is_a_plot_and_none_is_not() {
        let plot = |points| Plot {
            title: "t",
            x: "x",
            y: "y",
            log_x: false,
            lines: vec![Line { name: "a".to_owned(), points }],
        };
        assert!(plot(vec![(2.0, 0.0)]).svg().is_some_and(|svg| !svg.contains("NaN")));
        assert!(plot(Vec::new()).svg().is_none());
    }

    #[test]
    fn numbers_have_unit_prefixes() {
        assert_eq!((number(1_000.0), number(12_540.0)), ("1 k".to_owned(), "12.5 k".to_owned()));
        assert_eq!((number(0.25), number(3.1e9)), ("0.25".to_owned(), "3.10 G".to_owned()));
    }
}
