//! The chance that some, or all, of `k` samples are right, where `c` of `n` are.
//!
//! Of the `C(n, k)` subsets of `k` samples, `C(n - c, k)` hold no right one. The quotient is a product
//! of `min(c, k)` factors, since `C(n - c, k) / C(n, k) = C(n - k, c) / C(n, c)`; where these are many,
//! its logarithm is an integral, all of whose terms have one sign, and a few corrections.
//!
//! Chen, Tworek, Jun and others, "Evaluating large language models trained on code", 2021,
//! arXiv:2107.03374.

use sortes_core::memory::zeroed;
use sortes_core::{Error, Result, Run};

use super::LARGEST;

/// Rows of one task.
const BLOCK: usize = 1 << 12;
/// Up to this many factors are multiplied one by one.
const FACTORS: i64 = 128;

/// What is counted: for each row the samples, the right ones among them, and how many are looked at.
/// A vector of one number holds for all rows.
#[derive(Debug, Clone, Copy)]
pub struct Counts<'a> {
    /// The samples of a row.
    pub n: &'a [i64],
    /// Those that are right.
    pub c: &'a [i64],
    /// Those that are looked at.
    pub k: &'a [i64],
}

impl Counts<'_> {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        let lengths = [self.n.len(), self.c.len(), self.k.len()];
        if lengths.contains(&0) { 0 } else { lengths.into_iter().max().unwrap_or(0) }
    }

    fn row(&self, row: usize) -> (i64, i64, i64) {
        let at = |x: &[i64]| if x.len() == 1 { x[0] } else { x[row] };
        (at(self.n), at(self.c), at(self.k))
    }
}

/// What is asked of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    /// The chance that some of the `k` samples are right.
    Any,
    /// The chance that all of them are.
    All,
    /// An unbiased estimate of the variance of the first, where another `n` samples are drawn.
    Variance,
}

impl Passes {
    fn of(self, n: i64, c: i64, k: i64) -> f64 {
        match self {
            Self::Any => some(n, c, k),
            Self::All => none(n, n - c, k),
            Self::Variance => variance(n, c, k),
        }
    }
}

/// What is asked of each row, of as many rows as the longest vector has. Progress counts rows.
///
/// # Errors
/// If a count of samples is not in `[0, 2^53]`, there are more right samples than samples, more are
/// looked at than there are (for the variance: than half of them), there is no memory, or the work is
/// cancelled.
pub fn passes(what: Passes, counts: Counts<'_>, run: Run<'_>) -> Result<Vec<f64>> {
    let rows = counts.rows();
    let mut out = zeroed(rows, "rows")?;
    if rows == 0 {
        return Ok(out);
    }
    let table = Table::of(what, counts, run)?;
    run.try_fill_chunks(&mut out, BLOCK, |task, out| {
        let first = task * BLOCK;
        for (i, out) in out.iter_mut().enumerate() {
            let (n, c, k) = counts.row(first + i);
            *out = if let Some(value) = table.as_ref().and_then(|table| table.get(n, c)) {
                value
            } else {
                check(what, first + i, n, c, k)?;
                what.of(n, c, k)
            };
        }
        run.advance(out.len() as u64);
        Ok(())
    })?;
    Ok(out)
}

/// The values of all pairs of `n` and `c` with an `n` that occurs, where there is one `k`.
struct Table {
    /// Where the values of each `n` start, up to the largest one and the end.
    starts: Vec<usize>,
    values: Vec<f64>,
}

impl Table {
    /// The table, if it is smaller than the rows are many.
    fn of(what: Passes, counts: Counts<'_>, run: Run<'_>) -> Result<Option<Self>> {
        let (&[k], rows) = (counts.k, counts.rows()) else { return Ok(None) };
        // Which n there are.
        let mut most = 0;
        for range in run.blocks(counts.n.len(), BLOCK) {
            most = counts.n[range?].iter().fold(most, |most, &n| most.max(n as u64));
        }
        // A negative n is now a large one.
        if most >= rows as u64 {
            return Ok(None);
        }
        let mut starts = zeroed(most as usize + 2, "numbers of samples")?;
        for range in run.blocks(counts.n.len(), BLOCK) {
            for &n in &counts.n[range?] {
                starts[n as usize + 1] = n as usize + 1;
            }
        }
        let mut size = 0usize;
        for start in &mut starts {
            size = size.saturating_add(*start);
            *start = size;
        }
        if size >= rows {
            return Ok(None);
        }
        // Those of a k that is refused are not numbers, and are never looked at.
        let mut values = zeroed(size, "values")?;
        run.fill_chunks(&mut values, BLOCK / 8, |task, values| {
            let first = task * (BLOCK / 8);
            let mut n = starts.partition_point(|&start| start <= first) - 1;
            for (i, value) in (first..).zip(values) {
                if i == starts[n + 1] {
                    n += starts[n + 1..].partition_point(|&start| start <= i);
                }
                let (n, c) = (n as i64, (i - starts[n]) as i64);
                *value = if is_valid(what, n, c, k) { what.of(n, c, k) } else { f64::NAN };
            }
        })?;
        Ok(Some(Self { starts, values }))
    }

    /// The value of an `n` that occurs; none if the row is refused.
    #[inline]
    fn get(&self, n: i64, c: i64) -> Option<f64> {
        let start = self.starts[n as usize];
        if !(0..=n).contains(&c) {
            return None;
        }
        Some(self.values[start + c as usize]).filter(|value| !value.is_nan())
    }
}

fn is_valid(what: Passes, n: i64, c: i64, k: i64) -> bool {
    let most = if what == Passes::Variance { n / 2 } else { n };
    (0..=LARGEST).contains(&n) && (0..=n).contains(&c) && (0..=most).contains(&k)
}

#[inline]
fn check(what: Passes, row: usize, n: i64, c: i64, k: i64) -> Result<()> {
    if is_valid(what, n, c, k) {
        return Ok(());
    }
    Err(if !(0..=LARGEST).contains(&n) {
        Error::row("n", row, format!("must be in [0, 2**53], got {n}"))
    } else if !(0..=n).contains(&c) {
        Error::row("c", row, format!("must be at least 0 and at most n, which is {n}, got {c}"))
    } else {
        let of = if what == Passes::Variance { "half of n, which is " } else { "n, which is " };
        Error::row("k", row, format!("must be at least 0 and at most {of}{n}, got {k}"))
    })
}

/// The chance that some of `k` samples of `n` are among `c` of them.
///
/// The relative error is at most `(3 min(c, k) + 4) 2^-53`, and `40 * 2^-53` where `min(c, k)` exceeds
/// 128: always below 5e-14.
pub fn some(n: i64, c: i64, k: i64) -> f64 {
    let (few, many) = (c.min(k), c.max(k));
    if few == 0 {
        return 0.0;
    }
    if few > n - many {
        return 1.0;
    }
    if few > FACTORS {
        return -ln_none(n, few, many).exp_m1();
    }
    let (n, many) = (n as f64, many as f64);
    if few == 1 {
        return many / n;
    }
    let missed = product(n, few, many);
    if missed <= 0.5 {
        return 1.0 - missed;
    }
    // The chance of a first hit with each sample: all terms are positive, nothing cancels.
    let mut hit = 0.0;
    for i in 0..few {
        hit += (1.0 - hit) * (many / (n - i as f64));
    }
    hit
}

/// The factors `(n - many - i) / (n - i)`, multiplied: one division for sixteen, whose products are
/// below `2^(16 * 53)`.
fn product(n: f64, few: i64, many: f64) -> f64 {
    let mut missed = 1.0;
    let (mut above, mut below) = (n - many, n);
    for first in (0..few).step_by(16) {
        let (mut over, mut under) = (1.0, 1.0);
        for _ in first..few.min(first + 16) {
            over *= above;
            under *= below;
            above -= 1.0;
            below -= 1.0;
        }
        missed *= over / under;
    }
    missed
}

/// The chance that none of `k` samples of `n` are among `c` of them.
pub fn none(n: i64, c: i64, k: i64) -> f64 {
    let (few, many) = (c.min(k), c.max(k));
    if few > n - many {
        return 0.0;
    }
    if few > FACTORS {
        return ln_none(n, few, many).exp();
    }
    product(n as f64, few, many as f64)
}

/// An unbiased estimate of the variance of [`some`] over sets of `n` samples: the square of [`none`]
/// less the same of `2 k` samples, which estimates the square of what both estimate.
fn variance(n: i64, c: i64, k: i64) -> f64 {
    // The second is the product of the first and of k later, smaller factors.
    let (once, later) = (none(n, c, k), none(n - k, c, k));
    once * (once - later).max(0.0)
}

/// The nodes in `(0, 1)` and the weights of the Gauss-Legendre rule of 12 points on `[-1, 1]`.
const RULE: [(f64, f64); 6] = [
    (0.125_233_408_511_468_9, 0.249_147_045_813_402_77),
    (0.367_831_498_998_180_2, 0.233_492_536_538_354_8),
    (0.587_317_954_286_617_5, 0.203_167_426_723_065_92),
    (0.769_902_674_194_304_7, 0.160_078_328_543_346_2),
    (0.904_117_256_370_474_9, 0.106_939_325_995_318_43),
    (0.981_560_634_246_719_3, 0.047_175_336_386_511_83),
];
/// Terms nearer to the logarithm's pole than this are added one by one.
const NEAR: i64 = 32;

/// `ln prod_{i < few} (1 - many / (n - i))`, for `few + many <= n`.
///
/// With `d = n - many - i` a term is `ln(d / (d + many))`. Those with the smallest `d` are added as
/// they are; the others by Euler and Maclaurin's formula, with intervals that begin half a step
/// before a term. A position is its distance from the last of these terms: half a step would be lost
/// in `d` itself, which may be as large as [`LARGEST`].
///
/// Beyond [`FACTORS`] terms the relative error is below 4e-15, that is 36 u with `u = 2^-53`. A term
/// takes up to 7 u, by its position, `d + many`, the quotient and the logarithm. The weights and sums
/// of a piece of the integral take 10 u, and the sum of the pieces 7 u: as long as `4 d <= many` each
/// is at least 1.26 times as large as the one before, and then two more follow. The terms near the
/// pole, less than half of the whole, take 30 u where these take 17 u, and the last sums 3 u. What the
/// rule leaves falls as 5.8^-24, and the next correction is below 3e-17: they count for nothing.
fn ln_none(n: i64, few: i64, many: i64) -> f64 {
    let gap = many as f64;
    let term = |d: f64| if d < gap { (d / (d + gap)).ln() } else { (-gap / (d + gap)).ln_1p() };
    let (mut last, first) = (n - many - few + 1, n - many);
    let mut total = 0.0;
    while last < NEAR && last <= first {
        total += term(last as f64);
        last += 1;
    }
    if last > first {
        return total;
    }
    let (from, to) = (-0.5, (first - last) as f64 + 0.5);
    let last = last as f64;
    // The integral: on [d, 2 d] the pole is far enough for the rule to be exact to rounding.
    let (mut a, mut integral) = (from, 0.0);
    while a < to {
        let b = (last + 2.0 * a).min(to);
        let (middle, half) = (0.5 * (a + b), 0.5 * (b - a));
        let at = |x: f64| term(last + (middle + half * x));
        let sum: f64 = RULE.iter().map(|&(x, w)| w * (at(-x) + at(x))).sum();
        integral += half * sum;
        a = b;
    }
    // The corrections: derivatives of order 1, 3, 5 and 7 at the ends.
    let corrections = |d: f64| {
        let power = |p: i32| (d + gap).powi(-p) - d.powi(-p);
        let first = -gap / (d * (d + gap));
        first / 24.0 - 7.0 / 2880.0 * power(3) + 31.0 / 40_320.0 * power(5)
            - 127.0 / 215_040.0 * power(7)
    };
    total + integral + corrections(last + to) - corrections(last + from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sortes_core::num::Sum;

    /// The logarithm of the product with one factor for each of the `few`, whatever their number: its
    /// relative error is that of one factor, which is below 5e-16.
    fn ln_product(n: i64, few: i64, many: i64) -> f64 {
        let mut sum = Sum::default();
        for i in 0..few {
            let (hits, all) = (many as f64, (n - i) as f64);
            let left = (n - i - many) as f64 / all;
            sum.add(if left < 0.5 { left.ln() } else { (-hits / all).ln_1p() });
        }
        sum.value()
    }

    fn assert_close(n: i64, few: i64, many: i64) {
        let (fast, slow) = (ln_none(n, few, many), ln_product(n, few, many));
        assert!((fast / slow - 1.0).abs() <= 4.5e-15, "{n} {few} {many}: {fast} {slow}");
    }

    proptest! {
        #[test]
        fn the_integral_is_the_sum(few in 1i64..3000, more in 0i64..100_000, rest in 0i64..100_000) {
            let many = few + more;
            assert_close(few + many + rest, few, many);
        }

        #[test]
        fn some_and_none_are_everything(n in 0i64..500, c in 0i64..500, k in 0i64..500) {
            let (c, k) = (c.min(n), k.min(n));
            prop_assert!((some(n, c, k) + none(n, c, k) - 1.0).abs() < 1e-14);
            prop_assert_eq!(some(n, c, k), some(n, k, c));
        }
    }

    /// Positions beside 2^53 have no halves. Seen red: with them, 129 terms were off by one in 129.
    #[test]
    fn half_steps_count_beside_the_largest_numbers() {
        for n in [(1 << 52) - 1, (1 << 52) + 1, LARGEST - 1, LARGEST] {
            for few in [129, 130, 1000, 20_001] {
                for many in [few, 1 << 20, 1 << 45, n / 2, n - few - 40, n - few] {
                    assert_close(n, few, many);
                }
            }
        }
    }

    #[test]
    fn values_that_are_known() {
        assert_eq!(some(10, 3, 1), 0.3);
        assert_eq!(some(LARGEST, 1, 1), 2f64.powi(-53));
        assert_eq!(
            [some(7, 0, 7), some(7, 7, 0), some(0, 0, 0), none(0, 0, 0)],
            [0.0, 0.0, 0.0, 1.0]
        );
        assert_eq!((some(5, 2, 4), none(5, 2, 4)), (1.0, 0.0));
        assert_eq!(some(LARGEST, LARGEST / 2, LARGEST / 2), 1.0);
        // (1 - k / n)^c, where both are small beside n.
        let (k, c) = (1 << 26, 1 << 26);
        assert!((some(LARGEST, c, k) - 0.393_469_340_287_366_6).abs() < 1e-8);
    }

    #[test]
    fn a_table_holds_what_the_rows_hold() {
        let c: Vec<i64> = (0..5000).map(|i| i % 201).collect();
        for what in [Passes::Any, Passes::All, Passes::Variance] {
            let looked_up =
                passes(what, Counts { n: &[200], c: &c, k: &[70] }, Run::alone()).unwrap();
            let n = vec![200; c.len()];
            let k = vec![70; c.len()];
            let each = passes(what, Counts { n: &n, c: &c, k: &k }, Run::alone()).unwrap();
            assert_eq!(looked_up, each);
        }
    }

    #[test]
    fn a_table_of_several_n_holds_what_the_rows_hold() {
        let n: Vec<i64> = (0..50_000).map(|i| [140, 0, 201, 7, 141][i % 5]).collect();
        let c: Vec<i64> = (0..50_000).zip(&n).map(|(i, &n)| i / 5 % (n + 1)).collect();
        // All of them look at no sample; those with many samples at 70.
        let many = n.iter().zip(&c).filter(|(n, _)| **n >= 140).unzip();
        for ((n, c), k) in [((n, c), 0), (many, 70)] {
            for what in [Passes::Any, Passes::All, Passes::Variance] {
                let counts = Counts { n: &n, c: &c, k: &[k] };
                assert!(Table::of(what, counts, Run::alone()).unwrap().is_some());
                let k = vec![k; c.len()];
                let each = passes(what, Counts { k: &k, ..counts }, Run::alone()).unwrap();
                assert_eq!(passes(what, counts, Run::alone()).unwrap(), each);
            }
        }
    }

    #[test]
    fn the_first_bad_row_is_named() {
        let (n, mut c) = ([9, 3, 9].repeat(100), vec![1; 300]);
        c[5] = 10;
        let counts = Counts { n: &n, c: &c, k: &[4] };
        let refused = |counts| passes(Passes::Any, counts, Run::alone()).unwrap_err().to_string();
        let expected = "k: row 1: must be at least 0 and at most n, which is 3, got 4";
        assert_eq!(refused(counts), expected);
        let expected = "c: row 5: must be at least 0 and at most n, which is 9, got 10";
        assert_eq!(refused(Counts { k: &[2], ..counts }), expected);
        let (mut n, c) = (vec![9; 300], vec![1; 300]);
        n[7] = -1;
        let expected = "n: row 7: must be in [0, 2**53], got -1";
        assert_eq!(refused(Counts { n: &n, c: &c, k: &[2] }), expected);

        let ask = |n: &[i64], c: &[i64], k: &[i64]| {
            passes(Passes::Any, Counts { n, c, k }, Run::alone()).unwrap_err().to_string()
        };
        let expected = "k: row 1: must be at least 0 and at most n, which is 3, got 4";
        assert_eq!(ask(&[9, 3], &[1], &[4]), expected);
        let expected = "c: row 2: must be at least 0 and at most n, which is 1, got 2";
        assert_eq!(ask(&[1], &[0, 1, 2, 3], &[1]), expected);
        assert_eq!(ask(&[-1], &[0], &[1]), "n: row 0: must be in [0, 2**53], got -1");
    }
}
