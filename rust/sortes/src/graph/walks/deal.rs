//! How walkers that meet at a node share its arcs: each alone takes an arc as if it were alone, all
//! together are spread as evenly as can be.

use sortes_core::Result;
use sortes_core::memory::reserve;
use sortes_core::rng::Draws;

/// Up to so many arcs that are taken are looked through one by one.
const FEW: usize = 32;
/// Running sums this close to an integer, relative to their total, are taken for one.
const SNAP: f64 = 1e-12;

/// The arcs that the walkers of a group take, counted from the first of the row; memory that groups,
/// one after the other, share.
#[derive(Default)]
pub(in super::super) struct Hand {
    pub(in super::super) arcs: Vec<u32>,
    /// The arcs of a row in some order.
    order: Vec<u32>,
    /// A bit for each arc of a row: all zero between groups.
    marks: Vec<u64>,
}

/// An index below `n`, each as likely.
#[inline(always)]
pub(in super::super) fn index(word: u64, n: usize) -> usize {
    ((u128::from(word) * n as u128) >> 64) as usize
}

impl Hand {
    /// Deals the `degree` arcs of a row without replacement, with a word for each walker and the draws
    /// of the group.
    ///
    /// Of `k` walkers each arc gets `k / degree`, rounded down, and a uniform subset of the arcs one
    /// more; who gets which is a uniform permutation. For `k <= degree` that is an ordered selection
    /// without replacement.
    pub(in super::super) fn evenly(
        &mut self,
        degree: u32,
        words: &[u64],
        draws: &mut Draws,
    ) -> Result<()> {
        let (k, d) = (words.len(), degree as usize);
        self.arcs.clear();
        reserve(&mut self.arcs, k, "arcs")?;
        if k < d && 2 * k <= d {
            return self.by_rejection(d, words, draws);
        }
        if self.order.len() < d {
            let more = d - self.order.len();
            reserve(&mut self.order, more, "arcs")?;
            self.order.resize(d, 0);
        }
        let order = &mut self.order[..d];
        for (arc, of) in (0..).zip(&mut *order) {
            *of = arc;
        }
        if k <= d {
            for (i, &word) in words.iter().enumerate() {
                order.swap(i, i + index(word, d - i));
                self.arcs.push(order[i]);
            }
            return Ok(());
        }
        let mut rest = k;
        while rest >= d {
            self.arcs.extend_from_slice(order);
            rest -= d;
        }
        for i in 0..rest {
            order.swap(i, i + draws.below((d - i) as u64) as usize);
        }
        self.arcs.extend_from_slice(&order[..rest]);
        self.shuffle(words);
        Ok(())
    }

    /// Draws distinct arcs, one after the other; one that is taken is drawn again.
    fn by_rejection(&mut self, d: usize, words: &[u64], draws: &mut Draws) -> Result<()> {
        let is_marked = words.len() > FEW;
        if is_marked && self.marks.len() < d.div_ceil(64) {
            let more = d.div_ceil(64) - self.marks.len();
            reserve(&mut self.marks, more, "marks of arcs")?;
            self.marks.resize(d.div_ceil(64), 0);
        }
        for &word in words {
            let mut arc = index(word, d);
            while if is_marked {
                self.marks[arc / 64] >> (arc % 64) & 1 == 1
            } else {
                self.arcs.contains(&(arc as u32))
            } {
                arc = draws.below(d as u64) as usize;
            }
            if is_marked {
                self.marks[arc / 64] |= 1 << (arc % 64);
            }
            self.arcs.push(arc as u32);
        }
        if is_marked {
            self.arcs.iter().for_each(|&arc| self.marks[arc as usize / 64] = 0);
        }
        Ok(())
    }

    /// Assigns the arcs to the walkers by a uniform permutation.
    fn shuffle(&mut self, words: &[u64]) {
        for last in (1..self.arcs.len()).rev() {
            self.arcs.swap(last, index(words[last], last + 1));
        }
    }

    /// Deals as the published code does: walkers in their order take arcs at even distances from a
    /// random one on; of more walkers than arcs, each block as large as the row takes them all, turned
    /// by a random number of places.
    pub(super) fn rotating(
        &mut self,
        degree: u32,
        walkers: usize,
        draws: &mut Draws,
    ) -> Result<()> {
        let d = degree as usize;
        self.arcs.clear();
        reserve(&mut self.arcs, walkers, "arcs")?;
        if walkers <= d {
            let u = draws.uniform();
            for i in 0..walkers {
                let place = (i as f64 / walkers as f64 + u).fract() * d as f64;
                self.arcs.push((place as u32).min(degree - 1));
            }
            return Ok(());
        }
        while self.arcs.len() < walkers {
            let first = draws.below(d as u64) as usize;
            let count = d.min(walkers - self.arcs.len());
            self.arcs.extend((0..count).map(|i| ((first + i) % d) as u32));
        }
        Ok(())
    }

    /// Deals arcs with weights, of which `sums` are the running sums, by ordered pivotal sampling: each
    /// arc is taken as often as `k` times its share of the weight, rounded down or up.
    ///
    /// Arcs are laid end to end over `[0, k)`. From each unit interval one is taken, in proportion to
    /// its part there; but an arc that crosses the border to the next interval remembers there whether
    /// it was taken before the border (Chauvet, "On a characterization of ordered pivotal sampling",
    /// Bernoulli 18, 2012). Who gets which is a uniform permutation, without which each walker would be
    /// confined to an interval.
    pub(in super::super) fn pivotally(
        &mut self,
        sums: &[f64],
        words: &[u64],
        draws: &mut Draws,
    ) -> Result<()> {
        let k = words.len() as f64;
        self.arcs.clear();
        reserve(&mut self.arcs, words.len(), "arcs")?;
        let axis = Axis { sums, k, scale: k / sums[sums.len() - 1] };
        // The arc that crosses the border to the interval, and whether it was taken before.
        let mut crossing: Option<(usize, bool)> = None;
        for i in 0..words.len() {
            let (low, high) = (i as f64, i as f64 + 1.0);
            let taken = match crossing {
                Some((arc, _)) if axis.end(arc) >= high => arc,
                Some((arc, before)) => {
                    let b = axis.end(arc) - low;
                    let start = axis.start(arc);
                    let a = floor(start) + 1.0 - start;
                    // An arc that starts at a border has filled whole intervals since: no memory.
                    let chance = if a >= 1.0 {
                        b
                    } else {
                        let both = (a + b - 1.0).max(0.0);
                        if before { both / a } else { (b - both) / (1.0 - a) }
                    };
                    if draws.uniform() < chance {
                        arc
                    } else {
                        axis.at(low + b + draws.uniform() * (1.0 - b))
                    }
                }
                None => axis.at(low + draws.uniform()),
            };
            self.arcs.push(taken as u32);
            crossing = match crossing {
                // Still the same arc: what it remembers is from the interval in which it starts.
                Some((arc, before)) if axis.end(arc) > high => Some((arc, before)),
                _ => axis.crossing(high).map(|arc| (arc, arc == taken)),
            };
        }
        self.shuffle(words);
        Ok(())
    }
}

/// The arcs of a row, laid end to end over `[0, k)`.
struct Axis<'a> {
    sums: &'a [f64],
    k: f64,
    /// What a weight becomes.
    scale: f64,
}

/// The integer at or below a number that is not negative; the method of a float may be a slow call.
#[inline(always)]
fn floor(x: f64) -> f64 {
    x as i64 as f64
}

impl Axis<'_> {
    /// Where an arc ends; the last one does at `k`.
    fn end(&self, arc: usize) -> f64 {
        if arc + 1 == self.sums.len() {
            return self.k;
        }
        let end = self.sums[arc] * self.scale;
        let whole = floor(end + 0.5);
        if (end - whole).abs() < SNAP * self.k { whole } else { end }
    }

    fn start(&self, arc: usize) -> f64 {
        if arc == 0 { 0.0 } else { self.end(arc - 1) }
    }

    /// The first arc that ends beyond a place.
    fn at(&self, place: f64) -> usize {
        let (mut low, mut high) = (0, self.sums.len() - 1);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.end(middle) > place { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The arc that lies on both sides of a border, if one does.
    fn crossing(&self, border: f64) -> Option<usize> {
        if border >= self.k {
            return None;
        }
        let arc = self.at(border);
        (self.start(arc) < border).then_some(arc)
    }
}
