//! Several drafts for one position, of which at most one is taken.

use super::law::{Laws, with_laws};
use super::optimal::Plan;
use super::texts::{Numbers, Texts};
use crate::decode::Kept;
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result, Run};

/// How several drafts are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Recursive rejection: Jeon et al., "Recursive Speculative Decoding", arXiv:2402.14160, and Miao et
    /// al., "SpecInfer", ASPLOS 2024, arXiv:2305.09781. Each draft against what is left of the target.
    Recursive,
    /// Sun et al., "SpecTr: Fast Speculative Decoding via Optimal Transport", NeurIPS 2023,
    /// arXiv:2310.15141: each draft against the target's law divided by one number.
    Kseq,
    /// The largest acceptance that independent drafts allow.
    Optimal,
}

/// A draft, and its probabilities in the law of the target and in that of the draft.
#[derive(Clone, Copy)]
struct Drafted {
    token: u32,
    p: f64,
    q: f64,
}

/// The drafts of one text at work, between what is kept of the target and of the draft.
struct One<'a, 'p, 'ps, 'q, 'qs> {
    target: &'a mut Kept<'p, 'ps>,
    draft: &'a mut Kept<'q, 'qs>,
    drafts: &'a [Drafted],
    numbers: Numbers,
}

/// Verifies the `k` drafts of each text: writes which of them is taken, -1 if none is, and the token.
/// With `replacement` they are independent draws from the draft's law; without, draws from what is left
/// of it.
///
/// # Errors
/// If something does not fit; a row holds NaN, plus infinity or nothing finite; a draft is unknown, has
/// no probability or, without replacement, comes twice; there is no memory; or the work is cancelled.
pub fn verify_several(
    texts: &Texts<'_>,
    drafts: &[i64],
    scheme: Scheme,
    replacement: bool,
    out: &mut [i64],
    run: Run<'_>,
) -> Result<()> {
    texts.check(1)?;
    let k = drafts.len() / texts.count().max(1);
    let few = texts.count() < run.threads.count();
    let (across, within) = if few { (run.serial(), run) } else { (run, run.serial()) };
    across.try_fill_chunks(out, 2, |text, out| {
        let given = &drafts[text * k..][..k];
        let place = texts.call.place(text, text, 0)?;
        let label = || texts.label(text, None);
        let (taken, token) = texts.both((text, text), &place, label, within, |target, draft| {
            let drafts = &*checked(texts, text, given, replacement, target, draft)?;
            let mut one = One { target, draft, drafts, numbers: Numbers::of(&place) };
            let (taken, token) = match scheme {
                Scheme::Recursive => one.recursively(replacement)?,
                Scheme::Kseq => one.by_one_number()?,
                Scheme::Optimal => one.optimally()?,
            };
            let token = token.ok_or_else(|| {
                let reason = format!("row {}: no finite logit", label());
                Error::argument(texts.name, reason)
            })?;
            Ok((taken, token))
        })?;
        out[0] = taken.map_or(-1, |taken| taken as i64);
        out[1] = i64::from(token);
        run.advance(1);
        Ok(())
    })
}

/// The drafts of a text, if they can be some.
fn checked(
    texts: &Texts<'_>,
    text: usize,
    given: &[i64],
    replacement: bool,
    target: &mut Kept<'_, '_>,
    draft: &mut Kept<'_, '_>,
) -> Result<Vec<Drafted>> {
    let mut drafts: Vec<Drafted> = with_capacity(given.len(), "drafts")?;
    for (at, &token) in given.iter().enumerate() {
        let label = || texts.label(text, Some(at));
        let token = texts.token("drafts", token, label)?;
        let (p, q) = (target.p(token), draft.p(token));
        if q <= 0.0 {
            return Err(texts.impossible("drafts", token, &label()));
        }
        if !replacement && drafts.iter().any(|before| before.token == token) {
            let reason = format!("item {} must differ from those before it, got {token}", label());
            return Err(Error::argument("drafts", reason));
        }
        drafts.push(Drafted { token, p, q });
    }
    Ok(drafts)
}

/// Which draft is taken, and the token.
type Taken = Result<(Option<usize>, Option<u32>)>;

impl One<'_, '_, '_, '_, '_> {
    /// What is left of the target stays of the form `max(a p - b q, 0)`: a draft that falls is left
    /// nothing of, so that without replacement as well no token is treated apart.
    fn recursively(&mut self, replacement: bool) -> Taken {
        let (mut a, mut b, mut left) = (1.0, 0.0, 1.0);
        for (at, &Drafted { token, p, q }) in self.drafts.iter().enumerate() {
            if self.numbers.accept(at) * (q / left) < a * p - b * q {
                return Ok((Some(at), Some(token)));
            }
            let more = b + 1.0 / left;
            let mass = with_laws(self.target, self.draft, |laws| Ok(laws.excess(a, more)))?;
            // Rounding may leave nothing of the target: what was left before is drawn from.
            if mass <= 0.0 {
                break;
            }
            (a, b) = (a / mass, more / mass);
            left -= if replacement { 0.0 } else { q };
            if left <= 0.0 {
                break;
            }
        }
        self.last(a, b)
    }

    fn by_one_number(&mut self) -> Taken {
        let all = self.drafts.len();
        let rho = with_laws(self.target, self.draft, |laws| Ok(one_number(laws, all)))?;
        for (at, &Drafted { token, p, q }) in self.drafts.iter().enumerate() {
            if self.numbers.accept(at) * rho * q < p {
                return Ok((Some(at), Some(token)));
            }
        }
        self.last(1.0, rho)
    }

    /// One of the drafts is selected, and verified as a single one from the law of the selection.
    fn optimally(&mut self) -> Taken {
        let all = self.drafts.len();
        let (mut tokens, mut numbers) =
            (with_capacity(all, "drafts")?, with_capacity(all, "drafts")?);
        for (at, draft) in self.drafts.iter().enumerate() {
            tokens.push(draft.token);
            numbers.push(self.numbers.accept(at));
        }
        let mut plan = Plan::of(self.target, self.draft, all)?;
        let chosen = plan.select(&tokens, &numbers)?;
        let token = tokens[chosen];
        let (m, p) = plan.masses(token);
        if self.numbers.accept(all) * m < p {
            return Ok((Some(chosen), Some(token)));
        }
        self.last(1.0, plan.cap())
    }

    /// No draft is taken: a draw from `max(a p - b q, 0)`, or from `p` where rounding leaves nothing.
    fn last(&mut self, a: f64, b: f64) -> Taken {
        let Self { target, draft, numbers, .. } = self;
        let found = with_laws(target, draft, |laws| {
            Ok(if laws.excess(a, b) > 0.0 { laws.draw(numbers.last()) } else { None })
        })?;
        Ok((None, found.or_else(|| target.draw(&mut || numbers.last()))))
    }
}

/// How often a number is looked for in narrower brackets.
const STEPS: usize = 100;

/// The `rho` in `[1, k]` with `1 - (1 - beta)^k = rho beta`, where `beta` is the mass of
/// `min(q, p / rho)`.
fn one_number(laws: &mut Laws, k: usize) -> f64 {
    let mut gap = |rho: f64| {
        let beta = (1.0 / rho - laws.excess(1.0 / rho, 1.0)).clamp(0.0, 1.0);
        1.0 - (1.0 - beta).powi(k as i32) - rho * beta
    };
    // Regula falsi, with half the value of an end that stays (Illinois).
    let (mut low, mut high) = (1.0, k as f64);
    let (mut at_low, mut at_high) = (gap(low), gap(high));
    if at_low <= 0.0 || k == 1 {
        return low;
    }
    if at_high >= 0.0 {
        return high;
    }
    for _ in 0..STEPS {
        let rho = ((low * at_high - high * at_low) / (at_high - at_low)).clamp(low, high);
        let found = gap(rho);
        if found == 0.0 || high - low <= 4.0 * f64::EPSILON * high {
            return rho;
        }
        if found > 0.0 {
            (low, at_low, at_high) = (rho, found, at_high / 2.0);
        } else {
            (high, at_high, at_low) = (rho, found, at_low / 2.0);
        }
    }
    0.5 * (low + high)
}
