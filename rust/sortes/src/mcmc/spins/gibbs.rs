//! Heat bath: each site is drawn given its neighbours.

use std::ops::Range;
use std::sync::Arc;

use sortes_core::memory::{filled, with_capacity};
use sortes_core::rng::elementary::exp_negative;
use sortes_core::rng::{Purpose, Rounds, bulk, uniform_of};
use sortes_core::{Result, Run, vectorised};

use super::alike::Thresholds;
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
    /// Their indices; where there is a table, packed with the signs of couplings.
    neighbours: Vec<u32>,
    /// None where there is a table.
    couplings: Vec<f64>,
    fields: Vec<f64>,
    table: Option<Thresholds>,
}

impl Visits {
    /// Of a model.
    ///
    /// # Errors
    /// If there is no memory, or the work is cancelled.
    pub fn new(model: &Model, order: Order, run: Run<'_>) -> Result<Self> {
        Self::with(model, order, Thresholds::new(model)?, run)
    }

    fn with(model: &Model, order: Order, table: Option<Thresholds>, run: Run<'_>) -> Result<Self> {
        let (sites, colours) = match order {
            Order::Colored => model.colours(run)?,
            Order::Sequential | Order::Random => {
                let mut sites = with_capacity(model.sites(), "sites")?;
                sites.extend(0..model.sites() as u32);
                (sites, vec![0, model.sites()])
            }
        };
        let mut starts = with_capacity(sites.len() + 1, "sites")?;
        let arcs = table.as_ref().map_or(model.arcs(), Thresholds::arcs);
        let weighs = table.is_none();
        let mut neighbours = with_capacity(arcs, "neighbours")?;
        let mut couplings = with_capacity(if weighs { arcs } else { 0 }, "couplings")?;
        let of_fields = if weighs { sites.len() * model.kind().fields() } else { 0 };
        let mut fields = with_capacity(of_fields, "fields")?;
        starts.push(0);
        for block in run.blocks(sites.len(), BLOCK) {
            for &i in &sites[block?] {
                let (to, strength) = model.around(i as usize);
                match &table {
                    None => {
                        neighbours.extend_from_slice(to);
                        couplings.extend_from_slice(strength);
                        fields.extend_from_slice(model.field(i as usize));
                    }
                    Some(table) => {
                        let pairs = to.iter().zip(strength);
                        neighbours.extend(pairs.flat_map(|(&j, &x)| table.packed(j, x)));
                    }
                }
                starts.push(neighbours.len());
            }
        }
        Ok(Self { order, sites, colours, starts, neighbours, couplings, fields, table })
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
        if let Some(table) = &visits.table {
            let bounds = &visits.starts[at.start..=at.end];
            for ((&i, bounds), &word) in sites.iter().zip(bounds.windows(2)).zip(words) {
                let packed = &visits.neighbours[bounds[0]..bounds[1]];
                states[i as usize] = table.drawn(states, packed, word);
            }
            return;
        }
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
                if visits.order == Order::Colored || visits.table.is_some() {
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

#[cfg(test)]
mod tests {
    use sortes_core::rng::Stream;

    use super::*;

    #[test]
    fn tables_and_weights_draw_the_same() {
        let stream = Stream::new(5);
        let mut draws = stream.draws(Purpose::Uniform, 0);
        let n = 900;
        // Some sites have many neighbours, and some none.
        let site = |u: f64| (u * u * 800.0) as i64;
        let edges: Vec<[i64; 2]> =
            (0..1500).map(|_| [site(draws.uniform()), site(draws.uniform())]).collect();
        for (couplings, field, beta, has_table) in [
            (vec![1.0; edges.len()], 0.0, 0.7, true),
            ((0..edges.len()).map(|i| [0.5, -0.5][i % 2]).collect(), 0.25, -0.9, true),
            (vec![0.0; edges.len()], -30.0, 1.0, true),
            (vec![1e9; edges.len()], 1.0, 1.0, true),
            (
                (0..edges.len()).map(|i| if i % 9 == 0 { -1.0 } else { 0.5 }).collect(),
                0.5,
                0.6,
                true,
            ),
            ((0..edges.len()).map(|i| i as f64).collect(), 0.0, 0.01, false),
            ([0.1, 0.15].repeat(edges.len() / 2), 0.0, 1.0, false),
        ] {
            // Edges that are given twice would add up.
            let mut once: Vec<usize> = (0..edges.len()).collect();
            let key = |e: usize| (edges[e][0].min(edges[e][1]), edges[e][0].max(edges[e][1]));
            once.sort_by_key(|&e| key(e));
            once.dedup_by_key(|e| key(*e));
            let pairs: Vec<[i64; 2]> = once.iter().map(|&e| edges[e]).collect();
            let couplings: Vec<f64> = once.iter().map(|&e| couplings[e]).collect();
            let fields = vec![field; n];
            let run = Run::alone();
            let model = Model::new(Kind::Ising, n, &pairs, &couplings, fields, beta, run).unwrap();
            let model = Arc::new(model);
            for order in [Order::Colored, Order::Sequential, Order::Random] {
                let made = Visits::new(&model, order, run).unwrap();
                assert_eq!(made.table.is_some(), has_table);
                let plain = Visits::with(&model, order, None, run).unwrap();
                let [quick, slow] = [made, plain].map(|visits| {
                    let states = (0..n).map(|i| (i * i / 3 % 2) as u8).collect();
                    let (visits, rounds) = (Arc::new(visits), stream.rounds());
                    let mut sites = Sites::new(model.clone(), visits, states, 2, rounds).unwrap();
                    for round in 0..5 {
                        sites.update(round, run).unwrap();
                    }
                    sites.states
                });
                assert!(quick == slow, "{couplings:?} {field} {order:?}");
            }
        }
    }
}
