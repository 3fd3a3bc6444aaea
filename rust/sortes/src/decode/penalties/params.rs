//! The parameters of the penalties: one table of names and neutral values.

/// Declares [`Penalties`], and its fields by name: name, type, neutral value.
macro_rules! penalties {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $neutral:expr;)*) => {
        /// The penalties of one row; the default is none.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct Penalties {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for Penalties {
            fn default() -> Self {
                Self { $($name: $neutral,)* }
            }
        }

        impl Penalties {
            /// The name of every parameter, and the value that leaves it neutral.
            pub const NEUTRAL: &[(&str, f64)] = &[$((stringify!($name), $neutral as f64),)*];

            /// Sets a parameter by name; whether there is one of this name.
            pub fn set(&mut self, name: &str, value: f64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value as $type,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

penalties! {
    /// Repetition penalty, positive; 1 is off.
    repetition_penalty: f64 = 1.0;
    /// Frequency penalty; 0 is off.
    frequency_penalty: f64 = 0.0;
    /// Presence penalty; 0 is off.
    presence_penalty: f64 = 0.0;
    /// The three above look at the last tokens, this many; 0 means all.
    penalty_last_n: usize = 0;
    /// What a repetition of `dry_allowed_length` tokens costs; 0 turns DRY off.
    dry_multiplier: f64 = 0.0;
    /// Factor for every further token of the repetition, at least 1.
    dry_base: f64 = 1.75;
    /// The shortest repetition that costs anything, at least 1.
    dry_allowed_length: usize = 2;
    /// DRY looks at the last tokens, this many; 0 means all.
    dry_penalty_last_n: usize = 0;
    /// Size of the n-grams that may not occur twice; 0 is off.
    no_repeat_ngram_size: usize = 0;
    /// The end-of-sequence tokens are banned until this many tokens were generated.
    min_new_tokens: usize = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_set_by_its_name() {
        let mut penalties = Penalties::default();
        for (i, &(name, _)) in Penalties::NEUTRAL.iter().enumerate() {
            assert!(penalties.set(name, i as f64 + 1.0));
        }
        assert_eq!((penalties.repetition_penalty, penalties.min_new_tokens), (1.0, 10));
        for &(name, neutral) in Penalties::NEUTRAL {
            assert!(penalties.set(name, neutral));
        }
        assert_eq!(penalties, Penalties::default());
        assert!(!penalties.set("presence", 1.0));
    }
}
