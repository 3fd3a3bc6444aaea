//! Autocovariances by a fast Fourier transform.

use sortes_core::memory::filled;
use sortes_core::{Result, Run};

type Complex = (f64, f64);

/// The products of a series with itself at every lag below its length, summed: of `n` numbers with
/// mean zero, `n` times the biased autocovariances.
///
/// # Errors
/// If there is no memory, or the work is cancelled.
pub(super) fn autocorrelation(x: &[f64], out: &mut [f64], run: Run<'_>) -> Result<()> {
    // Zeros behind the series keep its end from meeting its beginning.
    let size = (2 * x.len()).next_power_of_two();
    let mut wave = filled(size, (0.0, 0.0), "frequencies")?;
    for (wave, &x) in wave.iter_mut().zip(x) {
        wave.0 = x;
    }
    transform(&mut wave, run)?;
    for wave in &mut wave {
        *wave = (wave.0 * wave.0 + wave.1 * wave.1, 0.0);
    }
    // The power is even, so that its transform is its inverse transform, but for the factor.
    transform(&mut wave, run)?;
    for (out, wave) in out.iter_mut().zip(&wave) {
        *out = wave.0 / size as f64;
    }
    Ok(())
}

/// The discrete Fourier transform of a power of two of numbers, in place (Cooley and Tukey 1965).
fn transform(wave: &mut [Complex], run: Run<'_>) -> Result<()> {
    let size = wave.len();
    let bits = size.trailing_zeros();
    for i in 1..size {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            wave.swap(i, j);
        }
    }
    let mut turns = filled(size / 2, (1.0, 0.0), "frequencies")?;
    for (k, turn) in turns.iter_mut().enumerate() {
        let (sine, cosine) = (-std::f64::consts::TAU * k as f64 / size as f64).sin_cos();
        *turn = (cosine, sine);
    }
    let mut half = 1;
    while half < size {
        run.check()?;
        let stride = size / (2 * half);
        for block in wave.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((a, b), &(c, s)) in low.iter_mut().zip(high).zip(turns.iter().step_by(stride)) {
                let turned = (b.0 * c - b.1 * s, b.0 * s + b.1 * c);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_definition() {
        for n in [1, 2, 3, 7, 64, 100] {
            let x: Vec<f64> = (0..n).map(|i| ((i * i + 3) % 17) as f64 - 8.0).collect();
            let mut out = vec![0.0; n];
            autocorrelation(&x, &mut out, Run::alone()).unwrap();
            for (lag, out) in out.iter().enumerate() {
                let truth: f64 = x.iter().zip(&x[lag..]).map(|(a, b)| a * b).sum();
                assert!((out - truth).abs() < 1e-9, "{n} {lag}: {out} {truth}");
            }
        }
    }
}
