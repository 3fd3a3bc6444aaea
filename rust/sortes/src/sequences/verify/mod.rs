//! Verification of drafts: tokens that somebody proposed are taken or replaced so that the text has the
//! law of the target.
//!
//! | file | holds |
//! |---|---|
//! | `texts` | the rows of drafted texts, the numbers by which they are verified, their messages |
//! | [`law`] | both laws of a position, and what the one exceeds the other by |
//! | `chain` | one draft of several tokens after one another |

mod chain;
pub mod law;
mod texts;

pub use chain::{Drafts, Method, verify};
pub use texts::{Numbers, Texts};
