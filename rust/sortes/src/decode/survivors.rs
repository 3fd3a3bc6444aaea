//! The tokens that are left of a row, their law, and order statistics.
//!
//! A row starts as a scan over all its logits. Once a cut leaves few tokens they are copied to a
//! short list, and everything after works on that.

use super::params::Ties;
use super::row::{Row, SPLIT};
use super::window::{ANY, Window};
use sortes_core::num::ceil_f32;
use sortes_core::par::Threads;
use sortes_core::rng::elementary::ln;
use sortes_core::simd::{self, BLOCK, ExpSums, Moments, Wanted};

/// Survivors that fit are listed; more are scanned in place.
const LIST: usize = 8192;
/// Logits per chunk: the unit that has its own exponential sum, in which the draw starts its walk.
pub(super) const CHUNK: usize = 4 * BLOCK;

/// Buffers that one thread reuses for every row.
#[derive(Default)]
pub struct Scratch {
    pub(super) wide: Vec<f32>,
    pub(super) edited: Vec<f32>,
    pub(super) blocks: Vec<f32>,
    pub(super) work: Work,
}

/// The part of [`Scratch`] that changes while a row is narrowed.
#[derive(Default)]
pub(super) struct Work {
    pub(super) values: Vec<f32>,
    pub(super) ids: Vec<u32>,
    pub(super) weights: Vec<f32>,
    pub(super) chunks: Vec<ExpSums>,
    pub(super) bins: Vec<f64>,
    pub(super) bin: Vec<f32>,
    bin_ids: Vec<u32>,
    pub(super) sample: Vec<f32>,
    pub(super) sampled: Vec<f64>,
    pub(super) bracket: Vec<f32>,
    pub(super) parts: Vec<(f64, Vec<f32>)>,
    pub(super) ranked: Vec<(f64, f32, f32)>,
    head: Vec<(f64, f64)>,
}

impl Work {
    /// Drops what the window leaves out from the list.
    fn retain(&mut self, window: &Window) {
        let mut kept = 0;
        for i in 0..self.values.len() {
            let (l, id) = (self.values[i], self.ids[i]);
            self.values[kept] = l;
            self.ids[kept] = id;
            kept += usize::from(window.contains(l, id));
        }
        self.values.truncate(kept);
        self.ids.truncate(kept);
    }
}

/// The law of the survivors at the current temperature `t`:
/// `p = exp((l - max) / t) / z`, in nats where a logarithm is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// The largest surviving logit.
    pub max: f32,
    /// `sum exp((l - max) / t)`.
    pub z: f64,
    /// Shannon entropy, if asked for.
    pub entropy: f64,
    /// Collision probability `sum p^2`, if asked for.
    pub collision: f64,
}

/// What the chunk sums in [`Work`] were computed for.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct SumsOf {
    pub(super) window: Window,
    pub(super) temperature: f64,
    pub(super) max: f32,
}

/// The tokens that are left of a row.
pub struct Survivors<'a> {
    pub(super) row: Row<'a>,
    pub(super) window: Window,
    pub(super) temperature: f64,
    pub(super) threads: Threads<'a>,
    pub(super) work: &'a mut Work,
    /// Whether `work.values` and `work.ids` are exactly the survivors, in id order.
    pub(super) listed: bool,
    /// The last window that held too many survivors for a list.
    crowded: Option<Window>,
    law: Option<(Law, Wanted, f64)>,
    pub(super) sums: Option<SumsOf>,
}

impl<'a> Survivors<'a> {
    /// Every finite logit of the row, at temperature 1.
    pub(super) fn new(row: Row<'a>, threads: Threads<'a>, work: &'a mut Work) -> Self {
        work.values.clear();
        work.ids.clear();
        let listed = row.max == f32::NEG_INFINITY;
        Self {
            row,
            window: Window::ALL,
            temperature: 1.0,
            threads,
            work,
            listed,
            crowded: None,
            law: None,
            sums: None,
        }
    }

    /// Whether no token is left: only so if the row came without a finite logit.
    pub fn is_empty(&self) -> bool {
        self.row.max == f32::NEG_INFINITY
    }

    /// Whether exactly one token is left for certain.
    pub fn is_single(&self) -> bool {
        self.listed && self.work.ids.len() == 1
    }

    /// The window that the rules have left.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The current temperature.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Sets the temperature at which the survivors are weighed from here on.
    pub fn set_temperature(&mut self, temperature: f64) {
        self.temperature = temperature;
        self.law = None;
    }

    /// `1 / t` as the kernels take it.
    pub(super) fn scale(&self) -> f32 {
        (1.0 / self.temperature) as f32
    }

    /// The largest surviving logit.
    pub fn max(&mut self) -> f32 {
        if self.window.hi == f32::INFINITY {
            return self.row.max;
        }
        self.list();
        let best = |m: f32, v: &f32| if *v > m { *v } else { m };
        if self.listed {
            return self.work.values.iter().fold(f32::NEG_INFINITY, best);
        }
        let window = self.window;
        let mut max = f32::NEG_INFINITY;
        for (id, &l) in self.row.x.iter().enumerate() {
            if l > max && window.contains(l, id as u32) {
                max = l;
            }
        }
        max
    }

    /// Keeps the tokens with `l >= cut`, and at least the `min_tokens` largest, ties included.
    pub fn keep_from(&mut self, cut: f64, min_tokens: usize) {
        let mut cut = ceil_f32(cut).min(self.max());
        if min_tokens > 1 {
            cut = cut.min(self.kth_largest(min_tokens));
        }
        self.raise(cut, ANY);
    }

    /// Keeps `l > lo`, and those at `lo` whose id lies in `ids`.
    pub(super) fn raise(&mut self, lo: f32, ids: (u32, u32)) {
        let before = self.window;
        self.window.raise(lo, ids);
        self.narrowed(before);
    }

    /// Keeps `l < hi`, and those at `hi` whose id lies in `ids`.
    pub(super) fn lower(&mut self, hi: f32, ids: (u32, u32)) {
        let before = self.window;
        self.window.lower(hi, ids);
        self.narrowed(before);
    }

    fn narrowed(&mut self, before: Window) {
        if self.window == before {
            return;
        }
        self.law = None;
        if self.listed {
            self.work.retain(&self.window);
        }
    }

    /// Lists the survivors if they are few, or if ties are broken by id (which scans cannot see).
    pub(super) fn list(&mut self) {
        let must = !self.window.is_plain();
        let may = self.window.lo > f32::MIN || self.row.x.len() <= LIST;
        if self.listed || !(may || must) || (!must && self.crowded == Some(self.window)) {
            return;
        }
        let limit = if must { usize::MAX } else { LIST };
        let x = self.row.x;
        let work = &mut *self.work;
        work.values.clear();
        work.ids.clear();
        let mut next = 0;
        while next < self.row.blocks.len() {
            // A run of blocks that hold a survivor, in one call.
            if self.row.blocks[next] < self.window.lo {
                next += 1;
                continue;
            }
            let first = next;
            while next < self.row.blocks.len()
                && next - first < 16
                && self.row.blocks[next] >= self.window.lo
            {
                next += 1;
            }
            let stretch = &x[first * BLOCK..x.len().min(next * BLOCK)];
            let id = (first * BLOCK) as u32;
            let ends = (self.window.lo, self.window.hi);
            simd::gather_window(stretch, id, ends, &mut work.values, &mut work.ids);
            if work.values.len() > limit {
                self.crowded = Some(self.window);
                return;
            }
        }
        self.listed = true;
        if must {
            // The gather took every tie.
            work.retain(&self.window);
        }
    }

    /// The number of survivors.
    pub fn count(&mut self) -> usize {
        self.list();
        if self.listed {
            return self.work.values.len();
        }
        self.moments().count
    }

    /// Count, sum and sum of squares of the survivors, measured from the largest logit.
    pub fn moments(&mut self) -> Moments {
        self.list();
        let origin = self.row.max;
        if self.listed {
            return simd::moments(&self.work.values, origin, Window::ALL.ends());
        }
        simd::moments(self.row.x, origin, (self.window.lo, self.window.hi))
    }

    /// The law of the survivors at the current temperature.
    pub fn law(&mut self, wanted: Wanted) -> Law {
        if let Some((law, had, t)) = self.law
            && t == self.temperature
            && (had.entropy || !wanted.entropy)
            && (had.square || !wanted.square)
        {
            return law;
        }
        let max = self.max();
        self.list();
        let scale = self.scale();
        let sums = if self.listed {
            self.weigh_list(max, scale, wanted)
        } else {
            self.weigh_row(max, scale, wanted)
        };
        let ln_z = ln(sums.z);
        let law = Law {
            max,
            z: sums.z,
            entropy: (ln_z - sums.a / sums.z).max(0.0),
            collision: sums.q / (sums.z * sums.z),
        };
        self.law = Some((law, wanted, self.temperature));
        law
    }

    /// Makes the next [`Survivors::law`] weigh the survivors anew.
    pub(super) fn forget_law(&mut self) {
        self.law = None;
    }

    /// Writes the weights of the list, and sums them in id order.
    pub(super) fn weigh_list(&mut self, max: f32, scale: f32, wanted: Wanted) -> ExpSums {
        let work = &mut *self.work;
        work.weights.resize(work.values.len(), 0.0);
        simd::exp_into(&work.values, max, scale, &mut work.weights);
        let mut sums = ExpSums::default();
        for (&l, &w) in work.values.iter().zip(&work.weights) {
            let w = f64::from(w);
            sums.z += w;
            if wanted.entropy && w > 0.0 {
                sums.a += w * f64::from((l - max) * scale);
            }
            if wanted.square {
                sums.q += w * w;
            }
        }
        sums
    }

    /// Sums the weights of the row inside the window, chunk by chunk.
    fn weigh_row(&mut self, max: f32, scale: f32, wanted: Wanted) -> ExpSums {
        let (x, ends) = (self.row.x, self.window.ends());
        let chunks = &mut self.work.chunks;
        chunks.clear();
        chunks.resize(x.len().div_ceil(CHUNK), ExpSums::default());
        let weigh = |chunk: usize| {
            let stretch = &x[chunk * CHUNK..x.len().min((chunk + 1) * CHUNK)];
            simd::exp_sums(stretch, max, scale, ends, wanted)
        };
        if self.threads.count() > 1 && x.len() >= SPLIT {
            self.threads.fill_chunks(chunks, 8, |i, part| {
                for (j, sums) in part.iter_mut().enumerate() {
                    *sums = weigh(8 * i + j);
                }
            });
        } else {
            for (i, sums) in chunks.iter_mut().enumerate() {
                *sums = weigh(i);
            }
        }
        self.sums = Some(SumsOf { window: self.window, temperature: self.temperature, max });
        let mut total = ExpSums::default();
        for &chunk in chunks.iter() {
            total += chunk;
        }
        total
    }

    /// The `k`-th largest surviving logit, or the smallest if there are fewer (`k >= 1`).
    pub fn kth_largest(&mut self, k: usize) -> f32 {
        self.list();
        let descending = |a: &f32, b: &f32| b.total_cmp(a);
        if self.listed {
            let work = &mut *self.work;
            work.bin.clear();
            work.bin.extend_from_slice(&work.values);
            let k = k.min(work.bin.len());
            return *work.bin.select_nth_unstable_by(k - 1, descending).1;
        }
        if self.window.hi == f32::INFINITY && 2 * k <= self.row.blocks.len() {
            // The k-th largest block maximum is a lower bound: k tokens reach it.
            let work = &mut *self.work;
            work.bin.clear();
            work.bin.extend_from_slice(self.row.blocks);
            let bound = *work.bin.select_nth_unstable_by(k - 1, descending).1;
            let bound = bound.max(self.window.lo);
            work.bin.clear();
            work.bin_ids.clear();
            for (i, _) in self.row.blocks.iter().enumerate().filter(|(_, m)| **m >= bound) {
                let stretch = &self.row.x[i * BLOCK..self.row.x.len().min((i + 1) * BLOCK)];
                let above = (bound, f32::INFINITY);
                simd::gather_window(stretch, 0, above, &mut work.bin, &mut work.bin_ids);
            }
            if !work.bin.is_empty() {
                let k = k.min(work.bin.len());
                return *work.bin.select_nth_unstable_by(k - 1, descending).1;
            }
        }
        self.kth_by_crossing(k)
    }
}

impl Survivors<'_> {
    /// Keeps the largest logit, the lowest id among equals.
    pub(super) fn keep_argmax(&mut self) {
        let max = self.max();
        let id = if self.window == Window::ALL {
            self.row.argmax() as u32
        } else {
            self.tied_ids(max, 1, Ties::Low).1
        };
        self.window.raise(max, (id, id));
        self.law = None;
        self.work.values.clear();
        self.work.ids.clear();
        self.work.values.push(max);
        self.work.ids.push(id);
        self.listed = true;
    }

    /// The `n` largest logits, descending, with their weights at the current temperature.
    pub(super) fn head(&mut self, n: usize) -> &[(f64, f64)] {
        let max = self.max();
        let scale = self.scale();
        let bound = self.kth_largest(n);
        let window = self.window;
        let work = &mut *self.work;
        work.bin.clear();
        if self.listed {
            work.bin.extend(work.values.iter().filter(|l| **l >= bound));
        } else {
            work.bin_ids.clear();
            let ends = (bound, window.hi);
            simd::gather_window(self.row.x, 0, ends, &mut work.bin, &mut work.bin_ids);
        }
        work.bin.sort_unstable_by(|a, b| b.total_cmp(a));
        work.bin.truncate(n);
        work.weights.resize(work.bin.len(), 0.0);
        simd::exp_into(&work.bin, max, scale, &mut work.weights);
        work.head.clear();
        work.head.extend(
            work.bin.iter().zip(&work.weights).map(|(l, w)| (f64::from(*l), f64::from(*w))),
        );
        &work.head
    }

    /// The smallest surviving logit `>= cut`, with its highest id.
    pub(super) fn least_from(&mut self, cut: f32) -> Option<(f32, u32)> {
        self.list();
        let window = self.window;
        let better = |best: Option<(f32, u32)>, (l, id): (f32, u32)| match best {
            Some((least, _)) if l > least => best,
            _ => Some((l, id)),
        };
        if self.listed {
            let tokens = self.work.values.iter().copied().zip(self.work.ids.iter().copied());
            return tokens.filter(|(l, _)| *l >= cut).fold(None, better);
        }
        let mut least = None;
        for (i, _) in self.row.blocks.iter().enumerate().filter(|(_, m)| **m >= cut) {
            let first = i * BLOCK;
            let block = &self.row.x[first..self.row.x.len().min(first + BLOCK)];
            for (j, &l) in block.iter().enumerate().filter(|(_, l)| **l >= cut) {
                let id = (first + j) as u32;
                if window.contains(l, id) {
                    least = better(least, (l, id));
                }
            }
        }
        least
    }
}
