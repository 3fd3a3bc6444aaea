use super::codebook::Codebook;
use super::codes::{ArithmeticCodes, Order};
use super::digits::Digits;
use super::register::Register;
use crate::decode::{Call, Mask, Options, Rows, Rule, Rules};
use serde_json::Value;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Result, Run};
use std::collections::HashMap;

const VECTORS: &str = include_str!("../../../../../tests/data/sequences/arithmetic.json");

fn vectors(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    all[name].as_array().unwrap().clone()
}

fn floats(x: &Value) -> Vec<f64> {
    x.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Integers, of which the large ones are strings.
fn integer(x: &Value) -> u64 {
    x.as_u64().unwrap_or_else(|| x.as_str().unwrap().parse().unwrap())
}

fn integers(x: &Value) -> Vec<u64> {
    x.as_array().unwrap().iter().map(integer).collect()
}

#[test]
fn digits_are_those_of_the_quotient() {
    for case in vectors("digits") {
        let (n, words) = (integer(&case["n"]), integers(&case["words"]));
        let mut word = |k: u64| words[k as usize] as u32;
        let mut digits = Digits::new(integer(&case["i"]));
        for want in integers(&case["digits"]) {
            assert_eq!(digits.take(32, n, &mut word), want);
        }
        // The same bits in unequal parts.
        let whole =
            integers(&case["digits"]).iter().fold(0_u128, |all, d| all << 32 | u128::from(*d));
        let (mut digits, mut got) = (Digits::new(integer(&case["i"])), 0_u128);
        for bits in [1, 31, 33, 7, 56] {
            got = got << bits | u128::from(digits.take(bits, n, &mut word));
        }
        assert_eq!(got, whole);
    }
}

#[test]
fn steps_of_real_numbers() {
    for case in vectors("steps") {
        // The parser of JSON may be off by a unit, which makes a number just below one to one.
        let code = case["code"].as_f64().unwrap().min(1.0_f64.next_down());
        let probs = floats(&case["probs"]);
        let mut register = Register::new((code * (1_u64 << 53) as f64) as u64 * 1024);
        let (token, ends) = register.find(probs.iter().copied()).unwrap();
        assert_eq!(token as u64, integer(&case["token"]), "{case}");
        assert_eq!(ends, [case["low"].as_f64().unwrap(), case["high"].as_f64().unwrap()]);
        register.narrow(ends);
        register.refill(|_| 0);
        let want = case["new_code"].as_f64().unwrap();
        assert!((register.code() - want).abs() < 1e-15, "{case}: {}", register.code());
    }
}

#[test]
fn steps_of_integers() {
    for case in vectors("exact_steps") {
        let probs = floats(&case["probs"]);
        let mut register = Register::of(integer(&case["x"]), integer(&case["range"])).unwrap();
        let (token, ends) = register.find(probs.iter().copied()).unwrap();
        assert_eq!(token as u64, integer(&case["token"]), "{case}");
        let cumulative = integers(&case["cum53"]);
        let before = if token == 0 { 0 } else { cumulative[token - 1] };
        let shares = ends.map(|share| (share * (1_u64 << 53) as f64) as u64);
        assert_eq!(shares, [before, cumulative[token]]);
        register.narrow(ends);
        let after = [integer(&case["x_after"]), integer(&case["range_after"])];
        assert_eq!(register.parts(), after);
        let mut shift = 0;
        register.refill(|bits| {
            shift = bits;
            0
        });
        assert_eq!(u64::from(shift), integer(&case["shift"]));
        assert_eq!(register.parts(), after.map(|part| part << shift));
    }
}

#[test]
fn texts_of_a_language_model() {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    for case in vectors("decode") {
        let lm = &all["lms"][case["lm"].as_str().unwrap()];
        let (n, words) = (integer(&case["n"]), integers(&case["words"]));
        let mut word = |k: u64| words[k as usize] as u32;
        for (i, want) in case["sequences"].as_array().unwrap().iter().enumerate() {
            let mut digits = Digits::new(i as u64);
            let mut register = Register::new(digits.take(Register::START, n, &mut word));
            let mut text: Vec<u64> = Vec::new();
            while text.len() < integer(&lm["max_len"]) as usize {
                let prefix = text.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
                let probs = floats(&lm["table"][prefix]);
                let (token, ends) = register.find(probs.iter().copied()).unwrap();
                register.narrow(ends);
                register.refill(|bits| digits.take(bits, n, &mut word));
                text.push(token as u64);
                if token as u64 == integer(&lm["eos"]) {
                    break;
                }
            }
            assert_eq!(text, integers(want));
            let code = floats(&case["final_codes"])[i];
            assert!((register.code() - code).abs() < 1e-12, "{case}: {}", register.code());
        }
    }
}

#[test]
fn parts_are_found_as_the_integers_say() {
    let mut draws = Stream::new(5).draws(Purpose::Uniform, 0);
    for _ in 0..20_000 {
        let range = draws.u64() | 1 << 63;
        let x = (draws.uniform() * range as f64) as u64;
        let register = Register::of(x.min(range - 1), range).unwrap();
        let masses: Vec<f64> = (0..5)
            .map(|_| if draws.below(3) == 0 { 0.0 } else { (20.0 * draws.normal()).exp() })
            .collect();
        let total: f64 = masses.iter().sum();
        let Some((token, ends)) = register.find(masses.iter().copied()) else {
            assert_eq!(total, 0.0);
            continue;
        };
        assert!(masses[token] > 0.0);
        // By the definition: the first whose end, in units of the range, lies beyond.
        let mut through = 0.0;
        let want = masses.iter().position(|mass| {
            through += mass;
            let share = (through / total * (1_u64 << 53) as f64) as u128;
            (u128::from(range) * share) >> 53 > u128::from(register.parts()[0])
        });
        assert_eq!(Some(token), want);
        let mut narrowed = register;
        narrowed.narrow(ends);
        narrowed.refill(|bits| draws.u64() >> (64 - bits));
        assert!(Register::of(narrowed.parts()[0], narrowed.parts()[1]).is_some());
    }
    let whole = Register::of(u64::MAX - 1, u64::MAX).unwrap();
    assert_eq!(whole.threshold(), 1.0);
    assert_eq!(whole.find([0.5, 0.5, 0.0].into_iter()), Some((1, [0.5, 1.0])));
    assert_eq!(whole.find([0.0, 0.0].into_iter()), None);
    assert!(whole.code() < 1.0);
}

#[test]
fn shares_that_are_off_by_a_rounding_keep_the_code() {
    let register = Register::of((1 << 62) - 1, 1 << 63).unwrap();
    for ends in [[0.5, 0.75], [0.25, 0.25], [0.4, 0.3], [0.0, 1.5]] {
        let mut narrowed = register;
        narrowed.narrow(ends);
        let [x, range] = narrowed.parts();
        assert!(x < range, "{ends:?}");
    }
}

/// Rows of logits.
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

fn rules(params: &[(&str, f64)]) -> Rules {
    let order = params.iter().map(|(name, _)| Rule::named(name).unwrap()).collect();
    let mut rules = Rules::new(Options { order, ..Options::default() });
    for (name, value) in params {
        rules.set(name, *value).unwrap();
    }
    rules
}

fn step(codes: &mut ArithmeticCodes, logits: &Matrix, rules: &Rules) -> Result<Vec<i64>> {
    let call = Call { rules, streams: &[Stream::new(0)], rows: None, bias: None, mask: Mask::None };
    let mut tokens = vec![0; codes.len()];
    codes.step(&call, logits, None, -1, &mut tokens, None, Run::alone())?;
    Ok(tokens)
}

fn lattice(n: u64, order: Order) -> ArithmeticCodes {
    ArithmeticCodes::new((1, None), n, Codebook::Lattice, order, Stream::new(3), Run::alone())
        .unwrap()
}

/// A lattice of `n` codes takes each token `floor(n p)` or `ceil(n p)` times, in every order, on
/// rows that take every path: lists, scans, and rules that leave few or many.
#[test]
fn counts_are_rounded_probabilities() {
    let mut draws = Stream::new(11).draws(Purpose::Uniform, 0);
    let mut normal = |len: usize, sd: f64| -> Vec<f32> {
        (0..len).map(|_| (draws.normal() * sd) as f32).collect()
    };
    let tied: Vec<f32> = normal(3_000, 1.0).iter().map(|l| l.round()).collect();
    let mut removed = normal(20_000, 2.0);
    removed.iter_mut().step_by(3).for_each(|l| *l = f32::NEG_INFINITY);
    removed[1] = -1e30;
    for row in [normal(7, 1.0), normal(9_000, 3.0), normal(30_000, 0.5), tied, removed] {
        for params in [vec![], vec![("top_k", 20.0)], vec![("temperature", 3.0), ("top_p", 0.97)]] {
            let rules = rules(&params);
            let mut law = vec![0.0; row.len()];
            let call = Call {
                rules: &rules,
                streams: &[Stream::new(0)],
                rows: None,
                bias: None,
                mask: Mask::None,
            };
            call.distribution(&Matrix(vec![row.clone()]), &mut law, Run::alone()).unwrap();
            for order in [Order::Id, Order::Probability, Order::Random] {
                const N: usize = 300;
                let mut codes = lattice(N as u64, order);
                let tokens = step(&mut codes, &Matrix(vec![row.clone(); N]), &rules).unwrap();
                let mut counts = HashMap::new();
                for token in tokens {
                    *counts.entry(token as usize).or_insert(0) += 1;
                }
                for (&id, &count) in &counts {
                    let expected = N as f64 * law[id];
                    assert!(
                        (f64::from(count) - expected).abs() < 1.0 + 1e-3,
                        "{id} {count} {expected}"
                    );
                }
                for (id, p) in law.iter().enumerate() {
                    assert!(N as f64 * p < 1.001 || counts.contains_key(&id), "{id} {p}");
                }
            }
        }
    }
}

/// The order of the codes, around the end, is the order of the tokens.
#[test]
fn orders_are_kept() {
    let row: Vec<f32> = (0..10_000).map(|id| (id * 37 % 101) as f32 / 25.0).collect();
    let logits = Matrix(vec![row.clone(); 500]);
    let plain = rules(&[]);
    let in_order = |mut keys: Vec<(f32, i64)>| {
        // From the least key on.
        let wraps = keys.windows(2).position(|pair| pair[0] > pair[1]).map_or(0, |at| at + 1);
        keys.rotate_left(wraps);
        keys.is_sorted()
    };
    let by_id = step(&mut lattice(500, Order::Id), &logits, &plain).unwrap();
    assert!(in_order(by_id.iter().map(|&id| (0.0, id)).collect()));
    for params in [vec![], vec![("top_k", 50.0)]] {
        let tokens = step(&mut lattice(500, Order::Probability), &logits, &rules(&params)).unwrap();
        assert!(in_order(tokens.iter().map(|&id| (-row[id as usize], id)).collect()));
    }
    let mut random = lattice(500, Order::Random);
    let places: HashMap<_, _> =
        random.arrangement(10_000, Run::alone()).unwrap().into_iter().zip(0..).collect();
    let tokens = step(&mut random, &logits, &plain).unwrap();
    assert!(in_order(tokens.iter().map(|id| (0.0, places[id])).collect()));
    assert!(!in_order(tokens.iter().map(|&id| (0.0, id)).collect()));
    let next = random.arrangement(10_000, Run::alone()).unwrap();
    assert!(next.iter().zip(0..).any(|(id, place)| places[id] != place));
}

#[test]
fn a_refused_step_changes_nothing() {
    let mut codes = lattice(3, Order::Id);
    let before = codes.copied(Run::alone()).unwrap();
    let mut bad = Matrix(vec![vec![0.0, 1.0]; 3]);
    bad.0[2][0] = f32::NAN;
    let error = step(&mut codes, &bad, &rules(&[])).unwrap_err();
    assert_eq!(error.to_string(), "logits: row 2: contains NaN or +inf");
    assert_eq!(codes, before);
    assert!(step(&mut codes, &Matrix(vec![vec![0.0; 2]; 2]), &rules(&[])).is_err());
    step(&mut codes, &Matrix(vec![vec![0.0; 2]; 3]), &rules(&[])).unwrap();
    let error = step(&mut codes, &Matrix(vec![vec![0.0; 5]; 3]), &rules(&[])).unwrap_err();
    assert_eq!(error.to_string(), "logits: has 5 columns, but the step before had 2");
    let stale = [0.5; 3];
    let error = codes.narrow((&[0.0; 3], &[1.0; 3]), &stale, None, 2, Run::alone()).unwrap_err();
    assert!(error.to_string().starts_with("codes: another thread"));
}

#[test]
fn states_come_back_from_bytes() {
    for codebook in [Codebook::Lattice, Codebook::Stratified, Codebook::T5x] {
        let ids = [7, 9];
        let stream = Stream::new(1).at_step(4);
        let (prompts, run) = ((2, Some(&ids[..])), Run::alone());
        let mut codes =
            ArithmeticCodes::new(prompts, 3, codebook, Order::Random, stream, run).unwrap();
        let logits = Matrix(vec![vec![0.0, 1.0, 2.0]; 6]);
        step(&mut codes, &logits, &rules(&[])).unwrap();
        let bytes = codes.to_bytes(run).unwrap();
        let mut back = ArithmeticCodes::from_bytes(&bytes, run).unwrap();
        assert_eq!(back, codes);
        let rules = rules(&[]);
        for _ in 0..50 {
            let want = step(&mut codes, &logits, &rules).unwrap();
            assert_eq!(step(&mut back, &logits, &rules).unwrap(), want);
        }
        for cut in 0..bytes.len() {
            assert!(ArithmeticCodes::from_bytes(&bytes[..cut], run).is_err());
        }
    }
}
