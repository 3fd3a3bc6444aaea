//! Integrals over when a set of items is complete, if item `i` arrives at the rate `p_i`.
//!
//! The first arrival outside the set comes at time `t` with the density `r exp(-r t)`, where `r` is the
//! rate of all that is outside. What is integrated against it are products of the chances
//! `1 - exp(-p_i t)` of arrivals before. Such integrands are analytic in `ln t` and vanish fast on both
//! sides, so that sums over even steps of `ln t` are exact to rounding.

use crate::{Result, Run};

/// If the rate outside the set is below this, the set is everything.
pub const NOTHING: f64 = 1e-12;
/// The longest step in `ln t`; see [`bound`].
const STEP: f64 = 0.15;
/// Up to so many items the step is the one that is surely short enough; of more it is found.
const FEW: usize = 1000;
/// Once sums whose step is halved differ by this part, the error is below its square: the error of such
/// sums falls exponentially.
const CLOSE: f64 = 1e-7;
/// More halvings than rounding allows.
const HALVINGS: i32 = 40;
/// Terms below `exp(-DEEP)` of the largest do not count.
const DEEP: f64 = 45.0;
/// Items between two looks at the stop request.
const BLOCK: usize = 1 << 12;

/// Visits even steps of `ln t` around the time at which items of these rates, in some lists, have most
/// likely all arrived. A visit returns the logarithm of that chance, with the density of the first
/// arrival outside and a factor `t`, and whether other sums of the caller still grow: further away on
/// this side nothing is visited once neither counts.
///
/// # Errors
/// Those of the visits; or if the work is cancelled.
pub fn over_times(
    rates: &[&[f64]],
    outside: f64,
    run: Run<'_>,
    mut visit: impl FnMut(f64) -> Result<(f64, bool)>,
) -> Result<()> {
    let items: usize = rates.iter().map(|rates| rates.len()).sum();
    let middle = middle(rates, items, outside, run)?;
    let step = if items <= FEW { bound(items) } else { STEP };
    let (mut sum, mut before) = (LogSum::default(), f64::INFINITY);
    for halving in 0..HALVINGS {
        // Steps of the last sum, and where the new places are between its own.
        let (whole, first) = match halving {
            0 => (step, 0.0),
            _ => (step * 0.5_f64.powi(halving - 1), step * 0.5_f64.powi(halving)),
        };
        for side in [1.0, -1.0] {
            let skipped = usize::from(halving == 0 && side < 0.0);
            for place in skipped.. {
                run.check()?;
                let (log, grows) = visit(middle + side * (first + place as f64 * whole))?;
                if !(sum.add(log) || grows) {
                    break;
                }
            }
        }
        let now = sum.ln() + (step * 0.5_f64.powi(halving)).ln();
        if items <= FEW || (now - before).abs() < CLOSE {
            break;
        }
        before = now;
    }
    Ok(())
}

/// With `m` items the integrand is at most as narrow as `t^m exp(-r t)`, a bell of width
/// `1 / sqrt(m)` in `ln t`, of which sums with this step miss `exp(-2 pi^2 / (m step^2))`.
fn bound(items: usize) -> f64 {
    STEP.min(0.7 / (items as f64 + 1.0).sqrt())
}

/// The logarithm of about the time at which the integrand is largest: where its slope in `ln t`,
/// `1 - r t + sum_i p_i t / (exp(p_i t) - 1)`, which falls, is zero.
fn middle(rates: &[&[f64]], items: usize, outside: f64, run: Run<'_>) -> Result<f64> {
    let most = items as f64 + 1.0;
    // Each term of the sum lies between 1 - p t and 1.
    let (mut low, mut high) = (most.ln(), (most / outside).ln());
    while high - low > 0.5 / most.sqrt() {
        let u = f64::midpoint(low, high);
        let t = u.exp();
        let mut slope = 1.0 - outside * t;
        for rates in rates {
            for range in run.blocks(rates.len(), BLOCK) {
                let late = |p: &f64| if p * t > 1e-12 { p * t / (p * t).exp_m1() } else { 1.0 };
                slope += rates[range?].iter().map(late).sum::<f64>();
            }
        }
        if slope > 0.0 { low = u } else { high = u }
    }
    Ok(f64::midpoint(low, high))
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
