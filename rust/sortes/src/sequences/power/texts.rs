//! Beginnings that share their tokens: a tree, in which equal beginnings are one node.

use std::collections::HashMap;

use super::target::{Place, Target, Text};
use sortes_core::memory::{refused, reserve, zeroed};
use sortes_core::{Error, Result};

/// A beginning: its index.
pub(super) type Id = u32;

/// A beginning, without the tokens before its last one.
#[derive(Debug, Clone, Copy)]
struct Node {
    parent: Id,
    token: u32,
    place: Place,
    ln_p: f64,
    is_complete: bool,
}

/// The beginnings.
#[derive(Debug)]
pub(super) struct Texts {
    nodes: Vec<Node>,
    /// By the beginning before and the token.
    known: HashMap<(Id, u32), Id>,
}

impl Texts {
    /// The empty beginning alone.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn new(start: Place) -> Result<Self> {
        let mut nodes = Vec::new();
        reserve(&mut nodes, 1, "beginnings")?;
        nodes.push(Node { parent: 0, token: 0, place: start, ln_p: 0.0, is_complete: false });
        Ok(Self { nodes, known: HashMap::new() })
    }

    /// Makes room for more.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn reserve(&mut self, more: usize) -> Result<()> {
        if self.nodes.len() + more >= Id::MAX as usize {
            return Err(Error::argument("max_new_tokens", "the texts have more than 2**32 tokens"));
        }
        reserve(&mut self.nodes, more, "beginnings")?;
        let room = self.known.try_reserve(more);
        room.map_err(|_| refused::<((Id, u32), Id)>(more, "beginnings"))
    }

    /// The beginning that is one token longer, for which there is room.
    pub(super) fn longer(&mut self, above: Id, token: u32, ln_p: f64, target: &Target) -> Id {
        let Node { place, ln_p: before, .. } = self.nodes[above as usize];
        let nodes = &mut self.nodes;
        *self.known.entry((above, token)).or_insert_with(|| {
            let id = nodes.len() as Id;
            let is_complete = target.is_end(token);
            let place = target.behind(place, token);
            nodes.push(Node { parent: above, token, place, ln_p: before + ln_p, is_complete });
            id
        })
    }

    pub(super) fn place(&self, id: Id) -> Place {
        self.nodes[id as usize].place
    }

    pub(super) fn ln_p(&self, id: Id) -> f64 {
        self.nodes[id as usize].ln_p
    }

    /// Whether nothing can follow.
    pub(super) fn is_whole(&self, id: Id, target: &Target) -> bool {
        let node = &self.nodes[id as usize];
        node.is_complete || node.place.depth == target.tokens
    }

    /// The tokens of a beginning.
    ///
    /// # Errors
    /// If there is no such one, or no memory.
    pub(super) fn path(&self, mut id: Id) -> Result<Vec<i64>> {
        let Some(node) = self.nodes.get(id as usize) else {
            return Err(Error::argument("texts", format!("there is no beginning {id}")));
        };
        let mut path = zeroed(node.place.depth as usize, "tokens of a text")?;
        for token in path.iter_mut().rev() {
            let node = &self.nodes[id as usize];
            (*token, id) = (i64::from(node.token), node.parent);
        }
        Ok(path)
    }

    /// A beginning as a text.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub(super) fn text(&self, id: Id) -> Result<Text> {
        let tokens = self.path(id)?;
        let Node { ln_p, is_complete, .. } = self.nodes[id as usize];
        Ok(Text { tokens, ln_p, is_complete })
    }
}
