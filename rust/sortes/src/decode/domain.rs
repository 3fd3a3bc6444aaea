//! Where a parameter must lie.

use std::fmt;

use sortes_core::{Error, Result};

/// An interval of numbers, or of integers. NaN is in none.
///
/// It is written as it is in Python: `[0, 1)`.
///
/// ```
/// use sortes::decode::Domain;
///
/// let domain = Domain::UNIT;
/// assert!(domain.contains(0.0) && !domain.contains(1.0) && !domain.contains(f64::NAN));
/// assert_eq!(domain.to_string(), "[0, 1)");
/// assert_eq!(
///     domain.check("eta_cutoff", None, 1.5).unwrap_err().to_string(),
///     "eta_cutoff: must be in [0, 1), got 1.5"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Domain {
    low: f64,
    high: f64,
    /// Whether the ends are left out.
    open: (bool, bool),
    integer: bool,
}

impl Domain {
    /// Finite numbers.
    pub const FINITE: Self = Self::reals((f64::NEG_INFINITY, f64::INFINITY), (true, true));
    /// Finite numbers from zero on.
    pub const NON_NEGATIVE: Self = Self::reals((0.0, f64::INFINITY), (false, true));
    /// From 0 to 1, both included.
    pub const PROBABILITY: Self = Self::reals((0.0, 1.0), (false, false));
    /// From 0 to 1, without 1.
    pub const UNIT: Self = Self::reals((0.0, 1.0), (false, true));
    /// From 0 to 1, without 0.
    pub const SHARE: Self = Self::reals((0.0, 1.0), (true, false));
    /// Every number, and both infinities.
    pub const ANY: Self = Self::reals((f64::NEG_INFINITY, f64::INFINITY), (false, false));

    /// The numbers between two ends, each left out if it is `open`.
    #[must_use]
    pub const fn reals(ends: (f64, f64), open: (bool, bool)) -> Self {
        Self { low: ends.0, high: ends.1, open, integer: false }
    }

    /// The integers from `low` to `high`, both included where they are finite.
    #[must_use]
    pub const fn integers(low: f64, high: f64) -> Self {
        Self { low, high, open: (low.is_infinite(), high.is_infinite()), integer: true }
    }

    /// Whether it holds integers alone.
    pub fn is_of_integers(&self) -> bool {
        self.integer
    }

    /// Whether a number is inside.
    pub fn contains(&self, x: f64) -> bool {
        let above = if self.open.0 { x > self.low } else { x >= self.low };
        let below = if self.open.1 { x < self.high } else { x <= self.high };
        above && below && !(self.integer && x.fract() != 0.0)
    }

    /// Checks a number: an argument called `name`, or one of its items.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is outside.
    pub fn check(&self, name: &'static str, item: Option<usize>, x: f64) -> Result<()> {
        if self.contains(x) {
            return Ok(());
        }
        let item = item.map_or_else(String::new, |item| format!("item {item} "));
        let domain = match (self.integer, x.fract() == 0.0) {
            (true, false) => "an integer".to_owned(),
            (true, true) if self.high == f64::INFINITY => format!("at least {}", self.low),
            _ => format!("in {self}"),
        };
        let got = if x.is_nan() { "nan".to_owned() } else { x.to_string() };
        Err(Error::argument(name, format!("{item}must be {domain}, got {got}")))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) =
            (if self.open.0 { '(' } else { '[' }, if self.open.1 { ')' } else { ']' });
        write!(f, "{left}{}, {}{right}", self.low, self.high)
    }
}
