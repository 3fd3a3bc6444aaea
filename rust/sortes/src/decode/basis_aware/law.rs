//! The law of a row, what the rules keep of it, and the probability at their cut.

use sortes_core::memory::zeroed;
use sortes_core::{Error, Result};

use super::super::Element;
use super::super::call::{OneRow, nothing_left};
use super::super::survivors::Survivors;
use super::super::window::Window;

/// A row as the test sees it.
#[derive(Debug, Clone)]
pub(super) struct Law {
    /// The law before the rules cut it.
    pub(super) p: Vec<f64>,
    /// What the rules keep.
    pub(super) kept: Vec<bool>,
    /// The probability at the cut; 0 if nothing is cut.
    pub(super) tau: f64,
}

impl Law {
    /// The law of the row of survivors that have been restored; the rules had left `window`.
    pub(super) fn of(survivors: &mut Survivors<'_>, window: Window) -> Result<Self> {
        let x = survivors.row.x;
        let mut p = zeroed::<f64>(x.len(), "probabilities of one row")?;
        let mut kept = zeroed::<bool>(x.len(), "tokens of one row")?;
        for (id, (kept, &l)) in kept.iter_mut().zip(x).enumerate() {
            *kept = window.contains(l, id as u32);
        }
        let z = survivors.add_law(1.0, &mut p);
        Ok(Self { p, kept, tau: at_cut(survivors, z) })
    }

    /// All mass on one token.
    fn of_one(x: &[f32], window: Window) -> Result<Self> {
        let mut p = zeroed::<f64>(x.len(), "probabilities of one row")?;
        let mut kept = zeroed::<bool>(x.len(), "tokens of one row")?;
        for (id, _) in x.iter().enumerate().filter(|(id, l)| window.contains(**l, *id as u32)) {
            (p[id], kept[id]) = (1.0, true);
        }
        Ok(Self { p, kept, tau: 1.0 })
    }
}

/// The probability of a token at the cut, given the normaliser of the whole row.
fn at_cut(survivors: &mut Survivors<'_>, z: f64) -> f64 {
    let above = survivors.cut - f64::from(survivors.max());
    ((above / survivors.temperature()).exp() / z).min(1.0)
}

/// The survivors of rules that keep the most likely tokens, at least one.
pub(super) fn likely<'s, T: Element>(row: &'s mut OneRow<'_>, x: &'s [T]) -> Result<Survivors<'s>> {
    let index = row.index;
    if let Some(rule) = row.rules().find(|rule| !rule.keeps_best) {
        let reason = "may remove the most likely token, which basis-aware truncation keeps";
        return Err(Error::argument(rule.parameters[0].name, reason));
    }
    let survivors = row.survivors(x)?;
    if survivors.is_empty() { Err(nothing_left(index)) } else { Ok(survivors) }
}

/// The law of a row, and what the rules keep of it.
pub(super) fn of_row<T: Element>(row: &mut OneRow<'_>, x: &[T]) -> Result<Law> {
    let mut survivors = likely(row, x)?;
    if survivors.is_greedy {
        return Law::of_one(survivors.row.x, survivors.window);
    }
    let window = survivors.restore();
    Law::of(&mut survivors, window)
}

/// The probability at the cut of the rules.
pub(super) fn cut_of<T: Element>(row: &mut OneRow<'_>, x: &[T]) -> Result<f64> {
    let mut survivors = likely(row, x)?;
    if survivors.is_greedy {
        return Ok(1.0);
    }
    survivors.restore();
    let (max, t) = (f64::from(survivors.max()), survivors.temperature());
    let weights = survivors.row.x.iter().map(|&l| ((f64::from(l) - max) / t).exp());
    let z = weights.sum();
    Ok(at_cut(&mut survivors, z))
}
