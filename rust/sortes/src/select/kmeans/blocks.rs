//! Points in blocks of neighbours, side by side: many candidates are compared with all of them.
//!
//! The rows are put in an order of neighbours once. A block lies in a ball around the mean of its
//! points: a candidate whose distance from there exceeds the radius by more than any point of the
//! block is away from its centre gains none of them. With many coordinates that never happens:
//! points are then left in their order.
//!
//! Up to three coordinates are compared exactly, side by side. More are screened first, in single
//! precision: bounds of the rounding say which distances have to be known exactly, and these are
//! computed row by row.

use std::ops::Range;

use sortes_core::memory::{filled, with_capacity, zeroed};
use sortes_core::simd::distance::{Coordinate, IN_ORDER};
use sortes_core::{Result, Run, vectorised};

use super::neighbours::part;
use super::points::Real;
use super::screening::{ROUNDING, bounds, within};

/// Points of a block, a multiple of those that lie side by side.
pub(super) const BLOCK: usize = 64;
/// Coordinates of a point that are written before those of the next one.
const NEAR: usize = 64;
/// Numbers between two looks at the stop request.
pub(super) const TASK: usize = 1 << 14;
/// With fewer comparisons for each point, data are left as they are.
const FEW: usize = 8;
/// With more coordinates the points of a block are about as far apart as any.
const APART: usize = 128;
/// What greedy seeding asks of points.
pub(super) trait Blocks: Sync {
    /// Points that all are compared with.
    type Candidates: Sync;

    /// The rows in the order of the blocks, [`BLOCK`] each.
    fn rows(&self) -> &[usize];

    /// For each block, how far its points are from its middle at most.
    fn radii(&self) -> &[f64];

    /// Candidates at these rows.
    ///
    /// # Errors
    /// If there is no memory for them.
    fn candidates(&self, rows: &[usize]) -> Result<Self::Candidates>;

    /// How many middles a candidate is compared with: none, or one for each block and some for
    /// none.
    fn middles(&self) -> usize;

    /// The squared distances of some candidates to the middles, for one candidate after the other.
    fn to_middles(&self, candidates: &Self::Candidates, which: &[u32], out: &mut [f64]);

    /// The squared distances of the points of a block to some candidates, [`BLOCK`] numbers for
    /// each. Those that are not below `nearest` may be any number that is not either.
    fn compare(
        &self,
        block: usize,
        candidates: &Self::Candidates,
        which: &[u32],
        nearest: &[f64],
        out: &mut [f64],
    );

    /// Whether there are bounds that take less time than distances.
    fn has_bounds(&self) -> bool {
        false
    }

    /// Adds bounds of what some candidates would gain in a block; `scratch` is as long as the
    /// distances.
    fn add_bounds(
        &self,
        _block: usize,
        _candidates: &Self::Candidates,
        _which: &[u32],
        _points: Held<'_>,
        _scratch: &mut [f64],
        _bounds: &mut [[f64; 2]],
    ) {
    }
}

/// What is known of the points of a block.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    /// Squared distances from the nearest centre.
    pub(super) nearest: &'a [f64; BLOCK],
    /// Weights.
    pub(super) shares: &'a [f64; BLOCK],
}

/// How dense points are held for comparisons.
enum Layout<T> {
    /// As they are.
    Rows,
    /// Side by side.
    Grouped(Packed<T>),
    /// Side by side from an origin, rounded to single precision.
    Screened {
        packed: Packed<f32>,
        origin: usize,
        /// By how much rounding may have moved each point, in the order of the blocks.
        moved: Vec<f64>,
    },
}

/// Points side by side, a group after the other: coordinate after coordinate, of all its points
/// each.
struct Packed<U> {
    groups: Vec<U>,
    /// In the same form.
    middles: Vec<U>,
}

/// Blocks of dense points.
pub(super) struct DenseBlocks<'p, T: Real> {
    data: &'p [T],
    dim: usize,
    rows: Vec<usize>,
    radii: Vec<f64>,
    layout: Layout<T>,
}

/// Candidates among dense points.
pub(super) struct DenseCandidates<T> {
    /// Row after row.
    exact: Vec<T>,
    /// From the origin, if points are screened; and how far that may have moved them.
    rounded: Vec<f32>,
    moved: Vec<f64>,
}

/// What dense blocks are made for.
pub(super) struct Plan<'a> {
    /// A point, and the squared distances of all from it.
    pub(super) first: (usize, &'a [f64]),
    /// With how many candidates each point will be compared.
    pub(super) comparisons: usize,
    /// Whether single precision can hold the coordinates.
    pub(super) fits: bool,
}

impl<'p, T: Real> DenseBlocks<'p, T> {
    /// The blocks of the rows of `data`.
    pub(super) fn new(data: &'p [T], dim: usize, plan: &Plan<'_>, run: Run<'_>) -> Result<Self> {
        let n = data.len() / dim;
        let radii = filled(n.div_ceil(BLOCK), f64::INFINITY, "blocks")?;
        let mut rows = with_capacity(n, "points")?;
        for range in run.blocks(n, TASK) {
            rows.extend(range?);
        }
        let mut out = Self { data, dim, rows, radii, layout: Layout::Rows };
        if plan.comparisons < FEW {
            return Ok(out);
        }
        let ordered = dim <= APART;
        if ordered {
            part(data, dim, &mut out.rows, run)?;
        }
        if dim > IN_ORDER && !plan.fits {
            return Ok(out);
        }
        if dim <= IN_ORDER {
            let zeros = filled(dim, T::narrow(0.0), "coordinates")?;
            let packed = out.packed(&zeros, ordered, run)?;
            out.layout = Layout::Grouped(packed);
            return Ok(out);
        }
        let (origin, squared) = plan.first;
        let packed = out.packed(out.row(origin), ordered, run)?;
        let mut moved = with_capacity(n, "bounds of rounding")?;
        for range in run.blocks(n, TASK) {
            moved.extend(out.rows[range?].iter().map(|&row| squared[row].sqrt() * ROUNDING));
        }
        // Neither a point nor a candidate has moved farther.
        let most = moved.iter().fold(0.0, |a: f64, &b| a.max(b));
        out.radii.iter_mut().for_each(|radius| *radius += 2.0 * most);
        out.layout = Layout::Screened { packed, origin, moved };
        Ok(out)
    }

    fn row(&self, row: usize) -> &'p [T] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// The coordinates of all points from an origin, side by side; and the balls, if there are any.
    fn packed<U: Real>(&mut self, origin: &[T], balls: bool, run: Run<'_>) -> Result<Packed<U>> {
        let (dim, side) = (self.dim, U::SIDE_BY_SIDE);
        let many = self.radii.len();
        let mut groups = filled(many * BLOCK * dim, U::narrow(0.0), "coordinates")?;
        run.fill_chunks(&mut groups, dim * side, |group, out| {
            let rows = self.rows.get(group * side..).unwrap_or_default();
            // Few at a time, so that what is written stays near.
            for from in (0..dim).step_by(NEAR) {
                for (place, &row) in rows.iter().take(side).enumerate() {
                    let row = self.row(row);
                    for i in from..dim.min(from + NEAR) {
                        let x = U::narrow(row[i].into() - origin[i].into());
                        out[i * side + place] = x;
                    }
                }
            }
        })?;
        let mut middles = Vec::new();
        if balls {
            let count = many.next_multiple_of(side);
            middles = filled(count * dim, U::narrow(0.0), "middles of blocks")?;
            let block_of = |block: usize| &groups[block * BLOCK * dim..(block + 1) * BLOCK * dim];
            let n = self.rows.len();
            run.try_fill_chunks(&mut middles, dim * side, |group, out| {
                let mut sums = zeroed(dim, "coordinates")?;
                for place in 0..side.min(many - group * side) {
                    let block = group * side + place;
                    add_up(block_of(block), side, &mut sums);
                    let points = range(block, n).len() as f64;
                    for (i, sum) in sums.iter_mut().enumerate() {
                        out[i * side + place] = U::narrow(std::mem::take(sum) / points);
                    }
                }
                Ok(())
            })?;
            run.try_fill_chunks(&mut self.radii, 1, |block, radius| {
                let mut middle = with_capacity(dim, "coordinates")?;
                let group = &middles[block / side * dim * side..];
                middle.extend((0..dim).map(|i| group[i * side + block % side]));
                let mut distances = [0.0; BLOCK];
                U::grouped(block_of(block), &middle, &[0], dim, &mut distances);
                let own = &distances[..range(block, n).len()];
                radius[0] = own.iter().fold(0.0, |a: f64, &b| a.max(b)).sqrt();
                Ok(())
            })?;
        }
        Ok(Packed { groups, middles })
    }

    /// The numbers of a block among those of all groups.
    fn numbers(&self, block: usize) -> Range<usize> {
        block * BLOCK * self.dim..(block + 1) * BLOCK * self.dim
    }
}

/// The positions of a block among `n`.
fn range(block: usize, n: usize) -> Range<usize> {
    block * BLOCK..n.min((block + 1) * BLOCK)
}

vectorised! {
    /// Adds the points of some groups to the sums of their coordinates.
    fn add_up<U: Real>(groups: &[U], side: usize, sums: &mut [f64]) {
        for group in groups.chunks_exact(sums.len() * side) {
            for (lanes, sum) in group.chunks_exact(side).zip(sums.iter_mut()) {
                let mut parts = [0.0; 8];
                for lanes in lanes.as_chunks::<8>().0 {
                    for i in 0..8 {
                        let x: f64 = lanes[i].into();
                        parts[i] += x;
                    }
                }
                let [a, b, c, d, e, f, g, h] = parts;
                *sum += ((a + b) + (c + d)) + ((e + f) + (g + h));
            }
        }
    }
}

impl<T: Real> Blocks for DenseBlocks<'_, T> {
    type Candidates = DenseCandidates<T>;

    fn rows(&self) -> &[usize] {
        &self.rows
    }

    fn radii(&self) -> &[f64] {
        &self.radii
    }

    fn candidates(&self, rows: &[usize]) -> Result<DenseCandidates<T>> {
        let dim = self.dim;
        let mut exact = with_capacity(rows.len() * dim, "coordinates of candidates")?;
        for &row in rows {
            exact.extend_from_slice(self.row(row));
        }
        let (mut rounded, mut moved) = (Vec::new(), Vec::new());
        if let Layout::Screened { origin, .. } = self.layout {
            let origin = self.row(origin);
            moved = zeroed(rows.len(), "candidates")?;
            T::listed(self.data, rows, origin, &mut moved);
            for moved in &mut moved {
                *moved = moved.sqrt() * ROUNDING;
            }
            rounded = with_capacity(exact.len(), "coordinates of candidates")?;
            for row in exact.chunks_exact(dim) {
                let from_origin = row.iter().zip(origin).map(|(&x, &from)| x.into() - from.into());
                rounded.extend(from_origin.map(f32::narrow));
            }
        }
        Ok(DenseCandidates { exact, rounded, moved })
    }

    fn middles(&self) -> usize {
        match &self.layout {
            Layout::Rows => 0,
            Layout::Grouped(packed) => packed.middles.len() / self.dim,
            Layout::Screened { packed, .. } => packed.middles.len() / self.dim,
        }
    }

    fn to_middles(&self, candidates: &DenseCandidates<T>, which: &[u32], out: &mut [f64]) {
        match &self.layout {
            Layout::Rows => {}
            Layout::Grouped(packed) => {
                T::grouped(&packed.middles, &candidates.exact, which, self.dim, out);
            }
            Layout::Screened { packed, .. } => {
                f32::grouped(&packed.middles, &candidates.rounded, which, self.dim, out);
            }
        }
    }

    fn compare(
        &self,
        block: usize,
        candidates: &DenseCandidates<T>,
        which: &[u32],
        nearest: &[f64],
        out: &mut [f64],
    ) {
        let (dim, range) = (self.dim, range(block, self.rows.len()));
        let rows = &self.rows[range.clone()];
        let exactly = |which: u32, rows: &[usize], out: &mut [f64]| {
            let at = which as usize * dim;
            T::listed(self.data, rows, &candidates.exact[at..at + dim], out);
        };
        match &self.layout {
            Layout::Rows => {
                for (&which, out) in which.iter().zip(out.chunks_exact_mut(BLOCK)) {
                    exactly(which, rows, out);
                }
            }
            Layout::Grouped(packed) => {
                T::grouped(&packed.groups[self.numbers(block)], &candidates.exact, which, dim, out);
            }
            Layout::Screened { packed, moved, .. } => {
                let groups = &packed.groups[self.numbers(block)];
                f32::grouped(groups, &candidates.rounded, which, dim, out);
                let mut reach = [0.0; BLOCK];
                for ((reach, nearest), moved) in reach.iter_mut().zip(nearest).zip(&moved[range]) {
                    *reach = nearest.sqrt() + moved;
                }
                for (&which, out) in which.iter().zip(out.chunks_exact_mut(BLOCK)) {
                    let mut left = within(out, &reach, candidates.moved[which as usize]);
                    let (mut many, mut places, mut near) = (0, [0; BLOCK], [0; BLOCK]);
                    while left != 0 {
                        let place = left.trailing_zeros() as usize;
                        left &= left - 1;
                        if place < rows.len() {
                            (places[many], near[many]) = (place, rows[place]);
                            many += 1;
                        }
                    }
                    let mut exact = [0.0; BLOCK];
                    exactly(which, &near[..many], &mut exact);
                    for (&place, exact) in places[..many].iter().zip(exact) {
                        out[place] = exact;
                    }
                }
            }
        }
    }

    fn has_bounds(&self) -> bool {
        matches!(self.layout, Layout::Screened { .. })
    }

    fn add_bounds(
        &self,
        block: usize,
        candidates: &DenseCandidates<T>,
        which: &[u32],
        points: Held<'_>,
        scratch: &mut [f64],
        all: &mut [[f64; 2]],
    ) {
        let Layout::Screened { packed, moved, .. } = &self.layout else { return };
        let groups = &packed.groups[self.numbers(block)];
        f32::grouped(groups, &candidates.rounded, which, self.dim, scratch);
        let mut own = [0.0; BLOCK];
        let range = range(block, moved.len());
        own[..range.len()].copy_from_slice(&moved[range]);
        for (&which, screened) in which.iter().zip(scratch.chunks_exact(BLOCK)) {
            let which = which as usize;
            let [low, high] = bounds(screened, points, &own, candidates.moved[which]);
            all[which][0] += low;
            all[which][1] += high;
        }
    }
}

#[cfg(test)]
mod tests;
