//! The child that opens, repairs or copies a store, and may die or fail on the way.
//!
//! Method: it does one thing to a store and marks how that ended; what must be there afterwards is
//! for the parent to check. An error is a right answer to a fault, if its code is one that a fault
//! of the disk may have.

use std::io::{self, Write};

use annals::{
    BackupOptions, Error, ErrorCode, ExportOptions, ImportMode, ImportOptions, Reader,
    RepairOptions, SalvageOptions, backup, repair, salvage_with,
};

use crate::{
    marks::{Args, Marker, Setup},
    plan::digest,
};

/// What a child is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Open and close, which rebuilds trees that cannot be used.
    Open,
    Repair,
    /// Say what a salvage finds.
    Salvage,
    /// Copy the files of a store that nobody has open.
    Backup,
    /// As `Backup`, with links.
    Link,
    /// Copy a store that is open.
    BackupOpen,
    /// Import what a reader exports.
    Import,
}

const TASKS: [Task; 7] = [
    Task::Open,
    Task::Repair,
    Task::Salvage,
    Task::Backup,
    Task::Link,
    Task::BackupOpen,
    Task::Import,
];

/// Runs in the child. Arguments: `task`, `dir`, `target`, `marks`, those of [`Setup`].
pub fn run(args: &Args) {
    let marker = Marker::open(&args.path("marks")).expect("the marks can be opened");
    let name = args.text("task").unwrap_or_default();
    let task = TASKS.into_iter().find(|task| format!("{task:?}") == name).expect("a task");
    match work(task, args) {
        Ok(text) => marker.mark(&format!("end done {text}")),
        Err(error) => {
            use ErrorCode::{Io, NoSpace, Poisoned};
            let code = error.code();
            // sled may hang on a full disk, and is given up then.
            let is_hung = error.chain().contains("makes no progress");
            let is_right = matches!(code, Io | NoSpace | Poisoned) || is_hung;
            let word = if is_right { "end" } else { "bad" };
            marker.mark(&format!("{word} {task:?} answers {code:?}: {}", error.chain()));
        }
    }
}

fn work(task: Task, args: &Args) -> Result<String, Error> {
    let (setup, dir, target) = (Setup::from_args(args), args.path("dir"), args.path("target"));
    let options = BackupOptions::new().link(task == Task::Link);
    match task {
        Task::Open => {
            let store = setup.open(&dir)?;
            let head = store.head()?;
            store.close()?;
            Ok(format!("{head} events"))
        }
        Task::Repair => {
            let done = repair(&dir, &RepairOptions::new().apply(true))?;
            let lost: Vec<_> = done.lost.iter().map(|lost| (lost.code, lost.position)).collect();
            Ok(format!("{} events, lost: {lost:?}", done.head))
        }
        Task::Salvage => {
            let mut sum = Sum::default();
            let options = SalvageOptions::new().scratch(args.path("scratch"));
            let found = salvage_with(&dir, &mut sum, &options)?;
            let missing: Vec<_> = found.missing.iter().map(|lost| lost.position).collect();
            Ok(format!("{} events, sum {:x}, missing {missing:?}", found.events, sum.0))
        }
        Task::Backup | Task::Link => {
            Ok(format!("{} events", backup(&dir, &target, &options)?.events))
        }
        Task::Import => {
            let mut text = Vec::new();
            Reader::open(&dir)?.export_ndjson(&mut text, &ExportOptions::new())?;
            let store = setup.open(&target)?;
            let options = ImportOptions::new().mode(ImportMode::Resume);
            let imported = store.import_ndjson(&text[..], &options);
            let imported = imported.map_err(|failed| failed.error);
            let head = store.head()?;
            let closed = store.close();
            imported.and_then(|_| closed.map(|()| format!("{head} events")))
        }
        Task::BackupOpen => {
            let store = setup.open(&dir)?;
            let done = store.backup_with(&target, &options)?;
            store.close()?;
            Ok(format!("{} events", done.events))
        }
    }
}

/// Sums up what is written to it, however that is cut.
#[derive(Default)]
struct Sum(u64);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = bytes.iter().fold(self.0, |sum, byte| digest(sum, &[*byte]));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
