//! A draw asks whether its token is kept; whoever wants more finds all that is kept. Both draw the same
//! token, whatever the row: ties at the boundary, masses that lie at one end of it, equal tokens.

#![allow(clippy::unwrap_used)]

use sortes::decode::{Boundary, Call, Details, Mask, Method, Options, Rows, Rule, Rules, Ties};
use sortes_core::Run;
use sortes_core::rng::{Purpose, Stream};

/// One row, as often as there are draws.
struct Copies(Vec<f32>, usize);

impl Rows<f32> for Copies {
    fn rows(&self) -> usize {
        self.1
    }
    fn cols(&self) -> usize {
        self.0.len()
    }
    fn row(&self, _: usize) -> &[f32] {
        &self.0
    }
}

/// All are too long for a list.
fn rows() -> Vec<(&'static str, Vec<f32>)> {
    let mut draws = Stream::new(20_261_201).draws(Purpose::Uniform, 0);
    let mut normal =
        |n: usize, sd: f64| -> Vec<f32> { (0..n).map(|_| (draws.normal() * sd) as f32).collect() };
    let quantised =
        |x: Vec<f32>, steps: f32| x.iter().map(|l| (l * steps).round() / steps).collect::<Vec<_>>();
    let flat = normal(20_000, 2.0);
    let mut rising = flat.clone();
    rising.sort_unstable_by(f32::total_cmp);
    let falling = rising.iter().rev().copied().collect();
    let mut masked = normal(20_000, 3.0);
    masked.iter_mut().step_by(3).for_each(|l| *l = f32::NEG_INFINITY);
    let mut spiked = normal(15_001, 0.01);
    spiked[17] = 9.0;
    spiked[14_999] = 9.0;
    vec![
        ("flat", flat),
        ("rising", rising),
        ("falling", falling),
        ("peaked", normal(20_000, 6.0)),
        ("narrow", normal(9_000, 0.001)),
        ("tied", quantised(normal(20_000, 2.0), 4.0)),
        ("very tied", quantised(normal(12_345, 1.0), 0.7)),
        ("equal", vec![1.25; 10_000]),
        ("masked", masked),
        ("spiked", spiked),
    ]
}

const SETS: [&[(&str, f64)]; 14] = [
    &[("top_p", 0.9)],
    &[("top_p", 0.5)],
    &[("top_p", 0.0)],
    &[("top_p", 0.999_999_9)],
    &[("temperature", 0.7), ("top_p", 0.95), ("min_p", 0.01)],
    &[("temperature", 1.5), ("top_p", 0.8), ("min_p", 1e-4)],
    &[("min_p", 1e-6), ("top_p", 0.9)],
    &[("typical_p", 0.9)],
    &[("typical_p", 0.2)],
    &[("temperature", 0.6), ("typical_p", 0.95)],
    &[("top_p", 0.95), ("typical_p", 0.8)],
    &[("top_p", 0.5), ("min_p", 0.01), ("typical_p", 0.9)],
    &[("typical_p", 0.2), ("min_p", 0.3)],
    &[("top_p", 0.3), ("min_tokens_to_keep", 9_000.0)],
];

fn compare(rows: &[(&str, Vec<f32>)], sets: &[&[(&str, f64)]], options: &Options, n: usize) {
    for (name, row) in rows {
        for (set, params) in (0..).zip(sets) {
            let mut rules = Rules::new(options.clone());
            params.iter().for_each(|(name, value)| rules.set(name, *value).unwrap());
            let streams = [Stream::new(set)];
            let (rules, rows, mask) = (&rules, None, Mask::None);
            let call = Call { rules, streams: &streams, rows, bias: None, mask };
            let copies = Copies(row.clone(), n);
            let mut asked = vec![0; n];
            call.sample(&copies, None, Method::Auto, &mut asked, Run::alone()).unwrap();
            let (mut found, mut rank) = (vec![0; n], vec![0; n]);
            let (mut logprob, mut mass) = (vec![0.0; n], vec![0.0; n]);
            let out = Details {
                tokens: &mut found,
                logprob: &mut logprob,
                rank: &mut rank,
                mass: &mut mass,
                top_ids: &mut [],
                top_logprobs: &mut [],
            };
            let run = Run::alone();
            call.sample_details(&copies, None, Method::Auto, true, out, run).unwrap();
            assert_eq!(asked, found, "{name}: {params:?}");
        }
    }
}

fn order(names: &[&str]) -> Options {
    let order = names.iter().map(|name| Rule::named(name).unwrap()).collect();
    Options { order, ..Options::default() }
}

const ORDER: [&str; 4] = ["temperature", "top_p", "min_p", "typical"];

#[test]
fn tokens_are_those_of_what_is_kept() {
    compare(&rows(), &SETS, &order(&ORDER), 100);
}

#[test]
fn whatever_the_order_the_ties_and_the_boundary() {
    let names: [&[&str]; 4] = [
        &["min_p", "top_p", "typical", "temperature"],
        &["typical", "min_p", "temperature", "top_p"],
        &["top_p", "typical", "temperature", "min_p"],
        &["typical", "temperature", "top_p", "min_p"],
    ];
    for names in names {
        compare(&rows(), &SETS[4..13], &order(names), 30);
    }
    let rows: Vec<_> = rows().into_iter().filter(|(name, _)| name.contains("tied")).collect();
    for boundary in [Boundary::Lenient, Boundary::TiesAll, Boundary::Exclude] {
        for ties in [Ties::High, Ties::Low, Ties::All] {
            compare(&rows, &SETS[..7], &Options { ties, boundary, ..order(&ORDER) }, 30);
        }
    }
}
