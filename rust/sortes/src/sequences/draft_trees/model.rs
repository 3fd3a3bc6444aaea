//! What a verifier asks of a model.

use std::marker::PhantomData;

use sortes_core::{Error, Result, Run};

use crate::decode::{Call, Element, Rows};

/// The laws of the tokens that follow nodes, one row for each.
pub trait Model: Sync {
    /// The number of rows.
    fn rows(&self) -> usize;

    /// The number of tokens of the vocabulary.
    fn vocabulary(&self) -> usize;

    /// Draws the token after a node as it is drawn without a draft: by the stream of the row.
    ///
    /// # Errors
    /// If the row holds NaN or plus infinity or no finite logit, or there is no memory.
    fn draw(&self, row: usize, run: Run<'_>) -> Result<i64>;

    /// Writes the law of that token, after all rules.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    fn law(&self, row: usize, out: &mut [f64], run: Run<'_>) -> Result<()>;
}

/// A model of which logits are known, and what is to be done with them.
pub struct Logits<'a, T, R> {
    call: &'a Call<'a>,
    rows: &'a R,
    /// What errors call the logits, and how many rows each text has.
    name: &'static str,
    each: usize,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Element, R: Rows<T>> Logits<'a, T, R> {
    /// Rows of logits, `each` for a text, with a stream for each row.
    ///
    /// # Errors
    /// As [`Call::check`].
    pub fn new(call: &'a Call<'a>, rows: &'a R, name: &'static str, each: usize) -> Result<Self> {
        call.check(rows.rows(), rows.cols())?;
        Ok(Self { call, rows, name, each, element: PhantomData })
    }

    /// The error in the words of the caller, who knows texts and nodes.
    fn renamed(&self, error: Error) -> Error {
        match error {
            Error::Row { name: "logits", row, reason } if row < self.each => {
                Error::row(self.name, row, reason)
            }
            Error::Row { name: "logits", row, reason } => {
                let (text, node) = (row / self.each, row % self.each);
                Error::argument(self.name, format!("text {text}: row {node}: {reason}"))
            }
            other => other,
        }
    }
}

impl<T: Element, R: Rows<T>> Model for Logits<'_, T, R> {
    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn vocabulary(&self) -> usize {
        self.rows.cols()
    }

    fn draw(&self, row: usize, run: Run<'_>) -> Result<i64> {
        self.call.sample_row(self.rows, row, run).map_err(|error| self.renamed(error))
    }

    fn law(&self, row: usize, out: &mut [f64], run: Run<'_>) -> Result<()> {
        self.call.distribution_row(self.rows, row, out, run).map_err(|error| self.renamed(error))
    }
}
