//! Parts of a pickle that have the type which a reader expects. None: they have another.

use crate::limits::Verdict;
use crate::unpickle::node::{Arena, Instance, Node, Piece};
use crate::unpickle::symbols::Class;

/// Told how many parts are looked at, before they are. It fails beyond the limit.
pub type Count<'c> = dyn FnMut(u64) -> Verdict<()> + 'c;

pub fn object<'b>(arena: &'b Arena, node: Node) -> Option<&'b Instance> {
    match node {
        Node::Instance(instance) => Some(&arena.instances[instance as usize]),
        _ => None,
    }
}

/// An object of one class.
pub fn object_of<'b>(arena: &'b Arena, node: Node, class: Class) -> Option<&'b Instance> {
    object(arena, node).filter(|found| arena.symbol_of(found).class == class)
}

pub fn args<'b>(arena: &'b Arena, instance: &Instance) -> &'b [Node] {
    &arena.lists[instance.args as usize]
}

pub fn text<'b>(arena: &'b Arena, node: Node) -> Option<&'b [u8]> {
    match node {
        Node::Str { piece, .. } => Some(arena.bytes(piece)),
        _ => None,
    }
}

pub fn tuple<'b>(arena: &'b Arena, node: Node) -> Option<&'b [Node]> {
    match node {
        Node::Tuple(list) => Some(&arena.lists[list as usize]),
        _ => None,
    }
}

/// The items of a list or tuple.
pub fn sequence<'b>(arena: &'b Arena, node: Node) -> Option<&'b [Node]> {
    match node {
        Node::List(list) | Node::Tuple(list) => Some(&arena.lists[list as usize]),
        _ => None,
    }
}

/// The bytes that a node stands for. Python 2 writes a str, which may be ASCII by chance.
pub fn raw(node: Node) -> Option<Piece> {
    match node {
        Node::Bytes(piece) | Node::ByteArray(piece) | Node::OldBytes(piece) => Some(piece),
        Node::Str { piece, ascii: true } => Some(piece),
        _ => None,
    }
}

/// A piece of a piece. The caller knows that it is inside.
pub fn inside(piece: Piece, start: u64, size: u64) -> Piece {
    Piece { start: piece.start + start as u32, size: size as u32 }
}
