//! What each step of a solver combines: rows of coefficients, made once from the noise levels.
//!
//! | module | holds |
//! |---|---|
//! | [`levels`] | noise levels |
//! | [`one_step`] | DDIM, DDPM, ancestral steps, re-noising: one evaluation, any share of noise |
//! | [`adams`] | DPM-Solver++ of several steps, its SDE, `UniPC`, SA-Solver, RES |
//! | [`stages`] | DPM-Solver++ 2S and 3S, SEEDS, exponential Heun, DPM-Solver |
//! | [`heun`] | Heun's method and its relatives, EDM with churn |
//! | [`slopes`] | DEIS, LMS, iPNDM, gradient estimation |
//! | [`er_sde`] | ER-SDE-Solvers |
//! | [`statistics`] | DPM-Solver-v3 |
//! | [`mixed`] | steps of different kinds in one run |
//! | [`frame`] | coordinates of the probability flow |

pub mod adams;
pub mod er_sde;
pub mod frame;
pub mod heun;
pub mod levels;
pub mod mixed;
pub mod one_step;
pub(super) mod quadrature;
pub mod slopes;
pub mod stages;
pub mod statistics;
mod tape;

use sortes_core::{Result, memory};

pub use tape::Plan;

/// What a level takes while its rows are made, in many small pieces, with room to grow: 520 to 1730
/// bytes were seen.
const LEVEL_BYTES: usize = 4096;

/// A solver and its options.
#[derive(Debug, Clone)]
pub enum Solver {
    /// One evaluation for each step, no memory.
    OneStep(one_step::OneStep),
    /// Exponential Adams methods.
    Adams(adams::Adams),
    /// Stages in `lam`.
    Stages(stages::Stages),
    /// Stages in the noise level.
    Heun(heun::Heun),
    /// Adams methods on derivatives.
    Slopes(slopes::Slopes),
    /// ER-SDE-Solvers.
    ErSde(er_sde::ErSde),
    /// DPM-Solver-v3.
    Statistics(statistics::Statistics),
    /// Steps of different kinds.
    Mixed(mixed::Mixed),
}

/// The rows of a solver on a path.
///
/// ```
/// use sortes::diffusion::plans::levels::{Kind, Levels};
/// use sortes::diffusion::plans::one_step::{OneStep, Rule};
/// use sortes::diffusion::plans::{Solver, plan};
///
/// let levels = Levels::new(Kind::Flow, &[0.0, 0.5, 1.0], &[1.0, 0.5, 0.0]).unwrap();
/// let ddim = OneStep { rule: Rule::Posterior, eta: 0.0, s_noise: 1.0 };
/// let rows = plan(&Solver::OneStep(ddim), &levels).unwrap();
/// assert_eq!((rows.evaluations(), rows.c, rows.w), (2, vec![1.0, 0.5, 0.0], vec![0.0, 0.5, 1.0]));
/// ```
///
/// # Errors
/// If the solver has no finite coefficients on these levels, or there is no memory.
pub fn plan(solver: &Solver, levels: &levels::Levels) -> Result<Plan> {
    memory::ask::<u8>(
        levels.steps().saturating_add(1).saturating_mul(LEVEL_BYTES),
        "bytes of a plan",
    )?;
    let mut tape = tape::Tape::new();
    match solver {
        Solver::OneStep(solver) => one_step::record(solver, levels, &mut tape),
        Solver::Adams(solver) => adams::record(solver, levels, &mut tape),
        Solver::Stages(solver) => stages::record(solver, levels, &mut tape),
        Solver::Heun(solver) => heun::record(solver, levels, &mut tape),
        Solver::Slopes(solver) => slopes::record(solver, levels, &mut tape),
        Solver::ErSde(solver) => er_sde::record(solver, levels, &mut tape),
        Solver::Statistics(solver) => statistics::record(solver, levels, &mut tape)?,
        Solver::Mixed(solver) => mixed::record(solver, levels, &mut tape),
    }
    tape.finish()
}

#[cfg(test)]
mod tests {
    use super::adams::{Adams, Corrector, LowerFinal, Second};
    use super::heun::{Churn, Heun, Method};
    use super::levels::{Kind, Level, Levels};
    use super::one_step::Rule;
    use super::stages::{Stages, Weights};
    use super::*;

    /// The mean of data that are 1 or -1, given a state.
    fn denoised(x: f64, level: Level) -> f64 {
        (x * level.a / (level.s * level.s)).tanh()
    }

    /// What the loop makes of a plan, with noises that are given.
    fn run(plan: &Plan, start: f64, noise: &[f64]) -> f64 {
        let (mut y, mut m, mut z, mut drawn) = (start, Vec::new(), Vec::new(), noise.iter());
        for k in 0..=plan.evaluations() {
            if plan.fresh[k] {
                z.insert(0, *drawn.next().unwrap());
            }
            let held = |width: usize, factors: &[f64], values: &[f64]| -> f64 {
                let row = &factors[k * width..(k + 1) * width];
                row.iter().zip(values).map(|(factor, value)| factor * value).sum()
            };
            y = plan.c[k] * y
                + plan.offset[k]
                + held(plan.history, &plan.w, &m)
                + held(plan.noises, &plan.n, &z);
            if k < plan.evaluations() {
                let level = Level { a: plan.a[k], s: plan.s[k], lam: plan.lam[k] };
                m.insert(0, plan.mix[2 * k] * y + plan.mix[2 * k + 1] * denoised(y, level));
            }
        }
        assert!(drawn.next().is_none());
        y
    }

    fn levels(kind: Kind) -> Levels {
        let any = Levels::new(kind, &[0.5, 0.5], &[0.5, 0.1]).unwrap();
        let all: Vec<_> = [-1.5, -0.7, 0.2, 0.6, 1.9].map(|lam| any.at(lam)).to_vec();
        let (a, s): (Vec<_>, Vec<_>) = all.iter().map(|level| (level.a, level.s)).unzip();
        Levels::new(kind, &a, &s).unwrap()
    }

    #[test]
    fn a_register_is_enough_for_stages() {
        for kind in [Kind::Vp, Kind::Ve, Kind::Flow] {
            let levels = levels(kind);
            let solver = Stages {
                orders: vec![2; 4],
                at: [0.4, 1.0],
                weights: Weights::One,
                of_noise: false,
                eta: 0.0,
                ancestral: None,
                s_noise: 1.0,
            };
            let plan = plan(&Solver::Stages(solver), &levels).unwrap();
            let mut x = 0.8;
            for i in 0..4 {
                let (from, to) = (levels.get(i), levels.get(i + 1));
                let h = to.lam - from.lam;
                let middle = levels.at(from.lam + 0.4 * h);
                let d = denoised(x, from);
                let u = middle.s / from.s * x - middle.a * (-0.4 * h).exp_m1() * d;
                let late = denoised(u, middle);
                let mean = d + (late - d) / 0.8;
                x = to.s / from.s * x - to.a * (-h).exp_m1() * mean;
            }
            assert!((run(&plan, 0.8, &[]) - x).abs() < 1e-14);
            assert_eq!(plan.evaluations(), 8);
        }
    }

    #[test]
    fn a_register_is_enough_for_correctors() {
        let levels = levels(Kind::Vp);
        let solver = Adams {
            order: 1,
            corrector: Corrector::Follows,
            again: false,
            second: Second::Midpoint,
            published: false,
            eta: vec![0.0; 4],
            ancestral: None,
            s_noise: 1.0,
            lower_final: LowerFinal::Never,
            warm: false,
            uncorrected: vec![2],
        };
        let plan = plan(&Solver::Adams(solver), &levels).unwrap();
        let (mut x, mut last) = (0.8, denoised(0.8, levels.get(0)));
        for i in 0..4 {
            let (from, to) = (levels.get(i), levels.get(i + 1));
            let (c, w) = (to.s / from.s, -to.a * (from.lam - to.lam).exp_m1());
            let guess = c * x + w * last;
            let new = denoised(guess, to);
            x = if i == 3 || i == 2 { guess } else { c * x + w * 0.5 * (last + new) };
            last = new;
        }
        assert!((run(&plan, 0.8, &[]) - x).abs() < 1e-14);
        assert_eq!(plan.evaluations(), 4);
    }

    #[test]
    fn churn_comes_before_a_step() {
        let levels = levels(Kind::Ve);
        let solver = Heun {
            frame: frame::Frame::Noise,
            method: Method::Heun,
            churn: Churn { amount: 1.2, between: (0.6, 3.0), s_noise: 1.1 },
            eta: 0.0,
            ancestral: Rule::Posterior,
        };
        let plan = plan(&Solver::Heun(solver), &levels).unwrap();
        let noise = [0.3, -1.2, 0.9];
        let (mut x, mut drawn) = (0.8, noise.iter());
        for i in 0..4 {
            let (mut s, to) = (levels.get(i).s, levels.get(i + 1).s);
            if (0.6..=3.0).contains(&s) {
                let more = s * 1.3;
                x += 1.1 * (more * more - s * s).sqrt() * drawn.next().unwrap();
                s = more;
            }
            let slope = |x: f64, s: f64| (x - denoised(x, Level::new(1.0, s))) / s;
            let d = slope(x, s);
            let late = slope(x + (to - s) * d, to);
            x += (to - s) * 0.5 * (d + late);
        }
        let used = noise.len() - drawn.len();
        assert!((run(&plan, 0.8, &noise[..used]) - x).abs() < 1e-13);
        assert_eq!(plan.fresh, [false, false, true, false, true, false, false, false, false]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (a, s) in [([1.0, 1.0], [0.5, 0.5]), ([1.0, f64::NAN], [1.0, 0.5])] {
            assert!(Levels::new(Kind::Ve, &a, &s).is_err());
        }
        assert!(Levels::new(Kind::Ve, &[1.0], &[1.0]).is_err());
    }
}
