//! Exponential Adams methods on predictions of the data: DPM-Solver++ with several steps, its SDE,
//! `UniPC`, SA-Solver, RES with several steps, in one form.
//!
//! Between two levels the state is `x' = c x + a' (1 + tau^2) int exp(-(1 + tau^2)(h - u)) D(u) du`
//! and noise, where `D` is replaced by the polynomial through earlier predictions; a corrector takes
//! the polynomial through the new one as well.

use super::levels::{Level, Levels};
use super::one_step::{Rule, fresh};
use super::quadrature::{moments, weights};
use super::stages;
use super::tape::{Lin, Mix, Tape};

/// How a predictor of second order is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// The integral of the line through two predictions: "heun" of DPM-Solver++.
    Exact,
    /// The value of the line at half of the step, in the limit of small ones.
    Midpoint,
    /// As `UniPC` with `B(h) = h`, as SA-Solver for few steps.
    Plain,
}

/// When the last steps are of lower order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LowerFinal {
    /// Never, as far as a step to clean data lets it.
    Never,
    /// In a step to clean data alone.
    Clean,
    /// At most as many points as there are steps left.
    Always,
    /// Where there are fewer than 15 steps.
    Auto,
}

impl LowerFinal {
    /// The order of step `i` of `steps`.
    pub(super) fn limit(self, order: usize, i: usize, steps: usize) -> usize {
        let lowers = match self {
            Self::Never | Self::Clean => false,
            Self::Always => true,
            Self::Auto => steps < 15,
        };
        if lowers { order.min(steps - i) } else { order }
    }
}

/// What corrects a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrector {
    /// Nothing.
    None,
    /// The points of its predictor and the new one: `UniPC`.
    Follows,
    /// At most this many points, the new one among them: SA-Solver.
    Points(usize),
}

/// A predictor, perhaps with a corrector.
#[derive(Debug, Clone)]
pub struct Adams {
    /// Points of the predictor, at least 1.
    pub order: usize,
    /// What corrects the state once the next prediction is known.
    pub corrector: Corrector,
    /// Whether the model is asked again at the corrected state.
    pub again: bool,
    /// How steps of second order are made.
    pub second: Second,
    /// Third order as it was published, with half of the second difference.
    pub published: bool,
    /// For each step the share of noise: that of the SDE, the square of tau.
    pub eta: Vec<f64>,
    /// Whether noise comes by ancestral steps instead: down first, then up.
    pub ancestral: Option<Rule>,
    /// A factor of the noise.
    pub s_noise: f64,
    /// When the last steps are of lower order.
    pub lower_final: LowerFinal,
    /// Whether the first steps have more stages, so that all are of full order.
    pub warm: bool,
    /// Steps that are not corrected.
    pub uncorrected: Vec<usize>,
}

/// What has been predicted, and where.
type History = Vec<(usize, f64)>;

/// The coefficients of a step: of the state, of each point, of the noise.
struct Step {
    c: f64,
    w: Vec<(usize, f64)>,
    q: f64,
}

impl Step {
    fn lin(&self, z: Option<usize>) -> Lin {
        let mut out = Lin::state(self.c);
        for &(m, w) in &self.w {
            out = out.with(m, w);
        }
        match z {
            Some(z) => out.noise(z, self.q),
            None => out,
        }
    }
}

/// The rows of a solver.
pub(super) fn record(solver: &Adams, levels: &Levels, tape: &mut Tape) {
    let steps = levels.steps();
    // SA-Solver does not count a step to clean data.
    let is_counted = !matches!(solver.corrector, Corrector::Points(_));
    let counted = steps - usize::from(!is_counted && levels.get(steps).is_clean());
    let mut history: History = Vec::new();
    // What led here: the step, its noise and the order of its predictor.
    let mut arg = Lin::state(1.0);
    let mut before: Option<(Level, f64, Option<usize>, usize)> = None;
    // Where ancestral steps went before noise took them up again.
    let mut below: Option<f64> = None;
    for i in 0..steps {
        let (from, to) = (levels.get(i), levels.get(i + 1));
        let mut m = tape.probe((from, Some(i)), &arg, Mix::DATA);
        if let Some((last, eta, z, order)) = before.take() {
            let points = points(solver, (i, counted), to, order).min(history.len() + 1);
            if points > 0 && !last.is_noise() {
                let step = corrected(solver, (last, from, eta), &history, m, points);
                tape.advance(&step.lin(z));
                if solver.again {
                    m = tape.probe((from, Some(i)), &Lin::state(1.0), Mix::DATA);
                }
            } else {
                tape.advance(&arg);
            }
        }
        tape.begin(i);
        if !from.is_noise() {
            history.push((m, from.lam));
        }
        let most = if let Corrector::Points(most) = solver.corrector { most } else { 0 };
        history.drain(..history.len().saturating_sub(most.max(solver.order)));
        arg = Lin::state(1.0);
        if to.is_clean() {
            tape.advance(&Lin::state(0.0).with(m, to.a));
            continue;
        }
        let wanted = solver.lower_final.limit(solver.order, i, counted);
        let eta = solver.eta[i];
        let order = wanted.min(history.len()).max(1);
        if solver.warm && order < wanted && !from.is_noise() && eta == 0.0 {
            stages::warm(levels, (from, to), m, wanted, tape);
            continue;
        }
        let origin = below.unwrap_or(from.lam);
        let (step, reached) = predicted(solver, (from, to, eta), (&history, origin), m, order);
        below = reached;
        let z = (step.q > 0.0).then(|| tape.draw(from.lam, to.lam));
        let lin = step.lin(z);
        if solver.corrector == Corrector::None || i + 1 == steps || step.c == 0.0 {
            tape.advance(&lin);
        } else {
            arg = lin;
            before = Some((from, eta, z, order));
        }
    }
}

/// How many points correct the state at level `i`, from where the next step goes to `to`.
fn points(solver: &Adams, (i, steps): (usize, usize), to: Level, order: usize) -> usize {
    if solver.uncorrected.contains(&(i - 1)) {
        return 0;
    }
    match solver.corrector {
        Corrector::None => 0,
        Corrector::Follows => order + 1,
        Corrector::Points(_) if to.is_clean() && !solver.again => 0,
        Corrector::Points(most) => solver.lower_final.limit(most, i, steps + 1),
    }
}

/// The coefficients of the state and of the noise, and what the points of the history have in common.
fn parts((from, to, eta): (Level, Level, f64)) -> (f64, f64, f64) {
    let h = to.lam - from.lam;
    if h == f64::INFINITY {
        return if eta > 0.0 { (0.0, h, to.s) } else { (to.s / from.s, h, 0.0) };
    }
    let c = to.s / from.s * (-eta * h).exp();
    (c, h, to.s * (-(-2.0 * eta * h).exp_m1()).sqrt())
}

/// A step, and for an ancestral one how far down it goes.
fn predicted(
    solver: &Adams,
    (from, to, eta): (Level, Level, f64),
    history: (&History, f64),
    m: usize,
    order: usize,
) -> (Step, Option<f64>) {
    let Some(rule) = solver.ancestral else {
        let step = of_points(solver, (from, to, eta), history, m, order);
        return (Step { q: step.q * solver.s_noise, ..step }, None);
    };
    let q = fresh(rule, eta, from, to);
    let down = Level::new(to.a, ((to.s - q) * (to.s + q)).max(0.0).sqrt());
    let noise = q * solver.s_noise;
    if down.is_clean() {
        return (Step { c: 0.0, w: vec![(m, to.a)], q: noise }, None);
    }
    let step = of_points(solver, (from, if q > 0.0 { down } else { to }, 0.0), history, m, order);
    (Step { q: noise, ..step }, Some(down.lam))
}

/// A step by the polynomial through earlier predictions, whose places are counted from `origin`.
fn of_points(
    solver: &Adams,
    (from, to, eta): (Level, Level, f64),
    (history, origin): (&History, f64),
    m: usize,
    order: usize,
) -> Step {
    let (c, h, q) = parts((from, to, eta));
    if order == 1 || h == f64::INFINITY {
        return Step { c, w: vec![(m, first(from, to, c, eta))], q };
    }
    let points: Vec<_> = history.iter().rev().take(order).copied().collect();
    let mut nodes: Vec<_> = points.iter().map(|&(_, lam)| (lam - origin) / h).collect();
    nodes[0] = 0.0;
    let w = if order == 2 && solver.second != Second::Exact {
        let total = moments((1.0 + eta) * h, 1)[0];
        // What is taken of the difference of both, per length of the step.
        let whole = if solver.second == Second::Midpoint { total } else { (1.0 + eta) * h };
        let slope = 0.5 * whole;
        vec![total - slope / nodes[1], slope / nodes[1]]
    } else if order == 3 && solver.published {
        let mut w = exact(&nodes, h, eta);
        // Half of the second divided difference is lost.
        let third = moments((1.0 + eta) * h, 3)[2] / 2.0;
        for (j, w) in w.iter_mut().enumerate() {
            let others = nodes.iter().enumerate().filter(|&(i, _)| i != j);
            *w -= third / others.map(|(_, u)| nodes[j] - u).product::<f64>();
        }
        w
    } else {
        exact(&nodes, h, eta)
    };
    Step { c, w: points.iter().zip(w).map(|(&(m, _), w)| (m, to.a * w)).collect(), q }
}

/// The weight of a single prediction.
fn first(from: Level, to: Level, c: f64, eta: f64) -> f64 {
    if eta == 0.0 || from.is_noise() {
        return to.a - from.a * c;
    }
    to.a * -(-(1.0 + eta) * (to.lam - from.lam)).exp_m1()
}

/// Integrals of the Lagrange polynomials of nodes in units of the step.
fn exact(nodes: &[f64], h: f64, eta: f64) -> Vec<f64> {
    weights(nodes, &moments((1.0 + eta) * h, nodes.len()))
}

fn corrected(
    solver: &Adams,
    (from, to, eta): (Level, Level, f64),
    history: &History,
    new: usize,
    points: usize,
) -> Step {
    let (c, h, q) = parts((from, to, eta));
    let mut taken = vec![(new, to.lam)];
    taken.extend(history.iter().rev().take(points - 1));
    let nodes: Vec<_> = taken.iter().map(|&(_, lam)| (lam - from.lam) / h).collect();
    let w = if points == 2 && solver.second != Second::Exact {
        let total = moments((1.0 + eta) * h, 1)[0];
        let whole = if solver.second == Second::Midpoint { total } else { (1.0 + eta) * h };
        vec![0.5 * whole, total - 0.5 * whole]
    } else {
        exact(&nodes, h, eta)
    };
    let w = taken.iter().zip(w).map(|(&(m, _), w)| (m, to.a * w)).collect();
    Step { c, w, q: q * solver.s_noise }
}
