//! Subsets with given expectations from one uniform for each decision.
//!
//! | file | holds |
//! |---|---|
//! | [`ancestors`](fn@ancestors) | the particles that go on, by five schemes |
//! | [`duel`](fn@duel) | the duel of two fractions, of which the pivotal method is made |
//! | [`systematic`](fn@systematic) | every `1/pi`-th unit from a random start |

mod ancestors;
mod duel;
mod systematic;

pub use ancestors::{Rows, Scheme, ancestors};
pub use duel::{Fraction, duel};
pub use systematic::{check_order, start, systematic};
