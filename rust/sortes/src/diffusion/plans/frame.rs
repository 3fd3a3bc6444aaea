//! Coordinates in which the probability flow is `dX / dT = d` with `D = X - T d`.

use super::levels::{Level, Levels};
use super::tape::Lin;

/// What a state is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The factor of the data: `T = s / a`, `d` is the noise (EDM, k-diffusion).
    Noise,
    /// The sum of both factors: `T = s / (a + s)`, `d` is the velocity of a flow.
    Flow,
}

impl Frame {
    /// What a state at a level is divided by; zero where that cannot be.
    pub(super) fn unit(self, level: Level) -> f64 {
        match self {
            Self::Noise => level.a,
            Self::Flow => level.a + level.s,
        }
    }

    /// The time of a level.
    pub(super) fn time(self, level: Level) -> f64 {
        level.s / self.unit(level)
    }

    /// The level of a time.
    pub(super) fn at(self, time: f64, levels: &Levels) -> Level {
        match self {
            Self::Noise => levels.at(-time.ln()),
            Self::Flow => levels.at((1.0 - time).ln() - time.ln()),
        }
    }

    /// The derivative at a state, whose prediction is `m`.
    pub(super) fn slope(self, x: &Lin, m: usize, level: Level) -> Lin {
        Lin::state(0.0).plus(x, 1.0 / level.s).with(m, -self.unit(level) / level.s)
    }

    /// The state at `to`, by a slope from a state at `from`.
    pub(super) fn along(self, x: &Lin, d: &Lin, from: Level, to: Level) -> Lin {
        let unit = self.unit(to);
        let moved = unit * (self.time(to) - self.time(from));
        Lin::state(0.0).plus(x, unit / self.unit(from)).plus(d, moved)
    }
}

/// The step of first order: `x = a' D + s' e`, which is the same in every frame.
pub(super) fn euler(x: &Lin, m: usize, from: Level, to: Level) -> Lin {
    let c = to.s / from.s;
    Lin::state(0.0).plus(x, c).with(m, to.a - from.a * c)
}
