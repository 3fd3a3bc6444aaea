//! Adaptive generalised elliptical slice sampling.
//!
//! Marco and Tokdar, "Adaptive generalized elliptical slice sampling", 2026, arXiv 2605.21659: location
//! and spread of the Student distribution follow the states for as long as the chain runs, by ever
//! smaller steps, and are put in use ever more rarely (Chimisov, Łatuszyński and Roberts, "Air Markov
//! chain Monte Carlo", 2018, arXiv 1801.09309). Some transitions keep to the first distribution, and
//! some update the coordinates one by one. The law of a state tends to the target; no transition but
//! the first leaves it exactly as it is.

use std::sync::Arc;

use sortes_core::memory::{copied, with_capacity, zeroed};
use sortes_core::rng::elementary::ln;
use sortes_core::{Result, Run};

use super::angle::Bracket;
use super::elliptical::{self, Elliptical, Prior, student};
use super::trigonometry::sin_cos;
use crate::mcmc::draws::{Draws, gamma};
use crate::mcmc::kernel::{Kernel, Step};
use sortes_core::num::special::exp;

/// What to make a kernel of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The location and the spread of the Student distribution at first.
    pub prior: Arc<Prior>,
    /// Its degrees of freedom.
    pub df: f64,
    /// The share of transitions that keep to the first distribution.
    pub fixed: f64,
    /// The share of those that update coordinates one by one.
    pub sweeps: f64,
    /// How many of these there are before anything else.
    pub first: u32,
    /// The most evaluations of an update.
    pub limit: u32,
}

/// A mean and a covariance that follow states.
#[derive(Debug, Clone)]
struct Follower {
    /// Of how many states the last was; where the chain begins counts.
    n: u64,
    /// The weight of state `n` is `n` to the power of minus this.
    decay: f64,
    mean: Vec<f64>,
    /// A factor of the covariance, column by column.
    columns: Vec<f64>,
    /// A deviation that is rotated into the factor.
    rest: Vec<f64>,
    /// With which state the distribution is put in use, and how often that was.
    due: u64,
    times: u64,
}

impl Follower {
    /// Of a mean and a factor, column by column.
    fn new(mean: &[f64], columns: Vec<f64>) -> Result<Self> {
        let d = mean.len();
        Ok(Self {
            n: 1,
            decay: (2.0 / 3.0_f64).max(1.0 - 1.0 / (d as f64).cbrt()),
            mean: copied(mean, "coordinates", Run::alone())?,
            columns,
            rest: zeroed(d, "coordinates")?,
            due: 2,
            times: 2,
        })
    }

    /// Follows a state. Returns whether the distribution is to be put in use.
    fn follow(&mut self, x: &[f64]) -> bool {
        self.n += 1;
        let weight = exp(-self.decay * ln(self.n as f64));
        let (keep, take) = ((1.0 - weight).sqrt(), weight.sqrt());
        for ((rest, mean), x) in self.rest.iter_mut().zip(&mut self.mean).zip(x) {
            let deviation = x - *mean;
            *rest = take * deviation;
            *mean += weight * deviation;
        }
        rotate(&mut self.columns, keep, &mut self.rest);
        if self.n < self.due {
            return false;
        }
        self.times += 1;
        self.due += self.times.isqrt();
        true
    }

    /// Whether the factor has a positive diagonal, and the chain has moved in all coordinates.
    fn is_sound(&self) -> bool {
        let d = self.mean.len();
        (0..d).all(|i| self.columns[i * (d + 1)].is_normal())
            && self.columns.iter().chain(&self.mean).all(|x| x.is_finite())
    }
}

/// Makes a factor `L`, column by column, one of `(keep L)(keep L)' + w w'`; `w` is used up.
fn rotate(columns: &mut [f64], keep: f64, w: &mut [f64]) {
    let d = w.len();
    for k in 0..d {
        let column = &mut columns[k * d + k..(k + 1) * d];
        let (diagonal, entry) = (keep * column[0], w[k]);
        let length = (diagonal * diagonal + entry * entry).sqrt();
        let (cosine, sine) = (diagonal / length, entry / length);
        column[0] = length;
        for (a, w) in column[1..].iter_mut().zip(&mut w[k + 1..]) {
            let before = keep * *a;
            *a = cosine * before + sine * *w;
            *w = cosine * *w - sine * before;
        }
    }
}

/// What a transition does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// An ellipse of the distribution that is learnt.
    Learnt,
    /// One of the first distribution.
    Fixed,
    /// All coordinates, one by one.
    Sweep,
}

/// The kernel.
#[derive(Debug, Clone)]
pub struct Adaptive {
    /// The state, with the distribution that is learnt.
    joint: Elliptical,
    /// The first distribution; the other while that one is in use.
    first: Arc<Prior>,
    df: f64,
    fixed: f64,
    sweeps: f64,
    /// Sweeps that are left before anything else.
    begins: u32,
    follower: Follower,
    kind: Move,
    /// The state of a sweep: its log density, the order of coordinates, and the one in work.
    point: Vec<f64>,
    logp: f64,
    turns: Vec<usize>,
    turn: usize,
    /// What the coordinate was, and the other axis from the mean.
    before: f64,
    axis: f64,
    level: f64,
    bracket: Bracket,
    limit: u32,
    /// Evaluations of this update, those that were not taken in all of the sweep, and whether one of
    /// its updates reached the limit.
    evaluations: u32,
    shrunk: u32,
    stuck: bool,
}

impl Adaptive {
    /// At a state of finite log density.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(options: Options, x: Vec<f64>, logp: f64) -> Result<Self> {
        let Options { prior, df, fixed, sweeps, first: begins, limit } = options;
        let d = x.len();
        let mut turns = with_capacity(d, "coordinates")?;
        turns.extend(0..d);
        let (own, columns) = prior.factored()?;
        let follower = Follower::new(own.mean(), columns)?;
        let point = copied(&x, "coordinates", Run::alone())?;
        let joint = elliptical::Options { prior: Arc::new(own), df: Some(df), tune: false, limit };
        Ok(Self {
            joint: Elliptical::new(joint, x, logp)?,
            first: prior,
            df,
            fixed,
            sweeps,
            begins,
            follower,
            kind: Move::Learnt,
            point,
            logp,
            turns,
            turn: 0,
            before: 0.0,
            axis: 0.0,
            level: 0.0,
            bracket: Bracket::default(),
            limit,
            evaluations: 0,
            shrunk: 0,
            stuck: false,
        })
    }

    /// Exchanges the distribution in use for the other.
    fn exchange(&mut self) {
        let first = &mut self.first;
        self.joint.change(|prior| std::mem::swap(prior, first));
    }

    /// The log density of a Student distribution of one coordinate, up to a constant.
    fn student(&self, z: f64) -> f64 {
        student(z * z, self.df, 1)
    }

    /// Begins the update of the next coordinate, if there is one.
    fn next(&mut self, draws: &mut impl Draws) -> Step {
        let Some(&i) = self.turns.get(self.turn) else {
            self.joint.place(&self.point, self.logp);
            return Step::Done;
        };
        let (mean, scale) = self.joint.prior().coordinate(i);
        self.before = self.point[i];
        let z = (self.before - mean) / scale;
        let spread = 0.5 * (self.df + z * z) / gamma(0.5 * (self.df + 1.0), draws);
        self.axis = scale * spread.sqrt() * draws.normal();
        self.level = self.logp - self.student(z) - draws.exponential();
        self.bracket = Bracket::new(draws);
        self.evaluations = 0;
        self.ask(draws)
    }

    /// Asks about the coordinate in work.
    fn ask(&mut self, draws: &mut impl Draws) -> Step {
        let i = self.turns[self.turn];
        let (mean, _) = self.joint.prior().coordinate(i);
        if self.evaluations == self.limit {
            self.stuck = true;
            self.point[i] = self.before;
            self.turn += 1;
            return self.next(draws);
        }
        self.evaluations += 1;
        let (sine, cosine) = sin_cos(self.bracket.angle);
        self.point[i] = mean + (self.before - mean) * cosine + self.axis * sine;
        Step::Evaluate
    }

    /// Learns from the state at the end of a transition.
    fn settle(&mut self, step: Step) -> Step {
        if step == Step::Done {
            if self.kind == Move::Fixed {
                self.exchange();
            }
            if self.follower.follow(self.joint.point()) && self.follower.is_sound() {
                let Follower { mean, columns, .. } = &self.follower;
                self.joint.change(|prior| Arc::make_mut(prior).refit(mean, columns));
            }
        }
        step
    }
}

impl Kernel for Adaptive {
    const COUNTS: &'static [&'static str] = &["n_shrink"];

    fn start(&mut self, draws: &mut impl Draws) -> Step {
        let u = draws.uniform();
        self.kind = match u {
            _ if self.begins > 0 => Move::Sweep,
            u if u < self.sweeps => Move::Sweep,
            u if u < self.sweeps + self.fixed => Move::Fixed,
            _ => Move::Learnt,
        };
        self.begins = self.begins.saturating_sub(1);
        let step = if self.kind == Move::Sweep {
            (self.turn, self.shrunk, self.stuck) = (0, 0, false);
            for top in (1..self.turns.len()).rev() {
                let below = ((top + 1) as f64 * draws.uniform()) as usize;
                self.turns.swap(top, below.min(top));
            }
            self.point.copy_from_slice(self.joint.point());
            self.logp = self.joint.logp();
            self.next(draws)
        } else {
            if self.kind == Move::Fixed {
                self.exchange();
            }
            self.joint.start(draws)
        };
        self.settle(step)
    }

    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        let step = if self.kind == Move::Sweep {
            let i = self.turns[self.turn];
            let (mean, scale) = self.joint.prior().coordinate(i);
            if logp - self.student((self.point[i] - mean) / scale) > self.level {
                self.logp = logp;
                self.turn += 1;
                self.next(draws)
            } else {
                self.shrunk = self.shrunk.saturating_add(1);
                self.bracket.shrink(draws);
                self.ask(draws)
            }
        } else {
            self.joint.advance(logp, draws)
        };
        self.settle(step)
    }

    fn place(&mut self, x: &[f64], logp: f64) -> bool {
        self.joint.place(x, logp)
    }

    fn point(&self) -> &[f64] {
        if self.kind == Move::Sweep && self.turn < self.turns.len() {
            &self.point
        } else {
            self.joint.point()
        }
    }

    fn logp(&self) -> f64 {
        self.joint.logp()
    }

    fn counts(&self) -> [u32; 3] {
        if self.kind == Move::Sweep { [self.shrunk, 0, 0] } else { self.joint.counts() }
    }

    fn is_stuck(&self) -> bool {
        if self.kind == Move::Sweep { self.stuck } else { self.joint.is_stuck() }
    }

    fn tune(&mut self) {}

    fn widths(&self) -> &[f64] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [[f64; 3]; 6] = [
        [1.0, 2.0, 0.5],
        [3.0, -1.0, 2.0],
        [0.5, 0.5, -4.0],
        [2.0, 4.0, 1.0],
        [-1.0, 1.0, 0.0],
        [7.0, -3.0, 2.5],
    ];

    #[test]
    fn mean_and_covariance_follow_the_states() {
        let factor = vec![1.5, 0.4, -0.3, 0.0, 0.8, 0.2, 0.0, 0.0, 0.6];
        let product = |l: &[f64], a: usize, b: usize| {
            (0..3).map(|k| l[k * 3 + a] * l[k * 3 + b]).sum::<f64>()
        };
        let mut mean = [0.5, -1.0, 2.0];
        let mut cov: [f64; 9] = std::array::from_fn(|i| product(&factor, i / 3, i % 3));
        let mut follower = Follower::new(&mean, factor).unwrap();
        for (n, x) in (2..).zip(X) {
            let w = f64::from(n).powf(-2.0 / 3.0);
            for (i, cov) in cov.iter_mut().enumerate() {
                let (a, b) = (i / 3, i % 3);
                *cov = (1.0 - w) * *cov + w * (x[a] - mean[a]) * (x[b] - mean[b]);
            }
            for (mean, x) in mean.iter_mut().zip(x) {
                *mean = (1.0 - w) * *mean + w * x;
            }
            follower.follow(&x);
            for (found, wanted) in follower.mean.iter().zip(mean) {
                assert!((found - wanted).abs() < 1e-12);
            }
            for (i, wanted) in cov.into_iter().enumerate() {
                let found = product(&follower.columns, i / 3, i % 3);
                assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
            }
        }
        assert!(follower.is_sound());
    }

    #[test]
    fn what_is_learnt_is_used_ever_more_rarely() {
        let mut follower = Follower::new(&[0.0; 64], vec![1.0; 64 * 64]).unwrap();
        assert!((follower.decay - 0.75).abs() < 1e-15);
        let used = (1..=36).filter(|_| follower.follow(&[1.0; 64])).count();
        assert_eq!(used, 14, "1, 2, 4, 6, 8, 10, 12, 15, 18, 21, 24, 27, 30, 33 transitions");
        assert_eq!((follower.n, follower.due), (37, 38));
    }

    #[test]
    fn the_first_distribution_stays_what_it_was() {
        use sortes_core::rng::{Purpose, Stream};

        use crate::mcmc::slice::elliptical::Scale;

        let prior = Prior::new(vec![0.5, -0.5], Scale::Diagonal(vec![2.0, 3.0]));
        let options = Options {
            prior: Arc::new(prior),
            df: 6.0,
            fixed: 0.3,
            sweeps: 0.3,
            first: 2,
            limit: 1000,
        };
        let mut kernel = Adaptive::new(options, vec![1.0, 1.0], -1.0).unwrap();
        let rounds = Stream::new(7).rounds();
        let mut kinds = [0; 3];
        for round in 0..200 {
            let mut draws = rounds.draws(Purpose::Chain, 0, round);
            let mut step = kernel.start(&mut draws);
            kinds[kernel.kind as usize] += 1;
            while step == Step::Evaluate {
                let logp = -0.5 * kernel.point().iter().map(|x| x * x).sum::<f64>();
                step = kernel.advance(logp, &mut draws);
            }
            assert_eq!(kernel.first.mean(), [0.5, -0.5]);
            assert_eq!(kernel.first.coordinate(1), (-0.5, 3.0));
            assert_ne!(kernel.joint.prior().mean(), [0.5, -0.5]);
            assert!(round > 1 || kernel.kind == Move::Sweep);
        }
        assert!(kinds.iter().all(|&kind| kind > 30), "{kinds:?}");
    }

    #[test]
    fn a_factor_that_vanishes_is_not_sound() {
        let mut follower = Follower::new(&[0.0; 2], vec![1e-300, 0.0, 0.0, 1e-300]).unwrap();
        for _ in 0..20 {
            follower.follow(&[0.0, 0.0]);
        }
        assert!(!follower.is_sound());
    }
}
