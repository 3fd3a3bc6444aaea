//! From the law of a node to its best children.

use crate::decode::{Successive, Tokens};
use crate::sequences::gumbel::softplus;
use sortes_core::memory::{copied, reserve, with_capacity};
use sortes_core::rng::elementary::ln_any;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::weights::first_beyond;
use sortes_core::{Result, Run};

/// Children for which memory is taken together.
const FEW: usize = 64;

/// The key of the root, and the value of the best sequence of all.
pub(super) fn root(stream: Stream) -> (u64, f64) {
    let mut draws = stream.draws(Purpose::Branch, 0);
    let key = draws.u64();
    draws.seek(2);
    (key, draws.gumbel())
}

/// The key of the child of a node that ends with a token.
pub(super) fn key_of_child(key: u64, token: u32) -> u64 {
    Stream::new(key).draws(Purpose::Branch, 1 + u64::from(token)).u64()
}

/// A token that may follow a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Child {
    pub(super) token: u32,
    /// The logarithm of its probability after the node.
    pub(super) ln_p: f64,
    /// Its perturbed log-probability; zero where nothing is perturbed.
    pub(super) perturbed: f64,
}

/// The law of the token that follows a node, from a row of logits or from given probabilities.
pub(super) trait Law: Sized {
    type Left: Left;

    /// The `n` most likely tokens, the most likely first, the lowest id among equals. Those below
    /// `least` may be left out, but for the first.
    fn likeliest(self, n: usize, least: f64) -> Result<Vec<(u32, f64)>>;

    /// The tokens as they are drawn without replacement.
    fn successive(self) -> Result<Self::Left>;
}

/// What is left of a law.
pub(super) trait Left {
    /// The share of the mass that is left.
    fn left(&self) -> f64;

    /// Draws a token by a uniform number; `None` if none with weight is left.
    fn draw(&mut self, uniform: f64) -> Option<(u32, f64)>;
}

impl<'r, 's> Law for Tokens<'r, 's> {
    type Left = Successive<'r, 's>;

    fn likeliest(self, n: usize, least: f64) -> Result<Vec<(u32, f64)>> {
        Tokens::likeliest(self, n, least)
    }

    fn successive(self) -> Result<Self::Left> {
        Tokens::successive(self)
    }
}

impl Left for Successive<'_, '_> {
    fn left(&self) -> f64 {
        Successive::left(self)
    }

    fn draw(&mut self, uniform: f64) -> Option<(u32, f64)> {
        Successive::draw(self, uniform)
    }
}

/// Tokens and the logarithms of their probabilities, which sum to one.
#[derive(Clone, Copy)]
pub(super) struct Listed<'a>(pub(super) &'a [i64], pub(super) &'a [f64]);

pub(super) struct LeftOfList<'a> {
    law: Listed<'a>,
    probs: Vec<f64>,
}

impl<'a> Law for Listed<'a> {
    type Left = LeftOfList<'a>;

    fn likeliest(self, n: usize, _: f64) -> Result<Vec<(u32, f64)>> {
        let mut all = with_capacity(self.0.len(), "tokens of a node")?;
        let pairs = self.0.iter().zip(self.1).map(|(t, l)| (*t as u32, *l));
        all.extend(pairs.filter(|(_, l)| *l > f64::NEG_INFINITY));
        all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(n);
        Ok(all)
    }

    fn successive(self) -> Result<Self::Left> {
        let mut probs = copied(self.1, "tokens of a node", Run::alone())?;
        for l in &mut probs {
            *l = l.exp();
        }
        Ok(LeftOfList { law: self, probs })
    }
}

impl Left for LeftOfList<'_> {
    fn left(&self) -> f64 {
        self.probs.iter().sum()
    }

    fn draw(&mut self, uniform: f64) -> Option<(u32, f64)> {
        let target = uniform * self.left();
        let (i, _) = first_beyond(self.probs.iter().copied(), 0.0, target)?;
        self.probs[i] = 0.0;
        Some((self.law.0[i] as u32, self.law.1[i]))
    }
}

/// A node whose children are perturbed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Perturbed {
    pub(super) ln_p: f64,
    /// The perturbed log-probability of the best sequence below.
    pub(super) value: f64,
    pub(super) key: u64,
}

/// The `most` best children by perturbed log-probability, as far as they reach `least`.
///
/// The best child has the value of the node. Below a value `G` the next one is
/// `-ln(exp(-G) + E / m)`, with an exponential `E` and the mass `m` that is left, and it is that of a
/// token that is drawn in proportion to what is left.
pub(super) fn perturbed(
    law: impl Law,
    node: Perturbed,
    most: usize,
    least: f64,
) -> Result<Vec<Child>> {
    let mut children = Vec::new();
    let mut left = law.successive()?;
    let mut draws = Stream::new(node.key).draws(Purpose::Branch, 0);
    let mut value = node.value;
    for rank in 0..most {
        if rank > 0 {
            let (e, mass) = (draws.exponential(), left.left());
            if mass <= 0.0 {
                break;
            }
            value -= softplus(ln_any(e) + value - node.ln_p - ln_any(mass));
            if value < least {
                break;
            }
        }
        let Some((token, ln_p)) = left.draw(draws.uniform()) else { break };
        if children.len() == children.capacity() {
            reserve(&mut children, FEW, "children of a node")?;
        }
        children.push(Child { token, ln_p, perturbed: value });
    }
    Ok(children)
}

/// The most likely child, and of the `most` most likely ones those whose log-probability reaches
/// `least`.
pub(super) fn likeliest(law: impl Law, most: usize, least: f64) -> Result<Vec<Child>> {
    let tokens = law.likeliest(most, least)?;
    let mut children = with_capacity(tokens.len(), "children of a node")?;
    let late = tokens.iter().skip(1).position(|(_, ln_p)| *ln_p < least);
    let early = &tokens[..late.map_or(tokens.len(), |late| 1 + late)];
    children.extend(early.iter().map(|&(token, ln_p)| Child { token, ln_p, perturbed: 0.0 }));
    Ok(children)
}
