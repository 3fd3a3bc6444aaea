//! The nodes of the tree, in columns.

use sortes_core::Result;
use sortes_core::memory::{filled, reserve};

/// A node: its index.
pub(super) type Id = u32;

/// A beginning, without the nodes above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// The node above; itself for the root.
    pub(super) parent: Id,
    pub(super) token: u32,
    pub(super) depth: u32,
    /// Whether nothing can follow.
    pub(super) is_leaf: bool,
    /// The state of the automaton, if there is one.
    pub(super) state: u32,
    /// The logarithm of the probability of the beginning.
    pub(super) ln_p: f64,
    /// The logarithm of the mass of the legal tokens before the rules, where the last one was taken.
    pub(super) ln_legal: f64,
    /// The priority; not a number for the root of a greedy search.
    pub(super) priority: f64,
    /// The key of its random numbers.
    pub(super) key: u64,
}

#[derive(Debug, Default)]
pub(super) struct Nodes {
    parent: Vec<Id>,
    token: Vec<u32>,
    /// The depth, and in the highest bit whether it is a leaf.
    depth: Vec<u32>,
    state: Vec<u32>,
    ln_p: Vec<f64>,
    ln_legal: Vec<f64>,
    priority: Vec<f64>,
    key: Vec<u64>,
}

const LEAF: u32 = 1 << 31;

impl Nodes {
    /// Makes room for more nodes.
    pub(super) fn reserve(&mut self, more: usize) -> Result<()> {
        let what = "nodes of a tree";
        reserve(&mut self.parent, more, what)?;
        reserve(&mut self.token, more, what)?;
        reserve(&mut self.depth, more, what)?;
        reserve(&mut self.state, more, what)?;
        reserve(&mut self.ln_p, more, what)?;
        reserve(&mut self.ln_legal, more, what)?;
        reserve(&mut self.priority, more, what)?;
        reserve(&mut self.key, more, what)
    }

    /// Adds a node, for which there is room.
    pub(super) fn push(&mut self, node: Node) -> Id {
        let id = self.parent.len() as Id;
        self.parent.push(node.parent);
        self.token.push(node.token);
        self.depth.push(node.depth | if node.is_leaf { LEAF } else { 0 });
        self.state.push(node.state);
        self.ln_p.push(node.ln_p);
        self.ln_legal.push(node.ln_legal);
        self.priority.push(node.priority);
        self.key.push(node.key);
        id
    }

    pub(super) fn len(&self) -> usize {
        self.parent.len()
    }

    pub(super) fn get(&self, id: Id) -> Node {
        let i = id as usize;
        Node {
            parent: self.parent[i],
            token: self.token[i],
            depth: self.depth[i] & !LEAF,
            is_leaf: self.is_leaf(id),
            state: self.state[i],
            ln_p: self.ln_p[i],
            ln_legal: self.ln_legal[i],
            priority: self.priority[i],
            key: self.key[i],
        }
    }

    pub(super) fn is_leaf(&self, id: Id) -> bool {
        self.depth[id as usize] & LEAF != 0
    }

    /// The tokens of a beginning.
    pub(super) fn path(&self, id: Id) -> Result<Vec<i64>> {
        self.along(id, |i| i64::from(self.token[i]))
    }

    /// The logarithm of the mass of the legal tokens at each place of a beginning.
    pub(super) fn ln_legal(&self, id: Id) -> Result<Vec<f64>> {
        self.along(id, |i| self.ln_legal[i])
    }

    /// What is known of each node on the way to this one, but for the root.
    fn along<T: Default + Clone>(&self, mut id: Id, known: impl Fn(usize) -> T) -> Result<Vec<T>> {
        let depth = (self.depth[id as usize] & !LEAF) as usize;
        let mut along = filled(depth, T::default(), "tokens of a sequence")?;
        for one in along.iter_mut().rev() {
            *one = known(id as usize);
            id = self.parent[id as usize];
        }
        Ok(along)
    }
}
