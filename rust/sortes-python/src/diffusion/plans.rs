//! `_core.diffusion.plans`: what each step of a solver combines.

use std::collections::HashMap;

use sortes::diffusion::plans as kernels;
use sortes::diffusion::plans::adams::{Adams, Corrector, LowerFinal, Second};
use sortes::diffusion::plans::er_sde::{ErSde, Scale};
use sortes::diffusion::plans::frame::Frame;
use sortes::diffusion::plans::heun::{Churn, Heun, Method};
use sortes::diffusion::plans::levels::{Kind, Levels};
use sortes::diffusion::plans::mixed::{Mixed, Of, Step};
use sortes::diffusion::plans::one_step::{OneStep, Rule};
use sortes::diffusion::plans::slopes::{Clock, Slopes};
use sortes::diffusion::plans::stages::{Stages, Weights};
use sortes::diffusion::plans::statistics::Statistics;
use sortes::diffusion::plans::{Plan, Solver};

use crate::prelude::*;

/// Nanoseconds of a step.
const STEP: f64 = 4000.0;

impl Named for Kind {
    const NAMES: &[(&str, Self)] = &[("vp", Self::Vp), ("ve", Self::Ve), ("flow", Self::Flow)];
}

impl Named for Frame {
    const NAMES: &[(&str, Self)] = &[("noise", Self::Noise), ("flow", Self::Flow)];
}

impl Named for Rule {
    const NAMES: &[(&str, Self)] = &[
        ("posterior", Self::Posterior),
        ("sde", Self::Sde),
        ("angle", Self::Angle),
        ("variance", Self::Variance),
        ("flow", Self::Flow),
        ("forward", Self::Forward),
        ("maruyama", Self::Maruyama),
    ];
}

impl Named for LowerFinal {
    const NAMES: &[(&str, Self)] = &[
        ("never", Self::Never),
        ("clean", Self::Clean),
        ("always", Self::Always),
        ("auto", Self::Auto),
    ];
}

impl Named for Second {
    const NAMES: &[(&str, Self)] =
        &[("exact", Self::Exact), ("midpoint", Self::Midpoint), ("plain", Self::Plain)];
}

impl Named for Weights {
    const NAMES: &[(&str, Self)] = &[("one", Self::One), ("two", Self::Two)];
}

impl Named for Method {
    const NAMES: &[(&str, Self)] = &[
        ("euler", Self::Euler),
        ("heun", Self::Heun),
        ("heunpp", Self::HeunPlus),
        ("log_midpoint", Self::LogMidpoint),
        ("midpoint", Self::Midpoint),
    ];
}

impl Named for Scale {
    const NAMES: &[(&str, Self)] =
        &[("default", Self::Default), ("ode", Self::Ode), ("sde", Self::Sde)];
}

impl Named for Of {
    const NAMES: &[(&str, Self)] = &[
        ("data", Self::Data),
        ("noise_in_lambda", Self::NoiseInLambda),
        ("noise_in_ratio", Self::NoiseInRatio),
    ];
}

/// The levels of a path.
#[derive(FromPyObject)]
pub(super) struct Given<'py> {
    #[pyo3(item(0))]
    kind: Choice<Kind>,
    #[pyo3(item(1))]
    alpha: Vector<'py, f64>,
    #[pyo3(item(2))]
    sigma: Vector<'py, f64>,
}

impl Given<'_> {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.alpha.len()
    }

    /// The levels.
    pub(super) fn levels(&self) -> sortes_core::Result<Levels> {
        Levels::new(self.kind.0, &self.alpha, &self.sigma)
    }
}

/// The arrays of a plan, by name.
struct Rows(Plan);

impl<'py> IntoPyObject<'py> for Rows {
    type Target = pyo3::types::PyDict;
    type Output = Bound<'py, Self::Target>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let plan = self.0;
        let out = pyo3::types::PyDict::new(py);
        out.set_item("history", plan.history)?;
        out.set_item("noises", plan.noises)?;
        let numbers = [
            ("c", plan.c),
            ("w", plan.w),
            ("n", plan.n),
            ("offset", plan.offset),
            ("intervals", plan.intervals),
            ("a", plan.a),
            ("s", plan.s),
            ("lam", plan.lam),
            ("mix", plan.mix),
            ("state_c", plan.state_c),
            ("state_w", plan.state_w),
            ("state_n", plan.state_n),
        ];
        for (name, values) in numbers {
            out.set_item(name, Array(values))?;
        }
        out.set_item("fresh", Array(plan.fresh))?;
        out.set_item("index", Array(plan.index))?;
        out.set_item("step", Array(plan.step))?;
        Ok(out)
    }
}

fn made(py: Python<'_>, path: &Given<'_>, solver: &Solver) -> PyResult<Rows> {
    let job = Job::plain(py);
    job.run(Size::new(path.count(), STEP).serial(), |_| kernels::plan(solver, &path.levels()?))
        .map(Rows)
}

/// One evaluation for each step, no memory.
#[pyfunction]
fn one_step(
    py: Python<'_>,
    path: Given<'_>,
    rule: Choice<Rule>,
    eta: f64,
    s_noise: f64,
) -> PyResult<Rows> {
    made(py, &path, &Solver::OneStep(OneStep { rule: rule.0, eta, s_noise }))
}

/// Exponential Adams methods.
#[pyfunction]
fn adams(
    py: Python<'_>,
    path: Given<'_>,
    orders: (usize, i64, bool),
    second: Choice<Second>,
    published: bool,
    noise: (Vec<f64>, Option<Choice<Rule>>, f64),
    ends: (Choice<LowerFinal>, bool, Vec<usize>),
) -> PyResult<Rows> {
    let (order, corrector, again) = orders;
    let (eta, ancestral, s_noise) = noise;
    let (lower_final, warm, uncorrected) = ends;
    let corrector = match corrector {
        0 => Corrector::None,
        -1 => Corrector::Follows,
        most => Corrector::Points(most.unsigned_abs() as usize),
    };
    let solver = Adams {
        order,
        corrector,
        again,
        second: second.0,
        published,
        eta,
        ancestral: ancestral.map(|rule| rule.0),
        s_noise,
        lower_final: lower_final.0,
        warm,
        uncorrected,
    };
    made(py, &path, &Solver::Adams(solver))
}

/// Stages in `lam`.
#[pyfunction]
fn stages(
    py: Python<'_>,
    path: Given<'_>,
    orders: Vec<usize>,
    at: [f64; 2],
    weights: Choice<Weights>,
    of_noise: bool,
    noise: (f64, Option<Choice<Rule>>, f64),
) -> PyResult<Rows> {
    let (eta, ancestral, s_noise) = noise;
    let ancestral = ancestral.map(|rule| rule.0);
    let weights = weights.0;
    let solver = Stages { orders, at, weights, of_noise, eta, ancestral, s_noise };
    made(py, &path, &Solver::Stages(solver))
}

/// Stages in the noise level.
#[pyfunction]
fn heun(
    py: Python<'_>,
    path: Given<'_>,
    frame: Choice<Frame>,
    method: Choice<Method>,
    churn: (f64, f64, f64, f64),
    noise: (f64, Choice<Rule>),
) -> PyResult<Rows> {
    let (amount, least, most, s_noise) = churn;
    let solver = Heun {
        frame: frame.0,
        method: method.0,
        churn: Churn { amount, between: (least, most), s_noise },
        eta: noise.0,
        ancestral: noise.1.0,
    };
    made(py, &path, &Solver::Heun(solver))
}

/// Adams methods on derivatives.
#[pyfunction]
fn slopes(
    py: Python<'_>,
    path: Given<'_>,
    frame: Choice<Frame>,
    clock: &str,
    numbers: Vec<f64>,
    order: usize,
    lower_final: Choice<LowerFinal>,
) -> PyResult<Rows> {
    let clock = match (clock, numbers.as_slice()) {
        ("uniform", _) => Clock::Uniform,
        ("lambda", _) => Clock::Lambda,
        ("linear", &[beta_min, beta_d]) => Clock::Linear { beta_min, beta_d },
        ("gradient", &[gamma]) => Clock::Gradient { gamma },
        ("nodes", nodes) => Clock::Nodes(nodes.chunks_exact(2).map(|at| (at[0], at[1])).collect()),
        _ => Clock::Time,
    };
    let solver = Slopes { frame: frame.0, clock, order, lower_final: lower_final.0 };
    made(py, &path, &Solver::Slopes(solver))
}

/// ER-SDE-Solvers.
#[pyfunction]
fn er_sde(
    py: Python<'_>,
    path: Given<'_>,
    order: usize,
    scale: Choice<Scale>,
    published: bool,
    s_noise: f64,
) -> PyResult<Rows> {
    made(py, &path, &Solver::ErSde(ErSde { order, scale: scale.0, published, s_noise }))
}

/// DPM-Solver-v3.
#[pyfunction]
fn statistics(
    py: Python<'_>,
    path: Given<'_>,
    order: usize,
    lower_final: Choice<LowerFinal>,
    tables: HashMap<String, Vec<f64>>,
) -> PyResult<Rows> {
    let table = |name| tables.get(name).cloned().unwrap_or_default();
    let solver = Statistics {
        order,
        lower_final: lower_final.0,
        lam: table("lam"),
        l: table("l"),
        s: table("s"),
        b: table("b"),
    };
    made(py, &path, &Solver::Statistics(solver))
}

/// Steps of different kinds: of each the order, of what, the share of noise, whether it is corrected.
#[pyfunction]
fn mixed(
    py: Python<'_>,
    path: Given<'_>,
    steps: Vec<(usize, Choice<Of>, f64, bool)>,
) -> PyResult<Rows> {
    let steps = steps
        .into_iter()
        .map(|(order, of, eta, corrects)| Step { order, of: of.0, eta, corrects })
        .collect();
    made(py, &path, &Solver::Mixed(Mixed { steps }))
}

/// What each step of a solver combines.
#[pymodule(submodule, name = "plans")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{adams, er_sde, heun, mixed, one_step, slopes, stages, statistics};
}
