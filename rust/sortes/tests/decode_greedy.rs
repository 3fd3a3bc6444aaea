//! A temperature of zero takes the largest logit, the lowest id among equals: of every type, at every
//! length, with and without what else a call may ask for.

#![allow(clippy::unwrap_used)]

use half::{bf16, f16};
use sortes::decode::{Call, Details, Element, Mask, Method, Options, Rows, Rule, Rules};
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Result, Run, simd};

struct OneRow<T>(Vec<T>);

impl<T: Sync> Rows<T> for OneRow<T> {
    fn rows(&self) -> usize {
        1
    }
    fn cols(&self) -> usize {
        self.0.len()
    }
    fn row(&self, _: usize) -> &[T] {
        &self.0
    }
}

fn rules(params: &[(&str, f64)]) -> Rules {
    let order = ["smoothing", "top_n_sigma", "temperature", "top_p"];
    let order = order.iter().map(|name| Rule::named(name).unwrap()).collect();
    let mut rules = Rules::new(Options { order, ..Options::default() });
    for (name, value) in params {
        rules.set(name, *value).unwrap();
    }
    rules
}

/// The token that is drawn, and that which is drawn where more is asked about it.
fn tokens<T: Element>(row: &OneRow<T>, rules: &Rules, mask: Mask<'_>) -> Result<(i64, i64)> {
    let streams = [Stream::new(3)];
    let call = Call { rules, streams: &streams, rows: None, bias: None, mask };
    let (mut token, mut found) = ([0], [0]);
    call.sample(row, None, Method::Auto, &mut token, Run::alone())?;
    let (mut logprob, mut rank, mut mass) = ([0.0], [0], [0.0]);
    let out = Details {
        tokens: &mut found,
        logprob: &mut logprob,
        rank: &mut rank,
        mass: &mut mass,
        top_ids: &mut [],
        top_logprobs: &mut [],
    };
    call.sample_details(row, None, Method::Auto, true, out, Run::alone())?;
    Ok((token[0], found[0]))
}

/// The first of the largest, as `f32` sees them.
fn first_largest(row: &[f32]) -> i64 {
    let mut best = 0;
    for (id, l) in row.iter().enumerate() {
        if *l > row[best] {
            best = id;
        }
    }
    best as i64
}

/// Rows of every kind of end, with many ties, with zeros of both signs, of nothing but bans and one.
fn rows(n: usize) -> Vec<Vec<f64>> {
    let mut draws = Stream::new(n as u64).draws(Purpose::Uniform, 0);
    let normal: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    let zeros = normal.iter().map(|l| {
        if *l > 1.0 {
            0.0
        } else if *l > 0.0 {
            -0.0
        } else {
            *l
        }
    });
    let mut one = vec![f64::NEG_INFINITY; n];
    one[n * 3 / 4] = -7.0;
    let mut nearly = vec![1.0; n]; // equal but as `f64`
    nearly[n / 2] += 1e-12;
    let mut last = normal.clone();
    last[n - 1] = 9.0;
    vec![
        normal.iter().map(|l| l.round()).collect(),
        zeros.collect(),
        one,
        nearly,
        last,
        vec![-2.5; n],
        normal,
    ]
}

fn check<T: Element>(of: fn(f64) -> T) {
    for n in [1, 2, 255, 256, 257, 2_047, 2_048, 2_049, 5_000, 140_001] {
        for (kind, row) in rows(n).iter().enumerate() {
            let row = OneRow(row.iter().map(|l| of(*l)).collect());
            let mut wide = vec![0.0; n];
            T::write_f32(&row.0, &mut wide);
            let place = format!("{}, {n} logits, row {kind}", std::any::type_name::<T>());
            let best = first_largest(&wide);
            for params in [&[("temperature", 0.0)][..], &[("temperature", 1e-9), ("top_p", 0.5)]] {
                for level in simd::available_levels() {
                    let rules = rules(params);
                    let found = simd::with_level(level, || tokens(&row, &rules, Mask::None));
                    assert_eq!(found.unwrap(), (best, best), "{place}, {}", level.name());
                }
            }
        }
    }
}

#[test]
fn the_lowest_id_of_the_largest_logit_is_taken() {
    check(|l| l as f32);
    check(f16::from_f64);
    check(bf16::from_f64);
    check(|l| l);
}

#[test]
fn what_changes_the_logits_comes_first() {
    let row = OneRow(vec![1.0_f32, 3.0, 2.0, 0.5]);
    let greedy = rules(&[("temperature", 0.0)]);
    assert_eq!(tokens(&row, &greedy, Mask::Bytes(&[1, 0, 1, 1])).unwrap(), (2, 2));
    assert_eq!(tokens(&row, &greedy, Mask::Bits(&[0b1001])).unwrap(), (0, 0));
    let streams = [Stream::new(3)];
    let bias = Some((&[3_i64][..], &[9.0_f32][..]));
    let call = Call { rules: &greedy, streams: &streams, rows: None, bias, mask: Mask::None };
    let mut token = [0];
    call.sample(&row, None, Method::Auto, &mut token, Run::alone()).unwrap();
    assert_eq!(token, [3]);
    // Smoothing may round two logits to one: the first of them is taken then.
    let near = OneRow(vec![0.0_f32, 1.0, 1.0_f32.next_up()]);
    for factor in [0.5, 1e-3, 1e-20] {
        let smooth = rules(&[("temperature", 0.0), ("smoothing_factor", factor)]);
        let (token, found) = tokens(&near, &smooth, Mask::None).unwrap();
        assert_eq!(token, found);
    }
    // A temperature that depends on the row is not zero.
    let dynamic = rules(&[("temperature", 0.0), ("dynatemp_range", 5.0)]);
    let flat = OneRow(vec![0.5_f32; 4_000]);
    let drawn: Vec<_> = (0..20)
        .map(|seed| {
            let streams = [Stream::new(seed)];
            let mask = Mask::None;
            let call = Call { rules: &dynamic, streams: &streams, rows: None, bias: None, mask };
            let mut token = [0];
            call.sample(&flat, None, Method::Auto, &mut token, Run::alone()).unwrap();
            token[0]
        })
        .collect();
    assert!(drawn.iter().any(|token| *token != drawn[0]), "{drawn:?}");
}

#[test]
fn rows_without_a_token_are_refused() {
    let greedy = rules(&[("temperature", 0.0)]);
    for (bad, says) in [
        (f32::NAN, "contains NaN or +inf"),
        (f32::INFINITY, "contains NaN or +inf"),
        (f32::NEG_INFINITY, "no finite logit"),
    ] {
        for n in [1, 300, 3_000] {
            for at in [0, n / 2, n - 1] {
                let mut row = vec![if bad == f32::NEG_INFINITY { bad } else { 1.0 }; n];
                row[at] = bad;
                let halves = OneRow(row.iter().map(|l| f16::from_f32(*l)).collect());
                let row = OneRow(row);
                let error = tokens(&row, &greedy, Mask::None).unwrap_err().to_string();
                assert!(error.contains(says), "{error}");
                let error = tokens(&halves, &greedy, Mask::None).unwrap_err().to_string();
                assert!(error.contains(says), "{error}");
            }
        }
    }
}
