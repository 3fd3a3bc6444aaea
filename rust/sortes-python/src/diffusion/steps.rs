//! `_core.diffusion.steps`: what a step of a sampler makes of states on the host.

use numpy::ndarray::IxDyn;
use pyo3::exceptions::PyTypeError;
use pyo3::types::PyList;
use sortes::diffusion::combine::{self as kernel, Kept, Number, Terms};
use sortes::diffusion::spread::{Spread, spread as spread_kernel};

use crate::args::{Elements, Out};
use crate::prelude::*;

/// Nanoseconds of an element of a term.
const ELEMENT: f64 = 0.15;
/// Of an element of noise with a learned variance.
const SPREAD: f64 = 0.6;

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
    let kept = second.as_mut().map(|(factors, out)| Kept {
        states: [states[0], states[1]],
        factors: *factors,
        out,
    });
    // What counts for nothing is not looked at, so that it may be anything.
    let (states, factors): (Vec<&[T]>, Vec<T>) = states
        .iter()
        .zip(factors)
        .filter(|(_, factor)| **factor != 0.0)
        .map(|(x, &factor)| (*x, rounded(factor)))
        .unzip();
    let terms = Terms { states: &states, factors: &factors, offset: rounded(offset) };
    let out: &mut [T] = &mut out;
    job.run(Size::new(n * (1 + states.len()), ELEMENT), |run| {
        kernel::combine(terms, kept, out, run)
    })
}

/// A row of a plan.
#[derive(FromPyObject)]
struct Row {
    /// The factors of the argument, the prediction, older predictions and noises.
    factors: Vec<f64>,
    /// How many evaluations ago the older predictions were made.
    lags: Vec<usize>,
    /// What is added.
    offset: f64,
    /// The factors of the argument and the prediction in what is kept, if that is.
    keeps: Option<(f64, f64)>,
}

/// The rows of a plan, for states that lie in memory one number after the other.
#[pyclass(frozen, module = "sortes._core.diffusion.steps")]
struct Program {
    rows: Vec<Row>,
    /// How many predictions are held: that of evaluation `k` in place `k % held`.
    held: usize,
}

/// The addresses of what a row combines, `n` numbers each.
struct At {
    n: usize,
    out: usize,
    y: usize,
    d: usize,
    /// Of `held` states, one after the other.
    slots: usize,
    noises: Vec<usize>,
}

impl Program {
    /// Executes row `k`.
    ///
    /// # Safety
    /// `at` must hold the addresses of arrays of `n` numbers of type `T` that nobody writes to
    /// meanwhile, `slots` of `held` times as many (or anything, where the row has no older terms and
    /// keeps nothing); nothing else may read `out` and place `k % held` of the slots.
    unsafe fn execute<T: Number>(
        &self,
        k: usize,
        at: &At,
        rounded: impl Fn(f64) -> T,
        job: &Job<'_>,
    ) -> PyResult<()> {
        let row = &self.rows[k];
        // SAFETY: as above.
        let state = |address: usize| unsafe {
            std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<T>(address), at.n)
        };
        let place = |k: usize| at.slots + (k % self.held) * at.n * size_of::<T>();
        let older = row.lags.iter().map(|lag| place(k - lag));
        let all = [at.y, at.d].into_iter().chain(older).chain(at.noises.iter().copied());
        // What counts for nothing is not looked at, so that it may be anything.
        let (mut states, mut factors) = (Vec::with_capacity(8), Vec::with_capacity(8));
        for (address, &factor) in all.zip(&row.factors) {
            if factor != 0.0 {
                states.push(state(address));
                factors.push(rounded(factor));
            }
        }
        let terms = Terms { states: &states, factors: &factors, offset: rounded(row.offset) };
        let kept = row.keeps.map(|(a, b)| Kept {
            states: [state(at.y), state(at.d)],
            factors: [rounded(a), rounded(b)],
            // SAFETY: as above; no older term lies in this place, since lags are below `held`.
            out: unsafe {
                let place = std::ptr::with_exposed_provenance_mut::<T>(place(k));
                std::slice::from_raw_parts_mut(place, at.n)
            },
        });
        // SAFETY: as above.
        let out = unsafe {
            std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<T>(at.out), at.n)
        };
        job.run(Size::new(at.n * (1 + states.len()), ELEMENT), |run| {
            kernel::combine(terms, kept, out, run)
        })
    }
}

#[pymethods]
impl Program {
    #[new]
    fn new(rows: Vec<Row>, held: usize) -> PyResult<Self> {
        let fits = |(k, row): (usize, &Row)| {
            row.factors.len() >= 2 + row.lags.len()
                && row.lags.iter().all(|&lag| 0 < lag && lag < held && lag <= k)
        };
        if held == 0 || !rows.iter().enumerate().all(fits) {
            return Err(PyTypeError::new_err("expected rows of a plan"));
        }
        Ok(Self { rows, held })
    }

    /// Executes row `k` on float32, or float64 if `double`, `n` numbers at each address.
    #[allow(clippy::too_many_arguments)]
    fn advance(
        &self,
        k: usize,
        n: usize,
        double: bool,
        addresses: (usize, usize, usize, usize),
        noises: Vec<usize>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let (out, y, d, slots) = addresses;
        let at = At { n, out, y, d, slots, noises };
        let size = if double { size_of::<f64>() } else { size_of::<f32>() };
        let fits = self.rows.get(k).is_some_and(|row| {
            let addresses = [out, y, d].into_iter().chain(at.noises.iter().copied());
            let older = !row.lags.is_empty() || row.keeps.is_some();
            row.factors.len() == 2 + row.lags.len() + at.noises.len()
                && addresses.chain(older.then_some(slots)).all(|x| x != 0 && x % size == 0)
        });
        if n == 0 {
            return Ok(());
        }
        if !fits {
            return Err(PyTypeError::new_err("expected addresses for a row"));
        }
        // SAFETY: the caller, `HostSums` of the Python side, has taken the addresses from contiguous
        // tensors of the type and holds these; `out` and the slots are its own.
        unsafe {
            if double {
                self.execute::<f64>(k, &at, |x| x, &job)
            } else {
                self.execute::<f32>(k, &at, |x| x as f32, &job)
            }
        }
    }
}

/// Writes noise with a learned variance: `n` numbers at each address, float32, or float64 if `double`.
#[pyfunction]
fn spread(
    n: usize,
    double: bool,
    addresses: (usize, usize, usize),
    shift: f64,
    slope: f64,
    job: Job<'_>,
) -> PyResult<()> {
    let (out, said, noise) = addresses;
    let size = if double { size_of::<f64>() } else { size_of::<f32>() };
    if n == 0 {
        return Ok(());
    }
    if ![out, said, noise].iter().all(|x| *x != 0 && x.is_multiple_of(size)) {
        return Err(PyTypeError::new_err("expected addresses of states"));
    }
    // SAFETY: as in `advance`.
    unsafe {
        if double {
            spread_at::<f64>(n, (out, said, noise), shift, slope, &job)
        } else {
            spread_at::<f32>(n, (out, said, noise), shift as f32, slope as f32, &job)
        }
    }
}

/// Writes noise with a learned variance.
///
/// # Safety
/// The addresses must be those of arrays of `n` numbers of type `T`, of which nobody writes to the
/// others, or reads `out`, meanwhile.
unsafe fn spread_at<T: Spread>(
    n: usize,
    (out, said, noise): (usize, usize, usize),
    shift: T,
    slope: T,
    job: &Job<'_>,
) -> PyResult<()> {
    use std::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
    // SAFETY: as above.
    let (said, noise, out) = unsafe {
        (
            std::slice::from_raw_parts(with_exposed_provenance::<T>(said), n),
            std::slice::from_raw_parts(with_exposed_provenance::<T>(noise), n),
            std::slice::from_raw_parts_mut(with_exposed_provenance_mut::<T>(out), n),
        )
    };
    job.run(Size::new(n, SPREAD), |run| spread_kernel(said, noise, shift, slope, out, run))
}

/// What a step makes of states.
#[pymodule(submodule)]
pub(crate) mod steps {
    #[pymodule_export]
    use super::{Program, combine, spread};
}
