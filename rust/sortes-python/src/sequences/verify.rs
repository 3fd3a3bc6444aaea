//! `_core.sequences.verify`: whether drafted tokens stand, and what replaces them.

use sortes::sequences::verify::{self as kernels, Drafts, Method, Scheme, Texts};

use crate::decode::{Given, ROW, Streams, any_rows};
use crate::prelude::*;

/// Nanoseconds of a logit that is read at a position: rules, and a draw.
const SCAN: f64 = 0.7;
/// Of its exponential in a race.
const EXPONENTIAL: f64 = 3.0;
/// Of its place in an order, and of its part.
const SORT: f64 = 120.0;

impl Named for Method {
    const NAMES: &[(&str, Self)] = &[
        ("draw", Self::Draw),
        ("race", Self::Race),
        ("token", Self::Token),
        ("block", Self::Block),
    ];
}

impl Named for Scheme {
    const NAMES: &[(&str, Self)] =
        &[("rrs", Self::Recursive), ("kseq", Self::Kseq), ("optimal", Self::Optimal)];
}

/// Verifies drafts of several tokens each; `shape` are the axes of the texts. Writes for each how many
/// tokens stand, and the text.
#[pyfunction]
#[pyo3(signature = (given, streams, shape, tokens, lengths, draft, method, out, job))]
#[allow(clippy::too_many_arguments)]
fn verify_tokens(
    given: Given<'_>,
    streams: Streams,
    shape: Vec<usize>,
    tokens: Matrix<'_, i64>,
    lengths: Option<Vector<'_, i64>>,
    draft: Option<Logits>,
    method: Choice<Method>,
    mut out: OutMatrix<'_, i64>,
    job: Job<'_>,
) -> PyResult<()> {
    let (call, method) = (given.call(streams.as_slice()), method.0);
    let drafts = Drafts { tokens: &tokens, most: tokens.cols(), lengths: lengths.as_deref() };
    let target = any_rows(&given.logits);
    let draft = draft.as_ref().map(any_rows);
    let texts = Texts { call: &call, shape: &shape, name: "target_logits", target, draft };
    let each = match method {
        Method::Draw => SCAN,
        Method::Race => SCAN + EXPONENTIAL,
        Method::Token | Method::Block => 4.0 * SCAN,
    };
    let row = ROW + target.cols() as f64 * each;
    let size = Size::new(tokens.rows(), (tokens.cols() + 1) as f64 * row);
    let out = &mut *out;
    job.run(size, |run| kernels::verify(&texts, drafts, method, out, run))
}

/// Verifies several drafts of a position of each text: which is taken, and the token.
#[pyfunction]
#[pyo3(signature = (given, streams, shape, drafts, draft, scheme, replacement, out, job))]
#[allow(clippy::too_many_arguments)]
fn verify_multi(
    given: Given<'_>,
    streams: Streams,
    shape: Vec<usize>,
    drafts: Matrix<'_, i64>,
    draft: Logits,
    scheme: Choice<Scheme>,
    replacement: bool,
    mut out: OutMatrix<'_, i64>,
    job: Job<'_>,
) -> PyResult<()> {
    let (call, scheme) = (given.call(streams.as_slice()), scheme.0);
    let (target, draft) = (any_rows(&given.logits), Some(any_rows(&draft)));
    let texts = Texts { call: &call, shape: &shape, name: "target_logits", target, draft };
    let each = match scheme {
        Scheme::Recursive => 2.0 * SCAN * drafts.cols() as f64,
        Scheme::Kseq => 20.0 * SCAN,
        Scheme::Optimal => SORT,
    };
    let size = Size::new(drafts.rows(), ROW + target.cols() as f64 * (2.0 * SCAN + each));
    let out = &mut *out;
    job.run(size, |run| kernels::verify_several(&texts, &drafts, scheme, replacement, out, run))
}

/// The token of each row that comes first in its race.
#[pyfunction]
fn race_sample(
    given: Given<'_>,
    streams: Streams,
    mut out: OutVector<'_, i64>,
    job: Job<'_>,
) -> PyResult<()> {
    let call = given.call(streams.as_slice());
    let target = any_rows(&given.logits);
    let shape = [target.rows()];
    let texts = Texts { call: &call, shape: &shape, name: "logits", target, draft: None };
    let size = Size::new(shape[0], ROW + target.cols() as f64 * (SCAN + EXPONENTIAL));
    let out = &mut *out;
    job.run(size, |run| kernels::race(&texts, out, run))
}

/// Whether drafted tokens stand.
#[pymodule(submodule)]
pub(crate) mod verify {
    #[pymodule_export]
    use super::{race_sample, verify_multi, verify_tokens};
}
