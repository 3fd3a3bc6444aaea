//! The local pivotal method: a random unit meets its nearest undecided neighbour.
//!
//! Grafström, Lundström and Schelin, "Spatially balanced sampling through the pivotal method",
//! Biometrics 68, 2012, their second variant. Neighbours repel each other, so that the sample is
//! spread over the space of the points. Duel `t` reads entity `t` of [`Purpose::Duel`]: draw 0 decides
//! it, the following draws name the unit.

use std::borrow::Cow;

use sortes_core::error::shown;
use sortes_core::memory::{copied, with_capacity, zeroed};
use sortes_core::num::Sum;
use sortes_core::resample::{Fraction, duel};
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Error, Result, Run};

use super::kd_tree::KdTree;
use super::marks::Marks;
use super::pivotal::stays;
use super::{BLOCK, check_probabilities};

/// A sample whose duels are between near points: row `i` of `points`, `dim` numbers each, is unit `i`.
/// Progress counts the units that are settled.
///
/// Nearest is meant in the Euclidean sense and exactly; among equals the lowest index is nearest.
/// About `O(n log n)` in few dimensions.
///
/// # Errors
/// Where a probability is not in `[0, 1]`, a coordinate is not finite or there are `2^32` units or
/// more; if there is no memory for the tree, or the work is cancelled.
pub fn local_pivotal(
    pi: &[f64],
    points: &[f64],
    dim: usize,
    stream: Stream,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    check_probabilities(pi, run)?;
    if dim == 0 || points.len() != pi.len() * dim {
        let expected = format!("({}, d) with d > 0", pi.len());
        let got = format!("({}, {dim})", points.len().checked_div(dim).unwrap_or(0));
        return Err(Error::Shape { name: "X", expected, got });
    }
    let points = scaled(points, largest(points, dim, run)?, run)?;
    let mut units = Undecided::new(pi, run)?;
    let mut tree = KdTree::new(&points, dim, copied(&units.open, "units", run)?, run)?;
    let mut duels = 0u64;
    while units.open.len() > 1 {
        run.check()?;
        // A unit at random and its nearest neighbour.
        let mut draws = stream.draws(Purpose::Duel, duels);
        let u = draws.uniform();
        let one = units.open[draws.below(units.open.len() as u64) as usize];
        let Some(two) = tree.nearest(one, run)? else { break };
        // Their duel settles one of them, or both.
        let rest =
            duel(units.fraction(one), units.fraction(two), u, |unit| units.chosen.mark(unit));
        units.left[rest.id as usize] = rest.pi;
        let other = if rest.id == i64::from(one) { two } else { one };
        for gone in [Some(other), (rest.pi == 0.0).then_some(one ^ two ^ other)] {
            let Some(gone) = gone else { continue };
            tree.remove(gone, run)?;
            units.remove(gone);
            run.advance(1);
        }
        duels += 1;
    }
    // The last one has nobody to meet.
    if let Some(&unit) = units.open.first() {
        let last = units.fraction(unit);
        let uniform = || stream.draws(Purpose::Duel, duels).uniform();
        if stays(last.pi, units.chosen.count(), units.total.value(), uniform) {
            units.chosen.mark(last.id);
        }
        run.advance(1);
    }
    units.chosen.list(run)
}

/// The largest absolute coordinate.
fn largest(points: &[f64], dim: usize, run: Run<'_>) -> Result<f64> {
    let mut largest = 0.0;
    for range in run.blocks(points.len(), BLOCK) {
        for at in range? {
            if !points[at].is_finite() {
                let (column, value) = (at % dim, shown(points[at]));
                let reason = format!("column {column} must be finite, got {value}");
                return Err(Error::row("X", at / dim, reason));
            }
            largest = points[at].abs().max(largest);
        }
    }
    Ok(largest)
}

/// The points, by a power of two larger or smaller where squares of coordinates would leave the
/// range of floats.
fn scaled<'a>(points: &'a [f64], largest: f64, run: Run<'_>) -> Result<Cow<'a, [f64]>> {
    const FAR: f64 = 1e100;
    let exponent = match largest {
        x if x > FAR => -600,
        x if x > 0.0 && x < 1.0 / FAR => 600,
        _ => return Ok(Cow::Borrowed(points)),
    };
    let scale = 2f64.powi(exponent);
    let mut out = copied(points, "coordinates", run)?;
    for x in &mut out {
        *x *= scale;
    }
    Ok(Cow::Owned(out))
}

/// The units that have duels before them, and those that were chosen.
struct Undecided {
    open: Vec<u32>,
    /// The index in `open` of each unit there.
    index: Vec<u32>,
    /// What is left of each probability.
    left: Vec<f64>,
    chosen: Marks,
    /// The sum of the probabilities.
    total: Sum,
}

impl Undecided {
    fn new(pi: &[f64], run: Run<'_>) -> Result<Self> {
        if u32::try_from(pi.len()).is_err() {
            return Err(Error::argument("pi", format!("{} units are too many", pi.len())));
        }
        let mut units = Self {
            open: with_capacity(pi.len(), "units")?,
            index: zeroed(pi.len(), "units")?,
            left: copied(pi, "probabilities", run)?,
            chosen: Marks::new(pi.len())?,
            total: Sum::default(),
        };
        for range in run.blocks(pi.len(), BLOCK) {
            for unit in range? {
                units.total.add(pi[unit]);
                if pi[unit] == 1.0 {
                    units.chosen.mark(unit as i64);
                } else if pi[unit] > 0.0 {
                    units.index[unit] = units.open.len() as u32;
                    units.open.push(unit as u32);
                }
            }
        }
        run.advance((pi.len() - units.open.len()) as u64);
        Ok(units)
    }

    fn fraction(&self, unit: u32) -> Fraction {
        Fraction { id: unit.into(), pi: self.left[unit as usize] }
    }

    /// Takes a unit out; the last one takes its index.
    fn remove(&mut self, unit: u32) {
        let hole = self.index[unit as usize];
        self.open.swap_remove(hole as usize);
        if let Some(&moved) = self.open.get(hole as usize) {
            self.index[moved as usize] = hole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_the_points_does_not_matter() {
        let points: Vec<f64> = (0..200).map(|i| f64::from(i * i % 211) / 211.0).collect();
        let sample = |scale: f64| {
            let points: Vec<f64> = points.iter().map(|x| x * scale).collect();
            local_pivotal(&[0.5; 100], &points, 2, Stream::new(1), Run::alone()).unwrap()
        };
        let expected = sample(1.0);
        for exponent in [-1000, -400, -300, 300, 400, 1000] {
            assert_eq!(sample(2f64.powi(exponent)), expected, "{exponent}");
        }
    }
}
