//! Hit-and-run: slice sampling along a line in a direction that is drawn (`MacKay` 2003, section 29.7).

use std::sync::Arc;

use sortes_core::memory::{copied, zeroed};
use sortes_core::{Result, Run};

use super::factor::Factor;
use super::line::{Ask, Growth, Line};
use crate::mcmc::draws::Draws;
use crate::mcmc::kernel::{Kernel, Step, Tuner};

/// What to make a kernel of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The width of intervals.
    pub width: f64,
    /// What directions are multiplied by.
    pub scale_tril: Option<Arc<Factor>>,
    /// How intervals are found.
    pub growth: Growth,
    /// Whether warm-up changes the width.
    pub tune: bool,
    /// The most evaluations of an update.
    pub limit: u32,
}

/// The kernel.
#[derive(Debug, Clone)]
pub struct Ray {
    x: Vec<f64>,
    logp: f64,
    point: Vec<f64>,
    direction: Vec<f64>,
    normals: Vec<f64>,
    scale_tril: Option<Arc<Factor>>,
    width: [f64; 1],
    line: Line,
    stuck: bool,
    tuner: Option<Tuner>,
}

impl Ray {
    /// At a state of finite log density.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(options: Options, x: Vec<f64>, logp: f64) -> Result<Self> {
        let d = x.len();
        let line = Line::new(options.growth, options.limit);
        let tunes = options.tune && !line.is_rigid();
        Ok(Self {
            point: copied(&x, "coordinates", Run::alone())?,
            direction: zeroed(d, "coordinates")?,
            normals: zeroed(d, "coordinates")?,
            x,
            logp,
            scale_tril: options.scale_tril,
            width: [options.width],
            line,
            stuck: false,
            tuner: tunes.then(|| Tuner::new(options.width)),
        })
    }

    #[inline]
    fn take(&mut self, ask: Ask) -> Step {
        let (at, step) = match ask {
            Ask::At(a) => (a, Step::Evaluate),
            Ask::Found(a, logp) => {
                self.logp = logp;
                (a, Step::Done)
            }
            Ask::Stuck => {
                self.stuck = true;
                (0.0, Step::Done)
            }
        };
        // What was asked about last is there already.
        if step == Step::Evaluate || self.stuck || at != self.line.asked() {
            for ((point, x), v) in self.point.iter_mut().zip(&self.x).zip(&self.direction) {
                *point = x + at * v;
            }
        }
        if step == Step::Done {
            self.x.copy_from_slice(&self.point);
        }
        step
    }
}

impl Kernel for Ray {
    const COUNTS: &'static [&'static str] = &["n_expand", "n_shrink"];

    #[inline]
    fn start(&mut self, draws: &mut impl Draws) -> Step {
        self.stuck = false;
        let drop = match &self.scale_tril {
            Some(tril) => {
                let drop = draws.heading(&mut self.normals);
                tril.times(&self.normals, &mut self.direction);
                drop
            }
            None => draws.heading(&mut self.direction),
        };
        let level = self.logp - drop;
        let everywhere = (f64::NEG_INFINITY, f64::INFINITY);
        let ask = self.line.begin(0.0, level, self.width[0], everywhere, draws);
        self.take(ask)
    }

    #[inline]
    fn advance(&mut self, logp: f64, draws: &mut impl Draws) -> Step {
        let ask = self.line.advance(logp, draws);
        self.take(ask)
    }

    #[inline]
    fn follow(
        &mut self,
        logp: f64,
        draws: &mut impl Draws,
        more: &mut impl FnMut(&[f64]) -> Option<f64>,
    ) -> Step {
        let (x, direction, point) = (&self.x, &self.direction, &mut self.point);
        let ask = self.line.follow(logp, draws, &mut |at| {
            for ((point, x), v) in point.iter_mut().zip(x).zip(direction) {
                *point = x + at * v;
            }
            more(point)
        });
        self.take(ask)
    }

    fn place(&mut self, x: &[f64], logp: f64) -> bool {
        self.x.copy_from_slice(x);
        self.point.copy_from_slice(x);
        self.logp = logp;
        true
    }

    #[inline]
    fn point(&self) -> &[f64] {
        &self.point
    }

    fn logp(&self) -> f64 {
        self.logp
    }

    fn counts(&self) -> [u32; 3] {
        [self.line.widened, self.line.shrunk, 0]
    }

    fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn tune(&mut self) {
        if let Some(tuner) = &mut self.tuner {
            tuner.learn(&mut self.width[0], self.line.widened, self.line.shrunk);
        }
    }

    fn widths(&self) -> &[f64] {
        &self.width
    }
}
