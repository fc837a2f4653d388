//! Calls on batches, queries and tickets, and the events and tags of any call.

use std::ptr;

use annals::ffi::*;

use super::{Handles, Input, any, check, keep};

static ID: [u8; 16] = [7; 16];

pub(super) fn tags(input: &mut Input<'_>) -> Vec<annals_string> {
    let tag = |input: &mut Input<'_>| {
        let (ptr, len) = input.text();
        annals_string { ptr, len }
    };
    let count = input.byte() % 3;
    (0..count).map(|_| tag(input)).collect()
}

/// Events that share tags.
pub(super) fn events(input: &mut Input<'_>, tags: &[annals_string]) -> Vec<annals_new_event> {
    let count = usize::from(input.byte() % 4);
    let mut event = || {
        let (r#type, type_len) = input.text();
        let ((data, data_len), (metadata, metadata_len)) = (input.text(), input.text());
        let choice = input.byte();
        annals_new_event {
            flags: u32::from(choice & 0x83),
            id: if choice & 4 == 0 { ptr::null() } else { ID.as_ptr() },
            r#type,
            type_len,
            data: data.cast(),
            data_len,
            metadata: metadata.cast(),
            metadata_len,
            timestamp_us: i64::from(choice) << 48,
            utc_offset_minutes: i32::from(choice) * 10,
            tags: if tags.is_empty() { ptr::null() } else { tags.as_ptr() },
            tag_count: tags.len(),
            ..annals_new_event::default()
        }
    };
    (0..count).map(|_| event()).collect()
}

/// Calls on batches, queries and tickets.
pub(super) unsafe fn batch(input: &mut Input<'_>, handles: &mut Handles) -> usize {
    let (mut error, mut number) = (ptr::null_mut(), 0);
    let err = &raw mut error;
    let store = any(&handles.stores, &handles.iters, input);
    let query = any(&handles.queries, &handles.iters, input);
    let batch = any(&handles.batches, &handles.queries, input);
    // SAFETY: as in `run`.
    unsafe {
        let status = match input.byte() % 10 {
            0 => {
                keep(&mut handles.batches, annals_batch_new());
                ANNALS_OK
            }
            1 => {
                let made =
                    if input.byte() & 1 == 0 { annals_query_new } else { annals_query_new_all };
                keep(&mut handles.queries, made());
                ANNALS_OK
            }
            2 => {
                let (types, tags, (stream, len)) = (tags(input), tags(input), input.text());
                let (types, type_count) = (types.as_ptr(), types.len());
                let (tags, count) = (tags.as_ptr(), tags.len());
                annals_query_add_item(query, types, type_count, tags, count, stream, len, err)
            }
            3 => {
                let mut made = ptr::null_mut();
                let options = ptr::null();
                let (out, head) = (&raw mut made, &raw mut number);
                let status = annals_query_read(store, query, options, out, head, err);
                keep(&mut handles.iters, made);
                status
            }
            4 | 5 => {
                let ((stream, len), expected, tags) = (input.text(), input.number(), tags(input));
                let events = events(input, &tags);
                let (first, n) = (events.as_ptr(), events.len());
                annals_batch_append(batch, stream, len, expected, first, n, err)
            }
            6 => {
                let ((stream, len), expected) = (input.text(), input.number());
                annals_batch_require(batch, stream, len, expected, err)
            }
            7 => annals_batch_require_none(batch, query, input.number(), err),
            8 => {
                let (name, len) = input.text();
                annals_batch_checkpoint(batch, name, len, input.number(), err)
            }
            _ if input.byte() & 1 == 0 => annals_batch_commit(batch, store, &raw mut number, err),
            _ => {
                let mut ticket = ptr::null_mut();
                let status = annals_batch_submit(batch, store, &raw mut ticket, err);
                if status == ANNALS_OK {
                    // In memory it is answered by now.
                    let mut failure = ptr::null_mut();
                    let answer = annals_ticket_wait(ticket, 0, &raw mut number, &raw mut failure);
                    check(answer, failure);
                }
                annals_ticket_free(ticket);
                status
            }
        };
        check(status, error)
    }
}
