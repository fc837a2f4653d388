//! Reads streams, ids and checkpoints.

use sled::IVec;
use uuid::Uuid;

use crate::{
    Error,
    codec::{
        key,
        page::Page,
        run,
        saved::Checkpoint,
        stored::{Body, Header},
    },
    storage::trees::{RunsAhead, Trees, guarded},
};

impl Trees {
    /// How many events of a stream are at or below `head`.
    pub(crate) fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        let mut runs = self.streams.range(..=key::run(stream, u64::MAX)).rev();
        while let Some((key, value)) = guarded(|| runs.next().transpose())? {
            let Some(first_version) = version_in(stream, &key)? else { break };
            if let Some(version) = self.version_at((stream, first_version), &value, head)? {
                return Ok(version);
            }
        }
        Ok(0)
    }

    /// The last version at or below `head` in the run under a key, if it has one.
    pub(super) fn version_at(
        &self,
        (stream, first_version): (&str, u64),
        value: &[u8],
        head: u64,
    ) -> Result<Option<u64>, Error> {
        if value.is_empty() {
            // An unfinished drain has reserved the place of a run.
            return Ok(None);
        }
        let (header, _) = self.open_run((stream, first_version), value)?;
        let count = match head {
            _ if header.first_position > head => return Ok(None),
            _ if header.last_position <= head => u64::from(header.count),
            _ => {
                let page = self.decode_run((stream, first_version), value, Page::default())?;
                page.count_through(head) as u64
            }
        };
        Ok(Some(first_version - 1 + count))
    }

    /// The run that holds this version of a stream, decoded with the allocations of `spare`. `None`
    /// if the version is not in the trees. Its last events may be above the caller's head.
    pub(crate) fn stream_page(
        &self,
        stream: &str,
        version: u64,
        spare: Page,
    ) -> Result<Option<Page>, Error> {
        Ok(self
            .stream_run(stream, version, spare, &mut RunsAhead::default())?
            .map(|(page, _)| page))
    }

    /// Like [`stream_page`](Self::stream_page), for a read that needs no other run of the stream.
    pub(crate) fn run_with(
        &self,
        stream: &str,
        version: u64,
        spare: Page,
    ) -> Result<Option<Page>, Error> {
        let upto = key::run(stream, version);
        let found = guarded(|| self.streams.range(..=upto).next_back().transpose())?;
        let Some((key, value)) = found.filter(|(_, value)| !value.is_empty()) else {
            return Ok(None);
        };
        match key::version_of(stream, &key) {
            Some(first_version) => {
                self.decode_run((stream, first_version), &value, spare).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Like [`stream_page`](Self::stream_page), and also returns whether the run is the last one of
    /// its stream. `ahead` keeps the following runs for the next call with the same stream.
    pub(crate) fn stream_run(
        &self,
        stream: &str,
        version: u64,
        spare: Page,
        ahead: &mut RunsAhead,
    ) -> Result<Option<(Page, bool)>, Error> {
        let found = match ahead.take(version) {
            Some(value) => Some((version, value)),
            None => self.look_ahead(stream, version, ahead)?,
        };
        let Some((first_version, value)) = found else { return Ok(None) };
        if value.is_empty() {
            // An unfinished drain has reserved the place of a run.
            return Ok(None);
        }
        let place = (stream, first_version);
        let opened = self.open_run(place, &value)?;
        let index = version.checked_sub(first_version);
        match index.is_some_and(|index| index < u64::from(opened.0.count)) {
            true => Ok(Some((self.decode_opened(place, opened, spare)?, ahead.is_end()))),
            false => Ok(None),
        }
    }

    /// The first version and the value of the run that may hold a version. The following runs go to
    /// `ahead`: sled copies a leaf for each iterator, and one iterator visits several runs.
    fn look_ahead(
        &self,
        stream: &str,
        version: u64,
        ahead: &mut RunsAhead,
    ) -> Result<Option<(u64, IVec)>, Error> {
        let at = key::run(stream, version);
        guarded(|| {
            ahead.clear();
            let mut from = self.streams.range(at.as_slice()..);
            // A reader that moves forward requests the first version of each run.
            let mut next = from.next().transpose()?;
            let exact = next.take_if(|(key, _)| **key == *at);
            let found = match exact {
                Some((_, value)) => {
                    next = from.next().transpose()?;
                    Some((version, value))
                }
                None => {
                    let before = self.streams.range(..at.as_slice()).next_back().transpose()?;
                    before.and_then(|(key, value)| Some((key::version_of(stream, &key)?, value)))
                }
            };
            while let Some((key, value)) = &next
                && let Some(first_version) = key::version_of(stream, key)
            {
                if !ahead.put(first_version, value) {
                    return Ok(found);
                }
                next = from.next().transpose()?;
            }
            ahead.end();
            Ok(found)
        })
    }

    /// Checks the value of a run and reads its header.
    pub(super) fn open_run<'v>(
        &self,
        (stream, first_version): (&str, u64),
        value: &'v [u8],
    ) -> Result<(Header, Body<'v>), Error> {
        run::open(&key::run(stream, first_version), value, &self.checksum)
            .map_err(|reason| damaged_run(stream, first_version, None, &reason))
    }

    /// Decodes a value of `streams`, whole or split.
    pub(super) fn decode_run(
        &self,
        place: (&str, u64),
        value: &[u8],
        spare: Page,
    ) -> Result<Page, Error> {
        self.decode_opened(place, self.open_run(place, value)?, spare)
    }

    fn decode_opened(
        &self,
        (stream, first_version): (&str, u64),
        (header, body): (Header, Body<'_>),
        spare: Page,
    ) -> Result<Page, Error> {
        let damaged = |reason: String| {
            damaged_run(stream, first_version, Some(header.first_position), &reason)
        };
        let joined;
        let body = match body {
            Body::Whole(body) => body,
            Body::Split { len, parts, sum } => {
                joined = self.join_parts(&header, len, parts)?.map_err(damaged)?;
                if self.checksum.of(&joined) != sum {
                    return Err(damaged("the checksum of its parts does not match".to_owned()));
                }
                &joined
            }
        };
        let place = (stream, first_version);
        run::decode(place, &header, body, self.dictionary.get(), spare).map_err(damaged)
    }

    /// Joins the parts of a split run, or says why they cannot be joined.
    fn join_parts(
        &self,
        header: &Header,
        len: u32,
        parts: u32,
    ) -> Result<Result<Vec<u8>, String>, Error> {
        let len = len as usize;
        let mut joined = Vec::with_capacity(len);
        for number in 0..parts {
            match guarded(|| self.parts.get(key::part(header.first_position, number)))? {
                Some(part) if joined.len() + part.len() <= len => joined.extend_from_slice(&part),
                Some(_) => return Ok(Err(format!("its parts are longer than {len} bytes"))),
                None => return Ok(Err(format!("part {number} of {parts} is missing"))),
            }
        }
        Ok(Ok(joined))
    }

    /// The position of the event with this id.
    pub(crate) fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        let value = guarded(|| self.ids.get(id.as_bytes()))?;
        let Some(value) = value else { return Ok(None) };
        let position = key::parse_position(&value);
        position.map(Some).ok_or_else(|| damaged_id(Some(id)))
    }

    /// The checkpoint of a name.
    pub(crate) fn checkpoint(&self, name: &str) -> Result<Option<u64>, Error> {
        let value = guarded(|| self.checkpoints.get(name.as_bytes()))?;
        value.map(|value| self.decode_checkpoint(name, &value)).transpose()
    }

    pub(super) fn decode_checkpoint(&self, name: &str, value: &[u8]) -> Result<u64, Error> {
        let damaged =
            |reason: String| Error::corrupted(format!("the checkpoint {name:?}"), None, reason);
        let found = Checkpoint::decode(value, &self.checksum).map_err(damaged)?;
        match &*found.name == name {
            true => Ok(found.position),
            false => Err(damaged(format!("its contents are for {:?}", found.name))),
        }
    }
}

/// The first version in a key, unless the key belongs to another stream.
fn version_in(stream: &str, key: &[u8]) -> Result<Option<u64>, Error> {
    match key.strip_prefix(stream.as_bytes()) {
        Some([0, ..]) => {
            let version = key::version_of(stream, key).filter(|&version| version > 0);
            version.map(Some).ok_or_else(|| damaged_key(key))
        }
        _ => Ok(None),
    }
}

pub(super) fn damaged_key(key: &[u8]) -> Error {
    let key = String::from_utf8_lossy(key);
    Error::corrupted("the tree of streams", None, format!("the key {key:?} is malformed"))
}

pub(super) fn damaged_id(id: Option<Uuid>) -> Error {
    let reason = match id {
        Some(id) => format!("the entry of {id} is malformed"),
        None => "a key is malformed".to_owned(),
    };
    Error::corrupted("the tree of event ids", None, reason)
}

fn damaged_run(stream: &str, first_version: u64, position: Option<u64>, reason: &str) -> Error {
    let place = format!("the run of the stream {stream:?} from version {first_version} on");
    Error::corrupted(place, position, reason)
}
