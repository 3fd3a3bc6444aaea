//! How many moves each walk makes: drawn in advance, so that the lengths of an ensemble can depend on
//! each other and still not on where its walkers go.

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::rng::elementary::{ln, ln_1m};
use sortes_core::rng::{Draws, Purpose, Stream, bulk};
use sortes_core::{Error, Result, vectorised};

/// The law of the number of moves, where they are not fixed.
#[derive(Debug, Clone)]
pub enum Law {
    /// A walker halts before each move with this probability, in `(0, 1]`.
    Geometric(f64),
    /// For each number from 1 on, the chance of at least as many moves.
    Survival(Vec<f64>),
}

/// How the walks of an ensemble end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// Each on its own.
    Iid,
    /// Walkers `i` and `i + m / 2` halt by one uniform at each move, of which the second reads the
    /// other half (Reid, Choromanski and Weller, arXiv:2305.12470).
    Antithetic,
    /// A uniform in each of `m` strata, dealt at random.
    Stratified,
    /// The same uniform in each of the strata.
    Systematic,
}

impl Law {
    /// The law of these chances of 0, 1, ... moves, which need not sum to one.
    ///
    /// # Errors
    /// If one is negative or not finite, or none is positive; or if there is no memory.
    pub fn of_chances(chances: &[f64]) -> Result<Self> {
        let total = sortes_core::weights::checked_sum(chances, sortes_core::Run::alone())
            .map_err(|error| renamed(error, chances))?;
        if !(total > 0.0 && total.is_finite()) {
            let reason = "the sum must be positive and finite";
            return Err(Error::argument("length_law", reason));
        }
        let mut tails = with_capacity(chances.len().saturating_sub(1), "chances")?;
        // From the end, so that small tails are sums of small numbers.
        let mut tail = 0.0;
        tails.extend(chances[1..].iter().rev().map(|&chance| {
            tail += chance;
            tail / total
        }));
        tails.reverse();
        Ok(Self::Survival(tails))
    }

    /// The mean number of moves.
    pub(in super::super) fn mean(&self) -> f64 {
        match self {
            Self::Geometric(p) => (1.0 - p) / p,
            Self::Survival(tails) => tails.iter().sum(),
        }
    }

    /// The logarithm of the chance to move on, for [`Self::at`].
    fn decay(&self) -> f64 {
        match self {
            Self::Geometric(p) if *p < 1.0 => ln_1m(*p),
            _ => 0.0, // nobody asks
        }
    }

    /// The largest number of moves that a share of `u` of all walks reaches.
    fn at(&self, u: f64, decay: f64) -> u64 {
        let mut out = [0];
        self.all_at(&mut [u], decay, &mut out);
        out[0]
    }

    /// The same for many shares, which are overwritten.
    fn all_at(&self, shares: &mut [f64], decay: f64, out: &mut [u64]) {
        match self {
            Self::Geometric(1.0) => out.fill(0),
            // The largest k with u <= (1 - p)^k.
            Self::Geometric(_) => {
                times(shares, decay);
                for (out, time) in out.iter_mut().zip(shares) {
                    *out = *time as u64;
                }
            }
            Self::Survival(tails) => {
                for (out, u) in out.iter_mut().zip(shares) {
                    *out = tails.partition_point(|tail| *u <= *tail) as u64;
                }
            }
        }
    }
}

vectorised! {
    /// When what decays so fast is left at these shares.
    fn times(shares: &mut [f64], decay: f64) {
        for share in shares {
            *share = ln(*share) / decay;
        }
    }
}

/// The error about weights that has the name of what they are here.
fn renamed(error: Error, chances: &[f64]) -> Error {
    match chances.iter().position(|&chance| !(0.0..=f64::MAX).contains(&chance)) {
        Some(item) => {
            Error::item("length_law", item, "[0, inf)", sortes_core::error::shown(chances[item]))
        }
        None => error,
    }
}

/// Draws the lengths of ensembles, one after the other.
pub(super) struct Lengths<'a> {
    pub(super) law: &'a Law,
    pub(super) termination: Termination,
    /// No walk makes more moves.
    pub(super) most: u64,
    pub(super) stream: Stream,
    decay: f64,
}

impl<'a> Lengths<'a> {
    pub(super) fn new(law: &'a Law, termination: Termination, most: u64, stream: Stream) -> Self {
        Self { law, termination, most, stream, decay: law.decay() }
    }

    /// Writes the lengths of ensembles of `m`, one after the other, of which the first walker is numbered
    /// `first`.
    ///
    /// # Errors
    /// If there is no memory for their uniforms.
    pub(super) fn fill(&self, first: u64, m: usize, out: &mut [u64]) -> Result<()> {
        if self.termination == Termination::Antithetic {
            for (ensemble, out) in (first..).step_by(m).zip(out.chunks_mut(m)) {
                let (early, late) = out.split_at_mut(m / 2);
                for (walker, (a, b)) in (ensemble..).zip(early.iter_mut().zip(late)) {
                    [*a, *b] = self.pair(&mut self.stream.draws(Purpose::Length, walker));
                }
            }
        } else {
            // A walker has the first block of its words, the order of strata the next of the first one.
            let mut shares = zeroed::<f64>(out.len(), "uniforms of lengths")?;
            let ids = bulk::Ids::From(self.stream, first);
            bulk::precise_uniforms(Purpose::Length, ids, &mut shares);
            if self.termination != Termination::Iid {
                let mut strata = with_capacity(m, "strata of lengths")?;
                for (ensemble, shares) in (first..).step_by(m).zip(shares.chunks_mut(m)) {
                    let mut draws = self.stream.draws(Purpose::Length, ensemble);
                    draws.seek(2);
                    strata.clear();
                    strata.extend((0..m).map(|stratum| stratum as f64));
                    for last in (1..m).rev() {
                        strata.swap(last, draws.below(last as u64 + 1) as usize);
                    }
                    if self.termination == Termination::Systematic {
                        shares.fill(shares[0]);
                    }
                    for (share, stratum) in shares.iter_mut().zip(&strata) {
                        *share = (stratum + *share) / m as f64;
                    }
                }
            }
            self.law.all_at(&mut shares, self.decay, out);
        }
        for length in out {
            *length = (*length).min(self.most);
        }
        Ok(())
    }

    fn at(&self, u: f64) -> u64 {
        self.law.at(u, self.decay)
    }

    /// The lengths of two walkers of which the second halts by the other half of the uniform.
    fn pair(&self, draws: &mut Draws) -> [u64; 2] {
        let Law::Geometric(p) = *self.law else {
            unreachable!("checked by `Request::check`: antithetic lengths are geometric")
        };
        // At each move both halt, one of them does, or none: until the first, the number of moves is
        // geometric.
        let mut together = 0;
        if p <= 0.5 {
            let both = Law::Geometric(2.0 * p);
            together = both.at(draws.precise_uniform(), both.decay());
        } else if draws.uniform() < 2.0 * p - 1.0 {
            return [0, 0];
        }
        let first_halts = draws.uniform() < 0.5;
        // The other one has survived that move, and goes on alone.
        let alone = self.at(draws.precise_uniform());
        let longer = together.saturating_add(1).saturating_add(alone);
        if first_halts { [together, longer] } else { [longer, together] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(law: &Law, termination: Termination, m: usize, ensembles: u64) -> Vec<Vec<u64>> {
        let lengths = Lengths::new(law, termination, u64::MAX, Stream::new(3));
        let mut out = vec![0; m * ensembles as usize];
        lengths.fill(0, m, &mut out).unwrap();
        out.chunks(m).map(<[u64]>::to_vec).collect()
    }

    #[test]
    fn every_walker_has_the_law() {
        let listed = Law::of_chances(&[1.0, 0.0, 2.0, 1.0]).unwrap();
        let n = 40_000u64;
        for termination in [
            Termination::Iid,
            Termination::Antithetic,
            Termination::Stratified,
            Termination::Systematic,
        ] {
            for p in [0.2, 0.5, 0.7, 1.0] {
                let all = drawn(&Law::Geometric(p), termination, 4, n);
                for walker in 0..4 {
                    for k in 1..6u64 {
                        let hits = all.iter().filter(|x| x[walker] >= k).count() as f64;
                        let q = (1.0 - p).powi(k as i32);
                        // Five standard deviations.
                        let bound = 5.0 * (n as f64 * q * (1.0 - q)).sqrt() + 1e-9;
                        assert!((hits - n as f64 * q).abs() <= bound, "{termination:?} {p} {k}");
                    }
                }
            }
            if termination != Termination::Antithetic {
                let all = drawn(&listed, termination, 3, n);
                for walker in 0..3 {
                    let hits = |k| all.iter().filter(|x| x[walker] == k).count() as f64;
                    assert_eq!((hits(1), hits(4)), (0.0, 0.0));
                    assert!((hits(2) - n as f64 / 2.0).abs() < 5.0 * 100.0);
                }
            }
        }
    }

    #[test]
    fn pairs_have_the_joint_law_of_a_shared_uniform() {
        // Step by step: both survive with 1 - 2p, one of them with p, for p up to one half.
        let (p, n) = (0.3, 100_000u64);
        let all = drawn(&Law::Geometric(p), Termination::Antithetic, 2, n);
        let share =
            |f: &dyn Fn(&Vec<u64>) -> bool| all.iter().filter(|x| f(x)).count() as f64 / n as f64;
        for (chance, found) in [
            (0.0, share(&|x| x[0] == x[1])),
            (0.6, share(&|x| x[0].min(x[1]) == 0)),
            (0.3 * 0.3, share(&|x| x[0] == 0 && x[1] == 1)),
            (0.4 * 0.3 * 0.7 * 0.3, share(&|x| x[1] == 1 && x[0] == 3)),
        ] {
            assert!((chance - found).abs() < 0.008, "{chance} {found}");
        }
        let all = drawn(&Law::Geometric(0.8), Termination::Antithetic, 2, n);
        let both = all.iter().filter(|x| x[0] + x[1] == 0).count() as f64 / n as f64;
        assert!((both - 0.6).abs() < 0.008);
    }

    #[test]
    fn strata_are_hit_once() {
        // P(L >= 1) = 1/2: of eight walkers four move, whichever.
        for termination in [Termination::Stratified, Termination::Systematic] {
            for lengths in drawn(&Law::Geometric(0.5), termination, 8, 100) {
                assert_eq!(lengths.iter().filter(|&&x| x >= 1).count(), 4);
                assert_eq!(lengths.iter().filter(|&&x| x >= 2).count(), 2);
            }
        }
    }
}
