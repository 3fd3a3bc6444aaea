//! The first of a race whose items are the blocks of one sequence.
//!
//! All who race different weights by one sequence share its exponentials: they agree on the first item
//! as often as their weights are alike, with chance at least `(1 - d) / (1 + d)` at a total variation
//! `d` (Daliri, Musco and Suresh, "Coupling without Communication and Drafter-Invariant Speculative
//! Decoding", arXiv:2408.07978).

use super::{BLOCK, Keyed, below, for_each_set};
use crate::rng::{Draws, bulk, elementary};

/// Lets the items `first`, `first + 1`, ... run, by their weights: `best` becomes the first of them and
/// of itself. The exponential of item `i` is that of block `i` of the sequence, draws `2 i` and
/// `2 i + 1`. Items of weight zero never come first.
pub fn first_of_blocks(draws: &Draws, first: u32, weights: &[f32], best: &mut Keyed) {
    let mut noise = [0.0; BLOCK];
    for (weights, first) in weights.chunks(BLOCK).zip((first..).step_by(BLOCK)) {
        let noise = &mut noise[..weights.len()];
        bulk::precise_uniforms_of(draws, first, noise);
        // E = -ln(1 - u) >= u: nearly all items are out without a logarithm.
        let bound = (best.key * (1.0 + 4.0 * f64::EPSILON)).min(f64::MAX);
        let mut passing = [0; BLOCK / 64];
        below(noise, weights, bound, &mut passing);
        for_each_set(&passing, |i| {
            let key = elementary::exponential(noise[i]) / f64::from(weights[i]);
            offer(key, first as usize + i, best);
        });
    }
}

/// The same for items of these numbers.
pub fn first_of_listed(draws: &Draws, items: &[u32], weights: &[f32], best: &mut Keyed) {
    for (&item, &weight) in items.iter().zip(weights) {
        if weight > 0.0 {
            let mut draws = draws.clone();
            draws.seek(2 * u64::from(item));
            offer(draws.exponential() / f64::from(weight), item as usize, best);
        }
    }
}

fn offer(key: f64, index: usize, best: &mut Keyed) {
    let item = Keyed { key, index };
    if item.order(best).is_lt() {
        *best = item;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::simd::{available_levels, with_level};

    #[test]
    fn the_first_is_that_of_the_keys_on_every_instruction_set() {
        for n in [1_u32, 7, 256, 257, 3000] {
            let draws = Stream::new(u64::from(n)).at_step(3).draws(Purpose::Race, 5);
            let weights: Vec<f32> =
                (0..n).map(|i| if i % 3 == 0 { 0.0 } else { (i * 7919 % 101) as f32 }).collect();
            let key = |i: u32| {
                let mut draws = draws.clone();
                draws.seek(2 * u64::from(i));
                draws.exponential() / f64::from(weights[i as usize])
            };
            let all = (0..n).filter(|i| weights[*i as usize] > 0.0);
            let want = all.min_by(|a, b| key(*a).total_cmp(&key(*b))).map(|i| (key(i), i as usize));
            let ids: Vec<u32> = (0..n).collect();
            for level in available_levels() {
                let mut best = [Keyed { key: f64::INFINITY, index: 0 }; 2];
                with_level(level, || {
                    first_of_blocks(&draws, 0, &weights, &mut best[0]);
                    first_of_listed(&draws, &ids, &weights, &mut best[1]);
                });
                for best in best {
                    let got = (best.key < f64::INFINITY).then_some((best.key, best.index));
                    assert_eq!(got, want, "{n} items");
                }
            }
        }
    }
}
