//! Elliptical slice sampling: a Gaussian prior times any likelihood.
//!
//! Murray, Adams and `MacKay`, "Elliptical slice sampling", AISTATS 2010.

use std::f64::consts::TAU;
use std::sync::Arc;

use sortes_core::memory::{copied, zeroed};
use sortes_core::rng::elementary::{ln, ln_any};
use sortes_core::{Result, Run, vectorised};

use super::angle::Bracket;
use super::factor::Factor;
use super::trigonometry::sin_cos;
use crate::mcmc::draws::{Draws, gamma};
use crate::mcmc::kernel::{Kernel, Step};
use crate::mcmc::targets::{dot, squares};

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
    /// The matrix again, if there is one.
    factor: Option<Factor>,
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
        let factor = match &scale {
            Scale::Diagonal(_) => None,
            Scale::Lower(tril) => Some(Factor::new(tril, mean.len())),
        };
        Self { mean, scale, factor, inverse, constant }
    }

    /// How many coordinates.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Its log density, with `spare` for as many numbers as it has.
    pub fn logp(&self, x: &[f64], spare: &mut [f64]) -> f64 {
        self.constant - 0.5 * self.distance(x, spare)
    }

    /// The squared distance from the mean, in units of its spread; `spare` as above.
    fn distance(&self, x: &[f64], spare: &mut [f64]) -> f64 {
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
        squares(spare)
    }

    /// Its mean.
    pub(super) fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The mean of a coordinate, and the diagonal entry of its factor.
    pub(super) fn coordinate(&self, i: usize) -> (f64, f64) {
        (self.mean[i], 1.0 / self.inverse[i])
    }

    /// The same with a whole factor of the covariance, and that factor column by column.
    pub(super) fn factored(&self) -> Result<(Self, Vec<f64>)> {
        let d = self.mean.len();
        let size = d.saturating_mul(d);
        let (mut tril, mut columns) = (zeroed(size, "covariances")?, zeroed(size, "covariances")?);
        for (i, row) in tril.chunks_exact_mut(d).enumerate() {
            match &self.scale {
                Scale::Diagonal(sd) => row[i] = sd[i],
                Scale::Lower(tril) => row.copy_from_slice(&tril[i * d..(i + 1) * d]),
            }
            for (j, &entry) in row[..=i].iter().enumerate() {
                columns[j * d + i] = entry;
            }
        }
        let factor = Some(Factor::new(&tril, d));
        Ok((Self { scale: Scale::Lower(tril), factor, ..self.clone() }, columns))
    }

    /// Takes another mean, and another whole factor, given column by column.
    pub(super) fn refit(&mut self, mean: &[f64], columns: &[f64]) {
        let d = mean.len();
        self.mean.copy_from_slice(mean);
        let Scale::Lower(tril) = &mut self.scale else { return };
        for (i, row) in tril.chunks_exact_mut(d).enumerate() {
            for (j, entry) in row[..=i].iter_mut().enumerate() {
                *entry = columns[j * d + i];
            }
            self.inverse[i] = 1.0 / row[i];
        }
        if let Some(factor) = &mut self.factor {
            factor.refit(tril, d);
        }
        self.constant = -(0..d).map(|i| ln(columns[i * (d + 1)]) + 0.5 * ln(TAU)).sum::<f64>();
    }

    /// Its factor times some numbers.
    fn spread(&self, z: &[f64], out: &mut [f64]) {
        if let Scale::Diagonal(sd) = &self.scale {
            for ((out, z), sd) in out.iter_mut().zip(z).zip(sd) {
                *out = sd * z;
            }
        } else if let Some(factor) = &self.factor {
            factor.times(z, out);
        }
    }

    /// A draw, with `spare` as above.
    pub fn draw(&self, draws: &mut impl Draws, spare: &mut [f64], out: &mut [f64]) {
        draws.normals(spare);
        self.spread(spare, out);
        for (out, mean) in out.iter_mut().zip(&self.mean) {
            *out += mean;
        }
    }
}

/// The log density of a Student distribution at a squared distance, up to a constant.
#[inline]
pub(super) fn student(distance: f64, df: f64, dim: usize) -> f64 {
    -0.5 * (df + dim as f64) * ln_any(1.0 + distance / df)
}

/// Mean and covariance of the states of warm-up, in blocks of which each is twice as long as the one
/// before: the last that ends is what counts.
#[derive(Debug, Clone)]
struct Learner {
    block: usize,
    n: usize,
    mean: Vec<f64>,
    /// The lower triangle of the sum of products, row by row.
    products: Vec<f64>,
    from_mean: Vec<f64>,
}

impl Learner {
    /// Transitions of the first block.
    const FIRST: usize = 25;

    fn new(dim: usize) -> Result<Self> {
        Ok(Self {
            block: Self::FIRST,
            n: 0,
            mean: zeroed(dim, "coordinates")?,
            products: zeroed(dim.saturating_mul(dim), "products of coordinates")?,
            from_mean: zeroed(dim, "coordinates")?,
        })
    }

    /// Counts a state; at the end of a block, a normal of this mean and about this covariance.
    fn learn(&mut self, x: &[f64]) -> Option<Prior> {
        let d = x.len();
        self.n += 1;
        let n = self.n as f64;
        for ((out, mean), x) in self.from_mean.iter_mut().zip(&mut self.mean).zip(x) {
            *out = x - *mean;
            *mean += *out / n;
        }
        for (i, row) in self.products.chunks_exact_mut(d).enumerate() {
            let scaled = self.from_mean[i] * (n - 1.0) / n;
            for (sum, other) in row.iter_mut().zip(&self.from_mean[..=i]) {
                *sum += scaled * other;
            }
        }
        if self.n < self.block {
            return None;
        }
        // The covariance, drawn to its diagonal where states are few, and its Cholesky factor.
        let (mean, mut tril) = (self.mean.clone(), self.products.clone());
        let few = 1.0 + d as f64 / n;
        for i in 0..d {
            tril[i * d + i] *= few;
            for j in 0..=i {
                let (above, row) = tril.split_at(i * d);
                let other = if j < i { &above[j * d..] } else { row };
                let known: f64 = row[..j].iter().zip(&other[..j]).map(|(a, b)| a * b).sum();
                let (rest, diagonal) = (row[j] - known, other[j]);
                tril[i * d + j] = if j < i { rest / diagonal } else { rest.max(0.0).sqrt() };
            }
        }
        let scale = 1.0 / (n + d as f64).sqrt();
        for entry in &mut tril {
            *entry *= scale;
        }
        (self.n, self.block) = (0, 2 * self.block);
        self.mean.fill(0.0);
        self.products.fill(0.0);
        // A coordinate that has not moved has no spread.
        let sound =
            (0..d).all(|i| tril[i * d + i].is_normal()) && tril.iter().all(|a| a.is_finite());
        sound.then(|| Prior::new(mean, Scale::Lower(tril)))
    }
}

vectorised! {
    /// The point of an ellipse around a mean, through `x`, with another axis, at an angle.
    fn turn(mean: &[f64], x: &[f64], axis: &[f64], by: [f64; 2], out: &mut [f64]) {
        let ([sine, cosine], n) = (by, out.len());
        let (mean, x, axis) = (&mean[..n], &x[..n], &axis[..n]);
        for i in 0..n {
            out[i] = mean[i] + (x[i] - mean[i]) * cosine + axis[i] * sine;
        }
    }
}

/// What to make a kernel of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The prior; or the location and the spread of a Student distribution.
    pub prior: Arc<Prior>,
    /// The degrees of freedom of that. The density is then the whole one.
    pub df: Option<f64>,
    /// Whether warm-up fits that to the states.
    pub tune: bool,
    /// The most evaluations of a transition.
    pub limit: u32,
}

/// States whose place on the ellipse says how far from the mean they are, until one is measured again.
const MOVES: u32 = 256;

/// The kernel. Its log density is the log likelihood; or, with degrees of freedom, the whole one, of which
/// the log likelihood is what a Student distribution leaves: that is a normal whose variance is drawn
/// (Nishihara, Murray and Adams, "Parallel MCMC with generalized elliptical slice sampling", Journal of
/// Machine Learning Research 15, 2014).
#[derive(Debug, Clone)]
pub struct Elliptical {
    prior: Arc<Prior>,
    df: Option<f64>,
    /// The log density of the Student distribution at the state; zero without.
    student: f64,
    learner: Option<Learner>,
    x: Vec<f64>,
    logp: f64,
    reported: f64,
    point: Vec<f64>,
    /// The other axis of the ellipse, from the mean.
    axis: Vec<f64>,
    /// Both axes in units of the spread, with their products; the state has a distance from the mean
    /// that follows from these, and so has each point of the ellipse.
    white: Vec<f64>,
    normals: Vec<f64>,
    products: [f64; 3],
    /// Sine and cosine of the angle of the last point.
    turned: (f64, f64),
    /// States since the first axis was made of the state itself, lest errors of rounding add up.
    moves: u32,
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
    pub fn new(options: Options, x: Vec<f64>, logp: f64) -> Result<Self> {
        let Options { prior, df, tune, limit } = options;
        let d = x.len();
        let learner = if tune && df.is_some() { Some(Learner::new(d)?) } else { None };
        let mut made = Self {
            prior,
            df,
            student: 0.0,
            learner,
            point: copied(&x, "coordinates", Run::alone())?,
            axis: zeroed(d, "coordinates")?,
            white: zeroed(d, "coordinates")?,
            normals: zeroed(d, "coordinates")?,
            products: [0.0; 3],
            turned: (0.0, 1.0),
            moves: 0,
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

    /// Notes what follows from the state.
    fn report(&mut self) {
        let distance = self.prior.distance(&self.x, &mut self.white);
        self.moves = 0;
        self.note(distance);
    }

    /// Notes what follows from the distance of the state.
    fn note(&mut self, distance: f64) {
        self.products[0] = distance;
        (self.reported, self.student) = match self.df {
            None => (self.logp + self.prior.constant - 0.5 * distance, 0.0),
            Some(df) => (self.logp, student(distance, df, self.x.len())),
        };
    }

    /// The squared distance of the point from the mean, in units of the spread.
    #[inline]
    fn distance(&self) -> f64 {
        let ((sine, cosine), [first, both, other]) = (self.turned, self.products);
        (cosine * cosine * first + 2.0 * sine * cosine * both + sine * sine * other).max(0.0)
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
        self.turned = (sine, cosine);
        turn(&self.prior.mean, &self.x, &self.axis, [sine, cosine], &mut self.point);
        Step::Evaluate
    }

    /// Changes the distribution that ellipses are of, between transitions.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Arc<Prior>)) {
        change(&mut self.prior);
        self.report();
    }

    /// That distribution.
    #[inline]
    pub(super) fn prior(&self) -> &Prior {
        &self.prior
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
        // Given the state, the variance of the normal is an inverse gamma variable.
        let spread = self.df.map(|df| {
            let shape = 0.5 * (df + self.x.len() as f64);
            (0.5 * (df + self.products[0]) / gamma(shape, draws)).sqrt()
        });
        let drop = draws.opening(&mut self.normals);
        if let Some(spread) = spread {
            for z in &mut self.normals {
                *z *= spread;
            }
        }
        self.prior.spread(&self.normals, &mut self.axis);
        self.products[1] = dot(&self.white, &self.normals);
        self.products[2] = squares(&self.normals);
        self.level = self.logp - self.student - drop;
        self.bracket = Bracket::new(draws);
        self.ask()
    }

    #[inline]
    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        let likelihood = match self.df {
            None => logp,
            Some(df) => logp - student(self.distance(), df, self.x.len()),
        };
        if likelihood > self.level {
            self.logp = logp;
            self.x.copy_from_slice(&self.point);
            self.moves += 1;
            if self.moves == MOVES {
                self.report();
                return Step::Done;
            }
            let (sine, cosine) = self.turned;
            for (white, z) in self.white.iter_mut().zip(&self.normals) {
                *white = *white * cosine + z * sine;
            }
            self.note(squares(&self.white));
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

    fn tune(&mut self) {
        if let Some(prior) = self.learner.as_mut().and_then(|learner| learner.learn(&self.x)) {
            self.prior = Arc::new(prior);
            self.report();
        }
    }

    fn widths(&self) -> &[f64] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_teaches_mean_and_covariance() {
        let mut learner = Learner::new(2).unwrap();
        let states: Vec<[f64; 2]> =
            (0..25).map(f64::from).map(|i| [i.sin() + 3.0, 0.1 * i + i.sin()]).collect();
        let prior = states.iter().find_map(|x| learner.learn(x)).unwrap();
        let mean = |k: usize| states.iter().map(|x| x[k]).sum::<f64>() / 25.0;
        let cov = |a: usize, b: usize| {
            states.iter().map(|x| (x[a] - mean(a)) * (x[b] - mean(b))).sum::<f64>() / 27.0
        };
        assert!((prior.mean[0] - mean(0)).abs() < 1e-12 && (prior.mean[1] - mean(1)).abs() < 1e-12);
        let Scale::Lower(tril) = &prior.scale else { panic!("a factor") };
        let squared = [tril[0] * tril[0], tril[0] * tril[2], tril[2] * tril[2] + tril[3] * tril[3]];
        let few = 1.0 + 2.0 / 25.0;
        for (got, expected) in squared.iter().zip([few * cov(0, 0), cov(0, 1), few * cov(1, 1)]) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        assert_eq!((learner.n, learner.block), (0, 50));
        let still = (0..50).filter_map(|_| learner.learn(&[1.0, 2.0])).count();
        assert_eq!(still, 0);
    }
}
