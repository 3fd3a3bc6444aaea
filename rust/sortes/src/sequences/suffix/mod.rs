//! Drafts from text: what has followed the end of a text where it stood before.
//!
//! A suffix automaton holds all substrings of texts of tokens, and how often each occurs. The longest
//! suffix of a text that it knows, and the shorter ones, are the contexts from which a continuation is
//! guessed; a few guesses make a tree, which a language model can look at in one call.
//!
//! | file | holds |
//! |---|---|
//! | `automaton` | the suffix automaton, and places in it |
//! | `drafts` | the end of a text, and the tree of what may follow |

mod automaton;
mod drafts;
#[cfg(test)]
mod tests;

pub use automaton::SuffixAutomaton;
pub use drafts::{Draft, Limits, SuffixDrafts};
