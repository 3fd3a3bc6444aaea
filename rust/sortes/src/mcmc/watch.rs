//! What others may see of chains while they run, and ask of them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use sortes_core::Result;
use sortes_core::memory::{with_capacity, zeroed};

/// Where a chain was when it last told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// The log density of its state.
    pub logp: f64,
    /// Transitions that are left, and those of them that are warm-up.
    pub left: u32,
    /// Of the warm-up.
    pub warmup: u32,
    /// States that are kept.
    pub draws: usize,
    /// Evaluations, and transitions that a limit ended, since the plan began.
    pub evaluations: u64,
    /// Of those.
    pub stuck: u64,
}

/// A window to chains that run. Whoever looks asks a question, which each chain answers at the end of
/// its transition: a look shows what the question before it found.
#[derive(Debug)]
pub struct Watch {
    question: AtomicU32,
    is_paused: AtomicBool,
    seen: Vec<Mutex<(Vec<f64>, Seen)>>,
}

impl Watch {
    /// Of so many chains with so many coordinates.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(chains: usize, dim: usize) -> Result<Self> {
        let mut seen = with_capacity(chains, "chains")?;
        for _ in 0..chains {
            seen.push(Mutex::new((zeroed(dim, "coordinates")?, Seen::default())));
        }
        Ok(Self { question: AtomicU32::new(0), is_paused: AtomicBool::new(false), seen })
    }

    /// The number of the last question.
    #[inline]
    pub fn question(&self) -> u32 {
        self.question.load(Ordering::Relaxed)
    }

    /// Whether chains are to rest.
    #[inline]
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Lets chains rest, or go on.
    pub fn pause(&self, rest: bool) {
        self.is_paused.store(rest, Ordering::Relaxed);
    }

    /// A chain answers.
    pub fn tell(&self, chain: u64, point: &[f64], seen: Seen) {
        if let Some(slot) = self.seen.get(chain as usize) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.0.copy_from_slice(point);
            slot.1 = seen;
        }
    }

    /// What each chain told last, its point by way of `each`; and a new question.
    pub fn look(&self, mut each: impl FnMut(&[f64], Seen)) {
        for slot in &self.seen {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            each(&slot.0, slot.1);
        }
        self.question.fetch_add(1, Ordering::Relaxed);
    }
}
