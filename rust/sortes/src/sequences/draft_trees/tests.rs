//! What the tests in Python cannot reach: instruction sets, and trees that are very deep.

use super::*;
use crate::decode::{AnyRows, Call, Mask, Options, Rows, Rules};
use crate::sequences::verify::Texts;
use sortes_core::Run;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::simd::{available_levels, with_level};

struct Table {
    x: Vec<f32>,
    cols: usize,
}

impl Table {
    fn random(rows: usize, cols: usize, seed: u64) -> Self {
        let mut draws = Stream::new(seed).draws(Purpose::Uniform, 0);
        Self { x: (0..rows * cols).map(|_| 3.0 * draws.normal() as f32).collect(), cols }
    }
}

impl Rows<f32> for Table {
    fn rows(&self) -> usize {
        self.x.len() / self.cols
    }
    fn cols(&self) -> usize {
        self.cols
    }
    fn row(&self, row: usize) -> &[f32] {
        &self.x[row * self.cols..][..self.cols]
    }
}

/// Calls `f` on texts without axes that have these logits, for some seeds.
fn each_seed<R>(target: &Table, draft: &Table, mut f: impl FnMut(&Texts<'_>) -> R) -> Vec<R> {
    let rules = Rules::new(Options::default());
    let texts = |seed: u64| {
        let streams = [Stream::new(seed)];
        let call =
            Call { rules: &rules, streams: &streams, rows: None, bias: None, mask: Mask::None };
        let (target, draft) = (AnyRows::F32(target), Some(AnyRows::F32(draft)));
        f(&Texts { call: &call, shape: &[], name: "target_logits", target, draft })
    };
    (0..20).map(texts).collect()
}

#[test]
fn instruction_sets_agree() {
    let (target, draft) = (Table::random(24, 3001, 1), Table::random(24, 3001, 2));
    let tokens: Vec<i64> = (0..24).collect();
    let parents: Vec<i64> = (0..24).map(|node| (node + 1) / 2 - 1).collect();
    let depths = depths(&tokens, &parents).unwrap();
    let forest = Forest::new(&tokens, &parents, &depths, &[0, 24]).unwrap();
    let all = || {
        let mut found = Vec::new();
        for method in [Method::Draw, Method::Rejection, Method::Traversal] {
            found.push(each_seed(&target, &draft, |texts| {
                verify(texts, &forest, 24, method, Run::alone()).unwrap()
            }));
        }
        let paths = Paths { tokens: &tokens[..18], count: 3, length: 6 };
        let chosen = [Grouping::Sized, Grouping::Single].map(|grouping| {
            each_seed(&target, &draft, |texts| {
                verify_paths(texts, paths, grouping, Run::alone()).unwrap()
            })
        });
        (found, chosen)
    };
    let want = all();
    for level in available_levels() {
        assert!(with_level(level, all) == want, "{level:?}");
    }
}

#[test]
fn a_tree_may_be_deep() {
    let n = 5000;
    let tokens: Vec<i64> = (0..n).map(|node| i64::from(node % 3 == 0)).collect();
    let parents: Vec<i64> = (-1..i64::from(n) - 1).collect();
    let depths = depths(&tokens, &parents).unwrap();
    let starts = [0, n as usize];
    let forest = Forest::new(&tokens, &parents, &depths, &starts).unwrap();
    let table = Table { x: vec![0.0; 2 * n as usize], cols: 2 };
    let taken = each_seed(&table, &table, |texts| {
        verify(texts, &forest, n as usize, Method::Traversal, Run::alone()).unwrap()[0].nodes.len()
    });
    // The laws are equal: everything is taken.
    assert_eq!(taken, [n as usize - 1; 20]);
}
