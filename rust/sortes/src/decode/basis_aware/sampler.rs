//! The draw: tokens of `p` without replacement until one is kept.
//!
//! The first kept token of such a sequence has the law of `p` restricted to the keep set, and only
//! tokens that come up need a decision.

use std::sync::OnceLock;

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Draws, Purpose, Stream};
use sortes_core::{Error, Result};

use super::judge::Judge;
use super::law::{Base, softmax};
use super::row::Row;
use super::{Features, Settings};

/// How rows are truncated and drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Sampler<'a> {
    /// The reduced output matrix.
    pub features: &'a Features,
    /// Which program is solved.
    pub settings: Settings,
    /// Where `tau` comes from.
    pub base: Base,
    /// What logits are divided by.
    pub temperature: f64,
    /// Programs for one draw; after these, the draw is from the tokens with `p >= tau`.
    pub max_programs: u32,
    /// Whether a program that the solver gives up on is an error. Its token is kept otherwise.
    pub strict: bool,
}

/// A token and what it took to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// The token.
    pub token: usize,
    /// Programs solved.
    pub programs: u32,
    /// Programs that the solver gave up on.
    pub failures: u32,
}

impl Sampler<'_> {
    /// Draws one token from each of `rows` rows of logits, which `logits(r)` gives.
    ///
    /// Row `r` reads the draws of `stream(r)` for entity `entity(r)` at `step`, whatever the other
    /// rows and the threads are.
    ///
    /// # Errors
    /// [`Error::Row`] for unusable logits, or if `strict` and the solver gives up;
    /// [`Error::Cancelled`].
    pub fn sample(
        &self,
        rows: usize,
        logits: impl Fn(usize) -> Vec<f64> + Sync + Send,
        draws: impl Fn(usize) -> (Stream, u32) + Sync + Send,
        step: u32,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<Vec<Drawn>> {
        cancel.expect(rows as u64);
        let slots: Vec<OnceLock<Result<Drawn>>> = (0..rows).map(|_| OnceLock::new()).collect();
        threads.for_each(rows, |r| {
            if cancel.is_cancelled() {
                return;
            }
            let (stream, entity) = draws(r);
            let mut coins = stream.at_step(step).draws(Purpose::Token, u64::from(entity));
            let _ = slots[r].set(self.draw(&logits(r), r, &mut coins, cancel));
            cancel.advance(1);
        });
        slots.into_iter().map(|slot| slot.into_inner().unwrap_or(Err(Error::Cancelled))).collect()
    }

    /// Draws one token; `row` names the row in errors.
    fn draw(
        &self,
        logits: &[f64],
        row: usize,
        coins: &mut Draws,
        cancel: &Cancel,
    ) -> Result<Drawn> {
        let p = softmax(logits, self.temperature, row)?;
        let tau = self.base.threshold(&p);
        let mut weights = p.clone();
        let token = pick(&weights, coins.uniform());
        if p[token] >= tau {
            return Ok(Drawn { token, programs: 0, failures: 0 });
        }

        let shared = Row::new(self.features, self.settings, p);
        let mut judge = Judge::new(&shared, tau);
        let mut token = token;
        loop {
            let kept = match judge.at_once(token) {
                Some(known) => known,
                None if judge.programs >= self.max_programs => {
                    for (weight, &p) in weights.iter_mut().zip(&shared.p) {
                        if p < tau {
                            *weight = 0.0;
                        }
                    }
                    // The most probable token is kept even below the threshold.
                    weights[shared.argmax] = shared.p[shared.argmax];
                    token = pick(&weights, coins.uniform());
                    true
                }
                None => judge
                    .solve(token, self.strict, cancel)
                    .map_err(|failure| failure.of(row, token, self.settings))?,
            };
            if kept {
                let Judge { programs, failures, .. } = judge;
                return Ok(Drawn { token, programs, failures });
            }
            weights[token] = 0.0;
            token = pick(&weights, coins.uniform());
        }
    }
}

/// The first token whose cumulative weight exceeds `u` times the total.
fn pick(weights: &[f64], u: f64) -> usize {
    let goal = u * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    let mut last = 0;
    for (token, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            sum += weight;
            if sum > goal {
                return token;
            }
            last = token;
        }
    }
    last
}
