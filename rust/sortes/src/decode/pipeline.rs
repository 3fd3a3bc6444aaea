//! A validated set of rules: which act in which order, and with which parameters in each row.

use super::params::{Parameter, Params, Rule, parameter};
use sortes_core::{Error, Result};

/// Which of several equally likely tokens a rule keeps that keeps a number of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// Those with the highest ids.
    #[default]
    High,
    /// Those with the lowest ids.
    Low,
    /// All of them, for top-p.
    All,
}

/// What top-p does with the token at which the mass reaches `p`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// Keep a token if the mass before it is `< p`: the smallest set with mass `>= p`.
    #[default]
    Smallest,
    /// Keep a token if the mass before it is `<= p`.
    Lenient,
    /// Keep a token if the mass of strictly likelier ones is `< p`.
    TiesAll,
    /// Keep a token if the mass up to and with it is `<= p`.
    Exclude,
}

/// What is common to all rows of a batch.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The rules, in the order in which they act.
    pub order: Vec<&'static Rule>,
    /// The tie rule.
    pub ties: Ties,
    /// The boundary of top-p.
    pub boundary: Boundary,
    /// Degrees of freedom that top-n-sigma subtracts: 0 or 1.
    pub sigma_ddof: u8,
    /// Whether p-less uses its normalised, laxer threshold.
    pub p_less_normalized: bool,
    /// Tokens that XTC must not remove.
    pub protected: Vec<u32>,
}

/// A validated set of rules for a batch: some parameters shared, some given row by row.
#[derive(Clone, Debug)]
pub struct Rules {
    shared: Params,
    per_row: Vec<(&'static Parameter, Vec<f64>)>,
    /// What is common to all rows.
    pub options: Options,
}

impl Rules {
    /// Rules with every parameter neutral.
    pub fn new(options: Options) -> Self {
        Self { shared: Params::default(), per_row: Vec::new(), options }
    }

    /// Sets a parameter for all rows.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name or a value outside the domain.
    pub fn set(&mut self, name: &str, value: f64) -> Result<()> {
        let parameter = parameter(name)?;
        parameter.check(None, value)?;
        *parameter.of(&mut self.shared) = value;
        Ok(())
    }

    /// Sets a parameter row by row.
    ///
    /// # Errors
    /// As [`Rules::set`].
    pub fn set_rows(&mut self, name: &str, values: Vec<f64>) -> Result<()> {
        let parameter = parameter(name)?;
        for (row, &value) in values.iter().enumerate() {
            parameter.check(Some(row), value)?;
        }
        self.per_row.push((parameter, values));
        Ok(())
    }

    /// Checks that the parameters given row by row fit a batch.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the parameter whose length differs.
    pub fn check_rows(&self, rows: usize) -> Result<()> {
        for (parameter, values) in &self.per_row {
            if values.len() != rows {
                let reason = format!("has {} values for {rows} rows of logits", values.len());
                return Err(Error::argument(parameter.name, reason));
            }
        }
        Ok(())
    }

    /// The parameters of one row.
    pub fn row(&self, row: usize) -> Params {
        let mut params = self.shared;
        for (parameter, values) in &self.per_row {
            *parameter.of(&mut params) = values[row];
        }
        params
    }
}
