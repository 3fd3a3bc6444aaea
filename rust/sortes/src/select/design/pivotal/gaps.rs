//! The uniforms of neighbouring gaps.

use sortes_core::rng::{Purpose, Stream, bulk, uniform_of};

/// Gaps whose draws are made at once.
pub(super) const BATCH: usize = 256;

/// The uniforms of up to [`BATCH`] gaps in a row.
pub(super) struct Gaps {
    blocks: [[u64; 2]; BATCH / 2 + 1],
    first: u64,
}

impl Gaps {
    pub(super) const NONE: Self = Self { blocks: [[0; 2]; BATCH / 2 + 1], first: 0 };

    /// Makes those of the gaps `first..first + len`, at most [`BATCH`].
    pub(super) fn fill(&mut self, first: u64, len: usize, stream: Stream) {
        self.first = first & !1; // two gaps share a block
        let ids = bulk::Ids::From(stream, first / 2);
        let blocks = &mut self.blocks[..((first % 2) as usize + len).div_ceil(2)];
        bulk::words(Purpose::Duel, ids, blocks);
    }

    #[inline]
    pub(super) fn at(&self, gap: u64) -> f64 {
        let i = (gap - self.first) as usize;
        uniform_of(self.blocks[i / 2][i % 2])
    }
}
