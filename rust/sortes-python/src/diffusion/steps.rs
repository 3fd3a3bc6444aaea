//! `_core.diffusion.steps`: what a step of a sampler makes of states on the host.

use numpy::ndarray::IxDyn;
use pyo3::exceptions::PyTypeError;
use pyo3::types::PyList;
use sortes::diffusion::combine::{self as kernel, Kept, Number, Terms};

use crate::args::{Elements, Out};
use crate::prelude::*;

/// Nanoseconds of an element of a term.
const ELEMENT: f64 = 0.15;

type State<'py, T> = Elements<'py, T, IxDyn>;
type OutState<'py, T> = Out<'py, T, IxDyn>;

/// A second combination: its two factors, and the array that it goes to.
type Second<'py> = (f64, f64, Bound<'py, PyAny>);

/// Writes the sum of states times factors, and an offset, to `out`; with `kept`, a combination of the
/// first two to its array. All are arrays of one shape and type, float32 or float64.
#[pyfunction]
fn combine<'py>(
    out: &Bound<'py, PyAny>,
    states: &Bound<'py, PyList>,
    factors: Vec<f64>,
    offset: f64,
    kept: Option<Second<'py>>,
    job: Job<'py>,
) -> PyResult<()> {
    if let Ok(out) = out.extract::<OutState<'_, f32>>() {
        return combined(out, states, &factors, offset, kept, &job, |x| x as f32);
    }
    combined::<f64>(out.extract()?, states, &factors, offset, kept, &job, |x| x)
}

fn combined<'py, T: Number + numpy::Element>(
    mut out: OutState<'py, T>,
    states: &Bound<'py, PyList>,
    factors: &[f64],
    offset: f64,
    kept: Option<Second<'py>>,
    job: &Job<'py>,
    rounded: impl Fn(f64) -> T,
) -> PyResult<()> {
    let held: Vec<State<'py, T>> =
        states.iter().map(|x| x.extract::<State<'_, T>>()).collect::<PyResult<_>>()?;
    let factors: Vec<T> = factors.iter().map(|&x| rounded(x)).collect();
    let mut second = match kept {
        None => None,
        Some((a, b, out)) => Some(([rounded(a), rounded(b)], out.extract::<OutState<'py, T>>()?)),
    };
    let n = out.len();
    let fit = held.iter().all(|x| x.len() == n)
        && held.len() == factors.len()
        && second.as_ref().is_none_or(|(_, out)| out.len() == n && held.len() > 1);
    if !fit {
        return Err(PyTypeError::new_err("expected states of one size, and a factor for each"));
    }
    let states: Vec<&[T]> = held.iter().map(|x| &**x).collect();
    let terms = Terms { states: &states, factors: &factors, offset: rounded(offset) };
    let kept = second.as_mut().map(|(factors, out)| Kept { factors: *factors, out: &mut **out });
    let out: &mut [T] = &mut out;
    job.run(Size::new(n * (1 + states.len()), ELEMENT), |run| {
        kernel::combine(terms, kept, out, run)
    })
}

/// What a step makes of states.
#[pymodule(submodule)]
pub(crate) mod steps {
    #[pymodule_export]
    use super::combine;
}
