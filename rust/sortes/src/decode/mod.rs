//! From a row of logits to one token.
//!
//! A row passes through the rules of a [`Rules`] (one small file each), which narrow its survivors
//! without sorting or rewriting it; the token is then drawn with one uniform. Every rule keeps an
//! interval of logits, so the survivors are described by a window, and rules that look at the
//! renormalised law ask the survivors for it.
//!
//! | file | holds |
//! |---|---|
//! | `params` | the table of rules: names, parameters, domains |
//! | `rules` | one file per rule |
//! | `pipeline` | which rules act, in which order, with which parameters in each row |
//! | `window` | the interval that is left, with its ties |
//! | `survivors` | the tokens that are left, and what removes more of them |
//! | `masked` | how much of a row's mass a mask leaves |
//! | `law` | their weights and probabilities |
//! | `order` | the largest and smallest of them, ties |
//! | `crossing` | where their cumulative mass crosses a target, without a sort |
//! | `exact` | decisions that rounding could turn, made again in double precision |
//! | `draw` | the categorical draw |
//! | `greedy` | the largest logit, where nothing else matters |
//! | `verdict` | whether the last rules keep a token that was drawn |
//! | `choose` | tokens that somebody else takes, such as the decoder of a code |
//! | `place` | one position of a text: the draw there, and the law of what is kept |
//! | `several` | several tokens of a row, none of them twice |
//! | `powered` | the law raised to a power, as far as a mask allows: its mass, and draws from it |
//! | `details` | log-probabilities of what was drawn |
//! | `rows` | rows of logits, and the loop over them |
//! | `call` | whole batches |
//! | [`stats`] | statistics of rows; the parameter at which each token leaves |
//! | [`penalties`] | what is subtracted from logits before any rule |
//! | [`basis_aware`] | truncation that knows the output matrix |

pub mod adaptive_p;
pub mod basis_aware;
mod call;
mod choose;
mod crossing;
mod details;
mod domain;
mod draw;
mod element;
mod exact;
mod greedy;
mod law;
mod masked;
mod order;
mod params;
pub mod penalties;
mod pipeline;
mod place;
mod powered;
mod rows;
mod rules;
mod several;
pub mod stats;
mod survivors;
mod verdict;
mod window;

pub use call::{Call, Mask};
pub use choose::{Chooser, TokenOrder};
pub use details::Details;
pub use domain::Domain;
pub use draw::Method;
pub use element::Element;
pub use params::{COMMON, GREEDY, Parameter, Params, RULES, Rule};
pub use pipeline::{Boundary, Options, Rules, Ties};
pub use place::{AnyRows, Kept, Place};
pub use powered::Powered;
pub use rows::Rows;
pub use several::{Successive, Tokens};
