//! Whole batches of rows, each with its own history and parameters.

use sortes_core::memory::{filled, reserve};
use sortes_core::{Error, Result, Run};

use super::{Lists, Penalties, Row, penalize, subtractions};
use crate::decode::Rows;

/// The tokens so far of all rows, end to end.
#[derive(Clone, Copy)]
pub struct Histories<'a> {
    input_ids: &'a [i64],
    offsets: &'a [i64],
    prompt_lengths: &'a [i64],
}

impl<'a> Histories<'a> {
    /// Row `r` holds `input_ids[offsets[r]..offsets[r + 1]]`, of which the first
    /// `prompt_lengths[r]` are its prompt.
    ///
    /// # Errors
    /// [`Error::Argument`] if the offsets do not cut `input_ids` into one part for each prompt.
    pub fn new(
        input_ids: &'a [i64],
        offsets: &'a [i64],
        prompt_lengths: &'a [i64],
    ) -> Result<Self> {
        let ends = (offsets.first(), offsets.last().and_then(|&end| usize::try_from(end).ok()));
        let fit = offsets.len() == prompt_lengths.len() + 1 && offsets.is_sorted();
        if !fit || ends != (Some(&0), Some(input_ids.len())) {
            return Err(Error::argument("offsets", "must cut input_ids into its rows"));
        }
        Ok(Self { input_ids, offsets, prompt_lengths })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.prompt_lengths.len()
    }

    /// The number of tokens in all rows.
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }

    /// The history of a row, and how much of it is the prompt.
    fn row(&self, row: usize) -> (&'a [i64], usize) {
        let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
        (&self.input_ids[start..end], self.prompt_lengths[row].max(0) as usize)
    }
}

/// The value of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// One for all rows.
    Shared(f64),
    /// One for each row.
    PerRow(&'a [f64]),
}

/// What every row is penalized by.
pub struct Batch<'a> {
    histories: Histories<'a>,
    penalties: Vec<Penalties>,
    lists: Lists,
}

/// What to subtract from the logits of a batch, entry by entry, in order of rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subtractions {
    /// The row of each entry.
    pub rows: Vec<i64>,
    /// Its token.
    pub tokens: Vec<i64>,
    /// What to subtract; infinite for a ban.
    pub amounts: Vec<f64>,
}

impl<'a> Batch<'a> {
    /// Rows without a penalty, but with the token lists that they share.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn new(histories: Histories<'a>, lists: Lists) -> Result<Self> {
        let penalties = filled(histories.rows(), Penalties::default(), "rows of penalties")?;
        Ok(Self { histories, penalties, lists })
    }

    /// Sets a parameter.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name, or values that are not one for each row.
    pub fn set(&mut self, name: &str, value: Value<'_>) -> Result<()> {
        let rows = self.penalties.len();
        if let Value::PerRow(values) = value
            && values.len() != rows
        {
            let reason = format!("{name} has {} values for {rows} rows", values.len());
            return Err(Error::argument("params", reason));
        }
        for (row, penalties) in self.penalties.iter_mut().enumerate() {
            let value = match value {
                Value::Shared(value) => value,
                Value::PerRow(values) => values[row],
            };
            if !penalties.set(name, value) {
                return Err(Error::argument("params", format!("no penalty is called {name}")));
            }
        }
        Ok(())
    }

    /// Writes the penalized rows of `x` to `out`; without `x`, penalizes `out` in place.
    ///
    /// # Errors
    /// [`Error::Shape`] if the rows are not those of the histories, [`Error::Resource`],
    /// [`Error::Cancelled`]; some rows were then left as they were.
    pub fn penalize<T: Copy + Send>(
        &self,
        x: Option<&impl Rows<T>>,
        out: &mut [&mut [T]],
        run: Run<'_>,
    ) -> Result<()>
    where
        [T]: Row,
    {
        let (rows, cols) = (self.histories.rows(), out.first().map_or(0, |row| row.len()));
        let fit = |x: &_| Rows::rows(x) == rows && (rows == 0 || Rows::cols(x) == cols);
        if out.len() != rows || x.is_some_and(|x| !fit(x)) {
            let (expected, got) = (format!("{rows} rows"), format!("{} of {cols}", out.len()));
            return Err(Error::Shape { name: "out", expected, got });
        }
        run.try_fill_chunks(out, 1, |r, row| {
            let row = &mut *row[0];
            if let Some(x) = x {
                row.copy_from_slice(x.row(r));
            }
            let (history, prompt) = self.histories.row(r);
            penalize(row, history, prompt, &self.penalties[r], &self.lists, run.serial())?;
            run.advance(1);
            Ok(())
        })
    }

    /// What DRY subtracts and what is banned, for a vocabulary of this size: the part of the
    /// penalties that follows the order of the tokens.
    ///
    /// # Errors
    /// [`Error::Resource`], [`Error::Cancelled`].
    pub fn subtractions(&self, vocabulary: usize, run: Run<'_>) -> Result<Subtractions> {
        let mut found = Subtractions::default();
        for (r, p) in self.penalties.iter().enumerate() {
            run.check()?;
            let (history, prompt) = self.histories.row(r);
            let most = self.most_subtractions(history);
            reserve(&mut found.rows, most, "subtractions")?;
            reserve(&mut found.tokens, most, "subtractions")?;
            reserve(&mut found.amounts, most, "subtractions")?;
            subtractions(history, prompt, vocabulary, p, &self.lists, run, |token, amount| {
                found.rows.push(r as i64);
                found.tokens.push(token as i64);
                found.amounts.push(amount);
            })?;
            run.advance(1);
        }
        Ok(found)
    }

    /// No row with this history has more subtractions: DRY and n-grams name a token for each
    /// earlier one at most.
    fn most_subtractions(&self, history: &[i64]) -> usize {
        2 * history.len() + self.lists.bad_words.len() + self.lists.eos.len()
    }
}
