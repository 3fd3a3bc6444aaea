//! Which particles go on: ancestors in proportion to weights, by five schemes.
//!
//! Gerber, Chopin and Whiteley, "Negative association, ordering and convergence of resampling methods",
//! Annals of Statistics 47, 2019, compare them. Every scheme has `E[counts] = n w / sum(w)`.

use crate::error::shown;
use crate::memory::{filled, with_capacity};
use crate::num::Sum;
use crate::rng::elementary::exp_negative;
use crate::rng::{Draws, Purpose, Stream};
use crate::{Error, Result, Run};

use super::{Fraction, duel, systematic};

/// Particles between two looks at the stop request.
const BLOCK: usize = 1 << 15;
/// How near an expected count is taken for an integer where whole copies are set apart.
const WHOLE: f64 = 1e-9;
/// How near a sum of expected counts is taken for an integer: some roundings.
const SNAP: f64 = 1e-12;

/// How ancestors are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Independently.
    Multinomial,
    /// One in each of `n` strata of equal weight.
    Stratified,
    /// The same place in each stratum.
    Systematic,
    /// Whole copies first, and the rest independently.
    Residual,
    /// Whole copies first, and fractions in pairs (Srinivasan's process, the pivotal method).
    Ssp,
}

/// Rows of weights.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The weights, row by row.
    pub weights: &'a [f64],
    /// How many a row has, at least one.
    pub columns: usize,
    /// Whether these are their logarithms.
    pub log: bool,
}

/// Fills every row of `out` with `n` ancestors of its row of weights, at least one, in ascending
/// order. Progress counts particles.
///
/// # Errors
/// That of the first row with a weight that is negative, infinite or NaN, or with none above zero; if
/// there is no memory, or the work is cancelled.
pub fn ancestors(
    rows: Rows<'_>,
    n: usize,
    scheme: Scheme,
    stream: Stream,
    out: &mut [i64],
    run: Run<'_>,
) -> Result<()> {
    let columns = rows.columns;
    run.try_fill_chunks(out, n, |row, out| {
        let run = run.serial();
        let pi = expected(rows, row, n as f64, run)?;
        let mut draws = stream.draws(Purpose::Resample, row as u64);
        match scheme {
            Scheme::Multinomial => multinomial(&pi, n, &mut draws, run, |k, i| out[k] = i)?,
            Scheme::Stratified => stratified(&pi, &mut draws, out, run)?,
            Scheme::Systematic => {
                let hits = systematic(&pi, draws.uniform(), None, run)?;
                let last = pi.iter().rposition(|&p| p > 0.0).unwrap_or(0) as i64;
                for (k, out) in out.iter_mut().enumerate() {
                    *out = hits.get(k).copied().unwrap_or(last);
                }
            }
            Scheme::Residual | Scheme::Ssp => {
                let mut counts = filled(columns, 0u64, "counts")?;
                if scheme == Scheme::Ssp {
                    pairs(&pi, n, &mut draws, &mut counts, run)?;
                } else {
                    residual(&pi, n, &mut draws, &mut counts, run)?;
                }
                let mut k = 0;
                for (i, &count) in counts.iter().enumerate() {
                    for copies in run.blocks(count as usize, BLOCK) {
                        let copies = copies?.len();
                        out[k..k + copies].fill(i as i64);
                        k += copies;
                    }
                }
            }
        }
        if scheme != Scheme::Systematic {
            run.advance(columns as u64); // the comb has counted its own
        }
        Ok(())
    })
}

/// The expected count of every particle of a row.
fn expected(rows: Rows<'_>, row: usize, n: f64, run: Run<'_>) -> Result<Vec<f64>> {
    let weights = &rows.weights[row * rows.columns..][..rows.columns];
    let least = if rows.log { f64::NEG_INFINITY } else { 0.0 };
    let mut top = least;
    for block in run.blocks(weights.len(), BLOCK) {
        for i in block? {
            let w = weights[i];
            if !(w >= least && w < f64::INFINITY) {
                let domain = if rows.log { "[-inf, inf)" } else { "[0, inf)" };
                let got = shown(w);
                return Err(Error::row(
                    "weights",
                    row,
                    format!("item {i} must be in {domain}, got {got}"),
                ));
            }
            top = top.max(w);
        }
    }
    if top == least {
        let zero = if rows.log { "-inf" } else { "zero" };
        return Err(Error::row("weights", row, format!("all {} items are {zero}", weights.len())));
    }
    let mut pi = with_capacity(weights.len(), "expected counts")?;
    let mut total = Sum::default();
    for block in run.blocks(weights.len(), BLOCK) {
        for &w in &weights[block?] {
            let w = if rows.log { exp_negative(w - top) } else { w / top };
            total.add(w);
            pi.push(w);
        }
    }
    let total = total.value();
    for block in run.blocks(weights.len(), BLOCK) {
        for p in &mut pi[block?] {
            let exact = n * *p / total;
            let whole = exact.round();
            let is_whole = (exact - whole).abs() <= 4.0 * f64::EPSILON * whole;
            *p = if is_whole { whole } else { exact };
        }
    }
    Ok(pi)
}

/// `n` independent units in proportion to `pi`, in ascending order: order statistics of uniforms from
/// exponential spacings, merged with the cumulative sum.
fn multinomial(
    pi: &[f64],
    n: usize,
    draws: &mut Draws,
    run: Run<'_>,
    mut found: impl FnMut(usize, i64),
) -> Result<()> {
    let mut spacings = with_capacity(n + 1, "spacings")?;
    let mut length = Sum::default();
    for block in run.blocks(n + 1, BLOCK) {
        for _ in block? {
            length.add(draws.exponential());
            spacings.push(length.value());
        }
    }
    let mut total = Sum::default();
    for &p in pi {
        total.add(p);
    }
    // A unit reaches to its share of the whole length.
    let scale = length.value() / total.value();
    let (mut i, mut along) = (0, Sum::default());
    let mut last = 0;
    let mut reach = 0.0;
    for block in run.blocks(n, BLOCK) {
        for k in block? {
            while spacings[k] >= reach && i < pi.len() {
                if pi[i] > 0.0 {
                    along.add(pi[i]);
                    reach = along.value() * scale;
                    last = i;
                }
                i += 1;
            }
            found(k, last as i64);
        }
    }
    Ok(())
}

/// One unit for each stratum of length one: the first whose cumulative sum is above the place.
fn stratified(pi: &[f64], draws: &mut Draws, out: &mut [i64], run: Run<'_>) -> Result<()> {
    // The cumulative sum is an integer and a fraction, so that places are as fine in the last stratum
    // as in the first.
    let (mut whole, mut rest) = (0u64, Sum::default());
    let (mut i, mut last) = (0, 0);
    for block in run.blocks(out.len(), BLOCK) {
        for k in block? {
            let u = draws.uniform();
            while i < pi.len() && !((k as u64) < whole || (k as u64 == whole && u < rest.value())) {
                if pi[i] > 0.0 {
                    let certain = pi[i].trunc();
                    whole += certain as u64;
                    rest.add(pi[i] - certain);
                    if rest.value() >= 1.0 - SNAP {
                        whole += 1;
                        rest.add(-1.0);
                    }
                    if rest.value().abs() <= SNAP {
                        rest = Sum::default();
                    }
                    last = i;
                }
                i += 1;
            }
            out[k] = last as i64;
        }
    }
    Ok(())
}

/// The copies that are certain, and the fraction that is left.
#[inline]
fn parts(p: f64) -> (u64, f64) {
    let whole = (p + WHOLE).floor();
    let fraction = p - whole;
    (whole as u64, if fraction > WHOLE { fraction } else { 0.0 })
}

/// Whole copies, and the rest by [`multinomial`].
fn residual(
    pi: &[f64],
    n: usize,
    draws: &mut Draws,
    counts: &mut [u64],
    run: Run<'_>,
) -> Result<()> {
    let mut rests = with_capacity(pi.len(), "fractions")?;
    let mut certain = 0;
    for block in run.blocks(pi.len(), BLOCK) {
        for i in block? {
            let (whole, fraction) = parts(pi[i]);
            counts[i] = whole;
            certain += whole as usize;
            rests.push(fraction);
        }
    }
    if certain < n {
        multinomial(&rests, n - certain, draws, run, |_, i| counts[i as usize] += 1)?;
    }
    Ok(())
}

/// Whole copies, and fractions that meet in pairs, in the order of the particles.
fn pairs(pi: &[f64], n: usize, draws: &mut Draws, counts: &mut [u64], run: Run<'_>) -> Result<()> {
    let mut open = Fraction::default();
    let (mut given, mut last) = (0, 0);
    for block in run.blocks(pi.len(), BLOCK) {
        for i in block? {
            let (whole, fraction) = parts(pi[i]);
            counts[i] = whole;
            given += whole as usize;
            if fraction == 0.0 {
                continue;
            }
            last = i;
            let next = Fraction { id: i as i64, pi: fraction };
            if open.pi == 0.0 {
                open = next;
                continue;
            }
            open = duel(open, next, draws.uniform(), |id| {
                counts[id as usize] += 1;
                given += 1;
            });
            if open.pi <= SNAP {
                open = Fraction::default();
            } else if open.pi >= 1.0 - SNAP {
                counts[open.id as usize] += 1;
                given += 1;
                open = Fraction::default();
            }
        }
    }
    // Roundings may have left the last one short of an integer.
    if given < n {
        let id = if open.pi > 0.0 { open.id as usize } else { last };
        counts[id] += (n - given) as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Scheme; 5] = [
        Scheme::Multinomial,
        Scheme::Stratified,
        Scheme::Systematic,
        Scheme::Residual,
        Scheme::Ssp,
    ];

    fn draw(weights: &[f64], n: usize, scheme: Scheme, key: u64) -> Vec<i64> {
        let rows = Rows { weights, columns: weights.len(), log: false };
        let mut out = vec![-1; n];
        ancestors(rows, n, scheme, Stream::new(key), &mut out, Run::alone()).unwrap();
        out
    }

    #[test]
    fn counts_have_their_means() {
        let weights = [0.0, 0.1, 0.2, 0.0, 0.3, 0.4, 0.0];
        for scheme in ALL {
            for n in [1, 4, 7] {
                let mut counts = [0.0; 7];
                for key in 0..20_000 {
                    let drawn = draw(&weights, n, scheme, key);
                    assert!(drawn.is_sorted());
                    for &i in &drawn {
                        counts[i as usize] += 1.0 / 20_000.0;
                    }
                }
                for (i, w) in weights.iter().enumerate() {
                    let mean = n as f64 * w;
                    assert!(
                        (counts[i] - mean).abs() <= 5.5 * (mean / 20_000.0).sqrt(),
                        "{scheme:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn equal_weights_keep_all() {
        for scheme in [Scheme::Stratified, Scheme::Systematic, Scheme::Residual, Scheme::Ssp] {
            for n in [1, 3, 49, 1_000_000] {
                for w in [1.0 / n as f64, 0.1, 3.0] {
                    let drawn = draw(&vec![w; n], n, scheme, 5);
                    assert!(
                        drawn.iter().enumerate().all(|(k, &i)| k as i64 == i),
                        "{scheme:?} {n}"
                    );
                }
            }
        }
    }

    #[test]
    fn counts_are_floors_or_ceilings() {
        let weights: Vec<f64> = (0..1000).map(|i| f64::from((i * 7919) % 101)).collect();
        let total: f64 = weights.iter().sum();
        for scheme in [Scheme::Systematic, Scheme::Ssp] {
            for key in 0..200 {
                let n = 700 + key as usize;
                let mut counts = [0.0; 1000];
                for i in draw(&weights, n, scheme, key) {
                    counts[i as usize] += 1.0;
                }
                for (count, w) in counts.iter().zip(&weights) {
                    let mean: f64 = n as f64 * w / total;
                    assert!((mean - 1e-9).floor() <= *count && *count <= (mean + 1e-9).ceil());
                }
            }
        }
    }
}
