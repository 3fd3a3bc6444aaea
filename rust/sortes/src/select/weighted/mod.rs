//! Draws in proportion to weights.
//!
//! | type or function | for |
//! |---|---|
//! | [`AliasTable`] | many draws with replacement from the same weights |
//! | [`BlockSums`] | few draws with replacement from a large array |
//! | [`DynamicWeights`] | draws while the weights change |
//! | [`successive`], [`keys`] | distinct items, drawn one after the other |
//! | [`Reservoir`] | the same from a stream |
//!
//! All but the reservoir are shared with other families: see [`sortes_core::weights`] and
//! [`sortes_core::races`].

mod reservoir;

pub use reservoir::Reservoir;
pub use sortes_core::races::{Keyed, keys, successive};
pub use sortes_core::weights::{AliasTable, BlockSums, DynamicWeights, Precision, Weight};
