//! Removes improbable tokens without a program.
//!
//! `tau p` has the mean of `p` and the mass `tau`. To hold all of token `i`, it must take in the
//! rest, about `p_i`, and a least-squares correction `p_j w . a_j` over probable tokens `j` restores
//! the mean. With leverages `l_j^2 = a_j . S^-1 a_j`, `S = sum_j p_j a_j a_j^T`, the correction of
//! each token is at most `p_i l_i max_j l_j` of its mass: if that is below `tau`, the result is a
//! part of `p`, and token `i` goes.

use sortes_core::memory::with_capacity;
use sortes_core::{Result, Run};

use super::distribution::Distribution;
use super::simplex::dot;

/// Probable tokens that share the correction.
const SHARERS: usize = 1024;
/// What rounding may have added to a leverage, relatively.
const MARGIN: f64 = 1e-6;
/// Share of a squared length that must be left after projection.
const SINGULAR: f64 = 1e-8;

/// The leverages of one of.
#[derive(Debug)]
pub(super) struct Leverages {
    dim: usize,
    /// Lower triangular, by rows, with `S = L L^T`.
    factor: Vec<f64>,
    /// The least probability of a token that shares the correction.
    least: f64,
    highest: f64,
}

impl Leverages {
    /// `None` if the probable tokens do not span the columns.
    pub(super) fn new(of: &Distribution, run: Run<'_>) -> Result<Option<Self>> {
        let dim = of.mean.len();
        let mut masses = with_capacity(of.support.len(), "probabilities of one row")?;
        masses.extend(of.support.iter().map(|&id| of.p[id as usize]));
        let nth = masses.len().saturating_sub(SHARERS);
        let least = *masses.select_nth_unstable_by(nth, f64::total_cmp).1;

        run.check()?;
        let sharers = || of.support.iter().map(|&id| id as usize).filter(|&id| of.p[id] >= least);
        let mut moments = vec![0.0; dim * dim];
        for id in sharers() {
            let column = of.features.row(id);
            for (line, &a) in moments.chunks_exact_mut(dim).zip(column) {
                let weight = of.p[id] * f64::from(a);
                for (moment, &b) in line.iter_mut().zip(column) {
                    *moment += weight * f64::from(b);
                }
            }
        }
        let Some(factor) = cholesky(moments, dim) else { return Ok(None) };
        let mut found = Self { dim, factor, least, highest: 0.0 };
        found.highest = sharers().map(|id| found.leverage(of, id)).fold(0.0, f64::max);
        Ok(Some(found))
    }

    /// `a_i . S^-1 a_i = |L^-1 a_i|^2`.
    fn leverage(&self, of: &Distribution, token: usize) -> f64 {
        let mut solved: Vec<f64> = Vec::with_capacity(self.dim);
        for (line, &a) in self.factor.chunks_exact(self.dim).zip(of.features.row(token)) {
            let known = solved.len();
            solved.push((f64::from(a) - dot(&line[..known], &solved)) / line[known]);
        }
        dot(&solved, &solved)
    }

    /// Whether a part of mass `tau` holds all of `token`, for certain.
    pub(super) fn remove(&self, of: &Distribution, token: usize, tau: f64) -> bool {
        let mass = of.p[token];
        let leverage = self.leverage(of, token);
        let own = if mass >= self.least { mass * leverage } else { 0.0 };
        let correction = (1.0 - tau) * mass / (1.0 - own) * (leverage * self.highest).sqrt();
        own < 0.5 && correction * (1.0 + MARGIN) <= tau.min(1.0 - tau)
    }
}

/// The Cholesky factor of a symmetric matrix; `None` if it is singular but for rounding.
fn cholesky(mut matrix: Vec<f64>, dim: usize) -> Option<Vec<f64>> {
    for i in 0..dim {
        for j in 0..=i {
            let (of, other) = (&matrix[i * dim..][..j], &matrix[j * dim..][..j]);
            let rest = matrix[i * dim + j] - dot(of, other);
            if i > j {
                matrix[i * dim + j] = rest / matrix[j * dim + j];
            } else if rest > SINGULAR * matrix[i * dim + i] {
                matrix[i * dim + i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(matrix)
}
