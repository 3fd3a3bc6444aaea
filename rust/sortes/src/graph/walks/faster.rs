//! Very many walkers on a graph beyond the cache, in the faster of two ways. Which one that is depends on
//! how long the machine waits for memory and what new memory costs: both are tried and timed on some of the
//! walkers. The walks are the same either way.

use std::time::Instant;

use sortes_core::{Result, Run};

use super::super::structure::Graph;
use super::{Id, Part, Plan, lockstep, partitioned, plain, rules};

/// Tasks of each thread that are walked in lock step first.
const TRIAL: usize = 2;

/// Walks all walkers of some parts.
pub(super) fn walk<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    parts: &mut [Part<'_, O>],
    run: Run<'_>,
) -> Result<()> {
    let alone = |parts: &mut [Part<'_, O>]| in_lock_step(graph, plan, parts, run);
    let sorted = |parts: &mut [Part<'_, O>]| partitioned::walk(graph, plan, parts, run);
    let (first, rest) = parts.split_at_mut((TRIAL * run.threads.count()).min(parts.len()));
    let took_alone = time_of_each(first, alone)?;
    let (second, rest) = rest.split_at_mut(partitioned::round(graph).min(rest.len()));
    let took_sorted = time_of_each(second, sorted)?;
    if took_sorted < took_alone { sorted(rest) } else { alone(rest) }
}

/// Walks some parts, and returns how many seconds a walker took.
fn time_of_each<O>(
    parts: &mut [Part<'_, O>],
    walk: impl FnOnce(&mut [Part<'_, O>]) -> Result<()>,
) -> Result<f64> {
    let walkers: usize = parts.iter().map(|part| part.walkers).sum();
    let start = Instant::now();
    walk(parts)?;
    Ok(start.elapsed().as_secs_f64() / walkers.max(1) as f64)
}

fn in_lock_step<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    parts: &mut [Part<'_, O>],
    run: Run<'_>,
) -> Result<()> {
    run.try_fill_chunks(parts, 1, |_, part| {
        let part = &mut part[0];
        if part.edges.is_empty() {
            plain::walk(graph, plan, part, run)?;
        } else {
            lockstep::walk(graph, plan, &rules::Simple, part, run)?;
        }
        run.advance(part.walkers as u64);
        Ok(())
    })
}
