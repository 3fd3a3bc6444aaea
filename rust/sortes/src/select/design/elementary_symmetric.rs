//! Elementary symmetric polynomials in log space.

use sortes_core::error::shown;
use sortes_core::memory::filled;
use sortes_core::{Error, Result, Run};

use super::BLOCK;

/// `ln(e^a + e^b)`.
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// The logarithms of the elementary symmetric polynomials `e[0..=k]` of numbers given by their
/// logarithms: `e[j]` is the sum, over all sets of `j` numbers, of their products.
///
/// All terms are positive, so that nothing cancels: the relative error is a few roundings a number.
/// `O(n k)`.
///
/// # Errors
/// If a logarithm is NaN or positive infinity, there is no memory for the result, or the work is
/// cancelled.
///
/// ```
/// use sortes::select::design::log_elementary_symmetric;
/// use sortes_core::Run;
///
/// let logs = [0.5f64.ln(), 0.0, 2f64.ln()];
/// let e = log_elementary_symmetric(&logs, 3, Run::alone()).unwrap();
/// for (log, expected) in e.iter().zip([1.0, 3.5, 3.5, 1.0]) {
///     assert!((log.exp() - expected).abs() < 1e-14);
/// }
/// ```
pub fn log_elementary_symmetric(logs: &[f64], k: usize, run: Run<'_>) -> Result<Vec<f64>> {
    for range in run.blocks(logs.len(), BLOCK) {
        for i in range? {
            if logs[i].is_nan() || logs[i] == f64::INFINITY {
                return Err(Error::item("logs", i, "[-inf, inf)", shown(logs[i])));
            }
        }
    }
    let mut e = filled(k.saturating_add(1), f64::NEG_INFINITY, "polynomials")?;
    e[0] = 0.0;
    for (i, &log) in logs.iter().enumerate() {
        // Downwards, since each polynomial is made from those of the numbers before.
        let top = k.min(i + 1);
        for range in run.blocks(top, BLOCK) {
            for below in range? {
                let j = top - below;
                e[j] = log_add(e[j], e[j - 1] + log);
            }
        }
        run.advance(1);
    }
    Ok(e)
}
