//! Exit codes, and the failures that lead to them.

use std::{io, process::ExitCode};

use annals::{AppendError, Error, ErrorCode};

/// What the program tells its caller by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done. Also: whoever read the output has read enough.
    Done,
    /// An expected "no": a version conflict, an event id in use, findings of `verify`.
    No,
    /// The command line is wrong: an invalid argument, or a limit passed.
    Usage,
    /// The input data is wrong.
    Input,
    /// Another process has the store open.
    Locked,
    /// The store is damaged, or of a newer format.
    Corrupted,
    /// The system refused: no such store or file, no space, or a failed write.
    System,
    /// A fault of the program itself.
    Internal,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Input => 3,
            Exit::Locked => 4,
            Exit::Corrupted => 5,
            Exit::System => 6,
            Exit::Internal => 70,
        })
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Exit {
        match code {
            ErrorCode::VersionConflict | ErrorCode::DuplicateEventId => Exit::No,
            ErrorCode::InvalidArgument | ErrorCode::LimitExceeded => Exit::Usage,
            ErrorCode::Parse => Exit::Input,
            ErrorCode::Locked => Exit::Locked,
            ErrorCode::Corrupted | ErrorCode::UnsupportedFormat => Exit::Corrupted,
            ErrorCode::Io | ErrorCode::NoSpace | ErrorCode::Poisoned => Exit::System,
            // Besides defects: a command closes its own store last, and has no handlers.
            _ => Exit::Internal,
        }
    }
}

/// Why a command ended early: its exit code and what to tell, if anything.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) messages: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, messages: vec![message.into()] }
    }

    /// Standard output did not take it. A reader that has gone away is no failure.
    pub(crate) fn stdout(error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure { exit: Exit::Done, messages: Vec::new() };
        }
        Failure::new(Exit::System, format!("cannot write standard output: {error}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let mut failure = Failure::new(Exit::from(error.code()), error.chain());
        if error.code() == ErrorCode::Corrupted {
            let help = "`annals repair` shows what can be done, --apply does it; `annals salvage` \
                        saves what can be read";
            failure.messages.push(help.to_owned());
        }
        failure
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        match error {
            AppendError::Failed(error) => error.into(),
            refused => Failure::new(Exit::from(refused.code()), refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_documented_exit_code() {
        let table = [
            (ErrorCode::VersionConflict, Exit::No),
            (ErrorCode::DuplicateEventId, Exit::No),
            (ErrorCode::InvalidArgument, Exit::Usage),
            (ErrorCode::LimitExceeded, Exit::Usage),
            (ErrorCode::Parse, Exit::Input),
            (ErrorCode::Locked, Exit::Locked),
            (ErrorCode::Corrupted, Exit::Corrupted),
            (ErrorCode::UnsupportedFormat, Exit::Corrupted),
            (ErrorCode::Io, Exit::System),
            (ErrorCode::NoSpace, Exit::System),
            (ErrorCode::Poisoned, Exit::System),
            (ErrorCode::Closed, Exit::Internal),
            (ErrorCode::Handler, Exit::Internal),
            (ErrorCode::Internal, Exit::Internal),
        ];
        for (code, exit) in table {
            assert_eq!(Exit::from(code), exit, "{code:?}");
        }
    }
}
