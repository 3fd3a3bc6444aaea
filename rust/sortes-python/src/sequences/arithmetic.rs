//! `_core.sequences.arithmetic`: many texts from codes that are spread evenly.

use sortes::sequences::arithmetic::{self as kernels, Codebook, Order};
use sortes_core::Run;

use crate::decode::{Given, ROW};
use crate::prelude::*;

/// Nanoseconds of a code that is made, copied or written.
const CODE: f64 = 100.0;
/// Of a byte of a state.
const BYTE: f64 = 2.0;
/// Of a logit: rules, and the walk to a token; of one that is put into a bin, or moved, besides.
const SCAN: f64 = 0.7;
const BIN: f64 = 3.0;
/// Of a token whose place in an order is drawn.
const ITEM: f64 = 40.0;

impl Named for Codebook {
    const NAMES: &[(&str, Self)] = &[
        ("lattice", Self::Lattice),
        ("stratified", Self::Stratified),
        ("t5x", Self::T5x),
        ("explicit", Self::Explicit),
    ];
}

impl Named for Order {
    const NAMES: &[(&str, Self)] =
        &[("id", Self::Id), ("probability", Self::Probability), ("random", Self::Random)];
}

/// Codes of several prompts, as far as they have been read.
#[pyclass(frozen, module = "sortes._core.sequences.arithmetic")]
pub(crate) struct ArithmeticCodes(Locked<kernels::ArithmeticCodes>);

stateful!(ArithmeticCodes(kernels::ArithmeticCodes), len, CODE, BYTE, n: u64, steps: u32);

#[pymethods]
impl ArithmeticCodes {
    /// `prompts` is how many, and their ids; `codes`, if given, are those of the codebook "explicit".
    #[new]
    #[pyo3(signature = (prompts, n, codebook, codes, order, stream))]
    fn new(
        py: Python<'_>,
        prompts: (usize, Option<Vector<'_, u32>>),
        n: u64,
        codebook: Choice<Codebook>,
        codes: Option<Matrix<'_, f64>>,
        order: Choice<Order>,
        stream: &Stream,
    ) -> PyResult<Self> {
        let prompts = (prompts.0, prompts.1.as_deref());
        let (order, stream, codes) = (order.0, stream.0, codes.as_deref());
        let size = Size::new(prompts.0.saturating_mul(n as usize), CODE).serial();
        let made = Job::plain(py).run(size, |run| match codes {
            None => kernels::ArithmeticCodes::new(prompts, n, codebook.0, order, stream, run),
            Some(codes) => kernels::ArithmeticCodes::given(prompts, n, codes, order, stream, run),
        });
        made.map(Self::of)
    }

    /// Takes a token of each row; writes them, and the logarithms of their probabilities.
    #[pyo3(signature = (given, finished, pad, out, logprobs, job))]
    fn step(
        &self,
        given: Given<'_>,
        finished: Option<Vector<'_, bool>>,
        pad: i64,
        mut out: OutVector<'_, i64>,
        mut logprobs: Option<OutVector<'_, f64>>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let (call, logits, finished) = (given.call(&[]), &given.logits, finished.as_deref());
        let (tokens, ln_p) = (&mut *out, logprobs.as_deref_mut());
        let (rows, cols) = (logits.rows(), logits.cols() as f64);
        let ns_each = match self.0.get(job.py, kernels::ArithmeticCodes::order)? {
            Order::Id => SCAN,
            Order::Probability => SCAN + BIN,
            // All rows share the order.
            Order::Random => SCAN + BIN + ITEM / rows.max(1) as f64,
        };
        let size = Size::new(rows, ROW + cols * ns_each);
        self.0.write(&job, size, |codes, run| {
            with_rows!(logits, |rows| codes.step(&call, rows, finished, pad, tokens, ln_p, run))
        })
    }

    /// For each row the least share of the mass whose end lies beyond the code.
    fn thresholds(&self, py: Python<'_>, rows: usize, vocabulary: usize) -> PyResult<Array<f64>> {
        let look = |codes: &kernels::ArithmeticCodes, run: Run<'_>| {
            codes.thresholds(rows, vocabulary, run)
        };
        self.0.read(&Job::plain(py), self.all(py)?.serial(), look).map(Array)
    }

    /// Moves the codes on, where the tokens were found elsewhere by these thresholds.
    #[pyo3(signature = (low, high, thresholds, finished, vocabulary))]
    fn narrow(
        &self,
        py: Python<'_>,
        low: Vector<'_, f64>,
        high: Vector<'_, f64>,
        thresholds: Vector<'_, f64>,
        finished: Option<Vector<'_, bool>>,
        vocabulary: usize,
    ) -> PyResult<()> {
        let (ends, finished) = ((&*low, &*high), finished.as_deref());
        self.0.write(&Job::plain(py), self.all(py)?.serial(), |codes, run| {
            codes.narrow(ends, &thresholds, finished, vocabulary, run)
        })
    }

    /// The order of a vocabulary of this size at the next step, where it is random.
    fn arrangement(&self, py: Python<'_>, vocabulary: usize) -> PyResult<Array<i64>> {
        let size = Size::new(vocabulary, ITEM).serial();
        let ids =
            |codes: &kernels::ArithmeticCodes, run: Run<'_>| codes.arrangement(vocabulary, run);
        self.0.read(&Job::plain(py), size, ids).map(Array)
    }

    /// The stream of each row at the next step, for rules that act at random.
    fn streams(&self, py: Python<'_>) -> PyResult<Vec<Stream>> {
        let size = self.all(py)?.serial();
        let streams = self.0.read(&Job::plain(py), size, kernels::ArithmeticCodes::streams)?;
        Ok(streams.into_iter().map(Stream).collect())
    }

    /// The codes within their texts so far.
    fn codes(&self, py: Python<'_>) -> PyResult<Array<f64>> {
        let size = self.all(py)?.serial();
        self.0.read(&Job::plain(py), size, kernels::ArithmeticCodes::codes).map(Array)
    }

    #[getter]
    fn codebook(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.0.get(py, |codes| codes.codebook().name())
    }

    #[getter]
    fn token_order(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.0.get(py, |codes| codes.order().name())
    }
}

/// Many texts from codes that are spread evenly.
#[pymodule(submodule)]
pub(crate) mod arithmetic {
    #[pymodule_export]
    use super::ArithmeticCodes;
}
