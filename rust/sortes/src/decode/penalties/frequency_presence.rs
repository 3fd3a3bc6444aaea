//! Frequency and presence penalties, as text-generation services define them.

use super::Row;
use super::token_map::TokenMap;

/// Takes `frequency * count + presence` from every token that occurs in `history` `count > 0`
/// times.
///
/// Negative penalties reward. Linear in the history.
pub fn frequency_presence(
    row: &mut (impl Row + ?Sized),
    history: &[i64],
    frequency: f64,
    presence: f64,
    counts: &mut TokenMap,
) {
    if frequency == 0.0 && presence == 0.0 {
        return;
    }
    for &(token, count) in counts.count(history, row.vocabulary()) {
        row.update(token, |l| l - (frequency * f64::from(count) + presence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_matter_to_the_one_and_not_to_the_other() {
        let mut row = [1.0_f64; 4];
        frequency_presence(&mut row[..], &[0, 0, 0, 2, 9], 0.25, 0.5, &mut TokenMap::default());
        assert_eq!(row, [-0.25, 1.0, 0.25, 1.0]);
    }
}
