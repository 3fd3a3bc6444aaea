//! `_core.mcmc.engine`: kernels, and chains of them.

use std::sync::Arc;

use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use sortes::mcmc::chain::{Chains, Kept, Plan};
use sortes::mcmc::composite::{Composite, Part};
use sortes::mcmc::draws::Tape;
use sortes::mcmc::kernel::Step;
use sortes::mcmc::moments::Shape;
use sortes::mcmc::slice::factor::Factor;
use sortes::mcmc::slice::line::Growth;
use sortes::mcmc::slice::{
    Adaptive, Coordinate, Elliptical, Order, Polar, Ray, adaptive, coordinate, elliptical, polar,
    ray,
};
use sortes::mcmc::watch::Watch;
use sortes_core::memory::{copied, with_capacity};
use sortes_core::{Error, Result, Run};

use super::targets::Target;
use crate::prelude::*;

/// Nanoseconds of a chain that is made or begins.
const CHAIN: f64 = 500.0;

impl Named for Order {
    const NAMES: &[(&str, Self)] =
        &[("systematic", Self::Systematic), ("permuted", Self::Permuted), ("random", Self::Random)];
}

impl Named for Shape {
    const NAMES: &[(&str, Self)] =
        &[("center", Self::Center), ("diag", Self::Diagonal), ("full", Self::Full)];
}

/// What a kernel is to be made of; all chains begin with it.
#[derive(Clone)]
enum Options {
    Coordinate(coordinate::Options),
    Ray(ray::Options),
    Elliptical(elliptical::Options),
    Adaptive(adaptive::Options),
    Polar(polar::Options),
    /// Several, and their chances, added up; without these, in turn.
    Composite(Vec<Options>, Arc<[f64]>),
}

/// A kernel without a state.
#[pyclass(frozen, module = "sortes._core.mcmc.engine")]
pub(crate) struct Kernel(Options);

fn growth(max_steps: Option<u64>, doublings: Option<u32>) -> Growth {
    doublings.map_or(Growth::Steps(max_steps), Growth::Doublings)
}

/// A normal of independent coordinates, or with a factor of its covariance.
fn prior(
    mean: &[f64],
    sd: Option<Vector<'_, f64>>,
    scale_tril: Option<Matrix<'_, f64>>,
) -> Arc<elliptical::Prior> {
    let scale = match (sd, scale_tril) {
        (_, Some(tril)) => elliptical::Scale::Lower(tril.to_vec()),
        (sd, None) => elliptical::Scale::Diagonal(sd.map_or(Vec::new(), |sd| sd.to_vec())),
    };
    Arc::new(elliptical::Prior::new(mean.to_vec(), scale))
}

#[pymethods]
impl Kernel {
    #[staticmethod]
    #[allow(clippy::too_many_arguments)] // all that it is
    fn coordinate(
        widths: Vector<'_, f64>,
        lower: Vector<'_, f64>,
        upper: Vector<'_, f64>,
        max_steps: Option<u64>,
        doublings: Option<u32>,
        order: Choice<Order>,
        tune: bool,
        limit: u32,
    ) -> Self {
        Self(Options::Coordinate(coordinate::Options {
            widths: widths.to_vec(),
            bounds: lower.iter().copied().zip(upper.iter().copied()).collect(),
            growth: growth(max_steps, doublings),
            order: order.0,
            tune,
            limit,
            by_conditionals: false,
        }))
    }

    #[staticmethod]
    fn ray(
        width: f64,
        scale_tril: Option<Matrix<'_, f64>>,
        max_steps: Option<u64>,
        tune: bool,
        limit: u32,
    ) -> Self {
        Self(Options::Ray(ray::Options {
            width,
            scale_tril: scale_tril.map(|tril| Arc::new(Factor::new(&tril, tril.cols()))),
            growth: growth(max_steps, None),
            tune,
            limit,
        }))
    }

    #[staticmethod]
    fn elliptical(
        mean: Vector<'_, f64>,
        sd: Option<Vector<'_, f64>>,
        scale_tril: Option<Matrix<'_, f64>>,
        df: Option<f64>,
        tune: bool,
        limit: u32,
    ) -> Self {
        let prior = prior(&mean, sd, scale_tril);
        Self(Options::Elliptical(elliptical::Options { prior, df, tune, limit }))
    }

    #[staticmethod]
    #[allow(clippy::too_many_arguments)] // all that it is
    fn adaptive(
        mean: Vector<'_, f64>,
        sd: Option<Vector<'_, f64>>,
        scale_tril: Option<Matrix<'_, f64>>,
        df: f64,
        fixed: f64,
        sweeps: f64,
        first: u32,
        limit: u32,
    ) -> Self {
        let prior = prior(&mean, sd, scale_tril);
        Self(Options::Adaptive(adaptive::Options { prior, df, fixed, sweeps, first, limit }))
    }

    #[staticmethod]
    #[allow(clippy::too_many_arguments)] // all that it is
    fn polar(
        width: f64,
        center: Vector<'_, f64>,
        scale_tril: Option<Matrix<'_, f64>>,
        adapt: Option<Choice<Shape>>,
        refresh: bool,
        fresh: bool,
        tune: bool,
        limit: u32,
    ) -> Self {
        let factor = scale_tril.as_ref().map(|tril| Arc::new(Factor::new(tril, tril.cols())));
        Self(Options::Polar(polar::Options {
            width,
            center: center.to_vec(),
            scale: scale_tril.map_or(Vec::new(), |tril| tril.to_vec()).into(),
            factor,
            adapt: adapt.map(|adapt| adapt.0),
            refresh,
            fresh,
            tune,
            limit,
        }))
    }

    /// Kernels in turn; with chances, one that is drawn.
    #[staticmethod]
    fn composite(parts: Vec<PyRef<'_, Self>>, chances: Option<Vector<'_, f64>>) -> Self {
        let mut sum = 0.0;
        let added = chances.iter().flat_map(|chances| chances.iter());
        let cumulative = added.map(|chance| {
            sum += chance;
            sum
        });
        let cumulative = cumulative.collect();
        Self(Options::Composite(parts.iter().map(|part| part.0.clone()).collect(), cumulative))
    }

    /// The same, for a density that can leave out what does not change with a coordinate.
    fn by_conditionals(&self) -> Self {
        Self(self.0.clone().by_conditionals())
    }
}

impl Options {
    fn by_conditionals(mut self) -> Self {
        match &mut self {
            Self::Coordinate(options) => options.by_conditionals = true,
            Self::Composite(parts, _) => {
                for part in parts {
                    *part = part.clone().by_conditionals();
                }
            }
            Self::Ray(..) | Self::Elliptical(..) | Self::Adaptive(..) | Self::Polar(..) => {}
        }
        self
    }
}

/// A part of a kernel of several, at a state.
fn part(options: &Options, x: Vec<f64>, logp: f64) -> Result<Part> {
    Ok(match options {
        Options::Coordinate(options) => {
            Part::Coordinate(Coordinate::new(options.clone(), x, logp)?)
        }
        Options::Ray(options) => Part::Ray(Ray::new(options.clone(), x, logp)?),
        Options::Polar(options) if options.adapt.is_some() => {
            return Err(Error::argument(
                "kernel",
                "GibbsianPolarSlice with `adapt` must stand alone",
            ));
        }
        Options::Polar(options) => Part::Polar(Polar::new(options.clone(), &x, logp)?),
        Options::Composite(parts, chances) => {
            Part::Composite(Box::new(composite(parts, chances, x, logp)?))
        }
        Options::Elliptical(..) | Options::Adaptive(..) => {
            return Err(Error::argument("kernel", "an elliptical kernel must stand alone"));
        }
    })
}

/// A kernel of several, at a state.
fn composite(parts: &[Options], chances: &Arc<[f64]>, x: Vec<f64>, logp: f64) -> Result<Composite> {
    let mut made = with_capacity(parts.len(), "kernels")?;
    for options in parts {
        made.push(part(options, copied(&x, "coordinates", Run::alone())?, logp)?);
    }
    Composite::new(made, chances.clone(), x, logp)
}

/// Chains of one of the kernels.
enum Any {
    Coordinate(Chains<Coordinate>),
    Ray(Chains<Ray>),
    Elliptical(Chains<Elliptical>),
    Adaptive(Chains<Adaptive>),
    Polar(Chains<Polar>),
    Composite(Chains<Composite>),
}

/// Evaluates `$body` with `$chains` bound to the chains, and `$kernel` to the type of their kernel.
macro_rules! with_chains {
    ($any:expr, |$chains:ident, $kernel:ident| $body:expr) => {
        match $any {
            Any::Coordinate($chains) => {
                type $kernel = Coordinate;
                $body
            }
            Any::Ray($chains) => {
                type $kernel = Ray;
                $body
            }
            Any::Elliptical($chains) => {
                type $kernel = Elliptical;
                $body
            }
            Any::Adaptive($chains) => {
                type $kernel = Adaptive;
                $body
            }
            Any::Polar($chains) => {
                type $kernel = Polar;
                $body
            }
            Any::Composite($chains) => {
                type $kernel = Composite;
                $body
            }
        }
    };
}

/// Chains with the state that `make` gives each of them.
fn made<K: sortes::mcmc::kernel::Kernel>(
    init: &Matrix<'_, f64>,
    logp: &[f64],
    stream: sortes_core::rng::Stream,
    run: Run<'_>,
    make: impl Fn(Vec<f64>, f64) -> Result<K>,
) -> Result<Chains<K>> {
    let mut kernels = with_capacity(logp.len(), "chains")?;
    for (x, &logp) in init.chunks_exact(init.cols()).zip(logp) {
        run.check()?;
        let mut state = with_capacity(x.len(), "coordinates")?;
        state.extend_from_slice(x);
        kernels.push(make(state, logp)?);
    }
    Chains::new(kernels, stream)
}

impl Any {
    fn new(
        options: &Options,
        init: &Matrix<'_, f64>,
        logp: &[f64],
        stream: sortes_core::rng::Stream,
        run: Run<'_>,
    ) -> Result<Self> {
        Ok(match options {
            Options::Coordinate(options) => {
                Self::Coordinate(made(init, logp, stream, run, |x, logp| {
                    Coordinate::new(options.clone(), x, logp)
                })?)
            }
            Options::Ray(options) => Self::Ray(made(init, logp, stream, run, |x, logp| {
                Ray::new(options.clone(), x, logp)
            })?),
            Options::Elliptical(options) => {
                Self::Elliptical(made(init, logp, stream, run, |x, logp| {
                    Elliptical::new(options.clone(), x, logp)
                })?)
            }
            Options::Adaptive(options) => {
                Self::Adaptive(made(init, logp, stream, run, |x, logp| {
                    Adaptive::new(options.clone(), x, logp)
                })?)
            }
            Options::Polar(options) => Self::Polar(made(init, logp, stream, run, |x, logp| {
                Polar::new(options.clone(), &x, logp)
            })?),
            Options::Composite(parts, chances) => {
                Self::Composite(made(init, logp, stream, run, |x, logp| {
                    composite(parts, chances, x, logp)
                })?)
            }
        })
    }
}

impl Any {
    fn copied(&self) -> Result<Self> {
        Ok(match self {
            Self::Coordinate(chains) => Self::Coordinate(chains.copied()?),
            Self::Ray(chains) => Self::Ray(chains.copied()?),
            Self::Elliptical(chains) => Self::Elliptical(chains.copied()?),
            Self::Adaptive(chains) => Self::Adaptive(chains.copied()?),
            Self::Polar(chains) => Self::Polar(chains.copied()?),
            Self::Composite(chains) => Self::Composite(chains.copied()?),
        })
    }
}

/// Draws, their log densities, evaluations, counts and whether a limit was reached: chain by chain.
type Taken = (usize, Array<f64>, Array<f64>, Array<u32>, Array<u32>, Array<bool>);

/// Points, log densities, transitions that are left, those of the warm-up, states that are kept,
/// evaluations, and transitions that a limit ended: chain by chain.
type Looks = (Array<f64>, Array<f64>, Vec<u32>, Vec<u32>, Vec<usize>, Array<u64>, Array<u64>);

/// Chains with what they have kept, and a window to them while they run.
#[pyclass(frozen, module = "sortes._core.mcmc.engine")]
pub(crate) struct Sampler(Locked<Any>, Arc<Watch>);

impl Sampler {
    fn of(any: Any) -> Self {
        let watch = with_chains!(&any, |chains, _K| chains.watch());
        Self(Locked::new(any), watch)
    }
}

#[pymethods]
impl Sampler {
    #[new]
    fn new(
        py: Python<'_>,
        kernel: &Kernel,
        init: Matrix<'_, f64>,
        logp: Vector<'_, f64>,
        stream: &Stream,
    ) -> PyResult<Self> {
        let size = Size::new(logp.len(), CHAIN + 10.0 * init.cols() as f64).serial();
        let any =
            Job::plain(py).run(size, |run| Any::new(&kernel.0, &init, &logp, stream.0, run))?;
        Ok(Self::of(any))
    }

    /// The same chains, apart.
    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let any = self.0.get(py, Any::copied)?.map_err(to_py)?;
        Ok(Self::of(any))
    }

    /// Where each chain was when somebody looked before; also while they run.
    fn inspect(&self) -> Looks {
        let mut looks = (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
        self.1.look(|x, seen| {
            looks.0.extend_from_slice(x);
            looks.1.push(seen.logp);
            looks.2.push(seen.left);
            looks.3.push(seen.warmup);
            looks.4.push(seen.draws);
            looks.5.push(seen.evaluations);
            looks.6.push(seen.stuck);
        });
        let (x, logp, left, warmup, draws, evaluations, stuck) = looks;
        (Array(x), Array(logp), left, warmup, draws, Array(evaluations), Array(stuck))
    }

    /// Lets chains that run on this side rest, or go on.
    fn pause(&self, rest: bool) {
        self.1.pause(rest);
    }

    /// Begins a plan; returns how many transitions it has.
    fn begin(
        &self,
        py: Python<'_>,
        warmup: u32,
        draws: usize,
        thin: u32,
        raises: bool,
        keeps: bool,
    ) -> PyResult<u64> {
        let plan = Plan { warmup, draws, thin, raises, keeps };
        let chains = self.0.get(py, |any| with_chains!(any, |chains, _K| chains.len()))?;
        self.0.write(&Job::plain(py), Size::new(chains, CHAIN).serial(), |any, run| {
            with_chains!(any, |chains, _K| chains.begin(plan, run))
        })
    }

    /// Puts chains elsewhere, between plans; returns for each of them whether it can begin there.
    fn place(
        &self,
        py: Python<'_>,
        points: Matrix<'_, f64>,
        logp: Vector<'_, f64>,
    ) -> PyResult<Vec<bool>> {
        self.0.write(&Job::plain(py), Size::new(1, 1.0).serial(), |any, _| {
            with_chains!(any, |chains, _K| chains.place(&points, &logp))
        })
    }

    /// Drives all chains with a density of this side.
    fn run(&self, target: &Target, total: usize, job: Job<'_>) -> PyResult<()> {
        let size = Size::new(total, 1e3).waiting();
        let target = target.0.clone();
        self.0
            .write(&job, size, |any, run| with_chains!(any, |chains, _K| chains.run(&*target, run)))
    }

    /// Writes the points that are asked about; returns how many.
    fn gather(&self, py: Python<'_>, mut out: OutMatrix<'_, f64>) -> PyResult<usize> {
        let out: &mut [f64] = &mut out;
        self.0.get(py, |any| with_chains!(any, |chains, _K| chains.gather(out)))
    }

    /// Goes on with the answers; returns how many transitions are left.
    fn scatter(&self, py: Python<'_>, logp: Vector<'_, f64>) -> PyResult<u64> {
        self.0.write(&Job::plain(py), Size::new(1, 1.0).serial(), |any, _| {
            with_chains!(any, |chains, _K| chains.scatter(&logp))
        })
    }

    /// What is kept.
    fn take(&self, py: Python<'_>) -> PyResult<Taken> {
        let size = Size::new(1, 1e3).serial();
        let (n, kept): (usize, Kept) = self
            .0
            .write(&Job::plain(py), size, |any, _| with_chains!(any, |chains, _K| chains.take()))?;
        let Kept { draws, logp, evaluations, counts, stuck } = kept;
        Ok((n, Array(draws), Array(logp), Array(evaluations), Array(counts), Array(stuck)))
    }

    /// What the counts are called.
    fn names(&self, py: Python<'_>) -> PyResult<Vec<&'static str>> {
        self.0.get(py, |any| {
            with_chains!(any, |_chains, K| <K as sortes::mcmc::kernel::Kernel>::COUNTS.to_vec())
        })
    }

    /// Log densities that were not numbers, of each chain.
    fn nans(&self, py: Python<'_>) -> PyResult<Array<u64>> {
        let nans = self.0.get(py, |any| with_chains!(any, |chains, _K| chains.nans()))?;
        nans.map(Array).map_err(to_py)
    }

    /// The widths in use, chain by chain.
    fn widths(&self, py: Python<'_>) -> PyResult<Array<f64>> {
        let widths = self.0.get(py, |any| with_chains!(any, |chains, _K| chains.widths()))?;
        widths.map(Array).map_err(to_py)
    }
}

/// The state, its log density, counts, evaluations, whether a limit was reached, and what is left of
/// each tape.
type Transition = (Vec<f64>, f64, Vec<u32>, usize, bool, (usize, usize, usize));

/// One transition with given random numbers; `logp` is called with each point.
#[pyfunction]
fn tape_step(
    kernel: &Kernel,
    logp: Bound<'_, PyAny>,
    x0: Matrix<'_, f64>,
    uniforms: Vector<'_, f64>,
    exponentials: Vector<'_, f64>,
    normals: Vector<'_, f64>,
) -> PyResult<Transition> {
    fn played<K: sortes::mcmc::kernel::Kernel>(
        mut kernel: K,
        mut tape: Tape<'_>,
        f: impl Fn(&[f64]) -> PyResult<f64>,
    ) -> PyResult<Transition> {
        let mut evaluations = 0;
        let mut step = kernel.start(&mut tape);
        while step == Step::Evaluate {
            let logp = f(kernel.point())?;
            evaluations += 1;
            if evaluations > 100_000 {
                return Err(PyValueError::new_err("the transition does not end"));
            }
            step = kernel.advance(logp, &mut tape);
        }
        let left = (tape.uniforms.len(), tape.exponentials.len(), tape.normals.len());
        let counts = kernel.counts()[..K::COUNTS.len()].to_vec();
        let point = kernel.point().to_vec();
        Ok((point, kernel.reported(), counts, evaluations, kernel.is_stuck(), left))
    }
    let f = |x: &[f64]| logp.call1((PyArray1::from_slice(logp.py(), x),))?.extract::<f64>();
    let first = f(&x0)?;
    let tape = Tape { uniforms: &uniforms, exponentials: &exponentials, normals: &normals };
    let x = x0.to_vec();
    match &kernel.0 {
        Options::Coordinate(o) => {
            played(Coordinate::new(o.clone(), x, first).map_err(to_py)?, tape, f)
        }
        Options::Ray(o) => played(Ray::new(o.clone(), x, first).map_err(to_py)?, tape, f),
        Options::Elliptical(o) => {
            played(Elliptical::new(o.clone(), x, first).map_err(to_py)?, tape, f)
        }
        Options::Adaptive(o) => played(Adaptive::new(o.clone(), x, first).map_err(to_py)?, tape, f),
        Options::Polar(o) => played(Polar::new(o.clone(), &x, first).map_err(to_py)?, tape, f),
        Options::Composite(parts, chances) => {
            played(composite(parts, chances, x, first).map_err(to_py)?, tape, f)
        }
    }
}

/// Kernels, and chains of them.
#[pymodule(submodule)]
pub(crate) mod engine {
    #[pymodule_export]
    use super::{Kernel, Sampler, tape_step};
}
