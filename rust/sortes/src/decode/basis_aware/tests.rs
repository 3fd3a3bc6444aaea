//! Proofs checked from the definition, and restricted programs against whole ones.

use std::sync::Arc;

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Draws, Purpose, Stream};
use sortes_core::simd::{available_levels, with_level};
use sortes_core::{Result, Run};

use super::columns::Columns;
use super::law::Law;
use super::*;

fn draws(entity: u64) -> Draws {
    Stream::new(2310).draws(Purpose::Uniform, entity)
}

/// A vocabulary of `n` tokens with `rank` coordinates, and a distribution over it.
///
/// Every third case has coordinates from a few integers, so that tokens coincide; every fourth has
/// tokens without mass.
fn problem(case: u64, n: usize, rank: usize) -> (Arc<Features>, Vec<f64>) {
    let mut draws = draws(case);
    let mut matrix = Vec::new();
    for _ in 0..n {
        for _ in 0..rank {
            let a = draws.normal();
            matrix.push(if case % 3 == 1 { a.round() as f32 } else { a as f32 });
        }
        matrix.push(1.0);
    }
    let spread = [0.0, 1.0, 3.0][case as usize % 3];
    let mut p: Vec<f64> = (0..n).map(|_| (spread * draws.normal()).exp()).collect();
    if case % 4 == 3 {
        p.iter_mut().skip(1).step_by(3).for_each(|p| *p = 0.0);
    }
    let total: f64 = p.iter().sum();
    for p in &mut p {
        *p /= total;
    }
    (features(matrix, rank + 1).unwrap(), p)
}

fn features(matrix: Vec<f32>, dim: usize) -> Result<Arc<Features>> {
    Features::new(matrix, dim, Run::alone()).map(Arc::new)
}

fn sampler(features: &Arc<Features>, settings: Settings) -> BasisAware {
    BasisAware { features: features.clone(), settings, max_programs: u32::MAX, strict: true }
}

/// The settings under test: whole programs, and restricted ones of very few columns.
fn all_settings() -> Vec<Settings> {
    let mut all = Vec::new();
    for nonneg in [true, false] {
        for (direct, band) in [(4096, 2048), (0, 8), (0, 2)] {
            all.push(Settings { nonneg, max_pivots: 100_000, direct, band });
        }
    }
    all
}

fn critical_values(features: &Arc<Features>, settings: Settings, p: &[f64]) -> Vec<f64> {
    let tokens: Vec<usize> = (0..p.len()).collect();
    sampler(features, settings).critical_of(p.to_vec(), &tokens, 0, Run::alone()).unwrap()
}

/// The coordinates of token `j` in the caller's scale.
fn column(features: &Features, j: usize) -> Vec<f64> {
    features
        .unscaled(&vec![1.0; features.dim()])
        .iter()
        .zip(features.row(j))
        .map(|(s, &a)| f64::from(a) / s)
        .collect()
}

/// Checks a decision against the definition.
fn check(features: &Features, nonneg: bool, p: &[f64], i: usize, tau: f64, decision: &Decision) {
    let sigma = 1.0 / (1.0 - tau);
    match decision {
        Decision::Kept(y) => {
            let mut f = 0.0;
            for (j, &mass) in p.iter().enumerate() {
                let r: f64 = column(features, j).iter().zip(y).map(|(a, y)| a * y).sum();
                let size: f64 = column(features, j).iter().zip(y).map(|(a, y)| (a * y).abs()).sum();
                f += if j == i { 0.0 } else { sigma * mass * r.max(0.0) } - mass * r;
                assert!(nonneg || j == i || mass == 0.0 || r >= -1e-12 * size, "a_{j} . y = {r}");
            }
            assert!(f < 0.0, "f(y) = {f}");
        }
        Decision::Removed(q) => {
            assert_eq!(q[i], 0.0);
            for (q, p) in q.iter().zip(p) {
                assert!(*q <= sigma * p + 1e-12, "{q} is too large for {p}");
                assert!(!nonneg || *q >= -1e-12, "{q} is negative");
            }
            for k in 0..features.dim() {
                let moved: f64 = (0..p.len()).map(|j| (q[j] - p[j]) * column(features, j)[k]).sum();
                assert!(moved.abs() < 1e-9, "coordinate {k} of the mean moves by {moved}");
            }
        }
    }
}

#[test]
fn both_sides_of_every_critical_value_have_a_proof() {
    for case in 0..24 {
        let (features, p) = problem(case, 10 + case as usize, case as usize % 6);
        for settings in all_settings() {
            for (i, t) in critical_values(&features, settings, &p).into_iter().enumerate() {
                if p[i] == 0.0 {
                    assert_eq!(t, 0.0);
                    continue;
                }
                assert!(t >= p[i] && t <= 1.0);
                for (tau, kept) in [(t * (1.0 - 1e-6), true), (t * (1.0 + 1e-6), false)] {
                    if tau < 1.0 {
                        let decision = sampler(&features, settings)
                            .decide_of(p.clone(), i, tau, Run::alone())
                            .unwrap();
                        assert_eq!(matches!(decision, Decision::Kept(_)), kept, "{case} {i} {tau}");
                        check(&features, settings.nonneg, &p, i, tau, &decision);
                    }
                }
            }
        }
    }
}

#[test]
fn restricted_programs_agree_with_whole_ones() {
    for case in 24..36 {
        let (features, p) = problem(case, 150, 5);
        let all: Vec<Vec<f64>> =
            all_settings().iter().map(|&s| critical_values(&features, s, &p)).collect();
        for values in [&all[1], &all[2]] {
            assert!(values.iter().zip(&all[0]).all(|(x, y)| (x - y).abs() <= 1e-9 * y));
        }
        for values in [&all[4], &all[5]] {
            assert!(values.iter().zip(&all[3]).all(|(x, y)| (x - y).abs() <= 1e-9 * y));
        }
        // More vectors q are allowed without the bound below: fewer tokens must be real.
        assert!(all[3].iter().zip(&all[0]).all(|(signed, t)| signed <= &(t * (1.0 + 1e-9))));
    }
}

#[test]
fn the_keep_set_is_that_of_the_critical_values() {
    for case in 0..12 {
        let (features, p) = problem(case, 120, 4);
        for settings in all_settings() {
            let t = critical_values(&features, settings, &p);
            for tau in [0.0, 1e-4, 3e-3, 0.02, 0.2, 0.9] {
                let kept: Vec<bool> = p.iter().map(|&p| p >= tau && p > 0.0).collect();
                let law = Law { p: p.clone(), kept: kept.clone(), tau };
                let mut mask = vec![true; p.len()];
                sampler(&features, settings).keep(law, 0, &mut mask, Run::alone()).unwrap();
                for (i, is_member) in mask.into_iter().enumerate() {
                    assert_eq!(is_member, kept[i] || t[i] > tau, "{case} {i} {tau} {}", t[i]);
                }
            }
        }
    }
}

#[test]
fn without_columns_this_is_the_threshold_rule() {
    let (features, p) = problem(2, 30, 0);
    for settings in all_settings() {
        assert!(
            critical_values(&features, settings, &p)
                .iter()
                .zip(&p)
                .all(|(t, p)| (t - p).abs() < 1e-15)
        );
    }
}

#[test]
fn the_only_token_is_kept() {
    let (features, _) = problem(0, 3, 2);
    for settings in all_settings() {
        assert_eq!(critical_values(&features, settings, &[0.0, 1.0, 0.0]), [0.0, 1.0, 0.0]);
    }
}

#[test]
fn a_vanishing_coordinate_changes_nothing() {
    let (plain, p) = problem(5, 20, 2);
    let padded = (0..20).flat_map(|j| {
        let a = column(&plain, j);
        [a[0] as f32, 0.0, a[1] as f32, 1.0]
    });
    let padded = features(padded.collect(), 4).unwrap();
    for settings in all_settings() {
        let (x, y) =
            (critical_values(&plain, settings, &p), critical_values(&padded, settings, &p));
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-12));
    }
}

#[test]
fn the_step_limit_and_cancellation_are_reported() {
    let (features, p) = problem(8, 60, 5);
    let token = (0..60).find(|&i| p[i] < 0.005).unwrap();
    let mut settings = Settings::new(true, 1);
    let solve = |settings, cancel: &Cancel| {
        let run = Run::new(Threads::SERIAL, cancel);
        sampler(&features, settings).critical_of(p.clone(), &[token], 3, run)
    };
    let error = solve(settings, &Cancel::default()).unwrap_err().to_string();
    let expected =
        format!("logits: row 3: program of token {token}: undecided after max_pivots=1 steps");
    assert_eq!(error, expected);
    settings.max_pivots = 1000;
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(solve(settings, &cancel), Err(Error::Cancelled));
}

#[test]
fn sweeps_agree_on_every_instruction_set() {
    let mut draws = draws(99);
    for len in [0, 1, 15, 16, 17, 100] {
        let mut columns = Columns::new(5, len).unwrap();
        let rows: Vec<Vec<f32>> =
            (0..len).map(|_| (0..5).map(|_| draws.normal() as f32).collect()).collect();
        for row in &rows {
            columns.push(row).unwrap();
        }
        let y: Vec<f64> = (0..5).map(|_| draws.normal()).collect();
        let expected: Vec<f64> = rows
            .iter()
            .map(|row| row.iter().zip(&y).fold(0.0, |sum, (&a, y)| sum + f64::from(a) * y))
            .collect();
        for level in available_levels() {
            let mut out = vec![f64::NAN; 3];
            with_level(level, || columns.dots(&y, &mut out));
            assert_eq!(out, expected, "{level:?}");
        }
        for (j, row) in rows.iter().enumerate() {
            assert!(columns.column(j).zip(row).all(|(a, &b)| a == f64::from(b)));
        }
    }
}

#[test]
fn bad_features_are_reported() {
    let error = |matrix, dim| features(matrix, dim).unwrap_err().to_string();
    assert_eq!(error(vec![1.0; 3], 2), "features: 3 numbers are not rows of 2");
    assert_eq!(error(vec![f32::NAN, 1.0], 2), "features: column 0 is not finite");
    let expected = "features: the last column must hold ones, token 1 has another number";
    assert_eq!(error(vec![2.0, 1.0, 2.0, 3.0], 2), expected);
}

#[test]
fn states_come_back_from_bytes_and_others_do_not() {
    let run = Run::alone();
    for (case, rank) in [(0, 0), (1, 2), (2, 3)] {
        let (features, p) = problem(case, 31, rank);
        let settings = Settings::new(case % 2 == 0, 77 + case as usize);
        let kept = BasisAware { max_programs: 5, strict: false, ..sampler(&features, settings) };
        let bytes = kept.to_bytes(run).unwrap();
        let again = BasisAware::from_bytes(&bytes, run).unwrap();
        assert_eq!(again.to_bytes(run).unwrap(), bytes);
        assert!(again.features.matrix().eq(features.matrix()));
        assert_eq!(
            critical_values(&again.features, settings, &p),
            critical_values(&features, settings, &p)
        );
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 4;
            let error = BasisAware::from_bytes(&broken, run).unwrap_err().to_string();
            assert!(error.starts_with("data: "), "{error}");
        }
        assert!(BasisAware::from_bytes(&bytes[..bytes.len() - 8], run).is_err());
    }
    // Sealed nonsense: two tokens with a rank of two, then one change each.
    let head = &sampler(&problem(0, 2, 1).0, Settings::new(true, 9)).to_bytes(run).unwrap()[..16];
    let head = head.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word));
    let one = u64::from(1.0_f32.to_bits());
    let right = [1, 9, 64, 0, 2, 4, one << 32 | one, one << 32 | one];
    for (at, value) in [(0, 2), (1, 0), (2, 1 << 32), (3, 2), (4, 3), (4, 0), (5, 5), (6, 0)] {
        let mut fields = right;
        fields[at] = value;
        let words: Vec<u64> = head.clone().chain(fields).collect();
        let error = BasisAware::from_bytes(&sortes_core::bytes::seal(&words), run).unwrap_err();
        assert!(error.to_string().starts_with("data: corrupt"), "{at}: {error}");
    }
    let words: Vec<u64> = head.chain(right).collect();
    assert!(BasisAware::from_bytes(&sortes_core::bytes::seal(&words), run).is_ok());
}

#[test]
fn making_features_answers_a_stop_request() {
    let cancel = Cancel::default();
    cancel.cancel();
    let run = Run::new(Threads::SERIAL, &cancel);
    assert_eq!(Features::new(vec![1.0; 10], 2, run).err(), Some(Error::Cancelled));
}
