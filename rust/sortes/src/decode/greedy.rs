//! Greedy choice: the token of a pipeline that begins with a temperature of zero.
//!
//! No list of survivors is made for it, and of a row of another type than `f32` no copy.

use super::call::{OneRow, nothing_left};
use super::element::Element;
use super::rows::{first_largest, maxima};
use super::rules::temperature;
use sortes_core::Result;

impl OneRow<'_> {
    /// Whether nothing acts before a temperature of zero, so that the largest logit as given is
    /// drawn.
    pub(super) fn is_greedy(&self) -> bool {
        let first = self.rules().next().map(|rule| rule.name);
        first == Some("temperature")
            && temperature::is_greedy(&self.params)
            && !self.changes_logits()
    }

    /// The largest logit, the lowest id among equals.
    pub(super) fn largest<T: Element>(&mut self, x: &[T]) -> Result<u32> {
        let (blocks, max) = maxima(x, &mut self.scratch.blocks, self.index, self.run)?;
        if max == f32::NEG_INFINITY {
            return Err(nothing_left(self.index));
        }
        Ok(first_largest(x, blocks, max) as u32)
    }
}
