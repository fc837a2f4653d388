//! Text from a store, made safe for a terminal: no character of it can move the cursor, hide
//! anything or change the order of what is shown.

use std::{
    borrow::Cow,
    io::{self, BufWriter, IsTerminal, Stdout, Write},
};

const BUFFER_BYTES: usize = 64 << 10;

/// `text` with every unsafe character escaped as in Rust, also line ends: the result is one line.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Lines of JSON with every unsafe character escaped as in JSON, so that their meaning stays the
/// same: such characters are valid only inside of strings. Tabs between tokens are harmless.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let must_go = |c: char| is_unsafe(c) && c != '\n' && c != '\t';
    if !text.contains(must_go) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match must_go(c) {
            true => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    safe.push_str(&format!("\\u{unit:04x}"));
                }
            }
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Controls, and characters that are invisible or change the direction of others.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Standard output. If it is a terminal, lines are escaped as JSON on their way.
#[derive(Debug)]
pub(super) struct Sink {
    stdout: BufWriter<Stdout>,
    is_terminal: bool,
    /// The line that has not ended yet.
    line: Vec<u8>,
}

impl Sink {
    pub(super) fn new() -> Sink {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, stdout);
        Sink { stdout, is_terminal, line: Vec::new() }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    fn write_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.stdout.write_all(json(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.stdout.write(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.write_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_line()?;
        self.stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_steers_the_terminal() {
        assert_eq!(printable("plain \u{e9}"), "plain \u{e9}");
        assert_eq!(printable("\u{1b}[31mred\u{7}\n"), "\\u{1b}[31mred\\u{7}\\u{a}");
        assert_eq!(printable("a\u{202e}b\u{9b}c\u{200b}"), "a\\u{202e}b\\u{9b}c\\u{200b}");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let raw = "{\"a\":\t\"\u{7f}\u{9b}2J\u{202e}\u{e0041}\u{e9}\"}\n";
        let safe = json(raw);
        assert_eq!(safe, "{\"a\":\t\"\\u007f\\u009b2J\\u202e\\udb40\\udc41\u{e9}\"}\n");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert!(value(raw).is_some() && value(&safe) == value(raw));
    }
}
