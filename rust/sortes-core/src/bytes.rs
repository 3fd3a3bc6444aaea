//! States as bytes: the one way to save a sampler and to send it to another process.
//!
//! All fields are little-endian words of eight bytes: the magic and version, the kind, the fields of
//! that kind, a checksum of everything before it. Floating-point numbers are their IEEE bits.
//! Whatever is read is checked, so that bytes from anywhere give a valid state or an error.

use crate::memory::with_capacity;
use crate::{Error, Result, Run};

/// Words between two polls.
const BLOCK: usize = 1 << 16;

/// Six letters, a zero and the version.
const MAGIC: [u8; 7] = *b"SORTES\0";
const VERSION: u8 = 1;

/// What bytes are the state of. Numbers are never reused and never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
#[non_exhaustive]
pub enum Kind {
    /// A bottom-k sketch.
    BottomK = 1,
    /// A priority sample.
    PrioritySample = 2,
    /// A variance-optimal sample.
    VarOpt = 3,
    /// An alias table.
    AliasTable = 4,
    /// Weights that change between draws.
    DynamicWeights = 5,
    /// A weighted reservoir.
    Reservoir = 6,
    /// A pivotal sample of a part of a population.
    Pivotal = 7,
    /// The features of an output matrix.
    Basis = 9,
    /// Codes of sequences, as far as they have been read.
    ArithmeticCodes = 10,
    /// A graph.
    Graph = 11,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::BottomK,
        Self::PrioritySample,
        Self::VarOpt,
        Self::AliasTable,
        Self::DynamicWeights,
        Self::Reservoir,
        Self::Pivotal,
        Self::Basis,
        Self::ArithmeticCodes,
        Self::Graph,
    ];
}

/// The error of bytes that are not what was written.
pub fn corrupt(what: &str) -> Error {
    Error::argument("data", format!("corrupt: {what}"))
}

/// Every word changes it: both steps are bijections of the state.
fn mix(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Collects words.
pub struct Writer {
    bytes: Vec<u8>,
    checksum: u64,
}

impl Writer {
    /// Begins the bytes of a state that has a few words.
    pub fn new(kind: Kind) -> Self {
        Self::begun(kind, Vec::new())
    }

    /// Begins the bytes of a state of `words` words.
    ///
    /// # Errors
    /// If they cannot be allocated.
    pub fn with_capacity(kind: Kind, words: usize) -> Result<Self> {
        // Beside its own words a state has two in front and one behind.
        let len = words.saturating_add(3).saturating_mul(8);
        Ok(Self::begun(kind, with_capacity(len, "bytes of a state")?))
    }

    fn begun(kind: Kind, bytes: Vec<u8>) -> Self {
        let mut out = Self { bytes, checksum: 0 };
        let mut first = [VERSION; 8];
        first[..7].copy_from_slice(&MAGIC);
        out.word(u64::from_le_bytes(first));
        out.word(kind as u64);
        out
    }

    /// Appends a word.
    pub fn word(&mut self, word: u64) {
        self.checksum = mix(self.checksum, word);
        self.bytes.extend(word.to_le_bytes());
    }

    /// Appends many words.
    ///
    /// # Errors
    /// If the work is cancelled.
    pub fn words(
        &mut self,
        mut words: impl ExactSizeIterator<Item = u64>,
        run: Run<'_>,
    ) -> Result<()> {
        for range in run.blocks(words.len(), BLOCK) {
            words.by_ref().take(range?.len()).for_each(|word| self.word(word));
        }
        Ok(())
    }

    /// Appends a number.
    pub fn float(&mut self, x: f64) {
        self.word(x.to_bits());
    }

    /// Appends the checksum; returns the bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.word(self.checksum);
        self.bytes
    }
}

/// Hands out words.
pub struct Reader<'a> {
    words: &'a [[u8; 8]],
}

impl<'a> Reader<'a> {
    /// Checks the frame and the kind.
    ///
    /// # Errors
    /// If the bytes are not those of a state of this kind, or if the work is cancelled.
    pub fn of(bytes: &'a [u8], kind: Kind, run: Run<'_>) -> Result<Self> {
        let (found, reader) = Self::new(bytes, run)?;
        if found == kind { Ok(reader) } else { Err(corrupt("its kind")) }
    }

    /// Checks the frame; returns the kind and what follows it.
    ///
    /// # Errors
    /// If the bytes are not those of a state, or if the work is cancelled; the other methods fail if
    /// the state ends too early.
    pub fn new(bytes: &'a [u8], run: Run<'_>) -> Result<(Kind, Self)> {
        let refuse = |reason: String| Err(Error::argument("data", reason));
        if bytes.len() < 8 || bytes[..7] != MAGIC {
            return refuse("these are not the bytes of a state of sortes".into());
        }
        if bytes[7] != VERSION {
            return refuse(format!("version {} is unknown, expected {VERSION}", bytes[7]));
        }
        let (words, rest) = bytes.as_chunks::<8>();
        let [fields @ .., checksum] = words else { return Err(corrupt("no checksum")) };
        let mut sum = 0;
        for range in run.blocks(fields.len(), BLOCK) {
            sum = fields[range?].iter().fold(sum, |sum, &word| mix(sum, u64::from_le_bytes(word)));
        }
        if !rest.is_empty() || sum != u64::from_le_bytes(*checksum) {
            return Err(corrupt("truncated, or the checksum is wrong"));
        }
        let mut reader = Self { words: fields };
        reader.word()?;
        let number = reader.word()?;
        let kind = Kind::ALL.into_iter().find(|&kind| kind as u64 == number);
        Ok((kind.ok_or_else(|| corrupt("its kind"))?, reader))
    }

    /// The next `count` words.
    #[allow(clippy::missing_errors_doc)] // see `new`
    pub fn words(&mut self, count: usize) -> Result<impl Iterator<Item = u64> + use<'a>> {
        let Some((head, tail)) = self.words.split_at_checked(count) else {
            return Err(corrupt("it ends too early"));
        };
        self.words = tail;
        Ok(head.iter().map(|&word| u64::from_le_bytes(word)))
    }

    /// What `read` makes of the next `count` words; they are `what`.
    ///
    /// # Errors
    /// If the state ends too early, there is no memory for them, or the work is cancelled.
    pub fn column<T>(
        &mut self,
        count: usize,
        what: &'static str,
        run: Run<'_>,
        read: impl Fn(u64) -> T,
    ) -> Result<Vec<T>> {
        let mut words = self.words(count)?;
        let mut out = with_capacity(count, what)?;
        for range in run.blocks(count, BLOCK) {
            out.extend(words.by_ref().take(range?.len()).map(&read));
        }
        Ok(out)
    }

    /// How many words are left.
    pub fn remaining(&self) -> usize {
        self.words.len()
    }

    /// The next word.
    #[allow(clippy::missing_errors_doc)] // see `new`
    pub fn word(&mut self) -> Result<u64> {
        self.words(1)?.next().ok_or_else(|| corrupt("it ends too early"))
    }

    /// The next number.
    #[allow(clippy::missing_errors_doc)] // see `new`
    pub fn float(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.word()?))
    }

    /// A length: of something that is still to come.
    #[allow(clippy::missing_errors_doc)] // see `new`
    pub fn length(&mut self) -> Result<usize> {
        let length = self.word()?;
        usize::try_from(length)
            .ok()
            .filter(|&length| length <= self.words.len())
            .ok_or_else(|| corrupt("a length is too large"))
    }

    /// A truth value; `what` is it, for the error.
    #[allow(clippy::missing_errors_doc)] // see `new`
    pub fn flag(&mut self, what: &str) -> Result<bool> {
        match self.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(corrupt(what)),
        }
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// If something is.
    pub fn finish(self) -> Result<()> {
        if self.words.is_empty() { Ok(()) } else { Err(corrupt("something follows its end")) }
    }
}

/// The bytes of these words and their checksum, for tests that forge states.
#[doc(hidden)]
pub fn seal(words: &[u64]) -> Vec<u8> {
    let mut to = Writer { bytes: Vec::new(), checksum: 0 };
    for &word in words {
        to.word(word);
    }
    to.finish()
}
