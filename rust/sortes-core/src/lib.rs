//! What every family of samplers shares.
//!
//! | module | holds |
//! |---|---|
//! | [`error`] | the one error type, named arguments and offending values |
//! | [`rng`] | Philox4x32-10, streams and the counter layout of the project, distributions |
//! | [`simd`] | maxima, exponential sums, gathers: one body, compiled for each instruction set |
//! | [`num`] | ordered floats, sums whose rounding does not grow |
//! | [`run`], [`par`], [`cancel`] | what a kernel runs with: threads, stop requests, progress |
//! | [`memory`] | memory whose size a caller chose |
//! | [`reserve`] | an allocator that has small things left when all memory is taken |
//! | [`order`] | selection and sorting that can be stopped |
//! | [`csr`] | compressed sparse rows, checked: matrices and graphs |
//! | [`bytes`] | states as bytes: kind, version, checksum |
//! | [`arrivals`] | integrals over the time at which a set of items has arrived |
//! | [`races`] | draws without replacement: races of exponentials, the Gumbel top-k trick |
//! | [`weights`] | draws in proportion to weights: alias tables, block sums, weights that change |
//! | [`resample`] | systematic samples, the pivotal duel |
//! | [`permutation`] | keyed permutations of any length in constant memory |

pub mod arrivals;
pub mod bytes;
pub mod cancel;
pub mod csr;
pub mod error;
pub mod memory;
pub mod num;
pub mod order;
pub mod par;
pub mod permutation;
pub mod races;
pub mod resample;
pub mod reserve;
pub mod rng;
pub mod run;
pub mod simd;
pub mod weights;

pub use error::{Error, Result};
pub use run::Run;
