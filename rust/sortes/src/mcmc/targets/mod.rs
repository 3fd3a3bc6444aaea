//! Densities: what chains are driven by without a call to Python, and some of known law.

mod logistic;
mod many_well;
mod mixture;
mod shells;
mod weighted;

use sortes_core::memory::zeroed;
use sortes_core::num::special::exp;
use sortes_core::rng::elementary::{exp_negative, ln, ln_any};
use sortes_core::rng::{Draws, Purpose, Stream};
use sortes_core::{Result, Run};

pub use logistic::Logistic;
pub use many_well::ManyWell;
pub use mixture::Mixture;
pub use shells::{AxialModes, HyperplaneDisk};
pub use weighted::Weighted;

use super::draws::gamma;

/// Half the logarithm of a full turn: what a normal adds to minus its log density.
const NORMAL: f64 = 0.918_938_533_204_672_7;

/// So few numbers are added one by one: vectors would have to wait for a number that has just been written.
const FEW: usize = 12;

/// A log density, up to a constant.
pub trait LogDensity: Send + Sync {
    /// How many coordinates a point has.
    fn dim(&self) -> usize;

    /// How many numbers [`logp`](Self::logp) wants to write to.
    fn scratch(&self) -> usize {
        0
    }

    /// The log density at `x`: NaN is never accepted, plus infinity ends the run.
    ///
    /// # Errors
    /// If no further point must be evaluated.
    fn logp(&self, x: &[f64], scratch: &mut [f64]) -> Result<f64>;

    /// The log density at `x`, of which what does not change with coordinate `i` may be left out: the same
    /// part at all points that differ in this coordinate alone.
    ///
    /// # Errors
    /// If no further point must be evaluated.
    fn conditional(&self, _i: usize, x: &[f64], scratch: &mut [f64]) -> Result<f64> {
        self.logp(x, scratch)
    }

    /// The log density as a number, which comes back in a register, and a [`Result`] by way of memory: plus
    /// infinity where [`logp`](Self::logp) has an error. Only where [`is_total`](Self::is_total).
    fn value(&self, _x: &[f64]) -> f64 {
        f64::NAN
    }

    /// Whether [`value`](Self::value) is the log density.
    fn is_total(&self) -> bool {
        false
    }

    /// An exact draw of the law. Only where [`is_drawable`](Self::is_drawable).
    fn draw(&self, _: &mut Draws, _out: &mut [f64], _scratch: &mut [f64]) {}

    /// Whether there are exact draws.
    fn is_drawable(&self) -> bool {
        false
    }
}

/// Exact draws, row by row: the row is the entity.
///
/// # Errors
/// If there is no memory, or the work is cancelled.
pub fn exact(target: &dyn LogDensity, n: usize, stream: Stream, run: Run<'_>) -> Result<Vec<f64>> {
    /// Rows of a task.
    const ROWS: usize = 256;
    let dim = target.dim();
    let mut out = zeroed(n.saturating_mul(dim), "coordinates of draws")?;
    run.try_fill_chunks(&mut out, ROWS * dim, |chunk, rows| {
        let mut scratch = zeroed(target.scratch(), "numbers for the density")?;
        for (row, out) in ((chunk * ROWS) as u64..).zip(rows.chunks_exact_mut(dim)) {
            target.draw(&mut stream.draws(Purpose::Exact, row), out, &mut scratch);
        }
        run.advance((rows.len() / dim) as u64);
        Ok(())
    })?;
    Ok(out)
}

/// The sum of squares, of many numbers by four sums side by side.
#[inline]
pub(super) fn squares(x: &[f64]) -> f64 {
    if x.len() <= FEW {
        return x.iter().map(|x| x * x).sum();
    }
    let mut sums = [0.0; 4];
    let (blocks, rest) = x.as_chunks::<4>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += x * x;
        }
    }
    rest.iter().map(|x| x * x).sum::<f64>() + (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// The sum of products, as above.
#[inline]
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let ((blocks, rest), (others, other)) = (x.as_chunks::<4>(), y.as_chunks::<4>());
    for (block, others) in blocks.iter().zip(others) {
        for (sum, (x, y)) in sums.iter_mut().zip(block.iter().zip(others)) {
            *sum += x * y;
        }
    }
    let rest: f64 = rest.iter().zip(other).map(|(x, y)| x * y).sum();
    rest + (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// Independent standard normals.
#[derive(Debug, Clone, Copy)]
pub struct StandardNormal {
    /// How many.
    pub dim: usize,
}

impl LogDensity for StandardNormal {
    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn logp(&self, x: &[f64], _: &mut [f64]) -> Result<f64> {
        Ok(self.value(x))
    }

    #[inline]
    fn value(&self, x: &[f64]) -> f64 {
        -0.5 * squares(x) - NORMAL * self.dim as f64
    }

    fn is_total(&self) -> bool {
        true
    }

    fn draw(&self, draws: &mut Draws, out: &mut [f64], _: &mut [f64]) {
        out.fill_with(|| draws.normal());
    }

    fn is_drawable(&self) -> bool {
        true
    }
}

/// Neal's funnel: a normal `x_0` with mean zero, and given it normals with variance `exp(x_0)`.
#[derive(Debug, Clone, Copy)]
pub struct Funnel {
    dim: usize,
    scale: f64,
    constant: f64,
}

impl Funnel {
    /// Of so many coordinates, of which the first has the standard deviation `scale`.
    pub fn new(dim: usize, scale: f64) -> Self {
        Self { dim, scale, constant: ln(scale) + NORMAL * dim as f64 }
    }
}

impl LogDensity for Funnel {
    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn logp(&self, x: &[f64], _: &mut [f64]) -> Result<f64> {
        Ok(self.value(x))
    }

    #[inline]
    fn value(&self, x: &[f64]) -> f64 {
        let (v, rest) = (x[0], squares(&x[1..]));
        let precision = if v >= 0.0 { exp_negative(-v) } else { 1.0 / exp_negative(v) };
        // Where the precision is beyond the range of numbers, zeros are still zeros.
        let within = if rest == 0.0 { 0.0 } else { precision * rest };
        let z = v / self.scale;
        let others = (self.dim - 1) as f64;
        -0.5 * (z * z + others * v + within) - self.constant
    }

    fn is_total(&self) -> bool {
        true
    }

    fn draw(&self, draws: &mut Draws, out: &mut [f64], _: &mut [f64]) {
        out[0] = self.scale * draws.normal();
        let sd = exp((0.5 * out[0]).clamp(-700.0, 700.0));
        for x in &mut out[1..] {
            *x = sd * draws.normal();
        }
    }

    fn is_drawable(&self) -> bool {
        true
    }
}

/// Student's distribution in several dimensions, standard; with one degree of freedom, Cauchy's.
#[derive(Debug, Clone, Copy)]
pub struct StudentT {
    /// How many coordinates.
    pub dim: usize,
    /// Degrees of freedom.
    pub df: f64,
    /// The log density at zero.
    pub constant: f64,
}

impl LogDensity for StudentT {
    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn logp(&self, x: &[f64], _: &mut [f64]) -> Result<f64> {
        Ok(self.value(x))
    }

    #[inline]
    fn value(&self, x: &[f64]) -> f64 {
        let spread = ln_any(1.0 + squares(x) / self.df);
        self.constant - 0.5 * (self.df + self.dim as f64) * spread
    }

    fn is_total(&self) -> bool {
        true
    }

    fn draw(&self, draws: &mut Draws, out: &mut [f64], _: &mut [f64]) {
        let scale = (0.5 * self.df / gamma(0.5 * self.df, draws)).sqrt();
        for x in out {
            *x = scale * draws.normal();
        }
    }

    fn is_drawable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    #[test]
    fn densities_at_a_few_points() {
        let x = [0.5, -1.0, 2.0, 0.25, 3.0];
        let at = |target: &dyn LogDensity| target.logp(&x, &mut []).unwrap();
        let sum = 0.25 + 1.0 + 4.0 + 0.0625 + 9.0;
        assert!((at(&StandardNormal { dim: 5 }) + 0.5 * sum + 2.5 * TAU.ln()).abs() < 1e-12);
        let student = StudentT { dim: 5, df: 3.0, constant: 0.25 };
        assert!((at(&student) - 0.25 + 4.0 * (1.0 + sum / 3.0).ln()).abs() < 1e-12);
        let rest = 0.5 * ((sum - 0.25) * (-0.5_f64).exp() + 4.0 * 0.5);
        let first = 0.5 * 0.25 / 9.0 + 3.0_f64.ln() + 2.5 * TAU.ln();
        assert!((at(&Funnel::new(5, 3.0)) + rest + first).abs() < 1e-12);
        let neck = Funnel::new(2, 3.0).logp(&[-2000.0, 0.0], &mut []).unwrap();
        assert!(neck.is_finite());
        let neck = Funnel::new(2, 3.0).logp(&[-2000.0, 1.0], &mut []).unwrap();
        assert_eq!(neck, f64::NEG_INFINITY);
    }
}
