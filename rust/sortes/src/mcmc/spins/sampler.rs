//! Chains of a spin model, each with a state of its own.

use std::time::{Duration, Instant};

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::rng::stream::ENTITY_LIMIT;
use sortes_core::rng::{Purpose, Stream, bulk};
use sortes_core::{Error, Result, Run};

use super::packing::states_of;

/// How long a chain runs before the next one does.
const TURN: Duration = Duration::from_millis(10);

/// What is measured of a state.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// The energy.
    pub energy: f64,
    /// The mean spin; of a Potts model, how far the most frequent state is ahead.
    pub magnetization: f64,
}

/// The state of a chain, or of several that move on together, and how it moves on.
pub trait State: Send {
    /// How many chains these are.
    fn chains(&self) -> usize {
        1
    }

    /// Makes update `round`, of all that the chain ever makes.
    ///
    /// # Errors
    /// If the work is cancelled, which may leave the update half done, or there is no memory.
    fn update(&mut self, round: u32, run: Run<'_>) -> Result<()>;

    /// Writes the state of every site, chain by chain.
    fn read(&self, out: &mut [u8]);

    /// Writes what is measured of each chain.
    fn measure(&mut self, out: &mut [Measured]);

    /// Whether an update is work for several threads.
    fn is_divisible(&self) -> bool {
        false
    }
}

/// How many updates, and after which of them a state is kept.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Updates before the first draw.
    pub warmup: u32,
    /// Draws of each chain.
    pub draws: usize,
    /// Updates for each of them, of which the last is kept.
    pub thin: u32,
    /// Whether states are kept, or what is measured alone.
    pub keeps_states: bool,
}

impl Plan {
    /// All updates of a chain.
    ///
    /// # Errors
    /// If they are more than their counter can number.
    pub fn updates(&self) -> Result<u32> {
        let all = (self.draws as u64).saturating_mul(u64::from(self.thin));
        u32::try_from(all.saturating_add(u64::from(self.warmup))).map_err(|_| {
            let reason = format!("must leave a chain less than 2**32 updates, got {all}");
            Error::argument("draws", reason)
        })
    }
}

/// One chain, or several that move on together.
struct Chain {
    state: Box<dyn State>,
    round: u32,
    /// Of each draw those of all chains.
    states: Vec<u8>,
    measured: Vec<Measured>,
    failure: Option<Error>,
}

impl Chain {
    /// Goes on to the end of the plan, until somebody stops it, or until its turn is over.
    fn run(
        &mut self,
        (plan, all, sites): (&Plan, u32, usize),
        turn: Option<Duration>,
        run: Run<'_>,
    ) -> Result<()> {
        let start = Instant::now();
        while self.round < all && turn.is_none_or(|turn| start.elapsed() < turn) {
            run.check()?;
            self.state.update(self.round, run)?;
            self.round += 1;
            run.advance(self.state.chains() as u64);
            let Some(since) = self.round.checked_sub(plan.warmup) else { continue };
            if since == 0 || !since.is_multiple_of(plan.thin) {
                continue;
            }
            let before = self.measured.len();
            self.measured.resize(before + self.state.chains(), Measured::default());
            self.state.measure(&mut self.measured[before..]);
            if plan.keeps_states {
                let before = self.states.len();
                self.states.resize(before + self.state.chains() * sites, 0);
                self.state.read(&mut self.states[before..]);
            }
        }
        Ok(())
    }
}

/// Chains of one model.
pub struct Chains {
    each: Vec<Chain>,
    count: usize,
    plan: Plan,
    all: u32,
    sites: usize,
}

/// What chains leave, chain by chain.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Draws of each chain: as many as the shortest has.
    pub draws: usize,
    /// The states of all sites, draw by draw; none if they are not kept.
    pub states: Vec<u8>,
    /// The states of all sites at the end.
    pub last: Vec<u8>,
    /// The energy of each draw.
    pub energy: Vec<f64>,
    /// The magnetization of each draw.
    pub magnetization: Vec<f64>,
}

impl Chains {
    /// From where they begin.
    ///
    /// # Errors
    /// If a plan has too many updates, or there is no memory for what is kept.
    pub fn new(states: Vec<Box<dyn State>>, sites: usize, plan: Plan) -> Result<Self> {
        let all = plan.updates()?;
        let kept = if plan.keeps_states { plan.draws.saturating_mul(sites) } else { 0 };
        let mut each = with_capacity(states.len(), "chains")?;
        let mut chains = 0;
        for state in states {
            let n = state.chains();
            chains += n;
            each.push(Chain {
                state,
                round: 0,
                states: with_capacity(kept.saturating_mul(n), "states of sites")?,
                measured: with_capacity(plan.draws.saturating_mul(n), "draws")?,
                failure: None,
            });
        }
        Ok(Self { each, count: chains, plan, all, sites })
    }

    /// The updates of all chains.
    pub fn updates(&self) -> u64 {
        u64::from(self.all) * self.count as u64
    }

    /// Drives each chain to its end, or until the work is cancelled, which is no error.
    ///
    /// # Errors
    /// That of the first chain that failed.
    pub fn run(&mut self, run: Run<'_>) -> Result<()> {
        let (all, threads) = (self.all, run.threads.count());
        let plan = (&self.plan, all, self.sites);
        // Few chains share the threads, one after the other.
        let divides =
            self.each.len() < threads && self.each.iter().all(|chain| chain.state.is_divisible());
        // Chains take turns where threads are fewer: all have draws if somebody stops them.
        let turn = (divides || self.each.len() > threads).then_some(TURN);
        while self.each.iter().any(|chain| chain.round < all) {
            if divides {
                for chain in &mut self.each {
                    chain.failure = chain.run(plan, turn, run).err();
                }
            } else {
                let _ = run.fill_chunks(&mut self.each, 1, |_, chain| {
                    chain[0].failure = chain[0].run(plan, turn, run.serial()).err();
                });
            }
            if run.check().is_err() {
                return Ok(()); // cancelled work keeps what it has
            }
            if let Some(failure) = self.each.iter_mut().find_map(|chain| chain.failure.take()) {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// What is kept.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn take(&mut self) -> Result<Kept> {
        let (chains, sites) = (self.count, self.sites);
        let draws = |chain: &Chain| chain.measured.len() / chain.state.chains();
        let draws = self.each.iter().map(draws).min().unwrap_or(0);
        let kept = if self.plan.keeps_states { chains * draws * sites } else { 0 };
        let mut out = Kept {
            draws,
            states: with_capacity(kept, "states of sites")?,
            last: with_capacity(chains * sites, "states of sites")?,
            energy: with_capacity(chains * draws, "draws")?,
            magnetization: with_capacity(chains * draws, "draws")?,
        };
        out.last.resize(chains * sites, 0);
        let mut last = &mut out.last[..];
        for chain in &mut self.each {
            let n = chain.state.chains();
            let here = last.split_off_mut(..n * sites).unwrap_or_default();
            chain.state.read(here);
            let states = std::mem::take(&mut chain.states);
            for i in 0..n {
                for draw in (0..draws).map(|draw| draw * n + i) {
                    if self.plan.keeps_states {
                        out.states.extend_from_slice(&states[draw * sites..][..sites]);
                    }
                    let measured = chain.measured[draw];
                    out.energy.push(measured.energy);
                    out.magnetization.push(measured.magnetization);
                }
            }
        }
        Ok(out)
    }
}

/// Independent states of all sites of all chains, each of `states` as likely, chain by chain.
///
/// # Errors
/// If there is no memory, or the work is cancelled.
pub fn random_states(
    states: usize,
    sites: usize,
    chains: usize,
    stream: Stream,
    run: Run<'_>,
) -> Result<Vec<u8>> {
    let mut out = zeroed(sites.saturating_mul(chains), "states of sites")?;
    // One of two states takes a digit, one of others a word.
    let each = if states == 2 { 64 } else { 1 };
    let names = sites.div_ceil(2 * each) as u64;
    check_names(chains, names)?;
    let stream = stream.rounds().at(0);
    let mut words = [[0; 2]; 256];
    for (chain, out) in (0..).zip(out.chunks_exact_mut(sites)) {
        let mut name = chain * names;
        for out in out.chunks_mut(2 * each * words.len()) {
            run.check()?;
            let words = &mut words[..out.len().div_ceil(2 * each)];
            bulk::words(Purpose::Initial, bulk::Ids::From(stream, name), words);
            name += words.len() as u64;
            for (out, &word) in out.chunks_mut(each).zip(words.as_flattened()) {
                if states == 2 {
                    states_of(word, out);
                } else {
                    out[0] = ((u128::from(word) * states as u128) >> 64) as u8;
                }
            }
        }
    }
    Ok(out)
}

/// That so many chains have names for their random numbers.
///
/// # Errors
/// If they have not.
pub fn check_names(chains: usize, each: u64) -> Result<()> {
    if (chains as u64).checked_mul(each).is_none_or(|all| all > ENTITY_LIMIT) {
        let reason = format!("must leave less than 2**48 sites in all, got {chains}");
        return Err(Error::argument("chains", reason));
    }
    Ok(())
}
