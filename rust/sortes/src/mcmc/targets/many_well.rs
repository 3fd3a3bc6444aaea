//! Pairs of coordinates, each with two wells of different depth.

use sortes_core::Result;
use sortes_core::rng::Draws;

use super::LogDensity;

/// The sum of `-a^4 + 6 a^2 + a / 2 - b^2 / 2` over pairs `(a, b)` of neighbours: not normalised.
#[derive(Debug, Clone, Copy)]
pub struct ManyWell {
    /// How many coordinates: an even number.
    pub dim: usize,
}

impl LogDensity for ManyWell {
    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn logp(&self, x: &[f64], _: &mut [f64]) -> Result<f64> {
        let mut sums = [0.0; 4];
        let well = |[a, b]: [f64; 2]| {
            let square = a * a;
            square * (6.0 - square) + 0.5 * (a - b * b)
        };
        let (blocks, rest) = x.as_chunks::<8>();
        for block in blocks {
            for (sum, &pair) in sums.iter_mut().zip(block.as_chunks::<2>().0) {
                *sum += well(pair);
            }
        }
        let rest: f64 = rest.as_chunks::<2>().0.iter().map(|&pair| well(pair)).sum();
        Ok(rest + (sums[0] + sums[1]) + (sums[2] + sums[3]))
    }

    /// Of a pair the second is normal. For the first, `6 a^2 - a^4 = 9 - (a^2 - 3)^2` and `(a^2 -
    /// 3)^2 >= 3 (|a| - s)^2` with `s^2 = 3`: a normal with variance 1/6 around `s + 1/12` or `-s + 1/12`
    /// lies above, and half of what it proposes is taken.
    fn draw(&self, draws: &mut Draws, out: &mut [f64], _: &mut [f64]) {
        let s = 3.0_f64.sqrt();
        // The weights of the two are exp(s / 2) and exp(-s / 2): this is the share of the first.
        let right = 0.849_674_553_089_838_5;
        for [a, b] in out.as_chunks_mut::<2>().0 {
            loop {
                let side = if draws.uniform() < right { s } else { -s };
                let x = side + 1.0 / 12.0 + draws.normal() / 6.0_f64.sqrt();
                let (above, from) = (x * x - 3.0, x - side);
                if x * side > 0.0 && draws.exponential() > above * above - 3.0 * from * from {
                    *a = x;
                    break;
                }
            }
            *b = draws.normal();
        }
    }

    fn is_drawable(&self) -> bool {
        true
    }
}
