//! Trees that grow where the draft is sure.
//!
//! Li, Wei, Zhang and Zhang, "EAGLE-2: Faster Inference of Language Models with Dynamic Draft Trees",
//! EMNLP 2024, arXiv:2406.16858. The score of a node is the logarithm of the product of the draft's
//! probabilities on its path. Each level keeps the `top_k` best of what the level before proposed;
//! at the end the best of all that were ever proposed are kept. Scores never grow along a path and
//! parents come first, so that with ties to the earlier one the parent of a kept node is kept.

use sortes_core::error::shown;
use sortes_core::memory::{reserve, with_capacity};
use sortes_core::{Error, Result, Run};

use crate::decode::{Call, Element, Rows};

/// How large trees may become.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How many children a node has, and how many nodes of a level are extended.
    pub top_k: usize,
    /// How many levels follow the first.
    pub depth: usize,
    /// How many nodes are kept beside the root.
    pub nodes: usize,
    /// The least score of a node.
    pub least: f64,
}

/// The nodes of a text that are to be extended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frontier {
    /// Their tokens.
    pub tokens: Vec<i64>,
    /// The place of their parent in the frontier before, -1 for the root.
    pub parents: Vec<i64>,
    /// Their scores.
    pub scores: Vec<f64>,
}

/// A tree that has grown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    /// The tokens of its nodes, the root first.
    pub tokens: Vec<i64>,
    /// Their parents; -1 for the root.
    pub parents: Vec<i64>,
    /// Their depths.
    pub depths: Vec<i64>,
    /// Their scores.
    pub scores: Vec<f64>,
}

/// A candidate: a node that was proposed.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    token: i64,
    /// The candidate above, or [`ROOT`].
    parent: u32,
    score: f64,
}

const ROOT: u32 = u32::MAX;

/// A node that is to be extended.
#[derive(Debug, Clone, Copy)]
struct Open {
    candidate: u32,
    /// The place of its parent in the frontier before.
    from: u32,
}

/// What grows for one text.
#[derive(Debug, Clone, Default)]
struct Growing {
    root: i64,
    candidates: Vec<Candidate>,
    frontier: Vec<Open>,
}

/// Trees that grow, one for each text of a batch.
#[derive(Debug, Clone)]
pub struct DraftTreeBuilder {
    limits: Limits,
    texts: Vec<Growing>,
    /// How many levels are there; `None` before the start.
    levels: Option<usize>,
}

/// Proposals of one row: tokens and the logarithms of their probabilities.
type Proposals = Vec<(i64, f64)>;

impl DraftTreeBuilder {
    /// A builder of trees for `texts` texts.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(texts: usize, limits: Limits) -> Result<Self> {
        let mut growing = with_capacity(texts, "texts")?;
        growing.resize_with(texts, Growing::default);
        Ok(Self { limits, texts: growing, levels: None })
    }

    /// How many trees grow.
    pub fn texts(&self) -> usize {
        self.texts.len()
    }

    /// A builder of the same size that begins behind the last tokens of the texts.
    ///
    /// # Errors
    /// If the number of tokens is not that of the texts, one is below -1, or there is no memory.
    pub fn anew(&self, roots: &[i64]) -> Result<Self> {
        if roots.len() != self.texts.len() {
            let reason = format!("has {} tokens for {} texts", roots.len(), self.texts.len());
            return Err(Error::argument("root_token", reason));
        }
        if let Some((text, &root)) = roots.iter().enumerate().find(|(_, root)| **root < -1) {
            return Err(Error::item("root_token", text, "[-1, 2**63)", root));
        }
        let mut new = Self { levels: Some(0), ..Self::new(roots.len(), self.limits)? };
        for (text, &root) in new.texts.iter_mut().zip(roots) {
            text.root = root;
            reserve(&mut text.frontier, 1, "nodes of a tree")?;
            text.frontier.push(Open { candidate: ROOT, from: 0 });
        }
        Ok(new)
    }

    /// How many nodes were proposed in all.
    pub fn candidates(&self) -> usize {
        self.texts.iter().map(|text| text.candidates.len()).sum()
    }

    /// How many levels there are, the first included; `None` before the start.
    pub fn levels(&self) -> Option<usize> {
        self.levels
    }

    /// The number of rows that each text has in the next [`expand_listed`](Self::expand_listed).
    pub fn width(&self) -> usize {
        self.texts.iter().map(|text| text.frontier.len()).max().unwrap_or(0)
    }

    /// The nodes of a text that are to be extended, the best first.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn frontier(&self, text: usize) -> Result<Frontier> {
        let open = &self.texts[text].frontier;
        let what = "nodes to extend";
        let mut out = Frontier {
            tokens: with_capacity(open.len(), what)?,
            parents: with_capacity(open.len(), what)?,
            scores: with_capacity(open.len(), what)?,
        };
        for node in open {
            let (token, from, score) = match self.texts[text].of(node.candidate) {
                Some(Candidate { token, parent: ROOT, score }) => (token, -1, score),
                Some(Candidate { token, score, .. }) => (token, i64::from(node.from), score),
                None => (self.texts[text].root, -1, 0.0),
            };
            out.tokens.push(token);
            out.parents.push(from);
            out.scores.push(score);
        }
        Ok(out)
    }

    /// Extends the frontier by the proposals of a draft: [`width`](Self::width) rows for each text,
    /// those behind its own frontier being ignored.
    ///
    /// # Errors
    /// If all levels are there, the shapes do not fit, or there is no memory; if a log-probability is
    /// NaN or above zero, a token negative or twice in a row. Nothing has changed then.
    pub fn expand_listed(
        &mut self,
        (logprobs, tokens): (&[f64], &[i64]),
        each: usize,
    ) -> Result<()> {
        let width = self.check(logprobs.len().checked_div(each))?;
        let mut rows = with_capacity(self.texts.len() * width, "rows")?;
        for (b, text) in self.texts.iter().enumerate() {
            for r in 0..text.frontier.len() {
                let row = b * width + r;
                let (logprobs, tokens) = (&logprobs[row * each..], &tokens[row * each..]);
                rows.push(best(&logprobs[..each], &tokens[..each], row, self.limits.top_k)?);
            }
        }
        self.grow(&rows)
    }

    /// The same from whole rows of logits, of which the likeliest tokens are proposed.
    ///
    /// # Errors
    /// As [`expand_listed`](Self::expand_listed), and those of [`Call::sample`].
    pub fn expand_rows<T: Element>(
        &mut self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        run: Run<'_>,
    ) -> Result<()> {
        let width = self.check(Some(logits.rows()))?;
        let mut all = with_capacity(logits.rows(), "rows")?;
        all.resize(logits.rows(), None);
        let (texts, k) = (&self.texts, self.limits.top_k);
        call.each_row(logits, None, &mut all, run, |row, tokens, out: &mut Option<Proposals>| {
            if row % width < texts[row / width].frontier.len() {
                let found = tokens.likeliest(k, f64::NEG_INFINITY)?;
                let mut proposals = with_capacity(found.len(), "proposals")?;
                proposals.extend(found.into_iter().map(|(token, ln_p)| (i64::from(token), ln_p)));
                *out = Some(proposals);
            }
            Ok(())
        })?;
        let mut rows = with_capacity(all.len(), "rows")?;
        rows.extend(all.into_iter().flatten());
        self.grow(&rows)
    }

    /// Checks that a level may follow, and the number of rows; returns that of each text.
    fn check(&self, rows: Option<usize>) -> Result<usize> {
        let depth = self.limits.depth;
        match self.levels {
            None => return Err(Error::argument("start", "must be called before expand")),
            Some(levels) if levels > depth => {
                let reason = format!("is {depth}, and so many levels follow the first");
                return Err(Error::argument("depth", reason));
            }
            Some(_) => {}
        }
        let width = self.width();
        let wanted = self.texts.len() * width;
        if let Some(rows) = rows
            && rows != wanted
        {
            let reason = format!("must have {wanted} rows, as the frontier has, got {rows}");
            return Err(Error::argument("logprobs", reason));
        }
        Ok(width)
    }

    /// Takes the proposals for all nodes of all frontiers.
    fn grow(&mut self, rows: &[Proposals]) -> Result<()> {
        // Memory first: nothing has changed if there is none.
        let mut next = 0;
        for text in &mut self.texts {
            let own = &rows[next..next + text.frontier.len()];
            next += own.len();
            let more = own.iter().map(Vec::len).sum();
            reserve(&mut text.candidates, more, "nodes of a tree")?;
            reserve(&mut text.frontier, more, "nodes of a tree")?;
        }
        let mut next = 0;
        for text in &mut self.texts {
            let own = &rows[next..next + text.frontier.len()];
            next += own.len();
            text.grow(own, &self.limits);
        }
        self.levels = self.levels.map(|levels| levels + 1);
        Ok(())
    }

    /// The tree of a text, as far as it has grown.
    ///
    /// # Errors
    /// If it was not started, or there is no memory.
    pub fn finish(&self, text: usize) -> Result<Tree> {
        if self.levels.is_none() {
            return Err(Error::argument("start", "must be called before finish"));
        }
        self.texts[text].finish(self.limits.nodes)
    }
}

impl Growing {
    fn of(&self, candidate: u32) -> Option<Candidate> {
        self.candidates.get(candidate as usize).copied()
    }

    fn grow(&mut self, rows: &[Proposals], limits: &Limits) {
        let first = self.candidates.len();
        let open = self.frontier.len();
        for (place, row) in rows.iter().enumerate() {
            let parent = self.frontier[place].candidate;
            let above = self.of(parent).map_or(0.0, |parent| parent.score);
            for &(token, ln_p) in row {
                let score = above + ln_p;
                // Less than minus infinity nothing is.
                if score > f64::NEG_INFINITY && score >= limits.least {
                    let candidate = self.candidates.len() as u32;
                    self.candidates.push(Candidate { token, parent, score });
                    self.frontier.push(Open { candidate, from: place as u32 });
                }
            }
        }
        self.frontier.drain(..open);
        let scores = &self.candidates[first..];
        let score = |node: &Open| scores[node.candidate as usize - first].score;
        // Stable: the earlier one of equals first.
        self.frontier.sort_by(|a, b| score(b).total_cmp(&score(a)));
        self.frontier.truncate(limits.top_k);
    }

    fn finish(&self, most: usize) -> Result<Tree> {
        let all = &self.candidates;
        let what = "nodes of a tree";
        let mut kept: Vec<u32> = with_capacity(all.len(), what)?;
        kept.extend(0..all.len() as u32);
        if most < kept.len() {
            let best_first = |a: &u32, b: &u32| {
                let score = |node: u32| all[node as usize].score;
                score(*b).total_cmp(&score(*a)).then(a.cmp(b))
            };
            if most > 0 {
                kept.select_nth_unstable_by(most - 1, best_first);
            }
            kept.truncate(most);
            kept.sort_unstable();
        }
        let mut place = with_capacity(all.len(), what)?;
        place.resize(all.len(), 0_u32);
        let mut tree = Tree {
            tokens: with_capacity(1 + kept.len(), what)?,
            parents: with_capacity(1 + kept.len(), what)?,
            depths: with_capacity(1 + kept.len(), what)?,
            scores: with_capacity(1 + kept.len(), what)?,
        };
        let mut push = |token, parent, depth, score| {
            tree.tokens.push(token);
            tree.parents.push(parent);
            tree.depths.push(depth);
            tree.scores.push(score);
        };
        push(self.root, -1, 0, 0.0);
        let mut depth: Vec<i64> = with_capacity(1 + kept.len(), what)?;
        depth.push(0);
        for (node, &candidate) in kept.iter().enumerate() {
            let Candidate { token, parent, score } = all[candidate as usize];
            let parent = if parent == ROOT { 0 } else { place[parent as usize] };
            let below = depth[parent as usize] + 1;
            place[candidate as usize] = node as u32 + 1;
            depth.push(below);
            push(token, i64::from(parent), below, score);
        }
        Ok(tree)
    }
}

/// The best proposals of a row, the best first, the earlier one of equals first.
fn best(logprobs: &[f64], tokens: &[i64], row: usize, most: usize) -> Result<Proposals> {
    let mut out: Proposals = with_capacity(logprobs.len(), "proposals")?;
    for (i, (&ln_p, &token)) in logprobs.iter().zip(tokens).enumerate() {
        if ln_p.is_nan() || ln_p > 0.0 {
            let reason = format!("item ({row}, {i}) must be in [-inf, 0], got {}", shown(ln_p));
            return Err(Error::argument("logprobs", reason));
        }
        if ln_p == f64::NEG_INFINITY {
            continue;
        }
        if token < 0 {
            let reason = format!("item ({row}, {i}) must be in [0, 2**63), got {token}");
            return Err(Error::argument("tokens", reason));
        }
        if out.iter().any(|known| known.0 == token) {
            let reason = format!("item ({row}, {i}) is the token {token} again");
            return Err(Error::argument("tokens", reason));
        }
        out.push((token, ln_p));
    }
    out.sort_by(|a, b| b.1.total_cmp(&a.1));
    out.truncate(most);
    Ok(out)
}
