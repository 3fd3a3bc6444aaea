//! What seeding asks of data, and rows of dense numbers.

use std::borrow::Cow;
use std::ops::Range;

use sortes_core::error::shown;
use sortes_core::memory::{copied, reserve, with_capacity, zeroed};
use sortes_core::simd::distance::{Coordinate, Nearest};
use sortes_core::{Error, Result, Run, vectorised};

use super::blocks::{Blocks, DenseBlocks, Plan};

/// Values beyond this, or all below its inverse, have squares that `f64` cannot add up.
const LARGEST: f64 = 1e140;
/// Single precision is left where squares would leave its range, or lose what they say.
const SINGLE: Range<f64> = 1e-12..1e16;
/// Numbers between two looks at the stop request.
const TASK: usize = 1 << 16;

/// Points with squared Euclidean distances.
pub(super) trait Points: Sync {
    /// A vector that many points are compared with.
    type Target: Sync;
    /// Points that one point is compared with.
    type Centres: Sync;
    /// Points of their own memory.
    type Subset: Points;
    /// All points, in blocks.
    type Blocks<'p>: Blocks
    where
        Self: 'p;

    /// How many points there are.
    fn len(&self) -> usize;

    /// How many numbers a distance looks at, about: its price.
    fn width(&self) -> usize;

    /// The target at a point.
    ///
    /// # Errors
    /// If there is no memory for it.
    fn target(&self, row: usize) -> Result<Self::Target>;

    /// The target at the mean of the points, of all but rounding.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    fn mean(&self, weights: Option<&[f64]>, run: Run<'_>) -> Result<Self::Target>;

    /// The squared distances of consecutive points to a target.
    fn distances(&self, rows: Range<usize>, target: &Self::Target, out: &mut [f64]);

    /// Room for this many centres, none of them there.
    ///
    /// # Errors
    /// If there is no memory for them.
    fn centres(&self, capacity: usize) -> Result<Self::Centres>;

    /// Appends a point to the centres.
    ///
    /// # Errors
    /// If there is no memory for it.
    fn push(&self, row: usize, centres: &mut Self::Centres) -> Result<()>;

    /// The squared distances of a point to all centres.
    fn to_centres(&self, row: usize, centres: &Self::Centres, out: &mut [f64]);

    /// All points, to be compared with `comparisons` candidates each, after `first`, whose squared
    /// distances from all points are known.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    fn blocks(
        &self,
        first: (usize, &[f64]),
        comparisons: usize,
        run: Run<'_>,
    ) -> Result<Self::Blocks<'_>>;

    /// As [`Coordinate::nearest`].
    fn nearest(
        &self,
        row: usize,
        centres: &Self::Centres,
        which: &[u32],
        known: Nearest,
        enough: f64,
    ) -> Nearest;

    /// A copy of some of the points.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    fn subset(&self, rows: &[usize], run: Run<'_>) -> Result<Self::Subset>;
}

/// Points as the rows of a matrix.
#[derive(Debug, Clone)]
pub(super) struct Dense<'a, T: Real> {
    data: Cow<'a, [T]>,
    dim: usize,
    /// The largest absolute value, zero where it is not known.
    scale: f64,
}

impl<'a, T: Real> Dense<'a, T> {
    /// Points of dimension `dim`, row after row in `data`.
    pub(super) fn new(data: impl Into<Cow<'a, [T]>>, dim: usize) -> Self {
        Self { data: data.into(), dim, scale: 0.0 }
    }

    fn row(&self, row: usize) -> &[T] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// Checks the values; returns a copy in double precision where squares in single precision
    /// would overflow or vanish.
    ///
    /// # Errors
    /// [`Error::Row`] if a value is NaN or infinite, [`Error::Argument`] if squares of the values
    /// would leave the range of `f64`; if there is no memory for a copy, or the work is cancelled.
    pub(super) fn checked(&mut self, run: Run<'_>) -> Result<Option<Dense<'static, f64>>> {
        let dim = self.dim.max(1);
        let scale = scale_of(&self.data, |at| (at / dim, at % dim), run)?;
        self.scale = scale;
        if T::IS_DOUBLE || scale == 0.0 || SINGLE.contains(&scale) {
            return Ok(None);
        }
        let mut wide = with_capacity(self.data.len(), "coordinates")?;
        for range in run.blocks(self.data.len(), TASK) {
            wide.extend(self.data[range?].iter().map(|&x| -> f64 { x.into() }));
        }
        Ok(Some(Dense { scale, ..Dense::new(wide, self.dim) }))
    }
}

/// The largest absolute value of `data`; `position` is the row and the column of an element.
///
/// # Errors
/// As [`Dense::checked`].
pub(super) fn scale_of<T: Coordinate>(
    data: &[T],
    position: impl Fn(usize) -> (usize, usize) + Sync + Send,
    run: Run<'_>,
) -> Result<f64> {
    let mut parts = zeroed(data.len().div_ceil(TASK), "tasks")?;
    let part_of = |task: usize| &data[task * TASK..data.len().min((task + 1) * TASK)];
    run.fill_chunks(&mut parts, 1, |task, part| part[0] = scale_of_part(part_of(task)))?;
    if let Some(task) = parts.iter().position(|part: &f64| part.is_nan()) {
        let is_bad = |x: &T| !Into::<f64>::into(*x).is_finite();
        let bad = task * TASK + part_of(task).iter().position(is_bad).unwrap_or(0);
        let (row, column) = position(bad);
        let value = shown(data[bad].into());
        return Err(Error::row("X", row, format!("column {column} must be finite, got {value}")));
    }
    let scale = parts.into_iter().fold(0.0, f64::max);
    if scale > LARGEST || (scale > 0.0 && scale < 1.0 / LARGEST) {
        let reason = format!(
            "the largest absolute value is {scale:e}, whose squares leave the range of float64; \
             scale the data"
        );
        return Err(Error::argument("X", reason));
    }
    Ok(scale)
}

vectorised! {
    /// The largest absolute value of some numbers, NaN if one is NaN or infinite.
    fn scale_of_part<T: Coordinate>(data: &[T]) -> f64 {
        const LANES: usize = 16;
        let mut lanes = [0.0f64; LANES];
        // The maximum passes over NaN, and a sum of zeros does not.
        let mut zeros = [0.0f64; LANES];
        let (chunks, rest) = data.as_chunks::<LANES>();
        let mut add = |lane: usize, x: f64| {
            lanes[lane] = if x.abs() > lanes[lane] { x.abs() } else { lanes[lane] };
            zeros[lane] += x * 0.0;
        };
        for chunk in chunks {
            for (lane, &x) in chunk.iter().enumerate() {
                add(lane, x.into());
            }
        }
        for (lane, &x) in rest.iter().enumerate() {
            add(lane, x.into());
        }
        lanes.into_iter().fold(0.0, f64::max) + zeros.into_iter().sum::<f64>()
    }
}

impl<T: Real> Points for Dense<'_, T> {
    type Target = Vec<T>;
    type Centres = Vec<T>;
    type Subset = Dense<'static, T>;
    type Blocks<'p>
        = DenseBlocks<'p, T>
    where
        Self: 'p;

    fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    fn width(&self) -> usize {
        self.dim
    }

    fn target(&self, row: usize) -> Result<Vec<T>> {
        copied(self.row(row), "coordinates", Run::alone())
    }

    fn mean(&self, weights: Option<&[f64]>, run: Run<'_>) -> Result<Vec<T>> {
        let (mut sums, mut total) = (zeroed::<f64>(self.dim, "coordinates")?, 0.0);
        for range in run.blocks(self.len(), (TASK / self.dim).max(1)) {
            for i in range? {
                let weight = weights.map_or(1.0, |weights| weights[i]);
                total += weight;
                for (sum, &x) in sums.iter_mut().zip(self.row(i)) {
                    *sum += weight * x.into();
                }
            }
        }
        let mut mean = with_capacity(self.dim, "coordinates")?;
        mean.extend(sums.into_iter().map(|sum| T::narrow(sum / total)));
        Ok(mean)
    }

    fn distances(&self, rows: Range<usize>, target: &Vec<T>, out: &mut [f64]) {
        T::distances(&self.data[rows.start * self.dim..rows.end * self.dim], target, out);
    }

    fn centres(&self, capacity: usize) -> Result<Vec<T>> {
        with_capacity(capacity * self.dim, "coordinates of centres")
    }

    fn push(&self, row: usize, centres: &mut Vec<T>) -> Result<()> {
        reserve(centres, self.dim, "coordinates of centres")?;
        centres.extend_from_slice(self.row(row));
        Ok(())
    }

    fn to_centres(&self, row: usize, centres: &Vec<T>, out: &mut [f64]) {
        T::distances(centres, self.row(row), out);
    }

    fn blocks(
        &self,
        first: (usize, &[f64]),
        comparisons: usize,
        run: Run<'_>,
    ) -> Result<DenseBlocks<'_, T>> {
        let plan = Plan { first, comparisons, fits: SINGLE.contains(&self.scale) };
        DenseBlocks::new(&self.data, self.dim, &plan, run)
    }

    #[inline]
    fn nearest(
        &self,
        row: usize,
        centres: &Vec<T>,
        which: &[u32],
        known: Nearest,
        enough: f64,
    ) -> Nearest {
        T::nearest(self.row(row), centres, which, known, enough)
    }

    fn subset(&self, rows: &[usize], run: Run<'_>) -> Result<Dense<'static, T>> {
        let mut data = with_capacity(rows.len() * self.dim, "coordinates")?;
        for &row in rows {
            run.check()?;
            data.extend_from_slice(self.row(row));
        }
        Ok(Dense { scale: self.scale, ..Dense::new(data, self.dim) })
    }
}

/// A coordinate of dense points.
pub trait Real: Coordinate {
    /// Whether it is one in double precision.
    const IS_DOUBLE: bool;

    /// The nearest value of this type.
    fn narrow(x: f64) -> Self;
}

impl Real for f32 {
    const IS_DOUBLE: bool = false;

    fn narrow(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    const IS_DOUBLE: bool = true;

    fn narrow(x: f64) -> Self {
        x
    }
}
