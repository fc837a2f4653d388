//! Expected versions: their values in C, and both conversions.

use crate::ExpectedVersion;

/// As an expected version: any version. Nothing is checked.
pub const ANNALS_EXPECT_ANY: u64 = u64::MAX;
/// As an expected version: the stream has at least one event.
pub const ANNALS_EXPECT_STREAM_EXISTS: u64 = u64::MAX - 1;
/// As an expected version: the stream has no events.
pub const ANNALS_EXPECT_NO_STREAM: u64 = 0;

pub(in crate::ffi) fn from_c(version: u64) -> ExpectedVersion {
    match version {
        ANNALS_EXPECT_ANY => ExpectedVersion::Any,
        ANNALS_EXPECT_STREAM_EXISTS => ExpectedVersion::StreamExists,
        ANNALS_EXPECT_NO_STREAM => ExpectedVersion::NoStream,
        version => ExpectedVersion::Exact(version),
    }
}

pub(in crate::ffi) fn to_c(expected: ExpectedVersion) -> u64 {
    match expected {
        ExpectedVersion::Any => ANNALS_EXPECT_ANY,
        ExpectedVersion::NoStream => ANNALS_EXPECT_NO_STREAM,
        ExpectedVersion::StreamExists => ANNALS_EXPECT_STREAM_EXISTS,
        ExpectedVersion::Exact(version) => version,
    }
}
