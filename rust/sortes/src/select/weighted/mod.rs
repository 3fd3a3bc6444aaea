//! Draws in proportion to weights.

pub mod dynamic;

pub use dynamic::DynamicWeights;
