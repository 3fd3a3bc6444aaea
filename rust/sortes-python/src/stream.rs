//! The Python face of a random stream.

use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sortes_core::memory::with_capacity;
use sortes_core::rng::stream::ENTITY_LIMIT;
use sortes_core::rng::{self, Purpose};

use crate::boundary::to_py;

/// An immutable name for a family of independent random sequences.
///
/// Wherever `sortes` takes ``rng``, a stream says exactly which draws are meant: a function called
/// twice with one stream draws the same twice. Streams compare by value, hash and pickle.
///
/// Parameters
/// ----------
/// key : int
///     The 64-bit key, used as it is; any other ``rng`` is hashed into one.
/// step : int
///     The step that draws are made at, in [0, 2**32). It adds to the step of a call.
///
/// Raises
/// ------
/// ValueError
///     If `key` or `step` is out of range.
///
/// Notes
/// -----
/// The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011), a bijection of 128-bit counters for every key. A counter holds the index of a draw, the
/// step, the row and the algorithm, so that no draw depends on another, or on threads or batches.
///
/// Examples
/// --------
/// >>> from sortes import Stream
/// >>> Stream(7).advance(2)
/// Stream(key=0x0000000000000007, step=2)
/// >>> Stream(7).uniforms(2)[:1] == Stream(7).uniforms(1)
/// array([ True])
#[pyclass(frozen, eq, hash, module = "sortes")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Stream(pub(crate) rng::Stream);

/// An argument of Python's unbounded integers, as a `T`.
fn bounded<T: TryFrom<i128>>(name: &str, value: i128) -> PyResult<T> {
    T::try_from(value).map_err(|_| {
        let bits = 8 * size_of::<T>();
        PyValueError::new_err(format!("{name}: must be in [0, 2**{bits}), got {value}"))
    })
}

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (key, step=0))]
    fn new(key: i128, step: i128) -> PyResult<Self> {
        let (key, step) = (bounded("key", key)?, bounded("step", step)?);
        Ok(Self(rng::Stream::new(key).at_step(step)))
    }

    /// The 64-bit key.
    #[getter]
    fn key(&self) -> u64 {
        self.0.key()
    }

    /// The step that draws are made at.
    #[getter]
    fn step(&self) -> u32 {
        self.0.step()
    }

    /// The same stream, some steps later.
    ///
    /// Parameters
    /// ----------
    /// step : int
    ///     How many steps.
    ///
    /// Returns
    /// -------
    /// Stream
    ///     A new stream; this one does not change.
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     If the new step is not in [0, 2**32).
    ///
    /// Examples
    /// --------
    /// >>> from sortes import Stream
    /// >>> Stream(7).advance().advance(2) == Stream(7, step=3)
    /// True
    #[pyo3(signature = (step=1))]
    fn advance(&self, step: i128) -> PyResult<Self> {
        bounded::<u32>("step", step)?;
        let step = bounded("step", i128::from(self.0.step()) + step)?;
        Ok(Self(self.0.at_step(step)))
    }

    /// Make streams with keys of their own.
    ///
    /// Parameters
    /// ----------
    /// n : int
    ///     How many streams.
    ///
    /// Returns
    /// -------
    /// list of Stream
    ///     Streams at step 0. They depend on the key and the step of this one, and the first ones do not
    ///     depend on `n`.
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     If `n` is not in [0, 2**32).
    ///
    /// Notes
    /// -----
    /// Child keys are 64 bits of Philox output; among `m` keys, two are equal with probability about
    /// ``m**2 / 2**65``.
    ///
    /// Examples
    /// --------
    /// >>> from sortes import Stream
    /// >>> Stream(7).split(2) == Stream(7).split(3)[:2]
    /// True
    fn split(&self, n: i128) -> PyResult<Vec<Self>> {
        let n = bounded::<u32>("n", n)?;
        let mut children = with_capacity(n as usize, "streams").map_err(to_py)?;
        children.extend((0..u64::from(n)).map(|i| Self(self.0.child(i))));
        Ok(children)
    }

    /// The first uniforms of one row at this step.
    ///
    /// Parameters
    /// ----------
    /// n : int
    ///     How many.
    /// row : int
    ///     Which of the 2**48 independent sequences.
    ///
    /// Returns
    /// -------
    /// ndarray of float64, shape (n,)
    ///     Multiples of 2**-53, uniform on [0, 1).
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     If `n` is not in [0, 2**32) or `row` not in [0, 2**48).
    ///
    /// Examples
    /// --------
    /// >>> from sortes import Stream
    /// >>> Stream(7).uniforms(3, row=5).shape
    /// (3,)
    #[pyo3(signature = (n, row=0))]
    fn uniforms<'py>(
        &self,
        py: Python<'py>,
        n: i128,
        row: i128,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let n: u32 = bounded("n", n)?;
        let row = bounded::<u64>("row", row)?;
        if row >= ENTITY_LIMIT {
            return Err(PyValueError::new_err(format!("row: must be in [0, 2**48), got {row}")));
        }
        let mut draws = self.0.draws(Purpose::Uniform, row);
        let mut out = with_capacity(n as usize, "uniforms").map_err(to_py)?;
        out.extend((0..n).map(|_| draws.uniform()));
        Ok(PyArray1::from_vec(py, out))
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> (Py<PyAny>, (u64, u32)) {
        let Self(stream) = slf.get();
        (slf.get_type().into_any().unbind(), (stream.key(), stream.step()))
    }

    fn __repr__(&self) -> String {
        format!("Stream(key={:#018x}, step={})", self.0.key(), self.0.step())
    }
}
