//! The extension module `sortes._core`: arguments in, kernels, arrays out. No algorithm lives here.

// Documentation of what Python sees is written for Python.
#![allow(clippy::doc_markdown, clippy::doc_lazy_continuation)]
// PyO3 hands over what it extracts.
#![allow(clippy::needless_pass_by_value)]

/// The docstring of something public, as the stub has it.
macro_rules! stub {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name))
    };
}

mod args;
mod arrays;
mod boundary;
mod decode;
mod diffusion;
mod graph;
mod job;
mod locked;
mod mcmc;
mod pool;
mod prelude;
mod select;
mod sequences;
mod stream;
mod tensors;
mod testing;
mod threads;

use pyo3::prelude::*;
use sortes_core::reserve::Reserve;

/// Small allocations, which have no way to fail, succeed even when all memory is taken.
#[global_allocator]
static MEMORY: Reserve = Reserve::new();

/// Native kernels of sortes.
#[pymodule]
mod _core {
    use numpy::PyArrayMethods;
    use pyo3::prelude::*;
    use pyo3::types::PyDict;
    use sortes_core::rng::Purpose;

    #[pymodule_export]
    use crate::{
        boundary::SortesError,
        decode::native as decode,
        diffusion::native as diffusion,
        graph::native as graph,
        mcmc::native as mcmc,
        pool::native as pool,
        select::native as select,
        sequences::native as sequences,
        stream::Stream,
        testing::_testing,
        threads::{get_num_threads, set_num_threads},
    };

    /// The instruction set that the kernels were dispatched to.
    #[pyfunction]
    fn simd_level() -> &'static str {
        sortes_core::simd::level().name()
    }

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        sortes_core::simd::asked_level().map_err(crate::boundary::to_py)?;
        // NumPy's own module is imported here, and the table of its arrays in use is made, not in the
        // first call that needs them: by then a Ctrl-C may be pending, and the import would fail, or
        // the process may fork in between, and the child would wait for ever.
        drop(numpy::PyArray1::<u8>::zeros(m.py(), 0, false).try_readwrite()?);
        let purposes = PyDict::new(m.py());
        for &(purpose, name) in Purpose::ALL {
            purposes.set_item(name, purpose as u16)?;
        }
        m.add("PURPOSES", purposes)?;
        m.add("__version__", env!("CARGO_PKG_VERSION"))?;
        m.add("build_profile", if cfg!(debug_assertions) { "debug" } else { "release" })
    }
}
