//! Duels in sequence: each unit meets the fraction left by those before it.

use sortes_core::memory::filled;
use sortes_core::resample::{Fraction, check_order, duel};
use sortes_core::rng::Stream;
use sortes_core::{Result, Run};

use super::super::{BLOCK, check_probabilities, marks::Marks};
use super::finish;
use super::gaps::{BATCH, Gaps};

/// A sample by duels in sequence, along `order` if there is one.
///
/// # Errors
/// Where a probability is not in `[0, 1]`, or `order` is not an order of the units; if there is no
/// memory for the units, or the work is cancelled.
pub fn sequential(
    pi: &[f64],
    order: Option<&[i64]>,
    stream: Stream,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    check_probabilities(pi, run)?;
    if let Some(order) = order {
        check_order(order, pi.len(), run)?;
    }
    let mut marks = Marks::new(pi.len())?;
    let mut along = filled(if order.is_some() { BLOCK.min(pi.len()) } else { 0 }, 0.0, "units")?;
    let mut left = Fraction::default();
    for range in run.blocks(pi.len(), BLOCK) {
        let range = range?;
        left = match order {
            None => scan(left, &pi[range.clone()], range.start, 0, stream, |unit| marks.mark(unit)),
            Some(order) => {
                let order = &order[range.clone()];
                for (p, &unit) in along.iter_mut().zip(order) {
                    *p = pi[unit as usize];
                }
                // Units are called by their index in the block, what is left by its own.
                let index_of = |id: i64| usize::try_from(id).map_or(left.id, |index| order[index]);
                let gap = range.start as u64;
                let before = Fraction { id: -1, ..left };
                let after = scan(before, &along[..order.len()], 0, gap, stream, |index| {
                    marks.mark(index_of(index));
                });
                Fraction { id: index_of(after.id), ..after }
            }
        };
        run.advance(range.len() as u64);
    }
    finish(marks, left, pi, stream, run)
}

/// Lets each unit meet the fraction left by those before it. Unit `i` is called `first + i` and
/// stands behind gap `gap + first + i`.
#[inline(always)]
pub(super) fn scan(
    mut left: Fraction,
    pi: &[f64],
    first: usize,
    gap: u64,
    stream: Stream,
    mut choose: impl FnMut(i64),
) -> Fraction {
    let mut gaps = Gaps::NONE;
    for (batch, pi) in pi.chunks(BATCH).enumerate() {
        let first = first + batch * BATCH;
        let gap = gap + first as u64;
        gaps.fill(gap, pi.len(), stream);
        for (i, &pi) in pi.iter().enumerate() {
            let unit = Fraction { id: (first + i) as i64, pi };
            left = meet(left, unit, gaps.at(gap + i as u64), &mut choose);
        }
    }
    left
}

/// A new unit meets the fraction that is left; units without a fraction do not duel.
#[inline(always)]
fn meet(left: Fraction, unit: Fraction, u: f64, mut choose: impl FnMut(i64)) -> Fraction {
    if unit.pi == 0.0 {
        left
    } else if unit.pi == 1.0 {
        choose(unit.id);
        left
    } else {
        duel(left, unit, u, choose)
    }
}
