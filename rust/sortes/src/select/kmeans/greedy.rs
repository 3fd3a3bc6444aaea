//! Greedy k-means++: the best of several draws for each centre.
//!
//! Candidates are compared with blocks of neighbours (see `blocks`): those out of reach are passed
//! over, and all points of the others are looked at side by side.

use std::ops::Range;

use sortes_core::memory::{reserve, with_capacity, zeroed};
use sortes_core::weights::DynamicWeights;
use sortes_core::{Result, vectorised};

use super::blocks::{BLOCK, Blocks, Held};
use super::{Points, Problem, Seeding};

/// Candidates that are compared at once: any number of them takes no more memory than these.
const BATCH: usize = 32;
/// Blocks that one task looks at, as far as they have to be. No sum depends on which are passed
/// over.
const TASK: usize = 16;
/// Distances in single precision are rounded, and squares may be less than its least number; this
/// is generous.
const SLACK: (f64, f64) = (1.001, 1e-36);

/// Draws all centres, each the best of `local_trials` independent draws, the first among equals.
pub(super) fn seed<P: Points>(problem: &Problem<'_, P>, local_trials: usize) -> Result<Seeding> {
    let first = problem.first()?;
    let distances = problem.distances(&problem.points.target(first)?)?;
    let comparisons = local_trials.saturating_mul(problem.n_clusters - 1);
    let blocks = problem.points.blocks((first, &distances), comparisons, problem.run)?;
    let mut state = State::new(problem, first, distances, &blocks)?;
    problem.advance();
    while state.seeding.indices.len() < problem.n_clusters {
        let row = state.best(local_trials)?;
        state.choose(row)?;
        problem.advance();
    }
    Ok(state.seeding)
}

/// How far all points are from the centres so far.
struct State<'p, 'a, P: Points, B> {
    problem: &'p Problem<'a, P>,
    blocks: &'p B,
    /// The squared distances, by positions in blocks; zero where there is nothing to gain.
    nearest: Vec<f64>,
    /// The squared distance from the middle of each block at which candidates gain none of its
    /// points.
    reach: Vec<f64>,
    /// Weights by positions, if points have weights.
    shares: Vec<f64>,
    /// Distances times weights, by rows.
    weights: DynamicWeights,
    seeding: Seeding,
}

/// A block, and which of the candidates are within its reach.
struct Hit {
    block: usize,
    near: Range<usize>,
}

/// Candidates, and the blocks that they have to be compared with.
struct Reach<C> {
    candidates: C,
    near: Vec<u32>,
    hits: Vec<Hit>,
    /// The hits of each task.
    tasks: Vec<Range<usize>>,
}

impl<C> Reach<C> {
    /// The blocks of a task.
    fn task(&self, task: usize) -> &[Hit] {
        &self.hits[self.tasks[task].clone()]
    }
}

impl<'p, 'a, P: Points, B: Blocks> State<'p, 'a, P, B> {
    /// With a first centre, and the squared distances of all points from it.
    fn new(
        problem: &'p Problem<'a, P>,
        first: usize,
        mut distances: Vec<f64>,
        blocks: &'p B,
    ) -> Result<Self> {
        let (rows, many) = (blocks.rows(), blocks.radii().len());
        distances[first] = 0.0;
        let mut nearest = zeroed(many * BLOCK, "distances")?;
        for (nearest, &row) in nearest.iter_mut().zip(rows) {
            *nearest = if problem.weight(row) > 0.0 { distances[row] } else { 0.0 };
        }
        let mut shares = Vec::new();
        if problem.weights.is_some() {
            shares = zeroed(many * BLOCK, "weights")?;
            shares.iter_mut().zip(rows).for_each(|(share, &row)| *share = problem.weight(row));
            for (row, distance) in distances.iter_mut().enumerate() {
                *distance *= problem.weight(row);
            }
        }
        let mut seeding = Seeding::of(vec![first]);
        seeding.evaluations = rows.len() as u64;
        let weights = DynamicWeights::new(distances, problem.run)?;
        let reach = zeroed(many, "blocks")?;
        let mut out = Self { problem, blocks, nearest, reach, shares, weights, seeding };
        (0..many).for_each(|block| out.measure(block));
        Ok(out)
    }

    /// Finds out how far a block reaches now.
    fn measure(&mut self, block: usize) {
        let nearest = self.held(block).nearest;
        let farthest = nearest.iter().fold(0.0, |a: f64, &b| a.max(b));
        let reach = self.blocks.radii()[block] + farthest.sqrt();
        self.reach[block] = if farthest > 0.0 { SLACK.0 * reach * reach + SLACK.1 } else { 0.0 };
    }

    /// What is known of the points of a block.
    fn held(&self, block: usize) -> Held<'_> {
        let shares = self.shares.as_chunks().0.get(block).unwrap_or(&[1.0; BLOCK]);
        Held { nearest: &self.nearest.as_chunks().0[block], shares }
    }

    /// The best of some draws; any point where all coincide with centres.
    fn best(&mut self, local_trials: usize) -> Result<usize> {
        let mut draws = self.problem.trials(self.seeding.indices.len());
        let (mut best, mut most) = (None, -1.0);
        let mut left = local_trials;
        while left > 0 {
            let batch = left.min(BATCH);
            let picks: Option<Vec<usize>> =
                (0..batch).map(|_| self.weights.pick(draws.uniform())).collect();
            let Some(mut picks) = picks else { break };
            self.seeding.trials += batch as u64;
            if self.blocks.has_bounds() {
                picks = self.leaders(&picks)?;
            }
            if batch == local_trials
                && let [only] = picks[..]
            {
                return Ok(only);
            }
            for (&pick, gain) in picks.iter().zip(self.gains(&picks)?) {
                if gain > most {
                    (best, most) = (Some(pick), gain);
                }
            }
            left -= batch;
        }
        if let Some(row) = best {
            return Ok(row);
        }
        self.seeding.degenerate += 1;
        self.problem.fill(&self.seeding.indices)
    }

    /// The candidates that may gain most.
    fn leaders(&mut self, candidates: &[usize]) -> Result<Vec<usize>> {
        let (reach, many) = (self.reach(candidates)?, candidates.len());
        let mut parts = zeroed(reach.tasks.len() * many, "gains")?;
        self.problem.run.try_fill_chunks(&mut parts, many, |task, bounds| {
            let hits = reach.task(task);
            let mut scratch = zeroed(many * BLOCK, "distances")?;
            for hit in hits {
                let (near, points) = (&reach.near[hit.near.clone()], self.held(hit.block));
                let of = &reach.candidates;
                self.blocks.add_bounds(hit.block, of, near, points, &mut scratch, bounds);
            }
            Ok(())
        })?;
        let mut sums = vec![[0.0; 2]; many];
        for part in parts.chunks_exact(many) {
            for (sum, [low, high]) in sums.iter_mut().zip(part) {
                *sum = [sum[0] + low, sum[1] + high];
            }
        }
        // Sums are rounded as well.
        let least = sums.iter().fold(0.0, |a: f64, sum| a.max(sum[0])) * (1.0 - 1e-9);
        let leads = candidates.iter().zip(sums).filter(|(_, sum)| sum[1] >= least);
        Ok(leads.map(|(&candidate, _)| candidate).collect())
    }

    /// By how much each candidate, as the next centre, would lower the cost.
    fn gains(&mut self, candidates: &[usize]) -> Result<Vec<f64>> {
        let (reach, many) = (self.reach(candidates)?, candidates.len());
        // What each task would gain from each candidate: no sum depends on the threads.
        let mut parts = zeroed(reach.tasks.len() * many, "gains")?;
        self.problem.run.try_fill_chunks(&mut parts, many, |task, gains| {
            self.compare(&reach, task, |block, which, distances| {
                gains[which] += gain(self.held(block), distances);
            })
        })?;
        let mut gains = zeroed(many, "gains")?;
        for part in parts.chunks_exact(many) {
            gains.iter_mut().zip(part).for_each(|(gain, more)| *gain += more);
        }
        Ok(gains)
    }

    /// Makes a point the next centre.
    fn choose(&mut self, row: usize) -> Result<()> {
        let problem = self.problem;
        self.seeding.push(row)?;
        if self.seeding.indices.len() == problem.n_clusters {
            return Ok(());
        }
        let reach = self.reach(&[row])?;
        // The points that each task finds to be nearer to it, by positions.
        let mut found = with_capacity(reach.tasks.len(), "tasks")?;
        found.resize_with(reach.tasks.len(), Vec::new);
        problem.run.try_fill_chunks(&mut found, 1, |task, found| {
            self.compare(&reach, task, |block, _, distances| {
                let pairs = self.held(block).nearest.iter().zip(distances);
                let nearer =
                    pairs.enumerate().filter(|(_, (nearest, distance))| distance < nearest);
                found[0].extend(nearer.map(|(i, (_, &distance))| (block * BLOCK + i, distance)));
            })
        })?;
        let rows = self.blocks.rows();
        let count = found.iter().map(Vec::len).sum::<usize>();
        let mut changes = with_capacity(count + 1, "changes")?;
        for &(position, distance) in found.iter().flatten() {
            let row = rows[position];
            self.nearest[position] = distance;
            changes.push((row, problem.weight(row) * distance));
        }
        changes.push((row, 0.0));
        self.weights.set_all(changes.iter().copied(), problem.run)?;
        for hit in &reach.hits {
            self.measure(hit.block);
        }
        Ok(())
    }

    /// What candidates have to be compared with.
    fn reach(&mut self, candidates: &[usize]) -> Result<Reach<B::Candidates>> {
        let (count, many) = (self.blocks.middles(), candidates.len());
        let rows = self.blocks.candidates(candidates)?;
        let mut all = with_capacity(many, "candidates")?;
        all.extend(0..many as u32);
        let mut apart = zeroed(count * many, "distances from blocks")?;
        self.blocks.to_middles(&rows, &all, &mut apart);
        let mut near = Vec::new();
        let mut hits: Vec<Hit> = with_capacity(self.reach.len(), "blocks")?;
        let mut tasks: Vec<Range<usize>> = with_capacity(self.reach.len().div_ceil(TASK), "tasks")?;
        for (block, &reach) in self.reach.iter().enumerate() {
            if reach == 0.0 {
                continue;
            }
            let first = near.len();
            reserve(&mut near, many, "candidates")?;
            for &which in &all {
                let apart = apart.get(which as usize * count + block).copied().unwrap_or(0.0);
                if apart < reach {
                    near.push(which);
                }
            }
            if near.len() > first {
                match tasks.last_mut() {
                    Some(task) if hits[task.start].block / TASK == block / TASK => task.end += 1,
                    _ => tasks.push(hits.len()..hits.len() + 1),
                }
                hits.push(Hit { block, near: first..near.len() });
            }
        }
        self.seeding.evaluations += (count * many + near.len() * BLOCK) as u64;
        Ok(Reach { candidates: rows, near, hits, tasks })
    }

    /// Calls `f` with each block of a task, each candidate within its reach, and their distances.
    fn compare(
        &self,
        reach: &Reach<B::Candidates>,
        task: usize,
        mut f: impl FnMut(usize, usize, &[f64]),
    ) -> Result<()> {
        let hits = reach.task(task);
        let most = hits.iter().map(|hit| hit.near.len()).max().unwrap_or(0);
        let mut distances = zeroed(most * BLOCK, "distances")?;
        for hit in hits {
            let (near, nearest) = (&reach.near[hit.near.clone()], self.held(hit.block).nearest);
            self.blocks.compare(hit.block, &reach.candidates, near, nearest, &mut distances);
            for (&which, distances) in near.iter().zip(distances.chunks_exact(BLOCK)) {
                f(hit.block, which as usize, distances);
            }
        }
        Ok(())
    }
}

vectorised! {
    /// The sum of what distances are less than the nearest ones, times shares.
    fn gain(points: Held<'_>, distances: &[f64]) -> f64 {
        let mut lanes = [0.0; 8];
        let Some(distances) = distances.first_chunk::<BLOCK>() else { return 0.0 };
        for from in 0..BLOCK / 8 {
            for (i, lane) in lanes.iter_mut().enumerate() {
                let at = 8 * from + i;
                let less = points.nearest[at] - distances[at];
                *lane += points.shares[at] * if less > 0.0 { less } else { 0.0 };
            }
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::Dense;
    use super::*;
    use sortes_core::Run;
    use sortes_core::rng::{Purpose, Stream};

    /// The same by the textbook: all distances, and the gains of all points.
    fn plainly(problem: &Problem<'_, Dense<'_, f64>>, local_trials: usize) -> Vec<usize> {
        let to = |row: usize| problem.distances(&problem.points.target(row).unwrap()).unwrap();
        let mut chosen = vec![problem.first().unwrap()];
        let mut distances = to(chosen[0]);
        while chosen.len() < problem.n_clusters {
            let rows = 0..distances.len();
            let weighted = rows.clone().map(|row| problem.weight(row) * distances[row]).collect();
            let weights = DynamicWeights::new(weighted, problem.run).unwrap();
            let mut draws = problem.trials(chosen.len());
            let (mut best, mut least) = (None, f64::INFINITY);
            for _ in 0..local_trials {
                let Some(pick) = weights.pick(draws.uniform()) else { break };
                let others = to(pick);
                let rest = rows.clone().map(|i| problem.weight(i) * distances[i].min(others[i]));
                let rest = rest.sum::<f64>();
                if rest < least * (1.0 - 1e-12) {
                    (best, least) = (Some(pick), rest);
                }
            }
            let row = best.unwrap_or_else(|| problem.fill(&chosen).unwrap());
            chosen.push(row);
            for (distance, other) in distances.iter_mut().zip(to(row)) {
                *distance = distance.min(other);
            }
        }
        chosen
    }

    #[test]
    fn what_is_passed_over_would_gain_nothing() {
        // Looked at exactly; screened, in an order of neighbours; and screened as they come.
        for (dim, n, spared) in [(3, 5000, 3), (20, 1200, 2), (140, 400, 1)] {
            let mut draws = Stream::new(4).draws(Purpose::Uniform, 0);
            // Clusters of very different widths, and points that coincide.
            let mut data: Vec<f64> = (0..n * dim)
                .map(|i| {
                    let cluster = (i / dim * 7919) % 23;
                    cluster as f64 + draws.normal() * 10f64.powi(-(cluster as i32 % 5))
                })
                .collect();
            data.copy_within(0..n / 8 * dim, n / 2 * dim);
            // And whole numbers, of which many candidates gain exactly as much: the first one is
            // taken.
            let whole: Vec<f64> = (0..n * dim).map(|_| draws.below(3) as f64).collect();
            let weights: Vec<f64> = (0..n).map(|i| [1.0, 0.25, 0.0, 0.5][i % 4]).collect();
            let some = Some(&weights[..]);
            for (data, weights, sizes, spared) in [
                (&data, None, [(60, 5), (9, 70)], spared),
                (&data, some, [(60, 5), (9, 70)], spared),
                (&whole, None, [(9, 5), (20, 9)], 1),
            ] {
                let mut points = Dense::new(&data[..], dim);
                assert!(points.checked(Run::alone()).unwrap().is_none());
                let points = &points;
                for (n_clusters, local_trials) in sizes {
                    let rounds = Stream::new(9).rounds();
                    let run = Run::alone();
                    let problem =
                        Problem { points, weights, n_clusters, rounds, run, reports: false };
                    let found = seed(&problem, local_trials).unwrap();
                    assert_eq!(
                        found.indices,
                        plainly(&problem, local_trials),
                        "{dim} {n_clusters}"
                    );
                    let all = n * n_clusters * (2 * local_trials + 2);
                    assert!(found.evaluations < (all / spared) as u64);
                }
            }
        }
    }

    /// Far from the origin single precision says little, and gains of many candidates are the same
    /// but for their last digits: what it leaves open is looked at exactly.
    #[test]
    fn single_precision_decides_nothing() {
        let (n, run) = (900, Run::alone());
        for (dim, width) in [(24, 1e-3), (24, 1.0), (24, 1e-13), (150, 1e-2)] {
            let mut draws = Stream::new(6).draws(Purpose::Uniform, 0);
            let data: Vec<f64> = (0..n * dim)
                .map(|i| [-4e4, 0.0, 5e4][(i / dim) % 3] + draws.normal() * width)
                .collect();
            let rounds = Stream::new(2).rounds();
            let found = [true, false].map(|screened| {
                // Where the scale is not known, all distances are computed exactly.
                let mut points = Dense::new(&data[..], dim);
                assert!(!screened || points.checked(run).unwrap().is_none());
                let points = &points;
                let to_first = from_first(points);
                let blocks = points.blocks((0, &to_first), 100, run).unwrap();
                assert_eq!(blocks.has_bounds(), screened);
                let problem =
                    Problem { points, weights: None, n_clusters: 40, rounds, run, reports: false };
                seed(&problem, 5).unwrap().indices
            });
            assert_eq!(found[0], found[1], "{dim} {width}");
        }
    }

    fn from_first(points: &Dense<'_, f64>) -> Vec<f64> {
        let mut out = vec![0.0; points.len()];
        points.distances(0..out.len(), &points.target(0).unwrap(), &mut out);
        out
    }

    /// A block is within reach of whatever is just nearer to one of its points than their centre.
    #[test]
    fn balls_hold_whom_they_may_lose() {
        for (dim, first, width) in
            [(1, 1e3, 1.0), (2, 1e3, 1.0), (20, 1e3, 1.0), (4, -1e5, 1e-2), (4, -1e5, 1e-3)]
        {
            let (n, run) = (1500, Run::alone());
            let mut draws = Stream::new(3).draws(Purpose::Uniform, 0);
            // What is far from the first point moves when it is rounded; neighbours part here.
            let middle = 1e3 + 2f64.powi(-8);
            let mut data: Vec<f64> =
                (0..n * dim).map(|_| middle + width * draws.normal()).collect();
            data[..dim].fill(first);
            let mut points = Dense::new(&data[..], dim);
            assert!(points.checked(run).unwrap().is_none());
            let (points, rounds) = (&points, Stream::new(9).rounds());
            let problem =
                Problem { points, weights: None, n_clusters: 9, rounds, run, reports: false };
            let to = |row: usize| problem.distances(&points.target(row).unwrap()).unwrap();
            let blocks = points.blocks((0, &to(0)), 100, run).unwrap();
            let mut state = State::new(&problem, 0, to(0), &blocks).unwrap();
            for candidate in (0..n).step_by(37) {
                let truth = to(candidate);
                for place in (candidate % 5..n).step_by(5) {
                    let distance = truth[blocks.rows()[place]];
                    state.nearest.fill(0.0);
                    state.nearest[place] = distance.next_up();
                    (0..state.reach.len()).for_each(|block| state.measure(block));
                    let reach = state.reach(&[candidate]).unwrap();
                    let hit: Vec<usize> = reach.hits.iter().map(|hit| hit.block).collect();
                    assert_eq!(hit, [place / BLOCK], "{dim}");
                }
            }
        }
    }

    #[test]
    fn gains_are_what_a_candidate_saves() {
        let (n, dim) = (2500, 3);
        let mut draws = Stream::new(5).draws(Purpose::Uniform, 0);
        let data: Vec<f64> = (0..n * dim).map(|_| draws.normal()).collect();
        let weights: Vec<f64> = (0..n).map(|i| (i % 5) as f64 / 4.0).collect();
        let (points, run) = (&Dense::new(data, dim), Run::alone());
        let rounds = Stream::new(9).rounds();
        let weights = Some(&weights[..]);
        let problem = Problem { points, weights, n_clusters: 9, rounds, run, reports: false };
        let first = problem.first().unwrap();
        let distances = problem.distances(&points.target(first).unwrap()).unwrap();
        let blocks = points.blocks((first, &distances), 100, run).unwrap();
        let mut state = State::new(&problem, first, distances, &blocks).unwrap();
        for row in [3, 400, 1200] {
            state.choose(row).unwrap();
        }
        let cost = |more: &[usize]| -> f64 {
            let centres = state.seeding.indices.iter().chain(more);
            let to = |&row: &usize| problem.distances(&points.target(row).unwrap()).unwrap();
            let all: Vec<Vec<f64>> = centres.map(to).collect();
            let nearest = |i: usize| all.iter().map(|to| to[i]).fold(f64::INFINITY, f64::min);
            (0..n).map(|i| problem.weight(i) * nearest(i)).sum()
        };
        let (candidates, before) = ([8, 2000, 400, 8], cost(&[]));
        let saved = candidates.map(|row| before - cost(&[row]));
        let gains = state.gains(&candidates).unwrap();
        for (gain, saved) in gains.iter().zip(saved) {
            assert!((gain - saved).abs() < 1e-9 * before, "{gain} {saved}");
        }
        assert_eq!((gains[2], gains[0]), (0.0, gains[3]));
    }
}
