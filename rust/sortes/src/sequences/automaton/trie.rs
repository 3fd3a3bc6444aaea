//! The tokens of a vocabulary as a tree of their bytes, flat.

use super::kinds::{Kinds, of_nodes};
use sortes_core::memory::reserve;
use sortes_core::{Error, Result, Run};

/// Tokens that are put in between two looks at the stop request.
const BLOCK: usize = 4096;

/// Nodes in the order of a walk that sees a node before those below it, the lowest byte first. Tokens
/// are in the order of their bytes, so that what is below a node is a range of them.
#[derive(Debug, Default)]
pub(super) struct Trie {
    /// The byte of each node, and above it the depth, which is one below the root.
    pub(super) heads: Vec<u32>,
    /// The node behind everything below.
    pub(super) skips: Vec<u32>,
    /// Where the tokens begin that end at the node or below: they end at the node itself as far as
    /// those of the next node. One more than there are nodes.
    pub(super) firsts: Vec<u32>,
    /// Kinds of characters in what follows the node in some token; within a character, with that one.
    pub(super) kinds: Vec<Kinds>,
    /// Ids in the order of the tokens' bytes, equal tokens by id.
    pub(super) order: Vec<u32>,
    /// The length of the longest token.
    pub(super) deepest: usize,
}

impl Trie {
    /// The tree of `tokens(id)` for the given ids, none of them empty.
    ///
    /// # Errors
    /// If the tokens have too many bytes, there is no memory, or the work is cancelled.
    pub(super) fn new<'a>(
        mut order: Vec<u32>,
        tokens: impl Fn(u32) -> &'a [u8],
        run: Run<'_>,
    ) -> Result<Self> {
        order.sort_unstable_by(|&a, &b| tokens(a).cmp(tokens(b)).then(a.cmp(&b)));
        run.check()?;
        let what = "nodes of a vocabulary";
        let mut trie = Self::default();
        let mut open: Vec<u32> = Vec::new(); // the nodes above, down to the last token
        let mut kinds = Vec::new();
        let mut before: &[u8] = &[];
        for range in run.blocks(order.len(), BLOCK) {
            for place in range? {
                let token = tokens(order[place]);
                let shared = before.iter().zip(token).take_while(|(a, b)| a == b).count();
                trie.close(&mut open, shared);
                let new = token.len() - shared;
                reserve(&mut trie.heads, new, what)?;
                reserve(&mut trie.skips, new, what)?;
                reserve(&mut trie.firsts, new + 1, what)?;
                reserve(&mut trie.kinds, new, what)?;
                reserve(&mut open, new, what)?;
                reserve(&mut kinds, token.len(), what)?;
                for (depth, &byte) in (1u32..).zip(token).skip(shared) {
                    open.push(trie.heads.len() as u32);
                    trie.heads.push(depth << 8 | u32::from(byte));
                    trie.skips.push(0);
                    trie.firsts.push(place as u32);
                    trie.kinds.push(0);
                }
                of_nodes(token, &mut kinds);
                for (&node, &kinds) in open.iter().zip(&kinds) {
                    trie.kinds[node as usize] |= kinds;
                }
                trie.deepest = trie.deepest.max(token.len());
                before = token;
            }
            if trie.heads.len() > u32::MAX as usize {
                return Err(Error::argument("tokens", "must have less than 2**32 bytes"));
            }
        }
        trie.close(&mut open, 0);
        reserve(&mut trie.firsts, 1, what)?;
        trie.firsts.push(order.len() as u32);
        trie.order = order;
        Ok(trie)
    }

    /// Ends the nodes that are deeper than the next token shares.
    fn close(&mut self, open: &mut Vec<u32>, depth: usize) {
        let next = self.heads.len() as u32;
        for node in open.drain(depth..) {
            self.skips[node as usize] = next;
        }
    }
}
