//! Poisson sampling: every unit decides for itself.
//!
//! Four units share an entity of [`Purpose::Unit`]: unit `i` reads the `i % 4`-th of the four 32-bit
//! words of the first block of entity `i / 4`, the leading bits of a uniform number. Only where these
//! do not decide, once in `2^32` units, does it read on: draws `2 + 2 (i % 4)` and the next.
//!
//! The uniform of a unit depends on nothing but its index. With one stream, therefore, a larger
//! probability means a larger sample: samples of two designs overlap as much as they can.

use std::sync::atomic::{AtomicBool, Ordering};

use sortes_core::rng::{Purpose, Stream, bulk};
use sortes_core::{Result, Run, vectorised};

use super::marks::{Marks, WORD as GROUP};
use super::{BLOCK, check_probabilities};

/// Units that share a Philox block.
pub(super) const SHARE: usize = 4;
/// Units whose words are made at once.
const BATCH: usize = 512;
/// Units of one task.
const TASK: usize = 2 * BLOCK;
/// `2^32`, the weight of a word.
const WORD: f64 = (1u64 << 32) as f64;

/// The chosen units, in ascending order; unit `i` is chosen with probability `pi[i]`, independently
/// of all others.
///
/// # Errors
/// Where a probability is not in `[0, 1]`; if there is no memory for the units, or the work is
/// cancelled.
pub fn poisson(pi: &[f64], stream: Stream, run: Run<'_>) -> Result<Vec<i64>> {
    let mut chosen = Marks::new(pi.len())?;
    let fine = AtomicBool::new(true);
    run.fill_chunks(&mut chosen.words, TASK / GROUP, |task, chosen| {
        let units = &pi[task * TASK..pi.len().min((task + 1) * TASK)];
        if !draw(units, Purpose::Unit, (task * TASK / SHARE) as u64, stream, chosen) {
            fine.store(false, Ordering::Relaxed);
        }
        run.advance(units.len() as u64);
    })?;
    if !fine.into_inner() {
        check_probabilities(pi, run)?;
    }
    chosen.list(run)
}

/// Sets the bits of the chosen units, and clears the others, from the sequences of the entities from
/// `entity` on; false if something is no probability.
pub(super) fn draw(
    pi: &[f64],
    purpose: Purpose,
    entity: u64,
    stream: Stream,
    chosen: &mut [u64],
) -> bool {
    let mut blocks = [[0u64; 2]; BATCH / SHARE];
    let mut compared = [Compared::default(); BATCH / GROUP];
    let mut fine = true;
    let batches = pi.chunks(BATCH).zip(chosen.chunks_mut(BATCH / GROUP));
    for (batch, (pi, chosen)) in batches.enumerate() {
        let entity = entity + (batch * BATCH / SHARE) as u64;
        let blocks = &mut blocks[..pi.len().div_ceil(SHARE)];
        let compared = &mut compared[..pi.len().div_ceil(GROUP)];
        bulk::words(purpose, bulk::Ids::From(stream, entity), blocks);
        fine &= compare(pi, blocks, compared);
        let groups = compared.iter().zip(chosen);
        for (group, (&Compared { below, mut tied }, chosen)) in groups.enumerate() {
            *chosen = below;
            // Units whose word does not decide read on.
            while tied != 0 {
                let i = group * GROUP + tied.trailing_zeros() as usize;
                tied &= tied - 1;
                let mut draws = stream.draws(purpose, entity + (i / SHARE) as u64);
                draws.seek(2 + 2 * (i % SHARE) as u64);
                let rest = pi[i] * WORD - word(&blocks[i / SHARE], i % SHARE);
                *chosen |= u64::from(draws.precise_uniform() < rest) << (i % GROUP);
            }
        }
    }
    fine
}

#[inline(always)]
fn word(block: &[u64; 2], i: usize) -> f64 {
    f64::from((block[i / 2] >> (32 * (i % 2))) as u32)
}

/// What the words of up to [`GROUP`] units say, a bit for each.
#[derive(Clone, Copy, Default)]
struct Compared {
    /// The uniform number lies below the probability.
    below: u64,
    /// It may lie on either side.
    tied: u64,
}

vectorised! {
    /// Compares the words of all units with their probabilities; whether all of these are some.
    fn compare(pi: &[f64], blocks: &[[u64; 2]], out: &mut [Compared]) -> bool {
        let mut fine = true;
        let groups = pi.chunks(GROUP).zip(blocks.chunks(GROUP / SHARE)).zip(out);
        for ((pi, blocks), out) in groups {
            if let (Some(pi), Some(blocks)) = (pi.first_chunk(), blocks.first_chunk()) {
                fine &= compare_group(pi, blocks, out);
            } else {
                let (mut whole, mut padded) = ([0.0; GROUP], [[0; 2]; GROUP / SHARE]);
                whole[..pi.len()].copy_from_slice(pi);
                padded[..blocks.len()].copy_from_slice(blocks);
                fine &= compare_group(&whole, &padded, out);
            }
        }
        fine
    }
}

#[inline(always)]
fn compare_group(
    pi: &[f64; GROUP],
    blocks: &[[u64; 2]; GROUP / SHARE],
    out: &mut Compared,
) -> bool {
    let (mut below, mut at_most, mut fine) = (0u64, 0u64, true);
    // Eight at a time: as many as the widest registers hold.
    for (at, (pi, blocks)) in pi.as_chunks::<8>().0.iter().zip(blocks.as_chunks().0).enumerate() {
        let blocks: &[[u64; 2]; 2] = blocks;
        let (mut sure, mut maybe) = (0u64, 0u64);
        for i in 0..8 {
            let (threshold, word) = (pi[i] * WORD, word(&blocks[i / SHARE], i % SHARE));
            sure |= u64::from(word + 1.0 <= threshold) << i;
            maybe |= u64::from(word < threshold) << i;
            fine &= (0.0..=1.0).contains(&pi[i]);
        }
        below |= sure << (8 * at);
        at_most |= maybe << (8 * at);
    }
    *out = Compared { below, tied: below ^ at_most };
    fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_share_their_leading_bits_read_on() {
        let (stream, n) = (Stream::new(3), 4096usize);
        // A threshold just inside each unit's own word: the low bits decide at one half.
        let mut pi = vec![0.0; n];
        let mut blocks = vec![[0u64; 2]; n / SHARE];
        bulk::words(Purpose::Unit, bulk::Ids::From(stream, 0), &mut blocks);
        for (i, p) in pi.iter_mut().enumerate() {
            *p = (word(&blocks[i / SHARE], i % SHARE) + 0.5) / WORD;
        }
        let chosen = poisson(&pi, stream, Run::alone()).unwrap().len();
        assert!((chosen as f64 - 2048.0).abs() < 4.9 * 32.0, "{chosen}");
        for (i, p) in pi.iter_mut().enumerate() {
            *p = word(&blocks[i / SHARE], i % SHARE) / WORD;
        }
        assert_eq!(poisson(&pi, stream, Run::alone()).unwrap(), Vec::<i64>::new());
    }

    #[test]
    fn certain_and_impossible_units() {
        let pi: Vec<f64> = (0..100_000).map(|i| f64::from(i % 3 == 1)).collect();
        let chosen = poisson(&pi, Stream::new(1), Run::alone()).unwrap();
        assert!(chosen.iter().all(|i| i % 3 == 1) && chosen.len() == 33_333);
        for bad in [1, 40_000, 99_999] {
            let mut pi = pi.clone();
            (pi[bad], pi[99_999]) = (f64::NAN, -1.0);
            let error = poisson(&pi, Stream::new(1), Run::alone()).unwrap_err().to_string();
            let value = if bad == 99_999 { "-1.0" } else { "nan" };
            assert_eq!(error, format!("pi: item {bad} must be in [0, 1], got {value}"));
        }
        assert_eq!(poisson(&[], Stream::new(1), Run::alone()).unwrap(), Vec::<i64>::new());
    }
}
