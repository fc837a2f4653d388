//! Checking a whole sealed file.

use std::ops::RangeInclusive;

use crate::{
    Error,
    codec::{page::Page, sealed::blocks::Block},
    storage::journal::sealed::{file::SealedFile, read::Scratch},
};

/// A part of a sealed file that is damaged.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The positions that a damaged block holds; `None` for damage of the index, which hides no
    /// event from a scan.
    pub(crate) positions: Option<RangeInclusive<u64>>,
    /// Where the frames of a damaged block start, as an offset of the active file.
    pub(crate) offset: Option<u64>,
    /// The error that a read of it returns.
    pub(crate) error: Error,
}

impl SealedFile {
    /// Reads everything of the file and reports each part that is damaged.
    ///
    /// # Errors
    /// What `on_damage` returns, and any error of a read that is not damage.
    pub(crate) fn verify(
        &self,
        on_damage: &mut dyn FnMut(Damage) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut spare, mut scratch) = (Page::default(), Scratch::default());
        for block in &self.blocks {
            match self.page_of(block, std::mem::take(&mut spare), &mut scratch) {
                Ok(page) => spare = page,
                Err(error) => report(error, Some(block), on_damage)?,
            }
        }
        self.check_index(&mut |_, error| report(error, None, on_damage))
    }

    /// Reads everything after the blocks and reports each part that is damaged.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub(crate) fn verify_index(
        &self,
        on_damage: &mut dyn FnMut(Error) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.check_index(&mut |_, error| match error {
            Error::Corrupted { .. } => on_damage(error),
            error => Err(error),
        })
    }

    /// Reads everything after the blocks and hands on each damage, with the section it is in.
    pub(super) fn check_index(
        &self,
        on_damage: &mut dyn FnMut(&str, Error) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let tables = &self.tables;
        let tables = [
            ("streams", &tables.streams),
            ("ids", &tables.ids),
            ("checkpoints", &tables.checkpoints),
        ];
        for (name, read) in tables {
            match self.table(name, read) {
                Ok(chunks) => {
                    for chunk in chunks {
                        if let Err(error) = self.load(&chunk.place) {
                            on_damage(name, error)?;
                        }
                    }
                }
                Err(error) => on_damage(name, error)?,
            }
        }
        for (name, place) in &self.sections {
            if !tables.iter().any(|(table, _)| table == name)
                && let Err(error) = self.load(place)
            {
                on_damage(name, error)?;
            }
        }
        Ok(())
    }
}

fn report(
    error: Error,
    block: Option<&Block>,
    on_damage: &mut dyn FnMut(Damage) -> Result<(), Error>,
) -> Result<(), Error> {
    if !matches!(error, Error::Corrupted { .. }) {
        return Err(error);
    }
    let positions = block.map(|block| {
        let last = block.first_position.saturating_add(u64::from(block.count)).saturating_sub(1);
        block.first_position..=last
    });
    on_damage(Damage { positions, offset: block.map(|block| block.start), error })
}
