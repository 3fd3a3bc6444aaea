//! One distribution over the vocabulary, with what all its tokens' programs share.

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::{Result, Run};

use super::columns::Columns;
use super::simplex::POLL;
use super::{Features, Settings};

const WHAT: &str = "tokens of one row";

/// A distribution `p`, its mean column, and the columns that every program starts from.
#[derive(Debug)]
pub(super) struct Distribution<'a> {
    pub(super) features: &'a Features,
    pub(super) settings: Settings,
    pub(super) p: Vec<f64>,
    /// `sum_j p_j a_j`.
    pub(super) mean: Vec<f64>,
    /// Tokens of positive probability.
    pub(super) support: Vec<u32>,
    pub(super) start: Start,
}

/// The columns of the first program.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) ids: Vec<u32>,
    pub(super) columns: Columns,
    pub(super) caps: Vec<f64>,
    /// Whether some of them stand for others too, with their mass.
    pub(super) is_sample: bool,
}

impl<'a> Distribution<'a> {
    /// `p` must sum to one within rounding and hold no negative number.
    pub(super) fn new(
        features: &'a Features,
        settings: Settings,
        p: Vec<f64>,
        run: Run<'_>,
    ) -> Result<Self> {
        let mut mean = vec![0.0; features.dim()];
        let mut support = with_capacity(p.len(), WHAT)?;
        for range in run.blocks(p.len(), POLL) {
            for id in range?.filter(|&id| p[id] > 0.0) {
                support.push(id as u32);
                for (m, &a) in mean.iter_mut().zip(features.row(id)) {
                    *m += p[id] * f64::from(a);
                }
            }
        }
        let (ids, caps) = if support.len() <= settings.direct.max(settings.band) {
            let mut ids = with_capacity(support.len(), WHAT)?;
            ids.extend_from_slice(&support);
            let mut caps = with_capacity(ids.len(), WHAT)?;
            caps.extend(ids.iter().map(|&id| settings.cap(p[id as usize])));
            (ids, caps)
        } else {
            sample(&p, &support, settings, run)?
        };
        let start = Start {
            columns: features.gather(&ids, run)?,
            caps,
            is_sample: settings.nonneg && ids.len() < support.len(),
            ids,
        };
        Ok(Self { features, settings, p, mean, support, start })
    }
}

/// The most probable tokens, and a systematic sample of the others in proportion to their mass,
/// each of which stands for an equal share of it.
fn sample(
    p: &[f64],
    support: &[u32],
    settings: Settings,
    run: Run<'_>,
) -> Result<(Vec<u32>, Vec<f64>)> {
    let half = (settings.band / 2).max(1);
    let mut masses = with_capacity(support.len(), WHAT)?;
    masses.extend(support.iter().map(|&id| p[id as usize]));
    let tail = masses.len() - half;
    run.check()?;
    masses.select_nth_unstable_by(tail, f64::total_cmp);
    run.check()?;
    let least = masses[tail];
    let share = masses[..tail].iter().sum::<f64>() / half as f64;

    let (mut ids, mut caps) = (Vec::new(), Vec::new());
    let mut reached = 0.5;
    for (i, &id) in support.iter().enumerate() {
        if i % POLL == 0 {
            run.check()?;
        }
        let mass = p[id as usize];
        let mut cap = if mass >= least { mass } else { 0.0 };
        if mass < least {
            reached += mass / share;
            while reached >= 1.0 {
                cap += share;
                reached -= 1.0;
            }
        }
        if cap > 0.0 {
            reserve(&mut ids, 1, WHAT)?;
            reserve(&mut caps, 1, WHAT)?;
            ids.push(id);
            caps.push(settings.cap(cap));
        }
    }
    Ok((ids, caps))
}
