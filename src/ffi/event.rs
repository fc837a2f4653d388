//! Events in C: recorded events, which are read in place, and new events for an append.

use std::{ffi::c_char, mem::offset_of, ptr};

use crate::{
    RecordedEvent, UtcOffset,
    ffi::glue::{
        arguments::{NUL_TERMINATED, pointer_of},
        sized::SelfSized,
    },
};

/// As the length of a string: it ends at its first NUL. Not for data and metadata (bytes).
///
/// cbindgen:ignore (it does not know SIZE_MAX, so `cbindgen.toml` defines the macro)
pub const ANNALS_NUL_TERMINATED: usize = usize::MAX;

const _: () = assert!(ANNALS_NUL_TERMINATED == NUL_TERMINATED);

/// The data of the event is bytes, not JSON.
pub const ANNALS_EVENT_BINARY: u32 = 1;
/// The event has an id.
pub const ANNALS_EVENT_HAS_ID: u32 = 2;
/// The new event has a timestamp. Without it, the store uses the time of the append, in UTC.
pub const ANNALS_EVENT_HAS_TIMESTAMP: u32 = 4;

/// As an offset from UTC: the time was written without a zone. It is treated as UTC.
pub const ANNALS_OFFSET_NAIVE: i32 = i32::MIN;

/// A string in an array: UTF-8. In arguments the length may be ANNALS_NUL_TERMINATED. In results
/// the string also ends with a NUL, which the length does not count.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_string {
    /// The bytes.
    pub ptr: *const c_char,
    /// The length in bytes.
    pub len: usize,
}

/// A recorded event: a view into memory that the library owns. Each function that returns one says
/// how long it is valid. Its layout is fixed within an ABI version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_event {
    /// The position in the whole store: 1, 2, 3, without gaps.
    pub position: u64,
    /// The version, its place in the stream: 1, 2, 3, without gaps.
    pub version: u64,
    /// When the event happened, in microseconds since the Unix epoch.
    pub timestamp_us: i64,
    /// The offset with which the time was written: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE.
    pub utc_offset_minutes: i32,
    /// ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_ID.
    pub flags: u32,
    /// The id if `flags` has ANNALS_EVENT_HAS_ID, otherwise zeros.
    pub id: [u8; 16],
    /// The stream id: UTF-8 that also ends with a NUL, which the length does not count.
    pub stream: *const c_char,
    /// The length of the stream id in bytes.
    pub stream_len: usize,
    /// The event type: UTF-8 that also ends with a NUL, which the length does not count.
    pub r#type: *const c_char,
    /// The length of the event type in bytes.
    pub type_len: usize,
    /// The data, byte for byte as it was appended. No NUL follows it.
    pub data: *const u8,
    /// The length of the data in bytes.
    pub data_len: usize,
    /// The metadata: the text of a JSON object, or NULL if there is none. No NUL follows it.
    pub metadata: *const u8,
    /// The length of the metadata in bytes; 0 if there is none.
    pub metadata_len: usize,
    /// The tags, sorted by their bytes, without repeats; NULL if there are none.
    pub tags: *const annals_string,
    /// The number of tags.
    pub tag_count: usize,
}

impl annals_event {
    /// A view of `event` and its tags; both must outlive the view.
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

    /// Views of the tags of `event`, which must outlive them.
    pub(in crate::ffi) fn tags_of(event: &RecordedEvent) -> Box<[annals_string]> {
        let mut tags = event.tags();
        let texts = std::iter::from_fn(|| tags.next_with_nul());
        texts.map(annals_string::of).collect()
    }
}

impl annals_string {
    /// A view of a text that ends with a NUL.
    fn of(text: &[u8]) -> annals_string {
        annals_string { ptr: text.as_ptr().cast(), len: text.len().saturating_sub(1) }
    }
}

/// An event to append. Start with ANNALS_NEW_EVENT_INIT, which sets struct_size and leaves the rest
/// empty. Everything that it points to is copied before the call returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_new_event {
    /// sizeof(annals_new_event), the same for all events of an array.
    pub struct_size: usize,
    /// ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_TIMESTAMP. ANNALS_EVENT_HAS_ID is not needed: `id`
    /// alone says whether there is an id. With it, a NULL `id` is ANNALS_E_INVALID_ARGUMENT.
    pub flags: u32,
    /// 16 bytes (a UUID), or NULL for none. If every event has an id, a retry of the append is
    /// safe.
    pub id: *const u8,
    /// The event type: 1 to 255 bytes of UTF-8 without NUL.
    pub r#type: *const c_char,
    /// Its length in bytes, or ANNALS_NUL_TERMINATED.
    pub type_len: usize,
    /// The text of a JSON value, kept byte for byte; with ANNALS_EVENT_BINARY any bytes.
    pub data: *const u8,
    /// The length of the data in bytes.
    pub data_len: usize,
    /// The text of a JSON object, or NULL for none.
    pub metadata: *const u8,
    /// The length of the metadata in bytes; 0 for none.
    pub metadata_len: usize,
    /// With ANNALS_EVENT_HAS_TIMESTAMP: when the event happened, in microseconds since the Unix
    /// epoch.
    pub timestamp_us: i64,
    /// With ANNALS_EVENT_HAS_TIMESTAMP: minutes ahead of UTC, or ANNALS_OFFSET_NAIVE.
    pub utc_offset_minutes: i32,
    /// The tags in any order, each 1 to 255 bytes of UTF-8 without NUL; NULL for none. Repeats are
    /// ignored.
    pub tags: *const annals_string,
    /// The number of tags: at most 1000 different ones; 0 for none.
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

// SAFETY: it is repr(C), starts with its size, and consists of numbers and pointers only.
unsafe impl SelfSized for annals_new_event {
    const NAME: &'static str = "annals_new_event";
    const ARRAY: &'static str = "events";
    const SIZE_MIN: usize = offset_of!(annals_new_event, metadata);
}

/// The part of an annals_append_multi that concerns one stream. Start with ANNALS_UNIT_INIT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct annals_unit {
    /// sizeof(annals_unit), the same for all units of an array.
    pub struct_size: usize,
    /// The stream id: 1 to 255 bytes of UTF-8 without NUL.
    pub stream: *const c_char,
    /// Its length in bytes, or ANNALS_NUL_TERMINATED.
    pub stream_len: usize,
    /// The expected version of the stream: see annals_append.
    pub expected_version: u64,
    /// The events to append; NULL to only check the version of the stream.
    pub events: *const annals_new_event,
    /// The number of events; 0 to only check the version.
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

// SAFETY: it is repr(C), starts with its size, and consists of numbers and pointers only.
unsafe impl SelfSized for annals_unit {
    const NAME: &'static str = "annals_unit";
    const ARRAY: &'static str = "units";
    const SIZE_MIN: usize = offset_of!(annals_unit, events);
}
