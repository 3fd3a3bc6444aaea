//! Randomness without state: every draw is named, not reached.
//!
//! [`philox`] is the generator, [`stream`] the one counter layout of the project, [`Draws`] the
//! distributions, [`bulk`] the same draws for many items at once, and [`elementary`] the logarithms
//! that give the same bits on every platform.

pub mod bulk;
pub mod draws;
pub mod elementary;
pub mod philox;
pub mod stream;

pub use draws::{Draws, exponential_of, open_uniform_of, uniform_of};
pub use stream::{Purpose, Rounds, Stream};
