//! A list that grows in blocks of one size.

/// The number of elements of a block.
const BLOCK: usize = 1 << 10;

/// A list in blocks that are small enough for the gaps that other allocations leave.
///
/// The events of a window take 16 MB. Once a `Vec` of that size is freed, the trees' pages move
/// into the gap; the next window needs 16 MB more, and the process grows with each window.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    blocks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Chunks<T> {
    pub(super) fn new() -> Chunks<T> {
        Chunks { blocks: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, element: T) {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(element);
            self.len += 1;
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_in_order_across_blocks() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let mut chunks = Chunks::new();
            (0..len).for_each(|element| chunks.push(element));
            assert_eq!(chunks.len(), len);
            assert!(chunks.iter().copied().eq(0..len), "{len}");
            assert!((0..len).all(|index| chunks.get(index) == Some(&index)), "{len}");
            assert_eq!(chunks.get(len), None);
        }
    }
}
