//! How the codes of one prompt are spread over `[0, 1)`.

use super::digits::Digits;
use super::register::Register;
use sortes_core::rng::{Draws, Purpose, Rounds, Stream};

/// The largest number of codes of one prompt.
pub const LARGEST: u64 = 1 << 31;

/// Bits of a register that a number given in `f64` does not decide.
const EXTRA: u32 = Register::START - 53;

/// Of a prompt's stream, the entity of the number that says which code comes first; those below are
/// words of codes. Of the stream that all prompts share, the key of the orders of the vocabulary;
/// those below are the keys of prompts.
const BEYOND: u64 = 1 << 47;

/// The stream of the prompt with this id.
pub(super) fn prompt(stream: Stream, id: u64) -> Stream {
    Stream::new(stream.draws(Purpose::Code, id).u64())
}

/// The random orders of the vocabulary, which all prompts share.
pub(super) fn orders(stream: Stream) -> Rounds {
    Rounds::from_key(stream.draws(Purpose::Code, BEYOND).u64())
}

/// A way to spread `n` codes, `v` being uniform on `[0, 1)`.
///
/// A prompt's codes start with one of them, chosen at random, and go on around the end: each is then
/// uniform on `[0, 1)`, whatever its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codebook {
    /// `(i + v) / n` with one `v` for all.
    Lattice,
    /// `(i + v_i) / n`, each with a `v_i` of its own.
    Stratified,
    /// A lattice of `n + 1` codes without one of them, chosen at random: what the authors' code does.
    T5x,
    /// Codes that the caller gives, as multiples of `2^-53`; what follows is random.
    Explicit,
}

impl Codebook {
    /// Every codebook, with the number that stands for it in saved states.
    pub(super) const ALL: [Self; 4] = [Self::Lattice, Self::Stratified, Self::T5x, Self::Explicit];

    /// By what the words of a code are divided.
    pub(super) fn divisor(self, n: u64) -> u64 {
        match self {
            Self::Lattice | Self::Stratified => n,
            Self::T5x => n + 1,
            Self::Explicit => 1,
        }
    }

    /// The words of code `i` of the prompt with this stream, by their index.
    pub(super) fn words(self, prompt: Stream, i: u64) -> impl FnMut(u64) -> u32 + Send + use<> {
        let mut draws = match self {
            Self::Lattice | Self::T5x => prompt.draws(Purpose::Code, 0),
            Self::Stratified | Self::Explicit => prompt.draws(Purpose::Code, i),
        };
        move |k| word(&mut draws, k)
    }

    /// The number of the code that comes first.
    pub(super) fn first(self, prompt: Stream, n: u64) -> u64 {
        prompt.draws(Purpose::Code, BEYOND).below(self.divisor(n))
    }

    /// The code at place `i`, before any token; [`first`](Self::first) is that at place 0.
    pub(super) fn start(self, prompt: Stream, n: u64, first: u64, i: u64) -> (Register, Digits) {
        let divisor = self.divisor(n);
        let mut digits = Digits::new((first + i) % divisor);
        let bits = digits.take(Register::START, divisor, &mut self.words(prompt, i));
        (Register::new(bits), digits)
    }

    /// Code `i` of those that are given, before any token.
    pub(super) fn given(code: f64, prompt: Stream, i: u64) -> (Register, Digits) {
        let (mut digits, mut words) = (Digits::new(0), Self::Explicit.words(prompt, i));
        let below = digits.take(Register::START, 1, &mut words) & ((1 << EXTRA) - 1);
        let leading = (code * (1_u64 << (Register::START - EXTRA)) as f64) as u64;
        (Register::new(leading << EXTRA | below), digits)
    }
}

/// A word of a sequence: the words of its blocks, in their order.
fn word(draws: &mut Draws, k: u64) -> u32 {
    if draws.position() != k / 2 {
        draws.seek(k / 2);
    }
    (draws.u64() >> (32 * (k % 2))) as u32
}
