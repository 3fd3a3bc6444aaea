//! `_core.pool.votes`: the chance that k samples vote for the right answer.

use sortes::pool::votes as kernels;

use crate::prelude::*;

impl Named for kernels::Ties {
    const NAMES: &[(&str, Self)] = &[("split", Self::Split), ("lose", Self::Lose)];
}

/// The chance that the right answer has the most votes, row by row, for each k.
#[pyfunction]
fn majority(
    answers: Matrix<'_, i64>,
    correct: Vector<'_, i64>,
    weights: Option<Matrix<'_, f64>>,
    k: Vector<'_, i64>,
    ties: Choice<kernels::Ties>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let ballots = kernels::Ballots {
        size: answers.cols(),
        answers: &answers,
        correct: &correct,
        weights: weights.as_deref(),
    };
    // About a multiplication for each sample and each two votes, whatever the right answer gets.
    let ns_each = k.iter().map(|&k| 50.0 + 0.5 * (k as f64).powf(1.5)).sum();
    let size = Size::new(answers.len(), ns_each);
    job.array(size, |run| kernels::majority(ballots, &k, ties.0, run))
}

/// The chance that k samples vote for the right answer.
#[pymodule(submodule)]
pub(crate) mod votes {
    #[pymodule_export]
    use super::majority;
}
