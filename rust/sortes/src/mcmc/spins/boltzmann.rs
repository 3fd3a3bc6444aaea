//! Restricted Boltzmann machines: two layers of units, each drawn at once given the other.

use std::sync::Arc;

use sortes_core::memory::{filled, with_capacity};
use sortes_core::rng::{Purpose, Rounds, bulk};
use sortes_core::{Result, Run, vectorised};

use super::gibbs::decide;
use super::sampler::{Measured, State};

/// Units whose sums are made together, in registers.
const TILE: usize = 64;
/// Units whose random numbers are made together.
const BLOCK: usize = 512;

/// A precision of weights.
pub trait Real: Copy + Default + Into<f64> + std::ops::AddAssign + Send + Sync + 'static {}
impl Real for f32 {}
impl Real for f64 {}

/// Units that are 0 or 1: the law is proportional to `exp(b'v + c'h + v'W h)`.
#[derive(Debug)]
pub struct Machine<T> {
    /// From visible to hidden units, a row for each visible unit; and the other way.
    weights: [Vec<T>; 2],
    /// Of the hidden units, and of the visible ones.
    biases: [Vec<T>; 2],
}

impl<T: Real> Machine<T> {
    /// Of weights with a row for each visible unit, and biases.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(weights: &[T], visible: &[T], hidden: &[T]) -> Result<Self> {
        let copied = |x: &[T], what| {
            let mut copy = with_capacity(x.len(), what)?;
            copy.extend_from_slice(x);
            Ok(copy)
        };
        let mut turned = filled(weights.len(), T::default(), "weights")?;
        for (i, row) in weights.chunks_exact(hidden.len()).enumerate() {
            for (j, &weight) in row.iter().enumerate() {
                turned[j * visible.len() + i] = weight;
            }
        }
        Ok(Self {
            weights: [copied(weights, "weights")?, turned],
            biases: [copied(hidden, "biases")?, copied(visible, "biases")?],
        })
    }

    /// How many visible and hidden units there are.
    pub fn units(&self) -> [usize; 2] {
        [self.biases[1].len(), self.biases[0].len()]
    }
}

vectorised! {
    /// The bias of each unit plus the weights from those of the other layer that are on.
    fn sums<T: Real>(weights: &[T], biases: &[T], on: &[u32], out: &mut [f64]) {
        let width = biases.len();
        let mut at = 0;
        while at + TILE <= width {
            let mut tile = [T::default(); TILE];
            tile.copy_from_slice(&biases[at..at + TILE]);
            for &i in on {
                let row = &weights[i as usize * width + at..][..TILE];
                for k in 0..TILE {
                    tile[k] += row[k];
                }
            }
            for k in 0..TILE {
                out[at + k] = tile[k].into();
            }
            at += TILE;
        }
        while at < width {
            let mut sum = biases[at];
            for &i in on {
                sum += weights[i as usize * width + at];
            }
            out[at] = sum.into();
            at += 1;
        }
    }
}

/// The units of a chain.
pub struct Units<T> {
    machine: Arc<Machine<T>>,
    /// Visible units, then hidden ones.
    states: Vec<u8>,
    /// Visible units that stay as they are.
    clamped: Arc<Vec<bool>>,
    rounds: Rounds,
    first: u64,
    on: Vec<u32>,
    sums: Vec<f64>,
}

impl<T: Real> Units<T> {
    /// From given states of the visible units; `clamped` says which of these stay, none if it is empty.
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
        let mut states = filled(v + h, 0, "units")?;
        states[..v].copy_from_slice(visible);
        let first = chain * Self::names(&machine);
        let (on, sums) = (with_capacity(v.max(h), "units")?, filled(v.max(h), 0.0, "units")?);
        Ok(Self { machine, states, clamped, rounds, first, on, sums })
    }

    /// How many entities a chain takes.
    pub fn names(machine: &Machine<T>) -> u64 {
        machine.units().iter().map(|n| n.div_ceil(2) as u64).sum()
    }

    /// Fills `sums` for one layer, given the other.
    fn sum(&mut self, layer: usize) {
        let [v, _] = self.machine.units();
        let given = if layer == 0 { &self.states[..v] } else { &self.states[v..] };
        self.on.clear();
        self.on.extend((0..).zip(given).filter(|&(_, &on)| on == 1).map(|(i, _)| i));
        let biases = &self.machine.biases[layer];
        sums(&self.machine.weights[layer], biases, &self.on, &mut self.sums[..biases.len()]);
    }

    /// Draws the hidden units (layer 0) or the visible ones.
    fn draw(&mut self, layer: usize, round: u32) {
        self.sum(layer);
        let [v, h] = self.machine.units();
        let (first, mut at) = if layer == 0 { (v.div_ceil(2), v) } else { (0, 0) };
        let mut name = self.first + first as u64;
        let len = if layer == 0 { h } else { v };
        let mut words = [[0; 2]; BLOCK / 2];
        let mut drawn = [0; BLOCK];
        for logits in self.sums[..len].chunks(BLOCK) {
            let words = &mut words[..logits.len().div_ceil(2)];
            bulk::words(Purpose::Boltzmann, bulk::Ids::From(self.rounds.at(round), name), words);
            name += words.len() as u64;
            let drawn = &mut drawn[..logits.len()];
            decide(logits, words.as_flattened(), drawn);
            for &unit in &*drawn {
                if layer == 0 || !self.clamped.get(at).copied().unwrap_or(false) {
                    self.states[at] = unit;
                }
                at += 1;
            }
        }
    }
}

impl<T: Real> State for Units<T> {
    fn update(&mut self, round: u32, run: Run<'_>) -> Result<()> {
        run.check()?;
        self.draw(0, round);
        run.check()?;
        self.draw(1, round);
        Ok(())
    }

    fn read(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.states);
    }

    fn measure(&self) -> Measured {
        let [v, h] = self.machine.units();
        let mut sums = vec![0.0; h];
        let on: Vec<u32> =
            (0..).zip(&self.states[..v]).filter(|&(_, &on)| on == 1).map(|(i, _)| i).collect();
        let [biases, visible] = &self.machine.biases;
        self::sums(&self.machine.weights[0], biases, &on, &mut sums);
        let hidden: f64 =
            sums.iter().zip(&self.states[v..]).map(|(x, &on)| x * f64::from(on)).sum();
        let visible: f64 = on.iter().map(|&i| visible[i as usize].into()).sum();
        let ups = self.states.iter().map(|&on| u64::from(on)).sum::<u64>();
        Measured { energy: -hidden - visible, magnetization: ups as f64 / (v + h) as f64 }
    }
}
