//! From a row of logits to one token.
//!
//! A row passes through the steps of a [`Rules`] (one small file each in `rules`), which narrow
//! its [`survivors`] without sorting or rewriting it; the token is then drawn with one uniform.
//! Every rule keeps an interval of logits, so the survivors are described by a [`window::Window`],
//! and rules that look at the renormalised law ask [`survivors::Survivors`] for it.
//!
//! | file | holds |
//! |---|---|
//! | [`params`] | the parameters of the rules, their domains, the order of the steps |
//! | [`window`] | the interval that is left, with its ties |
//! | [`survivors`] | the tokens that are left, their law, order statistics |
//! | [`crossing`] | where the cumulative mass crosses a target, without a sort |
//! | `rules` | one file per rule |
//! | [`draw`] | the categorical draw, log-probabilities |
//! | [`batch`] | whole batches of rows, in parallel |
//! | [`stats`] | statistics of rows; the parameter at which each token leaves |
//! | [`penalties`] | what is subtracted from logits before any rule |
//! | [`basis_aware`] | truncation that knows the output matrix |

pub mod adaptive_p;
pub mod basis_aware;
pub mod batch;
pub mod crossing;
pub mod draw;
pub mod element;
pub mod params;
pub mod penalties;
pub mod row;
pub mod rows;
mod rules;
pub mod stats;
pub mod survivors;
pub mod window;

pub use batch::{Batch, Details, Mask};
pub use draw::Method;
pub use element::Element;
pub use params::{Boundary, Options, Params, Rules, Step, Ties};
pub use rows::Rows;
