//! The end of a text, and the tree of what may follow.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use sortes_core::memory::{refused, reserve};
use sortes_core::{Result, Run};

use super::automaton::{Counting, Place, SuffixAutomaton};

/// How many different tokens are looked at behind a context, those that were new last, and how many are
/// told apart in all.
const WIDTH: usize = 64;
/// How many tokens that a context of one token has not seen are expected for each that it has: measured
/// on English and on code, where it falls with about the length of the context to the power 3/2.
const ESCAPE: f64 = 8.0;
/// Nodes between two looks at the stop request.
const BLOCK: usize = 256;

/// How large a tree may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How many tokens it may have.
    pub tokens: usize,
    /// How many of them in a row.
    pub depth: usize,
    /// The least probability of a node.
    pub least: f64,
}

/// A tree of tokens that may follow: node 0 is the last token of the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// The token of each node; -1 at the root of a text without tokens.
    pub tokens: Vec<i64>,
    /// The node before each, which comes earlier; -1 at the root.
    pub parents: Vec<i64>,
    /// How often each came behind the longest context that knows it; 0 at the root.
    pub counts: Vec<i64>,
    /// The estimated probability that the text goes on to the node.
    pub probs: Vec<f64>,
}

/// What may follow the end of a text, from the text itself and a corpus.
#[derive(Debug, Clone)]
pub struct SuffixDrafts {
    own: SuffixAutomaton,
    corpus: Option<Arc<SuffixAutomaton>>,
    in_corpus: Place,
}

/// The contexts of a node: in the text, and in the corpus.
type Contexts = [Place; 2];

/// A token that may become a node.
struct Candidate {
    prob: f64,
    /// Its place among all that were ever found.
    index: usize,
    parent: usize,
    token: u32,
    count: u32,
}

impl Candidate {
    /// The likelier one is larger, and among equals the one that was found first.
    fn rank(&self) -> (f64, Reverse<usize>) {
        (self.prob, Reverse(self.index))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others) = (self.rank(), other.rank());
        own.0.total_cmp(&others.0).then(own.1.cmp(&others.1))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl SuffixDrafts {
    /// The end of a text without tokens.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(corpus: Option<Arc<SuffixAutomaton>>) -> Result<Self> {
        let own = SuffixAutomaton::begun(Counting::AtOnce)?;
        Ok(Self { own, corpus, in_corpus: Place::START })
    }

    /// How many tokens the text has.
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// The tokens of the text.
    pub fn tokens(&self) -> &[u32] {
        self.own.tokens()
    }

    /// How long the longest suffix of the text is that came before, or that the corpus has.
    pub fn matched(&self) -> u32 {
        self.own.end().length.max(self.in_corpus.length)
    }

    /// Lets the text go on.
    ///
    /// # Errors
    /// If it would have too many tokens, or there is no memory for them: the text is as it was. If the
    /// work is cancelled, it has gone on by some of the tokens.
    pub fn extend(&mut self, tokens: &[u32], run: Run<'_>) -> Result<()> {
        let before = self.len();
        let done = self.own.extend(tokens, run);
        if let Some(corpus) = &self.corpus {
            for token in &self.own.tokens()[before..] {
                self.in_corpus = corpus.behind(self.in_corpus, *token);
            }
        }
        done
    }

    /// The likeliest continuations, as a tree.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn draft(&self, limits: &Limits, run: Run<'_>) -> Result<Draft> {
        let mut draft = Draft::default();
        // Of each node that can be gone on from: its contexts and its depth.
        let mut nodes: Vec<(Contexts, usize)> = Vec::new();
        let mut candidates = BinaryHeap::new();
        let mut found = 0;
        draft.push(self.tokens().last().map_or(-1, |token| i64::from(*token)), -1, 0, 1.0)?;
        reserve(&mut nodes, 1, "nodes of a draft")?;
        nodes.push(([self.own.end(), self.in_corpus], 0));
        self.look_behind(0, &draft, &nodes, limits, &mut candidates, &mut found)?;
        while draft.tokens.len() <= limits.tokens {
            let Some(Candidate { prob, parent, token, count, .. }) = candidates.pop() else {
                break;
            };
            let node = draft.tokens.len();
            if node % BLOCK == 0 {
                run.check()?;
            }
            draft.push(i64::from(token), parent as i64, i64::from(count), prob)?;
            let (before, depth) = nodes[parent];
            let own = self.own.behind(before[0], token);
            let corpus = self.corpus.as_ref();
            let other = corpus.map_or(Place::START, |corpus| corpus.behind(before[1], token));
            reserve(&mut nodes, 1, "nodes of a draft")?;
            nodes.push(([own, other], depth + 1));
            self.look_behind(node, &draft, &nodes, limits, &mut candidates, &mut found)?;
        }
        Ok(draft)
    }

    /// Finds what may follow a node: behind its longest context, and with the probability that this
    /// fails, which is the escape of prediction by partial matching, behind the next shorter one.
    fn look_behind(
        &self,
        node: usize,
        draft: &Draft,
        nodes: &[(Contexts, usize)],
        limits: &Limits,
        candidates: &mut BinaryHeap<Candidate>,
        found: &mut usize,
    ) -> Result<()> {
        let (mut contexts, depth) = nodes[node];
        if depth >= limits.depth {
            return Ok(());
        }
        let room = candidates.try_reserve(2 * WIDTH);
        room.map_err(|_| refused::<Candidate>(candidates.len() + 2 * WIDTH, "nodes of a draft"))?;
        let (mut mass, mut seen) = (draft.probs[node], Vec::new());
        while mass >= limits.least && mass > 0.0 && seen.len() < WIDTH {
            // The longest one; of two that are equally long, that of the text.
            let which = usize::from(contexts[1].length > contexts[0].length);
            let context = contexts[which];
            if context.length == 0 {
                break;
            }
            let automaton = match (&self.corpus, which) {
                (Some(corpus), 1) => corpus.as_ref(),
                _ => &self.own,
            };
            contexts[which] = automaton.shorter(context);
            let (distinct, count) = automaton.spread(context);
            if distinct == 0 {
                continue;
            }
            let looked: u64 =
                automaton.following(context).take(WIDTH).map(|(_, count)| u64::from(count)).sum();
            let all = if distinct as usize > WIDTH { looked.max(u64::from(count)) } else { looked };
            let length = f64::from(context.length);
            let escape = ESCAPE * f64::from(distinct) / (length * length.sqrt());
            let whole = all as f64 + escape;
            for (token, count) in automaton.following(context).take(WIDTH) {
                if seen.contains(&token) {
                    continue;
                }
                seen.push(token);
                let prob = mass * f64::from(count) / whole;
                if prob > 0.0 && prob >= limits.least {
                    candidates.push(Candidate { prob, index: *found, parent: node, token, count });
                    *found += 1;
                }
            }
            mass *= escape / whole;
        }
        Ok(())
    }
}

impl Draft {
    fn push(&mut self, token: i64, parent: i64, count: i64, prob: f64) -> Result<()> {
        for column in [&mut self.tokens, &mut self.parents, &mut self.counts] {
            reserve(column, 1, "nodes of a draft")?;
        }
        reserve(&mut self.probs, 1, "nodes of a draft")?;
        self.tokens.push(token);
        self.parents.push(parent);
        self.counts.push(count);
        self.probs.push(prob);
        Ok(())
    }
}
