//! Strata: how many units of each, and which.

use sortes_core::rng::{Purpose, Stream, bulk};
use sortes_core::{Error, Result};

use sortes_core::num::sum;

/// Remainders that differ by less are equal.
const EQUAL: f64 = 1e-9;
/// More units than this are taken for a mistake; `f64` counts these exactly.
const MOST: u64 = 1 << 40;
/// Units whose draws are made at once.
const STRETCH: usize = 1024;
/// Where the rare unit whose first word does not decide reads on.
const FURTHER: u64 = 1 << 47;

/// Shares `m` units out in proportion to `shares`, each stratum within its bounds.
///
/// Strata that would leave their bounds are held at them and the rest is shared out again, until
/// none does. Then everybody gets the whole part of the ideal count, and the largest remainders one
/// more, the lower stratum first among equals. If `m` exceeds the sum of the caps of strata with a
/// share, all of these are filled.
///
/// # Errors
/// Where a share is negative or not finite, `m` exceeds `2^40`, or the floors need more than `m`.
pub fn allocate(shares: &[f64], m: u64, floors: &[u64], caps: &[u64]) -> Result<Vec<u64>> {
    if let Some(bad) = shares.iter().position(|s| !(*s >= 0.0 && s.is_finite())) {
        let reason = format!("item {bad} is negative or not finite: {:?}", shares[bad]);
        return Err(Error::argument("shares", reason));
    }
    let mut counts: Vec<u64> = floors.iter().zip(caps).map(|(&low, &cap)| low.min(cap)).collect();
    if m > MOST {
        return Err(Error::argument("m", format!("must be at most 2**40, got {m}")));
    }
    let needed = counts.iter().fold(0, |sum: u64, &low| sum.saturating_add(low));
    if needed > m {
        return Err(Error::argument("m", format!("is {m}, but {needed} units are needed")));
    }
    let floors = counts.clone();
    let mut open: Vec<usize> = (0..shares.len()).filter(|&h| shares[h] > 0.0).collect();
    loop {
        // What those at their bounds leave to the others.
        let taken: u64 = counts.iter().sum::<u64>() - open.iter().map(|&h| counts[h]).sum::<u64>();
        let left = (m - taken) as f64;
        let largest = open.iter().map(|&h| shares[h]).fold(0.0, f64::max);
        let total = sum(&open.iter().map(|&h| shares[h] / largest).collect::<Vec<_>>());
        let ideal = |h: usize| left * (shares[h] / largest / total);
        let (low, high): (Vec<usize>, Vec<usize>) = (
            open.iter().copied().filter(|&h| ideal(h) < floors[h] as f64).collect(),
            open.iter().copied().filter(|&h| ideal(h) >= caps[h] as f64).collect(),
        );
        let short: f64 = low.iter().map(|&h| floors[h] as f64 - ideal(h)).sum();
        let over: f64 = high.iter().map(|&h| ideal(h) - caps[h] as f64).sum();
        let held = if short > over { low } else { high };
        if held.is_empty() {
            let mut remainders = Vec::with_capacity(open.len());
            for &h in &open {
                let whole = ideal(h).floor();
                counts[h] = whole as u64;
                remainders.push((((ideal(h) - whole) / EQUAL).round() as u64, h));
            }
            remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            let rest = if open.is_empty() { 0 } else { m - counts.iter().sum::<u64>() };
            remainders.iter().take(rest as usize).for_each(|&(_, h)| counts[h] += 1);
            return Ok(counts);
        }
        for &h in &held {
            counts[h] = if short > over { floors[h] } else { caps[h] };
        }
        open.retain(|h| !held.contains(h));
    }
}

/// A simple random sample of `wanted[h]` units out of each stratum `h`; `strata[i]` is that of unit
/// `i`. In ascending order.
///
/// One pass: a unit is taken with the probability that its stratum still needs one, wanted units by
/// units to come. Unit `i` reads draw `i % 2` of entity `i / 2` of [`Purpose::Unit`].
///
/// # Errors
/// Where a stratum has fewer units than wanted, or a label is not that of a stratum.
pub fn sample(strata: &[i64], wanted: &[u64], stream: Stream, step: u32) -> Result<Vec<i64>> {
    let mut to_come = vec![0u64; wanted.len()];
    for (i, &h) in strata.iter().enumerate() {
        let Some(count) = usize::try_from(h).ok().and_then(|h| to_come.get_mut(h)) else {
            let reason = format!("item {i} is not in [0, {}): {h}", wanted.len());
            return Err(Error::argument("strata", reason));
        };
        *count += 1;
    }
    if let Some(h) = (0..wanted.len()).find(|&h| wanted[h] > to_come[h]) {
        let reason = format!("stratum {h} has {} units, but {} are wanted", to_come[h], wanted[h]);
        return Err(Error::argument("allocation", reason));
    }
    let mut wanted = wanted.to_vec();
    let mut chosen = Vec::with_capacity(wanted.iter().sum::<u64>() as usize);
    let mut blocks = [[0u64; 2]; STRETCH / 2];
    for (stretch, strata) in strata.chunks(STRETCH).enumerate() {
        let first = stretch * STRETCH;
        let ids = bulk::Ids::From(stream.at_step(step), (first / 2) as u64);
        bulk::words(Purpose::Unit, ids, &mut blocks[..strata.len().div_ceil(2)]);
        for (i, &h) in strata.iter().enumerate() {
            let h = h as usize;
            let n = to_come[h];
            to_come[h] -= 1;
            let product = u128::from(blocks[i / 2][i % 2]) * u128::from(n);
            let mut below = (product >> 64) as u64;
            if (product as u64) < n && (product as u64) < n.wrapping_neg() % n {
                // Once in 2^64 / n at most: the words that are too many for all to be equal.
                below = stream
                    .at_step(step)
                    .draws(Purpose::Unit, FURTHER + (first + i) as u64)
                    .below(n);
            }
            if below < wanted[h] {
                wanted[h] -= 1;
                chosen.push((first + i) as i64);
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_CAP: u64 = u64::MAX >> 1;

    #[test]
    fn allocations() {
        let free = |shares: &[f64], m| {
            allocate(shares, m, &vec![0; shares.len()], &vec![NO_CAP; shares.len()]).unwrap()
        };
        assert_eq!(free(&[1.0, 1.0, 1.0], 10), [4, 3, 3]);
        assert_eq!(free(&[0.1, 0.2, 0.7], 10), [1, 2, 7]);
        assert_eq!(free(&[1e300, 1e300, 1e-300], 5), [3, 2, 0]);
        assert_eq!(free(&[0.0, 0.0], 5), [0, 0]);
        assert_eq!(free(&[], 5), Vec::<u64>::new());
        assert_eq!(allocate(&[5.0, 3.0, 2.0], 7, &[0; 3], &[2, 9, 9]).unwrap(), [2, 3, 2]);
        assert_eq!(allocate(&[0.0, 1.0, 9.0], 10, &[1; 3], &[9; 3]).unwrap(), [1, 1, 8]);
        assert_eq!(allocate(&[0.0, 1.0, 99.0], 10, &[2; 3], &[3; 3]).unwrap(), [2, 3, 3]);
        assert!(allocate(&[1.0, 1.0], 3, &[2; 2], &[3; 2]).is_err());
        assert!(allocate(&[1.0; 5], 3, &[NO_CAP; 5], &[NO_CAP; 5]).is_err());
        for m in [5_000_000_000, 999_999_999_999, MOST] {
            let counts = free(&vec![0.1; 7001], m);
            assert_eq!(counts.iter().sum::<u64>(), m);
            assert!(counts[0] - counts[7000] <= 1);
        }
    }

    #[test]
    fn every_stratum_gets_its_share() {
        let strata: Vec<i64> = (0..5000).map(|i| i * i % 13 % 4).collect();
        let wanted = [10, 0, 700, 3];
        let chosen = sample(&strata, &wanted, Stream::new(1), 0).unwrap();
        for (h, &count) in wanted.iter().enumerate() {
            let got = chosen.iter().filter(|&&i| strata[i as usize] == h as i64).count();
            assert_eq!(got as u64, count);
        }
        assert!(sample(&strata, &[10, 0, 700, 3000], Stream::new(1), 0).is_err());
        assert!(sample(&[4], &wanted, Stream::new(1), 0).is_err());
    }
}
