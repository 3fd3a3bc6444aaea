//! Special functions, with the same bits on every platform.

use crate::rng::elementary::exp_negative;
use crate::simd::exp::{EXP, LN2_HI, LN2_LO, MAGIC};

/// `exp(x)` for `|x|` up to 700.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    if x <= 0.0 { exp_negative(x) } else { 1.0 / exp_negative(-x) }
}

/// `exp(x)` of any number, in single precision, to two units in the last place: zero where it is no
/// normal number, and NaN of NaN.
///
/// Without branches, for loops over many items.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * LN2_HI) - n * LN2_LO;
    let sum = EXP.iter().fold(0.0, |sum, &c| sum * r + c);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let result = ((sum * r + 1.0) * r + 1.0) * power;
    let result = if x < -87.0 { 0.0 } else { result };
    if x > 88.0 { f32::INFINITY } else { result }
}

#[inline(always)]
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().fold(0.0, |sum, &a| sum * x + a)
}

/// The scaled complementary error function `exp(x^2) erfc(x)`, to a relative error of 2e-15.
///
/// Infinite where it is beyond the range, below about -26.
///
/// `(1 + 2 x) erfcx(x)` is smooth in `(x - k) / (x + k)` (Shepherd and Laframboise, "Chebyshev
/// approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < inf", Mathematics of Computation 36, 1981);
/// the coefficients are a Chebyshev interpolation in 40 digits for `k = 3.75`.
#[inline(always)]
pub fn erfcx(x: f64) -> f64 {
    let y = x.abs();
    let positive = polynomial((y - 3.75) / (y + 3.75), &ERFCX) / (1.0 + 2.0 * y);
    if x >= 0.0 { positive } else { 2.0 / exp_negative(-y * y) - positive }
}

/// `1 / Gamma(b)` for `b` in `(0, 2]`, to a relative error of 3e-16.
pub fn reciprocal_gamma(b: f64) -> f64 {
    if b < 1.0 {
        b * reciprocal_gamma(b + 1.0)
    } else {
        polynomial(2.0 * (b - 1.0) - 1.0, &RECIPROCAL_GAMMA)
    }
}

/// Highest power first.
const ERFCX: [f64; 22] = [
    -1.955_135_886_898_561_6e-9,
    1.755_217_630_743_392_7e-8,
    1.879_082_322_370_048e-8,
    -2.143_069_227_582_364e-7,
    -5.084_465_378_687_302e-8,
    1.695_995_807_943_047_8e-6,
    -9.792_625_707_303_523e-7,
    -1.139_972_607_444_736_5e-5,
    2.238_756_571_491_181_6e-5,
    5.162_601_622_259_853e-5,
    -2.901_553_524_607_765_5e-4,
    2.937_214_295_671_746e-4,
    1.755_626_165_197_065_2e-3,
    -9.746_581_194_305_737e-3,
    2.836_227_737_211_114e-2,
    -5.869_339_838_776_927_6e-2,
    9.230_432_116_428_125e-2,
    -1.088_039_301_545_523_1e-1,
    8.227_673_848_999_506e-2,
    3.585_415_485_781_718e-3,
    -1.402_405_985_855_452_5e-1,
    1.237_512_630_837_826_4,
];

/// Of `1 / Gamma(1 + s)` in `2 s - 1`, by the same means; highest power first.
const RECIPROCAL_GAMMA: [f64; 18] = [
    -2.116_568_053_502_173e-15,
    -1.293_225_599_226_948_6e-14,
    5.220_988_081_934_379e-13,
    -5.442_797_800_297_945_5e-12,
    7.072_920_939_665_128e-12,
    5.264_192_431_742_093e-10,
    -6.785_549_566_158_775_4e-9,
    2.476_094_088_000_692e-8,
    2.975_734_780_219_216_4e-7,
    -4.338_790_056_516_877_5e-6,
    1.656_821_439_511_020_4e-5,
    1.033_265_285_440_308_6e-4,
    -1.317_349_042_766_738_7e-3,
    3.185_428_765_481_639e-3,
    2.188_775_325_549_182e-2,
    -1.316_636_088_813_861_2e-1,
    -2.058_726_322_264_155e-2,
    std::f64::consts::FRAC_2_SQRT_PI,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // By 40-digit arithmetic.
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.615_690_344_192_925_9),
            (1.0, 0.427_583_576_155_807_f64),
            (5.0, 0.110_704_637_733_068_63),
            (1e6, 5.641_895_835_474_742e-7),
            (-1.0, 5.008_980_080_762_283),
            (-5.0, 144_009_798_674.661_04),
        ] {
            assert!((erfcx(x) / expected - 1.0).abs() < 3e-15, "{x}: {}", erfcx(x));
        }
        assert_eq!(erfcx(-30.0), f64::INFINITY);
        for (b, expected) in [
            (0.25, 0.275_815_662_830_209_3),
            (0.5, 0.564_189_583_547_756_3),
            (1.0, 1.0),
            (1.5, std::f64::consts::FRAC_2_SQRT_PI),
            (2.0, 1.0),
        ] {
            assert!((reciprocal_gamma(b) / expected - 1.0).abs() < 1e-15, "{b}");
        }
        assert!((exp(1.0) / std::f64::consts::E - 1.0).abs() < 1e-15);
    }
}
