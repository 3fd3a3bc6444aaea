//! The items that a variance-optimal sample keeps for certain.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sortes_core::memory::{copied, refused, with_capacity};
use sortes_core::order::{merge, sort};
use sortes_core::{Result, Run};

use super::batch::Item;

/// Up to this many items are left in the heap.
const FEW: usize = 64;
/// What runs out of memory.
const ITEMS: &str = "items of a sketch";

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

/// Heavy items, of which the least is at hand.
///
/// They are sorted when the first has to go: a sample that has just become full gives most of them
/// away one after the other, and the end of a list is cheaper than the top of a heap. What comes
/// later waits in a heap, which [`settle`](Self::settle) merges into the list.
#[derive(Debug, Default)]
pub(super) struct Heavy {
    /// The heaviest first.
    list: Vec<Sized>,
    heap: BinaryHeap<Sized>,
}

impl Heavy {
    pub(super) fn len(&self) -> usize {
        self.list.len() + self.heap.len()
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.heap.clear();
    }

    /// Makes room for `more` items.
    pub(super) fn reserve(&mut self, more: usize) -> Result<()> {
        let len = self.heap.len().saturating_add(more);
        self.heap.try_reserve(more).map_err(|_| refused::<Sized>(len, ITEMS))
    }

    /// Puts an item in.
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
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Sized> {
        if self.list.last() < self.heap.peek() { self.heap.pop() } else { self.list.pop() }
    }

    /// Sorts the heap into the list once it has grown to a fourth of it: before items are taken out.
    ///
    /// # Errors
    /// If there is no memory, or the work is cancelled; the items are as they were then.
    #[inline]
    pub(super) fn settle(&mut self, run: Run<'_>) -> Result<()> {
        if self.heap.len() <= FEW.max(self.list.len() / 4) {
            return Ok(());
        }
        self.list = self.in_order(run)?;
        self.heap.clear();
        Ok(())
    }

    /// All of them, the heaviest first.
    pub(super) fn in_order(&self, run: Run<'_>) -> Result<Vec<Sized>> {
        let mut new = copied(self.heap.as_slice(), ITEMS, run)?;
        sort(&mut new, Ord::cmp, run)?;
        if self.list.is_empty() {
            return Ok(new);
        }
        let mut all = with_capacity(self.len(), ITEMS)?;
        merge(&self.list, &new, &mut all, Ord::cmp, run)?;
        Ok(all)
    }

    /// A copy.
    pub(super) fn copied(&self, run: Run<'_>) -> Result<Self> {
        let heap = copied(self.heap.as_slice(), ITEMS, run)?.into();
        Ok(Self { list: copied(&self.list, ITEMS, run)?, heap })
    }
}

impl From<Vec<Sized>> for Heavy {
    fn from(items: Vec<Sized>) -> Self {
        Self { list: Vec::new(), heap: items.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_comes_out_whatever_came_in() {
        let (mut heavy, mut heap) = (Heavy::default(), BinaryHeap::new());
        let mut state = 1u64;
        for step in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let size = (state >> 54) as f64;
            let new = Sized { size, item: Item { id: step, weight: size, value: 0.0 } };
            // Times of growth and times of shrinking.
            if (state >> 40) % 8 < if step / 1000 % 2 == 0 { 6 } else { 2 } {
                heavy.reserve(1).unwrap();
                heavy.push(new);
                heap.push(new);
            } else {
                assert_eq!(heavy.peek(), heap.peek());
                if step % 3 == 0 {
                    heavy.settle(Run::alone()).unwrap();
                }
                assert_eq!(heavy.pop(), heap.pop());
            }
            assert_eq!(heavy.len(), heap.len());
        }
        let (mut all, copy) = (heap.into_vec(), heavy.copied(Run::alone()).unwrap());
        all.sort_unstable();
        assert_eq!(heavy.in_order(Run::alone()).unwrap(), all);
        assert_eq!(copy.in_order(Run::alone()).unwrap(), all);
    }
}
