//! Which nodes of a tree are taken, and the token that follows.
//!
//! Decisions read the stream of the text for the purpose `Tree`, at the step of the root: draw `n`
//! decides about node `n`, draw 0 gives the token that follows. [`Method::Draw`] reads nothing of it.

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::rng::Purpose;
use sortes_core::{Error, Result, Run};

use super::residual::State;
use crate::decode::Place;
use crate::sequences::verify::{Texts, named};

/// How a tree is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The token of the model is drawn, and the child that carries it is taken. Any tree.
    Draw,
    /// Children are tried one after the other, from the root. They must have been drawn without
    /// replacement. Miao et al., `SpecInfer`, arXiv:2305.09781; Jeon et al., arXiv:2402.14160.
    Rejection,
    /// The same from the leaves, with weights of whole paths. Weng et al., "Traversal Verification
    /// for Speculative Tree Decoding", arXiv:2505.12398.
    Traversal,
}

/// The trees of a batch of texts, in one list of nodes.
#[derive(Debug)]
pub struct Forest<'a> {
    tokens: &'a [i64],
    depths: &'a [i64],
    /// Where the nodes of each tree begin, and where the last ends.
    starts: &'a [usize],
    /// The first child of each node and its next sibling, within its tree; 0 for none.
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
}

impl<'a> Forest<'a> {
    /// Trees whose [depths](super::depths) are known.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(
        tokens: &'a [i64],
        parents: &[i64],
        depths: &'a [i64],
        starts: &'a [usize],
    ) -> Result<Self> {
        let n = tokens.len();
        let mut first_child: Vec<u32> = with_capacity(n, "nodes of trees")?;
        let mut next_sibling: Vec<u32> = with_capacity(n, "nodes of trees")?;
        first_child.resize(n, 0);
        next_sibling.resize(n, 0);
        for ends in starts.windows(2) {
            let start = ends[0];
            // From the last one, so that the first child is the one that comes first.
            for node in (1..ends[1] - start).rev() {
                let parent = start + parents[start + node] as usize;
                next_sibling[start + node] = first_child[parent];
                first_child[parent] = node as u32;
            }
        }
        Ok(Self { tokens, depths, starts, first_child, next_sibling })
    }

    /// How many trees there are.
    pub fn texts(&self) -> usize {
        self.starts.len() - 1
    }

    /// The tree of a text.
    fn tree(&self, text: usize) -> One<'_> {
        let nodes = self.starts[text]..self.starts[text + 1];
        One {
            tokens: &self.tokens[nodes.clone()],
            depths: &self.depths[nodes.clone()],
            first_child: &self.first_child[nodes.clone()],
            next_sibling: &self.next_sibling[nodes],
        }
    }
}

/// One tree.
#[derive(Clone, Copy)]
struct One<'a> {
    tokens: &'a [i64],
    depths: &'a [i64],
    first_child: &'a [u32],
    next_sibling: &'a [u32],
}

impl One<'_> {
    /// The children of a node, in their order.
    fn children(&self, node: u32) -> impl Iterator<Item = u32> {
        let some = |node: u32| (node > 0).then_some(node);
        let first = some(self.first_child[node as usize]);
        std::iter::successors(first, move |&child| some(self.next_sibling[child as usize]))
    }
}

/// What is taken of a tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verified {
    /// The nodes below the root, from above.
    pub nodes: Vec<i64>,
    /// The token that follows the last of them.
    pub token: i64,
}

/// Verifies the trees of a batch of texts.
///
/// A text has `each` rows of both models, one for each node and some more. Progress counts texts.
///
/// # Errors
/// If something does not fit, a token is outside the vocabulary, a row that is read is unfit, the draft
/// cannot have drawn a token that is tried, there is no memory, or the work is cancelled.
pub fn verify(
    texts: &Texts<'_>,
    forest: &Forest<'_>,
    each: usize,
    method: Method,
    run: Run<'_>,
) -> Result<Vec<Verified>> {
    texts.check(each)?;
    let mut out = with_capacity(forest.texts(), "texts")?;
    out.resize_with(forest.texts(), Verified::default);
    let few = out.len() < run.threads.count();
    let (across, within) = if few { (run.serial(), run) } else { (run, run.serial()) };
    across.try_fill_chunks(&mut out, 1, |text, out| {
        let walk = Walk { tree: forest.tree(text), texts, text, each, method, run: within };
        walk.check()?;
        out[0] = if method == Method::Draw { walk.drawn()? } else { walk.walk()? };
        run.advance(1);
        Ok(())
    })?;
    Ok(out)
}

/// Number `index` of a text, at its place, for the decisions of trees and paths.
pub(super) fn uniform(place: &Place<'_>, index: u64) -> f64 {
    let mut draws = place.stream.draws(Purpose::Tree, u64::from(place.id));
    draws.seek(index);
    draws.uniform()
}

/// A walk over one tree.
struct Walk<'a> {
    tree: One<'a>,
    texts: &'a Texts<'a>,
    text: usize,
    /// Rows of each text.
    each: usize,
    method: Method,
    run: Run<'a>,
}

/// A node on the way from the root, and its child that is tried next.
struct Stand {
    node: u32,
    next: Option<u32>,
    state: State,
}

impl Walk<'_> {
    fn label(&self, node: u32) -> String {
        self.texts.label(self.text, Some(node as usize))
    }

    /// Checks what does not depend on what is drawn.
    fn check(&self) -> Result<()> {
        for node in 1..self.tree.tokens.len() {
            self.token(node as u32)?;
        }
        let deepest = self.tree.depths.iter().copied().max().unwrap_or(0);
        self.texts.call.place(self.text, self.row(0), deepest as usize).map(drop)
    }

    fn token(&self, node: u32) -> Result<u32> {
        self.texts.token("tree", self.tree.tokens[node as usize], || self.label(node))
    }

    fn row(&self, node: u32) -> usize {
        self.text * self.each + node as usize
    }

    fn place(&self, node: u32) -> Result<Place<'_>> {
        let steps = self.tree.depths[node as usize] as usize;
        self.texts.call.place(self.text, self.row(node), steps)
    }

    /// The number that decides about a node; that of the root gives the token that follows.
    fn uniform(&self, node: u32) -> Result<f64> {
        Ok(uniform(&self.place(0)?, u64::from(node)))
    }

    /// Draws the tokens of the target as long as children carry them.
    fn drawn(&self) -> Result<Verified> {
        let mut nodes = Vec::new();
        let mut node = 0;
        loop {
            self.run.check()?;
            let drawn = self.texts.target.draw(self.row(node), &self.place(node)?, self.run);
            let token = i64::from(named(drawn, self.texts.name, || self.label(node))?);
            let tokens = self.tree.tokens;
            let taken = self.tree.children(node).find(|&child| tokens[child as usize] == token);
            let Some(child) = taken else { return Ok(Verified { nodes, token }) };
            reserve(&mut nodes, 1, "nodes of a path")?;
            nodes.push(i64::from(child));
            node = child;
        }
    }

    /// Stands at a node.
    fn enter(&self, node: u32, weight: f64) -> Result<Stand> {
        self.run.check()?;
        let next = self.tree.children(node).next();
        let (row, place) = (self.row(node), self.place(node)?);
        let label = || self.label(node);
        let state = if next.is_none() {
            self.texts
                .target(row, &place, label, self.run, |mut p| State::new(&mut p, None, weight))
        } else {
            let rows = (row, row);
            self.texts.both(rows, &place, label, self.run, |p, q| State::new(p, Some(q), weight))
        }?;
        Ok(Stand { node, next, state })
    }

    /// The first node in depth-first order that is taken, its own children before it.
    fn walk(&self) -> Result<Verified> {
        let is_recursive = self.method == Method::Rejection;
        let mut path = vec![self.enter(0, 1.0)?];
        loop {
            let is_root = path.len() == 1;
            let Some(stand) = path.last_mut() else {
                return Err(Error::argument("tree", "has no root"));
            };
            if let Some(child) = stand.next {
                let at = self.find(child, &stand.state)?;
                let weight = stand.state.chance(at);
                let is_refused = weight <= 0.0 || (is_recursive && self.uniform(child)? >= weight);
                if is_refused {
                    self.refuse(stand, at)?;
                } else {
                    let below = self.enter(child, if is_recursive { 1.0 } else { weight })?;
                    reserve(&mut path, 1, "nodes of a path")?;
                    path.push(below);
                }
                continue;
            }
            if is_recursive || is_root || self.uniform(stand.node)? < stand.state.weight {
                return self.taken(&path);
            }
            let node = stand.node;
            path.pop();
            if let Some(above) = path.last_mut() {
                self.refuse(above, self.find(node, &above.state)?)?;
            }
        }
    }

    /// Where the token of a child stands in the laws of its parent.
    fn find(&self, child: u32, above: &State) -> Result<usize> {
        let token = self.token(child)?;
        above
            .place(token)
            .filter(|&at| above.q[at] > 0.0)
            .ok_or_else(|| self.texts.impossible("tree", token, &self.label(child)))
    }

    /// Goes on with the next child of a node.
    fn refuse(&self, stand: &mut Stand, at: usize) -> Result<()> {
        stand.state.refuse(at, false, self.run)?;
        stand.next = stand.next.and_then(|child| {
            let next = self.tree.next_sibling[child as usize];
            // If nothing of the law is left to what is below, nobody is taken there.
            (next > 0 && stand.state.weight > 0.0).then_some(next)
        });
        Ok(())
    }

    fn taken(&self, path: &[Stand]) -> Result<Verified> {
        let mut nodes = with_capacity(path.len(), "nodes of a path")?;
        nodes.extend(path.iter().skip(1).map(|stand| i64::from(stand.node)));
        let uniform = self.uniform(0)?;
        let drawn = path.last().and_then(|stand| stand.state.draw(uniform));
        let token = drawn.ok_or_else(|| Error::argument(self.texts.name, "leaves no token"))?;
        Ok(Verified { nodes, token: i64::from(token) })
    }
}
