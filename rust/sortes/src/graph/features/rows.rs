//! Sparse rows that tasks fill, each into a stretch of its own that is surely long enough; then the rows
//! are pushed together. The system hands out memory as it is touched, so that what a stretch does not
//! need costs nothing.

use sortes_core::memory::{Zero, with_capacity, zeroed};
use sortes_core::{Result, Run};

/// Rows of one task, where they are short.
pub(super) const PER_TASK: usize = 1 << 10;
/// Entries that move between two looks at the stop request.
const BLOCK: usize = 1 << 20;

/// Numbers of a result.
pub trait Number: Zero + Copy + Send + Sync {
    /// The nearest one.
    fn of(x: f64) -> Self;
}

impl Number for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
}

impl Number for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as Self
    }
}

/// Rows of entries, which are a name and a number.
#[derive(Debug)]
pub struct Rows<K, V> {
    /// Where each row begins, and the end of the last.
    pub offsets: Vec<i64>,
    /// The names, row by row.
    pub names: Vec<K>,
    /// The numbers.
    pub numbers: Vec<V>,
}

/// The stretch that a task fills.
#[derive(Debug)]
pub(super) struct Filler<'a, K, V> {
    names: &'a mut [K],
    numbers: &'a mut [V],
    /// How many entries each of its rows has.
    counts: &'a mut [i64],
    row: usize,
    begin: usize,
    end: usize,
}

impl<K: Copy, V: Copy> Filler<'_, K, V> {
    #[inline]
    pub(super) fn push(&mut self, name: K, number: V) {
        self.names[self.end] = name;
        self.numbers[self.end] = number;
        self.end += 1;
    }

    /// Ends the row.
    #[inline]
    pub(super) fn end_row(&mut self) {
        self.counts[self.row] = (self.end - self.begin) as i64;
        self.begin = self.end;
        self.row += 1;
    }
}

impl<K: Copy, V: Number> Filler<'_, K, V> {
    /// A number that is not zero.
    #[inline]
    pub(super) fn push_number(&mut self, name: K, number: f64) {
        if number != 0.0 {
            self.push(name, V::of(number));
        }
    }
}

/// Rows that `fill(first, count, out)` fills, `per` of them in a task; a task has up to so many entries
/// as `bounds` says. Progress counts rows.
pub(super) fn filled<K: Zero + Copy + Send, V: Zero + Copy + Send>(
    rows: usize,
    per: usize,
    bounds: impl Iterator<Item = usize> + Clone,
    run: Run<'_>,
    fill: impl Fn(usize, usize, &mut Filler<'_, K, V>) -> Result<()> + Sync + Send,
) -> Result<Rows<K, V>> {
    // 1. A stretch for each task.
    let total = bounds.clone().fold(0usize, usize::saturating_add);
    let mut names = zeroed::<K>(total, "entries of rows")?;
    let mut numbers = zeroed::<V>(total, "entries of rows")?;
    let mut offsets = zeroed::<i64>(rows + 1, "offsets of rows")?;
    let mut parts = with_capacity(rows.div_ceil(per), "tasks")?;
    let (mut rest_names, mut rest_numbers, mut rest_counts) =
        (&mut *names, &mut *numbers, &mut offsets[1..]);
    for bound in bounds.clone() {
        let (names, after) = rest_names.split_at_mut(bound);
        rest_names = after;
        let (numbers, after) = rest_numbers.split_at_mut(bound);
        rest_numbers = after;
        let (counts, after) = rest_counts.split_at_mut(per.min(rest_counts.len()));
        rest_counts = after;
        parts.push(Filler { names, numbers, counts, row: 0, begin: 0, end: 0 });
    }

    // 2. The rows.
    run.try_fill_chunks(&mut parts, 1, |task, part| {
        let count = part[0].counts.len();
        fill(task * per, count, &mut part[0])?;
        run.advance(count as u64);
        Ok(())
    })?;

    // 3. They move up.
    let mut kept = 0;
    let mut ends = with_capacity(parts.len(), "tasks")?;
    ends.extend(parts.iter().map(|part| part.end));
    drop(parts);
    let mut begin = 0;
    for (end, bound) in ends.into_iter().zip(bounds) {
        for range in run.blocks(end, BLOCK) {
            let range = range?;
            let to = kept + range.start;
            let from = begin + range.start..begin + range.end;
            names.copy_within(from.clone(), to);
            numbers.copy_within(from, to);
        }
        kept += end;
        begin += bound;
    }
    names.truncate(kept);
    numbers.truncate(kept);
    names.shrink_to_fit();
    numbers.shrink_to_fit();
    let mut sum = 0;
    for range in run.blocks(offsets.len(), BLOCK) {
        for offset in &mut offsets[range?] {
            sum += *offset;
            *offset = sum;
        }
    }
    Ok(Rows { offsets, names, numbers })
}
