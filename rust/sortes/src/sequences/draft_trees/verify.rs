//! Which nodes of a tree are taken, and the token that follows.
//!
//! Decisions read the stream of the text for the purpose `Tree`, at the step of the root: draw `n`
//! decides about node `n`, draw 0 gives the token that follows. Only [`Method::Draw`] reads nothing
//! of it.

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Error, Result, Run};

use super::model::Model;
use super::residual::State;

/// How a tree is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The token of the model is drawn, and the child that carries it is taken. Any tree.
    Draw,
    /// Children are tried one after the other, from the root. They must have been drawn without
    /// replacement. Miao et al., SpecInfer, arXiv:2305.09781; Jeon et al., arXiv:2402.14160.
    Rejection,
    /// The same from the leaves, with weights of whole paths. Weng et al., "Traversal Verification
    /// for Speculative Tree Decoding", arXiv:2505.12398.
    Traversal,
}

/// The trees of a batch of texts, in one list of nodes.
#[derive(Debug)]
pub struct Forest<'a> {
    tokens: &'a [i64],
    /// Where the nodes of each tree begin, and where the last ends.
    starts: &'a [usize],
    /// The first child of each node and its next sibling, within its tree; 0 for none.
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
}

impl<'a> Forest<'a> {
    /// Trees that have been [checked](super::depths), of which nodes are called as they are there.
    ///
    /// # Errors
    /// If a token is not in the vocabulary, or there is no memory.
    pub fn new(
        tokens: &'a [i64],
        parents: &[i64],
        starts: &'a [usize],
        vocabulary: usize,
    ) -> Result<Self> {
        let n = tokens.len();
        let mut first_child: Vec<u32> = with_capacity(n, "nodes of trees")?;
        let mut next_sibling: Vec<u32> = with_capacity(n, "nodes of trees")?;
        first_child.resize(n, 0);
        next_sibling.resize(n, 0);
        for (text, ends) in starts.windows(2).enumerate() {
            let start = ends[0];
            // From the last one, so that the first child is the one that comes first.
            for node in (1..ends[1] - start).rev() {
                let token = tokens[start + node];
                if token >= vocabulary as i64 {
                    let place =
                        if starts.len() > 2 { format!("text {text}: ") } else { String::new() };
                    let reason = format!("has token {token}, of a vocabulary of {vocabulary}");
                    return Err(Error::argument("tree", format!("{place}node {node} {reason}")));
                }
                let parent = start + parents[start + node] as usize;
                next_sibling[start + node] = first_child[parent];
                first_child[parent] = node as u32;
            }
        }
        Ok(Self { tokens, starts, first_child, next_sibling })
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
            first_child: &self.first_child[nodes.clone()],
            next_sibling: &self.next_sibling[nodes],
        }
    }
}

/// One tree.
#[derive(Clone, Copy)]
struct One<'a> {
    tokens: &'a [i64],
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
/// A text has `each` rows of the models, one for each node and some more; `streams` are those of the
/// roots, with the ids of the texts. Progress counts texts.
///
/// # Errors
/// If a row that is read is unfit, the draft cannot have drawn a token, there is no memory, or the
/// work is cancelled.
pub fn verify(
    forest: &Forest<'_>,
    target: &dyn Model,
    draft: Option<&dyn Model>,
    each: usize,
    method: Method,
    streams: &[(Stream, u64)],
    run: Run<'_>,
) -> Result<Vec<Verified>> {
    let mut out = with_capacity(forest.texts(), "texts")?;
    out.resize_with(forest.texts(), Verified::default);
    let few = out.len() < run.threads.count();
    let (across, within) = if few { (run.serial(), run) } else { (run, run.serial()) };
    across.try_fill_chunks(&mut out, 1, |text, out| {
        let tree = forest.tree(text);
        let first = text * each;
        out[0] = match draft {
            Some(draft) if method != Method::Draw => {
                let (stream, id) = streams[text];
                let dice = Dice { stream, id, base: 0 };
                Walk { tree, target, draft, first, method, dice, text, run: within }.walk()?
            }
            _ => drawn(tree, target, first, within)?,
        };
        run.advance(1);
        Ok(())
    })?;
    Ok(out)
}

/// Draws the tokens of the model as long as children carry them.
fn drawn(tree: One<'_>, target: &dyn Model, first: usize, run: Run<'_>) -> Result<Verified> {
    let mut nodes = Vec::new();
    let mut node = 0;
    loop {
        run.check()?;
        let token = target.draw(first + node as usize, run)?;
        let taken = tree.children(node).find(|&child| tree.tokens[child as usize] == token);
        let Some(child) = taken else { return Ok(Verified { nodes, token }) };
        reserve(&mut nodes, 1, "nodes of a path")?;
        nodes.push(i64::from(child));
        node = child;
    }
}

/// The uniform numbers of a text, one for each decision.
#[derive(Clone, Copy)]
pub(super) struct Dice {
    pub(super) stream: Stream,
    pub(super) id: u64,
    /// The first draw.
    pub(super) base: u64,
}

impl Dice {
    /// The number of a node; that of the root gives the token that follows.
    pub(super) fn uniform(&self, node: u64) -> f64 {
        let mut draws = self.stream.draws(Purpose::Tree, self.id);
        draws.seek(self.base + node);
        draws.uniform()
    }
}

/// A walk over one tree.
struct Walk<'a> {
    tree: One<'a>,
    target: &'a dyn Model,
    draft: &'a dyn Model,
    /// The row of the root.
    first: usize,
    method: Method,
    dice: Dice,
    text: usize,
    run: Run<'a>,
}

/// A node on the way from the root, and its child that is tried next.
struct Place {
    node: u32,
    next: Option<u32>,
    state: State,
}

impl Walk<'_> {
    /// Stands at a node.
    fn enter(&self, node: u32, weight: f64) -> Result<Place> {
        self.run.check()?;
        let next = self.tree.children(node).next();
        let mut state = State::new(self.target.vocabulary(), weight, next.is_none())?;
        let row = self.first + node as usize;
        self.target.law(row, &mut state.p, self.run)?;
        if next.is_some() {
            self.draft.law(row, &mut state.q, self.run)?;
            state.mass = state.q.iter().sum();
        }
        Ok(Place { node, next, state })
    }

    /// The first node in depth-first order that is taken, its own children before it.
    fn walk(self) -> Result<Verified> {
        let is_recursive = self.method == Method::Rejection;
        let mut path = vec![self.enter(0, 1.0)?];
        loop {
            let is_root = path.len() == 1;
            let Some(place) = path.last_mut() else {
                return Err(Error::argument("tree", "has no root"));
            };
            if let Some(child) = place.next {
                let token = self.tree.tokens[child as usize] as usize;
                let Some(weight) = place.state.chance(token) else {
                    return Err(self.unlikely(child));
                };
                if is_recursive && self.dice.uniform(child.into()) >= weight {
                    self.refuse(place, token)?;
                } else if weight > 0.0 {
                    let weight = if is_recursive { 1.0 } else { weight };
                    let below = self.enter(child, weight)?;
                    reserve(&mut path, 1, "nodes of a path")?;
                    path.push(below);
                } else {
                    self.refuse(place, token)?;
                }
                continue;
            }
            let is_taken = is_recursive
                || is_root
                || self.dice.uniform(place.node.into()) < place.state.weight;
            if is_taken {
                return self.taken(&path);
            }
            let token = self.tree.tokens[place.node as usize] as usize;
            path.pop();
            if let Some(above) = path.last_mut() {
                self.refuse(above, token)?;
            }
        }
    }

    /// Goes on with the next child of a node.
    fn refuse(&self, place: &mut Place, token: usize) -> Result<()> {
        place.state.refuse(token, false, self.run)?;
        place.next = place.next.and_then(|child| {
            let next = self.tree.next_sibling[child as usize];
            // If nothing of the law is left to what is below, nobody is taken there.
            (next > 0 && place.state.weight > 0.0).then_some(next)
        });
        Ok(())
    }

    fn taken(&self, path: &[Place]) -> Result<Verified> {
        let mut nodes = with_capacity(path.len(), "nodes of a path")?;
        nodes.extend(path.iter().skip(1).map(|place| i64::from(place.node)));
        let drawn = path.last().and_then(|place| place.state.draw(self.dice.uniform(0)));
        let token = drawn.ok_or_else(|| Error::argument("target_logits", "leave no token"))?;
        Ok(Verified { nodes, token: token as i64 })
    }

    fn unlikely(&self, node: u32) -> Error {
        let token = self.tree.tokens[node as usize];
        let place = if self.text > 0 { format!("text {}: ", self.text) } else { String::new() };
        let reason = "which the draft cannot have drawn: its law gives it no probability";
        Error::argument("tree", format!("{place}node {node} has token {token}, {reason}"))
    }
}
