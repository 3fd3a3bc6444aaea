//! States of sites as bytes, zero or one, and as bits of words.

/// The product of eight bytes with this has their bits in its last byte, in order.
const GATHER: u64 = 0x0102_0408_1020_4080;
/// A bit of each byte: the first of the first, the second of the second, ...
const DIAGONAL: u64 = 0x8040_2010_0804_0201;
const ONES: u64 = 0x0101_0101_0101_0101;

/// The bits of at most 64 states.
#[inline]
pub(super) fn bits_of(states: &[u8]) -> u64 {
    let (eights, rest) = states.as_chunks::<8>();
    let mut bits = 0;
    for (k, eight) in eights.iter().enumerate() {
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56) << (8 * k);
    }
    for (k, &state) in rest.iter().enumerate() {
        bits |= u64::from(state) << (8 * eights.len() + k);
    }
    bits
}

/// At most 64 states of a word of bits.
#[inline]
pub(super) fn states_of(bits: u64, out: &mut [u8]) {
    for (k, out) in out.chunks_mut(8).enumerate() {
        let lone = (bits >> (8 * k) & 0xFF).wrapping_mul(ONES) & DIAGONAL;
        // A byte that is not zero carries into its last bit.
        let states = ((lone + (0x7F * ONES)) >> 7 & ONES).to_le_bytes();
        out.copy_from_slice(&states[..out.len()]);
    }
}

/// Every other bit of a word, from the first on, in its lower half.
#[inline]
fn every_other(bits: u64) -> u64 {
    let mut x = bits & 0x5555_5555_5555_5555;
    x = (x | x >> 1) & 0x3333_3333_3333_3333;
    x = (x | x >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    x = (x | x >> 4) & 0x00FF_00FF_00FF_00FF;
    x = (x | x >> 8) & 0x0000_FFFF_0000_FFFF;
    (x | x >> 16) & 0xFFFF_FFFF
}

/// The lower half of a word, a zero after each bit.
#[inline]
fn apart(half: u64) -> u64 {
    let mut x = half & 0xFFFF_FFFF;
    x = (x | x << 16) & 0x0000_FFFF_0000_FFFF;
    x = (x | x << 8) & 0x00FF_00FF_00FF_00FF;
    x = (x | x << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    x = (x | x << 2) & 0x3333_3333_3333_3333;
    (x | x << 1) & 0x5555_5555_5555_5555
}

/// The bits of the states with even places, and of those with odd places: 64 of either in a word.
pub(super) fn separate(states: &[u8], even: &mut [u64], odd: &mut [u64]) {
    for ((states, even), odd) in states.chunks(128).zip(even).zip(odd) {
        let (low, high) = states.split_at(states.len().min(64));
        let (low, high) = (bits_of(low), bits_of(high));
        *even = every_other(low) | every_other(high) << 32;
        *odd = every_other(low >> 1) | every_other(high >> 1) << 32;
    }
}

/// The states whose bits these are.
pub(super) fn join(even: &[u64], odd: &[u64], out: &mut [u8]) {
    for ((out, even), odd) in out.chunks_mut(128).zip(even).zip(odd) {
        let (low, high) = out.split_at_mut(out.len().min(64));
        states_of(apart(*even) | apart(*odd) << 1, low);
        states_of(apart(even >> 32) | apart(odd >> 32) << 1, high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_go_where_their_places_say_and_come_back() {
        for len in [1, 2, 7, 8, 63, 64, 65, 127, 128, 129, 300] {
            let states: Vec<u8> = (0..len).map(|i| (i * i / 3 % 2) as u8).collect();
            let (mut even, mut odd) = ([0; 3], [0; 3]);
            separate(&states, &mut even, &mut odd);
            for (i, &state) in states.iter().enumerate() {
                let plane = if i % 2 == 0 { even } else { odd };
                assert_eq!(plane[i / 128] >> (i / 2 % 64) & 1, u64::from(state), "{len} {i}");
            }
            let ones: u32 = even.iter().chain(&odd).map(|word| word.count_ones()).sum();
            assert_eq!(ones, states.iter().map(|&state| u32::from(state)).sum::<u32>());
            let mut back = vec![9; len];
            join(&even, &odd, &mut back);
            assert_eq!(back, states);
        }
    }
}
