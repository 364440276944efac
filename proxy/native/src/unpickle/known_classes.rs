//! The classes of Python and Flask that read as values of their own, and the node for a call of each.
//! `proxy/codec/unpickle/known_classes.py` explains them. Only nodes are made. Another class becomes an instance.

use crate::limits::{Failure, Verdict};
use crate::unpickle::dict::Dict;
use crate::unpickle::node::{Arena, Node};
use crate::unpickle::recognised::latin1;
use crate::unpickle::symbols::Class;
use crate::unpickle::timezones;
use crate::values::dates;
use crate::values::decimal;
use crate::values::tags::Tag;

const MAX_DECIMAL_CHARS: usize = 4400;
/// The limit for the attributes of an object.
const MAX_STATE: usize = 64;

/// The node for the call `function(*args)`. The reference makes the errors of known classes.
pub fn reduce(arena: &mut Arena, function: u32, args: u32) -> Verdict<Node> {
    let class = arena.symbols[function as usize].class;
    let list = arena.lists[args as usize].as_slice();
    let mut few = [Node::Unset; 3];
    let count = list.len();
    for (place, arg) in few.iter_mut().zip(list) {
        *place = *arg;
    }
    let made = match class {
        Class::Encode | Class::Bytes | Class::ByteArray | Class::Complex => scalar(arena, class, count, few),
        Class::Set | Class::FrozenSet | Class::OrderedDict | Class::Counter | Class::Deque => {
            collection(arena, class, count, few)
        }
        Class::DefaultDict if count < 2 => default_dict(arena, function, args, few[0]),
        Class::Date | Class::Time | Class::DateTime | Class::TimeDelta => moment(arena, class, count, few),
        Class::TimeZone | Class::PytzUtc | Class::PytzNamed | Class::PytzOffset => zone(arena, function, args),
        Class::Decimal if count == 1 => decimal_of(arena, few[0]),
        Class::GetAttr if count == 2 => return attribute(arena, function, args, few),
        Class::Reconstructor if count == 3 => return reconstruct(arena, few),
        _ if class == Class::NoneType || (!class.is_made_by_calls() && class != Class::Uuid) => {
            Some(arena.instance(function, args, true))
        }
        _ => None,
    };
    made.ok_or(Failure::NotHandled)
}

/// The node for `class.__new__(class, *args)`.
pub fn new(arena: &mut Arena, symbol: u32, args: u32) -> Verdict<Node> {
    let class = arena.symbols[symbol as usize].class;
    match (class, arena.lists[args as usize].as_slice()) {
        (Class::Markup, [Node::Str { piece, .. }]) => Ok(Node::Scalar { tag: Tag::Markup, text: *piece }),
        (Class::Uuid, []) => Ok(arena.instance(symbol, args, false)),
        _ if class == Class::Uuid || class.is_made_by_calls() => Err(Failure::NotHandled),
        _ => Ok(arena.instance(symbol, args, false)),
    }
}

// -- builtins ----------------------------------------------------------------------------------------------

fn scalar(arena: &mut Arena, class: Class, count: usize, args: [Node; 3]) -> Option<Node> {
    match (class, count, args) {
        (Class::Encode, 2, [text, encoding, _]) => {
            encoded(arena, text, encoding).map(|raw| Node::Bytes(arena.keep(&raw)))
        }
        (Class::Bytes, 0, _) => Some(Node::Bytes(arena.keep(b""))),
        (Class::ByteArray, 0, _) => Some(Node::ByteArray(arena.keep(b""))),
        (Class::ByteArray, 1, [Node::Bytes(raw), ..]) | (Class::ByteArray, 2, [Node::Bytes(raw), Node::Null, _]) => {
            Some(Node::ByteArray(raw))
        }
        (Class::ByteArray, 2, [text, encoding, _]) => {
            encoded(arena, text, encoding).map(|raw| Node::ByteArray(arena.keep(&raw)))
        }
        (Class::Complex, 2, [Node::Float(real), Node::Float(imaginary), _]) => {
            arena.complexes.push((real, imaginary));
            Some(Node::Complex(arena.complexes.len() as u32 - 1))
        }
        _ => None,
    }
}

fn is_text(arena: &Arena, node: Node, text: &[u8]) -> bool {
    matches!(node, Node::Str { piece, .. } if arena.bytes(piece) == text)
}

/// Bytes in protocols 0 to 2: a text with one character for each byte.
fn encoded(arena: &Arena, text: Node, encoding: Node) -> Option<Vec<u8>> {
    if !is_text(arena, encoding, b"latin1") && !is_text(arena, encoding, b"latin-1") {
        return None;
    }
    match text {
        Node::Str { piece, ascii: true } => Some(arena.bytes(piece).to_vec()),
        Node::Str { piece, ascii: false } => latin1(arena.bytes(piece)),
        _ => None,
    }
}

/// getattr: a nested class at protocol 2, or a method. For a value it is a bound method.
fn attribute(arena: &mut Arena, function: u32, args: u32, few: [Node; 3]) -> Verdict<Node> {
    match few {
        [Node::Symbol(owner), Node::Str { piece, .. }, _] => {
            let name = std::str::from_utf8(arena.bytes(piece)).unwrap_or("");
            let symbol = arena.symbols[owner as usize].attribute(name)?;
            Ok(Node::Symbol(arena.symbol(symbol)))
        }
        _ => Ok(arena.instance(function, args, true)),
    }
}

/// Protocols 0 and 1: copyreg._reconstructor(class, base, state).
fn reconstruct(arena: &mut Arena, args: [Node; 3]) -> Verdict<Node> {
    let (class, base, state) = match args {
        [Node::Symbol(class), Node::Symbol(base), state] => (class, base, state),
        _ => return Err(Failure::NotHandled),
    };
    let held = match (arena.symbols[base as usize].class, state) {
        (Class::Object, Node::Null) => Vec::new(),
        (Class::Object, _) => return Err(Failure::NotHandled),
        (_, state) => vec![state],
    };
    let held = arena.list(held);
    new(arena, class, held)
}

// -- collections -------------------------------------------------------------------------------------------

/// The arguments are copied, because a list or dict may grow later.
fn collection(arena: &mut Arena, class: Class, count: usize, args: [Node; 3]) -> Option<Node> {
    match (class, count, args) {
        (Class::Set, 1, [Node::List(items), ..]) => Some(Node::Set(copied(arena, items))),
        (Class::FrozenSet, 1, [Node::List(items), ..]) => Some(Node::FrozenSet(copied(arena, items))),
        (Class::Counter, 1, [Node::Dict(counts), ..]) => {
            let copy = arena.dicts[counts as usize].copy();
            Some(Node::Counter(arena.dict(copy)))
        }
        (Class::OrderedDict, 0 | 1, [pairs, ..]) => ordered_dict(arena, pairs),
        (Class::Deque, 0..=2, [items, maxlen, _]) => deque(arena, items, maxlen),
        _ => None,
    }
}

fn copied(arena: &mut Arena, list: u32) -> u32 {
    let copy = arena.lists[list as usize].clone();
    arena.list(copy)
}

/// Python 2 calls it with a list of [key, value] lists, Python 3 without arguments.
fn ordered_dict(arena: &mut Arena, pairs: Node) -> Option<Node> {
    let dict = arena.dict(Dict::default());
    match pairs {
        Node::Unset => {}
        Node::Tuple(items) if arena.lists[items as usize].is_empty() => {}
        Node::List(items) => {
            for at in 0..arena.lists[items as usize].len() {
                let (key, value) = match arena.lists[items as usize][at] {
                    Node::List(pair) => match arena.lists[pair as usize].as_slice() {
                        [key, value] => (*key, *value),
                        _ => return None,
                    },
                    _ => return None,
                };
                arena.set(dict, key, value);
            }
        }
        _ => return None,
    }
    Some(Node::OrderedDict(dict))
}

/// Python 2 calls it with the list. In Python 3 the items follow.
fn deque(arena: &mut Arena, items: Node, maxlen: Node) -> Option<Node> {
    let maxlen = match maxlen {
        Node::Unset | Node::Null => None,
        Node::Int(most) if most >= 0 => Some(most),
        _ => return None,
    };
    let items = match items {
        Node::Unset => arena.list(Vec::new()),
        Node::Tuple(items) if arena.lists[items as usize].is_empty() => arena.list(Vec::new()),
        Node::List(items) => copied(arena, items),
        _ => return None,
    };
    Some(arena.deque(items, maxlen))
}

/// The items follow. A defaultdict with a factory of the app cannot be written back, so it is an instance.
fn default_dict(arena: &mut Arena, function: u32, args: u32, factory: Node) -> Option<Node> {
    let factory = match factory {
        Node::Unset | Node::Null => Some(Class::NoneType),
        Node::Symbol(symbol) => Some(arena.symbols[symbol as usize].class).filter(|class| class.factory().is_some()),
        Node::Instance(_) => None,
        _ => return None,
    };
    let dict = arena.dict(Dict::default());
    if let Some(factory) = factory {
        return Some(Node::DefaultDict { dict, factory });
    }
    let made = arena.instance(function, args, false);
    if let Some(instance) = arena.instances.last_mut() {
        instance.pairs = Some(dict);
    }
    Some(made)
}

// -- dates and numbers -------------------------------------------------------------------------------------

fn moment(arena: &mut Arena, class: Class, count: usize, args: [Node; 3]) -> Option<Node> {
    let [first, second, third] = args;
    match (class, count) {
        (Class::DateTime, 1 | 2) => packed(arena, Tag::DateTime, 10, first, second),
        (Class::Date, 1) => packed(arena, Tag::Date, 4, first, Node::Unset),
        (Class::Time, 1 | 2) => packed(arena, Tag::Time, 6, first, second),
        (Class::TimeDelta, 3) => match (first, second, third) {
            // Longer ints may cancel each other: they are left to the reference.
            (Node::Int(days), Node::Int(seconds), Node::Int(microseconds)) => {
                let (days, seconds, microseconds) = dates::timedelta(days, seconds, microseconds)?;
                Some(Node::Delta { days, seconds, microseconds })
            }
            _ => None,
        },
        _ => None,
    }
}

/// A date or time from packed fields. In Python 2 they are a str.
fn packed(arena: &mut Arena, tag: Tag, size: usize, state: Node, zone: Node) -> Option<Node> {
    let zone = match zone {
        Node::Unset | Node::Null => None,
        zone => Some(timezones::of(arena, zone)?),
    };
    let mut packed = match state {
        Node::Bytes(piece) | Node::OldBytes(piece) => arena.bytes(piece).to_vec(),
        Node::Str { piece, .. } if piece.size as usize <= 2 * size => latin1(arena.bytes(piece))?,
        _ => return None,
    };
    if packed.len() != size {
        return None;
    }
    let text = match tag {
        Tag::DateTime => dates::datetime(&packed, zone),
        Tag::Date => dates::date(&packed),
        _ => {
            packed[0] &= 0x7f;
            dates::time(&packed, zone)
        }
    }?;
    Some(arena.scalar(tag, &text))
}

/// A zone of one offset. Used by itself it is an object like any other.
fn zone(arena: &mut Arena, function: u32, args: u32) -> Option<Node> {
    let is_named = arena.symbols[function as usize].class == Class::PytzNamed;
    if is_named && !matches!(arena.lists[args as usize].len(), 1 | 4) {
        return None;
    }
    let zone = arena.instance(function, args, true);
    timezones::of(arena, zone).map(|_| zone)
}

fn decimal_of(arena: &mut Arena, text: Node) -> Option<Node> {
    let text = match text {
        Node::Str { piece, .. } => arena.bytes(piece),
        _ => return None,
    };
    if text.len() > 4 * MAX_DECIMAL_CHARS || (text.is_ascii() && text.len() > MAX_DECIMAL_CHARS) {
        return None;
    }
    match decimal::normal(text) {
        decimal::Reading::Number(normal) => Some(arena.scalar(Tag::Decimal, &normal)),
        decimal::Reading::Invalid | decimal::Reading::Unknown => None,
    }
}

// -- state -------------------------------------------------------------------------------------------------

/// The state that BUILD gives an object. For some classes it is a copy, so that later changes have no effect.
pub fn build(arena: &mut Arena, class: Class, state: Node) -> Verdict<Node> {
    let dict = match state {
        Node::Dict(dict) if class.copies_state() => dict,
        _ if class == Class::Uuid => return Err(Failure::NotHandled),
        _ => return Ok(state),
    };
    if class == Class::Uuid {
        return uuid(arena, dict).ok_or(Failure::NotHandled);
    }
    if arena.dicts[dict as usize].items.len() > MAX_STATE {
        return Ok(state);
    }
    let copy = arena.dicts[dict as usize].copy();
    Ok(Node::Dict(arena.dict(copy)))
}

fn uuid(arena: &mut Arena, state: u32) -> Option<Node> {
    let number = match arena.get(state, b"int")? {
        Node::Int(number) => u128::try_from(number).ok()?,
        Node::Big(number) => arena.bigs[number as usize].to_u128()?,
        _ => return None,
    };
    match (arena.dicts[state as usize].items.len(), arena.get(state, b"is_safe")) {
        (1, None) | (2, Some(Node::Int(-1 | 0))) => {}
        _ => return None,
    }
    let digits = format!("{:032x}", number);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Some(arena.scalar(Tag::Uuid, parts.join("-").as_bytes()))
}
