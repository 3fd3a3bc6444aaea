//! The alias method: a draw in constant time, after one pass over the weights.
//!
//! Walker, "An efficient method for generating discrete random variables with general
//! distributions" (ACM TOMS 3, 1977). The table is filled by a sweep with two pointers, one over the
//! light items and one over the heavy ones (Hübschle-Schneider and Sanders, "Parallel weighted
//! random sampling", arXiv:1903.00227), so that it is written from front to back, without stacks.
//! The arithmetic of the sweep is in whole units of `2^-32` or `2^-64` of a bucket and therefore
//! exact: what rounding there is lies in the conversion of each weight alone.

use super::draw_each;
use super::weights::{self, Summary, Weight};
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::Stream;
use sortes_core::{Error, Result};

/// How finely a table divides its buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Narrow if every positive item then keeps its probability to 16 bits or more.
    Auto,
    /// 8 bytes per item: probabilities to `2^-32 / n`.
    Narrow,
    /// 16 bytes per item: probabilities to `2^-64 / n`, and to the 53 bits of a weight.
    Wide,
}

/// A bucket: the item itself below the threshold, its alias at or above it.
#[derive(Debug, Clone, Copy)]
struct Bucket<T> {
    threshold: T,
    alias: T,
}

/// The whole numbers in which a table is computed.
trait Unit: Copy + Send + Sync {
    /// What an item may hold in all: the units of several buckets.
    type Quota: Copy
        + Sync
        + Ord
        + Send
        + std::ops::Add<Output = Self::Quota>
        + std::ops::Sub<Output = Self::Quota>;
    /// The units of a bucket.
    const BUCKET: Self::Quota;
    /// The same.
    const BUCKET_F64: f64;
    fn quota(x: f64) -> Self::Quota;
    fn wide(quota: Self::Quota) -> i128;
    fn narrow(quota: i128) -> Self::Quota;
    fn bucket(threshold: Self::Quota, alias: usize) -> Bucket<Self>;
}

impl Unit for u32 {
    type Quota = u64;
    const BUCKET: u64 = 1 << 32;
    const BUCKET_F64: f64 = Self::BUCKET as f64;
    #[inline]
    fn quota(x: f64) -> u64 {
        x as u64
    }
    #[inline]
    fn wide(quota: u64) -> i128 {
        quota.into()
    }
    fn narrow(quota: i128) -> u64 {
        quota as u64
    }
    #[inline]
    fn bucket(threshold: u64, alias: usize) -> Bucket<u32> {
        Bucket { threshold: threshold as u32, alias: alias as u32 }
    }
}

impl Unit for u64 {
    type Quota = u128;
    const BUCKET: u128 = 1 << 64;
    const BUCKET_F64: f64 = Self::BUCKET as f64;
    #[inline]
    fn quota(x: f64) -> u128 {
        x as u128
    }
    #[inline]
    fn wide(quota: u128) -> i128 {
        quota as i128
    }
    fn narrow(quota: i128) -> u128 {
        quota as u128
    }
    #[inline]
    fn bucket(threshold: u128, alias: usize) -> Bucket<u64> {
        Bucket { threshold: threshold as u64, alias: alias as u64 }
    }
}

/// Items whose quotas are added up in one task, or between two looks at the stop request.
const TASK: usize = 1 << 16;

/// How many units each item holds: its share of `n` buckets, rounded down or up.
struct Quotas<'w, W, U: Unit> {
    weights: &'w [W],
    total: f64,
    units: f64,
    largest: usize,
    quota_of_largest: U::Quota,
}

impl<'w, W: Weight, U: Unit> Quotas<'w, W, U> {
    fn new(
        weights: &'w [W],
        summary: &Summary,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let is_largest = |w: &W| w.wide() == summary.largest;
        let largest = weights.iter().position(is_largest).unwrap_or_default();
        let units = weights.len() as f64 * U::BUCKET_F64;
        let zero = U::quota(0.0);
        let mut quotas =
            Self { weights, total: summary.sum, units, largest, quota_of_largest: zero };

        let all = U::wide(U::BUCKET) * weights.len() as i128;
        // The total was rounded in many places; what the shares come to is exact, and corrects it.
        let sum = quotas.sum(threads, cancel)?;
        quotas.units *= all as f64 / sum as f64;
        // The largest item takes up what is left.
        let others = quotas.sum(threads, cancel)? - U::wide(quotas.rounded(largest));
        quotas.quota_of_largest = U::narrow(all - others);
        Ok(quotas)
    }

    fn sum(&self, threads: Threads<'_>, cancel: &Cancel) -> Result<i128> {
        let n = self.weights.len();
        let mut sums = vec![0i128; n.div_ceil(TASK)];
        threads.fill_chunks(&mut sums, 1, |task, sum| {
            if !cancel.is_cancelled() {
                let items = task * TASK..n.min((task + 1) * TASK);
                sum[0] = items.map(|item| U::wide(self.rounded(item))).sum();
            }
        });
        cancel.check()?;
        Ok(sums.into_iter().sum())
    }

    /// The share of an item in units, rounded by a threshold that changes from item to item, so that
    /// equal weights are not all rounded the same way.
    #[inline]
    fn rounded(&self, item: usize) -> U::Quota {
        let weight = self.weights[item].wide();
        let dither = super::uniform((item as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let quota = U::quota(weight / self.total * self.units + dither);
        // A positive item is never lost.
        if weight > 0.0 { quota.max(U::quota(1.0)) } else { U::quota(0.0) }
    }

    #[inline]
    fn of(&self, item: usize) -> U::Quota {
        if item == self.largest { self.quota_of_largest } else { self.rounded(item) }
    }

    /// The first item from `start` on that is light (holds less than a bucket), or heavy.
    #[inline]
    fn next(&self, mut start: usize, light: bool) -> (usize, U::Quota) {
        while start < self.weights.len() {
            let quota = self.of(start);
            if (quota < U::BUCKET) == light {
                return (start, quota);
            }
            start += 1;
        }
        (start, U::BUCKET)
    }

    fn sweep(&self, cancel: &Cancel) -> Result<Vec<Bucket<U>>> {
        let n = self.weights.len();
        let mut table = vec![U::bucket(U::quota(0.0), 0); n];
        let (mut light, mut wanting) = self.next(0, true);
        // What is left of the current heavy item.
        let (mut heavy, mut left) = self.next(0, false);
        let mut polled = 0;
        // Both pointers move forward only. Sums are exact, so that both run out at once: a heavy
        // item that has become light finds another one as long as a bucket is not full.
        while heavy < n {
            if left < U::BUCKET {
                // Its own bucket holds the rest of it, and is filled up by the next heavy item.
                let (next, quota) = self.next(heavy + 1, false);
                table[heavy] = U::bucket(left, next);
                left = left + quota - U::BUCKET;
                heavy = next;
            } else if light < n {
                table[light] = U::bucket(wanting, heavy);
                left = left + wanting - U::BUCKET;
                (light, wanting) = self.next(light + 1, true);
            } else {
                // Nothing wants filling: what is left are whole buckets.
                table[heavy] = U::bucket(U::quota(0.0), heavy);
                (heavy, left) = self.next(heavy + 1, false);
            }
            if heavy.min(light) >= polled {
                polled += TASK;
                cancel.check()?;
            }
        }
        Ok(table)
    }
}

#[derive(Debug, Clone)]
enum Table {
    Narrow(Vec<Bucket<u32>>),
    Wide(Vec<Bucket<u64>>),
}

/// A table for draws with replacement.
///
/// ```
/// use sortes::select::weighted::{AliasTable, Precision};
/// use sortes_core::{cancel::Cancel, par::Threads, rng::Stream};
///
/// let (one, never) = (Threads::SERIAL, Cancel::default());
/// let table = AliasTable::new(&[1.0, 0.0, 3.0], Precision::Auto, one, &never)?;
/// let mut draws = [0; 1000];
/// table.sample(&mut draws, Stream::new(0), 0, one, &never)?;
/// assert!(draws.iter().all(|&i| i != 1));
/// # Ok::<(), sortes_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AliasTable {
    table: Table,
}

impl AliasTable {
    /// The table of `weights`.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if all are zero, if the sum overflows, if the table is
    /// to be narrow for `2^32` items or more, or if the work is cancelled.
    pub fn new<W: Weight>(
        weights: &[W],
        precision: Precision,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let summary = Summary::of(weights, threads, cancel)?;
        weights::positive_total(summary.sum)?;
        let addressable = u32::try_from(weights.len()).is_ok();
        let share = summary.least / summary.sum * weights.len() as f64;
        let narrow = match precision {
            Precision::Auto => addressable && share >= 1.0 / 65536.0,
            Precision::Narrow if !addressable => {
                let reason = format!("must be 'auto' or 'wide' for {} items", weights.len());
                return Err(Error::argument("precision", reason));
            }
            other => other == Precision::Narrow,
        };
        let table = if narrow {
            Table::Narrow(Quotas::<W, u32>::new(weights, &summary, threads, cancel)?.sweep(cancel)?)
        } else {
            Table::Wide(Quotas::<W, u64>::new(weights, &summary, threads, cancel)?.sweep(cancel)?)
        };
        cancel.advance(weights.len() as u64);
        Ok(Self { table })
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        match &self.table {
            Table::Narrow(table) => table.len(),
            Table::Wide(table) => table.len(),
        }
    }

    /// Whether there are none. A table has one at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The precision, narrow or wide.
    pub fn precision(&self) -> Precision {
        match self.table {
            Table::Narrow(_) => Precision::Narrow,
            Table::Wide(_) => Precision::Wide,
        }
    }

    /// The probability of each item, as the table has it.
    pub fn probabilities(&self) -> Vec<f64> {
        fn add<T: Copy + Into<u64>>(table: &[Bucket<T>], units: u128) -> Vec<f64> {
            let mut quotas = vec![0u128; table.len()];
            for (item, bucket) in table.iter().enumerate() {
                let own = u128::from(bucket.threshold.into());
                quotas[item] += own;
                quotas[bucket.alias.into() as usize] += units - own;
            }
            let all = units as f64 * table.len() as f64;
            quotas.into_iter().map(|quota| quota as f64 / all).collect()
        }
        match &self.table {
            Table::Narrow(table) => add(table, 1 << 32),
            Table::Wide(table) => add(table, 1 << 64),
        }
    }

    /// Fills `out` with draws, the first of them draw 0 of the step.
    ///
    /// # Errors
    /// If the work is cancelled.
    pub fn sample(
        &self,
        out: &mut [i64],
        stream: Stream,
        step: u32,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        // A word times the number of items: the bucket, and where in it.
        let split = |word: u64, n: usize| {
            let product = u128::from(word) * n as u128;
            ((product >> 64) as usize, product as u64)
        };
        match &self.table {
            Table::Narrow(table) => draw_each(out, stream, step, threads, cancel, |word| {
                let (item, place) = split(word, table.len());
                let bucket = table[item];
                if (place >> 32) < u64::from(bucket.threshold) {
                    item
                } else {
                    bucket.alias as usize
                }
            }),
            Table::Wide(table) => draw_each(out, stream, step, threads, cancel, |word| {
                let (item, place) = split(word, table.len());
                let bucket = table[item];
                if place < bucket.threshold { item } else { bucket.alias as usize }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table<W: Weight>(weights: &[W], precision: Precision) -> AliasTable {
        AliasTable::new(weights, precision, Threads::SERIAL, &Cancel::default()).unwrap()
    }

    fn check(weights: &[f64], precision: Precision, tolerance: f64) {
        let total: f64 = weights.iter().sum();
        let table = table(weights, precision);
        let p = table.probabilities();
        for (i, (&p, &w)) in p.iter().zip(weights).enumerate() {
            let error = (p - w / total).abs() * weights.len() as f64;
            assert!(error <= tolerance * (1.0 + w), "item {i} of {}: {p}", weights.len());
            assert_eq!(p > 0.0, w > 0.0, "item {i}");
        }
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_table_has_the_law_of_the_weights() {
        for n in [1, 2, 3, 10, 1000, 70_000] {
            let mixed: Vec<f64> = (0..n).map(|i| f64::from((i * 7919 + 1) % 13)).collect();
            let ramp: Vec<f64> = (0..n).map(|i| f64::from(i) + 1e-3).collect();
            let mut spike = vec![1.0; n as usize];
            spike[n as usize / 2] = 1e6;
            for weights in [mixed, ramp, spike, vec![0.1; n as usize]] {
                // The largest item takes up the rounding of all others: allow it some units.
                check(&weights, Precision::Narrow, 8.0 / (1u64 << 32) as f64);
                check(&weights, Precision::Wide, f64::from(n) * f64::EPSILON);
            }
        }
    }

    #[test]
    fn small_probabilities_make_it_wide() {
        assert_eq!(table(&[1.0, 2.0], Precision::Auto).precision(), Precision::Narrow);
        let wide = table(&[1.0, 1e-9, 0.0, 1e-300], Precision::Auto);
        assert_eq!(wide.precision(), Precision::Wide);
        let p = wide.probabilities();
        assert!((p[1] - 1e-9 / (1.0 + 1e-9)).abs() < 1e-19);
        assert!(p[2] == 0.0 && p[3] > 0.0);
    }

    #[test]
    fn huge_and_tiny_totals() {
        for scale in [1e-310, 1e-300, 1e300] {
            let weights: Vec<f64> = [1.0, 2.0, 3.0, 4.0].map(|w| w * scale).to_vec();
            let p = table(&weights, Precision::Auto).probabilities();
            for (i, p) in p.iter().enumerate() {
                assert!((p - (i + 1) as f64 / 10.0).abs() < 1e-9, "{scale}");
            }
        }
    }
}
