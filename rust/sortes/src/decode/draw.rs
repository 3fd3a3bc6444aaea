//! The categorical draw: inverse transform with one 53-bit uniform, no noise vector.
//!
//! The target `u * S` is walked to in id order, and the first token whose running weight *exceeds*
//! it is drawn, so that a token without weight never is. A long row is walked in two levels: its
//! chunk sums, which a rule has usually left behind, then one chunk. Where those sums cover more
//! than the survivors, the token that they give is accepted if it survived and drawn again if not,
//! which has the same law and spares a pass over the row. Whether it survived is told without a look
//! at all survivors where that can be.

use super::law::SumsOf;
use super::rows::CHUNK;
use super::survivors::Survivors;
use sortes_core::simd::{self, Wanted};
use sortes_core::weights::first_beyond;

/// How a token may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The fastest way: may use several uniforms of the row's own stream.
    Auto,
    /// One uniform, by the documented map from uniforms to tokens.
    Scan,
}

/// Rejections after which the survivors are weighed exactly.
const TRIES: usize = 4;

impl<'a> Survivors<'a> {
    /// Draws a token; `None` if there is none.
    pub(super) fn draw(&mut self, method: Method, uniform: &mut dyn FnMut() -> f64) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        self.prepare(method);
        if !self.listed
            && method == Method::Auto
            && let Some(sums) = self.sums
            && sums.temperature == self.temperature
        {
            // Cheaper than to look for the survivors: most of the mass usually survives.
            for _ in 0..TRIES {
                let (id, l) = self.walk(uniform(), sums)?;
                if self.keeps(l, id) {
                    return Some(id);
                }
            }
        }
        self.settle();
        if !self.is_single() {
            self.list();
        }
        if self.listed {
            return self.draw_listed(uniform);
        }
        let sums = self.exact_sums()?;
        Some(self.walk(uniform(), sums)?.0)
    }

    /// What the sums of chunks are of, when they are those of the survivors and of nothing else.
    pub(super) fn exact_sums(&mut self) -> Option<SumsOf> {
        if self
            .sums
            .is_none_or(|sums| sums.temperature != self.temperature || sums.window != self.window)
        {
            self.forget_law();
            self.law(Wanted::default());
        }
        self.sums
    }

    fn draw_listed(&mut self, uniform: &mut dyn FnMut() -> f64) -> Option<u32> {
        if self.work.ids.len() > 1 {
            let (max, scale) = (self.max(), self.scale());
            let total = self.weigh_list(max, scale, Wanted::default()).z;
            let target = uniform() * total;
            let weights = self.work.weights.iter().map(|&w| f64::from(w));
            return Some(self.work.ids[first_beyond(weights, 0.0, target)?.0]);
        }
        self.work.ids.first().copied()
    }

    /// Walks to `u` times the total of the chunk sums.
    fn walk(&mut self, u: f64, sums: SumsOf) -> Option<(u32, f32)> {
        let chunks = &self.work.chunks;
        let total: f64 = chunks.iter().map(|c| c.z).sum();
        let target = u * total;
        // The chunk in which the target lies, then the token.
        let (chunk, before) = first_beyond(chunks.iter().map(|c| c.z), 0.0, target)?;
        let stretch = self.weigh_chunk(chunk, sums);
        let weights = self.work.weights.iter().map(|&w| f64::from(w));
        let (at, _) = first_beyond(weights, before, target)?;
        Some(((chunk * CHUNK + at) as u32, stretch[at]))
    }

    /// Writes the weights of the tokens of one chunk; returns their logits.
    pub(super) fn weigh_chunk(&mut self, chunk: usize, sums: SumsOf) -> &'a [f32] {
        let first = chunk * CHUNK;
        let stretch = &self.row.x[first..self.row.x.len().min(first + CHUNK)];
        let scale = self.scale();
        let weights = &mut self.work.weights;
        weights.resize(stretch.len(), 0.0);
        simd::exp_into(stretch, sums.max, scale, weights);
        for (w, l) in weights.iter_mut().zip(stretch) {
            if *l < sums.window.lo || *l > sums.window.hi {
                *w = 0.0;
            }
        }
        stretch
    }
}
