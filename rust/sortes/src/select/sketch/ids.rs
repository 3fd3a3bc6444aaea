//! Tables of ids.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use sortes_core::memory::{refused, zeroed};
use sortes_core::{Result, Run};

/// What runs out of memory.
const ITEMS: &str = "items of a sketch";

/// Ids are the users' own, often consecutive: a multiplication and a fold spread them.
#[derive(Clone, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_i64(i64::from(byte) ^ self.0.cast_signed());
        }
    }

    fn write_i64(&mut self, id: i64) {
        let product = u128::from(id.cast_unsigned() ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(0xA076_1D64_78BD_642F_u64);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

/// The index of each id among the entries.
pub(super) type Indices = HashMap<i64, u32, BuildHasherDefault<IdHasher>>;

/// Makes room for the indices of more ids.
pub(super) fn reserve_indices(indices: &mut Indices, more: usize) -> Result<()> {
    let len = indices.len().saturating_add(more);
    indices.try_reserve(more).map_err(|_| refused::<(i64, u32)>(len, ITEMS))
}

/// Keeps of each id the entry that comes first.
pub(super) fn each_once<T: Copy>(
    entries: &mut Vec<T>,
    id: impl Fn(&T) -> i64,
    is_before: impl Fn(&T, &T) -> bool,
    run: Run<'_>,
) -> Result<()> {
    // A table of places, open at half of its length, where each id is next to where it belongs.
    let size = (2 * entries.len().max(1)).next_power_of_two();
    let last = size - 1;
    let mut places = zeroed::<u32>(size, ITEMS)?;
    let mut kept = 0;
    for range in run.blocks(entries.len(), super::PIECE) {
        for i in range? {
            let entry = entries[i];
            let mut hasher = IdHasher::default();
            hasher.write_i64(id(&entry));
            let mut at = hasher.finish() as usize & last;
            loop {
                let Some(held) = (places[at] as usize).checked_sub(1) else {
                    entries[kept] = entry;
                    kept += 1;
                    places[at] = kept as u32;
                    break;
                };
                if id(&entries[held]) == id(&entry) {
                    if is_before(&entry, &entries[held]) {
                        entries[held] = entry;
                    }
                    break;
                }
                at = (at + 1) & last;
            }
        }
    }
    entries.truncate(kept);
    Ok(())
}
