//! The program of one token over the whole vocabulary, by way of restricted ones.
//!
//! A restricted program moves a band of tokens near the boundary `a_j . y = 0` and holds the others
//! at the bound that the sign of `a_j . y` gives them (Portnoy and Koenker's preprocessing of
//! quantile regression). Its optimum is a feasible part: an upper bound of the critical value.
//! A sweep over the vocabulary evaluates `g` at its prices: a lower bound. Tokens on the wrong side
//! join the program; when there are none, the two bounds meet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sortes_core::Run;
use sortes_core::memory::{reserve, with_capacity, zeroed};

use super::Failure;
use super::columns::LANES;
use super::distribution::Distribution;
use super::simplex::{Basic, Outcome, POLL, Program, dot};

/// Restricted programs rebuilt around new prices before columns are only added.
const REBUILDS: usize = 4;
/// Distance of the two bounds, relative and absolute, at which an optimum is taken for a numerical
/// failure.
const GAP: f64 = 1e-6;
/// Relative size of a rounding error in a residual.
const ROUNDING: f64 = 1e-11;

/// What the buffers of a search hold.
const WHAT: &str = "tokens of one row";

/// The search for one token's critical value, with the bounds reached so far.
#[derive(Debug)]
pub(super) struct Search<'a> {
    of: &'a Distribution<'a>,
    token: usize,
    program: Program,
    /// Tokens of the program's columns.
    ids: Vec<u32>,
    in_program: Vec<bool>,
    at_cap: Vec<bool>,
    /// `a_j . y` for the whole vocabulary at the prices last evaluated.
    residual: Vec<f64>,
    lower: f64,
    upper: f64,
    proof: Proof,
}

/// Prices `y` with `mean . y = 1`, and what they prove.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) price: Vec<f64>,
    /// `sum_j p_j min(a_j . y, 0)`; zero for the signed program.
    loss: f64,
}

impl Proof {
    /// The lower bound of the critical value of `token` that the prices give.
    pub(super) fn bound(&self, of: &Distribution, token: usize) -> f64 {
        let column = of.features.row(token).iter();
        let residual: f64 = column.zip(&self.price).map(|(&a, y)| f64::from(a) * y).sum();
        of.p[token] * residual.max(0.0) + self.loss
    }
}

impl<'a> Search<'a> {
    /// The program of one token, at the direction of the ones.
    pub(super) fn new(
        of: &'a Distribution<'a>,
        token: usize,
        run: Run<'_>,
    ) -> Result<Self, Failure> {
        let (features, vocabulary) = (of.features, of.p.len());
        let mass = of.p[token];
        let fixed = features.row(token).iter().map(|&a| mass * f64::from(a)).collect();
        let mut caps = of.start.caps.clone();
        if let Ok(index) = of.start.ids.binary_search(&(token as u32)) {
            caps[index] = 0.0;
        }
        let units = (0..features.dim() - 1).map(Basic::Unit).collect();
        let program = Program::new(&of.mean, fixed, of.start.columns.clone(), caps, units)?;
        run.check()?;
        let mut in_program = zeroed::<bool>(vocabulary, WHAT)?;
        for &id in &of.start.ids {
            in_program[id as usize] = true;
        }
        Ok(Self {
            of,
            token,
            // The direction of the ones alone proves that no part is smaller than the token.
            lower: mass,
            proof: Proof { price: program.price().to_vec(), loss: 0.0 },
            program,
            ids: of.start.ids.clone(),
            in_program,
            at_cap: zeroed(vocabulary, WHAT)?,
            residual: residuals(of)?,
            upper: 1.0,
        })
    }

    /// The prices that prove the lower bound.
    pub(super) fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Works until the bounds meet or, given `tau`, until they are on one side of it.
    ///
    /// Returns whether the critical value exceeds `tau`.
    pub(super) fn run(
        &mut self,
        tau: Option<f64>,
        budget: &mut usize,
        run: Run<'_>,
    ) -> Result<bool, Failure> {
        let mut rebuilds = 0;
        let mut band = self.of.settings.band;
        // 1. Where columns stand for others: rough prices, then the band of tokens around them.
        if self.of.start.is_sample {
            self.program.solve(budget, run)?;
            let rough = self.program.price().to_vec();
            self.evaluate(&rough);
            if tau.is_some_and(|tau| self.lower > tau) {
                return Ok(true);
            }
            if self.lower < self.program.objective() / 2.0 {
                // The sample promised more than the vocabulary gives.
                self.retreat(&rough, run)?;
            }
            self.rebuild(band, run)?;
        }
        loop {
            // 2. The optimum of the restricted program is an upper bound.
            let reached = match self.program.solve(budget, run)? {
                Outcome::Optimal => {
                    self.upper = self.upper.min(self.program.objective());
                    if tau.is_some_and(|tau| self.upper <= tau) {
                        return Ok(false);
                    }
                    self.program.price().to_vec()
                }
                Outcome::Beyond(point) => point,
            };
            // 3. Its prices, over the whole vocabulary, are a lower bound.
            run.check()?;
            self.evaluate(&reached);
            if tau.is_some_and(|tau| self.lower > tau) {
                return Ok(true);
            }
            run.check()?;
            // 4. The bounds meet where no token is at the wrong one of its own.
            let misplaced = self.misplaced()?;
            if misplaced.is_empty() {
                let (lower, upper) = (self.lower.min(1.0), self.upper);
                // Large prices magnify the rounding errors of the lower bound.
                let noise = ROUNDING * dot(&reached, &reached).sqrt();
                return if upper - lower > GAP * upper + noise.min(GAP) {
                    Err(Failure::Gap { lower, upper })
                } else {
                    Ok(tau.is_some_and(|tau| lower > tau))
                };
            }
            // 5. Let them join the program, or take a wider band around better prices.
            if self.of.settings.nonneg && misplaced.len() > band / 2 && rebuilds < REBUILDS {
                rebuilds += 1;
                band *= 2;
                self.retreat(&reached, run)?;
                self.rebuild(band, run)?;
            } else {
                self.admit(&misplaced, run)?;
            }
        }
    }

    /// The critical value, once the bounds have met.
    pub(super) fn critical(&self) -> f64 {
        self.upper.min(1.0).max(self.of.p[self.token])
    }

    /// The deficit of every token in the part found last, the token itself included.
    pub(super) fn part(&self) -> Result<Vec<f64>, Failure> {
        let of = self.of;
        let mut part = with_capacity(of.p.len(), WHAT)?;
        let bounds = self.at_cap.iter().zip(&of.p);
        part.extend(bounds.map(|(&at_cap, &p)| if at_cap { of.settings.cap(p) } else { 0.0 }));
        for (&id, deficit) in self.ids.iter().zip(self.program.deficits()?) {
            part[id as usize] = deficit;
        }
        part[self.token] = of.p[self.token];
        Ok(part)
    }

    /// Sweeps the vocabulary at `y`, and keeps the bound if it is better.
    fn evaluate(&mut self, y: &[f64]) {
        let Distribution { features, settings, p, mean, support, .. } = self.of;
        features.columns.dots(y, &mut self.residual);
        let scale: f64 = mean.iter().zip(y).map(|(m, y)| m * y).sum();
        let own = self.residual[self.token];
        let others = support.iter().map(|&id| id as usize).filter(|&id| id != self.token);
        if settings.nonneg {
            let loss = others.map(|id| p[id] * self.residual[id].min(0.0)).sum::<f64>() / scale;
            let bound = p[self.token] * own / scale + loss;
            if bound > self.lower {
                self.lower = bound;
                self.proof = Proof { price: y.iter().map(|y| y / scale).collect(), loss };
            }
        } else {
            // Only prices without a negative residual bound the signed program; moving towards the
            // direction of the ones, where all residuals are 1, makes these such.
            let worst = others.map(|id| self.residual[id]).fold(0.0, f64::min);
            let shift = -worst / (1.0 - worst);
            let scale = (1.0 - shift) * scale + shift;
            let bound = p[self.token] * ((1.0 - shift) * own + shift) / scale;
            if bound > self.lower {
                self.lower = bound;
                let mut price: Vec<f64> = y.iter().map(|y| (1.0 - shift) * y / scale).collect();
                price[mean.len() - 1] += shift / scale;
                self.proof = Proof { price, loss: 0.0 };
            }
        }
    }

    /// Goes from the best prices known towards `reached`, whose residuals are at hand, to the
    /// maximum of `g` on the way.
    fn retreat(&mut self, reached: &[f64], run: Run<'_>) -> Result<(), Failure> {
        let Distribution { features, p, support, .. } = self.of;
        let mut from = residuals(self.of)?;
        features.columns.dots(&self.proof.price, &mut from);
        let mut slope = p[self.token] * (self.residual[self.token] - from[self.token]);
        // The tokens whose residual changes its sign on the way, by where it does.
        let mut crossings = with_capacity(support.len(), WHAT)?;
        for id in support.iter().map(|&id| id as usize).filter(|&id| id != self.token) {
            let (start, end) = (from[id], self.residual[id]);
            if start < 0.0 {
                slope += p[id] * (end - start);
            }
            if (start < 0.0) != (end < 0.0) {
                // The bits of a nonnegative float are in its order.
                crossings.push(Reverse(((start / (start - end)).to_bits(), id)));
            }
        }
        // `g` is concave: walk past them until it no longer rises.
        let mut crossings = BinaryHeap::from(crossings);
        let mut share = 0.0;
        while slope > 0.0 {
            let Some(Reverse((bits, id))) = crossings.pop() else { break };
            if crossings.len() % POLL == 0 {
                run.check()?;
            }
            share = f64::from_bits(bits);
            slope -= p[id] * (self.residual[id] - from[id]).abs();
        }
        let best = self.proof.price.iter();
        let y: Vec<f64> =
            best.zip(reached).map(|(best, reached)| best + share * (reached - best)).collect();
        self.evaluate(&y);
        Ok(())
    }

    /// Tokens outside of the program that the last prices want at their other bound.
    fn misplaced(&self) -> Result<Vec<u32>, Failure> {
        let noise = ROUNDING * self.residual.iter().fold(1.0, |m: f64, r| m.max(r.abs()));
        let is_misplaced = |&id: &u32| {
            let id = id as usize;
            let r = self.residual[id];
            let wrong = if self.at_cap[id] { r > noise } else { r < -noise };
            wrong && !self.in_program[id] && id != self.token
        };
        let support = &self.of.support;
        let mut ids = with_capacity(support.iter().copied().filter(is_misplaced).count(), WHAT)?;
        ids.extend(support.iter().copied().filter(is_misplaced));
        if !self.of.settings.nonneg && ids.len() > self.of.settings.band {
            let by_residual = |x: &u32, y: &u32| {
                self.residual[*x as usize].total_cmp(&self.residual[*y as usize])
            };
            ids.select_nth_unstable_by(self.of.settings.band, by_residual);
            ids.truncate(self.of.settings.band);
            ids.sort_unstable();
        }
        Ok(ids)
    }

    fn admit(&mut self, ids: &[u32], run: Run<'_>) -> Result<(), Failure> {
        let Distribution { features, settings, p, .. } = self.of;
        reserve(&mut self.ids, ids.len(), WHAT)?;
        for (i, &id) in ids.iter().enumerate() {
            if i % POLL == 0 {
                run.check()?;
            }
            let token = id as usize;
            let at_cap = std::mem::take(&mut self.at_cap[token]);
            self.program.admit(features.row(token), settings.cap(p[token]), at_cap)?;
            self.in_program[token] = true;
            self.ids.push(id);
        }
        self.program.settle()
    }

    /// A new program of the `band` tokens nearest to the boundary, from the present basis.
    fn rebuild(&mut self, band: usize, run: Run<'_>) -> Result<(), Failure> {
        let Distribution { features, settings, p, mean, support, .. } = self.of;
        // 1. How far the band reaches.
        let mut distances = with_capacity(support.len(), WHAT)?;
        distances.extend(support.iter().map(|&id| self.residual[id as usize].abs()));
        let band = band.min(distances.len()) - 1;
        let reach = *distances.select_nth_unstable_by(band, f64::total_cmp).1;

        // 2. The tokens of the basis, which stay in the program.
        run.check()?;
        let basic: Vec<Option<u32>> = self
            .program
            .basis()
            .iter()
            .map(|basic| match *basic {
                Basic::Unit(_) => None,
                Basic::Column(j) => Some(self.ids[j]),
            })
            .collect();
        self.in_program.fill(false);
        for &id in basic.iter().flatten() {
            self.in_program[id as usize] = true;
        }
        // 3. The others move if they are in the band, and else stay at the bound of their sign.
        let mut ids = with_capacity(band + 1 + basic.len(), WHAT)?;
        let mass = p[self.token];
        let mut fixed: Vec<f64> =
            features.row(self.token).iter().map(|&a| mass * f64::from(a)).collect();
        for &id in support {
            let token = id as usize;
            let r = self.residual[token];
            self.at_cap[token] = false;
            if token == self.token {
                continue;
            }
            if r.abs() <= reach || self.in_program[token] {
                self.in_program[token] = true;
                reserve(&mut ids, 1, WHAT)?;
                ids.push(id);
            } else if r < 0.0 {
                self.at_cap[token] = true;
                for (fixed, &a) in fixed.iter_mut().zip(features.row(token)) {
                    *fixed += p[token] * f64::from(a);
                }
            }
        }
        // 4. The program of these, from the same basis.
        run.check()?;
        let mut caps = with_capacity(ids.len(), WHAT)?;
        caps.extend(ids.iter().map(|&id| settings.cap(p[id as usize])));
        let basis = self
            .program
            .basis()
            .iter()
            .zip(basic)
            .map(|(&basic, id)| match id.map(|id| ids.binary_search(&id)) {
                Some(Ok(j)) => Basic::Column(j),
                _ => basic,
            })
            .collect();
        let columns = features.gather(&ids, run)?;
        self.program = Program::new(mean, fixed, columns, caps, basis)?;
        self.ids = ids;
        Ok(())
    }
}

/// A buffer for the residual of every token.
fn residuals(of: &Distribution<'_>) -> Result<Vec<f64>, Failure> {
    Ok(with_capacity(of.p.len() + LANES, WHAT)?)
}
