//! Tensors by the C interface of DLPack: a look at one, or a new one, in one call of the library that
//! they are of, where its Python functions take several.

use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

use half::{bf16, f16};
use pyo3::ffi;
use pyo3::prelude::*;
use sortes_core::memory::{ask, filled};

use crate::arrays::{Logits, OBJECT, RowsView};
use crate::boundary::to_py;

/// What `__dlpack_c_exchange_api__` is called as a capsule.
const NAME: &std::ffi::CStr = c"dlpack_exchange_api";
/// The version that the layouts below are of; later ones of the same first number only add to them.
const VERSION: (u32, u32) = (1, 3);
/// `kDLCPU`.
const CPU: c_int = 1;
/// `kDLInt`, `kDLFloat` and `kDLBfloat`.
const INT: u8 = 0;
const FLOAT: u8 = 2;
const BFLOAT: u8 = 4;

/// `DLTensor`.
#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: (c_int, i32),
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// `DLManagedTensorVersioned`.
#[repr(C)]
struct Managed {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
    flags: u64,
    tensor: Tensor,
}

type Look = unsafe extern "C" fn(*mut ffi::PyObject, *mut Tensor) -> c_int;
type Make = unsafe extern "C" fn(*mut Managed, *mut *mut ffi::PyObject) -> c_int;

/// `DLPackExchangeAPI`.
#[repr(C)]
struct Api {
    major: u32,
    minor: u32,
    older: *const Api,
    allocate: *const c_void,
    lend: *const c_void,
    make: Option<Make>,
    look: Option<Look>,
}

/// How tensors of one type are looked at and made.
#[pyclass(frozen, module = "sortes._core.decode.sampling")]
pub(crate) struct Exchange {
    look: Look,
    make: Make,
}

#[pymethods]
impl Exchange {
    /// The exchange of a type's `__dlpack_c_exchange_api__`; `None` if it is of a version that is not
    /// known here, or lacks something.
    #[staticmethod]
    fn of(capsule: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        // SAFETY: the object is alive; anything but a capsule of this name gives null and an error.
        let api =
            unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), NAME.as_ptr()) }.cast::<Api>();
        if api.is_null() {
            return Err(PyErr::fetch(capsule.py()));
        }
        // SAFETY: a capsule of this name holds the interface, which lives as long as the process; the
        // first numbers stay where they are in all versions, and what follows is read only where the
        // version says that it is there.
        let (look, make) = unsafe {
            if (*api).major != VERSION.0 || (*api).minor < VERSION.1 {
                return Ok(None);
            }
            ((*api).look, (*api).make)
        };
        Ok(look.zip(make).map(|(look, make)| Self { look, make }))
    }
}

impl Exchange {
    /// The rows of a tensor of one or two dimensions, and whether it is a single row; `None` if
    /// kernels cannot read it where it lies.
    ///
    /// Of a tensor whose numbers are to be negated when they are read the memory is shown as it is:
    /// the caller keeps such tensors away.
    pub(crate) fn rows(&self, x: &Bound<'_, PyAny>) -> Option<(Logits, bool)> {
        let mut seen = Tensor {
            data: null_mut(),
            device: (0, 0),
            ndim: 0,
            code: 0,
            bits: 0,
            lanes: 0,
            shape: null(),
            strides: null(),
            byte_offset: 0,
        };
        // SAFETY: the interpreter is held, `x` is of the type that the interface is of (the caller has
        // looked), and `seen` is a place for the answer.
        if unsafe { (self.look)(x.as_ptr(), &raw mut seen) } != 0 {
            drop(PyErr::take(x.py()));
            return None;
        }
        let dimensions = match seen.ndim {
            1 => 1,
            2 => 2,
            _ => return None,
        };
        let missing = seen.data.is_null() || seen.shape.is_null() || seen.strides.is_null();
        if missing || seen.device.0 != CPU || seen.lanes != 1 {
            return None;
        }
        // SAFETY: both have an element for each dimension, and live as long as nobody changes the
        // tensor: not before the interpreter is released.
        let (shape, strides) = unsafe {
            (
                std::slice::from_raw_parts(seen.shape, dimensions),
                std::slice::from_raw_parts(seen.strides, dimensions),
            )
        };
        let whole = |n: i64| usize::try_from(n).ok();
        let (rows, cols, stride, step) = match (shape, strides) {
            (&[rows, cols], &[stride, step]) => (whole(rows)?, whole(cols)?, stride, step),
            (&[cols], &[step]) => (1, whole(cols)?, 0, step),
            _ => return None,
        };
        let data = seen.data.wrapping_byte_add(seen.byte_offset as usize).cast_const();
        let lengths = (rows, cols);
        // SAFETY: the tensor has these rows at this place, and the view keeps it alive. As for Torch's
        // own functions, nobody may give its memory back during the call.
        let logits = unsafe {
            match (seen.code, seen.bits) {
                (FLOAT, 32) => lent::<f32>(data, lengths, stride, step, x).map(Logits::F32),
                (FLOAT, 16) => lent::<f16>(data, lengths, stride, step, x).map(Logits::F16),
                (BFLOAT, 16) => lent::<bf16>(data, lengths, stride, step, x).map(Logits::Bf16),
                (FLOAT, 64) => lent::<f64>(data, lengths, stride, step, x).map(Logits::F64),
                _ => None,
            }
        };
        Some((logits?, dimensions == 1))
    }

    /// A tensor of int64 of these lengths, at most one, whose elements `write` has written; or its
    /// error.
    pub(crate) fn written<'py>(
        &self,
        py: Python<'py>,
        shape: &[usize],
        write: impl FnOnce(&mut [i64]) -> PyResult<()>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let len = shape.iter().product();
        let mut values = filled(len, 0_i64, "tokens").map_err(to_py)?;
        write(&mut values)?;
        // What Torch allocates for the object itself it takes for granted: ask before.
        ask::<u8>(OBJECT, "bytes of a tensor").map_err(to_py)?;
        let made = Box::into_raw(Box::new(Made {
            managed: Managed {
                major: VERSION.0,
                minor: VERSION.1,
                context: null_mut(),
                deleter: Some(delete),
                flags: 0,
                tensor: Tensor {
                    data: values.as_mut_ptr().cast(),
                    device: (CPU, 0),
                    ndim: shape.len() as i32,
                    code: INT,
                    bits: 64,
                    lanes: 1,
                    shape: null(),
                    strides: null(),
                    byte_offset: 0,
                },
            },
            shape: [len as i64],
            strides: [1],
            _values: values,
        }));
        let mut out = null_mut();
        // SAFETY: `made` is a live allocation that nobody else knows yet; its lengths stay where they
        // are, and so does what the vector points to. The interface takes it over: what it does not
        // make a tensor of may be lost, but is not freed twice.
        let done = unsafe {
            (*made).managed.tensor.shape = (&raw const (*made).shape).cast();
            (*made).managed.tensor.strides = (&raw const (*made).strides).cast();
            (self.make)(made.cast(), &raw mut out)
        };
        if done != 0 {
            return Err(PyErr::fetch(py));
        }
        // SAFETY: a new reference, as the interface promises.
        unsafe { Bound::from_owned_ptr_or_err(py, out) }
    }
}

/// A view of the rows of a tensor; its distances are in elements.
///
/// # Safety
/// As [`RowsView::lent`].
unsafe fn lent<T: Copy>(
    data: *const c_void,
    lengths: (usize, usize),
    stride: i64,
    step: i64,
    owner: &Bound<'_, PyAny>,
) -> Option<RowsView<T>> {
    let bytes = |elements: i64| (elements as isize).checked_mul(size_of::<T>().cast_signed());
    // SAFETY: the caller's promise.
    unsafe { RowsView::lent(data.cast(), lengths, (bytes(stride)?, bytes(step)?), owner) }
}

/// A tensor that was made, and what it points to.
#[repr(C)]
struct Made {
    managed: Managed,
    shape: [i64; 1],
    strides: [i64; 1],
    _values: Vec<i64>,
}

/// Frees a tensor of [`Exchange::written`].
unsafe extern "C" fn delete(managed: *mut Managed) {
    // SAFETY: the pointer is that of the whole box, of which it is the first field; called once, when
    // the tensor is gone.
    drop(unsafe { Box::from_raw(managed.cast::<Made>()) });
}
