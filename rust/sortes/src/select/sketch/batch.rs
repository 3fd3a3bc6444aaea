//! What a sketch is fed with.

use sortes_core::error::shown;
use sortes_core::weights::checked_sum;
use sortes_core::{Error, Result, Run};

/// One item that a sketch holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// The user's id of it.
    pub id: i64,
    /// Its weight, positive.
    pub weight: f64,
    /// What the user wants to find beside it; zero where no values are given.
    pub value: f64,
}

/// The weights of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// All of them are one.
    Ones,
    /// Single precision; widened without loss.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

/// Items side by side, checked: weights finite and not negative, values finite, equal lengths.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    ids: &'a [i64],
    weights: Weights<'a>,
    values: Option<&'a [f64]>,
    total: f64,
}

impl<'a> Batch<'a> {
    /// The batch of these columns.
    ///
    /// # Errors
    /// If lengths differ, or a weight or value is not allowed (the message says which), or if the work
    /// is cancelled.
    pub fn new(
        ids: &'a [i64],
        weights: Weights<'a>,
        values: Option<&'a [f64]>,
        run: Run<'_>,
    ) -> Result<Self> {
        let same_length = |name, len| {
            if len == ids.len() {
                return Ok(());
            }
            let (expected, got) = (format!("({},)", ids.len()), format!("({len},)"));
            Err(Error::Shape { name, expected, got })
        };
        let total = match weights {
            Weights::Ones => ids.len() as f64,
            Weights::F32(w) => {
                same_length("weights", w.len())?;
                checked_sum(w, run)?
            }
            Weights::F64(w) => {
                same_length("weights", w.len())?;
                checked_sum(w, run)?
            }
        };
        if let Some(values) = values {
            same_length("values", values.len())?;
            check_values(values, run)?;
        }
        Ok(Self { ids, weights, values, total })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// About the sum of the weights; infinite if that overflows.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// The ids of the items.
    pub(super) fn ids(&self) -> &'a [i64] {
        self.ids
    }

    /// Whether there are values.
    pub(super) fn has_values(&self) -> bool {
        self.values.is_some()
    }

    /// Writes the weights from item `start` on.
    #[inline]
    pub(super) fn weights_into(&self, start: usize, out: &mut [f64]) {
        match self.weights {
            Weights::Ones => out.fill(1.0),
            Weights::F32(w) => {
                for (out, &w) in out.iter_mut().zip(&w[start..]) {
                    *out = f64::from(w);
                }
            }
            Weights::F64(w) => out.copy_from_slice(&w[start..start + out.len()]),
        }
    }

    /// Item `i`, whose weight the caller has at hand.
    #[inline]
    pub(super) fn item(&self, i: usize, weight: f64) -> Item {
        Item { id: self.ids[i], weight, value: self.values.map_or(0.0, |values| values[i]) }
    }
}

/// Refuses a value that is not finite.
fn check_values(values: &[f64], run: Run<'_>) -> Result<()> {
    for range in run.blocks(values.len(), super::PIECE) {
        for i in range? {
            if !values[i].is_finite() {
                return Err(Error::item("values", i, "(-inf, inf)", shown(values[i])));
            }
        }
    }
    Ok(())
}
