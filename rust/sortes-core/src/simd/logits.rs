//! What narrows a row of logits without a sort: cuts, and ranks that are binned and gathered.

// SAFETY of every block below: lane operations are covered by the dispatch, which calls a copy only
// where its instruction set was detected; pointers come from slices and stay inside them.
#![allow(clippy::undocumented_unsafe_blocks)]

use super::BLOCK;
use super::exp::exp;
use super::lanes::{LANES, Lanes, for_vectors, reduce};
use crate::vectorised;

/// Logits whose packed part is kept in the first-level cache.
const PACK: usize = 4 * BLOCK;

/// The order in which a rule ranks tokens, as a number that grows from best to worst:
/// `(centre - l) * scale`, or its absolute value.
///
/// It is computed in `f32` by one expression everywhere, so that a partition of a row by it is
/// exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The logit of rank zero.
    pub centre: f32,
    /// Whether tokens above the centre rank by their distance too.
    pub two_sided: bool,
    /// Bins per unit of logit.
    pub scale: f32,
}

impl Key {
    /// The scaled key of one logit.
    #[inline]
    pub fn of(&self, logit: f32) -> f32 {
        let k = self.centre - logit;
        (if self.two_sided { k.abs() } else { k }) * self.scale
    }
}

/// Which logits come before a range of keys, and which lie in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Logits outside are passed over (both ends included).
    pub window: (f32, f32),
    /// What ranks logits.
    pub key: Key,
    /// The range of keys, the end not included.
    pub range: (f32, f32),
    /// Blocks whose maximum is less are passed over: all of their keys lie behind the range.
    pub least: f32,
}

#[inline(always)]
unsafe fn key_of<L: Lanes>(key: &Key, v: L::F) -> L::F {
    unsafe {
        let k = L::sub(L::splat(key.centre), v);
        let k = if key.two_sided { L::abs(k) } else { k };
        L::mul(k, L::splat(key.scale))
    }
}

vectorised! {
    /// Adds the weight of every logit inside `window` to the bin of its key. Keys at or beyond the
    /// end of the bins are passed over.
    ///
    /// Inside the window no key may be negative.
    pub fn key_histogram[L](
        x: &[f32],
        max: f32,
        scale: f32,
        window: (f32, f32),
        key: &Key,
        bins: &mut [f64],
    ) {
        unsafe {
            let (m, s) = (L::splat(max), L::splat(scale));
            let (lo, hi) = (L::splat(window.0), L::splat(window.1));
            let end = L::splat(bins.len() as f32);
            // What falls into a bin is packed first, so that the tail costs a comparison and no
            // more. Each buffer has space for a whole vector past the last element.
            let mut packed = [0.0_f32; PACK + LANES];
            let (mut keys, mut weights) = ([0.0_f32; PACK + LANES], [0.0_f32; PACK + LANES]);
            for stretch in x.chunks(PACK) {
                let mut n = 0;
                for_vectors!(L, stretch, |v| {
                    let alive = L::and(L::ge(v, lo), L::ge(hi, v));
                    let binned = L::and(alive, L::gt(end, key_of::<L>(key, v)));
                    if L::bits(binned) != 0 {
                        n += L::compress(packed.as_mut_ptr().add(n), binned, v);
                    }
                });
                let mut i = 0;
                while i < n {
                    let v = L::load(packed.as_ptr().add(i));
                    L::store(keys.as_mut_ptr().add(i), key_of::<L>(key, v));
                    let y = L::mul(L::sub(v, m), s);
                    L::store(weights.as_mut_ptr().add(i), exp::<L>(y));
                    i += LANES;
                }
                for (k, w) in keys[..n].iter().zip(&weights[..n]) {
                    // Keys are nonnegative and below the number of bins, so the cast truncates.
                    let bin = k.to_int_unchecked::<i32>() as usize;
                    *bins.get_unchecked_mut(bin) += f64::from(*w);
                }
            }
        }
    }

    /// Appends the logits inside `window` whose key lies in `range` (the end not included).
    pub fn gather_keys[L](
        x: &[f32],
        window: (f32, f32),
        key: &Key,
        range: (f32, f32),
        out: &mut Vec<f32>,
    ) {
        unsafe {
            let (lo, hi) = (L::splat(window.0), L::splat(window.1));
            let (first, end) = (L::splat(range.0), L::splat(range.1));
            for block in x.chunks(BLOCK) {
                out.reserve(BLOCK + LANES);
                let mut n = out.len();
                for_vectors!(L, block, |v| {
                    let alive = L::and(L::ge(v, lo), L::ge(hi, v));
                    let k = key_of::<L>(key, v);
                    let inside = L::and(alive, L::and(L::ge(k, first), L::gt(end, k)));
                    if L::bits(inside) != 0 {
                        n += L::compress(out.as_mut_ptr().add(n), inside, v);
                    }
                });
                out.set_len(n);
            }
        }
    }

    /// Appends the logits that [`Split`] places inside its range, and returns
    /// the weight of those whose key lies before it. `blocks` are the maxima of the blocks of `x`.
    pub fn split_keys[L](
        x: &[f32],
        blocks: &[f32],
        max: f32,
        scale: f32,
        split: &Split,
        out: &mut Vec<f32>,
    ) -> f64 {
        unsafe {
            let (m, s) = (L::splat(max), L::splat(scale));
            let (lo, hi) = (L::splat(split.window.0), L::splat(split.window.1));
            let (first, end) = (L::splat(split.range.0), L::splat(split.range.1));
            let mut sum = L::zero_d();
            for (block, &best) in x.chunks(BLOCK).zip(blocks) {
                if best < split.least {
                    continue;
                }
                out.reserve(BLOCK + LANES);
                let (mut n, mut part) = (out.len(), L::splat(0.0));
                for_vectors!(L, block, |v| {
                    let alive = L::and(L::ge(v, lo), L::ge(hi, v));
                    let k = key_of::<L>(&split.key, v);
                    let near = L::and(alive, L::gt(end, k));
                    // No branches: which tokens are near, and which ahead, cannot be foreseen.
                    let ahead = L::and(near, L::gt(first, k));
                    part = L::add(part, L::keep(ahead, exp::<L>(L::mul(L::sub(v, m), s))));
                    n += L::compress(out.as_mut_ptr().add(n), L::and(near, L::ge(k, first)), v);
                });
                out.set_len(n);
                sum = L::add_d(sum, part);
            }
            reduce(L::to_array_d(sum))
        }
    }

    /// The weights `exp((l - max) * scale)` of the logits in two windows, the second inside the first,
    /// as two sums. `blocks` are the maxima of the blocks of `x`.
    ///
    /// Exponentials are taken of those logits alone.
    pub fn masses_within[L](
        x: &[f32],
        blocks: &[f32],
        max: f32,
        scale: f32,
        wide: (f32, f32),
        narrow: (f32, f32),
    ) -> (f64, f64) {
        unsafe {
            let (m, s) = (L::splat(max), L::splat(scale));
            let (lo, hi) = (L::splat(wide.0), L::splat(wide.1));
            let (first, last) = (L::splat(narrow.0), L::splat(narrow.1));
            let (mut all, mut some) = (L::zero_d(), L::zero_d());
            let mut packed = [0.0_f32; PACK + LANES];
            for (stretch, blocks) in x.chunks(PACK).zip(blocks.chunks(PACK / BLOCK)) {
                // Packed from several blocks, so that vectors are full where few are inside.
                let mut n = 0;
                for (block, _) in stretch.chunks(BLOCK).zip(blocks).filter(|(_, best)| **best >= wide.0)
                {
                    for_vectors!(L, block, |v| {
                        let inside = L::and(L::ge(v, lo), L::ge(hi, v));
                        n += L::compress(packed.as_mut_ptr().add(n), inside, v);
                    });
                }
                L::store(packed.as_mut_ptr().add(n), L::splat(f32::NEG_INFINITY));
                for block in packed[..n.next_multiple_of(LANES)].chunks(BLOCK) {
                    let (mut of_all, mut of_some) = (L::splat(0.0), L::splat(0.0));
                    for_vectors!(L, block, |v| {
                        let w = exp::<L>(L::mul(L::sub(v, m), s));
                        of_all = L::add(of_all, w);
                        let inside = L::and(L::ge(v, first), L::ge(last, v));
                        of_some = L::add(of_some, L::keep(inside, w));
                    });
                    all = L::add_d(all, of_all);
                    some = L::add_d(some, of_some);
                }
            }
            (reduce(L::to_array_d(all)), reduce(L::to_array_d(some)))
        }
    }

    /// Appends the logits inside `window` and their ids (`first_id` is that of `x[0]`), in the
    /// order of the ids.
    pub fn gather_window[L](
        x: &[f32],
        first_id: u32,
        window: (f32, f32),
        values: &mut Vec<f32>,
        ids: &mut Vec<u32>,
    ) {
        unsafe {
            // The padding of the last vector is minus infinity: keep it, and removed tokens, out.
            let (lo, hi) = (L::splat(window.0.max(f32::MIN)), L::splat(window.1));
            values.reserve(x.len() + LANES);
            ids.reserve(x.len() + LANES);
            let (mut n, mut m) = (values.len(), ids.len());
            let mut id = first_id;
            for_vectors!(L, x, |v| {
                let mut bits = L::bits(L::and(L::ge(v, lo), L::ge(hi, v)));
                let to = ids.as_mut_ptr().add(m);
                if bits == (1 << LANES) - 1 {
                    L::store(values.as_mut_ptr().add(n), v);
                    for lane in 0..LANES as u32 {
                        to.add(lane as usize).write(id + lane);
                    }
                    (n, m) = (n + LANES, m + LANES);
                } else {
                    let lanes = L::to_array(v);
                    while bits != 0 {
                        let lane = bits.trailing_zeros();
                        values.as_mut_ptr().add(n).write(lanes[lane as usize]);
                        ids.as_mut_ptr().add(m).write(id + lane);
                        (n, m) = (n + 1, m + 1);
                        bits &= bits - 1;
                    }
                }
                id += LANES as u32;
            });
            values.set_len(n);
            ids.set_len(m);
        }
    }

    /// Keeps the logits inside `window`, and what stands beside them, in their order.
    pub fn retain_window[L](window: (f32, f32), values: &mut Vec<f32>, ids: &mut Vec<u32>) {
        unsafe {
            let (lo, hi) = (L::splat(window.0.max(f32::MIN)), L::splat(window.1));
            let len = values.len().min(ids.len());
            let whole = len / LANES * LANES;
            // Bits are moved as they are, whatever numbers they stand for.
            let (x, other) = (values.as_mut_ptr(), ids.as_mut_ptr().cast::<f32>());
            let (mut i, mut n) = (0, 0);
            while i < whole {
                let (v, id) = (L::load(x.add(i)), L::load(other.add(i)));
                let inside = L::and(L::ge(v, lo), L::ge(hi, v));
                // What is overwritten behind the packed ones has been read.
                L::compress(other.add(n), inside, id);
                n += L::compress(x.add(n), inside, v);
                i += LANES;
            }
            for i in whole..len {
                let (l, id) = (values[i], ids[i]);
                values[n] = l;
                ids[n] = id;
                n += usize::from(window.0.max(f32::MIN) <= l) & usize::from(l <= window.1);
            }
            values.truncate(n);
            ids.truncate(n);
        }
    }

    /// Copies the logits inside `window` and writes `fill` elsewhere.
    pub fn mask_window[L](x: &[f32], window: (f32, f32), fill: f32, out: &mut [f32]) {
        unsafe {
            let (lo, hi, f) = (L::splat(window.0), L::splat(window.1), L::splat(fill));
            let n = x.len().min(out.len());
            let whole = n / LANES * LANES;
            let mut i = 0;
            while i < whole {
                let v = L::load(x.as_ptr().add(i));
                let kept = L::select(L::and(L::ge(v, lo), L::ge(hi, v)), v, f);
                L::store(out.as_mut_ptr().add(i), kept);
                i += LANES;
            }
            for (v, o) in x[whole..n].iter().zip(&mut out[whole..n]) {
                *o = if window.0 <= *v && *v <= window.1 { *v } else { fill };
            }
        }
    }
}

vectorised! {
    /// Writes `fill` in place of every logit whose bit is not set, the lowest bit first. Logits behind
    /// the last word have none.
    pub fn mask_bits(x: &mut [f32], words: &[u32], fill: f32) {
        for (i, part) in x.chunks_mut(32).enumerate() {
            let word = words.get(i).copied().unwrap_or(0);
            match word {
                u32::MAX => {}
                0 => part.fill(fill),
                _ => {
                    for (bit, l) in (0..32).zip(part) {
                        *l = if word >> bit & 1 == 1 { *l } else { fill };
                    }
                }
            }
        }
    }
}
