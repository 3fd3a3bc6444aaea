//! Several independent paths of a draft: the best of a group of them, and its law.
//!
//! Thomas and Pal, "Greedy Multi-Path Block Verification for Faster Decoding in Speculative Sampling",
//! 2026, arXiv:2602.16961. Paths are ordered token by token; of `K` independent ones the last in the
//! order is chosen. With the probability `A` that a path of the draft lies below a beginning, `x` that
//! it has it, and `c` and `c'` that its next token lies below `t`, without and with `t` itself,
//!
//! `P(t) = ((A + x c')^K - (A + x c)^K) / ((A + x)^K - A^K)`
//!
//! is the law of the next token of the chosen path, which is then verified as one block. `A` and `x`
//! are kept as parts of their sum, and the differences of powers divided by that of their bases, so
//! that nothing cancels, however many paths there are.
//!
//! Any order will do that knows nothing but the laws at a beginning. Here it is that of the ratio of
//! the laws, in levels of a sixteenth of an octave, and of the id within a level: it takes two passes
//! and no sort. The order is strict, as the formula demands.
//!
//! The best of many paths of a good draft is too good: it is refused more often than any of them.
//! Paths may therefore be taken in groups: if the best of the first is refused, the best of the next
//! is verified against what is left of the law. Groups of one are the traversal of a bundle of
//! chains, a single group is the published scheme, and sizes that depend on the laws at the root
//! alone change nothing about the law of the result.

use std::ops::Range;

use sortes_core::memory::{copied, reserve, with_capacity, zeroed};
use sortes_core::rng::elementary::{exp_negative, ln};
use sortes_core::{Error, Result, Run};

use super::residual::State;
use super::verify::uniform;
use crate::decode::Kept;
use crate::sequences::verify::Texts;

/// Levels of an octave: their number is a power of two, and that many leading bits of a mantissa.
const FINE: u32 = 4;
/// Octaves of the ratio; what lies outside belongs to the outermost level.
const OCTAVES: i64 = 128;
const LEVELS: usize = (OCTAVES as usize) << FINE;
/// The draws of paths begin where those of trees end. The first gives the token that follows; then
/// come those that decide about the tokens, path after path.
const FIRST_DRAW: u64 = 1 << 32;
/// Up to this many paths are grouped by looking two groups ahead, more by one.
const FEW: usize = 4;

/// How paths are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// So that few are refused.
    Sized,
    /// All in one.
    Single,
}

/// The drafted paths of a batch of texts.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// The tokens, path after path.
    pub tokens: &'a [i64],
    /// How many paths a text has.
    pub count: usize,
    /// How many tokens a path has.
    pub length: usize,
}

/// What is taken of the paths of a text.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Chosen {
    /// The path that was chosen.
    pub path: usize,
    /// How many of its tokens are taken.
    pub accepted: usize,
    /// The token that follows them.
    pub token: i64,
}

/// Verifies the paths of a batch of texts.
///
/// The target has `length + 1` rows for each path, the draft `length`. Progress counts texts.
///
/// # Errors
/// If something does not fit, a token is outside the vocabulary, a row that is read is unfit, the draft
/// cannot have drawn a token that is tried, there is no memory, or the work is cancelled.
pub fn verify_paths(
    texts: &Texts<'_>,
    paths: Paths<'_>,
    grouping: Grouping,
    run: Run<'_>,
) -> Result<Vec<Chosen>> {
    let Paths { count, length, .. } = paths;
    texts.check(count * (length + 1))?;
    let mut out = with_capacity(texts.count(), "texts")?;
    out.resize(texts.count(), Chosen::default());
    let few = out.len() < run.threads.count();
    let (across, within) = if few { (run.serial(), run) } else { (run, run.serial()) };
    across.try_fill_chunks(&mut out, 1, |text, out| {
        let one = OneText { paths, texts, grouping, text, run: within };
        for path in 0..count {
            for place in 0..length {
                one.token(path, place)?;
            }
        }
        texts.call.place(text, one.number(0) * (length + 1), length)?;
        out[0] = one.verify()?;
        run.advance(1);
        Ok(())
    })?;
    Ok(out)
}

/// The work on one text.
struct OneText<'a> {
    paths: Paths<'a>,
    texts: &'a Texts<'a>,
    grouping: Grouping,
    text: usize,
    run: Run<'a>,
}

impl OneText<'_> {
    /// How messages call a row, or a token, of a path.
    fn label(&self, path: usize, place: usize) -> String {
        let text =
            if self.texts.shape.is_empty() { String::new() } else { format!("{}, ", self.text) };
        format!("({text}{path}, {place})")
    }

    /// The number of a path in the batch.
    fn number(&self, path: usize) -> usize {
        self.text * self.paths.count + path
    }

    fn token(&self, path: usize, place: usize) -> Result<u32> {
        let token = self.paths.tokens[self.number(path) * self.paths.length + place];
        self.texts.token("draft_tokens", token, || self.label(path, place))
    }

    /// A number of the text, counted from the first that paths read.
    fn number_at(&self, index: usize) -> Result<f64> {
        let root = self.texts.call.place(self.text, self.number(0) * (self.paths.length + 1), 0)?;
        Ok(uniform(&root, FIRST_DRAW + index as u64))
    }

    /// The number that decides about a token of a path.
    fn uniform(&self, path: usize, place: usize) -> Result<f64> {
        self.number_at(1 + path * self.paths.length + place)
    }

    fn verify(&self) -> Result<Chosen> {
        let Paths { count, length, .. } = self.paths;
        let mut root = self.enter(0, 0, 1.0)?;
        if length > 0 {
            // Whatever path is tried: the draft must be able to have drawn all of them.
            for path in 0..count {
                self.find(path, 0, &root)?;
            }
        }
        let draft = copied(&root.q, "probabilities of tokens", self.run)?;
        let mut first = 0;
        while length > 0 && first < count {
            let size = match self.grouping {
                Grouping::Single => count,
                Grouping::Sized => size_of_group(&root.p, &draft, count - first, self.run)?,
            };
            root.q.copy_from_slice(&draft);
            if let Some(chosen) = self.verify_group(first..first + size, &mut root)? {
                return Ok(chosen);
            }
            first += size;
        }
        self.taken(0, 0, &root)
    }

    /// Stands behind the first tokens of a path.
    fn enter(&self, path: usize, place: usize, weight: f64) -> Result<State> {
        self.run.check()?;
        let (length, number) = (self.paths.length, self.number(path));
        let rows = (number * (length + 1) + place, number * length + place);
        let at = self.texts.call.place(self.text, rows.0, place)?;
        let label = || self.label(path, place);
        if place == length {
            let state = |mut p: Kept<'_, '_>| State::new(&mut p, None, weight);
            return self.texts.target(rows.0, &at, label, self.run, state);
        }
        self.texts.both(rows, &at, label, self.run, |p, q| State::new(p, Some(q), weight))
    }

    /// Chooses a path of a group, whose laws at the root are given, and takes as much of it as it can;
    /// if that is nothing, leaves at the root what is left of the law.
    fn verify_group(&self, group: Range<usize>, root: &mut State) -> Result<Option<Chosen>> {
        let count = group.len();
        let mut left: Vec<usize> = with_capacity(count, "paths")?;
        left.extend(group);
        // From above: the chosen path, its laws and the weights of its beginnings.
        let mut beginning = Beginning { below: 0.0, own: 1.0 };
        let mut states: Vec<State> = Vec::new();
        let mut places: Vec<usize> = with_capacity(self.paths.length, "tokens of a path")?;
        let mut weight = 1.0;
        for place in 0..self.paths.length {
            if place > 0 {
                reserve(&mut states, 1, "tokens of a path")?;
                states.push(self.enter(left[0], place, weight)?);
            }
            let state = states.last_mut().unwrap_or(root);
            let (best, at) = self.best(&left, place, state)?;
            let token = self.token(best, place)?;
            let mut kept = 0;
            for i in 0..left.len() {
                let path = left[i];
                left[kept] = path;
                kept += usize::from(self.token(path, place)? == token);
            }
            left.truncate(kept);
            places.push(at);
            if count > 1 {
                beginning.choose(state, at, count)?;
                state.mass = state.q.iter().sum();
            }
            weight = state.chance(at);
            if weight == 0.0 {
                break;
            }
        }
        // From below: the first beginning that is taken.
        let (path, length) = (left[0], self.paths.length);
        if places.len() == length && self.uniform(path, length - 1)? < weight {
            return self.taken(path, length, &self.enter(path, length, 1.0)?).map(Some);
        }
        for (above, state) in states.iter_mut().enumerate().rev() {
            // This state stands behind the token at `above`.
            state.refuse(places[above + 1], true, self.run)?;
            if self.uniform(path, above)? < state.weight {
                return self.taken(path, above + 1, state).map(Some);
            }
        }
        root.refuse(places[0], true, self.run)?;
        Ok(None)
    }

    /// The path with the best of the next tokens of some paths, and where that stands in the laws.
    fn best(&self, paths: &[usize], place: usize, state: &State) -> Result<(usize, usize)> {
        let mut best = None;
        for &path in paths {
            let at = self.find(path, place, state)?;
            let rank = (level(state.p[at], state.q[at]), at);
            if best.is_none_or(|(known, _)| known < rank) {
                best = Some((rank, path));
            }
        }
        let found = best.map(|((_, at), path)| (path, at));
        found.ok_or_else(|| Error::argument("draft_tokens", "have no path"))
    }

    /// Where the next token of a path stands in the laws.
    fn find(&self, path: usize, place: usize, state: &State) -> Result<usize> {
        let token = self.token(path, place)?;
        let at = state.place(token).filter(|&at| state.q[at] > 0.0);
        at.ok_or_else(|| self.texts.impossible("draft_tokens", token, &self.label(path, place)))
    }

    fn taken(&self, path: usize, accepted: usize, state: &State) -> Result<Chosen> {
        let drawn = state.draw(self.number_at(0)?);
        let token = drawn.ok_or_else(|| Error::argument(self.texts.name, "leaves no token"))?;
        Ok(Chosen { path, accepted, token: i64::from(token) })
    }
}

/// The level of a token that the draft may draw, by the ratio of the laws.
fn level(p: f64, q: f64) -> usize {
    // The bits of positive numbers are in the order of the numbers.
    let level = (p / q).to_bits() >> (52 - FINE);
    (level.cast_signed() - ((1023 - OCTAVES / 2) << FINE)).clamp(0, LEVELS as i64 - 1) as usize
}

/// What the draft's paths do at a beginning: how likely they lie below it, and have it, as parts of
/// the sum of both.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Beginning {
    below: f64,
    own: f64,
}

impl Beginning {
    /// Makes of the law of the draft that of the chosen path, and goes on with the token
    /// at a place.
    fn choose(&mut self, state: &mut State, at: usize, count: usize) -> Result<()> {
        let State { p, q, .. } = state;
        let (mut masses, total) = below_levels(p, q)?;
        let mut next = *self;
        for (place, (p, q)) in p.iter().zip(q).enumerate() {
            if *q > 0.0 {
                let through = &mut masses[level(*p, *q)];
                let below = self.below + self.own * (*through / total);
                *through += *q;
                let upto = self.below + self.own * (*through / total);
                if place == at {
                    next = Self { below: below / upto, own: self.own * (*q / total) / upto };
                }
                *q *= powers(upto, below, count);
            }
        }
        *self = next;
        Ok(())
    }
}

/// The mass of the draft below each level, and all of it.
fn below_levels(p: &[f64], q: &[f64]) -> Result<(Vec<f64>, f64)> {
    let mut masses = zeroed(LEVELS, "levels")?;
    for (p, q) in p.iter().zip(q) {
        if *q > 0.0 {
            masses[level(*p, *q)] += *q;
        }
    }
    let mut total = 0.0;
    for mass in &mut masses {
        total += std::mem::replace(mass, total);
    }
    Ok((masses, total))
}

/// How many paths the next group has, of those that are left: few of them shall be refused.
fn size_of_group(p: &[f64], q: &[f64], left: usize, run: Run<'_>) -> Result<usize> {
    if left == 1 {
        return Ok(1);
    }
    // Where the draft has no mass nothing is taken.
    let able = || p.iter().zip(q).filter(|(_, q)| **q > 0.0);
    let n = able().count();
    let mut laws = (with_capacity(n, "tokens of a draft")?, with_capacity(n, "tokens of a draft")?);
    laws.0.extend(able().map(|(p, _)| *p));
    laws.1.extend(able().map(|(_, q)| *q));
    // The law of the target has some mass elsewhere, which stays.
    let ahead = if left <= FEW { 2 } else { 1 };
    Ok(plan(&laws.0, &laws.1, left, ahead, run)?.0)
}

/// The size of the next group, and the probability that all `left` paths are refused at the root: the
/// paths behind the groups that are looked at are taken to be refused as often, each, as those in the
/// last.
fn plan(p: &[f64], q: &[f64], left: usize, ahead: u32, run: Run<'_>) -> Result<(usize, f64)> {
    run.check()?;
    let laws = Bests::new(p, q)?;
    let mut best = (1, f64::INFINITY);
    for size in 1..=left {
        let refused = (1.0 - laws.taken(size)).max(0.0);
        let all = if size == left {
            refused
        } else if ahead == 0 {
            power(refused, left as f64 / size as f64)
        } else {
            let rest = laws.rest(size)?;
            refused * plan(&rest, q, left - size, ahead - 1, run)?.1
        };
        if all < best.1 {
            best = (size, all);
        }
    }
    Ok(best)
}

/// `x^y` of a probability, the same on all machines.
fn power(x: f64, y: f64) -> f64 {
    if x > 0.0 { exp_negative((ln(x) * y).min(0.0)) } else { 0.0 }
}

/// `(a^n - b^n) / (a - b)`.
fn powers(a: f64, b: f64, n: usize) -> f64 {
    let (mut sum, mut power) = (1.0, 1.0);
    for _ in 1..n {
        power *= a;
        sum = sum * b + power;
    }
    sum
}

/// The law of the first token of the best of some paths, for any number of them.
struct Bests<'a> {
    p: &'a [f64],
    q: &'a [f64],
    /// How likely a token of the draft lies below each one, without and with it.
    ends: Vec<(f64, f64)>,
}

impl<'a> Bests<'a> {
    /// The laws of the tokens that the draft may draw.
    fn new(p: &'a [f64], q: &'a [f64]) -> Result<Self> {
        let (mut masses, total) = below_levels(p, q)?;
        let mut ends = with_capacity(q.len(), "tokens of a draft")?;
        ends.extend(p.iter().zip(q).map(|(p, q)| {
            let through = &mut masses[level(*p, *q)];
            let below = *through / total;
            *through += *q;
            (below, *through / total)
        }));
        Ok(Self { p, q, ends })
    }

    /// The law of the target and that of the best of `count` paths, token by token.
    fn laws(&self, count: usize) -> impl Iterator<Item = (f64, f64)> {
        let best = move |(q, ends): (&f64, &(f64, f64))| q * powers(ends.1, ends.0, count);
        self.p.iter().copied().zip(self.q.iter().zip(&self.ends).map(best))
    }

    /// The probability that the first token of the best of `count` paths is taken.
    fn taken(&self, count: usize) -> f64 {
        self.laws(count).map(|(p, q)| p.min(q)).sum()
    }

    /// What is left of the law of the target if it is not.
    fn rest(&self, count: usize) -> Result<Vec<f64>> {
        let refused = (1.0 - self.taken(count)).max(f64::MIN_POSITIVE);
        let mut rest = with_capacity(self.p.len(), "tokens of a draft")?;
        rest.extend(self.laws(count).map(|(p, q)| (p - q).max(0.0) / refused));
        Ok(rest)
    }
}
