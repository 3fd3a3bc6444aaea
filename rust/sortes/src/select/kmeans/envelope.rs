//! Upper bounds of every point's distance to its nearest centre, tightened by being looked at.

use sortes_core::memory::{copied, filled, with_capacity, zeroed};
use sortes_core::rng::Draws;
use sortes_core::simd::distance::Nearest;
use sortes_core::weights::DynamicWeights;
use sortes_core::{Result, Run};

use super::centre_distances::CentreDistances;
use super::{Assignment, Points, Seeding};

/// Points that are worked on at once.
const BLOCK: usize = 1024;

/// Nominal prices, in nanoseconds: what decides when to refresh must not depend on a clock.
mod price {
    /// A trial, most of which waits for memory.
    pub(super) const TRIAL: f64 = 500.0;
    /// Looking at the bound of a point in a refresh.
    pub(super) const LOOK: f64 = 3.0;
    /// A distance that looks at `width` numbers.
    pub(super) fn evaluation(width: usize) -> f64 {
        12.0 + width as f64 / 8.0
    }
    /// The part of the price of a refresh that trials may cost before it. What they looked at is
    /// looked at again, so this is what the work can exceed that of refreshes alone by.
    pub(super) const SHARE: f64 = 0.2;
}

/// What came of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// This point is the next centre.
    Accepted(usize),
    /// The proposal was turned down, and its bound is tighter now.
    Rejected,
    /// Every point coincides with a centre, or weighs nothing.
    Exhausted,
}

/// The bounds, as weights to propose from.
///
/// Whatever has been tightened before: a proposal is `x` with probability `w b / B` and is accepted
/// with probability `D / b`, so that the accepted point has the law `w D`, exactly.
pub(super) struct Envelope<'a, P: Points> {
    points: &'a P,
    weights: Option<&'a [f64]>,
    run: Run<'a>,
    /// Bounds times weights.
    bounds: DynamicWeights,
    /// The centre that each bound is the distance to.
    nearest: Vec<u32>,
    /// How many centres each point has been compared with: at least `fresh`, or this.
    stamps: Vec<u32>,
    /// How many centres every point has been compared with.
    fresh: usize,
    centres: P::Centres,
    between: Option<CentreDistances>,
    /// The rows of the centres, and counts of the work.
    seeding: Seeding,
    /// What trials have cost since the last refresh.
    spent: f64,
    /// Distances computed by the last refresh, for each centre that was new then. Before the first
    /// none are expected to be spared: early refreshes cost most, for bounds that are far above the
    /// distances fall many times on their way down.
    rate: f64,
    /// Centres to compare a point with.
    which: Vec<u32>,
}

impl<'a, P: Points> Envelope<'a, P> {
    /// The distances to a first centre; there will be about `expected` in all.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled; so in the other methods.
    pub(super) fn new(
        points: &'a P,
        weights: Option<&'a [f64]>,
        first: usize,
        expected: usize,
        run: Run<'a>,
    ) -> Result<Self> {
        let n = points.len();
        let mut centres = points.centres(expected)?;
        points.push(first, &mut centres)?;
        let target = points.target(first)?;
        let mut bounds = zeroed(n, "distances")?;
        run.fill_chunks(&mut bounds, BLOCK, |block, bounds| {
            let start = block * BLOCK;
            points.distances(start..start + bounds.len(), &target, bounds);
            if let Some(weights) = weights {
                for (bound, weight) in bounds.iter_mut().zip(&weights[start..]) {
                    *bound *= weight;
                }
            }
        })?;
        let mut seeding = Seeding::of(vec![first]);
        seeding.evaluations = n as u64;
        let between = CentreDistances::new(expected, n)?;
        let mut out = Self {
            points,
            weights,
            run,
            bounds: DynamicWeights::new(bounds, run)?,
            nearest: zeroed(n, "labels")?,
            stamps: filled(n, 1, "stamps")?,
            fresh: 1,
            centres,
            between,
            seeding,
            spent: 0.0,
            rate: n as f64,
            which: Vec::new(),
        };
        out.bounds.set(first, 0.0);
        Ok(out)
    }

    /// The rows of the centres.
    pub(super) fn chosen(&self) -> &[usize] {
        &self.seeding.indices
    }

    /// The bounds times the weights: exact after a refresh.
    pub(super) fn bounds(&self) -> &DynamicWeights {
        &self.bounds
    }

    /// The nearest centre of each point: exact after a refresh.
    pub(super) fn labels(&self) -> &[u32] {
        &self.nearest
    }

    /// Counts of the work, to be added to.
    pub(super) fn counts(&mut self) -> &mut Seeding {
        &mut self.seeding
    }

    /// The centres, and what they cost.
    pub(super) fn into_seeding(self) -> Seeding {
        self.seeding
    }

    /// What the bounds are now; without weights, distances.
    pub(super) fn into_assignment(self) -> Result<Assignment> {
        let distances = copied(self.bounds.as_slice(), "distances", self.run)?;
        Ok(Assignment { distances, labels: self.nearest })
    }

    #[inline]
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// Makes a point the next centre.
    pub(super) fn choose(&mut self, row: usize) -> Result<()> {
        self.join(row)?;
        let count = self.seeding.indices.len() as u32;
        self.bounds.set(row, 0.0);
        self.nearest[row] = count - 1;
        self.stamps[row] = count;
        Ok(())
    }

    /// Adds a centre that no point knows of before it is looked at, not even the one that it is.
    pub(super) fn join(&mut self, row: usize) -> Result<()> {
        let centre = self.seeding.indices.len();
        if let Some(between) = &mut self.between {
            let mut distances = zeroed(centre, "distances between centres")?;
            self.points.to_centres(row, &self.centres, &mut distances);
            between.push(&distances)?;
            self.seeding.evaluations += centre as u64;
        }
        self.points.push(row, &mut self.centres)?;
        self.seeding.push(row)
    }

    /// Proposes a point in proportion to its bound, computes its distance, and accepts it with the
    /// ratio of the two as probability. Two draws.
    #[inline]
    pub(super) fn trial(&mut self, draws: &mut Draws) -> Trial {
        let (proposal, acceptance) = (draws.uniform(), draws.uniform());
        let Some(row) = self.bounds.pick(proposal) else { return Trial::Exhausted };
        self.seeding.trials += 1;
        let weight = self.weight(row);
        let bound = self.bounds.as_slice()[row] / weight;
        let (count, compared) =
            (self.seeding.indices.len(), self.fresh.max(self.stamps[row] as usize));
        let known = Nearest { distance: bound, centre: self.nearest[row], evaluations: 0 };
        let look = Look {
            points: self.points,
            centres: &self.centres,
            between: self.between.as_ref(),
            count,
        };
        // Half a look is enough to turn a proposal down: it stops as soon as that is certain.
        let found = look.at(row, compared, known, acceptance * bound, &mut self.which);
        self.seeding.evaluations += found.evaluations as u64;
        self.spent += price::TRIAL
            + (count - compared) as f64 / 16.0
            + found.evaluations as f64 * price::evaluation(self.points.width());
        let accepted = found.distance > acceptance * bound;
        self.stamps[row] = if accepted { count as u32 } else { found.centre + 1 };
        if accepted {
            return Trial::Accepted(row);
        }
        self.nearest[row] = found.centre;
        self.bounds.set(row, weight * found.distance);
        Trial::Rejected
    }

    /// Whether trials have cost so much that looking at all points is the better way now.
    pub(super) fn is_stale(&self) -> bool {
        let news = self.seeding.indices.len() - self.fresh;
        let look = price::LOOK * self.points.len() as f64;
        let evaluations = self.rate * news as f64 * price::evaluation(self.points.width());
        news > 0 && self.spent > price::SHARE * (look + evaluations)
    }

    /// Brings all bounds up to date.
    pub(super) fn refresh(&mut self) -> Result<()> {
        let (fresh, count) = (self.fresh, self.seeding.indices.len());
        if fresh == count {
            return Ok(());
        }
        // What every block reads: by how much the new centres may matter, at most.
        let closest = match &self.between {
            None => None,
            Some(table) => {
                let mut closest = with_capacity(count, "distances between centres")?;
                closest.extend((0..count).map(|a| table.closest(a, fresh)));
                Some(closest)
            }
        };
        // A single new centre can be compared with many points at a time.
        let target = match count - fresh {
            1 => Some(self.points.target(self.seeding.indices[fresh])?),
            _ => None,
        };
        let pass = Pass {
            points: self.points,
            weights: self.weights,
            stamps: &self.stamps,
            centres: &self.centres,
            between: self.between.as_ref(),
            closest,
            target,
            fresh,
            count,
        };
        let (nearest, run) = (&mut self.nearest, self.run);
        let mut evaluations = Ok(0);
        self.bounds.refill(|bounds| evaluations = pass.all(bounds, nearest, run), run)?;
        let evaluations = evaluations?;
        self.seeding.evaluations += evaluations as u64;
        self.seeding.refreshes += 1;
        // What is looked up costs as well, even where it spares all distances.
        self.rate =
            (evaluations as f64 / (count - fresh) as f64).max(self.points.len() as f64 / 16.0);
        self.spent = 0.0;
        self.fresh = count;
        Ok(())
    }
}

/// How a point is compared with centres.
struct Look<'e, P: Points> {
    points: &'e P,
    centres: &'e P::Centres,
    between: Option<&'e CentreDistances>,
    count: usize,
}

impl<P: Points> Look<'_, P> {
    /// The nearest centre of a point, which has been compared with some; the first of them that is
    /// at most `enough` away ends it.
    #[inline]
    fn at(
        &self,
        row: usize,
        compared: usize,
        known: Nearest,
        enough: f64,
        which: &mut Vec<u32>,
    ) -> Nearest {
        let Some(between) = self.between else {
            which.clear();
            which.extend(compared as u32..self.count as u32);
            return self.points.nearest(row, self.centres, which, known, enough);
        };
        let (mut best, mut first) = (known, compared);
        loop {
            // Few at a time, because each nearer centre rules out others.
            let reach = CentreDistances::reach(best.distance);
            let next = between.within(best.centre as usize, first, reach, which);
            if which.is_empty() {
                return best;
            }
            let found = self.points.nearest(row, self.centres, which, best, best.distance);
            let evaluations = best.evaluations + found.evaluations;
            first = if found.distance < best.distance { found.centre as usize + 1 } else { next };
            best = Nearest { evaluations, ..found };
            if best.distance <= enough {
                return best;
            }
        }
    }
}

/// A refresh: what every block reads.
struct Pass<'e, P: Points> {
    points: &'e P,
    weights: Option<&'e [f64]>,
    stamps: &'e [u32],
    centres: &'e P::Centres,
    between: Option<&'e CentreDistances>,
    /// The squared distance of each centre to the closest new one.
    closest: Option<Vec<f64>>,
    target: Option<P::Target>,
    fresh: usize,
    count: usize,
}

impl<P: Points> Pass<'_, P> {
    /// Brings the bounds of all points up to date; returns how many distances it computed.
    fn all(&self, bounds: &mut [f64], nearest: &mut [u32], run: Run<'_>) -> Result<usize> {
        let mut blocks = with_capacity(bounds.len().div_ceil(BLOCK), "tasks")?;
        let pairs = bounds.chunks_mut(BLOCK).zip(nearest.chunks_mut(BLOCK));
        blocks.extend(pairs.map(|(bounds, nearest)| (bounds, nearest, 0)));
        run.fill_chunks(&mut blocks, 1, |block, work| {
            if let [(bounds, nearest, evaluations)] = work {
                *evaluations = self.block(block * BLOCK, bounds, nearest);
            }
        })?;
        Ok(blocks.iter().map(|(.., evaluations)| evaluations).sum())
    }

    /// The same for the points from `start` on.
    fn block(&self, start: usize, bounds: &mut [f64], nearest: &mut [u32]) -> usize {
        let end = start + bounds.len();
        let weights = self.weights.map(|weights| &weights[start..end]);
        let mut near = Near::default();
        near.find(bounds, nearest, weights, self.closest.as_deref());
        if let Some(target) = &self.target
            && near.is_most_of(bounds.len())
        {
            near.stream(self.points, start..end, target);
            for &(i, distance) in &near.found {
                let (bound, i) = (&mut bounds[i as usize], i as usize);
                let weighted = weights.map_or(1.0, |weights| weights[i]) * distance;
                if weighted < *bound {
                    (*bound, nearest[i]) = (weighted, self.fresh as u32);
                }
            }
            return near.evaluations;
        }
        let look = Look {
            points: self.points,
            centres: self.centres,
            between: self.between,
            count: self.count,
        };
        let (mut which, mut evaluations) = (Vec::new(), 0);
        for &(i, _) in &near.found {
            let i = i as usize;
            let weight = weights.map_or(1.0, |weights| weights[i]);
            let bound = bounds[i] / weight;
            let compared = self.fresh.max(self.stamps[start + i] as usize);
            let known = Nearest { distance: bound, centre: nearest[i], evaluations: 0 };
            // Nothing is nearer than zero.
            let found = look.at(start + i, compared, known, 0.0, &mut which);
            evaluations += found.evaluations;
            if found.distance < bound {
                (bounds[i], nearest[i]) = (weight * found.distance, found.centre);
            }
        }
        evaluations
    }
}

/// The points of a block that new centres may be nearer to.
#[derive(Default)]
struct Near {
    /// Positions in the block, and distances where they have been computed.
    found: Vec<(u32, f64)>,
    distances: Vec<f64>,
    evaluations: usize,
}

impl Near {
    /// Finds the points whose nearest centre has a new one within reach.
    fn find(
        &mut self,
        bounds: &[f64],
        nearest: &[u32],
        weights: Option<&[f64]>,
        closest: Option<&[f64]>,
    ) {
        self.found.clear();
        self.evaluations = 0;
        self.found.resize(bounds.len(), (0, 0.0));
        let mut count = 0;
        for (i, &bound) in bounds.iter().enumerate() {
            let near = match closest {
                None => true,
                Some(closest) => {
                    let weight = weights.map_or(1.0, |weights| weights[i]);
                    closest[nearest[i] as usize] * weight < CentreDistances::reach(bound)
                }
            };
            self.found[count].0 = i as u32;
            count += usize::from(near && bound > 0.0);
        }
        self.found.truncate(count);
    }

    /// Whether it is quicker to read all points of the block in a row.
    fn is_most_of(&self, block: usize) -> bool {
        2 * self.found.len() > block
    }

    /// Computes the distances of all points of the block to a target.
    fn stream<P: Points>(&mut self, points: &P, rows: std::ops::Range<usize>, target: &P::Target) {
        self.evaluations = rows.len();
        self.distances.resize(rows.len(), 0.0);
        points.distances(rows, target, &mut self.distances);
        for (i, distance) in &mut self.found {
            *distance = self.distances[*i as usize];
        }
    }
}
