//! Words of few bits, sorted digit by digit.

use sortes_core::Result;
use sortes_core::memory::reserve;

/// Bits of a digit at most: their counters fit into a near cache.
const DIGIT: u32 = 10;
/// Digits of a word at most.
const PASSES: usize = u32::BITS.div_ceil(DIGIT) as usize;

/// The memory of a sort.
#[derive(Debug)]
pub(super) struct Digits {
    counts: Box<[[u32; 1 << DIGIT]; PASSES]>,
    other: Vec<u32>,
}

impl Digits {
    pub(super) fn new() -> Self {
        Self { counts: Box::new([[0; 1 << DIGIT]; PASSES]), other: Vec::new() }
    }

    /// Sorts words that have so many bits at most.
    ///
    /// # Errors
    /// If there is no memory for a second copy.
    pub(super) fn sort(&mut self, words: &mut Vec<u32>, bits: u32) -> Result<()> {
        let passes = bits.div_ceil(DIGIT).max(1);
        let width = bits.div_ceil(passes);
        let digit = |word: u32, pass: u32| (word >> (pass * width)) as usize % (1 << width);
        self.other.clear();
        reserve(&mut self.other, words.len(), "visits of a node's walks")?;
        self.other.resize(words.len(), 0);

        // 1. How many words have each digit, for all passes.
        let counts = &mut self.counts[..passes as usize];
        for count in &mut *counts {
            count[..1 << width].fill(0);
        }
        for &word in &*words {
            for (pass, count) in (0..).zip(&mut *counts) {
                count[digit(word, pass)] += 1;
            }
        }

        // 2. From the last digit to the first, each word goes behind those of smaller digits and those
        //    before it.
        for (pass, places) in (0..).zip(counts) {
            let mut sum = 0;
            for place in &mut places[..1 << width] {
                (*place, sum) = (sum, sum + *place);
            }
            for &word in &*words {
                let place = &mut places[digit(word, pass)];
                self.other[*place as usize] = word;
                *place += 1;
            }
            std::mem::swap(words, &mut self.other);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::rng::{Purpose, Stream};

    #[test]
    fn words_of_any_width_are_sorted() {
        let mut draws = Stream::new(3).draws(Purpose::Uniform, 0);
        let mut digits = Digits::new();
        for bits in 0..=32 {
            for count in [0, 1, 2, 700, 5000] {
                let mut words: Vec<u32> =
                    (0..count).map(|_| (draws.u64() >> 32 >> (32 - bits)) as u32).collect();
                let mut wanted = words.clone();
                wanted.sort_unstable();
                digits.sort(&mut words, bits).unwrap();
                assert_eq!(words, wanted, "{bits} {count}");
            }
        }
    }
}
