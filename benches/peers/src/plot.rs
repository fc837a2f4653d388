//! Plots as SVG, drawn by hand: a panel for each case, bars for the table and lines for how cost
//! grows. Both axes of the lines are logarithmic.

use std::fmt::Write as _;

use crate::{
    bench::{Measured, median},
    report::short,
    workloads::SCALE,
};

const PANEL_WIDTH: f64 = 330.0;
const COLUMNS: usize = 3;
const BAR_HEIGHT: f64 = 16.0;
const LABEL_WIDTH: f64 = 108.0;
const VALUE_WIDTH: f64 = 60.0;
const HEAD: f64 = 60.0;
const CHART_HEIGHT: f64 = 190.0;

const COLOURS: [(&str, &str); 8] = [
    ("bare", "#9a9a9a"),
    ("annals", "#c0392b"),
    ("sqlite", "#2c6fbb"),
    ("lmdb", "#27925f"),
    ("redb", "#d08b1d"),
    ("fjall", "#7d4fa3"),
    ("umadb", "#159a9c"),
    ("tephra", "#6b5b4b"),
];

fn colour(label: &str) -> &'static str {
    let found = COLOURS.iter().find(|(name, _)| label.starts_with(name));
    found.map_or("#000000", |(_, colour)| colour)
}

/// Medians with whiskers from the least to the most.
pub(crate) fn bars(measured: &[Measured], machine: &[String]) -> String {
    let cases: Vec<&Measured> =
        measured.iter().filter(|measured| !measured.case.starts_with(SCALE)).collect();
    let mut svg = Svg::new(machine);
    for row in cases.chunks(COLUMNS) {
        let most = row.iter().map(|case| case.values.len()).max().unwrap_or(0);
        for (column, case) in row.iter().enumerate() {
            bar_panel(&mut svg, column as f64 * PANEL_WIDTH, case);
        }
        svg.top += 40.0 + most as f64 * BAR_HEIGHT;
    }
    svg.finish()
}

/// What the README shows: of each row the case that says most, and its title.
const PICTURE: [(char, &str, &str); 6] = [
    ('A', "260 bytes", "one durable append"),
    ('B', "16 threads", "16 threads, each append durable"),
    ('E', "real logs", "bulk until closed, real logs"),
    ('F', "real logs", "reading everything, real logs"),
    ('G', "real logs", "reading streams of 8 to 12 events"),
    ('I', "real logs", "on the disk, an event of the real logs"),
];

/// The bars of a few cases, for the README, with each store once.
pub(crate) fn picture(measured: &[Measured], machine: &[String]) -> String {
    let chosen = PICTURE.iter().filter_map(|(row, case, title)| {
        let is_it = |found: &&Measured| found.row == *row && found.case.starts_with(case);
        let mut chosen = measured.iter().find(is_it)?.clone();
        chosen.case = (*title).to_owned();
        chosen.values.retain(|(label, _)| label != "annals-dcb" && label != "sqlite NORMAL");
        Some(chosen)
    });
    bars(&chosen.collect::<Vec<_>>(), machine)
}

fn bar_panel(svg: &mut Svg, left: f64, case: &Measured) {
    let title = format!("{}: {} ({})", case.row, case.case, case.unit);
    svg.text(left + 8.0, svg.top + 14.0, "bold", &title);
    let all = case.values.iter().flat_map(|(_, values)| values);
    let most = all.copied().fold(f64::MIN_POSITIVE, f64::max);
    let scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most;
    for (index, (label, values)) in case.values.iter().enumerate() {
        let y = svg.top + 22.0 + index as f64 * BAR_HEIGHT;
        let start = left + LABEL_WIDTH;
        let middle = median(values);
        svg.text(left + 8.0, y + 11.0, "normal", label);
        svg.rectangle(start, y + 2.0, middle * scale, BAR_HEIGHT - 5.0, colour(label));
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        let centre = y + BAR_HEIGHT / 2.0;
        svg.line((start + least * scale, centre), (start + most * scale, centre), "#202020");
        svg.text(start + most * scale + 4.0, y + 11.0, "normal", &short(middle));
    }
}

/// A line for each store in each panel, over the number of events or of streams.
pub(crate) fn scale(measured: &[Measured], machine: &[String]) -> String {
    let mut panels: Vec<(String, Vec<(f64, &Measured)>)> = Vec::new();
    for case in measured {
        let Some((name, events)) = size(case) else { continue };
        let title = format!("{}: {name} ({})", case.row, case.unit);
        match panels.iter_mut().find(|(known, _)| *known == title) {
            Some((_, cases)) => cases.push((events, case)),
            None => panels.push((title, vec![(events, case)])),
        }
    }
    let mut svg = Svg::new(machine);
    for row in panels.chunks(COLUMNS) {
        for (column, (title, cases)) in row.iter().enumerate() {
            line_panel(&mut svg, column as f64 * PANEL_WIDTH, title, cases);
        }
        svg.top += CHART_HEIGHT + 60.0;
    }
    for (index, (name, colour)) in COLOURS.iter().enumerate().skip(1) {
        let x = 8.0 + (index - 1) as f64 * 90.0;
        svg.rectangle(x, svg.top, 14.0, 10.0, colour);
        svg.text(x + 18.0, svg.top + 9.0, "normal", name);
    }
    svg.top += 20.0;
    svg.finish()
}

/// What a case of the scale measures, and with how many events or streams.
fn size(case: &Measured) -> Option<(&str, f64)> {
    let (name, size) = case.case.strip_prefix(SCALE)?.rsplit_once(", ")?;
    let number = size.strip_suffix(" events").or(size.strip_suffix(" streams"))?;
    Some((name, number.parse().ok()?))
}

fn line_panel(svg: &mut Svg, left: f64, title: &str, cases: &[(f64, &Measured)]) {
    svg.text(left + 8.0, svg.top + 14.0, "bold", title);
    let medians = cases.iter().flat_map(|(_, case)| &case.values).map(|(_, v)| median(v));
    let medians: Vec<f64> = medians.filter(|value| *value > 0.0).collect();
    let x = Axis::over(cases.iter().map(|(events, _)| *events), left + 50.0, PANEL_WIDTH - 70.0);
    let y = Axis::over(medians.into_iter(), svg.top + 24.0 + CHART_HEIGHT, -CHART_HEIGHT);
    for tick in x.ticks() {
        let name =
            if tick >= 1e6 { format!("{}M", tick / 1e6) } else { format!("{}k", tick / 1e3) };
        svg.line((x.at(tick), y.start), (x.at(tick), y.start + y.length), "#e2e2e2");
        svg.text(x.at(tick) - 8.0, y.start + 14.0, "normal", &name);
    }
    for tick in y.ticks() {
        svg.line((x.start, y.at(tick)), (x.start + x.length, y.at(tick)), "#e2e2e2");
        svg.text(left + 8.0, y.at(tick) + 4.0, "normal", &format!("{tick}"));
    }
    let mut labels: Vec<&str> = Vec::new();
    for (label, _) in cases.iter().flat_map(|(_, case)| &case.values) {
        if !labels.contains(&label.as_str()) {
            labels.push(label);
        }
    }
    for label in labels {
        let points = cases.iter().filter_map(|(events, case)| {
            let (_, values) = case.values.iter().find(|(name, _)| name == label)?;
            Some((x.at(*events), y.at(median(values))))
        });
        svg.polyline(&points.collect::<Vec<_>>(), colour(label));
    }
}

/// A logarithmic axis between powers of ten.
struct Axis {
    start: f64,
    length: f64,
    least: f64,
    most: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Axis {
        let (least, most) = values
            .map(f64::log10)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        Axis { start, length, least: least.floor(), most: most.ceil().max(least.floor() + 1.0) }
    }

    fn at(&self, value: f64) -> f64 {
        self.start + (value.log10() - self.least) / (self.most - self.least) * self.length
    }

    fn ticks(&self) -> Vec<f64> {
        (self.least as i32..=self.most as i32).map(|power| 10_f64.powi(power)).collect()
    }
}

struct Svg {
    body: String,
    top: f64,
}

impl Svg {
    fn new(machine: &[String]) -> Svg {
        let mut svg = Svg { body: String::new(), top: HEAD };
        for (index, line) in machine.iter().enumerate() {
            svg.text(8.0, 16.0 + index as f64 * 14.0, "normal", line);
        }
        svg
    }

    fn text(&mut self, x: f64, y: f64, weight: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"{weight}\">{text}</text>"
        )
        .unwrap();
    }

    fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{colour}\"/>"
        )
        .unwrap();
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        let (x1, y1) = from;
        let (x2, y2) = to;
        writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" \
             stroke=\"{colour}\"/>"
        )
        .unwrap();
    }

    fn polyline(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        )
        .unwrap();
    }

    fn finish(self) -> String {
        let (width, height) = (PANEL_WIDTH * COLUMNS as f64, self.top + 10.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body
        )
    }
}
