//! What Annals aims at, and whether a run has met it.

use crate::bench::{Measured, median};

/// A limit of a case of a row; a case is named by how it begins.
struct Aim {
    row: char,
    case: &'static str,
    limit: Limit,
}

enum Limit {
    /// At most so much.
    Most(f64),
    /// At most so many times what the bare file takes.
    Bare(f64),
    /// At most so many times what that store takes.
    Times(f64, &'static str),
    /// Less than any other store.
    Best,
}

const AIMS: [Aim; 25] = [
    Aim { row: 'A', case: "", limit: Limit::Bare(0.8) },
    Aim { row: 'A', case: "", limit: Limit::Times(1.0, "fjall") },
    Aim { row: 'B', case: "", limit: Limit::Bare(0.15) },
    Aim { row: 'B', case: "", limit: Limit::Best },
    Aim { row: 'C', case: "", limit: Limit::Bare(1.3) },
    Aim { row: 'C', case: "", limit: Limit::Best },
    Aim { row: 'D', case: "200000 events", limit: Limit::Most(2.0) },
    Aim { row: 'D', case: "2000000 events", limit: Limit::Most(5.0) },
    Aim { row: 'D', case: "", limit: Limit::Best },
    Aim { row: 'E', case: "one stream", limit: Limit::Most(1.8) },
    Aim { row: 'E', case: "20 000", limit: Limit::Most(3.0) },
    Aim { row: 'E', case: "real", limit: Limit::Most(2.5) },
    Aim { row: 'F', case: "", limit: Limit::Most(0.125) },
    Aim { row: 'F', case: "", limit: Limit::Times(1.0, "redb") },
    Aim { row: 'G', case: "real logs", limit: Limit::Most(0.5) },
    Aim { row: 'G', case: "20 000", limit: Limit::Most(0.5) },
    Aim { row: 'G', case: "100000", limit: Limit::Most(1.0) },
    Aim { row: 'G', case: "", limit: Limit::Best },
    Aim { row: 'H', case: "closed", limit: Limit::Most(0.5) },
    Aim { row: 'H', case: "killed", limit: Limit::Most(2.0) },
    Aim { row: 'I', case: "real logs", limit: Limit::Most(180.0) },
    Aim { row: 'I', case: "real logs", limit: Limit::Times(0.6, "sqlite FULL") },
    Aim { row: 'J', case: "", limit: Limit::Most(250.0) },
    Aim { row: 'K', case: "append p99.9", limit: Limit::Most(5.0) },
    Aim { row: 'K', case: "read p99.9", limit: Limit::Most(5.0) },
];

const COLD_MICROS: f64 = 20.0;

/// Tells each aim of the case and whether Annals has met it; empty for a case without any.
pub(crate) fn judge(measured: &Measured) -> Vec<String> {
    let label = if measured.row == 'D' { "annals buffered" } else { "annals" };
    let Some(own) = values(measured, label) else { return Vec::new() };
    if measured.case.starts_with("scale") {
        return Vec::new();
    }
    if measured.case.contains("cold") {
        return vec![stated(format!("at most {COLD_MICROS}"), median(own) <= COLD_MICROS)];
    }
    let aims = AIMS.iter();
    let aims = aims.filter(|aim| aim.row == measured.row && measured.case.starts_with(aim.case));
    aims.filter_map(|aim| verdict(measured, own, &aim.limit)).collect()
}

fn verdict(measured: &Measured, own: &[f64], limit: &Limit) -> Option<String> {
    match limit {
        Limit::Most(most) => Some(stated(format!("at most {most}"), median(own) <= *most)),
        Limit::Bare(times) => {
            let bare = values(measured, "bare")?;
            let ratio = median(&ratios(own, bare));
            Some(stated(format!("at most {times} x bare: {ratio:.2}"), ratio <= *times))
        }
        Limit::Times(times, other) => {
            let ratio = median(&ratios(own, values(measured, other)?));
            Some(stated(format!("at most {times} x {other}: {ratio:.2}"), ratio <= *times))
        }
        Limit::Best => {
            let others = measured.values.iter();
            // `annals-dcb` is Annals as well.
            let others =
                others.filter(|(name, _)| !name.starts_with("annals") && !name.starts_with("bare"));
            let worst = others.map(|(_, other)| median(&ratios(own, other)));
            let worst = worst.fold(0.0, f64::max);
            Some(stated(format!("the fastest: {worst:.2} x the best other"), worst < 1.0))
        }
    }
}

fn stated(aim: String, is_met: bool) -> String {
    format!("{} {aim}", if is_met { "met:" } else { "MISSED:" })
}

pub(crate) fn values<'a>(measured: &'a Measured, label: &str) -> Option<&'a [f64]> {
    let (_, values) = measured.values.iter().find(|(name, _)| name == label)?;
    Some(values)
}

/// Round by round, because absolute times vary from minute to minute.
pub(crate) fn ratios(own: &[f64], other: &[f64]) -> Vec<f64> {
    own.iter().zip(other).map(|(own, other)| own / other).collect()
}
