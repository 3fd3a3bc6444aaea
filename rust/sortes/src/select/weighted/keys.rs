//! Distinct items, drawn one after the other in proportion to what is left.
//!
//! Item `i` gets the key `E_i / w_i` with a standard exponential `E_i`: the time at which it comes
//! up if items wait for their turn at rates `w_i`. The `k` smallest keys, in increasing order, are
//! `k` draws without replacement (Efraimidis and Spirakis, "Weighted random sampling with a
//! reservoir", Information Processing Letters 97, 2006). A key knows nothing of `k`, so that the
//! first `j` items of a sample are the sample of size `j`.

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Purpose, Stream, bulk, elementary};
use sortes_core::weights::{self, Weight, summary_of};
use sortes_core::{Error, Result, vectorised};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Items that are looked at together: few, so that the processor fetches the next weights from memory
/// while the noise of these is computed.
const BLOCK: usize = 256;
/// Items of one task, at least.
const TASK: usize = 1 << 14;

/// Weights for which a quotient of an exponential is a normal number.
const PLAIN: std::ops::RangeInclusive<f64> = 1e-300..=1e285;

/// An item and its key. Smaller keys come first, and among equal ones the lower index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keyed {
    /// The key.
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
pub(super) struct Smallest {
    k: usize,
    items: Vec<Keyed>,
    /// No item with a larger key is among the `k` smallest.
    threshold: f64,
}

impl Smallest {
    fn new(k: usize) -> Self {
        Self { k, items: Vec::new(), threshold: f64::INFINITY }
    }

    #[inline]
    fn offer(&mut self, key: f64, index: usize) {
        if key <= self.threshold && key < f64::INFINITY {
            self.items.push(Keyed { key, index });
            // Half of what is held is thrown away, at a cost of a few operations each.
            if self.items.len() >= 2 * self.k.max(32) {
                self.prune();
            }
        }
    }

    fn prune(&mut self) {
        if self.k > 0 && self.items.len() > self.k {
            let (_, last, _) = self.items.select_nth_unstable_by(self.k - 1, Keyed::order);
            self.threshold = last.key;
        }
        self.items.truncate(self.k);
    }

    fn into_sorted(mut self) -> Vec<Keyed> {
        self.prune();
        self.items.sort_unstable_by(Keyed::order);
        self.items
    }
}

/// Runs `scan` over all items in blocks, on as many threads as there are, and gathers the `k`
/// smallest keys. Which these are does not depend on who found them.
pub(super) fn smallest(
    n: usize,
    k: usize,
    threads: Threads<'_>,
    cancel: &Cancel,
    scan: impl Fn(std::ops::Range<usize>, &mut Smallest) + Sync + Send,
) -> Result<Vec<Keyed>> {
    let k = k.min(n);
    let part = n.div_ceil(threads.count()).next_multiple_of(BLOCK).max(TASK);
    let all = Mutex::new(Smallest::new(k));
    threads.for_each(n.div_ceil(part), |task| {
        let mut mine = Smallest::new(k);
        let end = n.min((task + 1) * part);
        for first in (task * part..end).step_by(BLOCK) {
            if cancel.is_cancelled() {
                return;
            }
            let block = first..end.min(first + BLOCK);
            cancel.advance(block.len() as u64);
            scan(block, &mut mine);
        }
        all.lock().unwrap_or_else(PoisonError::into_inner).items.append(&mut mine.items);
    });
    cancel.check()?;
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner).into_sorted())
}

/// The `k` items drawn first, in the order in which they are drawn; fewer if fewer weights are
/// positive.
///
/// # Errors
/// If a weight is negative or not finite, or if the work is cancelled.
pub fn successive<W: Weight>(
    weights: &[W],
    k: usize,
    stream: Stream,
    step: u32,
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Vec<Keyed>> {
    let (invalid, extreme) = (AtomicBool::new(false), AtomicBool::new(false));
    let found = smallest(weights.len(), k, threads, cancel, |items, found| {
        let block = &weights[items.clone()];
        if !all_plain(block) {
            let out = if summary_of(block).valid { &extreme } else { &invalid };
            out.store(true, Ordering::Relaxed);
        }
        let ids = bulk::Ids::From(stream.at_step(step), items.start as u64);
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
            for (word, bits) in passing.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let place = word * 64 + bits.trailing_zeros() as usize;
                    let key = elementary::exponential(noise[place]) / block[place].wide();
                    found.offer(key, items.start + place);
                    bits &= bits - 1;
                }
            }
        }
    })?;
    if invalid.into_inner() {
        return Err(weights::fault(weights));
    }
    if !extreme.into_inner() {
        return Ok(found);
    }
    // Quotients would leave the range of doubles: take their logarithms, in a second pass.
    cancel.expect(2 * weights.len() as u64);
    smallest_logs(weights.len(), k, stream, step, threads, cancel, |i| {
        elementary::ln_any(weights[i].wide())
    })
}

/// The weight, without the sign that a zero may have: one over it is to be plus infinity.
#[inline(always)]
fn magnitude<W: Weight>(weight: W) -> f64 {
    weight.wide().abs()
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

    /// Whether all weights are zero or in the range that quotients allow.
    fn all_plain<W: Weight>(block: &[W]) -> bool {
        let odd = |w: f64| u64::from(w != 0.0) & u64::from(!PLAIN.contains(&w));
        block.iter().fold(0, |any, w| any | odd(w.wide())) == 0
    }
}

/// As [`successive`], from the logarithms of the weights; the keys are logarithms too. Items whose
/// log weight is minus infinity are left out.
pub(super) fn smallest_logs(
    n: usize,
    k: usize,
    stream: Stream,
    step: u32,
    threads: Threads<'_>,
    cancel: &Cancel,
    log_weight: impl Fn(usize) -> f64 + Sync + Send,
) -> Result<Vec<Keyed>> {
    smallest(n, k, threads, cancel, |items, found| {
        let mut noise = [0.0; BLOCK];
        let noise = &mut noise[..items.len()];
        let ids = bulk::Ids::From(stream.at_step(step), items.start as u64);
        bulk::log_exponentials(Purpose::Item, ids, noise);
        for (e, index) in noise.iter().zip(items) {
            found.offer(e - log_weight(index), index);
        }
    })
}

/// The `k` items of smallest `-noise - log_weight`, in order: the draw that given Gumbel noise
/// stands for.
pub(super) fn smallest_given(
    noise: &[f64],
    k: usize,
    log_weight: impl Fn(usize) -> f64 + Sync + Send,
) -> Result<Vec<Keyed>> {
    smallest(noise.len(), k, Threads::SERIAL, &Cancel::default(), |items, found| {
        for index in items {
            found.offer(-noise[index] - log_weight(index), index);
        }
    })
}

/// Writes the key of every item: `E / w`, infinite for zero weights, or with `log` (the weights
/// being logarithms) `ln E - log w`.
///
/// # Errors
/// If a weight is negative or not finite (with `log`, NaN or plus infinity), or if the work is
/// cancelled.
pub fn keys<W: Weight>(
    weights: &[W],
    log: bool,
    stream: Stream,
    step: u32,
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let mut out = vec![0.0; weights.len()];
    let invalid = AtomicBool::new(false);
    threads.fill_chunks(&mut out, TASK, |task, out| {
        if cancel.is_cancelled() {
            return;
        }
        let first = task * TASK;
        let ids = bulk::Ids::From(stream.at_step(step), first as u64);
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
        cancel.advance(out.len() as u64);
    });
    cancel.check()?;
    match invalid.into_inner() {
        false => Ok(out),
        true if log => {
            let allowed = |w: &W| w.wide() < f64::INFINITY;
            let index = weights.iter().position(|w| !allowed(w)).unwrap_or(0);
            let what = if weights[index].wide().is_nan() { "nan" } else { "inf" };
            Err(Error::argument("weights", format!("item {index} is not finite: {what}")))
        }
        true => Err(weights::fault(weights)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential_of(stream: Stream, step: u32, item: u64) -> f64 {
        stream.at_step(step).draws(Purpose::Item, item).exponential()
    }

    fn plain(weights: &[f64], stream: Stream) -> Vec<Keyed> {
        let mut all: Vec<Keyed> = weights
            .iter()
            .enumerate()
            .filter(|(_, w)| **w > 0.0)
            .map(|(index, w)| Keyed { key: exponential_of(stream, 3, index as u64) / w, index })
            .collect();
        all.sort_by(Keyed::order);
        all
    }

    #[test]
    fn the_smallest_keys_are_found() {
        let stream = Stream::new(1);
        for n in [0, 1, 50, 1024, 1025, 60_000] {
            let weights: Vec<f64> =
                (0..n).map(|i| f64::from(i * 7919 % 11) * 2f64.powi(i % 50)).collect();
            let expected = plain(&weights, stream);
            for k in [0, 1, 2, 10, 1000, 59_999, 60_000] {
                let got = successive(&weights, k, stream, 3, Threads::SERIAL, &Cancel::default())
                    .unwrap();
                assert_eq!(got, expected[..k.min(expected.len())], "n = {n}, k = {k}");
            }
        }
    }

    #[test]
    fn minus_zero_is_zero() {
        let (one, never) = (Threads::SERIAL, Cancel::default());
        let weights = [-0.0, 1.0, 0.0, 2.0];
        let got = successive(&weights, 4, Stream::new(1), 3, one, &never).unwrap();
        assert_eq!(got, plain(&weights, Stream::new(1)));
        let keys = keys(&weights, false, Stream::new(1), 3, one, &never).unwrap();
        assert_eq!([keys[0], keys[2]], [f64::INFINITY; 2]);
    }

    #[test]
    fn logarithms_serve_where_quotients_cannot() {
        let mut weights = vec![1e-310, 1e300, 1e-310, 0.0, f64::MAX, f64::from_bits(1)];
        weights.resize(weights.len() + 3000, 1.0);
        let (one, never) = (Threads::SERIAL, Cancel::default());
        let got = successive(&weights, 5000, Stream::new(4), 0, one, &never).unwrap();
        assert_eq!(got.len(), weights.len() - 1);
        assert_eq!(got[0].index, 4);
        assert_eq!(got[1].index, 1);
        assert_eq!(got[3004].index, 5);
        // The order of the others is that of their quotients.
        let ones: Vec<usize> = got[2..3002].iter().map(|item| item.index).collect();
        let mut expected = ones.clone();
        expected.sort_by(|&a, &b| {
            let e = |i| exponential_of(Stream::new(4), 0, i as u64);
            e(a).total_cmp(&e(b))
        });
        assert_eq!(ones, expected);
    }
}
