//! Conditional Poisson sampling: independent units, given that there are `k` of them.
//!
//! A set `S` of `k` units has a probability in proportion to the product of its odds: the design of
//! maximum entropy among those of size `k` with the same inclusion probabilities (Chen, Dempster
//! and Liu, "Weighted finite population sampling to maximize entropy", Biometrika 81, 1994).
//!
//! Multiplying all odds by one number changes nothing, so the units are tilted until they expect
//! `k` of themselves. Then `k` is the most likely size, every probability that is needed is a sum of
//! positive numbers of ordinary size, whatever the range of the odds, and a Poisson sample has the
//! right size once in about `sqrt(2 pi d)` trials, `d` the sum of `p (1 - p)`.
//!
//! Trial `t` reads the uniforms of a Poisson sample (`poisson`) whose entities start at `t` times the
//! number of blocks; units are counted among those that are neither certain nor impossible.

use sortes_core::error::shown;
use sortes_core::memory::{copied, filled, with_capacity, zeroed};
use sortes_core::num::{as_integer, sum};
use sortes_core::order::select_nth;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Error, Result, Run, vectorised};

use super::marks::{Marks, WORD};
use super::poisson::{self, SHARE};
use super::{BLOCK, check_probabilities, expect_pass};

/// Units that are looked at side by side.
const LANES: usize = 8;
/// Groups of that many units which one task looks at.
const GROUPS: usize = 16;
/// What is not looked at of a distribution of sizes has a mass below `exp(-NEGLIGIBLE)`.
const NEGLIGIBLE: f64 = 92.0;
/// Fitted probabilities are right when their odds are right to this relative error, but for one
/// factor common to all: probabilities whose sum is not quite an integer are off by it.
const FITTED: f64 = 1e-12;
/// Rounds of the fit; a few dozen is what it takes.
const ROUNDS: usize = 500;
/// Odds below this lose digits on the way; they are as good as zero.
const NOTHING: f64 = 1e-290;

/// Odds, and the size of the sample.
///
/// ```
/// use sortes::select::design::ConditionalPoisson;
/// use sortes_core::Run;
///
/// let design = ConditionalPoisson::new(&[1.0, 2.0, 3.0, 4.0], 2, Run::alone()).unwrap();
/// let pi = design.probabilities(Run::alone()).unwrap();
/// assert!((pi[0] - 9.0 / 35.0).abs() < 1e-15);
/// assert!((pi[3] - 24.0 / 35.0).abs() < 1e-15);
/// ```
#[derive(Debug)]
pub struct ConditionalPoisson {
    units: usize,
    /// Units with infinite odds.
    certain: Vec<usize>,
    /// Units with positive and finite odds.
    open: Vec<usize>,
    /// How many of `open` are to be chosen.
    k: usize,
    /// Their tilted chances `p`, and `1 - p`.
    p: Vec<f64>,
    q: Vec<f64>,
}

impl ConditionalPoisson {
    /// The design of `k` units with these odds: zero is never chosen, infinity always.
    ///
    /// # Errors
    /// Where odds are negative or NaN, or `k` does not lie between the number of certain units and
    /// that of possible ones; if there is no memory for the design, or the work is cancelled.
    pub fn new(odds: &[f64], k: usize, run: Run<'_>) -> Result<Self> {
        let (mut sure, mut possible) = (0, 0);
        for range in run.blocks(odds.len(), BLOCK) {
            for i in range? {
                if odds[i].is_nan() || odds[i] < 0.0 {
                    return Err(Error::item("odds", i, "[0, inf]", shown(odds[i])));
                }
                sure += usize::from(odds[i].is_infinite());
                possible += usize::from(odds[i] > 0.0);
            }
        }
        if k < sure || k > possible {
            let reason = format!("must be in [{sure}, {possible}] for these odds, got {k}");
            return Err(Error::argument("k", reason));
        }
        // Where all that is possible is needed, nothing is left to chance.
        let all = k == possible;
        let mut certain = with_capacity(if all { possible } else { sure }, "units")?;
        let mut open = with_capacity(if all { 0 } else { possible - sure }, "units")?;
        let mut relative = with_capacity(if all { 0 } else { possible - sure }, "odds")?;
        for range in run.blocks(odds.len(), BLOCK) {
            for i in range? {
                if odds[i].is_infinite() || (all && odds[i] > 0.0) {
                    certain.push(i);
                } else if odds[i] > 0.0 {
                    open.push(i);
                    relative.push(odds[i]);
                }
            }
        }
        let k = k - certain.len();
        let (p, q) = tilt(relative, k, run)?;
        Ok(Self { units: odds.len(), certain, open, k, p, q })
    }

    /// A sample, in ascending order. Progress counts the units of each trial.
    ///
    /// # Errors
    /// If there is no memory for the units, or the work is cancelled.
    pub fn sample(&self, stream: Stream, run: Run<'_>) -> Result<Vec<i64>> {
        let mut chosen = Marks::new(self.p.len())?;
        let blocks = self.p.len().div_ceil(SHARE) as u64;
        let mut trial = 0;
        while chosen.count() != self.k {
            expect_pass(self.p.len(), run);
            for range in run.blocks(self.p.len(), BLOCK) {
                let range = range?;
                let entity = trial * blocks + (range.start / SHARE) as u64;
                let words = &mut chosen.words[range.start / WORD..];
                run.advance(range.len() as u64);
                poisson::draw(&self.p[range], Purpose::Trial, entity, stream, words);
            }
            trial += 1;
        }
        let chosen = chosen.list(run)?;
        // The certain units among those that were chosen.
        let mut all = with_capacity(self.certain.len() + chosen.len(), "units")?;
        let mut certain = self.certain.iter().map(|&i| i as i64).peekable();
        for range in run.blocks(chosen.len(), BLOCK) {
            for &i in &chosen[range?] {
                let unit = self.open[i as usize] as i64;
                while let Some(before) = certain.next_if(|&i| i < unit) {
                    all.push(before);
                }
                all.push(unit);
            }
        }
        all.extend(certain);
        Ok(all)
    }

    /// The inclusion probabilities, to about 1e-14. Progress counts units.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn probabilities(&self, run: Run<'_>) -> Result<Vec<f64>> {
        let mut pi = zeroed(self.units, "probabilities")?;
        for &i in &self.certain {
            pi[i] = 1.0;
        }
        for (&i, [inside, outside]) in self.open.iter().zip(self.shares(run)?) {
            pi[i] = inside / (inside + outside);
        }
        Ok(pi)
    }

    /// For each open unit, the joint probability of the right size with it and without it.
    fn shares(&self, run: Run<'_>) -> Result<Vec<[f64; 2]>> {
        let n = self.p.len();
        expect_pass(n, run);
        if self.k == 0 {
            return filled(n, [0.0, 1.0], "shares");
        }
        let sizes = Sizes::new(&self.p, &self.q, self.k, run)?;
        // Units of one direction go side by side, in groups that are filled up with nobody.
        let mut order: Vec<usize> = with_capacity(n + 2 * LANES, "units")?;
        order.extend((0..n).filter(|&i| self.p[i] <= 0.5));
        order.resize(order.len().next_multiple_of(LANES), usize::MAX);
        let falling_from = order.len();
        order.extend((0..n).filter(|&i| self.p[i] > 0.5));
        order.resize(order.len().next_multiple_of(LANES), usize::MAX);
        let mut found = filled(order.len(), [0.0; 2], "shares")?;
        run.fill_chunks(&mut found, GROUPS * LANES, |task, found| {
            for (group, found) in found.chunks_mut(LANES).enumerate() {
                let at = (task * GROUPS + group) * LANES;
                let units: [usize; LANES] = std::array::from_fn(|lane| order[at + lane]);
                let p = units.map(|i| self.p.get(i).copied().unwrap_or(0.5));
                let q = units.map(|i| self.q.get(i).copied().unwrap_or(0.5));
                let [inside, outside] = if at < falling_from {
                    sizes.without_rising(p, q, self.k)
                } else {
                    sizes.without_falling(p, q, self.k)
                };
                for lane in 0..LANES {
                    found[lane] = [p[lane] * inside[lane], q[lane] * outside[lane]];
                }
                run.advance(units.iter().filter(|&&i| i < n).count() as u64);
            }
        })?;
        let mut shares = filled(n, [0.0; 2], "shares")?;
        for (&unit, found) in order.iter().zip(found) {
            if let Some(share) = shares.get_mut(unit) {
                *share = found;
            }
        }
        Ok(shares)
    }

    /// The odds whose design has the inclusion probabilities `pi`, whose sum is `k` if that is given,
    /// up to a common factor; and the design. Progress counts the units of each round.
    ///
    /// # Errors
    /// Where a probability is not in `[0, 1]`, or their sum is no integer or not `k`; if there is no memory for
    /// the odds, or the work is cancelled.
    pub fn fit(pi: &[f64], k: Option<usize>, run: Run<'_>) -> Result<(Vec<f64>, Self)> {
        check_probabilities(pi, run)?;
        let total = sum(pi);
        let Some(size) = as_integer(total) else {
            let reason = format!("must sum to an integer, got {}", shown(total));
            return Err(Error::argument("pi", reason));
        };
        if let Some(k) = k
            && k as f64 != size
        {
            return Err(Error::argument("k", format!("must be the sum of pi, {size}, got {k}")));
        }
        // At one for a certain unit the quotient is infinite, as it should be.
        let mut target = copied(pi, "odds", run)?;
        for p in &mut target {
            *p /= 1.0 - *p;
        }
        let mut odds = copied(&target, "odds", run)?;
        let (mut before, mut half) = (f64::INFINITY, false);
        for _ in 0..ROUNDS {
            let design = Self::new(&odds, size as usize, run)?;
            if design.k == 0 {
                return Ok((odds, design)); // nothing is left to chance
            }
            let shares = design.shares(run)?;
            let (mut least, mut most): (f64, f64) = (f64::INFINITY, 0.0);
            for (&i, [inside, outside]) in design.open.iter().zip(&shares) {
                let off = target[i] / (inside / outside);
                if target[i] > NOTHING {
                    (least, most) = (least.min(off), most.max(off));
                }
                odds[i] *= if half { off.sqrt() } else { off };
            }
            let error = most / least - 1.0;
            if error <= FITTED {
                return Ok((odds, design));
            }
            // The whole step is right for many units and overshoots for few, where half of it is
            // never too long: units repel each other at most as strongly as two that exclude
            // each other.
            half = half || error > 0.5 * before;
            before = error;
        }
        Err(Error::argument("pi", "no odds were found that have these probabilities"))
    }
}

/// The chances `p` and `1 - p` that have the odds `c o`, with `c` such that they expect `k` units.
///
/// Any `c` is right; this one is good. Only IEEE operations, in one order: samples depend on it.
fn tilt(mut odds: Vec<f64>, k: usize, run: Run<'_>) -> Result<(Vec<f64>, Vec<f64>)> {
    let n = odds.len();
    if k == 0 || k >= n {
        let q = copied(&odds, "odds", run)?;
        return Ok((odds, q));
    }
    // Relative to the k-th largest, odds out of range are those of units as good as settled.
    let mut sorted = copied(&odds, "odds", run)?;
    select_nth(&mut sorted, n - k, f64::total_cmp, run)?;
    let kth = sorted[n - k];
    for o in &mut odds {
        *o = (*o / kth).clamp(f64::MIN_POSITIVE, f64::MAX);
    }
    let chance = |o: f64, c: f64| 1.0 / (1.0 + 1.0 / (o * c));
    let expected = |c: f64| {
        let (mut size, mut slope) = (0.0, 0.0);
        for range in run.blocks(n, BLOCK) {
            for &o in &odds[range?] {
                let p = chance(o, c);
                size += p;
                slope += p * (1.0 - p);
            }
        }
        Ok((size, slope))
    };
    // The expected size grows with c: bisect its exponent, then follow the slope.
    let (mut low, mut high) = (f64::MIN_POSITIVE, f64::MAX);
    let mut c = 1.0;
    for _ in 0..128 {
        let (size, slope) = expected(c)?;
        let off: f64 = size - k as f64;
        if off.abs() <= 1e-6 || low >= high {
            break;
        }
        if off > 0.0 {
            high = c;
        } else {
            low = c;
        }
        // One step of Newton's method for ln c, or the middle of what is left.
        let step = c * (1.0 - off / slope).clamp(0.125, 8.0);
        c = if step > low && step < high { step } else { middle(low, high) };
    }
    let (mut p, mut q) = (with_capacity(n, "chances")?, sorted);
    q.clear();
    for range in run.blocks(n, BLOCK) {
        let odds = &odds[range?];
        p.extend(odds.iter().map(|&o| chance(o, c)));
        q.extend(odds.iter().map(|&o| 1.0 / (1.0 + o * c)));
    }
    Ok((p, q))
}

/// A number halfway between two positive ones in the order of their bits.
fn middle(low: f64, high: f64) -> f64 {
    f64::from_bits(low.to_bits().midpoint(high.to_bits()))
}

/// The distribution of the number of units that are chosen independently, around `k`.
struct Sizes {
    /// The probability of `low + j`.
    f: Vec<f64>,
    low: usize,
}

impl Sizes {
    fn new(p: &[f64], q: &[f64], k: usize, run: Run<'_>) -> Result<Self> {
        let variance: f64 = p.iter().zip(q).map(|(p, q)| p * q).sum();
        // Bernstein's inequality: further from the mean there is nothing worth a look.
        let reach = ((2.0 * NEGLIGIBLE * variance).sqrt() + NEGLIGIBLE).ceil() as usize;
        let n = p.len();
        // Slot `j + 1` is for `j` units; slot 0 stays empty.
        let (mut now, mut next) = (zeroed(n + 2, "sizes")?, zeroed(n + 2, "sizes")?);
        now[1] = 1.0;
        let mut mean = 0.0;
        let window = |mean: f64, i: usize| {
            let at = mean as usize;
            (at.saturating_sub(reach), (at + reach).min(i))
        };
        for (i, (&p, &q)) in p.iter().zip(q).enumerate() {
            if i.is_multiple_of(256) {
                run.check()?;
            }
            mean += p;
            let (low, high) = window(mean, i + 1);
            let (same, fewer) = (&now[low + 1..high + 2], &now[low..=high]);
            add_unit(&mut next[low + 1..high + 2], same, fewer, p, q);
            next[low] = 0.0;
            std::mem::swap(&mut now, &mut next);
        }
        let low = k.saturating_sub(reach);
        let high = (k + reach).min(n);
        Ok(Self { f: copied(&now[low + 1..high + 2], "sizes", run)?, low })
    }

    /// The probabilities of `k - 1` and `k` units without one of chance `p`, for several such.
    ///
    /// `f(j) = q g(j) + p g(j - 1)` is solved for `g` from small `j` on, where errors shrink by
    /// `p / q`.
    fn without_rising(&self, p: [f64; LANES], q: [f64; LANES], k: usize) -> [[f64; LANES]; 2] {
        let mut g = [[0.0; LANES]; 2];
        divide(&self.f[..=k - self.low], &p, &q, false, &mut g);
        g
    }

    /// The same from large `j` on, for `p` above one half.
    fn without_falling(&self, p: [f64; LANES], q: [f64; LANES], k: usize) -> [[f64; LANES]; 2] {
        let mut g = [[0.0; LANES]; 2];
        divide(&self.f[k - self.low..], &q, &p, true, &mut g);
        let [after, at] = g;
        [at, after]
    }
}

vectorised! {
    /// One unit more: `next(j) = q now(j) + p now(j - 1)`.
    fn add_unit(next: &mut [f64], same: &[f64], fewer: &[f64], p: f64, q: f64) {
        for ((next, same), fewer) in next.iter_mut().zip(same).zip(fewer) {
            *next = q * same + p * fewer;
        }
    }

    /// Solves `f(j) = b g(j) + a g(j - 1)` along `f`, for several `a` and `b` with `a <= b`, and
    /// leaves the last two `g`.
    fn divide(
        f: &[f64],
        a: &[f64; LANES],
        b: &[f64; LANES],
        backwards: bool,
        g: &mut [[f64; LANES]; 2],
    ) {
        let (mut ratio, mut inverse) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            ratio[lane] = a[lane] / b[lane];
            inverse[lane] = 1.0 / b[lane];
        }
        let [mut before, mut now] = [[0.0; LANES]; 2];
        for j in 0..f.len() {
            let f = f[if backwards { f.len() - 1 - j } else { j }];
            before = now;
            for lane in 0..LANES {
                now[lane] = (f * inverse[lane] - ratio[lane] * now[lane]).max(0.0);
            }
        }
        *g = [before, now];
    }
}

#[cfg(test)]
mod tests {
    use super::super::log_elementary_symmetric;
    use super::*;

    fn probabilities(odds: &[f64], k: usize) -> Vec<f64> {
        let design = ConditionalPoisson::new(odds, k, Run::alone()).unwrap();
        design.probabilities(Run::alone()).unwrap()
    }

    /// The same by polynomials in log space.
    fn by_polynomials(odds: &[f64], k: usize) -> Vec<f64> {
        let logs: Vec<f64> = odds.iter().map(|o| o.ln()).collect();
        let all = log_elementary_symmetric(&logs, k, Run::alone()).unwrap()[k];
        (0..odds.len())
            .map(|i| {
                let mut rest = logs.clone();
                rest.remove(i);
                let e = log_elementary_symmetric(&rest, k - 1, Run::alone()).unwrap();
                (logs[i] + e[k - 1] - all).exp()
            })
            .collect()
    }

    #[test]
    fn agrees_with_polynomials() {
        for (n, k, spread) in [
            (5, 2, 1.0),
            (40, 1, 3.0),
            (40, 39, 3.0),
            (60, 20, 100.0),
            (150, 70, 2.0),
            (300, 30, 0.1),
        ] {
            let odds: Vec<f64> = (0..n)
                .map(|i| 10f64.powf(spread * (f64::from(i * 7919 % n) / f64::from(n) - 0.5)))
                .collect();
            let ours = probabilities(&odds, k);
            assert!((sum(&ours) - k as f64).abs() < 1e-12 * f64::from(n));
            for (a, b) in ours.iter().zip(by_polynomials(&odds, k)) {
                assert!((a - b).abs() <= 1e-12 * b, "{n} {k} {spread}: {a} {b}");
            }
        }
    }

    #[test]
    fn fits() {
        for (n, k) in [(2, 1), (5, 3), (40, 1), (100, 33), (1000, 900)] {
            let mut pi: Vec<f64> = (0..n).map(|i| f64::from(1 + i * 7 % 10)).collect();
            for _ in 0..2000 {
                let scale = f64::from(k) / sum(&pi);
                for p in &mut pi {
                    *p = (*p * scale).min(0.9999);
                }
            }
            let (odds, _) = ConditionalPoisson::fit(&pi, None, Run::alone()).unwrap();
            for (a, b) in probabilities(&odds, k as usize).iter().zip(&pi) {
                assert!((a - b).abs() < 1e-12, "{n} {k}");
            }
        }
    }

    #[test]
    fn edges() {
        let inf = f64::INFINITY;
        assert_eq!(probabilities(&[0.0, inf, 1.0, 1.0], 2), [0.0, 1.0, 0.5, 0.5]);
        assert_eq!(probabilities(&[0.0, inf, 1.0, 1.0], 3), [0.0, 1.0, 1.0, 1.0]);
        assert_eq!(probabilities(&[1.0, 2.0], 0), [0.0, 0.0]);
        assert!(ConditionalPoisson::new(&[0.0, inf, 1.0], 0, Run::alone()).is_err());
        assert!(ConditionalPoisson::new(&[0.0, inf, 1.0], 3, Run::alone()).is_err());
        let wide = probabilities(&[1e300, 1e300, 1e-300, 1e-300, 1e-300], 3);
        for (a, b) in wide.iter().zip([1.0, 1.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]) {
            assert!((a - b).abs() < 1e-14, "{wide:?}");
        }
    }
}
