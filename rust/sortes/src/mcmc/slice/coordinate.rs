//! Slice sampling by coordinates: each is updated in turn, with a width of its own.
//!
//! An update needs the log density up to what does not change with its coordinate. Where that is cheaper,
//! an update begins with its value at the state, since other coordinates have moved.

use sortes_core::Result;
use sortes_core::memory::{filled, with_capacity, zeroed};

use super::line::{Ask, Growth, Line};
use crate::mcmc::draws::Draws;
use crate::mcmc::kernel::{Kernel, Step, Tuner};

/// Which coordinates a transition updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All, in order.
    Systematic,
    /// All, in an order that is drawn.
    Permuted,
    /// One that is drawn.
    Random,
}

/// What to make a kernel of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The width of each coordinate.
    pub widths: Vec<f64>,
    /// Where each lies.
    pub bounds: Vec<(f64, f64)>,
    /// How intervals are found.
    pub growth: Growth,
    /// Which coordinates are updated.
    pub order: Order,
    /// Whether warm-up changes the widths.
    pub tune: bool,
    /// The most evaluations of an update.
    pub limit: u32,
    /// Whether updates ask for what changes with their coordinate. The log density of the state is then
    /// summed up from its changes, and asked for once in a while.
    pub by_conditionals: bool,
}

/// What is asked about, where updates ask for what changes with their coordinate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// The state, before an update.
    Before,
    /// Points of the update.
    Update,
    /// The whole log density of the state, after all of them.
    Whole,
}

/// Transitions until the log density that is summed up from its changes is asked for, lest errors of
/// rounding add up.
const SUMMED: u32 = 64;

/// The kernel.
#[derive(Debug, Clone)]
pub struct Coordinate {
    x: Vec<f64>,
    logp: f64,
    widths: Vec<f64>,
    bounds: Vec<(f64, f64)>,
    line: Line,
    order: Order,
    /// Which coordinate comes when, if that is drawn.
    turns: Vec<usize>,
    /// How far below the log density the level of each update of this transition is.
    drops: Vec<f64>,
    /// Updates of this transition that are over.
    turn: usize,
    /// The coordinate in work, and what it was.
    i: usize,
    before: f64,
    counts: [u32; 3],
    stuck: bool,
    /// What each coordinate has counted; empty if widths stay.
    tuners: Vec<Tuner>,
    seen: Vec<(u32, u32)>,
    by_conditionals: bool,
    asks: Asks,
    /// What changes with the coordinate in work, at the state; transitions since the whole was known.
    base: f64,
    summed: u32,
}

impl Coordinate {
    /// At a state of finite log density, within the bounds.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(options: Options, x: Vec<f64>, logp: f64) -> Result<Self> {
        let d = x.len();
        let line = Line::new(options.growth, options.limit);
        let mut turns = with_capacity(d, "coordinates")?;
        turns.extend(0..d);
        let learners = if options.tune && !line.is_rigid() { d } else { 0 };
        let mut tuners = with_capacity(learners, "coordinates")?;
        tuners.extend(options.widths[..learners].iter().map(|&width| Tuner::new(width)));
        Ok(Self {
            x,
            logp,
            widths: options.widths,
            bounds: options.bounds,
            line,
            order: options.order,
            turns,
            drops: zeroed(d, "coordinates")?,
            turn: 0,
            i: 0,
            before: 0.0,
            counts: [0; 3],
            stuck: false,
            tuners,
            seen: filled(learners, (0, 0), "coordinates")?,
            by_conditionals: options.by_conditionals,
            asks: Asks::Update,
            base: 0.0,
            summed: 0,
        })
    }

    /// Begins the next update, if there is one.
    #[inline]
    fn next(&mut self, draws: &mut impl Draws) -> Step {
        let turns = if self.order == Order::Random { 1 } else { self.x.len() };
        while self.turn < turns {
            self.i =
                if self.order == Order::Systematic { self.turn } else { self.turns[self.turn] };
            let i = self.i;
            self.before = self.x[i];
            if self.by_conditionals {
                self.asks = Asks::Before;
                return Step::Evaluate;
            }
            if self.update(self.logp, draws) == Step::Evaluate {
                return Step::Evaluate;
            }
        }
        if self.by_conditionals {
            self.summed += 1;
            if self.summed == SUMMED {
                self.asks = Asks::Whole;
                return Step::Evaluate;
            }
        }
        Step::Done
    }

    /// Begins an update of the coordinate in work, whose log density this is.
    #[inline]
    fn update(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        let (i, level) = (self.i, logp - self.drops[self.turn]);
        let ask = self.line.begin(self.before, level, self.widths[i], self.bounds[i], draws);
        self.take(ask)
    }

    /// Goes on with what changes with a coordinate, or with the whole log density at last.
    #[inline]
    fn advance_conditional(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        let step = match self.asks {
            Asks::Whole => {
                (self.logp, self.summed) = (logp, 0);
                return Step::Done;
            }
            Asks::Before => {
                (self.asks, self.base) = (Asks::Update, logp);
                self.update(logp, draws)
            }
            Asks::Update => {
                let ask = self.line.advance(logp, draws);
                self.take(ask)
            }
        };
        if step == Step::Evaluate { step } else { self.next(draws) }
    }

    /// Does what an update asks for; Done if it is over.
    #[inline]
    fn take(&mut self, ask: Ask) -> Step {
        match ask {
            Ask::At(x) => {
                self.x[self.i] = x;
                return Step::Evaluate;
            }
            Ask::Found(x, logp) => {
                self.x[self.i] = x;
                let is_whole = !self.by_conditionals;
                self.logp = if is_whole { logp } else { self.logp + (logp - self.base) };
            }
            Ask::Stuck => {
                self.x[self.i] = self.before;
                self.stuck = true;
            }
        }
        self.counts[0] = self.counts[0].saturating_add(self.line.widened);
        self.counts[1] = self.counts[1].saturating_add(self.line.shrunk);
        if let Some(seen) = self.seen.get_mut(self.i) {
            *seen = (self.line.widened, self.line.shrunk);
        }
        self.turn += 1;
        Step::Done
    }
}

impl Kernel for Coordinate {
    const COUNTS: &'static [&'static str] = &["n_expand", "n_shrink"];

    #[inline]
    fn start(&mut self, draws: &mut impl Draws) -> Step {
        (self.turn, self.counts, self.stuck) = (0, [0; 3], false);
        let below = |n: usize, u: f64| ((n as f64 * u) as usize).min(n - 1);
        match self.order {
            Order::Systematic => {}
            Order::Random => self.turns[0] = below(self.x.len(), draws.uniform()),
            Order::Permuted => {
                for top in (1..self.x.len()).rev() {
                    self.turns.swap(top, below(top + 1, draws.uniform()));
                }
            }
        }
        let updates = if self.order == Order::Random { 1 } else { self.x.len() };
        draws.exponentials(&mut self.drops[..updates]);
        self.next(draws)
    }

    #[inline]
    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        if self.by_conditionals {
            return self.advance_conditional(logp, draws);
        }
        let ask = self.line.advance(logp, draws);
        if self.take(ask) == Step::Evaluate { Step::Evaluate } else { self.next(draws) }
    }

    #[inline]
    fn follow(
        &mut self,
        mut logp: f64,
        draws: &mut impl Draws,
        more: &mut impl FnMut(&[f64]) -> Option<f64>,
    ) -> Step {
        if self.by_conditionals {
            return self.advance_conditional(logp, draws);
        }
        loop {
            let (i, x) = (self.i, &mut self.x);
            let ask = self.line.follow(logp, draws, &mut |at| {
                x[i] = at;
                more(x)
            });
            if self.take(ask) == Step::Evaluate {
                return Step::Evaluate;
            }
            if self.next(draws) == Step::Done {
                return Step::Done;
            }
            match more(&self.x) {
                Some(known) => logp = known,
                None => return Step::Evaluate,
            }
        }
    }

    #[inline]
    fn moves(&self) -> Option<usize> {
        (self.by_conditionals && self.asks != Asks::Whole).then_some(self.i)
    }

    fn place(&mut self, x: &[f64], logp: f64) -> bool {
        let inside = x.iter().zip(&self.bounds).all(|(&x, &(low, high))| low <= x && x <= high);
        if inside {
            self.x.copy_from_slice(x);
            (self.logp, self.summed) = (logp, 0);
        }
        inside
    }

    #[inline]
    fn point(&self) -> &[f64] {
        &self.x
    }

    fn logp(&self) -> f64 {
        self.logp
    }

    fn counts(&self) -> [u32; 3] {
        self.counts
    }

    fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn tune(&mut self) {
        let all = 0..self.tuners.len();
        let updated = if self.order == Order::Random { self.i..self.i + 1 } else { all.clone() };
        for i in updated.start.max(all.start)..updated.end.min(all.end) {
            let (widened, shrunk) = self.seen[i];
            self.tuners[i].learn(&mut self.widths[i], widened, shrunk);
        }
    }

    fn widths(&self) -> &[f64] {
        &self.widths
    }
}
