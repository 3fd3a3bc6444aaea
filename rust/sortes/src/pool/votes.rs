//! The chance that `k` samples vote for the right answer: more often for it than for any other.
//!
//! Given that the right answer gets `t` votes, every other must get at most `t`, and all together
//! `k - t`. The votes of the answers are independent binomial (with weights: Poisson) counts given
//! their sum, so that this is a product of polynomials, multiplied one by one, with the number of
//! answers that tie kept apart.
//!
//! Wang, Wei, Schuurmans and others, "Self-consistency improves chain of thought reasoning in language
//! models", ICLR 2023, arXiv:2203.11171.

use sortes_core::memory::{filled, with_capacity, zeroed};
use sortes_core::order::sort;
use sortes_core::{Result, Run};

use super::best::{check_k, check_weights};
use super::laws::Law;

/// A vote of the right answer of less than this chance counts as none.
const NEGLIGIBLE: f64 = 1e-20;
/// Samples of one task.
const TASK: usize = 64;

/// What a tie for the most votes is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// One over the number of answers that tie.
    Split,
    /// Nothing.
    Lose,
}

/// Pools of `size` samples each, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Ballots<'a> {
    /// The samples of each pool.
    pub size: usize,
    /// The answer of each sample.
    pub answers: &'a [i64],
    /// The right answer of each pool, or one for all.
    pub correct: &'a [i64],
    /// How likely each sample is; without them, the `k` samples are distinct.
    pub weights: Option<&'a [f64]>,
}

/// The chance that the right answer wins, for each pool and each `k`: row by row. Progress counts
/// samples.
///
/// # Errors
/// If a weight is negative or not finite, all weights of a pool are zero, or a `k` is below 1 or,
/// without weights, above the size of the pools; if there is no memory, or the work is cancelled.
pub fn majority(ballots: Ballots<'_>, k: &[i64], ties: Ties, run: Run<'_>) -> Result<Vec<f64>> {
    let n = ballots.size;
    check_k(k, ballots.weights.is_none().then_some(n))?;
    let rows = ballots.answers.len().checked_div(n).unwrap_or(0);
    let mut out = zeroed(rows.saturating_mul(k.len()), "values")?;
    if out.is_empty() {
        return Ok(out);
    }
    let group = (TASK / n).max(1);
    run.try_fill_chunks(&mut out, group * k.len(), |task, out| {
        for (i, out) in out.chunks_mut(k.len()).enumerate() {
            let votes = ballots.count(task * group + i, run)?;
            for (out, &k) in out.iter_mut().zip(k) {
                *out = votes.win(k as usize, ties, run)?;
            }
            run.advance(n as u64);
        }
        Ok(())
    })?;
    Ok(out)
}

/// The answers of a pool: how many samples, or how much weight, each has.
struct Votes {
    right: f64,
    others: Vec<f64>,
    total: f64,
    distinct: bool,
}

impl Ballots<'_> {
    fn count(&self, row: usize, run: Run<'_>) -> Result<Votes> {
        let (n, first) = (self.size, row * self.size);
        let weights = self.weights.map(|weights| &weights[first..first + n]);
        let total = weights.map_or(Ok(n as f64), |weights| check_weights(weights, row))?;
        let correct = if self.correct.len() == 1 { self.correct[0] } else { self.correct[row] };
        let mut samples = with_capacity(n, "samples")?;
        samples.extend((0..n).map(|i| (self.answers[first + i], weights.map_or(1.0, |w| w[i]))));
        sort(&mut samples, |a, b| a.0.cmp(&b.0), run.serial())?;
        let mut votes =
            Votes { right: 0.0, others: Vec::new(), total, distinct: weights.is_none() };
        votes.others = with_capacity(n, "answers")?;
        for answer in samples.chunk_by(|a, b| a.0 == b.0) {
            let mass = answer.iter().map(|(_, weight)| weight).sum();
            if answer[0].0 == correct {
                votes.right = mass;
            } else if mass > 0.0 {
                votes.others.push(mass);
            }
        }
        Ok(votes)
    }
}

impl Votes {
    /// How many of `k` votes a mass gets, if the others do not matter.
    fn law(&self, mass: f64, k: usize) -> Result<Law> {
        if self.distinct {
            Law::binomial(mass as usize, k as f64 / self.total, k)
        } else {
            Law::poisson(k as f64 * (mass / self.total), k)
        }
    }

    /// The chance that the right answer wins among `k`.
    fn win(&self, k: usize, ties: Ties, run: Run<'_>) -> Result<f64> {
        if self.right == 0.0 {
            return Ok(0.0);
        }
        let right = self.law(self.right, k)?;
        let all = self.law(self.total, k)?.at(k);
        let mut others = with_capacity(self.others.len(), "answers")?;
        for &mass in &self.others {
            others.push(self.law(mass, k)?);
        }
        let mut value = 0.0;
        for (i, &p) in right.p.iter().enumerate() {
            let t = right.first + i;
            if t > 0 && p / all > NEGLIGIBLE {
                value += p * beaten(&others, k - t, t, ties, run)?;
            }
        }
        Ok((value / all).min(1.0))
    }
}

/// The chance that the other answers get `rest` votes together and at most `t` each, times what the
/// right one wins then.
fn beaten(others: &[Law], rest: usize, t: usize, ties: Ties, run: Run<'_>) -> Result<f64> {
    let can_tie = others.iter().filter(|law| law.first <= t && law.at(t) > 0.0).count();
    let most = if ties == Ties::Split { can_tie.min(rest / t) } else { 0 };
    // `chance[tied][votes]`, after the answers so far.
    let width = rest + 1;
    let mut chance = filled(width * (most + 1), 0.0, "chances")?;
    let mut next = filled(chance.len(), 0.0, "chances")?;
    chance[0] = 1.0;
    for law in others {
        run.check()?;
        next.fill(0.0);
        for tied in 0..=most {
            let from = &chance[tied * width..][..width];
            // All answers that tie have t votes each.
            let least = tied * t;
            for (v, &p) in (law.first..t.min(width - least)).zip(&law.p) {
                let to = &mut next[tied * width..][least + v..width];
                to.iter_mut().zip(&from[least..]).for_each(|(to, from)| *to += p * from);
            }
            if tied < most {
                let p = law.at(t);
                let to = &mut next[(tied + 1) * width..][least + t..width];
                to.iter_mut().zip(&from[least..]).for_each(|(to, from)| *to += p * from);
            }
        }
        std::mem::swap(&mut chance, &mut next);
    }
    Ok((0..=most).map(|tied| chance[tied * width + rest] / (tied + 1) as f64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(answers: &[i64], weights: Option<&[f64]>, k: &[i64], ties: Ties) -> Vec<f64> {
        let ballots = Ballots { size: answers.len(), answers, correct: &[1], weights };
        majority(ballots, k, ties, Run::alone()).unwrap()
    }

    fn win(chosen: &[i64], ties: Ties) -> f64 {
        let votes = |answer| chosen.iter().filter(|&&a| a == answer).count();
        let most = (1..=4).map(votes).max().unwrap();
        let tied = (1..=4).filter(|&a| votes(a) == most).count();
        let worth = if ties == Ties::Split { 1.0 / tied as f64 } else { f64::from(tied == 1) };
        if votes(1) == most { worth } else { 0.0 }
    }

    #[test]
    fn every_subset_is_counted() {
        let answers = [1, 1, 1, 2, 2, 3, 3, 3, 4, 1];
        for ties in [Ties::Split, Ties::Lose] {
            for k in 1..=10 {
                let (mut total, mut subsets) = (0.0, 0.0);
                for mask in (0u32..1 << 10).filter(|mask| mask.count_ones() == k) {
                    let chosen: Vec<i64> =
                        (0..10).filter(|i| mask >> i & 1 == 1).map(|i| answers[i]).collect();
                    total += win(&chosen, ties);
                    subsets += 1.0;
                }
                let value = ask(&answers, None, &[i64::from(k)], ties)[0];
                assert!((value - total / subsets).abs() < 1e-14, "{k} {ties:?} {value}");
            }
        }
    }

    #[test]
    fn every_sequence_is_counted() {
        let (answers, weights) = ([1, 2, 3, 1, 4], [0.3, 0.5, 1.0, 0.2, 0.0]);
        for ties in [Ties::Split, Ties::Lose] {
            for k in 1..=5u32 {
                let mut total = 0.0;
                for code in 0..5usize.pow(k) {
                    let drawn: Vec<usize> = (0..k).map(|j| code / 5usize.pow(j) % 5).collect();
                    let chosen: Vec<i64> = drawn.iter().map(|&i| answers[i]).collect();
                    let p: f64 = drawn.iter().map(|&i| weights[i] / 2.0).product();
                    total += p * win(&chosen, ties);
                }
                let value = ask(&answers, Some(&weights), &[i64::from(k)], ties)[0];
                assert!((value - total).abs() < 1e-14, "{k} {ties:?} {value} {total}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_not_there_never_wins() {
        assert_eq!(ask(&[2, 3], None, &[1, 2], Ties::Split), [0.0, 0.0]);
        assert_eq!(ask(&[1, 1], None, &[1, 2], Ties::Split), [1.0, 1.0]);
    }
}
