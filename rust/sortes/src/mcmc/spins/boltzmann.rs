//! Restricted Boltzmann machines: two layers of units, each drawn at once given the other.
//!
//! What a unit sees is a sum of some rows of the weights. Rows are taken four at a time, and the sums of all
//! subsets of four are a table in the cache, which chains share (Arlazarov, Dinic, Kronrod and Faradzev, "On
//! economical construction of the transitive closure of an oriented graph", Soviet Mathematics Doklady 11,
//! 1970): one addition takes the place of four products.

use std::ops::Add;
use std::sync::Arc;

use sortes_core::memory::filled;
use sortes_core::rng::bulk::words_of;
use sortes_core::rng::{Purpose, Rounds, Stream, uniform_of};
use sortes_core::{Result, Run, vectorised};

use super::is_below_sigmoid;
use super::sampler::{Measured, State};

/// Units whose sums are made together, in registers.
const TILE: usize = 32;
/// Given units whose weights are added up first: the sums of all their subsets are a table.
const GROUP: usize = 4;
/// Groups whose tables are in the cache together.
const GROUPS: usize = 8;
/// The units of these groups: a word of bits.
const ROWS: usize = GROUP * GROUPS;
/// Fewer chains than this add weights up without tables.
const FEW: usize = 8;
/// Chains that share tables, at most.
const TOGETHER: usize = 256;

/// For each subset of a group, the sum of its weights, for a tile of units.
type Table<T> = [[T; TILE]; 1 << GROUP];

/// A precision of weights.
pub trait Real:
    Copy + Default + From<u8> + Into<f64> + Add<Output = Self> + Send + Sync + 'static
{
}
impl Real for f32 {}
impl Real for f64 {}

/// Units that are 0 or 1: the law is proportional to `exp(b'v + c'h + v'W h)`.
#[derive(Debug)]
pub struct Machine<T> {
    units: [usize; 2],
    /// From visible to hidden units, a row for each visible unit; and the other way. Rows end with
    /// zeros, so that tiles are whole.
    weights: [Vec<T>; 2],
    /// Of the hidden units, and of the visible ones; as long as the rows.
    biases: [Vec<T>; 2],
}

impl<T: Real> Machine<T> {
    /// Of weights with a row for each visible unit, and biases.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(weights: &[T], visible: &[T], hidden: &[T]) -> Result<Self> {
        let units = [visible.len(), hidden.len()];
        let [wide, high] = units.map(|n| n.next_multiple_of(TILE));
        let mut along = filled(units[0].saturating_mul(high), T::default(), "weights")?;
        let mut back = filled(units[1].saturating_mul(wide), T::default(), "weights")?;
        for (i, row) in weights.chunks_exact(units[1]).enumerate() {
            along[i * high..][..units[1]].copy_from_slice(row);
            for (j, &weight) in row.iter().enumerate() {
                back[j * wide + i] = weight;
            }
        }
        let padded = |biases: &[T], len| {
            let mut padded = filled(len, T::default(), "biases")?;
            padded[..biases.len()].copy_from_slice(biases);
            Ok(padded)
        };
        let biases = [padded(hidden, high)?, padded(visible, wide)?];
        Ok(Self { units, weights: [along, back], biases })
    }

    /// How many visible and hidden units there are.
    pub fn units(&self) -> [usize; 2] {
        self.units
    }
}

/// A tile of a row; zeros behind the last one.
#[inline(always)]
fn tile_of<T: Real>(rows: &[T], at: usize) -> [T; TILE] {
    let mut tile = [T::default(); TILE];
    if at + TILE <= rows.len() {
        tile.copy_from_slice(&rows[at..at + TILE]);
    }
    tile
}

/// `sum + by`.
#[inline(always)]
fn add<T: Real>(sum: &mut [T; TILE], by: &[T; TILE]) {
    for i in 0..TILE {
        sum[i] = sum[i] + by[i];
    }
}

/// Adds tiles of `N` rows up, and their sum to the sums of a chain.
#[inline(always)]
fn add_rows<T: Real, const N: usize>(
    weights: &[T],
    width: usize,
    rows: [usize; N],
    sums: &mut [[T; TILE]],
    each: usize,
) {
    let mut tile = 0;
    while tile * TILE < width {
        let mut within = tile_of(weights, rows[0] * width + tile * TILE);
        for row in &rows[1..] {
            add(&mut within, &tile_of(weights, row * width + tile * TILE));
        }
        add(&mut sums[tile * each], &within);
        tile += 1;
    }
}

vectorised! {
    /// Adds to the sums of each chain, for a tile of units from `at` on, the weights from the units that
    /// are on: within each group first, and then group by group.
    fn add_many<T: Real>(
        weights: &[T],
        width: usize,
        at: usize,
        bits: &[u32],
        words: usize,
        tables: &mut [Table<T>; GROUPS],
        sums: &mut [[T; TILE]],
    ) {
        for w in 0..words {
            for (g, table) in tables.iter_mut().enumerate() {
                table[0] = [T::default(); TILE];
                for k in 0..GROUP {
                    let row = tile_of(weights, (w * ROWS + g * GROUP + k) * width + at);
                    for subset in 0..1 << k {
                        let mut with = table[subset];
                        add(&mut with, &row);
                        table[1 << k | subset] = with;
                    }
                }
            }
            for c in 0..sums.len() {
                let (word, mut sum) = (bits[c * words + w], sums[c]);
                for g in 0..GROUPS {
                    add(&mut sum, &tables[g][(word >> (g * GROUP) & 15) as usize]);
                }
                sums[c] = sum;
            }
        }
    }

    /// The same sums without tables, for all tiles of each of a few chains.
    fn add_few<T: Real>(
        weights: &[T],
        width: usize,
        bits: &[u32],
        words: usize,
        sums: &mut [[T; TILE]],
    ) {
        let chains = bits.len() / words;
        for (i, &word) in bits.iter().enumerate() {
            let sums = &mut sums[i / words..];
            for g in 0..GROUPS {
                let (mut left, mut rows, mut n) = (word >> (g * GROUP) & 15, [0; GROUP], 0);
                while left != 0 {
                    rows[n] = i % words * ROWS + g * GROUP + left.trailing_zeros() as usize;
                    left &= left - 1;
                    n += 1;
                }
                let [a, b, c, d] = rows;
                match n {
                    0 => {}
                    1 => add_rows(weights, width, [a], sums, chains),
                    2 => add_rows(weights, width, [a, b], sums, chains),
                    3 => add_rows(weights, width, [a, b, c], sums, chains),
                    _ => add_rows(weights, width, [a, b, c, d], sums, chains),
                }
            }
        }
    }

    /// Draws a tile of units of each chain, given their sums. Two units share a block; the first of a
    /// chain is called `first`, that of the next one `names` more.
    fn decide<T: Real>(
        stream: Stream,
        first: u64,
        names: u64,
        sums: &[[T; TILE]],
        out: &mut [[u8; TILE]],
    ) {
        assert!(sums.len() <= out.len()); // so that no index below is looked at again
        for c in 0..sums.len() {
            let first = first + c as u64 * names;
            let mut words = [[0; 2]; TILE / 2];
            for (i, words) in words.iter_mut().enumerate() {
                *words = words_of(stream, Purpose::Boltzmann, first + i as u64, 0);
            }
            for i in 0..TILE {
                let u = uniform_of(words[i / 2][i % 2]);
                out[c][i] = u8::from(is_below_sigmoid(u, sums[c][i].into()));
            }
        }
    }
}

/// The units of some chains, which move on together.
pub struct Units<T> {
    machine: Arc<Machine<T>>,
    chains: usize,
    /// Of each chain the visible units, then the hidden ones.
    states: Vec<u8>,
    /// Visible units that stay as they are.
    clamped: Arc<Vec<bool>>,
    rounds: Rounds,
    first: u64,
    /// Of each chain the units that are given, 32 in a word.
    bits: Vec<u32>,
    tables: Option<Box<[Table<T>; GROUPS]>>,
    /// Of a tile of each chain, or tile by tile of all.
    sums: Vec<[T; TILE]>,
    drawn: Vec<[u8; TILE]>,
}

impl<T: Real> Units<T> {
    /// From given states of the visible units of chains from `chain` on; `clamped` says which of these
    /// stay, none if it is empty.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(
        machine: Arc<Machine<T>>,
        visible: &[u8],
        clamped: Arc<Vec<bool>>,
        chain: u64,
        rounds: Rounds,
    ) -> Result<Self> {
        let [v, h] = machine.units();
        let chains = visible.len() / v;
        let mut states = filled(chains * (v + h), 0, "units")?;
        for (states, visible) in states.chunks_exact_mut(v + h).zip(visible.chunks_exact(v)) {
            states[..v].copy_from_slice(visible);
        }
        let first = chain * Self::names(&machine);
        let words = v.max(h).div_ceil(ROWS);
        let (tables, tiles) = if chains < FEW {
            (None, v.max(h).div_ceil(TILE))
        } else {
            let tables = filled(GROUPS, [[T::default(); TILE]; 1 << GROUP], "tables")?;
            (tables.try_into().ok(), 1)
        };
        Ok(Self {
            machine,
            chains,
            states,
            clamped,
            rounds,
            first,
            bits: filled(chains * words, 0, "units")?,
            tables,
            sums: filled(chains * tiles, [T::default(); TILE], "units")?,
            drawn: filled(chains, [0; TILE], "units")?,
        })
    }

    /// How many entities a chain takes.
    pub fn names(machine: &Machine<T>) -> u64 {
        machine.units().iter().map(|n| n.div_ceil(2) as u64).sum()
    }

    /// How many of so many chains move on together, where threads share them.
    pub fn together(chains: usize, threads: usize) -> usize {
        chains.div_ceil(threads.max(1)).clamp(1, TOGETHER)
    }

    /// Packs the units of the other layer into bits, and says how many words a chain has.
    fn pack(&mut self, layer: usize) -> usize {
        let [v, h] = self.machine.units();
        let given = if layer == 0 { 0..v } else { v..v + h };
        let words = given.len().div_ceil(ROWS);
        for (bits, states) in self.bits.chunks_exact_mut(words).zip(self.states.chunks_exact(v + h))
        {
            for (word, on) in bits.iter_mut().zip(states[given.clone()].chunks(ROWS)) {
                *word = on.iter().rev().fold(0, |word, &on| word << 1 | u32::from(on));
            }
        }
        words
    }

    /// The sums of each chain for a tile of units of one layer, given the other, packed into so many
    /// words. Tiles are asked for in turn.
    fn sum(&mut self, layer: usize, at: usize, words: usize) -> &[[T; TILE]] {
        let Self { machine, chains, bits, tables, sums, .. } = self;
        let (weights, biases) = (&machine.weights[layer], &machine.biases[layer]);
        let (chains, bits, width) = (*chains, &bits[..*chains * words], biases.len());
        if let Some(tables) = tables {
            sums.fill(tile_of(biases, at));
            add_many(weights, width, at, bits, words, tables, sums);
            return sums;
        }
        if at == 0 {
            for (tile, sums) in sums.chunks_mut(chains).take(width / TILE).enumerate() {
                sums.fill(tile_of(biases, tile * TILE));
            }
            add_few(weights, width, bits, words, sums);
        }
        &sums[at / TILE * chains..][..chains]
    }

    /// Draws the hidden units (layer 0) or the visible ones.
    fn draw(&mut self, layer: usize, round: u32, run: Run<'_>) -> Result<()> {
        let [v, h] = self.machine.units();
        let (first, begin, len) = if layer == 0 { (v.div_ceil(2), v, h) } else { (0, 0, v) };
        let (first, names) = (self.first + first as u64, Self::names(&self.machine));
        let words = self.pack(layer);
        for at in (0..len).step_by(TILE) {
            run.check()?;
            let (stream, first) = (self.rounds.at(round), first + at as u64 / 2);
            let mut drawn = std::mem::take(&mut self.drawn);
            decide(stream, first, names, self.sum(layer, at, words), &mut drawn);
            self.drawn = drawn;
            let end = len.min(at + TILE);
            let clamped = if layer == 0 { None } else { self.clamped.get(at..end) };
            for (states, drawn) in self.states.chunks_exact_mut(v + h).zip(&self.drawn) {
                let states = &mut states[begin + at..begin + end];
                match clamped {
                    None => states.copy_from_slice(&drawn[..end - at]),
                    Some(clamped) => {
                        for ((unit, &drawn), &stays) in states.iter_mut().zip(drawn).zip(clamped) {
                            *unit = if stays { *unit } else { drawn };
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl<T: Real> State for Units<T> {
    fn chains(&self) -> usize {
        self.chains
    }

    fn update(&mut self, round: u32, run: Run<'_>) -> Result<()> {
        self.draw(0, round, run)?;
        self.draw(1, round, run)
    }

    fn read(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.states);
    }

    fn measure(&mut self, out: &mut [Measured]) {
        let [v, h] = self.machine.units();
        for (out, states) in out.iter_mut().zip(self.states.chunks_exact(v + h)) {
            let on = states.iter().zip(&self.machine.biases[1]).filter(|&(&on, _)| on == 1);
            let energy = -on.map(|(_, &bias)| bias.into()).sum::<f64>();
            let ups = states.iter().map(|&on| u64::from(on)).sum::<u64>();
            *out = Measured { energy, magnetization: ups as f64 / (v + h) as f64 };
        }
        let words = self.pack(0);
        let states = std::mem::take(&mut self.states);
        for at in (0..h).step_by(TILE) {
            let sums = self.sum(0, at, words);
            for ((out, sums), states) in out.iter_mut().zip(sums).zip(states.chunks_exact(v + h)) {
                for (&sum, &on) in sums.iter().zip(&states[v + at..]) {
                    out.energy -= sum.into() * f64::from(on);
                }
            }
        }
        self.states = states;
    }
}

#[cfg(test)]
mod tests {
    use sortes_core::simd::{available_levels, with_level};

    use super::*;

    /// Sums of one chain, one unit after the other.
    fn plainly(weights: &[f32], biases: &[f32], on: &[u8]) -> Vec<f32> {
        let width = biases.len();
        let sum = |(j, &bias): (usize, &f32)| {
            on.chunks(GROUP).enumerate().fold(bias, |sum, (g, on)| {
                let weight = |k| weights[(g * GROUP + k) * width + j];
                sum + (0..on.len()).filter(|&k| on[k] == 1).map(weight).fold(0.0, |a, b| a + b)
            })
        };
        biases.iter().enumerate().map(sum).collect()
    }

    #[test]
    fn sums_have_the_same_bits_for_any_chains_on_every_instruction_set() {
        let stream = Stream::new(7);
        for (v, h) in [(1, 1), (3, 65), (32, 32), (70, 33), (100, 31)] {
            let mut draws = stream.draws(Purpose::Uniform, 0);
            let mut some = |n| (0..n).map(|_| draws.uniform() as f32 - 0.5).collect::<Vec<_>>();
            let (weights, visible, hidden) = (some(v * h), some(v), some(h));
            let machine = Arc::new(Machine::new(&weights, &visible, &hidden).unwrap());
            for chains in [1, FEW - 1, FEW, 37] {
                let on: Vec<u8> = (0..chains * v).map(|i| (i * i / 3 % 2) as u8).collect();
                for level in available_levels() {
                    let mut units =
                        Units::new(machine.clone(), &on, Arc::default(), 0, stream.rounds())
                            .unwrap();
                    let words = units.pack(0);
                    for at in (0..h).step_by(TILE) {
                        let sums = with_level(level, || units.sum(0, at, words));
                        for (on, sums) in on.chunks(v).zip(sums) {
                            let expected = plainly(&weights, &hidden, on);
                            let expected = &expected[at..h.min(at + TILE)];
                            assert_eq!(&sums[..expected.len()], expected, "{v} {h} {level:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn chains_are_the_same_together_and_apart_on_every_instruction_set() {
        let (v, h, chains) = (45, 70, 21);
        let mut draws = Stream::new(8).draws(Purpose::Uniform, 0);
        let mut some = |n| (0..n).map(|_| draws.uniform() - 0.5).collect::<Vec<_>>();
        let machine = Arc::new(Machine::new(&some(v * h), &some(v), &some(h)).unwrap());
        let clamped: Arc<Vec<bool>> = Arc::new((0..v).map(|i| i % 5 == 0).collect());
        let on: Vec<u8> = (0..chains * v).map(|i| (i * i / 3 % 2) as u8).collect();
        let sample = |together: usize| {
            let (mut states, mut measured) = (Vec::new(), Vec::new());
            for (k, on) in on.chunks(together * v).enumerate() {
                let first = (k * together) as u64;
                let rounds = Stream::new(9).rounds();
                let mut units =
                    Units::new(machine.clone(), on, clamped.clone(), first, rounds).unwrap();
                for round in 0..3 {
                    units.update(round, Run::alone()).unwrap();
                }
                let mut found = vec![Measured::default(); units.chains()];
                units.measure(&mut found);
                states.extend(units.states);
                measured.extend(found);
            }
            (states, measured)
        };
        let expected = sample(1);
        for (states, on) in expected.0.chunks(v + h).zip(on.chunks(v)) {
            assert!((0..v).all(|i| !clamped[i] || states[i] == on[i]));
        }
        for level in available_levels() {
            for together in [1, 5, FEW, chains] {
                assert!(with_level(level, || sample(together)) == expected, "{level:?} {together}");
            }
        }
    }
}
