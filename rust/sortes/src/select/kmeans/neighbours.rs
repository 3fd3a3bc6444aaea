//! An order of points in which neighbours come together.
//!
//! Points are parted again and again in the coordinate in which they are spread out most: the
//! leaves of a k-d tree (Bentley, "Multidimensional binary search trees used for associative
//! searching", Communications of the ACM 18, 1975), of which only the order is kept.

use sortes_core::memory::{reserve, zeroed};
use sortes_core::{Result, Run};

use super::blocks::{BLOCK, TASK};
use super::points::Real;

/// Rows that say in which coordinate all are spread out.
const SAMPLE: usize = 16;

/// Puts the rows in an order in which every block has neighbours.
pub(super) fn part<T: Real>(
    data: &[T],
    dim: usize,
    rows: &mut [usize],
    run: Run<'_>,
) -> Result<()> {
    let mut spare = zeroed(rows.len(), "points")?;
    let balanced = rows.len().div_ceil(BLOCK).ilog2() + 1;
    let mut open = vec![(0..rows.len(), 0)];
    while let Some((range, depth)) = open.pop() {
        let (rows, spare) = (&mut rows[range.clone()], &mut spare[..range.len()]);
        if rows.len() <= BLOCK || depth > 3 * balanced {
            continue;
        }
        let cut = Cut::of(data, dim, rows, depth > balanced);
        // In their order, so that memory is read from its beginning to its end.
        let (mut below, mut above) = (0, 0);
        for part in run.blocks(rows.len(), TASK) {
            for i in part? {
                let row = rows[i];
                let is_below = cut.holds(&data[row * dim..(row + 1) * dim]);
                (rows[below], spare[above]) = (row, row);
                below += usize::from(is_below);
                above += usize::from(!is_below);
            }
        }
        rows[below..].copy_from_slice(&spare[..above]);
        if above == 0 {
            continue;
        }
        // Whole blocks, at least one on either side.
        let last = (rows.len() - 1) / BLOCK;
        let middle = range.start + ((below + BLOCK / 2) / BLOCK).clamp(1, last) * BLOCK;
        reserve(&mut open, 2, "parts")?;
        open.extend([(range.start..middle, depth + 1), (middle..range.end, depth + 1)]);
    }
    Ok(())
}

/// What parts some rows.
struct Cut<'a, T> {
    column: usize,
    value: f64,
    /// Where a sample of rows are all the same: rows that are not equal to these lie above.
    equal: Option<&'a [T]>,
}

impl<'a, T: Real> Cut<'a, T> {
    /// The mean of a sample of rows in the coordinate in which these are spread out most, or the
    /// median.
    fn of(data: &'a [T], dim: usize, rows: &[usize], by_median: bool) -> Self {
        let sample: [&[T]; SAMPLE] = std::array::from_fn(|i| {
            let row = rows[i * rows.len() / SAMPLE];
            &data[row * dim..(row + 1) * dim]
        });
        let (mut widest, mut width, mut value) = (0, 0.0, 0.0);
        for i in 0..dim {
            let first: f64 = sample[0][i].into();
            let (mut sum, mut squares) = (0.0, 0.0);
            for row in sample {
                let x = row[i].into() - first;
                sum += x;
                squares += x * x;
            }
            let mean = sum / SAMPLE as f64;
            let spread = squares - sum * mean;
            if spread > width {
                (widest, width, value) = (i, spread, first + mean);
            }
        }
        if by_median {
            let mut values = sample.map(|row| -> f64 { row[widest].into() });
            values.sort_unstable_by(f64::total_cmp);
            value = values[SAMPLE / 2 - 1];
        }
        Self { column: widest, value, equal: (width == 0.0).then_some(sample[0]) }
    }

    #[inline]
    fn holds(&self, row: &[T]) -> bool {
        match self.equal {
            None => row[self.column].into() <= self.value,
            Some(other) => row == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_a_sample_cannot_tell_apart_come_to_an_end() {
        // Equal but for one in a thousand; and all equal.
        for odd in [0.0, 5.0] {
            let data: Vec<f64> =
                (0..40_000).map(|i| if i % 2000 == 9 { odd } else { 0.0 }).collect();
            let mut rows: Vec<usize> = (0..20_000).collect();
            part(&data, 2, &mut rows, Run::alone()).unwrap();
            let changes = rows.windows(2).filter(|w| data[2 * w[0] + 1] != data[2 * w[1] + 1]);
            assert!(changes.count() <= 2);
            rows.sort_unstable();
            assert!(rows.iter().copied().eq(0..20_000));
        }
    }
}
