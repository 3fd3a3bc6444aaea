//! Masks of features whose sizes are evenly spread over `0..=n`, for local explanations.
//!
//! Independent features would put nearly all masks around half of the features. Here the sizes are
//! a systematic sample of `0..=n`; a weight for each mask gives regressions the law of independent
//! features back (Rashid, Amparore, Ferrari and Verda, "Using stratified sampling to improve LIME
//! image explanations", AAAI 2024, arXiv:2403.17742, who draw the sizes at random).
//!
//! [`Purpose::Mask`]: entity 0 draws the offset of the sizes, entity `r` the features of row `r`.

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::rng::{Draws, Purpose, Stream};
use sortes_core::{Result, Run};

use super::BLOCK;

/// Elements of one task.
const TASK: usize = 1 << 16;

/// The weight of a mask of each size `s` in `0..=n`: `(n + 1) C(n, s) / 2^n`, the binomial law by the
/// uniform one.
///
/// # Errors
/// If there is no memory for them, or the work is cancelled.
pub fn mask_weights(n: usize, run: Run<'_>) -> Result<Vec<f64>> {
    let middle = n / 2;
    let mut weights: Vec<f64> = zeroed(n.saturating_add(1), "weights of masks")?;
    // Relative to the middle, from there to both ends.
    weights[middle] = 1.0;
    for range in run.blocks(n - middle, BLOCK) {
        for s in range?.map(|i| middle + i) {
            weights[s + 1] = weights[s] * ((n - s) as f64 / (s + 1) as f64);
        }
    }
    for range in run.blocks(middle, BLOCK) {
        for s in range?.map(|i| middle - i) {
            weights[s - 1] = weights[s] * (s as f64 / (n - s + 1) as f64);
        }
    }
    // Smallest first: the tails lie at both ends.
    let (front, back) = weights.split_at(middle);
    let (mut low, mut high) = (0.0, 0.0);
    for range in run.blocks(front.len(), BLOCK) {
        low = front[range?].iter().fold(low, |sum, w| sum + w);
    }
    for range in run.blocks(back.len(), BLOCK) {
        high = range?.fold(high, |sum, i| sum + back[back.len() - 1 - i]);
    }
    let scale = (n + 1) as f64 / (low + high);
    run.fill_chunks(&mut weights, BLOCK, |_, weights| {
        for w in weights {
            *w *= scale;
        }
    })?;
    Ok(weights)
}

/// The size of every row: that of row 0 is `n`; the others visit `0..=n` evenly, starting anywhere,
/// so that each of them is uniform on `0..=n`.
fn sizes(n: usize, rows: usize, stream: Stream, run: Run<'_>) -> Result<Vec<usize>> {
    let offset = stream.draws(Purpose::Mask, 0).u64();
    let others = rows.saturating_sub(1) as u128;
    let size = |row: usize| {
        if row == 0 {
            return n;
        }
        let along = (((row as u128 - 1) << 64) / others) as u64;
        let point = offset.wrapping_add(along);
        ((u128::from(point) * (n as u128 + 1)) >> 64) as usize
    };
    let mut sizes = with_capacity(rows, "sizes of masks")?;
    for range in run.blocks(rows, BLOCK) {
        sizes.extend(range?.map(size));
    }
    Ok(sizes)
}

/// Masks, rows of `n` features, and the weight of each row. Row 0 has every feature and the weight 1;
/// given its size, a row is uniform among the masks of that size. Progress counts rows.
///
/// # Errors
/// If there is no memory for them, or the work is cancelled.
pub fn stratified_masks(
    n: usize,
    rows: usize,
    stream: Stream,
    run: Run<'_>,
) -> Result<(Vec<bool>, Vec<f64>)> {
    let mut weights = with_capacity(rows, "weights of masks")?;
    let mut masks = zeroed(rows.saturating_mul(n), "elements of masks")?;
    let sizes = sizes(n, rows, stream, run)?;
    let by_size = mask_weights(n, run)?;
    for range in run.blocks(rows, BLOCK) {
        weights.extend(range?.map(|row| if row == 0 { 1.0 } else { by_size[sizes[row]] }));
    }
    let Some(rows_per_task) = TASK.checked_div(n) else {
        run.advance(rows as u64); // masks without features
        return Ok((masks, weights));
    };
    let rows_per_task = rows_per_task.max(1);
    run.fill_chunks(&mut masks, rows_per_task * n, |task, masks| {
        for (i, mask) in masks.chunks_mut(n).enumerate() {
            let row = task * rows_per_task + i;
            // If it was cancelled, so is the call.
            let _ = choose(mask, sizes[row], stream.draws(Purpose::Mask, row as u64), run);
            run.advance(1);
        }
    })?;
    Ok((masks, weights))
}

/// Sets a uniform subset of `size` features: Floyd's method, for the smaller of the subset and its
/// complement.
fn choose(mask: &mut [bool], size: usize, mut draws: Draws, run: Run<'_>) -> Result<()> {
    let n = mask.len();
    let few = size.min(n - size);
    let set = few == size;
    mask.fill(!set);
    for range in run.blocks(few, BLOCK) {
        for last in range?.map(|i| n - few + i) {
            let feature = draws.below(last as u64 + 1) as usize;
            let feature = if mask[feature] == set { last } else { feature };
            mask[feature] = set;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_the_binomial_law() {
        for (n, expected) in [(4, vec![0.3125, 1.25, 1.875, 1.25, 0.3125]), (0, vec![1.0])] {
            for (a, b) in mask_weights(n, Run::alone()).unwrap().iter().zip(expected) {
                assert!((a - b).abs() < 1e-14);
            }
        }
        for n in [1, 999, 100_000] {
            let weights = mask_weights(n, Run::alone()).unwrap();
            assert!((weights.iter().sum::<f64>() / (n as f64 + 1.0) - 1.0).abs() < 1e-12);
            assert!((0..=n).all(|s| (weights[s] - weights[n - s]).abs() <= 1e-12 * weights[s]));
        }
    }

    #[test]
    fn sizes_are_even() {
        for (n, rows) in [(9, 101), (9, 6), (3, 11), (1, 2), (5, 1)] {
            for seed in 0..50 {
                let sizes = sizes(n, rows, Stream::new(seed), Run::alone()).unwrap();
                assert_eq!(sizes[0], n);
                let mut counts = vec![0; n + 1];
                sizes[1..].iter().for_each(|&s| counts[s] += 1);
                let (least, most) = ((rows - 1) / (n + 1), (rows - 1).div_ceil(n + 1));
                // Rounding of the steps may let a size have one more or one less.
                assert!(counts.iter().all(|c| (least..=most).contains(c)), "{counts:?}");
            }
        }
    }
}
