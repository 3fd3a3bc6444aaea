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

use super::sampler::{Measured, State};
use super::sigmoid;

/// Words that are decided together.
const BLOCK: usize = 256;
/// Pairs of digits that all words have; the rest is made for undecided words alone.
const DENSE: u32 = 4;
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

/// Which digits of the thresholds are ones, as masks; and where a threshold has no more ones: whoever is
/// undecided there is not below it.
#[derive(Debug)]
struct Digits {
    ones: [[u64; SUMS]; 64],
    ends: [Option<[u64; SUMS]>; 64],
}

impl Digits {
    fn new(thresholds: [u64; SUMS]) -> Self {
        let mask = |bit: bool| if bit { u64::MAX } else { 0 };
        let ones = std::array::from_fn(|d| thresholds.map(|t| mask(t << d >> 63 == 1)));
        let ends = std::array::from_fn(|d| {
            // Of interest where it saves digits of many: a threshold of one half, or of none.
            let ends = |t: u64| t << d << 1 == 0 && (d == 0 || t << d != 0);
            let early = d < 4 && thresholds.iter().any(|&t| ends(t));
            early.then(|| thresholds.map(|t| mask(!ends(t))))
        });
        Self { ones, ends }
    }
}

/// The neighbours of a block of words, and which of them there are.
struct Around {
    spins: [[u64; BLOCK]; 4],
    present: [[u64; BLOCK]; 4],
}

/// Which spins of a block have which sum, and what is decided about them.
struct Block {
    classes: [[u64; BLOCK]; SUMS],
    up: [u64; BLOCK],
    open: [u64; BLOCK],
}

/// What is worked with, once for each thread.
struct Scratch {
    around: Around,
    block: Block,
    /// Which bits of the words are sites.
    all: [u64; BLOCK],
    /// The words that are undecided.
    list: [u32; BLOCK],
}

impl Scratch {
    #[allow(clippy::large_stack_arrays)] // once for each thread
    fn new() -> Self {
        Self {
            around: Around { spins: [[0; BLOCK]; 4], present: [[u64::MAX; BLOCK]; 4] },
            block: Block { classes: [[0; BLOCK]; SUMS], up: [0; BLOCK], open: [0; BLOCK] },
            all: [u64::MAX; BLOCK],
            list: [0; BLOCK],
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Box<Scratch>> = RefCell::new(Box::new(Scratch::new()));
}

#[inline(always)]
fn one_class(around: &Around, i: usize, closed: bool, classes: &mut [[u64; BLOCK]; SUMS]) {
    let Around { spins: [a, b, c, d], present: [pa, pb, pc, pd] } = around;
    let (a, b, c, d) = (a[i], b[i], c[i], d[i]);
    if closed {
        let [zero, one, two] = count(a, b, c, d);
        classes[0][i] = !(zero | one | two);
        classes[2][i] = zero & !one;
        classes[4][i] = one & !zero;
        classes[6][i] = zero & one;
        classes[8][i] = two;
    } else {
        // The sum plus four is twice the number of those that are up plus the number of those missing.
        let (pa, pb, pc, pd) = (pa[i], pb[i], pc[i], pd[i]);
        let ups = count(a & pa, b & pb, c & pc, d & pd);
        let [m0, m1, m2] = count(!pa, !pb, !pc, !pd);
        let carry = ups[0] & m1;
        let v =
            [m0, ups[0] ^ m1, ups[1] ^ m2 ^ carry, ups[2] ^ (ups[1] & m2 | carry & (ups[1] ^ m2))];
        let low = [!v[0] & !v[1], v[0] & !v[1], !v[0] & v[1], v[0] & v[1]];
        let (zero, four, eight) = (!v[2] & !v[3], v[2] & !v[3], v[3]);
        let mut k = 0;
        while k < 4 {
            classes[k][i] = low[k] & zero;
            classes[4 + k][i] = low[k] & four;
            k += 1;
        }
        classes[8][i] = eight;
    }
}

/// How many of four bits are set, lane by lane, in three binary digits.
#[inline(always)]
fn count(a: u64, b: u64, c: u64, d: u64) -> [u64; 3] {
    let (x, y, ab, cd) = (a ^ b, c ^ d, a & b, c & d);
    [x ^ y, ab ^ cd ^ (x & y), ab & cd]
}

vectorised! {
    /// Sorts the spins of a block by the sum of their neighbours.
    fn classify(around: &Around, closed: bool, len: usize, block: &mut Block) {
        assert!(len <= BLOCK); // so that no index below is looked at again
        if closed {
            for i in 0..len {
                one_class(around, i, true, &mut block.classes);
            }
        } else {
            for i in 0..len {
                one_class(around, i, false, &mut block.classes);
            }
        }
    }

    /// Compares the first digits of all spins of a block.
    fn compare(
        digits: &Digits,
        stream: Stream,
        first: u64,
        closed: bool,
        len: usize,
        block: &mut Block,
    ) {
        if closed {
            first_digits::<2>(digits, stream, first, len, block);
        } else {
            first_digits::<1>(digits, stream, first, len, block);
        }
    }

    /// Goes on with the words that are listed, and leaves those that are still undecided in the list.
    fn go_on(
        digits: &Digits,
        stream: Stream,
        first: u64,
        pair: u32,
        closed: bool,
        list: &[u32],
        block: &mut Block,
    ) {
        let mut words = [[0; BLOCK]; 2];
        for (i, &at) in list.iter().enumerate().take(BLOCK) {
            let [a, b] = words_of(stream, Purpose::Lattice, first + u64::from(at), pair);
            (words[0][i], words[1][i]) = (a, b);
        }
        let at = 2 * pair as usize;
        let ones = [digits.ones[at], digits.ones[at + 1]];
        for (i, &at) in list.iter().enumerate().take(BLOCK) {
            let words = [words[0][i], words[1][i]];
            if closed {
                step::<2>(&ones, at as usize, words, block);
            } else {
                step::<1>(&ones, at as usize, words, block);
            }
        }
    }
}

/// Compares the first digits where every `EACH`-th sum occurs.
#[inline(always)]
fn first_digits<const EACH: usize>(
    digits: &Digits,
    stream: Stream,
    first: u64,
    len: usize,
    block: &mut Block,
) {
    assert!(len <= BLOCK); // as above
    block.up[..len].fill(0);
    block.open[..len].fill(u64::MAX);
    for pair in 0..DENSE {
        let at = 2 * pair as usize;
        let ones = [digits.ones[at], digits.ones[at + 1]];
        for i in 0..len {
            let words = words_of(stream, Purpose::Lattice, first + i as u64, pair);
            step::<EACH>(&ones, i, words, block);
        }
        for d in [at, at + 1] {
            let Some(live) = digits.ends[d] else { continue };
            for i in 0..len {
                block.open[i] &= chosen::<EACH>(&live, &block.classes, i);
            }
        }
    }
}

/// Two more digits of the spins of a word.
#[inline(always)]
fn step<const EACH: usize>(ones: &[[u64; SUMS]; 2], i: usize, words: [u64; 2], block: &mut Block) {
    let (mut up, mut open) = (block.up[i], block.open[i]);
    for (ones, word) in ones.iter().zip(words) {
        let threshold = chosen::<EACH>(ones, &block.classes, i);
        up |= open & threshold & !word;
        open &= !(threshold ^ word);
    }
    (block.up[i], block.open[i]) = (up, open);
}

/// For each spin of a word the bit that its sum has. Every `EACH`-th sum occurs.
#[inline(always)]
fn chosen<const EACH: usize>(bits: &[u64; SUMS], classes: &[[u64; BLOCK]; SUMS], i: usize) -> u64 {
    let (mut chosen, mut k) = (0, 0);
    while k < SUMS {
        chosen |= classes[k][i] & bits[k];
        k += EACH;
    }
    chosen
}

/// The spins of a lattice, colour by colour, row by row; bits beyond the last site of a row are zero.
#[derive(Debug, Clone)]
pub struct Spins {
    lattice: Lattice,
    digits: Arc<Digits>,
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
            for (column, &state) in states.iter().enumerate() {
                let (colour, j) = ((row + column) % 2, column / 2);
                planes[colour][row * width + j / 64] |= u64::from(state) << (j % 64);
            }
        }
        let first = chain * Self::names(&lattice);
        let digits = Arc::new(Digits::new(lattice.thresholds()));
        Ok(Self { lattice, digits, planes, rounds, first })
    }

    /// How many entities a chain takes.
    pub fn names(lattice: &Lattice) -> u64 {
        2 * lattice.plane() as u64
    }

    /// The neighbours of `len` words from `start` on, and which sites there are; where neighbours may be
    /// missing, which of these. What is not written is as it was: all ones.
    fn around(&self, colour: usize, start: usize, len: usize, out: &mut Around, all: &mut [u64]) {
        let Lattice { shape: [rows, _], periodic, .. } = self.lattice;
        let width = self.lattice.width();
        let other = &self.planes[1 - colour];
        let open = self.lattice.is_open();
        let plane = other.len();
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
            for (w, all) in (from..to).zip(&mut all[here]) {
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
        let done = run.fill_chunks(&mut plane, TASK, |task, words| {
            SCRATCH.with_borrow_mut(|scratch| {
                let Scratch { around, block, all, list } = &mut **scratch;
                // Of lattices that do not fill their words, some other lattice may have been here.
                all.fill(u64::MAX);
                for (b, out) in words.chunks_mut(BLOCK).enumerate() {
                    let start = task * TASK + b * BLOCK;
                    self.around(colour, start, out.len(), around, all);
                    // Whole vectors are quicker; what stands in the words behind does not matter.
                    let len = out.len().next_multiple_of(8).min(BLOCK);
                    classify(around, closed, len, block);
                    let first = first + start as u64;
                    compare(digits, stream, first, closed, len, block);
                    let mut undecided = 0;
                    for (i, &all) in all[..out.len()].iter().enumerate() {
                        block.open[i] &= all;
                        list[undecided] = i as u32;
                        undecided += usize::from(block.open[i] != 0);
                    }
                    let mut pair = DENSE;
                    while undecided > 0 && pair < 32 {
                        go_on(digits, stream, first, pair, closed, &list[..undecided], block);
                        pair += 1;
                        let mut left = 0;
                        for i in 0..undecided {
                            let at = list[i];
                            list[left] = at;
                            left += usize::from(block.open[at as usize] != 0);
                        }
                        undecided = left;
                    }
                    for ((out, up), all) in out.iter_mut().zip(&block.up).zip(&*all) {
                        *out = up & all;
                    }
                }
            });
        });
        self.planes[colour] = plane;
        done
    }
}

/// Copies words from `start` on, from the beginning again at the end.
fn cyclic(words: &[u64], start: usize, out: &mut [u64]) {
    let start = start % words.len();
    let before = out.len().min(words.len() - start);
    out[..before].copy_from_slice(&words[start..start + before]);
    // Fewer than there are words: a block never passes the end twice.
    let rest = out.len() - before;
    out[before..].copy_from_slice(&words[..rest]);
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
            for (column, out) in out.iter_mut().enumerate() {
                let (colour, j) = ((row + column) % 2, column / 2);
                *out = (self.planes[colour][row * width + j / 64] >> (j % 64) & 1) as u8;
            }
        }
    }

    fn measure(&mut self, out: &mut [Measured]) {
        let ups: u64 = self.planes.iter().flatten().map(|word| u64::from(word.count_ones())).sum();
        // Each pair of neighbours has one site of the first colour.
        let Scratch { mut around, mut all, .. } = Scratch::new();
        let (mut pairs, mut alike) = (0_u64, 0_u64);
        for (b, words) in self.planes[0].chunks(BLOCK).enumerate() {
            self.around(0, b * BLOCK, words.len(), &mut around, &mut all);
            for (i, word) in words.iter().enumerate() {
                for k in 0..4 {
                    let there = around.present[k][i] & all[i];
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
