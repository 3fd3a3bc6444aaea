//! Gibbsian polar slice sampling: the direction, then the radius.
//!
//! Schär, Habeck and Rudolf, "Gibbsian polar slice sampling", ICML 2023, arXiv 2302.03945. With
//! `x = center + r W theta` the density of radius and direction is `r^(d-1) f`, and the slice is one of
//! that.

use std::sync::Arc;

use sortes_core::memory::zeroed;
use sortes_core::rng::elementary::{exp_negative, ln};
use sortes_core::{Error, Result};

use super::angle::Bracket;
use super::factor::Factor;
use super::line::{Ask, Growth, Line};
use super::trigonometry::sin_cos;
use crate::mcmc::draws::{Draws, length};
use crate::mcmc::kernel::{Kernel, Step, Tuner};
use crate::mcmc::moments::{Affine, Shape};

/// What to make a kernel of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The width of intervals of radii.
    pub width: f64,
    /// Where the radius is zero.
    pub center: Vec<f64>,
    /// What directions are multiplied by: a number for each coordinate, the rows of a lower
    /// triangular matrix, or nothing.
    pub scale: Arc<[f64]>,
    /// The matrix again, if it is one.
    pub factor: Option<Arc<Factor>>,
    /// What warm-up learns from all chains, in place of the centre and of these.
    pub adapt: Option<Shape>,
    /// Whether the radius gets a level of its own.
    pub refresh: bool,
    /// Whether the first direction that is proposed is any of the sphere. It is taken with a chance that
    /// does not depend on the direction of the state, and then has the law of its slice; a great circle
    /// through the state follows where it is not. For a law that depends on the radius alone it is
    /// always taken: this is polar slice sampling (Roberts and Rosenthal, "The polar slice sampler",
    /// Stochastic Models 18, 2002).
    pub fresh: bool,
    /// Whether warm-up changes the width.
    pub tune: bool,
    /// The most evaluations of an update of the direction, and of one of the radius.
    pub limit: u32,
}

/// The kernel.
#[derive(Debug, Clone)]
pub struct Polar {
    options: Options,
    radius: f64,
    direction: Vec<f64>,
    logp: f64,
    point: Vec<f64>,
    /// The direction that is proposed, and the other axis of the great circle.
    proposal: Vec<f64>,
    axis: Vec<f64>,
    /// `W` times the direction.
    turned: Vec<f64>,
    level: f64,
    bracket: Bracket,
    line: Line,
    is_radial: bool,
    /// Whether the direction in question is any of the sphere.
    is_fresh: bool,
    /// Evaluations of directions.
    directions: u32,
    /// The log density that was answered last.
    answered: f64,
    stuck: bool,
    width: [f64; 1],
    tuner: Option<Tuner>,
}

/// The radius of a point, and its direction: `x = center + radius * scale * direction`.
fn polar(x: &[f64], center: &[f64], scale: &[f64], direction: &mut [f64]) -> f64 {
    let d = x.len();
    for ((out, x), c) in direction.iter_mut().zip(x).zip(center) {
        *out = x - c;
    }
    if scale.len() == d {
        for (out, scale) in direction.iter_mut().zip(scale) {
            *out /= scale;
        }
    } else if !scale.is_empty() {
        // Forward substitution, in place.
        for i in 0..d {
            let row = &scale[i * d..];
            let known: f64 = row[..i].iter().zip(&*direction).map(|(a, b)| a * b).sum();
            direction[i] = (direction[i] - known) / row[i];
        }
    }
    let radius = length(direction);
    for out in direction {
        *out /= radius;
    }
    radius
}

/// The mean logarithm of the diagonal of a scale: what a length is about.
fn log_size(scale: &[f64], d: usize) -> f64 {
    let step = if scale.len() == d { 1 } else { d + 1 };
    scale.iter().step_by(step).map(|&x| ln(x)).sum::<f64>() / d as f64
}

impl Polar {
    /// At a state of finite log density.
    ///
    /// # Errors
    /// If it is at the centre, or has one coordinate; if there is no memory.
    pub fn new(options: Options, x: &[f64], logp: f64) -> Result<Self> {
        let d = x.len();
        if d < 2 {
            return Err(Error::argument("init", "must have at least 2 coordinates, got 1"));
        }
        let mut made = Self {
            radius: 1.0,
            logp,
            point: zeroed(d, "coordinates")?,
            proposal: zeroed(d, "coordinates")?,
            axis: zeroed(d, "coordinates")?,
            turned: zeroed(d, "coordinates")?,
            direction: zeroed(d, "coordinates")?,
            level: 0.0,
            bracket: Bracket::default(),
            line: Line::new(Growth::Steps(None), options.limit),
            is_radial: false,
            is_fresh: false,
            directions: 0,
            answered: logp,
            stuck: false,
            width: [options.width],
            tuner: options.tune.then(|| Tuner::new(options.width)),
            options,
        };
        if !made.place(x, logp) {
            let reason = "must not be at the center of the kernel: move `center`";
            return Err(Error::argument("init", reason));
        }
        Ok(made)
    }

    /// What the radius adds to the log density.
    #[inline]
    fn jacobian(&self, radius: f64) -> f64 {
        (self.direction.len() - 1) as f64 * ln(radius)
    }

    /// Turns the direction, or its proposal, by the matrix.
    #[inline]
    fn turn(&mut self, is_proposal: bool) {
        let from = if is_proposal { &self.proposal } else { &self.direction };
        let scale = &*self.options.scale;
        if let Some(factor) = &self.options.factor {
            factor.times(from, &mut self.turned);
        } else if scale.is_empty() {
            self.turned.copy_from_slice(from);
        } else {
            for ((out, x), scale) in self.turned.iter_mut().zip(from).zip(scale) {
                *out = x * scale;
            }
        }
    }

    #[inline]
    fn reach(&mut self, radius: f64) {
        for ((point, c), v) in self.point.iter_mut().zip(&self.options.center).zip(&self.turned) {
            *point = c + radius * v;
        }
    }

    /// Asks about a direction.
    #[inline]
    fn ask(&mut self, draws: &mut impl Draws) -> Step {
        if self.directions == self.options.limit {
            self.stuck = true;
            return self.begin_radius(draws);
        }
        let (sine, cosine) = sin_cos(self.bracket.angle);
        let axes = self.direction.iter().zip(&self.axis);
        for (out, (theta, y)) in self.proposal.iter_mut().zip(axes) {
            *out = theta * cosine + y * sine;
        }
        self.propose()
    }

    /// Asks about the direction of the proposal.
    #[inline]
    fn propose(&mut self) -> Step {
        self.directions += 1;
        let norm = length(&self.proposal);
        for out in &mut self.proposal {
            *out /= norm;
        }
        self.turn(true);
        self.reach(self.radius);
        Step::Evaluate
    }

    /// Makes a great circle through the direction, of normals, and asks about a point of it.
    #[inline]
    fn circle(&mut self, draws: &mut impl Draws) -> Step {
        let mut norm;
        loop {
            let along: f64 = self.axis.iter().zip(&self.direction).map(|(a, b)| a * b).sum();
            for (z, theta) in self.axis.iter_mut().zip(&self.direction) {
                *z -= along * theta;
            }
            norm = length(&self.axis);
            if norm >= 1e-12 {
                break;
            }
            draws.normals(&mut self.axis);
        }
        for z in &mut self.axis {
            *z /= norm;
        }
        self.bracket = Bracket::new(draws);
        self.ask(draws)
    }

    /// The direction is settled.
    #[inline]
    fn begin_radius(&mut self, draws: &mut impl Draws) -> Step {
        self.is_radial = true;
        self.turn(false);
        if self.options.refresh {
            self.level = self.jacobian(self.radius) + self.logp - draws.exponential();
        }
        let bounds = (0.0, f64::INFINITY);
        let ask = self.line.begin(self.radius, self.level, self.width[0], bounds, draws);
        self.take(ask, draws)
    }

    #[inline]
    fn take(&mut self, mut ask: Ask, draws: &mut impl Draws) -> Step {
        loop {
            match ask {
                // Nothing has the radius zero.
                Ask::At(radius) if radius <= 0.0 => {
                    ask = self.line.advance(f64::NEG_INFINITY, draws);
                }
                Ask::At(radius) => {
                    self.reach(radius);
                    return Step::Evaluate;
                }
                Ask::Found(radius, _) => {
                    // The point asked about last.
                    self.radius = radius;
                    self.logp = self.answered;
                    return Step::Done;
                }
                Ask::Stuck => {
                    self.stuck = true;
                    self.reach(self.radius);
                    return Step::Done;
                }
            }
        }
    }
}

impl Kernel for Polar {
    const COUNTS: &'static [&'static str] = &["n_direction", "n_stepout", "n_radius"];

    #[inline]
    fn start(&mut self, draws: &mut impl Draws) -> Step {
        (self.stuck, self.is_radial, self.directions) = (false, false, 0);
        self.is_fresh = self.options.fresh;
        let normals = if self.is_fresh { &mut self.proposal } else { &mut self.axis };
        let drop = draws.opening(normals);
        self.level = self.jacobian(self.radius) + self.logp - drop;
        if !self.is_fresh {
            return self.circle(draws);
        }
        while length(&self.proposal) < 1e-12 {
            draws.normals(&mut self.proposal);
        }
        self.propose()
    }

    #[inline]
    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        self.answered = logp;
        if self.is_radial {
            let jacobian = self.jacobian(self.line.asked());
            let ask = self.line.advance(logp + jacobian, draws);
            return self.take(ask, draws);
        }
        if logp + self.jacobian(self.radius) > self.level {
            std::mem::swap(&mut self.direction, &mut self.proposal);
            self.logp = logp;
            return self.begin_radius(draws);
        }
        if std::mem::take(&mut self.is_fresh) {
            draws.normals(&mut self.axis);
            return self.circle(draws);
        }
        self.bracket.shrink(draws);
        self.ask(draws)
    }

    fn place(&mut self, x: &[f64], logp: f64) -> bool {
        let radius = polar(x, &self.options.center, &self.options.scale, &mut self.proposal);
        if radius.is_nan() || radius < 1e-10 * self.options.width {
            return false;
        }
        std::mem::swap(&mut self.direction, &mut self.proposal);
        (self.radius, self.logp) = (radius, logp);
        self.point.copy_from_slice(x);
        true
    }

    #[inline]
    fn point(&self) -> &[f64] {
        &self.point
    }

    fn logp(&self) -> f64 {
        self.logp
    }

    fn counts(&self) -> [u32; 3] {
        let radial = self.line.evaluations;
        [self.directions, radial - self.line.proposals, self.line.proposals]
    }

    fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn tune(&mut self) {
        if let Some(tuner) = &mut self.tuner {
            tuner.learn(&mut self.width[0], self.line.widened, self.line.shrunk);
        }
    }

    fn widths(&self) -> &[f64] {
        &self.width
    }

    fn learns(&self) -> Option<Shape> {
        self.options.adapt
    }

    fn adapt(&mut self, learnt: &Affine) {
        let d = self.direction.len();
        let keeps = learnt.scale.is_empty();
        let scale = if keeps { &*self.options.scale } else { &*learnt.scale };
        let radius = polar(&self.point, &learnt.center, scale, &mut self.proposal);
        if radius.is_nan() || radius < 1e-10 {
            return; // at the new centre: the old one is as good
        }
        self.radius = radius;
        std::mem::swap(&mut self.direction, &mut self.proposal);
        self.options.center.copy_from_slice(&learnt.center);
        if !keeps {
            // The width is a length of the old scale.
            let change = log_size(&self.options.scale, d) - log_size(&learnt.scale, d);
            let factor = exp_negative(-change.abs());
            self.width[0] *= if change < 0.0 { factor } else { 1.0 / factor };
            self.options.scale = learnt.scale.as_slice().into();
            let is_matrix = learnt.scale.len() > d;
            let factor = || Arc::new(Factor::new(&learnt.scale, d));
            self.options.factor = is_matrix.then(factor);
            self.tuner = self.tuner.is_some().then(|| Tuner::new(self.width[0]));
        }
    }
}
