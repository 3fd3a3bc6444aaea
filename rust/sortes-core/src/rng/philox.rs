//! Philox4x32-10: a bijection of 128-bit counters for every 64-bit key.
//!
//! Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). There is
//! no state: a block is a function of its key and its counter, so blocks may be computed in any
//! order, on any thread, and skipped for free.

pub(super) const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_INCREMENTS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
pub(super) const ROUNDS: usize = 10;

/// The key of a round: it grows by a constant from one round to the next.
#[inline]
pub(super) const fn round_key(key: [u32; 2], round: usize) -> [u32; 2] {
    [
        key[0].wrapping_add(KEY_INCREMENTS[0].wrapping_mul(round as u32)),
        key[1].wrapping_add(KEY_INCREMENTS[1].wrapping_mul(round as u32)),
    ]
}

/// The four random words that `key` assigns to the counter `ctr`.
#[inline]
pub fn block(key: [u32; 2], mut ctr: [u32; 4]) -> [u32; 4] {
    for round in 0..ROUNDS {
        let [k0, k1] = round_key(key, round);
        let a = u64::from(MULTIPLIERS[0]) * u64::from(ctr[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(ctr[2]);
        ctr = [(b >> 32) as u32 ^ ctr[1] ^ k0, b as u32, (a >> 32) as u32 ^ ctr[3] ^ k1, a as u32];
    }
    ctr
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn known_answers() {
        assert_eq!(block([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            block([u32::MAX; 2], [u32::MAX; 4]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            block([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
