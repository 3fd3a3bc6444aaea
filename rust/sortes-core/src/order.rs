//! Selection and sorting of slices of any length: where the standard library would be deaf for
//! seconds, these poll.

use std::cmp::Ordering;

use crate::memory::with_capacity;
use crate::{Result, Run};

/// The longest slice that the standard library is given: it takes some ten milliseconds.
const LONG: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
/// Items between two looks at the stop request.
const BLOCK: usize = 1 << 14;
/// Items whose median divides a long slice.
const SAMPLE: usize = 255;

/// Reorders `items` so that the one at `nth` is the one that sorting would put there, none before it
/// is greater and none behind it less.
///
/// # Panics
/// If `nth` is out of range.
///
/// # Errors
/// If the work is cancelled; the items are then in some order.
pub fn select_nth<T: Copy>(
    mut items: &mut [T],
    mut nth: usize,
    compare: impl Fn(&T, &T) -> Ordering,
    run: Run<'_>,
) -> Result<()> {
    while items.len() > LONG {
        let step = items.len() / SAMPLE;
        let mut sample: [T; SAMPLE] = std::array::from_fn(|i| items[i * step]);
        sample.sort_unstable_by(&compare);
        let pivot = sample[SAMPLE / 2];
        // Three parts, for there may be many that are equal.
        let less = partition(items, |x| compare(x, &pivot).is_lt(), run)?;
        if nth < less {
            items = &mut items[..less];
            continue;
        }
        let equal = partition(&mut items[less..], |x| compare(x, &pivot).is_eq(), run)?;
        if nth < less + equal {
            return Ok(());
        }
        items = &mut items[less + equal..];
        nth -= less + equal;
    }
    run.check()?;
    items.select_nth_unstable_by(nth, compare);
    Ok(())
}

/// Moves the items that are `inside` to the front; returns how many they are.
fn partition<T: Copy>(items: &mut [T], inside: impl Fn(&T) -> bool, run: Run<'_>) -> Result<usize> {
    let mut count = 0;
    for range in run.blocks(items.len(), BLOCK) {
        for i in range? {
            let is_inside = inside(&items[i]);
            items.swap(i, count);
            count += usize::from(is_inside);
        }
    }
    Ok(count)
}

/// Sorts `items`, equals in any order: long slices in parts on all threads, which are then merged.
///
/// # Errors
/// If there is no memory for a copy of a long slice, or the work is cancelled; the items are then in
/// some order.
pub fn sort<T: Copy + Send + Sync>(
    items: &mut [T],
    compare: impl Fn(&T, &T) -> Ordering + Sync + Send,
    run: Run<'_>,
) -> Result<()> {
    run.fill_chunks(items, LONG, |_, part| part.sort_unstable_by(&compare))?;
    let mut sorted = LONG;
    if items.len() <= sorted {
        return Ok(());
    }
    let mut merged = with_capacity(items.len(), "items of a sort")?;
    while sorted < items.len() {
        merged.clear();
        for pair in items.chunks(2 * sorted) {
            let (left, right) = pair.split_at(sorted.min(pair.len()));
            merge(left, right, &mut merged, &compare, run)?;
        }
        items.copy_from_slice(&merged);
        sorted *= 2;
    }
    Ok(())
}

/// Appends the items of two sorted slices in order, for which there is memory.
///
/// # Errors
/// If the work is cancelled.
pub fn merge<T: Copy>(
    left: &[T],
    right: &[T],
    out: &mut Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
    run: Run<'_>,
) -> Result<()> {
    let (mut i, mut j) = (0, 0);
    for range in run.blocks(left.len() + right.len(), BLOCK) {
        for _ in range? {
            let from_left = match (left.get(i), right.get(j)) {
                (Some(a), Some(b)) => compare(b, a).is_ge(),
                (one, _) => one.is_some(),
            };
            out.push(if from_left { left[i] } else { right[j] });
            i += usize::from(from_left);
            j += usize::from(!from_left);
        }
    }
    Ok(())
}

/// The indices of the finite `values` in order, the largest value first and among equal ones the
/// lowest index, with their values.
///
/// # Errors
/// If there is no memory for them, or the work is cancelled.
pub fn descending(values: &[f64], run: Run<'_>) -> Result<Vec<(f64, usize)>> {
    let mut order = with_capacity(values.len(), "indices of a sort")?;
    for range in run.blocks(values.len(), BLOCK) {
        let range = range?;
        let pairs = values[range.clone()].iter().copied().zip(range);
        order.extend(pairs.filter(|(value, _)| value.is_finite()));
    }
    let largest_first =
        |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    sort(&mut order, largest_first, run)?;
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::par::Threads;
    use crate::rng::{Purpose, Stream};

    /// Items of every kind of order, longer and shorter than what the standard library is given.
    fn cases() -> Vec<Vec<u64>> {
        let mut draws = Stream::new(1).draws(Purpose::Uniform, 0);
        let mut out = Vec::new();
        for len in [1, 2, 1000, LONG, LONG + 1, 3 * LONG + 345, 100_000] {
            let random: Vec<u64> = (0..len).map(|_| draws.u64()).collect();
            let mut ascending = random.clone();
            ascending.sort_unstable();
            out.push(random.iter().map(|x| x % 3).collect());
            out.push(vec![7; len]);
            out.push(ascending.iter().rev().copied().collect());
            out.extend([ascending, random]);
        }
        out
    }

    #[test]
    fn agrees_with_the_standard_library() {
        for items in cases() {
            let mut expected = items.clone();
            expected.sort_unstable();
            let mut sorted = items.clone();
            sort(&mut sorted, u64::cmp, Run::alone()).unwrap();
            assert!(sorted == expected, "{} items", items.len());
            for nth in [0, items.len() / 3, items.len() / 2, items.len() - 1] {
                let mut selected = items.clone();
                select_nth(&mut selected, nth, u64::cmp, Run::alone()).unwrap();
                let middle = expected[nth];
                assert_eq!(selected[nth], middle);
                assert!(selected[..nth].iter().all(|&x| x <= middle));
                assert!(selected[nth..].iter().all(|&x| x >= middle));
            }
        }
    }

    #[test]
    fn what_is_not_finite_has_no_place() {
        let values = [1.0, f64::NEG_INFINITY, 3.0, f64::NAN, 3.0, -2.0];
        let expected = vec![(3.0, 2), (3.0, 4), (1.0, 0), (-2.0, 5)];
        assert_eq!(descending(&values, Run::alone()).unwrap(), expected);
    }

    #[test]
    fn a_stop_request_is_heard() {
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = Run::new(Threads::SERIAL, &cancel);
        for mut items in [vec![3, 1, 2], (0..2 * LONG as u64).rev().collect()] {
            assert!(sort(&mut items, u64::cmp, stopped).is_err());
            assert!(select_nth(&mut items, 1, u64::cmp, stopped).is_err());
        }
    }
}
