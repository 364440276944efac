//! pandas' indexes: a range, or labels of one dtype, as in `proxy/codec/frames/indexes.py`. Levels and intervals are left
//! to the reference.

use crate::frames::columns::{Column, Data};
use crate::frames::extensions;
use crate::frames::parts::{self, Count};
use crate::limits::{Failure, Verdict};
use crate::unpickle::node::{Arena, Node};

const FUNCTIONS: [&str; 5] =
    ["_new_Index", "_new_DatetimeIndex", "_new_TimedeltaIndex", "_new_PeriodIndex", "_new_IntervalIndex"];

#[derive(Debug)]
pub struct Index {
    pub name: Node,
    pub labels: Column,
    /// Of a range: start, stop and step.
    pub range: Option<[i64; 3]>,
}

impl Index {
    pub fn size(&self) -> u64 {
        self.labels.size
    }
}

/// The index that a node describes.
pub fn of(arena: &Arena, node: Node, count: &mut Count) -> Verdict<Index> {
    let (class, attributes) = described(arena, node).ok_or(Failure::NotHandled)?;
    let name = arena.get(attributes, b"name").unwrap_or(Node::Null);
    match class {
        "RangeIndex" => range(arena, attributes, name).ok_or(Failure::NotHandled),
        "MultiIndex" | "IntervalIndex" => Err(Failure::NotHandled),
        _ => {
            let data = arena.get(attributes, b"data").ok_or(Failure::NotHandled)?;
            let mut found = extensions::columns_of(arena, data, count)?;
            match (found.pop(), found.is_empty()) {
                (Some(labels), true) => Ok(Index { name, labels, range: None }),
                _ => Err(Failure::NotHandled),
            }
        }
    }
}

/// `_new_Index(class, attributes)`: the last name of the class, and the dict.
fn described<'b>(arena: &'b Arena, node: Node) -> Option<(&'b str, u32)> {
    let instance = parts::object(arena, node)?;
    if !FUNCTIONS.contains(&arena.symbol_of(instance).last_name()) {
        return None;
    }
    match parts::args(arena, instance) {
        [Node::Symbol(class), Node::Dict(attributes)] => {
            Some((arena.symbols[*class as usize].last_name(), *attributes))
        }
        _ => None,
    }
}

fn range(arena: &Arena, attributes: u32, name: Node) -> Option<Index> {
    let number = |name: &[u8]| match arena.get(attributes, name) {
        Some(Node::Int(number)) => Some(number),
        _ => None,
    };
    let bounds = [number(b"start")?, number(b"stop")?, number(b"step")?];
    let size = range_size(bounds).filter(|size| *size < i64::MAX as u64)?;
    let labels = Column::new("int64".to_owned(), size, Data::Range(bounds[0], bounds[2]));
    Some(Index { name, labels, range: Some(bounds) })
}

/// The numbers of a range. None: its step is 0, or they are too many for a word.
pub fn range_size([start, stop, step]: [i64; 3]) -> Option<u64> {
    let (start, stop, step) = (i128::from(start), i128::from(stop), i128::from(step));
    let distance = if step > 0 { stop - start } else { start - stop };
    match step {
        0 => None,
        _ if distance <= 0 => Some(0),
        _ => u64::try_from((distance - 1) / step.abs() + 1).ok(),
    }
}
