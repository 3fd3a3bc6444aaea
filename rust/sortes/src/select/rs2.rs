//! What each epoch of a training run sees.
//!
//! Repeated sampling of random subsets (RS2; Okanovic et al., "Repeated random sampling for
//! minimizing the time-to-accuracy of learning", ICLR 2024, arXiv:2305.18424): every epoch trains on
//! `keep` of `n` items, either fresh ones each time or the next ones of an endless line of
//! permutations.

use std::ops::Range;

use sortes_core::memory::{filled, with_capacity};
use sortes_core::permutation::{LENGTH_LIMIT, Permutation};
use sortes_core::rng::Stream;
use sortes_core::{Error, Result, Run};

/// Items that are made, or looked at, between two polls.
const BLOCK: usize = 1 << 12;

/// A length that an address space may not hold: what is too large cannot be allocated.
fn length(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// How an epoch takes its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A fresh uniform subset each time.
    Replacement,
    /// The next `keep` of the line; an item that comes up a second time within an epoch waits for the
    /// next one.
    Distinct,
    /// The next `keep` of the line, or what is left of the permutation.
    Drop,
    /// The next `keep` of the line, repeats and all.
    Raw,
}

/// The subsets of a training run, each of them a function of its number alone.
///
/// Permutation `p` of the line is number `p` of the stream (with [`Mode::Replacement`], epoch `e` is
/// the beginning of number `e`).
///
/// With [`Mode::Distinct`], a permutation that begins within an epoch puts those of its items that
/// the epoch has already seen behind the epoch's end: each permutation remains one, so that after any
/// number of epochs the items have been used equally often, give or take one. If `keep` exceeds
/// `n / 2`, it is the items left out that follow this rule, which comes to the same; the rest comes
/// in the order of a permutation of the child stream 0.
#[derive(Debug, Clone, Copy)]
pub struct Rs2 {
    n: u64,
    keep: u64,
    mode: Mode,
    stream: Stream,
}

impl Rs2 {
    /// Subsets of `keep` of `n` items.
    ///
    /// # Errors
    /// Unless `1 <= keep <= n < 2^48`.
    pub fn new(n: u64, keep: u64, mode: Mode, stream: Stream) -> Result<Self> {
        if n == 0 || n >= LENGTH_LIMIT {
            let reason = format!("must be in [1, {LENGTH_LIMIT}), got {n}");
            return Err(Error::argument("n", reason));
        }
        if keep == 0 || keep > n {
            return Err(Error::argument("keep", format!("must be in [1, {n}], got {keep}")));
        }
        Ok(Self { n, keep, mode, stream })
    }

    /// How many items of permutations an epoch reads, which progress counts.
    pub fn cost(&self) -> u64 {
        let Self { n, keep, mode, .. } = *self;
        // More than half of the items: those left out, and then all.
        if mode == Mode::Distinct && keep > n / 2 { n + (n - keep) } else { keep }
    }

    /// The items of epoch `epoch`, in the order in which they are used. Progress counts items.
    ///
    /// # Errors
    /// If the epoch lies beyond permutation `2^32`, if there is no memory for it, or if the work is
    /// cancelled.
    pub fn epoch(&self, epoch: u64, run: Run<'_>) -> Result<Vec<i64>> {
        let Self { n, keep, mode, .. } = *self;
        let mut out = with_capacity(length(keep), "indices")?;
        match mode {
            Mode::Replacement => take(&self.permutation(epoch)?, 0..keep, &mut out, run)?,
            Mode::Drop => {
                let (number, part) = (epoch / n.div_ceil(keep), epoch % n.div_ceil(keep));
                let window = part * keep..n.min((part + 1) * keep);
                take(&self.permutation(number)?, window, &mut out, run)?;
            }
            Mode::Raw => {
                let (number, start) = self.start(epoch, keep);
                let end = n.min(start + keep);
                take(&self.permutation(number)?, start..end, &mut out, run)?;
                let missing = keep - (end - start);
                if missing > 0 {
                    take(&self.permutation(number + 1)?, 0..missing, &mut out, run)?;
                }
            }
            Mode::Distinct if keep <= n / 2 => self.distinct(epoch, keep, &mut out, run)?,
            Mode::Distinct => self.complement(epoch, &mut out, run)?,
        }
        Ok(out)
    }

    /// Epoch `epoch` of more than half of the items: all but those of a window, which are marked
    /// first, in the order of another permutation.
    fn complement(&self, epoch: u64, out: &mut Vec<i64>, run: Run<'_>) -> Result<()> {
        let Self { n, keep, .. } = *self;
        let mut left_out = with_capacity(length(n - keep), "indices left out")?;
        if keep < n {
            self.distinct(epoch, n - keep, &mut left_out, run)?;
        }
        let mut used = filled(length(n), true, "marks")?;
        for item in left_out {
            used[item as usize] = false;
        }
        let all = Permutation::new(n, self.stream.child(0).rounds(), number_of(epoch)?);
        let mut some = with_capacity(BLOCK, "indices")?;
        for range in run.blocks(length(n), BLOCK) {
            let range = range?;
            some.clear();
            all.extend(range.start as u64..range.end as u64, &mut some, run)?;
            out.extend(some.iter().filter(|&&item| used[item as usize]));
            run.advance(range.len() as u64);
        }
        Ok(())
    }

    /// Window `epoch` of `keep <= n / 2` items, without repeats.
    fn distinct(&self, epoch: u64, keep: u64, out: &mut Vec<i64>, run: Run<'_>) -> Result<()> {
        let n = self.n;
        let (number, start) = self.start(epoch, keep);
        let here = self.permutation(number)?;
        // 1. The beginning of this permutation, as far as it is out of order.
        let line = self.reordered(number, keep, run)?;
        let end = n.min(start + keep);
        let sorted = line.len() as u64;
        if start < sorted {
            let line = &line[start as usize..end.min(sorted) as usize];
            out.extend(line);
            run.advance(line.len() as u64);
        }
        // 2. What is in order.
        take(&here, start.max(sorted).min(end)..end, out, run)?;
        // 3. The beginning of the next permutation.
        let missing = keep - (end - start);
        if missing > 0 {
            out.extend(&self.reordered(number + 1, keep, run)?[..missing as usize]);
            run.advance(missing);
        }
        Ok(())
    }

    /// The beginning of a permutation that begins within a window of `keep`: first what the window
    /// has not seen, until it is full, then what had to wait. The rest is in order.
    fn reordered(&self, number: u64, keep: u64, run: Run<'_>) -> Result<Vec<i64>> {
        let n = self.n;
        // How much of the window belongs to the permutation before.
        let seen = (u128::from(number) * u128::from(n) % u128::from(keep)) as u64;
        if seen == 0 {
            return Ok(Vec::new());
        }
        let before = self.permutation(number - 1)?;
        let mut items = with_capacity(length(keep), "indices")?;
        // No more than `seen` items are passed over, and `keep <= n / 2` leaves the end of the
        // permutation before in order.
        self.permutation(number)?.extend(0..keep, &mut items, run)?;
        let wanted = (keep - seen) as usize;
        let mut line = with_capacity(length(keep), "indices")?;
        let mut waiting = with_capacity(length(seen), "indices")?;
        for range in run.blocks(items.len(), BLOCK) {
            for &item in &items[range?] {
                if line.len() == wanted {
                    break;
                }
                let again = before.index_of(item as u64) >= n - seen;
                if again { waiting.push(item) } else { line.push(item) }
            }
        }
        line.append(&mut waiting);
        Ok(line)
    }

    /// The permutation in which window `epoch` begins, and at which of its items.
    fn start(&self, epoch: u64, keep: u64) -> (u64, u64) {
        let start = u128::from(epoch) * u128::from(keep);
        let n = u128::from(self.n);
        // A quotient beyond 64 bits is far beyond the last number: `permutation` refuses it.
        (u64::try_from(start / n).unwrap_or(u64::MAX - 1), (start % n) as u64)
    }

    fn permutation(&self, number: u64) -> Result<Permutation> {
        Ok(Permutation::new(self.n, self.stream.rounds(), number_of(number)?))
    }
}

/// Appends the items of a window of a permutation.
fn take(
    permutation: &Permutation,
    window: Range<u64>,
    out: &mut Vec<i64>,
    run: Run<'_>,
) -> Result<()> {
    for range in run.blocks(length(window.end - window.start), BLOCK) {
        let range = range?;
        let part = window.start + range.start as u64..window.start + range.end as u64;
        permutation.extend(part, out, run)?;
        run.advance(range.len() as u64);
    }
    Ok(())
}

fn number_of(number: u64) -> Result<u32> {
    u32::try_from(number)
        .map_err(|_| Error::argument("epoch", "lies beyond the last permutation, number 2^32 - 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(n: u64, keep: u64, mode: Mode, epochs: u64) -> Vec<Vec<i64>> {
        let rs2 = Rs2::new(n, keep, mode, Stream::new(5)).unwrap();
        (0..epochs).map(|e| rs2.epoch(e, Run::alone()).unwrap()).collect()
    }

    #[test]
    fn items_are_distinct_and_used_equally() {
        for n in 1..=12 {
            for keep in 1..=n {
                let mut counts = vec![0; n as usize];
                for (e, epoch) in uses(n, keep, Mode::Distinct, 40).into_iter().enumerate() {
                    let mut sorted = epoch.clone();
                    sorted.sort_unstable();
                    sorted.dedup();
                    assert_eq!(sorted.len() as u64, keep, "n = {n}, keep = {keep}, epoch {e}");
                    for item in epoch {
                        counts[item as usize] += 1;
                    }
                    let (least, most) = (counts.iter().min(), counts.iter().max());
                    let equal = ((e as u64 + 1) * keep).is_multiple_of(n);
                    let spread = most.unwrap() - least.unwrap();
                    assert!(spread <= u32::from(!equal), "n = {n}, keep = {keep}, epoch {e}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_allocated_is_an_error() {
        let (n, never) = (LENGTH_LIMIT - 1, Run::alone());
        for (keep, mode) in [(n, Mode::Distinct), (n, Mode::Raw), (n / 2, Mode::Distinct)] {
            let rs2 = Rs2::new(n, keep, mode, Stream::new(5)).unwrap();
            assert!(matches!(rs2.epoch(1, never), Err(Error::Resource { .. })));
        }
    }

    #[test]
    fn windows_of_the_line() {
        let line: Vec<i64> = (0..4)
            .flat_map(|number| {
                let mut items = Vec::new();
                Permutation::new(10, Stream::new(5).rounds(), number)
                    .extend(0..10, &mut items, Run::alone())
                    .unwrap();
                items
            })
            .collect();
        for (e, epoch) in uses(10, 3, Mode::Raw, 13).into_iter().enumerate() {
            assert_eq!(epoch, line[3 * e..3 * e + 3]);
        }
        let drop = uses(10, 3, Mode::Drop, 16);
        assert_eq!(drop.iter().map(Vec::len).take(5).collect::<Vec<_>>(), [3, 3, 3, 1, 3]);
        assert_eq!(drop.concat(), line);
    }
}
