//! Verification of drafts: tokens that somebody proposed are taken or replaced so that the text has the
//! law of the target.
//!
//! | file | holds |
//! |---|---|
//! | `texts` | the rows of drafted texts, the numbers by which they are verified, their messages |
//! | [`law`] | both laws of a position, and what the one exceeds the other by |
//! | `chain` | one draft of several tokens after one another |
//! | `race` | the draw that a draft and its target share |
//! | `several` | several drafts for one position |
//! | `optimal` | how one of them is selected so that it stands as often as can be |

mod chain;
pub mod law;
mod optimal;
mod race;
mod several;
mod texts;

pub use chain::{Drafts, Method, verify};
pub use race::race;
pub use several::{Scheme, verify_several};
pub use texts::{Numbers, Texts};
