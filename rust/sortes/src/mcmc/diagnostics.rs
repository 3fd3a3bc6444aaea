//! What several chains say about how well they mixed: effective sample sizes and R-hat, by the
//! definitions of Vehtari et al. (2021) and to the conventions of `ArviZ`.

use sortes_core::error::shown;
use sortes_core::memory::{copied, filled, with_capacity, zeroed};
use sortes_core::order::sort;
use sortes_core::rng::elementary::normal_quantile;
use sortes_core::{Error, Result, Run};

use super::fourier::autocorrelation;

/// What the effective sample size is that of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The mean of the draws.
    Mean,
    /// The mean of their normal scores: whether the middle of the law is known.
    Bulk,
    /// The smaller of the shares below the 5 % and 95 % quantiles.
    Tail,
}

/// Fewer draws of a chain than this say nothing.
const FEWEST: usize = 4;
/// Numbers closer than this count as one, as in `ArviZ`: ten to the power of minus the digits.
const RESOLUTION: f64 = 1e-15;

/// Draws of several chains: for each chain, its draws in order, each a row of `width` numbers.
#[derive(Debug, Clone, Copy)]
pub struct Draws<'a> {
    /// All numbers.
    pub values: &'a [f64],
    /// How many chains.
    pub chains: usize,
    /// How many numbers a draw has.
    pub width: usize,
}

impl Draws<'_> {
    /// The draws of one number: chain by chain, and the length of a chain.
    fn column(&self, j: usize, run: Run<'_>) -> Result<Column> {
        let rows = self.values.len() / self.width.max(1);
        let mut values = with_capacity(rows, "draws")?;
        for block in run.blocks(rows, 1 << 16) {
            for i in block? {
                let x = self.values[i * self.width + j];
                if !x.is_finite() {
                    let length = rows / self.chains;
                    let reason = format!("draw {}: is not finite: {}", i % length, shown(x));
                    return Err(Error::row("draws", i / length, reason));
                }
                values.push(x);
            }
        }
        Ok(Column { length: rows / self.chains.max(1), values })
    }
}

/// Chains of one number, one after the other.
struct Column {
    values: Vec<f64>,
    length: usize,
}

impl Column {
    fn chains(&self) -> usize {
        self.values.len() / self.length
    }

    /// The first and the last half of each chain, as chains of their own.
    fn split(&self) -> Result<Self> {
        let half = self.length / 2;
        let mut values = with_capacity(2 * half * self.chains(), "draws")?;
        for chain in self.values.chunks_exact(self.length) {
            values.extend_from_slice(&chain[..half]);
        }
        for chain in self.values.chunks_exact(self.length) {
            values.extend_from_slice(&chain[self.length - half..]);
        }
        Ok(Self { values, length: half })
    }

    /// The same with each number replaced by `f` of it.
    fn map(mut self, f: impl Fn(f64) -> f64) -> Self {
        for x in &mut self.values {
            *x = f(*x);
        }
        self
    }

    /// The normal scores of the ranks; equals share their mean rank.
    fn scores(mut self, run: Run<'_>) -> Result<Self> {
        let n = self.values.len();
        let mut order = with_capacity(n, "ranks")?;
        order.extend(0..n);
        sort(&mut order, |&a, &b| self.values[a].total_cmp(&self.values[b]), run)?;
        let mut ranked = zeroed(n, "ranks")?;
        let mut start = 0;
        while start < n {
            let x = self.values[order[start]];
            let ties = order[start..].iter().take_while(|&&i| self.values[i] == x).count();
            let rank = start as f64 + f64::midpoint(ties as f64, 1.0);
            let score = normal_quantile((rank - 0.375) / (n as f64 + 0.25));
            for &i in &order[start..start + ties] {
                ranked[i] = score;
            }
            start += ties;
        }
        self.values = ranked;
        Ok(self)
    }

    /// All numbers in ascending order.
    fn sorted(&self, run: Run<'_>) -> Result<Vec<f64>> {
        let mut sorted = copied(&self.values, "draws", run)?;
        sort(&mut sorted, f64::total_cmp, run)?;
        Ok(sorted)
    }

    /// The effective sample size of the mean: Geyer's initial monotone sequence of the
    /// autocorrelations of all chains together.
    fn ess(&self, run: Run<'_>) -> Result<f64> {
        let (chains, n) = (self.chains(), self.length);
        let size = self.values.len() as f64;
        let (low, high) = self
            .values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
        if high - low < RESOLUTION {
            return Ok(size);
        }
        // The autocovariances, averaged over chains.
        let mut covariance = filled(n, 0.0, "lags")?;
        let (mut centred, mut lags) = (zeroed(n, "draws")?, zeroed(n, "lags")?);
        let mut means = with_capacity(chains, "chains")?;
        for chain in self.values.chunks_exact(n) {
            let mean = chain.iter().sum::<f64>() / n as f64;
            means.push(mean);
            for (out, x) in centred.iter_mut().zip(chain) {
                *out = x - mean;
            }
            autocorrelation(&centred, &mut lags, run)?;
            for (sum, lag) in covariance.iter_mut().zip(&lags) {
                *sum += lag / (n as f64 * chains as f64);
            }
        }
        let within = covariance[0] * n as f64 / (n as f64 - 1.0);
        let mut total = covariance[0];
        if chains > 1 {
            total += variance(&means);
        }
        let rho = |lag: usize| 1.0 - (within - covariance[lag]) / total;

        // Pairs of neighbours are positive, and never increase; the first of them has lags 0 and 1.
        let mut pair = (1.0, rho(1));
        let mut least = pair.0 + pair.1;
        let mut sum = 0.0;
        let mut lag = 1;
        let mut kept = least;
        while lag < n.saturating_sub(3) && pair.0 + pair.1 > 0.0 {
            sum += kept;
            pair = (rho(lag + 1), rho(lag + 2));
            kept = least.min(pair.0 + pair.1);
            least = kept;
            lag += 2;
        }
        // Of the pair at which it ends, the first half counts if it or the pair is positive.
        let last = if pair.0 > 0.0 || pair.0 + pair.1 >= 0.0 { pair.0 } else { 0.0 };
        let tau = 2.0 * sum - 1.0 + last;
        Ok(if tau.is_nan() { f64::NAN } else { size / tau.max(1.0 / size.log10()) })
    }

    /// R-hat of these chains as they are.
    fn rhat(&self) -> Result<f64> {
        let n = self.length as f64;
        let mut means = with_capacity(self.chains(), "chains")?;
        let mut within = 0.0;
        for chain in self.values.chunks_exact(self.length) {
            means.push(chain.iter().sum::<f64>() / n);
            within += variance(chain) / self.chains() as f64;
        }
        Ok(((n * variance(&means) / within + n - 1.0) / n).sqrt())
    }
}

/// The unbiased variance.
fn variance(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (x.len() as f64 - 1.0)
}

/// The quantile between neighbours of a sorted sample, as NumPy has it.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (low, share) = (at.floor() as usize, at.fract());
    let (a, b) = (sorted[low], sorted[(low + 1).min(sorted.len() - 1)]);
    // From the nearer end, which is exact at both.
    if share < 0.5 { a + (b - a) * share } else { b - (b - a) * (1.0 - share) }
}

/// The effective sample size of each number of the draws: NaN for chains of fewer than four.
///
/// # Errors
/// If a draw is not finite, there is no memory, or the work is cancelled.
pub fn ess(draws: Draws<'_>, kind: Kind, run: Run<'_>) -> Result<Vec<f64>> {
    each(draws, 1, run, |column, run| match kind {
        Kind::Mean => column.split()?.ess(run),
        Kind::Bulk => column.split()?.scores(run)?.ess(run),
        Kind::Tail => {
            let sorted = column.sorted(run)?;
            let tail = |p| {
                let limit = quantile(&sorted, p);
                column.split()?.map(|x| f64::from(x <= limit)).ess(run)
            };
            Ok(tail(0.05)?.min(tail(0.95)?))
        }
    })
}

/// The rank-normalised split R-hat of each number of the draws, the larger of that of the draws and
/// that of their distances from the median: NaN for one chain, or for chains of fewer than four.
///
/// # Errors
/// If a draw is not finite, there is no memory, or the work is cancelled.
pub fn rhat(draws: Draws<'_>, run: Run<'_>) -> Result<Vec<f64>> {
    each(draws, 2, run, |column, run| {
        let split = column.split()?;
        let sorted = split.sorted(run)?;
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        let folded = column.split()?.map(|x| (x - median).abs()).scores(run)?.rhat()?;
        let bulk = split.scores(run)?.rhat()?;
        // Chains that do not move have none; where all distances are one, the draws decide alone.
        Ok(if bulk.is_nan() { f64::NAN } else { bulk.max(folded) })
    })
}

/// Calls `f` with each column, or says NaN where there is too little. Progress counts columns.
fn each(
    draws: Draws<'_>,
    fewest: usize,
    run: Run<'_>,
    f: impl Fn(&Column, Run<'_>) -> Result<f64> + Sync + Send,
) -> Result<Vec<f64>> {
    let mut out = filled(draws.width, f64::NAN, "results")?;
    run.try_fill_chunks(&mut out, 1, |j, out| {
        let column = draws.column(j, run)?;
        if draws.chains >= fewest && column.length >= FEWEST {
            out[0] = f(&column, run.serial())?;
        }
        run.advance(1);
        Ok(())
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_draws_count_in_full_and_apart_chains_are_seen() {
        let stream = sortes_core::rng::Stream::new(5);
        let mut values = Vec::new();
        for chain in 0..4 {
            let mut draws = stream.draws(sortes_core::rng::Purpose::Uniform, chain);
            values.extend((0..1000).map(|_| draws.normal()));
        }
        let draws = Draws { values: &values, chains: 4, width: 1 };
        for kind in [Kind::Mean, Kind::Bulk, Kind::Tail] {
            let size = ess(draws, kind, Run::alone()).unwrap()[0];
            assert!((3000.0..5000.0).contains(&size), "{size}");
        }
        assert!((rhat(draws, Run::alone()).unwrap()[0] - 1.0).abs() < 0.01);
        let moved: Vec<f64> =
            values.iter().enumerate().map(|(i, x)| x + f64::from(i > 3000)).collect();
        let draws = Draws { values: &moved, chains: 4, width: 1 };
        assert!(rhat(draws, Run::alone()).unwrap()[0] > 1.05);
    }

    #[test]
    fn a_draw_that_is_not_finite_is_named() {
        let mut values = vec![0.0; 20];
        values[13] = f64::NAN;
        let error = ess(Draws { values: &values, chains: 2, width: 1 }, Kind::Bulk, Run::alone());
        assert_eq!(error.unwrap_err().to_string(), "draws: row 1: draw 3: is not finite: nan");
    }
}
