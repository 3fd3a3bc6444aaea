//! The three methods against the definition, on trees that can be listed.

use super::*;
use crate::decode::{Call, Mask, Options, Rows, Rules};
use crate::sequences::automaton::{ByteAutomaton, TokenAutomaton, Vocabulary};
use crate::sequences::tree::Constraint;
use sortes_core::Run;
use sortes_core::resample::Scheme;
use std::collections::HashMap;
use std::sync::Arc;

struct Matrix(Vec<f32>, usize);

impl Rows<f32> for Matrix {
    fn rows(&self) -> usize {
        self.0.len() / self.1
    }
    fn cols(&self) -> usize {
        self.1
    }
    fn row(&self, row: usize) -> &[f32] {
        &self.0[row * self.1..][..self.1]
    }
}

const SIZE: usize = 3;

/// Logits of a model of three tokens, the first of which ends a text.
fn logits(path: &[i64]) -> Vec<f32> {
    let name = path.iter().fold(1, |name, token| name * 31 + *token as u64);
    let mut draws = Stream::new(11).draws(Purpose::Uniform, name);
    (0..SIZE).map(|_| draws.uniform() as f32 * 3.0).collect()
}

fn rows(paths: &[Vec<i64>]) -> Matrix {
    Matrix(paths.iter().flat_map(|path| logits(path)).collect(), SIZE)
}

fn ln_p(path: &[i64]) -> Vec<f64> {
    let row: Vec<f64> = logits(path).into_iter().map(f64::from).collect();
    let z = row.iter().map(|l| l.exp()).sum::<f64>().ln();
    row.iter().map(|l| l - z).collect()
}

/// Whether the tokens match `(ab)*a?`, with `a` and `b` for 1 and 2, so far; and whether they may end.
fn matches(path: &[i64]) -> bool {
    path.iter().filter(|t| **t != 0).enumerate().all(|(i, t)| *t == 1 + i as i64 % 2)
}

fn target(alpha: f64, power: f64, completes: Option<bool>) -> Target {
    let constraint = completes.map(|completes| {
        let vocabulary =
            Vocabulary::new(b"ab".to_vec(), &[0, 1, 1], vec![0], Run::alone()).unwrap();
        let bytes = ByteAutomaton::new("(ab)*a?", Run::alone()).unwrap();
        let automaton = TokenAutomaton::new(bytes, Arc::new(vocabulary), Run::alone()).unwrap();
        Constraint { automaton: Arc::new(automaton), completes }
    });
    Target { alpha, power, tokens: 4, ends: vec![0], constraint }
}

/// The weight of every text.
fn texts(target: &Target) -> HashMap<Vec<i64>, f64> {
    let mut texts = HashMap::new();
    let mut open = vec![(vec![], 0.0)];
    while let Some((path, before)) = open.pop() {
        for (token, l) in ln_p(&path).iter().enumerate() {
            let mut longer: Vec<i64> = path.clone();
            longer.push(token as i64);
            if token == 0 || longer.len() == 4 {
                let is_legal = target.constraint.as_ref().is_none_or(|constraint| {
                    matches(&longer) && (token == 0 || !constraint.completes)
                });
                if is_legal {
                    texts.insert(longer, (target.alpha * (before + l)).exp());
                }
            } else {
                open.push((longer, before + l));
            }
        }
    }
    texts
}

fn with_call<R>(f: impl FnOnce(&Call<'_>) -> R) -> R {
    let rules = Rules::new(Options::default());
    let streams = [Stream::new(0)];
    f(&Call { rules: &rules, streams: &streams, rows: None, bias: None, mask: Mask::None })
}

fn run_particles(target: Target, n: usize, threshold: f64, key: u64) -> Particles {
    let resampling = Resampling { scheme: Scheme::Systematic, threshold };
    let run = Run::alone();
    let mut particles = Particles::new(target, n, resampling, Stream::new(key), run).unwrap();
    loop {
        let open = particles.beginnings().unwrap();
        if open.is_empty() {
            return particles;
        }
        with_call(|call| particles.step(call, &rows(&open), run)).unwrap();
    }
}

const KINDS: [(f64, f64, Option<bool>); 6] = [
    (4.0, 4.0, None),
    (4.0, 2.0, None),
    (0.5, 1.0, None),
    (1.0, 1.0, Some(true)),
    (2.0, 1.5, Some(true)),
    (3.0, 3.0, Some(false)),
];

#[test]
fn weighted_particles_are_unbiased() {
    for (alpha, power, completes) in KINDS {
        let law = texts(&target(alpha, power, completes));
        let z: f64 = law.values().sum();
        for threshold in [0.0, 0.7, 1.0] {
            const RUNS: u64 = 3000;
            let (mut sum, mut squares) = (0.0, 0.0);
            let mut mass: HashMap<Vec<i64>, f64> = HashMap::new();
            for key in 0..RUNS {
                let particles = run_particles(target(alpha, power, completes), 5, threshold, key);
                let z = particles.ln_z().exp();
                sum += z;
                squares += z * z;
                let total: f64 = particles.ln_w().iter().map(|l| l.exp()).sum();
                for (text, l) in particles.texts().unwrap().into_iter().zip(particles.ln_w()) {
                    if *l > f64::NEG_INFINITY {
                        *mass.entry(text.tokens).or_default() += z * l.exp() / total;
                    }
                }
            }
            let n = RUNS as f64;
            let error = ((squares / n - (sum / n).powi(2)) / n).sqrt();
            assert!((sum / n - z).abs() <= 5.0 * error + 1e-7 * z, "{alpha} {power} {threshold}");
            let apart: f64 = law
                .iter()
                .map(|(text, w)| (mass.get(text).unwrap_or(&0.0) / n - w).abs())
                .sum::<f64>();
            assert!(mass.keys().all(|text| law.contains_key(text)));
            assert!(apart / z < 0.15, "{alpha} {power} {threshold}: {}", apart / z);
        }
    }
}

#[test]
fn a_transition_leaves_the_law_as_it_is() {
    // Chains that are long enough: the first text does not matter any more.
    let kinds =
        [(1.5, 1.5, None), (0.5, 1.0, None), (1.5, 1.2, Some(true)), (1.0, 1.0, Some(false))];
    for (alpha, power, completes) in kinds {
        let law = texts(&target(alpha, power, completes));
        let z: f64 = law.values().sum();
        for blocks in [1, 3] {
            let schedule = Schedule { blocks, steps: 60 };
            let run = Run::alone();
            let n = 4000;
            let given = target(alpha, power, completes);
            let mut chains = Chains::new(given, n, schedule, Stream::new(3), run).unwrap();
            loop {
                let open = chains.beginnings().unwrap();
                if open.is_empty() {
                    break;
                }
                with_call(|call| chains.step(call, &rows(&open), run)).unwrap();
            }
            assert_eq!(chains.transitions(), (chains.transitions().0, chains.transitions().0));
            let mut counts: HashMap<Vec<i64>, f64> = HashMap::new();
            for (text, is_alive) in chains.texts().unwrap() {
                assert!(is_alive);
                let path: f64 = (0..text.tokens.len())
                    .map(|i| ln_p(&text.tokens[..i])[text.tokens[i] as usize])
                    .sum();
                assert!((path - text.ln_p).abs() < 1e-5);
                *counts.entry(text.tokens).or_default() += 1.0 / n as f64;
            }
            let mut chi = 0.0;
            for (text, w) in &law {
                let p = w / z;
                chi += (counts.get(text).unwrap_or(&0.0) - p).powi(2) / p * n as f64;
            }
            let df = law.len() as f64 - 1.0;
            assert!(chi < df + 6.0 * (2.0 * df).sqrt() + 12.0, "{alpha} {power} {blocks}: {chi}");
        }
    }
}

#[test]
fn the_list_is_whole() {
    for (alpha, _, completes) in KINDS {
        let law = texts(&target(alpha, alpha, completes));
        let z: f64 = law.values().sum();
        for most in [1, 3, 100] {
            let run = Run::alone();
            let mut listing = Listing::new(target(alpha, alpha, completes), 1000, run).unwrap();
            loop {
                let open = listing.beginnings(most).unwrap();
                if open.is_empty() {
                    break;
                }
                with_call(|call| listing.step(call, &rows(&open), run)).unwrap();
            }
            assert!((listing.ln_z() - z.ln()).abs() < 1e-6);
            for (i, l) in listing.ln_w().iter().enumerate() {
                let text = listing.text(i).unwrap();
                assert!((l.exp() / law[&text.tokens] - 1.0).abs() < 1e-5);
            }
        }
        let run = Run::alone();
        let mut short = Listing::new(target(alpha, alpha, completes), 2, run).unwrap();
        let error = loop {
            match short.beginnings(1) {
                Ok(open) => with_call(|call| short.step(call, &rows(&open), run)).unwrap(),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().starts_with("max_nodes: 2 beginnings"), "{error}");
    }
}

#[test]
fn picks_follow_the_weights() {
    let ln_w = [0.0, f64::NEG_INFINITY, 1.0, 2.0];
    let total: f64 = ln_w.iter().map(|l| l.exp()).sum();
    for again in [false, true] {
        let picks = pick(&ln_w, 40_000, Stream::new(1), again).unwrap();
        for (i, l) in ln_w.iter().enumerate() {
            let p = l.exp() / total;
            let share = picks.iter().filter(|pick| **pick == i as i64).count() as f64 / 40_000.0;
            assert!((share - p).abs() <= 5.0 * (p * (1.0 - p) / 40_000.0).sqrt());
        }
    }
    assert_ne!(
        pick(&ln_w, 40, Stream::new(1), false).unwrap(),
        pick(&ln_w, 40, Stream::new(1), true).unwrap()
    );
    assert!(pick(&[f64::NEG_INFINITY], 3, Stream::new(1), false).unwrap().is_empty());
}
