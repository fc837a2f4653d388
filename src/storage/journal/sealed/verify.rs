//! Checks a whole sealed file.

use std::ops::RangeInclusive;

use crate::{
    Error,
    codec::{
        page::Page,
        sealed::blocks::{Block, BlockTimes},
    },
    storage::journal::sealed::{file::SealedFile, scratch::Scratch},
};

/// A checked part of a sealed file.
#[derive(Debug)]
pub(crate) enum Checked<'a> {
    /// The events of an intact block.
    Events(&'a Page),
    /// A damaged part.
    Damage {
        /// The positions in a damaged block; `None` for damage of the index, which hides no event
        /// from a scan.
        positions: Option<RangeInclusive<u64>>,
        /// The error that a read of this part returns.
        error: Error,
    },
}

impl SealedFile {
    /// Reads the whole file, and passes each block and each damaged part to `on_part`.
    ///
    /// # Errors
    /// The errors of `on_part`, and any read error that is not damage.
    pub(crate) fn verify(
        &self,
        on_part: &mut dyn FnMut(Checked<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut spare, mut scratch) = (Page::default(), Scratch::default());
        // Damage of the times is reported with the rest of the index.
        let mut times = self.times().unwrap_or_default().into_iter();
        for block in &self.blocks {
            let page = self.page_of(block, std::mem::take(&mut spare), &mut scratch);
            let times = if block.count > 0 { times.next() } else { None };
            match page {
                Ok(page) if times.is_some_and(|times| times.differ_from(&page)) => {
                    let reason = "the times in its index do not match its events";
                    let error = self.damaged(block.first_position, reason);
                    on_part(Checked::Damage { positions: None, error })?;
                    on_part(Checked::Events(&page))?;
                    spare = page;
                }
                Ok(page) => {
                    on_part(Checked::Events(&page))?;
                    spare = page;
                }
                Err(error) => report(error, Some(block), on_part)?,
            }
        }
        self.check_index(&mut |_, error| report(error, None, on_part))
    }

    /// Reads everything after the blocks and reports each damage with the section it is in.
    pub(super) fn check_index(
        &self,
        on_damage: &mut dyn FnMut(&str, Error) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let tables = &self.tables;
        let tables = [
            ("streams", &tables.streams),
            ("ids", &tables.ids),
            ("tags", &tables.tags),
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
            if tables.iter().any(|(table, _)| table == name) {
                continue;
            }
            let checked = match name.as_str() {
                "times" => self.times().map(drop),
                _ => self.load(place).map(drop),
            };
            if let Err(error) = checked {
                on_damage(name, error)?;
            }
        }
        Ok(())
    }
}

fn report(
    error: Error,
    block: Option<&Block>,
    on_part: &mut dyn FnMut(Checked<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if !matches!(error, Error::Corrupted { .. }) {
        return Err(error);
    }
    let positions = block.map(|block| {
        let last = block.first_position.saturating_add(u64::from(block.count)).saturating_sub(1);
        block.first_position..=last
    });
    on_part(Checked::Damage { positions, error })
}

impl BlockTimes {
    /// Whether the times of a page differ from these.
    fn differ_from(self, page: &Page) -> bool {
        page.times() != Some((self.smallest, self.largest))
    }
}
