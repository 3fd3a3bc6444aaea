//! The counters of the random numbers of a sketch.

use sortes_core::bytes::{Reader, Writer, corrupt};
use sortes_core::rng::bulk::{self, Ids};
use sortes_core::rng::stream::ENTITY_LIMIT;
use sortes_core::rng::{Draws, Purpose, Rounds, Stream};
use sortes_core::{Error, Result};

/// The round in which the key of a shard is drawn: one that no user's stream is likely to split at.
const SHARD_ROUND: u32 = u32::MAX;

/// Which random numbers items draw: those of their ids, or those of their indices in a shard.
///
/// With counters by id, an item has the same number in every sketch of one seed. With counters by
/// index, every shard has a key of its own, and no key may come into a merge twice: two sketches that
/// drew the same numbers for different items would not be independent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    coordinated: bool,
    /// The key of the stream, into which its step is folded.
    seed: u64,
    /// The key that items draw from: the seed, or that of the shard.
    own: u64,
    /// How many indices of the own key are used.
    position: u64,
    /// The keys of what was merged in, ascending.
    merged: Vec<u64>,
}

impl Counters {
    /// Counters by id.
    pub(super) fn by_id(stream: Stream) -> Self {
        Self::of_seed(stream.rounds().key())
    }

    fn of_seed(seed: u64) -> Self {
        Self { coordinated: true, seed, own: seed, position: 0, merged: Vec::new() }
    }

    /// Counters by index in one shard.
    pub(super) fn by_index(stream: Stream, shard: u64) -> Result<Self> {
        Self::of_shard(stream.rounds().key(), shard)
    }

    fn of_shard(seed: u64, shard: u64) -> Result<Self> {
        if shard >= ENTITY_LIMIT {
            let reason = format!("must be in [0, 2**48), got {shard}");
            return Err(Error::argument("shard", reason));
        }
        let own = Rounds::from_key(seed).child(shard, SHARD_ROUND).key();
        Ok(Self { coordinated: false, seed, own, position: 0, merged: Vec::new() })
    }

    /// The same kind of counters for another shard, of which none is used yet.
    pub(super) fn for_shard(&self, shard: u64) -> Result<Self> {
        if self.coordinated {
            Ok(Self::of_seed(self.seed))
        } else {
            Self::of_shard(self.seed, shard)
        }
    }

    pub(super) fn coordinated(&self) -> bool {
        self.coordinated
    }

    /// Writes the uniforms of items: of these ids, or of as many indices as `out` has elements,
    /// the first of them `skip` after the next unused one.
    pub(super) fn uniforms(&self, purpose: Purpose, skip: u64, ids: &[i64], out: &mut [f64]) {
        if self.coordinated {
            let mut folded = [0; super::CHUNK];
            for (to, id) in folded.iter_mut().zip(ids) {
                *to = id.cast_unsigned();
            }
            let ids = Ids::Folded(Rounds::from_key(self.own), &folded[..ids.len()]);
            bulk::precise_uniforms(purpose, ids, out);
        } else {
            let indices = Ids::From(Stream::new(self.own), self.position + skip);
            bulk::precise_uniforms(purpose, indices, out);
        }
    }

    /// The draws of the index `skip` after the next unused one.
    pub(super) fn draws(&self, purpose: Purpose, skip: u64) -> Draws {
        Stream::new(self.own).draws(purpose, self.position + skip)
    }

    /// Counts indices as used.
    pub(super) fn advance(&mut self, indices: u64) {
        if !self.coordinated {
            self.position += indices;
        }
    }

    /// Makes sure that this many indices are left.
    pub(super) fn reserve(&self, indices: u64) -> Result<()> {
        if self.position.saturating_add(indices) < ENTITY_LIMIT {
            return Ok(());
        }
        Err(Error::argument("ids", "a sketch takes fewer than 2**48 items"))
    }

    /// Whether numbers of this shard are used here.
    pub(super) fn has_drawn(&self, shard: u64) -> Result<bool> {
        let own = self.for_shard(shard)?.own;
        Ok(!self.coordinated && self.used().any(|key| key == own))
    }

    fn used(&self) -> impl Iterator<Item = u64> {
        let own = (self.position > 0).then_some(self.own);
        self.merged.iter().copied().chain(own)
    }

    /// Joins the counters of a sketch that is merged in.
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        if self.coordinated != other.coordinated {
            let reason = "one sketch is coordinated, the other is not";
            return Err(Error::argument("other", reason));
        }
        if self.coordinated {
            return if self.seed == other.seed {
                Ok(())
            } else {
                let reason = "sketches of different seeds do not merge; give both the same rng";
                Err(Error::argument("other", reason))
            };
        }
        if self.position == 0 && self.merged.is_empty() {
            *self = other.clone();
            return Ok(());
        }
        let mut keys: Vec<u64> = self.used().chain(other.used()).collect();
        keys.sort_unstable();
        if keys.is_sorted_by(|a, b| a < b) {
            keys.retain(|&key| self.position == 0 || key != self.own);
            self.merged = keys;
            return Ok(());
        }
        let reason = "both sketches have drawn from the same shard of one seed; \
                      give each its own shard";
        Err(Error::argument("other", reason))
    }

    /// How many words `write` writes.
    pub(super) fn words(&self) -> usize {
        5 + self.merged.len()
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.word(u64::from(self.coordinated));
        to.word(self.seed);
        to.word(self.own);
        to.word(self.position);
        to.word(self.merged.len() as u64);
        self.merged.iter().for_each(|&key| to.word(key));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let coordinated = from.flag("coordinated")?;
        let [seed, own, position] = [from.word()?, from.word()?, from.word()?];
        let count = from.length()?;
        let merged = from.words(count)?.collect::<Vec<_>>();
        let plain = own == seed && position == 0 && merged.is_empty();
        if (coordinated && !plain) || position >= ENTITY_LIMIT {
            return Err(corrupt("counters of random numbers"));
        }
        if !merged.is_sorted_by(|a, b| a < b) || (position > 0 && merged.contains(&own)) {
            return Err(corrupt("keys of merged shards"));
        }
        Ok(Self { coordinated, seed, own, position, merged })
    }
}
