//! Distinct items from a stream of unknown length, in memory for `k`.

use std::collections::BinaryHeap;
use std::ops::Range;

use sortes_core::bytes::{Kind, Reader, Writer, corrupt};
use sortes_core::memory::{copied, refused, with_capacity};
use sortes_core::order::sort;
use sortes_core::rng::stream::ENTITY_LIMIT;
use sortes_core::rng::{Draws, Purpose, Stream, elementary};
use sortes_core::weights::{self, Weight};
use sortes_core::{Error, Result, Run};

/// An update of more items can be cancelled: a copy of the reservoir costs little beside it.
const LONG: usize = 1 << 20;
/// Items between two polls.
const BLOCK: usize = 1 << 16;
/// More events than this, which is half of all entities, are taken for a mistake.
const EVENT_LIMIT: u64 = ENTITY_LIMIT / 2;
/// What runs out of memory.
const ITEMS: &str = "items of a reservoir";

/// The key of an item: a positive float whose sign is one more bit of its exponent, so that quotients
/// of the least and the greatest weights are in its range. Keys are ordered as their bits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u64);

/// The exponent of a key is stored with this added.
const BIAS: i64 = 1 << 11;
/// No quotient of an exponential and a weight has a larger exponent, or a smaller one than its
/// negative.
const EXPONENT_LIMIT: i64 = 1100;

impl Key {
    /// `e / weight`, for positive finite numbers.
    fn quotient(e: f64, weight: f64) -> Self {
        let ((e, up), (weight, down)) = (split(e), split(weight));
        let (mantissa, exponent) = split(e / weight);
        let exponent = exponent + up - down + BIAS;
        Self((exponent.cast_unsigned()) << 52 | (mantissa.to_bits() << 12 >> 12))
    }

    fn exponent(self) -> i64 {
        (self.0 >> 52).cast_signed() - BIAS
    }

    /// A power of two `s` and a number `t` such that the key is `s t`; `t` is in `[1, 2)` unless that
    /// took `s` out of the range of floats.
    fn scaled(self) -> (f64, f64) {
        let mantissa = f64::from_bits(1023 << 52 | (self.0 << 12 >> 12));
        let exponent = self.exponent().clamp(-1022, 1023);
        (power_of_two(exponent), mantissa * power_of_two(self.exponent() - exponent))
    }
}

/// The mantissa in `[1, 2)` and the exponent of a positive finite number.
fn split(x: f64) -> (f64, i64) {
    if x < f64::MIN_POSITIVE {
        let (mantissa, exponent) = split(x * power_of_two(54));
        return (mantissa, exponent - 54);
    }
    let exponent = (x.to_bits() >> 52).cast_signed() - 1023;
    (f64::from_bits(1023 << 52 | (x.to_bits() << 12 >> 12)), exponent)
}

/// `2^exponent`, a normal number.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits((1023 + exponent).cast_unsigned() << 52)
}

/// An item and its key, the largest key first out of a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    key: Key,
    id: i64,
}

/// A reservoir with exponential jumps (A-ExpJ; Efraimidis and Spirakis, "Weighted random sampling
/// with a reservoir", Information Processing Letters 97, 2006).
///
/// It holds the `k` smallest keys `E / w` so far. While the largest of them is `t`, an item of weight
/// `w` gets in with probability `1 - exp(-t w)`; so the weight that passes before the next item gets
/// in is exponential with rate `t`, and is drawn at once. The item on which it ends gets a key below
/// `t`. Of `n` items some `k ln(n / k)` need randomness; the others cost one subtraction.
///
/// Draws are counted by what happens: the `c`-th item that gets in, or jump, reads entity `c`
/// ([`Purpose::Reservoir`]) at the step of the stream. The sample therefore does not depend on how the
/// stream of items is cut into pieces.
///
/// ```
/// use sortes::select::weighted::Reservoir;
/// use sortes_core::{Run, rng::Stream};
///
/// let mut reservoir = Reservoir::new(2, Stream::new(0));
/// reservoir.update(&[1.0, 0.0, 2.0], None, Run::alone())?;
/// reservoir.update(&[5.0], Some(&[77]), Run::alone())?;
/// assert_eq!((reservoir.seen(), reservoir.sample(Run::alone())?.len()), (4, 2));
/// # Ok::<(), sortes_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Reservoir {
    k: usize,
    stream: Stream,
    held: BinaryHeap<Held>,
    /// The weight that has still to pass before an item gets in, once the reservoir is full: in the
    /// unit in which the threshold is about one.
    skip: f64,
    /// The next entity, or the one of the jump under way.
    event: u64,
    seen: u64,
}

impl Reservoir {
    /// An empty reservoir for `k` items.
    pub fn new(k: usize, stream: Stream) -> Self {
        Self { k, stream, held: BinaryHeap::new(), skip: f64::INFINITY, event: 0, seen: 0 }
    }

    /// The size of the sample.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How many items are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many items have been seen, those of weight zero included.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// A copy of the reservoir.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn copied(&self, run: Run<'_>) -> Result<Self> {
        Ok(Self { held: copied(self.held.as_slice(), ITEMS, run)?.into(), ..*self })
    }

    /// Takes the next items of the stream; without `ids` they are numbered from zero on. Progress
    /// counts items.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if `ids` has another length, if there is no memory, or
    /// if the work is cancelled. Nothing has been taken then.
    pub fn update<W: Weight>(
        &mut self,
        weights: &[W],
        ids: Option<&[i64]>,
        run: Run<'_>,
    ) -> Result<()> {
        if let Some(ids) = ids
            && ids.len() != weights.len()
        {
            let (expected, got) = (format!("({},)", weights.len()), format!("({},)", ids.len()));
            return Err(Error::Shape { name: "ids", expected, got });
        }
        weights::checked_sum(weights, run)?;
        if weights.len() <= LONG {
            self.take(weights, ids, run.to_the_end())?;
            run.advance(weights.len() as u64);
            return Ok(());
        }
        let mut after = self.copied(run)?;
        after.take(weights, ids, run)?;
        *self = after;
        Ok(())
    }

    /// Takes items that have been checked; stops where it is if the work is cancelled.
    fn take<W: Weight>(&mut self, weights: &[W], ids: Option<&[i64]>, run: Run<'_>) -> Result<()> {
        let more = weights.len().min(self.k - self.held.len());
        let all = self.held.len() + more;
        self.held.try_reserve(more).map_err(|_| refused::<Held>(all, ITEMS))?;
        let first = self.seen as i64;
        self.seen = self.seen.saturating_add(weights.len() as u64);
        let id = |i: usize| ids.map_or(first + i as i64, |ids| ids[i]);
        for range in run.blocks(weights.len(), BLOCK) {
            let Range { start, end } = range?;
            let filled = start + self.fill(&weights[start..end], |i| id(start + i));
            self.pass(&weights[filled..end], |i| id(filled + i));
            run.advance((end - start) as u64);
        }
        Ok(())
    }

    /// Takes every item in until the reservoir is full; returns how many were looked at.
    fn fill<W: Weight>(&mut self, weights: &[W], id: impl Fn(usize) -> i64) -> usize {
        let mut looked_at = 0;
        while self.held.len() < self.k && looked_at < weights.len() {
            let weight = weights[looked_at].wide();
            if weight > 0.0 {
                let key = Key::quotient(self.draws().exponential(), weight);
                self.held.push(Held { key, id: id(looked_at) });
                self.event += 1;
                if self.held.len() == self.k {
                    self.jump();
                }
            }
            looked_at += 1;
        }
        looked_at
    }

    /// Lets items pass a full reservoir, all but those on which a jump ends.
    fn pass<W: Weight>(&mut self, weights: &[W], id: impl Fn(usize) -> i64) {
        let Some((mut scale, _)) = self.threshold() else { return };
        let mut skip = self.skip;
        for (i, weight) in weights.iter().enumerate() {
            let scaled = weight.wide() * scale;
            if scaled < skip || scaled == 0.0 {
                skip -= scaled;
                continue;
            }
            self.land(weight.wide(), id(i));
            (skip, scale) = (self.skip, self.threshold().map_or(0.0, |(scale, _)| scale));
        }
        self.skip = skip;
    }

    fn draws(&self) -> Draws {
        self.stream.draws(Purpose::Reservoir, self.event)
    }

    /// The largest key held, as [`Key::scaled`]; none where no item can be held.
    fn threshold(&self) -> Option<(f64, f64)> {
        self.held.peek().map(|held| held.key.scaled())
    }

    /// Draws the weight that passes before the next item gets in.
    fn jump(&mut self) {
        let rate = self.threshold().map_or(0.0, |(_, rate)| rate);
        self.skip = self.draws().exponential() / rate;
    }

    /// Lets an item in, with a key that is exponential given that it is below the threshold.
    fn land(&mut self, weight: f64, id: i64) {
        let mut draws = self.draws();
        draws.seek(2); // behind the two of the jump
        let Some(mut last) = self.held.peek_mut() else { return };
        let (scale, rate) = last.key.scaled();
        let below = -elementary::exp_m1(-rate * (weight * scale));
        let u = (draws.precise_uniform() * below).clamp(f64::MIN_POSITIVE, 1.0f64.next_down());
        let key = Key::quotient(elementary::exponential(u), weight).min(last.key);
        *last = Held { key, id };
        drop(last);
        self.event += 1;
        self.jump();
    }

    /// The items held, the smallest key first: the order in which successive sampling draws them.
    fn in_order(&self, run: Run<'_>) -> Result<Vec<Held>> {
        let mut held = copied(self.held.as_slice(), ITEMS, run)?;
        sort(&mut held, Ord::cmp, run)?;
        Ok(held)
    }

    /// The ids of the items held, in the order in which successive sampling draws them.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn sample(&self, run: Run<'_>) -> Result<Vec<i64>> {
        let held = self.in_order(run)?;
        let mut ids = with_capacity(held.len(), "ids of a sample")?;
        ids.extend(held.iter().map(|held| held.id));
        Ok(ids)
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let held = self.in_order(run)?;
        let mut to = Writer::with_capacity(Kind::Reservoir, 6 + 2 * held.len())?;
        to.word(self.k as u64);
        to.word(self.stream.key());
        to.word(self.stream.step().into());
        to.float(self.skip);
        to.word(self.event);
        to.word(self.seen);
        to.words(held.iter().map(|held| held.key.0), run)?;
        to.words(held.iter().map(|held| held.id.cast_unsigned()), run)?;
        Ok(to.finish())
    }

    /// The reservoir of these bytes.
    ///
    /// # Errors
    /// If no reservoir has these bytes, there is no memory for it, or the work is cancelled.
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        // 1. The fields.
        let mut from = Reader::of(bytes, Kind::Reservoir, run)?;
        let k = usize::try_from(from.word()?).map_err(|_| corrupt("its size"))?;
        let key = from.word()?;
        let step = u32::try_from(from.word()?).map_err(|_| corrupt("its step"))?;
        let skip = from.float()?;
        let [event, seen] = [from.word()?, from.word()?];
        let count = from.remaining() / 2;
        let new = |key| Held { key: Key(key), id: 0 };
        let mut held = from.column(count, ITEMS, run, new)?;
        let mut ids = from.words(count)?.map(u64::cast_signed);
        from.finish()?;

        // 2. Whether a reservoir has them.
        let full = count == k && k > 0;
        let ordered = count <= k && count as u64 <= event && event <= seen;
        if !ordered || event > EVENT_LIMIT || i64::try_from(seen).is_err() {
            return Err(corrupt("its counts"));
        }
        if skip.is_nan() || skip < 0.0 || skip.is_finite() != full {
            return Err(corrupt("the weight that has still to pass"));
        }
        for range in run.blocks(count, BLOCK) {
            for item in &mut held[range?] {
                if item.key.exponent().abs() > EXPONENT_LIMIT {
                    return Err(corrupt("keys"));
                }
                item.id = ids.next().unwrap_or_default();
            }
        }
        let stream = Stream::new(key).at_step(step);
        Ok(Self { k, stream, held: held.into(), skip, event, seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::cancel::Cancel;
    use sortes_core::par::Threads;

    fn feed(reservoir: &mut Reservoir, weights: &[f64]) {
        reservoir.update(weights, None, Run::alone()).unwrap();
    }

    fn bytes(reservoir: &Reservoir) -> Vec<u8> {
        reservoir.to_bytes(Run::alone()).unwrap()
    }

    fn sample(reservoir: &Reservoir) -> Vec<i64> {
        reservoir.sample(Run::alone()).unwrap()
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
                pieces = Reservoir::from_bytes(&bytes(&pieces), Run::alone()).unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            assert_eq!(bytes(&whole), bytes(&pieces));
            let positive = weights.iter().filter(|w| **w > 0.0).count();
            assert_eq!(sample(&whole).len(), k.min(positive));
            assert!(sample(&whole).iter().all(|&i| weights[i as usize] > 0.0));
        }
    }

    #[test]
    fn scales_do_not_matter() {
        let mixed: Vec<f64> = (0..3000).map(|i| f64::from(i * 7919 % 23 + 1)).collect();
        let sample_of = |weights: &[f64]| {
            let mut reservoir = Reservoir::new(20, Stream::new(3));
            feed(&mut reservoir, weights);
            sample(&reservoir)
        };
        // From multiples of the least positive number to the largest of its powers.
        for exponent in [-1074, -1040, -1000, -300, 300, 1000, 1018] {
            let scale = power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2);
            let scaled: Vec<f64> = mixed.iter().map(|w| w * scale).collect();
            assert_eq!(sample_of(&scaled), sample_of(&mixed), "{exponent}");
        }
    }

    #[test]
    fn keys_are_ordered_quotients() {
        let numbers = [5e-324, 1e-310, f64::MIN_POSITIVE, 1e-300, 0.3, 1.0, 37.0, 1e300, f64::MAX];
        for e in [2f64.powi(-65), 0.1, 1.0, 36.7] {
            let keys: Vec<Key> = numbers.iter().map(|&w| Key::quotient(e, w)).collect();
            assert!(keys.is_sorted_by(|a, b| a > b));
            assert!(keys.iter().all(|key| key.exponent().abs() <= EXPONENT_LIMIT));
            for (key, w) in keys.iter().zip(numbers) {
                let (scale, rate) = key.scaled();
                // In two steps, since the quotient itself may not be in range.
                assert!(((w * scale) * rate / e - 1.0).abs() < 1e-15, "{e} {w}");
                if (e / w).is_normal() {
                    assert_eq!(scale * rate, e / w);
                }
            }
        }
    }

    #[test]
    fn what_is_cancelled_has_not_been_taken() {
        let weights = vec![1.0; LONG + 1];
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = Run::new(Threads::SERIAL, &cancel);
        for size in [0, 10, LONG] {
            let mut reservoir = Reservoir::new(5, Stream::new(3));
            feed(&mut reservoir, &weights[..size]);
            let before = bytes(&reservoir);
            for ids in [None, Some(vec![7; weights.len()])] {
                let done = reservoir.update(&weights, ids.as_deref(), stopped);
                assert_eq!(done, Err(Error::Cancelled));
                assert_eq!(bytes(&reservoir), before);
            }
        }
    }

    #[test]
    fn extremes_are_taken() {
        let mut reservoir = Reservoir::new(2, Stream::new(0));
        feed(&mut reservoir, &[f64::from_bits(1), f64::MAX, 1e-300, f64::MAX, 0.0, 1.0]);
        let mut sample = sample(&reservoir);
        sample.sort_unstable();
        assert_eq!(sample, [1, 3]);
    }

    #[test]
    fn faults_change_nothing() {
        let mut reservoir = Reservoir::new(2, Stream::new(0));
        let update = |r: &mut Reservoir, w: &[f64], ids: &[i64]| {
            r.update(w, Some(ids), Run::alone()).unwrap_err().to_string()
        };
        assert_eq!(
            update(&mut reservoir, &[1.0, -2.0], &[1, 2]),
            "weights: item 1 must be in [0, inf), got -2.0"
        );
        assert_eq!(update(&mut reservoir, &[1.0], &[1, 2]), "ids: must have shape (1,), got (2,)");
        assert_eq!(bytes(&reservoir), bytes(&Reservoir::new(2, Stream::new(0))));
    }

    #[test]
    fn bent_bytes_are_refused_or_sound() {
        let mut reservoir = Reservoir::new(4, Stream::new(1).at_step(2));
        feed(&mut reservoir, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let good = bytes(&reservoir);
        let (words, _) = good.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        for place in 0..words.len() - 1 {
            for new in [0, 1, u64::MAX, words[place] + 1, words[place] ^ 1 << 63] {
                let mut bent = words[..words.len() - 1].to_vec();
                bent[place] = new;
                let bent = sortes_core::bytes::seal(&bent);
                if let Ok(mut read) = Reservoir::from_bytes(&bent, Run::alone()) {
                    feed(&mut read, &[1.0; 100]);
                    assert!(sample(&read).len() <= read.k());
                }
            }
        }
        assert!(Reservoir::from_bytes(&good[..good.len() - 8], Run::alone()).is_err());
    }
}
