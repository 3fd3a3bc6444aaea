//! The columns of the programs: the rows of a reduced output matrix, and a one.

use std::sync::Arc;

use sortes_core::bytes::{Kind, Reader, Writer, corrupt};
use sortes_core::{Error, Result, Run};

use super::columns::Columns;
use super::simplex::POLL;
use super::{BasisAware, Settings};

/// Rows of the matrix between two looks at the stop request.
const BLOCK: usize = 4096;
/// What a matrix holds.
const WHAT: &str = "features";

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
    /// than a one in its last column; [`Error::Resource`], [`Error::Cancelled`].
    pub fn new(mut matrix: Vec<f32>, dim: usize, run: Run<'_>) -> Result<Self> {
        if matrix.is_empty() || dim == 0 || !matrix.len().is_multiple_of(dim) {
            let reason = format!("{} numbers are not rows of {dim}", matrix.len());
            return Err(Error::argument("features", reason));
        }
        // 1. The scale of each coordinate.
        let mut scale = vec![1.0; dim];
        for (k, scale) in scale.iter_mut().enumerate() {
            run.check()?;
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
        // 2. Both layouts, scaled.
        let mut columns = Columns::new(dim, matrix.len() / dim)?;
        for rows in matrix.chunks_mut(BLOCK * dim) {
            run.check()?;
            for row in rows.chunks_exact_mut(dim) {
                for (a, &scale) in row.iter_mut().zip(&scale) {
                    *a = (f64::from(*a) * scale) as f32;
                }
                columns.push(row)?;
            }
            run.advance((rows.len() / dim) as u64);
        }
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

    /// The matrix as it was given.
    pub fn matrix(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        (0..self.rows.len()).map(|i| (f64::from(self.rows[i]) / self.scale[i % self.dim]) as f32)
    }

    pub(super) fn row(&self, token: usize) -> &[f32] {
        &self.rows[token * self.dim..][..self.dim]
    }

    pub(super) fn gather(&self, tokens: &[u32], run: Run<'_>) -> Result<Columns> {
        let mut columns = Columns::new(self.dim, tokens.len())?;
        for range in run.blocks(tokens.len(), POLL) {
            for &token in &tokens[range?] {
                columns.push(self.row(token as usize))?;
            }
        }
        Ok(columns)
    }

    /// Prices of the scaled coordinates as prices of the caller's.
    pub(super) fn unscaled(&self, price: &[f64]) -> Vec<f64> {
        price.iter().zip(&self.scale).map(|(y, scale)| y * scale).collect()
    }
}

impl BasisAware {
    /// The matrix and the options as bytes.
    ///
    /// # Errors
    /// [`Error::Resource`], [`Error::Cancelled`].
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let Self { features, settings, max_programs, strict } = self;
        let pairs = features.rows.len().div_ceil(2);
        let mut to = Writer::with_capacity(Kind::Basis, 6 + pairs)?;
        to.word(settings.nonneg.into());
        to.word(settings.max_pivots as u64);
        to.word((*max_programs).into());
        to.word((*strict).into());
        to.word(features.dim as u64);
        to.word(features.rows.len() as u64);
        // Two numbers to a word, the first one below.
        let mut matrix = features.matrix().map(f32::to_bits);
        let mut next = || u64::from(matrix.next().unwrap_or(0));
        to.words((0..pairs).map(|_| next() | next() << 32), run)?;
        Ok(to.finish())
    }

    /// What these bytes are the state of.
    ///
    /// # Errors
    /// [`Error::Argument`] if they are not the bytes of such a state; [`Error::Resource`],
    /// [`Error::Cancelled`].
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        let mut from = Reader::of(bytes, Kind::Basis, run)?;
        let nonneg = from.flag("nonneg")?;
        let max_pivots = usize::try_from(from.word()?).map_err(|_| corrupt("max_pivots"))?;
        let max_programs = u32::try_from(from.word()?).map_err(|_| corrupt("max_lp"))?;
        let strict = from.flag("strict")?;
        let (dim, len) = (from.word()? as usize, from.word()? as usize);
        if max_pivots == 0 || len.div_ceil(2) != from.remaining() {
            return Err(corrupt("the number of steps or of features"));
        }
        let pair = |word: u64| [word as u32, (word >> 32) as u32].map(f32::from_bits);
        let mut matrix = from.column(len.div_ceil(2), WHAT, run, pair)?.into_flattened();
        matrix.truncate(len);
        from.finish()?;
        let features = Features::new(matrix, dim, run).map_err(|error| match error {
            Error::Argument { reason, .. } => corrupt(&reason),
            error => error,
        })?;
        let settings = Settings::new(nonneg, max_pivots);
        Ok(Self { features: Arc::new(features), settings, max_programs, strict })
    }
}
