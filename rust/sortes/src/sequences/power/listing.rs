//! All texts that matter, by best-first search.
//!
//! What follows a beginning weighs at most the power of its probability, times the number of texts to the
//! power `1 - alpha` if that is positive (Hölder). The heaviest beginnings are looked at, until all that
//! are left together weigh next to nothing beside the texts that were found.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::target::{Target, Text, check_rows};
use super::texts::{Id, Texts};
use crate::decode::{Call, Element, Powered, Rows};
use sortes_core::memory::{filled, refused, reserve, with_capacity};
use sortes_core::num::Sum;
use sortes_core::rng::elementary::{exp_negative, ln_any};
use sortes_core::{Error, Result, Run};

/// Which share of the mass may be left out.
pub const TOLERANCE: f64 = 1e-9;
/// How far below the heaviest text, in logarithms, what follows a beginning is not even listed: 1e10 such
/// tokens together weigh less than the tolerance.
const LEAST: f64 = -44.0;

/// A beginning that may be looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    /// The logarithm of what follows it weighs at most.
    bound: f64,
    id: Id,
}

impl Eq for Open {}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The texts that have been found, and the beginnings that are left.
#[derive(Debug)]
pub struct Listing {
    target: Target,
    texts: Texts,
    queue: BinaryHeap<Open>,
    /// Beginnings that the model has been asked about.
    asked: Vec<Open>,
    found: Vec<Id>,
    /// The logarithms of their weights.
    ln_w: Vec<f64>,
    /// The largest of these, from which sums are measured.
    top: f64,
    /// How many beginnings may be looked at, and how many were.
    most: usize,
    looked: usize,
}

impl Listing {
    /// A search that has not begun, of at most `most` beginnings.
    ///
    /// # Errors
    /// If no text is short enough, if there is no memory for it, or the work is cancelled.
    pub fn new(target: Target, most: usize, run: Run<'_>) -> Result<Self> {
        target.check(run)?;
        let mut queue = BinaryHeap::new();
        queue.push(Open { bound: f64::INFINITY, id: 0 });
        Ok(Self {
            texts: Texts::new(target.start())?,
            queue,
            asked: Vec::new(),
            found: Vec::new(),
            ln_w: Vec::new(),
            top: f64::NEG_INFINITY,
            most,
            looked: 0,
            target,
        })
    }

    /// How many beginnings were looked at.
    pub fn looked(&self) -> usize {
        self.looked
    }

    /// The sums of what was found and of what is left at most, from the largest weight.
    fn sums(&self) -> (f64, f64) {
        let (mut found, mut left) = (Sum::default(), Sum::default());
        for l in &self.ln_w {
            found.add(exp_negative(l - self.top));
        }
        for open in self.queue.iter().chain(&self.asked) {
            left.add((open.bound - self.top).exp());
        }
        (found.value(), left.value())
    }

    /// The next beginnings to look at, at most `most`, the heaviest first; none if what is left does not
    /// matter.
    ///
    /// # Errors
    /// If too many would have to be looked at; if there is no memory for them.
    pub fn beginnings(&mut self, most: usize) -> Result<Vec<Vec<i64>>> {
        if self.asked.is_empty() {
            let (found, left) = self.sums();
            if left <= TOLERANCE * found {
                return Ok(Vec::new());
            }
            let most = most.min(self.queue.len()).min(self.most - self.looked);
            if most == 0 {
                let share = left / (found + left);
                let share = if share.is_nan() { 1.0 } else { share };
                let reason = format!(
                    "{} beginnings do not list the texts: those behind others have up to {share:.2} of \
                     the mass (the methods \"smc\" and \"mcmc\" list none)",
                    self.most
                );
                return Err(Error::argument("max_nodes", reason));
            }
            reserve(&mut self.asked, most, "beginnings")?;
            for _ in 0..most {
                self.asked.extend(self.queue.pop());
            }
        }
        self.asked.iter().map(|open| self.texts.path(open.id)).collect()
    }

    /// Takes in what follows the [beginnings](Self::beginnings), by rows of logits.
    ///
    /// # Errors
    /// As [`Call::sample`], and for logits that do not fit. Nothing has changed then.
    pub fn step<T: Element>(
        &mut self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        run: Run<'_>,
    ) -> Result<()> {
        let rows = self.asked.len();
        check_rows(logits.rows(), rows)?;
        let mut places = with_capacity(rows, "beginnings")?;
        places.extend(self.asked.iter().map(|open| self.texts.place(open.id)));
        let masks = self.target.masks(&places, logits.cols(), run)?;

        // 1. The tokens behind each, but for those that cannot matter.
        let alpha = self.target.alpha;
        let mut leasts = with_capacity(rows, "beginnings")?;
        let least = if alpha < 1.0 { f64::NEG_INFINITY } else { self.top + LEAST };
        leasts.extend(self.asked.iter().map(|o| least / alpha - self.texts.ln_p(o.id)));
        let mut found = filled(rows, Vec::new(), "beginnings")?;
        self.target.each(
            call,
            logits,
            &masks,
            |_| true,
            &mut found,
            run,
            |row, law, out| {
                *out = followers(law, leasts[row])?;
                Ok(())
            },
        )?;
        drop(masks);

        // 2. All rows were fine: the texts are longer.
        let more = found.iter().map(Vec::len).sum();
        self.texts.reserve(more)?;
        reserve(&mut self.found, more, "texts")?;
        reserve(&mut self.ln_w, more, "texts")?;
        let room = self.queue.try_reserve(more);
        room.map_err(|_| refused::<Open>(more, "beginnings"))?;
        let asked = std::mem::take(&mut self.asked);
        self.looked += asked.len();
        for (open, tokens) in asked.iter().zip(found) {
            for (token, ln_p) in tokens {
                let id = self.texts.longer(open.id, token, ln_p, &self.target);
                let ln_w = alpha * self.texts.ln_p(id);
                if self.texts.is_whole(id, &self.target) {
                    self.found.push(id);
                    self.ln_w.push(ln_w);
                    self.top = self.top.max(ln_w);
                } else {
                    let left = self.target.tokens - self.texts.place(id).depth;
                    let bound = ln_w + self.ln_spread(left, logits.cols());
                    self.queue.push(Open { bound, id });
                }
            }
        }
        Ok(())
    }

    /// By how much texts of so many tokens may weigh more than the power of what is before them.
    fn ln_spread(&self, tokens: u32, vocabulary: usize) -> f64 {
        let beyond = 1.0 - self.target.alpha;
        if beyond > 0.0 { beyond * f64::from(tokens) * (vocabulary as f64).ln() } else { 0.0 }
    }

    /// The logarithm of the normaliser; minus infinity if there are no texts.
    pub fn ln_z(&self) -> f64 {
        if self.found.is_empty() { f64::NEG_INFINITY } else { self.top + ln_any(self.sums().0) }
    }

    /// The logarithms of the weights of the texts that were found.
    pub fn ln_w(&self) -> &[f64] {
        &self.ln_w
    }

    /// One of them.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn text(&self, index: usize) -> Result<Text> {
        let id = self.found.get(index).ok_or_else(|| {
            Error::argument("texts", format!("there is no text {index} of {}", self.found.len()))
        })?;
        self.texts.text(*id)
    }
}

/// The legal tokens behind a beginning whose logarithms of probabilities reach a least.
fn followers(law: &Powered<'_, '_>, least: f64) -> Result<Vec<(u32, f64)>> {
    let mut count = 0;
    law.each(|_, ln_p| count += usize::from(ln_p >= least));
    let mut tokens = with_capacity(count, "tokens of a beginning")?;
    law.each(|token, ln_p| {
        if ln_p >= least {
            tokens.push((token, ln_p));
        }
    });
    Ok(tokens)
}
