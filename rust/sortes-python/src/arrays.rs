//! NumPy arrays as rows that any thread may read, or that one thread each may write.

use half::{bf16, f16};
use numpy::ndarray::Dimension;
use numpy::{
    Element, IntoPyArray, PyArray, PyArray1, PyArray2, PyArrayDyn, PyArrayMethods,
    PyReadwriteArray2, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sortes_core::Error;
use sortes_core::memory::{ask, with_capacity};

use crate::boundary::to_py;

/// Bytes of the object of an array, and some more: as many as the C library divides for what is small.
pub(crate) const OBJECT: usize = 4096;

/// Numbers that Python receives as an array.
pub(crate) struct Array<T>(pub(crate) Vec<T>);

impl<'py, T: Element> IntoPyObject<'py> for Array<T> {
    type Target = PyArray1<T>;
    type Output = Bound<'py, Self::Target>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        // That there is memory for the object itself is taken for granted there: ask before.
        ask::<u8>(OBJECT, "bytes of an array").map_err(to_py)?;
        Ok(self.0.into_pyarray(py))
    }
}

/// An array of these lengths in which `write` has written every element, or its error.
pub(crate) fn written<'py, T: Element>(
    py: Python<'py>,
    shape: &[usize],
    write: impl FnOnce(&mut [T]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let len: usize = shape.iter().product();
    ask::<u8>(len * size_of::<T>() + OBJECT, "bytes of an array").map_err(to_py)?;
    let array = PyArrayDyn::zeros(py, shape, false);
    // SAFETY: the array is new and contiguous: nobody else has a reference to its memory yet.
    write(unsafe { array.as_slice_mut() }.unwrap_or(&mut []))?;
    Ok(array)
}

/// One number of every record.
pub(crate) fn column<R, T>(records: &[R], f: impl Fn(&R) -> T) -> PyResult<Array<T>> {
    let mut column = with_capacity(records.len(), "results").map_err(to_py)?;
    column.extend(records.iter().map(f));
    Ok(Array(column))
}

/// A state that Python receives as bytes, in memory that it may refuse.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'py> IntoPyObject<'py> for Bytes {
    type Target = PyBytes;
    type Output = Bound<'py, Self::Target>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        PyBytes::new_with(py, self.0.len(), |out| {
            py.detach(|| out.copy_from_slice(&self.0));
            Ok(())
        })
    }
}

/// The rows of a 2-D array or tensor: each row contiguous, any distance (negative, zero) between rows.
///
/// The view owns a reference to the array, so that its memory outlives the call. Another Python
/// thread may write to that memory while the interpreter is released; the values read are then
/// undefined, as with any NumPy function.
pub(crate) struct RowsView<T> {
    data: *const T,
    rows: usize,
    cols: usize,
    /// Bytes from one row to the next.
    stride: isize,
    _owner: Py<PyAny>,
}

// SAFETY: the view only reads plain numbers, and the pointer stays valid wherever `_owner` goes.
unsafe impl<T: Sync> Send for RowsView<T> {}
// SAFETY: as above; shared reading needs no synchronisation.
unsafe impl<T: Sync> Sync for RowsView<T> {}

impl<T: Copy> RowsView<T> {
    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The length of each row.
    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`.
    #[inline]
    pub(crate) fn row(&self, i: usize) -> &[T] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        if self.cols == 0 {
            return &[];
        }
        // SAFETY: there are `rows` rows, `stride` bytes apart, within one allocation that `_owner`
        // keeps alive; `lent` has checked that each is contiguous and aligned.
        unsafe {
            std::slice::from_raw_parts(
                self.data.byte_offset(i.cast_signed() * self.stride),
                self.cols,
            )
        }
    }

    /// A view of `x`, whose elements (`E` to NumPy) have the layout of `T`.
    fn new<E: Element>(x: &Bound<'_, PyArray2<E>>, name: &'static str) -> PyResult<Self> {
        Self::of(x)
            .ok_or_else(|| to_py(Error::argument(name, "rows must be contiguous and aligned")))
    }

    /// A view of `x`, a single row if it has one dimension; `None` if it has more than two, or its
    /// rows are not contiguous and aligned.
    fn of<E: Element, D: Dimension>(x: &Bound<'_, PyArray<E, D>>) -> Option<Self> {
        const { assert!(size_of::<E>() == size_of::<T>() && align_of::<E>() == align_of::<T>()) };
        let (rows, cols, stride, step) = match (x.shape(), x.strides()) {
            (&[rows, cols], &[stride, step]) => (rows, cols, stride, step),
            (&[cols], &[step]) => (1, cols, 0, step),
            _ => return None,
        };
        let data = x.data().cast_const().cast::<T>();
        // SAFETY: NumPy guarantees this layout, and the view keeps the array alive.
        unsafe { Self::lent(data, (rows, cols), (stride, step), x.as_any()) }
    }

    /// A view of `rows` rows of `cols` elements, some bytes from one to the next; `None` if the rows
    /// are not contiguous and aligned.
    ///
    /// # Safety
    /// They lie within one allocation that `owner` keeps alive.
    pub(crate) unsafe fn lent(
        data: *const T,
        (rows, cols): (usize, usize),
        (stride, step): (isize, isize),
        owner: &Bound<'_, PyAny>,
    ) -> Option<Self> {
        let contiguous = cols <= 1 || step == size_of::<T>().cast_signed();
        let aligned = |address: usize| address.is_multiple_of(align_of::<T>());
        if rows > 0
            && cols > 0
            && !(contiguous && aligned(data.addr()) && aligned(stride.unsigned_abs()))
        {
            return None;
        }
        Some(Self { data, rows, cols, stride, _owner: owner.clone().unbind() })
    }
}

/// A matrix of logits in one of the precisions that models produce.
pub(crate) enum Logits {
    /// Single precision.
    F32(RowsView<f32>),
    /// IEEE half precision.
    F16(RowsView<f16>),
    /// The upper half of single precision; NumPy holds it as `uint16`.
    Bf16(RowsView<bf16>),
    /// Double precision.
    F64(RowsView<f64>),
}

/// Evaluates `$body` with `$rows` bound to the view of the logits, whatever their precision.
macro_rules! with_rows {
    ($logits:expr, |$rows:ident| $body:expr) => {
        match $logits {
            $crate::arrays::Logits::F32($rows) => $body,
            $crate::arrays::Logits::F16($rows) => $body,
            $crate::arrays::Logits::Bf16($rows) => $body,
            $crate::arrays::Logits::F64($rows) => $body,
        }
    };
}
pub(crate) use with_rows;

impl Logits {
    /// A view of the 2-D array `x`; `uint16` is read as bfloat16 where `bf16` says so.
    pub(crate) fn view(x: &Bound<'_, PyAny>, bf16: bool, name: &'static str) -> PyResult<Self> {
        if bf16 {
            if let Ok(x) = x.cast::<PyArray2<u16>>() {
                return RowsView::new(x, name).map(Self::Bf16);
            }
        } else if let Ok(x) = x.cast::<PyArray2<f32>>() {
            return RowsView::new(x, name).map(Self::F32);
        } else if let Ok(x) = x.cast::<PyArray2<f16>>() {
            return RowsView::new(x, name).map(Self::F16);
        } else if let Ok(x) = x.cast::<PyArray2<f64>>() {
            return RowsView::new(x, name).map(Self::F64);
        }
        let Ok(array) = x.cast::<PyUntypedArray>() else {
            let got = x.get_type().name()?;
            return Err(PyTypeError::new_err(format!("{name}: must be a NumPy array, got {got}")));
        };
        Err(to_py(if array.ndim() == 2 {
            let expected = if bf16 { "uint16 (bfloat16)" } else { "float32, float16 or float64" };
            Error::Dtype { name, expected: expected.into(), got: array.dtype().to_string() }
        } else {
            let got = format!("{:?}", array.shape());
            Error::Shape { name, expected: "(rows, columns)".into(), got }
        }))
    }

    /// A view of an array of one row or two dimensions, if kernels can read it where it lies.
    pub(crate) fn in_place(x: &Bound<'_, PyAny>, bf16: bool) -> Option<Self> {
        if bf16 {
            RowsView::of(x.cast::<PyArrayDyn<u16>>().ok()?).map(Self::Bf16)
        } else if let Ok(x) = x.cast::<PyArrayDyn<f32>>() {
            RowsView::of(x).map(Self::F32)
        } else if let Ok(x) = x.cast::<PyArrayDyn<f16>>() {
            RowsView::of(x).map(Self::F16)
        } else {
            RowsView::of(x.cast::<PyArrayDyn<f64>>().ok()?).map(Self::F64)
        }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        with_rows!(self, |x| x.rows())
    }

    /// The length of each row.
    pub(crate) fn cols(&self) -> usize {
        with_rows!(self, |x| x.cols())
    }
}

/// From an array and whether it holds bfloat16.
impl<'py> FromPyObject<'_, 'py> for Logits {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (array, bf16): (Bound<'py, PyAny>, bool) = x.extract()?;
        Self::view(&array, bf16, "logits")
    }
}

/// A precision of logits.
pub(crate) trait Precision: Copy + Send + Sync {
    /// How NumPy stores it: the same size, alignment and bits.
    type Stored: Element;

    /// The rows of logits of this precision.
    fn rows_of(logits: &Logits) -> Option<&RowsView<Self>>;
}

macro_rules! precision {
    ($type:ty, $stored:ty, $variant:ident) => {
        impl Precision for $type {
            type Stored = $stored;

            fn rows_of(logits: &Logits) -> Option<&RowsView<Self>> {
                if let Logits::$variant(rows) = logits { Some(rows) } else { None }
            }
        }
    };
}
precision!(f32, f32, F32);
precision!(f64, f64, F64);
precision!(f16, f16, F16);
precision!(bf16, u16, Bf16);

/// The rows of an array to write to: each contiguous, any distance apart, none of them in the memory
/// of another.
pub(crate) fn rows_mut<'a, T: Precision>(
    out: &'a mut PyReadwriteArray2<'_, T::Stored>,
) -> PyResult<Vec<&'a mut [T]>> {
    const { assert!(size_of::<T::Stored>() == size_of::<T>()) };
    const { assert!(align_of::<T::Stored>() == align_of::<T>()) };
    let refused = |reason| to_py(Error::argument("out", reason));
    let (&[rows, cols], &[stride, _]) = (out.shape(), out.strides()) else {
        unreachable!("a 2-D array has two lengths and two strides")
    };
    if rows > 1 && stride.unsigned_abs() < cols * size_of::<T>() {
        return Err(refused("rows must not overlap"));
    }
    let mut slices = with_capacity(rows, "rows").map_err(to_py)?;
    for row in out.as_array_mut().outer_iter_mut() {
        let row = row.into_slice().ok_or_else(|| refused("rows must be contiguous"))?;
        // SAFETY: `Stored` is how NumPy stores a `T`: the same size, alignment and bits.
        slices.push(unsafe { std::slice::from_raw_parts_mut(row.as_mut_ptr().cast(), row.len()) });
    }
    Ok(slices)
}
