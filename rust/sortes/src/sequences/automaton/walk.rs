//! The walk over all tokens from a state.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bytes::{ByteAutomaton, DEAD};
use super::kinds::{self, Kinds};
use super::vocabulary::Vocabulary;
use sortes_core::memory::{filled, with_capacity};
use sortes_core::{Result, Run};

/// The loops of a state that nobody has looked at.
const UNKNOWN: Kinds = Kinds::MAX;
/// A mark on states of a walk: it came there by characters that the first state loops on.
const LOOPED: u32 = 1 << 31;

/// An automaton over bytes, and the tokens that walk over it.
#[derive(Debug)]
pub(super) struct Walker {
    pub(super) bytes: ByteAutomaton,
    pub(super) vocabulary: Arc<Vocabulary>,
    /// The kinds of characters of which every one leads from a state back to it.
    loops: Vec<AtomicU64>,
}

impl Walker {
    pub(super) fn new(bytes: ByteAutomaton, vocabulary: Arc<Vocabulary>) -> Result<Self> {
        let mut loops = with_capacity(bytes.len(), "states of an automaton")?;
        loops.resize_with(bytes.len(), || AtomicU64::new(UNKNOWN));
        Ok(Self { bytes, vocabulary, loops })
    }

    /// The kinds of characters of which every one leads from a state back to it.
    #[inline]
    pub(super) fn loops(&self, state: u32) -> Kinds {
        let known = &self.loops[state as usize];
        let mut loops = known.load(Ordering::Relaxed);
        if loops == UNKNOWN {
            loops = kinds::loops(&self.bytes, state);
            known.store(loops, Ordering::Relaxed);
        }
        loops
    }

    /// Calls `visit(state, places)` with the places, in the order of the tree, of all tokens that lead
    /// from one state to another; until it says no. Tokens that consist of `known` kinds of characters,
    /// on all of which the state loops, may be left out.
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
        let mut looped = [0; 256];
        if known != 0 {
            for (byte, looped) in (0..=u8::MAX).zip(&mut looped) {
                *looped = if kinds::of_byte(byte) & known != 0 { LOOPED } else { 0 };
            }
        }
        let mut path = filled(trie.deepest + 1, 0, "bytes of a token")?;
        path[0] = from | LOOPED;
        let (heads, skips) = (&trie.heads[..], &trie.skips[..]);
        let mut at = 0;
        while at < heads.len() {
            let (depth, byte) = ((heads[at] >> 8) as usize, heads[at] as u8);
            let above = path[depth - 1];
            let state = self.bytes.step(above & !LOOPED, byte);
            if state == DEAD {
                at = skips[at] as usize;
                continue;
            }
            let marks = above & looped[usize::from(byte)];
            let rest = trie.kinds[at];
            if rest == 0 || rest & !self.loops(state) == 0 {
                // Whatever follows leads here.
                let behind = skips[at] as usize;
                if state | marks != from | LOOPED {
                    let places = trie.firsts[at] as usize..trie.firsts[behind] as usize;
                    if !visit(state, places) {
                        return Ok(());
                    }
                }
                at = behind;
                continue;
            }
            let places = trie.firsts[at] as usize..trie.firsts[at + 1] as usize;
            if !places.is_empty() && !visit(state, places) {
                return Ok(());
            }
            path[depth] = state | marks;
            at += 1;
        }
        Ok(())
    }
}
