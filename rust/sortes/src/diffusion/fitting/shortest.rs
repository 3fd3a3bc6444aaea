//! The cheapest path of exactly `k` edges through levels `0..n`, from the first to the last.
//!
//! `best_k(j) = min_{i < j} best_{k-1}(i) + cost(i, j)`: globally optimal, since costs add up.

use sortes_core::error::shown;
use sortes_core::memory::{filled, zeroed};
use sortes_core::{Error, Result, Run};

/// How many levels a task updates: neighbours, so that rows of costs are read in stretches.
const CHUNK: usize = 512;
/// How many rows of costs are read between two looks at the stop request.
const ROWS: usize = 512;

/// A path, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The levels, the first and the last among them.
    pub levels: Vec<usize>,
    /// The sum of the costs of its edges.
    pub cost: f64,
}

/// What each of some levels costs by one edge more, and where that begins.
#[derive(Clone)]
struct Levels {
    best: [f64; CHUNK],
    /// As wide as the costs, so that both are chosen by one mask.
    from: [u64; CHUNK],
}

impl Levels {
    const NONE: Self = Self { best: [f64::INFINITY; CHUNK], from: [0; CHUNK] };

    /// Takes the edges from level `i` where they are better, to levels from number `start` on.
    fn update(&mut self, start: usize, cost: f64, edges: &[f64], i: usize) {
        let best = &mut self.best[start..start + edges.len()];
        let from = &mut self.from[start..start + edges.len()];
        for ((best, from), edge) in best.iter_mut().zip(from).zip(edges) {
            let total = cost + edge;
            let is_better = total < *best;
            *best = if is_better { total } else { *best };
            *from = if is_better { i as u64 } else { *from };
        }
    }
}

/// The cheapest path of exactly `k` edges; of equal ones that with the smallest predecessors, the
/// last edge first. None if all cross a forbidden edge, whose cost is infinite.
///
/// `cost` has `n` rows of `n`: that of going from the level of the row to that of the column. What is
/// not above the diagonal says nothing, but must be no NaN.
///
/// ```
/// use sortes::diffusion::fitting::shortest::shortest;
/// use sortes_core::Run;
///
/// let cost = [0.0, 1.0, 5.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
/// let found = shortest(&cost, 3, 2, Run::alone()).unwrap().unwrap();
/// assert_eq!((found.levels, found.cost), (vec![0, 1, 2], 2.0));
/// ```
///
/// # Errors
/// If a cost is NaN, or minus infinity above the diagonal, there is no memory, or the work has been
/// asked to stop.
///
/// # Panics
/// If `cost` has another length than `n * n`.
pub fn shortest(cost: &[f64], n: usize, k: usize, run: Run<'_>) -> Result<Option<Found>> {
    assert_eq!(cost.len(), n * n, "a square table");
    for (i, row) in cost.chunks_exact(n.max(1)).enumerate() {
        if i % ROWS == 0 {
            run.check()?;
        }
        let is_bad = |(j, c): (usize, &f64)| c.is_nan() || (j > i && *c == f64::NEG_INFINITY);
        if let Some(j) = row.iter().enumerate().position(is_bad) {
            let reason = format!("item ({i}, {j}) must be a number or inf, got {}", shown(row[j]));
            return Err(Error::argument("cost", reason));
        }
    }
    if n < 2 || k == 0 || k > n - 1 {
        return Ok(None);
    }
    // What each level costs by the edges so far, and where the last of these begins.
    let mut best = filled(n, f64::INFINITY, "costs")?;
    best[0] = 0.0;
    let mut from: Vec<u32> = zeroed(k.saturating_mul(n), "levels")?;
    let mut next = filled(n.div_ceil(CHUNK), Levels::NONE, "costs")?;
    run.expect(k as u64);
    for round in 0..k {
        run.fill_chunks(&mut next, 1, |task, chunk| {
            let first = task * CHUNK;
            let end = n.min(first + CHUNK);
            for levels in chunk {
                *levels = Levels::NONE;
                for i in (0..end).filter(|&i| best[i] < f64::INFINITY) {
                    let start = (i + 1).clamp(first, end);
                    levels.update(start - first, best[i], &cost[i * n + start..i * n + end], i);
                    if i % ROWS == 0 && run.cancel.is_cancelled() {
                        return;
                    }
                }
            }
        })?;
        for (j, best) in best.iter_mut().enumerate() {
            let levels = &next[j / CHUNK];
            *best = levels.best[j % CHUNK];
            from[round * n + j] = levels.from[j % CHUNK] as u32;
        }
        run.advance(1);
    }
    let total = best[n - 1];
    if total == f64::INFINITY {
        return Ok(None);
    }
    let mut levels = vec![n - 1; k + 1];
    for round in (0..k).rev() {
        levels[round] = from[round * n + levels[round + 1]] as usize;
    }
    Ok(Some(Found { levels, cost: total }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::rng::{Purpose, Stream};

    /// The cheapest of all paths, tried one by one, in the order of the last predecessors.
    fn tried(cost: &[f64], n: usize, k: usize) -> Option<f64> {
        fn go(cost: &[f64], n: usize, at: usize, left: usize) -> f64 {
            if left == 0 {
                return if at == n - 1 { 0.0 } else { f64::INFINITY };
            }
            (at + 1..n)
                .map(|j| cost[at * n + j] + go(cost, n, j, left - 1))
                .fold(f64::INFINITY, f64::min)
        }
        let found = go(cost, n, 0, k);
        (found < f64::INFINITY).then_some(found)
    }

    #[test]
    fn it_is_the_cheapest_of_all_paths() {
        for trial in 0..200 {
            let mut draws = Stream::new(trial).draws(Purpose::Uniform, 0);
            let n = 2 + trial as usize % 8;
            let cost: Vec<f64> = (0..n * n)
                .map(|_| draws.uniform())
                .map(|u| if u < 0.2 { f64::INFINITY } else { u })
                .collect();
            for k in 0..=n {
                let found = shortest(&cost, n, k, Run::alone()).unwrap();
                match (found, tried(&cost, n, k)) {
                    (None, None) => {}
                    (Some(found), Some(least)) if k > 0 => {
                        let steps = found.levels.windows(2);
                        let sum: f64 = steps.clone().map(|e| cost[e[0] * n + e[1]]).sum();
                        assert!((found.cost - least).abs() < 1e-12 && (sum - least).abs() < 1e-12);
                        assert!(steps.clone().all(|e| e[0] < e[1]) && steps.len() == k);
                    }
                    (found, least) => panic!("{n} {k} {found:?} {least:?}"),
                }
            }
        }
    }

    #[test]
    fn equal_paths_go_through_the_smallest_predecessors() {
        let found = shortest(&[1.0; 25], 5, 3, Run::alone()).unwrap().unwrap();
        assert_eq!(found.levels, [0, 1, 2, 4]);
    }

    #[test]
    fn wide_tables_do_not_depend_on_threads() {
        let n = 3 * CHUNK + 7;
        let mut draws = Stream::new(1).draws(Purpose::Uniform, 0);
        let cost: Vec<f64> = (0..n * n).map(|_| draws.uniform()).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let cancel = sortes_core::cancel::Cancel::default();
        let run = Run::new(sortes_core::par::Threads::new(&pool, 3), &cancel);
        assert_eq!(shortest(&cost, n, 4, run), shortest(&cost, n, 4, Run::alone()));
    }

    #[test]
    fn what_is_no_cost_is_refused() {
        for bad in [f64::NAN, f64::NEG_INFINITY] {
            let error = shortest(&[0.0, bad, bad, bad], 2, 1, Run::alone()).unwrap_err();
            assert!(error.to_string().starts_with("cost: item (0, 1)"), "{error}");
        }
    }
}
