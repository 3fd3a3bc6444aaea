//! Keyed permutations of `0..n` in constant memory: any item, and the index of any item, at once.

use crate::rng::{Purpose, Rounds, bulk};
use crate::{Result, Run};

/// Up to here a permutation is a table.
const TABLE: u64 = 4096;
/// Rounds of the network of a larger one.
const ROUNDS: u64 = 8;
/// The entity of a round: its number above, the half of an index (24 bits at most) below.
const ROUND_SHIFT: u32 = 24;
/// The "round" whose draws shuffle a table.
const SHUFFLE: u64 = 255;
/// Indices that are permuted side by side.
const BATCH: usize = 256;

/// One past the largest length.
pub const LENGTH_LIMIT: u64 = 1 << 48;

/// The `number`-th permutation of `0..n` of a family of sequences.
///
/// Up to 4,096 items it is shuffled (Fisher-Yates, with exactly uniform integers): the method is
/// exact, and the 64-bit key is the only limit on which orders can come up. A longer one is
/// pseudo-random: a Feistel network of 8 rounds on the least `2^b >= n`, with Philox as its round
/// function, walked on until it comes back to `0..n` (two steps at most on average). It is a
/// permutation for certain; that it looks like a random one is a matter of tests and of the theory
/// of such networks (Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom
/// functions", SIAM Journal on Computing 17, 1988), not of proof.
///
/// Draws are those of [`Purpose::Permutation`] in the round `number`; the entity is `round << 24 | half`.
#[derive(Debug, Clone)]
pub struct Permutation {
    n: u64,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Table { items: Vec<u16>, indices: Vec<u16> },
    Network(Network),
}

#[derive(Debug, Clone, Copy)]
struct Network {
    rounds: Rounds,
    number: u32,
    /// Bits of the upper and of the lower half.
    bits: [u32; 2],
}

impl Permutation {
    /// Permutation `number` of `0..n`, for `n` up to [`LENGTH_LIMIT`].
    pub fn new(n: u64, rounds: Rounds, number: u32) -> Self {
        debug_assert!(n <= LENGTH_LIMIT);
        let kind = if n <= TABLE {
            let mut draws = rounds.draws(Purpose::Permutation, SHUFFLE << ROUND_SHIFT, number);
            let mut items: Vec<u16> = (0..n as u16).collect();
            for last in (1..items.len()).rev() {
                items.swap(last, draws.below(last as u64 + 1) as usize);
            }
            let mut indices = vec![0; items.len()];
            for (index, &item) in items.iter().enumerate() {
                indices[usize::from(item)] = index as u16;
            }
            Kind::Table { items, indices }
        } else {
            let bits = 64 - (n - 1).leading_zeros();
            Kind::Network(Network { rounds, number, bits: [bits / 2, bits - bits / 2] })
        };
        Self { n, kind }
    }

    /// How many items there are.
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The index of `item`, both below `n`.
    pub fn index_of(&self, item: u64) -> u64 {
        debug_assert!(item < self.n);
        match &self.kind {
            Kind::Table { indices, .. } => indices[item as usize].into(),
            Kind::Network(network) => {
                let mut index = network.backward(item);
                while index >= self.n {
                    index = network.backward(index);
                }
                index
            }
        }
    }

    /// Appends the items at `indices` to `out`.
    ///
    /// # Errors
    /// If the work is cancelled.
    pub fn extend(
        &self,
        indices: std::ops::Range<u64>,
        out: &mut Vec<i64>,
        run: Run<'_>,
    ) -> Result<()> {
        debug_assert!(indices.end <= self.n);
        match &self.kind {
            Kind::Table { items, .. } => {
                let items = &items[indices.start as usize..indices.end as usize];
                out.extend(items.iter().map(|&item| i64::from(item)));
            }
            Kind::Network(network) => {
                let mut batch = Vec::with_capacity(BATCH);
                for first in indices.clone().step_by(BATCH) {
                    run.check()?;
                    batch.clear();
                    batch.extend(first..indices.end.min(first + BATCH as u64));
                    network.forward(&mut batch);
                    self.walk(network, &mut batch);
                    out.extend(batch.iter().map(|&item| item as i64));
                }
            }
        }
        Ok(())
    }

    /// Walks on what has left `0..n`, all of it together, until it is back.
    fn walk(&self, network: &Network, batch: &mut [u64]) {
        let mut outside: Vec<usize> = (0..batch.len()).filter(|&i| batch[i] >= self.n).collect();
        let mut values = Vec::with_capacity(outside.len());
        while !outside.is_empty() {
            values.clear();
            values.extend(outside.iter().map(|&i| batch[i]));
            network.forward(&mut values);
            for (&i, &value) in outside.iter().zip(&values) {
                batch[i] = value;
            }
            outside.retain(|&i| batch[i] >= self.n);
        }
    }
}

impl Network {
    /// Runs at most [`BATCH`] values through the rounds, side by side.
    fn forward(&self, values: &mut [u64]) {
        let (mut ids, mut words) = ([0; BATCH], [[0; 2]; BATCH]);
        let (ids, words) = (&mut ids[..values.len()], &mut words[..values.len()]);
        for round in 0..ROUNDS {
            for (id, &value) in ids.iter_mut().zip(values.iter()) {
                *id = self.id(round, self.read(round, value));
            }
            bulk::words(Purpose::Permutation, bulk::Ids::Folded(self.rounds, ids), words);
            for (value, [word, _]) in values.iter_mut().zip(words.iter()) {
                *value ^= self.write(round, *word);
            }
        }
    }

    fn backward(&self, mut value: u64) -> u64 {
        for round in (0..ROUNDS).rev() {
            let half = self.read(round, value);
            let entity = round << ROUND_SHIFT | half;
            let word = self.rounds.draws(Purpose::Permutation, entity, self.number).u64();
            value ^= self.write(round, word);
        }
        value
    }

    /// The counter of a round in the form that folds the step above the entity.
    #[inline]
    fn id(&self, round: u64, half: u64) -> u64 {
        u64::from(self.number) << 32 | round << ROUND_SHIFT | half
    }

    /// The half that a round reads: the lower one in even rounds.
    #[inline]
    fn read(&self, round: u64, value: u64) -> u64 {
        let [_, low] = self.bits;
        if round.is_multiple_of(2) { value & ((1 << low) - 1) } else { value >> low }
    }

    /// What a round adds to the other half.
    #[inline]
    fn write(&self, round: u64, word: u64) -> u64 {
        let [high, low] = self.bits;
        if round.is_multiple_of(2) {
            (word & ((1 << high) - 1)) << low
        } else {
            word & ((1 << low) - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_permutations_and_invert() {
        for n in [0, 1, 2, 5, 4096, 4097, 5000, 65_536, 65_537, 100_003] {
            for number in [0, 1, u32::MAX] {
                let permutation = Permutation::new(n, Rounds::from_key(8), number);
                let mut items = Vec::new();
                permutation.extend(0..n, &mut items, Run::alone()).unwrap();
                let mut seen = vec![false; n as usize];
                for (index, &item) in items.iter().enumerate() {
                    assert!(!std::mem::replace(&mut seen[item as usize], true));
                    if index % 97 == 0 {
                        assert_eq!(permutation.index_of(item as u64), index as u64);
                    }
                }
                let mut middle = Vec::new();
                permutation.extend(n / 3..n / 2, &mut middle, Run::alone()).unwrap();
                assert_eq!(middle, items[n as usize / 3..n as usize / 2]);
            }
        }
    }

    #[test]
    fn the_longest() {
        let n = LENGTH_LIMIT - 12_345;
        let permutation = Permutation::new(n, Rounds::from_key(8), 3);
        for index in [0, 1, n / 2, n - 1] {
            let mut items = Vec::new();
            permutation.extend(index..index + 1, &mut items, Run::alone()).unwrap();
            assert_eq!(permutation.index_of(items[0] as u64), index);
        }
    }
}
