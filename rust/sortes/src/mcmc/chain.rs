//! Chains of transitions, and the two ways to drive them: each on its own with a density of this
//! side, or all together with answers from outside. The draws are the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sortes_core::error::shown;
use sortes_core::memory::{filled, with_capacity, zeroed};
use sortes_core::rng::{Purpose, Rounds, Stream};
use sortes_core::{Error, Result, Run};

use super::draws::Ahead;
use super::kernel::{Kernel, Step};
use super::moments::Moments;
use super::targets::LogDensity;
use super::watch::{Seen, Watch};

/// How long a chain runs before the next one does.
const TURN: Duration = Duration::from_millis(10);
/// Evaluations between looks at the clock and at who may stop a chain: as many as this time holds, up
/// to this number.
const LOOK: Duration = Duration::from_micros(100);
const LOOKS: u32 = 1024;
/// After this many transitions in a row without an evaluation, there will be none.
const IDLE: u32 = 10_000;
/// Transitions of the first block of warm-up whose states all chains learn from; each further block
/// ends after twice as many.
const BLOCK: u32 = 25;
/// How long chains that are to pause sleep before they look again.
const NAP: Duration = Duration::from_millis(5);

/// How many transitions, and which of them are kept.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Transitions that tune and are not kept.
    pub warmup: u32,
    /// Draws that are kept.
    pub draws: usize,
    /// Transitions for each of them, of which the last is kept.
    pub thin: u32,
    /// Whether a transition that reaches a limit is an error.
    pub raises: bool,
    /// Whether the state after each transition of the warm-up is kept as well, before the draws.
    pub keeps: bool,
}

impl Plan {
    /// All transitions of a chain.
    ///
    /// # Errors
    /// If a chain would have more than its counter can number.
    fn transitions(&self, before: u32) -> Result<u32> {
        let all = (self.draws as u64).saturating_mul(u64::from(self.thin));
        let all = all.saturating_add(u64::from(self.warmup));
        match u32::try_from(all.saturating_add(u64::from(before))) {
            Ok(_) => Ok(all as u32),
            Err(_) => Err(Error::argument(
                "draws",
                format!("must leave a chain less than 2**32 transitions, got {all}"),
            )),
        }
    }
}

/// What a chain has kept.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The states, draw by draw.
    pub draws: Vec<f64>,
    /// Their log densities.
    pub logp: Vec<f64>,
    /// Evaluations for each draw.
    pub evaluations: Vec<u32>,
    /// What the kernel counted for each draw.
    pub counts: Vec<u32>,
    /// Whether a limit was reached on the way to a draw.
    pub stuck: Vec<bool>,
}

/// What happened since the last kept draw.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    evaluations: u32,
    counts: [u32; 3],
    stuck: bool,
    transitions: u32,
}

/// One chain.
#[derive(Debug, Clone)]
struct Chain<K> {
    kernel: K,
    rounds: Rounds,
    index: u64,
    /// The next transition, of all that this chain ever makes.
    round: u32,
    /// Transitions that have ended since progress was last told.
    ended: u64,
    /// Transitions that are left of the plan, and of its warm-up.
    left: u32,
    warmup: u32,
    /// With so many left it waits for the others.
    until: u32,
    draws: Ahead,
    since: Since,
    kept: Kept,
    /// Log densities that were not numbers.
    nans: u64,
    /// Evaluations and transitions that reached a limit, since the plan began.
    evaluations: u64,
    stuck: u64,
    /// What the states of this block of warm-up come to, if the kernel learns from them.
    moments: Option<Moments>,
    /// The question of the watch that was answered last.
    answered: u32,
    failure: Option<Error>,
}

/// What is wrong with a density of plus infinity.
#[cold]
fn infinite(point: &[f64], chain: u64) -> Error {
    Error::argument("logp", format!("is +inf at {} in chain {chain}", listed(point)))
}

impl<K: Kernel> Chain<K> {
    /// Whether a transition has begun that asks for a density.
    #[inline]
    fn is_asking(&self) -> bool {
        self.left > self.until
    }

    /// Begins transitions until one asks for a density, or there is none left for now.
    #[inline]
    fn begin(&mut self, plan: &Plan, watch: &Watch) -> Result<()> {
        for idle in 0.. {
            if !self.is_asking() {
                break;
            }
            if idle == IDLE {
                let reason = format!(
                    "chain {} cannot leave {}: is the width below its last digit?",
                    self.index,
                    listed(self.kernel.point())
                );
                return Err(Error::argument("kernel", reason));
            }
            self.draws.restart(self.rounds.draws(Purpose::Chain, self.index, self.round));
            if self.kernel.start(&mut self.draws) == Step::Evaluate {
                return Ok(());
            }
            self.end(plan, watch)?;
        }
        Ok(())
    }

    /// Goes on with an answer.
    #[inline]
    fn feed(&mut self, logp: f64, plan: &Plan, watch: &Watch) -> Result<()> {
        self.count(logp)?;
        let step = self.kernel.advance(logp, &mut self.draws);
        self.take(step, plan, watch)
    }

    /// Counts an evaluation.
    #[inline]
    fn count(&mut self, logp: f64) -> Result<()> {
        self.since.evaluations = self.since.evaluations.saturating_add(1);
        if logp.is_nan() {
            self.nans += 1;
        } else if logp == f64::INFINITY {
            return Err(infinite(self.kernel.point(), self.index));
        }
        Ok(())
    }

    /// Does what follows from a step.
    #[inline]
    fn take(&mut self, step: Step, plan: &Plan, watch: &Watch) -> Result<()> {
        if step == Step::Evaluate {
            return Ok(());
        }
        self.end(plan, watch)?;
        self.begin(plan, watch)
    }

    /// Evaluates up to `most` points, and goes on with them.
    #[inline]
    fn glide(
        &mut self,
        target: &dyn LogDensity,
        scratch: &mut [f64],
        most: u32,
        plan: &Plan,
        watch: &Watch,
    ) -> Result<()> {
        let (mut left, is_total) = (most, target.is_total());
        while left > 0 && self.is_asking() {
            let point = self.kernel.point();
            let logp = match self.kernel.moves() {
                None => target.logp(point, scratch)?,
                Some(i) => target.conditional(i, point, scratch)?,
            };
            self.count(logp)?;
            left -= 1;
            let (index, before, mut nans, mut failure) = (self.index, left, 0, None);
            let step = self.kernel.follow(logp, &mut self.draws, &mut |x| {
                if left == 0 {
                    return None;
                }
                let found = if is_total { Ok(target.value(x)) } else { target.logp(x, scratch) };
                match found {
                    Ok(logp) if logp < f64::INFINITY => {
                        left -= 1;
                        Some(logp)
                    }
                    Ok(logp) if logp.is_nan() => {
                        (left, nans) = (left - 1, nans + 1);
                        Some(logp)
                    }
                    Ok(_) => {
                        left -= 1;
                        // Of a total target that may stand for an error.
                        let said = if is_total { target.logp(x, scratch).err() } else { None };
                        failure = Some(said.unwrap_or_else(|| infinite(x, index)));
                        None
                    }
                    Err(error) => {
                        failure = Some(error);
                        None
                    }
                }
            });
            self.nans += nans;
            self.since.evaluations = self.since.evaluations.saturating_add(before - left);
            if let Some(failure) = failure {
                return Err(failure);
            }
            self.take(step, plan, watch)?;
        }
        Ok(())
    }

    /// Counts the transition, and keeps its state if it is the turn of one.
    fn end(&mut self, plan: &Plan, watch: &Watch) -> Result<()> {
        self.round += 1;
        self.left -= 1;
        self.ended += 1;
        if self.kernel.is_stuck() && plan.raises {
            let reason =
                format!("was reached in chain {} at {}", self.index, listed(self.kernel.point()));
            return Err(Error::argument("max_evals_per_transition", reason));
        }
        self.stuck += u64::from(self.kernel.is_stuck());
        let since = &mut self.since;
        for (sum, count) in since.counts.iter_mut().zip(self.kernel.counts()) {
            *sum = sum.saturating_add(count);
        }
        since.stuck |= self.kernel.is_stuck();
        since.transitions += 1;
        let is_warmup = self.warmup > 0;
        if if is_warmup { plan.keeps } else { since.transitions == plan.thin } {
            let kept = &mut self.kept;
            kept.draws.extend_from_slice(self.kernel.point());
            kept.logp.push(self.kernel.reported());
            kept.evaluations.push(since.evaluations);
            kept.counts.extend_from_slice(&since.counts[..K::COUNTS.len()]);
            kept.stuck.push(since.stuck);
        }
        if is_warmup || since.transitions == plan.thin {
            self.evaluations += u64::from(since.evaluations);
            *since = Since::default();
        }
        if is_warmup {
            self.warmup -= 1;
            self.kernel.tune();
            if let Some(moments) = &mut self.moments {
                moments.add(self.kernel.point());
            }
        }
        let question = watch.question();
        if self.answered != question || self.left == 0 {
            self.answered = question;
            self.publish(watch);
        }
        Ok(())
    }

    /// Tells who watches where the chain is.
    #[cold]
    fn publish(&self, watch: &Watch) {
        watch.tell(
            self.index,
            self.kernel.point(),
            Seen {
                logp: self.kernel.reported(),
                left: self.left,
                warmup: self.warmup,
                draws: self.kept.logp.len(),
                evaluations: self.evaluations + u64::from(self.since.evaluations),
                stuck: self.stuck,
            },
        );
    }

    /// Runs to the end of the plan, until somebody stops, or until its turn is over.
    fn run(
        &mut self,
        target: &dyn LogDensity,
        plan: &Plan,
        stop: &AtomicBool,
        watch: &Watch,
        turn: Option<Duration>,
        run: Run<'_>,
    ) -> Result<()> {
        let mut scratch = zeroed(target.scratch(), "numbers for the density")?;
        let start = Instant::now();
        let (mut before, mut looks) = (Duration::ZERO, 1);
        loop {
            let glided = self.glide(target, &mut scratch, looks, plan, watch);
            run.advance(std::mem::take(&mut self.ended));
            glided?;
            if !self.is_asking() {
                return Ok(());
            }
            let now = start.elapsed();
            let is_over = turn.is_some_and(|turn| now >= turn) || watch.is_paused();
            if is_over || run.cancel.is_cancelled() || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            looks = if now.saturating_sub(before) < LOOK {
                LOOKS.min(2 * looks)
            } else {
                1.max(looks / 2)
            };
            before = now;
        }
    }
}

/// A point as messages show it: its first coordinates.
fn listed(x: &[f64]) -> String {
    let mut text = x.iter().take(8).map(|&x| shown(x)).collect::<Vec<_>>().join(", ");
    if x.len() > 8 {
        text.push_str(", ...");
    }
    format!("[{text}]")
}

/// Chains of one kernel.
#[derive(Debug, Clone)]
pub struct Chains<K> {
    each: Vec<Chain<K>>,
    plan: Plan,
    dim: usize,
    /// After so many transitions of the warm-up, the chains learn from each other.
    block: u32,
    watch: Arc<Watch>,
}

impl<K: Kernel> Chains<K> {
    /// Of kernels with their states, with the random numbers of a stream.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(kernels: Vec<K>, stream: Stream) -> Result<Self> {
        let rounds = stream.rounds();
        let dim = kernels.first().map_or(0, |kernel| kernel.point().len());
        let watch = Arc::new(Watch::new(kernels.len(), dim)?);
        let mut chains = with_capacity(kernels.len(), "chains")?;
        for (index, kernel) in (0..).zip(kernels) {
            let moments = kernel.learns().map(|shape| Moments::new(shape, dim)).transpose()?;
            chains.push(Chain {
                kernel,
                rounds,
                index,
                round: 0,
                ended: 0,
                left: 0,
                warmup: 0,
                until: 0,
                draws: Ahead::new(rounds.draws(Purpose::Chain, index, 0)),
                since: Since::default(),
                kept: Kept::default(),
                nans: 0,
                evaluations: 0,
                stuck: 0,
                moments,
                answered: 0,
                failure: None,
            });
        }
        let plan = Plan { warmup: 0, draws: 0, thin: 1, raises: false, keeps: false };
        Ok(Self { each: chains, plan, dim, block: 0, watch })
    }

    /// The same chains, apart: nobody watches both.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn copied(&self) -> Result<Self> {
        Ok(Self { watch: Arc::new(Watch::new(self.each.len(), self.dim)?), ..self.clone() })
    }

    /// Who may watch them while they run.
    pub fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Begins to do what a plan says, from where the chains are. Returns the number of transitions.
    ///
    /// # Errors
    /// If there are too many, or there is no memory for what is kept; the limit of a transition; if the
    /// work is cancelled.
    pub fn begin(&mut self, plan: Plan, run: Run<'_>) -> Result<u64> {
        let mut all = 0;
        let kept = plan.draws.saturating_add(if plan.keeps { plan.warmup as usize } else { 0 });
        self.block = BLOCK;
        for chain in &mut self.each {
            run.check()?;
            let left = plan.transitions(chain.round)?;
            chain.kept = Kept {
                draws: with_capacity(kept.saturating_mul(self.dim), "coordinates of draws")?,
                logp: with_capacity(kept, "draws")?,
                evaluations: with_capacity(kept, "draws")?,
                counts: with_capacity(kept.saturating_mul(K::COUNTS.len()), "draws")?,
                stuck: with_capacity(kept, "draws")?,
            };
            (chain.left, chain.warmup, chain.nans) = (left, plan.warmup, 0);
            (chain.evaluations, chain.stuck, chain.ended) = (0, 0, 0);
            chain.since = Since::default();
            let learns = chain.moments.is_some() && self.block <= plan.warmup;
            chain.until = if learns { left - self.block } else { 0 };
            all += u64::from(left);
        }
        self.plan = plan;
        let watch = self.watch();
        for chain in &mut self.each {
            run.check()?;
            chain.publish(&watch);
            chain.begin(&plan, &watch)?;
        }
        Ok(all)
    }

    /// Where all chains have come to the end of a block of warm-up: they learn from the states of all
    /// of them, chain by chain, and go on.
    fn learn(&mut self) -> Result<()> {
        let plan = self.plan;
        let (done, next) = (self.block, self.block.saturating_mul(2));
        self.block = next;
        let mut pooled: Option<Moments> = None;
        for chain in &mut self.each {
            let Some(moments) = &mut chain.moments else { continue };
            match &mut pooled {
                Some(pooled) => pooled.merge(moments),
                None => pooled = Some(moments.clone()),
            }
            moments.clear();
        }
        let learnt = pooled.map(|pooled| pooled.affine()).transpose()?;
        let watch = self.watch();
        for chain in &mut self.each {
            if let Some(learnt) = &learnt {
                chain.kernel.adapt(learnt);
            }
            chain.until = if next <= plan.warmup { chain.until - (next - done) } else { 0 };
            chain.begin(&plan, &watch)?;
        }
        Ok(())
    }

    /// Whether all chains wait for each other.
    fn is_waiting(&self) -> bool {
        self.each.iter().all(|chain| !chain.is_asking() && chain.left > 0)
    }

    /// Drives each chain to its end, or until the work is cancelled, which is no error. What a chain
    /// failed by ends all of them.
    ///
    /// # Errors
    /// That of the first chain that failed.
    pub fn run(&mut self, target: &dyn LogDensity, run: Run<'_>) -> Result<()> {
        let (plan, stop, watch) = (self.plan, AtomicBool::new(false), self.watch());
        // Where threads are fewer, chains take turns: all have draws if somebody stops them.
        let turn = (self.each.len() > run.threads.count()).then_some(TURN);
        while self.each.iter().any(|chain| chain.left > 0) && !stop.load(Ordering::Relaxed) {
            if watch.is_paused() {
                if run.check().is_err() {
                    break;
                }
                std::thread::sleep(NAP);
                continue;
            }
            if self.is_waiting() {
                self.learn()?;
            }
            let all = run.fill_chunks(&mut self.each, 1, |_, chain| {
                chain[0].failure = chain[0].run(target, &plan, &stop, &watch, turn, run).err();
                stop.fetch_or(chain[0].failure.is_some(), Ordering::Relaxed);
            });
            if all.is_err() {
                break; // cancelled work keeps what it has
            }
        }
        match self.each.iter_mut().find_map(|chain| chain.failure.take()) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Puts chains elsewhere, row by row, between plans: also where their density has changed. Returns for
    /// each of them whether its kernel can begin there.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn place(&mut self, points: &[f64], logp: &[f64]) -> Result<Vec<bool>> {
        let mut out = filled(self.each.len(), false, "chains")?;
        let rows = points.chunks_exact(self.dim).zip(logp);
        for ((out, chain), (x, &logp)) in out.iter_mut().zip(&mut self.each).zip(rows) {
            *out = chain.left == 0 && chain.kernel.place(x, logp);
        }
        Ok(out)
    }

    /// Writes the points that are asked about, row by row, and returns how many; none at the end.
    pub fn gather(&self, out: &mut [f64]) -> usize {
        let asking = self.each.iter().filter(|chain| chain.is_asking());
        let mut rows = 0;
        for (out, chain) in out.chunks_exact_mut(self.dim).zip(asking) {
            out.copy_from_slice(chain.kernel.point());
            rows += 1;
        }
        rows
    }

    /// Goes on with the answers to what was gathered. Returns how many transitions are left.
    ///
    /// # Errors
    /// That of the first chain that failed.
    pub fn scatter(&mut self, logp: &[f64]) -> Result<u64> {
        let (plan, watch) = (self.plan, self.watch());
        let asking = self.each.iter_mut().filter(|chain| chain.is_asking());
        for (chain, &logp) in asking.zip(logp) {
            chain.feed(logp, &plan, &watch)?;
        }
        if self.is_waiting() {
            self.learn()?;
        }
        Ok(self.each.iter().map(|chain| u64::from(chain.left)).sum())
    }

    /// What is kept: the shortest chain says how many draws each has.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn take(&mut self) -> Result<(usize, Kept)> {
        let chains = self.each.len();
        let n = self.each.iter().map(|chain| chain.kept.logp.len()).min().unwrap_or(0);
        let counts = K::COUNTS.len();
        let mut all = Kept {
            draws: with_capacity(chains * n * self.dim, "coordinates of draws")?,
            logp: with_capacity(chains * n, "draws")?,
            evaluations: with_capacity(chains * n, "draws")?,
            counts: with_capacity(chains * n * counts, "draws")?,
            stuck: with_capacity(chains * n, "draws")?,
        };
        for chain in &mut self.each {
            let kept = std::mem::take(&mut chain.kept);
            all.draws.extend_from_slice(&kept.draws[..n * self.dim]);
            all.logp.extend_from_slice(&kept.logp[..n]);
            all.evaluations.extend_from_slice(&kept.evaluations[..n]);
            all.counts.extend_from_slice(&kept.counts[..n * counts]);
            all.stuck.extend_from_slice(&kept.stuck[..n]);
        }
        Ok((n, all))
    }

    /// Log densities that were not numbers, of each chain, since the plan began.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn nans(&self) -> Result<Vec<u64>> {
        let mut out = filled(self.each.len(), 0, "chains")?;
        for (out, chain) in out.iter_mut().zip(&self.each) {
            *out = chain.nans;
        }
        Ok(out)
    }

    /// The widths in use, chain by chain.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn widths(&self) -> Result<Vec<f64>> {
        let widths = self.each.first().map_or(0, |chain| chain.kernel.widths().len());
        let mut out = with_capacity(widths * self.each.len(), "widths")?;
        for chain in &self.each {
            out.extend_from_slice(chain.kernel.widths());
        }
        Ok(out)
    }
}
