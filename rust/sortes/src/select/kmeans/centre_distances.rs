//! Distances between centres: what they say about points.

use sortes_core::Result;
use sortes_core::memory::{reserve, with_capacity};

/// Distances between points in single precision are rounded; this is generous.
const SLACK: f64 = 1.001;
/// With more centres the table would be larger than the data usually is.
const MOST: usize = 4096;
/// Distances whose least is kept: most groups are out of reach, which that says at once.
const GROUP: usize = 16;

/// The squared distances of each centre to those after it.
///
/// A point whose nearest centre is `a`, at distance `r`, can only be nearer to centre `c` if `a` and
/// `c` are less than `2 r` apart: by the triangle inequality, `|x - c| >= |a - c| - r`.
#[derive(Debug)]
pub(super) struct CentreDistances {
    rows: Vec<Row>,
}

/// The squared distances of one centre to those after it.
#[derive(Debug, Default)]
struct Row {
    distances: Vec<f64>,
    /// The least distance of each group.
    least: Vec<f64>,
}

impl CentreDistances {
    /// The table of a first centre, which has no distances yet; or none, where a table of about
    /// `centres` centres of `n` points would not pay. It takes half a distance for each pair of
    /// centres, and pairs must be few beside the distances from points to centres.
    pub(super) fn new(centres: usize, n: usize) -> Result<Option<Self>> {
        if centres > MOST || centres > n / 4 {
            return Ok(None);
        }
        let mut rows = with_capacity(centres.max(1), "distances between centres")?;
        rows.push(Row::default());
        Ok(Some(Self { rows }))
    }

    /// Adds a centre by its squared distances to all before it.
    pub(super) fn push(&mut self, distances: &[f64]) -> Result<()> {
        reserve(&mut self.rows, 1, "distances between centres")?;
        for (row, &distance) in self.rows.iter_mut().zip(distances) {
            row.push(distance)?;
        }
        self.rows.push(Row::default());
        Ok(())
    }

    /// The limit of squared distances from a point's nearest centre, at squared distance `bound`
    /// from the point: centres beyond it cannot be nearer to the point.
    #[inline]
    pub(super) fn reach(bound: f64) -> f64 {
        4.0 * SLACK * bound
    }

    /// The distance of centre `a` to the closest of the centres from `first` on.
    pub(super) fn closest(&self, a: usize, first: usize) -> f64 {
        let row = &self.rows[a];
        let first = first.saturating_sub(a + 1).min(row.distances.len());
        let whole = first.div_ceil(GROUP);
        let partial = &row.distances[first..row.distances.len().min(whole * GROUP)];
        partial.iter().chain(&row.least[whole..]).copied().fold(f64::INFINITY, f64::min)
    }

    /// Writes the next few centres from `first` on that are nearer to `a` than `reach` into `out`;
    /// returns the centre to go on from. Where it writes none, none are left.
    #[inline]
    pub(super) fn within(&self, a: usize, first: usize, reach: f64, out: &mut Vec<u32>) -> usize {
        out.clear();
        let row = &self.rows[a];
        let first = first.saturating_sub(a + 1);
        for (group, &least) in row.least.iter().enumerate().skip(first / GROUP) {
            if least < reach {
                let end = row.distances.len().min((group + 1) * GROUP);
                let near = (first.max(group * GROUP)..end).filter(|&i| row.distances[i] < reach);
                out.extend(near.map(|i| (a + 1 + i) as u32));
                if !out.is_empty() {
                    return a + 1 + end;
                }
            }
        }
        self.rows.len()
    }
}

impl Row {
    fn push(&mut self, distance: f64) -> Result<()> {
        reserve(&mut self.distances, 1, "distances between centres")?;
        reserve(&mut self.least, 1, "distances between centres")?;
        if self.distances.len().is_multiple_of(GROUP) {
            self.least.push(distance);
        } else if let Some(least) = self.least.last_mut() {
            *least = least.min(distance);
        }
        self.distances.push(distance);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::rng::{Purpose, Stream};

    #[test]
    fn groups_hide_nothing() {
        let count = 80;
        let mut table = CentreDistances::new(1, 4).unwrap().unwrap(); // grows beyond what was expected
        let mut draws = Stream::new(1).draws(Purpose::Uniform, 0);
        let mut expected = vec![vec![f64::NAN]; count];
        for centre in 1..count {
            let distances: Vec<f64> = (0..centre).map(|_| draws.uniform()).collect();
            table.push(&distances).unwrap();
            for (a, row) in expected.iter_mut().enumerate() {
                row.push(distances.get(a).copied().unwrap_or(f64::NAN));
            }
        }
        for (a, row) in expected.iter().enumerate() {
            for first in 0..=count {
                let later = first.max(a + 1)..count;
                let least = later.clone().map(|c| row[c]).fold(f64::INFINITY, f64::min);
                assert_eq!(table.closest(a, first), least);
                for reach in [0.0, 0.03, 0.5, 2.0] {
                    let (mut out, mut few, mut next) = (Vec::new(), Vec::new(), first);
                    loop {
                        next = table.within(a, next, reach, &mut few);
                        if few.is_empty() {
                            break;
                        }
                        out.append(&mut few);
                    }
                    let near = later.clone().filter(|&c| row[c] < reach);
                    assert_eq!(out, near.map(|c| c as u32).collect::<Vec<_>>());
                }
            }
        }
    }
}
