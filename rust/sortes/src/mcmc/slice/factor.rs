//! A lower triangular matrix, laid out for its product with a vector.

use sortes_core::vectorised;

/// Rows that are summed up side by side.
const ROWS: usize = 16;

/// The matrix: panels of as many rows, each column by column as far as the diagonal goes.
#[derive(Debug, Clone)]
pub struct Factor {
    panels: Vec<f64>,
}

/// Up to which column a panel goes, of a matrix of `dim` rows.
#[inline(always)]
fn columns(panel: usize, dim: usize) -> usize {
    (ROWS * (panel + 1)).min(dim)
}

impl Factor {
    /// Of its rows, each of `dim` numbers.
    pub fn new(tril: &[f64], dim: usize) -> Self {
        let sizes = (0..dim.div_ceil(ROWS)).map(|panel| ROWS * columns(panel, dim));
        let mut made = Self { panels: vec![0.0; sizes.sum()] };
        made.refit(tril, dim);
        made
    }

    /// Takes another matrix of the same size.
    pub(super) fn refit(&mut self, tril: &[f64], dim: usize) {
        let mut rest = &mut self.panels[..];
        for (panel, rows) in tril.chunks(ROWS * dim).enumerate() {
            let (here, behind) = rest.split_at_mut(ROWS * columns(panel, dim));
            for (k, row) in rows.chunks_exact(dim).enumerate() {
                for (j, &entry) in row[..=ROWS * panel + k].iter().enumerate() {
                    here[j * ROWS + k] = entry;
                }
            }
            rest = behind;
        }
    }

    /// Writes its product with `z`.
    #[inline]
    pub(super) fn times(&self, z: &[f64], out: &mut [f64]) {
        product(&self.panels, z, out);
    }
}

vectorised! {
    /// The product of panels with `z`: even columns and odd ones apart, which need not wait for each other.
    fn product(panels: &[f64], z: &[f64], out: &mut [f64]) {
        let mut rest = panels;
        for (panel, out) in out.chunks_mut(ROWS).enumerate() {
            let width = columns(panel, z.len());
            let (here, behind) = rest.split_at(ROWS * width);
            rest = behind;
            let (mut even, mut odd) = ([0.0; ROWS], [0.0; ROWS]);
            let (pairs, last) = here.as_chunks::<{ 2 * ROWS }>();
            let (factors, _) = z[..width].as_chunks::<2>();
            for (pair, [first, second]) in pairs.iter().zip(factors) {
                for k in 0..ROWS {
                    even[k] += pair[k] * first;
                    odd[k] += pair[ROWS + k] * second;
                }
            }
            if let Some(last) = last.first_chunk::<ROWS>() {
                for k in 0..ROWS {
                    even[k] += last[k] * z[width - 1];
                }
            }
            let mut sums = [0.0; ROWS];
            for k in 0..ROWS {
                sums[k] = even[k] + odd[k];
            }
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use sortes_core::simd::{available_levels, with_level};

    use super::*;

    #[test]
    fn products_are_those_of_rows_on_every_instruction_set() {
        for dim in [1, 2, 15, 16, 17, 31, 32, 33, 50] {
            // Small integers: every order of additions is exact.
            let entry =
                |i: usize, j: usize| if j <= i { ((7 * i + 3 * j) % 11) as f64 - 5.0 } else { 9.0 };
            let tril: Vec<f64> = (0..dim * dim).map(|k| entry(k / dim, k % dim)).collect();
            let z: Vec<f64> = (0..dim).map(|j| (j * j % 13) as f64 - 6.0).collect();
            let expected: Vec<f64> =
                (0..dim).map(|i| (0..=i).map(|j| entry(i, j) * z[j]).sum()).collect();
            let factor = Factor::new(&tril, dim);
            for level in available_levels() {
                let mut found = vec![f64::NAN; dim];
                with_level(level, || factor.times(&z, &mut found));
                assert_eq!(found, expected, "{dim} {level:?}");
            }
        }
    }
}
