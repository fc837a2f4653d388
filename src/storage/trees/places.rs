//! From a position to its event, using the chunks of `events`, which give its stream and version.
//!
//! Reads use this only for positions that the journal cannot serve.

use std::sync::Arc;

use crate::{
    Error,
    codec::{key, places::Places},
    storage::trees::{Trees, guarded},
};

impl Trees {
    /// The stream and version of the event at a position. `None` if it is not in the trees.
    pub(crate) fn place_of(&self, position: u64) -> Result<Option<(Arc<str>, u64)>, Error> {
        let upto = key::position(position);
        let found = guarded(|| self.events.range(..=upto).next_back().transpose())?;
        let Some((key, value)) = found else { return Ok(None) };
        let places = self.decode_places(&key, &value)?;
        let place = places.place(position);
        Ok(place.map(|(stream, version)| (Arc::from(stream), version)))
    }

    pub(super) fn decode_places(&self, key: &[u8], value: &[u8]) -> Result<Places, Error> {
        let position = key::parse_position(key);
        let damaged = |reason: String| {
            Error::corrupted("a chunk of positions in the trees", position, reason)
        };
        let first = position.ok_or_else(|| damaged("its key is malformed".to_owned()))?;
        Places::decode(first, value, self.dictionary.get(), &self.checksum).map_err(damaged)
    }
}
