//! Races of exponentials that a draft and its target share.

use super::texts::Texts;
use sortes_core::{Error, Result, Run};

/// The token of each row that comes first in its race; each is a text of one row.
///
/// # Errors
/// If something does not fit, a row holds NaN, plus infinity or nothing finite, there is no memory, or
/// the work is cancelled.
pub fn race(texts: &Texts<'_>, out: &mut [i64], run: Run<'_>) -> Result<()> {
    texts.check(1)?;
    run.try_fill_chunks(out, 1, |text, out| {
        let place = texts.call.place(text, text, 0)?;
        let label = || texts.label(text, None);
        let first = texts.target(text, &place, label, run.serial(), |mut kept| {
            kept.race(&place).ok_or_else(|| Error::row("logits", 0, "no finite logit"))
        })?;
        out[0] = i64::from(first);
        run.advance(1);
        Ok(())
    })
}
