//! Properties of all sketches, and their laws on small data.

use proptest::collection::vec;
use proptest::prelude::*;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;

use super::*;

const KINDS: [(&str, Option<u64>); 5] = [
    ("bottom_k", None),
    ("bottom_k", Some(0)),
    ("priority", None),
    ("priority", Some(0)),
    ("var_opt", Some(0)),
];

fn update(sketch: &mut Sketch, ids: &[i64], weights: &[f64]) {
    let values: Vec<f64> = ids.iter().map(|&id| id as f64 / 2.0).collect();
    let batch = Batch::new(ids, Weights::F64(weights), Some(&values)).unwrap();
    sketch.update(&batch, Threads::SERIAL, &Cancel::default()).unwrap();
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
            let mut whole = Sketch::new(kind, k, 1, shard).unwrap();
            let (mut halves, mut single) = (whole.clone(), whole.clone());
            update(&mut whole, &ids, &weights);
            update(&mut halves, &ids[..cut], &weights[..cut]);
            update(&mut halves, &ids[cut..], &weights[cut..]);
            for i in 0..ids.len() {
                update(&mut single, &ids[i..=i], &weights[i..=i]);
            }
            prop_assert_eq!(whole.to_bytes(), halves.to_bytes());
            prop_assert_eq!(whole.to_bytes(), single.to_bytes());
            let positive = weights.iter().filter(|&&w| w > 0.0).count();
            prop_assert_eq!(whole.len(), positive.min(k as usize));
        }
    }

    #[test]
    fn bytes_carry_the_whole_state(weights in weights(), k in 1u64..30, other_k in 1u64..30) {
        let ids = ids(weights.len());
        for (kind, shard) in KINDS {
            let mut sketch = Sketch::new(kind, k, 1, shard).unwrap();
            let mut other = Sketch::new(kind, other_k, 1, shard.map(|_| 3)).unwrap();
            update(&mut sketch, &ids, &weights);
            update(&mut other, &ids, &weights);
            sketch.merge(&other).unwrap();
            let mut read = Sketch::from_bytes(&sketch.to_bytes()).unwrap();
            prop_assert_eq!(read.to_bytes(), sketch.to_bytes());
            update(&mut sketch, &ids, &weights);
            update(&mut read, &ids, &weights);
            prop_assert_eq!(read.to_bytes(), sketch.to_bytes());
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
            let mut sketch = Sketch::new(kind, k, 1, shard).unwrap();
            update(&mut sketch, &ids, &weights);
            let bytes = sketch.to_bytes();
            let mut words: Vec<u64> =
                bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
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
            if let Ok(read) = Sketch::from_bytes(&bent) {
                // Whatever was accepted is sound.
                let again = Sketch::from_bytes(&read.to_bytes()).unwrap();
                prop_assert_eq!(again.to_bytes(), read.to_bytes());
                let (sample, _) = read.sample();
                prop_assert!(sample.inclusion.iter().all(|p| (0.0..=1.0).contains(p)));
                let mut read = read;
                update_any(&mut read, &ids, &weights);
                let _ = sketch.merge(&read);
            }
            let mut cut = if mend { bent } else { bytes };
            cut.truncate(length.index(cut.len()));
            prop_assert!(Sketch::from_bytes(&cut).is_err());
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
        for kind in ["bottom_k", "priority"] {
            let empty = Sketch::new(kind, k, 9, None).unwrap();
            let mut whole = empty.clone();
            update(&mut whole, &ids, &weights);
            let mut parts = vec![empty.clone(); 4];
            for i in 0..ids.len() {
                update(&mut parts[shards[i]], &ids[i..=i], &weights[i..=i]);
            }
            let mut tree = parts[order[0]].clone();
            let mut right = parts[order[1]].clone();
            right.merge(&parts[order[2]]).unwrap();
            right.merge(&empty).unwrap();
            tree.merge(&right).unwrap();
            let mut last = empty.clone();
            last.merge(&parts[order[3]]).unwrap();
            last.merge(&tree).unwrap();
            prop_assert_eq!(last.to_bytes(), whole.to_bytes());
            // Idempotent: nothing but the count of offers changes.
            last.merge(&whole).unwrap();
            prop_assert_eq!(last.sample(), whole.sample());
        }
    }

    #[test]
    fn an_id_counts_once_with_its_greatest_weight(
        weights in vec(0.1f64..10.0, 1..200),
        k in 1u64..8,
    ) {
        for kind in ["bottom_k", "priority"] {
            let (mut repeated, mut once) =
                (Sketch::new(kind, k, 2, None).unwrap(), Sketch::new(kind, k, 2, None).unwrap());
            let mut greatest = [0.0f64; 10];
            for (i, &w) in weights.iter().enumerate() {
                update(&mut repeated, &[i as i64 % 10], &[w]);
                greatest[i % 10] = greatest[i % 10].max(w);
            }
            update(&mut once, &(0..10).collect::<Vec<_>>(), &greatest);
            prop_assert_eq!(repeated.sample(), once.sample());
        }
    }

    #[test]
    fn var_opt_keeps_the_total(
        left in weights(), right in weights(), k in 1u64..20, other_k in 1u64..20,
    ) {
        let (mut a, mut b) =
            (VarOpt::new(k, 4, 0).unwrap(), VarOpt::new(other_k, 4, 1).unwrap());
        let mut total = 0.0;
        for (sketch, weights) in [(&mut a, &left), (&mut b, &right)] {
            let batch = ids(weights.len());
            let batch = Batch::new(&batch, Weights::F64(weights), None).unwrap();
            sketch.update(&batch, &Cancel::default()).unwrap();
            total += weights.iter().sum::<f64>();
        }
        let (tau_a, tau_b) = (a.tau(), b.tau());
        a.merge(&b).unwrap();
        let (sample, tau) = a.sample();
        let close = |x: f64| (x - total).abs() <= 1e-12 * total;
        prop_assert!(close(a.total()), "{} {total}", a.total());
        prop_assert!(close(sample.adjusted.iter().sum()));
        prop_assert!(tau >= tau_a.max(tau_b) * (1.0 - 1e-12));
    }
}

/// A batch with or without values, as the sketch wants them.
fn update_any(sketch: &mut Sketch, ids: &[i64], weights: &[f64]) {
    for values in [None, Some(vec![0.5; ids.len()])] {
        let batch = Batch::new(ids, Weights::F64(weights), values.as_deref()).unwrap();
        let _ = sketch.update(&batch, Threads::SERIAL, &Cancel::default());
    }
}

#[test]
fn keys_are_those_of_single_draws() {
    use sortes_core::rng::{Purpose, Stream};

    let (ids, weights) = ([3i64, -1, i64::MAX, 1 << 33], [2.0, 0.5, 7.0, 1.0]);
    let mut sketch = BottomK::coordinated(4, 11).unwrap();
    let batch = Batch::new(&ids, Weights::F64(&weights), None).unwrap();
    sketch.update(&batch, Threads::SERIAL, &Cancel::default()).unwrap();
    let mut order: Vec<(f64, i64)> = (ids.iter().zip(&weights))
        .map(|(&id, w)| {
            let id64 = id.cast_unsigned();
            let mut draws = Stream::new(11)
                .at_step((id64 >> 32) as u32)
                .draws(Purpose::Item, id64 & 0xFFFF_FFFF);
            (draws.exponential() / w, id)
        })
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(sketch.sample().0.ids, order.iter().map(|o| o.1).collect::<Vec<_>>());
}

#[test]
fn a_shard_comes_in_once() {
    for (kind, _) in [KINDS[1], KINDS[3], KINDS[4]] {
        let mut a = Sketch::new(kind, 2, 0, Some(0)).unwrap();
        let mut b = a.for_shard(1).unwrap();
        let empty = a.clone();
        update(&mut a, &[1, 2], &[1.0, 1.0]);
        update(&mut b, &[3], &[1.0]);
        let before = a.to_bytes();
        assert!(a.merge(&a.clone()).is_err());
        assert_eq!(a.to_bytes(), before);
        a.merge(&empty).unwrap();
        assert_eq!(a.to_bytes(), before);
        let mut grown = empty.clone();
        grown.merge(&a).unwrap();
        assert_eq!(grown.to_bytes(), before);
        a.merge(&b).unwrap();
        for again in [&grown, &b, &a.clone()] {
            assert!(a.merge(again).is_err(), "{kind}");
        }
        assert_eq!(a.header().n(), 3);
    }
}

#[test]
fn cancelled_updates_keep_a_beginning() {
    let cancel = Cancel::default();
    cancel.cancel();
    let ids: Vec<i64> = (0..100).collect();
    let batch = Batch::new(&ids, Weights::Ones, None).unwrap();
    for (kind, shard) in KINDS {
        let mut sketch = Sketch::new(kind, 10, 3, shard).unwrap();
        assert!(sketch.update(&batch, Threads::SERIAL, &cancel).is_err());
        assert_eq!(sketch.header().n(), 0);
    }
}
