//! What the fuzzer calls, in `fuzz/`: each function takes arbitrary bytes and returns how much of
//! them made sense. Not for programs: the module exists only with the feature `fuzzing`.
//!
//! Checksums would stop nearly every input at once, so the functions on stored bytes forge them: of
//! every part they find, the checksum is 0 and fits when 0 is stored.

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what should not be")]
mod tests;

use std::{path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    EventStore, ExportOptions, ImportMode, ImportOptions, TornTail,
    codec::{
        checksum::Checksum,
        frame::FileHeader,
        head::HeadRecord,
        key,
        meta::{self, Head},
        page::Page,
        places::Places,
        run,
        saved::{self, Checkpoint, StoredSnapshot},
        sealed::SealedFacts,
        stored::{Body, Dictionary},
        superblock::Superblock,
    },
    storage,
};

/// The frames of a journal file, and their sealed form in the directory `scratch`.
pub fn frames(data: &[u8], scratch: &Path) -> usize {
    storage::fuzzing::frames(data, scratch)
}

/// A sealed file in the directory `scratch`.
pub fn sealed(data: &[u8], scratch: &Path) -> usize {
    storage::fuzzing::sealed(data, scratch)
}

/// A value of the trees. The first byte says which kind it is.
pub fn trees(data: &[u8], _: &Path) -> usize {
    let Some((kind, value)) = data.split_first() else { return 0 };
    let checksum = Checksum::forged();
    let words = b"OrderPlaced ItemAdded {\"sku\":\"\",\"count\":1}";
    let dictionary = Dictionary { number: 1, bytes: words.to_vec() };
    match kind % 6 {
        0 => {
            let key = key::run("s", 1);
            let Ok((header, Body::Whole(body))) = run::open(&key, value, &checksum) else {
                return 0;
            };
            let page = run::decode(("s", 1), &header, body, Some(&dictionary), Page::default());
            page.map_or(0, |page| page.events().map(|one| storage::fuzzing::look_at(&one)).sum())
        }
        1 => {
            let places = Places::decode(1, value, Some(&dictionary), &checksum);
            places.map_or(0, |places| places.iter().map(|(_, name, _)| name.len()).sum())
        }
        2 => usize::from(Head::decode(value, &checksum).is_ok()),
        3 => usize::from(SealedFacts::decode(value).is_ok()),
        4 => usize::from(meta::decode_checked(b"key", value, &checksum).is_ok()),
        _ => usize::from(meta::parse_sealed_key(value).is_some()),
    }
}

/// A snapshot, and a checkpoint.
pub fn saved(data: &[u8], _: &Path) -> usize {
    let checksum = Checksum::forged();
    let name = saved::peek_name(data).map(str::len);
    let snapshot = StoredSnapshot::decode(Arc::from(data), (Uuid::nil(), &checksum));
    if let Ok(snapshot) = &snapshot {
        assert!(snapshot.data.end == snapshot.bytes.len(), "its data ends it");
        let encoded = saved::encode_snapshot(
            &snapshot.key,
            snapshot.position,
            snapshot.bytes.get(snapshot.data.clone()).unwrap_or_default(),
            (Uuid::nil(), &checksum),
        );
        // Not byte for byte: a number may have been written longer than it needs to be.
        let identity = (Uuid::nil(), &checksum);
        let again = encoded.and_then(|bytes| StoredSnapshot::decode(Arc::from(bytes), identity));
        assert!(again.is_ok_and(|again| again.key == snapshot.key), "it can be written again");
        assert!(name.is_none_or(|len| len == snapshot.key.name.len()));
    }
    let checkpoint = Checkpoint::decode(data, &checksum);
    usize::from(snapshot.is_ok()) + usize::from(checkpoint.is_ok())
}

/// A superblock, `HEAD`, and the header of a journal file.
pub fn heads(data: &[u8], _: &Path) -> usize {
    let checksum = Checksum::forged();
    let mut found = 0;
    if let Ok(superblock) = Superblock::decode(data) {
        found += usize::from(Superblock::decode(&superblock.encode()).is_ok());
    }
    if let Ok(record) = HeadRecord::decode(data, &checksum) {
        let (slot, offset) = record.encode(&checksum);
        let mut file = vec![0; usize::try_from(offset).unwrap_or(0)];
        file.extend_from_slice(&slot);
        let again = HeadRecord::decode(&file, &checksum);
        assert!(again.is_ok_and(|again| (again.end, again.turn) == (record.end, record.turn)));
        found += 1;
    }
    if let Ok(header) = FileHeader::decode(data, &checksum) {
        assert!(FileHeader::decode(&header.encode(&checksum), &checksum) == Ok(header));
        found += 1;
    }
    found
}

/// Lines of NDJSON, after a byte that chooses how they are imported. What was imported is exported,
/// and must come back byte for byte.
///
/// # Panics
/// If it does not.
pub fn ndjson(data: &[u8], _: &Path) -> usize {
    let Some((choice, lines)) = data.split_first() else { return 0 };
    let modes = [ImportMode::Faithful, ImportMode::Append, ImportMode::Resume];
    let mode = modes.into_iter().nth(usize::from(choice % 3)).unwrap_or(ImportMode::Append);
    let torn_tail = if choice & 0x80 == 0 { TornTail::Refuse } else { TornTail::Drop };
    let Ok(store) = EventStore::in_memory() else { return 0 };
    let options = ImportOptions::new().mode(mode).torn_tail(torn_tail);
    let imported = match store.import_ndjson(lines, &options) {
        Ok(report) => report,
        Err(error) => *error.report,
    };
    assert_eq!(store.head().ok(), Some(imported.events), "what is reported is there");
    let first = export(&store);
    let Ok(copy) = EventStore::in_memory() else { return 0 };
    let again = copy.import_ndjson(first.as_slice(), &ImportOptions::new());
    assert!(again.is_ok(), "an export can be imported: {again:?}");
    assert!(export(&copy) == first, "and exports the same bytes");
    usize::try_from(imported.events).unwrap_or(usize::MAX)
}

fn export(store: &EventStore) -> Vec<u8> {
    let mut lines = Vec::new();
    let exported = store.export_ndjson(&mut lines, &ExportOptions::new());
    assert!(exported.is_ok(), "a store exports: {exported:?}");
    lines
}
