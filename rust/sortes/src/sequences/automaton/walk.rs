//! The walk over all tokens from a state.

use std::ops::Range;
use std::sync::Arc;

use super::bytes::{ByteAutomaton, DEAD};
use super::kinds::{self, KINDS, Kinds, MIXED};
use super::made::Made;
use super::vocabulary::Vocabulary;
use sortes_core::memory::{filled, with_capacity};
use sortes_core::{Result, Run};

/// A mark on the states of a path: all of its characters are of the known kinds.
const KNOWN: u32 = 1 << 31;

/// An automaton over bytes, and the tokens that walk over it.
#[derive(Debug)]
pub(super) struct Walker {
    pub(super) bytes: ByteAutomaton,
    pub(super) vocabulary: Arc<Vocabulary>,
    /// Where the kinds of characters lead from each state, if anybody has asked.
    targets: Vec<Made<Targets>>,
}

/// Where kinds of characters lead from a state.
#[derive(Debug)]
struct Targets {
    of_kinds: [u32; KINDS],
    /// The kinds that lead back.
    loops: Kinds,
}

impl Walker {
    pub(super) fn new(bytes: ByteAutomaton, vocabulary: Arc<Vocabulary>) -> Result<Self> {
        let mut targets = with_capacity(bytes.len(), "states of an automaton")?;
        targets.resize_with(bytes.len(), Made::default);
        Ok(Self { bytes, vocabulary, targets })
    }

    #[inline]
    fn targets(&self, state: u32) -> Result<&Targets> {
        let made = &self.targets[state as usize];
        if let Some(targets) = made.get() {
            return Ok(targets);
        }
        let of_kinds = kinds::targets(&self.bytes, state);
        let targets = Targets { of_kinds, loops: kinds::leading_to(&of_kinds, state) };
        made.offer(targets, "states of an automaton")
    }

    /// The kinds of characters of which every one leads from a state back to it.
    ///
    /// # Errors
    /// If there is no memory to keep them.
    #[inline]
    pub(super) fn loops(&self, state: u32) -> Result<Kinds> {
        Ok(self.targets(state)?.loops)
    }

    /// Kinds of characters that lead along one path from a state, whichever of them come, and how many
    /// there may be before the path ends. The states on it must fit. No kinds, if few tokens are of
    /// them.
    ///
    /// # Errors
    /// If there is no memory to keep where they lead.
    pub(super) fn common_path(
        &self,
        from: u32,
        fits: impl Fn(u32) -> bool,
    ) -> Result<(Kinds, usize)> {
        let vocabulary = &*self.vocabulary;
        let (longest, tokens) = (vocabulary.longest(), vocabulary.len());
        let (mut kinds, mut state, mut length) = (Kinds::MAX, from, 0);
        while length < longest {
            // The state to which most of the tokens lead, as far as single kinds say so.
            let targets = self.targets(state)?;
            let mut others = kinds & !kinds::leading_to(&targets.of_kinds, MIXED);
            if length == 0 {
                others &= !kinds::leading_to(&targets.of_kinds, DEAD);
            }
            let (mut target, mut most) = (DEAD, 0);
            kinds = 0;
            while others != 0 {
                let one = targets.of_kinds[others.trailing_zeros() as usize];
                let alike = others & kinds::leading_to(&targets.of_kinds, one);
                others &= !alike;
                let weight = vocabulary.weight(alike);
                if weight >= most {
                    (target, most, kinds) = (one, weight, alike);
                }
            }
            if target == DEAD {
                break;
            }
            if !fits(target) {
                return Ok((0, 0));
            }
            length = if target == state { longest } else { length + 1 };
            state = target;
        }
        let is_worth_it = length > 0
            && vocabulary.weight(kinds) as usize > tokens / 16
            && vocabulary.longer_than(length) < tokens / 4;
        Ok(if is_worth_it { (kinds, length) } else { (0, 0) })
    }

    /// Calls `visit(state, places)` with the places, in the order of the tree, of all tokens that lead
    /// from one state to another; until it says no. Tokens all of whose characters are of the `known`
    /// kinds may be left out.
    ///
    /// # Errors
    /// If there is no memory for a path, or the work is cancelled.
    pub(super) fn walk(
        &self,
        from: u32,
        known: Kinds,
        run: Run<'_>,
        mut visit: impl FnMut(u32, Range<usize>) -> bool,
    ) -> Result<()> {
        run.check()?;
        let trie = self.vocabulary.trie();
        let mut is_known = [0; 256];
        if known != 0 {
            for (byte, is_known) in (0..=u8::MAX).zip(&mut is_known) {
                *is_known = if kinds::of_byte(byte) & known != 0 { KNOWN } else { 0 };
            }
        }
        let mut path = filled(trie.deepest + 1, 0, "bytes of a token")?;
        path[0] = from | KNOWN;
        let mut at = 0;
        while at < trie.heads.len() {
            let (head, follows) = (trie.heads[at], trie.kinds[at]);
            let (depth, byte) = ((head >> 8) as usize, head as u8);
            let above = path[depth - 1];
            let mark = above & is_known[usize::from(byte)];
            if mark != 0 && follows & !known == 0 {
                at = trie.skips[at] as usize;
                continue;
            }
            let state = self.bytes.step(above & !KNOWN, byte);
            if state == DEAD {
                at = trie.skips[at] as usize;
                continue;
            }
            let own = trie.firsts[at] as usize;
            if follows == 0 || follows & !self.loops(state)? == 0 {
                // Whatever follows leads here.
                let behind = trie.skips[at] as usize;
                if !visit(state, own..trie.firsts[behind] as usize) {
                    return Ok(());
                }
                at = behind;
                continue;
            }
            let places = own..trie.firsts[at + 1] as usize;
            if !places.is_empty() && !visit(state, places) {
                return Ok(());
            }
            path[depth] = state | mark;
            at += 1;
        }
        Ok(())
    }
}
