//! Whole texts: several of them, drawn together.
//!
//! A text is drawn token by token: this family stands on [`decode`](crate::decode), which knows the
//! rules and the law of a row.
//!
//! | module | holds |
//! |---|---|
//! | [`arithmetic`] | arithmetic sampling: many texts from codes that are spread evenly |
//! | [`automaton`] | regular expressions: which tokens may follow |
//! | [`draft_trees`] | trees of drafted tokens, and their verification |
//! | [`gumbel`] | distinct items by perturbed log weights |
//! | [`power`] | a power of the law of whole texts, also given that they match |
//! | [`suffix`] | drafts from text: what has followed its end before |
//! | [`tree`] | the best-first search from which distinct sequences come |
//! | [`verify`] | whether drafted tokens stand, and what replaces them |
//! | [`weights`] | what makes sums over distinct samples estimates |

pub mod arithmetic;
pub mod automaton;
pub mod draft_trees;
pub mod gumbel;
pub mod power;
pub mod suffix;
pub mod tree;
pub mod verify;
pub mod weights;
