//! The dual simplex method on the smallest-part program, restricted to some columns.
//!
//! Primal: find the least `t` such that
//! `fixed + sum_j d_j a_j = t mean`, `0 <= d_j <= cap_j`.
//! Dual: maximise the concave, piecewise linear
//! `g(y) = fixed . y - sum_j cap_j max(-a_j . y, 0)` over `mean . y = 1`.
//!
//! The iterates are vertices of the dual. Each step relaxes the column whose deficit is furthest
//! outside its bounds (steepest edge: the inverse is so small that exact norms are free) and walks
//! along that edge to the maximum of `g`, past every breakpoint where a column changes its bound
//! (the long-step rule). The boxes make any `y` dual feasible, so that the walk can start anywhere.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sortes_core::Run;
use sortes_core::memory::{reserve, with_capacity};

use super::Failure;
use super::columns::{Columns, LANES};

/// Pivots between two recomputations of the inverse.
const REFACTOR: usize = 50;
/// Steps in a row without progress before Bland's rule takes over.
const STALL: usize = 40;
/// Relative size of a rounding error in a deficit or a residual.
const ROUNDING: f64 = 1e-12;
/// Smallest pivot, relative to the length of the edge.
const PIVOT: f64 = 1e-9;
/// `g` beyond this is more than any complete program can reach: its optimum is at most 1.
const CEILING: f64 = 2.0;

/// What the buffers of a program hold.
const WHAT: &str = "columns of a program";
/// Steps of a loop between two looks at the stop request.
pub(super) const POLL: usize = 1 << 14;

/// What stands in one position of the basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Basic {
    /// A unit column whose deficit must be zero: what the basis starts from.
    Unit(usize),
    /// A column of the program.
    Column(usize),
}

/// How a restricted program ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The vertex is optimal, within rounding.
    Optimal,
    /// `g` exceeds what a complete program can reach: columns are missing. Holds such a point.
    Beyond(Vec<f64>),
}

/// A restricted program and a vertex of its dual.
#[derive(Debug, Clone)]
pub(super) struct Program {
    mean: Vec<f64>,
    fixed: Vec<f64>,
    columns: Columns,
    caps: Vec<f64>,
    /// +1 for a deficit at zero, -1 for one at its cap, 0 for one in the basis or with a cap of zero.
    bound: Vec<f64>,
    residual: Vec<f64>,
    basis: Vec<Basic>,
    /// Inverse of the matrix whose columns are the basis and `-mean`, by rows.
    inverse: Vec<f64>,
    /// `fixed` plus everything at its cap.
    load: Vec<f64>,
    /// Deficits of the basis, then `t`.
    value: Vec<f64>,
    price: Vec<f64>,
    pivots: usize,
}

impl Program {
    /// A program at the vertex of `basis`, which holds one entry less than there are coordinates.
    pub(super) fn new(
        mean: &[f64],
        fixed: Vec<f64>,
        columns: Columns,
        caps: Vec<f64>,
        basis: Vec<Basic>,
    ) -> Result<Self, Failure> {
        let dim = mean.len();
        let mut bound = with_capacity(caps.len(), WHAT)?;
        bound.extend(caps.iter().map(|&cap| if cap > 0.0 { 1.0 } else { 0.0 }));
        let mut program = Self {
            mean: mean.to_vec(),
            fixed,
            bound,
            residual: Vec::new(),
            columns,
            caps,
            basis,
            inverse: vec![0.0; dim * dim],
            load: vec![0.0; dim],
            value: vec![0.0; dim],
            price: vec![0.0; dim],
            pivots: 0,
        };
        for position in 0..dim - 1 {
            if let Basic::Column(j) = program.basis[position] {
                program.bound[j] = 0.0;
            }
        }
        program.factor()?;
        Ok(program)
    }

    /// The dual vertex.
    pub(super) fn price(&self) -> &[f64] {
        &self.price
    }

    /// The objective at the vertex: the least `t` once optimal.
    pub(super) fn objective(&self) -> f64 {
        self.value[self.dim() - 1]
    }

    /// What the basis holds.
    pub(super) fn basis(&self) -> &[Basic] {
        &self.basis
    }

    /// The deficit of every column at the vertex.
    pub(super) fn deficits(&self) -> Result<Vec<f64>, Failure> {
        let mut deficits = with_capacity(self.caps.len(), WHAT)?;
        let bounds = self.bound.iter().zip(&self.caps);
        deficits.extend(bounds.map(|(&b, &c)| if b < 0.0 { c } else { 0.0 }));
        for (basic, &value) in self.basis.iter().zip(&self.value) {
            if let &Basic::Column(j) = basic {
                deficits[j] = value.clamp(0.0, self.caps[j]);
            }
        }
        Ok(deficits)
    }

    /// Adds a column whose deficit was held at zero, or at its cap, outside of the program.
    ///
    /// Call [`settle`](Self::settle) after the last one.
    pub(super) fn admit(
        &mut self,
        column: &[f32],
        cap: f64,
        was_at_cap: bool,
    ) -> Result<(), Failure> {
        if was_at_cap {
            for (fixed, &a) in self.fixed.iter_mut().zip(column) {
                *fixed -= cap * f64::from(a);
            }
        }
        self.columns.push(column)?;
        reserve(&mut self.caps, 1, WHAT)?;
        reserve(&mut self.bound, 1, WHAT)?;
        self.caps.push(cap);
        self.bound.push(if was_at_cap { -1.0 } else { 1.0 });
        Ok(())
    }

    /// Recomputes the vertex after columns were admitted.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        self.factor()
    }

    fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Walks to the optimum; `budget` counts pivots down over all the programs of a decision.
    pub(super) fn solve(&mut self, budget: &mut usize, run: Run<'_>) -> Result<Outcome, Failure> {
        let last = self.dim() - 1;
        let mut stalled = 0;
        let mut slopes = with_capacity(self.columns.len() + LANES, WHAT)?;
        loop {
            if self.pivots >= REFACTOR {
                self.factor()?;
            }
            if self.objective() > CEILING {
                return Ok(Outcome::Beyond(self.price.clone()));
            }
            // 1. The column to relax; without one, the vertex of a fresh inverse is optimal.
            let magnitude = self.magnitude();
            let Some((position, excess)) = self.leaving(&magnitude, stalled >= STALL) else {
                if self.pivots == 0 {
                    return Ok(Outcome::Optimal);
                }
                self.factor()?;
                continue;
            };
            run.check()?;
            *budget = budget.checked_sub(1).ok_or(Failure::Pivots)?;

            // 2. The edge on which it is relaxed. A deficit above its cap needs a negative residual;
            // one below zero, a positive one.
            let sense = -excess.signum();
            let edge: Vec<f64> = self.inverse_row(position).iter().map(|v| sense * v).collect();
            let before = self.objective();
            self.columns.dots(&edge, &mut slopes);
            // 3. Along it to the maximum of `g`.
            let slope = (excess.abs(), self.tolerance(position, &magnitude));
            let step = self.ratio_test(&edge, &slopes, slope, stalled >= STALL, run)?;
            let Some(entering) = step.entering else {
                let length = step.length + (CEILING - self.value[last]).max(0.0) / step.slope;
                let point = self.price.iter().zip(&edge).map(|(y, e)| y + length * e).collect();
                return Ok(Outcome::Beyond(point));
            };
            // 4. Move there, and change the basis.
            self.walk(&step, &slopes);
            self.pivot(position, entering, sense, step.length)?;
            stalled = if self.objective() > before { 0 } else { stalled + 1 };
        }
    }

    /// The position of the basis to free, and how far its deficit is above its cap or below zero.
    fn leaving(&self, magnitude: &[f64], bland: bool) -> Option<(usize, f64)> {
        let candidates = (0..self.basis.len()).filter_map(|position| {
            let cap = match self.basis[position] {
                Basic::Unit(_) => 0.0,
                Basic::Column(j) => self.caps[j],
            };
            let value = self.value[position];
            let excess = if value > cap { value - cap } else { value.min(0.0) };
            (excess.abs() > self.tolerance(position, magnitude)).then_some((position, excess))
        });
        if bland {
            return candidates.min_by_key(|&(position, _)| self.basis[position]);
        }
        let steepness = |&(position, excess): &(usize, f64)| {
            excess * excess / dot(self.inverse_row(position), self.inverse_row(position))
        };
        candidates.max_by(|x, y| steepness(x).total_cmp(&steepness(y)))
    }

    /// The size of the terms that cancel in each coordinate of `basis . value + load = 0`.
    fn magnitude(&self) -> Vec<f64> {
        let t = self.objective();
        let mut sizes: Vec<f64> =
            self.load.iter().zip(&self.mean).map(|(load, m)| load.abs() + (t * m).abs()).collect();
        for (basic, value) in self.basis.iter().zip(&self.value) {
            match *basic {
                Basic::Unit(k) => sizes[k] += value.abs(),
                Basic::Column(j) => {
                    for (size, a) in sizes.iter_mut().zip(self.columns.column(j)) {
                        *size += (a * value).abs();
                    }
                }
            }
        }
        sizes
    }

    /// The rounding error of the deficit at `position`.
    fn tolerance(&self, position: usize, magnitude: &[f64]) -> f64 {
        let terms = self.inverse_row(position).iter().zip(magnitude);
        ROUNDING * terms.map(|(v, size)| v.abs() * size).sum::<f64>()
    }

    /// How far to walk along `edge`, and the column that enters the basis there. `slope` is that of
    /// `g` at the start; a slope of at most `flat` is a rounding error.
    fn ratio_test(
        &self,
        edge: &[f64],
        slopes: &[f64],
        (slope, mut flat): (f64, f64),
        bland: bool,
        run: Run<'_>,
    ) -> Result<Step, Failure> {
        let span = dot(edge, edge).sqrt();
        let least = PIVOT * span;
        // Where each column reaches its other bound.
        let mut breakpoints = with_capacity(slopes.len(), WHAT)?;
        for (j, ((&alpha, &bound), &r)) in
            slopes.iter().zip(&self.bound).zip(&self.residual).enumerate()
        {
            if bound * alpha < -least {
                let length = (bound * r).max(0.0) / -(bound * alpha);
                // The bits of a nonnegative float are in its order.
                breakpoints.push(Reverse((length.to_bits(), j)));
            }
        }
        // Each of them makes `g` rise less: walk past them until it no longer rises.
        let mut breakpoints = BinaryHeap::from(breakpoints);
        let mut step = Step { length: 0.0, slope, entering: None, passed: Vec::new() };
        while let Some(Reverse((bits, j))) = breakpoints.pop() {
            if breakpoints.len() % POLL == 0 {
                run.check()?;
            }
            step.length = f64::from_bits(bits);
            step.slope -= slopes[j].abs() * self.caps[j];
            flat += 4.0 * f64::EPSILON * span * self.caps[j];
            if bland || step.slope <= flat {
                step.entering = Some(j);
                break;
            }
            reserve(&mut step.passed, 1, WHAT)?;
            step.passed.push(j);
        }
        Ok(step)
    }

    /// Moves the residuals; everything passed on the way changes its bound.
    fn walk(&mut self, step: &Step, slopes: &[f64]) {
        for (r, alpha) in self.residual.iter_mut().zip(slopes) {
            *r += step.length * alpha;
        }
        for &j in &step.passed {
            self.bound[j] = -self.bound[j];
            self.load_column(j, -self.bound[j] * self.caps[j]);
        }
    }

    /// Lets `entering` take the position of what leaves, `length` away from its bound.
    fn pivot(
        &mut self,
        position: usize,
        entering: usize,
        sense: f64,
        length: f64,
    ) -> Result<(), Failure> {
        let dim = self.dim();
        // The entering column leaves its bound, and the leaving one goes to one of its own.
        if self.bound[entering] < 0.0 {
            self.load_column(entering, -self.caps[entering]);
        }
        self.bound[entering] = 0.0;
        self.residual[entering] = 0.0;
        if let Basic::Column(j) = self.basis[position] {
            // A step down leaves it at its cap, with a negative residual.
            self.bound[j] = sense;
            self.residual[j] = sense * length;
            if sense < 0.0 {
                self.load_column(j, self.caps[j]);
            }
        }
        self.basis[position] = Basic::Column(entering);

        // The inverse of the new basis, by elimination of one row.
        let column: Vec<f64> = self.columns.column(entering).collect();
        let image: Vec<f64> = (0..dim).map(|row| dot(self.inverse_row(row), &column)).collect();
        let pivot = image[position];
        if !pivot.is_normal() {
            return Err(Failure::Singular);
        }
        let (head, rest) = self.inverse.split_at_mut(position * dim);
        let (row, tail) = rest.split_at_mut(dim);
        for v in &mut *row {
            *v /= pivot;
        }
        let others = head.chunks_exact_mut(dim).zip(&image[..position]);
        for (other, &weight) in others.chain(tail.chunks_exact_mut(dim).zip(&image[position + 1..]))
        {
            for (v, &r) in other.iter_mut().zip(&*row) {
                *v -= weight * r;
            }
        }
        self.pivots += 1;
        self.read_off();
        Ok(())
    }

    fn load_column(&mut self, j: usize, weight: f64) {
        for (load, a) in self.load.iter_mut().zip(self.columns.column(j)) {
            *load += weight * a;
        }
    }

    fn inverse_row(&self, row: usize) -> &[f64] {
        &self.inverse[row * self.dim()..][..self.dim()]
    }

    /// Deficits, `t` and prices from the inverse.
    fn read_off(&mut self) {
        let dim = self.dim();
        for row in 0..dim {
            self.value[row] = -dot(&self.inverse[row * dim..][..dim], &self.load);
        }
        for (price, v) in self.price.iter_mut().zip(&self.inverse[(dim - 1) * dim..]) {
            *price = -v;
        }
    }

    /// Recomputes everything from the basis.
    fn factor(&mut self) -> Result<(), Failure> {
        let dim = self.dim();
        let mut matrix = vec![0.0; dim * dim];
        for (position, basic) in self.basis.iter().enumerate() {
            match *basic {
                Basic::Unit(k) => matrix[k * dim + position] = 1.0,
                Basic::Column(j) => {
                    for (k, a) in self.columns.column(j).enumerate() {
                        matrix[k * dim + position] = a;
                    }
                }
            }
        }
        for (k, &m) in self.mean.iter().enumerate() {
            matrix[k * dim + dim - 1] = -m;
        }
        invert(&mut matrix, &mut self.inverse, dim)?;
        for (price, v) in self.price.iter_mut().zip(&self.inverse[(dim - 1) * dim..]) {
            *price = -v;
        }

        let more = (self.columns.len() + LANES).saturating_sub(self.residual.len());
        reserve(&mut self.residual, more, WHAT)?;
        self.columns.dots(&self.price, &mut self.residual);
        let noise = ROUNDING * dot(&self.price, &self.price).sqrt();
        self.load.copy_from_slice(&self.fixed);
        for j in 0..self.columns.len() {
            if self.bound[j] * self.residual[j] < -noise {
                self.bound[j] = -self.bound[j];
            }
            if self.bound[j] < 0.0 {
                self.load_column(j, self.caps[j]);
            }
        }
        for basic in &self.basis {
            if let &Basic::Column(j) = basic {
                self.residual[j] = 0.0;
            }
        }
        self.pivots = 0;
        self.read_off();
        Ok(())
    }
}

/// What the ratio test found.
struct Step {
    /// How far to walk: to the last breakpoint looked at.
    length: f64,
    /// The slope beyond it.
    slope: f64,
    /// The column at that breakpoint, if the slope is no longer positive there.
    entering: Option<usize>,
    /// The columns whose breakpoints lie before it.
    passed: Vec<usize>,
}

pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Gauss-Jordan elimination with row pivoting: `inverse = matrix^-1`, overwriting `matrix`.
fn invert(matrix: &mut [f64], inverse: &mut [f64], dim: usize) -> Result<(), Failure> {
    inverse.fill(0.0);
    inverse.iter_mut().step_by(dim + 1).for_each(|v| *v = 1.0);
    for k in 0..dim {
        let size = |row: &usize| matrix[row * dim + k].abs();
        let best = (k..dim).max_by(|x, y| size(x).total_cmp(&size(y))).unwrap_or(k);
        let pivot = matrix[best * dim + k];
        if !pivot.is_normal() {
            return Err(Failure::Singular);
        }
        for half in [&mut *matrix, &mut *inverse] {
            for column in 0..dim {
                half.swap(k * dim + column, best * dim + column);
                half[k * dim + column] /= pivot;
            }
        }
        for row in (0..dim).filter(|&row| row != k) {
            let weight = matrix[row * dim + k];
            if weight != 0.0 {
                for half in [&mut *matrix, &mut *inverse] {
                    for column in 0..dim {
                        half[row * dim + column] -= weight * half[k * dim + column];
                    }
                }
            }
        }
    }
    Ok(())
}
