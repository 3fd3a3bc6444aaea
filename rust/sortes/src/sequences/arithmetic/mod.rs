//! Arithmetic sampling: Vilnis et al., "Arithmetic Sampling: Parallel Diverse Decoding for Large
//! Language Models", ICML 2023, arXiv:2210.15458.
//!
//! Every number in `[0, 1)` is the code of one text: the vocabulary divides the interval in
//! proportion to its probabilities, and each part is divided again by the next token. A uniform code
//! gives an exact sample; codes that are spread evenly give samples that differ. Floating-point codes
//! are used up after some 50 bits, that is a few dozen tokens. Here a code is as long as it has to be:
//! its digits are made when they are needed.
//!
//! | file | holds |
//! |---|---|
//! | `register` | the part of a code that decides the next token |
//! | `digits` | the digits that follow: long division of a stream of random words |
//! | `codebook` | how the codes of one prompt are spread |
//! | `codes` | many of them, and the step from one token to the next |

mod codebook;
mod codes;
mod digits;
mod register;
#[cfg(test)]
mod tests;

pub use codebook::{Codebook, LARGEST};
pub use codes::{ArithmeticCodes, Order};
