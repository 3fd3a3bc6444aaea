//! Compressed sparse rows, checked: matrices with many zeros, and graphs, whose nodes are rows and
//! whose neighbours are columns.

use std::borrow::Cow;
use std::ops::Range;

use crate::memory::{filled, with_capacity};
use crate::{Error, Result, Run};

/// Entries that one task checks.
const TASK: usize = 1 << 16;

/// A type of indices.
pub trait Index: Copy + Send + Sync + Ord + 'static {
    /// As an index of memory, if it is one.
    fn checked(self) -> Option<usize>;

    /// As an index of memory: of one that was checked.
    fn index(self) -> usize;
}

macro_rules! index {
    ($($type:ty),*) => {
        $(impl Index for $type {
            #[inline]
            fn checked(self) -> Option<usize> {
                usize::try_from(self).ok()
            }

            #[inline]
            #[allow(clippy::cast_sign_loss)] // was checked
            fn index(self) -> usize {
                self as usize
            }
        })*
    };
}
index!(i32, i64, u32);

/// Rows of ascending columns, each with a value; `()` where there are no values, which then take no
/// memory.
///
/// ```
/// use sortes_core::{Run, csr::Csr};
///
/// let graph = Csr::without_values(&[0_i64, 2, 3, 3], &[1_i32, 2, 0], 3, "graph", Run::alone());
/// let graph = graph.unwrap();
/// assert_eq!((graph.rows(), graph.columns(0)), (3, &[1, 2][..]));
/// ```
#[derive(Debug, Clone)]
pub struct Csr<'a, I: Index, T: Copy = ()> {
    /// Where each row starts, and the end of the last.
    starts: Vec<usize>,
    columns: Cow<'a, [I]>,
    values: Cow<'a, [T]>,
    width: usize,
}

impl<'a, I: Index> Csr<'a, I> {
    /// As [`new`](Self::new), for rows without values.
    ///
    /// # Errors
    /// As there.
    pub fn without_values(
        indptr: &[impl Index],
        indices: &'a [I],
        width: usize,
        name: &'static str,
        run: Run<'_>,
    ) -> Result<Self> {
        let starts = checked(indptr, indices, width, name, run)?;
        let values = Cow::Owned(vec![(); indices.len()]);
        Ok(Self { starts, columns: Cow::Borrowed(indices), values, width })
    }
}

impl<'a, I: Index, T: Copy> Csr<'a, I, T> {
    /// Checks the parts of an argument called `name`: row `r` has the columns and the values at
    /// `indptr[r]..indptr[r + 1]`, and columns ascend within `0..width`.
    ///
    /// # Errors
    /// [`Error::Argument`] or [`Error::Row`] if the parts do not fit together, a column is out of
    /// range or columns do not ascend; if there is no memory for the starts, or the work is
    /// cancelled.
    pub fn new(
        indptr: &[impl Index],
        indices: &'a [I],
        data: &'a [T],
        width: usize,
        name: &'static str,
        run: Run<'_>,
    ) -> Result<Self> {
        if indices.len() != data.len() {
            let (i, d) = (indices.len(), data.len());
            let reason = format!("indices and data must have one length, got {i} and {d}");
            return Err(Error::argument(name, reason));
        }
        let starts = checked(indptr, indices, width, name, run)?;
        Ok(Self { starts, columns: Cow::Borrowed(indices), values: Cow::Borrowed(data), width })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// What columns are below.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The entries of a row.
    #[inline]
    pub fn range(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// The columns of a row.
    #[inline]
    pub fn columns(&self, row: usize) -> &[I] {
        &self.columns[self.range(row)]
    }

    /// The values of a row.
    #[inline]
    pub fn values(&self, row: usize) -> &[T] {
        &self.values[self.range(row)]
    }

    /// The values of all rows, one after the other.
    pub fn all_values(&self) -> &[T] {
        &self.values
    }

    /// The row and the column of an entry.
    pub fn position(&self, entry: usize) -> (usize, usize) {
        let row = self.starts.partition_point(|&start| start <= entry) - 1;
        (row, self.columns[entry].index())
    }

    /// A copy of some of the rows.
    ///
    /// # Errors
    /// If it cannot be allocated, or the work is cancelled.
    pub fn subset(&self, rows: &[usize], run: Run<'_>) -> Result<Csr<'static, I, T>> {
        let entries = rows.iter().map(|&row| self.range(row).len()).sum();
        let mut starts = with_capacity(rows.len() + 1, "starts of rows")?;
        let mut columns = with_capacity(entries, "columns")?;
        let mut values = with_capacity(entries, "values")?;
        starts.push(0);
        for &row in rows {
            run.check()?;
            columns.extend_from_slice(self.columns(row));
            values.extend_from_slice(self.values(row));
            starts.push(columns.len());
        }
        let (columns, values) = (Cow::Owned(columns), Cow::Owned(values));
        Ok(Csr { starts, columns, values, width: self.width })
    }
}

/// The starts of the rows, once the structure has been found in order.
fn checked<I: Index>(
    indptr: &[impl Index],
    indices: &[I],
    width: usize,
    name: &'static str,
    run: Run<'_>,
) -> Result<Vec<usize>> {
    let entries = indices.len();
    let starts = starts(indptr, entries, (name, "indptr "), run)?;
    let mut faults = filled(entries.div_ceil(TASK), None, "tasks")?;
    run.fill_chunks(&mut faults, 1, |task, fault| {
        let part = task * TASK..entries.min((task + 1) * TASK);
        fault[0] = first_fault(&starts, indices, width, part);
    })?;
    match faults.into_iter().flatten().next() {
        None => Ok(starts),
        Some((row, reason)) => Err(Error::row(name, row, reason)),
    }
}

/// Where each row starts, and the end of the last: `indptr`, once it is known to ascend from 0 to
/// `entries`. Messages name an argument, and what in it `indptr` is.
///
/// # Errors
/// If it does not; if there is no memory for the starts, or the work is cancelled.
pub fn starts(
    indptr: &[impl Index],
    entries: usize,
    (name, what): (&'static str, &str),
    run: Run<'_>,
) -> Result<Vec<usize>> {
    let bad = |reason: String| Err(Error::argument(name, reason));
    let mut starts: Vec<usize> = with_capacity(indptr.len(), "starts of rows")?;
    for range in run.blocks(indptr.len(), TASK) {
        for row in range? {
            match indptr[row].checked() {
                Some(start)
                    if start <= entries && starts.last().is_none_or(|&last| last <= start) =>
                {
                    starts.push(start);
                }
                _ => {
                    return bad(format!(
                        "{what}must ascend within [0, {entries}], item {row} does not"
                    ));
                }
            }
        }
    }
    if starts.first() != Some(&0) || starts.last() != Some(&entries) {
        return bad(format!("{what}must begin with 0 and end with {entries}"));
    }
    Ok(starts)
}

/// The first row with an index at fault among the entries of `part`, and what is wrong with it.
fn first_fault<I: Index>(
    starts: &[usize],
    indices: &[I],
    width: usize,
    part: Range<usize>,
) -> Option<(usize, String)> {
    let first = starts.partition_point(|&start| start <= part.start) - 1;
    for (row, pair) in starts.windows(2).enumerate().skip(first) {
        if pair[0] >= part.end {
            break;
        }
        let begin = pair[0].max(part.start);
        // The index before is that of another task or of no row.
        let mut before = (begin > pair[0]).then(|| indices[begin - 1]);
        for (entry, &index) in (begin..).zip(&indices[begin..pair[1].min(part.end)]) {
            let number = entry - pair[0];
            if index.checked().is_none_or(|column| column >= width) {
                let reason =
                    format!("index {number} of the row is out of range for {width} columns");
                return Some((row, reason));
            }
            if before >= Some(index) {
                return Some((
                    row,
                    format!("indices must ascend, index {number} of the row does not"),
                ));
            }
            before = Some(index);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [i32; 4] = [0, 2, 1, 3];

    fn refused(indptr: &[i64], indices: &[i32], data: &[f64]) -> String {
        Csr::new(indptr, indices, data, 4, "X", Run::alone()).unwrap_err().to_string()
    }

    #[test]
    fn rows_are_what_was_given() {
        let values = [0.5, 1.5, 2.5, 3.5];
        let csr = Csr::new(&[0_i32, 2, 2, 4], &COLUMNS, &values, 4, "X", Run::alone()).unwrap();
        assert_eq!((csr.rows(), csr.width()), (3, 4));
        assert_eq!((csr.columns(1), csr.values(2)), (&[][..], &[2.5, 3.5][..]));
        assert_eq!([0, 1, 2, 3].map(|entry| csr.position(entry)), [(0, 0), (0, 2), (2, 1), (2, 3)]);
        let some = csr.subset(&[2, 1, 2], Run::alone()).unwrap();
        assert_eq!(
            (some.rows(), some.columns(2), some.values(0)),
            (3, &[1, 3][..], &[2.5, 3.5][..])
        );
        let bare = Csr::without_values(&[0_i64, 0], &[] as &[u32], 0, "graph", Run::alone());
        assert_eq!(bare.unwrap().rows(), 1);
    }

    #[test]
    fn bad_parts_are_named() {
        let values = [1.0; 4];
        for (indptr, indices, message) in [
            (&[0, 4][..], COLUMNS, "X: row 0: indices must ascend, index 2 of the row does not"),
            (&[0, 3, 2, 4], COLUMNS, "X: indptr must ascend within [0, 4], item 2 does not"),
            (&[0, -1, 4], COLUMNS, "X: indptr must ascend within [0, 4], item 1 does not"),
            (&[0, 2], COLUMNS, "X: indptr must begin with 0 and end with 4"),
            (&[], COLUMNS, "X: indptr must begin with 0 and end with 4"),
            (
                &[0, 2, 4],
                [0, 2, 1, 4],
                "X: row 1: index 1 of the row is out of range for 4 columns",
            ),
            (
                &[0, 2, 4],
                [0, 2, -1, 3],
                "X: row 1: index 0 of the row is out of range for 4 columns",
            ),
            (
                &[0, 2, 4],
                [0, 2, 3, 3],
                "X: row 1: indices must ascend, index 1 of the row does not",
            ),
        ] {
            assert_eq!(refused(indptr, &indices, &values), message);
        }
        let message = refused(&[0, 2, 4], &COLUMNS, &values[..3]);
        assert_eq!(message, "X: indices and data must have one length, got 4 and 3");
    }

    #[test]
    fn the_first_fault_is_found_wherever_tasks_meet() {
        // Rows of 5 columns, and a row of more than two tasks.
        let long = 2 * TASK + 77;
        let short = TASK / 5 + 10;
        let mut indptr: Vec<i64> = (0..=short as i64).map(|row| 5 * row).collect();
        indptr.push((5 * short + long) as i64);
        let mut indices: Vec<i32> = (0..5 * short as i32).map(|i| i % 5).collect();
        indices.extend(0..long as i32);
        let check = |indices: &[i32]| {
            Csr::without_values(&indptr, indices, long, "graph", Run::alone()).map(|_| ())
        };
        assert_eq!(check(&indices), Ok(()));
        for entry in [1, 4, TASK - 1, TASK, TASK + 1, 2 * TASK, 3 * TASK, 5 * short + long - 1] {
            let was = indices[entry];
            let row = indptr.partition_point(|&start| start as usize <= entry) - 1;
            let number = entry - indptr[row] as usize;
            let new = if number > 0 { indices[entry - 1] } else { -1 };
            indices[entry] = new;
            let what = if number > 0 { "ascend" } else { "out of range" };
            let error = check(&indices).unwrap_err().to_string();
            assert!(error.starts_with(&format!("graph: row {row}: ")), "{error}");
            assert!(error.contains(what) && error.contains(&format!("index {number} ")), "{error}");
            indices[entry] = was;
        }
    }
}
