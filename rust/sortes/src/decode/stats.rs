//! Statistics of rows, and the parameter at which each token leaves a rule's kept set.

use super::element::Element;
use super::exact::Precision;
use super::params::{RULES, Rule};
use super::pipeline::Options;
use super::rows::{Row, Rows, each_row};
use super::survivors::{Scratch, Survivors};
use sortes_core::memory::filled;
use sortes_core::simd::Wanted;
use sortes_core::{Error, Result, Run};

/// What is known of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowStats {
    /// The largest logit.
    pub max: f64,
    /// Its lowest id.
    pub argmax: i64,
    /// Log of the sum of exponentials, in nats.
    pub lse: f64,
    /// Shannon entropy in nats.
    pub entropy: f64,
    /// Collision probability.
    pub collision: f64,
    /// Number of finite logits.
    pub n_finite: i64,
    /// Their mean.
    pub mean: f64,
    /// Their population standard deviation.
    pub std: f64,
}

/// Calls `f` with the survivors of no rule at all: the whole row.
fn for_rows<T: Element, O: Send>(
    logits: &impl Rows<T>,
    out: &mut [O],
    chunk: usize,
    run: Run<'_>,
    f: impl Fn(Survivors<'_>, &mut [O]) -> Result<()> + Sync,
) -> Result<()> {
    each_row(out, chunk, run, |index, scratch, out, run| {
        let Scratch { wide, blocks, work, .. } = scratch;
        let row = Row::widen(logits.row(index), wide, blocks, index, run)?;
        f(Survivors::new(row, work, run)?, out)
    })
}

/// Statistics of every row.
///
/// # Errors
/// [`Error::Row`] for a row with NaN or plus infinity; if there is no memory for the result.
pub fn row_stats<T: Element>(logits: &impl Rows<T>, run: Run<'_>) -> Result<Vec<RowStats>> {
    let mut out = filled(logits.rows(), RowStats::default(), "statistics")?;
    for_rows(logits, &mut out, 1, run, |survivors, out| {
        out[0] = of_row(survivors);
        Ok(())
    })?;
    Ok(out)
}

fn of_row(mut survivors: Survivors<'_>) -> RowStats {
    if survivors.is_empty() {
        return RowStats {
            max: f64::NEG_INFINITY,
            argmax: -1,
            lse: f64::NEG_INFINITY,
            mean: f64::NAN,
            std: f64::NAN,
            ..RowStats::default()
        };
    }
    let law = survivors.law(Wanted { entropy: true, square: true });
    let moments = survivors.moments(f32::MIN);
    let max = f64::from(law.max);
    RowStats {
        max,
        argmax: survivors.row.argmax() as i64,
        lse: max + law.z.ln(),
        entropy: law.entropy,
        collision: law.collision,
        n_finite: moments.count as i64,
        mean: max + moments.sum / moments.count as f64,
        std: moments.deviation(0),
    }
}

/// The critical parameter of every token (the rules say which side of it keeps a token); NaN in a
/// row without a finite logit. Of `options`, the tie rule and the degrees of freedom matter.
///
/// # Errors
/// [`Error::Argument`] for a rule that has none; [`Error::Row`] for a row with NaN or plus
/// infinity.
pub fn critical<T: Element>(
    logits: &impl Rows<T>,
    rule: &Rule,
    options: &Options,
    out: &mut [f64],
    run: Run<'_>,
) -> Result<()> {
    let Some(critical) = rule.critical else {
        let known: Vec<_> = RULES.iter().filter(|r| r.has_critical()).map(|r| r.name).collect();
        let known = known.join(", ");
        return Err(Error::argument("rule", format!("must be {known}, got '{}'", rule.name)));
    };
    for_rows(logits, out, logits.cols().max(1), run, |mut survivors, out| {
        if survivors.is_empty() {
            out.fill(f64::NAN);
            Ok(())
        } else {
            survivors.weigh_in(Precision::Double);
            critical(&mut survivors, options, out)
        }
    })
}
