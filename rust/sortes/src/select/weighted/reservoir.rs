//! Distinct items from a stream of unknown length, in memory for `k`.

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Draws, Purpose, Stream, elementary};
use sortes_core::weights::{self, Summary, Weight};
use sortes_core::{Error, Result};
use std::collections::BinaryHeap;

/// An update of more items can be cancelled: a copy of the reservoir costs little beside it.
const LONG: usize = 1 << 20;
/// Items between two looks at the stop request.
const PIECE: usize = 1 << 16;

/// An item and its key, the largest key first.
#[derive(Debug, Clone, Copy)]
struct Held {
    key: f64,
    id: i64,
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.total_cmp(&other.key).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

/// A reservoir with exponential jumps (A-ExpJ; Efraimidis and Spirakis, "Weighted random sampling
/// with a reservoir", Information Processing Letters 97, 2006).
///
/// It holds the `k` smallest keys `E / w` so far. While the largest of them is `t`, an item of weight
/// `w` gets in with probability `1 - exp(-t w)`; so the weight that passes before the next item gets
/// in is exponential with rate `t`, and is drawn at once. The item on which it ends gets a key below
/// `t`. Of `n` items some `k ln(n / k)` need randomness; the others cost one subtraction.
///
/// Draws are numbered by what happens: the `c`-th item that gets in, or jump, reads entity `c`
/// (`Purpose::Reservoir`, step 0). The sample therefore does not depend on how the stream is cut
/// into pieces.
#[derive(Debug, Clone)]
pub struct Reservoir {
    k: usize,
    stream: Stream,
    held: BinaryHeap<Held>,
    /// The weight that has still to pass before an item gets in, once the reservoir is full.
    skip: f64,
    /// The next entity, or the one of the jump under way.
    event: u64,
    seen: u64,
}

/// All that a reservoir knows, to be kept and restored.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The size of the sample.
    pub k: usize,
    /// The key of the stream.
    pub key: u64,
    /// The weight that has still to pass.
    pub skip: f64,
    /// The number of the event under way.
    pub event: u64,
    /// Items seen so far.
    pub seen: u64,
    /// The keys held, in increasing order.
    pub keys: Vec<f64>,
    /// Their items.
    pub ids: Vec<i64>,
}

impl Reservoir {
    /// An empty reservoir for `k` items.
    pub fn new(k: usize, stream: Stream) -> Self {
        Self { k, stream, held: BinaryHeap::new(), skip: f64::INFINITY, event: 0, seen: 0 }
    }

    /// The size of the sample.
    pub fn size(&self) -> usize {
        self.k
    }

    /// How many items have been seen, those of weight zero included.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes the next items of the stream; without `ids` they are numbered from zero on.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if `ids` has another length, or if the work is
    /// cancelled. Nothing has been taken then.
    pub fn update<W: Weight>(
        &mut self,
        weights: &[W],
        ids: Option<&[i64]>,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        if let Some(ids) = ids
            && ids.len() != weights.len()
        {
            let (expected, got) = (format!("({},)", weights.len()), format!("({},)", ids.len()));
            return Err(Error::Shape { name: "ids", expected, got });
        }
        // Sums do not matter here, and may overflow; only the weights have to be numbers.
        let checked = Summary::of(weights, sortes_core::Run::new(threads, cancel));
        cancel.check()?;
        if checked.is_err() {
            weights::check_weights(weights)?;
        }
        if weights.len() <= LONG {
            return self.take(weights, ids, &Cancel::default());
        }
        let before = self.clone();
        let done = self.take(weights, ids, cancel);
        if done.is_err() {
            *self = before;
        }
        done
    }

    /// Takes items that have been checked; stops where it is if the work is cancelled.
    fn take<W: Weight>(
        &mut self,
        weights: &[W],
        ids: Option<&[i64]>,
        cancel: &Cancel,
    ) -> Result<()> {
        let first = self.seen as i64;
        self.seen += weights.len() as u64;
        if self.k == 0 {
            return Ok(());
        }
        let id = |i: usize| ids.map_or(first + i as i64, |ids| ids[i]);
        let mut next = 0;
        while self.held.len() < self.k && next < weights.len() {
            if next % PIECE == 0 {
                cancel.check()?;
            }
            let weight = weights[next].wide();
            if weight > 0.0 {
                let key = in_range(self.draws().exponential() / weight);
                self.held.push(Held { key, id: id(next) });
                self.event += 1;
                if self.held.len() == self.k {
                    self.jump();
                }
            }
            next += 1;
        }
        let mut skip = self.skip;
        for start in (next..weights.len()).step_by(PIECE) {
            cancel.check()?;
            let piece = start..weights.len().min(start + PIECE);
            for (weight, i) in weights[piece.clone()].iter().zip(piece) {
                let weight = weight.wide();
                if weight < skip || weight == 0.0 {
                    skip -= weight;
                    continue;
                }
                self.land(weight, id(i));
                skip = self.skip;
            }
        }
        self.skip = skip;
        Ok(())
    }

    fn draws(&self) -> Draws {
        self.stream.draws(Purpose::Reservoir, self.event)
    }

    fn threshold(&self) -> f64 {
        self.held.peek().map_or(f64::INFINITY, |held| held.key)
    }

    /// Draws the weight that passes before the next item gets in.
    fn jump(&mut self) {
        self.skip = self.draws().exponential() / self.threshold();
    }

    /// Lets an item in, with a key that is exponential given that it is below the threshold.
    fn land(&mut self, weight: f64, id: i64) {
        let threshold = self.threshold();
        let mut draws = self.draws();
        draws.seek(2); // behind the two of the jump
        let below = -elementary::exp_m1(-threshold * weight);
        let u = (draws.precise_uniform() * below).min(1.0f64.next_down());
        let key = in_range(elementary::exponential(u) / weight).min(threshold);
        if let Some(mut last) = self.held.peek_mut() {
            *last = Held { key, id };
        }
        self.event += 1;
        self.jump();
    }

    /// The items held, in the order in which successive sampling draws them.
    pub fn sample(&self) -> Vec<i64> {
        self.state().ids
    }

    /// What has to be kept to go on later.
    pub fn state(&self) -> State {
        let held = self.held.clone().into_sorted_vec();
        State {
            k: self.k,
            key: self.stream.key(),
            skip: self.skip,
            event: self.event,
            seen: self.seen,
            keys: held.iter().map(|held| held.key).collect(),
            ids: held.iter().map(|held| held.id).collect(),
        }
    }

    /// The reservoir that `state` was taken from.
    ///
    /// # Errors
    /// If no reservoir has such a state.
    pub fn restore(state: &State) -> Result<Self> {
        let keys = state.keys.iter().all(|key| *key > 0.0 && key.is_finite());
        let whole = keys && state.skip >= 0.0;
        if !whole || state.keys.len() != state.ids.len() || state.keys.len() > state.k {
            return Err(Error::argument("state", "must be the state of a reservoir"));
        }
        let held = state.keys.iter().zip(&state.ids).map(|(&key, &id)| Held { key, id }).collect();
        Ok(Self {
            k: state.k,
            stream: Stream::new(state.key),
            held,
            skip: state.skip,
            event: state.event,
            seen: state.seen,
        })
    }
}

/// A key of a weight near the ends of the range of doubles, kept within it.
fn in_range(key: f64) -> f64 {
    key.clamp(f64::MIN_POSITIVE, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(reservoir: &mut Reservoir, weights: &[f64]) {
        reservoir.update(weights, None, Threads::SERIAL, &Cancel::default()).unwrap();
    }

    #[test]
    fn pieces_do_not_matter() {
        let weights: Vec<f64> = (0..5000).map(|i| f64::from(i * 7919 % 23) / 7.0).collect();
        for k in [0, 1, 7, 4999, 6000] {
            let mut whole = Reservoir::new(k, Stream::new(3));
            feed(&mut whole, &weights);
            let mut pieces = Reservoir::new(k, Stream::new(3));
            let mut rest = weights.as_slice();
            for size in (1..).map(|i| i * i % 97) {
                let (now, later) = rest.split_at(size.min(rest.len()));
                feed(&mut pieces, now);
                pieces = Reservoir::restore(&pieces.state()).unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            assert_eq!(whole.state(), pieces.state());
            let positive = weights.iter().filter(|w| **w > 0.0).count();
            assert_eq!(whole.sample().len(), k.min(positive));
            assert!(whole.sample().iter().all(|&i| weights[i as usize] > 0.0));
        }
    }

    #[test]
    fn what_is_cancelled_has_not_been_taken() {
        let weights = vec![1.0; LONG + 1];
        let stopped = Cancel::default();
        stopped.cancel();
        for size in [0, 10, LONG] {
            let mut reservoir = Reservoir::new(5, Stream::new(3));
            feed(&mut reservoir, &weights[..size]);
            let before = reservoir.state();
            for ids in [None, Some(vec![7; weights.len()])] {
                let done = reservoir.update(&weights, ids.as_deref(), Threads::SERIAL, &stopped);
                assert_eq!(done, Err(Error::Cancelled));
                assert_eq!(reservoir.state(), before);
            }
        }
    }

    #[test]
    fn extremes_are_taken() {
        let mut reservoir = Reservoir::new(2, Stream::new(0));
        feed(&mut reservoir, &[f64::from_bits(1), f64::MAX, 1e-300, f64::MAX, 0.0, 1.0]);
        let mut sample = reservoir.sample();
        sample.sort_unstable();
        assert_eq!(sample, [1, 3]);
    }

    #[test]
    fn faults_change_nothing() {
        let mut reservoir = Reservoir::new(2, Stream::new(0));
        let update = |r: &mut Reservoir, w: &[f64], ids: &[i64]| {
            r.update(w, Some(ids), Threads::SERIAL, &Cancel::default()).unwrap_err().to_string()
        };
        assert_eq!(
            update(&mut reservoir, &[1.0, -2.0], &[1, 2]),
            "weights: item 1 is negative: -2.0"
        );
        assert_eq!(update(&mut reservoir, &[1.0], &[1, 2]), "ids: expected shape (1,), got (2,)");
        assert_eq!(reservoir.state(), Reservoir::new(2, Stream::new(0)).state());
    }
}
