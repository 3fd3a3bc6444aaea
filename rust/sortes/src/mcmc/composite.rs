//! Kernels made of kernels: all of them in turn, or one that is drawn.

use std::sync::Arc;

use sortes_core::Result;
use sortes_core::memory::with_capacity;

use super::draws::Draws;
use super::kernel::{Kernel, Step};
use super::slice::{Coordinate, Polar, Ray};

/// A kernel that others are made of.
#[derive(Debug, Clone)]
pub enum Part {
    /// By coordinates.
    Coordinate(Coordinate),
    /// Along a line.
    Ray(Ray),
    /// In polar coordinates.
    Polar(Polar),
    /// Of others.
    Composite(Box<Composite>),
}

/// Evaluates `$body` with `$kernel` bound to the kernel of `$part`.
macro_rules! with_kernel {
    ($part:expr, |$kernel:ident| $body:expr) => {
        match $part {
            Part::Coordinate($kernel) => $body,
            Part::Ray($kernel) => $body,
            Part::Polar($kernel) => $body,
            Part::Composite($kernel) => $body,
        }
    };
}

/// The kernel. One state passes from part to part.
#[derive(Debug, Clone)]
pub struct Composite {
    parts: Vec<Part>,
    /// The chances of the parts, added up; of a sequence there are none.
    cumulative: Arc<[f64]>,
    x: Vec<f64>,
    logp: f64,
    /// The part in work, and one past the last of this transition.
    turn: usize,
    end: usize,
    stuck: bool,
    widths: Vec<f64>,
}

impl Composite {
    /// Of parts that share a state. Without chances they take turns, and a transition is one of each;
    /// with chances, added up, it is that of one that is drawn.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(parts: Vec<Part>, cumulative: Arc<[f64]>, x: Vec<f64>, logp: f64) -> Result<Self> {
        let size =
            parts.iter().map(|part| with_kernel!(part, |kernel| kernel.widths().len())).sum();
        let widths = with_capacity(size, "widths")?;
        let end = parts.len();
        let mut made = Self { parts, cumulative, x, logp, turn: end, end, stuck: false, widths };
        made.note();
        Ok(made)
    }

    /// Writes down the widths.
    fn note(&mut self) {
        self.widths.clear();
        for part in &self.parts {
            self.widths.extend_from_slice(with_kernel!(part, |kernel| kernel.widths()));
        }
    }

    /// Begins the transition of the next part, if there is one.
    fn next(&mut self, draws: &mut impl Draws) -> Step {
        while self.turn < self.end {
            let (x, logp) = (&self.x, self.logp);
            let step = with_kernel!(&mut self.parts[self.turn], |kernel| {
                // A part that cannot take the state leaves it alone.
                kernel.place(x, logp).then(|| kernel.start(draws))
            });
            match step {
                Some(Step::Evaluate) => return Step::Evaluate,
                Some(Step::Done) => self.settle(),
                None => {
                    self.stuck = true;
                    self.turn += 1;
                }
            }
        }
        Step::Done
    }

    /// Takes over the state of the part whose transition is over.
    fn settle(&mut self) {
        with_kernel!(&self.parts[self.turn], |kernel| {
            self.x.copy_from_slice(kernel.point());
            self.logp = kernel.logp();
            self.stuck |= kernel.is_stuck();
        });
        self.turn += 1;
    }
}

impl Kernel for Composite {
    const COUNTS: &'static [&'static str] = &[];

    fn start(&mut self, draws: &mut impl Draws) -> Step {
        (self.stuck, self.turn, self.end) = (false, 0, self.parts.len());
        if !self.cumulative.is_empty() {
            let u = draws.uniform();
            self.turn = self.cumulative.partition_point(|&sum| sum <= u).min(self.end - 1);
            self.end = self.turn + 1;
        }
        self.next(draws)
    }

    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        let part = &mut self.parts[self.turn];
        if with_kernel!(part, |kernel| kernel.advance(logp, draws)) == Step::Evaluate {
            return Step::Evaluate;
        }
        self.settle();
        self.next(draws)
    }

    fn moves(&self) -> Option<usize> {
        let part = self.parts.get(self.turn).filter(|_| self.turn < self.end);
        part.and_then(|part| with_kernel!(part, |kernel| kernel.moves()))
    }

    fn place(&mut self, x: &[f64], logp: f64) -> bool {
        self.x.copy_from_slice(x);
        self.logp = logp;
        true
    }

    fn point(&self) -> &[f64] {
        match self.parts.get(self.turn) {
            Some(part) if self.turn < self.end => with_kernel!(part, |kernel| kernel.point()),
            _ => &self.x,
        }
    }

    fn logp(&self) -> f64 {
        self.logp
    }

    fn counts(&self) -> [u32; 3] {
        [0; 3]
    }

    fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn tune(&mut self) {
        let first = if self.cumulative.is_empty() { 0 } else { self.end - 1 };
        for part in &mut self.parts[first..self.end] {
            with_kernel!(part, |kernel| kernel.tune());
        }
        self.note();
    }

    fn widths(&self) -> &[f64] {
        &self.widths
    }
}
