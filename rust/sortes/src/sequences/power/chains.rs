//! Metropolis-Hastings on whole texts: cut a text somewhere, draw all that follows anew, and take the new
//! text with the probability that leaves the law as it is.
//!
//! A text of `n` tokens is cut before one of them, each with probability `1 / n`, and the tail is proposed
//! to its end, which may come earlier or later than before. With the weight `w` of a text, `p^alpha` over
//! what proposed it, the new one is taken with probability `min(1, w' n / (w n'))`.

use std::collections::HashMap;

use super::target::{Drawn, Members, Place, Target, Text, check_rows};
use crate::decode::{Call, Element, Rows};
use sortes_core::memory::{refused, reserve, with_capacity};
use sortes_core::rng::{Draws, Purpose, Rounds, Stream};
use sortes_core::{Result, Run};

/// How far the chains go.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// How many lengths there are, one after the other: at each of them texts are cut there.
    pub blocks: u32,
    /// How many transitions each has.
    pub steps: u32,
}

/// A token of a text.
#[derive(Debug, Clone, Copy)]
struct Token {
    id: u32,
    /// Where the next one stands.
    behind: Place,
    /// Of the beginning up to here: the logarithm of its probability, and of its weight.
    ln_p: f64,
    ln_w: f64,
}

/// What becomes of the tail that is being drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// It goes on where the text was cut by a shorter length.
    Extend,
    /// It may take the place of the one that the text has.
    Replace,
    /// None is being drawn any more.
    Nothing,
}

#[derive(Debug, Clone)]
struct Chain {
    text: Vec<Token>,
    /// Whether the text ended where nothing may follow: it weighs nothing.
    is_dead: bool,
    aim: Aim,
    /// Where the text is cut, and what has been drawn behind it.
    cut: usize,
    tail: Vec<Token>,
    /// The number of the length, and how many transitions it has had.
    block: u32,
    steps: u32,
    /// The number of the tail, and its random numbers.
    tails: u32,
    draws: Draws,
    accepted: u64,
}

/// The open beginnings, each once.
struct Open {
    beginnings: Vec<Vec<i64>>,
    /// A chain that has each.
    owners: Vec<usize>,
    /// Which one each chain has.
    row_of: Vec<Option<u32>>,
}

/// Chains of whole texts, each at its own pace.
#[derive(Debug)]
pub struct Chains {
    target: Target,
    schedule: Schedule,
    rounds: Rounds,
    all: Vec<Chain>,
}

impl Chains {
    /// `n` chains, at least one, before their first token.
    ///
    /// # Errors
    /// If no text is short enough, if there is no memory for them, or the work is cancelled.
    pub fn new(
        target: Target,
        n: usize,
        schedule: Schedule,
        stream: Stream,
        run: Run<'_>,
    ) -> Result<Self> {
        target.check(run)?;
        let rounds = stream.rounds();
        let mut chains = with_capacity(n, "chains")?;
        for i in 0..n as u64 {
            let mut text = Vec::new();
            let mut tail = Vec::new();
            reserve(&mut text, 1, "tokens of a text")?;
            reserve(&mut tail, 1, "tokens of a text")?;
            chains.push(Chain {
                text,
                is_dead: false,
                aim: Aim::Extend,
                cut: 0,
                tail,
                block: 0,
                steps: 0,
                tails: 0,
                draws: rounds.draws(Purpose::Rewind, i, 0),
                accepted: 0,
            });
        }
        Ok(Self { target, schedule, rounds, all: chains })
    }

    /// How many chains there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none: never so.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many transitions there are in all, and how many were made.
    pub fn transitions(&self) -> (u64, u64) {
        let Schedule { blocks, steps } = self.schedule;
        let each = u64::from(blocks) * u64::from(steps);
        let made = self.all.iter().map(|chain| match chain.aim {
            Aim::Nothing => each,
            _ => u64::from(chain.block) * u64::from(steps) + u64::from(chain.steps),
        });
        (each * self.len() as u64, made.sum())
    }

    /// How many transitions have taken another text.
    pub fn accepted(&self) -> u64 {
        self.all.iter().map(|chain| chain.accepted).sum()
    }

    fn open(&self) -> Result<Open> {
        let (mut open, mut owners) = (Vec::new(), Vec::new());
        let mut row_of = with_capacity(self.len(), "chains")?;
        let mut known = HashMap::new();
        let room = known.try_reserve(self.len());
        room.map_err(|_| refused::<(Vec<i64>, u32)>(self.len(), "beginnings"))?;
        reserve(&mut owners, self.len(), "beginnings")?;
        for (i, chain) in self.all.iter().enumerate() {
            if chain.aim == Aim::Nothing {
                row_of.push(None);
                continue;
            }
            let beginning = chain.beginning()?;
            let next = known.len() as u32;
            let row = *known.entry(beginning).or_insert(next);
            if row == next {
                owners.push(i);
            }
            row_of.push(Some(row));
        }
        reserve(&mut open, known.len(), "beginnings")?;
        open.resize(known.len(), Vec::new());
        for (beginning, row) in known {
            open[row as usize] = beginning;
        }
        Ok(Open { beginnings: open, owners, row_of })
    }

    /// The open beginnings, each once; none if all chains have come to their end.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn beginnings(&self) -> Result<Vec<Vec<i64>>> {
        Ok(self.open()?.beginnings)
    }

    /// Takes a token for every chain, by the rows of logits behind the
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
        let Open { beginnings: open, owners, row_of } = self.open()?;
        check_rows(logits.rows(), open.len())?;
        let mut places = with_capacity(open.len(), "beginnings")?;
        places.extend(owners.iter().map(|i| self.all[*i].place(&self.target)));
        let masks = self.target.masks(&places, logits.cols(), run)?;
        let members = Members::of(open.len(), &row_of)?;
        let all = &self.all;
        let uniform = |i: u32| all[i as usize].draws.clone().uniform();
        let drawn = self.target.draw(call, logits, &masks, &members, uniform, run)?;
        drop(masks);
        for (chain, row) in self.all.iter_mut().zip(&row_of) {
            if row.is_some() {
                chain.reserve()?;
            }
        }

        let Self { target, schedule, rounds, all } = self;
        for (row, Drawn { ln_mass, tokens }) in drawn.iter().enumerate() {
            for (at, &i) in members.row(row).iter().enumerate() {
                let chain = &mut all[i as usize];
                let found = tokens.get(at);
                let mut is_whole = found.is_none(); // nothing may follow
                if let Some(&(token, ln_p)) = found {
                    chain.draws.uniform(); // the one that has decided
                    chain.take(target, token, ln_p, *ln_mass);
                    let length = schedule.length(chain.block, target);
                    is_whole = target.is_end(token) || chain.place(target).depth == length;
                }
                if is_whole {
                    chain.settle(found.is_none());
                    chain.go_on(u64::from(i), target, *schedule, *rounds);
                }
            }
        }
        Ok(())
    }

    /// The text of each chain, and whether it weighs something.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn texts(&self) -> Result<Vec<(Text, bool)>> {
        let text = |chain: &Chain| {
            // Before the first text is whole there is only its beginning.
            let is_first = chain.aim == Aim::Extend;
            let more = if is_first { &chain.tail[..] } else { &[] };
            let mut tokens = with_capacity(chain.text.len() + more.len(), "tokens of a text")?;
            tokens.extend(chain.text.iter().chain(more).map(|token| i64::from(token.id)));
            let last = chain.text.iter().chain(more).next_back();
            let text = Text {
                tokens,
                ln_p: last.map_or(0.0, |last| last.ln_p),
                is_complete: last.is_some_and(|last| self.target.is_end(last.id)),
            };
            Ok((text, !chain.is_dead))
        };
        self.all.iter().map(text).collect()
    }
}

impl Schedule {
    /// How long texts may be in a block.
    fn length(self, block: u32, target: &Target) -> u32 {
        let upto = u64::from(target.tokens) * u64::from(block + 1);
        upto.div_ceil(u64::from(self.blocks)) as u32
    }
}

impl Chain {
    /// The tokens of what the next one is put to.
    fn beginning(&self) -> Result<Vec<i64>> {
        let mut tokens = with_capacity(self.cut + self.tail.len(), "tokens of a text")?;
        tokens.extend(self.text[..self.cut].iter().chain(&self.tail).map(|t| i64::from(t.id)));
        Ok(tokens)
    }

    fn last(&self) -> Option<&Token> {
        self.tail.last().or_else(|| self.text[..self.cut].last())
    }

    fn place(&self, target: &Target) -> Place {
        self.last().map_or_else(|| target.start(), |last| last.behind)
    }

    /// Makes room for one more token, wherever it goes.
    fn reserve(&mut self) -> Result<()> {
        let tail = self.tail.len() + 1;
        if self.tail.capacity() < tail {
            reserve(&mut self.tail, tail, "tokens of a text")?;
        }
        let missing = (self.cut + tail).saturating_sub(self.text.len());
        if self.text.capacity() < self.text.len() + missing {
            reserve(&mut self.text, missing + tail, "tokens of a text")?;
        }
        Ok(())
    }

    fn take(&mut self, target: &Target, token: u32, ln_p: f64, ln_mass: f64) {
        let (before_p, before_w) = self.last().map_or((0.0, 0.0), |last| (last.ln_p, last.ln_w));
        let behind = target.behind(self.place(target), token);
        let ln_w = before_w + ln_mass + target.ln_beside(ln_p);
        self.tail.push(Token { id: token, behind, ln_p: before_p + ln_p, ln_w });
    }

    /// The tail has come to its end, or to where nothing may follow.
    fn settle(&mut self, is_dead: bool) {
        let is_taken = match self.aim {
            Aim::Extend => true,
            Aim::Replace => {
                let taken = !is_dead && (self.is_dead || self.draws.uniform() < self.ratio());
                self.accepted += u64::from(taken);
                self.steps += 1;
                taken
            }
            Aim::Nothing => false,
        };
        if is_taken {
            self.is_dead = is_dead;
            self.text.truncate(self.cut);
            self.text.append(&mut self.tail);
        }
        self.tail.clear();
    }

    /// What the new text weighs against the old one, and how likely each is cut where it was.
    fn ratio(&self) -> f64 {
        let new = self.tail.last().map_or(0.0, |last| last.ln_w);
        let old = self.text.last().map_or(0.0, |last| last.ln_w);
        let length = (self.cut + self.tail.len()) as f64;
        (new - old).exp() * self.text.len() as f64 / length
    }

    /// Cuts the text for the next transition, or lets it grow to the next length.
    fn go_on(&mut self, chain: u64, target: &Target, schedule: Schedule, rounds: Rounds) {
        let n = self.text.len();
        self.tails = self.tails.wrapping_add(1);
        self.draws = rounds.draws(Purpose::Rewind, chain, self.tails);
        while n > 0 && self.block < schedule.blocks {
            if self.steps < schedule.steps {
                (self.aim, self.cut) = (Aim::Replace, self.draws.below(n as u64) as usize);
                return;
            }
            (self.steps, self.block) = (0, self.block + 1);
            let is_whole = self.is_dead || self.text.last().is_some_and(|t| target.is_end(t.id));
            let length = schedule.length(self.block.min(schedule.blocks - 1), target);
            if self.block < schedule.blocks && !is_whole && (n as u32) < length {
                (self.aim, self.cut) = (Aim::Extend, n);
                return;
            }
        }
        self.aim = Aim::Nothing;
    }
}
