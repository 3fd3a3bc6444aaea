//! A slice on a circle: an angle from a bracket that shrinks towards zero, where the state is.

use std::f64::consts::TAU;

use crate::mcmc::draws::Draws;

/// The bracket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bracket {
    low: f64,
    high: f64,
    /// The angle in question.
    pub(super) angle: f64,
}

impl Bracket {
    /// All angles, cut at the first.
    #[inline]
    pub(super) fn new(draws: &mut impl Draws) -> Self {
        let angle = TAU * draws.uniform();
        Self { low: angle - TAU, high: angle, angle }
    }

    /// Leaves out what lies behind the angle, and draws another.
    #[inline]
    pub(super) fn shrink(&mut self, draws: &mut impl Draws) {
        if self.angle < 0.0 {
            self.low = self.angle;
        } else {
            self.high = self.angle;
        }
        self.angle = self.low + draws.uniform() * (self.high - self.low);
    }
}
