//! Removes improbable tokens without a program.
//!
//! `tau p` has the mean of `p` and the mass `tau`. To hold all of token `i`, it must take in the
//! rest, about `p_i`, and a least-squares correction `p_j w . a_j` over probable tokens `j` restores
//! the mean. With leverages `l_j^2 = a_j . S^-1 a_j`, `S = sum_j p_j a_j a_j^T`, the correction of
//! each token is at most `p_i l_i max_j l_j` of its mass: if that is below `tau`, the result is a
//! part of `p`, and token `i` goes.

use super::row::Row;
use super::simplex::{dot, invert};

/// Probable tokens that share the correction.
const SHARERS: usize = 1024;
/// What rounding may have added to a leverage, relatively.
const MARGIN: f64 = 1e-6;

/// The leverages of one row.
#[derive(Debug)]
pub(super) struct Interior {
    dim: usize,
    inverse: Vec<f64>,
    /// The least probability of a token that shares the correction.
    least: f64,
    highest: f64,
}

impl Interior {
    /// `None` if the probable tokens do not span the columns.
    pub(super) fn new(row: &Row) -> Option<Self> {
        let dim = row.mean.len();
        let mut masses: Vec<f64> = row.support.iter().map(|&id| row.p[id as usize]).collect();
        let place = masses.len().saturating_sub(SHARERS);
        let least = *masses.select_nth_unstable_by(place, f64::total_cmp).1;

        let sharers = || row.support.iter().map(|&id| id as usize).filter(|&id| row.p[id] >= least);
        let mut moments = vec![0.0; dim * dim];
        for id in sharers() {
            let column = row.features.row(id);
            for (line, &a) in moments.chunks_exact_mut(dim).zip(column) {
                let weight = row.p[id] * f64::from(a);
                for (moment, &b) in line.iter_mut().zip(column) {
                    *moment += weight * f64::from(b);
                }
            }
        }
        let trace: f64 = moments.iter().step_by(dim + 1).sum();
        let mut inverse = vec![0.0; dim * dim];
        invert(&mut moments, &mut inverse, dim).ok()?;
        let mut interior = Self { dim, inverse, least, highest: 0.0 };
        // A condition number beyond this leaves no digits to rely on.
        let spread: f64 = interior.inverse.iter().step_by(dim + 1).sum();
        if !(trace * spread < 1e8) {
            return None;
        }
        interior.highest = sharers().map(|id| interior.leverage(row, id)).fold(0.0, f64::max);
        Some(interior)
    }

    /// `a_i . S^-1 a_i`.
    fn leverage(&self, row: &Row, token: usize) -> f64 {
        let column: Vec<f64> = row.features.row(token).iter().map(|&a| f64::from(a)).collect();
        self.inverse
            .chunks_exact(self.dim)
            .zip(&column)
            .map(|(line, a)| a * dot(line, &column))
            .sum()
    }

    /// Whether a part of mass `tau` holds all of `token`, for certain.
    pub(super) fn removes(&self, row: &Row, token: usize, tau: f64) -> bool {
        let mass = row.p[token];
        let leverage = self.leverage(row, token);
        let own = if mass >= self.least { mass * leverage } else { 0.0 };
        let correction = (1.0 - tau) * mass / (1.0 - own) * (leverage * self.highest).sqrt();
        own < 0.5 && correction * (1.0 + MARGIN) <= tau.min(1.0 - tau)
    }
}
