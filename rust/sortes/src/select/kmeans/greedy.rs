//! Greedy k-means++: the best of several draws for each centre.
//!
//! Every centre holds the points that it is nearest to, the farthest first. A candidate can only gain
//! a point that is farther from its centre than half the way from that centre to the candidate: whole
//! clusters are passed over, and of the others the first points are looked at.

use std::ops::Range;

use sortes_core::Result;
use sortes_core::memory::{filled, reserve, with_capacity, zeroed};
use sortes_core::weights::DynamicWeights;

use super::centre_distances::CentreDistances;
use super::{Points, Problem, Seeding};

/// Candidates that are compared at once: any number of them takes no more memory than these.
const BATCH: usize = 64;
/// Points of a cluster that one task looks at.
const TASK: usize = 1024;
/// Points that are compared with the same candidates.
const GROUP: usize = 32;
/// A cluster is cleared of the points that have left it when they are one in this many.
const LEFT: usize = 4;

/// Draws all centres, each the best of `local_trials` independent draws, the first among equals.
pub(super) fn seed<P: Points>(problem: &Problem<'_, P>, local_trials: usize) -> Result<Seeding> {
    let mut state = Clusters::new(problem)?;
    problem.advance();
    while state.seeding.indices.len() < problem.n_clusters {
        let row = state.best(local_trials)?;
        state.choose(row)?;
        problem.advance();
    }
    Ok(state.seeding)
}

/// A point of a cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Member {
    row: usize,
    /// The squared distance to the centre; negative when the point has left for another.
    distance: f64,
}

/// The points of a centre, in descending order of the level of their distances.
#[derive(Debug, Default)]
struct Cluster {
    members: Vec<Member>,
    left: usize,
}

/// What puts distances in order, about: the exponent and two digits, at most 1,021.
#[inline]
fn level(distance: f64) -> usize {
    ((distance as f32).to_bits() >> 21) as usize
}

impl Cluster {
    /// The cluster of these points, none of them at the centre, and the largest distance.
    fn of(members: &[Member]) -> Result<(Self, f64)> {
        let mut places = [0; 1024];
        let mut radius = 0.0f64;
        for member in members {
            places[level(member.distance)] += 1;
            radius = radius.max(member.distance);
        }
        let mut end = 0;
        for place in places.iter_mut().rev() {
            end += std::mem::replace(place, end);
        }
        let mut sorted = filled(members.len(), Member { row: 0, distance: 0.0 }, "points")?;
        for &member in members {
            let place = &mut places[level(member.distance)];
            sorted[*place] = member;
            *place += 1;
        }
        Ok((Self { members: sorted, left: 0 }, radius))
    }

    /// How many members come first that may be farther than `limit`.
    fn beyond(&self, limit: f64) -> usize {
        let least = level(limit);
        self.members.partition_point(|member| level(member.distance.abs()) >= least)
    }

    /// Forgets the points that have left, where they are many; returns the radius then.
    fn clear(&mut self) -> Option<f64> {
        if self.left * LEFT <= self.members.len() {
            return None;
        }
        self.members.retain(|member| member.distance > 0.0);
        self.left = 0;
        Some(self.members.iter().fold(0.0, |radius, member| member.distance.max(radius)))
    }
}

/// The clusters of the centres so far.
struct Clusters<'p, 'a, P: Points> {
    problem: &'p Problem<'a, P>,
    held: Vec<Cluster>,
    /// No point is farther from its centre.
    radii: Vec<f64>,
    centres: P::Centres,
    /// Distances times weights, by rows.
    weights: DynamicWeights,
    seeding: Seeding,
}

/// Some points of a cluster, and the candidates that may gain them.
struct Task {
    cluster: usize,
    members: Range<usize>,
    near: Range<usize>,
}

/// Candidates, and the clusters that they reach into.
struct Reach<C> {
    rows: C,
    /// For each task in turn the squared distances of candidates to its centre, ascending, and which.
    near: Vec<(f64, u32)>,
    tasks: Vec<Task>,
}

impl<'p, 'a, P: Points> Clusters<'p, 'a, P> {
    /// The first centre, with all points.
    fn new(problem: &'p Problem<'a, P>) -> Result<Self> {
        let (points, first) = (problem.points, problem.first()?);
        let mut centres = points.centres(problem.n_clusters)?;
        points.push(first, &mut centres)?;
        let mut distances = problem.distances(&points.target(first)?)?;
        distances[first] = 0.0;
        let mut members = with_capacity(distances.len(), "points")?;
        for (row, distance) in distances.iter_mut().enumerate() {
            let weight = problem.weight(row);
            if *distance > 0.0 && weight > 0.0 {
                members.push(Member { row, distance: *distance });
            }
            *distance *= weight;
        }
        let (cluster, radius) = Cluster::of(&members)?;
        let mut seeding = Seeding::of(vec![first]);
        seeding.evaluations = points.len() as u64;
        let weights = DynamicWeights::new(distances, problem.run)?;
        Ok(Self { problem, held: vec![cluster], radii: vec![radius], centres, weights, seeding })
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
            let Some(picks) = picks else { break };
            self.seeding.trials += batch as u64;
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

    /// By how much each candidate, as the next centre, would lower the cost.
    fn gains(&mut self, candidates: &[usize]) -> Result<Vec<f64>> {
        let reach = self.reach(candidates)?;
        let many = candidates.len();
        // What each task would gain from each candidate: no sum depends on the threads.
        let mut parts = filled(reach.tasks.len() * many, (0.0, 0u64), "gains")?;
        self.problem.run.try_fill_chunks(&mut parts, many, |task, gains| {
            self.compare(&reach, &reach.tasks[task], |member, which, distance| {
                let gain = &mut gains[which];
                gain.0 += self.problem.weight(member.row) * (member.distance - distance).max(0.0);
                gain.1 += 1;
            })
        })?;
        let mut gains = zeroed(many, "gains")?;
        for part in parts.chunks_exact(many.max(1)) {
            for (gain, &(more, evaluations)) in gains.iter_mut().zip(part) {
                *gain += more;
                self.seeding.evaluations += evaluations;
            }
        }
        Ok(gains)
    }

    /// Makes a point the next centre.
    fn choose(&mut self, row: usize) -> Result<()> {
        let (problem, reach) = (self.problem, self.reach(&[row])?);
        // Which points each task finds to be nearer to it.
        let mut found = with_capacity(reach.tasks.len(), "tasks")?;
        found.resize_with(reach.tasks.len(), Vec::new);
        problem.run.try_fill_chunks(&mut found, 1, |task, found| {
            let mut moved = Vec::new();
            self.compare(&reach, &reach.tasks[task], |member, _, distance| {
                if distance < member.distance && member.row != row {
                    moved.push(Member { row: member.row, distance });
                }
            })?;
            found[0] = moved;
            Ok(())
        })?;
        // They leave their clusters, in whose order they were found.
        let mut joined = with_capacity(found.iter().map(Vec::len).sum(), "points")?;
        for (task, moved) in reach.tasks.iter().zip(&found) {
            let cluster = &mut self.held[task.cluster];
            let mut rows = moved.iter().map(|member| member.row).peekable();
            for member in &mut cluster.members[task.members.clone()] {
                if member.distance > 0.0
                    && (rows.next_if_eq(&member.row).is_some() || member.row == row)
                {
                    member.distance = -member.distance;
                    cluster.left += 1;
                }
            }
            joined.extend_from_slice(moved);
        }
        for task in &reach.tasks {
            if let Some(radius) = self.held[task.cluster].clear() {
                self.radii[task.cluster] = radius;
            }
        }
        let changes =
            joined.iter().map(|member| (member.row, problem.weight(member.row) * member.distance));
        self.weights.set_all(changes.chain([(row, 0.0)]), problem.run)?;
        joined.retain(|member| member.distance > 0.0);
        let (cluster, radius) = Cluster::of(&joined)?;
        reserve(&mut self.radii, 1, "centres")?;
        reserve(&mut self.held, 1, "centres")?;
        self.radii.push(radius);
        self.held.push(cluster);
        problem.points.push(row, &mut self.centres)?;
        self.seeding.push(row)
    }

    /// What candidates have to be compared with.
    fn reach(&mut self, candidates: &[usize]) -> Result<Reach<P::Centres>> {
        let (points, many) = (self.problem.points, candidates.len());
        let count = self.held.len();
        let mut rows = points.centres(many)?;
        let mut between = zeroed(many * count, "distances between centres")?;
        for (&row, out) in candidates.iter().zip(between.chunks_exact_mut(count)) {
            points.push(row, &mut rows)?;
            points.to_centres(row, &self.centres, out);
        }
        self.seeding.evaluations += (many * count) as u64;
        let (mut near, mut tasks) = (Vec::new(), Vec::new());
        for (cluster, &radius) in self.radii.iter().enumerate() {
            let first = near.len();
            reserve(&mut near, many, "candidates")?;
            for which in 0..many {
                let distance = between[which * count + cluster];
                if distance < CentreDistances::reach(radius) {
                    near.push((distance, which as u32));
                }
            }
            if near.len() == first {
                continue;
            }
            near[first..].sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let end = self.held[cluster].beyond(near[first].0 / CentreDistances::reach(1.0));
            reserve(&mut tasks, end.div_ceil(TASK), "tasks")?;
            tasks.extend((0..end).step_by(TASK).map(|at| Task {
                cluster,
                members: at..end.min(at + TASK),
                near: first..near.len(),
            }));
        }
        Ok(Reach { rows, near, tasks })
    }

    /// Calls `f` with each point of a task, each candidate that may gain it, and their distance.
    fn compare(
        &self,
        reach: &Reach<P::Centres>,
        task: &Task,
        mut f: impl FnMut(&Member, usize, f64),
    ) -> Result<()> {
        let members = &self.held[task.cluster].members[task.members.clone()];
        let near = &reach.near[task.near.clone()];
        let mut which = with_capacity(near.len(), "candidates")?;
        which.extend(near.iter().map(|&(_, which)| which));
        let mut table = zeroed(GROUP * near.len(), "distances")?;
        let (mut here, mut rows) = ([Member { row: 0, distance: 0.0 }; GROUP], [0; GROUP]);
        for group in members.chunks(GROUP) {
            let (mut many, mut largest) = (0, 0.0);
            for member in group {
                (here[many], rows[many]) = (*member, member.row);
                many += usize::from(member.distance > 0.0);
                largest = member.distance.max(largest);
            }
            // The group has one level, mostly: what reaches the farthest may reach them all.
            let limit = CentreDistances::reach(largest);
            let count = near.iter().take_while(|(distance, _)| *distance < limit).count();
            if count == 0 {
                continue;
            }
            let (here, which) = (&here[..many], &which[..count]);
            self.problem.points.table(&rows[..many], &reach.rows, which, &mut table);
            for (member, distances) in here.iter().zip(table.chunks_exact(count)) {
                for (&which, &distance) in which.iter().zip(distances) {
                    f(member, which as usize, distance);
                }
            }
        }
        Ok(())
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
        let (n, dim) = (5000, 3);
        let mut draws = Stream::new(4).draws(Purpose::Uniform, 0);
        // Clusters of very different widths, and points that coincide.
        let mut data: Vec<f64> = (0..n * dim)
            .map(|i| {
                let cluster = (i / dim * 7919) % 23;
                cluster as f64 + draws.normal() * 10f64.powi(-(cluster as i32 % 5))
            })
            .collect();
        data.copy_within(0..600, 3000);
        // And whole numbers, of which many candidates gain exactly as much: the first one is taken.
        let whole: Vec<f64> = (0..n * dim).map(|_| draws.below(3) as f64).collect();
        let weights: Vec<f64> = (0..n).map(|i| [1.0, 0.25, 0.0, 0.5][i % 4]).collect();
        let some = Some(&weights[..]);
        for (data, weights, sizes, spared) in [
            (&data, None, [(60, 5), (9, 70)], 3),
            (&data, some, [(60, 5), (9, 70)], 3),
            (&whole, None, [(9, 5), (20, 9)], 1),
        ] {
            for (n_clusters, local_trials) in sizes {
                let points = &Dense::new(&data[..], dim);
                let rounds = Stream::new(9).rounds();
                let run = Run::alone();
                let problem = Problem { points, weights, n_clusters, rounds, run, reports: false };
                let found = seed(&problem, local_trials).unwrap();
                assert_eq!(found.indices, plainly(&problem, local_trials));
                assert!(found.evaluations < (n * n_clusters * local_trials / spared) as u64);
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
        let mut state = Clusters::new(&problem).unwrap();
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
