//! Steps of several evaluations in the noise level: Heun's method and its relatives, with churn.

use super::frame::{Frame, euler};
use super::levels::{Level, Levels};
use super::one_step::{Rule, fresh};
use super::tape::{Lin, Mix, Tape};

/// Which evaluations a step has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// At its beginning.
    Euler,
    /// At both ends, with equal weights.
    Heun,
    /// At its ends and at the end of the next, weighed by noise.
    HeunPlus,
    /// At its beginning and in the middle of logarithms.
    LogMidpoint,
    /// At its beginning and in the middle.
    Midpoint,
}

/// More noise before each step, as EDM has it.
#[derive(Debug, Clone, Copy)]
pub struct Churn {
    /// How much over all steps.
    pub amount: f64,
    /// The least ratio of noise to signal at which there is any, and the largest.
    pub between: (f64, f64),
    /// A factor of the noise.
    pub s_noise: f64,
}

/// Steps of a Runge-Kutta method.
#[derive(Debug, Clone, Copy)]
pub struct Heun {
    /// The coordinates.
    pub frame: Frame,
    /// The method.
    pub method: Method,
    /// Noise before each step.
    pub churn: Churn,
    /// Noise after each step: how much of it, and how it comes.
    pub eta: f64,
    /// The ancestral steps that it comes by.
    pub ancestral: Rule,
}

/// The rows of a solver.
pub(super) fn record(solver: &Heun, levels: &Levels, tape: &mut Tape) {
    for i in 0..levels.steps() {
        let to = levels.get(i + 1);
        let (from, index, x) = churned(solver, levels, i, tape);
        let m = tape.probe((from, index), &x, Mix::DATA);
        tape.begin(i);
        let q = fresh(solver.ancestral, solver.eta, from, to);
        let down = if q > 0.0 { Level::new(to.a, ((to.s - q) * (to.s + q)).sqrt()) } else { to };
        // The middle of a step has noise, whatever its end has.
        let ends = down.is_clean() && solver.method != Method::Midpoint;
        let mut next = if ends || solver.frame.unit(from) == 0.0 {
            euler(&x, m, from, down)
        } else {
            stages(solver, levels, i, (from, down), (&x, m), tape)
        };
        if q > 0.0 {
            let z = tape.draw(from.lam, to.lam);
            next = next.noise(z, q * solver.churn.s_noise);
        }
        tape.advance(&next);
    }
}

/// Where step `i` really begins, and the state there.
fn churned(
    solver: &Heun,
    levels: &Levels,
    i: usize,
    tape: &mut Tape,
) -> (Level, Option<usize>, Lin) {
    let (from, churn) = (levels.get(i), solver.churn);
    let share = (churn.amount / levels.steps() as f64).min(std::f64::consts::SQRT_2 - 1.0);
    let (least, most) = churn.between;
    if share == 0.0 || from.is_noise() || !(least..=most).contains(&from.ratio()) {
        return (from, Some(i), Lin::state(1.0));
    }
    let level = levels.at(from.lam - share.ln_1p());
    let noise = level.s * (share * (2.0 + share)).sqrt() / (1.0 + share) * churn.s_noise;
    let z = tape.draw(f64::NAN, f64::NAN);
    (level, None, Lin::state(level.a / from.a).noise(z, noise))
}

/// What follows the first evaluation of step `i`.
fn stages(
    solver: &Heun,
    levels: &Levels,
    i: usize,
    (from, to): (Level, Level),
    (x, m): (&Lin, usize),
    tape: &mut Tape,
) -> Lin {
    let frame = solver.frame;
    let end = levels.get(i + 1);
    let index = (to == end).then_some(i + 1);
    let d = frame.slope(x, m, from);
    let probe = |tape: &mut Tape, arg: &Lin, level: Level, index: Option<usize>| {
        let m = tape.probe((level, index), arg, Mix::DATA);
        frame.slope(arg, m, level)
    };
    match solver.method {
        Method::Euler => euler(x, m, from, to),
        Method::Heun => {
            let arg = frame.along(x, &d, from, to);
            let late = probe(tape, &arg, to, index);
            frame.along(x, &Lin::state(0.0).plus(&d, 0.5).plus(&late, 0.5), from, to)
        }
        Method::HeunPlus => {
            let steps = levels.steps();
            if i + 1 == steps {
                return euler(x, m, from, to);
            }
            let first = frame.time(levels.get(0));
            let arg = frame.along(x, &d, from, to);
            let late = probe(tape, &arg, to, index);
            if i + 2 == steps {
                let w = frame.time(to) / (2.0 * first);
                let mean = Lin::state(0.0).plus(&d, 1.0 - w).plus(&late, w);
                return frame.along(x, &mean, from, to);
            }
            let beyond = levels.get(i + 2);
            let arg = frame.along(&arg, &late, to, beyond);
            let later = probe(tape, &arg, beyond, Some(i + 2));
            let (w, v) = (frame.time(to) / (3.0 * first), frame.time(beyond) / (3.0 * first));
            let mean = Lin::state(0.0).plus(&d, 1.0 - w - v).plus(&late, w).plus(&later, v);
            frame.along(x, &mean, from, to)
        }
        Method::LogMidpoint | Method::Midpoint => {
            let (t, end) = (frame.time(from), frame.time(to));
            let is_log = solver.method == Method::LogMidpoint;
            let middle = if is_log { (t * end).sqrt() } else { 0.5 * (t + end) };
            let level = frame.at(middle, levels);
            let arg = frame.along(x, &d, from, level);
            let middle = probe(tape, &arg, level, None);
            frame.along(x, &middle, from, to)
        }
    }
}
