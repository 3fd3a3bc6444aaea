//! Cluster updates: sites that agree hang together by chance, and clusters of them are redrawn.
//!
//! A bond whose ends are as its coupling wants them is active with probability `1 - exp(-2 |beta J|)` for
//! spins, `1 - exp(-beta J)` for a Potts model. Given the active bonds, each cluster has a law of its own:
//! that of its fields.

use std::sync::Arc;

use sortes_core::memory::{filled, with_capacity};
use sortes_core::rng::elementary::exp_m1;
use sortes_core::rng::{Draws, Purpose, Rounds, Stream, bulk, uniform_of};
use sortes_core::{Error, Result, Run};

use super::gibbs::{exponentiate, pick};
use super::is_below_sigmoid;
use super::model::{Kind, Model, signed};
use super::sampler::{Measured, State};

/// Bonds or sites whose random numbers are made together.
const BLOCK: usize = 512;
/// Sites that a single cluster takes between two looks at the stop request.
const LOOKS: u32 = 1 << 12;

/// Which clusters are redrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All (Swendsen and Wang 1987).
    All,
    /// That of one site (Wolff 1989).
    One,
}

/// A pair of neighbours.
#[derive(Debug, Clone, Copy)]
struct Bond {
    ends: [u32; 2],
    /// Whether its ends are to agree.
    alike: bool,
    probability: f64,
}

/// How a model hangs together.
#[derive(Debug)]
pub struct Bonds {
    which: Which,
    all: Vec<Bond>,
    /// The index of the bond of each pair of a site and a neighbour.
    of_arcs: Vec<u32>,
    /// The bonds of sites to a spin that is always up, where spins have fields.
    ghost: Vec<f64>,
}

impl Bonds {
    /// Of a model.
    ///
    /// # Errors
    /// If a coupling of a Potts model is repulsive, or there is no memory.
    pub fn new(model: &Model, which: Which) -> Result<Self> {
        let bonds = model.arcs() / 2;
        if u32::try_from(bonds).is_err() {
            let reason = format!("must be fewer than 2**32 for clusters, got {bonds}");
            return Err(Error::argument("edges", reason));
        }
        let mut all = with_capacity(bonds, "bonds")?;
        let mut of_arcs = Vec::new();
        if which == Which::One {
            of_arcs = filled(model.arcs(), 0, "bonds")?;
        }
        // Neighbours ascend, so that the arcs back to smaller sites are found in the order of their rows.
        let mut next: Vec<usize> = with_capacity(model.sites(), "sites")?;
        next.extend((0..model.sites()).map(|i| model.range(i).start));
        for i in 0..model.sites() {
            let (neighbours, couplings) = model.around(i);
            for ((arc, &j), &coupling) in model.range(i).zip(neighbours).zip(couplings) {
                if (j as usize) < i {
                    continue;
                }
                let strength = model.beta() * coupling;
                let factor = match model.kind() {
                    Kind::Ising => 2.0,
                    Kind::Potts(_) if strength < 0.0 => {
                        let reason = format!(
                            "must not be repulsive for clusters of a Potts model, got {} times beta \
                             between {i} and {j}",
                            sortes_core::error::shown(coupling)
                        );
                        return Err(Error::argument("J", reason));
                    }
                    Kind::Potts(_) => 1.0,
                };
                if which == Which::One {
                    of_arcs[arc] = all.len() as u32;
                    of_arcs[next[j as usize]] = all.len() as u32;
                    next[j as usize] += 1;
                }
                all.push(Bond {
                    ends: [i as u32, j],
                    alike: strength >= 0.0,
                    probability: -exp_m1(-factor * strength.abs()),
                });
            }
        }
        let mut ghost = Vec::new();
        if which == Which::One && model.kind() == Kind::Ising && model.has_field() {
            ghost = with_capacity(model.sites(), "sites")?;
            ghost.extend(
                (0..model.sites())
                    .map(|i| -exp_m1(-2.0 * (model.beta() * model.field(i)[0]).abs())),
            );
        }
        Ok(Self { which, all, of_arcs, ghost })
    }
}

/// The states of a chain.
pub struct Clusters {
    model: Arc<Model>,
    bonds: Arc<Bonds>,
    states: Vec<u8>,
    rounds: Rounds,
    chain: u64,
    /// A site of the same cluster with a smaller index, or the site itself; or whether a site is in the
    /// cluster that grows.
    parents: Vec<u32>,
    /// The fields of a cluster, at its first site.
    fields: Vec<f64>,
    /// The sites of the cluster that grows.
    members: Vec<u32>,
}

impl Clusters {
    /// From given states.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(
        model: Arc<Model>,
        bonds: Arc<Bonds>,
        states: Vec<u8>,
        chain: u64,
        rounds: Rounds,
    ) -> Result<Self> {
        let sites = model.sites();
        let sums = if model.has_field() { model.kind().fields() } else { 0 };
        let (mut fields, mut members) = (Vec::new(), Vec::new());
        match bonds.which {
            Which::All => fields = filled(sums * sites, 0.0, "fields of clusters")?,
            Which::One => members = with_capacity(sites, "sites of a cluster")?,
        }
        let parents = filled(sites, 0, "sites")?;
        Ok(Self { model, bonds, states, rounds, chain, parents, fields, members })
    }

    /// How many entities a chain takes.
    pub fn names(model: &Model) -> u64 {
        (model.sites().max(model.arcs() / 2) / 2 + 1) as u64
    }

    /// Calls `f(self, index, word)` with the random word of each index below `len`.
    fn with_words(
        &mut self,
        stream: Stream,
        purpose: Purpose,
        len: usize,
        run: Run<'_>,
        mut f: impl FnMut(&mut Self, usize, u64),
    ) -> Result<()> {
        let first = self.chain * Self::names(&self.model);
        let mut words = [[0; 2]; BLOCK / 2];
        for block in run.blocks(len, BLOCK) {
            let block = block?;
            let ids = bulk::Ids::From(stream, first + (block.start / 2) as u64);
            let words = &mut words[..block.len().div_ceil(2)];
            bulk::words(purpose, ids, words);
            for (i, &word) in block.zip(words.as_flattened()) {
                f(self, i, word);
            }
        }
        Ok(())
    }

    fn all(&mut self, stream: Stream, run: Run<'_>) -> Result<()> {
        let (model, bonds) = (self.model.clone(), self.bonds.clone());
        for (i, parent) in (0..).zip(&mut self.parents) {
            *parent = i;
        }
        self.with_words(stream, Purpose::Bond, bonds.all.len(), run, |chain, e, word| {
            let Bond { ends: [i, j], alike, probability } = bonds.all[e];
            let agree = chain.states[i as usize] == chain.states[j as usize];
            if agree == alike && uniform_of(word) < probability {
                join(&mut chain.parents, i, j);
            }
        })?;
        // Parents have smaller indices: in ascending order all point at the first site of their cluster.
        for i in 0..self.parents.len() {
            self.parents[i] = self.parents[self.parents[i] as usize];
        }
        let q = model.kind().fields();
        if model.has_field() {
            self.fields.fill(0.0);
            for (i, &root) in self.parents.iter().enumerate() {
                let sums = &mut self.fields[root as usize * q..][..q];
                match model.kind() {
                    // The field along the cluster as it is.
                    Kind::Ising => sums[0] += signed(model.field(i)[0], self.states[i]),
                    Kind::Potts(_) => {
                        sums.iter_mut().zip(model.field(i)).for_each(|(sum, h)| *sum += h);
                    }
                }
            }
        }
        let beta = model.beta();
        // The first site decides for its cluster: for spins, whether all are reversed.
        let done =
            self.with_words(stream, Purpose::Orient, model.sites(), run, |chain, i, word| {
                let root = chain.parents[i] as usize;
                match model.kind() {
                    Kind::Ising => {
                        // The first site marks a reversed cluster in the second bit of its state.
                        if root == i {
                            let along = chain.fields.get(i).copied().unwrap_or(0.0);
                            let flips = is_below_sigmoid(uniform_of(word), -2.0 * beta * along);
                            chain.states[i] ^= u8::from(flips) * 3;
                        } else {
                            chain.states[i] ^= chain.states[root] >> 1;
                        }
                    }
                    Kind::Potts(q) => {
                        chain.states[i] = if root != i {
                            chain.states[root]
                        } else if model.has_field() {
                            drawn(&mut chain.fields[i * q..][..q], beta, uniform_of(word))
                        } else {
                            ((u128::from(word) * q as u128) >> 64) as u8
                        };
                    }
                }
            });
        if model.kind() == Kind::Ising {
            self.states.iter_mut().for_each(|state| *state &= 1);
        }
        done
    }

    fn one(&mut self, stream: Stream, run: Run<'_>) -> Result<()> {
        let (model, bonds) = (self.model.clone(), self.bonds.clone());
        let mut draws = stream.draws(Purpose::Grow, self.chain);
        let seed = draws.below(model.sites() as u64) as u32;
        self.members.clear();
        let grown = self.grow(&model, &bonds, seed, &mut draws, run);
        let is_free = match grown {
            Ok(is_free) => is_free,
            Err(error) => {
                self.members.iter().for_each(|&i| self.parents[i as usize] = 0);
                return Err(error);
            }
        };
        let old = self.states[seed as usize];
        let new = match model.kind() {
            Kind::Ising | Kind::Potts(1) => 0, // spins are reversed below
            Kind::Potts(q) if model.has_field() => {
                let mut sums = filled(q, 0.0, "fields of a cluster")?;
                for &i in &self.members {
                    sums.iter_mut().zip(model.field(i as usize)).for_each(|(sum, h)| *sum += h);
                }
                drawn(&mut sums, model.beta(), draws.uniform())
            }
            // Another state, each as likely.
            Kind::Potts(q) => {
                let other = draws.below(q as u64 - 1) as u8;
                other + u8::from(other >= old)
            }
        };
        for &i in &self.members {
            let i = i as usize;
            self.parents[i] = 0;
            if is_free {
                self.states[i] = if model.kind() == Kind::Ising { self.states[i] ^ 1 } else { new };
            }
        }
        Ok(())
    }

    /// Collects the cluster of a site. Returns false if it hangs on a field, and must stay.
    fn grow(
        &mut self,
        model: &Model,
        bonds: &Bonds,
        seed: u32,
        draws: &mut Draws,
        run: Run<'_>,
    ) -> Result<bool> {
        self.members.push(seed);
        self.parents[seed as usize] = 1;
        let (mut next, mut looks) = (0, 0);
        while let Some(&i) = self.members.get(next) {
            next += 1;
            looks += 1;
            if looks == LOOKS {
                looks = 0;
                run.check()?;
            }
            let (i, state) = (i as usize, self.states[i as usize]);
            if let Some(&probability) = bonds.ghost.get(i) {
                let along = model.beta() * signed(model.field(i)[0], state);
                if along > 0.0 && draws.uniform() < probability {
                    return Ok(false);
                }
            }
            for (arc, &j) in model.range(i).zip(model.around(i).0) {
                let bond = &bonds.all[bonds.of_arcs[arc] as usize];
                let agree = self.states[j as usize] == state;
                if self.parents[j as usize] == 0
                    && agree == bond.alike
                    && draws.uniform() < bond.probability
                {
                    self.parents[j as usize] = 1;
                    self.members.push(j);
                }
            }
        }
        Ok(true)
    }
}

/// The state of a cluster with these fields.
fn drawn(fields: &mut [f64], beta: f64, u: f64) -> u8 {
    let best = fields.iter().fold(f64::NEG_INFINITY, |best, &h| best.max(beta * h));
    for h in fields.iter_mut() {
        *h = beta * *h - best;
    }
    exponentiate(fields);
    pick(fields, u) as u8
}

/// Joins two clusters under the smaller of their first sites.
#[inline]
fn join(parents: &mut [u32], i: u32, j: u32) {
    let (i, j) = (first_of(parents, i), first_of(parents, j));
    parents[i.max(j) as usize] = i.min(j);
}

/// The first site of a cluster; paths are halved on the way.
#[inline]
fn first_of(parents: &mut [u32], mut i: u32) -> u32 {
    loop {
        let parent = parents[i as usize];
        if parent == i {
            return i;
        }
        let above = parents[parent as usize];
        parents[i as usize] = above;
        i = above;
    }
}

impl State for Clusters {
    fn update(&mut self, round: u32, run: Run<'_>) -> Result<()> {
        let stream = self.rounds.at(round);
        match self.bonds.which {
            Which::All => self.all(stream, run),
            Which::One => self.one(stream, run),
        }
    }

    fn read(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.states);
    }

    fn measure(&mut self, out: &mut [Measured]) {
        out[0] = self.model.measure(&self.states);
    }
}
