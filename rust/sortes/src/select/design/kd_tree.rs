//! The nearest neighbour among points that disappear one by one.

/// Points of a leaf before any has gone: at most twice this.
const LEAF: usize = 6;

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
    place: Vec<u32>,
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
    pub(super) fn new(points: &'a [f64], dim: usize, ids: Vec<u32>) -> Self {
        let n = points.len() / dim;
        let mut tree = Self {
            points,
            dim,
            stored: Vec::new(),
            ids,
            place: vec![0; n],
            leaf: vec![0; n],
            left: Vec::new(),
            lowest: Vec::new(),
            boxes: Vec::new(),
            levels: 0,
        };
        tree.build();
        tree
    }

    fn build(&mut self) {
        let n = self.ids.len();
        self.levels = (n / LEAF).max(1).ilog2();
        let nodes = 2 << self.levels;
        self.left.clear();
        self.left.resize(nodes, 0);
        self.lowest.clear();
        self.lowest.resize(nodes, u32::MAX);
        self.boxes.clear();
        self.boxes.resize(nodes * 2 * self.dim, 0.0);
        let mut ids = std::mem::take(&mut self.ids);
        self.split(1, 0, &mut ids);
        self.ids = ids;
        self.stored.clear();
        for (place, &id) in self.ids.iter().enumerate() {
            let id = id as usize;
            self.stored.extend(&self.points[id * self.dim..(id + 1) * self.dim]);
            self.place[id] = place as u32;
        }
    }

    /// The first place of a node, among `n` points: leaves share them evenly.
    fn start(&self, node: usize, n: usize) -> usize {
        let level = node.ilog2();
        let leaf = (node - (1 << level)) << (self.levels - level);
        (leaf * n) >> self.levels
    }

    fn split(&mut self, node: usize, start: usize, ids: &mut [u32]) {
        let (points, dim) = (self.points, self.dim);
        let coordinate = |id: u32, axis: usize| points[id as usize * dim + axis];
        self.left[node] = ids.len() as u32;
        let (mut widest, mut width) = (0, -1.0);
        for axis in 0..dim {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for &id in ids.iter() {
                let x = coordinate(id, axis);
                low = low.min(x);
                high = high.max(x);
            }
            self.boxes[node * 2 * dim + axis] = low;
            self.boxes[(node * 2 + 1) * dim + axis] = high;
            if high - low > width {
                (widest, width) = (axis, high - low);
            }
        }
        let first_leaf = 1 << self.levels;
        if node >= first_leaf {
            for &id in ids.iter() {
                self.leaf[id as usize] = node as u32;
            }
            self.lowest[node] = ids.iter().copied().min().unwrap_or(u32::MAX);
            return;
        }
        let middle = self.start(2 * node + 1, self.place_count()) - start;
        ids.select_nth_unstable_by(middle, |&a, &b| {
            coordinate(a, widest).total_cmp(&coordinate(b, widest)).then(a.cmp(&b))
        });
        let (lower, upper) = ids.split_at_mut(middle);
        self.split(2 * node, start, lower);
        self.split(2 * node + 1, start + middle, upper);
        self.lowest[node] = self.lowest[2 * node].min(self.lowest[2 * node + 1]);
    }

    /// The points that the tree was built over.
    fn place_count(&self) -> usize {
        self.left[1] as usize
    }

    /// How many points are left.
    pub(super) fn len(&self) -> usize {
        self.left[1] as usize
    }

    /// Removes a point that is there.
    pub(super) fn remove(&mut self, id: u32) {
        let (place, leaf) = (self.place[id as usize] as usize, self.leaf[id as usize] as usize);
        let first = self.start(leaf, self.ids.len());
        let last = first + self.left[leaf] as usize - 1;
        self.ids.swap(place, last);
        for axis in 0..self.dim {
            self.stored.swap(place * self.dim + axis, last * self.dim + axis);
        }
        self.place[self.ids[place] as usize] = place as u32;
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
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        let n = self.ids.len();
        let mut alive = Vec::with_capacity(self.len());
        for leaf in 1 << self.levels..2 << self.levels {
            let start = self.start(leaf, n);
            alive.extend(&self.ids[start..start + self.left[leaf] as usize]);
        }
        self.ids = alive;
        self.build();
    }

    /// The nearest other point, the lowest id among equals; none if there is no other.
    pub(super) fn nearest(&self, id: u32) -> Option<u32> {
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
                self.search(sibling, at, id, &mut best);
            }
            node /= 2;
        }
        (best.id != u32::MAX).then_some(best.id)
    }

    fn search(&self, node: usize, at: &[f64], own: u32, best: &mut Nearest) {
        if node >= 1 << self.levels {
            return self.scan(node, at, own, best);
        }
        let (a, b) = (2 * node, 2 * node + 1);
        let far = f64::INFINITY;
        let gap = |node| if self.left[node] > 0 { self.distance_to_box(node, at) } else { far };
        let (to_a, to_b) = (gap(a), gap(b));
        let order = if to_a <= to_b { [(a, to_a), (b, to_b)] } else { [(b, to_b), (a, to_a)] };
        for (child, distance) in order {
            if self.left[child] > 0 && self.may_improve(child, distance, best) {
                self.search(child, at, own, best);
            }
        }
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
        let mut tree = KdTree::new(&points, 2, (0..n as u32).collect());
        for id in (0..n as u32 - 1).rev() {
            assert_eq!(tree.nearest(id), Some(if id == 0 { n as u32 - 1 } else { 0 }));
            tree.remove(id);
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
                let mut tree = KdTree::new(&points, dim, alive.clone());
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
                    assert_eq!(tree.nearest(id), expected);
                    let gone = alive.swap_remove(draws.below(alive.len() as u64) as usize);
                    tree.remove(gone);
                    assert_eq!(tree.len(), alive.len());
                }
            }
        }
    }
}
