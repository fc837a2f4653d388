//! Every error of the crate, ordered by what the caller does about it.
//!
//! There are two types. [`AppendError`] separates the two results that a program branches on, a
//! version conflict and a failed condition, from all other failures, which are an [`Error`]. The
//! numbers of [`ErrorCode`] are shared with the C header and are never reused.

mod handled;
mod violations;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

pub(crate) use handled::caught;
pub(crate) use violations::check_violations;
pub use violations::{ConditionFailed, Conflict, FailedCondition, VersionConflict};

/// What went wrong. The variants are ordered by what the caller does about them. Clones are cheap
/// and share the cause.
///
/// # Examples
/// ```
/// use annals::{Error, ErrorCode, EventStore};
///
/// let store = EventStore::in_memory()?;
/// let error = store.stream_version("").unwrap_err();
/// assert!(matches!(error, Error::InvalidArgument { .. }));
/// assert_eq!(error.code(), ErrorCode::InvalidArgument);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// An argument has the wrong form. Fix the call.
    InvalidArgument {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument exceeds one of the limits in [`limits`](crate::limits). Split or shorten it.
    LimitExceeded {
        /// What is too large, with its unit.
        what: &'static str,
        /// The largest value allowed.
        limit: u64,
        /// The value found.
        actual: u64,
    },
    /// An event id is already stored, or occurs twice in one append, and the append is not an exact
    /// retry. Nothing was written. The error names the first stored event that does not match the
    /// append; if all of them match but the append has others that are not stored, it names the
    /// first stored one.
    DuplicateEventId {
        /// The id.
        id: Uuid,
        /// The position of the stored event with this id; `None` if the id occurs twice in the
        /// append.
        position: Option<u64>,
    },
    /// Another process, or another handle in this process, has the store open. Close it there, or
    /// wait for it with [`Options::wait_for_lock`](crate::Options::wait_for_lock).
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// The process that has it open, if known.
        process: Option<u32>,
    },
    /// The files were written by a newer version of Annals: upgrade. Or they were written by a
    /// version that was never released: such stores cannot be opened.
    UnsupportedFormat {
        /// The file that contains the version.
        path: PathBuf,
        /// Its format version; 0 if it was written by a version that was never released.
        found: u32,
        /// The newest format version that this library reads.
        supported: u32,
    },
    /// Stored bytes differ from what was written; the error has no other meaning. None of the
    /// damaged bytes were returned. Keep a copy of the directory, then run `annals verify`.
    Corrupted {
        /// The file, tree or record.
        place: String,
        /// The first position affected by the damage, as far as it is known.
        position: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// The disk is full, and nothing was written. The store stays usable: free some space and
    /// repeat the call.
    NoSpace {
        /// What could not be written.
        what: String,
        /// The error of the operating system, if there was a system call.
        source: Option<Arc<io::Error>>,
    },
    /// The operating system refused an operation. An append that returns this error has written
    /// nothing; an import or an export may have written what came before.
    Io {
        /// The attempted operation: a verb.
        action: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The error of the operating system.
        source: Arc<io::Error>,
    },
    /// A write or sync failed, in this call or an earlier one, so the outcome of the appends in
    /// flight is unknown and nothing more is written. Reads go on. Reopen the store, then use event
    /// ids or the stream's version to find out what became of the appends in flight.
    Poisoned {
        /// The failure.
        cause: Arc<Error>,
    },
    /// The store is open for reading only. This happens only through the C ABI: in Rust such a call
    /// does not compile.
    ReadOnly,
    /// The store was closed.
    Closed,
    /// The call was made inside a handler and would have to wait for that handler. Make it after
    /// the handler has returned.
    Busy {
        /// The operation that was requested.
        what: &'static str,
    },
    /// The process was forked and this is the child: the store belongs to the parent. Open stores
    /// after a fork, not before.
    Forked,
    /// A line of NDJSON input is not an event. Nothing in its batch was written.
    Parse {
        /// The line, counted from 1.
        line: u64,
        /// The byte within the line, counted from 1.
        column: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A handler or an [upcaster](crate::Upcasters) supplied by the caller failed.
    Handler {
        /// Whether it was an upcaster.
        is_upcaster: bool,
        /// The type of the event that was passed to it.
        event_type: String,
        /// The position of that event.
        position: u64,
        /// The handler's own error.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A bug: Annals, or a library that it uses, contradicts itself or makes no progress. This does
    /// not mean that stored bytes are damaged. Please report it.
    Internal {
        /// The contradiction.
        reason: String,
    },
}

/// The stable number of an [`Error`]: the same in Rust, in C, and in the failures that the program
/// prints with `--json`. The exit codes of the program are fewer: each stands for several of these.
///
/// # Examples
/// ```
/// assert_eq!(annals::ErrorCode::Corrupted as i32, -60);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorCode {
    /// See [`Error::InvalidArgument`].
    InvalidArgument = -1,
    /// See [`Error::ReadOnly`].
    ReadOnly = -8,
    /// See [`Error::Closed`].
    Closed = -3,
    /// See [`Error::Busy`].
    Busy = -4,
    /// See [`Error::Forked`].
    Forked = -5,
    /// See [`Error::LimitExceeded`].
    LimitExceeded = -7,
    /// See [`AppendError::Conflict`].
    VersionConflict = -20,
    /// See [`Error::DuplicateEventId`].
    DuplicateEventId = -21,
    /// See [`AppendError::Condition`].
    Condition = -22,
    /// See [`Error::Io`].
    Io = -40,
    /// See [`Error::NoSpace`].
    NoSpace = -41,
    /// See [`Error::Locked`].
    Locked = -42,
    /// See [`Error::Poisoned`].
    Poisoned = -44,
    /// See [`Error::Corrupted`].
    Corrupted = -60,
    /// See [`Error::UnsupportedFormat`].
    UnsupportedFormat = -61,
    /// See [`Error::Parse`].
    Parse = -62,
    /// See [`Error::Handler`].
    Handler = -80,
    /// See [`Error::Internal`].
    Internal = -99,
}

impl Error {
    /// The stable number of this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::InvalidArgument { .. } => ErrorCode::InvalidArgument,
            Error::LimitExceeded { .. } => ErrorCode::LimitExceeded,
            Error::DuplicateEventId { .. } => ErrorCode::DuplicateEventId,
            Error::Locked { .. } => ErrorCode::Locked,
            Error::UnsupportedFormat { .. } => ErrorCode::UnsupportedFormat,
            Error::Corrupted { .. } => ErrorCode::Corrupted,
            Error::NoSpace { .. } => ErrorCode::NoSpace,
            Error::Io { .. } => ErrorCode::Io,
            Error::Poisoned { .. } => ErrorCode::Poisoned,
            Error::ReadOnly => ErrorCode::ReadOnly,
            Error::Closed => ErrorCode::Closed,
            Error::Busy { .. } => ErrorCode::Busy,
            Error::Forked => ErrorCode::Forked,
            Error::Parse { .. } => ErrorCode::Parse,
            Error::Handler { .. } => ErrorCode::Handler,
            Error::Internal { .. } => ErrorCode::Internal,
        }
    }

    /// The error and its causes on one line, as the command line prints them.
    ///
    /// # Examples
    /// ```
    /// let missing = annals::Options::new().create(false).open("no/such/store").unwrap_err();
    /// assert!(missing.chain().starts_with("cannot open no/such/store: "));
    /// ```
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    pub(crate) fn invalid(argument: &'static str, reason: impl Into<String>) -> Error {
        Error::InvalidArgument { argument, reason: reason.into() }
    }

    pub(crate) fn internal(reason: impl Into<String>) -> Error {
        Error::Internal { reason: reason.into() }
    }

    pub(crate) fn corrupted(
        place: impl Into<String>,
        position: Option<u64>,
        reason: impl Into<String>,
    ) -> Error {
        Error::Corrupted { place: place.into(), position, reason: reason.into() }
    }

    /// Turns a system error into [`Error::NoSpace`] or [`Error::Io`].
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Error {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::NoSpace { what: path.display().to_string(), source: Some(Arc::new(source)) }
            }
            _ => Error::Io { action, path, source: Arc::new(source) },
        }
    }

    /// Like [`io`](Self::io), for the store's own files: a directory where a file should be is
    /// damage.
    pub(crate) fn stored(action: &'static str, path: &Path, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::IsADirectory => {
                let reason = "it is a directory, not a file";
                Error::corrupted(path.display().to_string(), None, reason)
            }
            _ => Error::io(action, path, source),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument { argument, reason } => {
                write!(f, "invalid {argument}: {reason}")
            }
            Error::LimitExceeded { what, limit, actual } => {
                write!(f, "{what} exceeds the limit of {limit}: {actual}")
            }
            Error::DuplicateEventId { id, position: Some(position) } => write!(
                f,
                "event id {id} is already used at position {position}, and this append is not an \
                 exact retry of that one"
            ),
            Error::DuplicateEventId { id, position: None } => {
                write!(f, "event id {id} occurs twice in the append")
            }
            Error::Locked { path, process: Some(process) } if *process == std::process::id() => {
                write!(f, "{} is already open in this process: close it there", path.display())
            }
            Error::Locked { path, process: Some(process) } => {
                write!(
                    f,
                    "{} is open elsewhere, in process {process}: close it there",
                    path.display()
                )
            }
            Error::Locked { path, process: None } => {
                let rule = "only one process at a time can open a store for writing";
                write!(f, "{} is open elsewhere: {rule}", path.display())
            }
            Error::UnsupportedFormat { path, found: 0, .. } => write!(
                f,
                "{} was written by an unreleased version of annals: export the events with that \
                 version, and import them into a new store",
                path.display()
            ),
            Error::UnsupportedFormat { path, found, supported } => write!(
                f,
                "{} has format {found}, and this version of annals reads up to {supported}: \
                 upgrade annals",
                path.display()
            ),
            Error::Corrupted { place, position, reason } => {
                write!(f, "{place} is damaged{}: {reason}", at_position(*position))
            }
            Error::NoSpace { what, .. } => write!(f, "no space left for {what}"),
            Error::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
            Error::Poisoned { .. } => {
                f.write_str("a write failed, so the store refuses writes until it is reopened")
            }
            Error::ReadOnly => f.write_str("the store is open for reading only"),
            Error::Closed => f.write_str("the store is closed"),
            Error::Busy { what } => {
                write!(f, "{what} would wait for the handler that called it: call it afterwards")
            }
            Error::Forked => f.write_str(
                "the store belongs to the process that opened it, and this is a forked child: open \
                 stores after the fork",
            ),
            Error::Parse { line, column, reason } => {
                write!(f, "line {line}, column {column}: {reason}")
            }
            Error::Handler { is_upcaster, event_type, position, .. } => {
                let what = if *is_upcaster { "upcaster" } else { "handler" };
                write!(f, "the {what} for {event_type} failed at position {position}")
            }
            Error::Internal { reason } => write!(f, "internal error in annals: {reason}"),
        }
    }
}

/// Implemented by hand: a derived `source` would return the `Arc` around a cause, and no caller
/// could get at the type of the cause.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::NoSpace { source, .. } => source.as_deref().map(|source| source as _),
            Error::Io { source, .. } => Some(&**source),
            Error::Poisoned { cause } => Some(&**cause),
            Error::Handler { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

fn at_position(position: Option<u64>) -> String {
    position.map(|position| format!(" at position {position}")).unwrap_or_default()
}

/// Why an append failed.
///
/// # Examples
/// ```
/// use annals::{AppendError, EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// let event = NewEvent::json("Opened", &1)?;
/// match store.append("account-1", ExpectedVersion::Exact(7), [event]) {
///     Err(AppendError::Conflict(conflict)) => assert_eq!(conflict.actual, 0),
///     other => panic!("a conflict was due, not {other:?}"),
/// }
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// An expected version did not hold. Nothing was written: read the stream again and make a new
    /// decision.
    #[error(transparent)]
    Conflict(#[from] VersionConflict),
    /// A condition of the batch excludes an event that exists; all expected versions held. Nothing
    /// was written: query again and make a new decision.
    #[error(transparent)]
    Condition(#[from] ConditionFailed),
    /// Any other failure.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl AppendError {
    /// The stable number of this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            AppendError::Conflict(_) => ErrorCode::VersionConflict,
            AppendError::Condition(_) => ErrorCode::Condition,
            AppendError::Failed(error) => error.code(),
        }
    }
}
