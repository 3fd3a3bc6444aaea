//! The table of rules: what each is called, what it does, its parameters, their domains.
//!
//! Everything that lists rules reads this table, in Rust and in Python. A new rule is a file in
//! `rules`, its line there, and its entry here.

use super::domain::Domain;
use super::rules::{self, Act, Critical};
use super::verdict::Tells;
use sortes_core::simd::Wanted;
use sortes_core::{Error, Result};

/// Temperatures below this one are greedy.
pub const GREEDY: f64 = 1e-7;

/// What switches a rule on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    /// Any value of the parameter but the neutral one.
    Unlike,
    /// A value above the neutral one.
    Above,
    /// Other parameters.
    Elsewhere,
}
use Switch::{Above, Elsewhere, Unlike};

/// One parameter of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// What users call it.
    pub name: &'static str,
    /// The value at which it changes nothing.
    pub neutral: f64,
    /// Where it must lie, unless it is neutral.
    pub domain: Domain,
    switch: Switch,
    slot: fn(&mut Params) -> &mut f64,
}

impl Parameter {
    /// Whether it can switch its rule on.
    pub fn is_switch(&self) -> bool {
        self.switch != Elsewhere
    }

    /// Whether values below the neutral one are as good as that.
    pub fn is_off_below(&self) -> bool {
        self.switch == Above
    }

    /// Whether a value switches the rule on.
    #[inline]
    fn is_on(&self, value: f64) -> bool {
        match self.switch {
            Unlike => value != self.neutral,
            Above => value > self.neutral,
            Elsewhere => false,
        }
    }

    /// Checks a value: the argument itself, or one of its items.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is outside the domain.
    pub(super) fn check(&self, item: Option<usize>, value: f64) -> Result<()> {
        if value == self.neutral { Ok(()) } else { self.domain.check(self.name, item, value) }
    }

    /// Where a row keeps its value.
    #[inline]
    pub(super) fn of<'p>(&self, params: &'p mut Params) -> &'p mut f64 {
        (self.slot)(params)
    }
}

/// A truncation rule: one step of a pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What `order=` calls it.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// The parameters of other rules that it reads, and that switch it on.
    pub shared: &'static [Parameter],
    /// Whether the most likely token always stays.
    pub keeps_best: bool,
    /// Whether it changes the probabilities of the tokens that it keeps.
    pub reshapes: bool,
    pub(super) act: Act,
    pub(super) critical: Option<Critical>,
    /// Whether it tells of a token, before it acts, if that is kept.
    pub(super) tells: Option<Tells>,
    /// How likely it is to act at all; without one it always does.
    pub(super) chance: Option<fn(&Params) -> f64>,
    is_on: fn(&Params) -> bool,
}

impl Rule {
    /// The rule of a name.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name.
    pub fn named(name: &str) -> Result<&'static Self> {
        RULES.iter().find(|rule| rule.name == name).ok_or_else(|| {
            let known: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
            Error::argument("order", format!("unknown rule '{name}'; known: {}", known.join(", ")))
        })
    }

    /// Whether each token has a parameter at which it leaves the kept set.
    pub fn has_critical(&self) -> bool {
        self.critical.is_some()
    }

    /// Whether it acts on a row at random.
    pub fn is_random(&self) -> bool {
        self.chance.is_some()
    }

    /// Whether it does anything to a row with these parameters.
    #[inline]
    pub fn is_on(&self, params: &Params) -> bool {
        (self.is_on)(params)
    }

    const fn reshaping(mut self) -> Self {
        self.reshapes = true;
        self
    }

    const fn may_drop_best(mut self) -> Self {
        self.keeps_best = false;
        self
    }

    const fn critical(mut self, critical: Critical) -> Self {
        self.critical = Some(critical);
        self
    }

    const fn tells(mut self, tells: Tells) -> Self {
        self.tells = Some(tells);
        self
    }

    const fn with_chance(mut self, chance: fn(&Params) -> f64) -> Self {
        self.chance = Some(chance);
        self
    }
}

/// Declares the rules, and the parameters of a row with them.
macro_rules! table {
    (
        $($rule:ident $(with $($shared:ident),+)?: $act:expr $(, .$flag:ident($($of:expr)?))* => {
            $($(#[$doc:meta])* $name:ident: $neutral:expr, $switch:expr, $domain:expr;)*
        })*
        * => {
            $($(#[$common_doc:meta])* $common:ident: $common_neutral:expr, $common_domain:expr;)*
        }
    ) => {
        /// The parameters of one row. Neutral values turn a rule off.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Params {
            $($($(#[$doc])* pub $name: f64,)*)*
            $($(#[$common_doc])* pub $common: f64,)*
        }

        impl Default for Params {
            fn default() -> Self {
                Self { $($($name: $neutral,)*)* $($common: $common_neutral,)* }
            }
        }

        /// Each parameter under its own name.
        #[allow(non_upper_case_globals)]
        mod parameter {
            use super::*;

            $($(pub(super) const $name: Parameter = Parameter {
                name: stringify!($name),
                neutral: $neutral,
                domain: $domain,
                switch: $switch,
                slot: |params| &mut params.$name,
            };)*)*
            $(pub(super) const $common: Parameter = Parameter {
                name: stringify!($common),
                neutral: $common_neutral,
                domain: $common_domain,
                switch: Elsewhere,
                slot: |params| &mut params.$common,
            };)*
        }

        /// Every rule.
        pub static RULES: &[Rule] = &[$(
            Rule {
                name: stringify!($rule),
                parameters: &[$(parameter::$name),*],
                shared: &[$($(parameter::$shared),+)?],
                keeps_best: true,
                reshapes: false,
                act: $act,
                critical: None,
                tells: None,
                chance: None,
                is_on: |params| {
                    [
                        $(parameter::$name.is_on(params.$name),)*
                        $($(parameter::$shared.is_on(params.$shared),)+)?
                    ]
                    .contains(&true)
                },
            }
            $(.$flag($($of)?))*,
        )*];

        /// What every rule reads.
        pub static COMMON: &[Parameter] = &[$(parameter::$common),*];
    };
}

use Act::{Narrow, Rewrite};
use Tells::{ByBest, ByLaw};
use rules::{
    epsilon, eta, min_p, mirostat, p_less, smoothing, temperature, tfs, top_a, top_h, top_k,
    top_n_sigma, top_p, typical, xtc,
};

const INFINITY: f64 = f64::INFINITY;

// name: what it does, flags => { parameter: neutral value, what switches the rule on, domain; }
// The last entry holds what all rules read.
table! {
    temperature: Narrow(temperature::apply), .reshaping() => {
        /// Divides the logits; 0 is greedy.
        temperature: 1.0, Unlike, Domain::NON_NEGATIVE;
        /// Half the width of the dynamic temperature's range.
        dynatemp_range: 0.0, Unlike, Domain::NON_NEGATIVE;
        /// Exponent of the dynamic temperature.
        dynatemp_exponent: 1.0, Elsewhere, Domain::NON_NEGATIVE;
    }
    smoothing: Rewrite(smoothing::apply), .reshaping() => {
        /// Strength of quadratic smoothing.
        smoothing_factor: 0.0, Unlike, Domain::NON_NEGATIVE;
        /// Curve of quadratic smoothing; outside of its domain the order of the tokens would
        /// change.
        smoothing_curve: 1.0, Elsewhere, Domain::reals((1.0, 3.0), (false, false));
    }
    top_n_sigma: Narrow(top_n_sigma::apply), .critical(top_n_sigma::critical) => {
        /// Standard deviations below the largest logit.
        top_n_sigma: 0.0, Above, Domain::FINITE;
    }
    top_k: Narrow(top_k::apply), .critical(top_k::critical) => {
        /// How many tokens top-k keeps.
        top_k: 0.0, Above, Domain::integers(-INFINITY, INFINITY);
    }
    top_p: Narrow(top_p::apply), .critical(top_p::critical),
        .tells(ByLaw(Wanted::PLAIN, top_p::keeps)) => {
        /// Mass of the nucleus.
        top_p: 1.0, Unlike, Domain::PROBABILITY;
    }
    top_k_top_p with top_k, top_p: Narrow(top_p::apply_with_top_k) => {}
    min_p: Narrow(min_p::apply), .critical(min_p::critical), .tells(ByBest(min_p::keeps)) => {
        /// Threshold relative to the largest probability.
        min_p: 0.0, Unlike, Domain::PROBABILITY;
    }
    typical: Narrow(typical::apply), .may_drop_best(),
        .tells(ByLaw(Wanted::ENTROPY, typical::keeps)) => {
        /// Mass of the locally typical set.
        typical_p: 1.0, Unlike, Domain::SHARE;
    }
    epsilon: Narrow(epsilon::apply), .critical(epsilon::critical) => {
        /// Absolute threshold.
        epsilon_cutoff: 0.0, Unlike, Domain::UNIT;
    }
    eta: Narrow(eta::apply), .critical(eta::critical) => {
        /// Entropy-dependent threshold.
        eta_cutoff: 0.0, Unlike, Domain::UNIT;
    }
    tfs: Narrow(tfs::apply) => {
        /// Mass of curvature that tail-free sampling keeps.
        tfs: 1.0, Unlike, Domain::PROBABILITY;
    }
    top_a: Narrow(top_a::apply), .critical(top_a::critical) => {
        /// Threshold relative to the squared largest probability.
        top_a: 0.0, Unlike, Domain::NON_NEGATIVE;
    }
    p_less: Narrow(p_less::apply) => {
        /// Whether p-less acts: 0 or 1.
        p_less: 0.0, Unlike, Domain::integers(0.0, 1.0);
    }
    top_h: Narrow(top_h::apply) => {
        /// Share of the entropy that is kept; infinite: off.
        top_h: INFINITY, Unlike, Domain::SHARE;
    }
    mirostat: Narrow(mirostat::apply) => {
        /// Largest surprise that mirostat keeps, in bits; infinite: off.
        mirostat_mu: INFINITY, Unlike, Domain::ANY;
    }
    xtc: Narrow(xtc::apply), .may_drop_best(), .with_chance(|params| params.xtc_probability) => {
        /// How often XTC acts.
        xtc_probability: 0.0, Unlike, Domain::PROBABILITY;
        /// Threshold of XTC.
        xtc_threshold: 0.1, Elsewhere, Domain::PROBABILITY;
    }
    * => {
        /// Every rule keeps at least this many tokens.
        min_tokens_to_keep: 1.0, Domain::integers(1.0, INFINITY);
    }
}

impl Params {
    /// `min_tokens_to_keep` as a count.
    pub fn min_tokens(&self) -> usize {
        self.min_tokens_to_keep as usize
    }
}

/// The parameter of a name.
///
/// # Errors
/// [`Error::Argument`] for an unknown name.
pub(super) fn parameter(name: &str) -> Result<&'static Parameter> {
    let mut all = RULES.iter().flat_map(|rule| rule.parameters).chain(COMMON);
    let unknown = || Error::argument("params", format!("unknown parameter '{name}'"));
    all.find(|parameter| parameter.name == name).ok_or_else(unknown)
}
