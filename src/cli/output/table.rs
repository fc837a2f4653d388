//! Events as a table that fits the width of the terminal.
//!
//! Rows are collected, and the widest of them determine the widths of the columns. Times are
//! shortened to what differs, and to seconds where names would have to be cut. A narrow terminal
//! gets fewer columns.

use std::collections::HashSet;

use annals::RecordedEvent;
use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::printable;

/// The number of rows that are laid out together.
const ROWS: usize = 200;
/// From this width on there is room for whole titles.
const WIDE: usize = 100;
/// Below this width there is no room for times.
const NARROW: usize = 60;
/// Below this width there is room only for positions, streams and types.
const TINY: usize = 32;
const GAP: &str = "  ";
const TITLES: [&str; COLUMNS] = ["POSITION", "STREAM", "VERSION", "TYPE", "TIME"];
const SHORT_TITLES: [&str; COLUMNS] = ["POS", "STREAM", "VER", "TYPE", "TIME"];
const COLUMNS: usize = 5;
const STREAM: usize = 1;
const VERSION: usize = 2;
const TYPE: usize = 3;
const TIME: usize = 4;
/// The least widths of names.
const STREAM_MIN: usize = 3;
const TYPE_MIN: usize = 3;

/// A row before it is laid out.
#[derive(Debug)]
struct Row {
    cells: [String; COLUMNS],
    data: String,
}

/// Rows that have not been printed yet.
#[derive(Debug)]
pub(super) struct Table {
    width: usize,
    rows: Vec<Row>,
    has_header: bool,
}

impl Table {
    pub(super) fn new(width: usize) -> Table {
        Table { width, rows: Vec::new(), has_header: false }
    }

    /// Adds an event, and returns whether there are enough rows to print.
    pub(super) fn add(&mut self, event: &RecordedEvent) -> bool {
        let data = match event.is_binary() {
            true => format!("({} bytes)", event.data().len()),
            // No more than a line can show.
            false => {
                let start = event.data().get(..4 * self.width).unwrap_or(event.data());
                String::from_utf8_lossy(start).into_owned()
            }
        };
        let cells = [
            event.position().to_string(),
            printable(event.stream_id()).into_owned(),
            event.version().to_string(),
            printable(event.event_type()).into_owned(),
            event.timestamp().to_string(),
        ];
        self.rows.push(Row { cells, data: printable(&data).into_owned() });
        self.rows.len() >= ROWS
    }

    /// The lines of the rows that were added.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        let mut rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Vec::new();
        }
        shorten_times(&mut rows);
        let titles = if self.width < WIDE { SHORT_TITLES } else { TITLES };
        let mut widths = widths(&rows, &titles, self.width);
        if cuts_names(&rows, &widths) && cut_fractions(&mut rows) {
            widths = self::widths(&rows, &titles, self.width);
        }
        let mut lines = Vec::new();
        if !std::mem::replace(&mut self.has_header, true) {
            lines.push(line(&titles.map(str::to_owned), "DATA", &widths, self.width));
        }
        lines.extend(rows.iter().map(|row| line(&row.cells, &row.data, &widths, self.width)));
        lines
    }
}

/// Removes what all times have in common: the day and the offset.
fn shorten_times(rows: &mut [Row]) {
    let Some(first) = rows.first().map(|row| row.cells[TIME].clone()) else { return };
    let day = first.get(..11).unwrap_or_default();
    let has_one_day = rows.len() > 1 && rows.iter().all(|row| row.cells[TIME].starts_with(day));
    let after_seconds = first.get(19..).unwrap_or_default();
    let zone = after_seconds.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let has_one_zone = rows.iter().all(|row| row.cells[TIME].ends_with(zone));
    for row in rows {
        let text = &row.cells[TIME];
        let text = if has_one_zone { text.trim_end_matches(zone) } else { text };
        let text = if has_one_day { text.trim_start_matches(day) } else { text };
        row.cells[TIME] = text.replace('T', " ");
    }
}

/// Whether a stream or a type does not fit.
fn cuts_names(rows: &[Row], widths: &[usize; COLUMNS]) -> bool {
    let is_cut = |row: &Row, at: usize| {
        let cell = row.cells.get(at).map_or(0, |cell| measure_text_width(cell));
        widths.get(at).is_some_and(|width| cell > *width)
    };
    rows.iter().any(|row| is_cut(row, STREAM) || is_cut(row, TYPE))
}

/// Removes the fractions of seconds, provided that times that differ still do. Returns whether it
/// did.
fn cut_fractions(rows: &mut [Row]) -> bool {
    let whole = |row: &Row| {
        let (start, rest) = row.cells[TIME].split_once('.')?;
        let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        Some(format!("{start}{zone}"))
    };
    let cut: Vec<String> =
        rows.iter().map(|row| whole(row).unwrap_or_else(|| row.cells[TIME].clone())).collect();
    let before: HashSet<&String> = rows.iter().map(|row| &row.cells[TIME]).collect();
    if cut.iter().collect::<HashSet<_>>().len() < before.len() {
        return false;
    }
    for (row, cut) in rows.iter_mut().zip(cut) {
        row.cells[TIME] = cut;
    }
    true
}

/// The widths of the columns: what the widest cell needs, or less if that is too much. A column of
/// width 0 is left out.
fn widths(rows: &[Row], titles: &[&str; COLUMNS], width: usize) -> [usize; COLUMNS] {
    let mut widths = titles.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = measure_text_width(cell).max(*width);
        }
    }
    if width < NARROW {
        widths[TIME] = 0;
    }
    if width < TINY {
        widths[VERSION] = 0;
    }
    // The data gets a quarter of the line; names share what is left, and the longer gives way.
    let data = if width < TINY { 0 } else { width / 4 };
    let [position, stream, version, event_type, time] = widths;
    let shown = widths.iter().filter(|width| **width > 0).count();
    let taken = position + version + time + shown * GAP.len() + data;
    let room = width.saturating_sub(taken).max(STREAM_MIN + TYPE_MIN);
    widths[STREAM] = stream.min((room / 2).max(room.saturating_sub(event_type)));
    widths[TYPE] = event_type.min(room.saturating_sub(widths[STREAM]));
    widths
}

fn line(cells: &[String; COLUMNS], data: &str, widths: &[usize; COLUMNS], width: usize) -> String {
    let mut line = String::new();
    for ((column, cell), cell_width) in cells.iter().enumerate().zip(widths) {
        if *cell_width == 0 {
            continue;
        }
        let alignment = match column {
            0 | VERSION => Alignment::Right,
            _ => Alignment::Left,
        };
        let cell = truncate_str(cell, *cell_width, "~");
        line.push_str(&pad_str(&cell, *cell_width, alignment, None));
        line.push_str(GAP);
    }
    let left = width.saturating_sub(measure_text_width(&line));
    line.push_str(&truncate_str(data, left, "..."));
    truncate_str(line.trim_end(), width, "").into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test stops at what should not be"
    )]

    use annals::{EventStore, ExpectedVersion, NewEvent, Timestamp};

    use super::*;

    const NAMES: (&str, &str) = ("customer-4711-of-a-long-name", "ItemWasAddedToTheOrder");

    fn lines(width: usize, times: &[i64]) -> Vec<String> {
        lines_of(NAMES, width, times)
    }

    fn lines_of((stream, event_type): (&str, &str), width: usize, times: &[i64]) -> Vec<String> {
        let store = EventStore::in_memory().expect("a store");
        for micros in times {
            let event = NewEvent::json(event_type, &"x".repeat(500));
            let event = event.expect("JSON").timestamp(Timestamp::utc(*micros).expect("a time"));
            store.append(stream, ExpectedVersion::Any, [event]).expect("an append");
        }
        let mut table = Table::new(width);
        for event in store.read_all() {
            assert!(!table.add(&event.expect("an event")));
        }
        table.take_lines()
    }

    #[test]
    fn every_line_fits_every_width() {
        for width in [1, 20, 40, 60, 80, 81, 100, 120, 200] {
            for line in lines(width, &[0, 86_400_000_000, 1]) {
                assert!(measure_text_width(&line) <= width, "{width}: {line}");
            }
        }
        let shown = lines(80, &[0, 1_000_000]);
        assert!(shown.iter().all(|line| measure_text_width(line) >= 75 || line.contains("DATA")));
        assert!(shown[1].ends_with("xxx..."), "{shown:?}");
    }

    #[test]
    fn odd_names_fit_every_width_and_steer_nothing() {
        let (long, wide) = ("a".repeat(255), "\u{6f22}\u{5b57}".repeat(40));
        let odd = "\u{1b}[31m\u{9b}2J\n\r\u{202e}";
        for names in [(&*long, &*wide), (&wide, &long), (odd, "T"), ("s", odd)] {
            for width in [0, 1, 20, 31, 32, 40, 59, 60, 80, 200] {
                for line in lines_of(names, width, &[0, 1]) {
                    assert!(measure_text_width(&line) <= width, "{width}: {line}");
                    assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'));
                }
            }
        }
    }

    #[test]
    fn names_share_the_room_and_narrow_terminals_get_fewer_columns() {
        let (long, short) = ("a".repeat(255), "b".repeat(20));
        let count = |line: &str, c: char| line.chars().filter(|found| *found == c).count();
        let shown = lines_of((&long, &long.replace('a', "b")), 200, &[0, 1]);
        assert!(count(&shown[1], 'a').abs_diff(count(&shown[1], 'b')) <= 1, "{shown:?}");
        let shown = lines_of((&long, &short), 200, &[0, 1]);
        assert_eq!(count(&shown[1], 'b'), 20, "{shown:?}");
        let titles = |width| -> Vec<String> {
            let shown = lines(width, &[0]);
            shown[0].split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(titles(20), ["POS", "STRE~", "TYPE"]);
        assert_eq!(titles(40), ["POS", "STREAM", "VER", "TYPE", "DATA"]);
        assert_eq!(titles(80), ["POS", "STREAM", "VER", "TYPE", "TIME", "DATA"]);
    }

    #[test]
    fn times_are_cut_to_what_differs() {
        let shown = lines(200, &[0, 1_000_000]);
        assert!(shown[1].contains("  00:00:00  \"xxx"), "{shown:?}");
        let shown = lines(200, &[0, 86_400_000_001]);
        assert!(shown[1].contains("  1970-01-01 00:00:00         \"x"), "{shown:?}");
        assert!(shown[2].contains("  1970-01-02 00:00:00.000001  \"x"), "{shown:?}");
    }

    #[test]
    fn fractions_of_seconds_give_way_to_names() {
        let shown = lines_of(("order-1031", "OrderDelivered"), 80, &[1, 90_000_000_000]);
        let due = "  order-1031    1  OrderDelivered  1970-01-01 00:00:00  ";
        assert!(shown[1].contains(due), "{shown:?}");
        // Only where names need the room, and where no two times differ by their fractions alone.
        let shown = lines_of(("order-1031", "OrderDelivered"), 80, &[1, 90_000_000_000, 2]);
        assert!(shown[1].contains("  1970-01-01 00:00:00.000001  "), "{shown:?}");
        let shown = lines_of(("order-1031", "OrderDelivered"), 120, &[1, 90_000_000_000]);
        assert!(shown[1].contains("  1970-01-01 00:00:00.000001  "), "{shown:?}");
    }

    #[test]
    fn the_header_comes_once() {
        let store = EventStore::in_memory().expect("a store");
        let event = NewEvent::json("T", &1).expect("JSON");
        store.append("s", ExpectedVersion::Any, vec![event; 450]).expect("an append");
        let mut table = Table::new(120);
        let mut shown = Vec::new();
        for event in store.read_all() {
            if table.add(&event.expect("an event")) {
                shown.append(&mut table.take_lines());
            }
        }
        shown.append(&mut table.take_lines());
        assert_eq!(shown.len(), 451);
        assert_eq!(shown.iter().filter(|line| line.contains("POSITION")).count(), 1);
        assert!(table.take_lines().is_empty());
    }
}
