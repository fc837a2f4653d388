//! Exit codes, and the failures that lead to them.

use std::{io, process::ExitCode};

use annals::{AppendError, Error, ErrorCode};
use serde::Serialize;
use serde_json::{Map, Value};

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
    /// The values in the messages, by name.
    pub(crate) details: Map<String, Value>,
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
    /// The values in the messages, such as the line of a bad input.
    #[serde(flatten)]
    details: &'a Map<String, Value>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, messages: vec![message.into()], code: None, details: Map::new() }
    }

    /// Adds a value under its name.
    pub(crate) fn detail(&mut self, name: &str, value: impl Into<Value>) {
        self.details.insert(name.to_owned(), value.into());
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
            details: &self.details,
        })
    }

    fn note_details(&mut self, error: &Error) {
        match error {
            Error::Parse { line, column, .. } => {
                self.detail("line", *line);
                self.detail("column", *column);
            }
            Error::DuplicateEventId { id, position } => {
                self.detail("id", id.to_string());
                self.detail("position", *position);
            }
            Error::Corrupted { place, position, .. } => {
                self.detail("place", place.as_str());
                self.detail("position", *position);
            }
            Error::LimitExceeded { limit, actual, .. } => {
                self.detail("limit", *limit);
                self.detail("actual", *actual);
            }
            _ => {}
        }
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
            return Failure { messages: Vec::new(), ..Failure::new(Exit::Done, "") };
        }
        Failure::new(Exit::System, format!("cannot write to standard output: {error}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let mut failure = Failure::new(Exit::from(error.code()), error.chain());
        failure.code = Some(error.code());
        failure.note_details(&error);
        let is_full = match &error {
            Error::Poisoned { cause } => cause.code() == ErrorCode::NoSpace,
            _ => false,
        };
        let next = match error.code() {
            ErrorCode::Corrupted => {
                "`annals repair` shows what can be done, `annals repair --apply` does it, and \
                 `annals salvage` saves every event that can be read"
            }
            ErrorCode::Closed => "its directory has been removed or replaced",
            ErrorCode::Poisoned if is_full => "free some space, then run the command again",
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
            refused => {
                let mut failure = Failure::new(Exit::from(refused.code()), refused.to_string());
                failure.code = Some(refused.code());
                if let AppendError::Conflict(conflict) = &refused {
                    failure.detail("stream_id", conflict.stream.as_str());
                    failure.detail("expected", conflict.expected.to_string());
                    failure.detail("actual", conflict.actual);
                }
                failure
            }
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
