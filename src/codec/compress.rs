//! LZ4 blocks (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md>), with or without a
//! dictionary.
//!
//! The raw length and a checksum are stored beside each block. The caller verifies the checksum
//! before it decompresses a block, and limits the raw length before it allocates that much memory.

use lz4_flex::block;

use crate::codec::Reason;

/// Compresses `raw`. If the result is not shorter than `raw`, store `raw` itself.
pub(crate) fn compress(raw: &[u8], dictionary: Option<&[u8]>) -> Vec<u8> {
    match dictionary {
        None => block::compress(raw),
        Some(dictionary) => block::compress_with_dict(raw, dictionary),
    }
}

/// Decompresses a block whose raw form fills `raw`.
pub(crate) fn decompress(
    stored: &[u8],
    raw: &mut [u8],
    dictionary: Option<&[u8]>,
) -> Result<(), Reason> {
    let written = match dictionary {
        None => block::decompress_into(stored, raw),
        Some(dictionary) => block::decompress_into_with_dict(stored, raw, dictionary),
    };
    match written {
        Ok(written) if written == raw.len() => Ok(()),
        Ok(written) => Err(format!("it decompresses to {written} bytes, not {}", raw.len())),
        Err(error) => Err(format!("it does not decompress: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_fills_its_raw_length_and_no_other() {
        for dictionary in [None, Some(&b"an event"[..])] {
            let stored = compress(b"an event, an event", dictionary);
            let into = |len| {
                let mut raw = vec![0; len];
                decompress(&stored, &mut raw, dictionary).map(|()| raw)
            };
            assert_eq!(into(18), Ok(b"an event, an event".to_vec()));
            assert_eq!(into(19), Err("it decompresses to 18 bytes, not 19".to_owned()));
            assert!(into(17).is_err());
        }
    }
}
