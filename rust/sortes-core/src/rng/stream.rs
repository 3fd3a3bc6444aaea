//! The counter layout of the project, in one place.
//!
//! | word | bits | holds |
//! |---|---|---|
//! | key | 0..64 | the seed, hashed |
//! | `c0` | 0..32 | block index within the sequence: draw `d` is half `d % 2` of block `d / 2` |
//! | `c1` | 0..32 | the caller's step, or the round of an algorithm that counts its own |
//! | `c2` | 0..32 | entity (row, chain, walker, element), bits 0..32 |
//! | `c3` | 0..16 | entity, bits 32..48 |
//! | `c3` | 16..32 | purpose: which algorithm is asking |
//!
//! Two draws with different names share no counter, so they are independent; one draw has the same
//! value whatever is computed before it, beside it or on how many threads. A block yields two `u64`:
//! words 0 and 1, then words 2 and 3, the low half first. Changing any of this changes every result
//! of every user: it needs a major version.

use super::draws::Draws;

/// The purposes, from one table: the variants, their numbers and their names in Python.
macro_rules! purposes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// Which algorithm asks for a draw: the high half of the last counter word.
        ///
        /// One value per algorithm, with one owner, never reused and never renumbered; zero is not
        /// used.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Purpose {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Purpose {
            /// Every purpose and its name.
            pub const ALL: &[(Self, &str)] = &[$((Self::$variant, $name),)*];
        }
    };
}

purposes! {
    /// The token of a row.
    Token = 1, "token";
    /// The uniform that decides whether a randomised rule (XTC) applies to a row.
    Coin = 2, "coin";
    /// The keys of child streams.
    Split = 3, "split";
    /// Plain uniforms that the user asks for.
    Uniform = 4, "uniform";
    /// A pick with replacement.
    Pick = 5, "pick";
    /// The key of an item: permanent, so that samples of overlapping data overlap.
    Item = 6, "item";
    /// A reservoir over a stream.
    Reservoir = 7, "reservoir";
    /// The rounds of a keyed permutation.
    Permutation = 8, "permutation";
    /// The drop of a variance-optimal sketch.
    Drop = 9, "drop";
    /// The unit of a Poisson design.
    Unit = 10, "unit";
    /// The start of a systematic design.
    Start = 11, "start";
    /// The duels of a pivotal design.
    Duel = 12, "duel";
    /// A mask of features.
    Mask = 13, "mask";
    /// The centres of a clustering, and what is proposed as one.
    Centre = 14, "centre";
    /// The unit of a stratified sample.
    Stratum = 15, "stratum";
    /// The key of an algorithm that counts rounds of its own, at a step of the caller's.
    Rounds = 16, "rounds";
    /// The unit of a trial of a conditional Poisson design.
    Trial = 17, "trial";
    /// A pick from weights that change between draws.
    Dynamic = 18, "dynamic";
    /// The digits of the codes of whole sequences.
    Code = 19, "code";
    /// The children of a node of a tree of sequences: their noise and their keys.
    Branch = 20, "branch";
    /// The steps of a walker on a graph.
    Walk = 21, "walk";
    /// What else decides about a step: whether a walker stays, whether it takes what is proposed.
    Toss = 22, "toss";
    /// How long walks are.
    Length = 23, "length";
    /// The steps of walkers that repel each other.
    Repel = 24, "repel";
    /// What a group of such walkers draws beside them.
    Group = 25, "group";
    /// The trials of a walker whose step depends on the node before.
    Retry = 26, "retry";
    /// The node that a walker jumps to.
    Jump = 27, "jump";
    /// From which nodes walkers start, where they are shared out.
    Allot = 28, "allot";
    /// The connected subgraph from which a walker starts.
    Subgraph = 29, "subgraph";
    /// The steps of a walker from one connected subgraph to the next.
    Shift = 30, "shift";
    /// What a group of such walkers draws beside them.
    Cluster = 31, "cluster";
    /// The transitions of a Markov chain.
    Chain = 32, "chain";
    /// What is proposed first for each piece of a Polya-Gamma variable.
    PolyaGamma = 50, "polya_gamma";
    /// What is proposed after a refusal.
    PolyaGammaRetry = 51, "polya_gamma_retry";
    /// The uniforms of a resampling scheme.
    Resample = 52, "resample";
    /// An exact draw from a density of known law.
    Exact = 53, "exact";
    /// What transitions of chains on a device begin with.
    DeviceStart = 54, "device_start";
    /// The uniform of a chain on a device at an evaluation.
    DeviceTurn = 55, "device_turn";
    /// The state of a site of a spin model, given its neighbours.
    Site = 60, "site";
    /// The digits that decide about 64 sites of a square lattice.
    Lattice = 61, "lattice";
    /// Whether a bond of a spin model is active.
    Bond = 62, "bond";
    /// The state of a cluster of sites.
    Orient = 63, "orient";
    /// A single cluster as it grows.
    Grow = 64, "grow";
    /// The states in which spin models begin.
    Initial = 65, "initial";
    /// The units of a restricted Boltzmann machine.
    Boltzmann = 66, "boltzmann";
    /// The noise from which an image starts.
    Latent = 70, "latent";
    /// The noise that a sampler adds to an image at a step.
    Noise = 71, "noise";
    /// The nodes of the tree of a Wiener process.
    Brownian = 72, "brownian";
    /// Draws from a mixture of normals.
    Mixture = 73, "mixture";
    /// Directions in space.
    Direction = 74, "direction";
    /// The noise of particles that are weighted.
    Corrector = 75, "corrector";
    /// Which of these particles go on.
    Survivor = 76, "survivor";
    /// The children of a population of schedules.
    Evolve = 77, "evolve";
    /// Whether drafted tokens are accepted, and what is drawn where one is not.
    Verify = 80, "verify";
    /// The exponentials of all tokens, which the laws of a target and of a draft share.
    Race = 81, "race";
    /// Which nodes of a tree of drafts, or of several drafts, are taken, and the token that follows.
    Tree = 82, "tree";
    /// The tokens of texts from a power of a model's law.
    Power = 84, "power";
    /// Where chains of texts are cut, what follows there, and whether it is taken.
    Rewind = 85, "rewind";
}

/// One past the largest entity: entities have 48 bits.
pub const ENTITY_LIMIT: u64 = 1 << 48;

/// A family of independent sequences at one step of the caller's, named by (purpose, entity).
///
/// The step is the caller's position: in a text, in a training run. An algorithm that counts rounds
/// of its own reads [`rounds`](Self::rounds) instead, so that neither takes the other's place.
///
/// ```
/// use sortes_core::rng::{Purpose, Stream};
///
/// let stream = Stream::new(7).at_step(10);
/// let row_3_of_step_10 = stream.draws(Purpose::Token, 3).uniform();
/// assert_eq!(row_3_of_step_10, stream.draws(Purpose::Token, 3).uniform());
/// assert_ne!(row_3_of_step_10, stream.draws(Purpose::Token, 4).uniform());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stream {
    key: u64,
    step: u32,
}

impl Stream {
    /// The stream of a key, at step 0. Keys should be hashed seeds: users tend to choose the same
    /// small numbers.
    #[inline]
    pub const fn new(key: u64) -> Self {
        Self { key, step: 0 }
    }

    /// The stream of the same key at another step.
    #[inline]
    #[must_use]
    pub const fn at_step(self, step: u32) -> Self {
        Self { key: self.key, step }
    }

    /// The key.
    #[inline]
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// The caller's step.
    #[inline]
    pub const fn step(&self) -> u32 {
        self.step
    }

    /// The sequence of draws of one `entity`, for one purpose, from its beginning.
    ///
    /// `entity` must be below [`ENTITY_LIMIT`]; higher bits are ignored.
    #[inline]
    pub fn draws(&self, purpose: Purpose, entity: u64) -> Draws {
        draws(self.key, purpose, entity, self.step)
    }

    /// The `index`-th child: a stream with a key of its own, at step 0.
    ///
    /// The keys are Philox outputs: unrelated to the parent's and to each other.
    #[inline]
    #[must_use]
    pub fn child(&self, index: u64) -> Self {
        Self::new(self.draws(Purpose::Split, index).u64())
    }

    /// The sequences of an algorithm that counts rounds of its own: the step becomes part of the key.
    /// At step 0 the key stays as it is.
    #[inline]
    pub fn rounds(&self) -> Rounds {
        let key = if self.step == 0 { self.key } else { self.draws(Purpose::Rounds, 0).u64() };
        Rounds { key }
    }
}

/// A family of independent sequences, named by (purpose, entity, round); from [`Stream::rounds`].
///
/// ```
/// use sortes_core::rng::{Purpose, Stream};
///
/// let rounds = Stream::new(7).rounds();
/// let first = rounds.draws(Purpose::Centre, 0, 1).u64();
/// assert_ne!(first, rounds.draws(Purpose::Centre, 0, 2).u64());
/// assert_ne!(first, Stream::new(7).at_step(1).rounds().draws(Purpose::Centre, 0, 1).u64());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rounds {
    key: u64,
}

impl Rounds {
    /// The family that a key names: for a state that was saved.
    #[inline]
    pub const fn from_key(key: u64) -> Self {
        Self { key }
    }

    /// The key.
    #[inline]
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// The stream of one round, which has the same sequences: for many draws at once.
    #[inline]
    pub const fn at(&self, round: u32) -> Stream {
        Stream { key: self.key, step: round }
    }

    /// The sequence of draws of one `entity` in one `round`, for one purpose, from its beginning.
    #[inline]
    pub fn draws(&self, purpose: Purpose, entity: u64, round: u32) -> Draws {
        draws(self.key, purpose, entity, round)
    }

    /// The `index`-th child of one `round`: a family with a key of its own.
    #[inline]
    #[must_use]
    pub fn child(&self, index: u64, round: u32) -> Self {
        Self { key: self.draws(Purpose::Split, index, round).u64() }
    }
}

/// The sequence of a counter: `step` is the caller's step or the algorithm's round.
#[inline]
fn draws(key: u64, purpose: Purpose, entity: u64, step: u32) -> Draws {
    debug_assert!(entity < ENTITY_LIMIT, "entity {entity} has more than 48 bits");
    let entity_high = (entity >> 32) as u32 & 0xFFFF;
    Draws::new(
        [key as u32, (key >> 32) as u32],
        [step, entity as u32, (purpose as u32) << 16 | entity_high],
    )
}

#[cfg(test)]
mod tests {
    use super::super::philox;
    use super::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let stream = Stream::new(0x0123_4567_89AB_CDEF);
        let mut draws = stream.at_step(9).draws(Purpose::Coin, 0xBEEF_1234_5678);
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
                    assert!(seen.insert(stream.at_step(step).draws(purpose, entity).u64()));
                }
            }
        }
    }

    #[test]
    fn children_have_keys_of_their_own() {
        let stream = Stream::new(5);
        let keys: std::collections::HashSet<_> =
            (0..1000).flat_map(|i| [stream.child(i), stream.at_step(1).child(i)]).collect();
        assert_eq!(keys.len(), 2000);
    }

    #[test]
    fn rounds_at_step_0_keep_the_key_and_others_do_not() {
        let stream = Stream::new(5);
        assert_eq!(stream.rounds(), Rounds::from_key(5));
        let keys: std::collections::HashSet<_> =
            (0..1000).map(|step| stream.at_step(step).rounds().key()).collect();
        assert_eq!(keys.len(), 1000);
    }

    #[test]
    fn purposes_have_numbers_and_names_of_their_own() {
        let numbers: std::collections::HashSet<_> =
            Purpose::ALL.iter().map(|&(purpose, _)| purpose as u16).collect();
        let names: std::collections::HashSet<_> =
            Purpose::ALL.iter().map(|(_, name)| name).collect();
        assert_eq!((numbers.len(), names.len()), (Purpose::ALL.len(), Purpose::ALL.len()));
        assert!(!numbers.contains(&0));
    }
}
