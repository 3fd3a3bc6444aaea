//! Spins whose couplings are small multiples of one strength and whose fields are equal: what is likely to
//! happen to one depends on how many neighbours it has and how many of them pull it up, and stands in a
//! table. A neighbour of twice the strength counts twice.

use sortes_core::Result;
use sortes_core::memory::filled;
use sortes_core::rng::uniform_of;

use super::is_below_sigmoid;
use super::model::{Kind, Model};

/// The binary digits of a uniform number.
const DIGITS: u32 = 53;

/// Thresholds of uniform numbers, in units of the last digit.
#[derive(Debug)]
pub(super) struct Thresholds {
    strength: f64,
    /// Where those of a number of neighbours begin.
    starts: Vec<usize>,
    all: Vec<u64>,
    /// How often neighbours count, all together.
    arcs: usize,
}

impl Thresholds {
    /// Of a model, if its couplings have one strength, most of them, and its fields are equal.
    ///
    /// # Errors
    /// If there is no memory.
    pub(super) fn new(model: &Model) -> Result<Option<Self>> {
        let sites = model.sites();
        // The index of a neighbour shares a word with the sign of its coupling.
        if model.kind() != Kind::Ising || sites == 0 || sites > 1 << 31 {
            return Ok(None);
        }
        let field = model.field(0)[0];
        let sizes = model.couplings().iter().map(|x| x.abs());
        let strength = sizes.clone().filter(|&x| x > 0.0).reduce(f64::min).unwrap_or(1.0);
        let times = |x: f64| (x / strength).round();
        let all: f64 = sizes.clone().map(times).sum();
        if !(0..sites).all(|i| model.field(i)[0].to_bits() == field.to_bits())
            || !sizes.clone().all(|x| times(x) * strength == x)
            || all > 2.0 * model.arcs() as f64
        {
            return Ok(None);
        }
        let mut made = Self { strength, starts: Vec::new(), all: Vec::new(), arcs: all as usize };
        let count = |i| model.around(i).1.iter().map(|&x| made.times(x)).sum();
        let most = (0..sites).map(count).max().unwrap_or(0);
        let mut starts = filled(most + 1, usize::MAX, "sites")?;
        let mut all = Vec::new();
        for neighbours in (0..sites).map(count) {
            if starts[neighbours] == usize::MAX {
                starts[neighbours] = all.len();
                all.extend((0..=neighbours).map(|ups| {
                    let pull = 2.0 * ups as f64 - neighbours as f64;
                    threshold(2.0 * model.beta() * (field + strength * pull))
                }));
            }
        }
        (made.starts, made.all) = (starts, all);
        Ok(Some(made))
    }

    /// How often a neighbour counts.
    fn times(&self, coupling: f64) -> usize {
        (coupling.abs() / self.strength).round() as usize
    }

    /// How often neighbours count, all together.
    pub(super) fn arcs(&self) -> usize {
        self.arcs
    }

    /// The words that stand for a neighbour and the sign of its coupling, one for each time it counts.
    pub(super) fn packed(&self, neighbour: u32, coupling: f64) -> impl Iterator<Item = u32> {
        let word = neighbour << 1 | u32::from(coupling < 0.0);
        std::iter::repeat_n(word, self.times(coupling))
    }

    /// The state that a random word gives to a site with these neighbours.
    #[inline(always)]
    pub(super) fn drawn(&self, states: &[u8], packed: &[u32], word: u64) -> u8 {
        let mut ups = 0;
        for &j in packed {
            ups += usize::from(states[(j >> 1) as usize]) ^ (j & 1) as usize;
        }
        u8::from(word >> (64 - DIGITS) < self.all[self.starts[packed.len()] + ups])
    }
}

/// How many uniform numbers are below the sigmoid of `x`.
fn threshold(x: f64) -> u64 {
    let (mut low, mut high) = (0, 1 << DIGITS);
    while low < high {
        let middle = u64::midpoint(low, high);
        if is_below_sigmoid(uniform_of(middle << (64 - DIGITS)), x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
