//! Keeps or removes tokens of one row at one threshold, by the cheapest proof that there is.

use sortes_core::cancel::Cancel;

use super::Failure;
use super::row::Row;
use super::search::{Proof, Search};

/// Decisions for one row at one `tau`, with the proofs that earlier ones left behind.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    row: &'a Row<'a>,
    tau: f64,
    proofs: Vec<Proof>,
    /// How many programs had to be solved.
    pub(super) programs: u32,
    /// How many of these the solver gave up on.
    pub(super) failures: u32,
}

impl<'a> Judge<'a> {
    pub(super) fn new(row: &'a Row<'a>, tau: f64) -> Self {
        Self { row, tau, proofs: Vec::new(), programs: 0, failures: 0 }
    }

    /// The answer that needs no program, if there is one.
    pub(super) fn at_once(&self, token: usize) -> Option<bool> {
        let row = self.row;
        if row.p[token] >= self.tau || token == row.argmax {
            return Some(true);
        }
        if row.p[token] == 0.0 {
            return Some(false);
        }
        self.proofs.iter().any(|proof| proof.bound(row, token) > self.tau).then_some(true)
    }

    /// Solves the program of `token`. A token that the solver gives up on is kept, unless `strict`.
    pub(super) fn solve(
        &mut self,
        token: usize,
        strict: bool,
        cancel: &Cancel,
    ) -> Result<bool, Failure> {
        self.programs += 1;
        let mut budget = self.row.settings.max_pivots;
        let mut search = Search::new(self.row, token)?;
        match search.run(Some(self.tau), &mut budget, cancel) {
            Ok(kept) => {
                if kept {
                    self.proofs.push(search.proof().clone());
                }
                Ok(kept)
            }
            Err(Failure::Stopped) => Err(Failure::Stopped),
            Err(failure) if strict => Err(failure),
            Err(_) => {
                self.failures += 1;
                Ok(true)
            }
        }
    }
}
