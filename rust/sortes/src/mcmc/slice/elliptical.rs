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

/// The spread of a Gaussian.
#[derive(Debug, Clone)]
pub enum Scale {
    /// A standard deviation for each coordinate.
    Diagonal(Vec<f64>),
    /// The rows of a lower triangular matrix, with a positive diagonal.
    Lower(Vec<f64>),
}

/// The Gaussian prior.
#[derive(Debug, Clone)]
pub struct Prior {
    /// Its mean.
    pub mean: Vec<f64>,
    /// Its spread.
    pub scale: Scale,
}

impl Prior {
    /// The diagonal of its factor.
    fn diagonal(&self) -> impl Iterator<Item = f64> {
        let (entries, step) = match &self.scale {
            Scale::Diagonal(sd) => (sd, 1),
            Scale::Lower(tril) => (tril, self.mean.len() + 1),
        };
        entries.iter().step_by(step).copied()
    }

    /// Its log density, with `spare` for as many numbers as it has.
    fn logp(&self, x: &[f64], spare: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (i, ((x, mean), diagonal)) in x.iter().zip(&self.mean).zip(self.diagonal()).enumerate()
        {
            let mut rest = x - mean;
            if let Scale::Lower(tril) = &self.scale {
                let row = &tril[i * self.mean.len()..];
                rest -= row[..i].iter().zip(&*spare).map(|(a, w)| a * w).sum::<f64>();
            }
            spare[i] = rest / diagonal;
            sum += 0.5 * spare[i] * spare[i] + ln(diagonal) + 0.5 * ln(TAU);
        }
        -sum
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
        match &self.prior.scale {
            Scale::Diagonal(sd) => {
                for ((axis, z), sd) in self.axis.iter_mut().zip(&self.normals).zip(sd) {
                    *axis = sd * z;
                }
            }
            Scale::Lower(tril) => multiply(tril, &self.normals, &mut self.axis),
        }
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
