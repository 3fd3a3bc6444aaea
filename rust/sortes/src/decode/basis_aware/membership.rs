//! Whether tokens of one row are kept, by the cheapest proof that there is.

use sortes_core::Run;

use super::Failure;
use super::distribution::Distribution;
use super::search::{Proof, Search};

/// Decisions for one row at one `tau`, with the proofs that earlier ones left behind.
#[derive(Debug)]
pub(super) struct Membership<'a> {
    distribution: &'a Distribution<'a>,
    tau: f64,
    /// What the rules keep.
    kept: &'a [bool],
    proofs: Vec<Proof>,
    /// How many programs had to be solved.
    pub(super) programs: u32,
    /// How many of these the solver gave up on.
    pub(super) failures: u32,
}

impl<'a> Membership<'a> {
    pub(super) fn new(distribution: &'a Distribution<'a>, tau: f64, kept: &'a [bool]) -> Self {
        Self { distribution, tau, kept, proofs: Vec::new(), programs: 0, failures: 0 }
    }

    /// The answer that needs no program, if there is one.
    pub(super) fn at_once(&self, token: usize) -> Option<bool> {
        let Self { distribution, tau, .. } = self;
        if self.kept[token] {
            return Some(true);
        }
        if distribution.p[token] == 0.0 {
            return Some(false);
        }
        self.proofs.iter().any(|proof| proof.bound(distribution, token) > *tau).then_some(true)
    }

    /// Solves the program of `token`. A token that the solver gives up on is kept, unless `strict`.
    pub(super) fn solve(
        &mut self,
        token: usize,
        strict: bool,
        run: Run<'_>,
    ) -> Result<bool, Failure> {
        self.programs += 1;
        let mut budget = self.distribution.settings.max_pivots;
        let mut search = Search::new(self.distribution, token, run)?;
        match search.run(Some(self.tau), &mut budget, run) {
            Ok(kept) => {
                if kept {
                    self.proofs.push(search.proof().clone());
                }
                Ok(kept)
            }
            Err(Failure::Stopped(error)) => Err(error.into()),
            Err(failure) if strict => Err(failure),
            Err(_) => {
                self.failures += 1;
                Ok(true)
            }
        }
    }
}
