//! Draws in proportion to weights.
//!
//! | type or function | for |
//! |---|---|
//! | [`AliasTable`] | many draws with replacement from the same weights |
//! | [`BlockSums`] | few draws with replacement from a large array |
//! | [`DynamicWeights`] | draws while the weights change |
//! | [`successive`] | distinct items, drawn one after the other |
//! | [`Reservoir`] | the same from a stream |
//! | [`acquire`] | distinct items by scores, for batches of active learning |
//!
//! Draw `j` of a call with replacement reads half `j % 2` of the block of entity `j / 2`
//! (`Purpose::Pick`); the key of item `i` is the exponential of entity `i` (`Purpose::Item`). Both
//! are taken at the step of the call, and depend on nothing else: not on how many draws there are,
//! nor on threads.

pub mod acquisition;
pub mod keys;
pub mod reservoir;

pub use acquisition::{Strategy, acquire};
pub use keys::{keys, successive};
pub use reservoir::Reservoir;
pub use sortes_core::weights::{AliasTable, BlockSums, DynamicWeights, Precision, Weight};
