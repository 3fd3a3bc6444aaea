//! Gumbel top-k: distinct items in the order of perturbed log weights, and what follows from it.
//!
//! Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them: The Gumbel-Top-k Trick for
//! Sampling Sequences Without Replacement", ICML 2019, arXiv:1903.06059.

use crate::decode::Rows;
use sortes_core::error::shown;
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::races::{Keyed, LARGE, Noise, close_gaps};
use sortes_core::rng::elementary::{exp_m1, ln_1m, ln_any};
use sortes_core::{Error, Result, Run};

/// Items between two polls.
const BLOCK: usize = 1 << 14;

/// The noise of a batch of rows.
#[derive(Clone, Copy)]
pub enum RowNoise<'a> {
    /// One row.
    One(Noise<'a>),
    /// Rows with a stream each.
    Streams(&'a [sortes_core::rng::Stream]),
    /// Given values, one for each item of each row.
    Given(&'a [f64]),
}

impl<'a> RowNoise<'a> {
    fn of(self, row: usize, cols: usize) -> Noise<'a> {
        match self {
            Self::One(noise) => noise,
            Self::Streams(streams) => Noise::Stream(streams[row]),
            Self::Given(noise) => Noise::Given(&noise[row * cols..][..cols]),
        }
    }

    fn check(self, rows: usize, cols: usize, run: Run<'_>) -> Result<()> {
        match self {
            Self::One(noise) => noise.check(cols, run),
            Self::Given(noise) => Noise::Given(noise).check(rows * cols, run),
            Self::Streams(streams) if streams.len() != rows => {
                let reason = format!("has {} streams for {rows} rows", streams.len());
                Err(Error::argument("rng", reason))
            }
            Self::Streams(_) => Ok(()),
        }
    }
}

/// The items of one row, in the order in which they are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// Items and their perturbed log weights, the largest first.
    pub items: Vec<(usize, f64)>,
    /// The largest perturbed log weight of the items that were not drawn.
    pub kappa: f64,
}

/// The `k` largest perturbed log weights of each row; fewer where fewer log weights are finite.
/// Progress counts items.
///
/// # Errors
/// If a log weight is NaN or plus infinity, `k` exceeds the number of columns, the noise does not
/// fit, there is no memory, or the work is cancelled.
pub fn gumbel_topk<T: Copy + Into<f64> + Sync>(
    logits: &impl Rows<T>,
    k: usize,
    noise: RowNoise<'_>,
    run: Run<'_>,
) -> Result<Vec<TopK>> {
    let (rows, cols) = (logits.rows(), logits.cols());
    if k > cols {
        let reason = format!("must be at most the number of columns, {cols}, got {k}");
        return Err(Error::argument("k", reason));
    }
    noise.check(rows, cols, run)?;
    let mut found = with_capacity(rows, "rows")?;
    found.resize(rows, TopK { items: Vec::new(), kappa: f64::NEG_INFINITY });
    // Few rows are taken one after the other, each on all threads.
    let few = rows < run.threads.count();
    let (across, within) = if few { (run.serial(), run) } else { (run, run.serial()) };
    across.try_fill_chunks(&mut found, 1, |row, out| {
        out[0] = top_of_row(logits.row(row), row, k, noise.of(row, cols), within)?;
        Ok(())
    })?;
    Ok(found)
}

fn top_of_row<T: Copy + Into<f64> + Sync>(
    x: &[T],
    row: usize,
    k: usize,
    noise: Noise<'_>,
    run: Run<'_>,
) -> Result<TopK> {
    let mut large = false;
    for range in run.blocks(x.len(), BLOCK) {
        let mut is_bad = false;
        for &l in &x[range?] {
            let l: f64 = l.into();
            // NaN is not below infinity either.
            is_bad |= l.partial_cmp(&f64::INFINITY) != Some(std::cmp::Ordering::Less);
            large |= l.abs() > LARGE && l != f64::NEG_INFINITY;
        }
        if is_bad {
            return Err(Error::row("logits", row, "contains NaN or +inf"));
        }
    }
    let at = |i: usize| -> f64 { x[i].into() };
    let more = k.saturating_add(1);
    let perturbed = |item: &Keyed| (item.index, -item.key);
    let mut items = with_capacity(more, "items of a sample")?;
    if large && matches!(noise, Noise::Stream(..)) {
        let mut moved = with_capacity(x.len(), "log weights")?;
        moved.extend((0..x.len()).map(at));
        close_gaps(&mut moved, run)?;
        let found = noise.successive(x.len(), more, |i| moved[i], run)?;
        items.extend(found.iter().map(|item| {
            let i = item.index;
            (i, at(i) - (item.key + moved[i]))
        }));
    } else {
        items.extend(noise.successive(x.len(), more, at, run)?.iter().map(perturbed));
    }
    let kappa = if items.len() == more { items[k].1 } else { f64::NEG_INFINITY };
    items.truncate(k);
    Ok(TopK { items, kappa })
}

/// `ln(1 + exp(x))`, without overflow, by IEEE operations alone.
pub(super) fn softplus(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return 0.0;
    }
    let y = 1.0 + exp_m1(-x.abs());
    // ln(1 + y) = -ln(1 - y / (1 + y)) keeps what is small.
    x.max(0.0) - if y > 0.0 { ln_1m(y / (1.0 + y)) } else { 0.0 }
}

/// `ln P(G > x)` of a standard Gumbel variable: `ln(1 - exp(-exp(-x)))`.
pub fn log_survival(x: f64) -> f64 {
    if x < 10.0 {
        (-(-(-x).exp()).exp_m1()).ln()
    } else {
        let y = (-x).exp();
        let square = y * y;
        -x - y / 2.0 + square / 24.0 - square * square / 2880.0
    }
}

/// [`log_survival`] of each number.
///
/// # Errors
/// If one is NaN, there is no memory, or the work is cancelled.
pub fn log_survivals(x: &[f64], run: Run<'_>) -> Result<Vec<f64>> {
    let mut out = zeroed(x.len(), "numbers")?;
    run.try_fill_chunks(&mut out, BLOCK, |block, out| {
        let first = block * BLOCK;
        for (i, out) in out.iter_mut().enumerate() {
            let x = x[first + i];
            if x.is_nan() {
                return Err(Error::item("x", first + i, "[-inf, inf]", shown(x)));
            }
            *out = log_survival(x);
        }
        run.advance(out.len() as u64);
        Ok(())
    })?;
    Ok(out)
}

/// Perturbs the log weights of each row, given that the largest result of the row is its `maximum`.
///
/// # Errors
/// If a log weight is NaN or plus infinity or a maximum is not finite, if the lengths do not fit,
/// there is no memory, or the work is cancelled.
pub fn conditional_gumbel(
    (log_weights, rows): (&[f64], usize),
    maximum: &[f64],
    noise: RowNoise<'_>,
    run: Run<'_>,
) -> Result<Vec<f64>> {
    let cols = log_weights.len() / rows.max(1);
    noise.check(rows, cols, run)?;
    if let Some((row, &m)) = maximum.iter().enumerate().find(|(_, m)| !m.is_finite()) {
        return Err(Error::item("maximum", row, "(-inf, inf)", shown(m)));
    }
    let mut out = zeroed(log_weights.len(), "perturbed log weights")?;
    run.try_fill_chunks(&mut out, cols.max(1), |row, out| {
        let phi = &log_weights[row * cols..][..cols];
        if phi.iter().any(|l| l.partial_cmp(&f64::INFINITY) != Some(std::cmp::Ordering::Less)) {
            return Err(Error::row("logprobs", row, "contains NaN or +inf"));
        }
        noise.of(row, cols).write_negative(0, out);
        for (g, phi) in out.iter_mut().zip(phi) {
            *g = phi - *g;
        }
        condition(out, maximum[row]);
        run.advance(1);
        Ok(())
    })?;
    Ok(out)
}

/// Moves perturbed log weights so that the largest is `maximum`: their law given that it is.
fn condition(perturbed: &mut [f64], maximum: f64) {
    let z = perturbed.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for g in perturbed {
        if *g == z && z > f64::NEG_INFINITY {
            *g = maximum;
        } else if *g > f64::NEG_INFINITY {
            // -ln(exp(-maximum) - exp(-z) + exp(-g))
            let v = maximum - *g + ln_any(-exp_m1(*g - z));
            *g = maximum - softplus(v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::rng::Stream;

    struct One<'a>(&'a [f64]);

    impl Rows<f64> for One<'_> {
        fn rows(&self) -> usize {
            1
        }
        fn cols(&self) -> usize {
            self.0.len()
        }
        fn row(&self, _: usize) -> &[f64] {
            self.0
        }
    }

    #[test]
    fn softplus_agrees_with_the_system() {
        for i in -4000..4000 {
            let x = f64::from(i) / 5.0;
            let truth = x.max(0.0) + (-x.abs()).exp().ln_1p();
            assert!((softplus(x) - truth).abs() <= 4e-16 * truth.max(0.25), "{x}");
        }
        assert_eq!(softplus(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn equal_items_are_equally_likely_however_large() {
        let logits = [-1e20, 3e20, -1e20, -1e20, f64::NEG_INFINITY];
        let mut counts = [0; 5];
        for seed in 0..3000 {
            let noise = RowNoise::One(Noise::Stream(Stream::new(seed)));
            let found = gumbel_topk(&One(&logits), 2, noise, Run::alone()).unwrap();
            assert_eq!(found[0].items[0].0, 1);
            counts[found[0].items[1].0] += 1;
        }
        assert!([0, 2, 3].iter().all(|&i| (850..1150).contains(&counts[i])), "{counts:?}");
    }
}
