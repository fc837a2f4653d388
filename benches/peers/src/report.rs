//! The results as a Markdown table, and as plots beside it.

use std::{fmt::Write as _, fs};

use crate::{
    aims,
    bench::{Bench, Measured, median},
    plot,
};

const ROWS: [(char, &str); 11] = [
    ('A', "one durable append"),
    ('B', "16 threads, each append durable"),
    ('C', "batches of 100, durable"),
    ('D', "one at a time, buffered"),
    ('E', "bulk, 1000 at a time, until everything is drained and closed"),
    ('F', "read everything"),
    ('G', "read streams"),
    ('H', "open"),
    ('I', "on the disk, an event"),
    ('J', "memory, cache of 64 MiB"),
    ('K', "stalls while it drains"),
];

pub(crate) fn write(bench: &Bench, machine: &[String]) {
    let mut text = String::from("# Annals and other stores\n\n");
    for line in machine {
        writeln!(text, "- {line}").unwrap();
    }
    for (name, payloads) in [("260 bytes", &bench.small), ("2 KiB", &bench.large)] {
        let ratio = payloads.lz4_ratio();
        writeln!(text, "- payload {name}: lz4 makes 64 KiB of it {ratio:.1} times smaller")
            .unwrap();
    }
    let (rounds, logs) = (bench.args.rounds, bench.logs.is_some());
    writeln!(text, "- rounds: {rounds}, alternating; medians, with the least and the most")
        .unwrap();
    writeln!(text, "- real logs: {}\n", if logs { "yes" } else { "MISSING, skipped" }).unwrap();
    text.push_str(
        "Times are for an event, less is better. A ratio is the median of the ratios within one\n\
         round, to the bare file where there is one, else to SQLite.\n",
    );
    for (row, title) in ROWS {
        let cases = bench.measured.iter().filter(|measured| measured.row == row);
        let cases: Vec<&Measured> = cases.collect();
        if cases.is_empty() {
            continue;
        }
        writeln!(text, "\n## {row}: {title}\n").unwrap();
        text.push_str("| case | store | median | least to most | ratio |\n|---|---|---|---|---|\n");
        let mut aims = String::new();
        for measured in cases {
            table(&mut text, measured);
            for aim in aims::judge(measured) {
                writeln!(aims, "- {}: {aim}", measured.case).unwrap();
            }
        }
        if !aims.is_empty() {
            writeln!(text, "\nAims of Annals:\n\n{}", aims.trim_end()).unwrap();
        }
    }
    fs::write(bench.args.out.join("table.md"), text).unwrap();
    fs::write(bench.args.out.join("bars.svg"), plot::bars(&bench.measured, machine)).unwrap();
    fs::write(bench.args.out.join("picture.svg"), plot::picture(&bench.measured, machine)).unwrap();
    if bench.args.scale {
        fs::write(bench.args.out.join("scale.svg"), plot::scale(&bench.measured, machine)).unwrap();
    }
}

fn table(text: &mut String, measured: &Measured) {
    let reference = ["bare", "bare buffered", "sqlite FULL"];
    let reference = reference.iter().find_map(|label| aims::values(measured, label));
    for (label, values) in &measured.values {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ratio = reference.map_or(f64::NAN, |other| median(&aims::ratios(values, other)));
        let ratio = if ratio.is_nan() { String::new() } else { format!("{ratio:.2}") };
        writeln!(
            text,
            "| {} | {label} | {} {} | {} to {} | {ratio} |",
            measured.case,
            short(median(values)),
            measured.unit,
            short(least),
            short(most),
        )
        .unwrap();
    }
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
