//! From a regular expression to an automaton over the bytes of UTF-8.
//!
//! `regex-automata` makes the states, one by one: it is asked for every state that can be reached, and
//! stopped where these take too much memory. What it calls a match comes a byte late, so that whether
//! a text may end in a state is what its end of input leads to.

use std::collections::HashMap;

use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::alphabet::Unit;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;
use sortes_core::memory::{self, filled, refused, reserve, with_capacity};
use sortes_core::{Error, Result, Run};

/// The state from which no text can be finished.
pub(super) const DEAD: u32 = 0;
/// The state in which every text begins.
pub(super) const START: u32 = 1;

/// The longest expression, in bytes.
const LONGEST: usize = 1 << 17;
/// What the syntax of an expression can take: in any case, and for each of its bytes, which may be
/// classes of Unicode.
const SYNTAX: (usize, usize) = (1 << 24, 1 << 14);
/// What the states of a small automaton may take.
const SMALL: usize = 1 << 20;
/// What those of a larger one may take, tried one after the other.
const LARGE: [usize; 3] = [1 << 22, 1 << 24, 1 << 26];
/// How many times as much it takes to find them, with tables that grow.
const GROWTH: usize = 6;
/// What finding them takes in any case: a small automaton, a larger one. The library makes thousands of
/// small pieces. Where the C library cannot set aside 128 MiB for a thread, it takes a page for each.
const LEAST: [usize; 2] = [1 << 26, 1 << 27];
/// Passes that look for equal states.
const PASSES: usize = 16;

/// A deterministic automaton over bytes that accepts the whole texts of a regular expression.
///
/// From each of its states but the first some text can be finished.
#[derive(Debug)]
pub struct ByteAutomaton {
    /// What each byte counts as: bytes of one class lead to the same states.
    classes: [u8; 256],
    /// How many classes there are.
    width: usize,
    /// The state behind each state and class.
    next: Vec<u32>,
    /// How many bytes it takes at least from each state to where a text may end.
    distance: Vec<u32>,
}

impl ByteAutomaton {
    /// The automaton of an expression, if it is a small one: that is known in a moment.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the `pattern` if it is no regular expression or matches no text; if
    /// there is no memory for it, or the work is cancelled.
    pub fn small(pattern: &str, run: Run<'_>) -> Result<Option<Self>> {
        let hir = parsed(pattern)?;
        ask_for(LEAST[0].max(GROWTH * SMALL))?;
        explored(&hir, SMALL, run)?.map(|raw| raw.finished(pattern, run)).transpose()
    }

    /// The automaton of any expression.
    ///
    /// # Errors
    /// As [`small`](Self::small), and if the automaton is too large.
    pub fn new(pattern: &str, run: Run<'_>) -> Result<Self> {
        Self::small(pattern, run)?.map_or_else(|| Self::large(pattern, run), Ok)
    }

    /// The automaton of an expression for which it is no small one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn large(pattern: &str, run: Run<'_>) -> Result<Self> {
        let hir = parsed(pattern)?;
        for room in LARGE {
            ask_for(LEAST[1].max(GROWTH * room))?;
            if let Some(raw) = explored(&hir, room, run)? {
                return raw.finished(pattern, run);
            }
        }
        let mib = LARGE[LARGE.len() - 1] >> 20;
        let reason = format!("the states of its automaton must take at most {mib} MiB, got more");
        Err(refuse(pattern, &reason))
    }

    /// How many states there are, with the one from which nothing can be finished.
    pub fn len(&self) -> usize {
        self.distance.len()
    }

    /// Whether there are none: never so.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The state behind a byte.
    #[inline]
    pub(super) fn step(&self, state: u32, byte: u8) -> u32 {
        self.next[state as usize * self.width + usize::from(self.classes[usize::from(byte)])]
    }

    /// The state behind several bytes.
    pub(super) fn steps(&self, state: u32, bytes: &[u8]) -> u32 {
        bytes.iter().fold(state, |state, &byte| self.step(state, byte))
    }

    /// Whether a text may end here.
    #[inline]
    pub(super) fn is_accepting(&self, state: u32) -> bool {
        self.distance[state as usize] == 0
    }

    /// How many bytes it takes at least to where a text may end.
    pub(super) fn distance(&self, state: u32) -> u32 {
        self.distance[state as usize]
    }

    /// How many steps by bytes that are `offered` each state is from where a text may end; `u32::MAX`
    /// where these lead there from none.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub(super) fn distances(&self, offered: impl Fn(u8) -> bool, run: Run<'_>) -> Result<Vec<u32>> {
        let mut usable = vec![false; self.width];
        for byte in (0..=u8::MAX).filter(|&byte| offered(byte)) {
            usable[usize::from(self.classes[usize::from(byte)])] = true;
        }
        let ends = (0..self.len() as u32).filter(|&state| self.is_accepting(state));
        distances(&self.next, &usable, ends, run)
    }
}

/// States as they are found, [`DEAD`] among them, with some from which nothing can be finished.
struct Raw {
    classes: [u8; 256],
    width: usize,
    next: Vec<u32>,
    accepting: Vec<u32>,
}

impl Raw {
    /// Drops the states from which no text can be finished, and those that equal others.
    fn finished(mut self, pattern: &str, run: Run<'_>) -> Result<ByteAutomaton> {
        let usable = vec![true; self.width];
        let mut distance = distances(&self.next, &usable, self.accepting.iter().copied(), run)?;
        if distance[START as usize] == u32::MAX {
            return Err(refuse(pattern, "must match some text"));
        }
        for target in &mut self.next {
            if distance[*target as usize] == u32::MAX {
                *target = DEAD;
            }
        }
        self.merge(&distance, run)?;
        self.renumber(&mut distance, run)?;
        let Self { classes, width, next, .. } = self;
        Ok(ByteAutomaton { classes, width, next, distance })
    }

    /// Lets one state stand for all that end alike and lead to the same states.
    fn merge(&mut self, distance: &[u32], run: Run<'_>) -> Result<()> {
        let width = self.width;
        for _ in 0..PASSES {
            let mut first: HashMap<(bool, &[u32]), u32> = HashMap::new();
            ask(first.try_reserve(distance.len()), distance.len())?;
            let mut stands = with_capacity(distance.len(), "states of an automaton")?;
            for (state, row) in self.next.chunks_exact(width).enumerate() {
                if state.is_multiple_of(1024) {
                    run.check()?;
                }
                stands.push(*first.entry((distance[state] == 0, row)).or_insert(state as u32));
            }
            if first.len() == distance.len() {
                break;
            }
            let mut changed = false;
            for target in &mut self.next {
                let one = stands[*target as usize];
                changed |= one != *target;
                *target = one;
            }
            if !changed {
                break;
            }
        }
        Ok(())
    }

    /// Keeps the states that can be reached, in the order in which a search in breadth comes to them.
    fn renumber(&mut self, distance: &mut Vec<u32>, run: Run<'_>) -> Result<()> {
        let (width, what) = (self.width, "states of an automaton");
        let mut number = filled(distance.len(), DEAD, what)?;
        let mut order = with_capacity(distance.len(), what)?;
        order.extend([DEAD, START]);
        number[START as usize] = START;
        let mut at = START as usize;
        while at < order.len() {
            if at.is_multiple_of(1024) {
                run.check()?;
            }
            let row = order[at] as usize * width;
            for &target in &self.next[row..row + width] {
                if target != DEAD && number[target as usize] == DEAD {
                    number[target as usize] = order.len() as u32;
                    order.push(target);
                }
            }
            at += 1;
        }
        let mut next = with_capacity(order.len() * width, what)?;
        for &state in &order {
            let row = &self.next[state as usize * width..][..width];
            next.extend(row.iter().map(|&target| number[target as usize]));
        }
        self.next = next;
        let mut kept = with_capacity(order.len(), what)?;
        kept.extend(order.iter().map(|&state| distance[state as usize]));
        *distance = kept;
        Ok(())
    }
}

/// How many steps by usable classes each state is from the nearest end; `u32::MAX` for those that
/// never come to one.
fn distances(
    next: &[u32],
    usable: &[bool],
    ends: impl Iterator<Item = u32>,
    run: Run<'_>,
) -> Result<Vec<u32>> {
    let (width, what) = (usable.len(), "states of an automaton");
    let states = next.len() / width;

    // 1. Who leads to each state, counted first and then listed.
    let steps = |state: usize| {
        let row = &next[state * width..][..width];
        row.iter().zip(usable).filter(|(target, usable)| **usable && **target != DEAD)
    };
    let mut begin = filled(states + 1, 0u32, what)?;
    for range in run.blocks(states, 1024) {
        for (&target, _) in range?.flat_map(steps) {
            begin[target as usize + 1] += 1;
        }
    }
    for state in 0..states {
        begin[state + 1] += begin[state];
    }
    let mut from = filled(begin[states] as usize, 0u32, what)?;
    let mut filled_to = with_capacity(states, what)?;
    filled_to.extend_from_slice(&begin[..states]);
    for range in run.blocks(states, 1024) {
        for state in range? {
            for (&target, _) in steps(state) {
                from[filled_to[target as usize] as usize] = state as u32;
                filled_to[target as usize] += 1;
            }
        }
    }

    // 2. A search in breadth, backwards.
    let mut distance = filled(states, u32::MAX, what)?;
    let mut queue = with_capacity(states, what)?;
    for end in ends {
        distance[end as usize] = 0;
        queue.push(end);
    }
    let mut at = 0;
    while at < queue.len() {
        if at.is_multiple_of(1024) {
            run.check()?;
        }
        let state = queue[at] as usize;
        for &before in &from[begin[state] as usize..begin[state + 1] as usize] {
            if distance[before as usize] == u32::MAX {
                distance[before as usize] = distance[state] + 1;
                queue.push(before);
            }
        }
        at += 1;
    }
    Ok(distance)
}

/// The expression without its syntax.
fn parsed(pattern: &str) -> Result<Hir> {
    if pattern.len() > LONGEST {
        let reason = format!("must have at most {LONGEST} bytes, got {}", pattern.len());
        return Err(Error::argument("pattern", reason));
    }
    ask_for(SYNTAX.0 + SYNTAX.1 * pattern.len())?;
    let hir = syntax::parse_with(pattern, &syntax::Config::new()).map_err(|error| {
        use regex_syntax::Error as E;
        let (reason, at) = match &error {
            E::Parse(e) => (e.kind().to_string(), e.span().start.offset),
            E::Translate(e) => (e.kind().to_string(), e.span().start.offset),
            other => (other.to_string(), 0),
        };
        refuse(pattern, &format!("must be a regular expression: {reason} (at byte {at})"))
    })?;
    if hir.properties().look_set().contains_word_unicode() {
        let reason = r"must not hold a word boundary of Unicode: write (?-u:\b) for one of ASCII";
        return Err(refuse(pattern, reason));
    }
    Ok(hir)
}

/// Every state of an automaton, or `None` if they do not fit into `room` bytes.
fn explored(hir: &Hir, room: usize, run: Run<'_>) -> Result<Option<Raw>> {
    run.check()?;
    // 1. The library allocates as it likes, up to these limits.
    let config =
        thompson::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(room / 8));
    let Ok(nfa) = thompson::Compiler::new().configure(config).build_from_hir(hir) else {
        return Ok(None);
    };
    let config = DFA::config()
        .match_kind(MatchKind::All)
        .cache_capacity(room)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(0)); // where the cache is full, it fails
    let Ok(dfa) = DFA::builder().configure(config).build_from_nfa(nfa) else { return Ok(None) };

    // 2. A search in breadth.
    let mut classes = [0; 256];
    for (byte, class) in (0..=u8::MAX).zip(&mut classes) {
        *class = dfa.byte_classes().get(byte);
    }
    let units = dfa.byte_classes().representatives(..=u8::MAX);
    let bytes: Vec<u8> = units.filter_map(Unit::as_u8).collect(); // one of each class
    let (width, what) = (bytes.len(), "states of an automaton");
    let mut cache = dfa.create_cache();
    let begin = start::Config::new().anchored(Anchored::Yes);
    let Ok(first) = dfa.start_state(&mut cache, &begin) else { return Ok(None) };
    // The state that the library calls dead takes the place of `DEAD`, which nobody looks at.
    let mut states = vec![first, first];
    let mut numbers = HashMap::from([(first, START)]);
    let mut next = filled(width, DEAD, what)?;
    let mut accepting = Vec::new();
    let mut at = START as usize;
    while at < states.len() {
        if at.is_multiple_of(64) {
            run.check()?;
        }
        reserve(&mut next, width, what)?;
        reserve(&mut states, width, what)?;
        ask(numbers.try_reserve(width), width)?;
        for &byte in &bytes {
            let Ok(target) = dfa.next_state(&mut cache, states[at], byte) else { return Ok(None) };
            next.push(if target.is_dead() {
                DEAD
            } else {
                *numbers.entry(target).or_insert_with(|| {
                    states.push(target);
                    states.len() as u32 - 1
                })
            });
        }
        let Ok(end) = dfa.next_eoi_state(&mut cache, states[at]) else { return Ok(None) };
        if end.is_match() {
            reserve(&mut accepting, 1, what)?;
            accepting.push(at as u32);
        }
        at += 1;
    }
    Ok(Some(Raw { classes, width, next, accepting }))
}

fn refuse(pattern: &str, reason: &str) -> Error {
    Error::argument("pattern", format!("{reason}, got {:?}", Shortened(pattern)))
}

/// The beginning of a text, as messages show it.
struct Shortened<'a>(&'a str);

impl std::fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.char_indices().nth(60) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// Makes sure that there is so much memory now.
fn ask_for(bytes: usize) -> Result<()> {
    memory::ask::<u8>(bytes, "bytes of an automaton")
}

/// The error of a table that did not get its memory.
fn ask(
    reserved: std::result::Result<(), std::collections::TryReserveError>,
    len: usize,
) -> Result<()> {
    reserved.map_err(|_| refused::<(usize, usize)>(len, "states of an automaton"))
}
