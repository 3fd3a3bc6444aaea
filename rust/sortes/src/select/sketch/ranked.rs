//! The `k + 1` items of least key: what bottom-k and priority samples have in common.

use std::cmp::Ordering;
use std::collections::{HashMap, hash_map};
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::Purpose;
use sortes_core::{Error, Result};

use super::batch::{Batch, Item};
use super::header::Header;
use super::names::Names;
use super::sample::Sample;
use super::{CHUNK, PIECE};
use sortes_core::bytes::{Kind, Reader, Writer, corrupt};

/// For so many ids there is room in advance, if a batch has as many.
const ROOM: usize = 1 << 20;

/// The least weight that items are drawn by: keys of lighter ones would not be finite.
const LEAST: f64 = 16.0 * f64::MIN_POSITIVE;

/// The weight that an item is drawn by.
#[inline]
fn rate(weight: f64) -> f64 {
    weight.max(LEAST)
}

/// How the uniform `u` of an item becomes its key `rank(u) / rate(w)`.
pub trait Rank: Send + Sync + 'static {
    /// What the bytes of such a sketch begin with.
    const KIND: Kind;

    /// Grows with `u`, and is at least `u`.
    fn rank(u: f64) -> f64;

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

/// Ids are the users' own, often consecutive: a multiplication and a fold spread them.
#[derive(Clone, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_i64(i64::from(byte) ^ self.0.cast_signed());
        }
    }

    fn write_i64(&mut self, id: i64) {
        let product = u128::from(id.cast_unsigned() ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(0xA076_1D64_78BD_642F_u64);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

type Places = HashMap<i64, u32, BuildHasherDefault<IdHasher>>;

/// A sketch of the `k + 1` items of least key.
///
/// Candidates gather in a buffer of twice that size, which is then cut in half at its median: a
/// candidate costs a constant amount of work on average. All others cost a random number and a
/// comparison. Where ids name the random numbers, an id is held once, with its least key (that of
/// its greatest weight).
#[derive(Clone, Debug)]
pub struct Ranked<R> {
    header: Header,
    entries: Vec<Entry>,
    /// Where each id is, if ids name the numbers.
    places: Places,
    /// The last of the `k + 1` at the latest cut: nothing beyond it can come in.
    bound: Option<Entry>,
    rank: PhantomData<R>,
}

impl<R: Rank> Ranked<R> {
    /// An empty sketch whose items have the numbers that `seed` gives their ids.
    ///
    /// # Errors
    /// If `k` is zero or at least `2^31`.
    pub fn coordinated(k: u64, seed: u64) -> Result<Self> {
        Ok(Self::empty(Header::new(k, Names::of_ids(seed))?))
    }

    /// An empty sketch whose items have the numbers of their places in the stream of a shard.
    ///
    /// # Errors
    /// If `k` is zero or at least `2^31`, or the shard is not below `2^48`.
    pub fn fresh(k: u64, seed: u64, shard: u64) -> Result<Self> {
        Ok(Self::empty(Header::new(k, Names::of_places(seed, shard)?)?))
    }

    fn empty(header: Header) -> Self {
        let (entries, places) = (Vec::new(), Places::default());
        Self { header, entries, places, bound: None, rank: PhantomData }
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
        self.entries.len().min(self.header.k)
    }

    /// Whether the sample is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a batch in.
    ///
    /// # Errors
    /// If some batches have values and others have not (nothing is taken), or on cancellation (a
    /// beginning of the batch is taken; [`Header::n`] says how much).
    pub fn update(
        &mut self,
        batch: &Batch<'_>,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        self.header.admit(batch)?;
        if self.bound.is_none() && self.header.names.coordinated() {
            let room = 2 * (self.header.k + 1) - self.entries.len();
            self.places.reserve(room.min(batch.len()).min(ROOM));
        }
        cancel.expect(batch.len() as u64);
        let slots: Vec<Mutex<Vec<Entry>>> = match threads.count() {
            1 => vec![Mutex::default()],
            count => (0..4 * count).map(|_| Mutex::default()).collect(),
        };
        let mut start = 0;
        while start < batch.len() {
            cancel.check()?;
            // Without a bound, everything is a candidate.
            let slots = if self.bound.is_some() { &slots[..] } else { &slots[..1] };
            let pieces = (batch.len() - start).div_ceil(PIECE).min(slots.len());
            let this = &*self;
            threads.for_each(pieces, |piece| {
                let from = start + piece * PIECE;
                let to = (from + PIECE).min(batch.len());
                let mut found = slots[piece].lock().unwrap_or_else(PoisonError::into_inner);
                this.candidates(batch, from, to, (from - start) as u64, &mut found);
            });
            for slot in &slots[..pieces] {
                for entry in slot.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                    self.offer(entry);
                }
            }
            let taken = (pieces * PIECE).min(batch.len() - start);
            self.header.count(taken as u64);
            cancel.advance(taken as u64);
            start += taken;
        }
        Ok(())
    }

    /// Appends the items whose keys may lie below the bound.
    fn candidates(
        &self,
        batch: &Batch<'_>,
        from: usize,
        to: usize,
        skip: u64,
        out: &mut Vec<Entry>,
    ) {
        // A key is at least u / w, so that most items need no logarithm and no division. The margin
        // is wider than what rounding can do, for keys below the normal numbers as well.
        let limit = self
            .bound
            .map_or(f64::INFINITY, |bound| (bound.key * (1.0 + 8.0 * f64::EPSILON)).next_up());
        let (mut u, mut w) = ([0.0; CHUNK], [0.0; CHUNK]);
        for start in (from..to).step_by(CHUNK) {
            let len = CHUNK.min(to - start);
            let (u, w) = (&mut u[..len], &mut w[..len]);
            let skip = skip + (start - from) as u64;
            self.header.names.uniforms(Purpose::Item, skip, &batch.ids()[start..start + len], u);
            batch.weights_into(start, w);
            for (i, (&u, &w)) in u.iter().zip(&*w).enumerate() {
                if u <= limit * rate(w) && w > 0.0 {
                    out.push(Entry { key: R::rank(u) / rate(w), item: batch.item(start + i, w) });
                }
            }
        }
    }

    fn offer(&mut self, entry: Entry) {
        if self.bound.is_some_and(|bound| entry.order(&bound) != Ordering::Less) {
            return;
        }
        if self.header.names.coordinated() {
            match self.places.entry(entry.item.id) {
                hash_map::Entry::Occupied(place) => {
                    let held = &mut self.entries[*place.get() as usize];
                    if entry.order(held) == Ordering::Less {
                        *held = entry;
                    }
                    return;
                }
                hash_map::Entry::Vacant(place) => {
                    place.insert(self.entries.len() as u32);
                }
            }
        }
        self.entries.push(entry);
        if self.entries.len() == 2 * (self.header.k + 1) {
            self.cut();
        }
    }

    /// Keeps the `k + 1` least, and finds the bound.
    fn cut(&mut self) {
        let k = self.header.k;
        if self.entries.len() <= k {
            return;
        }
        self.entries.select_nth_unstable_by(k, Entry::order);
        self.entries.truncate(k + 1);
        self.bound = Some(self.entries[k]);
        if self.header.names.coordinated() {
            self.places.clear();
            let ids = self.entries.iter().zip(0..).map(|(entry, place)| (entry.item.id, place));
            self.places.extend(ids);
        }
    }

    /// Takes in what another sketch has seen: the result is that of both data together, with the
    /// smaller `k`.
    ///
    /// # Errors
    /// If the sketches do not go together; this one is then as before.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let before = self.header.k;
        self.header.merge(&other.header)?;
        if self.header.k < before {
            self.cut();
        }
        for &entry in &other.entries {
            self.offer(entry);
        }
        Ok(())
    }

    /// The `k + 1` least, in order.
    fn least(&self) -> Vec<Entry> {
        let mut least = self.entries.clone();
        let held = self.header.k + 1;
        if least.len() > held {
            least.select_nth_unstable_by(held, Entry::order);
            least.truncate(held);
        }
        least.sort_unstable_by(Entry::order);
        least
    }

    /// The sample, in order of keys, and the threshold.
    pub fn sample(&self) -> (Sample, f64) {
        let least = self.least();
        let threshold = least.get(self.header.k).map_or(f64::INFINITY, |entry| entry.key);
        let items = least.iter().take(self.header.k).map(|entry| entry.item);
        let inclusion = |w| R::inclusion(rate(w), threshold);
        (Sample::new(items, self.header.has_values(), inclusion), R::threshold(threshold))
    }

    /// The state as bytes: equal for equal data, however they came in.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::new(R::KIND);
        self.header.write(&mut to);
        let least = self.least();
        to.word(least.len() as u64);
        for entry in &least {
            to.float(entry.key);
        }
        self.header.write_items(least.iter().map(|entry| &entry.item), &mut to);
        to.finish()
    }

    /// The sketch of these bytes, after the kind.
    ///
    /// # Errors
    /// If no sketch has these bytes.
    pub(super) fn read(mut from: Reader<'_>) -> Result<Self> {
        let header = Header::read(&mut from)?;
        let count = from.length()?;
        let keys = from.words(count)?.map(f64::from_bits);
        let items = header.read_items(count, &mut from)?;
        from.finish()?;
        let entries: Vec<Entry> = keys.zip(items).map(|(key, item)| Entry { key, item }).collect();
        let mut out = Self::empty(header);
        if count > out.header.k + 1 || count as u64 > out.header.n {
            return Err(corrupt("more items than it may hold"));
        }
        let ordered = entries.is_sorted_by(|a, b| a.order(b) == Ordering::Less);
        if !ordered || entries.iter().any(|entry| !(0.0..=f64::MAX).contains(&entry.key)) {
            return Err(corrupt("keys"));
        }
        if out.header.names.coordinated() {
            let mut u = [0.0; CHUNK];
            for chunk in entries.chunks(CHUNK) {
                let mut ids = [0; CHUNK];
                ids.iter_mut().zip(chunk).for_each(|(id, entry)| *id = entry.item.id);
                let (ids, u) = (&ids[..chunk.len()], &mut u[..chunk.len()]);
                out.header.names.uniforms(Purpose::Item, 0, ids, u);
                let key =
                    |(u, entry): (&f64, &Entry)| R::rank(*u) / rate(entry.item.weight) == entry.key;
                if !u.iter().zip(chunk).all(key) {
                    return Err(corrupt("a key is not that of its item"));
                }
            }
        }
        for &entry in &entries {
            out.offer(entry);
        }
        if out.entries.len() != count {
            return Err(corrupt("an id comes twice"));
        }
        out.cut();
        Ok(out)
    }
}

/// The error of sketches of two kinds.
pub(super) fn other_kind() -> Error {
    Error::argument("other", "must be a sketch of the same kind")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{BottomK, PrioritySample};
    use super::*;

    const VECTORS: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/select/sketch.json"));

    fn floats(list: &Value) -> Vec<f64> {
        list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::INFINITY)).collect()
    }

    fn ids(list: &Value) -> Vec<i64> {
        list.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
    }

    fn close(a: f64, b: f64) -> bool {
        a == b || (a - b).abs() <= 1e-9 * b.abs()
    }

    /// The sketch of items with these uniforms; `u` is the uniform that [`Rank::rank`] takes.
    fn sketch<R: Rank>(case: &Value, items: &[i64], u: impl Fn(f64) -> f64) -> Ranked<R> {
        let (w, us) = (floats(&case["w"]), floats(&case["u"]));
        let mut out = Ranked::<R>::coordinated(case["k"].as_u64().unwrap(), 0).unwrap();
        for &id in items {
            let (weight, u) = (w[id as usize], u(us[id as usize]));
            if weight > 0.0 {
                let item = Item { id, weight, value: 0.0 };
                out.offer(Entry { key: R::rank(u) / weight, item });
            }
        }
        out
    }

    fn check(case: &Value, sketch: &Ranked<impl Rank>, threshold: &str) {
        let (sample, got) = sketch.sample();
        assert_eq!(sample.ids, ids(&case["selected"]));
        assert!(close(got, case[threshold].as_f64().unwrap_or(f64::INFINITY)));
        for (id, &adjusted) in sample.ids.iter().zip(&sample.adjusted) {
            assert!(close(adjusted, case["estimates"][id.to_string()].as_f64().unwrap()));
        }
    }

    #[test]
    fn bottom_k_vectors() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for case in vectors["es_keys"].as_array().unwrap() {
            // The vectors have keys -ln(u) / w, ours are -ln(1 - u) / w.
            let of = |items: &[i64]| sketch::<super::super::Exponential>(case, items, |u| 1.0 - u);
            let keys = floats(&case["keys"]);
            let whole: BottomK = of(&(0..keys.len() as i64).collect::<Vec<_>>());
            for entry in &whole.entries {
                assert!(close(entry.key, keys[entry.item.id as usize]));
            }
            check(case, &whole, "threshold");
            let shards = case["merge"].as_array().unwrap();
            let mut merged = of(&[]);
            for shard in shards.iter().rev() {
                merged.merge(&of(&ids(shard))).unwrap();
            }
            check(case, &merged, "threshold");
        }
    }

    #[test]
    fn priority_vectors() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for case in vectors["priority"].as_array().unwrap() {
            let items: Vec<i64> = (0..floats(&case["w"]).len() as i64).collect();
            let whole: PrioritySample = sketch(case, &items, |u| u);
            check(case, &whole, "tau");
        }
    }
}
