//! The values of the tree `meta`.
//!
//! ```text
//! format                       format version u32
//! store_id                     16 bytes
//! head                         checked bincode { Head }
//! dictionary/<number>          checked bytes of the dictionary, number in decimal
//! sealed/<first position u64 big-endian><file number u32 big-endian>
//!                              checked facts of a sealed journal file, opaque here
//! checked X                    checksum u32 of key and X, then X
//! ```

use serde::{Deserialize, Serialize};

use crate::codec::{self, Reason, checksum::Checksum};

pub(crate) const FORMAT: &[u8] = b"format";
pub(crate) const STORE_ID: &[u8] = b"store_id";
pub(crate) const HEAD: &[u8] = b"head";

const SEALED: &[u8] = b"sealed/";

/// Where the trees end, and where the journal continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The last position in the trees.
    pub(crate) position: u64,
    /// The number of the last frame in the trees.
    pub(crate) frame_number: u64,
    /// The journal file that holds that frame.
    pub(crate) file_first_position: u64,
    pub(crate) file_number: u32,
    /// Where in that file the frame ends: the next frame starts there, or in the next file.
    pub(crate) offset: u64,
    /// The checksum in the header of that frame, which links the two copies to one history.
    pub(crate) prev_checksum: u32,
}

impl Head {
    pub(crate) fn encode(&self, checksum: &Checksum) -> Result<Vec<u8>, Reason> {
        let mut body = Vec::new();
        codec::encode(self, &mut body)?;
        Ok(encode_checked(HEAD, &body, checksum))
    }

    pub(crate) fn decode(value: &[u8], checksum: &Checksum) -> Result<Head, Reason> {
        codec::decode(decode_checked(HEAD, value, checksum)?)
    }
}

/// The value with `body` under `key`.
pub(crate) fn encode_checked(key: &[u8], body: &[u8], checksum: &Checksum) -> Vec<u8> {
    [&checksum.of_entry(key, body).to_le_bytes(), body].concat()
}

/// The body of a value under `key`.
pub(crate) fn decode_checked<'a>(
    key: &[u8],
    value: &'a [u8],
    checksum: &Checksum,
) -> Result<&'a [u8], Reason> {
    match value.split_first_chunk::<4>() {
        Some((sum, body)) if checksum.of_entry(key, body) == u32::from_le_bytes(*sum) => Ok(body),
        _ => Err("its checksum does not match".to_owned()),
    }
}

/// The key of a dictionary.
pub(crate) fn dictionary_key(number: u32) -> Vec<u8> {
    format!("dictionary/{number}").into_bytes()
}

/// The key of the facts of a sealed journal file.
pub(crate) fn sealed_key(first_position: u64, file_number: u32) -> Vec<u8> {
    [SEALED, &first_position.to_be_bytes(), &file_number.to_be_bytes()].concat()
}

/// The common prefix of the keys of all sealed journal files.
pub(crate) fn sealed_prefix() -> &'static [u8] {
    SEALED
}

/// The first position and the file number in a key of a sealed journal file.
pub(crate) fn parse_sealed_key(key: &[u8]) -> Option<(u64, u32)> {
    let (position, number) = key.strip_prefix(SEALED)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*position), u32::from_be_bytes(number.try_into().ok()?)))
}
