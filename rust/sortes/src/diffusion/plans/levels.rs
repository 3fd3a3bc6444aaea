//! Noise levels: a state is `a` times the data plus `s` times standard normal noise.

use sortes_core::error::shown;
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result};

/// What `a` and `s` have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Their squares add up to one.
    Vp,
    /// The signal stays as it is.
    Ve,
    /// They add up to one.
    Flow,
}

/// A noise level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// The factor of the data.
    pub a: f64,
    /// The factor of the noise.
    pub s: f64,
    /// The logarithm of `a / s`; infinite where one of them is zero.
    pub lam: f64,
}

impl Level {
    /// The level of two factors.
    pub fn new(a: f64, s: f64) -> Self {
        Self { a, s, lam: a.ln() - s.ln() }
    }

    /// Pure noise, of which no slope in `lam` exists.
    pub fn is_noise(&self) -> bool {
        self.a == 0.0
    }

    /// Clean data.
    pub fn is_clean(&self) -> bool {
        self.s == 0.0
    }

    /// The ratio of noise to signal.
    pub fn ratio(&self) -> f64 {
        self.s / self.a
    }
}

/// The levels of a run, the noisiest first.
#[derive(Debug, Clone)]
pub struct Levels {
    kind: Kind,
    levels: Vec<Level>,
}

impl Levels {
    /// Levels from their factors.
    ///
    /// # Errors
    /// If there are fewer than two, they are not equally many, one is no number, or the ratio of
    /// signal to noise does not increase, or there is no memory.
    pub fn new(kind: Kind, a: &[f64], s: &[f64]) -> Result<Self> {
        if a.len() != s.len() || a.len() < 2 {
            let reason = format!("must hold at least two levels, got {} and {}", a.len(), s.len());
            return Err(Error::argument("path", reason));
        }
        let mut levels = with_capacity(a.len(), "levels")?;
        levels.extend(a.iter().zip(s).map(|(&a, &s)| Level::new(a, s)));
        for (i, level) in levels.iter().enumerate() {
            let is_fine = level.a >= 0.0 && level.s >= 0.0 && !level.lam.is_nan();
            let rises = i == 0 || level.lam > levels[i - 1].lam;
            if !(is_fine && rises && level.a < f64::INFINITY && level.s < f64::INFINITY) {
                let (a, s) = (shown(level.a), shown(level.s));
                let reason =
                    format!("item {i} must be less noisy than the one before, got {a}, {s}");
                return Err(Error::argument("path", reason));
            }
        }
        Ok(Self { kind, levels })
    }

    /// What they have in common.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of steps between them.
    pub fn steps(&self) -> usize {
        self.levels.len() - 1
    }

    /// Level `i`, of which 0 is the noisiest.
    pub fn get(&self, i: usize) -> Level {
        self.levels[i]
    }

    /// The level of this kind at any `lam`.
    pub fn at(&self, lam: f64) -> Level {
        let (noise, signal) = ((-lam).exp(), lam.exp());
        let (a, s) = match self.kind {
            Kind::Vp => (1.0 / 1.0_f64.hypot(noise), 1.0 / 1.0_f64.hypot(signal)),
            Kind::Ve => (1.0, noise),
            Kind::Flow => (1.0 / (1.0 + noise), 1.0 / (1.0 + signal)),
        };
        Level { a, s, lam }
    }
}
