//! Regular expressions for whole texts: which tokens may follow, so that the text matches in the end.
//!
//! An expression becomes an automaton over the bytes of UTF-8, by the crate `regex-automata`. The tokens
//! of a vocabulary are a tree of their bytes; walked together with the automaton from one of its states,
//! it gives the tokens that may follow there. What may follow depends on the state alone, so that it is
//! found once. Tokens are legal if some sequence of tokens finishes the text behind them.
//!
//! | file | holds |
//! |---|---|
//! | `bytes` | from an expression to an automaton over bytes |
//! | `kinds` | kinds of characters, by which whole branches of the tree are taken without a look |
//! | `trie` | tokens as a tree |
//! | `vocabulary` | the tokens of a model |
//! | `walk` | the walk over the tree from a state |
//! | `steps` | how many tokens it takes to finish |
//! | `token` | the automaton over tokens |
//! | `made` | values that are made once |

mod bytes;
mod kinds;
mod made;
mod steps;
#[cfg(test)]
mod tests;
mod token;
mod trie;
mod vocabulary;
mod walk;

pub use bytes::ByteAutomaton;
pub use token::TokenAutomaton;
pub use vocabulary::Vocabulary;
