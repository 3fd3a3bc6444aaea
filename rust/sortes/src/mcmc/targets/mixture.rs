//! Mixtures of normals.

use sortes_core::Result;
use sortes_core::rng::Draws;
use sortes_core::rng::elementary::{exp_negative, ln};

use super::LogDensity;
use crate::mcmc::slice::elliptical::Prior;

/// A mixture of normals; with one, a normal.
#[derive(Debug, Clone)]
pub struct Mixture {
    /// The normals, with the logarithms of their weights.
    parts: Vec<(f64, Prior)>,
    /// The weights, added up.
    cumulative: Vec<f64>,
}

impl Mixture {
    /// Of normals with positive weights that sum to one.
    pub fn new(parts: Vec<(f64, Prior)>) -> Self {
        let mut sum = 0.0;
        let cumulative = parts
            .iter()
            .map(|(weight, _)| {
                sum += weight;
                sum
            })
            .collect();
        let parts = parts.into_iter().map(|(weight, part)| (ln(weight), part)).collect();
        Self { parts, cumulative }
    }
}

impl LogDensity for Mixture {
    fn dim(&self) -> usize {
        self.parts[0].1.dim()
    }

    fn scratch(&self) -> usize {
        self.dim() + self.parts.len()
    }

    fn logp(&self, x: &[f64], scratch: &mut [f64]) -> Result<f64> {
        let (spare, each) = scratch.split_at_mut(x.len());
        let mut top = f64::NEG_INFINITY;
        for (out, (weight, part)) in each.iter_mut().zip(&self.parts) {
            *out = weight + part.logp(x, spare);
            top = top.max(*out);
        }
        if each.len() == 1 || top == f64::NEG_INFINITY {
            return Ok(each[0]);
        }
        Ok(top + ln(each.iter().map(|logp| exp_negative(logp - top)).sum()))
    }

    fn draw(&self, draws: &mut Draws, out: &mut [f64], scratch: &mut [f64]) {
        let u = draws.uniform() * self.cumulative[self.cumulative.len() - 1];
        let at = self.cumulative.partition_point(|&sum| sum <= u).min(self.parts.len() - 1);
        self.parts[at].1.draw(draws, &mut scratch[..out.len()], out);
    }

    fn is_drawable(&self) -> bool {
        true
    }
}
