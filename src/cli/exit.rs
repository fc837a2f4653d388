//! Exit codes, and the failures that lead to them.

use std::{io, process::ExitCode};

use annals::{AppendError, Error, ErrorCode};
use serde::Serialize;

/// The outcome that the exit code reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success. Also if the reader of the output closed it early.
    Done,
    /// An expected "no": a version conflict, an event id in use, findings of `verify`.
    No,
    /// The command line is wrong: an invalid argument, or a limit exceeded.
    Usage,
    /// The input data is wrong.
    Input,
    /// Another process has the store open.
    Locked,
    /// The store is damaged, or of a newer format.
    Corrupted,
    /// The system refused: no such store or file, no space, a failed write.
    System,
    /// A bug in the program.
    Internal,
    /// A signal ended the command.
    Interrupted,
}

impl Exit {
    fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Input => 3,
            Exit::Locked => 4,
            Exit::Corrupted => 5,
            Exit::System => 6,
            Exit::Internal => 70,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
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
            // `Closed`: the directory of a store that is read has disappeared.
            ErrorCode::Io | ErrorCode::NoSpace | ErrorCode::Poisoned | ErrorCode::Closed => {
                Exit::System
            }
            // Bugs, and errors of handlers, which commands do not have.
            _ => Exit::Internal,
        }
    }
}

/// Why a command ended early: its exit code, and the messages to print, if any.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) messages: Vec<String>,
    /// The code of the library's error, if it was one.
    code: Option<ErrorCode>,
}

/// A failure as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct FailureReport<'a> {
    /// What went wrong.
    error: &'a str,
    /// Further messages, such as what to do next.
    notes: &'a [String],
    /// The stable number of the library's error, and its name.
    code: Option<i32>,
    name: Option<String>,
    exit: u8,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, messages: vec![message.into()], code: None }
    }

    /// The same failure with one more message.
    pub(crate) fn note(mut self, message: impl Into<String>) -> Failure {
        self.messages.push(message.into());
        self
    }

    /// The object printed with `--json`, unless there is no message.
    pub(crate) fn report(&self) -> Option<FailureReport<'_>> {
        let (error, notes) = self.messages.split_first()?;
        Some(FailureReport {
            error,
            notes,
            code: self.code.map(|code| code as i32),
            name: self.code.map(|code| format!("{code:?}")),
            exit: self.exit.number(),
        })
    }

    /// The same failure, attributed to input data instead of the command line.
    pub(crate) fn of_input(mut self) -> Failure {
        if self.exit == Exit::Usage {
            self.exit = Exit::Input;
        }
        self
    }

    /// A failed write to standard output. A reader that closed the pipe is not a failure.
    pub(crate) fn stdout(error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure { exit: Exit::Done, messages: Vec::new(), code: None };
        }
        Failure::new(Exit::System, format!("cannot write to standard output: {error}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let mut failure = Failure::new(Exit::from(error.code()), error.chain());
        failure.code = Some(error.code());
        let next = match error.code() {
            ErrorCode::Corrupted => {
                "`annals repair` shows what can be done, `annals repair --apply` does it, and \
                 `annals salvage` saves every event that can be read"
            }
            ErrorCode::Closed => "its directory has been removed or replaced",
            ErrorCode::NoSpace => "free some space, then run the command again",
            _ => return failure,
        };
        failure.messages.push(next.to_owned());
        failure
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        match error {
            AppendError::Failed(error) => error.into(),
            refused => Failure {
                code: Some(refused.code()),
                ..Failure::new(Exit::from(refused.code()), refused.to_string())
            },
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
            (ErrorCode::Closed, Exit::System),
            (ErrorCode::Handler, Exit::Internal),
            (ErrorCode::Internal, Exit::Internal),
        ];
        for (code, exit) in table {
            assert_eq!(Exit::from(code), exit, "{code:?}");
        }
    }
}
