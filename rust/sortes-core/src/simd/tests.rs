//! Every instruction set against plain loops, and against each other to the last bit.

use super::*;
use proptest::prelude::*;
use std::sync::Mutex;

/// `with_level` is global: tests that switch take turns.
static TURN: Mutex<()> = Mutex::new(());

const OPEN: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// Runs `f` on every instruction set of this machine, and checks that the bits agree.
fn on_all_levels<T: PartialEq + std::fmt::Debug>(f: impl Fn() -> T) -> T {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut results: Vec<_> =
        available_levels().into_iter().map(|l| (l, with_level(l, &f))).collect();
    let (_, reference) = results.remove(0);
    for (level, result) in results {
        assert_eq!(result, reference, "{} differs from the portable path", level.name());
    }
    reference
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    let one = prop_oneof![
        8 => -40.0_f32..40.0,
        1 => Just(f32::NEG_INFINITY),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(1e-40), Just(-3e38), Just(3e38)],
        2 => (-8..8_i32).prop_map(|i| i as f32),
    ];
    prop::collection::vec(one, 1..700)
}

fn max_of(x: &[f32]) -> f32 {
    x.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// A kernel over numbers of half precision; whether it saw a NaN.
type Kernel = fn(&[u16], &mut [f32]) -> bool;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn block_maxima(x in logits(), skip in 0..5_usize) {
        let x = &x[skip.min(x.len() - 1)..]; // unaligned starts
        let got = on_all_levels(|| {
            let mut out = vec![0.0; x.len().div_ceil(BLOCK)];
            (block_max(x, &mut out), out.iter().map(|l| l.to_bits()).collect::<Vec<_>>())
        });
        prop_assert!(!got.0);
        let found: Vec<f32> = got.1.into_iter().map(f32::from_bits).collect();
        let expected: Vec<f32> = x.chunks(BLOCK).map(max_of).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(on_all_levels(|| largest(x).to_bits()), largest(x).to_bits());
        prop_assert_eq!(largest(x), max_of(x));
    }

    #[test]
    fn block_maxima_of_halves(x in logits(), skip in 0..5_usize, nan in prop::option::of(0..700_usize)) {
        let x = &x[skip.min(x.len() - 1)..];
        let blocks = x.len().div_ceil(BLOCK);
        let formats: [(Vec<u16>, Kernel, Kernel); 2] = [
            (
                x.iter().map(|l| half::f16::from_f32(l.clamp(-6e4, 6e4)).to_bits()).collect(),
                block_max_f16,
                |x, out| { widen_f16(x, out); false },
            ),
            (
                x.iter().map(|l| half::bf16::from_f32(*l).to_bits()).collect(),
                block_max_bf16,
                |x, out| { widen_bf16(x, out); false },
            ),
        ];
        for (mut bits, kernel, widen) in formats {
            if let Some(nan) = nan.filter(|nan| *nan < bits.len()) {
                bits[nan] = 0x7FFF;
            }
            let found = on_all_levels(|| {
                let mut out = vec![0.0; blocks];
                let seen = kernel(&bits, &mut out);
                (seen, if seen { vec![] } else { out.iter().map(|l| l.to_bits()).collect() })
            });
            let mut wide = vec![0.0; bits.len()];
            widen(&bits, &mut wide);
            let mut expected = vec![0.0; blocks];
            let seen = block_max(&wide, &mut expected);
            let expected = if seen { vec![] } else { expected.iter().map(|l| l.to_bits()).collect() };
            prop_assert_eq!(found, (seen, expected));
        }
    }

    #[test]
    fn sums_of_exponentials(
        x in logits(),
        scale in prop_oneof![Just(1.0_f32), 0.1_f32..10.0],
        window in prop_oneof![Just(OPEN), (-40.0_f32..10.0, 0.0_f32..50.0)
            .prop_map(|(lo, width)| (lo, lo + width))],
    ) {
        let inside = |l: f32| window.0 <= l && l <= window.1;
        let max = x.iter().copied().filter(|l| inside(*l)).fold(f32::NEG_INFINITY, f32::max);
        prop_assume!(max > f32::NEG_INFINITY);
        // Logits above the window may weigh infinitely much: the mask must still drop them.
        let wanted = Wanted { entropy: true, square: true };
        let got = on_all_levels(|| exp_sums(&x, max, scale, window, wanted));
        let (mut z, mut a, mut q) = (0.0, 0.0, 0.0);
        for &l in x.iter().filter(|l| inside(**l)) {
            let y = f64::from((l - max) * scale);
            if y > -87.3 {
                z += y.exp();
                a += y * y.exp();
                q += (2.0 * y).exp();
            }
        }
        prop_assert!((got.z - z).abs() <= 1e-6 * z, "{} {}", got.z, z);
        prop_assert!((got.a - a).abs() <= 2e-6 * (z + a.abs()), "{} {}", got.a, a);
        prop_assert!((got.q - q).abs() <= 2e-6 * q, "{} {}", got.q, q);
        let plain = on_all_levels(|| exp_sums(&x, max, scale, window, Wanted::default()));
        prop_assert_eq!(plain.z, got.z);
    }

    #[test]
    fn weights(x in logits(), scale in 0.1_f32..10.0) {
        let max = max_of(&x);
        prop_assume!(max > f32::NEG_INFINITY);
        let got = on_all_levels(|| {
            let mut out = vec![0.0; x.len()];
            exp_into(&x, max, scale, &mut out);
            out
        });
        for (&l, &w) in x.iter().zip(&got) {
            let y = f64::from((l - max) * scale);
            if y < -87.4 {
                prop_assert_eq!(w, 0.0);
            } else if y > -87.3 {
                prop_assert!((f64::from(w) - y.exp()).abs() <= 1.2e-7 * y.exp(), "{l} {w} {y}");
            }
            if l == max {
                prop_assert_eq!(w, 1.0);
            }
        }
        let total: f64 = got.iter().map(|w| f64::from(*w)).sum();
        prop_assert!((on_all_levels(|| sum(&got)) - total).abs() <= 1e-13 * total);
    }

    #[test]
    fn double_precision(
        x in logits(),
        t in prop_oneof![Just(1.0_f64), 0.1_f64..10.0],
        window in prop_oneof![Just(OPEN), (-40.0_f32..10.0).prop_map(|lo| (lo, f32::INFINITY))],
    ) {
        let max = max_of(&x);
        prop_assume!(max > f32::NEG_INFINITY);
        let (weights, sums) = on_all_levels(|| {
            let mut out = vec![0.0; x.len()];
            exp_into_f64(&x, max, t, &mut out);
            (out, exp_sums_f64(&x, max, t, window))
        });
        let (mut z, mut a, mut q) = (0.0, 0.0, 0.0);
        for (&l, &w) in x.iter().zip(&weights) {
            let y = (f64::from(l) - f64::from(max)) / t;
            let exact = if y < -708.0 { 0.0 } else { y.exp() };
            prop_assert!((w - exact).abs() <= 4e-16 * exact, "{l} {w} {y}");
            if window.0 <= l && w > 0.0 {
                z += w;
                a += w * y;
                q += w * w;
            }
        }
        prop_assert!((sums.z - z).abs() <= 1e-14 * z, "{} {}", sums.z, z);
        prop_assert!((sums.a - a).abs() <= 1e-14 * a.abs(), "{} {}", sums.a, a);
        prop_assert!((sums.q - q).abs() <= 1e-14 * q, "{} {}", sums.q, q);
    }

    #[test]
    fn deviations(x in logits(), lo in -40.0_f32..10.0) {
        let x: Vec<f32> = x.into_iter().filter(|l| l.abs() < 1e30 || l.is_infinite()).collect();
        let got = on_all_levels(|| moments(&x, 3.0, (lo, f32::INFINITY)));
        let inside: Vec<f64> =
            x.iter().filter(|l| **l >= lo).map(|l| f64::from(*l - 3.0)).collect();
        prop_assert_eq!(got.count, inside.len());
        let (sum, squares): (f64, f64) =
            (inside.iter().sum(), inside.iter().map(|d| d * d).sum());
        prop_assert!((got.sum - sum).abs() <= 1e-9 * (1.0 + squares));
        prop_assert!((got.squares - squares).abs() <= 1e-9 * (1.0 + squares));
    }

    #[test]
    fn counting_and_masking(x in logits(), cut in -40.0_f32..40.0) {
        let count = on_all_levels(|| count_at_least(&x, cut));
        prop_assert_eq!(count, x.iter().filter(|l| **l >= cut).count());
        let masked = on_all_levels(|| {
            let mut out = vec![0.0; x.len()];
            mask_window(&x, (cut, 30.0), -7.5, &mut out);
            out
        });
        let expected: Vec<f32> =
            x.iter().map(|l| if cut <= *l && *l <= 30.0 { *l } else { -7.5 }).collect();
        prop_assert_eq!(masked, expected);
    }

    #[test]
    fn gathers(
        mut x in logits(),
        lo in -40.0_f32..40.0,
        width in 0.0_f32..50.0,
        filled in 0..100_usize,
    ) {
        let window = (lo, lo + width);
        // Whole vectors inside as well, which chance hardly makes.
        x.iter_mut().skip(5).take(filled).for_each(|l| *l = lo);
        let got = on_all_levels(|| {
            let (mut values, mut ids) = (Vec::new(), Vec::new());
            gather_window(&x, 10, window, &mut values, &mut ids);
            (values, ids)
        });
        let expected: Vec<(u32, f32)> = (10..)
            .zip(x.iter().copied())
            .filter(|(_, l)| window.0 <= *l && *l <= window.1)
            .collect();
        prop_assert_eq!(got.1, expected.iter().map(|t| t.0).collect::<Vec<_>>());
        prop_assert_eq!(got.0, expected.iter().map(|t| t.1).collect::<Vec<_>>());

        // The same of what is packed already; ids are bits, whatever number they would be.
        let packed: Vec<(f32, u32)> =
            x.iter().zip(0..).map(|(l, i)| (*l, 0x7f80_0000_u32.wrapping_add(i * 77))).collect();
        let got = on_all_levels(|| {
            let (mut values, mut ids) = packed.iter().copied().unzip();
            retain_window(window, &mut values, &mut ids);
            values.into_iter().zip(ids).collect::<Vec<_>>()
        });
        let inside = |l: &f32| window.0.max(f32::MIN) <= *l && *l <= window.1;
        let expected: Vec<(f32, u32)> = packed.into_iter().filter(|(l, _)| inside(l)).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn masses_of_windows(
        x in logits(),
        scale in prop_oneof![Just(1.0_f32), 0.1_f32..10.0, Just(0.0)],
        wide in (-60.0_f32..40.0, 0.0_f32..60.0),
        narrow in (0.0_f32..5.0, 0.0_f32..5.0),
    ) {
        let x: Vec<f32> = x.into_iter().filter(|l| *l < 1e30).collect();
        let max = max_of(&x);
        prop_assume!(max > f32::NEG_INFINITY);
        let wide = (wide.0, wide.0 + wide.1);
        let narrow = (wide.0 + narrow.0, wide.1 - narrow.1);
        let blocks: Vec<f32> = x.chunks(BLOCK).map(max_of).collect();
        let got = on_all_levels(|| masses_within(&x, &blocks, max, scale, wide, narrow));
        for (got, window) in [(got.0, wide), (got.1, narrow)] {
            let expected = exp_sums(&x, max, scale, window, Wanted::default()).z;
            prop_assert!((got - expected).abs() <= 2e-6 * expected, "{got} {expected}");
        }
    }

    #[test]
    fn histograms_partition_the_row(
        x in logits(),
        two_sided in any::<bool>(),
        centre in -10.0_f32..40.0,
        per_unit in 0.2_f32..8.0,
    ) {
        let x: Vec<f32> = x.into_iter().filter(|l| l.abs() < 1e30 || l.is_infinite()).collect();
        let max = if two_sided { max_of(&x) } else { centre };
        let window = (f32::MIN, if two_sided { f32::INFINITY } else { centre });
        prop_assume!(x.iter().any(|l| window.0 <= *l && *l <= window.1));
        prop_assume!(max > f32::NEG_INFINITY);
        let key = Key { centre, two_sided, scale: per_unit };
        let bins = on_all_levels(|| {
            let mut bins = vec![0.0; 64];
            key_histogram(&x, max, 1.0, window, &key, &mut bins);
            bins
        });
        for (bin, mass) in bins.iter().enumerate() {
            let range = (bin as f32, (bin + 1) as f32);
            let got = on_all_levels(|| {
                let mut out = Vec::new();
                gather_keys(&x, window, &key, range, &mut out);
                out
            });
            let expected: Vec<f32> = x
                .iter()
                .copied()
                .filter(|l| window.0 <= *l && *l <= window.1)
                .filter(|l| range.0 <= key.of(*l) && key.of(*l) < range.1)
                .collect();
            prop_assert_eq!(&got, &expected);
            let mut weights = vec![0.0; got.len()];
            exp_into(&got, max, 1.0, &mut weights);
            prop_assert_eq!(*mass, weights.iter().map(|w| f64::from(*w)).sum::<f64>());
        }
        let range = (3.0, 40.5);
        let maxima: Vec<f32> = x.chunks(BLOCK).map(max_of).collect();
        let split = Split { window, key, range, least: f32::NEG_INFINITY };
        let (ahead, between) = on_all_levels(|| {
            let mut out = vec![7.0];
            (split_keys(&x, &maxima, max, 1.0, &split, &mut out), out)
        });
        let mut gathered = vec![7.0];
        gather_keys(&x, window, &key, range, &mut gathered);
        prop_assert_eq!(between, gathered.clone());
        let expected: f64 = bins[..3].iter().sum();
        prop_assert!((ahead - expected).abs() <= 1e-6 * expected);
        let split = Split { least: f32::INFINITY, ..split };
        let nothing = split_keys(&x, &maxima, max, 1.0, &split, &mut gathered);
        prop_assert!(nothing == 0.0 || maxima.contains(&f32::INFINITY));
    }
}

#[test]
fn every_half_is_widened_exactly() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let wide = on_all_levels(|| {
        let mut out = vec![0.0; all.len()];
        widen_f16(&all, &mut out);
        // NaN payloads may differ between processors; NaN itself may not.
        out.iter().map(|v| if v.is_nan() { None } else { Some(v.to_bits()) }).collect::<Vec<_>>()
    });
    for (&bits, got) in all.iter().zip(&wide) {
        let expected = half::f16::from_bits(bits).to_f32();
        assert_eq!(*got, if expected.is_nan() { None } else { Some(expected.to_bits()) });
    }
    let wide = on_all_levels(|| {
        let mut out = vec![0.0; all.len()];
        widen_bf16(&all, &mut out);
        out.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    });
    for (&bits, got) in all.iter().zip(&wide) {
        assert_eq!(*got, u32::from(bits) << 16);
    }
}

#[test]
fn nan_is_seen_wherever_it_stands() {
    for n in [1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 600] {
        for at in 0..n {
            let mut x = vec![1.0_f32; n];
            x[at] = f32::NAN;
            let seen = on_all_levels(|| block_max(&x, &mut vec![0.0; n.div_ceil(BLOCK)]));
            assert!(seen, "length {n}, position {at}");
        }
    }
}

#[test]
fn the_exponential_is_within_two_units_in_the_last_place() {
    // Every 2^8-th bit pattern of the negative numbers down to the smallest normal result.
    let last = (87.33_f32).to_bits();
    let x: Vec<f32> = (0..=last).step_by(1 << 8).map(|bits| -f32::from_bits(bits)).collect();
    let got = on_all_levels(|| {
        let mut out = vec![0.0; x.len()];
        exp_into(&x, 0.0, 1.0, &mut out);
        out
    });
    for (&y, &w) in x.iter().zip(&got) {
        let exact = f64::from(y).exp();
        let ulp = f64::from(w.next_up() - w);
        assert!((f64::from(w) - exact).abs() <= 2.0 * ulp, "exp({y}) = {w}, not {exact}");
    }
}
