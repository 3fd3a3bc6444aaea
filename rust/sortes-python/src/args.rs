//! Arguments. Most come from the Python side: arrays that are contiguous and of the right type, names
//! of options that exist; what is wrong with these is a mistake of this package, not of its user. The
//! integers at the end come from the user.

use std::ops::{Deref, RangeInclusive};

use numpy::{Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

/// A contiguous vector, borrowed; it derefs to a slice.
pub(crate) struct Vector<'py, T: Element>(PyReadonlyArray1<'py, T>);

impl<T: Element> Deref for Vector<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // `extract` let contiguous vectors through alone.
        self.0.as_slice().unwrap_or(&[])
    }
}

impl<'py, T: Element> FromPyObject<'_, 'py> for Vector<'py, T> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = x.cast::<PyArray1<T>>().map_err(|_| unfit::<T>(&x, 1))?.try_readonly()?;
        if array.as_slice().is_ok() { Ok(Self(array)) } else { Err(unfit::<T>(&x, 1)) }
    }
}

/// A C-contiguous matrix, borrowed; it derefs to the slice of its elements.
pub(crate) struct Matrix<'py, T: Element>(PyReadonlyArray2<'py, T>);

impl<T: Element> Matrix<'_, T> {
    pub(crate) fn rows(&self) -> usize {
        self.0.shape()[0]
    }

    pub(crate) fn cols(&self) -> usize {
        self.0.shape()[1]
    }
}

impl<T: Element> Deref for Matrix<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // `extract` let contiguous matrices through alone.
        self.0.as_slice().unwrap_or(&[])
    }
}

impl<'py, T: Element> FromPyObject<'_, 'py> for Matrix<'py, T> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = x.cast::<PyArray2<T>>().map_err(|_| unfit::<T>(&x, 2))?.try_readonly()?;
        // A slice of an array in Fortran's order would have its rows mixed up.
        if array.is_c_contiguous() && array.as_slice().is_ok() {
            Ok(Self(array))
        } else {
            Err(unfit::<T>(&x, 2))
        }
    }
}

fn unfit<T: Element>(x: &Bound<'_, PyAny>, dims: usize) -> PyErr {
    let got = match x.cast::<PyUntypedArray>() {
        Ok(array) => format!("{} of shape {:?}", array.dtype(), array.shape()),
        Err(_) => x.get_type().to_string(),
    };
    let wanted = numpy::dtype::<T>(x.py());
    PyTypeError::new_err(format!("expected {wanted} of {dims} dimensions, contiguous, got {got}"))
}

/// A vector of either precision; [`with_floats`] calls a generic kernel with it.
#[derive(FromPyObject)]
pub(crate) enum Floats<'py> {
    F64(Vector<'py, f64>),
    F32(Vector<'py, f32>),
}

impl Floats<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F64(x) => x.len(),
            Self::F32(x) => x.len(),
        }
    }
}

/// Evaluates `$body` with `$slice` bound to the elements, whichever type they have.
macro_rules! with_floats {
    ($floats:expr, |$slice:ident| $body:expr) => {
        match &$floats {
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
