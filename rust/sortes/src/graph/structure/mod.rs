//! Graphs that never change: rows of neighbours, and a table for each row if arcs have weights.
//!
//! A row is one word, so that a step of a walk needs two places in memory: the word of the node, and
//! the neighbour. With weights the second is a slot of an alias table, which names both of its
//! neighbours.
//!
//! | file | holds |
//! |---|---|
//! | [`arcs`] | what graphs are made of: arcs in any order, checked and sorted |
//! | [`saved`] | graphs as bytes |

mod arcs;
mod saved;

use std::ops::Range;
use std::sync::OnceLock;

pub use arcs::{Arcs, Weights, build};
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::weights::{Marks, Summary, fill_table, summary_of};
use sortes_core::{Error, Result, Run};

/// The most nodes, and the most arcs: ids of both are words of 32 bits, of which a few stay free.
pub const MOST: usize = u32::MAX as usize - 8;
/// Arcs of one task, about.
const TASK: usize = 1 << 16;
/// A row of up to so many arcs is looked through from one end to the other.
const FEW: usize = 16;
/// A row of up to so many arcs has one sum.
const SHORT: usize = 1024;

/// The arcs of a node: a stretch of all arcs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The first of them.
    pub start: u32,
    /// How many there are.
    pub degree: u32,
}

impl Row {
    #[inline]
    fn packed(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.degree)
    }

    #[inline]
    fn unpacked(word: u64) -> Self {
        Self { start: (word >> 32) as u32, degree: word as u32 }
    }

    /// The arcs as indices.
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.degree as usize
    }
}

/// A slot of the alias table of a row: below the threshold (in units of `2^-32`) it is the arc in whose
/// place it stands, else another one of the row.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(16))]
pub(super) struct Slot {
    pub(super) threshold: u32,
    pub(super) neighbour: u32,
    pub(super) alias: u32,
    pub(super) alias_neighbour: u32,
}

#[derive(Debug)]
struct Weighted {
    weights: Vec<f64>,
    slots: Vec<Slot>,
    /// Running sums of the weights of each row, once they have been needed. Boxed, so that the compiler
    /// knows that the graph itself does not change while others are written.
    sums: Box<OnceLock<Vec<f64>>>,
}

/// A directed graph, perhaps with parallel arcs and loops. An undirected edge is two arcs.
#[derive(Debug)]
pub struct Graph {
    /// The rows, packed.
    rows: Vec<u64>,
    /// Where arcs go, row by row in ascending order.
    neighbours: Vec<u32>,
    /// Which arc of the input each arc was, unless all are where they were.
    edge_ids: Option<Vec<u32>>,
    weighted: Option<Weighted>,
    has_dangling: bool,
    has_loops: bool,
    largest_proper_degree: u32,
    /// Whether every arc leads back by exactly one, once that has been asked.
    mirrored: Box<OnceLock<bool>>,
    /// Which arcs join nodes without common neighbours, once that has been asked.
    apart: Box<OnceLock<Bits>>,
}

/// One bit for each arc.
#[derive(Debug)]
pub(super) struct Bits(Vec<u32>);

impl Bits {
    /// That of an arc: one or zero.
    #[inline(always)]
    pub(super) fn at(&self, arc: u32) -> u32 {
        self.0[arc as usize / 32] >> (arc % 32) & 1
    }

    /// Asks for that of an arc before it is needed.
    #[inline(always)]
    pub(super) fn prefetch(&self, arc: u32) {
        prefetch(&self.0, arc as usize / 32);
    }
}

impl Graph {
    /// The graph of rows that are sorted and checked.
    fn new(
        rows: Vec<u64>,
        neighbours: Vec<u32>,
        edge_ids: Option<Vec<u32>>,
        weights: Option<Vec<f64>>,
        run: Run<'_>,
    ) -> Result<Self> {
        let (mut has_dangling, mut has_loops, mut largest_proper_degree) = (false, false, 0);
        for range in run.blocks(rows.len(), TASK) {
            for node in range? {
                let row = Row::unpacked(rows[node]);
                let loops = stretch(&neighbours[row.range()], node as u32).len() as u32;
                has_dangling |= row.degree == 0;
                has_loops |= loops > 0;
                largest_proper_degree = largest_proper_degree.max(row.degree - loops);
            }
        }
        let weighted = match weights {
            None => None,
            Some(weights) => {
                let slots = slots(&rows, &neighbours, &weights, run)?;
                Some(Weighted { weights, slots, sums: Box::default() })
            }
        };
        Ok(Self {
            rows,
            neighbours,
            edge_ids,
            weighted,
            has_dangling,
            has_loops,
            largest_proper_degree,
            mirrored: Box::default(),
            apart: Box::default(),
        })
    }

    /// How many nodes there are.
    pub fn num_nodes(&self) -> usize {
        self.rows.len()
    }

    /// How many arcs there are.
    pub fn num_arcs(&self) -> usize {
        self.neighbours.len()
    }

    /// Whether arcs have weights that are not all one.
    pub fn is_weighted(&self) -> bool {
        self.weighted.is_some()
    }

    /// Whether a node has no arcs.
    pub fn has_dangling(&self) -> bool {
        self.has_dangling
    }

    /// Whether an arc leads from a node to itself.
    pub fn has_loops(&self) -> bool {
        self.has_loops
    }

    /// The largest number of arcs of a node that are no loops.
    pub fn largest_proper_degree(&self) -> u32 {
        self.largest_proper_degree
    }

    /// The arcs of a node.
    #[inline]
    pub fn row(&self, node: u32) -> Row {
        Row::unpacked(self.rows[node as usize])
    }

    /// Where arcs go, row by row in ascending order.
    #[inline]
    pub fn neighbours(&self) -> &[u32] {
        &self.neighbours
    }

    /// Where the arcs of a row go.
    #[inline]
    pub fn of(&self, row: Row) -> &[u32] {
        &self.neighbours[row.range()]
    }

    /// The weights of all arcs, unless all are one.
    pub fn weights(&self) -> Option<&[f64]> {
        self.weighted.as_ref().map(|weighted| &*weighted.weights)
    }

    /// Which arc of the input an arc was.
    #[inline]
    pub fn edge_id(&self, arc: u32) -> u32 {
        self.edge_ids.as_ref().map_or(arc, |ids| ids[arc as usize])
    }

    /// The bytes that the graph takes.
    pub fn nbytes(&self) -> usize {
        let weighted = self.weighted.as_ref().map_or(0, |weighted| {
            size_of_val(&*weighted.weights)
                + size_of_val(&*weighted.slots)
                + weighted.sums.get().map_or(0, |sums| size_of_val(&**sums))
        });
        let ids = self.edge_ids.as_ref().map_or(0, |ids| size_of_val(&**ids));
        let apart = self.apart.get().map_or(0, |bits| size_of_val(&*bits.0));
        size_of_val(&*self.rows) + size_of_val(&*self.neighbours) + ids + weighted + apart
    }

    /// The stretch of a row whose arcs go to `node`, counted from the start of the row.
    #[inline]
    pub fn stretch(&self, row: Row, node: u32) -> Range<u32> {
        stretch(self.of(row), node)
    }

    /// Whether an arc goes from one node to another.
    #[inline]
    pub fn has_arc(&self, from: u32, to: u32) -> bool {
        holds(self.of(self.row(from)), to)
    }

    /// The slots of the alias tables of all rows, if arcs have weights.
    #[inline]
    pub(super) fn slots(&self) -> Option<&[Slot]> {
        self.weighted.as_ref().map(|weighted| &*weighted.slots)
    }

    /// Asks for the word of a node before it is needed.
    #[inline(always)]
    pub(super) fn prefetch_row(&self, node: u32) {
        prefetch(&self.rows, node as usize);
    }

    /// Whether there are no parallel arcs, and each has one that leads back: found when first asked.
    ///
    /// # Errors
    /// If there is no memory to find it, or the work is cancelled.
    pub(super) fn is_mirrored(&self, run: Run<'_>) -> Result<bool> {
        if let Some(&known) = self.mirrored.get() {
            return Ok(known);
        }
        // In the order of all arcs, those that lead to a node are those back from it, in its order.
        let mut passed = zeroed::<u32>(self.rows.len(), "arcs passed")?;
        let mut is_mirrored = true;
        for range in run.blocks(self.rows.len(), TASK) {
            for node in range? {
                let mut before = None;
                for &to in self.of(self.row(node as u32)) {
                    let (back, passed) = (self.row(to), &mut passed[to as usize]);
                    is_mirrored &= before != Some(to)
                        && *passed < back.degree
                        && self.neighbours[(back.start + *passed) as usize] == node as u32;
                    *passed += 1;
                    before = Some(to);
                }
            }
            if !is_mirrored {
                break;
            }
        }
        Ok(*self.mirrored.get_or_init(|| is_mirrored))
    }

    /// Which arcs join nodes that have no common neighbour, as far as a short search tells: a bit that is
    /// not set means nothing. Found when first asked, for graphs in which every arc leads back.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub(super) fn apart(&self, run: Run<'_>) -> Result<&Bits> {
        if let Some(known) = self.apart.get() {
            return Ok(known);
        }
        let mut bits = zeroed::<u32>(self.neighbours.len().div_ceil(32), "bits of arcs")?;
        run.try_fill_chunks(&mut bits, TASK / 32, |task, bits| {
            run.check()?;
            let first = task * TASK;
            let arcs = &self.neighbours[first..self.neighbours.len().min(first + TASK)];
            let mut node =
                self.rows.partition_point(|&row| Row::unpacked(row).range().end <= first);
            for (i, &to) in arcs.iter().enumerate() {
                while Row::unpacked(self.rows[node]).range().end <= first + i {
                    node += 1;
                }
                let (from, to) = (Row::unpacked(self.rows[node]), self.row(to));
                let (few, many) = if from.degree < to.degree { (from, to) } else { (to, from) };
                let is_apart = few.degree as usize <= FEW
                    && !self.of(few).iter().any(|&node| holds(self.of(many), node));
                bits[i / 32] |= u32::from(is_apart) << (i % 32);
            }
            Ok(())
        })?;
        Ok(self.apart.get_or_init(|| Bits(bits)))
    }

    /// Running sums of the weights of each row, for arcs with weights: made when they are first asked
    /// for.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub(super) fn running_sums(&self, run: Run<'_>) -> Result<Option<&[f64]>> {
        let Some(weighted) = &self.weighted else { return Ok(None) };
        if let Some(sums) = weighted.sums.get() {
            return Ok(Some(sums));
        }
        let mut sums = with_capacity(self.neighbours.len(), "running sums of weights")?;
        for range in run.blocks(self.rows.len(), TASK) {
            for node in range? {
                let mut sum = 0.0;
                for &weight in &weighted.weights[Row::unpacked(self.rows[node]).range()] {
                    sum += weight;
                    sums.push(sum);
                }
            }
        }
        Ok(Some(weighted.sums.get_or_init(|| sums)))
    }
}

/// Whether a node is among the neighbours of a row.
#[inline]
fn holds(neighbours: &[u32], node: u32) -> bool {
    if neighbours.len() <= FEW {
        neighbours.iter().map(|&neighbour| u32::from(neighbour == node)).sum::<u32>() > 0
    } else {
        neighbours.binary_search(&node).is_ok()
    }
}

/// Where a node stands in the neighbours of a row.
#[inline]
fn stretch(neighbours: &[u32], node: u32) -> Range<u32> {
    let (first, count) = if neighbours.len() <= FEW {
        // No branch, which would go wrong every other time.
        let (mut first, mut count) = (0, 0);
        for &neighbour in neighbours {
            first += usize::from(neighbour < node);
            count += usize::from(neighbour == node);
        }
        (first, count)
    } else {
        let first = neighbours.partition_point(|&x| x < node);
        (first, neighbours[first..].iter().take_while(|&&x| x == node).count())
    };
    first as u32..(first + count) as u32
}

/// Asks for an item before it is needed.
#[inline(always)]
pub(super) fn prefetch<T>(items: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let item = items.as_ptr().wrapping_add(index);
        // SAFETY: a prefetch reads nothing that the program sees, and faults at no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(item.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, index);
}

/// Stretches of whole rows with about [`TASK`] arcs each, for tasks: where each ends, in rows.
fn tasks(rows: &[u64]) -> Result<Vec<usize>> {
    let arcs: usize = rows.last().map_or(0, |&row| Row::unpacked(row).range().end);
    let mut ends = with_capacity((arcs + rows.len()) / TASK + 1, "tasks")?;
    let mut cost = 0;
    for (row, &word) in rows.iter().enumerate() {
        cost += Row::unpacked(word).degree as usize + 1;
        if cost >= TASK || row + 1 == rows.len() {
            ends.push(row + 1);
            cost = 0;
        }
    }
    Ok(ends)
}

/// The parts of `items`, one for each arc, that belong to the tasks: the first row and the items.
fn parts<'a, T>(
    rows: &[u64],
    ends: &[usize],
    mut items: &'a mut [T],
) -> Result<Vec<(usize, &'a mut [T])>> {
    let mut parts = with_capacity(ends.len(), "tasks")?;
    let (mut row, mut passed) = (0, 0);
    for &end in ends {
        let stop = Row::unpacked(rows[end - 1]).range().end;
        let (part, rest) = items.split_at_mut(stop - passed);
        parts.push((row, part));
        (items, row, passed) = (rest, end, stop);
    }
    Ok(parts)
}

/// The alias tables of all rows.
fn slots(rows: &[u64], neighbours: &[u32], weights: &[f64], run: Run<'_>) -> Result<Vec<Slot>> {
    let mut slots = with_capacity(neighbours.len(), "slots of alias tables")?;
    slots.resize(neighbours.len(), Slot::default());
    let ends = tasks(rows)?;
    let mut parts = parts(rows, &ends, &mut slots)?;
    let first = parts.iter().map(|part| part.0).collect::<Vec<_>>();
    run.try_fill_chunks(&mut parts, 1, |task, part| {
        let (mut table, mut marks) = (Vec::new(), Marks::default());
        let mut slots = &mut *part[0].1;
        for (node, &row) in rows[first[task]..ends[task]].iter().enumerate() {
            let range = Row::unpacked(row).range();
            let (own, rest) = slots.split_at_mut(range.len());
            slots = rest;
            let (weights, neighbours) = (&weights[range.clone()], &neighbours[range]);
            if weights.is_empty() {
                continue;
            }
            let summary = if weights.len() <= SHORT {
                summary_of(weights)
            } else {
                Summary::of(weights, run.serial())?
            };
            if !summary.sum.is_finite() {
                let node = first[task] + node;
                return Err(Error::row("weights", node, "the sum must be finite"));
            }
            table.clear();
            sortes_core::memory::reserve(&mut table, weights.len(), "buckets")?;
            table.resize(weights.len(), [0; 2]);
            fill_table(weights, &summary, &mut table, &mut marks, run.serial())?;
            for ((slot, &[threshold, alias]), &neighbour) in
                own.iter_mut().zip(&table).zip(neighbours)
            {
                let alias_neighbour = neighbours[alias as usize];
                *slot = Slot { threshold, neighbour, alias, alias_neighbour };
            }
        }
        Ok(())
    })?;
    Ok(slots)
}
