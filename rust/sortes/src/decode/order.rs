//! The survivors in the order of their logits: the largest, the smallest, and how ties are broken.

use super::crossing::{Crossing, Goal, Rank, Reach};
use super::pipeline::Ties;
use super::survivors::{Survivors, Work};
use super::window::ANY;
use sortes_core::Result;
use sortes_core::order::sort;
use sortes_core::simd::{self, BLOCK};

impl Survivors<'_> {
    /// The `k`-th largest surviving logit, or the smallest if there are fewer (`k >= 1`).
    pub(super) fn kth_largest(&mut self, k: usize) -> f32 {
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
        self.crossing(Rank::Logit, Goal::Count(k), Reach::AtLeast).logit
    }

    /// The weights in `f64` of the `n` largest logits, descending.
    pub(super) fn head(&mut self, n: usize) -> &[f64] {
        let max = self.max();
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
        work.head.clear();
        work.head.resize(work.bin.len(), 0.0);
        simd::exp_into_f64(&work.bin, max, self.temperature, &mut work.head);
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

    /// Keeps the `n` largest, ties broken by id.
    pub(super) fn keep_first(&mut self, n: usize, ties: Ties) {
        let crossing = self.crossing(Rank::Logit, Goal::Count(n), Reach::AtLeast);
        let take = n.saturating_sub(crossing.before as usize);
        self.keep_prefix(&crossing, take, ties);
    }

    /// Keeps the tokens before a crossing in logit order, and `take` of those at it.
    pub(super) fn keep_prefix(&mut self, crossing: &Crossing, take: usize, ties: Ties) {
        let t = crossing.logit;
        if take == 0 {
            self.raise(t.next_up(), ANY);
        } else if ties == Ties::All || take >= crossing.ties {
            self.raise(t, ANY);
        } else {
            let ids = self.tied_ids(t, take, ties);
            self.raise(t, ids);
        }
    }

    /// The range of ids that holds `take` of the tokens at `logit`: the highest or the lowest ones.
    pub(super) fn tied_ids(&mut self, logit: f32, take: usize, ties: Ties) -> (u32, u32) {
        let from_low = ties == Ties::Low;
        let nth =
            |ids: &[u32], n: usize| ids.get(if from_low { n } else { ids.len() - 1 - n }).copied();
        let Work { values, ids, bin, bin_ids: tied, .. } = &mut *self.work;
        let mut bound = None;
        if self.listed {
            let tokens = values.iter().zip(&*ids);
            tied.clear();
            tied.extend(tokens.filter(|(l, _)| **l == logit).map(|(_, id)| *id));
            bound = nth(tied, take - 1);
        } else {
            // Block by block from the side that is kept, until there are enough.
            let blocks = self.row.blocks.len();
            let mut left = take;
            for i in 0..blocks {
                let i = if from_low { i } else { blocks - 1 - i };
                if self.row.blocks[i] < logit {
                    continue;
                }
                let block = &self.row.x[i * BLOCK..self.row.x.len().min((i + 1) * BLOCK)];
                tied.clear();
                bin.clear();
                simd::gather_window(block, (i * BLOCK) as u32, (logit, logit), bin, tied);
                tied.retain(|id| self.window.contains(logit, *id));
                if tied.len() >= left {
                    bound = nth(tied, left - 1);
                    break;
                }
                left -= tied.len();
            }
        }
        match (bound, ties) {
            (Some(id), Ties::Low) => (0, id),
            (Some(id), _) => (id, u32::MAX),
            (None, _) => ANY,
        }
    }

    /// Writes a function of the place of every token of the row among all: the index at which its
    /// group of equals begins, the mass of the tokens before the group, and of those before itself.
    pub(super) fn write_of_groups(
        &mut self,
        ties: Ties,
        out: &mut [f64],
        f: impl Fn(usize, f64, f64) -> f64,
    ) -> Result<()> {
        let law = self.plain_law();
        let x = self.row.x;
        let p = |l: f32| (f64::from(l) - f64::from(law.max)).exp() / law.z;
        let order = &mut self.work.bin_ids;
        order.clear();
        order.extend(0..x.len() as u32);
        let descending = |&a: &u32, &b: &u32| {
            let by_id = if ties == Ties::Low { a.cmp(&b) } else { b.cmp(&a) };
            x[b as usize].total_cmp(&x[a as usize]).then(by_id)
        };
        sort(order, descending, self.run)?;
        let (mut first, mut mass) = (0, 0.0);
        for group in order.chunk_by(|&a, &b| x[a as usize] == x[b as usize]) {
            let likelier = mass;
            for &id in group {
                out[id as usize] = f(first, likelier, mass);
                mass += p(x[id as usize]);
            }
            first += group.len();
        }
        Ok(())
    }
}
