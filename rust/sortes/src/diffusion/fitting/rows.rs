//! Rows of coefficients of a run with one evaluation for each step, and their fit by least squares.
//!
//! Row `k` makes the next state of the present one and of the last predictions of the data, newest
//! first: `x' = c x + sum_j w_j m_j`. It is a classical row, that of an exponential Adams method, and
//! a combination of directions: each coefficient by itself, or, where an order is to be kept, those
//! that change nothing for predictions that are polynomials of lower degree in `lam`.

use sortes_core::memory::zeroed;
use sortes_core::{Error, Result};

use crate::diffusion::plans::levels::Levels;
use crate::diffusion::plans::quadrature::{lagrange, moments, weights};

/// What rows are like.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// How many predictions a row combines at most.
    pub history: usize,
    /// The points of the classical row.
    pub order: usize,
    /// The order that fitted rows keep; 0 for none.
    pub kept: usize,
}

/// A row `c, w_0, w_1, ...` and the directions in which it may move, rows of as many numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The classical row.
    pub base: Vec<f64>,
    /// The directions, one after the other.
    pub directions: Vec<f64>,
}

/// Row `k` on some levels.
///
/// # Panics
/// If there is no such row, or a number of the form is zero that must not be.
pub fn row(form: Form, levels: &Levels, k: usize) -> Row {
    let (from, to) = (levels.get(k), levels.get(k + 1));
    let points = form.history.min(k + 1);
    let width = points + 1;
    let h = to.lam - from.lam;
    // Places of earlier predictions; none begins a slope at pure noise.
    let nodes: Vec<f64> = (0..points)
        .map(|j| levels.get(k - j).lam)
        .take_while(|&lam| lam > f64::NEG_INFINITY)
        .map(|lam| (lam - from.lam) / h)
        .collect();
    let is_smooth = h < f64::INFINITY && !nodes.is_empty();
    let order = if is_smooth { form.order.min(nodes.len()) } else { 1 };
    let mut base = vec![0.0; width];
    base[0] = to.s / from.s;
    if order == 1 {
        base[1] = to.a - from.a * base[0];
    } else {
        let w = weights(&nodes[..order], &moments(h, order));
        base[1..=order].iter_mut().zip(w).for_each(|(out, w)| *out = to.a * w);
    }
    let mut directions = Vec::new();
    if form.kept == 0 {
        for j in 0..width {
            let at = directions.len();
            directions.resize(at + width, 0.0);
            directions[at + j] = 1.0;
        }
    } else {
        let kept = if is_smooth { form.kept.min(order) } else { 1 };
        // Predictions whose places are known; for order 1 they need none.
        let known = if kept == 1 { points } else { nodes.len() };
        for j in kept..known {
            let at = directions.len();
            directions.resize(at + width, 0.0);
            directions[at + 1 + j] = 1.0;
            for i in 0..kept {
                let share = if kept == 1 { 1.0 } else { lagrange(&nodes[..kept], i, nodes[j]) };
                directions[at + 1 + i] = -share;
            }
        }
    }
    Row { base, directions }
}

/// The row that makes what is nearest to a target, by products of what it combines.
///
/// `gram` holds the products of the state and the predictions with each other, `target` those with
/// the target. `ridge` draws towards the classical row: it is the share by which the square of each
/// direction is made larger.
///
/// # Errors
/// If a product is no finite number.
///
/// # Panics
/// If the tables have lengths that do not belong together.
pub fn fitted(row: &Row, gram: &[f64], target: &[f64], ridge: f64) -> Result<Vec<f64>> {
    let width = row.base.len();
    assert_eq!((gram.len(), target.len()), (width * width, width), "products of all");
    if gram.iter().chain(target).any(|x| !x.is_finite()) {
        return Err(Error::argument("denoiser", "returned numbers that are not finite"));
    }
    let many = row.directions.len() / width;
    let direction = |i: usize| &row.directions[i * width..(i + 1) * width];
    let times = |x: &[f64]| -> Vec<f64> {
        gram.chunks_exact(width).map(|g| g.iter().zip(x).map(|(g, x)| g * x).sum()).collect()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let rest: Vec<f64> = target.iter().zip(times(&row.base)).map(|(t, g)| t - g).collect();
    let mut normal = zeroed(many * many, "products")?;
    let mut right = vec![0.0; many];
    for i in 0..many {
        let moved = times(direction(i));
        for j in 0..many {
            normal[i * many + j] = dot(&moved, direction(j));
        }
        right[i] = dot(direction(i), &rest);
        normal[i * many + i] *= 1.0 + ridge;
    }
    let steps = solved(&mut normal, right);
    let mut out = row.base.clone();
    for (i, step) in steps.iter().enumerate() {
        out.iter_mut().zip(direction(i)).for_each(|(out, d)| *out += step * d);
    }
    Ok(out)
}

/// The solution of a positive semidefinite system, by Cholesky's method with pivots: what hardly
/// differs from what is there already stays out.
fn solved(a: &mut [f64], mut b: Vec<f64>) -> Vec<f64> {
    /// Pivots below this share of their first value are rounding.
    const LEAST: f64 = 1e-14;
    let n = b.len();
    let first: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
    let mut order: Vec<usize> = Vec::new();
    // Outer products, one pivot at a time; column `p` of the factor is kept in row `p` of `a`.
    let mut left: Vec<usize> = (0..n).collect();
    while let Some((place, &p)) = left
        .iter()
        .enumerate()
        .filter(|&(_, &i)| a[i * n + i] > LEAST * first[i])
        .max_by(|x, y| a[x.1 * n + x.1].total_cmp(&a[y.1 * n + y.1]).then(y.1.cmp(x.1)))
    {
        left.remove(place);
        order.push(p);
        let root = a[p * n + p].sqrt();
        let column: Vec<f64> = left.iter().map(|&i| a[i * n + p] / root).collect();
        for (x, &i) in left.iter().enumerate() {
            for (y, &j) in left.iter().enumerate() {
                a[i * n + j] -= column[x] * column[y];
            }
        }
        b[p] /= root;
        for (x, &i) in left.iter().enumerate() {
            b[i] -= column[x] * b[p];
            a[p * n + i] = column[x];
        }
        a[p * n + p] = root;
    }
    let mut out = vec![0.0; n];
    for (at, &p) in order.iter().enumerate().rev() {
        let known: f64 = order[at + 1..].iter().map(|&i| a[p * n + i] * out[i]).sum();
        out[p] = (b[p] - known) / a[p * n + p];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::plans::levels::Kind;

    fn levels() -> Levels {
        let any = Levels::new(Kind::Vp, &[0.6, 0.8], &[0.8, 0.6]).unwrap();
        let all = [-1.5, -0.7, 0.2, 0.6, 1.9].map(|lam| any.at(lam));
        Levels::new(Kind::Vp, &all.map(|l| l.a), &all.map(|l| l.s)).unwrap()
    }

    /// What a row makes of predictions that are a power of `lam`, from the exact state.
    fn made(row: &[f64], levels: &Levels, k: usize, power: i32) -> f64 {
        // The state of constant noise 1 and a prediction of 0 at the start of the step.
        let w: f64 = row[1..]
            .iter()
            .enumerate()
            .map(|(j, w)| w * (levels.get(k - j).lam - levels.get(k).lam).powi(power))
            .sum();
        w
    }

    #[test]
    fn directions_that_keep_an_order_change_nothing_of_it() {
        let levels = levels();
        for kept in 1..=3 {
            let form = Form { history: 4, order: 3, kept };
            let row = row(form, &levels, 3);
            let width = row.base.len();
            assert_eq!(row.directions.len(), (4 - kept) * width);
            for direction in row.directions.chunks_exact(width) {
                assert_eq!(direction[0], 0.0);
                for power in 0..kept as i32 {
                    assert!(made(direction, &levels, 3, power).abs() < 1e-12);
                }
                assert!(made(direction, &levels, 3, kept as i32).abs() > 1e-3);
            }
        }
    }

    #[test]
    fn ends_of_paths_have_rows() {
        let levels = Levels::new(Kind::Flow, &[0.0, 0.3, 0.6, 1.0], &[1.0, 0.7, 0.4, 0.0]).unwrap();
        let form = Form { history: 3, order: 2, kept: 1 };
        assert_eq!(row(form, &levels, 0).base, [0.7, 0.3]);
        assert_eq!(row(form, &levels, 1).directions, [0.0, -1.0, 1.0]);
        let last = row(form, &levels, 2);
        assert_eq!(last.base, [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(last.directions, [0.0, -1.0, 1.0, 0.0, 0.0, -1.0, 0.0, 1.0]);
        let second = Form { kept: 2, ..form };
        assert_eq!(row(second, &levels, 1).directions, [0.0, -1.0, 1.0]);
    }

    #[test]
    fn a_target_that_can_be_made_is_found() {
        let features = [[1.0, 2.0, -1.0, 0.5], [0.3, -1.0, 2.0, 1.0], [2.0, 0.1, 0.4, -1.0]];
        let wanted = [0.5, -1.5, 2.0];
        let target: Vec<f64> =
            (0..4).map(|e| (0..3).map(|i| wanted[i] * features[i][e]).sum()).collect();
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let gram: Vec<f64> = features
            .iter()
            .flat_map(|a| features.iter().map(move |b| dot(a, b)).collect::<Vec<_>>())
            .collect();
        let right: Vec<f64> = features.iter().map(|a| dot(a, &target)).collect();
        let form = Form { history: 2, order: 2, kept: 0 };
        let row = row(form, &levels(), 1);
        let found = fitted(&row, &gram, &right, 0.0).unwrap();
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        let drawn = fitted(&row, &gram, &right, 1e12).unwrap();
        assert!(drawn.iter().zip(&row.base).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(fitted(&row, &[f64::NAN; 9], &right, 0.0).is_err());
    }

    #[test]
    fn what_is_there_twice_does_no_harm() {
        // The second feature is the first, and the third is nothing.
        let gram = [2.0, 2.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0];
        let row = Row { base: vec![0.0; 3], directions: vec![1., 0., 0., 0., 1., 0., 0., 0., 1.] };
        let found = fitted(&row, &gram, &[3.0, 3.0, 0.0], 0.0).unwrap();
        assert!((found[0] + found[1] - 1.5).abs() < 1e-12 && found[2] == 0.0, "{found:?}");
    }
}
