//! The part of a code that decides the next token, as two integers.

/// Shares of a range are multiples of `1 / UNIT`.
const BITS: u32 = 53;
const UNIT: f64 = (1_u64 << BITS) as f64;

/// The code `x / range` within the text so far, to 63 bits or more: all that lies below is uniform
/// on the unit of `x`, as long as the digits that [`refill`](Self::refill) is given are.
///
/// A part of the range from the share `a` to the share `b` of its mass is the integers from
/// `floor(range * a)` to `floor(range * b)`, with `a` and `b` rounded down to multiples of `2^-53`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Register {
    x: u64,
    range: u64,
}

/// Two shares of the mass, between which a part lies.
pub(super) type Ends = [f64; 2];

impl Register {
    /// The leading bits of a code that a register starts with.
    pub(super) const START: u32 = 63;

    /// A code that begins with these [`START`](Self::START) bits.
    pub(super) fn new(bits: u64) -> Self {
        Self { x: bits, range: 1 << Self::START }
    }

    /// The register of these two integers, if there is one.
    pub(super) fn of(x: u64, range: u64) -> Option<Self> {
        (range >> 63 == 1 && x < range).then_some(Self { x, range })
    }

    pub(super) fn parts(self) -> [u64; 2] {
        [self.x, self.range]
    }

    /// The code as a number, rounded down to a multiple of `2^-53`.
    pub(super) fn code(self) -> f64 {
        ((u128::from(self.x) << BITS) / u128::from(self.range)) as u64 as f64 / UNIT
    }

    /// The least share whose end lies beyond the code: a multiple of `2^-53` in `(0, 1]`.
    ///
    /// `floor(range * c / 2^53) > x` for an integer `c` says that `c >= (x + 1) * 2^53 / range`.
    pub(super) fn threshold(self) -> f64 {
        let least = (u128::from(self.x + 1) << BITS).div_ceil(u128::from(self.range));
        least as u64 as f64 / UNIT
    }

    /// The first of several parts whose end lies beyond the code, and where it lies; none if they
    /// have no mass.
    pub(super) fn find(self, masses: impl Iterator<Item = f64> + Clone) -> Option<(usize, Ends)> {
        // Summed as below, so that the last part with mass ends at one exactly.
        let total = masses.clone().fold(0.0, |sum, mass| sum + mass);
        let threshold = self.threshold();
        // A division decides, but most parts are far from where one could.
        let near = total * threshold * (1.0 - 4.0 * f64::EPSILON);
        let mut before = 0.0;
        for (index, mass) in masses.enumerate() {
            let through = before + mass;
            if through >= near && through / total >= threshold {
                return Some((index, [before / total, through / total]));
            }
            before = through;
        }
        None
    }

    /// Keeps the part between these ends, in which the code lies.
    ///
    /// Shares that were computed elsewhere may be off by a rounding: the part is at least the one
    /// unit that the code needs.
    pub(super) fn narrow(&mut self, ends: Ends) {
        let threshold = (self.threshold() * UNIT) as u64;
        let [low, high] = ends.map(|share| (share * UNIT) as u64);
        let (low, high) = (low.min(threshold - 1), high.clamp(threshold, 1 << BITS));
        let unit = |share: u64| ((u128::from(self.range) * u128::from(share)) >> BITS) as u64;
        let (low, high) = (unit(low), unit(high));
        debug_assert!(low <= self.x && self.x < high);
        (self.x, self.range) = (self.x - low, high - low);
    }

    /// Makes the range large again with the digits that follow; `digits(n)` gives the next `n`.
    pub(super) fn refill(&mut self, digits: impl FnOnce(u32) -> u64) {
        let shift = self.range.leading_zeros();
        if shift > 0 {
            self.range <<= shift;
            self.x = self.x << shift | digits(shift);
        }
    }
}
