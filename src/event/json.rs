//! JSON text as a payload: checked, and kept byte for byte.
//!
//! The grammar is RFC 8259, checked by `serde_json`. Additional rules ensure that any stored value
//! fits on one NDJSON line and can be loaded anywhere: nesting is bounded, `\u` escapes contain no
//! unpaired surrogates, and a line break between tokens becomes a space.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::event::limits::JSON_DEPTH_MAX;

/// What is wrong with a JSON text, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) reason: String,
}

/// Checks `text` and returns it in the form in which it is stored: surrounding white space is
/// removed, and each CR and LF between tokens becomes a space (inside strings there are none,
/// because JSON escapes them).
pub(crate) fn normalize(text: &str) -> Result<Cow<'_, str>, Fault> {
    let start = text.len() - text.trim_start_matches(is_space).len();
    let trimmed = text.trim_matches(is_space);
    if trimmed.is_empty() {
        return Err(Fault {
            offset: 0,
            reason: "it is empty, and JSON has at least one value,".to_owned(),
        });
    }
    if let Err(error) = serde_json::from_str::<&RawValue>(trimmed) {
        let Fault { offset, reason } = syntax_fault(trimmed, &error);
        return Err(Fault { offset: start + offset, reason });
    }
    if is_plain(trimmed) {
        return Ok(Cow::Borrowed(trimmed));
    }
    match scan(trimmed) {
        Err(Fault { offset, reason }) => Err(Fault { offset: start + offset, reason }),
        Ok(false) => Ok(Cow::Borrowed(trimmed)),
        Ok(true) => Ok(Cow::Owned(trimmed.replace(['\r', '\n'], " "))),
    }
}

/// Like [`normalize`], for metadata: the value must be an object.
pub(crate) fn normalize_object(text: &str) -> Result<Cow<'_, str>, Fault> {
    let value = normalize(text)?;
    if value.starts_with('{') {
        return Ok(value);
    }
    let offset = text.len() - text.trim_start_matches(is_space).len();
    Err(Fault { offset, reason: "it must be a JSON object".to_owned() })
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The fault that `serde_json` reports about a text.
pub(crate) fn syntax_fault(text: &str, error: &serde_json::Error) -> Fault {
    let offset = offset_of(text, error.line(), error.column());
    let rest = text.as_bytes().get(offset..).unwrap_or_default();
    for constant in ["NaN", "Infinity"] {
        if rest.starts_with(constant.as_bytes()) {
            return Fault { offset, reason: format!("{constant} is not JSON") };
        }
    }
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or_default().to_owned();
    // For a control character in a string the parser reports the byte before it.
    let is_before =
        reason.starts_with("control character") && rest.get(1).is_some_and(|&b| b < b' ');
    Fault { offset: offset + usize::from(is_before), reason }
}

/// The byte offset of a 1-based line and column of `serde_json`.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let line_start: usize =
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (line_start + column.saturating_sub(1)).min(text.len())
}

/// Whether the text has too few brackets to nest too deeply, no escapes and no line breaks, so that
/// its structure needs no further checks. This holds for almost every payload, and the compiler
/// turns this loop into vector instructions, whereas [`scan`] looks at one byte after another.
fn is_plain(text: &str) -> bool {
    let mut openings = 0_usize;
    for block in text.as_bytes().chunks(128) {
        let (mut open, mut is_special) = (0_u8, false);
        for &byte in block {
            open += u8::from(byte == b'{' || byte == b'[');
            is_special |= byte == b'\\' || byte < b' ';
        }
        openings += usize::from(open);
        if is_special || openings > JSON_DEPTH_MAX {
            return false;
        }
    }
    true
}

/// Checks the depth and the surrogates of a valid JSON text, and returns whether it contains line
/// breaks.
fn scan(text: &str) -> Result<bool, Fault> {
    let bytes = text.as_bytes();
    let (mut index, mut depth, mut has_line_break) = (0, 0_usize, false);
    while let Some(&byte) = bytes.get(index) {
        match byte {
            b'"' => {
                index = scan_string(bytes, index + 1)?;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    let reason = format!("it nests deeper than {JSON_DEPTH_MAX}");
                    return Err(Fault { offset: index, reason });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'\r' | b'\n' => has_line_break = true,
            _ => {}
        }
        index += 1;
    }
    Ok(has_line_break)
}

/// Scans a string from after its opening quote, and returns the index after its closing one.
fn scan_string(bytes: &[u8], mut index: usize) -> Result<usize, Fault> {
    loop {
        match bytes.get(index) {
            None => return Ok(index),
            Some(b'"') => return Ok(index + 1),
            Some(b'\\') => match escaped_unit(bytes, index) {
                None => index += 2,
                Some(0xD800..=0xDBFF) => match escaped_unit(bytes, index + 6) {
                    Some(0xDC00..=0xDFFF) => index += 12,
                    _ => return Err(lone_surrogate(index)),
                },
                Some(0xDC00..=0xDFFF) => return Err(lone_surrogate(index)),
                Some(_) => index += 6,
            },
            Some(_) => index += 1,
        }
    }
}

fn lone_surrogate(offset: usize) -> Fault {
    Fault { offset, reason: "a surrogate without its pair".to_owned() }
}

/// The UTF-16 unit of a `\uXXXX` escape at `index`, if there is one.
fn escaped_unit(bytes: &[u8], index: usize) -> Option<u16> {
    let digits = bytes.get(index..index + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
