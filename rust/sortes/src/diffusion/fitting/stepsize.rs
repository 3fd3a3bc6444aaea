//! A round of the programme over step sizes: from each level that has states, a step to each later
//! level; a level keeps those of its states that are nearest to a fine solver's.
//!
//! A state goes on, not its cost alone, so that the programme is greedy at each level; `beam` states
//! there make it less so. Steps are those of first order, `x' = c x + w D`, whose distance from a
//! given state follows from products of `x`, `D` and that state.
//!
//! Pei, Hu and Gu, "Optimal stepsize for diffusion sampling", 2025, arXiv:2503.21774.

use sortes_core::error::shown;
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result, Run};

use crate::diffusion::plans::levels::Levels;

/// States, and the products that the distances of their steps follow from.
#[derive(Debug, Clone, Copy)]
pub struct States<'a> {
    /// The level of each.
    pub at: &'a [usize],
    /// For each, `x x`, `x D`, `D D`, where `D` is the prediction.
    pub own: &'a [f64],
    /// For each, `x T` for every state `T` of the fine solver.
    pub x_fine: &'a [f64],
    /// For each, `D T`.
    pub d_fine: &'a [f64],
    /// `T T` for each level.
    pub fine: &'a [f64],
}

/// A step: which state it starts from, where it goes, and the square of its distance there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The number of the state.
    pub from: usize,
    /// The level.
    pub to: usize,
    /// The square.
    pub cost: f64,
}

/// The best `beam` steps to each level, level by level, the nearest first; of equal ones that from
/// the state of the lowest number.
///
/// # Errors
/// If a distance is no number, there is no memory, or the work has been asked to stop.
///
/// # Panics
/// If the tables have lengths that do not belong together.
pub fn round(states: States<'_>, levels: &Levels, beam: usize, run: Run<'_>) -> Result<Vec<Step>> {
    let n = levels.steps() + 1;
    let many = states.at.len();
    assert_eq!(states.own.len(), 3 * many, "three products for each state");
    assert_eq!((states.x_fine.len(), states.d_fine.len()), (many * n, many * n), "all levels");
    assert_eq!(states.fine.len(), n, "all levels");
    let mut kept: Vec<Step> = with_capacity(n.saturating_mul(beam.min(many)), "steps")?;
    for to in 1..n {
        run.check()?;
        let start = kept.len();
        for from in 0..many {
            if states.at[from] >= to {
                continue;
            }
            let cost = cost(&states, levels, from, to)?;
            // An insertion after all that are as good.
            let place = start + kept[start..].partition_point(|step| step.cost <= cost);
            if place - start < beam {
                if kept.len() - start == beam {
                    kept.pop();
                }
                kept.insert(place, Step { from, to, cost });
            }
        }
        run.advance(1);
    }
    Ok(kept)
}

/// The square of the distance of a step from the fine solver's state.
fn cost(states: &States<'_>, levels: &Levels, from: usize, to: usize) -> Result<f64> {
    let n = levels.steps() + 1;
    let (start, end) = (levels.get(states.at[from]), levels.get(to));
    let c = end.s / start.s;
    let w = end.a - start.a * c;
    let own = &states.own[3 * from..3 * from + 3];
    let (xt, dt) = (states.x_fine[from * n + to], states.d_fine[from * n + to]);
    let cost = c * c * own[0] + 2.0 * c * w * own[1] + w * w * own[2] - 2.0 * (c * xt + w * dt)
        + states.fine[to];
    if !cost.is_finite() {
        let reason =
            format!("a step to level {to} ends at a distance that is no number: {}", shown(cost));
        return Err(Error::argument("denoiser", reason));
    }
    Ok(cost.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::plans::levels::Kind;

    /// States of two numbers at levels 0 and 1 of four, and a fine solver's.
    const X: [[f64; 2]; 3] = [[2.0, -1.0], [1.5, 0.3], [1.4, 0.2]];
    const D: [[f64; 2]; 3] = [[0.5, 0.1], [0.4, -0.2], [0.3, 0.6]];
    const T: [[f64; 2]; 4] = [[2.0, -1.0], [1.5, 0.3], [0.9, 0.1], [0.4, 0.0]];
    const AT: [usize; 3] = [0, 1, 1];

    fn dot(a: [f64; 2], b: [f64; 2]) -> f64 {
        a[0] * b[0] + a[1] * b[1]
    }

    #[test]
    fn costs_are_distances() {
        let levels = Levels::new(Kind::Ve, &[1.0; 4], &[4.0, 2.0, 1.0, 0.0]).unwrap();
        let own: Vec<f64> =
            (0..3).flat_map(|i| [dot(X[i], X[i]), dot(X[i], D[i]), dot(D[i], D[i])]).collect();
        let table = |of: [[f64; 2]; 3]| -> Vec<f64> {
            of.iter().flat_map(|x| T.map(|t| dot(*x, t))).collect()
        };
        let (x_fine, d_fine, fine) = (table(X), table(D), T.map(|t| dot(t, t)));
        let states = States { at: &AT, own: &own, x_fine: &x_fine, d_fine: &d_fine, fine: &fine };
        let kept = round(states, &levels, 2, Run::alone()).unwrap();
        assert_eq!(kept.iter().map(|step| step.to).collect::<Vec<_>>(), [1, 2, 2, 3, 3]);
        for (to, target) in T.iter().enumerate().skip(1) {
            let mut all: Vec<(f64, usize)> = (0..3)
                .filter(|&i| AT[i] < to)
                .map(|i| {
                    let c = levels.get(to).s / levels.get(AT[i]).s;
                    let off = [0, 1].map(|e| c * X[i][e] + (1.0 - c) * D[i][e] - target[e]);
                    (dot(off, off), i)
                })
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            let found: Vec<_> = kept.iter().filter(|step| step.to == to).collect();
            assert_eq!(found.len(), all.len().min(2));
            for (step, (cost, from)) in found.iter().zip(all) {
                assert_eq!(step.from, from);
                assert!((step.cost - cost).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let levels = Levels::new(Kind::Ve, &[1.0; 2], &[4.0, 2.0]).unwrap();
        let states = States {
            at: &[0],
            own: &[f64::NAN; 3],
            x_fine: &[1.0; 2],
            d_fine: &[1.0; 2],
            fine: &[1.0; 2],
        };
        let error = round(states, &levels, 1, Run::alone()).unwrap_err();
        assert!(error.to_string().starts_with("denoiser: a step to level 1"), "{error}");
    }
}
