//! The plan as a picture for a proposal: SVG, or an HTML page around it, with nothing from elsewhere.

use std::fmt::Write as _;

use super::{Bill, Plan, TierRow, What};
use crate::money::{Usd, float, grouped};

const WIDTH: f64 = 960.0;
/// Where bars begin and end.
const LEFT: f64 = 205.0;
const RIGHT: f64 = 725.0;
const BAR: f64 = 26.0;
const ROW: f64 = 40.0;
/// Colours that stay apart for colour-blind eyes and in print (Okabe and Ito, and greys), one for
/// each line of a bill.
const COLOURS: [&str; What::ALL.len()] = [
    "#0072b2", "#56b4e9", "#b5cf6b", "#e69f00", "#7f7fbf", "#999999", "#d55e00", "#cc79a7",
    "#f0e442", "#009e73", "#8c564b", "#444444",
];
/// At most so many marks on an axis.
const TICKS_MAX: f64 = 6.0;

/// Draws the plan.
#[must_use]
pub fn svg(plan: &Plan) -> String {
    let mut chart = Chart::default();
    chart.heading(plan);
    chart.runs(plan);
    chart.legend(plan);
    chart.tiers(plan);
    chart.foot(plan);
    chart.finish(plan)
}

/// Returns a page with the picture, the bills and what they assume.
#[must_use]
pub fn html(plan: &Plan) -> String {
    let mut body = String::new();
    for bill in &plan.runs {
        body += &bill_table(bill);
    }
    let why = items(plan.recommendation.why.iter().cloned());
    let notes = items(plan.notes.iter().cloned());
    let assumed = items(plan.assumptions.iter().map(|assumption| {
        let super::Assumption { name, value, unit, why } = assumption;
        format!("{name}: {value} {unit}: {why}")
    }));
    let source = escape(&plan.prices.source);
    let as_of = escape(&plan.prices.as_of);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>dcmjoin plan</title>\n<style>\nbody {{ font: 15px/1.45 sans-serif; max-width: \
         980px; margin: 2em auto; padding: 0 1em; }}\ntable {{ border-collapse: collapse; margin: \
         1em 0; }}\ntd, th {{ padding: 2px 12px; text-align: right; border-bottom: 1px solid \
         #ddd; }}\ntd:first-child, th:first-child {{ text-align: left; }}\ncaption {{ text-align: \
         left; font-weight: bold; }}\n</style>\n</head>\n<body>\n{}\n<h2>Why</h2>\n<ul>\n{why}</ul>\n\
         <h2>Bills</h2>\n{body}<h2>Worth knowing</h2>\n<ul>\n{notes}</ul>\n<h2>Assumed</h2>\n<ul>\n\
         {assumed}</ul>\n<p>Prices as of {as_of}: {source}.</p>\n</body>\n</html>\n",
        svg(plan)
    )
}

fn items(texts: impl Iterator<Item = String>) -> String {
    texts.fold(String::new(), |list, text| list + "<li>" + &escape(&text) + "</li>\n")
}

fn bill_table(bill: &Bill) -> String {
    let mut table = format!(
        "<table>\n<caption>{}, {}: {:.0} to {:.0} h</caption>\n<tr><th>for</th><th>count</th><th></th><th>US$</th></tr>\n",
        bill.run.as_str(),
        bill.tier,
        bill.hours.from.hours(),
        bill.hours.to.hours()
    );
    for line in &bill.lines {
        let (count, usd) = (grouped(line.count), line.usd.rounded());
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td>{count}</td><td>{}</td><td>{usd}</td></tr>",
            line.what.as_str(),
            line.unit
        );
    }
    let total = bill.total_usd.rounded();
    table + &format!("<tr><th>total</th><th></th><th></th><th>{total}</th></tr>\n</table>\n")
}

#[derive(Default)]
struct Chart {
    body: String,
    y: f64,
}

impl Chart {
    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    fn text(&mut self, x: f64, class: &str, text: &str) {
        let (y, text) = (self.y, escape(text));
        self.push(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"));
    }

    fn heading(&mut self, plan: &Plan) {
        let scope = &plan.scope;
        self.y = 34.0;
        let total = plan.recommendation.total_usd.rounded();
        let title = format!(
            "{} from {} to published instances: {total} ({})",
            size(scope.metadata.bytes.saturating_add(scope.images.bytes)),
            scope.region,
            plan.recommendation.run.as_str(),
        );
        self.text(20.0, "title", &title);
        self.y += 22.0;
        let line = format!(
            "{} archives, {} instances, {} retrieval, copies for {} days, {} x {}",
            grouped(scope.metadata.archives.saturating_add(scope.images.archives)),
            grouped(scope.instances),
            scope.tier,
            scope.days,
            scope.machines,
            scope.machine
        );
        self.text(20.0, "small", &line);
        self.y += 40.0;
    }

    fn runs(&mut self, plan: &Plan) {
        self.text(20.0, "panel", "What each way of running it costs");
        self.y += 14.0;
        let most = plan.runs.iter().map(|bill| bill.total_usd).max().unwrap_or_default();
        let scale = Scale::up_to(most);
        self.axis(&scale, plan.runs.len());
        for bill in &plan.runs {
            self.bar_label(bill.run.as_str());
            let mut x = LEFT;
            for line in bill.lines.iter().filter(|line| line.usd > Usd::ZERO) {
                let width = scale.width(line.usd);
                self.part(x, width, COLOURS[line.what as usize], line.what, line.usd);
                x += width;
            }
            self.bar_value(x, &format!("{}, {}", bill.total_usd.rounded(), hours(bill.hours)));
        }
        self.y += 50.0;
    }

    fn part(&mut self, x: f64, width: f64, colour: &str, what: What, usd: Usd) {
        let (y, what, usd) = (self.y, what.as_str(), usd.rounded());
        self.push(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" \
             fill=\"{colour}\"><title>{what}: {usd}</title></rect>"
        ));
    }

    fn bar_label(&mut self, label: &str) {
        self.y += BAR * 0.68;
        self.text(LEFT - 10.0, "end", label);
        self.y -= BAR * 0.68;
    }

    fn bar_value(&mut self, x: f64, value: &str) {
        self.y += BAR * 0.68;
        self.text(x + 8.0, "value", value);
        self.y += ROW - BAR * 0.68;
    }

    /// Draws the axis of a panel of so many bars, which begin below the current place.
    fn axis(&mut self, scale: &Scale, bars: usize) {
        let top = self.y;
        let bottom = top + ROW * float(bars as u64) + 4.0;
        for tick in scale.ticks() {
            let x = LEFT + (RIGHT - LEFT) * tick / scale.most;
            self.push(&format!(
                "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" class=\"grid\"/>"
            ));
            self.y = bottom + 16.0;
            self.text(x, "tick", &short(tick));
        }
        self.y = bottom + 34.0;
        self.text(f64::midpoint(LEFT, RIGHT), "tick", "US dollars");
        self.y = top + 6.0;
    }

    fn legend(&mut self, plan: &Plan) {
        let costs = |what: What| plan.runs.iter().any(|bill| bill.of(what) > Usd::ZERO);
        let shown: Vec<What> = What::ALL.into_iter().filter(|what| costs(*what)).collect();
        self.y += 8.0;
        for row in shown.chunks(4) {
            let mut x = 40.0;
            for what in row {
                let (y, colour) = (self.y - 11.0, COLOURS[*what as usize]);
                self.push(&format!(
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"13\" height=\"13\" fill=\"{colour}\"/>"
                ));
                self.text(x + 20.0, "small", what.as_str());
                x += 220.0;
            }
            self.y += 22.0;
        }
        self.y += 24.0;
    }

    fn tiers(&mut self, plan: &Plan) {
        self.text(20.0, "panel", "What each retrieval tier costs, read in one pass");
        self.y += 14.0;
        let most = plan.tiers.iter().map(|row| row.total_usd).max().unwrap_or_default();
        let scale = Scale::up_to(most);
        self.axis(&scale, plan.tiers.len());
        for row in &plan.tiers {
            self.tier(row, &scale);
        }
        self.y += 60.0;
    }

    fn tier(&mut self, row: &TierRow, scale: &Scale) {
        self.bar_label(row.tier.as_str());
        let restore = row.retrieval_usd + row.requests_usd;
        let (first, rest) = (scale.width(restore), scale.width(row.total_usd.less(restore)));
        if restore > Usd::ZERO {
            self.part(LEFT, first, COLOURS[0], What::Retrieval, restore);
        }
        let (y, x, all) = (self.y, LEFT + first, row.total_usd.rounded());
        self.push(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{rest:.1}\" height=\"{BAR}\" \
             fill=\"#bbbbbb\"><title>all else, of {all}</title></rect>"
        ));
        let against = if row.against.is_some() { " (not advised)" } else { "" };
        let value = format!("{all}, {}{against}", hours(row.hours));
        self.bar_value(x + rest, &value);
    }

    fn foot(&mut self, plan: &Plan) {
        let line = format!(
            "Blue: retrieval and its requests; grey: all else. Prices as of {}, without tax and discounts. An estimate by dcmjoin plan.",
            plan.prices.as_of
        );
        self.text(20.0, "small", &line);
        self.y += 20.0;
    }

    fn finish(self, plan: &Plan) -> String {
        let height = self.y;
        let title = escape(&format!(
            "Cost and hours of restoring and joining {} in {}",
            size(plan.scope.images.bytes),
            plan.scope.region
        ));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">\n<title>{title}</title>\n<style>\n\
             text {{ font: 13px sans-serif; fill: #222; }}\n\
             .title {{ font-size: 19px; font-weight: bold; }}\n\
             .panel {{ font-size: 15px; font-weight: bold; }}\n.small {{ fill: #555; }}\n\
             .end {{ text-anchor: end; }}\n.tick {{ text-anchor: middle; fill: #555; }}\n\
             .grid {{ stroke: #ddd; }}\n</style>\n\
             <rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// From dollars to places.
struct Scale {
    most: f64,
    step: f64,
}

impl Scale {
    /// Returns a scale whose last mark is at or above the amount.
    fn up_to(amount: Usd) -> Self {
        let amount = amount.dollars().max(0.01);
        let rough = amount / TICKS_MAX;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|step| step * decade)
            .find(|step| *step >= rough)
            .unwrap_or(decade * 10.0);
        Self { most: (amount / step).ceil() * step, step }
    }

    fn width(&self, amount: Usd) -> f64 {
        amount.dollars() / self.most * (RIGHT - LEFT)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + use<> {
        let (most, step) = (self.most, self.step);
        (0..=10).map(move |n| f64::from(n) * step).take_while(move |tick| *tick <= most * 1.001)
    }
}

fn hours(range: super::HoursRange) -> String {
    let (from, to) = (range.from.hours(), range.to.hours());
    if to < 10.0 { format!("{from:.1}-{to:.1} h") } else { format!("{from:.0}-{to:.0} h") }
}

/// Returns an amount for an axis: `$2.5k`.
fn short(dollars: f64) -> String {
    let (value, unit) = match dollars {
        d if d >= 1e6 => (d / 1e6, "M"),
        d if d >= 1e3 => (d / 1e3, "k"),
        d => (d, ""),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("${text}{unit}")
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut value, mut unit) = (float(bytes), 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            // XML has no way to write these.
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_reach_the_amount() {
        for dollars in [0.01, 0.7, 9.99, 1_234.0, 65_000.0, 3.3e7] {
            let scale = Scale::up_to(Usd::from_dollars(dollars).unwrap());
            let ticks: Vec<f64> = scale.ticks().collect();
            assert!((3..=8).contains(&ticks.len()), "{dollars}: {ticks:?}");
            assert!(ticks[ticks.len() - 1] >= dollars * 0.999, "{dollars}: {ticks:?}");
        }
        assert_eq!([0.0, 0.5, 2_500.0, 1e6].map(short), ["$0", "$0.5", "$2.5k", "$1M"]);
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(1 << 50), "1.1 PB");
    }

    #[test]
    fn what_comes_from_a_file_is_escaped() {
        assert_eq!(escape("a<b & \"c\"\n"), "a&lt;b &amp; &quot;c&quot; ");
    }
}
