//! `_core.pool.passes`: the chance that some, or all, of k samples are right.

use sortes::pool::passes as kernels;

use crate::prelude::*;

/// Nanoseconds of a row that is looked up, and of one with its own n or k.
const LOOK: f64 = 2.0;
const ROW: f64 = 40.0;

impl Named for kernels::Passes {
    const NAMES: &[(&str, Self)] =
        &[("any", Self::Any), ("all", Self::All), ("variance", Self::Variance)];
}

/// What is asked of each row; a vector of one number holds for all rows.
#[pyfunction]
fn rows(
    what: Choice<kernels::Passes>,
    n: Vector<'_, i64>,
    c: Vector<'_, i64>,
    k: Vector<'_, i64>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let ns_each = if n.len() == 1 && k.len() == 1 { LOOK } else { ROW };
    let counts = kernels::Counts { n: &n, c: &c, k: &k };
    job.array(Size::new(counts.rows(), ns_each), |run| kernels::passes(what.0, counts, run))
}

/// The chance that some, or all, of k samples are right.
#[pymodule(submodule)]
pub(crate) mod passes {
    #[pymodule_export]
    use super::rows;
}
