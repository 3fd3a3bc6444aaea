//! The tokens that are left of a row, and what removes more of them.
//!
//! A row starts as a scan over all its logits. Once a cut leaves few tokens they are copied to a
//! short list, and everything after works on that. What is asked of the survivors stands in
//! `law`, `order`, `crossing` and `exact`.

use super::crossing::GROUP;
use super::exact::{Cut, Precision};
use super::law::{Law, SumsOf};
use super::masked::each;
use super::pipeline::Ties;
use super::rows::{CHUNK, Row, SPLIT};
use super::verdict::Pending;
use super::window::{ANY, Window};
use sortes_core::memory::reserve;
use sortes_core::num::{ceil_f32, floor_f32};
use sortes_core::simd::{self, BLOCK, ExpSums, Wanted};
use sortes_core::{Result, Run};

/// Survivors that fit are listed; more are scanned in place.
const LIST: usize = 8192;
/// What is this far below the largest logit has a probability of zero in `f64`.
const ABSENT: f64 = 745.0;

/// Buffers that one thread reuses for every row.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) wide: Vec<f32>,
    pub(super) edited: Vec<f32>,
    pub(super) blocks: Vec<f32>,
    pub(super) work: Work,
}

/// The part of [`Scratch`] that changes while a row is narrowed.
#[derive(Default)]
pub(super) struct Work {
    /// The list: logits and their ids.
    pub(super) values: Vec<f32>,
    pub(super) ids: Vec<u32>,
    pub(super) weights: Vec<f32>,
    pub(super) chunks: Vec<ExpSums>,
    pub(super) bins: Vec<f64>,
    /// Logits that are looked at one by one, and their ids.
    pub(super) bin: Vec<f32>,
    pub(super) bin_ids: Vec<u32>,
    pub(super) sample: Vec<f32>,
    pub(super) sampled: Vec<f64>,
    pub(super) bracket: Vec<f32>,
    pub(super) parts: Vec<(f64, Vec<f32>)>,
    /// Ranks of tokens, their logits and weights.
    pub(super) ranked: Vec<(f64, f32, f64)>,
    pub(super) head: Vec<f64>,
    /// A copy of the row in which what a mask forbids is minus infinity, and its blocks.
    pub(super) masked: Vec<f32>,
    pub(super) masked_blocks: Vec<f32>,
    /// The longest row that the buffers have capacity for.
    longest: usize,
}

impl Work {
    /// Gives every buffer the capacity that a row of `len` logits can need, so that no rule runs
    /// out of memory. What a row does not use is never touched.
    fn reserve(&mut self, len: usize) -> Result<()> {
        if len <= self.longest {
            return Ok(());
        }
        let what = "logits of one row";
        // The kernels ask for a block and a vector more than they have written.
        let with_slack = len + 2 * BLOCK;
        for buffer in [&mut self.values, &mut self.weights, &mut self.bin, &mut self.bracket] {
            grow(buffer, with_slack, what)?;
        }
        grow(&mut self.ids, with_slack, what)?;
        grow(&mut self.bin_ids, with_slack, what)?;
        grow(&mut self.sample, len, what)?;
        grow(&mut self.chunks, len.div_ceil(CHUNK), what)?;
        grow(&mut self.ranked, len, what)?;
        grow(&mut self.head, len, what)?;
        self.longest = len;
        Ok(())
    }

    /// The same for the buffers of a row that is split over threads.
    fn reserve_parts(&mut self, len: usize) -> Result<()> {
        let groups = len.div_ceil(GROUP);
        grow(&mut self.parts, groups, "groups of one row")?;
        self.parts.resize_with(groups.max(self.parts.len()), Default::default);
        self.parts
            .iter_mut()
            .try_for_each(|(_, part)| grow(part, GROUP + 2 * BLOCK, "logits of a group"))
    }

    /// Drops what the window leaves out from the list.
    fn retain(&mut self, window: &Window) {
        if window.is_plain() {
            return simd::retain_window(window.ends(), &mut self.values, &mut self.ids);
        }
        let mut kept = 0;
        for i in 0..self.values.len() {
            let (l, id) = (self.values[i], self.ids[i]);
            self.values[kept] = l;
            self.ids[kept] = id;
            // No branches: which logits stay cannot be foreseen.
            kept += usize::from(window.contains(l, id));
        }
        self.values.truncate(kept);
        self.ids.truncate(kept);
    }
}

/// Gives a buffer capacity for `len` elements in all, which are `what`.
pub(super) fn grow<T>(buffer: &mut Vec<T>, len: usize, what: &'static str) -> Result<()> {
    reserve(buffer, len.saturating_sub(buffer.len()), what)
}

/// The tokens that are left of a row.
pub(super) struct Survivors<'a> {
    pub(super) row: Row<'a>,
    /// What to add to a logit to show it: rules that rewrite the row leave differences.
    pub(super) offset: f64,
    pub(super) window: Window,
    pub(super) temperature: f64,
    pub(super) run: Run<'a>,
    /// Where the rules cut from below: a logit that may lie above all others, which then leaves the
    /// largest.
    pub(super) cut: f64,
    /// Whether a temperature of zero has left the largest logit alone.
    pub(super) is_greedy: bool,
    pub(super) work: &'a mut Work,
    /// Whether `work.values` and `work.ids` are exactly the survivors, in the order of the ids.
    pub(super) listed: bool,
    /// The last window that held too many survivors for a list.
    crowded: Option<Window>,
    /// The law that was computed last, what of it, and at which temperature.
    pub(super) law: Option<(Law, Wanted, f64)>,
    /// How the law is computed.
    pub(super) precision: Precision,
    pub(super) sums: Option<SumsOf>,
    /// Rules that act when it is asked what is left, if the draw asks at all.
    pub(super) pending: Option<Pending<'a>>,
}

impl<'a> Survivors<'a> {
    /// Every finite logit of the row, at temperature 1.
    ///
    /// # Errors
    /// If there is no memory for the buffers.
    pub(super) fn new(row: Row<'a>, work: &'a mut Work, run: Run<'a>) -> Result<Self> {
        work.reserve(row.x.len())?;
        if run.threads.count() > 1 && row.x.len() >= SPLIT {
            work.reserve_parts(row.x.len())?;
        }
        work.values.clear();
        work.ids.clear();
        let listed = row.max == f32::NEG_INFINITY;
        Ok(Self {
            row,
            offset: 0.0,
            window: Window::ALL,
            temperature: 1.0,
            run,
            cut: f64::NEG_INFINITY,
            is_greedy: false,
            work,
            listed,
            crowded: None,
            law: None,
            precision: Precision::Single,
            sums: None,
            pending: None,
        })
    }

    /// Whether no token is left: only so if the row came without a finite logit.
    pub(super) fn is_empty(&self) -> bool {
        self.row.max == f32::NEG_INFINITY
    }

    /// Whether exactly one token is left for certain.
    pub(super) fn is_single(&self) -> bool {
        self.listed && self.work.ids.len() == 1
    }

    /// The logit of a token, if it is left.
    pub(super) fn logit(&self, id: u32) -> Option<f32> {
        let l = *self.row.x.get(id as usize)?;
        self.window.contains(l, id).then_some(l)
    }

    /// The current temperature.
    pub(super) fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Sets the temperature at which the survivors are weighed from here on.
    pub(super) fn set_temperature(&mut self, temperature: f64) {
        self.temperature = temperature;
        self.law = None;
    }

    /// `1 / t` as the kernels take it.
    pub(super) fn scale(&self) -> f32 {
        (1.0 / self.temperature) as f32
    }

    /// The largest surviving logit.
    pub(super) fn max(&mut self) -> f32 {
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

    /// The number of survivors that count.
    pub(super) fn count(&mut self) -> usize {
        let from = self.counted_from();
        self.list();
        if self.listed {
            return self.work.values.iter().filter(|l| **l >= from).count();
        }
        self.moments(from).count
    }

    /// The least logit that counts where a rule averages over tokens: those further below the
    /// largest have no probability in `f64`, and are bans that were written as numbers.
    pub(super) fn counted_from(&mut self) -> f32 {
        ceil_f32(f64::from(self.max()) - ABSENT).max(f32::MIN)
    }

    /// Keeps `p >= exp(ln_p)`, and at least the `min_tokens` most likely tokens, ties included.
    pub(super) fn keep_likely(&mut self, ln_p: f64, min_tokens: usize) {
        let error = self.rounding().sum;
        let cut = self.cut_at(ln_p, error);
        self.keep_from(cut, min_tokens);
    }

    /// Keeps `l >= cut`, and at least the `min_tokens` largest, ties included.
    pub(super) fn keep_from(&mut self, cut: Cut, min_tokens: usize) {
        let mut least = self.max();
        if min_tokens > 1 {
            least = least.min(self.kth_largest(min_tokens));
        }
        self.doubt_cut(cut, least);
        if self.is_doubtful() {
            return;
        }
        let Cut { at, .. } = cut;
        self.cut = self.cut.max(if min_tokens > 1 { at.min(f64::from(least)) } else { at });
        self.raise(ceil_f32(at).min(least), ANY);
    }

    /// Keeps the tokens within a distance of a centre.
    pub(super) fn keep_within(&mut self, centre: f64, distance: f64) {
        // The f32 ends that decide as `|centre - l| <= distance` does in f64.
        let inside = |l: f32| (centre - f64::from(l)).abs() <= distance;
        let mut lo = ceil_f32(centre - distance);
        if !inside(lo) && inside(lo.next_up()) {
            lo = lo.next_up();
        } else if inside(lo.next_down()) {
            lo = lo.next_down();
        }
        let mut hi = floor_f32(centre + distance);
        if !inside(hi) && inside(hi.next_down()) {
            hi = hi.next_down();
        } else if inside(hi.next_up()) {
            hi = hi.next_up();
        }
        self.raise(lo, ANY);
        self.lower(hi, ANY);
    }

    /// Keeps the largest logit, the lowest id among equals.
    pub(super) fn keep_argmax(&mut self) {
        let max = self.max();
        let id = if self.window == Window::ALL {
            self.row.argmax() as u32
        } else {
            self.tied_ids(max, 1, Ties::Low).1
        };
        self.window.raise(max, (id, id));
        self.is_greedy = true;
        self.law = None;
        self.work.values.clear();
        self.work.ids.clear();
        self.work.values.push(max);
        self.work.ids.push(id);
        self.listed = true;
    }

    /// Takes back what the rules removed, so that it is weighed and drawn again; returns the window
    /// that they had left. What they [cut](Self::cut) stays known.
    pub(super) fn restore(&mut self) -> Window {
        let window = std::mem::replace(&mut self.window, Window::ALL);
        if window != Window::ALL {
            self.work.values.clear();
            self.work.ids.clear();
            self.listed = self.is_empty();
            self.crowded = None;
            self.law = None;
            self.sums = None;
        }
        window
    }

    /// Keeps `l > lo`, and those at `lo` whose id lies in `ids`.
    pub(super) fn raise(&mut self, lo: f32, ids: (u32, u32)) {
        if self.is_doubtful() {
            return;
        }
        let before = self.window;
        self.window.raise(lo, ids);
        self.cut = self.cut.max(f64::from(lo));
        self.narrowed(before);
    }

    /// Keeps `l < hi`, and those at `hi` whose id lies in `ids`.
    pub(super) fn lower(&mut self, hi: f32, ids: (u32, u32)) {
        if self.is_doubtful() {
            return;
        }
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

    /// Lists the tokens that a mask has left, if they are few and no rule has acted.
    pub(super) fn list_few(&mut self, words: &[u32]) {
        let few = words.iter().map(|word| word.count_ones() as usize).sum::<usize>() <= LIST;
        if few && !self.listed {
            let x = self.row.x;
            let Work { values, ids, .. } = &mut *self.work;
            each(words, x.len(), true, |id| {
                if x[id] > f32::NEG_INFINITY {
                    values.push(x[id]);
                    ids.push(id as u32);
                }
            });
            self.listed = true;
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
}
