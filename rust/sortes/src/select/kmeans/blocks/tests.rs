//! Tests of distances, bounds and balls of blocks.

use super::*;
use sortes_core::rng::{Purpose, Stream};

/// Clusters of very different widths far from zero, some points more than once.
fn clusters<T: Real>(n: usize, dim: usize) -> Vec<T> {
    let mut draws = Stream::new(8).draws(Purpose::Uniform, 0);
    let far: Vec<f64> = (0..7 * dim).map(|_| 3e3 * draws.normal()).collect();
    let mut data: Vec<T> = (0..n * dim)
        .map(|i| {
            let cluster = (i / dim * 7919) % 7;
            let width = 10f64.powi(2 - 2 * (cluster as i32 % 4));
            T::narrow(far[cluster * dim + i % dim] + draws.normal() * width)
        })
        .collect();
    data.copy_within(0..9 * dim, 30 * dim);
    data
}

fn check<T: Real>(dim: usize) {
    let (n, run, first) = (700, Run::alone(), 7);
    let data = clusters::<T>(n, dim);
    let to = |row: usize| {
        let mut out = vec![0.0; n];
        T::distances(&data, &data[row * dim..(row + 1) * dim], &mut out);
        out
    };
    let (from_first, fits) = (to(first), true);
    let plan = Plan { first: (first, &from_first), comparisons: 100, fits };
    let blocks = DenseBlocks::new(&data[..], dim, &plan, run).unwrap();
    let mut rows = blocks.rows().to_vec();
    assert_eq!(rows == (0..n).collect::<Vec<_>>(), dim > APART);
    rows.sort_unstable();
    assert_eq!(rows, (0..n).collect::<Vec<_>>());
    let screened = dim > IN_ORDER;
    assert_eq!(blocks.has_bounds(), screened);

    let rows = blocks.rows();
    let centres = [first, 3, 77, 500];
    let candidates = [4, 30, 0, 600, 123, 350, 612, 613, 614, 615, 616];
    let all: Vec<Vec<f64>> = candidates.iter().map(|&row| to(row)).collect();
    let mut nearest = vec![0.0; blocks.radii().len() * BLOCK];
    for (nearest, &row) in nearest.iter_mut().zip(rows) {
        let to = |&centre: &usize| to(centre)[row];
        *nearest = centres.iter().map(to).fold(f64::INFINITY, f64::min);
    }
    let shares: [f64; BLOCK] = std::array::from_fn(|i| [1.0, 0.0, 0.5][i % 3]);
    let (held, which) = (blocks.candidates(&candidates).unwrap(), [9, 1, 2, 3, 0, 10, 5]);
    let mut out = vec![0.0; BLOCK * which.len()];
    let mut apart = vec![0.0; blocks.middles() * which.len()];
    blocks.to_middles(&held, &which, &mut apart);
    for block in 0..blocks.radii().len() {
        let points = Held { nearest: &nearest.as_chunks().0[block], shares: &shares };
        blocks.compare(block, &held, &which, points.nearest, &mut out);
        let mut gains = vec![0.0; candidates.len()];
        for (i, &which) in which.iter().enumerate() {
            let which = which as usize;
            for (place, &row) in rows[range(block, n)].iter().enumerate() {
                let (ours, truth) = (out[i * BLOCK + place], all[which][row]);
                let nearest = points.nearest[place];
                if truth < nearest {
                    assert_eq!(ours, truth);
                } else {
                    assert!(ours >= nearest, "{ours} {nearest}");
                }
                gains[which] += shares[place] * (nearest - truth).max(0.0);
                if dim <= APART {
                    let apart = apart[i * blocks.middles() + block].sqrt();
                    let least = apart - blocks.radii()[block];
                    assert!(truth.sqrt() >= least - 1e-3 * apart, "{truth} {least}");
                }
            }
        }
        let cost: f64 = points.nearest.iter().sum();
        let mut bounds = vec![[0.0; 2]; candidates.len()];
        blocks.add_bounds(block, &held, &which, points, &mut out, &mut bounds);
        for (gain, [low, high]) in gains.iter().zip(bounds) {
            if blocks.has_bounds() {
                assert!(low <= gain * (1.0 + 1e-9) && gain * (1.0 - 1e-9) <= high);
                assert!(high - low <= 0.1 * gain + 1e-4 * cost + 1e3, "{low} {high}");
            }
        }
    }
}

#[test]
fn distances_bounds_and_balls_hold() {
    for dim in [1, 3, 20, 70, APART + 2] {
        check::<f64>(dim);
        check::<f32>(dim);
    }
}

/// What lies closest to where a candidate gains nothing is found, and bounded, all the same.
#[test]
fn screening_errs_on_the_safe_side() {
    screened::<f64>(24);
    screened::<f32>(24);
    screened::<f64>(4);
}

fn screened<T: Real>(dim: usize) {
    let (n, run, first) = (640, Run::alone(), 7);
    let data = clusters::<T>(n, dim);
    let to = |row: usize| {
        let mut out = vec![0.0; n];
        T::distances(&data, &data[row * dim..(row + 1) * dim], &mut out);
        out
    };
    let from_first = to(first);
    let plan = Plan { first: (first, &from_first), comparisons: 100, fits: true };
    let blocks = DenseBlocks::new(&data[..], dim, &plan, run).unwrap();
    assert!(blocks.has_bounds());
    let candidates: Vec<usize> = (0..n).step_by(9).collect();
    let held = blocks.candidates(&candidates).unwrap();
    let (mut out, mut tight, mut apart) = ([0.0; BLOCK], 0, 0);
    for (which, &candidate) in candidates.iter().enumerate() {
        let truth = to(candidate);
        let which = which as u32;
        for block in 0..blocks.radii().len() {
            let rows = &blocks.rows()[block * BLOCK..(block + 1) * BLOCK];
            // Just farther from their centres than from the candidate: all are gained.
            let just: [f64; BLOCK] = std::array::from_fn(|i| truth[rows[i]].next_up());
            blocks.compare(block, &held, &[which], &just, &mut out);
            assert!(rows.iter().zip(out).all(|(&row, out)| out == truth[row]));
            // Each gain, be it tiny, negative or large, lies within its bounds.
            for (i, factor) in [1.0 - 1e-9, 1.0 + 1e-9, 1.0 + 1e-6, 1.5].into_iter().enumerate() {
                let nearest = just.map(|distance| distance * factor);
                for place in (i..BLOCK).step_by(5) {
                    let mut shares = [0.0; BLOCK];
                    shares[place] = 0.5;
                    let gain = 0.5 * (nearest[place] - truth[rows[place]]).max(0.0);
                    let mut bounds = vec![[0.0; 2]; candidates.len()];
                    let points = Held { nearest: &nearest, shares: &shares };
                    blocks.add_bounds(block, &held, &[which], points, &mut out, &mut bounds);
                    let [low, high] = bounds[which as usize];
                    assert!(low <= gain && gain <= high, "{low} {gain} {high}");
                    tight += usize::from(low > 0.9 * gain && high < 1.1 * gain && gain > 0.0);
                    apart += usize::from(i == 3 && gain > 0.0);
                }
            }
        }
    }
    // And they say something, where clusters are not narrower than single precision can tell.
    assert!(4 * tight > 3 * apart, "{tight} {apart}");
}
