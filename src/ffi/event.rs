//! Events as C sees them: read in place, and described for an append.

use std::{ffi::c_char, mem::offset_of, ptr};

use crate::{
    RecordedEvent, UtcOffset,
    ffi::glue::{
        arguments::{NUL_TERMINATED, pointer_of},
        sized::SelfSized,
    },
};

/// As the length of a string: it ends at its NUL. Not for data and metadata, which are bytes.
///
/// cbindgen:ignore (it knows no SIZE_MAX, so `cbindgen.toml` has the macro)
pub const ANNALS_NUL_TERMINATED: usize = usize::MAX;

const _: () = assert!(ANNALS_NUL_TERMINATED == NUL_TERMINATED);

/// The data of the event is bytes, not JSON.
pub const ANNALS_EVENT_BINARY: u32 = 1;
/// The event has an id.
pub const ANNALS_EVENT_HAS_ID: u32 = 2;
/// The new event brings its time. Without it the store takes the time of the append, in UTC.
pub const ANNALS_EVENT_HAS_TIMESTAMP: u32 = 4;

/// As an offset from UTC: the time was written without a zone. It counts as if it were UTC.
pub const ANNALS_OFFSET_NAIVE: i32 = i32::MIN;

/// A text in an array: UTF-8. As an argument its length may be ANNALS_NUL_TERMINATED; in a result
/// it also ends with a NUL, which the length does not count.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_string {
    /// The bytes.
    pub ptr: *const c_char,
    /// How many.
    pub len: usize,
}

// SAFETY: it points into an event that is kept beside it, which may move between threads.
unsafe impl Send for annals_string {}

/// An event as it was recorded: a view into memory of the library. Each function that hands one out
/// says how long it is valid. Its layout is fixed within an ABI version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_event {
    /// Its place in the whole store: 1, 2, 3, without gaps.
    pub position: u64,
    /// Its place in its stream: 1, 2, 3, without gaps.
    pub version: u64,
    /// When it happened, in microseconds since the Unix epoch.
    pub timestamp_us: i64,
    /// How the time was written: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE.
    pub utc_offset_minutes: i32,
    /// ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_ID.
    pub flags: u32,
    /// The id, with ANNALS_EVENT_HAS_ID; zeros without.
    pub id: [u8; 16],
    /// The stream id: UTF-8 that also ends with a NUL, which the length does not count.
    pub stream: *const c_char,
    /// Bytes of the stream id.
    pub stream_len: usize,
    /// The event type: UTF-8 that also ends with a NUL, which the length does not count.
    pub r#type: *const c_char,
    /// Bytes of the event type.
    pub type_len: usize,
    /// The data, byte for byte as it was appended. No NUL follows it.
    pub data: *const u8,
    /// Bytes of data.
    pub data_len: usize,
    /// The metadata: the text of a JSON object; NULL when there is none. No NUL follows it.
    pub metadata: *const u8,
    /// Bytes of metadata; 0 when there is none.
    pub metadata_len: usize,
    /// The tags, sorted by their bytes, each once; NULL when there are none.
    pub tags: *const annals_string,
    /// How many tags; 0 when there are none.
    pub tag_count: usize,
}

impl annals_event {
    /// A view of `event` and of its tags, which must outlive it.
    pub(in crate::ffi) fn of(event: &RecordedEvent, tags: &[annals_string]) -> annals_event {
        let (stream, event_type) = (event.stream_id_with_nul(), event.event_type_with_nul());
        let (data, metadata) = (event.data(), event.metadata_bytes());
        let (timestamp, id) = (event.timestamp(), event.id());
        let is_binary = if event.is_binary() { ANNALS_EVENT_BINARY } else { 0 };
        let has_id = if id.is_some() { ANNALS_EVENT_HAS_ID } else { 0 };
        annals_event {
            position: event.position(),
            version: event.version(),
            timestamp_us: timestamp.micros(),
            utc_offset_minutes: match timestamp.offset() {
                UtcOffset::Naive => ANNALS_OFFSET_NAIVE,
                UtcOffset::Minutes(minutes) => minutes.into(),
            },
            flags: is_binary | has_id,
            id: id.map_or([0; 16], |id| *id.as_bytes()),
            stream: stream.as_ptr().cast(),
            stream_len: stream.len().saturating_sub(1),
            r#type: event_type.as_ptr().cast(),
            type_len: event_type.len().saturating_sub(1),
            data: data.as_ptr(),
            data_len: data.len(),
            metadata: pointer_of(metadata),
            metadata_len: metadata.map_or(0, <[u8]>::len),
            tags: if tags.is_empty() { ptr::null() } else { tags.as_ptr() },
            tag_count: tags.len(),
        }
    }

    /// The tags of `event`, which must outlive them.
    pub(in crate::ffi) fn tags_of(event: &RecordedEvent) -> Box<[annals_string]> {
        let mut tags = event.tags();
        let texts = std::iter::from_fn(|| tags.next_with_nul());
        texts.map(annals_string::of).collect()
    }
}

impl annals_string {
    /// A view of a text with its NUL.
    fn of(text: &[u8]) -> annals_string {
        annals_string { ptr: text.as_ptr().cast(), len: text.len().saturating_sub(1) }
    }
}

/// An event to append. Start from ANNALS_NEW_EVENT_INIT, which sets struct_size and leaves the rest
/// empty. Everything that it points to is copied before the call returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_new_event {
    /// sizeof(annals_new_event), the same in every event of an array.
    pub struct_size: usize,
    /// ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_ID, ANNALS_EVENT_HAS_TIMESTAMP.
    pub flags: u32,
    /// 16 bytes, a UUID, or NULL for none. With an id on every event an append is safe to repeat.
    pub id: *const u8,
    /// The event type: 1 to 255 bytes of UTF-8 without NUL.
    pub r#type: *const c_char,
    /// Its length, or ANNALS_NUL_TERMINATED.
    pub type_len: usize,
    /// The text of a JSON value, kept byte for byte; any bytes with ANNALS_EVENT_BINARY.
    pub data: *const u8,
    /// Bytes of data.
    pub data_len: usize,
    /// The text of a JSON object, or NULL for none.
    pub metadata: *const u8,
    /// Bytes of metadata; 0 for none.
    pub metadata_len: usize,
    /// With ANNALS_EVENT_HAS_TIMESTAMP: when it happened, in microseconds since the Unix epoch.
    pub timestamp_us: i64,
    /// With ANNALS_EVENT_HAS_TIMESTAMP: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE.
    pub utc_offset_minutes: i32,
    /// The tags in any order, each 1 to 255 bytes of UTF-8 without NUL; NULL for none. Repeats are
    /// dropped.
    pub tags: *const annals_string,
    /// How many tags, up to 1000 without repeats; 0 for none.
    pub tag_count: usize,
}

impl Default for annals_new_event {
    fn default() -> annals_new_event {
        annals_new_event {
            struct_size: size_of::<annals_new_event>(),
            flags: 0,
            id: ptr::null(),
            r#type: ptr::null(),
            type_len: 0,
            data: ptr::null(),
            data_len: 0,
            metadata: ptr::null(),
            metadata_len: 0,
            timestamp_us: 0,
            utc_offset_minutes: 0,
            tags: ptr::null(),
            tag_count: 0,
        }
    }
}

// SAFETY: it is repr(C), starts with its size, and has only numbers and pointers.
unsafe impl SelfSized for annals_new_event {
    const NAME: &'static str = "annals_new_event";
    const ARRAY: &'static str = "events";
    const SIZE_MIN: usize = offset_of!(annals_new_event, metadata);
}

/// One stream's share of annals_append_multi. Start from ANNALS_UNIT_INIT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_unit {
    /// sizeof(annals_unit), the same in every unit of an array.
    pub struct_size: usize,
    /// The stream id: 1 to 255 bytes of UTF-8 without NUL.
    pub stream: *const c_char,
    /// Its length, or ANNALS_NUL_TERMINATED.
    pub stream_len: usize,
    /// What is expected of the stream: see annals_append.
    pub expected_version: u64,
    /// The events to append; NULL for a pure check of the stream.
    pub events: *const annals_new_event,
    /// How many events; 0 for a pure check.
    pub event_count: usize,
}

impl Default for annals_unit {
    fn default() -> annals_unit {
        annals_unit {
            struct_size: size_of::<annals_unit>(),
            stream: ptr::null(),
            stream_len: 0,
            expected_version: 0,
            events: ptr::null(),
            event_count: 0,
        }
    }
}

// SAFETY: it is repr(C), starts with its size, and has only numbers and pointers.
unsafe impl SelfSized for annals_unit {
    const NAME: &'static str = "annals_unit";
    const ARRAY: &'static str = "units";
    const SIZE_MIN: usize = offset_of!(annals_unit, events);
}
