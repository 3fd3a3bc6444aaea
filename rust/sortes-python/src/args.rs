//! Arguments. Most come from the Python side: arrays that are contiguous and of the right type, names
//! of options that exist; what is wrong with these is a mistake of this package, not of its user. The
//! integers at the end come from the user.

use std::ops::{Deref, DerefMut, RangeInclusive};

use numpy::ndarray::{Dimension, Ix1, Ix2};
use numpy::{Element, PyArray, PyReadonlyArray, PyReadwriteArray};
use numpy::{PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};
use sortes_core::Error;

use crate::boundary::to_py;

/// A C-contiguous array, borrowed; it derefs to the slice of its elements, for threads as well.
pub(crate) struct Elements<'py, T: Element, D: Dimension> {
    slice: *const [T],
    shape: D,
    _array: PyReadonlyArray<'py, T, D>,
}

pub(crate) type Vector<'py, T> = Elements<'py, T, Ix1>;
pub(crate) type Matrix<'py, T> = Elements<'py, T, Ix2>;

// SAFETY: a shared reference reaches the shape and the elements, which the borrow keeps where they are.
unsafe impl<T: Element + Sync, D: Dimension> Sync for Elements<'_, T, D> {}

impl<T: Element> Matrix<'_, T> {
    pub(crate) fn rows(&self) -> usize {
        self.shape[0]
    }

    pub(crate) fn cols(&self) -> usize {
        self.shape[1]
    }
}

impl<T: Element, D: Dimension> Deref for Elements<'_, T, D> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `extract` took the slice from the array that is borrowed as long as `self` is there.
        unsafe { &*self.slice }
    }
}

impl<'py, T: Element, D: Dimension> FromPyObject<'_, 'py> for Elements<'py, T, D> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = x.cast::<PyArray<T, D>>().map_err(|_| unfit::<T, D>(&x))?.try_readonly()?;
        // A slice of an array in Fortran's order would have its rows mixed up.
        match array.as_slice() {
            Ok(slice) if array.is_c_contiguous() => {
                Ok(Self { slice, shape: array.dims(), _array: array })
            }
            _ => Err(unfit::<T, D>(&x)),
        }
    }
}

fn unfit<T: Element, D: Dimension>(x: &Bound<'_, PyAny>) -> PyErr {
    let got = match x.cast::<PyUntypedArray>() {
        Ok(array) => format!("{} of shape {:?}", array.dtype(), array.shape()),
        Err(_) => x.get_type().to_string(),
    };
    let (wanted, dims) = (numpy::dtype::<T>(x.py()), D::NDIM.unwrap_or_default());
    PyTypeError::new_err(format!("expected {wanted} of {dims} dimensions, contiguous, got {got}"))
}

/// A C-contiguous array to write to, named `out`; it derefs to the slice of its elements.
pub(crate) struct Out<'py, T: Element, D: Dimension>(PyReadwriteArray<'py, T, D>);

pub(crate) type OutVector<'py, T> = Out<'py, T, Ix1>;
pub(crate) type OutMatrix<'py, T> = Out<'py, T, Ix2>;

impl<'py, T: Element, D: Dimension> FromPyObject<'_, 'py> for Out<'py, T, D> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given = x.cast::<PyArray<T, D>>()?;
        let mut array = writable(&given)?;
        // A slice of an array in Fortran's order would have its rows mixed up.
        if array.is_c_contiguous() && array.as_slice_mut().is_ok() {
            Ok(Self(array))
        } else {
            Err(to_py(Error::argument("out", "must be C-contiguous")))
        }
    }
}

impl<T: Element, D: Dimension> Deref for Out<'_, T, D> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // `extract` let contiguous arrays through alone.
        self.0.as_slice().unwrap_or(&[])
    }
}

impl<T: Element, D: Dimension> DerefMut for Out<'_, T, D> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_slice_mut().unwrap_or(&mut [])
    }
}

/// The borrow of an array to write to, named `out`.
pub(crate) fn writable<'py, T: Element, D: Dimension>(
    out: &Bound<'py, PyArray<T, D>>,
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    let refused = |error| to_py(Error::argument("out", format!("cannot be written: {error}")));
    out.try_readwrite().map_err(refused)
}

/// A vector of either precision; [`with_floats`] calls a generic kernel with it.
#[derive(FromPyObject)]
pub(crate) enum Floats<'py> {
    F64(Vector<'py, f64>),
    F32(Vector<'py, f32>),
}

/// Evaluates `$body` with `$slice` bound to the elements, whichever type they have.
macro_rules! with_floats {
    ($floats:expr, |$slice:ident| $body:expr) => {
        match $floats {
            $crate::args::Floats::F64(x) => {
                let $slice: &[f64] = x;
                $body
            }
            $crate::args::Floats::F32(x) => {
                let $slice: &[f32] = x;
                $body
            }
        }
    };
}
pub(crate) use with_floats;

impl Floats<'_> {
    pub(crate) fn len(&self) -> usize {
        with_floats!(self, |x| x.len())
    }
}

/// What an option can be, and its names in Python.
pub(crate) trait Named: Copy + 'static {
    const NAMES: &'static [(&'static str, Self)];

    /// The name of this value.
    fn name(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

/// An option given by its name.
pub(crate) struct Choice<T>(pub(crate) T);

impl<'py, T: Named> FromPyObject<'_, 'py> for Choice<T> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given: &str = x.extract()?;
        match T::NAMES.iter().find(|(name, _)| *name == given) {
            Some((_, value)) => Ok(Self(*value)),
            None => Err(PyValueError::new_err(format!("unknown option {given:?}"))),
        }
    }
}

/// An argument that may be left out but may not be None, which an `Option` would let pass.
pub(crate) struct Omittable<'py>(pub(crate) Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Omittable<'py> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Some(x.to_owned())))
    }
}

/// An integer of any type, not a truth value, in a range that messages write as `domain`.
///
/// PyO3's own extraction would let `True` pass, and name no argument in its errors.
pub(crate) fn integer(
    name: &str,
    value: &Bound<'_, PyAny>,
    (range, domain): (RangeInclusive<u64>, &str),
) -> PyResult<u64> {
    // Python refuses to write the longest integers.
    let repr = || value.py().import("reprlib")?.call_method1("repr", (value,));
    let shown = || repr().map_or_else(|_| value.get_type().to_string(), |r| r.to_string());
    let index = if value.is_exact_instance_of::<PyInt>() {
        Some(value.clone())
    } else if value.is_instance_of::<PyBool>() {
        None
    } else {
        value.call_method0("__index__").ok()
    };
    let Some(index) = index else {
        return Err(PyTypeError::new_err(format!("{name}: must be an integer, got {}", shown())));
    };
    match index.extract() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(PyValueError::new_err(format!("{name}: must be in {domain}, got {}", shown()))),
    }
}
