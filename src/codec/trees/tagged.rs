//! A run of positions in the tree `tags`: the places of the events with one tag.
//!
//! ```text
//! key    = tag, 0x00, first position u64 big-endian
//! raw    = count of streams, streams [stream], for each position: place
//! stream = name bytes, version of its first event in the run
//! place  = position - the one before, index of its stream, version - the one before of the stream
//! ```
//! All numbers are varints; where there is nothing before, the difference is 0. A run is stored as
//! `codec::stored` says, with the count of positions in the header. It holds what one drain
//! collected for a tag, cut at [`RUN_POSITIONS`] and [`RUN_BYTES`].
//!
//! Streams and versions lead to the runs of the trees, where reading a single event costs much less
//! than in a block of the journal.

use std::{ops::Range, str, sync::Arc};

use foldhash::HashMap;

use crate::codec::{
    Reason,
    checksum::Checksum,
    key,
    stored::{self, Body, Extent, Kind},
    varint::{self, Reader},
};

/// The maximum number of positions in a run.
pub(crate) const RUN_POSITIONS: usize = 2_000;

/// A run is closed once its raw bytes exceed this size, so that its value is never split: a place
/// and its stream take at most 300 more.
const RUN_BYTES: usize = 24 << 10;

/// An event with the tag: its position, its stream and its version in the stream.
pub(crate) type Place<'e> = (u64, &'e str, u64);

/// Encodes the first of some places, which must be ascending, with their key: as many as fit in one
/// run. Also returns how many that is.
pub(crate) fn encode(
    tag: &str,
    places: &[Place<'_>],
    checksum: &Checksum,
) -> Option<(usize, Vec<u8>, Vec<u8>)> {
    let &(first_position, ..) = places.first()?;
    let (mut streams, mut rows) = (Vec::new(), Vec::new());
    // The index of each stream, and the version of its previous event.
    let mut known: HashMap<&str, (u64, u64)> = HashMap::default();
    let (mut last_position, mut taken) = (first_position, 0);
    for &(position, stream, version) in places.iter().take(RUN_POSITIONS) {
        if streams.len() + rows.len() > RUN_BYTES {
            break;
        }
        let index = known.len() as u64;
        let (index, before) = known.entry(stream).or_insert_with(|| {
            varint::put_bytes(&mut streams, stream.as_bytes());
            varint::put(&mut streams, version);
            (index, version)
        });
        varint::put(&mut rows, position.saturating_sub(last_position));
        varint::put(&mut rows, *index);
        varint::put(&mut rows, version.saturating_sub(*before));
        (*before, last_position, taken) = (version, position, taken + 1);
    }
    let mut raw = Vec::with_capacity(streams.len() + rows.len() + 3);
    varint::put(&mut raw, known.len() as u64);
    raw.extend_from_slice(&streams);
    raw.extend_from_slice(&rows);
    let extent = Extent { first_position, last_position, count: u32::try_from(taken).ok()? };
    let key = key::run(tag, first_position);
    let encoded = stored::encode((Kind::Tagged, &key), extent, &raw, None, checksum)?;
    encoded.split_body.is_empty().then_some((taken, key, encoded.value))
}

/// A decoded run.
#[derive(Debug)]
pub(crate) struct Tagged {
    raw: Vec<u8>,
    streams: Vec<Stream>,
    /// For each event, its position, the index of its stream, and its version.
    rows: Vec<(u64, usize, u64)>,
}

#[derive(Debug)]
struct Stream {
    name: Range<usize>,
    /// The version of its event that was read last.
    version: u64,
    /// The name, once it has been requested.
    shared: Option<Arc<str>>,
}

impl Tagged {
    /// Decodes the value stored under a key.
    pub(crate) fn decode(key: &[u8], value: &[u8], checksum: &Checksum) -> Result<Tagged, Reason> {
        let (header, body) = stored::open((Kind::Tagged, key), value, checksum)?;
        let Body::Whole(body) = body else { return Err("it is split into parts".to_owned()) };
        if key::parse_run(key).is_none_or(|(_, first)| first != header.first_position) {
            return Err("its positions do not match its key".to_owned());
        }
        let mut raw = vec![0; header.raw_len()];
        header.decompress(body, &mut raw, None)?;
        let decoded = Tagged::parse(raw, header.first_position, header.count as usize);
        let whole = decoded.filter(|run| run.positions().last() == Some(header.last_position));
        whole.ok_or_else(|| "it is malformed".to_owned())
    }

    fn parse(raw: Vec<u8>, first_position: u64, count: usize) -> Option<Tagged> {
        let mut reader = Reader::new(&raw, 0);
        let streams = reader.small()? as usize;
        // A stream takes at least two bytes and a place three, so a wrong count does not allocate
        // much.
        let mut found = Vec::with_capacity(streams.min(reader.left() / 2));
        for _ in 0..streams {
            let name = reader.bytes()?;
            str::from_utf8(name).ok()?;
            let name = reader.at() - name.len()..reader.at();
            let version = reader.number().filter(|&version| version > 0)?;
            found.push(Stream { name, version, shared: None });
        }
        let mut rows = Vec::with_capacity(count.min(reader.left() / 3));
        let mut position = first_position;
        for number in 0..count {
            let more = reader.number().filter(|&more| (more > 0) == (number > 0))?;
            position = position.checked_add(more)?;
            let index = reader.small()? as usize;
            let stream = found.get_mut(index)?;
            stream.version = stream.version.checked_add(reader.number()?)?;
            rows.push((position, index, stream.version));
        }
        reader.finish().ok()?;
        Some(Tagged { raw, streams: found, rows })
    }

    /// The positions, in ascending order.
    pub(crate) fn positions(&self) -> impl ExactSizeIterator<Item = u64> + DoubleEndedIterator {
        self.rows.iter().map(|(position, ..)| *position)
    }

    /// Each event.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Place<'_>> {
        self.rows.iter().filter_map(|&(position, index, version)| {
            let name = self.raw.get(self.streams.get(index)?.name.clone())?;
            Some((position, str::from_utf8(name).ok()?, version))
        })
    }

    /// The stream and version of the event with this index in the run.
    pub(crate) fn place(&mut self, index: usize) -> Option<(Arc<str>, u64)> {
        let &(_, stream, version) = self.rows.get(index)?;
        let Stream { name, shared, .. } = self.streams.get_mut(stream)?;
        if let Some(name) = shared {
            return Some((Arc::clone(name), version));
        }
        let name = str::from_utf8(self.raw.get(name.clone())?).ok()?;
        Some((Arc::clone(shared.insert(Arc::from(name))), version))
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at what should not be")]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn checksum() -> Checksum {
        Checksum::of_store(Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff))
    }

    /// Encodes all places, and returns what the runs decode to and how many runs there are.
    fn round_trip(places: &[Place<'_>]) -> (Vec<(u64, String, u64)>, usize) {
        let (mut rest, mut found, mut runs) = (places, Vec::new(), 0);
        while !rest.is_empty() {
            let (taken, key, value) = encode("t", rest, &checksum()).expect("it fits");
            let mut run = Tagged::decode(&key, &value, &checksum()).expect("it is intact");
            assert!(run.positions().eq(rest.iter().take(taken).map(|(position, ..)| *position)));
            let shared: Vec<_> = (0..taken).filter_map(|index| run.place(index)).collect();
            let names = run.iter().map(|(_, stream, version)| (Arc::from(stream), version));
            assert!(names.eq(shared), "both ways to ask give the same");
            found.extend(run.iter().map(|(at, stream, version)| (at, stream.to_owned(), version)));
            rest = rest.get(taken..).expect("no more than there are");
            runs += 1;
        }
        (found, runs)
    }

    #[test]
    fn a_run_is_these_bytes() {
        let places = [(7, "s", 3), (9, "other", 1), (300, "s", 5)];
        let (taken, key, value) = encode("tag", &places, &checksum()).expect("it fits");
        let hex = |bytes: &[u8]| bytes.iter().map(|one| format!("{one:02x}")).collect::<String>();
        assert_eq!((taken, hex(&key)), (3, "746167000000000000000007".to_owned()));
        let (sum, rest) = value.split_first_chunk::<4>().expect("it has a checksum");
        assert_eq!(u32::from_le_bytes(*sum), checksum().of_entry(&key, rest));
        assert_eq!(
            hex(rest),
            "0707fb25010300001602017303056f74686572010000000201\
             00fb23010002"
        );
    }

    #[test]
    fn places_come_back_in_runs_that_are_never_split() {
        let one: Vec<Place<'_>> = (1..=5_000).map(|at| (at * 3, "s", at)).collect();
        let many: Vec<(u64, String)> =
            (1..=5_000).map(|at| (at << 40, format!("{at:0>250}"))).collect();
        let many: Vec<Place<'_>> =
            many.iter().map(|(at, stream)| (*at, stream.as_str(), *at)).collect();
        for (places, due) in [(one, 3), (many, 55)] {
            let (found, runs) = round_trip(&places);
            let found = found.iter().map(|(at, stream, version)| (*at, stream.as_str(), *version));
            assert!(found.eq(places), "what was put in comes out");
            assert_eq!(runs, due);
        }
    }

    #[test]
    fn bytes_that_mean_nothing_are_refused() {
        let places = [(7, "s", 3), (9, "other", 1), (300, "s", 5)];
        let (_, key, value) = encode("tag", &places, &checksum()).expect("it fits");
        let refused = |key: &[u8], value: &[u8]| Tagged::decode(key, value, &checksum()).is_err();
        assert!(refused(&key::run("tag", 8), &value), "the key of another run");
        for index in 0..value.len() {
            let mut other = value.clone();
            other.get_mut(index).into_iter().for_each(|byte| *byte ^= 1);
            assert!(refused(&key, &other), "byte {index}");
            assert!(refused(&key, value.get(..index).unwrap_or_default()), "cut at {index}");
        }
        // Streams: s from version 1 on. Then a place that goes on, repeats, leads nowhere, or ends.
        let parse = |rows: &[u8], count| Tagged::parse([&[1, 1, b's', 1], rows].concat(), 7, count);
        assert!(parse(&[0, 0, 0, 2, 0, 1], 2).is_some());
        for (rows, count) in [
            (&[0, 0, 0, 0, 0, 1][..], 2), // the same position again
            (&[1, 0, 0], 1),              // the first is not where the run starts
            (&[0, 1, 0], 1),              // no such stream
            (&[0, 0], 1),                 // cut
            (&[0, 0, 0, 1], 1),           // more than it says
            (&[0, 0, 0], 2),              // less than it says
            (&[0, 0, 253, 255, 255, 255, 255, 255, 255, 255, 255], 1), // a version past every one
        ] {
            assert!(parse(rows, count).is_none(), "{rows:?}");
        }
        let from_zero = Tagged::parse(vec![1, 1, b's', 0, 0, 0, 0], 7, 1);
        assert!(from_zero.is_none(), "versions start at 1");
    }
}
