//! Linear combinations of states, in one pass over memory.
//!
//! A step of a sampler is one: of the last argument of the model, its predictions and noises. Each
//! element is computed alone, in the order of the terms, so that it does not depend on the others,
//! on the number of threads or on the instruction set.

use std::ops::{Add, Mul};

use sortes_core::{Result, Run, vectorised};

/// How many elements one task takes.
const TASK: usize = 1 << 14;
/// How many are summed side by side: some vectors of the widest kind, which stay in registers.
const SIDE: usize = 32;

/// What is added up: states of one length, each with its factor, and a constant.
#[derive(Clone, Copy)]
pub struct Terms<'a, T> {
    /// The states.
    pub states: &'a [&'a [T]],
    /// Their factors.
    pub factors: &'a [T],
    /// What is added to each element.
    pub offset: T,
}

/// A second combination, of two states, and where it goes.
pub struct Kept<'a, T> {
    /// The states.
    pub states: [&'a [T]; 2],
    /// Their factors.
    pub factors: [T; 2],
    /// The result, of the length of the states.
    pub out: &'a mut [T],
}

/// Writes the sum of `terms` to `out`, and that of `kept` to its own.
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
    let (mut second, mut others): (_, &mut [T]) = (None, &mut []);
    if let Some(kept) = kept {
        let fits = kept.out.len() == out.len() && kept.states.iter().all(|x| x.len() == out.len());
        assert!(fits, "states of one length");
        second = Some((kept.states, kept.factors));
        others = kept.out;
    }
    let part = |at: usize, out: &mut [T], others: &mut [T]| {
        if let Some((states, factors)) = &second {
            // A state that counts for nothing is not looked at: it may be anything.
            let skip = usize::from(factors[0] == T::default());
            let (states, factors) = (&states[skip..], &factors[skip..]);
            T::combine(Terms { states, factors, offset: T::default() }, at, others);
        }
        T::combine(terms, at, out);
    };
    if out.len() <= TASK {
        part(0, out, others);
        return run.check();
    }
    let mut others = others.chunks_mut(TASK);
    let mut tasks: Vec<(&mut [T], &mut [T])> =
        out.chunks_mut(TASK).map(|out| (out, others.next().unwrap_or_default())).collect();
    run.fill_chunks(&mut tasks, 1, |task, parts| {
        for (out, others) in parts {
            part(task * TASK, out, others);
            run.advance(out.len() as u64);
        }
    })
}

/// Combines `K` terms from number `at` on.
#[inline(always)]
fn few<T: Number, const K: usize>(terms: Terms<'_, T>, at: usize, out: &mut [T]) {
    let Terms { states, factors, offset } = terms;
    let (Some(states), Some(factors)) = (states.first_chunk::<K>(), factors.first_chunk::<K>())
    else {
        return;
    };
    let mut parts: [&[T]; K] = *states;
    let mut j = 0;
    while j < K {
        parts[j] = &states[j][at..at + out.len()];
        j += 1;
    }
    let whole = out.len() / SIDE * SIDE;
    let mut i = 0;
    while i < whole {
        let mut sums = [offset; SIDE];
        let mut j = 0;
        while j < K {
            let Some(x) = parts[j][i..].first_chunk::<SIDE>() else { return };
            let mut l = 0;
            while l < SIDE {
                sums[l] = sums[l] + factors[j] * x[l];
                l += 1;
            }
            j += 1;
        }
        let Some(out) = out[i..].first_chunk_mut::<SIDE>() else { return };
        *out = sums;
        i += SIDE;
    }
    while i < out.len() {
        let (mut sum, mut j) = (offset, 0);
        while j < K {
            sum = sum + factors[j] * parts[j][i];
            j += 1;
        }
        out[i] = sum;
        i += 1;
    }
}

/// A type of states.
pub trait Number:
    Copy + Default + PartialEq + Send + Sync + Add<Output = Self> + Mul<Output = Self>
{
    /// Combines the elements from number `at` on.
    fn combine(terms: Terms<'_, Self>, at: usize, out: &mut [Self]);
}

macro_rules! number {
    ($type:ty, $name:ident) => {
        vectorised! {
            fn $name(terms: Terms<'_, $type>, at: usize, out: &mut [$type]) {
                // The commonest numbers of terms have loops of their own.
                match terms.states.len() {
                    1 => {
                        let (x, factor) = (&terms.states[0][at..], terms.factors[0]);
                        for (out, x) in out.iter_mut().zip(x) {
                            *out = terms.offset + factor * x;
                        }
                    }
                    2 => few::<_, 2>(terms, at, out),
                    3 => few::<_, 3>(terms, at, out),
                    4 => few::<_, 4>(terms, at, out),
                    5 => few::<_, 5>(terms, at, out),
                    6 => few::<_, 6>(terms, at, out),
                    _ => {
                        out.fill(terms.offset);
                        for (x, &factor) in terms.states.iter().zip(terms.factors) {
                            for (sum, x) in out.iter_mut().zip(&x[at..]) {
                                *sum += factor * x;
                            }
                        }
                    }
                }
            }
        }

        impl Number for $type {
            fn combine(terms: Terms<'_, Self>, at: usize, out: &mut [Self]) {
                $name(terms, at, out);
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
            for many in [1, 2, 3, 6, 8] {
                let value = |i: usize, j: usize| ((i * 37 + j * 101) % 1009) as f32 / 313.0 - 1.6;
                let states: Vec<Vec<f32>> =
                    (0..many).map(|j| (0..n).map(|i| value(i, j)).collect()).collect();
                let states: Vec<&[f32]> = states.iter().map(Vec::as_slice).collect();
                let factors: Vec<f32> = (0..many).map(|j| 0.3 - 0.7 * j as f32).collect();
                let terms = Terms { states: &states, factors: &factors, offset: 0.1 };
                for level in available_levels() {
                    let (mut out, mut other) = (vec![9.0; n], vec![9.0; n]);
                    let kept = (many > 1).then(|| Kept {
                        states: [states[0], states[1]],
                        factors: [0.4, -0.9],
                        out: &mut other,
                    });
                    let run = Run::alone();
                    with_level(level, || combine(terms, kept, &mut out, run)).unwrap();
                    for i in 0..n {
                        let plain = (0..many).fold(0.1f32, |sum, j| sum + factors[j] * value(i, j));
                        assert_eq!(out[i].to_bits(), plain.to_bits(), "{level:?} {n} {many} {i}");
                        let second = 0.0f32 + 0.4 * value(i, 0) + -0.9 * value(i, 1);
                        assert!(many == 1 || other[i].to_bits() == second.to_bits(), "{i}");
                    }
                }
            }
        }
    }
}
