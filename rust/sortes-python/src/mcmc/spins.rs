//! `_core.mcmc.spins`: spin models, and chains of them.

use std::sync::Arc;

use sortes::mcmc::spins::boltzmann::{Machine as Layers, Real, Units};
use sortes::mcmc::spins::clusters::{Bonds, Clusters, Which};
use sortes::mcmc::spins::gibbs::{Order, Sites, Visits};
use sortes::mcmc::spins::lattice::{Lattice, Spins};
use sortes::mcmc::spins::model::{Kind, Model as Couplings};
use sortes::mcmc::spins::sampler::{self, Chains, Kept, Plan, State};
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Result, Run};

use crate::prelude::*;

/// Nanoseconds of an edge that is read or drawn.
const EDGE: f64 = 20.0;
/// Nanoseconds of a site of a square lattice.
const SPIN: f64 = 0.5;

impl Named for Order {
    const NAMES: &[(&str, Self)] =
        &[("colored", Self::Colored), ("sequential", Self::Sequential), ("random", Self::Random)];
}

impl Named for Which {
    const NAMES: &[(&str, Self)] = &[("swendsen_wang", Self::All), ("wolff", Self::One)];
}

/// A spin model on a graph.
#[pyclass(frozen, module = "sortes._core.mcmc.spins")]
struct Model(Arc<Couplings>);

#[pymethods]
impl Model {
    /// With fields of shape (sites, 1) for spins, and (sites, states) for a Potts model.
    #[new]
    fn new(
        edges: Matrix<'_, i64>,
        couplings: Vector<'_, f64>,
        fields: Matrix<'_, f64>,
        is_potts: bool,
        beta: f64,
        job: Job<'_>,
    ) -> PyResult<Self> {
        let (sites, states) = (fields.rows(), fields.cols());
        let kind = if is_potts { Kind::Potts(states) } else { Kind::Ising };
        let model = job.run(Size::new(edges.rows() + sites, EDGE).serial(), |run| {
            let (pairs, _) = edges.as_chunks::<2>();
            let mut copy = with_capacity(fields.len(), "fields")?;
            copy.extend_from_slice(&fields);
            Couplings::new(kind, sites, pairs, &couplings, copy, beta, run)
        })?;
        Ok(Self(Arc::new(model)))
    }

    /// The energy of each row of states.
    fn energy(&self, states: Matrix<'_, u8>, job: Job<'_>) -> PyResult<Array<f64>> {
        let each = (self.0.arcs() + self.0.sites()) as f64;
        job.array(Size::new(states.rows(), each), |run| {
            let mut out = zeroed(states.rows(), "energies")?;
            let sites = self.0.sites();
            run.fill_chunks(&mut out, 1, |row, out| {
                out[0] = self.0.energy(&states[row * sites..(row + 1) * sites]);
            })?;
            Ok(out)
        })
    }
}

/// A restricted Boltzmann machine of either precision.
enum Precision {
    F32(Arc<Layers<f32>>),
    F64(Arc<Layers<f64>>),
}

#[pyclass(frozen, module = "sortes._core.mcmc.spins")]
struct Machine(Precision);

#[pymethods]
impl Machine {
    /// Of weights of shape (visible, hidden), flat, and biases: all of one precision.
    #[new]
    fn new(
        weights: Floats<'_>,
        visible: Floats<'_>,
        hidden: Floats<'_>,
        job: Job<'_>,
    ) -> PyResult<Self> {
        let size = Size::new(weights.len(), 5.0).serial();
        let mixed = || pyo3::exceptions::PyTypeError::new_err("expected one precision");
        Ok(Self(match (weights, visible, hidden) {
            (Floats::F32(w), Floats::F32(b), Floats::F32(c)) => {
                Precision::F32(Arc::new(job.run(size, |_| Layers::new(&w, &b, &c))?))
            }
            (Floats::F64(w), Floats::F64(b), Floats::F64(c)) => {
                Precision::F64(Arc::new(job.run(size, |_| Layers::new(&w, &b, &c))?))
            }
            _ => return Err(mixed()),
        }))
    }
}

/// Updates before the first draw, draws, updates for each, and whether states are kept.
type Given = (u32, usize, u32, bool);

fn plan_of((warmup, draws, thin, keeps_states): Given) -> Plan {
    Plan { warmup, draws, thin, keeps_states }
}

/// Chains with what they have kept.
#[pyclass(frozen, module = "sortes._core.mcmc.spins")]
struct Sampler {
    chains: Locked<Chains>,
    updates: u64,
    ns_each: f64,
}

impl Sampler {
    /// Chains whose states `make` makes of a row of `init` and the number of the chain; or of several
    /// rows, for chains that move on together.
    fn made(
        init: &Matrix<'_, u8>,
        together: usize,
        sites: usize,
        plan: Plan,
        names: u64,
        ns_each: f64,
        make: impl Fn(&[u8], u64) -> Result<Box<dyn State>>,
    ) -> Result<Self> {
        sampler::check_names(init.rows(), names)?;
        let mut states = with_capacity(init.rows().div_ceil(together), "chains")?;
        for (i, rows) in init.chunks(together * init.cols()).enumerate() {
            states.push(make(rows, (i * together) as u64)?);
        }
        let chains = Chains::new(states, sites, plan)?;
        let updates = chains.updates();
        Ok(Self { chains: Locked::new(chains), updates, ns_each })
    }
}

fn copied(row: &[u8]) -> Result<Vec<u8>> {
    let mut copy = with_capacity(row.len(), "states of sites")?;
    copy.extend_from_slice(row);
    Ok(copy)
}

/// Nanoseconds of an update of a restricted Boltzmann machine.
fn unit_cost(visible: usize, hidden: usize) -> f64 {
    (visible * hidden) as f64 * 0.02 + (visible + hidden) as f64 * 5.0
}

fn machine<T: Real>(
    layers: &Arc<Layers<T>>,
    init: &Matrix<'_, u8>,
    clamped: &Arc<Vec<bool>>,
    plan: Plan,
    stream: sortes_core::rng::Stream,
    run: Run<'_>,
) -> Result<Sampler> {
    let [v, h] = layers.units();
    let (rounds, names) = (stream.rounds(), Units::names(layers));
    let together = Units::<T>::together(init.rows(), run.threads.count());
    Sampler::made(init, together, v + h, plan, names, unit_cost(v, h), |rows, chain| {
        Ok(Box::new(Units::new(layers.clone(), rows, clamped.clone(), chain, rounds)?))
    })
}

#[pymethods]
impl Sampler {
    /// Heat bath, from a row of states for each chain.
    #[staticmethod]
    fn gibbs(
        model: &Model,
        order: Choice<Order>,
        init: Matrix<'_, u8>,
        plan: Given,
        stream: &Stream,
        job: Job<'_>,
    ) -> PyResult<Self> {
        let model = &model.0;
        let cost = (model.arcs() + model.sites()) as f64 * EDGE / 4.0;
        let size = Size::new(init.len() + model.arcs(), EDGE).serial();
        job.run(size, |run| {
            let visits = Arc::new(Visits::new(model, order.0, run)?);
            let rounds = stream.0.rounds();
            let names = Sites::names(model);
            Self::made(&init, 1, model.sites(), plan_of(plan), names, cost, |row, chain| {
                let (model, visits) = (model.clone(), visits.clone());
                Ok(Box::new(Sites::new(model, visits, copied(row)?, chain, rounds)?))
            })
        })
    }

    /// Cluster updates.
    #[staticmethod]
    fn clusters(
        model: &Model,
        which: Choice<Which>,
        init: Matrix<'_, u8>,
        plan: Given,
        stream: &Stream,
        job: Job<'_>,
    ) -> PyResult<Self> {
        let model = &model.0;
        let cost = (model.arcs() + model.sites()) as f64 * EDGE;
        let size = Size::new(init.len() + model.arcs(), EDGE).serial();
        job.run(size, |_| {
            let bonds = Arc::new(Bonds::new(model, which.0)?);
            let rounds = stream.0.rounds();
            let names = Clusters::names(model);
            Self::made(&init, 1, model.sites(), plan_of(plan), names, cost, |row, chain| {
                let (model, bonds) = (model.clone(), bonds.clone());
                Ok(Box::new(Clusters::new(model, bonds, copied(row)?, chain, rounds)?))
            })
        })
    }

    /// Heat bath on a rectangle with one coupling and one field: `law` is these and beta.
    #[staticmethod]
    fn lattice(
        shape: [usize; 2],
        periodic: [bool; 2],
        law: [f64; 3],
        init: Matrix<'_, u8>,
        plan: Given,
        stream: &Stream,
        job: Job<'_>,
    ) -> PyResult<Self> {
        let [coupling, field, beta] = law;
        let lattice = Lattice { shape, periodic, coupling, field, beta };
        let cost = init.cols() as f64 * SPIN;
        job.run(Size::new(init.len(), EDGE / 4.0).serial(), |_| {
            let rounds = stream.0.rounds();
            let names = Spins::names(&lattice);
            Self::made(&init, 1, init.cols(), plan_of(plan), names, cost, |row, chain| {
                Ok(Box::new(Spins::new(lattice.clone(), row, chain, rounds)?))
            })
        })
    }

    /// Both layers of a restricted Boltzmann machine in turn, from a row of visible units for each chain.
    #[staticmethod]
    fn machine(
        machine: &Machine,
        clamped: Vector<'_, bool>,
        init: Matrix<'_, u8>,
        plan: Given,
        stream: &Stream,
        job: Job<'_>,
    ) -> PyResult<Self> {
        let clamped = Arc::new(clamped.to_vec());
        let plan = plan_of(plan);
        let [v, h] = match &machine.0 {
            Precision::F32(x) => x.units(),
            Precision::F64(x) => x.units(),
        };
        // As much work as there will be: as many threads are asked for as will share it.
        let updates = plan.updates().unwrap_or(u32::MAX) as usize;
        let size = Size::new(init.rows().saturating_mul(updates), unit_cost(v, h));
        job.run(size, |run| match &machine.0 {
            Precision::F32(x) => self::machine(x, &init, &clamped, plan, stream.0, run),
            Precision::F64(x) => self::machine(x, &init, &clamped, plan, stream.0, run),
        })
    }

    /// Drives all chains to their ends.
    fn run(&self, job: Job<'_>) -> PyResult<()> {
        let size = Size::new(self.updates as usize, self.ns_each.max(100.0));
        self.chains.write(&job, size, |chains, run: Run<'_>| chains.run(run))
    }

    /// What is kept: how many draws, the states, those at the end, energies and magnetizations.
    #[allow(clippy::type_complexity)] // the numbers of a trace
    fn take(
        &self,
        py: Python<'_>,
    ) -> PyResult<(usize, Array<u8>, Array<u8>, Array<f64>, Array<f64>)> {
        let Kept { draws, states, last, energy, magnetization } =
            self.chains
                .write(&Job::plain(py), Size::new(1, 1e3).serial(), |chains, _| chains.take())?;
        Ok((draws, Array(states), Array(last), Array(energy), Array(magnetization)))
    }
}

/// Independent states, chain by chain, each of `states` as likely.
#[pyfunction]
fn random_states(
    states: usize,
    sites: usize,
    chains: usize,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<u8>> {
    job.array(Size::new(sites.saturating_mul(chains), 2.0).serial(), |run| {
        sampler::random_states(states, sites, chains, stream.0, run)
    })
}

/// Spin models, and chains of them.
#[pymodule(submodule, name = "spins")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{Machine, Model, Sampler, random_states};
}
