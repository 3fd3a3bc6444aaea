//! Sketches as bytes.
//!
//! All fields are little-endian words of eight bytes: the magic and version, the kind, the fields of
//! that kind, a checksum of everything before it. Floating-point numbers are their IEEE bits.
//! Whatever is read is checked, so that bytes from anywhere give a valid sketch or an error.

use sortes_core::{Error, Result};

/// Seven letters and the version.
const MAGIC: [u8; 7] = *b"SORTSKT";
const VERSION: u8 = 1;

/// The error of bytes that are not what was written.
pub(super) fn corrupt(what: &str) -> Error {
    Error::argument("data", format!("corrupt: {what}"))
}

/// Every word changes it: both steps are bijections of the state.
fn mix(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Collects words.
pub(super) struct Writer {
    bytes: Vec<u8>,
    checksum: u64,
}

impl Writer {
    pub(super) fn new(kind: u64) -> Self {
        let mut out = Self { bytes: Vec::new(), checksum: 0 };
        let mut first = [VERSION; 8];
        first[..7].copy_from_slice(&MAGIC);
        out.word(u64::from_le_bytes(first));
        out.word(kind);
        out
    }

    pub(super) fn word(&mut self, word: u64) {
        self.checksum = mix(self.checksum, word);
        self.bytes.extend(word.to_le_bytes());
    }

    pub(super) fn float(&mut self, x: f64) {
        self.word(x.to_bits());
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.word(self.checksum);
        self.bytes
    }
}

/// Hands out words.
pub(super) struct Reader<'a> {
    words: &'a [[u8; 8]],
}

impl<'a> Reader<'a> {
    /// Checks the frame; returns the kind and what follows it.
    pub(super) fn new(bytes: &'a [u8]) -> Result<(u64, Self)> {
        let refuse = |reason: String| Err(Error::argument("data", reason));
        if bytes.len() < 8 || bytes[..7] != MAGIC {
            return refuse("these are not the bytes of a sketch".into());
        }
        if bytes[7] != VERSION {
            return refuse(format!("version {} is unknown, expected {VERSION}", bytes[7]));
        }
        let (words, rest) = bytes.as_chunks::<8>();
        let [fields @ .., checksum] = words else { return Err(corrupt("no checksum")) };
        let sum = fields.iter().fold(0, |sum, &word| mix(sum, u64::from_le_bytes(word)));
        if !rest.is_empty() || sum != u64::from_le_bytes(*checksum) {
            return Err(corrupt("truncated, or the checksum is wrong"));
        }
        let mut reader = Self { words: fields };
        reader.word()?;
        Ok((reader.word()?, reader))
    }

    pub(super) fn words(&mut self, count: usize) -> Result<impl Iterator<Item = u64> + use<'a>> {
        let Some((head, tail)) = self.words.split_at_checked(count) else {
            return Err(corrupt("it ends too early"));
        };
        self.words = tail;
        Ok(head.iter().map(|&word| u64::from_le_bytes(word)))
    }

    pub(super) fn word(&mut self) -> Result<u64> {
        self.words(1)?.next().ok_or_else(|| corrupt("it ends too early"))
    }

    pub(super) fn float(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.word()?))
    }

    /// A length: of something that is still to come.
    pub(super) fn length(&mut self) -> Result<usize> {
        let length = self.word()?;
        usize::try_from(length)
            .ok()
            .filter(|&length| length <= self.words.len())
            .ok_or_else(|| corrupt("a length is too large"))
    }

    pub(super) fn flag(&mut self, what: &str) -> Result<bool> {
        match self.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(corrupt(what)),
        }
    }

    /// Makes sure that nothing is left.
    pub(super) fn finish(self) -> Result<()> {
        if self.words.is_empty() { Ok(()) } else { Err(corrupt("something follows its end")) }
    }
}

/// The bytes of these words and their checksum.
#[cfg(test)]
pub(super) fn seal(words: &[u64]) -> Vec<u8> {
    let mut to = Writer { bytes: Vec::new(), checksum: 0 };
    for &word in words {
        to.word(word);
    }
    to.finish()
}
