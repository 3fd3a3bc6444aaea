//! The counter layout of the project, in one place.
//!
//! | word | bits | holds |
//! |---|---|---|
//! | key | 0..64 | the seed, hashed |
//! | `c0` | 0..32 | block index within the sequence: draw `d` is half `d % 2` of block `d / 2` |
//! | `c1` | 0..32 | step (position in a text, iteration of a chain) |
//! | `c2` | 0..32 | entity (row, chain, walker, element), bits 0..32 |
//! | `c3` | 0..16 | entity, bits 32..48 |
//! | `c3` | 16..32 | purpose: which algorithm is asking |
//!
//! Two draws with different names share no counter, so they are independent; one draw has the same
//! value whatever is computed before it, beside it or on how many threads. A block yields two `u64`:
//! words 0 and 1, then words 2 and 3, the low half first. Changing any of this changes every result
//! of every user: it needs a major version.

use super::draws::Draws;

/// Which algorithm asks for a draw: the high half of the last counter word.
///
/// One value per algorithm, never reused and never renumbered; zero is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Purpose {
    /// The token of a row.
    Token = 1,
    /// The coin that decides whether a randomised rule (XTC) applies to a row.
    Coin = 2,
    /// The keys of child streams.
    Split = 3,
    /// Plain uniforms that the user asks for.
    Uniform = 4,
    /// A pick with replacement.
    Pick = 5,
    /// The key of an item: permanent, so that samples of overlapping data overlap.
    Item = 6,
    /// A reservoir over a stream.
    Reservoir = 7,
    /// The rounds of a keyed permutation.
    Permutation = 8,
    /// The drop of a variance-optimal sketch.
    Drop = 9,
    /// The unit of a Poisson or conditional Poisson design.
    Unit = 10,
    /// The start of a systematic design.
    Start = 11,
    /// The duels of a pivotal design.
    Duel = 12,
    /// A mask of features.
    Mask = 13,
    /// The centres of a clustering, and what is proposed as one.
    Centre = 14,
}

/// One past the largest entity: entities have 48 bits.
pub const ENTITY_LIMIT: u64 = 1 << 48;

/// A family of independent sequences, named by (purpose, entity, step).
///
/// ```
/// use sortes_core::rng::{Purpose, Stream};
///
/// let stream = Stream::new(7);
/// let row_3_of_step_10 = stream.at(Purpose::Token, 3, 10).uniform();
/// assert_eq!(row_3_of_step_10, stream.at(Purpose::Token, 3, 10).uniform());
/// assert_ne!(row_3_of_step_10, stream.at(Purpose::Token, 4, 10).uniform());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The stream of a key. Keys should be hashed seeds: neighbouring keys are unrelated anyway,
    /// but users of one library tend to choose the same small numbers.
    #[inline]
    pub const fn new(key: u64) -> Self {
        Self { key }
    }

    /// The key that names this stream.
    #[inline]
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// The sequence of draws of one `entity` at one `step`, for one purpose, from its beginning.
    ///
    /// `entity` must be below [`ENTITY_LIMIT`]; higher bits are ignored.
    #[inline]
    pub fn at(&self, purpose: Purpose, entity: u64, step: u32) -> Draws {
        debug_assert!(entity < ENTITY_LIMIT, "entity {entity} has more than 48 bits");
        let entity_high = (entity >> 32) as u32 & 0xFFFF;
        Draws::new(
            [self.key as u32, (self.key >> 32) as u32],
            [step, entity as u32, (purpose as u32) << 16 | entity_high],
        )
    }

    /// The `index`-th child at `step`: a stream with a key of its own.
    ///
    /// The keys are Philox outputs: unrelated to the parent's and to each other.
    #[inline]
    #[must_use]
    pub fn child(&self, index: u64, step: u32) -> Self {
        Self::new(self.at(Purpose::Split, index, step).u64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::philox;
    use super::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let stream = Stream::new(0x0123_4567_89AB_CDEF);
        let mut draws = stream.at(Purpose::Coin, 0xBEEF_1234_5678, 9);
        for c0 in 0..3 {
            let [w0, w1, w2, w3] =
                philox::block([0x89AB_CDEF, 0x0123_4567], [c0, 9, 0x1234_5678, 0x0002_BEEF]);
            assert_eq!(draws.u64(), u64::from(w1) << 32 | u64::from(w0));
            assert_eq!(draws.u64(), u64::from(w3) << 32 | u64::from(w2));
        }
    }

    #[test]
    fn names_are_independent() {
        let stream = Stream::new(0);
        let mut seen = std::collections::HashSet::new();
        for purpose in [Purpose::Token, Purpose::Coin, Purpose::Split, Purpose::Uniform] {
            for entity in [0, 1, 1 << 16, 1 << 32, ENTITY_LIMIT - 1] {
                for step in [0, 1, u32::MAX] {
                    assert!(seen.insert(stream.at(purpose, entity, step).u64()));
                }
            }
        }
    }

    #[test]
    fn children_have_keys_of_their_own() {
        let stream = Stream::new(5);
        let keys: std::collections::HashSet<_> =
            (0..1000).flat_map(|i| [stream.child(i, 0).key(), stream.child(i, 1).key()]).collect();
        assert_eq!(keys.len(), 2000);
    }
}
