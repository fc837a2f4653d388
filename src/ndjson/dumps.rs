//! Strings as Python's `json.dumps` writes them.

use std::io::{self, Write};

/// Writes `text` as a JSON string: ASCII from space to `~` as it is, the rest escaped.
pub(super) fn write_string(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    if text.bytes().all(is_plain) {
        out.write_all(text.as_bytes())?;
    } else {
        text.chars().try_for_each(|c| write_char(out, c))?;
    }
    out.write_all(b"\"")
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn write_char(out: &mut impl Write, c: char) -> io::Result<()> {
    match c {
        '"' => out.write_all(b"\\\""),
        '\\' => out.write_all(b"\\\\"),
        '\n' => out.write_all(b"\\n"),
        '\r' => out.write_all(b"\\r"),
        '\t' => out.write_all(b"\\t"),
        '\u{8}' => out.write_all(b"\\b"),
        '\u{c}' => out.write_all(b"\\f"),
        ' '..='~' => write!(out, "{c}"),
        _ => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}")),
    }
}
