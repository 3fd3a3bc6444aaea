//! What weights are, and the one place where they are checked.

use crate::error::shown;
use crate::memory::filled;
use crate::{Error, Result, Run, vectorised};

/// A number that can be a weight. All arithmetic is in double precision.
pub trait Weight: Copy + Send + Sync {
    /// The weight in double precision.
    fn wide(self) -> f64;
}

impl Weight for f64 {
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}

impl Weight for f32 {
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

/// Weights that are summed side by side: a vector, or several.
const LANES: usize = 8;
/// Weights whose sum is a term of the total.
const BLOCK: usize = 1024;
/// Weights of one task.
const TASK: usize = 1 << 16;

/// What a stretch of weights looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Their sum.
    pub sum: f64,
    /// The largest, 0 if there is none.
    pub largest: f64,
    /// The smallest positive one, infinite if there is none.
    pub least: f64,
    /// Whether all are finite and not negative.
    pub valid: bool,
}

impl Summary {
    const EMPTY: Self = Self { sum: 0.0, largest: 0.0, least: f64::INFINITY, valid: true };

    #[inline]
    fn with(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            largest: self.largest.max(other.largest),
            least: self.least.min(other.least),
            valid: self.valid && other.valid,
        }
    }

    /// The summary of at most a few thousand weights, in one pass without branches.
    #[inline(always)]
    pub(super) fn of_block<W: Weight>(block: &[W]) -> Self {
        Self::block_with::<W, true>(block)
    }

    /// As [`of_block`](Self::of_block); without `EXTREMES`, only the sum and whether it is valid.
    #[inline(always)]
    fn block_with<W: Weight, const EXTREMES: bool>(block: &[W]) -> Self {
        let (mut sum, mut largest) = ([0.0; LANES], [0.0f64; LANES]);
        let (mut least, mut invalid) = ([f64::INFINITY; LANES], [0u64; LANES]);
        let mut add = |lane: usize, weight: f64| {
            sum[lane] += weight;
            if EXTREMES {
                largest[lane] = if weight > largest[lane] { weight } else { largest[lane] };
                let positive = if weight > 0.0 { weight } else { f64::INFINITY };
                least[lane] = if positive < least[lane] { positive } else { least[lane] };
            }
            invalid[lane] |= u64::from(!(0.0..=f64::MAX).contains(&weight));
        };
        let (groups, rest) = block.as_chunks::<LANES>();
        for group in groups {
            for (lane, &weight) in group.iter().enumerate() {
                add(lane, weight.wide());
            }
        }
        for (lane, &weight) in rest.iter().enumerate() {
            add(lane, weight.wide());
        }
        let [a, b, c, d, e, f, g, h] = sum;
        Self {
            sum: ((a + b) + (c + d)) + ((e + f) + (g + h)),
            largest: largest.into_iter().fold(0.0, f64::max),
            least: least.into_iter().fold(f64::INFINITY, f64::min),
            valid: invalid == [0; LANES],
        }
    }

    /// The summary of an array of any length, whose weights are allowed and have a finite sum.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if the sum overflows, or if the work is cancelled.
    pub fn of<W: Weight>(weights: &[W], run: Run<'_>) -> Result<Self> {
        let all = Self::gathered(weights, summary_of, run)?;
        if !all.valid {
            return Err(fault(weights, run));
        }
        finite_total(all.sum)?;
        Ok(all)
    }

    /// What the blocks of an array come to together: it may be invalid, and the sum infinite.
    fn gathered<W: Weight>(weights: &[W], of: fn(&[W]) -> Self, run: Run<'_>) -> Result<Self> {
        let mut parts = filled(weights.len().div_ceil(TASK), Self::EMPTY, "sums of weights")?;
        run.fill_chunks(&mut parts, 1, |task, part| {
            let task = &weights[task * TASK..weights.len().min((task + 1) * TASK)];
            part[0] = task.chunks(BLOCK).map(of).fold(Self::EMPTY, Self::with);
        })?;
        // What rounding takes from the sum of all tasks is put back at the end: within a task there
        // are few terms, and over many tasks their errors cancel.
        let (mut all, mut lost) = (Self::EMPTY, 0.0);
        for part in parts {
            let (large, small) = (all.sum.max(part.sum), all.sum.min(part.sum));
            all = all.with(part);
            lost += (large - all.sum) + small;
        }
        all.sum += lost;
        Ok(all)
    }
}

vectorised! {
    /// [`Summary::of_block`] on its own.
    pub fn summary_of<W: Weight>(block: &[W]) -> Summary {
        Summary::of_block(block)
    }

    /// The sum of a block and whether it is valid, without its extremes.
    fn sum_of<W: Weight>(block: &[W]) -> Summary {
        Summary::block_with::<W, false>(block)
    }
}

/// The sum of weights, which may overflow; refuses one that is negative or not finite.
///
/// # Errors
/// One that names the first such weight; or if the work is cancelled.
pub fn checked_sum<W: Weight>(weights: &[W], run: Run<'_>) -> Result<f64> {
    let all = Summary::gathered(weights, sum_of, run)?;
    if all.valid { Ok(all.sum) } else { Err(fault(weights, run)) }
}

/// The error that names the first weight that is negative or not finite, or that of a stop request.
pub fn fault<W: Weight>(weights: &[W], run: Run<'_>) -> Error {
    for range in run.blocks(weights.len(), TASK) {
        let range = match range {
            Ok(range) => range,
            Err(cancelled) => return cancelled,
        };
        for (weight, index) in weights[range.clone()].iter().map(|w| w.wide()).zip(range) {
            if !(0.0..=f64::MAX).contains(&weight) {
                return Error::item("weights", index, "[0, inf)", shown(weight));
            }
        }
    }
    Error::argument("weights", "must hold numbers in [0, inf)")
}

/// Refuses a total beyond the range of float64.
///
/// # Errors
/// If it is infinite.
pub fn finite_total(total: f64) -> Result<()> {
    if total.is_finite() {
        return Ok(());
    }
    Err(Error::argument("weights", "their sum exceeds the range of float64; divide them all"))
}

/// Refuses a total of zero, where something is to be drawn.
///
/// # Errors
/// If it is zero.
pub fn positive_total(total: f64) -> Result<()> {
    if total > 0.0 {
        return Ok(());
    }
    Err(Error::argument("weights", "must hold a positive weight to draw from, but all are zero"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        for n in [0, 1, 7, 8, 1023, 1025, 200_003] {
            let weights: Vec<f32> = (0..n).map(|i| (i % 7) as f32).collect();
            let summary = Summary::of(&weights, Run::alone()).unwrap();
            assert_eq!(summary.sum, weights.iter().map(|&w| f64::from(w)).sum::<f64>());
            assert_eq!(summary.largest, weights.iter().map(|w| w.wide()).fold(0.0, f64::max));
            assert_eq!(summary.least, if n > 1 { 1.0 } else { f64::INFINITY });
        }
    }

    #[test]
    fn faults_are_named() {
        for (value, text) in [
            (-1.0, "weights: item 70000 must be in [0, inf), got -1.0"),
            (f64::NAN, "weights: item 70000 must be in [0, inf), got nan"),
            (f64::INFINITY, "weights: item 70000 must be in [0, inf), got inf"),
            (f64::NEG_INFINITY, "weights: item 70000 must be in [0, inf), got -inf"),
        ] {
            let mut weights = vec![1.0; 100_000];
            weights[70_000] = value;
            let error = Summary::of(&weights, Run::alone()).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }
}
