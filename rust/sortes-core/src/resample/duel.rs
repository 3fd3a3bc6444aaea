//! The duel of two probabilities: Deville and Tille, "Unequal probability sampling without
//! replacement through a splitting method", Biometrika 85, 1998.

/// A unit that is still undecided, and what is left of its probability. Zero: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fraction {
    /// The unit.
    pub id: i64,
    /// What is left of its probability, in `[0, 1)`.
    pub pi: f64,
}

/// Settles one of two fractions, for a uniform `u`; returns the other.
///
/// `b` is positive. A zero `a` is no opponent: `b` stays as it is.
#[inline]
pub fn duel(a: Fraction, b: Fraction, u: f64, mut choose: impl FnMut(i64)) -> Fraction {
    let sum = a.pi + b.pi;
    let over = sum >= 1.0;
    // Selections rather than branches, which would go wrong every other time.
    let (range, first) = if over { (2.0 - sum, 1.0 - b.pi) } else { (sum, a.pi) };
    let first = u * range < first;
    let (left, settled) = if first == over { (b.id, a.id) } else { (a.id, b.id) };
    if over {
        choose(settled);
    }
    Fraction { id: left, pi: if over { sum - 1.0 } else { sum } }
}
