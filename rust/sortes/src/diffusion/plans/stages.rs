//! Single-step methods of several evaluations, in `lam`: DPM-Solver++ 2S and 3S, exponential Heun,
//! RES-2S, SEEDS, the singlestep DPM-Solver of noise predictions.

use super::levels::{Level, Levels};
use super::one_step::{Rule, fresh};
use super::quadrature::moments;
use super::tape::{Lin, Mix, Tape};

/// How a step of two stages weighs its predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// By the first exponential function alone: DPM-Solver++, SEEDS.
    One,
    /// By the integral of the line through both: RES, the exponential Heun method.
    Two,
}

/// Stages at shares of the step in `lam`.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Evaluations of each step: 1, 2 or 3.
    pub orders: Vec<usize>,
    /// Where the second evaluation is, and the third.
    pub at: [f64; 2],
    /// How steps of two stages are weighed.
    pub weights: Weights,
    /// Whether the noise is predicted, not the data: DPM-Solver.
    pub of_noise: bool,
    /// The share of noise of the SDE.
    pub eta: f64,
    /// Whether noise comes by ancestral steps instead.
    pub ancestral: Option<Rule>,
    /// A factor of the noise.
    pub s_noise: f64,
}

/// The rows of a solver.
pub(super) fn record(solver: &Stages, levels: &Levels, tape: &mut Tape) {
    for i in 0..levels.steps() {
        let (from, to) = (levels.get(i), levels.get(i + 1));
        let m = tape.probe((from, Some(i)), &Lin::state(1.0), Mix::DATA);
        tape.begin(i);
        if to.is_clean() {
            tape.advance(&Lin::state(0.0).with(m, to.a));
            continue;
        }
        let order = if from.is_noise() { 1 } else { solver.orders[i] };
        let mut next;
        let q = match solver.ancestral {
            Some(rule) => fresh(rule, solver.eta, from, to),
            None => 0.0,
        };
        if q > 0.0 {
            let mut down = Level::new(to.a, ((to.s - q) * (to.s + q)).max(0.0).sqrt());
            let end = levels.get(levels.steps());
            if solver.of_noise && down.lam > end.lam {
                // No evaluation lies beyond the last level.
                down = Level { s: to.a * (-end.lam).exp(), lam: end.lam, ..down };
            }
            let q = ((to.s - down.s) * (to.s + down.s)).max(0.0).sqrt();
            next = if down.is_clean() {
                Lin::state(0.0).with(m, to.a)
            } else {
                stages(solver, levels, (from, down), (m, order, None), tape)
            };
            if q > 0.0 {
                let z = tape.draw(from.lam, to.lam);
                next = next.noise(z, q * solver.s_noise);
            }
        } else {
            next = stages(solver, levels, (from, to), (m, order, Some(i + 1)), tape);
        }
        tape.advance(&next);
    }
}

/// The rest of a first step of full order, for a method of several steps.
pub(super) fn warm(
    levels: &Levels,
    (from, to): (Level, Level),
    m: usize,
    order: usize,
    tape: &mut Tape,
) {
    let order = order.min(3);
    let at = if order == 2 { [0.5, 1.0] } else { [1.0 / 3.0, 2.0 / 3.0] };
    let solver = Stages {
        orders: Vec::new(),
        at,
        weights: Weights::One,
        of_noise: false,
        eta: 0.0,
        ancestral: None,
        s_noise: 1.0,
    };
    let next = stages(&solver, levels, (from, to), (m, order, None), tape);
    tape.advance(&next);
}

/// The stages of a step after its first evaluation, and the state at its end.
fn stages(
    solver: &Stages,
    levels: &Levels,
    (from, to): (Level, Level),
    (m, order, index): (usize, usize, Option<usize>),
    tape: &mut Tape,
) -> Lin {
    if solver.of_noise {
        return of_noise(solver, levels, (from, to), (m, order), tape);
    }
    let eta = if solver.ancestral.is_some() { 0.0 } else { solver.eta };
    let h = to.lam - from.lam;
    if h == f64::INFINITY {
        // From pure noise.
        let (c, q) = if eta > 0.0 { (0.0, to.s) } else { (to.s / from.s, 0.0) };
        let lin = Lin::state(c).with(m, to.a);
        return if q > 0.0 {
            lin.noise(tape.draw(from.lam, to.lam), q * solver.s_noise)
        } else {
            lin
        };
    }
    let scale = 1.0 + eta;
    // The state at `level`, a share `r` of the step later, by the weights of predictions.
    let state = |level: Level, r: f64, w: &[(usize, f64)]| {
        let mut lin = Lin::state(level.s / from.s * (-eta * r * h).exp());
        for &(m, w) in w {
            lin = lin.with(m, level.a * w);
        }
        lin
    };
    // Noise continues that of the stage before: it is that of one path.
    let mut path: Vec<(usize, f64)> = Vec::new();
    let mut reached = 0.0;
    let mut noisy = |lin: Lin, level: Level, r: f64, tape: &mut Tape| {
        if eta == 0.0 {
            return lin;
        }
        let part = (r - reached) * h * eta;
        for (_, factor) in &mut path {
            *factor *= (-part).exp();
        }
        if part > 0.0 {
            let z = tape.draw(from.lam + reached * h, from.lam + r * h);
            path.push((z, (-(-2.0 * part).exp_m1()).sqrt()));
        }
        reached = r;
        path.iter().fold(lin, |lin, &(z, n)| lin.noise(z, n * level.s * solver.s_noise))
    };
    let ends = |r: f64| if r == 1.0 { (to, index) } else { (levels.at(from.lam + r * h), None) };
    let phi = |r: f64| {
        let m = moments(scale * r * h, 2);
        (m[0], m[1])
    };
    if order == 1 {
        return noisy(state(to, 1.0, &[(m, phi(1.0).0)]), to, 1.0, tape);
    }
    let [r1, r2] = solver.at;
    let (level, index) = ends(r1);
    let arg = noisy(state(level, r1, &[(m, phi(r1).0)]), level, r1, tape);
    let m1 = tape.probe((level, index), &arg, Mix::DATA);
    let (whole, slope) = phi(1.0);
    if order == 2 {
        let late = match solver.weights {
            Weights::One => whole / (2.0 * r1),
            Weights::Two => slope / r1,
        };
        return noisy(state(to, 1.0, &[(m, whole - late), (m1, late)]), to, 1.0, tape);
    }
    let (part, rise) = phi(r2);
    let late = r2 / r1 * rise;
    let (level, index) = ends(r2);
    let arg = noisy(state(level, r2, &[(m, part - late), (m1, late)]), level, r2, tape);
    let m2 = tape.probe((level, index), &arg, Mix::DATA);
    noisy(state(to, 1.0, &[(m, whole - slope / r2), (m2, slope / r2)]), to, 1.0, tape)
}

/// The same where the noise is what is interpolated.
fn of_noise(
    solver: &Stages,
    levels: &Levels,
    (from, to): (Level, Level),
    (m, order): (usize, usize),
    tape: &mut Tape,
) -> Lin {
    let h = to.lam - from.lam;
    if h == f64::INFINITY {
        return Lin::state(to.s / from.s).with(m, to.a);
    }
    // Of a state `x = a D + s e`.
    let noise = |x: &Lin, m: usize, level: Level| {
        Lin::state(0.0).plus(x, 1.0 / level.s).with(m, -level.a / level.s)
    };
    let e = noise(&Lin::state(1.0), m, from);
    let to_level =
        |level: Level, r: f64| Lin::state(level.a / from.a).plus(&e, -level.s * (r * h).exp_m1());
    if order == 1 {
        return to_level(to, 1.0);
    }
    // Two thirds of a step of third order, or half of one of second.
    let [r1, r2] = if order == 2 { [0.5, 1.0] } else { solver.at };
    let level = levels.at(from.lam + r1 * h);
    let arg = to_level(level, r1);
    let m1 = tape.probe((level, None), &arg, Mix::DATA);
    let rise = noise(&arg, m1, level).plus(&e, -1.0);
    if order == 2 {
        return to_level(to, 1.0).plus(&rise, -to.s * h.exp_m1() / (2.0 * r1));
    }
    let level = levels.at(from.lam + r2 * h);
    let slope = |r: f64| (r * h).exp_m1() / (r * h) - 1.0;
    let arg = to_level(level, r2).plus(&rise, -level.s * r2 / r1 * slope(r2));
    let m2 = tape.probe((level, None), &arg, Mix::DATA);
    let rise = noise(&arg, m2, level).plus(&e, -1.0);
    to_level(to, 1.0).plus(&rise, -to.s * slope(1.0) / r2)
}
