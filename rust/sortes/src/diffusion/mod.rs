//! Diffusion samplers: noise to data, by a denoiser that others bring.
//!
//! | module | holds |
//! |---|---|
//! | [`noise`] | the noise of each image of a batch |
//! | [`plans`] | what each step of a solver combines, made once from the noise levels |
//! | [`combine`] | those combinations of states, in one pass |
//! | [`spread`] | noise with the variance that a network has learned |
//! | [`fitting`] | which levels and which coefficients fit a denoiser |
//! | [`brownian`] | noise that agrees however steps are split |
//! | [`mixture`] | mixtures of normals on the line, exactly: what solvers are checked with |

pub mod brownian;
pub mod combine;
pub mod fitting;
pub mod mixture;
pub mod noise;
pub mod plans;
pub mod spread;
