//! `_core.graph.structure`: graphs that never change.

use sortes::graph::structure::{self as kernels, Arcs, Weights};
use sortes_core::memory::with_capacity;

use crate::prelude::*;

/// Nanoseconds of an arc: it is checked, sorted and copied, and has a slot in a table.
const ARC: f64 = 60.0;
/// Of an arc or a node that is copied.
const COPY: f64 = 2.0;
/// Of a byte of a state: a part of an arc, which may need a slot in a table.
const BYTE: f64 = 4.0;
/// Items between two looks at the stop request.
const BLOCK: usize = 1 << 16;

/// What a user calls arcs, starts of rows, and weights.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Argument {
    Indices,
    Indptr,
    Col,
    Rowptr,
    EdgeIndex,
    Matrix,
    Graph,
    Weights,
    Weight,
}

impl Named for Argument {
    const NAMES: &[(&str, Self)] = &[
        ("indices", Self::Indices),
        ("indptr", Self::Indptr),
        ("col", Self::Col),
        ("rowptr", Self::Rowptr),
        ("edge_index", Self::EdgeIndex),
        ("matrix", Self::Matrix),
        ("graph", Self::Graph),
        ("weights", Self::Weights),
        ("weight", Self::Weight),
    ];
}

/// Ids of nodes, or places in an array of them, of one of two types.
#[derive(FromPyObject)]
enum Pairs<'py> {
    I32(Vector<'py, i32>, Vector<'py, i32>),
    I64(Vector<'py, i64>, Vector<'py, i64>),
}

/// A graph that never changes.
#[pyclass(frozen, module = "sortes._core.graph.structure")]
pub(crate) struct Graph(pub(crate) kernels::Graph);

#[pymethods]
impl Graph {
    /// `arcs` are `indptr` and `indices`, or sources and targets; `numbers` what each is numbered, if not
    /// in order; `names` what the user calls arcs, weights and
    /// starts of rows.
    #[new]
    #[pyo3(signature = (num_nodes, arcs, is_rows, numbers, weights, names, coalesce, job))]
    #[allow(clippy::too_many_arguments)] // what the user says, option by option
    fn new(
        num_nodes: usize,
        arcs: Pairs<'_>,
        is_rows: bool,
        numbers: Option<Vector<'_, u32>>,
        weights: Option<Vector<'_, f64>>,
        names: [Choice<Argument>; 3],
        coalesce: bool,
        job: Job<'_>,
    ) -> PyResult<Self> {
        let [name, of_weights, of_starts] = names.map(|name| name.0.name());
        let weights = weights.as_deref().map(|values| Weights { values, name: of_weights });
        macro_rules! build {
            ($a:ident, $b:ident) => {{
                let (a, b) = (&**$a, &**$b);
                let arcs = if is_rows {
                    Arcs::Rows { indptr: a, indices: b, name: of_starts }
                } else {
                    Arcs::Pairs { sources: a, targets: b }
                };
                let numbers = numbers.as_deref();
                job.run(Size::new(num_nodes.saturating_add(b.len()), ARC), |run| {
                    kernels::build(num_nodes, arcs, name, numbers, weights, coalesce, run)
                })
            }};
        }
        match &arcs {
            Pairs::I32(a, b) => build!(a, b),
            Pairs::I64(a, b) => build!(a, b),
        }
        .map(Self)
    }

    #[getter]
    fn num_nodes(&self) -> usize {
        self.0.num_nodes()
    }

    #[getter]
    fn num_arcs(&self) -> usize {
        self.0.num_arcs()
    }

    #[getter]
    fn is_weighted(&self) -> bool {
        self.0.is_weighted()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.0.nbytes()
    }

    fn to_bytes(&self, py: Python<'_>) -> PyResult<Bytes> {
        let size = Size::new(self.0.num_nodes() + self.0.num_arcs(), COPY).serial();
        Job::plain(py).run(size, |run| self.0.to_bytes(run)).map(Bytes)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len(), BYTE);
        Job::plain(py).run(size, |run| kernels::Graph::from_bytes(data, run)).map(Self)
    }

    /// Where the arcs of each node begin, and the end of the last.
    fn indptr(&self, py: Python<'_>) -> PyResult<Array<i64>> {
        let nodes = self.0.num_nodes();
        Job::plain(py).array(Size::new(nodes, COPY).serial(), |run| {
            let mut out = with_capacity(nodes + 1, "starts of rows")?;
            out.push(0);
            for range in run.blocks(nodes, BLOCK) {
                out.extend(range?.map(|node| self.0.row(node as u32).range().end as i64));
            }
            Ok(out)
        })
    }

    /// Where arcs go.
    fn indices(&self, py: Python<'_>) -> PyResult<Array<i64>> {
        self.arcs(py, |arc| i64::from(self.0.neighbours()[arc]))
    }

    /// Which arc of the input each was.
    fn edge_ids(&self, py: Python<'_>) -> PyResult<Array<i64>> {
        self.arcs(py, |arc| i64::from(self.0.edge_id(arc as u32)))
    }

    /// The weights, one for each arc.
    fn weights(&self, py: Python<'_>) -> PyResult<Array<f64>> {
        self.arcs(py, |arc| self.0.weights().map_or(1.0, |weights| weights[arc]))
    }
}

impl Graph {
    fn arcs<T: Send>(
        &self,
        py: Python<'_>,
        f: impl Fn(usize) -> T + Send + Sync,
    ) -> PyResult<Array<T>> {
        let arcs = self.0.num_arcs();
        Job::plain(py).array(Size::new(arcs, COPY).serial(), |run| {
            let mut out = with_capacity(arcs, "arcs")?;
            for range in run.blocks(arcs, BLOCK) {
                out.extend(range?.map(&f));
            }
            Ok(out)
        })
    }
}

/// Graphs that never change.
#[pymodule(submodule)]
pub(crate) mod structure {
    #[pymodule_export]
    use super::Graph;
}
