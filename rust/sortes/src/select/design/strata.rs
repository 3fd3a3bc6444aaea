//! Strata: how many units of each, and which.

use sortes_core::error::shown;
use sortes_core::memory::{copied, with_capacity, zeroed};
use sortes_core::num::sum;
use sortes_core::order::select_nth;
use sortes_core::rng::{Purpose, Stream, bulk};
use sortes_core::{Error, Result, Run};

use super::BLOCK;

/// Remainders that differ by less are equal.
const EQUAL: f64 = 1e-9;
/// More units than this are taken for a mistake; `f64` counts these exactly.
const MOST: u64 = 1 << 40;
/// Units whose draws are made at once.
const BATCH: usize = 1024;
/// Where the rare unit whose first word does not decide reads on.
const FURTHER: u64 = 1 << 47;

/// Shares `m` units out in proportion to `shares`, each stratum within its bounds: at least
/// `min_per_stratum`, or its cap if that is less, and at most its cap if there are caps.
///
/// Strata that would leave their bounds are held at them and the rest is shared out again, until
/// none does. Then everybody gets the whole part of the ideal count, and the largest remainders one
/// more, the lower stratum first among equals. If `m` exceeds the sum of the caps of strata with a
/// share, all of these are filled. Progress counts strata.
///
/// # Errors
/// Where a share is negative or not finite, a cap is negative, `m` exceeds `2^40`, or the minima need
/// more than `m`; if there are not as many caps as shares, there is no memory for the counts, or the
/// work is cancelled.
pub fn allocate(
    shares: &[f64],
    m: u64,
    caps: Option<&[i64]>,
    min_per_stratum: u64,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    for range in run.blocks(shares.len(), BLOCK) {
        for h in range? {
            if !(shares[h] >= 0.0 && shares[h].is_finite()) {
                return Err(Error::item("shares", h, "[0, inf)", shown(shares[h])));
            }
        }
    }
    if let Some(caps) = caps {
        check_counts(caps, "caps", shares.len(), run)?;
    }
    let cap = |h: usize| caps.map_or(i64::MAX, |caps| caps[h]);
    share_out(shares, m, cap, min_per_stratum, run)
}

/// Counts in proportion to the sizes of the strata and their standard deviations, at most their
/// sizes and otherwise as [`allocate`]: the variance of the stratified mean is then least.
///
/// # Errors
/// Where a size or a standard deviation is negative or not finite; or as [`allocate`].
pub fn neyman_allocation(
    sizes: &[i64],
    sds: &[f64],
    m: u64,
    min_per_stratum: u64,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    check_counts(sizes, "sizes", sizes.len(), run)?;
    if sds.len() != sizes.len() {
        let (expected, got) = (format!("({},)", sizes.len()), format!("({},)", sds.len()));
        return Err(Error::Shape { name: "sds", expected, got });
    }
    let mut largest = 0.0;
    for range in run.blocks(sds.len(), BLOCK) {
        for h in range? {
            if !(sds[h] >= 0.0 && sds[h].is_finite()) {
                return Err(Error::item("sds", h, "[0, inf)", shown(sds[h])));
            }
            largest = sds[h].max(largest);
        }
    }
    // Relative to the largest, so that products stay in range.
    let largest = if largest > 0.0 { largest } else { 1.0 };
    let mut shares = with_capacity(sizes.len(), "shares")?;
    for range in run.blocks(sizes.len(), BLOCK) {
        shares.extend(range?.map(|h| sizes[h] as f64 * (sds[h] / largest)));
    }
    share_out(&shares, m, |h| sizes[h], min_per_stratum, run)
}

/// Refuses what is not `n` counts.
fn check_counts(counts: &[i64], name: &'static str, n: usize, run: Run<'_>) -> Result<()> {
    if counts.len() != n {
        let (expected, got) = (format!("({n},)"), format!("({},)", counts.len()));
        return Err(Error::Shape { name, expected, got });
    }
    for range in run.blocks(n, BLOCK) {
        for h in range? {
            if counts[h] < 0 {
                return Err(Error::item(name, h, "[0, 2**63)", counts[h]));
            }
        }
    }
    Ok(())
}

/// [`allocate`], of shares and caps that are fine.
fn share_out(
    shares: &[f64],
    m: u64,
    cap: impl Fn(usize) -> i64,
    min_per_stratum: u64,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    if m > MOST {
        return Err(Error::argument("m", format!("must be at most 2**40, got {m}")));
    }
    let strata = shares.len();
    let cap = |h: usize| cap(h).max(0).cast_unsigned();
    let floor = |h: usize| min_per_stratum.min(cap(h));
    // Strata without a share are held at their floors from the start.
    let mut counts: Vec<u64> = with_capacity(strata, "counts")?;
    let mut open: Vec<usize> = with_capacity(strata, "strata")?;
    let (mut needed, mut held) = (0u128, 0u64);
    for range in run.blocks(strata, BLOCK) {
        for h in range? {
            counts.push(floor(h));
            needed += u128::from(floor(h));
            if shares[h] > 0.0 {
                open.push(h);
            } else {
                held = held.saturating_add(floor(h));
            }
        }
    }
    if needed > m.into() {
        let reason = format!("must be at least {needed}, the sum of the minima, got {m}");
        return Err(Error::argument("m", reason));
    }
    let mut relative = with_capacity(open.len(), "shares")?;
    loop {
        // What those that are held leave to the others.
        let left = (m - held) as f64;
        let (mut largest, mut short, mut over) = (0.0, 0.0, 0.0);
        relative.clear();
        for range in run.blocks(open.len(), BLOCK) {
            largest = open[range?].iter().map(|&h| shares[h]).fold(largest, f64::max);
        }
        for range in run.blocks(open.len(), BLOCK) {
            relative.extend(open[range?].iter().map(|&h| shares[h] / largest));
        }
        let total = sum(&relative);
        let ideal = |h: usize| left * (shares[h] / largest / total);
        // By how much they would leave their bounds, at both ends.
        for range in run.blocks(open.len(), BLOCK) {
            for &h in &open[range?] {
                let (ideal, floor, cap) = (ideal(h), floor(h) as f64, cap(h) as f64);
                if ideal < floor {
                    short += floor - ideal;
                }
                if ideal >= cap {
                    over += ideal - cap;
                }
            }
        }
        // Those at the end where it is more are held there.
        let mut still_open = 0;
        for range in run.blocks(open.len(), BLOCK) {
            for i in range? {
                let h = open[i];
                let (is_held, bound) = if short > over {
                    (ideal(h) < floor(h) as f64, floor(h))
                } else {
                    (ideal(h) >= cap(h) as f64, cap(h))
                };
                if is_held {
                    counts[h] = bound;
                    held += bound;
                } else {
                    open[still_open] = h;
                    still_open += 1;
                }
            }
        }
        if still_open == open.len() {
            round(&open, m - held, ideal, &mut counts, run)?;
            break;
        }
        open.truncate(still_open);
    }
    let mut signed = with_capacity(strata, "counts")?;
    for range in run.blocks(strata, BLOCK) {
        let range = range?;
        run.advance(range.len() as u64);
        signed.extend(counts[range].iter().map(|count| count.cast_signed()));
    }
    Ok(signed)
}

/// Gives the open strata the whole parts of their ideal counts, and one more to those with the
/// largest remainders, until `left` units are given away.
fn round(
    open: &[usize],
    left: u64,
    ideal: impl Fn(usize) -> f64,
    counts: &mut [u64],
    run: Run<'_>,
) -> Result<()> {
    let mut remainders: Vec<(u64, usize)> = with_capacity(open.len(), "remainders")?;
    let mut rest = left;
    for range in run.blocks(open.len(), BLOCK) {
        for &h in &open[range?] {
            let ideal = ideal(h);
            let whole = ideal.floor();
            counts[h] = whole as u64;
            rest = rest.saturating_sub(counts[h]);
            remainders.push((((ideal - whole) / EQUAL).round() as u64, h));
        }
    }
    let larger = |a: &(u64, usize), b: &(u64, usize)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
    let more = remainders.len().min(rest as usize);
    if more > 0 && more < remainders.len() {
        select_nth(&mut remainders, more, larger, run)?;
    }
    for range in run.blocks(more, BLOCK) {
        for &(_, h) in &remainders[range?] {
            counts[h] += 1;
        }
    }
    Ok(())
}

/// A simple random sample of `allocation[h]` units out of each stratum `h`; `strata[i]` is that of
/// unit `i`. In ascending order. Progress counts units.
///
/// One pass: a unit is taken with the probability that its stratum still needs one, wanted units by
/// units to come. Unit `i` reads draw `i % 2` of entity `i / 2` of [`Purpose::Stratum`].
///
/// # Errors
/// Where a stratum has fewer units than wanted, a count is negative, or a label is not that of a
/// stratum; if there is no memory for the units, or the work is cancelled.
pub fn stratified(
    strata: &[i64],
    allocation: &[i64],
    stream: Stream,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    let count = allocation.len();
    check_counts(allocation, "allocation", count, run)?;
    let mut to_come: Vec<u64> = zeroed(count, "strata")?;
    for range in run.blocks(strata.len(), BLOCK) {
        for i in range? {
            let h = usize::try_from(strata[i]).ok().and_then(|h| to_come.get_mut(h));
            let Some(units) = h else {
                return Err(Error::item("strata", i, &format!("[0, {count})"), strata[i]));
            };
            *units += 1;
        }
    }
    let mut size = 0;
    for range in run.blocks(count, BLOCK) {
        for h in range? {
            if allocation[h].cast_unsigned() > to_come[h] {
                let (units, wanted) = (to_come[h], allocation[h]);
                let reason =
                    format!("item {h} must be at most {units}, the units there are, got {wanted}");
                return Err(Error::argument("allocation", reason));
            }
            size += allocation[h] as usize;
        }
    }
    let mut wanted = copied(allocation, "strata", run)?;
    let mut chosen = with_capacity(size, "units")?;
    let mut blocks = [[0u64; 2]; BATCH / 2];
    for range in run.blocks(strata.len(), BATCH) {
        let range = range?;
        let (first, strata) = (range.start, &strata[range]);
        let ids = bulk::Ids::From(stream, (first / 2) as u64);
        bulk::words(Purpose::Stratum, ids, &mut blocks[..strata.len().div_ceil(2)]);
        for (i, &h) in strata.iter().enumerate() {
            let h = h as usize;
            let n = to_come[h];
            to_come[h] -= 1;
            let product = u128::from(blocks[i / 2][i % 2]) * u128::from(n);
            let mut below = (product >> 64) as u64;
            if (product as u64) < n && (product as u64) < n.wrapping_neg() % n {
                // Once in 2^64 / n at most: the words that are too many for all to be equal.
                let further = FURTHER + (first + i) as u64;
                below = stream.draws(Purpose::Stratum, further).below(n);
            }
            if below < wanted[h].cast_unsigned() {
                wanted[h] -= 1;
                chosen.push((first + i) as i64);
            }
        }
        run.advance(strata.len() as u64);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations() {
        let given = |shares: &[f64], m, least, caps: Option<&[i64]>| {
            allocate(shares, m, caps, least, Run::alone())
        };
        let free = |shares: &[f64], m| given(shares, m, 0, None).unwrap();
        assert_eq!(free(&[1.0, 1.0, 1.0], 10), [4, 3, 3]);
        assert_eq!(free(&[0.1, 0.2, 0.7], 10), [1, 2, 7]);
        assert_eq!(free(&[1e300, 1e300, 1e-300], 5), [3, 2, 0]);
        assert_eq!(free(&[0.0, 0.0], 5), [0, 0]);
        assert_eq!(free(&[], 5), Vec::<i64>::new());
        assert_eq!(given(&[5.0, 3.0, 2.0], 7, 0, Some(&[2, 9, 9])).unwrap(), [2, 3, 2]);
        assert_eq!(given(&[0.0, 1.0, 9.0], 10, 1, Some(&[9; 3])).unwrap(), [1, 1, 8]);
        assert_eq!(given(&[0.0, 1.0, 99.0], 10, 2, Some(&[3; 3])).unwrap(), [2, 3, 3]);
        assert!(given(&[1.0, 1.0], 3, 2, Some(&[3; 2])).is_err());
        assert!(given(&[1.0; 5], 3, u64::MAX >> 1, None).is_err());
        assert!(given(&[1.0; 2], 3, 0, Some(&[3])).is_err());
        assert!(given(&[1.0; 2], 3, 0, Some(&[3, -1])).is_err());
        for m in [5_000_000_000, 999_999_999_999, MOST] {
            let counts = free(&vec![0.1; 7001], m);
            assert_eq!(counts.iter().sum::<i64>(), m.cast_signed());
            assert!(counts[0] - counts[7000] <= 1);
        }
    }

    #[test]
    fn many_strata_at_many_different_caps() {
        // Quadratic, and minutes, if those that are held were looked up in a list.
        let n = 200_000;
        let shares: Vec<f64> = (0..n).map(|h| f64::from(h % 1000) + 0.5).collect();
        let caps: Vec<i64> = (0..n).map(|h| i64::from(h * 7919 % 1001)).collect();
        let most = caps.iter().sum::<i64>();
        for m in [1, most / 3, most - 1, most, most + 5] {
            let counts = allocate(&shares, m as u64, Some(&caps), 1, Run::alone());
            if m < i64::from(n) {
                assert!(counts.is_err());
                continue;
            }
            let counts = counts.unwrap();
            assert_eq!(counts.iter().sum::<i64>(), m.min(most));
            assert!(counts.iter().zip(&caps).all(|(&c, &cap)| (1.min(cap)..=cap).contains(&c)));
        }
    }

    #[test]
    fn neyman() {
        let give =
            |sizes: &[i64], sds: &[f64], m| neyman_allocation(sizes, sds, m, 0, Run::alone());
        assert_eq!(give(&[100, 50, 10], &[1.0, 4.0, 10.0], 20).unwrap(), [5, 10, 5]);
        assert_eq!(give(&[10, 10], &[1e308, 1e308], 4).unwrap(), [2, 2]);
        assert_eq!(give(&[10, 10], &[0.0, 0.0], 4).unwrap(), [0, 0]);
        assert!(give(&[10, -1], &[1.0, 1.0], 4).is_err());
        assert!(give(&[10, 1], &[1.0, f64::NAN], 4).is_err());
        assert!(give(&[10, 1], &[1.0], 4).is_err());
    }

    #[test]
    fn every_stratum_gets_its_share() {
        let strata: Vec<i64> = (0..5000).map(|i| i * i % 13 % 4).collect();
        let wanted = [10, 0, 700, 3];
        let chosen = stratified(&strata, &wanted, Stream::new(1), Run::alone()).unwrap();
        for (h, &count) in wanted.iter().enumerate() {
            let got = chosen.iter().filter(|&&i| strata[i as usize] == h as i64).count();
            assert_eq!(got as i64, count);
        }
        for (strata, wanted) in
            [(&strata[..], [10, 0, 700, 3000]), (&strata, [10, -1, 0, 0]), (&[4], wanted)]
        {
            assert!(stratified(strata, &wanted, Stream::new(1), Run::alone()).is_err());
        }
    }
}
