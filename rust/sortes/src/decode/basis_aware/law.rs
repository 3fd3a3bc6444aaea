//! From logits to probabilities, and the thresholds that basis-aware rules start from.

use crate::decode::GREEDY;
use sortes_core::{Error, Result};

/// The truncation rule whose threshold `tau` the basis-aware test takes over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Base {
    /// Eta sampling: `tau = min(epsilon, sqrt(epsilon) exp(-H))`, `H` the entropy in nats.
    Eta(f64),
    /// Epsilon sampling: `tau = epsilon`.
    Epsilon(f64),
    /// Nucleus sampling: the smallest probability in the nucleus of mass `top_p`.
    TopP(f64),
}

impl Base {
    /// The threshold for the distribution `p`.
    pub fn threshold(self, p: &[f64]) -> f64 {
        match self {
            Self::Eta(epsilon) => {
                let positive = p.iter().filter(|&&p| p > 0.0);
                let entropy: f64 = positive.map(|&p| -p * p.ln()).sum();
                epsilon.min(epsilon.sqrt() * (-entropy).exp())
            }
            Self::Epsilon(epsilon) => epsilon,
            Self::TopP(top_p) => {
                let mut masses: Vec<f64> = p.iter().copied().filter(|&p| p > 0.0).collect();
                masses.sort_unstable_by(|x, y| y.total_cmp(x));
                let mut sum = 0.0;
                let reached = masses.iter().position(|&mass| {
                    sum += mass;
                    sum >= top_p
                });
                masses[reached.unwrap_or(masses.len() - 1)]
            }
        }
    }
}

/// `softmax(logits / temperature)`; all mass on the first maximum at temperature zero.
///
/// # Errors
/// [`Error::Row`] if there is a NaN, a positive infinity, or no finite logit.
pub fn softmax(logits: &[f64], temperature: f64, row: usize) -> Result<Vec<f64>> {
    let mut max = f64::NEG_INFINITY;
    for &l in logits {
        if l.is_nan() || l == f64::INFINITY {
            return Err(Error::row("logits", row, "contains NaN or +inf"));
        }
        max = max.max(l);
    }
    if max == f64::NEG_INFINITY {
        return Err(Error::row("logits", row, "no finite logit"));
    }
    let mut p: Vec<f64> = if temperature < GREEDY {
        let first = logits.iter().position(|&l| l == max);
        (0..logits.len()).map(|id| if Some(id) == first { 1.0 } else { 0.0 }).collect()
    } else {
        logits.iter().map(|&l| ((l - max) / temperature).exp()).collect()
    };
    let total: f64 = p.iter().sum();
    for p in &mut p {
        *p /= total;
    }
    Ok(p)
}
