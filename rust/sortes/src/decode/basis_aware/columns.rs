//! Matrices whose columns are tokens, laid out so that one sweep gives every inner product.

use sortes_core::Result;
use sortes_core::memory::{reserve, with_capacity};
use sortes_core::simd::{Level, level};

/// Columns to a block: the width of a sweep.
pub(super) const LANES: usize = 16;

/// What the blocks hold.
const WHAT: &str = "coordinates of columns";

/// Columns `a_j` of a few coordinates each, sixteen to a block, coordinate by coordinate.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    dim: usize,
    len: usize,
    blocks: Vec<f32>,
}

impl Columns {
    /// No columns yet, of `dim` coordinates.
    pub(super) fn new(dim: usize, capacity: usize) -> Result<Self> {
        let capacity = capacity.next_multiple_of(LANES).saturating_mul(dim);
        Ok(Self { dim, len: 0, blocks: with_capacity(capacity, WHAT)? })
    }

    /// Appends a column.
    pub(super) fn push(&mut self, column: &[f32]) -> Result<()> {
        let lane = self.len % LANES;
        if lane == 0 {
            reserve(&mut self.blocks, LANES * self.dim, WHAT)?;
            self.blocks.resize(self.blocks.len() + LANES * self.dim, 0.0);
        }
        let start = self.blocks.len() - LANES * self.dim;
        for (row, &value) in self.blocks[start..].chunks_exact_mut(LANES).zip(column) {
            row[lane] = value;
        }
        self.len += 1;
        Ok(())
    }

    /// The number of columns.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The coordinates of column `j`.
    pub(super) fn column(&self, j: usize) -> impl Iterator<Item = f64> + '_ {
        let start = j / LANES * LANES * self.dim + j % LANES;
        self.blocks[start..].iter().step_by(LANES).take(self.dim).map(|&a| f64::from(a))
    }

    /// Writes `a_j . y` for every column; `out` has capacity for [`LANES`] more.
    ///
    /// The order of the additions is that of the coordinates, on every instruction set.
    pub(super) fn dots(&self, y: &[f64], out: &mut Vec<f64>) {
        out.resize(self.blocks.len() / self.dim, 0.0);
        match level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `level` returns only instruction sets that the processor has.
            Level::Avx2 | Level::Avx512 => unsafe { dots_avx2(&self.blocks, y, out) },
            _ => dots(&self.blocks, y, out),
        }
        out.truncate(self.len);
    }
}

#[inline(always)]
fn dots(blocks: &[f32], y: &[f64], out: &mut [f64]) {
    for (block, out) in blocks.chunks_exact(LANES * y.len()).zip(out.as_chunks_mut().0) {
        let mut sums = [0.0; LANES];
        for (row, &y) in block.as_chunks::<LANES>().0.iter().zip(y) {
            for (sum, &a) in sums.iter_mut().zip(row) {
                *sum += f64::from(a) * y;
            }
        }
        *out = sums;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dots_avx2(blocks: &[f32], y: &[f64], out: &mut [f64]) {
    dots(blocks, y, out);
}
