//! Spin models: sites with few states each, on a graph, and restricted Boltzmann machines.
//!
//! | module | holds |
//! |---|---|
//! | [`model`] | Ising and Potts models: couplings, fields, colours, energies |
//! | [`gibbs`] | heat bath of one site after the other, or of all sites of a colour |
//! | `alike` | the same by tables, where couplings have one strength |
//! | [`lattice`] | heat bath on a square lattice, 64 spins in a word |
//! | `packing` | states as bytes and as bits |
//! | [`clusters`] | Swendsen-Wang and Wolff |
//! | [`sampler`] | chains of any of these |
//! | [`boltzmann`] | restricted Boltzmann machines |

mod alike;
pub mod boltzmann;
pub mod clusters;
pub mod gibbs;
pub mod lattice;
pub mod model;
mod packing;
pub mod sampler;

use sortes_core::rng::elementary::exp_negative;

/// `1 / (1 + exp(-x))`, without overflow.
#[inline(always)]
fn sigmoid(x: f64) -> f64 {
    let e = exp_negative(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// Whether a uniform number is below the sigmoid of `x`, without a division.
#[inline(always)]
fn is_below_sigmoid(u: f64, x: f64) -> bool {
    let e = exp_negative(-x.abs());
    u * (1.0 + e) < if x < 0.0 { e } else { 1.0 }
}
