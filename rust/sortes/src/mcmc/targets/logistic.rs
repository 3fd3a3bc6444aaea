//! Logistic regression.

use sortes_core::rng::elementary::{exp_negative, ln};
use sortes_core::{Result, vectorised};

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

/// Rows that are added up side by side.
const LANES: usize = 16;
/// Numbers up to two whose product is within the range of numbers.
const FACTORS: usize = 512;

vectorised! {
    /// The sum of `ln(1 + exp(-eta))`, where `eta` is a product of the rows with `x`. The numbers under the
    /// logarithm are split into a power and one up to two; the latter are multiplied first.
    fn minus_likelihood(columns: &[f64], rows: usize, x: &[f64], scratch: &mut [f64]) -> f64 {
        let eta = &mut scratch[..rows];
        eta.fill(0.0);
        for j in 0..x.len() {
            let (column, b) = (&columns[j * rows..(j + 1) * rows], x[j]);
            for i in 0..rows {
                eta[i] += b * column[i];
            }
        }
        let (mut sums, mut logs) = ([0.0; LANES], 0.0);
        for some in eta.chunks(LANES * FACTORS) {
            let mut products = [1.0; LANES];
            let (blocks, rest) = some.as_chunks::<LANES>();
            for block in blocks {
                for k in 0..LANES {
                    let eta = block[k];
                    products[k] *= 1.0 + exp_negative(-eta.abs());
                    sums[k] += (-eta).max(0.0);
                }
            }
            for (k, eta) in rest.iter().enumerate() {
                products[k] *= 1.0 + exp_negative(-eta.abs());
                sums[k] += (-eta).max(0.0);
            }
            logs += products.iter().map(|&product| ln(product)).sum::<f64>();
        }
        logs + sums.iter().sum::<f64>()
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
        let prior = -0.5 * squares(x) / (self.scale * self.scale)
            - (NORMAL + ln(self.scale)) * x.len() as f64;
        Ok(prior - minus_likelihood(&self.columns, self.rows, x, scratch))
    }
}
