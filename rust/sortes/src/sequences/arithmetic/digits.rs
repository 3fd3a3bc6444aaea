//! The binary digits of a code, made as they are asked for.

/// The digits of `(i + v) / n`, where `v` is a number in `[0, 1)` whose digits are those of a stream
/// of words, in base `2^32` and the most significant first.
///
/// Long division: the remainder starts as `i`, and each word `w` gives the digit
/// `(remainder * 2^32 + w) / n` and the remainder of that. Nothing is ever carried back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    /// What the division by `n` has left before the word at the position.
    remainder: u64,
    /// How many bits have been taken.
    position: u64,
}

/// Bits of a word.
const WORD: u32 = 32;

impl Digits {
    /// The digits of code `i`.
    pub(super) fn new(i: u64) -> Self {
        Self { remainder: i, position: 0 }
    }

    /// The same from a later bit on; `remainder` is that of the word it is in.
    pub(super) fn at(remainder: u64, position: u64) -> Self {
        Self { remainder, position }
    }

    pub(super) fn parts(self) -> [u64; 2] {
        [self.remainder, self.position]
    }

    /// The next bits, at most 64 of them; `word(k)` is word `k` of the stream.
    pub(super) fn take(&mut self, bits: u32, n: u64, word: &mut impl FnMut(u64) -> u32) -> u64 {
        let (mut out, mut wanted) = (0, bits);
        while wanted > 0 {
            let offset = (self.position % u64::from(WORD)) as u32;
            let current = self.remainder << WORD | u64::from(word(self.position / u64::from(WORD)));
            let (digit, remainder) = (current / n, current % n);
            let count = wanted.min(WORD - offset);
            // The bits of the digit that have not been taken, from the top.
            let part = (digit as u32) << offset >> (WORD - count);
            out = out << count | u64::from(part);
            if offset + count == WORD {
                self.remainder = remainder;
            }
            self.position += u64::from(count);
            wanted -= count;
        }
        out
    }
}
