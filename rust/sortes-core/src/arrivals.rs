//! Integrals over when a set of items is complete, if item `i` arrives at the rate `p_i`.
//!
//! The first arrival outside the set comes at time `t` with the density `r exp(-r t)`, where `r` is the
//! rate of all that is outside. What is integrated against it are products of the chances
//! `1 - exp(-p_i t)` of arrivals before. Such integrands are analytic in `ln t` and vanish fast on both
//! sides, so that sums over even steps of `ln t` are exact to rounding.

use crate::{Result, Run};

/// If the rate outside the set is below this, the set is everything.
pub const NOTHING: f64 = 1e-12;
/// The longest step in `ln t`; see [`step`].
const STEP: f64 = 0.15;
/// Terms below `exp(-DEEP)` of the largest do not count.
const DEEP: f64 = 45.0;

/// Visits even steps of `ln t`, from late times, which `exp(-r t)` excludes, to early ones, which the
/// arrivals of a set of so many items exclude: until the visit says that its terms no longer count.
///
/// # Errors
/// Those of the visits; or if the work is cancelled.
pub fn over_times(
    items: usize,
    outside: f64,
    run: Run<'_>,
    mut visit: impl FnMut(f64) -> Result<bool>,
) -> Result<()> {
    let items = items as f64;
    let (mut ln_t, step) = (((90.0 + 2.0 * items) / outside).ln(), step(items));
    loop {
        run.check()?;
        if !visit(ln_t)? {
            return Ok(());
        }
        ln_t -= step;
    }
}

/// With `m` items the integrand is at most as narrow as `t^m exp(-r t)`, a bell of width
/// `1 / sqrt(m)` in `ln t`, of which sums with this step miss `exp(-2 pi^2 / (m step^2))`.
fn step(items: f64) -> f64 {
    STEP.min(0.7 / (items + 1.0).sqrt())
}

/// A sum of numbers given by their logarithms.
#[derive(Debug, Clone, Copy)]
pub struct LogSum {
    largest: f64,
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self { largest: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSum {
    /// Adds a term; false if it does not count beside the largest. The terms of an integrand that is
    /// log-concave stay low once they have risen and fallen.
    pub fn add(&mut self, log: f64) -> bool {
        if log > self.largest {
            self.sum *= (self.largest - log).exp();
            self.largest = log;
        }
        self.sum += (log - self.largest).exp();
        log > self.largest - DEEP
    }

    /// The logarithm of the sum.
    #[must_use]
    pub fn ln(&self) -> f64 {
        self.largest + self.sum.ln()
    }
}
