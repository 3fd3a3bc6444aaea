//! The family `select`: one native module for each of its parts.

pub(crate) mod design;
pub(crate) mod epochs;
pub(crate) mod seeding;
pub(crate) mod sketch;
pub(crate) mod weighted;
