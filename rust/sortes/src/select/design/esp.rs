//! Elementary symmetric polynomials in log space.

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
/// ```
/// use sortes::select::design::esp::log_elementary_symmetric;
///
/// let e = log_elementary_symmetric(&[0.5f64.ln(), 0.0, 2f64.ln()], 3);
/// for (log, expected) in e.iter().zip([1.0, 3.5, 3.5, 1.0]) {
///     assert!((log.exp() - expected).abs() < 1e-14);
/// }
/// ```
pub fn log_elementary_symmetric(logs: &[f64], k: usize) -> Vec<f64> {
    let mut e = vec![f64::NEG_INFINITY; k + 1];
    e[0] = 0.0;
    for (i, &log) in logs.iter().enumerate() {
        for j in (1..=k.min(i + 1)).rev() {
            e[j] = log_add(e[j], e[j - 1] + log);
        }
    }
    e
}
