//! Whether the last rules keep one token, told without finding all that they keep.
//!
//! A draw asks about the one token that it has taken from all survivors. Top-p and typical sampling
//! keep it if the mass of what is ranked before it is less than a share. The sums of chunks are
//! known, so that looking at one chunk tells both how much of it comes before the token and how much
//! behind. Chunks are looked at until either is too much for the other verdict: the rank of a token
//! that was drawn is uniform in mass, so that for a share of 0.9 this is after a third of the row on
//! average, and only what comes before the token is weighed there. Ties, and what is nearer than
//! rounding, are left to the rules themselves: a verdict is what they would have found.

use super::crossing::Rank;
use super::draw::Method;
use super::params::{Params, Rule};
use super::pipeline::Options;
use super::rows::CHUNK;
use super::survivors::{Survivors, Work};
use sortes_core::num::{ceil_f32, floor_f32};
use sortes_core::simd::{self, BLOCK, Wanted};

/// Proofs keep this many times what rounding may have moved. Twice would do: the rule at work may
/// be off by as much as the sums here.
const MARGIN: f64 = 4.0;
/// The chunks are visited in so many sweeps over the row.
const SWEEPS: usize = 8;

/// How a rule tells whether it keeps a token of a logit, and what it looks at for that.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tells {
    /// At the law of the survivors, with these sums, and at the sums of chunks that come with it;
    /// `None` if it has to find all that it keeps.
    ByLaw(Wanted, fn(&mut Survivors<'_>, &Params, f32) -> Option<bool>),
    /// At the largest logit.
    ByBest(fn(&mut Survivors<'_>, &Params, f32) -> bool),
}

/// Rules that have not acted yet.
#[derive(Clone, Copy)]
pub(super) struct Pending<'a> {
    rules: &'a [&'static Rule],
    params: &'a Params,
    options: &'a Options,
}

impl<'a> Pending<'a> {
    /// The rules that are on, but for the first `acted`.
    pub(super) fn of(acted: usize, params: &'a Params, options: &'a Options) -> Option<Self> {
        let rules = &options.order[acted..];
        (!rules.is_empty()).then_some(Self { rules, params, options })
    }

    /// The rules in their order.
    fn rules(self) -> impl Iterator<Item = &'static Rule> {
        self.rules.iter().copied().filter(move |rule| rule.is_on(self.params))
    }
}

/// How many rules have to act before a draw: those that follow tell whether they keep a token.
pub(super) fn acting(params: &Params, options: &Options) -> usize {
    let all = options.order.len();
    if params.min_tokens() > 1 {
        return all;
    }
    let mut is_last = true;
    for (at, rule) in options.order.iter().enumerate().rev().filter(|(_, rule)| rule.is_on(params))
    {
        match rule.tells {
            // What looks at the largest logit alone may be asked before the rule has acted.
            Some(Tells::ByLaw(..)) if is_last || rule.keeps_best => return at,
            Some(Tells::ByBest(_)) => is_last = false,
            _ => break,
        }
    }
    all
}

impl Survivors<'_> {
    /// Makes ready for [`keeps`](Self::keeps), or lets the pending rules act where that is better.
    pub(super) fn prepare(&mut self, method: Method) {
        let Some(pending) = self.pending else { return };
        self.list();
        let asks_best = || pending.rules().any(|rule| matches!(rule.tells, Some(Tells::ByBest(_))));
        // Where the best of the row is gone, only who lists the survivors finds the best of them.
        if self.listed || method == Method::Scan || self.window.hi < f32::INFINITY && asks_best() {
            return self.settle();
        }
        for rule in pending.rules() {
            if let Some(Tells::ByLaw(wanted, _)) = rule.tells {
                self.law(wanted);
            }
        }
    }

    /// Lets the pending rules act.
    pub(super) fn settle(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        for rule in pending.rules() {
            if self.is_single() {
                break;
            }
            self.act(|survivors| rule.narrow(survivors, pending.params, pending.options));
        }
    }

    /// Whether a token is left after all rules.
    pub(super) fn keeps(&mut self, logit: f32, id: u32) -> bool {
        if let Some(pending) = self.pending
            && self.window.contains(logit, id)
        {
            let mut kept = Some(true);
            for rule in pending.rules() {
                let told = match rule.tells {
                    Some(Tells::ByLaw(_, keeps)) => keeps(self, pending.params, logit),
                    Some(Tells::ByBest(keeps)) => Some(keeps(self, pending.params, logit)),
                    None => None,
                };
                match told {
                    Some(true) => {}
                    Some(false) => return false,
                    None => kept = None,
                }
            }
            if kept.is_some() {
                return true;
            }
            self.settle();
        }
        self.window.contains(logit, id)
    }

    /// Whether less than a share of the mass is ranked before a token, of which the rank may be off
    /// by `error`; `None` if that depends on ties or on rounding.
    pub(super) fn is_within(
        &mut self,
        rank: Rank,
        error: f64,
        share: f64,
        logit: f32,
    ) -> Option<bool> {
        let z = self.plain_law().z;
        let margin = MARGIN * self.rounding().sum * z;
        let target = share * z;
        let (wide, narrow) = windows(rank, MARGIN * error, logit);
        self.weigh_around(wide, narrow, (target + margin, z - target + margin))
    }

    /// Compares masses with those which they are to exceed: that before a token, and that behind it.
    /// `wide` holds all that may come before it or with it, `narrow` what does so for certain.
    fn weigh_around(
        &mut self,
        wide: (f32, f32),
        narrow: (f32, f32),
        (before_least, behind_least): (f64, f64),
    ) -> Option<bool> {
        let sums = self
            .sums
            .filter(|sums| sums.window == self.window && sums.temperature == self.temperature);
        let (max, scale) = (sums?.max, self.scale());
        let (x, blocks, window) = (self.row.x, self.row.blocks, self.window);
        let inside = |ends: (f32, f32)| (ends.0.max(window.lo), ends.1.min(window.hi));
        let (wide, narrow) = (inside(wide), inside(narrow));
        let Work { chunks, bin_ids: near, .. } = &mut *self.work;
        // Chunks that lie behind as a whole need no look.
        let (mut before, mut behind) = (0.0, 0.0);
        near.clear();
        for ((id, sums), blocks) in (0..).zip(&*chunks).zip(blocks.chunks(CHUNK / BLOCK)) {
            if blocks.iter().any(|best| *best >= wide.0) {
                near.push(id);
            } else {
                behind += sums.z;
            }
        }
        if behind >= behind_least {
            return Some(true);
        }
        // Several sweeps, so that a row in which the mass is at one end is no worse than others.
        let sweeps = (0..SWEEPS).flat_map(|first| near.iter().skip(first).step_by(SWEEPS));
        for chunk in sweeps.map(|id| *id as usize) {
            let first = chunk * CHUNK;
            let stretch = &x[first..x.len().min(first + CHUNK)];
            let blocks = &blocks[first / BLOCK..];
            let masses = simd::masses_within(stretch, blocks, max, scale, wide, narrow);
            behind += chunks[chunk].z - masses.0;
            before += masses.1;
            if behind >= behind_least {
                return Some(true);
            }
            if before >= before_least {
                return Some(false);
            }
        }
        None
    }
}

/// The logits that may be ranked before one or with it if ranks are off by `error`, and those that
/// are ranked before it for certain.
fn windows(rank: Rank, error: f64, logit: f32) -> ((f32, f32), (f32, f32)) {
    match rank {
        Rank::Logit => ((logit, f32::INFINITY), (logit.next_up(), f32::INFINITY)),
        Rank::Distance(centre) => {
            let distance = rank.of(logit);
            let within = |d: f64| (ceil_f32(centre - d), floor_f32(centre + d));
            (within(distance + error), within(distance - error))
        }
    }
}
