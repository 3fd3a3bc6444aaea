//! One Wiener process for each element of each image, at any time: the same whatever other times are
//! asked for.
//!
//! A virtual tree: the value in the middle of an interval is the mean of those at its ends plus a
//! normal of its own, named by the interval. Nothing is stored.

use sortes_core::rng::{Purpose, Rounds, Stream, bulk};
use sortes_core::{Result, Run};

use super::noise::{self, Images};

/// How often the clock is halved.
pub const DEPTH: u32 = 24;
/// The end of the clock, which counts the smallest intervals.
pub const END: u32 = 1 << DEPTH;
/// How many elements are followed at once.
const CHUNK: usize = 256;

/// The key of the process of an image: a child of the caller's.
pub fn key(images: Images<'_>, image: usize) -> u64 {
    Rounds::from_key(images.keys[image]).child(images.ids[image], images.round).key()
}

/// Writes the values at a time in `0..=END` of the processes of all elements, `width` for each image.
/// They are 0 at time 0, and have variance 1 at the end.
///
/// # Errors
/// If the work has been asked to stop.
///
/// # Panics
/// If the time is beyond the end, or `out` has another length than `width` times the number of images.
pub fn values(
    images: Images<'_>,
    time: u32,
    width: usize,
    out: &mut [f64],
    run: Run<'_>,
) -> Result<()> {
    assert!(time <= END, "time {time} is beyond the end");
    assert_eq!(images.keys.len(), images.ids.len(), "one key per image");
    assert_eq!(out.len(), images.ids.len() * width, "one row per image");
    run.fill_chunks(out, noise::CHUNK, |task, chunk| {
        let done = chunk.len() as u64;
        for (image, first, part) in noise::pieces(chunk, task * noise::CHUNK, width) {
            let stream = Stream::new(key(images, image));
            for (part, first) in part.chunks_mut(CHUNK).zip((first..).step_by(CHUNK)) {
                descend(stream, first, time, part);
            }
        }
        run.advance(done);
    })
}

/// Follows the halves of the clock in which `time` lies.
fn descend(stream: Stream, first: u64, time: u32, out: &mut [f64]) {
    let (mut z, mut left, mut right) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
    let n = out.len();
    let (z, left, right) = (&mut z[..n], &mut left[..n], &mut right[..n]);
    let normals = |node: u32, z: &mut [f64]| {
        bulk::normals(stream, Purpose::Brownian, node.into(), first, z);
    };
    if time > 0 {
        normals(0, right);
    }
    let (mut low, mut high) = (0, END);
    for level in 0..DEPTH {
        if time == low || time == high {
            break;
        }
        // Node k of a level is that of a tree stored row by row, from 1.
        let node = (1 << level) + (low >> (DEPTH - level));
        normals(node, z);
        let spread = (0.25 / f64::from(1u32 << level)).sqrt();
        let middle = low + (high - low) / 2;
        for ((z, left), right) in z.iter_mut().zip(left.iter_mut()).zip(right.iter_mut()) {
            let value = (*left + *right) * 0.5 + spread * *z;
            if time < middle {
                *right = value;
            } else {
                *left = value;
            }
        }
        if time < middle {
            high = middle;
        } else {
            low = middle;
        }
    }
    out.copy_from_slice(if time == high { right } else { left });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: u32, width: usize) -> Vec<f64> {
        let mut out = vec![0.0; 2 * width];
        let images = Images { keys: &[7, 9], ids: &[3, 5], round: 0 };
        values(images, time, width, &mut out, Run::alone()).unwrap();
        out
    }

    #[test]
    fn increments_have_the_law_of_a_wiener_process() {
        // Neighbours in the tree, far apart, and the smallest interval. Red with a spread of 0.3 for
        // 0.25, and with one node for a whole level.
        let times = [0, 1, 2, 1000, END / 3, END / 2, END / 2 + 1, END - 1, END];
        let n = 20_000;
        let paths: Vec<_> = times.iter().map(|&t| at(t, n)).collect();
        let mut increments = Vec::new();
        for i in 1..times.len() {
            let dt = f64::from(times[i] - times[i - 1]) / f64::from(END);
            let z: Vec<f64> =
                paths[i].iter().zip(&paths[i - 1]).map(|(b, a)| (b - a) / dt.sqrt()).collect();
            increments.push(z);
        }
        let size = 2.0 * n as f64;
        for (i, a) in increments.iter().enumerate() {
            let mean = a.iter().sum::<f64>() / size;
            assert!(mean.abs() < 5.5 / size.sqrt(), "{i}: {mean}");
            for (j, b) in increments.iter().enumerate().take(i + 1) {
                let product = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / size;
                let (truth, sd) = if i == j { (1.0, 2f64.sqrt()) } else { (0.0, 1.0) };
                assert!((product - truth).abs() < 5.5 * sd / size.sqrt(), "{i} {j}: {product}");
            }
        }
    }

    #[test]
    fn an_image_has_the_same_process_alone() {
        for width in [701, 9001] {
            let both = at(END / 3, width);
            let mut alone = vec![0.0; width];
            let images = Images { keys: &[9], ids: &[5], round: 0 };
            values(images, END / 3, width, &mut alone, Run::alone()).unwrap();
            assert_eq!(both[width..], alone);
            assert_ne!(both[..width], alone);
        }
    }
}
