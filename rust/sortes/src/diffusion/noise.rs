//! Standard normal noise, of which each image of a batch has its own.
//!
//! Image `i` reads the sequence (purpose, id of the image, round) of its key, an element a draw: it
//! has the same noise alone and in any batch, on any number of threads, in any order.

use sortes_core::rng::{Purpose, Rounds, bulk};
use sortes_core::{Result, Run};

/// How many elements are drawn at once.
const CHUNK: usize = 1 << 12;

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
    if width == 0 {
        return Ok(());
    }
    // Rows are cut into chunks, each of which is a task: a batch of one image has many of them.
    let chunks = width.div_ceil(CHUNK);
    let rows: Vec<_> = out.chunks_mut(width).flat_map(|row| row.chunks_mut(CHUNK)).collect();
    let mut tasks = rows;
    run.fill_chunks(&mut tasks, 1, |task, chunk| {
        let (image, at) = (task / chunks, task % chunks);
        let stream = Rounds::from_key(images.keys[image]).at(images.round);
        let block = (at * (CHUNK / 2)) as u32;
        let [chunk] = chunk else { return };
        T::normals(|z| bulk::normals(stream, purpose, images.ids[image], block, z), chunk);
        run.advance(chunk.len() as u64);
    })
}

/// A type of noise: float64, or float32 to which each normal is rounded.
pub trait Element: Send + Sized {
    /// Writes what `draw` makes.
    fn normals(draw: impl FnOnce(&mut [f64]), out: &mut [Self]);
}

impl Element for f64 {
    fn normals(draw: impl FnOnce(&mut [f64]), out: &mut [Self]) {
        draw(out);
    }
}

impl Element for f32 {
    fn normals(draw: impl FnOnce(&mut [f64]), out: &mut [Self]) {
        let mut wide = [0.0; CHUNK];
        let wide = &mut wide[..out.len()];
        draw(wide);
        for (out, z) in out.iter_mut().zip(wide) {
            *out = *z as f32;
        }
    }
}
