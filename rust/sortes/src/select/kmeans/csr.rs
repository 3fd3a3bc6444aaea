//! Sparse rows.

use std::borrow::Cow;
use std::ops::Range;

use sortes_core::simd::distance::{Coordinate, Nearest};
use sortes_core::{Error, Result};

use super::points::{Points, scale_of};

/// Below this part of the norms, the difference of two nearly equal points is computed number by
/// number: their norms would cancel.
const CANCELLING: f64 = 1e-6;

/// A type of column indices.
pub trait Index: Copy + Send + Sync + Ord + 'static {
    /// As a position, if it is one.
    fn position(self) -> Option<usize>;
}

impl Index for i32 {
    fn position(self) -> Option<usize> {
        usize::try_from(self).ok()
    }
}

impl Index for i64 {
    fn position(self) -> Option<usize> {
        usize::try_from(self).ok()
    }
}

/// A matrix in compressed sparse rows, its columns ascending within each.
#[derive(Debug, Clone)]
pub struct Csr<'a, T: Coordinate, I: Index> {
    /// Where each row starts, and the end of the last.
    starts: Vec<usize>,
    columns: Cow<'a, [I]>,
    values: Cow<'a, [T]>,
    dim: usize,
    squares: Vec<f64>,
}

impl<'a, T: Coordinate, I: Index> Csr<'a, T, I> {
    /// Checks the parts of a matrix of `dim` columns.
    ///
    /// # Errors
    /// [`Error::Argument`] or [`Error::Row`] if the parts do not fit together, a column is out of
    /// range, columns do not ascend, or a value is NaN, infinite or too large to be squared;
    /// [`Error::Resource`] if there is no room for a row of all columns.
    pub fn new(
        starts: &[impl Index],
        columns: &'a [I],
        values: &'a [T],
        dim: usize,
    ) -> Result<Self> {
        let bad = |reason: String| Err(Error::argument("X", reason));
        if columns.len() != values.len() {
            let (i, v) = (columns.len(), values.len());
            return bad(format!("indices and data must have one length, got {i} and {v}"));
        }
        let mut rows = Vec::with_capacity(starts.len());
        for (row, start) in starts.iter().enumerate() {
            match start.position() {
                Some(start)
                    if start <= columns.len() && rows.last().is_none_or(|&s| s <= start) =>
                {
                    rows.push(start);
                }
                _ => {
                    return bad(format!(
                        "indptr must ascend within [0, {}], item {row} does not",
                        columns.len()
                    ));
                }
            }
        }
        if rows.first() != Some(&0) || rows.last() != Some(&columns.len()) {
            return bad(format!("indptr must begin with 0 and end with {}", columns.len()));
        }
        for (row, range) in rows.windows(2).enumerate() {
            let columns = &columns[range[0]..range[1]];
            for (i, column) in columns.iter().enumerate() {
                if column.position().is_none_or(|column| column >= dim) {
                    let reason = format!("index {i} of the row is out of range for {dim} columns");
                    return Err(Error::row("X", row, reason));
                }
                if i > 0 && columns[i - 1] >= *column {
                    let reason = format!("indices must ascend, index {i} of the row does not");
                    return Err(Error::row("X", row, reason));
                }
            }
        }
        // Centres are compared with as dense vectors.
        let mut dense: Vec<f64> = Vec::new();
        dense.try_reserve_exact(dim).map_err(|_| Error::Resource {
            what: format!("a row of {dim} columns"),
            bytes: 8 * dim as u64,
        })?;
        scale_of(values, |at| {
            let row = rows.partition_point(|&start| start <= at) - 1;
            (row, columns[at].position().unwrap_or(0))
        })?;
        let mut out = Self {
            starts: rows,
            columns: Cow::Borrowed(columns),
            values: Cow::Borrowed(values),
            dim,
            squares: Vec::new(),
        };
        out.squares = (0..out.len()).map(|row| out.sum(row, |_, x| x * x)).collect();
        Ok(out)
    }

    fn range(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    fn entries(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.range(row);
        let columns = self.columns[range.clone()].iter();
        columns.zip(&self.values[range]).map(|(c, &x)| (c.position().unwrap_or(0), x.into()))
    }

    #[inline]
    fn sum(&self, row: usize, mut term: impl FnMut(usize, f64) -> f64) -> f64 {
        self.entries(row).map(|(column, x)| term(column, x)).sum()
    }

    /// The squared distance between two rows: a walk along both.
    fn between(&self, a: usize, b: usize) -> f64 {
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
pub struct Target {
    dense: Vec<f64>,
    square: f64,
    /// The row that it stands for, if it is one.
    row: Option<usize>,
}

impl<T: Coordinate, I: Index> Points for Csr<'_, T, I> {
    type Target = Target;
    type Centres = Vec<usize>;
    type Subset = Csr<'static, T, I>;

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn width(&self) -> usize {
        // A number of a walk costs as much as some of a vector.
        8 * self.values.len().div_ceil(self.len().max(1))
    }

    fn target(&self, row: usize) -> Target {
        let mut dense = vec![0.0; self.dim];
        for (column, x) in self.entries(row) {
            dense[column] = x;
        }
        Target { dense, square: self.squares[row], row: Some(row) }
    }

    fn mean(&self, weights: Option<&[f64]>) -> Target {
        let (mut dense, mut total) = (vec![0.0; self.dim], 0.0);
        for row in 0..self.len() {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            total += weight;
            for (column, x) in self.entries(row) {
                dense[column] += weight * x;
            }
        }
        for x in &mut dense {
            *x /= total;
        }
        let square = dense.iter().map(|x| x * x).sum();
        Target { dense, square, row: None }
    }

    fn distances(&self, rows: Range<usize>, target: &Target, out: &mut [f64]) {
        for (row, out) in rows.zip(out) {
            let product = self.sum(row, |column, x| x * target.dense[column]);
            let norms = self.squares[row] + target.square;
            let distance = norms - 2.0 * product;
            *out = match target.row {
                Some(other) if distance < CANCELLING * norms => self.between(row, other),
                _ => distance.max(0.0),
            };
        }
    }

    fn centres(&self, capacity: usize) -> Vec<usize> {
        Vec::with_capacity(capacity)
    }

    fn push(&self, row: usize, centres: &mut Vec<usize>) {
        centres.push(row);
    }

    fn to_centres(&self, row: usize, centres: &Vec<usize>, out: &mut [f64]) {
        for (&centre, out) in centres.iter().zip(out) {
            *out = self.between(row, centre);
        }
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
            let distance = self.between(row, centres[centre as usize]);
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

    fn subset(&self, rows: &[usize]) -> Csr<'static, T, I> {
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for &row in rows {
            columns.extend_from_slice(&self.columns[self.range(row)]);
            values.extend_from_slice(&self.values[self.range(row)]);
            starts.push(columns.len());
        }
        Csr {
            starts,
            columns: Cow::Owned(columns),
            values: Cow::Owned(values),
            dim: self.dim,
            squares: rows.iter().map(|&row| self.squares[row]).collect(),
        }
    }
}
