//! Writes the trees: the steps of a drain, called only by its thread.

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        dictionary::{self, DICTIONARY_BYTES, SAMPLE_BYTES},
        key,
        meta::Head,
        places::Gathered,
        record::{self, EventToEncode},
        run::{self, RUN_BYTES},
        saved::Checkpoint,
        stored::PART_BYTES,
        tagged::{self, Place},
    },
    defect::{self, Defect},
    storage::trees::{Trees, pace::Pace},
};

/// A dictionary is trained once a window has this many bytes for it.
const TRAINING_BYTES_MIN: usize = 256 << 10;

/// Runs are inserted in groups of at most this many, and this many bytes.
const WAITING_RUNS: usize = 256;
const WAITING_BYTES: usize = 512 << 10;

/// If a group has this many runs of one stream, they are inserted as in the first window.
const RUNS_RESERVED: usize = 8;

/// The writes of one drain. Everything is staged above the trees' head until [`finish`] moves it.
///
/// [`finish`]: Staging::finish
#[derive(Debug)]
pub(crate) struct Staging<'a, B> {
    pace: Pace<'a, B>,
    /// The last chunk of positions, for the transaction that moves the head.
    last_chunk: Option<([u8; 8], sled::IVec)>,
    /// Kept between runs to save allocations.
    raw: Vec<u8>,
    /// Runs that have not been inserted yet, and the total size of their values.
    waiting: Vec<(Vec<u8>, sled::IVec)>,
    waiting_bytes: usize,
    /// Whether the trees have no events yet.
    is_first_window: bool,
}

impl<'a, B: FnMut() -> Result<(), Error>> Staging<'a, B> {
    /// Starts a drain; `beat` is called between its steps.
    pub(crate) fn new(trees: &'a Trees, beat: B) -> Self {
        Staging::with(Pace::new(trees, beat))
    }

    /// Like [`new`](Self::new), for trees that are discarded unless [`finish`](Self::finish)
    /// returns: nothing is synced earlier.
    pub(crate) fn unsynced(trees: &'a Trees, beat: B) -> Self {
        Staging::with(Pace::unsynced(trees, beat))
    }

    fn with(pace: Pace<'a, B>) -> Self {
        let trees = pace.trees;
        Staging {
            pace,
            last_chunk: None,
            raw: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            // If the head cannot be read, the transaction that moves it reports the error.
            is_first_window: trees.head().is_ok_and(|head| head.position == 0),
        }
    }

    /// Trains the dictionary on the events of this window, in any order, unless there is one
    /// already or there are too few events. Must be called before anything else is staged.
    pub(crate) fn train<'e>(
        &mut self,
        events: impl IntoIterator<Item = EventToEncode<'e>>,
    ) -> Result<(), Error> {
        let trees = self.pace.trees;
        if trees.dictionary.get().is_some() {
            return Ok(());
        }
        let Some((bytes, ends)) = sample(events) else { return Ok(()) };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let samples: Vec<_> = starts.zip(&ends).map(|(start, &end)| start..end).collect();
        let dictionary = dictionary::train(&bytes, &samples, DICTIONARY_BYTES);
        self.pace.beat()?;
        if dictionary.is_empty() {
            return Ok(());
        }
        trees.store_dictionary(dictionary)
    }

    /// Stages all events of one stream in the window, in version order. Streams come in byte order,
    /// so that keys come in key order, for which sled is fast.
    pub(crate) fn stream<'e>(
        &mut self,
        events: impl IntoIterator<Item = EventToEncode<'e>>,
    ) -> Result<(), Error> {
        let (mut gathered, mut bytes) = (Vec::new(), 0);
        for event in events {
            let more = run::bytes_of(&event);
            if bytes + more > run::bytes_max(&event) && !gathered.is_empty() {
                self.run(&gathered)?;
                gathered.clear();
                bytes = 0;
            }
            bytes += more;
            gathered.push(event);
        }
        self.run(&gathered)
    }

    fn run(&mut self, events: &[EventToEncode<'_>]) -> Result<(), Error> {
        let Some(first) = events.first() else { return Ok(()) };
        let trees = self.pace.trees;
        let encoded = run::encode(events, trees.dictionary.get(), &trees.checksum, &mut self.raw);
        let (key, encoded) = encoded.ok_or_else(|| {
            let place = format!("a run of the stream {:?}", first.stream);
            Error::corrupted(place, Some(first.position), "an event exceeds every limit")
        })?;
        self.pace.encoded(self.raw.len());
        for (number, part) in (0..).zip(encoded.split_body.chunks(PART_BYTES)) {
            self.pace.insert(&trees.parts, &key::part(first.position, number), part)?;
        }
        self.waiting_bytes += encoded.value.len();
        self.waiting.push((key, encoded.value.into()));
        if self.waiting.len() < WAITING_RUNS && self.waiting_bytes < WAITING_BYTES {
            return Ok(());
        }
        self.put_runs()
    }

    /// Inserts the waiting runs.
    ///
    /// If no other entries are between their keys, all keys are inserted first with empty values,
    /// then the values. sled splits a leaf once it has 17 entries, and then logs all of it; this
    /// way the splits move empty values, and each value is logged about once instead of three
    /// times. This applies to trees without events, and to many runs of one stream. Other runs go
    /// between existing values, and would gain little for twice the inserts.
    fn put_runs(&mut self) -> Result<(), Error> {
        let trees = self.pace.trees;
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if self.is_first_window {
            for (key, _) in &waiting {
                self.pace.reserve(&trees.streams, key)?;
            }
            return waiting
                .into_iter()
                .try_for_each(|(key, value)| self.pace.fill(&trees.streams, &key, value));
        }
        for runs in waiting.chunk_by(|(one, _), (next, _)| key::is_same_stream(one, next)) {
            let is_reserved = runs.len() >= RUNS_RESERVED;
            if is_reserved {
                for (key, _) in runs {
                    self.pace.insert(&trees.streams, key, sled::IVec::default())?;
                }
            }
            for (key, value) in runs {
                match is_reserved {
                    true => self.pace.replace(&trees.streams, key, value.clone())?,
                    false => self.pace.insert(&trees.streams, key, value.clone())?,
                }
            }
        }
        Ok(())
    }

    /// Stages the index of positions: every position of the window in order, with its stream and
    /// version.
    pub(crate) fn places<'e>(
        &mut self,
        places: impl IntoIterator<Item = (u64, &'e str, u64)>,
    ) -> Result<(), Error> {
        self.put_runs()?;
        let mut gathered = Gathered::default();
        for (position, stream, version) in places {
            if !gathered.push(position, stream, version) {
                self.chunk(&mut gathered)?;
                gathered.push(position, stream, version);
            }
        }
        if gathered.is_empty() { Ok(()) } else { self.chunk(&mut gathered) }
    }

    /// Stages the previous chunk, and keeps this one.
    fn chunk(&mut self, gathered: &mut Gathered<'_>) -> Result<(), Error> {
        let trees = self.pace.trees;
        let (key, value) = gathered
            .take(trees.dictionary.get(), &trees.checksum)
            .ok_or_else(|| trees.damaged("a chunk of positions exceeds every limit"))?;
        match self.last_chunk.replace((key, value.into())) {
            Some((key, value)) => self.pace.insert(&trees.events, &key, value),
            None => Ok(()),
        }
    }

    /// Stages event ids, and sorts them.
    pub(crate) fn ids(&mut self, ids: &mut [(Uuid, u64)]) -> Result<(), Error> {
        ids.sort_unstable();
        for (id, position) in ids {
            let position = key::position(*position);
            self.pace.insert(&self.pace.trees.ids, id.as_bytes(), &position)?;
        }
        Ok(())
    }

    /// Stages the index of tags: the places of the events with each tag in the window, in order.
    pub(crate) fn tags<'e>(
        &mut self,
        events: impl IntoIterator<Item = EventToEncode<'e>>,
    ) -> Result<(), Error> {
        let mut places: Vec<Place<'e>> = Vec::new();
        // Each tag of each event, with the index of its place: an event may have many tags, and
        // each tag a single event.
        let mut tags: Vec<(&str, u32)> = Vec::new();
        for event in events.into_iter().filter(|event| event.tags.len() > 0) {
            let index = u32::try_from(places.len()).unwrap_or(u32::MAX);
            tags.extend(event.tags.iter().map(|tag| (tag, index)));
            places.push((event.position, event.stream, event.version));
        }
        tags.sort_unstable();
        let trees = self.pace.trees;
        let mut of_tag = Vec::new();
        for same in tags.chunk_by(|(one, _), (next, _)| one == next) {
            let Some((tag, _)) = same.first() else { continue };
            of_tag.clear();
            of_tag
                .extend(same.iter().filter_map(|(_, index)| places.get(*index as usize).copied()));
            let mut rest = of_tag.as_slice();
            while !rest.is_empty() {
                let encoded = tagged::encode(tag, rest, &trees.checksum);
                let (taken, key, value) = encoded.ok_or_else(|| {
                    trees.damaged("a run of the positions of a tag exceeds every limit")
                })?;
                self.pace.insert(&trees.tags, &key, value)?;
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Stores checkpoints. They need not wait for the head: they are durable in the journal, and an
    /// interrupted drain is repeated.
    pub(crate) fn checkpoints(&mut self, checkpoints: &[Checkpoint]) -> Result<(), Error> {
        let trees = self.pace.trees;
        for checkpoint in checkpoints {
            let value = checkpoint.encode(&trees.checksum);
            let value = value.map_err(|reason| trees.damaged(&reason))?;
            self.pace.insert(&trees.checkpoints, checkpoint.name.as_bytes(), value)?;
        }
        Ok(())
    }

    /// Ends one of several windows that are staged one after the other under one head.
    pub(crate) fn end_window(&mut self) {
        self.is_first_window = false;
    }

    /// Makes everything staged durable, then moves the head in one transaction with the last chunk
    /// of positions, and makes that durable too before it returns.
    pub(crate) fn finish(mut self, head: Head) -> Result<(), Error> {
        self.put_runs()?;
        if !defect::has(Defect::TreesUnsynced) {
            self.pace.sync()?;
        }
        let trees = self.pace.trees;
        let chunk_key = self.last_chunk.as_ref().map(|(key, _)| *key);
        trees.move_head(head, self.last_chunk.take())?;
        trees.visit_head(chunk_key)?;
        if defect::has(Defect::TreesUnsynced) { Ok(()) } else { self.pace.sync() }
    }
}

/// Sampled events, spread over all of them, with the end of each sample; `None` if there are too
/// few events to train on.
fn sample<'e>(
    events: impl IntoIterator<Item = EventToEncode<'e>>,
) -> Option<(Vec<u8>, Vec<usize>)> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let (mut all_bytes, mut every) = (0, 1);
    for (number, event) in events.into_iter().enumerate() {
        all_bytes += run::bytes_of(&event);
        // One large event must not crowd out the others.
        if number % every > 0 || run::bytes_of(&event) > RUN_BYTES {
            continue;
        }
        record::encode(&[event], &mut bytes);
        ends.push(bytes.len());
        if bytes.len() > SAMPLE_BYTES {
            every *= 2;
            halve(&mut bytes, &mut ends);
        }
    }
    (all_bytes >= TRAINING_BYTES_MIN).then_some((bytes, ends))
}

/// Drops every second sample.
fn halve(bytes: &mut Vec<u8>, ends: &mut Vec<usize>) {
    let (mut kept, mut kept_ends, mut start) = (Vec::new(), Vec::new(), 0);
    for (index, &end) in ends.iter().enumerate() {
        if index % 2 == 0 {
            kept.extend_from_slice(bytes.get(start..end).unwrap_or_default());
            kept_ends.push(kept.len());
        }
        start = end;
    }
    (*bytes, *ends) = (kept, kept_ends);
}

impl Trees {
    /// Visits what the move of the head wrote, so that sled splits its leaves now.
    fn visit_head(&self, chunk: Option<[u8; 8]>) -> Result<(), Error> {
        if let Some(key) = chunk {
            super::guarded(|| self.events.contains_key(key))?;
        }
        self.head().map(drop)
    }
}
