//! Every error of the crate, ordered by what the caller does about it.
//!
//! Two types for two readers: [`AppendError`] separates the two answers that a program branches on,
//! a version conflict and a failed condition, from everything that went wrong; [`Error`] is the
//! rest. The numbers of [`ErrorCode`] are shared with the C header and are never reused.

mod handled;
mod violations;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

pub(crate) use violations::check_violations;
pub use violations::{ConditionFailed, Conflict, FailedCondition, VersionConflict};

/// What went wrong. The variants stand in the order of what the caller does about them. Clones are
/// cheap, and share the cause.
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
    /// An argument is not of the form that the call takes. Fix the call.
    InvalidArgument {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument is past one of the limits in [`limits`](crate::limits). Split or shorten it.
    LimitExceeded {
        /// What is too large, with its unit.
        what: &'static str,
        /// The largest value allowed.
        limit: u64,
        /// The value found.
        actual: u64,
    },
    /// An event id is stored already, or comes twice in one append, and the append is not an exact
    /// retry: of the events whose ids are stored this is the first that does not fit, or the first
    /// of all when others are not stored. Nothing was written.
    DuplicateEventId {
        /// The id.
        id: Uuid,
        /// Where the event with this id is stored; `None` when the id comes twice in the append.
        position: Option<u64>,
    },
    /// Another process, or another handle of this process, has the store open. Close it there.
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// The process that has it open, where it is known.
        process: Option<u32>,
    },
    /// The files were written by a newer version of Annals: upgrade. Or by one that was never
    /// released: its stores cannot be opened.
    UnsupportedFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its format version; 0 when it was written by a version that was never released.
        found: u32,
        /// The newest format version that this library reads.
        supported: u32,
    },
    /// Stored bytes are not what was written; it means nothing else. Nothing of them was served.
    /// Keep a copy of the directory, then run `annals verify`.
    Corrupted {
        /// The file, tree or record.
        place: String,
        /// The first position that the damage touches, as far as it is known.
        position: Option<u64>,
        /// What does not fit.
        reason: String,
    },
    /// The disk is full, and nothing was written. The store stays usable: free some space and
    /// repeat the call.
    NoSpace {
        /// What was to be written.
        what: String,
        /// The system's answer, where it was asked.
        source: Option<Arc<io::Error>>,
    },
    /// The operating system refused something. Nothing of this call was written.
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// A write or sync failed, now or earlier, so the outcome of the appends in flight is unknown
    /// and nothing more is written. Reads go on. Reopen the store, then settle what was in flight
    /// by its event ids or by the stream's version.
    Poisoned {
        /// The failure.
        cause: Arc<Error>,
    },
    /// The store is open for reading alone, through the C ABI: in Rust such a call does not
    /// compile.
    ReadOnly,
    /// The store was closed.
    Closed,
    /// The call was made from inside a handler whose own work it would have to wait for. Make it
    /// when the handler has returned.
    Busy {
        /// What was asked for.
        what: &'static str,
    },
    /// The process was forked, and this is the child: the store belongs to the parent. Open stores
    /// after a fork, not before.
    Forked,
    /// A line of NDJSON input is not an event. Nothing of its batch was written.
    Parse {
        /// The line, counted from 1.
        line: u64,
        /// The byte within the line, counted from 1.
        column: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A handler of the caller's failed.
    Handler {
        /// The type of the event that it was given.
        event_type: String,
        /// The position of that event.
        position: u64,
        /// The handler's own error.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A defect: Annals, or a library that it uses, contradicts itself or makes no progress. It
    /// says nothing against stored bytes. Please report it.
    Internal {
        /// What should not be.
        reason: String,
    },
}

/// The stable number of an [`Error`]: the same in Rust, in C and in the command line's exit codes.
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

    /// The error and its causes in one line, as the command line shows it.
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

    /// As [`io`](Self::io), for the store's own files: a directory in the place of one is damage.
    pub(crate) fn stored(action: &'static str, path: &Path, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::IsADirectory => {
                let reason = "a directory stands in its place";
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
                write!(f, "{what} is past its limit: {actual}, and at most {limit} are allowed")
            }
            Error::DuplicateEventId { id, position } => {
                write!(f, "event id {id} is already used{}", at_position(*position))
            }
            Error::Locked { path, process: Some(process) } => {
                write!(f, "{} is open elsewhere, in process {process}", path.display())
            }
            Error::Locked { path, process: None } => {
                let rule = "one process at a time may have a store open";
                write!(f, "{} is open elsewhere: {rule}", path.display())
            }
            Error::UnsupportedFormat { path, found: 0, .. } => write!(
                f,
                "{} was made by an unreleased version of annals, whose stores cannot be opened",
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
                f.write_str("the store takes no more writes after a failure: reopen it")
            }
            Error::ReadOnly => f.write_str("the store is open for reading alone"),
            Error::Closed => f.write_str("the store is closed"),
            Error::Busy { what } => {
                write!(f, "{what} cannot be had in a handler that it would have to wait for")
            }
            Error::Forked => f.write_str(
                "the store belongs to the process that opened it, not to a forked child",
            ),
            Error::Parse { line, column, reason } => {
                write!(f, "line {line}, column {column}: {reason}")
            }
            Error::Handler { event_type, position, .. } => {
                write!(f, "the handler for {event_type} failed at position {position}")
            }
            Error::Internal { reason } => write!(f, "a defect inside annals: {reason}"),
        }
    }
}

/// By hand, because a derived `source` would be the `Arc` around a cause, and no caller could get
/// at the type of the cause.
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

/// Why an append did not happen.
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
    /// An expected version did not hold. Nothing was written: read the stream again and decide
    /// anew.
    #[error(transparent)]
    Conflict(#[from] VersionConflict),
    /// An event matches that a condition of the batch excludes, and every expected version held.
    /// Nothing was written: query again and decide anew.
    #[error(transparent)]
    Condition(#[from] ConditionFailed),
    /// Anything else.
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
