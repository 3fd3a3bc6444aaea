//! Whole texts: several of them, drawn together.
//!
//! A text is drawn token by token: this family stands on [`decode`](crate::decode), which knows the
//! rules and the law of a row.
//!
//! | module | holds |
//! |---|---|
//! | [`arithmetic`] | arithmetic sampling: many texts from codes that are spread evenly |

pub mod arithmetic;
