//! The items that a variance-optimal sample keeps for certain.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::batch::Item;

/// So few items are left in the heap.
const FEW: usize = 64;

/// An item and what it is worth: its weight, or the adjusted weight with which it was merged in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sized {
    pub(super) size: f64,
    pub(super) item: Item,
}

impl Sized {
    fn order(&self, other: &Self) -> Ordering {
        (self.size.total_cmp(&other.size))
            .then(self.item.id.cmp(&other.item.id))
            .then(self.item.value.total_cmp(&other.item.value))
            .then(self.item.weight.total_cmp(&other.item.weight))
    }
}

/// The least comes last in a sorted list, and first out of a heap.
impl Ord for Sized {
    fn cmp(&self, other: &Self) -> Ordering {
        other.order(self)
    }
}

impl PartialOrd for Sized {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sized {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sized {}

/// Large items, of which the least is at hand.
///
/// They are sorted when the first has to go: a sample that has just become full gives most of them
/// away one after the other, and the end of a list is cheaper than the top of a heap. What comes
/// later waits in a heap, which is merged into the list before it has grown to a fourth of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Large {
    /// The largest first.
    list: Vec<Sized>,
    heap: BinaryHeap<Sized>,
}

impl Large {
    pub(super) fn len(&self) -> usize {
        self.list.len() + self.heap.len()
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.heap.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, new: Sized) {
        self.heap.push(new);
    }

    /// The least.
    #[inline]
    pub(super) fn peek(&self) -> Option<&Sized> {
        // The order is that of a heap, and nothing is less than something.
        self.list.last().max(self.heap.peek())
    }

    /// Takes the least out.
    pub(super) fn pop(&mut self) -> Option<Sized> {
        if self.heap.len() > FEW.max(self.list.len() / 4) {
            let mut new = std::mem::take(&mut self.heap).into_vec();
            new.sort_unstable();
            self.list.append(&mut new);
            self.list.sort(); // merges two sorted pieces in linear time
        }
        if self.list.last() < self.heap.peek() { self.heap.pop() } else { self.list.pop() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sized> {
        self.list.iter().chain(&self.heap)
    }

    /// All of them, the largest first.
    pub(super) fn in_order(&self) -> Vec<Sized> {
        let mut all: Vec<Sized> = self.iter().copied().collect();
        all.sort_unstable();
        all
    }
}

impl FromIterator<Sized> for Large {
    fn from_iter<T: IntoIterator<Item = Sized>>(items: T) -> Self {
        Self { list: Vec::new(), heap: items.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_comes_out_whatever_came_in() {
        let (mut large, mut heap) = (Large::default(), BinaryHeap::new());
        let mut state = 1u64;
        for step in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let size = (state >> 54) as f64;
            let new = Sized { size, item: Item { id: step, weight: size, value: 0.0 } };
            // Times of growth and times of shrinking.
            if (state >> 40) % 8 < if step / 1000 % 2 == 0 { 6 } else { 2 } {
                large.push(new);
                heap.push(new);
            } else {
                assert_eq!(large.peek(), heap.peek());
                assert_eq!(large.pop(), heap.pop());
            }
            assert_eq!(large.len(), heap.len());
        }
        heap.extend(large.iter().copied());
        assert_eq!(heap.len(), 2 * large.len());
        assert!(large.in_order().is_sorted());
    }
}
