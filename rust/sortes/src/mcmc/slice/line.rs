//! The slice sampler of one number: an interval around it, and points of that.

use std::cmp::Ordering;

use crate::mcmc::draws::Draws;

/// How the interval is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// By steps of its width on either side, at most this many with the first.
    Steps(Option<u64>),
    /// By doubling it at most so many times, on a side that is drawn.
    Doublings(u32),
}

/// What an update wants next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ask {
    /// The log density at a number.
    At(f64),
    /// Nothing: the new number, and its log density.
    Found(f64, f64),
    /// Nothing: a limit was reached, and the number stays.
    Stuck,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Steps to the left, to the right.
    Left,
    Right,
    /// The ends of the first interval to be doubled, and those that doubling gives it.
    FirstLeft,
    FirstRight,
    DoubledLeft,
    DoubledRight,
    /// A point of the interval.
    Proposal,
    /// The ends of the intervals from which doubling might have begun.
    TestLeft,
    TestRight,
}

/// Updates of one number (Neal 2003, sections 4 and 5).
#[derive(Debug, Clone)]
pub struct Line {
    growth: Growth,
    /// The most evaluations of an update.
    limit: u32,
    width: f64,
    bounds: (f64, f64),
    x0: f64,
    level: f64,
    /// The interval, as it grew, and as it shrinks.
    grown: (f64, f64),
    interval: (f64, f64),
    /// How often each end may still move; how often the interval may still double.
    left: u64,
    right: u64,
    /// Log densities of the ends, while doubling.
    ends: (f64, f64),
    proposal: (f64, f64),
    /// The test of a proposal: its interval, and whether it has parted from the number.
    test: (f64, f64),
    parted: bool,
    /// Log densities of ends that were asked about.
    known: Vec<(f64, f64)>,
    phase: Phase,
    asked: f64,
    /// How many evaluations the update asked for.
    pub evaluations: u32,
    /// How many of them were of points that it might have taken.
    pub proposals: u32,
    /// How often the interval was widened.
    pub widened: u32,
    /// How often it was shrunk.
    pub shrunk: u32,
}

impl Line {
    /// Updates of this kind, each with at most `limit` evaluations.
    pub fn new(growth: Growth, limit: u32) -> Self {
        Self {
            growth,
            limit,
            width: 1.0,
            bounds: (f64::NEG_INFINITY, f64::INFINITY),
            x0: 0.0,
            level: 0.0,
            grown: (0.0, 0.0),
            interval: (0.0, 0.0),
            left: 0,
            right: 0,
            ends: (0.0, 0.0),
            proposal: (0.0, 0.0),
            test: (0.0, 0.0),
            parted: false,
            known: Vec::new(),
            phase: Phase::Left,
            asked: 0.0,
            evaluations: 0,
            proposals: 0,
            widened: 0,
            shrunk: 0,
        }
    }

    /// Whether the interval never grows, so that its width has nothing to be judged by.
    pub fn is_rigid(&self) -> bool {
        matches!(self.growth, Growth::Steps(Some(1)) | Growth::Doublings(0))
    }

    /// The number that was asked about last.
    #[inline]
    pub fn asked(&self) -> f64 {
        self.asked
    }

    /// Begins an update of `x0`, which lies within `bounds`, at a level below its log density.
    #[inline]
    pub fn begin(
        &mut self,
        x0: f64,
        level: f64,
        width: f64,
        bounds: (f64, f64),
        draws: &mut impl Draws,
    ) -> Ask {
        (self.x0, self.level, self.width, self.bounds) = (x0, level, width, bounds);
        (self.evaluations, self.proposals, self.widened, self.shrunk) = (0, 0, 0, 0);
        let left = x0 - width * draws.uniform();
        self.grown = (left, left + width);
        match self.growth {
            Growth::Steps(most) => {
                (self.left, self.right) = (u64::MAX, u64::MAX);
                if let Some(most) = most {
                    self.left = (most as f64 * draws.uniform()) as u64;
                    self.right = (most - 1).saturating_sub(self.left);
                }
                self.grown = (self.grown.0.max(bounds.0), self.grown.1.min(bounds.1));
                self.first_step(draws)
            }
            Growth::Doublings(most) => {
                self.left = u64::from(most);
                self.known.clear();
                self.end(self.grown.0, Phase::FirstLeft, draws)
            }
        }
    }

    /// Goes on with the log density at the number that was asked about.
    #[inline]
    pub fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Ask {
        self.follow(logp, draws, &mut |_| None)
    }

    /// The same; and further, as long as `more` knows the log densities that come next.
    #[inline]
    pub fn follow(
        &mut self,
        mut logp: f64,
        draws: &mut impl Draws,
        more: &mut impl FnMut(f64) -> Option<f64>,
    ) -> Ask {
        if matches!(self.growth, Growth::Doublings(_)) {
            return self.advance_doubled(logp, draws);
        }
        /// The log density at a number; or the end, for now or for good.
        macro_rules! ask {
            ($at:expr, $phase:expr) => {{
                let at = $at;
                match self.ask(at, $phase) {
                    Ask::At(at) => match more(at) {
                        Some(logp) => logp,
                        None => return Ask::At(at),
                    },
                    over => return over,
                }
            }};
        }
        if matches!(self.phase, Phase::Left) {
            while logp > self.level {
                self.grown.0 = (self.grown.0 - self.width).max(self.bounds.0);
                self.left -= 1;
                self.widened += 1;
                if !self.moves_left() {
                    break;
                }
                logp = ask!(self.grown.0, Phase::Left);
            }
            self.phase = Phase::Right;
            logp = if self.moves_right() {
                ask!(self.grown.1, Phase::Right)
            } else {
                f64::NEG_INFINITY
            };
        }
        if matches!(self.phase, Phase::Right) {
            while logp > self.level {
                self.grown.1 = (self.grown.1 + self.width).min(self.bounds.1);
                self.right -= 1;
                self.widened += 1;
                if !self.moves_right() {
                    break;
                }
                logp = ask!(self.grown.1, Phase::Right);
            }
            match self.shrink_from(draws) {
                Ask::At(at) => match more(at) {
                    Some(known) => logp = known,
                    None => return Ask::At(at),
                },
                over => return over,
            }
        }
        // A log density that is not a number is outside the slice as well.
        while logp.partial_cmp(&self.level) != Some(Ordering::Greater) {
            match self.shrink(draws) {
                Ask::At(at) => match more(at) {
                    Some(known) => logp = known,
                    None => return Ask::At(at),
                },
                over => return over,
            }
        }
        self.proposal.1 = logp;
        Ask::Found(self.proposal.0, logp)
    }

    /// Goes on where intervals are doubled.
    fn advance_doubled(&mut self, logp: f64, draws: &mut impl Draws) -> Ask {
        match self.phase {
            Phase::Proposal if logp > self.level => {
                self.proposal.1 = logp;
                (self.test, self.parted) = (self.grown, false);
                self.halve(draws)
            }
            Phase::Proposal => self.shrink(draws),
            phase => {
                self.known.push((self.asked, logp));
                self.with_end(phase, logp, draws)
            }
        }
    }

    #[inline]
    fn ask(&mut self, at: f64, phase: Phase) -> Ask {
        if self.evaluations == self.limit || !at.is_finite() {
            return Ask::Stuck;
        }
        self.evaluations += 1;
        (self.asked, self.phase) = (at, phase);
        Ask::At(at)
    }

    #[inline]
    fn first_step(&mut self, draws: &mut impl Draws) -> Ask {
        if self.moves_left() {
            return self.ask(self.grown.0, Phase::Left);
        }
        if self.moves_right() {
            return self.ask(self.grown.1, Phase::Right);
        }
        self.shrink_from(draws)
    }

    /// Whether the left end may still move.
    #[inline]
    fn moves_left(&self) -> bool {
        self.left > 0 && self.grown.0 > self.bounds.0
    }

    #[inline]
    fn moves_right(&self) -> bool {
        self.right > 0 && self.grown.1 < self.bounds.1
    }

    /// The interval has its size: points of it are proposed.
    #[inline]
    fn shrink_from(&mut self, draws: &mut impl Draws) -> Ask {
        self.interval = (self.grown.0.max(self.bounds.0), self.grown.1.min(self.bounds.1));
        self.propose(draws)
    }

    #[inline]
    fn propose(&mut self, draws: &mut impl Draws) -> Ask {
        let (left, right) = self.interval;
        // Nothing is left between the ends.
        if right - left <= 4.0 * f64::EPSILON * left.abs().max(right.abs()) {
            return Ask::Stuck;
        }
        self.proposal.0 = left + draws.uniform() * (right - left);
        let ask = self.ask(self.proposal.0, Phase::Proposal);
        self.proposals += u32::from(ask != Ask::Stuck);
        ask
    }

    #[inline]
    fn shrink(&mut self, draws: &mut impl Draws) -> Ask {
        self.shrunk += 1;
        // Without a branch: which end it is nobody can guess.
        let (at, (left, right)) = (self.proposal.0, self.interval);
        let is_below = at < self.x0;
        self.interval = (if is_below { at } else { left }, if is_below { right } else { at });
        self.propose(draws)
    }

    /// Asks about an end of an interval, unless its log density is known; out of bounds it is.
    fn end(&mut self, at: f64, phase: Phase, draws: &mut impl Draws) -> Ask {
        if at < self.bounds.0 || at > self.bounds.1 {
            return self.with_end(phase, f64::NEG_INFINITY, draws);
        }
        match self.known.iter().find(|(x, _)| *x == at) {
            Some(&(_, logp)) => self.with_end(phase, logp, draws),
            None => self.ask(at, phase),
        }
    }

    fn with_end(&mut self, phase: Phase, logp: f64, draws: &mut impl Draws) -> Ask {
        let inside = logp > self.level;
        match phase {
            Phase::FirstLeft => {
                self.ends.0 = logp;
                self.end(self.grown.1, Phase::FirstRight, draws)
            }
            Phase::TestLeft | Phase::TestRight if inside => self.halve(draws),
            Phase::TestLeft => self.end(self.test.1, Phase::TestRight, draws),
            // The proposal could not have come here from its own interval.
            Phase::TestRight => self.shrink(draws),
            Phase::DoubledLeft => {
                self.ends.0 = logp;
                self.double(draws)
            }
            _ => {
                self.ends.1 = logp;
                self.double(draws)
            }
        }
    }

    fn double(&mut self, draws: &mut impl Draws) -> Ask {
        if self.left == 0 || !(self.ends.0 > self.level || self.ends.1 > self.level) {
            return self.shrink_from(draws);
        }
        self.left -= 1;
        self.widened += 1;
        let length = self.grown.1 - self.grown.0;
        if draws.uniform() < 0.5 {
            self.grown.0 -= length;
            self.end(self.grown.0, Phase::DoubledLeft, draws)
        } else {
            self.grown.1 += length;
            self.end(self.grown.1, Phase::DoubledRight, draws)
        }
    }

    /// Neal's test: from the proposal, doubling must not have ended earlier.
    fn halve(&mut self, draws: &mut impl Draws) -> Ask {
        let (x0, x1) = (self.x0, self.proposal.0);
        while self.test.1 - self.test.0 > 1.1 * self.width {
            let middle = f64::midpoint(self.test.0, self.test.1);
            self.parted |= (x0 < middle) != (x1 < middle);
            if x1 < middle {
                self.test.1 = middle;
            } else {
                self.test.0 = middle;
            }
            if self.parted {
                return self.end(self.test.0, Phase::TestLeft, draws);
            }
        }
        Ask::Found(x1, self.proposal.1)
    }
}
