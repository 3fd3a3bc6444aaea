//! `_core.diffusion.noise`: the noise of each image of a batch.

use sortes::diffusion::brownian;
use sortes::diffusion::noise::{self as kernels, Images};
use sortes_core::memory::zeroed;
use sortes_core::rng::{self, Purpose};

use crate::prelude::*;

/// Nanoseconds of a number.
const NUMBER: f64 = 3.0;
/// Keys between two looks at signals.
const BATCH: usize = 1 << 12;

/// What the noise is for.
#[derive(Clone, Copy)]
enum Use {
    /// An image starts from it.
    Start,
    /// It is added to an image.
    Step,
    /// It moves a particle that is weighted.
    Corrector,
    /// Draws of a mixture.
    Mixture,
    /// Directions of projections.
    Direction,
}

impl Named for Use {
    const NAMES: &[(&str, Self)] = &[
        ("start", Self::Start),
        ("step", Self::Step),
        ("corrector", Self::Corrector),
        ("mixture", Self::Mixture),
        ("direction", Self::Direction),
    ];
}

impl Use {
    fn purpose(self) -> Purpose {
        match self {
            Self::Start => Purpose::Latent,
            Self::Step => Purpose::Noise,
            Self::Corrector => Purpose::Corrector,
            Self::Mixture => Purpose::Mixture,
            Self::Direction => Purpose::Direction,
        }
    }
}

/// Standard normals of images, a row of `width` each, one after the other: `keys` are those of rounds.
#[pyfunction]
fn normals(
    of: Choice<Use>,
    keys: Vector<'_, u64>,
    ids: Vector<'_, u64>,
    round: u32,
    width: usize,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let n = ids.len().saturating_mul(width);
    job.array(Size::new(n, NUMBER), |run| {
        let mut out = zeroed(n, "noise")?;
        let images = Images { keys: &keys, ids: &ids, round };
        kernels::normals(of.0.purpose(), images, width, &mut out, run)?;
        Ok(out)
    })
}

/// The same, rounded to float32.
#[pyfunction]
fn normals_f32(
    of: Choice<Use>,
    keys: Vector<'_, u64>,
    ids: Vector<'_, u64>,
    round: u32,
    width: usize,
    job: Job<'_>,
) -> PyResult<Array<f32>> {
    let n = ids.len().saturating_mul(width);
    job.array(Size::new(n, NUMBER), |run| {
        let mut out = zeroed(n, "noise")?;
        let images = Images { keys: &keys, ids: &ids, round };
        kernels::normals(of.0.purpose(), images, width, &mut out, run)?;
        Ok(out)
    })
}

/// The values at a time of the Wiener processes of images, in 2^24 parts of the clock.
#[pyfunction]
fn brownian_values(
    keys: Vector<'_, u64>,
    ids: Vector<'_, u64>,
    time: u32,
    width: usize,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let n = ids.len().saturating_mul(width);
    job.array(Size::new(n, NUMBER * f64::from(brownian::DEPTH)), |run| {
        let mut out = zeroed(n, "noise")?;
        let images = Images { keys: &keys, ids: &ids, round: 0 };
        brownian::values(images, time, width, &mut out, run)?;
        Ok(out)
    })
}

/// The keys of the Wiener processes of images.
#[pyfunction]
fn brownian_keys(
    keys: Vector<'_, u64>,
    ids: Vector<'_, u64>,
    job: Job<'_>,
) -> PyResult<Array<u64>> {
    let images = Images { keys: &keys, ids: &ids, round: 0 };
    each(ids.len(), job, |i| brownian::key(images, i))
}

/// The keys under which streams of some keys, at some steps, count rounds of their own.
#[pyfunction]
fn keys(keys: Vector<'_, u64>, steps: Vector<'_, u32>, job: Job<'_>) -> PyResult<Array<u64>> {
    each(keys.len(), job, |i| rng::Stream::new(keys[i]).at_step(steps[i]).rounds().key())
}

fn each(n: usize, job: Job<'_>, key: impl Fn(usize) -> u64 + Send + Sync) -> PyResult<Array<u64>> {
    job.array(Size::new(n, NUMBER * 8.0).serial(), |run| {
        let mut out = zeroed(n, "keys")?;
        for range in run.blocks(n, BATCH) {
            for i in range? {
                out[i] = key(i);
            }
        }
        Ok(out)
    })
}

/// The noise of each image of a batch.
#[pymodule(submodule)]
pub(crate) mod noise {
    #[pymodule_export]
    use super::{brownian_keys, brownian_values, keys, normals, normals_f32};
}
