//! The nodes whose turn will come: as many as can still matter, in order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::node::Id;

/// The place of a node: higher priorities come first, and among equal ones the lower tie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) priority: f64,
    pub(super) tie: u64,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        other.priority.total_cmp(&self.priority).then(self.tie.cmp(&other.tie))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Place {}

#[derive(Debug, Default)]
pub(super) struct Queue {
    nodes: BTreeMap<Place, Id>,
    capacity: usize,
    /// Whether a node was left out since the queue was last cleared.
    has_dropped: bool,
}

impl Queue {
    /// Keeps the first `capacity` nodes from now on.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.nodes.len() > capacity {
            self.nodes.pop_last();
            self.has_dropped = true;
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The priority below which nothing is kept; minus infinity while there is room.
    pub(super) fn threshold(&self) -> f64 {
        match self.nodes.last_key_value() {
            _ if self.capacity == 0 => f64::INFINITY,
            Some((last, _)) if self.nodes.len() >= self.capacity => last.priority,
            _ => f64::NEG_INFINITY,
        }
    }

    /// Whether a node at this place would be kept.
    pub(super) fn has_room(&self, place: Place) -> bool {
        self.nodes.len() < self.capacity
            || self
                .nodes
                .last_key_value()
                .is_some_and(|(last, _)| self.capacity > 0 && place < *last)
    }

    /// Takes a node in; drops the last one if there are too many.
    pub(super) fn insert(&mut self, place: Place, id: Id) {
        self.nodes.insert(place, id);
        self.set_capacity(self.capacity);
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Id> {
        self.nodes.remove(&place)
    }

    pub(super) fn first(&self) -> Option<(Place, Id)> {
        self.nodes.first_key_value().map(|(place, id)| (*place, *id))
    }

    pub(super) fn pop_first(&mut self) -> Option<(Place, Id)> {
        self.nodes.pop_first()
    }

    /// Notes that a node was not even put in.
    pub(super) fn drop_one(&mut self) {
        self.has_dropped = true;
    }

    /// Whether a node was left out since the queue was last cleared.
    pub(super) fn has_dropped(&self) -> bool {
        self.has_dropped
    }

    /// Empties the queue.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.has_dropped = false;
    }

    /// The nodes in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Id> + use<'_> {
        self.nodes.values().copied()
    }
}
