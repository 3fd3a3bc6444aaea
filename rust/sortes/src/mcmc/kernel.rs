//! What a transition is: a machine that asks for the density at a point and goes on with the answer.
//!
//! A kernel never calls the density. Whoever drives it may evaluate a point on the spot, or those of
//! many chains together.

use super::draws::Draws;
use super::moments::{Affine, Shape};

/// What a kernel wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The log density at [`Kernel::point`].
    Evaluate,
    /// Nothing: the transition is over, and [`Kernel::point`] is the new state.
    Done,
}

/// A kernel with its state: a Markov chain.
pub trait Kernel: Clone + Send + Sync {
    /// What the numbers of [`counts`](Self::counts) are called.
    const COUNTS: &'static [&'static str];

    /// Begins a transition.
    fn start(&mut self, draws: &mut impl Draws) -> Step;

    /// Goes on with the log density at [`point`](Self::point). It may be NaN or minus infinity, which
    /// are never accepted, but not plus infinity.
    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step;

    /// As [`advance`](Self::advance); and further, as long as `more` knows the log densities at the points
    /// that come next. Where it does not, the last one is in question.
    #[inline]
    fn follow(
        &mut self,
        logp: f64,
        draws: &mut impl Draws,
        _more: &mut impl FnMut(&[f64]) -> Option<f64>,
    ) -> Step {
        self.advance(logp, draws)
    }

    /// The coordinate in which alone points differ that are asked about now, if the answer may leave out
    /// what does not change with it; otherwise the whole log density is in question.
    #[inline]
    fn moves(&self) -> Option<usize> {
        None
    }

    /// Puts the state elsewhere, between transitions. Returns whether that could be done.
    fn place(&mut self, x: &[f64], logp: f64) -> bool;

    /// The point that is asked about; between transitions, the state.
    fn point(&self) -> &[f64];

    /// The log density of the state.
    fn logp(&self) -> f64;

    /// What is reported as the log density of the state.
    fn reported(&self) -> f64 {
        self.logp()
    }

    /// What the last transition counted.
    fn counts(&self) -> [u32; 3];

    /// Whether a limit ended the last transition, or part of it, where it was.
    fn is_stuck(&self) -> bool;

    /// Learns from the last transition; in warm-up only.
    fn tune(&mut self);

    /// The widths in use: one, or one for each coordinate.
    fn widths(&self) -> &[f64];

    /// What it learns in warm-up from the states of all chains, if anything.
    fn learns(&self) -> Option<Shape> {
        None
    }

    /// Takes what was learnt from them, between transitions.
    fn adapt(&mut self, _: &Affine) {}
}

/// Rule for the width of an interval, from how often it was widened and shrunk (Karamanis and
/// Beutler 2021, after Tibbits et al. 2014): as often the one as the other.
#[derive(Debug, Clone)]
pub struct Tuner {
    initial: f64,
    widened: u32,
    shrunk: u32,
    transitions: u32,
    /// Blocks in a row that needed no change.
    settled: u32,
}

impl Tuner {
    /// Transitions of a block.
    const BLOCK: u32 = 20;
    /// The width stays after this many blocks that are close enough, and how close that is.
    const SETTLED: u32 = 5;
    const CLOSE: f64 = 0.05;
    /// The width stays within this factor of the first.
    const RANGE: f64 = 1e10;

    /// For a first width.
    pub fn new(initial: f64) -> Self {
        Self { initial, widened: 0, shrunk: 0, transitions: 0, settled: 0 }
    }

    /// Counts a transition, and changes the width at the end of a block.
    pub fn learn(&mut self, width: &mut f64, widened: u32, shrunk: u32) {
        if self.settled == Self::SETTLED {
            return;
        }
        self.widened = self.widened.saturating_add(widened);
        self.shrunk = self.shrunk.saturating_add(shrunk);
        self.transitions += 1;
        if self.transitions < Self::BLOCK {
            return;
        }
        let (widened, shrunk) = (f64::from(self.widened), f64::from(self.shrunk));
        let share = if widened > 0.0 { widened / (widened + shrunk) } else { 0.25 };
        self.settled = if (share - 0.5).abs() < Self::CLOSE { self.settled + 1 } else { 0 };
        let wanted = *width * 2.0 * share;
        let least = (self.initial / Self::RANGE).max(f64::MIN_POSITIVE);
        *width = wanted.clamp(least, (self.initial * Self::RANGE).min(f64::MAX / 4.0).max(least));
        (self.widened, self.shrunk, self.transitions) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_follow_the_rule_and_settle() {
        let (mut tuner, mut width) = (Tuner::new(1.0), 1.0);
        for _ in 0..20 {
            tuner.learn(&mut width, 3, 1);
        }
        assert_eq!(width, 1.5);
        for _ in 0..20 {
            tuner.learn(&mut width, 0, 2);
        }
        assert_eq!(width, 0.75);
        for _ in 0..100 {
            tuner.learn(&mut width, 1, 1);
        }
        for _ in 0..100 {
            tuner.learn(&mut width, 9, 0);
        }
        assert_eq!(width, 0.75);
    }
}
