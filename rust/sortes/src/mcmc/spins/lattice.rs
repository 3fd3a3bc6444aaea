//! Heat bath on a square lattice, 64 spins in a word.
//!
//! With one coupling and one field for all sites, a site is up with one of nine probabilities, by the sum
//! of its neighbours (five where all sites have four neighbours). Sites of one colour of the checkerboard
//! do not see each other: 64 of them are a word, and logical operations work on all at once.
//!
//! Each spin has a uniform number of its own, in 64 binary digits: draw `d` of a word holds digit `d` of
//! its 64 spins. A spin is up if its number is below the threshold of its sum, which is decided at the first
//! digit in which the two differ: each digit halves the spins that are undecided, and digits are made
//! until none is. Which words are looked at together changes nothing, since each digit has its name.

use std::cell::RefCell;
use std::sync::Arc;

use sortes_core::memory::zeroed;
use sortes_core::rng::bulk::words_of;
use sortes_core::rng::{Purpose, Rounds, Stream};
use sortes_core::{Result, Run, vectorised};

use super::packing::{join, separate};
use super::sampler::{Measured, State};
use super::sigmoid;

/// Words that are decided together.
const BLOCK: usize = 256;
/// Pairs of digits that all words have; the rest is made for undecided words alone.
const DENSE: u32 = 4;
/// Words before and behind a block that have neighbours of words within, at most.
const MARGIN: usize = BLOCK;
/// Words of a task.
const TASK: usize = 1 << 14;
/// Sums of neighbours, from -4 to 4.
const SUMS: usize = 9;

/// A rectangle of sites with one coupling and one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Lattice {
    /// How many rows and columns.
    pub shape: [usize; 2],
    /// Whether the last row is a neighbour of the first, and the last column. The length is then even and
    /// above two.
    pub periodic: [bool; 2],
    /// The coupling of neighbours.
    pub coupling: f64,
    /// The field.
    pub field: f64,
    /// The inverse temperature.
    pub beta: f64,
}

impl Lattice {
    /// Whether the sites of a rectangle have two colours such that no neighbours share one.
    pub fn has_two_colours(shape: [usize; 2], periodic: [bool; 2]) -> bool {
        (0..2).all(|axis| !periodic[axis] || shape[axis].is_multiple_of(2))
    }

    /// Words of a row of one colour.
    fn width(&self) -> usize {
        self.shape[1].div_ceil(2).div_ceil(64)
    }

    /// Words of one colour.
    fn plane(&self) -> usize {
        self.shape[0] * self.width()
    }

    /// Sites of one colour in a row that begins with a site of that colour, or does not.
    fn sites(&self, offset: usize) -> usize {
        (self.shape[1] + 1 - offset) / 2
    }

    /// Of which column the first site of a colour is.
    fn offset(row: usize, colour: usize) -> usize {
        (row + colour) % 2
    }

    fn is_open(&self) -> bool {
        !(self.periodic[0] && self.periodic[1])
    }

    /// The thresholds of all sums: a spin is up if its 64 digits are below.
    fn thresholds(&self) -> [u64; SUMS] {
        std::array::from_fn(|sum| {
            let field = self.coupling * (sum as f64 - 4.0) + self.field;
            // 2^64 itself becomes the largest number.
            (sigmoid(2.0 * self.beta * field) * 18_446_744_073_709_551_616.0) as u64
        })
    }
}

/// A bit for each sum, as masks: that of the lowest sum, and by which others differ from it.
type Bits = [u64; SUMS];

/// Which digits of the thresholds are ones; and which thresholds have ones behind the first digits.
/// Whoever is undecided where they have none is not below.
#[derive(Debug)]
struct Digits {
    ones: [Bits; 64],
    live: Bits,
}

impl Digits {
    fn new(thresholds: [u64; SUMS]) -> Self {
        let mask = |bit: bool| if bit { u64::MAX } else { 0 };
        let bits = |is_one: &dyn Fn(u64) -> bool| {
            let lowest = mask(is_one(thresholds[0]));
            let mut bits = thresholds.map(|t| mask(is_one(t)) ^ lowest);
            bits[0] = lowest;
            bits
        };
        let ones = std::array::from_fn(|d| bits(&|t| t << d >> 63 == 1));
        Self { ones, live: bits(&|t| t << (2 * DENSE) != 0) }
    }
}

/// The neighbours of a block of words, and which of them there are.
struct Around {
    spins: [[u64; BLOCK]; 4],
    present: [[u64; BLOCK]; 4],
    /// Which bits of the words are sites.
    all: [u64; BLOCK],
    /// Of whole rows: the words, and as many before and behind as a row has.
    near: [u64; BLOCK + 2 * MARGIN],
}

/// Which spins of a block have which sum (the lowest is where no other is), and what is decided about
/// them.
struct Block {
    classes: [[u64; BLOCK]; SUMS],
    up: [u64; BLOCK],
    open: [u64; BLOCK],
}

/// What is worked with, once for each thread.
struct Scratch {
    around: Around,
    block: Block,
    /// The words that are undecided, and their next digits.
    list: [u32; BLOCK],
    words: [[u64; BLOCK]; 2],
}

impl Scratch {
    #[allow(clippy::large_stack_arrays)] // once for each thread
    fn new() -> Self {
        Self {
            around: Around {
                spins: [[0; BLOCK]; 4],
                present: [[u64::MAX; BLOCK]; 4],
                all: [u64::MAX; BLOCK],
                near: [0; BLOCK + 2 * MARGIN],
            },
            block: Block { classes: [[0; BLOCK]; SUMS], up: [0; BLOCK], open: [0; BLOCK] },
            list: [0; BLOCK],
            words: [[0; BLOCK]; 2],
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Box<Scratch>> = RefCell::new(Box::new(Scratch::new()));
}

/// Which spins of a word have which sum. Every `EACH`-th sum occurs: every other one where all neighbours
/// are present.
#[inline(always)]
fn classes_of<const EACH: usize>(around: &Around, i: usize) -> [u64; SUMS] {
    let Around { spins: [a, b, c, d], present: [pa, pb, pc, pd], .. } = around;
    let (a, b, c, d) = (a[i], b[i], c[i], d[i]);
    if EACH == 2 {
        let [zero, one, two] = count(a, b, c, d);
        return [0, 0, zero & !one, 0, one & !zero, 0, zero & one, 0, two];
    }
    // The sum plus four is twice the number of those that are up plus the number of those missing.
    let (pa, pb, pc, pd) = (pa[i], pb[i], pc[i], pd[i]);
    let ups = count(a & pa, b & pb, c & pc, d & pd);
    let [m0, m1, m2] = count(!pa, !pb, !pc, !pd);
    let carry = ups[0] & m1;
    let v = [m0, ups[0] ^ m1, ups[1] ^ m2 ^ carry, ups[2] ^ (ups[1] & m2 | carry & (ups[1] ^ m2))];
    let low = [!v[0] & !v[1], v[0] & !v[1], !v[0] & v[1], v[0] & v[1]];
    let (zero, four) = (!v[2] & !v[3], v[2] & !v[3]);
    [
        0,
        low[1] & zero,
        low[2] & zero,
        low[3] & zero,
        low[0] & four,
        low[1] & four,
        low[2] & four,
        low[3] & four,
        v[3],
    ]
}

/// How many of four bits are set, lane by lane, in three binary digits.
#[inline(always)]
fn count(a: u64, b: u64, c: u64, d: u64) -> [u64; 3] {
    let (x, y, ab, cd) = (a ^ b, c ^ d, a & b, c & d);
    [x ^ y, ab ^ cd ^ (x & y), ab & cd]
}

vectorised! {
    /// Sorts the spins of a block by the sum of their neighbours, and compares their first digits.
    fn begin(
        digits: &Digits,
        stream: Stream,
        first: u64,
        around: &Around,
        closed: bool,
        len: usize,
        block: &mut Block,
    ) {
        if closed {
            first_digits::<2>(digits, stream, first, around, len, block);
        } else {
            first_digits::<1>(digits, stream, first, around, len, block);
        }
    }

    /// Goes on with the first `len` words of a list.
    #[allow(clippy::too_many_arguments)] // three of them are buffers
    fn go_on(
        digits: &Digits,
        stream: Stream,
        first: u64,
        pair: u32,
        closed: bool,
        list: &[u32; BLOCK],
        len: usize,
        words: &mut [[u64; BLOCK]; 2],
        block: &mut Block,
    ) {
        // Whole vectors are quicker; what comes of the entries behind does not matter.
        let whole = len.next_multiple_of(8).min(BLOCK);
        for i in 0..whole {
            let entity = first + u64::from(list[i]);
            let [a, b] = words_of(stream, Purpose::Lattice, entity, pair);
            (words[0][i], words[1][i]) = (a, b);
        }
        for i in 0..len.min(BLOCK) {
            let (words, at) = ([words[0][i], words[1][i]], list[i] as usize);
            if closed {
                go_on_with::<2>(digits, pair, words, at, block);
            } else {
                go_on_with::<1>(digits, pair, words, at, block);
            }
        }
    }

    /// The fourth neighbours of whole rows that wrap, `near` with a margin on both sides: where `turned`
    /// is set, those of rows that begin with another colour.
    fn beside(
        near: &[u64; BLOCK + 2 * MARGIN],
        rows: &Rows,
        turned: u64,
        out: &mut [u64; BLOCK],
    ) {
        let (width, last) = (rows.width, rows.last);
        assert!(width <= MARGIN); // so that no index below is looked at again
        for (i, out) in out.iter_mut().enumerate() {
            let at = MARGIN + i;
            let (here, starts, ends) = (near[at], rows.starts[i], rows.ends[i]);
            // The last site of a row is before the first.
            let inside = near[at - 1] >> 63;
            let around = near[at + width - 1] >> last & 1;
            let before = here << 1 | inside & !starts | around & starts;
            let inside = near[at + 1] << 63;
            let around = (near[at + 1 - width] & 1) << last;
            let behind = here >> 1 | inside & !ends | around & ends;
            let turns = rows.turns[i] ^ turned;
            *out = before & !turns | behind & turns;
        }
    }
}

/// Whole rows of a lattice in which all neighbours are present.
#[derive(Debug)]
struct Rows {
    width: usize,
    /// Which bit of its word is the last site of a row.
    last: u32,
    /// Where rows begin and end, and every other row, as masks.
    starts: [u64; BLOCK],
    ends: [u64; BLOCK],
    turns: [u64; BLOCK],
    /// Which bits are sites.
    all: [u64; BLOCK],
}

impl Rows {
    /// Of a lattice whose rows fit into blocks.
    fn new(lattice: &Lattice) -> Option<Self> {
        let width = lattice.width();
        if lattice.is_open() || width > BLOCK {
            return None;
        }
        let last = ((lattice.sites(0) - 1) % 64) as u32;
        let masks =
            |is: &dyn Fn(usize) -> bool| std::array::from_fn(|i| if is(i) { u64::MAX } else { 0 });
        let ends: [u64; BLOCK] = masks(&|i| i % width == width - 1);
        Some(Self {
            width,
            last,
            starts: masks(&|i| i % width == 0),
            turns: masks(&|i| i / width % 2 == 1),
            all: ends.map(|end| !end | u64::MAX >> (63 - last)),
            ends,
        })
    }
}

/// Compares the first digits where every `EACH`-th sum occurs.
#[inline(always)]
fn first_digits<const EACH: usize>(
    digits: &Digits,
    stream: Stream,
    first: u64,
    around: &Around,
    len: usize,
    block: &mut Block,
) {
    assert!(len <= BLOCK); // so that no index below is looked at again
    for i in 0..len {
        let classes = classes_of::<EACH>(around, i);
        let mut k = EACH;
        while k < SUMS {
            block.classes[k][i] = classes[k];
            k += EACH;
        }
        // All in registers, and each pair by itself: a loop would not be taken apart.
        let (up, open) = two_digits::<EACH>(digits, stream, first, 0, i, &classes, (0, u64::MAX));
        let (up, open) = two_digits::<EACH>(digits, stream, first, 1, i, &classes, (up, open));
        let (up, open) = two_digits::<EACH>(digits, stream, first, 2, i, &classes, (up, open));
        let (up, open) = two_digits::<EACH>(digits, stream, first, 3, i, &classes, (up, open));
        block.up[i] = up;
        block.open[i] = open & chosen::<EACH>(&digits.live, &classes);
    }
}

/// Makes and compares two digits of the spins of a word.
#[inline(always)]
fn two_digits<const EACH: usize>(
    digits: &Digits,
    stream: Stream,
    first: u64,
    pair: u32,
    i: usize,
    classes: &[u64; SUMS],
    decided: (u64, u64),
) -> (u64, u64) {
    let words = words_of(stream, Purpose::Lattice, first + i as u64, pair);
    compare::<EACH>(digits, pair, words, classes, decided)
}

/// Compares two digits of a word whose spins have certain sums: who is up, and who is undecided.
#[inline(always)]
fn compare<const EACH: usize>(
    digits: &Digits,
    pair: u32,
    words: [u64; 2],
    classes: &[u64; SUMS],
    (mut up, mut open): (u64, u64),
) -> (u64, u64) {
    let mut d = 0;
    while d < 2 {
        let threshold = chosen::<EACH>(&digits.ones[2 * pair as usize + d], classes);
        up |= open & threshold & !words[d];
        open &= !(threshold ^ words[d]);
        d += 1;
    }
    (up, open)
}

/// For each spin of a word the bit that its sum has.
#[inline(always)]
fn chosen<const EACH: usize>(bits: &Bits, classes: &[u64; SUMS]) -> u64 {
    let (mut chosen, mut k) = (bits[0], EACH);
    while k < SUMS {
        chosen ^= classes[k] & bits[k];
        k += EACH;
    }
    chosen
}

/// Two more digits of an undecided word.
#[inline(always)]
fn go_on_with<const EACH: usize>(
    digits: &Digits,
    pair: u32,
    words: [u64; 2],
    i: usize,
    block: &mut Block,
) {
    let mut classes = [0; SUMS];
    let mut k = EACH;
    while k < SUMS {
        classes[k] = block.classes[k][i];
        k += EACH;
    }
    let decided = (block.up[i], block.open[i]);
    (block.up[i], block.open[i]) = compare::<EACH>(digits, pair, words, &classes, decided);
}

/// The spins of a lattice, colour by colour, row by row; bits beyond the last site of a row are zero.
#[derive(Debug, Clone)]
pub struct Spins {
    lattice: Lattice,
    digits: Arc<Digits>,
    rows: Option<Arc<Rows>>,
    planes: [Vec<u64>; 2],
    rounds: Rounds,
    first: u64,
}

impl Spins {
    /// From the states of all sites, row by row, each 0 or 1.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(lattice: Lattice, states: &[u8], chain: u64, rounds: Rounds) -> Result<Self> {
        let words = lattice.plane();
        let mut planes = [zeroed(words, "spins")?, zeroed(words, "spins")?];
        let width = lattice.width();
        for (row, states) in states.chunks_exact(lattice.shape[1]).enumerate() {
            let [even, odd] = of_row(&mut planes, row, width);
            separate(states, even, odd);
        }
        let first = chain * Self::names(&lattice);
        let digits = Arc::new(Digits::new(lattice.thresholds()));
        let rows = Rows::new(&lattice).map(Arc::new);
        Ok(Self { lattice, digits, rows, planes, rounds, first })
    }

    /// How many entities a chain takes.
    pub fn names(lattice: &Lattice) -> u64 {
        2 * lattice.plane() as u64
    }

    /// How many words make a block: whole rows, if they fit.
    fn block(&self) -> usize {
        self.rows.as_ref().map_or(BLOCK, |rows| BLOCK / rows.width * rows.width)
    }

    /// The neighbours of `len` words from the start of a block on, and which sites there are; where
    /// neighbours may be missing, which of these.
    fn around(&self, colour: usize, start: usize, len: usize, out: &mut Around) {
        let Some(rows) = &self.rows else { return self.around_parts(colour, start, len, out) };
        let (width, other) = (rows.width, &self.planes[1 - colour]);
        let near = &mut out.near[MARGIN - width..MARGIN + len + width];
        cyclic(other, start + other.len() - width, near);
        for (spins, from) in out.spins.iter_mut().zip([0, 2 * width, width]) {
            spins[..len].copy_from_slice(&near[from..from + len]);
        }
        let turned = if Lattice::offset(start / width, colour) == 1 { u64::MAX } else { 0 };
        beside(&out.near, rows, turned, &mut out.spins[3]);
        out.all[..len].copy_from_slice(&rows.all[..len]);
    }

    /// The same where neighbours may be missing or rows do not fit. What is not written is as it was: all
    /// ones.
    fn around_parts(&self, colour: usize, start: usize, len: usize, out: &mut Around) {
        let Lattice { shape: [rows, _], periodic, .. } = self.lattice;
        let width = self.lattice.width();
        let other = &self.planes[1 - colour];
        let open = self.lattice.is_open();
        let plane = other.len();
        // Some other lattice may have been here.
        out.all.fill(u64::MAX);
        cyclic(other, start + plane - width, &mut out.spins[0][..len]);
        cyclic(other, start + width, &mut out.spins[1][..len]);
        out.spins[2][..len].copy_from_slice(&other[start..start + len]);
        let is_full = self.lattice.shape[1].is_multiple_of(128);
        let end = start + len;
        let mut at = start;
        while at < end {
            let (row, from) = (at / width, at % width);
            let to = width.min(from + end - at);
            let here = at - start..at - start + to - from;
            let offset = Lattice::offset(row, colour);
            let mid = &other[row * width..][..width];
            let sites = self.lattice.sites(offset);
            let others = self.lattice.sites(1 - offset);
            let last = sites - usize::from(sites > 0);
            // The fourth neighbour of site `j` has index `j - 1` where rows begin with this colour, and
            // `j + 1` elsewhere.
            let side = &mut out.spins[3][here.clone()];
            if offset == 0 {
                let carry = match from {
                    0 if periodic[1] => mid[(others - 1) / 64] >> ((others - 1) % 64) & 1,
                    0 => 0,
                    from => mid[from - 1] >> 63,
                };
                side[0] = mid[from] << 1 | carry;
                for (side, words) in side[1..].iter_mut().zip(mid[from..to].windows(2)) {
                    *side = words[1] << 1 | words[0] >> 63;
                }
            } else {
                for (side, words) in side.iter_mut().zip(mid[from..].windows(2)) {
                    *side = words[0] >> 1 | words[1] << 63;
                }
                if to == width {
                    side[to - from - 1] = mid[to - 1] >> 1;
                }
                if periodic[1] && to == width {
                    side[to - from - 1] |= (mid[0] & 1) << (last % 64);
                }
            }
            if open {
                for (k, edge) in [0, rows - 1].into_iter().enumerate() {
                    let mask = if row == edge && !periodic[0] { 0 } else { u64::MAX };
                    out.present[k][here.clone()].fill(mask);
                }
                out.present[2][here.clone()].fill(u64::MAX);
                out.present[3][here.clone()].fill(u64::MAX);
                let mut absent = |k: usize, j: usize| {
                    if (from..to).contains(&(j / 64)) {
                        out.present[k][here.start + j / 64 - from] &= !(1 << (j % 64));
                    }
                };
                if !periodic[1] && sites > 0 {
                    if offset == 0 {
                        absent(3, 0);
                        if others < sites {
                            absent(2, last);
                        }
                    } else if others <= sites {
                        absent(3, last);
                    }
                }
            }
            if is_full {
                at += to - from;
                continue;
            }
            for (w, all) in (from..to).zip(&mut out.all[here]) {
                let left = sites.saturating_sub(64 * w);
                *all = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
            }
            at += to - from;
        }
    }

    /// Draws all sites of a colour.
    fn half(&mut self, colour: usize, stream: Stream, run: Run<'_>) -> Result<()> {
        let digits = &*self.digits;
        let mut plane = std::mem::take(&mut self.planes[colour]);
        let first = self.first + (colour * plane.len()) as u64;
        let closed = !self.lattice.is_open();
        let size = self.block();
        let task_size = TASK / size * size;
        let done = run.fill_chunks(&mut plane, task_size, |task, words| {
            SCRATCH.with_borrow_mut(|scratch| {
                let Scratch { around, block, list, words: next } = &mut **scratch;
                for (b, out) in words.chunks_mut(size).enumerate() {
                    let start = task * task_size + b * size;
                    self.around(colour, start, out.len(), around);
                    // Whole vectors are quicker; what stands in the words behind does not matter.
                    let len = out.len().next_multiple_of(8).min(BLOCK);
                    let first = first + start as u64;
                    begin(digits, stream, first, around, closed, len, block);
                    let mut undecided = 0;
                    for (i, &all) in around.all[..out.len()].iter().enumerate() {
                        block.open[i] &= all;
                        list[undecided] = i as u32;
                        undecided += usize::from(block.open[i] != 0);
                    }
                    let mut pair = DENSE;
                    while undecided > 0 && pair < 32 {
                        go_on(digits, stream, first, pair, closed, list, undecided, next, block);
                        pair += 1;
                        let mut left = 0;
                        for i in 0..undecided {
                            let at = list[i];
                            list[left] = at;
                            left += usize::from(block.open[at as usize] != 0);
                        }
                        undecided = left;
                    }
                    for ((out, up), all) in out.iter_mut().zip(&block.up).zip(&around.all) {
                        *out = up & all;
                    }
                }
            });
        });
        self.planes[colour] = plane;
        done
    }
}

/// The words of a row: of the sites in even columns, and of the others.
fn of_row(planes: &mut [Vec<u64>; 2], row: usize, width: usize) -> [&mut [u64]; 2] {
    let mut words = planes.each_mut().map(|plane| &mut plane[row * width..(row + 1) * width]);
    if row % 2 == 1 {
        words.reverse();
    }
    words
}

/// Copies words from `start` on, from the beginning again at the end.
fn cyclic(words: &[u64], start: usize, out: &mut [u64]) {
    let (mut start, mut rest) = (start % words.len(), out);
    while !rest.is_empty() {
        let len = rest.len().min(words.len() - start);
        let (now, later) = rest.split_at_mut(len);
        now.copy_from_slice(&words[start..start + len]);
        (start, rest) = (0, later);
    }
}

impl State for Spins {
    fn update(&mut self, round: u32, run: Run<'_>) -> Result<()> {
        let stream = self.rounds.at(round);
        self.half(0, stream, run)?;
        self.half(1, stream, run)
    }

    fn read(&self, out: &mut [u8]) {
        let width = self.lattice.width();
        for (row, out) in out.chunks_exact_mut(self.lattice.shape[1]).enumerate() {
            let here = row * width..(row + 1) * width;
            join(&self.planes[row % 2][here.clone()], &self.planes[1 - row % 2][here], out);
        }
    }

    fn measure(&mut self, out: &mut [Measured]) {
        let ups: u64 = self.planes.iter().flatten().map(|word| u64::from(word.count_ones())).sum();
        // Each pair of neighbours has one site of the first colour.
        let Scratch { mut around, .. } = Scratch::new();
        let (mut pairs, mut alike) = (0_u64, 0_u64);
        let size = self.block();
        for (b, words) in self.planes[0].chunks(size).enumerate() {
            self.around(0, b * size, words.len(), &mut around);
            for (i, word) in words.iter().enumerate() {
                for k in 0..4 {
                    let there = around.present[k][i] & around.all[i];
                    pairs += u64::from(there.count_ones());
                    alike += u64::from((there & !(word ^ around.spins[k][i])).count_ones());
                }
            }
        }
        let sites = self.lattice.shape[0] * self.lattice.shape[1];
        let spin = 2.0 * ups as f64 - sites as f64;
        let bonds = 2.0 * alike as f64 - pairs as f64;
        out[0] = Measured {
            energy: -self.lattice.coupling * bonds - self.lattice.field * spin,
            magnetization: spin / sites as f64,
        };
    }

    fn is_divisible(&self) -> bool {
        self.lattice.plane() > TASK
    }
}

#[cfg(test)]
mod tests {
    use sortes_core::simd::{available_levels, with_level};

    use super::*;

    /// One spin at a time, with the digits of its number one after the other.
    fn sweep(lattice: &Lattice, states: &mut [u8], stream: Stream, first: u64) {
        let [rows, columns] = lattice.shape;
        let thresholds = lattice.thresholds();
        let width = lattice.width();
        for colour in 0..2 {
            for (row, column) in (0..rows * columns).map(|i| (i / columns, i % columns)) {
                if (row + column) % 2 != colour {
                    continue;
                }
                let beside = |at: usize, len: usize, periodic: bool| {
                    let before = if at > 0 { Some(at - 1) } else { periodic.then_some(len - 1) };
                    let after = if at + 1 < len { Some(at + 1) } else { periodic.then_some(0) };
                    [before, after]
                };
                let mut sum = 4;
                for other in beside(row, rows, lattice.periodic[0]).into_iter().flatten() {
                    sum += 2 * i32::from(states[other * columns + column]) - 1;
                }
                for other in beside(column, columns, lattice.periodic[1]).into_iter().flatten() {
                    sum += 2 * i32::from(states[row * columns + other]) - 1;
                }
                let j = column / 2;
                let word = colour * lattice.plane() + row * width + j / 64;
                let mut draws = stream.draws(Purpose::Lattice, first + word as u64);
                let number = (0..64).fold(0, |u, _| u << 1 | (draws.u64() >> (j % 64) & 1));
                states[row * columns + column] = u8::from(number < thresholds[sum as usize]);
            }
        }
    }

    #[test]
    fn words_are_what_their_spins_are_on_every_instruction_set() {
        let stream = Stream::new(0x1234_5678_9ABC_DEF0);
        for (shape, periodic) in [
            ([4, 4], [true, true]),
            ([6, 260], [true, true]),
            ([34, 1024], [true, true]),
            ([5, 7], [false, false]),
            ([4, 129], [true, false]),
            ([3, 130], [false, true]),
            ([1, 1], [false, false]),
            ([1, 6], [false, true]),
            ([7, 1], [false, false]),
        ] {
            for (coupling, field, beta) in [
                (1.0, 0.0, 0.44),
                (-0.7, 0.3, 1.0),
                (0.0, -9.0, 1.0),
                (1.0, 0.0, 0.0),
                (1e9, 1.0, 1.0),
            ] {
                let lattice = Lattice { shape, periodic, coupling, field, beta };
                let mut states: Vec<u8> =
                    (0..shape[0] * shape[1]).map(|i| (i * i / 3 % 2) as u8).collect();
                let start = states.clone();
                let first = 3 * Spins::names(&lattice);
                for round in 0..3 {
                    sweep(&lattice, &mut states, stream.at_step(round), first);
                }
                for level in available_levels() {
                    let mut spins =
                        Spins::new(lattice.clone(), &start, 3, stream.rounds()).unwrap();
                    for round in 0..3 {
                        with_level(level, || spins.update(round, Run::alone())).unwrap();
                    }
                    let mut found = vec![0; states.len()];
                    spins.read(&mut found);
                    assert!(found == states, "{lattice:?} {level:?}");
                }
            }
        }
    }

    #[test]
    fn measurements_are_sums() {
        let lattice = Lattice {
            shape: [3, 5],
            periodic: [false, false],
            coupling: 2.0,
            field: 0.5,
            beta: 1.0,
        };
        let mut states = vec![1; 15];
        states[7] = 0;
        let mut spins = Spins::new(lattice, &states, 0, Stream::new(0).rounds()).unwrap();
        let mut found = [Measured::default()];
        spins.measure(&mut found);
        // 22 pairs, 4 of which differ; 13 spins more up than down.
        assert_eq!(found, [Measured { energy: -28.0 - 6.5, magnetization: 13.0 / 15.0 }]);
    }
}
