//! DPM-Solver-v3 (Zheng et al. 2023): exponential integration with statistics of the model.

use sortes_core::{Error, Result};

use super::adams::LowerFinal;
use super::levels::{Level, Levels};
use super::quadrature::weights;
use super::tape::{Lin, Mix, Tape};

/// A solver with the statistics of a model on nodes of `lam`.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// Points, 1 to 4.
    pub order: usize,
    /// When the last steps are of lower order.
    pub lower_final: LowerFinal,
    /// The nodes, increasing, from the first level to the last or beyond.
    pub lam: Vec<f64>,
    /// What is linear in the state, at each node.
    pub l: Vec<f64>,
    /// The growth of the rest.
    pub s: Vec<f64>,
    /// Its drift.
    pub b: Vec<f64>,
}

/// Integrals from the first node to each, by the trapezoidal rule.
fn cumulative(lam: &[f64], f: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut out = vec![0.0];
    for k in 1..lam.len() {
        out.push(out[k - 1] + 0.5 * (lam[k] - lam[k - 1]) * (f(k - 1) + f(k)));
    }
    out
}

/// The rows of a solver.
///
/// # Errors
/// If a level is not among the nodes, or without noise or signal.
pub(super) fn record(solver: &Statistics, levels: &Levels, tape: &mut Tape) -> Result<()> {
    let (lam, steps) = (&solver.lam, levels.steps());
    let big_l = cumulative(lam, |k| solver.l[k]);
    let big_s = cumulative(lam, |k| solver.s[k]);
    let growth = |k: usize| (big_l[k] + big_s[k]).exp();
    let i_of = cumulative(lam, growth);
    let b_of = cumulative(lam, |k| (-big_s[k]).exp() * solver.b[k]);
    let c_of = cumulative(lam, |k| growth(k) * b_of[k]);
    let node = |i: usize, level: Level| {
        let at = lam.partition_point(|&node| node < level.lam - 1e-6 * (1.0 + node.abs()));
        match lam.get(at) {
            Some(node) if (node - level.lam).abs() <= 2e-6 * (1.0 + node.abs()) => Ok(at),
            _ => {
                let reason = format!("holds no node at level {i}, where lam is {}", level.lam);
                Err(Error::argument("statistics", reason))
            }
        }
    };
    let mut history: Vec<(usize, usize)> = Vec::new();
    for step in 0..steps {
        let (from, to) = (levels.get(step), levels.get(step + 1));
        let (i, j) = (node(step, from)?, node(step + 1, to)?);
        // -f = D - (1 - l) x / a is kept, f = (s e - l x) / a.
        let mix = Mix { p: -(1.0 - solver.l[i]) / from.a, r: 1.0 };
        let m = tape.probe((from, Some(step)), &Lin::state(1.0), mix);
        tape.begin(step);
        history.push((m, i));
        history.drain(..history.len().saturating_sub(solver.order));
        let order = solver.lower_final.limit(solver.order, step, steps).min(history.len());
        let points: Vec<_> = history.iter().rev().take(order).copied().collect();
        // The rest of f without its growth and drift, as a polynomial in lam.
        let nodes: Vec<_> = points.iter().map(|&(_, q)| lam[q] - lam[i]).collect();
        let share = |k: usize| (big_l[k] + big_s[k] - big_l[i] - big_s[i]).exp();
        let powers: Vec<_> = (0..order)
            .map(|power| {
                let f = |k: usize| share(k) * (lam[k] - lam[i]).powi(power as i32);
                (i + 1..=j).map(|k| 0.5 * (lam[k] - lam[k - 1]) * (f(k - 1) + f(k))).sum()
            })
            .collect();
        let scale = -to.a * (big_l[i] - big_l[j]).exp();
        let mut next = Lin::state(to.a / from.a * (big_l[i] - big_l[j]).exp());
        let drift = c_of[j] - c_of[i] - b_of[i] * (i_of[j] - i_of[i]);
        let mut constant = -to.a * (-big_l[j]).exp() * drift;
        for (&(m, q), w) in points.iter().zip(weights(&nodes, &powers)) {
            next = next.with(m, -scale * w * (big_s[i] - big_s[q]).exp());
            constant -= scale * w * big_s[i].exp() * (b_of[q] - b_of[i]);
        }
        next = next.constant(constant);
        tape.advance(&next);
    }
    Ok(())
}
