//! What SIGINT and SIGTERM do: most commands clean up and end; an import ends its input, so that it
//! can report what it has imported.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::{fs::DirBuilderExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag, low_level,
};
use uuid::Uuid;

use crate::{
    exit::{Exit, Failure},
    output,
};

/// How long a wait for input lasts before signals are checked again, in nanoseconds.
const STEP_NANOS: i64 = 100_000_000;

/// The exit code after a signal, the same that a shell reports for SIGINT.
const EXIT_CODE: i32 = 130;

/// How often a directory is removed while files are still created in it.
const REMOVALS_MAX: usize = 1_000;

/// Whether a signal is ending the program.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Keeps a command from reporting failures that only the clean-up after a signal has caused.
pub(crate) fn wait_if_ending() {
    while IS_ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// From now on a signal prints `message`, removes what `clean_up` removes and ends the program. If
/// signals cannot be watched, they end the program as always.
pub(super) fn end_on_signal(message: &str, clean_up: impl FnOnce() + Send + 'static) {
    let Ok((mut receiver, sender)) = UnixStream::pair() else { return };
    for signal in [SIGINT, SIGTERM] {
        let Ok(sender) = sender.try_clone() else { return };
        let _ = low_level::pipe::register(signal, sender);
    }
    let message = message.to_owned();
    let _ = thread::Builder::new().spawn(move || {
        if receiver.read_exact(&mut [0]).is_ok() {
            IS_ENDING.store(true, Ordering::SeqCst);
            output::report(&Failure::new(Exit::Interrupted, message));
            // Last, because the command still runs and may create files again.
            clean_up();
            process::exit(EXIT_CODE);
        }
    });
}

/// A directory for the private copy of a store, which is removed at the end of the command, also
/// after a signal.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    is_own: bool,
}

impl Scratch {
    /// Creates the directory in `parent`. If that fails, the library reports it, provided that it
    /// needs the directory.
    pub(super) fn new(parent: &Path, message: &str) -> Scratch {
        // Signals are watched first: one that came between the two would leave the directory.
        let (created, own) = mpsc::channel::<PathBuf>();
        end_on_signal(message, move || {
            let Ok(path) = own.recv() else { return };
            // The command may still be creating files in it, and sled the directory itself.
            for _ in 0..REMOVALS_MAX {
                match fs::remove_dir_all(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Ok(()) | Err(_) => thread::yield_now(),
                }
            }
        });
        let path = parent.join(format!("annals-{}", Uuid::new_v4().simple()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                let _ = created.send(path.clone());
                Scratch { path, is_own: true }
            }
            Err(_) => Scratch { path: parent.to_owned(), is_own: false },
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_own {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Whether a signal has arrived. A second one ends the program at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    /// Watches for signals from now on. If that is impossible, they end the program as always.
    pub(super) fn watch() -> Interrupts {
        let interrupts = Interrupts::default();
        for signal in [SIGINT, SIGTERM] {
            let _ =
                flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&interrupts.0));
            let _ = flag::register(signal, Arc::clone(&interrupts.0));
        }
        interrupts
    }

    pub(super) fn have_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An input that fails once a signal has arrived, even while it waits.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    interrupts: Interrupts,
}

impl Input {
    pub(super) fn new(file: File, interrupts: &Interrupts) -> Input {
        Input { file, interrupts: interrupts.clone() }
    }

    /// Standard input.
    pub(super) fn of_stdin(interrupts: &Interrupts) -> io::Result<Input> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Input::new(File::from(stdin), interrupts))
    }

    /// Waits until there is something to read; false if a signal arrived first.
    fn wait(&self) -> bool {
        while !self.interrupts.have_come() {
            let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
            let step = Timespec { tv_sec: 0, tv_nsec: STEP_NANOS };
            match poll(&mut polled, Some(&step)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // If something is wrong, the read reports it.
                Ok(_) | Err(_) => return true,
            }
        }
        false
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.wait() {
            true => self.file.read(buffer),
            false => Err(io::Error::other("interrupted")),
        }
    }
}
