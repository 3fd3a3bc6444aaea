//! The repetition penalty of CTRL (Keskar et al. 2019, arXiv:1909.05858).

use sortes_core::{Result, Run};

use super::Row;
use super::token_map::TokenMap;

/// Makes every token that occurs in `history` less likely, once however often it occurs:
/// `l * penalty` where `l < 0`, `l / penalty` elsewhere.
///
/// A penalty of 1 changes nothing; below 1 it rewards. Linear in the history.
pub(super) fn repetition(
    row: &mut (impl Row + ?Sized),
    history: &[i64],
    penalty: f64,
    counts: &mut TokenMap,
    run: Run<'_>,
) -> Result<()> {
    if penalty != 1.0 {
        for &(token, _) in counts.count(history, row.vocabulary(), run)? {
            row.update(token, |l| if l < 0.0 { l * penalty } else { l / penalty });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distinct_token_once() {
        let mut row = [2.0_f32, -2.0, f32::NEG_INFINITY, 5.0, 0.0];
        let (history, mut map) = ([0, 1, 0, 1, 2, 4, 5, -1], TokenMap::default());
        repetition(&mut row[..], &history, 2.0, &mut map, Run::alone()).unwrap();
        assert_eq!(row, [1.0, -4.0, f32::NEG_INFINITY, 5.0, 0.0]);
    }
}
