//! Sparse rows.

use std::ops::Range;

use sortes_core::csr::{Csr, Index};
use sortes_core::memory::{filled, reserve, with_capacity, zeroed};
use sortes_core::simd::distance::{Coordinate, Nearest};
use sortes_core::{Result, Run};

use super::blocks::{self, Blocks};
use super::points::{Points, scale_of};

/// Below this part of the norms, the difference of two nearly equal points is computed number by
/// number: their norms would cancel.
const CANCELLING: f64 = 1e-6;
/// Rows between two looks at the stop request.
const BLOCK: usize = 1 << 10;

/// Points as the rows of a sparse matrix.
#[derive(Debug, Clone)]
pub(super) struct Sparse<'a, T: Coordinate, I: Index> {
    rows: Csr<'a, I, T>,
    squares: Vec<f64>,
}

impl<'a, T: Coordinate, I: Index> Sparse<'a, T, I> {
    /// Checks the values of a matrix.
    ///
    /// # Errors
    /// [`Error::Row`](sortes_core::Error::Row) or [`Error::Argument`](sortes_core::Error::Argument)
    /// if a value is NaN, infinite or too large to be squared; if there is no memory for a row of
    /// all columns, or the work is cancelled.
    pub(super) fn new(rows: Csr<'a, I, T>, run: Run<'_>) -> Result<Self> {
        // Centres are compared with as dense vectors.
        drop(zeroed::<f64>(rows.width(), "columns of a dense row")?);
        scale_of(rows.all_values(), |entry| rows.position(entry), run)?;
        let mut out = Self { rows, squares: Vec::new() };
        let mut squares = with_capacity(out.len(), "norms")?;
        for range in run.blocks(out.len(), BLOCK) {
            squares.extend(range?.map(|row| out.sum(row, |_, x| x * x)));
        }
        out.squares = squares;
        Ok(out)
    }

    #[inline]
    fn entries(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let columns = self.rows.columns(row).iter();
        columns.zip(self.rows.values(row)).map(|(c, &x)| (c.index(), x.into()))
    }

    #[inline]
    fn sum(&self, row: usize, mut term: impl FnMut(usize, f64) -> f64) -> f64 {
        self.entries(row).map(|(column, x)| term(column, x)).sum()
    }

    /// The squared distance between two rows: a walk along both.
    fn distance(&self, a: usize, b: usize) -> f64 {
        let (mut a, mut b) = (self.entries(a).peekable(), self.entries(b).peekable());
        let mut sum = 0.0;
        loop {
            let difference = match (a.peek(), b.peek()) {
                (None, None) => return sum,
                (Some(&(i, x)), Some(&(j, y))) if i == j => {
                    a.next();
                    b.next();
                    x - y
                }
                (Some(&(i, x)), other) if other.is_none_or(|&(j, _)| i < j) => {
                    a.next();
                    x
                }
                (_, Some(&(_, y))) => {
                    b.next();
                    y
                }
                (Some(_), None) => unreachable!("the arm above takes what stands alone"),
            };
            sum += difference * difference;
        }
    }
}

/// A vector that sparse rows are compared with: dense, so that a row looks up what it needs.
#[derive(Debug, Clone)]
pub(super) struct Target {
    dense: Vec<f64>,
    square: f64,
    /// The row that it stands for, if it is one.
    row: Option<usize>,
}

impl<T: Coordinate, I: Index> Points for Sparse<'_, T, I> {
    type Target = Target;
    type Centres = Vec<usize>;
    type Subset = Sparse<'static, T, I>;
    type Blocks<'p>
        = SparseBlocks<'p, Self>
    where
        Self: 'p;

    fn len(&self) -> usize {
        self.rows.rows()
    }

    fn width(&self) -> usize {
        // A number of a walk costs as much as some of a vector.
        8 * self.rows.all_values().len().div_ceil(self.len().max(1))
    }

    fn target(&self, row: usize) -> Result<Target> {
        let mut dense = zeroed(self.rows.width(), "columns of a dense row")?;
        for (column, x) in self.entries(row) {
            dense[column] = x;
        }
        Ok(Target { dense, square: self.squares[row], row: Some(row) })
    }

    fn mean(&self, weights: Option<&[f64]>, run: Run<'_>) -> Result<Target> {
        let mut dense: Vec<f64> = zeroed(self.rows.width(), "columns of a dense row")?;
        let mut total = 0.0;
        for range in run.blocks(self.len(), BLOCK) {
            for row in range? {
                let weight = weights.map_or(1.0, |weights| weights[row]);
                total += weight;
                for (column, x) in self.entries(row) {
                    dense[column] += weight * x;
                }
            }
        }
        for x in &mut dense {
            *x /= total;
        }
        let square = dense.iter().map(|x| x * x).sum();
        Ok(Target { dense, square, row: None })
    }

    fn distances(&self, rows: Range<usize>, target: &Target, out: &mut [f64]) {
        for (row, out) in rows.zip(out) {
            let product = self.sum(row, |column, x| x * target.dense[column]);
            let norms = self.squares[row] + target.square;
            let distance = norms - 2.0 * product;
            *out = match target.row {
                Some(other) if distance < CANCELLING * norms => self.distance(row, other),
                _ => distance.max(0.0),
            };
        }
    }

    fn centres(&self, capacity: usize) -> Result<Vec<usize>> {
        with_capacity(capacity, "centres")
    }

    fn push(&self, row: usize, centres: &mut Vec<usize>) -> Result<()> {
        reserve(centres, 1, "centres")?;
        centres.push(row);
        Ok(())
    }

    fn to_centres(&self, row: usize, centres: &Vec<usize>, out: &mut [f64]) {
        for (&centre, out) in centres.iter().zip(out) {
            *out = self.distance(row, centre);
        }
    }

    fn blocks(&self, _: (usize, &[f64]), _: usize, run: Run<'_>) -> Result<SparseBlocks<'_, Self>> {
        let mut rows = with_capacity(self.len(), "points")?;
        for range in run.blocks(self.len(), BLOCK) {
            rows.extend(range?);
        }
        let radii = filled(rows.len().div_ceil(blocks::BLOCK), f64::INFINITY, "blocks")?;
        Ok(SparseBlocks { points: self, rows, radii })
    }

    fn nearest(
        &self,
        row: usize,
        centres: &Vec<usize>,
        which: &[u32],
        known: Nearest,
        enough: f64,
    ) -> Nearest {
        let mut best = Nearest { evaluations: 0, ..known };
        for &centre in which {
            let distance = self.distance(row, centres[centre as usize]);
            best.evaluations += 1;
            if distance < best.distance {
                best = Nearest { distance, centre, ..best };
                if distance <= enough {
                    break;
                }
            }
        }
        best
    }

    fn subset(&self, rows: &[usize], run: Run<'_>) -> Result<Sparse<'static, T, I>> {
        let mut squares = with_capacity(rows.len(), "norms")?;
        squares.extend(rows.iter().map(|&row| self.squares[row]));
        Ok(Sparse { rows: self.rows.subset(rows, run)?, squares })
    }
}

/// Sparse rows in blocks, as they come.
pub(super) struct SparseBlocks<'p, P> {
    points: &'p P,
    rows: Vec<usize>,
    radii: Vec<f64>,
}

impl<P: Points> Blocks for SparseBlocks<'_, P> {
    type Candidates = Vec<P::Target>;

    fn rows(&self) -> &[usize] {
        &self.rows
    }

    fn radii(&self) -> &[f64] {
        &self.radii
    }

    fn candidates(&self, rows: &[usize]) -> Result<Vec<P::Target>> {
        rows.iter().map(|&row| self.points.target(row)).collect()
    }

    fn middles(&self) -> usize {
        0
    }

    fn to_middles(&self, _: &Vec<P::Target>, _: &[u32], _: &mut [f64]) {}

    fn compare(
        &self,
        block: usize,
        candidates: &Vec<P::Target>,
        which: &[u32],
        _: &[f64],
        out: &mut [f64],
    ) {
        let range = block * blocks::BLOCK..self.rows.len().min((block + 1) * blocks::BLOCK);
        for (&which, out) in which.iter().zip(out.chunks_exact_mut(blocks::BLOCK)) {
            let out = &mut out[..range.len()];
            self.points.distances(range.clone(), &candidates[which as usize], out);
        }
    }
}
