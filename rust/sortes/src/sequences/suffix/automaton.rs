//! The suffix automaton of texts of tokens.
//!
//! Blumer, Blumer, Haussler, Ehrenfeucht, Chen and Seiferas, "The smallest automaton recognizing the
//! subwords of a text", Theoretical Computer Science 40, 1985. A state stands for all substrings that
//! end at the same places; its link for the longest suffix of these that ends at more of them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use sortes_core::memory::{refused, reserve, with_capacity};
use sortes_core::{Error, Result, Run};

/// The state of the empty string.
const ROOT: u32 = 0;
/// No state, and no edge.
const NONE: u32 = u32::MAX;
/// The largest number of tokens: states and edges are numbered by 32 bits.
const MOST: usize = 1 << 30;
/// Tokens between two looks at the stop request.
const BLOCK: usize = 1 << 12;
/// How many contexts of an occurrence are counted at once, the longest ones.
const COUNTED: usize = 64;

#[derive(Debug, Clone, Copy)]
struct State {
    /// Of the longest of its strings.
    length: u32,
    link: u32,
    /// The edge that came last, and how many there are.
    first: u32,
    degree: u32,
    /// How often its strings occur.
    count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    token: u32,
    target: u32,
    /// The edge of the same state that came before it.
    next: u32,
}

/// Spreads the bits of a state and a token.
#[derive(Debug, Clone, Copy, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

/// A place in an automaton: a string of it, the longest suffix of some text that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    state: u32,
    /// The length of the string.
    pub(super) length: u32,
}

impl Place {
    pub(super) const START: Self = Self { state: ROOT, length: 0 };
}

/// When occurrences are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// With each token, of its longest contexts: of a text that grows.
    AtOnce,
    /// Once, of all contexts, when all texts are there.
    Later,
}

/// All substrings of some texts of tokens, and how often each occurs.
///
/// A token takes constant time, amortised, beside its counts; all take about 100 bytes each, and 160 at
/// most.
#[derive(Debug, Clone)]
pub struct SuffixAutomaton {
    states: Vec<State>,
    edges: Vec<Edge>,
    /// Edges by state and token.
    table: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    tokens: Vec<u32>,
    lengths: Vec<u32>,
    /// The state of the whole of the last text.
    last: u32,
    counting: Counting,
}

impl SuffixAutomaton {
    /// The automaton of texts, whose tokens stand one behind the other.
    ///
    /// # Errors
    /// If the lengths do not add up, there are too many tokens or no memory for them, or the work is
    /// cancelled.
    pub fn new(tokens: &[u32], lengths: &[u32], run: Run<'_>) -> Result<Self> {
        let total: usize = lengths.iter().map(|length| *length as usize).sum();
        if total != tokens.len() {
            let reason = format!("must have {total} tokens in all, got {}", tokens.len());
            return Err(Error::argument("texts", reason));
        }
        let mut out = Self::begun(Counting::Later)?;
        out.make_room(tokens.len(), "texts")?;
        reserve(&mut out.lengths, lengths.len(), "texts")?;
        let mut behind = 0;
        for length in lengths {
            let start = behind;
            behind += *length as usize;
            out.last = ROOT;
            out.lengths.push(*length);
            out.append(&tokens[start..behind], run)?;
        }
        out.sum_counts()?;
        out.states.shrink_to_fit();
        out.edges.shrink_to_fit();
        out.table.shrink_to_fit();
        Ok(out)
    }

    /// The automaton of no text.
    pub(super) fn begun(counting: Counting) -> Result<Self> {
        let mut states = with_capacity(1, "states of an automaton")?;
        states.push(State { length: 0, link: NONE, first: NONE, degree: 0, count: 0 });
        Ok(Self {
            states,
            edges: Vec::new(),
            table: HashMap::default(),
            tokens: Vec::new(),
            lengths: Vec::new(),
            last: ROOT,
            counting,
        })
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens of all texts, one behind the other.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The lengths of the texts.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// How often a string of tokens occurs.
    pub fn count(&self, string: impl IntoIterator<Item = u32>) -> u64 {
        let mut state = ROOT;
        let mut length = 0;
        for token in string {
            let Some(edge) = self.edge(state, token) else { return 0 };
            state = self.edges[edge].target;
            length += 1;
        }
        // The empty string stands before each token, and at the end.
        if length == 0 {
            self.len() as u64 + 1
        } else {
            u64::from(self.states[state as usize].count)
        }
    }

    /// Lets the text go on; after an error it is as it was, unless it is of work that was cancelled.
    pub(super) fn extend(&mut self, tokens: &[u32], run: Run<'_>) -> Result<()> {
        self.make_room(tokens.len(), "tokens")?;
        self.append(tokens, run)
    }

    /// The longest suffix of the text that stands elsewhere in it as well.
    pub(super) fn end(&self) -> Place {
        match self.states[self.last as usize].link {
            NONE => Place::START,
            state => Place { state, length: self.states[state as usize].length },
        }
    }

    /// The longest suffix of a string and a token that is here.
    pub(super) fn behind(&self, place: Place, token: u32) -> Place {
        let mut place = place;
        loop {
            if let Some(edge) = self.edge(place.state, token) {
                return Place { state: self.edges[edge].target, length: place.length + 1 };
            }
            if place.state == ROOT {
                return Place::START;
            }
            place = self.shorter(place);
        }
    }

    /// The longest suffix of a string that stands at more places.
    pub(super) fn shorter(&self, place: Place) -> Place {
        match self.states[place.state as usize].link {
            NONE => Place::START,
            state => Place { state, length: self.states[state as usize].length },
        }
    }

    /// How many different tokens follow a place, and how often it occurs.
    pub(super) fn spread(&self, place: Place) -> (u32, u32) {
        let state = &self.states[place.state as usize];
        (state.degree, state.count)
    }

    /// The tokens that follow a place and how often each does, the one that was new last first.
    pub(super) fn following(&self, place: Place) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut at = self.states[place.state as usize].first;
        std::iter::from_fn(move || {
            let edge = self.edges.get(at as usize)?;
            at = edge.next;
            Some((edge.token, self.states[edge.target as usize].count))
        })
    }

    /// Makes room for more tokens. With n of them there are at most 2n states and 3n edges.
    fn make_room(&mut self, more: usize, name: &'static str) -> Result<()> {
        let len = self.len().saturating_add(more);
        if len > MOST {
            let reason = format!("must have at most 2**30 tokens in all, got {len}");
            return Err(Error::argument(name, reason));
        }
        let missing = |most: usize, has: usize| most.saturating_sub(has);
        let (states, edges) = (2 * len + 1, 3 * len + 1);
        reserve(&mut self.tokens, more, "tokens")?;
        let more = missing(states, self.states.len());
        reserve(&mut self.states, more, "states of an automaton")?;
        let more = missing(edges, self.edges.len());
        reserve(&mut self.edges, more, "edges of an automaton")?;
        let more = missing(edges, self.table.len());
        let grown = self.table.try_reserve(more);
        grown.map_err(|_| refused::<(u64, u32)>(edges, "edges of an automaton"))
    }

    fn append(&mut self, tokens: &[u32], run: Run<'_>) -> Result<()> {
        for range in run.blocks(tokens.len(), BLOCK) {
            for token in &tokens[range?] {
                self.push(*token);
            }
        }
        Ok(())
    }

    fn push(&mut self, token: u32) {
        let length = self.length(self.last) + 1;
        let known = self.edge(self.last, token).map(|edge| self.edges[edge].target);
        let now = match known {
            // The text has come before, if it is not the first one.
            Some(state) if self.length(state) == length => state,
            Some(state) => self.split(self.last, token, state),
            None => self.new_state(length, token),
        };
        self.last = now;
        self.tokens.push(token);
        let most = if self.counting == Counting::AtOnce { COUNTED } else { 1 };
        let mut state = now;
        for _ in 0..most {
            if state == ROOT {
                break;
            }
            self.states[state as usize].count += 1;
            state = self.states[state as usize].link;
        }
    }

    /// A state for the last text and a token, which has never come before.
    fn new_state(&mut self, length: u32, token: u32) -> u32 {
        let new = self.states.len() as u32;
        self.states.push(State { length, link: ROOT, first: NONE, degree: 0, count: 0 });
        let mut state = self.last;
        while state != NONE {
            let Some(edge) = self.edge(state, token) else {
                self.add_edge(state, token, new);
                state = self.states[state as usize].link;
                continue;
            };
            let target = self.edges[edge].target;
            let is_exact = self.length(target) == self.length(state) + 1;
            let link = if is_exact { target } else { self.split(state, token, target) };
            self.states[new as usize].link = link;
            break;
        }
        new
    }

    /// Takes those strings of the target of an edge out of it that are not longer than the edge's.
    fn split(&mut self, state: u32, token: u32, target: u32) -> u32 {
        let new = self.states.len() as u32;
        let whole = self.states[target as usize];
        let count = if self.counting == Counting::AtOnce { whole.count } else { 0 };
        let length = self.length(state) + 1;
        self.states.push(State { length, link: whole.link, first: NONE, degree: 0, count });
        let (mut at, mut behind) = (whole.first, NONE);
        while let Some(Edge { token, target, next }) = self.edges.get(at as usize).copied() {
            let edge = self.edges.len() as u32;
            self.edges.push(Edge { token, target, next: NONE });
            self.table.insert(key(new, token), edge);
            match self.edges.get_mut(behind as usize) {
                Some(before) => before.next = edge,
                None => self.states[new as usize].first = edge,
            }
            (at, behind) = (next, edge);
        }
        self.states[new as usize].degree = whole.degree;
        self.states[target as usize].link = new;
        let mut state = state;
        while state != NONE {
            match self.edge(state, token) {
                Some(edge) if self.edges[edge].target == target => self.edges[edge].target = new,
                _ => break,
            }
            state = self.states[state as usize].link;
        }
        new
    }

    /// Adds up how often strings occur, from the counts of whole beginnings of texts.
    fn sum_counts(&mut self) -> Result<()> {
        let mut order = with_capacity(self.states.len(), "states of an automaton")?;
        order.extend(1..self.states.len() as u32);
        order.sort_unstable_by_key(|state| std::cmp::Reverse(self.length(*state)));
        for state in order {
            let State { link, count, .. } = self.states[state as usize];
            if link != ROOT {
                self.states[link as usize].count += count;
            }
        }
        Ok(())
    }

    fn add_edge(&mut self, state: u32, token: u32, target: u32) {
        let edge = self.edges.len() as u32;
        let from = &mut self.states[state as usize];
        self.edges.push(Edge { token, target, next: from.first });
        from.first = edge;
        from.degree += 1;
        self.table.insert(key(state, token), edge);
    }

    fn edge(&self, state: u32, token: u32) -> Option<usize> {
        self.table.get(&key(state, token)).map(|edge| *edge as usize)
    }

    fn length(&self, state: u32) -> u32 {
        self.states[state as usize].length
    }
}

fn key(state: u32, token: u32) -> u64 {
    u64::from(state) << 32 | u64::from(token)
}
