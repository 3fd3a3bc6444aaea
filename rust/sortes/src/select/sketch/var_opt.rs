//! Variance-optimal samples.

use sortes_core::cancel::Cancel;
use sortes_core::rng::Purpose;
use sortes_core::{Error, Result};

use super::CHUNK;
use super::batch::{Batch, Item};
use super::header::Header;
use super::large::{Large, Sized};
use super::names::Names;
use super::sample::Sample;
use sortes_core::bytes::{Kind, Reader, Writer, corrupt};

/// The kind of its bytes.

/// What numbers read from bytes may differ by where rounding is all that keeps them apart.
const SLACK: f64 = 1e-9;

/// Whether an item of this size is small once `others` items besides the dropped one are worth
/// `worth` together. An item that only rounding keeps above the threshold counts as small.
#[inline]
fn is_small(size: f64, others: f64, worth: f64) -> bool {
    size * others <= worth * (1.0 + 4.0 * f64::EPSILON)
}

/// A sum in twice the precision: what an addition rounds off is added up as well.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    #[inline]
    fn plus(self, x: f64) -> Self {
        let high = self.high + x;
        let part = high - self.high;
        Self { high, low: self.low + ((self.high - (high - part)) + (x - part)) }
    }

    #[inline]
    fn value(self) -> f64 {
        self.high + self.low
    }
}

/// A sample of exactly `k` items whose adjusted weights add up to the total of the data, with the
/// least average variance that any sample of `k` items can have.
///
/// An item is in the sample with probability `min(1, w / tau)` and then stands for `max(w, tau)`,
/// where `tau` solves `sum min(1, w / tau) = k` over the data and does not depend on chance.
/// Adjusted weights of different items are never positively correlated (Cohen, Duffield, Kaplan,
/// Lund and Thorup, "Stream sampling for variance-optimal estimation of subset sums",
/// arXiv:0803.0473).
///
/// Items above `tau` are held in a heap, the others in a list, where each is worth `tau`. With the
/// list full, an item of weight `w <= tau` raises `tau` and takes the place of a random one in the
/// list with probability `w / tau`: a comparison for most items. The coin of an item is named by
/// its place in the stream, so that batches may be cut anywhere.
///
/// ```
/// use sortes::select::sketch::{Batch, VarOpt, Weights};
/// use sortes_core::cancel::Cancel;
///
/// let mut sketch = VarOpt::new(2, 7, 0)?;
/// let batch = Batch::new(&[1, 2, 3, 4], Weights::F64(&[1.0, 2.0, 3.0, 4.0]), None)?;
/// sketch.update(&batch, &Cancel::default())?;
/// let (sample, tau) = sketch.sample();
/// assert_eq!((sample.adjusted, tau), (vec![5.0, 5.0], 5.0));
/// # Ok::<(), sortes_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VarOpt {
    header: Header,
    /// Worth more than `tau` each.
    large: Large,
    /// Worth `tau` each.
    small: Vec<Item>,
    /// What the small ones are worth together.
    worth: Sum,
    /// About the sum of all weights, to see an overflow before it comes.
    about: f64,
}

impl VarOpt {
    /// An empty sketch for a shard.
    ///
    /// # Errors
    /// If `k` is zero or at least `2^31`, or the shard is not below `2^48`.
    pub fn new(k: u64, seed: u64, shard: u64) -> Result<Self> {
        Ok(Self::empty(Header::new(k, Names::of_places(seed, shard)?)?))
    }

    fn empty(header: Header) -> Self {
        let (large, small, worth) = (Large::default(), Vec::new(), Sum::default());
        Self { header, large, small, worth, about: 0.0 }
    }

    /// An empty sketch like this one, for another shard of the data.
    ///
    /// # Errors
    /// If the shard is not below `2^48`.
    pub fn for_shard(&self, shard: u64) -> Result<Self> {
        Ok(Self::empty(self.header.for_shard(shard)?))
    }

    /// What all sketches know of themselves.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of items in the sample.
    pub fn len(&self) -> usize {
        self.large.len() + self.small.len()
    }

    /// Whether the sample is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each of the small items is worth: the threshold, zero while every item is kept.
    pub fn tau(&self) -> f64 {
        if self.small.is_empty() { 0.0 } else { self.worth.value() / self.small.len() as f64 }
    }

    /// The sum of all weights.
    pub fn total(&self) -> f64 {
        let mut sizes: Vec<f64> = self.large.iter().map(|large| large.size).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        sizes.into_iter().fold(self.worth, Sum::plus).value()
    }

    /// Takes a batch in.
    ///
    /// # Errors
    /// If the sum of the weights overflows or some batches have values and others have not
    /// (nothing is taken), or on cancellation (a beginning of the batch is taken; [`Header::n`]
    /// says how much).
    pub fn update(&mut self, batch: &Batch<'_>, cancel: &Cancel) -> Result<()> {
        let about = finite(self.about + batch.total(), "weights")?;
        self.header.admit(batch)?;
        self.about = about;
        cancel.expect(batch.len() as u64);
        let (mut coins, mut weights) = ([0.0; CHUNK], [0.0; CHUNK]);
        for start in (0..batch.len()).step_by(CHUNK) {
            if start % super::PIECE == 0 {
                cancel.check()?;
            }
            let len = CHUNK.min(batch.len() - start);
            let (coins, weights) = (&mut coins[..len], &mut weights[..len]);
            batch.weights_into(start, weights);
            // While there is room nothing is dropped.
            if self.len() + len > self.header.k {
                self.header.names.uniforms(Purpose::Drop, 0, &[], coins);
            }
            self.take(batch, start, weights, coins);
            self.header.count(len as u64);
            cancel.advance(len as u64);
        }
        Ok(())
    }

    /// Takes the items of one chunk in; the first has the next place in the stream.
    fn take(&mut self, batch: &Batch<'_>, start: usize, weights: &[f64], coins: &[f64]) {
        let mut i = 0;
        while i < weights.len() {
            i += self.take_small(batch, start, weights, coins, i);
            if let Some(&size) = weights.get(i) {
                if size > 0.0 {
                    let item = batch.item(start + i, size);
                    self.offer(Sized { size, item }, coins[i], i as u64);
                }
                i += 1;
            }
        }
    }

    /// Takes in items while each is small and leaves the large ones large: as [`offer`](Self::offer)
    /// would, without looking at the heap. Returns how many it took.
    #[inline]
    fn take_small(
        &mut self,
        batch: &Batch<'_>,
        start: usize,
        weights: &[f64],
        coins: &[f64],
        from: usize,
    ) -> usize {
        if self.len() < self.header.k || self.small.is_empty() {
            return 0;
        }
        let held = self.small.len() as f64;
        let least = self.large.peek().map_or(f64::INFINITY, |least| least.size);
        let mut worth = self.worth;
        let mut tau = worth.value() / held;
        for (i, (&w, &coin)) in weights.iter().zip(coins).enumerate().skip(from) {
            let more = worth.plus(w);
            let value = more.value();
            if w > tau || is_small(least, held, value) {
                self.worth = worth;
                return i - from;
            }
            worth = more;
            tau = value / held;
            // An item of weight zero is never kept: no coin is negative.
            if coin * tau < w {
                self.replace(batch.item(start + i, w), i as u64);
            }
        }
        self.worth = worth;
        weights.len() - from
    }

    /// Puts an item in the place of a random small one. `skip` names the draws.
    fn replace(&mut self, item: Item, skip: u64) {
        let place = self.random_place(skip);
        self.small[place] = item;
    }

    /// A random place among the small items.
    fn random_place(&self, skip: u64) -> usize {
        let mut draws = self.header.names.draws(Purpose::Drop, skip);
        draws.seek(2); // after the coin
        draws.below(self.small.len() as u64) as usize
    }

    /// Takes in one item of positive size. `coin` is its uniform, `skip` names further draws.
    fn offer(&mut self, new: Sized, coin: f64, skip: u64) {
        if self.len() < self.header.k {
            self.large.push(new);
            return;
        }
        // One of k + 1 has to go. First find who is small now.
        let mut entering = Vec::new();
        if new.size > self.tau() {
            self.large.push(new);
        } else {
            self.worth = self.worth.plus(new.size);
            entering.push(new);
        }
        let mut after = self.small.len() as f64 + entering.len() as f64 - 1.0;
        while let Some(least) = self.large.peek()
            && is_small(least.size, after, self.worth.value())
        {
            self.worth = self.worth.plus(least.size);
            entering.extend(self.large.pop());
            after += 1.0;
        }
        let tau = self.worth.value() / after;
        // An item goes with probability 1 - size / tau; these add up to one.
        match entering[..] {
            [] => {
                let place = self.random_place(skip);
                self.small.swap_remove(place);
            }
            // As below, but exact for tiny weights too.
            [Sized { size, item }] if !self.small.is_empty() => {
                if coin * tau < size {
                    self.replace(item, skip);
                }
            }
            _ => {
                let mut left = coin;
                let gone = entering.iter().position(|candidate| {
                    left -= (1.0 - candidate.size / tau).max(0.0);
                    left < 0.0
                });
                if let Some(gone) = gone {
                    entering.remove(gone);
                } else if self.small.is_empty() {
                    entering.pop(); // rounding alone leads here
                } else {
                    let place = self.random_place(skip);
                    self.small.swap_remove(place);
                }
                self.small.extend(entering.iter().map(|candidate| candidate.item));
            }
        }
    }

    /// What is held, in a fixed order, with what each item is worth.
    fn contents(&self) -> impl Iterator<Item = Sized> {
        let tau = self.tau();
        let small = self.small.iter().map(move |&item| Sized { size: tau, item });
        self.large.in_order().into_iter().chain(small)
    }

    /// Takes in what another sketch has seen, with the smaller `k` of both.
    ///
    /// The other's items come in with their adjusted weights. Then an item of either is in the
    /// result with probability `min(1, w / tau)` as if all had come in one stream, and the total is
    /// exact; the joint law of several items depends on the order of merging.
    ///
    /// # Errors
    /// If the sketches do not go together; this one is then as before.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let about = finite(self.about + other.about, "other")?;
        let mut header = self.header.clone();
        header.merge(&other.header)?;
        header.names.reserve((self.len() + other.len()) as u64)?;
        let k = header.k;
        self.header.names = header.names.clone();
        if self.is_empty() {
            self.large.clone_from(&other.large);
            self.small.clone_from(&other.small);
            self.worth = other.worth;
            self.shrink(k.max(other.header.k), k);
        } else {
            self.shrink(self.header.k, k);
            for item in other.contents() {
                self.offer_next(item);
            }
        }
        header.names = self.header.names.clone();
        self.header = header;
        self.about = about;
        debug_assert!(self.large.iter().all(|large| large.size == large.item.weight));
        Ok(())
    }

    /// Goes over to a smaller size.
    fn shrink(&mut self, before: usize, after: usize) {
        self.header.k = after;
        if after < before && !self.is_empty() {
            let items: Vec<Sized> = self.contents().collect();
            self.large.clear();
            self.small.clear();
            self.worth = Sum::default();
            for item in items {
                self.offer_next(item);
            }
        }
    }

    /// Takes in an item that has no place in the stream yet.
    fn offer_next(&mut self, item: Sized) {
        let coin = self.header.names.draws(Purpose::Drop, 0).precise_uniform();
        self.offer(item, coin, 0);
        self.header.names.advance(1);
    }

    /// The sample, the largest first, and the threshold.
    pub fn sample(&self) -> (Sample, f64) {
        let tau = self.tau();
        let items = self.contents().map(|sized| sized.item);
        let inclusion = |w| if w < tau { w / tau } else { 1.0 };
        (Sample::new(items, self.header.has_values(), inclusion), tau)
    }

    /// The state as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::new(Kind::VarOpt);
        self.header.write(&mut to);
        to.float(self.worth.high);
        to.float(self.worth.low);
        to.word(self.large.len() as u64);
        to.word(self.small.len() as u64);
        let large = self.large.in_order();
        let items = large.iter().map(|large| &large.item).chain(&self.small);
        self.header.write_items(items, &mut to);
        to.finish()
    }

    /// The sketch of these bytes, after the kind.
    ///
    /// # Errors
    /// If no sketch has these bytes.
    pub(super) fn read(mut from: Reader<'_>) -> Result<Self> {
        let header = Header::read(&mut from)?;
        let worth = Sum { high: from.float()?, low: from.float()? };
        let (large, small) = (from.length()?, from.length()?);
        let mut items = header.read_items(large + small, &mut from)?;
        from.finish()?;
        let small = items.split_off(large);
        let large = items.into_iter().map(|item| Sized { size: item.weight, item });
        let mut out = Self { header, large: large.collect(), small, worth, about: 0.0 };
        out.about = out.total();

        let len = out.len();
        if out.header.names.coordinated() || len > out.header.k || len as u64 > out.header.n {
            return Err(corrupt("more items than it may hold"));
        }
        let tau = out.tau();
        let fits = if out.small.is_empty() {
            worth == Sum::default()
        } else {
            len == out.header.k
                && worth.high > 0.0
                && worth.low.abs() <= SLACK * worth.high
                && out.small.iter().all(|item| item.weight <= tau * (1.0 + SLACK))
                && out.large.iter().all(|large| large.size >= tau * (1.0 - SLACK))
        };
        if !fits || finite(out.about, "data").is_err() {
            return Err(corrupt("weights and threshold do not go together"));
        }
        Ok(out)
    }
}

fn finite(total: f64, name: &'static str) -> Result<f64> {
    // With a margin for what rounding adds to the sums that follow.
    if (total * (1.0 + SLACK)).is_finite() {
        return Ok(total);
    }
    Err(Error::argument(name, "the sum of all weights overflows"))
}
