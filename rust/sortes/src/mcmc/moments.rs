//! Means and covariances of the states of warm-up, pooled over chains.
//!
//! Each chain counts its own states; where all have come to the end of a block, the counts are merged
//! chain by chain. What comes of it depends on the states alone, not on threads.

use sortes_core::Result;
use sortes_core::memory::{with_capacity, zeroed};

/// What is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The mean.
    Center,
    /// The mean, and the variance of each coordinate.
    Diagonal,
    /// The mean and the covariance.
    Full,
}

/// Covariances are shrunk to their diagonal as if so many states more had been seen, all of whose
/// coordinates were independent.
const SHRUNK: f64 = 5.0;

/// Counted states.
#[derive(Debug, Clone)]
pub struct Moments {
    shape: Shape,
    n: f64,
    mean: Vec<f64>,
    /// Sums of products of deviations: none, of each coordinate, or all rows.
    products: Vec<f64>,
    /// Deviations of the state in work.
    before: Vec<f64>,
}

/// A centre and axes.
#[derive(Debug, Clone)]
pub struct Affine {
    /// The mean.
    pub center: Vec<f64>,
    /// What coordinates are multiplied by: none, a number each, or the rows of a lower triangle.
    pub scale: Vec<f64>,
}

impl Moments {
    /// Of no states.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(shape: Shape, dim: usize) -> Result<Self> {
        let products = match shape {
            Shape::Center => 0,
            Shape::Diagonal => dim,
            Shape::Full => dim.saturating_mul(dim),
        };
        Ok(Self {
            shape,
            n: 0.0,
            mean: zeroed(dim, "coordinates")?,
            products: zeroed(products, "covariances")?,
            before: zeroed(dim, "coordinates")?,
        })
    }

    /// Forgets all states.
    pub fn clear(&mut self) {
        self.n = 0.0;
        self.mean.fill(0.0);
        self.products.fill(0.0);
    }

    /// Counts a state (Welford 1962).
    pub fn add(&mut self, x: &[f64]) {
        self.n += 1.0;
        for ((mean, before), x) in self.mean.iter_mut().zip(&mut self.before).zip(x) {
            *before = x - *mean;
            *mean += *before / self.n;
        }
        self.add_products((self.n - 1.0) / self.n);
    }

    /// Counts what another has counted (Chan, Golub and `LeVeque` 1983).
    pub fn merge(&mut self, other: &Self) {
        let n = self.n + other.n;
        if other.n == 0.0 {
            return;
        }
        for (sum, other) in self.products.iter_mut().zip(&other.products) {
            *sum += other;
        }
        let means = self.mean.iter_mut().zip(&other.mean);
        for ((mean, other_mean), before) in means.zip(&mut self.before) {
            *before = other_mean - *mean;
            *mean += *before * (other.n / n);
        }
        self.add_products(self.n * other.n / n);
        self.n = n;
    }

    fn add_products(&mut self, weight: f64) {
        let d = self.mean.len();
        match self.shape {
            Shape::Center => {}
            Shape::Diagonal => {
                for (sum, x) in self.products.iter_mut().zip(&self.before) {
                    *sum += weight * x * x;
                }
            }
            Shape::Full => {
                for (row, x) in self.products.chunks_exact_mut(d).zip(&self.before) {
                    for (sum, y) in row.iter_mut().zip(&self.before) {
                        *sum += weight * x * y;
                    }
                }
            }
        }
    }

    /// The mean, and standard deviations or a factor of the covariance. There is no scale where a
    /// coordinate has not moved, or the factor has no positive diagonal.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn affine(&self) -> Result<Affine> {
        let d = self.mean.len();
        let mut center = with_capacity(d, "coordinates")?;
        center.extend_from_slice(&self.mean);
        let mut scale = zeroed(self.products.len(), "covariances")?;
        let is_sound = match self.shape {
            Shape::Center => true,
            Shape::Diagonal => {
                for (out, sum) in scale.iter_mut().zip(&self.products) {
                    *out = (sum / self.n).sqrt();
                }
                scale.iter().all(|&sd| sd > 0.0 && sd.is_finite())
            }
            Shape::Full => self.factor(&mut scale),
        };
        if !is_sound {
            scale.clear();
        }
        Ok(Affine { center, scale })
    }

    /// Cholesky's factor of the covariance; whether it has one.
    fn factor(&self, out: &mut [f64]) -> bool {
        let d = self.mean.len();
        let shrink = self.n / (self.n + SHRUNK);
        for i in 0..d {
            for j in 0..=i {
                let mut sum = self.products[i * d + j] / self.n;
                if i != j {
                    sum *= shrink;
                }
                let (row, column) = (&out[i * d..i * d + j], &out[j * d..j * d + j]);
                sum -= row.iter().zip(column).map(|(a, b)| a * b).sum::<f64>();
                out[i * d + j] = if i == j { sum.sqrt() } else { sum / out[j * d + j] };
            }
            let diagonal = out[i * d + i];
            if !(diagonal > 0.0 && diagonal.is_finite()) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [[f64; 2]; 5] = [[1.0, 2.0], [3.0, -1.0], [0.5, 0.5], [2.0, 4.0], [-1.0, 1.0]];

    #[test]
    fn merged_moments_are_those_of_all() {
        let of = |rows: &[[f64; 2]]| {
            let mut moments = Moments::new(Shape::Full, 2).unwrap();
            for x in rows {
                moments.add(x);
            }
            moments
        };
        let mut merged = of(&X[..2]);
        merged.merge(&of(&[]));
        merged.merge(&of(&X[2..]));
        let (found, whole) = (merged.affine().unwrap(), of(&X).affine().unwrap());
        let mean = |j: usize| X.iter().map(|x| x[j]).sum::<f64>() / 5.0;
        let covariance = |i: usize, j: usize| {
            X.iter().map(|x| (x[i] - mean(i)) * (x[j] - mean(j))).sum::<f64>() / 5.0
        };
        for affine in [found, whole] {
            let l = &affine.scale;
            assert!((affine.center[1] - mean(1)).abs() < 1e-12);
            assert!((l[0] * l[0] - covariance(0, 0)).abs() < 1e-12);
            assert!((l[2] * l[0] - 0.5 * covariance(1, 0)).abs() < 1e-12, "n / (n + 5)");
            assert!((l[2] * l[2] + l[3] * l[3] - covariance(1, 1)).abs() < 1e-12);
            assert_eq!(l[1], 0.0);
        }
    }

    #[test]
    fn a_coordinate_that_stays_has_no_scale() {
        for shape in [Shape::Diagonal, Shape::Full] {
            let mut moments = Moments::new(shape, 2).unwrap();
            for x in X {
                moments.add(&[x[0], 7.0]);
            }
            let affine = moments.affine().unwrap();
            assert!(affine.scale.is_empty());
            assert_eq!(affine.center[1], 7.0);
        }
    }
}
