//! How walkers are shared out over the nodes that they start from: in proportion to weights, rounded.

use sortes_core::memory::with_capacity;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Result, Run};

use super::super::walks::{Hand, Jumps};

/// Weights between two looks at the stop request.
const BLOCK: usize = 1 << 16;

/// The nodes with weights, laid end to end over `[0, blocks * walkers)`, each as long as its share.
///
/// The axis is cut into blocks of as many units as an ensemble has walkers. Within a block the starts
/// are an ordered pivotal sample; blocks have nothing to do with each other, so that their variances
/// add up.
pub(super) struct Axis {
    nodes: Vec<i64>,
    /// Where each ends.
    sums: Vec<f64>,
    walkers: usize,
}

/// Memory that blocks, one after the other, share.
#[derive(Default)]
pub(super) struct Scratch {
    hand: Hand,
    sums: Vec<f64>,
    words: Vec<u64>,
}

impl Axis {
    pub(super) fn new(
        weights: &[f64],
        blocks: usize,
        walkers: usize,
        run: Run<'_>,
    ) -> Result<Self> {
        let (mut count, mut total) = (0, 0.0);
        for range in run.blocks(weights.len(), BLOCK) {
            for &weight in &weights[range?] {
                count += usize::from(weight > 0.0);
                total += weight;
            }
        }
        let mut nodes = with_capacity(count, "nodes with weights")?;
        let mut sums = with_capacity(count, "running sums of weights")?;
        let length = blocks as f64 * walkers as f64;
        let mut sum = 0.0;
        for range in run.blocks(weights.len(), BLOCK) {
            for node in range? {
                if weights[node] > 0.0 {
                    sum += weights[node];
                    nodes.push(node as i64);
                    sums.push(sum / total * length);
                }
            }
        }
        if let Some(last) = sums.last_mut() {
            *last = length;
        }
        Ok(Self { nodes, sums, walkers })
    }

    /// Jumps to a node by its weight.
    pub(super) fn jumps(&self) -> Jumps<'_> {
        Jumps::Among(&self.nodes, &self.sums)
    }

    /// The starts of an ensemble of a block.
    pub(super) fn draw(
        &self,
        block: usize,
        ensemble: u64,
        stream: Stream,
        scratch: &mut Scratch,
        out: &mut [i64],
    ) -> Result<()> {
        let low = block as f64 * self.walkers as f64;
        let high = low + self.walkers as f64;
        let first = self.sums.partition_point(|&sum| sum <= low).min(self.sums.len() - 1);
        let count = self.sums[first..].partition_point(|&sum| sum < high) + 1;
        let ends = &self.sums[first..(first + count).min(self.sums.len())];
        if ends.len() == 1 {
            out.fill(self.nodes[first]);
            return Ok(());
        }
        let Scratch { hand, sums, words } = scratch;
        sums.clear();
        sortes_core::memory::reserve(sums, ends.len(), "running sums of weights")?;
        sums.extend(ends.iter().map(|&end| end.min(high) - low));
        let mut draws = stream.draws(Purpose::Allot, ensemble);
        words.clear();
        sortes_core::memory::reserve(words, self.walkers, "words of walkers")?;
        words.extend((0..self.walkers).map(|_| draws.u64()));
        hand.pivotally(sums, words, &mut draws)?;
        for (out, &arc) in out.iter_mut().zip(&hand.arcs) {
            *out = self.nodes[first + arc as usize];
        }
        Ok(())
    }
}
