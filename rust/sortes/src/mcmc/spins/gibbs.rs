//! Heat bath: each site is drawn given its neighbours.

use std::ops::Range;
use std::sync::Arc;

use sortes_core::memory::{filled, with_capacity};
use sortes_core::rng::elementary::exp_negative;
use sortes_core::rng::{Purpose, Rounds, bulk, uniform_of};
use sortes_core::{Result, Run, vectorised};

use super::is_below_sigmoid;
use super::model::{Kind, Model, signed};
use super::sampler::{Measured, State};

/// Sites whose random numbers are made together.
const BLOCK: usize = 512;

/// Which site comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All sites of a colour, then those of the next: none of one colour sees another.
    Colored,
    /// By index.
    Sequential,
    /// As many sites as there are, each drawn from all.
    Random,
}

/// The sites in the order in which they are drawn, with what is around each, side by side in memory.
#[derive(Debug)]
pub struct Visits {
    order: Order,
    sites: Vec<u32>,
    /// Where each colour begins, and the end of the last.
    colours: Vec<usize>,
    /// Where the neighbours of each visit begin, and the end of the last.
    starts: Vec<usize>,
    neighbours: Vec<u32>,
    couplings: Vec<f64>,
    fields: Vec<f64>,
}

impl Visits {
    /// Of a model.
    ///
    /// # Errors
    /// If there is no memory, or the work is cancelled.
    pub fn new(model: &Model, order: Order, run: Run<'_>) -> Result<Self> {
        let (sites, colours) = match order {
            Order::Colored => model.colours(run)?,
            Order::Sequential | Order::Random => {
                let mut sites = with_capacity(model.sites(), "sites")?;
                sites.extend(0..model.sites() as u32);
                (sites, vec![0, model.sites()])
            }
        };
        let mut starts = with_capacity(sites.len() + 1, "sites")?;
        let mut neighbours = with_capacity(model.arcs(), "neighbours")?;
        let mut couplings = with_capacity(model.arcs(), "couplings")?;
        let mut fields = with_capacity(sites.len() * model.kind().fields(), "fields")?;
        starts.push(0);
        for block in run.blocks(sites.len(), BLOCK) {
            for &i in &sites[block?] {
                let (to, strength) = model.around(i as usize);
                neighbours.extend_from_slice(to);
                couplings.extend_from_slice(strength);
                starts.push(neighbours.len());
                fields.extend_from_slice(model.field(i as usize));
            }
        }
        Ok(Self { order, sites, colours, starts, neighbours, couplings, fields })
    }

    /// The neighbours of a visit, with their couplings.
    #[inline(always)]
    fn around(&self, visit: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[visit]..self.starts[visit + 1];
        let neighbours = self.neighbours[range.clone()].iter().map(|&j| j as usize);
        neighbours.zip(self.couplings[range].iter().copied())
    }
}

/// The states of a chain.
pub struct Sites {
    model: Arc<Model>,
    visits: Arc<Visits>,
    states: Vec<u8>,
    rounds: Rounds,
    /// The first entity of this chain.
    first: u64,
    logits: Vec<f64>,
}

impl Sites {
    /// From given states.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(
        model: Arc<Model>,
        visits: Arc<Visits>,
        states: Vec<u8>,
        chain: u64,
        rounds: Rounds,
    ) -> Result<Self> {
        let first = chain * Self::names(&model);
        let together = if visits.order == Order::Colored { BLOCK } else { 1 };
        let logits = filled(together * model.kind().fields(), 0.0, "probabilities")?;
        Ok(Self { model, visits, states, rounds, first, logits })
    }

    /// How many entities a chain takes.
    pub fn names(model: &Model) -> u64 {
        model.sites() as u64
    }

    /// Makes visits that do not see each other, with a random word each.
    fn draw(&mut self, at: Range<usize>, words: &[u64]) {
        let Self { model, visits, states, logits, .. } = self;
        let sites = &visits.sites[at.clone()];
        match model.kind() {
            Kind::Ising => {
                let twice = 2.0 * model.beta();
                let logits = &mut logits[..sites.len()];
                for (x, i) in logits.iter_mut().zip(at) {
                    let mut field = visits.fields[i];
                    for (j, coupling) in visits.around(i) {
                        field += signed(coupling, states[j]);
                    }
                    *x = twice * field;
                }
                let mut ups = [0; BLOCK];
                let ups = &mut ups[..sites.len()];
                decide(logits, words, ups);
                for (&i, &up) in sites.iter().zip(&*ups) {
                    states[i as usize] = up;
                }
            }
            Kind::Potts(q) => {
                let beta = model.beta();
                let logits = &mut logits[..sites.len() * q];
                for (x, i) in logits.chunks_exact_mut(q).zip(at) {
                    x.copy_from_slice(&visits.fields[i * q..][..q]);
                    for (j, coupling) in visits.around(i) {
                        x[usize::from(states[j])] += coupling;
                    }
                    let best = x.iter().fold(f64::NEG_INFINITY, |best, &x| best.max(beta * x));
                    for x in x.iter_mut() {
                        *x = beta * *x - best;
                    }
                }
                exponentiate(logits);
                for ((weights, &i), &word) in logits.chunks_exact(q).zip(sites).zip(words) {
                    states[i as usize] = pick(weights, uniform_of(word)) as u8;
                }
            }
        }
    }
}

/// The index that a uniform number picks by weights, some of which are above zero.
#[inline]
pub(super) fn pick(weights: &[f64], u: f64) -> usize {
    let target = u * weights.iter().sum::<f64>();
    let (mut sum, mut last) = (0.0, 0);
    for (k, &weight) in weights.iter().enumerate() {
        sum += weight;
        if weight > 0.0 {
            last = k;
        }
        if target < sum {
            return k;
        }
    }
    last // a rounding
}

vectorised! {
    /// Whether each word, as a uniform number, is below the sigmoid of its logit.
    pub(super) fn decide(logits: &[f64], words: &[u64], out: &mut [u8]) {
        for ((out, &x), &word) in out.iter_mut().zip(logits).zip(words) {
            *out = u8::from(is_below_sigmoid(uniform_of(word), x));
        }
    }

    /// The exponentials of numbers that are not positive.
    pub(super) fn exponentiate(x: &mut [f64]) {
        for x in x.iter_mut() {
            *x = exp_negative(*x);
        }
    }
}

impl State for Sites {
    fn update(&mut self, round: u32, run: Run<'_>) -> Result<()> {
        let stream = self.rounds.at(round);
        let mut words = [[0; 2]; BLOCK / 2 + 1];
        let visits = self.visits.clone();
        for colour in visits.colours.windows(2) {
            let mut at = colour[0];
            while at < colour[1] {
                run.check()?;
                if visits.order == Order::Random {
                    // A visit has a block of its own: the site, and what decides.
                    let end = colour[1].min(at + words.len());
                    let words = &mut words[..end - at];
                    let ids = bulk::Ids::From(stream, self.first + at as u64);
                    bulk::words(Purpose::Site, ids, words);
                    for &[site, word] in &*words {
                        let site = ((u128::from(site) * self.model.sites() as u128) >> 64) as usize;
                        self.draw(site..site + 1, &[word]);
                    }
                    at = end;
                    continue;
                }
                // Two visits share a block.
                let (first, end) = (at / 2, colour[1].min(at + BLOCK));
                let words = &mut words[..end.div_ceil(2) - first];
                let ids = bulk::Ids::From(stream, self.first + first as u64);
                bulk::words(Purpose::Site, ids, words);
                let words = &words.as_flattened()[at % 2..][..end - at];
                if visits.order == Order::Colored {
                    self.draw(at..end, words);
                } else {
                    for (i, word) in (at..end).zip(words.chunks(1)) {
                        self.draw(i..i + 1, word);
                    }
                }
                at = end;
            }
        }
        Ok(())
    }

    fn read(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.states);
    }

    fn measure(&mut self, out: &mut [Measured]) {
        out[0] = self.model.measure(&self.states);
    }
}
