//! Which texts there are, and the draws of one step.

use std::borrow::Cow;

use crate::decode::{Call, Element, Powered, Rows};
use crate::sequences::tree::Constraint;
use sortes_core::memory::{filled, with_capacity, zeroed};
use sortes_core::rng::Stream;
use sortes_core::{Error, Result, Run};

/// The law over whole texts.
#[derive(Debug, Clone)]
pub struct Target {
    /// The power of the law.
    pub alpha: f64,
    /// The power in proportion to which tokens are proposed.
    pub power: f64,
    /// How many tokens a text may have.
    pub tokens: u32,
    /// Tokens that end a text.
    pub ends: Vec<u32>,
    /// What texts must match.
    pub constraint: Option<Constraint>,
}

/// A text, or the beginning of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// Its tokens.
    pub tokens: Vec<i64>,
    /// The logarithm of its probability.
    pub ln_p: f64,
    /// Whether a token ended it.
    pub is_complete: bool,
}

/// Where the next token of a beginning stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The state of the automaton.
    pub(super) state: u32,
    /// How many tokens come before.
    pub(super) depth: u32,
}

/// What a step has drawn behind one beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct Drawn {
    /// The logarithm of the mass of what was proposed from.
    pub(super) ln_mass: f64,
    /// For each member of the row a token and the logarithm of its probability.
    pub(super) tokens: Vec<(u32, f64)>,
}

/// Members of rows: those of row `r` are `items[starts[r]..starts[r + 1]]`, ascending.
#[derive(Debug)]
pub(super) struct Members {
    starts: Vec<usize>,
    items: Vec<u32>,
}

impl Members {
    /// Sorts members by the rows that they are in; a member may be in none.
    pub(super) fn of(rows: usize, row_of: &[Option<u32>]) -> Result<Self> {
        let mut starts = zeroed(rows + 1, "rows")?;
        for row in row_of.iter().flatten() {
            starts[*row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = with_capacity(rows, "rows")?;
        next.extend_from_slice(&starts[..rows]);
        let mut items = zeroed(starts[rows], "particles")?;
        for (member, row) in (0..).zip(row_of) {
            if let Some(row) = row {
                let next = &mut next[*row as usize];
                items[*next] = member;
                *next += 1;
            }
        }
        Ok(Self { starts, items })
    }

    pub(super) fn row(&self, row: usize) -> &[u32] {
        &self.items[self.starts[row]..self.starts[row + 1]]
    }
}

impl Target {
    /// Checks that some text is short enough.
    ///
    /// # Errors
    /// If none is, or the work is cancelled.
    pub(super) fn check(&self, run: Run<'_>) -> Result<()> {
        self.constraint.as_ref().map_or(Ok(()), |constraint| constraint.check(self.tokens, run))
    }

    /// Where every text begins.
    pub(super) fn start(&self) -> Place {
        let state = self.constraint.as_ref().map_or(0, |c| c.automaton.start());
        Place { state, depth: 0 }
    }

    /// Behind a token that may follow.
    pub(super) fn behind(&self, place: Place, token: u32) -> Place {
        let state = self.constraint.as_ref().and_then(|c| c.automaton.advance(place.state, token));
        Place { state: state.unwrap_or(0), depth: place.depth + 1 }
    }

    /// Whether a token ends the text that it is put to.
    pub(super) fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The logarithm of what a token weighs beside the mass that it was drawn from: `p^(alpha - power)`.
    pub(super) fn ln_beside(&self, ln_p: f64) -> f64 {
        if self.alpha == self.power { 0.0 } else { (self.alpha - self.power) * ln_p }
    }

    /// The tokens that may follow each place; none if there is no constraint.
    pub(super) fn masks(
        &self,
        places: &[Place],
        cols: usize,
        run: Run<'_>,
    ) -> Result<Vec<Cow<'_, [u32]>>> {
        let Some(constraint) = &self.constraint else { return Ok(Vec::new()) };
        constraint.check_width(cols)?;
        let mut masks = filled(places.len(), Cow::default(), "masks of a batch")?;
        run.try_fill_chunks(&mut masks, 1, |i, out| {
            let Place { state, depth } = places[i];
            out[0] = constraint.mask(state, self.tokens - depth, run.serial())?;
            Ok(())
        })?;
        Ok(masks)
    }

    /// Calls `f(row, law, out)` with the power of the law of each row that is `wanted`, over the tokens
    /// that its mask leaves.
    ///
    /// # Errors
    /// As [`Call::sample`], and those of `f`.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn each<T: Element, O: Send>(
        &self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        masks: &[Cow<'_, [u32]>],
        wanted: impl Fn(usize) -> bool + Sync,
        out: &mut [O],
        run: Run<'_>,
        f: impl Fn(usize, &mut Powered<'_, '_>, &mut O) -> Result<()> + Sync,
    ) -> Result<()> {
        let mut words = with_capacity(masks.len(), "masks of a batch")?;
        words.extend(masks.iter().map(|mask| &**mask));
        let words = self.constraint.as_ref().map(|_| &words[..]);
        // Rules that act at random are refused: their streams do not matter.
        let (streams, rows) = ([Stream::new(0)], zeroed(logits.rows(), "rows")?);
        let call = Call { streams: &streams, rows: Some(&rows), ..*call };
        call.each_powered(logits, (words, self.power), wanted, out, run, f)
    }

    /// Draws a token for each member of each row that has some, by its uniform number, and weighs the
    /// rows.
    ///
    /// # Errors
    /// As [`Call::sample`], or if there is no memory.
    pub(super) fn draw<T: Element>(
        &self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        masks: &[Cow<'_, [u32]>],
        members: &Members,
        uniform: impl Fn(u32) -> f64 + Sync,
        run: Run<'_>,
    ) -> Result<Vec<Drawn>> {
        let mut drawn = filled(logits.rows(), Drawn::default(), "rows")?;
        let is_wanted = |row: usize| !members.row(row).is_empty();
        self.each(call, logits, masks, is_wanted, &mut drawn, run, |row, law, out| {
            let members = members.row(row);
            out.ln_mass = law.ln_mass();
            out.tokens = with_capacity(members.len(), "tokens")?;
            for &member in members {
                match law.draw(uniform(member)) {
                    Some(token) => out.tokens.push(token),
                    None if out.ln_mass == f64::NEG_INFINITY => break,
                    None => return Err(Error::row("logits", row, "no finite logit")),
                }
            }
            Ok(())
        })?;
        Ok(drawn)
    }
}

/// Checks that there is a row of logits for each beginning.
pub(super) fn check_rows(rows: usize, open: usize) -> Result<()> {
    if rows == open {
        return Ok(());
    }
    Err(Error::argument("logits", format!("has {rows} rows for {open} beginnings")))
}
