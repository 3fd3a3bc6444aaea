//! Binomial and Poisson laws over the part of their support that counts.
//!
//! Draws without replacement are independent binomial counts, one for each kind, given their sum;
//! draws with replacement are independent Poisson counts, given theirs. All terms of what is computed
//! from them are positive, so that nothing cancels.

use sortes_core::Result;
use sortes_core::memory::{reserve, zeroed};

/// Probabilities below this share of the largest are left out.
const NEGLIGIBLE: f64 = 1e-40;

/// The probabilities of the counts from `first` on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Law {
    pub(super) first: usize,
    pub(super) p: Vec<f64>,
}

impl Law {
    /// How often each of `n` items is taken with probability `share`, up to `most`.
    pub(super) fn binomial(n: usize, share: f64, most: usize) -> Result<Self> {
        let odds = share / (1.0 - share);
        let mode = if share < 1.0 { ((n as f64 + 1.0) * share) as usize } else { n };
        let up = |v: usize| if v >= n { 0.0 } else { (n - v) as f64 / (v + 1) as f64 * odds };
        Self::around(mode.min(n), most, up)
    }

    /// The number of events where `mean` are expected, up to `most`.
    pub(super) fn poisson(mean: f64, most: usize) -> Result<Self> {
        Self::around(mean as usize, most, |v| mean / (v + 1) as f64)
    }

    /// The law whose probability at `v + 1` is `up(v)` times that at `v`, the largest at `mode`.
    fn around(mode: usize, most: usize, up: impl Fn(usize) -> f64) -> Result<Self> {
        let (mut below, mut above) = (Vec::new(), Vec::new());
        let (mut total, mut p, mut v) = (1.0, 1.0, mode);
        while v > 0 {
            p /= up(v - 1);
            // Where the step is infinite, the share is one and nothing lies below.
            if p < NEGLIGIBLE || p.is_nan() {
                break;
            }
            v -= 1;
            total += p;
            push(&mut below, p)?;
        }
        let first = v;
        (p, v) = (1.0, mode);
        loop {
            push(&mut above, p)?;
            p *= up(v);
            if p < NEGLIGIBLE || p.is_nan() {
                break;
            }
            v += 1;
            total += p;
        }
        let len = (below.len() + above.len()).min((most + 1).saturating_sub(first));
        let mut law = zeroed(len, "probabilities")?;
        let all = below.iter().rev().chain(&above);
        law.iter_mut().zip(all).for_each(|(out, p)| *out = p / total);
        Ok(Self { first, p: law })
    }

    /// The probability of a count.
    pub(super) fn at(&self, v: usize) -> f64 {
        v.checked_sub(self.first).and_then(|i| self.p.get(i)).copied().unwrap_or(0.0)
    }
}

fn push(to: &mut Vec<f64>, p: f64) -> Result<()> {
    if to.len() == to.capacity() {
        reserve(to, to.len().max(16), "probabilities")?;
    }
    to.push(p);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_are_those_of_the_books() {
        let law = Law::binomial(4, 0.25, 9).unwrap();
        let expected = [81.0, 108.0, 54.0, 12.0, 1.0].map(|x| x / 256.0);
        assert_eq!(law.first, 0);
        assert!(law.p.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15));
        assert_eq!(Law::binomial(4, 1.0, 9).unwrap(), Law { first: 4, p: vec![1.0] });
        assert_eq!(Law::binomial(0, 0.5, 9).unwrap(), Law { first: 0, p: vec![1.0] });
        assert_eq!(Law::binomial(4, 0.25, 1).unwrap().p, law.p[..2]);
        let law = Law::poisson(2.5, 100).unwrap();
        let p3 = 2.5f64.powi(3) / 6.0 * (-2.5f64).exp();
        assert!((law.at(3) - p3).abs() < 1e-15 && law.at(1000) == 0.0);
        assert_eq!(Law::poisson(0.0, 3).unwrap(), Law { first: 0, p: vec![1.0] });
    }

    #[test]
    fn wide_laws_are_windows_around_their_mode() {
        let law = Law::poisson(1e6, usize::MAX - 1).unwrap();
        assert!(law.first > 900_000 && law.p.len() < 50_000);
        assert!((law.p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(Law::poisson(1e6, 5).unwrap().p.is_empty());
    }
}
