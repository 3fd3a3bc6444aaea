//! `_core.sequences.power`: a power of the law of whole texts.

use std::sync::Arc;

use sortes::sequences::power::{self as kernels, Resampling, Schedule, Target, Text};
use sortes::sequences::tree::Constraint;
use sortes_core::memory::{ask, with_capacity};
use sortes_core::resample::Scheme;

use super::automaton::{STATE, TokenAutomaton};
use crate::decode::{Given, ROW};
use crate::prelude::*;

/// Nanoseconds of a logit: rules, the mask, two sums of exponentials.
const SCAN: f64 = 2.0;
/// Of a particle, or of a text that is looked at.
const TEXT: f64 = 200.0;
/// Words of a text in a list: the tuple, its numbers, its array.
const OBJECT: usize = 64;

/// The power, that of the proposals, how many tokens a text may have, which end it, what it must match.
type Law<'py> = (f64, f64, u32, Vec<u32>, Option<(PyRef<'py, TokenAutomaton>, bool)>);
/// A text: its tokens, its log-probability, whether it is complete.
type Found = (Array<i64>, f64, bool);

fn target(law: Law<'_>) -> (Target, usize) {
    let (alpha, power, tokens, ends, constraint) = law;
    let constraint = constraint.map(|(automaton, completes)| Constraint {
        automaton: Arc::clone(&automaton.0),
        completes,
    });
    let states = constraint.as_ref().map_or(0, |constraint| constraint.automaton.len());
    (Target { alpha, power, tokens, ends, constraint }, states)
}

fn beginnings(paths: Vec<Vec<i64>>) -> PyResult<Vec<Array<i64>>> {
    // Python asks for the memory of objects bit by bit: ask for all of it first.
    ask::<[u64; OBJECT]>(paths.len(), "beginnings").map_err(to_py)?;
    Ok(paths.into_iter().map(Array).collect())
}

fn found(texts: Vec<Text>) -> PyResult<Vec<Found>> {
    ask::<[u64; OBJECT]>(texts.len(), "texts").map_err(to_py)?;
    Ok(texts.into_iter().map(|t| (Array(t.tokens), t.ln_p, t.is_complete)).collect())
}

fn scan(given: &Given<'_>) -> Size {
    Size::new(given.logits.rows(), ROW + given.logits.cols() as f64 * SCAN)
}

/// Particles of sequential Monte Carlo.
#[pyclass(frozen, module = "sortes._core.sequences.power")]
pub(crate) struct Particles(Locked<kernels::Particles>);

#[pymethods]
impl Particles {
    #[new]
    fn new(
        py: Python<'_>,
        law: Law<'_>,
        n: usize,
        scheme: Choice<Scheme>,
        threshold: f64,
        stream: &Stream,
    ) -> PyResult<Self> {
        let ((target, states), resampling) =
            (target(law), Resampling { scheme: scheme.0, threshold });
        let size = Size::new(states + n, STATE).serial();
        let stream = stream.0;
        let made = Job::plain(py)
            .run(size, |run| kernels::Particles::new(target, n, resampling, stream, run));
        made.map(|particles| Self(Locked::new(particles)))
    }

    /// The open beginnings, each once.
    fn beginnings(&self, py: Python<'_>) -> PyResult<Vec<Array<i64>>> {
        let size = Size::new(self.__len__(py)?, TEXT).serial();
        beginnings(self.0.read(&Job::plain(py), size, |this, _| this.beginnings())?)
    }

    /// Takes a token for every particle, by a row of logits behind each beginning.
    fn step(&self, given: Given<'_>, job: Job<'_>) -> PyResult<()> {
        let (call, logits) = (given.call(&[]), &given.logits);
        self.0.write(&job, scan(&given), |this, run| {
            with_rows!(logits, |rows| this.step(&call, rows, run))
        })
    }

    /// The text of each particle.
    fn texts(&self, py: Python<'_>) -> PyResult<Vec<Found>> {
        let size = Size::new(self.__len__(py)?, TEXT).serial();
        found(self.0.read(&Job::plain(py), size, |this, _| this.texts())?)
    }

    /// The logarithms of the weights; where particles were drawn anew, and their ancestors, row by row.
    fn weights(&self, py: Python<'_>) -> PyResult<(Array<f64>, Array<i64>, Array<i64>)> {
        let size = Size::new(self.__len__(py)?, TEXT).serial();
        let parts = self.0.read(&Job::plain(py), size, |this, _| {
            let (times, n) = (this.drawn_anew().len(), this.len());
            let mut ln_w = with_capacity(n, "weights")?;
            ln_w.extend_from_slice(this.ln_w());
            let mut at = with_capacity(times, "ancestors")?;
            let mut ancestors = with_capacity(times * n, "ancestors")?;
            for (position, from) in this.drawn_anew() {
                at.push(i64::from(*position));
                ancestors.extend_from_slice(from);
            }
            Ok((ln_w, at, ancestors))
        })?;
        Ok((Array(parts.0), Array(parts.1), Array(parts.2)))
    }

    /// The logarithm of the estimated normaliser.
    #[getter]
    fn log_z(&self, py: Python<'_>) -> PyResult<f64> {
        self.0.get(py, kernels::Particles::ln_z)
    }

    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<u32> {
        self.0.get(py, kernels::Particles::position)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::Particles::len)
    }
}

/// Chains of whole texts.
#[pyclass(frozen, module = "sortes._core.sequences.power")]
pub(crate) struct Chains(Locked<kernels::Chains>);

#[pymethods]
impl Chains {
    #[new]
    fn new(
        py: Python<'_>,
        law: Law<'_>,
        n: usize,
        blocks: u32,
        steps: u32,
        stream: &Stream,
    ) -> PyResult<Self> {
        let ((target, states), schedule) = (target(law), Schedule { blocks, steps });
        let size = Size::new(states + n, STATE).serial();
        let stream = stream.0;
        let made =
            Job::plain(py).run(size, |run| kernels::Chains::new(target, n, schedule, stream, run));
        made.map(|chains| Self(Locked::new(chains)))
    }

    /// The open beginnings, each once.
    fn beginnings(&self, py: Python<'_>) -> PyResult<Vec<Array<i64>>> {
        let size = Size::new(self.__len__(py)?, TEXT).serial();
        beginnings(self.0.read(&Job::plain(py), size, |this, _| this.beginnings())?)
    }

    /// Takes a token for every chain, by a row of logits behind each beginning.
    fn step(&self, given: Given<'_>, job: Job<'_>) -> PyResult<()> {
        let (call, logits) = (given.call(&[]), &given.logits);
        self.0.write(&job, scan(&given), |this, run| {
            with_rows!(logits, |rows| this.step(&call, rows, run))
        })
    }

    /// The text of each chain, and whether each weighs something.
    fn texts(&self, py: Python<'_>) -> PyResult<(Vec<Found>, Vec<bool>)> {
        let size = Size::new(self.__len__(py)?, TEXT).serial();
        let texts = self.0.read(&Job::plain(py), size, |this, _| this.texts())?;
        let (texts, alive) = texts.into_iter().unzip();
        Ok((found(texts)?, alive))
    }

    /// How many transitions there are, how many were made, and how many have taken another text.
    #[getter]
    fn transitions(&self, py: Python<'_>) -> PyResult<(u64, u64, u64)> {
        self.0.get(py, |this| {
            let (all, made) = this.transitions();
            (all, made, this.accepted())
        })
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::Chains::len)
    }
}

/// All texts that matter.
#[pyclass(frozen, module = "sortes._core.sequences.power")]
pub(crate) struct Listing(Locked<kernels::Listing>);

#[pymethods]
impl Listing {
    #[new]
    fn new(py: Python<'_>, law: Law<'_>, most: usize) -> PyResult<Self> {
        let (target, states) = target(law);
        let size = Size::new(states, STATE).serial();
        let made = Job::plain(py).run(size, |run| kernels::Listing::new(target, most, run));
        made.map(|listing| Self(Locked::new(listing)))
    }

    /// The next beginnings to look at.
    fn beginnings(&self, py: Python<'_>, most: usize) -> PyResult<Vec<Array<i64>>> {
        let size = Size::new(self.__len__(py)?, TEXT).serial();
        beginnings(self.0.write(&Job::plain(py), size, |this, _| this.beginnings(most))?)
    }

    /// Takes in what follows them, by a row of logits behind each.
    fn step(&self, given: Given<'_>, job: Job<'_>) -> PyResult<()> {
        let (call, logits) = (given.call(&[]), &given.logits);
        self.0.write(&job, scan(&given), |this, run| {
            with_rows!(logits, |rows| this.step(&call, rows, run))
        })
    }

    /// The logarithm of the normaliser.
    #[getter]
    fn log_z(&self, py: Python<'_>) -> PyResult<f64> {
        self.0.get(py, kernels::Listing::ln_z)
    }

    /// Draws texts; none if there are none.
    fn draw(&self, py: Python<'_>, n: usize, stream: &Stream) -> PyResult<Vec<Found>> {
        let stream = stream.0;
        let size = Size::new(self.__len__(py)?.saturating_add(n), TEXT).serial();
        found(self.0.read(&Job::plain(py), size, |this, _| {
            let picked = kernels::pick(this.ln_w(), n, stream, false)?;
            let mut texts = with_capacity(picked.len(), "texts")?;
            for i in picked {
                texts.push(this.text(i as usize)?);
            }
            Ok(texts)
        })?)
    }

    /// How many beginnings were looked at.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::Listing::looked)
    }
}

/// Draws indices in proportion to weights, by their logarithms.
#[pyfunction]
fn pick(
    py: Python<'_>,
    log_weights: Vector<'_, f64>,
    n: usize,
    stream: &Stream,
) -> PyResult<Array<i64>> {
    let stream = stream.0;
    let size = Size::new(log_weights.len().saturating_mul(n), 2.0).serial();
    Job::plain(py).array(size, |_| kernels::pick(&log_weights, n, stream, true))
}

/// A power of the law of whole texts.
#[pymodule(submodule)]
pub(crate) mod power {
    #[pymodule_export]
    use super::{Chains, Listing, Particles, pick};
}
