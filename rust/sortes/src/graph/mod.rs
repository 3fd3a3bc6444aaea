//! Graphs and walks on them.
//!
//! | module | holds |
//! |---|---|
//! | [`features`] | random features of nodes, whose products estimate kernels |
//! | [`structure`] | graphs that never change: rows of neighbours, with tables for weighted ones |
//! | [`walks`] | walks of any length, alone, coupled, or with a memory of the node before |
//! | [`pagerank`] | PageRank and personalised PageRank, by walks |
//! | [`graphlets`] | how often small subgraphs occur, by walks |

pub mod features;
pub mod graphlets;
pub mod pagerank;
pub mod structure;
pub mod walks;
