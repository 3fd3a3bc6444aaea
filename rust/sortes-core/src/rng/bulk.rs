//! Many draws at once: one Philox block per item, whole vectors of items side by side.
//!
//! Every function writes exactly the bits that [`Stream::draws`] gives one item at a time, on every
//! instruction set: the loops below hold integer and IEEE operations alone, without branches, and
//! are compiled once for each level of [`simd`](crate::simd).

use super::{Draws, Purpose, Rounds, Stream, elementary, open_uniform_of, philox};
use crate::vectorised;

/// The items of a bulk draw, and the sequences that they have.
#[derive(Clone, Copy, Debug)]
pub enum Ids<'a> {
    /// Entities `first`, `first + 1`, ... of a stream.
    From(Stream, u64),
    /// Any entities of a stream, one per item.
    Listed(Stream, &'a [u64]),
    /// Any 64-bit ids, one per item.
    ///
    /// An id is folded into a counter as entity = its low 32 bits and round = its high 32 bits, so
    /// that different ids have different counters.
    Folded(Rounds, &'a [u64]),
}

impl Ids<'_> {
    /// The sequence of item `i`.
    pub fn draws(&self, purpose: Purpose, i: usize) -> Draws {
        match *self {
            Self::From(stream, first) => stream.draws(purpose, first + i as u64),
            Self::Listed(stream, ids) => stream.draws(purpose, ids[i]),
            Self::Folded(rounds, ids) => rounds.draws(purpose, ids[i] & LOW, (ids[i] >> 32) as u32),
        }
    }
}

const LOW: u64 = 0xFFFF_FFFF;

vectorised! {
    /// Writes the [exponential](Draws::exponential) of every item.
    ///
    /// # Panics
    /// If `ids` is a slice of another length than `out`; so do the other functions.
    pub fn exponentials(purpose: Purpose, ids: Ids<'_>, out: &mut [f64]) {
        fill(purpose, ids, |_| 0, out, |b| elementary::exponential(precise_uniform(b)));
    }

    /// Writes the natural logarithm of each exponential; its negative has a Gumbel distribution.
    pub fn log_exponentials(purpose: Purpose, ids: Ids<'_>, out: &mut [f64]) {
        let read = |b| elementary::ln(elementary::exponential(precise_uniform(b)));
        fill(purpose, ids, |_| 0, out, read);
    }

    /// Writes the [precise uniform](Draws::precise_uniform) of every item.
    pub fn precise_uniforms(purpose: Purpose, ids: Ids<'_>, out: &mut [f64]) {
        fill(purpose, ids, |_| 0, out, precise_uniform);
    }

    /// Writes draws `2 * block`, `2 * block + 1`, ... of one entity as normals.
    fn normals_of_blocks(
        stream: Stream,
        purpose: Purpose,
        entity: u64,
        block: u32,
        out: &mut [f64],
    ) {
        let mut aside = Aside::<PART>::default();
        for (i, part) in out.chunks_mut(PART).enumerate() {
            let block = block.wrapping_add((i * (PART / 2)) as u32);
            open_uniforms(stream, purpose, entity, block, part);
            normal_quantiles(part, &mut aside);
        }
    }

    /// Rounds each number to float32.
    fn round_all(wide: &[f64], out: &mut [f32]) {
        for (out, &wide) in out.iter_mut().zip(wide) {
            *out = wide as f32;
        }
    }

    /// Writes the [exponential](Draws::exponential) of every pair of words.
    ///
    /// # Panics
    /// If there is not one pair for each item.
    pub fn exponentials_of(words: &[[u64; 2]], out: &mut [f64]) {
        assert_eq!(words.len(), out.len(), "one pair per draw");
        for (out, &pair) in out.iter_mut().zip(words) {
            *out = elementary::exponential(precise_uniform(pair));
        }
    }

    /// Turns uniforms above 0 and below 1 into [normal quantiles](elementary::normal_quantile).
    pub fn quantiles(p: &mut [f64]) {
        quantiles_of(p);
    }

    /// Writes draws 0 and 1 (`u64`) of every item.
    pub fn words(purpose: Purpose, ids: Ids<'_>, out: &mut [[u64; 2]]) {
        fill(purpose, ids, |_| 0, out, |words| words);
    }

    /// Writes draws `2 * block` and `2 * block + 1` (`u64`) of every item.
    pub fn words_at(purpose: Purpose, ids: Ids<'_>, block: u32, out: &mut [[u64; 2]]) {
        fill(purpose, ids, |_| block, out, |words| words);
    }

    /// Writes draws `2 * block` and `2 * block + 1` (`u64`) of every item, each with a block of its own.
    ///
    /// # Panics
    /// If there is not one block for each item.
    pub fn words_each(purpose: Purpose, ids: Ids<'_>, blocks: &[u32], out: &mut [[u64; 2]]) {
        assert_eq!(blocks.len(), out.len(), "one block per draw");
        fill(purpose, ids, |i| blocks[i], out, |words| words);
    }
}

/// Blocks of one sequence that are made together.
pub const AHEAD: usize = 8;

vectorised! {
    /// Writes the draws (`u64`) of a sequence from block `first` on, two of each block, in order.
    pub fn ahead(draws: &Draws, first: u32, out: &mut [[u64; 2]; AHEAD]) {
        let [step, entity, high] = draws.name.map(u64::from);
        for (i, out) in out.iter_mut().enumerate() {
            let block = u64::from(first.wrapping_add(i as u32));
            *out = two_draws(draws.key, [block, step, entity, high]);
        }
    }
}

vectorised! {
    /// Writes a [precise uniform](Draws::precise_uniform) of each block of a sequence, from block `first`
    /// on.
    pub fn precise_uniforms_of(draws: &Draws, first: u32, out: &mut [f64]) {
        let [step, entity, high] = draws.name.map(u64::from);
        for (i, out) in out.iter_mut().enumerate() {
            let block = u64::from(first.wrapping_add(i as u32));
            *out = precise_uniform(two_draws(draws.key, [block, step, entity, high]));
        }
    }

    /// Writes the [exponential](Draws::exponential) of each block of a sequence, from block `first` on.
    pub fn exponentials_of_blocks(draws: &Draws, first: u32, out: &mut [f64]) {
        let [step, entity, high] = draws.name.map(u64::from);
        for (i, out) in out.iter_mut().enumerate() {
            let block = u64::from(first.wrapping_add(i as u32));
            let words = two_draws(draws.key, [block, step, entity, high]);
            *out = elementary::exponential(precise_uniform(words));
        }
    }
}

/// Rounds whose beginnings are made together.
pub const ROUNDS: usize = 8;
/// Blocks of each of them that are made along.
pub const SPARE: usize = 2;

vectorised! {
    /// Writes what the sequences of [`ROUNDS`] rounds begin with, from that of `draws` on: normals, and then
    /// an exponential. The first of all rounds come first, then the second, ... With `is_unit` the normals
    /// of a round are divided by their length. `spare` gets the next blocks of each, from the one that holds
    /// the first draw that was not read.
    pub fn openings(
        draws: &Draws,
        is_unit: bool,
        out: &mut [f64],
        spare: &mut [[[u64; 2]; SPARE]; ROUNDS],
    ) {
        let n = out.len() / ROUNDS - 1;
        let (normals, exponentials) = out.split_at_mut(n * ROUNDS);
        for (pair, block) in normals.chunks_mut(2 * ROUNDS).zip(0..) {
            let words = words_of_rounds(draws, block);
            for (z, words) in pair.chunks_exact_mut(ROUNDS).zip(words) {
                for k in 0..ROUNDS {
                    z[k] = open_uniform_of(words[k]);
                }
            }
        }
        quantiles_of(normals);
        if is_unit {
            divide_by_lengths(normals);
        }
        let [mut first, mut second] = words_of_rounds(draws, (n / 2) as u32);
        if n % 2 == 1 {
            first = second;
            [second, _] = words_of_rounds(draws, (n / 2 + 1) as u32);
        }
        for k in 0..ROUNDS {
            exponentials[k] = elementary::exponential(precise_uniform([first[k], second[k]]));
        }
        for (j, block) in (0..SPARE).zip(n / 2 + 1..) {
            let [first, second] = words_of_rounds(draws, block as u32);
            for k in 0..ROUNDS {
                spare[k][j] = [first[k], second[k]];
            }
        }
    }
}

/// Divides the numbers of each round, which come one after the other, by the root of their sum of squares.
#[inline(always)]
fn divide_by_lengths(numbers: &mut [f64]) {
    let mut lengths = [0.0; ROUNDS];
    for row in numbers.chunks_exact(ROUNDS) {
        for k in 0..ROUNDS {
            lengths[k] += row[k] * row[k];
        }
    }
    for length in &mut lengths {
        *length = length.sqrt();
    }
    for row in numbers.chunks_exact_mut(ROUNDS) {
        for k in 0..ROUNDS {
            row[k] /= lengths[k];
        }
    }
}

/// Both draws of a block, of each round.
#[inline(always)]
fn words_of_rounds(draws: &Draws, block: u32) -> [[u64; ROUNDS]; 2] {
    let [step, entity, high] = draws.name;
    let (mut first, mut second) = ([0; ROUNDS], [0; ROUNDS]);
    for (k, (first, second)) in (0..).zip(first.iter_mut().zip(&mut second)) {
        let counter = [block, step.wrapping_add(k), entity, high].map(u64::from);
        [*first, *second] = two_draws(draws.key, counter);
    }
    [first, second]
}

/// Writes draws `first`, `first + 1`, ... of one entity as [normals](Draws::normal).
///
/// # Panics
/// If they go beyond the end of the sequence, `2^33` draws.
pub fn normals(stream: Stream, purpose: Purpose, entity: u64, first: u64, out: &mut [f64]) {
    assert!(first + out.len() as u64 <= 1 << 33, "a sequence has 2^33 draws");
    let (half, whole) = out.split_at_mut(((first % 2) as usize).min(out.len()));
    if let [z] = half {
        let [_, word] = words_of(stream, purpose, entity, (first / 2) as u32);
        *z = elementary::normal_quantile(open_uniform_of(word));
    }
    normals_of_blocks(stream, purpose, entity, first.div_ceil(2) as u32, whole);
}

/// The same, rounded to float32.
///
/// # Panics
/// As [`normals`].
pub fn normals_f32(stream: Stream, purpose: Purpose, entity: u64, first: u64, out: &mut [f32]) {
    let mut wide = [0.0; 2 * PART];
    for (first, out) in (first..).step_by(2 * PART).zip(out.chunks_mut(2 * PART)) {
        let wide = &mut wide[..out.len()];
        normals(stream, purpose, entity, first, wide);
        round_all(wide, out);
    }
}

/// How many numbers are taken through one operation after another: they stay in the nearest cache.
const PART: usize = 512;
/// The same where there may be few of them.
const FEW: usize = 32;
/// How many blocks are made side by side: two vectors of the widest kind.
const LANES: usize = 16;

/// Writes the open uniforms of draws `2 * block`, `2 * block + 1`, ... of one entity.
#[inline(always)]
fn open_uniforms(stream: Stream, purpose: Purpose, entity: u64, block: u32, out: &mut [f64]) {
    let (whole, rest) = out.as_chunks_mut::<{ 2 * LANES }>();
    let mut block = block;
    for out in whole {
        some_uniforms(stream, purpose, entity, block, out);
        block = block.wrapping_add(LANES as u32);
    }
    if !rest.is_empty() {
        let mut last = [0.0; 2 * LANES];
        some_uniforms(stream, purpose, entity, block, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Writes the open uniforms of [`LANES`] blocks.
#[inline(always)] // a closure would be compiled apart, for the plainest instruction set
fn some_uniforms(
    stream: Stream,
    purpose: Purpose,
    entity: u64,
    block: u32,
    out: &mut [f64; 2 * LANES],
) {
    // Two plain arrays: the compiler makes vectors of them, but not of an array of pairs.
    let (mut even, mut odd) = ([0; LANES], [0; LANES]);
    for i in 0..LANES {
        [even[i], odd[i]] = words_of(stream, purpose, entity, block.wrapping_add(i as u32));
    }
    for i in 0..LANES {
        (out[2 * i], out[2 * i + 1]) = (open_uniform_of(even[i]), open_uniform_of(odd[i]));
    }
}

/// The numbers outside the centre, while they are set apart.
struct Aside<const MOST: usize> {
    /// Where they belong.
    places: [u16; MOST],
    /// The uniforms.
    p: [f64; MOST],
    /// How deep they lie, and the sizes of their quantiles.
    depths: [f64; MOST],
    sizes: [f64; MOST],
}

impl<const MOST: usize> Default for Aside<MOST> {
    fn default() -> Self {
        Self { places: [0; MOST], p: [0.5; MOST], depths: [0.0; MOST], sizes: [0.0; MOST] }
    }
}

/// Turns uniforms into [normal quantiles](elementary::normal_quantile), which may be few.
#[inline(always)]
fn quantiles_of(p: &mut [f64]) {
    let mut aside = Aside::<FEW>::default();
    for part in p.chunks_mut(FEW) {
        normal_quantiles(part, &mut aside);
    }
}

/// Turns at most `MOST` uniforms into [normal quantiles](elementary::normal_quantile).
///
/// Each pass is a loop without branches. All numbers go through the central approximation; the three
/// in twenty outside the centre are set apart, taken through the outer one side by side, and put back.
#[inline(always)]
fn normal_quantiles<const MOST: usize>(p: &mut [f64], aside: &mut Aside<MOST>) {
    let mut many = 0;
    for (i, &p) in p.iter().enumerate() {
        (aside.places[many % MOST], aside.p[many % MOST]) = (i as u16, p);
        many += usize::from(!elementary::normal_is_central(p));
    }
    for p in p.iter_mut() {
        *p = elementary::normal_centre(*p);
    }
    // Whole vectors: some uniforms of before, which mean nothing, are taken along.
    let padded = many.next_multiple_of(8).min(MOST);
    let (depths, sizes) = (&mut aside.depths[..padded], &mut aside.sizes[..padded]);
    for (depth, &p) in depths.iter_mut().zip(&aside.p[..padded]) {
        *depth = elementary::normal_depth(p);
    }
    for (size, &depth) in sizes.iter_mut().zip(depths.iter()) {
        *size = elementary::normal_shoulder(depth);
    }
    for i in 0..many {
        // One in 10^10 lies further out.
        if depths[i] > elementary::SHOULDER_DEPTH {
            sizes[i] = elementary::normal_outer(depths[i]);
        }
        p[usize::from(aside.places[i])] = elementary::normal_signed(aside.p[i], sizes[i]);
    }
}

/// Draws `2 * block` and `2 * block + 1` (`u64`) of an entity: for loops that use them at once, which
/// [`vectorised`] compiles.
#[inline(always)]
pub fn words_of(stream: Stream, purpose: Purpose, entity: u64, block: u32) -> [u64; 2] {
    let key = [stream.key() as u32, (stream.key() >> 32) as u32];
    let high = (purpose as u64) << 16 | (entity >> 32 & 0xFFFF);
    two_draws(key, [block.into(), stream.step().into(), entity & LOW, high])
}

/// Two draws of a sequence, from the words of their counter (each below `2^32`).
///
/// The words travel in 64-bit lanes: a product of their low halves is one vector instruction, and
/// what a lane carries above bit 32 between rounds is never looked at.
#[inline(always)]
fn two_draws(key: [u32; 2], [mut c0, mut c1, mut c2, mut c3]: [u64; 4]) -> [u64; 2] {
    for round in 0..philox::ROUNDS {
        let [k0, k1] = philox::round_key(key, round);
        let a = u64::from(philox::MULTIPLIERS[0]) * (c0 & LOW);
        let b = u64::from(philox::MULTIPLIERS[1]) * (c2 & LOW);
        (c0, c1, c2, c3) = ((b >> 32) ^ c1 ^ u64::from(k0), b, (a >> 32) ^ c3 ^ u64::from(k1), a);
    }
    [c1 << 32 | (c0 & LOW), c3 << 32 | (c2 & LOW)]
}

/// [`Draws::precise_uniform`](super::Draws::precise_uniform) without counting leading zeros, which
/// few instruction sets do to vectors.
#[inline(always)]
fn precise_uniform([first, second]: [u64; 2]) -> f64 {
    // The exponent of `first` as a float is 1086 less its leading zeros, once the bit after the
    // leading one is cleared, so that rounding cannot reach the next power of two.
    let exponent = ((first & !(first >> 1)) as f64).to_bits() >> 52;
    // All zeros count as 64 leading ones.
    let exponent = exponent.max(1022) - 64;
    f64::from_bits(exponent << 52 | second >> 12)
}

#[inline(always)]
fn fill<T>(
    purpose: Purpose,
    ids: Ids<'_>,
    block: impl Fn(usize) -> u32,
    out: &mut [T],
    read: impl Fn([u64; 2]) -> T,
) {
    let halves = |key: u64| [key as u32, (key >> 32) as u32];
    let purpose = (purpose as u64) << 16;
    match ids {
        Ids::From(stream, first) => {
            let (key, step) = (halves(stream.key()), u64::from(stream.step()));
            for (i, out) in out.iter_mut().enumerate() {
                let entity = first.wrapping_add(i as u64);
                let high = purpose | (entity >> 32 & 0xFFFF);
                *out = read(two_draws(key, [block(i).into(), step, entity & LOW, high]));
            }
        }
        Ids::Listed(stream, ids) => {
            let (key, step) = (halves(stream.key()), u64::from(stream.step()));
            assert_eq!(ids.len(), out.len(), "one id per draw");
            for (i, (&entity, out)) in ids.iter().zip(out).enumerate() {
                let high = purpose | (entity >> 32 & 0xFFFF);
                *out = read(two_draws(key, [block(i).into(), step, entity & LOW, high]));
            }
        }
        Ids::Folded(rounds, ids) => {
            let key = halves(rounds.key());
            assert_eq!(ids.len(), out.len(), "one id per draw");
            for (i, (&id, out)) in ids.iter().zip(out).enumerate() {
                *out = read(two_draws(key, [block(i).into(), id >> 32, id & LOW, purpose]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{available_levels, with_level};

    const LENGTHS: [usize; 9] = [0, 1, 7, 8, 9, 31, 64, 1000, 4099];

    /// Which items a test draws for.
    enum Asked {
        Range(u64, u32),
        Folded(Vec<u64>),
        Listed(Vec<u64>, u32),
    }

    fn check(ids: impl Fn(usize) -> Asked) {
        let stream = Stream::new(0x9ABC_DEF0_1234_5678);
        for level in available_levels() {
            for len in LENGTHS {
                let asked = ids(len);
                let ids = match &asked {
                    Asked::Range(first, step) => Ids::From(stream.at_step(*step), *first),
                    Asked::Folded(ids) => Ids::Folded(stream.rounds(), ids),
                    Asked::Listed(ids, step) => Ids::Listed(stream.at_step(*step), ids),
                };
                let (mut e, mut u, mut w) = (vec![0.0; len], vec![0.0; len], vec![[0; 2]; len]);
                let (mut l, mut later, mut each) = (e.clone(), w.clone(), w.clone());
                let mut again = e.clone();
                let blocks: Vec<u32> = (0..len as u32).map(|i| u32::MAX - i * i).collect();
                with_level(level, || {
                    words_at(Purpose::Item, ids, 3, &mut later);
                    words_each(Purpose::Item, ids, &blocks, &mut each);
                    log_exponentials(Purpose::Item, ids, &mut l);
                    exponentials(Purpose::Item, ids, &mut e);
                    precise_uniforms(Purpose::Item, ids, &mut u);
                    words(Purpose::Item, ids, &mut w);
                    exponentials_of(&w, &mut again);
                });
                for i in 0..len {
                    let at = || ids.draws(Purpose::Item, i);
                    assert_eq!(e[i].to_bits(), at().exponential().to_bits(), "{level:?} {i}");
                    assert_eq!(again[i].to_bits(), e[i].to_bits(), "{level:?} {i}");
                    assert_eq!(l[i].to_bits(), elementary::ln(e[i]).to_bits(), "{level:?} {i}");
                    assert_eq!(u[i].to_bits(), at().precise_uniform().to_bits(), "{level:?} {i}");
                    let mut draws = at();
                    assert_eq!(w[i], [draws.u64(), draws.u64()], "{level:?} {i}");
                    draws.seek(6);
                    assert_eq!(later[i], [draws.u64(), draws.u64()], "{level:?} {i}");
                    draws.seek(2 * u64::from(blocks[i]));
                    assert_eq!(each[i], [draws.u64(), draws.u64()], "{level:?} {i}");
                }
            }
        }
    }

    #[test]
    fn sequences_agree_with_single_draws() {
        let stream = Stream::new(77).at_step(5);
        for first in [0, 3, u32::MAX - 2] {
            let sequence = stream.draws(Purpose::Item, (1 << 40) + 9);
            let mut one = sequence.clone();
            one.seek(2 * u64::from(first));
            let expected: Vec<u64> = (0..2 * AHEAD).map(|_| one.u64()).collect();
            for level in available_levels() {
                let mut found = [[0; 2]; AHEAD];
                with_level(level, || ahead(&sequence, first, &mut found));
                assert_eq!(found.as_flattened(), expected, "{level:?} {first}");
            }
        }
    }

    #[test]
    fn openings_agree_with_single_draws() {
        let stream = Stream::new(78);
        let of = |round| stream.at_step(round).draws(Purpose::Item, (1 << 40) + 9);
        for n in [0, 1, 2, 7, 10, 41] {
            for first in [0, u32::MAX - 3] {
                for level in available_levels() {
                    let (mut found, mut spare) =
                        (vec![0.0; (n + 1) * ROUNDS], [[[0; 2]; SPARE]; ROUNDS]);
                    let mut unit = found.clone();
                    with_level(level, || {
                        openings(&of(first), true, &mut unit, &mut spare);
                        openings(&of(first), false, &mut found, &mut spare);
                    });
                    for k in 0..ROUNDS {
                        let mut one = of(first.wrapping_add(k as u32));
                        let z: Vec<f64> = (0..n).map(|_| one.normal()).collect();
                        let length = z.iter().map(|z| z * z).sum::<f64>().sqrt();
                        for (i, z) in z.into_iter().enumerate() {
                            assert_eq!(found[i * ROUNDS + k], z, "{level:?} {n} {i}");
                            assert_eq!(unit[i * ROUNDS + k], z / length, "{level:?} {n} {i}");
                        }
                        let e = one.exponential();
                        assert_eq!([found[n * ROUNDS + k], unit[n * ROUNDS + k]], [e, e]);
                        for &word in &spare[k].as_flattened()[n % 2..] {
                            assert_eq!(word, one.u64(), "{level:?} {n}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn ranges_agree_with_single_draws() {
        for (first, step) in [(0, 0), (3, u32::MAX), ((1 << 32) - 17, 9), ((1 << 48) - 5000, 1)] {
            check(|_| Asked::Range(first, step));
        }
    }

    #[test]
    fn slices_agree_with_single_draws() {
        let mixed = |len| -> Vec<u64> {
            let mut draws = Stream::new(5).draws(Purpose::Uniform, 0);
            (0..len).map(|i| if i % 3 == 0 { i as u64 } else { draws.u64() }).collect()
        };
        check(|len| Asked::Folded(mixed(len)));
        check(|len| Asked::Folded(vec![u64::MAX; len]));
        check(|len| Asked::Listed(mixed(len).iter().map(|id| id >> 16).collect(), 9));
    }

    #[test]
    fn binades_agree_with_leading_zeros() {
        for second in [0, u64::MAX, 0x0123_4567_89AB_CDEF] {
            for zeros in 0..=64u32 {
                let top = 1u64.checked_shl(63u32.wrapping_sub(zeros)).unwrap_or(0);
                for first in
                    [top, top | (top.wrapping_sub(1) & top >> 1), top | top.wrapping_sub(1)]
                {
                    let first = if zeros == 64 { 0 } else { first };
                    let expected = f64::from_bits(
                        (1022 - u64::from(first.leading_zeros())) << 52 | second >> 12,
                    );
                    assert_eq!(precise_uniform([first, second]), expected, "{first:x}");
                }
            }
        }
    }

    #[test]
    fn normals_are_those_of_single_draws() {
        let stream = Stream::new(0x9ABC_DEF0_1234_5678).at_step(7);
        for level in available_levels() {
            for (entity, first) in [(0, 0), (3, (1 << 33) - 4099), ((1 << 48) - 5, 25)] {
                for len in LENGTHS {
                    let mut z = vec![0.0; len];
                    with_level(level, || normals(stream, Purpose::Item, entity, first, &mut z));
                    let mut draws = stream.draws(Purpose::Item, entity);
                    draws.seek(first);
                    for (i, z) in z.iter().enumerate() {
                        assert_eq!(z.to_bits(), draws.normal().to_bits(), "{level:?} {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_single_numbers_to_the_last() {
        let mut p: Vec<f64> = (0..50).map(|i| open_uniform_of(1 << i)).collect();
        p.extend((0..50).map(|i| open_uniform_of(!(1 << i))));
        p.extend([open_uniform_of(0), open_uniform_of(u64::MAX), 0.075, 0.925, 0.5]);
        p.extend((1..100).map(|i| f64::from(i) / 100.0));
        let mut z = p.clone();
        for level in available_levels() {
            z.copy_from_slice(&p);
            with_level(level, || quantiles(&mut z));
            for (z, p) in z.iter().zip(&p) {
                assert_eq!(z.to_bits(), elementary::normal_quantile(*p).to_bits(), "{p}");
            }
        }
        assert!(z.iter().all(|z| z.abs() < 8.3) && z.iter().any(|z| z.abs() > 8.2));
    }
}
