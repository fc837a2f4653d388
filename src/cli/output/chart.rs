//! Counts with a bar for each, which fit the width of a terminal.

use std::collections::BTreeMap;

use console::{measure_text_width, truncate_str};

use super::safe::printable;

/// The longest bar.
const BAR_MAX: usize = 30;
/// The widest column of names, unless a terminal decides.
const NAME_MAX: usize = 32;
/// The width of the column of counts, unless a terminal is narrow.
const COUNT_WIDTH: usize = 9;
/// A terminal below this width is narrow.
const NARROW: usize = 60;
/// The spaces in front of and between the columns.
const GAPS: usize = 6;

/// A line for each name. On a terminal, names that are too long for it are cut; elsewhere they are
/// kept whole.
pub(super) fn lines(counts: &BTreeMap<String, u64>, width: Option<usize>) -> Vec<String> {
    let most = counts.values().max().copied().unwrap_or(0).max(1);
    let names: Vec<_> = counts.keys().map(|name| printable(name)).collect();
    let widest = names.iter().map(|name| measure_text_width(name)).max().unwrap_or(0);
    let is_narrow = width.is_some_and(|width| width < NARROW);
    let count_width = if is_narrow { most.to_string().len() } else { COUNT_WIDTH };
    let (name_width, bar_max) = match width {
        None => (widest.min(NAME_MAX), BAR_MAX),
        Some(width) => {
            let room = width.saturating_sub(count_width + GAPS);
            let name_width = widest.min(room - BAR_MAX.min(room / 2));
            (name_width, BAR_MAX.min(room - name_width))
        }
    };
    let line = |name: &str, count: u64| {
        let name = match width {
            None => name.into(),
            Some(_) if name_width == 0 => "".into(),
            Some(_) => truncate_str(name, name_width, "~"),
        };
        let pad = " ".repeat(name_width.saturating_sub(measure_text_width(&name)));
        let bar = (u128::from(count) * bar_max as u128).div_ceil(most.into());
        let bar = "#".repeat(usize::try_from(bar).unwrap_or(0));
        format!("  {name}{pad}  {count:>count_width$}  {bar}")
    };
    names.iter().zip(counts.values()).map(|(name, count)| line(name, *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> BTreeMap<String, u64> {
        let name = |text: &str, count| (text.to_owned(), count);
        [
            name("Opened", 1_234_567),
            name(&"L".repeat(255), 1),
            name(&"\u{6f22}\u{5b57}".repeat(40), 600_000),
            name("\u{1b}[31m\n\u{9b}2J", 7),
        ]
        .into()
    }

    #[test]
    fn every_line_fits_every_width() {
        for width in [0, 1, 20, 21, 40, 59, 60, 80, 200] {
            for line in lines(&counts(), Some(width)) {
                let least = "1234567".len() + GAPS;
                assert!(measure_text_width(&line) <= width.max(least), "{width}: {line}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn columns_are_aligned_whatever_the_script() {
        let shown = lines(&counts(), Some(80));
        let start = |line: &String| line.find('#').map(|at| measure_text_width(&line[..at]));
        let first = shown.first().and_then(start);
        assert!(first.is_some() && shown.iter().all(|line| start(line) == first), "{shown:#?}");
    }

    #[test]
    fn names_stay_whole_where_there_is_no_terminal() {
        assert!(lines(&counts(), None).iter().any(|line| line.contains(&"L".repeat(255))));
    }
}
