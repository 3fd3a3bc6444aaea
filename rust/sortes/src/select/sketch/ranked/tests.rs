//! Tests of what bottom-k and priority samples have in common.

use serde_json::Value;

use sortes_core::simd::{available_levels, with_level};

use super::super::{BottomK, PrioritySample, Weights};
use super::beginning::{BEGINNING, SAMPLE, sampled};
use super::*;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/select/sketch.json"));

fn floats(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::INFINITY)).collect()
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * b.abs()
}

/// The sketch of items with these uniforms; `u` is the uniform that [`Rank::rank`] takes.
fn sketch<R: Rank>(case: &Value, items: &[i64], u: impl Fn(f64) -> f64) -> Ranked<R> {
    let (w, us) = (floats(&case["w"]), floats(&case["u"]));
    let mut out = Ranked::<R>::coordinated(case["k"].as_u64().unwrap(), Stream::new(0)).unwrap();
    for &id in items {
        let (weight, u) = (w[id as usize], u(us[id as usize]));
        if weight > 0.0 {
            let item = Item { id, weight, value: 0.0 };
            out.offer(Entry { key: R::rank(u) / weight, item });
        }
    }
    out
}

fn check(case: &Value, sketch: &Ranked<impl Rank>, threshold: &str) {
    let (sample, got) = sketch.sample(Run::alone()).unwrap();
    assert_eq!(sample.ids, ids(&case["selected"]));
    assert!(close(got, case[threshold].as_f64().unwrap_or(f64::INFINITY)));
    for (id, &adjusted) in sample.ids.iter().zip(&sample.adjusted) {
        assert!(close(adjusted, case["estimates"][id.to_string()].as_f64().unwrap()));
    }
}

#[test]
fn bottom_k_vectors() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for case in vectors["es_keys"].as_array().unwrap() {
        // The vectors have keys -ln(u) / w, ours are -ln(1 - u) / w.
        let of = |items: &[i64]| sketch::<super::super::Exponential>(case, items, |u| 1.0 - u);
        let keys = floats(&case["keys"]);
        let whole: BottomK = of(&(0..keys.len() as i64).collect::<Vec<_>>());
        for entry in &whole.entries {
            assert!(close(entry.key, keys[entry.item.id as usize]));
        }
        check(case, &whole, "threshold");
        let shards = case["merge"].as_array().unwrap();
        let mut merged = of(&[]);
        for shard in shards.iter().rev() {
            merged.merge(&of(&ids(shard)), Run::alone()).unwrap();
        }
        check(case, &merged, "threshold");
    }
}

#[test]
fn priority_vectors() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for case in vectors["priority"].as_array().unwrap() {
        let items: Vec<i64> = (0..floats(&case["w"]).len() as i64).collect();
        let whole: PrioritySample = sketch(case, &items, |u| u);
        check(case, &whole, "tau");
    }
}

/// Long batches are begun at once; the same items in short ones never are.
fn begun_and_plain<R: Rank>(empty: &Ranked<R>, ids: &[i64], weights: &[f64]) -> [Vec<u8>; 2] {
    let run = Run::alone();
    [ids.len(), 40].map(|size| {
        let mut sketch = empty.copied(run).unwrap();
        for (ids, weights) in ids.chunks(size).zip(weights.chunks(size)) {
            let batch = Batch::new(ids, Weights::F64(weights), None, run).unwrap();
            sketch.update(&batch, run).unwrap();
        }
        assert_eq!(sketch.header.n, ids.len() as u64);
        sketch.to_bytes(run).unwrap()
    })
}

fn begins<R: Rank>() {
    let (n, k) = (8000, 400);
    let mut draws = Stream::new(5).draws(Purpose::Uniform, 0);
    let mut spread: Vec<f64> = (0..n).map(|_| (2.0 * draws.normal()).exp()).collect();
    spread.iter_mut().step_by(7).for_each(|weight| *weight = 0.0);
    // The sample sees what is heavy, or what is light, or nothing at all.
    let many = n.min(BEGINNING * 2 * (k + 1));
    let seen: Vec<usize> = (0..SAMPLE).map(|i| sampled(i, many)).collect();
    let one_of = |yes: f64, no: f64| -> Vec<f64> {
        (0..n).map(|i| if seen.binary_search(&i).is_ok() { yes } else { no }).collect()
    };
    let cases = [
        spread,
        one_of(1e6, 1e-6),
        one_of(1e-6, 1e6),
        one_of(1.0, 0.9),
        one_of(0.0, 1.0),
        vec![0.0; n],
        vec![1.0; n],
        vec![5e-324; n],
        vec![f64::MAX / 1e5; n],
    ];
    let distinct: Vec<i64> = (0..n as i64).map(|i| i * 0x1_0000_0001 - 7).collect();
    // Ids that come again with other weights, seldom or so often that few are left.
    let repeated: Vec<i64> = (0..n as i64).map(|i| i * i % 5003).collect();
    let few: Vec<i64> = (0..n as i64).map(|i| i % 380).collect();
    for weights in &cases {
        let coordinated = Ranked::<R>::coordinated(k as u64, Stream::new(3)).unwrap();
        let fresh = Ranked::<R>::fresh(k as u64, Stream::new(3), 1).unwrap();
        for ids in [&distinct, &repeated, &few] {
            for empty in [&coordinated, &fresh] {
                let [begun, plain] = begun_and_plain(empty, ids, weights);
                assert_eq!(begun, plain);
            }
        }
    }
    // Weights that the sample does not see, from like those that it does to so light that too few
    // items have keys below its bound.
    for thousandths in (560..760).step_by(2) {
        let weights = one_of(1.0, f64::from(thousandths) / 1000.0);
        let coordinated = Ranked::<R>::coordinated(k as u64, Stream::new(3)).unwrap();
        let [begun, plain] = begun_and_plain(&coordinated, &distinct, &weights);
        assert_eq!(begun, plain, "{thousandths}");
    }
    // Heavy items come up to the bound by their uniforms, and have larger keys: there may be enough
    // of these although light ones that were passed over go before them.
    let k = n / 4 - 10;
    for hundredths in (5..50).step_by(5) {
        let mut weights = vec![1.0; n];
        for i in (0..n).filter(|i| !(0..SAMPLE).any(|j| sampled(j, n) == *i)) {
            weights[i] = [1.5, f64::from(hundredths) / 100.0][i % 2];
        }
        let coordinated = Ranked::<R>::coordinated(k as u64, Stream::new(3)).unwrap();
        let [begun, plain] = begun_and_plain(&coordinated, &distinct, &weights);
        assert!(begun == plain, "{hundredths}");
    }
    // And it does begin where it can.
    let k = 400;
    for (case, expected) in [(0, many), (1, 0), (2, 0), (3, many), (4, 0), (6, many)] {
        let mut sketch = Ranked::<R>::coordinated(k as u64, Stream::new(3)).unwrap();
        let batch = Batch::new(&distinct, Weights::F64(&cases[case]), None, Run::alone()).unwrap();
        assert_eq!(sketch.begin(&batch, Run::alone()).unwrap(), expected, "{case}");
        assert_eq!(sketch.entries.len(), if expected > 0 { k + 1 } else { 0 });
    }
}

#[test]
fn long_batches_begin_as_short_ones_do() {
    begins::<super::super::Exponential>();
    begins::<super::super::Uniform>();
}

#[test]
fn ranks_of_many_are_ranks_of_each() {
    use super::super::Exponential;
    let mut draws = Stream::new(1).draws(Purpose::Uniform, 0);
    let mut u: Vec<f64> = (0..1000).map(|_| draws.precise_uniform()).collect();
    u.extend((0..300).map(|i| 0.25f64 * 0.5f64.powi(i)));
    u.extend([0.25f64.next_down(), 0.25, 1.0 - f64::EPSILON / 2.0]);
    for level in available_levels() {
        let mut ranks = u.clone();
        with_level(level, || Exponential::ranks(&mut ranks));
        assert!(u.iter().zip(ranks).all(|(&u, rank)| Exponential::rank(u) == rank), "{level:?}");
    }
}

#[test]
fn items_near_the_limit_are_marked() {
    let mut draws = Stream::new(7).draws(Purpose::Uniform, 0);
    for n in [0, 1, 63, 64, 65, 500] {
        let u: Vec<f64> = (0..n).map(|_| draws.uniform()).collect();
        let weights: Vec<f64> = (0..n).map(|i| [1.0, 0.0, 5e-324, 2.0][i % 4]).collect();
        for limit in [0.0, 0.3, f64::INFINITY] {
            for level in available_levels() {
                let mut bits = vec![0; n.div_ceil(WORD)];
                with_level(level, || near_bits(&u, &weights, limit, &mut bits));
                for i in 0..n {
                    let near = weights[i] > 0.0 && u[i] <= limit * rate(weights[i]);
                    assert_eq!(bits[i / WORD] >> (i % WORD) & 1 == 1, near, "{level:?} {n} {i}");
                }
            }
        }
    }
}
