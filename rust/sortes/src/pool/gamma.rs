//! The gamma function, as quotients and derivatives that lose no digits for large arguments.

/// From here on the asymptotic series are exact to rounding.
const LARGE: f64 = 16.0;
/// Up to this many terms are added one by one.
const TERMS: f64 = 32.0;

/// `ln gamma(x)` less `(x - 1/2) ln x - x + ln(2 pi) / 2`, for a large `x`.
fn stirling(x: f64) -> f64 {
    let y = 1.0 / (x * x);
    (1.0 / 12.0
        - y * (1.0 / 360.0
            - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y * (1.0 / 1188.0 - y * 691.0 / 360_360.0)))))
        / x
}

/// `ln(gamma(x + a) / gamma(x))`, for positive `x` and an `a` that is not negative.
pub(super) fn ln_rise(mut x: f64, a: f64) -> f64 {
    let mut below = 0.0;
    while x < LARGE {
        below += (a / x).ln_1p();
        x += 1.0;
    }
    let far = (x - 0.5) * (a / x).ln_1p() + a * ((x + a).ln() - 1.0);
    far + (stirling(x + a) - stirling(x)) - below
}

/// The derivative of [`ln_rise`] in `x`: `digamma(x + a) - digamma(x)`; for a whole `a` it is
/// `1 / x + ... + 1 / (x + a - 1)`.
pub(super) fn rise_slope(x: f64, a: f64) -> f64 {
    if a <= TERMS && a.fract() == 0.0 {
        return terms(a).map(|i| 1.0 / (x + i)).sum();
    }
    digamma(x + a) - digamma(x)
}

/// The derivative of [`rise_slope`] in `x`: `trigamma(x + a) - trigamma(x)`, which is negative.
pub(super) fn rise_bend(x: f64, a: f64) -> f64 {
    if a <= TERMS && a.fract() == 0.0 {
        return -terms(a).map(|i| (x + i).powi(-2)).sum::<f64>();
    }
    trigamma(x + a) - trigamma(x)
}

fn terms(a: f64) -> impl Iterator<Item = f64> {
    (0..a as u32).map(f64::from)
}

/// The derivative of `ln gamma(x)`, for a positive `x`.
pub(super) fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < LARGE {
        below += 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = 1.0 / 12.0
        - y * (1.0 / 120.0
            - y * (1.0 / 252.0 - y * (1.0 / 240.0 - y * (1.0 / 132.0 - y * 691.0 / 32_760.0))));
    x.ln() - 0.5 / x - y * series - below
}

/// The second derivative of `ln gamma(x)`, for a positive `x`.
pub(super) fn trigamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < LARGE {
        below += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = 1.0 / 6.0
        - y * (1.0 / 30.0
            - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * (5.0 / 66.0 - y * 691.0 / 2730.0))));
    (1.0 + 0.5 / x + y * series) / x + below
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of mpmath at 40 digits.
    #[test]
    fn values_are_those_of_a_table() {
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 4e-15 * b.abs().max(1.0), "{a} {b}");
        close(digamma(1.0), -0.577_215_664_901_532_9);
        close(digamma(0.001), -1_000.575_571_931_811);
        close(digamma(50.0), 3.901_989_673_427_892);
        close(trigamma(1.0), 1.644_934_066_848_226_4);
        close(trigamma(0.25), 17.197_329_154_507_11);
        close(ln_rise(1.0, 4.0), 24f64.ln());
        close(ln_rise(0.5, 0.5), -0.572_364_942_924_700_1);
        close(ln_rise(1e15, 1e-3), 0.034_538_776_394_910_68);
        for a in [0.0, 1.0, 5.0, 32.0, 40.0, 100.5] {
            close(rise_slope(0.3, a), digamma(0.3 + a) - digamma(0.3));
            close(rise_bend(0.3, a), trigamma(0.3 + a) - trigamma(0.3));
        }
    }
}
