//! Sealing: writes a sealed file from the frames of a journal file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        head::LogEnd,
        saved::Checkpoint,
        sealed::{self, Footer, SealedFacts, SealedHeader, table},
    },
    defect::{self, Defect},
    storage::{
        files,
        journal::{
            FileKey,
            bytes::FrameBytes,
            sealed::{
                blocks::{self, Written},
                file::SealedFile,
                gather::Gathered,
                output::Output,
            },
        },
    },
};

/// What to seal.
pub(crate) struct ToSeal<'a> {
    pub(crate) source: &'a dyn FrameBytes,
    pub(crate) header: SealedHeader,
    /// The number of the file among those with its first position.
    pub(crate) number: u32,
    /// The checkpoints as of the start of the file.
    pub(crate) checkpoints: &'a [Checkpoint],
    /// The last frame to record in the file, if it is not the last frame of the source.
    pub(crate) end: Option<LogEnd>,
}

/// A sealed file under its temporary name: complete, durable, and compared with its source.
#[derive(Debug)]
pub(crate) struct Unpublished {
    key: FileKey,
    path: PathBuf,
    facts: SealedFacts,
    checkpoints: Vec<Checkpoint>,
}

impl Unpublished {
    /// The checkpoints as of the end of the file.
    pub(crate) fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// Gives the file its name. After an error there is no new file, except that a failed sync of
    /// the directory leaves a complete one.
    pub(crate) fn publish(self, directory: &Path) -> Result<SealedFacts, Error> {
        let path = self.key.sealed_path(directory);
        let entries = files::Directory::open(directory).and_then(|entries| {
            let renamed = fs::rename(&self.path, &path);
            renamed.map(|()| entries).map_err(|source| Error::io("rename to", &path, source))
        });
        let entries = entries.inspect_err(|_| {
            // Best effort: an unfinished file is removed at the next open as well.
            let _ = fs::remove_file(&self.path);
        })?;
        if !defect::has(Defect::OriginalRemovedEarly) {
            entries.sync().map_err(failed_sync)?;
        }
        Ok(self.facts)
    }
}

/// A sync that failed is never made again, even if space was what it lacked.
fn failed_sync(error: Error) -> Error {
    match error {
        Error::NoSpace { what, source: Some(source) } => {
            Error::Io { action: "sync the directory", path: what.into(), source }
        }
        error => error,
    }
}

/// Writes a sealed file under a temporary name, reads it back and compares it with the source.
/// `progress` is called between blocks; if it returns an error, the work ends. The source does not
/// change. After an error there is no new file.
///
/// Besides the index of the file, whose size is stated at [`Gathered`], this needs the memory of
/// one block or of one larger item.
///
/// # Errors
/// `Corrupted` for a source that is damaged or out of place in the journal, `Io`, `NoSpace`, and
/// the errors of `progress`.
pub(crate) fn seal(
    to_seal: &ToSeal<'_>,
    directory: &Path,
    checksum: &Checksum,
    progress: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Unpublished, Error> {
    let key = FileKey { first_position: to_seal.header.first_position, number: to_seal.number };
    let path = key.sealed_path(directory).with_extension(files::UNFINISHED);
    match write(to_seal, &path, checksum, progress) {
        Ok((facts, checkpoints)) => Ok(Unpublished { key, path, facts, checkpoints }),
        Err(error) => {
            // Best effort: an unfinished file is removed at the next open as well.
            let _ = fs::remove_file(&path);
            Err(error)
        }
    }
}

fn write(
    to_seal: &ToSeal<'_>,
    path: &Path,
    checksum: &Checksum,
    progress: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<(SealedFacts, Vec<Checkpoint>), Error> {
    let ToSeal { source, header, checkpoints, .. } = *to_seal;
    let mut output = Output::create(path, checksum)?;
    let encoded = header.encode(checksum);
    output.append(&encoded)?;
    let gathered = Gathered::new(header.first_position, checkpoints);
    let written = blocks::write(source, (header, checksum), gathered, &mut output, progress)?;
    let saved = written.gathered.checkpoints().iter();
    let saved = saved.map(|(name, &position)| Checkpoint { name: Arc::clone(name), position });
    let checkpoints = saved.collect();
    let mut footer = Footer {
        directory_offset: 0,
        directory_len: 0,
        directory_checksum: 0,
        header_checksum: SealedHeader::checksum_in(&encoded),
        facts: SealedFacts {
            first_position: header.first_position,
            last_position: written.next_position.saturating_sub(1),
            first_frame: header.first_frame,
            last_frame: last_frame(to_seal, &written),
            prev_checksum: header.prev_checksum,
            last_checksum: to_seal.end.map_or(written.prev_checksum, |end| end.prev_checksum),
            end: source.end(),
            file_len: 0,
            checksum: 0,
            is_rebuilt: header.is_rebuilt,
        },
    };
    write_index(written, &mut output, checksum, &mut footer)?;
    progress()?;
    let facts = footer.facts;
    let sealed = SealedFile::open_unfinished(path, header, checksum)?;
    if *sealed.facts() != facts {
        return Err(output.refused("it does not read back as it was written".to_owned()));
    }
    sealed.compare(source, progress)?;
    output.sync()?;
    Ok((facts, checkpoints))
}

fn last_frame(to_seal: &ToSeal<'_>, written: &Written) -> u64 {
    to_seal.end.map_or(written.next_frame.saturating_sub(1), |end| end.frame_number)
}

/// Writes everything after the blocks, and completes the footer.
fn write_index(
    written: Written,
    output: &mut Output,
    checksum: &Checksum,
    footer: &mut Footer,
) -> Result<(), Error> {
    let Written { blocks, mut gathered, .. } = written;
    let streams = output.put_table(
        gathered.sorted_streams(),
        |stream| stream.id.as_bytes(),
        |stream, out| stream.put(out),
    )?;
    let ids = output.put_table(
        gathered.sorted_ids(),
        |(id, _)| id.as_slice(),
        |(id, ahead), out| table::put_id(out, id, *ahead),
    )?;
    let tags = output.put_table(
        gathered.sorted_tags(),
        |tag| tag.id.as_bytes(),
        |tag, out| tag.put(out),
    )?;
    let checkpoints = output.put_table(
        gathered.checkpoints(),
        |(name, _)| name.as_bytes(),
        |(name, position), out| table::put_checkpoint(out, name, **position),
    )?;
    let blocks = sealed::blocks::encode(&blocks);
    let sections = [
        ("blocks", Some(blocks.as_slice())),
        ("times", Some(gathered.times())),
        ("streams", streams.as_deref()),
        ("ids", ids.as_deref()),
        ("tags", tags.as_deref()),
        ("checkpoints", checkpoints.as_deref()),
    ];
    let mut directory = Vec::new();
    for (name, section) in sections {
        if let Some(section) = section {
            sealed::put_section(&mut directory, name, &output.put(section)?);
        }
    }
    footer.directory_offset = output.offset();
    footer.directory_len = u32::try_from(directory.len()).unwrap_or(u32::MAX);
    footer.directory_checksum = checksum.of(&directory);
    output.append(&directory)?;
    let (bytes, sum) = footer.encode(checksum);
    output.append(&bytes)?;
    footer.facts.file_len = output.offset();
    footer.facts.checksum = sum;
    Ok(())
}
