//! `_core.diffusion.fitting`: searches over tables of numbers.

use sortes::diffusion::fitting::evolution::{self, Species};
use sortes::diffusion::fitting::products as sums;
use sortes::diffusion::fitting::rows::{self, Form, Row};
use sortes::diffusion::fitting::shortest as programme;
use sortes::diffusion::fitting::stepsize::{self, States};
use sortes_core::rng::Rounds;

use super::plans::Given;
use crate::prelude::*;

/// Nanoseconds of a product, of an edge, of a step between two levels, of a genome's level.
const PRODUCT: f64 = 0.3;
const EDGE: f64 = 1.0;
const STEP: f64 = 10.0;
const LEVEL: f64 = 20.0;

/// The cheapest path of `k` edges: its levels and its cost.
#[pyfunction]
fn shortest(cost: Matrix<'_, f64>, k: usize, job: Job<'_>) -> PyResult<Option<(Array<i64>, f64)>> {
    let n = cost.rows();
    let size = Size::new(k.min(n), EDGE * (n as f64).powi(2));
    let found = job.run(size, |run| programme::shortest(&cost, n, k, run))?;
    Ok(found.map(|path| {
        let levels = path.levels.into_iter().map(|level| level as i64).collect();
        (Array(levels), path.cost)
    }))
}

/// The best steps to each level: where they start, where they go, the squares of their distances.
#[pyfunction]
fn stepsize_round(
    path: Given<'_>,
    at: Vec<usize>,
    own: Vector<'_, f64>,
    of_fine: (Vector<'_, f64>, Vector<'_, f64>, Vector<'_, f64>),
    beam: usize,
    job: Job<'_>,
) -> PyResult<(Array<i64>, Array<i64>, Array<f64>)> {
    let (x_fine, d_fine, fine) = of_fine;
    let states = States { at: &at, own: &own, x_fine: &x_fine, d_fine: &d_fine, fine: &fine };
    let size = Size::new(at.len().saturating_mul(fine.len()), STEP).serial();
    let steps = job.run(size, |run| stepsize::round(states, &path.levels()?, beam, run))?;
    let numbers = |of: fn(&stepsize::Step) -> usize| {
        Array(steps.iter().map(|step| of(step) as i64).collect())
    };
    let costs = Array(steps.iter().map(|step| step.cost).collect());
    Ok((numbers(|step| step.from), numbers(|step| step.to), costs))
}

/// Genomes of a generation, rows of inner levels and choices.
#[pyfunction]
fn children(
    species: (usize, usize, usize, f64),
    parents: Vector<'_, u32>,
    generation: (u64, u32),
    numbers: (u64, usize),
    job: Job<'_>,
) -> PyResult<Array<u32>> {
    let (levels, steps, choices, mutation) = species;
    let species = Species { levels, steps, choices, mutation };
    let size = Size::new(numbers.1, LEVEL * (levels + steps) as f64).serial();
    let generation = (Rounds::from_key(generation.0), generation.1);
    job.array(size, |run| evolution::children(species, &parents, generation, numbers, run))
}

/// Row `k` on the levels of a path: the classical one, and the directions in which it may move.
#[pyfunction]
fn row(
    py: Python<'_>,
    path: Given<'_>,
    form: (usize, usize, usize),
    k: usize,
) -> PyResult<(Array<f64>, Array<f64>)> {
    let (history, order, kept) = form;
    let form = Form { history, order, kept };
    let size = Size::new(path.count(), STEP).serial();
    let row = Job::plain(py).run(size, |_| Ok(rows::row(form, &path.levels()?, k)))?;
    Ok((Array(row.base), Array(row.directions)))
}

/// The row that is nearest to a target, by products.
#[pyfunction]
fn fitted(
    py: Python<'_>,
    base: Vec<f64>,
    directions: Vec<f64>,
    gram: Vector<'_, f64>,
    target: Vector<'_, f64>,
    ridge: f64,
) -> PyResult<Array<f64>> {
    let row = Row { base, directions };
    let size = Size::new(gram.len(), STEP).serial();
    Job::plain(py).array(size, |_| rows::fitted(&row, &gram, &target, ridge))
}

/// The products of each row of a matrix with each of another.
#[pyfunction]
fn products(py: Python<'_>, left: Matrix<'_, f64>, right: Matrix<'_, f64>) -> PyResult<Array<f64>> {
    let size = Size::new(left.rows() * right.rows() * left.cols(), PRODUCT).serial();
    Job::plain(py).array(size, |run| sums::products(&left, &right, left.cols(), run))
}

/// Searches over tables of numbers.
#[pymodule(submodule, name = "fitting")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{children, fitted, products, row, shortest, stepsize_round};
}
