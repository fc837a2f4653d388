//! What consumers save besides events: checkpoints and snapshots.
//!
//! ```text
//! checkpoint = 0x03, checksum u32 of the body, body
//! body       = bincode { name bytes, position u64 }
//! snapshot   = 0x04, store id 16, checksum u32 of the body, body
//! body       = bincode { owner u8, name bytes, version u32, position u64, data bytes }
//! ```
//! A checkpoint has the same bytes in the journal and in the trees; a snapshot is a file. Each
//! names what it is for, so that one in the wrong place is detected. A snapshot holds its store id
//! only so that an error can name it; every checksum covers the store id anyway.

use std::{ops::Range, str, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    codec::{self, Bytes, Reason, checksum::Checksum, u32_at, varint::Reader},
    event::{SnapshotKey, SnapshotOwner},
};

const CHECKPOINT: u8 = 3;
const SNAPSHOT: u8 = 4;

const CHECKPOINT_HEADER: usize = 5;
const SNAPSHOT_HEADER: usize = 21;

/// The last position that a named consumer has processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) name: Arc<str>,
    pub(crate) position: u64,
}

#[derive(Serialize, Deserialize)]
struct CheckpointBody<'a> {
    #[serde(borrow)]
    name: &'a str,
    position: u64,
}

impl Checkpoint {
    pub(crate) fn encode(&self, checksum: &Checksum) -> Result<Vec<u8>, Reason> {
        let mut bytes = vec![CHECKPOINT, 0, 0, 0, 0];
        let body = CheckpointBody { name: &self.name, position: self.position };
        codec::encode(&body, &mut bytes)?;
        seal(&mut bytes, CHECKPOINT_HEADER, checksum);
        Ok(bytes)
    }

    pub(crate) fn decode(bytes: &[u8], checksum: &Checksum) -> Result<Checkpoint, Reason> {
        if bytes.first() != Some(&CHECKPOINT) {
            return Err("it does not start with the magic number of a checkpoint".to_owned());
        }
        let body = checked_body(bytes, CHECKPOINT_HEADER, checksum)?;
        let CheckpointBody { name, position } = codec::decode(body)?;
        Ok(Checkpoint { name: Arc::from(name), position })
    }
}

/// A snapshot, and the place of its data in its stored bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredSnapshot {
    pub(crate) key: SnapshotKey,
    pub(crate) position: u64,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) data: Range<usize>,
}

#[derive(Serialize, Deserialize)]
struct SnapshotBody<'a> {
    owner: u8,
    #[serde(borrow)]
    name: &'a str,
    version: u32,
    position: u64,
    #[serde(borrow)]
    data: Bytes<'a>,
}

/// Encodes a snapshot.
pub(crate) fn encode_snapshot(
    key: &SnapshotKey,
    position: u64,
    data: &[u8],
    (store_id, checksum): (Uuid, &Checksum),
) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::with_capacity(SNAPSHOT_HEADER + key.name.len() + data.len() + 32);
    bytes.push(SNAPSHOT);
    bytes.extend_from_slice(store_id.as_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let body = SnapshotBody {
        owner: key.owner as u8,
        name: &key.name,
        version: key.version,
        position,
        data: Bytes(data),
    };
    codec::encode(&body, &mut bytes)?;
    seal(&mut bytes, SNAPSHOT_HEADER, checksum);
    Ok(bytes)
}

impl StoredSnapshot {
    pub(crate) fn decode(
        bytes: Arc<[u8]>,
        (store_id, checksum): (Uuid, &Checksum),
    ) -> Result<StoredSnapshot, Reason> {
        if bytes.first() != Some(&SNAPSHOT) {
            return Err("it does not start with the magic number of a snapshot".to_owned());
        }
        let owner_id = bytes.get(1..17).and_then(|id| Uuid::from_slice(id).ok());
        if let Some(found) = owner_id.filter(|&found| found != store_id) {
            return Err(format!("it belongs to another store, {found}"));
        }
        let body = checked_body(&bytes, SNAPSHOT_HEADER, checksum)?;
        let body: SnapshotBody<'_> = codec::decode(body)?;
        let owner =
            SnapshotOwner::of(body.owner).ok_or_else(|| "its owner is unknown".to_owned())?;
        let key = SnapshotKey { owner, name: body.name.to_owned(), version: body.version };
        let position = body.position;
        // The data is at the end of the body.
        let data = bytes.len() - body.data.0.len()..bytes.len();
        Ok(StoredSnapshot { key, position, bytes, data })
    }
}

/// The name in the first bytes of a snapshot, unchecked.
pub(crate) fn peek_name(bytes: &[u8]) -> Option<&str> {
    let mut reader = Reader::new(bytes, SNAPSHOT_HEADER);
    reader.byte()?;
    str::from_utf8(reader.bytes()?).ok()
}

/// Completes bytes whose header ends with the checksum of the bytes after it.
fn seal(bytes: &mut [u8], header: usize, checksum: &Checksum) {
    let sum = checksum.of(bytes.get(header..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(header - 4..header) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

fn checked_body<'a>(
    bytes: &'a [u8],
    header: usize,
    checksum: &Checksum,
) -> Result<&'a [u8], Reason> {
    let body = bytes.get(header..).unwrap_or_default();
    match !body.is_empty() && checksum.of(body) == u32_at(bytes, header - 4) {
        true => Ok(body),
        false => Err("its checksum does not match".to_owned()),
    }
}
