//! What a sketch knows of its data.

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
        items: impl Iterator<Item = Item>,
        has_values: bool,
        inclusion: impl Fn(f64) -> f64,
    ) -> Self {
        let mut out = Self { values: has_values.then(Vec::new), ..Self::default() };
        for item in items {
            let p = inclusion(item.weight);
            out.ids.push(item.id);
            out.weights.push(item.weight);
            out.adjusted.push(item.weight / p);
            out.inclusion.push(p);
            if let Some(values) = &mut out.values {
                values.push(item.value);
            }
        }
        out
    }
}
