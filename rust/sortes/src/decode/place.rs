//! One position of a text: the token that is drawn there, and the law of what the rules keep.
//!
//! A text has several rows of logits here, one for each position that is looked at. Its parameters,
//! its stream and its id are those of the text; each position has a step of its own.

use super::call::{Call, OneRow, nothing_left};
use super::draw::Method;
use super::element::Element;
use super::rows::{Rows, with_scratch};
use super::survivors::Survivors;
use half::{bf16, f16};
use sortes_core::races::{Keyed, first_of_blocks, first_of_listed};
use sortes_core::rng::{Purpose, Stream};
use sortes_core::simd::{self, Wanted};
use sortes_core::{Error, Result, Run};

/// Logits that are weighed together in a race.
const STRETCH: usize = 1024;

/// Rows of logits of any element type.
#[derive(Clone, Copy)]
pub enum AnyRows<'a> {
    /// Single precision.
    F32(&'a dyn Rows<f32>),
    /// IEEE half precision.
    F16(&'a dyn Rows<f16>),
    /// The upper half of single precision.
    Bf16(&'a dyn Rows<bf16>),
    /// Double precision.
    F64(&'a dyn Rows<f64>),
}

/// Evaluates `$body` with `$rows` bound to the rows, whatever their type.
macro_rules! with_any {
    ($any:expr, |$rows:ident| $body:expr) => {
        match $any {
            AnyRows::F32($rows) => $body,
            AnyRows::F16($rows) => $body,
            AnyRows::Bf16($rows) => $body,
            AnyRows::F64($rows) => $body,
        }
    };
}

impl AnyRows<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        with_any!(self, |rows| rows.rows())
    }

    /// Logits per row.
    pub fn cols(&self) -> usize {
        with_any!(self, |rows| rows.cols())
    }

    /// Draws the token of one row at a place, as [`Call::sample`] does at that step.
    ///
    /// # Errors
    /// As [`Call::sample`]; the row is called 0.
    pub fn draw(&self, row: usize, place: &Place<'_>, run: Run<'_>) -> Result<u32> {
        with_any!(self, |rows| {
            let x = rows.row(row);
            place.with_row(x.len(), run, |one| one.token(x, None, Method::Auto))
        })
    }

    /// Calls `f` with what the rules keep of one row at a place.
    ///
    /// # Errors
    /// As [`Call::sample`], the row being called 0, and those of `f`.
    pub fn keep<R>(
        &self,
        row: usize,
        place: &Place<'_>,
        run: Run<'_>,
        f: impl FnOnce(Kept<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        with_any!(self, |rows| place.keep(rows.row(row), run, f))
    }
}

/// A position of a text.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    call: &'a Call<'a>,
    text: usize,
    /// The row of the mask, if each has one.
    row: usize,
    /// The stream of the text, at the step of the position.
    pub stream: Stream,
    /// What the text is called in its stream.
    pub id: u32,
}

impl Call<'_> {
    /// A position of a text, `steps` after the step of its stream; `row` is its row in a mask. The call
    /// has been [checked](Self::check_texts).
    ///
    /// # Errors
    /// If there are not so many steps.
    pub fn place(&self, text: usize, row: usize, steps: usize) -> Result<Place<'_>> {
        let stream = self.streams[if self.streams.len() > 1 { text } else { 0 }];
        let step = u32::try_from(steps).ok().and_then(|steps| stream.step().checked_add(steps));
        let Some(step) = step else {
            let reason = format!("{} and {steps} more are beyond 2**32", stream.step());
            return Err(Error::argument("step", reason));
        };
        let id = self.rows.map_or(text as u32, |ids| ids[text]);
        Ok(Place { call: self, text, row, stream: stream.at_step(step), id })
    }
}

impl Place<'_> {
    fn with_row<R>(
        &self,
        cols: usize,
        run: Run<'_>,
        f: impl FnOnce(&mut OneRow<'_>) -> Result<R>,
    ) -> Result<R> {
        let call = Call {
            streams: &[self.stream],
            rows: Some(&[self.id]),
            mask: self.call.mask.of_row(self.row, cols),
            ..*self.call
        };
        let params = call.rules.row(self.text);
        with_scratch(|scratch| f(&mut OneRow { call: &call, index: 0, params, scratch, run }))
    }

    fn keep<T: Element, R>(
        &self,
        x: &[T],
        run: Run<'_>,
        f: impl FnOnce(Kept<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        self.with_row(x.len(), run, |one| {
            let mut survivors = one.survivors(x)?;
            if survivors.is_empty() {
                return Err(nothing_left(0));
            }
            f(Kept { survivors: &mut survivors })
        })
    }
}

/// What the rules keep of a row, and how likely it is: `p = w / z`, with `w` at most 1.
pub struct Kept<'r, 's> {
    survivors: &'r mut Survivors<'s>,
}

impl Kept<'_, '_> {
    /// How many tokens there are in the vocabulary.
    pub fn cols(&self) -> usize {
        self.survivors.row.x.len()
    }

    /// The sum of the weights.
    pub fn z(&mut self) -> f64 {
        self.survivors.plain_law().z
    }

    /// The probability of a token; zero if it is not kept.
    pub fn p(&mut self, token: u32) -> f64 {
        let Some(l) = self.survivors.logit(token) else { return 0.0 };
        let t = self.survivors.temperature();
        self.survivors.plain_law().p_of(f64::from(l), t)
    }

    /// The tokens in the order of their ids, where they are few enough for a list.
    pub fn list(&mut self) -> Option<&[u32]> {
        self.survivors.list();
        self.survivors.listed.then_some(&*self.survivors.work.ids)
    }

    /// Writes the weights of some tokens, or of all; zero for those that are not kept.
    pub fn weigh(&mut self, tokens: Option<&[u32]>, out: &mut [f32]) {
        let survivors = &mut *self.survivors;
        let (max, scale, window) = (survivors.max(), survivors.scale(), survivors.window);
        let x = survivors.row.x;
        let kept = |id: u32, l: f32| if window.contains(l, id) { l } else { f32::NEG_INFINITY };
        let bin = &mut survivors.work.bin;
        if let Some(tokens) = tokens {
            for (tokens, out) in tokens.chunks(STRETCH).zip(out.chunks_mut(STRETCH)) {
                bin.clear();
                bin.extend(tokens.iter().map(|&id| kept(id, x[id as usize])));
                simd::exp_into(bin, max, scale, out);
            }
        } else if window.is_everything() {
            simd::exp_into(x, max, scale, out);
        } else {
            let stretches = x.chunks(STRETCH).zip(out.chunks_mut(STRETCH));
            for ((x, out), first) in stretches.zip((0..).step_by(STRETCH)) {
                bin.clear();
                bin.extend((first..).zip(x).map(|(id, l)| kept(id, *l)));
                simd::exp_into(bin, max, scale, out);
            }
        }
    }

    /// Draws a token by uniform numbers, five at most.
    pub fn draw(&mut self, uniform: &mut dyn FnMut() -> f64) -> Option<u32> {
        self.survivors.draw(Method::Auto, uniform)
    }

    /// The token that comes first in the race of a place: `argmin E / p`, the exponential of a token
    /// being the block of its number in the sequence of the text ([`Purpose::Race`]).
    pub fn race(&mut self, place: &Place<'_>) -> Option<u32> {
        let draws = place.stream.draws(Purpose::Race, u64::from(place.id));
        let survivors = &mut *self.survivors;
        if !survivors.is_single() {
            survivors.list();
        }
        let (max, scale) = (survivors.max(), survivors.scale());
        let mut best = Keyed { key: f64::INFINITY, index: 0 };
        if survivors.listed {
            survivors.weigh_list(max, scale, Wanted::default());
            let work = &*survivors.work;
            first_of_listed(&draws, &work.ids, &work.weights, &mut best);
        } else {
            let (x, window, work) = (survivors.row.x, survivors.window, &mut *survivors.work);
            work.weights.resize(STRETCH, 0.0);
            for (x, first) in x.chunks(STRETCH).zip((0..).step_by(STRETCH)) {
                let weights = &mut work.weights[..x.len()];
                simd::exp_into(x, max, scale, weights);
                for ((w, l), id) in weights.iter_mut().zip(x).zip(first..) {
                    if !window.contains(*l, id) {
                        *w = 0.0;
                    }
                }
                first_of_blocks(&draws, first, weights, &mut best);
            }
        }
        (best.key < f64::INFINITY).then_some(best.index as u32)
    }
}
