//! Products of long rows with each other, summed in one order: the same bits wherever they lie in memory
//! and on every instruction set, which libraries of linear algebra do not promise.

use sortes_core::memory::zeroed;
use sortes_core::{Result, Run, vectorised};

/// Sums that are kept side by side.
const SUMS: usize = 16;
/// Columns that stay in a near cache while all rows are multiplied.
const COLUMNS: usize = 512;

/// The products of each row of `left` with each of `right`; rows are of `n` numbers.
///
/// # Errors
/// If there is no memory for them, or the work is cancelled.
pub fn products(left: &[f64], right: &[f64], n: usize, run: Run<'_>) -> Result<Vec<f64>> {
    let rows = |all: &[f64]| all.len().checked_div(n).unwrap_or(0);
    let (many, others) = (rows(left), rows(right));
    let mut out = zeroed(many * others, "products")?;
    for columns in run.blocks(n, COLUMNS) {
        let columns = columns?;
        let part =
            |all, row: usize| -> &[f64] { &<[f64]>::as_ref(all)[row * n..][columns.clone()] };
        for i in 0..many {
            let row = part(left, i);
            for j in 0..others {
                let mut sums = [0.0; SUMS];
                multiply(row, part(right, j), &mut sums);
                out[i * others + j] += sums.iter().sum::<f64>();
            }
        }
    }
    Ok(out)
}

vectorised! {
    /// Adds products of numbers to sums, each to its own in turn.
    fn multiply(x: &[f64], y: &[f64], sums: &mut [f64; SUMS]) {
        let ((x, rest_x), (y, rest_y)) = (x.as_chunks::<SUMS>(), y.as_chunks::<SUMS>());
        for (x, y) in x.iter().zip(y) {
            for k in 0..SUMS {
                sums[k] += x[k] * y[k];
            }
        }
        for (sum, (x, y)) in sums.iter_mut().zip(rest_x.iter().zip(rest_y)) {
            *sum += x * y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::rng::{Purpose, Stream};
    use sortes_core::simd::{available_levels, with_level};

    #[test]
    fn products_are_those_of_plain_loops_on_every_instruction_set() {
        let mut draws = Stream::new(5).draws(Purpose::Uniform, 0);
        for n in [0, 1, 15, 16, 513, 1500] {
            let left: Vec<f64> = (0..3 * n).map(|_| draws.normal()).collect();
            let right: Vec<f64> = (0..2 * n).map(|_| draws.normal()).collect();
            let all: Vec<Vec<u64>> = available_levels()
                .into_iter()
                .map(|level| {
                    let found = with_level(level, || products(&left, &right, n, Run::alone()));
                    found.unwrap().into_iter().map(f64::to_bits).collect()
                })
                .collect();
            assert!(all.iter().all(|one| one == &all[0]));
            for (at, &bits) in all[0].iter().enumerate() {
                let (i, j) = (at / 2, at % 2);
                let wanted: f64 = (0..n).map(|k| left[i * n + k] * right[j * n + k]).sum();
                assert!((f64::from_bits(bits) - wanted).abs() < 1e-10, "{n} {at}");
            }
        }
    }
}
