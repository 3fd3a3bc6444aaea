//! Distances between centres: what they say about points.

/// Distances between points in single precision are rounded; this is generous.
const SLACK: f64 = 1.001;
/// Beyond so many centres the table would be larger than the data usually is.
const MOST: usize = 4096;

/// Distances whose least is kept: most stretches are out of reach, which that says at once.
const STRETCH: usize = 16;

/// The squared distances of each centre to those after it.
///
/// A point whose nearest centre is `a`, at distance `r`, can only be nearer to centre `c` if `a` and
/// `c` are less than `2 r` apart: by the triangle inequality, `|x - c| >= |a - c| - r`.
#[derive(Debug)]
pub struct Between {
    rows: Vec<Row>,
}

/// The squared distances of one centre to those after it.
#[derive(Debug, Default)]
struct Row {
    distances: Vec<f64>,
    /// The least distance of each stretch.
    least: Vec<f64>,
}

impl Between {
    /// The distances of a first centre, none, where it pays if there will be about so many centres
    /// of `n` points: it takes half a distance for each pair, which have to be few beside those to
    /// points.
    pub fn new(centres: usize, n: usize) -> Option<Self> {
        (centres <= MOST && centres <= n / 4).then(|| Self { rows: vec![Row::default()] })
    }

    /// Adds a centre by its squared distances to all before it.
    pub fn push(&mut self, distances: &[f64]) {
        for (row, &distance) in self.rows.iter_mut().zip(distances) {
            row.push(distance);
        }
        self.rows.push(Row::default());
    }

    /// What a squared distance between centres has to stay below, for one of them to be nearer than
    /// the other to a point at squared distance `bound` from that.
    #[inline]
    pub fn reach(bound: f64) -> f64 {
        4.0 * SLACK * bound
    }

    /// The distance of centre `a` to the closest of the centres from `first` on.
    pub fn closest(&self, a: usize, first: usize) -> f64 {
        let row = &self.rows[a];
        let first = first.saturating_sub(a + 1).min(row.distances.len());
        let whole = first.div_ceil(STRETCH);
        let partial = &row.distances[first..row.distances.len().min(whole * STRETCH)];
        partial.iter().chain(&row.least[whole..]).copied().fold(f64::INFINITY, f64::min)
    }

    /// The next few centres from `first` on that are nearer to `a` than `reach`, into `out`; returns
    /// where those after them begin. None are left if there are none.
    #[inline]
    pub fn within(&self, a: usize, first: usize, reach: f64, out: &mut Vec<u32>) -> usize {
        out.clear();
        let row = &self.rows[a];
        let first = first.saturating_sub(a + 1);
        for (stretch, &least) in row.least.iter().enumerate().skip(first / STRETCH) {
            if least < reach {
                let end = row.distances.len().min((stretch + 1) * STRETCH);
                let near =
                    (first.max(stretch * STRETCH)..end).filter(|&i| row.distances[i] < reach);
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
    fn push(&mut self, distance: f64) {
        if self.distances.len().is_multiple_of(STRETCH) {
            self.least.push(distance);
        } else if let Some(least) = self.least.last_mut() {
            *least = least.min(distance);
        }
        self.distances.push(distance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::rng::{Purpose, Stream};

    #[test]
    fn stretches_hide_nothing() {
        let count = 80;
        let mut between = Between::new(1, 4).unwrap(); // grows beyond what was expected
        let mut draws = Stream::new(1).draws(Purpose::Uniform, 0);
        let mut table = vec![vec![f64::NAN]; count];
        for centre in 1..count {
            let distances: Vec<f64> = (0..centre).map(|_| draws.uniform()).collect();
            between.push(&distances);
            for (a, row) in table.iter_mut().enumerate() {
                row.push(distances.get(a).copied().unwrap_or(f64::NAN));
            }
        }
        for (a, row) in table.iter().enumerate() {
            for first in 0..=count {
                let later = first.max(a + 1)..count;
                let least = later.clone().map(|c| row[c]).fold(f64::INFINITY, f64::min);
                assert_eq!(between.closest(a, first), least);
                for reach in [0.0, 0.03, 0.5, 2.0] {
                    let (mut out, mut few, mut next) = (Vec::new(), Vec::new(), first);
                    loop {
                        next = between.within(a, next, reach, &mut few);
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
