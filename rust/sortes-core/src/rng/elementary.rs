//! Logarithms and the normal quantile, from IEEE operations alone.
//!
//! The system's mathematical library differs between platforms in the last bit; additions,
//! multiplications, divisions and square roots do not. Draws must not depend on the platform.

use std::f64::consts::LN_2;

/// `ln((1 + s) / (1 - s)) = 2 artanh(s)` for `|s| <= 0.172`, by its odd series.
#[inline(always)]
fn two_artanh(s: f64) -> f64 {
    let square = s * s;
    let mut sum = 0.0;
    // 0.172^2 = 0.0296 and 0.0296^12 / 25 < 2^-64.
    let mut k = 23;
    while k >= 3 {
        sum = (sum + 1.0 / f64::from(k)) * square;
        k -= 2;
    }
    2.0 * s + 2.0 * s * sum
}

const FRAC_1_SQRT_2_BITS: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
/// `LN_2` in two parts: the first ends in zeros, so that its product with an exponent is exact.
const LN_2_HIGH: f64 = f64::from_bits(LN_2.to_bits() & !0xFFFF_FFFF);
const LN_2_LOW: f64 = 4.749_325_039_031_672_6e-7;

/// The natural logarithm of a positive, finite, normal number, to about one unit in the last place.
///
/// Without branches, for loops over many items.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0);
    // Write x = 2^e m with m in [sqrt(1/2), sqrt(2)), so that e = 0 around x = 1.
    let shifted = x.to_bits().wrapping_sub(FRAC_1_SQRT_2_BITS).cast_signed();
    let exponent = shifted >> 52;
    let m = f64::from_bits(x.to_bits().wrapping_sub(exponent.cast_unsigned() << 52));
    let e = f64::from(exponent as i32); // few instruction sets convert vectors of wider integers
    e * LN_2_HIGH + (two_artanh((m - 1.0) / (m + 1.0)) + e * LN_2_LOW)
}

/// The natural logarithm of a non-negative, finite number: denormal or zero as well.
#[inline]
pub fn ln_any(x: f64) -> f64 {
    if x.is_normal() {
        ln(x)
    } else if x == 0.0 {
        f64::NEG_INFINITY
    } else {
        // 2^54 lifts the least denormal into the normal range.
        ln(x * f64::from_bits((1023 + 54) << 52)) - 54.0 * LN_2
    }
}

/// `1.5 * 2^52`: adding it rounds to an integer, which then stands in the low mantissa bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
/// `1 / k!`.
const TAYLOR: [f64; 14] = {
    let mut terms = [1.0; 14];
    let mut k = 1;
    while k < terms.len() {
        terms[k] = terms[k - 1] / k as f64;
        k += 1;
    }
    terms
};

/// `exp(x)` for `x <= 0`, to about one unit in the last place; zero below -708, where the result
/// is no normal number.
///
/// Without branches, for loops over many items.
#[inline(always)]
pub fn exp_negative(x: f64) -> f64 {
    // x = n ln 2 + r with |r| <= ln(2) / 2 = 0.347, and 0.347^14 / 14! < 2^-57.
    let shifted = x * std::f64::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let sum = TAYLOR.iter().rev().fold(0.0, |sum, term| sum * r + term);
    let result = f64::from_bits(sum.to_bits().wrapping_add(shifted.to_bits() << 52));
    if x < -708.0 { 0.0 } else { result }
}

/// `exp(x) - 1` for `x` up to 700, to full relative precision however small `x` is.
#[inline]
pub fn exp_m1(x: f64) -> f64 {
    debug_assert!(x <= 700.0);
    if x < -40.0 {
        return -1.0;
    }
    // x = k ln 2 + r with |r| <= ln(2) / 2 = 0.347, and 0.347^14 / 15! < 2^-80.
    let k = (x * std::f64::consts::LOG2_E).round_ties_even();
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut sum = 0.0;
    let mut n = 14;
    while n >= 2 {
        sum = (sum + 1.0) * (r / f64::from(n));
        n -= 1;
    }
    let power = f64::from_bits(((1023 + k as i64) as u64) << 52);
    (r + r * sum) * power + (power - 1.0)
}

/// `ln(1 - u)` for `u` in `(0, 1)`, to full relative precision however small `u` is.
#[inline]
pub fn ln_1m(u: f64) -> f64 {
    if u < 0.25 { -two_artanh(u / (2.0 - u)) } else { ln(1.0 - u) }
}

/// `-ln(1 - u)` for `u` in `(0, 1)`: the bits of [`ln_1m`], by one formula without branches.
///
/// For loops over many items, where branches would keep the compiler from using vectors.
#[inline(always)]
pub fn exponential(u: f64) -> f64 {
    let x = 1.0 - u;
    let shifted = x.to_bits().wrapping_sub(FRAC_1_SQRT_2_BITS).cast_signed();
    let exponent = shifted >> 52;
    let m = f64::from_bits(x.to_bits().wrapping_sub(exponent.cast_unsigned() << 52));
    let small = u < 0.25;
    let numerator = if small { -u } else { m - 1.0 };
    let denominator = if small { 2.0 - u } else { m + 1.0 };
    // With an exponent of zero the sum below is the series alone, to the bit.
    let e = if small { 0.0 } else { exponent as f64 };
    -(e * LN_2_HIGH + (two_artanh(numerator / denominator) + e * LN_2_LOW))
}

/// The `p`-quantile of the standard normal distribution for `p` in `(0, 1)`.
///
/// Wichura's rational approximations (Algorithm AS 241, Applied Statistics 37, 1988), relative
/// error about 1e-16.
#[inline]
pub fn normal_quantile(p: f64) -> f64 {
    if normal_is_central(p) {
        return normal_centre(p);
    }
    normal_signed(p, normal_outer(normal_depth(p)))
}

// The parts of the quantile, for loops over many items.

/// How far from one half the central approximation reaches.
const CENTRAL: f64 = 0.425;
/// How deep in the tail the second approximation reaches.
pub(super) const SHOULDER_DEPTH: f64 = 5.0;

/// Whether the central approximation reaches `p`.
#[inline(always)]
pub(super) fn normal_is_central(p: f64) -> bool {
    (p - 0.5).abs() <= CENTRAL
}

/// The quantile in the centre; elsewhere the result means nothing.
#[inline(always)]
pub(super) fn normal_centre(p: f64) -> f64 {
    let q = p - 0.5;
    q * ratio(0.180_625 - q * q, &CENTRE)
}

/// How deep in its tail `p` lies: the root of minus the logarithm of the mass beyond.
#[inline(always)]
pub(super) fn normal_depth(p: f64) -> f64 {
    let tail = if p - 0.5 < 0.0 { p } else { 1.0 - p };
    (-ln(tail)).sqrt()
}

/// The size of the quantile at a depth up to [`SHOULDER_DEPTH`], outside the centre.
#[inline(always)]
pub(super) fn normal_shoulder(depth: f64) -> f64 {
    ratio(depth - 1.6, &SHOULDER)
}

/// The size of the quantile at any depth, outside the centre.
#[inline(always)]
pub(super) fn normal_outer(depth: f64) -> f64 {
    if depth <= SHOULDER_DEPTH { normal_shoulder(depth) } else { ratio(depth - 5.0, &TAIL) }
}

/// The quantile outside the centre, from its size.
#[inline(always)]
pub(super) fn normal_signed(p: f64, size: f64) -> f64 {
    if p - 0.5 < 0.0 { -size } else { size }
}

/// The bits of [`normal_quantile`] for `p` in `(2e-11, 0.5)`, by one formula without branches: for loops
/// over many items. Elsewhere the result means nothing.
#[inline(always)]
pub fn normal_quantile_lower(p: f64) -> f64 {
    let shoulder = -normal_shoulder((-ln(p)).sqrt());
    if p - 0.5 >= -CENTRAL { normal_centre(p) } else { shoulder }
}

/// Numerator and denominator, highest power first.
type Rational = [[f64; 8]; 2];

#[inline(always)]
fn ratio(r: f64, [numerator, denominator]: &Rational) -> f64 {
    let horner = |c: &[f64; 8]| c.iter().fold(0.0, |sum, &a| sum * r + a);
    horner(numerator) / horner(denominator)
}

const CENTRE: Rational = [
    [
        2.509_080_928_730_122_7e3,
        3.343_057_558_358_813e4,
        6.726_577_092_700_87e4,
        4.592_195_393_154_987e4,
        1.373_169_376_550_946e4,
        1.971_590_950_306_551_3e3,
        1.331_416_678_917_843_8e2,
        3.387_132_872_796_366_5,
    ],
    [
        5.226_495_278_852_855e3,
        2.872_908_573_572_194_3e4,
        3.930_789_580_009_271e4,
        2.121_379_430_158_659_7e4,
        5.394_196_021_424_751e3,
        6.871_870_074_920_579e2,
        4.231_333_070_160_091e1,
        1.0,
    ],
];

const SHOULDER: Rational = [
    [
        7.745_450_142_783_414e-4,
        2.272_384_498_926_918_4e-2,
        2.417_807_251_774_506e-1,
        1.270_458_252_452_368_4,
        3.647_848_324_763_204_5,
        5.769_497_221_460_691,
        4.630_337_846_156_546,
        1.423_437_110_749_683_5,
    ],
    [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        1.519_866_656_361_645_7e-2,
        1.481_039_764_274_800_8e-1,
        6.897_673_349_851e-1,
        1.676_384_830_183_803_8,
        2.053_191_626_637_759,
        1.0,
    ],
];

const TAIL: Rational = [
    [
        2.010_334_399_292_288_1e-7,
        2.711_555_568_743_487_6e-5,
        1.242_660_947_388_078_4e-3,
        2.653_218_952_657_612_4e-2,
        2.965_605_718_285_048_7e-1,
        1.784_826_539_917_291_3,
        5.463_784_911_164_114,
        6.657_904_643_501_103,
    ],
    [
        2.044_263_103_389_939_8e-15,
        1.421_511_758_316_446e-7,
        1.846_318_317_510_054_7e-5,
        7.868_691_311_456_133e-4,
        1.487_536_129_085_061_5e-2,
        1.369_298_809_227_358e-1,
        5.998_322_065_558_88e-1,
        1.0,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(ours: f64, truth: f64) -> f64 {
        ((ours - truth) / truth).abs()
    }

    #[test]
    fn logarithms_agree_with_the_system() {
        let mut x = 1e-300;
        while x < 1e300 {
            assert!(relative(ln(x), x.ln()) < 5e-16, "ln({x})");
            x *= 1.000_37e1;
        }
        for i in 1..4000 {
            let x = f64::from(i) / 2000.0;
            assert!(i == 2000 || relative(ln(x), x.ln()) < 5e-16, "ln({x})");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn logarithms_of_any_number() {
        assert_eq!(ln_any(0.0), f64::NEG_INFINITY);
        for x in [f64::from_bits(1), 1e-310, f64::MIN_POSITIVE, 2.5, f64::MAX] {
            assert!(relative(ln_any(x), x.ln()) < 5e-16, "ln({x})");
        }
    }

    #[test]
    fn exponentials_less_one_keep_small_arguments() {
        let mut x = 1e-19;
        while x < 690.0 {
            assert!(relative(exp_m1(-x), (-x).exp_m1()) < 1e-15, "-{x}");
            assert!(relative(exp_m1(x), x.exp_m1()) < 1e-15 * (1.0 + x), "{x}");
            x *= 1.013;
        }
        assert_eq!(exp_m1(0.0), 0.0);
        assert_eq!(exp_m1(f64::NEG_INFINITY), -1.0);
    }

    #[test]
    fn exponentials_of_negative_numbers() {
        let mut x = 1e-19;
        while x < 708.0 {
            assert!(relative(exp_negative(-x), (-x).exp()) < 4e-16, "-{x}");
            x *= 1.000_37;
        }
        assert_eq!(exp_negative(0.0), 1.0);
        for tiny in [-708.1, -745.0, -1e300, f64::NEG_INFINITY] {
            assert_eq!(exp_negative(tiny), 0.0);
        }
    }

    #[test]
    fn complement_logarithm_keeps_small_arguments() {
        let mut u = 1e-19;
        while u < 1.0 {
            assert!(relative(ln_1m(u), (-u).ln_1p()) < 5e-16, "ln(1 - {u})");
            u *= 1.013;
        }
    }

    #[test]
    fn lower_quantiles_without_branches() {
        let mut p = 2.1e-11;
        while p < 0.499 {
            assert_eq!(normal_quantile_lower(p), normal_quantile(p), "{p}");
            p *= 1.001_7;
        }
    }

    #[test]
    fn quantiles_of_the_normal() {
        // Classical percentage points.
        for (p, z) in [
            (0.5, 0.0),
            (0.75, 0.674_489_750_196_081_7),
            (0.975, 1.959_963_984_540_054),
            (0.999, 3.090_232_306_167_813),
            (1e-6, -4.753_424_308_822_899),
            (1e-12, -7.034_483_825_301_131),
            (1e-15, -7.941_345_326_170_997),
        ] {
            let ours = normal_quantile(p);
            assert!((ours - z).abs() <= 1e-14 * z.abs().max(1.0), "{p}: {ours} {z}");
        }
    }
}
