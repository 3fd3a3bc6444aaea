//! Distinct sequences by best-first search in the tree of all beginnings.
//!
//! A node is a beginning. Its priority says when its turn comes:
//!
//! - [`Gumbel`](Priority::Gumbel): the perturbed log-probability of the best sequence below it. Taken
//!   in this order the sequences are draws without replacement (Kool, van Hoof and Welling, "Ancestral
//!   Gumbel-Top-k Sampling for Sampling Without Replacement", JMLR 21, 2020). The noise of a node has
//!   a key that depends on the beginning alone, so that the order in which nodes are expanded, and how
//!   many together, does not matter.
//! - [`Token`](Priority::Token), [`Sequence`](Priority::Sequence): the probability of its last token,
//!   or of the whole beginning. A node whose turn has come is extended by the most likely tokens to
//!   its end; the other tokens on the way wait for their turn (Grubisic, Seeker, Synnaeve, Leather,
//!   Mellor-Crummey and Cummins, "Priority Sampling of Large Language Models for Compilers", 2024,
//!   arXiv:2402.18734).
//!
//! Either way two sequences are never the same. The tree owns no model: who does asks which nodes are
//! next, and answers with logits.
//!
//! | file | holds |
//! |---|---|
//! | `node` | the nodes, in columns |
//! | `children` | from the law of a node to its best children |
//! | `constraint` | texts that must match a regular expression |
//! | `queue` | the nodes whose turn will come, and no others |
//! | `search` | the search |

mod children;
mod constraint;
mod node;
mod queue;
mod search;
#[cfg(test)]
mod tests;

pub use constraint::Constraint;
pub use search::{Found, Limits, Priority, SequenceTree};
