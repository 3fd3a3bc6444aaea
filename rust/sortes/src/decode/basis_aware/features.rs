//! The columns of the programs: the rows of a reduced output matrix, and a one.

use sortes_core::{Error, Result};

use super::columns::Columns;

/// A reduced output matrix: for each token the coordinates of its row, and a one.
///
/// Coordinates are scaled by powers of two to a root mean square near one, which is exact and
/// changes no answer; certificates are given in the caller's scale.
#[derive(Debug, Clone)]
pub struct Features {
    dim: usize,
    rows: Vec<f32>,
    pub(super) columns: Columns,
    /// What each coordinate was multiplied by.
    scale: Vec<f64>,
}

impl Features {
    /// From a matrix of `dim` columns by rows, the last column of which holds ones.
    ///
    /// # Errors
    /// [`Error::Argument`] if `matrix` has no rows, a number that is not finite, or something else
    /// than a one in its last column.
    pub fn new(mut matrix: Vec<f32>, dim: usize) -> Result<Self> {
        if matrix.is_empty() || dim == 0 || !matrix.len().is_multiple_of(dim) {
            let reason = format!("{} numbers are not rows of {dim}", matrix.len());
            return Err(Error::argument("features", reason));
        }
        let mut scale = vec![1.0; dim];
        for (k, scale) in scale.iter_mut().enumerate() {
            let squares: f64 = matrix[k..].iter().step_by(dim).map(|&a| f64::from(a).powi(2)).sum();
            if !squares.is_finite() {
                return Err(Error::argument("features", format!("column {k} is not finite")));
            }
            let size = (squares * dim as f64 / matrix.len() as f64).sqrt();
            if size > 0.0 {
                // Within the exponents of f32, so that the product stays exact.
                *scale = (-size.log2().round().clamp(-100.0, 100.0)).exp2();
            }
        }
        if let Some(token) = matrix[dim - 1..].iter().step_by(dim).position(|&a| a != 1.0) {
            let reason =
                format!("the last column must hold ones, token {token} has another number");
            return Err(Error::argument("features", reason));
        }
        for row in matrix.chunks_exact_mut(dim) {
            for (a, &scale) in row.iter_mut().zip(&scale) {
                *a = (f64::from(*a) * scale) as f32;
            }
        }
        let mut columns = Columns::new(dim, matrix.len() / dim);
        matrix.chunks_exact(dim).for_each(|row| columns.push(row));
        Ok(Self { dim, rows: matrix, columns, scale })
    }

    /// The number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Coordinates of a token, the one included.
    pub fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn row(&self, token: usize) -> &[f32] {
        &self.rows[token * self.dim..][..self.dim]
    }

    pub(super) fn gather(&self, tokens: &[u32]) -> Columns {
        let mut columns = Columns::new(self.dim, tokens.len());
        for &token in tokens {
            columns.push(self.row(token as usize));
        }
        columns
    }

    /// Prices of the scaled coordinates as prices of the caller's.
    pub(super) fn unscaled(&self, price: &[f64]) -> Vec<f64> {
        price.iter().zip(&self.scale).map(|(y, scale)| y * scale).collect()
    }
}
