//! The largest acceptance that `k` independent drafts for one position allow, by a sort.
//!
//! What matters about a way to select one of the drafts is the law `m` of the selected token, which is
//! then verified as a single draft. A selection can have the law `m` if and only if every set `S` of
//! tokens has `m(S) >= q(S)^k`, the chance that all drafts lie in it. With tokens in the order of
//! `p / q`, the largest mass of `min(p, m)` is `1 - max_j (Q_j^k - P_j)` over their beginnings (Khisti
//! et al., "Multi-Draft Speculative Sampling: Canonical Decomposition and Theoretical Limits", ICLR
//! 2025, arXiv:2410.18234, for two drafts; Hu et al., "Towards Optimal Multi-draft Speculative
//! Decoding", ICLR 2025, arXiv:2502.18779), and it is reached by `m = q clamp(p / q, c, C)`: up to the
//! worst beginning tokens are raised to `c`, behind it they are cut to `C`, as totals ask for.
//!
//! The selection: every token has a part of `[0, 1]` of length `q`, on which each draft of it takes a
//! uniform number, and the draft with the largest number is selected. The largest of `k` uniform
//! numbers has density `k u^(k - 1)`, and the part of a token is chosen so that its integral is `m`.
//! Tokens come in the order of `p / q`, and each takes an interval of what the others have left, the
//! one with the right integral; there always is one, since what is left stays as spread out as what is
//! asked for. Intervals that meet become one, so that one pass along the order is enough: the shadows
//! of Beiglböck and Juillet, "On a problem of optimal transport under marginal martingale constraints",
//! Annals of Probability 44, 2016.

use crate::decode::Kept;
use sortes_core::memory::{reserve, with_capacity};
use sortes_core::{Error, Result};

/// A token of the draft, by its masses.
#[derive(Clone, Copy)]
struct Item {
    p: f64,
    q: f64,
    token: u32,
}

impl Item {
    fn ratio(&self) -> f64 {
        self.p / self.q
    }
}

/// A part of `[0, 1]` that is taken: where it begins, its length, and the integral over it.
#[derive(Clone, Copy)]
struct Part {
    from: f64,
    length: f64,
    mass: f64,
}

impl Part {
    fn end(&self) -> f64 {
        self.from + self.length
    }
}

/// The law of the selection, and who stands where.
pub(super) struct Plan {
    k: usize,
    /// Every token that the draft may take, in the order of `p / q`.
    items: Vec<Item>,
    /// Between which the ratios of the selection's law lie.
    ends: (f64, f64),
    /// How many items are raised to the lower end, and how many are not cut to the upper one.
    raised: usize,
    uncut: usize,
    /// The parts that are taken, from low to high.
    taken: Vec<Part>,
    /// What the draft's probabilities were divided by: one, but for rounding.
    total: f64,
}

impl Plan {
    /// The plan for `k` drafts.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn of(
        target: &mut Kept<'_, '_>,
        draft: &mut Kept<'_, '_>,
        k: usize,
    ) -> Result<Self> {
        let mut items = sorted(target, draft)?;
        let total: f64 = items.iter().map(|item| item.q).sum();
        items.iter_mut().for_each(|item| item.q /= total);
        let taken = with_capacity(items.len() + 2, "tokens of a law")?;
        let (raised, uncut) = (0, items.len());
        let mut plan = Self { k, items, ends: (0.0, f64::INFINITY), raised, uncut, taken, total };
        plan.bound();
        Ok(plan)
    }

    /// The chance that all drafts lie in a set of this mass.
    fn all_in(&self, q: f64) -> f64 {
        q.min(1.0).powi(self.k as i32)
    }

    /// Finds the beginning that limits acceptance, and to what ratios are raised and cut for it.
    fn bound(&mut self) {
        let (mut worst, mut at, mut at_sums) = (0.0, 0, (0.0, 0.0));
        let (mut p, mut q) = (0.0, 0.0);
        for (i, item) in self.items.iter().enumerate() {
            (p, q) = (p + item.p, q + item.q);
            let lost = self.all_in(q) - p;
            if lost > worst {
                (worst, at, at_sums) = (lost, i + 1, (p, q));
            }
        }
        if at == 0 {
            return;
        }
        // What the beginning gets is what it must: all draws that lie in it, and no more.
        let (p_head, due) = (at_sums.0, self.all_in(at_sums.1));
        let (mut p, mut q) = (0.0, 0.0);
        for i in 0..at {
            (p, q) = (p + self.items[i].p, q + self.items[i].q);
            let level = (due - p_head + p) / q;
            if i + 1 == at || level <= self.items[i + 1].ratio() {
                (self.raised, self.ends.0) = (i + 1, level.max(0.0));
                break;
            }
        }
        let (mut p, mut q) = (0.0, 0.0);
        let rest: f64 = self.items[at..].iter().map(|item| item.p).sum();
        for i in (at..self.items.len()).rev() {
            (p, q) = (p + self.items[i].p, q + self.items[i].q);
            let level = (1.0 - due - (rest - p)) / q;
            if i == at || level >= self.items[i - 1].ratio() {
                (self.uncut, self.ends.1) = (i, level.max(self.ends.0));
                break;
            }
        }
    }

    /// Gives each draft its number on the part of its token; returns the draft with the largest.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn select(&mut self, tokens: &[u32], numbers: &[f64]) -> Result<usize> {
        if self.k == 1 {
            return Ok(0);
        }
        let mut places = with_capacity(tokens.len(), "drafts")?;
        for token in tokens {
            places.push(self.items.iter().position(|item| item.token == *token).unwrap_or(0));
        }
        let last = places.iter().copied().max().unwrap_or(0);
        let mut largest = (f64::NEG_INFINITY, 0);
        let mut first = 0;
        while first <= last {
            // Tokens of one ratio share a part.
            let end = match first {
                0 if self.raised > 0 => self.raised,
                i if i == self.uncut => self.items.len(),
                i => i + 1,
            };
            let group = &self.items[first..end];
            let length: f64 = group.iter().map(|item| item.q).sum();
            let mass: f64 = group.iter().map(|item| self.selected(item)).sum();
            let held = self.take(length, mass);
            for (at, place) in places.iter().enumerate() {
                if (first..end).contains(place) {
                    let u = self.within(held, numbers[at]);
                    if u > largest.0 {
                        largest = (u, at);
                    }
                }
            }
            self.join(held);
            first = end;
        }
        Ok(largest.1)
    }

    /// The chance that a token is selected.
    fn selected(&self, item: &Item) -> f64 {
        item.p.clamp(self.ends.0 * item.q, self.ends.1 * item.q)
    }

    /// The interval of what is left with this length and integral: where it begins, and how many of the
    /// highest parts lie within it.
    fn take(&self, length: f64, mass: f64) -> (Part, usize) {
        let mut whole = Part { from: 0.0, length, mass };
        let mut within = 0;
        loop {
            whole.from = self.beginning(whole.length, whole.mass);
            let Some(below) = self.taken.iter().rev().nth(within) else { break };
            if below.end() <= whole.from {
                break;
            }
            whole.length += below.length;
            whole.mass += below.mass;
            within += 1;
        }
        whole.length = whole.length.min(1.0 - whole.from);
        (whole, within)
    }

    /// Where an interval of this length begins whose integral is `mass`: the mean of the density,
    /// `sum b^(k-1-i) a^i` from `a` to `b`, rises with it.
    fn beginning(&self, length: f64, mass: f64) -> f64 {
        let (wanted, most) = (mass / length, (1.0 - length).max(0.0));
        if self.k == 2 {
            return (0.5 * (wanted - length)).clamp(0.0, most);
        }
        // Convex and rising: Newton's steps from above do not pass the solution.
        let mut from = most;
        for _ in 0..64 {
            let (mut mean, mut slope, to) = (1.0, 0.0, from + length);
            let mut power = 1.0;
            for i in 1..self.k {
                slope = slope * to + mean + i as f64 * power;
                power *= from;
                mean = mean * to + power;
            }
            let next = (from - (mean - wanted) / slope).clamp(0.0, most);
            if (next - from).abs() <= f64::EPSILON {
                return next;
            }
            from = next;
        }
        from
    }

    /// The place at a share of an interval, what was taken before left out.
    fn within(&self, (whole, within): (Part, usize), share: f64) -> f64 {
        let first = self.taken.len() - within;
        let holes = &self.taken[first..];
        let free = whole.length - holes.iter().map(|hole| hole.length).sum::<f64>();
        let mut left = share * free.max(0.0);
        let mut from = whole.from;
        for hole in holes {
            let gap = (hole.from - from).max(0.0);
            if left < gap {
                return from + left;
            }
            left -= gap;
            from = hole.end();
        }
        from + left
    }

    /// Makes one part of an interval and of those within it.
    fn join(&mut self, (whole, within): (Part, usize)) {
        self.taken.truncate(self.taken.len() - within);
        self.taken.push(whole);
    }

    /// The chance that a token is selected, and its probability in the target's law.
    pub(super) fn masses(&self, token: u32) -> (f64, f64) {
        let found = self.items.iter().find(|item| item.token == token);
        found.map_or((1.0, 0.0), |item| (self.selected(item), item.p))
    }

    /// By what the draft's law is multiplied in the excess of the target over the selection.
    pub(super) fn cap(&self) -> f64 {
        self.ends.1.min(1e300) / self.total
    }
}

/// The tokens of the draft in the order of `p / q`.
fn sorted(target: &mut Kept<'_, '_>, draft: &mut Kept<'_, '_>) -> Result<Vec<Item>> {
    let what = "tokens of a law";
    let ids: Option<Vec<u32>> = match draft.list() {
        Some(ids) => {
            let mut copy = with_capacity(ids.len(), what)?;
            copy.extend_from_slice(ids);
            Some(copy)
        }
        None => None,
    };
    let len = ids.as_ref().map_or(draft.cols(), Vec::len);
    let (mut p, mut q) = (Vec::new(), Vec::new());
    for weights in [&mut p, &mut q] {
        reserve(weights, len, what)?;
        weights.resize(len, 0.0_f32);
    }
    target.weigh(ids.as_deref(), &mut p);
    draft.weigh(ids.as_deref(), &mut q);
    let (z_p, z_q) = (target.z(), draft.z());
    let mut items = with_capacity(len, what)?;
    for (at, (p, q)) in p.iter().zip(&q).enumerate() {
        if *q > 0.0 {
            let token = ids.as_ref().map_or(at as u32, |ids| ids[at]);
            items.push(Item { p: f64::from(*p) / z_p, q: f64::from(*q) / z_q, token });
        }
    }
    if items.is_empty() {
        return Err(Error::row("draft_logits", 0, "no finite logit"));
    }
    items.sort_unstable_by(|a, b| a.ratio().total_cmp(&b.ratio()).then(a.token.cmp(&b.token)));
    Ok(items)
}
