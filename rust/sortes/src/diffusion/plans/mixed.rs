//! Steps of different kinds in one run: each has its order, what it takes from the past, its noise,
//! and perhaps a corrector.
//!
//! Liu, Ning, Yang and Wang, "A unified sampling framework for solver searching of diffusion
//! probabilistic models", ICLR 2024, arXiv:2312.07243.

use super::levels::{Level, Levels};
use super::quadrature::{moments, weights};
use super::tape::{Lin, Mix, Tape};

/// What a step takes as a polynomial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The prediction of the data, in `lam`: exponential Adams.
    Data,
    /// That of the noise, in `lam`: DEIS in log rho.
    NoiseInLambda,
    /// That of the noise, in the ratio of noise to signal: DEIS in rho.
    NoiseInRatio,
}

/// How a step is made.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Points of the polynomial, at least 1.
    pub order: usize,
    /// What it is one of.
    pub of: Of,
    /// The share of noise of the SDE; 0 for predictions of noise.
    pub eta: f64,
    /// Whether the next prediction corrects the state.
    pub corrects: bool,
}

/// A solver of such steps.
#[derive(Debug, Clone)]
pub struct Mixed {
    /// One for each step of the path.
    pub steps: Vec<Step>,
}

/// An evaluation: its prediction, its level, and its state in terms of the present one.
struct Past {
    m: usize,
    level: Level,
    state: Lin,
}

impl Past {
    /// The prediction of the noise.
    fn noise(&self) -> Lin {
        let Level { a, s, .. } = self.level;
        Lin::state(0.0).plus(&self.state, 1.0 / s).with(self.m, -a / s)
    }
}

/// The rows of a solver.
pub(super) fn record(solver: &Mixed, levels: &Levels, tape: &mut Tape) {
    let steps = levels.steps();
    let most = solver.steps.iter().map(|step| step.order).max().unwrap_or(1);
    let mut history: Vec<Past> = Vec::new();
    let mut arg = Lin::state(1.0);
    // The step that led here, if the prediction here corrects it, and its noise.
    let mut open: Option<(Level, Step, usize, Option<usize>)> = None;
    for i in 0..steps {
        let (from, to) = (levels.get(i), levels.get(i + 1));
        let m = tape.probe((from, Some(i)), &arg, Mix::DATA);
        let mut new = Past { m, level: from, state: arg.clone() };
        if let Some((last, step, order, z)) = open.take() {
            history.push(new);
            let points: Vec<_> = history.iter().rev().take(order + 1).collect();
            let next = made(&step, (last, from), &points, z);
            new = Past { m, level: from, state: arg.clone() };
            history.pop();
            go(tape, &mut history, &next);
            new.state = next.inverse_of(&new.state);
        }
        tape.begin(i);
        history.push(new);
        let step = solver.steps[i];
        arg = Lin::state(1.0);
        if to.is_clean() {
            tape.advance(&Lin::state(0.0).with(m, to.a));
            break;
        }
        if from.is_noise() {
            let Step { eta, .. } = step;
            let z = (eta > 0.0).then(|| tape.draw(from.lam, to.lam));
            let next = Lin::state(if z.is_some() { 0.0 } else { to.s / from.s }).with(m, to.a);
            let next = if let Some(z) = z { next.noise(z, to.s) } else { next };
            // No slope begins at pure noise.
            history.clear();
            tape.advance(&next);
            continue;
        }
        let order = step.order.min(history.len());
        let z = (step.eta > 0.0).then(|| tape.draw(from.lam, to.lam));
        let points: Vec<_> = history.iter().rev().take(order).collect();
        let next = made(&step, (from, to), &points, z);
        if step.corrects && i + 1 < steps {
            arg = next;
            open = Some((from, step, order, z));
        } else {
            go(tape, &mut history, &next);
        }
        let keep = history.len().saturating_sub(most);
        history.drain(..keep);
    }
}

/// The state becomes a combination of itself, and those of the past are written in terms of it.
fn go(tape: &mut Tape, history: &mut [Past], next: &Lin) {
    for past in history {
        past.state = next.inverse_of(&past.state);
    }
    tape.advance(next);
}

/// A step by the polynomial through points, the newest first, which may lie at its end.
fn made(step: &Step, (from, to): (Level, Level), points: &[&Past], z: Option<usize>) -> Lin {
    let h = to.lam - from.lam;
    let in_lam: Vec<_> = points.iter().map(|past| (past.level.lam - from.lam) / h).collect();
    if step.of == Of::Data {
        let eta = step.eta;
        let w = weights(&in_lam, &moments((1.0 + eta) * h, points.len()));
        let mut out = Lin::state(to.s / from.s * (-eta * h).exp());
        for (past, w) in points.iter().zip(w) {
            out = out.with(past.m, to.a * w);
        }
        return match z {
            Some(z) => out.noise(z, to.s * (-(-2.0 * eta * h).exp_m1()).sqrt()),
            None => out,
        };
    }
    // x' / a' = x / a + int e drho.
    let w = if step.of == Of::NoiseInRatio {
        let whole = to.ratio() - from.ratio();
        let nodes: Vec<_> =
            points.iter().map(|past| (past.level.ratio() - from.ratio()) / whole).collect();
        let powers: Vec<_> = (1..=points.len()).map(|k| whole / k as f64).collect();
        weights(&nodes, &powers)
    } else {
        let powers: Vec<_> =
            moments(-h, points.len()).into_iter().map(|m| to.ratio() * m).collect();
        weights(&in_lam, &powers)
    };
    let mut out = Lin::state(to.a / from.a);
    for (past, w) in points.iter().zip(w) {
        out = out.plus(&past.noise(), to.a * w);
    }
    out
}
