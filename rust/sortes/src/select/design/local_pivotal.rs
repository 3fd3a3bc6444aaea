//! The local pivotal method: a random unit meets its nearest undecided neighbour.
//!
//! Grafström, Lundström and Schelin, "Spatially balanced sampling through the pivotal method",
//! Biometrics 68 (2012), their second variant. Neighbours repel each other, so that the sample is
//! spread over the space of the points. Duel `t` reads entity `t` of [`Purpose::Duel`]: draw 0 decides
//! it, the following draws name the unit.

use std::borrow::Cow;

use sortes_core::cancel::Cancel;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Error, Result};

use super::check_probabilities;
use super::kd_tree::KdTree;
use super::pivotal::stays;
use sortes_core::num::Sum;
use sortes_core::resample::{Fraction, duel};

/// The points, by a power of two larger or smaller where squares of coordinates would leave the
/// range of floats.
fn scaled(points: &[f64]) -> Cow<'_, [f64]> {
    const FAR: f64 = 1e100;
    let largest = points.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let exponent = match largest {
        x if x > FAR => -600,
        x if x > 0.0 && x < 1.0 / FAR => 600,
        _ => return Cow::Borrowed(points),
    };
    let scale = 2f64.powi(exponent);
    points.iter().map(|x| x * scale).collect()
}

/// A sample whose duels are between near points: row `i` of `points`, `dim` numbers each, is unit `i`.
///
/// Nearest is meant in the Euclidean sense and exactly; among equals the lowest index is nearest.
/// About `O(n log n)` in few dimensions.
///
/// # Errors
/// Where a probability is not in `[0, 1]`, a coordinate is not finite, there are `2^32` units or
/// more, or the work was cancelled.
pub fn local_pivotal(
    pi: &[f64],
    points: &[f64],
    dim: usize,
    stream: Stream,
    step: u32,
    cancel: &Cancel,
) -> Result<Vec<i64>> {
    check_probabilities(pi)?;
    if dim == 0 || points.len() != pi.len() * dim {
        let expected = format!("({}, dimensions)", pi.len());
        let got = format!("({}, {dim})", points.len().checked_div(dim).unwrap_or(0));
        return Err(Error::Shape { name: "X", expected, got });
    }
    if let Some(bad) = points.iter().position(|x| !x.is_finite()) {
        return Err(Error::row("X", bad / dim, format!("is not finite: {:?}", points[bad])));
    }
    if u32::try_from(pi.len()).is_err() {
        return Err(Error::argument("pi", format!("{} units are too many", pi.len())));
    }
    let mut left = pi.to_vec();
    let (mut chosen, mut total) = (Vec::new(), Sum::default());
    let mut open: Vec<u32> = Vec::new();
    let mut place = vec![0u32; pi.len()];
    for (unit, &p) in pi.iter().enumerate() {
        total.add(p);
        if p == 1.0 {
            chosen.push(unit as i64);
        } else if p > 0.0 {
            place[unit] = open.len() as u32;
            open.push(unit as u32);
        }
    }
    cancel.expect(open.len() as u64);
    let points = scaled(points);
    let mut tree = KdTree::new(&points, dim, open.clone());
    let mut duels = 0u64;
    while open.len() > 1 {
        if duels.is_multiple_of(256) {
            cancel.check()?;
        }
        let mut draws = stream.at_step(step).draws(Purpose::Duel, duels);
        let u = draws.uniform();
        let one = open[draws.below(open.len() as u64) as usize];
        let Some(two) = tree.nearest(one) else { break };
        let fraction = |unit: u32| Fraction { id: unit.into(), pi: left[unit as usize] };
        let rest = duel(fraction(one), fraction(two), u, |unit| chosen.push(unit));
        left[rest.id as usize] = rest.pi;
        let other = if rest.id == i64::from(one) { two } else { one };
        for gone in [Some(other), (rest.pi == 0.0).then_some(one ^ two ^ other)] {
            let Some(gone) = gone else { continue };
            tree.remove(gone);
            let hole = place[gone as usize];
            open.swap_remove(hole as usize);
            if let Some(&moved) = open.get(hole as usize) {
                place[moved as usize] = hole;
            }
            cancel.advance(1);
        }
        duels += 1;
    }
    if let Some(&unit) = open.first() {
        let last = Fraction { id: unit.into(), pi: left[unit as usize] };
        let uniform = || stream.at_step(step).draws(Purpose::Duel, duels).uniform();
        if stays(last.pi, chosen.len(), total.value(), uniform) {
            chosen.push(last.id);
        }
    }
    chosen.sort_unstable();
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_the_points_does_not_matter() {
        let points: Vec<f64> = (0..200).map(|i| f64::from(i * i % 211) / 211.0).collect();
        let sample = |scale: f64| {
            let points: Vec<f64> = points.iter().map(|x| x * scale).collect();
            local_pivotal(&[0.5; 100], &points, 2, Stream::new(1), 0, &Cancel::default()).unwrap()
        };
        let expected = sample(1.0);
        for exponent in [-1000, -400, -300, 300, 400, 1000] {
            assert_eq!(sample(2f64.powi(exponent)), expected, "{exponent}");
        }
    }
}
