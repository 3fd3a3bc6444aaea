//! Steps of one evaluation that need no earlier one, with any share of fresh noise.

use super::levels::{Level, Levels};
use super::tape::{Lin, Mix, Tape};

/// How much of the noise of a step is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A share of what the posterior has: DDIM, the ancestral steps of k-diffusion, DDPM at 1.
    Posterior,
    /// A share of what the reverse SDE has.
    Sde,
    /// A share of the angle between old and new noise: flows that preserve coefficients.
    Angle,
    /// A share of the variance; all of it is re-noising, as consistency models do it.
    Variance,
    /// Ancestral steps of rectified flows: how much further down the step goes first.
    Flow,
    /// DDPM with the variance of the forward step.
    Forward,
    /// The SDE of a flow by Euler and Maruyama, which does not preserve coefficients.
    Maruyama,
}

/// One evaluation for each step.
#[derive(Debug, Clone, Copy)]
pub struct OneStep {
    /// How much noise is fresh.
    pub rule: Rule,
    /// The share, in `[0, 1]` but for the SDE.
    pub eta: f64,
    /// A factor of the fresh noise.
    pub s_noise: f64,
}

/// The standard deviation of the fresh noise of a step whose noise has `to.s` in all.
pub(super) fn fresh(rule: Rule, eta: f64, from: Level, to: Level) -> f64 {
    if to.is_clean() || eta == 0.0 {
        return 0.0;
    }
    let kept = (from.lam - to.lam).exp(); // the ratio of noise to signal after, by that before
    let share = match rule {
        Rule::Posterior => eta * ((1.0 - kept) * (1.0 + kept)).sqrt(),
        Rule::Sde => (-(-2.0 * eta * (to.lam - from.lam)).exp_m1()).sqrt(),
        Rule::Angle => (eta * std::f64::consts::FRAC_PI_2).sin(),
        Rule::Variance => eta.sqrt(),
        Rule::Flow => {
            // In units where signal and noise add up to one.
            let share = |level: Level| level.s / (level.a + level.s);
            let down = share(to) * (1.0 + (share(to) / share(from) - 1.0) * eta);
            let left = down / (1.0 - down) / to.ratio();
            ((1.0 - left) * (1.0 + left)).max(0.0).sqrt()
        }
        Rule::Forward | Rule::Maruyama => 0.0, // their own formulas
    };
    to.s * share.min(1.0)
}

/// The step to `to` of which `q` is fresh noise: the coefficients of the state and of the data.
fn step(from: Level, to: Level, q: f64) -> (f64, f64) {
    let c = ((to.s - q) * (to.s + q)).max(0.0).sqrt() / from.s;
    (c, to.a - from.a * c)
}

/// The rows of a solver.
pub(super) fn record(solver: &OneStep, levels: &Levels, tape: &mut Tape) {
    for i in 0..levels.steps() {
        let (from, to) = (levels.get(i), levels.get(i + 1));
        let d = tape.probe((from, Some(i)), &Lin::state(1.0), Mix::DATA);
        tape.begin(i);
        let (c, w, q) = coefficients(solver, from, to);
        let mut next = Lin::state(c).with(d, w);
        if q > 0.0 {
            let z = tape.draw(from.lam, to.lam);
            next = next.noise(z, q * solver.s_noise);
        }
        tape.advance(&next);
    }
}

fn coefficients(solver: &OneStep, from: Level, to: Level) -> (f64, f64, f64) {
    if to.is_clean() {
        return (0.0, to.a, 0.0);
    }
    match solver.rule {
        Rule::Forward => {
            // The law of a state given the one before and the data: Gaussian, by Bayes' rule.
            let shrunk = from.a / to.a;
            let noise = from.s - shrunk * to.s;
            let variance = noise * (from.s + shrunk * to.s);
            let c = shrunk * (to.s / from.s).powi(2);
            (c, to.a * variance / (from.s * from.s), variance.sqrt())
        }
        Rule::Maruyama => {
            // x + [u + sd^2 / (2 s) (x + (1 - s) u)] ds + sd sqrt(-ds) z, u = (x - D) / s.
            let (s, dt) = (from.s, to.s - from.s);
            let edge = if s < 1.0 { s } else { to.s };
            let variance = solver.eta.powi(2) * s / (1.0 - edge);
            let (on_x, on_u) = (variance / (2.0 * s), variance / (2.0 * s) * (1.0 - s));
            let u = (1.0 + on_u) * dt / s;
            (1.0 + on_x * dt + u, -u, (variance * -dt).sqrt())
        }
        rule => {
            let q = fresh(rule, solver.eta, from, to);
            let (c, w) = step(from, to, q);
            (c, w, q)
        }
    }
}
