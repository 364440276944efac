//! Classes of libraries with a value of their own: `proxy/codec/unpickle/recognised.py`. The reference knows more of them.

use std::rc::Rc;

use crate::limits::{Failure, Verdict};
use crate::unpickle::dict::Dict;
use crate::unpickle::instances::Value;
use crate::unpickle::node::{Arena, Instance, Node};
use crate::unpickle::symbols::Class;

const OBJECT_ID_BYTES: usize = 12;
/// The sizes of the packed fields of a date, a time and a datetime.
const PACKED: [u32; 3] = [4, 6, 10];

/// The value of an object of such a class. None: it has another class or shape.
pub fn value(arena: &Arena, instance: &Instance) -> Verdict<Option<Value>> {
    let args = arena.lists[instance.args as usize].as_slice();
    let symbol = arena.symbol_of(instance);
    match symbol.class {
        Class::Foreign => Err(Failure::NotHandled),
        Class::Arrow => Ok(match instance.state {
            Node::Dict(state) => arena.get(state, b"_datetime").filter(|held| is_scalar(*held)).map(Value::Node),
            _ => None,
        }),
        Class::ObjectId => Ok(object_id(arena, instance.state)),
        Class::InstrumentedArray => Ok(Some(match (instance.items, args) {
            (Some(items), _) => Value::Node(Node::List(items)),
            (None, [Node::List(items), ..]) => Value::Node(Node::List(*items)),
            (None, _) => Value::List(Rc::default()),
        })),
        Class::InstrumentedDict => Ok(Some(match instance.pairs {
            Some(pairs) => Value::Node(Node::Dict(pairs)),
            None => Value::Dict(Rc::default()),
        })),
        _ if symbol.name() == "rowproxy_reconstructor" => Ok(row(arena, args)),
        _ => match args {
            // A subclass of date, time or datetime.
            [Node::Bytes(packed) | Node::OldBytes(packed)] | [Node::Bytes(packed) | Node::OldBytes(packed), _]
                if instance.is_called && PACKED.contains(&packed.size) && !symbol.is_lower() =>
            {
                Err(Failure::NotHandled)
            }
            _ => Ok(None),
        },
    }
}

/// True for a value of a class of Python's own.
pub fn is_scalar(node: Node) -> bool {
    matches!(node, Node::Scalar { .. } | Node::Delta { .. } | Node::Complex(_))
}

/// rowproxy_reconstructor(Row, state) of SQLAlchemy: an object by column names, or an array if two are the same.
fn row(arena: &Arena, args: &[Node]) -> Option<Value> {
    let state = match args {
        [_, Node::Dict(state)] => *state,
        _ => return None,
    };
    let data = match arena.get(state, b"_data")? {
        Node::Tuple(data) | Node::List(data) => data,
        _ => return None,
    };
    let names = arena.get(state, b"_parent").and_then(|parent| column_names(arena, parent));
    let named = names.and_then(|names| named(arena, names, &arena.lists[data as usize]));
    Some(named.unwrap_or(Value::Node(Node::List(data))))
}

fn column_names<'a>(arena: &'a Arena, parent: Node) -> Option<&'a [Node]> {
    let parent = match parent {
        Node::Instance(parent) => &arena.instances[parent as usize],
        _ => return None,
    };
    match parent.state {
        Node::Dict(state) => match arena.get(state, b"_keys")? {
            Node::List(names) => Some(&arena.lists[names as usize]),
            _ => None,
        },
        _ => None,
    }
}

fn named(arena: &Arena, names: &[Node], data: &[Node]) -> Option<Value> {
    if names.len() != data.len() {
        return None;
    }
    let mut columns = Dict::default();
    for (name, value) in names.iter().zip(data) {
        match name {
            Node::Str { .. } => columns.set(&arena.texts, *name, *value),
            _ => return None,
        }
    }
    (columns.items.len() == data.len()).then(|| Value::Dict(Rc::new(columns)))
}

/// bson's ObjectId: the state is its 12 bytes, in PyMongo 1 an object that holds them.
fn object_id(arena: &Arena, state: Node) -> Option<Value> {
    let held = match state {
        Node::Dict(state) => arena.get(state, b"_ObjectId__id")?,
        held => held,
    };
    let raw = raw_bytes(arena, held).filter(|raw| raw.len() == OBJECT_ID_BYTES)?;
    let digits: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Value::Text(digits.into_bytes().into()))
}

fn raw_bytes(arena: &Arena, node: Node) -> Option<Vec<u8>> {
    match node {
        Node::Bytes(piece) | Node::OldBytes(piece) => Some(arena.bytes(piece).to_vec()),
        Node::Str { piece, .. } if piece.size as usize <= 2 * OBJECT_ID_BYTES => latin1(arena.bytes(piece)),
        _ => None,
    }
}

/// The bytes of a str of Python 2, of which a text has one character each.
pub fn latin1(text: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(text).ok()?.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect()
}
