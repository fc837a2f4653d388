//! A whole event for reading: a line for each field, with the JSON indented.

use annals::RecordedEvent;

use super::printable;

const INDENT: &str = "  ";

/// The lines of an event.
pub(super) fn lines(event: &RecordedEvent) -> Vec<String> {
    let mut lines = vec![
        format!("position  {}", event.position()),
        format!("stream    {}, version {}", printable(event.stream_id()), event.version()),
        format!("type      {}", printable(event.event_type())),
        format!("time      {}", event.timestamp()),
    ];
    if let Some(id) = event.id() {
        lines.push(format!("id        {id}"));
    }
    for (index, tag) in event.tags().enumerate() {
        let title = if index == 0 { "tags      " } else { "          " };
        lines.push(format!("{title}{}", printable(tag)));
    }
    if let Some(metadata) = event.metadata() {
        push_json(&mut lines, "metadata  ", metadata);
    }
    match event.is_binary() {
        true => lines.push(format!("data      ({} bytes)", event.data().len())),
        false => push_json(&mut lines, "data      ", &String::from_utf8_lossy(event.data())),
    }
    lines.push(String::new());
    lines
}

fn push_json(lines: &mut Vec<String>, title: &str, json: &str) {
    let unfolded = unfold(json);
    for (index, line) in unfolded.lines().enumerate() {
        let start = if index == 0 { title } else { "          " };
        lines.push(format!("{start}{}", printable(line)));
    }
}

/// Valid JSON with a line for each member and element. Its tokens stay the same, byte for byte.
fn unfold(json: &str) -> String {
    let (mut out, mut depth, mut is_in_string, mut is_escaped) = (String::new(), 0, false, false);
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&INDENT.repeat(depth));
    };
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if is_in_string {
            out.push(c);
            is_in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(closing) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(closing);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                is_in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stay_as_they_are() {
        let json = r#"{"a" : [1.00, {}, [ ],"x, \"y\" {\\"],"b":{"c":null}}"#;
        let due = "{\n  \"a\": [\n    1.00,\n    {},\n    [],\n    \"x, \\\"y\\\" {\\\\\"\n  ],\n  \
                   \"b\": {\n    \"c\": null\n  }\n}";
        assert_eq!(unfold(json), due);
        assert_eq!(unfold("7"), "7");
    }
}
