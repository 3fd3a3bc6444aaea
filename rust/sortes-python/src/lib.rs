//! The extension module `sortes._core`: arguments in, kernels, arrays out. No algorithm lives here.

// Documentation of what Python sees is written for Python.
#![allow(clippy::doc_markdown)]

mod arrays;
mod boundary;
mod decode;
mod pool;
mod select;
mod stream;
mod testing;

use pyo3::prelude::*;

/// Native kernels of sortes.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::boundary::SortesError;
    #[pymodule_export]
    use crate::decode::native as decode;
    #[pymodule_export]
    use crate::pool::{get_num_threads, set_num_threads};
    #[pymodule_export]
    use crate::select::native as select;
    #[pymodule_export]
    use crate::stream::Stream;
    #[pymodule_export]
    use crate::testing::_testing;

    /// The instruction set that the kernels were dispatched to.
    #[pyfunction]
    fn simd_level() -> &'static str {
        sortes_core::simd::level().name()
    }

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        m.add("__version__", env!("CARGO_PKG_VERSION"))?;
        m.add("build_profile", if cfg!(debug_assertions) { "debug" } else { "release" })
    }
}
