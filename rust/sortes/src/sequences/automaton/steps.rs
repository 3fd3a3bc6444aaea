//! How many tokens it takes to finish.

use super::bytes::DEAD;
use super::walk::Walker;
use sortes_core::memory::{filled, reserve, with_capacity};
use sortes_core::{Result, Run};

/// What cannot be finished.
pub(super) const NEVER: u32 = u32::MAX;
/// The end of a list.
const NONE: u32 = u32::MAX;

/// How many tokens it takes to finish.
#[derive(Debug)]
pub(super) struct Steps {
    /// The least number of tokens, with the one that ends the text, from each state; [`NEVER`] from
    /// where no tokens lead to where a text may end.
    pub(super) counts: Vec<u32>,
    /// The largest of them.
    pub(super) most: u32,
}

/// Counts the tokens from each state.
///
/// States are settled in the order of that number. Each is looked at when it could be its turn at the
/// earliest, by the length of the longest token: if no token leads to a state that is settled, it waits
/// for those to which some lead, so that nobody walks twice from one state.
///
/// # Errors
/// If there is no memory for it, or the work is cancelled.
pub(super) fn steps(walker: &Walker, run: Run<'_>) -> Result<Steps> {
    let (bytes, what) = (&walker.bytes, "states of an automaton");
    let trie = walker.vocabulary.trie();
    let longest = trie.deepest.max(1) as u32;
    let mut order = with_capacity(bytes.len(), what)?;
    order.extend(DEAD + 1..bytes.len() as u32);
    order.sort_unstable_by_key(|&state| bytes.distance(state));
    let earliest = |state: u32| 1 + bytes.distance(state).div_ceil(longest);

    let mut steps = filled(bytes.len(), NEVER, what)?;
    let mut waiting = Waiting::new(bytes.len())?;
    let mut seen = filled(bytes.len(), DEAD, what)?;
    let mut targets = Vec::new();
    let mut witness = None; // the token that helped last
    let (mut settled, mut next) =
        (with_capacity(bytes.len(), what)?, with_capacity(bytes.len(), what)?);
    let (mut examined, mut count) = (0, 0);
    loop {
        count += 1;
        // 1. Whoever waited for the states that were settled just now.
        for state in settled.drain(..) {
            waiting.each(state, |who| {
                if steps[who as usize] == NEVER {
                    steps[who as usize] = count;
                    next.push(who);
                }
            });
        }
        // 2. Whose turn it could be at the earliest.
        while examined < order.len() && earliest(order[examined]) == count {
            let state = order[examined];
            examined += 1;
            if steps[state as usize] != NEVER {
                continue;
            }
            let mut helps = bytes.is_accepting(state);
            if let (false, Some(token)) = (helps, witness) {
                let target = bytes.steps(state, walker.vocabulary.token(token));
                helps = steps[target as usize] < count;
            }
            if !helps {
                targets.clear();
                let mut error = Ok(());
                walker.walk(state, walker.loops(state)?, run, |target, places| {
                    if steps[target as usize] < count {
                        (helps, witness) = (true, Some(trie.order[places.start]));
                    } else if seen[target as usize] != state {
                        seen[target as usize] = state;
                        error = reserve(&mut targets, 1, what);
                        if error.is_ok() {
                            targets.push(target);
                        }
                    }
                    !helps && error.is_ok()
                })?;
                error?;
            }
            if helps {
                steps[state as usize] = count;
                next.push(state);
            } else {
                waiting.add(state, &targets)?;
            }
        }
        if next.is_empty() {
            return Ok(Steps { counts: steps, most: count - 1 });
        }
        std::mem::swap(&mut settled, &mut next);
    }
}

/// Who waits for whom.
struct Waiting {
    /// The first entry of the list of each state.
    first: Vec<u32>,
    /// Who waits, and the entry behind.
    entries: Vec<(u32, u32)>,
}

impl Waiting {
    fn new(states: usize) -> Result<Self> {
        Ok(Self { first: filled(states, NONE, "states of an automaton")?, entries: Vec::new() })
    }

    /// Lets a state wait for others.
    fn add(&mut self, who: u32, others: &[u32]) -> Result<()> {
        reserve(&mut self.entries, others.len(), "steps of an automaton")?;
        for &other in others {
            let first = &mut self.first[other as usize];
            self.entries.push((who, *first));
            *first = self.entries.len() as u32 - 1;
        }
        Ok(())
    }

    /// Calls `f` with each state that waits for this one.
    fn each(&self, state: u32, mut f: impl FnMut(u32)) {
        let mut at = self.first[state as usize];
        while at != NONE {
            let (who, next) = self.entries[at as usize];
            f(who);
            at = next;
        }
    }
}
