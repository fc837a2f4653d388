//! Deliberate defects, for tests of the tests: `cargo test --features seeded-defects --test crash
//! -- defects` builds them in, chooses one at a time by the environment variable `ANNALS_DEFECT`,
//! and shows which method of testing catches which. Without the feature [`has`] is a constant, no
//! defect is in the code, and no environment variable is read.

macro_rules! defects {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What can be made wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Defect {
            $($(#[$doc])* $name,)*
        }

        /// Their names.
        #[cfg(feature = "seeded-defects")]
        pub(crate) const DEFECTS: &[(&str, Defect)] =
            &[$((stringify!($name), Defect::$name),)*];
    };
}

defects! {
    /// A `Sync` append is acknowledged without the fdatasync of the journal.
    AckBeforeSync,
    /// A failed fdatasync of the journal is tried again, and believed.
    RetriedSync,
    /// A failed fdatasync does not poison the store.
    NotPoisoned,
    /// A full journal file is left without its last sync when the next one is begun.
    FullFileUnsynced,
    /// The name of a new journal file is not made durable.
    ForgottenDirectorySync,
    /// A reader in another process is shown what was written but not synced.
    UnsyncedShown,
    /// Readers of the process see a position before its frame is written.
    ShownEarly,
    /// A reader believes the record of a writer that is dead.
    DeadWriterTrusted,
    /// A frame need not name the checksum of the frame before it.
    ChainUnchecked,
    /// The checksum of a payload is not compared.
    PayloadUnchecked,
    /// A torn frame is the end of the log, whatever follows it.
    TornFrameIsEnd,
    /// An open ignores the record of a clean close.
    CloseIgnored,
    /// What a recovery has found is served before it is synced.
    RecoveredUnsynced,
    /// A full file says that another one follows before that one is durable.
    ContinuedEarly,
    /// A drain does not sync the trees: neither before their head moves nor after.
    TreesUnsynced,
    /// A sealed file gets its name before its bytes are synced.
    SealedUnsynced,
    /// The original of a sealed file is removed before the new name is durable.
    OriginalRemovedEarly,
    /// A file gets its final name before its bytes are synced.
    PublishedUnsynced,
    /// A drain leaves out the index of event ids.
    IdsForgotten,
    /// A checkpoint may go back.
    CheckpointGoesBack,
    /// The next leader is not woken.
    NextLeaderAsleep,
    /// A ticket that is answered wakes nobody who waits for it.
    TicketUnanswered,
}

/// Whether the library has this defect.
#[cfg(not(feature = "seeded-defects"))]
#[inline(always)]
pub(crate) const fn has(_: Defect) -> bool {
    false
}

/// Whether the library has this defect.
///
/// # Panics
/// If the environment names a defect that does not exist.
#[cfg(feature = "seeded-defects")]
#[expect(clippy::panic, reason = "a test that names no defect must not pass")]
pub(crate) fn has(defect: Defect) -> bool {
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<Option<Defect>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("ANNALS_DEFECT").ok()?;
        let found = DEFECTS.iter().find(|(known, _)| *known == name);
        Some(found.unwrap_or_else(|| panic!("there is no defect {name}")).1)
    });
    *chosen == Some(defect)
}
