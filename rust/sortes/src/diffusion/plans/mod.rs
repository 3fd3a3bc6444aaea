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
//! | [`frame`] | coordinates of the probability flow |

pub mod adams;
pub mod er_sde;
pub mod frame;
pub mod heun;
pub mod levels;
pub mod one_step;
mod quadrature;
pub mod slopes;
pub mod stages;
pub mod statistics;
mod tape;

use sortes_core::Result;

pub use tape::Plan;

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
/// If the solver has no finite coefficients on these levels.
pub fn plan(solver: &Solver, levels: &levels::Levels) -> Result<Plan> {
    let mut tape = tape::Tape::new();
    match solver {
        Solver::OneStep(solver) => one_step::record(solver, levels, &mut tape),
        Solver::Adams(solver) => adams::record(solver, levels, &mut tape),
        Solver::Stages(solver) => stages::record(solver, levels, &mut tape),
        Solver::Heun(solver) => heun::record(solver, levels, &mut tape),
        Solver::Slopes(solver) => slopes::record(solver, levels, &mut tape),
        Solver::ErSde(solver) => er_sde::record(solver, levels, &mut tape),
        Solver::Statistics(solver) => statistics::record(solver, levels, &mut tape)?,
    }
    tape.finish()
}
