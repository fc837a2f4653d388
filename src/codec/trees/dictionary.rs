//! Trains the dictionary for compressing short values.
//!
//! A short value repeats little within itself, but much of what its neighbours hold: names of
//! types, keys of JSON objects, the bytes around them. The dictionary consists of the stretches of
//! sampled bytes that contain the most frequent grams (sequences of [`GRAM`] bytes). The samples
//! are divided into as many ranges as there is room for stretches, and from each range the stretch
//! is taken whose grams occur in the most samples; grams that it contains no longer count. The
//! samples are read twice, which limits the time.
//!
//! The best stretches are at the end, where LZ4 can reach them longest and where they displace
//! others from the compressor's hash table.

use std::ops::Range;

/// The size of a dictionary. The compressor indexes it anew for each value, and its hash table has
/// 4096 entries for every third byte: twice the size gains little and costs twice the time.
pub(crate) const DICTIONARY_BYTES: usize = 8 << 10;

/// The maximum size of the samples to train on.
pub(crate) const SAMPLE_BYTES: usize = 768 << 10;

/// The size of a gram: shorter matches gain LZ4 little.
const GRAM: usize = 8;

/// The size of a stretch.
const STRETCH: usize = 128;

/// A gram that occurs in fewer than one of this many samples is treated as if it occurred in none:
/// it would fill the dictionary with the common bytes around it.
const RARE: usize = 512;

/// Bits of a gram's hash.
const HASH_BITS: u32 = 17;

/// Trains a dictionary of at most `size` bytes; it is shorter if the samples have less in common.
/// Each sample is a range of `bytes`.
pub(crate) fn train(bytes: &[u8], samples: &[Range<usize>], size: usize) -> Vec<u8> {
    let mut frequency = frequencies(bytes, samples);
    let ranges = (size / STRETCH).max(1);
    let width = bytes.len().div_ceil(ranges).max(1);
    let mut chosen: Vec<(u64, &[u8])> = Vec::new();
    for range in bytes.chunks(width) {
        let Some((score, stretch)) = best_stretch(range, &frequency) else { continue };
        for gram in grams(stretch) {
            if let Some(count) = frequency.get_mut(gram) {
                *count = 0;
            }
        }
        chosen.push((score, stretch));
    }
    chosen.sort_by_key(|(score, _)| *score);
    chosen.into_iter().flat_map(|(_, stretch)| stretch).copied().collect()
}

/// The hashes of the grams of `bytes`, in order.
fn grams(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.windows(GRAM).map(|gram| {
        let gram = u64::from_le_bytes(gram.try_into().unwrap_or_default());
        // The upper bits of the product depend on all bytes.
        let hash = gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - HASH_BITS);
        usize::try_from(hash).unwrap_or_default()
    })
}

/// The number of samples, besides the first, in which each gram occurs.
fn frequencies(bytes: &[u8], samples: &[Range<usize>]) -> Vec<u32> {
    let mut frequency = vec![0_u32; 1 << HASH_BITS];
    let mut seen_in = vec![0_u32; 1 << HASH_BITS];
    for (number, sample) in (1_u32..).zip(samples) {
        for gram in grams(bytes.get(sample.clone()).unwrap_or_default()) {
            let Some(seen) = seen_in.get_mut(gram) else { continue };
            let is_first = *seen == 0;
            if *seen != number
                && let Some(count) = frequency.get_mut(gram)
                && !is_first
            {
                *count += 1;
            }
            *seen = number;
        }
    }
    let least = u32::try_from(samples.len() / RARE).unwrap_or(u32::MAX);
    frequency.iter_mut().filter(|count| **count < least).for_each(|count| *count = 0);
    frequency
}

/// The stretch of `range` whose distinct grams have the largest sum of frequencies, with that sum.
fn best_stretch<'a>(range: &'a [u8], frequency: &[u32]) -> Option<(u64, &'a [u8])> {
    let hashes: Vec<usize> = grams(range).collect();
    let per_stretch = STRETCH - GRAM + 1;
    let mut within = vec![0_u16; 1 << HASH_BITS];
    let worth = |gram: usize| u64::from(frequency.get(gram).copied().unwrap_or_default());
    let (mut score, mut best) = (0, (0, 0));
    for (end, &gram) in hashes.iter().enumerate() {
        if let Some(count) = within.get_mut(gram) {
            score += if *count == 0 { worth(gram) } else { 0 };
            *count += 1;
        }
        if let Some(start) = (end + 1).checked_sub(per_stretch + 1) {
            let gram = hashes.get(start).copied().unwrap_or_default();
            if let Some(count) = within.get_mut(gram) {
                *count = count.saturating_sub(1);
                score -= if *count == 0 { worth(gram) } else { 0 };
            }
        }
        if score > best.0 {
            best = (score, (end + 1).saturating_sub(per_stretch));
        }
    }
    let (score, start) = best;
    let stretch = range.get(start..(start + STRETCH).min(range.len()))?;
    (score > 0).then_some((score, trim(stretch, frequency)))
}

/// Trims unused grams from both ends.
fn trim<'a>(stretch: &'a [u8], frequency: &[u32]) -> &'a [u8] {
    let is_used = |gram: usize| frequency.get(gram).is_some_and(|&count| count > 0);
    let used: Vec<bool> = grams(stretch).map(is_used).collect();
    let first = used.iter().position(|&used| used).unwrap_or_default();
    let last = used.iter().rposition(|&used| used).unwrap_or_default();
    stretch.get(first..last + GRAM).unwrap_or(stretch)
}
