//! The draw: tokens of `p` without replacement until one is kept.
//!
//! The first kept token of such a sequence has the law of `p` restricted to the keep set, and only
//! tokens that come up need a decision. The first of them is the token that the family's own draw
//! gives without the cut, from the same random numbers: where it is kept, it is the token of both.

use sortes_core::memory::copied;
use sortes_core::weights::first_beyond;
use sortes_core::{Result, Run};

use super::BasisAware;
use super::distribution::Distribution;
use super::law::{Law, likely};
use super::membership::Membership;
use crate::decode::call::{Call, OneRow, nothing_left};
use crate::decode::draw::Method;
use crate::decode::{Element, Rows};

/// A token and what it took to find it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drawn {
    /// The token.
    pub token: usize,
    /// Programs solved.
    pub programs: u32,
    /// Programs that the solver gave up on.
    pub failures: u32,
}

impl BasisAware {
    /// Draws one token from each row, of what the rules of the call keep and the test saves.
    ///
    /// # Errors
    /// As [`Call::sample`]; [`Error::Argument`](sortes_core::Error::Argument) if a rule may remove
    /// the most likely token; [`Error::Row`](sortes_core::Error::Row) if `strict` and the solver
    /// gives up.
    pub fn sample<T: Element>(
        &self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        out: &mut [Drawn],
        run: Run<'_>,
    ) -> Result<()> {
        self.check(logits)?;
        call.for_rows(logits, out, 1, run, |row, x, out| {
            out[0] = self.draw(row, x)?;
            Ok(())
        })
    }

    fn draw<T: Element>(&self, row: &mut OneRow<'_>, x: &[T]) -> Result<Drawn> {
        let (index, run) = (row.index, row.run);
        let mut uniform = row.token_uniforms();
        let mut survivors = likely(row, x)?;

        // 1. A token of the law before the cut. Most of the time the rules keep it.
        let is_greedy = survivors.is_greedy;
        let window = if is_greedy { survivors.window } else { survivors.restore() };
        let drawn = survivors.draw(Method::Auto, &mut uniform);
        let mut token = drawn.ok_or_else(|| nothing_left(index))? as usize;
        if is_greedy || window.contains(survivors.row.x[token], token as u32) {
            return Ok(Drawn { token, ..Drawn::default() });
        }

        // 2. Test it, and while tokens fail, draw others without replacement.
        let Law { p, kept, tau } = Law::of(&mut survivors, window)?;
        let mut weights = copied(&p, "probabilities of one row", run)?;
        let distribution = Distribution::new(&self.features, self.settings, p, run)?;
        let mut members = Membership::new(&distribution, tau, &kept);
        loop {
            let is_member = match members.at_once(token) {
                Some(known) => known,
                // 3. Out of programs: what the rules keep is left.
                None if members.programs >= self.max_programs => {
                    for (weight, kept) in weights.iter_mut().zip(&kept) {
                        *weight *= f64::from(u8::from(*kept));
                    }
                    false
                }
                None => members
                    .solve(token, self.strict, run)
                    .map_err(|failure| failure.of(index, token, self.settings))?,
            };
            if is_member {
                let Membership { programs, failures, .. } = members;
                return Ok(Drawn { token, programs, failures });
            }
            weights[token] = 0.0;
            let target = uniform() * weights.iter().sum::<f64>();
            token = first_beyond(weights.iter().copied(), 0.0, target)
                .ok_or_else(|| nothing_left(index))?
                .0;
        }
    }
}
