//! What an open finds in the journal.

use crate::{
    Error,
    codec::head::{HeadRecord, LogEnd},
    storage::{
        Losses, Place, Storage, StorageOptions,
        disk::{Disk, DiskParts},
        files,
        follow::Follow,
        heal::Healing,
        home::head::HeadFile,
        journal::{self, Cut, FileKey, FullFile, Journal, Recovery, SealedFiles, TreesEnd},
        open::{
            Home,
            resolve::{self, end_of},
        },
        replay::IntoTail,
        tail::Tail,
        trees::Trees,
    },
    sync::{self, atomic::AtomicU64},
};

/// The journal, and the tail with everything that is not sealed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tail: Tail,
    pub(super) journal: Journal,
    pub(super) full: Vec<FullFile>,
    pub(super) sealed: SealedFiles,
    pub(super) cut: Option<Cut>,
}

impl Found {
    /// Reads the journal from the end of the sealed files. Without trees nothing is written.
    pub(super) fn recover(
        home: &Home,
        options: &StorageOptions,
        (head, trees): (Option<HeadRecord>, Option<&Trees>),
    ) -> Result<Found, Error> {
        let identity = home.identity();
        if !identity.directory.is_dir() {
            let place = identity.directory.display().to_string();
            return Err(Error::corrupted(place, None, "the directory is missing"));
        }
        let writes = trees.is_some();
        if writes {
            journal::remove_unfinished(&identity.directory)?;
            // If the writer was killed, the names of the newest files may not be durable.
            files::sync_directory(&identity.directory)?;
        }
        let trees_end = trees.map(trees_end).transpose()?;
        let noted = trees.map(resolve::noted).unwrap_or_default();
        let files = resolve::resolve(&identity, &noted, writes)?;
        let noted = match trees {
            Some(_) => noted,
            // Nothing else records which files belong together.
            None => resolve::linked(&identity, &files.sealed)?,
        };
        let last_noted = noted.last_key_value().map(|(key, facts)| (*key, end_of(facts)));
        let sealed_end = match (options.losses, trees_end) {
            // Trees that were rebuilt with gaps end where the unsealed files start.
            (Losses::Gaps | Losses::Cut, Some(trees)) if files.unsealed.is_empty() => {
                Some(trees.end)
            }
            _ => resolve::sealed_end(&identity, &files, last_noted, trees_end)?,
        };
        // If files before it are lost, the trees must answer for them, whether or not they noted
        // them.
        let start = resolve::unsealed_start(&identity, &files)?;
        let is_known = |start: LogEnd| {
            let end = sealed_end.map_or(0, |end| end.frame_number);
            let trees = trees_end.map_or(0, |trees| trees.end.frame_number);
            (end + 1..=trees).contains(&start.frame_number)
        };
        let sealed_end = sealed_end.filter(|_| !start.is_some_and(is_known));
        let tail = Tail::new(options.tail_bytes);
        tail.set_drained(trees_end.map_or(LogEnd::default(), |trees| trees.end));
        let recovery = Recovery {
            identity: &identity,
            capacity_max: options.journal_bytes,
            unsealed: &files.unsealed,
            sealed_end,
            last_sealed: files.sealed.last().copied().max(last_noted.map(|(key, _)| key)),
            trees: trees_end,
            head,
            writes,
            cuts: writes && options.losses == Losses::Cut,
        };
        let mut replay = IntoTail { tail: &tail, checksum: &home.checksum };
        let recovered = journal::recover(&recovery, &mut replay)?;
        // The sealed files have what the tail lacks.
        let end = recovered.journal.end().position;
        let reached = tail.page(end)?.and(tail.floor()).unwrap_or(end);
        let sealed = SealedFiles::new(identity, files.sealed, noted, reached);
        let cut = recovered.cut;
        if let (Some(_), Some(trees)) = (&cut, trees) {
            trees.discard_staged(trees.head()?.position)?;
        }
        Ok(Found { tail, journal: recovered.journal, full: recovered.full, sealed, cut })
    }

    /// A store that is only read.
    pub(super) fn into_reading(
        self,
        home: Home,
        options: StorageOptions,
        follow: Follow,
    ) -> Storage {
        let storage = self.into_storage(home, options, (None, None), None);
        if let Some(disk) = storage.disk() {
            *sync::lock(&disk.follow) = Some(follow);
        }
        storage
    }

    /// The store with what was found.
    pub(super) fn into_storage(
        self,
        home: Home,
        options: StorageOptions,
        (head_file, trees): (Option<HeadFile>, Option<Trees>),
        healing: Option<Healing>,
    ) -> Storage {
        let Found { tail, journal, full, sealed, cut } = self;
        let head = journal.end().position;
        let parts = DiskParts {
            sealed,
            identity: home.identity(),
            path: home.path,
            lock: home.lock,
            head_file,
            journal,
            full,
            trees,
            max_delay: options.max_delay,
            healing,
            cut,
            follow: None,
        };
        let place = Place::Disk(Box::new(Disk::new(parts)));
        let storage = Storage::new(home.store_id, options, place);
        Storage { head: AtomicU64::new(head), tail, ..storage }
    }
}

fn trees_end(trees: &Trees) -> Result<TreesEnd, Error> {
    let head = trees.head()?;
    let (position, frame_number) = (head.position, head.frame_number);
    Ok(TreesEnd {
        end: LogEnd { position, frame_number, prev_checksum: head.prev_checksum },
        key: FileKey { first_position: head.file_first_position, number: head.file_number },
        offset: head.offset,
    })
}
