//! Products of powers of two densities: the way from one law to another.

use std::sync::Arc;

use sortes_core::Result;

use super::LogDensity;

/// The density `f^a g^b`, zero where `f` or `g` is zero. A power of zero is one everywhere: that density
/// is not evaluated.
pub struct Weighted {
    /// The densities and their powers, the cheaper first.
    pub parts: [(f64, Arc<dyn LogDensity>); 2],
}

impl LogDensity for Weighted {
    fn dim(&self) -> usize {
        self.parts[0].1.dim()
    }

    fn scratch(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.scratch()).max().unwrap_or(0)
    }

    fn logp(&self, x: &[f64], scratch: &mut [f64]) -> Result<f64> {
        let mut sum = 0.0;
        for (power, part) in &self.parts {
            if *power == 0.0 {
                continue;
            }
            let logp = part.logp(x, &mut scratch[..part.scratch()])?;
            if logp == f64::NEG_INFINITY {
                return Ok(logp);
            }
            sum += power * logp;
        }
        Ok(sum)
    }
}
