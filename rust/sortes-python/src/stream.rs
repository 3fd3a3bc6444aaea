//! The Python face of a random stream.

use std::ops::RangeInclusive;

use pyo3::prelude::*;
use pyo3::types::PyList;
use sortes_core::memory::{ask, with_capacity};
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

#[doc = stub!("Stream")]
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

    #[doc = stub!("Stream.key")]
    #[getter]
    fn key(&self) -> u64 {
        self.0.key()
    }

    #[doc = stub!("Stream.step")]
    #[getter]
    fn step(&self) -> u32 {
        self.0.step()
    }

    #[doc = stub!("Stream.advance")]
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

    #[doc = stub!("Stream.split")]
    fn split<'py>(&self, n: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let (py, n) = (n.py(), integer("n", n, WORD)?);
        // Python asks for the memory of a list bit by bit: ask for all of it first.
        ask::<[u64; OBJECT]>(n as usize, "streams").map_err(to_py)?;
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

    #[doc = stub!("Stream.uniforms")]
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
