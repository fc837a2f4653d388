//! Why a call failed: the contents of an `annals_error`.

use std::{
    any::Any,
    error::Error as _,
    fmt::{self, Display},
    io,
};

use crate::ffi::{
    expected,
    status::{
        ANNALS_E_BUSY, ANNALS_E_CALLBACK, ANNALS_E_CONDITION, ANNALS_E_CORRUPT, ANNALS_E_FORKED,
        ANNALS_E_INVALID_ARGUMENT, ANNALS_E_MISUSE, ANNALS_E_NO_MEMORY, ANNALS_E_PANIC,
        ANNALS_E_READ_ONLY, ANNALS_E_UNSUPPORTED, ANNALS_E_VERSION_CONFLICT, annals_status,
    },
};
use crate::{AppendError, Error, FailedCondition, Finding, ImportError};

/// A failure on its way to the caller.
pub(in crate::ffi) type Fault = Box<Details>;

/// The result of a call.
pub(in crate::ffi) type Outcome = Result<annals_status, Fault>;

/// The contents of an error object. It is plain data, so that a sticky error can be returned again.
#[derive(Clone, Debug, Default)]
pub(in crate::ffi) struct Details {
    pub(in crate::ffi) status: annals_status,
    /// Ends with a NUL and contains no other.
    pub(in crate::ffi) message: Vec<u8>,
    pub(in crate::ffi) os_code: i32,
    pub(in crate::ffi) conflicts: Vec<Conflict>,
    pub(in crate::ffi) conditions: Vec<FailedCondition>,
    pub(in crate::ffi) place: Option<Place>,
    pub(in crate::ffi) callback_code: i32,
}

/// One violated check of an append.
#[derive(Clone, Debug)]
pub(in crate::ffi) struct Conflict {
    /// Ends with a NUL.
    pub(in crate::ffi) stream: Vec<u8>,
    /// The index of the entry in the append or batch.
    pub(in crate::ffi) index: usize,
    pub(in crate::ffi) expected: u64,
    pub(in crate::ffi) actual: u64,
}

/// Where in an input the error is.
#[derive(Clone, Copy, Debug)]
pub(in crate::ffi) struct Place {
    pub(in crate::ffi) line: u64,
    /// 0 if only the line is known.
    pub(in crate::ffi) column: u64,
}

impl Details {
    pub(in crate::ffi) fn new(status: annals_status, message: impl Display) -> Fault {
        let message = terminated(&message.to_string());
        Box::new(Details { status, message, ..Details::default() })
    }

    pub(in crate::ffi) fn invalid(argument: &str, reason: impl Display) -> Fault {
        Details::new(ANNALS_E_INVALID_ARGUMENT, format_args!("invalid {argument}: {reason}"))
    }

    pub(in crate::ffi) fn misuse(reason: impl Display) -> Fault {
        Details::new(ANNALS_E_MISUSE, reason)
    }

    pub(in crate::ffi) fn unsupported(reason: impl Display) -> Fault {
        Details::new(ANNALS_E_UNSUPPORTED, reason)
    }

    pub(in crate::ffi) fn busy(what: &str) -> Fault {
        let advice = "another call on it is running, on this thread or on another";
        Details::new(ANNALS_E_BUSY, format_args!("the {what} is in use: {advice}"))
    }

    pub(in crate::ffi) fn live() -> Fault {
        Details::new(ANNALS_E_BUSY, "the projection is live: make a new one for this")
    }

    /// A live projection follows the appends of its own store, and a reader has none.
    pub(in crate::ffi) fn never_live() -> Fault {
        let advice = "call annals_projection_catch_up instead";
        let reason = format_args!("a projection of a reader cannot be live: {advice}");
        Details::new(ANNALS_E_READ_ONLY, reason)
    }

    pub(in crate::ffi) fn forked() -> Fault {
        Details::new(ANNALS_E_FORKED, Error::Forked)
    }

    pub(in crate::ffi) fn no_memory(what: &str) -> Fault {
        Details::new(ANNALS_E_NO_MEMORY, format_args!("not enough memory for {what}"))
    }

    /// The callback returned `code`, which is negative.
    pub(in crate::ffi) fn callback(name: &str, code: i32) -> Fault {
        let mut fault =
            Details::new(ANNALS_E_CALLBACK, format_args!("the {name} callback failed with {code}"));
        fault.callback_code = code;
        fault
    }

    /// A panic was caught before it could reach C.
    pub(in crate::ffi) fn panicked(payload: &(dyn Any + Send)) -> Fault {
        let text = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("it has no message");
        Details::new(ANNALS_E_PANIC, format_args!("a bug in annals caused a panic: {text}"))
    }

    /// An earlier call on the same store panicked.
    pub(in crate::ffi) fn has_panicked() -> Fault {
        let reason = "an earlier call panicked inside annals: close the store and open it again";
        Details::new(ANNALS_E_PANIC, reason)
    }

    /// A finding of a verification, as an error object for its callback.
    pub(in crate::ffi) fn finding(finding: &Finding) -> Fault {
        Details::new(ANNALS_E_CORRUPT, finding)
    }

    /// Prefixes the message with the argument that it is about.
    pub(in crate::ffi) fn of(mut self: Box<Self>, argument: impl Display) -> Fault {
        let own = String::from_utf8_lossy(self.text()).into_owned();
        self.message = terminated(&format!("{argument}: {own}"));
        self
    }

    /// The message without its NUL.
    pub(in crate::ffi) fn text(&self) -> &[u8] {
        self.message.strip_suffix(&[0]).unwrap_or_default()
    }
}

/// A string for C. A NUL inside, which would end it early, becomes the replacement character.
pub(in crate::ffi) fn terminated(text: &str) -> Vec<u8> {
    let mut bytes = text.replace('\0', "\u{FFFD}").into_bytes();
    bytes.push(0);
    bytes
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::from(&error)
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Fault {
        let mut fault = Details::new(error.code() as annals_status, error.chain());
        fault.os_code = os_code(error);
        match error {
            &Error::Parse { line, column, .. } => fault.place = Some(Place { line, column }),
            Error::Handler { source, .. } => {
                let failed = source.downcast_ref::<CallbackFailed>();
                fault.callback_code = failed.map_or(0, |CallbackFailed(code)| *code);
            }
            _ => {}
        }
        fault
    }
}

/// The value, which is negative, that a callback returned as a handler.
#[derive(Clone, Copy, Debug)]
pub(in crate::ffi) struct CallbackFailed(pub(in crate::ffi) i32);

impl Display for CallbackFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the callback failed with {}", self.0)
    }
}

impl std::error::Error for CallbackFailed {}

impl From<AppendError> for Fault {
    fn from(error: AppendError) -> Fault {
        match error {
            AppendError::Failed(error) => error.into(),
            AppendError::Conflict(conflict) => {
                let mut fault = Details::new(ANNALS_E_VERSION_CONFLICT, &conflict);
                fault.conflicts = conflict.conflicts().iter().map(Conflict::from).collect();
                fault.conditions = conflict.conditions().to_vec();
                fault
            }
            AppendError::Condition(failed) => {
                let mut fault = Details::new(ANNALS_E_CONDITION, &failed);
                fault.conditions = failed.conditions().to_vec();
                fault
            }
        }
    }
}

impl From<ImportError> for Fault {
    fn from(failure: ImportError) -> Fault {
        let line = failure.line;
        let fault = Fault::from(failure.error);
        match line {
            Some(line) if fault.place.is_none() => {
                let mut fault = fault.of(format_args!("line {line}"));
                fault.place = Some(Place { line, column: 0 });
                fault
            }
            _ => fault,
        }
    }
}

impl From<&crate::Conflict> for Conflict {
    fn from(conflict: &crate::Conflict) -> Conflict {
        let expected = expected::to_c(conflict.expected);
        let stream = terminated(&conflict.stream);
        Conflict { stream, index: conflict.index, expected, actual: conflict.actual }
    }
}

/// The error number of the operating system; 0 if there is none.
fn os_code(error: &Error) -> i32 {
    match error {
        Error::Io { source, .. } | Error::NoSpace { source: Some(source), .. } => io_code(source),
        Error::Poisoned { cause } => os_code(cause),
        other => other.source().and_then(|source| source.downcast_ref()).map_or(0, io_code),
    }
}

/// The error number of an I/O error. The standard library creates some errors itself, without a
/// number from the system.
fn io_code(error: &io::Error) -> i32 {
    use rustix::io::Errno;

    let number = match error.kind() {
        io::ErrorKind::NotFound => Errno::NOENT,
        io::ErrorKind::PermissionDenied => Errno::ACCESS,
        io::ErrorKind::AlreadyExists => Errno::EXIST,
        io::ErrorKind::NotADirectory => Errno::NOTDIR,
        io::ErrorKind::IsADirectory => Errno::ISDIR,
        io::ErrorKind::DirectoryNotEmpty => Errno::NOTEMPTY,
        io::ErrorKind::StorageFull => Errno::NOSPC,
        io::ErrorKind::QuotaExceeded => Errno::DQUOT,
        _ => return error.raw_os_error().unwrap_or(0),
    };
    error.raw_os_error().unwrap_or(number.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_nul_inside_does_not_end_a_message() {
        let fault = Details::misuse("one\0two").of("three");
        assert_eq!(fault.message, "three: one\u{FFFD}two\0".as_bytes());
        assert_eq!(fault.text().len(), fault.message.len().saturating_sub(1));
    }

    #[test]
    fn errors_that_the_system_did_not_number_get_its_number() {
        let source = Arc::new(io::Error::from(io::ErrorKind::NotFound));
        let missing = Error::Io { action: "open", path: "store".into(), source };
        assert_eq!(Fault::from(missing).os_code, rustix::io::Errno::NOENT.raw_os_error());
        let source = Arc::new(io::Error::other("a callback"));
        let other = Error::Io { action: "read", path: "store".into(), source };
        assert_eq!(Fault::from(other).os_code, 0);
    }
}
