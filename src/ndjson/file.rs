//! Import from a file, and export to a new one.

use std::{fs::File, io, path::Path};

use crate::{
    Error, EventStore, ExportOptions, ExportReport, ImportError, ImportOptions, ImportReport,
    ndjson::{INPUT, OUTPUT, new_file::NewFile},
};

impl EventStore {
    /// Like [`export_ndjson`](EventStore::export_ndjson), to a new file at `path`. The file appears
    /// under its name only when it is complete and durable, and an existing file of that name is
    /// never overwritten.
    ///
    /// # Errors
    /// [`Error::Io`] with `AlreadyExists` when the name is taken, and the errors of
    /// [`export_ndjson`](EventStore::export_ndjson). After an error there is no file.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExportOptions};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("events.ndjson");
    /// let store = EventStore::in_memory()?;
    /// store.export_ndjson_file(&path, &ExportOptions::new())?;
    /// assert!(store.export_ndjson_file(&path, &ExportOptions::new()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export_ndjson_file(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error> {
        let path = path.as_ref();
        NewFile::check(path)?;
        let new_file = NewFile::create(path)?;
        let exported = self.export_ndjson(new_file.file(), options);
        let report = exported.map_err(|error| named(error, path))?;
        new_file.publish()?;
        Ok(report)
    }

    /// Like [`import_ndjson`](EventStore::import_ndjson), from the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, and the errors of
    /// [`import_ndjson`](EventStore::import_ndjson).
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ImportOptions};
    ///
    /// let store = EventStore::in_memory()?;
    /// let missing = store.import_ndjson_file("no/such/file", &ImportOptions::new()).unwrap_err();
    /// assert_eq!(missing.to_string(), "cannot open no/such/file");
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn import_ndjson_file(
        &self,
        path: impl AsRef<Path>,
        options: &ImportOptions,
    ) -> Result<ImportReport, ImportError> {
        let path = path.as_ref();
        let file = open(path).map_err(|error| ImportError {
            report: Box::default(),
            error,
            line: None,
            fault: None,
        })?;
        self.import_ndjson(file, options)
            .map_err(|failure| ImportError { error: named(failure.error, path), ..failure })
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|source| Error::io("open", path, source))?;
    if metadata.is_dir() {
        return Err(Error::io("read", path, io::ErrorKind::IsADirectory.into()));
    }
    Ok(file)
}

/// Import and export see the file only as a reader or a writer.
fn named(error: Error, file: &Path) -> Error {
    match error {
        Error::Io { action, path, source }
            if path.as_os_str() == INPUT || path.as_os_str() == OUTPUT =>
        {
            Error::Io { action, path: file.to_owned(), source }
        }
        Error::NoSpace { what, source } if what == OUTPUT => {
            Error::NoSpace { what: file.display().to_string(), source }
        }
        error => error,
    }
}
