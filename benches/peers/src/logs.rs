//! The real logs: NDJSON files, one event per line, packed with gzip.

use std::{collections::HashMap, fs::File, io::Read, path::PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{feed::Feed, feed::Owned};

/// Where they lie unless the variable says so, relative to this package.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

#[derive(Deserialize)]
struct Line<'a> {
    stream_id: String,
    event_type: String,
    #[serde(borrow)]
    data: &'a RawValue,
    timestamp: String,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// Reads every log of the directory; none when it is missing.
pub(crate) fn load() -> Option<Feed> {
    let directory = std::env::var_os("ANNALS_DATA").map_or_else(|| DIRECTORY.into(), PathBuf::from);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .ok()?
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".ndjson.gz"))
        .collect();
    paths.sort();
    let mut events = Vec::new();
    let mut versions = HashMap::new();
    for path in paths {
        let mut text = String::new();
        GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        events.extend(text.lines().map(|line| event(line, &mut versions)));
    }
    if events.is_empty() { None } else { Some(Feed::logged(events)) }
}

fn event(line: &str, versions: &mut HashMap<String, u64>) -> Owned {
    let line: Line<'_> = serde_json::from_str(line).unwrap();
    let time: annals::Timestamp = line.timestamp.parse().unwrap();
    let version = versions.entry(line.stream_id.clone()).or_default();
    *version += 1;
    Owned {
        stream: line.stream_id,
        version: *version,
        kind: line.event_type,
        data: line.data.get().to_owned(),
        metadata: line.metadata.map_or("{}", RawValue::get).to_owned(),
        time: time.micros(),
    }
}
