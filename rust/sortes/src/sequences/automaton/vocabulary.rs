//! The tokens of a model as bytes, in the form in which automata walk over them.

use super::kinds::{self, KINDS, Kinds, of_nodes};
use super::trie::Trie;
use sortes_core::memory::{reserve, with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

/// The most tokens.
const MOST: usize = 1 << 20;
/// The longest token, in bytes.
const LONGEST: usize = (1 << 16) - 1;
/// Tokens between two looks at the stop request.
const BLOCK: usize = 4096;

/// The tokens of a model: the bytes of each, and which end a text.
#[derive(Debug)]
pub struct Vocabulary {
    bytes: Vec<u8>,
    /// Where the bytes of each token begin, and where those of the last one end.
    begins: Vec<u32>,
    ends_of_text: Vec<u32>,
    trie: Trie,
    /// Which tokens have bytes: one bit for each.
    texts: Vec<u32>,
    /// For each kind of characters which tokens hold one, and how many; empty if none does.
    holders: Vec<(Vec<u32>, u32)>,
    /// Tokens of whole characters, those of most first, and for each number of characters how many
    /// tokens have more.
    by_length: Vec<u32>,
    longer: Vec<u32>,
    /// Which bytes are a token of their own.
    single: [bool; 256],
}

impl Vocabulary {
    /// A vocabulary of tokens one behind the other, of these lengths. Those without bytes stand for no
    /// text, and neither do the tokens that end one.
    ///
    /// # Errors
    /// If there are too many tokens, or one is too long, or one that ends a text is none of them; if
    /// there is no memory, or the work is cancelled.
    pub fn new(
        bytes: Vec<u8>,
        lengths: &[u32],
        mut ends_of_text: Vec<u32>,
        run: Run<'_>,
    ) -> Result<Self> {
        // 1. What is given.
        let (len, what) = (lengths.len(), "tokens of a vocabulary");
        if len > MOST {
            return Err(Error::argument("tokens", format!("must be at most 2**20, got {len}")));
        }
        ends_of_text.sort_unstable();
        ends_of_text.dedup();
        if let Some(&end) = ends_of_text.iter().find(|&&end| end as usize >= len) {
            let reason = format!("must be below the {len} tokens, got {end}");
            return Err(Error::argument("eos_token_id", reason));
        }
        let mut begins = with_capacity(len + 1, what)?;
        let mut begin = 0u32;
        begins.push(begin);
        for (i, &length) in lengths.iter().enumerate() {
            if length as usize > LONGEST {
                let reason = format!("item {i} must have less than 2**16 bytes, got {length}");
                return Err(Error::argument("tokens", reason));
            }
            let Some(end) = begin.checked_add(length) else {
                return Err(Error::argument("tokens", "must have less than 2**32 bytes"));
            };
            begin = end;
            begins.push(begin);
        }
        if begin as usize != bytes.len() {
            return Err(Error::argument("tokens", "have other lengths than stated"));
        }

        // 2. The tree, and what each token holds.
        let token = |id: u32| {
            let id = id as usize;
            &bytes[begins[id] as usize..begins[id + 1] as usize]
        };
        let is_text = |id: &u32| !token(*id).is_empty() && ends_of_text.binary_search(id).is_err();
        let mut ids = with_capacity(len, what)?;
        ids.extend((0..len as u32).filter(is_text));
        let trie = Trie::new(ids, token, run)?;
        let words = len.div_ceil(32);
        let mut texts = zeroed(words, what)?;
        let mut holders = vec![(Vec::new(), 0); KINDS];
        let mut single = [false; 256];
        let mut nodes = Vec::new();
        let mut lengths = with_capacity(trie.order.len(), what)?;
        for range in run.blocks(trie.order.len(), BLOCK) {
            for &id in &trie.order[range?] {
                mark(&mut texts, id);
                let token = token(id);
                if let [byte] = *token {
                    single[usize::from(byte)] = true;
                }
                reserve(&mut nodes, token.len(), what)?;
                for kind in kinds::each(of_nodes(token, &mut nodes)) {
                    let (holder, count): &mut (Vec<u32>, u32) = &mut holders[kind];
                    if holder.is_empty() {
                        *holder = zeroed(words, what)?;
                    }
                    mark(holder, id);
                    *count += 1;
                }
                if let Ok(text) = std::str::from_utf8(token) {
                    lengths.push((text.chars().count(), id));
                }
            }
        }

        // 3. Tokens by how many characters they have.
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let longest = lengths.first().map_or(0, |(length, _)| *length);
        let mut longer = zeroed(longest + 1, what)?;
        for (length, _) in &lengths {
            longer[length - 1] += 1;
        }
        for length in (1..longest).rev() {
            longer[length - 1] += longer[length];
        }
        let mut by_length = with_capacity(lengths.len(), what)?;
        by_length.extend(lengths.into_iter().map(|(_, id)| id));
        Ok(Self { bytes, begins, ends_of_text, trie, texts, holders, by_length, longer, single })
    }

    /// How many tokens there are, with those that stand for no text.
    pub fn len(&self) -> usize {
        self.begins.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all tokens, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of a token: none if it stands for no text.
    pub fn token(&self, id: u32) -> &[u8] {
        let id = id as usize;
        &self.bytes[self.begins[id] as usize..self.begins[id + 1] as usize]
    }

    /// The tokens that end a text, in order.
    pub fn ends_of_text(&self) -> &[u32] {
        &self.ends_of_text
    }

    /// Whether a token ends a text.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends_of_text.binary_search(&id).is_ok()
    }

    pub(super) fn trie(&self) -> &Trie {
        &self.trie
    }

    /// Whether a byte is a token of its own.
    pub(super) fn has_byte(&self, byte: u8) -> bool {
        self.single[usize::from(byte)]
    }

    /// Words of 32 bits that have a bit for each token.
    pub(super) fn words(&self) -> usize {
        self.texts.len()
    }

    /// How many characters the longest token has, of those that hold whole ones alone.
    pub(super) fn longest(&self) -> usize {
        self.longer.len() - 1
    }

    /// How many tokens of whole characters have more of them.
    pub(super) fn longer_than(&self, length: usize) -> usize {
        self.longer.get(length).map_or(0, |&count| count as usize)
    }

    /// How many tokens hold a character of each of some kinds, summed over the kinds.
    pub(super) fn weight(&self, kinds: Kinds) -> u64 {
        kinds::each(kinds).map(|kind| u64::from(self.holders[kind].1)).sum()
    }

    /// Marks the tokens of up to so many characters, all of them of these kinds.
    pub(super) fn mark_of_kinds(&self, kinds: Kinds, most: usize, words: &mut [u32]) {
        words.copy_from_slice(&self.texts);
        for kind in kinds::each(!kinds) {
            for (word, holders) in words.iter_mut().zip(&self.holders[kind].0) {
                *word &= !holders;
            }
        }
        for &id in &self.by_length[..self.longer_than(most)] {
            words[id as usize / 32] &= !(1 << (id % 32));
        }
    }
}

/// Sets the bit of a token.
#[inline]
pub(super) fn mark(words: &mut [u32], id: u32) {
    words[id as usize / 32] |= 1 << (id % 32);
}
