//! What graphs are made of: arcs in any order.
//!
//! Arcs are checked, those of weight zero are left out, the others are sorted by their two nodes, equals
//! in the order in which they were given.

use sortes_core::csr::{Index, starts};
use sortes_core::error::shown;
use sortes_core::memory::{filled, with_capacity, zeroed};
use sortes_core::order;
use sortes_core::{Error, Result, Run};

use super::{Graph, MOST, Row, TASK, parts, tasks};

/// The arcs of a graph.
#[derive(Debug, Clone, Copy)]
pub enum Arcs<'a, I> {
    /// Row `r` has the targets `indices[indptr[r]..indptr[r + 1]]`.
    Rows {
        /// Where rows start, and the end of the last.
        indptr: &'a [I],
        /// The targets, row by row.
        indices: &'a [I],
        /// What messages call `indptr`.
        name: &'static str,
    },
    /// Arc `e` goes from `sources[e]` to `targets[e]`.
    Pairs {
        /// Where arcs begin.
        sources: &'a [I],
        /// Where they end.
        targets: &'a [I],
    },
}

/// The weights of arcs, and what messages call them.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// One for each arc.
    pub values: &'a [f64],
    /// The argument that they come from.
    pub name: &'static str,
}

/// The graph of `nodes` nodes with these arcs; `name` is the argument that they come from. Arcs are
/// numbered in order, or as `numbers` says. Without weights, and with weights that are all one, every arc of a node is as likely. With `coalesce` arcs
/// between the same nodes become one, whose weight is the sum of theirs.
///
/// # Errors
/// If there are too many nodes or arcs, an arc has a node that is not there, or a weight is negative or
/// not finite, or those of a node have no finite sum; if there is no memory for the graph, or the work
/// is cancelled.
pub fn build<I: Index>(
    nodes: usize,
    arcs: Arcs<'_, I>,
    name: &'static str,
    numbers: Option<&[u32]>,
    weights: Option<Weights<'_>>,
    coalesce: bool,
    run: Run<'_>,
) -> Result<Graph> {
    let count = arcs.len();
    if nodes > MOST {
        return Err(Error::argument("num_nodes", format!("must be at most {MOST}, got {nodes}")));
    }
    if count > MOST {
        return Err(Error::argument(name, format!("must have at most {MOST} arcs, got {count}")));
    }
    if let Some(Weights { values, name }) = weights
        && values.len() != count
    {
        let (expected, got) = (format!("({count},)"), format!("({},)", values.len()));
        return Err(Error::Shape { name, expected, got });
    }
    let starts = match arcs {
        Arcs::Rows { indptr, name, .. } if indptr.len() != nodes + 1 => {
            let (expected, got) = (format!("({},)", nodes + 1), format!("({},)", indptr.len()));
            return Err(Error::Shape { name, expected, got });
        }
        Arcs::Rows { indptr, indices, name } => starts(indptr, indices.len(), (name, ""), run)?,
        Arcs::Pairs { .. } => Vec::new(),
    };
    let given = Given { arcs, starts, name, weights, nodes };
    let rows = given.rows(run)?;
    let mut keys = given.keys(&rows, run)?;
    sort_rows(&rows, &mut keys, run)?;

    let mut neighbours = zeroed(keys.len(), "neighbours")?;
    run.fill_chunks(&mut neighbours, TASK, |task, out: &mut [u32]| {
        let keys = &keys[task * TASK..];
        out.iter_mut().zip(keys).for_each(|(out, key)| *out = (key >> 32) as u32);
    })?;
    let mut ids = zeroed(keys.len(), "ids of edges")?;
    run.fill_chunks(&mut ids, TASK, |task, out: &mut [u32]| {
        let keys = &keys[task * TASK..];
        out.iter_mut().zip(keys).for_each(|(out, &key)| *out = key as u32);
    })?;
    drop(keys);
    let values = match weights {
        // Weights that are all one say nothing; among those of arcs that become one, they do.
        Some(weights) if !weights.values.iter().all(|&w| w == 1.0) => {
            let mut values = zeroed(ids.len(), "weights")?;
            run.fill_chunks(&mut values, TASK, |task, out: &mut [f64]| {
                let ids = &ids[task * TASK..];
                out.iter_mut().zip(ids).for_each(|(out, &id)| *out = weights.values[id as usize]);
            })?;
            Some(values)
        }
        _ => None,
    };
    let mut parts = Parts { rows, neighbours, ids, values };
    if coalesce {
        parts = parts.coalesced(run)?;
    }
    let Parts { rows, neighbours, mut ids, values } = parts;
    if let Some(numbers) = numbers {
        for id in &mut ids {
            *id = numbers[*id as usize];
        }
    }
    let sorted = ids.len() == count && ids.iter().enumerate().all(|(i, &id)| i == id as usize);
    Graph::new(rows, neighbours, (!sorted).then_some(ids), values, run)
}

/// Arcs as they were given.
struct Given<'a, I> {
    arcs: Arcs<'a, I>,
    /// Of rows.
    starts: Vec<usize>,
    name: &'static str,
    weights: Option<Weights<'a>>,
    nodes: usize,
}

impl<I: Index> Arcs<'_, I> {
    fn len(&self) -> usize {
        match self {
            Self::Rows { indices, .. } => indices.len(),
            Self::Pairs { targets, .. } => targets.len(),
        }
    }
}

impl<I: Index> Given<'_, I> {
    /// Calls `f` with the source, the target and the number of each arc that has weight, in order.
    fn each(&self, run: Run<'_>, mut f: impl FnMut(u32, u32, usize)) -> Result<()> {
        let mut row = 0;
        for range in run.blocks(self.arcs.len(), TASK) {
            for arc in range? {
                let (source, target) = match self.arcs {
                    Arcs::Rows { indices, .. } => {
                        while self.starts[row + 1] <= arc {
                            row += 1;
                        }
                        (Some(row), indices[arc].checked())
                    }
                    Arcs::Pairs { sources, targets } => {
                        (sources[arc].checked(), targets[arc].checked())
                    }
                };
                let within = |node: Option<usize>| node.filter(|&node| node < self.nodes);
                let (Some(source), Some(target)) = (within(source), within(target)) else {
                    let reason = format!(
                        "arc {arc}: ids of nodes must be in [0, {}), got {} -> {}",
                        self.nodes,
                        said(source),
                        said(target)
                    );
                    return Err(Error::argument(self.name, reason));
                };
                if let Some(Weights { values, name }) = self.weights {
                    let weight = values[arc];
                    if !(0.0..=f64::MAX).contains(&weight) {
                        let reason = format!(
                            "arc {arc} ({source} -> {target}): must be in [0, inf), got {}",
                            shown(weight)
                        );
                        return Err(Error::argument(name, reason));
                    }
                    if weight == 0.0 {
                        continue;
                    }
                }
                f(source as u32, target as u32, arc);
            }
        }
        Ok(())
    }

    /// The rows of all nodes, packed.
    fn rows(&self, run: Run<'_>) -> Result<Vec<u64>> {
        let mut rows = zeroed::<u64>(self.nodes, "rows")?;
        self.each(run, |source, _, _| rows[source as usize] += 1)?;
        let mut start = 0;
        for range in run.blocks(self.nodes, TASK) {
            for row in &mut rows[range?] {
                let degree = *row as u32;
                *row = Row { start, degree }.packed();
                start += degree;
            }
        }
        Ok(rows)
    }

    /// Target and number of each arc, in the rows of their sources.
    fn keys(&self, rows: &[u64], run: Run<'_>) -> Result<Vec<u64>> {
        let kept = rows.last().map_or(0, |&row| Row::unpacked(row).range().end);
        let mut keys = zeroed::<u64>(kept, "arcs")?;
        let mut next = with_capacity(rows.len(), "rows")?;
        next.extend(rows.iter().map(|&row| Row::unpacked(row).start));
        self.each(run, |source, target, arc| {
            let at = &mut next[source as usize];
            keys[*at as usize] = u64::from(target) << 32 | arc as u64;
            *at += 1;
        })?;
        Ok(keys)
    }
}

/// A node as messages show it.
fn said(node: Option<usize>) -> String {
    node.map_or_else(|| "a negative id".into(), |node| node.to_string())
}

/// Sorts each row by targets, equals by their numbers.
fn sort_rows(rows: &[u64], keys: &mut [u64], run: Run<'_>) -> Result<()> {
    let ends = tasks(rows)?;
    let mut parts = parts(rows, &ends, keys)?;
    let first = parts.iter().map(|part| part.0).collect::<Vec<_>>();
    run.try_fill_chunks(&mut parts, 1, |task, part| {
        let mut keys = &mut *part[0].1;
        for &row in &rows[first[task]..ends[task]] {
            let (own, rest) = keys.split_at_mut(Row::unpacked(row).degree as usize);
            keys = rest;
            if !own.is_sorted() {
                order::sort(own, u64::cmp, run.serial())?;
            }
        }
        Ok(())
    })
}

/// What a graph is made of.
struct Parts {
    rows: Vec<u64>,
    neighbours: Vec<u32>,
    ids: Vec<u32>,
    values: Option<Vec<f64>>,
}

impl Parts {
    /// The same with one arc in the place of parallel ones, which has the number of the first.
    fn coalesced(mut self, run: Run<'_>) -> Result<Self> {
        let parallel = |row: &u64| {
            self.neighbours[Row::unpacked(*row).range()].windows(2).any(|pair| pair[0] == pair[1])
        };
        if !self.rows.iter().any(parallel) {
            return Ok(self);
        }
        let mut values = match self.values.take() {
            Some(values) => values,
            None => filled(self.ids.len(), 1.0, "weights")?,
        };
        let mut kept = 0;
        for range in run.blocks(self.rows.len(), TASK) {
            for row in range? {
                let arcs = Row::unpacked(self.rows[row]).range();
                let start = kept;
                let mut at = arcs.start;
                while at < arcs.end {
                    let target = self.neighbours[at];
                    let same = self.neighbours[at..arcs.end].iter().take_while(|&&x| x == target);
                    let end = at + same.count();
                    // In order of their size, so that the sum does not depend on the order of arcs.
                    values[at..end].sort_unstable_by(f64::total_cmp);
                    values[kept] = values[at..end].iter().sum();
                    (self.neighbours[kept], self.ids[kept]) = (target, self.ids[at]);
                    kept += 1;
                    at = end;
                }
                let (start, degree) = (start as u32, (kept - start) as u32);
                self.rows[row] = Row { start, degree }.packed();
            }
        }
        self.neighbours.truncate(kept);
        self.ids.truncate(kept);
        values.truncate(kept);
        Ok(Self { values: Some(values), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(
        nodes: usize,
        arcs: &[(i64, i64)],
        weights: Option<&[f64]>,
        coalesce: bool,
    ) -> Result<Graph> {
        let (sources, targets): (Vec<_>, Vec<_>) = arcs.iter().copied().unzip();
        let arcs = Arcs::Pairs { sources: &sources, targets: &targets };
        let weights = weights.map(|values| Weights { values, name: "weights" });
        build(nodes, arcs, "edge_index", None, weights, coalesce, Run::alone())
    }

    #[test]
    fn arcs_are_sorted_stably_and_keep_their_numbers() {
        let graph =
            pairs(4, &[(2, 1), (0, 3), (0, 1), (0, 3), (2, 2), (0, 0)], None, false).unwrap();
        assert_eq!(graph.neighbours(), [0, 1, 3, 3, 1, 2]);
        let ids: Vec<_> = (0..6).map(|arc| graph.edge_id(arc)).collect();
        assert_eq!(ids, [5, 2, 1, 3, 0, 4]);
        assert_eq!(graph.row(1), Row { start: 4, degree: 0 });
        assert!(graph.has_dangling() && !graph.is_weighted());
        assert_eq!(graph.stretch(graph.row(0), 3), 2..4);
        assert_eq!(graph.stretch(graph.row(0), 2), 2..2);
        assert!(graph.has_arc(2, 2) && !graph.has_arc(1, 2));
    }

    #[test]
    fn arcs_without_common_neighbours_are_known_where_a_row_is_short() {
        // A triangle, a path, a loop, and two hubs of 40 with the same neighbours and an edge.
        let mut edges = vec![(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (5, 5), (5, 6)];
        edges.extend((0..40).flat_map(|i| [(7, 9 + i), (8, 9 + i)]));
        edges.push((7, 8));
        let arcs: Vec<_> = edges
            .iter()
            .flat_map(|&(u, v)| if u == v { vec![(u, v)] } else { vec![(u, v), (v, u)] })
            .collect();
        let graph = pairs(49, &arcs, None, false).unwrap();
        assert!(graph.is_mirrored(Run::alone()).unwrap());
        let apart = graph.apart(Run::alone()).unwrap();
        let known = |u: u32, v: u32| {
            let at = graph.row(u).start + graph.stretch(graph.row(u), v).start;
            apart.at(at) == 1
        };
        for (u, v) in arcs {
            let (u, v) = (u as u32, v as u32);
            let is_apart = !graph.of(graph.row(u)).iter().any(|&node| graph.has_arc(v, node));
            // Both rows of the hubs are long: that their edge has triangles is not looked for.
            assert_eq!(known(u, v), is_apart, "{u} to {v}");
        }
        assert!(known(3, 4) && !known(0, 1) && !known(5, 6) && !known(7, 8) && !known(7, 9));
        assert!(graph.nbytes() * 32 <= (graph.nbytes() - 24) * 33, "a bit for each arc");
    }

    #[test]
    fn weights_are_kept_and_zeros_dropped() {
        let arcs = [(0, 1), (0, 1), (1, 0), (0, 0)];
        let weights = Some(&[2.0, 0.5, 0.0, 3.0][..]);
        let graph = pairs(2, &arcs, weights, false).unwrap();
        assert_eq!(
            (graph.neighbours(), graph.weights()),
            (&[0, 1, 1][..], Some(&[3.0, 2.0, 0.5][..]))
        );
        assert_eq!([0, 1, 2].map(|arc| graph.edge_id(arc)), [3, 0, 1]);
        let graph = pairs(2, &arcs, weights, true).unwrap();
        assert_eq!((graph.neighbours(), graph.weights()), (&[0, 1][..], Some(&[3.0, 2.5][..])));
        let graph = pairs(2, &arcs, None, true).unwrap();
        assert_eq!(graph.weights(), Some(&[1.0, 2.0, 1.0][..]));
        assert!(!pairs(2, &arcs, Some(&[1.0; 4]), false).unwrap().is_weighted());
    }

    #[test]
    fn bad_arcs_are_named() {
        let refused = |arcs: &[(i64, i64)], weights: Option<&[f64]>| {
            pairs(3, arcs, weights, false).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&[(0, 1), (0, 3)], None),
            "edge_index: arc 1: ids of nodes must be in [0, 3), got 0 -> 3"
        );
        assert_eq!(
            refused(&[(0, 1), (-1, 3)], None),
            "edge_index: arc 1: ids of nodes must be in [0, 3), got a negative id -> 3"
        );
        assert_eq!(
            refused(&[(0, 1), (2, 1)], Some(&[1.0, f64::NAN])),
            "weights: arc 1 (2 -> 1): must be in [0, inf), got nan"
        );
        assert_eq!(refused(&[(0, 1)], Some(&[])), "weights: must have shape (1,), got (0,)");
        assert_eq!(
            refused(&[(1, 1), (1, 0)], Some(&[1e308, 1e308])),
            "weights: row 1: the sum must be finite"
        );
    }

    #[test]
    fn slots_hold_the_law_of_their_row() {
        let weights = [5.0, 1.0, 1.0, 1.0, 1e-300, 1e300, 0.25];
        let arcs = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 2), (3, 3)];
        let graph = pairs(4, &arcs, Some(&weights), false).unwrap();
        let slots = graph.slots().unwrap();
        for node in 0..4 {
            let row = graph.row(node);
            let total: f64 = weights[row.range()].iter().sum();
            let mut law = vec![0.0; row.degree as usize];
            for (i, slot) in slots[row.range()].iter().enumerate() {
                let own = f64::from(slot.threshold) / 4_294_967_296.0;
                law[i] += own / f64::from(row.degree);
                law[slot.alias as usize] += (1.0 - own) / f64::from(row.degree);
                assert_eq!(slot.neighbour, graph.of(row)[i]);
                assert_eq!(slot.alias_neighbour, graph.of(row)[slot.alias as usize]);
            }
            for (law, weight) in law.iter().zip(&weights[row.range()]) {
                assert!((law - weight / total).abs() < 1e-9);
            }
        }
    }
}
