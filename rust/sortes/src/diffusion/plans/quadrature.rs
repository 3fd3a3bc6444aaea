//! Integrals of exponentials, polynomials and smooth functions.

/// The moments `H int_0^1 exp(-H (1 - u)) u^k du` for `k < n`, of either sign of `H`.
pub(in crate::diffusion) fn moments(h: f64, n: usize) -> Vec<f64> {
    if h == f64::INFINITY {
        return vec![1.0; n];
    }
    let mut out = vec![-(-h).exp_m1()];
    for k in 1..n {
        // Upward where that is stable; otherwise k! H sum_j (-H)^j / (k + 1 + j)!.
        let moment = if h.abs() >= 2.0 {
            1.0 - k as f64 * out[k - 1] / h
        } else {
            let mut term = h / (k + 1) as f64;
            let mut sum = term;
            for j in 1..40 {
                term *= -h / (k + 1 + j) as f64;
                sum += term;
            }
            sum
        };
        out.push(moment);
    }
    out
}

/// Weights of values at `nodes` that integrate every polynomial of lower degree as `moments` say:
/// the solution of `sum_j w_j u_j^k = m_k`.
pub(in crate::diffusion) fn weights(nodes: &[f64], moments: &[f64]) -> Vec<f64> {
    // Of Newton's divided differences: w_j is the integral of the Lagrange polynomial l_j.
    let n = nodes.len();
    (0..n)
        .map(|j| {
            let mut product = vec![1.0];
            for (i, &u) in nodes.iter().enumerate().filter(|&(i, _)| i != j) {
                let scale = 1.0 / (nodes[j] - nodes[i]);
                let mut next = vec![0.0; product.len() + 1];
                for (k, c) in product.iter().enumerate() {
                    next[k + 1] += c * scale;
                    next[k] -= c * u * scale;
                }
                product = next;
            }
            product.iter().zip(moments).map(|(c, m)| c * m).sum()
        })
        .collect()
}

/// The Lagrange polynomial `j` of `nodes` at `x`.
pub(in crate::diffusion) fn lagrange(nodes: &[f64], j: usize, x: f64) -> f64 {
    let others = nodes.iter().enumerate().filter(|&(i, _)| i != j);
    others.map(|(_, u)| (x - u) / (nodes[j] - u)).product()
}

/// Nodes of Gauss and Legendre.
const NODES: usize = 32;

/// The integral of a smooth function, exact for polynomials of degree 63.
pub(super) fn integral(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (centre, half) = (0.5 * (from + to), 0.5 * (to - from));
    let mut sum = 0.0;
    for i in 0..NODES / 2 {
        // The root of the Legendre polynomial near its estimate, by Newton's method.
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (NODES as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..4 {
            let (mut before, mut value) = (1.0, x);
            for k in 2..=NODES {
                let k = k as f64;
                (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
            }
            slope = NODES as f64 * (x * value - before) / (x * x - 1.0);
            x -= value / slope;
        }
        let weight = 2.0 / ((1.0 - x * x) * slope * slope);
        sum += weight * (f(centre + half * x) + f(centre - half * x));
    }
    half * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_quadrature() {
        for h in [-9.0, -1.5, -1e-3, 1e-6, 0.3, 1.9, 2.1, 7.0, 30.0] {
            for (k, got) in moments(h, 6).into_iter().enumerate() {
                let f = |u: f64| h * (-h * (1.0 - u)).exp() * u.powi(k as i32);
                let expected = integral(0.0, 0.5, f) + integral(0.5, 1.0, f);
                assert!((got - expected).abs() <= 1e-13 * h.abs().max(expected.abs()), "{h} {k}");
            }
        }
    }

    #[test]
    fn weights_integrate_polynomials() {
        let nodes = [0.0, -0.7, -2.1, 1.0];
        let moments = moments(1.3, 4);
        let w = weights(&nodes, &moments);
        for (k, expected) in moments.iter().enumerate() {
            let got: f64 = w.iter().zip(nodes).map(|(w, u)| w * u.powi(k as i32)).sum();
            assert!((got - expected).abs() < 1e-14);
        }
        assert!((lagrange(&nodes, 1, -0.7) - 1.0).abs() < 1e-15);
        assert_eq!(lagrange(&nodes, 1, -2.1), 0.0);
    }
}
