//! A bare file: what writing the bytes costs at least. One write and, if durable, one fdatasync
//! for each append. It checks nothing and reads nothing.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
};

use crate::{
    store::{Conflict, Event, Mode, Seen, Store},
    stores::value,
};

pub(crate) struct Bare {
    mode: Mode,
    file: Mutex<(File, Vec<u8>)>,
}

impl Bare {
    pub(crate) fn open(path: &Path, mode: Mode) -> Bare {
        let file = OpenOptions::new().create(true).append(true).open(path.join("file")).unwrap();
        Bare { mode, file: Mutex::new((file, Vec::new())) }
    }
}

impl Store for Bare {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let mut guard = self.file.lock().unwrap();
        let (file, bytes) = &mut *guard;
        bytes.clear();
        for event in events {
            value::encode(event, bytes);
        }
        file.write_all(bytes).unwrap();
        if self.mode == Mode::Durable {
            file.sync_data().unwrap();
        }
        Ok(())
    }

    fn scan(&self) -> Seen {
        Seen::default()
    }

    fn read_stream(&self, _: &str) -> Seen {
        Seen::default()
    }

    fn close(self: Box<Self>) {
        self.file.lock().unwrap().0.sync_data().unwrap();
    }
}
