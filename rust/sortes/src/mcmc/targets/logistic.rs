//! Logistic regression.

use sortes_core::Result;
use sortes_core::rng::elementary::{exp_negative, ln};

use super::{LogDensity, NORMAL, squares};

/// The posterior of the coefficients, with independent normals as the prior: its log density is the log
/// likelihood plus that of the prior.
#[derive(Debug, Clone)]
pub struct Logistic {
    /// The columns of the design, one after another; a row has the sign of its response.
    columns: Vec<f64>,
    rows: usize,
    scale: f64,
}

impl Logistic {
    /// Of columns whose rows are those of the design where the response is one, and their negatives where
    /// it is zero; with the standard deviation of the prior.
    pub fn new(columns: Vec<f64>, rows: usize, scale: f64) -> Self {
        Self { columns, rows, scale }
    }
}

impl LogDensity for Logistic {
    fn dim(&self) -> usize {
        self.columns.len() / self.rows
    }

    fn scratch(&self) -> usize {
        self.rows
    }

    fn logp(&self, x: &[f64], scratch: &mut [f64]) -> Result<f64> {
        scratch.fill(0.0);
        for (column, b) in self.columns.chunks_exact(self.rows).zip(x) {
            for (eta, x) in scratch.iter_mut().zip(column) {
                *eta += b * x;
            }
        }
        // Minus the logarithm of the chance of a response is ln(1 + exp(-eta)).
        for eta in &mut *scratch {
            *eta = ln(1.0 + exp_negative(-eta.abs())) + (-*eta).max(0.0);
        }
        let prior = -0.5 * squares(x) / (self.scale * self.scale)
            - (NORMAL + ln(self.scale)) * x.len() as f64;
        Ok(prior - scratch.iter().sum::<f64>())
    }
}
