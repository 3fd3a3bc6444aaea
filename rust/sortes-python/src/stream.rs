//! The Python face of a random stream.

use std::ops::RangeInclusive;

use pyo3::prelude::*;
use pyo3::types::PyList;
use sortes_core::memory::with_capacity;
use sortes_core::rng::stream::ENTITY_LIMIT;
use sortes_core::rng::{self, Purpose};

use crate::args::{Omittable, integer};
use crate::arrays::Array;
use crate::boundary::to_py;
use crate::job::{Job, Size};

/// What is made between two looks at signals.
const BATCH: usize = 1 << 12;
/// Nanoseconds of a uniform.
const UNIFORM: f64 = 5.0;
/// Words of a stream in a list: the object and the pointer to it.
const OBJECT: usize = 6;

/// An immutable name for a family of independent random sequences.
///
/// Wherever `sortes` takes ``rng``, a stream says exactly which draws are meant: a function called
/// twice with one stream draws the same twice. Streams compare by value, hash and pickle.
///
/// Parameters
/// ----------
/// key : int
///     The key, in [0, 2**64), used as it is; any other ``rng`` is hashed into one.
/// step : int, default 0
///     The step that draws are made at, in [0, 2**32). It adds to the step of a call.
///
/// Raises
/// ------
/// ValueError
///     If `key` or `step` is out of range.
/// TypeError
///     If it is no integer.
///
/// Notes
/// -----
/// The generator is Philox4x32-10 (Salmon et al. 2011), a bijection of 128-bit counters for every
/// key. A counter holds the index of a draw, the step, the row and the algorithm, so that no draw
/// depends on another, or on threads or batches.
///
/// References
/// ----------
/// Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
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

/// The integers below 2**32, and how messages write them.
const WORD: (RangeInclusive<u64>, &str) = (0..=u32::MAX as u64, "[0, 2**32)");
const KEY: (RangeInclusive<u64>, &str) = (0..=u64::MAX, "[0, 2**64)");
const ENTITY: (RangeInclusive<u64>, &str) = (0..=ENTITY_LIMIT - 1, "[0, 2**48)");

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (key, step=Omittable(None)), text_signature = "(key, step=0)")]
    fn new(key: &Bound<'_, PyAny>, step: Omittable<'_>) -> PyResult<Self> {
        let key = integer("key", key, KEY)?;
        let step = step.0.map_or(Ok(0), |step| integer("step", &step, WORD))?;
        Ok(Self(rng::Stream::new(key).at_step(step as u32)))
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

    /// Return the same stream, some steps later.
    ///
    /// Parameters
    /// ----------
    /// step : int, default 1
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
    ///     If `step` is negative, or the new step not below 2**32.
    /// TypeError
    ///     If `step` is no integer.
    ///
    /// Examples
    /// --------
    /// >>> from sortes import Stream
    /// >>> Stream(7).advance().advance(2) == Stream(7, step=3)
    /// True
    #[pyo3(signature = (step=Omittable(None)), text_signature = "($self, step=1)")]
    fn advance(&self, step: Omittable<'_>) -> PyResult<Self> {
        let now = self.0.step();
        let left = u32::MAX - now;
        let domain = match now {
            0 => WORD.1.to_owned(),
            _ => format!("[0, {})", u64::from(left) + 1),
        };
        let within = (0..=u64::from(left), domain.as_str());
        let step = match step.0 {
            Some(step) => integer("step", &step, within)? as u32,
            None => 1,
        };
        Ok(Self(self.0.at_step(now + step)))
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
    ///     Streams at step 0. They depend on the key and the step of this one; the first ones do
    ///     not depend on `n`.
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     If `n` is not in [0, 2**32).
    /// TypeError
    ///     If `n` is no integer.
    /// MemoryError
    ///     If there is no room for them.
    ///
    /// Notes
    /// -----
    /// Child keys are 64 bits of Philox output; among `m` keys, two are equal with probability
    /// about ``m**2 / 2**65``.
    ///
    /// Examples
    /// --------
    /// >>> from sortes import Stream
    /// >>> Stream(7).split(2) == Stream(7).split(3)[:2]
    /// True
    fn split<'py>(&self, n: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let (py, n) = (n.py(), integer("n", n, WORD)?);
        // Python asks for the memory of a list bit by bit: ask for all of it first.
        drop(with_capacity::<[u64; OBJECT]>(n as usize, "streams").map_err(to_py)?);
        let children = PyList::empty(py);
        // Objects are made with the interpreter held: between batches, others have it.
        for first in (0..n).step_by(BATCH) {
            let of = |i| Self(self.0.child(i));
            let batch: Vec<Self> =
                py.detach(|| (first..n.min(first + BATCH as u64)).map(of).collect());
            for child in batch {
                children.append(child)?;
            }
            py.check_signals()?;
        }
        Ok(children)
    }

    /// Return the first uniforms of one row at this step.
    ///
    /// Parameters
    /// ----------
    /// n : int
    ///     How many.
    /// row : int, default 0
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
    /// TypeError
    ///     If one of them is no integer.
    /// MemoryError
    ///     If there is no room for them.
    ///
    /// Examples
    /// --------
    /// >>> from sortes import Stream
    /// >>> Stream(7).uniforms(3, row=5).shape
    /// (3,)
    #[pyo3(signature = (n, row=Omittable(None)), text_signature = "($self, n, row=0)")]
    fn uniforms(&self, n: &Bound<'_, PyAny>, row: Omittable<'_>) -> PyResult<Array<f64>> {
        let py = n.py();
        let n = integer("n", n, WORD)?;
        let row = row.0.map_or(Ok(0), |row| integer("row", &row, ENTITY))?;
        let mut draws = self.0.draws(Purpose::Uniform, row);
        Job::plain(py).array(Size::new(n as usize, UNIFORM).serial(), |run| {
            let mut out = with_capacity(n as usize, "uniforms")?;
            for range in run.blocks(n as usize, BATCH) {
                out.extend(range?.map(|_| draws.uniform()));
            }
            Ok(out)
        })
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> (Py<PyAny>, (u64, u32)) {
        let Self(stream) = slf.get();
        (slf.get_type().into_any().unbind(), (stream.key(), stream.step()))
    }

    fn __repr__(&self) -> String {
        format!("Stream(key={:#018x}, step={})", self.0.key(), self.0.step())
    }
}
