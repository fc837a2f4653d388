//! Options of an import or an export.

use std::{fmt, sync::Arc};

/// How the `event_id` of each line relates to the positions of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImportMode {
    /// Each `event_id` must follow the store's head, so that every event keeps its position.
    #[default]
    Faithful,
    /// Events get new positions; `event_id` is ignored and may be missing. An `id` is kept: if all
    /// events of a batch have one, a repeated import of the same file skips the batches that are
    /// already stored. [`ImportReport::skipped`](crate::ImportReport::skipped) counts their events.
    Append,
    /// Events at or below the head are compared with the stored ones and skipped; later ones are
    /// treated as in `Faithful`. The file may start anywhere up to the position after the head, but
    /// must have no gaps.
    Resume,
}

/// How to treat a last line that has no line end and is not JSON, such as one left by a crash of
/// its writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TornTail {
    /// It is an error, as any other such line is.
    #[default]
    Refuse,
    /// It is left out, and [`ImportReport::torn_tail`](crate::ImportReport) reports it.
    Drop,
}

/// The progress of an import or an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Events written so far; for an import, including those skipped.
    pub events: u64,
    /// Bytes of NDJSON read or written so far.
    pub bytes: u64,
}

/// Called every few thousand events, and once at the end.
#[derive(Clone, Default)]
pub(super) struct ProgressHook(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl ProgressHook {
    pub(super) fn report(&self, events: u64, bytes: u64) {
        if let Some(hook) = &self.0 {
            hook(Progress { events, bytes });
        }
    }
}

impl fmt::Debug for ProgressHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

/// Options for [`import_ndjson`](crate::EventStore::import_ndjson).
///
/// # Examples
/// ```
/// use annals::{ImportMode, ImportOptions, TornTail};
///
/// let options = ImportOptions::new().mode(ImportMode::Resume).torn_tail(TornTail::Drop);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    pub(super) mode: ImportMode,
    pub(super) torn_tail: TornTail,
    pub(super) is_dry_run: bool,
    pub(super) progress: ProgressHook,
}

impl ImportOptions {
    /// The defaults: faithful mode, a torn last line is refused, and events are written.
    #[must_use]
    pub fn new() -> ImportOptions {
        ImportOptions::default()
    }

    /// How the `event_id` of each line relates to the positions of the store.
    #[must_use]
    pub fn mode(mut self, mode: ImportMode) -> ImportOptions {
        self.mode = mode;
        self
    }

    /// How to treat a torn last line.
    #[must_use]
    pub fn torn_tail(mut self, torn_tail: TornTail) -> ImportOptions {
        self.torn_tail = torn_tail;
        self
    }

    /// Checks every line but writes nothing. Errors that only the append itself detects, such as an
    /// `id` that is in use, are not found.
    #[must_use]
    pub fn dry_run(mut self, is_dry_run: bool) -> ImportOptions {
        self.is_dry_run = is_dry_run;
        self
    }

    /// Calls `hook` every few thousand events, and once at the end.
    #[must_use]
    pub fn progress(mut self, hook: impl Fn(Progress) + Send + Sync + 'static) -> ImportOptions {
        self.progress = ProgressHook(Some(Arc::new(hook)));
        self
    }
}

/// Asked before each event of an export whether to stop.
#[derive(Clone, Default)]
pub(super) struct StopHook(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl StopHook {
    pub(super) fn is_due(&self) -> bool {
        self.0.as_ref().is_some_and(|is_due| is_due())
    }
}

impl fmt::Debug for StopHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

/// Options for [`export_ndjson`](crate::EventStore::export_ndjson).
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    pub(super) progress: ProgressHook,
    pub(super) stop: StopHook,
    pub(super) is_upcast: bool,
}

impl ExportOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> ExportOptions {
        ExportOptions::default()
    }

    /// Writes events as the [upcasters](crate::Options::upcasters) transform them instead of as
    /// they were recorded: for programs that know only the newest shapes.
    #[must_use]
    pub fn upcast(mut self, is_upcast: bool) -> ExportOptions {
        self.is_upcast = is_upcast;
        self
    }

    /// Stops the export when `is_due` returns true, for example because the user pressed Ctrl-C. It
    /// is called before each event. The export then returns [`Error::Io`](crate::Error::Io) with
    /// [`ErrorKind::Interrupted`](std::io::ErrorKind::Interrupted), and an export to a file leaves
    /// no file.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, ExportOptions, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("Placed", &1)?])?;
    /// let options = ExportOptions::new().stop_when(|| true);
    /// assert!(store.export_ndjson(std::io::sink(), &options).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stop_when(mut self, is_due: impl Fn() -> bool + Send + Sync + 'static) -> ExportOptions {
        self.stop = StopHook(Some(Arc::new(is_due)));
        self
    }

    /// Calls `hook` every few thousand events, and once at the end.
    #[must_use]
    pub fn progress(mut self, hook: impl Fn(Progress) + Send + Sync + 'static) -> ExportOptions {
        self.progress = ProgressHook(Some(Arc::new(hook)));
        self
    }
}
