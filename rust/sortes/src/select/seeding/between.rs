//! Distances between centres: what they say about points.

/// Distances between points in single precision are rounded; this is generous.
const SLACK: f64 = 1.001;
/// Beyond so many centres the table would be larger than the data usually is.
const MOST: usize = 4096;

/// The squared distances of each centre to those after it.
///
/// A point whose nearest centre is `a`, at distance `r`, can only be nearer to centre `c` if `a` and
/// `c` are less than `2 r` apart: by the triangle inequality, `|x - c| >= |a - c| - r`.
#[derive(Debug)]
pub struct Between {
    /// Row `a` holds the squared distances to the centres after `a`.
    rows: Vec<Vec<f64>>,
}

impl Between {
    /// The distances of a first centre, none, where it pays if there will be about so many centres
    /// of `n` points: it takes half a distance for each pair, which have to be few beside those to
    /// points.
    pub fn new(centres: usize, n: usize) -> Option<Self> {
        (centres <= MOST && centres <= n / 4).then(|| Self { rows: vec![Vec::new()] })
    }

    /// Adds a centre by its squared distances to all before it.
    pub fn push(&mut self, distances: &[f64]) {
        for (row, &distance) in self.rows.iter_mut().zip(distances) {
            row.push(distance);
        }
        self.rows.push(Vec::new());
    }

    /// What a squared distance between centres has to stay below, for one of them to be nearer than
    /// the other to a point at squared distance `bound` from that.
    #[inline]
    pub fn reach(bound: f64) -> f64 {
        4.0 * SLACK * bound
    }

    /// The distance of centre `a` to the closest of the centres from `first` on, before `count`.
    pub fn closest(&self, a: usize, first: usize, count: usize) -> f64 {
        least(self.row(a, first, count))
    }

    /// Appends the centres from `first` on, before `count`, that are nearer to `a` than `reach`.
    #[inline]
    pub fn within(&self, a: usize, first: usize, count: usize, reach: f64, out: &mut Vec<u32>) {
        let first = first.max(a + 1);
        for (number, chunk) in self.row(a, first, count).chunks(16).enumerate() {
            // Most stretches hold none, which takes a few vector instructions to see.
            if least(chunk) < reach {
                let near = chunk.iter().enumerate().filter(|&(_, &distance)| distance < reach);
                out.extend(near.map(|(i, _)| (first + number * 16 + i) as u32));
            }
        }
    }

    fn row(&self, a: usize, first: usize, count: usize) -> &[f64] {
        let first = first.clamp(a + 1, count);
        &self.rows[a][first - a - 1..count - a - 1]
    }
}

/// The smallest number, infinity of none; eight minima side by side are vector instructions.
#[inline]
fn least(x: &[f64]) -> f64 {
    let lesser = |a: f64, b: f64| if b < a { b } else { a };
    let mut lanes = [f64::INFINITY; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = lesser(*lane, x);
        }
    }
    rest.iter().chain(&lanes).copied().fold(f64::INFINITY, lesser)
}
