//! Every rule against its definition, written down with a sort in `f64`, on rows long enough for the
//! scanning paths: flat, peaked, tied, masked.

#![allow(clippy::unwrap_used)]

use sortes::decode::{Call, Mask, Method, Options, Rows, Rule, Rules};
use sortes_core::Run;
use sortes_core::rng::{Purpose, Stream};

struct Matrix(Vec<Vec<f32>>);

impl Rows<f32> for Matrix {
    fn rows(&self) -> usize {
        self.0.len()
    }
    fn cols(&self) -> usize {
        self.0[0].len()
    }
    fn row(&self, row: usize) -> &[f32] {
        &self.0[row]
    }
}

/// The shapes of rows that take different paths through the code.
fn rows() -> Vec<(&'static str, Vec<f32>)> {
    let mut draws = Stream::new(20_261_124).draws(Purpose::Uniform, 0);
    let mut normal =
        |n: usize, sd: f64| -> Vec<f32> { (0..n).map(|_| (draws.normal() * sd) as f32).collect() };
    let quantised =
        |x: Vec<f32>, steps: f32| x.iter().map(|l| (l * steps).round() / steps).collect::<Vec<_>>();
    let mut masked = normal(40_000, 3.0);
    masked.iter_mut().step_by(3).for_each(|l| *l = f32::NEG_INFINITY);
    let mut spiked = normal(20_000, 0.01);
    spiked[17] = 12.0;
    spiked[19_999] = 9.0;
    vec![
        ("short", normal(50, 2.0)),
        ("listed", normal(5_000, 2.0)),
        ("flat", normal(70_000, 2.0)),
        ("peaked", normal(33_333, 6.0)),
        ("narrow", normal(20_000, 0.001)),
        ("spiked", spiked),
        ("tied", quantised(normal(30_000, 2.0), 2.0)),
        ("very tied", quantised(normal(12_345, 1.0), 0.7)),
        ("equal", vec![1.25; 10_000]),
        ("masked", masked),
    ]
}

const ORDER: [&str; 11] = [
    "top_n_sigma",
    "temperature",
    "top_h",
    "top_k",
    "top_p",
    "min_p",
    "typical",
    "epsilon",
    "eta",
    "top_a",
    "p_less",
];

fn rules(params: &[(&str, f64)]) -> Rules {
    let order = ORDER.iter().map(|name| Rule::named(name).unwrap()).collect();
    let mut rules = Rules::new(Options { order, ..Options::default() });
    for (name, value) in params {
        rules.set(name, *value).unwrap();
    }
    rules
}

fn call<'a>(rules: &'a Rules, streams: &'a [Stream]) -> Call<'a> {
    Call { rules, streams, rows: None, bias: None, mask: Mask::None }
}

fn kept(row: &[f32], params: &[(&str, f64)]) -> Vec<bool> {
    kept_by(row, &rules(params))
}

fn kept_jointly(row: &[f32], k: f64, top_p: f64) -> Vec<bool> {
    let order = vec![Rule::named("top_k_top_p").unwrap()];
    let mut rules = Rules::new(Options { order, ..Options::default() });
    rules.set("top_k", k).unwrap();
    rules.set("top_p", top_p).unwrap();
    kept_by(row, &rules)
}

fn kept_by(row: &[f32], rules: &Rules) -> Vec<bool> {
    let mut out = vec![false; row.len()];
    let logits = Matrix(vec![row.to_vec()]);
    call(rules, &[Stream::new(0)]).keep_mask(&logits, &mut out, Run::alone()).unwrap();
    out
}

/// The exact law at a temperature.
fn law(row: &[f32], t: f64) -> Vec<f64> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let w: Vec<f64> = row.iter().map(|l| (f64::from(l - max) / t).exp()).collect();
    let z: f64 = w.iter().sum();
    w.iter().map(|w| w / z).collect()
}

fn entropy(p: &[f64]) -> f64 {
    p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
}

/// Checks a kept set against a score that must reach a cut, up to `band` around it.
fn check(name: &str, what: &str, got: &[bool], score: &[f64], cut: f64, band: f64) {
    for (id, (&kept, &score)) in got.iter().zip(score).enumerate() {
        if (score - cut).abs() > band * cut.abs() {
            assert_eq!(kept, score > cut, "{name}: {what}: id {id}, score {score}, cut {cut}");
        }
    }
}

#[test]
fn thresholds() {
    for (name, row) in rows() {
        for t in [0.5, 1.0, 1.7] {
            let p = law(&row, t);
            let max = p.iter().copied().fold(0.0, f64::max);
            let h = entropy(&p);
            for e in [1e-5_f64, 3e-4, 0.02] {
                let set = [("temperature", t), ("epsilon_cutoff", e)];
                let cut = e.min(max);
                check(name, "epsilon", &kept(&row, &set), &p, cut, 2e-5);
                let set = [("temperature", t), ("eta_cutoff", e)];
                let cut = e.min(e.sqrt() * (-h).exp()).min(max);
                check(name, "eta", &kept(&row, &set), &p, cut, 2e-5);
            }
            for m in [0.01, 0.3] {
                let set = [("temperature", t), ("min_p", m)];
                check(name, "min_p", &kept(&row, &set), &p, m * max, 2e-5);
                let set = [("temperature", t), ("top_a", m)];
                check(name, "top_a", &kept(&row, &set), &p, m * max * max, 2e-5);
            }
            let collision: f64 = p.iter().map(|p| p * p).sum();
            let set = [("temperature", t), ("p_less", 1.0)];
            check(name, "p_less", &kept(&row, &set), &p, collision, 2e-5);
        }
    }
}

#[test]
fn counts() {
    for (name, row) in rows() {
        let mut sorted: Vec<f32> = row.iter().copied().filter(|l| l.is_finite()).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        for k in [1, 2, 50, 300, 1000, 4321, 25_000] {
            let cut = sorted[k.min(sorted.len()) - 1];
            let expected: Vec<bool> = row.iter().map(|l| *l >= cut).collect();
            assert_eq!(kept(&row, &[("top_k", k as f64)]), expected, "{name}: top_k {k}");
            // A threshold that no token but the first reaches, and a floor on the number.
            let set = [("min_p", 1.0), ("min_tokens_to_keep", k as f64)];
            assert_eq!(kept(&row, &set), expected, "{name}: min_tokens_to_keep {k}");
        }
    }
}

/// Ids from most to least likely, the higher id first among equals.
fn ranked(row: &[f32]) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..row.len()).filter(|i| row[*i].is_finite()).collect();
    // Zeros of both signs are equal.
    ids.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).unwrap().then(b.cmp(&a)));
    ids
}

#[test]
fn nuclei() {
    for (name, row) in rows() {
        for t in [0.6, 1.0, 2.0] {
            let p = law(&row, t);
            for top_p in [0.0, 0.1, 0.5, 0.9, 0.999, 0.999_999] {
                let got = kept(&row, &[("temperature", t), ("top_p", top_p)]);
                let mut before = 0.0;
                let mut inside = true;
                for id in ranked(&row) {
                    let decisive = (before - top_p).abs() > 2e-6;
                    if decisive {
                        let expected = before < top_p || before == 0.0;
                        assert_eq!(got[id], expected, "{name}: top_p {top_p} id {id} {before}");
                    }
                    // Whatever the rounding, the set is a prefix of the order.
                    assert!(inside || !got[id], "{name}: top_p {top_p}: not a prefix at {id}");
                    inside &= got[id];
                    before += p[id];
                }
            }
        }
    }
}

#[test]
fn joint_sets() {
    for (name, row) in rows() {
        for k in [1.0, 40.0, 3_000.0] {
            for top_p in [0.0, 0.02, 0.4, 0.999] {
                let (few, nucleus) = (kept(&row, &[("top_k", k)]), kept(&row, &[("top_p", top_p)]));
                let both: Vec<_> = few.iter().zip(&nucleus).map(|(a, b)| a & b).collect();
                let got = kept_jointly(&row, k, top_p);
                assert_eq!(got, both, "{name}: top_k {k}, top_p {top_p}");
            }
        }
    }
}

#[test]
fn typical_sets() {
    for (name, row) in rows() {
        for t in [0.6, 1.0, 2.0] {
            let p = law(&row, t);
            let h = entropy(&p);
            let s: Vec<f64> = p.iter().map(|p| (-p.ln() - h).abs()).collect();
            let mut order: Vec<usize> = (0..row.len()).filter(|i| p[*i] > 0.0).collect();
            order.sort_by(|&a, &b| s[a].total_cmp(&s[b]));
            for mass in [0.2, 0.5, 0.9, 0.99] {
                let mut sum = 0.0;
                let cut = order.iter().find(|&&id| {
                    sum += p[id];
                    sum >= mass
                });
                let cut = s[*cut.unwrap_or(&order[order.len() - 1])];
                let got = kept(&row, &[("temperature", t), ("typical_p", mass)]);
                let mut missed = 0;
                for &id in &order {
                    // The entropy is known to about 1e-7, so that ranks are too.
                    let band = 1e-6 + 2e-5 * cut;
                    if (s[id] - cut).abs() > band {
                        missed += usize::from(got[id] != (s[id] < cut));
                    }
                }
                assert_eq!(missed, 0, "{name}: typical {mass} at temperature {t}");
            }
        }
    }
}

#[test]
fn standard_deviations() {
    for (name, row) in rows() {
        let finite: Vec<f64> =
            row.iter().filter(|l| l.is_finite()).map(|l| f64::from(*l)).collect();
        let n = finite.len() as f64;
        let mean = finite.iter().sum::<f64>() / n;
        let sigma = (finite.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n).sqrt();
        let max = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let depth: Vec<f64> = row.iter().map(|l| -(max - f64::from(*l))).collect();
        for k in [0.5, 1.0, 2.5] {
            let got = kept(&row, &[("top_n_sigma", k)]);
            check(name, "top_n_sigma", &got, &depth, -k * sigma, 1e-5);
        }
    }
}

/// The draw never leaves the kept set, and follows the documented map of uniforms to tokens.
#[test]
fn draws() {
    let sets: [&[(&str, f64)]; 6] = [
        &[],
        &[("top_p", 0.9)],
        &[("typical_p", 0.7)],
        &[("epsilon_cutoff", 1e-5)],
        &[("temperature", 0.7), ("top_k", 50.0), ("top_p", 0.95)],
        &[("min_p", 0.1), ("eta_cutoff", 3e-4)],
    ];
    for (name, row) in rows() {
        for params in sets {
            let rules = rules(params);
            let keep = kept(&row, params);
            let n = 200;
            let matrix = Matrix(vec![row.clone(); n]);
            let mut tokens = vec![0; n];
            let (streams, run) = ([Stream::new(5)], Run::alone());
            let call = call(&rules, &streams);
            call.sample(&matrix, None, Method::Auto, &mut tokens, run).unwrap();
            assert!(tokens.iter().all(|t| keep[*t as usize]), "{name}: {params:?}");
            let uniforms: Vec<f64> = (0..n).map(|i| i as f64 / n as f64).collect();
            let scan = Method::Scan;
            call.sample(&matrix, Some(&uniforms), scan, &mut tokens, run).unwrap();
            let t = params.iter().find(|p| p.0 == "temperature").map_or(1.0, |p| p.1);
            let p = law(&row, t);
            let total: f64 = p.iter().zip(&keep).filter(|(_, k)| **k).map(|(p, _)| p).sum();
            for (u, token) in uniforms.iter().zip(&tokens) {
                let before: f64 = (0..*token as usize).filter(|i| keep[*i]).map(|i| p[i]).sum();
                let (low, high) = (before / total, (before + p[*token as usize]) / total);
                assert!(keep[*token as usize]);
                assert!(low - 2e-6 <= *u && *u < high + 2e-6, "{name}: {params:?}: {u}");
            }
        }
    }
}
