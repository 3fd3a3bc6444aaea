//! One sequence of draws and the distributions read from it.

use super::{elementary, philox};

/// `2^-53`, the spacing of 53-bit uniforms.
const ULP: f64 = 1.0 / (1u64 << 53) as f64;

/// The uniform on `[0, 1)` that a word stands for: a multiple of `2^-53`.
#[inline(always)]
pub fn uniform_of(word: u64) -> f64 {
    (word >> 11) as f64 * ULP
}

/// The uniform on the open interval `(0, 1)` that a word stands for: the middle of one of `2^52` cells.
#[inline(always)]
pub fn open_uniform_of(word: u64) -> f64 {
    // 1 + k 2^-52 by its bits, since few instruction sets convert vectors of integers; the
    // difference is exact.
    f64::from_bits(1f64.to_bits() | word >> 12) - (1.0 - ULP)
}

/// The exponential that two words stand for, by inversion: `-ln(1 - u)` of a precise uniform.
#[inline(always)]
pub fn exponential_of(words: [u64; 2]) -> f64 {
    -elementary::ln_1m(precise_uniform_of(words))
}

/// The uniform on `(0, 1)` that two words stand for: the first chooses the binade.
#[inline(always)]
fn precise_uniform_of([first, second]: [u64; 2]) -> f64 {
    f64::from_bits((1022 - u64::from(first.leading_zeros())) << 52 | second >> 12)
}

/// The draws of one (purpose, entity, step), in order, from [`Stream::draws`](super::Stream::draws).
///
/// Every method but [`below`](Self::below) consumes a fixed number of draws, so that a caller can
/// say where its next number lies. A sequence holds `2^33` draws and then starts again.
#[derive(Debug, Clone)]
pub struct Draws {
    pub(super) key: [u32; 2],
    /// Counter words 1, 2 and 3; word 0 follows from the position.
    pub(super) name: [u32; 3],
    position: u64,
    /// The second half of the current block, valid while the position is odd.
    second: u64,
}

impl Draws {
    #[inline]
    pub(super) fn new(key: [u32; 2], name: [u32; 3]) -> Self {
        Self { key, name, position: 0, second: 0 }
    }

    /// How many draws have been consumed.
    #[inline]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many rounds, or steps, after another sequence of the same entity and purpose this one is.
    #[inline]
    pub fn rounds_after(&self, other: &Self) -> Option<u32> {
        let is_same = self.key == other.key && self.name[1..] == other.name[1..];
        is_same.then(|| self.name[0].wrapping_sub(other.name[0]))
    }

    /// Moves to draw `position`, at the cost of at most one block.
    #[inline]
    pub fn seek(&mut self, position: u64) {
        self.position = position;
        if position % 2 == 1 {
            self.second = self.block(position / 2).1;
        }
    }

    #[inline]
    fn block(&self, index: u64) -> (u64, u64) {
        let [step, entity, purpose] = self.name;
        let [w0, w1, w2, w3] = philox::block(self.key, [index as u32, step, entity, purpose]);
        (u64::from(w1) << 32 | u64::from(w0), u64::from(w3) << 32 | u64::from(w2))
    }

    /// 64 random bits. Consumes one draw.
    #[inline]
    pub fn u64(&mut self) -> u64 {
        let position = self.position;
        self.position += 1;
        if position % 2 == 1 {
            return self.second;
        }
        let (first, second) = self.block(position / 2);
        self.second = second;
        first
    }

    /// A multiple of `2^-53`, uniform on `[0, 1)`. Consumes one draw.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        uniform_of(self.u64())
    }

    /// Uniform on the open interval `(0, 1)`: the midpoints of `2^52` cells. Consumes one draw.
    ///
    /// Symmetric about one half and never 0 or 1, hence safe under a logarithm or an inverse
    /// distribution function. (With `2^53` cells the topmost midpoint would round to 1.)
    #[inline]
    pub fn open_uniform(&mut self) -> f64 {
        open_uniform_of(self.u64())
    }

    /// Uniform on `(0, 1)` with a full mantissa however close to zero. Consumes two draws.
    ///
    /// The first draw chooses the binade, `[2^-(z+1), 2^-z)` with probability `2^-(z+1)`, by its
    /// number `z` of leading zeros; the second fills the 52 bits of the mantissa. No value is below
    /// `2^-65`, which costs `2^-64` in total variation.
    #[inline]
    pub fn precise_uniform(&mut self) -> f64 {
        precise_uniform_of([self.u64(), self.u64()])
    }

    /// Exponential with mean 1, by inversion: `-ln(1 - u)` of a precise uniform. Consumes two draws.
    ///
    /// Small values, which decide races, keep their full relative precision; the largest is 36.7.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        exponential_of([self.u64(), self.u64()])
    }

    /// Gumbel with location 0 and scale 1: `-ln` of an exponential. Consumes two draws.
    ///
    /// The largest of Gumbels shifted by logits has the softmax law. Large values, which decide the
    /// race, keep the precision of small exponentials.
    #[inline]
    pub fn gumbel(&mut self) -> f64 {
        -elementary::ln(self.exponential())
    }

    /// Standard normal, by inversion of its distribution function. Consumes one draw.
    ///
    /// The 52-bit uniform cuts the tails at 8.2 standard deviations.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        elementary::normal_quantile(self.open_uniform())
    }

    /// An integer uniform on `0..n`, exactly (Lemire, arXiv:1805.10941). Zero if `n` is zero.
    ///
    /// Consumes one draw, or more with probability below `n / 2^64` for each further one.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        let mut product = u128::from(self.u64()) * u128::from(n);
        if (product as u64) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u64) < threshold {
                product = u128::from(self.u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Purpose, Stream};
    use super::*;

    fn draws(entity: u64) -> Draws {
        Stream::new(11).draws(Purpose::Uniform, entity)
    }

    #[test]
    fn seeking_agrees_with_walking() {
        let mut walk = draws(0);
        let values: Vec<u64> = (0..9).map(|_| walk.u64()).collect();
        for start in 0..9 {
            let mut seek = draws(0);
            seek.seek(start);
            for (offset, &value) in values[start as usize..].iter().enumerate() {
                assert_eq!(seek.position(), start + offset as u64);
                assert_eq!(seek.u64(), value);
            }
        }
    }

    #[test]
    fn uniforms_stay_in_their_intervals() {
        let mut all = draws(1);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&all.uniform()));
            let open = all.open_uniform();
            assert!(open > 0.0 && open < 1.0);
            let precise = all.precise_uniform();
            assert!(precise > 0.0 && precise < 1.0);
        }
        let top = ((u64::MAX >> 12) as f64 + 0.5) * (2.0 * ULP);
        assert!(top < 1.0);
    }

    #[test]
    fn consumption_is_fixed() {
        let mut all = draws(2);
        for (read, cost) in [
            ((|d: &mut Draws| d.uniform()) as fn(&mut Draws) -> f64, 1),
            (Draws::open_uniform, 1),
            (Draws::precise_uniform, 2),
            (Draws::exponential, 2),
            (Draws::gumbel, 2),
            (Draws::normal, 1),
        ] {
            let before = all.position();
            read(&mut all);
            assert_eq!(all.position() - before, cost);
        }
    }

    #[test]
    fn below_is_uniform_on_small_and_rejecting_ranges() {
        let mut all = draws(3);
        assert_eq!(all.below(0), 0);
        assert_eq!(all.below(1), 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[all.below(7) as usize] += 1;
        }
        // Chi-square with 6 degrees of freedom at 1e-6: 38.26.
        let statistic: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(statistic < 38.26, "{counts:?}");

        // Three quarters of the range: a quarter of the draws is rejected.
        let n = 3u64 << 62;
        let start = all.position();
        let below_half = (0..10_000).filter(|_| all.below(n) < n / 2).count();
        assert!((all.position() - start) > 12_500);
        assert!((below_half as f64 - 5_000.0).abs() < 4.892 * 50.0);
    }
}
