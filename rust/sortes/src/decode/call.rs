//! Whole batches: every row on its own, in parallel, with its own parameters and its own stream.

use super::draw::Method;
use super::element::Element;
use super::masked::Unmasked;
use super::params::{Params, Rule};
use super::pipeline::Rules;
use super::rows::{Row, Rows, each_row, with_scratch};
use super::rules::Act;
use super::survivors::{Scratch, Survivors, grow};
use super::verdict::{Pending, acting};
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Error, Result, Run, simd};

/// Which tokens are allowed, beside the logits.
#[derive(Clone, Copy, Default)]
pub enum Mask<'a> {
    /// All of them.
    #[default]
    None,
    /// One byte per token, nonzero if allowed, one row for all or one for each.
    Bytes(&'a [u8]),
    /// One bit per token, set if allowed, lowest bit first, rows padded to whole words.
    Bits(&'a [u32]),
}

impl<'a> Mask<'a> {
    /// Whether it has one row for all, or one for each.
    fn fits(self, rows: usize, cols: usize) -> bool {
        let (len, width) = match self {
            Self::None => return true,
            Self::Bytes(bytes) => (bytes.len(), cols),
            Self::Bits(words) => (words.len(), cols.div_ceil(32)),
        };
        len == width || len == rows * width
    }

    /// The part of one row, out of `row` rows or one for all.
    fn of<T>(all: &'a [T], row: usize, width: usize) -> &'a [T] {
        if all.len() > width { &all[row * width..][..width] } else { all }
    }

    /// The mask of one row of `cols` logits alone.
    pub(super) fn of_row(self, row: usize, cols: usize) -> Self {
        match self {
            Self::None => Self::None,
            Self::Bytes(bytes) => Self::Bytes(Self::of(bytes, row, cols)),
            Self::Bits(words) => Self::Bits(Self::of(words, row, cols.div_ceil(32))),
        }
    }
}

/// Everything that a call needs beside the logits.
pub struct Call<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// One stream for all rows, at the step of generation; or one for each.
    pub streams: &'a [Stream],
    /// What each row is called in its stream; its index if absent.
    pub rows: Option<&'a [u32]>,
    /// Ids and what is added to their logits.
    pub bias: Option<(&'a [i64], &'a [f32])>,
    /// Allowed tokens.
    pub mask: Mask<'a>,
}

impl Call<'_> {
    /// Checks everything that does not depend on the logits' values.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the argument that does not fit.
    pub fn check(&self, rows: usize, cols: usize) -> Result<()> {
        self.check_texts(rows, (rows, cols))
    }

    /// The same where the rows are texts with several rows of logits each, `all` together.
    ///
    /// # Errors
    /// As [`Call::check`].
    pub fn check_texts(&self, rows: usize, (all, cols): (usize, usize)) -> Result<()> {
        self.rules.check_rows(rows)?;
        if self.streams.len() != 1 && self.streams.len() != rows {
            let got = self.streams.len();
            return Err(Error::argument("rng", format!("has {got} streams for {rows} rows")));
        }
        if let Some(ids) = self.rows
            && ids.len() != rows
        {
            let reason = format!("has {} ids for {rows} rows of logits", ids.len());
            return Err(Error::argument("rows", reason));
        }
        if let Some((ids, values)) = self.bias {
            if let Some(id) = ids.iter().find(|id| !(0..cols as i64).contains(*id)) {
                let reason = format!("id {id} is outside a vocabulary of {cols} tokens");
                return Err(Error::argument("logit_bias", reason));
            }
            if ids.len() != values.len() {
                let reason = format!("has {} ids and {} values", ids.len(), values.len());
                return Err(Error::argument("logit_bias", reason));
            }
        }
        if !self.mask.fits(all, cols) {
            return Err(Error::argument("mask", format!("does not fit {all} rows of {cols}")));
        }
        Ok(())
    }

    /// The first number of a row for one purpose.
    fn uniform(&self, row: usize, purpose: Purpose) -> impl FnMut() -> f64 + use<> {
        let stream = self.streams[if self.streams.len() > 1 { row } else { 0 }];
        let entity = self.rows.map_or(row as u64, |ids| u64::from(ids[row]));
        let mut draws = stream.draws(purpose, entity);
        move || draws.uniform()
    }

    /// Calls `f(row, logits, out)` for each row with its chunk of `out`.
    pub(super) fn for_rows<T: Element, O: Send>(
        &self,
        logits: &impl Rows<T>,
        out: &mut [O],
        chunk: usize,
        run: Run<'_>,
        f: impl Fn(&mut OneRow<'_>, &[T], &mut [O]) -> Result<()> + Sync,
    ) -> Result<()> {
        self.check(logits.rows(), logits.cols())?;
        each_row(out, chunk, run, |index, scratch, out, run| {
            let params = self.rules.row(index);
            let mut row = OneRow { call: self, index, params, scratch, run };
            f(&mut row, logits.row(index), out)
        })
    }

    /// Calls `f(row, logits)` for one row, whose call has been [checked](Self::check).
    pub(super) fn with_row<T: Element, R>(
        &self,
        logits: &impl Rows<T>,
        index: usize,
        run: Run<'_>,
        f: impl FnOnce(&mut OneRow<'_>, &[T]) -> Result<R>,
    ) -> Result<R> {
        with_scratch(|scratch| {
            let params = self.rules.row(index);
            f(&mut OneRow { call: self, index, params, scratch, run }, logits.row(index))
        })
    }

    /// Draws one token per row. `uniforms`, if given, are the random numbers: one per row.
    ///
    /// # Errors
    /// [`Error::Row`] for a row with NaN, plus infinity, or no finite logit; [`Error::Argument`] as
    /// [`Call::check`], and for a number outside `[0, 1)`.
    pub fn sample<T: Element>(
        &self,
        logits: &impl Rows<T>,
        uniforms: Option<&[f64]>,
        method: Method,
        out: &mut [i64],
        run: Run<'_>,
    ) -> Result<()> {
        check_uniforms(uniforms, logits.rows())?;
        self.for_rows(logits, out, 1, run, |row, x, out| {
            out[0] = i64::from(row.token(x, uniforms, method)?);
            Ok(())
        })
    }

    /// Writes each row with `fill` in place of the tokens that the rules remove; those that are
    /// minus infinity without them stay so.
    ///
    /// If `scaled`, kept logits are divided by the temperature that the rules have set; where the
    /// quotient of the largest is beyond the range of the type, that largest logit is subtracted
    /// first.
    ///
    /// # Errors
    /// As [`Call::sample`], but a row that came without a finite logit is copied.
    pub fn truncate<T: Element>(
        &self,
        logits: &impl Rows<T>,
        fill: f64,
        scaled: bool,
        out: &mut [T],
        run: Run<'_>,
    ) -> Result<()> {
        let (fill, nothing) = (T::from_f64(fill), T::from_f64(f64::NEG_INFINITY));
        let marks = fill == nothing;
        self.for_rows(logits, out, logits.cols().max(1), run, |row, x, out| {
            let edits = row.edits();
            let edited = row.changes_logits();
            let mut survivors = row.survivors(x)?;
            if survivors.is_empty() && !edits {
                out.copy_from_slice(x);
                return Ok(());
            }
            let (window, wide) = (survivors.window, survivors.row.x);
            let t = if scaled { survivors.temperature() } else { 1.0 };
            if t == 1.0 && !edited && marks && window.is_plain() {
                T::mask(x, wide, (window.lo, window.hi), fill, out);
                return Ok(());
            }
            let offset = survivors.offset;
            let shown = |l: f32| f64::from(l) + offset;
            let max = shown(survivors.max());
            let shift = if (max / t).abs() > T::MAX { max } else { 0.0 };
            for (id, (out, &l)) in out.iter_mut().zip(wide).enumerate() {
                let own = if edited { T::from_f64(shown(l)) } else { x[id] };
                *out = if window.contains(l, id as u32) {
                    if t == 1.0 { own } else { own.quotient(shown(l) as f32, shift as f32, t) }
                } else if l == f32::NEG_INFINITY {
                    nothing
                } else {
                    fill
                };
            }
            Ok(())
        })
    }

    /// Writes whether each token is kept.
    ///
    /// # Errors
    /// As [`Call::truncate`].
    pub fn keep_mask<T: Element>(
        &self,
        logits: &impl Rows<T>,
        out: &mut [bool],
        run: Run<'_>,
    ) -> Result<()> {
        self.for_rows(logits, out, logits.cols().max(1), run, |row, x, out| {
            let survivors = row.survivors(x)?;
            let window = survivors.window;
            for (id, (out, &l)) in out.iter_mut().zip(survivors.row.x).enumerate() {
                *out = window.contains(l, id as u32);
            }
            Ok(())
        })
    }

    /// Writes the lowest and the highest kept logit of each row (NaN for an empty one).
    ///
    /// # Errors
    /// As [`Call::truncate`].
    pub fn cutoffs<T: Element>(
        &self,
        logits: &impl Rows<T>,
        out: &mut [f64],
        run: Run<'_>,
    ) -> Result<()> {
        self.for_rows(logits, out, 2, run, |row, x, out| {
            let mut survivors = row.survivors(x)?;
            out.fill(f64::NAN);
            if let Some((lowest, _)) = survivors.least_from(f32::MIN) {
                let highest = survivors.max();
                for (out, l) in out.iter_mut().zip([lowest, highest]) {
                    *out = f64::from((f64::from(l) + survivors.offset) as f32);
                }
            }
            Ok(())
        })
    }

    /// Writes the exact law of the drawn token of each row, averaged over whether rules that act at
    /// random do.
    ///
    /// # Errors
    /// As [`Call::sample`].
    pub fn distribution<T: Element>(
        &self,
        logits: &impl Rows<T>,
        out: &mut [f64],
        run: Run<'_>,
    ) -> Result<()> {
        self.for_rows(logits, out, logits.cols().max(1), run, |row, x, out| {
            out.fill(0.0);
            // Between two chances it does not matter what the uniform is.
            let mut ends: Vec<f64> =
                row.rules().filter_map(|rule| rule.chance.map(|of| of(&row.params))).collect();
            ends.push(1.0);
            ends.sort_by(f64::total_cmp);
            let mut low = 0.0;
            for end in ends {
                if end > low {
                    let index = row.index;
                    let mut survivors = row.survivors_with(x, &mut || low, None, usize::MAX)?;
                    if survivors.is_empty() {
                        return Err(nothing_left(index));
                    }
                    survivors.add_law(end - low, out);
                    low = end;
                }
            }
            Ok(())
        })
    }

    /// Applies the bias and the mask to a copy of the row.
    fn edit(&self, row: usize, x: &mut [f32]) {
        if let Some((ids, values)) = self.bias {
            for (id, value) in ids.iter().zip(values) {
                x[*id as usize] += value;
            }
        }
        match self.mask {
            Mask::None => {}
            Mask::Bytes(bytes) => {
                let bytes = Mask::of(bytes, row, x.len());
                for (l, allowed) in x.iter_mut().zip(bytes) {
                    if *allowed == 0 {
                        *l = f32::NEG_INFINITY;
                    }
                }
            }
            Mask::Bits(words) => {
                let words = Mask::of(words, row, x.len().div_ceil(32));
                simd::mask_bits(x, words, f32::NEG_INFINITY);
            }
        }
    }
}

/// Checks random numbers that the caller brings.
pub(super) fn check_uniforms(uniforms: Option<&[f64]>, rows: usize) -> Result<()> {
    let Some(uniforms) = uniforms else { return Ok(()) };
    if uniforms.len() != rows {
        let reason = format!("has {} numbers for {rows} rows of logits", uniforms.len());
        return Err(Error::argument("uniforms", reason));
    }
    if let Some((row, u)) = uniforms.iter().enumerate().find(|(_, u)| !(0.0..1.0).contains(*u)) {
        let u = if u.is_nan() { "nan".into() } else { u.to_string() };
        return Err(Error::argument("uniforms", format!("item {row} must be in [0, 1), got {u}")));
    }
    Ok(())
}

pub(super) fn nothing_left(row: usize) -> Error {
    Error::row("logits", row, "no finite logit")
}

/// One row of a call, about to be narrowed.
pub(super) struct OneRow<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) index: usize,
    pub(super) params: Params,
    pub(super) scratch: &'a mut Scratch,
    pub(super) run: Run<'a>,
}

impl OneRow<'_> {
    /// The uniforms of the row's own stream by which its token is drawn.
    pub(super) fn token_uniforms(&self) -> impl FnMut() -> f64 + use<> {
        self.call.uniform(self.index, Purpose::Token)
    }

    /// The rules that do something to this row, in their order.
    pub(super) fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        let Self { call, params, .. } = self;
        call.rules.options.order.iter().copied().filter(|rule| rule.is_on(params))
    }

    /// Whether a bias or a mask changes the logits.
    fn edits(&self) -> bool {
        self.call.bias.is_some() || !matches!(self.call.mask, Mask::None)
    }

    /// Whether a rule does.
    fn rewrites(&self) -> bool {
        self.rules().any(|rule| matches!(rule.act, Act::Rewrite(_)))
    }

    /// Whether anything changes the logits before the rules narrow them.
    pub(super) fn changes_logits(&self) -> bool {
        self.edits() || self.rewrites()
    }

    /// The survivors of the rules; those that act at random read the row's own stream.
    pub(super) fn survivors<'s, T: Element>(&'s mut self, x: &'s [T]) -> Result<Survivors<'s>> {
        let (call, index) = (self.call, self.index);
        self.survivors_with(x, &mut || call.uniform(index, Purpose::Coin)(), None, usize::MAX)
    }

    /// The same with a mask of packed bits: there may be none. And the logarithm of the share of the
    /// mass that the mask leaves at the plain temperature, before any other rule acts.
    pub(super) fn masked<'s, T: Element>(
        &'s mut self,
        x: &'s [T],
        words: &[u32],
    ) -> Result<(Survivors<'s>, f64)> {
        let (call, index) = (self.call, self.index);
        let mut ln_share = 0.0;
        let mut uniform = || call.uniform(index, Purpose::Coin)();
        let survivors =
            self.survivors_with(x, &mut uniform, Some((words, &mut ln_share)), usize::MAX)?;
        Ok((survivors, ln_share))
    }

    /// The survivors of the first `acting` rules; the others are left [pending](Pending). All that act
    /// at random share one uniform.
    fn survivors_with<'s, T: Element>(
        &'s mut self,
        x: &'s [T],
        uniform: &mut dyn FnMut() -> f64,
        weighed: Option<(&[u32], &mut f64)>,
        acting: usize,
    ) -> Result<Survivors<'s>> {
        let edits = self.edits() || weighed.is_some();
        let rewrites = self.rewrites();
        let Self { call, index, params, scratch, run } = self;
        let Scratch { wide, edited, blocks, work } = &mut **scratch;
        let options = &call.rules.options;
        let mut offset = 0.0;
        let mut few = None;
        let row = if edits || rewrites {
            // What changes logits works on a copy.
            let x = T::widen(x, wide)?;
            grow(edited, x.len(), "logits")?;
            edited.clear();
            edited.extend_from_slice(x);
            call.edit(*index, edited);
            if let Some((words, ln_share)) = weighed {
                let row = Row::read(edited, blocks, *index, *run)?;
                if row.max == f32::NEG_INFINITY {
                    return Err(nothing_left(*index));
                }
                let whole = Unmasked::of(&row, words, params.temperature, work)?;
                simd::mask_bits(edited, words, f32::NEG_INFINITY);
                *ln_share = whole.ln_share(edited, |x| Row::read(x, blocks, *index, *run))?;
                few = Some(words);
            }
            for rule in options.order.iter().filter(|rule| rule.is_on(params)) {
                if let Act::Rewrite(rewrite) = rule.act {
                    let max = Row::read(edited, blocks, *index, *run)?.max;
                    rewrite(edited, max, params);
                    offset += f64::from(max);
                }
            }
            Row::read(edited, blocks, *index, *run)?
        } else {
            Row::widen(x, wide, blocks, *index, *run)?
        };
        let mut survivors = Survivors::new(row, work, *run)?;
        survivors.offset = offset;
        if let Some(words) = few {
            survivors.list_few(words);
        }
        if survivors.is_empty() {
            return Ok(survivors);
        }
        let acting = acting.min(options.order.len());
        for rule in options.order[..acting].iter().filter(|rule| rule.is_on(params)) {
            if let Act::Narrow(narrow) = rule.act
                && rule.chance.is_none_or(|chance| uniform() < chance(params))
            {
                run.check()?;
                survivors.act(|survivors| narrow(survivors, params, options));
            }
            if survivors.is_single() {
                break;
            }
        }
        survivors.pending = Pending::of(acting, params, options);
        Ok(survivors)
    }

    /// The survivors, and the token that is drawn of them.
    pub(super) fn draw<'s, T: Element>(
        &'s mut self,
        x: &'s [T],
        uniforms: Option<&[f64]>,
        method: Method,
    ) -> Result<(Survivors<'s>, u32)> {
        let (call, index) = (self.call, self.index);
        let mut survivors = self.survivors(x)?;
        let drawn = match uniforms {
            Some(uniforms) => survivors.draw(Method::Scan, &mut || uniforms[index]),
            None => survivors.draw(method, &mut call.uniform(index, Purpose::Token)),
        };
        let token = drawn.ok_or_else(|| nothing_left(index))?;
        Ok((survivors, token))
    }

    /// The token that [`draw`](Self::draw) draws, without the survivors: they need not be found for it.
    pub(super) fn token<T: Element>(
        &mut self,
        x: &[T],
        uniforms: Option<&[f64]>,
        method: Method,
    ) -> Result<u32> {
        if self.is_greedy() {
            return self.largest(x);
        }
        if uniforms.is_some() || method == Method::Scan {
            return Ok(self.draw(x, uniforms, method)?.1);
        }
        let (call, index) = (self.call, self.index);
        let mut coin = || call.uniform(index, Purpose::Coin)();
        let acting = acting(&self.params, &call.rules.options);
        let mut survivors = self.survivors_with(x, &mut coin, None, acting)?;
        let drawn = survivors.draw(method, &mut call.uniform(index, Purpose::Token));
        drawn.ok_or_else(|| nothing_left(index))
    }
}
