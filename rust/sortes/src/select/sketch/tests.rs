//! Properties of all sketches, and their laws on small data.

use proptest::collection::vec;
use proptest::prelude::*;
use sortes_core::bytes::Kind;
use sortes_core::cancel::Cancel;
use sortes_core::num::sum;
use sortes_core::par::Threads;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Error, Run};

use super::*;

const COORDINATED: [Kind; 2] = [Kind::BottomK, Kind::PrioritySample];
const KINDS: [(Kind, Option<u64>); 5] = [
    (Kind::BottomK, None),
    (Kind::BottomK, Some(0)),
    (Kind::PrioritySample, None),
    (Kind::PrioritySample, Some(0)),
    (Kind::VarOpt, Some(0)),
];

fn new(kind: Kind, k: u64, key: u64, shard: Option<u64>) -> Sketch {
    Sketch::new(kind, k, Stream::new(key), shard).unwrap()
}

fn bytes(sketch: &Sketch) -> Vec<u8> {
    sketch.to_bytes(Run::alone()).unwrap()
}

fn from_bytes(bytes: &[u8]) -> sortes_core::Result<Sketch> {
    Sketch::from_bytes(bytes, Run::alone())
}

fn copy(sketch: &Sketch) -> Sketch {
    sketch.copied(Run::alone()).unwrap()
}

fn sample(sketch: &Sketch) -> (Sample, f64) {
    sketch.sample(Run::alone()).unwrap()
}

fn merge(sketch: &mut Sketch, other: &Sketch) -> sortes_core::Result<()> {
    sketch.merge(other, Run::alone())
}

fn batch<'a>(ids: &'a [i64], weights: &'a [f64], values: Option<&'a [f64]>) -> Batch<'a> {
    Batch::new(ids, Weights::F64(weights), values, Run::alone()).unwrap()
}

fn update(sketch: &mut Sketch, ids: &[i64], weights: &[f64]) {
    let values: Vec<f64> = ids.iter().map(|&id| id as f64 / 2.0).collect();
    sketch.update(&batch(ids, weights, Some(&values)), Run::alone()).unwrap();
}

fn weights() -> impl Strategy<Value = Vec<f64>> {
    let weight = prop_oneof![
        4 => 0.1f64..10.0,
        1 => Just(0.0),
        1 => Just(1.0),
        1 => (-300.0f64..300.0).prop_map(|e| 10f64.powf(e)),
    ];
    vec(weight, 0..60)
}

fn ids(n: usize) -> Vec<i64> {
    (0..n as i64).map(|i| i * 0x1_0000_0001 - 7).collect()
}

proptest! {
    #[test]
    fn batches_may_be_cut_anywhere(weights in weights(), k in 1u64..30, cut in 0usize..60) {
        let ids = ids(weights.len());
        let cut = cut.min(weights.len());
        for (kind, shard) in KINDS {
            let mut whole = new(kind, k, 1, shard);
            let (mut halves, mut single) = (copy(&whole), copy(&whole));
            update(&mut whole, &ids, &weights);
            update(&mut halves, &ids[..cut], &weights[..cut]);
            update(&mut halves, &ids[cut..], &weights[cut..]);
            for i in 0..ids.len() {
                update(&mut single, &ids[i..=i], &weights[i..=i]);
            }
            prop_assert_eq!(bytes(&whole), bytes(&halves));
            prop_assert_eq!(bytes(&whole), bytes(&single));
            let positive = weights.iter().filter(|&&w| w > 0.0).count();
            prop_assert_eq!(whole.len(), positive.min(k as usize));
        }
    }

    #[test]
    fn bytes_carry_the_whole_state(weights in weights(), k in 1u64..30, other_k in 1u64..30) {
        let ids = ids(weights.len());
        for (kind, shard) in KINDS {
            let mut sketch = new(kind, k, 1, shard);
            let mut other = new(kind, other_k, 1, shard.map(|_| 3));
            update(&mut sketch, &ids, &weights);
            update(&mut other, &ids, &weights);
            merge(&mut sketch, &other).unwrap();
            let mut read = from_bytes(&bytes(&sketch)).unwrap();
            prop_assert_eq!(bytes(&read), bytes(&sketch));
            update(&mut sketch, &ids, &weights);
            update(&mut read, &ids, &weights);
            prop_assert_eq!(bytes(&read), bytes(&sketch));
        }
    }

    #[test]
    fn any_bytes_are_a_sketch_or_an_error(
        weights in weights(),
        k in 1u64..30,
        changes in vec((any::<prop::sample::Index>(), any::<u64>()), 1..4),
        length in any::<prop::sample::Index>(),
        mend in any::<bool>(),
    ) {
        let ids = ids(weights.len());
        for (kind, shard) in KINDS {
            let mut sketch = new(kind, k, 1, shard);
            update(&mut sketch, &ids, &weights);
            let good = bytes(&sketch);
            let mut words: Vec<u64> =
                good.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            words.pop();
            for (place, word) in &changes {
                let place = place.index(words.len());
                // Whatever bits, a small number, or a neighbour.
                words[place] = match word % 3 {
                    0 => *word,
                    1 => word >> 56,
                    _ => words[place] ^ 1 << (word >> 58),
                };
            }
            let bent = sortes_core::bytes::seal(&words);
            if let Ok(mut read) = from_bytes(&bent) {
                // Whatever was accepted is sound.
                let again = from_bytes(&bytes(&read)).unwrap();
                prop_assert_eq!(bytes(&again), bytes(&read));
                let (sample, _) = sample(&read);
                prop_assert!(sample.inclusion.iter().all(|p| (0.0..=1.0).contains(p)));
                update_any(&mut read, &ids, &weights);
                let _ = merge(&mut sketch, &read);
            }
            let mut cut = if mend { bent } else { good };
            cut.truncate(length.index(cut.len()));
            prop_assert!(from_bytes(&cut).is_err());
        }
    }

    #[test]
    fn coordinated_merges_do_not_depend_on_their_order(
        weights in weights(),
        shards in vec(0usize..4, 60),
        k in 1u64..20,
        order in Just([0usize, 1, 2, 3]).prop_shuffle(),
    ) {
        let ids = ids(weights.len());
        for kind in COORDINATED {
            let empty = new(kind, k, 9, None);
            let mut whole = copy(&empty);
            update(&mut whole, &ids, &weights);
            let mut parts = [(); 4].map(|()| copy(&empty));
            for i in 0..ids.len() {
                update(&mut parts[shards[i]], &ids[i..=i], &weights[i..=i]);
            }
            let mut tree = copy(&parts[order[0]]);
            let mut right = copy(&parts[order[1]]);
            merge(&mut right, &parts[order[2]]).unwrap();
            merge(&mut right, &empty).unwrap();
            merge(&mut tree, &right).unwrap();
            let mut last = copy(&empty);
            merge(&mut last, &parts[order[3]]).unwrap();
            merge(&mut last, &tree).unwrap();
            prop_assert_eq!(bytes(&last), bytes(&whole));
            // Idempotent: nothing but the count of offers changes.
            merge(&mut last, &whole).unwrap();
            prop_assert_eq!(sample(&last), sample(&whole));
        }
    }

    #[test]
    fn an_id_counts_once_with_its_greatest_weight(
        weights in vec(0.1f64..10.0, 1..200),
        k in 1u64..8,
    ) {
        for kind in COORDINATED {
            let (mut repeated, mut once) = (new(kind, k, 2, None), new(kind, k, 2, None));
            let mut greatest = [0.0f64; 10];
            for (i, &w) in weights.iter().enumerate() {
                update(&mut repeated, &[i as i64 % 10], &[w]);
                greatest[i % 10] = greatest[i % 10].max(w);
            }
            update(&mut once, &(0..10).collect::<Vec<_>>(), &greatest);
            prop_assert_eq!(sample(&repeated), sample(&once));
        }
    }

    #[test]
    fn var_opt_keeps_the_total(
        left in weights(), right in weights(), k in 1u64..20, other_k in 1u64..20,
    ) {
        let (mut a, mut b) =
            (new(Kind::VarOpt, k, 4, Some(0)), new(Kind::VarOpt, other_k, 4, Some(1)));
        let mut total = 0.0;
        for (sketch, weights) in [(&mut a, &left), (&mut b, &right)] {
            update(sketch, &ids(weights.len()), weights);
            total += weights.iter().sum::<f64>();
        }
        let (tau_a, tau_b) = (sample(&a).1, sample(&b).1);
        merge(&mut a, &b).unwrap();
        let (sample, tau) = sample(&a);
        let close = |x: f64| (x - total).abs() <= 1e-12 * total;
        let known = a.total(Run::alone()).unwrap().unwrap();
        prop_assert!(close(known), "{known} {total}");
        prop_assert!(close(sample.adjusted.iter().sum()));
        prop_assert!(tau >= tau_a.max(tau_b) * (1.0 - 1e-12));
    }
}

/// A batch with or without values, as the sketch wants them.
fn update_any(sketch: &mut Sketch, ids: &[i64], weights: &[f64]) {
    for values in [None, Some(vec![0.5; ids.len()])] {
        let _ = sketch.update(&batch(ids, weights, values.as_deref()), Run::alone());
    }
}

#[test]
fn keys_are_those_of_single_draws() {
    let (ids, weights) = ([3i64, -1, i64::MAX, 1 << 33], [2.0, 0.5, 7.0, 1.0]);
    for stream in [Stream::new(11), Stream::new(11).at_step(3)] {
        let mut sketch = BottomK::coordinated(4, stream).unwrap();
        sketch.update(&batch(&ids, &weights, None), Run::alone()).unwrap();
        let mut order: Vec<(f64, i64)> = (ids.iter().zip(&weights))
            .map(|(&id, w)| {
                let (high, low) = (id.cast_unsigned() >> 32, id.cast_unsigned() & 0xFFFF_FFFF);
                let mut draws = stream.rounds().draws(Purpose::Item, low, high as u32);
                (draws.exponential() / w, id)
            })
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (sample, _) = sketch.sample(Run::alone()).unwrap();
        assert_eq!(sample.ids, order.iter().map(|o| o.1).collect::<Vec<_>>());
    }
}

#[test]
fn steps_are_seeds_of_their_own() {
    let ids: Vec<i64> = (0..100).collect();
    for (kind, shard) in KINDS {
        let sketch_at = |step| {
            let mut sketch = Sketch::new(kind, 5, Stream::new(7).at_step(step), shard).unwrap();
            update(&mut sketch, &ids, &[1.0; 100]);
            sketch
        };
        let (first, mut third) = (sketch_at(0), sketch_at(3));
        assert_ne!(sample(&first).0.ids, sample(&third).0.ids);
        // Shards of different seeds merge; coordinated sketches of different seeds do not.
        assert_eq!(merge(&mut third, &first).is_ok(), shard.is_some());
    }
}

/// Sketches that are so large that merges, cuts and sorts poll on their way.
#[test]
fn large_sketches() {
    let n = 1_500_000;
    let weights: Vec<f64> = (0..n).map(|i| f64::from(i % 4001 * 7919 % 1009 + 1)).collect();
    let ids: Vec<i64> = (0..i64::from(n)).collect();
    let (k, half) = (600_000, n as usize / 2);
    let stopped = Cancel::default();
    stopped.cancel();
    let stopped = Run::new(Threads::SERIAL, &stopped);
    for (kind, shard) in [KINDS[0], KINDS[3], KINDS[4]] {
        let mut left = new(kind, k, 5, shard);
        let mut right = left.for_shard(1).unwrap();
        left.update(&batch(&ids[..half], &weights[..half], None), Run::alone()).unwrap();
        right.update(&batch(&ids[half..], &weights[half..], None), Run::alone()).unwrap();
        let before = bytes(&left);
        assert_eq!(left.merge(&right, stopped), Err(Error::Cancelled));
        assert_eq!(left.to_bytes(stopped), Err(Error::Cancelled));
        assert!(Sketch::from_bytes(&before, stopped).is_err());
        assert!(bytes(&left) == before);
        merge(&mut left, &right).unwrap();
        assert!(bytes(&from_bytes(&bytes(&left)).unwrap()) == bytes(&left));
        let (sample, _) = sample(&left);
        assert_eq!(sample.ids.len() as u64, k);
        if kind == Kind::BottomK {
            let drawn =
                sortes_core::races::successive(&weights, k as usize, Stream::new(5), Run::alone());
            let drawn = drawn.unwrap().into_iter().map(|item| item.index as i64);
            assert!(drawn.eq(sample.ids.iter().copied()));
        }
        if kind == Kind::VarOpt {
            assert!((sum(&sample.adjusted) / sum(&weights) - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn a_shard_comes_in_once() {
    for (kind, _) in [KINDS[1], KINDS[3], KINDS[4]] {
        let mut a = new(kind, 2, 0, Some(0));
        let mut b = a.for_shard(1).unwrap();
        let empty = copy(&a);
        update(&mut a, &[1, 2], &[1.0, 1.0]);
        update(&mut b, &[3], &[1.0]);
        let before = bytes(&a);
        let again = copy(&a);
        assert!(merge(&mut a, &again).is_err());
        assert_eq!(bytes(&a), before);
        merge(&mut a, &empty).unwrap();
        assert_eq!(bytes(&a), before);
        let mut grown = copy(&empty);
        merge(&mut grown, &a).unwrap();
        assert_eq!(bytes(&grown), before);
        merge(&mut a, &b).unwrap();
        let whole = copy(&a);
        for again in [&grown, &b, &whole] {
            assert!(merge(&mut a, again).is_err(), "{kind:?}");
        }
        assert_eq!(a.header().n(), 3);
    }
}

#[test]
fn cancelled_updates_keep_a_beginning() {
    let cancel = Cancel::default();
    cancel.cancel();
    let ids: Vec<i64> = (0..100).collect();
    let batch = Batch::new(&ids, Weights::Ones, None, Run::alone()).unwrap();
    for (kind, shard) in KINDS {
        let mut sketch = new(kind, 10, 3, shard);
        assert!(sketch.update(&batch, Run::new(Threads::SERIAL, &cancel)).is_err());
        assert_eq!(sketch.header().n(), 0);
    }
}
