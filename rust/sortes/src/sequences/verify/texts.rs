//! The rows of drafted texts, and what messages call them.

use crate::decode::{AnyRows, Call, Kept, Place};
use sortes_core::rng::{Draws, Purpose};
use sortes_core::{Error, Result, Run};

/// Draws of a text's sequence that belong to its last token; behind them come those that decide about
/// acceptance, in the order of the drafted tokens.
const LAST: u64 = 16;

/// Texts with rows of logits of their own: the target's, and perhaps the draft's.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// Rules, streams, ids, bias and mask.
    pub call: &'a Call<'a>,
    /// The axes of the texts, for messages.
    pub shape: &'a [usize],
    /// What messages call the target's rows.
    pub name: &'static str,
    /// The target's rows, text by text.
    pub target: AnyRows<'a>,
    /// The draft's.
    pub draft: Option<AnyRows<'a>>,
}

impl Texts<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// How a message calls a place of a text.
    pub fn label(&self, text: usize, position: Option<usize>) -> String {
        let mut rest = text;
        let mut index: Vec<String> = Vec::new();
        for axis in self.shape.iter().rev() {
            index.push((rest % axis.max(&1)).to_string());
            rest /= axis.max(&1);
        }
        index.reverse();
        index.extend(position.map(|position| position.to_string()));
        match &index[..] {
            [] => "0".to_owned(),
            [one] => one.clone(),
            several => format!("({})", several.join(", ")),
        }
    }

    /// Checks what does not depend on the values of logits; a text has this many rows of the target.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the argument that does not fit.
    pub fn check(&self, each: usize) -> Result<()> {
        let cols = self.target.cols();
        self.call.check_texts(self.count(), (self.count() * each, cols))?;
        if let Some(draft) = self.draft
            && draft.cols() != cols
        {
            let reason =
                format!("must have the {cols} tokens of target_logits, got {}", draft.cols());
            return Err(Error::argument("draft_logits", reason));
        }
        Ok(())
    }

    /// A drafted token, which must be of the vocabulary.
    ///
    /// # Errors
    /// If it is not.
    pub fn token(
        &self,
        name: &'static str,
        token: i64,
        label: impl FnOnce() -> String,
    ) -> Result<u32> {
        let cols = self.target.cols();
        let known = u32::try_from(token).ok().filter(|token| (*token as usize) < cols);
        known.ok_or_else(|| {
            let label = label();
            Error::argument(name, format!("item {label} must be in [0, {cols}), got {token}"))
        })
    }

    /// The error of a drafted token that the draft could not have drawn.
    pub fn impossible(&self, name: &'static str, token: u32, label: &str) -> Error {
        let reason = "the draft's law, after the rules, gives it probability zero";
        Error::argument(
            name,
            format!("item {label} must be a draw of the draft, got {token}: {reason}"),
        )
    }

    /// Calls `f` with what the rules keep of a row of the target.
    ///
    /// # Errors
    /// If nothing can be drawn from it, and those of `f`.
    pub fn target<R>(
        &self,
        row: usize,
        place: &Place<'_>,
        label: impl FnOnce() -> String,
        run: Run<'_>,
        f: impl FnOnce(Kept<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        named(self.target.keep(row, place, run, f), self.name, label)
    }

    /// The same with a row of the draft beside it.
    ///
    /// # Errors
    /// If nothing can be drawn from one of them, and those of `f`.
    pub fn both<R>(
        &self,
        (row, draft_row): (usize, usize),
        place: &Place<'_>,
        label: impl Fn() -> String,
        run: Run<'_>,
        f: impl FnOnce(&mut Kept<'_, '_>, &mut Kept<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        let draft = self.draft.ok_or_else(|| Error::argument("draft_logits", "must be given"))?;
        self.target(row, place, &label, run, |mut p| {
            // Now, while its row is in the cache.
            p.z();
            let found = draft.keep(draft_row, place, run, |mut q| f(&mut p, &mut q));
            named(found, "draft_logits", &label)
        })
    }
}

/// Names the row of an error that names none.
pub(in crate::sequences) fn named<R>(
    result: Result<R>,
    name: &'static str,
    label: impl FnOnce() -> String,
) -> Result<R> {
    result.map_err(|error| match error {
        Error::Row { reason, .. } => Error::argument(name, format!("row {}: {reason}", label())),
        other => other,
    })
}

/// The numbers that a text's verification reads: those of one step, since a text never verifies twice
/// at one.
pub struct Numbers {
    last: Draws,
    accept: Draws,
}

impl Numbers {
    /// Those of a text, from the place where its first drafted token stands.
    pub fn of(place: &Place<'_>) -> Self {
        let last = place.stream.draws(Purpose::Verify, u64::from(place.id));
        Self { accept: last.clone(), last }
    }

    /// The number that decides about a drafted token.
    pub fn accept(&mut self, position: usize) -> f64 {
        self.accept.seek(LAST + position as u64);
        self.accept.uniform()
    }

    /// The next number by which the last token is drawn.
    pub fn last(&mut self) -> f64 {
        self.last.uniform()
    }
}
