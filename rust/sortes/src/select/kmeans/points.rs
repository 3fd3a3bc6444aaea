//! What seeding asks of data, and rows of dense numbers.

use std::borrow::Cow;
use std::ops::Range;

use sortes_core::simd::distance::{Coordinate, Nearest};
use sortes_core::{Error, Result};

/// Values beyond this, or all below its inverse, have squares that `f64` cannot add up.
const LARGEST: f64 = 1e140;

/// Points with squared Euclidean distances.
pub trait Points: Sync {
    /// A vector that many points are compared with.
    type Target: Sync;
    /// Points that one point is compared with.
    type Centres: Sync;
    /// Points of their own memory.
    type Subset: Points;

    /// How many points there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many numbers a distance looks at, about: its price.
    fn width(&self) -> usize;

    /// The target at a point.
    fn target(&self, row: usize) -> Self::Target;

    /// The target at the mean of the points, of all but rounding.
    fn mean(&self, weights: Option<&[f64]>) -> Self::Target;

    /// The squared distances of consecutive points to a target.
    fn distances(&self, rows: Range<usize>, target: &Self::Target, out: &mut [f64]);

    /// Room for so many centres, none of them there.
    fn centres(&self, capacity: usize) -> Self::Centres;

    /// Appends a point to the centres.
    fn push(&self, row: usize, centres: &mut Self::Centres);

    /// The squared distances of a point to all centres.
    fn to_centres(&self, row: usize, centres: &Self::Centres, out: &mut [f64]);

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
    fn subset(&self, rows: &[usize]) -> Self::Subset;
}

/// Points as the rows of a matrix.
#[derive(Debug, Clone)]
pub struct Dense<'a, T: Coordinate> {
    data: Cow<'a, [T]>,
    dim: usize,
}

impl<'a, T: Coordinate> Dense<'a, T> {
    /// Points of dimension `dim`, row after row in `data`.
    pub fn new(data: impl Into<Cow<'a, [T]>>, dim: usize) -> Self {
        Self { data: data.into(), dim }
    }

    fn row(&self, row: usize) -> &[T] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// The largest absolute value.
    ///
    /// # Errors
    /// [`Error::Row`] if a value is NaN or infinite, [`Error::Argument`] if squares of the values
    /// would overflow or vanish.
    pub fn scale(&self) -> Result<f64> {
        scale_of(&self.data, |at| (at / self.dim, at % self.dim))
    }

    /// A copy in double precision.
    pub fn widened(&self) -> Dense<'static, f64> {
        Dense::new(self.data.iter().map(|&x| x.into()).collect::<Vec<f64>>(), self.dim)
    }
}

/// The largest absolute value of `data`; `place` is the row and the column of an element.
pub(super) fn scale_of<T: Coordinate>(
    data: &[T],
    place: impl Fn(usize) -> (usize, usize),
) -> Result<f64> {
    const LANES: usize = 16;
    let mut scale = 0.0;
    for (number, block) in data.chunks(4096).enumerate() {
        let (chunks, rest) = block.as_chunks::<LANES>();
        let mut lanes = [0.0f64; LANES];
        // The maximum passes over NaN, and a sum of zeros does not.
        let mut zeros = [0.0f64; LANES];
        for chunk in chunks {
            for i in 0..LANES {
                let x: f64 = chunk[i].into();
                lanes[i] = if x.abs() > lanes[i] { x.abs() } else { lanes[i] };
                zeros[i] += x * 0.0;
            }
        }
        for (i, &x) in rest.iter().enumerate() {
            let x: f64 = x.into();
            lanes[i] = if x.abs() > lanes[i] { x.abs() } else { lanes[i] };
            zeros[i] += x * 0.0;
        }
        if zeros.iter().any(|zero| zero.is_nan()) {
            let bad = block.iter().position(|&x| !Into::<f64>::into(x).is_finite()).unwrap_or(0);
            let (row, column) = place(number * 4096 + bad);
            let value: f64 = block[bad].into();
            return Err(Error::row("X", row, format!("column {column} is {value}")));
        }
        scale = lanes.into_iter().fold(scale, f64::max);
    }
    if scale > LARGEST || (scale > 0.0 && scale < 1.0 / LARGEST) {
        let reason = format!(
            "the largest absolute value is {scale:e}, whose squares leave the range of float64; \
             scale the data"
        );
        return Err(Error::argument("X", reason));
    }
    Ok(scale)
}

impl<T: Coordinate> Points for Dense<'_, T>
where
    T: Narrow,
{
    type Target = Vec<T>;
    type Centres = Vec<T>;
    type Subset = Dense<'static, T>;

    fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    fn width(&self) -> usize {
        self.dim
    }

    fn target(&self, row: usize) -> Vec<T> {
        self.row(row).to_vec()
    }

    fn mean(&self, weights: Option<&[f64]>) -> Vec<T> {
        let (mut sums, mut total) = (vec![0.0; self.dim], 0.0);
        for (i, row) in self.data.chunks_exact(self.dim).enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[i]);
            total += weight;
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += weight * x.into();
            }
        }
        sums.into_iter().map(|sum| T::narrow(sum / total)).collect()
    }

    fn distances(&self, rows: Range<usize>, target: &Vec<T>, out: &mut [f64]) {
        T::distances(&self.data[rows.start * self.dim..rows.end * self.dim], target, out);
    }

    fn centres(&self, capacity: usize) -> Vec<T> {
        Vec::with_capacity(capacity * self.dim)
    }

    fn push(&self, row: usize, centres: &mut Vec<T>) {
        centres.extend_from_slice(self.row(row));
    }

    fn to_centres(&self, row: usize, centres: &Vec<T>, out: &mut [f64]) {
        T::distances(centres, self.row(row), out);
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

    fn subset(&self, rows: &[usize]) -> Dense<'static, T> {
        let data: Vec<T> = rows.iter().flat_map(|&row| self.row(row)).copied().collect();
        Dense::new(data, self.dim)
    }
}

/// A coordinate as the nearest value of its type.
pub trait Narrow {
    /// Rounds.
    fn narrow(x: f64) -> Self;
}

impl Narrow for f32 {
    fn narrow(x: f64) -> Self {
        x as f32
    }
}

impl Narrow for f64 {
    fn narrow(x: f64) -> Self {
        x
    }
}
