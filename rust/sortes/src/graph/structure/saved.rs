//! Graphs as bytes.

use sortes_core::bytes::{Kind, Reader, Writer, corrupt};
use sortes_core::memory::with_capacity;
use sortes_core::{Result, Run};

use super::{Graph, MOST, Row};

impl Graph {
    /// The state as bytes; tables are made anew where it is read.
    ///
    /// # Errors
    /// If they cannot be allocated, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let (nodes, arcs) = (self.num_nodes(), self.num_arcs());
        let halves = arcs.div_ceil(2);
        let ids = if self.edge_ids.is_some() { halves } else { 0 };
        let weights = if self.is_weighted() { arcs } else { 0 };
        let mut to = Writer::with_capacity(Kind::Graph, 4 + nodes + halves + ids + weights)?;
        to.word(nodes as u64);
        to.word(arcs as u64);
        to.word(u64::from(self.edge_ids.is_some()));
        to.word(u64::from(self.is_weighted()));
        to.words(self.rows.iter().copied(), run)?;
        to.words(pairs(&self.neighbours), run)?;
        if let Some(ids) = &self.edge_ids {
            to.words(pairs(ids), run)?;
        }
        if let Some(weights) = self.weights() {
            to.words(weights.iter().map(|weight| weight.to_bits()), run)?;
        }
        Ok(to.finish())
    }

    /// The graph of these bytes.
    ///
    /// # Errors
    /// If no graph has these bytes, if there is no memory for it, or if the work is cancelled.
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        let mut from = Reader::of(bytes, Kind::Graph, run)?;
        let nodes = from.length()?;
        let arcs = from.word()?;
        let (has_ids, is_weighted) = (from.flag("its edge ids")?, from.flag("its weights")?);
        let arcs = usize::try_from(arcs).unwrap_or(usize::MAX);
        if nodes > MOST || arcs.div_ceil(2) > from.remaining() {
            return Err(corrupt("a length is too large"));
        }
        let rows: Vec<u64> = from.column(nodes, "rows", run, |word| word)?;
        let neighbours = unpaired(&mut from, arcs, "neighbours", run)?;
        let ids =
            if has_ids { Some(unpaired(&mut from, arcs, "ids of edges", run)?) } else { None };
        let weights = if is_weighted {
            Some(from.column(arcs, "weights", run, f64::from_bits)?)
        } else {
            None
        };
        from.finish()?;

        let mut passed = 0;
        for range in run.blocks(nodes, 1 << 14) {
            for row in range? {
                let stretch = Row::unpacked(rows[row]).range();
                if stretch.start != passed || stretch.end > arcs {
                    return Err(corrupt("its rows"));
                }
                let targets = &neighbours[stretch.clone()];
                if !targets.is_sorted() || targets.last().is_some_and(|&x| x as usize >= nodes) {
                    return Err(corrupt("its neighbours"));
                }
                passed = stretch.end;
            }
        }
        let is_weight = |weight: &f64| *weight > 0.0 && weight.is_finite();
        if passed != arcs || !weights.as_ref().is_none_or(|all| all.iter().all(is_weight)) {
            return Err(corrupt("its arcs"));
        }
        Self::new(rows, neighbours, ids, weights, run)
    }
}

/// Two numbers in a word, the first in its lower half.
fn pairs(numbers: &[u32]) -> impl ExactSizeIterator<Item = u64> {
    let word =
        |pair: &[u32]| u64::from(pair.get(1).copied().unwrap_or(0)) << 32 | u64::from(pair[0]);
    numbers.chunks(2).map(word)
}

fn unpaired(
    from: &mut Reader<'_>,
    count: usize,
    what: &'static str,
    run: Run<'_>,
) -> Result<Vec<u32>> {
    let mut out = with_capacity(count + 1, what)?;
    let mut words = from.words(count.div_ceil(2))?;
    for range in run.blocks(count.div_ceil(2), 1 << 15) {
        for word in words.by_ref().take(range?.len()) {
            out.extend([word as u32, (word >> 32) as u32]);
        }
    }
    out.truncate(count);
    Ok(out)
}
