//! Standard normal noise, of which each image of a batch has its own.
//!
//! Image `i` reads the sequence (purpose, id of the image, round) of its key, an element a draw: it
//! has the same noise alone and in any batch, on any number of threads, in any order.

use sortes_core::rng::{Purpose, Rounds, Stream, bulk};
use sortes_core::{Result, Run};

/// How many elements are drawn at once.
pub(super) const CHUNK: usize = 1 << 10;

/// Whose noise it is: images, and the round of each.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    /// The key of each image, from [`Stream::rounds`](sortes_core::rng::Stream::rounds).
    pub keys: &'a [u64],
    /// The id of each image.
    pub ids: &'a [u64],
    /// Which noise of the images it is.
    pub round: u32,
}

/// Writes standard normals, `width` in a row of each image, rounded to the type of `out`.
///
/// # Errors
/// If the work has been asked to stop.
///
/// # Panics
/// If `out` has another length than `width` times that of `keys` and `ids`.
pub fn normals<T: Element>(
    purpose: Purpose,
    images: Images<'_>,
    width: usize,
    out: &mut [T],
    run: Run<'_>,
) -> Result<()> {
    assert_eq!(images.keys.len(), images.ids.len(), "one key per image");
    assert_eq!(out.len(), images.ids.len() * width, "one row per image");
    // Chunks of any images: a batch of one image has many, and many small images share one.
    run.fill_chunks(out, CHUNK, |task, chunk| {
        let done = chunk.len() as u64;
        for (image, first, part) in pieces(chunk, task * CHUNK, width) {
            let stream = Rounds::from_key(images.keys[image]).at(images.round);
            T::normals(stream, purpose, images.ids[image], first, part);
        }
        run.advance(done);
    })
}

/// Cuts what begins at number `at` of all into the parts of images of `width` numbers: the image,
/// which of its numbers is the first, and the part.
pub(super) fn pieces<T>(
    chunk: &mut [T],
    at: usize,
    width: usize,
) -> impl Iterator<Item = (usize, u64, &mut [T])> {
    let (mut at, mut rest) = (at, chunk);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (image, first) = (at / width, at % width);
        let len = rest.len().min(width - first);
        let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
        (at, rest) = (at + len, after);
        Some((image, first as u64, part))
    })
}

/// A type of noise: float64, or float32 to which each normal is rounded.
pub trait Element: Send + Sized {
    /// Writes draws `first`, `first + 1`, ... of an entity as normals.
    fn normals(stream: Stream, purpose: Purpose, entity: u64, first: u64, out: &mut [Self]);
}

impl Element for f64 {
    fn normals(stream: Stream, purpose: Purpose, entity: u64, first: u64, out: &mut [Self]) {
        bulk::normals(stream, purpose, entity, first, out);
    }
}

impl Element for f32 {
    fn normals(stream: Stream, purpose: Purpose, entity: u64, first: u64, out: &mut [Self]) {
        bulk::normals_f32(stream, purpose, entity, first, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_any_size_have_their_own_noise() {
        let (keys, ids) = ([7, 9, 7], [3, 5, 1 << 40]);
        for width in [0, 1, 3, 1000, 4097, 10_001] {
            let mut all = vec![0f64; 3 * width];
            let images = Images { keys: &keys, ids: &ids, round: 4 };
            normals(Purpose::Noise, images, width, &mut all, Run::alone()).unwrap();
            for i in 0..3 {
                let mut draws =
                    Rounds::from_key(keys[i]).draws(Purpose::Noise, ids[i], images.round);
                for z in &all[i * width..(i + 1) * width] {
                    assert_eq!(z.to_bits(), draws.normal().to_bits());
                }
            }
            let mut single = vec![0f32; 3 * width];
            normals(Purpose::Noise, images, width, &mut single, Run::alone()).unwrap();
            assert!(single.iter().zip(all).all(|(&single, all)| single == all as f32));
        }
    }
}
