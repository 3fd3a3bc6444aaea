use std::collections::HashMap;
use std::sync::Arc;

use sortes_core::Run;

use super::*;

/// Texts of a few letters, with many repetitions.
fn texts() -> Vec<Vec<u32>> {
    let mut state = 1_u64;
    let mut next = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % n
    };
    let mut out = vec![vec![], vec![7; 40], [1, 2].repeat(15)];
    for letters in [2, 2, 3, 5] {
        for length in [1, 2, 7, 33, 60] {
            out.push((0..length).map(|_| next(letters) as u32).collect());
        }
    }
    out
}

/// How often each string occurs in some texts.
fn occurrences(texts: &[&[u32]]) -> HashMap<Vec<u32>, u64> {
    let mut counts = HashMap::new();
    for text in texts {
        for start in 0..text.len() {
            for end in start + 1..=text.len() {
                *counts.entry(text[start..end].to_vec()).or_insert(0) += 1;
            }
        }
    }
    counts
}

#[test]
fn every_string_is_counted() {
    let texts = texts();
    for window in [1, 2, 4] {
        for some in texts.windows(window) {
            let lengths: Vec<u32> = some.iter().map(|text| text.len() as u32).collect();
            let made = SuffixAutomaton::new(&some.concat(), &lengths, Run::alone()).unwrap();
            let parts: Vec<&[u32]> = some.iter().map(Vec::as_slice).collect();
            let counts = occurrences(&parts);
            for (string, count) in &counts {
                assert_eq!(made.count(string.iter().copied()), *count, "{string:?} in {some:?}");
                for token in 0..3 {
                    let longer = [string.as_slice(), &[token]].concat();
                    let known = counts.get(&longer).copied().unwrap_or(0);
                    assert_eq!(made.count(longer), known, "{string:?}, {token} in {some:?}");
                }
            }
        }
    }
}

#[test]
fn a_text_that_grows_is_counted_as_one_that_is_given() {
    for text in texts() {
        let mut grown = SuffixDrafts::new(None).unwrap();
        for (i, token) in text.iter().enumerate() {
            let before = &text[..i];
            let longest = (0..=i).rev().find(|n| {
                let end = &before[i - n..];
                *n == 0 || before.windows(*n).filter(|string| *string == end).count() > 1
            });
            assert_eq!(grown.matched() as usize, longest.unwrap(), "{before:?}");
            grown.extend(&[*token], Run::alone()).unwrap();
        }
        assert_eq!(grown.tokens(), text);
        // All at once is the same, and so is what is drafted.
        let mut whole = SuffixDrafts::new(None).unwrap();
        whole.extend(&text, Run::alone()).unwrap();
        let limits = Limits { tokens: 20, depth: 6, least: 1e-3 };
        let drafts = [&grown, &whole].map(|text| text.draft(&limits, Run::alone()).unwrap());
        assert_eq!(drafts[0], drafts[1]);
    }
}

#[test]
fn drafts_stand_in_the_text_and_are_sorted() {
    let corpus: Vec<u32> = texts().concat();
    let length = corpus.len() as u32;
    let corpus = Arc::new(SuffixAutomaton::new(&corpus, &[length], Run::alone()).unwrap());
    for text in texts() {
        for corpus in [None, Some(Arc::clone(&corpus))] {
            let mut drafts = SuffixDrafts::new(corpus).unwrap();
            drafts.extend(&text, Run::alone()).unwrap();
            let limits = Limits { tokens: 12, depth: 4, least: 0.01 };
            let draft = drafts.draft(&limits, Run::alone()).unwrap();
            let mut depths = vec![0];
            let mut siblings = std::collections::HashSet::new();
            for node in 1..draft.tokens.len() {
                let parent = draft.parents[node] as usize;
                assert!(parent < node && draft.counts[node] > 0);
                assert!(draft.probs[node] <= draft.probs[node - 1] && draft.probs[node] >= 0.01);
                depths.push(depths[parent] + 1);
                assert!(depths[node] <= 4 && siblings.insert((parent, draft.tokens[node])));
            }
            assert!(draft.tokens.len() <= 13);
            let less = Limits { tokens: 5, ..limits };
            let fewer = drafts.draft(&less, Run::alone()).unwrap();
            assert_eq!(fewer.tokens, draft.tokens[..draft.tokens.len().min(6)]);
        }
    }
}

#[test]
fn a_table_goes_on() {
    let mut drafts = SuffixDrafts::new(None).unwrap();
    drafts.extend(&[1, 2, 3, 4, 5, 1, 2, 3], Run::alone()).unwrap();
    assert_eq!(drafts.matched(), 3);
    let limits = Limits { tokens: 4, depth: 9, least: 0.0 };
    let draft = drafts.draft(&limits, Run::alone()).unwrap();
    assert_eq!(draft.tokens, [3, 4, 5, 1, 2]);
    assert_eq!(draft.parents, [-1, 0, 1, 2, 3]);
    // One of one behind three tokens.
    let escape = 8.0 / 3.0_f64.powf(1.5);
    assert!((draft.probs[1] - 1.0 / (1.0 + escape)).abs() < 1e-15);
}

#[test]
fn repetition_takes_linear_time() {
    let text = vec![3; 1 << 20];
    let mut drafts = SuffixDrafts::new(None).unwrap();
    drafts.extend(&text, Run::alone()).unwrap();
    assert_eq!(drafts.matched() as usize, text.len() - 1);
}
