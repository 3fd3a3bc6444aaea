//! Sequential Monte Carlo: particles whose tokens are proposed one by one, weighed, and drawn anew where
//! their weights have become too different.
//!
//! A step multiplies the weight of a particle by the mass of what is proposed from, which depends on its
//! beginning alone: particles are drawn anew between that and the token, so that copies of one part at
//! once. With the power `alpha` the token weighs nothing more; else `p^(alpha - power)`.

use std::collections::HashMap;

use super::target::{Members, Target, Text, check_rows};
use super::texts::{Id, Texts};
use crate::decode::{Call, Element, Rows};
use sortes_core::memory::{copied, filled, refused, reserve, with_capacity, zeroed};
use sortes_core::num::Sum;
use sortes_core::resample::{self, Scheme, ancestors};
use sortes_core::rng::elementary::{exp_negative, ln};
use sortes_core::rng::{Purpose, Rounds, Stream};
use sortes_core::{Result, Run};

/// How particles are drawn anew.
#[derive(Debug, Clone, Copy)]
pub struct Resampling {
    /// By which scheme.
    pub scheme: Scheme,
    /// Below which share of the particles the effective sample size must fall.
    pub threshold: f64,
}

/// The particles.
#[derive(Debug)]
pub struct Particles {
    target: Target,
    resampling: Resampling,
    rounds: Rounds,
    texts: Texts,
    /// The beginning of each particle.
    at: Vec<Id>,
    /// The logarithms of their weights since they were drawn anew.
    ln_w: Vec<f64>,
    /// The logarithm of the product of the mean weights at which they were drawn anew.
    ln_z: f64,
    /// Where in the text that was, and the ancestors.
    drawn_anew: Vec<(u32, Vec<i64>)>,
    /// How many tokens the open beginnings have.
    position: u32,
}

/// What of the particles a step changes.
struct Step {
    ln_w: Vec<f64>,
    row_of: Vec<Option<u32>>,
    anew: Option<Anew>,
}

/// Particles that are drawn anew.
struct Anew {
    ancestors: Vec<i64>,
    ln_mean: f64,
    at: Vec<Id>,
}

impl Particles {
    /// `n` particles, at least one, before their first token.
    ///
    /// # Errors
    /// If no text is short enough, if there is no memory for them, or the work is cancelled.
    pub fn new(
        target: Target,
        n: usize,
        resampling: Resampling,
        stream: Stream,
        run: Run<'_>,
    ) -> Result<Self> {
        target.check(run)?;
        Ok(Self {
            texts: Texts::new(target.start())?,
            at: filled(n, 0, "particles")?,
            ln_w: filled(n, 0.0, "particles")?,
            ln_z: 0.0,
            drawn_anew: Vec::new(),
            position: 0,
            rounds: stream.rounds(),
            resampling,
            target,
        })
    }

    /// How many particles there are.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there are none: never so.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// How many tokens the open beginnings have.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// The open beginnings, each once, and for each particle which one it has.
    fn open(&self) -> Result<(Vec<Id>, Vec<Option<u32>>)> {
        let mut open = Vec::new();
        let mut row_of = filled(self.len(), None, "particles")?;
        let mut known = HashMap::new();
        reserve(&mut open, self.len(), "beginnings")?;
        let room = known.try_reserve(self.len());
        room.map_err(|_| refused::<(Id, u32)>(self.len(), "beginnings"))?;
        for (row, (&id, &ln_w)) in row_of.iter_mut().zip(self.at.iter().zip(&self.ln_w)) {
            if ln_w > f64::NEG_INFINITY && !self.texts.is_whole(id, &self.target) {
                *row = Some(*known.entry(id).or_insert_with(|| {
                    open.push(id);
                    open.len() as u32 - 1
                }));
            }
        }
        Ok((open, row_of))
    }

    /// The open beginnings, each once; none if all texts are whole.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn beginnings(&self) -> Result<Vec<Vec<i64>>> {
        self.open()?.0.into_iter().map(|id| self.texts.path(id)).collect()
    }

    /// Takes a token for every open particle, by the rows of logits behind the
    /// [beginnings](Self::beginnings).
    ///
    /// # Errors
    /// As [`Call::sample`], and for logits that do not fit. Nothing has changed then.
    pub fn step<T: Element>(
        &mut self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        run: Run<'_>,
    ) -> Result<()> {
        let (open, row_of) = self.open()?;
        check_rows(logits.rows(), open.len())?;
        let mut places = with_capacity(open.len(), "beginnings")?;
        places.extend(open.iter().map(|id| self.texts.place(*id)));
        let stream = self.rounds.at(self.position);
        let uniform = |i: u32| stream.draws(Purpose::Power, u64::from(i)).uniform();

        // 1. The masses, and the tokens if all go on.
        let masks = self.target.masks(&places, logits.cols(), run)?;
        let mut members = Members::of(open.len(), &row_of)?;
        let mut drawn = self.target.draw(call, logits, &masks, &members, uniform, run)?;
        let mut ln_w = copied(&self.ln_w, "weights", run)?;
        for (ln_w, row) in ln_w.iter_mut().zip(&row_of) {
            *ln_w += row.map_or(0.0, |row| drawn[row as usize].ln_mass);
        }

        // 2. Which go on, if not all; their tokens have the numbers of their own places.
        let mut step = Step { ln_w, row_of, anew: None };
        if self.is_due(&step.ln_w) {
            self.draw_anew(&mut step, stream, run)?;
            members = Members::of(open.len(), &step.row_of)?;
            drawn = self.target.draw(call, logits, &masks, &members, uniform, run)?;
        }
        drop(masks);

        // 3. All rows were fine: the particles move on.
        self.texts.reserve(members_of(&step.row_of))?;
        reserve(&mut self.drawn_anew, 1, "ancestors")?;
        if let Some(Anew { ancestors, ln_mean, at }) = step.anew {
            self.drawn_anew.push((self.position, ancestors));
            self.ln_z += ln_mean;
            self.at = at;
        }
        self.ln_w = step.ln_w;
        for (row, drawn) in drawn.iter().enumerate() {
            for (&member, &(token, ln_p)) in members.row(row).iter().zip(&drawn.tokens) {
                let i = member as usize;
                self.at[i] = self.texts.longer(self.at[i], token, ln_p, &self.target);
                self.ln_w[i] += self.target.ln_beside(ln_p);
            }
        }
        self.position += 1;
        Ok(())
    }

    /// Whether weights are so different that particles are drawn anew.
    fn is_due(&self, ln_w: &[f64]) -> bool {
        let Some((_, sum, squares)) = moments(ln_w) else { return false };
        // Of equal weights the size may come out some roundings short.
        sum * sum / squares < self.resampling.threshold * ln_w.len() as f64 * (1.0 - 1e-12)
    }

    fn draw_anew(&self, step: &mut Step, stream: Stream, run: Run<'_>) -> Result<()> {
        let n = self.len();
        let rows = resample::Rows { weights: &step.ln_w, columns: n, log: true };
        let mut chosen = zeroed(n, "ancestors")?;
        ancestors(rows, n, self.resampling.scheme, stream, &mut chosen, run)?;
        let ln_mean = ln_mean(&step.ln_w);
        let mut at = with_capacity(n, "particles")?;
        let mut row_of = with_capacity(n, "particles")?;
        for &from in &chosen {
            at.push(self.at[from as usize]);
            row_of.push(step.row_of[from as usize]);
        }
        step.row_of = row_of;
        step.ln_w.fill(0.0);
        step.anew = Some(Anew { ancestors: chosen, ln_mean, at });
        Ok(())
    }

    /// The text of each particle.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn texts(&self) -> Result<Vec<Text>> {
        self.at.iter().map(|id| self.texts.text(*id)).collect()
    }

    /// The logarithms of the weights since the particles were drawn anew.
    pub fn ln_w(&self) -> &[f64] {
        &self.ln_w
    }

    /// Where in the text particles were drawn anew, and the ancestors of all.
    pub fn drawn_anew(&self) -> &[(u32, Vec<i64>)] {
        &self.drawn_anew
    }

    /// The logarithm of an estimate of the normaliser, which is unbiased itself.
    pub fn ln_z(&self) -> f64 {
        self.ln_z + ln_mean(&self.ln_w)
    }
}

fn members_of(row_of: &[Option<u32>]) -> usize {
    row_of.iter().flatten().count()
}

/// The largest of some logarithms of weights, and beside that the sum of the weights and of their
/// squares; `None` if all weights are zero.
fn moments(ln_w: &[f64]) -> Option<(f64, f64, f64)> {
    let top = ln_w.iter().fold(f64::NEG_INFINITY, |top, l| if *l > top { *l } else { top });
    let (mut sum, mut squares) = (Sum::default(), Sum::default());
    for &l in ln_w {
        let w = exp_negative(l - top);
        sum.add(w);
        squares.add(w * w);
    }
    (top > f64::NEG_INFINITY).then(|| (top, sum.value(), squares.value()))
}

/// The logarithm of the mean weight.
fn ln_mean(ln_w: &[f64]) -> f64 {
    moments(ln_w).map_or(f64::NEG_INFINITY, |(top, sum, _)| top + ln(sum / ln_w.len() as f64))
}
