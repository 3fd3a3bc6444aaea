//! Variance-optimal samples.

use sortes_core::bytes::{Kind, Reader, Writer, corrupt};
use sortes_core::memory::{copied, reserve};
use sortes_core::num::Sum;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Error, Result, Run};

use super::CHUNK;
use super::batch::{Batch, Item};
use super::counters::Counters;
use super::header::Header;
use super::heavy::{Heavy, Sized};
use super::sample::Sample;

/// What runs out of memory.
const ITEMS: &str = "items of a sketch";

/// What numbers read from bytes may differ by where rounding is all that keeps them apart.
const SLACK: f64 = 1e-9;

/// Whether an item of this size is light once `others` items beside the dropped one add up to
/// `total`. An item that only rounding keeps above the threshold counts as light.
#[inline]
fn is_light(size: f64, others: f64, total: f64) -> bool {
    size * others <= total * (1.0 + 4.0 * f64::EPSILON)
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
/// Heavy items, above `tau`, are held in a queue; light ones in a list, where each counts `tau`. With
/// the list full, an item of weight `w <= tau` raises `tau` and replaces a random one in the list with
/// probability `w / tau`: a comparison for most items. The uniform of an item is that of its index in
/// the shard, so that batches may be cut anywhere.
///
/// ```
/// use sortes::select::sketch::{Batch, VarOpt, Weights};
/// use sortes_core::{Run, rng::Stream};
///
/// let mut sketch = VarOpt::new(2, Stream::new(7), 0)?;
/// let weights = Weights::F64(&[1.0, 2.0, 3.0, 4.0]);
/// let batch = Batch::new(&[1, 2, 3, 4], weights, None, Run::alone())?;
/// sketch.update(&batch, Run::alone())?;
/// let (sample, tau) = sketch.sample(Run::alone())?;
/// assert_eq!((sample.adjusted, tau), (vec![5.0, 5.0], 5.0));
/// # Ok::<(), sortes_core::Error>(())
/// ```
#[derive(Debug)]
pub struct VarOpt {
    header: Header,
    /// Heavier than `tau` each.
    heavy: Heavy,
    /// Standing for `tau` each.
    light: Vec<Item>,
    /// What the light ones stand for together.
    light_total: Sum,
    /// About the sum of all weights, to see an overflow before it comes.
    about: f64,
}

impl VarOpt {
    /// An empty sketch for a shard.
    ///
    /// # Errors
    /// If `k` is zero or at least `2^31`, or the shard is not below `2^48`.
    pub fn new(k: u64, stream: Stream, shard: u64) -> Result<Self> {
        Ok(Self::empty(Header::new(k, Counters::by_index(stream, shard)?)?))
    }

    fn empty(header: Header) -> Self {
        let (heavy, light, light_total) = (Heavy::default(), Vec::new(), Sum::default());
        Self { header, heavy, light, light_total, about: 0.0 }
    }

    /// An empty sketch like this one, for another shard of the data.
    ///
    /// # Errors
    /// If the shard is not below `2^48`.
    pub fn for_shard(&self, shard: u64) -> Result<Self> {
        Ok(Self::empty(self.header.for_shard(shard)?))
    }

    /// A copy of the sketch.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn copied(&self, run: Run<'_>) -> Result<Self> {
        Ok(Self {
            header: self.header.clone(),
            heavy: self.heavy.copied(run)?,
            light: copied(&self.light, ITEMS, run)?,
            light_total: self.light_total,
            about: self.about,
        })
    }

    /// What all sketches know of themselves.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of items in the sample.
    pub fn len(&self) -> usize {
        self.heavy.len() + self.light.len()
    }

    /// Whether the sample is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each of the light items stands for: the threshold, zero while every item is kept.
    pub fn tau(&self) -> f64 {
        if self.light.is_empty() { 0.0 } else { self.light_total.value() / self.light.len() as f64 }
    }

    /// The sum of all weights.
    ///
    /// # Errors
    /// If there is no memory, or the work is cancelled.
    pub fn total(&self, run: Run<'_>) -> Result<f64> {
        let mut total = self.light_total;
        // The least first, so that the rounding does not depend on the order of arrival.
        self.heavy.in_order(run)?.iter().rev().for_each(|heavy| total.add(heavy.size));
        Ok(total.value())
    }

    /// Takes a batch in. Progress counts items.
    ///
    /// # Errors
    /// If the sum of the weights overflows or some batches have values and others have not (nothing
    /// is taken), or if there is no memory or the work is cancelled (a beginning of the batch is
    /// taken; [`Header::n`] says how much).
    pub fn update(&mut self, batch: &Batch<'_>, run: Run<'_>) -> Result<()> {
        let about = finite(self.about + batch.total(), "weights")?;
        self.header.admit(batch)?;
        self.about = about;
        let (mut uniforms, mut weights) = ([0.0; CHUNK], [0.0; CHUNK]);
        let mut entering = Vec::new();
        for range in run.blocks(batch.len(), CHUNK) {
            let range = range?;
            let (start, len) = (range.start, range.len());
            let (uniforms, weights) = (&mut uniforms[..len], &mut weights[..len]);
            batch.weights_into(start, weights);
            // As long as all of them fit, none is dropped.
            if self.prepare(len, &mut entering, run)? {
                self.header.counters.uniforms(Purpose::Drop, 0, &[], uniforms);
            }
            self.take(batch, start, weights, uniforms, &mut entering);
            self.header.count(len as u64);
            run.advance(len as u64);
        }
        Ok(())
    }

    /// Makes room for `more` items, and says whether some items will be dropped then; if so, `entering`
    /// has room for all that may become light at once.
    fn prepare(&mut self, more: usize, entering: &mut Vec<Sized>, run: Run<'_>) -> Result<bool> {
        let k = self.header.k;
        self.heavy.reserve(more.min(k + 1))?;
        if self.len() + more <= k {
            return Ok(false);
        }
        self.heavy.settle(run)?;
        // At worst these are all heavy ones.
        let heavy = (self.heavy.len() + more).min(k + 1);
        let light = heavy.min(k + 1 - self.light.len());
        reserve(&mut self.light, light, ITEMS)?;
        reserve(entering, heavy, ITEMS)?;
        Ok(true)
    }

    /// Takes the items of one chunk in; the first has the next index of the shard.
    fn take(
        &mut self,
        batch: &Batch<'_>,
        start: usize,
        weights: &[f64],
        uniforms: &[f64],
        entering: &mut Vec<Sized>,
    ) {
        let mut i = 0;
        while i < weights.len() {
            i += self.take_light(batch, start, weights, uniforms, i);
            if let Some(&size) = weights.get(i) {
                if size > 0.0 {
                    let item = batch.item(start + i, size);
                    self.offer(Sized { size, item }, uniforms[i], i as u64, entering);
                }
                i += 1;
            }
        }
    }

    /// Takes in items while each is light and leaves the heavy ones heavy: as
    /// [`offer`](Self::offer) would, without looking at the queue. Returns how many it took.
    #[inline]
    fn take_light(
        &mut self,
        batch: &Batch<'_>,
        start: usize,
        weights: &[f64],
        uniforms: &[f64],
        from: usize,
    ) -> usize {
        if self.len() < self.header.k || self.light.is_empty() {
            return 0;
        }
        let held = self.light.len() as f64;
        let least = self.heavy.peek().map_or(f64::INFINITY, |least| least.size);
        let mut total = self.light_total;
        let mut tau = total.value() / held;
        for (i, (&w, &u)) in weights.iter().zip(uniforms).enumerate().skip(from) {
            let mut more = total;
            more.add(w);
            let value = more.value();
            if w > tau || is_light(least, held, value) {
                self.light_total = total;
                return i - from;
            }
            total = more;
            tau = value / held;
            // An item of weight zero is never kept: no uniform is negative.
            if u * tau < w {
                self.replace(batch.item(start + i, w), i as u64);
            }
        }
        self.light_total = total;
        weights.len() - from
    }

    /// Replaces a random light item, with the draws of the index `skip` ahead.
    fn replace(&mut self, item: Item, skip: u64) {
        let index = self.random_index(skip);
        self.light[index] = item;
    }

    /// A random index of the light items.
    fn random_index(&self, skip: u64) -> usize {
        let mut draws = self.header.counters.draws(Purpose::Drop, skip);
        draws.seek(2); // after the uniform of the item
        draws.below(self.light.len() as u64) as usize
    }

    /// Takes in one item of positive size, after [`prepare`](Self::prepare). `u` is its uniform;
    /// further draws are those of the index `skip` ahead.
    fn offer(&mut self, new: Sized, u: f64, skip: u64, entering: &mut Vec<Sized>) {
        if self.len() < self.header.k {
            self.heavy.push(new);
            return;
        }
        // 1. One of k + 1 must go: find which of them are light now. `others` counts these, without
        // the one that goes.
        entering.clear();
        if new.size > self.tau() {
            self.heavy.push(new);
        } else {
            self.light_total.add(new.size);
            entering.push(new);
        }
        let mut others = self.light.len() as f64 + entering.len() as f64 - 1.0;
        while let Some(least) = self.heavy.peek()
            && is_light(least.size, others, self.light_total.value())
        {
            self.light_total.add(least.size);
            entering.extend(self.heavy.pop());
            others += 1.0;
        }
        // 2. The threshold is now the mean of the light ones that stay.
        let tau = self.light_total.value() / others;
        // 3. An item goes with probability 1 - size / tau; these add up to one.
        match entering[..] {
            [] => {
                let index = self.random_index(skip);
                self.light.swap_remove(index);
            }
            // As below, but exact for tiny weights too.
            [Sized { size, item }] if !self.light.is_empty() => {
                if u * tau < size {
                    self.replace(item, skip);
                }
            }
            _ => {
                let mut left = u;
                let gone = entering.iter().position(|candidate| {
                    left -= (1.0 - candidate.size / tau).max(0.0);
                    left < 0.0
                });
                if let Some(gone) = gone {
                    entering.remove(gone);
                } else if self.light.is_empty() {
                    entering.pop(); // rounding alone leads here
                } else {
                    let index = self.random_index(skip);
                    self.light.swap_remove(index);
                }
                self.light.extend(entering.iter().map(|candidate| candidate.item));
            }
        }
    }

    /// What is held, in a fixed order, with what each item stands for.
    fn contents(&self, run: Run<'_>) -> Result<Vec<Sized>> {
        let tau = self.tau();
        let mut all = self.heavy.in_order(run)?;
        reserve(&mut all, self.light.len(), ITEMS)?;
        for range in run.blocks(self.light.len(), super::PIECE) {
            all.extend(self.light[range?].iter().map(|&item| Sized { size: tau, item }));
        }
        Ok(all)
    }

    /// Takes in what another sketch has seen, with the smaller `k` of both.
    ///
    /// The other's items come in with their adjusted weights. Then an item of either is in the
    /// result with probability `min(1, w / tau)` as if all had come in one stream, and the total is
    /// exact; the joint law of several items depends on the order of merging.
    ///
    /// # Errors
    /// If the sketches do not fit together, there is no memory, or the work is cancelled; this one is
    /// then as before.
    pub fn merge(&mut self, other: &Self, run: Run<'_>) -> Result<()> {
        // 1. Whether they fit together.
        let about = finite(self.about + other.about, "other")?;
        let mut header = self.header.clone();
        header.merge(&other.header)?;
        header.counters.reserve((self.len() + other.len()) as u64)?;

        // 2. On a copy, go over to the smaller size, and take the other's items in.
        let k = header.k;
        let mut out;
        if self.is_empty() {
            out = other.copied(run)?;
            out.header.counters = header.counters.clone();
            out.shrink(k, run)?;
        } else {
            out = self.copied(run)?;
            out.header.counters = header.counters.clone();
            out.shrink(k, run)?;
            out.take_in(&other.contents(run)?, run)?;
        }

        // 3. The header is that of both, but for the indices that were used.
        header.counters = out.header.counters;
        out.header = header;
        out.about = about;
        debug_assert!(out.heavy.in_order(run)?.iter().all(|heavy| heavy.size == heavy.item.weight));
        *self = out;
        Ok(())
    }

    /// Goes over to a smaller size.
    fn shrink(&mut self, k: usize, run: Run<'_>) -> Result<()> {
        let smaller = k < self.header.k;
        self.header.k = k;
        if smaller && !self.is_empty() {
            let items = self.contents(run)?;
            self.heavy.clear();
            self.light.clear();
            self.light_total = Sum::default();
            self.take_in(&items, run)?;
        }
        Ok(())
    }

    /// Takes in items that have no index in the shard yet.
    fn take_in(&mut self, items: &[Sized], run: Run<'_>) -> Result<()> {
        let mut entering = Vec::new();
        for range in run.blocks(items.len(), CHUNK) {
            let items = &items[range?];
            self.prepare(items.len(), &mut entering, run)?;
            for &item in items {
                let u = self.header.counters.draws(Purpose::Drop, 0).precise_uniform();
                self.offer(item, u, 0, &mut entering);
                self.header.counters.advance(1);
            }
        }
        Ok(())
    }

    /// The sample, the heaviest first, and the threshold.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn sample(&self, run: Run<'_>) -> Result<(Sample, f64)> {
        let tau = self.tau();
        let contents = self.contents(run)?;
        let items = contents.iter().map(|sized| sized.item);
        let inclusion = |w| if w < tau { w / tau } else { 1.0 };
        Ok((Sample::new(items, self.header.has_values(), inclusion, run)?, tau))
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let contents = self.contents(run)?;
        let words = self.header.words(contents.len()) + 4;
        let mut to = Writer::with_capacity(Kind::VarOpt, words)?;
        self.header.write(&mut to);
        to.float(self.light_total.high);
        to.float(self.light_total.low);
        to.word(self.heavy.len() as u64);
        to.word(self.light.len() as u64);
        self.header.write_items(contents.iter().map(|sized| &sized.item), &mut to, run)?;
        Ok(to.finish())
    }

    /// The sketch of these bytes, after the kind.
    ///
    /// # Errors
    /// If no sketch has these bytes, there is no memory for it, or the work is cancelled.
    pub(super) fn read(mut from: Reader<'_>, run: Run<'_>) -> Result<Self> {
        // 1. The columns.
        let header = Header::read(&mut from)?;
        let light_total = Sum { high: from.float()?, low: from.float()? };
        let (heavy, light) = (from.length()?, from.length()?);
        let items = header.read_items(heavy + light, &mut from, run)?;
        from.finish()?;
        let (heavy, light) = items.split_at(heavy);
        let mut out = Self { light_total, ..Self::empty(header) };
        out.heavy.reserve(heavy.len())?;
        let sized = |&item: &Item| Sized { size: item.weight, item };
        heavy.iter().map(sized).for_each(|item| out.heavy.push(item));
        out.light = copied(light, ITEMS, run)?;
        out.about = out.total(run)?;

        // 2. What they say of each other.
        let len = out.len();
        if out.header.counters.coordinated() || len > out.header.k || len as u64 > out.header.n {
            return Err(corrupt("more items than it may hold"));
        }
        let tau = out.tau();
        let fits = if light.is_empty() {
            light_total == Sum::default()
        } else {
            len == out.header.k
                && light_total.high > 0.0
                && light_total.low.abs() <= SLACK * light_total.high
                && light.iter().all(|item| item.weight <= tau * (1.0 + SLACK))
                && heavy.iter().all(|item| item.weight >= tau * (1.0 - SLACK))
        };
        if !fits || finite(out.about, "data").is_err() {
            return Err(corrupt("weights and threshold do not fit together"));
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
