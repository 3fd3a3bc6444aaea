//! What a sketch knows of its data.

use sortes_core::memory::with_capacity;
use sortes_core::{Result, Run};

use super::batch::Item;

/// A sample with its weights: an item stands for `adjusted` of the whole.
///
/// The adjusted weight is `w / p`, where `p` is the chance that the item is in the sample, given
/// the threshold. The sum of `f / p` over any part of the sample is an unbiased estimate of the sum
/// of `f` over that part of the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The ids.
    pub ids: Vec<i64>,
    /// The weights as they were given.
    pub weights: Vec<f64>,
    /// The adjusted weights.
    pub adjusted: Vec<f64>,
    /// The inclusion probabilities.
    pub inclusion: Vec<f64>,
    /// The values, if items had any.
    pub values: Option<Vec<f64>>,
}

impl Sample {
    /// The sample of these items; `inclusion` maps a weight to its probability.
    pub(super) fn new(
        mut items: impl ExactSizeIterator<Item = Item>,
        has_values: bool,
        inclusion: impl Fn(f64) -> f64,
        run: Run<'_>,
    ) -> Result<Self> {
        let len = items.len();
        let numbers = || with_capacity(len, "numbers of a sample");
        let mut out = Self {
            ids: with_capacity(len, "ids of a sample")?,
            weights: numbers()?,
            adjusted: numbers()?,
            inclusion: numbers()?,
            values: if has_values { Some(numbers()?) } else { None },
        };
        for range in run.blocks(len, super::PIECE) {
            for item in items.by_ref().take(range?.len()) {
                let p = inclusion(item.weight);
                out.ids.push(item.id);
                out.weights.push(item.weight);
                out.adjusted.push(item.weight / p);
                out.inclusion.push(p);
                if let Some(values) = &mut out.values {
                    values.push(item.value);
                }
            }
        }
        Ok(out)
    }
}
