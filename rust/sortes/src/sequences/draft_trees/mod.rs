//! Trees of drafted tokens, and several drafted paths: how they grow and how they are verified.
//!
//! A draft proposes tokens that may follow a text; the model computes, in one call, the law of the
//! token after each of them. Node 0 of a tree is the last token of the text, parents stand before
//! their children, and no two children of a node have the same token.
//!
//! | file | holds |
//! |---|---|
//! | `shape` | depths, the mask of ancestors, the paths from the root to the leaves |
//! | `merge` | one tree of several paths |
//! | `grow` | EAGLE-2: a tree that grows where the draft is sure |

mod grow;
mod merge;
mod shape;

pub use grow::{DraftTreeBuilder, Frontier, Limits, Tree};
pub use merge::{Merged, merge};
pub use shape::{LeafPaths, depths, mask, paths};
