//! Statistics of rows, and the parameter at which each token leaves a rule's kept set.

use super::element::Element;
use super::params::Ties;
use super::row::Row;
use super::rows::{Rows, each_row};
use super::survivors::{Scratch, Survivors};
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::simd::Wanted;
use sortes_core::{Error, Result};

/// What is known of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowStats {
    /// The largest logit.
    pub max: f64,
    /// Its lowest id.
    pub argmax: i64,
    /// Log of the sum of exponentials, in nats.
    pub lse: f64,
    /// Shannon entropy in nats.
    pub entropy: f64,
    /// Collision probability.
    pub collision: f64,
    /// Number of finite logits.
    pub n_finite: i64,
    /// Their mean.
    pub mean: f64,
    /// Their population standard deviation.
    pub std: f64,
}

/// A rule for which each token has a critical parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Critical {
    /// Kept iff `epsilon <=` the value `p`.
    Epsilon,
    /// Kept iff `epsilon <=` the value `max(p, (p e^H)^2)`.
    Eta,
    /// Kept iff `min_p <=` the value `p / max p`.
    MinP,
    /// Kept iff `top_a <=` the value `p / (max p)^2`.
    TopA,
    /// Kept iff `top_p >` the value, the mass ahead.
    TopP,
    /// Kept iff `top_k >=` the value, the rank.
    TopK,
    /// Kept iff `n >=` the value, `(max - l) / sigma`.
    TopNSigma,
}

impl Critical {
    /// The rule of a name.
    ///
    /// # Errors
    /// [`Error::Argument`] for a rule without a critical parameter.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "epsilon" => Self::Epsilon,
            "eta" => Self::Eta,
            "min_p" => Self::MinP,
            "top_a" => Self::TopA,
            "top_p" => Self::TopP,
            "top_k" => Self::TopK,
            "top_n_sigma" => Self::TopNSigma,
            _ => {
                let known = "epsilon, eta, min_p, top_a, top_p, top_k, top_n_sigma";
                let reason = format!("must be one of {known}, got {name:?}");
                return Err(Error::argument("rule", reason));
            }
        })
    }
}

/// Calls `f` with the survivors of no rule at all: the whole row.
fn for_rows<T: Element, O: Send>(
    logits: &impl Rows<T>,
    threads: Threads<'_>,
    cancel: &Cancel,
    out: &mut [O],
    chunk: usize,
    f: impl Fn(Survivors<'_>, &mut [O]) + Sync,
) -> Result<()> {
    each_row(threads, cancel, logits.rows(), out, chunk, |row, scratch, threads, out| {
        let Scratch { wide, blocks, work, .. } = scratch;
        let read = Row::read(T::widen(logits.row(row), wide), blocks, row, threads)?;
        f(Survivors::new(read, threads, work), out);
        Ok(())
    })
}

/// Statistics of every row.
///
/// # Errors
/// [`Error::Row`] for a row with NaN or plus infinity.
pub fn row_stats<T: Element>(
    logits: &impl Rows<T>,
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Vec<RowStats>> {
    let mut out = vec![RowStats::default(); logits.rows()];
    for_rows(logits, threads, cancel, &mut out, 1, |survivors, out| out[0] = of_row(survivors))?;
    Ok(out)
}

fn of_row(mut survivors: Survivors<'_>) -> RowStats {
    if survivors.is_empty() {
        return RowStats {
            max: f64::NEG_INFINITY,
            argmax: -1,
            lse: f64::NEG_INFINITY,
            mean: f64::NAN,
            std: f64::NAN,
            ..RowStats::default()
        };
    }
    let law = survivors.law(Wanted { entropy: true, square: true });
    let moments = survivors.moments();
    let n = moments.count as f64;
    let shift = moments.sum / n;
    let max = f64::from(law.max);
    RowStats {
        max,
        argmax: survivors.row.argmax() as i64,
        lse: max + law.z.ln(),
        entropy: law.entropy,
        collision: law.collision,
        n_finite: moments.count as i64,
        mean: max + shift,
        std: (moments.squares / n - shift * shift).max(0.0).sqrt(),
    }
}

/// The critical parameter of every token (see [`Critical`]); removed tokens never stay.
///
/// # Errors
/// As [`row_stats`].
pub fn critical<T: Element>(
    logits: &impl Rows<T>,
    rule: Critical,
    sigma_ddof: u8,
    ties: Ties,
    threads: Threads<'_>,
    cancel: &Cancel,
    out: &mut [f64],
) -> Result<()> {
    for_rows(logits, threads, cancel, out, logits.cols().max(1), |survivors, out| {
        critical_row(survivors, rule, sigma_ddof, ties, out);
    })
}

fn critical_row(
    mut survivors: Survivors<'_>,
    rule: Critical,
    sigma_ddof: u8,
    ties: Ties,
    out: &mut [f64],
) {
    let x = survivors.row.x;
    if survivors.is_empty() {
        out.fill(f64::NAN);
        return;
    }
    let law = survivors.law(Wanted { entropy: true, square: false });
    let max = f64::from(law.max);
    let p = |l: f32| (f64::from(l) - max).exp() / law.z;
    match rule {
        Critical::Epsilon => fill(out, x, p),
        Critical::Eta => fill(out, x, |l| p(l).max((p(l) * law.entropy.exp()).powi(2))),
        Critical::MinP => fill(out, x, |l| p(l) * law.z),
        Critical::TopA => fill(out, x, |l| p(l) * law.z * law.z),
        Critical::TopNSigma => {
            let moments = survivors.moments();
            let n = moments.count as f64;
            let deviations = moments.squares - moments.sum * moments.sum / n;
            let sigma = (deviations.max(0.0) / (n - f64::from(sigma_ddof))).sqrt();
            fill(out, x, |l| (max - f64::from(l)) / sigma);
        }
        Critical::TopK | Critical::TopP => {
            let mut order: Vec<u32> = (0..x.len() as u32).collect();
            order.sort_unstable_by(|&a, &b| {
                let by_id = if ties == Ties::Low { a.cmp(&b) } else { b.cmp(&a) };
                x[b as usize].total_cmp(&x[a as usize]).then(by_id)
            });
            let mut before = 0.0;
            for group in order.chunk_by(|&a, &b| x[a as usize] == x[b as usize]) {
                let first = (before, group.len());
                let rank = order.partition_point(|&id| x[id as usize] > x[group[0] as usize]);
                for &id in group {
                    out[id as usize] = match rule {
                        Critical::TopK => (rank + 1) as f64,
                        _ if ties == Ties::All => first.0,
                        _ => before,
                    };
                    before += p(x[id as usize]);
                }
            }
        }
    }
}

fn fill(out: &mut [f64], x: &[f32], f: impl Fn(f32) -> f64) {
    for (out, &l) in out.iter_mut().zip(x) {
        *out = f(l);
    }
}
