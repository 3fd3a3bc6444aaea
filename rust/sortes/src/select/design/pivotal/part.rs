//! A part of a population whose duels are done: the state of a stream, or of a shard.

use sortes_core::bytes::{Kind, Reader, Writer, corrupt};
use sortes_core::memory::{copied, reserve, with_capacity};
use sortes_core::num::Sum;
use sortes_core::order::sort;
use sortes_core::resample::{Fraction, duel};
use sortes_core::rng::Stream;
use sortes_core::{Error, Result, Run};

use super::super::{BLOCK, check_block};
use super::scan::scan;
use super::{stays, uniform_at};

/// Positions are below this: two share an entity, and nobody has more units.
const POSITION_LIMIT: u64 = 1 << 48;

/// The chosen units of a part and at most one fraction.
///
/// Parts of one population, each with the draws of its own gaps, merge in any grouping: that is a
/// duel over a tree whose lower levels ran elsewhere.
///
/// ```
/// use sortes::select::design::Pivotal;
/// use sortes_core::{Run, rng::Stream};
///
/// let (stream, run) = (Stream::new(7), Run::alone());
/// let mut left = Pivotal::new(0, stream).unwrap();
/// let mut right = Pivotal::new(3, stream).unwrap();
/// left.extend(&[0.4, 0.3, 0.8], None, run).unwrap();
/// right.extend(&[0.9, 0.6], None, run).unwrap();
/// left.merge(&right, run).unwrap();
/// assert_eq!(left.finish(run).unwrap().0.len(), 3);
/// ```
#[derive(Debug, PartialEq)]
pub struct Pivotal {
    stream: Stream,
    /// The chosen units, in the order of their duels.
    chosen: Vec<Unit>,
    /// The unit that is undecided, and what is left of its probability; zero if there is none.
    open: Unit,
    left: f64,
    /// The sum of the probabilities.
    total: Sum,
    /// The positions of the units: stretches `from..to` in order, apart and not empty.
    stretches: Vec<(u64, u64)>,
    /// The position of the next unit.
    next: u64,
}

/// The id of a unit, and the probability that it came with.
type Unit = (i64, f64);

impl Pivotal {
    /// A part that starts at position `first` and has no units yet.
    ///
    /// # Errors
    /// If the position is not below `2^48`.
    pub fn new(first: u64, stream: Stream) -> Result<Self> {
        if first >= POSITION_LIMIT {
            let reason = format!("must be in [0, 2**48), got {first}");
            return Err(Error::argument("first", reason));
        }
        Ok(Self {
            stream,
            chosen: Vec::new(),
            open: (0, 0.0),
            left: 0.0,
            total: Sum::default(),
            stretches: Vec::new(),
            next: first,
        })
    }

    /// How many units there are.
    pub fn units(&self) -> u64 {
        self.stretches.iter().map(|(from, to)| to - from).sum()
    }

    /// How many of them are chosen.
    pub fn chosen(&self) -> usize {
        self.chosen.len()
    }

    /// Appends units, each of which meets the fraction left by those before it. Their ids are their
    /// positions unless given.
    ///
    /// # Errors
    /// Where a probability is not in `[0, 1]`, there are not as many ids or too many units; if there
    /// is no memory for the units, or the work is cancelled. Nothing has changed then.
    pub fn extend(&mut self, pi: &[f64], ids: Option<&[i64]>, run: Run<'_>) -> Result<()> {
        if let Some(ids) = ids
            && ids.len() != pi.len()
        {
            let (expected, got) = (format!("({},)", pi.len()), format!("({},)", ids.len()));
            return Err(Error::Shape { name: "ids", expected, got });
        }
        if pi.len() as u64 > POSITION_LIMIT - self.next {
            return Err(Error::argument("pi", "positions must stay below 2**48"));
        }
        reserve(&mut self.stretches, 1, "stretches of positions")?;
        let before = self.chosen.len();
        let settled = self.settle(pi, ids, run).inspect_err(|_| self.chosen.truncate(before))?;
        (self.open, self.left, self.total) = settled;
        let first = self.next;
        self.next += pi.len() as u64;
        match self.stretches.last_mut() {
            Some((_, to)) if *to == first => *to = self.next,
            _ if pi.is_empty() => {}
            _ => self.stretches.push((first, self.next)),
        }
        Ok(())
    }

    /// Appends the chosen ones of these units to those before; returns the unit that is then open,
    /// what is left of it, and the sum of all probabilities.
    fn settle(
        &mut self,
        pi: &[f64],
        ids: Option<&[i64]>,
        run: Run<'_>,
    ) -> Result<(Unit, f64, Sum)> {
        let (first, open, mut total) = (self.next, self.open, self.total);
        // New units are called by their index; the one that was open before is called -1.
        let unit = |index: i64| match usize::try_from(index) {
            Ok(i) => (ids.map_or((first + i as u64).cast_signed(), |ids| ids[i]), pi[i]),
            Err(_) => open,
        };
        let mut left = Fraction { id: -1, pi: self.left };
        for range in run.blocks(pi.len(), BLOCK) {
            let range = range?;
            let (start, pi) = (range.start, &pi[range]);
            check_block(pi, start)?;
            reserve(&mut self.chosen, pi.len() + 1, "units")?;
            let chosen = &mut self.chosen;
            left = scan(left, pi, start, first, self.stream, |index| chosen.push(unit(index)));
            for &p in pi {
                total.add(p);
            }
            run.advance(pi.len() as u64);
        }
        Ok((unit(left.id), left.pi, total))
    }

    /// The gap in front of all units.
    fn front(&self) -> u64 {
        self.stretches.first().map_or(self.next, |&(from, _)| from)
    }

    /// Takes in another part. The parts may come together in any grouping and order: their duel is
    /// at the gap in front of the one that starts later, which no other merger uses.
    ///
    /// # Errors
    /// Where the positions of the two overlap; if there is no memory for the units, or the work is
    /// cancelled. Nothing has changed then.
    pub fn merge(&mut self, other: &Self, run: Run<'_>) -> Result<()> {
        let stretches = self.joined_stretches(other, run)?;
        reserve(&mut self.chosen, other.chosen.len() + 1, "units")?;
        let before = self.chosen.len();
        for range in run.blocks(other.chosen.len(), BLOCK) {
            let range = range.inspect_err(|_| self.chosen.truncate(before))?;
            self.chosen.extend_from_slice(&other.chosen[range]);
        }
        // From here on nothing fails.
        let (left, right) =
            if self.front() <= other.front() { (&*self, other) } else { (other, &*self) };
        let units = [left.open, right.open];
        let [a, b] = [(0, left.left), (1, right.left)].map(|(id, pi)| Fraction { id, pi });
        let mut after = a;
        if b.pi > 0.0 {
            let u = uniform_at(right.front(), self.stream);
            after = duel(a, b, u, |side| self.chosen.push(units[side as usize]));
        }
        (self.open, self.left) = (units[after.id as usize], after.pi);
        self.total = self.total.plus(other.total);
        self.stretches = stretches;
        self.next = self.next.max(other.next);
        Ok(())
    }

    /// The positions of both parts.
    fn joined_stretches(&self, other: &Self, run: Run<'_>) -> Result<Vec<(u64, u64)>> {
        let (one, two) = (&self.stretches, &other.stretches);
        let mut all = with_capacity(one.len() + two.len(), "stretches of positions")?;
        all.extend_from_slice(one);
        all.extend_from_slice(two);
        sort(&mut all, Ord::cmp, run)?;
        for pair in all.windows(2) {
            let [(a, b), (c, d)] = [pair[0], pair[1]];
            if b > c {
                let reason = format!("positions [{a}, {b}) and [{c}, {d}) overlap");
                return Err(Error::argument("other", reason));
            }
        }
        all.dedup_by(|later, earlier| {
            let touch = earlier.1 == later.0;
            if touch {
                earlier.1 = later.1;
            }
            touch
        });
        Ok(all)
    }

    /// Decides about the last fraction; returns the chosen units in ascending order, and their
    /// probabilities. The part stays as it is.
    ///
    /// If the probabilities sum to an integer but for rounding, that many units are chosen.
    ///
    /// # Errors
    /// If there is no memory for the units, or the work is cancelled.
    pub fn finish(&self, run: Run<'_>) -> Result<(Vec<i64>, Vec<f64>)> {
        let mut chosen = with_capacity(self.chosen.len() + 1, "units")?;
        for range in run.blocks(self.chosen.len(), BLOCK) {
            chosen.extend_from_slice(&self.chosen[range?]);
        }
        let uniform = || uniform_at(self.front(), self.stream);
        if stays(self.left, chosen.len(), self.total.value(), uniform) {
            chosen.push(self.open);
        }
        sort(&mut chosen, |a, b| a.0.cmp(&b.0), run)?;
        let mut ids = with_capacity(chosen.len(), "units")?;
        let mut pi = with_capacity(chosen.len(), "probabilities")?;
        for range in run.blocks(chosen.len(), BLOCK) {
            for &(id, p) in &chosen[range?] {
                ids.push(id);
                pi.push(p);
            }
        }
        Ok((ids, pi))
    }

    /// A copy.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn copied(&self, run: Run<'_>) -> Result<Self> {
        let chosen = copied(&self.chosen, "units", run)?;
        let stretches = copied(&self.stretches, "stretches of positions", run)?;
        Ok(Self { chosen, stretches, ..*self })
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let words = 10 + 2 * (self.chosen.len() + self.stretches.len());
        let mut to = Writer::with_capacity(Kind::Pivotal, words)?;
        to.word(self.stream.key());
        to.word(self.stream.step().into());
        to.word(self.next);
        to.word(self.stretches.len() as u64);
        for &(from, end) in &self.stretches {
            to.word(from);
            to.word(end);
        }
        to.float(self.total.high);
        to.float(self.total.low);
        to.float(self.left);
        write_unit(self.open, &mut to);
        to.word(self.chosen.len() as u64);
        for range in run.blocks(self.chosen.len(), BLOCK) {
            for &unit in &self.chosen[range?] {
                write_unit(unit, &mut to);
            }
        }
        Ok(to.finish())
    }

    /// The state that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// If the bytes are not those of a part; if there is no memory for it, or the work is cancelled.
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        let mut from = Reader::of(bytes, Kind::Pivotal, run)?;
        let key = from.word()?;
        let step = u32::try_from(from.word()?).map_err(|_| corrupt("its step"))?;
        let mut part = Self::new(0, Stream::new(key).at_step(step))?;
        part.next = from.word()?;
        let count = from.length()?;
        reserve(&mut part.stretches, count, "stretches of positions")?;
        for _ in 0..count {
            part.stretches.push((from.word()?, from.word()?));
        }
        part.total = Sum { high: from.float()?, low: from.float()? };
        part.left = from.float()?;
        part.open = read_unit(&mut from)?;
        let count = from.length()?;
        reserve(&mut part.chosen, count, "units")?;
        for range in run.blocks(count, BLOCK) {
            for _ in range? {
                let unit = read_unit(&mut from)?;
                if unit.1 == 0.0 {
                    return Err(corrupt("a unit without a chance is chosen"));
                }
                part.chosen.push(unit);
            }
        }
        from.finish()?;
        part.check_invariants()?;
        Ok(part)
    }

    /// Refuses what no part can be.
    fn check_invariants(&self) -> Result<()> {
        let ends = self.stretches.iter().map(|&(_, to)| to);
        let apart = self.stretches.iter().skip(1).zip(ends).all(|(&(from, _), to)| to < from);
        let filled = self.stretches.iter().all(|(from, to)| from < to);
        let last = self.stretches.last().map_or(0, |&(_, to)| to);
        if !(apart && filled && last <= self.next && self.next <= POSITION_LIMIT) {
            return Err(corrupt("its positions"));
        }
        if !(0.0..1.0).contains(&self.left) || (self.left > 0.0 && self.open.1 == 0.0) {
            return Err(corrupt("what is left of a probability"));
        }
        // A duel leaves the sum of what is chosen and what is left as it is, but for its rounding.
        let (units, total) = (self.units() as f64, self.total.value());
        let off = self.chosen.len() as f64 + self.left - total;
        if !(off.abs() <= 1e-9 + 1e-15 * units && total <= units * (1.0 + f64::EPSILON)) {
            return Err(corrupt("the sum of the probabilities"));
        }
        Ok(())
    }
}

fn write_unit((id, pi): Unit, to: &mut Writer) {
    to.word(id.cast_unsigned());
    to.float(pi);
}

fn read_unit(from: &mut Reader<'_>) -> Result<Unit> {
    let (id, pi) = (from.word()?.cast_signed(), from.float()?);
    if (0.0..=1.0).contains(&pi) { Ok((id, pi)) } else { Err(corrupt("a probability")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::bytes::seal;
    use sortes_core::cancel::Cancel;
    use sortes_core::par::Threads;

    fn part(first: u64, pi: &[f64]) -> Pivotal {
        let mut part = Pivotal::new(first, Stream::new(1)).unwrap();
        part.extend(pi, None, Run::alone()).unwrap();
        part
    }

    fn copy(part: &Pivotal) -> Pivotal {
        part.copied(Run::alone()).unwrap()
    }

    fn fractions(n: i32) -> Vec<f64> {
        (0..n).map(|i| f64::from(i * 37 % 101) / 100.0).collect()
    }

    #[test]
    fn extending_in_parts_is_extending_at_once() {
        let pi = fractions(40_000);
        let whole = part(5, &pi);
        for cut in [0, 1, 255, 256, 257, 999, 16_384, 40_000] {
            let mut parts = part(5, &pi[..cut]);
            parts.extend(&pi[cut..], None, Run::alone()).unwrap();
            assert_eq!(parts, whole);
        }
    }

    #[test]
    fn mergers_agree_whoever_takes_in_the_other() {
        let pi = fractions(900);
        let [a, b, c] = [0, 300, 600].map(|first| part(first, &pi[first as usize..][..300]));
        let merged = |parts: [&Pivotal; 2]| {
            let mut out = copy(parts[0]);
            out.merge(parts[1], Run::alone()).unwrap();
            out
        };
        let finish = |part: &Pivotal| part.finish(Run::alone()).unwrap();
        assert_eq!(finish(&merged([&a, &b])), finish(&merged([&b, &a])));
        let (left, right) = (merged([&merged([&a, &b]), &c]), merged([&c, &merged([&b, &a])]));
        assert_eq!(finish(&left), finish(&right));
        assert_eq!((left.units(), &left.stretches[..]), (900, &[(0, 900)][..]));
    }

    #[test]
    fn what_is_refused_or_cancelled_changes_nothing() {
        let mut a = part(0, &[0.5; 4]);
        let before = copy(&a);
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = Run::new(Threads::SERIAL, &cancel);
        let mut bad = vec![0.75; 40_000];
        assert_eq!(a.extend(&bad, None, stopped), Err(Error::Cancelled));
        bad[39_999] = 1.5;
        assert!(a.extend(&bad, None, Run::alone()).is_err());
        assert!(a.extend(&[0.5], Some(&[]), Run::alone()).is_err());
        assert!(a.merge(&part(3, &[0.5; 4]), Run::alone()).is_err());
        assert_eq!(a.merge(&part(9, &[0.5; 4]), stopped), Err(Error::Cancelled));
        let far = Pivotal::new(POSITION_LIMIT - 1, Stream::new(1)).unwrap();
        assert!(copy(&far).extend(&[0.5], None, Run::alone()).is_ok());
        assert!(copy(&far).extend(&[0.5; 2], None, Run::alone()).is_err());
        assert!(Pivotal::new(POSITION_LIMIT, Stream::new(1)).is_err());
        assert_eq!(a, before);
    }

    #[test]
    fn bytes_are_the_state() {
        let mut some = part(7, &fractions(1000));
        some.merge(&part(2000, &[0.25, 1.0]), Run::alone()).unwrap();
        for part in [some, part(0, &[]), part(3, &[0.0]), part(1 << 40, &[0.5, 0.5])] {
            let bytes = part.to_bytes(Run::alone()).unwrap();
            assert_eq!(Pivotal::from_bytes(&bytes, Run::alone()).unwrap(), part);
            for at in 0..bytes.len() {
                let mut broken = bytes.clone();
                broken[at] ^= 4;
                assert!(Pivotal::from_bytes(&broken, Run::alone()).is_err());
                assert!(Pivotal::from_bytes(&bytes[..at], Run::alone()).is_err());
            }
        }
    }

    #[test]
    fn forged_bytes_are_refused() {
        // Two stretches, an open unit and one that was chosen.
        let mut part = part(4, &[0.5, 0.25, 0.5]);
        part.merge(&self::part(9, &[0.5]), Run::alone()).unwrap();
        let bytes = part.to_bytes(Run::alone()).unwrap();
        let mut words: Vec<u64> =
            bytes.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word)).collect();
        words.pop();
        let read = |words: &[u64]| Pivotal::from_bytes(&seal(words), Run::alone());
        assert_eq!(read(&words).unwrap(), part);
        let float = |x: f64| x.to_bits();
        for (what, at, word) in [
            ("its kind", 1, 1),
            ("its step", 3, 1 << 32),
            ("its positions", 4, 9),                  // next
            ("its positions", 4, POSITION_LIMIT + 1), // next
            ("a length is too large", 5, 99),         // of the stretches
            ("its positions", 6, 7),                  // from
            ("its positions", 8, 7),                  // the second touches the first
            ("the sum of the probabilities", 10, float(2.75)),
            ("the sum of the probabilities", 10, float(f64::NAN)),
            ("what is left of a probability", 12, float(1.0)),
            ("what is left of a probability", 12, float(-0.5)),
            ("a probability", 14, float(1.5)), // of the open unit
            ("what is left of a probability", 14, 0), // the open unit had no chance
            ("a length is too large", 15, 3),  // of the chosen
            ("something follows", 15, 0),
            ("a unit without a chance", 17, 0),
        ] {
            let mut forged = words.clone();
            forged[at] = word;
            let error = read(&forged).unwrap_err().to_string();
            assert!(error.contains(what), "{at}: {error}");
        }
    }
}
