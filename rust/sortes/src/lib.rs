//! Samplers for machine learning: exact in law, reproducible from a seed, fast.
//!
//! | module | holds |
//! |---|---|
//! | [`decode`] | logits to tokens: truncation rules, penalties, the fused draw |
//! | [`sequences`] | whole texts, token by token on top of [`decode`]: arithmetic sampling |
//! | [`pool`] | many samples of each problem: pass@k and its relatives, votes, coverage |
//! | [`graph`] | graphs and walks on them, alone, coupled, or with a memory |
//! | [`diffusion`] | noise to data, by a denoiser: noise of each image, exact mixtures |
//! | [`mcmc`] | draws from a density that is known up to a factor, by Markov chains |
//! | [`select`] | points and subsets from data: weighted draws, sketches, designs, k-means++ seeding |
//!
//! Functions take slices and return slices; randomness is an argument
//! ([`sortes_core::rng::Stream`]), and so are the threads ([`sortes_core::par::Threads`]).

pub mod decode;
pub mod diffusion;
pub mod graph;
pub mod mcmc;
pub mod pool;
pub mod select;
pub mod sequences;
