//! The automaton against tokens that are tried one by one.

use std::sync::Arc;

use super::bytes::{ByteAutomaton, DEAD, START};
use super::{TokenAutomaton, Vocabulary};
use sortes_core::Run;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Draws, Purpose, Stream};
use sortes_core::{Error, Result};

fn run() -> Run<'static> {
    Run::alone()
}

/// A vocabulary of tokens, with one behind them that ends a text.
fn vocabulary(tokens: &[&[u8]]) -> Arc<Vocabulary> {
    let mut lengths: Vec<u32> = tokens.iter().map(|token| token.len() as u32).collect();
    lengths.push(0);
    let end = tokens.len() as u32;
    Arc::new(Vocabulary::new(tokens.concat(), &lengths, vec![end], run()).unwrap())
}

/// The automaton of an expression over the tokens of a vocabulary.
fn token_automaton(pattern: &str, vocabulary: Arc<Vocabulary>) -> Result<TokenAutomaton> {
    TokenAutomaton::new(ByteAutomaton::new(pattern, run())?, vocabulary, run())
}

/// Tokens of some letters, digits and characters beyond ASCII, and pieces of these; sometimes with
/// every single byte.
fn random_tokens(draws: &mut Draws, most: usize) -> Vec<Vec<u8>> {
    let text = "abc01é🎉 \"x".as_bytes();
    let mut below = |n: usize| (draws.uniform() * n as f64) as usize;
    let (count, bytes) = (1 + below(most), below(3));
    let mut token = |_| {
        let mut token = Vec::new();
        for _ in 0..=below(3) {
            let at = below(text.len());
            token.extend_from_slice(&text[at..text.len().min(at + 1 + below(4))]);
        }
        token
    };
    let mut tokens: Vec<_> = (0..count).map(&mut token).collect();
    if bytes > 0 {
        tokens.extend(text.iter().map(|byte| vec![*byte]));
    }
    tokens
}

/// States from which tokens lead to the end, and how many it takes: by passes over everything.
fn by_passes(bytes: &ByteAutomaton, tokens: &[Vec<u8>]) -> Vec<Option<u32>> {
    let mut counts: Vec<Option<u32>> = vec![None; bytes.len()];
    for count in 1.. {
        let before = counts.clone();
        for state in START..bytes.len() as u32 {
            let helps = |token: &Vec<u8>| before[bytes.steps(state, token) as usize].is_some();
            let done = bytes.is_accepting(state) || tokens.iter().any(helps);
            if done && before[state as usize].is_none() {
                counts[state as usize] = Some(count);
            }
        }
        if counts == before {
            break;
        }
    }
    counts
}

const PATTERNS: [&str; 10] = [
    "(ab)+",
    r#""[^"]*""#,
    "[abc]{1,7}",
    "(?s).*",
    "é+|🎉?a",
    "[0-9]{3} [0-9]{2,4}",
    "a(b|cd)x*",
    r"\w+( \w+)*",
    "(?i)ABC|(?:x|01){5}",
    "[^é]*0",
];

#[test]
fn masks_and_steps_are_those_of_single_tokens() {
    let mut draws = Stream::new(1).draws(Purpose::Uniform, 0);
    let mut empty = 0;
    for trial in 0..300 {
        let pattern = PATTERNS[trial % PATTERNS.len()];
        let tokens = random_tokens(&mut draws, 40);
        let refs: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
        let vocabulary = vocabulary(&refs);
        let bytes = ByteAutomaton::new(pattern, run()).unwrap();
        let counts = by_passes(&bytes, &tokens);
        let made = token_automaton(pattern, vocabulary.clone());
        if counts[START as usize].is_none() {
            assert!(made.unwrap_err().to_string().starts_with("pattern: must match a text of"));
            empty += 1;
            continue;
        }
        let automaton = made.unwrap();
        assert_eq!(automaton.len(), bytes.len());
        let end = tokens.len() as u32;
        for state in START..bytes.len() as u32 {
            let Some(count) = counts[state as usize] else { continue };
            assert_eq!(automaton.shortest(state, run()).unwrap(), count, "{pattern} {state}");
            for left in [u32::MAX, 1, 2, 3, 5, 100] {
                let mask = automaton.mask(state, left, run()).unwrap();
                let is_marked = |id: u32| mask[id as usize / 32] >> (id % 32) & 1 == 1;
                for (id, token) in (0..).zip(&tokens) {
                    let target = bytes.steps(state, token);
                    let fits = counts[target as usize].is_some_and(|count| count < left);
                    assert_eq!(is_marked(id), fits, "{pattern} {tokens:?} {state} {id} {left}");
                    let known = counts[target as usize].map(|_| target);
                    assert_eq!(automaton.advance(state, id), known);
                }
                assert_eq!(is_marked(end), bytes.is_accepting(state));
                assert_eq!(mask.len(), vocabulary.words());
            }
            let accepts = bytes.is_accepting(state).then_some(automaton.end());
            assert_eq!(automaton.advance(state, end), accepts);
        }
        assert_eq!(automaton.advance(automaton.end(), end), Some(automaton.end()));
        assert_eq!(automaton.advance(automaton.end(), 0), None);
        assert_eq!(automaton.advance(START, end + 1), None);
        assert_eq!(automaton.shortest(automaton.end(), run()), Ok(0));
    }
    assert!((10..150).contains(&empty), "{empty}");
}

#[test]
fn a_match_that_comes_late_is_no_dead_end() {
    let automaton = token_automaton("(ab)+", vocabulary(&[b"a", b"b", b"ab"])).unwrap();
    let mask = |state| automaton.mask(state, u32::MAX, run()).unwrap()[0];
    let state = automaton.advance(automaton.start(), 2).unwrap();
    assert_eq!((mask(automaton.start()), mask(state)), (0b0101, 0b1101));
    assert_eq!(automaton.len(), 4); // dead; before a; before b; after b
}

#[test]
fn texts_match_as_a_whole() {
    let accepts = |pattern: &str, text: &str| {
        let bytes = ByteAutomaton::new(pattern, run()).unwrap();
        bytes.is_accepting(bytes.steps(START, text.as_bytes()))
    };
    assert!(accepts("a|ab", "ab") && accepts("ab|a", "a") && accepts("(a|ab)(c|bcd)", "abcd"));
    assert!(accepts("a*?", "aaa") && accepts("(?:)", "") && accepts("^a$", "a"));
    assert!(!accepts("a", "ab") && !accepts("a", "") && !accepts(".", "\n") && !accepts("a", "ba"));
    assert!(accepts(r"(?-u:\b)a(?-u:\b) b", "a b") && accepts(".", "🎉") && accepts(r"\d", "٣"));
    assert!(accepts(r"\p{Greek}+", "αβγ") && accepts("(?i)straße", "STRAßE"));
    assert!(accepts("(?m)a$\n^b", "a\nb"));
}

#[test]
fn states_that_do_the_same_are_one() {
    let len = |pattern| ByteAutomaton::new(pattern, run()).unwrap().len();
    assert_eq!(len("[ab]*"), 2);
    assert_eq!(len("(ab|ac|ad)*"), 3);
    assert_eq!(len("(aa|b)*"), 3);
    assert_eq!(len("(a|b)*a(a|b){3}"), 17);
    assert_eq!(len("abc|abd|xbc|xbd"), 5);
    // The characters of one, two, three and four bytes.
    assert_eq!(len("(?s).*"), 9);
}

#[test]
fn what_is_no_expression_says_why() {
    let refused = |pattern: &str| ByteAutomaton::new(pattern, run()).unwrap_err().to_string();
    let starts = |pattern: &str, reason: &str| {
        let got = refused(pattern);
        assert!(got.starts_with(&format!("pattern: {reason}")), "{got}");
    };
    starts("a(b", "must be a regular expression: unclosed group (at byte 1), got \"a(b\"");
    starts("(?=a)b", "must be a regular expression: look-around");
    starts(r"(a)\1", "must be a regular expression: backreferences are not supported");
    starts(r"\bé", "must not hold a word boundary of Unicode");
    starts(r"(?-u:\xFF)", "must be a regular expression: pattern can match invalid UTF-8");
    starts("[a&&b]", "must match some text, got \"[a&&b]\"");
    starts("a^", "must match some text");
    starts("(a|b)*a(a|b){30}", "the states of its automaton must take at most 64 MiB");
    starts(r"\w{10}{10}{10}{10}", "the states of its automaton must take at most 64 MiB");
    starts(&"x".repeat(1 << 18), "must have at most 131072 bytes, got 262144");
    assert!(refused(&"(".repeat(100)).ends_with(&format!("\"{}\"...", "(".repeat(60))));
}

#[test]
fn a_large_automaton_can_be_stopped() {
    let cancel = Cancel::default();
    cancel.cancel();
    let stopped = Run::new(Threads::SERIAL, &cancel);
    assert_eq!(ByteAutomaton::new("a", stopped).unwrap_err(), Error::Cancelled);
}

#[test]
fn tokens_that_do_not_fit_are_refused() {
    let made = |bytes: &[u8], lengths: &[u32], ends: &[u32]| -> Result<Vocabulary> {
        Vocabulary::new(bytes.to_vec(), lengths, ends.to_vec(), run())
    };
    let refused = |made: Result<Vocabulary>| made.unwrap_err().to_string();
    assert_eq!(refused(made(b"a", &[1], &[1])), "eos_token_id: must be below the 1 tokens, got 1");
    assert_eq!(refused(made(b"a", &[2], &[0])), "tokens: have other lengths than stated");
    assert!(refused(made(&[], &[1 << 16], &[0])).starts_with("tokens: item 0 must have less"));
    assert!(refused(made(&[], &vec![0; 1 << 21], &[0])).starts_with("tokens: must be at most"));
    let vocabulary = made(b"abab", &[1, 2, 0, 1], &[1]).unwrap();
    assert_eq!((vocabulary.token(1), vocabulary.token(3)), (&b"ba"[..], &b"b"[..]));
    // A token without text never follows, and of one that ends a text the bytes do not count.
    let automaton = token_automaton("[ab]+", Arc::new(vocabulary)).unwrap();
    assert_eq!(automaton.mask(START, u32::MAX, run()).unwrap()[0], 0b1001);
    assert_ne!(DEAD, START);
}
