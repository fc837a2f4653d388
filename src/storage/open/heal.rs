//! Sets unusable trees aside and rebuilds them from the journal.
//!
//! The new trees are built next to the old ones, and replace them only once they are complete and
//! the whole journal has proved readable. Until then the old ones do not change, so a rebuild that
//! fails or is killed leaves everything as it was.

use std::{fs, io, path::PathBuf, time::Instant};

use crate::{
    Error,
    codec::head::HeadRecord,
    storage::{
        Losses, StorageOptions, files,
        heal::{Healing, Rebuild},
        home::names,
        journal::SealedFile,
        open::{
            Home,
            found::Found,
            resolve::{self, Noted, end_of},
            restored::seal_restored,
            thread::{Make, Thread},
        },
        trees::{self, OpenTrees, Trees},
    },
};

/// Open trees with the journal that they belong to.
pub(super) struct Sound {
    pub(super) thread: Thread,
    pub(super) trees: Trees,
    pub(super) found: Found,
    pub(super) healing: Option<Healing>,
}

/// Why there is no [`Sound`].
pub(super) enum Unsound {
    /// The disk is too full to open the trees as they are. A rebuild that lacks space has failed.
    Full(Error),
    Failed(Error),
}

impl From<Error> for Unsound {
    fn from(error: Error) -> Unsound {
        Unsound::Failed(error)
    }
}

/// Opens the trees, or rebuilds them, and reads the journal.
pub(super) fn open(
    home: &Home,
    options: &StorageOptions,
    before: Option<HeadRecord>,
) -> Result<Sound, Unsound> {
    // The remains of a rebuild that was killed.
    files::remove_directory(&home.path.join(names::TREES_UNFINISHED))?;
    let identity = home.identity();
    if identity.directory.is_dir() {
        seal_restored(&identity)?;
    }
    let opened = Thread::begin(Make::Open(home.trees(options)), &options.on_rebuild);
    let (thread, trees) = match opened {
        Ok(opened) => opened,
        Err(reason @ Error::Corrupted { .. }) => {
            return Ok(rebuild(home, options, before, reason)?);
        }
        Err(full @ Error::NoSpace { .. }) => return Err(Unsound::Full(full)),
        Err(hung @ Error::Internal { .. }) => {
            // The next open, in a process whose sled is not blocked, finds them marked.
            trees::mark_damaged(&home.path.join(names::TREES), &hung.to_string());
            return Err(hung.into());
        }
        Err(error) => return Err(error.into()),
    };
    if let Err(reason) = check_fit(home, &trees) {
        thread.give_up(trees);
        return match reason {
            Error::Corrupted { .. } => Ok(rebuild(home, options, before, reason)?),
            other => Err(other.into()),
        };
    }
    match Found::recover(home, options, (before, Some(&trees))) {
        Ok(found) => Ok(Sound { thread, trees, found, healing: None }),
        Err(error) => {
            thread.give_up(trees);
            match error {
                full @ Error::NoSpace { .. } => Err(Unsound::Full(full)),
                error => Err(error.into()),
            }
        }
    }
}

/// The trees must have every event of the sealed files: a file is sealed only after they do.
fn check_fit(home: &Home, trees: &Trees) -> Result<(), Error> {
    let head = trees.head()?;
    let identity = home.identity();
    if !identity.directory.is_dir() {
        return Ok(());
    }
    let sealed = resolve::resolve(&identity, &Noted::new(), false)?.sealed;
    // A damaged file says nothing about the trees.
    let newest = sealed.iter().rev().find_map(|key| {
        let path = key.sealed_path(&identity.directory);
        SealedFile::open(&path, identity.store_id, &identity.checksum).ok()
    });
    let Some(file) = newest else { return Ok(()) };
    let sealed = end_of(file.facts());
    if head.frame_number >= sealed.frame_number {
        return Ok(());
    }
    let reason =
        format!("they end at position {}, but once reached {}", head.position, sealed.position);
    Err(Error::corrupted("the directory trees", Some(head.position + 1), reason))
}

/// Rebuilds the trees; `reason` says why.
fn rebuild(
    home: &Home,
    options: &StorageOptions,
    before: Option<HeadRecord>,
    reason: Error,
) -> Result<Sound, Error> {
    if !options.rebuilds {
        return Err(reason);
    }
    let started = Instant::now();
    let made = make(home, options, before);
    let (thread, trees, found) = made.map_err(|failure| match failure {
        Error::Corrupted { place, position, reason: other } => {
            let reason = format!(
                "{other}; the trees cannot be used either ({}): `annals repair` shows what can be \
                 kept",
                reason.chain()
            );
            Error::Corrupted { place, position, reason }
        }
        other => other,
    })?;
    let rebuilt_events = trees.head().map_or(0, |head| head.position);
    match exchange(home) {
        Ok(set_aside) => {
            let trees = trees.moved_to(home.path.join(names::TREES));
            let healing = Healing {
                rebuilt_events,
                duration: started.elapsed(),
                reason: reason.chain(),
                set_aside,
            };
            Ok(Sound { thread, trees, found, healing: Some(healing) })
        }
        Err(error) => {
            thread.give_up(trees);
            Err(error)
        }
    }
}

/// Builds new trees next to the old ones, and reads the journal that they were built from.
fn make(
    home: &Home,
    options: &StorageOptions,
    before: Option<HeadRecord>,
) -> Result<(Thread, Trees, Found), Error> {
    let directory = home.path.join(names::TREES_UNFINISHED);
    let identity = home.identity();
    let rebuild = Rebuild {
        open: OpenTrees { directory, ..home.trees(options) },
        files: resolve::resolve(&identity, &Noted::new(), false)?,
        accepts_gaps: options.losses >= Losses::Gaps,
        is_large: options.rebuilds_large,
        identity,
    };
    let made = Thread::begin(Make::Rebuild(rebuild), &options.on_rebuild);
    let made = made.and_then(|(thread, trees)| {
        match Found::recover(home, options, (before, Some(&trees))) {
            Ok(found) => Ok((thread, trees, found)),
            Err(error) => {
                thread.give_up(trees);
                Err(error)
            }
        }
    });
    if made.is_err() {
        // If this fails, the next open does it.
        let _ = files::remove_directory(&home.path.join(names::TREES_UNFINISHED));
    }
    made
}

/// Replaces the old trees, which are kept as evidence, with the new ones.
fn exchange(home: &Home) -> Result<Option<PathBuf>, Error> {
    let trees = home.path.join(names::TREES);
    let set_aside = match trees.symlink_metadata() {
        Ok(_) => Some(files::set_aside(&trees)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::io("set aside", &trees, source)),
    };
    let made = home.path.join(names::TREES_UNFINISHED);
    fs::rename(&made, &trees).map_err(|source| Error::io("rename to", &trees, source))?;
    files::sync_directory(&home.path)?;
    Ok(set_aside)
}
