//! How a solver becomes rows: what it says in terms of the state is written in terms of what the
//! loop holds, one register and the last predictions.
//!
//! A solver speaks of the state `x` at the beginning of its step, of predictions `m` and of noise
//! `z`. The loop keeps the argument of the last evaluation, `y`, alone. Since every stage is
//! `y' = c x + ...` with `c > 0`, the state can always be written in terms of `y'` and of
//! predictions that are still there, so that single-step methods, predictors with correctors and
//! multistep methods are the same loop.

use sortes_core::{Error, Result};

use super::levels::Level;

/// A linear combination of the state, predictions and noise, by their numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lin {
    x: f64,
    m: Vec<(usize, f64)>,
    z: Vec<(usize, f64)>,
    one: f64,
}

/// Adds `scale` times `terms`; a sum that is only rounding is none.
fn add(into: &mut Vec<(usize, f64)>, terms: &[(usize, f64)], scale: f64) {
    for &(id, w) in terms {
        let w = scale * w;
        match into.iter_mut().find(|(other, _)| *other == id) {
            Some((_, sum)) => {
                let (size, total) = (sum.abs() + w.abs(), *sum + w);
                *sum = if total.abs() <= 8.0 * f64::EPSILON * size { 0.0 } else { total };
            }
            None => into.push((id, w)),
        }
    }
    into.retain(|&(_, w)| w != 0.0);
}

impl Lin {
    /// `c` times the state.
    pub(super) fn state(c: f64) -> Self {
        Self { x: c, m: Vec::new(), z: Vec::new(), one: 0.0 }
    }

    /// Adds `w` times a prediction.
    #[must_use]
    pub(super) fn with(mut self, m: usize, w: f64) -> Self {
        add(&mut self.m, &[(m, w)], 1.0);
        self
    }

    /// Adds `n` times a noise.
    #[must_use]
    pub(super) fn noise(mut self, z: usize, n: f64) -> Self {
        add(&mut self.z, &[(z, n)], 1.0);
        self
    }

    /// Adds `w` times another combination.
    #[must_use]
    pub(super) fn plus(mut self, other: &Self, w: f64) -> Self {
        self.x += w * other.x;
        add(&mut self.m, &other.m, w);
        add(&mut self.z, &other.z, w);
        self.one += w * other.one;
        self
    }

    /// Adds a constant.
    #[must_use]
    pub(super) fn constant(mut self, one: f64) -> Self {
        self.one += one;
        self
    }

    /// This combination of what `inner` stands for.
    fn of(&self, inner: &Self) -> Self {
        let rest = Self { x: 0.0, ..self.clone() };
        rest.plus(inner, self.x)
    }

    /// What `other` says of the state, in terms of this combination of it.
    pub(super) fn inverse_of(&self, other: &Self) -> Self {
        other.of(&self.inverse())
    }

    /// The state in terms of this combination of it.
    fn inverse(&self) -> Self {
        let rest = Self { x: 0.0, ..self.clone() };
        Self::state(1.0 / self.x).plus(&rest, -1.0 / self.x)
    }
}

/// What the model's answer `d` to `y` becomes in the history: `p y + r d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mix {
    pub(super) p: f64,
    pub(super) r: f64,
}

impl Mix {
    /// The prediction of the data.
    pub(super) const DATA: Self = Self { p: 0.0, r: 1.0 };
}

/// An evaluation: where, what is kept of it, and the state of a step that is known after it.
#[derive(Debug, Clone)]
struct Evaluation {
    level: Level,
    index: Option<usize>,
    mix: Mix,
    /// The step that begins here, and its state in terms of what is held.
    begins: Option<(usize, Lin)>,
}

/// A noise: the interval of `lam` that it belongs to, if it is one of a Wiener path.
#[derive(Debug, Clone, Copy)]
struct Draw {
    from: f64,
    to: f64,
}

/// What a solver writes on.
#[derive(Debug)]
pub(super) struct Tape {
    evaluations: Vec<Evaluation>,
    /// Row `k` makes the argument of evaluation `k`; the last makes the result.
    rows: Vec<Lin>,
    draws: Vec<Draw>,
    /// The state in terms of the register.
    x: Lin,
}

impl Tape {
    pub(super) fn new() -> Self {
        let x = Lin::state(1.0);
        Self { evaluations: Vec::new(), rows: Vec::new(), draws: Vec::new(), x }
    }

    /// A fresh noise between two levels.
    pub(super) fn draw(&mut self, from: f64, to: f64) -> usize {
        self.draws.push(Draw { from, to });
        self.draws.len() - 1
    }

    /// Evaluates the model at a combination of the state; `index` is the level's place on the path.
    pub(super) fn probe(&mut self, at: (Level, Option<usize>), arg: &Lin, mix: Mix) -> usize {
        self.rows.push(arg.of(&self.x));
        self.x = arg.inverse();
        self.evaluations.push(Evaluation { level: at.0, index: at.1, mix, begins: None });
        self.evaluations.len() - 1
    }

    /// The state becomes a combination of itself.
    pub(super) fn advance(&mut self, next: &Lin) {
        self.x = next.of(&self.x);
    }

    /// Step `i` begins with the state as it is; the last evaluation was its first.
    pub(super) fn begin(&mut self, i: usize) {
        if let Some(last) = self.evaluations.last_mut() {
            last.begins = Some((i, self.x.clone()));
        }
    }

    /// The rows.
    ///
    /// # Errors
    /// If a coefficient is not finite.
    pub(super) fn finish(mut self) -> Result<Plan> {
        self.rows.push(self.x.clone());
        let held = |k: usize, lin: &Lin| {
            let m = lin.m.iter().map(|&(id, _)| k - id).max().map_or(0, |lag| lag + 1);
            m.max(1)
        };
        let (mut history, mut noises) = (1, 0);
        let mut drawn = 0;
        let mut known = Vec::with_capacity(self.rows.len());
        for (k, row) in self.rows.iter().enumerate() {
            if let Some(newest) = row.z.iter().map(|&(id, _)| id + 1).max() {
                drawn = drawn.max(newest);
            }
            known.push(drawn);
            let back = row.z.iter().map(|&(id, _)| drawn - id).max().unwrap_or(0);
            (history, noises) = (history.max(held(k.max(1) - 1, row)), noises.max(back));
        }
        for (k, evaluation) in self.evaluations.iter().enumerate() {
            if let Some((_, state)) = &evaluation.begins {
                let back = state.z.iter().map(|&(id, _)| known[k] - id).max().unwrap_or(0);
                (history, noises) = (history.max(held(k, state)), noises.max(back));
            }
        }
        let mut plan = Plan { history, noises, ..Plan::default() };
        for (k, row) in self.rows.iter().enumerate() {
            plan.c.push(row.x);
            plan.offset.push(row.one);
            plan.push(k.checked_sub(1), known[k], row, false);
            plan.fresh.push(known[k] > if k == 0 { 0 } else { known[k - 1] });
        }
        for (k, evaluation) in self.evaluations.iter().enumerate() {
            plan.a.push(evaluation.level.a);
            plan.s.push(evaluation.level.s);
            plan.lam.push(evaluation.level.lam);
            plan.index.push(evaluation.index.map_or(-1, |i| i as i64));
            plan.mix.extend([evaluation.mix.p, evaluation.mix.r]);
            let (step, state) = match &evaluation.begins {
                Some((i, state)) => (*i as i64, state.clone()),
                None => (-1, Lin::state(1.0)),
            };
            plan.step.push(step);
            plan.state_c.push(state.x);
            plan.push(Some(k), known[k], &state, true);
        }
        plan.intervals.extend(self.draws.iter().flat_map(|draw| [draw.from, draw.to]));
        let numbers =
            [&plan.c, &plan.w, &plan.n, &plan.mix, &plan.offset, &plan.state_c, &plan.state_w];
        if numbers.iter().any(|numbers| numbers.iter().any(|x| !x.is_finite())) {
            let reason = "its levels leave a coefficient of this solver without a finite value";
            return Err(Error::argument("path", reason));
        }
        Ok(plan)
    }
}

/// The rows of a solver, for a loop that holds a register, the last predictions and noises.
///
/// Row `k` is `y = c y + sum_j w_j m_{k-1-j} + sum_j n_j z_{-j}`, newest first. Row 0 comes before
/// any evaluation; evaluation `k` follows row `k`; the last row makes the result.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// How many predictions are held.
    pub history: usize,
    /// How many noises are held.
    pub noises: usize,
    /// The factor of the register in each row.
    pub c: Vec<f64>,
    /// The factors of the predictions, rows of `history`.
    pub w: Vec<f64>,
    /// The factors of the noises, rows of `noises`.
    pub n: Vec<f64>,
    /// What is added in each row.
    pub offset: Vec<f64>,
    /// Whether a row takes a fresh noise.
    pub fresh: Vec<bool>,
    /// The interval of `lam` that each noise belongs to, in pairs; NaN for one of its own.
    pub intervals: Vec<f64>,
    /// The factor of the data at each evaluation.
    pub a: Vec<f64>,
    /// The factor of the noise at each evaluation.
    pub s: Vec<f64>,
    /// The logarithm of their ratio.
    pub lam: Vec<f64>,
    /// Which level of the path each evaluation is at; -1 between them.
    pub index: Vec<i64>,
    /// What is kept of an answer, in pairs: the factor of its argument and that of itself.
    pub mix: Vec<f64>,
    /// The step that begins with each evaluation; -1 for none.
    pub step: Vec<i64>,
    /// The state of that step: the factor of the register.
    pub state_c: Vec<f64>,
    /// Those of the predictions, the new one among them.
    pub state_w: Vec<f64>,
    /// Those of the noises.
    pub state_n: Vec<f64>,
}

impl Plan {
    /// How often the model is asked.
    pub fn evaluations(&self) -> usize {
        self.a.len()
    }

    fn push(&mut self, newest: Option<usize>, known: usize, lin: &Lin, of_state: bool) {
        let (w, n) = if of_state {
            (&mut self.state_w, &mut self.state_n)
        } else {
            (&mut self.w, &mut self.n)
        };
        let (at, from) = (w.len(), n.len());
        w.resize(at + self.history, 0.0);
        n.resize(from + self.noises, 0.0);
        if let Some(newest) = newest {
            for &(id, weight) in &lin.m {
                w[at + newest - id] = weight;
            }
        }
        for &(id, factor) in &lin.z {
            n[from + known - 1 - id] = factor;
        }
    }
}
