//! Files after a gap in the journal. Nothing links such a file to those before the gap, so it may
//! be of another history of the store, of which somebody has copied it. It counts only if `HEAD`
//! says that the log reached it.

use crate::{
    Error,
    codec::{frame::FIRST_FRAME_OFFSET, head::LogEnd},
    storage::{
        journal::{FileKey, Identity, SealedFile, Step, Walk},
        open::{Noted, end_of, start_of},
    },
};

/// Whether a sealed file after a gap is of the log that reaches at least to `known`.
pub(super) fn is_of_log(
    file: &SealedFile,
    identity: &Identity,
    known: LogEnd,
) -> Result<bool, Error> {
    let facts = file.facts();
    if known.frame_number < facts.first_frame {
        return Ok(known == start_of(facts));
    }
    if known.frame_number > facts.last_frame || facts.is_rebuilt {
        return Ok(true);
    }
    let of_store = (identity.store_id, &identity.checksum);
    let mut walk = Walk::new(file, of_store, FIRST_FRAME_OFFSET, start_of(facts));
    while walk.last().frame_number < known.frame_number {
        let Step::Frame(_) = walk.step()? else {
            // It is damaged before that frame.
            return Ok(true);
        };
    }
    Ok(walk.last() == known)
}

/// The sealed files up to the first gap that is followed by a file of another history. The facts of
/// those that are intact are `noted`.
pub(super) fn of_log(
    keys: Vec<FileKey>,
    noted: &Noted,
    identity: &Identity,
    known: LogEnd,
) -> Result<Vec<FileKey>, Error> {
    let mut own = Vec::with_capacity(keys.len());
    let mut end = LogEnd::default();
    for key in keys {
        if let Some(facts) = noted.get(&key) {
            if start_of(facts).frame_number > end.frame_number {
                let path = key.sealed_path(&identity.directory);
                let file = SealedFile::open(&path, identity.store_id, &identity.checksum)?;
                if !is_of_log(&file, identity, known)? {
                    break;
                }
            }
            end = end_of(facts);
        }
        own.push(key);
    }
    Ok(own)
}
