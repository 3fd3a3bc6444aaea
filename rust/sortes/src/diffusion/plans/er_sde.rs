//! ER-SDE-Solvers (Cui et al. 2023): one to three points, any scale of the noise.

use super::levels::{Level, Levels};
use super::quadrature::integral;
use super::tape::{Lin, Mix, Tape};

/// How noise is scaled with the ratio `l` of noise to signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// `l (exp(l^0.3) + 10)`, the authors' choice.
    Default,
    /// `l`: the probability flow.
    Ode,
    /// `l^2`: the reverse SDE.
    Sde,
}

impl Scale {
    fn of(self, l: f64) -> f64 {
        match self {
            Self::Default => l * (l.powf(0.3).exp() + 10.0),
            Self::Ode => l,
            Self::Sde => l * l,
        }
    }

    /// The ratio of the scale after a step to that before, which may be infinite.
    fn kept(self, from: f64, to: f64) -> f64 {
        match self {
            Self::Default => {
                to / from * ((to.powf(0.3).exp() + 10.0) / (from.powf(0.3).exp() + 10.0))
            }
            Self::Ode => to / from,
            Self::Sde => (to / from).powi(2),
        }
    }
}

/// A stochastic method of several steps in the ratio of noise to signal.
#[derive(Debug, Clone, Copy)]
pub struct ErSde {
    /// Points, 1 to 3.
    pub order: usize,
    /// The scale of the noise.
    pub scale: Scale,
    /// Third order as it was published, whose first derivative is that of the last two points.
    pub published: bool,
    /// A factor of the noise.
    pub s_noise: f64,
}

/// The rows of a solver.
pub(super) fn record(solver: &ErSde, levels: &Levels, tape: &mut Tape) {
    let mut history: Vec<(usize, Level)> = Vec::new();
    for i in 0..levels.steps() {
        let (from, to) = (levels.get(i), levels.get(i + 1));
        let m = tape.probe((from, Some(i)), &Lin::state(1.0), Mix::DATA);
        tape.begin(i);
        if to.is_clean() {
            tape.advance(&Lin::state(0.0).with(m, to.a));
            continue;
        }
        let kept = if from.is_noise() { 0.0 } else { solver.scale.kept(from.ratio(), to.ratio()) };
        let c = if from.is_noise() { 0.0 } else { to.a / from.a * kept };
        let mut next = Lin::state(c).with(m, to.a * (1.0 - kept));
        if !from.is_noise() {
            history.push((m, from));
            history.drain(..history.len().saturating_sub(solver.order));
            for (m, w) in differences(solver, &history, to) {
                next = next.with(m, to.a * w);
            }
        }
        // s'^2 - (c s)^2, without the difference of what is nearly equal.
        let left = if from.is_noise() { 0.0 } else { c * from.s };
        let q = ((to.s - left) * (to.s + left)).max(0.0).sqrt() * solver.s_noise;
        if solver.scale != Scale::Ode && q > 0.0 {
            let z = tape.draw(from.lam, to.lam);
            next = next.noise(z, q);
        }
        tape.advance(&next);
    }
}

/// The weights of the first and second difference of the predictions, point by point.
fn differences(solver: &ErSde, history: &[(usize, Level)], to: Level) -> Vec<(usize, f64)> {
    let mut points = history.iter().rev().map(|&(m, level)| (m, level.ratio()));
    let (Some((m0, l0)), Some((m1, l1))) = (points.next(), points.next()) else {
        return Vec::new();
    };
    let end = to.ratio();
    let scale = |l: f64| solver.scale.of(end) / solver.scale.of(l);
    // In logarithms, where the scale is smooth; the direction is that of falling noise.
    let over = |f: &dyn Fn(f64) -> f64| integral(end.ln(), l0.ln(), |u| u.exp() * f(u.exp()));
    let dt = end - l0;
    let line = dt + over(&scale);
    let first = line / (l0 - l1);
    let mut out = vec![(m0, first), (m1, -first)];
    if let Some((m2, l2)) = points.next() {
        let square = dt * dt / 2.0 + over(&|l| (l - l0) * scale(l));
        // The polynomial of Newton: twice its second difference is the curvature; the slope at the
        // newest point differs from the first difference.
        let slope = if solver.published { 0.0 } else { line * (l0 - l1) };
        let weight = (2.0 * square + slope) / (l0 - l2);
        let (near, far) = (weight / (l0 - l1), weight / (l1 - l2));
        out.extend([(m0, near), (m1, -near - far), (m2, far)]);
    }
    out
}
