//! The pivotal method: duels of two fractions, until at most one is left.
//!
//! Deville and Tille, "Unequal probability sampling without replacement through a splitting method",
//! Biometrika 85, 1998. A duel of the probabilities `a` and `b` settles at least one of the units
//! and keeps both expectations: below a sum of one it moves all of the sum to one of them, above it
//! chooses one and leaves the rest to the other. Any order of duels gives each unit its probability.
//!
//! | file | holds |
//! |---|---|
//! | `scan` | duels in sequence |
//! | `tree` | duels over the balanced tree, and over any other |
//! | `part` | a part of a population, which takes units and merges with other parts |
//! | `gaps` | the uniforms of neighbouring duels |
//!
//! Units stand in an order, and a duel is named by where it happens: the gap in front of the first
//! unit of the part that starts later. A binary tree over an order uses each gap once, so that the
//! names are the same for a scan, for a tree and for shards that meet later. The duel at gap `g`
//! reads draw `g % 2` of entity `g / 2` of [`Purpose::Duel`]; gap 0, in front of all units, decides
//! about a fraction that is left alone.

mod gaps;
mod part;
mod scan;
mod tree;

pub use part::Pivotal;
pub use scan::sequential;
pub use tree::{balanced, over_tree};

use sortes_core::num::{Sum, as_integer};
use sortes_core::resample::Fraction;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Result, Run};

use super::BLOCK;
use super::marks::Marks;

/// The uniform of a gap.
fn uniform_at(gap: u64, stream: Stream) -> f64 {
    let mut draws = stream.draws(Purpose::Duel, gap / 2);
    draws.seek(gap % 2);
    draws.uniform()
}

/// Whether a last fraction is chosen, beside `chosen` units: `total` is the sum of all probabilities.
pub(super) fn stays(left: f64, chosen: usize, total: f64, uniform: impl FnOnce() -> f64) -> bool {
    let stays = match as_integer(total) {
        Some(size) => (chosen as f64) < size,
        None => uniform() < left,
    };
    stays && left > 0.0
}

/// Decides about the last fraction, and lists the units in ascending order.
fn finish(
    mut marks: Marks,
    last: Fraction,
    pi: &[f64],
    stream: Stream,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    let mut total = Sum::default();
    for range in run.blocks(pi.len(), BLOCK) {
        for &p in &pi[range?] {
            total.add(p);
        }
    }
    if stays(last.pi, marks.count(), total.value(), || uniform_at(0, stream)) {
        marks.mark(last.id);
    }
    marks.list(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges of the tree that a sequence runs over.
    fn comb(n: i64) -> Vec<[i64; 2]> {
        (1..n).map(|i| [if i == 1 { 0 } else { n + i - 2 }, i]).collect()
    }

    #[test]
    fn a_comb_of_merges_is_the_sequence() {
        let pi: Vec<f64> = (0..700).map(|i| f64::from(i * 37 % 101) / 100.0).collect();
        for seed in 0..20 {
            let stream = Stream::new(seed).at_step(3);
            assert_eq!(
                over_tree(&pi, &comb(700), stream, Run::alone()).unwrap(),
                sequential(&pi, None, stream, Run::alone()).unwrap()
            );
        }
    }

    #[test]
    fn sizes_are_fixed_and_certainties_kept() {
        for n in [1usize, 2, 255, 256, 257, 40_000] {
            let mut pi: Vec<f64> = (0..n).map(|i| (i * 7 % 10) as f64 / 9.0).collect();
            let total: f64 = pi.iter().sum();
            pi.push(total.ceil() - total);
            for seed in 0..5 {
                let stream = Stream::new(seed);
                for chosen in [
                    sequential(&pi, None, stream, Run::alone()).unwrap(),
                    balanced(&pi, stream, Run::alone()).unwrap(),
                ] {
                    assert_eq!(chosen.len() as f64, total.ceil());
                    assert!(chosen.is_sorted_by(|a, b| a < b));
                    assert!(chosen.iter().all(|&i| pi[i as usize] > 0.0));
                    let certain = pi.iter().filter(|&&p| p == 1.0).count();
                    assert_eq!(chosen.iter().filter(|&&i| pi[i as usize] == 1.0).count(), certain);
                }
            }
        }
    }

    #[test]
    fn an_order_is_the_sequence_of_what_it_names() {
        let n = 40_000usize;
        let pi: Vec<f64> = (0..n).map(|i| (i * 37 % 101) as f64 / 100.0).collect();
        let order: Vec<i64> = (0..n).map(|i| (i * 7919 % n) as i64).collect();
        let along: Vec<f64> = order.iter().map(|&i| pi[i as usize]).collect();
        let stream = Stream::new(5);
        let in_order = sequential(&pi, Some(&order), stream, Run::alone()).unwrap();
        let mut expected: Vec<i64> = sequential(&along, None, stream, Run::alone())
            .unwrap()
            .iter()
            .map(|&i| order[i as usize])
            .collect();
        expected.sort_unstable();
        assert_eq!(in_order, expected);
    }
}
