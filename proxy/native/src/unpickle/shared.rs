//! References that may close a cycle: those to a container that grows afterwards. They are counted in the budget.

use std::collections::HashMap;
use std::mem::{discriminant, Discriminant};

use crate::limits::Verdict;
use crate::unpickle::machine::Machine;
use crate::unpickle::node::Node;

/// A reference counts as so many more objects if its container grows afterwards, because it may close a cycle.
const CYCLE_COST: u64 = 12;

/// A container that can grow: its kind, and its number in the arena.
type Key = (Discriminant<Node>, u32);

/// How often containers were pushed again since they last grew.
pub type Shared = HashMap<Key, u64>;

impl Machine<'_> {
    /// Note that a container is pushed again.
    pub fn share(&mut self, container: Node) {
        self.tree = false;
        if let Some(key) = key_of(container) {
            *self.shared.entry(key).or_insert(0) += 1;
        }
    }

    /// Count a container that gets parts or a state: the references to it may then be on cycles.
    #[inline]
    pub fn grown(&mut self, container: Node) -> Verdict<()> {
        if self.shared.is_empty() {
            return Ok(());
        }
        match key_of(container).and_then(|key| self.shared.remove(&key)) {
            Some(references) => self.place(references * CYCLE_COST),
            None => Ok(()),
        }
    }
}

/// The key of a container that can grow.
fn key_of(container: Node) -> Option<Key> {
    match container {
        Node::List(at)
        | Node::Dict(at)
        | Node::Set(at)
        | Node::OrderedDict(at)
        | Node::Counter(at)
        | Node::DefaultDict { dict: at, .. }
        | Node::Deque(at)
        | Node::Instance(at) => Some((discriminant(&container), at)),
        _ => None,
    }
}
