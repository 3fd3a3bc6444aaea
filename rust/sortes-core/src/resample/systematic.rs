//! Systematic sampling: units laid end to end, and a comb of step one from a random start.

use crate::error::shown;
use crate::memory::{with_capacity, zeroed};
use crate::num::{Sum, as_integer};
use crate::rng::{Purpose, Stream};
use crate::{Error, Result, Run};

/// How far a cumulative sum may lie from a tooth of the comb and still be taken to be on it,
/// relative to the total (one at least): a few roundings of the probabilities.
const SNAP: f64 = 4.0 * f64::EPSILON;

/// Units between two looks at the stop request.
const BLOCK: usize = 1 << 14;

/// The start of the comb: draw 0 of entity 0.
pub fn start(stream: Stream) -> f64 {
    stream.draws(Purpose::Start, 0).uniform()
}

/// The units hit by a comb with teeth at `u`, `u + 1`, ...; in the order of the units along the comb,
/// those of `pi` above one as often as they are hit. Progress counts units.
///
/// Unit `i` covers `[C[i-1], C[i])`, where `C` sums the probabilities in the given order. The whole
/// part of a probability is hit for certain, so that only fractions are laid end to end; their sums
/// carry their rounding errors along.
///
/// # Errors
/// Where a probability is negative or not finite, `u` is not in `[0, 1)`, or `order` is no order;
/// if the hits cannot be allocated, or the work is cancelled.
pub fn systematic(pi: &[f64], u: f64, order: Option<&[i64]>, run: Run<'_>) -> Result<Vec<i64>> {
    if !(0.0..1.0).contains(&u) {
        return Err(Error::argument("u", format!("must be in [0, 1), got {}", shown(u))));
    }
    if let Some(order) = order {
        check_order(order, pi.len(), run)?;
    }
    let unit = |index: usize| order.map_or(index, |order| order[index] as usize);
    // What the comb is laid over: how many hits are certain, and how long the fractions are.
    let (mut total, mut whole) = (Sum::default(), 0.0);
    for range in run.blocks(pi.len(), BLOCK) {
        for i in range? {
            if !(pi[i] >= 0.0 && pi[i].is_finite()) {
                return Err(Error::item("pi", i, "[0, inf)", shown(pi[i])));
            }
            let (certain, fraction) = parts(pi[i]);
            total.add(fraction);
            whole += certain;
        }
    }
    if whole > MOST {
        return Err(Error::argument("pi", format!("{whole:e} hits are too many")));
    }
    let fractions = as_integer(total.value()).unwrap_or(total.value());
    let near = SNAP * fractions.max(1.0);
    let teeth = if fractions - u > near { (fractions - u - near).ceil() } else { 0.0 };
    // The walk along the units.
    let mut chosen = with_capacity((whole + teeth) as usize, "hits")?;
    let (mut along, mut passed, mut last) = (Sum::default(), 0.0, None);
    for range in run.blocks(pi.len(), BLOCK) {
        let range = range?;
        let units = range.len();
        for index in range {
            let (certain, fraction) = parts(pi[unit(index)]);
            if certain > 0.0 {
                for hits in run.blocks(certain as usize, BLOCK) {
                    chosen.extend(hits?.map(|_| unit(index) as i64));
                }
            }
            if fraction > 0.0 {
                along.add(fraction);
                // How far this unit reaches beyond the next tooth.
                let beyond = ((along.high - passed) - u) + along.low;
                if beyond > near && passed < teeth {
                    chosen.push(unit(index) as i64);
                    passed += 1.0;
                } else {
                    last = Some((unit(index), chosen.len()));
                }
            }
        }
        run.advance(units as u64);
    }
    // A total that was rounded up to an integer may have a tooth at its very end: the last unit that
    // was not hit takes it.
    if let Some((unit, at)) = last
        && passed < teeth
    {
        chosen.insert(at, unit as i64);
    }
    Ok(chosen)
}

/// The whole part of `p` and the rest.
#[inline]
fn parts(p: f64) -> (f64, f64) {
    if p < 1.0 { (0.0, p) } else { (p.trunc(), p.fract()) }
}

/// More hits than this are taken for a mistake.
const MOST: f64 = (1u64 << 36) as f64;

/// Refuses what is not a permutation of `0..n`.
///
/// # Errors
/// One that names the first item at fault; or if the work is cancelled.
pub fn check_order(order: &[i64], n: usize, run: Run<'_>) -> Result<()> {
    if order.len() != n {
        let (expected, got) = (format!("({n},)"), format!("({},)", order.len()));
        return Err(Error::Shape { name: "order", expected, got });
    }
    let mut seen = zeroed::<bool>(n, "marks of units")?;
    for range in run.blocks(n, BLOCK) {
        for index in range? {
            let unit = order[index];
            match usize::try_from(unit).ok().and_then(|unit| seen.get_mut(unit)) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => {
                    let reason = format!("item {index} repeats unit {unit}");
                    return Err(Error::argument("order", reason));
                }
                None => return Err(Error::item("order", index, &format!("[0, {n})"), unit)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_certainties_for_every_start() {
        // Fractions that do not add up without rounding, units of one, units of zero.
        let mut pi: Vec<f64> = (0..999).map(|i| f64::from(i % 7) / 6.0 * 0.3).collect();
        pi.extend([1.0, 0.0, 1.0]);
        let total: f64 = pi.iter().sum();
        let scale = (total.round() - 2.0) / (total - 2.0);
        pi[..999].iter_mut().for_each(|p| *p *= scale);
        for i in 0..1000 {
            let u = f64::from(i) / 1000.0;
            for u in [u, u.next_up(), (u + 0.0005).next_down()] {
                let chosen = systematic(&pi, u, None, Run::alone()).unwrap();
                assert_eq!(chosen.len() as f64, total.round(), "{u}");
                assert!(chosen.contains(&999) && chosen.contains(&1001));
                assert!(chosen.iter().all(|&i| pi[i as usize] > 0.0));
                assert!(chosen.is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn decimal_fractions_hit_as_written() {
        // 0.1 + 0.2 is above 0.3 as a float; the third unit covers [0.3, 0.6).
        assert_eq!(systematic(&[0.1, 0.2, 0.3, 0.4], 0.3, None, Run::alone()).unwrap(), [2]);
        assert_eq!(systematic(&[0.1; 10], 0.7, None, Run::alone()).unwrap(), [7]);
        assert_eq!(
            systematic(&[2.5, 0.5, 3.0], 0.4, None, Run::alone()).unwrap(),
            [0, 0, 0, 2, 2, 2]
        );
    }
}
