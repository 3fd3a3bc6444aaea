//! What follows from the parents of a tree.

use sortes_core::memory::{filled, with_capacity};
use sortes_core::{Error, Result};

/// The depth of each node of a tree; the root, node 0, has depth 0.
///
/// # Errors
/// If there is no root, a parent does not stand before its child, two children of a node have the
/// same token, or there is no memory.
pub fn depths(tokens: &[i64], parents: &[i64]) -> Result<Vec<i64>> {
    if tokens.is_empty() {
        return Err(Error::argument("tokens", "must have a root, got no node"));
    }
    if parents.len() != tokens.len() {
        let reason = format!("must have one parent for each of {} nodes", tokens.len());
        return Err(Error::argument("parents", format!("{reason}, got {}", parents.len())));
    }
    if parents[0] != -1 {
        let reason = format!("item 0 must be -1, for the root has no parent, got {}", parents[0]);
        return Err(Error::argument("parents", reason));
    }
    let mut depths = with_capacity(tokens.len(), "nodes of a tree")?;
    depths.push(0);
    for (node, &parent) in parents.iter().enumerate().skip(1) {
        let before = usize::try_from(parent).ok().filter(|&parent| parent < node);
        let Some(parent) = before else {
            return Err(Error::item("parents", node, &format!("[0, {node})"), parent));
        };
        depths.push(depths[parent] + 1);
    }
    // The root may be the token -1, where no text is before it.
    for (node, &token) in tokens.iter().enumerate() {
        let least = if node == 0 { -1 } else { 0 };
        if token < least {
            return Err(Error::item("tokens", node, &format!("[{least}, 2**63)"), token));
        }
    }
    check_distinct(tokens, parents)?;
    Ok(depths)
}

/// Refuses two children of a node with the same token.
fn check_distinct(tokens: &[i64], parents: &[i64]) -> Result<()> {
    let mut order: Vec<u32> = with_capacity(tokens.len(), "nodes of a tree")?;
    order.extend(1..tokens.len() as u32);
    let key = |node: u32| (parents[node as usize], tokens[node as usize]);
    order.sort_unstable_by_key(|&node| (key(node), node));
    let again = order.windows(2).filter(|pair| key(pair[0]) == key(pair[1])).map(|pair| pair[1]);
    if let Some(node) = again.min() {
        let (parent, token) = key(node);
        let reason = format!("item {node} is the token {token} again, under the parent {parent}");
        return Err(Error::argument("tokens", reason));
    }
    Ok(())
}

/// Whether each node is another or stands above it: row `i` is true at `i` and its ancestors.
///
/// # Errors
/// If there is no memory.
pub fn mask(parents: &[i64]) -> Result<Vec<bool>> {
    let n = parents.len();
    let mut mask = filled(n.saturating_mul(n), false, "pairs of nodes")?;
    for (node, &parent) in parents.iter().enumerate() {
        let (above, own) = mask.split_at_mut(node * n);
        if let Ok(parent) = usize::try_from(parent) {
            own[..node].copy_from_slice(&above[parent * n..][..node]);
        }
        own[node] = true;
    }
    Ok(mask)
}

/// The nodes from the root to each leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct LeafPaths {
    /// A row for each leaf, in the order of the leaves, padded by -1.
    pub nodes: Vec<i64>,
    /// How many nodes the longest has.
    pub width: usize,
}

/// The paths to all leaves.
///
/// # Errors
/// If there is no memory.
pub fn paths(parents: &[i64], depths: &[i64]) -> Result<LeafPaths> {
    let mut has_child = filled(parents.len(), false, "nodes of a tree")?;
    for &parent in parents.iter().skip(1) {
        has_child[parent as usize] = true;
    }
    let width = 1 + depths.iter().copied().max().unwrap_or(0) as usize;
    let leaves = has_child.iter().filter(|has| !**has).count();
    let mut nodes = filled(leaves.saturating_mul(width), -1, "nodes of paths")?;
    let leaf = has_child.iter().enumerate().filter(|(_, has)| !**has).map(|(node, _)| node);
    for (leaf, row) in leaf.zip(nodes.chunks_exact_mut(width)) {
        let mut node = leaf;
        for place in (0..=depths[leaf] as usize).rev() {
            row[place] = node as i64;
            node = parents[node].max(0) as usize;
        }
    }
    Ok(LeafPaths { nodes, width })
}
