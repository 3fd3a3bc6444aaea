//! The beginning of a long batch, by a bound that a sample of its weights gives.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicUsize, Ordering as Memory};
use std::sync::{Mutex, PoisonError};

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::order::select_nth;
use sortes_core::{Result, Run};

use super::super::PIECE;
use super::super::batch::Batch;
use super::super::ids::each_once;
use super::{Entry, ITEMS, Rank, Ranked, rate};

/// A beginning is at most this many times as long as the buffer.
pub(super) const BEGINNING: usize = 8;
/// Weights that say where its bound lies, and attempts at one.
pub(super) const SAMPLE: usize = 2048;
const STEPS: usize = 8;

impl<R: Rank> Ranked<R> {
    /// Takes in the beginning of a batch at once, where the sketch is empty and the batch long: a
    /// sample of the weights says below which bound there will be more items than are held, so that
    /// most need no logarithm. Returns how many items it took: none where the sample was wrong.
    pub(super) fn begin(&mut self, batch: &Batch<'_>, run: Run<'_>) -> Result<usize> {
        let (k, capacity) = (self.header.k, self.capacity());
        let many = batch.len().min(capacity.saturating_mul(BEGINNING));
        if !self.entries.is_empty() || many < 2 * capacity {
            return Ok(0);
        }
        let Some(bound) = self.guess(batch, many) else { return Ok(0) };

        // 1. Those below the bound, as long as there is room for them.
        let mut slots: Vec<Mutex<Vec<Entry>>> = with_capacity(many.div_ceil(PIECE), ITEMS)?;
        slots.resize_with(many.div_ceil(PIECE), Mutex::default);
        let (this, count) = (&*self, AtomicUsize::new(0));
        run.try_for_each(slots.len(), |piece| {
            if count.load(Memory::Relaxed) > capacity {
                return Ok(());
            }
            let (from, to) = (piece * PIECE, many.min((piece + 1) * PIECE));
            let mut found = slots[piece].lock().unwrap_or_else(PoisonError::into_inner);
            this.candidates(batch, (from, to), from as u64, bound, &mut found)?;
            count.fetch_add(found.len(), Memory::Relaxed);
            Ok(())
        })?;
        let found = count.into_inner();
        if found <= k || found > capacity {
            return Ok(0);
        }
        let mut entries = Vec::new();
        reserve(&mut entries, found, ITEMS)?;
        for slot in slots {
            entries.append(&mut slot.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        if self.header.counters.coordinated() {
            let is_before = |a: &Entry, b: &Entry| a.order(b) == Ordering::Less;
            each_once(&mut entries, |entry| entry.item.id, is_before, run)?;
            if entries.len() <= k {
                return Ok(0);
            }
        }

        // 2. The least of them. All items that were passed over have larger keys than the bound.
        select_nth(&mut entries, k, Entry::order, run)?;
        if entries[k].key > bound {
            return Ok(0);
        }
        entries.truncate(k + 1);
        self.bound = Some(entries[k]);
        self.entries = entries;
        self.header.count(many as u64);
        run.advance(many as u64);
        Ok(many)
    }

    /// A bound that a few more than `k + 1` of the first `many` items have keys below, as far as a
    /// sample of the weights can tell.
    fn guess(&self, batch: &Batch<'_>, many: usize) -> Option<f64> {
        let mut weights = [0.0; SAMPLE];
        for (i, weight) in weights.iter_mut().enumerate() {
            batch.weights_into(sampled(i, many), std::slice::from_mut(weight));
        }
        // The share of the items below a bound, less what the sample may be wrong by.
        let share = |bound: f64| {
            let (mut sum, mut squares) = (0.0, 0.0);
            for &weight in weights.iter().filter(|&&weight| weight > 0.0) {
                let p = R::inclusion(rate(weight), bound);
                sum += p;
                squares += p * p;
            }
            let mean = sum / SAMPLE as f64;
            let variance = squares / SAMPLE as f64 - mean * mean;
            mean - 3.0 * (variance.max(0.0) / SAMPLE as f64).sqrt()
        };
        let wanted = (self.header.k + 1) as f64;
        let wanted = (wanted + 4.0 * wanted.sqrt()) / many as f64;
        let mut bound = wanted * SAMPLE as f64 / weights.iter().sum::<f64>();
        for _ in 0..STEPS {
            let found = share(bound);
            if (wanted..1.1 * wanted).contains(&found) {
                return Some(bound);
            }
            // It grows more slowly than the bound.
            bound *= (1.04 * wanted / found.max(0.1 * wanted)).powf(1.2);
        }
        None
    }
}

/// The place of sampled weight `i` among the first `many`: spread evenly, without an overflow.
pub(super) fn sampled(i: usize, many: usize) -> usize {
    (i as u128 * many as u128 / SAMPLE as u128) as usize
}
