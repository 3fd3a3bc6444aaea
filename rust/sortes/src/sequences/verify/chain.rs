//! One draft of several tokens after one another: how many of them stand, and what follows.

use super::law::with_laws;
use super::texts::{Numbers, Texts, named};
use crate::decode::{Kept, Place};
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result, Run};

/// How a chain is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The target's token is drawn as it would be without a draft, and compared.
    Draw,
    /// The same, by a race of exponentials in which the draft has run as well.
    Race,
    /// Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding",
    /// ICML 2023, arXiv:2211.17192: token by token.
    Token,
    /// Sun et al., "Block Verification Accelerates Speculative Decoding", ICLR 2025,
    /// arXiv:2403.10444: the whole draft at once.
    Block,
}

/// Drafts, one for each text.
#[derive(Clone, Copy)]
pub struct Drafts<'a> {
    /// The tokens, text by text.
    pub tokens: &'a [i64],
    /// How many each text has at most.
    pub most: usize,
    /// How many each has, if not all of them.
    pub lengths: Option<&'a [i64]>,
}

/// One text at work.
struct One<'a> {
    texts: &'a Texts<'a>,
    text: usize,
    /// Rows of the draft; the target has one more.
    most: usize,
    draft: &'a [i64],
    run: Run<'a>,
}

/// Verifies the draft of each text. `out` has `most + 2` numbers for each: how many drafted tokens
/// stand, these, the token that follows, and -1 where nothing is. Rows behind that are not read.
///
/// # Errors
/// If something does not fit; a row that is read holds NaN, plus infinity or nothing finite; a drafted
/// token is unknown or, where the draft's law matters, has no probability in it; there is no memory; or
/// the work is cancelled.
pub fn verify(
    texts: &Texts<'_>,
    drafts: Drafts<'_>,
    method: Method,
    out: &mut [i64],
    run: Run<'_>,
) -> Result<()> {
    let most = drafts.most;
    texts.check(most + 1)?;
    // One text is verified on all threads, and so is each of a few.
    let few = texts.count() < run.threads.count();
    let (across, within) = if few { (run.serial(), run) } else { (run, run.serial()) };
    across.try_fill_chunks(out, most + 2, |text, out| {
        let len = drafts.lengths.map_or(most, |lengths| lengths[text] as usize);
        let draft = &drafts.tokens[text * most..][..len];
        let one = One { texts, text, most, draft, run: within };
        for position in 0..len {
            one.drafted(position)?;
        }
        out.fill(-1);
        let (accepted, last) = match method {
            Method::Draw | Method::Race => one.by_drawing(method)?,
            Method::Token => one.token_by_token()?,
            Method::Block => one.as_a_block()?,
        };
        out[0] = accepted as i64;
        out[1..=accepted].copy_from_slice(&draft[..accepted]);
        out[accepted + 1] = i64::from(last);
        run.advance(1);
        Ok(())
    })
}

impl One<'_> {
    fn label(&self, position: usize) -> String {
        self.texts.label(self.text, Some(position))
    }

    fn drafted(&self, position: usize) -> Result<u32> {
        self.texts.token("draft_tokens", self.draft[position], || self.label(position))
    }

    fn row(&self, position: usize) -> usize {
        self.text * (self.most + 1) + position
    }

    fn place(&self, position: usize) -> Result<Place<'_>> {
        self.texts.call.place(self.text, self.row(position), position)
    }

    /// Follows the draft as long as it says what the target draws.
    fn by_drawing(&self, method: Method) -> Result<(usize, u32)> {
        let Self { texts, run, .. } = self;
        for position in 0.. {
            run.check()?;
            let (place, row) = (self.place(position)?, self.row(position));
            let token = if method == Method::Draw {
                named(texts.target.draw(row, &place, *run), texts.name, || self.label(position))?
            } else {
                texts
                    .target(
                        row,
                        &place,
                        || self.label(position),
                        *run,
                        |mut kept| Ok(kept.race(&place)),
                    )?
                    .ok_or_else(|| self.nothing(position))?
            };
            if self.draft.get(position) != Some(&i64::from(token)) {
                return Ok((position, token));
            }
        }
        unreachable!("a draft ends")
    }

    fn token_by_token(&self) -> Result<(usize, u32)> {
        let mut numbers = Numbers::of(&self.place(0)?);
        for position in 0..self.draft.len() {
            let u = numbers.accept(position);
            let rejected = self.both(position, |one, p, q| {
                let (p_x, q_x) = one.probabilities(position, p, q)?;
                if u * q_x < p_x {
                    return Ok(None);
                }
                residual(p, q, 1.0, &mut numbers).map(Some)
            })?;
            if let Some(last) = rejected {
                return Ok((position, last.ok_or_else(|| self.nothing(position))?));
            }
        }
        self.bonus(&mut numbers)
    }

    /// The largest `i` with `u_i < h_i` is how many tokens stand: the last ones are asked first, which
    /// leaves most of the sums alone that the others need.
    fn as_a_block(&self) -> Result<(usize, u32)> {
        let mut numbers = Numbers::of(&self.place(0)?);
        let len = self.draft.len();
        // 1. How likely the draft is to stand up to each token, if it is cut there.
        let mut through = with_capacity(len + 1, "drafted tokens")?;
        through.push(1.0_f64);
        for position in 0..len {
            let before = through[position];
            let ratio = if before == 0.0 {
                0.0
            } else {
                let (p_x, q_x) =
                    self.both(position, |one, p, q| one.probabilities(position, p, q))?;
                p_x / q_x
            };
            through.push((before * ratio).min(1.0));
        }
        if len == 0 || numbers.accept(len - 1) < through[len] {
            return self.bonus(&mut numbers);
        }

        // 2. Where it is cut, from its end: never if the number is at least what `h` is at most.
        for accepted in (0..len).rev() {
            let pi = through[accepted];
            let u = if accepted == 0 { 0.0 } else { numbers.accept(accepted - 1) };
            if u >= pi {
                continue;
            }
            let last = self.both(accepted, |_, p, q| {
                let drawn = with_laws(p, q, |laws| {
                    let r = laws.excess(pi, 1.0);
                    let h = if r == 0.0 && pi == 1.0 { 1.0 } else { r / (r + 1.0 - pi) };
                    if accepted > 0 && u >= h {
                        return Ok(None);
                    }
                    Ok(Some(if r > 0.0 { laws.draw(numbers.last()) } else { None }))
                })?;
                Ok(drawn.map(|token| token.or_else(|| p.draw(&mut || numbers.last()))))
            })?;
            if let Some(last) = last {
                return Ok((accepted, last.ok_or_else(|| self.nothing(accepted))?));
            }
        }
        unreachable!("no token stands for certain")
    }

    /// The token behind a draft that stands.
    fn bonus(&self, numbers: &mut Numbers) -> Result<(usize, u32)> {
        let len = self.draft.len();
        let (row, place) = (self.row(len), self.place(len)?);
        let token = self.texts.target(
            row,
            &place,
            || self.label(len),
            self.run,
            |mut kept| Ok(kept.draw(&mut || numbers.last())),
        )?;
        Ok((len, token.ok_or_else(|| self.nothing(len))?))
    }

    fn both<R>(
        &self,
        position: usize,
        f: impl FnOnce(&Self, &mut Kept<'_, '_>, &mut Kept<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        self.run.check()?;
        let rows = (self.row(position), self.text * self.most + position);
        let place = self.place(position)?;
        self.texts.both(rows, &place, || self.label(position), self.run, |p, q| f(self, p, q))
    }

    /// The probabilities of a drafted token, the target's first.
    fn probabilities(
        &self,
        position: usize,
        p: &mut Kept<'_, '_>,
        q: &mut Kept<'_, '_>,
    ) -> Result<(f64, f64)> {
        let token = self.drafted(position)?;
        let (p, q) = (p.p(token), q.p(token));
        if q > 0.0 {
            return Ok((p, q));
        }
        Err(self.texts.impossible("draft_tokens", token, &self.label(position)))
    }

    fn nothing(&self, position: usize) -> Error {
        let reason = format!("row {}: no finite logit", self.label(position));
        Error::argument(self.texts.name, reason)
    }
}

/// A draw from what `a p` exceeds `q` by, or where rounding leaves nothing of that, from `p`.
fn residual(
    p: &mut Kept<'_, '_>,
    q: &mut Kept<'_, '_>,
    a: f64,
    numbers: &mut Numbers,
) -> Result<Option<u32>> {
    let drawn = with_laws(p, q, |laws| {
        Ok(if laws.excess(a, 1.0) > 0.0 { laws.draw(numbers.last()) } else { None })
    })?;
    Ok(drawn.or_else(|| p.draw(&mut || numbers.last())))
}
