//! Frequency and presence penalties, as text-generation services define them.

use sortes_core::{Result, Run};

use super::Row;
use super::token_map::TokenMap;

/// Takes `frequency * count + presence` from every token that occurs in `history` `count > 0`
/// times.
///
/// Negative penalties reward. Linear in the history.
pub(super) fn frequency_presence(
    row: &mut (impl Row + ?Sized),
    history: &[i64],
    frequency: f64,
    presence: f64,
    counts: &mut TokenMap,
    run: Run<'_>,
) -> Result<()> {
    if frequency != 0.0 || presence != 0.0 {
        for &(token, count) in counts.count(history, row.vocabulary(), run)? {
            row.update(token, |l| l - (frequency * f64::from(count) + presence));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_matter_to_the_one_and_not_to_the_other() {
        let mut row = [1.0_f64; 4];
        let (history, mut map) = ([0, 0, 0, 2, 9], TokenMap::default());
        frequency_presence(&mut row[..], &history, 0.25, 0.5, &mut map, Run::alone()).unwrap();
        assert_eq!(row, [-0.25, 1.0, 0.25, 1.0]);
    }
}
