//! Squared Euclidean distances between rows of numbers.
//!
//! Each body is written once over plain arrays and compiled for every instruction set. There are no
//! fused operations and the order of the additions is fixed, so that all sets return the same bits.

use std::ops::{AddAssign, Mul, Sub};

/// Elements that are added up in the type of the data; beyond, sums are `f64`.
const STRETCH: usize = 1024;
/// The same where they are added one after the other.
const SHORT: usize = 64;
/// Up to this many coordinates, squares are added one after the other in any case.
pub const IN_ORDER: usize = 3;
/// Targets that share what is loaded of a group.
const TOGETHER: usize = 4;

/// A point's nearest centre among those that it was compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// The squared distance.
    pub distance: f64,
    /// The position of the centre.
    pub centre: u32,
    /// How many distances were computed.
    pub evaluations: usize,
}

/// A type of coordinates: `f32` or `f64`.
pub trait Coordinate: Copy + Send + Sync + PartialEq + Into<f64> + 'static {
    /// The squared distance between each row of `rows` (row after row, each as long as `to`) and
    /// `to`.
    ///
    /// Sums of up to 1024 squares are added in sixteen (`f32`) or eight (`f64`) lanes of the
    /// data's own type, sums of these in `f64`.
    fn distances(rows: &[Self], to: &[Self], out: &mut [f64]);

    /// The squared distance between each of the rows of `data` (row after row) at the positions
    /// `which` and `to`, with the bits of [`distances`](Self::distances).
    fn listed(data: &[Self], which: &[usize], to: &[Self], out: &mut [f64]);

    /// How many points of a group lie side by side: coordinate after coordinate, of all points
    /// each.
    const SIDE_BY_SIDE: usize;

    /// The squared distances between the points of whole groups and the rows at the positions
    /// `which` of `targets` (row after row, of `dim` coordinates): for one target after the other,
    /// those of all points.
    ///
    /// Squares are added one after the other in the data's own type, sums of 64 of them in `f64`.
    /// Nothing is faster for many points: no lane is ever added to another one. For up to
    /// [`IN_ORDER`] coordinates these are the bits of [`distances`](Self::distances), else about.
    fn grouped(groups: &[Self], targets: &[Self], which: &[u32], dim: usize, out: &mut [f64]);

    /// Compares `point` with the centres at the positions `which` of `centres` (row after row).
    ///
    /// Starts from `known`, the nearest so far, which keeps its place among equals; stops after the
    /// first distance of at most `enough`. The number of evaluations does not include the known one.
    fn nearest(
        point: &[Self],
        centres: &[Self],
        which: &[u32],
        known: Nearest,
        enough: f64,
    ) -> Nearest;
}

macro_rules! coordinate {
    ($type:ty, $lanes:literal: $($half:literal),+) => {
        impl Coordinate for $type {
            fn distances(rows: &[Self], to: &[Self], out: &mut [f64]) {
                crate::vectorised! {
                    fn dispatched(rows: &[$type], to: &[$type], out: &mut [f64]) {
                        for (row, out) in rows.chunks_exact(to.len().max(1)).zip(out) {
                            *out = squared(row, to);
                        }
                    }
                }
                dispatched(rows, to, out);
            }

            fn listed(data: &[Self], which: &[usize], to: &[Self], out: &mut [f64]) {
                crate::vectorised! {
                    fn dispatched(data: &[$type], which: &[usize], to: &[$type], out: &mut [f64]) {
                        for (&row, out) in which.iter().zip(out) {
                            *out = squared(&data[row * to.len()..(row + 1) * to.len()], to);
                        }
                    }
                }
                dispatched(data, which, to, out);
            }

            const SIDE_BY_SIDE: usize = $lanes;

            fn grouped(
                groups: &[Self],
                targets: &[Self],
                which: &[u32],
                dim: usize,
                out: &mut [f64],
            ) {
                crate::vectorised! {
                    fn dispatched(
                        groups: &[$type],
                        targets: &[$type],
                        which: &[u32],
                        dim: usize,
                        out: &mut [f64],
                    ) {
                        grouped::<$type, $lanes>(groups, targets, which, dim, out);
                    }
                }
                dispatched(groups, targets, which, dim, out);
            }

            fn nearest(
                point: &[Self],
                centres: &[Self],
                which: &[u32],
                known: Nearest,
                enough: f64,
            ) -> Nearest {
                crate::vectorised! {
                    fn dispatched(
                        point: &[$type],
                        centres: &[$type],
                        which: &[u32],
                        known: Nearest,
                        enough: f64,
                    ) -> Nearest {
                        let (d, mut best) = (point.len(), Nearest { evaluations: 0, ..known });
                        for &centre in which {
                            let at = centre as usize * d;
                            let distance = squared(point, &centres[at..at + d]);
                            best.evaluations += 1;
                            if distance < best.distance {
                                best = Nearest { distance, centre, ..best };
                                if distance <= enough {
                                    break;
                                }
                            }
                        }
                        best
                    }
                }
                dispatched(point, centres, which, known, enough)
            }
        }

        impl Squares for $type {
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn stretch(a: &[$type], b: &[$type]) -> $type {
                let ((a, mut rest_a), (b, mut rest_b)) =
                    (a.as_chunks::<$lanes>(), b.as_chunks::<$lanes>());
                let mut lanes = [0.0; $lanes];
                for (a, b) in a.iter().zip(b) {
                    add_squares(&mut lanes, a, b);
                }
                let lanes = &mut lanes[..];
                // Folding in half again and again; on the way, what is left of the rows is added
                // to as many lanes as it fills.
                $(
                    for i in 0..$half {
                        lanes[i] += lanes[i + $half];
                    }
                    if let (Some((a, tail_a)), Some((b, tail_b))) =
                        (rest_a.split_first_chunk::<$half>(), rest_b.split_first_chunk::<$half>())
                    {
                        if let Some(lanes) = lanes.first_chunk_mut::<$half>() {
                            add_squares(lanes, a, b);
                        }
                        (rest_a, rest_b) = (tail_a, tail_b);
                    }
                )+
                let _ = (rest_a, rest_b); // empty: the last half is one
                lanes[0]
            }
        }
    };
}

/// The sum of squared differences of one stretch.
trait Squares: Copy + Into<f64> + Sub<Output = Self> + Mul<Output = Self> + AddAssign {
    const ZERO: Self;

    fn stretch(a: &[Self], b: &[Self]) -> Self;
}

#[inline(always)]
fn squared<T: Squares>(a: &[T], b: &[T]) -> f64 {
    if a.len() <= STRETCH {
        return T::stretch(a, b).into();
    }
    // A loop, since what a closure holds would be compiled apart.
    let mut sum = 0.0;
    let mut from = 0;
    while from < a.len() {
        let to = if a.len() - from < STRETCH { a.len() } else { from + STRETCH };
        sum += T::stretch(&a[from..to], &b[from..to]).into();
        from = to;
    }
    sum
}

#[inline(always)]
fn add_squares<T, const N: usize>(lanes: &mut [T; N], a: &[T; N], b: &[T; N])
where
    T: Copy + std::ops::Sub<Output = T> + std::ops::Mul<Output = T> + std::ops::AddAssign,
{
    for i in 0..N {
        let difference = a[i] - b[i];
        lanes[i] += difference * difference;
    }
}

/// The body of [`Coordinate::grouped`].
#[inline(always)]
fn grouped<T: Squares, const N: usize>(
    groups: &[T],
    targets: &[T],
    which: &[u32],
    dim: usize,
    out: &mut [f64],
) {
    let points = groups.len() / dim;
    out[..points * which.len()].fill(0.0);
    for (group, chunk) in groups.chunks_exact(dim * N).enumerate() {
        let mut from = 0;
        while from < dim {
            let to = if dim - from < SHORT { dim } else { from + SHORT };
            let part = chunk[from * N..to * N].as_chunks().0;
            let mut first = 0;
            while first < which.len() {
                let at = first * points + group * N;
                if which.len() - first < TOGETHER {
                    let start = which[first] as usize * dim;
                    let target = [&targets[start + from..start + to]];
                    add_group::<T, N, 1>(part, target, &mut out[at..], points);
                    first += 1;
                } else {
                    let mut some = [&targets[..0]; TOGETHER];
                    for i in 0..TOGETHER {
                        let start = which[first + i] as usize * dim;
                        some[i] = &targets[start + from..start + to];
                    }
                    add_group::<T, N, TOGETHER>(part, some, &mut out[at..], points);
                    first += TOGETHER;
                }
            }
            from = to;
        }
    }
}

/// Adds the squared distances of a group to some targets to the first numbers of `out`, to those
/// `stride` later, ...
#[inline(always)]
fn add_group<T: Squares, const N: usize, const TARGETS: usize>(
    group: &[[T; N]],
    targets: [&[T]; TARGETS],
    out: &mut [f64],
    stride: usize,
) {
    let mut sums = [[T::ZERO; N]; TARGETS];
    for target in targets {
        assert_eq!(target.len(), group.len(), "as many coordinates");
    }
    for i in 0..group.len() {
        let points = group[i];
        for target in 0..TARGETS {
            let x = targets[target][i];
            for lane in 0..N {
                let difference = points[lane] - x;
                sums[target][lane] += difference * difference;
            }
        }
    }
    for target in 0..TARGETS {
        let out = &mut out[target * stride..target * stride + N];
        for lane in 0..N {
            out[lane] += sums[target][lane].into();
        }
    }
}

coordinate!(f32, 16: 8, 4, 2, 1);
coordinate!(f64, 8: 4, 2, 1);

#[cfg(test)]
mod tests {
    use super::super::{available_levels, with_level};
    use super::*;
    use crate::rng::{Purpose, Stream};

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut draws = Stream::new(seed).draws(Purpose::Uniform, 0);
        (0..n).map(|_| draws.normal()).collect()
    }

    fn squared_plainly<T: Coordinate>(a: &[T], b: &[T]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| (a.into() - b.into()) * (a.into() - b.into())).sum()
    }

    fn check<T: Coordinate>(narrow: impl Fn(f64) -> T, error: f64) {
        for d in (1..70).chain([1023, 1024, 1025, 3000]) {
            let rows: Vec<T> = numbers(5 * d, d as u64).into_iter().map(&narrow).collect();
            let to: Vec<T> = numbers(d, 99).into_iter().map(&narrow).collect();
            let truth: Vec<f64> = rows.chunks(d).map(|row| squared_plainly(row, &to)).collect();
            // Points side by side, coordinate after coordinate.
            let lanes = T::SIDE_BY_SIDE;
            let points: Vec<T> = numbers(2 * lanes * d, 7).into_iter().map(&narrow).collect();
            let place = |i: usize| {
                let (group, within) = (i / (lanes * d), i % (lanes * d));
                (group * lanes + within % lanes) * d + within / lanes
            };
            let groups: Vec<T> = (0..points.len()).map(|i| points[place(i)]).collect();
            let mut first: Option<Vec<f64>> = None;
            for level in available_levels() {
                let mut out = vec![f64::NAN; 5];
                with_level(level, || T::distances(&rows, &to, &mut out));
                for (ours, truth) in out.iter().zip(&truth) {
                    assert!((ours - truth).abs() <= error * truth, "d = {d}: {ours} {truth}");
                }
                let known = Nearest { distance: f64::INFINITY, centre: 9, evaluations: 7 };
                let nearest =
                    with_level(level, || T::nearest(&to, &rows, &[3, 1, 4, 0], known, -1.0));
                assert_eq!(nearest.distance, out[3].min(out[1]).min(out[4]).min(out[0]));
                assert_eq!(nearest.distance, out[nearest.centre as usize]);
                assert_eq!(nearest.evaluations, 4);
                let stopped =
                    with_level(level, || T::nearest(&to, &rows, &[3, 1, 4, 0], known, 1e300));
                assert_eq!((stopped.distance, stopped.centre), (out[3], 3));
                assert_eq!(stopped.evaluations, 1);
                let mut listed = [f64::NAN; 3];
                with_level(level, || T::listed(&rows, &[4, 0, 4], &to, &mut listed));
                assert_eq!(listed, [out[4], out[0], out[4]]);
                let many = 2 * T::SIDE_BY_SIDE;
                let mut grouped = vec![f64::NAN; 5 * many];
                let which = [2, 0, 3, 1, 4];
                with_level(level, || T::grouped(&groups, &rows, &which, d, &mut grouped));
                for (ours, &which) in grouped.chunks(many).zip(&which) {
                    let row = which as usize * d..(which as usize + 1) * d;
                    let mut single = vec![f64::NAN; many];
                    T::distances(&points, &rows[row], &mut single);
                    assert!(d > IN_ORDER || ours == single, "{level:?}, d = {d}");
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 9.0 * error * b;
                    assert!(ours.iter().zip(&single).all(near), "{level:?}, d = {d}");
                }
                out.extend(grouped);
                assert_eq!(first.get_or_insert_with(|| out.clone()), &out, "{level:?}, d = {d}");
            }
        }
    }

    #[test]
    fn all_levels_agree_with_the_definition() {
        check(|x| x as f32, 3e-6);
        check(|x| x, 1e-14);
    }

    #[test]
    fn equal_rows_are_at_distance_zero() {
        let row: Vec<f32> = numbers(37, 1).iter().map(|&x| x as f32 * 1e15).collect();
        let mut out = [1.0];
        f32::distances(&row, &row, &mut out);
        assert_eq!(out, [0.0]);
    }
}
