//! Elliptical slice sampling: a Gaussian prior times any likelihood.
//!
//! Murray, Adams and `MacKay`, "Elliptical slice sampling", AISTATS 2010.

use std::f64::consts::TAU;
use std::sync::Arc;

use sortes_core::Result;
use sortes_core::Run;
use sortes_core::memory::{copied, zeroed};
use sortes_core::rng::elementary::ln;

use super::angle::Bracket;
use super::ray::multiply;
use super::trigonometry::sin_cos;
use crate::mcmc::draws::Draws;
use crate::mcmc::kernel::{Kernel, Step};
use crate::mcmc::targets::squares;

/// The spread of a Gaussian.
#[derive(Debug, Clone)]
pub enum Scale {
    /// A standard deviation for each coordinate.
    Diagonal(Vec<f64>),
    /// The rows of a lower triangular matrix, with a positive diagonal.
    Lower(Vec<f64>),
}

/// A Gaussian: the prior.
#[derive(Debug, Clone)]
pub struct Prior {
    mean: Vec<f64>,
    scale: Scale,
    /// One over the diagonal of its factor, and the log density at the mean.
    inverse: Vec<f64>,
    constant: f64,
}

impl Prior {
    /// With as many coordinates as the mean has.
    pub fn new(mean: Vec<f64>, scale: Scale) -> Self {
        let (entries, step) = match &scale {
            Scale::Diagonal(sd) => (sd, 1),
            Scale::Lower(tril) => (tril, mean.len() + 1),
        };
        let diagonal = entries.iter().step_by(step);
        let constant = -diagonal.clone().map(|&sd| ln(sd) + 0.5 * ln(TAU)).sum::<f64>();
        let inverse = diagonal.map(|sd| 1.0 / sd).collect();
        Self { mean, scale, inverse, constant }
    }

    /// How many coordinates.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Its log density, with `spare` for as many numbers as it has.
    pub fn logp(&self, x: &[f64], spare: &mut [f64]) -> f64 {
        let pairs = x.iter().zip(&self.mean).zip(&self.inverse);
        match &self.scale {
            Scale::Diagonal(_) => {
                for (out, ((x, mean), inverse)) in spare.iter_mut().zip(pairs) {
                    *out = (x - mean) * inverse;
                }
            }
            Scale::Lower(tril) => {
                for (i, ((x, mean), inverse)) in pairs.enumerate() {
                    let row = &tril[i * self.mean.len()..][..i];
                    let known = row.iter().zip(&*spare).map(|(a, w)| a * w).sum::<f64>();
                    spare[i] = (x - mean - known) * inverse;
                }
            }
        }
        self.constant - 0.5 * squares(spare)
    }

    /// Its factor times some numbers.
    fn spread(&self, z: &[f64], out: &mut [f64]) {
        match &self.scale {
            Scale::Diagonal(sd) => {
                for ((out, z), sd) in out.iter_mut().zip(z).zip(sd) {
                    *out = sd * z;
                }
            }
            Scale::Lower(tril) => multiply(tril, z, out),
        }
    }

    /// A draw, with `spare` as above.
    pub fn draw(&self, draws: &mut impl Draws, spare: &mut [f64], out: &mut [f64]) {
        for z in &mut *spare {
            *z = draws.normal();
        }
        self.spread(spare, out);
        for (out, mean) in out.iter_mut().zip(&self.mean) {
            *out += mean;
        }
    }
}

/// The kernel; its log density is the log likelihood.
#[derive(Debug, Clone)]
pub struct Elliptical {
    prior: Arc<Prior>,
    x: Vec<f64>,
    logp: f64,
    reported: f64,
    point: Vec<f64>,
    /// The other axis of the ellipse, from the mean.
    axis: Vec<f64>,
    normals: Vec<f64>,
    level: f64,
    bracket: Bracket,
    /// The most evaluations of a transition, and how many there were.
    limit: u32,
    evaluations: u32,
    stuck: bool,
}

impl Elliptical {
    /// At a state of finite log likelihood.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(prior: Arc<Prior>, limit: u32, x: Vec<f64>, logp: f64) -> Result<Self> {
        let d = x.len();
        let mut made = Self {
            prior,
            point: copied(&x, "coordinates", Run::alone())?,
            axis: zeroed(d, "coordinates")?,
            normals: zeroed(d, "coordinates")?,
            x,
            logp,
            reported: 0.0,
            level: 0.0,
            bracket: Bracket::default(),
            limit,
            evaluations: 0,
            stuck: false,
        };
        made.report();
        Ok(made)
    }

    fn report(&mut self) {
        self.reported = self.logp + self.prior.logp(&self.x, &mut self.normals);
    }

    #[inline]
    fn ask(&mut self) -> Step {
        if self.evaluations == self.limit {
            self.stuck = true;
            self.point.copy_from_slice(&self.x);
            return Step::Done;
        }
        self.evaluations += 1;
        let (sine, cosine) = sin_cos(self.bracket.angle);
        let axes = self.x.iter().zip(&self.axis).zip(&self.prior.mean);
        for (point, ((x, axis), mean)) in self.point.iter_mut().zip(axes) {
            *point = mean + (x - mean) * cosine + axis * sine;
        }
        Step::Evaluate
    }

    /// The angle of the last point that was asked about.
    pub fn angle(&self) -> f64 {
        self.bracket.angle
    }
}

impl Kernel for Elliptical {
    const COUNTS: &'static [&'static str] = &["n_shrink"];

    fn start(&mut self, draws: &mut impl Draws) -> Step {
        (self.stuck, self.evaluations) = (false, 0);
        for z in &mut self.normals {
            *z = draws.normal();
        }
        self.prior.spread(&self.normals, &mut self.axis);
        self.level = self.logp - draws.exponential();
        self.bracket = Bracket::new(draws);
        self.ask()
    }

    #[inline]
    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        if logp > self.level {
            self.logp = logp;
            self.x.copy_from_slice(&self.point);
            self.report();
            return Step::Done;
        }
        self.bracket.shrink(draws);
        self.ask()
    }

    fn place(&mut self, x: &[f64], logp: f64) -> bool {
        self.x.copy_from_slice(x);
        self.point.copy_from_slice(x);
        self.logp = logp;
        self.report();
        true
    }

    #[inline]
    fn point(&self) -> &[f64] {
        &self.point
    }

    fn logp(&self) -> f64 {
        self.logp
    }

    fn reported(&self) -> f64 {
        self.reported
    }

    fn counts(&self) -> [u32; 3] {
        [self.evaluations - u32::from(!self.stuck), 0, 0]
    }

    fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn tune(&mut self) {}

    fn widths(&self) -> &[f64] {
        &[]
    }
}
