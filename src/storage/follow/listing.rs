//! Finding the next file of a journal that is in use.

use crate::{
    Error,
    codec::head::LogEnd,
    storage::journal::{FileKey, Listing},
};

/// How often the directory is listed if a listing is not what is expected.
const LOOKS: u32 = 3;

/// The key of the file after `last`, which is the file that ends with the frame `end`. The log is
/// known to reach `known`.
///
/// A listing of a large directory can miss a file that is being renamed. So a file that does not
/// follow on the last one is accepted only after several listings, and so is the absence of any
/// where the log goes on.
pub(super) fn next_key(
    (last, end): (Option<FileKey>, LogEnd),
    known: LogEnd,
    mut list: impl FnMut() -> Result<Listing, Error>,
) -> Result<Option<FileKey>, Error> {
    let first_position = end.position + 1;
    // Several files have the same first position if the earlier ones have no events.
    let same = last.filter(|last| last.first_position == first_position);
    let expected = FileKey { first_position, number: same.map_or(0, |last| last.number + 1) };
    let mut earliest: Option<FileKey> = None;
    for _ in 0..LOOKS {
        let Listing { sealed, unsealed } = list()?;
        let after = sealed.into_iter().chain(unsealed).filter(|key| last < Some(*key));
        earliest = after.chain(earliest).min();
        let is_expected = match earliest {
            Some(key) => key == expected,
            None => end.frame_number >= known.frame_number,
        };
        if is_expected {
            break;
        }
    }
    Ok(earliest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first_position: u64, number: u32) -> FileKey {
        FileKey { first_position, number }
    }

    /// The key that is found in these listings, one after the other, and how many were needed.
    fn found(
        last: Option<FileKey>,
        (position, frame_number, known): (u64, u64, u64),
        listings: &[&[FileKey]],
    ) -> Result<(Option<FileKey>, usize), Error> {
        let at = |position, frame_number| LogEnd { position, frame_number, prev_checksum: 0 };
        let (mut listings, mut count) = (listings.iter(), 0);
        let key = next_key((last, at(position, frame_number)), at(position, known), || {
            count += 1;
            let unsealed = listings.next().map_or(Vec::new(), |keys| keys.to_vec());
            Ok(Listing { sealed: Vec::new(), unsealed })
        })?;
        Ok((key, count))
    }

    #[test]
    fn a_file_that_a_listing_misses_is_found_by_the_next() -> Result<(), Error> {
        let (one, next, later) = (key(1, 0), key(11, 0), key(21, 0));
        let last = Some(one);
        assert_eq!(found(last, (10, 5, 9), &[&[one, next, later]])?, (Some(next), 1));
        assert_eq!(found(last, (10, 5, 9), &[&[one, later], &[one, next]])?, (Some(next), 2));
        // None of them, although the log goes on.
        assert_eq!(found(last, (10, 5, 9), &[&[one], &[one], &[one, next]])?, (Some(next), 3));
        // Another one with the same first position, of files without events.
        let last = Some(key(11, 0));
        let all = [key(11, 0), key(11, 1), key(11, 2)];
        let missed = [key(11, 0), key(11, 2)];
        assert_eq!(found(last, (10, 5, 9), &[&missed, &all])?, (Some(key(11, 1)), 2));
        Ok(())
    }

    #[test]
    fn what_stays_missing_is_believed() -> Result<(), Error> {
        let (one, later) = (key(1, 0), key(21, 0));
        assert_eq!(found(None, (0, 0, 0), &[&[]])?, (None, 1), "an empty store");
        assert_eq!(found(Some(one), (10, 5, 5), &[&[one]])?, (None, 1), "the end of the log");
        assert_eq!(found(Some(one), (10, 5, 9), &[&[one], &[one], &[one]])?, (None, 3));
        let lost: &[FileKey] = &[one, later];
        assert_eq!(found(Some(one), (10, 5, 9), &[lost; 3])?, (Some(later), 3));
        Ok(())
    }
}
