//! The search: which nodes are next, and which sequences have come.

use std::borrow::Cow;
use std::collections::HashMap;

use super::children::{Child, Law, Listed, Perturbed, key_of_child, likeliest, perturbed, root};
use super::constraint::{Constraint, masked};
use super::node::{Id, Node, Nodes};
use super::queue::{Place, Queue};
use crate::decode::{Call, Element, Rows};
use sortes_core::error::shown;
use sortes_core::memory::{filled, reserve, with_capacity};
use sortes_core::rng::Stream;
use sortes_core::{Error, Result, Run};

/// What decides whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// The perturbed log-probability: draws without replacement.
    Gumbel,
    /// The log-probability of the last token.
    Token,
    /// The log-probability of the beginning.
    Sequence,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many sequences are wanted.
    pub sequences: usize,
    /// How many tokens a sequence may have.
    pub tokens: u32,
}

/// A sequence that has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its last node.
    pub node: u32,
    /// How many tokens it has.
    pub len: u32,
    /// The logarithm of its probability.
    pub ln_p: f64,
    /// The priority with which its turn came; not a number for a first greedy one.
    pub priority: f64,
    /// Whether a token of the end ended it, not the limit.
    pub is_complete: bool,
}

/// What follows a node, before it has a place in the tree.
#[derive(Debug, Clone, Default)]
struct Followers {
    /// The children that can matter, in order.
    children: Vec<Child>,
    /// The logarithm of the mass of the legal tokens before the rules.
    ln_legal: f64,
}

/// An expanded node whose turn has not come.
#[derive(Debug)]
struct Expansion {
    /// The best child; none where no token may follow.
    best: Option<Id>,
    ln_legal: f64,
    /// The others, in order.
    others: Vec<Child>,
}

/// The search for distinct sequences.
#[derive(Debug)]
pub struct SequenceTree {
    priority: Priority,
    limits: Limits,
    /// Tokens that end a sequence.
    ends: Vec<u32>,
    constraint: Option<Constraint>,
    nodes: Nodes,
    queue: Queue,
    /// Of a greedy search: the end of the sequence that is being extended, and its priority.
    chain: Option<(Id, f64)>,
    /// Of a greedy search: nodes that were expanded before their turn.
    expansions: HashMap<Id, Expansion>,
    found: Vec<Found>,
    /// Places of the queue beyond those that sequences take, for nodes that no sequence comes of.
    spare: usize,
    /// How many such nodes there were since the search began anew.
    lost: usize,
    /// How many of the sequences that have come will come again.
    again: usize,
}

/// Places for nodes that no sequence comes of, in a search with a constraint.
const SPARE: usize = 16;

impl SequenceTree {
    /// A search that has not begun.
    ///
    /// # Errors
    /// If there is no memory for it; if no text of the constraint is short enough, or the work is
    /// cancelled.
    pub fn new(
        priority: Priority,
        limits: Limits,
        ends: Vec<u32>,
        constraint: Option<Constraint>,
        stream: Stream,
        run: Run<'_>,
    ) -> Result<Self> {
        if let Some(constraint) = &constraint {
            constraint.check(limits.tokens, run)?;
        }
        let (key, value) = root(stream);
        let mut nodes = Nodes::default();
        nodes.reserve(1)?;
        let id = nodes.push(Node {
            parent: 0,
            token: 0,
            depth: 0,
            is_leaf: false,
            state: constraint.as_ref().map_or(0, |constraint| constraint.automaton.start()),
            ln_p: 0.0,
            ln_legal: 0.0,
            priority: if priority == Priority::Gumbel { value } else { f64::NAN },
            key,
        });
        let mut tree = Self {
            priority,
            limits,
            ends,
            spare: if constraint.is_some() { SPARE } else { 0 },
            constraint,
            nodes,
            queue: Queue::default(),
            chain: None,
            expansions: HashMap::new(),
            found: Vec::new(),
            lost: 0,
            again: 0,
        };
        tree.begin(id);
        Ok(tree)
    }

    /// Begins at a root.
    fn begin(&mut self, root: Id) {
        let value = self.nodes.get(root).priority;
        if self.priority == Priority::Gumbel {
            self.bound();
            self.queue.insert(self.place(root, value), root);
        } else {
            self.chain = (self.limits.sequences > 0).then_some((root, value));
            self.bound();
        }
    }

    /// Begins anew, with more places, where nodes that were dropped may have been needed: more nodes
    /// came to nothing than there were places for them. Everything that was found comes again first.
    fn begin_anew_if_short(&mut self) -> bool {
        let is_short = self.lost > self.spare && self.queue.has_dropped();
        if is_short {
            self.spare = self.lost.saturating_mul(4);
            self.lost = 0;
            self.again = self.found.len();
            self.queue.clear();
            self.expansions.clear();
            let root = self.nodes.push(self.nodes.get(0));
            self.begin(root);
        }
        is_short
    }

    /// How many sequences are still to come.
    fn wanted(&self) -> usize {
        self.limits.sequences - (self.found.len() - self.again)
    }

    /// Keeps as many nodes as can still matter: every sequence that comes is below another one of
    /// them. What is next after the last one is its threshold.
    fn bound(&mut self) {
        let sequences = match self.priority {
            Priority::Gumbel => self.wanted().saturating_add(1),
            _ => self.wanted() - usize::from(self.chain.is_some()),
        };
        self.queue.set_capacity(sequences.saturating_add(self.spare));
    }

    fn place(&self, id: Id, priority: f64) -> Place {
        let tie = match self.priority {
            // Which was pushed first depends on who was expanded first; the keys do not.
            Priority::Gumbel => self.nodes.get(id).key,
            _ => u64::from(id),
        };
        Place { priority, tie }
    }

    /// Whether no more sequences will come, and the threshold is known.
    pub fn is_finished(&self) -> bool {
        self.turns() == 0 || (self.chain.is_none() && self.queue.first().is_none())
    }

    /// How many more sequences are looked for. Where beginnings may come to nothing, that is one more
    /// than wanted: the largest value of what is left is not the threshold until a sequence has it.
    fn turns(&self) -> usize {
        let wanted = self.wanted();
        let is_known = |(_, id)| self.nodes.is_leaf(id);
        if self.priority != Priority::Gumbel
            || self.constraint.is_none()
            || self.limits.sequences == 0
            || (wanted == 0 && self.queue.first().is_none_or(is_known))
        {
            return wanted;
        }
        wanted + 1
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none: never so.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The sequences that have come, in order.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The largest perturbed log-probability of the sequences that have not come; minus infinity if
    /// there are none. While the search goes on it may be that of a beginning that comes to nothing.
    pub fn kappa(&self) -> f64 {
        self.queue.first().map_or(f64::NEG_INFINITY, |(place, _)| place.priority)
    }

    /// The tokens of a node.
    ///
    /// # Errors
    /// If there is no such node, or no memory.
    pub fn path(&self, node: u32) -> Result<Vec<i64>> {
        self.check_node(node)?;
        self.nodes.path(node)
    }

    /// The logarithm of the mass of the legal tokens before the rules, at each place of a node.
    ///
    /// # Errors
    /// If there is no such node, or no memory.
    pub fn ln_legal(&self, node: u32) -> Result<Vec<f64>> {
        self.check_node(node)?;
        self.nodes.ln_legal(node)
    }

    fn check_node(&self, node: u32) -> Result<()> {
        if (node as usize) < self.nodes.len() {
            return Ok(());
        }
        Err(Error::argument("nodes", format!("there is no node {node}")))
    }

    /// Up to `most` nodes that are to be expanded next, the most urgent first.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn next_batch(&self, most: usize) -> Result<Vec<u32>> {
        let turns = self.turns();
        let mut batch = with_capacity(most.min(turns).min(self.len()), "nodes of a batch")?;
        let chain = self.chain.iter().map(|(id, _)| *id);
        let queued = self.queue.iter().take(turns);
        let open = chain.chain(queued).filter_map(|id| self.open_end(id));
        batch.extend(open.take(most.min(turns)));
        Ok(batch)
    }

    /// The node to be expanded below this one, by the best children of those that are.
    fn open_end(&self, mut id: Id) -> Option<Id> {
        while let Some(expansion) = self.expansions.get(&id) {
            id = expansion.best?;
        }
        (!self.nodes.is_leaf(id)).then_some(id)
    }

    /// Expands nodes by rows of logits, from the laws that the call leaves; its streams do not matter.
    ///
    /// # Errors
    /// As [`Call::sample`], if a node is not one to be expanded, or if the rows are narrower than the
    /// vocabulary of the constraint. Nothing has changed then.
    pub fn expand<T: Element>(
        &mut self,
        nodes: &[u32],
        call: &Call<'_>,
        logits: &impl Rows<T>,
        run: Run<'_>,
    ) -> Result<()> {
        if nodes.len() != logits.rows() {
            let reason = format!("has {} rows for {} nodes", logits.rows(), nodes.len());
            return Err(Error::argument("logits", reason));
        }
        nodes.iter().try_for_each(|node| self.check_open(*node))?;
        // Chance in the rules is that of the node.
        let mut streams = with_capacity(nodes.len(), "streams")?;
        streams.extend(nodes.iter().map(|node| Stream::new(self.nodes.get(*node).key)));
        let rows = filled(nodes.len(), 0, "rows")?;
        let call = Call { streams: &streams, rows: Some(&rows), ..*call };

        let masks = self.masks(nodes, logits.cols(), run)?;
        let mut words = with_capacity(masks.len(), "masks of a batch")?;
        words.extend(masks.iter().map(|mask| &**mask));
        let words = self.constraint.as_ref().map(|_| &words[..]);

        let mut followers = filled(nodes.len(), Followers::default(), "nodes of a batch")?;
        let this = &*self;
        call.each_row(logits, words, &mut followers, run, |row, tokens, out| {
            out.ln_legal = tokens.ln_share();
            if !tokens.is_empty() {
                out.children = this.children(nodes[row], tokens)?;
            }
            Ok(())
        })?;
        drop(masks);
        self.take(nodes, followers)
    }

    /// The tokens that may follow each node; none if there is no constraint.
    fn masks(&self, nodes: &[Id], cols: usize, run: Run<'_>) -> Result<Vec<Cow<'_, [u32]>>> {
        let Some(constraint) = &self.constraint else { return Ok(Vec::new()) };
        constraint.check_width(cols)?;
        let mut masks = filled(nodes.len(), Cow::default(), "masks of a batch")?;
        run.try_fill_chunks(&mut masks, 1, |i, out| {
            let Node { state, depth, .. } = self.nodes.get(nodes[i]);
            out[0] = constraint.mask(state, self.limits.tokens - depth, run.serial())?;
            Ok(())
        })?;
        Ok(masks)
    }

    /// Expands one node by tokens and the logarithms of their probabilities, which sum to one.
    ///
    /// # Errors
    /// If it is not one to be expanded, or no token may follow and there is no constraint.
    pub fn expand_listed(
        &mut self,
        node: u32,
        tokens: &[i64],
        ln_p: &[f64],
        run: Run<'_>,
    ) -> Result<()> {
        self.check_open(node)?;
        if tokens.len() != ln_p.len() {
            let reason = format!("has {} items for {} tokens", ln_p.len(), tokens.len());
            return Err(Error::argument("logprobs", reason));
        }
        if let Some(i) = tokens.iter().position(|t| u32::try_from(*t).is_err()) {
            return Err(Error::item("tokens", i, "[0, 2**32)", tokens[i]));
        }
        // NaN is in no range.
        if let Some(i) = ln_p.iter().position(|l| !(f64::NEG_INFINITY..=0.0).contains(l)) {
            return Err(Error::item("logprobs", i, "[-inf, 0]", shown(ln_p[i])));
        }
        let law = Listed(tokens, ln_p);
        let followers = if let Some(constraint) = &self.constraint {
            let Node { state, depth, .. } = self.nodes.get(node);
            let mask = constraint.mask(state, self.limits.tokens - depth, run)?;
            let (tokens, ln_p, ln_legal) = masked(law, &mask)?;
            Followers { children: self.children(node, Listed(&tokens, &ln_p))?, ln_legal }
        } else {
            Followers { children: self.children(node, law)?, ln_legal: 0.0 }
        };
        if self.constraint.is_none() && followers.children.is_empty() {
            return Err(Error::argument("logprobs", "no token may follow"));
        }
        self.take(&[node], vec![followers])
    }

    fn check_open(&self, node: u32) -> Result<()> {
        self.check_node(node)?;
        let at = self.nodes.get(node);
        let is_open = match self.priority {
            Priority::Gumbel => !at.is_leaf,
            _ => !at.is_leaf && !self.expansions.contains_key(&node),
        };
        if is_open {
            return Ok(());
        }
        Err(Error::argument("nodes", format!("node {node} cannot be expanded")))
    }

    /// How many children of a node can matter at most.
    fn most_children(&self) -> usize {
        match self.priority {
            Priority::Gumbel => self.queue.capacity(),
            // The best one goes on; the others wait, as many as there can be turns.
            _ => self.wanted().saturating_add(self.spare).saturating_add(1),
        }
    }

    /// The children of a node that can matter, in order.
    fn children(&self, node: Id, law: impl Law) -> Result<Vec<Child>> {
        let (most, least) = (self.most_children(), self.queue.threshold());
        let Node { ln_p, priority, key, .. } = self.nodes.get(node);
        match self.priority {
            Priority::Gumbel => {
                perturbed(law, Perturbed { ln_p, value: priority, key }, most, least)
            }
            Priority::Token => likeliest(law, most, least),
            // A rounding more, for the sum is compared later.
            Priority::Sequence => likeliest(law, most, least - ln_p - 1e-9),
        }
    }

    fn greedy_priority(&self, above: f64, child: &Child) -> f64 {
        if self.priority == Priority::Token { child.ln_p } else { above + child.ln_p }
    }

    /// Takes in what follows nodes, and then every sequence whose turn has come.
    fn take(&mut self, nodes: &[Id], followers: Vec<Followers>) -> Result<()> {
        let more: usize = followers.iter().map(|f| f.children.len()).sum();
        let held: usize = self.expansions.values().map(|e| e.others.len()).sum();
        // A root more, if the search begins anew.
        self.nodes.reserve(more + held + 1)?;
        let sequences = self.wanted().min(self.nodes.len() + more + held);
        reserve(&mut self.found, sequences, "sequences")?;
        if self.nodes.len() + more + held >= Id::MAX as usize {
            return Err(Error::argument("num_samples", "the tree has more than 2**32 nodes"));
        }
        let most = self.most_children();
        let is_bounded = self.queue.threshold() > f64::NEG_INFINITY;
        if is_bounded || followers.iter().any(|f| f.children.len() >= most) {
            self.queue.drop_one();
        }
        for (&node, followers) in nodes.iter().zip(followers) {
            match self.priority {
                Priority::Gumbel => self.take_perturbed(node, &followers),
                _ => self.take_greedy(node, followers),
            }
        }
        match self.priority {
            Priority::Gumbel => self.settle_perturbed(),
            _ => self.settle_greedy(),
        }
        Ok(())
    }

    fn push(&mut self, parent: Id, child: &Child, ln_legal: f64, priority: f64) -> Id {
        let state = self.constraint.as_ref().and_then(|constraint| {
            constraint.automaton.advance(self.nodes.get(parent).state, child.token)
        });
        let above = self.nodes.get(parent);
        let depth = above.depth + 1;
        let key = if self.priority == Priority::Gumbel {
            key_of_child(above.key, child.token)
        } else {
            0
        };
        self.nodes.push(Node {
            parent,
            token: child.token,
            depth,
            is_leaf: depth == self.limits.tokens || self.ends.contains(&child.token),
            state: state.unwrap_or(0),
            ln_p: above.ln_p + child.ln_p,
            ln_legal,
            priority,
            key,
        })
    }

    fn take_perturbed(&mut self, node: Id, followers: &Followers) {
        let priority = self.nodes.get(node).priority;
        // A node that has left the queue meanwhile is below too many others.
        if self.queue.remove(self.place(node, priority)).is_none() {
            return;
        }
        self.lost += usize::from(followers.children.is_empty());
        for child in &followers.children {
            if child.perturbed >= self.queue.threshold() {
                let id = self.push(node, child, followers.ln_legal, child.perturbed);
                self.queue.insert(self.place(id, child.perturbed), id);
            }
        }
    }

    fn settle_perturbed(&mut self) {
        while !self.begin_anew_if_short()
            && self.wanted() > 0
            && let Some((place, id)) = self.queue.first()
            && self.nodes.is_leaf(id)
        {
            self.queue.pop_first();
            self.emit(id, place.priority);
        }
    }

    fn take_greedy(&mut self, node: Id, followers: Followers) {
        let Followers { children: mut others, ln_legal } = followers;
        let best = (!others.is_empty()).then(|| others.remove(0));
        let best = best.map(|best| self.push(node, &best, ln_legal, f64::NAN));
        self.expansions.insert(node, Expansion { best, ln_legal, others });
    }

    fn settle_greedy(&mut self) {
        while self.wanted() > 0 && !self.begin_anew_if_short() {
            let Some((id, priority)) = self.chain else {
                let Some((place, id)) = self.queue.pop_first() else { return };
                self.chain = Some((id, place.priority));
                self.bound();
                continue;
            };
            if self.nodes.is_leaf(id) {
                self.chain = None;
                self.emit(id, priority);
            } else if let Some(expansion) = self.expansions.remove(&id) {
                let above = self.nodes.get(id).ln_p;
                for child in &expansion.others {
                    let priority = self.greedy_priority(above, child);
                    // What is pushed later comes later.
                    if !self.queue.has_room(Place { priority, tie: u64::MAX }) {
                        self.queue.drop_one();
                        break;
                    }
                    let child = self.push(id, child, expansion.ln_legal, priority);
                    self.queue.insert(self.place(child, priority), child);
                }
                self.chain = expansion.best.map(|best| (best, priority));
                if self.chain.is_none() {
                    self.lost += 1;
                    self.bound();
                }
            } else {
                return;
            }
        }
    }

    fn emit(&mut self, id: Id, priority: f64) {
        let Node { token, depth, ln_p, .. } = self.nodes.get(id);
        let is_complete = self.ends.contains(&token);
        if self.again > 0 {
            self.again -= 1;
        } else {
            self.found.push(Found { node: id, len: depth, ln_p, priority, is_complete });
        }
        self.bound();
    }
}
