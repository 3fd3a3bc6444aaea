//! The `k + 1` items of least key: what bottom-k and priority samples have in common.

use std::cmp::Ordering;
use std::collections::hash_map;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use sortes_core::bytes::{Kind, Reader, Writer, corrupt};
use sortes_core::memory::{copied, reserve, with_capacity};
use sortes_core::order::{select_nth, sort};
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Result, Run, vectorised};

use super::batch::{Batch, Item};
use super::counters::Counters;
use super::header::Header;
use super::ids::{Indices, reserve_indices};
use super::sample::Sample;
use super::{CHUNK, PIECE};

mod beginning;

/// For up to this many ids memory is asked for in advance, if a batch has as many.
const AHEAD: usize = 1 << 20;
/// Work on more entries than this takes so long that it must be stoppable, and so much that a copy of
/// them costs little beside it.
const LONG: usize = 1 << 20;
/// What runs out of memory.
const ITEMS: &str = "items of a sketch";

/// The least weight that items are drawn by: keys of lighter ones would not be finite.
const LEAST: f64 = 16.0 * f64::MIN_POSITIVE;

/// The weight that an item is drawn by.
#[inline(always)]
fn rate(weight: f64) -> f64 {
    // One instruction, where `max` would look for NaN first.
    if weight > LEAST { weight } else { LEAST }
}

/// Items that a word has bits for.
const WORD: usize = 64;

vectorised! {
    /// Sets the bits of the items whose keys may lie below the limit.
    fn near_bits(u: &[f64], weights: &[f64], limit: f64, bits: &mut [u64]) {
        for ((u, weights), word) in u.chunks(WORD).zip(weights.chunks(WORD)).zip(bits) {
            let (mut near, mut lane) = (0, 1u64);
            for (&u, &weight) in u.iter().zip(weights) {
                // Without a branch, so that many are compared at once.
                let (below, positive) = (u <= limit * rate(weight), weight > 0.0);
                near |= if below & positive { lane } else { 0 };
                lane = lane.wrapping_shl(1);
            }
            *word = near;
        }
    }
}

/// How the uniform `u` of an item becomes its key `rank(u) / rate(w)`.
pub trait Rank: Send + Sync + 'static {
    /// What the bytes of such a sketch begin with.
    const KIND: Kind;

    /// Grows with `u`, and is at least `u`.
    fn rank(u: f64) -> f64;

    /// Turns uniforms into ranks, with the bits of [`rank`](Self::rank).
    fn ranks(u: &mut [f64]);

    /// The chance that the key of an item of this rate is below the threshold.
    fn inclusion(rate: f64, threshold: f64) -> f64;

    /// What users call the threshold.
    fn threshold(key: f64) -> f64;
}

/// An item and its key.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    key: f64,
    item: Item,
}

impl Entry {
    /// By key. Equal keys are those of one item, or a coincidence; the rest only makes the order
    /// total, so that the state is a function of the data.
    fn order(&self, other: &Self) -> Ordering {
        (self.key.total_cmp(&other.key))
            .then(self.item.id.cmp(&other.item.id))
            .then(other.item.weight.total_cmp(&self.item.weight))
            .then(self.item.value.total_cmp(&other.item.value))
    }
}

/// The ids of entries, of which the first has the index `first`.
fn ids_from(entries: &[Entry], first: usize) -> impl Iterator<Item = (i64, u32)> {
    entries.iter().zip(first as u32..).map(|(entry, index)| (entry.item.id, index))
}

/// A sketch of the `k + 1` items of least key.
///
/// Candidates gather in a buffer of twice that size, which is then cut in half at its median: a
/// candidate costs a constant amount of work on average. All others cost a random number and a
/// comparison. With counters by id, an id is held once, with its least key (that of its greatest
/// weight).
#[derive(Debug)]
pub struct Ranked<R> {
    header: Header,
    entries: Vec<Entry>,
    /// Where each id is, with counters by id; nothing, until something is offered.
    indices: Indices,
    /// The last of the `k + 1` at the latest cut: nothing beyond it can come in.
    bound: Option<Entry>,
    rank: PhantomData<R>,
}

impl<R: Rank> Ranked<R> {
    /// An empty sketch whose items have the numbers that the stream gives their ids.
    ///
    /// # Errors
    /// If `k` is zero or at least `2^31`.
    pub fn coordinated(k: u64, stream: Stream) -> Result<Self> {
        Ok(Self::empty(Header::new(k, Counters::by_id(stream))?))
    }

    /// An empty sketch whose items have the numbers of their indices in a shard.
    ///
    /// # Errors
    /// If `k` is zero or at least `2^31`, or the shard is not below `2^48`.
    pub fn fresh(k: u64, stream: Stream, shard: u64) -> Result<Self> {
        Ok(Self::empty(Header::new(k, Counters::by_index(stream, shard)?)?))
    }

    fn empty(header: Header) -> Self {
        let (entries, indices) = (Vec::new(), Indices::default());
        Self { header, entries, indices, bound: None, rank: PhantomData }
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
        let mut out = Self::empty(self.header.clone());
        out.entries = copied(&self.entries, ITEMS, run)?;
        out.bound = self.bound;
        // With the same capacity a map is copied as it is, into memory that is there.
        reserve_indices(&mut out.indices, self.indices.capacity())?;
        out.indices.clone_from(&self.indices);
        Ok(out)
    }

    /// What all sketches know of themselves.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of items in the sample.
    pub fn len(&self) -> usize {
        self.entries.len().min(self.header.k)
    }

    /// Whether the sample is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a batch in. Progress counts items.
    ///
    /// # Errors
    /// If some batches have values and others have not (nothing is taken), or if there is no memory or
    /// the work is cancelled (a beginning of the batch is taken; [`Header::n`] says how much).
    pub fn update(&mut self, batch: &Batch<'_>, run: Run<'_>) -> Result<()> {
        self.header.admit(batch)?;
        let mut start = self.begin(batch, run)?;
        if self.bound.is_none() {
            self.reserve(batch.len().min(AHEAD), run)?;
        }
        let slots: Vec<Mutex<Vec<Entry>>> = match run.threads.count() {
            1 => vec![Mutex::default()],
            count => (0..4 * count).map(|_| Mutex::default()).collect(),
        };
        while start < batch.len() {
            run.check()?;
            // Without a bound, everything is a candidate.
            let slots = if self.bound.is_some() { &slots[..] } else { &slots[..1] };
            let pieces = (batch.len() - start).div_ceil(PIECE).min(slots.len());
            self.make_room(pieces * PIECE, run)?;
            // Threads look for candidates, which are then taken in by this one.
            let this = &*self;
            let bound = self.bound.map_or(f64::INFINITY, |bound| bound.key);
            run.try_for_each(pieces, |piece| {
                let from = start + piece * PIECE;
                let to = (from + PIECE).min(batch.len());
                let mut found = slots[piece].lock().unwrap_or_else(PoisonError::into_inner);
                found.clear();
                this.candidates(batch, (from, to), (from - start) as u64, bound, &mut found)
            })?;
            let found = slots[..pieces].iter().map(|slot| slot.lock());
            let found: Vec<_> =
                found.map(|slot| slot.unwrap_or_else(PoisonError::into_inner)).collect();
            self.reserve(found.iter().map(|found| found.len()).sum(), run)?;
            for &entry in found.iter().flat_map(|found| found.iter()) {
                self.offer(entry);
            }
            let taken = (pieces * PIECE).min(batch.len() - start);
            self.header.count(taken as u64);
            run.advance(taken as u64);
            start += taken;
        }
        Ok(())
    }

    /// How many entries are held before they are cut in half.
    fn capacity(&self) -> usize {
        2 * (self.header.k + 1)
    }

    /// Cuts now, if these candidates may lead to a cut that takes long: that one would be deaf.
    fn make_room(&mut self, candidates: usize, run: Run<'_>) -> Result<()> {
        if self.capacity() > LONG && self.entries.len() + candidates >= self.capacity() {
            self.cut(run)?;
        }
        Ok(())
    }

    /// Asks for memory for this many candidates, of which no more are held than fit; and finds the
    /// indices, if there are none yet.
    fn reserve(&mut self, candidates: usize, run: Run<'_>) -> Result<()> {
        let more = candidates.min(self.capacity().saturating_sub(self.entries.len()));
        reserve(&mut self.entries, more, ITEMS)?;
        if self.header.counters.coordinated() {
            if self.indices.len() < self.entries.len() {
                self.indices = self.indices_of(&self.entries, self.entries.len() + more, run)?;
            }
            reserve_indices(&mut self.indices, more)?;
        }
        Ok(())
    }

    /// Appends the items whose keys may lie below a bound, and few others.
    fn candidates(
        &self,
        batch: &Batch<'_>,
        (from, to): (usize, usize),
        skip: u64,
        bound: f64,
        out: &mut Vec<Entry>,
    ) -> Result<()> {
        // A key is at least u / w, so that most items need no logarithm and no division. The margin
        // is wider than what rounding can do, for keys below the normal numbers as well.
        let limit = (bound * (1.0 + 8.0 * f64::EPSILON)).next_up();
        let (mut u, mut w) = ([0.0; CHUNK], [0.0; CHUNK]);
        let (mut bits, mut places) = ([0; CHUNK / WORD], [0; CHUNK]);
        for start in (from..to).step_by(CHUNK) {
            let len = CHUNK.min(to - start);
            let (u, w) = (&mut u[..len], &mut w[..len]);
            let skip = skip + (start - from) as u64;
            self.header.counters.uniforms(Purpose::Item, skip, &batch.ids()[start..start + len], u);
            batch.weights_into(start, w);
            let bits = &mut bits[..len.div_ceil(WORD)];
            near_bits(u, w, limit, bits);
            let mut many = 0;
            for (word, &bits) in bits.iter().enumerate() {
                let mut left = bits;
                while left != 0 {
                    let place = word * WORD + left.trailing_zeros() as usize;
                    left &= left - 1;
                    // Those before it have been moved to the front already.
                    (places[many], u[many]) = (place, u[place]);
                    many += 1;
                }
            }
            R::ranks(&mut u[..many]);
            reserve(out, many, "candidates")?;
            for (&place, &rank) in places[..many].iter().zip(u.iter()) {
                let item = batch.item(start + place, w[place]);
                out.push(Entry { key: rank / rate(item.weight), item });
            }
        }
        Ok(())
    }

    /// Takes an entry in, for which there is memory.
    fn offer(&mut self, entry: Entry) {
        if self.bound.is_some_and(|bound| entry.order(&bound) != Ordering::Less) {
            return;
        }
        if self.header.counters.coordinated() {
            match self.indices.entry(entry.item.id) {
                hash_map::Entry::Occupied(index) => {
                    let held = &mut self.entries[*index.get() as usize];
                    if entry.order(held) == Ordering::Less {
                        *held = entry;
                    }
                    return;
                }
                hash_map::Entry::Vacant(index) => {
                    index.insert(self.entries.len() as u32);
                }
            }
        }
        self.entries.push(entry);
        if self.entries.len() >= self.capacity() {
            self.cut_in_place();
        }
    }

    /// Keeps the `k + 1` least of more than `k`, and finds the bound.
    fn cut_in_place(&mut self) {
        let k = self.header.k;
        self.entries.select_nth_unstable_by(k, Entry::order);
        self.entries.truncate(k + 1);
        self.bound = self.entries.last().copied();
        if self.header.counters.coordinated() {
            self.indices.clear();
            self.indices.extend(ids_from(&self.entries, 0));
        }
    }

    /// As [`cut_in_place`](Self::cut_in_place), if there are more than `k`; where that takes long, on
    /// a copy, so that an error changes nothing.
    fn cut(&mut self, run: Run<'_>) -> Result<()> {
        let k = self.header.k;
        if self.entries.len() > LONG.max(k) {
            let mut entries = copied(&self.entries, ITEMS, run)?;
            select_nth(&mut entries, k, Entry::order, run)?;
            entries.truncate(k + 1);
            self.indices = self.indices_of(&entries, self.indices.capacity(), run)?;
            self.bound = entries.last().copied();
            self.entries = entries;
        } else if self.entries.len() > k {
            self.cut_in_place();
        }
        Ok(())
    }

    /// The indices of these entries, with counters by id, and room for this many.
    fn indices_of(&self, entries: &[Entry], room: usize, run: Run<'_>) -> Result<Indices> {
        let mut indices = Indices::default();
        if self.header.counters.coordinated() {
            reserve_indices(&mut indices, room)?;
            for range in run.blocks(entries.len(), PIECE) {
                let range = range?;
                indices.extend(ids_from(&entries[range.clone()], range.start));
            }
        }
        Ok(indices)
    }

    /// Takes in what another sketch has seen: the result is that of both data together, with the
    /// smaller `k`.
    ///
    /// # Errors
    /// If the sketches do not fit together, there is no memory, or the work is cancelled; this one is
    /// then as before.
    pub fn merge(&mut self, other: &Self, run: Run<'_>) -> Result<()> {
        let mut header = self.header.clone();
        header.merge(&other.header)?;
        if self.entries.len() + other.entries.len() <= LONG {
            return self.take_in(header, other, run.to_the_end());
        }
        // With room for all: moving the indices to a larger place would take long.
        let room = self.capacity().min(self.entries.len() + other.entries.len());
        let mut merged = Self::empty(self.header.clone());
        merged.entries = copied(&self.entries, ITEMS, run)?;
        merged.indices = self.indices_of(&self.entries, room, run)?;
        merged.bound = self.bound;
        merged.take_in(header, other, run)?;
        *self = merged;
        Ok(())
    }

    /// Takes in the entries of another sketch; `header` is that of both. If there is no memory,
    /// nothing is changed; if the work is cancelled, some entries are taken in.
    fn take_in(&mut self, header: Header, other: &Self, run: Run<'_>) -> Result<()> {
        self.reserve(other.entries.len(), run)?;
        let before = std::mem::replace(&mut self.header, header).k;
        if self.header.k < before {
            self.cut(run)?;
        }
        for range in run.blocks(other.entries.len(), PIECE) {
            let range = range?;
            self.make_room(range.len(), run)?;
            // A cut on a copy may have left less memory than there was.
            self.reserve(range.len(), run)?;
            for &entry in &other.entries[range] {
                self.offer(entry);
            }
        }
        Ok(())
    }

    /// The `k + 1` least, in order.
    fn least(&self, run: Run<'_>) -> Result<Vec<Entry>> {
        let mut least = copied(&self.entries, ITEMS, run)?;
        let held = self.header.k + 1;
        if least.len() > held {
            select_nth(&mut least, held, Entry::order, run)?;
            least.truncate(held);
        }
        sort(&mut least, Entry::order, run)?;
        Ok(least)
    }

    /// The sample, in order of keys, and the threshold.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn sample(&self, run: Run<'_>) -> Result<(Sample, f64)> {
        let least = self.least(run)?;
        let threshold = least.get(self.header.k).map_or(f64::INFINITY, |entry| entry.key);
        let items = least.iter().take(self.header.k).map(|entry| entry.item);
        let inclusion = |w| R::inclusion(rate(w), threshold);
        let sample = Sample::new(items, self.header.has_values(), inclusion, run)?;
        Ok((sample, R::threshold(threshold)))
    }

    /// The state as bytes: equal for equal data, however they came in.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let least = self.least(run)?;
        let words = self.header.words(least.len()) + 1 + least.len();
        let mut to = Writer::with_capacity(R::KIND, words)?;
        self.header.write(&mut to);
        to.word(least.len() as u64);
        to.words(least.iter().map(|entry| entry.key.to_bits()), run)?;
        self.header.write_items(least.iter().map(|entry| &entry.item), &mut to, run)?;
        Ok(to.finish())
    }

    /// The sketch of these bytes, after the kind.
    ///
    /// # Errors
    /// If no sketch has these bytes, there is no memory for it, or the work is cancelled.
    pub(super) fn read(mut from: Reader<'_>, run: Run<'_>) -> Result<Self> {
        // 1. The columns.
        let header = Header::read(&mut from)?;
        let count = from.length()?;
        let keys = from.column(count, "keys of a sketch", run, f64::from_bits)?;
        let items = header.read_items(count, &mut from, run)?;
        from.finish()?;
        let mut out = Self::empty(header);
        if count > out.header.k + 1 || count as u64 > out.header.n {
            return Err(corrupt("more items than it may hold"));
        }

        // 2. Keys are in order, and with counters by id those of their items.
        let mut entries = with_capacity(count, ITEMS)?;
        entries.extend(keys.iter().zip(items).map(|(&key, item)| Entry { key, item }));
        let in_range = |entry: &Entry| (0.0..=f64::MAX).contains(&entry.key);
        for range in run.blocks(count, PIECE) {
            let range = range?;
            let with_next = &entries[range.start..count.min(range.end + 1)];
            let ordered = with_next.is_sorted_by(|a, b| a.order(b) == Ordering::Less);
            if !ordered || !with_next.iter().all(in_range) {
                return Err(corrupt("keys"));
            }
            if !entries[range].chunks(CHUNK).all(|chunk| out.has_keys_of(chunk)) {
                return Err(corrupt("a key is not that of its item"));
            }
        }

        // 3. No id comes twice.
        out.reserve(count, run)?;
        for range in run.blocks(count, PIECE) {
            entries[range?].iter().for_each(|&entry| out.offer(entry));
        }
        if out.entries.len() != count {
            return Err(corrupt("an id comes twice"));
        }
        out.cut(run)?;
        Ok(out)
    }

    /// Whether the keys of at most [`CHUNK`] entries are those that their ids draw.
    fn has_keys_of(&self, entries: &[Entry]) -> bool {
        if !self.header.counters.coordinated() {
            return true;
        }
        let (mut ids, mut u) = ([0; CHUNK], [0.0; CHUNK]);
        ids.iter_mut().zip(entries).for_each(|(id, entry)| *id = entry.item.id);
        let (ids, u) = (&ids[..entries.len()], &mut u[..entries.len()]);
        self.header.counters.uniforms(Purpose::Item, 0, ids, u);
        let is_key =
            |(u, entry): (&f64, &Entry)| R::rank(*u) / rate(entry.item.weight) == entry.key;
        u.iter().zip(entries).all(is_key)
    }
}

#[cfg(test)]
mod tests;
