//! Sums whose rounding does not grow with the number of terms.

const BASE: usize = 512;
const LANES: usize = 8;

/// The sum of `values`, by halves.
pub fn sum(values: &[f64]) -> f64 {
    if values.len() > BASE {
        let (front, back) = values.split_at(values.len() / 2);
        return sum(front) + sum(back);
    }
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for group in groups {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// A running sum in twice the precision: what each addition rounds off is added up as well.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// The sum as rounded.
    pub high: f64,
    /// What rounding has taken away.
    pub low: f64,
}

impl Sum {
    /// Adds a term.
    #[inline]
    pub fn add(&mut self, term: f64) {
        let sum = self.high + term;
        let back = sum - self.high;
        self.low += (self.high - (sum - back)) + (term - back);
        self.high = sum;
    }

    /// The sum.
    #[inline]
    pub fn value(&self) -> f64 {
        self.high + self.low
    }

    /// The sum of two sums.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.add(other.high);
        self.low += other.low;
        self
    }
}

/// How far, relative to itself, a total of probabilities may lie from the integer it is taken for:
/// room for probabilities that were computed from weights by plain sums.
const INTEGER: f64 = 1e-9;
/// How far at most, so that large totals are not all integers.
const FAR: f64 = 1e-4;

/// The integer that `total` is but for rounding, if it is one.
pub fn as_integer(total: f64) -> Option<f64> {
    let integer = total.round();
    ((total - integer).abs() <= (INTEGER * total.max(1.0)).min(FAR)).then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_million_tenths() {
        let tenths = vec![0.1; 10_000_000];
        assert!((sum(&tenths) - 1e6).abs() < 1e-8);
        let mut running = Sum::default();
        for t in tenths {
            running.add(t);
        }
        assert!((running.value() - 1e6).abs() < 1e-9);
        assert_eq!(as_integer(running.value()), Some(1e6));
        assert_eq!(as_integer(0.3), None);
        assert_eq!(as_integer(1e9 + 0.3), None);
        assert_eq!(as_integer(1e-12), Some(0.0));
    }
}
