//! What a sketch is fed with.

use sortes_core::{Error, Result};

/// One item that a sketch holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// The user's name of it.
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
    /// If lengths differ, or a weight or value is not allowed; the message says which.
    pub fn new(ids: &'a [i64], weights: Weights<'a>, values: Option<&'a [f64]>) -> Result<Self> {
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
                checked_total(w, f64::from)?
            }
            Weights::F64(w) => {
                same_length("weights", w.len())?;
                checked_total(w, |w| w)?
            }
        };
        if let Some(values) = values {
            same_length("values", values.len())?;
            if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                let reason = format!("item {i} is not finite: {}", values[i]);
                return Err(Error::argument("values", reason));
            }
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

    /// The names of the items.
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

/// The sum of the weights, in eight lanes, once each has been looked at.
fn checked_total<T: Copy>(weights: &[T], widen: impl Fn(T) -> f64) -> Result<f64> {
    let (groups, rest) = weights.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    let mut fine = true;
    for group in groups {
        for (lane, &w) in lanes.iter_mut().zip(group) {
            let w = widen(w);
            fine &= (0.0..=f64::MAX).contains(&w);
            *lane += w;
        }
    }
    for (lane, &w) in lanes.iter_mut().zip(rest) {
        let w = widen(w);
        fine &= (0.0..=f64::MAX).contains(&w);
        *lane += w;
    }
    if fine {
        return Ok(lanes.iter().sum());
    }
    for (i, &w) in weights.iter().enumerate() {
        let w = widen(w);
        let what = if w.is_nan() || w == f64::INFINITY {
            "not finite"
        } else if w < 0.0 {
            "negative"
        } else {
            continue;
        };
        return Err(Error::argument("weights", format!("item {i} is {what}: {w:?}")));
    }
    unreachable!("some weight was refused")
}
