//! Which particles go on: ancestors in proportion to weights, by five schemes.
//!
//! Gerber, Chopin and Whiteley, "Negative association, ordering and convergence of resampling methods",
//! Annals of Statistics 47, 2019, compare them. Every scheme has `E[counts] = n w / sum(w)`.

use crate::error::shown;
use crate::memory::{filled, with_capacity};
use crate::num::Sum;
use crate::rng::elementary::exp_negative;
use crate::rng::{Draws, Purpose, Stream, bulk, uniform_of};
use crate::{Error, Result, Run, vectorised};

use super::{Fraction, duel};

/// Particles between two looks at the stop request.
const BLOCK: usize = 1 << 15;
/// How near an expected count is taken for an integer where whole copies are set apart.
const WHOLE: f64 = 1e-9;
/// How near a sum of expected counts is taken for an integer: some roundings.
const SNAP: f64 = 1e-12;

/// How ancestors are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Independently.
    Multinomial,
    /// One in each of `n` strata of equal weight.
    Stratified,
    /// The same place in each stratum.
    Systematic,
    /// Whole copies first, and the rest independently.
    Residual,
    /// Whole copies first, and fractions in pairs (Srinivasan's process, the pivotal method).
    Ssp,
}

/// Rows of weights.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The weights, row by row.
    pub weights: &'a [f64],
    /// How many a row has, at least one.
    pub columns: usize,
    /// Whether these are their logarithms.
    pub log: bool,
}

/// Fills every row of `out` with `n` ancestors of its row of weights, at least one, in ascending
/// order. Progress counts particles.
///
/// # Errors
/// That of the first row with a weight that is negative, infinite or NaN, or with none above zero; if
/// there is no memory, or the work is cancelled.
pub fn ancestors(
    rows: Rows<'_>,
    n: usize,
    scheme: Scheme,
    stream: Stream,
    out: &mut [i64],
    run: Run<'_>,
) -> Result<()> {
    let columns = rows.columns;
    run.try_fill_chunks(out, n, |row, out| {
        let run = run.serial();
        let pi = expected(rows, row, n as f64, run)?;
        let draws = stream.draws(Purpose::Resample, row as u64);
        let mut line = Line { out, filled: 0, last: 0 };
        match scheme {
            Scheme::Multinomial => multinomial(pi, n, &draws, run, |i, count| {
                line.extend(i, count);
            })?,
            Scheme::Stratified => stratified(&pi, &draws, &mut line, run)?,
            Scheme::Systematic => systematic(&pi, &draws, &mut line, run)?,
            Scheme::Residual => residual(&pi, n, &draws, &mut line, run)?,
            Scheme::Ssp => pairs(&pi, n, &draws, &mut line, run)?,
        }
        line.finish();
        run.advance(columns as u64);
        Ok(())
    })
}

/// The ancestors that are known so far.
struct Line<'a> {
    out: &'a mut [i64],
    filled: usize,
    /// The last unit that has a copy.
    last: usize,
}

impl Line<'_> {
    /// Appends copies of unit `i`, as far as there is room.
    #[inline(always)]
    fn extend(&mut self, i: usize, count: usize) {
        if count <= FEW
            && let Some(room) = self.out[self.filled..].first_chunk_mut::<FEW>()
        {
            // Most units have few copies, and nobody can foresee how many: write FEW, and count some.
            *room = [i as i64; FEW];
            self.filled += count;
        } else {
            self.filled += repeat(&mut self.out[self.filled..], i, count);
        }
        self.last = if count > 0 { i } else { self.last };
    }

    /// Gives what roundings have left open to the last unit.
    fn finish(self) {
        self.out[self.filled..].fill(self.last as i64);
    }
}

/// Writes copies of unit `i` as far as there is room, and says how many; apart, so that the loops over
/// units keep a line in registers.
#[cold]
fn repeat(room: &mut [i64], i: usize, count: usize) -> usize {
    let count = count.min(room.len());
    room[..count].fill(i as i64);
    count
}

/// Copies that are written without a look at how many there are.
const FEW: usize = 4;

/// The expected count of every particle of a row.
fn expected(rows: Rows<'_>, row: usize, n: f64, run: Run<'_>) -> Result<Vec<f64>> {
    let weights = &rows.weights[row * rows.columns..][..rows.columns];
    let least = if rows.log { f64::NEG_INFINITY } else { 0.0 };
    // The largest weight, and whether all are in the domain.
    let mut top = least;
    for block in run.blocks(weights.len(), BLOCK) {
        let block = block?;
        match largest(&weights[block.clone()], least) {
            Some(largest) => top = top.max(largest),
            None => return Err(outside(rows, row, block.start)),
        }
    }
    if top == least {
        let zero = if rows.log { "-inf" } else { "zero" };
        return Err(Error::row("weights", row, format!("all {} items are {zero}", weights.len())));
    }
    // Weights in units of the largest, and their sum.
    let mut pi = with_capacity(weights.len(), "expected counts")?;
    let mut total = [Sum::default(); LANES];
    for block in run.blocks(weights.len(), BLOCK) {
        let start = pi.len();
        pi.extend_from_slice(&weights[block?]);
        if rows.log {
            exponentials_below(&mut pi[start..], top);
        } else {
            quotients(&mut pi[start..], top);
        }
        add_up(&pi[start..], &mut total);
    }
    let total = total.iter().fold(Sum::default(), |sum, &lane| sum.plus(lane)).value();
    for block in run.blocks(weights.len(), BLOCK) {
        shares(&mut pi[block?], n, total);
    }
    Ok(pi)
}

/// The error of the first weight outside the domain, from item `start` on.
#[cold]
fn outside(rows: Rows<'_>, row: usize, start: usize) -> Error {
    let weights = &rows.weights[row * rows.columns..][..rows.columns];
    let (domain, least) =
        if rows.log { ("[-inf, inf)", f64::NEG_INFINITY) } else { ("[0, inf)", 0.0) };
    let is_outside = |&i: &usize| !(weights[i] >= least && weights[i] < f64::INFINITY);
    let i = (start..weights.len()).find(is_outside).unwrap_or(start);
    let got = shown(weights[i]);
    Error::row("weights", row, format!("item {i} must be in {domain}, got {got}"))
}

/// Running sums side by side: as many as the widest vectors hold.
const LANES: usize = 8;
/// Added to a number below `2^51` and taken away again, it leaves the nearest integer.
const ROUND: f64 = (3u64 << 51) as f64;

vectorised! {
    /// The largest weight, or nothing if one is below `least`, infinite or NaN.
    fn largest(weights: &[f64], least: f64) -> Option<f64> {
        let (mut top, mut good) = ([least; LANES], [true; LANES]);
        let (groups, rest) = weights.as_chunks::<LANES>();
        let mut see = |lane: usize, w: f64| {
            good[lane] &= w >= least && w < f64::INFINITY;
            top[lane] = if w > top[lane] { w } else { top[lane] };
        };
        for group in groups {
            for (lane, &w) in group.iter().enumerate() {
                see(lane, w);
            }
        }
        for &w in rest {
            see(0, w);
        }
        let top = top.iter().fold(least, |top, &lane| top.max(lane));
        good.iter().all(|&good| good).then_some(top)
    }

    /// Divides by the largest weight.
    fn quotients(weights: &mut [f64], top: f64) {
        for w in weights {
            *w /= top;
        }
    }

    /// The weights of logarithms, in units of the largest.
    fn exponentials_below(weights: &mut [f64], top: f64) {
        for w in weights {
            *w = exp_negative(*w - top);
        }
    }

    /// Adds each item to the sum of its lane.
    fn add_up(items: &[f64], total: &mut [Sum; LANES]) {
        let (mut high, mut low) = (total.map(|sum| sum.high), total.map(|sum| sum.low));
        let mut add = |lane: usize, term: f64| {
            let mut sum = Sum { high: high[lane], low: low[lane] };
            sum.add(term);
            (high[lane], low[lane]) = (sum.high, sum.low);
        };
        let (groups, rest) = items.as_chunks::<LANES>();
        for group in groups {
            for (lane, &term) in group.iter().enumerate() {
                add(lane, term);
            }
        }
        for &term in rest {
            add(0, term);
        }
        for (lane, total) in total.iter_mut().enumerate() {
            *total = Sum { high: high[lane], low: low[lane] };
        }
    }

    /// The share of each in `n`; an integer if it is one but for roundings.
    fn shares(weights: &mut [f64], n: f64, total: f64) {
        for w in weights {
            let exact = n * *w / total;
            let whole = (exact + ROUND) - ROUND;
            let is_whole = (exact - whole).abs() <= 4.0 * f64::EPSILON * whole;
            *w = if is_whole { whole } else { exact };
        }
    }

    /// The sums of the first one, two, three, ... items of a block, from `base` on.
    fn cumulative(items: &mut [f64], base: Sum) -> Sum {
        let mut base = base;
        for run in items.chunks_mut(SHORT) {
            let before = base.value();
            let mut along = 0.0;
            for item in run {
                along += *item;
                *item = before + along;
            }
            base.add(along);
        }
        base
    }
}

/// Items that are added up without a look at the roundings.
const SHORT: usize = 16;

/// A length in units of `2^-63`, below one.
#[inline(always)]
fn fixed(fraction: f64) -> u64 {
    (fraction * ONE as f64) as i64 as u64
}

/// The whole part and the rest of what is not negative; `trunc` is a call where there is no SSE4.1.
#[inline(always)]
fn split(p: f64) -> (usize, f64) {
    let whole = p as i64;
    (whole as usize, p - whole as f64)
}

/// One, in units of `2^-63`.
const ONE: u64 = 1 << 63;

/// Units laid end to end, and a comb of step one from a random start.
///
/// Of the sum of the expected counts only the fraction is kept, from the last tooth on and in fixed
/// point: it has no roundings, and each carry is a tooth that has been passed.
fn systematic(pi: &[f64], draws: &Draws, line: &mut Line<'_>, run: Run<'_>) -> Result<()> {
    // A unit covers its beginning, and not its end: just before the first tooth.
    let mut along = ONE - 1 - (Words::new(draws).at(0) >> 1);
    for block in run.blocks(pi.len(), BLOCK) {
        for i in block? {
            let (whole, fraction) = split(pi[i]);
            along += fixed(fraction);
            let passed = (along >> 63) as usize;
            along &= ONE - 1;
            line.extend(i, whole + passed);
        }
    }
    Ok(())
}

/// Units laid end to end, and one place in each stratum of length one, all independent.
///
/// A unit gets the strata that end within it, and of the last one that it reaches the place if that
/// lies before its end: what it has, less what had been given, is its count.
fn stratified(pi: &[f64], draws: &Draws, line: &mut Line<'_>, run: Run<'_>) -> Result<()> {
    let mut words = Words::new(draws);
    let (mut whole, mut rest, mut given) = (0, 0, 0);
    for block in run.blocks(pi.len(), BLOCK) {
        for i in block? {
            let (certain, fraction) = split(pi[i]);
            rest += fixed(fraction);
            whole += certain + (rest >> 63) as usize;
            rest &= ONE - 1;
            let reached = whole + usize::from(words.at(whole) >> 1 < rest);
            line.extend(i, reached - given);
            given = reached;
        }
    }
    Ok(())
}

/// The draws of a sequence, some at a time.
struct Words<'a> {
    draws: &'a Draws,
    group: usize,
    held: [[u64; 2]; bulk::AHEAD],
}

impl<'a> Words<'a> {
    fn new(draws: &'a Draws) -> Self {
        let mut held = [[0; 2]; bulk::AHEAD];
        bulk::ahead(draws, 0, &mut held);
        Self { draws, group: 0, held }
    }

    /// Draw `k` (`u64`).
    #[inline(always)]
    fn at(&mut self, k: usize) -> u64 {
        let block = k / 2;
        if block / bulk::AHEAD != self.group {
            self.group = block / bulk::AHEAD;
            bulk::ahead(self.draws, (self.group * bulk::AHEAD) as u32, &mut self.held);
        }
        self.held[block % bulk::AHEAD][k % 2]
    }
}

/// `n` independent units in proportion to `pi`, as a count of each: order statistics of uniforms from
/// exponential spacings, merged with the cumulative sum.
fn multinomial(
    mut pi: Vec<f64>,
    n: usize,
    draws: &Draws,
    run: Run<'_>,
    mut found: impl FnMut(usize, usize),
) -> Result<()> {
    // One more spacing than there are places, from the last place to the end.
    let mut places = filled(n + 1, 0.0, "spacings")?;
    let mut length = Sum::default();
    for block in run.blocks(n + 1, BLOCK) {
        let block = block?;
        let first = block.start as u32;
        bulk::exponentials_of_blocks(draws, first, &mut places[block.clone()]);
        length = cumulative(&mut places[block], length);
    }
    let mut total = Sum::default();
    for block in run.blocks(pi.len(), BLOCK) {
        total = cumulative(&mut pi[block?], total);
    }
    // A unit reaches to its share of the whole length; it gets the places before its end.
    let scale = length.value() / total.value();
    let mut passed = 0;
    for block in run.blocks(pi.len(), BLOCK) {
        for i in block? {
            let before = passed;
            passed = first_beyond(&places[..n], passed, pi[i] * scale);
            found(i, passed - before);
        }
    }
    Ok(())
}

/// The first of ascending `places`, from index `from` on, that is not below `end`.
#[inline(always)]
fn first_beyond(places: &[f64], mut from: usize, end: f64) -> usize {
    // Nobody can foresee how many are below: they are counted in groups.
    while let Some(group) = places[from..].first_chunk::<FEW>() {
        let mut below = 0;
        for &place in group {
            below += usize::from(place < end);
        }
        from += below;
        if below < FEW {
            return from;
        }
    }
    while places.get(from).is_some_and(|&place| place < end) {
        from += 1;
    }
    from
}

/// The copies that are certain, and the fraction that is left.
#[inline]
fn parts(p: f64) -> (usize, f64) {
    let (whole, _) = split(p + WHOLE);
    let fraction = p - whole as i64 as f64;
    (whole, if fraction > WHOLE { fraction } else { 0.0 })
}

/// Whole copies, and the rest by [`multinomial`].
fn residual(pi: &[f64], n: usize, draws: &Draws, line: &mut Line<'_>, run: Run<'_>) -> Result<()> {
    let mut rests = with_capacity(pi.len(), "fractions")?;
    let mut certain = 0;
    for block in run.blocks(pi.len(), BLOCK) {
        for &p in &pi[block?] {
            let (whole, fraction) = parts(p);
            certain += whole;
            rests.push(fraction);
        }
    }
    if certain < n {
        multinomial(rests, n - certain, draws, run, |i, more| {
            line.extend(i, parts(pi[i]).0 + more);
        })?;
    } else {
        pi.iter().enumerate().for_each(|(i, &p)| line.extend(i, parts(p).0));
    }
    Ok(())
}

/// Whole copies, and fractions that meet in pairs, in the order of the particles.
fn pairs(pi: &[f64], n: usize, draws: &Draws, line: &mut Line<'_>, run: Run<'_>) -> Result<()> {
    let (mut words, mut duels) = (Words::new(draws), 0);
    let mut counts = filled(pi.len(), 0, "counts")?;
    let mut open = Fraction::default();
    let (mut given, mut last) = (0, 0);
    for block in run.blocks(pi.len(), BLOCK) {
        for i in block? {
            let (whole, fraction) = parts(pi[i]);
            counts[i] = whole;
            given += whole;
            if fraction == 0.0 {
                continue;
            }
            last = i;
            let next = Fraction { id: i as i64, pi: fraction };
            if open.pi == 0.0 {
                open = next;
                continue;
            }
            let u = uniform_of(words.at(duels));
            duels += 1;
            open = duel(open, next, u, |id| {
                counts[id as usize] += 1;
                given += 1;
            });
            if open.pi <= SNAP {
                open = Fraction::default();
            } else if open.pi >= 1.0 - SNAP {
                counts[open.id as usize] += 1;
                given += 1;
                open = Fraction::default();
            }
        }
    }
    // Roundings may have left the last one short of an integer.
    if given < n {
        let id = if open.pi > 0.0 { open.id as usize } else { last };
        counts[id] += n - given;
    }
    counts.iter().enumerate().for_each(|(i, &count)| line.extend(i, count));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Scheme; 5] = [
        Scheme::Multinomial,
        Scheme::Stratified,
        Scheme::Systematic,
        Scheme::Residual,
        Scheme::Ssp,
    ];

    fn draw(weights: &[f64], n: usize, scheme: Scheme, key: u64) -> Vec<i64> {
        let rows = Rows { weights, columns: weights.len(), log: false };
        let mut out = vec![-1; n];
        ancestors(rows, n, scheme, Stream::new(key), &mut out, Run::alone()).unwrap();
        out
    }

    #[test]
    fn counts_have_their_means() {
        let weights = [0.0, 0.1, 0.2, 0.0, 0.3, 0.4, 0.0];
        for scheme in ALL {
            for n in [1, 4, 7] {
                let mut counts = [0.0; 7];
                for key in 0..20_000 {
                    let drawn = draw(&weights, n, scheme, key);
                    assert!(drawn.is_sorted());
                    for &i in &drawn {
                        counts[i as usize] += 1.0 / 20_000.0;
                    }
                }
                for (i, w) in weights.iter().enumerate() {
                    let mean = n as f64 * w;
                    assert!(
                        (counts[i] - mean).abs() <= 5.5 * (mean / 20_000.0).sqrt(),
                        "{scheme:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn equal_weights_keep_all() {
        for scheme in [Scheme::Stratified, Scheme::Systematic, Scheme::Residual, Scheme::Ssp] {
            for n in [1, 3, 49, 1_000_000] {
                for w in [1.0 / n as f64, 0.1, 3.0] {
                    let drawn = draw(&vec![w; n], n, scheme, 5);
                    assert!(
                        drawn.iter().enumerate().all(|(k, &i)| k as i64 == i),
                        "{scheme:?} {n}"
                    );
                }
            }
        }
    }

    #[test]
    fn counts_are_floors_or_ceilings() {
        let weights: Vec<f64> = (0..1000).map(|i| f64::from((i * 7919) % 101)).collect();
        let total: f64 = weights.iter().sum();
        for scheme in [Scheme::Systematic, Scheme::Ssp] {
            for key in 0..200 {
                let n = 700 + key as usize;
                let mut counts = [0.0; 1000];
                for i in draw(&weights, n, scheme, key) {
                    counts[i as usize] += 1.0;
                }
                for (count, w) in counts.iter().zip(&weights) {
                    let mean: f64 = n as f64 * w / total;
                    assert!((mean - 1e-9).floor() <= *count && *count <= (mean + 1e-9).ceil());
                }
            }
        }
    }
}
