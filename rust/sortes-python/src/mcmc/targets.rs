//! `_core.mcmc.targets`: densities that are evaluated without Python.

use std::ffi::{c_char, c_double, c_int, c_void};
use std::sync::Arc;

use sortes::mcmc::slice::elliptical::{Prior, Scale};
use sortes::mcmc::targets::{
    AxialModes, Funnel, HyperplaneDisk, LogDensity, Logistic, ManyWell, Mixture, StandardNormal,
    StudentT, Weighted, exact,
};
use sortes_core::memory::{copied, zeroed};
use sortes_core::{Error, Result, Run};

use crate::prelude::*;

/// Nanoseconds of a point, and of a coordinate.
const POINT: f64 = 20.0;
const COORDINATE: f64 = 2.0;
/// Nanoseconds of a coordinate that is drawn.
const DRAWN: f64 = 40.0;

/// A density.
#[pyclass(frozen, module = "sortes._core.mcmc.targets")]
pub(crate) struct Target(pub(crate) Arc<dyn LogDensity>);

#[pymethods]
impl Target {
    #[staticmethod]
    fn standard_normal(dim: usize) -> Self {
        Self(Arc::new(StandardNormal { dim }))
    }

    #[staticmethod]
    fn funnel(dim: usize, scale: f64) -> Self {
        Self(Arc::new(Funnel::new(dim, scale)))
    }

    #[staticmethod]
    fn student_t(dim: usize, df: f64, constant: f64) -> Self {
        Self(Arc::new(StudentT { dim, df, constant }))
    }

    #[staticmethod]
    fn many_well(dim: usize) -> Self {
        Self(Arc::new(ManyWell { dim }))
    }

    #[staticmethod]
    fn hyperplane_disk(dim: usize) -> Self {
        Self(Arc::new(HyperplaneDisk::new(dim)))
    }

    #[staticmethod]
    fn axial_modes(dim: usize) -> Self {
        Self(Arc::new(AxialModes::new(dim)))
    }

    /// A mixture of normals. The scales are standard deviations, a row for each, or the rows of lower
    /// triangular factors, one factor after another.
    #[staticmethod]
    fn mixture(
        weights: Vector<'_, f64>,
        means: Matrix<'_, f64>,
        scales: Matrix<'_, f64>,
        lower: bool,
    ) -> Self {
        let dim = means.cols();
        let size = if lower { dim * dim } else { dim };
        let of = |i: usize| {
            let entries = scales[i * size..(i + 1) * size].to_vec();
            let scale = if lower { Scale::Lower(entries) } else { Scale::Diagonal(entries) };
            (weights[i], Prior::new(means[i * dim..(i + 1) * dim].to_vec(), scale))
        };
        Self(Arc::new(Mixture::new((0..weights.len()).map(of).collect())))
    }

    /// Logistic regression, of columns whose entries have the sign of the response.
    #[staticmethod]
    fn logistic(columns: Matrix<'_, f64>, scale: f64) -> PyResult<Self> {
        let all = copied(&columns, "numbers of the design", Run::alone()).map_err(to_py)?;
        Ok(Self(Arc::new(Logistic::new(all, columns.cols(), scale))))
    }

    /// The product of powers of two densities.
    #[staticmethod]
    fn weighted(a: f64, first: &Self, b: f64, second: &Self) -> Self {
        Self(Arc::new(Weighted { parts: [(a, first.0.clone()), (b, second.0.clone())] }))
    }

    /// Whether there are exact draws.
    fn is_drawable(&self) -> bool {
        self.0.is_drawable()
    }

    /// Exact draws, row by row.
    fn sample(&self, n: usize, stream: &Stream, job: Job<'_>) -> PyResult<Array<f64>> {
        let size = Size::new(n, POINT + DRAWN * self.0.dim() as f64);
        job.array(size, |run| exact(&*self.0, n, stream.0, run))
    }

    /// What a C function at an address computes; `user` is passed on to it. So is that of `conditional`,
    /// the address of a function of what changes with a coordinate.
    #[staticmethod]
    fn at_address(
        address: usize,
        user: usize,
        dim: usize,
        signature: Choice<Signature>,
        conditional: Option<(usize, usize)>,
    ) -> Self {
        Self(Arc::new(Foreign { address, user, dim, signature: signature.0, conditional }))
    }

    /// The log density of each row.
    fn logp(&self, x: Matrix<'_, f64>, job: Job<'_>) -> PyResult<Array<f64>> {
        let (rows, cols) = (x.rows(), x.cols());
        job.array(Size::new(rows, POINT + COORDINATE * cols as f64).serial(), |run| {
            let mut out = zeroed(rows, "results")?;
            let mut scratch = zeroed(self.0.scratch(), "numbers for the density")?;
            for block in run.blocks(rows, 1024) {
                for i in block? {
                    out[i] = self.0.logp(&x[i * cols..(i + 1) * cols], &mut scratch)?;
                    run.advance(1);
                }
            }
            Ok(out)
        })
    }
}

/// How a C function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// `double f(int n, const double *x, void *user)`.
    Scalar,
    /// `int f(int n, const double *x, double *logp, void *user)`.
    Status,
    /// `int f(size_t n, const double *x, double *grad, double *logp, const void *user)`.
    Grad,
    /// `int f(size_t m, size_t n, const double *x, double *logp, void *user)`.
    Batch,
    /// `int f(void *user, bool propto, bool jacobian, const double *x, double *logp, char **error)`.
    Stan,
}

impl Named for Signature {
    const NAMES: &[(&str, Self)] = &[
        ("scalar", Self::Scalar),
        ("status", Self::Status),
        ("grad", Self::Grad),
        ("batch", Self::Batch),
        ("stan", Self::Stan),
    ];
}

type ScalarFn = unsafe extern "C" fn(c_int, *const c_double, *mut c_void) -> c_double;
type StatusFn = unsafe extern "C" fn(c_int, *const c_double, *mut c_double, *mut c_void) -> c_int;
type GradFn = unsafe extern "C" fn(
    usize,
    *const c_double,
    *mut c_double,
    *mut c_double,
    *const c_void,
) -> c_int;
type BatchFn =
    unsafe extern "C" fn(usize, usize, *const c_double, *mut c_double, *mut c_void) -> c_int;

type StanFn = unsafe extern "C" fn(
    *mut c_void,
    bool,
    bool,
    *const c_double,
    *mut c_double,
    *mut *mut c_char,
) -> c_int;

/// `int f(int i, int n, const double *x, double *logp, void *user)`.
type ConditionalFn =
    unsafe extern "C" fn(c_int, c_int, *const c_double, *mut c_double, *mut c_void) -> c_int;

/// A C function that the user vouches for: it may be called from any thread, as `signature` says.
struct Foreign {
    address: usize,
    user: usize,
    dim: usize,
    signature: Signature,
    /// The address of another, and what it is passed: it leaves out what does not change with a coordinate.
    conditional: Option<(usize, usize)>,
}

/// What follows from the status that a function returned.
#[inline]
fn judged(status: c_int, logp: f64, x: &[f64]) -> Result<f64> {
    match status {
        0 => Ok(logp),
        1.. => Ok(f64::NEG_INFINITY),
        _ => Err(Error::argument(
            "logp",
            format!("the function returned {status}, a fatal error, at {x:?}"),
        )),
    }
}

impl LogDensity for Foreign {
    fn dim(&self) -> usize {
        self.dim
    }

    fn scratch(&self) -> usize {
        if self.signature == Signature::Grad { self.dim } else { 0 }
    }

    fn logp(&self, x: &[f64], scratch: &mut [f64]) -> Result<f64> {
        // A function that fails without a word leaves this, which is never accepted.
        let mut logp = f64::NAN;
        let (n, user) = (self.dim, self.user as *mut c_void);
        let (small, data) = (n as c_int, x.as_ptr());
        // SAFETY: the user states that a function of this signature is at the address, for points of
        // so many coordinates; Python has refused zero. The pointers hold `n` numbers each, and one.
        let status = unsafe {
            match self.signature {
                Signature::Scalar => {
                    let f = std::mem::transmute::<usize, ScalarFn>(self.address);
                    logp = f(small, data, user);
                    0
                }
                Signature::Status => {
                    let f = std::mem::transmute::<usize, StatusFn>(self.address);
                    f(small, data, &raw mut logp, user)
                }
                Signature::Grad => {
                    let f = std::mem::transmute::<usize, GradFn>(self.address);
                    f(n, data, scratch.as_mut_ptr(), &raw mut logp, user)
                }
                Signature::Batch => {
                    let f = std::mem::transmute::<usize, BatchFn>(self.address);
                    f(1, n, data, &raw mut logp, user)
                }
                Signature::Stan => {
                    let f = std::mem::transmute::<usize, StanFn>(self.address);
                    // No message is asked for. An exception in the program, which rejects points by them
                    // too, is no number.
                    let status = f(user, false, true, data, &raw mut logp, std::ptr::null_mut());
                    if status != 0 {
                        logp = f64::NAN;
                    }
                    0
                }
            }
        };
        judged(status, logp, x)
    }

    fn value(&self, x: &[f64]) -> f64 {
        let mut logp = f64::NAN;
        // SAFETY: as above.
        let status = unsafe {
            let f = std::mem::transmute::<usize, StatusFn>(self.address);
            f(self.dim as c_int, x.as_ptr(), &raw mut logp, self.user as *mut c_void)
        };
        match status {
            0 => logp,
            1.. => f64::NEG_INFINITY,
            _ => f64::INFINITY,
        }
    }

    fn is_total(&self) -> bool {
        self.signature == Signature::Status
    }

    fn conditional(&self, i: usize, x: &[f64], scratch: &mut [f64]) -> Result<f64> {
        let Some((address, user)) = self.conditional else { return self.logp(x, scratch) };
        let mut logp = f64::NAN;
        // SAFETY: as above, and the coordinate is one of the point.
        let status = unsafe {
            let f = std::mem::transmute::<usize, ConditionalFn>(address);
            f(i as c_int, self.dim as c_int, x.as_ptr(), &raw mut logp, user as *mut c_void)
        };
        judged(status, logp, x)
    }
}

/// Densities that are evaluated without Python.
#[pymodule(submodule)]
pub(crate) mod targets {
    #[pymodule_export]
    use super::Target;
}
