//! A point in time, and the form in which it was written.
//!
//! The text form is that of Python's `datetime.isoformat()`: `2024-05-01T12:30:00`, followed by six
//! digits of microseconds unless they are all zero, and by the offset as `+02:00`, or by nothing
//! for a time without a zone. Parsing also accepts any RFC 3339 form (RFC 3339, section 5.6).

use std::{fmt, ops::RangeInclusive, str::FromStr};

use jiff::{SignedDuration, civil};

use crate::Error;

const MICROS_PER_MINUTE: i64 = 60_000_000;
const OFFSET_MINUTES_MAX: i16 = 23 * 60 + 59;

/// The years 1 to 9999: from 0001-01-01T00:00:00 to 9999-12-31T23:59:59.999999.
const LOCAL_MICROS: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

const EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A time in microseconds since the Unix epoch, and the form in which it was written: in UTC, with
/// a fixed offset, or naive, without a zone. The date as written is in the years 1 to 9999.
///
/// A naive time is treated as UTC wherever times are compared.
///
/// # Examples
/// ```
/// use annals::{Timestamp, UtcOffset};
///
/// let time: Timestamp = "2024-05-01T14:30:00.5+02:00".parse()?;
/// assert_eq!(time.offset(), UtcOffset::Minutes(120));
/// assert_eq!(time.to_string(), "2024-05-01T14:30:00.500000+02:00");
/// assert_eq!(Timestamp::naive(0)?.to_string(), "1970-01-01T00:00:00");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    micros: i64,
    offset: UtcOffset,
}

/// The zone in which a [`Timestamp`] was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UtcOffset {
    /// No zone, as in the result of Python's `datetime.now()`.
    Naive,
    /// Whole minutes ahead of UTC; 0 is UTC itself.
    Minutes(i16),
}

impl Timestamp {
    /// A time in UTC, in microseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] outside the years 1 to 9999.
    pub fn utc(micros: i64) -> Result<Timestamp, Error> {
        Timestamp::new(micros, UtcOffset::Minutes(0))
    }

    /// A time without a zone: `micros` is the time since the Unix epoch if its date and time are
    /// taken as UTC.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] outside the years 1 to 9999.
    pub fn naive(micros: i64) -> Result<Timestamp, Error> {
        Timestamp::new(micros, UtcOffset::Naive)
    }

    /// A time in microseconds since the Unix epoch, written with `offset`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the date as written would be outside the years 1 to 9999, or
    /// if the offset is a day or more.
    pub fn new(micros: i64, offset: UtcOffset) -> Result<Timestamp, Error> {
        if let UtcOffset::Minutes(minutes) = offset
            && minutes.unsigned_abs() > OFFSET_MINUTES_MAX.unsigned_abs()
        {
            let reason = format!("an offset of {minutes} minutes is a day or more");
            return Err(Error::invalid("timestamp", reason));
        }
        let timestamp = Timestamp { micros, offset };
        if !timestamp.local_micros().is_some_and(|local| LOCAL_MICROS.contains(&local)) {
            let reason = format!("{micros} microseconds lie outside the years 1 to 9999");
            return Err(Error::invalid("timestamp", reason));
        }
        Ok(timestamp)
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// The zone in which the time was written.
    pub fn offset(self) -> UtcOffset {
        self.offset
    }

    /// The nearest valid UTC time, for clocks that may return any value.
    pub(crate) fn utc_clamped(micros: i64) -> Timestamp {
        let micros = micros.clamp(*LOCAL_MICROS.start(), *LOCAL_MICROS.end());
        Timestamp { micros, offset: UtcOffset::Minutes(0) }
    }

    /// The date and time as written, in microseconds since 1970 in its own zone.
    fn local_micros(self) -> Option<i64> {
        match self.offset {
            UtcOffset::Naive => Some(self.micros),
            UtcOffset::Minutes(minutes) => {
                self.micros.checked_add(i64::from(minutes) * MICROS_PER_MINUTE)
            }
        }
    }

    /// The date and time as written.
    fn local(self) -> Option<civil::DateTime> {
        EPOCH.checked_add(SignedDuration::from_micros(self.local_micros()?)).ok()
    }
}

/// Writes the format of Python's `datetime.isoformat()`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every timestamp was checked when it was created.
        let time = self.local().unwrap_or(EPOCH);
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let micros = time.subsec_nanosecond() / 1_000;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        if let UtcOffset::Minutes(minutes) = self.offset {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.unsigned_abs();
            write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
        }
        Ok(())
    }
}

/// Parses the output of `isoformat()`, and any RFC 3339 form with at most six digits of fraction.
impl FromStr for Timestamp {
    type Err = Error;

    /// # Errors
    /// [`Error::InvalidArgument`] for any other text, and for a date that does not exist.
    fn from_str(text: &str) -> Result<Timestamp, Error> {
        parse(text).ok_or_else(|| {
            let reason = format!("{text:?} is not a time such as 2024-05-01T12:30:00.000001+02:00");
            Error::invalid("timestamp", reason)
        })?
    }
}

/// Returns `None` if the form is wrong, and the error of [`Timestamp::new`] if the date is out of
/// range.
fn parse(text: &str) -> Option<Result<Timestamp, Error>> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    literal(&mut rest, &['-'])?;
    let month = digits(&mut rest, 2)?;
    literal(&mut rest, &['-'])?;
    let day = digits(&mut rest, 2)?;
    let separator = rest.chars().next();
    literal(&mut rest, &['T', 't'])?;
    let hour = digits(&mut rest, 2)?;
    literal(&mut rest, &[':'])?;
    let minute = digits(&mut rest, 2)?;
    literal(&mut rest, &[':'])?;
    let second = digits(&mut rest, 2)?;
    let (micros, fraction_digits) = fraction(&mut rest)?;
    let offset = offset(rest)?;
    // Without a zone the text is not RFC 3339, so only the output of isoformat() is accepted.
    let is_iso = match fraction_digits {
        0 => separator == Some('T'),
        6 => separator == Some('T') && micros != 0,
        _ => false,
    };
    if offset == UtcOffset::Naive && !is_iso {
        return None;
    }
    let small = |number: i64| i8::try_from(number).ok();
    let year = i16::try_from(year).ok()?;
    let date = civil::Date::new(year, small(month)?, small(day)?).ok()?;
    let time = civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    let local = civil::DateTime::from_parts(date, time).duration_since(EPOCH).as_micros();
    let shift = match offset {
        UtcOffset::Naive => 0,
        UtcOffset::Minutes(minutes) => i64::from(minutes) * MICROS_PER_MINUTE,
    };
    Some(Timestamp::new(i64::try_from(local).ok()? + micros - shift, offset))
}

fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let (number, tail) = rest.split_at_checked(count)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = tail;
    number.parse().ok()
}

fn literal(rest: &mut &str, allowed: &[char]) -> Option<()> {
    *rest = rest.strip_prefix(allowed)?;
    Some(())
}

/// The microseconds, and the number of digits that were written.
fn fraction(rest: &mut &str) -> Option<(i64, usize)> {
    let Some(tail) = rest.strip_prefix('.') else { return Some((0, 0)) };
    let count = tail.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=6).contains(&count) {
        return None;
    }
    *rest = tail;
    let number = digits(rest, count)?;
    let missing = u32::try_from(6 - count).ok()?;
    Some((number * 10_i64.pow(missing), count))
}

fn offset(text: &str) -> Option<UtcOffset> {
    if text.is_empty() {
        return Some(UtcOffset::Naive);
    }
    if matches!(text, "Z" | "z") {
        return Some(UtcOffset::Minutes(0));
    }
    let mut rest = text;
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    literal(&mut rest, &['+', '-'])?;
    let hours = digits(&mut rest, 2)?;
    literal(&mut rest, &[':'])?;
    let minutes = digits(&mut rest, 2)?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return None;
    }
    i16::try_from(sign * (hours * 60 + minutes)).ok().map(UtcOffset::Minutes)
}
