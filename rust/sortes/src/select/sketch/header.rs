//! What all sketches know of themselves, and how items are written.

use sortes_core::bytes::{Reader, Writer, corrupt};
use sortes_core::{Error, Result, Run};

use super::batch::{Batch, Item};
use super::counters::Counters;

/// Larger samples are taken for a mistake; an index among twice as many fits into 32 bits.
const MOST: u64 = (1 << 31) - 1;

/// The size, the number of items offered, and where random numbers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub(super) k: usize,
    pub(super) n: u64,
    pub(super) counters: Counters,
    /// Whether items have values; unknown before the first.
    values: Option<bool>,
}

impl Header {
    pub(super) fn new(k: u64, counters: Counters) -> Result<Self> {
        if !(1..=MOST).contains(&k) {
            return Err(Error::argument("k", format!("must be in [1, 2**31), got {k}")));
        }
        Ok(Self { k: k as usize, n: 0, counters, values: None })
    }

    pub(super) fn for_shard(&self, shard: u64) -> Result<Self> {
        Ok(Self { k: self.k, n: 0, counters: self.counters.for_shard(shard)?, values: None })
    }

    /// The largest number of items in the sample.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How many items were offered: repeated ones and those of weight zero count.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Whether items have the numbers of their ids.
    pub fn is_coordinated(&self) -> bool {
        self.counters.coordinated()
    }

    /// Whether numbers of this shard have been drawn by what is in the sketch: another sketch that
    /// draws them cannot be merged in.
    ///
    /// # Errors
    /// If the shard is not below `2^48`.
    pub fn has_drawn(&self, shard: u64) -> Result<bool> {
        self.counters.has_drawn(shard)
    }

    pub(super) fn has_values(&self) -> bool {
        self.values == Some(true)
    }

    /// Makes sure that a batch fits those before it.
    pub(super) fn admit(&mut self, batch: &Batch<'_>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.values.is_some_and(|values| values != batch.has_values()) {
            let reason = "must come with every batch or with none";
            return Err(Error::argument("values", reason));
        }
        self.counters.reserve(batch.len() as u64)?;
        self.values = Some(batch.has_values());
        Ok(())
    }

    /// Counts items as offered.
    pub(super) fn count(&mut self, items: u64) {
        self.n = self.n.saturating_add(items);
        self.counters.advance(items);
    }

    /// Joins the header of a sketch that is merged in.
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        if let (Some(ours), Some(theirs)) = (self.values, other.values)
            && ours != theirs
        {
            return Err(Error::argument("other", "only one of the sketches has values"));
        }
        self.counters.merge(&other.counters)?;
        self.k = self.k.min(other.k);
        self.n = self.n.saturating_add(other.n);
        self.values = self.values.or(other.values);
        Ok(())
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.word(self.k as u64);
        to.word(self.n);
        to.word(self.values.map_or(0, |values| 1 + u64::from(values)));
        self.counters.write(to);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let [k, n, values] = [from.word()?, from.word()?, from.word()?];
        let mut out = Self::new(k, Counters::read(from)?).map_err(|_| corrupt("its size"))?;
        out.n = n;
        out.values = match values {
            0 if n == 0 => None,
            1 | 2 => Some(values == 2),
            _ => return Err(corrupt("whether it has values")),
        };
        Ok(out)
    }

    /// How many words a state of this header takes, with `count` items.
    pub(super) fn words(&self, count: usize) -> usize {
        3 + self.counters.words() + count * (2 + usize::from(self.has_values()))
    }

    /// Writes items by column.
    pub(super) fn write_items<'a>(
        &self,
        items: impl ExactSizeIterator<Item = &'a Item> + Clone,
        to: &mut Writer,
        run: Run<'_>,
    ) -> Result<()> {
        to.words(items.clone().map(|item| item.id.cast_unsigned()), run)?;
        to.words(items.clone().map(|item| item.weight.to_bits()), run)?;
        if self.has_values() {
            to.words(items.map(|item| item.value.to_bits()), run)?;
        }
        Ok(())
    }

    /// Reads items: weights positive and finite, values finite.
    pub(super) fn read_items(
        &self,
        count: usize,
        from: &mut Reader<'_>,
        run: Run<'_>,
    ) -> Result<Vec<Item>> {
        let new = |id: u64| Item { id: id.cast_signed(), weight: 0.0, value: 0.0 };
        let mut items = from.column(count, "items", run, new)?;
        let mut weights = from.words(count)?.map(f64::from_bits);
        let values = if self.has_values() { count } else { 0 };
        let mut values = from.words(values)?.map(f64::from_bits);
        for range in run.blocks(count, super::PIECE) {
            for item in &mut items[range?] {
                item.weight = weights.next().unwrap_or_default();
                if !(item.weight > 0.0 && item.weight.is_finite()) {
                    return Err(corrupt("a weight is not positive and finite"));
                }
                item.value = values.next().unwrap_or_default();
                if !item.value.is_finite() {
                    return Err(corrupt("a value is not finite"));
                }
            }
        }
        Ok(items)
    }
}
