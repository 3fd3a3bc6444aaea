//! Adams methods on the derivative of the probability flow: DEIS in its clocks, LMS, iPNDM, gradient
//! estimation.

use super::adams::LowerFinal;
use super::frame::{Frame, euler};
use super::levels::{Level, Levels};
use super::quadrature::{integral, lagrange, moments, weights};
use super::tape::{Lin, Mix, Tape};

/// How earlier derivatives are weighed.
#[derive(Debug, Clone)]
pub enum Clock {
    /// By the polynomial through them in the time of the frame: DEIS rho-AB, LMS, iPNDM-v.
    Time,
    /// As if all steps were equally long: iPNDM.
    Uniform,
    /// By the polynomial in `lam`: what diffusers calls DEIS.
    Lambda,
    /// By the polynomial in the time of the linear schedule of constant variance, whose rate goes
    /// from `beta_min` to `beta_min + beta_d`: DEIS tAB.
    Linear {
        /// The rate at time 0.
        beta_min: f64,
        /// What it grows by until time 1.
        beta_d: f64,
    },
    /// By the polynomial in a time that is linear in `lam` between nodes `(lam, t)`.
    Nodes(Vec<(f64, f64)>),
    /// The last derivative and a multiple of its change: gradient estimation.
    Gradient {
        /// The multiple, plus one.
        gamma: f64,
    },
}

/// An explicit method of several steps.
#[derive(Debug, Clone)]
pub struct Slopes {
    /// The coordinates.
    pub frame: Frame,
    /// The weights.
    pub clock: Clock,
    /// Points, at least 1.
    pub order: usize,
    /// When the last steps are of lower order.
    pub lower_final: LowerFinal,
}

/// The weights of Adams and Bashforth for equal steps.
const UNIFORM: [&[f64]; 4] = [
    &[1.0],
    &[1.5, -0.5],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// The rows of a solver.
pub(super) fn record(solver: &Slopes, levels: &Levels, tape: &mut Tape) {
    let (steps, frame) = (levels.steps(), solver.frame);
    let mut history: Vec<(usize, Level)> = Vec::new();
    for i in 0..steps {
        let (from, to) = (levels.get(i), levels.get(i + 1));
        let unit = frame.unit(from);
        if unit == 0.0 {
            // Nothing but the data can be kept of pure noise.
            let m = tape.probe((from, Some(i)), &Lin::state(1.0), Mix::DATA);
            tape.begin(i);
            tape.advance(&euler(&Lin::state(1.0), m, from, to));
            continue;
        }
        // s d is kept, of which d is made by the weights.
        let m = tape.probe((from, Some(i)), &Lin::state(1.0), Mix { p: 1.0, r: -unit });
        tape.begin(i);
        history.push((m, from));
        history.drain(..history.len().saturating_sub(solver.order));
        let most = if to.is_clean() && solver.lower_final == LowerFinal::Clean {
            1
        } else {
            solver.lower_final.limit(solver.order, i, steps)
        };
        let order = most.min(history.len());
        let points: Vec<_> = history.iter().rev().take(order).copied().collect();
        let ends = frame.unit(to) / unit;
        let mut next = Lin::state(ends);
        for (&(m, level), w) in points.iter().zip(of_points(solver, &points, to)) {
            next = next.with(m, frame.unit(to) * w / level.s);
        }
        tape.advance(&next);
    }
}

/// The weights of derivatives, newest first, in a step to `to`.
fn of_points(solver: &Slopes, points: &[(usize, Level)], to: Level) -> Vec<f64> {
    let frame = solver.frame;
    let (from, order) = (points[0].1, points.len());
    let (start, end) = (frame.time(from), frame.time(to));
    let whole = end - start;
    let alone = || {
        let mut w = vec![0.0; order];
        w[0] = whole;
        w
    };
    if order == 1 {
        return alone();
    }
    match &solver.clock {
        Clock::Time => {
            let nodes: Vec<_> =
                points.iter().map(|&(_, level)| (frame.time(level) - start) / whole).collect();
            let powers: Vec<_> = (1..=order).map(|k| whole / k as f64).collect();
            weights(&nodes, &powers)
        }
        Clock::Uniform => UNIFORM[order - 1].iter().map(|w| whole * w).collect(),
        _ if to.is_clean() => alone(),
        Clock::Gradient { gamma } => vec![whole * gamma, whole * (1.0 - gamma)],
        Clock::Lambda => {
            // dT/dlam = -exp(-lam) in the frame of noise; moments of exp(-u) from those of exp(u).
            let h = to.lam - from.lam;
            let nodes: Vec<_> =
                points.iter().map(|&(_, level)| (level.lam - from.lam) / h).collect();
            let scale = (-to.lam).exp();
            let powers: Vec<_> = moments(-h, order).into_iter().map(|m| scale * m).collect();
            weights(&nodes, &powers)
        }
        Clock::Linear { beta_min, beta_d } => {
            let time = |lam: f64| {
                let rate = (-2.0 * lam).exp().ln_1p();
                2.0 * rate / ((beta_min * beta_min + 2.0 * beta_d * rate).sqrt() + beta_min)
            };
            over_lam(points, to, &[], time)
        }
        Clock::Nodes(nodes) => {
            let time = |lam: f64| {
                let at = nodes.partition_point(|&(node, _)| node <= lam);
                let at = at.clamp(1, nodes.len() - 1);
                let ((l0, t0), (l1, t1)) = (nodes[at - 1], nodes[at]);
                t0 + (t1 - t0) * (lam - l0) / (l1 - l0)
            };
            let inner: Vec<_> = nodes.iter().map(|&(lam, _)| lam).collect();
            over_lam(points, to, &inner, time)
        }
    }
}

/// Integrals over the step of the Lagrange polynomials in a time, in pieces on which it is smooth.
fn over_lam(
    points: &[(usize, Level)],
    to: Level,
    breaks: &[f64],
    time: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let from = points[0].1;
    let nodes: Vec<_> = points.iter().map(|&(_, level)| time(level.lam)).collect();
    let mut ends = vec![from.lam];
    ends.extend(breaks.iter().filter(|&&lam| lam > from.lam && lam < to.lam));
    ends.push(to.lam);
    (0..nodes.len())
        .map(|j| {
            let f = |lam: f64| -(-lam).exp() * lagrange(&nodes, j, time(lam));
            ends.windows(2).map(|pair| integral(pair[0], pair[1], f)).sum()
        })
        .collect()
}
