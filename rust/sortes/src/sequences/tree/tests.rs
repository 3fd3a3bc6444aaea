//! The search against what the definition says, on trees that can be listed.

use super::*;
use sortes_core::rng::{Purpose, Stream};
use std::collections::{HashMap, HashSet};

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
            tree.expand_listed(node, &tokens, &ln_p).unwrap();
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
        let mut tree = SequenceTree::new(priority, limits, vec![0], Stream::new(1)).unwrap();
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
                let mut tree = SequenceTree::new(priority, limits, vec![0], stream).unwrap();
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

#[test]
fn perturbed_values_descend_from_a_gumbel_variable() {
    let limits = Limits { sequences: 50, tokens: 5 };
    let mut tree = SequenceTree::new(Priority::Gumbel, limits, vec![0], Stream::new(3)).unwrap();
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
    let mut tree = SequenceTree::new(Priority::Gumbel, limits, vec![], Stream::new(3)).unwrap();
    let (tokens, ln_p) = ((0..1000).collect::<Vec<i64>>(), vec![(1e-3f64).ln(); 1000]);
    while !tree.is_finished() {
        for node in tree.next_batch(8).unwrap() {
            tree.expand_listed(node, &tokens, &ln_p).unwrap();
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
        let mut tree = SequenceTree::new(priority, limits, vec![0], Stream::new(1)).unwrap();
        let refused = |error: sortes_core::Result<()>, name: &str| {
            assert!(error.unwrap_err().to_string().starts_with(name));
        };
        refused(tree.expand_listed(7, &[0], &[0.0]), "nodes: there is no node 7");
        refused(tree.expand_listed(0, &[0], &[]), "logprobs: has 0");
        refused(tree.expand_listed(0, &[-1], &[0.0]), "tokens: item 0");
        refused(tree.expand_listed(0, &[1], &[f64::NAN]), "logprobs: item 0");
        refused(tree.expand_listed(0, &[1], &[f64::NEG_INFINITY]), "logprobs: no token");
        tree.expand_listed(0, &[0], &[0.0]).unwrap();
        assert!(tree.is_finished());
        assert_eq!(tree.found().len(), 1);
    }
}
