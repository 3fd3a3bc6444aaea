//! The search: which nodes are next, and which sequences have come.

use std::collections::HashMap;

use super::children::{Child, Law, Listed, Perturbed, key_of_child, likeliest, perturbed, root};
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

/// An expanded node whose turn has not come.
#[derive(Debug)]
struct Expansion {
    /// The best child.
    best: Id,
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
    nodes: Nodes,
    queue: Queue,
    /// Of a greedy search: the end of the sequence that is being extended, and its priority.
    chain: Option<(Id, f64)>,
    /// Of a greedy search: nodes that were expanded before their turn.
    expansions: HashMap<Id, Expansion>,
    found: Vec<Found>,
}

impl SequenceTree {
    /// A search that has not begun.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(priority: Priority, limits: Limits, ends: Vec<u32>, stream: Stream) -> Result<Self> {
        let draws = priority == Priority::Gumbel;
        let (key, value) = root(stream);
        let value = if draws { value } else { f64::NAN };
        let mut nodes = Nodes::default();
        nodes.reserve(1)?;
        let id = nodes.push(Node {
            parent: 0,
            token: 0,
            depth: 0,
            is_leaf: false,
            ln_p: 0.0,
            priority: value,
            key,
        });
        let mut tree = Self {
            priority,
            limits,
            ends,
            nodes,
            queue: Queue::default(),
            chain: (!draws && limits.sequences > 0).then_some((id, value)),
            expansions: HashMap::new(),
            found: Vec::new(),
        };
        tree.bound();
        if draws {
            tree.queue.insert(tree.place(id, value), id);
        }
        Ok(tree)
    }

    /// How many sequences are still to come.
    fn wanted(&self) -> usize {
        self.limits.sequences - self.found.len()
    }

    /// Keeps as many nodes as can still matter: every sequence that comes is below another one of
    /// them. What is next after the last one is its threshold.
    fn bound(&mut self) {
        let capacity = match self.priority {
            Priority::Gumbel => self.wanted().saturating_add(1),
            _ => self.wanted() - usize::from(self.chain.is_some()),
        };
        self.queue.set_capacity(capacity);
    }

    fn place(&self, id: Id, priority: f64) -> Place {
        let tie = match self.priority {
            // Which was pushed first depends on who was expanded first; the keys do not.
            Priority::Gumbel => self.nodes.get(id).key,
            _ => u64::from(id),
        };
        Place { priority, tie }
    }

    /// Whether no more sequences will come.
    pub fn is_finished(&self) -> bool {
        self.wanted() == 0 || (self.chain.is_none() && self.queue.first().is_none())
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
    /// there are none.
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
        let wanted = self.wanted();
        let mut batch = with_capacity(most.min(wanted).min(self.len()), "nodes of a batch")?;
        let chain = self.chain.iter().map(|(id, _)| *id);
        let queued = self.queue.iter().take(wanted);
        let open = chain.chain(queued).filter_map(|id| self.open_end(id));
        batch.extend(open.take(most.min(wanted)));
        Ok(batch)
    }

    /// The node to be expanded below this one, by the best children of those that are.
    fn open_end(&self, mut id: Id) -> Option<Id> {
        while let Some(expansion) = self.expansions.get(&id) {
            id = expansion.best;
        }
        (!self.nodes.is_leaf(id)).then_some(id)
    }

    /// Expands nodes by rows of logits, from the laws that the call leaves; its streams do not matter.
    ///
    /// # Errors
    /// As [`Call::sample`], or if a node is not one to be expanded. Nothing has changed then.
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

        let mut children = with_capacity(nodes.len(), "nodes of a batch")?;
        children.resize(nodes.len(), Vec::new());
        let this = &*self;
        call.each_row(logits, &mut children, run, |row, tokens, out| {
            *out = this.children(nodes[row], tokens)?;
            Ok(())
        })?;
        self.take(nodes, children)
    }

    /// Expands one node by tokens and the logarithms of their probabilities, which sum to one.
    ///
    /// # Errors
    /// If it is not one to be expanded, or there is no token.
    pub fn expand_listed(&mut self, node: u32, tokens: &[i64], ln_p: &[f64]) -> Result<()> {
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
        let children = self.children(node, Listed(tokens, ln_p))?;
        if children.is_empty() {
            return Err(Error::argument("logprobs", "no token may follow"));
        }
        self.take(&[node], vec![children])
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

    /// The children of a node that can matter, in order.
    fn children(&self, node: Id, law: impl Law) -> Result<Vec<Child>> {
        if self.priority == Priority::Gumbel {
            let Node { ln_p, priority, key, .. } = self.nodes.get(node);
            let node = Perturbed { ln_p, value: priority, key };
            return perturbed(law, node, self.queue.capacity(), self.queue.threshold());
        }
        // The best one goes on; the others wait, as many as there can be turns.
        let most = self.wanted().saturating_add(1);
        let least = self.queue.threshold();
        let above = self.nodes.get(node).ln_p;
        // A rounding more, for the sum is compared later.
        let least = if self.priority == Priority::Token { least } else { least - above - 1e-9 };
        likeliest(law, most, least)
    }

    fn greedy_priority(&self, above: f64, child: &Child) -> f64 {
        if self.priority == Priority::Token { child.ln_p } else { above + child.ln_p }
    }

    /// Takes in the children of nodes, and then every sequence whose turn has come.
    fn take(&mut self, nodes: &[Id], children: Vec<Vec<Child>>) -> Result<()> {
        let more: usize = children.iter().map(Vec::len).sum();
        let held: usize = self.expansions.values().map(|e| e.others.len()).sum();
        self.nodes.reserve(more + held)?;
        let sequences = self.wanted().min(self.nodes.len() + more + held);
        reserve(&mut self.found, sequences, "sequences")?;
        if self.nodes.len() + more + held > Id::MAX as usize {
            return Err(Error::argument("num_samples", "the tree has more than 2**32 nodes"));
        }
        for (&node, children) in nodes.iter().zip(children) {
            match self.priority {
                Priority::Gumbel => self.take_perturbed(node, &children),
                _ => self.take_greedy(node, children),
            }
        }
        match self.priority {
            Priority::Gumbel => self.settle_perturbed(),
            _ => self.settle_greedy(),
        }
        Ok(())
    }

    fn push(&mut self, parent: Id, child: &Child, priority: f64) -> Id {
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
            ln_p: above.ln_p + child.ln_p,
            priority,
            key,
        })
    }

    fn take_perturbed(&mut self, node: Id, children: &[Child]) {
        let priority = self.nodes.get(node).priority;
        // A node that has left the queue meanwhile is below too many others.
        if self.queue.remove(self.place(node, priority)).is_none() {
            return;
        }
        for child in children {
            if child.perturbed >= self.queue.threshold() {
                let id = self.push(node, child, child.perturbed);
                self.queue.insert(self.place(id, child.perturbed), id);
            }
        }
    }

    fn settle_perturbed(&mut self) {
        while self.wanted() > 0
            && let Some((place, id)) = self.queue.first()
            && self.nodes.is_leaf(id)
        {
            self.queue.pop_first();
            self.emit(id, place.priority);
        }
    }

    fn take_greedy(&mut self, node: Id, mut children: Vec<Child>) {
        let best = children.remove(0);
        let best = self.push(node, &best, f64::NAN);
        self.expansions.insert(node, Expansion { best, others: children });
    }

    fn settle_greedy(&mut self) {
        while self.wanted() > 0 {
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
                        break;
                    }
                    let child = self.push(id, child, priority);
                    self.queue.insert(self.place(child, priority), child);
                }
                self.chain = Some((expansion.best, priority));
            } else {
                return;
            }
        }
    }

    fn emit(&mut self, id: Id, priority: f64) {
        let Node { token, depth, ln_p, .. } = self.nodes.get(id);
        let is_complete = self.ends.contains(&token);
        self.found.push(Found { node: id, len: depth, ln_p, priority, is_complete });
        self.bound();
    }
}
