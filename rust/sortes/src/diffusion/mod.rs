//! Diffusion samplers: noise to data, by a denoiser that others bring.
//!
//! | module | holds |
//! |---|---|
//! | [`noise`] | the noise of each image of a batch |

pub mod noise;
