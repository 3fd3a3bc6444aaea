//! One tree of several paths, which share their beginnings.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result};

/// A tree of paths.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    /// The token of each node, the root first, in the order in which the paths bring them.
    pub tokens: Vec<i64>,
    /// Its parent; -1 for the root.
    pub parents: Vec<i64>,
    /// How many paths pass through it.
    pub counts: Vec<i64>,
}

/// Merges paths of up to `width` tokens each; a path ends before its first -1.
///
/// # Errors
/// If a token is below -1, there is a token behind the end of a path, or there is no memory.
pub fn merge(root: i64, paths: &[i64], width: usize) -> Result<Merged> {
    let most = 1 + paths.len();
    let what = "nodes of a tree";
    let mut tree = Merged {
        tokens: with_capacity(most, what)?,
        parents: with_capacity(most, what)?,
        counts: with_capacity(most, what)?,
    };
    tree.tokens.push(root);
    tree.parents.push(-1);
    tree.counts.push((paths.len() / width.max(1)) as i64);
    let mut children: HashMap<(i64, i64), i64> = HashMap::new();
    for (row, path) in paths.chunks(width.max(1)).enumerate() {
        let end = path.iter().position(|&token| token == -1).unwrap_or(path.len());
        for (place, &token) in path.iter().enumerate() {
            if token < -1 {
                let reason = format!("item ({row}, {place}) must be in [-1, 2**63), got {token}");
                return Err(Error::argument("paths", reason));
            }
            if place > end && token != -1 {
                let reason =
                    format!("item ({row}, {place}) must be -1, behind an end, got {token}");
                return Err(Error::argument("paths", reason));
            }
        }
        let mut node = 0;
        for &token in &path[..end] {
            if children.len() == children.capacity() {
                children.try_reserve(1 + children.len()).map_err(|_| Error::Resource {
                    what,
                    len: most as u64,
                    bytes: most as u64 * 24,
                })?;
            }
            node = match children.entry((node, token)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(free) => {
                    let new = tree.tokens.len() as i64;
                    tree.tokens.push(token);
                    tree.parents.push(node);
                    tree.counts.push(0);
                    *free.insert(new)
                }
            };
            tree.counts[node as usize] += 1;
        }
    }
    Ok(tree)
}
