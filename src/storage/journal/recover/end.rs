//! Whether the frames that were found reach as far as they must: what the trees, `HEAD` and the
//! next file know of a file's end and of the log's end.

use crate::{
    Error,
    codec::{
        frame::{FileHeader, HEADER_BYTES},
        head::{Beyond, HeadRecord, HeadState, LogEnd},
    },
    storage::journal::{
        file::{FileKey, OpenFile},
        recover::{Reader, Replay, cut::Cut},
        walk::Walk,
        write::Active,
    },
};

impl<R: Replay> Reader<'_, R> {
    /// The trees must have every sealed frame: a file is sealed only after its events are in them.
    pub(super) fn check_sealed_end(&self) -> Result<(), Error> {
        let Some(sealed) = self.end else { return Ok(()) };
        let Some(trees) = self.recovery.trees else { return self.check_known(sealed) };
        if trees.end.frame_number < sealed.frame_number {
            let position = trees.end.position + 1;
            let reason = format!(
                "they end at position {}, but once reached {}",
                trees.end.position, sealed.position
            );
            return Err(Error::corrupted("the directory trees", Some(position), reason));
        }
        self.check_known(sealed)
    }

    /// A frame known from the trees or `HEAD` must be the one that is found.
    pub(super) fn check_known(&self, found: LogEnd) -> Result<(), Error> {
        let trees = self.recovery.trees.map(|trees| trees.end);
        let head = self.recovery.head.map(|head| head.end);
        for (known, what) in [(trees, "the trees"), (head, "the file HEAD")] {
            let is_other =
                |known: &LogEnd| known.frame_number == found.frame_number && *known != found;
            if known.as_ref().is_some_and(is_other) {
                let reason = format!("{what} belongs to another history of the store");
                let place = self.recovery.identity.directory.display().to_string();
                return Err(Error::corrupted(place, Some(found.position), reason));
            }
        }
        Ok(())
    }

    /// Says what is wrong with the end of a file's intact frames.
    pub(super) fn wrong_end(
        &self,
        open: &OpenFile,
        last: LogEnd,
        is_continued: bool,
        next: Option<FileHeader>,
    ) -> Option<String> {
        match next {
            Some(next)
                if (next.first_frame, next.prev_checksum)
                    != (last.frame_number + 1, last.prev_checksum) =>
            {
                let (end, next) = (last.position, next.first_position);
                Some(format!("it ends at position {end}, but the next file starts at {next}"))
            }
            Some(_) => None,
            None if is_continued => Some("the file that continues it is missing".to_owned()),
            None if last.frame_number < self.reached(open.key) => {
                Some("frames at its end are missing".to_owned())
            }
            None if open.raw.end < open.header.capacity && !self.was_cut_here(last) => {
                Some("it is shorter than when it was created".to_owned())
            }
            None => None,
        }
    }

    /// The last frame of a file that the trees have or that `HEAD` records.
    fn reached(&self, key: FileKey) -> u64 {
        let trees = self.recovery.trees.filter(|trees| trees.key == key);
        let trees = trees.map_or(0, |trees| trees.end.frame_number);
        trees.max(self.recovery.head.map_or(0, |head| head.end.frame_number))
    }

    /// A close cuts the file off after its last frame. `HEAD` says which frame that was. If its
    /// record is lost or too old, the trees say it: a close leaves them with every frame.
    fn was_cut_here(&self, last: LogEnd) -> bool {
        let is_end_of_trees = self.recovery.trees.is_some_and(|trees| trees.end == last);
        match self.recovery.head {
            None => is_end_of_trees,
            // The damaged record may be that of the close.
            Some(head) if head.end == last => {
                head.beyond != Beyond::SameFile || (is_end_of_trees && !head.is_sure)
            }
            // A writer replaces the record of a close before it adds a frame.
            Some(head) => is_end_of_trees && (head.state == HeadState::Closed || !head.is_sure),
        }
    }

    /// Damage that reaches to the end of what the trees have may include later frames that only the
    /// journal had, unless the store was closed there.
    pub(super) fn hidden_loss(&self, walk: &mut Walk<'_>) -> Result<Option<String>, Error> {
        let last = walk.last();
        let closed = |head: HeadRecord| head.state == HeadState::Closed && head.end == last;
        if last != self.trees() || self.recovery.head.is_some_and(closed) {
            return Ok(None);
        }
        let before = walk.offset().saturating_sub(HEADER_BYTES as u64);
        let is_lost = walk.remains(before)? == 0;
        Ok(is_lost.then(|| "frames at its end are missing".to_owned()))
    }

    /// The end of a log that may be cut off: the end of the journal, or that of the trees if they
    /// go further.
    pub(super) fn cut_end(&self, cut: &mut Option<Cut>, active: &mut Option<Active>) -> LogEnd {
        let (found, trees) = (self.end.unwrap_or_default(), self.trees());
        let end = if trees.frame_number > found.frame_number { trees } else { found };
        if end != found {
            *active = None;
        }
        let known = self.recovery.head.filter(|head| head.end.frame_number > end.frame_number);
        if let (None, Some(known)) = (&cut, known) {
            let reason = format!("it once reached position {}", known.end.position);
            *cut = Some(Cut { reason, ..Cut::default() });
        }
        end
    }

    /// The log must reach every frame that is known to exist.
    pub(super) fn check_end(&self, has_active: bool) -> Result<LogEnd, Error> {
        let place = || self.recovery.identity.directory.display().to_string();
        let Some(end) = self.end else {
            let position = self.trees().position + 1;
            return Err(Error::corrupted(place(), Some(position), "its last file is damaged"));
        };
        let missing = Some(end.position + 1);
        let trees = self.trees();
        if trees.frame_number > end.frame_number {
            let reason = format!("it has lost events: the trees reach position {}", trees.position);
            return Err(Error::corrupted(place(), missing, reason));
        }
        let Some(head) = self.recovery.head else { return Ok(end) };
        let HeadRecord { state, end: known, beyond, .. } = head;
        if beyond == Beyond::NextFile && known.frame_number == end.frame_number && !has_active {
            let reason = "the file that continues it is missing";
            return Err(Error::corrupted(place(), missing, reason));
        }
        if known.frame_number > end.frame_number {
            let when = match state {
                HeadState::Closed => "when the store was closed",
                HeadState::Running => "before",
            };
            let reason = format!(
                "it ends at position {}, but reached {} {when}",
                end.position, known.position
            );
            return Err(Error::corrupted(place(), missing, reason));
        }
        Ok(end)
    }
}
