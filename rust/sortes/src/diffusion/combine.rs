//! Linear combinations of states, in one pass over memory.
//!
//! A step of a sampler is one: of the last argument of the model, its predictions and noises. Each
//! element is computed alone, in the order of the terms, so that it does not depend on the others,
//! on the number of threads or on the instruction set.

use sortes_core::{Result, Run, vectorised};

/// How many elements one task takes.
const TASK: usize = 1 << 14;
/// How many are summed side by side: some vectors of the widest kind, which stay in registers.
const SIDE: usize = 64;

/// What is added up: states of one length, each with its factor, and a constant.
#[derive(Clone, Copy)]
pub struct Terms<'a, T> {
    /// The states, at least one.
    pub states: &'a [&'a [T]],
    /// Their factors.
    pub factors: &'a [T],
    /// What is added to each element.
    pub offset: T,
}

/// A second combination, of the first two states alone, and where it goes.
pub struct Kept<'a, T> {
    /// The factors.
    pub factors: [T; 2],
    /// The result, of the length of the states.
    pub out: &'a mut [T],
}

/// Writes the sum of `terms` to `out`, and that of `kept`.
///
/// # Errors
/// If the work has been asked to stop.
///
/// # Panics
/// If there are not as many factors as states, or the lengths differ.
pub fn combine<T: Number>(
    terms: Terms<'_, T>,
    kept: Option<Kept<'_, T>>,
    out: &mut [T],
    run: Run<'_>,
) -> Result<()> {
    assert_eq!(terms.states.len(), terms.factors.len(), "one factor for each state");
    assert!(terms.states.iter().all(|x| x.len() == out.len()), "states of one length");
    let n = out.len();
    let factors = kept.as_ref().map(|kept| kept.factors);
    let others: &mut [T] = kept.map_or(&mut [], |kept| kept.out);
    assert!(
        factors.is_none() || (others.len() == n && terms.states.len() > 1),
        "states of one length"
    );
    if n <= TASK {
        T::combine(terms, 0, factors, others, out);
        return run.check();
    }
    let mut others = others.chunks_mut(TASK);
    let mut tasks: Vec<(&mut [T], &mut [T])> =
        out.chunks_mut(TASK).map(|out| (out, others.next().unwrap_or_default())).collect();
    run.fill_chunks(&mut tasks, 1, |task, parts| {
        for (out, others) in parts {
            T::combine(terms, task * TASK, factors, others, out);
            run.advance(out.len() as u64);
        }
    })
}

/// A type of states.
pub trait Number: Copy + Send + Sync + Sized {
    /// Combines the elements from number `at` on.
    fn combine(
        terms: Terms<'_, Self>,
        at: usize,
        factors: Option<[Self; 2]>,
        kept: &mut [Self],
        out: &mut [Self],
    );
}

macro_rules! number {
    ($type:ty, $name:ident) => {
        vectorised! {
            fn $name(
                terms: Terms<'_, $type>,
                at: usize,
                factors: Option<[$type; 2]>,
                kept: &mut [$type],
                out: &mut [$type],
            ) {
                let Terms { states, factors: weights, offset } = terms;
                if let Some([a, b]) = factors {
                    let (x, y) = (&states[0][at..][..out.len()], &states[1][at..][..out.len()]);
                    for (kept, (x, y)) in kept.iter_mut().zip(x.iter().zip(y)) {
                        *kept = a * x + b * y;
                    }
                }
                let (whole, rest) = out.as_chunks_mut::<SIDE>();
                let mut at = at;
                for out in whole {
                    let mut sum = [offset; SIDE];
                    for (x, weight) in states.iter().zip(weights) {
                        // Of a length that the compiler knows.
                        let Some(x) = x[at..].first_chunk::<SIDE>() else { break };
                        for (sum, x) in sum.iter_mut().zip(x) {
                            *sum += weight * x;
                        }
                    }
                    *out = sum;
                    at += SIDE;
                }
                rest.fill(offset);
                for (x, weight) in states.iter().zip(weights) {
                    for (sum, x) in rest.iter_mut().zip(&x[at..]) {
                        *sum += weight * x;
                    }
                }
            }
        }

        impl Number for $type {
            fn combine(
                terms: Terms<'_, Self>,
                at: usize,
                factors: Option<[Self; 2]>,
                kept: &mut [Self],
                out: &mut [Self],
            ) {
                $name(terms, at, factors, kept, out);
            }
        }
    };
}
number!(f32, combine_f32);
number!(f64, combine_f64);

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::simd::{available_levels, with_level};

    #[test]
    fn elements_are_those_of_plain_sums_on_every_level() {
        for n in [0, 1, 63, 64, 1000, TASK, 2 * TASK + 65] {
            for many in [1, 2, 3, 6] {
                let value = |i: usize, j: usize| ((i * 37 + j * 101) % 1009) as f32 / 313.0 - 1.6;
                let states: Vec<Vec<f32>> =
                    (0..many).map(|j| (0..n).map(|i| value(i, j)).collect()).collect();
                let states: Vec<&[f32]> = states.iter().map(Vec::as_slice).collect();
                let factors: Vec<f32> = (0..many).map(|j| 0.3 - 0.7 * j as f32).collect();
                let terms = Terms { states: &states, factors: &factors, offset: 0.1 };
                for level in available_levels() {
                    let (mut out, mut other) = (vec![9.0; n], vec![9.0; n]);
                    let kept = Kept { factors: [0.4, -0.9], out: &mut other };
                    let kept = (many > 1).then_some(kept);
                    let run = Run::alone();
                    with_level(level, || combine(terms, kept, &mut out, run)).unwrap();
                    for i in 0..n {
                        let plain = (0..many).fold(0.1f32, |sum, j| sum + factors[j] * value(i, j));
                        assert_eq!(out[i].to_bits(), plain.to_bits(), "{level:?} {n} {many} {i}");
                        let second = 0.4f32 * value(i, 0) + -0.9f32 * value(i, 1);
                        assert!(many == 1 || other[i].to_bits() == second.to_bits(), "{i}");
                    }
                }
            }
        }
    }
}
