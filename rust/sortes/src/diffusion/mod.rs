//! Diffusion samplers: noise to data, by a denoiser that others bring.
//!
//! | module | holds |
//! |---|---|
//! | [`noise`] | the noise of each image of a batch |
//! | [`plans`] | what each step of a solver combines, made once from the noise levels |

pub mod noise;
pub mod plans;
