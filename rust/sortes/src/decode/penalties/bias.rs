//! Additive biases on single tokens.

use super::Row;

/// Adds each bias to its token; minus infinity bans.
pub(super) fn bias(row: &mut (impl Row + ?Sized), biases: &[(usize, f64)]) {
    for &(token, value) in biases {
        row.update(token, |l| l + value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_bans() {
        let mut row = [1.0_f32, 2.0, 3.0];
        bias(&mut row[..], &[(2, -1.5), (0, f64::NEG_INFINITY)]);
        assert_eq!(row, [f32::NEG_INFINITY, 2.0, 1.5]);
    }
}
