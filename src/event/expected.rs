//! Optimistic concurrency: what an append expects of its stream.

use std::{fmt, str::FromStr};

/// What an append requires of a stream before it writes.
///
/// A stream's version is the number of its events; 0 means that the stream does not exist.
///
/// # Examples
/// ```
/// use annals::ExpectedVersion;
///
/// assert!(ExpectedVersion::NoStream.is_satisfied_by(0));
/// assert!(!ExpectedVersion::Exact(3).is_satisfied_by(4));
/// assert_eq!("stream-exists".parse(), Ok(ExpectedVersion::StreamExists));
/// assert_eq!(ExpectedVersion::Exact(3).to_string(), "3");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Any number of events.
    #[default]
    Any,
    /// No events: the same as `Exact(0)`.
    NoStream,
    /// At least one event.
    StreamExists,
    /// Exactly this many events.
    Exact(u64),
}

impl ExpectedVersion {
    /// Whether a stream with `actual` events meets the expectation.
    pub fn is_satisfied_by(self, actual: u64) -> bool {
        match self {
            ExpectedVersion::Any => true,
            ExpectedVersion::NoStream => actual == 0,
            ExpectedVersion::StreamExists => actual > 0,
            ExpectedVersion::Exact(expected) => actual == expected,
        }
    }
}

/// Writes `any`, `no-stream`, `stream-exists` or the number: the forms that [`FromStr`] reads.
impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpectedVersion::Any => f.write_str("any"),
            ExpectedVersion::NoStream => f.write_str("no-stream"),
            ExpectedVersion::StreamExists => f.write_str("stream-exists"),
            ExpectedVersion::Exact(version) => write!(f, "{version}"),
        }
    }
}

/// The text is not an expected version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of any, no-stream, exists, or a number of events")]
pub struct ParseExpectedVersionError(String);

impl FromStr for ExpectedVersion {
    type Err = ParseExpectedVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(ExpectedVersion::Any),
            "no-stream" => Ok(ExpectedVersion::NoStream),
            "exists" | "stream-exists" => Ok(ExpectedVersion::StreamExists),
            number => {
                let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
                let version = number.parse().ok().filter(|_| is_plain);
                let fault = || ParseExpectedVersionError(text.to_owned());
                version.map(ExpectedVersion::Exact).ok_or_else(fault)
            }
        }
    }
}
