//! The search against what the definition says, on trees that can be listed.

use super::*;
use crate::sequences::automaton::{ByteAutomaton, TokenAutomaton, Vocabulary};
use sortes_core::Run;
use sortes_core::rng::{Purpose, Stream};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

fn run() -> Run<'static> {
    Run::alone()
}

/// A model of `size` tokens, the first of which ends a text: probabilities by the beginning.
fn law(path: &[i64], size: usize) -> Vec<f64> {
    let name = path.iter().fold(1, |name, token| name * 31 + *token as u64);
    let mut draws = Stream::new(5).draws(Purpose::Uniform, name);
    let weights: Vec<f64> = (0..size).map(|_| draws.uniform().powi(2) + 0.01).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / sum).ln()).collect()
}

fn grow(tree: &mut SequenceTree, size: usize, together: usize) -> Vec<(Vec<i64>, Found)> {
    let tokens: Vec<i64> = (0..size as i64).collect();
    while !tree.is_finished() {
        let batch = tree.next_batch(together).unwrap();
        assert!(!batch.is_empty());
        for node in batch {
            let ln_p = law(&tree.path(node).unwrap(), size);
            tree.expand_listed(node, &tokens, &ln_p, run()).unwrap();
        }
    }
    tree.found().iter().map(|f| (tree.path(f.node).unwrap(), *f)).collect()
}

fn all_texts(size: usize, longest: usize) -> HashMap<Vec<i64>, f64> {
    let mut texts = HashMap::new();
    let mut open = vec![(vec![], 0.0)];
    while let Some((path, ln_p)) = open.pop() {
        for (token, l) in law(&path, size).iter().enumerate() {
            let mut longer = path.clone();
            longer.push(token as i64);
            if token == 0 || longer.len() == longest {
                texts.insert(longer, ln_p + l);
            } else {
                open.push((longer, ln_p + l));
            }
        }
    }
    texts
}

const ALL: [Priority; 3] = [Priority::Gumbel, Priority::Token, Priority::Sequence];

#[test]
fn every_sequence_comes_once() {
    let texts = all_texts(4, 4);
    for priority in ALL {
        let limits = Limits { sequences: 10_000, tokens: 4 };
        let mut tree =
            SequenceTree::new(priority, limits, vec![0], None, Stream::new(1), run()).unwrap();
        let found = grow(&mut tree, 4, 3);
        assert_eq!(found.len(), texts.len(), "{priority:?}");
        let distinct: HashSet<_> = found.iter().map(|(path, _)| path).collect();
        assert_eq!(distinct.len(), texts.len());
        for (path, found) in &found {
            assert!((found.ln_p - texts[path]).abs() < 1e-12);
            assert_eq!(found.is_complete, path.last() == Some(&0));
            assert_eq!(found.len as usize, path.len());
        }
        assert_eq!(tree.kappa(), f64::NEG_INFINITY);
    }
}

#[test]
fn neither_the_batch_nor_what_is_dropped_matters() {
    for priority in ALL {
        for stream in (0..20).map(Stream::new) {
            let search = |sequences, together| {
                let limits = Limits { sequences, tokens: 6 };
                let mut tree =
                    SequenceTree::new(priority, limits, vec![0], None, stream, run()).unwrap();
                let found = grow(&mut tree, 5, together);
                let short = |(path, f): (Vec<i64>, Found)| {
                    (path, f.ln_p, f.priority.to_bits(), f.is_complete)
                };
                (found.into_iter().map(short).collect::<Vec<_>>(), tree.kappa())
            };
            // The one that drops nothing knows all.
            let (all, _) = search(5000, 1);
            for n in [1, 2, 7, 30] {
                let (first, kappa) = search(n, 1);
                assert_eq!(first, all[..n], "{priority:?}");
                if priority == Priority::Gumbel {
                    assert_eq!(kappa.to_bits(), all[n].2);
                }
                for together in [2, 5, 1000] {
                    assert_eq!(search(n, together).0, first, "{priority:?} {n} {together}");
                }
            }
        }
    }
}

/// The automaton of an expression over `a`, `b` and `ab`, which are the tokens 1 to 3; 0 ends a text.
fn constraint(pattern: &str, completes: bool) -> Constraint {
    let vocabulary = Vocabulary::new(b"abab".to_vec(), &[0, 1, 1, 2], vec![0], run()).unwrap();
    let bytes = ByteAutomaton::new(pattern, run()).unwrap();
    let automaton = TokenAutomaton::new(bytes, Arc::new(vocabulary), run()).unwrap();
    Constraint { automaton: Arc::new(automaton), completes }
}

/// Everything that may come of a constraint, with its probability and the legal mass of each step.
fn all_legal(
    constraint: &Constraint,
    longest: u32,
    law: impl Fn(&[i64]) -> Vec<f64>,
) -> HashMap<Vec<i64>, (f64, Vec<f64>)> {
    let automaton = &constraint.automaton;
    let mut texts = HashMap::new();
    let mut open = vec![(vec![], automaton.start(), 0.0, vec![])];
    while let Some((path, state, ln_p, masses)) = open.pop() {
        let left = longest - path.len() as u32;
        let legal: Vec<_> = (0..4i64)
            .zip(law(&path))
            .filter_map(|(token, l)| Some((token, automaton.advance(state, token as u32)?, l)))
            .filter(|(_, next, l)| {
                let short = automaton.shortest(*next, run()).unwrap() < left;
                *l > f64::NEG_INFINITY && (short || !constraint.completes)
            })
            .collect();
        let mass = legal.iter().map(|(_, _, l)| l.exp()).sum::<f64>().ln();
        for (token, next, l) in legal {
            let (longer, masses) =
                ([&path[..], &[token]].concat(), [&masses[..], &[mass]].concat());
            if token == 0 || left == 1 {
                texts.insert(longer, (ln_p + l - mass, masses));
            } else {
                open.push((longer, next, ln_p + l - mass, masses));
            }
        }
    }
    texts
}

#[test]
fn texts_match_and_every_one_comes_once() {
    for (pattern, completes) in
        [("(ab)+", true), ("(ab)+", false), ("[ab]{2,5}", true), ("a+b?", false)]
    {
        let constraint = constraint(pattern, completes);
        let texts = all_legal(&constraint, 5, |path| law(path, 4));
        for priority in ALL {
            let limits = Limits { sequences: 10_000, tokens: 5 };
            let given = Some(constraint.clone());
            let stream = Stream::new(1);
            let mut tree =
                SequenceTree::new(priority, limits, vec![0], given, stream, run()).unwrap();
            let found = grow(&mut tree, 4, 3);
            assert_eq!(found.len(), texts.len(), "{priority:?} {pattern}");
            for (path, found) in &found {
                let (ln_p, masses) = &texts[path];
                assert!((found.ln_p - ln_p).abs() < 1e-12);
                let ln_legal = tree.ln_legal(found.node).unwrap();
                assert!(ln_legal.iter().zip(masses).all(|(a, b)| (a - b).abs() < 1e-12));
                assert_eq!(ln_legal.len(), path.len());
                assert!(found.is_complete || !completes);
            }
        }
    }
}

#[test]
fn beginnings_that_come_to_nothing_lose_no_text() {
    // A model that has nothing to say after some beginnings.
    let sparse = |path: &[i64]| {
        let name = path.iter().fold(7, |name, token| name * 31 + *token as u64);
        let mut draws = Stream::new(6).draws(Purpose::Uniform, name);
        let is_mute = !path.is_empty() && draws.uniform() < 0.4;
        if is_mute { vec![f64::NEG_INFINITY; 4] } else { law(path, 4) }
    };
    let constraint = constraint("[ab]*", true);
    let texts = all_legal(&constraint, 9, sparse);
    assert!(texts.len() > 100, "{}", texts.len());
    let (mut anew, tokens) = (0, [0, 1, 2, 3]);
    for priority in ALL {
        let mut search = |sequences, together| {
            let limits = Limits { sequences, tokens: 9 };
            let given = Some(constraint.clone());
            let stream = Stream::new(2);
            let mut tree =
                SequenceTree::new(priority, limits, vec![0], given, stream, run()).unwrap();
            let mut roots = 0;
            while !tree.is_finished() {
                for node in tree.next_batch(together).unwrap() {
                    let path = tree.path(node).unwrap();
                    roots += usize::from(path.is_empty());
                    tree.expand_listed(node, &tokens, &sparse(&path), run()).unwrap();
                }
            }
            anew += roots - 1;
            let short = |f: &Found| (tree.path(f.node).unwrap(), f.ln_p, f.priority.to_bits());
            tree.found().iter().map(short).collect::<Vec<_>>()
        };
        let all = search(5000, 1);
        assert_eq!(all.len(), texts.len());
        assert!(all.iter().all(|(path, ln_p, _)| (ln_p - texts[path].0).abs() < 1e-12));
        for n in [1, 2, 7, 30, 90] {
            for together in [1, 3, 1000] {
                assert_eq!(search(n, together), all[..n], "{priority:?} {n} {together}");
            }
        }
    }
    assert!(anew > 5, "{anew}");
}

#[test]
fn a_limit_that_is_too_short_for_any_text_is_refused() {
    let made = |tokens, completes| {
        let limits = Limits { sequences: 3, tokens };
        let given = Some(constraint("(ab){3}", completes));
        SequenceTree::new(Priority::Token, limits, vec![0], given, Stream::new(1), run())
    };
    let error = made(3, true).unwrap_err().to_string();
    assert_eq!(
        error,
        "max_new_tokens: must be at least 4, as the shortest text of the automaton takes, got 3"
    );
    assert!(made(4, true).is_ok() && made(3, false).is_ok());
}

#[test]
fn perturbed_values_descend_from_a_gumbel_variable() {
    let limits = Limits { sequences: 50, tokens: 5 };
    let mut tree =
        SequenceTree::new(Priority::Gumbel, limits, vec![0], None, Stream::new(3), run()).unwrap();
    let root = tree.kappa();
    let found = grow(&mut tree, 6, 4);
    assert_eq!(found[0].1.priority, root);
    assert!(found.windows(2).all(|pair| pair[0].1.priority >= pair[1].1.priority));
    assert!(tree.kappa() <= found[49].1.priority);
}

#[test]
fn unlikely_depths_do_not_overflow() {
    // Two hundred tokens of a thousand each: probabilities far below the least double.
    let limits = Limits { sequences: 3, tokens: 200 };
    let mut tree =
        SequenceTree::new(Priority::Gumbel, limits, vec![], None, Stream::new(3), run()).unwrap();
    let (tokens, ln_p) = ((0..1000).collect::<Vec<i64>>(), vec![(1e-3f64).ln(); 1000]);
    while !tree.is_finished() {
        for node in tree.next_batch(8).unwrap() {
            tree.expand_listed(node, &tokens, &ln_p, run()).unwrap();
        }
    }
    assert_eq!(tree.found().len(), 3);
    assert!(tree.found().iter().all(|f| f.priority.is_finite() && f.len == 200));
    // Siblings of the best path are as good as any other text: no value is far below the first.
    assert!(tree.kappa() > tree.found()[0].priority - 20.0);
}

#[test]
fn what_does_not_belong_is_refused() {
    let limits = Limits { sequences: 3, tokens: 4 };
    for priority in ALL {
        let mut tree =
            SequenceTree::new(priority, limits, vec![0], None, Stream::new(1), run()).unwrap();
        let refused = |error: sortes_core::Result<()>, name: &str| {
            assert!(error.unwrap_err().to_string().starts_with(name));
        };
        refused(tree.expand_listed(7, &[0], &[0.0], run()), "nodes: there is no node 7");
        refused(tree.expand_listed(0, &[0], &[], run()), "logprobs: has 0");
        refused(tree.expand_listed(0, &[-1], &[0.0], run()), "tokens: item 0");
        refused(tree.expand_listed(0, &[1], &[f64::NAN], run()), "logprobs: item 0");
        refused(tree.expand_listed(0, &[1], &[f64::NEG_INFINITY], run()), "logprobs: no token");
        tree.expand_listed(0, &[0], &[0.0], run()).unwrap();
        assert!(tree.is_finished());
        assert_eq!(tree.found().len(), 1);
    }
}
