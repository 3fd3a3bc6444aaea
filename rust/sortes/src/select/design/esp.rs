//! Elementary symmetric polynomials in log space.

use sortes_core::Result;
use sortes_core::cancel::Cancel;

use sortes_core::memory::with_capacity;

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
/// If there is no memory for the result, or the work was cancelled.
///
/// ```
/// use sortes::select::design::esp::log_elementary_symmetric;
///
/// let logs = [0.5f64.ln(), 0.0, 2f64.ln()];
/// let e = log_elementary_symmetric(&logs, 3, &Default::default()).unwrap();
/// for (log, expected) in e.iter().zip([1.0, 3.5, 3.5, 1.0]) {
///     assert!((log.exp() - expected).abs() < 1e-14);
/// }
/// ```
pub fn log_elementary_symmetric(logs: &[f64], k: usize, cancel: &Cancel) -> Result<Vec<f64>> {
    let mut e = with_capacity(k + 1, "polynomials")?;
    e.resize(k + 1, f64::NEG_INFINITY);
    e[0] = 0.0;
    for (i, &log) in logs.iter().enumerate() {
        cancel.check()?;
        for j in (1..=k.min(i + 1)).rev() {
            e[j] = log_add(e[j], e[j - 1] + log);
        }
    }
    Ok(e)
}
