//! Events as bytes, and the keys of the index by stream, for stores of keys and values.
//!
//! An event: version and time (u64, i64), the lengths of stream, type and data (u8, u8, u32), and
//! then stream, type, data, metadata; integers are little-endian. A key of the index: the stream,
//! 0x00, the version as u64 big-endian, so that the versions of a stream are in order.

use crate::store::Event;

const HEAD_BYTES: usize = 22;

pub(super) fn encode(event: &Event<'_>, bytes: &mut Vec<u8>) {
    bytes.extend(event.version.to_le_bytes());
    bytes.extend(event.time.to_le_bytes());
    bytes.push(u8::try_from(event.stream.len()).unwrap());
    bytes.push(u8::try_from(event.kind.len()).unwrap());
    bytes.extend(u32::try_from(event.data.len()).unwrap().to_le_bytes());
    for text in [event.stream, event.kind, event.data, event.metadata] {
        bytes.extend(text.as_bytes());
    }
}

pub(super) fn decode(bytes: &[u8]) -> Event<'_> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let data_bytes = u32::from_le_bytes(bytes[18..22].try_into().unwrap()) as usize;
    let stream_end = HEAD_BYTES + usize::from(bytes[16]);
    let kind_end = stream_end + usize::from(bytes[17]);
    let data_end = kind_end + data_bytes;
    let text = |range| std::str::from_utf8(range).unwrap();
    Event {
        version: number(0),
        time: number(8).cast_signed(),
        stream: text(&bytes[HEAD_BYTES..stream_end]),
        kind: text(&bytes[stream_end..kind_end]),
        data: text(&bytes[kind_end..data_end]),
        metadata: text(&bytes[data_end..]),
    }
}

pub(super) fn stream_key(stream: &str, version: u64, key: &mut Vec<u8>) {
    key.clear();
    key.extend(stream.as_bytes());
    key.push(0);
    key.extend(version.to_be_bytes());
}
