//! The parameters of the rules, their domains, and the order of the steps.

use sortes_core::{Error, Result};

/// One step of a pipeline. `name` is what `order=` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Step {
    Temperature,
    Smoothing,
    TopNSigma,
    TopH,
    TopK,
    TopP,
    TopKTopP,
    MinP,
    Typical,
    Epsilon,
    Eta,
    Tfs,
    TopA,
    PLess,
    Mirostat,
    Xtc,
}

impl Step {
    const NAMES: [(&'static str, Step); 16] = [
        ("temperature", Step::Temperature),
        ("smoothing", Step::Smoothing),
        ("top_n_sigma", Step::TopNSigma),
        ("top_h", Step::TopH),
        ("top_k", Step::TopK),
        ("top_p", Step::TopP),
        ("top_k_top_p", Step::TopKTopP),
        ("min_p", Step::MinP),
        ("typical", Step::Typical),
        ("epsilon", Step::Epsilon),
        ("eta", Step::Eta),
        ("tfs", Step::Tfs),
        ("top_a", Step::TopA),
        ("p_less", Step::PLess),
        ("mirostat", Step::Mirostat),
        ("xtc", Step::Xtc),
    ];

    /// The step of a name.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, step)| *step).ok_or_else(|| {
            let known: Vec<_> = Self::NAMES.iter().map(|(n, _)| *n).collect();
            Error::argument("order", format!("unknown rule {name:?}; known: {}", known.join(", ")))
        })
    }
}

/// Which of several equally likely tokens a rule keeps that keeps a number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Those with the highest ids.
    High,
    /// Those with the lowest ids.
    Low,
    /// All of them, for top-p.
    All,
}

/// What top-p does with the token at which the mass reaches `p`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// Keep a token if the mass before it is `< p`: the smallest set with mass `>= p`.
    Smallest,
    /// Keep a token if the mass before it is `<= p`.
    Lenient,
    /// Keep a token if the mass of strictly likelier ones is `< p`.
    TiesAll,
    /// Keep a token if the mass up to and with it is `<= p`.
    Exclude,
}

/// What is common to all rows of a batch.
#[derive(Clone, Debug)]
pub struct Options {
    /// The steps, in the order in which they act.
    pub order: Vec<Step>,
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

/// Declares [`Params`] and the table that fills and checks it: name, type, default, domain.
macro_rules! params {
    ($($(#[$doc:meta])* $name:ident: $default:expr, $domain:expr, $test:expr;)*) => {
        /// The parameters of one row. Neutral values turn a rule off.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Params {
            $($(#[$doc])* pub $name: f64,)*
        }

        impl Default for Params {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Params {
            /// The names of all parameters.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            fn slot(&mut self, name: &str) -> Option<(&'static str, &mut f64, Domain)> {
                match name {
                    $(stringify!($name) =>
                        Some((stringify!($name), &mut self.$name, ($domain, $test))),)*
                    _ => None,
                }
            }
        }
    };
}

type Domain = (&'static str, fn(f64) -> bool);

params! {
    /// Divides the logits; 0 is greedy.
    temperature: 1.0, "a finite number >= 0", |t| t.is_finite() && t >= 0.0;
    /// Half the width of the dynamic temperature's range.
    dynatemp_range: 0.0, "a finite number >= 0", |t| t.is_finite() && t >= 0.0;
    /// Exponent of the dynamic temperature.
    dynatemp_exponent: 1.0, "a finite number >= 0", |t| t.is_finite() && t >= 0.0;
    /// Strength of quadratic smoothing.
    smoothing_factor: 0.0, "a finite number >= 0", |t| t.is_finite() && t >= 0.0;
    /// Curve of quadratic smoothing.
    smoothing_curve: 1.0, "a finite number", f64::is_finite;
    /// How many tokens top-k keeps; 0 and below: off.
    top_k: 0.0, "an integer", |k| k.is_finite() && k.fract() == 0.0;
    /// Mass of the nucleus.
    top_p: 1.0, "in [0, 1]", |p| (0.0..=1.0).contains(&p);
    /// Threshold relative to the largest probability.
    min_p: 0.0, "in [0, 1]", |p| (0.0..=1.0).contains(&p);
    /// Mass of the locally typical set.
    typical_p: 1.0, "in (0, 1]", |p| 0.0 < p && p <= 1.0;
    /// Absolute threshold.
    epsilon_cutoff: 0.0, "in [0, 1)", |e| (0.0..1.0).contains(&e);
    /// Entropy-dependent threshold.
    eta_cutoff: 0.0, "in [0, 1)", |e| (0.0..1.0).contains(&e);
    /// Threshold relative to the squared largest probability.
    top_a: 0.0, "a finite number >= 0", |a| a.is_finite() && a >= 0.0;
    /// Standard deviations below the largest logit.
    top_n_sigma: 0.0, "a finite number", f64::is_finite;
    /// Share of the entropy that is kept; infinite: off.
    top_h: f64::INFINITY, "in (0, 1]", |h| (0.0 < h && h <= 1.0) || h == f64::INFINITY;
    /// Mass of curvature that tail-free sampling keeps.
    tfs: 1.0, "in [0, 1]", |z| (0.0..=1.0).contains(&z);
    /// Whether p-less acts: 0 or 1.
    p_less: 0.0, "0 or 1", |b| b == 0.0 || b == 1.0;
    /// How often XTC acts.
    xtc_probability: 0.0, "in [0, 1]", |p| (0.0..=1.0).contains(&p);
    /// Threshold of XTC.
    xtc_threshold: 0.1, "in [0, 1]", |p| (0.0..=1.0).contains(&p);
    /// Largest surprise that mirostat keeps, in bits; infinite: off.
    mirostat_mu: f64::INFINITY, "a number", |m| !m.is_nan();
    /// Every rule keeps at least this many tokens.
    min_tokens_to_keep: 1.0, "an integer >= 1", |m| m.is_finite() && m >= 1.0 && m.fract() == 0.0;
}

impl Params {
    /// Sets a parameter by name.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name or a value outside the domain.
    pub fn set(&mut self, name: &str, value: f64) -> Result<()> {
        let Some((name, slot, (domain, test))) = self.slot(name) else {
            return Err(Error::argument("params", format!("unknown parameter {name:?}")));
        };
        if !test(value) {
            return Err(Error::argument(name, format!("must be {domain}, got {value}")));
        }
        *slot = value;
        Ok(())
    }

    /// `min_tokens_to_keep` as a count.
    pub fn min_tokens(&self) -> usize {
        self.min_tokens_to_keep as usize
    }

    /// Whether the logits are only compared, never weighed.
    pub fn is_greedy(&self) -> bool {
        self.temperature < GREEDY && self.dynatemp_range == 0.0
    }
}

/// Temperatures below this one are greedy.
pub const GREEDY: f64 = 1e-7;

/// A validated set of rules for a batch: some parameters shared, some given row by row.
#[derive(Clone, Debug)]
pub struct Rules {
    shared: Params,
    per_row: Vec<(String, Vec<f64>)>,
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
    /// As [`Params::set`].
    pub fn set(&mut self, name: &str, value: f64) -> Result<()> {
        self.shared.set(name, value)
    }

    /// Sets a parameter row by row.
    ///
    /// # Errors
    /// As [`Params::set`].
    pub fn set_rows(&mut self, name: &str, values: Vec<f64>) -> Result<()> {
        let mut scratch = Params::default();
        for value in &values {
            scratch.set(name, *value)?;
        }
        self.per_row.push((name.to_owned(), values));
        Ok(())
    }

    /// Checks that the parameters given row by row fit a batch.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the parameter whose length differs.
    pub fn check_rows(&self, rows: usize) -> Result<()> {
        for (name, values) in &self.per_row {
            if values.len() != rows {
                let mut params = Params::default();
                let name = params.slot(name).map_or("params", |(name, ..)| name);
                let got = values.len();
                return Err(Error::argument(
                    name,
                    format!("has {got} values for {rows} rows of logits"),
                ));
            }
        }
        Ok(())
    }

    /// The parameters of one row.
    pub fn row(&self, row: usize) -> Params {
        let mut params = self.shared;
        for (name, values) in &self.per_row {
            if let Some((_, slot, _)) = params.slot(name) {
                *slot = values[row];
            }
        }
        params
    }
}
