//! Which objects of a reading reach themselves: Tarjan's algorithm without recursion, as in
//! `proxy/codec/unpickle/cycles.py`. It is linear in the stored value.

use std::rc::Rc;

use crate::limits::Verdict;
use crate::unpickle::dict::Dict;
use crate::unpickle::instances::{Value, Values};
use crate::unpickle::node::{Arena, Node};

/// The lowest number that is reached from a node on no cycle with a node above it.
const DONE: u32 = u32::MAX;

/// The way to present an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    /// In whole at each place.
    Always,
    /// It reaches itself, and has not been presented: in whole.
    Once,
    /// It has been presented: without containers.
    Again,
}

/// The way to present each object of the arena. Empty: no object reaches itself.
pub fn showings(arena: &Arena, root: Node, values: &mut Values) -> Verdict<Vec<Showing>> {
    if arena.instances.is_empty() {
        return Ok(Vec::new());
    }
    let mut search = Search::new(arena);
    if let Some(at) = search.position(root) {
        search.enter(root, at, values)?;
    }
    while !search.path.is_empty() {
        search.step(values)?;
    }
    Ok(if search.found.contains(&Showing::Once) { search.found } else { Vec::new() })
}

/// The nodes that another one holds.
enum Parts {
    List(u32),
    Dict(u32),
    Made(Rc<Dict>),
    Many(Vec<Node>),
    One(Node),
    Nothing,
}

impl Parts {
    fn at(&self, arena: &Arena, place: usize) -> Option<Node> {
        let of_dict = |dict: &Dict| match dict.items.get(place / 2) {
            Some((key, _)) if place % 2 == 0 => Some(*key),
            Some((_, value)) => Some(*value),
            None => None,
        };
        match self {
            Parts::List(list) => arena.lists[*list as usize].get(place).copied(),
            Parts::Dict(dict) => of_dict(&arena.dicts[*dict as usize]),
            Parts::Made(dict) => of_dict(dict),
            Parts::Many(nodes) => nodes.get(place).copied(),
            Parts::One(node) => (place == 0).then_some(*node),
            Parts::Nothing => None,
        }
    }
}

/// A node on the way from the root to the current one.
struct Step {
    at: usize,
    parts: Parts,
    next: usize,
}

/// One search, depth first.
struct Search<'s, 'a> {
    arena: &'s Arena<'a>,
    /// The order in which the nodes are met, by position. 0: not met yet.
    numbers: Vec<u32>,
    /// The lowest number that is known to be reached, by position.
    lowest: Vec<u32>,
    met: u32,
    /// The nodes that may still be on a cycle with a node above them.
    waiting: Vec<usize>,
    path: Vec<Step>,
    found: Vec<Showing>,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(arena: &'s Arena<'a>) -> Self {
        let all = arena.lists.len() + arena.dicts.len() + arena.instances.len();
        Search {
            arena,
            numbers: vec![0; all],
            lowest: vec![0; all],
            met: 0,
            waiting: Vec::new(),
            path: Vec::new(),
            found: vec![Showing::Always; arena.instances.len()],
        }
    }

    /// The position of a node that may hold others: lists come first, then dicts, then objects.
    fn position(&self, node: Node) -> Option<usize> {
        let (lists, dicts) = (self.arena.lists.len(), self.arena.dicts.len());
        match node {
            Node::Instance(instance) => Some(lists + dicts + instance as usize),
            _ => match parts(self.arena, node) {
                Parts::List(list) => Some(list as usize),
                Parts::Dict(dict) => Some(lists + dict as usize),
                _ => None,
            },
        }
    }

    fn enter(&mut self, node: Node, at: usize, values: &mut Values) -> Verdict<()> {
        let parts = match node {
            Node::Instance(instance) => match values.of(self.arena, instance)? {
                Value::Node(node) => Parts::One(node),
                Value::Dict(dict) => Parts::Made(dict),
                Value::Array(array) => array.objects().map_or(Parts::Nothing, Parts::One),
                Value::Series(series) => Parts::Many(series.parts()),
                Value::Frame(frame) => Parts::Many(frame.parts()),
                _ => Parts::Nothing,
            },
            _ => parts(self.arena, node),
        };
        self.met += 1;
        self.numbers[at] = self.met;
        self.lowest[at] = self.met;
        self.waiting.push(at);
        self.path.push(Step { at, parts, next: 0 });
        Ok(())
    }

    /// Go on from the last node of the path: down, or back.
    fn step(&mut self, values: &mut Values) -> Verdict<()> {
        let (at, part) = match self.path.last_mut() {
            Some(step) => {
                step.next += 1;
                (step.at, step.parts.at(self.arena, step.next - 1))
            }
            None => return Ok(()),
        };
        let part = match part {
            Some(part) => part,
            None => {
                self.leave(at);
                return Ok(());
            }
        };
        match self.position(part) {
            Some(below) if self.numbers[below] == 0 => self.enter(part, below, values)?,
            Some(below) => {
                if below == at {
                    self.mark(at); // it holds itself
                }
                self.lowest[at] = self.lowest[at].min(self.lowest[below]);
            }
            None => {}
        }
        Ok(())
    }

    fn leave(&mut self, at: usize) {
        self.path.pop();
        if self.lowest[at] == self.numbers[at] {
            self.close(at);
        } else if let Some(above) = self.path.last() {
            self.lowest[above.at] = self.lowest[above.at].min(self.lowest[at]);
        }
    }

    /// All nodes that wait since `first` are on cycles with it.
    fn close(&mut self, first: usize) {
        let alone = self.waiting.last() == Some(&first);
        while let Some(at) = self.waiting.pop() {
            self.lowest[at] = DONE;
            if !alone {
                self.mark(at);
            }
            if at == first {
                break;
            }
        }
    }

    fn mark(&mut self, at: usize) {
        if let Some(instance) = at.checked_sub(self.arena.lists.len() + self.arena.dicts.len()) {
            self.found[instance] = Showing::Once;
        }
    }
}

/// The parts of a node that is not an object.
fn parts(arena: &Arena, node: Node) -> Parts {
    match node {
        Node::List(list) | Node::Tuple(list) | Node::Set(list) | Node::FrozenSet(list) => Parts::List(list),
        Node::Deque(deque) => Parts::List(arena.deques[deque as usize].items),
        Node::Dict(dict) | Node::OrderedDict(dict) | Node::Counter(dict) | Node::DefaultDict { dict, .. } => {
            Parts::Dict(dict)
        }
        _ => Parts::Nothing,
    }
}
