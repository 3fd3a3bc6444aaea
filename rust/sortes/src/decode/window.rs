//! The interval of logits that is left of a row.

/// Tokens whose logit lies between `lo` and `hi`, both included; at each end only those tokens
/// whose id lies in the given range.
///
/// Every truncation rule keeps such a set: thresholds keep all ties, rules that keep a number of
/// tokens break them by id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// The lowest logit that is left.
    pub(super) lo: f32,
    /// The highest logit that is left.
    pub(super) hi: f32,
    /// First and last id among the tokens at `lo`.
    pub(super) lo_ids: (u32, u32),
    /// First and last id among the tokens at `hi`.
    pub(super) hi_ids: (u32, u32),
}

/// Every id.
pub(super) const ANY: (u32, u32) = (0, u32::MAX);

impl Window {
    /// Every finite logit.
    pub(super) const ALL: Window =
        Window { lo: f32::MIN, hi: f32::INFINITY, lo_ids: ANY, hi_ids: ANY };

    /// Whether the token is left.
    #[inline]
    pub(super) fn contains(&self, logit: f32, id: u32) -> bool {
        let inside = |ids: (u32, u32)| ids.0 <= id && id <= ids.1;
        (logit > self.lo || (logit == self.lo && inside(self.lo_ids)))
            && (logit < self.hi || (logit == self.hi && inside(self.hi_ids)))
    }

    /// Removes what is below `lo`, and ties at `lo` outside `ids`.
    pub(super) fn raise(&mut self, lo: f32, ids: (u32, u32)) {
        if lo > self.lo {
            (self.lo, self.lo_ids) = (lo, ids);
        } else if lo == self.lo {
            self.lo_ids = meet(self.lo_ids, ids);
        }
    }

    /// Removes what is above `hi`, and ties at `hi` outside `ids`.
    pub(super) fn lower(&mut self, hi: f32, ids: (u32, u32)) {
        if hi < self.hi {
            (self.hi, self.hi_ids) = (hi, ids);
        } else if hi == self.hi {
            self.hi_ids = meet(self.hi_ids, ids);
        }
    }

    /// Whether every logit is left.
    pub(super) fn is_everything(&self) -> bool {
        *self == Self::ALL
    }

    /// Whether logits alone decide: no tie is broken by id.
    pub(super) fn is_plain(&self) -> bool {
        self.lo_ids == ANY && self.hi_ids == ANY
    }

    /// Both ends, as the kernels take them: no lower end where none was set.
    pub(super) fn ends(&self) -> (f32, f32) {
        (if self.lo == f32::MIN { f32::NEG_INFINITY } else { self.lo }, self.hi)
    }
}

fn meet(a: (u32, u32), b: (u32, u32)) -> (u32, u32) {
    (a.0.max(b.0), a.1.min(b.1))
}
