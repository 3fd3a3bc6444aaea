//! The nearest neighbour among points that disappear one by one.

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::order::select_nth;
use sortes_core::{Result, Run};

/// Points of a leaf before any has gone: at most twice this.
const LEAF: usize = 6;
/// Coordinates between two looks at the stop request.
const BLOCK: usize = 1 << 14;

/// A tree of boxes, split at the median of the longest side, all leaves at one level.
///
/// Node 1 is the root, the children of `i` are `2 i` and `2 i + 1`. A leaf keeps the points that are
/// left at the front of its stretch. When half of the points have gone the tree is built again, so
/// that boxes stay tight and what is left of the points lies close together.
pub(super) struct KdTree<'a> {
    /// All points, `dim` numbers each.
    points: &'a [f64],
    dim: usize,
    /// The points of the tree, leaf by leaf, and their ids.
    stored: Vec<f64>,
    ids: Vec<u32>,
    /// Where a point is stored, and the leaf that holds it, by id.
    slot: Vec<u32>,
    leaf: Vec<u32>,
    /// Points left under each node.
    left: Vec<u32>,
    /// The lowest of their ids: equals that cannot win are not looked at.
    lowest: Vec<u32>,
    /// The lower corner of each node's box, then the upper one.
    boxes: Vec<f64>,
    levels: u32,
}

/// The nearest point so far.
#[derive(Clone, Copy)]
struct Nearest {
    distance: f64,
    id: u32,
}

impl<'a> KdTree<'a> {
    /// A tree over those of `points` that `ids` names.
    pub(super) fn new(points: &'a [f64], dim: usize, ids: Vec<u32>, run: Run<'_>) -> Result<Self> {
        let n = points.len() / dim;
        let mut tree = Self {
            points,
            dim,
            stored: Vec::new(),
            ids,
            slot: zeroed(n, "points")?,
            leaf: zeroed(n, "points")?,
            left: Vec::new(),
            lowest: Vec::new(),
            boxes: Vec::new(),
            levels: 0,
        };
        tree.build(run)?;
        Ok(tree)
    }

    fn build(&mut self, run: Run<'_>) -> Result<()> {
        let (n, dim) = (self.ids.len(), self.dim);
        self.levels = (n / LEAF).max(1).ilog2();
        let nodes = 2 << self.levels;
        self.left = zeroed(nodes, "nodes")?;
        self.lowest = zeroed(nodes, "nodes")?;
        self.boxes = zeroed(nodes * 2 * dim, "corners of boxes")?;
        let mut ids = std::mem::take(&mut self.ids);
        self.split(1, 0, &mut ids, run)?;
        self.ids = ids;
        // The points of a leaf side by side.
        self.stored = Vec::new();
        self.stored = with_capacity(n * dim, "coordinates")?;
        for range in run.blocks(n, (BLOCK / dim).max(1)) {
            for slot in range? {
                let id = self.ids[slot] as usize;
                self.stored.extend_from_slice(&self.points[id * dim..(id + 1) * dim]);
                self.slot[id] = slot as u32;
            }
        }
        Ok(())
    }

    /// The first slot of a node, among `n` points: leaves share them evenly.
    fn start(&self, node: usize, n: usize) -> usize {
        let level = node.ilog2();
        let leaf = (node - (1 << level)) << (self.levels - level);
        (leaf * n) >> self.levels
    }

    /// Fills in a node that has the points `ids`, the first of them in slot `start`, and the nodes
    /// under it.
    fn split(&mut self, node: usize, start: usize, ids: &mut [u32], run: Run<'_>) -> Result<()> {
        let (points, dim) = (self.points, self.dim);
        self.left[node] = ids.len() as u32;
        self.find_box(node, ids, run)?;
        let first_leaf = 1 << self.levels;
        if node >= first_leaf {
            for &id in ids.iter() {
                self.leaf[id as usize] = node as u32;
            }
            self.lowest[node] = ids.iter().copied().min().unwrap_or(u32::MAX);
            return Ok(());
        }
        let widest = self.longest_side(node);
        let middle = self.start(2 * node + 1, self.built_over()) - start;
        let coordinate = |id: u32| points[id as usize * dim + widest];
        let compare = |&a: &u32, &b: &u32| coordinate(a).total_cmp(&coordinate(b)).then(a.cmp(&b));
        select_nth(ids, middle, compare, run)?;
        let (lower, upper) = ids.split_at_mut(middle);
        self.split(2 * node, start, lower, run)?;
        self.split(2 * node + 1, start + middle, upper, run)?;
        self.lowest[node] = self.lowest[2 * node].min(self.lowest[2 * node + 1]);
        Ok(())
    }

    /// The box around some points.
    fn find_box(&mut self, node: usize, ids: &[u32], run: Run<'_>) -> Result<()> {
        let dim = self.dim;
        let corners = &mut self.boxes[node * 2 * dim..(node + 1) * 2 * dim];
        let (low, high) = corners.split_at_mut(dim);
        low.fill(f64::INFINITY);
        high.fill(f64::NEG_INFINITY);
        for range in run.blocks(ids.len(), (BLOCK / dim).max(1)) {
            for &id in &ids[range?] {
                let point = &self.points[id as usize * dim..(id as usize + 1) * dim];
                for ((low, high), &x) in low.iter_mut().zip(high.iter_mut()).zip(point) {
                    *low = low.min(x);
                    *high = high.max(x);
                }
            }
        }
        Ok(())
    }

    /// The first of the longest sides of a box.
    fn longest_side(&self, node: usize) -> usize {
        let corners = &self.boxes[node * 2 * self.dim..(node + 1) * 2 * self.dim];
        let (low, high) = corners.split_at(self.dim);
        let (mut longest, mut length) = (0, -1.0);
        for (axis, (low, high)) in low.iter().zip(high).enumerate() {
            if high - low > length {
                (longest, length) = (axis, high - low);
            }
        }
        longest
    }

    /// The points that the tree was built over.
    fn built_over(&self) -> usize {
        self.left[1] as usize
    }

    /// How many points are left.
    pub(super) fn len(&self) -> usize {
        self.left[1] as usize
    }

    /// Removes a point that is there.
    pub(super) fn remove(&mut self, id: u32, run: Run<'_>) -> Result<()> {
        let (slot, leaf) = (self.slot[id as usize] as usize, self.leaf[id as usize] as usize);
        let first = self.start(leaf, self.ids.len());
        let last = first + self.left[leaf] as usize - 1;
        self.ids.swap(slot, last);
        for axis in 0..self.dim {
            self.stored.swap(slot * self.dim + axis, last * self.dim + axis);
        }
        self.slot[self.ids[slot] as usize] = slot as u32;
        self.left[leaf] -= 1;
        if self.lowest[leaf] == id {
            self.lowest[leaf] = self.ids[first..last].iter().copied().min().unwrap_or(u32::MAX);
        }
        let mut node = leaf;
        while node > 1 {
            node /= 2;
            self.left[node] -= 1;
            if self.lowest[node] == id {
                self.lowest[node] = self.lowest[2 * node].min(self.lowest[2 * node + 1]);
            }
        }
        if self.len() * 2 < self.ids.len() && self.len() > LEAF {
            self.rebuild(run)?;
        }
        Ok(())
    }

    fn rebuild(&mut self, run: Run<'_>) -> Result<()> {
        let n = self.ids.len();
        let mut alive = with_capacity(self.len(), "points")?;
        let leaves = 1 << self.levels;
        for range in run.blocks(leaves, BLOCK) {
            for leaf in range?.map(|i| leaves + i) {
                let start = self.start(leaf, n);
                alive.extend_from_slice(&self.ids[start..start + self.left[leaf] as usize]);
            }
        }
        self.ids = alive;
        self.build(run)
    }

    /// The nearest other point, the lowest id among equals; none if there is no other.
    ///
    /// In many dimensions it may look at all points: it polls at each leaf.
    pub(super) fn nearest(&self, id: u32, run: Run<'_>) -> Result<Option<u32>> {
        let at = &self.points[id as usize * self.dim..(id as usize + 1) * self.dim];
        let mut best = Nearest { distance: f64::INFINITY, id: u32::MAX };
        let mut node = self.leaf[id as usize] as usize;
        self.scan(node, at, id, &mut best);
        // From the leaf upwards: the first guess is good, and most of the tree is never seen.
        while node > 1 {
            let sibling = node ^ 1;
            if self.left[sibling] > 0
                && self.may_improve(sibling, self.distance_to_box(sibling, at), &best)
            {
                self.search(sibling, at, id, &mut best, run)?;
            }
            node /= 2;
        }
        Ok((best.id != u32::MAX).then_some(best.id))
    }

    fn search(
        &self,
        node: usize,
        at: &[f64],
        own: u32,
        best: &mut Nearest,
        run: Run<'_>,
    ) -> Result<()> {
        if node >= 1 << self.levels {
            self.scan(node, at, own, best);
            return run.check();
        }
        let (a, b) = (2 * node, 2 * node + 1);
        let far = f64::INFINITY;
        let gap = |node| if self.left[node] > 0 { self.distance_to_box(node, at) } else { far };
        let (to_a, to_b) = (gap(a), gap(b));
        let order = if to_a <= to_b { [(a, to_a), (b, to_b)] } else { [(b, to_b), (a, to_a)] };
        for (child, distance) in order {
            if self.left[child] > 0 && self.may_improve(child, distance, best) {
                self.search(child, at, own, best, run)?;
            }
        }
        Ok(())
    }

    /// Whether a node at this distance may hold a nearer point, or one as near with a lower id.
    fn may_improve(&self, node: usize, distance: f64, best: &Nearest) -> bool {
        distance < best.distance || (distance == best.distance && self.lowest[node] < best.id)
    }

    fn scan(&self, leaf: usize, at: &[f64], own: u32, best: &mut Nearest) {
        let start = self.start(leaf, self.ids.len());
        let end = start + self.left[leaf] as usize;
        let stored = &self.stored[start * self.dim..end * self.dim];
        for (&id, point) in self.ids[start..end].iter().zip(stored.chunks_exact(self.dim)) {
            let distance: f64 = point.iter().zip(at).map(|(x, y)| (x - y) * (x - y)).sum();
            let nearer = distance < best.distance || (distance == best.distance && id < best.id);
            if nearer && id != own {
                *best = Nearest { distance, id };
            }
        }
    }

    /// The squared distance to a box: not above that to any of its points, rounding included, since
    /// every operation here is monotone and the same as in `scan`.
    fn distance_to_box(&self, node: usize, at: &[f64]) -> f64 {
        let corners = &self.boxes[node * 2 * self.dim..(node + 1) * 2 * self.dim];
        let (low, high) = corners.split_at(self.dim);
        let sides = low.iter().zip(high).zip(at);
        sides
            .map(|((&low, &high), &x)| {
                let outside = (low - x).max(x - high).max(0.0);
                outside * outside
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::rng::{Purpose, Stream};

    #[test]
    fn many_points_at_one_place() {
        // Quadratic, and minutes long, if every equal point were looked at.
        let n = 300_000;
        let points = vec![0.5; n * 2];
        let run = Run::alone();
        let mut tree = KdTree::new(&points, 2, (0..n as u32).collect(), run).unwrap();
        for id in (0..n as u32 - 1).rev() {
            let other = if id == 0 { n as u32 - 1 } else { 0 };
            assert_eq!(tree.nearest(id, run).unwrap(), Some(other));
            tree.remove(id, run).unwrap();
        }
    }

    #[test]
    fn agrees_with_looking_at_all_points() {
        let mut draws = Stream::new(4).draws(Purpose::Uniform, 0);
        for dim in 1..5 {
            for n in [1usize, 2, 3, 13, 100, 1500] {
                // Whole coordinates, so that there are ties and duplicates.
                let points: Vec<f64> = (0..n * dim).map(|_| draws.below(12) as f64).collect();
                let mut alive: Vec<u32> = (0..n as u32).collect();
                let run = Run::alone();
                let mut tree = KdTree::new(&points, dim, alive.clone(), run).unwrap();
                while !alive.is_empty() {
                    let id = alive[draws.below(alive.len() as u64) as usize];
                    let of = |i: u32| &points[i as usize * dim..(i as usize + 1) * dim];
                    let distance = |i: u32| -> f64 {
                        of(i).iter().zip(of(id)).map(|(a, b)| (a - b) * (a - b)).sum()
                    };
                    let expected = alive
                        .iter()
                        .copied()
                        .filter(|&i| i != id)
                        .min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
                    assert_eq!(tree.nearest(id, run).unwrap(), expected);
                    let gone = alive.swap_remove(draws.below(alive.len() as u64) as usize);
                    tree.remove(gone, run).unwrap();
                    assert_eq!(tree.len(), alive.len());
                }
            }
        }
    }
}
