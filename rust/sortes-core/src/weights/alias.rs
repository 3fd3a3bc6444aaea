//! The alias method: a draw in constant time, after one pass over the weights.
//!
//! Walker, "An efficient method for generating discrete random variables with general
//! distributions", ACM TOMS 3, 1977. The table is filled by a sweep with two pointers, one over the
//! light items and one over the heavy ones (Hübschle-Schneider and Sanders, "Parallel weighted
//! random sampling", arXiv:1903.00227), so that it is written from front to back, without stacks.
//! The arithmetic of the sweep is in whole units of `2^-32` or `2^-64` of a bucket and therefore
//! exact: what rounding there is lies in the conversion of each weight alone.

use super::draw_each;
use super::summary::{self, Summary, Weight};
use crate::bytes::{Kind, Reader, Writer, corrupt};
use crate::memory::{Zero, filled, reserve, with_capacity, zeroed};
use crate::rng::{Stream, uniform_of};
use crate::{Error, Result, Run};
use std::hint::select_unpredictable;
use std::sync::{Mutex, PoisonError};

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

/// A bucket, threshold and alias: the item itself below the threshold, its alias at or above it.
type Bucket<T> = [T; 2];

/// The whole numbers in which a table is computed.
trait Unit: Copy + Send + Sync + Zero {
    /// What an item may hold in all: the units of several buckets.
    type Quota: Copy
        + Ord
        + std::ops::Add<Output = Self::Quota>
        + std::ops::Sub<Output = Self::Quota>;
    /// The units of a bucket.
    const BUCKET: Self::Quota;
    /// The number `x`, rounded down.
    fn quota(x: f64) -> Self::Quota;
    fn wide(quota: Self::Quota) -> i128;
    fn narrow(quota: i128) -> Self::Quota;
    /// A bucket, which takes its threshold modulo a whole bucket.
    fn bucket(threshold: Self::Quota, alias: usize) -> Bucket<Self>;
    /// A bucket holds a quota while the table is being made.
    fn keep(quota: Self::Quota) -> Bucket<Self>;
    fn kept(bucket: Bucket<Self>) -> Self::Quota;
}

macro_rules! unit {
    ($unit:ty, $quota:ty) => {
        impl Unit for $unit {
            type Quota = $quota;
            const BUCKET: $quota = 1 << <$unit>::BITS;
            #[inline]
            fn quota(x: f64) -> $quota {
                // As `x as $quota`, which for 128 bits is a slow call.
                let (exponent, mantissa) = (x.to_bits() >> 52, x.to_bits() << 12 >> 12 | 1 << 52);
                match exponent.checked_sub(1075) {
                    Some(up) => <$quota>::from(mantissa) << up,
                    None => <$quota>::from(mantissa >> (1075 - exponent).min(63)),
                }
            }
            #[inline]
            fn wide(quota: $quota) -> i128 {
                quota as i128
            }
            fn narrow(quota: i128) -> $quota {
                quota as $quota
            }
            #[inline]
            fn bucket(threshold: $quota, alias: usize) -> Bucket<$unit> {
                [threshold as $unit, alias as $unit]
            }
            #[inline]
            fn keep(quota: $quota) -> Bucket<$unit> {
                [quota as $unit, (quota >> <$unit>::BITS) as $unit]
            }
            #[inline]
            fn kept([low, high]: Bucket<$unit>) -> $quota {
                <$quota>::from(high) << <$unit>::BITS | <$quota>::from(low)
            }
        }
    };
}

unit!(u32, u64);
unit!(u64, u128);

/// Items of one task, or between two polls; a multiple of 64.
const TASK: usize = 1 << 16;

/// Writes into each bucket how many units its item holds: its share of `n` buckets, rounded by a
/// threshold that changes from item to item, so that equal weights are not all rounded the same way.
/// Returns the sum.
fn share_out<W: Weight, U: Unit>(
    weights: &[W],
    total: f64,
    units: f64,
    table: &mut [Bucket<U>],
    run: Run<'_>,
) -> Result<i128> {
    let sum = Mutex::new(0);
    run.fill_chunks(table, TASK, |task, table| {
        let (zero, one) = (U::quota(0.0), U::quota(1.0));
        let first = task * TASK;
        let mut part = zero;
        for (i, bucket) in table.iter_mut().enumerate() {
            let weight = weights[first + i].wide();
            let dither = uniform_of(((first + i) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let quota = U::quota(weight / total * units + dither);
            // A positive item is never lost.
            let quota = if weight > 0.0 { quota.max(one) } else { zero };
            *bucket = U::keep(quota);
            part = part + quota;
        }
        *sum.lock().unwrap_or_else(PoisonError::into_inner) += U::wide(part);
    })?;
    Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The next item from `start` on whose bit is set.
#[inline]
fn next(bits: &[u64], start: usize) -> usize {
    let mut word = start / 64;
    let mut rest = bits[word] & u64::MAX << (start % 64);
    while rest == 0 {
        word += 1;
        rest = bits[word];
    }
    word * 64 + rest.trailing_zeros() as usize
}

/// The table of weights, in memory of its own.
fn build<W: Weight, U: Unit>(
    weights: &[W],
    summary: &Summary,
    run: Run<'_>,
) -> Result<Vec<Bucket<U>>> {
    let mut table = zeroed::<Bucket<U>>(weights.len(), "buckets")?;
    fill_in(weights, summary, &mut table, &mut Marks::default(), run)?;
    Ok(table)
}

/// Which items are light and which are heavy: memory that tables, made one after the other, share.
#[derive(Debug, Default)]
pub struct Marks {
    light: Vec<u64>,
    heavy: Vec<u64>,
}

impl Marks {
    /// Makes room for `words` words that are zero.
    fn clear(&mut self, words: usize) -> Result<()> {
        for marks in [&mut self.light, &mut self.heavy] {
            marks.clear();
            reserve(marks, words, "marks of items")?;
        }
        self.light.resize(words, 0);
        Ok(())
    }
}

/// Makes the table of weights, some of them positive, in `table`: item `i` has the first number of
/// bucket `i` as its threshold, in units of `2^-32`, and the second is its alias, taken at the threshold
/// and above. `summary` is that of the weights.
///
/// # Errors
/// If there is no memory for marks, or the work is cancelled.
pub fn fill_table<W: Weight>(
    weights: &[W],
    summary: &Summary,
    table: &mut [[u32; 2]],
    marks: &mut Marks,
    run: Run<'_>,
) -> Result<()> {
    fill_in(weights, summary, table, marks, run)
}

/// Makes the table, in the memory of the quotas.
fn fill_in<W: Weight, U: Unit>(
    weights: &[W],
    summary: &Summary,
    table: &mut [Bucket<U>],
    marks: &mut Marks,
    run: Run<'_>,
) -> Result<()> {
    let n = weights.len();

    // 1. Share out the units of all buckets; a second time where the total was not good enough.
    let all = U::wide(U::BUCKET) * n as i128;
    let mut units = all as f64;
    let mut sum = share_out(weights, summary.sum, units, table, run)?;
    // The dither of the shares adds up to less than `n`; a total that is good to its last bits, to
    // less than `2^-52` of itself.
    if (sum - all).abs() > (n as i128).max(all >> 52) {
        // The total was rounded in many places. The sum of the shares is exact, and corrects it.
        units *= all as f64 / sum as f64;
        sum = share_out(weights, summary.sum, units, table, run)?;
    }

    // 2. The largest item takes up what rounding leaves.
    let largest = position_of(weights, summary.largest, run)?;
    let quota = U::wide(U::kept(table[largest])) + all - sum;
    table[largest] = U::keep(U::narrow(quota));

    // 3. Mark which items are light (hold less than a bucket) and which are heavy; one more of each
    // at the end stops the searches.
    marks.clear(n / 64 + 1)?;
    let Marks { light, heavy } = marks;
    run.fill_chunks(light, TASK / 64, |task, light| {
        let buckets = table[n.min(task * TASK)..].chunks(64);
        for (word, buckets) in light.iter_mut().zip(buckets) {
            for (i, &bucket) in buckets.iter().enumerate() {
                *word |= u64::from(U::kept(bucket) < U::BUCKET) << i;
            }
        }
    })?;
    heavy.extend(light.iter().map(|word| !word));
    light[n / 64] |= 1 << (n % 64);
    heavy[n / 64] |= 1 << (n % 64);

    // 4. Fill the buckets.
    sweep(table, light, heavy, run)
}

/// The first item of this weight.
fn position_of<W: Weight>(weights: &[W], weight: f64, run: Run<'_>) -> Result<usize> {
    for range in run.blocks(weights.len(), TASK) {
        let range = range?;
        if let Some(index) = weights[range.clone()].iter().position(|w| w.wide() == weight) {
            return Ok(range.start + index);
        }
    }
    Ok(0)
}

/// Fills the buckets with two pointers that move forward only.
///
/// Sums are exact, so that both run out at once: as long as a bucket is not full there is a heavy
/// item to fill it.
fn sweep<U: Unit>(
    table: &mut [Bucket<U>],
    light: &[u64],
    heavy: &[u64],
    run: Run<'_>,
) -> Result<()> {
    let n = table.len();
    let quota = |table: &[Bucket<U>], item| table.get(item).map_or(U::BUCKET, |b| U::kept(*b));
    let (mut small, mut large) = (next(light, 0), next(heavy, 0));
    // What is left of the current heavy item.
    let mut left = quota(table, large);
    for done in 0..n {
        if left < U::BUCKET {
            // Its own bucket holds the rest of it, and is filled up by the next heavy item.
            let following = next(heavy, large + 1);
            let fresh = quota(table, following);
            table[large] = U::bucket(left, following);
            left = left + fresh - U::BUCKET;
            large = following;
        } else if small < n {
            let own = quota(table, small);
            table[small] = U::bucket(own, large);
            left = left + own - U::BUCKET;
            small = next(light, small + 1);
        } else {
            // No bucket is left to fill up: what is left are whole buckets.
            table[large] = U::bucket(U::quota(0.0), large);
            large = next(heavy, large + 1);
            left = quota(table, large);
        }
        if (done + 1) % TASK == 0 {
            run.check()?;
            run.advance(TASK as u64);
        }
    }
    run.advance((n % TASK) as u64);
    Ok(())
}

#[derive(Debug, Clone)]
enum Table {
    Narrow(Vec<Bucket<u32>>),
    Wide(Vec<Bucket<u64>>),
}

/// A table for draws with replacement.
///
/// ```
/// use sortes_core::weights::{AliasTable, Precision};
/// use sortes_core::{Run, rng::Stream};
///
/// let table = AliasTable::new(&[1.0, 0.0, 3.0], Precision::Auto, Run::alone())?;
/// let mut draws = [0; 1000];
/// table.sample(&mut draws, Stream::new(0), Run::alone())?;
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
    pub fn new<W: Weight>(weights: &[W], precision: Precision, run: Run<'_>) -> Result<Self> {
        let summary = Summary::of(weights, run)?;
        summary::positive_total(summary.sum)?;
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
            Table::Narrow(build(weights, &summary, run)?)
        } else {
            Table::Wide(build(weights, &summary, run)?)
        };
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
    ///
    /// # Errors
    /// If they cannot be allocated, or the work is cancelled.
    pub fn probabilities(&self, run: Run<'_>) -> Result<Vec<f64>> {
        match &self.table {
            Table::Narrow(table) => probabilities(table, run),
            Table::Wide(table) => probabilities(table, run),
        }
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// If they cannot be allocated, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        match &self.table {
            Table::Narrow(table) => {
                let mut to = Writer::with_capacity(Kind::AliasTable, 1 + table.len())?;
                to.word(0);
                let word = |&[threshold, alias]: &Bucket<u32>| {
                    u64::from(alias) << 32 | u64::from(threshold)
                };
                to.words(table.iter().map(word), run)?;
                Ok(to.finish())
            }
            Table::Wide(table) => {
                let mut to = Writer::with_capacity(Kind::AliasTable, 1 + 2 * table.len())?;
                to.word(1);
                to.words(table.as_flattened().iter().copied(), run)?;
                Ok(to.finish())
            }
        }
    }

    /// The table of these bytes.
    ///
    /// # Errors
    /// If no table has these bytes, if there is no memory for it, or if the work is cancelled.
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        let mut from = Reader::of(bytes, Kind::AliasTable, run)?;
        let wide = from.flag("its precision")?;
        let n = from.remaining() / (1 + usize::from(wide));
        let table = if wide {
            let mut words = from.words(2 * n)?;
            let mut next = || words.next().unwrap_or_default();
            let mut table = with_capacity(n, "buckets")?;
            for range in run.blocks(n, TASK) {
                table.extend(range?.map(|_| [next(), next()]));
            }
            Table::Wide(table)
        } else {
            let bucket = |word| [word as u32, (word >> 32) as u32];
            Table::Narrow(from.column(n, "buckets", run, bucket)?)
        };
        from.finish()?;
        let within = |alias: u64| alias < n as u64;
        let whole = match &table {
            Table::Narrow(table) => table.iter().all(|&[_, alias]| within(alias.into())),
            Table::Wide(table) => table.iter().all(|&[_, alias]| within(alias)),
        };
        if n == 0 || !whole { Err(corrupt("an alias is no item")) } else { Ok(Self { table }) }
    }

    /// Fills `out` with draws, the first of them draw 0 of the stream.
    ///
    /// # Errors
    /// If the work is cancelled.
    pub fn sample(&self, out: &mut [i64], stream: Stream, run: Run<'_>) -> Result<()> {
        // A word times the number of items: the bucket, and where in it.
        let split = |word: u64, n: usize| {
            let product = u128::from(word) * n as u128;
            ((product >> 64) as usize, product as u64)
        };
        match &self.table {
            Table::Narrow(table) => draw_each(out, stream, run, |words, out| {
                for (out, &word) in out.iter_mut().zip(words) {
                    let (item, place) = split(word, table.len());
                    let [threshold, alias] = table[item];
                    let own = (place >> 32) < u64::from(threshold);
                    *out = select_unpredictable(own, item as i64, i64::from(alias));
                }
            }),
            Table::Wide(table) => draw_each(out, stream, run, |words, out| {
                for (out, &word) in out.iter_mut().zip(words) {
                    let (item, place) = split(word, table.len());
                    let [threshold, alias] = table[item];
                    *out = select_unpredictable(place < threshold, item as i64, alias as i64);
                }
            }),
        }
    }
}

/// What the items of a table hold, as parts of all units.
fn probabilities<U: Unit + Into<u64>>(table: &[Bucket<U>], run: Run<'_>) -> Result<Vec<f64>> {
    let units = U::wide(U::BUCKET) as u128;
    let mut quotas = filled(table.len(), 0u128, "shares of items")?;
    for range in run.blocks(table.len(), TASK) {
        for item in range? {
            let [threshold, alias] = table[item];
            let own = u128::from(threshold.into());
            quotas[item] += own;
            quotas[alias.into() as usize] += units - own;
        }
    }
    let all = units as f64 * table.len() as f64;
    let mut out = with_capacity(table.len(), "probabilities")?;
    for range in run.blocks(table.len(), TASK) {
        out.extend(quotas[range?].iter().map(|&quota| quota as f64 / all));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table<W: Weight>(weights: &[W], precision: Precision) -> AliasTable {
        AliasTable::new(weights, precision, Run::alone()).unwrap()
    }

    fn check(weights: &[f64], precision: Precision, tolerance: f64) {
        let total: f64 = weights.iter().sum();
        let table = table(weights, precision);
        let p = table.probabilities(Run::alone()).unwrap();
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
        let p = wide.probabilities(Run::alone()).unwrap();
        assert!((p[1] - 1e-9 / (1.0 + 1e-9)).abs() < 1e-19);
        assert!(p[2] == 0.0 && p[3] > 0.0);
    }

    #[test]
    fn bytes_carry_the_table() {
        let run = Run::alone();
        for precision in [Precision::Narrow, Precision::Wide] {
            let table = table(&[1.0, 0.0, 3.0, 0.25], precision);
            let again = AliasTable::from_bytes(&table.to_bytes(run).unwrap(), run).unwrap();
            assert_eq!(again.precision(), precision);
            assert_eq!(again.probabilities(run), table.probabilities(run));
        }
        let head = &table(&[1.0], Precision::Narrow).to_bytes(run).unwrap()[..16];
        let (head, _) = head.as_chunks::<8>();
        for body in [&[0][..], &[1], &[2, 0], &[1, 0], &[0, 2 << 32, 0], &[1, 0, 0, 0, 2]] {
            let words = head.iter().map(|word| u64::from_le_bytes(*word));
            let words: Vec<u64> = words.chain(body.iter().copied()).collect();
            let bytes = crate::bytes::seal(&words);
            assert!(AliasTable::from_bytes(&bytes, run).is_err(), "{body:?}");
        }
    }

    #[test]
    fn huge_and_tiny_totals() {
        for scale in [1e-310, 1e-300, 1e300] {
            let weights: Vec<f64> = [1.0, 2.0, 3.0, 4.0].map(|w| w * scale).to_vec();
            let p = table(&weights, Precision::Auto).probabilities(Run::alone()).unwrap();
            for (i, p) in p.iter().enumerate() {
                assert!((p - (i + 1) as f64 / 10.0).abs() < 1e-9, "{scale}");
            }
        }
    }
}
