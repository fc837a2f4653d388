//! What a Linux kernel may do to a process without any fault of the process.
//!
//! Method: `kernel.c` plays that kernel. A write-back error loses the data of one sync and is
//! reported once, to one thread, while other threads sync the same file; the store is then checked
//! on what the disk holds, not on what the page cache still shows. A suspension of a minute falls
//! into each sync of the trees; nobody may take it for a hang. A clock that cannot be read makes
//! the background thread panic; everybody must learn of it.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use crate::{
    child::{self, DEADLINE, Life},
    harness::{Context, Failure, Outcome},
    kill::{Place, check_end, fail},
    marks::Setup,
    shim::Kernel,
};

/// One life with this kernel; gives the notes of the writer.
fn live(
    context: &Context,
    place: &Place,
    (setup, life): (&Setup, &[&str]),
    (case, kernel): (u64, Kernel),
) -> Result<String, Failure> {
    let library = context.kernel.as_ref().expect("the caller has looked");
    let mut injection = place.injection(library);
    injection.kernel = Some(kernel);
    let args = place.args(setup, life);
    let life = Life::AtMost(DEADLINE);
    let ended = child::run("write", &args, Some(&injection), &place.stderr, life);
    let (end, stderr) = ended.expect("a child can be started");
    let notes = place.notes(setup);
    // Without a clock a panic is due, and its text.
    let stderr = if injection.kernel.is_some_and(|k| k.no_clock > 0) { "" } else { &stderr };
    check_end(&end, stderr).or_else(|text| fail(case, format!("{text}; {notes}")))?;
    Ok(notes)
}

/// Gives the files of a directory the bytes that are durable.
fn drop_page_cache(directory: &Path, durable: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let on_disk = durable.join(fs::metadata(&path)?.ino().to_string());
        fs::write(&path, fs::read(on_disk).unwrap_or_default())?;
    }
    Ok(())
}

/// The disk loses the data of one sync of the journal, while several threads append and flush.
pub fn lost_write_back(context: &Context) -> Outcome {
    if context.kernel.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let time = context.time(8);
    let (count, failures) = context.run_cases(0..32, time, context.jobs * 2, |case| {
        let place = Place::new(context, &context.scratch);
        let mut setup = Setup::small(context.seed ^ case);
        (setup.threads, setup.is_sync) = (3, case % 2 == 0);
        // Half of the stores move their tail meanwhile, which syncs the journal too.
        setup.tail_bytes = if case % 4 < 2 { 1 << 20 } else { setup.tail_bytes };
        let durable = place.base.with_extension("durable");
        fs::create_dir(&durable).expect("a new directory");
        let kernel = Kernel {
            path: "/store/journal/",
            durable: Some(durable.clone()),
            lose: case + 1,
            delay: 2,
            ..Kernel::default()
        };
        let life = ["rounds=1", "units=40", "flush=1", "leave=1"];
        let notes = live(context, &place, (&setup, &life), (case, kernel))?;
        if !notes.contains(" lost ") || !notes.contains("Poisoned") {
            return fail(case, format!("nothing was lost, or nobody says so: {notes}"));
        }
        drop_page_cache(&place.store.join("journal"), &durable).expect("files can be written");
        place.check(context, &setup, case)
    });
    Outcome::Ran(format!("{count} lost syncs"), failures)
}

/// The disk loses the data of the one sync that a close makes of the journal of a buffered store:
/// the close must say so, and what is left is a prefix.
pub fn failed_close(context: &Context) -> Outcome {
    if context.kernel.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    // Units, and whether they are flushed before the last one.
    let lives = [(1, false), (2, false), (3, false), (4, false), (3, true)];
    let cases = 0..lives.len() as u64;
    let (count, failures) = context.run_cases(cases, context.all_time(), context.jobs, |case| {
        let place = Place::new(context, &context.scratch);
        let (units, is_flushed) = lives[case as usize];
        let mut setup = Setup::small(context.seed ^ case ^ 0xC105E);
        // Nothing but the flush and the close syncs the journal.
        (setup.is_sync, setup.delay_ms, setup.tail_bytes) = (false, 3_600_000, 4 << 20);
        let durable = place.base.with_extension("durable");
        fs::create_dir(&durable).expect("a new directory");
        let kernel = Kernel {
            path: "/store/journal/",
            durable: Some(durable.clone()),
            lose: 1 + u64::from(is_flushed),
            ..Kernel::default()
        };
        let flush = if is_flushed { units - 1 } else { 0 };
        let life = [format!("units={units}"), format!("flush={flush}")];
        let life = [&*life[0], &*life[1]];
        let notes = live(context, &place, (&setup, &life), (case, kernel))?;
        if !notes.contains(" lost ") || !notes.contains("error close answers Poisoned") {
            return fail(case, format!("the close should have failed: {notes}"));
        }
        drop_page_cache(&place.store.join("journal"), &durable).expect("files can be written");
        place.check(context, &setup, case)
    });
    Outcome::Ran(format!("{count} failed closes"), failures)
}

/// The process is suspended for a minute while the tail is moved, or while the store is closed.
pub fn suspended(context: &Context) -> Outcome {
    if context.kernel.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let (count, failures) = context.run_cases(0..16, context.time(6), context.jobs * 2, |case| {
        let place = Place::new(context, &context.scratch);
        let mut setup = Setup::small(context.seed ^ 0x5705);
        // In half of the stores only the close moves the tail.
        setup.tail_bytes = if case % 2 == 0 { setup.tail_bytes } else { 4 << 20 };
        let kernel = Kernel { path: "/trees/db", jump: case / 2 + 1, ..Kernel::default() };
        let life = ["rounds=2", "units=70"];
        let notes = live(context, &place, (&setup, &life), (case, kernel))?;
        if !notes.contains(" suspended ") || !notes.ends_with("end done") {
            return fail(case, format!("the life should have gone on: {notes}"));
        }
        place.check(context, &setup, case)
    });
    Outcome::Ran(format!("{count} suspensions"), failures)
}

/// A panic of the background thread, wherever it is: the store is poisoned, and nobody waits for
/// the thread in vain.
pub fn panicked(context: &Context) -> Outcome {
    if context.kernel.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let (count, failures) = context.run_cases(2..10, context.time(4), context.jobs * 2, |case| {
        let place = Place::new(context, &context.scratch);
        let setup = Setup::small(context.seed ^ 0x9A71C);
        let kernel = Kernel { path: "/trees/db", no_clock: case + 1, ..Kernel::default() };
        let notes = live(context, &place, (&setup, &["rounds=1", "units=70"]), (case, kernel))?;
        if notes.contains("makes no progress") || !notes.contains("Poisoned") {
            return fail(case, format!("the store should be poisoned at once: {notes}"));
        }
        place.check(context, &setup, case)
    });
    Outcome::Ran(format!("{count} panics"), failures)
}
