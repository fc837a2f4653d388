//! What sled's errors become.

use std::{fs::File, io, thread, time::Duration};

use super::{super::error_of, Home};

#[test]
fn a_system_error_that_sled_has_copied_is_still_one() {
    let own = || sled::Error::Io(io::Error::from_raw_os_error(27));
    let words = "cannot read or write the directory trees: File too large (os error 27)";
    for error in [own(), own().clone(), own().clone().clone()] {
        assert_eq!(error_of(error).chain(), words);
    }
    let without_code = io::Error::new(io::ErrorKind::UnexpectedEof, "it is short");
    let words = "cannot read or write the directory trees: it is short";
    assert_eq!(error_of(sled::Error::Io(without_code)).chain(), words);
}

#[test]
fn a_lock_that_lingers_is_waited_for() {
    let Home { _directory, how, trees, .. } = Home::new();
    trees.close(drop).expect("it can be synced");
    let data = File::open(how.directory.join("db")).expect("sled has created it");
    data.lock().expect("it can be locked");
    let holder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        drop(data);
    });
    let trees = how.open().expect("the lock was released");
    holder.join().expect("it only waits");
    trees.close(drop).expect("it can be synced");
}
