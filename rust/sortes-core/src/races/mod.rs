//! Races of exponentials: distinct items, drawn one after the other in proportion to what is left.
//!
//! Item `i` gets the key `E_i / w_i` with a standard exponential `E_i`: the time at which it comes
//! up if items wait for their turn at rates `w_i`. The `k` smallest keys, in increasing order, are
//! `k` draws without replacement (Efraimidis and Spirakis, "Weighted random sampling with a
//! reservoir", Information Processing Letters 97, 2006). A key knows nothing of `k`, so that the
//! first `j` items of a sample are the sample of size `j`. The negative logarithm of a key is a
//! Gumbel variable at `ln w_i`: the Gumbel top-k trick is the same race (Kool, van Hoof and Welling,
//! "Stochastic beams and where to find them", ICML 2019, arXiv:1903.06059).
//!
//! | function | keys | from |
//! |---|---|---|
//! | [`successive`] | the `k` smallest | weights |
//! | [`Noise::successive`] | the `k` smallest, as logarithms | logarithms, and noise of a stream or given |
//! | [`keys`] | all | either |
//! | [`first_of_blocks`], [`first_of_listed`] | the smallest | weights of items that share a sequence |
//!
//! The exponential of item `i` is that of entity `i` ([`Purpose::Item`]) at the step of the stream.

mod shared;

pub use shared::{first_of_blocks, first_of_listed};

use std::f64::consts::LN_2;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::shown;
use crate::memory::{reserve, zeroed};
use crate::order::{descending, select_nth, sort};
use crate::rng::{Purpose, Stream, bulk, elementary};
use crate::weights::{self, Weight, summary_of};
use crate::{Error, Result, Run, vectorised};

/// Items that are looked at together: few, so that the processor fetches the next weights from memory
/// while the noise of these is computed.
const BLOCK: usize = 256;
/// Items of one task, at least.
const TASK: usize = 1 << 14;
/// At least this many items are held before the larger half of them is dropped.
const HELD: usize = 64;

/// Weights for which a quotient of an exponential is a normal number.
const PLAIN: std::ops::RangeInclusive<f64> = 1e-300..=1e285;

/// An item and its key. Smaller keys come first, and among equal ones the lower index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keyed {
    /// The key, or its logarithm.
    pub key: f64,
    /// The index of the item.
    pub index: usize,
}

impl Keyed {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.key.total_cmp(&other.key).then(self.index.cmp(&other.index))
    }
}

/// The `k` items of smallest key among those offered.
#[derive(Debug)]
struct Smallest {
    k: usize,
    items: Vec<Keyed>,
    /// No item with a larger key is among the `k` smallest.
    threshold: f64,
}

impl Smallest {
    fn new(k: usize) -> Self {
        Self { k, items: Vec::new(), threshold: f64::INFINITY }
    }

    /// Takes an item in, for which there is memory.
    #[inline]
    fn offer(&mut self, key: f64, index: usize) {
        if key <= self.threshold && key < f64::INFINITY {
            self.items.push(Keyed { key, index });
        }
    }

    /// Drops all but the `k` smallest: half of what is held, at a cost of a few operations each.
    fn prune(&mut self, run: Run<'_>) -> Result<()> {
        if self.k > 0 && self.items.len() > self.k {
            select_nth(&mut self.items, self.k - 1, Keyed::order, run)?;
            self.threshold = self.items[self.k - 1].key;
        }
        self.items.truncate(self.k);
        Ok(())
    }
}

/// Runs `scan` over all items in blocks, on as many threads as there are, and gathers the `k`
/// smallest keys in order. Which these are does not depend on who found them.
fn smallest(
    n: usize,
    k: usize,
    run: Run<'_>,
    scan: impl Fn(Range<usize>, &mut Smallest) + Sync + Send,
) -> Result<Vec<Keyed>> {
    let k = k.min(n);
    let part = n.div_ceil(run.threads.count()).next_multiple_of(BLOCK).max(TASK);
    let all = Mutex::new(Smallest::new(k));
    run.try_for_each(n.div_ceil(part), |task| {
        let mut mine = Smallest::new(k);
        let first = task * part;
        for range in run.blocks(part.min(n - first), BLOCK) {
            let range = range?;
            let len = range.len();
            reserve(&mut mine.items, len, "items of a sample")?;
            scan(first + range.start..first + range.end, &mut mine);
            if mine.items.len() >= HELD.max(2 * k) {
                mine.prune(run)?;
            }
            run.advance(len as u64);
        }
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        reserve(&mut all.items, mine.items.len(), "items of a sample")?;
        all.items.append(&mut mine.items);
        Ok(())
    })?;
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.prune(run)?;
    sort(&mut all.items, Keyed::order, run)?;
    Ok(all.items)
}

/// The `k` items drawn first, in the order in which they are drawn; fewer if fewer weights are
/// positive.
///
/// # Errors
/// If a weight is negative or not finite, if there is no memory, or if the work is cancelled.
///
/// ```
/// use sortes_core::{Run, races, rng::Stream};
///
/// let found = races::successive(&[5.0, 0.0, 1.0], 3, Stream::new(0), Run::alone())?;
/// assert_eq!(found.len(), 2);
/// assert!(found[0].key < found[1].key);
/// # Ok::<(), sortes_core::Error>(())
/// ```
pub fn successive<W: Weight>(
    weights: &[W],
    k: usize,
    stream: Stream,
    run: Run<'_>,
) -> Result<Vec<Keyed>> {
    let (invalid, extreme) = (AtomicBool::new(false), AtomicBool::new(false));
    let found = smallest(weights.len(), k, run, |items, found| {
        let block = &weights[items.clone()];
        if !all_plain(block) {
            let out = if summary_of(block).valid { &extreme } else { &invalid };
            out.store(true, Ordering::Relaxed);
        }
        let ids = bulk::Ids::From(stream, items.start as u64);
        let mut noise = [0.0; BLOCK];
        let noise = &mut noise[..block.len()];
        if found.threshold == f64::INFINITY {
            bulk::exponentials(Purpose::Item, ids, noise);
            for ((&e, &weight), index) in noise.iter().zip(block).zip(items) {
                found.offer(e / magnitude(weight), index);
            }
        } else {
            // E = -ln(1 - u) >= u, so that u <= threshold * w is necessary for a key below the
            // threshold, and nearly sufficient where few items pass. It costs no logarithm.
            bulk::precise_uniforms(Purpose::Item, ids, noise);
            let bound = found.threshold * (1.0 + 4.0 * f64::EPSILON);
            let mut passing = [0; BLOCK / 64];
            let passing = &mut passing[..block.len().div_ceil(64)];
            below(noise, block, bound, passing);
            for_each_set(passing, |i| {
                let key = elementary::exponential(noise[i]) / block[i].wide();
                found.offer(key, items.start + i);
            });
        }
    })?;
    if invalid.into_inner() {
        return Err(weights::fault(weights, run));
    }
    if !extreme.into_inner() {
        return Ok(found);
    }
    // Quotients would leave the range of doubles: take their logarithms, in a second pass.
    run.expect(2 * weights.len() as u64);
    let log_weight = |i: usize| elementary::ln_any(weights[i].wide());
    Noise::Stream(stream).successive(weights.len(), k, log_weight, run)
}

/// The weight, without the sign that a zero may have: one over it must be plus infinity.
#[inline(always)]
fn magnitude<W: Weight>(weight: W) -> f64 {
    weight.wide().abs()
}

/// Calls `take` with the index of every bit that is set.
#[inline(always)]
fn for_each_set(bits: &[u64], mut take: impl FnMut(usize)) {
    for (word, bits) in bits.iter().enumerate() {
        let mut left = *bits;
        while left != 0 {
            take(word * 64 + left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
}

/// A number at most `log2(u)` of a positive, normal `u`, and no more than 0.09 less.
#[inline(always)]
fn log2_below(u: f64) -> f64 {
    // Read as an integer, the bits of a float are its logarithm, with a straight line from each power
    // of two to the next. Those of 2^52 before them make a float of the integer.
    const TWO_52: f64 = (1_u64 << 52) as f64;
    let bits = f64::from_bits(TWO_52.to_bits() | u.to_bits() >> 20) - TWO_52;
    bits / (1_u64 << 32) as f64 - 1023.0
}

vectorised! {
    /// Sets the bits of the items with `u <= bound * w`.
    fn below<W: Weight>(us: &[f64], ws: &[W], bound: f64, bits: &mut [u64]) {
        for ((us, ws), word) in us.chunks(64).zip(ws.chunks(64)).zip(bits) {
            let mut lane = 1;
            for (u, w) in us.iter().zip(ws) {
                *word |= if *u <= bound * w.wide() { lane } else { 0 };
                lane = u64::wrapping_shl(lane, 1);
            }
        }
    }

    /// Sets the bits of the items with `u <= exp(bound + log weight)`, and of few others.
    fn below_log(us: &[f64], logs: &[f64], bound: f64, bits: &mut [u64]) {
        for ((us, logs), word) in us.chunks(64).zip(logs.chunks(64)).zip(bits) {
            let mut lane = 1;
            for (u, log) in us.iter().zip(logs) {
                *word |= if log2_below(*u) * LN_2 <= bound + log { lane } else { 0 };
                lane = u64::wrapping_shl(lane, 1);
            }
        }
    }

    /// Whether all weights are zero or in the range that quotients allow.
    fn all_plain<W: Weight>(block: &[W]) -> bool {
        let extreme = |w: f64| u64::from(w != 0.0) & u64::from(!PLAIN.contains(&w));
        block.iter().fold(0, |any, w| any | extreme(w.wide())) == 0
    }
}

/// Where the Gumbel noise of a race comes from.
#[derive(Debug, Clone, Copy)]
pub enum Noise<'a> {
    /// The keys of the items of a stream.
    Stream(Stream),
    /// Given values, one per item.
    Given(&'a [f64]),
}

impl Noise<'_> {
    /// Refuses noise that is not one finite number for each of `n` items.
    ///
    /// # Errors
    /// In that case, or if the work is cancelled.
    pub fn check(self, n: usize, run: Run<'_>) -> Result<()> {
        let Self::Given(noise) = self else { return Ok(()) };
        if noise.len() != n {
            let (expected, got) = (format!("({n},)"), format!("({},)", noise.len()));
            return Err(Error::Shape { name: "noise", expected, got });
        }
        for range in run.blocks(n, TASK) {
            for index in range? {
                if !noise[index].is_finite() {
                    return Err(Error::item("noise", index, "(-inf, inf)", shown(noise[index])));
                }
            }
        }
        Ok(())
    }

    /// As [`successive`], of `n` items from the logarithms of their weights; the keys are logarithms
    /// too: `-noise - log_weight`. Items whose log weight is minus infinity are left out.
    ///
    /// # Errors
    /// If there is no memory, or the work is cancelled.
    pub fn successive(
        self,
        n: usize,
        k: usize,
        log_weight: impl Fn(usize) -> f64 + Sync + Send,
        run: Run<'_>,
    ) -> Result<Vec<Keyed>> {
        smallest(n, k, run, |items, found| {
            let (mut logs, mut noise) = ([0.0; BLOCK], [0.0; BLOCK]);
            let (logs, noise) = (&mut logs[..items.len()], &mut noise[..items.len()]);
            for (log, index) in logs.iter_mut().zip(items.clone()) {
                *log = log_weight(index);
            }
            match self {
                Self::Stream(stream) if found.threshold < f64::INFINITY => {
                    // As above: u <= exp(threshold + log weight) is necessary, now by a bound of the
                    // logarithm of u; and a little more, which roundings of keys may be worth.
                    let ids = bulk::Ids::From(stream, items.start as u64);
                    bulk::precise_uniforms(Purpose::Item, ids, noise);
                    let bound = found.threshold + found.threshold.abs() * f64::EPSILON + 1e-9;
                    let mut passing = [0; BLOCK / 64];
                    let passing = &mut passing[..logs.len().div_ceil(64)];
                    below_log(noise, logs, bound, passing);
                    for_each_set(passing, |i| {
                        let e = elementary::ln(elementary::exponential(noise[i]));
                        found.offer(e - logs[i], items.start + i);
                    });
                }
                _ => {
                    self.write_negative(items.start, noise);
                    for ((e, log), index) in noise.iter().zip(logs).zip(items) {
                        found.offer(e - *log, index);
                    }
                }
            }
        })
    }

    /// Writes the noise of the items from `first` on, with the other sign: the logarithms of
    /// exponentials.
    pub fn write_negative(self, first: usize, out: &mut [f64]) {
        match self {
            Self::Stream(stream) => {
                bulk::log_exponentials(Purpose::Item, bulk::Ids::From(stream, first as u64), out);
            }
            Self::Given(noise) => {
                for (out, noise) in out.iter_mut().zip(&noise[first..]) {
                    *out = -noise;
                }
            }
        }
    }
}

/// Up to here log weights leave the noise its precision.
pub const LARGE: f64 = 1e6;
/// More than the largest difference of noise: the logarithm of an exponential of a stream lies
/// between -45.1 and 3.7.
const GAP: f64 = 64.0;

/// Where log weights are so large that adding noise to them would lose it, moves them to zero and
/// closes the gaps between them, as far as no noise bridges them: every draw comes out as it would
/// in exact arithmetic, and equal items remain equally likely.
///
/// # Errors
/// If there is no memory, or the work is cancelled.
pub fn close_gaps(log_weights: &mut [f64], run: Run<'_>) -> Result<()> {
    let mut large = false;
    for range in run.blocks(log_weights.len(), TASK) {
        let logs = &log_weights[range?];
        large |= logs.iter().any(|log| log.abs() > LARGE && log.is_finite());
    }
    if !large {
        return Ok(());
    }
    let order = descending(log_weights, run)?;
    let (mut before, mut moved) = (order[0].0, 0.0);
    for range in run.blocks(order.len(), TASK) {
        for &(log, item) in &order[range?] {
            moved -= (before - log).min(GAP);
            before = log;
            log_weights[item] = moved;
        }
    }
    Ok(())
}

/// The key of every item: `E / w`, infinite for zero weights, or with `log` (the weights being
/// logarithms) `ln E - log w`.
///
/// # Errors
/// If a weight is negative or not finite (with `log`, NaN or plus infinity), if there is no memory,
/// or if the work is cancelled.
pub fn keys<W: Weight>(weights: &[W], log: bool, stream: Stream, run: Run<'_>) -> Result<Vec<f64>> {
    let mut out = zeroed(weights.len(), "keys")?;
    let invalid = AtomicBool::new(false);
    run.fill_chunks(&mut out, TASK, |task, out| {
        let first = task * TASK;
        let ids = bulk::Ids::From(stream, first as u64);
        let weights = &weights[first..first + out.len()];
        let valid = if log {
            bulk::log_exponentials(Purpose::Item, ids, out);
            for (key, weight) in out.iter_mut().zip(weights) {
                *key -= weight.wide();
            }
            weights.iter().all(|w| w.wide() < f64::INFINITY)
        } else {
            bulk::exponentials(Purpose::Item, ids, out);
            for (key, weight) in out.iter_mut().zip(weights) {
                *key /= magnitude(*weight);
            }
            summary_of(weights).valid
        };
        if !valid {
            invalid.store(true, Ordering::Relaxed);
        }
        run.advance(out.len() as u64);
    })?;
    match invalid.into_inner() {
        false => Ok(out),
        true if log => Err(log_fault(weights)),
        true => Err(weights::fault(weights, run)),
    }
}

/// The error that names the first log weight that is NaN or plus infinity.
fn log_fault<W: Weight>(weights: &[W]) -> Error {
    let refused = |w: &W| w.wide().is_nan() || w.wide() == f64::INFINITY;
    let index = weights.iter().position(refused).unwrap_or(0);
    let value = weights.get(index).map_or(f64::NAN, |w| w.wide());
    Error::item("weights", index, "[-inf, inf)", shown(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential_of(stream: Stream, item: u64) -> f64 {
        stream.draws(Purpose::Item, item).exponential()
    }

    fn plain(weights: &[f64], stream: Stream) -> Vec<Keyed> {
        let mut all: Vec<Keyed> = weights
            .iter()
            .enumerate()
            .filter(|(_, w)| **w > 0.0)
            .map(|(index, w)| Keyed { key: exponential_of(stream, index as u64) / w, index })
            .collect();
        all.sort_by(Keyed::order);
        all
    }

    #[test]
    fn the_smallest_keys_are_found() {
        let stream = Stream::new(1).at_step(3);
        for n in [0, 1, 50, 1024, 1025, 60_000] {
            let weights: Vec<f64> =
                (0..n).map(|i| f64::from(i * 7919 % 11) * 2f64.powi(i % 50)).collect();
            let expected = plain(&weights, stream);
            for k in [0, 1, 2, 10, 1000, 59_999, 60_000] {
                let got = successive(&weights, k, stream, Run::alone()).unwrap();
                assert_eq!(got, expected[..k.min(expected.len())], "n = {n}, k = {k}");
            }
        }
    }

    #[test]
    fn minus_zero_is_zero() {
        let weights = [-0.0, 1.0, 0.0, 2.0];
        let got = successive(&weights, 4, Stream::new(1), Run::alone()).unwrap();
        assert_eq!(got, plain(&weights, Stream::new(1)));
        let keys = keys(&weights, false, Stream::new(1), Run::alone()).unwrap();
        assert_eq!([keys[0], keys[2]], [f64::INFINITY; 2]);
    }

    #[test]
    fn a_bound_of_the_logarithm_is_one() {
        let mut draws = Stream::new(7).draws(Purpose::Uniform, 0);
        let powers = (-70..0)
            .flat_map(|e| [1.0, 1.0 + f64::EPSILON, 2.0 - f64::EPSILON].map(|m| m * 2f64.powi(e)));
        for u in powers.chain((0..10_000).map(|_| draws.uniform().max(1e-20))) {
            let gap = u.log2() - log2_below(u);
            assert!((-1e-13..0.09).contains(&gap), "{u}: {gap}");
        }
    }

    #[test]
    fn the_smallest_keys_of_logarithms_are_found() {
        for (scale, n) in [(0.0, 3000), (1.0, 40_000), (3e4, 40_000)] {
            let stream = Stream::new(8).at_step(n);
            let mut logs: Vec<f64> = (0..n).map(|i| scale * f64::from(i * 7919 % 101)).collect();
            logs[5] = f64::NEG_INFINITY;
            let mut noise = vec![0.0; logs.len()];
            Noise::Stream(stream).write_negative(0, &mut noise);
            let keys = noise.iter().zip(&logs).map(|(e, log)| e - log);
            let mut expected: Vec<Keyed> =
                keys.enumerate().map(|(index, key)| Keyed { key, index }).collect();
            expected.sort_by(Keyed::order);
            expected.pop();
            for k in [0, 1, 64, 500, logs.len()] {
                let log_weight = |i: usize| logs[i];
                let got = Noise::Stream(stream)
                    .successive(logs.len(), k, log_weight, Run::alone())
                    .unwrap();
                assert_eq!(got, expected[..k.min(expected.len())], "{scale}, k = {k}");
            }
        }
    }

    #[test]
    fn logarithms_serve_where_quotients_cannot() {
        let mut weights = vec![1e-310, 1e300, 1e-310, 0.0, f64::MAX, f64::from_bits(1)];
        weights.resize(weights.len() + 3000, 1.0);
        let got = successive(&weights, 5000, Stream::new(4), Run::alone()).unwrap();
        assert_eq!(got.len(), weights.len() - 1);
        assert_eq!(got[0].index, 4);
        assert_eq!(got[1].index, 1);
        assert_eq!(got[3004].index, 5);
        // The order of the others is that of their quotients.
        let ones: Vec<usize> = got[2..3002].iter().map(|item| item.index).collect();
        let mut expected = ones.clone();
        expected.sort_by(|&a, &b| {
            let e = |i| exponential_of(Stream::new(4), i as u64);
            e(a).total_cmp(&e(b))
        });
        assert_eq!(ones, expected);
    }
}
