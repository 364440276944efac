//! Responses of Flask and Werkzeug, their subclasses, and exceptions that hold one, known by their attributes:
//! `proxy/codec/unpickle/responses.py`.

use crate::limits::{Failure, Verdict};
use crate::unpickle::instances::Values;
use crate::unpickle::node::{Arena, Instance, Node};
use crate::unpickle::symbols::Class;

/// So many pieces of a body are free of cost.
const FEW: usize = 8;

/// A finished response.
pub struct Response {
    pub status: i64,
    /// The list of its headers: tuples of two strings each.
    pub headers: u32,
    pub body: Vec<u8>,
    /// The body is UTF-8.
    pub is_text: bool,
    /// The number of parts that it was made from, beyond a fixed number.
    pub parts: u64,
}

/// The response that an object is. None: it is another object.
pub fn response(arena: &Arena, instance: &Instance, values: &mut Values) -> Verdict<Option<Response>> {
    let is_bare = !instance.is_called && arena.lists[instance.args as usize].is_empty();
    if arena.symbol_of(instance).class == Class::Response {
        return match read(arena, instance.state, values)? {
            Some(response) if is_bare => Ok(Some(response)),
            _ => Err(Failure::NotHandled),
        };
    }
    let state = match instance.state {
        Node::Dict(state) => state,
        _ => return Ok(None),
    };
    match arena.get(state, b"response") {
        // An HTTPException of Werkzeug.
        Some(Node::Instance(held)) if instance.is_called && arena.lists[instance.args as usize].is_empty() => {
            read(arena, arena.instances[held as usize].state, values)
        }
        Some(_) if is_bare => read(arena, instance.state, values),
        _ => Ok(None),
    }
}

/// A response by its attributes.
fn read(arena: &Arena, state: Node, values: &mut Values) -> Verdict<Option<Response>> {
    let state = match state {
        Node::Dict(state) => state,
        _ => return Ok(None),
    };
    let (headers, status, parts) = match shape(arena, state) {
        Some(shape) => shape,
        None => return Ok(None),
    };
    let (pairs, parts) = (&arena.lists[headers as usize], &arena.lists[parts as usize]);
    values.count((pairs.len() + parts.len()) as u64)?;
    if !pairs.iter().all(|pair| header(arena, *pair).is_some()) {
        return Ok(None);
    }
    let mut body = Vec::new();
    for part in parts {
        match part {
            Node::Bytes(piece) | Node::OldBytes(piece) | Node::Str { piece, .. } => {
                body.extend_from_slice(arena.bytes(*piece))
            }
            _ => return Ok(None),
        }
    }
    let is_text = std::str::from_utf8(&body).is_ok();
    let parts = (pairs.len() + parts.len().saturating_sub(FEW)) as u64;
    Ok(Some(Response { status, headers, body, is_text, parts }))
}

/// The list of headers, the status and the list of the body's pieces.
fn shape(arena: &Arena, state: u32) -> Option<(u32, i64, u32)> {
    let headers = match arena.get(state, b"headers")? {
        Node::Instance(headers) => &arena.instances[headers as usize],
        _ => return None,
    };
    let pairs = match headers.state {
        Node::Dict(state) if arena.symbol_of(headers).name() == "Headers" => arena.get(state, b"_list")?,
        _ => return None,
    };
    match (pairs, arena.get(state, b"_status_code")?, arena.get(state, b"response")?) {
        (Node::List(pairs), Node::Int(status @ 100..=999), Node::List(parts) | Node::Tuple(parts)) => {
            Some((pairs, status, parts))
        }
        _ => None,
    }
}

/// Name and value of a header.
pub fn header<'a>(arena: &'a Arena, pair: Node) -> Option<(&'a [u8], &'a [u8])> {
    match pair {
        Node::Tuple(pair) => match arena.lists[pair as usize].as_slice() {
            [Node::Str { piece: name, .. }, Node::Str { piece: value, .. }] => {
                Some((arena.bytes(*name), arena.bytes(*value)))
            }
            _ => None,
        },
        _ => None,
    }
}
