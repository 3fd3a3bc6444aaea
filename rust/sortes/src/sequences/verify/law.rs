//! The laws of a target and of a draft over one vocabulary, and what the one exceeds the other by.
//!
//! Whatever verifies drafts asks for the same: the mass of `max(a p - b q, 0)`, and a draw from it.

use crate::decode::Kept;
use sortes_core::memory::reserve;
use sortes_core::weights::first_beyond;
use sortes_core::{Result, vectorised};
use std::cell::RefCell;

/// Tokens whose excess is summed before a draw looks into one such chunk.
const CHUNK: usize = 1024;
/// Terms that are summed side by side.
const LANES: usize = 8;

/// Both laws, over the tokens that the target keeps: `p = w / z` of each.
#[derive(Default)]
pub struct Laws {
    /// The tokens in the order of their ids; all of them if this is empty.
    ids: Vec<u32>,
    target: Vec<f32>,
    draft: Vec<f32>,
    /// One over the normalisers.
    scales: (f64, f64),
    /// The excess of each chunk, and of what.
    sums: Vec<f64>,
    excess: (f64, f64),
}

thread_local! {
    static LAWS: RefCell<Laws> = RefCell::default();
}

/// Calls `f` with the laws of what the rules keep of two rows of one length.
///
/// # Errors
/// If there is no memory for them, and those of `f`.
pub fn with_laws<R>(
    target: &mut Kept<'_, '_>,
    draft: &mut Kept<'_, '_>,
    f: impl FnOnce(&mut Laws) -> Result<R>,
) -> Result<R> {
    let mut laws = LAWS.take();
    let result = laws.read(target, draft).and_then(|()| f(&mut laws));
    LAWS.replace(laws);
    result
}

impl Laws {
    fn read(&mut self, target: &mut Kept<'_, '_>, draft: &mut Kept<'_, '_>) -> Result<()> {
        let what = "tokens of a law";
        self.ids.clear();
        if let Some(ids) = target.list() {
            reserve(&mut self.ids, ids.len(), what)?;
            self.ids.extend_from_slice(ids);
        }
        let ids = (!self.ids.is_empty()).then_some(&self.ids[..]);
        let len = ids.map_or(target.cols(), <[u32]>::len);
        for out in [&mut self.target, &mut self.draft] {
            out.clear();
            reserve(out, len, what)?;
            out.resize(len, 0.0);
        }
        target.weigh(ids, &mut self.target);
        draft.weigh(ids, &mut self.draft);
        self.scales = (1.0 / target.z(), 1.0 / draft.z());
        self.sums.clear();
        reserve(&mut self.sums, len.div_ceil(CHUNK), what)
    }

    /// The token at a place.
    fn token(&self, at: usize) -> u32 {
        if self.ids.is_empty() { at as u32 } else { self.ids[at] }
    }

    /// The mass of `max(a p - b q, 0)`, from which [`draw`](Self::draw) draws from now on.
    pub fn excess(&mut self, a: f64, b: f64) -> f64 {
        self.excess = (a * self.scales.0, b * self.scales.1);
        let (a, b) = self.excess;
        self.sums.clear();
        let chunks = self.target.chunks(CHUNK).zip(self.draft.chunks(CHUNK));
        self.sums.extend(chunks.map(|(p, q)| sum_of_excess(p, q, a, b)));
        self.sums.iter().sum()
    }

    /// The token to which `u` times the mass leads that was asked for last; none if there is no mass.
    pub fn draw(&self, u: f64) -> Option<u32> {
        let target = u * self.sums.iter().sum::<f64>();
        let (chunk, before) = first_beyond(self.sums.iter().copied(), 0.0, target)?;
        let (first, (a, b)) = (chunk * CHUNK, self.excess);
        let end = self.target.len().min(first + CHUNK);
        let pairs = self.target[first..end].iter().zip(&self.draft[first..end]);
        let excess = pairs.map(|(p, q)| (a * f64::from(*p) - b * f64::from(*q)).max(0.0));
        let (at, _) = first_beyond(excess, before, target)?;
        Some(self.token(first + at))
    }
}

vectorised! {
    /// Sums `max(a p - b q, 0)`, in the same order on every instruction set.
    fn sum_of_excess(p: &[f32], q: &[f32], a: f64, b: f64) -> f64 {
        let mut sums = [0.0; LANES];
        let ((p, last_p), (q, last_q)) = (p.as_chunks::<LANES>(), q.as_chunks::<LANES>());
        for (p, q) in p.iter().zip(q) {
            for lane in 0..LANES {
                let excess = a * f64::from(p[lane]) - b * f64::from(q[lane]);
                sums[lane] += if excess > 0.0 { excess } else { 0.0 };
            }
        }
        for (lane, (p, q)) in last_p.iter().zip(last_q).enumerate() {
            let excess = a * f64::from(*p) - b * f64::from(*q);
            sums[lane] += if excess > 0.0 { excess } else { 0.0 };
        }
        let [a, b, c, d, e, f, g, h] = sums;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }
}
