//! Cutting frames into blocks.

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::FIRST_FRAME_OFFSET,
        sealed::{SealedHeader, blocks::Block},
    },
    storage::journal::{
        bytes::FrameBytes,
        sealed::{
            gather::Gathered,
            output::Output,
            units::{UnitKind, Units},
        },
    },
};

/// The next block starts once a block has this many raw bytes. A single larger item makes a larger
/// block.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// Totals for the frames of a file.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) blocks: Vec<Block>,
    pub(super) gathered: Gathered,
    pub(super) next_position: u64,
    pub(super) next_frame: u64,
    pub(super) prev_checksum: u32,
}

/// Writes the frames of `source` as blocks.
pub(super) fn write(
    source: &dyn FrameBytes,
    (header, checksum): (SealedHeader, &Checksum),
    gathered: Gathered,
    output: &mut Output,
    progress: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Written, Error> {
    let mut units = Units::new(source, header, checksum);
    let mut cutter = Cutter {
        raw: Vec::new(),
        lead: 0,
        start: FIRST_FRAME_OFFSET,
        first_position: header.first_position,
        blocks: Vec::new(),
        gathered,
    };
    let mut after_header = false;
    while let Some(unit) = units.next()? {
        let len = unit.bytes.len();
        let (more, lead) = match unit.kind {
            UnitKind::Header { first_item } => (len + first_item, 0),
            // The item stays with the header of its frame.
            UnitKind::Item { .. } if after_header => (0, 0),
            UnitKind::Item { lead } => (len, lead),
            UnitKind::End { .. } => (0, 0),
        };
        if more > 0 && !cutter.raw.is_empty() && cutter.raw.len() + more > BLOCK_BYTES {
            cutter.finish_block(output)?;
            progress()?;
        }
        if cutter.raw.is_empty() {
            cutter.lead = lead;
        }
        let at = cutter.raw.len();
        cutter.raw.extend_from_slice(unit.bytes);
        after_header = matches!(unit.kind, UnitKind::Header { .. });
        let number = u32::try_from(cutter.blocks.len()).unwrap_or(u32::MAX);
        let taken = match unit.kind {
            UnitKind::Header { .. } => Ok(()),
            UnitKind::Item { .. } => cutter.gathered.take_item(&cutter.raw, at, number, checksum),
            UnitKind::End { next_position } => cutter.gathered.check_frame_end(next_position),
        };
        taken.map_err(|reason| units.damaged(reason))?;
    }
    if !cutter.raw.is_empty() {
        cutter.finish_block(output)?;
    }
    Ok(Written {
        blocks: cutter.blocks,
        gathered: cutter.gathered,
        next_position: units.next_position(),
        next_frame: units.next_frame(),
        prev_checksum: units.prev_checksum(),
    })
}

/// The block that is being filled, and the blocks before it.
struct Cutter {
    raw: Vec<u8>,
    lead: u32,
    start: u64,
    first_position: u64,
    blocks: Vec<Block>,
    gathered: Gathered,
}

impl Cutter {
    fn finish_block(&mut self, output: &mut Output) -> Result<(), Error> {
        let place = output.put(&self.raw)?;
        let next_position = self.gathered.next_position();
        let count = u32::try_from(next_position - self.first_position).unwrap_or(u32::MAX);
        let (start, first_position, lead) = (self.start, self.first_position, self.lead);
        self.blocks.push(Block { place, start, first_position, count, lead });
        self.gathered.finish_block();
        self.start += self.raw.len() as u64;
        self.first_position = next_position;
        self.raw.clear();
        self.raw.shrink_to(2 * BLOCK_BYTES);
        Ok(())
    }
}
